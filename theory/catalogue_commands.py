"""Kinds of `packing table`: phases, blocks, surplus."""

from __future__ import annotations

import click

from packing.cli import OK, Number, Numbers, Verb, note, progress_bar
from packing.options import check_seconds
from packing.table_commands import FORMAT, table_target
from theory.table_commands import (
    LAW,
    LAWS,
    NO_CACHE,
    SEARCHING,
    SIZE,
    check_law,
    check_S,
    most_rows,
    print_rows,
)

EXACT = click.option(
    "--exact",
    is_flag=True,
    help="Enclose every change between mixtures that has formulas (minutes for large blocks); "
    "without, only where few small blocks change.",
)


@click.command(
    "phases",
    cls=Verb,
    verb="theory.tables.ladders:phases",
    help="The ladder of phases as S falls.",
    examples="""
        packing table phases -n 10 -d 4 --law uniform
        packing table phases -n 5 -d 2 --optimum --format md
        packing table phases -n 12 -d 4 --exact
        """,
)
@SIZE
@LAWS
@SEARCHING
@EXACT
@NO_CACHE
@FORMAT
def phases_table_command(
    n: int,
    d: int,
    law: str,
    optimal: bool,
    exact: bool,
    no_cache: bool,
    format_: str | None,
    as_json: bool,
    out: str | None,
) -> int:
    chosen, target = table_target(format_, as_json, out)
    check_law(law, "exponential")
    from theory.tables.ladders import COLUMNS, DIGITS, phases

    with progress_bar(f"phases of n = {n}, d = {d}") as progress:
        rows = phases(n, d, law, optimal=optimal, keep=not no_cache, exact=exact, progress=progress)
    if not any(row["ladder"] == "optimum" for row in rows):
        note("note: the ladder of true optima is not in the cache (--optimum searches for it)")
    title = f"Phases from S = 1 down to 0.0001, n = {n}, d = {d}, law {law}"
    print_rows(COLUMNS, rows, chosen, title, target, out, DIGITS)
    return OK


@click.command(
    "blocks",
    cls=Verb,
    verb="theory.tables.catalogue:blocks_at",
    help="The catalogue by gain per dimension.",
    examples="""
        packing table blocks
        packing table blocks -S 0.2,0.05,0.02 --law uniform --most 8 --format md
        """,
)
@click.option(
    "-S",
    "S",
    type=Numbers(),
    default="0.3,0.1,0.03,0.01",
    metavar="S",
    help="Probabilities that a feature is on, in (0, 1].  [default: 0.3,0.1,0.03,0.01]",
)
@LAW
@most_rows(15)
@FORMAT
def blocks_command(
    S: tuple[float, ...],
    law: str,
    most: int,
    format_: str | None,
    as_json: bool,
    out: str | None,
) -> int:
    chosen, target = table_target(format_, as_json, out)
    check_law(law)
    for s in S:
        check_S(s)
    from theory.tables.catalogue import COLUMNS, DIGITS, blocks_at

    rows = blocks_at(S, law, most=most)
    title = f"Blocks by gain per dimension, law {law}; share: of the largest gain at that S"
    print_rows(COLUMNS, rows, chosen, title, target, out, DIGITS)
    return OK


@click.command(
    "surplus",
    cls=Verb,
    verb="theory.tables.catalogue:transitions",
    help="Best blocks for features in surplus.",
    examples="""
        packing table surplus --law uniform
        packing table surplus --format latex --out surplus.tex
        """,
)
@LAW
@click.option(
    "--seconds",
    type=Number(),
    default=10.0,
    metavar="T",
    help="Time for each transition of large blocks.  [default: 10]",
)
@NO_CACHE
@FORMAT
def surplus_command(
    law: str,
    seconds: float,
    no_cache: bool,
    format_: str | None,
    as_json: bool,
    out: str | None,
) -> int:
    chosen, target = table_target(format_, as_json, out)
    check_law(law)
    check_seconds(seconds)
    from theory.tables.catalogue import transitions

    with progress_bar("surplus") as progress:
        columns, rows = transitions(law, seconds=seconds, keep=not no_cache, progress=progress)
    if chosen in ("text", "md", "latex"):
        rows = [{**row, "rivals": _nearest(row.get("rivals"))} for row in rows]
    title = f"Best known blocks for features in surplus, S falling, law {law}"
    print_rows(columns, rows, chosen, title, target, out, {})
    return OK


def _nearest(rivals: str | None, most: int = 3) -> str | None:
    """The first few of many rivals: a page has no room for a hundred."""
    listed = rivals.split(", ") if rivals else []
    if len(listed) <= most:
        return rivals or None
    return f"{', '.join(listed[:most])} and {len(listed) - most} more"
