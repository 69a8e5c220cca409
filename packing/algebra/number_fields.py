"""Exact numbers: real number fields and their elements, and the cosines of parts of a turn.

An element of Q(a), a a real algebraic integer, is a rational polynomial in a, reduced. So equality
is equality of coefficients, and order and decimals come from balls (Arb). Fields whose numbers meet
are joined by their structure: square roots and cosines of parts of a turn lie in the real part of a
cyclotomic field. Textbook number theory, derived here.
"""

from __future__ import annotations

import ast
import functools
import itertools
import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import flint
import numpy as np

from packing.algebra.balls import Ball, fraction, rational, value_at
from packing.algebra.roots import Point, primitive, real_roots, root_near, root_text, squarefree
from packing.errors import BadInput
from packing.types import Int

if TYPE_CHECKING:
    import sympy

DIGITS = 200
"""Binary digits of `Number.near`."""

Rational = int | Fraction


@dataclass(frozen=True)
class Field:
    """Q(a) for a = scale x, x a real root of an irreducible polynomial.

    Parameters
    ----------
    polynomial : tuple of int
        Of x, constant term first, leading coefficient positive: it is the scale.
    index : int
        Which of its real roots x is, counted upwards from 0.
    turn : int
        N if x = 2 cos(2 pi/N) and elements shall be written as sums of cosines; else 0.
    """

    polynomial: tuple[int, ...]
    index: int
    turn: int = 0

    @property
    def degree(self) -> int:
        return len(self.polynomial) - 1

    @property
    def scale(self) -> int:
        """What makes x an algebraic integer."""
        return self.polynomial[-1]

    @property
    def symbol(self) -> str:
        """x as sympy reads it."""
        if self.turn:
            return f"(2*cos(2*pi/{self.turn}))"
        text = root_text(self.polynomial, self.index)
        return text if text.startswith(("sqrt", "cos", "CRootOf")) else f"({text})"

    @cached_property
    def monic(self) -> tuple[int, ...]:
        """Minimal polynomial of a, constant term first."""
        k = self.degree
        lower = (c * self.scale ** (k - 1 - i) for i, c in enumerate(self.polynomial[:-1]))
        return (*lower, 1)

    @cached_property
    def modulus(self) -> Any:
        """The same as flint.fmpq_poly."""
        return flint.fmpq_poly(list(self.monic))

    def root(self, bits: int) -> Ball:
        """a in a ball of so many bits."""
        return _root(self, bits)

    @cached_property
    def powers(self) -> Int:
        """a^k for k < 2 degree - 1 in the basis 1, a, ..., shape (2 degree - 1, degree)."""
        a, power, table = self.generator, self(1), []
        for _ in range(max(2 * self.degree - 1, 1)):
            table.append([int(c) for c in power.coefficients])
            power = power * a
        return np.array(table, dtype=np.int64)

    @property
    def generator(self) -> Number:
        """a."""
        return self(0, 1)

    @property
    def x(self) -> Number:
        """x, the root itself."""
        return self.generator / self.scale

    def __call__(self, *coefficients: Rational) -> Number:
        """The element with these coefficients in 1, a, a^2, ...; missing ones are 0."""
        return self.element(flint.fmpq_poly([rational(c) for c in coefficients]))

    def element(self, poly: Any) -> Number:
        """The value at a of a rational polynomial (flint.fmpq_poly)."""
        return Number(self, poly % self.modulus if poly.degree() >= self.degree else poly)


@lru_cache(maxsize=1024)
def _root(field: Field, bits: int) -> Ball:
    with flint.ctx.workprec(bits):
        if field.turn:
            return 2 * flint.arb.cos_pi_fmpq(flint.fmpq(2, field.turn))
        return real_roots(field.polynomial, bits + 16)[field.index] * field.scale


@dataclass(frozen=True, eq=False)
class Number:
    """An element of a field; + - * / with rationals and other numbers, and exact comparison.

    Numbers of different fields are joined in one that holds both, see `common`.

    Parameters
    ----------
    field : Field
    poly : flint.fmpq_poly
        Of smaller degree than the field.
    """

    field: Field
    poly: Any

    def _with(self, other: Number | Rational) -> tuple[Field, Any, Any]:
        """A field that holds both, and both as polynomials in its generator."""
        if not isinstance(other, Number):
            return self.field, self.poly, flint.fmpq_poly([rational(other)])
        if self.field is not other.field and self.field != other.field:
            joined, (one, two) = common((self, other))
            return joined, one.poly, two.poly
        return self.field, self.poly, other.poly

    def __add__(self, other: Number | Rational) -> Number:
        shared, x, y = self._with(other)
        return Number(shared, x + y)

    def __neg__(self) -> Number:
        return Number(self.field, -self.poly)

    def __sub__(self, other: Number | Rational) -> Number:
        shared, x, y = self._with(other)
        return Number(shared, x - y)

    def __mul__(self, other: Number | Rational) -> Number:
        shared, x, y = self._with(other)
        return shared.element(x * y)

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: Rational) -> Number:
        return -self + other

    def __truediv__(self, other: Number | Rational) -> Number:
        return self * (other.inverse() if isinstance(other, Number) else 1 / Fraction(other))

    def __rtruediv__(self, other: Rational) -> Number:
        return self.inverse() * other

    def __pow__(self, power: int) -> Number:
        return functools.reduce(Number.__mul__, [self] * power, self.field(1))

    def inverse(self) -> Number:
        """1/x, x not 0."""
        shared, found, _ = self.poly.xgcd(self.field.modulus)
        return self.field.element(found / shared[0])

    def __bool__(self) -> bool:
        return self.poly.degree() >= 0

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Number):
            return self.field == other.field and bool(self.poly == other.poly)
        return isinstance(other, (int, Fraction)) and self.rational == other

    @cached_property
    def _hash(self) -> int:
        rational = self.rational
        return hash((self.field, self.coefficients)) if rational is None else hash(rational)

    def __hash__(self) -> int:
        return self._hash

    def __lt__(self, other: Number | Rational) -> bool:
        return (self - other).sign() < 0

    def __gt__(self, other: Number | Rational) -> bool:
        return (self - other).sign() > 0

    def __le__(self, other: Number | Rational) -> bool:
        return not self > other

    def __ge__(self, other: Number | Rational) -> bool:
        return not self < other

    def sign(self) -> int:
        """-1, 0 or 1; exact."""
        if not self:
            return 0
        bits = 128
        while (value := self.ball(bits)).contains(0):
            bits *= 2
        return 1 if value > 0 else -1

    def ball(self, bits: int | None = None) -> Ball:
        """The value in a ball, at the working precision if none is given."""
        if bits is None:
            return value_at(self.poly, self.field.root(flint.ctx.prec))
        with flint.ctx.workprec(bits):
            return self.ball()

    @cached_property
    def near(self) -> Fraction:
        """The number to nearly DIGITS binary digits."""
        return fraction(self.ball(DIGITS + 16))

    def __float__(self) -> float:
        return float(self.near)

    @cached_property
    def coefficients(self) -> tuple[Fraction, ...]:
        """In 1, a, a^2, ..."""
        return tuple(fraction(self.poly[i]) for i in range(self.field.degree))

    @property
    def rational(self) -> Fraction | None:
        """The same as a fraction, if it is one."""
        return fraction(self.poly[0]) if self.poly.degree() < 1 else None

    @cached_property
    def multiplication(self) -> Any:
        """Multiplication by the number (fmpq_mat): row j holds its product with a^j."""
        k, row, rows = self.field.degree, self, []
        for _ in range(k):
            rows.append([row.poly[i] for i in range(k)])
            row = row * self.field.generator
        return flint.fmpq_mat(rows)

    @cached_property
    def point(self) -> Point:
        """The number as a root of its own minimal polynomial; exact."""
        p, bits = primitive(self.multiplication.minpoly()), 128
        while (index := root_near(p, self.ball(bits), bits)) is None:
            bits *= 2
        return Point(p, index)

    # --- text -----------------------------------------------------------------------------------

    @property
    def _terms(self) -> list[tuple[Fraction, str]]:
        """Coefficients and the powers, or cosines, that they belong to."""
        if self.field.turn:
            return _as_cosines(self)
        x, scale = self.field.symbol, self.field.scale
        names = ["", x, *(f"{x}**{k}" for k in range(2, self.field.degree))]
        return [(c * scale**k, names[k]) for k, c in enumerate(self.coefficients)]

    @property
    def text(self) -> str:
        """The number as sympy reads it."""
        out = ""
        for c, name in self._terms:
            if c:
                sign = "-" if c < 0 else "+"
                part = _term(abs(c), name)
                out += f" {sign} {part}" if out else sign.strip("+") + part
        return out or "0"

    @property
    def expression(self) -> sympy.Expr:
        """The number as a sympy expression."""
        import sympy

        terms = (sympy.Rational(c) * _symbol(name) for c, name in self._terms if c)
        return sum(terms, sympy.Integer(0))

    @property
    def cosine(self) -> Cosine:
        """The same, as the catalogue keeps it."""
        return Cosine(self.text, float(self), self)


@lru_cache(maxsize=1024)
def _symbol(name: str) -> Any:
    import sympy

    return sympy.sympify(name or "1")


def _term(c: Fraction, name: str) -> str:
    if not name:
        return str(c)
    head = name if c.numerator == 1 else f"{c.numerator}*{name}"
    return head if c.denominator == 1 else f"{head}/{c.denominator}"


def _as_cosines(x: Number) -> list[tuple[Fraction, str]]:
    """Coefficients in 1, cos t, cos 2t, ... with a = 2 cos t; 2 cos kt is monic in a."""
    rest, a = x.poly, flint.fmpq_poly([0, 1])
    monic = [flint.fmpq_poly([2]), a]
    while len(monic) < x.field.degree:
        monic.append(a * monic[-1] - monic[-2])
    terms: list[tuple[Fraction, str]] = []
    for k in range(x.field.degree - 1, 0, -1):
        c = rest[k]
        rest = rest - c * monic[k]
        terms.append((2 * fraction(c), f"cos({2 * k}*pi/{x.field.turn})"))
    return [(fraction(rest[0]), ""), *reversed(terms)]


@dataclass(frozen=True)
class Cosine:
    """An algebraic number in [-1, 1] as the catalogue keeps it: its text, its value, and itself.

    Parameters
    ----------
    text : str
        As sympy reads it, for people: ``1/4``, ``-sqrt(5)/5``, ``cos(2*pi/7)``.
    value : float
        Correctly rounded to within 2 ulp.
    origin : Number or Fraction
        The number, or the part of a turn whose cosine it is.
    """

    text: str
    value: float
    origin: Number | Fraction = field(compare=False, repr=False)

    @cached_property
    def number(self) -> Number:
        """The number in its field."""
        origin = self.origin
        return origin if isinstance(origin, Number) else number_of_turn(origin)

    @cached_property
    def exact(self) -> sympy.Expr:
        """The number as a sympy expression."""
        import sympy

        if isinstance(self.origin, Number):
            return self.origin.expression
        return sympy.cos(2 * sympy.pi * sympy.Rational(self.origin))


RATIONALS = Field((0, 1), 0)
TRIBONACCI = Field((-1, -1, -1, 1), 0)
"""Q(t), t = 1.839... with t^3 = t^2 + t + 1."""


@lru_cache(maxsize=64)
def quadratic(m: int) -> Field:
    """Q(sqrt m), m > 1 without square factors."""
    return Field((-m, 0, 1), 1)


def cosine(p: Rational, q: int = 1) -> Cosine:
    """The cosine p/q."""
    return RATIONALS(Fraction(p) / q).cosine


def surd(a: Rational, b: Rational = 0, D: int = 1) -> Number:
    """a + b sqrt(D), D >= 0, exact; squares are taken out of D first."""
    m, s = squarefree(D) if b and D else (1, 0)
    return RATIONALS(Fraction(a) + Fraction(b) * s) if m == 1 else quadratic(m)(a, b * s)


def root_of(x: Fraction) -> Number:
    """sqrt(x), x >= 0, exact."""
    return surd(0, Fraction(1, x.denominator), x.numerator * x.denominator)


def solve(table: Sequence[Sequence[Rational]], right: Sequence[Rational]) -> list[Fraction]:
    """The solution of a square linear system, exact."""
    A = flint.fmpq_mat([[rational(x) for x in row] for row in table])
    return [
        fraction(x)
        for x in A.solve(flint.fmpq_mat(len(right), 1, [rational(x) for x in right])).entries()
    ]


# --- cosines of parts of a turn -----------------------------------------------------------------


@lru_cache(maxsize=256)
def turn_field(N: int) -> Field:
    """The field of 2 cos(2 pi/N), with that number as its generator."""
    minimal = tuple(int(c) for c in flint.fmpz_poly.cos_minpoly(N))
    return Field(minimal, len(minimal) - 2, N)  # of 2 cos(2 pi k/N) the largest has k = 1


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
    return turn_field(N).generator


def _doubled(a: Number) -> Iterable[Number]:
    """2, a, a^2 - 2, ...: 2 cos kt for a = 2 cos t."""
    before, now = a.field(2), a
    while True:
        yield before
        before, now = now, a * now - before


def cosines_of_turns(N: int, top: int) -> list[Number]:
    """cos(2 pi j/N) for j = 0 .. top, in the field of 2 cos(2 pi/N)."""
    return [x / 2 for x in itertools.islice(_doubled(double_cosine(N)), top + 1)]


@lru_cache(maxsize=8192)
def number_of_turn(part: Fraction) -> Number:
    """The cosine of a part of a turn in its field."""
    part = min(part % 1, -part % 1)
    return cosines_of_turns(part.denominator, part.numerator)[-1]


@lru_cache(maxsize=8192)
def cosine_of_turn(j: int, N: int) -> Cosine:
    """cos(2 pi j/N): rational or in square roots where that is simple, else as a cosine."""
    part = Fraction(min(j % N, -j % N), N)
    if part.denominator in (1, 2, 3, 4, 5, 6, 8, 10, 12):
        return number_of_turn(part).cosine
    p, q = (2 * part).numerator, (2 * part).denominator
    text = f"cos({p}*pi/{q})" if p > 1 else f"cos(pi/{q})"
    # near a quarter and a half turn, what is missing keeps the digits that the angle loses
    if part <= Fraction(1, 8):
        return Cosine(text, math.cos(2.0 * math.pi * float(part)), part)
    if part <= Fraction(3, 8):
        return Cosine(text, math.sin(2.0 * math.pi * float(Fraction(1, 4) - part)), part)
    return Cosine(text, -math.cos(2.0 * math.pi * float(Fraction(1, 2) - part)), part)


# --- one field for several numbers --------------------------------------------------------------

_TURNS = {2: 8, 3: 12, 5: 5, 6: 24}
"""N such that sqrt(m) lies in the field of 2 cos(2 pi/N)."""


def common(numbers: Iterable[Number]) -> tuple[Field, list[Number]]:
    """One field that holds all numbers, and each of them in it.

    Raises
    ------
    BadInput
        If no single field that is known here holds them all.
    """
    given = list(numbers)
    fields = {x.field for x in given if x.rational is None}
    if len(fields) > 1:
        turns = [f.turn or _TURNS.get(_radicand(f), 0) for f in fields]
        if not all(turns):
            raise BadInput("these numbers lie in no one field that is known here")
        fields = {turn_field(math.lcm(*turns))}
    shared = fields.pop() if fields else RATIONALS
    return shared, [_moved(x, shared) for x in given]


def _radicand(field: Field) -> int:
    """m for Q(sqrt m), else 0."""
    c, *rest = field.polynomial
    return -c if rest == [0, 1] and c < 0 else 0


def _moved(x: Number, shared: Field) -> Number:
    """The number in a larger field."""
    if x.field == shared:
        return x
    if x.poly.degree() < 1:
        return Number(shared, x.poly)
    N = x.field.turn
    a = _doubled_in(shared, N) if N else _root_in(shared, _radicand(x.field))
    return sum((a**k * c for k, c in enumerate(x.coefficients)), shared(0))


def _doubled_in(shared: Field, N: int) -> Number:
    """2 cos(2 pi/N) in the field of the cosines of a multiple of N."""
    return next(itertools.islice(_doubled(shared.generator), shared.turn // N, None))


def _root_in(shared: Field, m: int) -> Number:
    """sqrt(m) in a field of cosines: sqrt 5 = 1 + 4 cos(2 pi/5)."""
    if m == 6:
        return _root_in(shared, 2) * _root_in(shared, 3)
    a = _doubled_in(shared, _TURNS[m])
    return 2 * a + 1 if m == 5 else a


# --- numbers as they are given ------------------------------------------------------------------

Given = Number | Cosine | str | Rational
"""What stands for a number: text as sympy reads it, if nothing better."""


def number(x: Given) -> Number:
    """The number that is meant; see `read` for text."""
    if isinstance(x, str):
        return read(x)
    if isinstance(x, Cosine):
        return x.number
    return x if isinstance(x, Number) else RATIONALS(x)


def read(text: str) -> Number:
    """A number written as sympy reads it, with sqrt, cos(r*pi) and CRootOf; exact or refused.

    Raises
    ------
    BadInput
        If the text is no such number.
    """
    try:
        found = _evaluated(ast.parse(text.strip(), mode="eval").body, "")
    except (SyntaxError, ZeroDivisionError):
        raise BadInput(f"{text!r} is no number: write it as sympy reads it") from None
    return found if isinstance(found, Number) else RATIONALS.element(found)


def _evaluated(node: ast.AST, name: str) -> Any:
    """A Number, or a rational polynomial (flint.fmpq_poly) in the variable with that name."""
    match node:
        case ast.Constant(value=int(whole)):
            return flint.fmpq_poly([whole])
        case ast.Name(id=variable) if variable == name:
            return flint.fmpq_poly([0, 1])
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_evaluated(inner, name)
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int(power))):
            return _evaluated(left, name) ** power
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            x, divisor = _evaluated(left, name), _constant(right)
            return x / (divisor if isinstance(x, Number) else rational(divisor))
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() as op, right=right):
            x, y = (_evaluated(side, name) for side in (left, right))
            if isinstance(x, Number) != isinstance(y, Number):
                x, y = (v if isinstance(v, Number) else RATIONALS.element(v) for v in (x, y))
            return _OPERATORS[type(op)](x, y)
        case ast.Call(func=ast.Name(id="sqrt"), args=[inner]):
            if (inside := _constant(inner)) < 0:
                raise BadInput(f"sqrt({inside}) is no real number: give a positive one")
            return root_of(inside)
        case ast.Call(func=ast.Name(id="cos"), args=[inner]):
            angle = _evaluated(inner, "pi")
            if angle[0] or angle.degree() > 1:
                raise BadInput("the angle of a cosine must be a rational multiple of pi")
            return number_of_turn(fraction(angle[1]) / 2)
        case ast.Call(func=ast.Name(id="CRootOf"), args=[inner, ast.Constant(value=int(index))]):
            p = _evaluated(inner, "x")
            factors = p.numer().factor()[1]
            if p.degree() < 1 or len(factors) != 1 or factors[0][1] != 1:
                raise BadInput("CRootOf needs an irreducible polynomial in x here")
            return Field(primitive(p), index).x
    raise BadInput(f"{ast.unparse(node)!r} cannot be read as an algebraic number")


def _constant(node: ast.AST) -> Fraction:
    """A rational number written out."""
    found = _evaluated(node, "")
    if isinstance(found, Number) or found.degree() > 0:
        raise BadInput("a root or quotient needs a rational number written out")
    return fraction(found[0])


_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}
