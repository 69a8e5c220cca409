"""What training costs as it grows: a law fitted to measurements, and what follows from it.

    python benchmarks/scaling.py [--quick] [--engines torch,numba] [--doc docs/scaling.md]

Each point is a batch of models trained twice, for T and for 2 T steps, in one thread; the
difference in the processor's time, over models and steps, is the time of a model-step. The law is
a sum of terms with coefficients >= 0, of least squared relative error on three points of four; its
error is that on the fourth, which it has not seen. What measuring, carrying and storing a model
take is measured beside it. --doc puts the tables between the two marks of that file.
"""

from __future__ import annotations

import argparse
import math
import os
import pickle
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"  # a model-step is timed on one core

import numpy as np  # noqa: E402

if TYPE_CHECKING:
    from validate.experiments import Run
    from validate.store import Model

Point = tuple[int, int, float, int]
"""n, d, S, batch."""

Law = dict[str, float]
"""Seconds for each of `TERMS`."""

SHAPES = (
    *((2, 1), (3, 2), (5, 2), (8, 3), (10, 4), (16, 5)),
    *((24, 4), (40, 10), (64, 16), (100, 22), (200, 25), (400, 30)),
)
CHANCES = (0.01, 0.05, 0.2, 1.0)
SIZES = (256, 1024, 4096)
SECONDS = 0.25
"""Of training that a point should take at least, and a tenth of what it may take."""

TERMS = {
    "1": lambda n, d, S, B: 1.0,
    "n d": lambda n, d, S, B: n * d,
    "n² d": lambda n, d, S, B: n * n * d,
    "B n S": lambda n, d, S, B: B * n * S,
    "R": lambda n, d, S, B: rows(n, S, B),
    "R n": lambda n, d, S, B: rows(n, S, B) * n,
    "R n d": lambda n, d, S, B: rows(n, S, B) * n * d,
    "R n²": lambda n, d, S, B: rows(n, S, B) * n * n,
    "B": lambda n, d, S, B: B,
}
"""What the time of a model-step is made of; R is how many samples have something on."""

MAP = "map of (10, 4): 100 x 100 cells, S from 0.01 to 1, 16 seeds, 2000 steps"
JOBS = (
    ("10⁶ models of (5, 2), S = 0.05, 2000 steps", 10**6, 2000, (5, 2), (0.05,)),
    (MAP, 160_000, 2000, (10, 4), tuple(np.geomspace(0.01, 1.0, 100))),
    ("1000 models of (100, 22), S = 0.05, 5000 steps", 1000, 5000, (100, 22), (0.05,)),
    ("100 models of (400, 30), S = 0.05, 10000 steps", 100, 10_000, (400, 30), (0.05,)),
)
CORES = (2, 64, 1000)
MARKS = ("<!-- begin benchmarks/scaling.py -->", "<!-- end benchmarks/scaling.py -->")


def rows(n: int, S: float, B: int) -> float:
    """Samples of a batch with something on."""
    return B * (1.0 - (1.0 - S) ** n)


def runs_of(point: Point, models: int, steps: int) -> list[Run]:
    """Runs of one point, with values uniform on [0, 1]."""
    from validate.experiments import Recipe, Run, Setting

    setting, recipe = Setting(*point[:3], "uniform"), Recipe(steps, batch=point[3])
    return [Run(setting, recipe, seed) for seed in range(models)]


def model_step(point: Point, engine: str) -> tuple[float, int]:
    """CPU seconds of a model-step, and how many models trained together."""
    from validate.training.trainer import batches, train_batch

    models = len(batches(runs_of(point, 64, 64), device="cpu", engine=engine)[0])

    def taken(steps: int) -> float:
        start = time.process_time()
        train_batch(runs_of(point, models, steps), device="cpu", engine=engine)
        return time.process_time() - start

    steps = 8
    taken(2)  # compiles, and fills caches
    while True:
        once = taken(steps)
        twice = taken(2 * steps)
        if twice - once > SECONDS or once > 10 * SECONDS:
            return max(twice - once, 1e-9) / (models * steps), models
        steps *= 2 if twice < SECONDS / 4 else 1 + int(SECONDS / max(twice - once, SECONDS / 8))


def fitted(points: list[Point], times: list[float]) -> Law:
    """Coefficients of the law, of least squared relative error."""
    from scipy.optimize import nnls

    table = np.array([[term(*point) for term in TERMS.values()] for point in points])
    scale = table.max(axis=0)
    weighed = table / scale / np.array(times)[:, None]
    found, _ = nnls(weighed, np.ones(len(points)))
    return {name: x for name, x in zip(TERMS, found / scale, strict=True) if x > 0.0}


def law(terms: Law, point: Point) -> float:
    """Seconds of a model-step by the law."""
    return sum(x * TERMS[name](*point) for name, x in terms.items())


def errors(terms: Law, points: list[Point], times: list[float]) -> str:
    """How far the law is off, as text: the median and the worst factor."""
    ratios = [law(terms, point) / t for point, t in zip(points, times, strict=True)]
    factors = [math.exp(abs(math.log(ratio))) for ratio in ratios]
    return f"{np.median(factors):.2f}, {max(factors):.2f}"


def cost_law(engine: str, grid: list[Point]) -> tuple[Law, list[str]]:
    """The law of an engine, and its section."""
    times, together = [0.0] * len(grid), [0] * len(grid)
    for i, point in enumerate(grid):
        times[i], together[i] = model_step(point, engine)
        print(f"\r{engine}: {i + 1} of {len(grid)} points", end="", file=sys.stderr)
    print(file=sys.stderr)
    held = [i for i in range(len(grid)) if i % 4 == 3]
    seen = [i for i in range(len(grid)) if i % 4 != 3]
    terms = fitted([grid[i] for i in seen], [times[i] for i in seen])
    parts = " + ".join(
        f"{1e9 * x:.3g} {name}" if name != "1" else f"{1e9 * x:.3g}" for name, x in terms.items()
    )
    off = [
        errors(terms, [grid[i] for i in some], [times[i] for i in some]) for some in (seen, held)
    ]
    text = [
        f"**{engine}**: nanoseconds of a model-step = {parts}. Off by a factor of (median, worst) "
        f"{off[0]} on the {len(seen)} points fitted, {off[1]} on the {len(held)} held out:",
        "",
        "| n, d | S | batch | models together | µs of a model-step | by the law |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for i in held:
        n, d, S, batch = grid[i]
        text.append(
            f"| {n}, {d} | {S:g} | {batch} | {together[i]} | {1e6 * times[i]:.3g} | "
            f"{1e6 * law(terms, grid[i]):.3g} |"
        )
    return terms, [*text, ""]


def around(shapes: list[tuple[int, int]]) -> tuple[dict[tuple[int, int], float], list[str]]:
    """Seconds to measure a model of each shape, to store one, and to carry a batch."""
    from validate.measurement import measure_trained
    from validate.training.trainer import train_batch

    seconds: dict[tuple[int, int], float] = {}
    models: list[Model] = []
    for n, d in shapes:
        steps = 1000 if n < 50 else 50
        trained = train_batch(runs_of((n, d, 0.05, 1024), 2, steps), device="cpu")
        measure_trained(trained[0])
        start = time.process_time()
        models.append((trained[1], measure_trained(trained[1])))
        seconds[n, d] = time.process_time() - start
    text = ["| n, d | s to measure a model | kB that a worker sends |", "|---|--:|--:|"]
    for (n, d), model in zip(shapes, models, strict=True):
        text.append(f"| {n}, {d} | {seconds[n, d]:.3g} | {len(pickle.dumps(model)) / 1e3:.3g} |")
    return seconds, [*text, ""]


def stored() -> float:
    """Models per second that the parent writes, in batches of 64, (5, 2)."""
    from validate.measurement import measure_trained
    from validate.store import Store
    from validate.training.trainer import train_batch

    many = runs_of((5, 2, 0.05, 64), 512, 400)
    models = [
        (one, measure_trained(one)) for one in train_batch(many, device="cpu", engine="torch")
    ]
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "s.sqlite") as store:
        session = store.begin("scaling", "", "cpu")
        start = time.perf_counter()
        for i in range(0, len(models), 64):
            store.add(session, models[i : i + 64])
        return len(models) / (time.perf_counter() - start)


def carried(jobs: int) -> tuple[float, float]:
    """Seconds until workers of loky have answered for the first time, and of a task after that."""
    from validate.parallel import hired

    with hired("loky", jobs) as workers:
        assert workers is not None
        times = [time.perf_counter()]
        for count in (2 * jobs, 200):
            list(workers.answers((loaded, (i,)) for i in range(count)))
            times.append(time.perf_counter())
        return times[1] - times[0], (times[2] - times[1]) / 200


def loaded(number: int) -> tuple[int, int]:
    """A task that does nothing but import what training needs."""
    import validate.measurement
    import validate.training.trainer

    return number, len(validate.training.trainer.__name__ + validate.measurement.__name__)


def span(seconds: float) -> str:
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds:.2g} s"


def extrapolated(
    laws: dict[str, Law], measuring: dict[tuple[int, int], float], rate: float, first: float
) -> list[str]:
    """What large sweeps would take, by the laws of the engines."""
    heads = [f"{cores} cores" for cores in CORES]
    text = [
        "Extrapolated, not measured: batch 1024, the faster engine for each S by the law; start "
        "of workers, and the largest of three times: of all cores at work, of one model, and of "
        "writing. Predictions and verdicts of a suite come on top.",
        "",
        f"| what | engines | core-hours: training | measuring | {' | '.join(heads)} |",
        "|---|---|--:|--:|" + "--:|" * len(CORES),
    ]
    for name, models, steps, shape, chances in JOBS:
        best = [
            min((law(terms, (*shape, float(S), 1024)), engine) for engine, terms in laws.items())
            for S in chances
        ]
        one = steps * max(seconds for seconds, _ in best) + measuring[shape]
        training = models * steps * float(np.mean([seconds for seconds, _ in best]))
        after = models * measuring[shape]
        ends = [first + max((training + after) / cores, one, models / rate) for cores in CORES]
        engines = ", ".join(sorted({engine for _, engine in best}))
        text.append(
            f"| {name} | {engines} | {training / 3600:.3g} | {after / 3600:.3g} "
            f"| {' | '.join(map(span, ends))} |"
        )
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one point in five")
    parser.add_argument("--engines", default="torch,numba")
    parser.add_argument("--doc", type=Path, help="file whose marked part is replaced")
    options = parser.parse_args()
    from validate.training.engine import usable

    grid = [(n, d, S, B) for n, d in SHAPES for S in CHANCES for B in SIZES if n * B <= 500_000]
    order = np.random.default_rng(0).permutation(len(grid))
    grid = [grid[i] for i in order][: len(grid) // (5 if options.quick else 1)]
    text = [
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, numpy "
        f"{np.__version__}; processor time of one core, values uniform, R = batch (1 - (1 - S)^n), "
        f"B = batch. Shapes (2, 1) to (400, 30), S = {', '.join(f'{S:g}' for S in CHANCES)}, batch "
        f"{', '.join(map(str, SIZES))}.",
        "",
    ]
    laws: dict[str, Law] = {}
    for engine in options.engines.split(","):
        if usable(engine, "cpu"):
            text += [f"**{engine}**: not measured: {usable(engine, 'cpu')}", ""]
            continue
        laws[engine], said = cost_law(engine, grid)
        text += said
    shapes = list(dict.fromkeys(shape for _, _, _, shape, _ in JOBS))
    measuring, said = around(shapes)
    text += said
    rate, (first, each) = stored(), carried(2)
    said = [
        f"The parent writes {rate:.0f} models per second; two workers of loky answer after "
        f"{first:.1f} s, and an empty task takes {1e3 * each:.1f} ms.",
        "",
    ]
    shown = "\n".join([*text, *said, *extrapolated(laws, measuring, rate, first)])
    print(shown)
    if options.doc:
        page = options.doc.read_text(encoding="utf-8")
        before, after = page.split(MARKS[0])[0], page.split(MARKS[1])[1]
        page = "\n\n".join([before + MARKS[0], shown, MARKS[1]]) + after
        options.doc.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
