"""Maps: cells declared, the optimum searched, phases read off, and every verdict seen both ways.

Tolerances were set before the runs. Made-up models are optima with 1e-3 of noise on the weights,
which raises a loss by about 1e-6 of what ignoring everything costs: far below 1% of it here.
"""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from trained import model_of

from packing.errors import BadInput
from packing.results import Evidence
from studies import maps
from studies.maps import (
    Found,
    Predicted,
    Search,
    phase_of,
    prototypes_of,
    right_of,
    weights,
    wrong_of,
)
from studies.maps_report import CELL_COLUMNS
from studies.registry import load, parse
from theory.diagrams import importance_map
from theory.features import Features
from theory.losses.expected import loss
from theory.optima import optimum
from theory.prototypes import prototypes
from validate import checks as compare
from validate.checks import judge
from validate.report import write
from validate.runner import Report, run_suite

MAP = """
[[map]]
name = "two"
n = 2
d = 1
importance = { from = 0.25, to = 4.0, cells = 16 }
S = { from = 0.3, to = 1.0, cells = 12 }
runs = 2
within = 0.01
tie = 0.0005
near = 2
reason = "noise < 1%"
"""

SUITE = f"""
title = "A map"
about = "a"
minutes = 1
needs = "a CPU"
[recipe]
steps = 100
{MAP}
[[check]]
cells = ["two"]
quantity = "reached"
tolerance = 0.06
reason = "192 cells"
controls = ["1-S", "law", "prototypes"]
[[check]]
cells = ["two"]
quantity = "phases"
tolerance = 0.06
reason = "192 cells"
controls = ["1-S"]
[[check]]
cells = ["two"]
quantity = "prototypes"
tolerance = 0.1
reason = "192 cells"
controls = ["1-S"]
[[check]]
cells = ["two"]
quantity = "contested"
tolerance = 0.32
reason = "a dozen cells"
controls = ["prototypes"]
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(autouse=True)
def predictions_kept(own_cache, kept, monkeypatch):
    """One cache for this file: a map is searched once."""
    monkeypatch.setenv("FEATURE_PACKING_CACHE", str(kept))


@pytest.fixture(scope="module")
def suite():
    return parse(SUITE, "map")


@pytest.fixture(scope="module")
def optima(suite):
    """Weights and biases of the optimum in every cell, ratio after ratio."""
    plan = suite.extra["map"][0]
    search = Search(2, 1, "uniform", np.array(plan.ratio), np.array(plan.S))
    return search.shape.split(search.best)


def made(suite, of, noise=1e-3):
    """A model for every run: the weights that `of` gives for a cell and a seed, disturbed."""
    found = []
    for place, cell in enumerate(suite.cells):
        for k, run in enumerate(cell.runs):
            W, b = of(place, k)
            rng = np.random.default_rng([place, k])
            off = noise * min(1.0, 10.0 * cell.setting.S)  # small S asks for finer weights
            W = W + off * rng.standard_normal(W.shape)
            found.append(model_of(run, W, b + off * rng.standard_normal(b.shape)))
    return found


def by_name(judged):
    return {check.quantity: check for check in judged.checks}


# --- what a file may say ------------------------------------------------------------------------


def test_a_map_is_a_plane_of_cells(suite):
    plan = suite.extra["map"][0]
    assert len(suite.cells) == 192 and len(suite.runs) == suite.size == 384
    assert len({run.key for run in suite.runs}) == 384
    assert (plan.ratio[0], plan.ratio[-1], plan.S[0], plan.S[-1]) == (0.25, 4.0, 0.3, 1.0)
    assert np.allclose(np.diff(np.log(plan.S)), np.log(1.0 / 0.3) / 11.0)
    second = suite.cells[13]
    assert second.owner == "two" and plan.S[1] == second.setting.S
    assert second.setting.importance == (1.0, plan.ratio[1]) and second.setting.law == "uniform"
    assert suite.owned("two") == suite.cells


def test_the_declared_suite_is_what_the_issue_asks_for():
    found = load("phase-diagram")
    assert [(plan.n, plan.d) for plan in found.extra["map"]] == [(2, 1), (3, 2)]
    for plan in found.extra["map"]:
        assert (len(plan.ratio), len(plan.S), plan.runs) == (32, 32, 16)
        assert (plan.ratio[0], plan.ratio[-1], plan.S[0], plan.S[-1]) == (0.1, 10.0, 0.01, 1.0)
    assert found.size == 32768
    controls = {name for rule in found.rules for name in rule.controls}
    assert controls == {"1-S", "law", "prototypes"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("n = 2", "n = 4", "n = 4, d = 1: prototypes are known for"),
        ("d = 1", 'd = 1\nlaw = "binary"', "the prototypes are of uniform values"),
        ("d = 1", "d = 1\ngroups = 2", "unknown key 'groups'"),
        ("S = { from = 0.3, to = 1.0, cells = 12 }", "S = [0.1, 1.0]", "give S, as in S = {"),
        ("to = 1.0", "to = 1.5", "S goes up to 1.5: it is a chance"),
        ("from = 0.3", "from = 0.0", "from = 0.0: give a number above 0"),
        ("from = 0.3", "from = 2.0", "goes from 2 to 1: give rising ends"),
        ("from = 0.3", "from = 1e-300", "goes from 1e-300 to 1: give ends from 1e-06 to"),
        ("from = 0.3", "form = 0.05", "unknown key 'form': did you mean from?"),
        ("cells = 12", "cells = 1", "give a whole number from 2"),
        ("cells = 12", "cells = 500", "give at most 200"),
        ("within = 0.01", "within = 2.0", "a part of the loss, below 1"),
        ("near = 2", "near = 0", "give a whole number from 1"),
        ('reason = "noise < 1%"', "", "give reason, a text"),
        ('"two"]', '"three"]', "there is no map 'three'"),
        ('controls = ["1-S"]', 'controls = ["prototype"]', "give a list of some of 1-S, law, prot"),
        ('"1-S", "law", ', '"bias", ', "give a list of some of 1-S, law, prototypes"),
        (MAP, MAP + MAP, "two cells are called"),
    ],
)
def test_what_a_map_may_not_say(old, new, message):
    assert old in SUITE
    with pytest.raises(BadInput, match=message.replace("(", r"\(")):
        parse(SUITE.replace(old, new, 1), "bad")


def test_a_control_of_maps_is_for_maps():
    text = SUITE.replace('"reached"', '"loss"', 1).replace('["two"]', '["one"]', 1)
    text = text.replace(
        "[[check]]",
        '[[cell]]\nname = "one"\nn = 2\nd = 1\nS = 0.1\nruns = 20\ngroups = 20\n[[check]]',
        1,
    )
    with pytest.raises(BadInput, match="give a list of some of arrangement, 1-S, law, bias"):
        parse(text, "bad")


# --- predictions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "d"), [(2, 1), (3, 2)])
def test_prototypes_are_read_by_their_own_names(n, d):
    for prototype in prototypes(n, d):
        W, _ = weights(n, d, prototype.groups)
        assert phase_of(W[0]) == prototype.name
        turn = np.linalg.qr(np.random.default_rng(n).standard_normal((d, d)))[0]
        assert phase_of(0.7 * turn @ W[0]) == prototype.name


def test_phases_are_read_off_weights():
    two = {(1, -0.5): "pair", (1, 0.5): "parallel pair", (1, 0.05): "extra ignored"}
    two |= {(0.05, 1): "extra dedicated", (0.05, 0.05): "nothing represented"}
    for w, name in two.items():
        assert phase_of(np.array([w], dtype=float)) == name

    def of(*degrees, norms=(1.0, 1.0, 1.0)):
        a = np.radians(degrees)
        return phase_of(np.array(norms) * np.array([np.cos(a), np.sin(a)]))

    assert of(0, 100, 5) == "extra parallel, one other dedicated"
    assert of(0, 175, 90) == "extra dedicated, the others paired"
    assert of(0, 5, 90) == "extra dedicated, the others parallel"
    assert of(0, 90, 185) == "extra paired, one other dedicated"
    assert of(0, 130, 230) == "triangle"
    assert of(0, 40, 80) == "irregular"
    assert of(0, 90, 45, norms=(1.0, 1.0, 0.05)) == "extra ignored"
    assert of(0, 180, 45, norms=(1.0, 1.0, 0.05)) == "one ignored, a pair"
    assert of(0, 180, 45, norms=(1.0, 0.05, 0.05)) == "two ignored"
    assert of(0, 180, 45, norms=(0.05, 0.05, 0.05)) == "nothing represented"


def test_the_search_finds_what_the_picture_of_theory_shows():
    theirs = importance_map(2, 1, cells=4, keep=False)
    mine = Search(2, 1, "uniform", theirs.ratio, theirs.S)
    assert np.allclose(mine.loss.reshape(4, 4), theirs.loss, rtol=1e-9, atol=0.0)


def test_a_dedicated_feature_costs_nothing():
    """Orthogonal blocks add: with the extra feature dedicated, (3, 2) costs what (2, 1) does."""
    S = np.array([0.3, 0.7])
    three = Search(3, 2, "uniform", np.array([4.0]), S)
    two = Search(2, 1, "uniform", np.array([1.0]), S)
    assert [phase_of(W) for W in three.faded()[0]] == ["extra dedicated, the others paired"] * 2
    assert np.allclose(three.loss, two.loss, rtol=1e-9, atol=0.0)
    found = optimum(two.features(1), 1, starts=8)
    assert two.loss[1] == pytest.approx(found.loss.total, rel=1e-8)


def test_a_phase_one_cell_wide_is_found():
    """An isosceles triangle among pairs: what is offered by the neighbours is not enough."""
    ratio, S = np.array([0.464, 0.631, 0.858]), np.array([0.398, 0.541])
    search = Search(3, 2, "uniform", ratio, S)
    phase = np.array([phase_of(W) for W in search.faded()[0]]).reshape(3, 2)
    assert phase[1, 1] == "triangle"
    assert {phase[0, 0], phase[1, 0], phase[2, 0]} == {"extra paired, one other dedicated"}
    pair, value = search.down(search.best[[2]], np.array([3]), 400, 1e-13)
    assert phase_of(search.shape.split(pair)[0][0]) == phase[1, 0]
    assert value[0] > 1.0005 * search.loss[3]


def test_one_cell_is_a_map_too():
    one = Search(2, 1, "uniform", np.array([0.5]), np.array([0.3]))
    two = Search(2, 1, "uniform", np.array([0.5]), np.array([0.3, 0.4]))
    assert one.loss[0] == pytest.approx(two.loss[0], rel=1e-9)


def test_at_S_1_a_pair_turns_round_at_no_cost():
    """x and 1 - x have one law, so W_0 may change its sign if the biases follow.

    Proved where the output of feature 0 is never cut off: x_0 -> 1 - x_0 then leaves z_1 as it was
    and turns z_0 into 1 - z_0. Below S = 1 it is false.
    """
    w, v, a, b = 0.367, 0.936, 0.604, 0.233
    paired, parallel = np.array([[-w, v]]), np.array([[w, v]])
    before, after = np.array([a, b]), np.array([1.0 - a - w * w, b - w * v])

    def cost(W, bias, S):
        return loss(W, bias, features=Features.of(2, S, "uniform")).total

    assert cost(parallel, after, 1.0) == pytest.approx(cost(paired, before, 1.0), rel=1e-12)
    assert abs(cost(parallel, after, 0.9) / cost(paired, before, 0.9) - 1.0) > 0.01


def test_prototypes_lie_above_the_optimum(suite):
    right, literature = right_of(suite.extra["map"][0]), prototypes_of(suite.extra["map"][0])
    assert np.all(literature.loss >= right.loss * (1.0 - 1e-12))
    assert set(np.unique(right.phase)) == {"pair", "extra ignored", "extra dedicated"}
    for r, m in ((0, 3), (5, 8), (11, 11)):
        ratio, S = suite.extra["map"][0].ratio[r], suite.extra["map"][0].S[m]
        best = min(
            loss(
                *(x[0] for x in _with_means(p, S)),
                features=Features.of(2, S, "uniform", [1.0, ratio]),
            ).total
            for p in prototypes(2, 1)
        )
        assert literature.loss[r, m] == pytest.approx(best, rel=1e-12)


def _with_means(prototype, S):
    """Weights of a prototype with the mean as the bias of an ignored feature."""
    W, b = weights(2, 1, prototype.groups)
    b[0, np.linalg.norm(W[0], axis=0) == 0.0] = 0.5 * S
    return W, b


def test_predictions_are_kept(suite, monkeypatch):
    right = right_of(suite.extra["map"][0])
    monkeypatch.setattr("studies.maps._searched", None)
    again = right_of(suite.extra["map"][0])
    for name in ("loss", "rounding", "phase", "name", "faint"):
        assert np.array_equal(getattr(right, name), getattr(again, name))


def test_wrong_readings_are_searched_in_some_cells(suite):
    wrong = wrong_of(suite.extra["map"][0], "1-S")
    assert wrong.rows.tolist() == list(range(0, 16, 2))
    assert wrong.columns.tolist() == list(range(0, 12, 2))
    S, ratio = 1.0 - suite.extra["map"][0].S[2], suite.extra["map"][0].ratio[4]
    one = Search(2, 1, "uniform", np.array([ratio]), np.array([S]))
    assert wrong.loss[2, 1] == pytest.approx(one.loss[0], rel=1e-9)
    with pytest.raises(BadInput, match="no control 'bias'"):
        wrong_of(suite.extra["map"][0], "bias")


def test_cells_near_a_boundary():
    phase = np.full((5, 4), "a")
    phase[0, 0] = "b"
    plain = np.zeros((5, 4))
    found = Predicted(
        np.arange(5), np.arange(4), plain, plain, phase, phase, plain > 1, Evidence.NUMERICAL
    )
    assert np.argwhere(found.near(1)).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert found.near(2).sum() == 9 and not found.near(2)[3].any()


# --- verdicts -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(suite, optima):
    """The first model of each cell sits in its optimum, the second ignores everything."""
    W, b = optima
    return made(suite, lambda place, k: (W[place] * (k == 0), b[place]))


def test_optima_agree_and_every_control_is_rejected(suite, good):
    judged = judge(suite, good)
    assert judged.verdict == "agree" and not judged.defeats and not judged.broken
    assert judged.compared == 384 and judged.predictions == 192
    for check in judged.checks:
        assert check.verdict == "agree"
        assert all(one.power and one.rejected for one in check.controls), check.name
    assert sum(len(check.controls) for check in judged.checks) == 6
    found = judged.extra["map"][0]
    assert found.reached(found.right).all()
    assert np.all((found.lucky >= 0.5) | found.open(found.right))  # noise may move a boundary cell
    value = maps.summary(found)
    assert value["one_model_lucky"] == pytest.approx(0.5, abs=0.02)
    share = by_name(judged)["prototypes"]
    assert 0.05 < share.predicted < 0.2 and value["contested_won"] == 1.0


def test_prototypes_in_place_of_training_are_noticed(suite):
    """Models that sit where the literature puts them miss the loss, and the contested cells."""
    plan = suite.extra["map"][0]
    known = {p.name: p for p in prototypes(2, 1)}
    literature = prototypes_of(plan)

    def of(place, k):
        r, m = divmod(place, 12)
        W, b = _with_means(known[str(literature.phase[r, m])], plan.S[m])
        return W[0], b[0]

    judged = judge(suite, made(suite, of))
    found = by_name(judged)
    assert found["contested"].verdict == "disagree" and found["contested"].measured < 0.2
    assert found["reached"].verdict == "disagree"
    assert judged.verdict == "disagree" and not judged.defeats
    against = next(one for one in found["contested"].controls if one.name == "prototypes")
    assert not against.rejected  # the control notices that it is what was trained


def test_models_of_another_S_are_noticed(suite, optima):
    W, b = optima

    def of(place, k):
        return W[place - place % 12 + 11 - place % 12], b[place - place % 12 + 11 - place % 12]

    found = by_name(judge(suite, made(suite, of)))
    assert found["reached"].verdict == found["phases"].verdict == "disagree"


def test_a_model_below_the_optimum_is_a_defeat(suite, good, monkeypatch):
    right = right_of(suite.extra["map"][0])
    raised = right.loss.copy()
    raised[3, 4] *= 1.1
    monkeypatch.setattr(maps, "right_of", lambda plan: replace(right, loss=raised))
    judged = judge(suite, good)
    assert judged.verdict == "defeated" and len(judged.defeats) == 1
    defeat = judged.defeats[0]
    assert defeat.key == suite.cells[3 * 12 + 4].runs[0].key
    assert defeat.predicted == raised[3, 4] and defeat.loss < raised[3, 4]


def test_models_that_are_missing_or_lost(suite, good):
    with pytest.raises(BadInput, match="lacks 1 models"):
        judge(suite, good[:-1])
    lost = [(t, replace(m, loss=None)) for t, m in good[:2]]
    found = judge(suite, [*lost, *good[2:]]).extra["map"][0]
    assert np.isinf(found.best_loss[0, 0]) and found.reached(found.right).sum() == 191


def test_a_tie_counts_only_where_it_may_be(suite):
    """Another phase with the optimum's loss: next to a boundary and at S = 1, nowhere else."""
    plan = suite.extra["map"][0]
    right = right_of(plan)
    other = np.full((16, 12, 1), "parallel pair")
    found = Found(plan, right, prototypes_of(plan), right.loss[:, :, None].copy(), other)
    assert np.array_equal(found.tied(right), found.open(right))
    assert found.open(right)[:, -1].all() and not found.open(right)[6:10, :2].any()
    assert maps.measured("phases", found, right, 0.01).value == np.mean(found.open(right))
    above = replace(found, loss=right.loss[:, :, None] * 1.002)
    assert not above.tied(right).any()


# --- from start to end ----------------------------------------------------------------------------


def test_the_report_shows_the_map(suite, good, tmp_path):
    judged = judge(suite, good)
    page = write(Report(suite, tuple(good), judged, (), "store.sqlite"), tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    drawn = {"map-2-1-phases.png", "map-2-1-luck.png"}
    assert names == {"report.html", "report.json", "runs.csv", "checks.csv", "maps.csv", *drawn}
    for name in drawn:
        assert (tmp_path / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    with (tmp_path / "maps.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == CELL_COLUMNS and len(rows) == 192
    assert {row["trained"] for row in rows} <= {"pair", "extra ignored", "extra dedicated"}
    value = json.loads((tmp_path / "report.json").read_text())["maps"][0]
    assert value["cells"] == 192 and value["reached"] == 1.0
    text = page.read_text()
    assert text.count("data:image/png") == 3  # two of the map, one of the checks
    assert "best has the optimum&#39;s phase" in text and "16 × 12 cells of 2" in text
    assert "noise &lt; 1%" in text
    assert "two, r = " not in text  # cells of a map have no rows of their own


def test_a_tiny_map_from_start_to_end(tmp_path):
    text = (
        SUITE.replace("cells = 12", "cells = 4")
        .replace("cells = 16", "cells = 4")
        .replace("steps = 100", "steps = 400\nlr = 0.03")
    )
    text = text.replace("runs = 2", "runs = 4").replace("tolerance = 0.06", "tolerance = 0.32")
    tiny = parse(text, "tiny")
    report = run_suite(tiny, out=tmp_path / "out", engine="torch")
    assert len(report.models) == 64 and not report.defeats
    found = report.judgement.extra["map"][0]
    assert found.loss.shape == (4, 4, 4)
    assert np.all(found.excess > -1e-9) and np.median(found.excess) < 0.01
    checks = {check.quantity: check for check in report.checks}
    assert checks["phases"].measured > 0.8
    rejected = [one for one in checks["reached"].controls if one.power and one.rejected]
    assert {one.name for one in rejected} >= {"1-S", "law"}
    contested = checks["contested"].controls[0]
    assert not contested.power  # four cells cannot tell whose side training takes
    again = compare.judge(tiny, report.models)
    assert [c.measured for c in again.checks if c.quantity != "contested"] == [
        c.measured for c in report.checks if c.quantity != "contested"
    ]
