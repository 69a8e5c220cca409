"""The CUDA engine without a GPU: in numba's simulator.

The simulator must be chosen before numba is imported, so it runs in a process of its own: this file
as a script measures and prints JSON, the tests judge. Every statistical check has a chance of at
most ALPHA to fail for a correct engine, and seeds are fixed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from scipy import stats

from packing.errors import BadInput
from validate.experiments import Recipe, Run, Setting
from validate.sampling import sampler
from validate.training.cuda_engine import CudaEngine
from validate.training.engine import engine_for
from validate.training.torch_engine import TorchEngine
from validate.training.trainer import train

ALPHA = 1e-4
CPU = torch.device("cpu")
ROOT = Path(__file__).parents[1]

needs_numba = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("numba", "numba_cuda")),
    reason="numba-cuda is not installed: pip install 'feature-packing[cuda]'",
)

SHORT = Recipe(
    steps=40, batch=16, lr=0.05, dtype="float64", weight_decay=0.1, warmup=2, schedule="linear"
)
SINGLE = Recipe(steps=40, batch=16, lr=0.05)
BARE = Recipe(steps=1, batch=24, dtype="float64", betas=(0.0, 0.0))

FOLLOWED: list[dict[str, Any]] = [
    {"n": 5, "d": 2, "S": 0.2},
    {"n": 5, "d": 2, "S": 0.2, "bias": False, "importance": (1, 0.5, 2, 0, 1)},
    {"n": 3, "d": 1, "S": (0.1, 0.9, 1.0), "relu": False},
    {"n": 7, "d": 3, "S": 0.3, "law": "exponential"},
    {"n": 6, "d": 2, "S": 0.2, "law": "uniform", "joint": "apart:3"},
    {"n": 6, "d": 2, "S": 0.4, "joint": "together:2"},
    {"n": 11, "d": 4, "S": 0.2},
]

ROWS: list[dict[str, Any]] = [
    {"n": 4, "d": 1, "S": (0.05, 0.1, 0.3, 0.4)},
    {"n": 4, "d": 1, "S": 0.3, "law": "uniform", "joint": "together:2"},
    {"n": 4, "d": 1, "S": 0.3, "law": "exponential", "joint": "apart:2"},
    {"n": 4, "d": 1, "S": 1.0, "law": "uniform", "joint": "one-on"},
]


def runs(count: int, recipe: Recipe = SHORT, **setting: Any) -> list[Run]:
    return [Run(Setting(**setting), recipe, seed) for seed in range(count)]


def apart(group: list[Run], steps: int = 2, drop: bool = False) -> float:
    """Largest difference of weights from the reference's on the same samples."""
    rng, batch, law = np.random.default_rng(7), group[0].recipe.batch, sampler(group[0].setting)
    x = np.stack([[law.draw(rng, batch).T for _ in range(steps)] for _ in group])
    theirs = TorchEngine().follow(group, x)
    if drop:
        x = np.concatenate([x[..., 1:], x[..., :1] * 0.0], axis=3)
    return float(np.abs(CudaEngine().follow(group, x) - theirs).max())


def trained(group: list[Run], parts: tuple[int, ...]) -> np.ndarray:
    lanes = CudaEngine().lanes(group, CPU)
    for count in parts:
        lanes.advance(count)
    return lanes.weights()


# What the simulator is asked to measure.


def sums_of_values(setting: dict[str, Any]) -> list[list[float]]:
    """Of every feature, over a batch of many models: with W = 0 and b = 1, e = 1 - x.

    With betas (0, 0) the first moment is the gradient.
    """
    group, n = runs(120, BARE, **setting), setting["n"]
    lanes = CudaEngine().lanes(group, CPU)
    theta = np.concatenate([np.zeros(n), np.ones(n)])
    lanes._put(theta=np.tile(theta, (len(group), 1)))
    lanes.advance(1)
    slope = lanes._get("first")[:, n:]
    return (BARE.batch * (1.0 - slope / 2.0)).tolist()  # type: ignore[no-any-return]


def company() -> list[bool]:
    """Equality, bit by bit, with a run's result alone and in one go."""
    same = []
    recipe = Recipe(steps=12, batch=8, lr=0.05)
    for setting in ({"n": 4, "d": 2, "S": 0.2}, {"n": 4, "d": 2, "S": 0.3, "law": "uniform"}):
        group = runs(3, recipe, **setting)
        group[2] = Run(Setting(**{**setting, "S": 0.07}), recipe, 2)  # a law of its own
        alone = np.concatenate([trained([run], (12,)) for run in group])
        turned = trained(group[::-1], (5, 7))[::-1]
        same.append(np.ascontiguousarray(turned).tobytes() == alone.tobytes())
        lanes = CudaEngine().lanes(group, CPU)
        lanes.advance(6)
        lanes.keep([0, 2])
        lanes.advance(6)
        same.append(lanes.weights().tobytes() == alone[[0, 2]].tobytes())
    return same


def broken() -> list[bool]:
    """Which of three runs are sound when the importance of one overflows."""
    group = runs(3, Recipe(steps=3, batch=16), n=3, d=1, S=0.5)
    group[1] = Run(Setting(3, 1, 0.5, importance=(3e38, 1, 1)), group[1].recipe, 1)
    lanes = CudaEngine().lanes(group, CPU)
    lanes.advance(3)
    return lanes.sound().tolist()  # type: ignore[no-any-return]


def training() -> list[Any]:
    """validate.train itself, on a GPU that is pretended."""
    recipe = Recipe(steps=70, batch=4, lr=0.05, snapshots=3)
    group = runs(2, recipe, n=2, d=1, S=0.3)
    bad = Run(Setting(2, 1, 0.3, importance=(3e38, 1)), recipe, 0)
    with mock.patch("torch.cuda.is_available", lambda: True):
        done = train([*group, bad], device="cuda", engine="cuda", memory=2**26)
    flat = [np.concatenate([t.W.ravel(), t.b]) for t in done[:2]]
    same = bool(np.array_equal(flat, trained(group, (64, 6))))
    steps = [step for step, _, _ in done[0].snapshots]
    return [[t.status for t in done], done[0].device, steps, same]


def words(seed: list[int]) -> list[int]:
    """The generator's state after a step of (1, 1) on S = 1: gap and value take two words each."""
    lanes = CudaEngine().lanes(runs(1, Recipe(1, batch=20), n=1, d=1, S=1.0, law="uniform"), CPU)
    lanes._put(random=np.array([seed], dtype=np.uint32))
    lanes.advance(1)
    return lanes._get("random")[0].tolist()  # type: ignore[no-any-return]


SEEDS = [[1, 2, 3, 4], [0xDEADBEEF, 0xFFFFFFFF, 0, 0x80000001]]


def measured() -> dict[str, Any]:
    lanes = CudaEngine().lanes(runs(1, Recipe(steps=70, batch=4), n=2, d=1, S=0.3), CPU)
    return {
        "follow": [apart(runs(2, **setting)) for setting in FOLLOWED],
        "single": [apart(runs(2, SINGLE, **setting)) for setting in FOLLOWED[:4:3]],
        "dropped": apart(runs(2, **FOLLOWED[0]), drop=True),
        "sums": [sums_of_values(setting) for setting in ROWS],
        "company": company(),
        "broken": broken(),
        "records": [step for count in (3, 61, 6) for step, _ in lanes.advance(count)],
        "training": training(),
        "words": [words(seed) for seed in SEEDS],
    }


@pytest.fixture(scope="module")
def simulated() -> dict[str, Any]:
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
    assert max(simulated["follow"]) < 1e-12
    assert max(simulated["single"]) < 1e-5, "float32"
    assert simulated["dropped"] > 1e-3, "control: one sample without what was on"


def far(x: np.ndarray, setting: dict[str, Any]) -> tuple[float, float]:
    """How far means and products of deviations are from their law, in standard errors."""
    law, K, B = sampler(Setting(**setting)), len(x), BARE.batch
    on = np.repeat(law.chance, law.size) / (law.size if law.single else 1)
    m, s = {"binary": (1.0, 1.0), "uniform": (1 / 2, 1 / 3), "exponential": (1.0, 2.0)}[law.law]
    both = np.outer(on, on)
    for g in range(law.groups):
        part = slice(g * law.size, (g + 1) * law.size)
        both[part, part] = 0.0 if law.single else law.chance[g]
    covariance = B * (both - np.outer(on, on)) * m * m
    np.fill_diagonal(covariance, B * (on * s - (on * m) ** 2))
    y = x - B * on * m
    products = y[:, :, None] * y[:, None, :]
    noise = products.std(axis=0) / np.sqrt(K)  # each with its own observed spread
    means = np.abs(y.mean(axis=0)) / np.sqrt(np.diag(covariance) / K)
    return float(means.max()), float((np.abs(products.mean(axis=0) - covariance) / noise).max())


@needs_numba
def test_rows_follow_their_joint_law(simulated: dict[str, Any]) -> None:
    for setting, found in zip(ROWS, simulated["sums"], strict=True):
        x, n = np.array(found), setting["n"]
        means, products = far(x, setting)
        assert means < stats.norm.isf(ALPHA / (2 * n)), setting
        assert products < stats.norm.isf(ALPHA / n**2), setting
    x, chances = np.array(simulated["sums"][0]), ROWS[0]["S"]
    for i, S in enumerate(chances):
        assert fits(np.rint(x[:, i]), stats.binom(BARE.batch, S))
    assert not fits(np.rint(x[:, 0]), stats.binom(BARE.batch, chances[1])), "control"
    wrong = {**ROWS[0], "S": tuple(1.25 * S for S in chances)}
    assert far(x, wrong)[0] > stats.norm.isf(ALPHA / 8), "control: S a quarter too large"


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
def test_random_words_are_those_of_xoshiro(simulated: dict[str, Any]) -> None:
    """The state against the published recurrence in whole numbers of Python."""
    mask = 0xFFFFFFFF
    for seed, found in zip(SEEDS, simulated["words"], strict=True):
        s = list(seed)
        for _ in range(2 * 20 + 2 * 21):
            t = s[1] << 9 & mask
            s[2] ^= s[0]
            s[3] ^= s[1]
            s[1] ^= s[2]
            s[0] ^= s[3]
            s[2] ^= t
            s[3] = (s[3] << 11 | s[3] >> 21) & mask
        assert found == s


@needs_numba
def test_company_and_parts_do_not_matter(simulated: dict[str, Any]) -> None:
    assert all(simulated["company"])


@needs_numba
def test_training_runs_on_the_engine(simulated: dict[str, Any]) -> None:
    assert simulated["broken"] == [True, False, True]
    assert simulated["records"] == [16, 32, 48, 64, 70], "every quarter of a chunk, and at the end"
    status, device, snapshots, same = simulated["training"]
    assert status == ["finished"] * 2 + ["diverged"]
    assert device == "cuda/cuda" and snapshots == [0, 1, 70] and same


# What stands around it.


def test_auto_never_takes_it() -> None:
    assert engine_for("auto", runs(1, n=5, d=2, S=0.1)[0], "cuda") == "torch"


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    for name in ("numba", "numba_cuda"):
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda n, gone=name: None if n == gone else found(n)
        )
        assert "pip install 'feature-packing[cuda]'" in CudaEngine().missing()


def test_memory_and_shapes_are_checked() -> None:
    group = runs(2, n=5, d=2, S=0.1)
    assert CudaEngine().most(group, "cuda", 2**30) > 1000
    with pytest.raises(BadInput, match="allow more"):
        CudaEngine().most(group, "cuda", 1000)
    with pytest.raises(BadInput, match=r"give \(K, T, n, B\)"):
        CudaEngine().follow(group, np.zeros((2, 1, 4, 32)))
    assert "n <= 1024, not 1025" in CudaEngine().refusal(runs(1, n=1025, d=2, S=0.1)[0])


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for no GPU")
@needs_numba
def test_without_a_gpu_it_is_refused() -> None:
    assert "finds no GPU" in CudaEngine().missing()
    script = ROOT / "benchmarks" / "gpu.py"
    env = {k: v for k, v in os.environ.items() if k != "NUMBA_ENABLE_CUDASIM"}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=env)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("This benchmark needs a GPU: ") and done.stderr.count("\n") == 1


if __name__ == "__main__":
    print(json.dumps(measured()))
