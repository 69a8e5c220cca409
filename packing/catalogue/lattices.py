"""Exceptional root systems, the Golay code, Kerdock sets, the Leech lattice and their codes.

E8 is written in whole coordinates (twice the usual ones), E7 and E6 are the roots of E8 orthogonal
to one root and to two roots at 120 degrees, the 56 and the 27 are what one sees from a root of E8
and from one of the 56 (Conway & Sloane, Sphere Packings, Lattices and Groups, chapters 4 and 14).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from packing.algebra.number_fields import RATIONALS, cosine, quadratic, solve
from packing.catalogue import references as by
from packing.catalogue.entry_types import Entry, ExactGram, Row, affordable
from packing.catalogue.exact import (
    Points,
    assemble,
    design_row,
    doubled,
    even_signs,
    from_points,
    neighbours,
    rational_row,
    roots_D,
    signs,
)
from packing.catalogue.polytopes import whole_entry
from packing.catalogue.references import KISSING_8, ORTHOPLEX, UNIVERSAL, proved
from packing.types import Float, Int

# --- coordinates --------------------------------------------------------------------------------


def roots_E8() -> Int:
    """The 240 roots, doubled: +-2 e_i +- 2 e_j and the even rows of eight signs."""
    return np.concatenate([2 * roots_D(8), even_signs(8)])


def roots_E7() -> Int:
    """The 126 roots of E8 orthogonal to the first."""
    X = roots_E8()
    return X[X @ X[0] == 0]


def roots_E6() -> Int:
    """The 72 roots of E8 orthogonal to the first and to another at 120 degrees to it."""
    X = roots_E8()
    inner = X @ X[0]
    other = X[int(np.flatnonzero(inner == -4)[0])]
    return X[(inner == 0) & (X @ other == 0)]


def code_56() -> Int:
    """The neighbours of a root of E8, seen from it."""
    return neighbours(roots_E8())


def code_27() -> Int:
    """The neighbours of one of the 56, seen from it."""
    return neighbours(code_56())


def even_permutations(row: Int) -> Int:
    """The twelve even permutations of the four coordinates (4, degree) of a vector."""
    quarter = np.array([[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]])
    turns = np.array([[0, 1, 2, 3], [0, 2, 3, 1], [0, 3, 1, 2]])
    return np.asarray(row[turns[:, quarter].reshape(-1, 4)], dtype=np.int64)


def cell_600() -> Points:
    """The 120 unit icosians, times four: coordinates in Z[sqrt 5]."""
    axes = np.zeros((8, 4, 2), dtype=np.int64)
    axes[:, :, 0] = 4 * doubled(np.eye(4, dtype=np.int64))
    cube = np.zeros((16, 4, 2), dtype=np.int64)
    cube[:, :, 0] = 2 * signs(4)
    # twice phi, 1 and 1/phi, each with either sign, and 0
    row = np.array([[0, 0], [1, 1], [2, 0], [-1, 1]])
    rest = [even_permutations(row * np.array([1, *s])[:, None]) for s in signs(3)]
    return Points(np.concatenate([axes, cube, *rest]), quadratic(5))


def roots_F4() -> Points:
    """The directions of the 48 roots: a 24-cell and its dual, in Z[sqrt 2]."""
    X = np.zeros((48, 4, 2), dtype=np.int64)
    X[:24, :, 0] = 2 * roots_D(4)
    X[24:32, :, 1] = 2 * doubled(np.eye(4, dtype=np.int64))
    X[32:, :, 1] = signs(4)
    return Points(X, quadratic(2))


# --- entries ------------------------------------------------------------------------------------

THIRD, QUARTER, HALF = (Fraction(1, k) for k in (3, 4, 2))
LINES = by.proved("lines", by.LEVENSHTEIN)


@lru_cache(maxsize=1)
def root_codes() -> tuple[Entry, ...]:
    """What this module builds."""
    return (
        whole_entry(
            "24-cell",
            (24, 4),
            rational_row((HALF, 8), (0, 6), (-HALF, 8), (-1, 1)),
            1152,
            lambda: roots_D(4),
            "The roots of D4: the vectors +-e_i +- e_j.",
            (
                by.proved("kissing", by.MUSIN),
                by.proved("spherical code", by.D4_UNIQUE),
                by.proved("lines", by.ORTHOPLEX),
            ),
            ("D4 roots",),
        ),
        from_points(
            "F4 roots",
            (48, 4),
            2304,
            roots_F4,
            "The directions of the roots of F4: a 24-cell and its dual.",
        ),
        from_points(
            "600-cell",
            (120, 4),
            14400,
            cell_600,
            "The 120 unit icosians.",
            (by.UNIVERSAL, by.proved("lines", by.ANTIPODAL)),
            ("H4 roots",),
        ),
        whole_entry(
            "Schlaefli code",
            (27, 6),
            rational_row((QUARTER, 16), (-HALF, 10)),
            51840,
            code_27,
            "The neighbours of one of the 56 of E7, seen from it.",
            (by.UNIVERSAL,),
            ("Schläfli code", "E6 27-code", "2_21"),
        ),
        whole_entry(
            "E6 roots",
            (72, 6),
            rational_row((HALF, 20), (0, 30), (-HALF, 20), (-1, 1)),
            103680,
            roots_E6,
            "The roots of E8 orthogonal to two roots at 120 degrees.",
            (LINES, by.conjectured("kissing", by.KISSING_TABLE)),
            ("1_22",),
        ),
        whole_entry(
            "E7 56-code",
            (56, 7),
            rational_row((THIRD, 27), (-THIRD, 27), (-1, 1)),
            2903040,
            code_56,
            "The neighbours of a root of E8, seen from it.",
            (by.UNIVERSAL, by.proved("lines", by.WELCH), by.proved("equiangular lines", by.GERZON)),
            ("3_21", "Gosset 56-code"),
        ),
        whole_entry(
            "E7 roots",
            (126, 7),
            rational_row((HALF, 32), (0, 60), (-HALF, 32), (-1, 1)),
            2903040,
            roots_E7,
            "The roots of E8 orthogonal to one of them.",
            (LINES, by.conjectured("kissing", by.KISSING_TABLE)),
            ("2_31",),
        ),
        whole_entry(
            "E8 roots",
            (240, 8),
            rational_row((HALF, 56), (0, 126), (-HALF, 56), (-1, 1)),
            696729600,
            roots_E8,
            "The vectors +-e_i +- e_j and half the rows of eight signs with an even number of "
            "minuses.",
            (by.UNIVERSAL, by.proved("kissing", by.KISSING_8), LINES),
            ("E8 240-code", "4_21"),
        ),
    )


# The extended binary Golay code and the Steiner systems in it.
#
# Positions 0 ... 22 are the integers modulo 23, position 23 is infinity. Construction: the
# quadratic residue code (Conway and Sloane, Sphere Packings, Lattices and Groups, chapters 3 and
# 11).


@lru_cache(maxsize=1)
def codewords() -> Int:
    """The 4096 words of length 24, shape (4096, 24), zeros and ones; read-only.

    Spanned over GF(2) by the translates modulo 23 of the set of non-residues with 0, and by the
    word of ones.
    """
    residues = {i * i % 23 for i in range(1, 23)}
    start = [x for x in range(23) if x not in residues]
    rows = [np.ones(24, dtype=np.int64)]
    for shift in range(23):
        row = np.zeros(24, dtype=np.int64)
        row[[(x + shift) % 23 for x in start]] = 1
        rows.append(row)
    words = np.zeros((1, 24), dtype=np.int64)
    for row in _independent(rows):
        words = np.concatenate([words, words ^ row])
    words.setflags(write=False)
    return words


def octads() -> Int:
    """The 759 words of weight 8, the blocks of S(5,8,24), shape (759, 24)."""
    words = codewords()
    return words[words.sum(axis=1) == 8]


def heptads() -> Int:
    """The 253 blocks of S(4,7,23): octads through infinity, without it, shape (253, 23)."""
    blocks = octads()
    return blocks[blocks[:, 23] == 1][:, :23]


def hexads() -> Int:
    """The 77 blocks of S(3,6,22): heptads through 22, without it, shape (77, 22)."""
    blocks = heptads()
    return blocks[blocks[:, 22] == 1][:, :22]


def _independent(rows: list[Int]) -> list[Int]:
    """A basis over GF(2) of the span of the rows, in echelon form."""
    basis: list[tuple[int, Int]] = []
    for row in rows:
        rest = row.copy()
        for pivot, old in basis:
            if rest[pivot]:
                rest ^= old
        if rest.any():
            basis.append((int(np.argmax(rest)), rest))
    return [row for _, row in basis]


# Nine mutually unbiased bases of R^16, from the Nordstrom-Robinson code.
#
# 288 vectors: the coordinate axes, and the 256 words of the code with signs for zeros and ones,
# which fall into eight bases more. Such Kerdock sets reach the orthoplex bound for lines
# (Calderbank, Cameron, Kantor and Seidel, Proc. London Math. Soc. 75 (1997) 436-480).


def nordstrom_robinson() -> Int:
    """The 256 words of the Nordstrom-Robinson code, shape (256, 16), zeros and ones.

    Words of the Golay code that meet an octad in nothing, or in its last point and at most one
    other, off that octad (Goethals 1971).
    """
    words = codewords()
    octad = np.flatnonzero(octads()[0])
    rest = np.setdiff1d(np.arange(24), octad)
    on = words[:, octad]
    none = on.sum(axis=1) == 0
    pair = (on.sum(axis=1) == 2) & (on[:, -1] == 1)
    return words[none | pair][:, rest]


def nine_bases() -> Int:
    """288 vectors with squared length 16, whole coordinates, shape (288, 16)."""
    axes = 4 * np.eye(16, dtype=np.int64)
    return np.concatenate([axes, -axes, 1 - 2 * nordstrom_robinson()])


def gram() -> ExactGram:
    """Exact Gram matrix of the 288 vectors."""
    X = nine_bases()
    kinds, index = np.unique(X @ X.T, return_inverse=True)
    numbers = [RATIONALS(Fraction(int(x), 16)) for x in kinds]
    return assemble(index.reshape(len(X), len(X)), numbers)


def coordinates() -> Float:
    """The 288 vectors, unit, (16, 288)."""
    return nine_bases().T / 4.0


def basis_codes() -> tuple[Entry, ...]:
    """The code of 288; nothing is built yet."""
    # eight other bases of sixteen lines, fifteen lines at right angles, the opposite
    row = ((Fraction(1, 4), 16 * 8), (Fraction(0), 2 * 15), (Fraction(-1, 4), 16 * 8))
    return (
        Entry(
            name="Kerdock 288-code",
            d=16,
            n=288,
            rows=((288, (*((cosine(x), m) for x, m in row), (cosine(-1), 1))),),
            symmetry_order=2**9 * math.factorial(9) // 2,  # 2^(1+8).A9: A9 acts on the bases
            claims=(
                proved("universal", "Cohn, de Laat & Leijenhorst, arXiv 2403.16874 (2024)"),
                proved("lines", ORTHOPLEX),
            ),
            construction="both unit vectors on the lines of nine mutually unbiased bases: the axes "
            "and the Nordstrom-Robinson code (Calderbank, Cameron, Kantor & Seidel 1997)",
            build=gram,
            coordinates=coordinates,
        ),
    )


# The Leech lattice's minimal vectors and the spherical codes that descend from them.
#
# Coordinates are whole numbers, in units where minimal vectors have squared length 32 (Conway and
# Sloane, Sphere Packings, Lattices and Groups, chapter 10). Every other code here consists of the
# minimal vectors with given inner products with a few fixed lattice vectors, seen from those: all
# its inner products are rational numbers, computed exactly.


Short = NDArray[np.int8]

SQUARE = 32
"""Squared length of a minimal vector."""


@lru_cache(maxsize=1)
def minimal_vectors() -> Short:
    """All 196560 minimal vectors, shape (196560, 24), 4.5 MiB; read-only.

    Shapes (+-2^8, 0^16) on octads with an even number of minus signs, (+-4^2, 0^22), and
    (-3, 1^23) with any place for the 3 and signs changed on a codeword of the Golay code.
    """
    words = codewords().astype(np.int8)
    blocks = octads()
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


def leech_codes() -> tuple[Entry, ...]:
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
        *basis_codes(),
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
    return tuple((cosine(x), m) for x, m in counts)
