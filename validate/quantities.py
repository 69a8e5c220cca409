"""Quantities: what is predicted, what is measured, and its confidence interval.

The runs of a cell fall into g groups. Training finds minima, not always the least one, so what is
compared is the best model of a group, that of least exact loss; g groups give g independent values.

reading(truth, sample)           the predicted value under one reading of theory
measured(truth, sample, alpha)   its estimate, missing with chance alpha at most
shift(right, wrong, sample)      how far a wrong reading moves the prediction
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from theory.losses.expected import loss
from validate.experiments import Model
from validate.predict import Truth, distance
from validate.statistics import Estimate, bracket, mean, median, share


@dataclass(frozen=True, eq=False)
class Sample:
    """The trained models of a cell, group after group."""

    models: tuple[Model, ...]
    groups: int

    @cached_property
    def best(self) -> tuple[Model, ...]:
        """The model of least exact loss in each group."""
        size = len(self.models) // self.groups
        parts = [self.models[i * size : (i + 1) * size] for i in range(self.groups)]
        return tuple(min(part, key=_loss) for part in parts)


@dataclass(frozen=True)
class Quantity:
    """One thing that theory predicts and training shows."""

    unit: str
    reading: Callable[[Truth, Sample], float]
    measured: Callable[[Truth, Sample, float], Estimate]
    apart: Callable[[Truth, Truth, Sample], float] | None = None

    def shift(self, right: Truth, wrong: Truth, sample: Sample) -> float:
        """How far apart two readings are, in the quantity's unit."""
        if self.apart is not None:
            return self.apart(right, wrong, sample)
        return abs(self.reading(wrong, sample) - self.reading(right, sample))


def _loss(model: Model) -> float:
    value = model[1].loss
    return np.inf if value is None or not np.isfinite(value) else value


def _median(of: Callable[[Model], float]) -> Callable[[Truth, Sample, float], Estimate]:
    def measured(truth: Truth, sample: Sample, alpha: float) -> Estimate:
        return median([of(model) for model in sample.best], alpha)

    return measured


def _excess(truth: Truth, sample: Sample) -> float:
    """Simulated less exact loss, relative, that a reading of theory expects: its own loss of the
    same weights less the right one."""
    found = []
    for trained, measured in sample.best:
        setting, right = truth.setting, _loss((trained, measured))
        b = trained.b if setting.bias else np.zeros_like(trained.b)
        other = loss(trained.W, b, features=setting.features, objective=setting.objective)
        found.append(other.total / right - 1.0)
    return float(np.mean(found))


def _simulated(truth: Truth, sample: Sample, alpha: float) -> Estimate:
    return mean([m.simulated / _loss((t, m)) - 1.0 for t, m in sample.best], alpha)


def _angle(model: Model) -> float:
    cosine = model[1].max_cosine
    return np.nan if cosine is None else float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def _distances(truth: Truth, sample: Sample, alpha: float) -> Estimate:
    return median([distance(trained.W, truth.W) for trained, _ in sample.best], alpha)


def _named(truth: Truth, sample: Sample, alpha: float) -> Estimate:
    names = [measured.name for _, measured in sample.best]
    return share(names.count(truth.name), len(names), alpha)


MEASURED = {
    "loss": Quantity("", lambda truth, sample: truth.loss, _median(_loss)),
    "simulation": Quantity("of the loss", _excess, _simulated),
    "represented": Quantity(
        "features",
        lambda truth, sample: float(truth.represented),
        _median(lambda model: float(model[1].represented)),
    ),
    "d_star": Quantity(
        "", lambda truth, sample: truth.d_star, _median(lambda model: model[1].d_star)
    ),
    "distance": Quantity(
        "of |G|",
        lambda truth, sample: 0.0,
        _distances,
        lambda right, wrong, sample: distance(right.W, wrong.W),
    ),
    "name": Quantity(
        "of the groups",
        lambda truth, sample: 1.0,
        _named,
        lambda right, wrong, sample: float(right.name != wrong.name),
    ),
    "min_angle": Quantity(
        "degrees",
        lambda truth, sample: truth.min_angle,
        _median(_angle),
    ),
}
"""Quantities of the trained models of one cell."""


def change(S: Sequence[float], samples: Sequence[Sample], n: int, alpha: float) -> Estimate:
    """The S at which the best model of a group stops representing all n features.

    Parameters
    ----------
    S : sequence of float
        Rising.
    samples : sequence of Sample
        One per S, of equally many groups.
    n : int
    alpha : float

    Returns
    -------
    Estimate
        Group k, one from each sample, has a bracket: from the last S up to which all its best
        models represent all n, to the first S from which none does (0 and 1 where there is no
        such S). The interval is that of the median group's bracket, so it holds the grid's
        spacing, and a group that changes back and forth has a wide bracket.
    """
    full = np.array([[m.represented >= n for _, m in sample.best] for sample in samples])
    lows, highs = [], []
    for column in full.T:
        first = int(np.argmin(column)) if not column.all() else len(column)
        last = len(column) - int(np.argmax(column[::-1])) if column.any() else 0
        lows.append(S[first - 1] if first else 0.0)
        highs.append(S[last] if last < len(column) else 1.0)
    return bracket(lows, highs, alpha)


__all__ = ["MEASURED", "Model", "Quantity", "Sample", "change"]
