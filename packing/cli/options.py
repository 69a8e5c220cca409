"""Options of the geometry commands, and the checks they share; nothing heavy is imported."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from packing.cli.app import Number, OwnWords, Whole, options
from packing.errors import BadInput
from packing.files import check_target

PICTURES = (".png", ".svg", ".pdf")
CRITERIA = ("angle", "coulomb", "riesz", "lines")
MOST_VALUES = 10_000  # of -n and -d in a table; a longer list is a slip of the finger


class Wholes(OwnWords):
    """Positive whole numbers: a list with commas, ranges with a dash; a sorted tuple of int."""

    name = "whole numbers"
    refusal = (
        "is no list of positive whole numbers: "
        "give numbers and ranges with commas between them, as in 4-10 or 4,6,8"
    )

    def read(self, value: Any) -> tuple[int, ...]:
        found: set[int] = set()
        for part in str(value).split(","):
            match = re.fullmatch(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", part)
            low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
            if not 1 <= low <= high:
                raise ValueError
            if len(found) + high - low >= MOST_VALUES:
                raise BadInput(f"asks for more than {MOST_VALUES} values: give fewer")
            found.update(range(low, high + 1))
        return tuple(sorted(found))


SIZE = options(
    click.option("-n", type=Whole(), required=True, metavar="N", help="Number of vectors."),
    click.option("-d", type=Whole(), required=True, metavar="D", help="Number of dimensions."),
)
SEARCH = options(
    click.option(
        "--criterion",
        default="angle",
        metavar="[angle|coulomb|riesz|lines]",
        help="What is best: largest smallest angle, least Coulomb or Riesz energy, or, for lines, "
        "least coherence.  [default: angle]",
    ),
    click.option(
        "--exponent",
        type=Number(),
        metavar="s",
        help="Riesz energy: sum over pairs of 1/r^s, 0 < s <= 100.",
    ),
)
TERMS = (
    "Names: a digon is two opposite vectors in one dimension, a parallel pair two alike, uneven if "
    "their lengths differ; a twin or a shadow lies along another's direction, as long or much "
    "shorter; docs/glossary.md has the others."
)
"""One line on the words that stand in names, for the help of what prints them."""

SEED = click.option(
    "--seed", type=Whole(0), default=0, metavar="K", help="Seed of the search.  [default: 0]"
)
PLOT = click.option(
    "--plot", metavar="FILE", help="Draw the answer: a png, svg or pdf file, told by its ending."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def check_criterion(criterion: str, exponent: float | None) -> None:
    if criterion not in CRITERIA:
        raise BadInput(f"criterion = {criterion!r} is unknown: give one of {', '.join(CRITERIA)}")
    if criterion == "riesz" and exponent is None:
        raise BadInput("criterion riesz needs an exponent: add --exponent 2, or another number > 0")
    if criterion != "riesz" and exponent is not None:
        raise BadInput(f"--exponent is for --criterion riesz, not for {criterion}: leave it out")
    if exponent is not None and not 0.0 < exponent < math.inf:
        raise BadInput(f"exponent = {exponent:g} is out of range: give a positive number")


def check_seconds(seconds: float) -> None:
    if not 0.0 < seconds < math.inf:
        raise BadInput(f"seconds = {seconds:g} is no time budget: give a positive number")


def target_of(path: str | None, option: str, endings: tuple[str, ...]) -> Path | None:
    """The file an option names, known to be writable before any work; None where it names none."""
    return None if path is None else check_target(path, option, endings)


def check_drawable(n: int) -> None:
    """Said before the search: its answer must not be followed by a refusal to draw it."""
    from packing.plotting import MAX_DRAWN

    if n > MAX_DRAWN:
        raise BadInput(
            f"n = {n} vectors do not fit a picture: leave out --plot, or draw at most {MAX_DRAWN}"
        )


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """A disk that fills up while a file is written is one line, not a traceback."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    try:
        yield
    except OSError as error:
        raise BadInput(f"{target} cannot be written: {error.strerror or error}") from None
