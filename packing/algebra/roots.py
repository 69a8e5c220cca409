"""Roots of whole-number polynomials: isolated, compared, and written as text that sympy reads.

A `Point` is an irreducible polynomial and which of its real roots is meant: an algebraic number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

import flint

from packing.algebra.balls import Ball, ends, fraction


@lru_cache(maxsize=4096)
def real_roots(p: tuple[int, ...], bits: int) -> tuple[Ball, ...]:
    """The real roots of a squarefree polynomial in balls, upwards; rigorous (Arb isolates them)."""
    with flint.ctx.workprec(bits):
        if len(p) == 2:
            return (flint.arb(flint.fmpq(-p[0], p[1])),)
        found: Any = flint.fmpz_poly(list(p)).complex_roots()
        real = [root.real for root, _ in found if root.imag.is_zero()]  # real roots are known so
    return tuple(sorted(real, key=fraction))


def primitive(p: Any) -> tuple[int, ...]:
    """Coefficients of a polynomial (fmpz_poly or fmpq_poly) without common factors, the leading
    one positive, the constant term first."""
    whole = p.numer() if isinstance(p, flint.fmpq_poly) else p
    whole = whole // whole.content()
    sign = 1 if whole.leading_coefficient() > 0 else -1
    return tuple(sign * int(c) for c in whole.coeffs())


def root_near(p: tuple[int, ...], value: Ball, bits: int) -> int | None:
    """Which real root of a squarefree polynomial is in a ball; None unless there is just one."""
    at = [i for i, root in enumerate(real_roots(p, bits)) if root.overlaps(value)]
    return at[0] if len(at) == 1 else None


# --- text ---------------------------------------------------------------------------------------


def polynomial_text(p: Sequence[int], symbol: str = "x") -> str:
    """A polynomial as sympy reads it, highest power first."""
    out = ""
    for i in range(len(p) - 1, -1, -1):
        if p[i]:
            power = "" if i == 0 else symbol if i == 1 else f"{symbol}**{i}"
            size = abs(p[i])
            body = str(size) if not power else power if size == 1 else f"{size}*{power}"
            sign = "-" if p[i] < 0 else "+"
            out += f" {sign} {body}" if out else sign.strip("+") + body
    return out or "0"


@lru_cache(maxsize=4096)
def root_text(p: tuple[int, ...], index: int) -> str:
    """A real root as sympy reads it: a fraction, a square root, a cosine, or CRootOf."""
    if len(p) == 2:
        return str(Fraction(-p[0], p[1]))
    if len(p) == 3:
        return _quadratic(p, index)
    return _cosine(p, index) or f"CRootOf({polynomial_text(p)}, {index})"


def _quadratic(p: tuple[int, ...], index: int) -> str:
    """(r + s sqrt(m)) / q with m squarefree."""
    c, b, a = p
    inside, outside = squarefree(b * b - 4 * a * c)
    common = math.gcd(b, outside, 2 * a)
    r, s, q = -b // common, outside // common, 2 * a // common
    sign = "+" if index else "-"
    root = f"sqrt({inside})" if s == 1 else f"{s}*sqrt({inside})"
    top = f"{r} {sign} {root}" if r else root if index else f"-{root}"
    return top if q == 1 else f"({top})/{q}" if r else f"{top}/{q}"


def squarefree(D: int) -> tuple[int, int]:
    """(m, s) with D = m s^2, D > 0, and no square of a prime below 100 000 in m."""
    s = math.isqrt(D)
    if s * s == D:
        return 1, s
    m = s = 1
    for p, e in flint.fmpz(D).factor(trial_limit=100_000):
        m, s = m * int(p) ** (e % 2), s * int(p) ** (e // 2)
    return m, s


def _cosine(p: tuple[int, ...], index: int) -> str | None:
    """cos(a*pi/b) where the root is one: p is then the minimal polynomial of such a cosine."""
    k, roots = len(p) - 1, real_roots(p, 128)
    root = roots[index]
    if len(roots) != k or not abs(root) < 1:
        return None
    turn = float((root.acos() / flint.arb.pi()).mid()) / 2.0
    near = Fraction(turn).limit_denominator(8 * k * k + 30)
    monic = flint.fmpz_poly.cos_minpoly(near.denominator)  # of 2 cos(2 pi / m)
    if monic.degree() != k or abs(float(near) - turn) > 1e-12:
        return None
    if primitive(flint.fmpz_poly([int(c) << i for i, c in enumerate(monic.coeffs())])) != p:
        return None
    angle = 2 * near
    top = "pi" if angle.numerator == 1 else f"{angle.numerator}*pi"
    return f"cos({top}/{angle.denominator})"


# --- points -------------------------------------------------------------------------------------


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
        return Point((-x.numerator, x.denominator), 0)

    @property
    def degree(self) -> int:
        return len(self.polynomial) - 1

    def ball(self, bits: int = 128) -> Ball:
        """A ball around the root; rigorous."""
        return real_roots(self.polynomial, bits)[self.index]

    @cached_property
    def interval(self) -> tuple[Fraction, Fraction]:
        """An isolating interval with rational ends: it holds this root and no other."""
        bits = 64
        while True:
            roots = [ends(root) for root in real_roots(self.polynomial, bits)]
            low, high = roots.pop(self.index)
            if all(high < a or b < low for a, b in roots):
                return low, high
            bits *= 2

    @property
    def text(self) -> str:
        """The number as sympy reads it."""
        return root_text(self.polynomial, self.index)

    @property
    def equation(self) -> str:
        """The minimal polynomial, in S."""
        return polynomial_text(self.polynomial, "S")

    def __float__(self) -> float:
        return float(self.ball(80).mid())


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
        p = primitive(factor)
        for index, root in enumerate(real_roots(p, bits)):
            a, b = ends(root)
            if a <= high and b >= low:
                found.append(Point(p, index))
    return sorted(found, key=float)
