"""Rows of `packing table candidates`: the phases that compete at one S.

One row per candidate phase, the cheapest first:
    phase, of (mixture or optimum), loss, share (of the loss of ignoring everything), capacity,
    interference, represented, D_star, max_cosine, margin (what the next phase costs more,
    relative), S, one_minus_S, known

Candidates are, for every block that fits, the best mixture that holds it; the best without each
block of the winner; the best that dedicates, and that ignores, a feature. The winner is the best of
all mixtures (the integer programme is solved exactly), but a mixture of the same blocks in other
numbers may lie between two rows. The row `optimum` is the numerical optimum, which may be irregular
and lower than every mixture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from packing.results import Evidence
from packing.types import Float, Progress
from theory.features import Features, whole
from theory.mixtures.block_table import Block, checked
from theory.mixtures.mixture import Mixture, best_among, fitting, losses
from theory.tables.parts import largest_cosine, summed

COLUMNS = (
    "phase",
    "of",
    "loss",
    "share",
    "capacity",
    "interference",
    "represented",
    "D_star",
    "max_cosine",
    "margin",
    "S",
    "one_minus_S",
    "known",
)
DIGITS = {"share": 6, "D_star": 6, "max_cosine": 6, "margin": 3}

MOST = 12
"""Mixtures in a table unless more are asked for."""

_SAME = 1e-9  # relative: losses this close are one phase's
_FORCED = 40  # blocks that are forced into a mixture: those that lack least of the envelope


def rival_mixtures(n: int, d: int, S: float, law: str, most: int = MOST) -> list[Mixture]:
    """The best mixture and those that compete with it, the cheapest first.

    Parameters
    ----------
    n, d : int
    S : float
        In (0, 1].
    law : {"binary", "uniform"}
    most : int
        At most so many.

    Raises
    ------
    BadInput
        If an argument is out of range or the law has no blocks.
    """
    n, d, most = whole(n, "n"), whole(d, "d"), whole(most, "most")
    S = float(checked(S)[0])
    table = fitting(n, d, law)
    loss = losses(table, np.array([S]), law)[:, 0]
    best = best_among(n, d, S, law, table, loss)
    found = [best]
    if d < n:
        for k in _forced(table, loss, S, law):
            found.append(_with(table[k], n, d, S, law, table, loss, float(loss[k])))
        for name, _ in best.parts:
            kept = [k for k, b in enumerate(table) if b.name != name]
            others = tuple(table[k] for k in kept)
            found.append(best_among(n, d, S, law, others, loss[kept]))
        found.append(_dedicating(n, d, S, law, table, loss))
        found.append(replace(_smaller(n - 1, d, S, law, table, loss, 1), n=n))
    distinct = {(m.parts, m.dedicated, m.ignored): m for m in found}
    return sorted(distinct.values(), key=lambda m: (m.loss, m.ignored))[:most]


def _forced(table: Sequence[Block], loss: Float, S: float, law: str) -> list[int]:
    from theory.mixtures.gaussian_limit import shortfall

    usable = [k for k in range(len(table)) if np.isfinite(loss[k])]
    if len(usable) <= _FORCED:
        return usable
    lacking = shortfall([table[k] for k in usable], loss[usable], S, law)
    return [usable[k] for k in np.argsort(lacking, kind="stable")[:_FORCED]]


def _smaller(
    n: int, d: int, S: float, law: str, table: Sequence[Block], loss: Float, ignored: int = 0
) -> Mixture:
    """The best mixture of n features in d dimensions, either of which may be 0, plus ignored."""
    v = float(Features.of(1, S, law).variance[0])
    if n == 0 or d == 0:
        return Mixture((), 0, n + ignored, n, d, 0, S, (n + ignored) * v, law)
    kept = [k for k, b in enumerate(table) if b.n <= n and b.d <= d]
    found = best_among(n, d, S, law, tuple(table[k] for k in kept), loss[kept])
    return replace(found, ignored=found.ignored + ignored, loss=found.loss + ignored * v)


def _with(
    block: Block,
    n: int,
    d: int,
    S: float,
    law: str,
    table: Sequence[Block],
    loss: Float,
    own: float,
) -> Mixture:
    rest = _smaller(n - block.n, d - block.d, S, law, table, loss)
    counts = dict(rest.parts)
    counts[block.name] = counts.get(block.name, 0) + 1
    size = {b.name: b.n for b in table}
    parts = sorted(counts.items(), key=lambda x: (-size[x[0]], x[0]))
    used, total = rest.d_used + block.d, rest.loss + block.n * own
    return replace(rest, parts=tuple(parts), n=n, d=d, d_used=used, loss=total)


def _dedicating(n: int, d: int, S: float, law: str, table: Sequence[Block], loss: Float) -> Mixture:
    rest = _smaller(n - 1, d - 1, S, law, table, loss)
    return replace(rest, dedicated=rest.dedicated + 1, n=n, d=d, d_used=rest.d_used + 1)


def candidates(
    n: int,
    d: int,
    S: float,
    law: str = "binary",
    *,
    most: int = MOST,
    optimal: bool = True,
    seed: int = 0,
    starts: int | None = None,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Every candidate phase of n features in d dimensions at one S, the cheapest first.

    For each block of the catalogue that fits, the best mixture that holds it, the best mixtures
    without the winner's blocks, and the numerical optimum as a row of its own: loss, capacity,
    interference, features represented, D*, largest cosine, and what the next phase costs more.

    Parameters
    ----------
    n, d : int
    S : float
        Chance that a feature is on, in (0, 1].
    law : {"binary", "uniform", "exponential"}
        The last without exact forms: numerical, small blocks only.
    most : int
        Mixtures listed at most.
    optimal : bool
        Search for the optimum too (`theory.optimum`), with seed and starts.

    Returns
    -------
    list of dict
        With the keys of COLUMNS. Mixtures: exact, rigorous or numerical for blocks kept symmetric,
        so upper bounds on the optimum; the optimum: numerical.

    Raises
    ------
    BadInput
        If an argument is out of range or the law has no blocks.
    """
    rows = [_mixture_row(m) for m in rival_mixtures(n, d, S, law, most)]
    if optimal:
        rows.append(optimum_row(n, d, S, law, seed, starts, progress))
    rows.sort(key=lambda row: float(row["loss"]))
    total = n * float(Features.of(1, S, law).variance[0])
    for i, row in enumerate(rows):
        if total == 0.0:  # inputs are constant: any norms with the right biases lose nothing
            row |= dict.fromkeys(("capacity", "interference", "D_star", "max_cosine"))
        following = [x["loss"] for x in rows[i + 1 :] if x["loss"] > row["loss"] * (1.0 + _SAME)]
        row["margin"] = following[0] / row["loss"] - 1.0 if following and row["loss"] > 0 else None
        row["share"] = row["loss"] / total if total > 0 else None
    return rows


def _mixture_row(m: Mixture) -> dict[str, Any]:
    known = summed(m)
    return {
        "phase": m.name,
        "of": "mixture",
        "loss": known.loss,
        "share": None,
        "capacity": known.capacity,
        "interference": known.loss - known.capacity,
        "represented": m.represented,
        "D_star": known.D_star,
        "max_cosine": known.max_cosine,
        "margin": None,
        "S": m.S,
        "one_minus_S": m.one_minus_S,
        "known": known.known,
    }


def optimum_row(
    n: int,
    d: int,
    S: float,
    law: str,
    seed: int,
    starts: int | None,
    progress: Progress | None,
) -> dict[str, Any]:
    from theory.optima import optimum

    found = optimum(Features.of(n, S, law), d, seed=seed, starts=starts, progress=progress)
    D_star = found.D_star
    exact = found.evidence is Evidence.PROVED
    return {
        "phase": found.name,
        "of": "optimum",
        "loss": found.loss.total,
        "share": None,
        "capacity": found.loss.capacity,
        "interference": found.loss.interference,
        "represented": found.represented,
        "D_star": D_star if np.isfinite(D_star) else None,
        "max_cosine": largest_cosine(found.W),
        "margin": None,
        "S": S,
        "one_minus_S": 1.0 - S,
        "known": "proved" if exact else "numerical",
    }
