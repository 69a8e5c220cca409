"""What the README shows is what its commands print today."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
NUMBER = re.compile(r"(?<![\w.])\d+\.\d{3,}(?![\w.])")


def block(language: str, holding: str) -> str:
    """The first fenced block of that language with that text in it."""
    for found in re.finditer(rf"```{language}\n(.*?)```", README, re.DOTALL):
        if holding in found.group(1):
            return found.group(1)
    raise AssertionError(f"README has no {language} block with {holding!r}")


def words(text: str) -> list[str]:
    return NUMBER.sub("#", text).split()


def disagreements(shown: str, printed: str) -> list[str]:
    """Words that differ, and numbers that differ by more than a change's promise of 1e-8."""
    wrong = [f"{a} / {b}" for a, b in zip(words(shown), words(printed), strict=False) if a != b]
    for a, b in zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=False):
        if abs(float(a) - float(b)) > 1e-8:
            wrong.append(f"{a} / {b}")
    return wrong


def test_the_run_shown_is_the_run() -> None:
    command = next(line for line in block("sh", "packing critical").splitlines() if line)
    arguments = command.split(" --plot")[0].split()[1:]
    done = subprocess.run(
        [sys.executable, "-m", "packing", *arguments, "--no-cache"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PATH": "", "COLUMNS": "200", "FEATURE_PACKING_CACHE": ""},
    )
    shown = block("text", "Ladder")
    assert disagreements(shown, done.stdout) == []
    assert disagreements(shown.replace("0.18565", "0.18566"), done.stdout) != []


def test_the_python_shown_runs() -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(block("python", "ladder"), {})
    name, loss, bound, star = printed.getvalue().split()
    promised = re.search(r"# (0\.\d+)\.\.\.", block("python", "ladder"))
    assert name == "pentagon"
    assert 0.0 < float(bound) < 1e-10 * float(loss)
    assert promised is not None and star.startswith(promised.group(1))


def test_the_geometry_shown_runs() -> None:
    printed = io.StringIO()
    shown = block("python", "identify")
    with contextlib.redirect_stdout(printed):
        exec(shown, {})
    name, numbers = printed.getvalue().strip().split("\n")
    assert f"# {name}" in shown
    cosine, bound = (float(x) for x in numbers.split())
    for value, promised in zip((cosine, bound), re.findall(r"(0\.\d+)\.\.\.", shown), strict=True):
        assert str(value).startswith(promised)
    assert bound < cosine


@pytest.mark.parametrize("claim", ["S* = 0.1857", "below 0.1198"])
def test_prose_repeats_the_table(claim: str) -> None:
    number = claim.split()[-1]
    assert claim in README
    table = [f"{float(x):.4f}" for x in NUMBER.findall(block("text", "Ladder"))]
    assert number in table
