"""The commands `packing validate` and `packing table trained`.

Both parse, check that what they are to write can be written, call one verb and print its answer.
torch is imported when training begins, never for --help or --list. Keys of the JSON answers are
stable: tests/schemas.py holds them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from packing.cli.app import DISAGREED, NOT_REACHED, OK, Verb, note, progress_bar, show
from packing.cli.options import JSON, writing
from packing.cli.tables import FORMAT, print_table, table_target
from packing.errors import BadInput

if TYPE_CHECKING:
    from packing.types import Telling

EXITS = {
    "agree": OK,
    "disagree": DISAGREED,
    "defeated": DISAGREED,
    "broken": DISAGREED,
    "inconclusive": NOT_REACHED,
}
"""Exit code of each verdict of `validate.runner.VERDICTS`."""

LINE_EVERY = 30.0  # seconds between two lines of progress where standard error is no terminal


@click.command(
    "validate",
    cls=Verb,
    verb="validate.runner:run_suite",
    help="Train real models, and compare them with the theory.",
    note="SUITE is a name of --list, or a TOML file of that form. The folder gets the store of all "
    "models, a page report.html, and tables beside it as CSV and JSON. Exit code 0: every check "
    "agrees; 1: one disagrees, a trained model beats the predicted optimum, or a negative control "
    "shows that the suite is broken; 3: some checks could not be decided. Training needs torch: "
    "pip install 'feature-packing[validate]'.",
    examples="""
        packing validate --list
        packing validate quick
        packing validate polytopes --device cpu --out polytopes
        packing validate polytopes --out polytopes --resume
        packing validate polytopes --engine-backend loky --jobs 16
        packing validate polytopes --engine-backend dask:tcp://10.0.0.1:8786
        packing validate my-suite.toml --json
        """,
)
@click.argument("suite", metavar="SUITE", required=False)
@click.option(
    "--device",
    default="auto",
    metavar="[auto|cpu|cuda]",
    help="Where to train; auto takes CUDA where there is one.  [default: auto]",
)
@click.option(
    "--engine",
    default="auto",
    metavar="[auto|torch|numba|cuda]",
    help="What does the arithmetic; auto takes what was measured to be faster. cuda is a kernel "
    "that has run in a simulator only: on a GPU auto takes torch.  [default: auto]",
)
@click.option(
    "--engine-backend",
    "backend",
    default="none",
    metavar="NAME[:ADDRESS]",
    help="Who trains: none (this process), loky (processes here), dask, ray (a cluster here, or "
    "that at ADDRESS).  [default: none]",
)
@click.option(
    "--jobs",
    type=int,
    metavar="N",
    help="Batches that workers train at a time.  [default: the cores, or the cluster's threads]",
)
@click.option(
    "--out",
    metavar="DIR",
    help="Folder of the store and the report.  [default: validation-SUITE]",
)
@click.option("--resume", is_flag=True, help="Go on with the store in that folder.")
@click.option(
    "--list",
    "listed",
    is_flag=True,
    help="What each suite checks, how long it takes and what it needs; trains nothing.",
)
@JSON
def validate_command(
    suite: str | None,
    device: str,
    engine: str,
    backend: str,
    jobs: int | None,
    out: str | None,
    resume: bool,
    listed: bool,
    as_json: bool,
) -> int:
    from validate import suites as installed

    suites = click.get_current_context().obj or installed
    load, names = suites.load, suites.names
    if listed:
        chosen = names() if suite is None else (suite,)
        show(installed.SuiteList(tuple(load(name) for name in chosen)), as_json)
        return OK
    if suite is None:
        raise BadInput(f"no suite was named: give one of {', '.join(names())}, or a TOML file")
    asked = load(suite)
    folder = Path(f"validation-{asked.name}" if out is None else out)
    from validate.report import write
    from validate.runner import run_suite

    with _told(asked.name, folder) as progress:
        report = run_suite(
            asked,
            out=folder,
            device=device,
            engine=engine,
            backend=backend,
            jobs=jobs,
            resume=resume,
            progress=progress,
        )
    if report.changed:
        note(f"note: the suite {asked.name} has changed since its first session on this store")
    with writing(folder):
        page = write(report, folder)
    show(replace(report, page=str(page), store=str(folder / report.store)), as_json)
    note(f"report written to {page}")
    return EXITS[report.verdict]


@click.command(
    "trained",
    cls=Verb,
    verb="validate.comparison:trained",
    help="Trained models of a store beside the predicted optima.",
    note="STORE is the file store.sqlite in the folder of packing validate, or that folder. Exit "
    "code 1: a trained model beats the predicted optimum.",
    examples="""
        packing table trained validation-quick
        packing table trained polytopes/store.sqlite --format md --out trained.md
        """,
)
@click.argument("store", metavar="STORE")
@FORMAT
def trained_command(store: str, format_: str | None, as_json: bool, out: str | None) -> int:
    from validate.comparison import trained
    from validate.store import STORE, Store

    chosen, target = table_target(format_, as_json, out)
    path = Path(store)
    with Store(path / STORE if path.is_dir() else path, write=False) as opened:
        models = opened.load()
    if not models:
        raise BadInput(f"{store} holds no models yet: train some with packing validate")

    with progress_bar("table") as progress:
        answer = trained(models, progress=progress)
    if answer.dependent:
        note(f"note: {answer.dependent} models of dependent features are left out")
    (table,) = answer._tables()
    rows = [list(row) for row in table.rows]
    print_table(list(table.columns), rows, chosen, table.title, target, out, dict(table.digits))
    if answer.defeats:
        note(f"packing: {answer.defeats} of the models lie below the predicted optimum")
        return DISAGREED
    return OK


@contextmanager
def _told(name: str, folder: Path) -> Iterator[Telling]:
    """Progress as a bar on a terminal, and elsewhere as a line now and then, for logs."""
    begun = last = time.monotonic()
    first: dict[str, tuple[float, float]] = {}
    with progress_bar(name) as bar:

        def told(stage: str, fraction: float, detail: str = "") -> None:
            nonlocal last
            now = time.monotonic()
            if not first:  # only now is it sure that nothing was refused
                note(f"note: models and report go to the folder {folder}; --resume goes on there")
            at, done = first.setdefault(stage, (now, fraction))
            if bar is not None:
                bar(stage, fraction, detail)
            elif now - last >= LINE_EVERY:
                last = now
                rate = (fraction - done) / (now - at) if now > at else 0.0
                left = f", about {_span((1.0 - fraction) / rate)} left" if rate > 0.0 else ""
                said = f"{stage}, {detail}" if detail else stage
                note(f"{name}: {said}, {_span(now - begun)} passed{left}")

        yield told


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100.0 else f"{seconds / 60.0:.0f} min"
