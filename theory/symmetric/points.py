"""Real numbers known as roots of whole-number polynomials: ends of pieces, crossings.

A `Point` is an irreducible polynomial together with an interval that holds just one of its roots.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from packing.algebra.roots import polynomial_text, real_roots, root_text


@dataclass(frozen=True)
class Point:
    """The root number ``index`` of an irreducible polynomial.

    Parameters
    ----------
    polynomial : tuple of int
        The minimal polynomial, constant term first, leading coefficient positive.
    index : int
        Which of its real roots, counted upwards from 0.
    """

    polynomial: tuple[int, ...]
    index: int

    @staticmethod
    def rational(x: Fraction | int) -> Point:
        """A rational number."""
        q = Fraction(x)
        return Point((-q.numerator, q.denominator), 0)

    @property
    def degree(self) -> int:
        return len(self.polynomial) - 1

    def ball(self, bits: int = 128) -> Any:
        """A ball around the root; rigorous."""
        import flint

        if self.degree == 1:
            with flint.ctx.workprec(bits):
                return flint.arb(flint.fmpq(-self.polynomial[0], self.polynomial[1]))
        known = self.__dict__.setdefault("_balls", {})
        if bits not in known:
            known[bits] = real_roots(self.polynomial, bits)[self.index]
        return known[bits]

    @cached_property
    def interval(self) -> tuple[Fraction, Fraction]:
        """An isolating interval with rational ends: it holds this root and no other."""
        bits = 64
        while True:
            roots = [_ends(root) for root in real_roots(self.polynomial, bits)]
            low, high = roots[self.index]
            others = roots[: self.index] + roots[self.index + 1 :]
            if all(high < a or b < low for a, b in others):
                return low, high
            bits *= 2

    @cached_property
    def text(self) -> str:
        """The number as sympy reads it."""
        return root_text(self.polynomial, self.index)

    @property
    def equation(self) -> str:
        """The minimal polynomial, in S."""
        return polynomial_text(self.polynomial).replace("x", "S")

    def __float__(self) -> float:
        return float(self.ball(80).mid())


def _ends(ball: Any) -> tuple[Fraction, Fraction]:
    return fraction(ball.lower()), fraction(ball.upper())


def fraction(x: Any) -> Fraction:
    """The midpoint of a ball as a fraction, exactly."""
    mantissa, power = x.mid().man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(power)


def ball(x: Any) -> Any:
    """A ball around a fraction, whole number, float (taken as it stands) or ball."""
    import flint

    if isinstance(x, flint.arb):
        return x
    q = x if isinstance(x, Fraction) else Fraction(x)
    return flint.arb(flint.fmpq(q.numerator, q.denominator))


def roots_between(whole: Any, low: Fraction, high: Fraction, bits: int = 192) -> list[Point]:
    """Roots of a polynomial with rational coefficients in [low, high], upwards; rigorous.

    Parameters
    ----------
    whole : fmpq_poly
        Not zero.
    low, high : Fraction
    """
    found = []
    for factor, _ in whole.numer().factor()[1]:
        coefficients = tuple(int(c) for c in factor.coeffs())
        if coefficients[-1] < 0:
            coefficients = tuple(-c for c in coefficients)
        for index, root in enumerate(real_roots(coefficients, bits)):
            a, b = _ends(root)
            if a <= high and b >= low:
                found.append(Point(coefficients, index))
    return sorted(found, key=float)


# Exact numbers and balls as text: expressions that sympy reads, decimals that enclose.


def plain(expression: Any) -> str:
    """An expression as text, powers with ^; sympy reads it."""
    return str(expression).replace("**", "^")


def decimals(x: Any, digits: int = 30) -> str:
    """A ball as ``[low, high]``: decimals that enclose it."""
    import flint

    with flint.ctx.workprec(4 * digits + 128):
        low, high = fraction(x.lower()), fraction(x.upper())
    ten = 10 ** _places(max(abs(low), abs(high)), digits)
    if low == high and (low * ten).denominator == 1:
        return _decimal(low * ten, ten)
    floor, ceiling = (low * ten).__floor__(), (high * ten).__ceil__()
    return f"[{_decimal(Fraction(floor), ten)}, {_decimal(Fraction(ceiling), ten)}]"


def _places(size: Fraction, digits: int) -> int:
    """Decimal places after the point that show so many digits of a number."""
    places = digits
    while size and size * 10**places < 10 ** (digits - 1) and places < 40 * digits:
        places += 1
    return places


def _decimal(whole: Fraction, ten: int) -> str:
    sign, n = ("-" if whole < 0 else ""), abs(int(whole))
    if ten == 1:
        return f"{sign}{n}"
    tail = str(n % ten).zfill(len(str(ten)) - 1).rstrip("0")
    return f"{sign}{n // ten}" + (f".{tail}" if tail else "")


def number(x: Fraction) -> str:
    return str(x) if x.denominator < 10**6 else repr(float(x))


def rational(x: Fraction) -> Any:
    import sympy

    return sympy.Rational(x.numerator, x.denominator)
