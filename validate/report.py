"""The report of a suite: one page that needs nothing else, and its tables as CSV and JSON.

report.html   verdict, checks, controls, defeats, cells, pictures (inside the page), provenance,
              and what was not shown
checks.csv    a row for each check;  runs.csv    a row for each trained model
report.json   what `packing validate --json` prints, the controls and the gaps
maps.csv      a row for each cell of each map, and the pictures of each; where a suite has maps

All are prepared first and then put in place, so a folder holds a whole report or none of it.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packing.cli import plain
from packing.errors import BadInput
from packing.files import replacing
from packing.tables import render
from validate.controls import MEANING, POWER, broken
from validate.encode import COLUMNS, row_of
from validate.maps_page import cells_csv, pictures, stem
from validate.page import page

if TYPE_CHECKING:
    from validate.compare import Check
    from validate.run import Report

CHECK_COLUMNS = (
    "name",
    "quantity",
    "predicted",
    "measured",
    "low",
    "high",
    "tolerance",
    "unit",
    "verdict",
    "status",
    "controls",
    "rejected",
    "reason",
)

SURE = ("exact", "constant", "found-often", "named", "complete")
"""Statuses of predictions that need no remark."""


def write(report: Report, folder: str | os.PathLike[str]) -> Path:
    """Write the report of a suite into a folder, whole or not at all.

    Parameters
    ----------
    report : Report
    folder : path
        Made if it is missing. Reports that it holds are replaced.

    Returns
    -------
    Path
        The page, report.html.

    Raises
    ------
    BadInput
        If the folder cannot be made or written to.
    """
    where = Path(folder)
    maps = report.judgement.maps
    drawn = {found.plan.name: pictures(found) for found in maps}
    texts = {
        "report.html": page(report, gaps(report), drawn),
        "report.json": as_json(report),
        "runs.csv": runs_csv(report),
        "checks.csv": checks_csv(report),
    }
    if maps:
        texts["maps.csv"] = cells_csv(maps)
    images = {
        stem(report, found, what): image
        for found in maps
        for what, image in drawn[found.plan.name].items()
    }
    try:
        where.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:  # leaves in reverse: the page comes into place last
            temporary = {n: stack.enter_context(replacing(where / n)) for n in (*texts, *images)}
            for name, text in texts.items():
                temporary[name].write_text(text, encoding="utf-8")
            for name, image in images.items():
                temporary[name].write_bytes(image)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadInput(f"the report in {where} cannot be written: {reason}") from None
    return where / "report.html"


def as_json(report: Report) -> str:
    """The report as one JSON object."""
    from validate.answers import report_values

    values = {
        **report_values(report),
        "alpha": report.suite.alpha,
        "gaps": gaps(report),
        "broken": list(broken(report.checks)),
    }
    return json.dumps(plain(values), indent=1, allow_nan=False) + "\n"


def checks_csv(report: Report) -> str:
    """Checks as CSV."""
    rows = [[_row(check)[name] for name in CHECK_COLUMNS] for check in report.checks]
    return render(CHECK_COLUMNS, rows, "csv", "checks")


def runs_csv(report: Report) -> str:
    """Trained models as CSV."""
    rows = [[row_of(*model)[name] for name in COLUMNS] for model in report.models]
    return render(COLUMNS, rows, "csv", "runs")


def gaps(report: Report) -> list[str]:
    """What the suite did not show, as sentences."""
    said = []
    for check in report.checks:
        if check.verdict == "inconclusive":
            low, high = check.interval
            said.append(f"{check.name} is undecided: its interval [{low:.5g}, {high:.5g}] is wide")
        if check.status not in SURE:
            said.append(f"{check.name}: its prediction has the status {check.status!r}")
        weak = [MEANING[one.name] for one in check.controls if not one.power]
        if weak:
            said.append(
                f"{check.name} cannot tell the prediction from {', '.join(weak)}: the shift is "
                f"below {POWER:g} tolerances, so as a control it is without power"
            )
    lost = sum(trained.status == "diverged" for trained, _ in report.models)
    if lost:
        said.append(f"{lost} models diverged; they count as trained, with their last weights")
    loose = [cell.name for cell in report.suite.cells if not cell.setting.independent]
    if loose:
        said.append(f"theory does not speak of {', '.join(loose)} (dependent features)")
    said.append(
        "Predictions are the best of a search, not proved minima: zero defeats is evidence that "
        "they are, no proof. Agreement is shown at the settings trained, within the tolerances."
    )
    return said


def _row(check: Check) -> dict[str, Any]:
    powered = [one for one in check.controls if one.power]
    return {
        **{name: getattr(check, name) for name in CHECK_COLUMNS if hasattr(check, name)},
        "low": check.interval[0],
        "high": check.interval[1],
        "controls": len(powered),
        "rejected": sum(one.rejected for one in powered),
    }


__all__ = ["gaps", "write"]
