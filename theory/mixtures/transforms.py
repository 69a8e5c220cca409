"""Least losses of one-orbit blocks under the uniform law, for many S at once, in floats.

With beta = b/rho the loss is S/3 - 2 rho F1 + rho^2 F2, F1 = E[x (t+beta)_+], F2 = E[(t+beta)_+^2],
so its minimum over rho is S/3 - F1^2/F2. Patterns with at most four other features on are summed
in closed form (vertices of cubes); the rest is the transform integral of docs/theory.md, section 4,

    F2 = (2/pi) int Re[e^(beta s) M(s)/s^3] du,   F1 = (1/pi) int Re[e^(beta s) N(s)/s^2] du,

on s = c + iu, M(s) = E e^(st), N(s) = E x e^(st). Cosines with multiplicities make M a product of
a few powers. What is left out decays like u^-8 and is bounded; the trapezoidal rule of step h errs
by e^(-2 pi c/h) relative (aliasing). For beta > 0 the line lies left of the pole at 0, c < 0, which
gives E[z_+^2 - z^2] instead: nothing grows, and E z^2 is added. Numerical: no ball arithmetic;
`theory.closed_form` encloses.
"""

from __future__ import annotations

import math

import numpy as np

from theory.features import Float
from theory.mixtures.counts import FloatRow, alike
from theory.mixtures.few import FEW, elementary, few_on, low_orders

LONGEST = 6.0
"""Largest squared norm considered; no block of the catalogue is best near it (numerical)."""

_DAMPING = 36.0  # c times the period: aliasing e^-36
_CHUNK = 32


def uniform_minimum(row: FloatRow, S: Float) -> tuple[Float, Float, Float]:
    """Least loss per feature over (rho, b), with the norm and bias that give it.

    Parameters
    ----------
    row : sequence of (cosine, count)
    S : (M,) array
        In (0, 1].

    Returns
    -------
    loss, rho, b : (M,) arrays
        Numerical; absolute error about 1e-12 S.
    """
    S = np.asarray(S, dtype=float)
    out = np.empty((3, S.size))
    for part in alike(S, 4.0, _CHUNK):
        out[:, part] = _chunk(row, S[part])
    return out[0], out[1], out[2]


def _chunk(row: FloatRow, S: Float) -> Float:
    high = _end(row, S)
    moments = Moments(row, S)
    grid = np.concatenate(
        [np.linspace(-1.5, 0.0, 61), np.linspace(0.0, 1.0, 41)[1:], np.linspace(1.0, high, 21)[1:]]
    )
    F1, F2, D1, F0 = moments(np.broadcast_to(grid, (S.size, grid.size)))
    gain, h = _gain(F1, F2), D1 * F2 - F1 * F0
    falls = (h[:, :-1] > 0) & (h[:, 1:] <= 0)
    peaks = np.where(falls, np.maximum(gain[:, :-1], gain[:, 1:]), -np.inf)
    peaks[peaks < 0.99 * np.max(peaks, axis=1)[:, None]] = -np.inf
    best = np.stack([np.full(S.size, -np.inf), np.zeros(S.size), np.zeros(S.size)])
    rows = np.arange(S.size)
    for _ in range(2):  # the two highest peaks: which is higher shows only when both are sharp
        k = np.argmax(peaks, axis=1)
        known = np.isfinite(peaks[rows, k])
        if not np.any(known):
            break
        found = _peak(moments, (grid[k], grid[k + 1]), (h[rows, k], h[rows, k + 1]))
        found[0] = np.where(known, found[0], -np.inf)
        best = np.where(found[0] > best[0], found, best)
        peaks[rows, k] = -np.inf
    loss = S / 3.0 - best[0]
    alone = S / 3.0 - S * S / 4.0
    ignored = loss >= alone
    rho = np.where(ignored, 0.0, best[2])
    bias = np.where(ignored, S / 2.0, best[1] * best[2])
    return np.stack([np.where(ignored, alone, loss), rho, bias])


def _peak(moments: Moments, ends: tuple[Float, Float], slopes: tuple[Float, Float]) -> Float:
    """Gain, beta and norm where h, of the sign of the slope of F1^2/F2, turns negative."""
    (a, b), (ha, hb) = ends, slopes
    best = np.full((3, a.size), -np.inf)
    for step in range(40):
        with np.errstate(divide="ignore", invalid="ignore"):
            x = (a * hb - b * ha) / (hb - ha)
        x = np.where(np.isfinite(x) & (x > a) & (x < b) & (step % 3 != 2), x, 0.5 * (a + b))
        F1, F2, D1, F0 = (m[:, 0] for m in moments(x[:, None]))
        h = D1 * F2 - F1 * F0
        gain = _gain(F1, F2)
        with np.errstate(divide="ignore", invalid="ignore"):
            better = gain > best[0]
            best = np.where(better, np.stack([gain, x, F1 / F2]), best)
        up = h > 0
        hb, ha = np.where(up, 0.5 * hb, h), np.where(up, h, 0.5 * ha)
        still = np.abs(x - np.where(up, a, b)) > 1e-9
        a, b = np.where(up, x, a), np.where(up, b, x)
        if step > 1 and not np.any(still & (b - a > 1e-11)):
            break
    return best


def _gain(F1: Float, F2: Float) -> Float:
    """F1^2/F2; 0 where the norm would exceed LONGEST: far below every vertex both are noise."""
    fine = (F1 > 0) & (F2 > 0) & (F1 < LONGEST * F2)
    return np.where(fine, F1 * F1 / np.where(fine, F2, 1.0), 0.0)


def _end(row: FloatRow, S: Float) -> float:
    """A beta beyond which the gain falls (the model is linear there), or a generous one."""
    mean, variance = S / 2.0, S / 3.0 - S * S / 4.0
    total = 1.0 + sum(c * m for c, m in row)
    t_mean, t_variance = total * mean, variance * (1.0 + sum(c * c * m for c, m in row))
    product = variance + mean * t_mean
    root = (mean * (t_variance + t_mean**2) - product * t_mean) / variance
    return float(min(np.max(root), 60.0)) + 1.5


class Moments:
    """F1, F2, F1' = E[x; t+beta > 0] and F0 = E(t+beta)_+ at beta (M, B), for M values of S."""

    def __init__(self, row: FloatRow, S: Float) -> None:
        self.S = S
        c = np.array([x for x, _ in row])
        m = np.array([float(k) for _, k in row])
        self.terms = few_on(c, m, S)
        self.sides = [_Line(c, m, S, sign) for sign in (1.0, -1.0)] if m.sum() > FEW else []
        self.mean, self.variance = S / 2.0, S / 3.0 - S * S / 4.0
        self.t_mean = self.mean * (1.0 + c @ m)
        self.t_variance = self.variance * (1.0 + (c * c) @ m)

    def __call__(self, beta: Float) -> tuple[Float, Float, Float, Float]:
        out = np.zeros((4, *beta.shape))
        right = beta > 0.0
        self._few(beta, right, out)
        z = self.t_mean[:, None] + beta
        mean, variance = self.mean[:, None], self.variance[:, None]
        linear = variance + mean * z, self.t_variance[:, None] + z * z, mean + 0 * z, z
        for total, whole in zip(out, linear, strict=True):
            total += np.where(right, whole, 0.0)
        for line, chosen in zip(self.sides, (~right, right), strict=False):
            if np.all(beta == beta[0]):
                columns = np.flatnonzero(chosen[0])
                if columns.size:
                    out[:, :, columns] += line.together(beta[0, columns])
            else:
                rows, columns = np.nonzero(chosen)
                if rows.size:
                    out[:, rows, columns] += line.apart(rows, beta[rows, columns])
        return out[0], out[1], out[2], out[3]

    def _few(self, beta: Float, right: np.ndarray, out: Float) -> None:
        """E over k uniforms of (shift + ...): antiderivatives of the kernels, on either side."""
        S, common = self.S[:, None], bool(np.all(beta == beta[0]))
        for k, (weight, shift) in self.terms.items():
            # kernels at (terms, B) where all S share beta, else at (M, terms, B)
            at = beta[0] + shift[:, None] if common else beta[:, None, :] + shift[:, None]
            side = right[0] if common else right[:, None, :]
            y, z = (np.where(side, np.minimum(v, 0.0), np.maximum(v, 0.0)) for v in (at, at + 1.0))
            if k:
                yk, zk = y**k, z**k
            else:  # powers of nothing: a step
                yk, zk = (np.where(side, v < 0, v > 0).astype(float) for v in (y, z))
            y1, z1 = yk * y, zk * z
            y2, z2 = y1 * y, z1 * z
            rise, p, q = (z2 * z - y2 * y) / (k + 3), k + 1, (k + 1) * (k + 2)
            step = (z2 - y2) / (k + 2)

            def summed(kernel: Float, weight: Float = weight) -> Float:
                if common:
                    return np.asarray(weight @ kernel)
                return np.asarray(np.einsum("mt,mtb->mb", weight, kernel))

            scale = np.where(right, -1.0, 1.0) / math.factorial(k)
            out[0] += scale * S / q * summed(z2 - rise)
            out[1] += scale * 2.0 / q * ((1.0 - S) * summed(y2) + S * summed(rise))
            out[2] += scale * S / p * summed(z1 - step)
            out[3] += scale / p * ((1.0 - S) * summed(y1) + S * summed(step))


class _Line:
    """The transform on one line, right (sign 1) or left (sign -1) of the pole at 0."""

    def __init__(self, c: Float, m: Float, S: Float, sign: float) -> None:
        period = _period(sign * c, m, float(S.max()), sign)
        shift = sign * _DAMPING / period
        h = 2.0 * math.pi / period
        # from u = 0 in steps of h, the first node at half weight
        nodes = math.ceil(_reach(c, m, S, shift) / h)
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


def _period(c: Float, m: Float, S: float, sign: float) -> float:
    """A length that sum c_j x_j (+ x) does not exceed but with chance e^-(2 damping) (Chernoff)."""
    top = max(sign, 0.0) + float(np.sum(m * np.maximum(c, 0.0)))
    theta = np.geomspace(0.5, 60.0, 60)
    log = _log_moment(c, m, S, sign, theta)
    need = (log + np.log(2.0 / theta**2) + 2.0 * _DAMPING) / theta
    period = max(min(top, float(np.min(need))), 1.0) * 1.01
    # a smaller damping rate keeps rounding errors from growing with the moment e^(st)
    while _log_moment(c, m, S, sign, np.array([_DAMPING / period]))[0] > 4.0:
        period *= 1.2
    return period


def _log_moment(c: Float, m: Float, S: float, sign: float, theta: Float) -> Float:
    """log E e^(theta t)."""
    x, own = theta[:, None] * c, sign * theta
    log = np.sum(m * np.log1p(S * (np.expm1(x) / x - 1.0)), axis=1)
    return np.asarray(log + np.log1p(S * (np.expm1(own) / own - 1.0)))


def _reach(c: Float, m: Float, S: Float, shift: float) -> float:
    """How far to integrate: patterns with more than FEW on, bounded term by term."""
    size = (np.exp(np.maximum(shift * c, 0.0)) + 1.0) / np.abs(c)
    grow = math.exp(max(shift, 0.0))
    most = int(min(m.sum(), 60))
    u = 12.0
    while u < 1e5:
        x = size / u
        # by the number on, k: chance times the k-th elementary symmetric sum, up to most
        full = np.prod((1.0 - S[:, None] + S[:, None] * x) ** m, axis=1)
        few = np.zeros_like(S)
        for k, e in enumerate(elementary(x, m, FEW)):
            few += S**k * (1.0 - S) ** (m.sum() - k) * e
        rest = full - few
        if most > FEW:  # where the difference is rounding, the next term stands for it
            e = elementary(x, m, FEW + 1)[-1]
            first = S ** (FEW + 1) * (1.0 - S) ** (m.sum() - FEW - 1) * e
            rest = np.maximum(np.abs(rest), 2.0 * first)
        if np.all(rest * grow / u**2 < 1e-13 * S):
            break
        u *= 1.3
    return u
