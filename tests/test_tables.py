"""Tables in five formats: numbers that come back, cells that break no format, bad input."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packing.errors import BadInput
from packing.results import FORMATS, render

COLUMNS = ["n", "max_cosine", "name"]
ROWS = [
    [4, -1 / 3, "tetrahedron"],
    [5, None, 'a | b & c_{1} \\ 50% #2 ~ ^ $ "q", <x>'],
    [6, math.nan, "Fejes Tóth\nand more"],
    [7, -0.0, "12"],
    [8, 1e-300, ""],
]


def test_json_is_one_object_with_every_digit() -> None:
    text = render(COLUMNS, ROWS, "json", "Title")
    assert text.count("\n") == 1
    table = json.loads(text)
    assert table["title"] == "Title" and table["columns"] == COLUMNS
    assert [row["n"] for row in table["rows"]] == [4, 5, 6, 7, 8]
    cosines = [row["max_cosine"] for row in table["rows"]]
    assert cosines == [-1 / 3, None, None, 0.0, 1e-300]
    assert [row["name"] for row in table["rows"]] == [row[2] for row in ROWS]


def test_csv_reads_back_to_the_same_values() -> None:
    rows = list(csv.reader(io.StringIO(render(COLUMNS, ROWS, "csv", "left out"))))
    assert rows[0] == COLUMNS and len(rows) == 6
    for read, row in zip(rows[1:], ROWS, strict=True):
        assert int(read[0]) == row[0] and read[2] == row[2]
        if row[1] is None or math.isnan(float(row[1])):  # type: ignore[arg-type]
            assert read[1] == ""
        else:
            assert float(read[1]) == row[1]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_every_float_survives_csv_and_json(values: list[float]) -> None:
    rows = [[x] for x in values]
    read = list(csv.reader(io.StringIO(render(["x"], rows, "csv", "t"))))[1:]
    assert [float(x) for (x,) in read] == values
    table = json.loads(render(["x"], rows, "json", "t"))
    assert [row["x"] for row in table["rows"]] == values


def test_people_see_rounded_numbers() -> None:
    for format_ in ("text", "md", "latex"):
        text = render(["a", "b"], [[1 / 3, 1 / 3], [-0.0, True]], format_, "t", {"b": 3})
        assert "0.3333333333" in text and "0.33333333333" not in text
        assert re.search(r"0\.333(?!3)", text) and "yes" in text
        assert not re.search(r"-0(?![.0-9])", text)


def latex_unescaped(text: str) -> str:
    """The inverse of what a LaTeX table must do to a cell, written independently of tabulate."""
    named = {
        r"\textbackslash{}": "\\",
        r"\textasciitilde{}": "~",
        r"\^{}": "^",
        r"\ensuremath{<}": "<",
        r"\ensuremath{>}": ">",
    }
    pattern = "|".join([re.escape(name) for name in named] + [r"\\[&%$#_{}]"])
    return re.sub(pattern, lambda m: named.get(m[0], m[0][-1]), text)


def test_latex_cells_are_escaped_and_come_back() -> None:
    text = render(COLUMNS, ROWS, "latex", "50% of\nthe title")
    lines = text.splitlines()
    assert lines[0] == "% 50% of the title" and "booktabs" in lines[1]
    assert lines[2] == r"\begin{tabular}{rrl}" and lines[-1] == r"\end{tabular}"
    body = lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]
    assert len(body) == len(ROWS)
    for line, row in zip(body, ROWS, strict=True):
        assert line.endswith(r"\\")
        cells = [cell.strip() for cell in re.split(r"(?<!\\)&", line[: -len(r"\\")])]
        assert len(cells) == len(COLUMNS)
        assert latex_unescaped(cells[2]) == " ".join(str(row[2]).split())
    assert r"max\_cosine" in text


def test_the_check_of_latex_sees_a_missing_escape() -> None:
    """Negative control: a bare ampersand would make a fourth cell."""
    assert len(re.split(r"(?<!\\)&", r"5 & - & a & b")) == 4


def test_markdown_bars_do_not_end_cells() -> None:
    lines = render(COLUMNS, ROWS, "md", "Title").splitlines()
    assert lines[0] == "**Title**" and lines[1] == ""
    table = lines[2:]
    assert len(table) == 2 + len(ROWS)
    for line in table:
        assert len(re.split(r"(?<!\\)\|", line)) == len(COLUMNS) + 2
    assert r"a \| b" in table[3]


def test_text_is_for_a_plain_terminal() -> None:
    text = render(COLUMNS, ROWS, "text", "Title")
    assert text.startswith("Title\n") and "\x1b" not in text
    assert all(line == line.rstrip() for line in text.splitlines())
    assert "-0.3333333333" in text


def test_wide_text_is_never_cut_or_folded() -> None:
    row: list[Any] = ["x" * 60 for _ in range(9)]
    text = render([f"column {i}" for i in range(9)], [row], "text", "t")
    assert text.count("x" * 60) == 9 and "…" not in text
    assert sum("xxx" in line for line in text.splitlines()) == 1


@pytest.mark.parametrize("format_", FORMATS)
def test_tables_without_rows(format_: str) -> None:
    text = render(["a", "b_c"], [], format_, "Empty")
    assert text.endswith("\n") and "a" in text
    if format_ == "latex":
        assert r"\begin{tabular}{rr}" in text


@pytest.mark.parametrize(
    ("columns", "rows", "format_", "said"),
    [
        (["a"], [[1]], "html", "format = 'html' is unknown"),
        (["a"], [[1, 2]], "md", "row 0 has 2 cells"),
        (["a", "a"], [[1, 2]], "csv", "a name of its own"),
    ],
)
def test_bad_tables(columns: list[str], rows: list[list[int]], format_: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as error:
        render(columns, rows, format_, "t")
    assert "\n" not in str(error.value)
