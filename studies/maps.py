"""Maps: a whole phase diagram trained, and judged cell by cell.

Each cell of a map has K models, and the best of them, that of least exact loss L, is compared with
the optimum L*, its phase with the optimum's:

    reached    |L / L* - 1| <= within
    same       the phases are equal
    tied       they are not, but |L / L* - 1| <= tie, and the predicted map has a boundary near or
               S = 1, where x and 1 - x have one law and a pair may turn round at no cost
    contested  the prototypes' phase is not the optimum's

What a suite checks are shares of cells, with the interval of Clopper and Pearson. Cells differ, so
the count of hits is no binomial but a sum of trials with chances of their own; its tails are no
heavier than the binomial's with the same mean (Hoeffding 1956), so the interval holds for their
mean chance. Predictions are numerical (`maps_predicted`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from packing.types import Float
from studies.maps_phases import phase_of
from studies.maps_predicted import Predicted, prototypes_of, right_of
from validate.cells import Cell, Map
from validate.quantities import Model
from validate.statistics import Estimate, share

Flags = NDArray[np.bool_]

FEWEST = 16
"""Contested cells below which no wrong side could be told from the right one."""


@dataclass(frozen=True, eq=False)
class Found:
    """The trained models of a map beside what is predicted for it.

    Parameters
    ----------
    plan : Map
    right, prototypes : Predicted
        The optimum, and the literature's prototypes.
    loss : (R, M, K) array
        Exact losses; infinite where there is none.
    phase : (R, M, K) array of str
        `maps_phases.phase_of` of every model.
    """

    plan: Map
    right: Predicted
    prototypes: Predicted
    loss: Float
    phase: NDArray[np.str_]

    @cached_property
    def best_loss(self) -> Float:
        """Of the best model of each cell, (R, M)."""
        return np.asarray(self.loss.min(axis=2))

    @cached_property
    def best_phase(self) -> NDArray[np.str_]:
        """Of the best model of each cell, (R, M)."""
        k = self.loss.argmin(axis=2)[:, :, None]
        return np.asarray(np.take_along_axis(self.phase, k, axis=2)[:, :, 0])

    @property
    def excess(self) -> Float:
        """By which part of it the best loss lies above the optimum's, (R, M)."""
        return np.asarray(self.best_loss / self.right.loss - 1.0)

    def reached(self, truth: Predicted) -> Flags:
        """Cells of a prediction whose best model has its loss."""
        return _close(self.best_loss[_places(truth)], truth.loss, self.plan.within)

    def same(self, truth: Predicted) -> Flags:
        """Cells of a prediction whose best model has its phase."""
        return np.asarray(self.best_phase[_places(truth)] == truth.phase)

    def tied(self, truth: Predicted) -> Flags:
        """Cells whose best model has another phase, of the same loss, where that may be."""
        even = _close(self.best_loss[_places(truth)], truth.loss, self.plan.tie)
        return np.asarray(even & self.open(truth) & ~self.same(truth))

    def open(self, truth: Predicted) -> Flags:
        """Cells next to a boundary of a prediction, or at S = 1."""
        edge = np.array(self.plan.S)[truth.columns] == 1.0
        return np.asarray(truth.near(self.plan.near) | edge)

    @property
    def contested(self) -> Flags:
        """Cells (R, M) in which the prototypes have another phase than the optimum."""
        return np.asarray(self.prototypes.phase != self.right.phase)

    @cached_property
    def lucky(self) -> Float:
        """Share of single models that have the optimum's phase, or one tied with it, (R, M)."""
        own = self.phase == self.right.phase[:, :, None]
        even = _close(self.loss, self.right.loss[:, :, None], self.plan.tie)
        return np.mean(own | (even & self.open(self.right)[:, :, None]), axis=2)


def found_in(plan: Map, cells: Sequence[Cell], models: Mapping[str, Model]) -> Found:
    """The models of a map, by the keys of their runs.

    Parameters
    ----------
    plan : Map
    cells : sequence of Cell
        Those of the map, in their order.
    models : mapping of str to (Trained, Measured)
    """
    size = (len(plan.ratio), len(plan.S), plan.runs)
    loss, phase = np.full(size, np.inf), np.empty(size, dtype=object)
    for place, cell in enumerate(cells):
        r, m = divmod(place, len(plan.S))
        for k, run in enumerate(cell.runs):
            trained, measured = models[run.key]
            if measured.loss is not None and np.isfinite(measured.loss):
                loss[r, m, k] = measured.loss
            with np.errstate(over="ignore", invalid="ignore"):
                phase[r, m, k] = phase_of(trained.W)
    return Found(plan, right_of(plan), prototypes_of(plan), loss, phase.astype(str))


def measured(quantity: str, found: Found, truth: Predicted, alpha: float) -> Estimate:
    """The share of cells that a check of a map looks at, beside one reading of theory."""
    if quantity == "reached":
        hits = found.reached(truth)
    elif quantity == "phases":
        hits = found.same(truth) | found.tied(truth)
    elif quantity == "contested":
        hits = (found.same(truth) | found.tied(truth))[found.contested]
    else:
        at = _places(truth)
        hits = found.best_phase[at] != found.prototypes.phase[at]
    return share(int(hits.sum()), hits.size, alpha)


def reading(quantity: str, found: Found, truth: Predicted) -> float:
    """That share as a reading of theory predicts it: all of the cells, or for ``prototypes``
    those in which the prototypes have not the phase of that reading."""
    if quantity != "prototypes":
        return 1.0
    return float(np.mean(found.prototypes.phase[_places(truth)] != truth.phase))


def shift(quantity: str, found: Found, wrong: Predicted) -> float:
    """How far a wrong reading moves the share."""
    at = _places(wrong)
    if quantity == "prototypes":
        expected = np.mean(found.prototypes.phase[at] != found.right.phase[at])
        return abs(reading(quantity, found, wrong) - float(expected))
    if quantity == "reached":
        return 1.0 - float(np.mean(_close(wrong.loss, found.right.loss[at], found.plan.within)))
    if quantity == "contested":
        return float(np.sum(found.contested) >= FEWEST)
    even = _close(wrong.loss, found.right.loss[at], found.plan.tie)
    return 1.0 - float(np.mean((wrong.phase == found.right.phase[at]) | even))


def summary(found: Found) -> dict[str, Any]:
    """What came of a map, as JSON values."""
    right, prototypes = found.right, found.prototypes
    same, tied = found.same(right), found.tied(right)
    lucky, above = found.lucky, prototypes.loss / right.loss - 1.0
    contested = (same | tied)[found.contested]
    return {
        "map": found.plan.name,
        "n": found.plan.n,
        "d": found.plan.d,
        "law": found.plan.law,
        "cells": int(same.size),
        "models": int(found.loss.size),
        "within": found.plan.within,
        "tie": found.plan.tie,
        "near": found.plan.near,
        "reached": float(np.mean(found.reached(right))),
        "largest_excess": float(np.max(found.excess)),
        "same_phase": float(np.mean(same)),
        "tied": float(np.mean(tied)),
        "other_phase": float(np.mean(~same & ~tied)),
        "prototypes_other_than_trained": float(np.mean(prototypes.phase != found.best_phase)),
        "prototypes_other_than_optimum": float(np.mean(prototypes.phase != right.phase)),
        "contested": int(contested.size),
        "contested_won": float(np.mean(contested)) if contested.size else None,
        "trained_below_prototypes": float(np.mean(found.best_loss < prototypes.loss)),
        "prototypes_above_optimum": [float(x) for x in np.quantile(above, (0.0, 0.5, 1.0))],
        "one_model_lucky": float(np.mean(lucky)),
        "least_lucky": float(np.min(lucky)),
        "cells_below_a_quarter": int(np.sum(lucky < 0.25)),
        "faint": int(np.sum(right.faint)),
        "others": _others(found, ~same),
        "phases": _phases(found),
    }


def _others(found: Found, where: Flags) -> list[dict[str, Any]]:
    """Which phases stand for which, and how often."""
    at = np.argwhere(where).tolist()
    tied = found.tied(found.right)
    pairs = Counter(
        (str(found.right.phase[r, m]), str(found.best_phase[r, m]), bool(tied[r, m])) for r, m in at
    )
    return [
        {"optimum": a, "trained": b, "tied": c, "cells": k} for (a, b, c), k in pairs.most_common()
    ]


def _phases(found: Found) -> list[dict[str, Any]]:
    """Share of the cells that each phase has: optimum, trained and prototypes, and its names."""
    maps = (found.right.phase, found.best_phase, found.prototypes.phase)
    seen = Counter(np.concatenate([x.ravel() for x in maps]).tolist())
    rows = []
    for phase in sorted(seen, key=lambda name: -float(np.mean(maps[0] == name))):
        names = Counter(found.right.name[found.right.phase == phase].tolist())
        parts = zip(("optimum", "trained", "prototypes"), maps, strict=True)
        shares = {key: float(np.mean(x == phase)) for key, x in parts}
        rows.append({"phase": phase, **shares, "names": [n for n, _ in names.most_common()]})
    return rows


def _places(truth: Predicted) -> tuple[Any, ...]:
    return np.ix_(truth.rows, truth.columns)


def _close(a: Float, b: Float, part: float) -> Flags:
    return np.asarray(np.abs(a - b) <= part * b)


__all__ = ["Found", "found_in", "measured", "reading", "shift", "summary"]
