"""The result language: how a number is known, and what every result can do.

A result is a frozen dataclass (``repr=False``) that inherits `Result` and says three things of
itself: `_values` (the JSON of the command line, before arrays become lists), `_facts` (name and
value, a line each) and `_tables`. From these come `to_dict`, `to_frame`, a short `repr`, the HTML
of a notebook and what the command line prints, so that all of them say the same.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from packing.errors import BadInput

if TYPE_CHECKING:
    import pandas


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
