"""Branches of optima in S: found on a grid, followed, and the changes between them located.

A `Point` is an optimum at one S, a `Rung` a change with the points just below and just above it.
`optima_on` finds a point at every S of a grid, `changes_between` every change between two
neighbours. What the changes mean is for `theory.ladders` to say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from packing import cache
from packing.errors import BadInput, NotReached
from packing.optimise import descend
from packing.recognition import Named, name_of
from packing.types import Float, Progress
from theory.features import Binary, Features, Law, law_named, probabilities, seed_of, whole
from theory.global_search import Polished, Problem, Shape, minima, minima_on_grid, polish, settle

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
        return Point(S, found.theta, found.value, named.kind, named.represented)

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


# Phases: how the optimum changes with S, where, and in which way.
#
# The ladder is read off true optima, not off symmetric families: a global search on a grid of S,
# every optimum polished again at its neighbours until nothing improves, then each change between
# neighbours located. Where two branches cross (first order) the crossing is a root of the
# difference
# of their polished losses; where one branch turns into another (continuous) the change of its
# name is
# bisected. A fresh search at every crossing looks for a third branch below. Numerical.


S_TOP_BINARY = 0.995  # at S = 1 binary inputs are constant; all rank-d projections tie to O(1 - S)


@dataclass(frozen=True)
class CriticalSparsity:
    """A rung of the ladder: the S at which the optimum changes phase.

    Parameters
    ----------
    S : float
        Activation probability of the change.
    bracket : (float, float)
        Interval that holds it, from the last S computed on either side.
    denser, sparser : str
        Phase just above and just below S.
    order : str
        "first" (two branches cross, the slope of the loss jumps) or "continuous".
    loss : float
        Loss at the change.
    polynomial : str or None
        Integer polynomial with root S, where one is known (closed forms are a later layer).
    """

    S: float
    bracket: tuple[float, float]
    denser: str
    sparser: str
    order: str
    loss: float
    polynomial: str | None = None


@dataclass(frozen=True, eq=False)
class Phase:
    """A branch of optima: its losses over an interval of S, also a little beyond where it wins.

    S, loss, represented : (m,) arrays; interval is where it is the optimum; W, b one member.
    """

    name: str
    S: Float
    loss: Float
    represented: np.ndarray
    interval: tuple[float, float]
    W: Float
    b: Float


@dataclass(frozen=True, eq=False)
class Ladder:
    """The phases of n features in d dimensions from S = 1 down to S_min.

    Parameters
    ----------
    S_star : float or None
        Largest S0 such that for every S < S0 the optimum represents all n features; 1 if they are
        never lost, None if that fails at S_min already.
    S_onset : float or None
        The same for "more than d features".
    rungs : tuple of CriticalSparsity
        Every change of phase, S falling.
    represented : tuple of (low, high, count)
        Features represented, by intervals of S.
    branches : tuple of Phase
        S falling.
    status, advice : str
        "complete", or what was not reached.
    importance : (n,) array or None
        Weights of the features in the loss; None where all are 1.
    """

    n: int
    d: int
    law: Law
    bias: bool
    relu: bool
    S_min: float
    S_star: float | None
    S_onset: float | None
    rungs: tuple[CriticalSparsity, ...]
    represented: tuple[tuple[float, float, int], ...]
    branches: tuple[Phase, ...]
    status: str
    advice: str
    importance: Float | None = None


def ladder(
    n: int,
    d: int,
    *,
    law: str | Law = "binary",
    importance: Float | None = None,
    bias: bool = True,
    relu: bool = True,
    S_min: float = 1e-4,
    seed: int = 0,
    starts: int | None = None,
    progress: Progress | None = None,
) -> Ladder:
    """Every phase of the optimum from S = 1 down to S_min, and every S at which it changes.

    Parameters
    ----------
    n, d : int
        Features and hidden dimensions.
    law, importance, bias, relu
        The model, as in `theory.optimum.optimum`.
    S_min : float
        Lower end of the ladder, in (0, 0.5].
    seed, starts : int
        As in `optimum`; `starts` is per grid point.
    progress : callable, optional
        Called with a stage and the fraction done.

    Returns
    -------
    Ladder
        Numerical: rungs to 1e-8 in S where branches cross, 1e-5 where the change is continuous;
        that no phase is missing rests on the search (docs/theory.md, section 6).
    """
    n, d, seed = whole(n, "n"), whole(d, "d"), seed_of(seed)
    if starts is not None:
        starts = whole(starts, "starts")
    S_min = float(probabilities(S_min, 1)[0])
    if S_min > 0.5:
        raise BadInput(f"S_min = {S_min:g} is out of range: give a number in (0, 0.5]")
    features = Features.of(n, 0.5, law, importance)
    problem = Problem(features, Shape(n, d, bias), relu)
    if d >= n:
        return _all_dedicated(n, d, law_named(law), bias, relu, S_min)
    tracker = Tracker(problem, seed, starts or _starts(n, features.law), progress or _silent)
    grid = _grid(S_min, isinstance(features.law, Binary))
    points = optima_on(tracker, grid)
    rungs: list[Rung] = []
    for i in range(len(points) - 1):
        tracker.report("locating changes", i / (len(points) - 1))
        rungs += changes_between(tracker, points[i], points[i + 1])
    rungs.sort(key=lambda q: -q.S)
    return _assemble(tracker, points, rungs, S_min)


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


def _assemble(tracker: Tracker, points: list[Point], rungs: list[Rung], S_min: float) -> Ladder:
    problem = tracker.problem
    f, shape = problem.features, problem.shape
    edges = [1.0, *[r.S for r in rungs], S_min]
    # where branches are computed for pictures: the grid, the changes, and between
    drawn = sorted({q.S for q in points} | set(edges[1:-1]))
    drawn = sorted(set(drawn) | {0.5 * (x + y) for x, y in pairwise(drawn)})
    branches, spans = [], []
    for k in range(len(edges) - 1):
        high, low = edges[k], edges[k + 1]
        near = [*([rungs[k - 1].lo] if k else []), *([rungs[k].hi] if k < len(rungs) else [])]
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
        f.n,
        shape.d,
        f.law,
        shape.bias,
        problem.relu,
        S_min,
        _threshold(represented, lambda c: c >= whole_set),
        _threshold(represented, lambda c: c > shape.d),
        tuple(
            CriticalSparsity(r.S, r.bracket, above.name, below.name, r.order, r.lo.value)
            for r, (above, below) in zip(rungs, pairwise(branches), strict=True)
        ),
        tuple(represented),
        tuple(branches),
        "complete",
        "numerical: every rung found by search and root finding; a phase narrower than the grid "
        "of S can be missed",
        f.importance,
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


def _branch(tracker: Tracker, grid: list[float], member: Point, low: float, high: float) -> Phase:
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
    return Phase(
        tracker.named(member.theta).name,  # an irregular phase by the fingerprint of this member
        np.array([q.S for q in kept]),
        np.array([q.value for q in kept]),
        np.array([q.represented for q in kept]),
        (low, high),
        W.copy(),
        b.copy(),
    )


def _all_dedicated(n: int, d: int, law: Law, bias: bool, relu: bool, S_min: float) -> Ladder:
    """d >= n: every feature dedicated at every S, loss 0, nothing changes. Proved."""
    W = np.eye(d, n)
    phase = Phase(
        name_of(W, np.zeros(n)).name,
        np.array([S_min, 1.0]),
        np.zeros(2),
        np.array([n, n]),
        (S_min, 1.0),
        W,
        np.zeros(n),
    )
    onset = None if n <= d else 1.0
    return Ladder(
        n,
        d,
        law,
        bias,
        relu,
        S_min,
        1.0,
        onset,
        (),
        ((S_min, 1.0, n),),
        (phase,),
        "exact",
        "d >= n: every feature has a dimension of its own and the loss is 0",
    )


# Numerical ladders that the command line has computed before, from the cache.
#
# `packing critical` keeps its answers; the same question is asked here, and answered by a search
# only
# where that is wanted, since a ladder takes seconds to minutes.


S_MIN = 1e-4
"""Where `packing critical` ends its ladders unless told otherwise."""

MOST = 1000
"""Features beyond which no ladder of optima is asked for: a search has no chance there."""


def question(n: int, d: int, law: str) -> dict[str, Any]:
    """What `packing critical -n N -d D --law LAW` asks the cache."""
    return {
        "verb": "ladder",
        "n": n,
        "d": d,
        "law": law,
        "importance": [1.0] * n,
        "bias": True,
        "relu": True,
        "S_min": S_MIN,
        "seed": 0,
        "starts": None,
    }


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
    asked = question(n, d, law)
    kept = cache.read(asked) if keep else None
    if kept is not None and "ladder" in kept:
        found: Ladder = cache.decode(kept["ladder"])
        return found
    if not search and d < n:  # for d >= n it is known without a search
        return None

    try:
        found = ladder(n, d, law=law, S_min=S_MIN, progress=progress)
    except NotReached:
        return None
    if keep and found.status in ("complete", "exact"):
        _keep(asked, found)
    return found


def _keep(asked: dict[str, Any], found: Ladder) -> None:
    """As `packing critical` keeps it: its own answer, and the ladder to draw."""
    from packing.cli.app import plain
    from theory.cli.model import ladder_values

    values = {
        "n": found.n,
        "d": found.d,
        **ladder_values(found, S_MIN, None),
        "law": asked["law"],
        "bias": True,
        "relu": True,
        "importance": Features.of(found.n, 0.5, asked["law"]).importance,
    }
    cache.write(asked, {"values": plain(values), "ladder": cache.encode(found)})


__all__ = ["CriticalSparsity", "Ladder", "Phase", "ladder"]
