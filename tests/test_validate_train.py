"""The reference engine: gradients against autograd, Adam against PyTorch, runs that keep apart."""

from __future__ import annotations

import itertools
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from packing.errors import BadInput
from theory.losses.expected import loss
from validate import sampling as feed
from validate.experiments import Recipe, Run, Setting, Trained
from validate.sampling import Chunk, Feed, Form, form_of, generator
from validate.training import step as engine
from validate.training import torch_engine as reference
from validate.training import trainer as plan
from validate.training import trainer as train

CPU = torch.device("cpu")
SHORT = Recipe(steps=100, batch=96, snapshots=4)


def runs(count: int, recipe: Recipe = SHORT, **setting: object) -> list[Run]:
    base = {"n": 5, "d": 2, "S": 0.05, **setting}
    return [Run(Setting(**base), recipe, seed) for seed in range(count)]  # type: ignore[arg-type]


def same(one: Trained, two: Trained) -> bool:
    """Bitwise equality of everything but the time it took."""
    arrays = [(one.W, two.W), (one.b, two.b), (one.curve, two.curve)]
    arrays += [
        pair
        for a, b in zip(one.snapshots, two.snapshots, strict=False)
        for pair in ((a[1], b[1]), (a[2], b[2]))
    ]
    return (
        (one.run, one.status, one.steps) == (two.run, two.status, two.steps)
        and [s for s, _, _ in one.snapshots] == [s for s, _, _ in two.snapshots]
        and all(a.tobytes() == b.tobytes() for a, b in arrays)
    )


# One step, against autograd and torch.optim.


def samples(chunk: Chunk, k: int, t: int, batch: int) -> torch.Tensor:
    """Batch t of model k as plain samples (batch, n), whatever the form of the chunk."""
    x = chunk.x[k, t if chunk.x.shape[1] > 1 else 0]
    there = x[-1] == 1.0
    rows = x[:-1, there].T
    if chunk.weight is not None:
        rows = rows.repeat_interleave(chunk.weight[k, t][there].long(), dim=0)
    if chunk.off is not None:
        rows = torch.cat([rows, torch.zeros(int(chunk.off[k, t]), rows.shape[1], dtype=x.dtype)])
    assert len(rows) == batch
    return rows


@pytest.mark.parametrize(
    ("law", "S", "kind"),
    [("binary", 0.2, "patterns"), ("uniform", 0.02, "rows"), ("exponential", 0.6, "dense")],
)
@pytest.mark.parametrize(("relu", "bias"), [(True, True), (True, False), (False, True)])
def test_steps_are_those_of_autograd_and_adamw(
    law: str, S: float, kind: str, relu: bool, bias: bool
) -> None:
    recipe = Recipe(
        steps=40, batch=96, lr=0.05, dtype="float64", weight_decay=0.1, warmup=3, schedule="linear"
    )
    group = runs(3, recipe, law=law, S=S, relu=relu, bias=bias, importance=(1, 0.5, 2, 0, 1))
    form = form_of(group[0].setting, recipe, "cpu")
    assert form.kind == kind
    stack = engine.Stack(group, form.columns, CPU)
    chunk = Feed(group, form, CPU).draw()
    I = torch.tensor(group[0].setting.features.importance)
    for k in range(3):
        start = torch.from_numpy(engine.first_weights(group[k]))
        W = start[:10].reshape(2, 5).clone().requires_grad_()
        b = start[10:].clone().requires_grad_()
        adam = torch.optim.AdamW([W, b] if bias else [W], weight_decay=0.1)
        theirs = []
        for t in range(6):
            x = samples(chunk, k, t, 96)
            z = x @ W.T @ W + b
            value = (I * (x - (z.relu() if relu else z)) ** 2).sum(dim=1).mean()
            adam.zero_grad()
            value.backward()
            adam.param_groups[0]["lr"] = engine.learning_rate(recipe, t)
            adam.step()
            theirs.append(value.item())
        ours = []
        one = engine.Stack([group[k]], form.columns, CPU)
        own = chunk.of(torch.tensor([k]))
        for t in range(6):
            losses = one.step(own, t, t, record=True)
            assert losses is not None
            ours.append(losses[0])
        assert ours == pytest.approx(theirs, rel=1e-12)
        found = one.weights()[0]
        np.testing.assert_allclose(found[:10].reshape(2, 5), W.detach().numpy(), atol=1e-12)
        np.testing.assert_allclose(found[10:], b.detach().numpy(), atol=1e-12)
    # Control: on a neighbour's samples the losses are others.
    losses = stack.step(chunk, 0, 0, True)
    again = engine.Stack(group, form.columns, CPU)
    swapped = again.step(chunk.of(torch.tensor([2, 0, 1])), 0, 0, True)
    assert losses is not None and swapped is not None and np.all(losses != swapped)


def test_learning_rates_rise_and_fall() -> None:
    recipe = Recipe(steps=100, lr=1.0, warmup=10)
    rates = [engine.learning_rate(recipe, step) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * k for k in range(1, 11)])
    assert rates[10] == 1.0 and rates[55] == pytest.approx(0.5) and 0 < rates[99] < 1e-3
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    flat = replace(recipe, schedule="constant", warmup=0)
    assert {engine.learning_rate(flat, step) for step in range(100)} == {1.0}


def test_first_weights_have_each_models_own_scale() -> None:
    group = runs(400, n=6, d=3)
    drawn = np.stack([engine.first_weights(run) for run in group])
    W, b = drawn[:, :18], drawn[:, 18:]
    # Variance 2 / (n + d) whatever the number of models: 7200 values, 5 standard errors.
    assert np.var(W) == pytest.approx(2 / 9, rel=5 * math.sqrt(2 / W.size))
    assert b.min() > 0.0 and b.max() <= engine.FIRST_BIAS
    # Control: the library's initialiser on the stacked tensor shrinks with the number of models.
    stacked = torch.nn.init.xavier_normal_(torch.empty(400, 3, 6))
    assert stacked.var().item() < 0.1 * (2 / 9)
    unit = engine.first_weights(Run(Setting(6, 3, 0.1), replace(SHORT, init="unit"), 0))
    np.testing.assert_allclose(np.linalg.norm(unit[:18].reshape(3, 6), axis=0), 1.0)
    small = engine.first_weights(Run(Setting(6, 3, 0.1), replace(SHORT, init="small"), 0))
    assert np.linalg.norm(small[:18]) < 0.3 * np.linalg.norm(unit[:18])
    assert not engine.first_weights(Run(Setting(6, 3, 0.1, bias=False), SHORT, 0))[18:].any()


# Company does not matter.


@pytest.mark.parametrize(
    ("recipe", "setting"),
    [
        (SHORT, {"law": "binary"}),
        (SHORT, {"law": "uniform"}),
        (SHORT, {"law": "exponential", "S": 0.5}),
        (replace(SHORT, dtype="float64"), {"law": "uniform", "n": 16, "d": 5}),
        (replace(SHORT, batch=1024, steps=30), {"law": "binary", "n": 24, "d": 4}),
        (replace(SHORT, batch=257), {"law": "uniform", "n": 7, "d": 3, "joint": "one-on"}),
        (replace(SHORT, weight_decay=0.1, plateau=20), {"law": "binary", "n": 3, "S": 0.9}),
    ],
    ids=lambda value: "-".join(str(v) for v in value.values()) if isinstance(value, dict) else "",
)
def test_a_result_is_the_same_alone_and_in_any_batch(
    recipe: Recipe, setting: dict[str, object]
) -> None:
    group = runs(64, recipe, **setting)
    whole = train.train_batch(group, device="cpu", engine="torch")
    for k in (0, 37, 63):
        assert same(train.train_batch([group[k]], device="cpu", engine="torch")[0], whole[k])
    turned = train.train_batch(group[::-1], device="cpu", engine="torch")[::-1]
    assert all(same(a, b) for a, b in zip(turned, whole, strict=True))
    split = [
        t
        for i in (0, 2, 5, 12, 31)
        for t in train.train_batch(
            group[i : {0: 2, 2: 5, 5: 12, 12: 31, 31: 64}[i]], device="cpu", engine="torch"
        )
    ]
    assert all(same(a, b) for a, b in zip(split, whole, strict=True))
    # Control: another seed is another result, so "same" can say no.
    assert not same(whole[0], replace(whole[1], run=whole[0].run))


@pytest.mark.parametrize(("law", "S"), [("uniform", 0.05), ("exponential", 0.5)])
def test_the_number_of_threads_and_the_memory_do_not_matter(law: str, S: float) -> None:
    group = runs(40, replace(SHORT, batch=257), law=law, S=S)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        two = train.train(group, device="cpu", engine="torch")
        assert torch.get_num_threads() == 2, "the caller's setting is given back"
    finally:
        torch.set_num_threads(before)
    room = reference.memory_fixed(group[0]) + 7 * reference.memory_of(group[0])
    assert max(len(b) for b in train.batches(group, device="cpu", engine="torch", memory=room)) == 7
    small = train.train(group, device="cpu", engine="torch", memory=room)
    assert all(same(a, b) for a, b in zip(two, small, strict=True))


def test_different_S_importance_and_law_share_a_batch() -> None:
    mixed = [
        Run(Setting(5, 2, S, "binary", importance=I, joint=joint), SHORT, 3)
        for S in (0.01, (0.1, 0.2, 0.3, 0.4, 0.5), 1.0)
        for I, joint in ((None, "independent"), ((1, 0, 2, 3, 4), "independent"))
    ]
    assert len(train.batches(mixed, device="cpu", engine="torch")) == 1
    for run, found in zip(mixed, train.train(mixed, device="cpu", engine="torch"), strict=True):
        assert same(found, train.train([run], device="cpu", engine="torch")[0])


# Runs that stop, and runs that break.


def broken(seed: int) -> Run:
    """Its importance overflows float32 within a few steps; the recipe is its neighbours'."""
    return Run(Setting(5, 2, 0.05, importance=(3e38, 1, 1, 1, 1)), SHORT, seed)


def test_a_run_that_diverges_leaves_its_neighbours_alone() -> None:
    group = runs(6)
    bad = broken(0)
    found = train.train_batch([*group[:3], bad, *group[3:]], device="cpu", engine="torch")
    assert [t.status for t in found] == ["finished"] * 3 + ["diverged"] + ["finished"] * 3
    for a, b in zip(
        [*found[:3], *found[4:]],
        train.train_batch(group, device="cpu", engine="torch"),
        strict=True,
    ):
        assert same(a, b)
    last = found[3]
    assert np.all(np.isfinite(last.W)) and np.all(np.isfinite(last.b)) and last.steps < SHORT.steps
    assert np.all(np.isfinite(last.curve))
    assert all(s <= last.steps for s, _, _ in last.snapshots)


def test_moments_that_overflow_count_as_divergence() -> None:
    """Adam would divide by infinity and stand still, with a finite loss."""
    quiet = Run(Setting(5, 2, 0.05, importance=(1e25, 1, 1, 1, 1)), SHORT, 0)
    assert train.train_batch([quiet], device="cpu", engine="torch")[0].status == "diverged"


def test_a_plateau_stops_a_run_and_only_that_run() -> None:
    recipe = Recipe(steps=4000, batch=256, schedule="constant", plateau=256, lr=3e-3)
    group = runs(12, recipe, n=2, d=1, S=0.3)
    found = train.train_batch(group, device="cpu", engine="torch")
    stops = [t.steps for t in found if t.status == "plateau"]
    assert len(stops) >= 6 and len(set(stops)) > 1, "they stop at steps of their own"
    for k in (0, 5, 11):
        assert same(found[k], train.train_batch([group[k]], device="cpu", engine="torch")[0])
        assert found[k].curve[-1, 0] == found[k].steps


def test_all_runs_may_stop() -> None:
    group = runs(3, Recipe(steps=100_000, batch=64, plateau=64, schedule="constant"), n=1, d=1)
    assert {t.status for t in train.train_batch(group, device="cpu", engine="torch")} == {"plateau"}


# What comes out.


def test_training_reaches_the_loss_it_reports() -> None:
    """The last recorded losses agree with the exact loss of the final weights, and it fell."""
    recipe = Recipe(steps=1500, batch=1024)
    for law in ("binary", "uniform"):
        found = train.train(runs(8, recipe, law=law, S=0.1), device="cpu", engine="torch")
        for t in found:
            features = t.run.setting.features
            exact = loss(t.W, t.b, features=features).total
            # One record is the mean of 1024 losses whose spread is about their mean over sqrt(S).
            recent = t.curve[-20:, 1]
            assert np.mean(recent) == pytest.approx(exact, abs=5 * np.std(recent) / math.sqrt(20))
            start = engine.first_weights(t.run)
            first = loss(start[:10].reshape(2, 5), start[10:], features=features).total
            assert exact < 0.7 * first
            assert exact < 1.02 * float(np.sum(features.variance)), "no worse than ignoring all"


def test_snapshots_and_curves() -> None:
    recipe = Recipe(steps=1000, batch=32, snapshots=9)
    t = train.train(runs(1, recipe), device="cpu", engine="torch")[0]
    steps = [s for s, _, _ in t.snapshots]
    assert steps[:2] == [0, 1] and steps[-1] == 1000 and len(steps) == 9
    assert np.array_equal(t.snapshots[-1][1], t.W) and np.array_equal(t.snapshots[-1][2], t.b)
    start = engine.first_weights(t.run).astype(np.float32)
    assert np.array_equal(t.snapshots[0][1].ravel(), start[:10])
    assert t.curve.shape[1] == 2 and len(t.curve) <= train.CURVE and t.curve[-1, 0] == 1000
    assert train.snapshot_steps(Recipe(5)) == []
    assert train.snapshot_steps(Recipe(5, snapshots=1)) == [0]
    assert train.snapshot_steps(Recipe(5, snapshots=100)) == [0, 1, 2, 3, 4, 5]
    assert t.device == "cpu/torch" and t.seconds > 0 and t.W.dtype == np.float64


def test_samples_do_not_depend_on_how_they_are_used() -> None:
    """A run's chunks come from its own generator: other purposes do not share it."""
    run = runs(1, law="uniform")[0]
    one, two = generator(run.key, 1).random(4), generator(run.key, 2).random(4)
    assert not np.array_equal(one, two)
    assert np.array_equal(one, generator(run.key, 1).random(4))


# Memory, devices, interruptions.


def resident() -> int:
    """Bytes of this process that are in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
@pytest.mark.parametrize(
    ("count", "law", "n", "S", "steps"),
    [(150, "uniform", 5, 0.05, 192), (120, "uniform", 20, 0.5, 18)],
)
def test_memory_is_predicted(count: int, law: str, n: int, S: float, steps: int) -> None:
    group = runs(count, Recipe(steps), law=law, n=n, S=S)
    train.train_batch(group[:1], device="cpu", engine="torch")
    predicted = count * reference.memory_of(group[0])
    before, seen = resident(), []
    train.train_batch(
        group, device="cpu", engine="torch", progress=lambda stage, part: seen.append(resident())
    )
    # Predicted from above, and by no more than a third: 100 MB here, beside a few of the allocator.
    fixed = reference.memory_fixed(group[0])
    assert 0.67 * predicted < max(seen) - before < 1.05 * predicted + fixed


def test_batches_keep_to_the_memory() -> None:
    group = runs(10) + runs(10, law="uniform")
    assert sorted(len(b) for b in train.batches(group, device="cpu", engine="torch")) == [10, 10]
    with pytest.raises(BadInput, match=r"needs .* bytes and memory = 1e\+03: allow more"):
        train.batches(group, device="cpu", engine="torch", memory=1000)
    with pytest.raises(BadInput, match="cannot share a batch"):
        train.train_batch(group, device="cpu", engine="torch")
    assert (
        train.batches([], device="cpu", engine="torch") == []
        and train.train([], device="cpu", engine="torch") == []
    )
    assert train.train_batch([], device="cpu", engine="torch") == []


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="'tpu' is unknown: give auto, cpu or cuda"):
        train.train(runs(1), device="tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadInput, match="PyTorch finds no GPU here: give auto or cpu"):
        train.train(runs(1), device="cuda")
    assert plan.device_of("auto").type == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_finds_the_same_kind_of_model() -> None:
    group = runs(16, Recipe(steps=1500), S=0.1)
    for t in train.train(group, device="cuda"):
        exact = loss(t.W, t.b, features=t.run.setting.features).total
        assert t.device.startswith("cuda/")
        assert exact < float(np.sum(t.run.setting.features.variance))


def test_progress_is_told_and_can_stop_the_training() -> None:
    seen: list[tuple[str, float]] = []
    train.train(
        runs(3),
        device="cpu",
        engine="torch",
        progress=lambda stage, part: seen.append((stage, part)),
    )
    parts = [part for _, part in seen]
    assert parts == sorted(parts) and parts[-1] == 1.0 and "3 models" in seen[0][0]

    def stop(stage: str, part: float) -> None:
        raise KeyboardInterrupt

    before = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        train.train(runs(3), device="cpu", engine="torch", progress=stop)
    assert torch.get_num_threads() == before


def test_form_depends_on_the_run_alone() -> None:
    assert form_of(Setting(5, 2, 0.05), SHORT, "cpu").kind == "patterns"
    assert form_of(Setting(24, 4, 0.001), SHORT, "cpu").kind == "rows"
    assert form_of(Setting(24, 4, 0.5), SHORT, "cpu").kind == "dense"
    assert form_of(Setting(5, 2, 0.05), SHORT, "cuda").kind == "dense"
    assert form_of(Setting(5, 2, 0.5, "uniform"), SHORT, "cpu") == Form("dense", 96, 64)
    assert feed._room(230) == 240 and feed._room(331) == 352 and feed._room(3) == 16
