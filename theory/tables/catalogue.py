"""Rows of `packing table blocks` and `packing table surplus`: the catalogue against S.

blocks_at(S, law)     one row per S and block, the largest gain first
    S, one_minus_S, rank, name, d, n, cosines (with the other features), gain (per dimension: what
    the block saves against ignoring its features), share (of the largest gain at that S), known
transitions(law)      one row per change of the best block for features in surplus, S falling

With features in surplus the best block is the one of largest gain per dimension (docs/theory.md).
"Best known": over the catalogue's blocks, kept symmetric.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from packing import cache
from packing.cli.app import plain
from packing.errors import BadInput, NotReached
from theory.features import Features
from theory.mixtures import blocks, gains
from theory.mixtures.block_table import checked
from theory.tables.parts import ENCLOSED, part

COLUMNS = (
    "S",
    "one_minus_S",
    "rank",
    "name",
    "d",
    "n",
    "cosines",
    "gain",
    "share",
    "known",
)
DIGITS = {"share": 6}

DEFAULT_S = (0.3, 0.1, 0.03, 0.01)
MOST = 15


def blocks_at(
    S: Sequence[float] = DEFAULT_S, law: str = "binary", *, most: int | None = MOST
) -> list[dict[str, Any]]:
    """The catalogue by gain per dimension at several S.

    The gain is what a block saves against ignoring its features, divided by its dimensions; with
    features in surplus the block of largest gain is best.

    Parameters
    ----------
    S : sequence of float
        Chances that a feature is on, in (0, 1].
    law : {"binary", "uniform"}
    most : int or None
        Blocks listed at each S; None for all.

    Returns
    -------
    list of dict
        With the keys of COLUMNS; exact (binary) or rigorous (uniform) for small blocks.

    Raises
    ------
    BadInput
        If S is no probability or the law has no blocks.
    """
    values = checked(list(S))
    with np.errstate(invalid="ignore"):  # at S = 1 binary inputs never vary
        found = gains(values, law)
    table = {b.name: b for b in blocks(law)}
    rows = []
    for i, s in enumerate(values.tolist()):
        column = {name: float(gain[i]) for name, gain in found.items() if np.isfinite(gain[i])}
        order = sorted(column, key=lambda name: -column[name])
        top: float | None = None
        for rank, name in enumerate(order[:most], 1):
            block = table.get(name)
            gain, known = column[name], "proved"
            if block is not None:
                gain, known = _certain(name, s, law, gain)
            top = gain if top is None else top
            rows.append(
                {
                    "S": s,
                    "one_minus_S": 1.0 - s,
                    "rank": rank,
                    "name": name,
                    "d": block.d if block else 1,
                    "n": block.n if block else 1,
                    "cosines": cosines(name) if block else None,
                    "gain": gain,
                    "share": gain / top if top > 0 else None,
                    "known": known,
                }
            )
    return rows


def _certain(name: str, S: float, law: str, gain: float) -> tuple[float, str]:
    """The gain from an exact or enclosed loss where that is quick, else as it is: numerical."""
    block = next(b for b in blocks(law) if b.name == name)
    if not block.row or block.n > ENCLOSED[law] or S == 1.0:
        return gain, "numerical"
    try:
        one = part(name, S, law)
    except (BadInput, NotReached):
        return gain, "numerical"
    v = float(Features.of(1, S, law).variance[0])
    return (block.n * v - one.loss) / block.d, one.known


def cosines(name: str) -> str | None:
    """The row of cosines with the other features as text: ``-1/2 (2)``; None for unequal pairs."""
    from packing.catalogue import entry

    try:
        rows = entry(name).rows
    except BadInput:
        return None
    return ", ".join(f"{cosine.text} ({many})" for cosine, many in rows[0][1])


def transitions(
    law: str = "binary",
    *,
    seconds: float = 10.0,
    keep: bool = True,
    progress: Callable[..., None] | None = None,
) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    """Where the best block for features in surplus changes as S falls, each S enclosed.

    Every S is the root of a polynomial (exact) or proved to lie in an interval (rigorous); that no
    block is missing, and that no other is better between, is numerical. Large blocks take seconds
    each, so the answer is kept in the cache.

    Parameters
    ----------
    law : {"binary", "uniform"}
    seconds : float
        Processor time for each transition of large blocks, about; what is fixed by then is shown.
    keep : bool
        Read and write the cache.

    Returns
    -------
    columns : tuple of str
    rows : list of dict

    Raises
    ------
    BadInput
        If the law has no blocks.
    """
    if law not in ("binary", "uniform"):
        raise BadInput(f"law = {law!r}: blocks are made for binary and uniform")
    question = {"verb": "table of surplus", "law": law, "seconds": seconds}
    kept = cache.read(question) if keep else None
    if kept is None:
        from theory.mixtures.surplus_sequence import transition_rows

        done = 0

        def told(line: str) -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress("transitions", done / (done + 6.0), line)

        if progress is not None:
            progress("transitions", 0.0, "looking for them")
        rows = plain(
            [_with_complement(x) for x in transition_rows(law, seconds=seconds, progress=told)]
        )
        if keep:
            cache.write(question, {"rows": rows})
    else:
        rows = kept["rows"]
    columns = tuple(rows[0]) if rows else ("denser", "sparser", "S", "one_minus_S", "known")
    return columns, rows


def _with_complement(row: dict[str, Any]) -> dict[str, Any]:
    """The row with 1 - S beside S, and how it is known, where they are not there yet."""
    out: dict[str, Any] = {}
    for key, value in row.items():
        out[key] = value
        if key == "S" and "one_minus_S" not in row:
            out["one_minus_S"] = None if value is None else 1.0 - float(value)
    out.setdefault("known", "numerical")
    return out
