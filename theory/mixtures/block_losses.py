"""Least losses of one-orbit blocks under the binary law, for many S at once, in floats.

A feature sees t = x + sum_k c_k J_k with J_k ~ Binomial(m_k, S); its output is (rho t + b)_+. For
each set of active states t > threshold the loss is quadratic in (rho, b) and its minimiser has a
formula (docs/phases.md; `theory.symmetric.binary` proves that nothing else can be best). Here the
formula only proposes (rho, b): what is returned is the loss at the best of them, a sum of squares,
so its relative error is that of the weights (about 1e-13) and it is never below the truth by more.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from copy import copy
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.sparse as sparse
from scipy.special import gammaln

from packing.errors import NotReached
from packing.types import Float, Int

FloatRow = Sequence[tuple[float, int]]
"""Cosines other than 0 with the other features, and how many have each."""

LARGEST = 60_000
"""Sums t beyond which a row is refused; they take time, and nothing is gained by so many."""

_NEGLIGIBLE = 1e-26  # chance of a count that is left out; a sum of squares is at most about 1e4
_CHUNK, _ENTRIES = 64, 4_000_000  # S that are done together, and numbers in one array


def binary_minimum(row: FloatRow, S: Float) -> tuple[Float, Float, Float]:
    """Least loss per feature over (rho, b), with the norm and bias that give it.

    Parameters
    ----------
    row : sequence of (cosine, count)
    S : (M,) array
        In (0, 1).

    Returns
    -------
    loss, rho, b : (M,) arrays
        Numerical; relative error about 1e-12.

    Raises
    ------
    NotReached
        If the row has too many different sums.
    """
    S = np.asarray(S, dtype=float)
    out = np.empty((3, S.size))
    for part in alike(S, 3.0, _CHUNK, 1e-12):
        out[:, part] = _chunk(row, S[part])
    return out[0], out[1], out[2]


def alike(S: Float, ratio: float, most: int, spare: float = 0.0) -> Iterator[Int]:
    """Indices of S, upwards, in groups of at most ``most`` within a factor (and ``spare``)."""
    order = np.argsort(S)
    start = 0
    while start < S.size:
        top = ratio * S[order[start]] + spare
        stop = start + 1
        while stop < S.size and stop - start < most and S[order[stop]] <= top:
            stop += 1
        yield order[start:stop]
        start = stop


def _chunk(row: FloatRow, S: Float) -> Float:
    t, weight = _sums(row, S)
    t = np.concatenate([t, t + 1.0])
    off, on = (1.0 - S)[:, None] * weight, S[:, None] * weight
    down = np.argsort(-t)
    t = t[down]
    mass = np.concatenate([off, on], axis=1)[:, down]
    own = np.concatenate([np.zeros_like(off), on], axis=1)[:, down]
    M0, M1, M2 = (np.cumsum(mass * t**k, axis=1) for k in range(3))
    X0, X1 = np.cumsum(own, axis=1), np.cumsum(own * t, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        D = M0 * M2 - M1 * M1
        rho, b = (X1 * M0 - X0 * M1) / D, (X0 * M2 - X1 * M1) / D
        gain = rho * X1 + b * X0
    following = np.append(t[1:], -np.inf)
    slack = 1e-11 * (1.0 + np.abs(b))
    with np.errstate(invalid="ignore"):
        valid = (D > 0) & (rho > 0) & (rho * t + b >= -slack)
        valid[:, :-1] &= (rho * following + b <= slack)[:, :-1]
    gain = np.where(valid & np.isfinite(gain), gain, -np.inf)
    best = np.stack([S * (1.0 - S), np.zeros_like(S), S])
    rows = np.arange(S.size)
    for _ in range(3):  # rounding may swap the formulas of near ties: squares decide
        k = np.argmax(gain, axis=1)
        known = np.isfinite(gain[rows, k])
        r, c = np.where(known, rho[rows, k], 0.0), np.where(known, b[rows, k], S)
        z = np.maximum(r[:, None] * t + c[:, None], 0.0)
        value = np.sum((mass - own) * z * z + own * (1.0 - z) ** 2, axis=1)
        better = value < best[0]
        best = np.where(better, np.stack([value, r, c]), best)
        gain[rows, k] = -np.inf
    return best


def _sums(row: FloatRow, S: Float) -> tuple[Float, Float]:
    """Different sums over the other features, and their chances (M, N)."""
    t, weight = np.zeros(1), np.ones((S.size, 1))
    for c, m in row:
        j, p = _binomial(m, S)
        wide = (t[:, None] + c * j).ravel()
        if wide.size * S.size > 8 * _ENTRIES and S.size > 1:
            halves = [_sums(row, part) for part in np.array_split(S, 2)]
            return _joined(halves)
        keys, back = np.unique(np.round(wide, 10), return_inverse=True)
        if keys.size > LARGEST:
            raise NotReached(f"a feature receives more than {LARGEST} different sums", None)
        gather = sparse.csr_matrix(
            (np.ones(wide.size), (back.ravel(), np.arange(wide.size))), (keys.size, wide.size)
        )
        # the sum itself, not its rounded key: any member of a group is right to 1e-15
        t = np.empty(keys.size)
        t[back.ravel()] = wide
        weight = (gather @ (weight[:, :, None] * p[:, None, :]).reshape(S.size, -1).T).T
    return t, weight


def _joined(halves: list[tuple[Float, Float]]) -> tuple[Float, Float]:
    """Chances over the union of the sums of two groups of S."""
    keys = np.unique(np.concatenate([np.round(t, 10) for t, _ in halves]))
    values, total = np.empty(keys.size), []
    for t, weight in halves:
        at = np.searchsorted(keys, np.round(t, 10))
        values[at] = t
        full = np.zeros((weight.shape[0], keys.size))
        full[:, at] = weight
        total.append(full)
    return values, np.concatenate(total)


def _binomial(m: int, S: Float) -> tuple[Float, Float]:
    """Counts j that have a chance at some of these S, and their chances (M, len(j))."""
    j = np.arange(m + 1.0)
    ways = np.round(gammaln(m + 1.0) - gammaln(j + 1.0) - gammaln(m - j + 1.0), 15)
    count = np.exp(ways)
    small = m < 50
    if small:
        count = np.round(count)
    chance = count * S[:, None] ** j * (1.0 - S[:, None]) ** (m - j)
    kept = np.max(chance, axis=0) > _NEGLIGIBLE
    return j[kept], chance[:, kept]


# Patterns with few other features on, uniform law: their vertices, and their transform.


FEW = 4
"""Other features on in the patterns that are summed in closed form."""


def few_on(c: Float, m: Float, S: Float) -> dict[int, tuple[Float, Float]]:
    """Patterns with up to FEW others on, as vertices: number on -> weights (M, T), vertices (T,).

    k features on at cosines a contribute sum over vertices (-1)^(k - |e|) g_k(a.e)/prod a, with g_k
    the k-th antiderivative.
    """
    others = m.sum()
    found: dict[tuple[int, float], Float] = {}
    for k in range(min(FEW, int(others)) + 1):
        chance = S**k * (1.0 - S) ** (others - k)
        for chosen in itertools.combinations_with_replacement(range(c.size), k):
            counts = np.bincount(np.array(chosen, dtype=int), minlength=c.size)
            ways = math.prod(math.comb(int(a), int(b)) for a, b in zip(m, counts, strict=True))
            if not ways:
                continue
            a = c[list(chosen)]
            for e in itertools.product((0, 1), repeat=k):
                sign = (-1.0) ** (k - sum(e)) * ways / float(np.prod(a))
                key = (k, round(float(np.dot(a, e)), 13))
                found[key] = found.get(key, 0.0) + sign * chance
    terms = {}
    for k in sorted({k for k, _ in found}):
        kept = [(w, v) for (order, v), w in found.items() if order == k and np.any(w)]
        if kept:
            terms[k] = np.stack([w for w, _ in kept], axis=1), np.array([v for _, v in kept])
    return terms


def low_orders(kernel: np.ndarray, m: Float, S: Float) -> np.ndarray:
    """The same patterns in the transform: elementary symmetric sums from power sums."""
    others = int(m.sum())
    e = elementary(kernel, m, FEW)
    total = np.zeros((S.size, kernel.shape[1]), dtype=complex)
    for k in range(min(FEW, others) + 1):
        total += (S**k * (1.0 - S) ** (others - k))[:, None] * e[k]
    return total


def elementary(x: Any, m: Float, most: int) -> list[Any]:
    """Elementary symmetric sums of x with multiplicities, from power sums (Newton)."""
    power = [(m[:, None] * x**k).sum(axis=0) if x.ndim == 2 else m @ x**k for k in range(most + 1)]
    e = [power[0] * 0 + 1.0]
    for k in range(1, most + 1):
        e.append(sum((-1.0) ** (i - 1) * e[k - i] * power[i] for i in range(1, k + 1)) / k)
    return e


# The transform integral of `theory.mixtures.block_losses` on one line of the complex plane.
#
# With s = c + iu the integrands decay like u^-8 once the patterns with few on are taken out, and
# the trapezoidal rule of step h errs by e^(-2 pi c/h) relative. Where to stop is bounded term by
# term, how fine the step must be by Chernoff's bound on the length of the period. Numerical.


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


# Least losses of one-orbit blocks under the uniform law, for many S at once, in floats.
#
# With beta = b/rho the loss is S/3 - 2 rho F1 + rho^2 F2, F1 = E[x (t+beta)_+], F2 =
# E[(t+beta)_+^2], so its minimum over rho is S/3 - F1^2/F2. Patterns with at most four other
# features on are summed in closed form (vertices of cubes); the rest is the transform integral of
# docs/theory.md, section 4,
#
#     F2 = (2/pi) int Re[e^(beta s) M(s)/s^3] du,   F1 = (1/pi) int Re[e^(beta s) N(s)/s^2] du,
#
# on s = c + iu, M(s) = E e^(st), N(s) = E x e^(st). Cosines with multiplicities make M a product
# of a few powers. What is left out decays like u^-8 and is bounded; the trapezoidal rule of step
# h errs by e^(-2 pi c/h) relative (aliasing). For beta > 0 the line lies left of the pole at 0, c
# < 0, which gives E[z_+^2 - z^2] instead: nothing grows, and E z^2 is added. Numerical: no ball
# arithmetic; `theory.symmetric` encloses.


LONGEST = 6.0
"""Largest squared norm considered; no block of the catalogue is best near it (numerical)."""

_DAMPING, _LEFT_OUT = 36.0, 1e-13  # c times the period (aliasing e^-36); what is left out, per S
_ROUGH = 16.0, 1e-7  # the same where a peak is only looked for
_WIDTH = 1e-7  # of a peak in beta: its height is then known to about 1e-14
_NODES_AT_ONCE = 32


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
    for part in alike(S, 16.0 if rough else 4.0, _NODES_AT_ONCE):
        out[:, part] = _nodes_chunk(row, S[part], rough)
    return out[0], out[1], out[2]


def _nodes_chunk(row: FloatRow, S: Float, rough: bool) -> Float:
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


# Two features in one dimension with unequal norms and biases, binary law.
#
# W = (w, t w) with 0 < |t| <= 1: t < 0 is an uneven digon, t > 0 a parallel pair. For given t and
# active ReLUs the loss is quadratic in (rho, b_1, b_2), rho = w^2, so each has one stationary
# point; what is returned is the loss there, whatever ReLUs are active: never below the truth. The
# ratio t is searched on a grid and then closer, which is numerical. `theory.symmetric.broken`
# encloses it.


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
