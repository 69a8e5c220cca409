"""Phases: how the optimum changes with S, where, and in which way.

The ladder is read off true optima, not off symmetric families: a global search on a grid of S,
every optimum polished again at its neighbours until nothing improves, then each change between
neighbours located. Where two branches cross (first order) the crossing is a root of the difference
of their polished losses; where one branch turns into another (continuous) the change of its name is
bisected. A fresh search at every crossing looks for a third branch below. Numerical.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from packing.errors import BadInput
from packing.recognise import name_of
from theory.branches import Point, Rung, Tracker, by_value, changes_between, optima_on
from theory.exact import Problem
from theory.features import (
    Binary,
    Features,
    Float,
    Law,
    law_named,
    probabilities,
    seed_of,
    whole,
)
from theory.minima import Progress
from theory.search import Shape

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
            CriticalSparsity(r.S, r.bracket, r.hi.name, r.lo.name, r.order, r.lo.value)
            for r in rungs
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
        member.name,
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


__all__ = ["CriticalSparsity", "Ladder", "Phase", "ladder"]
