"""The command `packing table`: kinds of tables, each imported when asked for.

A kind registers as an entry point of the group `packing.tables`. It takes the options FORMAT, asks
`table_target` before it computes and ends in `print_table`, so that all tables are alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from packing import cache
from packing.cli.app import (
    NOT_REACHED,
    OK,
    TABLES,
    Door,
    Number,
    Verb,
    note,
    number,
    options,
    plain,
    progress_bar,
)
from packing.cli.options import (
    MOST_VALUES,
    SEARCH,
    SEED,
    Wholes,
    check_criterion,
    check_seconds,
    writing,
)
from packing.errors import BadInput, NotReached
from packing.files import check_target, write_text

if TYPE_CHECKING:
    from packing.recognition import Judgement
    from packing.types import Progress

FORMAT = options(
    click.option(
        "--format",
        "format_",
        metavar="[text|md|csv|json|latex]",
        help="How the table is printed.  [default: text, or told by the ending of --out]",
    ),
    click.option("--json", "as_json", is_flag=True, help="The same as --format json."),
    click.option("--out", metavar="FILE", help="Write the table to a file instead of printing it."),
)
"""The options of every table; `table_target` reads them."""


class Kinds(Verb, Door):
    """The kinds of tables, imported when asked for, under the help of the verb that prints them."""


@click.group(
    "table",
    cls=Kinds,
    commands_at=TABLES,
    noun="table",
    verb="packing.cli.output:render",
    help="Tables: text, Markdown, CSV, JSON, LaTeX.",
    examples="""
        packing table arrangements -n 4-12 -d 3
        packing table arrangements -n 4,6,8 -d 2-4 --format latex --out table.tex
        """,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.pass_context
def table_command(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        raise BadInput(f"no table was named: give a kind of table: {', '.join(TABLES)}")


@click.command(
    "arrangements",
    cls=Verb,
    verb="packing.cli.tables:arrangements",
    help="The best arrangement for every n and d, its bound, and how it is known.",
    note="Numbers and ranges have commas between them: -n 4-10,24. Exit code 3: the time was up "
    "in some cell; its row says so.",
    examples="""
        packing table arrangements -n 4-12 -d 3
        packing table arrangements -n 4,6,8 -d 2-4 --format latex --out table.tex
        packing table arrangements -n 3-16 -d 3 --criterion lines --format csv
        """,
)
@click.option(
    "-n", type=Wholes(), default="2-12", metavar="N", help="Numbers of vectors.  [default: 2-12]"
)
@click.option(
    "-d", type=Wholes(), default="2-4", metavar="D", help="Numbers of dimensions.  [default: 2-4]"
)
@SEARCH
@click.option(
    "--seconds",
    type=Number(),
    default=10.0,
    metavar="T",
    help="Time budget of each cell.  [default: 10]",
)
@SEED
@click.option("--no-cache", is_flag=True, help="Compute afresh, and keep nothing.")
@FORMAT
def arrangements_command(
    n: tuple[int, ...],
    d: tuple[int, ...],
    criterion: str,
    exponent: float | None,
    seconds: float,
    seed: int,
    no_cache: bool,
    format_: str | None,
    as_json: bool,
    out: str | None,
) -> int:
    chosen, target = table_target(format_, as_json, out)
    check_criterion(criterion, exponent)
    check_seconds(seconds)
    if len(n) * len(d) > MOST_VALUES:
        raise BadInput(f"{len(n)} x {len(d)} cells are more than {MOST_VALUES}: ask for fewer")

    with progress_bar("table") as progress:
        table = arrangements(
            n,
            d,
            criterion,
            s=exponent or 1.0,
            seconds=seconds,
            seed=seed,
            keep=not no_cache,
            progress=progress,
        )
    if table.remembered:
        cells = f"{table.remembered} of {len(table.rows)} cells"
        note(f"note: {cells} answered from the cache (--no-cache computes afresh)")
    columns = [name for name in COLUMNS if name != "coherence" or criterion == "lines"]
    rows = [[row[name] for name in columns] for row in table.rows]
    what = {
        "angle": "vectors in R^d: largest smallest angle",
        "lines": "lines in R^d: least coherence",
        "coulomb": "vectors in R^d: least Coulomb energy",
        "riesz": f"vectors in R^d: least Riesz energy, exponent {number(exponent)}",
    }
    title = f"Best arrangements of n {what[criterion]}"
    print_table(columns, rows, chosen, title, target, out, DIGITS)
    if table.unfinished:
        cells = "1 cell" if table.unfinished == 1 else f"{table.unfinished} cells"
        note(f"packing: the time was up in {cells} of {len(rows)}: give more --seconds")
        return NOT_REACHED
    return OK


def table_target(format_: str | None, as_json: bool, out: str | None) -> tuple[str, Path | None]:
    """The format of a table and the file it goes to, checked before any work."""
    from packing.cli.output import FORMATS, check_format

    if as_json and format_ not in (None, "json"):
        raise BadInput(f"--json and --format {format_} are both given: keep one of them")
    chosen = "json" if as_json else format_
    if chosen is not None:
        check_format(chosen)
    if out is None:
        return chosen or "text", None
    endings = FORMATS[chosen] if chosen else tuple(e for some in FORMATS.values() for e in some)
    ending = Path(out).suffix.lower()
    if ending not in endings and any(ending in some for some in FORMATS.values()):
        raise BadInput(
            f"--out {out} and --format {chosen} do not agree: end the name in {endings[0]}, "
            "or leave out --format"
        )
    target = check_target(out, "--out", endings)
    return chosen or next(name for name, some in FORMATS.items() if ending in some), target


def print_table(
    columns: list[str],
    rows: list[list[Any]],
    format_: str,
    title: str,
    target: Path | None,
    shown: str | None,
    digits: dict[str, int],
) -> None:
    """Print a table, or write it to a file, whole or not at all."""
    from packing.cli.app import write_out
    from packing.cli.output import render

    text = render(columns, rows, format_, title, digits)
    if target is None:
        write_out(text)
        return
    with writing(target):
        write_text(target, text)
    note(f"table written to {shown}")


# The rows of `packing table arrangements`: the best code for every n and d.
#
# Every finished cell is kept in the cache at once, so that a table that was interrupted goes on
# where
# it stopped. A cell whose search ended by itself answers for every time budget; one that the clock
# stopped answers for that budget only.


COLUMNS = (
    "n",
    "d",
    "min_angle_deg",
    "max_cosine",
    "coherence",
    "energy",
    "name",
    "bound",
    "gap",
    "bound_name",
    "known",
)
DIGITS = {"min_angle_deg": 9, "gap": 3}


@dataclass(frozen=True)
class Table:
    """The cells of a table of arrangements.

    Parameters
    ----------
    rows : tuple of dict
        One per cell, by d and then n, with the keys of COLUMNS, ``status`` and ``advice``.
    remembered : int
        Cells that were answered from the cache.
    unfinished : int
        Cells whose search the clock stopped, with or without a result.
    """

    rows: tuple[dict[str, Any], ...]
    remembered: int
    unfinished: int


def arrangements(
    sizes: Sequence[int],
    dimensions: Sequence[int],
    criterion: str = "angle",
    *,
    s: float = 1.0,
    seconds: float = 10.0,
    seed: int = 0,
    keep: bool = True,
    progress: Progress | None = None,
) -> Table:
    """The best arrangement of n points for every n and d, its bound, and how it is known.

    One row per cell: smallest angle, largest cosine, energy, name, best bound, gap, and either
    that it is proved optimal or how often the search found it. Cells are kept in the cache as soon
    as they are finished, so the same command continues a table that was interrupted.

    Parameters
    ----------
    sizes, dimensions : sequences of int
        The n and the d of the table.
    criterion, s, seconds, seed
        As for `packing.search.search`; the time budget is for each cell.
    keep : bool
        Read and write the cache.
    progress : callable, optional
        Called as progress(stage, fraction) with the fraction of the table that is done.

    Raises
    ------
    BadInput
        As `packing.search.search`.
    """
    from packing.search import check_memory, make_criterion

    # The largest cell first: a table must not stop halfway for what was known at its beginning.
    top = max(sizes), max(dimensions)
    check_memory(*top, make_criterion(criterion, *top, s=s).needs()[0])
    cells = [(n, d) for d in sorted(set(dimensions)) for n in sorted(set(sizes))]
    rows, remembered = [], 0
    for done, (n, d) in enumerate(cells):

        def inner(stage: str, fraction: float, done: int = done) -> None:
            if progress is not None:
                progress("cells", (done + min(fraction, 0.99)) / len(cells))

        question = {
            "verb": "cell of a table of arrangements",
            "n": n,
            "d": d,
            "criterion": criterion,
            "s": s if criterion == "riesz" else None,
            "seed": seed,
        }
        kept = _remembered(question, seconds) if keep else None
        remembered += kept is not None
        row = kept or cell(n, d, criterion, s=s, seconds=seconds, seed=seed, progress=inner)
        if keep and kept is None and row["name"] is not None:
            cache.write({**question, "seconds": _budget(row, seconds)}, row)
        rows.append(row)
        inner("", 1.0)
    unfinished = sum(row["status"] == "unfinished" for row in rows)
    return Table(tuple(rows), remembered, unfinished)


def _budget(row: dict[str, Any], seconds: float) -> float | None:
    return seconds if row["status"] == "unfinished" else None


def _remembered(question: dict[str, Any], seconds: float) -> dict[str, Any] | None:
    return cache.read({**question, "seconds": None}) or cache.read({**question, "seconds": seconds})


def cell(
    n: int,
    d: int,
    criterion: str,
    *,
    s: float,
    seconds: float,
    seed: int,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """One row, as values that JSON can hold; without a result where the time was too short."""
    from packing.recognition import judge
    from packing.search import search

    try:
        code = search(n, d, criterion, s=s, seconds=seconds, seed=seed, progress=progress)
    except NotReached as stop:
        empty: dict[str, Any] = dict.fromkeys(COLUMNS)
        empty |= {"n": n, "d": d, "known": f"nothing found in {seconds:g} s"}
        return {**empty, "status": "unfinished", "advice": str(stop)}
    judged = judge(code)
    lines = criterion == "lines"
    values = {
        "n": n,
        "d": d,
        "min_angle_deg": math.degrees(code.min_angle),
        "max_cosine": _clean(code.coherence if lines else code.max_cosine),
        "coherence": _clean(code.coherence),
        "energy": code.energy,
        "name": judged.name,
        "bound": judged.bound.value if judged.bound is not None else None,
        "gap": judged.gap,
        "bound_name": judged.bound.name if judged.bound is not None else None,
        "known": how_known(judged),
        "status": judged.status,
        "advice": judged.advice,
    }
    row: dict[str, Any] = plain(values)
    return row


def _clean(cosine: float) -> float:
    """The cosine, 0 where it is nothing but the rounding of coordinates near 1."""
    return 0.0 if abs(cosine) < 4e-16 else cosine


def how_known(judged: Judgement) -> str:
    """A few words on why the code is thought to be the best."""
    from packing.recognition import OPEN, OPTIMAL

    if judged.verdict == OPTIMAL:
        return judged.verdict
    code = judged.code
    found = f"found {code.reached} of {code.runs} {'time' if code.runs == 1 else 'times'}"
    late = ", time up" if judged.status == "unfinished" else ""
    return found + late if judged.verdict == OPEN else f"{judged.verdict}, {found}{late}"
