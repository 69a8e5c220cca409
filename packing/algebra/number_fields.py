"""Exact numbers: real number fields, and the cosines of parts of a turn.

An element of Q(a), a a real root of an irreducible monic polynomial with whole coefficients, is
kept as its rational coefficients in 1, a, a^2, ... So equality is equality of coefficients, and
order and decimals come from 200 binary digits of a. Textbook number theory, derived here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import sympy

from packing.types import Int

DIGITS = 200  # binary: elements here differ by far more, which `exact.assemble` checks


@dataclass(frozen=True)
class Cosine:
    """An algebraic number in [-1, 1].

    Parameters
    ----------
    text : str
        The number as sympy reads it: ``1/4``, ``-sqrt(5)/5``, ``cos(2*pi/7)``.
    value : float
        The same, correctly rounded to within 2 ulp.
    """

    text: str
    value: float

    @cached_property
    def exact(self) -> sympy.Expr:
        """The number as a sympy expression."""
        import sympy

        return sympy.sympify(self.text)


Rational = int | Fraction


@dataclass(frozen=True)
class Field:
    """Q(a) for one real root a.

    Parameters
    ----------
    polynomial : tuple of int
        Minimal polynomial of a, constant term first, leading coefficient 1.
    low, high : Fraction
        An interval that holds a and no other root.
    symbol : str
        a / scale as sympy reads it.
    turn : int
        N if a = 2 cos(2 pi/N) and elements shall be written as sums of cosines; else 0.
    scale : int
        What makes a root of a polynomial with leading coefficient `scale` an algebraic integer.
    """

    polynomial: tuple[int, ...]
    low: Rational
    high: Rational
    symbol: str
    turn: int = 0
    scale: int = 1

    @property
    def degree(self) -> int:
        return len(self.polynomial) - 1

    @cached_property
    def root(self) -> Fraction:
        """a to DIGITS binary digits after the point, by bisection."""
        if self.degree == 1:
            return Fraction(-self.polynomial[0])
        one = 1 << DIGITS
        low, high = math.floor(self.low * one), math.ceil(self.high * one)

        def positive(x: int) -> bool:
            total, scale = 0, 1
            for c in reversed(self.polynomial):
                total = total * x + c * scale
                scale *= one
            return total > 0

        start = positive(low)
        if start == positive(high):
            raise ValueError(f"no sign change of {self.polynomial} on [{self.low}, {self.high}]")
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if positive(middle) == start else (low, middle)
        return Fraction(low, one)

    @cached_property
    def powers(self) -> Int:
        """a^k for k < 2 degree - 1 in the basis 1, a, ..., shape (2 degree - 1, degree)."""
        table = np.zeros((max(2 * self.degree - 1, 1), self.degree), dtype=np.int64)
        table[: self.degree] = np.eye(self.degree, dtype=np.int64)
        for k in range(self.degree, len(table)):
            table[k, 1:] = table[k - 1, :-1]
            table[k] -= table[k - 1, -1] * np.array(self.polynomial[:-1])
        return table

    def __call__(self, *coefficients: Rational) -> Number:
        """The element with these coefficients in 1, a, a^2, ...; missing ones are 0."""
        padded = (*coefficients, *[0] * (self.degree - len(coefficients)))
        return Number(self, tuple(Fraction(c) for c in padded))


@dataclass(frozen=True)
class Number:
    """An element of a field; + - * / with elements of the same field and rationals."""

    field: Field
    coefficients: tuple[Fraction, ...]

    def _lift(self, other: Number | Rational) -> Number:
        return other if isinstance(other, Number) else self.field(other)

    def __add__(self, other: Number | Rational) -> Number:
        pairs = zip(self.coefficients, self._lift(other).coefficients, strict=True)
        return Number(self.field, tuple(x + y for x, y in pairs))

    def __neg__(self) -> Number:
        return Number(self.field, tuple(-x for x in self.coefficients))

    def __sub__(self, other: Number | Rational) -> Number:
        return self + (-self._lift(other))

    def __mul__(self, other: Number | Rational) -> Number:
        (left, p), (right, q) = self._whole, self._lift(other)._whole
        product = [0] * (2 * self.field.degree - 1)
        for i, x in enumerate(left):
            for j, y in enumerate(right):
                product[i + j] += x * y
        total = [0] * self.field.degree
        for c, power in zip(product, self.field.powers.tolist(), strict=True):
            if c:
                for k, y in enumerate(power):
                    total[k] += c * y
        return Number(self.field, tuple(Fraction(c, p * q) for c in total))

    @cached_property
    def _whole(self) -> tuple[list[int], int]:
        """Whole coefficients and their common denominator."""
        common = math.lcm(*(c.denominator for c in self.coefficients))
        return [c.numerator * (common // c.denominator) for c in self.coefficients], common

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: Rational) -> Number:
        return self._lift(other) - self

    def __truediv__(self, other: Number | Rational) -> Number:
        return self * self._lift(other).inverse()

    def inverse(self) -> Number:
        """1/x: the coefficients solve a linear system, multiplication by x on the basis."""
        k = self.field.degree
        columns = [(self * self.field(*[0] * i, 1)).coefficients for i in range(k)]
        rows = [[columns[j][i] for j in range(k)] for i in range(k)]
        return Number(self.field, tuple(solve(rows, [int(i == 0) for i in range(k)])))

    @cached_property
    def near(self) -> Fraction:
        """The number to nearly DIGITS binary digits."""
        total = Fraction(0)
        for c in reversed(self.coefficients):
            total = total * self.field.root + c
        return total

    @property
    def text(self) -> str:
        """The number as sympy reads it."""
        if self.field.turn:
            terms = _as_cosines(self)
        else:
            a, scale = self.field.symbol, self.field.scale
            names = ["", a, *(f"{a}**{k}" for k in range(2, self.field.degree))]
            pairs = enumerate(zip(self.coefficients, names, strict=False))
            terms = [(c * scale**k, name) for k, (c, name) in pairs]
        out = ""
        for c, name in terms:
            if c:
                sign = "-" if c < 0 else "+"
                part = _term(abs(c), name)
                out += f" {sign} {part}" if out else ("-" if c < 0 else "") + part
        return out or "0"

    def __float__(self) -> float:
        return float(self.near)

    @property
    def cosine(self) -> Cosine:
        return Cosine(self.text, float(self))


def _term(c: Fraction, name: str) -> str:
    if not name:
        return str(c)
    head = name if c.numerator == 1 else f"{c.numerator}*{name}"
    return head if c.denominator == 1 else f"{head}/{c.denominator}"


def _as_cosines(x: Number) -> list[tuple[Fraction, str]]:
    """Coefficients in 1, cos t, cos 2t, ... with a = 2 cos t; 2 cos kt is monic in a."""
    rest = list(x.coefficients)
    monic = [[2], [0, 1]]
    while len(monic) < len(rest):
        shifted = [0, *monic[-1]]
        for i, m in enumerate(monic[-2]):
            shifted[i] -= m
        monic.append(shifted)
    terms: list[tuple[Fraction, str]] = []
    for k in range(len(rest) - 1, 0, -1):
        c = rest[k]
        for i, m in enumerate(monic[k]):
            rest[i] -= c * m
        terms.append((2 * c, f"cos({2 * k}*pi/{x.field.turn})"))
    return [(rest[0], ""), *reversed(terms)]


RATIONALS = Field((0, 1), 0, 0, "0")
TRIBONACCI = Field((-1, -1, -1, 1), 1, 2, "CRootOf(x**3 - x**2 - x - 1, 0)")
"""Q(t), t = 1.839... with t^3 = t^2 + t + 1."""


@lru_cache(maxsize=64)
def quadratic(m: int) -> Field:
    """Q(sqrt m), m > 1 without square factors."""
    return Field((-m, 0, 1), 0, m, f"sqrt({m})")


def rational(p: Rational, q: int = 1) -> Cosine:
    """The cosine p/q."""
    return RATIONALS(Fraction(p) / q).cosine


# --- cosines of parts of a turn -----------------------------------------------------------------


@lru_cache(maxsize=256)
def double_cosine(N: int) -> Number:
    """2 cos(2 pi/N), N >= 1; in Q or Q(sqrt m) where it lies there."""
    if N in (1, 2, 3, 4, 6):
        return RATIONALS({1: 2, 2: -2, 3: -1, 4: 0, 6: 1}[N])
    half = Fraction(1, 2)
    if N in (5, 10):
        return quadratic(5)(half if N == 10 else -half, half)
    if N in (8, 12):
        return quadratic(2 if N == 8 else 3)(0, 1)
    import flint

    minimal = tuple(int(c) for c in flint.fmpz_poly.cos_minpoly(N))
    # its roots are 2 cos(2 pi k/N), k prime to N: the largest has k = 1, the next k >= 2
    largest, next_one = (Fraction(2.0 * math.cos(2.0 * math.pi * k / N)) for k in (1, 2))
    return Field(minimal, (largest + next_one) / 2, 2, f"(2*cos(2*pi/{N}))", N)(0, 1)


def cosines_of_turns(N: int, top: int) -> list[Number]:
    """cos(2 pi j/N) for j = 0 .. top, in the field of 2 cos(2 pi/N)."""
    a = double_cosine(N)
    found = [a.field(2), a]
    while len(found) <= top:
        found.append(a * found[-1] - found[-2])
    return [x * Fraction(1, 2) for x in found[: top + 1]]


@lru_cache(maxsize=8192)
def cosine_of_turn(j: int, N: int) -> Cosine:
    """cos(2 pi j/N): rational or in square roots where that is simple, else as a cosine."""
    part = Fraction(min(j % N, -j % N), N)
    if part.denominator in (1, 2, 3, 4, 5, 6, 8, 10, 12):
        return cosines_of_turns(part.denominator, part.numerator)[-1].cosine
    p, q = (2 * part).numerator, (2 * part).denominator
    text = f"cos({p}*pi/{q})" if p > 1 else f"cos(pi/{q})"
    # near a quarter and a half turn, what is missing keeps the digits that the angle loses
    if part <= Fraction(1, 8):
        return Cosine(text, math.cos(2.0 * math.pi * float(part)))
    if part <= Fraction(3, 8):
        return Cosine(text, math.sin(2.0 * math.pi * float(Fraction(1, 4) - part)))
    return Cosine(text, -math.cos(2.0 * math.pi * float(Fraction(1, 2) - part)))


def solve(table: Sequence[Sequence[int | Fraction]], right: Sequence[int]) -> list[Fraction]:
    """The solution of a square linear system, exact."""
    k = len(right)
    rows = [[Fraction(x) for x in (*row, b)] for row, b in zip(table, right, strict=True)]
    for i in range(k):
        pivot = next(r for r in range(i, k) if rows[r][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [x / rows[i][i] for x in rows[i]]
        for r in range(k):
            if r != i and rows[r][i]:
                rows[r] = [x - rows[r][i] * y for x, y in zip(rows[r], rows[i], strict=True)]
    return [row[-1] for row in rows]


# Square roots of rationals in the exact numbers of the catalogue.
#
# Eigenvalues of strongly regular graphs and cosines of equiangular lines are a + b sqrt(D).


def surd(a: int | Fraction, b: int | Fraction = 0, D: int = 1) -> Number:
    """a + b sqrt(D), D >= 0, exact; squares are taken out of D first."""
    part, factor = math.isqrt(D), 2
    if b == 0 or part * part == D:  # a square, however large, at once; others by trial
        return RATIONALS(Fraction(a) + Fraction(b) * part)
    part = 1
    while factor * factor <= D:
        while D % (factor * factor) == 0:
            D, part = D // (factor * factor), part * factor
        factor += 1
    return quadratic(D)(Fraction(a), Fraction(b) * part)


def root_of(x: Fraction) -> Number:
    """sqrt(x), x >= 0, exact."""
    return surd(0, Fraction(1, x.denominator), x.numerator * x.denominator)
