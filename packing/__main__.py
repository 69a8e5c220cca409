"""The command line: a table of commands, each imported only when asked for.

The table names its commands as strings, which is the one door through which this package reaches
the rooms above it. It holds one line on each, so that the list is shown without importing any.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

import click

from packing import __version__, cli
from packing.door import Door
from packing.errors import BadInput, NotReached
from packing.files import remove_unfinished

COMMANDS: dict[str, tuple[str, str]] = {
    "code": ("packing.commands:code_command", "The best arrangement of n points or lines in R^d."),
    "bounds": ("packing.commands:bounds_command", "What no n points or lines in R^d can beat."),
    "identify": ("packing.commands:identify_command", "The name of the arrangement in a file."),
    "loss": ("theory.commands:loss_command", "Expected loss of the weights in a file."),
    "optimal": ("theory.commands:optimal_command", "The arrangement of least expected loss."),
    "critical": ("theory.commands:critical_command", "Where the optimum changes as S falls."),
    "phases": ("theory.phase_commands:phases_command", "Pictures of ladders and phase diagrams."),
    "table": (
        "packing.table_commands:table_command",
        "Tables: text, Markdown, CSV, JSON, LaTeX.",
    ),
    "validate": (
        "validate.commands:validate_command",
        "Train real models, and compare them with the theory.",
    ),
}

TABLES: dict[str, tuple[str, str]] = {
    "arrangements": (
        "packing.table_commands:arrangements_command",
        "The best arrangement for every n and d, its bound, and how it is known.",
    ),
    "candidates": (
        "theory.table_commands:candidates_command",
        "Every candidate phase at one S, with its loss in parts and its margin.",
    ),
    "critical": (
        "theory.table_commands:critical_table_command",
        "S* and S_onset of the best mixture for many n and d, both laws.",
    ),
    "phases": (
        "theory.catalogue_commands:phases_table_command",
        "The ladder of best mixtures, beside that of true optima.",
    ),
    "laws": (
        "theory.table_commands:laws_command",
        "The same phases under the binary, uniform and exponential law.",
    ),
    "blocks": (
        "theory.catalogue_commands:blocks_command",
        "The catalogue by gain per dimension at several S.",
    ),
    "surplus": (
        "theory.catalogue_commands:surplus_command",
        "The best blocks for features in surplus, and where they change.",
    ),
    "trained": (
        "validate.commands:trained_command",
        "Trained models of a store beside the predicted optima.",
    ),
}
"""Kinds of `packing table`."""

EXAMPLES = """\
packing code -n 24 -d 4 --plot code.png
packing bounds -n 24 -d 3
packing identify weights.npz
packing table arrangements -n 4-12 -d 3 --format md
packing critical -n 5 -d 2
packing optimal -n 5 -d 2 -S 0.1 --plot optimum.png
packing loss weights.npz -S 0.1 --json
"""


class CommandTable(Door):
    """The door of the command line, which owns the exit codes."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            for line in EXAMPLES.splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")

    def invoke(self, ctx: click.Context) -> Any:
        try:
            code = super().invoke(ctx)
            if sys.stdout is not None:
                sys.stdout.flush()
            return code
        except BrokenPipeError:
            cli.silence_stdout()
            return cli.BROKEN_PIPE

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run, and exit with the code that the outcome calls for."""
        extra["standalone_mode"] = False
        sys.exit(self._run(args, prog_name, extra))

    def _run(self, args: Sequence[str] | None, prog_name: str | None, extra: dict[str, Any]) -> int:
        try:
            return int(super().main(args, prog_name or "packing", **extra) or cli.OK)
        except BadInput as error:
            return cli.fail(str(error), cli.BAD_INPUT)
        except NotReached as error:
            return cli.fail(str(error), cli.NOT_REACHED)
        except MemoryError as error:
            return cli.fail(f"more memory is needed than there is ({error})", cli.NOT_REACHED)
        except (click.Abort, KeyboardInterrupt):
            return cli.fail("interrupted", cli.INTERRUPTED)
        except click.UsageError as error:
            where = error.ctx.command_path if error.ctx else "packing"
            return cli.fail(f"{_sentence(error)} (see {where} --help)", cli.BAD_INPUT)
        except click.ClickException as error:
            return cli.fail(_sentence(error), cli.BAD_INPUT)


def _sentence(error: click.ClickException) -> str:
    return error.format_message().rstrip(".")


@click.group(
    cls=CommandTable,
    commands_at=COMMANDS,
    noun="command",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="packing")
@click.pass_context
def table(ctx: click.Context) -> None:
    """How n sparse features pack into d dimensions, and what that costs.

    S is the probability that a feature is ON; Elhage et al.'s sparsity is 1 - S and is shown beside
    it. Every command takes --json (one object on standard output, nothing else there).

    Exit codes: 0 done, 1 a check disagreed, 2 bad input, 3 a numerical method did not reach what it
    promises (the partial answer is printed), 130 interrupted.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def exit_on_interrupt() -> None:
    """Make Ctrl-C end this process with code 130 at any moment, without a traceback.

    The handler leaves at once instead of raising KeyboardInterrupt: an exception raised inside a
    half-done import, a destructor or a callback from compiled code can be swallowed or turned into
    another one. Nothing is lost, since files are written whole or not at all.
    """
    owner = os.getpid()

    def leave(signum: int, frame: FrameType | None) -> None:
        if os.getpid() == owner:
            remove_unfinished()
            if "multiprocessing" in sys.modules:
                for child in sys.modules["multiprocessing"].active_children():
                    child.terminate()
            # A progress bar hides the cursor; bring it back and clear the line of the bar.
            tidy = b"\r\x1b[2K\x1b[?25h" if os.isatty(2) else b""
            with suppress(OSError):
                os.write(2, tidy + b"packing: interrupted\n")
        os._exit(cli.INTERRUPTED)

    # Started in the background of a script, SIGINT is ignored on purpose: leave that alone.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        with suppress(ValueError):  # not the main thread
            signal.signal(signal.SIGINT, leave)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """The console command ``packing``."""
    exit_on_interrupt()
    try:
        table.main(args)
    except Exception:
        import traceback

        traceback.print_exc()
        code = cli.fail("this is a bug: please report it with the lines above", cli.BUG)
        sys.exit(code)


if __name__ == "__main__":
    main()
