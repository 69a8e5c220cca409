"""The statistical equivalence of the engines: every case, every quantity, and a control.

    python benchmarks/equivalence.py [--engine numba] [--models 4096] [--out FILE]

The control trains the engine under test at S a quarter larger; it must be noticed in every case.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from validate.training.equivalence import CASES, Agreement, equivalence


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--engine", default="numba")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--models", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=10_000)
    parser.add_argument("--case", action="append", choices=list(CASES), help="only this one")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    lines = [
        f"{options.engine} beside torch, {options.models} models each, first seed {options.seed}.",
        "",
        "| case | quantity | difference | interval | tolerance | verdict | at 1.25 S |",
        "|---|---|---|---|---|---|---|",
    ]
    bad = 0
    for case in options.case or CASES:
        size = {"models": options.models, "seed": options.seed, "device": options.device}
        rows = equivalence(options.engine, cases=[case], **size)
        wrong = equivalence(options.engine, cases=[case], control=1.25, **size)
        for row, control in zip(rows, wrong, strict=True):
            low, high = row.interval
            lines.append(
                f"| {case} | {row.quantity} | {row.difference:.4f} | {low:.4f} to {high:.4f} | "
                f"{row.tolerance:g} | {row.verdict} | {control.verdict} |"
            )
            print(lines[-1], flush=True)
        bad += sum(row.verdict != "agree" for row in rows) + blind(wrong)
    lines += ["", "All agree, every control was noticed." if not bad else f"{bad} failures."]
    print(lines[-1])
    if options.out:
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.exit(bool(bad))


def blind(control: list[Agreement]) -> bool:
    """Whether a control went unnoticed."""
    return all(row.verdict != "disagree" for row in control)


if __name__ == "__main__":
    main()
