"""The Leech lattice's minimal vectors and the spherical codes that descend from them.

Coordinates are whole numbers, in units where minimal vectors have squared length 32 (Conway and
Sloane, Sphere Packings, Lattices and Groups, chapter 10). Every other code here consists of the
minimal vectors with given inner products with a few fixed lattice vectors, seen from those: all its
inner products are rational numbers, computed exactly.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from packing.catalogue import bases, golay
from packing.catalogue.claims import KISSING_8, UNIVERSAL, proved
from packing.catalogue.designs import design_row
from packing.catalogue.entry import Entry, ExactGram, Float, Int, Row, affordable
from packing.catalogue.exact import assemble
from packing.catalogue.numbers import RATIONALS, rational, solve

Short = NDArray[np.int8]

SQUARE = 32
"""Squared length of a minimal vector."""


@lru_cache(maxsize=1)
def minimal_vectors() -> Short:
    """All 196560 minimal vectors, shape (196560, 24), 4.5 MiB; read-only.

    Shapes (+-2^8, 0^16) on octads with an even number of minus signs, (+-4^2, 0^22), and
    (-3, 1^23) with any place for the 3 and signs changed on a codeword of the Golay code.
    """
    words = golay.codewords().astype(np.int8)
    blocks = golay.octads()
    signs = np.array(list(itertools.product((2, -2), repeat=7)), dtype=np.int8)
    signs = np.column_stack([signs, 2 * np.sign(signs.prod(axis=1, dtype=np.int64))])
    on_octads = np.zeros((len(blocks), len(signs), 24), dtype=np.int8)
    for i, block in enumerate(blocks):
        on_octads[i][:, np.flatnonzero(block)] = signs
    pairs = []
    for i, j in itertools.combinations(range(24), 2):
        for a, b in itertools.product((4, -4), repeat=2):
            pair = np.zeros(24, dtype=np.int8)
            pair[[i, j]] = a, b
            pairs.append(pair)
    odd = np.ones((24, 24), dtype=np.int8) - 4 * np.eye(24, dtype=np.int8)
    odd = (odd[:, None] * (1 - 2 * words)[None]).reshape(-1, 24)
    X = np.concatenate([on_octads.reshape(-1, 24), np.array(pairs), odd]).astype(np.int8)
    X.setflags(write=False)
    return X


def products(x: Sequence[int]) -> Int:
    """Inner products of all minimal vectors with x (24,), in units where theirs is 32."""
    # 24 products of two small whole numbers: exact in single precision, and far faster there.
    return np.rint(minimal_vectors().astype(np.float32) @ np.array(x, dtype=np.float32)).astype(
        np.int64
    )


# --- codes that descend ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Descent:
    """Minimal vectors with given inner products with fixed vectors, projected off those.

    Parameters
    ----------
    name : str
    d : int
        24 less the number of fixed vectors.
    fixed : tuple of tuples of 24 int
        Independent lattice vectors.
    inner : tuple of int
        Inner product that is asked for with each of them.
    cosines : tuple of Fraction
        Between different vectors of the code.
    """

    name: str
    d: int
    fixed: tuple[tuple[int, ...], ...]
    inner: tuple[int, ...]
    cosines: tuple[Fraction, ...]

    @property
    def members(self) -> Int:
        """The minimal vectors that take part, as lattice vectors (n, 24)."""
        keep = np.ones(len(minimal_vectors()), dtype=bool)
        for x, wanted in zip(self.fixed, self.inner, strict=True):
            keep &= products(x) == wanted
        return minimal_vectors()[keep].astype(np.int64)

    @property
    def foot(self) -> Fraction:
        """Squared length of the common projection to the span of the fixed vectors."""
        F = np.array(self.fixed)
        weights = solve((F @ F.T).tolist(), self.inner)
        return sum((w * a for w, a in zip(weights, self.inner, strict=True)), Fraction(0))

    @property
    def n(self) -> int:
        """Number of vectors, by the equations of a design: see `design_row`."""
        return 1 + sum(count for _, count in design_row(self.d, self.cosines))

    def gram(self) -> ExactGram:
        """Exact Gram matrix of the projected vectors.

        Raises
        ------
        BadInput
            If it would not fit in memory; said before the vectors are made.
        """
        affordable(f"the Gram matrix of {self.name}", self.n, self.n)
        X = self.members.astype(np.float32)
        # single precision is exact for whole numbers this small
        inner = np.rint(X @ X.T).astype(np.int64) + SQUARE
        kinds = np.flatnonzero(np.bincount(inner.ravel()))
        place = np.zeros(2 * SQUARE + 1, dtype=np.int64)
        place[kinds] = np.arange(kinds.size)
        foot = self.foot
        numbers = [RATIONALS((int(x) - SQUARE - foot) / (SQUARE - foot)) for x in kinds]
        return assemble(place[inner], numbers)

    def coordinates(self) -> Float:
        """The projected vectors, unit, in orthonormal coordinates of their space (d, n)."""
        fixed = np.array(self.fixed, dtype=np.float64)
        axes = np.linalg.qr(fixed.T, mode="complete")[0][:, len(fixed) :]
        Y = axes.T @ self.members.T
        return np.asarray(Y / np.linalg.norm(Y, axis=0), dtype=np.float64)


def _sparse(**at: int) -> tuple[int, ...]:
    """24 coordinates from those that are not 0: x0=4 means 4 in place 0."""
    row = [0] * 24
    for place, value in at.items():
        row[int(place[1:])] = value
    return tuple(row)


def _fractions(*texts: str) -> tuple[Fraction, ...]:
    return tuple(Fraction(text) for text in texts)


# Minimal vectors, and one of the next length (squared length 48).
A, B, C = _sparse(x0=4, x1=4), _sparse(x0=4, x2=4), _sparse(x0=4, x1=-4)
LONG = (5, *[1] * 23)

DESCENTS = {
    code.name: code
    for code in (
        Descent("Leech 4600-code", 23, (A,), (16,), _fractions("1/3", "0", "-1/3", "-1")),
        Descent("Leech 891-code", 22, (A, B), (16, 16), _fractions("1/4", "-1/8", "-1/2")),
        Descent("doubled ETF(23,276)", 23, (LONG,), (24,), _fractions("1/5", "-1/5", "-1")),
        Descent("McLaughlin code", 22, (LONG, A), (24, 16), _fractions("1/6", "-1/4")),
        Descent("Higman-Sims code", 22, (LONG, C), (24, 0), _fractions("1/11", "-4/11")),
        Descent("U4(3) code", 21, (LONG, A, B), (24, 16, 16), _fractions("1/7", "-2/7")),
        Descent("GQ(3,9) code", 21, (LONG, A, B), (24, 16, 8), _fractions("1/9", "-1/3")),
    )
}
"""What descends, by name; only the first two have no other construction in the catalogue."""


# --- entries --------------------------------------------------------------------------------------

CONWAY_0 = 8315553613086720000  # Conway 1969
CONWAY_2 = 42305421312000
UNITARY_6 = 9196830720  # U6(2)


def listing() -> tuple[Entry, ...]:
    """Leech lattice, the two codes that only it gives, and that of `bases`; none built yet.

    One row stands for all: the groups are transitive (Conway and Sloane, chapter 10).
    """
    cosines = _fractions("1/2", "1/4", "0", "-1/4", "-1/2", "-1")
    row = design_row(24, cosines)
    n = 1 + sum(count for _, count in row)
    return (
        Entry(
            name="Leech minimal vectors",
            d=24,
            n=n,
            rows=((n, _row(row)),),
            symmetry_order=CONWAY_0,
            claims=(UNIVERSAL, proved("kissing", KISSING_8)),
            construction="from the extended binary Golay code (Leech 1967; Conway & Sloane, Sphere "
            "Packings, Lattices and Groups, chapter 10)",
            build=Descent("Leech minimal vectors", 24, (), (), cosines).gram,
            coordinates=lambda: minimal_vectors().T / np.sqrt(SQUARE),
            aliases=("Leech lattice", "Leech"),
        ),
        # the stabiliser of a minimal vector, and the central symmetry of the code
        _entry(DESCENTS["Leech 4600-code"], 2 * CONWAY_2, "a minimal vector"),
        # U6(2) with all its outer automorphisms, S3
        _entry(DESCENTS["Leech 891-code"], 6 * UNITARY_6, "two minimal vectors that touch"),
        *bases.listing(),
    )


def _entry(code: Descent, order: int, seen_from: str) -> Entry:
    return Entry(
        name=code.name,
        d=code.d,
        n=code.n,
        rows=((code.n, _row(design_row(code.d, code.cosines))),),
        symmetry_order=order,
        claims=(UNIVERSAL,),
        construction=f"minimal vectors of the Leech lattice that touch {seen_from}, seen from there"
        " (Conway & Sloane, chapter 14)",
        build=code.gram,
        coordinates=code.coordinates,
    )


def _row(counts: Sequence[tuple[Fraction, int]]) -> Row:
    return tuple((rational(x), m) for x, m in counts)
