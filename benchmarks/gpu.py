"""The GPU engine beside PyTorch on the same GPU, and beside what arithmetic allows. One command:

    python benchmarks/gpu.py [--models 100000] [--out benchmarks/results]
    python benchmarks/gpu.py --dry-run        # toy sizes in numba's simulator: shows that it runs

1. Correctness (`gpu_checks.py`). If a check fails, nothing is timed: exit 1.
2. (5, 2), S = 0.05, batch 1024: the engine against uncompiled batched PyTorch on the same GPU,
   which gets every advantage (one draw for all models, as many models as memory holds), with the
   fraction of the arithmetic bound (`validate.training.cuda_engine`). Wanted: at least 10 times.
3. (400, 30): the plain step, the CUDA graph, torch.compile.
4. Where the kernels stop being the better choice: n from 5 to 64 (for `validate.training.engine`).

Times are medians of REPEATS, between synchronisations, after one launch that does not count.
Writes <out>/<device name>.{md,json}. Without a GPU: one sentence, exit 2.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

REPEATS = 5


def seconds(work: Callable[[], None], place: Any, repeats: int = REPEATS) -> float:
    """Median time of a call that does not count the first."""
    import torch

    def settled() -> float:
        if place.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    work()
    times = []
    for _ in range(repeats):
        start = settled()
        work()
        times.append(settled() - start)
    return statistics.median(times)


def batched(runs: list[Any], place: Any) -> Callable[[int], None]:
    """Uncompiled batched PyTorch, samples of all models from one call."""
    import torch

    from validate.training.cuda_engine import CHUNK, Steady

    stack = Steady(runs, place)
    S = torch.as_tensor(runs[0].setting.features.S, dtype=torch.float32, device=place)[:, None]

    def work(steps: int) -> None:
        with torch.no_grad():
            for step in range(steps):
                if step % CHUNK == 0:
                    stack.expect(step)
                u = torch.rand(stack.x[:, :-1].shape, device=place)
                torch.lt(u, S, out=u)
                stack.x[:, :-1] = u
                stack.make(record=False)

    return work


def rate(engine: Any, runs: list[Any], place: Any, steps: int) -> float:
    """Steps of models per second of an engine."""
    lanes = engine.lanes(runs, place)
    took = seconds(lambda: lanes.advance(min(steps, lanes.chunk)) and None, place)
    made = min(steps, lanes.chunk)
    lanes.close()
    return len(runs) * made / took


def small(place: Any, models: int, toy: bool) -> dict[str, Any]:
    """(5, 2), S = 0.05: the engine, PyTorch, and the bound."""
    import torch
    from gpu_checks import runs_of

    from validate.training.cuda_engine import CudaEngine, Device, bound, device

    batch, steps = (64, 8) if toy else (1024, 256)
    runs = runs_of(models, 100 if toy else 100_000, batch)
    engine = rate(CudaEngine(), runs, place, steps)
    held = models
    if place.type == "cuda":
        held = min(models, int(0.5 * torch.cuda.mem_get_info()[0]) // (4 * 8 * 6 * batch))
    work, few = batched(runs[:held], place), 2 if toy else 20
    peer = held * few / seconds(lambda: work(few), place)
    need = bound(runs[0])
    peak = Device("simulator", 1e12, 1e12) if toy else device()
    return {
        "models": models,
        "batch": batch,
        "engine_model_steps_per_second": engine,
        "engine_samples_per_second": engine * batch,
        "torch_models": held,
        "torch_model_steps_per_second": peer,
        "times_torch": engine / peer,
        "operations_per_model_step": need.operations,
        "bytes_per_model_step": need.bytes,
        "peak": asdict(peak),
        "fraction_of_arithmetic": engine * need.operations / peak.operations,
        "fraction_of_bandwidth": engine * need.bytes / peak.bytes,
    }


def large(place: Any, toy: bool) -> list[dict[str, Any]]:
    """(400, 30): plain, graph, compiled; and that they compute the same."""
    from gpu_checks import runs_of

    from validate.training.cuda_engine import Device, GraphLanes, bound, device

    n, d, batch, count, steps = (12, 3, 32, 2, 4) if toy else (400, 30, 1024, 16, 64)
    runs = runs_of(count, 10_000, batch, n=n, d=d)
    need, rows, first = bound(runs[0]), [], None
    peak = Device("simulator", 1e12, 1e12) if toy else device()
    for way in ("plain", "graph", "compiled"):
        lanes = GraphLanes(runs, place, way)
        lanes.advance(4)
        weights = lanes.weights()
        first = weights if first is None else first
        apart = float(np.abs(weights - first).max())
        lanes.advance(60)
        took = seconds(lambda ls=lanes: ls.advance(steps) and None, place, 3)
        made = count * steps / took
        rows.append(
            {
                "way": way,
                "model_steps_per_second": made,
                "fraction_of_dense_arithmetic": made * need.dense / peak.operations,
                "apart_after_4_steps": apart,
                "not_captured": lanes.why,
            }
        )
    return rows


def crossing(place: Any, toy: bool) -> list[dict[str, Any]]:
    """Kernels against the graph for growing n at d = n / 4, few and many models."""
    from gpu_checks import runs_of

    from validate.training.cuda_engine import CudaEngine, GraphLanes

    class Graphs:
        def lanes(self, runs: list[Any], where: Any) -> Any:
            return GraphLanes(runs, where)

    rows = []
    for n, count in ((5, 4),) if toy else [(n, k) for n in (5, 8, 16, 32, 64) for k in (64, 1024)]:
        for S in (0.05, 0.5):
            runs = runs_of(count, 10_000, 32 if toy else 1024, n=n, d=max(2, n // 4), S=S)
            steps = 4 if toy else 64
            ours = rate(CudaEngine(), runs, place, steps)
            theirs = rate(Graphs(), runs, place, steps)
            rows.append({"n": n, "S": S, "models": count, "kernels": ours, "graph": theirs})
    return rows


def page(found: dict[str, Any]) -> str:
    """The results as Markdown."""
    s = found["small"]
    lines = [
        f"# {found['device']}",
        "",
        f"`python benchmarks/gpu.py`, {found['software']}.",
        "",
        "| check | value | limit |",
        "|---|---|---|",
        *(f"| {r['check']} | {r['value']:.2e} | {r['limit']:.2g} |" for r in found["checks"]),
        "",
        f"(5, 2), S = 0.05, batch {s['batch']}, {s['models']} models: "
        f"{s['engine_samples_per_second']:.3g} samples/s "
        f"({s['engine_model_steps_per_second']:.3g} model steps/s), {s['times_torch']:.1f} times "
        f"batched PyTorch ({s['torch_model_steps_per_second']:.3g} model steps/s, "
        f"{s['torch_models']} models at once; wanted: 10). A step takes at least "
        f"{s['operations_per_model_step']:.0f} operations and {s['bytes_per_model_step']:.1f} "
        f"bytes: {100 * s['fraction_of_arithmetic']:.1f} % of the arithmetic bound, "
        f"{100 * s['fraction_of_bandwidth']:.2f} % of the bandwidth bound.",
        "",
        "| (400, 30) | model steps/s | of the dense arithmetic bound | apart | not captured |",
        "|---|---|---|---|---|",
        *(
            f"| {r['way']} | {r['model_steps_per_second']:.3g} | "
            f"{100 * r['fraction_of_dense_arithmetic']:.1f} % | {r['apart_after_4_steps']:.1e} | "
            f"{r['not_captured'] or '-'} |"
            for r in found["large"]
        ),
        "",
        "| n | S | models | kernels, model steps/s | graph, model steps/s |",
        "|---|---|---|---|---|",
        *(
            f"| {r['n']} | {r['S']} | {r['models']} | {r['kernels']:.3g} | {r['graph']:.3g} |"
            for r in found["crossing"]
        ),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=int, default=100_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--dry-run", action="store_true", help="toy sizes, in the simulator")
    options = parser.parse_args()
    if options.dry_run:
        os.environ["NUMBA_ENABLE_CUDASIM"] = "1"  # before numba is imported
    import torch

    from validate.training.cuda_engine import CudaEngine

    why = CudaEngine().missing()
    if not why and not options.dry_run and not torch.cuda.is_available():
        why = "PyTorch finds no GPU here"
    if why:
        print(f"This benchmark needs a GPU: {why}.", file=sys.stderr)
        return 2
    toy = options.dry_run
    place = torch.device("cpu" if toy else "cuda")
    name = "simulator" if toy else torch.cuda.get_device_name()
    from gpu_checks import correctness

    checks = correctness(place, toy)
    for row in checks:
        print(f"{row['check']}: {row['value']:.2e} (limit {row['limit']:.2g})", flush=True)
    if any(not row["value"] <= row["limit"] for row in checks):
        print("The engine disagrees with the reference: nothing was timed.", file=sys.stderr)
        return 1
    import numba

    found = {
        "device": name,
        "software": f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"numba {numba.__version__}",
        "checks": checks,
        "small": small(place, 4 if toy else options.models, toy),
        "large": large(place, toy),
        "crossing": crossing(place, toy),
    }
    text = page(found)
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()
    (options.out / f"{stem}.md").write_text(text, encoding="utf-8")
    (options.out / f"{stem}.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
