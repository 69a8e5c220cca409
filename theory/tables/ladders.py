"""Rows of `packing table phases`: the ladder of best mixtures beside that of true optima.

One row per phase, S falling within each ladder:
    ladder (mixtures or optimum), phase, S_high and S_low (where it is best) with their complements,
    represented, irregular (no name of the catalogue fits), saves (optimum: by which share it costs
    less than the best mixture, at most, inside its interval), known (of the change at S_low)

The ladder of optima is numerical and takes a search, so it is shown where the cache has it or where
it is asked for. Where an optimum is irregular, or saves anything, no mixture of the catalogue is
the optimum there: a mixture's loss is an upper bound.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from packing.results import Evidence
from packing.types import Progress
from theory.ladders import S_MIN, Ladder, numerical_ladder
from theory.mixtures import MixtureLadder, mixture_ladder
from theory.mixtures.mixture import best_among, fitting, losses
from theory.tables.programme import Certainty

COLUMNS = (
    "ladder",
    "phase",
    "S_high",
    "S_low",
    "one_minus_S_high",
    "one_minus_S_low",
    "represented",
    "irregular",
    "saves",
    "known",
)
DIGITS = {"saves": 3}

_SAMPLES = 9  # S inside a phase at which its loss is compared with the best mixture
_NOISE = 1e-7  # relative: less is rounding and no saving


def phases(
    n: int,
    d: int,
    law: str = "binary",
    *,
    optimal: bool = False,
    keep: bool = True,
    exact: bool = False,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """The phases of n features in d dimensions as S falls: best mixtures, and true optima.

    Best mixtures of catalogue blocks come at any size; the true optima are shown where they are
    known from `packing critical`, or searched for with --optimum. Irregular optima are named so,
    with the share that they save against the best mixture.

    Parameters
    ----------
    n, d : int
    law : {"binary", "uniform", "exponential"}
        The last without exact forms: numerical, small blocks only.
    optimal : bool
        Search for the ladder of optima where the cache has none.
    keep : bool
        Read and write the cache.
    exact : bool
        Enclose every change of mixtures that has formulas, which may take minutes; otherwise only
        where few small blocks change, for a few seconds.

    Returns
    -------
    list of dict
        With the keys of COLUMNS.

    Raises
    ------
    BadInput
        If an argument is out of range or the law has no blocks.
    """
    mixed = mixture_ladder(n, d, law, S_min=S_MIN, progress=progress)
    rows = mixture_rows(mixed, exact=exact, progress=progress)
    found = numerical_ladder(n, d, law, search=optimal, keep=keep, progress=progress)
    return rows + (optimum_rows(found, law) if found is not None else [])


def mixture_rows(
    ladder: MixtureLadder, *, exact: bool = False, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """One row per phase of a ladder of mixtures; how its changes are known, all where ``exact``."""
    certain = Certainty(exact)
    edges = [1.0, *(rung.S for rung in ladder.rungs), ladder.S_min]
    rows = []
    for i, phase in enumerate(ladder.phases):
        known = "proved" if ladder.d >= ladder.n else "numerical"
        if i < len(ladder.rungs):
            if progress is not None:
                progress("enclosures", i / len(ladder.rungs))
            rung = ladder.rungs[i]
            known = certain.of(rung.sparser, rung.denser, rung.S)
        rows.append(_row("mixtures", phase.name, edges[i], edges[i + 1], phase.represented, known))
    return rows


def optimum_rows(ladder: Ladder, law: str) -> list[dict[str, Any]]:
    """One row per phase of a numerical ladder, with what it saves against the best mixture."""
    edges = [1.0, *(rung.S for rung in ladder.rungs), ladder.S_min]
    rows = []
    for branch, high, low in zip(ladder.branches, edges[:-1], edges[1:], strict=True):
        inside = np.flatnonzero((low <= branch.S) & (high >= branch.S))
        count = int(branch.represented[inside[len(inside) // 2]]) if inside.size else 0
        known = "exact" if ladder.evidence is Evidence.PROVED else "numerical"
        row = _row("optimum", branch.name, high, low, count, known)
        row["irregular"] = "irregular" in branch.name
        row["saves"] = _saving(ladder, law, branch.S[inside], branch.loss[inside])
        rows.append(row)
    return rows


def _saving(ladder: Ladder, law: str, S: np.ndarray, loss: np.ndarray) -> float | None:
    """The largest share by which a branch costs less than the best mixture; 0 where it does not."""
    if law not in ("binary", "uniform"):
        return None
    S, loss = S[S < 1.0], loss[S < 1.0]
    step = max(1, S.size // _SAMPLES)
    S, loss = S[::step], loss[::step]
    table = fitting(ladder.n, ladder.d, law)
    known = losses(table, S, law)
    most = 0.0
    for i, (s, least) in enumerate(zip(S.tolist(), loss.tolist(), strict=True)):
        mixed = best_among(ladder.n, ladder.d, s, law, table, known[:, i]).loss
        if mixed > 0.0:
            most = max(most, 1.0 - least / mixed)
    return most if most > _NOISE else 0.0


def _row(
    ladder: str, phase: str, high: float, low: float, represented: int, known: str
) -> dict[str, Any]:
    return {
        "ladder": ladder,
        "phase": phase,
        "S_high": high,
        "S_low": low,
        "one_minus_S_high": 1.0 - high,
        "one_minus_S_low": 1.0 - low,
        "represented": represented,
        "irregular": False,
        "saves": None,
        "known": known,
    }
