"""The command `packing phases`: pictures of ladders and phase diagrams, and their numbers.

A kind is a function of its options that checks them before any work and gives the arguments of its
verb; `picture` makes the command of it, which prints the answer (or, with --json, one object) and
draws it where --plot names a file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from packing.cli.app import OK, Door, F, Verb, Whole, note, options, show
from packing.cli.options import JSON, PICTURES, PLOT, writing
from packing.errors import BadInput
from packing.files import check_target, replacing
from theory.cli.tables import (
    EXACT,
    LAWS,
    NO_CACHE,
    SEARCHING,
    SEED,
    S_min_option,
    answer_of,
    check_law,
    law_option,
    sizes,
    tell_unsearched,
)

KINDS = {
    "ladder": "theory.cli.phases:ladder_command",
    "diagram": "theory.cli.phases:diagram_command",
    "importance": "theory.cli.phases:importance_command",
    "staircase": "theory.cli.phases:staircase_command",
}


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


def picture(
    name: str,
    *declared: Callable[[Any], Any],
    verb: str,
    draw: str,
    help: str,
    examples: str,
    note: str = "",
) -> Callable[[Callable[..., dict[str, Any]]], click.Command]:
    """Make the command of a kind of picture from the function that checks its options.

    ``verb`` is the library's, whose docstring is the help; ``draw`` of `theory.plotting` draws what
    it answers.
    """

    def decorate(check: Callable[..., dict[str, Any]]) -> click.Command:
        @click.command(name, cls=Verb, verb=verb, help=help, examples=examples, note=note)
        @options(*declared, PLOT, JSON)
        def command(plot: str | None, as_json: bool, **given: Any) -> int:
            target = None if plot is None else check_target(plot, "--plot", PICTURES)
            found = answer_of(verb, check(**given), name)
            show(found, as_json)
            if getattr(found, "optimum", found) is None:
                tell_unsearched()
            if target is not None:
                from theory import plotting

                with writing(target), replacing(target) as temporary:  # whole or absent
                    getattr(plotting, draw)(found, temporary)
                _tell(plot)
            return OK

        return command

    return decorate


def _tell(plot: str | None) -> None:
    note(f"picture written to {plot}")


def _cells(count: int) -> Callable[[F], F]:
    return click.option(
        "--cells",
        type=Whole(),
        default=count,
        metavar="K",
        help=f"Cells along each axis.  [default: {count}]",
    )


@picture(
    "ladder",
    *(sizes(), LAWS, EXACT, SEARCHING, NO_CACHE),
    verb="theory.tables:phase_table",
    draw="draw_phases",
    help="Losses and phases of the best mixture and the optimum against S.",
    examples="""
        packing phases ladder -n 5 -d 2 --plot ladder.png
        packing phases ladder -n 10 -d 4 --law uniform --optimum --plot ladder.pdf
        """,
)
def ladder_command(law: str, no_cache: bool, **given: Any) -> dict[str, Any]:
    check_law(law, "exponential")
    return {"law": law, "keep": not no_cache, **given}


@picture(
    "importance",
    *(sizes(2, 1), law_option("uniform"), _cells(40), SEED, NO_CACHE),
    verb="theory.diagrams:importance_map",
    draw="draw_importance",
    help="The true optimum over (importance ratio, S), prototypes overlaid.",
    examples="""
        packing phases importance --plot importance.png
        packing phases importance -n 3 -d 2 --cells 60 --plot importance.pdf
        """,
)
def importance_command(law: str, no_cache: bool, **given: Any) -> dict[str, Any]:
    check_law(law)
    return {"law": law, "keep": not no_cache, **given}


@picture(
    "diagram",
    *(law_option("binary"), _cells(120)),
    verb="theory.diagrams:envelope_map",
    draw="draw_diagram",
    help="The (d/n, S) plane of the best mixtures of many features.",
    note="Best known: over the catalogue's blocks, kept symmetric; an upper bound on the loss.",
    examples="""
        packing phases diagram --plot diagram.png
        packing phases diagram --law uniform --cells 200 --plot diagram.pdf
        """,
)
def diagram_command(law: str, cells: int) -> dict[str, Any]:
    check_law(law)
    return {"law": law, "cells": cells}


@picture(
    "staircase",
    *(sizes(400, 30), law_option("uniform"), S_min_option(0.005, "Where the staircase ends.")),
    verb="theory.diagrams:staircase_of",
    draw="draw_staircase",
    help="The predicted dimensions per feature against 1/S.",
    examples="""
        packing phases staircase --plot staircase.png
        packing phases staircase -n 400 -d 30 --law binary --plot staircase.pdf
        """,
)
def staircase_command(law: str, **given: Any) -> dict[str, Any]:
    check_law(law)
    return {"law": law, **given}
