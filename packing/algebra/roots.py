"""Roots of whole-number polynomials: isolated, and written as text that sympy reads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any


def real_roots(p: Sequence[int], bits: int) -> list[Any]:
    """The real roots of a squarefree polynomial in balls, upwards; rigorous (Arb isolates them)."""
    import flint

    with flint.ctx.workprec(bits):
        real: list[Any] = []
        found: Any = flint.fmpz_poly(list(p)).complex_roots()
        for root, _ in found:
            if root.imag.is_zero():  # a real root is known to be one
                real.append(root.real)
    return sorted(real, key=lambda root: float(root.mid()))


def root_text(p: tuple[int, ...], index: int) -> str:
    """A real root as sympy reads it: a fraction, a square root, a cosine, or CRootOf."""
    if len(p) == 2:
        return str(Fraction(-p[0], p[1]))
    if len(p) == 3:
        return _quadratic(p, index)
    cosine = _cosine(p, index)
    return cosine or f"CRootOf({polynomial_text(p)}, {index})"


def polynomial_text(p: Sequence[int]) -> str:
    """A polynomial in x as sympy reads it, highest power first."""
    terms = []
    for i in range(len(p) - 1, -1, -1):
        if p[i]:
            power = "" if i == 0 else "x" if i == 1 else f"x**{i}"
            size = abs(p[i])
            body = str(size) if not power else power if size == 1 else f"{size}*{power}"
            terms.append(("-" if p[i] < 0 else "+", body))
    if not terms:
        return "0"
    head = ("-" if terms[0][0] == "-" else "") + terms[0][1]
    return head + "".join(f" {sign} {body}" for sign, body in terms[1:])


def _quadratic(p: tuple[int, ...], index: int) -> str:
    """(r + s sqrt(m)) / q with m squarefree."""
    c, b, a = p
    inside, outside = b * b - 4 * a * c, 1
    f = 2
    while f * f <= inside and f < 100_000:
        while inside % (f * f) == 0:
            inside, outside = inside // (f * f), outside * f
        f += 1
    common = math.gcd(b, outside, 2 * a)
    r, s, q = -b // common, outside // common, 2 * a // common
    sign = "+" if index else "-"
    root = f"sqrt({inside})" if s == 1 else f"{s}*sqrt({inside})"
    top = f"{r} {sign} {root}" if r else root if index else f"-{root}"
    return top if q == 1 else f"({top})/{q}" if r else f"{top}/{q}"


def _cosine(p: tuple[int, ...], index: int) -> str | None:
    """cos(a*pi/b) where the root is one: p is then the minimal polynomial of such a cosine."""
    import flint

    k = len(p) - 1
    root = real_roots(p, 128)[index]
    if len(real_roots(p, 64)) != k or not abs(root) < 1:
        return None
    turn = float((root.acos() / flint.arb.pi()).mid()) / 2.0
    near = Fraction(turn).limit_denominator(8 * k * k + 30)
    monic = flint.fmpz_poly.cos_minpoly(near.denominator)  # of 2 cos(2 pi / m)
    if monic.degree() != k or abs(float(near) - turn) > 1e-12:
        return None
    doubled = flint.fmpz_poly([int(c) << i for i, c in enumerate(monic.coeffs())])
    if [int(c) for c in (doubled // doubled.content()).coeffs()] != list(p):
        return None
    angle = 2 * near
    top = "pi" if angle.numerator == 1 else f"{angle.numerator}*pi"
    return f"cos({top}/{angle.denominator})"
