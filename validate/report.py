"""The report of a suite: one page that needs nothing else, and its tables as CSV and JSON.

report.html   verdict, checks, negative controls, defeats, sections of extensions, what was
              trained, pictures (inside the page), what was not shown, provenance
checks.csv    a row for each check;  runs.csv    a row for each trained model
report.json   what `packing validate --json` prints, and the gaps
and the files of the extensions that the suite uses

All are prepared first and then put in place, so a folder holds a whole report or none of it.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from markupsafe import Markup

from packing.errors import BadInput
from packing.files import replacing
from packing.results import Evidence, plain, render
from validate import markup, predict
from validate import plotting as draw
from validate.checks import MEANING, POWER, Check, Control, broken, count
from validate.predict import Sample, Truth
from validate.runner import Report
from validate.store import COLUMNS, row_of
from validate.suites import ALONG


def page(
    report: Report, gaps: Sequence[str], files: Mapping[str, str | bytes] | None = None
) -> str:
    """The report as one HTML page, pictures inside; files are those of its extensions."""
    suite, checks = report.suite, report.checks
    more = [
        part
        for one in suite.extensions
        for part in one.section(suite, report.judgement.extra[one.table], files or {})
    ]
    return markup.page(
        report=report,
        suite=suite,
        summary=_summary(report),
        power=POWER,
        checks_drawn=draw.png(draw.draw_checks(checks)) if checks else b"",
        reasons=[
            (quantity, suite.words[quantity], reason)
            for quantity, reason in dict.fromkeys((c.quantity, c.reason) for c in checks)
        ],
        controls=[_control(check, one) for check in checks for one in check.controls],
        defeats=[
            (d.key, _setting(d.setting), d.loss, d.error_bound, d.predicted, d.rounding)
            for d in report.defeats
        ],
        more=Markup("\n".join(more)),
        cells=list(_cells(report)),
        pictures=list(_pictures(report)),
        gaps=gaps,
        provenance=_provenance(report),
    )


def _summary(report: Report) -> list[tuple[str, Any]]:
    tally = Counter(check.verdict for check in report.checks)
    settings = {cell.setting for cell in report.suite.cells if cell.setting.independent}
    compared = sum(trained.run.setting in settings for trained, _ in report.models)
    return [
        ("models trained", len(report.models)),
        ("compared with a predicted optimum", compared),
        ("predicted optima", len(settings)),
        ("defeats", len(report.defeats)),
        ("checks", ", ".join(f"{n} {verdict}" for verdict, n in tally.items()) or "none"),
        ("controls with power", count(report.checks, lambda one: one.power)),
        ("of them rejected", count(report.checks, lambda one: one.power and one.rejected)),
        ("without power", count(report.checks, lambda one: not one.power)),
    ]


def _control(check: Check, one: Control) -> tuple[Any, ...]:
    outcome = "rejected" if one.rejected else str(one.verdict)
    if not one.power:
        outcome = f"without power ({outcome})"
    tolerances = one.shift / check.tolerance if check.tolerance else float("inf")
    return check.name, MEANING[one.name], one.predicted, tolerances, outcome


def _cells(report: Report) -> Iterator[tuple[Any, ...]]:
    """A row for each cell that no extension owns."""
    samples = _samples(report)
    for cell in report.suite.cells:
        if cell.owner:
            continue
        sample = samples[cell.name]
        names = Counter(measured.name for _, measured in sample.best)
        losses = [m.loss for _, m in sample.models if m.loss is not None]
        truth = predict.truth(cell.setting) if cell.setting.independent else None
        yield (
            cell.name,
            _setting(cell.setting),
            f"{len(cell.seeds)} in {cell.groups}",
            cell.recipe.steps,
            "" if truth is None else truth.loss,
            min(losses) if losses else "",
            "" if truth is None else f"{truth.name} ({truth.status})",
            ", ".join(f"{name} × {k}" for name, k in names.most_common(3)),
        )


def _pictures(report: Report) -> Iterator[tuple[bytes, str]]:
    """Pictures as PNG files, and what they show."""
    samples = _samples(report)
    found: list[tuple[str, Sample, Truth]] = []
    for cell in report.suite.cells:
        if cell.setting.independent and not cell.owner:
            found.append((cell.name, samples[cell.name], predict.truth(cell.setting)))
    if not found:
        return
    yield draw.png(draw.draw_excess(found)), "Every trained model above the predicted optimum."
    solo = [x for x in found if not report.suite.cell(x[0]).sweep]
    flat = [x for x in solo if x[2].W.shape[0] == 2 and x[2].W.shape[1] <= draw.LARGEST_LAID]
    if flat:
        said = "Trained vectors over predicted ones; dotted: length 1."
        yield draw.png(draw.draw_planes(flat)), said
    for check in report.checks:
        if check.quantity == "critical":
            cells = report.suite.sweep(check.cell)
            S = [float(cell.setting.features.S[0]) for cell in cells]
            mine = [samples[cell.name] for cell in cells]
            drawn = draw.draw_change(check, S, mine, cells[0].setting.n)
            yield draw.png(drawn), f"{check.cell}: where the best of a group changes phase."
    for name in dict.fromkeys(c.cell for c in report.checks if c.quantity in ALONG):
        yield draw.png(draw.draw_along(name, samples[name].best)), f"{name} along training."


def _provenance(report: Report) -> list[tuple[str, Any]]:
    seeds = dict.fromkeys(f"{c.seeds[0]} to {c.seeds[-1]}" for c in report.suite.cells)
    return [
        ("suite", f"{report.suite.name}, hash {report.suite.hash}"),
        *([("note", "the suite's file has changed since its first session")] * report.changed),
        ("command", report.suite.command),
        ("device", report.device),
        ("seconds of training", round(report.seconds, 1)),
        ("store", report.store),
        ("seeds", ", ".join(seeds)),
    ]


def _samples(report: Report) -> dict[str, Sample]:
    by_key = {trained.run.key: (trained, measured) for trained, measured in report.models}
    return {
        cell.name: Sample(tuple(by_key[run.key] for run in cell.runs), cell.groups)
        for cell in report.suite.cells
    }


def _setting(setting: Any) -> str:
    """A setting in words; S always with 1 - S beside it."""
    S = setting.S
    if isinstance(S, tuple):
        chance = f"S = {min(S):g} to {max(S):g} (1 − S = {1 - max(S):g} to {1 - min(S):g})"
    else:
        chance = f"S = {S:g} (1 − S = {1 - S:g})"
    words = [f"n = {setting.n}, d = {setting.d}, {chance}, {setting.law}"]
    words += ["no bias"] * (not setting.bias) + ["linear"] * (not setting.relu)
    words += ["uneven importance"] * (setting.importance is not None)
    words += [setting.joint] * (not setting.independent)
    return ", ".join(words)


CHECK_COLUMNS = (
    *("name", "quantity", "predicted", "measured", "low", "high", "tolerance", "unit"),
    *("verdict", "status", "controls", "rejected", "reason"),
)


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
    extra = report.judgement.extra
    more = {
        name: content
        for one in report.suite.extensions
        for name, content in one.files(report.suite, extra[one.table]).items()
    }
    files: dict[str, str | bytes] = {
        "report.html": page(report, gaps(report), more),
        "report.json": as_json(report),
        "runs.csv": runs_csv(report),
        "checks.csv": checks_csv(report),
        **more,
    }
    try:
        where.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:  # leaves in reverse: the page comes into place last
            temporary = {name: stack.enter_context(replacing(where / name)) for name in files}
            for name, content in files.items():
                if isinstance(content, bytes):
                    temporary[name].write_bytes(content)
                else:
                    temporary[name].write_text(content, encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadInput(f"the report in {where} cannot be written: {reason}") from None
    return where / "report.html"


def as_json(report: Report) -> str:
    """The report as one JSON object."""
    values = {
        **report.to_dict(),
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
        if check.status == Evidence.UNSETTLED:
            said.append(f"{check.name}: its prediction is unsettled, the search stopped short")
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
