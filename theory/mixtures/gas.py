"""The shadow gas: a block and ever more, ever weaker shadows of its features in its dimensions.

m shadows of squared norm eps^2 each, spread evenly, mass mu = m eps^2/d, m -> infinity. Each stays
linear, so per dimension they gain v (2 mu - mu^2 - mu rho n/d); a represented feature hears them as
Gaussian noise of variance rho mu v (central limit). Per dimension the gain is

    (n/d) (v - E x^2 + 2 rho F1 - rho^2 F2) + v (2 mu - mu^2 - mu rho n/d),
    F1 = E[x (t + beta + g)_+],  F2 = E (t + beta + g)_+^2,  Var g = tau v,  tau = mu/rho,

quadratic in rho at fixed (beta, tau). mu = 0 is the block alone, rho = 0 with mu = 1 dedicated
features. The limit is derived, its finite-m error is not bounded; the maximum is numerical.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from packing.errors import BadInput
from theory.features import Float, law_named
from theory.mixtures.blocks import block_loss, checked, variance
from theory.mixtures.counts import FloatRow

_DAMPING = 34.0  # shift of the line times the period: aliasing e^-34
_SIGMAS = 12.5  # a Gaussian beyond is less likely than e^(-2 damping)
_TAU = np.geomspace(0.01, 30.0, 31)


@dataclass(frozen=True)
class Gas:
    """A block with the shadow gas that serves it best, at one S.

    Parameters
    ----------
    gain : float
        Per dimension, of block and gas; at least ``plain`` and at least the variance v.
    plain : float
        Gain per dimension of the block alone.
    mu, rho, b : float
        Mass of the gas (squared norms per dimension), the block's squared norm and bias; mu = 0
        where the gas does not pay.
    local : bool
        Whether a gas of mass between 0 and 1 beats both the block and v.
    S : float
    law : str
    """

    gain: float
    plain: float
    mu: float
    rho: float
    b: float
    local: bool
    S: float
    law: str

    @property
    def one_minus_S(self) -> float:
        return 1.0 - self.S


def gas_gain(row: FloatRow, d: int, n: int, S: float, law: str = "binary") -> Gas:
    """The largest gain per dimension of a tight block with a shadow gas.

    Parameters
    ----------
    row : sequence of (cosine, count)
        Cosines of the block with the other features.
    d, n : int
    S : float
    law : {"binary", "uniform"}

    Returns
    -------
    Gas
        Numerical; gains to about 1e-9. tau below 0.01 is left to `shadows.shadow_margin`.

    Raises
    ------
    BadInput
        If S is no probability or the law has no fast path.
    """
    S = float(checked([S])[0])
    row = [(float(c), int(m)) for c, m in row if abs(c) > 1e-13]
    v = float(variance(np.array(S), law))
    size = n / d
    plain = size * (v - float(block_loss(row, [S], law)[0]))
    beta = np.linspace(-2.5, 1.5, 161)
    best = (-math.inf, 0.0, 0.0)  # gain, tau, beta
    for tau in _TAU.tolist():
        gain = _at(row, size, S, law, tau, beta)[0]
        k = int(np.argmax(gain))
        if gain[k] > best[0]:
            best = float(gain[k]), tau, float(beta[k])
    best = _refined(row, size, S, law, best)
    top, norm, mass = _at(row, size, S, law, best[1], np.array([best[2]]))
    found, rho, mu = float(top[0]), float(norm[0]), float(mass[0])
    local = found > max(plain, v) * (1.0 + 1e-7)
    if not local:
        dense = v >= plain
        return Gas(max(plain, v), plain, float(dense), 0.0, 0.0, False, S, law)
    return Gas(found, plain, mu, rho, rho * best[2], True, S, law)


def _at(
    row: FloatRow, size: float, S: float, law: str, tau: float, beta: Float
) -> tuple[Float, Float, Float]:
    """Gain per dimension, rho and mu at each beta, the best rho taken."""
    v = float(variance(np.array(S), law))
    F1, F2 = noisy(row, S, law, tau * v, beta)
    # gain = size (v - E x^2) + 2 rho A - rho^2 B
    A = size * F1 + v * tau
    B = size * F2 + v * (tau * tau + tau * size)
    rho = A / B
    second = law_named(law).second * S
    return size * (v - second) + A * rho, rho, tau * rho


def _refined(
    row: FloatRow, size: float, S: float, law: str, best: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Ever closer grids in beta and ln tau around the best point."""
    wide, far = 0.05, math.log(_TAU[1] / _TAU[0])
    for _ in range(12):
        _, tau, centre = best
        beta = centre + wide * np.linspace(-1.0, 1.0, 9)
        for step in (-1.0, -0.5, 0.0, 0.5, 1.0):
            at = tau * math.exp(far * step)
            gain = _at(row, size, S, law, at, beta)[0]
            k = int(np.argmax(gain))
            if gain[k] > best[0]:
                best = float(gain[k]), at, float(beta[k])
        wide, far = 0.4 * wide, 0.55 * far
    return best


def noisy(row: FloatRow, S: float, law: str, noise: float, beta: Float) -> tuple[Float, Float]:
    """F1 = E[x (t + beta + g)_+] and F2 = E (t + beta + g)_+^2 with Gaussian g, Var g = noise > 0.

    A transform integral on a line right of 0 (docs/theory.md, section 4): the Gaussian makes the
    integrand decay like e^(-noise u^2/2), so the trapezoidal rule is exact to rounding for both
    laws; what a period must hold are all sums and 12.5 standard deviations. Numerical, absolute
    error about 1e-12 where the sums stay moderate.
    """
    if not noise > 0.0:
        raise BadInput(f"noise = {noise}: give a variance above 0")
    c, m = np.array([x for x, _ in row]), np.array([float(k) for _, k in row])
    deviation = math.sqrt(noise)
    top = 1.0 + float(np.sum(m * np.maximum(c, 0.0))) + float(np.max(beta))
    period = max(top, 1.0) + _SIGMAS * deviation
    shift = _DAMPING / period
    h = 2.0 * math.pi / period
    # |integrand| falls by e^(-(noise/2) u^2): to e^-40
    nodes = math.ceil(math.sqrt(80.0) / deviation / h)
    s = shift + 1j * h * np.arange(nodes + 1)
    weight = np.full(nodes + 1, h / math.pi)
    weight[0] *= 0.5
    binary = law == "binary"

    def kernel(z: np.ndarray) -> np.ndarray:
        return np.exp(z) if binary else np.expm1(z) / z

    log = 0.5 * noise * s * s
    rest = np.exp(log) * weight
    for x, k in zip(c, m, strict=True):
        rest = rest * (1.0 - S + S * kernel(s * x)) ** k
    own = kernel(s)
    M = (1.0 - S + S * own) * rest
    N = S * (np.exp(s) if binary else (np.exp(s) - own) / s) * rest
    wave = np.exp(np.outer(beta, s))
    return (wave @ (N / s**2)).real, (wave @ (2.0 * M / s**3)).real
