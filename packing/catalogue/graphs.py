"""Strongly regular graphs: parameters, constructions, and the spherical codes of their eigenspaces.

A graph is strongly regular, srg(v, k, l, m), when it has v vertices of degree k, adjacent ones with
l common neighbours and others with m. Facts from Brouwer and Van Maldeghem, Strongly Regular Graphs
(2022), chapters 1 and 8; the eigenspaces as spherical codes from Delsarte, Goethals and Seidel,
Spherical codes and designs (1977).
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from packing.algebra.finite_fields import Field, field, prime_power
from packing.algebra.number_fields import RATIONALS, Number, surd
from packing.catalogue import lattices
from packing.catalogue.entry_types import Claim, Entry, ExactGram, Row, affordable
from packing.catalogue.exact import assemble
from packing.catalogue.references import BACHOC_VALLENTIN, UNIVERSAL, proved
from packing.errors import BadInput
from packing.types import Int

Eigenspace = Literal["r", "s"]

LARGEST = 10**9
"""Vertices or lines beyond which parameters are refused: numbers are split by trial."""

LARGEST_FACTORIAL = 500
"""Orders of larger symmetric groups are not written out."""

ABSENT = {
    (49, 16, 3, 6): "Bussemaker, Haemers, Mathon and Wilbrink 1989",
    (57, 14, 1, 4): "Wilbrink and Brouwer 1983",
    (75, 32, 10, 16): "Azarija and Marc 2018",
    (76, 21, 2, 7): "Haemers 1993",
    (76, 30, 8, 14): "Bondarenko, Prymak and Radchenko 2017",
    (76, 35, 18, 14): "Azarija and Marc 2018, Yu 2015",
    (95, 40, 12, 20): "Azarija and Marc 2020",
    (96, 38, 10, 18): "Degraer 2007",
    (96, 45, 24, 18): "Azarija and Marc 2020",
    (289, 54, 1, 12): "Bondarenko and Radchenko 2013",
    (324, 57, 0, 12): "Gavrilyuk and Makhnev 2005, Kaski and Ostergard 2008",
}
"""Parameters that pass every test here although no such graph exists, and who proved that."""


@dataclass(frozen=True)
class Parameters:
    """srg(v, k, l, m), checked.

    Parameters
    ----------
    v, k, l, m : int
        Vertices, degree, common neighbours of adjacent and of other vertices; 0 < m < k, so that
        graph and complement are connected and no eigenspace repeats a vector.

    Raises
    ------
    BadInput
        If a necessary condition fails (edge count, multiplicities that are whole numbers or the
        conference case with v a sum of two squares, Krein, absolute bound), or the graph is known
        not to exist. Passing does not mean that a graph exists.
    """

    v: int
    k: int
    l: int
    m: int

    def __post_init__(self) -> None:
        whole = all(isinstance(x, int) and not isinstance(x, bool) for x in self.key)
        if not whole or min(self.key) < 0:
            raise BadInput(f"{self}: v, k, l, m are whole numbers, not negative")
        v, k, l, m = self.key
        if v > LARGEST:
            raise BadInput(f"{self}: give v <= {LARGEST}")
        if not (0 < k < v - 1 and l < k and m <= k):
            raise BadInput(f"{self}: give 0 < k < v - 1, l < k and m <= k")
        if k * (k - l - 1) != (v - k - 1) * m:
            raise BadInput(
                f"{self}: no such graph, paths of length two must satisfy "
                f"k (k - l - 1) = (v - k - 1) m, here {k * (k - l - 1)} and {(v - k - 1) * m}"
            )
        if m in (0, k):
            raise BadInput(
                f"{self}: a union of complete graphs or its complement, whose eigenspaces repeat "
                "vectors or split; ask for simplices instead"
            )
        self._check_multiplicities()
        self._check_inequalities()
        for key in (self.key, self._other):
            if key in ABSENT:
                raise BadInput(f"{self}: no such graph or complement exists ({ABSENT[key]})")

    def __str__(self) -> str:
        return f"srg({self.v},{self.k},{self.l},{self.m})"

    @property
    def key(self) -> tuple[int, int, int, int]:
        """(v, k, l, m)."""
        return self.v, self.k, self.l, self.m

    @property
    def _other(self) -> tuple[int, int, int, int]:
        v, k, l, m = self.key
        return v, v - k - 1, v - 2 - 2 * k + m, v - 2 * k + l

    @property
    def complement(self) -> Parameters:
        """Parameters of the complement, whose s is -1 - r."""
        return Parameters(*self._other)

    @property
    def conference(self) -> bool:
        """True when both multiplicities are (v - 1) / 2 whatever the eigenvalues."""
        return 2 * self.k + (self.v - 1) * (self.l - self.m) == 0

    @property
    def _discriminant(self) -> int:
        return (self.l - self.m) ** 2 + 4 * (self.k - self.m)

    @property
    def r(self) -> Number:
        """The larger restricted eigenvalue, exact."""
        return surd(Fraction(self.l - self.m, 2), Fraction(1, 2), self._discriminant)

    @property
    def s(self) -> Number:
        """The smaller restricted eigenvalue, exact; negative."""
        return surd(Fraction(self.l - self.m, 2), Fraction(-1, 2), self._discriminant)

    @property
    def f(self) -> int:
        """Multiplicity of r."""
        return self.v - 1 - self.g

    @property
    def g(self) -> int:
        """Multiplicity of s."""
        if self.conference:
            return (self.v - 1) // 2
        excess = 2 * self.k + (self.v - 1) * (self.l - self.m)
        return (self.v - 1 + excess // math.isqrt(self._discriminant)) // 2

    def dimension(self, eigenspace: Eigenspace = "s") -> int:
        """Dimension of the eigenspace: g for s, f for r."""
        return self.g if eigenspace == "s" else self.f

    def cosines(self, eigenspace: Eigenspace = "s") -> tuple[Number, Number]:
        """Cosines of adjacent and of other vertices projected to the eigenspace, exact.

        s / k and -(1 + s) / (v - k - 1), the same with r: the projection is a polynomial in the
        adjacency matrix, and its rows sum to zero.
        """
        value = self.s if eigenspace == "s" else self.r
        return value / self.k, -(value + 1) / (self.v - self.k - 1)

    def row(self, eigenspace: Eigenspace = "s") -> Row:
        """Row of cosines of every vector of the eigenspace, decreasing, with multiplicities."""
        near, far = self.cosines(eigenspace)
        row = ((near.cosine, self.k), (far.cosine, self.v - self.k - 1))
        return tuple(sorted(row, key=lambda item: -item[0].value))

    def _check_multiplicities(self) -> None:
        v, D = self.v, self._discriminant
        if self.conference:
            if not sum_of_two_squares(v):
                raise BadInput(
                    f"{self}: no such graph, in the conference case v must be a sum of two squares "
                    "(Belevitch; Van Lint and Seidel 1966)"
                )
            return
        root = math.isqrt(D)
        excess = 2 * self.k + (v - 1) * (self.l - self.m)
        if root * root != D or excess % root or (v - 1 + excess // root) % 2:
            raise BadInput(
                f"{self}: no such graph, the multiplicities of its eigenvalues are no whole numbers"
            )
        if min(self.f, self.g) < 1:
            raise BadInput(f"{self}: no such graph, a multiplicity is not positive")

    def _check_inequalities(self) -> None:
        v = self.v
        for name, space in (("f", "r"), ("g", "s")):
            d = self.f if space == "r" else self.g
            if 2 * v > d * (d + 3):
                raise BadInput(
                    f"{self}: no such graph, the absolute bound asks for v <= {name} ({name} + 3) "
                    f"/ 2 = {d * (d + 3) // 2}"
                )
        if self.conference:  # both Krein conditions follow from feasibility
            return
        k, r, s = self.k, self.r.coefficients[0], self.s.coefficients[0]
        for x, y in ((r, s), (s, r)):
            if (x + 1) * (k + x + 2 * x * y) > (k + x) * (y + 1) ** 2:
                raise BadInput(
                    f"{self}: no such graph, a Krein condition fails (a triple intersection "
                    "number would be negative)"
                )


def sum_of_two_squares(v: int) -> bool:
    """True if v = x^2 + y^2 in whole numbers."""
    return any(math.isqrt(v - i * i) ** 2 == v - i * i for i in range(math.isqrt(v) + 1))


def factorial(n: int) -> int | None:
    """n!, or None where it is too long to be of use."""
    return math.factorial(n) if n <= LARGEST_FACTORIAL else None


# Adjacency matrices of strongly regular graphs, each built from its definition.
#
# All return symmetric (v, v) arrays of zeros and ones. Nothing here is trusted: `verified` checks
# the defining identity in exact arithmetic before a graph is used.


def is_regular(A: Int, graph: Parameters) -> bool:
    """True when A^2 = k I + l A + m (J - I - A), with A symmetric, zeros and ones.

    The product is taken in floating point, which is exact here: entries are below 2^53.
    """
    v, k, l, m = graph.key
    if A.shape != (v, v) or not np.array_equal(A, A.T) or not np.isin(A, (0, 1)).all():
        return False
    X = A.astype(np.float64)
    unit = np.eye(v)
    return bool(np.array_equal(X @ X, k * unit + l * X + m * (1.0 - unit - X)) and not X.trace())


def verified(A: Int, graph: Parameters) -> Int:
    """A, read-only, once it is known to be strongly regular with these parameters."""
    if not is_regular(A, graph):
        raise AssertionError(f"a construction of {graph} does not have its parameters")
    A.setflags(write=False)
    return A


def complement(A: Int) -> Int:
    """Adjacent where A is not."""
    return np.asarray(1 - A - np.eye(A.shape[0], dtype=np.int64), dtype=np.int64)


def first_subconstituent(A: Int) -> Int:
    """The graph on the neighbours of vertex 0."""
    near = np.flatnonzero(A[0])
    return A[np.ix_(near, near)]


def second_subconstituent(A: Int) -> Int:
    """The graph on the vertices, other than vertex 0, that are not its neighbours."""
    far = np.flatnonzero(A[0] == 0)[1:]
    return A[np.ix_(far, far)]


# --- families -----------------------------------------------------------------------------------


def triangular(size: int) -> Int:
    """T(size): pairs out of `size` points, adjacent when they share a point; size >= 5."""
    pairs = np.array(list(itertools.combinations(range(size), 2)))
    return _meets(_indicator(pairs, size), 1)


def lattice(size: int) -> Int:
    """L(size): cells of a square board, adjacent when in one row or column; size >= 3."""
    row, column = np.divmod(np.arange(size * size), size)
    return _int((row[:, None] == row) ^ (column[:, None] == column))


def paley(q: int) -> Int:
    """Elements of GF(q), adjacent when they differ by a square; q = 1 modulo 4."""
    if q % 4 != 1:
        raise BadInput(f"q = {q}: a Paley graph needs a prime power that is 1 modulo 4")
    return _int(_differences(field(q)))


def quadric(q: int) -> Int:
    """Collinearity of the generalized quadrangle GQ(q, q^2) on the elliptic quadric Q-(5, q).

    Points of the quadric x0 x1 + x2 x3 + N(x4, x5) = 0 in projective 5-space, N without zeros;
    adjacent when orthogonal. The points are also the isotropic lines of Cohn and Kumar's family.
    """
    F = field(q)
    a, b = _anisotropic(F)
    X = F.points(6)

    def form(x: Int) -> Int:
        x0, x1, x2, x3, x4, x5 = np.moveaxis(x, -1, 0)
        t = F.times
        norm = F.sum(t[x4, x4], t[a, t[x4, x5]], t[b, t[x5, x5]])
        return F.sum(t[x0, x1], t[x2, x3], norm)

    X = X[form(X) == 0]
    # Q(x + y) - Q(x) - Q(y) is the bilinear form, and Q vanishes on both points.
    A = np.array([form(F.plus[x, X]) == 0 for x in X], dtype=np.int64)
    np.fill_diagonal(A, 0)
    return A


def clebsch() -> Int:
    """The folded 5-cube: vectors of GF(2)^4, adjacent when they differ in one place or in all."""
    X = np.array(list(itertools.product((0, 1), repeat=4)))
    return _int(np.isin((X[:, None] != X).sum(axis=2), (1, 4)))


def hoffman_singleton() -> Int:
    """Robertson's five pentagons and five pentagrams.

    Corner j of pentagon h is joined to corner h i + j of pentagram i (modulo 5).
    """
    A = np.zeros((50, 50), dtype=np.int64)
    for h, j in itertools.product(range(5), repeat=2):
        A[5 * h + j, 5 * h + (j + 1) % 5] = 1
        A[25 + 5 * h + j, 25 + 5 * h + (j + 2) % 5] = 1
        for i in range(5):
            A[5 * h + j, 25 + 5 * i + (h * i + j) % 5] = 1
    return A | A.T


# --- from the Golay code ------------------------------------------------------------------------


def m22() -> Int:
    """The 77 hexads of S(3,6,22), adjacent when disjoint."""
    return _meets(lattices.hexads(), 0)


def gewirtz() -> Int:
    """The 56 hexads of S(3,6,22) that miss a point, adjacent when disjoint."""
    blocks = lattices.hexads()
    return _meets(blocks[blocks[:, 0] == 0], 0)


def higman_sims() -> Int:
    """A vertex joined to 22 points; points to the hexads through them; hexads when disjoint."""
    blocks = lattices.hexads()
    A = np.zeros((100, 100), dtype=np.int64)
    A[0, 1:23] = 1
    A[1:23, 23:] = blocks.T
    A |= A.T
    A[23:, 23:] = _meets(blocks, 0)
    return A


def mclaughlin() -> Int:
    """22 points, 77 hexads and the 176 heptads of S(4,7,23) off one point (S(3,6,22) in it).

    A point is joined to the hexads without it and the heptads through it, two hexads when disjoint,
    two heptads when they meet once, a hexad and a heptad when they meet in three points. (Brouwer
    and Van Maldeghem, section 10.61.)
    """
    blocks = lattices.heptads()
    outer = blocks[blocks[:, 22] == 0][:, :22]
    inner = lattices.hexads()
    A = np.zeros((275, 275), dtype=np.int64)
    A[:22, 22:99] = 1 - inner.T
    A[:22, 99:] = outer.T
    A[22:99, 99:] = inner @ outer.T == 3
    A |= A.T
    A[22:99, 22:99] = _meets(inner, 0)
    A[99:, 99:] = _meets(outer, 1)
    return A


def mclaughlin_far() -> Int:
    """The 162 vertices of the McLaughlin graph that are not joined to a given one."""
    return second_subconstituent(mclaughlin())


def goethals_seidel() -> Int:
    """The 105 vertices of that graph that are not joined to a given one."""
    return second_subconstituent(mclaughlin_far())


def brouwer_haemers() -> Int:
    """The 81 points of GQ(3,9) that are not collinear with a given one."""
    return second_subconstituent(quadric(3))


def heptads_253() -> Int:
    """The 253 heptads of S(4,7,23), adjacent when they meet in one point."""
    return _meets(lattices.heptads(), 1)


def heptads_176() -> Int:
    """The 176 heptads of S(4,7,23) off one point, adjacent when they meet in one point."""
    blocks = lattices.heptads()
    return _meets(blocks[blocks[:, 22] == 0], 1)


# --- tools --------------------------------------------------------------------------------------


def _int(table: NDArray[np.bool_]) -> Int:
    return np.asarray(table, dtype=np.int64)


def _indicator(sets: Int, size: int) -> Int:
    rows = np.zeros((len(sets), size), dtype=np.int64)
    np.put_along_axis(rows, sets, 1, axis=1)
    return rows


def _meets(blocks: Int, count: int) -> Int:
    """Different blocks that meet in `count` points."""
    A = _int(blocks @ blocks.T == count)
    np.fill_diagonal(A, 0)
    return A


def _differences(F: Field) -> NDArray[np.bool_]:
    """Which elements differ by a non-zero square, (q, q)."""
    elements = np.arange(F.q)
    return np.asarray(F.square[F.plus[elements[:, None], F.negative[elements]]])


def _anisotropic(F: Field) -> tuple[int, int]:
    """a, b such that x^2 + a x y + b y^2 vanishes only at 0."""
    x = np.arange(F.q)
    for a, b in itertools.product(range(F.q), repeat=2):
        if np.all(F.sum(F.times[x, x], F.times[a, x], np.full(F.q, b)) != 0):
            return a, b
    raise AssertionError("every finite field has a quadratic extension")


# Which strongly regular graphs can be built, from what, and how symmetric they are.
#
# Orders of automorphism groups and constructions from Brouwer and Van Maldeghem, Strongly Regular
# Graphs (2022), chapter 10, unless a source is given.


TRIANGLE_FREE = proved("spherical code", "Cohn, de Laat & Leijenhorst, arXiv 2403.16874 (2024)")


@dataclass(frozen=True, eq=False)
class Graph:
    """A strongly regular graph that can be built.

    Parameters
    ----------
    name : str
        Without the word graph.
    parameters : Parameters
    make : callable
        Makes the adjacency matrix (v, v).
    order : int or None
        Automorphisms, from the literature.
    construction : str
        How it is built.
    code, far_code : str
        Names of the arrangements in the eigenspaces of s and r, where they have one of their own;
        empty for "<name> code" and "<name> complement code".
    claims, far_claims : tuple of Claim
        What they are optimal for.
    listed, far_listed : bool
        False where the arrangement is in the catalogue from another construction.
    aliases : tuple of str
        Other names of the arrangement in the eigenspace of s.
    """

    name: str
    parameters: Parameters
    make: Callable[[], Int]
    order: int | None
    construction: str
    code: str = ""
    far_code: str = ""
    claims: tuple[Claim, ...] = ()
    far_claims: tuple[Claim, ...] = ()
    listed: bool = True
    far_listed: bool = True
    aliases: tuple[str, ...] = ()


# --- what can be built --------------------------------------------------------------------------


HOW = {
    "Clebsch": "folded 5-cube",
    "Hoffman-Singleton": "Robertson's five pentagons and five pentagrams",
    "Gewirtz": "hexads of S(3,6,22) that miss a point, adjacent when disjoint",
    "M22": "hexads of S(3,6,22), adjacent when disjoint",
    "Higman-Sims": "a vertex, the points and the hexads of S(3,6,22)",
    "U4(3)": "second subconstituent of the McLaughlin graph",
    "Goethals-Seidel": "second subconstituent of the U4(3) graph",
    "Brouwer-Haemers": "points of GQ(3,9) not collinear with a given one",
    "M22 on 176": "heptads of S(4,7,23) that miss a point, adjacent when they meet once",
    "M23": "heptads of S(4,7,23), adjacent when they meet once",
    "McLaughlin": "points, hexads and heptads of S(4,7,23) and S(3,6,22) in it",
}
"""How the graphs that belong to no family are built."""


def _single(
    name: str,
    key: tuple[int, int, int, int],
    make: Callable[[], Int],
    order: int,
    *claims: Claim,
    **more: Any,
) -> Graph:
    return Graph(name, Parameters(*key), make, order, HOW[name], claims=claims, **more)


@lru_cache(maxsize=1)
def single() -> tuple[Graph, ...]:
    """Graphs that belong to no family here."""
    return (
        _single(
            "Clebsch",
            (16, 5, 0, 2),
            clebsch,
            1920,
            UNIVERSAL,
            code="5-demicube",
            listed=False,
            aliases=("Clebsch code",),
        ),
        _single("Hoffman-Singleton", (50, 7, 0, 1), hoffman_singleton, 252000, TRIANGLE_FREE),
        _single("Gewirtz", (56, 10, 0, 2), gewirtz, 80640, TRIANGLE_FREE),
        _single("M22", (77, 16, 0, 4), m22, 887040, TRIANGLE_FREE),
        _single("Higman-Sims", (100, 22, 0, 6), higman_sims, 88704000, UNIVERSAL),
        _single("U4(3)", (162, 56, 10, 24), mclaughlin_far, 13063680, UNIVERSAL),
        _single("Goethals-Seidel", (105, 32, 4, 12), goethals_seidel, 241920),
        _single("Brouwer-Haemers", (81, 20, 1, 6), brouwer_haemers, 233280),
        _single("M22 on 176", (176, 70, 18, 34), heptads_176, 443520),
        _single("M23", (253, 112, 36, 60), heptads_253, 10200960),
        _single("McLaughlin", (275, 112, 30, 56), mclaughlin, 1796256000, UNIVERSAL),
    )


def triangular_graph(size: int) -> Graph:
    return Graph(
        f"T({size})",
        Parameters(math.comb(size, 2), 2 * (size - 2), size - 2, 4),
        lambda: triangular(size),
        factorial(size),
        f"pairs out of {size} points, adjacent when they share one",
        code="Petersen complement code" if size == 5 else "",
        far_code="Petersen code" if size == 5 else f"rectified {size - 1}-simplex",
        far_claims=(proved("spherical code", BACHOC_VALLENTIN),) if size == 5 else (),
        far_listed=False,  # midpoints of the edges of a simplex
    )


def lattice_graph(size: int) -> Graph:
    return Graph(
        f"L({size})",
        Parameters(size * size, 2 * (size - 1), size - 2, 2),
        lambda: lattice(size),
        2 * order**2 if (order := factorial(size)) and size <= 300 else None,
        f"cells of a board of {size} rows and columns, adjacent when in line",
        far_listed=size > 3,  # L(3) is its own complement
    )


def paley_graph(q: int) -> Graph:
    split = prime_power(q)
    assert split is not None
    return Graph(
        f"Paley({q})",
        Parameters(q, (q - 1) // 2, (q - 5) // 4, (q - 1) // 4),
        lambda: paley(q),
        split[1] * q * (q - 1) // 2,  # Carlitz 1960
        f"elements of GF({q}), adjacent when they differ by a square",
        code="pentagon" if q == 5 else "",
        far_code="pentagon" if q == 5 else f"Paley({q}) code",
        claims=(UNIVERSAL,) if q == 5 else (),
        listed=q != 5,
        far_listed=False,  # the graph is its own complement
    )


def quadrangle(q: int) -> Graph:
    split = prime_power(q)
    assert split is not None
    # collineations of the dual, the Hermitian surface: PGammaU(4, q)
    order = 2 * split[1] * q**6 * (q**2 - 1) * (q**3 + 1) * (q**4 - 1)
    small = q == 2
    return Graph(
        f"GQ({q},{q * q})",
        Parameters((q + 1) * (q**3 + 1), q * (q * q + 1), q - 1, q * q + 1),
        lambda: quadric(q),
        order,
        f"points of the elliptic quadric in PG(5,{q}), adjacent when collinear",
        code="Schlaefli code" if small else "",
        far_code="Schlaefli complement code" if small else "",
        claims=(UNIVERSAL,),
        listed=not small,
        far_listed=q <= 3,  # beyond, hundreds of dimensions
        aliases=(f"isotropic subspaces code, q = {q}",),
    )


FAMILIES: dict[str, tuple[Callable[[int], Graph], tuple[int, ...]]] = {
    "T": (triangular_graph, tuple(range(5, 13))),
    "L": (lattice_graph, tuple(range(3, 9))),
    "Paley": (paley_graph, (5, 13, 17, 25, 29, 37, 41, 49, 53, 61)),
    "GQ": (quadrangle, (2, 3, 4, 5)),
}
"""Families with the members that the catalogue lists; others are built when they are asked for."""

LARGEST_GRAPH = 2**14
"""Vertices beyond which no adjacency matrix is built."""

OTHER_NAMES = {
    "C5": "Paley(5)",
    "pentagon": "Paley(5)",
    "Petersen": "T(5) complement",
    "Schlaefli": "GQ(2,4) complement",
    "Schlaefli complement": "GQ(2,4)",
}


def member(family: str, index: int) -> Graph | None:
    """T(index), L(index), Paley(index) or GQ(index, index^2), if there is one."""
    exists = {
        "T": index >= 5,
        "L": index >= 3,
        "Paley": index % 4 == 1 and prime_power(index) is not None,
        "GQ": prime_power(index) is not None,
    }[family]
    return FAMILIES[family][0](index) if exists else None


def known(graph: Parameters) -> tuple[Graph, bool] | None:
    """A construction of a graph with these parameters, and whether it is of the complement."""
    v = graph.v
    if v > LARGEST_GRAPH:
        return None
    guesses = {"T": (1 + math.isqrt(1 + 8 * v)) // 2, "L": math.isqrt(v), "Paley": v}
    guesses["GQ"] = math.isqrt(math.isqrt(v))  # v lies between q^4 and (q + 1)^4
    for far, wanted in ((False, graph), (True, graph.complement)):
        members = (member(family, index) for family, index in guesses.items())
        for found in (*single(), *members):
            if found is not None and found.parameters == wanted:
                return found, far
    return None


def named(name: str) -> Parameters:
    """Parameters of the graph with this name.

    Raises
    ------
    BadInput
        If no graph is called that here.
    """
    short = name.removesuffix(" graph").removesuffix(" code").strip()
    short = OTHER_NAMES.get(short, short)
    other = short.removesuffix(" complement")
    found = {graph.name: graph for graph in single()}.get(other)
    parts = re.fullmatch(r"(T|L|Paley|GQ)\((\d{1,5})(?:,(\d{1,5}))?\)", other)
    if parts and (parts[3] is None) != (parts[1] == "GQ"):
        index = int(parts[2])
        if parts[3] is None or int(parts[3]) == index**2:
            found = member(parts[1], index)
    if found is None:
        names = ", ".join(graph.name for graph in single())
        raise BadInput(
            f"no strongly regular graph is called {name!r} here: give C5, Petersen, Schlaefli, "
            f"{names}, T(n), L(n), Paley(q), GQ(q,q^2), or Parameters(v, k, l, m)"
        )
    return found.parameters if short == other else found.parameters.complement


# Spherical codes of strongly regular graphs.
#
# The vertices of srg(v, k, l, m), projected to the eigenspace of its smallest eigenvalue s, are v
# unit vectors with two cosines that form a tight frame (Delsarte, Goethals and Seidel 1977). The
# larger restricted eigenvalue r gives a second arrangement, which is that of the complement.


BOOK = "Brouwer and Van Maldeghem 2022"


def adjacency(graph: str | Parameters) -> Int:
    """Adjacency matrix of a strongly regular graph, built and checked in exact arithmetic.

    Parameters
    ----------
    graph : str or Parameters
        A name ("Higman-Sims", "T(7)", "Paley(13)", "GQ(3,9)", "Petersen", "Schlaefli", with or
        without the word graph) or parameters, for which one graph is built, not every one.

    Returns
    -------
    (v, v) array of zeros and ones, read-only.

    Raises
    ------
    BadInput
        If the name is unknown, no construction is known here, or memory would not suffice.
    """
    if isinstance(graph, str):
        graph = named(graph)
    found = known(graph)
    if found is None:
        raise BadInput(f"{graph}: no construction is known here, ask for its rows of cosines")
    affordable(f"the adjacency matrix of {graph}", graph.v, graph.v)
    one, far = found
    A = one.make()
    return verified(complement(A) if far else A, graph)


def srg(v: int, k: int, l: int, m: int) -> Entry:
    """The arrangement of srg(v, k, l, m) in the eigenspace of its smallest eigenvalue.

    Parameters
    ----------
    v, k, l, m : int
        Vertices, degree, common neighbours of adjacent and of other vertices. Give those of the
        complement for the eigenspace of the other eigenvalue.

    Returns
    -------
    Entry
        v vectors in R^g. Built where a construction is known here; otherwise `built` is False, and
        dimension and row of cosines hold for every such graph, if there is one. Graphs with equal
        parameters can differ: the construction says which one is meant.

    Raises
    ------
    BadInput
        If no graph can have these parameters, or it is known that none has.
    """
    graph = Parameters(v, k, l, m)
    found = known(graph)
    if found is not None:
        return _entry(*found)
    return Entry(
        name=f"{graph} code",
        d=graph.g,
        n=v,
        rows=((v, graph.row()),),
        symmetry_order=None,
        claims=(),
        construction=f"parameters only: no construction of {graph} is known here, nor whether one "
        "exists",
    )


def by_name(name: str) -> Entry | None:
    """The arrangement called "srg(v,k,l,m)", or after a graph: "T(20) code"; None if none is.

    Raises
    ------
    BadInput
        If it is a name of that form, of a graph that cannot exist.
    """
    four = r",\s*".join([r"(\d{1,12})"] * 4)
    parts = re.fullmatch(rf"srg\({four}\)(?: code)?", name.strip())
    if parts:
        return srg(*(int(x) for x in parts.groups()))
    try:
        return srg(*named(name).key) if name.endswith(" code") else None
    except BadInput:
        return None


def listing() -> tuple[Entry, ...]:
    """The catalogue's strongly regular graphs, both eigenspaces of each; nothing is built yet."""
    return tuple(_entries())


def _entries() -> Iterator[Entry]:
    families = (make(index) for make, listed in FAMILIES.values() for index in listed)
    for graph in (*single(), *families):
        if graph.listed:
            yield _entry(graph, False)
        if graph.far_listed:
            yield _entry(graph, True)


def _entry(graph: Graph, far: bool) -> Entry:
    parameters = graph.parameters.complement if far else graph.parameters
    if far:
        name = graph.far_code or f"{graph.name} complement code"
        construction = f"complement of the {graph.name} graph ({graph.construction})"
    else:
        name = graph.code or f"{graph.name} code"
        construction = f"{graph.name} graph: {graph.construction}"
    return Entry(
        name=name,
        d=parameters.g,
        n=parameters.v,
        rows=((parameters.v, parameters.row()),),
        symmetry_order=graph.order,
        claims=graph.far_claims if far else graph.claims,
        construction=f"{construction}; {parameters} in the eigenspace of its smallest eigenvalue "
        f"({BOOK})",
        build=lambda: _gram(parameters),
        aliases=(str(parameters), *(() if far else graph.aliases)),
    )


def _gram(graph: Parameters) -> ExactGram:
    A = adjacency(graph)
    index = 2 - A  # 1 for neighbours, 2 for the others
    np.fill_diagonal(index, 0)
    return assemble(index, (RATIONALS(1), *graph.cosines()))
