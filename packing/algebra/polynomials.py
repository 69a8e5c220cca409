"""Polynomials in one variable over a number field, and quotients of them; exact.

A polynomial is one rational polynomial per power of the field's generator. Closed forms are found
in the odds u = S/(1-S), where weights are short, and shown in S.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import flint

from packing.algebra.balls import Ball, rational, value_at
from packing.algebra.number_fields import Field, Number

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True, eq=False)
class Polynomial:
    """sum_i a^i parts[i](u), a the generator of the field."""

    field: Field
    parts: tuple[Any, ...]

    @staticmethod
    def zero(field: Field) -> Polynomial:
        return Polynomial(field, (flint.fmpq_poly([]),) * field.degree)

    @staticmethod
    def of(field: Field, whole: Any, factor: Number | None = None) -> Polynomial:
        """A rational polynomial times an element (1 by default)."""
        p, c = flint.fmpq_poly(whole), field(1) if factor is None else factor
        return Polynomial(field, tuple(p * c.poly[i] for i in range(field.degree)))

    def __add__(self, other: Polynomial) -> Polynomial:
        pairs = zip(self.parts, other.parts, strict=True)
        return Polynomial(self.field, tuple(p + q for p, q in pairs))

    def __neg__(self) -> Polynomial:
        return Polynomial(self.field, tuple(-p for p in self.parts))

    def __sub__(self, other: Polynomial) -> Polynomial:
        return self + -other

    def __mul__(self, other: Polynomial) -> Polynomial:
        k = self.field.degree
        out = [flint.fmpq_poly([]) for _ in range(2 * k - 1)]
        for i, p in enumerate(self.parts):
            for j, q in enumerate(other.parts):
                out[i + j] += p * q
        for i in range(2 * k - 2, k - 1, -1):
            for j, c in enumerate(self.field.monic[:-1]):
                if c:
                    out[i - k + j] -= out[i] * c
        return Polynomial(self.field, tuple(out[:k]))

    def times(self, c: Number) -> Polynomial:
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

    def coefficient(self, k: int) -> Number:
        """Of the k-th power of the variable."""
        return Number(self.field, flint.fmpq_poly([p[k] for p in self.parts]))

    def __call__(self, u: Ball) -> Ball:
        """The value at a ball, a ball."""
        a, value = self.field.root(flint.ctx.prec), flint.arb(0)
        for p in reversed(self.parts):
            value = value * a + value_at(p, u)
        return value

    def at(self, u: Fraction) -> Number:
        """The value at a rational number, an element of the field."""
        return Number(self.field, flint.fmpq_poly([p(rational(u)) for p in self.parts]))

    def norm(self) -> Any:
        """The product of the conjugates: a rational polynomial with every root of this one."""
        k = self.field.degree
        if k == 1:
            return self.parts[0]
        rows, row = [], self
        for _ in range(k):
            rows.append(list(row.parts))
            row = row.times(self.field.generator)
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
        V, y = flint.fmpq_poly([1, -1]), flint.fmpq_poly([-1, 1])
        parts = []
        for p in self.parts:
            shifted = p(y).coeffs()  # u = 1/V - 1 = y - 1, y = 1/V
            full = [*shifted, *[0] * (weight + 1 - len(shifted))]
            parts.append(flint.fmpq_poly(full[::-1])(V))
        return Polynomial(self.field, tuple(parts))

    def expression(self, symbol: sympy.Symbol) -> sympy.Expr:
        """A sympy expression, expanded."""
        import sympy

        terms = (self.coefficient(k).expression * symbol**k for k in range(self.degree, -1, -1))
        return sum(terms, sympy.Integer(0))


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
    def reduced(top: Polynomial, bottom: Polynomial) -> Quotient:
        """The quotient of two polynomials in the odds, in lowest terms where easy."""
        weight = max(top.degree, bottom.degree)
        top, bottom = top.in_S(weight), bottom.in_S(weight)
        field = top.field
        if field.degree == 1:
            shared = top.parts[0].gcd(bottom.parts[0])
            over, under = top.parts[0] // shared, bottom.parts[0] // shared
            c = under.leading_coefficient()
            return Quotient(Polynomial(field, (over / c,)), Polynomial(field, (under / c,)))
        for factor in (flint.fmpq_poly([0, 1]), flint.fmpq_poly([1, -1])):
            while all((p % factor).is_zero() for p in (*top.parts, *bottom.parts)):
                top, bottom = (
                    Polynomial(field, tuple(p // factor for p in side.parts))
                    for side in (top, bottom)
                )
        return Quotient(top, bottom)

    def __add__(self, other: Quotient) -> Quotient:
        return Quotient(
            self.top * other.bottom + other.top * self.bottom, self.bottom * other.bottom
        )

    def __sub__(self, other: Quotient) -> Quotient:
        return self + other.scaled(-1)

    def scaled(self, k: int) -> Quotient:
        """k times this."""
        return Quotient(Polynomial.of(self.top.field, [k]) * self.top, self.bottom)

    def over(self, field: Field) -> Quotient:
        """The same over a larger field, if it is over the rationals."""
        if self.top.field == field:
            return self
        return Quotient(*(Polynomial.of(field, p.parts[0]) for p in (self.top, self.bottom)))

    def __call__(self, S: Ball) -> Ball:
        """The value at a ball."""
        return self.top(S) / self.bottom(S)

    def at(self, S: Fraction) -> Number:
        """The value at a rational number, an element of the field."""
        return self.top.at(S) / self.bottom.at(S)

    @cached_property
    def expression(self) -> sympy.Expr:
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
    return sum(terms, Polynomial.zero(field))
