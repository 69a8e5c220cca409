"""What came of a surplus suite as a table in Markdown, and as a picture.

    python -m validate.surplus_table FOLDER [--suite surplus] [--plot FILE]

FOLDER is that of `packing validate surplus --out FOLDER`. A row for each cell. Nothing is trained;
predictions come from the cache, or are asked for.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from packing.errors import BadInput
from packing.tables import render
from validate.ledger_parts import Book
from validate.run import STORE
from validate.store import Store
from validate.suites import load
from validate.surplus import Tally, tally

COLUMNS = (
    "n, d",
    "S (1 − S), values",
    "arrangement",
    "batch",
    "lr",
    "steps",
    "schedule",
    "reached",
    "share",
    "gap: best",
    "10%",
    "median",
    "90%",
    "nearest elsewhere",
)


def read(folder: str | Path, suite: str = "surplus") -> tuple[Tally, ...]:
    """What came of the cells of a suite, from its store.

    Raises
    ------
    BadInput
        If there is no store, or it lacks models of the suite.
    """
    path = Path(folder) / STORE
    if not path.exists():
        raise BadInput(f"{path} does not exist: run packing validate {suite} --out {folder} first")
    wanted = load(suite)
    with Store(path, write=False) as store:
        models = store.load([run.key for run in wanted.runs])
    book = Book(wanted, models)
    return tuple(tally(cell, book.samples[cell.name]) for cell in wanted.cells)


def rows(found: Sequence[Tally]) -> list[list[str]]:
    """A row of words for each cell."""
    out = []
    for one in found:
        s, recipe, aim = one.cell.setting, one.cell.recipe, one.target
        S = float(s.features.S[0])
        rate, rest = one.share, one.gap[~one.reached]
        best, low, middle, high = one.quantiles((0.0, 0.1, 0.5, 0.9))
        name = aim.name if aim.wins else f"{aim.name} (not: {aim.best})"
        out.append(
            [
                f"{s.n}, {s.d}",
                f"{S:g} ({1.0 - S:g}), {s.law}",
                name,
                f"{recipe.batch}",
                f"{recipe.lr:g}",
                f"{recipe.steps}",
                recipe.schedule + (f", warmup {recipe.warmup}" if recipe.warmup else ""),
                f"{int(one.reached.sum())} of {len(one.reached)}",
                f"{rate.low:.2f} to {rate.high:.2f}",
                *(f"{x:+.3%}" for x in (best, low, middle, high)),
                f"{rest.min():+.2%}" if rest.size else "–",
            ]
        )
    return out


def summary(found: Sequence[Tally]) -> list[str]:
    """What theory has at each setting, in sentences."""
    out = [f"models: {sum(len(one.gap) for one in found)}"]
    for aim in {one.cell.setting: one.target for one in found}.values():
        s = aim.setting
        out.append(
            f"{s.n} in {s.d}, S = {s.S:g}, {s.law}: {aim.name} {aim.loss:.9g}, best known "
            f"{aim.known:.9g} ({aim.best}, {aim.status})"
        )
    below = [one.cell.name for one in found if np.any(one.below)]
    return [*out, f"below the best known: {', '.join(below) or 'none'}"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m validate.surplus_table")
    parser.add_argument("folder", help="of packing validate surplus --out")
    parser.add_argument("--suite", default="surplus", help="name of a suite, or a .toml file")
    parser.add_argument("--plot", help="a PDF, PNG or SVG file")
    given = parser.parse_args(arguments)
    try:
        found = read(given.folder, given.suite)
        print(render(COLUMNS, rows(found), "md", given.suite))
        print("\n".join(summary(found)), file=sys.stderr)
        if given.plot:
            from validate.surplus_draw import picture

            picture(found, given.plot)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
