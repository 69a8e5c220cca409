"""Where two blocks have the same gain per dimension, (n/d)(v - l(S)), enclosed.

Both gains are balls over the whole computation, minima included (`theory.closed_form`, and `uneven`
for unequal pairs), so signs of their difference at two S prove a crossing between them. Floats only
say where to look. Under the binary law both are rational functions of S, and the crossing is a root
of the numerator of their difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from packing.errors import BadInput, NotReached
from theory.closed_form.crossings import Mixture, exact_point, ignored_loss, sign_change, signed
from theory.closed_form.form import closed_form
from theory.closed_form.points import Point, ball, fraction
from theory.closed_form.takeover import broken, takeover
from theory.mixtures.blocks import Block, variance
from theory.mixtures.limit import DEDICATED
from theory.mixtures.uneven import SIGNS, enclosed_pair

FEATURES = 60
"""Points of a block up to which a polynomial is made; with 77 and 16 it takes two minutes."""

Gain = Callable[[Fraction, int], Any]


def meeting(
    sides: tuple[Block, Block], law: str, near: float, digits: int, seconds: float | None = None
) -> tuple[Fraction, Fraction]:
    """A short interval in which the first block overtakes the second as S grows; proved.

    Parameters
    ----------
    sides : two Blocks
    law : {"binary", "uniform"}
    near : float
        An S within 2 % of it.
    digits : int
        Decimals asked for.
    seconds : float, optional
        Stop after about so much processor time, with the decimals that are fixed by then.

    Raises
    ------
    BadInput
        If it does not overtake near there.
    """
    over, under = (_gain(block, law) for block in sides)
    known: dict[Fraction, Any] = {}

    def gap(S: Fraction, start: int) -> Any:
        if S not in known:
            known[S] = signed(lambda n: over(S, n) - under(S, n), S, start)
        return known[S]

    low, high = _bracket(gap, sides, law, near)
    low, high, _ = sign_change(gap, low, high, digits, seconds)
    return low, high


def _gain(block: Block, law: str) -> Gain:
    """Gain per dimension as a ball with so many correct digits of the loss."""
    if block is DEDICATED:
        return lambda S, digits: ball(ignored_loss(law, S))
    if block.name in SIGNS:
        return lambda S, digits: (
            2 * ball(ignored_loss(law, S)) - enclosed_pair(block.name, S, digits).loss
        )
    form, size = closed_form(block.name, law), Fraction(block.n, block.d)
    return lambda S, digits: (
        ball(size) * (ball(ignored_loss(law, S)) - form.minimum(S, digits).loss)
    )


def _bracket(
    gap: Callable[[Fraction, int], Any], sides: tuple[Block, Block], law: str, near: float
) -> tuple[Fraction, Fraction]:
    """Two S on either side of the crossing: a step of Newton's method, and a little beyond."""
    names = [block.name for block in sides]
    at = np.array([near * (1.0 - 1e-4), near * (1.0 + 1e-4)])
    seen = _float_gains(sides, at, law)
    slope = float(np.diff(seen[0] - seen[1])[0]) / (at[1] - at[0])
    value = float(gap(Fraction(near), 20).mid())
    if not 0 < slope < math.inf:
        raise BadInput(
            f"near S = {near} {names[0]} does not overtake {names[1]} as S grows: swap the two "
            "names, or give an S closer to where they cross"
        )
    step = -value / slope
    room = min(abs(step) * 0.05 + 1e-13 * near, 0.02 * near)
    if abs(step) > 0.02 * near:
        raise BadInput(
            f"{names[0]} and {names[1]} do not cross near S = {near}: give an S closer to it"
        )
    center = Fraction(near + step) if abs(step) > 1e-12 * near else Fraction(near) + Fraction(step)
    for _ in range(12):
        low, high = center - Fraction(room), center + Fraction(room)
        if low > 0 and high < 1 and gap(low, 20) < 0 < gap(high, 20):
            return low, high
        room *= 8.0
        if room > 0.05 * near:
            break
    raise BadInput(f"{names[0]} and {names[1]} do not change order near S = {near}")


def _float_gains(sides: tuple[Block, Block], at: np.ndarray, law: str) -> np.ndarray:
    v = variance(at, law)
    return np.array([b.n / b.d * (v - (0.0 if b is DEDICATED else b.loss(at, law))) for b in sides])


def polynomial(
    sides: tuple[Block, Block], low: Fraction, high: Fraction, features: int = FEATURES
) -> Point | None:
    """The S between two at which both gains agree, as a root; binary law.

    None where a block has unequal norms or more than ``features`` points, or where its best piece
    changes in between.
    """
    if any(b.name in SIGNS or b.n > features for b in sides):
        return None
    d = math.lcm(*(b.d for b in sides))
    most = max(d // b.d * b.n for b in sides)
    mixtures = []
    for b in sides:
        form = () if b is DEDICATED else ((closed_form(b.name), d // b.d),)
        rest = most - d // b.d * b.n
        mixtures.append(Mixture(form, rest, d if b is DEDICATED else 0))
    return exact_point(mixtures[0], mixtures[1], low, high, features)


def broken_digon(near: Fraction, digits: int) -> tuple[Fraction, Fraction, Point]:
    """Where unequal norms take over from the digon: exact, and proved from both sides.

    Raises
    ------
    BadInput
        If they do not within 1 % of ``near``.
    """
    import flint

    width = near / 100
    rival = closed_form("digon").pieces()[0].loss.scaled(2)
    point = takeover(broken("digon"), rival, near - width, near + width)
    goal = Fraction(1, 10**digits)
    middle = fraction(point.ball(round(3.33 * digits) + 64))
    low, high = middle - goal / 3, middle + goal / 3
    with flint.ctx.workprec(64 + 4 * (digits + 20)):
        even = 2 * closed_form("digon").minimum(low, digits + 20).loss
        if not enclosed_pair("uneven digon", low, digits + 10).loss < even:
            raise NotReached("the uneven digon could not be shown to be better below", None)
        ratio = enclosed_pair("uneven digon", high, digits + 10).ratio
        if ratio is None or ratio.polynomial != (-1, 1):
            raise NotReached("the even digon could not be shown to be better above", None)
    return low, high, point
