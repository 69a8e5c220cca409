"""Is the GPU engine right? What `gpu.py` asks before it times anything.

The same samples give the weights of the reference on the CPU, to rounding; results are bitwise the
same whatever the number of lanes and the company; mean final losses lie within TOLERANCE of the
reference's, confidence interval and all. Limits were set before anything was measured.
"""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import torch

from theory.losses.expected import loss
from validate.experiments import Recipe, Run, Setting
from validate.sampling import sampler
from validate.training.cuda_engine import CudaEngine
from validate.training.torch_engine import TorchEngine

TOLERANCE = 0.02
"""Of the mean final loss: differences between engines that would move a suite's verdict are larger
(their tolerances start at 0.05)."""

ROUNDING = 1e-9
"""Of weights after a few steps in float64 that agree but for the order of sums."""


def runs_of(
    count: int, steps: int, batch: int, dtype: str = "float32", **setting: Any
) -> list[Run]:
    made = Setting(**{"n": 5, "d": 2, "S": 0.05, **setting})
    recipe = Recipe(steps=steps, batch=batch, dtype=dtype, lr=0.02, weight_decay=0.0)
    return [Run(made, recipe, seed) for seed in range(count)]


def trained(engine: Any, runs: list[Run], place: Any) -> Any:
    """Weights after all steps."""
    lanes, done, steps = engine.lanes(runs, place), 0, runs[0].recipe.steps
    while done < steps:
        count = min(lanes.chunk - done % lanes.chunk, steps - done)
        lanes.advance(count)
        done += count
    found = lanes.weights()
    lanes.close()
    return found


def correctness(place: Any, toy: bool) -> list[dict[str, Any]]:
    """Checks against the reference on the CPU; each a row with a verdict."""
    cpu, rows = torch.device("cpu"), []
    rng = np.random.default_rng(0)
    cases: list[dict[str, Any]] = [
        {"n": 5, "d": 2, "S": 0.2},
        {"n": 8, "d": 3, "S": 0.2, "law": "uniform", "importance": tuple(0.9**i for i in range(8))},
        {"n": 6, "d": 2, "S": 0.3, "joint": "together:2", "law": "exponential", "relu": False},
        {"n": 24, "d": 4, "S": 0.1, "bias": False},
        {"n": 80, "d": 9, "S": 0.05},
    ]
    for case in cases[:3] if toy else cases:
        runs = runs_of(3, 20, 32 if toy else 256, "float64", **case)
        law, batch = sampler(runs[0].setting), runs[0].recipe.batch
        x = np.stack([[law.draw(rng, batch).T for _ in range(4)] for _ in runs])
        apart = np.abs(CudaEngine().follow(runs, x) - TorchEngine().follow(runs, x)).max()
        rows.append({"check": f"same samples, {case}", "value": float(apart), "limit": ROUNDING})
    for case in ({}, {"law": "uniform", "S": 0.3}):
        runs = runs_of(6 if toy else 500, 20 if toy else 300, 32 if toy else 256, **case)
        one = trained(CudaEngine(lanes=1), runs, place)
        for lanes in (2, 8):
            other = trained(CudaEngine(lanes=lanes), runs[::-1], place)[::-1]
            same = one.tobytes() == np.ascontiguousarray(other).tobytes()
            rows.append(
                {
                    "check": f"{lanes} lanes and another order, bitwise, {case}",
                    "value": float(not same),
                    "limit": 0.5,
                }
            )
    for case in ({"S": 0.1}, {"n": 4, "S": 0.5}, {"S": 0.2, "law": "uniform"}, {"n": 12, "d": 3}):
        count, steps = (8, 30) if toy else (3000, 800)
        runs = runs_of(count, steps, 32 if toy else 256, **case)
        n, d, features = runs[0].setting.n, runs[0].setting.d, runs[0].setting.features
        mean, square = [], []
        for engine, where in ((CudaEngine(), place), (TorchEngine(), cpu)):
            values = [
                loss(w[: n * d].reshape(d, n), w[n * d :], features=features).total
                for w in trained(engine, runs, where)
            ]
            mean.append(statistics.fmean(values))
            square.append(statistics.variance(values) / count)
        # The first weights are the same ones, so the interval is on the safe side.
        far = abs(mean[0] - mean[1]) + 1.96 * math.sqrt(sum(square))
        limit = math.inf if toy else TOLERANCE
        rows.append({"check": f"mean final loss, {case}", "value": far / mean[1], "limit": limit})
    return rows
