"""Row losses without the ReLU: second moments only, any law, any n. Proved."""

from __future__ import annotations

import numpy as np

from theory.features import Law
from theory.rows import EPS, Float, RowLoss


def rows(
    A: Float, b: Float, own: np.ndarray, p: Float, law: Law, gradient: bool = False
) -> RowLoss:
    """E[(x_own - a.x - b)^2] = (E residual)^2 + sum_j c_j^2 Var x_j with c = e_own - a."""
    here = np.arange(len(b))
    mean = p * law.mean
    variance = p * (law.second - law.mean**2 + law.mean**2 * (1.0 - p))
    c = -A
    c[here, own] += 1.0
    offset = np.sum(c * mean, axis=1) - b
    value = offset**2 + np.sum(c * c * variance, axis=1)
    size = np.sum((np.abs(A) + np.eye(A.shape[1])[own]) * mean, axis=1) + np.abs(b)
    slack = (A.shape[1] + 4) * EPS * size
    bound = 2.0 * np.abs(offset) * slack + slack**2 + (A.shape[1] + 8) * EPS * value
    if not gradient:
        return RowLoss(value, bound)
    return RowLoss(value, bound, -2.0 * (offset[:, None] * mean + c * variance), -2.0 * offset)
