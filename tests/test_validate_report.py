"""report: a page that needs nothing else, tables beside it, whole or not at all."""

from __future__ import annotations

import base64
import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from trained import model_of, near_optimum

from packing.errors import BadInput
from validate import plotting as draw
from validate import predict
from validate.checks import judge
from validate.experiments import Setting
from validate.predict import Sample
from validate.report import gaps, write
from validate.runner import Report
from validate.suites import parse

SUITE = """
title = "Five & three"
about = "a < b"
minutes = 1
needs = "a CPU"
[recipe]
steps = 40
[[cell]]
name = "five"
n = 5
d = 2
S = 0.05
runs = 24
groups = 12
wrong = "2 digon + 1 ignored"
[[sweep]]
name = "three"
n = 3
d = 1
S = [0.15, 0.17, 0.2, 0.22]
runs = 12
groups = 12
[[check]]
cells = ["five"]
quantity = "loss"
tolerance = 0.01
reason = "a reason"
controls = ["arrangement", "1-S"]
[[check]]
cells = ["five"]
quantity = "represented"
tolerance = 0.4
reason = "another reason"
controls = ["arrangement"]
[[check]]
cells = ["three"]
quantity = "critical"
tolerance = 0.03
reason = "the grid's spacing"
controls = ["1-S"]
"""


class Page(HTMLParser):
    """Whether tags are closed, what is linked, and the text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.pictures, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.links += [values[k] for k in ("href", "src") if k in values]
        if tag == "img":
            self.pictures.append(values["src"])
            assert values["alt"]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(autouse=True)
def predictions_kept(own_cache, kept, monkeypatch):
    """One cache for this file, and the ladder of (3, 1) by hand: its S* = 0.18565 takes seconds."""
    monkeypatch.setenv("FEATURE_PACKING_CACHE", str(kept))
    known = SimpleNamespace(S_star=0.18565, crossings=(), evidence="numerical")
    monkeypatch.setattr(predict, "ladder_of", lambda setting: known)


@pytest.fixture
def report(tmp_path):
    suite = parse(SUITE, "five")
    models = near_optimum(suite)
    judged = judge(suite, models)
    return Report(suite, tuple(models), judged, (), "store.sqlite")


def test_the_page_stands_alone(report, tmp_path):
    page = write(report, tmp_path / "out")
    assert page == tmp_path / "out" / "report.html"
    assert sorted(p.name for p in page.parent.iterdir()) == [
        "checks.csv",
        "report.html",
        "report.json",
        "runs.csv",
    ]
    found = Page(page.read_text(encoding="utf-8"))
    assert not found.open
    assert all(link.startswith("data:image/png;base64,") for link in found.links)
    assert len(found.pictures) == 4  # checks, excess, the plane, the change
    for picture in found.pictures:
        assert base64.b64decode(picture.partition(",")[2])[:8] == b"\x89PNG\r\n\x1a\n"
    assert "Five & three" in found.text and "a < b" in found.text
    for check in report.checks:
        assert check.name in found.text and check.reason in found.text
    assert "S = 0.05 (1 − S = 0.95)" in found.text
    assert report.suite.hash in found.text
    assert "None: no trained model lies below its predicted optimum." in found.text
    assert re.search(r"models trained\s*72", found.text)
    assert "What was not shown" in found.text


def test_the_tables_hold_every_digit(report, tmp_path):
    write(report, tmp_path)
    with (tmp_path / "checks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [check.name for check in report.checks]
    for row, check in zip(rows, report.checks, strict=True):
        assert float(row["measured"]) == check.measured
        assert (float(row["low"]), float(row["high"])) == check.interval
        assert row["verdict"] == check.verdict
    with (tmp_path / "runs.csv").open(newline="") as file:
        runs = list(csv.DictReader(file))
    assert [row["key"] for row in runs] == [t.run.key for t, _ in report.models]
    values = json.loads((tmp_path / "report.json").read_text())
    assert values["suite"] == "five"
    assert values["verdict"] == report.verdict
    assert [c["name"] for c in values["checks"]] == [check.name for check in report.checks]
    assert values["gaps"] == gaps(report)


def test_a_report_is_whole_or_absent(report, tmp_path, monkeypatch):
    """An error while the last file is written leaves the old report, and nothing else."""
    folder = tmp_path / "out"
    write(report, folder)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def full(self, text, encoding=None):
        if self.suffix == ".json":
            raise OSError(28, "No space left on device")
        return type(self).write_bytes(self, b"half")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(BadInput, match="cannot be written: no space left on device"):
        write(report, folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_what_was_not_shown_is_said(report):
    wide = [
        model_of(t.run, t.W * (1.0 + 0.1 * (t.run.seed % 3)), t.b, m.name) for t, m in report.models
    ]
    judged = judge(report.suite, wide)
    said = " ".join(gaps(replace(report, judgement=judged)))
    undecided = [check for check in judged.checks if check.verdict == "inconclusive"]
    for check in undecided:
        assert f"{check.name} is undecided" in said
    weak = [o for check in judged.checks for o in check.controls if not o.power]
    assert ("without power" in said) == bool(weak)
    assert "no proof" in said


def test_defeats_stand_on_the_page(report, tmp_path, monkeypatch):
    right = predict.truth
    with monkeypatch.context() as patch:
        patch.setattr(predict, "truth", lambda s: replace(right(s), loss=1.02 * right(s).loss))
        judged = judge(report.suite, report.models)
    beaten = replace(report, judgement=judged)
    text = Page(write(beaten, tmp_path).read_text(encoding="utf-8")).text
    assert "These models refute a prediction" in text
    for defeat in judged.defeats:
        assert defeat.key in text


def test_models_are_laid_over_the_prediction():
    """Turned, mirrored and relabelled, a model lies on itself again."""
    rng = np.random.default_rng(8)
    B = predict.truth(Setting(5, 2, 0.05)).W
    for _ in range(5):
        c, s = np.cos(t := 6.0 * rng.random()), np.sin(t)
        mirror = np.diag([1.0, rng.choice([-1.0, 1.0])])
        A = (np.array([[c, -s], [s, c]]) @ mirror @ B)[:, rng.permutation(5)]
        assert np.abs(draw.laid_over(A, B) - B).max() < 1e-9


def test_pictures_are_drawn_where_nothing_was_measured(report):
    """An interval that is the whole line, and a cell whose losses are not finite."""
    check = replace(report.checks[0], measured=np.nan, interval=(-np.inf, np.inf))
    assert draw.png(draw.draw_checks([check]))
    cell = report.suite.cells[0]
    lost = tuple((t, replace(m, loss=None)) for t, m in report.models[:24])
    sample = Sample(lost, cell.groups)
    assert draw.png(draw.draw_excess([("five", sample, predict.truth(cell.setting))]))
