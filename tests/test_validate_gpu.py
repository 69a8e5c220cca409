"""The GPU engine without a GPU: in numba's simulator, compiled for the processor, and its parts.

The simulator must be chosen before numba is imported, so it runs in a process of its own: this file
as a script measures and prints JSON, the tests judge. Levels are fixed: every statistical check has
a chance of at most ALPHA to fail for a correct engine, and seeds are fixed too.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from packing.errors import BadInput
from theory.losses.expected import loss
from validate.experiments import Recipe, Run, Setting
from validate.sampling import Sampler, sampler
from validate.training import cuda_engine as gpu_tables
from validate.training import cuda_engine as graphs
from validate.training.cuda_engine import CudaEngine, chunk_of, kind_of
from validate.training.torch_engine import TorchEngine

ALPHA = 1e-4
CPU = torch.device("cpu")
ROOT = Path(__file__).parents[1]

needs_numba = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("numba", "numba_cuda")),
    reason="numba-cuda is not installed: pip install 'feature-packing[cuda]'",
)

SHORT = Recipe(
    steps=40, batch=32, lr=0.05, dtype="float64", weight_decay=0.1, warmup=2, schedule="linear"
)

FOLLOWED: list[tuple[dict[str, Any], int]] = [
    ({"n": 5, "d": 2, "S": 0.2}, 1),
    ({"n": 5, "d": 2, "S": 0.2, "bias": False, "importance": (1, 0.5, 2, 0, 1)}, 4),
    ({"n": 3, "d": 1, "S": (0.1, 0.9, 1.0), "relu": False}, 1),
    ({"n": 7, "d": 3, "S": 0.3, "law": "exponential"}, 1),
    ({"n": 6, "d": 2, "S": 0.2, "law": "uniform", "joint": "apart:3"}, 4),
    ({"n": 6, "d": 2, "S": 0.4, "joint": "together:2"}, 8),
    ({"n": 11, "d": 4, "S": 0.2}, 2),
]
"""Settings and lanes: both kernels, every option."""


def runs(count: int, recipe: Recipe = SHORT, **setting: Any) -> list[Run]:
    return [Run(Setting(**setting), recipe, seed) for seed in range(count)]


def batches(group: list[Run], steps: int) -> np.ndarray:
    """Samples (K, T, n, B) from the law of the runs."""
    rng, batch = np.random.default_rng(7), group[0].recipe.batch
    law = sampler(group[0].setting)
    return np.stack([[law.draw(rng, batch).T for _ in range(steps)] for _ in group])


def trained(engine: Any, group: list[Run], parts: tuple[int, ...] = ()) -> np.ndarray:
    """Weights after all steps, made in given parts or chunk by chunk."""
    lanes, steps = engine.lanes(group, CPU), group[0].recipe.steps
    whole = [min(lanes.chunk, steps - i) for i in range(0, steps, lanes.chunk)]
    for count in parts or whole:
        lanes.advance(count)
    return lanes.weights()


# What the simulator is asked to measure.


def measure_follow(engine: Any) -> list[float]:
    found = []
    for setting, lanes in FOLLOWED:
        group = runs(2, **setting)
        x = batches(group, 3)
        ours, theirs = engine("", lanes).follow(group, x), TorchEngine().follow(group, x)
        found.append(float(np.abs(ours - theirs).max()))
    return found


def measure_dropped() -> float:
    """The first case again, without the gradient of the samples that have nothing on."""
    from validate.training import cuda_kernels as gpu_kernels
    from validate.training import cuda_kernels as gpu_loops

    whole = gpu_loops.model_parts

    def lame(*arguments: Any) -> tuple[Any, ...]:
        load, store, prepare, answer, sample, update = whole(*arguments)

        def some(lane: int, x: Any, *rest: Any) -> None:
            if np.any(x != 0.0):
                sample(lane, x, *rest)

        return load, store, prepare, answer, some, update

    gpu_kernels.kernel.cache_clear()
    gpu_loops.model_parts = lame
    try:
        group = runs(2, **FOLLOWED[0][0])
        x = batches(group, 3)
        apart = CudaEngine().follow(group, x) - TorchEngine().follow(group, x)
    finally:
        gpu_loops.model_parts = whole
        gpu_kernels.kernel.cache_clear()
    return float(np.abs(apart).max())


def gradients(group: list[Run], theta: np.ndarray, engine: Any) -> tuple[np.ndarray, np.ndarray]:
    """Gradients (K, size) and losses (K,) of the first batch of every run at weights theta.

    With betas (0, 0) the first moment is the gradient.
    """
    lanes = engine.lanes(group, CPU)
    lanes.state["theta"] = lanes._up(np.tile(theta[:, None], len(group)))
    recorded = lanes.advance(1)
    first = lanes._down("first").reshape(lanes.size, len(group)).T
    return np.array(first), recorded[0][1]


BARE = Recipe(steps=1, batch=24, dtype="float64", betas=(0.0, 0.0))
PAIR = (0.2, 0.4)


def measure_counts() -> list[list[float]]:
    """Counts of patterns 01, 10, 11 in the first batches of many models, from their gradients."""
    group = runs(700, BARE, n=2, d=1, S=PAIR)
    theta = np.array([0.7, -0.4, 0.3, 0.5])
    found, losses = gradients(group, theta, CudaEngine())
    patterns = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=float)
    W, b = theta[:2], theta[2:]
    rows = []
    for x in patterns:  # the gradient and the loss of one sample, by hand
        z = W * (W @ x) + b
        e = (z - x) * (z > 0)
        D = 2.0 / BARE.batch * np.outer(e, x)
        slope = [*((D + D.T) @ W), *(2.0 / BARE.batch * e)]
        rows.append([*slope, np.sum((np.maximum(z, 0) - x) ** 2) / BARE.batch])
    A = np.array(rows).T
    counts, *_ = np.linalg.lstsq(A, np.column_stack([found, losses]).T, rcond=None)
    return counts.T.tolist()


ROWS: list[dict[str, Any]] = [
    {"n": 8, "d": 1, "S": tuple(0.05 * (i + 1) for i in range(8))},
    {"n": 4, "d": 1, "S": 0.3, "law": "uniform", "joint": "together:2"},
    {"n": 4, "d": 1, "S": 0.3, "law": "exponential", "joint": "apart:2"},
    {"n": 4, "d": 1, "S": 1.0, "law": "uniform", "joint": "one-on"},
]


def measure_rows() -> list[list[list[float]]]:
    """Sums of every feature's values over a batch: with W = 0 and b = 1, e = 1 - x."""
    found = []
    for setting in ROWS:
        group, n = runs(500, BARE, **setting), setting["n"]
        theta = np.concatenate([np.zeros(n), np.ones(n)])
        slope, _ = gradients(group, theta, CudaEngine())
        found.append((BARE.batch * (1.0 - slope[:, n:] / 2.0)).tolist())
    return found


def measure_company() -> list[bool]:
    """Equality, bit by bit, with a run's result alone, in one lane and in one go."""
    same = []
    recipe = Recipe(steps=12, batch=16, lr=0.05)
    for setting in ({"n": 5, "d": 2, "S": 0.2}, {"n": 5, "d": 2, "S": 0.3, "law": "uniform"}):
        group = runs(5, recipe, **setting)
        group[3] = Run(Setting(**{**setting, "S": 0.07}), recipe, 3)  # a law of its own
        alone = np.concatenate([trained(CudaEngine(lanes=1), [run]) for run in group])
        for lanes, parts in ((1, ()), (2, (5, 7)), (8, (1, 11))):
            turned = trained(CudaEngine(lanes=lanes), group[::-1], parts)[::-1]
            same.append(np.ascontiguousarray(turned).tobytes() == alone.tobytes())
        kept = CudaEngine(lanes=2).lanes(group, CPU)
        kept.advance(6)
        kept.keep([1, 3])
        kept.advance(6)
        same.append(kept.weights().tobytes() == alone[[1, 3]].tobytes())
    return same


def measure_broken() -> list[bool]:
    """Which of three runs are sound when the importance of one overflows."""
    group = runs(3, Recipe(steps=3, batch=16), n=3, d=1, S=0.5)
    bad = Setting(3, 1, 0.5, importance=(3e38, 1, 1))
    group[1] = Run(bad, group[1].recipe, 1)
    lanes = CudaEngine(lanes=2).lanes(group, CPU)
    lanes.advance(3)
    return lanes.sound().tolist()


def measure_records() -> list[int]:
    recipe = Recipe(steps=70, batch=4)
    lanes = CudaEngine().lanes(runs(1, recipe, n=2, d=1, S=0.3), CPU)
    return [step for count in (3, 61, 6) for step, _ in lanes.advance(count)]


def measure_training() -> list[Any]:
    """validate.train itself, on a GPU that is pretended."""
    from unittest import mock

    from validate.training.trainer import train

    recipe = Recipe(steps=70, batch=8, lr=0.05, snapshots=3)
    group = runs(3, recipe, n=2, d=1, S=0.3)
    bad = Setting(2, 1, 0.3, importance=(3e38, 1))
    with mock.patch("torch.cuda.is_available", lambda: True):
        done = train([*group, Run(bad, recipe, 0)], device="cuda", engine="cuda", memory=2**26)
    direct = trained(CudaEngine(), group)
    flat = [np.concatenate([t.W.ravel(), t.b]) for t in done[:3]]
    return [
        [t.status for t in done],
        done[0].device,
        [step for step, _, _ in done[0].snapshots],
        bool(np.array_equal(flat, direct)),
    ]


@pytest.fixture(scope="module")
def simulated() -> dict[str, Any]:
    """Everything measured in the simulator."""
    env = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, __file__], env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@needs_numba
def test_first_steps_are_those_of_the_reference(simulated: dict[str, Any]) -> None:
    """Same samples, same weights: the sums have other orders, weights are of order 1."""
    kinds = {kind_of(runs(1, **setting)[0]) for setting, _ in FOLLOWED}
    assert kinds == {"counts", "rows"}
    assert max(simulated["follow"]) < 1e-12
    assert max(simulated["single"]) < 1e-5, "float32"
    assert simulated["dropped"] > 1e-3, "control: all-off samples without their gradient"


@needs_numba
def test_counts_of_patterns_are_multinomial(simulated: dict[str, Any]) -> None:
    counts = np.array(simulated["counts"])
    whole = np.rint(counts)
    np.testing.assert_allclose(counts, whole, atol=1e-6, err_msg="a gradient of whole samples")
    assert np.all(whole >= 0) and np.all(whole.sum(axis=1) == BARE.batch)
    p, q = PAIR
    chances = [(1 - p) * (1 - q), p * (1 - q), (1 - p) * q, p * q]
    for column, chance in zip(whole.T, chances, strict=True):
        assert fits(column, stats.binom(BARE.batch, chance))
    assert fits(whole[:, 1] + whole[:, 3], stats.binom(BARE.batch, p))
    assert fits(whole[:, 1] + whole[:, 2], stats.binom(BARE.batch, chances[1] + chances[2]))
    # Controls: independent Poisson counts, and a chance that is off by a tenth.
    assert not fits(whole[:, 0], stats.poisson(BARE.batch * chances[0]))
    assert not fits(whole[:, 3], stats.binom(BARE.batch, 1.3 * chances[3]))


def fits(values: np.ndarray, law: Any) -> bool:
    """Chi-square test of whole numbers against a law, cells of at least ten expected."""
    edges, expected = [], []
    low, total = 0, len(values)
    for k in range(int(law.ppf(1 - 1e-12)) + 2):
        mass = total * (law.cdf(k) - (law.cdf(low - 1) if low else 0.0))
        if mass >= 10.0:
            edges.append(k)
            expected.append(mass)
            low = k + 1
    edges[-1], expected[-1] = 10**9, expected[-1] + total - sum(expected)
    seen = np.bincount(np.searchsorted(edges, values), minlength=len(edges))
    return bool(stats.chisquare(seen, expected).pvalue > ALPHA)


@needs_numba
def test_rows_follow_their_joint_law(simulated: dict[str, Any]) -> None:
    for setting, found in zip(ROWS, simulated["rows"], strict=True):
        group = runs(1, BARE, **setting)
        assert kind_of(group[0]) == "rows"
        x, law = np.array(found), sampler(group[0].setting)
        n, B, K = law.n, BARE.batch, len(x)
        on = np.repeat(law.chance, law.size) / (law.size if law.single else 1)
        m, s = {"binary": (1.0, 1.0), "uniform": (1 / 2, 1 / 3), "exponential": (1.0, 2.0)}[law.law]
        both = np.outer(on, on)
        for g in range(law.groups):
            part = slice(g * law.size, (g + 1) * law.size)
            both[part, part] = 0.0 if law.single else law.chance[g]
        covariance = B * (both - np.outer(on, on)) * m * m
        np.fill_diagonal(covariance, B * (on * s - (on * m) ** 2))
        far = (x.mean(axis=0) - B * on * m) / np.sqrt(np.diag(covariance) / K)
        assert np.abs(far).max() < stats.norm.isf(ALPHA / (2 * n)), setting
        # Products of deviations, each with its own observed spread (fixed above by K = 500).
        y = x - B * on * m
        products = y[:, :, None] * y[:, None, :]
        noise = products.std(axis=0) / np.sqrt(K)
        off = np.abs(products.mean(axis=0) - covariance) / noise
        assert off.max() < stats.norm.isf(ALPHA / n**2), setting
        if law.law == "binary":
            assert all(fits(np.rint(x[:, i]), stats.binom(B, on[i])) for i in range(n))
            assert not fits(np.rint(x[:, 0]), stats.binom(B, on[1])), "control"


@needs_numba
def test_company_lanes_and_parts_do_not_matter(simulated: dict[str, Any]) -> None:
    assert all(simulated["company"])


@needs_numba
def test_a_model_that_breaks_is_told_from_its_neighbours(simulated: dict[str, Any]) -> None:
    assert simulated["broken"] == [True, False, True]


@needs_numba
def test_losses_are_recorded_where_they_should(simulated: dict[str, Any]) -> None:
    """Every quarter of a chunk and at the end, however the steps were asked for."""
    assert chunk_of(Recipe(steps=70)) == 64
    assert simulated["records"] == [16, 32, 48, 64, 70]


@needs_numba
def test_training_runs_on_the_engine(simulated: dict[str, Any]) -> None:
    status, device, snapshots, same = simulated["training"]
    assert status == ["finished"] * 3 + ["diverged"]
    assert device == "cuda/cuda" and snapshots == [0, 1, 70] and same


# Compiled for the processor: enough steps for a distribution.


@needs_numba
def test_final_losses_have_the_references_distribution() -> None:
    """Mean final losses agree within 2 %, interval and all; the rest by Kolmogorov and Smirnov."""
    recipe = Recipe(steps=400, batch=64, lr=0.02)
    group = runs(600, recipe, n=3, d=2, S=0.25)
    features = group[0].setting.features
    found = [
        np.array([loss(w[:6].reshape(2, 3), w[6:], features=features).total for w in weights])
        for weights in (trained(CudaEngine("host"), group), trained(TorchEngine(), group))
    ]
    ours, theirs = found
    far = abs(ours.mean() - theirs.mean()) + 2.0 * np.sqrt((ours.var() + theirs.var()) / len(ours))
    assert far < 0.02 * theirs.mean()
    assert stats.ks_2samp(ours, theirs).pvalue > ALPHA
    assert stats.ks_2samp(1.01 * ours, theirs).pvalue < ALPHA, "control: one percent is seen"


# Tables.


@needs_numba
def test_random_words_are_those_of_xoshiro() -> None:
    """Against the published recurrence in whole numbers of Python, from another seed too."""
    from validate.training.cuda_kernels import Shape, random_parts

    word = random_parts(Shape("rows", 2, 1, 1, 1, False, True, True, False, "simulator"))[0]
    mask = 0xFFFFFFFF

    def turned(x: int, k: int) -> int:
        return (x << k | x >> (32 - k)) & mask

    for seed in ([1, 2, 3, 4], [0xDEADBEEF, 0xFFFFFFFF, 0, 0x80000001]):
        s, g = list(seed), np.array(seed, dtype=np.uint32)
        for _ in range(200):
            expected = (turned((s[0] + s[3]) & mask, 7) + s[0]) & mask
            t = s[1] << 9 & mask
            s[2] ^= s[0]
            s[3] ^= s[1]
            s[1] ^= s[2]
            s[0] ^= s[3]
            s[2] ^= t
            s[3] = turned(s[3], 11)
            with np.errstate(over="ignore"):
                assert int(word(g)) == expected


@needs_numba
def test_table_draws_follow_their_laws() -> None:
    from validate.training.cuda_kernels import Shape, random_parts

    shape = Shape("counts", 2, 1, 1, 1, False, True, True, False, "simulator")
    _, below, entry, value = random_parts(shape)
    g = np.array([1, 2, 3, 4], dtype=np.uint32)
    with np.errstate(over="ignore"):
        for mean in (0.3, 5.0, 60.0):
            low, chances = gpu_tables.poisson(mean)
            bits = gpu_tables._bits(len(chances))
            columns = gpu_tables.alias(chances, bits)
            drawn = np.array([low + entry(0, bits, *columns, g) for _ in range(4000)])
            assert fits(drawn, stats.poisson(mean))
            assert not fits(drawn, stats.poisson(1.3 * mean))
        limit, rest = gpu_tables.fixed(np.array([0.3]))
        hits = sum(bool(below(limit[0], rest[0], g)) for _ in range(4000))
        assert stats.binomtest(hits, 4000, 0.3).pvalue > ALPHA
        u = np.array([value(1, g) for _ in range(4000)])
        e = np.array([value(2, g) for _ in range(4000)])
    assert stats.kstest(u, "uniform").pvalue > ALPHA
    assert stats.kstest(e, "expon").pvalue > ALPHA


def test_tables_hold_the_law_they_were_made_from() -> None:
    """Chances read back from the columns; limits are right to 64 bits."""
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, 17, 64, 200):
        p = rng.exponential(size=size) ** 3
        bits = gpu_tables._bits(size)
        limits, lows, others = gpu_tables.alias(p, bits)
        own = (limits + lows / 2.0**32) / 2.0 ** (32 - bits)
        back = np.bincount(np.arange(len(own)), own, len(own))
        back += np.bincount(others, 1.0 - own, len(own))
        np.testing.assert_allclose(back[:size] / 2**bits, p / p.sum(), atol=1e-15)
        assert np.all(back[size:] < 1e-12)


def test_acceptance_makes_a_binomial_of_a_poisson() -> None:
    for batch, a in ((64, 0.3), (1024, 0.226), (1024, 0.97)):
        low, accept = gpu_tables.acceptance(batch, a)
        T = np.arange(low, low + len(accept))
        made = stats.poisson(batch * a).pmf(T) * accept
        np.testing.assert_allclose(made / made.sum(), stats.binom(batch, a).pmf(T), atol=1e-12)
        assert made.sum() == pytest.approx(np.sqrt(1 - a), rel=0.05)


def test_patterns_are_ordered_and_complete() -> None:
    law = sampler(Setting(5, 2, (0.1, 0.2, 0.3, 0.4, 0.9)))
    masks, q = gpu_tables.ordered(law)
    assert sorted(masks) == list(range(32)) and np.all(np.diff(q) <= 0) and q.sum() == 1.0
    table, means = gpu_tables.count_law(law, 1024)
    counted = table.head[1]
    assert means[counted + 1 :].sum() <= gpu_tables.RARE < means[counted:].sum()
    sure = gpu_tables.count_law(Sampler(2, 1, np.ones(2), False, "binary"), 8)[0]
    assert sure.head[:3] == [3, 0, 0], "one pattern takes all"


# Large models.


@pytest.mark.parametrize(("dtype", "limit"), [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("setting", [{}, {"bias": False, "law": "uniform"}, {"relu": False}])
def test_the_graph_ready_step_is_the_references(
    dtype: str, limit: float, setting: dict[str, Any]
) -> None:
    recipe = Recipe(40, 48, 0.05, "linear", 2, dtype=dtype, weight_decay=0.1)
    group = runs(3, recipe, **{"n": 12, "d": 4, "S": 0.2, **setting})
    x = batches(group, 4)
    theirs = TorchEngine().follow(group, x)
    assert np.abs(graphs.follow(group, x, CPU) - theirs).max() < limit
    assert np.abs(graphs.follow(group, x[::-1], CPU) - theirs).max() > 1e-3, "control"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, while it compiles
def test_the_compiled_step_is_the_references() -> None:
    group = runs(2, SHORT, n=12, d=4, S=0.2)
    x = batches(group, 4)
    apart = graphs.follow(group, x, CPU, "compiled") - TorchEngine().follow(group, x)
    assert np.abs(apart).max() < 1e-12


def test_large_models_train_and_keep_to_themselves() -> None:
    recipe = Recipe(steps=200, batch=64, lr=0.02)
    group = runs(4, recipe, n=12, d=4, S=0.1)
    group[2] = Run(Setting(12, 4, 0.3, "uniform"), recipe, 2)
    lanes = graphs.GraphLanes(group, CPU)
    first = lanes.advance(40) + lanes.advance(24)
    assert [step for step, _ in first] == [16, 32, 48, 64] and lanes.sound().all()
    lanes.keep([2, 3])
    recorded = [step for count in (64, 64, 8) for step, _ in lanes.advance(count)]
    assert recorded[-1] == 200
    other = graphs.GraphLanes(group[2:], CPU)
    for count in (64, 64, 64, 8):
        last = other.advance(count)
    np.testing.assert_array_equal(lanes.weights(), other.weights())
    assert last[-1][1][1] < 0.8 * first[0][1][3]


def test_runs_that_do_not_fit_the_chip_go_to_the_graph() -> None:
    assert kind_of(runs(1, n=400, d=30, S=0.05)[0]) == "graph"
    assert kind_of(Run(Setting(5, 2, 0.1), Recipe(10, batch=2**21), 0)) == "graph"
    lanes = CudaEngine("host").lanes(runs(2, n=100, d=3, S=0.1), CPU)
    assert isinstance(lanes, graphs.GraphLanes)


# What stands around it.


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    for name in ("numba", "numba_cuda"):
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda n, gone=name: None if n == gone else found(n)
        )
        assert "pip install 'feature-packing[cuda]'" in CudaEngine().missing()


def test_memory_and_shapes_are_checked() -> None:
    group = runs(2, n=5, d=2, S=0.1)
    engine = CudaEngine("host")
    assert engine.most(group, "cuda", 2**30) > 1000
    with pytest.raises(BadInput, match="allow more"):
        engine.most(group, "cuda", 1000)
    with pytest.raises(BadInput, match=r"give \(K, T, n, B\)"):
        engine.follow(group, np.zeros((2, 1, 4, 32)))


def test_the_bound_counts_what_a_step_needs() -> None:
    """(1, 1), S = 1: one pattern, counted by hand."""
    from validate.training.cuda_engine import ADAM, bound

    one = bound(Run(Setting(1, 1, 1.0), Recipe(100), 0))
    # Gram 2, the pattern 2 + 4, D + D' 3, its product with W 2, Adam for W and b.
    assert one.operations == 2 + 6 + 3 + 2 + 2 * ADAM
    for S in (0.05, 0.5):
        need = bound(Run(Setting(5, 2, S), Recipe(100), 0))
        assert need.operations < need.dense / 10 and need.bytes < 10


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for no GPU")
@needs_numba
def test_the_benchmark_says_that_it_needs_a_gpu() -> None:
    script = ROOT / "benchmarks" / "gpu.py"
    env = {k: v for k, v in os.environ.items() if k != "NUMBA_ENABLE_CUDASIM"}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=env)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("This benchmark needs a GPU: ") and done.stderr.count("\n") == 1


@pytest.mark.slow
@needs_numba
def test_the_benchmark_runs_through(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "benchmarks" / "gpu.py", "--dry-run", "--out", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "simulator.json").read_text())
    assert {"checks", "small", "large", "crossing"} <= set(found)
    assert "of the arithmetic bound" in (tmp_path / "simulator.md").read_text()


def main() -> None:
    single = [
        CudaEngine().follow(group, x) - TorchEngine().follow(group, x)
        for setting, _ in FOLLOWED[:4:3]
        for group in [runs(2, Recipe(steps=40, batch=32, lr=0.05), **setting)]
        for x in [batches(group, 3)]
    ]
    found = {
        "follow": measure_follow(CudaEngine),
        "single": [float(np.abs(one).max()) for one in single],
        "dropped": measure_dropped(),
        "counts": measure_counts(),
        "rows": measure_rows(),
        "company": measure_company(),
        "broken": measure_broken(),
        "records": measure_records(),
        "training": measure_training(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
