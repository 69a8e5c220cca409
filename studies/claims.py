"""What a statement of the ledger is judged by: parts, cases, and the rules of the verdict.

A popular statement has parts, a part has cases: places where it can be true or false. Of each case
theory says one or the other, and the trained models, through a confidence interval, agree, disagree
or leave it open. All the rules are here, and nothing is judged after the run:

    case    confirmed if theory says true and training agrees, or theory says false and it disagrees
    part    undecided if a case is not confirmed; else holds if all are true, fails if none is;
            some of both: holds only if (its condition), or fails where it claims them all
    whole   fails if a part fails, else undecided, else holds only if, else holds

Where nothing predicts an answer there is nothing to confirm: a finding without parts is a list of
measurements with their intervals, and has no verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from packing import cache
from packing.errors import BadInput
from validate.experiments import Setting
from validate.predict import Model, Sample
from validate.statistics import Estimate, Verdict, level, median, verdict
from validate.suites import Suite

CASES = 150
"""Intervals of a ledger, at most: each misses with chance 1% / CASES, so all hold with 99%."""

ALPHA = level(CASES)

HOLDS, ONLY, FAILS, OPEN = "holds", "holds only if", "fails", "undecided"


@dataclass(frozen=True)
class Statement:
    """A sentence of the ledger; ``by`` names the function that judges it."""

    id: str
    text: str
    by: str


@dataclass(frozen=True)
class Case:
    """One place where a part is true or false.

    Parameters
    ----------
    name : str
    theory : bool
        Whether theory says that it is true there.
    trained : {"agree", "disagree", "inconclusive"}
        What the interval of the trained models says of the same claim.
    predicted, measured : str
        The numbers behind the two.
    """

    name: str
    theory: bool
    trained: Verdict
    predicted: str
    measured: str

    @property
    def confirmed(self) -> bool:
        return self.trained == ("agree" if self.theory else "disagree")


@dataclass(frozen=True)
class Part:
    """A claim, with its cases.

    ``condition`` is what makes it true where only some cases are; without one it claims them all.
    ``ends``: theory knows S, none of them trained, at which it is no longer true.
    """

    claim: str
    cases: tuple[Case, ...]
    condition: str = ""
    ends: bool = False

    @property
    def verdict(self) -> str:
        if not self.cases or not all(case.confirmed for case in self.cases):
            return OPEN
        if all(case.theory for case in self.cases):
            return f"{ONLY} {self.condition}" if self.ends and self.condition else HOLDS
        mixed = any(case.theory for case in self.cases)
        return f"{ONLY} {self.condition}" if mixed and self.condition else FAILS


@dataclass(frozen=True)
class Measurement:
    """A number that training gave and nothing predicts; without an interval where it is exact."""

    name: str
    value: float
    interval: tuple[float, float] | None = None
    unit: str = ""

    @classmethod
    def of(cls, name: str, found: Estimate, unit: str = "") -> Measurement:
        return cls(name, found.value, (found.low, found.high), unit)

    def __str__(self) -> str:
        span = "" if self.interval is None else " [{:.4g}, {:.4g}]".format(*self.interval)
        return f"{self.value:.4g}{span} {self.unit}".rstrip()


@dataclass(frozen=True, eq=False)
class Finding:
    """What became of a statement, before it has an id: judged parts, or measurements."""

    parts: tuple[Part, ...] = ()
    predicted: str = ""
    trained: str = ""
    note: str = ""
    picture: bytes | None = None
    measured: tuple[Measurement, ...] = ()


@dataclass(frozen=True, eq=False)
class Stated:
    """A statement of the ledger and what came of it.

    Parameters
    ----------
    id, text : str
    verdict : str
        ``holds``, ``holds only if ...``, ``fails``, or ``undecided`` where training does not
        confirm what theory says. Empty where nothing is judged.
    predicted, trained, note : str
    picture : bytes or None
        A PNG file.
    parts : tuple of Part
    measured : tuple of Measurement
    """

    id: str
    text: str
    verdict: str
    predicted: str
    trained: str
    note: str
    picture: bytes | None
    parts: tuple[Part, ...]
    measured: tuple[Measurement, ...] = ()


def whole(parts: Sequence[Part]) -> str:
    """The verdict on a statement from those on its parts."""
    found = [part.verdict for part in parts]
    for one in (FAILS, OPEN):
        if one in found:
            return one
    conditions = [text.removeprefix(ONLY).strip() for text in found if text != HOLDS]
    if not found:
        return OPEN
    return f"{ONLY} {'; '.join(dict.fromkeys(conditions))}" if conditions else HOLDS


def kind(text: str) -> str:
    """A verdict without its condition."""
    return ONLY if text.startswith(ONLY) else text


def stated(id: str, text: str, found: Finding) -> Stated:
    """A statement with its verdict; the verdicts of several parts stand in the note."""
    cases = [case for part in found.parts for case in part.cases]
    notes = [f"{part.claim}: {part.verdict}." for part in found.parts] * (len(found.parts) > 1)
    notes += [
        f"Not confirmed: {case.name} (training: {case.trained})."
        for case in cases
        if not case.confirmed
    ]
    return Stated(
        id=id,
        text=text,
        verdict="" if found.measured else whole(found.parts),
        predicted=_said(found.predicted, [(case.name, case.predicted) for case in cases]),
        trained=_said(
            found.trained,
            [(case.name, case.measured) for case in cases]
            + [(one.name, str(one)) for one in found.measured],
        ),
        note=" ".join([*notes, found.note]).strip(),
        picture=found.picture,
        parts=found.parts,
        measured=found.measured,
    )


def _said(first: str, cases: Sequence[tuple[str, str]]) -> str:
    listed = "; ".join(f"{name}: {value}" for name, value in cases if value)
    return " ".join(x for x in (first, f"{listed}." if listed else "") if x)


# --- cases from numbers ---


def near(
    name: str, claimed: float, tolerance: float, predicted: float, found: Estimate, unit: str = ""
) -> Case:
    """The claim that a quantity is ``claimed``, up to a tolerance."""
    true = abs(predicted - claimed) <= tolerance
    return _case(name, true, verdict(found, claimed, tolerance), predicted, found, unit)


def least(name: str, bound: float, predicted: float, found: Estimate, unit: str = "") -> Case:
    """The claim that a quantity is at least ``bound``."""
    trained: Verdict = "inconclusive"
    if found.low >= bound:
        trained = "agree"
    elif found.high < bound:
        trained = "disagree"
    return _case(name, predicted >= bound, trained, predicted, found, unit)


def most(name: str, bound: float, predicted: float, found: Estimate, unit: str = "") -> Case:
    """The claim that a quantity is at most ``bound``."""
    trained: Verdict = "inconclusive"
    if found.high <= bound:
        trained = "agree"
    elif found.low > bound:
        trained = "disagree"
    return _case(name, predicted <= bound, trained, predicted, found, unit)


def _case(
    name: str, true: bool, trained: Verdict, predicted: float, found: Estimate, unit: str
) -> Case:
    unit = f" {unit}" if unit else ""
    return Case(name, true, trained, f"{predicted:.4g}{unit}", f"{shown(found)}{unit}")


def shown(found: Estimate) -> str:
    """An estimate with its interval."""
    return f"{found.value:.4g} [{found.low:.4g}, {found.high:.4g}]"


# --- where the numbers come from ---


class Book:
    """The trained models of a suite, found by their setting."""

    def __init__(self, suite: Suite, models: Sequence[Model]) -> None:
        self.suite = suite
        self.by_key = {trained.run.key: (trained, measured) for trained, measured in models}

    @cached_property
    def samples(self) -> Mapping[str, Sample]:
        found = {}
        for cell in self.suite.cells:
            missing = [run for run in cell.runs if run.key not in self.by_key]
            if missing:
                raise BadInput(f"cell {cell.name!r} lacks {len(missing)} models: train them first")
            held = tuple(self.by_key[run.key] for run in cell.runs)
            found[cell.name] = Sample(held, cell.groups)
        return found

    def at(self, n: int, d: int, S: float, law: str, *, path: bool = False) -> Sample:
        """Models of that setting; with ``path`` those that kept snapshots.

        Raises
        ------
        BadInput
            If the suite has no such cell.
        """
        wanted = Setting(n=n, d=d, S=S, law=law)
        for cell in self.suite.cells:
            if cell.setting == wanted and bool(cell.recipe.snapshots) == path:
                return self.samples[cell.name]
        extra = " that keeps snapshots" if path else ""
        raise BadInput(
            f"the ledger needs a cell n = {n}, d = {d}, S = {S:g}, law = {law}{extra}: "
            f"the suite {self.suite.name} has none; add it"
        )

    def along(self, n: int, d: int, law: str) -> list[tuple[float, Sample]]:
        """Models of a shape at every S that the suite has, S rising."""
        found = {}
        for cell in self.suite.cells:
            s = cell.setting
            plain = isinstance(s.S, float) and s == Setting(n=n, d=d, S=s.S, law=law)
            if plain and not cell.recipe.snapshots:
                found[float(s.features.S[0])] = self.samples[cell.name]
        return sorted(found.items())

    def median(self, sample: Sample, of: Callable[[Model], float]) -> Estimate:
        """A quantity of the best model of a group: median and interval."""
        return median([of(model) for model in sample.best], ALPHA)


def kept(name: str, question: Mapping[str, Any], ask: Callable[[], Any]) -> Any:
    """An answer made of numbers, from the cache or asked for; the same names ask the same."""
    whole_question = {"verb": f"ledger {name}", **question}
    found = cache.read(whole_question)
    if found is not None and "value" in found:
        return found["value"]
    value = ask()
    cache.write(whole_question, {"value": value})
    return value


__all__ = [
    "ALPHA",
    "Book",
    "Case",
    "Finding",
    "Measurement",
    "Part",
    "Stated",
    "Statement",
    "kept",
    "kind",
    "least",
    "most",
    "near",
    "shown",
    "stated",
    "whole",
]
