"""The numbers behind three pictures: two planes of phases, and D* against 1/S.

envelope_map(law)              which block holds most dimensions of the best mixture, over (d/n, S)
staircase_of(n, d, law)        D* = d / ||W||_F^2 of the best mixture, against S
importance_map(n, d, ...)      the true optimum over (importance ratio, S)

In the limit n, d -> infinity the best mixture at d/n is the convex envelope of
`theory.mixtures.gaussian_limit` over all blocks and the many-features solution: two of them, or one
and ignored features. Upper bounds on the loss, "best known": over the catalogue's blocks, kept
symmetric. Numerical, and so is the importance map: cells are searched from random starts on the
exact loss, all S of one ratio in one batch, and then from their neighbours' optima until none
improves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from packing import cache
from packing.errors import BadInput
from packing.optimise import descend
from packing.recognition import name_of
from packing.results import Result, Table
from packing.types import Float, Telling
from theory.features import Features, law_named, seed_of, whole
from theory.global_search import Problem, Shape, polish, random_starts
from theory.mixtures.block_table import blocks, variance
from theory.mixtures.comparison import block_norms
from theory.mixtures.gaussian_limit import DEDICATED, items_of, many_losses
from theory.mixtures.mixture import Mixture, best_among, fitting, losses, prices
from theory.prototypes import LAW, Prototype, prototypes

Item = tuple[float, float, float]

MANY = "many features"
"""The many-features solution of `theory.mixtures.gaussian_limit`, whatever its n/d."""

RATIOS = (0.04, 1.0)
_MANY_AT = np.geomspace(1.02, 3e3, 160)  # n/d of the many-features solution that are offered
S_RANGE = (0.003, 0.95)
_GROUP = 24  # S that are asked together, between two reports of progress


@dataclass(frozen=True, eq=False, repr=False)
class EnvelopeMap(Result):
    """The best mixture of blocks in the limit of many features.

    Parameters
    ----------
    law : str
    ratio : (R,) array
        d/n, ascending, below 1.
    S : (M,) array
        Ascending.
    loss : (R, M) array
        Per feature, over the loss of ignoring it.
    name : tuple of str
        Blocks that occur.
    first : (R, M) array of int
        The block with most of the dimensions.
    share : (R, M) array
        Of the dimensions, that it has.
    ignored : (R, M) array of bool
        Whether features are ignored: more than the best block can place.
    """

    law: str
    ratio: Float
    S: Float
    loss: Float
    name: tuple[str, ...]
    first: np.ndarray
    share: Float
    ignored: np.ndarray

    def regions(self) -> Table:
        """Share of the plane, and the S and d/n at which each block leads, the largest first."""
        title = f"Blocks with most of the dimensions, {self.law} law"
        return _seen(title, "block", self.name, self.first, self.ratio, self.S)

    def _values(self) -> dict[str, Any]:
        return {
            "kind": "diagram",
            "law": self.law,
            "ratio": self.ratio,
            "S": self.S,
            "one_minus_S": 1.0 - self.S,
            "loss": self.loss,
            "names": self.name,
            "first": self.first,
            "ignored": self.ignored,
            "rows": self.regions().records,
        }

    def _tables(self) -> list[Table]:
        return [self.regions()]

    def plot(self, ax: Any = None) -> Any:
        """Draw the plane, coloured by the leading block, into the axes, which are returned."""
        from theory.plotting import plot_diagram

        return plot_diagram(self, ax)


def envelope_map(
    law: str = "binary", *, cells: int = 120, progress: Telling | None = None
) -> EnvelopeMap:
    """The (d/n, S) plane, by the block with most dimensions in the best mixture.

    Parameters
    ----------
    law : {"binary", "uniform"}
    cells : int
        Along each axis, both even in the logarithm.

    Returns
    -------
    EnvelopeMap
        Numerical; an upper bound on the least loss.

    Raises
    ------
    BadInput
        If the law has no blocks or cells is out of range.
    """
    if law not in ("binary", "uniform"):
        raise BadInput(f"law = {law!r}: mixtures of blocks are made for binary and uniform")
    cells = whole(cells, "cells")
    if not 4 <= cells <= 400:
        raise BadInput(f"cells = {cells} is out of range: give 4 to 400")
    table = (DEDICATED, *blocks(law))
    ratio = np.geomspace(*RATIOS, cells + 1)[:-1]
    S = np.geomspace(*S_RANGE, cells)
    names: dict[str, int] = {}
    loss, share = np.empty((cells, cells)), np.empty((cells, cells))
    first = np.zeros((cells, cells), dtype=int)
    ignored = np.zeros((cells, cells), dtype=bool)
    for start in range(0, cells, _GROUP):
        if progress is not None:
            progress("blocks", start / cells)
        group = S[start : start + _GROUP]
        known = losses(table[1:], group, law)
        pairs = np.meshgrid(_MANY_AT, group)
        many = many_losses(pairs[0].ravel(), pairs[1].ravel(), law)[0].reshape(group.size, -1)
        for i, s in enumerate(group.tolist(), start):
            v = float(variance(np.array(s), law))
            own = np.concatenate([[0.0], known[:, i - start]])
            items: list[Item] = list(items_of(table, own, v))
            saved = _MANY_AT * (v - many[i - start])
            items += [(1.0, x, g) for x, g in zip(_MANY_AT.tolist(), saved.tolist(), strict=True)]
            for r, x in enumerate(ratio.tolist()):
                lam, mu, basis = prices(items, x, 1.0)
                k, part = _dominant(items, basis, 1.0 / x)
                name = table[k].name if k < len(table) else MANY
                first[r, i] = names.setdefault(name, len(names))
                share[r, i], ignored[r, i] = part, -2 in basis
                loss[r, i] = 1.0 - (lam * x + mu) / v
    return EnvelopeMap(law, ratio, S, loss, tuple(names), first, share, ignored)


def _dominant(items: list[Item], basis: list[int], x: float) -> tuple[int, float]:
    """The block of the basis with most of the dimensions at x features per dimension."""
    if min(basis) < 0:
        return max(basis), 1.0
    a, b = (items[k][1] / items[k][0] for k in basis)
    t = (b - x) / (b - a)  # share of dimensions of the first
    return (basis[0], t) if t >= 0.5 else (basis[1], 1.0 - t)


def _seen(
    title: str, key: str, names: Sequence[str], index: np.ndarray, ratio: Float, S: Float
) -> Table:
    """Share of a map (ratio, S) that each name has, and where it is seen; the largest first."""
    rows: list[dict[str, Any]] = []
    for k, name in enumerate(names):
        at = index == k
        r, s = np.nonzero(at)
        low, high = float(S[s.min()]), float(S[s.max()])
        rows.append(
            {
                key: name,
                "share": float(np.mean(at)),
                "S_low": low,
                "S_high": high,
                "one_minus_S_low": 1.0 - low,
                "one_minus_S_high": 1.0 - high,
                "ratio_low": float(ratio[r.min()]),
                "ratio_high": float(ratio[r.max()]),
            }
        )
    rows.sort(key=lambda row: -row["share"])
    return Table.of(title, rows, dict.fromkeys(rows[0], 8))


@dataclass(frozen=True, eq=False, repr=False)
class Staircase(Result):
    """Dimensions per feature of the best mixtures as S falls.

    Parameters
    ----------
    n, d : int
    law : str
    S : (M,) array
        Falling.
    D_star : (M,) array
        d / ||W||_F^2 (Elhage et al. 2022).
    represented : (M,) array of int
    phase : tuple of str
        The best mixture at each S.
    """

    n: int
    d: int
    law: str
    S: Float
    D_star: Float
    represented: np.ndarray
    phase: tuple[str, ...]

    def _values(self) -> dict[str, Any]:
        return {
            "kind": "staircase",
            "n": self.n,
            "d": self.d,
            "law": self.law,
            "S": self.S,
            "one_minus_S": 1.0 - self.S,
            "D_star": self.D_star,
            "represented": self.represented,
            "phases": self.phase,
        }

    def _tables(self) -> list[Table]:
        columns = ("S", "one_minus_S", "D_star", "represented", "phases")
        values = self._values()
        rows = list(zip(*(values[key] for key in columns), strict=True))
        title = f"Dimensions per feature, n = {self.n}, d = {self.d}, {self.law} law"
        return [Table(title, columns, rows, dict.fromkeys(columns, 8))]

    def plot(self, ax: Any = None) -> Any:
        """Draw D* against 1/S into the axes, which are returned."""
        from theory.plotting import plot_staircase

        return plot_staircase(self, ax)


def staircase_of(
    n: int,
    d: int,
    law: str = "uniform",
    *,
    S_min: float = 0.005,
    points: int = 48,
    progress: Telling | None = None,
) -> Staircase:
    """The predicted D* against S: d over the squared norms of the best mixture of blocks.

    Parameters
    ----------
    n, d : int
    law : {"binary", "uniform"}
    S_min : float
        From S = 0.95 down to here, even in the logarithm.
    points : int

    Returns
    -------
    Staircase
        Numerical: D* of the best known mixtures, which the optimum need not be.

    Raises
    ------
    BadInput
        If an argument is out of range, n <= d, or the law has no blocks.
    """
    n, d, points = whole(n, "n"), whole(d, "d"), whole(points, "points")
    if not 0 < S_min < 0.5:
        raise BadInput(f"S-min = {S_min:g} is out of range: give a number in (0, 0.5)")
    if n <= d:
        raise BadInput(
            f"n = {n}, d = {d}: every feature has a dimension of its own at any S; give n > d"
        )
    table = fitting(n, d, law)
    S = np.geomspace(0.95, S_min, points)
    known = losses(table, S, law)
    D_star, phases, represented = [], [], []
    for i, s in enumerate(S.tolist()):
        if progress is not None:
            progress("mixtures", i / points)
        best = best_among(n, d, s, law, table, known[:, i])
        size = squared_norms(best)
        D_star.append(d / size if size > 0.0 else float("inf"))
        phases.append(best.name)
        represented.append(best.represented)
    return Staircase(n, d, law, S, np.array(D_star), np.array(represented), tuple(phases))


def squared_norms(m: Mixture) -> float:
    """||W||_F^2 of a mixture at its S: dedicated features have norm 1, ignored ones none."""
    placed = (many * block_norms(name, m.S, m.law)[0] for name, many in m.parts)
    return m.dedicated + sum(placed)


# The true optimum over (importance ratio, S).


IMPORTANCES = (0.1, 10.0)
CHANCES = (0.01, 0.995)
"""S of the map: at S = 1 equally important features tie (uniform), or all phases do (binary)."""

MOST_FEATURES, MOST_CELLS = 4, 200
_STARTS, _KEPT, _SWEEPS = 16, 3, 8
_FADED = 1e-2  # norms below are set to 0 where that does not raise the loss


@dataclass(frozen=True, eq=False, repr=False)
class ImportanceMap(Result):
    """The optimum of n features in d dimensions, the last of importance r, the others of 1.

    Parameters
    ----------
    n, d : int
    law : str
    ratio : (R,) array
        r, ascending.
    S : (M,) array
        Ascending.
    loss : (R, M) array
        Of the best model found; numerical.
    phase : tuple of str
        Names of the phases that occur; the last feature is called extra.
    index : (R, M) array of int
        Which of them each cell has.
    norms : (R, M, n) array
        ||W_i|| at the optimum.
    """

    n: int
    d: int
    law: str
    ratio: Float
    S: Float
    loss: Float
    phase: tuple[str, ...]
    index: np.ndarray
    norms: Float

    def summary(self) -> Table:
        """Share of the cells, and the S and ratios at which each phase is seen, largest first."""
        title = (
            f"Phases of the true optimum, n = {self.n}, d = {self.d}, {self.law} law; "
            "share of the cells"
        )
        return _seen(title, "phase", self.phase, self.index, self.ratio, self.S)

    def prototypes(self) -> tuple[Prototype, ...]:
        """What the map is compared with: none but for the law and the sizes that have some."""
        try:
            return prototypes(self.n, self.d) if self.law == LAW else ()
        except BadInput:
            return ()

    def _values(self) -> dict[str, Any]:
        return {
            "kind": "importance",
            "n": self.n,
            "d": self.d,
            "law": self.law,
            "ratio": self.ratio,
            "S": self.S,
            "one_minus_S": 1.0 - self.S,
            "loss": self.loss,
            "names": self.phase,
            "phase": self.index,
            "norms": self.norms,
            "rows": self.summary().records,
            "prototypes": [{"name": p.name, "loss": str(p.loss)} for p in self.prototypes()],
        }

    def _tables(self) -> list[Table]:
        rows = [[p.name, str(p.loss)] for p in self.prototypes()]
        title = "Prototypes: unit norms, no bias (exact, no optima)"
        more = [Table(title, ["prototype", "loss"], rows)] if rows else []
        return [self.summary(), *more]

    def plot(self, ax: Any = None) -> Any:
        """Draw the phases over (importance ratio, S) into the axes, which are returned."""
        from theory.plotting import plot_importance

        return plot_importance(self, ax)


def importance_map(
    n: int,
    d: int,
    *,
    law: str = "uniform",
    cells: int = 40,
    seed: int = 0,
    keep: bool = True,
    progress: Telling | None = None,
) -> ImportanceMap:
    """The true optimum where one feature is more or less important than the others.

    Parameters
    ----------
    n, d : int
        n up to MOST_FEATURES, d < n.
    law : {"binary", "uniform"}
    cells : int
        Cells along each axis: r from 0.1 to 10, S from 0.01 to 0.995, both even in the logarithm.
    seed : int
    keep : bool
        Read and write the cache.

    Returns
    -------
    ImportanceMap
        Numerical, with biases and ReLU.

    Raises
    ------
    BadInput
        If an argument is out of range.
    """
    n, d, cells, seed = whole(n, "n"), whole(d, "d"), whole(cells, "cells"), seed_of(seed)
    if not d < n <= MOST_FEATURES:
        raise BadInput(f"n = {n}, d = {d}: this map is made for d < n <= {MOST_FEATURES}")
    if not 4 <= cells <= MOST_CELLS:
        raise BadInput(f"cells = {cells} is out of range: give 4 to {MOST_CELLS}")
    if law_named(law).name not in ("binary", "uniform"):
        raise BadInput(f"law = {law!r}: this map is made for binary and uniform")
    question = {
        "verb": "importance map",
        "n": n,
        "d": d,
        "law": law,
        "cells": cells,
        "seed": seed,
    }
    kept = cache.read(question) if keep else None
    if kept is not None:
        found: ImportanceMap = cache.decode(kept["map"])
        return found
    ratio = np.geomspace(*IMPORTANCES, cells)
    S = np.geomspace(*CHANCES, cells)
    search = _Cells(n, d, law, ratio, S, seed, progress or (lambda stage, fraction: None))
    search.scatter()
    search.spread()
    answer = search.answer()
    if keep:
        cache.write(question, {"map": cache.encode(answer)})
    return answer


class _Cells:
    """All cells of a map: the best parameters known (R, M, p) and their losses (R, M)."""

    def __init__(
        self, n: int, d: int, law: str, ratio: Float, S: Float, seed: int, report: Telling
    ) -> None:
        self.shape, self.law, self.ratio, self.S = Shape(n, d, True), law, ratio, S
        self.rng = np.random.default_rng([seed, n, d])
        self.report = report
        self.best = np.zeros((ratio.size, S.size, self.shape.size))
        self.loss = np.full((ratio.size, S.size), np.inf)

    def problem(self, row: int) -> Problem:
        weights = [1.0] * (self.shape.n - 1) + [float(self.ratio[row])]
        return Problem(Features.of(self.shape.n, 0.5, self.law, weights), self.shape)

    def scatter(self) -> None:
        """Random starts at every S of every second ratio, in one batch, and its optima at the next.

        Phases are wider than a step of the ratio; what is not seen here comes from neighbours.
        """
        for row in range(self.ratio.size):
            self.report("searching", row / self.ratio.size)
            if row % 2:
                self._offer(row, self.best[row - 1], np.arange(self.S.size))
                continue
            starts = random_starts(self.rng, self.shape, _STARTS)
            theta = np.tile(starts, (self.S.size, 1))
            which = np.repeat(np.arange(self.S.size), _STARTS)
            theta, value = self._down(row, theta, which, 40, 1e-5)
            chosen = []
            for m in range(self.S.size):
                mine = np.flatnonzero(which == m)
                chosen += list(mine[np.argsort(value[mine], kind="stable")[:_KEPT]])
            theta, which = theta[chosen], which[chosen]
            if row:
                theta = np.concatenate([theta, self.best[row - 1]])
                which = np.concatenate([which, np.arange(self.S.size)])
            self._offer(row, theta, which)

    def spread(self) -> None:
        """Every cell tries its neighbours' optima, until none improves."""
        stale = np.ones(self.loss.shape, dtype=bool)
        for sweep in range(_SWEEPS):
            self.report("comparing neighbours", sweep / _SWEEPS)
            before = self.loss.copy()
            for row in range(self.ratio.size):
                theta, which = [], []
                for m in range(self.S.size):
                    near = ((row - 1, m), (row + 1, m), (row, m - 1), (row, m + 1))
                    for a, b in near:
                        inside = 0 <= a < self.ratio.size and 0 <= b < self.S.size
                        if inside and stale[a, b]:
                            theta.append(self.best[a, b])
                            which.append(m)
                if theta:
                    self._offer(row, np.array(theta), np.array(which))
            stale = self.loss < before * (1.0 - 1e-7)
            if not np.any(stale):
                return

    def _offer(self, row: int, theta: Float, which: np.ndarray) -> None:
        theta, value = self._down(row, theta, which, 80, 1e-7)
        lowest = [min(np.flatnonzero(which == m), key=lambda k: value[k]) for m in np.unique(which)]
        theta, which = theta[lowest], which[lowest]
        theta, value = self._down(row, theta, which, 400, 1e-13)
        for t, v, m in zip(theta, value, which, strict=True):
            if v < self.loss[row, m]:
                self.loss[row, m], self.best[row, m] = v, t

    def _down(
        self, row: int, theta: Float, which: np.ndarray, iterations: int, tolerance: float
    ) -> tuple[Float, Float]:
        problem = self.problem(row)
        S = np.repeat(self.S[which][:, None], self.shape.n, axis=1)

        def objective(t: Float, index: np.ndarray) -> tuple[Float, Float]:
            return problem.evaluate(t, S[index])

        return descend(objective, theta, iterations, tolerance=tolerance)

    def answer(self) -> ImportanceMap:
        names: dict[str, int] = {}
        index = np.zeros(self.loss.shape, dtype=int)
        norms = np.zeros((*self.loss.shape, self.shape.n))
        for row in range(self.ratio.size):
            self.report("naming", row / self.ratio.size)
            W, b = self._faded(row)
            for m in range(self.S.size):
                if "irregular" in phase_name(W[m], b[m]):
                    # next to a continuous change descent ends early: Newton's method settles it
                    self._settle(row, m)
            W, b = self._faded(row)
            for m in range(self.S.size):
                index[row, m] = names.setdefault(phase_name(W[m], b[m]), len(names))
            norms[row] = np.linalg.norm(W, axis=1)
        shape = self.shape
        return ImportanceMap(
            shape.n, shape.d, self.law, self.ratio, self.S, self.loss, tuple(names), index, norms
        )

    def _settle(self, row: int, m: int) -> None:
        found = polish(self.problem(row).at(float(self.S[m])), self.best[row, m])
        if found.value <= self.loss[row, m] * (1.0 + 1e-9):
            self.best[row, m], self.loss[row, m] = found.theta, found.value

    def _faded(self, row: int) -> tuple[Float, Float]:
        """The models of one ratio, columns that do nothing set to 0."""
        problem = self.problem(row)
        W, b = self.shape.split(self.best[row].copy())
        S = np.repeat(self.S[:, None], self.shape.n, axis=1)
        for i in range(self.shape.n):
            bare, level = W.copy(), b.copy()
            bare[:, :, i] = 0.0
            level[:, i] = self.S * problem.features.law.mean
            value, _ = problem.evaluate(self.shape.join(bare, level), S)
            small = np.linalg.norm(W[:, :, i], axis=1) < _FADED
            gone = small & (value <= self.loss[row] * (1.0 + 1e-8))
            W[gone], b[gone] = bare[gone], level[gone]
        return W, b


def phase_name(W: Float, b: Float) -> str:
    """The name of a model whose last feature is extra, with what becomes of that one."""
    found = name_of(W, b, noise=0.0)
    extra = W.shape[1] - 1
    ignored = np.flatnonzero(np.linalg.norm(W, axis=0) <= 1e-6)
    if ignored.size == W.shape[1]:
        return found.kind
    if ignored.size:
        who = "extra" if extra in ignored else "other"
        if ignored.size == 1:
            return found.kind.replace("1 ignored", f"{who} ignored")
        return f"{found.kind}, extra {'ignored' if who == 'extra' else 'represented'}"
    if len(found.blocks) < 2:
        return found.kind
    mine = next(len(block.features) for block in found.blocks if extra in block.features)
    return f"{found.kind}, extra {'dedicated' if mine == 1 else 'in the pair'}"
