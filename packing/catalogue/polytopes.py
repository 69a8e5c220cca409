"""Polytopes: families with one whole parameter, uniform polytopes by reflections, solids.

Families are polygons, simplices, cubes, demicubes and the roots A, B and D. Rows come from
counting, Gram matrices from whole coordinates; tests make the two meet. Small members with a name
of their own (the 3-simplex is the tetrahedron) are made where they belong and found here under both
names.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from math import comb, factorial

import numpy as np

from packing.algebra.number_fields import (
    RATIONALS,
    TRIBONACCI,
    Field,
    Number,
    cosine_of_turn,
    cosines_of_turns,
    quadratic,
)
from packing.catalogue import references as by
from packing.catalogue.entry_types import Claim, Entry, ExactGram, Row
from packing.catalogue.exact import (
    POLYGONS,
    Points,
    assemble,
    circulant,
    cross_polytope_name,
    doubled,
    even_signs,
    from_points,
    polygon,
    polygon_name,
    rational_row,
    roots_A,
    roots_B,
    roots_D,
    row_of,
    signs,
    simplex_name,
    simplex_points,
    subset_points,
)
from packing.errors import BadInput
from packing.types import Float, Int


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
    others : mapping of int to str
        Names of small members that have another home.
    rigid : bool
        True if no member splits into orthogonal blocks.
    """

    pattern: str
    first: int
    size: Callable[[int], tuple[int, int]]
    make: Callable[[int], Entry]
    others: Mapping[int, str] = field(default_factory=dict)
    rigid: bool = True


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


POLYGON = Family("{}-gon", 5, lambda k: (k, 2), _polygon, {3: "triangle", 4: "square"})
DEMICUBES = {3: "tetrahedron", 4: "16-cell"}
ROOTS_A = {1: "digon", 2: "hexagon", 3: "cuboctahedron"}
ROOTS_D = {2: "square", 3: "cuboctahedron", 4: "24-cell"}
RECTIFIED = {2: "triangle", 3: "octahedron"}
BIRECTIFIED = {3: "tetrahedron", 4: "Petersen code"}
DOUBLED = {1: "digon", 2: "hexagon", 3: "cube"}
FAMILIES = (
    POLYGON,
    Family("{}-simplex", 1, lambda d: (d + 1, d), _simplex),
    Family("{}-cross-polytope", 2, lambda d: (2 * d, d), _cross_polytope, {1: "digon"}, False),
    Family("{}-cube", 3, lambda d: (2**d, d), _cube, {1: "digon", 2: "square"}),
    Family("{}-demicube", 5, lambda d: (2 ** (d - 1), d), _demicube, DEMICUBES),
    Family("D{} roots", 5, lambda d: (2 * d * (d - 1), d), _roots_D, ROOTS_D),
    Family("rectified {}-simplex", 4, lambda d: (comb(d + 1, 2), d), _rectified_simplex, RECTIFIED),
    Family(
        "birectified {}-simplex",
        5,
        lambda d: (comb(d + 1, 3), d),
        _birectified_simplex,
        BIRECTIFIED,
    ),
    Family("doubled {}-simplex", 4, lambda d: (2 * d + 2, d), _doubled_simplex, DOUBLED),
    Family("A{} roots", 4, lambda d: (d * (d + 1), d), _roots_A, ROOTS_A),
    Family("B{} roots", 3, lambda d: (2 * d * d, d), _roots_B, {1: "digon", 2: "octagon"}),
)


# Orbits of finite reflection groups: every uniform polytope of the kaleidoscope.
#
# A point is kept by its inner products with twice the unit normals of the mirrors (its labels).
# Reflection i subtracts label i times row i of the matrix A_ij = 2 n_i.n_j = -2 cos(pi/m_ij), so
# labels stay in Z, Z[sqrt 2] or Z[golden ratio], and inner products of points are given by the
# inverse of A. The vertex with label 1 on some mirrors and 0 on the others generates the uniform
# polytope with those rings on its diagram (Coxeter, Regular Polytopes, chapter 11).


Bond = tuple[int, int, int]


def bonds(letter: str, d: int) -> list[Bond]:
    """Edges (i, j, m) of the Coxeter diagram: mirrors i and j meet at pi/m."""
    chain = [(i, i + 1, 3) for i in range(d - 1)]
    if letter == "A":
        return chain
    if letter in "BH":
        return [*chain[:-1], (d - 2, d - 1, 4 if letter == "B" else 5)]
    if letter == "F":
        return [(0, 1, 3), (1, 2, 4), (2, 3, 3)]
    return [*chain[:-1], ((d - 3) if letter == "D" else 2, d - 1, 3)]  # D, E: a branch


def order(letter: str, d: int) -> int:
    """Number of elements of the reflection group (Coxeter, Regular Polytopes, table IV)."""
    known = {"E6": 51840, "E7": 2903040, "E8": 696729600, "F4": 1152, "H3": 120, "H4": 14400}
    general = {"A": math.factorial(d + 1), "B": 2**d * math.factorial(d)}
    general["D"] = general["B"] // 2
    return known.get(f"{letter}{d}") or general[letter]


def _mirrors(letter: str, d: int) -> tuple[Field, list[list[Number]]]:
    """The matrix A of twice the inner products of the mirrors' unit normals."""
    field = {"B": quadratic(2), "F": quadratic(2), "H": quadratic(5)}.get(letter, RATIONALS)
    half = Fraction(1, 2)
    A = [[field(2 if i == j else 0) for j in range(d)] for i in range(d)]
    for i, j, m in bonds(letter, d):
        twice = {3: field(1), 4: field(0, 1), 5: field(half, half)} if m > 3 else {3: field(1)}
        A[i][j] = A[j][i] = -twice[m]
    return field, A


def _inverse(A: list[list[Number]]) -> list[list[Number]]:
    """Inverse of a positive definite matrix over a field, by elimination without pivots."""
    size, field = len(A), A[0][0].field
    rows = [[*row, *(field(i == j) for j in range(size))] for i, row in enumerate(A)]
    for i in range(size):
        scale = rows[i][i].inverse()
        rows[i] = [x * scale for x in rows[i]]
        for r in range(size):
            if r != i:
                factor = rows[r][i]
                rows[r] = [x - factor * y for x, y in zip(rows[r], rows[i], strict=True)]
    return [row[size:] for row in rows]


def _whole(table: list[list[Number]]) -> Int:
    """Coefficients of a table of numbers times their common denominator."""
    common = math.lcm(*(c.denominator for row in table for x in row for c in x.coefficients))
    whole = [[[int(c * common) for c in x.coefficients] for x in row] for row in table]
    return np.array(whole, dtype=np.int64)


@lru_cache(maxsize=32)
def orbit(letter: str, d: int, rings: tuple[int, ...]) -> Points:
    """Vertices of the uniform polytope with these rings on the diagram, counted from 1.

    Raises
    ------
    ValueError
        If the orbit has not the size that the group's order promises.
    """
    field, A = _mirrors(letter, d)
    metric = _whole(_inverse(A))
    twice = [[x + x for x in row] for row in A]
    rows = np.array([[[int(c) for c in x.coefficients] for x in row] for row in twice])
    start = np.zeros((d, field.degree), dtype=np.int64)
    start[[r - 1 for r in rings], 0] = 2  # labels are doubled: halves occur with the golden ratio
    found = {start.tobytes(): start}
    front = [start]
    while front:
        fresh = []
        for labels in front:
            for i in np.flatnonzero(labels.any(axis=1)).tolist():
                # labels[i] times row i; both doubled, so the product is four times too large
                step = np.einsum("k,jl,klq->jq", labels[i], rows[i], _table(field))
                image = labels - step // 2
                key = image.tobytes()
                if key not in found:
                    found[key] = image
                    fresh.append(image)
        front = fresh
    return Points(np.array(list(found.values())), field, metric)


def _table(field: Field) -> Int:
    """Products of powers: a^k a^l in the basis, (degree, degree, degree)."""
    steps = np.arange(field.degree)
    return np.asarray(field.powers[steps[:, None] + steps], dtype=np.int64)


def orbit_size(letter: str, d: int, rings: tuple[int, ...]) -> int:
    """Order of the group over that of the mirrors through the vertex."""
    left = [i for i in range(d) if i + 1 not in rings]
    joined = {(i, j): m for i, j, m in bonds(letter, d) if i in left and j in left}
    stabiliser = 1
    while left:
        part = [left.pop()]
        for i in part:
            near = [j for j in left if (i, j) in joined or (j, i) in joined]
            left = [j for j in left if j not in near]
            part += near
        stabiliser *= _component_order(part, joined)
    return order(letter, d) // stabiliser


def _component_order(part: list[int], joined: dict[tuple[int, int], int]) -> int:
    """Order of the group of a connected part of a diagram."""
    inside = {pair: m for pair, m in joined.items() if pair[0] in part}
    size, top = len(part), max(inside.values(), default=3)
    degree = [sum(i in pair for pair in inside) for i in part]
    if top == 5:
        return {2: 10, 3: 120, 4: 14400}[size]
    if top == 4:
        ends = [i for i, k in zip(part, degree, strict=True) if k == 1]
        four = next(pair for pair, m in inside.items() if m == 4)
        return order("B", size) if size < 4 or set(four) & set(ends) else order("F", 4)
    if max(degree) < 3:
        return order("A", size)
    branch = part[degree.index(3)]
    short = sum(
        1
        for i, k in zip(part, degree, strict=True)
        if k == 1 and ((i, branch) in inside or (branch, i) in inside)
    )
    return order("D", size) if short >= 2 else order("E", size)


# Solids in R^3 with their prisms and antiprisms of free height, and uniform polytopes of R^4.


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
