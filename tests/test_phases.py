"""theory.phases against an independent two-feature minimum, exact symmetry, and dense scans.

Tolerances, fixed before any run:

- a first-order change: 1e-8 in S, a continuous one 1e-5 (what the ladder promises);
- losses of one branch found twice: 1e-9 relative;
- one-sided slopes by differences over h = 1e-5: 1e-4 relative. Rounding costs eps / h = 1e-11,
  the rest of the extrapolation h^2 times a third derivative, even where branches bend fast.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq, minimize

from packing.errors import BadInput
from packing.recognition import name_of
from packing.results import Evidence
from theory.crossings import Crossing, Part, Phase
from theory.features import Features
from theory.global_search import Problem, Shape, polish
from theory.ladders import Branch, Ladder, ladder
from theory.optima import Optimum, optimum

FIRST, CONTINUOUS, AGREE, JUMP = 1e-8, 1e-5, 1e-9, 1e-4


@cache
def ladder_of(n: int, d: int, law: str = "binary", S_min: float = 1e-4) -> Ladder:
    """A ladder asked for by several tests."""
    return ladder(Features.of(n, 0.5, law), d, S_min=S_min)


@cache
def searched(n: int, d: int, S: float, law: str) -> Optimum:
    """The optimum by its own starts, knowing of no ladder."""
    return optimum(Features.of(n, S, law), d)


# ---------------------------------------------------------------- two features, by hand


def digon(S: float) -> float:
    """Loss of the equal-norm antipodal pair, both features, S <= 1/2 (theory.md, 3)."""
    return 2.0 * S**2 * (1.0 - S) ** 2 / (S**2 + (1.0 - S) ** 2)


def two_features(v: Any, S: float) -> tuple[float, Any]:
    """Binary loss of W = (a, c), b = (b1, b2) and its gradient, pattern by pattern."""
    W, b = v[:2], v[2:]
    value, grad = 0.0, np.zeros(4)
    for x in itertools.product((0.0, 1.0), repeat=2):
        chance = np.prod([S if on else 1.0 - S for on in x])
        hidden = W @ x
        error = x - np.maximum(W * hidden + b, 0.0)
        slope = -2.0 * chance * error * (W * hidden + b > 0.0)
        value += float(chance * error @ error)
        grad[:2] += slope * hidden + (slope @ W) * np.array(x)
        grad[2:] += slope
    return value, grad


def followed(start: Any, S: float) -> Any:
    """The minimum of the loss by hand next to `start`, by BFGS."""
    return minimize(
        two_features,
        start,
        args=(S,),
        jac=True,
        method="BFGS",
        options={"gtol": 1e-13, "maxiter": 500},
    )


# Starts inside the basins of the three branches other than the equal-norm digon, by their shape:
# opposite columns, the weaker one far weaker, with both biases positive; opposite columns, nearly
# equal, for few features on; columns alike, the weaker one with the positive bias.
BASINS = {
    "uneven digon near 1/2": (np.array([1.0, -0.45, 0.15, 0.6]), 0.45),
    "uneven digon at small S": (np.array([0.97, -1.02, 0.006, 0.005]), 0.1),
    "parallel pair": (np.array([1.0, 0.41, -0.27, 0.21]), 0.55),
}


def by_hand(branch: str) -> Callable[[float], float]:
    """Loss of a branch as a function of S, each minimum started from that at the S before it."""
    start, S_start = BASINS[branch]
    known = {S_start: followed(start, S_start).x}

    def value(S: float) -> float:
        near = min(known, key=lambda q: abs(q - S))
        x = known[near]
        for step in np.linspace(near, S, 1 + int(np.ceil(abs(S - near) / 0.02)))[1:]:
            x = followed(x, float(step)).x
        end = followed(x, S)
        known[S] = end.x
        return float(end.fun)

    return value


@cache
def crossing_by_hand(k: int) -> float:
    """Where the equal-norm digon ties with the uneven one: k = 0 above, k = 1 below."""
    branch, low, high = [
        ("uneven digon near 1/2", 0.41, 0.44),
        ("uneven digon at small S", 0.22, 0.27),
    ][k]
    value = by_hand(branch)
    return float(brentq(lambda S: digon(S) - value(S), low, high, xtol=1e-13, rtol=1e-14))


def crossing_problems(S: float, expected: float) -> list[str]:
    """Whatever is wrong with the S of a first-order change; empty if nothing."""
    away = abs(S - expected)
    return [] if away <= FIRST else [f"S = {S!r} is {away:.3g} from the crossing {expected!r}"]


def test_the_uneven_digons_are_other_branches() -> None:
    # The premise of the crossings: near each, the branch is no digon and is a minimum.
    for branch, S in (("uneven digon near 1/2", 0.42), ("uneven digon at small S", 0.25)):
        by_hand(branch)(S)
        start, S_start = BASINS[branch]
        end = followed(followed(start, S_start).x, S)
        assert abs(abs(end.x[0]) - abs(end.x[1])) > 1e-3 and end.x[0] * end.x[1] < 0.0
        assert np.linalg.norm(two_features(end.x, S)[1]) < 1e-9


@pytest.mark.parametrize("k", [0, 1])
def test_digon_and_uneven_digon_cross_where_the_loss_by_hand_says(k: int) -> None:
    change = ladder_of(2, 1).crossings[1 + k]
    expected = crossing_by_hand(k)
    assert crossing_problems(change.S, expected) == []
    assert change.order == "first"
    assert [(str(change.denser), str(change.sparser))] == [
        [("uneven digon", "digon"), ("digon", "uneven digon")][k]
    ]
    assert change.loss == pytest.approx(digon(expected), rel=1e-7)
    assert change.bracket[0] <= expected <= change.bracket[1]


@pytest.mark.parametrize("k", [0, 1])
@pytest.mark.parametrize("shift", [-1e-7, 1e-7, 1e-3])
def test_a_shifted_crossing_is_rejected(k: int, shift: float) -> None:
    assert crossing_problems(ladder_of(2, 1).crossings[1 + k].S + shift, crossing_by_hand(k)) != []
    assert crossing_problems(crossing_by_hand(k) + shift, crossing_by_hand(k)) != []


def slopes(value: Callable[[float], float], S: float, h: float = 1e-5) -> tuple[float, float]:
    """One-sided slopes just below and just above S, extrapolated to order h^2."""
    here = value(S)

    def side(k: float) -> float:
        return (4.0 * value(S + k * h / 2.0) - 3.0 * here - value(S + k * h)) / (k * h)

    return side(-1.0), side(1.0)


def test_two_features_change_at_one_half_and_the_slope_jumps_there() -> None:
    # At S = 1/2 a feature and its absence are equally likely: x_2 -> 1 - x_2 with the column and
    # bias changed to match turns opposite columns into parallel ones at equal loss. So the branches
    # meet at exactly 1/2, and their slopes differ: first order.
    below, above = by_hand("uneven digon near 1/2"), by_hand("parallel pair")
    assert below(0.5) == pytest.approx(above(0.5), rel=1e-12)
    left, right = slopes(lambda S: below(S) if S < 0.5 else above(S), 0.5)
    assert left - right > 0.01
    for S in (0.49, 0.51):
        assert (below(S) < above(S)) == (S < 0.5)
    change = ladder_of(2, 1).crossings[0]
    assert (str(change.denser), str(change.sparser)) == ("uneven parallel pair", "uneven digon")
    assert abs(change.S - 0.5) <= CONTINUOUS
    assert change.order == "first"
    assert crossing_problems(change.S, 0.5) == []


def test_the_ladder_of_two_features_by_name() -> None:
    found = ladder_of(2, 1)
    assert [branch.name for branch in found.branches] == [
        "uneven parallel pair",
        "uneven digon",
        "digon",
        "uneven digon",
    ]
    assert found.S_star == found.S_onset == 1.0
    assert found.represented == ((1e-4, 1.0, 2),)
    for branch in found.branches:
        if branch.name == "digon":
            low, high = branch.interval
            inside = np.clip(branch.S, low, high) == branch.S
            assert np.sum(inside) >= 3
            assert branch.loss[inside] == pytest.approx(digon(branch.S[inside]), rel=1e-12)


# ---------------------------------------------------------------- a ladder agrees with itself

LADDERS = [
    (2, 1, "binary", 1e-4),
    (3, 2, "binary", 1e-4),
    (3, 1, "binary", 1e-3),
    pytest.param(2, 1, "uniform", 0.1, marks=pytest.mark.slow),
]
EVERY_LADDER = pytest.mark.parametrize("n,d,law,S_min", LADDERS)


def inconsistencies(found: Ladder) -> list[str]:
    """Every way in which a ladder contradicts itself; empty if none."""
    out = []
    changes, edges = found.crossings, [1.0, *(r.S for r in found.crossings), found.S_min]
    if any(a <= b for a, b in itertools.pairwise(edges)):
        out.append(f"S does not fall: {edges}")
    for a, b in itertools.pairwise(changes):
        if a.sparser != b.denser:
            out.append(f"{a.sparser} below {a.S} but {b.denser} above {b.S}")
    for change in changes:
        low, high = change.bracket
        if not low <= change.S <= high:
            out.append(f"{change.S} outside its bracket {change.bracket}")
        if high - low > 2.0 * (CONTINUOUS if change.order == "continuous" else 1e-6):
            out.append(f"{change.order} bracket {change.bracket} is wide")
        if change.order not in ("first", "continuous"):
            out.append(f"order {change.order!r}")
    if len(found.branches) != len(changes) + 1:
        out.append(f"{len(found.branches)} branches for {len(changes)} changes")
    for branch, (high, low) in zip(found.branches, itertools.pairwise(edges), strict=False):
        if branch.interval != (low, high):
            out.append(f"branch {branch.name} on {branch.interval}, not {(low, high)}")
    for change, above, below in zip(changes, found.branches, found.branches[1:], strict=False):
        if (change.denser, change.sparser) != (above.phase, below.phase):
            out.append(
                f"at {change.S}: {change.denser} -> {change.sparser}, "
                f"branches {above.name} -> {below.name}"
            )
    spans = found.represented
    if spans[0][1] != 1.0 or spans[-1][0] != found.S_min:
        out.append(f"represented leaves out some S: {spans}")
    if any(a[0] != b[1] or a[2] == b[2] for a, b in itertools.pairwise(spans)):
        out.append(f"represented is no list of maximal intervals: {spans}")
    for what, value, least in (
        ("S_star", found.S_star, found.n),
        ("S_onset", found.S_onset, found.d + 1),
    ):
        run = itertools.takewhile(lambda span, k=least: span[2] >= k, reversed(spans))
        expected = max((high for _, high, _ in run), default=None)
        if value != expected:
            out.append(f"{what} = {value}, represented says {expected}")
    return out


@EVERY_LADDER
def test_ladders_are_consistent(n: int, d: int, law: str, S_min: float) -> None:
    found = ladder_of(n, d, law, S_min)
    assert inconsistencies(found) == []
    assert (found.n, found.d, found.law.name, found.S_min) == (n, d, law, S_min)
    assert found.bias and found.relu and found.advice
    assert found.evidence is Evidence.NUMERICAL


def test_an_inconsistent_ladder_is_rejected() -> None:
    found = ladder_of(2, 1)
    changes = found.crossings
    moved = dataclasses.replace(changes[1], S=changes[1].S + 1e-3)
    renamed = dataclasses.replace(changes[1], sparser=Phase("triangle", (Part("triangle", 1, 3),)))
    for change in (
        {"crossings": (changes[0], moved, changes[2])},
        {"crossings": (changes[0], renamed, changes[2])},
        {"crossings": changes[1:]},
        {"crossings": changes[::-1]},
        {"S_star": None},
        {"S_onset": 0.5},
        {"represented": ((1e-4, 0.9, 2),)},
        {"branches": found.branches[1:]},
    ):
        assert inconsistencies(dataclasses.replace(found, **change)) != []  # type: ignore[arg-type]


@EVERY_LADDER
def test_branches_hold_what_they_say(n: int, d: int, law: str, S_min: float) -> None:
    for branch in ladder_of(n, d, law, S_min).branches:
        assert branch.W.shape == (d, n) and branch.b.shape == (n,)
        assert np.all(np.diff(branch.S) > 0.0)
        assert branch.S.shape == branch.loss.shape == branch.represented.shape
        named = name_of(branch.W, branch.b, noise=0.0)
        assert named.name == branch.name
        assert set(branch.represented) == {named.represented}
        assert np.all(branch.loss >= 0.0)


# ---------------------------------------------------------------- dense scans


def kind_of(model: Phase | Optimum) -> str:
    """The name that stays along a branch."""
    return name_of(model.W, model.b, noise=0.0).kind


class Follower:
    """One branch of a ladder followed in small steps of S, by the polish alone."""

    def __init__(self, found: Ladder, branch: Branch) -> None:
        self.branch = branch
        self.problem = Problem(Features.of(found.n, 0.5, found.law), Shape(found.n, found.d, True))
        theta = self.problem.shape.join(branch.W[None], branch.b[None])[0]
        # The member's own S is the one of its grid at which its gradient vanishes.
        slopes = [np.linalg.norm(self.problem.at(float(S))(theta[None])[1]) for S in branch.S]
        self.known = {float(branch.S[int(np.argmin(slopes))]): theta}

    def __call__(self, S: float) -> tuple[float, str]:
        """Loss and kind of the branch at S."""
        near = min(self.known, key=lambda q: abs(q - S))
        theta = self.known[near]
        steps = 1 + int(max(abs(S - near) / 0.02, abs(np.log(S / near)) / 0.3))
        for at in np.linspace(near, S, steps + 1)[1:]:
            point = polish(self.problem.at(float(at)), theta, 40)
            theta = point.theta
        self.known[S] = theta
        W, b = (q[0] for q in self.problem.shape.split(theta[None]))
        return point.value, name_of(W, b, noise=0.0).kind


def scan_points(found: Ladder, count: int) -> list[float]:
    """About `count` S spread over the ladder, and one on either side of every change."""
    points = [
        *np.geomspace(found.S_min * 1.001, max(0.1, found.S_min * 1.01), count // 4),
        *np.linspace(0.1, 0.985, count - count // 4 + 1)[1:],
    ]
    # Off a continuous change by more than it is promised to, off the others by what tells losses
    # apart: a slope jump of 1e-3 and more, times this, against 1e-12.
    points = [S for S in points if all(abs(S - r.S) > 1e-4 * r.S for r in found.crossings)]
    for change in found.crossings:
        away = 1e-4 if change.order == "continuous" else 1e-6
        points += [change.S - away, change.S + away]
    return sorted(float(S) for S in points)


def missed(found: Ladder, changes: tuple[Crossing, ...], count: int) -> list[str]:
    """Every S of a dense scan at which a search disagrees with the ladder's branch."""
    out = []
    edges = [1.0, *(r.S for r in changes), found.S_min]
    branches = {branch.interval: branch for branch in found.branches}
    for high, low in itertools.pairwise(edges):
        # the branch of most of this interval
        branch = max(
            branches.values(),
            key=lambda b, h=high, l=low: min(h, b.interval[1]) - max(l, b.interval[0]),
        )
        follow = Follower(found, branch)
        start = next(iter(follow.known))
        inside = [S for S in scan_points(found, count) if low < S < high]
        for S in sorted(inside, key=lambda S: abs(S - start)):
            value, name = follow(S)
            there = searched(found.n, found.d, S, found.law.name)
            gap = there.loss.total / value - 1.0
            if gap < -AGREE:
                out.append(f"S = {S!r}: {there.name} is lower than {branch.name} by {-gap:.3g}")
            if gap > AGREE:
                out.append(f"S = {S!r}: the search missed {name}, higher by {gap:.3g}")
            kind, own = kind_of(there), kind_of(branch)  # fingerprints differ along a branch
            if not name == kind == own:
                out.append(f"S = {S!r}: {own} followed is {name}, searched {kind}")
    return out


@pytest.mark.slow
def test_a_dense_scan_of_three_in_the_plane_misses_no_rung() -> None:
    found = ladder_of(3, 2)
    assert missed(found, found.crossings, 50) == []


@pytest.mark.slow
def test_a_dense_scan_of_two_uniform_features_misses_no_rung() -> None:
    found = ladder_of(2, 1, "uniform", 0.1)
    assert missed(found, found.crossings, 36) == []


def test_a_missing_rung_is_noticed() -> None:
    # The control of the scans, on binary pairs (cheap): leave out each change in turn.
    found = ladder_of(2, 1)
    assert missed(found, found.crossings, 12) == []
    for k in range(len(found.crossings)):
        assert missed(found, found.crossings[:k] + found.crossings[k + 1 :], 12) != []


# ---------------------------------------------------------------- the order of a change


def envelope(found: Ladder) -> Callable[[float], float]:
    """Loss of the optimum as a function of S, by search."""
    return lambda S: searched(found.n, found.d, float(S), found.law.name).loss.total


@pytest.mark.parametrize("n,d", [(2, 1), (3, 2)])
def test_the_slope_jumps_at_first_order_rungs_only(n: int, d: int) -> None:
    found = ladder_of(n, d)
    value = envelope(found)
    for change in found.crossings:
        left, right = slopes(value, change.S)
        scale = max(abs(left), abs(right))
        if change.order == "first":
            # The lower of two crossing lines bends down.
            assert left - right > JUMP * scale, f"no jump at {change}"
        else:
            assert abs(left - right) < JUMP * scale, f"a jump at {change}"


def test_slopes_of_known_functions() -> None:
    left, right = slopes(lambda S: min(digon(S), digon(0.3) + 0.1 * (S - 0.3)), 0.3)
    assert right == pytest.approx(0.1, rel=1e-6) and left > right + 0.1
    left, right = slopes(digon, 0.3)
    assert left == pytest.approx(right, rel=1e-5)


# ---------------------------------------------------------------- how many are represented


@pytest.mark.parametrize("n,d,law,S_min", LADDERS[:3])
def test_S_star_is_where_features_are_lost(n: int, d: int, law: str, S_min: float) -> None:
    found = ladder_of(n, d, law, S_min)
    for S, least in ((found.S_star, n), (found.S_onset, d + 1)):
        assert S is not None
        assert searched(n, d, S * (1.0 - 1e-4), law).represented >= least
        if S < 1.0:
            assert S in [change.S for change in found.crossings]
            assert searched(n, d, S * (1.0 + 1e-4), law).represented < least
    for low, high, count in found.represented:
        middle = float(np.sqrt(low * high))
        assert searched(n, d, middle, law).represented == count


def test_three_on_a_line_lose_one() -> None:
    # (3, 1) at S = 1/2 is where (2, 1) changes, and the third feature is ignored: blocks add.
    found = ladder_of(3, 1, "binary", 1e-3)
    assert found.S_star is not None and found.S_star < 0.5
    assert any(crossing_problems(change.S, 0.5) == [] for change in found.crossings)
    for k in (0, 1):
        assert any(
            crossing_problems(change.S, crossing_by_hand(k)) == [] for change in found.crossings
        )


@pytest.mark.parametrize("law", ["binary", "uniform", "exponential"])
@pytest.mark.parametrize("n,d", [(1, 1), (1, 3), (2, 2), (3, 5)])
def test_a_dimension_for_every_feature_is_no_ladder(n: int, d: int, law: str) -> None:
    found = ladder(Features.of(n, 0.5, law), d)
    assert found.S_star == 1.0 and found.S_onset is None and found.crossings == ()
    assert found.represented == ((1e-4, 1.0, n),)
    assert [branch.name for branch in found.branches] == [f"{n} dedicated"]
    assert not np.any(found.branches[0].loss) and found.evidence is Evidence.PROVED
    assert inconsistencies(found) == []


# ---------------------------------------------------------------- the interface


def test_a_higher_S_min_cuts_the_ladder_short() -> None:
    # ... at the same changes: another grid, the same truth.
    whole, part = ladder_of(2, 1), ladder_of(2, 1, "binary", 0.3)
    assert inconsistencies(part) == []
    assert len(part.crossings) == 2 and part.represented == ((0.3, 1.0, 2),)
    for a, b in zip(whole.crossings, part.crossings, strict=False):
        assert (a.denser, a.sparser, a.order) == (b.denser, b.sparser, b.order)
        assert crossing_problems(a.S, b.S) == []


def test_progress_is_told_and_a_seed_repeats() -> None:
    told: list[tuple[str, float]] = []
    features = Features.of(2, 0.5)
    options: dict[str, Any] = {"S_min": 0.4, "seed": 5, "cache": False}
    first = ladder(features, 1, progress=lambda *a: told.append(a), **options)
    assert told and all(isinstance(s, str) and 0.0 <= x <= 1.0 for s, x in told)
    again = ladder(features, 1, **options)
    assert first.crossings == again.crossings and first.represented == again.represented
    for a, b in zip(first.branches, again.branches, strict=True):
        assert np.array_equal(a.W, b.W) and np.array_equal(a.loss, b.loss)
    other = ladder(features, 1, S_min=0.4, seed=6)
    assert [r.sparser for r in other.crossings] == [r.sparser for r in first.crossings]
    assert all(
        abs(a.S - b.S) <= 2.0 * FIRST for a, b in zip(first.crossings, other.crossings, strict=True)
    )


def test_importance_reaches_the_ladder() -> None:
    # A second feature of no importance costs nothing and is not represented: nothing changes.
    found = ladder(Features.of(2, 0.5, importance=[1.0, 0.0]), 1, S_min=0.1)
    assert found.crossings == () and found.S_star == 1.0
    assert found.represented == ((0.1, 1.0, 1),)
    assert float(np.max(found.branches[0].loss)) <= 1e-14


@pytest.mark.parametrize(
    "arguments",
    [
        {"n": 0},
        {"n": -2},
        {"n": 2.5},
        {"d": 0},
        {"d": "1"},
        {"d": True},
        {"law": "gaussian"},
        {"S_min": 0.0},
        {"S_min": -0.1},
        {"S_min": 1.5},
        {"S_min": float("nan")},
        {"S_min": "small"},
        {"S_min": [0.1, 0.2]},
        {"S_min": 0.7},
        {"S_min": 1.0},
        {"importance": np.ones(3)},
        {"importance": -np.ones(2)},
        {"importance": np.zeros(2)},
        {"starts": 0},
        {"starts": -3},
        {"seed": -1},
    ],
    ids=str,
)
def test_bad_input_is_named(arguments: dict[str, Any]) -> None:
    call: dict[str, Any] = {"n": 2, "d": 1, "S_min": 0.45, **arguments}
    with pytest.raises(BadInput) as caught:
        asked = {key: call.pop(key) for key in ("law", "importance") if key in call}
        ladder(Features.of(call.pop("n"), 0.5, **asked), call.pop("d"), **call)
    assert "\n" not in str(caught.value) and len(str(caught.value)) > 10
