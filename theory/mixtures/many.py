"""Many features at a fixed ratio n/d: interference that is Gaussian, and what it costs.

W of rank d, W^T W of constant diagonal a, its other entries small and in all directions: for d
random rows of a Hadamard matrix, scaled, sum_j!=i G_ij^2 = a^2 (n/d - 1) exactly. The sum of the
others is then Gaussian as n grows at fixed S (central limit theorem, entries O(n^-1/2)), with the
variance sigma^2 = a^2 (n/d - 1) v, v = Var x, and a mean that the bias absorbs (Cowsik, Dolev,
Infanger, arXiv 2410.12101). With z = a (x + beta + tau g), tau^2 = (n/d - 1) v, a feature costs

    E x^2 - 2 a F1 + a^2 F2,   F1 = E[x (x + beta + tau g)_+],  F2 = E (x + beta + tau g)_+^2,

so E x^2 - F1^2/F2 at the best a. F1 and F2 are closed forms in the normal distribution: P_m(y) =
E (y + tau g)_+^m has P_m' = m P_(m-1) and P_m = y P_(m-1) + (m - 1) tau^2 P_(m-2). Numerical in
beta. It is a limit: with few features on (n S small) the interference is no Gaussian, and the
formula is no bound either way (`tests/test_many.py` shows both).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtr

from packing.errors import BadInput
from theory.features import Float, law_named

KNOWN = "numerical, in the limit of many features"

FURTHEST = 1e7
"""Largest n/d that `ratio_at` looks at."""

_GRID, _ZOOMS = 240, 6


@dataclass(frozen=True)
class ManyFeatures:
    """The solution for many features at one n/d and S.

    Parameters
    ----------
    ratio : float
        n/d, features per dimension.
    S : float
    law : str
    loss : float
        Per feature.
    a, b : float
        Squared norm of a feature, and bias where the mean interference has been taken out.
    sigma : float
        Standard deviation of the interference.
    D_star : float
        d/||W||_F^2 = 1/(a n/d).
    known : str
    """

    ratio: float
    S: float
    law: str
    loss: float
    a: float
    b: float
    sigma: float
    D_star: float
    known: str = KNOWN

    @property
    def one_minus_S(self) -> float:
        return 1.0 - self.S


def many_features(ratio: float, S: float, law: str = "binary") -> ManyFeatures:
    """Least loss per feature of many features at n/d = ratio, with the norm and bias that give it.

    Parameters
    ----------
    ratio : float
        n/d, at least 1.
    S : float
        Chance that a feature is on, in [0, 1]; at S = 0 nothing is lost (a, b: those of a lone
        feature that is on, 1 and 0).
    law : {"binary", "uniform", "exponential"}

    Returns
    -------
    ManyFeatures
        Numerical, about 1e-10 relative, for the limit n, d -> infinity; source: Cowsik, Dolev,
        Infanger, arXiv 2410.12101, with the closed forms derived here.

    Raises
    ------
    BadInput
        If the ratio is below 1, S no probability or the law unknown.
    """
    loss, a, b = many_losses([ratio], [S], law)
    v = _variance(np.array([float(S)]), law)[0]
    sigma = float(a[0]) * math.sqrt((float(ratio) - 1.0) * v)
    D_star = 1.0 / (float(a[0]) * ratio) if a[0] > 0 else math.inf
    return ManyFeatures(
        float(ratio), float(S), law, float(loss[0]), float(a[0]), float(b[0]), sigma, D_star
    )


def many_losses(
    ratio: Sequence[float] | Float, S: Sequence[float] | Float, law: str = "binary"
) -> tuple[Float, Float, Float]:
    """The same for many pairs at once: losses per feature, a and b, each (M,)."""
    found = law_named(law)
    ratio, S = (np.atleast_1d(np.asarray(x, dtype=float)) for x in (ratio, S))
    ratio, S = (np.array(x) for x in np.broadcast_arrays(ratio, S))
    if not np.all(np.isfinite(ratio) & (ratio >= 1.0)):
        raise BadInput(f"n/d = {ratio} is no ratio of many features: give numbers from 1 on")
    if not np.all((S >= 0.0) & (S <= 1.0)):
        raise BadInput(f"S = {S}: give the chance that a feature is on, in [0, 1]")
    v = _variance(S, law)
    loss, a, b = np.zeros(S.size), np.ones(S.size), np.zeros(S.size)
    lossy = (ratio > 1.0) & (v > 0.0)
    if np.any(lossy):
        rows = np.flatnonzero(lossy)
        tau = np.sqrt((ratio[rows] - 1.0) * v[rows])
        gain, beta, norm = _best(S[rows], tau, found.name)
        loss[rows] = np.clip(S[rows] * found.second - gain, 0.0, v[rows])
        a[rows], b[rows] = norm, norm * beta
    return loss, a, b


def ratio_at(share: float, S: float, law: str = "binary") -> float:
    """The n/d at which the loss reaches a share of what ignored features cost.

    Parameters
    ----------
    share : float
        In (0, 1): 0.1 asks when a tenth of the ignored-feature loss is reached.
    S : float
        In (0, 1).
    law : {"binary", "uniform", "exponential"}

    Returns
    -------
    float
        Features per dimension; infinite beyond FURTHEST. The loss rises with n/d, as the
        interference does (noise can be added to what is received, never taken away).

    Raises
    ------
    BadInput
        If share or S is out of range.
    """
    if not (0.0 < share < 1.0 and 0.0 < S < 1.0):
        raise BadInput(f"share = {share}, S = {S}: give two numbers in (0, 1)")
    v = float(_variance(np.array([S]), law)[0])
    low, high = 0.0, math.log(FURTHEST)
    if many_losses([FURTHEST], [S], law)[0][0] < share * v:
        return math.inf
    while high - low > 1e-12:  # nine points at a time
        inside = np.linspace(low, high, 11)[1:-1]
        below = many_losses(np.exp(inside), [S], law)[0] < share * v
        k = int(np.count_nonzero(below))
        low, high = ([low, *inside.tolist()][k], [*inside.tolist(), high][k])
    return math.exp(0.5 * (low + high))


def many_gain(S: Sequence[float] | Float, law: str = "binary") -> tuple[Float, Float]:
    """Largest gain per dimension, (n/d)(v - loss), over all n/d at each S, and that n/d."""
    S = np.atleast_1d(np.asarray(S, dtype=float))
    v = _variance(S, law)
    centre, width = np.full(S.size, math.log(300.0)), math.log(300.0)
    best = np.zeros(S.size)
    for _ in range(9):
        x = np.maximum(centre[:, None] + width * np.linspace(-1.0, 1.0, 25), 0.0)
        at = np.exp(x)
        loss = many_losses(at.ravel(), np.repeat(S, 25), law)[0].reshape(at.shape)
        gain = at * (v[:, None] - loss)
        k = np.argmax(gain, axis=1)
        rows = np.arange(S.size)
        centre, best, width = x[rows, k], gain[rows, k], width / 6.0
    return best, np.exp(centre)


def _variance(S: Float, law: str) -> Float:
    found = law_named(law)
    spread = found.second - found.mean**2
    return np.asarray(S * (spread + found.mean**2 * (1.0 - S)))


def _best(S: Float, tau: Float, law: str) -> tuple[Float, Float, Float]:
    """F1^2/F2 at its highest over beta, with beta and a = F1/F2, each (M,)."""
    reach = 8.0 * tau + 4.0
    rows = np.arange(S.size)
    # far above 0 the model is linear, and beta = E x/a at its best, E x n/d at most
    far = 4.0 * (1.0 + tau**2 / _variance(S, law)) + 2.0 * reach
    low = np.linspace(-1.0, 0.5, _GRID)[None, :] * reach[:, None]
    high = np.geomspace(0.5 * reach, far, _GRID // 4, axis=1)
    beta = np.concatenate([low, high[:, 1:]], axis=1)
    for _ in range(_ZOOMS):
        F1, F2 = moments(beta, S[:, None], tau[:, None], law)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            norm = np.where(F2 > 1e-250, F1 / F2, 0.0)
        gain = np.where((F1 > 0.0) & (norm < 50.0), F1 * norm, 0.0)
        k = np.argmax(gain, axis=1)
        centre, height, a = beta[rows, k], gain[rows, k], norm[rows, k]
        last = beta.shape[1] - 1
        below, above = beta[rows, np.maximum(k - 1, 0)], beta[rows, np.minimum(k + 1, last)]
        beta = np.linspace(below, above, 25, axis=1)
    return height, centre, a


def moments(beta: Float, S: Float, tau: Float, law: str) -> tuple[Float, Float]:
    """F1 and F2 of the docstring above, for arrays that broadcast together; tau > 0."""
    off = _rectified(beta, tau)
    if law == "binary":
        on = _rectified(beta + 1.0, tau)
        return S * on[1], S * on[2] + (1.0 - S) * off[2]
    if law == "uniform":
        on = _rectified(beta + 1.0, tau)
        whole = (on[3] - off[3]) / 3.0
        return S * 0.5 * (on[2] - whole), S * whole + (1.0 - S) * off[2]
    if law == "exponential":
        t, ratio = beta / tau, np.exp(-0.5 * (beta / tau) ** 2) / math.sqrt(2.0 * math.pi)
        tilted = np.exp(beta + 0.5 * tau**2 + log_ndtr(-(t + tau)))
        step = off[0] + tilted  # E [x + beta + tau g > 0]
        first = off[1] + step
        second = off[2] + 2.0 * first
        own = first + step + tau * ratio - (tau**2 + beta) * tilted
        return S * own, S * second + (1.0 - S) * off[2]
    raise BadInput(f"law = {law!r}: many features are known for binary, uniform and exponential")


def _rectified(y: Float, tau: Float) -> list[Float]:
    """E (y + tau g)_+^m for m = 0 .. 3; what rounding leaves far below 0 is cut off at 0."""
    t = y / tau
    density = np.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi)
    found = [ndtr(t), np.maximum(y * ndtr(t) + tau * density, 0.0)]
    for m in (2, 3):
        found.append(np.maximum(y * found[m - 1] + (m - 1) * tau**2 * found[m - 2], 0.0))
    return found
