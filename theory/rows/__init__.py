"""Expected loss of single rows z = a.x + b, one engine a module, all with one signature.

``rows(A, b, own, p, law, gradient)`` takes R rows at once: A (R, n) weights, b (R,) biases, own
(R,) the feature each row reconstructs, p (R, n) on-probabilities. It returns a `RowLoss`. An
engine answers for A and b as given; what rounding did to A before is bounded in `theory.loss`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
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
