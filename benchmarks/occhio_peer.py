"""Training toy models beside the PyPI package occhio, alternately in one run.

    python -m venv /tmp/occhio
    /tmp/occhio/bin/pip install occhio "torch==2.13.0" --extra-index-url
    https://download.pytorch.org/whl/cpu
    python benchmarks/occhio_peer.py --peer /tmp/occhio/bin/python [--rounds 3] [--law uniform]

occhio wants its own environment: it brings Jupyter and plots along. Give it the PyTorch version
that this environment has, so that only the code differs.

Both sides train 64 models of five features in two dimensions at S = 0.05, batch 1024, Adam, each
model on samples of its own; model-steps per second are models times steps over wall time, after a
first short training that loads everything; per CPU second is the same over the processor's time,
which a busy machine disturbs less. The peer is `ModelGrid` with `TiedLinearRelu`, weight
decay 0, in two ways: every model with a generator of its own (as here), and all of them with equal
generators, when ModelGrid draws one batch for all (less work, and its models are not independent).
The peer runs with one thread and with as many as PyTorch takes by itself; its best counts. occhio
has no binary law; both engines are shown with uniform values, like the peer's, and with binary
ones. The last column compares with the reference engine, torch, under the same law.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

Rate = tuple[float, float]

PEER = """
import json, sys, time
import torch
from occhio.autoencoder import TiedLinearRelu
from occhio.distributions.sparse import SparseUniform
from occhio.model_grid import Axis, ModelGrid
from occhio.toy_model import ToyModel

shared, threads, models, steps, S, batch = json.loads(sys.argv[1])
if threads:
    torch.set_num_threads(threads)

def create(params):
    seed = int(params["seed"])
    return ToyModel(
        distribution=SparseUniform(
            5, S, generator=torch.Generator().manual_seed(0 if shared else seed)
        ),
        ae=TiedLinearRelu(5, 2, generator=torch.Generator().manual_seed(seed)),
        importances=torch.ones(5),
    )

grid = ModelGrid(create, axes=[Axis("seed", torch.arange(models).float())])
grid.fit(10, batch, weight_decay=0.0)
start, cpu = time.perf_counter(), time.process_time()
grid.fit(steps, batch, weight_decay=0.0)
print(models * steps / (time.perf_counter() - start), models * steps / (time.process_time() - cpu))
"""


def ours(engine: str, law: str, models: int, steps: int, S: float, batch: int) -> Rate:
    """Model-steps per second of an engine, by the clock and by the processor's time."""
    from validate.experiments import Recipe, Run, Setting
    from validate.training.trainer import train_batch

    def runs(count: int) -> list[Run]:
        recipe = Recipe(count, batch=batch)
        return [Run(Setting(5, 2, S, law), recipe, seed) for seed in range(models)]

    train_batch(runs(10), device="cpu", engine=engine)
    start, cpu = time.perf_counter(), time.process_time()
    train_batch(runs(steps), device="cpu", engine=engine)
    work = models * steps
    return work / (time.perf_counter() - start), work / (time.process_time() - cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peer", required=True, help="python of the environment that has occhio")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3000, help="of ours; the peer makes a tenth")
    parser.add_argument("--models", type=int, default=64)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("-S", type=float, default=0.05, dest="chance")
    parser.add_argument("--law", choices=["uniform", "binary"], help="only one of ours")
    parser.add_argument("--out", type=Path, help="write the table to this file too")
    options = parser.parse_args()
    size = (options.models, options.steps, options.chance, options.batch)
    rows: dict[str, list[Rate]] = {}
    # With OMP_NUM_THREADS set here, "by itself" would mean that many threads in the peer.
    clean = {k: v for k, v in os.environ.items() if not k.endswith("NUM_THREADS")}
    for _ in range(options.rounds):
        for law in [options.law] if options.law else ["uniform", "binary"]:
            for engine in ("torch", "numba"):
                rows.setdefault(f"{engine}, {law}", []).append(ours(engine, law, *size))
        for shared in (False, True):
            for threads in (1, 0):
                given = [shared, threads, size[0], max(size[1] // 10, 20), *size[2:]]
                done = subprocess.run(
                    [options.peer, "-c", PEER, json.dumps(given)],
                    capture_output=True,
                    text=True,
                    env=clean,
                    check=False,
                )
                if done.returncode:
                    sys.exit(f"the peer failed: {done.stderr.strip().splitlines()[-1]}")
                name = f"occhio, {'one batch for all' if shared else 'own samples'}, "
                name += f"{'1 thread' if threads else 'default threads'}"
                wall, cpu = (float(part) for part in done.stdout.split())
                rows.setdefault(name, []).append((wall, cpu))
    import torch

    best = {name: tuple(map(max, zip(*values, strict=True))) for name, values in rows.items()}
    kinds = ("own samples", "one batch")
    peer = {
        kind: [max(rate[i] for name, rate in best.items() if kind in name) for i in (0, 1)]
        for kind in kinds
    }
    text = [
        f"{options.models} models (5, 2), S = {options.chance:g} (1 - S = {1 - options.chance:g}), "
        f"batch {options.batch}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"PyTorch {torch.__version__}. Model-steps per second, best of {options.rounds} rounds.",
        "",
        "| who | per second | all rounds | per CPU second | times occhio, own samples: clock, CPU "
        "| times occhio, one batch: clock, CPU | times torch: clock |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, values in rows.items():
        ratios = [
            ", ".join(f"{best[name][i] / peer[kind][i]:.1f}" for i in (0, 1)) for kind in kinds
        ]
        engine, _, law = name.partition(", ")
        reference = best.get(f"torch, {law}")
        beside = f"{best[name][0] / reference[0]:.1f}" if reference else ""
        text.append(
            f"| {name} | {best[name][0]:.0f} | {', '.join(f'{wall:.0f}' for wall, _ in values)} | "
            f"{best[name][1]:.0f} | {ratios[0]} | {ratios[1]} | {beside} |"
        )
    print("\n".join(text))
    if options.out:
        options.out.write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
