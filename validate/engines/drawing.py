"""How the compiled engine draws the samples of a run: in which form, from which tables.

The form depends on the run alone: counts of patterns where there are few, gaps where features are
seldom on or on in groups, else every cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from theory.features import Float
from validate.data import Sampler, sampler
from validate.engines.tables import Counting, Tables, counting
from validate.runs import Recipe, Setting

PATTERNS = 1024
"""Most on/off patterns that are counted."""

OFTEN = 0.25
"""Independent features that are on with at least this chance are asked cell by cell."""


@dataclass(frozen=True, eq=False)
class Plan:
    """All that the kernel is told of a run beside its weights.

    Parameters
    ----------
    form : int
        As in `kernels`.
    columns : float
        Columns of a batch, expected.
    draws : float
        Random choices and values of a batch, expected.
    """

    form: int
    columns: float
    draws: float
    starts: NDArray[np.int64]
    members: NDArray[np.int64]
    often: int
    rare: bool
    last: int
    keep: NDArray[np.uint64]
    other: NDArray[np.int64]
    where: NDArray[np.int64]
    accept: NDArray[np.uint64]
    levels: Float


@lru_cache(maxsize=4096)
def plan_of(setting: Setting, recipe: Recipe) -> Plan:
    """How the samples of a run are drawn."""
    law, batch = sampler(setting), recipe.batch
    if law.pattern_count() <= PATTERNS:
        return _patterns(counting(list(law.patterns()), batch), law, batch)
    none = np.zeros(1, np.int64)
    dense = law.size == 1 and float(np.max(law.chance)) >= OFTEN
    tables, last = Tables(), 0
    accept, levels = np.zeros(1, np.uint64), np.zeros(1)
    if dense:
        with np.errstate(divide="ignore"):
            levels = np.concatenate([law.chance, np.where(law.chance > 0, 1.0 / law.chance, 0.0)])
        columns, draws = float(batch), float(batch * law.groups)
    else:
        top = float(np.max(law.chance))
        _, last = tables.geometric(top)
        share = np.minimum(np.floor(law.chance / top * 2.0**64), 2.0**64 - 2.0**11)
        accept = np.where(law.chance >= top, 0.0, share).astype(np.uint64)
        columns, draws = batch * law.active, batch * float(np.sum(law.chance)) * 2.0
    from validate.engines.columns import DENSE, GAPS

    keep, other, where = tables.packed()
    form = DENSE if dense else GAPS
    return Plan(
        form, columns, draws, none, none, 0, False, last, keep, other, where, accept, levels
    )


def _patterns(found: Counting, law: Sampler, batch: int) -> Plan:
    from validate.engines.columns import PATTERNS

    keep, other, where = found.tables.packed()
    count = len(found.starts) - 1
    columns = batch * law.active
    draws = found.often + 2.0 * math.sqrt(columns) + 2.0
    if law.law == "binary":
        columns = min(columns, found.often + 2.0)
    else:
        draws += batch * float(np.sum(law.chance)) * (1.0 if law.single else law.size)
    none = np.zeros(1, np.uint64)
    return Plan(
        PATTERNS,
        columns,
        draws,
        found.starts,
        found.members,
        found.often,
        found.often < count,
        0,
        keep,
        other,
        where,
        none,
        np.zeros(1),
    )


__all__ = ["Plan", "plan_of"]
