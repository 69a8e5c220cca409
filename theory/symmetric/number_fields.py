"""The numbers that cosines live in: one real number field per row, exact, with balls on demand.

Cosines arrive as text such as ``1/4``, ``cos(2*pi/7)``, ``CRootOf(x**3 - x - 1, 0)``.
A row of them needs one field: the rationals, Q(sqrt m), the real part of a cyclotomic field, or the
field of one root. An element is its rational coordinates in 1, a, a^2, ...; equality is equality of
coordinates. Textbook number theory; the reading is exact or refused.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from packing.algebra.roots import real_roots
from packing.errors import BadInput

Element = tuple[Fraction, ...]


@dataclass(frozen=True)
class Field:
    """Q(a), a the real root number ``index`` of an irreducible polynomial.

    Parameters
    ----------
    polynomial : tuple of int
        Constant term first.
    index : int
        Which real root, counted upwards from 0.
    text : str
        a as sympy reads it.
    """

    polynomial: tuple[int, ...]
    index: int
    text: str

    @property
    def degree(self) -> int:
        return len(self.polynomial) - 1

    @property
    def root(self) -> Any:
        """a as a ball, at the working precision."""
        import flint

        if self.degree == 1:
            return flint.arb(flint.fmpq(-self.polynomial[0], self.polynomial[1]))
        known = self.__dict__.setdefault("_roots", {})
        bits = flint.ctx.prec
        if bits not in known:
            known[bits] = real_roots(self.polynomial, bits + 16)[self.index]
        return known[bits]

    def element(self, *coordinates: Fraction | int) -> Element:
        """The element with these coordinates; missing ones are 0."""
        rest = self.degree - len(coordinates)
        return (*map(Fraction, coordinates), *[Fraction(0)] * rest)

    def product(self, x: Element, y: Element) -> Element:
        """x y."""
        k, top = self.degree, self.polynomial[-1]
        out = [Fraction(0)] * (2 * k - 1)
        for i, p in enumerate(x):
            for j, q in enumerate(y):
                out[i + j] += p * q
        for i in range(2 * k - 2, k - 1, -1):
            for j in range(k):
                out[i - k + j] -= out[i] * Fraction(self.polynomial[j], top)
        return tuple(out[:k])

    def inverse(self, x: Element) -> Element:
        """1/x, x not 0."""
        import flint

        modulus = flint.fmpq_poly(list(self.polynomial))
        value = flint.fmpq_poly([flint.fmpq(c.numerator, c.denominator) for c in x])
        shared, found, _ = value.xgcd(modulus)
        found = found / shared[0]
        return self.element(*(Fraction(int(c.p), int(c.q)) for c in found.coeffs()))

    def ball(self, x: Sequence[Fraction | int]) -> Any:
        """The value of an element, a ball at the working precision."""
        import flint

        value = flint.arb(0)
        for c in reversed(x):
            value = value * self.root + flint.arb(flint.fmpq(c.numerator, c.denominator))
        return value

    def expression(self, x: Sequence[Fraction | int]) -> Any:
        """The element as a sympy expression."""
        import sympy

        a = sympy.sympify(self.text)
        terms = (sympy.Rational(c.numerator, c.denominator) * a**i for i, c in enumerate(x))
        return sum(terms, sympy.Integer(0))


RATIONALS = Field((0, 1), 0, "0")


def read(texts: Sequence[str]) -> tuple[Field, list[Element]]:
    """One field for numbers given as text, and each of them in it.

    Raises
    ------
    BadInput
        If a text is no such number, or no single field of those above holds them all.
    """
    trees = []
    for text in texts:
        try:
            trees.append(ast.parse(text.strip(), mode="eval").body)
        except SyntaxError:
            raise BadInput(f"{text!r} is no number: write it as sympy reads it") from None
    field = _common([node for tree in trees for node in ast.walk(tree)])
    return field, [_value(tree, field) for tree in trees]


def _common(nodes: list[ast.AST]) -> Field:
    calls = [n for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    kinds: dict[str, set[Any]] = {"sqrt": set(), "cos": set(), "CRootOf": set()}
    for call in calls:
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        if name == "sqrt":
            kinds[name].add(_squarefree(_constant(call.args[0]))[0])
        elif name == "cos":
            kinds[name].add(_turn(call.args[0]).denominator)
        elif name == "CRootOf":
            kinds[name].add((_polynomial(call.args[0]), int(_constant(call.args[1]))))
        else:
            raise BadInput(f"{name} is no function read here: use sqrt, cos or CRootOf")
    roots = kinds["sqrt"] - {1}
    if kinds["CRootOf"]:
        if len(kinds["CRootOf"]) > 1 or roots or kinds["cos"]:
            raise BadInput("these numbers lie in no one field that is known here")
        polynomial, index = kinds["CRootOf"].pop()
        from packing.algebra.roots import polynomial_text

        return Field(polynomial, index, f"CRootOf({polynomial_text(polynomial)}, {index})")
    if not kinds["cos"] and len(roots) <= 1:
        for m in roots:
            return Field((-m, 0, 1), 1, f"sqrt({m})")
        return RATIONALS
    turns = {2: 8, 3: 12, 5: 5, 6: 24}
    if roots - set(turns):
        raise BadInput("these numbers lie in no one field that is known here")
    N = math.lcm(*kinds["cos"], *(turns[m] for m in roots))
    import flint

    minimal = tuple(int(c) for c in flint.fmpz_poly.cos_minpoly(N))
    return Field(minimal, len(minimal) - 2, f"(2*cos(2*pi/{N}))")


def _value(node: ast.AST, field: Field) -> Element:
    match node:
        case ast.Constant(value=int(whole)):
            return field.element(whole)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return tuple(-c for c in _value(inner, field))
        case ast.BinOp(left=left, op=op, right=right):
            x = _value(left, field)
            match op:
                case ast.Pow():
                    power = field.element(1)
                    for _ in range(int(_constant(right))):
                        power = field.product(power, x)
                    return power
                case ast.Div():
                    return tuple(c / _constant(right) for c in x)
            y = _value(right, field)
            match op:
                case ast.Add():
                    return tuple(p + q for p, q in zip(x, y, strict=True))
                case ast.Sub():
                    return tuple(p - q for p, q in zip(x, y, strict=True))
                case ast.Mult():
                    return field.product(x, y)
        case ast.Call(func=ast.Name(id="CRootOf")):
            return field.element(0, 1)
        case ast.Call(func=ast.Name(id="sqrt"), args=[inner]):
            m, outside = _squarefree(_constant(inner))
            return tuple(c * outside for c in _root(m, field))
        case ast.Call(func=ast.Name(id="cos"), args=[inner]):
            turn = _turn(inner)
            return tuple(c / 2 for c in _double_cosine(turn, field))
    raise BadInput(f"{ast.unparse(node)!r} cannot be read as an algebraic number")


def _root(m: int, field: Field) -> Element:
    """sqrt(m), m squarefree."""
    if m == 1:
        return field.element(1)
    if not field.text.startswith("(2*cos"):
        return field.element(0, 1)
    if m == 5:
        x = _double_cosine(Fraction(1, 5), field)
        return tuple(2 * c + (1 if i == 0 else 0) for i, c in enumerate(x))
    if m == 6:
        return field.product(_root(2, field), _root(3, field))
    return _double_cosine(Fraction(1, {2: 8, 3: 12}[m]), field)


def _double_cosine(turn: Fraction, field: Field) -> Element:
    """2 cos(2 pi turn) in the field of 2 cos(2 pi/N), by the recurrence of Chebyshev."""
    N = int(field.text.removeprefix("(2*cos(2*pi/").removesuffix("))"))
    steps = turn * N
    a = field.element(0, 1) if field.degree > 1 else (field_rational(field),)
    before, now = field.element(2), a
    if steps == 0:
        return before
    for _ in range(int(steps) - 1):
        after = field.product(a, now)
        before, now = now, tuple(p - q for p, q in zip(after, before, strict=True))
    return now


def field_rational(field: Field) -> Fraction:
    """The generator of a field of degree 1."""
    return Fraction(-field.polynomial[0], field.polynomial[1])


def _constant(node: ast.AST) -> Fraction:
    """A rational number written out."""
    match node:
        case ast.Constant(value=int(x)):
            return Fraction(x)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_constant(inner)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _constant(left) / _constant(right)
    raise BadInput("a root, power or quotient needs a rational number written out")


def _turn(node: ast.AST) -> Fraction:
    """r/2 in [0, 1/2] for the angle r pi, up to sign and whole turns."""

    def times_pi(inner: ast.AST) -> Fraction:
        match inner:
            case ast.Name(id="pi"):
                return Fraction(1)
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                return _constant(left) * times_pi(right)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return times_pi(left) / _constant(right)
        raise BadInput("the angle of a cosine must be a rational multiple of pi")

    part = times_pi(node) / 2 % 1
    return min(part, 1 - part)


def _squarefree(x: Fraction) -> tuple[int, Fraction]:
    """(m, r) with sqrt(x) = r sqrt(m), m squarefree."""
    if x <= 0:
        raise BadInput(f"sqrt({x}) is no cosine: give a positive number under the root")
    m, outside, f = x.numerator * x.denominator, Fraction(1, x.denominator), 2
    while f * f <= m:
        while m % (f * f) == 0:
            m, outside = m // (f * f), outside * f
        f += 1
    return m, outside


def _polynomial(node: ast.AST) -> tuple[int, ...]:
    """Coefficients, constant term first, of a polynomial in x written out; irreducible."""
    import flint

    x = flint.fmpz_poly([0, 1])

    def value(inner: ast.AST) -> Any:
        match inner:
            case ast.Name(id="x"):
                return x
            case ast.Constant(value=int(c)):
                return flint.fmpz_poly([c])
            case ast.UnaryOp(op=ast.USub(), operand=one):
                return -value(one)
            case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int(k))):
                return value(left) ** k
            case ast.BinOp(left=left, op=op, right=right):
                p, q = value(left), value(right)
                match op:
                    case ast.Add():
                        return p + q
                    case ast.Sub():
                        return p - q
                    case ast.Mult():
                        return p * q
        raise BadInput("CRootOf needs a polynomial in x with whole coefficients")

    found = value(node)
    if found.degree() < 1 or len(found.factor()[1]) != 1 or found.factor()[1][0][1] != 1:
        raise BadInput("CRootOf needs an irreducible polynomial here")
    return tuple(int(c) for c in found.coeffs())


# Elements of a real number field as numbers one can add, multiply and compare; exact.


@dataclass(frozen=True, eq=False)
class Exact:
    """An element of a field that behaves as a number; other operands are rational."""

    field: Field
    element: Element

    def __add__(self, other: Any) -> Exact:
        if isinstance(other, Exact):
            pairs = zip(self.element, other.element, strict=True)
            return Exact(self.field, tuple(a + b for a, b in pairs))
        return Exact(self.field, (self.element[0] + other, *self.element[1:]))

    __radd__ = __add__

    def __mul__(self, other: Any) -> Exact:
        if isinstance(other, Exact):
            return Exact(self.field, self.field.product(self.element, other.element))
        return Exact(self.field, tuple(a * other for a in self.element))

    __rmul__ = __mul__

    def __truediv__(self, other: Fraction | int) -> Exact:
        return self * (Fraction(1) / other)

    def __sub__(self, other: Any) -> Exact:
        return self + other * -1

    def sign(self) -> int:
        """-1, 0 or 1, decided in balls."""
        import flint

        if not any(self.element):
            return 0
        bits = 128
        while True:
            with flint.ctx.workprec(bits):
                value = self.field.ball(self.element)
            if not value.contains(0):
                return 1 if value > 0 else -1
            bits *= 2

    def __lt__(self, other: Any) -> bool:
        return (self - other).sign() < 0

    def __gt__(self, other: Any) -> bool:
        return (self - other).sign() > 0
