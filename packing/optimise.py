"""Many minimisations at once: L-BFGS on a batch, every member with a step of its own.

One call of the objective serves the whole batch, which is what makes hundreds of small problems
cheap in numpy. The surrogate losses of `theory.global_search` and the energies of `packing.search`
use it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from packing.types import Float

TINY = 1e-300  # below it a reciprocal overflows


def descend(
    objective: Callable[[Float, np.ndarray], tuple[Float, Float]],
    theta: Float,
    iterations: int,
    memory: int = 8,
    tolerance: float = 1e-9,
) -> tuple[Float, Float]:
    """Batched L-BFGS with Armijo backtracking, every model with its own step; (theta, loss).

    ``objective(theta (k, p), index (k,))`` evaluates the models of those indices. A model leaves
    the batch when its loss has not fallen by `tolerance` (relative) over ten iterations.
    """
    final, final_value = theta.copy(), np.empty(len(theta))
    index = np.arange(len(theta))
    x = theta.copy()
    value, grad = objective(x, index)
    final_value[:] = value
    mark = value.copy()
    stuck = np.zeros(len(theta), dtype=int)  # line searches failed in a row
    history: list[tuple[Float, Float, Float]] = []  # steps, bends, 1 / (step . bend) or 0
    for iteration in range(iterations):
        direction = -_inverse_hessian_times(history, grad)
        slope = np.einsum("kp,kp->k", direction, grad)
        uphill = slope >= 0.0
        if np.any(uphill):
            direction[uphill] = -grad[uphill]
            slope[uphill] = -np.sum(grad[uphill] ** 2, axis=1)
        length = np.sqrt(np.einsum("kp,kp->k", direction, direction))
        step = np.minimum(1.0, 3.0 / np.maximum(length, 1e-300))
        new = x + step[:, None] * direction
        new_value, new_grad = objective(new, index)
        poor = np.flatnonzero(~(new_value <= value + 1e-4 * step * slope))
        for _ in range(11):
            if not poor.size:
                break
            step[poor] *= 0.3
            new[poor] = x[poor] + step[poor, None] * direction[poor]
            new_value[poor], new_grad[poor] = objective(new[poor], index[poor])
            poor = poor[~(new_value[poor] <= value[poor] + 1e-4 * step[poor] * slope[poor])]
        new[poor], new_value[poor], new_grad[poor] = x[poor], value[poor], grad[poor]
        failed = np.zeros(len(index), dtype=bool)
        failed[poor] = True
        stuck = np.where(failed, stuck + 1, 0)
        for _, _, known in history:  # forget the curvature that led nowhere
            known[poor] = 0.0
        s, y = new - x, new_grad - grad
        sy = np.einsum("kp,kp->k", s, y)
        size = np.einsum("kp,kp->k", s, s) * np.einsum("kp,kp->k", y, y)
        bends = (sy > 1e-10 * np.sqrt(size)) & (sy > TINY)
        inner = np.where(bends, 1.0 / np.where(bends, sy, 1.0), 0.0)
        history.append((s, y, inner))
        del history[:-memory]
        x, value, grad = new, new_value, new_grad
        moving = stuck < 2
        if iteration % 10 == 9:
            moving &= mark - value > tolerance * np.abs(value) + 1e-300
            mark = value.copy()
        if not np.all(moving) or iteration == iterations - 1:
            final[index], final_value[index] = x, value
            if not np.any(moving):
                break
            index, x, value, grad = index[moving], x[moving], value[moving], grad[moving]
            mark, stuck = mark[moving], stuck[moving]
            history = [(s[moving], y[moving], r[moving]) for s, y, r in history]
    return final, final_value


def _inverse_hessian_times(history: list[tuple[Float, Float, Float]], grad: Float) -> Float:
    """The L-BFGS two-loop recursion for a batch; a short gradient step without history."""
    q = grad.copy()
    alphas = []
    for s, y, inner in reversed(history):
        alpha = inner * np.einsum("kp,kp->k", s, q)
        q -= alpha[:, None] * y
        alphas.append(alpha)
    short = 0.3 / np.maximum(np.sqrt(np.einsum("kp,kp->k", grad, grad)), 1e-300)
    if history:
        _, y, inner = history[-1]
        yy = np.einsum("kp,kp->k", y, y)
        known = inner * yy > TINY
        q *= np.where(known, 1.0 / np.where(known, inner * yy, 1.0), short)[:, None]
    else:
        q *= short[:, None]
    for (s, y, inner), alpha in zip(history, reversed(alphas), strict=True):
        q += (alpha - inner * np.einsum("kp,kp->k", y, q))[:, None] * s
    return q
