"""Exact comparison of cosines in whole numbers, and of angles with them: the tools of `certify`.

Rows are vectors of Python integers of any size. A cosine enters as its signed square
sign(x.y) (x.y)^2 / (|x|^2 |y|^2), which is rational and grows with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Literal

import numpy as np

Criterion = Literal["angle", "lines"]

_NIVEN = {
    Fraction(1): 0.0,
    Fraction(1, 2): 60.0,
    Fraction(0): 90.0,
    Fraction(-1, 2): 120.0,
    Fraction(-1): 180.0,
}
"""The rational cosines of rational angles (Niven), where rounding would lose a bit."""


def square(rows: Sequence[Sequence[int]], i: int, j: int, criterion: Criterion) -> Fraction:
    """sign(x.y) (x.y)^2 / (|x|^2 |y|^2): grows with the cosine."""
    x, y = rows[i], rows[j]
    dot = sum(a * b for a, b in zip(x, y, strict=True))
    square = Fraction(dot * dot, sum(a * a for a in x) * sum(b * b for b in y))
    return square if dot >= 0 or criterion == "lines" else -square


def extreme(rows: Sequence[Sequence[int]], criterion: Criterion) -> Fraction:
    """The exact signed square of a pair that looks worst in floating point; only a start."""
    shift = max(0, max(max(abs(x) for x in row) for row in rows).bit_length() - 1000)
    X = np.array([[float(x >> shift) for x in row] for row in rows])
    X = X / np.abs(X).max(axis=1, keepdims=True)
    X = X / np.linalg.norm(X, axis=1, keepdims=True)
    worst, at = -np.inf, (0, 1)
    for i in range(len(rows) - 1):
        c = X[i + 1 :] @ X[i]
        c = np.abs(c) if criterion == "lines" else c
        if c.max() > worst:
            worst, at = float(c.max()), (i, i + 1 + int(np.argmax(c)))
    return square(rows, *at, criterion)


def rounded_up(square: Fraction, denominator: int) -> Fraction:
    """The least p/denominator with cosine <= p/denominator, given sign * cosine^2.

    The cosine itself where it is a fraction with a smaller denominator.
    """
    top, bottom = abs(square.numerator), square.denominator
    p, q = math.isqrt(top), math.isqrt(bottom)
    if p * p == top and q * q == bottom and q <= denominator:
        return Fraction(p if square >= 0 else -p, q)
    root = math.isqrt(top * denominator**2 // bottom)  # floor(|cosine| * denominator)
    return Fraction(root + 1, denominator) if square >= 0 else Fraction(-root, denominator)


def breaker(
    rows: Sequence[Sequence[int]], c: Fraction, criterion: Criterion
) -> tuple[int, int] | None:
    """A pair (i, j) whose cosine is above c, the pair (i, i) for a zero vector, or None."""
    norms = [sum(x * x for x in row) for row in rows]
    if 0 in norms:
        return norms.index(0), norms.index(0)
    if c < -1 or (criterion == "lines" and c < 0):
        return 0, 1
    if c >= 1:
        return None
    p, q = c.numerator**2, c.denominator**2
    for i, near in _suspects(rows, norms, c, criterion):
        for j in near:
            dot = sum(a * b for a, b in zip(rows[i], rows[j], strict=True))
            left, right = dot * dot * q, p * norms[i] * norms[j]
            if criterion == "lines":
                good = left <= right
            elif c >= 0:
                good = dot <= 0 or left <= right
            else:
                good = dot < 0 and left >= right
            if not good:
                return i, j
    return None


def _suspects(
    rows: Sequence[Sequence[int]], norms: Sequence[int], c: Fraction, criterion: Criterion
) -> Iterator[tuple[int, list[int]]]:
    """For each i, the j > i that a screen in 64-bit integers cannot clear.

    With x = 2^s u + e, 0 <= e < 2^s in each coordinate, x.y <= 2^2s (u.v + |u|_1 + |v|_1 + d), and
    |x| lies between two neighbouring multiples of 2^s. With |u| <= 2^b and c a multiple of 2^-b,
    rounded to the safe side, both sides of the comparison stay below d 2^(3b + 1) < 2^62.
    """
    d = len(rows[0])
    b = (60 - d.bit_length()) // 3
    s = max(max(abs(x) for x in row) for row in rows).bit_length() - b
    if s > 0:
        U = np.array([[x >> s for x in row] for row in rows], dtype=np.int64)
        length = np.array([math.isqrt(N) >> s for N in norms], dtype=np.int64)
    else:
        U = np.array([[x << -s for x in row] for row in rows], dtype=np.int64)
        length = np.array([math.isqrt(N << -2 * s) for N in norms], dtype=np.int64)
    slack = np.abs(U).sum(axis=1) if s > 0 else np.zeros(len(rows), dtype=np.int64)
    lost = d if s > 0 else 0
    unit = 1 << b
    scaled = math.floor(c * unit) if c >= 0 else math.ceil(-c * unit)
    for i in range(len(rows) - 1):
        dot = U[i + 1 :] @ U[i]
        above = (np.abs(dot) if criterion == "lines" else dot) + slack[i + 1 :] + slack[i] + lost
        if c >= 0:
            room = scaled * (length[i] * length[i + 1 :])
        else:  # the bound is negative: it is safe with the larger lengths
            room = -scaled * ((length[i] + 1) * (length[i + 1 :] + 1))
        yield i, (i + 1 + np.flatnonzero(above * unit > room)).tolist()


def degrees_below(cosine: Fraction) -> float:
    """The largest double that is at most arccos(cosine) in degrees, within a few ulp; rigorous."""
    import flint

    if cosine in _NIVEN:
        return _NIVEN[cosine]
    if not -1 <= cosine <= 1:
        return 180.0 if cosine < -1 else 0.0
    with flint.ctx.workprec(256):
        angle = flint.arb(flint.fmpq(cosine.numerator, cosine.denominator)).acos() * 180
        lower = angle / flint.arb.pi()
        value = float(lower.mid())
        while not flint.arb(value) <= lower:
            value = math.nextafter(value, -math.inf)
    return max(value, 0.0)


def cosine_below(degrees: Fraction) -> Fraction:
    """A rational at most cos(degrees), by less than 1e-30."""
    import flint

    for cosine, angle in _NIVEN.items():
        if degrees == angle:
            return cosine
    with flint.ctx.workprec(256):
        turn = flint.fmpq(degrees.numerator, degrees.denominator * 180)
        scaled = (flint.arb.cos_pi_fmpq(turn) * flint.arb(10) ** 30).floor().lower()
        return Fraction(int(str(scaled.unique_fmpz())), 10**30)
