"""What every command shares: exit codes, messages, how answers are printed, how input is parsed.

Importing this module loads click and nothing heavier; numpy and rich arrive when a command runs.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import os
import re
import signal
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from packing import __version__
from packing.errors import BadInput, NotReached
from packing.files import remove_unfinished
from packing.results import Result
from packing.results import console as console
from packing.results import facts as facts
from packing.results import grid as grid
from packing.results import plain as plain

if TYPE_CHECKING:
    from rich.console import RenderableType

DISTRIBUTION = "feature-packing"
OK, DISAGREED, BAD_INPUT, NOT_REACHED, INTERRUPTED = 0, 1, 2, 3, 130
BROKEN_PIPE = 141  # as a shell reports it: whoever read our output had enough
NARROWEST = 40  # columns; a narrower terminal folds the lines itself
BUG = 70  # EX_SOFTWARE: an exception nobody foresaw

F = TypeVar("F", bound=Callable[..., Any])


# Messages: standard error, one line each.


def note(message: str) -> None:
    """One line on standard error, whatever line breaks the message holds."""
    click.echo(" ".join(message.split()), err=True)


def fail(message: str, code: int) -> int:
    """Say why on one line; the exit code is returned."""
    note(f"packing: {message}")
    return code


# Answers: standard output.


def show(
    result: Result,
    as_json: bool,
    asked: Mapping[str, Any] | None = None,
    said: Sequence[tuple[str, str]] = (),
) -> None:
    """Print a result: one JSON object, or its facts and tables for people.

    ``asked`` holds more keys of the JSON and ``said`` more facts: what the command itself knows.
    """

    def tables(_: dict[str, Any]) -> Iterator[RenderableType]:
        yield facts([*result._facts(), *said])
        for table in result._tables():
            yield grid(table.title, table.columns, table.shown(), table.words)

    emit({**result.to_dict(), **(asked or {})}, as_json, tables)


def emit(
    answer: Mapping[str, Any],
    as_json: bool,
    tables: Callable[[dict[str, Any]], Iterator[RenderableType]],
) -> None:
    """Print an answer: one JSON object, or tables for people."""
    values = plain(answer)
    if as_json:
        write_out(json.dumps(values, allow_nan=False) + "\n")
    else:
        from rich.console import Group
        from rich.measure import Measurement

        out = console(sys.stdout)
        width, wide = max(out.width, NARROWEST), out.options.update(max_width=1000)
        with _told_when_full(), out.capture() as captured:  # unbuffered, a capture writes too
            for table in tables(values):
                # Facts are folded to the width there is; a grid, whose numbers rich would cut
                # short, takes the width it needs.
                grown = isinstance(table, Group)
                needed = Measurement.get(out, wide, table).maximum if grown else 0
                out.width = max(width, needed)
                out.print(table)
        # Tables are padded to their width: blanks at line ends are no part of the answer.
        write_out("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def write_out(text: str) -> None:
    """Write to standard output now, so that a full disk is noticed while it can be told."""
    if sys.stdout is None:
        raise BadInput("standard output is closed: there is nowhere to print the answer")
    with _told_when_full():
        sys.stdout.write(text)
        sys.stdout.flush()


@contextmanager
def _told_when_full() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        silence_stdout()
        reason = (error.strerror or str(error)).lower()
        raise BadInput(f"the answer cannot be printed: {reason} on standard output") from None


def silence_stdout() -> None:
    """Python flushes standard output once more at exit; that must not complain a second time."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def number(value: float | None, digits: int = 10) -> str:
    """A number for people; a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}g}"


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[..., None] | None]:
    """A callback ``progress(stage, fraction)`` drawn as a bar, with an estimate of the stage's end.

    A third argument, if given, is a word on the state of things that stands behind the estimate.

    It draws on standard error; None where that is no terminal, so that logs stay readable.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich import progress as bars

    with bars.Progress(
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.TaskProgressColumn(),
        bars.TimeRemainingColumn(),
        bars.TextColumn("{task.fields[detail]}", markup=False),
        console=console(sys.stderr),
        transient=True,
    ) as bar:
        task = bar.add_task(title, total=1.0, detail="")
        current = ""

        def progress(stage: str, fraction: float, detail: str = "") -> None:
            nonlocal current
            if stage != current:
                current = stage
                bar.reset(task, description=f"{title}: {stage}")
            done = min(max(float(fraction), 0.0), 1.0)
            bar.update(task, completed=done, detail=detail)

        yield progress


# Input: types of options that answer in the project's own words.


class OwnWords(click.ParamType):  # type: ignore[type-arg]
    """A type of option: `read` raises ValueError for what ``refusal`` then says in one line."""

    refusal: str

    def read(self, value: Any) -> Any:
        """The value, from the text given or from the default."""
        raise NotImplementedError

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        called = "value" if param is None else max(param.opts, key=len).lstrip("-")
        try:
            return self.read(value)
        except (TypeError, ValueError) as error:
            refusal = str(error) if isinstance(error, BadInput) else self.refusal
            raise BadInput(f"{called} = {value!r} {refusal}") from None


class Whole(OwnWords):
    """A whole number of at least ``least``."""

    name = "whole number"

    def __init__(self, least: int = 1) -> None:
        self.least = least
        kind = "a positive whole number" if least == 1 else "a whole number >= 0"
        self.refusal = f"is not {kind}: give {least}, {least + 1}, {least + 2}, ..."

    def read(self, value: Any) -> int:
        if int(value) < self.least:
            raise ValueError
        return int(value)


class Numbers(OwnWords):
    """One number, or several with commas between them; a tuple of floats."""

    name = "numbers"
    refusal = "is not numeric: give a number, or several with commas between them as in 0.1,0.2"

    def read(self, value: Any) -> tuple[float, ...]:
        return tuple(float(part) for part in str(value).split(","))


class Number(OwnWords):
    """One number."""

    name = "number"
    refusal = "is not a number: give one"

    def read(self, value: Any) -> float:
        return float(value)


def options(*declared: Callable[[F], F]) -> Callable[[F], F]:
    """Several click options as one decorator, in the order written."""

    def decorate(function: F) -> F:
        for option in reversed(declared):
            function = option(function)
        return function

    return decorate


class Verb(click.Command):
    """A command whose help is the docstring of the verb it calls, with command line examples.

    The docstring is read from the source without importing it: help must not wait for scipy.
    """

    def __init__(self, *args: Any, verb: str, examples: str, note: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.verb = verb
        self.note = note
        self.examples = inspect.cleandoc(examples)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        opening = docstring_opening(self.verb) or [self.help or ""]
        for paragraph in [*opening, *filter(None, [self.note])]:
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(paragraph)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            for line in self.examples.splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


@cache
def _source(module: str) -> ast.Module | None:
    """The parsed source of a module, which is not imported."""
    room, *inner = module.split(".")
    with suppress(OSError, SyntaxError, ImportError):
        # find_spec of a dotted name imports its parents, and those may be heavy.
        spec = importlib.util.find_spec(room)
        if spec is not None and spec.origin is not None:
            place = Path(spec.origin).parent.joinpath(*inner)
            file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
            return ast.parse(file.read_text(encoding="utf-8"))
    return None


def _function(place: str) -> ast.FunctionDef | None:
    """The source of the function at "module:function"."""
    module, _, name = place.partition(":")
    tree = _source(module)
    for node in tree.body if tree is not None else []:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    return None


def docstring_opening(place: str) -> list[str]:
    """Paragraphs of a numpydoc docstring up to its first section, of "module:function"."""
    function = _function(place)
    docstring = "" if function is None else ast.get_docstring(function) or ""
    opening = re.split(r"\n[A-Z][A-Za-z ]*\n-{3,}\n", docstring)[0].replace("``", "").strip()
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", opening) if part.strip()]


def one_line(place: str) -> str:
    """What the decorator of the command at "module:function" says under ``help=``."""
    function = _function(place)
    for decorator in function.decorator_list if function is not None else []:
        if isinstance(decorator, ast.Call):
            for keyword in decorator.keywords:
                if keyword.arg == "help" and isinstance(keyword.value, ast.Constant):
                    return str(keyword.value.value)
    return ""


# Commands register as entry points of the distribution, and are imported only when asked for: so
# no room names another one above it, and --help imports none.


def registered(group: str) -> dict[str, str]:
    """Name of a command -> "module:attribute", as the group of entry points says.

    A checkout is asked before the installed metadata, which may be older.
    """
    checkout = Path(__file__).resolve().parents[2] / "pyproject.toml"
    found: dict[str, str] = {}
    with suppress(OSError, tomllib.TOMLDecodeError):
        project = tomllib.loads(checkout.read_text(encoding="utf-8")).get("project", {})
        if project.get("name") == DISTRIBUTION:
            found = project.get("entry-points", {}).get(group, {})
    if not found:
        from importlib.metadata import PackageNotFoundError, distribution

        with suppress(PackageNotFoundError):
            points = distribution(DISTRIBUTION).entry_points.select(group=group)
            found = {point.name: point.value for point in points}
    return dict(sorted(found.items(), key=lambda item: item[1]))


class Door(click.Group):
    """A click group of commands that are imported when they run.

    Parameters
    ----------
    commands_at : mapping of name to "module:attribute"
    noun : str
        What a command is called in messages.
    """

    def __init__(
        self, *args: Any, commands_at: Mapping[str, str], noun: str, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.commands_at = commands_at
        self.noun = noun

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands_at)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.commands_at:
            return None
        module, _, name = self.commands_at[cmd_name].partition(":")
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
            formatter.write_dl([(name, one_line(at)) for name, at in self.commands_at.items()])


def check_room(name: str) -> None:
    """Other distributions ship packages called theory or validate: say so rather than break."""
    module = import_module(name)
    found, ours = module.__file__, Path(__file__).resolve().parents[2]
    if found is None or Path(found).resolve().parent.parent != ours:
        raise BadInput(
            f"the package {name!r} comes from {found or 'another distribution'}, not from "
            "feature-packing: install feature-packing in a virtual environment of its own"
        )


COMMANDS = registered("packing.commands")
TABLES = registered("packing.tables")
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
            silence_stdout()
            return BROKEN_PIPE

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run, and exit with the code that the outcome calls for."""
        extra["standalone_mode"] = False
        sys.exit(self._run(args, prog_name, extra))

    def _run(self, args: Sequence[str] | None, prog_name: str | None, extra: dict[str, Any]) -> int:
        try:
            return int(super().main(args, prog_name or "packing", **extra) or OK)
        except BadInput as error:
            return fail(str(error), BAD_INPUT)
        except NotReached as error:
            return fail(str(error), NOT_REACHED)
        except MemoryError as error:
            return fail(f"more memory is needed than there is ({error})", NOT_REACHED)
        except (click.Abort, KeyboardInterrupt):
            return fail("interrupted", INTERRUPTED)
        except click.UsageError as error:
            where = error.ctx.command_path if error.ctx else "packing"
            return fail(f"{_sentence(error)} (see {where} --help)", BAD_INPUT)
        except click.ClickException as error:
            return fail(_sentence(error), BAD_INPUT)


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
        os._exit(INTERRUPTED)

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
        code = fail("this is a bug: please report it with the lines above", BUG)
        sys.exit(code)


if __name__ == "__main__":
    main()
