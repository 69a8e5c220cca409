"""Kinds of `packing phases` for many features: diagram, staircase."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from packing.cli import Number, Verb, emit, progress_bar
from packing.options import JSON, PLOT
from theory.phase_commands import (
    KINDS,
    SPAN,
    cells_option,
    drawn_as,
    law_option,
    picture,
    rows_grid,
    sizes,
)
from theory.table_commands import check_law

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command(
    "diagram",
    cls=Verb,
    verb="theory.envelopes:envelope_map",
    help=KINDS["diagram"][1],
    note="Best known: over the catalogue's blocks, kept symmetric; an upper bound on the loss.",
    examples="""
        packing phases diagram --plot diagram.png
        packing phases diagram --law uniform --cells 200 --plot diagram.pdf
        """,
)
@law_option("binary")
@cells_option(120)
@PLOT
@JSON
def diagram_command(law: str, cells: int, plot: str | None, as_json: bool) -> int:
    drawn = picture(plot)
    check_law(law)
    from theory.envelopes import envelope_map, regions

    with progress_bar("diagram") as progress:
        found = envelope_map(law, cells=cells, progress=progress)
    values = {
        "kind": "diagram",
        "law": law,
        "ratio": found.ratio,
        "S": found.S,
        "one_minus_S": 1.0 - found.S,
        "loss": found.loss,
        "names": list(found.name),
        "first": found.first,
        "ignored": found.ignored,
        "rows": regions(found),
    }
    columns = ("block", "share", *SPAN)

    def tables(v: dict[str, Any]) -> Iterator[RenderableType]:
        yield rows_grid(f"Blocks with most of the dimensions, {law} law", columns, v["rows"])

    emit(values, as_json, tables)

    def draw(path: Path) -> None:
        from theory.pictures_maps import draw_diagram

        draw_diagram(found, path)

    return drawn_as(draw, drawn, plot)


@click.command(
    "staircase",
    cls=Verb,
    verb="theory.envelopes:staircase_of",
    help=KINDS["staircase"][1],
    examples="""
        packing phases staircase --plot staircase.png
        packing phases staircase -n 400 -d 30 --law binary --plot staircase.pdf
        """,
)
@sizes(False, 400, 30)
@law_option("uniform")
@click.option(
    "--S-min",
    "S_min",
    type=Number(),
    default=0.005,
    metavar="S",
    help="Where the staircase ends.  [default: 0.005]",
)
@PLOT
@JSON
def staircase_command(
    n: int, d: int, law: str, S_min: float, plot: str | None, as_json: bool
) -> int:
    drawn = picture(plot)
    check_law(law)
    from theory.envelopes import staircase_of

    with progress_bar(f"staircase of n = {n}, d = {d}") as progress:
        found = staircase_of(n, d, law, S_min=S_min, progress=progress)
    values = {
        "kind": "staircase",
        "n": n,
        "d": d,
        "law": law,
        "S": found.S,
        "one_minus_S": 1.0 - found.S,
        "D_star": found.D_star,
        "represented": found.represented,
        "phases": list(found.phase),
    }

    def tables(v: dict[str, Any]) -> Iterator[RenderableType]:
        names = ("S", "one_minus_S", "D_star", "represented", "phases")
        rows = [{name: v[name][i] for name in names} for i in range(len(v["S"]))]
        yield rows_grid(f"Dimensions per feature, n = {n}, d = {d}, {law} law", names, rows)

    emit(values, as_json, tables)

    def draw(path: Path) -> None:
        from theory.pictures_maps import draw_staircase

        draw_staircase(found, path)

    return drawn_as(draw, drawn, plot)
