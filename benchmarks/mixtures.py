"""Seconds for ladders of mixtures, and one programme beside a general solver.

    python benchmarks/mixtures.py [--large] [--grid]

Each ladder: processor and clock seconds in a fresh cache of losses, changes. The programme at one S
inside the ladder, with the same blocks and losses, is also given to HiGHS (`scipy.optimize.milp`,
no gap allowed); the two values must agree to 1e-9 relative, else exit 1. The ratio is HiGHS's time
to ours. `--large` adds (10000, 1000); `--grid` sums the ladders of every n <= 12, d <= 4.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from theory.mixtures import blocks, mixture_ladder
from theory.mixtures.block_table import variance
from theory.mixtures.ladder import pieces
from theory.mixtures.mixture import fitting, losses, solve, value

LAWS = ("binary", "uniform")
SIZES = ((12, 4), (50, 12), (200, 40))


def programme(n: int, d: int, S: float, law: str) -> list[tuple[int, int, float]]:
    """Items with the losses at S."""
    table, at = fitting(n, d, law), np.array([S])
    v = float(variance(at, law)[0])
    loss = losses(table, at, law)[:, 0]
    saved = np.where(np.isfinite(loss), v - loss, 0.0).tolist()
    return [(1, 1, v), *((b.d, b.n, b.n * x) for b, x in zip(table, saved, strict=True))]


def by_highs(items: list[tuple[int, int, float]], d: int, n: int) -> float:
    """The same by a general solver."""
    from scipy.optimize import LinearConstraint, milp

    a, b, g = (np.array(x, dtype=float) for x in zip(*items, strict=True))
    unit = float(np.max(g))
    found = milp(
        -g / unit,
        constraints=LinearConstraint(np.stack([a, b]), ub=[d, n]),
        integrality=np.ones(g.size),
        options={"mip_rel_gap": 0.0, "time_limit": 120.0},
    )
    return -float(found.fun) * unit if found.x is not None else 0.0


def one(n: int, d: int, law: str, S: float) -> bool:
    """A row of the table; whether both solvers agree."""
    pieces.cache_clear()
    clock, cpu = time.perf_counter(), time.process_time()
    ladder = mixture_ladder(n, d, law)
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    items = programme(n, d, S, law)
    start = time.process_time()
    ours = value(items, solve(items, d, n))
    middle = time.process_time()
    theirs = by_highs(items, d, n)
    end = time.process_time()
    same = abs(ours - theirs) <= 1e-9 * ours
    ratio = (end - middle) / max(middle - start, 1e-9)
    print(
        f"{n:6d} {d:5d}  {law:8s} {cpu:8.2f} {clock:8.2f} {len(ladder.crossings):6d}  {ratio:8.1f}"
        f"  {'yes' if same else f'no: {ours!r} {theirs!r}'}",
        flush=True,
    )
    return same


def grid(law: str) -> None:
    pieces.cache_clear()
    clock, cpu = time.perf_counter(), time.process_time()
    sizes = [(n, d) for d in range(1, 5) for n in range(d + 1, 13)]
    for n, d in sizes:
        mixture_ladder(n, d, law)
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    print(f"{len(sizes)} ladders, n <= 12, d <= 4, {law}: {cpu:.2f} s processor, {clock:.2f} clock")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--grid", action="store_true")
    parser.add_argument("--S", type=float, default=0.01)
    given = parser.parse_args()
    for law in LAWS:
        blocks(law)
    print("     n     d  law      processor  clock  changes  HiGHS/ours  agree")
    sizes = (*SIZES, (10_000, 1_000)) if given.large else SIZES
    fine = [one(n, d, law, given.S) for n, d in sizes for law in LAWS]
    for law in LAWS if given.grid else ():
        grid(law)
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
