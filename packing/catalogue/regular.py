"""Adjacency matrices of strongly regular graphs, each built from its definition.

All return symmetric (v, v) arrays of zeros and ones. Nothing here is trusted: `verified` checks the
defining identity in exact arithmetic before a graph is used.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from packing.catalogue import golay
from packing.catalogue.fields import Field, field
from packing.catalogue.parameters import Parameters
from packing.errors import BadInput

Int = NDArray[np.int64]


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
    return _meets(golay.hexads(), 0)


def gewirtz() -> Int:
    """The 56 hexads of S(3,6,22) that miss a point, adjacent when disjoint."""
    blocks = golay.hexads()
    return _meets(blocks[blocks[:, 0] == 0], 0)


def higman_sims() -> Int:
    """A vertex joined to 22 points; points to the hexads through them; hexads when disjoint."""
    blocks = golay.hexads()
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
    blocks = golay.heptads()
    outer = blocks[blocks[:, 22] == 0][:, :22]
    inner = golay.hexads()
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
    return _meets(golay.heptads(), 1)


def heptads_176() -> Int:
    """The 176 heptads of S(4,7,23) off one point, adjacent when they meet in one point."""
    blocks = golay.heptads()
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
