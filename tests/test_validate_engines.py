"""Engines: the reference's step on the same samples, the right samples, the right choice."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("numba", reason="the compiled engine is an extra: feature-packing[compiled]")

from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from packing.errors import BadInput
from packing.types import Float
from validate.experiments import Recipe, Run, Setting, Trained
from validate.sampling import sampler
from validate.training import engine as engines
from validate.training import kernels as products
from validate.training import numba_engine as compiled
from validate.training import numba_engine as drawing
from validate.training import numba_engine as tables
from validate.training.trainer import batches, train, train_batch

CPU = torch.device("cpu")
SHORT = Recipe(steps=60, batch=96, snapshots=4)

LAWS: list[dict[str, Any]] = [
    {"law": "binary"},
    {"law": "uniform"},
    {"law": "exponential", "S": 0.5},
    {"law": "binary", "n": 24, "d": 4, "S": 0.02},
    {"law": "uniform", "n": 24, "d": 3, "S": 0.5},
    {"law": "uniform", "n": 12, "d": 3, "S": tuple(0.01 * (k + 1) for k in range(12))},
    {"law": "uniform", "n": 16, "d": 3, "joint": "together:2"},
    {"law": "binary", "n": 24, "d": 3, "joint": "apart:2"},
    {"law": "uniform", "n": 7, "d": 3, "joint": "one-on"},
]


def runs(count: int, recipe: Recipe = SHORT, **setting: Any) -> list[Run]:
    base = {"n": 5, "d": 2, "S": 0.05, **setting}
    return [Run(Setting(**base), recipe, seed) for seed in range(count)]


def same(one: Trained, two: Trained) -> bool:
    """Bitwise equality of weights, curves and snapshots."""
    arrays = [(one.W, two.W), (one.b, two.b), (one.curve, two.curve)]
    for a, b in zip(one.snapshots, two.snapshots, strict=True):
        arrays += [(a[1], b[1]), (a[2], b[2])]
    return one.status == two.status and all(a.tobytes() == b.tobytes() for a, b in arrays)


# The same step.


@pytest.mark.parametrize(("n", "d"), [(1, 1), (2, 1), (5, 2), (7, 3), (24, 5), (70, 18)])
@pytest.mark.parametrize(("relu", "bias"), [(True, True), (False, True), (True, False)])
@pytest.mark.parametrize(("dtype", "near"), [("float64", 1e-12), ("float32", 2e-4)])
def test_first_steps_are_the_references(
    n: int, d: int, relu: bool, bias: bool, dtype: str, near: float
) -> None:
    """float32: ten steps of at most 0.01, whose direction a rounded gradient may blur."""
    rng = np.random.default_rng([n, d])
    recipe = Recipe(40, batch=100, dtype=dtype, weight_decay=0.05, warmup=3, schedule="linear")
    group = runs(2, recipe, n=n, d=d, relu=relu, bias=bias, importance=tuple(rng.random(n) + 0.1))
    x = rng.random((2, 10, n, 100)) * (rng.random((2, 10, n, 100)) < 0.3)
    theirs = engines.engine("torch").follow(group, x)
    ours = engines.engine("numba").follow(group, x)
    assert theirs.shape == ours.shape == (2, 11, n * (d + 1))
    np.testing.assert_allclose(ours, theirs, atol=near)
    assert np.abs(theirs[:, -1] - theirs[:, 0]).max() > 1e-3, "there was something to follow"
    # Controls: other samples, and another importance, are noticed.
    other = engines.engine("numba").follow(group, x[::-1])
    assert np.abs(other - theirs).max() > 10 * near
    if n > 1:
        skewed = [Run(replace(r.setting, importance=None), r.recipe, r.seed) for r in group]
        assert np.abs(engines.engine("numba").follow(skewed, x) - theirs).max() > 10 * near


# Tables.


def law_of(found: tables.Tables, number: int) -> dict[int, float]:
    """The law that an alias table really has, cell by cell."""
    start, shift, low = found.where[number]
    keep, other = found.keep[number], found.other[number]
    assert start == sum(map(len, found.keep[:number])) and len(keep) == 2 ** (64 - shift)
    p: dict[int, float] = {}
    for cell in range(len(keep)):
        own = float(keep[cell]) * 2.0**-shift
        p[low + cell] = p.get(low + cell, 0.0) + own / len(keep)
        p[int(other[cell])] = p.get(int(other[cell]), 0.0) + (1.0 - own) / len(keep)
    return p


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=70), st.integers(0, 5))
def test_a_table_has_the_law_it_was_made_of(p: list[float], low: int) -> None:
    weights = np.array(p) + 1e-300 * (sum(p) == 0.0)
    if not weights.sum() > 0.0:
        return
    found = tables.Tables()
    found.add(np.ones(3))
    number = found.add(weights, low)
    got = law_of(found, number)
    for k, share in enumerate(weights / weights.sum()):
        assert got.pop(low + k, 0.0) == pytest.approx(share, abs=1e-12)
    assert max(got.values(), default=0.0) < 1e-12


def test_tables_of_named_laws() -> None:
    found = tables.Tables()
    for number, law in (
        (found.poisson(41.7), stats.poisson(41.7)),
        (found.poisson(0.3), stats.poisson(0.3)),
        (found.binomial(1024, 0.2262), stats.binom(1024, 0.2262)),
        (found.binomial(5, 1.0), stats.binom(5, 1.0)),
    ):
        got = law_of(found, number)
        k = np.arange(0, 1100)
        want = law.pmf(k)
        assert max(abs(got.get(int(i), 0.0) - w) for i, w in zip(k, want, strict=True)) < 1e-12
    number, last = found.geometric(0.05)
    got = law_of(found, number)
    assert all(abs(got[k] - 0.05 * 0.95**k) < 1e-12 for k in range(last))
    assert got[last] == pytest.approx(0.95**last, rel=1e-9), "and everything beyond"


# The right samples. With weights and biases zero, a loss is the sum of I_i x_i^2 over the batch.


def counts(setting: Setting, batch: int, steps: int, models: int) -> Float:
    """How often each feature was on, in batches of binary values: (models * steps, n)."""
    n = setting.n
    places = 2.0 ** (10 * np.arange(n))  # batch < 1024: every count has ten bits of its own
    assert batch < 1024 and n <= 5
    setting = replace(setting, importance=tuple(places), bias=False)
    recipe = Recipe(steps, batch=batch, lr=1e-30, dtype="float64", plateau=1)
    lanes = compiled.NumbaLanes([Run(setting, recipe, seed) for seed in range(models)])
    lanes.models[:, : lanes.size] = 0.0
    lanes.every = 1
    found = np.concatenate([losses for _, losses in lanes.advance(steps)]) * batch
    lanes.close()
    whole = np.rint(found)
    assert np.abs(found - whole).max() < 1e-3
    return np.stack([whole // place % 1024 for place in places], axis=1)


@pytest.mark.parametrize(
    ("setting", "limit"),
    [
        (Setting(3, 1, 0.05), 1024),  # patterns
        (Setting(3, 1, (0.9, 0.5, 1.0)), 1024),
        (Setting(4, 1, 0.1, joint="together:2"), 1024),
        (Setting(4, 1, 0.1, joint="apart:2"), 1024),
        (Setting(3, 1, 0.3, joint="one-on"), 1024),
        (Setting(3, 1, 0.05), 0),  # gaps
        (Setting(3, 1, (0.02, 0.2, 0.0001)), 0),
        (Setting(4, 1, 0.1, joint="together:2"), 0),
        (Setting(4, 1, 0.1, joint="apart:2"), 0),
        (Setting(3, 1, 0.3, joint="one-on"), 0),
        (Setting(3, 1, (0.9, 0.5, 1.0)), 0),  # dense
    ],
    ids=lambda value: str(value) if isinstance(value, int) else f"{value.joint}-{value.S}",
)
def test_every_form_draws_the_joint_law(
    setting: Setting, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "PATTERNS", limit)
    drawing.plan_of.cache_clear()
    batch, law = 200, sampler(setting)
    drawn = counts(setting, batch, 400, 8)
    drawing.plan_of.cache_clear()
    patterns = [(np.array(x, dtype=float), p) for x, p in law.patterns()]
    mean = sum(p * x for x, p in patterns)
    pairs = sum(p * np.outer(x, x) for x, p in patterns)
    N = len(drawn)
    # Five standard errors: 1e-5 for all of these numbers together.
    spread = np.sqrt(np.maximum(batch * mean * (1 - mean), 0) / N)
    assert np.all(np.abs(drawn.mean(axis=0) - batch * mean) <= 5 * spread + 1e-9)
    got = np.cov(drawn.T)
    want = batch * (pairs - np.outer(mean, mean))
    error = np.sqrt((np.outer(np.diag(want), np.diag(want)) + want**2) / N)
    assert np.all(np.abs(got - want) <= 5 * error + 6 / N)
    # Whole distribution of one count, not only two moments.
    k = int(np.argmin(np.abs(mean - 0.1)))
    if 0.0 < mean[k] < 1.0:
        law_k = stats.binom(batch, mean[k])
        edges = np.unique(law_k.ppf(np.linspace(0.1, 0.9, 9)))
        cells = np.searchsorted(edges, drawn[:, k])
        share = np.diff(np.concatenate([[0.0], law_k.cdf(edges), [1.0]]))
        seen = np.bincount(cells, minlength=len(share))
        assert stats.chisquare(seen, share * N).pvalue > 1e-6
        # Control: with another chance the same test fails.
        wrong = stats.binom(batch, min(1.0, 1.1 * mean[k]))
        share = np.diff(np.concatenate([[0.0], wrong.cdf(edges), [1.0]]))
        assert stats.chisquare(seen, share / share.sum() * N).pvalue < 1e-6


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [3, 12])
@pytest.mark.parametrize("S", [0.05, 0.6])
@pytest.mark.parametrize(
    ("law", "square", "fourth"), [("uniform", 1 / 3, 1 / 5), ("exponential", 2, 24)]
)
def test_values_follow_their_law(
    dtype: str, n: int, S: float, law: str, square: float, fourth: float
) -> None:
    """Mean and variance of sum x_i^2 over a batch."""
    recipe = Recipe(500, batch=100, lr=1e-30, dtype=dtype, plateau=1)
    lanes = compiled.NumbaLanes(
        [Run(Setting(n, 1, S, law, bias=False), recipe, seed) for seed in range(20)]
    )
    lanes.models[:, : lanes.size] = 0.0
    lanes.every = 1
    sums = np.concatenate([losses for _, losses in lanes.advance(500)]) * 100
    lanes.close()
    mean, variance = 100 * n * S * square, 100 * n * (S * fourth - (S * square) ** 2)
    assert sums.mean() == pytest.approx(mean, abs=5 * np.sqrt(variance / len(sums)))
    kurtosis = np.mean((sums - sums.mean()) ** 4) / np.var(sums) ** 2
    assert np.var(sums) == pytest.approx(variance, rel=5 * np.sqrt((kurtosis - 1) / len(sums)))


# Company, threads, interruptions.


@pytest.mark.parametrize("setting", LAWS, ids=str)
def test_a_result_is_the_same_alone_and_in_any_batch(setting: dict[str, Any]) -> None:
    group = runs(17, **setting)
    whole = train_batch(group, device="cpu", engine="numba")
    assert whole[0].device == "cpu/numba"
    for k in (0, 9, 16):
        assert same(train_batch([group[k]], device="cpu", engine="numba")[0], whole[k])
    turned = train_batch(group[::-1], device="cpu", engine="numba")[::-1]
    assert all(same(a, b) for a, b in zip(turned, whole, strict=True))
    assert not same(whole[0], whole[1])


def test_laws_and_joint_laws_share_a_batch() -> None:
    mixed = [
        Run(Setting(6, 2, S, law, joint=joint, importance=(1, 2, 3, 4, 5, 6)), SHORT, 3)
        for S in (0.01, 0.3)
        for law in ("binary", "uniform", "exponential")
        for joint in ("independent", "together:2", "apart:3", "one-on")
    ]
    assert len(batches(mixed, device="cpu", engine="numba")) == 1
    for run, found in zip(mixed, train(mixed, device="cpu", engine="numba"), strict=True):
        assert same(found, train([run], device="cpu", engine="numba")[0])


def test_runs_that_stop_or_break_leave_their_neighbours_alone() -> None:
    recipe = Recipe(steps=4000, batch=256, schedule="constant", plateau=256, lr=3e-3)
    group = runs(10, recipe, n=2, d=1, S=0.3)
    found = train_batch(group, device="cpu", engine="numba")
    stops = [t.steps for t in found if t.status == "plateau"]
    assert len(stops) >= 5 and len(set(stops)) > 1
    for k in (0, 4, 9):
        assert same(found[k], train_batch([group[k]], device="cpu", engine="numba")[0])
        assert found[k].curve[-1, 0] == found[k].steps
    group = runs(4)
    bad = Run(Setting(5, 2, 0.05, importance=(3e38, 1, 1, 1, 1)), SHORT, 0)
    found = train_batch([*group[:2], bad, *group[2:]], device="cpu", engine="numba")
    assert [t.status for t in found] == ["finished"] * 2 + ["diverged"] + ["finished"] * 2
    assert np.all(np.isfinite(found[2].W)) and found[2].steps < SHORT.steps
    alone = train_batch(group, device="cpu", engine="numba")
    assert all(same(a, b) for a, b in zip([*found[:2], *found[3:]], alone, strict=True))


def test_the_number_of_threads_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba import config

    group = runs(9, law="uniform")
    two = train_batch(group, device="cpu", engine="numba")
    monkeypatch.setattr(config, "NUMBA_NUM_THREADS", 1)
    one = train_batch(group, device="cpu", engine="numba")
    assert all(same(a, b) for a, b in zip(one, two, strict=True))

    def stop(stage: str, part: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_batch(group, device="cpu", engine="numba", progress=stop)


# Which engine.


def test_engines_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    group = runs(2)
    with pytest.raises(BadInput, match="engine = 'fast' is unknown: give auto, torch, numba, cuda"):
        train(group, device="cpu", engine="fast")
    with pytest.raises(BadInput, match="needs --device cuda, a GPU: give auto, torch or numba"):
        train(group, device="cpu", engine="cuda")
    assert engines.engine_for("auto", group[0], "cpu") == "numba"
    monkeypatch.setattr(compiled.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"needs numba, which is not installed: pip install 'feat"):
        train(group, device="cpu", engine="numba")
    assert engines.engine_for("auto", group[0], "cpu") == "torch"
    assert train(group, device="cpu")[0].device == "cpu/torch"


def test_memory_and_time_limit_a_batch() -> None:
    group = runs(100)
    assert [len(b) for b in batches(group, device="cpu", engine="numba")] == [100]
    long = runs(100, replace(SHORT, steps=10**7))
    sizes = [len(b) for b in batches(long, device="cpu", engine="numba")]
    assert max(sizes) <= compiled.FEWEST and sum(sizes) == 100
    room = 10 * compiled.memory_of(group[0])
    assert max(len(b) for b in batches(group, device="cpu", engine="numba", memory=room)) == 10
    with pytest.raises(BadInput, match=r"needs .* bytes and memory = 100: allow more"):
        batches(group, device="cpu", engine="numba", memory=100)


def test_scratch_is_left_clean() -> None:
    """What one model leaves behind must not be seen by the next on the same thread."""
    for setting in LAWS:
        lanes = compiled.NumbaLanes(runs(1, **setting))
        scratch = compiled._Scratch(lanes)
        rates = compiled.rates_of(SHORT, 0, 3).astype(lanes.kind)
        lanes._train(0, scratch, rates, np.ones(3, bool), np.zeros(3))
        for name in ("gradient", "input", "weight"):
            part = products.Places._fields.index(name)
            ends = [*scratch.at, len(scratch.numbers)]
            assert not scratch.numbers[ends[part] : ends[part + 1]].any(), name
        lanes.close()


def test_snapshots_fall_where_they_fall_in_the_reference() -> None:
    recipe = replace(SHORT, steps=3000, snapshots=9)
    ours, theirs = (
        train(runs(1, recipe), device="cpu", engine=name)[0] for name in ("numba", "torch")
    )
    assert [s for s, _, _ in ours.snapshots] == [s for s, _, _ in theirs.snapshots]
    assert np.array_equal(ours.snapshots[0][1], theirs.snapshots[0][1])
    assert np.array_equal(ours.snapshots[-1][1], ours.W)
    steps = ours.curve[:, 0]
    assert steps[-1] == 3000 and all(a < b for a, b in itertools.pairwise(steps))


def test_the_choice_follows_the_number_of_multiplications() -> None:
    """Few features or d much below n: compiled. Else the Gram matrix, as one large product."""
    for n, d, name in ((5, 2, "numba"), (40, 39, "numba"), (400, 30, "numba"), (128, 100, "torch")):
        run = Run(Setting(n, d, 0.05), SHORT, 0)
        assert engines.engine_for("auto", run, "cpu") == name
        assert engines.engine_for("torch", run, "cpu") == "torch"


@pytest.mark.parametrize(
    ("plateau", "setting"),
    [(1, {}), (20, {}), (10, {"n": 12, "d": 3, "S": 0.3, "law": "uniform"})],
)
def test_a_plateau_is_the_same_for_every_engine(plateau: int, setting: dict[str, Any]) -> None:
    """The numbers of steps made have one law: means within five standard errors."""
    recipe = Recipe(600, batch=64, lr=3e-2, plateau=plateau)
    made = [
        np.array([t.steps for t in train(runs(120, recipe, **setting), device="cpu", engine=name)])
        for name in ("torch", "numba")
    ]
    error = np.sqrt(sum(np.var(steps) for steps in made) / 120)
    assert abs(made[0].mean() - made[1].mean()) <= 5 * error + 8
    assert made[0].mean() < 600, "some stop"
