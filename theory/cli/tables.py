"""Kinds of `packing table`: candidates, laws, critical. `catalogue_commands` has the others.

Each checks its input and the file it is to write before any work, asks `theory.tables` for rows and
prints them in the format asked for. S = 0 is a limit that the library answers; a table needs S in
(0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from packing.cli.app import OK, F, Number, Numbers, Verb, Whole, note, number, options, progress_bar
from packing.cli.options import MOST_VALUES, Wholes, check_seconds
from packing.cli.tables import FORMAT, print_table, table_target
from packing.errors import BadInput

SEARCHED = 8
"""Features up to which `candidates` and `laws` search for the optimum unless told not to."""

SIZE = options(
    click.option("-n", type=Whole(), required=True, metavar="N", help="Number of features."),
    click.option("-d", type=Whole(), required=True, metavar="D", help="Number of dimensions."),
)
AT = click.option(
    "-S",
    "S",
    type=Numbers(),
    required=True,
    metavar="S",
    help="Probability that a feature is on, in (0, 1].",
)
LAW = click.option(
    "--law",
    default="binary",
    metavar="[binary|uniform]",
    help="Value of a feature that is on: 1, or uniform on [0, 1].  [default: binary]",
)
_effort = options(
    click.option(
        "--seed", type=Whole(0), default=0, metavar="K", help="Seed of the search.  [default: 0]"
    ),
    click.option("--starts", type=Whole(), metavar="K", help="Random starts of the search."),
)
_optimum = click.option(
    "--optimum/--no-optimum",
    "optimal",
    default=None,
    help=f"Search for the true optimum too.  [default: for N up to {SEARCHED}]",
)
LAWS = click.option(
    "--law",
    default="binary",
    metavar="[binary|uniform|exponential]",
    help="Value of a feature that is on; exponential: numbers, small blocks.  [default: binary]",
)
SEARCHING = click.option(
    "--optimum",
    "optimal",
    is_flag=True,
    help="Search for the ladder of true optima where it is not in the cache (minutes).",
)
NO_CACHE = click.option("--no-cache", is_flag=True, help="Compute afresh, and keep nothing.")


def most_rows(count: int) -> Callable[[F], F]:
    return click.option(
        "--most",
        type=Whole(),
        default=count,
        metavar="K",
        help=f"Rows at most, of mixtures or blocks.  [default: {count}]",
    )


@click.command(
    "candidates",
    cls=Verb,
    verb="theory.tables.candidates:candidates",
    help="Every candidate phase at one S, with its loss in parts and its margin.",
    examples="""
        packing table candidates -n 5 -d 2 -S 0.1
        packing table candidates -n 400 -d 30 -S 0.05 --law uniform --format md
        """,
)
@SIZE
@AT
@LAWS
@most_rows(12)
@_optimum
@_effort
@FORMAT
def candidates_command(
    n: int,
    d: int,
    S: tuple[float, ...],
    law: str,
    most: int,
    optimal: bool | None,
    seed: int,
    starts: int | None,
    format_: str | None,
    as_json: bool,
    out: str | None,
) -> int:
    chosen, target = table_target(format_, as_json, out)
    at = _one(S)
    check_law(law, "exponential")
    from theory.tables.candidates import COLUMNS, DIGITS, candidates

    with progress_bar(f"candidates of n = {n}, d = {d}") as progress:
        rows = candidates(
            n,
            d,
            at,
            law,
            most=most,
            optimal=_searched(optimal, n),
            seed=seed,
            starts=starts,
            progress=progress,
        )
    title = f"Candidate phases, n = {n}, d = {d}, {_chance(at)}, law {law}"
    print_rows(COLUMNS, rows, chosen, title, target, out, DIGITS)
    return OK


@click.command(
    "laws",
    cls=Verb,
    verb="theory.tables.laws:laws",
    help="The same phases under the binary, uniform and exponential law.",
    examples="""
        packing table laws -n 5 -d 2 -S 0.1
        packing table laws -n 6 -d 3 -S 0.3 --no-optimum --format latex
        """,
)
@SIZE
@AT
@most_rows(6)
@_optimum
@_effort
@FORMAT
def laws_command(
    n: int,
    d: int,
    S: tuple[float, ...],
    most: int,
    optimal: bool | None,
    seed: int,
    starts: int | None,
    format_: str | None,
    as_json: bool,
    out: str | None,
) -> int:
    chosen, target = table_target(format_, as_json, out)
    at = _one(S)
    from theory.tables.laws import COLUMNS, DIGITS, laws

    with progress_bar(f"laws for n = {n}, d = {d}") as progress:
        rows = laws(
            n,
            d,
            at,
            most=most,
            optimal=_searched(optimal, n),
            seed=seed,
            starts=starts,
            progress=progress,
        )
    title = f"Phases under three laws, n = {n}, d = {d}, {_chance(at)}; share: of ignoring all"
    print_rows(COLUMNS, rows, chosen, title, target, out, DIGITS)
    return OK


@click.command(
    "critical",
    cls=Verb,
    verb="theory.tables.critical:critical",
    help="S* and S_onset of the best mixture for many n and d, both laws.",
    note="The S* of mixtures bounds nothing by itself: an irregular optimum may represent all "
    "features at a larger S, or lose them. The last columns hold the S* of the true optimum where "
    "`packing critical` has found it before, or where --optimum asks for it.",
    examples="""
        packing table critical -n 2-12 -d 1-4
        packing table critical -n 5,6 -d 2 --law uniform --optimum --format csv
        """,
)
@click.option(
    "-n", type=Wholes(), default="2-12", metavar="N", help="Numbers of features.  [default: 2-12]"
)
@click.option(
    "-d", type=Wholes(), default="1-4", metavar="D", help="Numbers of dimensions.  [default: 1-4]"
)
@click.option(
    "--law", default="both", metavar="[binary|uniform|both]", help="Which law.  [default: both]"
)
@click.option(
    "--S-min",
    "S_min",
    type=Number(),
    default=1e-3,
    metavar="S",
    help="Nothing is looked for below.  [default: 0.001]",
)
@SEARCHING
@NO_CACHE
@FORMAT
def critical_table_command(
    n: tuple[int, ...],
    d: tuple[int, ...],
    law: str,
    S_min: float,
    optimal: bool,
    no_cache: bool,
    format_: str | None,
    as_json: bool,
    out: str | None,
) -> int:
    chosen, target = table_target(format_, as_json, out)
    if law not in ("binary", "uniform", "both"):
        raise BadInput(f"law = {law!r}: S* of mixtures is known for binary, uniform, or both")
    if len(n) * len(d) > MOST_VALUES:
        raise BadInput(f"{len(n)} x {len(d)} cells are more than {MOST_VALUES}: ask for fewer")
    from theory.ladders import numerical_ladder
    from theory.tables.critical import COLUMNS, DIGITS, critical

    laws = ("binary", "uniform") if law == "both" else (law,)
    with progress_bar("critical S") as progress:
        rows = critical(n, d, laws, S_min=S_min, progress=progress)
        for row in rows:
            found = numerical_ladder(
                row["n"],
                row["d"],
                row["law"],
                search=optimal,
                keep=not no_cache,
                progress=progress,
            )
            if found is not None and found.S_star is not None:
                row["optimum_S_star"] = found.S_star
                row["optimum_one_minus_S_star"] = 1.0 - found.S_star
    title = (
        f"S* and S_onset of the best mixture of blocks, S from {number(S_min)} (not of the "
        "optimum: its own column)"
    )
    print_rows(COLUMNS, rows, chosen, title, target, out, DIGITS)
    return OK


def check_law(law: str, *more: str) -> None:
    """The law of a mixture, or BadInput; ``more`` are laws that are answered by numbers alone."""
    known = ("binary", "uniform", *more)
    if law not in known:
        raise BadInput(f"law = {law!r}: mixtures of blocks are made for {' and '.join(known)}")
    if law in more:
        note(f"note: no exact forms under the {law} law: numbers only, for small blocks")


def _one(S: tuple[float, ...]) -> float:
    if len(S) != 1:
        raise BadInput(f"{len(S)} values of S are given: this table is for one, as in -S 0.1")
    check_S(S[0])
    return S[0]


def check_S(S: float) -> None:
    if not 0.0 < S <= 1.0:
        limit = "; S = 0 is a limit" if S == 0.0 else ""
        raise BadInput(
            f"S = {S:g} is not a probability: give the chance that a feature is on, in (0, 1]"
            f"{limit}; Elhage et al.'s sparsity is 1 - S"
        )


def _searched(optimal: bool | None, n: int) -> bool:
    if optimal is None and n > SEARCHED:
        note(f"note: the optimum of n = {n} features is not searched for (--optimum does)")
    return n <= SEARCHED if optimal is None else optimal


def _chance(S: float) -> str:
    return f"S = {number(S)} (1 - S = {number(1.0 - S)})"


def print_rows(
    columns: Sequence[str],
    rows: list[dict[str, Any]],
    format_: str,
    title: str,
    target: Path | None,
    shown: str | None,
    digits: dict[str, int],
) -> None:
    cells = [[row[name] for name in columns] for row in rows]
    print_table(list(columns), cells, format_, title, target, shown, digits)


# Kinds of `packing table`: phases, blocks, surplus.


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
    help="The ladder of best mixtures, beside that of true optima.",
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
    help="The catalogue by gain per dimension at several S.",
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
    help="The best blocks for features in surplus, and where they change.",
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
