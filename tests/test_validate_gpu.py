"""The CUDA engine without a GPU, in numba's simulator.

The simulator must be chosen before numba is imported, so it runs in a process of its own: this file
as a script measures and prints JSON, the tests judge. The statistical check fails for a correct
engine with a chance of at most 1e-4; seeds are fixed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from packing.errors import BadInput
from theory import loss
from validate.experiments import Recipe, Run, Setting
from validate.sampling import sampler
from validate.training.cuda_engine import LARGEST, CudaEngine
from validate.training.engine import engine_for, usable
from validate.training.step import first_weights
from validate.training.torch_engine import TorchEngine

ROOT = Path(__file__).resolve().parents[1]
CPU = torch.device("cpu")

needs_numba = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("numba", "numba_cuda")),
    reason="numba-cuda is not installed: pip install 'feature-packing[cuda]'",
)

SHORT = Recipe(
    steps=40, batch=8, lr=0.05, dtype="float64", weight_decay=0.1, warmup=2, schedule="linear"
)
STILL = Recipe(steps=2, batch=24, lr=1e-30, dtype="float64")
FOLLOWED: list[dict[str, Any]] = [
    {"n": 5, "d": 2, "S": 0.2},
    {"n": 5, "d": 2, "S": 0.2, "bias": False, "importance": (1, 0.5, 2, 0, 1)},
    {"n": 3, "d": 1, "S": (0.1, 0.9, 1.0), "relu": False},
    {"n": 7, "d": 3, "S": 0.3, "law": "exponential"},
    {"n": 6, "d": 2, "S": 0.2, "law": "uniform", "joint": "apart:3"},
    {"n": 6, "d": 2, "S": 0.4, "joint": "together:2"},
]
DRAWN = ({"n": 4, "d": 2, "S": 0.3}, {"n": 4, "d": 2, "S": 0.3, "law": "uniform"})
DRAWN_AWAY = 3.9
"""Standard errors: the chance to be further away is below 1e-4."""


def runs(count: int, recipe: Recipe = SHORT, **setting: Any) -> list[Run]:
    return [Run(Setting(**setting), recipe, seed) for seed in range(count)]


def script() -> dict[str, Any]:
    """What the simulator is asked to measure."""
    follow = []
    for setting in FOLLOWED:
        group = runs(2, **setting)
        rng, law = np.random.default_rng(7), sampler(group[0].setting)
        x = np.stack([[law.draw(rng, 8).T for _ in range(3)] for _ in group])
        right = TorchEngine().follow(group, x)
        x_off = np.where(x.any(axis=2, keepdims=True), x, 1.0)  # wrong: nothing on becomes all on
        follow.append(
            [
                float(np.abs(CudaEngine().follow(group, x) - right).max()),
                float(np.abs(CudaEngine().follow(group, x_off) - right).max()),
            ]
        )
    drawn = []
    for setting in DRAWN:
        group = [Run(Setting(**setting), STILL, seed) for seed in range(60)]
        lanes = CudaEngine().lanes(group, CPU)
        ((_, losses),) = lanes.advance(1)
        drawn.append(losses.tolist())
    group = runs(3, n=4, d=2, S=0.3)
    lanes = CudaEngine().lanes(group, CPU)
    lanes.advance(2)
    lanes.keep([0, 2])
    lanes.advance(2)
    alone = CudaEngine().lanes(group[2:], CPU)
    alone.advance(4)
    return {
        "follow": follow,
        "drawn": drawn,
        "company": (lanes.weights()[1] == alone.weights()[0]).all().item(),
        "sound": lanes.sound().tolist(),
    }


@cache
def measured() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).resolve())],
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@needs_numba
def test_the_same_samples_give_the_reference_s_weights() -> None:
    """To rounding, 1e-12; wrong samples are told apart."""
    for setting, (right, wrong) in zip(FOLLOWED, measured()["follow"], strict=True):
        assert right < 1e-12, setting
        assert wrong > 1e-6 or setting.get("S") == (0.1, 0.9, 1.0), setting


@needs_numba
def test_what_is_drawn_follows_the_law() -> None:
    """Losses of first batches against the exact loss at the first weights; another S is noticed."""
    for setting, losses in zip(DRAWN, measured()["drawn"], strict=True):
        for S, fits in ((0.3, True), (0.5, False)):
            exact = []
            for seed in range(len(losses)):
                theta = first_weights(Run(Setting(**setting), STILL, seed))
                W, b = theta[:8].reshape(2, 4), theta[8:]
                other = Setting(**{**setting, "S": S}).features
                exact.append(loss(W, b, features=other).total)
            apart = np.array(losses) - np.array(exact)
            error = float(apart.std(ddof=1)) / np.sqrt(len(apart))
            assert (abs(float(apart.mean())) < DRAWN_AWAY * error) == fits


@needs_numba
def test_a_model_is_the_same_alone_and_in_company() -> None:
    assert measured()["company"] is True
    assert measured()["sound"] == [True, True]


def test_it_is_asked_for_by_name_only(monkeypatch: pytest.MonkeyPatch) -> None:
    run = runs(1, n=5, d=2, S=0.1)[0]
    assert engine_for("auto", run, "cuda") == "torch"
    monkeypatch.setattr(CudaEngine, "missing", lambda self: "")
    assert engine_for("auto", run, "cuda") == "torch"
    assert engine_for("cuda", run, "cuda") == "cuda"
    assert "needs --device cuda" in usable("cuda", "cpu")


def test_refusals() -> None:
    large = runs(1, n=100, d=20, S=0.1)[0]
    assert f"at most {LARGEST} parameters" in CudaEngine().refusal(large)
    assert CudaEngine().refusal(runs(1, n=5, d=2, S=0.1)[0]) == ""
    group = runs(1, n=5, d=2, S=0.1)
    with pytest.raises(BadInput, match="allow more"):
        CudaEngine().most(group, "cuda", 100)
    assert CudaEngine().most(group, "cuda", 10**6) > 100


@needs_numba
def test_the_benchmark_says_that_it_needs_a_gpu_and_runs_dry(tmp_path: Path) -> None:
    for words, code in (([], 2), (["--dry-run", "--out", str(tmp_path)], 0)):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", str(ROOT / "benchmarks" / "gpu.py"), *words],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        if code == 2 and torch.cuda.is_available():
            continue
        assert done.returncode == code, done.stderr
    assert "simulator" in (tmp_path / "simulator.md").read_text()


if __name__ == "__main__":
    print(json.dumps(script()))
