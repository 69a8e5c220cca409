"""Where two phases cost the same, as an exact number or as a proved enclosure.

A phase is a sum of blocks in orthogonal subspaces, dedicated and ignored features, all with one S;
its loss is the sum of theirs (docs/theory.md, section 7.2). The difference of two phases is
continuous in S, so a change of its sign, shown in balls at two ends, encloses a crossing. Under the
binary law the blocks' formulas on that interval are rational functions, and the crossing is a root
of the numerator of their difference: a polynomial with whole coefficients.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint

from packing.algebra.balls import ball, fraction
from packing.algebra.number_fields import RATIONALS
from packing.algebra.polynomials import Polynomial, Quotient
from packing.algebra.roots import Point, roots_between
from packing.errors import BadInput, NotReached
from packing.results import Evidence
from theory.features import law_named
from theory.symmetric import binary
from theory.symmetric.one_orbit import ClosedForm, closed_form

FEATURES = 60
"""Largest block whose formulas are made for a polynomial."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """Blocks in orthogonal subspaces, with ignored and dedicated features.

    Parameters
    ----------
    blocks : tuple of (ClosedForm, count)
        All of one law.
    ignored, dedicated : int
    law : str
    """

    blocks: tuple[tuple[ClosedForm, int], ...]
    ignored: int = 0
    dedicated: int = 0
    law: str = "binary"

    @property
    def n(self) -> int:
        """Features in all."""
        return sum(k * form.n for form, k in self.blocks) + self.ignored + self.dedicated

    @property
    def name(self) -> str:
        parts = [form.name if k == 1 else f"{k} {form.name}" for form, k in self.blocks]
        for count, word in ((self.dedicated, "dedicated"), (self.ignored, "ignored")):
            if count:
                parts.append(f"{count} {word}")
        return " + ".join(parts) or "nothing"

    def loss(self, S: Fraction | float, digits: int = 15) -> Any:
        """Total loss at its best norms and biases, a ball; rigorous (blocks kept symmetric)."""
        S = Fraction(S)
        with flint.ctx.workprec(64 + 4 * digits):
            total = self.ignored * ball(ignored_loss(self.law, S))
            for form, k in self.blocks:
                total += k * form.n * form.minimum(S, digits).loss
        return total


def ignored_loss(law: str, S: Fraction) -> Fraction:
    """What an ignored feature costs: its variance."""
    found = law_named(law)
    second, mean = (Fraction(x).limit_denominator(1000) for x in (found.second, found.mean))
    return S * (second - S * mean * mean)


def mixture(
    *blocks: str | tuple[str, int], ignored: int = 0, dedicated: int = 0, law: str = "binary"
) -> Mixture:
    """A phase from names: ``mixture("triangle", ("digon", 2), ignored=1)``.

    Raises
    ------
    BadInput
        If a count is negative or no whole number, or a name is unknown.
    """
    pairs = [(x, 1) if isinstance(x, str) else x for x in blocks]
    for count in (ignored, dedicated, *(k for _, k in pairs)):
        if not isinstance(count, int) or count < 0:
            raise BadInput(f"{count!r} features or blocks: give a whole number, 0 or more")
    if law not in ("binary", "uniform"):
        raise BadInput(f"the {law} law has no exact forms: crossings are enclosed for the others")
    return Mixture(tuple((closed_form(name, law), k) for name, k in pairs), ignored, dedicated, law)


@dataclass(frozen=True, eq=False)
class Crossing:
    """An S at which two phases cost the same.

    Parameters
    ----------
    low, high : Fraction
        Ends of an interval that holds it: the sign of the difference of losses changes (proved).
    point : Point or None
        The same as a root of an irreducible polynomial, where there is one.
    known : Evidence
        Proved where there is a polynomial, else enclosed.
    denser, sparser : str
        The phases that cost less above and below.
    """

    low: Fraction
    high: Fraction
    point: Point | None
    known: Evidence
    denser: str
    sparser: str

    def ball(self, bits: int = 128) -> Any:
        """A ball around S."""
        if self.point is not None:
            return self.point.ball(bits)
        with flint.ctx.workprec(bits):
            return ball(self.low).union(ball(self.high))

    def __float__(self) -> float:
        return float((self.low + self.high) / 2)

    @property
    def digits(self) -> float:
        """Digits after the point that the interval fixes."""
        return -math.log10(float(self.high - self.low))


def crossing(
    a: Mixture,
    b: Mixture,
    low: float | Fraction,
    high: float | Fraction,
    digits: int = 30,
    seconds: float | None = None,
) -> Crossing:
    """Where two phases cost the same between two S.

    Parameters
    ----------
    a, b : Mixture
        Of the same law and number of features.
    low, high : float or Fraction
        One phase is cheaper at one end, the other at the other.
    digits : int
        Digits after the point of the enclosing interval.
    seconds : float, optional
        Stop after about so much processor time, with as many digits as are fixed by then.

    Returns
    -------
    Crossing
        Proved (binary, blocks up to FEATURES features whose cosines share a field) or enclosed.

    Raises
    ------
    BadInput
        If the phases do not compare or do not cross there.
    NotReached
        If the sign cannot be told at some S.
    """
    if a.law != b.law or a.n != b.n:
        raise BadInput(
            f"{a.name} ({a.n} features, {a.law}) and {b.name} ({b.n} features, {b.law}) do not "
            "compare: give phases of the same features"
        )
    x, y = Fraction(low), Fraction(high)
    if not 0 < x < y < 1:
        raise BadInput(f"low = {low}, high = {high}: give 0 < low < high < 1")
    x, y, above = sign_change(lambda S, start: _gap(a, b, S, start), x, y, digits, seconds)
    if x == y:
        lower = b.name if above else a.name
        raise BadInput(f"{lower} costs less at both {low} and {high}: give an interval they cross")
    # where a costs more below, b is the sparser phase
    sparser, denser = (b.name, a.name) if above else (a.name, b.name)
    point = exact_point(a, b, x, y) if a.law == "binary" else None
    known = Evidence.PROVED if point else Evidence.ENCLOSED
    return Crossing(x, y, point, known, denser, sparser)


def sign_change(
    gap: Callable[[Fraction, int], Any],
    low: Fraction,
    high: Fraction,
    digits: int,
    seconds: float | None = None,
) -> tuple[Fraction, Fraction, bool]:
    """A short interval at whose ends a function has different signs; rigorous.

    Parameters
    ----------
    gap : callable
        gap(S, start): a ball that does not hold 0, tried with ``start`` digits first.
    low, high, digits, seconds
        As in `crossing`.

    Returns
    -------
    low, high : Fraction
        Twice the lower end if the signs at both ends are the same.
    positive : bool
        Whether the function is positive at the lower end.
    """
    x, y, begun = low, high, time.process_time()
    fx, fy = gap(x, 20), gap(y, 20)
    if (fx > 0) == (fy > 0):
        return x, x, bool(fx > 0)
    goal = Fraction(1, 10**digits)
    while y - x > goal and (seconds is None or time.process_time() < begun + seconds):
        width = y - x
        start = 20 if width > Fraction(1, 10**6) else digits + 6
        p, q = fraction(fx), fraction(fy)
        guess = x + width * p / (p - q)  # the root of the line
        grain = max(goal / 8, width * width / 16) if width < Fraction(1, 64) else width / 16
        guess = Fraction(round(guess / (grain / 8))) * grain / 8
        for at in (guess - grain, guess + grain, (x + y) / 2):
            if not x < at < y or (at == (x + y) / 2 and y - x < width / 4):
                continue
            value = gap(at, start)
            if (value > 0) == (fx > 0):
                x, fx = at, value
            else:
                y, fy = at, value
    return x, y, bool(fx > 0)


def _gap(a: Mixture, b: Mixture, S: Fraction, start: int = 20) -> Any:
    """Loss of a minus loss of b, a ball that does not hold 0."""
    return signed(lambda digits: a.loss(S, digits) - b.loss(S, digits), S, start)


def signed(difference: Callable[[int], Any], S: Fraction, start: int = 20) -> Any:
    """A difference of losses with enough digits for its sign."""
    digits = start
    while digits <= 640:
        with flint.ctx.workprec(64 + 4 * digits):
            gap = difference(digits)
        if not gap.contains(0):
            return gap
        digits *= 2
    raise NotReached(f"the phases cost the same to 640 digits at S = {float(S)}", None)


def exact_point(
    a: Mixture, b: Mixture, low: Fraction, high: Fraction, features: int = FEATURES
) -> Point | None:
    """The root in [low, high] of the difference of the formulas that hold there.

    None for larger blocks, cosines in no one field, or where best pieces change; binary law.
    """
    forms = [form for m in (a, b) for form, _ in m.blocks]
    fields = {form.row.field for form in forms} - {RATIONALS}
    if len(fields) > 1 or any(form.row.n > features for form in forms):
        return None
    field = fields.pop() if fields else RATIONALS
    alone = Polynomial.of(field, [0, a.ignored - b.ignored, b.ignored - a.ignored])
    total = Quotient(alone, Polynomial.of(field, [1]))
    bits = 512
    with flint.ctx.workprec(bits):
        here = ball(low).union(ball(high))
        for m, sign in ((a, 1), (b, -1)):
            for form, k in m.blocks:
                _, tied = binary.minimum(form.row, here)
                if len(tied) != 1:
                    return None
                found = form.formula(tied[0].active).loss.over(field)
                total = total + found.scaled(sign * k * form.n)
        for point in roots_between(total.top.norm(), low, high, bits):
            if total.top(point.ball(bits)).contains(0):
                return point
    return None
