"""The studies as a whole: not installed, never imported by what is, and run by one command."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("torch")

from packing.errors import BadInput
from studies import registry
from validate.checks import MEANING
from validate.suites import STUDIES, names

ROOT = Path(__file__).resolve().parent.parent


def studies(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "studies", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_studies_are_not_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["setuptools"]["packages"]
    assert not [name for name in packages if name.partition(".")[0] == "studies"]


@pytest.mark.parametrize("room", ["packing", "theory", "validate"])
def test_nothing_installed_imports_a_study(room: str) -> None:
    for file in sorted((ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            wanted = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                wanted = [node.module or ""]
            assert "studies" not in {name.partition(".")[0] for name in wanted}, file


def test_every_study_is_known_by_name() -> None:
    assert registry.names() == tuple(sorted(STUDIES)) and not set(STUDIES) & set(names())
    for name in STUDIES:
        suite = registry.load(name)
        assert suite.extensions and suite.command == f"python -m studies {name}"
        assert suite.about and suite.needs and suite.minutes < 30.0
        for rule in suite.rules:
            assert rule.quantity in suite.words and set(rule.controls) <= set(MEANING)
            assert len(rule.reason) > 30, f"{rule.name}: a reason is a sentence"
    with pytest.raises(BadInput, match="did you mean surplus"):
        registry.load("surpluss")


def test_the_command_lists_and_refuses() -> None:
    listed = studies("--list", "--json")
    found = json.loads(listed.stdout)["suites"]
    assert listed.returncode == 0 and [one["name"] for one in found] == list(registry.names())
    assert {one["name"]: len(one["statements"]) for one in found}["chapter"] == 21
    wrong = studies("nonsense")
    assert wrong.returncode == 2 and "there is no suite 'nonsense'" in wrong.stderr
    assert "chapter" in wrong.stderr and "Traceback" not in wrong.stderr
