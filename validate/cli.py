"""What `packing validate` prints: the values of its JSON answers, and tables for people."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from packing.cli.app import (
    COMMANDS,
    DISAGREED,
    NOT_REACHED,
    OK,
    TABLES,
    Verb,
    emit,
    facts,
    grid,
    note,
    number,
    progress_bar,
)
from packing.cli.options import JSON, writing
from packing.cli.tables import FORMAT, print_table, table_target
from packing.errors import BadInput

if TYPE_CHECKING:
    from rich.console import RenderableType

    from packing.types import Telling
    from validate.checks import Defeat
    from validate.experiments import Setting
    from validate.runner import Report
    from validate.store import Model
    from validate.suites import Suite

STATED = ("id", "text", "verdict", "predicted", "trained", "note")
"""What is said of a statement of the ledger; its picture is on the page alone."""


def list_values(suites: Sequence[Suite]) -> dict[str, Any]:
    """What each suite checks, how long it takes and what it needs."""
    return {
        "suites": [
            {
                "name": suite.name,
                "title": suite.title,
                "about": " ".join(suite.about.split()),
                "minutes": suite.minutes,
                "needs": suite.needs,
                "models": suite.size,
                "checks": [rule.name for rule in suite.rules],
                "statements": [statement.id for statement in suite.statements],
                "hash": suite.hash,
            }
            for suite in suites
        ]
    }


def list_tables(values: dict[str, Any]) -> Iterator[RenderableType]:
    """The list for people: one paragraph for each suite."""
    for suite in values["suites"]:
        parts = [(suite["models"], "model"), (len(suite["checks"]), "check")]
        parts += [(len(suite["statements"]), "statement")] if suite["statements"] else []
        yield facts(
            [
                (suite["name"], suite["title"]),
                ("  checks", suite["about"]),
                ("  size", ", ".join(_count(*part) for part in parts)),
                ("  takes", f"{_count(suite['minutes'], 'minute')} on two cores"),
                ("  needs", suite["needs"]),
            ]
        )


def report_values(report: Report) -> dict[str, Any]:
    """A report as JSON values, without the models themselves."""
    from studies.maps import summary

    suite, judged = report.suite, report.judgement
    return {
        "suite": suite.name,
        "title": suite.title,
        "hash": suite.hash,
        "changed": report.changed,
        "verdict": report.verdict,
        "advice": report.advice,
        "checks": [asdict(check) for check in report.checks],
        "broken": list(judged.broken),
        "defeats": [defeat_values(defeat) for defeat in report.defeats],
        "statements": [
            {name: getattr(one, name, None) for name in STATED} for one in report.statements
        ],
        "maps": [summary(found) for found in judged.maps],
        "models": len(report.models),
        "diverged": sum(trained.status == "diverged" for trained, _ in report.models),
        "compared": judged.compared,
        "predictions": judged.predictions,
        "alpha": judged.alpha,
        "device": report.device,
        "seconds": report.seconds,
        "sessions": [vars(session) for session in report.sessions],
        "store": report.store,
    }


def defeat_values(defeat: Defeat) -> dict[str, Any]:
    """A defeat without its model, as JSON values."""
    run = defeat.model[0].run
    setting = {name: value for name, value in asdict(run.setting).items() if value is not None}
    S = run.setting.features.S
    return {
        "key": defeat.key,
        **setting,
        "one_minus_S": 1.0 - S if isinstance(run.setting.S, tuple) else 1.0 - run.setting.S,
        "seed": run.seed,
        "loss": defeat.loss,
        "error_bound": defeat.error_bound,
        "predicted": defeat.predicted,
        "rounding": defeat.rounding,
    }


def report_tables(values: dict[str, Any]) -> Iterator[RenderableType]:
    """A report for people: the verdict, every check, the controls, the defeats."""
    controls = [(check, one) for check in values["checks"] for one in check["controls"]]
    powerful = [one for _, one in controls if one["power"]]
    rejected = sum(one["rejected"] for one in powerful)
    diverged = f", {values['diverged']} diverged" if values["diverged"] else ""
    yield facts(
        [
            ("suite", f"{values['suite']}: {values['title']}"),
            ("verdict", f"{values['verdict']}: {values['advice']}"),
            ("models", f"{values['models']} trained on {values['device']}{diverged}"),
            (
                "defeats",
                f"{len(values['defeats'])} of {values['compared']} models "
                f"against {values['predictions']} predictions",
            ),
            (
                "controls",
                f"{rejected} of {len(powerful)} rejected; {len(controls) - len(powerful)} more "
                "are without power",
            ),
        ]
    )
    if values["checks"]:
        rows = [
            [
                check["name"],
                number(check["predicted"], 6),
                number(check["measured"], 6),
                _interval(check["interval"]),
                number(check["tolerance"], 3),
                check["verdict"],
            ]
            for check in values["checks"]
        ]
        columns = ["check", "predicted", "measured", "interval", "tolerance", "verdict"]
        title = "Checks (all intervals hold together with 99%)"
        yield grid(title, columns, rows, words=["check", "interval", "verdict"])
    if values["maps"]:
        from studies.maps_page import rows as compared

        names = [one["map"] for one in values["maps"]]
        lines = [list(line) for line in compared(values["maps"])]
        yield grid("Maps", ["", *names], lines, words=[""])
    if values["statements"]:
        rows = [[one["id"], one["verdict"], one["text"]] for one in values["statements"]]
        yield grid("Ledger", ["", "verdict", "statement"], rows, words=["", "verdict", "statement"])
    if values["defeats"]:
        rows = [
            [
                *(_text(one[name]) for name in ("n", "d", "S", "one_minus_S", "law", "seed")),
                number(one["loss"]),
                number(one["predicted"]),
            ]
            for one in values["defeats"]
        ]
        columns = ["n", "d", "S", "1 - S", "law", "seed", "loss", "predicted"]
        yield grid("Defeats: models below the predicted optimum", columns, rows, words=["law"])
    if values["broken"]:
        yield facts([("broken", sentence) for sentence in values["broken"]])


def _interval(ends: Sequence[float | None]) -> str:
    low, high = ends  # an end that is not finite is null in JSON
    return " to ".join(
        [
            "-inf" if low is None else number(low, 6),
            "inf" if high is None else number(high, 6),
        ]
    )


def _count(value: float, what: str) -> str:
    return f"{number(value)} {what}" + ("" if value == 1 else "s")


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_text(item) for item in value)
    return number(value) if isinstance(value, float) else str(value)


# `packing table trained`: what training reached beside what theory predicts, setting by setting.
#
# A store holds models of any suites. For each setting the best model stands beside the predicted
# optimum: excess = (trained - predicted) / predicted, which theory says is never negative. A model
# whose exact loss lies below the prediction by more than both error bounds is a defeat.
# The trained loss is exact (theory.loss on trained weights), the prediction numerical (a search).


COLUMNS = (
    "n",
    "d",
    "S",
    "one_minus_S",
    "law",
    "importance",
    "bias",
    "relu",
    "models",
    "trained_loss",
    "predicted_loss",
    "excess",
    "trained",
    "predicted",
    "represented",
    "predicted_represented",
    "defeats",
)
DIGITS = {"trained_loss": 7, "predicted_loss": 7, "excess": 3, "one_minus_S": 6}

_PLAIN = ("n", "d", "S", "one_minus_S", "law", "importance", "bias", "relu")


@dataclass(frozen=True)
class TrainedTable:
    """Training beside theory.

    Parameters
    ----------
    rows : tuple of dict
        One per setting, a value for each of `COLUMNS`.
    dependent : int
        Models left out since their features are not independent: theory does not speak of them.
    defeats : int
        Models below the predicted optimum.
    """

    rows: tuple[dict[str, Any], ...]
    dependent: int
    defeats: int


def trained(
    models: Sequence[Model], *, progress: Callable[[str, float], None] | None = None
) -> TrainedTable:
    """Trained models beside the optima that theory predicts, one row for each setting.

    The best model of a setting stands in its row; excess is by how much its exact loss lies above
    the predicted one, as a fraction of the latter. Models of dependent features are left out.

    Parameters
    ----------
    models : sequence of (Trained, Measured)
        From a store.
    progress : callable, optional
        Called with a stage and the fraction done; a prediction can take a minute.

    Returns
    -------
    TrainedTable
        The predictions are numerical: the best of a search (`theory.optimum`).
    """
    groups: dict[Setting, list[Model]] = {}
    for model in models:
        groups.setdefault(model[0].run.setting, []).append(model)
    spoken = {setting: held for setting, held in groups.items() if setting.independent}
    rows = []
    for done, (setting, held) in enumerate(
        sorted(spoken.items(), key=lambda item: _place(item[0]))
    ):
        if progress is not None:
            progress("predictions", done / len(spoken))
        rows.append(_row(setting, held))
    return TrainedTable(
        rows=tuple(rows),
        dependent=sum(len(held) for setting, held in groups.items() if not setting.independent),
        defeats=sum(row["defeats"] for row in rows),
    )


def _place(setting: Setting) -> tuple[Any, ...]:
    S = setting.S if isinstance(setting.S, tuple) else (setting.S,)
    return setting.law, setting.n, setting.d, [-x for x in S], repr(setting)


def _row(setting: Setting, held: Sequence[Model]) -> dict[str, Any]:
    from validate.predict import truth

    best = truth(setting)
    from validate.store import row_of

    row: dict[str, Any] = {name: row_of(*held[0])[name] for name in _PLAIN}
    row |= {"models": len(held), "predicted_loss": best.loss, "predicted": best.name}
    row |= {"predicted_represented": best.represented, "defeats": 0}
    row |= dict.fromkeys(("trained_loss", "excess", "trained", "represented"))
    losses = [(measured.loss, measured) for _, measured in held if measured.loss is not None]
    if losses:
        reached, model = min(losses, key=lambda pair: pair[0])
        row |= {"trained_loss": reached, "trained": model.name, "represented": model.represented}
        row["excess"] = reached / best.loss - 1.0 if best.loss > 0.0 else None
        row["defeats"] = sum(
            total + (measured.error_bound or 0.0) < best.loss - best.rounding
            for total, measured in losses
        )
    return {name: row[name] for name in COLUMNS}


# The commands `packing validate` and `packing table trained`.
#
# Both parse, check that what they are to write can be written, call one verb and print its answer.
# torch is imported when training begins, never for --help or --list. Keys of the JSON answers are
# stable: tests/schemas.py holds them.


EXITS = {
    "agree": OK,
    "disagree": DISAGREED,
    "defeated": DISAGREED,
    "broken": DISAGREED,
    "inconclusive": NOT_REACHED,
}
"""Exit code of each verdict of `validate.run.VERDICTS`."""

LINE_EVERY = 30.0  # seconds between two lines of progress where standard error is no terminal


@click.command(
    "validate",
    cls=Verb,
    verb="validate.runner:run_suite",
    help=COMMANDS["validate"][1],
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
        packing validate chapter --engine-backend loky --jobs 16
        packing validate chapter --engine-backend dask:tcp://10.0.0.1:8786
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
    help="What does the arithmetic; auto takes what was measured to be faster. cuda has run in a "
    "simulator only, on no GPU: it is taken only when asked for.  [default: auto]",
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
    from validate.suites import load, names

    if listed:
        chosen = names() if suite is None else (suite,)
        emit(list_values([load(name) for name in chosen]), as_json, list_tables)
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
    places = {"report": str(page), "store": str(folder / report.store)}
    emit({**report_values(report), **places}, as_json, report_tables)
    note(f"report written to {page}")
    return EXITS[report.verdict]


@click.command(
    "trained",
    cls=Verb,
    verb="validate.cli:trained",
    help=TABLES["trained"][1],
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
    from validate.runner import STORE
    from validate.store import Store

    chosen, target = table_target(format_, as_json, out)
    path = Path(store)
    with Store(path / STORE if path.is_dir() else path, write=False) as opened:
        models = opened.load()
    if not models:
        raise BadInput(f"{store} holds no models yet: train some with packing validate")

    with progress_bar("table") as progress:
        table = trained(models, progress=progress)
    if table.dependent:
        note(f"note: {table.dependent} models of dependent features are left out")
    columns = [
        name
        for name in COLUMNS
        # What is as by default everywhere would only widen the table.
        if name not in ("importance", "bias", "relu")
        or any(row[name] not in (None, True) for row in table.rows)
    ]
    rows = [[row[name] for name in columns] for row in table.rows]
    title = "Trained models beside the predicted optima"
    print_table(columns, rows, chosen, title, target, out, DIGITS)
    if table.defeats:
        note(f"packing: {table.defeats} of the models lie below the predicted optimum")
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
