"""Rows of `packing table critical`: S* and S_onset of the best mixture, for many n, d and laws.

Columns: law, n, d; S_star and S_onset with their complements; sparser and denser, the mixtures just
below and above S*; known, how S* is known, and known_onset; optimum_S_star, what a numerical ladder
says where there is one. For d >= n every feature has a dimension of its own and S* is 1 (exact).

All n and d share one dynamic programme per S over the blocks that fit, vectorised over S. Between
two S of the grid where the number represented crosses its threshold the crossing of the two
mixtures is located, all cells at once, and the programme asked again there with the blocks that
came close. A crossing is exact where the formulas of both mixtures meet in a root of a polynomial,
rigorous where it is enclosed by interval arithmetic. Either way it is a crossing of mixtures: the
true optimum may keep or lose all features at larger or smaller S, so a mixture's S* bounds nothing
by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from packing.errors import BadInput
from packing.types import Progress
from theory.features import whole
from theory.mixtures import Mixture, mixture_losses
from theory.mixtures.block_table import blocks
from theory.mixtures.ladder import only_noise
from theory.tables.programme import Certainty, Programme, crossings

COLUMNS = (
    "law",
    "n",
    "d",
    "S_star",
    "one_minus_S_star",
    "S_onset",
    "one_minus_S_onset",
    "sparser",
    "denser",
    "known",
    "known_onset",
    "optimum_S_star",
    "optimum_one_minus_S_star",
)
DIGITS = {name: 8 for name in COLUMNS if "S" in name}

_TOP = {"binary": 0.995, "uniform": 1.0}  # at S = 1 binary inputs are constant: all phases tie
_LEVELS = 8
_CLOSE = 0.03
_ROUGH = 0.05  # what rough losses may be wrong by
MOST = (400, 40)
"""Largest n and d of the shared programme; beyond, `mixture_ladder` answers cell by cell."""

Counts = tuple[int, ...]


@dataclass(frozen=True)
class Threshold:
    """The largest S0 below which at least so many features are represented, by the best mixture.

    Parameters
    ----------
    S : float or None
        1 if they always are, None if they are not at S_min.
    sparser, denser : Mixture or None
        Best just below and just above S.
    known : {"proved", "enclosed", "numerical"}
    """

    S: float | None
    sparser: Mixture | None
    denser: Mixture | None
    known: str


def critical(
    sizes: Sequence[int],
    dimensions: Sequence[int],
    laws: Sequence[str] = ("binary", "uniform"),
    *,
    S_min: float = 1e-3,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """S* and S_onset of the best mixture of blocks for every n and d, and how they are known.

    S* is the largest S below which the best mixture of catalogue blocks ignores no feature; S_onset
    the same for more than d features. The true optimum may be irregular and lower than any mixture,
    so a mixture's S* bounds nothing by itself: the column of the optimum says where one is known.

    Parameters
    ----------
    sizes, dimensions : sequences of int
        The n and the d of the table.
    laws : sequence of {"binary", "uniform"}
    S_min : float
        Nothing is looked for below, in (0, 0.05].

    Returns
    -------
    list of dict
        By law, d and n, with the keys of COLUMNS; those of the optimum are left None.

    Raises
    ------
    BadInput
        If a size is no positive whole number, beyond MOST, a law has no blocks, or S_min is out of
        range.
    """
    if not 0.0 < S_min <= 0.05:
        raise BadInput(f"S-min = {S_min:g} is out of range: give a number in (0, 0.05]")
    sizes = sorted({whole(n, "n") for n in sizes})
    dimensions = sorted({whole(d, "d") for d in dimensions})
    cells = [(n, d) for d in dimensions for n in sizes]
    large = max((n for n, d in cells if d < n), default=1)
    deep = max((d for n, d in cells if d < n), default=1)
    if large > MOST[0] or deep > MOST[1]:
        raise BadInput(
            f"n = {large}, d = {deep}: this table ends at n = {MOST[0]}, d = {MOST[1]}; "
            "`packing table phases` has the ladder of one n and d of any size"
        )
    rows = []
    for k, law in enumerate(laws):

        def report(fraction: float, k: int = k, law: str = law) -> None:
            if progress is not None:
                progress(law, (k + fraction) / len(laws))

        report(0.0)
        open_ = [(n, d) for n, d in cells if d < n]
        found = _thresholds(open_, law, S_min, report) if open_ else {}
        for n, d in cells:
            free = Threshold(1.0, None, None, "proved")
            onset = free if n > d else Threshold(None, None, None, "proved")
            star, onset = found.get((n, d), (free, onset))
            rows.append(_row(law, n, d, star, onset))
    return rows


def _row(law: str, n: int, d: int, star: Threshold, onset: Threshold) -> dict[str, Any]:
    def off(S: float | None) -> float | None:
        return None if S is None else 1.0 - S

    dedicated = f"{n} dedicated" if d >= n else None
    return {
        "law": law,
        "n": n,
        "d": d,
        "S_star": star.S,
        "one_minus_S_star": off(star.S),
        "S_onset": onset.S,
        "one_minus_S_onset": off(onset.S),
        "sparser": star.sparser.name if star.sparser else dedicated,
        "denser": star.denser.name if star.denser else dedicated,
        "known": star.known,
        "known_onset": onset.known,
        "optimum_S_star": None,
        "optimum_one_minus_S_star": None,
    }


def _thresholds(
    cells: Sequence[tuple[int, int]], law: str, S_min: float, report: Callable[[float], None]
) -> dict[tuple[int, int], tuple[Threshold, Threshold]]:
    n, d = max(n for n, _ in cells), max(d for _, d in cells)
    fitting = [b for b in blocks(law) if b.n <= n and b.d <= d]
    table = tuple(sorted(fitting, key=lambda b: -b.n))
    grid = np.concatenate([np.geomspace(S_min, 0.1, 24), np.linspace(0.1, _TOP[law], 31)[1:]])
    close = Programme.of(table, grid, law, n, d, rough=True).close(cells, _CLOSE + _ROUGH)
    report(0.1)
    coarse = Programme.of(close, grid, law, n, d)
    report(0.5)
    kept: dict[tuple[int, int, int], Threshold] = {}
    pending: dict[tuple[int, int, int], tuple[Mixture, Mixture]] = {}
    for n_, d_ in cells:
        mixtures = [coarse.best(n_, d_, i) for i in range(grid.size)]
        for count in (n_, d_ + 1):
            short = [i for i, m in enumerate(mixtures) if m.represented < count]
            if not short:
                kept[n_, d_, count] = Threshold(1.0, mixtures[-1], mixtures[-1], "numerical")
            elif short[0] == 0:
                kept[n_, d_, count] = Threshold(None, mixtures[0], mixtures[0], "numerical")
            else:
                pending[n_, d_, count] = mixtures[short[0] - 1], mixtures[short[0]]
    close = coarse.close(cells, _CLOSE) if pending else ()
    for level in range(_LEVELS):
        if not pending:
            break
        report(0.6 + 0.1 * min(level, 2))
        crossed = crossings(list(pending.values()), coarse)
        at = np.unique(crossed)
        programme = Programme.of(close, at, law, n, d)
        following = {}
        for (cell, (a, b)), S in zip(pending.items(), crossed, strict=True):
            third = programme.best(cell[0], cell[1], int(np.searchsorted(at, S)))
            cost = mixture_losses(a, np.array([S]))[0] if third.parts != a.parts else third.loss
            if level < _LEVELS - 1 and third.loss < cost * (1.0 - 1e-9):
                following[cell] = (third, b) if third.represented >= cell[2] else (a, third)
            else:
                kept[cell] = Threshold(float(S), a, b, "numerical")
        pending = following
    report(0.8)
    certain = Certainty()
    for cell, one in kept.items():
        if one.S is not None and one.S < 1.0:
            assert one.sparser is not None and one.denser is not None
            if only_noise(one.sparser, one.denser, one.S):
                kept[cell] = Threshold(1.0, one.sparser, one.sparser, "numerical")
                continue
            known = certain.of(one.sparser, one.denser, one.S)
            kept[cell] = Threshold(one.S, one.sparser, one.denser, known)
    return {(a, b): (kept[a, b, a], kept[a, b, b + 1]) for a, b in cells}
