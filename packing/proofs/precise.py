"""Inner products of a code to many digits, from its contact equations.

A code that its contacts hold in place is known to as many digits as anyone asks for. Numerical: the
residual and the agreement of equal values say how far to trust them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from packing.arrangement import Arrangement
from packing.proofs.certify import as_arrangement
from packing.proofs.equations import Box
from packing.proofs.existence import TOLERANCE
from packing.proofs.models import contact_structure, plain, symmetric
from packing.proofs.rational import Criterion

Float = NDArray[np.float64]
Int = NDArray[np.int64]

LARGEST = 300
"""Codes of more vectors than this are not refined."""

FLOAT_DIGITS = 12
"""Digits trusted in inner products of a code that contacts do not pin down."""


@dataclass(frozen=True, eq=False)
class Precise:
    """Inner products to many digits: which pair has which value, and the values in balls."""

    colours: Int
    values: tuple[Any, ...]
    cosine: Any
    digits: float

    @property
    def n(self) -> int:
        return int(self.colours.shape[0])


def precise(
    arrangement: ArrayLike | Arrangement,
    criterion: Criterion = "angle",
    digits: int = 300,
    tolerance: float = TOLERANCE,
) -> Precise | None:
    """Cosines of the core to many digits from its contact equations, or None; numerical.

    The core is the code without its rattlers. The equations are refined whether or not they are
    independent; what they leave open shows as too large a residual, or as values that differ
    within one colour.
    """
    import flint

    whole = as_arrangement(arrangement)
    if whole.n > LARGEST:
        return None
    lines = criterion == "lines"
    graph, touches = contact_structure(whole, None, tolerance, lines)
    if not graph.core or graph.spread * 10.0 > tolerance or graph.gap < tolerance * 10.0:
        return None
    core = whole.directions[:, list(graph.core)]
    axes, scale, _ = np.linalg.svd(core)
    X = axes[:, : int((scale > 1e-6).sum())].T @ core
    held, n = touches[np.ix_(graph.core, graph.core)], X.shape[1]
    bits = int(digits * 3.33) + 32
    model = symmetric(X, held, lines, bits, tolerance) or plain(X, held, lines)
    system = model.equations
    if system.unknowns > 1000:
        return None
    free = system.unknowns - system.rank
    if free > model.rotations:
        return None  # a flexible code has no digits to find
    x, left = system.refine(bits)
    if not left < flint.arb(10) ** (8 - digits):
        return None
    with flint.ctx.workprec(bits + 64):
        if model.reduced is not None:
            rows = [p.entries() for p in model.reduced.points(Box(x, flint.arb(0)))][:n]
        else:
            entries = x.entries()
            rows = [entries[system.part(i)] for i in range(n)]
        table = flint.arb_mat(rows)
        G = (table * table.transpose()).tolist()
        t = x.entries()[-1]
        colours, first = _colours(core.T @ core, tolerance)
        values = tuple(G[i][j] for i, j in first)
        close = flint.arb(10) ** (12 - digits)
        for i, row in enumerate(G):
            if any(not abs(row[j] - values[colours[i, j]]) < close for j in range(i)):
                return None
        return Precise(colours, values, t.mid() + flint.arb(0, close), digits - 12.0)


def rough(whole: Arrangement, tolerance: float) -> Precise:
    """Cosines as they are: means over the pairs of one colour."""
    import flint

    C = whole.directions.T @ whole.directions
    colours, _ = _colours(C, tolerance)
    sums = np.bincount(colours.ravel(), weights=C.ravel()) / np.bincount(colours.ravel())
    values = tuple(flint.arb(float(v)) for v in sums)
    apart = C - 3.0 * np.eye(whole.n)
    return Precise(colours, values, flint.arb(float(apart.max())), FLOAT_DIGITS)


def _colours(C: Float, tolerance: float) -> tuple[Int, list[tuple[int, int]]]:
    """Colours (n, n) of cosines, decreasing, and a pair (i >= j) of each.

    0 stands for 1: on the diagonal, and for repeated vectors.
    """
    n = C.shape[0]
    i, j = np.tril_indices(n, -1)
    values = C[i, j]
    order = np.argsort(-values, kind="stable")
    kind = np.concatenate([[1], 1 + np.cumsum(-np.diff(values[order]) > tolerance)])
    if order.size and values[order[0]] > 1.0 - tolerance:
        kind = kind - 1
    colours = np.zeros((n, n), dtype=np.int64)
    colours[i[order], j[order]] = colours[j[order], i[order]] = kind
    starts = np.flatnonzero(np.diff(kind, prepend=0))  # the first of each kind but 0
    first = [(0, 0), *((int(i[order[s]]), int(j[order[s]])) for s in starts)]
    return colours, first
