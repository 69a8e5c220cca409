"""Maps: a whole phase diagram trained, and judged cell by cell.

The last feature is called extra, since its importance differs by the ratio r; the others are alike.
A suite declares a plane of cells over r and S as a table ``[[map]]`` (`map_of`). Each cell has K
models, and the best of them, that of least exact loss L, is compared with the optimum L*, its phase
with the optimum's:

    reached    |L / L* - 1| <= within
    same       the phases are equal
    tied       they are not, but |L / L* - 1| <= tie, and the predicted map has a boundary near or
               S = 1, where x and 1 - x have one law and a pair may turn round at no cost
    contested  the prototypes' phase is not the optimum's

What a suite checks are shares of cells, with the interval of Clopper and Pearson. Cells differ, so
the count of hits is no binomial but a sum of trials with chances of their own; its tails are no
heavier than the binomial's with the same mean (Hoeffding 1956), so the interval holds for their
mean chance. Predictions are numerical: each loss is that of weights found, so an upper bound with
the error bound of `theory.loss`; that nothing lies lower is what training is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from packing import cache
from packing.arrangement import REPRESENTED
from packing.errors import BadInput
from packing.optimise import descend
from packing.results import Evidence
from packing.types import Float
from theory.diagrams import phase_name
from theory.features import Features, law_named
from theory.global_search import Problem, Shape, polish, random_starts
from theory.losses.expected import engine, loss
from theory.prototypes import best, prototypes
from validate.experiments import THRESHOLD
from validate.predict import OTHER_LAW, POLISH, Model
from validate.statistics import Estimate, share
from validate.suites import Cell, count, known, positive, text

# --- what a suite's file says ---


@dataclass(frozen=True)
class Map:
    """A plane of cells: the importance of the last feature over that of the others, against S.

    Parameters
    ----------
    name : str
    n, d : int
    law : str
    ratio, S : tuple of float
        R importance ratios and M values of S, rising.
    runs : int
        Models of each cell; the best of them is what is compared.
    within : float
        The best model has the optimum's loss if it differs by no more than this part of it.
    tie : float
        Another phase does not disagree if its loss lies above the optimum's by less than this part
        of it ...
    near : int
        ... in a cell that has a boundary of the predicted map within so many cells, or S = 1.
    reason : str
        Why these three numbers.
    """

    name: str
    n: int
    d: int
    law: str
    ratio: tuple[float, ...]
    S: tuple[float, ...]
    runs: int
    within: float
    tie: float
    near: int
    reason: str


SIZES = ((2, 1), (3, 2))
"""(n, d) for which the literature has prototypes."""

LAW = "uniform"
"""The law of the literature's prototypes and phase diagrams."""

LONGEST = 200
"""Cells along an axis."""

FINEST = 1e-6
"""Least value of an axis, and one over the largest: beyond, a search cannot tell losses apart."""

_KEYS = {
    *("name", "n", "d", "law", "importance", "S", "runs", "seed", "recipe"),
    *("within", "tie", "near", "reason"),
}


def map_of(x: Mapping[str, Any]) -> tuple[Map, list[dict[str, Any]]]:
    """A map, and its cells as tables, ratio after ratio, S rising.

    Raises
    ------
    BadInput
        If a key is unknown or a value cannot be.
    """
    name = text(x, "name", "a map")
    where = f"map {name!r}"
    known(x, _KEYS, where)
    n, d = count(x, "n", where), count(x, "d", where)
    if (n, d) not in SIZES:
        sizes = " or ".join(map(str, SIZES))
        raise BadInput(f"{where}: n = {n}, d = {d}: prototypes are known for {sizes}")
    law = x.get("law", LAW)
    if law != LAW:
        raise BadInput(f"{where}: law = {law!r}: the prototypes are of {LAW} values; give {LAW}")
    ratio, S = _axis(x, "importance", where), _axis(x, "S", where)
    if S[-1] > 1.0:
        raise BadInput(f"{where}: S goes up to {S[-1]:g}: it is a chance, give at most 1")
    plan = Map(
        name=name,
        n=n,
        d=d,
        law=law,
        ratio=ratio,
        S=S,
        runs=count(x, "runs", where),
        within=_part(x, "within", where),
        tie=_part(x, "tie", where),
        near=count(x, "near", where),
        reason=text(x, "reason", where),
    )
    shared = {key: x[key] for key in ("n", "d", "runs", "seed", "recipe") if key in x}
    cells = [
        {
            **shared,
            "name": f"{name}, r = {r:.4g}, S = {s:.4g}",
            "law": law,
            "importance": [1.0] * (n - 1) + [r],
            "S": s,
        }
        for r in ratio
        for s in S
    ]
    return plan, cells


def _axis(x: Mapping[str, Any], key: str, where: str) -> tuple[float, ...]:
    """Values of an axis, even in the logarithm."""
    given = x.get(key)
    if not isinstance(given, dict):
        raise BadInput(f"{where}: give {key}, as in {key} = {{ from = 0.1, to = 1.0, cells = 32 }}")
    inside = f"{key} of {where}"
    known(given, {"from", "to", "cells"}, inside)
    low, high = positive(given, "from", inside), positive(given, "to", inside)
    if low < FINEST or high > 1.0 / FINEST:
        raise BadInput(
            f"{inside} goes from {low:g} to {high:g}: give ends from {FINEST:g} to {1.0 / FINEST:g}"
        )
    cells = count(given, "cells", inside, 2)
    if not low < high:
        raise BadInput(f"{inside} goes from {low:g} to {high:g}: give rising ends")
    if cells > LONGEST:
        raise BadInput(f"{inside}: cells = {cells}: give at most {LONGEST}")
    values = np.geomspace(low, high, cells)
    values[0], values[-1] = low, high
    return tuple(values.tolist())


def _part(x: Mapping[str, Any], key: str, where: str) -> float:
    value = positive(x, key, where)
    if value >= 1.0:
        raise BadInput(f"{where}: {key} = {value:g}: give a part of the loss, below 1")
    return value


# --- phases, read off weights ---
#
#     represented   |W_i|^2 above a threshold
#     together      |cos(W_i, W_j)| above `BENT`: neither orthogonal nor ignored
#     paired        two together, opposite;  parallel: two together, the same way
#     triangle      three together that surround the origin
#
# One reading serves optima, prototypes and trained models, so none of them has an advantage. It is
# coarser than `theory.diagrams.phase_name`, which also tells even pairs from uneven ones: weights
# off by 1% cannot say when a pair begins to be uneven.


BENT = 0.25
"""Cosines below are taken for orthogonal: an angle within 14.5 degrees of a right one."""

EXTRA_IGNORED = "extra ignored"
NOTHING = "nothing represented"


def phase_of(W: Float, threshold: float = THRESHOLD) -> str:
    """What becomes of the extra feature and of the others.

    Parameters
    ----------
    W : (d, n) array
        Of (2, 1) or (3, 2).
    threshold : float
        Squared norm from which a feature is represented.

    Returns
    -------
    str
        Where there is a prototype of that kind, its name in `theory.prototypes`.
    """
    n = W.shape[1]
    extra = n - 1
    norms = np.sqrt(np.sum(W * W, axis=0))
    shown = [i for i in range(n) if norms[i] ** 2 > threshold]
    C = (W.T @ W) / np.maximum(np.outer(norms, norms), 1e-300)
    bonds = [(i, j) for i, j in combinations(shown, 2) if abs(C[i, j]) > BENT]
    if n == 2:
        return _of_two(shown, extra, bonds, C)
    return _of_three(shown, extra, bonds, C, W)


def _of_two(shown: list[int], extra: int, bonds: list[tuple[int, int]], C: Float) -> str:
    if not shown:
        return NOTHING
    if len(shown) == 1:
        return "extra dedicated" if shown == [extra] else EXTRA_IGNORED
    return _way(C, bonds[0], "pair", "parallel pair")


def _of_three(
    shown: list[int], extra: int, bonds: list[tuple[int, int]], C: Float, W: Float
) -> str:
    if len(shown) < 2:
        return NOTHING if not shown else "two ignored"
    if len(shown) == 2:
        where = EXTRA_IGNORED if extra not in shown else "extra dedicated, one other ignored"
        return where if not bonds else _way(C, bonds[0], "one ignored, a pair", "one ignored, bent")
    if len(bonds) == 1:
        if extra in bonds[0]:
            mine = _way(C, bonds[0], "extra paired", "extra parallel")
            return f"{mine}, one other dedicated"
        return f"extra dedicated, the others {_way(C, bonds[0], 'paired', 'parallel')}"
    place = np.sort(np.arctan2(W[1], W[0]))
    gaps = np.append(np.diff(place), 2.0 * np.pi - (place[-1] - place[0]))
    return "triangle" if float(gaps.max()) < np.pi else "irregular"


def _way(C: Float, bond: tuple[int, int], opposite: str, same: str) -> str:
    return opposite if C[bond] < 0.0 else same


# --- the optimum in every cell at once ---
#
# All cells, each with its own importance ratio and S, descend in one batch on the exact loss: from
# random starts of their own, from the literature's prototypes, and then from the optima of all
# eight neighbours until none improves. Numerical: what stays is the least loss found, as
# `theory.diagrams.importance_map` finds it in its own way (tests/test_studies_maps.py). A sparser
# search (every second cell) once missed a triangle one cell wide, which two trained models found.


Index = NDArray[np.int_]

VERSION = 3
"""Of what the search does: an answer kept by another one is not taken for its own."""

STARTS, KEPT = 6, 2
"""Random starts of a cell, its own, and how many of them are followed after a rough descent."""

SWEEPS = 12
"""Rounds in which cells try their neighbours' optima."""

EQUAL = 1e-10
"""Relative difference of losses that is rounding."""

FADED = 1e-2
"""Norms below are set to 0 where that does not raise the loss."""


class Search:
    """The best parameters known in every cell, and their losses.

    Parameters
    ----------
    n, d : int
        (2, 1) or (3, 2).
    law : str
    ratio, S : (R,) and (M,) arrays
    seed : int
    """

    def __init__(self, n: int, d: int, law: str, ratio: Float, S: Float, seed: int = 0) -> None:
        self.shape, self.law, self.size = Shape(n, d, True), law_named(law), (ratio.size, S.size)
        importance = np.ones((ratio.size, S.size, n))
        importance[:, :, -1] = ratio[:, None]
        self.importance = importance.reshape(-1, n)
        self.S = np.tile(S, ratio.size)
        self.best = np.zeros((self.S.size, self.shape.size))
        self.loss = np.full(self.S.size, np.inf)
        self._scatter(np.random.default_rng([seed, n, d]))
        self._spread()

    def evaluate(self, theta: Float, cell: Index) -> tuple[Float, Float]:
        """Exact losses (K,) and gradients (K, p) of models theta (K, p), each in its cell."""
        W, b = self.shape.split(theta)
        count, n = b.shape
        G = np.swapaxes(W, 1, 2) @ W
        I = self.importance[cell]
        answer = engine(
            G.reshape(-1, n),
            b.reshape(-1),
            np.tile(np.arange(n), count),
            np.broadcast_to(np.repeat(self.S[cell], n)[:, None], (count * n, n)),
            self.law,
            relu=True,
            gradient=True,
            bounds=False,
            rtol=1e-6,
        )[1]
        assert answer.dA is not None and answer.db is not None
        value = np.sum(answer.value.reshape(count, n) * I, axis=1)
        D = answer.dA.reshape(count, n, n) * I[:, :, None]
        dW = W @ (D + np.swapaxes(D, 1, 2))
        return value, self.shape.join(dW, answer.db.reshape(count, n) * I)

    def down(
        self, theta: Float, cell: Index, iterations: int, tolerance: float
    ) -> tuple[Float, Float]:
        """Every model descends in its cell."""

        def objective(t: Float, index: Index) -> tuple[Float, Float]:
            return self.evaluate(t, cell[index])

        return descend(objective, theta, iterations, tolerance=tolerance)

    def _scatter(self, rng: np.random.Generator) -> None:
        every = np.arange(self.S.size)
        cell = np.repeat(every, STARTS)
        theta, value = self.down(random_starts(rng, self.shape, cell.size), cell, 40, 1e-5)
        order = np.argsort(value.reshape(-1, STARTS), axis=1)[:, :KEPT]
        kept = (order + STARTS * every[:, None]).ravel()
        n, d = self.shape.n, self.shape.d
        known = [self.shape.join(*weights(n, d, p.groups)) for p in prototypes(n, d)]
        self.offer(
            np.concatenate([theta[kept], np.repeat(np.concatenate(known), every.size, axis=0)]),
            np.concatenate([cell[kept], np.tile(every, len(known))]),
        )

    def _spread(self) -> None:
        grid = np.arange(self.S.size).reshape(self.size)
        pairs = (
            (grid[1:], grid[:-1]),
            (grid[:, 1:], grid[:, :-1]),
            (grid[1:, 1:], grid[:-1, :-1]),
            (grid[1:, :-1], grid[:-1, 1:]),
        )
        here = np.concatenate([x.ravel() for a, b in pairs for x in (a, b)])
        there = np.concatenate([x.ravel() for a, b in pairs for x in (b, a)])
        stale = np.ones(self.S.size, dtype=bool)
        for _ in range(SWEEPS):
            before = self.loss.copy()
            some = stale[there]
            if not np.any(some):
                break
            self.offer(self.best[there[some]], here[some])
            stale = self.loss < before * (1.0 - 1e-7)
        if self.size[1] < 2:
            return
        # At S = 1 x and 1 - x have one law: a pair may turn round at no cost, and rounding would
        # choose. Of equal optima it has that of its neighbour.
        last = grid[:, -1]
        theta, value = self.down(self.best[grid[:, -2]], last, 400, 1e-13)
        equal = value <= self.loss[last] * (1.0 + EQUAL)
        self.best[last[equal]] = theta[equal]
        self.loss[last[equal]] = value[equal]

    def offer(self, theta: Float, cell: Index) -> None:
        """Cells take what descends below their best, the most promising one followed to its end."""
        theta, value = self.down(theta, cell, 80, 1e-7)
        order = np.lexsort((value, cell))
        first = order[np.unique(cell[order], return_index=True)[1]]
        theta, cell = theta[first], cell[first]
        theta, value = self.down(theta, cell, 400, 1e-13)
        better = value < self.loss[cell]
        self.loss[cell[better]], self.best[cell[better]] = value[better], theta[better]

    def settle(self, cell: int) -> None:
        """Newton's method, where descent ended early: next to a continuous change."""
        problem = Problem(self.features(cell), self.shape)
        found = polish(problem, self.best[cell])
        if found.value <= self.loss[cell] * (1.0 + 1e-9):
            self.best[cell], self.loss[cell] = found.theta, found.value

    def features(self, cell: int) -> Features:
        """What `theory.loss` is asked about a cell."""
        return Features.of(
            self.shape.n, float(self.S[cell]), self.law.name, self.importance[cell].tolist()
        )

    def faded(self) -> tuple[Float, Float]:
        """Every cell's model, W (C, d, n) and b (C, n), columns that do nothing set to 0."""
        W, b = self.shape.split(self.best.copy())
        every = np.arange(self.S.size)
        for i in range(self.shape.n):
            bare, level = W.copy(), b.copy()
            bare[:, :, i] = 0.0
            level[:, i] = self.S * self.law.mean
            value, _ = self.evaluate(self.shape.join(bare, level), every)
            small = np.linalg.norm(W[:, :, i], axis=1) < FADED
            gone = small & (value <= self.loss * (1.0 + 1e-8))
            W[gone], b[gone] = bare[gone], level[gone]
        return W, b


def weights(n: int, d: int, groups: Any) -> tuple[Float, Float]:
    """Weights (1, d, n) and biases (1, n) of a prototype: its blocks in orthogonal subspaces."""
    W, axis = np.zeros((1, d, n)), 0
    for block, members in groups:
        if block == "triangle":
            turn = 2.0 * np.pi * np.arange(3) / 3.0
            W[0][:, list(members)] = [np.cos(turn), np.sin(turn)]
            axis += 2
        else:
            W[0, axis, list(members)] = [1.0, -1.0][: len(members)]
            axis += 1
    return W, np.zeros((1, n))


# --- predictions: the optimum, wrong readings in every k-th cell, the literature's prototypes ---


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
        `phase_of`.
    name : (R, M) array of str
        What `theory.diagrams.phase_name` calls it; for prototypes their own names.
    faint : (R, M) array of bool
        Where a feature is represented, but too weakly to be read off trained weights.
    status : Evidence
        Numerical where it was searched, proved for prototypes: exact expressions.
    """

    rows: Index
    columns: Index
    loss: Float
    rounding: Float
    phase: Names
    name: Names
    faint: NDArray[np.bool_]
    status: Evidence

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
        status=Evidence.PROVED,
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
        status=Evidence.NUMERICAL,
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


# --- trained models beside them ---


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
        `phase_of` of every model.
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


__all__ = [
    "Found",
    "Map",
    "Predicted",
    "Search",
    "found_in",
    "measured",
    "phase_of",
    "prototypes_of",
    "reading",
    "right_of",
    "shift",
    "summary",
    "weights",
    "wrong_of",
]
