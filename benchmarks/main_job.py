"""Times of the main job, each beside something real measured in the same run.

    python benchmarks/main_job.py [--quick] [--out FILE.md]

Absolute times say as much about the machine as about the code, so every row also gives a ratio:
start-up against starting Python with numpy, losses against Monte Carlo, the global search against
scipy's L-BFGS-B from the same number of starts, a repeated question against the first one.
`--quick` leaves out the two slowest rows ((64, 16) and the loss at (400, 30)).
"""

from __future__ import annotations

import argparse
import cProfile
import os
import platform
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy
from scipy.optimize import minimize

from theory.features import Features
from theory.global_search import Shape, random_starts
from theory.losses.expected import loss
from theory.optima import optimum


def timed(work: Callable[[], object], repeats: int = 1) -> tuple[float, object]:
    """Median seconds of `repeats` runs, and the last answer."""
    seconds = []
    answer: object = None
    for _ in range(repeats):
        start = time.perf_counter()
        answer = work()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds)), answer


def command(*words: str, **extra: str) -> Callable[[], object]:
    """A run of a fresh Python process."""
    environment = os.environ | extra
    return lambda: subprocess.run(
        [sys.executable, *words], check=True, capture_output=True, env=environment
    )


def start_up(rows: list[str]) -> None:
    numpy_seconds, _ = timed(command("-c", "import numpy"), 7)
    help_seconds, _ = timed(command("-m", "packing", "--help"), 7)
    rows.append(
        f"| `packing --help` | {help_seconds:.3f} s | starting Python with numpy: "
        f"{numpy_seconds:.3f} s | {help_seconds / numpy_seconds:.2f} (allowed 2) |"
    )


def monte_carlo(rows: list[str]) -> None:
    """theory.loss against sampling: time, and the samples that the same accuracy would take."""
    rng = np.random.default_rng(0)
    for n, d, law, S in ((5, 2, "binary", 0.05), (8, 3, "uniform", 0.1), (12, 4, "uniform", 0.1)):
        W, b = rng.normal(size=(d, n)) / np.sqrt(d), np.full(n, -0.1)
        features = Features.of(n, S, law)
        seconds, answer = timed(lambda W=W, b=b, f=features: loss(W, b, features=f), 7)
        count = 200_000
        start = time.perf_counter()
        x = features.sample(rng, count)
        errors = np.sum((x - np.maximum(x @ (W.T @ W) + b, 0.0)) ** 2, axis=1)
        sampled = time.perf_counter() - start
        exact: float = answer.total  # type: ignore[attr-defined]
        bound: float = answer.error_bound  # type: ignore[attr-defined]
        spread = float(np.std(errors))
        need = (spread / bound) ** 2
        off = abs(float(np.mean(errors)) - exact) / (spread / np.sqrt(count))
        rows.append(
            f"| loss ({n}, {d}) {law}, S = {S}, to {bound:.0e} | {1e3 * seconds:.2f} ms | "
            f"Monte Carlo, {count} samples: {1e3 * sampled:.0f} ms, to {spread / count**0.5:.0e} "
            f"({off:.1f} standard errors off) | {need:.0e} samples, "
            f"{need / count * sampled:.0e} s, for the same accuracy |"
        )


def search(rows: list[str], quick: bool) -> None:
    """The global search, and scipy's minimiser from as many plain starts."""
    for n, d, law, S in (
        (5, 2, "binary", 0.15),
        (8, 3, "binary", 0.1),
        (5, 2, "uniform", 0.05),
        (8, 3, "uniform", 0.1),
    ):
        features = Features.of(n, S, law)
        seconds, answer = timed(lambda f=features, d=d: optimum(f, d))
        best: float = answer.loss.total  # type: ignore[attr-defined]
        starts = 12
        shape = Shape(n, d, True)

        def objective(theta: np.ndarray, f: Features = features, s: Shape = shape) -> tuple:
            W, b = (q[0] for q in s.split(theta[None]))
            found = loss(W, b, features=f, gradient=True)
            return found.total, s.join(found.grad_W[None], found.grad_b[None])[0]

        def naive(s: Shape = shape, objective: Callable = objective, starts: int = starts) -> float:
            theta = random_starts(np.random.default_rng(1), s, starts)
            return min(minimize(objective, t, jac=True, method="L-BFGS-B").fun for t in theta)

        plain, reached = timed(naive)
        all_starts = plain * answer.starts / starts  # type: ignore[attr-defined]
        rows.append(
            f"| optimum ({n}, {d}) {law}, S = {S}: {answer.name} | {seconds:.1f} s, "  # type: ignore[attr-defined]
            f"{answer.starts} starts | scipy L-BFGS-B, {starts} starts: {plain:.1f} s, loss "  # type: ignore[attr-defined]
            f"{100 * (float(reached) / best - 1):.1f} % above | {all_starts / seconds:.0f} times "
            "faster at as many starts |"
        )
    large = [(16, 5, "uniform", 0.05)] + ([] if quick else [(64, 16, "uniform", 0.05)])
    for n, d, law, S in large:
        seconds, answer = timed(lambda n=n, d=d, law=law, S=S: optimum(Features.of(n, S, law), d))
        rows.append(
            f"| optimum ({n}, {d}) {law}, S = {S}: {answer.name} | {seconds:.0f} s | gradient "  # type: ignore[attr-defined]
            f"{answer.gradient_norm:.0e} | reached by {answer.hits} of {answer.starts} starts |"  # type: ignore[attr-defined]
        )


def ladders(rows: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = command(
            "-m", "packing", "critical", "-n", "5", "-d", "2", FEATURE_PACKING_CACHE=folder
        )
        cold, _ = timed(run)
        again, _ = timed(run, 3)
    rows.append(
        f"| `packing critical -n 5 -d 2` | {cold:.1f} s | asked again: {again:.2f} s | "
        f"{cold / again:.0f} times faster |"
    )


def large_loss(rows: list[str]) -> None:
    """Loss with gradient at (400, 30), and where its time goes."""
    rng = np.random.default_rng(0)
    n, d, S = 400, 30, 0.05
    W = rng.normal(size=(d, n)) / np.sqrt(d)
    for law in ("binary", "uniform"):
        features = Features.of(n, S, law)
        profile = cProfile.Profile()
        start = time.perf_counter()
        profile.enable()
        found = loss(W, np.full(n, -0.1), features=features, gradient=True)
        profile.disable()
        seconds = time.perf_counter() - start
        stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
        (name, own) = max(((k[2], v[2]) for k, v in stats.items()), key=lambda q: q[1])
        rows.append(
            f"| loss and gradient (400, 30) {law}, S = {S} | {seconds:.1f} s | bound "
            f"{found.error_bound / found.total:.0e} L | most time in `{name}`: "
            f"{100 * own / seconds:.0f} % |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = ["| what | here | beside it | ratio |", "|---|---|---|---|"]
    for part in (start_up, monte_carlo, ladders):
        part(rows)
        print("\n".join(rows[-3:]), file=sys.stderr, flush=True)
    search(rows, options.quick)
    if not options.quick:
        large_loss(rows)
    head = (
        f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}, "
        f"{os.cpu_count()} cores, {platform.machine()}\n\n"
    )
    text = head + "\n".join(rows) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
