"""The transform integral of `theory.mixtures.transforms` on one line of the complex plane.

With s = c + iu the integrands decay like u^-8 once the patterns with few on are taken out, and the
trapezoidal rule of step h errs by e^(-2 pi c/h) relative. Where to stop is bounded term by term,
how fine the step must be by Chernoff's bound on the length of the period. Numerical.
"""

from __future__ import annotations

import math

import numpy as np

from theory.features import Float
from theory.mixtures.few import FEW, elementary, low_orders


class Line:
    """The transform on one line, right (sign 1) or left (sign -1) of the pole at 0."""

    def __init__(
        self, c: Float, m: Float, S: Float, sign: float, much: tuple[float, float]
    ) -> None:
        damping, left_out = much
        period = _period(sign * c, m, float(S.max()), sign, damping)
        shift = sign * damping / period
        h = 2.0 * math.pi / period
        # from u = 0 in steps of h, the first node at half weight
        nodes = math.ceil(_reach(c, m, S, shift, left_out) / h)
        s = shift + 1j * h * np.arange(nodes + 1)
        weight = np.full(nodes + 1, h / math.pi)
        weight[0] *= 0.5
        kernel = np.array([(np.exp(s * x) - 1.0) / (s * x) for x in c])
        rest = np.ones((S.size, s.size), dtype=complex)
        for x, k in zip(kernel, m, strict=True):
            rest *= (1.0 - S[:, None] + S[:, None] * x) ** k
        rest = weight * (rest - low_orders(kernel, m, S))
        own = (np.exp(s) - 1.0) / s
        N = S[:, None] * (np.exp(s) - own) / s * rest
        M = (1.0 - S[:, None] + S[:, None] * own) * rest
        self.s = s
        self.parts = N / s**2, 2.0 * M / s**3, N / s, M / s**2

    def together(self, beta: Float) -> Float:
        wave = np.exp(np.outer(self.s, beta))
        return np.stack([(part @ wave).real for part in self.parts])

    def apart(self, rows: np.ndarray, beta: Float) -> Float:
        wave = np.exp(np.outer(beta, self.s))
        return np.stack([np.einsum("ij,ij->i", part[rows], wave).real for part in self.parts])


def _period(c: Float, m: Float, S: float, sign: float, damping: float) -> float:
    """A length that sum c_j x_j (+ x) does not exceed but with chance e^-(2 damping) (Chernoff)."""
    top = max(sign, 0.0) + float(np.sum(m * np.maximum(c, 0.0)))
    theta = np.geomspace(0.5, 60.0, 60)
    log = _log_moment(c, m, S, sign, theta)
    need = (log + np.log(2.0 / theta**2) + 2.0 * damping) / theta
    period = max(min(top, float(np.min(need))), 1.0) * 1.01
    # a smaller damping rate keeps rounding errors from growing with the moment e^(st)
    while _log_moment(c, m, S, sign, np.array([damping / period]))[0] > 4.0:
        period *= 1.2
    return period


def _log_moment(c: Float, m: Float, S: float, sign: float, theta: Float) -> Float:
    """log E e^(theta t)."""
    x, own = theta[:, None] * c, sign * theta
    log = np.sum(m * np.log1p(S * (np.expm1(x) / x - 1.0)), axis=1)
    return np.asarray(log + np.log1p(S * (np.expm1(own) / own - 1.0)))


def _reach(c: Float, m: Float, S: Float, shift: float, left_out: float) -> float:
    """How far to integrate: patterns with more than FEW on, bounded term by term."""
    size = (np.exp(np.maximum(shift * c, 0.0)) + 1.0) / np.abs(c)
    grow, others = math.exp(max(shift, 0.0)), m.sum()
    u = 12.0 * 1.3 ** np.arange(36)
    x = size[:, None] / u
    at = S[:, None]
    full = np.prod((1.0 - at + at * x[:, None, :]) ** m[:, None, None], axis=0)
    # by the number on, k: chance times the k-th elementary symmetric sum
    e = elementary(x, m, FEW + 1)
    few = sum(at**k * (1.0 - at) ** (others - k) * e[k] for k in range(FEW + 1))
    rest = full - few
    if others > FEW:  # where the difference is rounding, the next term stands for it
        first = at ** (FEW + 1) * (1.0 - at) ** (others - FEW - 1) * e[FEW + 1]
        rest = np.maximum(np.abs(rest), 2.0 * first)
    enough = np.all(rest * grow / u**2 < left_out * at, axis=0)
    return float(u[np.argmax(enough)]) if np.any(enough) else float(u[-1])
