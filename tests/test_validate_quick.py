"""The suite `quick` from start to end: training meets theory, wrong predictions are rejected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from asking import answered

pytest.importorskip("torch")


@pytest.mark.slow
def test_quick_agrees_and_rejects_every_wrong_prediction(tmp_path: Path) -> None:
    out = tmp_path / "quick"
    said = answered(f"validate quick --device cpu --out {out}")
    assert said["suite"] == "quick" and not said["defeats"]
    assert {check["verdict"] for check in said["checks"]} == {"agree"}
    for check in said["checks"]:
        for end in check["interval"]:
            assert abs(end - check["predicted"]) <= check["tolerance"]
    report = json.loads((out / "report.json").read_text())
    controls = [one for check in report["checks"] for one in check["controls"]]
    powerful = [one for one in controls if one["power"]]
    assert len(powerful) >= len(report["checks"])
    assert all(one["rejected"] for one in powerful)
    page = (out / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert 'src="http' not in page and 'href="http' not in page
