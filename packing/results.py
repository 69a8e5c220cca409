"""The result language: how a number is known, and what every result can do.

A result is a frozen dataclass (``repr=False``) that inherits `Result` and says three things of
itself: `_values` (the JSON of the command line, before arrays become lists), `_facts` (name and
value, a line each) and `_tables`. From these come `to_dict`, `to_frame`, a short `repr`, the HTML
of a notebook and what the command line prints, so that all of them say the same.
"""

from __future__ import annotations

import csv
import html
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from packing.errors import BadInput

if TYPE_CHECKING:
    import pandas
    from rich.console import Console, RenderableType


class Evidence(StrEnum):
    """How a number is known. There are no other words for it anywhere in the project."""

    PROVED = "proved"
    """By an argument or by exact arithmetic."""
    ENCLOSED = "enclosed"
    """Within bounds that interval arithmetic or an error bound proves."""
    NUMERICAL = "numerical"
    """By a search or a root found in floating point: good, and not proved."""
    UNSETTLED = "unsettled"
    """A method stopped short of what it promises; the advice says what to do."""


Cell = Any
"""A number, a text, a flag or None."""

DIGITS = 10
"""Significant digits shown to people, unless a column asks for another number."""


def plain(value: Any) -> Any:
    """The value as JSON can hold it: arrays as lists, numbers that are not finite as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # numpy arrays and scalars, without importing numpy
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, StrEnum):
        return value.value
    if value is None or isinstance(value, (bool, int, str)):
        return value
    raise TypeError(f"{type(value).__name__} has no place in a JSON answer")


def shown(cell: Cell, digits: int = DIGITS) -> str:
    """A cell for people: rounded, a dash where there is nothing."""
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell + 0.0:.{digits}g}"  # + 0.0 makes a negative zero positive
    return " ".join(str(cell).split())


@dataclass(frozen=True)
class Table:
    """Rows under named columns, every digit kept; `digits` says how many people are shown.

    Parameters
    ----------
    title : str
    columns : sequence of str
        Distinct names.
    rows : sequence of sequences of Cell
        One cell a column. Numbers that are not finite count as None.
    digits : mapping of column to int, optional
        Significant digits for people, `DIGITS` unless given.

    Raises
    ------
    BadInput
        If a column occurs twice, or a row has another length than the columns.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    digits: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(set(self.columns)) < len(self.columns):
            raise BadInput(
                f"columns = {', '.join(self.columns)}: give every column a name of its own"
            )
        object.__setattr__(self, "rows", [[plain(cell) for cell in row] for row in self.rows])
        for i, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise BadInput(
                    f"row {i} has {len(row)} cells: give {len(self.columns)}, one per column"
                )

    @classmethod
    def of(
        cls,
        title: str,
        records: Sequence[Mapping[str, Cell]],
        digits: Mapping[str, int] | None = None,
        columns: Sequence[str] = (),
    ) -> Table:
        """A table of records: columns as in the first unless given, None where one has no value."""
        columns = list(columns or records[0])
        return cls(
            title, columns, [[one.get(key) for key in columns] for one in records], digits or {}
        )

    @property
    def records(self) -> list[dict[str, Cell]]:
        """The rows as mappings from column to cell."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    @property
    def words(self) -> list[str]:
        """Columns that hold text, and so stand on the left."""
        return [
            name
            for i, name in enumerate(self.columns)
            if any(isinstance(row[i], str) for row in self.rows)
        ]

    def shown(self) -> list[list[str]]:
        """The cells for people."""
        places = [self.digits.get(name, DIGITS) for name in self.columns]
        return [[shown(x, k) for x, k in zip(row, places, strict=True)] for row in self.rows]

    def to_frame(self) -> pandas.DataFrame:
        """The table as a pandas DataFrame, every digit kept.

        Raises
        ------
        BadInput
            If pandas is not installed: it is asked for here and nowhere else.
        """
        try:
            import pandas
        except ImportError:
            raise BadInput("to_frame needs pandas: pip install pandas") from None
        return pandas.DataFrame(list(self.rows), columns=list(self.columns))

    def _repr_html_(self) -> str:
        cells = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self.shown()
        )
        heads = "".join(f"<th>{html.escape(name)}</th>" for name in self.columns)
        caption = f"<caption>{html.escape(self.title)}</caption>"
        return f"<table>{caption}<tr>{heads}</tr>{cells}</table>"


class Result:
    """What every noun of the project can do; a frozen dataclass with ``repr=False`` inherits it."""

    __slots__ = ()

    def _values(self) -> Mapping[str, Any]:
        """Keys and values of the JSON answer; stable."""
        raise NotImplementedError(f"{type(self).__name__} says no values")

    def _facts(self) -> Sequence[tuple[str, str]]:
        """Name and value for people, one pair a line."""
        return ()

    def _tables(self) -> Sequence[Table]:
        """Tables for people; the first is `to_frame`."""
        return ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON of the command line: arrays as lists, no numbers that are not finite."""
        values: dict[str, Any] = plain(self._values())
        return values

    def to_frame(self) -> pandas.DataFrame:
        """The (first) table of the result as a pandas DataFrame.

        Raises
        ------
        BadInput
            If the result holds no table, or pandas is not installed.
        """
        tables = self._tables()
        if not tables:
            raise BadInput(f"{type(self).__name__} holds no table: to_dict() gives its values")
        return tables[0].to_frame()

    def plot(self, ax: Any = None) -> Any:
        """Draw the result into the axes (new ones unless given), which are returned."""
        raise BadInput(f"{type(self).__name__} has no picture: to_dict() gives its values")

    def __repr__(self) -> str:
        facts = [f"{name}: {value}" for name, value in list(self._facts())[:4]]
        return f"<{type(self).__name__} {'; '.join(facts)}>"

    def _repr_html_(self) -> str:
        facts = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
            for name, value in self._facts()
        )
        tables = "".join(table._repr_html_() for table in self._tables())
        return f"<table>{facts}</table>{tables}"


# Tables: the same rows as text, Markdown, CSV, JSON or LaTeX.
#
# Text, Markdown and LaTeX are for people and round; CSV and JSON hold every digit, so that a table
# read back gives the same numbers. rich and tabulate are imported when a table is drawn.


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
