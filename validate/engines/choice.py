"""Which engine a run is given to: a rule fitted to measurements, not a guess and not a stopwatch.

A stopwatch at run time would give one run to different engines on a busy and on an idle machine,
and its samples with it. The rule depends on the run alone; `benchmarks/engines.py` measures both
engines over a grid and prints where it is wrong, and by how much.

A column costs the compiled engine 5 n d multiply-adds, the reference 2 n^2 of them with the Gram
matrix, in one large product instead of many small ones. So d/n decides, and for few features the
reference pays more for its calls than for its products.
"""

from __future__ import annotations

from validate.runs import Run

FEW = 48
"""Up to so many features the compiled engine is faster whatever d is."""

WIDE = 0.45
"""Beyond, it is faster where d is at most this part of n."""


def faster(name: str, run: Run) -> bool:
    """Whether an engine beats the reference on a run, as measured on two cores.

    Parameters
    ----------
    name : {"numba", "cuda"}
    run : Run

    Notes
    -----
    Numerical: measured from (2, 1) to (1000, 50). On a GPU nothing has been measured; there the
    engine made for small models takes what it can train.
    """
    n, d = run.setting.n, run.setting.d
    return name == "cuda" or n <= FEW or d <= WIDE * n
