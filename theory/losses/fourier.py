r"""Rows of any law and any n, from the transform E e^{iuz}, with an error bound found afterwards.

E[(x_own - z_+)^2] = E x_own^2 - 2 E[x_own z_+] + E z_+^2, and both expectations of z_+ are Fourier
series in E e^{iuz} and E[x_own e^{iuz}], products of one factor a feature. Patterns with few
features on are taken exactly (`few_on`), the series sees the rest: a positive measure, summed
without cancellation by carrying "exactly k on" beside "more on".

The bound adds, all computed here: what rounding the kink off and cutting the series cost (the
smaller of two ways: a Gaussian-rounded kink for laws with atoms, the decay of the transform for
laws with a density), the chance that |z| leaves the period (Chernoff), weights treated as zero,
and rounding, for which a law's transform is trusted to about ten units in the last place.
Nodes are added until the bound meets ``rtol * value`` or the work cap is reached. The gradient is
that of the computed value and has no bound. Near an atom it is smoothed over the width sigma, and
it is no better than a few digits where weights of very different sizes decide the sign of z.

The series. For |z| < P, with u_k = (2 pi / P) (k + 1/2),

    z_+^2 = z^2/2 + P z/2 - (4/P) sum_k sin(u_k z) / u_k^3,
    z_+   = z/2 + P/4     - (2/P) sum_k cos(u_k z) / u_k^2,         k = 0, 1, 2, ...

(the antiperiodic continuations of z(|z| - P)/2 and |z|/2 - P/4; no node lies at u = 0, and no
strip is needed). The series is cut at K nodes. The kink is first rounded off on a scale
sigma = kappa P / (2 pi K): each term is multiplied by e^{-v} times a polynomial in
v = sigma^2 u^2 / 2, which changes z_+^2 by sigma^2 D(z / sigma) and z_+ by sigma D(z / sigma):

    kernel         multiplier                  D(x), x >= 0                        parity
    square         e^{-v} (1 + v + v^2/2)      x^2 Q(x) - (3/4) x phi(x)           odd
    smooth         e^{-v} (1 + v + v^2/2)      x Q(x) - (3 + x^2) phi(x) / 8       even
    pinned         e^{-v} (1 + v + 2 v^2)      x Q(x) - x^2 phi(x) / 2             even, D(0) = 0

with phi the standard normal density and Q its upper tail. Every D is bounded by Gaussians,

    |D_square| <= A_SQUARE e^{-BETA x^2/2},    |D_smooth| <= A_SMOOTH e^{-BETA x^2/2},
    |D_square| <= C_SQUARE |x| e^{-GAMMA x^2/2}, |D_pinned| <= C_PINNED |x| e^{-GAMMA x^2/2},

and the expectation of a Gaussian is itself a series over the same nodes, so the price of rounding
the kink off is bounded after the fact by numbers already at hand. The second pair, with
E|x| e^{..} <= sqrt(E e^{..} E x^2 e^{..}), is what makes an atom on the kink cost nothing.

The corrections are those of the Gaussian of width sigma, cut after the stated power (proved: the
multiplier is the transform of z_+^2 - sigma^2 D); the four constants were found on a grid of x and
rounded up (numerical; the tests check them).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from packing.types import Complex, Float
from theory.features import Law, Uniform
from theory.losses.rows import EPS, RowLoss

BETA, GAMMA = 0.75, 0.95
A_SQUARE, A_SMOOTH = 0.0646, 0.1497
C_SQUARE, C_PINNED = 0.3000, 0.5001
KAPPAS = (4.4, 5.2, 6.0)
# Kernels tried for z_+^2 (kappa) and for z_+ (kappa, name); kappa 0 leaves the kink sharp.
SQUARES = (0.0, *KAPPAS)
LINES = ((0.0, "smooth"), *((k, name) for k in KAPPAS for name in ("smooth", "pinned")))
# Images of the Gaussians one period away are dropped: with 10 widths to the kink they are < 1e-20.
MARGIN = 1.05
SMALLEST_ROUNDED = 10.0 * max(KAPPAS) / (2.0 * math.pi * math.sqrt(BETA) * (1.0 - 1.0 / MARGIN))


@dataclass(frozen=True)
class Weights:
    """Weights of K nodes for one kappa (0: the kink is left sharp), in units of P = 1.

    Parameters
    ----------
    K : int
        Number of nodes.
    sigma : float
        Width on which the kink is rounded off.
    square, smooth, pinned : (K,) arrays
        Weights of sin in z_+^2 and of cos in z_+ (both with a minus sign in front).
    gauss, gauss_narrow, moment : (K,) arrays
        Weights of cos in e^{-BETA x^2/2}, e^{-GAMMA x^2/2} and x^2 e^{-GAMMA x^2/2}.
    tails : dict
        For each of the names above the sum of |weights| beyond K, rounded up.
    """

    K: int
    sigma: float
    square: Float
    smooth: Float
    pinned: Float
    gauss: Float
    gauss_narrow: Float
    moment: Float
    tails: dict[str, float]


def allowed(K: int, kappa: float) -> bool:
    """Whether K nodes resolve the rounded kink well enough for its images to be dropped."""
    return kappa == 0.0 or K >= SMALLEST_ROUNDED


def weights(K: int, kappa: float) -> Weights:
    """The weights of K nodes; small tables are kept."""
    return _kept(K, kappa) if K <= 16384 else _weights(K, kappa)


def _weights(K: int, kappa: float) -> Weights:
    if kappa == 0.0:
        u = 2.0 * math.pi * (np.arange(K, dtype=np.float64) + 0.5)
        none = np.zeros(0)
        # 1/u^3 and 1/u^2 are convex, so midpoint sums lie below the integrals from K on.
        tails = {
            "square": 4.0 / (8.0 * math.pi**3 * 2.0 * K**2),
            "smooth": 2.0 / (4.0 * math.pi**2 * K),
        }
        return Weights(K, 0.0, 4.0 / u**3, 2.0 / u**2, none, none, none, none, tails)
    sigma = kappa / (2.0 * math.pi * K)
    inside = _table(np.arange(K), sigma)
    # Beyond 3 K the multipliers are below e^{-87} times a square of v, together below 1e-30.
    beyond = _table(np.arange(K, 3 * K), sigma)
    tails = {name: 1.01 * float(np.abs(w).sum()) + 1e-30 for name, w in beyond.items()}
    return Weights(K, sigma, **inside, tails=tails)


_kept = lru_cache(maxsize=128)(_weights)


def _table(k: NDArray[np.intp], sigma: float) -> dict[str, Float]:
    u = 2.0 * math.pi * (k.astype(np.float64) + 0.5)
    v = 0.5 * (sigma * u) ** 2
    e = np.exp(-v)
    wide, narrow = sigma / math.sqrt(BETA), sigma / math.sqrt(GAMMA)
    root = 2.0 * math.sqrt(2.0 * math.pi)
    gauss_narrow = root * narrow * np.exp(-v / GAMMA)
    return {
        "square": 4.0 / u**3 * e * (1.0 + v + 0.5 * v * v),
        "smooth": 2.0 / u**2 * e * (1.0 + v + 0.5 * v * v),
        "pinned": 2.0 / u**2 * e * (1.0 + v + 2.0 * v * v),
        "gauss": root * wide * np.exp(-v / BETA),
        "gauss_narrow": gauss_narrow,
        "moment": gauss_narrow * (1.0 - 2.0 * v / GAMMA) / GAMMA,
    }


def square(
    R: Complex, K: int, P: Float, nu: Float, spin: Float, far: Float, outside: Float
) -> tuple[Float, Float]:
    """Series of z_+^2 and its error with every kernel of `SQUARES`, (kernels, R) each."""
    values, errors = [], []
    for kappa in SQUARES:
        if not allowed(K, kappa):
            values.append(np.zeros_like(P))
            errors.append(np.full_like(P, np.inf))
            continue
        w = weights(K, kappa)
        error = P**2 * w.tails["square"] * far
        if kappa:
            s = w.sigma * P
            wide, narrow, moment = _gauss(R, w, nu + spin / s, far, outside)
            error = error + s * s * np.minimum(A_SQUARE * wide, C_SQUARE * np.sqrt(narrow * moment))
        values.append(-(P**2) * dot(R.imag, w.square))
        errors.append(error)
    return np.array(values), np.array(errors)


def line(
    R: Complex, K: int, P: Float, nu: Float, spin: Float, far: Float, outside: Float
) -> tuple[Float, Float]:
    """The same for z_+ against x_own; kernels of `LINES`."""
    values, errors = [], []
    for kappa, name in LINES:
        if not allowed(K, kappa):
            values.append(np.zeros_like(P))
            errors.append(np.full_like(P, np.inf))
            continue
        w = weights(K, kappa)
        error = P * w.tails[name] * far
        if kappa:
            s = w.sigma * P
            wide, narrow, moment = _gauss(R, w, nu + spin / s, far, outside)
            gap = A_SMOOTH * wide if name == "smooth" else C_PINNED * np.sqrt(narrow * moment)
            error = error + s * gap
        values.append(-P * dot(R.real, getattr(w, name)))
        errors.append(error)
    return np.array(values), np.array(errors)


def _gauss(R: Complex, w: Weights, unit: Float, far: Float, outside: Float) -> list[Float]:
    """Upper bounds on E e^{-BETA x^2/2}, E e^{-GAMMA x^2/2}, E x^2 e^{-GAMMA x^2/2}"""
    out = []
    for name in ("gauss", "gauss_narrow", "moment"):
        v = dot(R.real, getattr(w, name)) + w.tails[name] * far + 4.0 * unit
        out.append(np.maximum(v, 0.0) + 4.0 * unit + outside)
    return out


def dot(values: Float, w: Float) -> Float:
    """Sums over nodes, pairwise (at most 30 roundings, which the bound counts): einsum and BLAS add
    one by one, and 10^5 nodes added to a large first term then lose five digits."""
    total: Float = np.sum(np.ascontiguousarray(values * w), axis=1)
    return total


# Patterns with few features on, exactly: the part of a row's law that has atoms and never decays.
#
# The law of (x, z) is split into the patterns with at most ``order`` features on, taken here in
# closed form, and the rest, taken by a Fourier series. The series has the kernels
#
#     r2(z) = z_+^2 - z^2/2 - P z/2,        r1(z) = z_+ - z/2 - P/4,
#
# so the few-on patterns enter with the same two kernels, and moments of the whole law complete
# them. One feature on needs ``law.tail``; two are taken only for a law that is a single value
# (binary).


SMALLEST_OFF = 1e-12


@dataclass(frozen=True)
class Block:
    """Rows of equal treatment: the own feature apart, the m others in columns.

    Parameters
    ----------
    a, p : (R, m) arrays
        Weights and on-probabilities of the other features; p = 0 fills unused columns.
    a0, p0, b, P : (R,) arrays
        Weight and on-probability of the own feature, bias, half period of the series.
    """

    a: Float
    p: Float
    a0: Float
    p0: Float
    b: Float
    P: Float

    def __getitem__(self, rows: slice | NDArray[np.intp]) -> Block:
        return Block(*(v[rows] for v in (self.a, self.p, self.a0, self.p0, self.b, self.P)))

    def narrow(self, m: int) -> Block:
        """The first m columns of others."""
        return Block(self.a[:, :m], self.p[:, :m], self.a0, self.p0, self.b, self.P)


@dataclass(frozen=True)
class FewOn:
    """sum over few-on patterns of E r2(z) - 2 E[x_own r1(z)], shape (R,), and its derivatives."""

    value: Float
    da: Float
    da0: Float
    db: Float


def point(law: Law) -> bool:
    """True if an on feature has one value only (then that value is the mean)."""
    return bool(law.second == law.mean**2)


def highest_order(block: Block, law: Law, largest_pairs: int = 1024) -> NDArray[np.intp]:
    """How many on features each row takes in closed form, (R,): 2, 1, 0, or -1 for none.

    None are taken out where some other feature is (nearly) always on, or where few-on patterns
    are too rare to matter.
    """
    order = 0
    if getattr(law, "tail", None) is not None:
        order = 2 if point(law) and block.a.shape[1] <= largest_pairs else 1
    off = 1.0 - block.p
    with np.errstate(divide="ignore"):
        odds = np.sum(block.p / np.maximum(off, SMALLEST_OFF), axis=1)
        all_off = np.exp(np.log(np.maximum(off, SMALLEST_OFF)).sum(axis=1))
    rare = all_off * (1.0 + odds) < 1e-9
    return np.where((off < SMALLEST_OFF).any(axis=1) | rare, -1, order)


def few_on(block: Block, law: Law, order: int) -> FewOn:
    """The patterns with at most ``order`` features on (order -1: none)."""
    a, a0, b, P = block.a, block.a0, block.b, block.P
    rows, m = a.shape
    zero = np.zeros(rows)
    if order < 0:
        return FewOn(zero, np.zeros((rows, m)), zero, zero)
    off = 1.0 - block.p
    others_off = np.prod(off, axis=1)
    odds = block.p / off
    none = (1.0 - block.p0) * others_off
    value, db = none * _r2(b, P), none * _r2_slope(b, P)
    da, da0 = np.zeros((rows, m)), zero
    if order >= 1:
        w = none[:, None] * odds
        b_, P_ = b[:, None], P[:, None]
        value = value + np.sum(w * _one(law, a, b_, P_, 0, 2), axis=1)
        da = w * _one(law, a, b_, P_, 1, 1)
        db = db + np.sum(w * _one(law, a, b_, P_, 0, 1), axis=1)
        w = block.p0 * others_off
        value = value + w * (_one(law, a0, b, P, 0, 2) - 2.0 * _one(law, a0, b, P, 1, -1))
        da0 = w * (_one(law, a0, b, P, 1, 1) - 2.0 * _one(law, a0, b, P, 2, 0))
        db = db + w * (_one(law, a0, b, P, 0, 1) - 2.0 * _one(law, a0, b, P, 1, 0))
    if order >= 2:
        x = law.mean
        w = (block.p0 * others_off)[:, None] * odds
        z, P_ = b[:, None] + x * (a0[:, None] + a), P[:, None]
        value = value + np.sum(w * (_r2(z, P_) - 2.0 * x * _r1(z, P_)), axis=1)
        slope = w * (_r2_slope(z, P_) - 2.0 * x * _r1_slope(z))
        da, da0, db = da + x * slope, da0 + x * slope.sum(axis=1), db + slope.sum(axis=1)
        for r in range(rows):  # m^2 at a time
            w2 = none[r] * np.outer(odds[r], odds[r])
            np.fill_diagonal(w2, 0.0)
            z = b[r] + x * np.add.outer(a[r], a[r])
            value[r] += 0.5 * np.sum(w2 * _r2(z, P[r]))
            slope = np.sum(w2 * _r2_slope(z, P[r]), axis=1)
            da[r] += x * slope
            db[r] += 0.5 * slope.sum()
    return FewOn(value, da, da0, db)


def _r2(z: Float, P: Float) -> Float:
    return 0.5 * z * (np.abs(z) - P)


def _r2_slope(z: Float, P: Float) -> Float:
    return np.abs(z) - 0.5 * P


def _r1(z: Float, P: Float) -> Float:
    return 0.5 * np.abs(z) - 0.25 * P


def _r1_slope(z: Float) -> Float:
    return np.where(z > 0.0, 0.5, -0.5)


def _one(law: Law, a: Float, b: Float, P: Float, power: int, kernel: int) -> Float:
    """E[x^power k(b + a x) | on], k one of r2 (kernel 2), its slope (1), r1 (-1), its slope (0)."""
    if kernel == 2:
        return _positive(law, a, b, power, 2) - 0.5 * (
            _moment(law, a, b, power, 2) + P * _moment(law, a, b, power, 1)
        )
    if kernel == 1:
        return (
            2.0 * _positive(law, a, b, power, 1)
            - _moment(law, a, b, power, 1)
            - 0.5 * P * _moment(law, a, b, power, 0)
        )
    if kernel == -1:
        return (
            _positive(law, a, b, power, 1)
            - 0.5 * _moment(law, a, b, power, 1)
            - 0.25 * P * _moment(law, a, b, power, 0)
        )
    return _positive(law, a, b, power, 0) - 0.5 * _moment(law, a, b, power, 0)


def _moment(law: Law, a: Float, b: Float, power: int, degree: int) -> Float:
    """E[x^power (b + a x)^degree | on], power + degree <= 2."""
    raw = (1.0, law.mean, law.second)
    if degree == 0:
        return np.full(np.broadcast(a, b).shape, raw[power])
    if degree == 1:
        return b * raw[power] + a * raw[power + 1]
    return b * b * raw[0] + 2.0 * a * b * raw[1] + a * a * raw[2]


def _positive(law: Law, a: Float, b: Float, power: int, degree: int) -> Float:
    """E[x^power (b + a x)_+^degree | on], from tail moments beyond the kink x = -b/a."""
    a, b = np.broadcast_arrays(a, b)
    raw = (1.0, law.mean, law.second)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        kink = np.where(a != 0.0, -b / a, np.inf)
    # Beyond 10^4 means nothing is left of a law whose transform exists; inf would give nan.
    kink = np.clip(np.nan_to_num(kink, posinf=1e4), -1.0, min(law.upper, 1e4 * law.mean))
    tail = getattr(law, "tail")  # noqa: B009  (optional in the protocol)
    rising = (a > 0.0) & (kink >= 0.0)
    total = np.zeros(a.shape)
    for k in range(degree + 1):
        beyond = tail(kink, power + k)
        whole = raw[power + k]
        # a > 0: x beyond the kink; a < 0: x below it, nothing if that is negative; a = 0: sign b.
        part = np.where(
            rising,
            beyond,
            np.where(
                (a > 0.0) | ((a == 0.0) & (b > 0.0)),
                whole,
                np.where((a < 0.0) & (kink > 0.0), whole - beyond, 0.0),
            ),
        )
        binomial = 2.0 if (degree, k) == (2, 1) else 1.0
        total = total + binomial * b ** (degree - k) * a**k * part
    return total


# Transforms of the residual measure at the nodes u = 2 pi (k + 1/2) / P. The cost of a row is here:
# a factor for every feature at every node.


Index = NDArray[np.intp]
BLOCK, INNER = 16384, 32


def decay_of(law: Law) -> Callable[[Float, int], Float] | None:
    """A decreasing bound on |E[x^k e^{itx} | on]|, t >= 0, k = 0 or 1; None if none is known."""
    known: Callable[[Float, int], Float] | None = getattr(law, "decay", None)
    return known


def carry(t: Float, q: Float, order: int) -> tuple[Float, Float]:
    """(more than ``order`` on, at least ``order`` on) of the others; real masses t, q (R, m, S).

    Order -1 gives the whole measure twice.
    """
    total = np.ones((t.shape[0], t.shape[2]))
    if order < 0:
        for j in range(t.shape[1]):
            total = total * (q[:, j] + t[:, j])
        return total, total
    exact = [total] + [np.zeros_like(total) for _ in range(order)]
    more = np.zeros_like(total)
    for j in range(t.shape[1]):
        more = more * (q[:, j] + t[:, j]) + exact[order] * t[:, j]
        for k in range(order, 0, -1):
            exact[k] = exact[k] * q[:, j] + exact[k - 1] * t[:, j]
        exact[0] = exact[0] * q[:, j]
    return more, more + exact[order]


class Nodes:
    """Node values of a handful of rows, kept while nodes are added."""

    def __init__(self, block: Block, law: Law, order: int) -> None:
        self.block, self.law, self.order = block, law, order
        self.K = 0
        self.more: Complex = np.empty((block.b.size, 0), dtype=np.complex128)
        self.least: Complex = self.more
        self.one: Complex = self.more

    def residual(self, rows: Index, K: int) -> tuple[Complex, Complex]:
        """E e^{iuz} and E[x_own e^{iuz}] over the residual measure, (rows, K) each.

        The first call with a larger K adds nodes, to these rows only.
        """
        if self.K < K:
            self._extend(rows, K)
        block, law = self.block[rows], self.law
        more, least = self.more[rows, :K], self.least[rows, :K]
        t = block.p0[:, None] * _phi(law, block.a0 / block.P, 0, K, 0)
        t1 = block.p0[:, None] * _phi(law, block.a0 / block.P, 0, K, 1)
        return (1.0 - block.p0)[:, None] * more + t * least, t1 * least

    def _extend(self, rows: Index, K: int) -> None:
        block = self.block[rows]
        room = ((0, 0), (0, K - self.K))
        self.more, self.least = np.pad(self.more, room), np.pad(self.least, room)
        if self.order == 2:
            self.one = np.pad(self.one, room)
        step = _step(rows.size)
        for k in range(self.K, K, step):
            stop = min(K, k + step)
            more, least, one = _others(block, self.law, self.order, k, stop)
            self.more[rows, k:stop], self.least[rows, k:stop] = more, least
            if one is not None:
                self.one[rows, k:stop] = one
        self.K = K

    def gradient(self, rows: Index, chosen: Index, goal: Float) -> tuple[Float, Float]:
        """Derivatives of the series by (a_own, a_others) and by b.

        Parameters
        ----------
        rows : (r,) array
            Rows meant.
        chosen : (r, 3) array
            Number of nodes and positions in `sr.SQUARES` and `sr.LINES` of the kernels used.
        goal : (r,) array
            Trailing nodes whose terms together stay below this are left out.
        """
        block, law = self.block[rows], self.law
        K, P, p0 = int(chosen[:, 0].max()), block.P[:, None], block.p0[:, None]
        w2, w1 = np.zeros((rows.size, K)), np.zeros((rows.size, K))
        for i, (Ki, k2, k1) in enumerate(chosen):
            kappa, name = LINES[k1]
            w2[i, :Ki] = -(block.P[i] ** 2) * weights(Ki, SQUARES[k2]).square
            w1[i, :Ki] = -block.P[i] * getattr(weights(Ki, kappa), name)
        R, Rx = self.residual(rows, K)
        u = 2.0 * math.pi * (np.arange(K) + 0.5) / P
        size = u * (np.abs(w2) * np.abs(R) + 2.0 * np.abs(w1) * np.abs(Rx))
        rest = np.cumsum(size[:, ::-1], axis=1)[:, ::-1]
        needed = (rest > goal[:, None]).sum(axis=1).max()
        K = min(K, INNER * (int(needed) // INNER + 1))
        u, w2, w1, R, Rx = u[:, :K], w2[:, :K], w1[:, :K], R[:, :K], Rx[:, :K]

        # d/db multiplies by iu; d/da_own also turns x_own^k into x_own^{k+1}.
        ex = [p0 * _phi(law, block.a0 / block.P, 0, K, k) for k in range(3)]
        least = self.least[rows, :K]
        db = np.sum(u * (w2 * R.real + 2.0 * w1 * Rx.imag), axis=1)
        out = np.zeros((rows.size, block.a.shape[1] + 1))
        out[:, 0] = np.sum(u * ((w2 * ex[1] - 2j * w1 * ex[2]) * least).real, axis=1)

        # d/da_j: the product without factor j, less the few-on patterns without j.
        none = np.prod(1.0 - block.p, axis=1)[:, None] * np.exp(1j * u * block.b[:, None])
        whole, Y, Z = least, None, None
        if self.order >= 1:
            whole = whole + none
            Y = u * w2 * (1.0 - p0) * none
        if self.order == 2:
            one, Z = self.one[rows, :K], Y
            whole = whole + one
            Y = u * (w2 * ((1.0 - p0) * (none + one) + ex[0] * none) - 2j * w1 * ex[1] * none)
        X = u * (w2 * (1.0 - p0 + ex[0]) - 2j * w1 * ex[1]) * whole
        step = _step(rows.size)
        for j in range(block.a.shape[1]):
            a, p = block.a[:, j] / block.P, block.p[:, j, None]
            for k in range(0, K, step):
                cut = slice(k, min(K, k + step))
                out[:, j + 1] += p[:, 0] * self._factor(a, p, cut, X, Y, Z)
        return out, db

    def _factor(
        self, a: Float, p: Float, cut: slice, X: Complex, Y: Complex | None, Z: Complex | None
    ) -> Float:
        """Re sum over nodes of E[x e^{iuax}] (X / f - (Y - Z t) / q), f = q + p E e^{iuax}."""
        phi = _phi(self.law, a, cut.start, cut.stop, 0)
        known = point(self.law)
        phi1 = self.law.mean * phi if known else _phi(self.law, a, cut.start, cut.stop, 1)
        q = 1.0 - p
        f = p * phi
        f += q
        f[np.abs(f) < 1e-30] = 1e-30  # X holds the same factor: the quotient stays accurate
        g = X[:, cut] / f
        if Z is not None and Y is not None:
            phi *= p / q
            phi *= Z[:, cut]
            np.subtract(Y[:, cut], phi, out=phi)
            phi /= q
            g -= phi
        elif Y is not None:
            g -= Y[:, cut] / q
        real: Float = np.einsum("rk,rk->r", g.real, phi1.real)
        return real - np.einsum("rk,rk->r", g.imag, phi1.imag)


def _step(rows: int) -> int:
    """Nodes a time, so that a block stays in cache."""
    return max(INNER, BLOCK // rows // INNER * INNER)


def _others(
    block: Block, law: Law, order: int, k0: int, k1: int
) -> tuple[Complex, Complex, Complex | None]:
    """(more than order on, at least order on, exactly one on) of the others at nodes k0 to k1.

    All times e^{iub}. Order -1 gives the whole transform twice.
    """
    m = block.a.shape[1]
    u = 2.0 * math.pi * (np.arange(k0, k1) + 0.5) / block.P[:, None]
    shift = np.exp(1j * u * block.b[:, None])
    if order < 0:
        total = shift
        for j in range(m):
            f = _phi(law, block.a[:, j] / block.P, k0, k1, 0, block.p[:, j])
            f += (1.0 - block.p[:, j])[:, None]
            total *= f
        return total, total, None
    # In units of "all off": every step multiplies by 1 + t and adds, nothing is subtracted.
    exact = [np.ones_like(shift)] + [np.zeros_like(shift) for _ in range(order)]
    more, work = np.zeros_like(shift), np.empty_like(shift)
    odds = block.p / (1.0 - block.p)
    for j in range(m):
        t = _phi(law, block.a[:, j] / block.P, k0, k1, 0, odds[:, j])
        np.add(more, exact[order], out=work)
        work *= t
        more += work
        if order == 2:
            np.multiply(exact[1], t, out=work)
            exact[2] += work
        if order >= 1:
            exact[1] += t
    shift *= np.prod(1.0 - block.p, axis=1)[:, None]
    more *= shift
    return more, more + exact[order] * shift, exact[1] * shift if order == 2 else None


def _phi(law: Law, a: Float, k0: int, k1: int, order: int, factor: Float | None = None) -> Complex:
    """factor * E[x^order e^{i a u x} | on] at the nodes u = 2 pi (k + 1/2), shape (R, k1 - k0).

    On the even grid e^{i theta} is an outer product of two short tables (k1 - k0 is a multiple of
    32), which is most of the speed for the binary and uniform laws.
    """
    factor = np.ones_like(a) if factor is None else factor
    a = a[:, None]
    if point(law):
        return _spin(2.0 * math.pi * law.mean * a, k0, k1, factor[:, None] * law.mean**order)
    theta = 2.0 * math.pi * a * (np.arange(k0, k1) + 0.5)
    if not isinstance(law, Uniform) or order > 1:
        return factor[:, None] * law.transform(1j * theta, order)
    half = _spin(math.pi * a, k0, k1, np.ones_like(a))
    theta[theta == 0.0] = 1e-300
    value = half * (half.imag / (0.5 * theta) * (factor[:, None] if order == 0 else 1.0))
    if order == 0:
        still = np.abs(theta) <= 1e-290
        if still.any():
            value[still] = np.broadcast_to(factor[:, None], theta.shape)[still]
        return value
    small = np.abs(theta) < 0.5
    value = (half * half - value) / (1j * theta)
    if small.any():
        value[small] = law.transform(1j * theta[small], 1)
    return factor[:, None] * value


def _spin(step: Float, k0: int, k1: int, factor: Float) -> Complex:
    """factor e^{i step (k + 1/2)} for k0 <= k < k1; step and factor (R, 1)."""
    short = np.exp(1j * step * (np.arange(INNER) + 0.5))
    long = factor * np.exp(1j * step * np.arange(k0, k1, INNER))
    out = long[:, :, None] * short[:, None, :]
    return out.reshape(step.shape[0], k1 - k0)


# How far z can reach: the period of the series, and what is left outside it. The period follows
# from the support of z, or from Chernoff's bound where that allows a shorter one.


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
    return MARGIN * T, tail2, tail1


def _real_transform(law: Law, s: Float) -> Float:
    """E[e^{s x} | on] for real s; many are needed, so the uniform law has its closed form."""
    if isinstance(law, Uniform):
        near = np.abs(s) < 1e-12
        return np.where(near, 1.0, np.expm1(s) / np.where(near, 1.0, s))
    return law.transform(s.astype(np.complex128), 0).real


# The rows.


# Rows are summed in batches of MANY up to FIRST_CAP nodes, the few that need more in batches of
# FEW: an array of node values is then 8 MB, all of them 200 MB.
MANY, FEW = 32, 2
FIRST_CAP, LAST_CAP = 1 << 14, 1 << 18
NEGLIGIBLE = 1e-22  # variance of the weights treated as zero


def rows(
    A: Float,
    b: Float,
    own: NDArray[np.int64],
    p: Float,
    law: Law,
    gradient: bool = False,
    rtol: float = 1e-7,
    max_work: float = 2e7,
) -> RowLoss:
    """Expected loss of R rows.

    Parameters
    ----------
    A, b, own, p : (R, n), (R,), (R,), (R, n) arrays
        Weights, biases, the feature each row reconstructs, on-probabilities.
    law : Law
        Law of an on feature. Used: mean, second, upper, strip, transform, and where it has them
        ``tail`` and ``decay(t, order)``, a decreasing bound on |E[x^order e^{itx} | on]|.
    gradient : bool
        Whether dA and db are computed.
    rtol : float
        Target of bound / value.
    max_work : float
        Largest number of nodes times features a row may use; the bound is honest if it is hit.
    """
    A, b, p = (np.array(v, dtype=float) for v in (A, b, p))
    own = np.asarray(own, dtype=int)
    each = np.arange(A.shape[0])

    # Features that are constant, or whose weight cannot matter, only shift the bias.
    variance = _variance(p, law)
    spread = A * A * variance
    spread[each, own] = np.inf
    order = np.argsort(spread, axis=1)
    running = np.cumsum(np.take_along_axis(spread, order, axis=1), axis=1)
    idle = np.zeros(A.shape, dtype=bool)
    # Relative to z as well as to x_own: where all weights are tiny none is negligible for slopes.
    whole = np.sum(A * A * variance, axis=1) + b * b
    few = running <= NEGLIGIBLE * np.minimum(p[each, own] * law.second, whole)[:, None]
    np.put_along_axis(idle, order, few, axis=1)
    lost = np.where(idle, spread, 0.0).sum(axis=1)
    b = b + np.sum(np.where(idle, A * p * law.mean, 0.0), axis=1)

    # The own feature first, then the busy ones, then padding with p = 0.
    place = np.where(idle, 2, 1)
    place[each, own] = 0
    busy = (~idle).sum(axis=1)
    order = np.argsort(place, axis=1, kind="stable")[:, : int(busy.max(initial=1))]
    keep = np.take_along_axis(~idle, order, axis=1)
    a = np.where(keep, np.take_along_axis(A, order, axis=1), 0.0)
    q = np.where(keep, np.take_along_axis(p, order, axis=1), 0.0)

    sure, out = _one_sided(a, b, q, law)
    value, bound, da, db = out.value, out.bound, np.zeros_like(a), np.zeros_like(b)
    if out.dA is not None and out.db is not None:
        da, db = out.dA, out.db
    jobs = _batches(a, b, q, busy, np.flatnonzero(~sure), law, rtol)
    for first, cap, size in ((0, FIRST_CAP, MANY), (FIRST_CAP, LAST_CAP, FEW)):
        unmet = []
        for which, batch in jobs:
            for i in range(0, which.size, size):
                part = slice(i, i + size)
                got, met = batch.take(part).solve(rtol, max_work, first, cap, gradient)
                at = which[part]
                value[at], bound[at] = got.value, got.bound
                if got.dA is not None and got.db is not None:
                    da[at, : got.dA.shape[1]], db[at] = got.dA, got.db
                again = np.flatnonzero(~met) + i
                if again.size and max_work / a.shape[1] > cap:
                    unmet.append((which[again], batch.take(again)))
        jobs = unmet
    bound = bound + 2.0 * np.sqrt(lost * (np.maximum(value, 0.0) + bound)) + lost
    value = np.maximum(value, 0.0)
    if not gradient:
        return RowLoss(value, bound)
    # A constant or negligible x_j is independent of all else: E[x_j g] = E x_j E g.
    dA = np.where(idle, p * law.mean * db[:, None], 0.0)
    np.put_along_axis(dA, order, np.where(keep, da, np.take_along_axis(dA, order, 1)), axis=1)
    return RowLoss(value, bound, dA, db)


def _variance(p: Float, law: Law) -> Float:
    return p * (law.second - law.mean**2 + law.mean**2 * (1.0 - p))


def _one_sided(a: Float, b: Float, p: Float, law: Law) -> tuple[NDArray[np.bool_], RowLoss]:
    """Which rows have z >= 0 or z <= 0 surely, and their moments; own feature in column 0."""
    low, high = support_of(a, b, p, law)
    positive, negative = low >= 0.0, high <= 0.0
    variance = _variance(p, law)
    e = a.copy()
    e[:, 0] -= 1.0
    error = b + np.sum(e * p, axis=1) * law.mean
    second = p[:, 0] * law.second
    value = np.where(positive, error**2 + np.sum(e * e * variance, axis=1), second)
    da = 2.0 * (p * law.mean * error[:, None] + e * variance)
    da, db = np.where(positive[:, None], da, 0.0), np.where(positive, 2.0 * error, 0.0)
    # The sign itself was found in floating point: |z| may be off by n EPS size.
    size, unit = size_of(a, b, p, law), (a.shape[1] + 16.0) * EPS
    all_of_it = np.where(positive, (size + np.sqrt(second)) ** 2, second)
    bound = unit * (all_of_it + p[:, 0] * law.mean * size) + (unit * size) ** 2
    return positive | negative, RowLoss(value, bound, da, db)


def _batches(
    a: Float, b: Float, p: Float, busy: Index, todo: Index, law: Law, rtol: float
) -> list[tuple[Index, _Rows]]:
    """Rows sorted by few-on order and width, so that padding costs little."""
    if todo.size == 0:
        return []
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        P, tail2, tail1 = period_of(a[todo], b[todo], p[todo], law, rtol)
    block = Block(a[todo, 1:], p[todo, 1:], a[todo, 0], p[todo, 0], b[todo], P)
    kinds = highest_order(block, law)
    out = []
    for kind in np.unique(kinds):
        part = np.flatnonzero(kinds == kind)
        part = part[np.argsort(busy[todo[part]], kind="stable")]
        for i in range(0, part.size, MANY):
            at = part[i : i + MANY]
            piece = block[at].narrow(int(busy[todo[at]].max()) - 1)
            out.append((todo[at], _Rows(piece, law, int(kind), tail2[at], tail1[at])))
    return out


@dataclass
class _Rows:
    """A handful of rows with the same few-on order; tail2, tail1 as from `period_of`."""

    block: Block
    law: Law
    order: int
    tail2: Float
    tail1: Float

    def take(self, at: slice | Index) -> _Rows:
        return _Rows(self.block[at], self.law, self.order, self.tail2[at], self.tail1[at])

    def solve(
        self, rtol: float, max_work: float, first: int, cap: int, gradient: bool
    ) -> tuple[RowLoss, NDArray[np.bool_]]:
        """Add nodes until every row meets rtol or the cap; also says which rows met it."""
        block, law, P = self.block, self.law, self.block.P
        limit = min(float(cap), max(64.0, max_work / (block.a.shape[1] + 1)))
        stages = [k for i in range(6, 19) for k in (2**i, 3 * 2 ** (i - 1)) if k <= limit]
        stages = [k for k in stages if k > first] or stages[-1:]
        few = few_on(block, law, self.order)
        mass, mass_x, far, far_x = self._masses(stages)

        # Moments of the whole law complete the kernels of the series.
        a = np.concatenate([block.a0[:, None], block.a], axis=1)
        p = np.concatenate([block.p0[:, None], block.p], axis=1)
        x, xx, var = p * law.mean, p[:, 0] * law.second, _variance(p, law)
        z = block.b + np.sum(a * x, axis=1)
        zz = z * z + np.sum(a * a * var, axis=1)
        xz = x[:, 0] * z + block.a0 * var[:, 0]
        base = xx + 0.5 * zz + 0.5 * P * z - xz - 0.5 * P * x[:, 0] + few.value

        # Errors that more nodes do not cure. nu: relative rounding of a node value; spin: that of
        # its phase per unit of u; 15 EPS of nu are for adding up. Sums of weights: by hand.
        m = block.a.shape[1] + 1.0
        nu, size = (12.0 * m + 32.0) * EPS, size_of(a, block.b, p, law)
        spin, spin_x = 4.0 * EPS * size, 4.0 * EPS * (x[:, 0] * size + np.abs(block.a0) * xx)
        fixed = (2.0 * m + 24.0) * EPS * (size**2 + P * size + xx + x[:, 0] * (size + P))
        fixed += nu * (0.2 * P**2 * mass + P * mass_x)
        fixed += P * spin + 2.0 * spin_x * math.log(4.0 * stages[-1])
        fixed += 1.25 * self.tail2 + 2.3 * self.tail1
        # Chance (weighted by x_own) to be where images of the Gaussians count negatively.
        outside, outside_x = 1.2 * (self.tail2 / P) / P, 1.2 * self.tail1 / P

        value, bound = base.copy(), fixed.copy()
        smooth = decay_of(law) is not None
        chosen = np.zeros((z.size, 3), dtype=int)  # nodes, kernels of z_+^2 and of z_+
        active, settled = np.flatnonzero(mass > 0.0), mass <= 0.0
        nodes = Nodes(block, law, self.order)
        for i, K in enumerate(stages):
            if active.size == 0:
                break
            R, Rx = nodes.residual(active, K)
            Pa, at = P[active], np.arange(active.size)
            error = (nu * mass[active], spin[active], far[active, i], outside[active])
            error_x = (nu * mass_x[active], spin_x[active], far_x[active, i], outside_x[active])
            v2, e2 = square(R, K, Pa, *error)
            v1, e1 = line(Rx, K, Pa, *error_x)
            k2, k1 = e2.argmin(axis=0), e1.argmin(axis=0)
            series_error = e2[k2, at] + 2.0 * e1[k1, at]
            # Nodes added for the slope alone leave the value as it was.
            late = settled[active]
            new = base[active] + v2[k2, at] - 2.0 * v1[k1, at]
            value[active] = np.where(late, value[active], new)
            bound[active] = np.where(late, bound[active], fixed[active] + series_error)
            chosen[active] = np.stack([np.full(at.size, K), k2, k1], axis=1)
            met = bound[active] <= rtol * np.maximum(value[active], 0.0)
            met |= series_error <= 0.05 * fixed[active]
            met |= late
            settled[active] = met
            if gradient and smooth:
                # Slopes converge later than values: wait until the last half of the nodes is quiet.
                w, half = weights(K, 0.0), slice(K // 2, K)
                u = 2.0 * math.pi * (np.arange(K)[half] + 0.5)
                loud = Pa * dot(np.abs(R[:, half]), u * w.square[half])
                loud += 2.0 * dot(np.abs(Rx[:, half]), u * w.smooth[half])
                met &= loud <= 10.0 * rtol * _slope(value, xx)[active]
            active = active[~met]
        if not gradient:
            return RowLoss(value, bound), settled
        db = z + 0.5 * P - x[:, 0] + few.db
        dA = x * (z + 0.5 * P - x[:, 0])[:, None] + a * var
        dA[:, 0] += few.da0 - var[:, 0]
        dA[:, 1:] += few.da
        some = np.flatnonzero(mass > 0.0)
        if some.size:
            g, gb = nodes.gradient(some, chosen[some], 1e-2 * rtol * _slope(value, xx)[some])
            dA[some] += g
            db[some] += gb
        return RowLoss(value, bound, dA, db), settled

    def _masses(self, stages: list[int]) -> tuple[Float, Float, Float, Float]:
        """Residual mass and E x_own over it, (R,); bounds on their transforms past each stage."""
        block, law, order = self.block, self.law, self.order
        q0, p0, q = 1.0 - block.p0, block.p0, (1.0 - block.p)[:, :, None]
        more, least = (v[:, 0] for v in carry(block.p[:, :, None], q, order))
        mass, mass_x = q0 * more + p0 * least, p0 * law.mean * least
        far, far_x = (np.repeat(v[:, None], len(stages), axis=1) for v in (mass, mass_x))
        decay = decay_of(law)
        if decay is not None:
            U = 2.0 * math.pi * np.array(stages) / block.P[:, None]
            t = block.p[:, :, None] * decay(np.abs(block.a)[:, :, None] * U[:, None, :], 0)
            more, least = carry(t, q, order)
            t0 = p0[:, None] * decay(np.abs(block.a0)[:, None] * U, 0)
            t1 = p0[:, None] * decay(np.abs(block.a0)[:, None] * U, 1)
            far = np.minimum(far, q0[:, None] * more + t0 * least)
            far_x = np.minimum(far_x, t1 * least)
        return mass, mass_x, far, far_x


def _slope(value: Float, second: Float) -> Float:
    """Scale of the derivatives, sqrt(E(x - z_+)^2 E x_own^2), less where the loss is small."""
    value = np.abs(value)
    return np.sqrt(value * np.minimum(value, second))
