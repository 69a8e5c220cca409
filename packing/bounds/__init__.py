"""What no arrangement can beat: bounds on cosines, coherence, sizes and energies, with sources.

`bounds(n, d)` lists every bound that applies, `best` takes the strongest, `gap` compares a found
arrangement with it. `points(d, c)` and `lines(d, c)` bound how many there can be, and `delsarte`
gives a certificate that can be checked again in exact arithmetic.
"""

from __future__ import annotations

from packing.bounds.bound import Bound, Delsarte
from packing.bounds.collect import Bounds, Gap, best, bounds, gap, lines, points
from packing.bounds.linear_programming import delsarte, delsarte_cosine, skipped

__all__ = [
    "Bound",
    "Bounds",
    "Delsarte",
    "Gap",
    "best",
    "bounds",
    "delsarte",
    "delsarte_cosine",
    "gap",
    "lines",
    "points",
    "skipped",
]
