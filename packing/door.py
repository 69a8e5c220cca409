"""A door to commands that are named as strings, and imported only when they are asked for.

It knows one line on each command, so that a list is shown without importing any.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from packing.errors import BadInput

Commands = Mapping[str, tuple[str, str]]
"""Name of a command -> where it is, as "module:attribute", and one line on it."""


class Door(click.Group):
    """A click group of commands that are imported when they run.

    Parameters
    ----------
    commands_at : mapping of name to ("module:attribute", one line)
    noun : str
        What a command is called in messages.
    """

    def __init__(self, *args: Any, commands_at: Commands, noun: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands_at = commands_at
        self.noun = noun

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands_at)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.commands_at:
            return None
        module, _, name = self.commands_at[cmd_name][0].partition(":")
        check_room(module.partition(".")[0])
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.commands_at and not args[0].startswith("-"):
            ctx.fail(f"no {self.noun} {args[0]!r}: there are {', '.join(self.commands_at)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(f"{self.noun.capitalize()}s"):
            formatter.write_dl([(name, line) for name, (_, line) in self.commands_at.items()])


def check_room(name: str) -> None:
    """Other distributions ship packages called theory or validate: say so rather than break."""
    module = import_module(name)
    found, ours = module.__file__, Path(__file__).resolve().parent.parent
    if found is None or Path(found).resolve().parent.parent != ours:
        raise BadInput(
            f"the package {name!r} comes from {found or 'another distribution'}, not from "
            "feature-packing: install feature-packing in a virtual environment of its own"
        )
