"""Tables: the same rows as text, Markdown, CSV, JSON or LaTeX.

Text, Markdown and LaTeX are for people and round; CSV and JSON hold every digit, so that a table
read back gives the same numbers. rich and tabulate are imported when a table is drawn.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from packing.errors import BadInput
from packing.results import Cell, Table

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

FORMATS: dict[str, tuple[str, ...]] = {
    "text": (".txt",),
    "md": (".md",),
    "csv": (".csv",),
    "json": (".json",),
    "latex": (".tex",),
}
"""The formats, and the endings of files that hold them."""


def render(
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    format: str,
    title: str,
    digits: Mapping[str, int] | None = None,
) -> str:
    """A table of numbers and words in text, Markdown, CSV, JSON or LaTeX.

    CSV and JSON hold every digit and read back to the same numbers; the others are rounded for
    reading. An empty cell is a dash for people, empty in CSV and null in JSON.

    Parameters
    ----------
    columns : sequence of str
        Names, distinct.
    rows : sequence of sequences
        One value per column: number, text, flag or None. Numbers that are not finite count as None.
    format : {"text", "md", "csv", "json", "latex"}
        LaTeX needs the package booktabs.
    title : str
        Above the table; a comment in LaTeX, left out of CSV.
    digits : mapping of column to int, optional
        Significant digits for people, 10 unless given.

    Returns
    -------
    str
        The table, with a line break at its end.

    Raises
    ------
    BadInput
        If the format is unknown, a row has another length than the columns, or a column occurs
        twice.
    """
    check_format(format)
    table = Table(title, columns, rows, digits or {})
    if format == "csv":
        return _csv(columns, table.rows)
    if format == "json":
        listed = [dict(zip(columns, row, strict=True)) for row in table.rows]
        body = {"title": title, "columns": list(columns), "rows": listed}
        return json.dumps(body, allow_nan=False, ensure_ascii=False) + "\n"
    if format == "text":
        return _text(columns, table.shown(), title, table.words)
    return _markup(columns, table.shown(), title, table.words, format)


def check_format(format: str) -> str:
    """The format, if there is such a one."""
    if format not in FORMATS:
        raise BadInput(f"format = {format!r} is unknown: give one of {', '.join(FORMATS)}")
    return format


def _csv(columns: Sequence[str], values: Sequence[Sequence[Cell]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in values:
        writer.writerow("" if x is None else repr(x) if isinstance(x, float) else x for x in row)
    return out.getvalue()


def _text(
    columns: Sequence[str], shown: Sequence[Sequence[str]], title: str, words: Sequence[str]
) -> str:
    out = console(io.StringIO())
    # Wide enough for every cell: a number is never cut, a line never folded.
    widest = [max(len(row[i]) for row in (columns, *shown)) for i in range(len(columns))]
    out.width = max(len(title), sum(widest) + 3 * len(widest))
    out.print(grid(title, columns, shown, words=words))
    lines = out.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return "".join(f"{line.rstrip()}\n" for line in lines).lstrip("\n")


def _markup(
    columns: Sequence[str],
    shown: Sequence[Sequence[str]],
    title: str,
    words: Sequence[str],
    format: str,
) -> str:
    from tabulate import tabulate

    align = ["left" if name in words else "right" for name in columns]
    heads = list(columns)
    cells = [list(row) for row in shown]
    if format == "md":  # a bar would end the cell; tabulate escapes for LaTeX only
        heads = [name.replace("|", "\\|") for name in heads]
        cells = [[cell.replace("|", "\\|") for cell in row] for row in cells]
    table = tabulate(
        cells,
        headers=heads,
        tablefmt="pipe" if format == "md" else "latex_booktabs",
        disable_numparse=True,
        colalign=align if cells else None,
    )
    if not cells:  # tabulate gives a table without rows no columns either
        table = table.replace("{tabular}{}", f"{{tabular}}{{{'r' * len(columns)}}}")
    title = " ".join(title.split())
    if format == "md":
        return f"**{title}**\n\n{table}\n"
    return f"% {title}\n% needs \\usepackage{{booktabs}}\n{table}\n"


# What people see on a terminal.


def console(file: Any) -> Console:
    """A rich console that colours on terminals only, and honours NO_COLOR."""
    from rich.console import Console

    terminal = bool(getattr(file, "isatty", lambda: False)())
    coloured = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Console(
        file=file,
        force_terminal=terminal,
        color_system="auto" if coloured else None,
        width=None if terminal or os.environ.get("COLUMNS") else 100,
        highlight=False,
        markup=False,
        emoji=False,
    )


def facts(pairs: Sequence[tuple[str, str]]) -> RenderableType:
    """Name and value, one pair a line."""
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(name, value)
    return table


def grid(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], words: Sequence[str] = ()
) -> RenderableType:
    """A table with a header; columns hold numbers (right-aligned) unless named in ``words``."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        justify: Any = "left" if name in words else "right"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=name not in words)
    for row in rows:
        table.add_row(*row)
    # A title of the table itself would be folded to the table's width.
    return Group(Text(""), Text(title, style="bold"), table)
