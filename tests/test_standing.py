"""theory.symmetric.optimality against two free norms, theory.optimum and Hessians.

Tolerances, fixed before any run: ends are closed in on to 1e-4, so 2e-4 beside them the answer
must be clear; rivals count from 1e-9 relative, far above the rounding of either route.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq

from packing.catalogue import entry
from packing.errors import BadInput
from theory.features import Features
from theory.optima import optimum
from theory.symmetric import closed_form, optimality, orbit_form
from theory.symmetric.optimality import Standing, stability, standing

GRID = (0.1, 0.2, 0.3, 0.4, 0.45, 0.7)


def test_the_binary_digon_stands_between_the_takeovers_of_the_uneven_one() -> None:
    """Another route: the proved least losses of a pair with two norms, just beside both ends."""
    found = standing("digon", S=GRID, cached=False)
    assert len(found.intervals) == 1 and found.known == "numerical"
    low, high = found.intervals[0]
    even, uneven = closed_form("digon"), orbit_form("digon", "binary", [[0], [1]])
    for end, inward in ((low, 2e-4), (high, -2e-4)):
        for S, stands in ((end + inward, True), (end - inward, False)):
            own, other = 2 * even.minimum(S).loss, uneven.minimum(S).loss
            assert bool(other < own * (1 - 1e-9)) is not stands
    assert [name for _, _, name in found.beaten][:2] == ["uneven digon", "uneven digon"]
    assert found.stands(0.3) is True and found.stands(0.1) is False and found.stands(0.99) is None
    # control: the pieces of the closed form know nothing of this, their end is elsewhere
    assert abs(float(closed_form("digon").pieces()[0].high) - found.intervals[0][1]) > 0.05


def test_intervals_and_what_beats_cover_what_was_searched() -> None:
    found = standing("triangle", S=(0.2, 0.35, 0.42, 0.48, 0.6), cached=False)
    parts = sorted([*found.intervals, *((a, b) for a, b, _ in found.beaten)])
    assert parts[0][0] == 0.2 and parts[-1][1] == 0.6
    assert all(one[1] == two[0] for one, two in pairwise(parts))
    assert len(found.intervals) == 2  # beaten in between, and the symmetric form returns
    assert {name for _, _, name in found.beaten} == {"isosceles triangle"}


@pytest.mark.parametrize(
    ("name", "law", "S", "stands"),
    [
        ("pentagon", "binary", 0.05, True),
        ("pentagon", "binary", 0.15, False),
        ("pentagon", "binary", 0.3, False),
        ("digon", "uniform", 0.3, True),
        ("digon", "uniform", 0.8, False),
        ("triangle", "uniform", 0.3, False),
    ],
)
def test_it_stands_where_the_optimum_is_no_lower(
    name: str, law: str, S: float, stands: bool
) -> None:
    """theory.optimum searches from scratch: neither its starts nor its polish are shared."""
    block = entry(name)
    least = optimum(Features.of(block.n, S, law), block.d, starts=24).loss.total
    own = block.n * float(closed_form(name, law).minimum(S).loss.mid())
    assert (least < own * (1 - 1e-9)) is not stands
    found = standing(name, law, [S], cached=False)
    assert found.stands(S) is stands
    assert bool(found.beaten) is not stands


def test_something_that_beats_a_block_is_named() -> None:
    found = standing("pentagon", S=[0.3], cached=False)
    assert found.beaten == ((0.3, 0.3, "2 digon + 1 ignored"),)
    assert found.intervals == ()
    doubled = standing("Petersen code", S=[0.1], cached=False)
    assert doubled.beaten == ((0.1, 0.1, "doubled 5-cell"),)


def test_several_kinds_get_a_norm_and_a_bias_each() -> None:
    found = standing("best 7 points", S=[0.2], cached=False)
    assert found.known == "numerical" and found.beaten and not found.intervals


def test_large_blocks_are_not_tried_and_say_so() -> None:
    found = standing("24-cell")
    assert found.known == "unsettled" and found.intervals == () and found.beaten == ()
    assert found.searched is None and found.stands(0.1) is None and "raise `most`" in found.advice


def test_the_answer_is_kept_and_comes_back_equal(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEATURE_PACKING_CACHE", str(tmp_path))
    first = standing("digon", S=[0.1, 0.3])
    assert len(list(tmp_path.glob("*.json"))) == 1

    def refuse(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(optimality.Rivals, "standing", refuse)
    again = standing("digon", S=[0.1, 0.3])
    assert isinstance(again, Standing) and again == first
    with pytest.raises(AssertionError, match="computed again"):
        standing("digon", S=[0.1, 0.4])


# ---------------------------------------------------------------- the local criterion


def test_stability_is_the_curvature_of_the_loss_along_the_breaking() -> None:
    """The digon by hand: loss along (r + e, r - e) and its biases, from theory.loss's own sum."""
    from theory.global_search import Problem, Shape

    S = 0.3
    least = closed_form("digon").minimum(S)
    r, b = float(least.rho.sqrt().mid()), float(least.bias.mid())
    problem = Problem(Features.of(2, S), Shape(2, 1, True))
    at, h = np.array([r, -r, b, b]), 1e-4
    H = np.empty((4, 4))
    for i in range(4):
        e = h * np.eye(4)[i]
        H[i] = (problem((at + e)[None])[1][0] - problem((at - e)[None])[1][0]) / (2 * h)
    found = stability("digon", "binary", S)
    assert found.least == pytest.approx(np.linalg.eigvalsh(0.5 * (H + H.T))[0], abs=1e-6)
    assert not found.breaks and found.known == "numerical"


def test_a_block_can_lose_while_it_is_still_a_local_minimum() -> None:
    """The digon's takeovers jump: at S = 0.2 the equal pair is stable and beaten all the same."""
    assert not stability("digon", "binary", 0.2).breaks
    assert standing("digon", S=[0.2], cached=False).stands(0.2) is False


def test_the_digon_breaks_continuously_later_than_it_is_overtaken() -> None:
    zero = brentq(lambda S: stability("digon", "binary", S).least, 0.42, 0.49, xtol=1e-10)
    assert stability("digon", "binary", zero + 1e-3).breaks
    assert not stability("digon", "binary", zero - 1e-3).breaks
    assert zero > 0.4193


def test_bad_input_is_named() -> None:
    with pytest.raises(BadInput, match="strictly between"):
        standing("digon", S=[0.0, 0.1])
    with pytest.raises(BadInput, match="strictly between"):
        stability("digon", "binary", 1.0)
    with pytest.raises(BadInput, match="law"):
        standing("digon", "gaussian")
    with pytest.raises(BadInput, match="catalogue"):
        standing("dodgon")
    with pytest.raises(BadInput, match="Hessian"):
        stability("Higman-Sims code", "binary", 0.1)
