"""The CUDA engine beside PyTorch on the same GPU. It has never run on one; this is the first test.

    python benchmarks/gpu.py [--models 10000]

1. Correctness: the same samples give the weights of the reference on the CPU, to rounding; results
   are bitwise the same in another order; mean final losses lie within TOLERANCE of the reference's,
   confidence interval and all. If a check fails, nothing is timed: exit 1. Limits were set before
   anything was measured.
2. Steps of models per second of both engines, medians of REPEATS after one stretch that does not
   count.

Prints Markdown. Without a GPU: one sentence, exit 2.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from theory.losses.expected import loss
from validate.experiments import Recipe, Run, Setting
from validate.sampling import sampler
from validate.training.cuda_engine import CudaEngine
from validate.training.engine import Engine
from validate.training.torch_engine import TorchEngine

TOLERANCE = 0.02
"""Of the mean final loss: differences between engines that would move a suite's verdict are larger
(their tolerances start at 0.05)."""

ROUNDING = 1e-9
"""Of weights after a few steps in float64 that agree but for the order of sums."""

REPEATS = 5

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def runs_of(
    count: int, steps: int, batch: int, dtype: str = "float32", **setting: Any
) -> list[Run]:
    made = Setting(**{"n": 5, "d": 2, "S": 0.05, **setting})
    recipe = Recipe(steps=steps, batch=batch, dtype=dtype, lr=0.02)
    return [Run(made, recipe, seed) for seed in range(count)]


def trained(engine: Engine, runs: list[Run], place: torch.device) -> np.ndarray:
    """Weights after all steps."""
    lanes, steps = engine.lanes(runs, place), runs[0].recipe.steps
    for done in range(0, steps, lanes.chunk):
        lanes.advance(min(lanes.chunk, steps - done))
    found = lanes.weights()
    lanes.close()
    return found


def checks() -> Iterator[tuple[str, float, float]]:
    """What is checked, the difference found, and the largest allowed."""
    rng, cuda, reference = np.random.default_rng(0), CudaEngine(), TorchEngine()
    cases: list[dict[str, Any]] = [
        {"n": 5, "d": 2, "S": 0.2},
        {"n": 8, "d": 3, "S": 0.2, "law": "uniform", "importance": tuple(0.9**i for i in range(8))},
        {"n": 6, "d": 2, "S": 0.3, "joint": "together:2", "law": "exponential", "relu": False},
        {"n": 24, "d": 4, "S": 0.1, "bias": False},
        {"n": 80, "d": 9, "S": 0.05},
    ]
    for case in cases:
        runs = runs_of(3, 20, 256, "float64", **case)
        law = sampler(runs[0].setting)
        x = np.stack([[law.draw(rng, 256).T for _ in range(4)] for _ in runs])
        apart = np.abs(cuda.follow(runs, x) - reference.follow(runs, x)).max()
        yield f"same samples, {case}", float(apart), ROUNDING
    for case in ({}, {"law": "uniform", "S": 0.3}):
        runs = runs_of(500, 300, 256, **case)
        one, other = trained(cuda, runs, GPU), trained(cuda, runs[::-1], GPU)[::-1]
        same = one.tobytes() == np.ascontiguousarray(other).tobytes()
        yield f"another order, bitwise, {case}", float(not same), 0.5
    for case in ({"S": 0.1}, {"n": 4, "S": 0.5}, {"S": 0.2, "law": "uniform"}, {"n": 12, "d": 3}):
        runs = runs_of(3000, 800, 256, **case)
        n, d, features = runs[0].setting.n, runs[0].setting.d, runs[0].setting.features
        means, variances = [], []
        for engine, place in ((cuda, GPU), (reference, CPU)):
            values = [
                loss(w[: n * d].reshape(d, n), w[n * d :], features=features).total
                for w in trained(engine, runs, place)
            ]
            means.append(statistics.fmean(values))
            variances.append(statistics.variance(values) / len(runs))
        # The first weights are the same ones, so the interval is on the safe side.
        far = abs(means[0] - means[1]) + 1.96 * math.sqrt(sum(variances))
        yield f"mean final loss, {case}", far / means[1], TOLERANCE


def rate(engine: Engine, runs: list[Run]) -> float:
    """Steps of models per second, of as many models as the engine takes at once."""
    some = runs[: engine.most(runs, "cuda", None)]
    lanes, times = engine.lanes(some, GPU), []
    for _ in range(REPEATS + 1):
        torch.cuda.synchronize()
        start = time.perf_counter()
        lanes.advance(lanes.chunk)
        lanes.weights()  # waits for the device
        times.append(time.perf_counter() - start)
    lanes.close()
    return len(some) * lanes.chunk / statistics.median(times[1:])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=int, default=10_000)
    options = parser.parse_args()
    why = CudaEngine().missing()
    if not why and not torch.cuda.is_available():
        why = "PyTorch finds no GPU here"
    if why:
        print(f"This benchmark needs a GPU: {why}.", file=sys.stderr)
        return 2
    print(f"{torch.cuda.get_device_name()}\n\n| check | value | limit |\n|---|---|---|")
    sound = True
    for name, value, limit in checks():
        print(f"| {name} | {value:.2e} | {limit:.2g} |", flush=True)
        sound = sound and value <= limit
    if not sound:
        print("The engine disagrees with the reference: nothing was timed.", file=sys.stderr)
        return 1
    print("\n| n, d | S | cuda, model steps/s | torch | ratio |\n|---|---|---|---|---|")
    for n, d in ((5, 2), (16, 4), (64, 16), (400, 30)):
        for S in (0.05, 0.5):
            runs = runs_of(options.models if n < 64 else 64, 100_000, 1024, n=n, d=d, S=S)
            ours, theirs = rate(CudaEngine(), runs), rate(TorchEngine(), runs)
            row = f"| {n}, {d} | {S} | {ours:.3g} | {theirs:.3g} | {ours / theirs:.2f} |"
            print(row, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
