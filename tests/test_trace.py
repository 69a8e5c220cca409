"""How many files an answer walks through: every hop is one more file to open for whoever reads.

A file counts as entered where one of its functions is called; what merely runs because a module is
imported (its own lines, class bodies, decorators and what those call) does not count.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from packing.cli.app import table
from theory.cli import model

ROOT = Path(__file__).resolve().parent.parent
ROOMS = tuple(f"{ROOT / room}/" for room in ("packing", "theory", "validate"))
IMPORTING = "<module>"


def entered(call: Callable[[], object]) -> set[str]:
    """Files of the project in which a function is called meanwhile, imports aside."""
    found: set[str] = set()

    def seen(frame: FrameType, event: str, arg: Any) -> None:
        if event != "call" or not frame.f_code.co_filename.startswith(ROOMS):
            return
        if frame.f_code.co_filename in found or not frame.f_code.co_flags & 2:
            return  # known, or no function: the body of a module or of a class
        above: FrameType | None = frame
        while above is not None:
            if above.f_code.co_name == IMPORTING and "importlib" in _caller(above):
                return
            above = above.f_back
        found.add(frame.f_code.co_filename)

    sys.setprofile(seen)
    try:
        call()
    finally:
        sys.setprofile(None)
    return {str(Path(name).relative_to(ROOT)) for name in found}


def _caller(frame: FrameType) -> str:
    return "" if frame.f_back is None else frame.f_back.f_code.co_filename


def files_of(line: str) -> set[str]:
    """Files that a command enters."""

    def command() -> None:
        with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
            table.main(line.split())

    return entered(command)


@pytest.fixture
def pentagon(tmp_path: Path) -> Path:
    turn = 2.0 * np.pi * np.arange(5) / 5.0
    path = tmp_path / "pentagon.npz"
    np.savez(path, W=np.array([np.cos(turn), np.sin(turn)]), b=np.full(5, -0.1))
    return path


@pytest.mark.parametrize("form", ["", " --json"])
def test_an_optimum_is_found_in_few_files(form: str) -> None:
    found = files_of(f"optimal -n 5 -d 2 -S 0.1{form}")
    assert {"theory/optima.py", "theory/losses/expected.py"} <= found
    assert len(found) <= 15, sorted(found)


@pytest.mark.parametrize("form", ["", " --json"])
def test_a_loss_is_computed_in_few_files(form: str, pentagon: Path) -> None:
    found = files_of(f"loss {pentagon} -S 0.1{form}")
    assert {"packing/weights.py", "theory/losses/expected.py"} <= found
    assert len(found) <= 6, sorted(found)


def test_a_file_more_is_seen(pentagon: Path) -> None:
    """Negative control: another law has an engine in a file of its own."""
    more = files_of(f"loss {pentagon} -S 0.1 --law exponential")
    assert more - files_of(f"loss {pentagon} -S 0.1") == {
        "theory/losses/contour.py",
        "theory/losses/rows.py",
    }
    assert len(more) > 6


def test_what_an_import_runs_does_not_count() -> None:
    """A module whose body calls functions of another is loaded meanwhile: nothing is entered."""
    assert entered(lambda: importlib.reload(model)) == set()
    assert entered(lambda: model.options()) == {"packing/cli/app.py"}
