"""The rows of `packing table arrangements`: the best code for every n and d.

Every finished cell is kept in the cache at once, so that a table that was interrupted goes on where
it stopped. A cell whose search ended by itself answers for every time budget; one that the clock
stopped answers for that budget only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packing import cache
from packing.cli import plain
from packing.errors import NotReached

if TYPE_CHECKING:
    from packing.judgement import Judgement

COLUMNS = (
    "n",
    "d",
    "min_angle_deg",
    "max_cosine",
    "coherence",
    "energy",
    "name",
    "bound",
    "gap",
    "bound_name",
    "known",
)
DIGITS = {"min_angle_deg": 9, "gap": 3}

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Table:
    """The cells of a table of arrangements.

    Parameters
    ----------
    rows : tuple of dict
        One per cell, by d and then n, with the keys of COLUMNS, ``status`` and ``advice``.
    remembered : int
        Cells that were answered from the cache.
    unfinished : int
        Cells whose search the clock stopped, with or without a result.
    """

    rows: tuple[dict[str, Any], ...]
    remembered: int
    unfinished: int


def arrangements(
    sizes: Sequence[int],
    dimensions: Sequence[int],
    criterion: str = "angle",
    *,
    s: float = 1.0,
    seconds: float = 10.0,
    seed: int = 0,
    keep: bool = True,
    progress: Progress | None = None,
) -> Table:
    """The best arrangement of n points for every n and d, its bound, and how it is known.

    One row per cell: smallest angle, largest cosine, energy, name, best bound, gap, and either
    that it is proved optimal or how often the search found it. Cells are kept in the cache as soon
    as they are finished, so the same command continues a table that was interrupted.

    Parameters
    ----------
    sizes, dimensions : sequences of int
        The n and the d of the table.
    criterion, s, seconds, seed
        As for `packing.search.search`; the time budget is for each cell.
    keep : bool
        Read and write the cache.
    progress : callable, optional
        Called as progress(stage, fraction) with the fraction of the table that is done.

    Raises
    ------
    BadInput
        As `packing.search.search`.
    """
    from packing.search import check_memory, make_criterion

    # The largest cell first: a table must not stop halfway for what was known at its beginning.
    top = max(sizes), max(dimensions)
    check_memory(*top, make_criterion(criterion, *top, s=s).needs()[0])
    cells = [(n, d) for d in sorted(set(dimensions)) for n in sorted(set(sizes))]
    rows, remembered = [], 0
    for done, (n, d) in enumerate(cells):

        def inner(stage: str, fraction: float, done: int = done) -> None:
            if progress is not None:
                progress("cells", (done + min(fraction, 0.99)) / len(cells))

        question = {
            "verb": "cell of a table of arrangements",
            "n": n,
            "d": d,
            "criterion": criterion,
            "s": s if criterion == "riesz" else None,
            "seed": seed,
        }
        kept = _remembered(question, seconds) if keep else None
        remembered += kept is not None
        row = kept or cell(n, d, criterion, s=s, seconds=seconds, seed=seed, progress=inner)
        if keep and kept is None and row["name"] is not None:
            cache.write({**question, "seconds": _budget(row, seconds)}, row)
        rows.append(row)
        inner("", 1.0)
    unfinished = sum(row["status"] == "unfinished" for row in rows)
    return Table(tuple(rows), remembered, unfinished)


def _budget(row: dict[str, Any], seconds: float) -> float | None:
    return seconds if row["status"] == "unfinished" else None


def _remembered(question: dict[str, Any], seconds: float) -> dict[str, Any] | None:
    return cache.read({**question, "seconds": None}) or cache.read({**question, "seconds": seconds})


def cell(
    n: int,
    d: int,
    criterion: str,
    *,
    s: float,
    seconds: float,
    seed: int,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """One row, as values that JSON can hold; without a result where the time was too short."""
    from packing.judgement import judge
    from packing.search import search

    try:
        code = search(n, d, criterion, s=s, seconds=seconds, seed=seed, progress=progress)
    except NotReached as stop:
        empty: dict[str, Any] = dict.fromkeys(COLUMNS)
        empty |= {"n": n, "d": d, "known": f"nothing found in {seconds:g} s"}
        return {**empty, "status": "unfinished", "advice": str(stop)}
    judged = judge(code)
    lines = criterion == "lines"
    values = {
        "n": n,
        "d": d,
        "min_angle_deg": math.degrees(code.min_angle),
        "max_cosine": _clean(code.coherence if lines else code.max_cosine),
        "coherence": _clean(code.coherence),
        "energy": code.energy,
        "name": judged.name,
        "bound": judged.bound.value if judged.bound is not None else None,
        "gap": judged.gap,
        "bound_name": judged.bound.name if judged.bound is not None else None,
        "known": how_known(judged),
        "status": judged.status,
        "advice": judged.advice,
    }
    row: dict[str, Any] = plain(values)
    return row


def _clean(cosine: float) -> float:
    """The cosine, 0 where it is nothing but the rounding of coordinates near 1."""
    return 0.0 if abs(cosine) < 4e-16 else cosine


def how_known(judged: Judgement) -> str:
    """A few words on why the code is thought to be the best."""
    from packing.judgement import OPEN, OPTIMAL

    if judged.verdict == OPTIMAL:
        return judged.verdict
    code = judged.code
    found = f"found {code.reached} of {code.runs} {'time' if code.runs == 1 else 'times'}"
    late = ", time up" if judged.status == "unfinished" else ""
    return found + late if judged.verdict == OPEN else f"{judged.verdict}, {found}{late}"
