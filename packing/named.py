"""Named shapes, built from integers and the golden ratio.

Only shapes that do not split into orthogonal blocks are listed: a square is two digons, an
octahedron three. Every shape consists of unit vectors in its own span.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

PHI = (1.0 + math.sqrt(5.0)) / 2.0
POLYGONS = {3: "triangle", 5: "pentagon", 6: "hexagon", 7: "heptagon", 8: "octagon"}
POLYGONS |= {9: "enneagon", 10: "decagon", 11: "hendecagon", 12: "dodecagon"}
SIDED = {3: "triangular", 4: "square", 5: "pentagonal", 6: "hexagonal", 7: "heptagonal"}
SIDED |= {8: "octagonal"}


@dataclass(frozen=True, eq=False)
class Shape:
    """A named arrangement of unit vectors (d, n)."""

    name: str
    vectors: Float


# --- families -----------------------------------------------------------------------------------


def simplex_name(d: int) -> str:
    """Name of the regular simplex in R^d, d >= 2."""
    return {2: "triangle", 3: "tetrahedron"}.get(d, f"{d}-simplex")


def polygon_name(k: int) -> str:
    """Name of the regular k-gon."""
    return POLYGONS.get(k, f"{k}-gon")


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


FIXED: dict[tuple[int, int], tuple[tuple[str, Callable[[], Float]], ...]] = {
    (12, 3): (("icosahedron", icosahedron), ("cuboctahedron", lambda: roots_D(3))),
    (20, 3): (("dodecahedron", dodecahedron),),
    (30, 3): (("icosidodecahedron", icosidodecahedron),),
    (8, 3): (("cube", lambda: cube(3)),),
    (10, 4): (("Petersen code", lambda: rectified_simplex(4)),),
    (16, 4): (("tesseract", lambda: cube(4)),),
    (24, 4): (("24-cell", lambda: roots_D(4)),),
    (120, 4): (("600-cell", cell_600),),
    (72, 6): (("E6 roots", roots_E6),),
    (27, 6): (("Schlaefli code", code_27),),
    (126, 7): (("E7 roots", roots_E7),),
    (56, 7): (("E7 56-code", code_56),),
    (240, 8): (("E8 roots", roots_E8),),
}


@lru_cache(maxsize=256)
def shapes(n: int, d: int) -> tuple[Shape, ...]:
    """Every rigid shape of n unit vectors spanning R^d, d >= 2, most special name first."""
    found = [(name, build) for name, build in FIXED.get((n, d), ())]
    if n == d + 1:
        found.append((simplex_name(d), lambda: simplex(d)))
    if d == 2 and n >= 5:
        found.append((polygon_name(n), lambda: polygon(n)))
    if d >= 5:  # below, these have names of their own
        if n == 2 ** (d - 1):
            found.append((f"{d}-demicube", lambda: demicube(d)))
        if n == 2**d:
            found.append((f"{d}-cube", lambda: cube(d)))
        if n == 2 * d * (d - 1):
            found.append((f"D{d} roots", lambda: roots_D(d)))
        if n == d * (d + 1) // 2:
            found.append((f"rectified {d}-simplex", lambda: rectified_simplex(d)))
    if d >= 4:
        if n == 2 * (d + 1):
            name = "doubled 5-cell" if d == 4 else f"doubled {d}-simplex"
            found.append((name, lambda: doubled(simplex(d))))
        if n == d * (d + 1):
            found.append((f"A{d} roots", lambda: roots_A(d)))
    return tuple(Shape(name, build()) for name, build in found)


def prisms(directions: Float) -> Iterator[Shape]:
    """Prisms and antiprisms (d = 3, 2k vectors) whose free height agrees with the directions.

    The frame operator of such a shape has eigenvalues k r^2, k r^2 and 2 k height^2, so the
    height is read off each eigenvalue in turn and the comparison is left to the caller.
    """
    d, n = directions.shape
    if d != 3 or n % 2 or n < 4:
        return
    k = n // 2
    side = SIDED.get(k, f"{k}-gonal")
    for value in np.linalg.eigvalsh(directions @ directions.T):
        height = math.sqrt(max(float(value), 0.0) / n)
        if 0.0 < height < 1.0:
            name = "disphenoid" if k == 2 else f"{side} antiprism"
            yield Shape(name, antiprism(k, height))
            if k >= 3:
                yield Shape(f"{side} prism", prism(k, height))


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
