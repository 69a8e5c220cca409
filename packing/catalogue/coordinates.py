"""Names and whole coordinates of the families: polygons, simplices, cubes, roots A, B and D."""

from __future__ import annotations

import itertools
from math import comb

import numpy as np

from packing.catalogue.entry import Float, Int
from packing.catalogue.exact import Points, doubled
from packing.catalogue.numbers import quadratic

POLYGONS = {3: "triangle", 4: "square", 5: "pentagon", 6: "hexagon", 7: "heptagon"}
POLYGONS |= {8: "octagon", 9: "enneagon", 10: "decagon", 11: "hendecagon", 12: "dodecagon"}

# --- names --------------------------------------------------------------------------------------


def simplex_name(d: int) -> str:
    """Name of the regular simplex in R^d."""
    return {1: "digon", 2: "triangle", 3: "tetrahedron"}.get(d, f"{d}-simplex")


def polygon_name(k: int) -> str:
    """Name of the regular k-gon."""
    return POLYGONS.get(k, f"{k}-gon")


def cross_polytope_name(d: int) -> str:
    """Name of the cross-polytope in R^d."""
    small = {1: "digon", 2: "square", 3: "octahedron", 4: "16-cell"}
    return small.get(d, f"{d}-cross-polytope")


# --- float vectors and whole coordinates --------------------------------------------------------


def polygon(k: int) -> Float:
    """The k-th roots of unity, (2, k)."""
    turn = 2.0 * np.pi * np.arange(k) / k
    return np.array([np.cos(turn), np.sin(turn)])


def simplex_points(d: int) -> Int:
    """d + 1 vectors: the basis of R^(d+1) less its mean."""
    return np.eye(d + 1, dtype=np.int64) * (d + 1) - 1


def simplex(d: int) -> Float:
    """d + 1 unit vectors with all cosines -1/d, (d, d + 1)."""
    return Points(simplex_points(d)).floats()


def signs(d: int) -> Int:
    """All 2^d rows of signs."""
    bits = np.arange(2**d)[:, None] >> np.arange(d - 1, -1, -1)
    return np.asarray(1 - 2 * (bits & 1), dtype=np.int64)


def even_signs(d: int) -> Int:
    """Rows of signs with an even number of minuses."""
    rows = signs(d)
    return rows[rows.prod(axis=1) > 0]


def subset_points(size: int, k: int) -> Int:
    """Indicators of the k-subsets of `size` things, less their mean, times size."""
    rows = np.full((comb(size, k), size), -k, dtype=np.int64)
    for row, chosen in zip(rows, itertools.combinations(range(size), k), strict=True):
        row[list(chosen)] += size
    return rows


def roots_A(d: int) -> Int:
    """Differences of two basis vectors of R^(d+1)."""
    e = np.eye(d + 1, dtype=np.int64)
    return np.array([e[i] - e[j] for i, j in itertools.permutations(range(d + 1), 2)])


def roots_D(d: int) -> Int:
    """+-e_i +- e_j."""
    e = np.eye(d, dtype=np.int64)
    pairs = itertools.combinations(range(d), 2)
    return np.array([a * e[i] + b * e[j] for i, j in pairs for a in (1, -1) for b in (1, -1)])


def roots_B(d: int) -> Points:
    """Directions of +-e_i +- e_j and +-e_i: the latter are scaled by sqrt 2."""
    X = np.zeros((2 * d * d, d, 2), dtype=np.int64)
    X[: -2 * d, :, 0] = roots_D(d)
    X[-2 * d :, :, 1] = doubled(np.eye(d, dtype=np.int64))
    return Points(X, quadratic(2))
