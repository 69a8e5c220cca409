"""Ladders: how the optimum changes with S, where, and in which way.

A ladder is read off true optima, not off symmetric families: a global search on a grid of S, every
optimum polished again at its neighbours until nothing improves, then each change between neighbours
located. Where two branches cross (first order) the crossing is a root of the difference of their
polished losses; where one branch turns into another (continuous) the change of its name is
bisected. A fresh search at every crossing looks for a third branch below. Numerical.

A `Point` is an optimum at one S, a `Change` one with the points just below and just above it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from packing import cache as disk
from packing.errors import BadInput
from packing.optimise import descend
from packing.recognition import Named, name_of
from packing.results import Evidence, Result, Table, shown
from packing.types import Float, Progress
from theory.crossings import LAWS as EXACT_LAWS
from theory.crossings import Crossing, Phase, exact_facts, with_exact_form
from theory.features import (
    Binary,
    Features,
    Law,
    model_text,
    model_values,
    probabilities,
    seed_of,
    whole,
)
from theory.global_search import Polished, Problem, Shape, minima, minima_on_grid, polish, settle
from theory.objective import PLAIN, Objective

_SAME = 2e-12  # losses this close, relative to ignoring everything, belong to one optimum
_ANCHORS = (1e-4, 1e-3, 0.01, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.875, 0.95, 1.0)
_WIDTH = 1e-10  # brackets of first-order crossings
_JUMP = 1e-5  # relative jump of dL/dS from which a change counts as first order
_DEEPEST = 8  # nested third phases
_SOFT = 1e-7  # brackets of continuous changes: the Hessian is singular at the point itself


@dataclass(eq=False)
class Point:
    """An optimum at one S; its name is the `Named.kind`, which stays along a branch."""

    S: float
    theta: Float
    value: float
    phase: Phase
    represented: int

    @property
    def name(self) -> str:
        return self.phase.kind


@dataclass(eq=False)
class Change:
    """A change of the optimum at S: its bracket, its order, the optima just below and above."""

    S: float
    bracket: tuple[float, float]
    order: str
    lo: Point
    hi: Point


@dataclass(eq=False)
class Tracker:
    """What following branches needs at hand: the problem, and how to follow, search and name."""

    problem: Problem
    seed: int
    starts: int
    report: Progress

    def __post_init__(self) -> None:
        f = self.problem.features
        self.exact_surrogate = isinstance(f.law, Binary) and f.n <= 8

    def unit(self, S: float) -> float:
        """Loss of ignoring everything, what differences of losses are compared with."""
        f = self.problem.at(S).features
        return float(f.importance @ f.variance)

    def named(self, theta: Float, tolerance: float = 1e-6) -> Named:
        W, b = (q[0] for q in self.problem.shape.split(theta[None]))
        counted = np.where(self.problem.features.importance > 0.0, W, 0.0)
        return name_of(counted, b, tolerance=tolerance, noise=0.0)

    def changes(self, S: float, a: Point, lo: Point, hi: Point, b: Point) -> bool:
        """Whether the name really changes at S on one branch.

        A slight irregularity that fades with S falls below the recogniser's tolerance somewhere;
        a little away from that S a tenfold tolerance sees no change, from a real one it does.
        """
        below = self.follow(max(a.S, 0.98 * S), lo)
        above = self.follow(min(b.S, 1.02 * S), hi)
        return self.named(below.theta, 1e-5).kind != self.named(above.theta, 1e-5).kind

    def point(self, S: float, found: Polished) -> Point:
        named = self.named(found.theta)
        return Point(S, found.theta, found.value, Phase.of(named), named.represented)

    def follow(self, S: float, start: Point) -> Point:
        """The optimum at S that the one at start.S turns into."""
        if start.S == S:
            return start
        problem = self.problem.at(S)
        if problem.shape.size <= 110 and problem.features.n <= 12:
            return self.point(S, polish(problem, start.theta, 40))
        return self.point(S, settle(problem, start.theta))

    def fresh(self, S: float, near: list[Point]) -> Point:
        """A global search at S, the given optima among its starts."""
        guesses = np.array([q.theta for q in near]) if near else None
        found = minima(
            self.problem.at(S), seed=self.seed, starts=self.starts, guesses=guesses, keep=2
        )
        return self.point(S, found[0].point)

    def same(self, a: Point, b: Point) -> bool:
        """One optimum (up to rotation and relabelling): the losses agree to rounding."""
        return abs(a.value - b.value) <= _SAME * self.unit(a.S)

    def slope_jump(self, S: float, a: Point, b: Point) -> float:
        """|dL/dS| of one branch less the other at S, relative to loss / S (envelope theorem)."""
        h = 1e-4 * min(S, 1.0 - S) if S < 1.0 else 1e-4
        theta = np.array([a.theta, b.theta])
        above, below = self.problem.at(S + h)(theta)[0], self.problem.at(S - h)(theta)[0]
        slopes = (above - below) / (2.0 * h)
        return float(abs(slopes[0] - slopes[1]) * S / max(a.value, 1e-300))

    def nearer(self, point: Point, lo: Point, hi: Point) -> bool:
        """Whether a point belongs to the lower side: by its name, else by its Gram matrix."""
        if lo.name != hi.name and point.name in (lo.name, hi.name):
            return point.name == lo.name
        W, _ = self.problem.shape.split(np.array([point.theta, lo.theta, hi.theta]))
        G = np.sort((np.swapaxes(W, 1, 2) @ W).reshape(3, -1), axis=1)
        return bool(np.sum((G[0] - G[1]) ** 2) <= np.sum((G[0] - G[2]) ** 2))

    def lower(self, a: Point, b: Point) -> Point:
        return a if a.value <= b.value else b


def optima_on(tracker: Tracker, grid: Float) -> list[Point]:
    """Best optimum at every S of the grid: searched, then passed between neighbours."""
    points: list[Point] = []
    if tracker.exact_surrogate:
        found = minima_on_grid(
            tracker.problem, grid, seed=tracker.seed, starts=tracker.starts, progress=tracker.report
        )
        points = [tracker.point(float(S), q) for S, q in zip(grid, found, strict=True)]
    else:
        points = _library_optima(tracker, grid)
    for _ in range(6):
        changed = False
        for order in (range(len(grid) - 2, -1, -1), range(1, len(grid))):
            step = 1 if order.step < 0 else -1
            for i in order:
                moved = tracker.follow(points[i].S, points[i + step])
                if moved.value < points[i].value and not tracker.same(moved, points[i]):
                    points[i] = moved
                    changed = True
        if not changed:
            break
    return points


def _library_optima(tracker: Tracker, grid: Float) -> list[Point]:
    """Best optimum at every S from minima found by full searches at a few anchors.

    Minima that lose at an anchor may win elsewhere, so every S starts from all those of the
    anchors around it.
    """
    problem = tracker.problem
    nearest = [int(np.argmin(np.abs(grid - g))) for g in _ANCHORS]
    anchors = grid[np.unique(nearest)]
    library: list[Float] = []
    for i, S in enumerate(anchors):
        tracker.report("searching at anchors", i / len(anchors))
        near = library[-1][:4] if library else None
        found = minima(
            problem.at(float(S)),
            seed=tracker.seed,
            starts=tracker.starts,
            guesses=near,
            keep=10,
            polished=1,
        )
        library.append(np.array([q.point.theta for q in found]))
    points = []
    for i, S in enumerate(grid):
        tracker.report("following to the grid", i / len(grid))
        k = int(np.searchsorted(anchors, S))
        around = library[max(0, k - 2) : k + 2]
        at = problem.at(float(S))
        theta, value = descend(at, np.concatenate(around), 60, tolerance=1e-7)
        best = np.argsort(value)[:2]
        settled = (tracker.point(float(S), settle(at, theta[q])) for q in best)
        points.append(min(settled, key=by_value))
    return points


def by_value(point: Point) -> float:
    return point.value


def changes_between(tracker: Tracker, a: Point, b: Point, depth: int = 0) -> list[Change]:
    """Changes of phase between two optima, a.S < b.S."""
    if depth > _DEEPEST or b.S - a.S <= _WIDTH:
        return []
    up, down = tracker.follow(b.S, a), tracker.follow(a.S, b)
    if a.name == b.name and tracker.same(up, b) and tracker.same(down, a):
        return []
    lo, hi, S, third = _narrow(tracker, a, b, a.value - down.value, up.value - b.value)
    if third is None and depth < _DEEPEST:
        here = tracker.lower(tracker.follow(S, lo), tracker.follow(S, hi))
        below = tracker.fresh(S, [lo, hi])
        if below.value < here.value and not tracker.same(below, here):
            third = below
    if third is not None:
        left = changes_between(tracker, a, third, depth + 1)
        return left + changes_between(tracker, third, b, depth + 1)
    # Branches that merge meet at equal slopes: the change is continuous.
    order = "first" if tracker.slope_jump(S, lo, hi) > _JUMP else "continuous"
    changes = []
    if order == "first" or (lo.name != hi.name and tracker.changes(S, a, lo, hi, b)):
        changes.append(Change(S, _bracket(lo, hi, S, order), order, lo, hi))
    # Either branch may also have changed its name on the way.
    if a.name != lo.name and lo.S < b.S:
        changes += changes_between(tracker, a, lo, depth + 1)
    if b.name != hi.name and hi.S > a.S:
        changes += changes_between(tracker, hi, b, depth + 1)
    return changes


def _narrow(
    tracker: Tracker, a: Point, b: Point, g_lo: float, g_hi: float
) -> tuple[Point, Point, float, Point | None]:
    """Close in on the change between a and b: both sides of it, its S, a third phase if met.

    g is the loss of the lower branch less that of the upper one: at a <= 0, at b >= 0. Its root is
    taken by the Illinois rule. Where following one branch ends on the other, the name (or else
    the nearer Gram matrix) says on which side that point lies, and the step is halved.
    """
    lo, hi = a, b
    f_lo, f_hi = g_lo, g_hi  # g, halved by the Illinois rule on the side that stays
    side = 0
    while hi.S - lo.S > _WIDTH:
        share = f_lo / (f_lo - f_hi) if f_lo < 0.0 < f_hi else 0.5
        S = lo.S + min(max(share, 1e-3), 1.0 - 1e-3) * (hi.S - lo.S)
        left, right = tracker.follow(S, lo), tracker.follow(S, hi)
        if tracker.same(left, right):
            if hi.S - lo.S <= _SOFT * S:
                break  # one branch this close to the change: it is continuous
            # of two equal losses take the one whose name is known: next to a flat family (binary,
            # a dedicated feature) the other may be a point that has not slid all the way
            known = [q for q in (left, right) if q.name in (lo.name, hi.name)]
            best = min(known or (left, right), key=by_value)
            if not known and hi.S - lo.S > 1e-4 * S:
                return lo, hi, S, best
            if tracker.nearer(best, lo, hi):
                lo, g_lo, f_lo = best, 0.0, 0.0
            else:
                hi, g_hi, f_hi = best, 0.0, 0.0
            side = 0
            continue
        gap = left.value - right.value
        if gap <= 0.0:
            lo, g_lo, f_lo = left, gap, gap
            f_hi = 0.5 * f_hi if side < 0 else g_hi
            side = -1
        else:
            hi, g_hi, f_hi = right, gap, gap
            f_lo = 0.5 * f_lo if side > 0 else g_lo
            side = 1
        if abs(gap) <= 4e-16 * tracker.unit(S):
            break
    if g_lo < 0.0 <= g_hi or g_lo <= 0.0 < g_hi:
        return lo, hi, lo.S + (hi.S - lo.S) * g_lo / (g_lo - g_hi), None
    return lo, hi, 0.5 * (lo.S + hi.S), None


def _bracket(lo: Point, hi: Point, S: float, order: str) -> tuple[float, float]:
    """Interval for the change: what was computed on both sides, and the polish's own blur."""
    blur = (1e-10 if order == "first" else 1e-6) * S
    return min(lo.S, S - blur), max(hi.S, S + blur)


# Ladders: the phases read off the branches.


S_TOP_BINARY = 0.995  # at S = 1 binary inputs are constant; all rank-d projections tie to O(1 - S)

S_MIN = 1e-4
"""Where a ladder ends unless told otherwise."""

MOST = 1000
"""Features beyond which no ladder of optima is asked for: a search has no chance there."""

COMPLETE = (
    "every change was found by search and root finding; a phase narrower than the grid of S can be "
    "missed"
)
DEDICATED = "d >= n: every feature has a dimension of its own and the loss is 0"


@dataclass(frozen=True, eq=False, repr=False)
class Branch(Result):
    """A branch of optima: its losses over an interval of S, also a little beyond where it wins.

    Parameters
    ----------
    phase : Phase
    S, loss, represented : (m,) arrays
        S rising; loss of the branch there, and how many features it represents.
    interval : (float, float)
        Where it is the optimum.
    W, b : (d, n) and (n,) arrays
        One member.
    """

    phase: Phase
    S: Float
    loss: Float
    represented: np.ndarray
    interval: tuple[float, float]
    W: Float
    b: Float

    @property
    def name(self) -> str:
        return self.phase.name

    def _values(self) -> dict[str, Any]:
        return {
            **self.phase._values(),
            "interval": self.interval,
            "S": self.S,
            "loss": self.loss,
            "represented": self.represented,
            "W": self.W,
            "b": self.b,
        }

    def _facts(self) -> list[tuple[str, str]]:
        low, high = self.interval
        return [*self.phase._facts(), ("optimal for S in", f"[{shown(low)}, {shown(high)}]")]

    def _tables(self) -> list[Table]:
        rows = list(zip(self.S, self.loss, self.represented, strict=True))
        return [Table("Branch", ["S", "loss", "represented"], rows)]


@dataclass(frozen=True, eq=False, repr=False)
class Ladder(Result):
    """The phases of n features in d dimensions from S = 1 down to S_min.

    Parameters
    ----------
    features : Features
        What was asked; their S does not count.
    d : int
    objective : Objective
    S_min : float
    S_star : float or None
        Largest S0 such that for every S < S0 the optimum represents all n features; 1 if they are
        never lost, None if that fails at S_min already.
    S_onset : float or None
        The same for "more than d features".
    crossings : tuple of Crossing
        Every change of phase, S falling.
    represented : tuple of (low, high, count)
        Features represented, by intervals of S.
    branches : tuple of Branch
        S falling.
    evidence : Evidence
        Numerical; proved for d >= n.
    advice : str
    remembered, kept : bool
        Whether the cache answered, and whether it holds the answer now.
    """

    features: Features
    d: int
    objective: Objective
    S_min: float
    S_star: float | None
    S_onset: float | None
    crossings: tuple[Crossing, ...]
    represented: tuple[tuple[float, float, int], ...]
    branches: tuple[Branch, ...]
    evidence: Evidence
    advice: str
    remembered: bool = False
    kept: bool = False

    @property
    def n(self) -> int:
        return self.features.n

    @property
    def law(self) -> Law:
        return self.features.law

    @property
    def importance(self) -> Float:
        return self.features.importance

    @property
    def bias(self) -> bool:
        return self.objective.bias

    @property
    def relu(self) -> bool:
        return self.objective.relu

    def _values(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "d": self.d,
            "S_star": self.S_star,
            "one_minus_S_star": None if self.S_star is None else 1.0 - self.S_star,
            "S_onset": self.S_onset,
            "one_minus_S_onset": None if self.S_onset is None else 1.0 - self.S_onset,
            "S_min": self.S_min,
            "one_minus_S_min": 1.0 - self.S_min,
            "ladder": [change._values() for change in self.crossings],
            "represented": [
                {"from": low, "to": high, "count": count} for low, high, count in self.represented
            ],
            "status": self.evidence,
            "advice": self.advice,
            **model_values(self.features, self.objective),
        }

    def _facts(self) -> list[tuple[str, str]]:
        def both(S: float | None, meaning: str) -> str:
            if S is None:
                return "none"
            return f"{shown(S, 12)}   (1 - S = {shown(1.0 - S, 12)}; {meaning})"

        return [
            ("S*", both(self.S_star, "below it all features are represented")),
            ("S_onset", both(self.S_onset, "below it more than d features are")),
            ("model", model_text(self.features, self.objective)),
            ("status", self.evidence),
            ("advice", self.advice),
            *exact_facts(self.crossings),
        ]

    def _tables(self) -> list[Table]:
        columns = ["S", "1 - S", "denser", "sparser", "order"]
        rows = [[x.S, 1.0 - x.S, str(x.denser), str(x.sparser), x.order] for x in self.crossings]
        ladder = Table(f"Ladder, from S = 1 down to {shown(self.S_min)}", columns, rows)
        spans = [[low, high, f"{count} of {self.n}"] for low, high, count in self.represented]
        counts = Table("Features represented", ["from S", "to S", "count"], spans)
        return [ladder, counts] if rows else [counts]

    def plot(self, ax: Any = None) -> Any:
        """Draw the loss of every branch over that of ignoring all features, and the changes."""
        from packing.plotting import new_figure

        ax = ax or new_figure(8.0, 5.0).add_subplot()
        for branch in self.branches:
            below = branch.S < 1.0  # where nothing varies there is nothing to lose
            S, loss = branch.S[below], branch.loss[below]
            nothing = [ignoring_all(self.features.at(s), self.objective) for s in S]
            ax.plot(S, loss / np.array(nothing), label=branch.name)
        for change in self.crossings:
            ax.axvline(change.S, color="0.6", lw=0.8, ls="-" if change.order == "first" else ":")
        ax.set(xscale="log", xlabel="S, chance that a feature is on", ylabel="loss / ignoring all")
        ax.legend(fontsize="small")
        return ax


def ignoring_all(features: Features, objective: Objective) -> float:
    """The least loss of W = 0."""
    return float(features.importance @ (features.variance if objective.bias else features.second))


def ladder(
    features: Features,
    d: int,
    *,
    objective: Objective = PLAIN,
    exact: bool = False,
    S_min: float = S_MIN,
    seed: int = 0,
    starts: int | None = None,
    cache: bool = True,
    progress: Progress | None = None,
) -> Ladder:
    """Every phase of n features in d dimensions as S falls from 1 to S_min, and where they change.

    Parameters
    ----------
    features : Features
        Law and importance of n features that share one S; which S they have does not count.
    d : int
        Hidden dimensions.
    objective : Objective
        With or without biases, with or without ReLU.
    exact : bool
        Also the polynomial whose root S is, or an enclosure, and the formulas of the blocks on both
        sides, for every change where they are known (see `has_exact_forms`).
    S_min : float
        Lower end of the ladder, in (0, 0.5].
    seed, starts : int
        As in `theory.optimum`; `starts` is per grid point.
    cache : bool
        Take the answer that was kept of the same question on disk, or keep this one.
    progress : callable, optional
        Called with a stage and the fraction done.

    Returns
    -------
    Ladder
        Numerical: changes to 1e-8 in S where branches cross, 1e-5 where the change is continuous;
        that no phase is missing rests on the search (docs/theory.md, section 6). Exact forms are
        proved or enclosed, each as it says.

    Raises
    ------
    BadInput
        If an argument is out of range.
    """
    d, seed = whole(d, "d"), seed_of(seed)
    if starts is not None:
        starts = whole(starts, "starts")
    S_min = float(probabilities(S_min, 1)[0])
    if S_min > 0.5:
        raise BadInput(f"S_min = {S_min:g} is out of range: give a number in (0, 0.5]")
    features = features.at(0.5)
    if d >= features.n:
        return _all_dedicated(features, d, objective, S_min)
    asked = _question(features, d, objective, S_min, seed, starts) if cache else None
    found = _remembered(asked)
    if found is None:
        found = searched(features, d, objective, S_min, seed, starts, progress)
        found = replace(found, kept=asked is not None and disk.remember(asked, found))
    if exact and has_exact_forms(features, objective):
        changes = []
        for done, change in enumerate(found.crossings):
            if progress is not None:
                progress("exact forms", done / len(found.crossings))
            changes.append(with_exact_form(change, features.law.name))
        found = replace(found, crossings=tuple(changes))
    return found


critical = ladder
"""The verb of the command `packing critical`: the same question under its other name."""


def has_exact_forms(features: Features, objective: Objective) -> bool:
    """Whether changes of phase have exact forms: equal importance, bias, ReLU, a law with them."""
    alike = np.ptp(features.importance) == 0.0
    return objective == PLAIN and bool(alike) and features.law.name in EXACT_LAWS


def searched(
    features: Features,
    d: int,
    objective: Objective,
    S_min: float,
    seed: int,
    starts: int | None,
    progress: Progress | None,
) -> Ladder:
    """The ladder computed afresh, for d < n."""
    problem = Problem(features, Shape(features.n, d, objective.bias), objective.relu)
    many = starts or _starts(features.n, features.law)
    tracker = Tracker(problem, seed, many, progress or _silent)
    points = optima_on(tracker, _grid(S_min, isinstance(features.law, Binary)))
    changes: list[Change] = []
    for i in range(len(points) - 1):
        tracker.report("locating changes", i / (len(points) - 1))
        changes += changes_between(tracker, points[i], points[i + 1])
    changes.sort(key=lambda q: -q.S)
    return _assemble(tracker, points, changes, S_min)


def _silent(stage: str, fraction: float) -> None:
    return None


def _starts(n: int, law: Law) -> int:
    if law.name == "binary":
        return 128 if n <= 8 else 64
    return 48 if n <= 5 else 24


def _grid(S_min: float, binary: bool) -> Float:
    """S where the global search runs: even in log S below 0.1, in S above, dense near 1."""
    decades = max(0.0, float(np.log10(0.1 / S_min)))
    low = np.geomspace(S_min, max(S_min, 0.1), max(3, round(4 * decades) + 1))
    middle = np.arange(0.12, 0.93, 0.025)  # not 1/2: column signs tie there for the binary law
    top = [0.95, 0.97, 0.985, S_TOP_BINARY, *([] if binary else [0.999])]
    grid = np.concatenate([low, middle, top])
    return np.unique(np.concatenate([[S_min], grid[grid >= S_min]]))


def _assemble(tracker: Tracker, points: list[Point], changes: list[Change], S_min: float) -> Ladder:
    problem = tracker.problem
    f, shape = problem.features, problem.shape
    edges = [1.0, *[q.S for q in changes], S_min]
    # where branches are computed for pictures: the grid, the changes, and between
    drawn = sorted({q.S for q in points} | set(edges[1:-1]))
    drawn = sorted(set(drawn) | {0.5 * (x + y) for x, y in pairwise(drawn)})
    branches, spans = [], []
    for k in range(len(edges) - 1):
        high, low = edges[k], edges[k + 1]
        near = [q.lo for q in changes[max(k - 1, 0) : k]] + [q.hi for q in changes[k : k + 1]]
        member = _member(tracker, points, near, low, high)
        spans.append((low, high, member.represented))
        branches.append(_branch(tracker, drawn, member, low, high))
    represented: list[tuple[float, float, int]] = []
    for low, high, count in spans:
        if represented and represented[-1][2] == count:
            represented[-1] = (low, represented[-1][1], count)
        else:
            represented.append((low, high, count))
    whole_set = int(np.sum(f.importance > 0.0))
    return Ladder(
        features=f,
        d=shape.d,
        objective=Objective(shape.bias, problem.relu),
        S_min=S_min,
        S_star=_threshold(represented, lambda c: c >= whole_set),
        S_onset=_threshold(represented, lambda c: c > shape.d),
        crossings=tuple(
            Crossing(q.S, q.bracket, above.phase, below.phase, q.order, q.lo.value)
            for q, (above, below) in zip(changes, pairwise(branches), strict=True)
        ),
        represented=tuple(represented),
        branches=tuple(branches),
        evidence=Evidence.NUMERICAL,
        advice=COMPLETE,
    )


def _threshold(
    represented: list[tuple[float, float, int]], good: Callable[[int], bool]
) -> float | None:
    """Upper end of the unbroken run of good intervals that starts at S_min."""
    top = None
    for _, high, count in reversed(represented):
        if not good(count):
            break
        top = high
    return top


def _member(
    tracker: Tracker, points: list[Point], near: list[Point], low: float, high: float
) -> Point:
    """An optimum inside (low, high): of the grid, or followed from a change at either end."""
    inside = [q for q in points if low < q.S < high]
    if inside:
        return inside[len(inside) // 2]
    S = 0.5 * (low + high)
    return min((tracker.follow(S, q) for q in near), key=by_value)


def _branch(tracker: Tracker, grid: list[float], member: Point, low: float, high: float) -> Branch:
    """The branch of `member` over its interval and a few points beyond."""
    kept = [member]
    for direction in (1, -1):
        here = member
        ahead = [S for S in grid[::direction] if (S - member.S) * direction > 0]
        beyond = 0
        for S in ahead:
            moved = tracker.follow(S, here)
            if moved.name != member.name:
                break
            kept.append(moved)
            here = moved
            beyond += not low < S < high
            if beyond == 8:
                break
    kept.sort(key=lambda q: q.S)
    W, b = (q[0] for q in tracker.problem.shape.split(member.theta[None]))
    return Branch(
        member.phase,
        np.array([q.S for q in kept]),
        np.array([q.value for q in kept]),
        np.array([q.represented for q in kept]),
        (low, high),
        W.copy(),
        b.copy(),
    )


def _all_dedicated(features: Features, d: int, objective: Objective, S_min: float) -> Ladder:
    """d >= n: every feature dedicated at every S, loss 0, nothing changes. Proved."""
    n = features.n
    W, b = np.eye(d, n), np.zeros(n)
    ends, counts = np.array([S_min, 1.0]), np.array([n, n])
    phase = Phase.of(name_of(W, b))
    return Ladder(
        features=features,
        d=d,
        objective=objective,
        S_min=S_min,
        S_star=1.0,
        S_onset=None,
        crossings=(),
        represented=((S_min, 1.0, n),),
        branches=(Branch(phase, ends, np.zeros(2), counts, (S_min, 1.0), W, b),),
        evidence=Evidence.PROVED,
        advice=DEDICATED,
    )


# Ladders that were asked for before: a ladder takes seconds to minutes, so answers are kept.


def numerical_ladder(
    n: int,
    d: int,
    law: str,
    *,
    search: bool = False,
    keep: bool = True,
    progress: Progress | None = None,
) -> Ladder | None:
    """The ladder of true optima, equal importance with biases and ReLU, or None where unknown.

    For tables of mixtures, which have any number of features: beyond MOST nothing is known.

    Parameters
    ----------
    n, d : int
    law : str
    search : bool
        Compute it where the cache has none.
    keep : bool
        Read and write the cache.

    Returns
    -------
    Ladder or None
        Numerical.

    Raises
    ------
    BadInput
        If a search is wanted for more than MOST features.
    """
    if n > MOST:
        if search:
            raise BadInput(
                f"n = {n}: true optima are searched for up to {MOST} features; leave --optimum out"
            )
        return None
    features = Features.of(n, 0.5, law)
    if search or d >= n:
        return ladder(features, d, cache=keep, progress=progress)
    return _remembered(_question(features, d, PLAIN, S_MIN, 0, None)) if keep else None


def _question(*asked: Any) -> dict[str, Any] | None:
    """What the cache is asked; None for a law that has no name of its own."""
    try:
        return {"verb": "ladder", "asked": disk.encode(asked)}
    except TypeError:
        return None


def _remembered(asked: dict[str, Any] | None) -> Ladder | None:
    found: Ladder | None = None if asked is None else disk.recall(asked)
    return None if found is None else replace(found, remembered=True, kept=True)


__all__ = ["Branch", "Ladder", "critical", "ladder", "numerical_ladder"]
