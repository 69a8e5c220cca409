"""Compare: do trained models agree with theory, under rules fixed before training?

A check is an equivalence test. With the interval [lo, hi] of the measured quantity (simultaneous
over the suite, see `statistics`) and the tolerance t that the suite states with its reason,

    agree           lo >= predicted - t and hi <= predicted + t
    disagree        the interval and predicted +- t have nothing in common
    inconclusive    otherwise

so the noisier the estimate, the harder it is to agree. A defeat is a trained model whose exact
loss, error bound included, lies below the predicted optimum by more than that one's rounding: it
refutes the prediction whatever the checks say. Predictions are numerical (`predict`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from packing.errors import BadInput
from validate import predict
from validate.along import ALONG
from validate.controls import Control, broken, control
from validate.predict import Truth
from validate.quantities import MEASURED, Model, Quantity, Sample, change
from validate.runs import Measured, Setting, Trained
from validate.statistics import Estimate, Verdict, agreed, verdict
from validate.suites import RELATIVE, Rule, Suite

Progress = Callable[..., None]


@dataclass(frozen=True)
class Check:
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
    """

    checks: tuple[Check, ...]
    defeats: tuple[Defeat, ...]
    broken: tuple[str, ...]
    verdict: str
    alpha: float
    compared: int
    predictions: int


def judge(suite: Suite, models: Sequence[Model], progress: Progress | None = None) -> Judgement:
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
    settings = {cell.setting: cell.name for cell in suite.cells if cell.setting.independent}
    work, defeats, compared = len(settings) + len(suite.rules), [], 0
    for i, (setting, name) in enumerate(settings.items()):
        tell("comparing", i / work, f"predicting {name}")
        held = [m for m in by_key.values() if m[0].run.setting == setting]
        compared += len(held)
        defeats += [found for model in held if (found := defeat_of(*model)) is not None]
    checks = []
    for i, rule in enumerate(suite.rules):
        tell("comparing", (len(settings) + i) / work, rule.name)
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
        compared=compared,
        predictions=len(settings),
    )


def defeat_of(trained: Trained, measured: Measured) -> Defeat | None:
    """The defeat that a model is, if its exact loss lies below the predicted optimum."""
    setting = trained.run.setting
    if measured.loss is None or not setting.independent or not np.isfinite(measured.loss):
        return None
    right, bound = predict.truth(setting), measured.error_bound or 0.0
    if not measured.loss + bound < right.loss - right.rounding:
        return None
    return Defeat(
        key=trained.run.key,
        setting=setting,
        loss=measured.loss,
        error_bound=bound,
        predicted=right.loss,
        rounding=right.rounding,
        model=(trained, measured),
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
    return _judged(rule, expected, estimate, tolerance, controls, quantity.unit, right.status)


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
    return _judged(rule, expected, estimate, rule.tolerance, controls, "", ladder.status)


def _wrong_star(setting: Setting, name: str, right: float) -> float | None:
    """S* under a wrong reading; for ``arrangement`` the ladder's nearest other change."""
    if name == "1-S":
        return 1.0 - right
    if name != "arrangement":
        found = predict.ladder_of(predict.misread_setting(setting, name)).S_star
        return 0.0 if found is None else found
    others = [r.S for r in predict.ladder_of(setting).rungs if abs(r.S - right) > 1e-6]
    return min(others, key=lambda S: abs(S - right)) if others else None


def _judged(
    rule: Rule,
    expected: float,
    estimate: Estimate,
    tolerance: float,
    controls: Sequence[Control],
    unit: str,
    status: str,
) -> Check:
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


__all__ = ["Check", "Control", "Defeat", "Judgement", "defeat_of", "judge"]
