"""What a bound is, how its number is rounded, and the input every bound checks."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias

import numpy as np
from flint import arb

from packing.algebra.zonal import combine, nowhere_positive
from packing.errors import BadInput
from packing.results import Evidence, Result, shown

Quantity = Literal["max_cosine", "coherence", "points", "lines", "energy"]
Number: TypeAlias = Fraction | float | int | str

BITS = 160
"""Working precision of the closed forms, which are evaluated in ball arithmetic."""


@dataclass(frozen=True)
class Delsarte:
    """A proof that at most ``points`` points (or lines) of R^d keep a cosine.

    Parameters
    ----------
    d : int
    high : Fraction
        Points: all cosines between two of them are at most this. Lines: all squared cosines are.
    lines : bool
    multipliers : tuple of Fraction
        a_1, a_2, ...: multipliers of the polynomials of `packing.algebra.zonal`, none negative.
    bound : Fraction
        1 + sum of the multipliers.
    route : {"Levenshtein", "linear programme"}
        Where the multipliers came from; the proof does not depend on it.
    """

    d: int
    high: Fraction
    lines: bool
    multipliers: tuple[Fraction, ...]
    bound: Fraction
    route: str

    @property
    def points(self) -> int:
        """The largest number that the bound allows."""
        return math.floor(self.bound)

    @property
    def cosine(self) -> float:
        """The largest |cosine| or cosine the proof covers, rounded down."""
        if not self.lines:
            return down_fraction(self.high)
        return down_root(self.high)

    @property
    def degree(self) -> int:
        """Degree of the polynomial in the cosine."""
        return len(self.multipliers) * (2 if self.lines else 1)

    def verify(self) -> bool:
        """Check the whole proof again in exact rational arithmetic; False if any part fails."""
        low = Fraction(0 if self.lines else -1)
        return (
            self.d >= 2
            and low <= self.high < 1
            and all(a >= 0 for a in self.multipliers)
            and self.bound == 1 + sum(self.multipliers)
            and nowhere_positive(combine(self.multipliers, self.d, self.lines), low, self.high)
        )


def down_root(square: Fraction) -> float:
    """The square root of a fraction, rounded down to a float."""
    scaled = (square.numerator << 200) // square.denominator
    return down_fraction(Fraction(math.isqrt(scaled), 1 << 100))


@dataclass(frozen=True, repr=False)
class Bound(Result):
    """A number that no arrangement beats, or one that some arrangement is known to reach.

    Parameters
    ----------
    name : str
    quantity : {"max_cosine", "coherence", "points", "lines", "energy"}
        Of the best n points in R^d: the least possible largest cosine, the least possible largest
        |cosine| of n lines, or the least Coulomb energy (sum over pairs of 1/distance). "points"
        and "lines" bound how many there can be at most.
    direction : {"at least", "at most"}
        Which side of the best possible quantity the value is on. "at most" for a cosine means that
        an arrangement at least as good exists.
    value : float
        Rounded towards the safe side: down for "at least", up for "at most".
    exact : str or None
        The same number exactly, as sympy reads it, where it has a short form.
    holds : str
        For which n and d.
    source : str
    evidence : Evidence
        Proved when the printed value is (exact or ball arithmetic), numerical when a proved theorem
        was evaluated in floating point.
    attained : str or None
        An arrangement known to meet the bound exactly, with its source.
    proof : Delsarte or None
        The certificate, where the bound has one of its own; ``proof.verify()`` checks it again.
    """

    name: str
    quantity: Quantity
    direction: Literal["at least", "at most"]
    value: float
    exact: str | None
    holds: str
    source: str
    evidence: Evidence = Evidence.PROVED
    attained: str | None = None
    proof: Delsarte | None = None

    def _values(self) -> Mapping[str, Any]:
        """The certificate is left out."""
        return {
            "name": self.name,
            "quantity": self.quantity,
            "direction": self.direction,
            "value": self.value,
            "exact": self.exact,
            "holds": self.holds,
            "source": self.source,
            "rigorous": self.evidence,
            "attained": self.attained,
        }

    def _facts(self) -> Sequence[tuple[str, str]]:
        value = shown(self.value, 12) + (f" = {self.exact}" if self.exact else "")
        facts = [(self.quantity, f"{self.direction} {value}"), ("bound", self.name)]
        facts += [("known", self.evidence), ("holds for", self.holds), ("source", self.source)]
        return facts + ([("attained", self.attained)] if self.attained else [])


def whole(name: str, value: object, least: int = 1) -> int:
    """The value as an int, or BadInput if it is no whole number >= least."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= least:
        return int(value)
    raise BadInput(f"{name} = {value!r}: a whole number of at least {least} is required; change it")


def cosine_above(value: Number) -> Fraction:
    """A rational number in [-1, 1) that is at least the given one, and equal if that is rational.

    Text may be anything sympy reads as a real number (``1/5``, ``sqrt(5)/5``); an irrational one is
    replaced by a fraction at most 2^-60 above it.

    Raises
    ------
    BadInput
        If it is no number, or not in [-1, 1).
    """
    found = _rational_above(value)
    if found is None or not -1 <= found < 1:
        raise BadInput(f"cosine {value!r}: a real number in [-1, 1) is required; give one")
    return found


def square_above(value: Number) -> Fraction:
    """The square of a cosine in [0, 1), exact if the square is rational, else slightly above.

    Raises
    ------
    BadInput
        If it is no number in [0, 1).
    """
    found = _rational_above(value)
    if found is None or not 0 <= found < 1:
        raise BadInput(f"cosine {value!r}: a real number in [0, 1) is required; give one")
    if isinstance(value, str) and found.denominator > 2**50:
        square = _irrational_above(f"({value})**2")
        return found * found if square is None else min(square, found * found)
    return found * found


_WORDS = r"sqrt|cbrt|cos|sin|tan|pi|GoldenRatio|Rational"
_TEXT = re.compile(rf"(?:\d+(?:\.\d*)?|{_WORDS}|\*\*\d{{1,2}}(?![\d*])|(?<!\*)\*(?!\*)|[-+/(), ])+")
"""Text that sympy may read. It evaluates what it reads, so nothing else reaches it; and powers of
powers, which can ask for more digits than there is memory, need parentheses."""

_LONGEST = 400


def _rational_above(value: Number) -> Fraction | None:
    if isinstance(value, str):
        if len(value) > _LONGEST or re.search(r"[eE][-+]?\d{4}", value):
            return None
        try:
            return Fraction(value)
        except (ValueError, ZeroDivisionError):
            return _irrational_above(value)
    try:
        return Fraction(float(value) if isinstance(value, np.floating) else value)
    except (TypeError, ValueError, OverflowError):  # NaN, infinity, something else
        return None


def _irrational_above(text: str) -> Fraction | None:
    import sympy

    if not _TEXT.fullmatch(text):
        return None
    try:
        number = sympy.sympify(text)
        if not number.is_real or not number.is_number:
            return None
        if number.is_Rational:
            return Fraction(int(number.p), int(number.q))
        # sympy promises ceiling of a number exactly, raising the precision until it is decided.
        return Fraction(int(sympy.ceiling(number * 2**60)), 2**60)
    except (sympy.SympifyError, TypeError, ValueError, AttributeError, SyntaxError):
        return None


def down(x: Any) -> float:
    """The largest float below everything in the ball x, to within one ulp."""
    low = arb(x).lower()
    value = float(low)
    return value if arb(value) <= low else math.nextafter(value, -math.inf)


def up(x: Any) -> float:
    """The smallest float above everything in the ball x, to within one ulp."""
    return -down(-arb(x))


def down_fraction(x: Fraction) -> float:
    """The largest float at most x, to within one ulp."""
    value = float(x) if abs(x) < Fraction(2) ** 1000 else math.copysign(2.0**1000, x)
    return value if Fraction(value) <= x else math.nextafter(value, -math.inf)


def up_fraction(x: Fraction) -> float:
    """The smallest float at least x, to within one ulp; infinity when none is."""
    if x > Fraction(2) ** 1000:
        return math.inf
    return -down_fraction(-x)
