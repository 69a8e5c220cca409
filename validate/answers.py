"""What `packing validate` prints: the values of its JSON answers, and tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from packing.cli import facts, grid, number

if TYPE_CHECKING:
    from rich.console import RenderableType

    from validate.compare import Defeat
    from validate.run import Report
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
    from validate.maps import summary

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
        from validate.maps_page import rows as compared

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
