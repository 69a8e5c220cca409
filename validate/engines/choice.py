"""Which engine a run is given to: a rule fitted to measurements, not a guess and not a stopwatch.

A stopwatch at run time would give one run to different engines on a busy and on an idle machine,
and its samples with it. The rule is a function of n, d, S and the recipe; `benchmarks/engines.py`
measures both engines over a grid and prints where it is wrong, and by how much.
"""

from __future__ import annotations

from validate.runs import Run


def faster(name: str, run: Run) -> bool:
    """Whether an engine beats the reference on a run, as measured on two cores.

    Parameters
    ----------
    name : {"numba", "cuda"}
    run : Run
    """
    n, d = run.setting.n, run.setting.d
    return n * d <= 4096
