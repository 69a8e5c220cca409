"""Statistical equivalence of engines: the compiled one passes, a wrong one does not.

Few models and wide tolerances here; benchmarks/equivalence.py holds the engine to narrow ones.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba", reason="the compiled engine is an extra: feature-packing[compiled]")

from validate.training.equivalence import CASES, Agreement, _compared, equivalence

SMALL = {"models": 256, "tolerance": 0.4, "curve": 0.1}


@pytest.mark.parametrize(
    "case", ["patterns, uniform", "gaps, uniform", "no ReLU, weight decay, warmup"]
)
def test_the_compiled_engine_trains_like_the_reference(case: str) -> None:
    """256 models: intervals of Kolmogorov's distance reach 0.25 beyond what is seen."""
    found = equivalence("numba", cases=[case], **SMALL)  # type: ignore[arg-type]
    assert len(found) == 6 and {row.verdict for row in found} == {"agree"}
    # Control: an engine that reads S as three times S.
    wrong = equivalence("numba", cases=[case], control=3.0, **SMALL)  # type: ignore[arg-type]
    assert any(row.verdict == "disagree" for row in wrong)


def test_verdicts_need_the_whole_interval() -> None:
    def verdict(low: float, high: float) -> str:
        return Agreement("case", "loss", 10, 0.0, (low, high), 0.1).verdict

    assert verdict(0.0, 0.1) == verdict(-0.1, 0.05) == "agree"
    assert verdict(0.0, 0.11) == verdict(-0.2, 0.3) == "inconclusive"
    assert verdict(0.11, 0.3) == verdict(-0.3, -0.11) == "disagree"


def test_intervals_of_equal_laws_hold() -> None:
    """Two halves of one engine's models: the distance of their laws is 0 and must be inside."""
    from validate.experiments import Recipe, Run, Setting
    from validate.training.trainer import train

    recipe = Recipe(50, batch=32, snapshots=4)
    setting = Setting(3, 1, 0.3)
    x = np.random.default_rng(1).random((3, 100))
    missed = 0
    for start in range(0, 2000, 100):
        one, two = (
            train([Run(setting, recipe, k) for k in range(low, low + 50)], engine="numba")
            for low in (start, start + 50)
        )
        rows = _compared("case", one, two, x, 0.05, 0.1, 0.1)
        missed += sum(not row.interval[0] <= 0.0 <= row.interval[1] for row in rows)
        assert [row.quantity for row in rows][:3] == ["loss", "D*", "cosine"]
    # 100 intervals, each of which misses with at most 5% (those of distances far less): more than
    # 14 misses have a chance of 1e-4.
    assert missed <= 14


def test_cases_cover_every_form() -> None:
    from validate.training import kernels as columns
    from validate.training.numba_engine import plan_of

    forms = {plan_of(*case).form for case in CASES.values()}
    assert forms == {columns.PATTERNS, columns.GAPS, columns.DENSE}
    assert {case[0].law for case in CASES.values()} == {"binary", "uniform", "exponential"}
