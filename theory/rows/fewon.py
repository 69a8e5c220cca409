r"""Patterns with few features on, exactly: the part of a row's law that has atoms and never decays.

`theory.rows.transform` splits the law of (x, z) into the patterns with at most ``order`` features
on, taken here in closed form, and the rest, taken by a Fourier series. The series has the kernels

    r2(z) = z_+^2 - z^2/2 - P z/2,        r1(z) = z_+ - z/2 - P/4,

so the few-on patterns enter with the same two kernels, and moments of the whole law complete them.
One feature on needs ``law.tail``; two are taken only for a law that is a single value (binary).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from theory.features import Law
from theory.rows import Float

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
