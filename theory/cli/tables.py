"""Kinds of `packing table`: candidates, laws, critical, phases, blocks, surplus.

A kind is a function of its options that checks them before any work and gives the arguments of its
verb; `kind` makes the command of it. S = 0 is a limit that the library answers; a table needs S in
(0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from packing.cli.app import OK, F, Number, Numbers, Verb, Whole, note, options, progress_bar
from packing.cli.options import MOST_VALUES, Wholes, check_seconds
from packing.cli.tables import FORMAT, print_table, table_target
from packing.errors import BadInput

if TYPE_CHECKING:
    from packing.results import Table

SEARCHED = 8
"""Features up to which `candidates` and `laws` search for the optimum unless told not to."""


# Options that tables and pictures share.


def sizes(n: int | None = None, d: int | None = None) -> Callable[[F], F]:
    """The options -n and -d, required unless they have defaults."""

    def size(letter: str, what: str, default: int | None) -> Callable[[F], F]:
        told = "" if default is None else f"  [default: {default}]"
        given: dict[str, Any] = {"required": True} if default is None else {"default": default}
        text = f"Number of {what}.{told}"
        return click.option(f"-{letter}", type=Whole(), metavar=letter.upper(), help=text, **given)

    return options(size("n", "features", n), size("d", "dimensions", d))


def law_option(default: str = "binary") -> Callable[[F], F]:
    return click.option(
        "--law",
        default=default,
        metavar="[binary|uniform]",
        help=f"Value of a feature that is on: 1, or uniform on [0, 1].  [default: {default}]",
    )


LAWS = click.option(
    "--law",
    default="binary",
    metavar="[binary|uniform|exponential]",
    help="Value of a feature that is on; exponential: numbers, small blocks.  [default: binary]",
)
SEED = click.option(
    "--seed", type=Whole(0), default=0, metavar="K", help="Seed of the search.  [default: 0]"
)
SEARCHING = click.option(
    "--optimum",
    "optimal",
    is_flag=True,
    help="Search for the ladder of true optima where it is not in the cache (minutes).",
)
EXACT = click.option(
    "--exact",
    is_flag=True,
    help="Enclose every change between mixtures that has formulas (minutes for large blocks); "
    "without, only where few small blocks change.",
)
NO_CACHE = click.option("--no-cache", is_flag=True, help="Compute afresh, and keep nothing.")
_AT = click.option(
    "-S",
    "S",
    type=Numbers(),
    required=True,
    metavar="S",
    help="Probability that a feature is on, in (0, 1].",
)
_OPTIMUM = options(
    click.option(
        "--optimum/--no-optimum",
        "optimal",
        default=None,
        help=f"Search for the true optimum too.  [default: for N up to {SEARCHED}]",
    ),
    SEED,
    click.option("--starts", type=Whole(), metavar="K", help="Random starts of the search."),
)


def S_min_option(default: float, text: str) -> Callable[[F], F]:
    told = f"{text}  [default: {default:g}]"
    return click.option("--S-min", "S_min", type=Number(), default=default, metavar="S", help=told)


def _most(count: int) -> Callable[[F], F]:
    return click.option(
        "--most",
        type=Whole(),
        default=count,
        metavar="K",
        help=f"Rows at most, of mixtures or blocks.  [default: {count}]",
    )


# Checks that tables and pictures share.


def check_law(law: str, *more: str) -> None:
    """The law of a mixture, or BadInput; ``more`` are laws that are answered by numbers alone."""
    known = ("binary", "uniform", *more)
    if law not in known:
        raise BadInput(f"law = {law!r}: mixtures of blocks are made for {' and '.join(known)}")
    if law in more:
        note(f"note: no exact forms under the {law} law: numbers only, for small blocks")


def check_S(S: float) -> None:
    if not 0.0 < S <= 1.0:
        limit = "; S = 0 is a limit" if S == 0.0 else ""
        raise BadInput(
            f"S = {S:g} is not a probability: give the chance that a feature is on, in (0, 1]"
            f"{limit}; Elhage et al.'s sparsity is 1 - S"
        )


def answer_of(verb: str, asked: dict[str, Any], title: str) -> Any:
    """What the verb, "module:function", says to these arguments, with a bar of its progress."""
    module, _, function = verb.partition(":")
    with progress_bar(title) as progress:
        return getattr(import_module(module), function)(**asked, progress=progress)


# The kinds.


def kind(
    name: str,
    *declared: Callable[[Any], Any],
    verb: str,
    help: str,
    examples: str,
    note: str = "",
    shorten: Callable[[Table], Table] | None = None,
) -> Callable[[Callable[..., dict[str, Any]]], click.Command]:
    """Make the command of a kind of table from the function that checks its options.

    ``verb`` is the library's, whose docstring is the help; ``shorten`` makes its table fit a page.
    """

    def decorate(check: Callable[..., dict[str, Any]]) -> click.Command:
        @click.command(name, cls=Verb, verb=verb, help=help, examples=examples, note=note)
        @options(*declared)
        @FORMAT
        def command(format_: str | None, as_json: bool, out: str | None, **given: Any) -> int:
            chosen, target = table_target(format_, as_json, out)
            found = answer_of(verb, check(**given), name)
            table: Table = getattr(found, "table", found)
            if shorten is not None and chosen not in ("csv", "json"):
                table = shorten(table)
            columns, rows = list(table.columns), [list(row) for row in table.rows]
            print_table(columns, rows, chosen, table.title, target, out, dict(table.digits))
            if getattr(found, "optimum", found) is None:
                tell_unsearched()
            return OK

        return command

    return decorate


def tell_unsearched() -> None:
    note("note: the ladder of true optima is not in the cache (--optimum searches for it)")


def _at_one_S(S: tuple[float, ...], optimal: bool | None, n: int, **rest: Any) -> dict[str, Any]:
    if len(S) != 1:
        raise BadInput(f"{len(S)} values of S are given: this table is for one, as in -S 0.1")
    check_S(S[0])
    if optimal is None and n > SEARCHED:
        note(f"note: the optimum of n = {n} features is not searched for (--optimum does)")
    return {"n": n, "S": S[0], "optimal": n <= SEARCHED if optimal is None else optimal, **rest}


@kind(
    "candidates",
    *(sizes(), _AT, LAWS, _most(12), _OPTIMUM),
    verb="theory.tables:candidate_table",
    help="Every candidate phase at one S, with its loss in parts and its margin.",
    examples="""
        packing table candidates -n 5 -d 2 -S 0.1
        packing table candidates -n 400 -d 30 -S 0.05 --law uniform --format md
        """,
)
def candidates_command(law: str, **given: Any) -> dict[str, Any]:
    check_law(law, "exponential")
    return _at_one_S(law=law, **given)


@kind(
    "laws",
    *(sizes(), _AT, _most(6), _OPTIMUM),
    verb="theory.tables:law_table",
    help="The same phases under the binary, uniform and exponential law.",
    examples="""
        packing table laws -n 5 -d 2 -S 0.1
        packing table laws -n 6 -d 3 -S 0.3 --no-optimum --format latex
        """,
)
def laws_command(**given: Any) -> dict[str, Any]:
    return _at_one_S(**given)


@kind(
    "critical",
    click.option(
        *("-n", "n"),
        type=Wholes(),
        default="2-12",
        metavar="N",
        help="Numbers of features.  [default: 2-12]",
    ),
    click.option(
        *("-d", "d"),
        type=Wholes(),
        default="1-4",
        metavar="D",
        help="Numbers of dimensions.  [default: 1-4]",
    ),
    click.option(
        "--law", default="both", metavar="[binary|uniform|both]", help="Which law.  [default: both]"
    ),
    S_min_option(1e-3, "Nothing is looked for below."),
    SEARCHING,
    NO_CACHE,
    verb="theory.tables:critical_table",
    help="S* and S_onset of the best mixture for many n and d, both laws.",
    note="The S* of mixtures bounds nothing by itself: an irregular optimum may represent all "
    "features at a larger S, or lose them. The last columns hold the S* of the true optimum where "
    "`packing critical` has found it before, or where --optimum asks for it.",
    examples="""
        packing table critical -n 2-12 -d 1-4
        packing table critical -n 5,6 -d 2 --law uniform --optimum --format csv
        """,
)
def critical_table_command(
    n: tuple[int, ...], d: tuple[int, ...], law: str, no_cache: bool, **given: Any
) -> dict[str, Any]:
    if law not in ("binary", "uniform", "both"):
        raise BadInput(f"law = {law!r}: S* of mixtures is known for binary, uniform, or both")
    if len(n) * len(d) > MOST_VALUES:
        raise BadInput(f"{len(n)} x {len(d)} cells are more than {MOST_VALUES}: ask for fewer")
    laws = ("binary", "uniform") if law == "both" else (law,)
    return {"sizes": n, "dimensions": d, "laws": laws, "keep": not no_cache, **given}


@kind(
    "phases",
    *(sizes(), LAWS, SEARCHING, EXACT, NO_CACHE),
    verb="theory.tables:phase_table",
    help="The ladder of best mixtures, beside that of true optima.",
    examples="""
        packing table phases -n 10 -d 4 --law uniform
        packing table phases -n 5 -d 2 --optimum --format md
        packing table phases -n 12 -d 4 --exact
        """,
)
def phases_table_command(law: str, no_cache: bool, **given: Any) -> dict[str, Any]:
    check_law(law, "exponential")
    return {"law": law, "keep": not no_cache, **given}


@kind(
    "blocks",
    click.option(
        *("-S", "S"),
        type=Numbers(),
        default="0.3,0.1,0.03,0.01",
        metavar="S",
        help="Probabilities that a feature is on, in (0, 1].  [default: 0.3,0.1,0.03,0.01]",
    ),
    law_option(),
    _most(15),
    verb="theory.tables:gain_table",
    help="The catalogue by gain per dimension at several S.",
    examples="""
        packing table blocks
        packing table blocks -S 0.2,0.05,0.02 --law uniform --most 8 --format md
        """,
)
def blocks_command(S: tuple[float, ...], law: str, most: int) -> dict[str, Any]:
    check_law(law)
    for s in S:
        check_S(s)
    return {"S": S, "law": law, "most": most}


def _nearest_rivals(table: Table, most: int = 3) -> Table:
    """The first few of many rivals: a page has no room for a hundred."""

    def few(text: str | None) -> str | None:
        listed = text.split(", ") if text else []
        if len(listed) <= most:
            return text or None
        return f"{', '.join(listed[:most])} and {len(listed) - most} more"

    at = table.columns.index("rivals") if "rivals" in table.columns else len(table.columns)
    rows = [[few(x) if i == at else x for i, x in enumerate(row)] for row in table.rows]
    return replace(table, rows=rows)


@kind(
    "surplus",
    law_option(),
    click.option(
        "--seconds",
        type=Number(),
        default=10.0,
        metavar="T",
        help="Time for each transition of large blocks.  [default: 10]",
    ),
    NO_CACHE,
    verb="theory.tables:surplus_table",
    help="The best blocks for features in surplus, and where they change.",
    examples="""
        packing table surplus --law uniform
        packing table surplus --format latex --out surplus.tex
        """,
    shorten=_nearest_rivals,
)
def surplus_command(law: str, seconds: float, no_cache: bool) -> dict[str, Any]:
    check_law(law)
    check_seconds(seconds)
    return {"law": law, "seconds": seconds, "keep": not no_cache}
