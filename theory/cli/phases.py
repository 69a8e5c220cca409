"""The command `packing phases`: pictures of ladders and phase diagrams, and their numbers.

Kinds: ladder, importance; diagram and staircase are in `many_commands`. Each checks its input and
the picture it is to write before any work, prints a table (or, with --json, one object) and draws
where --plot names a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from packing.cli.app import (
    OK,
    Door,
    F,
    Number,
    Verb,
    Whole,
    emit,
    facts,
    grid,
    note,
    number,
    progress_bar,
)
from packing.cli.options import JSON, PICTURES, PLOT, writing
from packing.errors import BadInput
from packing.files import check_target, replacing
from theory.cli.tables import EXACT, LAWS, NO_CACHE, check_law

if TYPE_CHECKING:
    from rich.console import RenderableType

KINDS = {
    "ladder": "theory.cli.phases:ladder_command",
    "diagram": "theory.cli.phases:diagram_command",
    "importance": "theory.cli.phases:importance_command",
    "staircase": "theory.cli.phases:staircase_command",
}


SPAN = (
    "S_low",
    "S_high",
    "one_minus_S_low",
    "one_minus_S_high",
    "ratio_low",
    "ratio_high",
)


class Kinds(Verb, Door):
    """The kinds of pictures, imported when asked for."""


@click.group(
    "phases",
    cls=Kinds,
    commands_at=KINDS,
    noun="picture",
    verb="theory.mixtures.ladder:mixture_ladder",
    help="Pictures of ladders and phase diagrams.",
    note="S is the chance that a feature is on; the pictures show 1 - S on the opposite side.",
    examples="""
        packing phases ladder -n 5 -d 2 --plot ladder.png
        packing phases diagram --law uniform --plot diagram.pdf
        packing phases importance -n 3 -d 2 --plot importance.png
        packing phases staircase -n 400 -d 30 --plot staircase.svg
        """,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.pass_context
def phases_command(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        raise BadInput(f"no picture was named: give a kind of picture: {', '.join(KINDS)}")


def sizes(required: bool, n: int | None = None, d: int | None = None) -> Callable[[F], F]:
    """The options -n and -d."""

    def decorate(function: F) -> F:
        for name, value, what in (("d", d, "dimensions"), ("n", n, "features")):
            text = f"Number of {what}." + ("" if required else f"  [default: {value}]")
            given: dict[str, Any] = {"required": True} if required else {"default": value}
            function = click.option(
                f"-{name}", type=Whole(), metavar=name.upper(), help=text, **given
            )(function)
        return function

    return decorate


def law_option(default: str) -> Callable[[F], F]:
    return click.option(
        "--law",
        default=default,
        metavar="[binary|uniform]",
        help=f"Value of a feature that is on: 1, or uniform on [0, 1].  [default: {default}]",
    )


def cells_option(count: int) -> Callable[[F], F]:
    return click.option(
        "--cells",
        type=Whole(),
        default=count,
        metavar="K",
        help=f"Cells along each axis.  [default: {count}]",
    )


@click.command(
    "ladder",
    cls=Verb,
    verb="theory.tables.ladders:phases",
    help="Losses and phases of the best mixture and the optimum against S.",
    examples="""
        packing phases ladder -n 5 -d 2 --plot ladder.png
        packing phases ladder -n 10 -d 4 --law uniform --optimum --plot ladder.pdf
        """,
)
@sizes(True)
@LAWS
@EXACT
@click.option(
    "--optimum",
    "optimal",
    is_flag=True,
    help="Search for the ladder of true optima where it is not in the cache (minutes).",
)
@NO_CACHE
@PLOT
@JSON
def ladder_command(
    n: int,
    d: int,
    law: str,
    exact: bool,
    optimal: bool,
    no_cache: bool,
    plot: str | None,
    as_json: bool,
) -> int:
    drawn = picture(plot)
    check_law(law, "exponential")
    from theory.ladders import S_MIN, numerical_ladder
    from theory.mixtures import mixture_ladder
    from theory.tables.ladders import COLUMNS, mixture_rows, optimum_rows

    with progress_bar(f"ladder of n = {n}, d = {d}") as progress:
        mixed = mixture_ladder(n, d, law, S_min=S_MIN, progress=progress)
        rows = mixture_rows(mixed, exact=exact, progress=progress)
        found = numerical_ladder(n, d, law, search=optimal, keep=not no_cache, progress=progress)
    rows += optimum_rows(found, law) if found is not None else []
    values = {
        "kind": "ladder",
        "n": n,
        "d": d,
        "law": law,
        **_both("S_star", mixed.S_star),
        **_both("S_onset", mixed.S_onset),
        **_both("optimum_S_star", found.S_star if found is not None else None),
        "rows": rows,
    }

    def tables(v: dict[str, Any]) -> Iterator[RenderableType]:
        yield facts(
            [
                ("S* of mixtures", _chance(v["S_star"])),
                ("S* of the optimum", _chance(v["optimum_S_star"])),
                ("S_onset of mixtures", _chance(v["S_onset"])),
            ]
        )
        yield rows_grid(f"Phases, n = {n}, d = {d}, {law} law", COLUMNS, v["rows"])

    emit(values, as_json, tables)
    if found is None:
        note("note: the ladder of true optima is not in the cache (--optimum searches for it)")

    def draw(path: Path) -> None:
        from theory.plotting import draw_phases

        draw_phases(mixed, path, found)

    return drawn_as(draw, drawn, plot)


@click.command(
    "importance",
    cls=Verb,
    verb="theory.diagrams:importance_map",
    help="The true optimum over (importance ratio, S), prototypes overlaid.",
    examples="""
        packing phases importance --plot importance.png
        packing phases importance -n 3 -d 2 --cells 60 --plot importance.pdf
        """,
)
@sizes(False, 2, 1)
@law_option("uniform")
@cells_option(40)
@click.option(
    "--seed", type=Whole(0), default=0, metavar="K", help="Seed of the search.  [default: 0]"
)
@NO_CACHE
@PLOT
@JSON
def importance_command(
    n: int,
    d: int,
    law: str,
    cells: int,
    seed: int,
    no_cache: bool,
    plot: str | None,
    as_json: bool,
) -> int:
    drawn = picture(plot)
    check_law(law)
    from theory.diagrams import importance_map, summary

    with progress_bar(f"importance map of n = {n}, d = {d}") as progress:
        found = importance_map(
            n, d, law=law, cells=cells, seed=seed, keep=not no_cache, progress=progress
        )
    values = {
        "kind": "importance",
        "n": n,
        "d": d,
        "law": law,
        "ratio": found.ratio,
        "S": found.S,
        "one_minus_S": 1.0 - found.S,
        "loss": found.loss,
        "names": list(found.phase),
        "phase": found.index,
        "norms": found.norms,
        "rows": summary(found),
        "prototypes": _prototypes(n, d) if law == "uniform" else [],
    }
    columns = ("phase", "share", *SPAN)

    def tables(v: dict[str, Any]) -> Iterator[RenderableType]:
        title = f"Phases of the true optimum, n = {n}, d = {d}, {law} law; share of the cells"
        yield rows_grid(title, columns, v["rows"])
        if v["prototypes"]:
            rows = [[p["name"], p["loss"]] for p in v["prototypes"]]
            title = "Prototypes: unit norms, no bias (exact, no optima)"
            yield grid(title, ["prototype", "loss"], rows, words=["prototype", "loss"])

    emit(values, as_json, tables)

    def draw(path: Path) -> None:
        from theory.plotting import draw_importance

        draw_importance(found, path)

    return drawn_as(draw, drawn, plot)


def _prototypes(n: int, d: int) -> list[dict[str, str]]:
    from theory.prototypes import prototypes

    try:
        return [{"name": p.name, "loss": str(p.loss)} for p in prototypes(n, d)]
    except BadInput:  # other sizes have no prototypes to compare with
        return []


def picture(plot: str | None) -> Path | None:
    return check_target(plot, "--plot", PICTURES) if plot is not None else None


def drawn_as(draw: Callable[[Path], None], target: Path | None, shown: str | None) -> int:
    """Draw into a temporary file first: a picture is whole or absent."""
    if target is not None:
        with writing(target), replacing(target) as temporary:
            draw(temporary)
        note(f"picture written to {shown}")
    return OK


def _both(key: str, S: float | None) -> dict[str, float | None]:
    return {key: S, f"one_minus_{key}": None if S is None else 1.0 - S}


def _chance(S: float | None) -> str:
    return "none" if S is None else f"{number(S)}   (1 - S = {number(1.0 - S)})"


def rows_grid(title: str, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> RenderableType:
    words = [c for c in columns if any(isinstance(row[c], str) for row in rows)]
    cells = [[_cell(row[c]) for c in columns] for row in rows]
    return grid(title, list(columns), cells, words=words)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or isinstance(value, float):
        return number(value, 8)
    return str(value)


# Kinds of `packing phases` for many features: diagram, staircase.


@click.command(
    "diagram",
    cls=Verb,
    verb="theory.diagrams:envelope_map",
    help="The (d/n, S) plane of the best mixtures of many features.",
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
    from theory.diagrams import envelope_map, regions

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
        from theory.plotting import draw_diagram

        draw_diagram(found, path)

    return drawn_as(draw, drawn, plot)


@click.command(
    "staircase",
    cls=Verb,
    verb="theory.diagrams:staircase_of",
    help="The predicted dimensions per feature against 1/S.",
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
    from theory.diagrams import staircase_of

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
        from theory.plotting import draw_staircase

        draw_staircase(found, path)

    return drawn_as(draw, drawn, plot)
