"""Exact forms of the rungs of a ladder: the polynomial whose root S is, or a proved enclosure.

A numerical ladder names the phases on both sides of a rung. Where both are sums of symmetric
blocks, dedicated and ignored features, their losses are formulas, and the rung is a crossing of two
of them (`theory.closed_form`); where digons turn uneven, it is a root of a discriminant. The
crossing is proved; that no third phase is lower there is what the ladder says, numerically.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from packing.errors import BadInput, NotReached

if TYPE_CHECKING:
    from theory.symmetric import Crossing, Mixture, Point

NEAR = Fraction(1, 10**6)
"""Half the interval in which the crossing is looked for; rungs are located to 1e-8."""

FAR = Fraction(1, 50)
"""The same for takeovers: floats must tell at the ends of the interval who wins, and close to the
tie the basin of the loser hides the winner's."""

UNEVEN = "uneven digon"


@dataclass(frozen=True)
class ExactRung:
    """A rung as an exact number.

    Parameters
    ----------
    low, high : Fraction
        An interval that holds the crossing and no other of its kind.
    polynomial : str or None
        The minimal polynomial in S; None where only the interval is known.
    known : {"proved", "enclosed"}
    text : str
        The number to 30 digits, or as many as the interval fixes.
    """

    low: Fraction
    high: Fraction
    polynomial: str | None
    known: Literal["proved", "enclosed"]
    text: str


def exact_rung(S: float, denser: str, sparser: str, n: int, law: str) -> ExactRung | None:
    """The exact form of a rung, or None where one side is no sum of symmetric blocks.

    Parameters
    ----------
    S : float
        Where the phases change, to 1e-8, for equal importance with biases and ReLU.
    denser, sparser : str
        Names of the phases above and below, as `packing.recognition` gives them.
    n : int
        Number of features.
    law : str
    """
    if law not in ("binary", "uniform"):
        return None
    near = Fraction(S)
    low, high = near - NEAR, near + NEAR
    if not 0 < low < high < 1:
        return None
    sides = [parts(name) for name in (denser, sparser)]
    if None in sides:
        return None
    a, b = (dict(side) for side in sides if side is not None)
    try:
        if UNEVEN in a or UNEVEN in b:
            return _takeover(a, b, law, low, high)
        first, second = (_mixture(side, law) for side in (a, b))
        if first.n != n or second.n != n:
            return None
        return _crossed(first, second, low, high)
    except (BadInput, NotReached):
        # No crossing of these two formulas here: the rung is numerical only.
        return None


@dataclass(frozen=True)
class BlockFormula:
    """The least loss of a block on its piece around a rung.

    Parameters
    ----------
    block : str
    text, latex, enclosure : str
        As `theory.closed_form.formula_text` prints them.
    """

    block: str
    text: str
    latex: str
    enclosure: str


def side_formulas(S: float, denser: str, sparser: str, law: str) -> tuple[BlockFormula, ...]:
    """Formulas of the symmetric blocks on both sides of a rung, each on its piece at that S.

    Blocks without a formula that can be written down (too many pieces, uneven pairs) are left out.
    """
    from theory.symmetric import formula_text

    sides = [parts(name) for name in (denser, sparser)]
    found = []
    for block in dict.fromkeys(word for side in sides if side is not None for word in side):
        if block in ("ignored", "dedicated", UNEVEN):
            continue
        try:
            form = formula_text(block, law, S)
        except (BadInput, NotReached):
            continue
        found.append(BlockFormula(block, form.text, form.latex, form.enclosure))
    return tuple(found)


def parts(name: str) -> dict[str, int] | None:
    """Blocks of a phase's name with their counts; None if one is no symmetric block.

    ``2 digon + 1 ignored`` gives {"digon": 2, "ignored": 1}; familiar names in brackets go.
    """
    found: dict[str, int] = {}
    plain = re.sub(r" \([^()+]*\)$", "", name)
    for part in plain.split(" + "):
        count, word = re.fullmatch(r"(?:(\d+) )?(.+)", part).groups()  # type: ignore[union-attr]
        if "irregular" in word or "(" in word or (word != UNEVEN and not _symmetric(word)):
            return None
        found[word] = found.get(word, 0) + int(count or 1)
    return found


def _symmetric(word: str) -> bool:
    if word in ("ignored", "dedicated"):
        return True
    from packing.catalogue import entry

    try:
        known = entry(word)
    except BadInput:
        return False
    return known.built and known.name == word and len(known.rows) <= 1


def _mixture(side: dict[str, int], law: str) -> Mixture:
    from theory.symmetric import mixture

    blocks = [(word, k) for word, k in side.items() if word not in ("ignored", "dedicated")]
    ignored, dedicated = side.get("ignored", 0), side.get("dedicated", 0)
    return mixture(*blocks, ignored=ignored, dedicated=dedicated, law=law)


def _crossed(a: Mixture, b: Mixture, low: Fraction, high: Fraction) -> ExactRung:
    from theory.symmetric import crossing

    found: Crossing = crossing(a, b, low, high, digits=30)
    if found.point is not None:
        return _pointed(found.point)
    return ExactRung(found.low, found.high, None, "enclosed", _shown(found.low, found.high))


def _takeover(
    a: dict[str, int], b: dict[str, int], law: str, low: Fraction, high: Fraction
) -> ExactRung | None:
    """Where k digons turn into k uneven ones and nothing else changes."""
    from theory.symmetric import broken, closed_form, takeover

    even, odd = (a, b) if UNEVEN in b else (b, a)
    rest = {word: k for word, k in odd.items() if word != UNEVEN}
    if law != "binary" or UNEVEN in even or {"digon": odd[UNEVEN], **rest} != even:
        return None
    form = closed_form("digon", law)
    active = form.minimum(low).active
    rival = form.formula(active).loss.scaled(2)
    # so near the tie that floats cannot tell who wins: look from further away
    point = takeover(broken("digon"), rival, low - FAR, high + FAR)
    return _pointed(point) if low < float(point) < high else None


def _pointed(point: Point) -> ExactRung:
    import flint

    from packing.algebra.balls import fraction

    low, high = point.interval
    with flint.ctx.workprec(160):
        ball = point.ball(160)
        shown = _shown(fraction(ball.lower()), fraction(ball.upper()))
    return ExactRung(low, high, point.equation, "proved", shown)


def _shown(low: Fraction, high: Fraction, most: int = 30) -> str:
    """The digits that both ends share, cut off at ``most`` after the point."""
    for digits in range(most, 0, -1):
        a, b = (int(x * 10**digits) for x in (low, high))
        if a == b:
            return f"0.{a:0{digits}d}"
    return f"{float(low)}"
