"""compare: intervals that cover, verdicts that fear noise, controls that bite, defeats."""

from __future__ import annotations

import itertools
from dataclasses import replace
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trained import changed, measured_of, model_of, near_optimum

from packing.errors import BadInput
from theory.features import Features
from theory.losses.expected import loss
from validate import predict, statistics
from validate import trajectory as along
from validate.checks import POWER, control, defeat_of, judge
from validate.experiments import Recipe, Run, Setting, Trained
from validate.predict import Sample, change
from validate.statistics import Estimate, verdict
from validate.suites import parse

SUITE = """
title = "t"
about = "a"
minutes = 1
needs = "a CPU"
[recipe]
steps = 100
[[cell]]
name = "five"
n = 5
d = 2
S = 0.05
runs = 24
groups = 12
wrong = "2 digon + 1 ignored"
[[check]]
cells = ["five"]
quantity = "loss"
tolerance = 0.01
reason = "r"
controls = ["arrangement", "1-S", "law", "bias"]
[[check]]
cells = ["five"]
quantity = "simulation"
tolerance = 0.01
reason = "r"
controls = ["1-S", "law", "bias"]
[[check]]
cells = ["five"]
quantity = "distance"
tolerance = 0.03
reason = "r"
controls = ["arrangement", "law"]
[[check]]
cells = ["five"]
quantity = "represented"
tolerance = 0.3
reason = "r"
controls = ["arrangement", "law"]
[[check]]
cells = ["five"]
quantity = "name"
tolerance = 0.5
reason = "r"
[[check]]
cells = ["five"]
quantity = "min_angle"
tolerance = 2.0
reason = "r"
[[check]]
cells = ["five"]
quantity = "d_star"
tolerance = 0.02
reason = "r"
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(autouse=True)
def predictions_kept(own_cache, kept, monkeypatch):
    """One cache for this file: the same few optima are asked for again and again."""
    monkeypatch.setenv("FEATURE_PACKING_CACHE", str(kept))


@pytest.fixture(scope="module")
def suite():
    return parse(SUITE, "five")


@pytest.fixture
def models(suite):
    return near_optimum(suite)


def named(judgement, quantity):
    return next(check for check in judgement.checks if check.quantity == quantity)


# --- intervals ----------------------------------------------------------------------------------


def covered(interval, truth, draw, alpha, times=3000):
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(times):
        found = interval(draw(rng), alpha)
        hits += found.low <= truth <= found.high
    return hits / times


def best_of_four(rng, groups=16):
    """Excess losses of best-of-four groups: Gamma noise, and now and then a wrong minimum."""
    every = 1e-3 * rng.gamma(2.0, 1.0, (groups, 4)) + 0.3 * (rng.random((groups, 4)) < 0.35)
    return every.min(axis=1)


def test_students_interval_covers_where_it_is_used():
    alpha = 0.01
    share = covered(statistics.mean, 1.0, lambda rng: rng.normal(1.0, 0.3, 16), alpha)
    assert share >= 1.0 - alpha - 4.0 * np.sqrt(alpha / 3000)


def test_students_interval_misses_for_best_of_groups_and_the_medians_does_not():
    """Why losses are compared by medians: a rare wrong minimum ruins the interval of the mean."""
    rng = np.random.default_rng(1)
    many = np.concatenate([best_of_four(rng, 1000) for _ in range(200)])
    alpha = 0.01
    assert covered(statistics.mean, many.mean(), best_of_four, alpha) < 1.0 - 5.0 * alpha
    share = covered(statistics.median, np.median(many), best_of_four, alpha)
    assert share >= 1.0 - alpha - 4.0 * np.sqrt(alpha / 3000)


def test_the_medians_interval_holds_for_whole_numbers():
    share = covered(
        statistics.median, 1.0, lambda rng: rng.binomial(2, 0.5, 14).astype(float), 0.01
    )
    assert share >= 0.99


def test_the_shares_interval_holds_and_meets_its_formula():
    """All of g hits: the low end p solves p^g = alpha / 2."""
    found = statistics.share(16, 16, 0.01)
    assert found.low == pytest.approx(0.005 ** (1.0 / 16.0), rel=1e-12)
    assert found.high == 1.0
    share = covered(
        lambda x, a: statistics.share(int(x.sum()), len(x), a),
        0.9,
        lambda rng: rng.random(20) < 0.9,
        0.05,
    )
    assert share >= 0.95


@given(st.integers(2, 40), st.floats(1e-6, 0.2))
def test_ranks_of_the_median_by_counting(g, alpha):
    """P(Bin(g, 1/2) < r) counted by hand."""
    r = statistics.rank(g, alpha)
    tail = [2.0 * sum(comb(g, k) for k in range(m)) / 2.0**g for m in (r, r + 1)]
    assert tail[0] <= alpha * (1.0 + 1e-9)
    assert tail[1] > alpha or r > g // 2
    assert (r >= 1) == (g >= statistics.fewest_groups(alpha)) or g == 2


def test_intervals_hold_together():
    """Bonferroni: ten intervals at level 10% in all; in 10% of the cases at most one misses."""
    rng = np.random.default_rng(2)
    alpha, all_hold, times = statistics.level(10, 0.1), 0, 800
    for _ in range(times):
        found = [statistics.mean(rng.standard_normal(12), alpha) for _ in range(10)]
        all_hold += all(x.low <= 0.0 <= x.high for x in found)
    assert all_hold / times >= 0.9 - 4.0 * np.sqrt(0.09 / times)


# --- verdicts -----------------------------------------------------------------------------------


def test_verdicts():
    assert verdict(Estimate(1.0, 0.95, 1.05), 1.0, 0.1) == "agree"
    assert verdict(Estimate(1.0, 0.85, 1.05), 1.0, 0.1) == "inconclusive"
    assert verdict(Estimate(1.3, 1.2, 1.4), 1.0, 0.1) == "disagree"
    assert verdict(Estimate(np.nan, -np.inf, np.inf), 1.0, 0.1) == "inconclusive"


@given(st.floats(-3.0, 3.0), st.floats(0.0, 3.0), st.floats(0.0, 3.0), st.floats(0.01, 2.0))
def test_more_noise_never_helps(middle, half, more, tolerance):
    narrow = verdict(Estimate(middle, middle - half, middle + half), 0.0, tolerance)
    wide = verdict(Estimate(middle, middle - half - more, middle + half + more), 0.0, tolerance)
    assert wide != "agree" or narrow == "agree"
    assert wide != "disagree" or narrow == "disagree"


def test_optima_with_a_little_noise_agree(suite, models):
    judgement = judge(suite, models)
    assert judgement.verdict == "agree", judgement
    assert {check.verdict for check in judgement.checks} == {"agree"}
    assert judgement.compared == 24
    assert judgement.predictions == 1
    assert judgement.alpha == pytest.approx(0.01 / 7)
    assert not judgement.defeats and not judgement.broken
    powered = [one for check in judgement.checks for one in check.controls if one.power]
    assert len(powered) >= 8
    assert all(one.rejected for one in powered)


def test_models_in_another_minimum_disagree(suite, models):
    wrong = predict.arranged(suite.cells[0].setting, "2 digon + 1 ignored")
    other = changed(models, lambda run, W, b: model_of(run, wrong.W, wrong.b, wrong.name))
    judgement = judge(suite, other)
    assert judgement.verdict == "disagree"
    for quantity in ("loss", "distance", "represented", "min_angle", "d_star"):
        assert named(judgement, quantity).verdict == "disagree", quantity
    assert named(judgement, "name").verdict == "disagree"  # 0 of 12 groups, interval below 1/2


def test_models_half_of_which_fail_are_no_proof(suite, models):
    """Groups that reach the optimum only now and then: undecided, not agreed."""
    wrong = predict.arranged(suite.cells[0].setting, "2 digon + 1 ignored")

    def fails(run, W, b):
        if (run.seed // 2) % 2:
            return model_of(run, wrong.W, wrong.b, wrong.name)
        return model_of(run, W, b, "pentagon")

    judgement = judge(suite, changed(models, fails))
    assert named(judgement, "loss").verdict == "inconclusive"
    assert named(judgement, "name").verdict == "inconclusive"
    assert judgement.verdict in ("inconclusive", "broken")


def test_best_of_a_group_is_by_exact_loss(suite, models):
    """One bad model in each group changes nothing."""
    worse = changed(
        models,
        lambda run, W, b: model_of(run, 0.5 * W if run.seed % 2 else W, b, "pentagon"),
    )
    assert judge(suite, worse).verdict == "agree"


def test_a_missing_model_is_named(suite, models):
    with pytest.raises(BadInput, match="'five' lacks 3 models"):
        judge(suite, models[3:])


def test_simulated_losses_that_are_off_are_noticed(suite, models):
    """A sampler that is 3% wrong: the exact loss agrees, the simulation does not."""
    off = [(t, replace(m, simulated=1.03 * m.simulated)) for t, m in models]
    judgement = judge(suite, off)
    assert named(judgement, "loss").verdict == "agree"
    assert named(judgement, "simulation").verdict == "disagree"


# --- controls -----------------------------------------------------------------------------------


def test_a_shift_of_three_tolerances_gives_power():
    at = Estimate(1.0, 0.99, 1.01)
    strong = control("law", 1.0 + 3.1 * 0.1, 3.1 * 0.1, at, 0.1)
    weak = control("law", 1.0 + 2.9 * 0.1, 2.9 * 0.1, at, 0.1)
    assert strong.power and strong.rejected
    assert not weak.power
    assert POWER == 3.0


def test_a_suite_that_cannot_reject_is_broken(suite, models):
    """Noise so large that a control is no longer rejected."""
    wide = [
        (t, replace(m, simulated=m.simulated * (1.0 + 2.0 * (-1) ** (t.run.seed // 2))))
        for t, m in models
    ]
    judgement = judge(suite, wide)
    assert judgement.verdict == "broken"
    assert any("simulation" in flaw for flaw in judgement.broken)


def test_a_suite_without_power_is_broken(models):
    text = SUITE.replace("tolerance = 0.01", "tolerance = 0.9").split("[[check]]")
    text = "[[check]]".join(text[:2]).replace('"arrangement", "1-S", "law", "bias"', '"law"')
    weak = parse(text, "weak")
    judgement = judge(weak, near_optimum(weak))
    assert judgement.verdict == "broken"
    assert len(judgement.broken) == 1
    assert judgement.broken[0].startswith("no negative control has power")


def test_wrong_readings_are_what_they_say():
    """Each against theory asked by hand, or against a formula."""
    setting = Setting(5, 2, 0.05)
    off = predict.misread(setting, "1-S")
    assert off.loss == pytest.approx(predict.truth(Setting(5, 2, 0.95)).loss, rel=1e-12)
    uniform = predict.truth(Setting(5, 2, 0.05, "uniform"))
    assert predict.misread(setting, "law").loss == uniform.loss
    bare = predict.misread(setting, "bias")
    assert np.all(bare.b == 0.0)
    assert bare.loss > predict.truth(setting).loss
    S, v = 0.05, 0.05 * 0.95
    digon = S**2 * (1 - S) ** 2 / (S**2 + (1 - S) ** 2)  # docs/theory.md, the antipodal pair
    pairs = predict.arranged(setting, "2 digon + 1 ignored")
    assert pairs.loss == pytest.approx(4.0 * digon + v, rel=1e-9)
    assert pairs.represented == 4
    alone = predict.arranged(setting, "2 dedicated + 3 ignored")
    assert alone.loss == pytest.approx(3.0 * v, rel=1e-9)


@pytest.mark.parametrize("name", ["hexagon", "2 digon", "3 digon", "24-cell"])
def test_arrangements_that_do_not_fit_are_refused(name):
    with pytest.raises(BadInput, match="no arrangement of 5 features in 2 dimensions"):
        predict.arranged(Setting(5, 2, 0.05), name)


# --- distance -----------------------------------------------------------------------------------


def test_distance_forgets_rotation_and_labels_and_nothing_else():
    """Against the least distance over all relabellings, which it never exceeds."""
    rng = np.random.default_rng(3)
    for _ in range(10):
        A, B = rng.standard_normal((2, 2, 4))
        turn = np.linalg.qr(rng.standard_normal((2, 2)))[0]
        assert predict.distance(turn @ A[:, rng.permutation(4)], A) == pytest.approx(0.0, abs=1e-12)
        G, H = A.T @ A, B.T @ B
        least = min(
            np.linalg.norm(G[np.ix_(p, p)] - H) for p in map(list, itertools.permutations(range(4)))
        ) / np.linalg.norm(H)
        assert 0.0 < predict.distance(A, B) <= least + 1e-12


# --- defeats ------------------------------------------------------------------------------------


def test_a_model_below_the_prediction_is_a_defeat(suite, models, monkeypatch):
    """A prediction that is 1% too high is beaten; the model is kept and nothing else matters."""
    assert all(defeat_of(*model) is None for model in models)
    right = predict.truth(suite.cells[0].setting)
    monkeypatch.setattr(predict, "truth", lambda setting: replace(right, loss=1.01 * right.loss))
    judgement = judge(suite, models)
    assert judgement.verdict == "defeated"
    assert len(judgement.defeats) == len(models)
    first = judgement.defeats[0]
    assert first.model[0] is models[0][0]
    assert first.loss < first.predicted - first.rounding


def test_rounding_and_error_bounds_are_no_defeat(suite):
    """The optimum itself, at its own loss, and a loss below it only by its error bound."""
    setting, right = suite.cells[0].setting, predict.truth(suite.cells[0].setting)
    trained, measured = model_of(suite.runs[0], right.W, right.b)
    assert defeat_of(trained, measured) is None
    low = replace(measured, loss=0.99 * right.loss, error_bound=0.02 * right.loss)
    assert defeat_of(trained, low) is None
    assert defeat_of(trained, replace(low, error_bound=1e-12)) is not None
    assert defeat_of(trained, replace(low, loss=None)) is None
    assert setting.independent


# --- critical -----------------------------------------------------------------------------------


def cell_at(S, full, groups=12):
    """A cell whose groups represent all 3 features or 2."""
    run = Run(Setting(3, 1, S), Recipe(10), 0)
    base = measured_of(run, np.ones((1, 3)), np.zeros(3), "x")
    one = Trained(
        run, np.ones((1, 3)), np.zeros(3), np.zeros((1, 2)), (), "finished", 10, "cpu", 0.1
    )
    return Sample(tuple((one, replace(base, represented=3 if yes else 2)) for yes in full), groups)


def test_the_change_lies_between_the_cells_that_differ():
    S = [0.1, 0.2, 0.3, 0.4]
    samples = [cell_at(x, [x < 0.25] * 12) for x in S]
    found = change(S, samples, 3, 0.01)
    assert (found.low, found.high) == (0.2, 0.3)
    assert found.value == pytest.approx(0.25)


def test_groups_that_waver_widen_the_interval():
    S = [0.1, 0.2, 0.3, 0.4]
    rows = [[True] * 12, [True] * 8 + [False] * 4, [False] * 4 + [True] * 8, [False] * 12]
    found = change(S, [cell_at(x, row) for x, row in zip(S, rows, strict=True)], 3, 0.01)
    assert found.low == 0.1
    assert found.high == 0.4


def test_no_change_on_the_grid_leaves_the_end_open():
    S = [0.2, 0.5, 0.9]
    assert change(S, [cell_at(x, [True] * 12) for x in S], 3, 0.01).high == 1.0
    assert change(S, [cell_at(x, [True] * 12) for x in S], 3, 0.01).low == 0.9
    assert change(S, [cell_at(x, [False] * 12) for x in S], 3, 0.01).low == 0.0


# --- along training -----------------------------------------------------------------------------


def test_the_exact_path_is_adam_on_the_exact_loss():
    """Two steps by hand: the first moves every weight by the learning rate against its gradient."""
    setting, recipe = Setting(4, 2, 0.2), Recipe(10, lr=0.01, schedule="constant")
    rng = np.random.default_rng(4)
    W, b = rng.standard_normal((1, 2, 4)), rng.standard_normal((1, 4))
    paths = along.exact_path(setting, recipe, W, b, [0, 1, 10])
    at = loss(W[0], b[0], features=Features.of(4, 0.2), gradient=True)
    moved = W[0] - 0.01 * at.grad_W / (np.abs(at.grad_W) + 1e-8)
    assert np.allclose(paths[0][1, 0], moved, atol=1e-12)
    losses = along.losses_along(setting, *paths)
    assert losses[0, 0] == pytest.approx(at.total, rel=1e-12)
    assert losses[2, 0] < losses[0, 0]


def followed(noise):
    """A model whose snapshots are those of the exact path, with some noise."""
    setting = Setting(3, 2, 0.3)
    run = Run(setting, Recipe(60, snapshots=4, schedule="constant"), 1)
    rng = np.random.default_rng(5)
    W, b = 0.5 * rng.standard_normal((1, 2, 3)), np.zeros((1, 3))
    steps = [0, 5, 30, 60]
    Ws, bs = along.exact_path(setting, run.recipe, W, b, steps)
    Ws = Ws + noise * rng.standard_normal(Ws.shape) * (np.arange(4) > 0)[:, None, None, None]
    kept = tuple((s, Ws[i, 0], bs[i, 0]) for i, s in enumerate(steps))
    trained = Trained(run, Ws[-1, 0], bs[-1, 0], np.zeros((1, 2)), kept, "finished", 60, "cpu", 0.1)
    return trained, measured_of(run, Ws[-1, 0], bs[-1, 0], "x")


def test_a_model_on_the_exact_path_does_not_deviate_and_others_do():
    on, off = followed(0.0), followed(0.2)
    setting = on[0].run.setting
    assert along.deviations(setting, [on])[0] == pytest.approx(0.0, abs=1e-12)
    assert along.deviations(setting, [off])[0] > 0.01
    assert along.deviations(replace(setting, law="uniform"), [on])[0] > 0.01


def test_rotations_are_measured():
    rng = np.random.default_rng(6)
    W = rng.standard_normal((2, 5))
    c, s = np.cos(0.5), np.sin(0.5)
    turned = np.array([[c, -s], [s, c]]) @ W
    assert along.rotation(W, turned) == pytest.approx(np.degrees(0.5))
    run = Run(Setting(5, 2, 0.1), Recipe(60, snapshots=3), 1)
    kept = ((0, 0.1 * W, W[0]), (30, W, W[0]), (60, turned, W[0]))
    trained = Trained(run, turned, W[0], np.zeros((1, 2)), kept, "finished", 60, "cpu", 0.1)
    model = (trained, measured_of(run, turned, W[0], "x"))
    assert along.turned(model) == pytest.approx(np.degrees(0.5))  # from step 30, not from 0


def test_a_dense_block_is_not_left_where_all_its_features_are_off():
    """Of 24 features at S = 0.02 each needs b < -0.5; from b near 0 the descent ends in W = 0."""
    from theory.mixtures import mixture_at

    best = mixture_at(24, 4, 0.02)
    assert best.name == "24-cell"
    assert predict.arranged(Setting(24, 4, 0.02), "24-cell").loss == pytest.approx(
        best.loss, rel=1e-6
    )


def test_a_large_search_also_starts_from_the_named_arrangement():
    ((W, b),) = predict._named(Setting(24, 4, 0.02))
    assert W.shape == (4, 24)
    assert b == pytest.approx(np.full(24, b[0]))
    assert predict._named(Setting(24, 4, (0.02,) * 23 + (0.03,))) == []
