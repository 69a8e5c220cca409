"""Balls with first and second derivatives: a loss, its gradient and Hessian in one pass.

A jet of f on a box of parameters encloses f, its slopes and its second derivatives there; f g has
slopes f g' + f' g and second derivatives f g'' + f' g' + g' f' + f'' g.
Where a positive part has its kink inside the ball, z_+^2 still has bounded second derivatives, and
they are enclosed; z_+ alone has none, and is refused. Rigorous: every number is a ball.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from packing.errors import NotReached


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
    def parameters(values: list[Any]) -> list[Jet]:
        """The parameters themselves, as jets."""
        import flint

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

    def gradient(self) -> list[Any]:
        return list(self.slope)

    def hessian(self) -> Any:
        """Second derivatives as a matrix of balls."""
        import flint

        p = len(self.slope)
        rows = [[flint.arb(0)] * p for _ in range(p)]
        k = 0
        for i in range(p):
            for j in range(i, p):
                rows[i][j] = rows[j][i] = self.curve[k]
                k += 1
        return flint.arb_mat(rows)


def powers(z: Any, most: int) -> list[Any]:
    """z_+^q / q! for q = 2 .. most, in a list that starts with two empty places; any numbers."""
    if isinstance(z, Jet):
        import flint

        t = z.value
        on = flint.arb(1) if t > 0 else flint.arb(0) if t < 0 else flint.arb(0.5, 0.5)
        t = t.nonnegative_part()
        plain = [on, t]
        for q in range(2, most + 1):
            plain.append(plain[-1] * t / q)
        return [None, None] + [
            z.chained(plain[q], plain[q - 1], plain[q - 2]) for q in range(2, most + 1)
        ]
    t = positive(z)
    found, power = [None, None], t
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


def negative(z: Any) -> bool:
    """Whether a number is surely negative or zero."""
    value = z.value if isinstance(z, Jet) else z
    return bool(value <= 0)


def choose(m: int, j: int) -> int:
    return math.comb(m, j)
