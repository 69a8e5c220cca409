"""The compiled engine beside the reference, alternately in one run, over a grid of (n, d, S, law).

    python benchmarks/engines.py [--rounds 3] [--seconds 1.0] [--quick] [--out FILE]

Model-steps per second by the clock: 64 models, batch 1024, as many threads as there are cores,
after a first short training that compiles and loads everything. Each engine trains for about so
many seconds a round; the best round of each counts. "chosen" is what --engine auto takes; the last
line says where that is the slower one, and by how much: the rule in validate/training/engine.py was
fitted to such a table.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path

from validate.experiments import Recipe, Run, Setting
from validate.training.engine import engine_for
from validate.training.trainer import train_batch

MODELS, BATCH = 64, 1024

SIZES = [
    (2, 1),
    (5, 2),
    (8, 6),
    (10, 4),
    (16, 5),
    (24, 4),
    (48, 36),
    (64, 16),
    (64, 48),
    (100, 22),
    (128, 64),
    (200, 60),
    (400, 30),
    (1000, 50),
]
CHANCES = [0.01, 0.05, 0.5]


def rate(name: str, setting: Setting, seconds: float, models: int, guess: float) -> float:
    """Model-steps per second of one engine; `guess` is the rate expected."""

    def seen(steps: int) -> float:
        recipe = Recipe(steps, batch=BATCH)
        runs = [Run(setting, recipe, seed) for seed in range(models)]
        start = time.perf_counter()
        train_batch(runs, device="cpu", engine=name)
        return models * steps / (time.perf_counter() - start)

    found = guess or seen(8)
    return seen(max(8, int(seconds * found / models)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--quick", action="store_true", help="(5, 2) and (16, 5) only")
    parser.add_argument("--law", choices=["binary", "uniform"])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    lines = [
        f"{MODELS} models (fewer where n d > 2000), batch {BATCH}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}. Model-steps per second, best of {options.rounds} rounds.",
        "",
        "| n, d | S | law | torch | numba | ratio | chosen |",
        "|---|---|---|---|---|---|---|",
    ]
    worst, where = 1.0, "nowhere"
    for n, d in SIZES[1:5:3] if options.quick else SIZES:
        models = MODELS if n * d <= 2000 else 8
        for S in CHANCES:
            for law in [options.law] if options.law else ["binary", "uniform"]:
                setting = Setting(n, d, S, law)
                best = {"torch": 0.0, "numba": 0.0}
                for _ in range(options.rounds):
                    for name in best:
                        found = rate(name, setting, options.seconds, models, best[name])
                        best[name] = max(best[name], found)
                chosen = engine_for("auto", Run(setting, Recipe(8, batch=BATCH), 0), "cpu")
                ratio = best["numba"] / best["torch"]
                lost = ratio if chosen == "torch" else 1.0 / ratio
                if lost > worst:
                    worst, where = lost, f"({n}, {d}), S = {S:g}, {law}"
                lines.append(
                    f"| {n}, {d} | {S:g} | {law} | {best['torch']:.3g} | {best['numba']:.3g} | "
                    f"{ratio:.2f} | {chosen} |"
                )
                print(lines[-1], flush=True)
    lines += ["", f"Largest loss by the choice: {100 * (worst - 1):.0f} % at {where}."]
    print(lines[-1])
    if options.out:
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
