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
from copy import copy
from functools import lru_cache

import numpy as np

from theory.features import Float
from theory.mixtures.contour import Line
from theory.mixtures.counts import FloatRow, alike
from theory.mixtures.few import FEW, few_on

LONGEST = 6.0
"""Largest squared norm considered; no block of the catalogue is best near it (numerical)."""

_DAMPING, _LEFT_OUT = 36.0, 1e-13  # c times the period (aliasing e^-36); what is left out, per S
_ROUGH = 16.0, 1e-7  # the same where a peak is only looked for
_WIDTH = 1e-7  # of a peak in beta: its height is then known to about 1e-14
_CHUNK = 32


def uniform_minimum(row: FloatRow, S: Float, *, rough: bool = False) -> tuple[Float, Float, Float]:
    """Least loss per feature over (rho, b), with the norm and bias that give it.

    Parameters
    ----------
    row : sequence of (cosine, count)
    S : (M,) array
        In (0, 1].
    rough : bool
        A few times faster, and good to about 1e-5 S only.

    Returns
    -------
    loss, rho, b : (M,) arrays
        Numerical; absolute error about 1e-12 S.
    """
    S = np.asarray(S, dtype=float)
    out = np.empty((3, S.size))
    for part in alike(S, 16.0 if rough else 4.0, _CHUNK):
        out[:, part] = _chunk(row, S[part], rough)
    return out[0], out[1], out[2]


def _chunk(row: FloatRow, S: Float, rough: bool) -> Float:
    """Peaks of F1^2/F2 are seen on a grid of beta in rough moments, then found in exact ones."""
    high = _end(row, S)
    moments = Moments(row, S, rough=True)
    exact = moments if rough else Moments(row, S)
    grid = np.concatenate(
        [np.linspace(-1.5, 0.0, 61), np.linspace(0.0, 1.0, 41)[1:], np.linspace(1.0, high, 21)[1:]]
    )
    F1, F2, D1, F0 = moments(np.broadcast_to(grid, (S.size, grid.size)))
    gain, h = _gain(F1, F2), D1 * F2 - F1 * F0
    falls = (h[:, :-1] > 0) & (h[:, 1:] <= 0)
    peaks = np.where(falls, np.maximum(gain[:, :-1], gain[:, 1:]), -np.inf)
    peaks[peaks < 0.99 * np.max(peaks, axis=1)[:, None]] = -np.inf
    best = np.stack([np.full(S.size, -np.inf), np.zeros(S.size), np.zeros(S.size)])
    if rough:
        k = np.argmax(gain, axis=1)
        rows = np.arange(S.size)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(gain > 0.0, 2.0 * F1 * h / F2**2, 0.0)
        best = np.stack([_top(grid, gain, slope), grid[k], _norm(F1[rows, k], F2[rows, k])])
    for _ in range(0 if rough else 2):  # the two highest: which is higher shows when both are sharp
        k = np.argmax(peaks, axis=1)
        rows = np.flatnonzero(np.isfinite(np.max(peaks, axis=1)))
        if not rows.size:
            break
        k = k[rows]
        found = _peak(exact.at(rows), grid[k], grid[k + 1])
        best[:, rows] = np.where(found[0] > best[0, rows], found, best[:, rows])
        peaks[rows, k] = -np.inf
    loss = S / 3.0 - best[0]
    alone = S / 3.0 - S * S / 4.0
    ignored = loss >= alone
    rho = np.where(ignored, 0.0, best[2])
    bias = np.where(ignored, S / 2.0, best[1] * best[2])
    return np.stack([np.where(ignored, alone, loss), rho, bias])


def _top(grid: Float, gain: Float, slope: Float) -> Float:
    """Height of the cubics on both sides of the highest point of each row, slopes known."""
    rows, k = np.arange(gain.shape[0])[:, None], np.argmax(gain, axis=1)[:, None]
    t = np.linspace(0.0, 1.0, 21)
    top = np.max(gain, axis=1)
    for i in (np.maximum(k - 1, 0), np.minimum(k, grid.size - 2)):
        width = grid[i + 1] - grid[i]
        cubic = (2 * t**3 - 3 * t**2 + 1) * gain[rows, i] + (3 - 2 * t) * t**2 * gain[rows, i + 1]
        cubic += width * t * (1 - t) * ((1 - t) * slope[rows, i] - t * slope[rows, i + 1])
        height = np.max(cubic, axis=1)
        top = np.where(height < 1.01 * top, np.maximum(top, height), top)
    return np.asarray(top)


def _peak(moments: Moments, a: Float, b: Float) -> Float:
    """Gain, beta and norm where h, of the sign of the slope of F1^2/F2, turns negative."""
    best = np.full((3, a.size), -np.inf)
    (ha, a), (hb, b) = (_signed(moments, x, a, b, side) for x, side in ((a, -1.0), (b, 1.0)))
    width, last, before = b - a, a, np.zeros(a.size)
    for step in range(40):
        with np.errstate(divide="ignore", invalid="ignore"):
            x = (a * hb - b * ha) / (hb - ha)
        slow = (step % 3 == 2) & (b - a > 0.3 * width)
        x = np.where(np.isfinite(x) & (x > a) & (x < b) & ~slow, x, 0.5 * (a + b))
        width = np.where(step % 3 == 2, b - a, width)
        F1, F2, D1, F0 = (m[:, 0] for m in moments(x[:, None]))
        h = D1 * F2 - F1 * F0
        gain = _gain(F1, F2)
        better = gain > best[0]
        best = np.where(better, np.stack([gain, x, _norm(F1, F2)]), best)
        up = h > 0
        # the end that stays a second time counts half (Illinois)
        hb = np.where(up, np.where(before > 0, 0.5, 1.0) * hb, h)
        ha = np.where(up, h, np.where(before < 0, 0.5, 1.0) * ha)
        before = np.where(up, 1.0, -1.0)
        a, b = np.where(up, x, a), np.where(up, b, x)
        if not np.any((np.abs(x - last) > _WIDTH) & (b - a > 0.01 * _WIDTH)):
            break
        last = x
    return best


def _signed(moments: Moments, x: Float, a: Float, b: Float, side: float) -> tuple[Float, Float]:
    """h at an end of the bracket, and the end: moved outwards where its sign came from noise."""
    for _ in range(4):
        F1, F2, D1, F0 = (m[:, 0] for m in moments(x[:, None]))
        h = D1 * F2 - F1 * F0
        wrong = h * side > 0
        if not np.any(wrong):
            break
        x = np.where(wrong, x + side * (b - a), x)
    return h, x


def _gain(F1: Float, F2: Float) -> Float:
    """F1^2/F2; 0 where the norm would exceed LONGEST: far below every vertex both are noise."""
    fine = (F1 > 0) & (F2 > 0) & (F1 < LONGEST * F2)
    return np.where(fine, F1 * F1 / np.where(fine, F2, 1.0), 0.0)


def _norm(F1: Float, F2: Float) -> Float:
    return np.where(F2 > 0, F1 / np.where(F2 > 0, F2, 1.0), 0.0)


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

    def __init__(self, row: FloatRow, S: Float, rough: bool = False) -> None:
        self.S = S
        c = np.array([x for x, _ in row])
        m = np.array([float(k) for _, k in row])
        others = m.sum()
        self.terms = {
            k: ((S**k * (1.0 - S) ** (others - k))[:, None] * weight, shift)
            for k, (weight, shift) in _vertices(tuple(row)).items()
        }
        self.much = _ROUGH if rough else (_DAMPING, _LEFT_OUT)
        self.row = (c, m) if others > FEW else None
        self.lines: dict[float, Line] = {}
        self.mean, self.variance = S / 2.0, S / 3.0 - S * S / 4.0
        self.t_mean = self.mean * (1.0 + c @ m)
        self.t_variance = self.variance * (1.0 + (c * c) @ m)

    def at(self, rows: np.ndarray) -> Moments:
        """The same for some of the S."""
        if rows.size == self.S.size:
            return self
        part = copy(self)
        part.lines = {}
        part.terms = {k: (weight[rows], shift) for k, (weight, shift) in self.terms.items()}
        for name in ("S", "mean", "variance", "t_mean", "t_variance"):
            setattr(part, name, getattr(self, name)[rows])
        return part

    def _line(self, sign: float) -> Line:
        if sign not in self.lines:
            assert self.row is not None
            self.lines[sign] = Line(*self.row, self.S, sign, self.much)
        return self.lines[sign]

    def __call__(self, beta: Float) -> tuple[Float, Float, Float, Float]:
        out = np.zeros((4, *beta.shape))
        right = beta > 0.0
        self._few(beta, right, out)
        z = self.t_mean[:, None] + beta
        mean, variance = self.mean[:, None], self.variance[:, None]
        linear = variance + mean * z, self.t_variance[:, None] + z * z, mean + 0 * z, z
        for total, whole in zip(out, linear, strict=True):
            total += np.where(right, whole, 0.0)
        for sign, chosen in ((1.0, ~right), (-1.0, right)) if self.row is not None else ():
            if beta.shape[1] > 1:  # on the grid, the same for all S
                columns = np.flatnonzero(chosen[0])
                if columns.size:
                    out[:, :, columns] += self._line(sign).together(beta[0, columns])
            else:
                rows, columns = np.nonzero(chosen)
                if rows.size:
                    out[:, rows, columns] += self._line(sign).apart(rows, beta[rows, columns])
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


@lru_cache(maxsize=512)
def _vertices(row: tuple[tuple[float, int], ...]) -> dict[int, tuple[Float, Float]]:
    """Vertices of the patterns with few on, per unit of the chance of a pattern (k on)."""
    c = np.array([x for x, _ in row])
    m = np.array([float(k) for _, k in row])
    unit = 2.0 ** float(m.sum())  # at S = 1/2 every pattern has the chance 1/unit, a power of two
    return {k: (w[0] * unit, v) for k, (w, v) in few_on(c, m, np.array([0.5])).items()}
