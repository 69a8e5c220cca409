"""The staircase of a store as a table in Markdown, and as a picture.

    python -m validate.staircase_table FOLDER [--suite staircase] [--law uniform] [--plot FILE]

FOLDER is that of `packing validate staircase --out FOLDER`. A row for each S, of its best model;
further models of the same S stand behind a comma. Nothing is trained.
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
from validate.staircase import limit_loss
from validate.staircase_claims import MOST
from validate.staircase_trained import Place, places
from validate.store import Store
from validate.suites import load

COLUMNS = (
    "S (1 − S)",
    "best mixture",
    "its D\\*",
    "trained D\\*",
    "gap",
    "blocks, n → ∞",
    "many features",
    "represented",
    "on a level",
    "random, tight",
    "in a block",
    "clusters",
    "",
)

SMALL, NAMED = 16, 4
"""Features of the largest cluster that is a small block; kinds of clusters that are named."""


def read(folder: str | Path, suite: str = "staircase", law: str = "uniform") -> tuple[Place, ...]:
    """The trained models of a suite's store, S falling.

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
    return places(Book(wanted, models), law)


def kind(place: Place) -> str:
    """What is seen at one S, in a word.

    ``blocks``: those of the mixture. ``other blocks``: nine tenths of the dimensions are those of
    small clusters, ``overlapping`` where they have more than d together; half, ``partly blocks``.
    """
    best, d = place.best, place.models[0][0].run.setting.d
    small = sum(rank * count for n, rank, count in best.clusters if 1 < n <= SMALL)
    share = small / max(best.dimensions, 1)
    if min(best.on_level, best.in_block) >= MOST:
        word = "blocks"
    elif share >= MOST:
        word = "overlapping blocks" if best.dimensions > d else "other blocks"
    else:
        word = "partly blocks" if share >= 0.5 else "smeared"
    return f"{word}, below" if best.below else word


def clustered(place: Place) -> str:
    """``5 x 5 in 2``: clusters of the best model, single features left out."""
    parts = [
        f"{count} × {n} in {d}" if count > 1 else f"{n} in {d}"
        for n, d, count in place.best.clusters
        if n > 1
    ]
    more = [f"{len(parts) - NAMED} more"] if len(parts) > NAMED else []
    return ", ".join(parts[:NAMED] + more) + f"; {place.best.dimensions} in all"


def rows(found: Sequence[Place]) -> list[list[str]]:
    """A row of words for each S."""
    out = []
    for place in found:
        stair, best, s = place.stair, place.best, place.models[0][0].run.setting
        chance = best.chance_level
        out.append(
            [
                f"{stair.S:.3g} ({1.0 - stair.S:.3g})",
                stair.name.rsplit(" + ", 1)[0] if stair.name.endswith("ignored") else stair.name,
                f"{stair.D_star:.3f}",
                ", ".join(f"{one.D_star:.3f}" for one in place.landed),
                ", ".join(f"{one.gap:+.2%}" for one in place.landed),
                f"{limit_loss(s.n, s.d, stair.S, s.law) / stair.loss - 1.0:+.2%}",
                f"{stair.margin:+.2%}",
                f"{len(best.dimensionality)} ({sum(count for _, count in stair.levels)})",
                f"{best.on_level:.0%}",
                f"{chance[0]:.0%}, {chance[1]:.0%}",
                f"{best.in_block:.0%}",
                clustered(place),
                kind(place),
            ]
        )
    return out


def summary(found: Sequence[Place]) -> list[str]:
    """What the table comes to, in sentences of numbers."""
    gap = np.array([place.best.gap for place in found])
    off = np.array([place.best.D_star / place.stair.D_star - 1.0 for place in found])
    wide = np.array([place.best.D_star / place.stair.wide_D_star - 1.0 for place in found])
    below = [place for place in found if place.best.below]
    blocks = [place for place in found if kind(place) == "blocks"]
    d = found[0].models[0][0].run.setting.d
    sums = [float(place.best.dimensionality.sum()) / d for place in found]
    return [
        f"S: {len(found)}, models: {sum(len(place.landed) for place in found)}",
        f"gap: median {np.median(gap):+.2%}, {gap.min():+.2%} to {gap.max():+.2%}",
        f"|D* / mixture - 1|: median {np.median(abs(off)):.1%}, largest {abs(off).max():.1%}",
        f"|D* / many features - 1|: median {np.median(abs(wide)):.1%}",
        f"sum of D_i of represented features over d: {min(sums):.4f} to {max(sums):.4f}",
        "blocks at S = " + ", ".join(f"{place.stair.S:.3g}" for place in blocks),
        "below the mixture at S = " + ", ".join(f"{place.stair.S:.3g}" for place in below),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m validate.staircase_table")
    parser.add_argument("folder", help="of packing validate staircase --out")
    parser.add_argument("--suite", default="staircase", help="name of a suite, or a .toml file")
    parser.add_argument("--law", default="uniform", choices=("binary", "uniform"))
    parser.add_argument("--plot", help="a PDF, PNG or SVG file")
    given = parser.parse_args(arguments)
    try:
        found = read(given.folder, given.suite, given.law)
        print(render(COLUMNS, rows(found), "md", "staircase"))
        print("\n".join(summary(found)), file=sys.stderr)
        if given.plot:
            from validate.staircase_draw import picture

            picture(found, given.plot)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
