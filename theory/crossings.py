"""Phases of a ladder, the changes between them, and the exact S of such a change.

A phase is a sum of blocks: how many of which shape, and how many features are dedicated or ignored.
Where both sides of a change are sums of symmetric blocks, their losses are formulas, and the change
is a crossing of two of them (`theory.symmetric.crossing`); where digons turn uneven, it is a root
of a discriminant. The crossing is proved; that no third phase is lower there is what the ladder
says, numerically.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from packing.algebra.balls import fraction
from packing.catalogue import entry
from packing.errors import BadInput, NotReached
from packing.recognition import Named
from packing.results import Evidence, Result, shown
from theory import symmetric

NEAR = Fraction(1, 10**6)
"""Half the interval in which the crossing is looked for; changes are located to 1e-8."""

FAR = Fraction(1, 50)
"""The same where digons turn uneven: floats must tell at the ends of the interval who wins, and
close to the tie the basin of the loser hides the winner's."""

LAWS = ("binary", "uniform")
"""Laws under which blocks have formulas."""

DIGON, UNEVEN, DEDICATED, IGNORED = "digon", "uneven digon", "dedicated", "ignored"

LONGEST = 240
"""Characters of a formula that is shown to people."""


@dataclass(frozen=True)
class Part:
    """Blocks of one shape in a phase.

    Parameters
    ----------
    shape : str
        What one block is called; "dedicated" is a feature alone in its dimension, "ignored" one
        that is in none.
    count : int
        How many blocks there are.
    size : int
        Features of each.
    """

    shape: str
    count: int
    size: int


@dataclass(frozen=True, repr=False)
class Phase(Result):
    """What an optimum looks like, whatever its norms and biases.

    Parameters
    ----------
    name : str
        As `packing.recognition` calls it; made from the blocks, never read back.
    parts : tuple of Part
        In the order of the name.
    kind : str
        The `Named.kind`, which stays along a branch: irregular blocks by their symmetry type.
    """

    name: str
    parts: tuple[Part, ...]
    kind: str = ""

    @staticmethod
    def of(named: Named) -> Phase:
        """The phase of a recognised arrangement."""
        alike = Counter((block.name, len(block.features)) for block in named.blocks)
        parts = [Part(shape, count, size) for (shape, size), count in alike.items()]
        if named.ignored:
            parts.append(Part(IGNORED, len(named.ignored), 1))
        return Phase(named.name, tuple(parts), named.kind)

    @property
    def n(self) -> int:
        """Features in all."""
        return sum(part.count * part.size for part in self.parts)

    @property
    def symmetric(self) -> dict[str, int] | None:
        """Counts by shape where every block has a formula, else None."""
        counts = {part.shape: part.count for part in self.parts}
        return counts if all(map(_has_formula, counts)) else None

    def __str__(self) -> str:
        return self.name

    def _values(self) -> dict[str, Any]:
        blocks = [{"name": x.shape, "count": x.count, "features": x.size} for x in self.parts]
        return {"name": self.name, "n": self.n, "blocks": blocks}

    def _facts(self) -> list[tuple[str, str]]:
        return [("phase", self.name), ("features", str(self.n))]


def _has_formula(shape: str) -> bool:
    if shape in (DEDICATED, IGNORED, UNEVEN):
        return True
    try:
        known = entry(shape)
    except BadInput:
        return False
    return known.built and known.name == shape and len(known.rows) <= 1


@dataclass(frozen=True)
class ExactForm:
    """The S of a change as an exact number.

    Parameters
    ----------
    low, high : str
        Fractions: an interval that holds the crossing and no other of its kind.
    polynomial : str or None
        The minimal polynomial in S; None where only the interval is known.
    evidence : Evidence
        Proved with a polynomial, else enclosed.
    text : str
        The number to 30 digits, or as many as the interval fixes.
    """

    low: str
    high: str
    polynomial: str | None
    text: str

    @property
    def evidence(self) -> Evidence:
        return Evidence.ENCLOSED if self.polynomial is None else Evidence.PROVED


@dataclass(frozen=True)
class BlockFormula:
    """The least loss of a block on its piece around a change.

    Parameters
    ----------
    block : str
    text, latex, enclosure : str
        As `theory.symmetric.formula_text` prints them.
    """

    block: str
    text: str
    latex: str
    enclosure: str

    @property
    def short(self) -> str:
        """Its first line; long ones are left to `to_dict`."""
        line = next(x for x in self.text.splitlines() if x)
        return line if len(line) <= LONGEST else "long: --json prints it, and its LaTeX"


@dataclass(frozen=True, repr=False)
class Crossing(Result):
    """A change of the optimum as S falls.

    Parameters
    ----------
    S : float
        Activation probability of the change.
    bracket : (float, float)
        Interval that holds it, from the last S computed on either side.
    denser, sparser : Phase
        The optimum just above and just below S.
    order : str
        "first" (two branches cross, the slope of the loss jumps) or "continuous".
    loss : float
        Loss at the change.
    exact : ExactForm or None
        S as an exact number, where it was asked for and is known.
    formulas : tuple of BlockFormula
        Losses of the blocks on both sides, likewise.
    """

    S: float
    bracket: tuple[float, float]
    denser: Phase
    sparser: Phase
    order: str
    loss: float
    exact: ExactForm | None = None
    formulas: tuple[BlockFormula, ...] = ()

    @property
    def polynomial(self) -> str | None:
        """Integer polynomial with root S, where one is known."""
        return None if self.exact is None else self.exact.polynomial

    def _values(self) -> dict[str, Any]:
        exact = self.exact
        return {
            "S": self.S,
            "one_minus_S": 1.0 - self.S,
            "bracket": self.bracket,
            "denser": str(self.denser),
            "sparser": str(self.sparser),
            "order": self.order,
            "polynomial": self.polynomial,
            "exact": exact
            and {
                "known": exact.evidence,
                "text": exact.text,
                "low": exact.low,
                "high": exact.high,
            },
            "formulas": [dict(vars(one)) for one in self.formulas],
        }

    def _facts(self) -> list[tuple[str, str]]:
        change = f"{self.denser} to {self.sparser}"
        return [("S", shown(self.S)), ("change", change), ("order", self.order)]


def with_exact_form(change: Crossing, law: str) -> Crossing:
    """The same change with its exact form and the formulas of its blocks, where they are known.

    Parameters
    ----------
    change : Crossing
        S to 1e-8, for equal importance with biases and ReLU.
    law : str
        Name of the law.
    """
    form = exact_form(change.S, change.denser, change.sparser, law)
    if form is None:
        return change
    formulas = side_formulas(change.S, change.denser, change.sparser, law)
    return replace(change, exact=form, formulas=formulas)


def exact_form(S: float, denser: Phase, sparser: Phase, law: str) -> ExactForm | None:
    """The exact S of a change, or None where one side is no sum of symmetric blocks.

    Parameters
    ----------
    S : float
        Where the phases change, to 1e-8, for equal importance with biases and ReLU.
    denser, sparser : Phase
        Above and below.
    law : str
    """
    near = Fraction(S)
    low, high = near - NEAR, near + NEAR
    a, b = denser.symmetric, sparser.symmetric
    if law not in LAWS or not 0 < low < high < 1 or a is None or b is None:
        return None
    if denser.n != sparser.n:
        return None
    try:
        if UNEVEN in a or UNEVEN in b:
            return _turned_uneven(a, b, law, low, high)
        found = symmetric.crossing(_mixture(a, law), _mixture(b, law), low, high, digits=30)
    except (BadInput, NotReached):
        # No crossing of these two formulas here: the change is numerical only.
        return None
    if found.point is not None:
        return _of_point(found.point)
    return _form(found.low, found.high, None, found.low, found.high)


def side_formulas(S: float, denser: Phase, sparser: Phase, law: str) -> tuple[BlockFormula, ...]:
    """Formulas of the symmetric blocks on both sides of a change, each on its piece at that S.

    Blocks without a formula that can be written down (too many pieces, uneven pairs) are left out.
    """
    sides = [side for side in (denser.symmetric, sparser.symmetric) if side is not None]
    found = []
    for block in dict.fromkeys(shape for side in sides for shape in side):
        if block in (IGNORED, DEDICATED, UNEVEN):
            continue
        try:
            form = symmetric.formula_text(block, law, S)
        except (BadInput, NotReached):
            continue
        found.append(BlockFormula(block, form.text, form.latex, form.enclosure))
    return tuple(found)


def exact_facts(changes: Sequence[Crossing]) -> list[tuple[str, str]]:
    """The exact forms and formulas of some changes for people; each formula once."""
    told: list[tuple[str, str]] = []
    lines: dict[tuple[str, str], None] = {}
    for change in changes:
        if change.exact is not None:
            digits = f"{change.exact.text}...  ({change.exact.evidence})"
            told.append((f"exact {shown(change.S)}", digits))
            if change.polynomial:
                told.append(("", f"root of {change.polynomial}"))
        lines.update(dict.fromkeys((one.block, one.short) for one in change.formulas))
    if lines:
        told.append(("formulas", "least loss of a block per feature, on its piece at a change"))
    return told + list(lines)


def _mixture(side: dict[str, int], law: str) -> symmetric.Mixture:
    blocks = [(shape, k) for shape, k in side.items() if shape not in (IGNORED, DEDICATED)]
    ignored, dedicated = side.get(IGNORED, 0), side.get(DEDICATED, 0)
    return symmetric.mixture(*blocks, ignored=ignored, dedicated=dedicated, law=law)


def _turned_uneven(
    a: dict[str, int], b: dict[str, int], law: str, low: Fraction, high: Fraction
) -> ExactForm | None:
    """Where k digons turn into k uneven ones and nothing else changes."""
    even, odd = (a, b) if UNEVEN in b else (b, a)
    rest = {shape: k for shape, k in odd.items() if shape != UNEVEN}
    if law != "binary" or UNEVEN in even or {DIGON: odd[UNEVEN], **rest} != even:
        return None
    form = symmetric.closed_form(DIGON, law)
    active = form.minimum(low).active
    rival = form.formula(active).loss.scaled(2)
    # so near the tie that floats cannot tell who wins: look from further away
    point = symmetric.takeover(symmetric.broken(DIGON), rival, low - FAR, high + FAR)
    return _of_point(point) if low < float(point) < high else None


def _of_point(point: symmetric.Point) -> ExactForm:
    import flint

    low, high = point.interval
    with flint.ctx.workprec(160):
        ball = point.ball(160)
        return _form(low, high, point.equation, fraction(ball.lower()), fraction(ball.upper()))


def _form(
    low: Fraction, high: Fraction, polynomial: str | None, below: Fraction, above: Fraction
) -> ExactForm:
    """The interval, and the digits that two closer bounds share."""
    first, last = (f"{x.numerator}/{x.denominator}" for x in (low, high))
    return ExactForm(first, last, polynomial, _digits(below, above))


def _digits(low: Fraction, high: Fraction, most: int = 30) -> str:
    """The digits that both ends share, cut off at ``most`` after the point."""
    for digits in range(most, 0, -1):
        a, b = (int(x * 10**digits) for x in (low, high))
        if a == b:
            return f"0.{a:0{digits}d}"
    return f"{float(low)}"


__all__ = [
    "BlockFormula",
    "Crossing",
    "ExactForm",
    "Part",
    "Phase",
    "exact_form",
    "side_formulas",
    "with_exact_form",
]
