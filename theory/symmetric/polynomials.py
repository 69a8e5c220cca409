"""Polynomials in one variable over a number field, and quotients of them; exact.

A polynomial is one rational polynomial per power of the field's generator. Closed forms are found
in the odds u = S/(1-S), where weights are short, and shown in S.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from theory.symmetric.number_fields import Element, Field


@dataclass(frozen=True, eq=False)
class Polynomial:
    """sum_i a^i parts[i](u), a the generator of the field."""

    field: Field
    parts: tuple[Any, ...]

    @staticmethod
    def zero(field: Field) -> Polynomial:
        import flint

        return Polynomial(field, tuple(flint.fmpq_poly([]) for _ in range(field.degree)))

    @staticmethod
    def of(field: Field, whole: Any, factor: Element | None = None) -> Polynomial:
        """A rational polynomial times an element (1 by default)."""
        import flint

        rational = flint.fmpq_poly(whole)
        factor = field.element(1) if factor is None else factor
        return Polynomial(
            field, tuple(rational * flint.fmpq(c.numerator, c.denominator) for c in factor)
        )

    def __add__(self, other: Polynomial) -> Polynomial:
        return Polynomial(
            self.field, tuple(p + q for p, q in zip(self.parts, other.parts, strict=True))
        )

    def __sub__(self, other: Polynomial) -> Polynomial:
        return Polynomial(
            self.field, tuple(p - q for p, q in zip(self.parts, other.parts, strict=True))
        )

    def __neg__(self) -> Polynomial:
        return Polynomial(self.field, tuple(-p for p in self.parts))

    def __mul__(self, other: Polynomial) -> Polynomial:
        import flint

        k = self.field.degree
        out = [flint.fmpq_poly([]) for _ in range(2 * k - 1)]
        for i, p in enumerate(self.parts):
            for j, q in enumerate(other.parts):
                out[i + j] += p * q
        top = self.field.polynomial[-1]
        for i in range(2 * k - 2, k - 1, -1):
            for j, c in enumerate(self.field.polynomial[:-1]):
                if c:
                    out[i - k + j] -= out[i] * flint.fmpq(c, top)
        return Polynomial(self.field, tuple(out[:k]))

    def times(self, c: Element) -> Polynomial:
        """The product with an element of the field."""
        return self * Polynomial.of(self.field, [1], c)

    @property
    def derivative(self) -> Polynomial:
        return Polynomial(self.field, tuple(p.derivative() for p in self.parts))

    @property
    def degree(self) -> int:
        return max(int(p.degree()) for p in self.parts)

    @property
    def is_zero(self) -> bool:
        return self.degree < 0

    def __call__(self, u: Any) -> Any:
        """The value at a ball, a ball."""
        import flint

        value = flint.arb(0)
        for p in reversed(self.parts):
            value = value * self.field.root + flint.arb_poly(p)(u)
        return value

    def at(self, u: Any) -> Element:
        """The value at a rational number, an element of the field."""
        import flint

        found = (p(flint.fmpq(u.numerator, u.denominator)) for p in self.parts)
        return tuple(Fraction(int(c.p), int(c.q)) for c in found)

    def norm(self) -> Any:
        """The product of the conjugates: a rational polynomial with every root of this one."""
        import flint

        k = self.field.degree
        if k == 1:
            return self.parts[0]
        rows = []
        generator = Polynomial.of(self.field, [1], self.field.element(0, 1))
        row = self
        for _ in range(k):
            rows.append(list(row.parts))
            row = row * generator
        # Bareiss: every division is exact
        before, sign = flint.fmpq_poly([1]), 1
        for i in range(k - 1):
            pivot = next((r for r in range(i, k) if not rows[r][i].is_zero()), None)
            if pivot is None:
                return flint.fmpq_poly([])
            if pivot != i:
                rows[i], rows[pivot], sign = rows[pivot], rows[i], -sign
            for r in range(i + 1, k):
                for c in range(i + 1, k):
                    top = rows[r][c] * rows[i][i] - rows[r][i] * rows[i][c]
                    rows[r][c] = top // before
            before = rows[i][i]
        return rows[-1][-1] * sign

    def in_S(self, weight: int) -> Polynomial:
        """(1-S)^weight times the value at u = S/(1-S), a polynomial in S; weight >= degree."""
        import flint

        V, y = flint.fmpq_poly([1, -1]), flint.fmpq_poly([-1, 1])
        parts = []
        for p in self.parts:
            shifted = [flint.fmpq(c) for c in p(y).coeffs()]  # u = 1/V - 1 = y - 1, y = 1/V
            full = [*shifted, *[flint.fmpq(0)] * (weight + 1 - len(shifted))]
            parts.append(flint.fmpq_poly(full[::-1])(V))
        return Polynomial(self.field, tuple(parts))

    def expression(self, symbol: Any) -> Any:
        """A sympy expression, expanded."""
        import sympy

        top = self.degree
        out = sympy.Integer(0)
        for k in range(top, -1, -1):
            out += self.field.expression(self.coefficient(k)) * symbol**k
        return out

    def coefficient(self, k: int) -> Element:
        return tuple(Fraction(int(p[k].p), int(p[k].q)) for p in self.parts)


@dataclass(frozen=True, eq=False)
class Quotient:
    """top/bottom, as a function of S.

    Parameters
    ----------
    top, bottom : Polynomial
        In S; without common factors if the field is the rationals.
    """

    top: Polynomial
    bottom: Polynomial

    @staticmethod
    def reduced(top: Polynomial, bottom: Polynomial, in_odds: bool = True) -> Quotient:
        """The quotient of two polynomials in the odds, or in S, in lowest terms where easy."""
        import flint

        if in_odds:
            weight = max(top.degree, bottom.degree)
            top, bottom = top.in_S(weight), bottom.in_S(weight)
        field = top.field
        if field.degree == 1:
            shared = top.parts[0].gcd(bottom.parts[0])
            parts = [p // shared for p in (top.parts[0], bottom.parts[0])]
        else:
            parts = []
            for factor in (flint.fmpq_poly([0, 1]), flint.fmpq_poly([1, -1])):
                while all((p % factor).is_zero() for p in (*top.parts, *bottom.parts)):
                    top = Polynomial(field, tuple(p // factor for p in top.parts))
                    bottom = Polynomial(field, tuple(p // factor for p in bottom.parts))
            return Quotient(top, bottom)
        c = parts[1].leading_coefficient()
        return Quotient(
            Polynomial(field, (parts[0] / c,)),
            Polynomial(field, (parts[1] / c,)),
        )

    def __sub__(self, other: Quotient) -> Quotient:
        return Quotient(
            self.top * other.bottom - other.top * self.bottom, self.bottom * other.bottom
        )

    def __add__(self, other: Quotient) -> Quotient:
        return Quotient(
            self.top * other.bottom + other.top * self.bottom, self.bottom * other.bottom
        )

    def scaled(self, k: int) -> Quotient:
        """k times this."""
        return Quotient(Polynomial.of(self.top.field, [k]) * self.top, self.bottom)

    def __call__(self, S: Any) -> Any:
        """The value at a ball."""
        return self.top(S) / self.bottom(S)

    def at(self, S: Fraction) -> Element:
        """The value at a rational number, an element of the field."""
        field = self.top.field
        return field.product(self.top.at(S), field.inverse(self.bottom.at(S)))

    @cached_property
    def expression(self) -> Any:
        """A sympy expression in S, factors kept apart."""
        import sympy

        S = sympy.Symbol("S")
        top, bottom = self.top.expression(S), self.bottom.expression(S)
        if self.top.field.degree == 1:
            return sympy.factor(top) / sympy.factor(bottom)
        return top / bottom

    @property
    def latex(self) -> str:
        import sympy

        return str(sympy.latex(self.expression))


def total(field: Field, terms: Iterable[Polynomial]) -> Polynomial:
    """The sum."""
    out = Polynomial.zero(field)
    for term in terms:
        out = out + term
    return out
