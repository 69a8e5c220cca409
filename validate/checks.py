"""Checks: do trained models agree with theory, under rules fixed before training?

A check is an equivalence test. With the interval [lo, hi] of the measured quantity (simultaneous
over the suite, see `statistics`) and the tolerance t that the suite states with its reason,

    agree           lo >= predicted - t and hi <= predicted + t
    disagree        the interval and predicted +- t have nothing in common
    inconclusive    otherwise

so the noisier the estimate, the harder it is to agree. A defeat is a trained model that refutes its
prediction whatever the checks say:

    loss + error bound < predicted - rounding

with the error bound of its exact loss, and how far the predicted loss may be from that of its own
minimum. Negative controls repeat a check against predictions that are known to be wrong: a check
that accepts everything shows nothing. Predictions are numerical (`predict`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from packing.errors import BadInput
from packing.results import Result, Table, shown
from packing.types import Telling
from validate import predict
from validate.experiments import Measured, Setting, Trained
from validate.extensions import Extension
from validate.predict import MEASURED, Model, Quantity, Sample, Truth, change
from validate.statistics import Estimate, Verdict, agreed, verdict
from validate.suites import RELATIVE, Rule, Suite
from validate.trajectory import ALONG


@dataclass(frozen=True, eq=False)
class Defeat:
    """A trained model that is better than the predicted optimum."""

    key: str
    setting: Setting
    loss: float
    error_bound: float
    predicted: float
    rounding: float
    model: Model


def defeat_of(trained: Trained, measured: Measured) -> Defeat | None:
    """The defeat that a model is, if its exact loss lies below the predicted optimum."""
    if measured.loss is None or not trained.run.setting.independent:
        return None
    right = predict.truth(trained.run.setting)
    return below((trained, measured), right.loss, right.rounding)


def below(model: Model, predicted: float, rounding: float) -> Defeat | None:
    """The defeat that a model is beside a predicted loss."""
    trained, measured = model
    if measured.loss is None or not np.isfinite(measured.loss):
        return None
    bound = measured.error_bound or 0.0
    if not measured.loss + bound < predicted - rounding:
        return None
    return Defeat(
        key=trained.run.key,
        setting=trained.run.setting,
        loss=measured.loss,
        error_bound=bound,
        predicted=predicted,
        rounding=rounding,
        model=model,
    )


# --- negative controls ---
#
# The shift is how far a wrong reading moves the prediction. Beyond `POWER` tolerances the trained
# models must reject it (verdict disagree); below, the check cannot tell the two apart, and says so.
# The factor leaves room for the interval: a control two tolerances away would already be rejected
# by every interval that lets the check agree.


POWER = 3.0
"""Tolerances beyond which a wrong prediction has to be rejected."""

MEANING = {
    "arrangement": "another arrangement",
    "1-S": "S read as 1 - S",
    "law": "the other law",
    "bias": "biases dropped",
}


@dataclass(frozen=True)
class Control:
    """A check repeated against a wrong prediction.

    Parameters
    ----------
    name : str
        Which reading was wrong (`MEANING`).
    predicted : float
        What it predicts.
    shift : float
        How far that is from the right prediction, in the quantity's unit.
    power : bool
        Whether the shift exceeds `POWER` tolerances.
    verdict : str
    rejected : bool
        Whether the verdict is ``disagree``.
    """

    name: str
    predicted: float
    shift: float
    power: bool
    verdict: Verdict
    rejected: bool


def control(
    name: str, predicted: float, shift: float, estimate: Estimate, tolerance: float
) -> Control:
    """The verdict on a wrong prediction."""
    found = verdict(estimate, predicted, tolerance)
    return Control(name, predicted, shift, shift > POWER * tolerance, found, found == "disagree")


def broken(checks: Sequence[Check]) -> tuple[str, ...]:
    """Why a suite shows nothing: a sentence for each control that passed, or for their lack."""
    if not checks:
        return ()
    tested = [(check, one) for check in checks for one in check.controls if one.power]
    if not tested:
        return ("no negative control has power: a wrong theory would pass unnoticed",)
    return tuple(
        f"{check.name}: {MEANING[one.name]} was not rejected ({one.verdict}), "
        f"though it moves the prediction by {one.shift / check.tolerance:.1f} tolerances"
        for check, one in tested
        if not one.rejected
    )


def count(checks: Sequence[Check], which: Callable[[Control], bool]) -> int:
    """How many controls of all checks are so."""
    return sum(which(one) for check in checks for one in check.controls)


# --- checks ---


@dataclass(frozen=True, repr=False)
class Check(Result):
    """A check and what came of it.

    Parameters
    ----------
    name, cell, quantity : str
    predicted, measured : float
    interval : (float, float)
        Of the measured quantity; simultaneous over the suite with 99%.
    tolerance : float
        In the unit of the quantity; relative ones of the suite are multiplied out.
    reason : str
        Why this tolerance.
    verdict : {"agree", "disagree", "inconclusive"}
    controls : tuple of Control
    unit : str
    status : str
        How sure the prediction is: a status of `theory.optimum`, or of the ladder.
    """

    name: str
    cell: str
    quantity: str
    predicted: float
    measured: float
    interval: tuple[float, float]
    tolerance: float
    reason: str
    verdict: Verdict
    controls: tuple[Control, ...]
    unit: str = ""
    status: str = ""

    def _values(self) -> Mapping[str, Any]:
        return asdict(self)

    def _facts(self) -> Sequence[tuple[str, str]]:
        low, high = (shown(float(end), 6) for end in self.interval)
        return [
            (self.name, self.verdict),
            ("measured", f"{shown(self.measured, 6)} [{low}, {high}] {self.unit}".rstrip()),
            ("predicted", f"{shown(self.predicted, 6)} ± {shown(self.tolerance, 3)}"),
            ("reason", self.reason),
        ]

    def _tables(self) -> Sequence[Table]:
        names = ("name", "predicted", "shift", "power", "verdict", "rejected")
        rows = [[getattr(one, name) for name in names] for one in self.controls]
        return [Table(f"Negative controls of {self.name}", names, rows)]


@dataclass(frozen=True, eq=False)
class Judgement:
    """What a suite comes to.

    Parameters
    ----------
    checks : tuple of Check
    defeats : tuple of Defeat
    broken : tuple of str
        Why its controls show that the suite is broken; empty where they do not.
    verdict : {"agree", "disagree", "inconclusive", "broken", "defeated"}
        A defeat weighs most, then a check that disagrees, then broken controls.
    alpha : float
        Chance of each interval to miss.
    compared, predictions : int
        Trained models compared with a predicted optimum, and how many optima those were.
    extra : mapping of str to sequence
        What the suite's extensions found, by the names of their tables.
    """

    checks: tuple[Check, ...]
    defeats: tuple[Defeat, ...]
    broken: tuple[str, ...]
    verdict: str
    alpha: float
    compared: int
    predictions: int
    extra: Mapping[str, Sequence[Any]] = field(default_factory=dict)


def judge(suite: Suite, models: Sequence[Model], progress: Telling | None = None) -> Judgement:
    """Compare the trained models of a suite with theory.

    Parameters
    ----------
    suite : Suite
    models : sequence of (Trained, Measured)
        At least those of the suite's runs.
    progress : callable, optional
        ``progress(stage, fraction, detail)``; predictions can take a minute each.

    Raises
    ------
    BadInput
        If a model of the suite is missing.
    """
    by_key = {trained.run.key: (trained, measured) for trained, measured in models}
    samples = {}
    for cell in suite.cells:
        missing = [run.key for run in cell.runs if run.key not in by_key]
        if missing:
            raise BadInput(f"cell {cell.name!r} lacks {len(missing)} models: train them first")
        samples[cell.name] = Sample(tuple(by_key[run.key] for run in cell.runs), cell.groups)

    tell = progress or (lambda *_: None)
    owned = [cell for cell in suite.cells if cell.owner]
    searched = [c for c in suite.cells if c.setting.n <= predict.SEARCHED and not c.owner]
    settings = {c.setting: c.name for c in searched if c.setting.independent}
    held: dict[Setting, list[Model]] = {}
    for model in by_key.values():
        held.setdefault(model[0].run.setting, []).append(model)
    work, defeats = len(settings) + len(suite.rules), []
    for i, (setting, name) in enumerate(settings.items()):
        tell("comparing", i / work, f"predicting {name}")
        defeats += [x for model in held[setting] if (x := defeat_of(*model)) is not None]
    found: dict[str, Sequence[Any]] = {}
    judges: dict[str, Extension] = {}
    for one in suite.extensions:
        found[one.table] = one.judge(suite, by_key, tell)
        defeats += one.defeats(suite, found[one.table], by_key)
        judges |= dict.fromkeys(one.quantities, one)
    checks = []
    for i, rule in enumerate(suite.rules):
        tell("comparing", (len(settings) + i) / work, rule.name)
        if rule.quantity in judges:
            by = judges[rule.quantity]
            checks.append(by.check(suite, rule, found[by.table]))
        else:
            checks.append(_check(suite, rule, samples))
    flaws = broken(checks)
    verdicts = [check.verdict for check in checks]
    overall: str = agreed(verdicts)
    if flaws and overall != "disagree":
        overall = "broken"
    return Judgement(
        checks=tuple(checks),
        defeats=tuple(defeats),
        broken=flaws,
        verdict="defeated" if defeats else overall,
        alpha=suite.alpha,
        compared=sum(len(held[s]) for s in settings) + sum(len(c.runs) for c in owned),
        predictions=len(settings) + len({cell.setting for cell in owned}),
        extra=found,
    )


def _check(suite: Suite, rule: Rule, samples: Mapping[str, Sample]) -> Check:
    if rule.quantity == "critical":
        return _critical(suite, rule, samples)
    cell, sample = suite.cell(rule.cell), samples[rule.cell]
    quantity: Quantity = MEASURED.get(rule.quantity) or ALONG[rule.quantity]
    right = predict.truth(cell.setting)
    expected = quantity.reading(right, sample)
    estimate = quantity.measured(right, sample, suite.alpha)
    tolerance = rule.tolerance * (abs(expected) if rule.quantity in RELATIVE else 1.0)
    controls = []
    for name in rule.controls:
        wrong: Truth = predict.misread(cell.setting, name, cell.wrong)
        told = quantity.measured(wrong, sample, suite.alpha)
        shift = quantity.shift(right, wrong, sample)
        controls.append(control(name, quantity.reading(wrong, sample), shift, told, tolerance))
    return judged(rule, expected, estimate, tolerance, controls, quantity.unit, right.status)


def _critical(suite: Suite, rule: Rule, samples: Mapping[str, Sample]) -> Check:
    """S* of the ladder against the S at which the best trained models change phase."""
    cells = suite.sweep(rule.cell)
    setting = cells[0].setting
    ladder = predict.ladder_of(setting)
    S = [float(cell.setting.features.S[0]) for cell in cells]
    estimate = change(S, [samples[cell.name] for cell in cells], setting.n, suite.alpha)
    expected = 0.0 if ladder.S_star is None else ladder.S_star
    controls = []
    for name in rule.controls:
        wrong = _wrong_star(setting, name, expected)
        if wrong is not None:
            shift = abs(wrong - expected)
            controls.append(control(name, wrong, shift, estimate, rule.tolerance))
    return judged(rule, expected, estimate, rule.tolerance, controls, "", ladder.evidence)


def _wrong_star(setting: Setting, name: str, right: float) -> float | None:
    """S* under a wrong reading; for ``arrangement`` the ladder's nearest other change."""
    if name == "1-S":
        return 1.0 - right
    if name != "arrangement":
        found = predict.ladder_of(predict.misread_setting(setting, name)).S_star
        return 0.0 if found is None else found
    others = [r.S for r in predict.ladder_of(setting).crossings if abs(r.S - right) > 1e-6]
    return min(others, key=lambda S: abs(S - right)) if others else None


def judged(
    rule: Rule,
    expected: float,
    estimate: Estimate,
    tolerance: float,
    controls: Sequence[Control],
    unit: str,
    status: str,
) -> Check:
    """A check with its verdict."""
    return Check(
        name=rule.name,
        cell=rule.cell,
        quantity=rule.quantity,
        predicted=expected,
        measured=estimate.value,
        interval=(estimate.low, estimate.high),
        tolerance=tolerance,
        reason=rule.reason,
        verdict=verdict(estimate, expected, tolerance),
        controls=tuple(controls),
        unit=unit,
        status=status,
    )


__all__ = [
    "MEANING",
    "POWER",
    "Check",
    "Control",
    "Defeat",
    "Judgement",
    "below",
    "broken",
    "control",
    "count",
    "defeat_of",
    "judge",
    "judged",
]
