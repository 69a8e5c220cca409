"""Descriptions of blocks with several kinds of vectors, some with a free height.

An `Orbits` says how many vectors each kind has and what each sees: (kind, cosine, count). A cosine
is a number (as `closed_form` reads them) or a tuple of numbers: coefficients of 1, h, h^2, ... in
the height h. The makers below put rings of k vectors at height h: (sqrt(1 - h^2) cos, .. sin, h).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from packing.catalogue.entry import Cosine, Entry
from packing.errors import BadInput

Number = Cosine | str | Fraction | int
Seen = tuple[int, "Number | tuple[Number, ...]", int]


@dataclass(frozen=True, eq=False)
class Orbits:
    """Vectors of several kinds, and which cosines a vector of each kind sees.

    Parameters
    ----------
    name : str
    counts : tuple of int
        Vectors of each kind.
    seen : per kind a tuple of (kind, cosine, count)
        The other vectors; those at cosine 0 may be left out. A cosine that is a tuple holds the
        coefficients of 1, h, h^2, ...
    height : (float, float) or None
        Open interval in which h may lie; None if no cosine depends on h.
    d : int or None
        Dimension, where known.
    labels : tuple of int or None
        Kind of each vector of the catalogue entry this was made from.
    """

    name: str
    counts: tuple[int, ...]
    seen: tuple[tuple[Seen, ...], ...]
    height: tuple[float, float] | None = None
    d: int | None = None
    labels: tuple[int, ...] | None = None

    @property
    def n(self) -> int:
        return sum(self.counts)


def orbits_of(block: Entry, parts: Sequence[Sequence[int]] | None = None) -> Orbits:
    """The kinds of vectors of a catalogue entry.

    Parameters
    ----------
    block : Entry
    parts : sequence of sequences of int, optional
        Vectors that are to share norm and bias, all of them once; from the rows of cosines if not
        given. Parts are split until the vectors of each see the same cosines with each part.
    """
    colours, n = block.gram.colours, block.n
    label = [0] * n
    if parts is not None:
        if sorted(i for part in parts for i in part) != list(range(n)):
            raise BadInput(f"parts = {parts} do not hold each of the {n} vectors once")
        for a, part in enumerate(parts):
            for i in part:
                label[i] = a
    while True:
        sights = [
            (label[i], tuple(sorted(Counter(_pairs(i, label, colours)).items()))) for i in range(n)
        ]
        kinds = {sight: a for a, sight in enumerate(dict.fromkeys(sights))}
        if len(kinds) == len(set(label)):
            break
        label = [kinds[sight] for sight in sights]
    seen = [sight for _, sight in kinds]
    label = [kinds[sight] for sight in sights]
    names = {old: new for old, new in zip((s[0] for s in kinds), range(len(kinds)), strict=True)}
    return Orbits(
        block.name,
        tuple(label.count(a) for a in range(len(kinds))),
        tuple(tuple((names[b], block.gram.cosines[c], m) for (b, c), m in row) for row in seen),
        None,
        block.d,
        tuple(label),
    )


def _pairs(i: int, label: list[int], colours: np.ndarray) -> list[tuple[int, int]]:
    return [(label[j], int(colours[i, j])) for j in range(len(label)) if j != i]


def bipyramid(k: int) -> Orbits:
    """Two opposite apexes over a k-gon: its height is the ratio of the two norms."""
    ring = tuple((1, c, m) for c, m in _ring(k))
    return Orbits(f"{k}-gonal bipyramid", (2, k), (((0, -1, 1),), ring), None, 3)


def pyramid(k: int) -> Orbits:
    """An apex and a k-gon at height h; for k = 2 an isosceles triangle in the plane."""
    ring = tuple((1, _lifted(c, 1), m) for c, m in _ring(k))
    seen = (((1, (0, 1), k),), ((0, (0, 1), 1), *ring))
    name = "isosceles triangle" if k == 2 else f"{k}-gonal pyramid"
    return Orbits(name, (1, k), seen, (-1.0, 1.0), 2 if k == 2 else 3)


def prism(k: int, twisted: bool = False) -> Orbits:
    """Two k-gons at heights h and -h, one turned by half a step if twisted; one kind."""
    ring = tuple((0, _lifted(c, 1), m) for c, m in _ring(k))
    name = f"{k}-gonal {'antiprism' if twisted else 'prism'}"
    return Orbits(name, (2 * k,), ((*ring, *_across(k, twisted, 0)),), (0.0, 1.0), 3)


def capped_prism(k: int, twisted: bool = False) -> Orbits:
    """A prism with an apex above and one below: two kinds and a height."""
    ring = tuple((1, _lifted(c, 1), m) for c, m in _ring(k))
    apex = ((0, -1, 1), (1, (0, 1), k), (1, (0, -1), k))
    other = ((0, (0, 1), 1), (0, (0, -1), 1), *ring, *_across(k, twisted, 1))
    name = f"capped {k}-gonal {'antiprism' if twisted else 'prism'}"
    return Orbits(name, (2, 2 * k), (apex, other), (0.0, 1.0), 3)


def _across(k: int, twisted: bool, kind: int) -> tuple[Seen, ...]:
    found: Counter[str] = Counter()
    for j in range(k):
        step = 2 * j + 1 if twisted else 2 * j
        found[_turn(min(step, 2 * k - step), 2 * k)] += 1
    return tuple((kind, _lifted(c, -1), m) for c, m in found.items())


def _ring(k: int) -> tuple[tuple[str, int], ...]:
    """Cosines in a k-gon with multiplicities."""
    if k < 2:
        raise BadInput(f"k = {k}: give the number of sides, at least 2")
    return tuple((_turn(2 * j, 2 * k), 1 if 2 * j == k else 2) for j in range(1, k // 2 + 1))


def _turn(step: int, whole: int) -> str:
    """cos(2 pi step/whole), rational ones written out."""
    plain = {(0, 1): "1", (1, 2): "-1", (1, 4): "0", (1, 3): "-1/2", (1, 6): "1/2"}
    q = Fraction(step, whole)
    text = plain.get((q.numerator, q.denominator))
    return text or f"cos({2 * q.numerator}*pi/{q.denominator})"


def _lifted(c: str, sign: int) -> tuple[Number, ...]:
    """(1 - h^2) c + sign h^2."""
    return c, 0, f"{sign} - ({c})"
