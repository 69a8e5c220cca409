"""What is predicted over a map: the true optimum, wrong readings of it, and the prototypes.

right_of(plan)            loss and phase of the optimum in every cell
wrong_of(plan, control)   the same read wrongly, in every k-th cell: 1 - S, another law, or the
                          prototypes passed off as optima
prototypes_of(plan)       the least of the literature's unoptimised prototypes

The optimum is searched by `maps_search`; answers are kept (`packing.cache`).
Numerical: each loss is that of weights found, so an upper bound with the error bound of
`theory.loss`; that nothing lies lower is what training is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from packing import cache
from packing.arrangement import REPRESENTED
from packing.errors import BadInput
from packing.types import Float
from studies.maps_phases import phase_of
from studies.maps_search import VERSION, Index, Search
from theory.diagrams import phase_name
from theory.losses.expected import loss
from theory.prototypes import best, prototypes
from validate.cells import Map
from validate.predict import OTHER_LAW, POLISH

Names = NDArray[np.str_]

COARSE = 8
"""Cells along each axis in which a wrong reading is searched: it is rejected by all or by none."""

LEAST, MOST = 1e-3, 0.995
"""A wrong S is kept in this range: at 0 nothing is on, binary values at 1 have nothing to learn."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """One reading of theory over the cells of a map.

    Parameters
    ----------
    rows, columns : (R,) and (M,) arrays of int
        Which importance ratios and which S of the map.
    loss, rounding : (R, M) arrays
        Least loss, and how far it may be from that of its own minimum.
    phase : (R, M) array of str
        `maps_phases.phase_of`.
    name : (R, M) array of str
        What `theory.diagrams.phase_name` calls it; for prototypes their own names.
    faint : (R, M) array of bool
        Where a feature is represented, but too weakly to be read off trained weights.
    status : str
        ``searched``, or ``exact`` for prototypes.
    """

    rows: Index
    columns: Index
    loss: Float
    rounding: Float
    phase: Names
    name: Names
    faint: NDArray[np.bool_]
    status: str

    def near(self, reach: int) -> NDArray[np.bool_]:
        """Cells (R, M) with a cell of another phase within `reach` steps along both axes."""
        found = np.zeros(self.phase.shape, dtype=bool)
        R, M = self.phase.shape
        for a in range(-reach, reach + 1):
            for b in range(-reach, reach + 1):
                r, m = np.arange(max(a, 0), R + min(a, 0)), np.arange(max(b, 0), M + min(b, 0))
                if len(r) and len(m):
                    here, there = np.ix_(r - a, m - b), np.ix_(r, m)
                    found[here] |= self.phase[here] != self.phase[there]
        return found


def right_of(plan: Map) -> Predicted:
    """The true optimum in every cell of a map."""
    rows, columns = np.arange(len(plan.ratio)), np.arange(len(plan.S))
    return _asked(plan, rows, columns, plan.law, np.array(plan.S))


@lru_cache(maxsize=16)
def wrong_of(plan: Map, control: str) -> Predicted:
    """The prediction over a map under a wrong reading.

    Raises
    ------
    BadInput
        If the control is unknown.
    """
    if control == "prototypes":
        return prototypes_of(plan)
    rows, columns = (
        np.arange(0, len(axis), max(1, -(-len(axis) // COARSE))) for axis in (plan.ratio, plan.S)
    )
    S = np.array(plan.S)[columns]
    if control == "1-S":
        return _asked(plan, rows, columns, plan.law, np.clip(1.0 - S, LEAST, MOST))
    if control == "law":
        return _asked(plan, rows, columns, OTHER_LAW[plan.law], np.clip(S, LEAST, MOST))
    raise BadInput(f"there is no control {control!r} of a map: give 1-S, law or prototypes")


def prototypes_of(plan: Map) -> Predicted:
    """The least of the literature's prototypes in every cell: unit norms, no bias, exact."""
    ratio, S = np.array(plan.ratio), np.array(plan.S)
    candidates = prototypes(plan.n, plan.d)
    index = best(candidates, ratio, S)
    values = np.stack([p(S[None, :], ratio[:, None]) for p in candidates])
    names = np.array([p.name for p in candidates])[index]
    return Predicted(
        rows=np.arange(ratio.size),
        columns=np.arange(S.size),
        loss=np.take_along_axis(values, index[None], axis=0)[0],
        rounding=np.zeros(index.shape),
        phase=names,
        name=names,
        faint=np.zeros(index.shape, dtype=bool),
        status="exact",
    )


def _asked(plan: Map, rows: Index, columns: Index, law: str, S: Float) -> Predicted:
    ratio = np.array(plan.ratio)[rows]
    question = {
        "verb": "validated map",
        "search": VERSION,
        "n": plan.n,
        "d": plan.d,
        "law": law,
        "ratio": ratio.tolist(),
        "S": S.tolist(),
    }
    kept = cache.read(question)
    if kept is not None:
        try:
            return _predicted(kept["answer"], rows, columns)
        except (KeyError, TypeError, ValueError):
            pass  # an entry that cannot be read is a miss
    found = _searched(plan.n, plan.d, law, ratio, S)
    cache.write(question, {"answer": found})
    return _predicted(found, rows, columns)


def _predicted(held: dict[str, Any], rows: Index, columns: Index) -> Predicted:
    size = (len(rows), len(columns))
    return Predicted(
        rows=rows,
        columns=columns,
        loss=np.array(held["loss"], dtype=float).reshape(size),
        rounding=np.array(held["rounding"], dtype=float).reshape(size),
        phase=np.array(held["phase"], dtype=str).reshape(size),
        name=np.array(held["name"], dtype=str).reshape(size),
        faint=np.array(held["faint"], dtype=bool).reshape(size),
        status="searched",
    )


def _searched(n: int, d: int, law: str, ratio: Float, S: Float) -> dict[str, Any]:
    search = Search(n, d, law, ratio, S)
    cells = range(search.S.size)
    W, b = search.faded()
    for cell in cells:
        if "irregular" in phase_name(W[cell], b[cell]):
            search.settle(cell)
    W, b = search.faded()
    plain = search.shape.split(search.best)
    exact = [loss(plain[0][k], plain[1][k], features=search.features(k)) for k in cells]
    phase = [phase_of(W[k]) for k in cells]
    return {
        "loss": [one.total for one in exact],
        "rounding": [one.error_bound + POLISH * one.total for one in exact],
        "phase": phase,
        "name": [phase_name(W[k], b[k]) for k in cells],
        "faint": [phase_of(W[k], REPRESENTED**2) != phase[k] for k in cells],
    }


__all__ = ["COARSE", "Predicted", "prototypes_of", "right_of", "wrong_of"]
