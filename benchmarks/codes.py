"""Best codes and line packings against the best known: the table of misses.

    python benchmarks/codes.py --kind angle|lines|higher [--n 3-50] [--d 3,4] [--seconds 60]
        [--seed 0] [--workers K] [--out FILE.jsonl]

`angle`: points in R^3 against Sloane's table; `higher`: the sharp codes (4,24) to (8,240); `lines`:
n <= 24 lines in R^3 and n <= 20 in R^4 to R^6. The best known values are read from the folder
`tests/data/reference`; rows that it leaves out are searched too and shown without
a difference. With --out every row is kept as one line of JSON, and a run that was stopped goes on
where it was. `cpu` counts this process and its workers.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import sys
from pathlib import Path

from packing.search import search

REFERENCE = Path(__file__).resolve().parents[1] / "tests" / "data" / "reference"
HIGHER = ((24, 4), (120, 4), (16, 5), (27, 6), (56, 7), (240, 8))
LINES = {3: 24, 4: 20, 5: 20, 6: 20}
TOLERANCE = {"angle": 1e-11, "higher": 1e-10, "lines": 1e-6}


def reference(kind: str) -> dict[tuple[int, int], float]:
    """Best known value by (n, d); empty where the folder is not there."""
    name = {"angle": "tammes_d3.csv", "higher": "exact_codes.csv", "lines": "lines_real.csv"}[kind]
    path = REFERENCE / name
    if not path.exists():
        return {}
    lines = [row for row in path.read_text(encoding="utf-8").splitlines() if row[:1] != "#"]
    known = {}
    for row in csv.DictReader(lines):
        d = row.get("d", "3")
        value = row.get("max_cosine") or row.get("max_cosine_float") or row.get("coherence")
        if value and d.isdigit() and row["n"].isdigit():
            known[int(row["n"]), int(d)] = float(value)
    return known


def jobs(kind: str, ns: set[int] | None, ds: set[int] | None) -> list[tuple[int, int]]:
    """The (n, d) of a table, as far as they are asked for."""
    if kind == "angle":
        rows = [(n, 3) for n in sorted(ns or range(2, 51))]
    elif kind == "higher":
        rows = list(HIGHER)
    else:
        rows = [(n, d) for d, top in LINES.items() for n in sorted(ns or range(d, top + 1))]
    return [(n, d) for n, d in rows if (not ns or n in ns) and (not ds or d in ds)]


def cpu() -> float:
    """Processor seconds of this process and of its children that have ended."""
    use = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in use)


def numbers(text: str) -> set[int]:
    """ "7,10-12" as {7, 10, 11, 12}."""
    found: set[int] = set()
    for part in text.split(","):
        low, _, high = part.partition("-")
        found |= set(range(int(low), int(high or low) + 1))
    return found


def row_of(kind: str, n: int, d: int, options: argparse.Namespace) -> dict[str, object]:
    """One search, as a row of the table."""
    before = cpu()
    code = search(
        n,
        d,
        "lines" if kind == "lines" else "angle",
        seconds=options.seconds,
        seed=options.seed,
        workers=options.workers,
    )
    return {
        "kind": kind, "n": n, "d": d, "found": code.value, "reached": code.reached,
        "runs": code.runs, "contacts": len(code.contacts), "rattlers": len(code.rattlers),
        "seconds": code.seconds, "cpu": cpu() - before, "status": code.status,
    }  # fmt: skip


def main() -> None:
    """Print the table, then the misses."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=sorted(TOLERANCE), default="angle")
    parser.add_argument("--n", type=numbers)
    parser.add_argument("--d", type=numbers)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    known, tolerance = reference(options.kind), TOLERANCE[options.kind]
    if not known:
        print(f"no table of best known values in {REFERENCE}: no differences", file=sys.stderr)
    done: dict[tuple[str, int, int], dict[str, object]] = {}
    if options.out and options.out.exists():
        for line in options.out.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            done[row["kind"], row["n"], row["d"]] = row
    compared, misses, better = 0, [], []
    print("| d | n | found | best known | difference | reached | seconds | cpu | status |")
    print("|---|---|---|---|---|---|---|---|---|")
    for n, d in jobs(options.kind, options.n, options.d):
        row = done.get((options.kind, n, d))
        if row is None:
            row = row_of(options.kind, n, d, options)
            if options.out:
                with options.out.open("a", encoding="utf-8") as sink:
                    sink.write(json.dumps(row) + "\n")
        best = known.get((n, d))
        difference = None if best is None else float(str(row["found"])) - best
        text = "| – | –" if difference is None else f"| {best:.12f} | {difference:+.1e}"
        print(
            f"| {d} | {n} | {row['found']:.15f} {text} | {row['reached']}/{row['runs']} "
            f"| {row['seconds']:.1f} | {row['cpu']:.1f} | {row['status']} |",
            flush=True,
        )
        if difference is not None:
            compared += 1
            if difference > tolerance:
                misses.append((d, n, difference))
            elif difference < -tolerance:
                better.append((d, n, difference))
    print(f"\n{compared} rows compared at {tolerance:g}: {len(misses)} missed {misses}")
    if better:
        print(f"below the best known value: {better}")


if __name__ == "__main__":
    main()
