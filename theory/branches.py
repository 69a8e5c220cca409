"""Branches of optima in S: found on a grid, followed, and the changes between them located.

A `Point` is an optimum at one S, a `Rung` a change with the points just below and just above it.
`optima_on` finds a point at every S of a grid, `changes_between` every change between two
neighbours. What the changes mean is for `theory.phases` to say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from packing.descent import descend
from packing.recognise import Named, name_of
from theory.exact import Polished, Problem, polish
from theory.features import Binary, Float
from theory.minima import Progress, minima, minima_on_grid, settle

_SAME = 2e-12  # losses this close, relative to ignoring everything, belong to one optimum
_ANCHORS = (1e-4, 1e-3, 0.01, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.875, 0.95, 1.0)
_WIDTH = 1e-10  # brackets of first-order crossings
_JUMP = 1e-5  # relative jump of dL/dS from which a change counts as first order
_DEEPEST = 8  # nested third phases
_SOFT = 1e-7  # brackets of continuous changes: the Hessian is singular at the point itself


@dataclass(eq=False)
class Point:
    """An optimum at one S."""

    S: float
    theta: Float
    value: float
    name: str
    represented: int


@dataclass(eq=False)
class Rung:
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
        return name_of(counted, b, tolerance=tolerance)

    def changes(self, S: float, a: Point, lo: Point, hi: Point, b: Point) -> bool:
        """Whether the name really changes at S on one branch.

        A slight irregularity that fades with S falls below the recogniser's tolerance somewhere;
        a little away from that S a tenfold tolerance sees no change, from a real one it does.
        """
        below = self.follow(max(a.S, 0.98 * S), lo)
        above = self.follow(min(b.S, 1.02 * S), hi)
        return self.named(below.theta, 1e-5).name != self.named(above.theta, 1e-5).name

    def point(self, S: float, found: Polished) -> Point:
        named = self.named(found.theta)
        return Point(S, found.theta, found.value, named.name, named.represented)

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


def changes_between(tracker: Tracker, a: Point, b: Point, depth: int = 0) -> list[Rung]:
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
    rungs = []
    if order == "first" or (lo.name != hi.name and tracker.changes(S, a, lo, hi, b)):
        rungs.append(Rung(S, _bracket(lo, hi, S, order), order, lo, hi))
    # Either branch may also have changed its name on the way.
    if a.name != lo.name and lo.S < b.S:
        rungs += changes_between(tracker, a, lo, depth + 1)
    if b.name != hi.name and hi.S > a.S:
        rungs += changes_between(tracker, hi, b, depth + 1)
    return rungs


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
