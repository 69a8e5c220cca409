"""The best mixture of blocks for features of different importance.

A block with one norm and one bias costs (sum of the importance of its features) l_a(S), at the same
norm and bias whatever the importance. Against ignoring everything a mixture gains

    sum over blocks (v - l_a) * (importance of the features in it),

a sum over slots of (gain per feature of the slot's block) times (importance of what is put there).
By the rearrangement inequality it is largest when both are sorted the same way. So with importance
falling, blocks in the order of falling gain per feature take runs of features one after the other,
ignored features come last, and a run from i to j weighs P_j - P_i, P the sums of importance. What
is left is which blocks: dynamic programming over (dimensions used, features placed), block by block
in that order, each used any number of times, is exact (proved; tests try every assignment).

Kept symmetric, a block cannot favour its more important features: an upper bound on what its
features cost together, as everything made of blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from packing.errors import BadInput
from theory.features import Features, Float

CELLS = 30_000_000
"""Cells (d + 1)(n + 1) up to which the dynamic programme is run."""


def weights_of(importance: Sequence[float] | Float | None, n: int) -> tuple[float, ...] | None:
    """Importance as n numbers >= 0, or None; BadInput as `theory.features.Features` gives it."""
    if importance is None:
        return None
    return tuple(Features.of(n, 0.5, "binary", importance).importance.tolist())


def assign(
    sizes: Sequence[tuple[int, int]], gains: Sequence[float], d: int, importance: Sequence[float]
) -> list[tuple[int, tuple[int, ...]]]:
    """The blocks that gain most, and the features of each.

    Parameters
    ----------
    sizes : sequence of (d_a, n_a)
    gains : sequence of float
        Per feature of importance 1: v - l_a. Blocks without a gain are not used.
    d : int
    importance : (n,) sequence

    Returns
    -------
    list of (index of the block, features)
        Best first; features not listed are ignored. Exact for the gains given.

    Raises
    ------
    BadInput
        If (d + 1)(n + 1) is beyond CELLS.
    """
    n = len(importance)
    if (d + 1) * (n + 1) > CELLS:
        raise BadInput(
            f"n = {n} and d = {d} are too many for features of different importance: "
            f"(d + 1)(n + 1) may be {CELLS} at most"
        )
    order = sorted(range(n), key=lambda i: -importance[i])
    total = np.concatenate([[0.0], np.cumsum([importance[i] for i in order])])
    usable = [k for k, g in enumerate(gains) if np.isfinite(g) and g > 0.0]
    usable = [k for k in usable if sizes[k][0] <= d and sizes[k][1] <= n]
    usable.sort(key=lambda k: (-gains[k], -sizes[k][1]))
    best = np.zeros((d + 1, n + 1))  # exactly k features placed, at most x dimensions used
    best[:, 1:] = -np.inf
    taken: list[np.ndarray] = []
    for k in usable:
        a, m = sizes[k]
        run = gains[k] * (total[m:] - total[:-m])
        used = np.zeros((d + 1, n + 1), dtype=bool)
        for x in range(a, d + 1):
            there = best[x - a, :-m] + run
            better = there > best[x, m:]
            used[x, m:] = better
            best[x, m:] = np.where(better, there, best[x, m:])
        taken.append(np.packbits(used, axis=1))
    x, k = d, int(np.argmax(best[d]))
    found = []
    for block, bits in zip(reversed(usable), reversed(taken), strict=True):
        a, m = sizes[block]
        while bits[x, k // 8] >> (7 - k % 8) & 1:
            found.append((block, tuple(sorted(order[k - m : k]))))
            x, k = x - a, k - m
    return list(reversed(found))


def weighted_loss(
    runs: Sequence[tuple[int, float]], v: float, importance: Sequence[float]
) -> float:
    """What blocks of n_a features at losses l_a cost when they are filled in the best order."""
    falling = sorted(importance, reverse=True)
    at, cost = 0, 0.0
    for m, loss in sorted(runs, key=lambda run: run[1]):
        cost += loss * sum(falling[at : at + m])
        at += m
    return cost + v * sum(falling[at:])
