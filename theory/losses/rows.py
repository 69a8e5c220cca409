"""Expected loss of single rows z = a.x + b: what every engine answers, and the linear engine.

``rows(A, b, own, p, law, gradient)`` takes R rows at once: A (R, n) weights, b (R,) biases, own
(R,) the feature each row reconstructs, p (R, n) on-probabilities. It returns a `RowLoss`. An
engine answers for A and b as given; what rounding did to A before is bounded by
`theory.losses.expected.loss`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from packing.types import Float
from theory.features import Law

EPS = float(np.finfo(float).eps)


@dataclass(frozen=True)
class RowLoss:
    """E[(x_own - ReLU(z))^2] of R rows, a bound on its error, and its gradient.

    Parameters
    ----------
    value : (R,) array
        Expected squared error of each row.
    bound : (R,) array
        Upper bound on |value - truth|.
    dA : (R, n) array or None
        Derivative of each value with respect to its row of weights.
    db : (R,) array or None
        Derivative of each value with respect to its bias.
    """

    value: Float
    bound: Float
    dA: Float | None = None
    db: Float | None = None


def rows(
    A: Float, b: Float, own: np.ndarray, p: Float, law: Law, gradient: bool = False
) -> RowLoss:
    """Row losses without the ReLU: second moments only, any law, any n. Proved.

    E[(x_own - a.x - b)^2] = (E residual)^2 + sum_j c_j^2 Var x_j with c = e_own - a.
    """
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
