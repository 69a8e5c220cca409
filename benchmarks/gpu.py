"""The engines on a GPU: first whether they agree, then model steps per second.

    python benchmarks/gpu.py [--models 100000] [--out DIR] [--dry-run]

It needs a GPU, PyTorch with CUDA and numba-cuda. Two engines train the same settings: PyTorch's
batched step, which `auto` takes on a GPU, and the opt-in engine "cuda", which has run in numba's
simulator only. Checks come first, with limits set here before any run; if one fails nothing is
timed. The results are written with the device's name. --dry-run goes through all of it at toy sizes
in the simulator.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

SETTINGS: list[dict[str, Any]] = [
    {"n": 5, "d": 2, "S": 0.05},
    {"n": 5, "d": 2, "S": 0.5, "law": "uniform"},
    {"n": 20, "d": 5, "S": 0.05},
    {"n": 100, "d": 9, "S": 0.02},
    {"n": 400, "d": 30, "S": 0.02},
]
SAME_SAMPLES = 1e-10
"""Largest difference of weights after three steps on the same samples, in double precision."""


def runs(count: int, batch: int, **setting: Any) -> list[Any]:
    from validate.experiments import Recipe, Run, Setting

    recipe = Recipe(steps=512, batch=batch, lr=0.003, dtype=setting.pop("dtype", "float32"))
    return [Run(Setting(**setting), recipe, seed) for seed in range(count)]


def checks(engine: Any, toy: bool) -> list[dict[str, Any]]:
    """The engine "cuda" against the reference on given samples; its draws are tested elsewhere."""
    from validate.sampling import sampler
    from validate.training.torch_engine import TorchEngine

    found = []
    for setting in SETTINGS[: 1 if toy else 3]:
        group = runs(2, 8, dtype="float64", **setting)
        law, rng = sampler(group[0].setting), np.random.default_rng(7)
        x = np.stack([[law.draw(rng, 8).T for _ in range(3)] for _ in group])
        apart = float(np.abs(engine.follow(group, x) - TorchEngine().follow(group, x)).max())
        found.append({"check": f"{setting}: same samples", "value": apart, "limit": SAME_SAMPLES})
    return found


def rate(engine: Any, group: list[Any], device: Any, steps: int) -> float:
    """Model steps per second, the first stretch (compilation, allocation) left out."""
    import torch

    lanes = engine.lanes(group, device)
    lanes.advance(steps)
    if device.type == "cuda":
        torch.cuda.synchronize()
    begun = time.perf_counter()
    lanes.advance(steps)
    lanes.weights()  # waits for the device
    took = time.perf_counter() - begun
    lanes.close()
    return len(group) * steps / took


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=int, default=100_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--dry-run", action="store_true", help="toy sizes, in the simulator")
    options = parser.parse_args()
    toy = options.dry_run
    if toy:
        os.environ["NUMBA_ENABLE_CUDASIM"] = "1"  # before numba is imported
    import torch

    from validate.training.cuda_engine import CudaEngine
    from validate.training.torch_engine import TorchEngine

    engine, torch_engine = CudaEngine(), TorchEngine()
    why = engine.missing()
    if not why and not toy and not torch.cuda.is_available():
        why = "PyTorch finds no GPU here"
    if why:
        print(f"This benchmark needs a GPU: {why}.", file=sys.stderr)
        return 2
    tried = checks(engine, toy)
    for row in tried:
        print(f"{row['check']}: {row['value']:.2e} (limit {row['limit']:.2g})", flush=True)
    if any(not row["value"] <= row["limit"] for row in tried):
        print("The engine disagrees with the reference: nothing was timed.", file=sys.stderr)
        return 1
    device = torch.device("cpu" if toy else "cuda")
    name = "simulator" if toy else torch.cuda.get_device_name()
    rows = []
    for setting in SETTINGS[: 1 if toy else None]:
        size = setting["n"] * (setting["d"] + 1)
        count = 2 if toy else max(16, min(options.models, 10_000_000 // size))
        group = runs(count, 8 if toy else 1024, **setting)
        few = group[: 2 if toy else min(count, 4096)]
        row = {**setting, "models": count, "torch": rate(torch_engine, few, device, 64)}
        refused = engine.refusal(group[0])
        row["cuda"] = None if refused else rate(engine, group, device, 2 if toy else 64)
        rows.append(row)
        print(row, flush=True)
    lines = [
        f"# {name}",
        "",
        f"`python benchmarks/gpu.py` with torch {torch.__version__}",
        "",
        "| setting | models | torch, model steps/s | cuda, model steps/s |",
        "|---|---|---|---|",
    ]
    for row in rows:
        shown = "-" if row["cuda"] is None else f"{row['cuda']:.3g}"
        place = f"({row['n']}, {row['d']}), S = {row['S']}, {row.get('law', 'binary')}"
        lines.append(f"| {place} | {row['models']} | {row['torch']:.3g} | {shown} |")
    options.out.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()
    (options.out / f"{stem}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = {"device": name, "checks": tried, "rates": rows}
    (options.out / f"{stem}.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
