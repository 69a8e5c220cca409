"""Families with one whole parameter: polygons, simplices, cubes, demicubes, roots A, B and D.

Rows come from counting, Gram matrices from whole coordinates; tests make the two meet. Small
members with a name of their own (the 3-simplex is the tetrahedron) are made where they belong and
found here under both names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import comb, factorial

import numpy as np

from packing.catalogue import claims as by
from packing.catalogue.coordinates import (
    POLYGONS,
    cross_polytope_name,
    even_signs,
    polygon,
    polygon_name,
    roots_A,
    roots_B,
    roots_D,
    signs,
    simplex_name,
    simplex_points,
    subset_points,
)
from packing.catalogue.entry import Claim, Entry, Int, Row
from packing.catalogue.exact import (
    Points,
    circulant,
    doubled,
    from_points,
    rational_row,
    row_of,
)
from packing.catalogue.numbers import cosine_of_turn, quadratic


@dataclass(frozen=True, eq=False)
class Family:
    """Arrangements with one whole parameter p.

    Parameters
    ----------
    pattern : str
        Name of a member, with ``{}`` for p.
    first : int
        From here on members belong to this family; smaller ones are ``others``.
    size : callable
        p -> (n, d); n grows with p.
    make : callable
        p -> Entry.
    rigid : bool
        True if no member splits into orthogonal blocks.
    others : dict
        Names of small members that have another home.
    """

    pattern: str
    first: int
    size: Callable[[int], tuple[int, int]]
    make: Callable[[int], Entry]
    rigid: bool
    others: dict[int, str]


# --- entries ------------------------------------------------------------------------------------


def whole_entry(
    name: str,
    size: tuple[int, int],
    row: Row,
    order: int,
    points: Callable[[], Int],
    construction: str,
    claims: tuple[Claim, ...] = (),
    aliases: tuple[str, ...] = (),
) -> Entry:
    """An entry with one row and whole coordinates."""
    rows = ((size[0], row),)
    whole = lambda: Points(points())  # noqa: E731
    return from_points(name, size, order, whole, construction, claims, aliases, rows)


def _simplex(d: int) -> Entry:
    lines = (by.proved("lines", by.WELCH),) if d > 1 else ()
    return whole_entry(
        simplex_name(d),
        (d + 1, d),
        rational_row((Fraction(-1, d), d)),
        factorial(d + 1),
        lambda: simplex_points(d),
        "The basis of R^(d+1) less its mean.",
        (by.UNIVERSAL, by.proved("spherical code", by.RANKIN), *lines),
        (f"{d}-simplex", *(("5-cell",) if d == 4 else ())),
    )


def _cross_polytope(d: int) -> Entry:
    return whole_entry(
        cross_polytope_name(d),
        (2 * d, d),
        rational_row((0, 2 * d - 2), (-1, 1)),
        2**d * factorial(d),
        lambda: doubled(np.eye(d, dtype=np.int64)),
        "The basis of R^d and its opposites.",
        (by.UNIVERSAL, by.proved("spherical code", by.RANKIN)),
        (f"{d}-cross-polytope", f"{d}-orthoplex"),
    )


def _polygon(k: int) -> Entry:
    several = [(cosine_of_turn(j, k), 1 if 2 * j == k else 2) for j in range(1, k // 2 + 1)]
    return Entry(
        name=polygon_name(k),
        n=k,
        d=2,
        rows=((k, tuple(several)),),
        symmetry_order=2 * k,
        claims=(by.UNIVERSAL, *((by.proved("kissing", "elementary"),) if k == 6 else ())),
        construction="The k-th roots of unity.",
        build=lambda: circulant(k),
        coordinates=lambda: polygon(k),
        aliases=(f"{k}-gon",) if k in POLYGONS else (),
    )


def _cube(d: int) -> Entry:
    return whole_entry(
        {3: "cube", 4: "tesseract"}.get(d, f"{d}-cube"),
        (2**d, d),
        rational_row(*((Fraction(d - 2 * k, d), comb(d, k)) for k in range(1, d + 1))),
        2**d * factorial(d),
        lambda: signs(d),
        "All rows of d signs.",
        (by.proved("lines", by.WELCH),) if d == 3 else (),
        (f"{d}-cube",),
    )


def _demicube(d: int) -> Entry:
    return whole_entry(
        f"{d}-demicube",
        (2 ** (d - 1), d),
        rational_row(*((Fraction(d - 2 * k, d), comb(d, k)) for k in range(2, d + 1, 2))),
        2 ** (d - 1) * factorial(d),
        lambda: even_signs(d),
        "The rows of d signs with an even number of minuses.",
        (by.UNIVERSAL,) if d == 5 else (),
        ("Clebsch code", "hemicube") if d == 5 else (),
    )


def _roots_A(d: int) -> Entry:
    half, most = Fraction(1, 2), 2 * (d - 1)
    return whole_entry(
        f"A{d} roots",
        (d * (d + 1), d),
        rational_row((half, most), (0, (d - 1) * (d - 2)), (-half, most), (-1, 1)),
        2 * factorial(d + 1),
        lambda: roots_A(d),
        "Differences of two basis vectors of R^(d+1).",
    )


def _roots_D(d: int) -> Entry:
    half, most = Fraction(1, 2), 4 * (d - 2)
    return whole_entry(
        f"D{d} roots",
        (2 * d * (d - 1), d),
        rational_row((half, most), (0, 2 * d * (d - 1) - 2 - 2 * most), (-half, most), (-1, 1)),
        2**d * factorial(d),
        lambda: roots_D(d),
        "The vectors +-e_i +- e_j.",
        (by.conjectured("kissing", by.KISSING_TABLE),) if d == 5 else (),
    )


def _roots_B(d: int) -> Entry:
    field = quadratic(2)
    half, slant = field(Fraction(1, 2)), field(0, Fraction(1, 2))
    one, zero, most = field(1), field(0), 4 * (d - 2)
    long = [(half, most), (-half, most), (-one, 1), (slant, 2), (-slant, 2)]
    short = [(-one, 1), (slant, 2 * (d - 1)), (-slant, 2 * (d - 1))]
    rows = [(2 * d * (d - 1), long), (2 * d, short)]
    n = 2 * d * d
    full = [(m, row_of([*row, (zero, n - 1 - sum(k for _, k in row))])) for m, row in rows]
    return from_points(
        f"B{d} roots",
        (n, d),
        2**d * factorial(d),
        lambda: roots_B(d),
        "The directions of +-e_i +- e_j and +-e_i.",
        rows=tuple(full),
    )


def _rectified_simplex(d: int) -> Entry:
    n = d + 1
    near, far = Fraction(n - 4, 2 * (n - 2)), Fraction(-2, n - 2)
    return whole_entry(
        "Petersen code" if d == 4 else f"rectified {d}-simplex",
        (comb(n, 2), d),
        rational_row((near, 2 * (n - 2)), (far, comb(n - 2, 2))),
        factorial(n),
        lambda: subset_points(n, 2),
        "Midpoints of the edges of the simplex.",
        (by.proved("spherical code", by.BACHOC_VALLENTIN),) if d == 4 else (),
        (f"rectified {d}-simplex", "rectified 5-cell") if d == 4 else (),
    )


def _birectified_simplex(d: int) -> Entry:
    n = d + 1
    cosine = [Fraction(i * n - 9, 3 * n - 9) for i in range(3)]
    return whole_entry(
        f"birectified {d}-simplex",
        (comb(n, 3), d),
        rational_row(*((cosine[i], comb(3, i) * comb(n - 3, 3 - i)) for i in range(3))),
        factorial(n) * (2 if n == 6 else 1),
        lambda: subset_points(n, 3),
        "Midpoints of the triangles of the simplex.",
    )


def _doubled_simplex(d: int) -> Entry:
    return whole_entry(
        "doubled 5-cell" if d == 4 else f"doubled {d}-simplex",
        (2 * d + 2, d),
        rational_row((Fraction(1, d), d), (Fraction(-1, d), d), (-1, 1)),
        2 * factorial(d + 1),
        lambda: doubled(simplex_points(d)),
        "A simplex and its opposite.",
        (by.proved("lines", by.WELCH),),
        (f"doubled {d}-simplex",),
    )


SIMPLICES = Family("{}-simplex", 1, lambda d: (d + 1, d), _simplex, True, {})
POLYGON = Family("{}-gon", 5, lambda k: (k, 2), _polygon, True, {3: "triangle", 4: "square"})
FAMILIES = (
    POLYGON,
    SIMPLICES,
    Family("{}-cross-polytope", 2, lambda d: (2 * d, d), _cross_polytope, False, {1: "digon"}),
    Family("{}-cube", 3, lambda d: (2**d, d), _cube, True, {1: "digon", 2: "square"}),
    Family(
        "{}-demicube",
        5,
        lambda d: (2 ** (d - 1), d),
        _demicube,
        True,
        {3: "tetrahedron", 4: "16-cell"},
    ),
    Family(
        "D{} roots",
        5,
        lambda d: (2 * d * (d - 1), d),
        _roots_D,
        True,
        {2: "square", 3: "cuboctahedron", 4: "24-cell"},
    ),
    Family(
        "rectified {}-simplex",
        4,
        lambda d: (comb(d + 1, 2), d),
        _rectified_simplex,
        True,
        {2: "triangle", 3: "octahedron"},
    ),
    Family(
        "birectified {}-simplex",
        5,
        lambda d: (comb(d + 1, 3), d),
        _birectified_simplex,
        True,
        {3: "tetrahedron", 4: "Petersen code"},
    ),
    Family(
        "doubled {}-simplex",
        4,
        lambda d: (2 * d + 2, d),
        _doubled_simplex,
        True,
        {1: "digon", 2: "hexagon", 3: "cube"},
    ),
    Family(
        "A{} roots",
        4,
        lambda d: (d * (d + 1), d),
        _roots_A,
        True,
        {1: "digon", 2: "hexagon", 3: "cuboctahedron"},
    ),
    Family("B{} roots", 3, lambda d: (2 * d * d, d), _roots_B, True, {1: "digon", 2: "octagon"}),
)
