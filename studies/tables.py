"""What came of the suites of a study as a table in Markdown, and as a picture.

    python -m studies.tables surplus FOLDER [--suite surplus-large] [--plot FILE]

FOLDER is that of `python -m studies SUITE --out FOLDER`. Nothing is trained; predictions come from
the cache, or are asked for.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from packing.errors import BadInput
from packing.plotting import check_path, save
from packing.results import render
from studies import registry, staircase, surplus
from studies.claims import Book
from validate.store import STORE, Store


def read(folder: str | Path, suite: str) -> Book:
    """The trained models of a suite's store.

    Raises
    ------
    BadInput
        If there is no store, or it lacks models of the suite.
    """
    path = Path(folder) / STORE
    if not path.exists():
        raise BadInput(f"{path} does not exist: run python -m studies {suite} --out {folder} first")
    wanted = registry.load(suite)
    with Store(path, write=False) as store:
        return Book(wanted, store.load([run.key for run in wanted.runs]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m studies.tables")
    parser.add_argument("study", choices=("staircase", "surplus"))
    parser.add_argument("folder", help="of python -m studies SUITE --out")
    parser.add_argument("--suite", help="name of a suite, or a .toml file  [default: the study's]")
    parser.add_argument("--plot", help="a PDF, PNG or SVG file")
    given = parser.parse_args(arguments)
    suite = given.suite or given.study
    columns: Sequence[str]
    try:
        book = read(given.folder, suite)
        if given.study == "staircase":
            laws = dict.fromkeys(cell.setting.law for cell in book.suite.cells)
            places = [place for law in laws for place in staircase.places(book, law)]
            columns, rows = staircase.COLUMNS, staircase.rows(places)
            said, figure = staircase.summary(places), staircase.draw(places, staircase.BETWEEN)
        else:
            tallies = [surplus.tally(cell, book.samples[cell.name]) for cell in book.suite.cells]
            columns, rows = surplus.COLUMNS, surplus.rows(tallies)
            said, figure = surplus.summary(tallies), surplus.draw(tallies)
        print(render(columns, rows, "md", suite))
        print("\n".join(said), file=sys.stderr)
        if given.plot:
            save(figure, check_path(given.plot))
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
