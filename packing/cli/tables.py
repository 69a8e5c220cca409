"""The command `packing table`: kinds of tables, each imported when asked for.

A kind registers as an entry point of the group `packing.tables`. It takes the options FORMAT, asks
`table_target` before it computes and ends in `print_table`, so that all tables are alike.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from packing.cli.app import (
    NOT_REACHED,
    OK,
    TABLES,
    Door,
    Number,
    Verb,
    note,
    options,
    progress_bar,
    write_out,
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
from packing.errors import BadInput
from packing.files import check_target, write_text
from packing.results import FORMATS, check_format, render

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
    verb="packing.results:render",
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
    verb="packing.evaluation:code_table",
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

    from packing.evaluation import code_table

    with progress_bar("table") as progress:
        table = code_table(
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
    (best,) = table._tables()
    columns, rows = list(best.columns), [list(row) for row in best.rows]
    print_table(columns, rows, chosen, best.title, target, out, dict(best.digits))
    if table.unfinished:
        cells = "1 cell" if table.unfinished == 1 else f"{table.unfinished} cells"
        note(f"packing: the time was up in {cells} of {len(rows)}: give more --seconds")
        return NOT_REACHED
    return OK


def table_target(format_: str | None, as_json: bool, out: str | None) -> tuple[str, Path | None]:
    """The format of a table and the file it goes to, checked before any work."""
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
    text = render(columns, rows, format_, title, digits)
    if target is None:
        write_out(text)
        return
    with writing(target):
        write_text(target, text)
    note(f"table written to {shown}")
