"""Codes that are known in closed form together with a proof: answered without a search."""

from __future__ import annotations

import math

import numpy as np

from packing.search.code import Float
from packing.search.driver import Known

RANKIN = "Rankin 1955"


def known_code(n: int, d: int, lines: bool) -> Known | None:
    """The closed form for n points (or lines) in R^d, where one is proved to be optimal.

    Points: n = 1, d = 1 (pigeonhole), d = 2 (the regular n-gon: some gap is at most 2 pi / n),
    n <= d + 1 (the simplex) and n <= 2 d (a part of the cross-polytope), both by Rankin's bounds.
    Lines: n <= d (orthonormal), d = 1, d = 2 and n = d + 1 (the simplex meets Welch's bound).
    """
    return _lines(n, d) if lines else _points(n, d)


def _points(n: int, d: int) -> Known | None:
    if n == 1:
        return Known(np.eye(1, d), math.nan, "a single vector has no neighbour")
    if n <= d + 1:
        return Known(
            simplex(n, d), -1.0 / (n - 1), f"a simplex, which meets {RANKIN}'s first bound"
        )
    if d == 1:
        X = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)[:, None]
        return Known(X, 1.0, "on a line two of three unit vectors coincide")
    if d == 2:
        return Known(
            polygon(n, 2.0 * math.pi / n),
            math.cos(2.0 * math.pi / n),
            "the regular polygon: n gaps on a circle cannot all exceed 2 pi / n",
        )
    if n <= 2 * d:
        pairs = n - d
        X = np.concatenate([np.eye(d), -np.eye(d)[:pairs]])
        return Known(X, 0.0, f"part of the cross-polytope, which meets {RANKIN}'s second bound")
    return None


def _lines(n: int, d: int) -> Known | None:
    if n == 1:
        return Known(np.eye(1, d), math.nan, "a single line has no neighbour")
    if n <= d:
        return Known(np.eye(n, d), 0.0, "orthogonal lines; no coherence is below 0")
    if d == 1:
        return Known(np.ones((n, 1)), 1.0, "there is a single line in R^1")
    if d == 2:
        return Known(
            polygon(n, math.pi / n),
            math.cos(math.pi / n),
            "equally turned lines: n gaps in a half turn cannot all exceed pi / n",
        )
    if n == d + 1:
        return Known(simplex(n, d), 1.0 / d, "the lines of a simplex meet Welch's bound (1974)")
    return None


def polygon(n: int, angle: float) -> Float:
    """n unit vectors (n, 2) in the plane, each turned by `angle` against the one before."""
    turn = angle * np.arange(n)
    return np.stack([np.cos(turn), np.sin(turn)], axis=1)


def simplex(n: int, d: int) -> Float:
    """n unit vectors (n, d), d >= n - 1, any two with cosine -1 / (n - 1).

    The last m = n - k rows, less their common first k coordinates, are a simplex of m points whose
    radius r follows from its edge: 2 r^2 m / (m - 1) = 2 n / (n - 1).
    """
    X = np.zeros((n, d))
    for k in range(n - 1):
        m = n - k
        X[k, k] = math.sqrt(n * (m - 1) / ((n - 1) * m))
        X[k + 1 :, k] = -X[k, k] / (m - 1)
    return X
