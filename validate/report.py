"""The page of a report: what was checked, what came of it, with pictures, in one HTML file.

From top to bottom: the verdict, checks, negative controls, defeats, extensions, what was trained,
pictures, what was not shown, provenance. Pictures lie inside the page, which needs nothing else.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packing.cli.app import plain
from packing.cli.output import render
from packing.errors import BadInput
from packing.files import replacing
from validate import predict
from validate.checks import MEANING, POWER, broken, count
from validate.markup import STYLE, Raw, picture, table
from validate.predict import Sample
from validate.store import COLUMNS, row_of
from validate.suites import ALONG

if TYPE_CHECKING:
    from validate.checks import Check
    from validate.predict import Truth
    from validate.runner import Report
    from validate.suites import Cell


def page(
    report: Report, gaps: Sequence[str], files: Mapping[str, str | bytes] | None = None
) -> str:
    """The report as one HTML page, pictures inside; files are those of its extensions."""
    suite = report.suite
    title = escape(f"{suite.title}")
    parts = [
        f"<h1>{title}</h1>",
        f"<p>{escape(suite.about)}</p>",
        *_verdict(report),
        *_checks(report),
        *_defeats(report),
        *(
            part
            for one in suite.extensions
            for part in one.section(suite, report.judgement.extra[one.table], files or {})
        ),
        *_cells(report),
        *_pictures(report),
        "<h2>What was not shown</h2><ul>",
        *(f"<li>{escape(text)}</li>" for text in gaps),
        "</ul>",
        *_provenance(report),
    ]
    head = f'<meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _verdict(report: Report) -> Iterator[str]:
    verdict = report.verdict
    yield f'<p class="verdict {verdict}">{verdict}: {escape(report.advice)}</p>'
    for flaw in broken(report.checks):
        yield f'<p class="broken">{escape(flaw)}</p>'
    tally = Counter(check.verdict for check in report.checks)
    settings = {cell.setting for cell in report.suite.cells if cell.setting.independent}
    compared = sum(trained.run.setting in settings for trained, _ in report.models)
    yield table(
        ("", ""),
        [
            ("models trained", len(report.models)),
            ("compared with a predicted optimum", compared),
            ("predicted optima", len(settings)),
            ("defeats", len(report.defeats)),
            ("checks", ", ".join(f"{n} {verdict}" for verdict, n in tally.items()) or "none"),
            ("controls with power", count(report.checks, lambda one: one.power)),
            ("of them rejected", count(report.checks, lambda one: one.power and one.rejected)),
            ("without power", count(report.checks, lambda one: not one.power)),
        ],
    )


def _checks(report: Report) -> Iterator[str]:
    if not report.checks:
        return
    yield "<h2>Checks</h2>"
    yield (
        "<p>A check agrees only if the whole interval lies within the tolerance, which was fixed "
        "before training. Intervals hold together with 99%: each misses with chance at most "
        f"{report.suite.alpha:.2g} (Bonferroni).</p>"
    )
    columns = ("check", "predicted", "measured", "interval", "tolerance", "unit", "verdict")
    rows = []
    for c in report.checks:
        span = f"{c.interval[0]:.6g} … {c.interval[1]:.6g}"
        mark = Raw(f'<span class="{c.verdict}">{c.verdict}</span>')
        rows.append((c.name, c.predicted, c.measured, span, f"± {c.tolerance:.3g}", c.unit, mark))
    yield table(columns, rows)
    from validate.plotting import draw_checks

    yield picture(draw_checks(report.checks), "Every check in units of its tolerance.")
    reasons = dict.fromkeys((c.quantity, c.reason) for c in report.checks)
    yield "<h3>Why these tolerances</h3>"
    yield table(
        ("quantity", "what it is", "reason"),
        [(q, report.suite.words[q], why) for q, why in reasons],
    )
    yield "<h3>Negative controls</h3>"
    yield (
        "<p>The same data against predictions that are known to be wrong. A shift of more than "
        f"{POWER:g} tolerances has to be rejected.</p>"
    )
    found = []
    for c in report.checks:
        for one in c.controls:
            outcome = "rejected" if one.rejected else str(one.verdict)
            if not one.power:
                outcome = f"without power ({outcome})"
            tolerances = one.shift / c.tolerance if c.tolerance else float("inf")
            found.append((c.name, MEANING[one.name], one.predicted, tolerances, outcome))
    yield table(("check", "read wrongly", "predicts", "shift / tolerance", "outcome"), found)


def _defeats(report: Report) -> Iterator[str]:
    yield "<h2>Defeats</h2>"
    if not report.defeats:
        yield "<p>None: no trained model lies below its predicted optimum.</p>"
        return
    yield "<p>These models refute a prediction; their weights are in the store.</p>"
    columns = ("model", "setting", "loss", "error bound", "predicted", "its rounding")
    yield table(
        columns,
        [
            (d.key, _setting(d.setting), d.loss, d.error_bound, d.predicted, d.rounding)
            for d in report.defeats
        ],
    )


def _cells(report: Report) -> Iterator[str]:
    if not report.suite.cells:
        return
    yield "<h2>What was trained</h2>"
    rows: list[tuple[Any, ...]] = []
    samples = _samples(report)
    for cell in report.suite.cells:
        if cell.owner:
            continue
        sample = samples[cell.name]
        names = Counter(measured.name for _, measured in sample.best)
        losses = [m.loss for _, m in sample.models if m.loss is not None]
        truth = predict.truth(cell.setting) if cell.setting.independent else None
        rows.append(
            (
                cell.name,
                _setting(cell.setting),
                f"{len(cell.seeds)} in {cell.groups}",
                cell.recipe.steps,
                "" if truth is None else truth.loss,
                min(losses) if losses else "",
                "" if truth is None else f"{truth.name} ({truth.status})",
                ", ".join(f"{name} × {k}" for name, k in names.most_common(3)),
            )
        )
    columns = ("cell", "setting", "models in groups", "steps", "predicted loss", "best trained")
    yield table((*columns, "predicted", "best of each group"), rows)


def _pictures(report: Report) -> Iterator[str]:
    from validate import plotting as draw

    samples = _samples(report)
    found: list[tuple[str, Sample, Truth]] = []
    for cell in report.suite.cells:
        if cell.setting.independent and not cell.owner:
            found.append((cell.name, samples[cell.name], predict.truth(cell.setting)))
    solo = [x for x in found if not report.suite.cell(x[0]).sweep]
    if not found:
        return
    yield "<h2>Pictures</h2>"
    yield picture(draw.draw_excess(found), "Every trained model above the predicted optimum.")
    flat = [x for x in solo if x[2].W.shape[0] == 2 and x[2].W.shape[1] <= draw.LARGEST_LAID]
    if flat:
        yield picture(
            draw.draw_planes(flat), "Trained vectors over predicted ones; dotted: length 1."
        )
    for check in report.checks:
        if check.quantity == "critical":
            cells = report.suite.sweep(check.cell)
            S = [float(cell.setting.features.S[0]) for cell in cells]
            mine = [samples[cell.name] for cell in cells]
            drawn = draw.draw_change(check, S, mine, cells[0].setting.n)
            yield picture(drawn, f"{check.cell}: where the best of a group changes phase.")
    for name in dict.fromkeys(c.cell for c in report.checks if c.quantity in ALONG):
        yield picture(draw.draw_along(name, samples[name].best), f"{name} along training.")


def _provenance(report: Report) -> Iterator[str]:
    yield "<h2>Provenance</h2>"
    yield table(
        ("", ""),
        [
            ("suite", f"{report.suite.name}, hash {report.suite.hash}"),
            *([("note", "the suite's file has changed since its first session")] * report.changed),
            ("command", report.suite.command),
            ("device", report.device),
            ("seconds of training", round(report.seconds, 1)),
            ("store", report.store),
            ("seeds", _seeds(report.suite.cells)),
        ],
    )
    for session in report.sessions:
        yield table(("session", ""), [(k, _said(v)) for k, v in vars(session).items()])


# --- parts --------------------------------------------------------------------------------------


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


def _seeds(cells: Sequence[Cell]) -> str:
    spans = dict.fromkeys(f"{c.seeds[0]} to {c.seeds[-1]}" for c in cells)
    return ", ".join(spans)


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    return "" if value is None else str(value)


# The report of a suite: one page that needs nothing else, and its tables as CSV and JSON.
#
# report.html   verdict, checks, controls, defeats, cells, pictures (inside the page), provenance,
#               and what was not shown
# checks.csv    a row for each check;  runs.csv    a row for each trained model
# report.json   what `packing validate --json` prints, the controls and the gaps
# and the files of the extensions that the suite uses
#
# All are prepared first and then put in place, so a folder holds a whole report or none of it.


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
    from validate.cli import report_values

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


__all__ = ["gaps", "page", "write"]
