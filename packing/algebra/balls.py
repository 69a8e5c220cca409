"""Real numbers in balls (flint.arb): conversions, decimals that enclose, jets, Krawczyk's test.

A ball is a midpoint and a radius, and every operation on balls encloses the truth: what is decided
with them is proved. The precision is that of ``flint.ctx``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint

from packing.errors import NotReached

Ball = Any
"""flint.arb; flint has no type stubs."""


# --- conversions --------------------------------------------------------------------------------


def rational(x: Fraction | int) -> Any:
    """The number as flint.fmpq."""
    return flint.fmpq(x.numerator, x.denominator)


def fraction(x: Any) -> Fraction:
    """A flint.fmpq, or the midpoint of a ball, as a Fraction; exact."""
    if isinstance(x, flint.fmpq):
        return Fraction(int(x.p), int(x.q))
    mantissa, power = (int(v) for v in x.mid().man_exp())
    return Fraction(mantissa << power) if power >= 0 else Fraction(mantissa, 1 << -power)


def ball(x: Any) -> Ball:
    """A ball around a fraction, whole number, float (taken as it stands) or ball."""
    return x if isinstance(x, flint.arb) else flint.arb(rational(Fraction(x)))


def value_at(p: Any, x: Ball) -> Ball:
    """The value of a polynomial (fmpz_poly or fmpq_poly) at a ball."""
    value: Any = flint.arb_poly(p)(x)
    return value


def ends(x: Ball) -> tuple[Fraction, Fraction]:
    """The ends of a ball as exact fractions, rounded outwards."""
    return fraction(x.lower()), fraction(x.upper())


def decimals(x: Ball, digits: int = 30) -> str:
    """A ball as ``[low, high]``: decimals that enclose it."""
    with flint.ctx.workprec(4 * digits + 128):
        low, high = ends(x)
    size, places = max(abs(low), abs(high)), digits
    while size and size * 10**places < 10 ** (digits - 1) and places < 40 * digits:
        places += 1
    if low == high and (low * 10**places).denominator == 1:
        return _decimal(int(low * 10**places), places)
    floor, ceiling = math.floor(low * 10**places), math.ceil(high * 10**places)
    return f"[{_decimal(floor, places)}, {_decimal(ceiling, places)}]"


def _decimal(whole: int, places: int) -> str:
    """whole / 10^places without trailing zeros."""
    head, tail = divmod(abs(whole), 10**places)
    shown = f"{tail:0{places}d}".rstrip("0") if places else ""
    return f"{'-' if whole < 0 else ''}{head}" + (f".{shown}" if shown else "")


# --- matrices -----------------------------------------------------------------------------------


def positive_definite(A: Any) -> bool:
    """Whether every symmetric matrix in A (flint.arb_mat) is proved so: all pivots are positive."""
    rows = A.tolist()
    for i, top in enumerate(rows):
        if not top[i] > 0:
            return False
        for row in rows[i + 1 :]:
            factor = row[i] / top[i]
            for c in range(i + 1, len(rows)):
                row[c] -= factor * top[c]
    return True


def krawczyk(inverse: Any, slopes: Any, start: Any, radius: Ball) -> Any:
    """What Krawczyk's operator adds to the midpoint m of a box, or None if it leaves the box.

    Parameters
    ----------
    inverse : arb_mat (N, N)
        C, near the inverse of the Jacobian; any matrix will do.
    slopes : arb_mat (N, N)
        The Jacobian on all of the box, whose half width is ``radius`` in every direction.
    start : arb_mat (N, 1)
        C f(m).

    Returns
    -------
    arb_mat (N, 1) or None
        Then f has exactly one zero in the box, and it lies in m plus these balls (proved: Krawczyk
        1969; Moore, Kearfott and Cloud 2009, chapter 8).
    """
    size = inverse.nrows()
    box = flint.arb_mat(size, 1, [flint.arb(0, radius)] * size)
    shift = (flint.arb_mat(size, size, 1) - inverse * slopes) * box - start
    return shift if all(e.abs_upper() < radius for e in shift.entries()) else None


# --- jets: first and second derivatives ---------------------------------------------------------
#
# A jet of f on a box of parameters encloses f, its slopes and its second derivatives there; f g has
# slopes f g' + f' g and second derivatives f g'' + f' g' + g' f' + f'' g. Where a positive part has
# its kink inside the ball, z_+^2 still has bounded second derivatives, and they are enclosed; z_+
# alone has none, and is refused.


@dataclass(frozen=True, eq=False)
class Jet:
    """Value, slopes and second derivatives by the same few parameters, in balls.

    Parameters
    ----------
    value : ball
    slope : tuple of ball
        By each parameter.
    curve : tuple of ball
        Second derivatives (i, j), i <= j, row by row.
    """

    value: Any
    slope: tuple[Any, ...]
    curve: tuple[Any, ...]

    @staticmethod
    def parameters(values: Sequence[Ball]) -> list[Jet]:
        """The parameters themselves, as jets."""
        p, zero = len(values), flint.arb(0)
        flat = (zero,) * (p * (p + 1) // 2)
        return [
            Jet(x, tuple(flint.arb(int(i == k)) for i in range(p)), flat)
            for k, x in enumerate(values)
        ]

    def __add__(self, other: Any) -> Jet:
        if not isinstance(other, Jet):
            return Jet(self.value + other, self.slope, self.curve)
        return Jet(
            self.value + other.value,
            tuple([a + b for a, b in zip(self.slope, other.slope, strict=True)]),
            tuple([a + b for a, b in zip(self.curve, other.curve, strict=True)]),
        )

    __radd__ = __add__

    def __neg__(self) -> Jet:
        return self * -1

    def __sub__(self, other: Any) -> Jet:
        return self + (-other)

    def __rsub__(self, other: Any) -> Jet:
        return -self + other

    def __mul__(self, other: Any) -> Jet:
        v, g = self.value, self.slope
        if not isinstance(other, Jet):
            return Jet(
                v * other, tuple([a * other for a in g]), tuple([a * other for a in self.curve])
            )
        w, h = other.value, other.slope
        curve, k = [], 0
        for i, (a, b) in enumerate(zip(g, h, strict=True)):
            for j in range(i, len(g)):
                curve.append(v * other.curve[k] + w * self.curve[k] + (a * h[j] + b * g[j]))
                k += 1
        return Jet(v * w, tuple([v * b + w * a for a, b in zip(g, h, strict=True)]), tuple(curve))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Jet:
        return self * (1 / other)

    def __rtruediv__(self, other: Any) -> Jet:
        inverse = 1 / self.value
        square = inverse * inverse
        return self.chained(other * inverse, -other * square, 2 * other * square * inverse)

    def chained(self, f: Any, df: Any, ddf: Any) -> Jet:
        """f of this, from the value and derivatives of f on the ball of this value."""
        g = self.slope
        curve, k = [], 0
        for i, a in enumerate(g):
            for j in range(i, len(g)):
                curve.append(df * self.curve[k] + ddf * a * g[j])
                k += 1
        return Jet(f, tuple([df * a for a in g]), tuple(curve))

    @property
    def gradient(self) -> Any:
        """Slopes as a column (arb_mat)."""
        return flint.arb_mat(len(self.slope), 1, list(self.slope))

    @property
    def hessian(self) -> Any:
        """Second derivatives as a matrix of balls."""
        p, k = len(self.slope), 0
        H = flint.arb_mat(p, p)
        for i in range(p):
            for j in range(i, p):
                H[i, j] = H[j, i] = self.curve[k]
                k += 1
        return H


def powers(z: Any, most: int) -> list[Any]:
    """z_+^q / q! for q = 2 .. most, in a list that starts with two empty places; any numbers."""
    if isinstance(z, Jet):
        t = z.value
        on = flint.arb(1) if t > 0 else flint.arb(0) if t < 0 else flint.arb(0.5, 0.5)
        plain = [on, t.nonnegative_part()]
        for q in range(2, most + 1):
            plain.append(plain[-1] * plain[1] / q)
        return [None, None] + [z.chained(*plain[q - 2 : q + 1][::-1]) for q in range(2, most + 1)]
    t = power = positive(z)
    found: list[Any] = [None, None]
    for q in range(2, most + 1):
        power = power * t / q
        found.append(power)
    return found


def positive(z: Any) -> Any:
    """z_+ of any number.

    Raises
    ------
    NotReached
        If a jet sits at the kink: it has no second derivative there.
    """
    if isinstance(z, Jet):
        if z.value > 0:
            return z
        if z.value < 0:
            return z * 0
        raise NotReached("a ReLU sits at its kink: the loss has no second derivative there", None)
    return z.nonnegative_part() if hasattr(z, "nonnegative_part") else max(z, z * 0)
