"""Closed forms of the blocks in the table against theory's rows, and against simulation.

A spread of the table, both laws; `python benchmarks/blocks.py` compares all of it. Tolerances,
fixed before any run: 1e-12 relative up to 12 points, 1e-10 beyond; simulation 5 standard errors,
with a wrong cosine more than 5 away.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from theory.mixtures import blocks
from theory.symmetric import closed_form

SPREAD = (
    "digon",
    "pentagon",
    "dodecagon",
    "tetrahedron",
    "icosahedron",
    "octagonal antiprism",
    "dodecahedron",
    "doubled 5-cell",
    "truncated 5-cell",
    "5-demicube",
    "Paley(13) code",
    "Schlaefli complement code",
    "doubled ETF(10,16)",
    "24-simplex",
    "E7 roots",
    "M22 code",
    "Higman-Sims complement code",
    "McLaughlin code",
    "Kerdock 288-code",
    "GQ(4,16) code",
)
"""Every family of the table, small and large, with two to eight cosines."""


def module() -> ModuleType:
    """benchmarks/blocks.py, which is no package."""
    if "block_comparisons" not in sys.modules:
        path = Path(__file__).resolve().parents[1] / "benchmarks" / "blocks.py"
        spec = importlib.util.spec_from_file_location("block_comparisons", path)
        assert spec is not None and spec.loader is not None
        found = importlib.util.module_from_spec(spec)
        sys.modules["block_comparisons"] = found
        spec.loader.exec_module(found)
    return sys.modules["block_comparisons"]


def near_optimum(seed: int, n: int) -> tuple[float, float, float]:
    """(rho, bias, S) where interference counts; few features on where a row is long."""
    rng = np.random.default_rng([seed, n])
    most = 0.9 if n <= 30 else 0.1
    return rng.uniform(0.5, 1.5), rng.uniform(-0.15, 0.3), rng.uniform(0.02, most)


@pytest.mark.parametrize("law", ["binary", "uniform"])
@pytest.mark.parametrize("name", SPREAD)
def test_three_routes_meet(name: str, law: str) -> None:
    check = module()
    n = closed_form(name).n
    one = check.compare(name, law, near_optimum(3, n), np.random.default_rng([4, n]), 40_000)
    assert one.difference <= one.tolerance == (1e-12 if n <= 12 else 1e-10)
    assert one.bound < 1e-6
    assert one.simulated and one.caught


@pytest.mark.parametrize("law", ["binary", "uniform"])
@pytest.mark.parametrize("name", ["pentagon", "M22 code"])
def test_a_feature_too_few_is_seen(name: str, law: str) -> None:
    """Control: one of the others left out, and one cosine off by a part in a million."""
    check = module()
    form = closed_form(name, law)
    rho, bias, S = 1.1, 0.05, 0.08
    cosines = np.array([float(c) for c in form.row.cosines])
    counts = np.array(form.row.counts)
    value = form.loss(rho, bias, S)
    right = check.row_loss(cosines, counts, law, rho, bias, S)[0]
    fewer = check.row_loss(cosines, counts - np.eye(counts.size, dtype=int)[0], law, rho, bias, S)
    moved = check.row_loss(cosines * (1.0 + 1e-6), counts, law, rho, bias, S)
    assert abs(right / value - 1.0) < 1e-10
    assert abs(fewer[0] / value - 1.0) > 1e-5 and abs(moved[0] / value - 1.0) > 1e-9


@pytest.mark.parametrize(
    ("name", "law", "at"),
    [
        # many vertices with small cosines, half of them on: where digits are lost first
        ("doubled 24-simplex", "uniform", (0.33, 0.39, 0.63)),
        # 325 features, 145 of them on: theory's rows need more nodes than they take by themselves
        ("GQ(4,16) code", "binary", (0.33, -0.537, 0.447)),
    ],
)
def test_hard_places(name: str, law: str, at: tuple[float, float, float]) -> None:
    one = module().compare(name, law, at, np.random.default_rng(5), 20_000)
    assert one.agrees and one.simulated


def test_the_whole_table_is_compared() -> None:
    check = module()
    for law in ("binary", "uniform"):
        table = {b.name for b in blocks(law) if b.n <= 325}
        assert table - set(check.names(law)) <= {"uneven digon", "parallel pair"}
        assert set(SPREAD) <= table


def test_sums_of_uniform_numbers() -> None:
    """Mean and variance of the sampler, k/2 and k/12, and none for nothing on."""
    check = module()
    counts = np.repeat([0, 1, 7], 20_000)
    drawn = check.sums(counts, np.random.default_rng(0))
    for k in (0, 1, 7):
        part = drawn[counts == k]
        assert np.mean(part) == pytest.approx(k / 2, abs=0.03)
        assert np.var(part) == pytest.approx(k / 12, abs=0.03)
