"""Exact row losses for the binary law: a sum over the 2^n on/off patterns.

Every term (x_own - z_+)^2 is non-negative, so nothing cancels except inside z itself, and the bound
follows that rounding pattern by pattern. Proved up to the stated bound.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from packing.types import Float
from theory.losses.rows import EPS, RowLoss

#: Largest n for which the patterns are enumerated (2^20 patterns a row).
MAX_FEATURES = 20
_CHUNK = 1 << 22  # numbers held at once


@lru_cache(maxsize=8)
def on_off(n: int) -> Float:
    """All 0/1 patterns of n features, shape (2^n, n); row t has the bits of t."""
    bits = (np.arange(1 << n)[:, None] >> np.arange(n)) & 1
    patterns = bits.astype(float)
    patterns.setflags(write=False)
    return patterns


def pattern_weights(p: Float) -> Float:
    """Probability of each pattern of `on_off`, shape (R, 2^n), for on-probabilities p (R, n)."""
    weights = np.ones((p.shape[0], 1))
    for j in range(p.shape[1]):
        on = p[:, j : j + 1]
        weights = np.concatenate([weights * (1.0 - on), weights * on], axis=1)
    return weights


def rows(A: Float, b: Float, own: np.ndarray, p: Float, gradient: bool = False) -> RowLoss:
    """Row losses of the binary law by enumeration; see `theory.losses.rows` for the arguments."""
    count, n = A.shape
    step = max(1, _CHUNK >> n)
    parts = [
        _rows(A[i : i + step], b[i : i + step], own[i : i + step], p[i : i + step], gradient)
        for i in range(0, count, step)
    ]
    if len(parts) == 1:
        return parts[0]
    return RowLoss(
        np.concatenate([q.value for q in parts]),
        np.concatenate([q.bound for q in parts]),
        np.concatenate([q.dA for q in parts if q.dA is not None]) if gradient else None,
        np.concatenate([q.db for q in parts if q.db is not None]) if gradient else None,
    )


def _rows(A: Float, b: Float, own: np.ndarray, p: Float, gradient: bool) -> RowLoss:
    n = A.shape[1]
    X = on_off(n)
    weights = pattern_weights(p)
    z = A @ X.T + b[:, None]
    residual = X[:, own].T - np.maximum(z, 0.0)
    weighted = weights * residual
    value = np.sum(weighted * residual, axis=1)
    # |dz| <= (n + 1) eps (|a|.x + |b|); the rest is the rounding of weights, square and sum.
    dz = (n + 1) * EPS * (np.abs(A) @ X.T + np.abs(b)[:, None])
    bound = np.sum(weights * dz * (2.0 * np.abs(residual) + dz), axis=1)
    bound += (3 * n + 40) * EPS * value
    if not gradient:
        return RowLoss(value, bound)
    slope = np.where(z > 0.0, -2.0 * weighted, 0.0)
    return RowLoss(value, bound, slope @ X, np.sum(slope, axis=1))
