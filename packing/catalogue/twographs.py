"""Signs between equiangular lines: Seidel matrices of regular two-graphs.

A Seidel matrix S is symmetric, 0 on the diagonal, +-1 elsewhere. Unit vectors along n lines with
one angle between any two of them have the Gram matrix I + mu S, and span as few dimensions as the
Welch bound allows when S has two eigenvalues. Changing the sign of a vector switches S, so what
counts is its switching class: a regular two-graph (Taylor 1977; Seidel 1976).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from packing.catalogue import regular
from packing.catalogue.fields import Field, field, prime_power
from packing.errors import BadInput

Int = NDArray[np.int64]


def has_two_eigenvalues(S: Int, a: int) -> bool:
    """True when S is a Seidel matrix with S^2 = (n - 1) I + a S.

    The product is taken in floating point, which is exact here: entries are at most n.
    """
    n = len(S)
    if not (np.array_equal(S, S.T) and np.array_equal(np.abs(S), 1 - np.eye(n))):
        return False
    X = S.astype(np.float64)
    return bool(np.array_equal(X @ X, (n - 1) * np.eye(n) + a * X))


def of_graph(A: Int) -> Int:
    """-1 between neighbours, +1 between others."""
    S = 1 - 2 * A
    np.fill_diagonal(S, 0)
    return np.asarray(S, dtype=np.int64)


def with_point(S: Int) -> Int:
    """The Seidel matrix with one more line, +1 to all others: undoes `isolated`."""
    n = len(S) + 1
    full = np.ones((n, n), dtype=np.int64)
    full[1:, 1:] = S
    full[0, 0] = 0
    return full


def isolated(S: Int) -> Int:
    """S switched until the first line has +1 with all others."""
    signs = S[0].copy()
    signs[0] = 1
    return S * np.outer(signs, signs)


def conference(q: int) -> Int:
    """Paley's symmetric conference matrix of order q + 1, q = 1 modulo 4 a prime power."""
    return with_point(of_graph(regular.paley(q)))


def symplectic(m: int, elliptic: bool) -> Int:
    """The symplectic two-graph on 2^(m-1) (2^m - 1) or, not elliptic, 2^(m-1) (2^m + 1) points.

    Points are the zeros of a quadratic form on GF(2)^(2m) of that type, the sign between two of
    them is given by the bilinear form. Sp(2m, 2) acts on them two-transitively.
    """
    form, polar = _quadratic(m, elliptic)
    zeros = np.flatnonzero(form == 0)
    return _signs(1 - 2 * polar[np.ix_(zeros, zeros)])


def affine(m: int) -> Int:
    """The two-graph on the 4^m vectors of GF(2)^(2m): signs by the quadratic form of x + y."""
    form, polar = _quadratic(m, False)
    return _signs(1 - 2 * ((form[:, None] + form + polar) % 2))


def unitary(q: int) -> Int:
    """Taylor's two-graph on the q^3 + 1 isotropic points of a Hermitian plane; q odd.

    The sign between two points is the quadratic character of the Hermitian product of vectors on
    them, in GF(q^2); another vector on the same point switches.
    """
    if q % 2 == 0:
        raise BadInput(f"q = {q}: the unitary two-graph needs an odd prime power")
    F: Field = field(q * q)
    X = F.points(3)
    conjugate = F.power(np.arange(q * q), q)

    def product(x: Int, y: Int) -> Int:
        y = conjugate[y]
        return F.sum(*(F.times[x[..., i], y[..., i]] for i in range(3)))

    X = X[product(X, X) == 0]
    return _signs(np.where(F.square[product(X[:, None], X[None])], 1, -1))


def heptads() -> Int:
    """Goethals and Seidel's 176 lines: heptads of S(4,7,23) off a point, by how they meet."""
    return of_graph(regular.heptads_176())


def mclaughlin() -> Int:
    """The 276 lines: the McLaughlin graph and one more point."""
    return with_point(of_graph(regular.mclaughlin()))


def _signs(table: Int) -> Int:
    S = np.array(table, dtype=np.int64)
    np.fill_diagonal(S, 0)
    return S


def _quadratic(m: int, elliptic: bool) -> tuple[Int, Int]:
    """A quadratic form of that type on the vectors of GF(2)^(2m), and its bilinear form."""
    X = np.array(list(itertools.product((0, 1), repeat=2 * m)), dtype=np.int64)
    U = np.zeros((2 * m, 2 * m), dtype=np.int64)
    U[range(0, 2 * m, 2), range(1, 2 * m, 2)] = 1
    if elliptic:  # x^2 + x y + y^2 vanishes at 0 alone
        U[0, 0] = U[1, 1] = 1
    return ((X @ U) * X).sum(axis=1) % 2, X @ (U + U.T) @ X.T % 2


# --- which lines can be built ---------------------------------------------------------------------


@dataclass(frozen=True)
class TwoGraph:
    """A regular two-graph that can be built.

    Parameters
    ----------
    make : callable
        Makes its Seidel matrix, up to sign.
    order : int
        Permutations of the lines that keep it.
    construction : str
    """

    make: Callable[[], Int]
    order: int
    construction: str


def known(d: int, n: int) -> TwoGraph | None:
    """The two-graph whose n lines, or the Naimark complement of those, lie in R^d.

    Groups from Taylor, Regular 2-graphs (1977) and Two-graphs and doubly transitive groups (1992).
    """
    least = min(d, n - d)
    if n == 2 * d and (split := prime_power(n - 1)) and n % 4 == 2:
        q = n - 1
        order = split[1] * q * (q * q - 1) // 2  # PSigmaL(2, q)
        return TwoGraph(partial(conference, q), order, f"Paley's conference matrix, q = {q}")
    return _families().get((least, n))


def _families() -> dict[tuple[int, int], TwoGraph]:
    """The lines (d, n), d < n / 2, that can be built."""
    found = {
        (22, 176): TwoGraph(heptads, 44352000, "heptads of S(4,7,23) off a point, group HS"),
        (23, 276): TwoGraph(mclaughlin, 495766656000, "the McLaughlin graph, group Co3"),
    }
    for q in (5, 7, 9):  # q = 3 is symplectic
        p_e = prime_power(q)
        assert p_e is not None
        order = 2 * p_e[1] * q**3 * (q**2 - 1) * (q**3 + 1)  # PGammaU(3, q)
        text = f"isotropic points of a Hermitian plane, group U3({q})"
        found[q * q - q + 1, q**3 + 1] = TwoGraph(partial(unitary, q), order, text)
    for m in (2, 3, 4):
        order = 2 ** (m * m) * math.prod(4**i - 1 for i in range(1, m + 1))  # Sp(2m, 2)
        text = f"vectors of GF(2)^{2 * m} by a quadratic form, group 2^{2 * m}:Sp({2 * m},2)"
        half = 2 ** (m - 1)
        found[half * (2**m - 1), 4**m] = TwoGraph(partial(affine, m), 4**m * order, text)
        for e in (-1, 1) if m > 2 else ():
            text = f"zeros of a quadratic form on GF(2)^{2 * m}, group Sp({2 * m},2)"
            key = (2**m + e) * (half + e) // 3, half * (2**m + e)
            found[key] = TwoGraph(partial(symplectic, m, e < 0), order, text)
    return found
