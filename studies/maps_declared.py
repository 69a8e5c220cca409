"""The [[map]] of a suite: a plane of settings over the importance of the last feature and S.

name, n, d, law        (2, 1) or (3, 2), uniform values: what the literature has prototypes for
importance, S          axes { from, to, cells }, even in the logarithm, ends included
runs, seed, recipe     models of each cell, as in a [[cell]]
within, tie, near      when a cell agrees (`validate.cells.Map`), and their reason
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from packing.errors import BadInput
from validate.cells import Map, count, known, positive, text

SIZES = ((2, 1), (3, 2))
"""(n, d) for which the literature has prototypes."""

LAW = "uniform"
"""The law of the literature's prototypes and phase diagrams."""

MOST = 200
"""Cells along an axis."""

LEAST = 1e-6
"""Least value of an axis, and one over the largest: beyond, a search cannot tell losses apart."""

_KEYS = {
    *("name", "n", "d", "law", "importance", "S", "runs", "seed", "recipe"),
    *("within", "tie", "near", "reason"),
}


def map_of(x: Mapping[str, Any]) -> tuple[Map, list[dict[str, Any]]]:
    """A map, and what tells each of its cells from the others.

    Parameters
    ----------
    x : mapping
        A [[map]] of a suite's file.

    Returns
    -------
    plan : Map
    places : list of dict
        ``name``, ``S``, ``law`` and ``importance`` of each cell; ratio after ratio, S rising.

    Raises
    ------
    BadInput
        If a key is unknown or a value cannot be.
    """
    name = text(x, "name", "a map")
    where = f"map {name!r}"
    known(x, _KEYS, where)
    n, d = count(x, "n", where), count(x, "d", where)
    if (n, d) not in SIZES:
        sizes = " or ".join(map(str, SIZES))
        raise BadInput(f"{where}: n = {n}, d = {d}: prototypes are known for {sizes}")
    law = x.get("law", LAW)
    if law != LAW:
        raise BadInput(f"{where}: law = {law!r}: the prototypes are of {LAW} values; give {LAW}")
    ratio, S = _axis(x, "importance", where), _axis(x, "S", where)
    if S[-1] > 1.0:
        raise BadInput(f"{where}: S goes up to {S[-1]:g}: it is a chance, give at most 1")
    plan = Map(
        name=name,
        n=n,
        d=d,
        law=law,
        ratio=ratio,
        S=S,
        runs=count(x, "runs", where),
        within=_part(x, "within", where),
        tie=_part(x, "tie", where),
        near=count(x, "near", where),
        reason=text(x, "reason", where),
    )
    places = [
        {
            "name": f"{name}, r = {r:.4g}, S = {s:.4g}",
            "law": law,
            "importance": [1.0] * (n - 1) + [r],
            "S": s,
        }
        for r in ratio
        for s in S
    ]
    return plan, places


def _axis(x: Mapping[str, Any], key: str, where: str) -> tuple[float, ...]:
    """Values of an axis, even in the logarithm."""
    given = x.get(key)
    if not isinstance(given, dict):
        raise BadInput(f"{where}: give {key}, as in {key} = {{ from = 0.1, to = 1.0, cells = 32 }}")
    inside = f"{key} of {where}"
    known(given, {"from", "to", "cells"}, inside)
    low, high = positive(given, "from", inside), positive(given, "to", inside)
    if low < LEAST or high > 1.0 / LEAST:
        raise BadInput(
            f"{inside} goes from {low:g} to {high:g}: give ends from {LEAST:g} to {1.0 / LEAST:g}"
        )
    cells = count(given, "cells", inside, 2)
    if not low < high:
        raise BadInput(f"{inside} goes from {low:g} to {high:g}: give rising ends")
    if cells > MOST:
        raise BadInput(f"{inside}: cells = {cells}: give at most {MOST}")
    values = np.geomspace(low, high, cells)
    values[0], values[-1] = low, high
    return tuple(values.tolist())


def _part(x: Mapping[str, Any], key: str, where: str) -> float:
    value = positive(x, key, where)
    if value >= 1.0:
        raise BadInput(f"{where}: {key} = {value:g}: give a part of the loss, below 1")
    return value


__all__ = ["LAW", "SIZES", "map_of"]
