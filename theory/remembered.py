"""Numerical ladders that the command line has computed before, from the cache.

`packing critical` keeps its answers; the same question is asked here, and answered by a search only
where that is wanted, since a ladder takes seconds to minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packing import cache
from packing.errors import BadInput, NotReached
from theory.features import Features
from theory.minima import Progress

if TYPE_CHECKING:
    from theory.phases import Ladder

S_MIN = 1e-4
"""Where `packing critical` ends its ladders unless told otherwise."""

MOST = 1000
"""Features beyond which no ladder of optima is asked for: a search has no chance there."""


def question(n: int, d: int, law: str) -> dict[str, Any]:
    """What `packing critical -n N -d D --law LAW` asks the cache."""
    return {
        "verb": "ladder",
        "n": n,
        "d": d,
        "law": law,
        "importance": [1.0] * n,
        "bias": True,
        "relu": True,
        "S_min": S_MIN,
        "seed": 0,
        "starts": None,
    }


def numerical_ladder(
    n: int,
    d: int,
    law: str,
    *,
    search: bool = False,
    keep: bool = True,
    progress: Progress | None = None,
) -> Ladder | None:
    """The ladder of true optima, equal importance with biases and ReLU, or None where unknown.

    Parameters
    ----------
    n, d : int
    law : str
    search : bool
        Compute it where the cache has none.
    keep : bool
        Read and write the cache.

    Returns
    -------
    Ladder or None
        Numerical.

    Raises
    ------
    BadInput
        If a search is wanted for more than MOST features.
    """
    if n > MOST:
        if search:
            raise BadInput(
                f"n = {n}: true optima are searched for up to {MOST} features; leave --optimum out"
            )
        return None
    asked = question(n, d, law)
    kept = cache.read(asked) if keep else None
    if kept is not None and "ladder" in kept:
        found: Ladder = cache.decode(kept["ladder"])
        return found
    if not search and d < n:  # for d >= n it is known without a search
        return None
    from theory.phases import ladder

    try:
        found = ladder(n, d, law=law, S_min=S_MIN, progress=progress)
    except NotReached:
        return None
    if keep and found.status in ("complete", "exact"):
        _keep(asked, found)
    return found


def _keep(asked: dict[str, Any], found: Ladder) -> None:
    """As `packing critical` keeps it: its own answer, and the ladder to draw."""
    from packing.cli import plain
    from theory.answers import ladder_values

    values = {
        "n": found.n,
        "d": found.d,
        **ladder_values(found, S_MIN, None),
        "law": asked["law"],
        "bias": True,
        "relu": True,
        "importance": Features.of(found.n, 0.5, asked["law"]).importance,
    }
    cache.write(asked, {"values": plain(values), "ladder": cache.encode(found)})
