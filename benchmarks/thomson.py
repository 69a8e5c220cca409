"""Thomson's problem: the least Coulomb energy found for n points in R^3 beside the best known.

    python benchmarks/thomson.py [--seconds 20] [--n 2-60] [--seed 0] [--workers W]
                                 [--table FILE.csv] [--out FILE.jsonl]

Every n is a line of --out when it is done, and is not searched again when the same seconds and seed
are asked for, so a run that was stopped goes on where it was. The table holds n and the best known
energy per line; without one the differences stay open. "reached" counts the runs that ended at the
energy found, of those that did not begin there. "minimum" says that the Hessian is positive but for
rotations. A miss is an energy more than 1e-7 above the table's.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

from packing.errors import NotReached
from packing.search import search
from packing.search.riesz import Riesz

TOLERANCE = 1e-7
TABLE = Path(__file__).resolve().parents[1] / "tests" / "data" / "reference" / "thomson_d3.csv"
HEAD = f"{'n':>4} {'found':>19} {'best known':>19} {'difference':>10} {'seconds':>7}  reached/runs"


def best_known(path: Path) -> dict[int, float]:
    """Energies by n from the last column of a CSV table; empty if the file is not there."""
    if not path.exists():
        print(f"no table at {path}: differences stay open (--table FILE.csv)", file=sys.stderr)
        return {}
    rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    return {int(row[0]): float(row[-1]) for row in rows if row[0].strip().isdigit()}


def counts(text: str) -> list[int]:
    """The n of "2-60", "7" or "2-12,24"."""
    numbers: list[int] = []
    for part in text.split(","):
        low, _, high = part.partition("-")
        numbers += range(int(low), int(high or low) + 1)
    return numbers


def one(n: int, seconds: float, seed: int, workers: int | None) -> dict[str, object]:
    """Search n points once; a plain row for the file."""
    row: dict[str, object] = {"n": n, "budget": seconds, "seed": seed}
    try:
        code = search(n, 3, "coulomb", seconds=seconds, seed=seed, workers=workers)
    except NotReached as short:
        return row | {"energy": None, "advice": str(short)}
    at = Riesz(n, 3).examine(code.arrangement.W.T)
    return row | {
        "energy": at.energy,
        "error": at.error,
        "gradient": at.gradient,
        "curvature": at.curvature if math.isfinite(at.curvature) else None,
        "minimum": at.minimum,
        "seconds": code.seconds,
        "reached": code.reached,
        "runs": code.runs,
        "status": code.status,
    }


def shown(row: dict, known: float | None) -> str:
    """The row as a line for people."""
    if row["energy"] is None:
        return f"{row['n']:4d} {row['advice']}"
    beside = f"{known:19.10f} {row['energy'] - known:+10.1e}" if known is not None else f"{'':30}"
    saddle = "" if row["minimum"] else "  no strict minimum"
    return (
        f"{row['n']:4d} {row['energy']:19.10f} {beside} {row['seconds']:7.2f}  "
        f"{row['reached']}/{row['runs']}  {row['status']}{saddle}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--n", type=counts, default=counts("2-60"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    known = best_known(options.table)
    done: dict[int, dict] = {}
    if options.out and options.out.exists():
        rows = [json.loads(line) for line in options.out.read_text().splitlines() if line.strip()]
        asked = (options.seconds, options.seed)
        done = {row["n"]: row for row in rows if (row["budget"], row["seed"]) == asked}
    print(HEAD)
    for n in options.n:
        if n not in done:
            done[n] = one(n, options.seconds, options.seed, options.workers)
            if options.out:
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(done[n]) + "\n")
        print(shown(done[n], known.get(n)), flush=True)
    found = {n: done[n]["energy"] for n in options.n if done[n]["energy"] is not None}
    compared = [n for n in options.n if n in known]
    misses = [n for n in compared if n not in found or found[n] > known[n] + TOLERANCE]
    better = [n for n in compared if n in found and found[n] < known[n] - TOLERANCE]
    weak = [n for n in found if not done[n]["minimum"]]
    times = sorted(float(done[n]["seconds"]) for n in found)
    print(f"compared {len(compared)}, misses {misses or 'none'}, better {better or 'none'}")
    print(f"not in the table: {[n for n in options.n if n not in known] or 'none'}")
    print(f"no strict minimum: {weak or 'none'}")
    if times:
        print(f"seconds: median {times[len(times) // 2]:.2f}, most {times[-1]:.2f}")


if __name__ == "__main__":
    main()
