"""Imports: validate -> theory -> packing, never back, and no circle of modules.

Every import counts: at the top of a file, inside a function, and for types only.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

import grimp
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

ROOMS = ("packing", "theory", "validate")
Arrows = set[tuple[str, str]]

LOWER = {  # what a room may import of the others, and of torch
    "packing": set[str](),
    "theory": {"packing"},
    "validate": {"packing", "theory", "torch"},
}


def arrows(*packages: str) -> Arrows:
    """Who imports whom, as pairs of modules; of other packages the name alone."""
    graph = grimp.build_graph(*packages, include_external_packages=True, cache_dir=None)
    return {
        (module, other)
        for module in graph.modules
        for other in graph.find_modules_directly_imported_by(module)
    }


def circles(found: Arrows) -> list[list[str]]:
    """Groups of modules from each of which imports lead to every other."""
    modules = sorted({module for pair in found for module in pair})
    index = {module: k for k, module in enumerate(modules)}
    rows, columns = zip(*((index[a], index[b]) for a, b in sorted(found)), strict=True)
    graph = coo_array(([True] * len(rows), (rows, columns)), shape=(len(modules),) * 2)
    _, label = connected_components(graph.tocsr(), directed=True, connection="strong")
    groups: dict[int, list[str]] = {}
    for module, k in zip(modules, label.tolist(), strict=True):
        groups.setdefault(k, []).append(module)
    return [group for group in groups.values() if len(group) > 1]


def upward(found: Iterable[tuple[str, str]]) -> list[str]:
    """Imports that point from a room to one above it, to the studies, or to torch too early."""
    watched = {*ROOMS, "studies", "torch"}
    wrong = []
    for module, other in sorted(found):
        room, there = module.partition(".")[0], other.partition(".")[0]
        if room in LOWER and there in watched and there not in {room, *LOWER[room]}:
            wrong.append(f"{module} imports {other}")
    return wrong


@pytest.fixture(scope="module")
def ours() -> Arrows:
    return arrows(*ROOMS)


def test_no_circles(ours: Arrows) -> None:
    assert circles(ours) == []


def test_no_import_points_upward(ours: Arrows) -> None:
    assert upward(ours) == []


def test_no_module_is_imported_by_its_name_in_a_string() -> None:
    """That would hide an arrow from the tests above; tables of names, as entry points, are none."""
    root = Path(__file__).resolve().parents[1]
    literal = re.compile(r"import_module\(\s*[\"'](packing|theory|validate|studies)\b")
    assert literal.search('import_module("theory.plotting").draw()')
    for room in ROOMS:
        for file in (root / room).rglob("*.py"):
            assert not literal.search(file.read_text(encoding="utf-8")), file


def test_a_circle_and_an_upward_import_would_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours: Arrows
) -> None:
    """Negative control: in a function and for types only, and one arrow added to the house."""
    package = tmp_path / "round"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("def f():\n    from round import b\n    return b\n")
    (package / "b.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from round.a import f\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert circles(arrows("round")) == [["round.a", "round.b"]]
    sys.modules.pop("round", None)
    assert upward(ours | {("packing.errors", "theory.features")})
    assert any(
        {"packing.errors", "theory.features"} <= set(group)
        for group in circles(ours | {("packing.errors", "theory.features")})
    )
