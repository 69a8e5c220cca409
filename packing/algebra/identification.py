"""Exact forms of numbers known to many digits: minimal polynomials, with the evidence.

A lattice (LLL) finds the smallest polynomial with whole coefficients that vanishes at a number to
all digits known. Some such polynomial always exists; it means something only if it is far smaller
than chance would make it. The measure used here is a theorem: of the numbers in [-1, 1], the
fraction within rho of a real root of any polynomial of degree <= k and coefficients <= H in size is
at most k rho (2 H + 1)^(k + 1). A polynomial is accepted only where that is below 10^-certain, so
that a uniformly random number with those digits gets one with probability at most
12 * 10^-certain (at most twelve degrees are tried). Found so, a form is numerical evidence;
`packing.proofs.exact_gram` proves some of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import numpy as np

from packing.algebra.balls import ball, fraction
from packing.algebra.number_fields import RATIONALS, Field, Number
from packing.algebra.roots import Point, polynomial_text, primitive, root_near
from packing.errors import BadInput
from packing.results import Evidence, Result

CERTAIN = 12.0
"""Minus log10 of the largest probability of a polynomial by chance, for each degree tried; with
fewer than twice as many digits, half of them."""

DEGREE = 24
"""Degrees tried by default."""

SPARE = 2.0
"""Digits that a relation must leave unexplained by chance: few, since proofs follow."""


@dataclass(frozen=True, repr=False)
class Algebraic(Result):
    """A real number as a root of a polynomial, or none.

    Parameters
    ----------
    status : Evidence
        ``numerical`` for a form found from digits; ``proved`` says that the number is that root,
        ``unsettled`` that no form was found.
    sentence : str
        The evidence in words.
    point : Point or None
        The irreducible polynomial, and which of its real roots.
    digits : float
        Correct digits that went in.
    needed : float
        Digits that chance alone would explain: log10 of k (2 H + 1)^(k + 1).
    residual : float
        log10 of |p(x)| at the digits given; -infinity where it is 0.
    """

    status: Evidence
    sentence: str
    point: Point | None = None
    digits: float = 0.0
    needed: float = 0.0
    residual: float = math.nan

    @property
    def text(self) -> str:
        """The number as sympy reads it; empty for none."""
        return "" if self.point is None else self.point.text

    @property
    def coefficients(self) -> tuple[int, ...]:
        """Of the polynomial, constant term first."""
        return () if self.point is None else self.point.polynomial

    @property
    def degree(self) -> int:
        return len(self.coefficients) - 1

    @property
    def polynomial(self) -> str:
        """The polynomial in x."""
        return polynomial_text(self.coefficients)

    def _values(self) -> Mapping[str, Any]:
        return {
            "status": self.status,
            "sentence": self.sentence,
            "text": self.text,
            "polynomial": self.polynomial if self.point else None,
            "coefficients": self.coefficients,
            "degree": self.degree if self.point else None,
            "digits": self.digits,
            "digits_by_chance": self.needed,
            "log10_residual": self.residual,
        }

    def _facts(self) -> Sequence[tuple[str, str]]:
        return [("number", self.text or "-"), ("status", self.status), ("why", self.sentence)]


def algebraic(
    x: str | float | Fraction | Any,
    digits: float | None = None,
    *,
    degree: int = DEGREE,
    certain: float | None = None,
) -> Algebraic:
    """The minimal polynomial of a number given by its digits, if they show one.

    Parameters
    ----------
    x : str, float, Fraction, int or flint.arb
        A decimal such as ``"0.2612038749637414"`` (correct to one unit of its last digit), or a
        ball. For the largest cosine of a code there is `packing.proofs.exact_gram.exact_cosine`.
    digits : float, optional
        Correct digits after the point; needed for a float (otherwise 14).
    degree : int
        Largest degree tried, 1 to 64.
    certain : float, optional
        Minus log10 of the largest probability of a form by chance, for each degree; by default
        CERTAIN, or half the digits where that is less.

    Returns
    -------
    Algebraic
        ``proved`` only for a Fraction.

    Raises
    ------
    BadInput
        If x is none of these.
    """
    if digits is not None and not digits < math.inf:
        raise BadInput(f"digits = {digits} is no number of digits: give a finite one")
    if not 1 <= degree <= 64:
        raise BadInput(f"degree = {degree} is out of range: give 1 to 64")
    if isinstance(x, (Fraction, int, np.integer)) and not isinstance(x, bool):
        q = x if isinstance(x, Fraction) else Fraction(int(x))
        return Algebraic(Evidence.PROVED, f"{q} was given exactly", Point.rational(q), math.inf)
    return _recognised(*_digits(x, digits), degree, certain)


def _recognised(x: Fraction, digits: float, degree: int, certain: float | None) -> Algebraic:
    """See `algebraic`."""
    if not digits >= 4:  # NaN is not
        raise BadInput(f"x has {digits:.1f} correct digits: at least 4 are needed")
    certain = min(CERTAIN, digits / 2.0) if certain is None else certain
    for k in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64):
        if (found := _at_degree(x, digits, min(k, degree), certain)) is not None:
            return found
        if k >= degree:
            break
    return Algebraic(
        Evidence.UNSETTLED,
        f"no polynomial of degree at most {degree} fits the {digits:.0f} digits better than "
        "chance: give more digits or a larger degree",
        digits=digits,
    )


def _digits(x: Any, digits: float | None) -> tuple[Fraction, float]:
    """The number as an exact fraction and how many digits after the point are correct."""
    if isinstance(x, flint.arb):
        if not x.is_finite():
            raise BadInput("x is not finite: give a real number")
        radius = x.rad()
        known = 1e6 if radius.is_zero() else -float(radius.log()) / math.log(10.0)
        if radius.is_zero() and digits is None:
            raise BadInput("x is an exact ball: say how many digits are correct")
        return fraction(x), known if digits is None else min(known, digits)
    try:
        mid = Fraction(x)
    except (TypeError, ValueError, OverflowError):
        raise BadInput(f"x = {x!r} is no finite number: give a decimal or a ball") from None
    if isinstance(x, str):
        shown = x.strip().lower().partition("e")
        count = len(shown[0].partition(".")[2]) - int(shown[2] or 0)
        return mid, float(count if digits is None else min(digits, count))
    return mid, 14.0 if digits is None else float(digits)


def _at_degree(x: Fraction, digits: float, k: int, certain: float) -> Algebraic | None:
    """The polynomial of degree at most k that vanishes at x, if chance cannot explain it."""
    relation = integer_relation([x**i for i in range(k + 1)], digits)
    if relation is None:
        return None
    found = (
        _judged(primitive(factor), x, digits, certain)
        for factor, _ in flint.fmpz_poly(list(relation)).factor()[1]
    )
    return next((one for one in found if one is not None), None)


def _judged(p: tuple[int, ...], x: Fraction, digits: float, certain: float) -> Algebraic | None:
    """The evidence for one irreducible polynomial; None unless it has one root at x."""
    k = len(p) - 1
    needed = math.log10(k) + _by_chance(p)
    if needed + certain > digits:
        return None
    bits = int(digits * 3.33) + 64
    with flint.ctx.workprec(bits):
        rho = ball(Fraction(10) ** -math.floor(digits)).upper()
        index = root_near(p, ball(x) + flint.arb(0, rho), bits)
        if index is None:
            return None
        size = sum(c * x**i for i, c in enumerate(p))
        residual = float(ball(abs(size)).log()) / math.log(10.0) if size else -math.inf
    return Algebraic(
        Evidence.NUMERICAL,
        f"root of {polynomial_text(p)} to {digits:.0f} digits, of which chance explains "
        f"{needed:.0f}: by chance with probability at most 10^{needed - digits:.0f}, no proof",
        Point(p, index),
        digits,
        needed,
        residual,
    )


def _by_chance(coefficients: Sequence[int]) -> float:
    """log10 of the number of choices of so many coefficients of that size."""
    return len(coefficients) * math.log10(2 * max(map(abs, coefficients)) + 1)


def integer_relation(values: Sequence[Fraction], digits: float) -> tuple[int, ...] | None:
    """Small whole numbers c with sum c_i values_i = 0 to about that many digits, by LLL, or None.

    The shortest vector of the reduced lattice; whether it means anything is for the caller to say.
    """
    scale = 10 ** max(1, math.floor(digits) - 1)
    n = len(values)
    rows = [
        [int(i == j) for j in range(n)] + [round(value * scale)] for i, value in enumerate(values)
    ]
    reduced = flint.fmpz_mat(rows).lll().tolist()
    first = min(reduced, key=lambda row: sum(int(v) ** 2 for v in row))
    found = tuple(int(v) for v in first[:n])
    return found if any(found) else None


# --- numbers of one field, guessed from digits --------------------------------------------------
#
# Guesses come from lattices and carry no proof; what is computed with them afterwards is exact.


def _root(field: Field, digits: float) -> Fraction:
    """The digits of the number x that the field is made from."""
    return fraction(field.x.ball(int(digits * 3.33) + 64))


def member(field: Field, value: Fraction, digits: float) -> Number | None:
    """The small rational combination of powers of the field's root with that value, or None."""
    x = _root(field, digits)
    relation = integer_relation([value, *(x**i for i in range(field.degree))], digits)
    if relation is None or relation[0] == 0 or _by_chance(relation) + SPARE > digits:
        return None
    scale = field.scale
    return field(*(Fraction(-c, relation[0] * scale**i) for i, c in enumerate(relation[1:])))


def common_field(
    values: Sequence[Fraction], digits: float, largest: int, certain: float
) -> tuple[Field, list[Number]] | None:
    """A field that holds all values, and the values in it, or None; a guess.

    Starts from the rationals and, at the first value that does not fit, adjoins it: the new
    generator is x + m value for a small m, and everything is expressed anew.
    """
    field: Field | None = RATIONALS
    for _ in range(5):
        if field is None:
            return None
        elements: list[Number] = []
        for value in values:
            element = member(field, value, digits)
            if element is None:
                break
            elements.append(element)
        else:
            return field, elements
        digits -= 0.5
        field = _adjoined(field, values[len(elements)], digits, largest, certain)
    return None


def _adjoined(
    field: Field, value: Fraction, digits: float, largest: int, certain: float
) -> Field | None:
    for m in (1, 2, -1) if field.degree > 1 else (1,):
        x = value if field.degree == 1 else _root(field, digits) + m * value
        point = _recognised(x, digits, largest, certain).point
        if point is not None and point.degree > field.degree:
            wider = Field(point.polynomial, point.index)
            if field.degree == 1 or member(wider, value, digits) is not None:
                return wider
    return None
