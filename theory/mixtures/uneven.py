"""Two features in one dimension, norms and biases free, binary law: the least loss, enclosed.

W = (r, +-t r) with 0 <= t <= 1, rho = r^2. For given active ReLUs the loss is quadratic in (rho,
b_1, b_2) and its minimum over them is a rational function of t (`theory.closed_form.unequal`). A
global minimum is stationary for the ReLUs that are active there: kinks at a feature that is on are
concave, so none lies on them, and across the others the loss is continuously differentiable. A flat
direction (one active sum each) ends at such a kink. So the global minimum is among the critical
points of 15 rational functions in 0 < t < 1, their values at t = 1 and, at t = 0, one feature
dedicated and one ignored: proved. All roots are isolated, exactly; points whose ReLUs are certainly
not those assumed are dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from packing.errors import BadInput, NotReached
from theory.closed_form.points import Point, ball, roots_between
from theory.closed_form.unequal import Active, Broken, Sum, at_S

SIGNS = {"uneven digon": -1, "parallel pair": 1}


@dataclass(frozen=True, eq=False)
class PairMinimum:
    """The least loss of two features in one dimension, at one S.

    Parameters
    ----------
    S : Fraction
    loss : ball
        Of both features together; holds the global minimum.
    ratio : Point or None
        Second norm over first where one point is the best; None where several cannot be told apart.
    """

    S: Fraction
    loss: Any
    ratio: Point | None


def pair(name: str) -> Broken:
    """The pair as a block with two orbits.

    Raises
    ------
    BadInput
        If it is neither ``uneven digon`` nor ``parallel pair``.
    """
    if name not in SIGNS:
        raise BadInput(f"{name!r} is no unequal pair: give one of {', '.join(SIGNS)}")
    c = Fraction(SIGNS[name])
    return Broken(name, (1, 1), (((1, c, 1),), ((0, c, 1),)))


def enclosed_pair(name: str, S: Fraction, digits: int = 30) -> PairMinimum:
    """The least loss of an unequal pair over both norms and biases; rigorous.

    Parameters
    ----------
    name : {"uneven digon", "parallel pair"}
    S : Fraction
        In (0, 1).
    digits : int
        Correct digits of the loss.

    Returns
    -------
    PairMinimum
        Equal norms, and one feature ignored, are among the points compared.

    Raises
    ------
    NotReached
        If the digits are out of reach.
    """
    S = Fraction(S)
    if not 0 < S < 1:
        raise BadInput(f"S = {S}: give the chance that a feature is on, in (0, 1)")
    bits = 96 + 4 * digits
    for _ in range(4):
        found = _attempt(name, S, bits)
        if found is not None and found.loss.rel_accuracy_bits() > 3.33 * digits:
            return found
        bits *= 2
    raise NotReached(f"the least loss of the {name} at S = {float(S)} has two close rivals", None)


def _attempt(name: str, S: Fraction, bits: int) -> PairMinimum | None:
    import flint

    block = pair(name)
    with flint.ctx.workprec(bits):
        values = [(ball(S * (1 - S)), True, Point.rational(0))]
        for active, (top, bottom) in _formulas(name):
            over, under = at_S(top, S), at_S(bottom, S)
            slope = over.derivative() * under - over * under.derivative()
            points = {Point.rational(1)}
            points |= set(roots_between(slope, Fraction(0), Fraction(1), bits)) if slope else set()
            for point in points:
                t = point.ball(bits)
                if not t > 0 or t > 1:
                    continue
                below = flint.arb_poly(under)(t)
                if below.contains(0):  # at t = 1 only, where sums coincide
                    continue
                sure = _holds(block, active, t, S)
                if sure is not False:
                    values.append((flint.arb_poly(over)(t) / below, sure is True, point))
        least = values[0][0].upper()
        for v, sure, _ in values[1:]:
            if sure and v.upper() < least:
                least = v.upper()
        near = [(v, point) for v, _, point in values if not v > least]
        loss = flint.arb(least)
        for v, _ in near:
            loss = loss.union(v) if v.lower() < loss.lower() else loss
        ratios = {point for _, point in near}
        return PairMinimum(S, loss, ratios.pop() if len(ratios) == 1 else None)


def _holds(block: Broken, active: Active, t: Any, S: Fraction) -> bool | None:
    """Whether the ReLUs assumed are those at the stationary point; None if it cannot be told."""
    rho, biases = block.settled(active, t, S)
    if rho < 0:
        return False
    sure = bool(rho > 0)
    for table, chosen, bias in zip(block.sums, active, biases, strict=True):
        for key in table:
            z = bias + rho * (ball(key[0]) + t * ball(key[1]) + t * t * ball(key[2]))
            wrong = z < 0 if key in chosen else z > 0
            if wrong:
                return False
            sure = sure and bool(z > 0 if key in chosen else z <= 0)
    return sure


@lru_cache(maxsize=2)
def _formulas(name: str) -> list[tuple[Active, tuple[Any, Any]]]:
    """Active sums (the k largest of each feature) and the loss at its best norm and biases."""
    block = pair(name)
    found: list[tuple[Active, tuple[Any, Any]]] = []
    orders = [sorted(table, key=_middle, reverse=True) for table in block.sums]
    for i in range(1, 5):
        for j in range(1, 5):
            if i + j > 2:
                active = frozenset(orders[0][:i]), frozenset(orders[1][:j])
                found.append((active, block.formula(active)))
    return found


def _middle(key: Sum) -> Fraction:
    """A sum at t = 1/2: the order is the same for all 0 < t < 1."""
    return key[0] + key[1] / 2 + key[2] / 4
