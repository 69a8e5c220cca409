"""How far z can reach: the period of the series, and what is left outside it.

The period follows from the support of z, or from Chernoff's bound where that allows a shorter one.
"""

from __future__ import annotations

import numpy as np

from theory.features import Law, Uniform
from theory.rows import Float
from theory.rows import series as sr


def size_of(a: Float, b: Float, p: Float, law: Law) -> Float:
    """sqrt of E(|b| + sum |a_j| x_j)^2, the scale of every rounding error."""
    mean = np.abs(b) + np.sum(np.abs(a) * p, axis=1) * law.mean
    return np.sqrt(mean**2 + np.sum(a * a * p, axis=1) * law.second)


def support_of(a: Float, b: Float, p: Float, law: Law) -> tuple[Float, Float]:
    """Smallest and largest value of z, (R,) each."""
    on = p > 0.0
    up = np.where(on & (a > 0.0), a, 0.0).sum(axis=1)
    down = np.where(on & (a < 0.0), a, 0.0).sum(axis=1)
    with np.errstate(invalid="ignore"):
        high = b + np.where(up > 0.0, up * law.upper, 0.0)
        low = b + np.where(down < 0.0, down * law.upper, 0.0)
    return low, high


def period_of(a: Float, b: Float, p: Float, law: Law, rtol: float) -> tuple[Float, Float, Float]:
    """P, and bounds on E[z^2; |z| > T] and E[x_own |z|; |z| > T] with P = MARGIN T.

    T is the support, or less where Chernoff's bound allows: z^2 <= T^2 e^{theta (|z| - T)} for
    |z| > T and theta T >= 2.
    """
    low, high = support_of(a, b, p, law)
    second = p[:, 0] * law.second
    goal = np.log(1e-4 * rtol * 1e-2 * second)
    widest = np.abs(a).max(axis=1) * min(law.upper, np.sqrt(law.second))
    T = np.abs(b)
    candidates = []
    for sign, edge in ((1.0, high), (-1.0, -low)):
        c = sign * a
        reach = np.where(c > 0.0, c, 0.0).max(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            limit = np.where(reach > 0.0, law.strip[1] / reach, np.inf)
            other = np.where(c < 0.0, -c, 0.0).max(axis=1)
            limit = np.minimum(limit, np.where(other > 0.0, -law.strip[0] / other, np.inf))
        top = np.minimum(40.0 / widest, 0.97 * limit)
        theta = top[:, None] * np.concatenate([[1.0, 0.93, 0.85], 2.0 ** (-0.5 * np.arange(1, 19))])
        log_m, log_x = np.empty_like(theta), np.empty_like(theta)
        for i in range(theta.shape[1]):
            s = theta[:, i, None] * c
            f = 1.0 - p + p * _real_transform(law, s)
            log_m[:, i] = theta[:, i] * sign * b + np.log(f).sum(axis=1)
            g = p[:, 0] * law.transform(s[:, 0].astype(np.complex128), 1).real
            log_x[:, i] = log_m[:, i] + np.log(g) - np.log(f[:, 0])
        candidates.append((theta, log_m, log_x))
        size = np.maximum(size_of(a, b, p, law), 1e-300)
        for _ in range(4):
            both = np.maximum(log_m + 2.0 * np.log(size)[:, None], log_x)
            both = np.maximum(both, log_x + np.log(size)[:, None])
            need = (both - goal[:, None]) / theta
            chernoff = np.maximum(need, 2.0 / theta).min(axis=1)
            size = np.maximum(chernoff, 1e-300)
        T = np.maximum(T, np.minimum(edge, chernoff))
    tail2, tail1 = np.zeros(a.shape[0]), np.zeros(a.shape[0])
    for (theta, log_m, log_x), edge in zip(candidates, (high, -low), strict=True):
        x = theta * T[:, None]
        z2 = np.where(x >= 2.0, 2.0 * np.log(T)[:, None] - x + log_m, np.inf).min(axis=1)
        xz = np.where(x >= 1.0, np.log(T)[:, None] - x + log_x, np.inf).min(axis=1)
        out = edge > T
        tail2 = tail2 + np.where(out, np.exp(z2), 0.0)
        tail1 = tail1 + np.where(out, np.exp(xz), 0.0)
    return sr.MARGIN * T, tail2, tail1


def _real_transform(law: Law, s: Float) -> Float:
    """E[e^{s x} | on] for real s; many are needed, so the uniform law has its closed form."""
    if isinstance(law, Uniform):
        near = np.abs(s) < 1e-12
        return np.where(near, 1.0, np.expm1(s) / np.where(near, 1.0, s))
    return law.transform(s.astype(np.complex128), 0).real
