"""Named shapes as floats, from integers and the golden ratio: a second route to the catalogue's.

The catalogue builds the same shapes exactly and by other means; tests that need some vectors take
them here, so that a slip in one construction does not hide in both.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

PHI = (1.0 + math.sqrt(5.0)) / 2.0


# --- families -----------------------------------------------------------------------------------


def simplex(d: int) -> Float:
    """d + 1 unit vectors with all cosines -1/d: the basis of R^(d+1) less its mean."""
    return _unit(np.eye(d + 1) * (d + 1) - 1.0)


def polygon(k: int) -> Float:
    """The k-th roots of unity, (2, k)."""
    turn = 2.0 * np.pi * np.arange(k) / k
    return np.array([np.cos(turn), np.sin(turn)])


def doubled(vectors: Float) -> Float:
    """The vectors and their opposites."""
    return np.concatenate([vectors, -vectors], axis=1)


def rectified_simplex(d: int) -> Float:
    """Midpoints of the edges of a simplex in R^d: d(d+1)/2 vectors."""
    corner = simplex(d)
    pairs = list(itertools.combinations(range(d + 1), 2))
    return _unit(np.array([corner[:, i] + corner[:, j] for i, j in pairs]))


def demicube(d: int) -> Float:
    """Corners of the cube with an even number of minus signs, 2^(d-1) vectors."""
    return _unit(s for s in _signs(d) if math.prod(s) > 0)


def cube(d: int) -> Float:
    """All 2^d corners of the cube."""
    return _unit(_signs(d))


def roots_A(d: int) -> Float:
    """Differences of two basis vectors of R^(d+1), d(d+1) vectors."""
    e = np.eye(d + 1)
    return _unit(e[i] - e[j] for i, j in itertools.permutations(range(d + 1), 2))


def roots_D(d: int) -> Float:
    """+-e_i +- e_j, 2d(d-1) vectors."""
    return _unit(_roots_D(d))


# --- single shapes ------------------------------------------------------------------------------


def icosahedron() -> Float:
    """Cyclic permutations of (0, +-1, +-phi)."""
    return _unit(_cyclic((0.0, a, b * PHI) for a, b in _signs(2)))


def dodecahedron() -> Float:
    """(+-1, +-1, +-1) and cyclic permutations of (0, +-1/phi, +-phi)."""
    return _unit([*_signs(3), *_cyclic((0.0, a / PHI, b * PHI) for a, b in _signs(2))])


def icosidodecahedron() -> Float:
    """Midpoints of the edges of the icosahedron, 30 vectors."""
    return _unit(_midpoints(icosahedron()))


def cell_600() -> Float:
    """The 120 unit icosians."""
    axes = [s * e for e in np.eye(4) for s in (2.0, -2.0)]
    even = [
        p
        for p in itertools.permutations(range(4))
        if sum(p[i] > p[j] for i, j in itertools.combinations(range(4), 2)) % 2 == 0
    ]
    rest = {tuple((0.0, a, b * PHI, c / PHI)[i] for i in p) for a, b, c in _signs(3) for p in even}
    return _unit([*axes, *_signs(4), *sorted(rest)])


def roots_E8() -> Float:
    """The 240 roots of E8."""
    halves = [tuple(x / 2.0 for x in s) for s in _signs(8) if math.prod(s) > 0]
    return _unit([*_roots_D(8), *halves])


def roots_E7() -> Float:
    """The 126 roots of E8 orthogonal to one of them."""
    roots = roots_E8()
    return _unit(roots.T[np.abs(roots.T @ roots[:, 0]) < 0.25])


def roots_E6() -> Float:
    """The 72 roots of E8 orthogonal to a pair of roots at 120 degrees."""
    roots = roots_E8()
    first = roots.T @ roots[:, 0]
    second = roots.T @ roots[:, int(np.argmin(np.abs(first + 0.5)))]
    return _unit(roots.T[(np.abs(first) < 0.25) & (np.abs(second) < 0.25)])


def code_56() -> Float:
    """Kissing arrangement of the E8 roots: 56 vectors in R^7 with cosines +-1/3 and -1."""
    return _kissing(roots_E8())


def code_27() -> Float:
    """Kissing arrangement of the 56: the Schlaefli code, 27 vectors in R^6, cosines 1/4, -1/2."""
    return _kissing(code_56())


# --- tools --------------------------------------------------------------------------------------


def _signs(d: int) -> list[tuple[float, ...]]:
    return list(itertools.product((1.0, -1.0), repeat=d))


def _cyclic(rows: Iterator[tuple[float, ...]]) -> list[tuple[float, ...]]:
    return [row[i:] + row[:i] for row in rows for i in range(len(row))]


def _roots_D(d: int) -> list[Float]:
    e = np.eye(d)
    pairs = itertools.combinations(range(d), 2)
    return [a * e[i] + b * e[j] for i, j in pairs for a, b in _signs(2)]


def _midpoints(vectors: Float) -> Float:
    """Sums of the pairs of vectors at the smallest angle."""
    C = vectors.T @ vectors - 3.0 * np.eye(vectors.shape[1])
    i, j = np.nonzero(np.triu(np.abs(C - C.max()) < 1e-9))
    return (vectors[:, i] + vectors[:, j]).T


def _kissing(vectors: Float) -> Float:
    """The nearest neighbours of the first vector, seen from it: one dimension lower."""
    c = vectors.T @ vectors[:, 0]
    c[0] = -1.0
    near = vectors[:, np.abs(c - c.max()) < 1e-9]
    return _unit((near - np.outer(vectors[:, 0], c.max() * np.ones(near.shape[1]))).T)


def _unit(rows: object) -> Float:
    """Rows, each scaled to length 1, as columns (d, n) in coordinates of their own span."""
    X = np.array(rows if isinstance(rows, np.ndarray) else list(rows), dtype=np.float64)  # type: ignore[call-overload]
    X = X / np.linalg.norm(X, axis=1, keepdims=True)
    values, axes = np.linalg.eigh(X.T @ X)
    return np.ascontiguousarray((X @ axes[:, values > 1e-9 * values[-1]]).T)
