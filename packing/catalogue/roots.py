"""Exceptional root systems, the codes around them, and the regular polytopes of R^4.

E8 is written in whole coordinates (twice the usual ones), E7 and E6 are the roots of E8 orthogonal
to one root and to two roots at 120 degrees, the 56 and the 27 are what one sees from a root of E8
and from one of the 56 (Conway & Sloane, Sphere Packings, Lattices and Groups, chapters 4 and 14).
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import numpy as np

from packing.catalogue import claims as by
from packing.catalogue.coordinates import even_signs, roots_D, signs
from packing.catalogue.entry import Entry, Int
from packing.catalogue.exact import Points, doubled, from_points, neighbours, rational_row
from packing.catalogue.families import whole_entry
from packing.catalogue.numbers import quadratic

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
def listing() -> tuple[Entry, ...]:
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
