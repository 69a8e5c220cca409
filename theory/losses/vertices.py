r"""Exact row losses for the uniform law: signed truncated powers at the vertices of a cube.

Averaging over one feature x_j (off with chance 1 - p, else uniform on [0, 1]) turns a function g of
z into ``(1 - p) g(z) + (p / a) [I g(z + a) - I g(z)]``, I the antiderivative. With y standing for I
(y^q for the truncated power t_+^q / q!) every feature is a choice between two vertices, each with a
polynomial in y, so a row costs at most 2^n vertices, each a polynomial, instead of 3^n terms.

The plain vertex sum loses all digits when some |a_j| is small. Here features are taken largest
first, and a vertex is finished at once when the kink z = 0 lies outside what the remaining features
can still reach: above it the average of a polynomial is a sum of moments, below it the average is
0. A division by a small a_j therefore only happens where everything left is as small. Each number
carries the sum of the absolute values that made it, which bounds its rounding error. Derived in
docs/theory.md, section 3; exact up to that bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from packing.types import Float
from theory.features import UNIFORM
from theory.losses import rows as linear
from theory.losses.rows import EPS, RowLoss

#: Largest n for which the vertices are enumerated.
MAX_FEATURES = 16
_TINY = 1e-18  # weights below this fraction of the row's largest act through their mean alone
_CHUNK = 1 << 18  # vertices held at once
_FACTORIAL = np.cumprod(np.concatenate([[1.0], np.arange(1.0, 40.0)]))


@dataclass(frozen=True)
class Jobs:
    """J expectations 2 E[x_w (z_+^s / s! - x_own z_+^(s-1) / (s-1)!)], z = a.x + b.

    s = 2 without x_w is a row loss less E x_own^2; s = 1 is its derivative by the bias (without
    x_w) or by a_w. a, p : (J, n); b : (J,); own, w, s : (J,) integers, w = -1 for no weight.
    """

    a: Float
    b: Float
    p: Float
    own: np.ndarray
    w: np.ndarray
    s: np.ndarray

    def __getitem__(self, where: slice | np.ndarray) -> Jobs:
        return Jobs(*(q[where] for q in (self.a, self.b, self.p, self.own, self.w, self.s)))


def rows(
    A: Float,
    b: Float,
    own: np.ndarray,
    p: Float,
    gradient: bool = False,
    bounds: bool = True,
) -> RowLoss:
    """Row losses of the uniform law by vertices; see `theory.losses.rows` for the arguments.

    Without `bounds` the bound is NaN and the work is less: for optimisers.
    """
    count, n = A.shape
    kinds = [(-1, 2)] + ([(-1, 1)] + [(j, 1) for j in range(n)] if gradient else [])
    many = len(kinds)
    jobs = Jobs(
        a=np.tile(A, (many, 1)),
        b=np.tile(b, many),
        p=np.tile(p, (many, 1)),
        own=np.tile(own, many),
        w=np.repeat([w for w, _ in kinds], count),
        s=np.repeat([s for _, s in kinds], count),
    )
    step = max(1, _CHUNK >> min(n, 12))
    parts = [_expectations(jobs[i : i + step], bounds) for i in range(0, many * count, step)]
    value = np.concatenate([v for v, _ in parts]).reshape(many, count)
    error = np.concatenate([e for _, e in parts]).reshape(many, count)
    second = p[np.arange(count), own] * UNIFORM.second
    loss = np.maximum(second + value[0], 0.0)
    bound = error[0] + 4.0 * EPS * (second + np.abs(value[0]))
    if not gradient:
        return RowLoss(loss, bound)
    return RowLoss(loss, bound, value[2:].T, value[1])


def _expectations(jobs: Jobs, bounds: bool) -> tuple[Float, Float]:
    """Value and error bound of every job: scale, reflect, sort, then sum the vertices."""
    a, b, p, s = jobs.a, jobs.b, jobs.p, jobs.s
    here = np.arange(len(b))
    largest = np.max(np.abs(a), axis=1)
    # a power of two, so that scaling rounds nothing
    scale = np.where(largest > 0.0, np.ldexp(1.0, np.frexp(largest)[1]), 1.0)
    tiny = (np.abs(a) < _TINY * scale[:, None]) & (a != 0.0)
    if np.any(tiny):
        b = b + np.sum(np.where(tiny, a * p * UNIFORM.mean, 0.0), axis=1)
        a = np.where(tiny, 0.0, a)
    # Reflection keeps the kink in the lower half of the range, where fewer large terms meet:
    # z_+^s = (-1)^s [(-z)^s - (-z)_+^s].
    flip = b + 0.5 * np.sum(a, axis=1) > 0.0
    sign = np.where(flip, -1.0, 1.0)
    order = np.argsort(-np.abs(a), axis=1, kind="stable")
    place = np.argsort(order, axis=1)
    own = place[here, jobs.own]
    w = np.where(jobs.w < 0, -1, place[here, jobs.w])
    # In units of the row's scale x_own weighs 1 / scale against z.
    turned = np.take_along_axis(a, order, axis=1) * (sign / scale)[:, None]
    value, error = np.zeros(len(b)), np.zeros(len(b))
    live = np.flatnonzero(b * sign / scale + np.sum(np.maximum(turned, 0.0), axis=1) > 0.0)
    if live.size:
        value[live], error[live] = _vertex_sum(
            turned[live],
            (b * sign / scale)[live],
            np.take_along_axis(p, order, axis=1)[live],
            own[live],
            w[live],
            s[live],
            (-sign / scale)[live],
            bounds,
        )
    if np.any(tiny):  # their spread about the mean, worth at most 2 |z| + 1 a unit
        error += 8.0 * np.sum(tiny, axis=1) * _TINY * (1.0 + np.abs(b) / scale)
    power = scale**s
    value, error = value * power, error * power
    if np.any(flip):
        whole, size = _without_kink(jobs[flip], bounds)
        parity = np.where(s[flip] % 2 == 1, -1.0, 1.0)
        value[flip] = whole - parity * value[flip]
        error[flip] += size
    return value, error + 4.0 * EPS * np.abs(value)


def _without_kink(jobs: Jobs, bounds: bool) -> tuple[Float, Float]:
    """The same expectations with z in place of z_+, and the rounding error of that."""
    a, b, p, own, w = jobs.a, jobs.b, jobs.p, jobs.own, jobs.w
    here = np.arange(len(b))
    mean = p * UNIFORM.mean
    variance = p * (UNIFORM.second - UNIFORM.mean**2 * p)
    total = b + np.sum(a * mean, axis=1) - mean[here, own]  # E[z - x_own]
    weighted = total * mean[here, w] + (a[here, w] - (w == own)) * variance[here, w]
    answer = linear.rows(a, b, own, p, UNIFORM)
    loss = answer.value - p[here, own] * UNIFORM.second
    value = np.where(jobs.s == 2, loss, 2.0 * np.where(w < 0, total, weighted))
    return value, np.where(jobs.s == 2, answer.bound, 0.0) if bounds else np.zeros(len(b))


def _vertex_sum(
    a: Float,
    b: Float,
    p: Float,
    own: np.ndarray,
    w: np.ndarray,
    s: np.ndarray,
    weight: Float,
    bounds: bool,
) -> tuple[Float, Float]:
    """2 E[x_w (z_+^s / s! + weight x_own z_+^(s-1) / (s-1)!)] of sorted, scaled jobs."""
    count, n = a.shape
    degree = n + 6
    low, high = np.zeros((count, n + 1)), np.zeros((count, n + 1))
    low[:, :n] = np.cumsum(np.minimum(a, 0.0)[:, ::-1], axis=1)[:, ::-1]
    high[:, :n] = np.cumsum(np.maximum(a, 0.0)[:, ::-1], axis=1)[:, ::-1]
    moments = _remaining_moments(a, p, own, w, weight, degree)
    moment_sizes = _remaining_moments(a, p, own, w, np.abs(weight), degree) if bounds else moments
    upper, lower = _vertex_factors(a, p, own, w, weight)

    value, error = np.zeros(count), np.zeros(count)
    job = np.arange(count)
    t = b.copy()
    coefficients = np.zeros((count, degree))
    coefficients[job, s - 1] = 2.0
    sizes = coefficients
    for level in range(n + 1):
        below = t + high[job, level] <= 0.0
        # after reflection nothing is above at level 0, so no moments are kept for it
        above = ~below & ((t + low[job, level] >= 0.0) | (level == n)) & (level > 0)
        if np.any(above):
            where = job[above]
            powers = _powers(np.maximum(t[above] + low[where, level], 0.0), degree)
            finished = _finish(powers, coefficients[above], moments[where, level])
            value += np.bincount(where, finished, count)
            if bounds:
                size = _finish(powers, sizes[above], moment_sizes[where, level])
                error += (8.0 * (n + degree)) * np.bincount(where, size, count)
                # t itself is off by its own roundings, which cancellation can make large
                slope = _finish(powers, sizes[above], moment_sizes[where, level], lower=1)
                reach = np.abs(b[where]) + high[where, 0] - low[where, 0]
                error += (n + 1.0) * np.bincount(where, slope * reach, count)
        live = ~(below | above)
        if not np.any(live):
            break
        job, t, coefficients = job[live], t[live], coefficients[live]
        up, down = upper[job, level], lower[job, level]
        if bounds:
            sizes = sizes[live]
            sizes = np.concatenate([_times(sizes, np.abs(up)), _times(sizes, np.abs(down))])
        coefficients = np.concatenate([_times(coefficients, up), _times(coefficients, down)])
        t = np.concatenate([t + a[job, level], t])
        job = np.concatenate([job, job])
    return value, EPS * error  # a term met at most 8 (n + degree) roundings besides those of t


def _times(coefficients: Float, factor: Float) -> Float:
    """Product of polynomials in y; factor has coefficients of y^0 to y^3."""
    out = coefficients * factor[:, :1]
    for shift in (1, 2, 3):
        column = factor[:, shift : shift + 1]
        if np.any(column):
            out[:, shift:] += coefficients[:, :-shift] * column
    return out


def _powers(t: Float, degree: int) -> Float:
    """t^q / q! for q up to degree, shape (len(t), degree + 1)."""
    powers = np.empty((t.size, degree + 1))
    powers[:, 0] = 1.0
    for q in range(1, degree + 1):
        np.multiply(powers[:, q - 1], t / q, out=powers[:, q])
    return powers


def _finish(powers: Float, coefficients: Float, moments: Float, lower: int = 0) -> Float:
    """sum_q c_q sum_r moments_r t^(q-r) / (q-r)!, r from -1 (first column of `moments`).

    With ``lower = 1`` its derivative by t.
    """
    degree = coefficients.shape[1]
    averaged = powers[:, 1:] * moments[:, :1]
    for r in range(degree):
        column = moments[:, r + 1 : r + 2]
        if r > 1 and not np.any(column):
            break
        averaged[:, r:] += powers[:, : degree - r] * column
    if lower:
        ends = coefficients[:, 0] * moments[:, 0]
        return ends + np.einsum("eq,eq->e", coefficients[:, 1:], averaged[:, :-1])
    return np.einsum("eq,eq->e", coefficients, averaged)


def _remaining_moments(
    a: Float, p: Float, own: np.ndarray, w: np.ndarray, weight: Float, degree: int
) -> Float:
    """Moments of what is left from level j >= 1 on, a series in v = 1/y; (J, n + 1, degree + 1).

    Column r + 1 holds the coefficient of v^r in E[x_w exp(v (z_j - low_j)) (y + weight x_own)],
    the last factor once the own feature is among those left; hence r starts at -1.
    """
    count, n = a.shape
    out = np.zeros((count, n + 1, degree + 1))
    out[:, n, 1] = 1.0
    r = np.arange(degree)
    for j in range(n - 1, 0, -1):
        size, on = np.abs(a[:, j : j + 1]), p[:, j : j + 1]
        positive = a[:, j : j + 1] >= 0.0
        powers = size**r / _FACTORIAL[:degree]

        def series(
            k: np.ndarray, on: Float = on, positive: np.ndarray = positive, powers: Float = powers
        ) -> Float:
            """E[x^k exp(v (a x - min(a, 0)))] of this feature."""
            k = k[:, None]
            rising = on * powers / (r + k + 1.0)
            # a < 0: E[x^k (1 - x)^r] = k! r! / (k + r + 1)!
            falling = on * powers * (_FACTORIAL[k] * _FACTORIAL[r] / _FACTORIAL[r + k + 1])
            off = np.where(k == 0, 1.0 - on, 0.0)
            falling += off * powers
            rising[:, :1] += off
            return np.where(positive, rising, falling)

        k = (w == j).astype(int)
        plain = series(k)
        rest = out[:, j + 1]
        total = plain[:, :1] * rest
        for shift in range(1, degree):
            total[:, shift:] += plain[:, shift : shift + 1] * rest[:, :-shift]
        mine = own == j
        if np.any(mine):
            # (y f_k + weight f_{k+1}) rest: the first part one column down, the second as it is
            second = series(k + 1)[mine] * weight[mine, None]
            shifted = np.zeros((int(mine.sum()), degree + 1))
            shifted[:, :-1] = total[mine, 1:]
            for shift in range(degree):
                shifted[:, shift:] += (
                    second[:, shift : shift + 1] * rest[mine, : degree + 1 - shift]
                )
            total[mine] = shifted
        out[:, j] = total
    return out


def _vertex_factors(
    a: Float, p: Float, own: np.ndarray, w: np.ndarray, weight: Float
) -> tuple[Float, Float]:
    """Polynomials in y of the vertex x_j = 1 and of the vertex x_j = 0; each (J, n, 4).

    From int_0^1 u^k e^{a u v} du with v = 1/y: the coefficient of e^{a v}, and the rest. The own
    feature has y f_k + weight f_{k+1} instead of f_k.
    """
    inverse = 1.0 / np.where(a == 0.0, 1.0, a)
    one, two, three = p * inverse, p * inverse**2, 2.0 * p * inverse**3
    off = 1.0 - p
    zero = np.zeros_like(p)
    up = [
        np.stack([zero, one, zero, zero], -1),
        np.stack([zero, one, -two, zero], -1),
        np.stack([zero, one, -2.0 * two, three], -1),
    ]
    down = [
        np.stack([off, -one, zero, zero], -1),
        np.stack([zero, zero, two, zero], -1),
        np.stack([zero, zero, zero, -three], -1),
    ]
    here = np.arange(len(own))
    raised = (w == own).astype(int)
    answer = []
    for table in (up, down):
        factor = table[0].copy()
        has = w >= 0
        factor[here[has], w[has]] = table[1][here[has], w[has]]
        low = np.where(raised[:, None], table[1][here, own], table[0][here, own])
        high = np.where(raised[:, None], table[2][here, own], table[1][here, own])
        mine = weight[:, None] * high
        mine[:, 1:] += low[:, :-1]
        factor[here, own] = mine
        answer.append(factor)
    return answer[0], answer[1]
