"""Exact numbers and balls as text: expressions that sympy reads, decimals that enclose."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from theory.closed_form.points import fraction


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
