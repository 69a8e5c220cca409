"""Solids in R^3 with their prisms and antiprisms of free height, and uniform polytopes of R^4."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from packing.catalogue import claims as by
from packing.catalogue.coordinates import polygon, roots_D
from packing.catalogue.coxeter import orbit, orbit_size, order
from packing.catalogue.entry import Entry, ExactGram, Float
from packing.catalogue.exact import Points, assemble, from_points, rational_row
from packing.catalogue.families import whole_entry
from packing.catalogue.numbers import TRIBONACCI, Number, cosines_of_turns, quadratic
from packing.errors import BadInput

SIDED = {2: "digonal", 3: "triangular", 4: "square", 5: "pentagonal", 6: "hexagonal"}
SIDED |= {7: "heptagonal", 8: "octagonal"}
FIVE = quadratic(5)

# --- prisms and antiprisms ----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Shape:
    """A name and unit vectors (d, n)."""

    name: str
    vectors: Float


def prism(k: int, height: float) -> Float:
    """Two k-gons above each other at +-height on the unit sphere, 0 < height < 1."""
    ring = polygon(k) * math.sqrt(1.0 - height**2)
    up = np.vstack([ring, np.full(k, height)])
    return np.concatenate([up, up * [[1.0], [1.0], [-1.0]]], axis=1)


def antiprism(k: int, height: float) -> Float:
    """Two k-gons at +-height, the lower turned by half a step."""
    turn = np.pi / k
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    ring = polygon(k) * math.sqrt(1.0 - height**2)
    up = np.vstack([ring, np.full(k, height)])
    down = np.vstack([rotation @ ring, np.full(k, -height)])
    return np.concatenate([up, down], axis=1)


def prism_name(k: int, twisted: bool) -> str:
    """Name of a prism or antiprism of free height over the k-gon."""
    if twisted and k == 2:
        return "disphenoid"
    return f"{SIDED.get(k, f'{k}-gonal')} {'anti' * twisted}prism"


def prisms(directions: Float) -> Iterator[Shape]:
    """Prisms and antiprisms (d = 3, 2k vectors) whose free height agrees with the directions.

    The frame operator of such a shape has eigenvalues k r^2, k r^2 and 2 k height^2, so the
    height is read off each eigenvalue in turn and the comparison is left to the caller.
    """
    d, n = directions.shape
    if d != 3 or n % 2 or n < 4:
        return
    k = n // 2
    for value in np.linalg.eigvalsh(directions @ directions.T):
        height = math.sqrt(max(float(value), 0.0) / n)
        if 0.0 < height < 1.0:
            yield Shape(prism_name(k, True), antiprism(k, height))
            if k >= 3:
                yield Shape(prism_name(k, False), prism(k, height))


def equal_edges(k: int, twisted: bool) -> Number:
    """Squared height at which all edges of the k-gonal prism or antiprism are equal.

    With r^2 = 1 - h^2 an edge of the ring has cosine r^2 cos(2 pi/k) + h^2, an edge between the
    rings r^2 x - h^2 with x = 1, or cos(pi/k) if twisted. Derived here.
    """
    if twisted:
        turns = cosines_of_turns(2 * k, 2)
        gap = turns[1] - turns[2]
    else:
        gap = 1 - cosines_of_turns(k, 1)[1]
    return gap / (gap + 2)


def prism_entry(k: int, twisted: bool = False, squared_height: Fraction | None = None) -> Entry:
    """The prism (or antiprism, if twisted) over the regular k-gon at a given height.

    Parameters
    ----------
    k : int
        At least 3, or 2 if twisted.
    squared_height : Fraction, optional
        h^2 in (0, 1); all edges are equal if not given.

    Raises
    ------
    BadInput
        If k or the height is out of range.
    """
    if k < 3 - twisted:
        least = "2 for antiprisms, 3 for prisms"
        raise BadInput(f"k = {k} is too small: give the number of sides, at least {least}")
    if squared_height is not None and not 0 < float(squared_height) < 1:
        raise BadInput(
            f"squared_height = {float(squared_height):g} is out of range: give one in (0, 1)"
        )
    name = prism_name(k, twisted)
    # the antiprisms with two and three sides and the square prism may be Platonic solids
    regular = k in ((2, 3) if twisted else (4,)) and squared_height in (None, Fraction(1, 3))
    best = twisted and k == 4 and squared_height is None

    def square() -> Number | Fraction:
        return equal_edges(k, twisted) if squared_height is None else squared_height

    return Entry(
        name=name if squared_height is None else f"{name} of squared height {squared_height}",
        d=3,
        n=2 * k,
        rows=(),
        symmetry_order={2: 24, 3: 48, 4: 48}[k] if regular else 4 * k,
        claims=(by.proved("spherical code", by.SCHUETTE_1951),) if best else (),
        construction="Two regular polygons in parallel planes"
        + (", one turned by half a step." if twisted else "."),
        build=lambda: _prism_gram(k, twisted, square()),
        coordinates=lambda: (antiprism if twisted else prism)(k, math.sqrt(float(square()))),
    )


def _prism_gram(k: int, twisted: bool, square: Number | Fraction) -> ExactGram:
    step = 1 + twisted  # in units of 2 pi / (step k)
    turns = cosines_of_turns(step * k, step * k)
    h2 = turns[0].field(square) if isinstance(square, Fraction) else square
    within = [(1 - h2) * turns[step * j] + h2 for j in range(k)]
    across = [(1 - h2) * turns[(step * j + twisted) % (step * k)] - h2 for j in range(k)]
    i, j = np.ogrid[:k, :k]
    ring, other = (j - i) % k, k + (j - i) % k
    return assemble(np.block([[ring, other], [other.T, ring.T]]), [*within, *across])


# --- Platonic and other solids ------------------------------------------------------------------


def _golden(rows: list[tuple[tuple[int, int], ...]]) -> Points:
    """Cyclic permutations of rows of numbers (a, b) = a + b sqrt 5 with all changes of sign."""
    found = set()
    for row in rows:
        for s in itertools.product((1, -1), repeat=3):
            signed = tuple((e * a, e * b) for e, (a, b) in zip(s, row, strict=True))
            found |= {signed[i:] + signed[:i] for i in range(3)}
    return Points(np.array(sorted(found), dtype=np.int64), FIVE)


ZERO, TWO, UP, DOWN = (0, 0), (2, 0), (1, 1), (-1, 1)  # 0, 2, 2 phi, 2/phi


def icosahedron() -> Points:
    """Cyclic permutations of (0, +-1, +-phi)."""
    return _golden([(ZERO, TWO, UP)])


def dodecahedron() -> Points:
    """(+-1, +-1, +-1) and cyclic permutations of (0, +-1/phi, +-phi)."""
    return _golden([(TWO, TWO, TWO), (ZERO, DOWN, UP)])


def icosidodecahedron() -> Points:
    """Midpoints of the icosahedron's edges: (0, 0, +-2 phi) and (+-1, +-phi, +-phi^2), cyclic."""
    return _golden([(ZERO, ZERO, (2, 2)), (TWO, UP, (3, 1))])


def snub_cube() -> Points:
    """(+-1, +-1/t, +-t), t^3 = t^2 + t + 1: even permutations with an even number of plus signs,
    odd permutations with an odd number."""
    t = [(0, 1, 0), (1, 0, 0), (-1, -1, 1)]  # t, 1, 1/t = t^2 - t - 1
    rows = []
    for p in itertools.permutations(range(3)):
        odd = sum(p[i] > p[j] for i, j in itertools.combinations(range(3), 2)) % 2
        for s in itertools.product((1, -1), repeat=3):
            if s.count(1) % 2 == odd:
                rows.append([[s[i] * c for c in t[p[i]]] for i in range(3)])
    return Points(np.array(rows, dtype=np.int64), TRIBONACCI)


UNIFORM: tuple[tuple[str, str, int, tuple[int, ...], int, tuple[str, ...]], ...] = (
    # name, group, d, ringed mirrors, symmetries of the ringed diagram, aliases
    ("truncated tetrahedron", "A", 3, (1, 2), 1, ()),
    ("truncated octahedron", "B", 3, (1, 2), 1, ("permutohedron",)),
    ("truncated cube", "B", 3, (2, 3), 1, ()),
    ("rhombicuboctahedron", "B", 3, (1, 3), 1, ()),
    ("truncated cuboctahedron", "B", 3, (1, 2, 3), 1, ()),
    ("truncated icosahedron", "H", 3, (1, 2), 1, ("buckyball",)),
    ("truncated dodecahedron", "H", 3, (2, 3), 1, ()),
    ("rhombicosidodecahedron", "H", 3, (1, 3), 1, ()),
    ("truncated icosidodecahedron", "H", 3, (1, 2, 3), 1, ()),
    ("truncated 5-cell", "A", 4, (1, 2), 1, ()),
    ("bitruncated 5-cell", "A", 4, (2, 3), 2, ()),
    ("cantellated 5-cell", "A", 4, (1, 3), 1, ()),
    ("rectified tesseract", "B", 4, (3,), 1, ()),
    ("rectified 24-cell", "F", 4, (2,), 1, ()),
    ("120-cell", "H", 4, (4,), 1, ()),
    ("rectified 600-cell", "H", 4, (2,), 1, ()),
)


def _uniform(
    name: str, letter: str, d: int, rings: tuple[int, ...], extra: int, aliases: tuple[str, ...]
) -> Entry:
    ringed = ", ".join(map(str, rings))
    return from_points(
        name,
        (orbit_size(letter, d, rings), d),
        extra * order(letter, d),
        lambda: orbit(letter, d, rings),
        f"The uniform polytope of the reflection group {letter}{d} with rings on {ringed} "
        "(Coxeter, Regular Polytopes).",
        aliases=aliases,
    )


@lru_cache(maxsize=1)
def listing() -> tuple[Entry, ...]:
    """What this module builds, families aside."""
    lines = by.proved("lines", by.ANTIPODAL)
    half = Fraction(1, 2)
    return (
        from_points(
            "icosahedron",
            (12, 3),
            120,
            icosahedron,
            "Cyclic permutations of (0, +-1, +-phi).",
            (
                by.UNIVERSAL,
                by.proved("spherical code", by.FEJES_TOTH),
                by.proved("kissing", by.SCHUETTE_1953),
                lines,
                by.proved("equiangular lines", by.GERZON),
            ),
        ),
        whole_entry(
            "cuboctahedron",
            (12, 3),
            rational_row((half, 4), (0, 2), (-half, 4), (-1, 1)),
            48,
            lambda: roots_D(3),
            "The vectors +-e_i +- e_j.",
            (by.proved("kissing", by.SCHUETTE_1953),),
            ("A3 roots", "D3 roots"),
        ),
        from_points(
            "dodecahedron",
            (20, 3),
            120,
            dodecahedron,
            "(+-1, +-1, +-1) and cyclic permutations of (0, +-1/phi, +-phi).",
        ),
        from_points(
            "icosidodecahedron",
            (30, 3),
            120,
            icosidodecahedron,
            "Midpoints of the icosahedron's edges: the directions of the roots of H3.",
            aliases=("H3 roots",),
        ),
        from_points(
            "snub cube",
            (24, 3),
            24,
            snub_cube,
            "Half of the permutations and signs of (1, 1/t, t), t the tribonacci constant.",
            (by.proved("spherical code", by.ROBINSON),),
        ),
        *(_uniform(*row) for row in UNIFORM),
    )
