"""Two features in one dimension with unequal norms and biases, binary law.

W = (w, t w) with 0 < |t| <= 1: t < 0 is an uneven digon, t > 0 a parallel pair. For given t and
active ReLUs the loss is quadratic in (rho, b_1, b_2), rho = w^2, so each has one stationary point;
what is returned is the loss there, whatever ReLUs are active: never below the truth. The ratio t is
searched on a grid and then closer, which is numerical. `theory.closed_form.broken` encloses it.
"""

from __future__ import annotations

import numpy as np

from theory.features import Float

_RATIOS = 120


def pair_minimum(S: Float, sign: int) -> tuple[Float, Float]:
    """Least loss of both features together, and the ratio |t| of their norms.

    Parameters
    ----------
    S : (M,) array
        In (0, 1]; at S = 1 inputs are constant: nothing is lost, and the pair counts as even.
    sign : {-1, 1}
        Opposite or parallel.

    Returns
    -------
    loss, ratio : (M,) arrays
        Numerical, to about 1e-13; the lowest minimum at unequal norms where there is one, else a
        ratio of 1 (the even pair) or nearly 0 (one feature ignored).
    """
    S = np.asarray(S, dtype=float)
    if np.any(S >= 1.0):
        loss, ratio = np.zeros(S.shape), np.ones(S.shape)
        inner = S < 1.0
        if np.any(inner):
            loss[inner], ratio[inner] = pair_minimum(S[inner], sign)
        return loss, ratio
    # close together near 1 as well: at small S the norms differ by a share of about S/2
    grid = np.unique([*(np.arange(_RATIOS) + 1.0) / _RATIOS, *(1.0 - np.geomspace(1e-6, 0.05, 40))])
    t = np.broadcast_to(grid, (S.size, grid.size))
    rows = np.arange(S.size)
    value = _losses(S, t, sign)
    # the even pair is always stationary, so minima inside count first, however slight
    inner = (value[:, 1:-1] < value[:, :-2]) & (value[:, 1:-1] < value[:, 2:])
    value[:, 1:-1] -= np.where(inner, 1.0, 0.0)
    k = np.argmin(value, axis=1)
    ratio, width = grid[k], np.gradient(grid)[k][:, None] * 2.0
    loss = _losses(S, ratio[:, None], sign)[:, 0]
    for _ in range(9):
        t = np.clip(ratio[:, None] + width * np.linspace(-1.0, 1.0, 13), 1e-9, 1.0)
        value = _losses(S, t, sign)
        k = np.argmin(value, axis=1)
        better = value[rows, k] < loss
        loss = np.where(better, value[rows, k], loss)
        ratio = np.where(better, t[rows, k], ratio)
        width = width / 6.0
    return loss, ratio


def _losses(S: Float, t: Float, sign: int) -> Float:
    """Least loss over norm, biases and active sets, for S (M,) and ratios t (M, T)."""
    own, other = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0])
    on = own + other
    p = S[:, None] ** on * (1.0 - S[:, None]) ** (2.0 - on)
    p = p[:, None, :]
    first = own + sign * t[..., None] * other
    second = t[..., None] ** 2 * own + sign * t[..., None] * other
    halves = [_active(x, own, p) for x in (first, second)]
    best = np.full(t.shape, np.inf)
    for gain_1 in halves[0]:
        for gain_2 in halves[1]:
            Q, X = gain_1[2] + gain_2[2], gain_1[3] + gain_2[3]
            with np.errstate(divide="ignore", invalid="ignore"):
                rho = np.where(Q > 0, X / Q, 0.0)
            rho = np.maximum(rho, 0.0)
            total = np.zeros(t.shape)
            for x, (m, level, _, _) in zip((first, second), (gain_1, gain_2), strict=True):
                z = np.maximum(rho[..., None] * x + (level - rho * m)[..., None], 0.0)
                total += np.sum(p * (own - z) ** 2, axis=-1)
            best = np.minimum(best, total)
    return best


def _active(x: Float, own: Float, p: Float) -> list[tuple[Float, Float, Float, Float]]:
    """Per number of active sums, largest first: mean, bias at rho = 0, variance and covariance."""
    order = np.argsort(-x, axis=-1)
    x = np.take_along_axis(x, order, axis=-1)
    weight = np.take_along_axis(np.broadcast_to(p, x.shape), order, axis=-1)
    mine = own[order]
    found = []
    for k in range(1, 5):
        w, v, o = weight[..., :k], x[..., :k], mine[..., :k]
        mass = w.sum(axis=-1)
        mean, level = (w * v).sum(axis=-1) / mass, (w * o).sum(axis=-1) / mass
        centred = v - mean[..., None]
        found.append((mean, level, (w * centred**2).sum(axis=-1), (w * centred * o).sum(axis=-1)))
    return found
