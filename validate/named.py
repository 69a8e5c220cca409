"""Named arrangements as models: blocks in orthogonal subspaces, each at its best norm and bias.

W holds rho_k V_k for each block of unit columns V_k, b its bias, where (rho_k, b_k) minimise the
block's own loss. Orthogonal blocks do not see each other, so their losses add up. Norms and biases
within a block are equal here, which an optimum's need not be: these are candidates, and serve as
wrong predictions and as starts of a search.
"""

from __future__ import annotations

import re

import numpy as np

from packing.errors import BadInput
from theory.features import Features, Float
from theory.loss import loss
from validate.runs import Setting

DENSE = 12
"""Features of a block beyond which only biases below zero are scanned."""


def built(setting: Setting, name: str) -> tuple[Float, Float]:
    """Weights and biases of the blocks of a name.

    Parameters
    ----------
    setting : Setting
        Of equal S and importance.
    name : str
        Blocks, as ``2 digon + 1 ignored``.

    Returns
    -------
    W, b : (d, n) and (n,) arrays
        Numerical (a scan, then L-BFGS, per block).

    Raises
    ------
    BadInput
        If a block has no construction, the blocks do not fit n and d, or features differ.
    """
    from packing.catalogue import entry

    if isinstance(setting.S, tuple) or setting.importance is not None:
        raise BadInput("named arrangements are for equal features: leave the control out")
    W, b = np.zeros((setting.d, setting.n)), setting.features.mean.copy()
    if not setting.bias:
        b[:] = 0.0
    row = column = 0
    for count, block in blocks(name):
        if block == "ignored":
            column += count
            continue
        V = np.ones((1, 1)) if block == "dedicated" else entry(block).vectors
        d, n = V.shape
        if row + count * d > setting.d or column + count * n > setting.n:
            break
        rho, bias = best(V, setting)
        for _ in range(count):
            W[row : row + d, column : column + n] = rho * V
            b[column : column + n] = bias
            row, column = row + d, column + n
    else:
        if column == setting.n:
            return W, b
    raise BadInput(
        f"{name!r} is no arrangement of {setting.n} features in {setting.d} dimensions: "
        "its blocks must fit d, and with ignored features add up to n"
    )


def blocks(name: str) -> list[tuple[int, str]]:
    """Counts and names of the blocks of an arrangement."""
    found = []
    for part in name.split(" + "):
        counted = re.fullmatch(r"(\d+) (.+)", part.strip())
        found.append((int(counted[1]), counted[2]) if counted else (1, part.strip()))
    return found


def best(V: Float, setting: Setting) -> tuple[float, float]:
    """Norm and bias that minimise the loss of a block of unit columns V (d, n)."""
    from scipy.optimize import minimize

    assert not isinstance(setting.S, tuple)
    n, S = V.shape[1], setting.S
    features = Features.of(n, S, setting.law)

    def cost(x: Float) -> tuple[float, Float]:
        bias = np.full(n, x[1] if setting.bias else 0.0)
        at = loss(x[0] * V, bias, features=features, relu=setting.relu, gradient=True)
        assert at.grad_W is not None and at.grad_b is not None
        slope = float(at.grad_b.sum()) if setting.bias else 0.0
        return at.total, np.array([float(np.sum(at.grad_W * V)), slope])

    # Flat in places, with several minima: at a small b > 0 of the size of S^2, and at a b < 0 as
    # large as the interference that it has to cut off. Scan, then descend from the three best.
    small = [[1.0 - 2.0 * x, x] for x in (0.5 * S**2, S**2, 0.05)]
    cut = [[1.1, -x] for x in (0.0, 0.02, 0.1, 0.2, 0.4, 0.6)]
    if n > DENSE:  # every feature has interference, and losses at b > 0 are slow
        small, cut = [], cut[2:]
    starts = sorted((*small, *cut), key=lambda x: cost(np.array(x))[0])[:3]
    found = [minimize(cost, x, jac=True, method="L-BFGS-B", tol=1e-12) for x in starts]
    least = min(found, key=lambda x: x.fun)
    return float(least.x[0]), float(least.x[1]) if setting.bias else 0.0


__all__ = ["best", "blocks", "built"]
