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
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr

from packing.errors import BadInput
from packing.results import Evidence, Result, shown
from packing.types import Float
from theory.features import law_named
from theory.mixtures.block_table import Block, blocks, checked, variance
from theory.mixtures.mixture import LIMIT, losses, prices

FURTHEST = 1e7
"""Largest n/d that `ratio_at` looks at."""

_GRID, _ZOOMS = 240, 6


@dataclass(frozen=True, repr=False)
class ManyFeatures(Result):
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

    @property
    def evidence(self) -> Evidence:
        """Numerical, and in the limit of many features."""
        return Evidence.NUMERICAL

    @property
    def one_minus_S(self) -> float:
        return 1.0 - self.S

    def _values(self) -> dict[str, Any]:
        return {
            "ratio": self.ratio,
            "S": self.S,
            "one_minus_S": self.one_minus_S,
            "law": self.law,
            "loss_per_feature": self.loss,
            "a": self.a,
            "b": self.b,
            "sigma": self.sigma,
            "D_star": self.D_star,
            "status": self.evidence,
        }

    def _facts(self) -> list[tuple[str, str]]:
        return [(name, shown(value, 8)) for name, value in self.to_dict().items()]


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
    v = variance(np.array([float(S)]), law)[0]
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
    v = variance(S, law)
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
    v = float(variance(np.array([S]), law)[0])

    def over(log_ratio: float) -> float:
        return float(many_losses([math.exp(log_ratio)], [S], law)[0][0]) - share * v

    if over(math.log(FURTHEST)) < 0.0:
        return math.inf
    return math.exp(float(brentq(over, 0.0, math.log(FURTHEST), xtol=1e-12)))


def many_gain(S: Sequence[float] | Float, law: str = "binary") -> tuple[Float, Float]:
    """Largest gain per dimension, (n/d)(v - loss), over all n/d at each S, and that n/d."""
    S = np.atleast_1d(np.asarray(S, dtype=float))
    v = variance(S, law)
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


def _best(S: Float, tau: Float, law: str) -> tuple[Float, Float, Float]:
    """F1^2/F2 at its highest over beta, with beta and a = F1/F2, each (M,)."""
    reach = 8.0 * tau + 4.0
    rows = np.arange(S.size)
    # far above 0 the model is linear, and beta = E x/a at its best, E x n/d at most
    far = 4.0 * (1.0 + tau**2 / variance(S, law)) + 2.0 * reach
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


# Many features and dimensions: the best blocks at fixed d/n, and for features in surplus. Per
# dimension block a places x_a = n_a/d_a features and saves y_a = (n_a/d_a)(v - l_a(S)). Mixtures in
# large numbers reach every point below the upper concave envelope of these points, of (1, v) for
# dedicated features and of (0, 0), and no other (proved: an integer programme tends to its linear
# relaxation). At x = n/d features per dimension the best mixture costs v - E(x)/x per feature, E
# the envelope; beyond the block of largest y features are in surplus and are ignored. Losses of
# blocks are numerical and symmetric, so all of this is "best known": an upper bound on the least
# loss.


DEDICATED = Block("dedicated", 1, 1, ())


MANY = "many features"


def gains(
    S: float | Sequence[float] | Float, law: str = "binary", *, many: bool = False
) -> dict[str, Float]:
    """Gain per dimension of every block, dedicated features included, at each S (M,).

    With ``many`` also that of the many-features solution at its best n/d. At S = 0 nothing is lost
    and nothing gained: all are 0.
    """
    S = checked(S)
    table = blocks(law)
    v = variance(S, law)
    found = {DEDICATED.name: v}
    for block, loss in zip(table, losses(table, S, law), strict=True):
        found[block.name] = block.n / block.d * (v - loss)
    if many:
        found[MANY] = many_gain(S, law)[0]
    return found


def many_takeover(law: str = "binary", *, S_min: float = 1e-3, points: int = 13) -> float:
    """The S below which the many-features solution gains more per dimension than every block.

    There the sequence of `surplus` is no longer best known: features in surplus are better placed
    by the many-features solution at its best n/d, which many more dimensions are needed for.

    Parameters
    ----------
    law : {"binary", "uniform"}
    S_min : float
    points : int
        Grid from S_min to 0.2 on which the order is seen; an island narrower than a step is missed.

    Returns
    -------
    float
        1e-4 relative; numerical, for the blocks of the table, in the limit n, d -> infinity.

    Raises
    ------
    BadInput
        If S_min is not in (0, 0.1), the law has no blocks, or blocks still gain more at S_min.
    """
    if law not in ("binary", "uniform") or not 0 < S_min < 0.1:
        raise BadInput(f"law = {law!r}, S_min = {S_min}: give binary or uniform, S_min in (0, 0.1)")
    table = blocks(law)
    size = np.array([[b.n / b.d] for b in table])

    def per_block(S: Float, chosen: Sequence[int]) -> Float:
        loss = losses([table[k] for k in chosen], S, law)
        return np.asarray(size[list(chosen)] * (variance(S, law) - loss))

    grid = np.geomspace(S_min, 0.2, points)
    gain = per_block(grid, range(len(table)))
    ahead = many_gain(grid, law)[0] > np.max(gain, axis=0)
    if not ahead[0]:
        raise BadInput(
            f"at S_min = {S_min} blocks gain more than many features: give a smaller one"
        )
    k = int(np.argmin(ahead))
    share = np.max((gain / np.max(gain, axis=0))[:, k - 1 : k + 1], axis=1)
    near = np.flatnonzero(share > 0.8).tolist()

    def behind(S: float) -> float:
        at = np.array([S])
        return float(np.max(per_block(at, near)) - many_gain(at, law)[0][0])

    return float(brentq(behind, grid[k - 1], grid[k], rtol=1e-4))


def envelope(
    ratio: float, S: float, law: str = "binary", *, many: bool = True
) -> tuple[tuple[str, ...], float]:
    """The blocks of the best mixture at d/n = ratio in the limit, and its loss per feature.

    Parameters
    ----------
    ratio : float
        d/n in (0, 1).
    S : float
        At S = 0, a limit, the loss is 0 and the names are those of `mixture.LIMIT`.
    law : {"binary", "uniform"}
    many : bool
        Whether the many-features solution (`theory.mixtures.gaussian_limit`) at any n/d may be
        mixed in.

    Returns
    -------
    names : tuple of str
        One or two blocks; ``ignored`` where features are in surplus.
    loss : float
        Per feature; an upper bound on the least loss ("best known").

    Raises
    ------
    BadInput
        If the ratio is not in (0, 1) or S no probability.
    """
    if not 0 < ratio < 1:
        raise BadInput(f"d/n = {ratio}: give a number in (0, 1); from 1 on nothing is lost")
    table = (DEDICATED, *blocks(law))
    at = checked(S)
    if at[0] == 0.0:
        return envelope(ratio, LIMIT, law, many=many)[0], 0.0
    v = float(variance(at, law)[0])
    loss = np.concatenate([[0.0], losses(table[1:], at, law)[:, 0]])
    items: list[tuple[float, float, float]] = list(items_of(table, loss, v))
    names = [block.name for block in table]
    lam, mu, basis = prices(items, ratio, 1.0)
    for around in (None, 0.03, 0.0005) if many else ():  # the family on a grid, then on closer ones
        at_ratio = _ratios(items, basis, len(table), around)
        saved = at_ratio * (v - many_losses(at_ratio, at, law)[0])
        items += [(1.0, float(x), float(g)) for x, g in zip(at_ratio, saved, strict=True)]
        names += [f"{MANY} (n/d = {x:.4g})" for x in at_ratio.tolist()]
        lam, mu, basis = prices(items, ratio, 1.0)
    words = {-1: "unused dimension", -2: "ignored"}
    return tuple(words[k] if k < 0 else names[k] for k in basis), v - (lam * ratio + mu)


def _ratios(
    items: Sequence[tuple[float, float, float]], basis: list[int], first: int, around: float | None
) -> Float:
    """Values of n/d for the many-features solution: everywhere, or near those in the basis."""
    if around is None:
        return np.geomspace(1.02, 3e4, 400)
    near = [items[k][1] for k in basis if k >= first]
    found = [x * np.exp(around * np.linspace(-1.0, 1.0, 61)) for x in near]
    return np.maximum(np.concatenate([np.zeros(0), *found]), 1.0 + 1e-6)


def items_of(table: Sequence[Block], loss: Float, v: float) -> list[tuple[int, int, float]]:
    """Dimensions, features and gain of every block; -1 per feature where it has no loss."""
    saved = np.where(np.isfinite(loss), v - np.where(np.isfinite(loss), loss, 0.0), -1.0)
    gain = [b.n * float(x) for b, x in zip(table, saved, strict=True)]
    return [(b.d, b.n, g) for b, g in zip(table, gain, strict=True)]


def shortfall(table: Sequence[Block], loss: Float, S: float, law: str) -> Float:
    """Per block: which share of the envelope's gain at its own n/d it lacks, (blocks,)."""
    v = float(variance(np.array(S), law))
    items = [(1, 1, v), *items_of(table, loss, v)]
    short = []
    for a, b, g in items[1:]:
        lam, mu, _ = prices(items, a, b)
        whole = lam * a + mu * b
        short.append((whole - g) / whole)
    return np.array(short)
