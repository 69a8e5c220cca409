"""The integer programme of mixtures, solved exactly.

Blocks a have d_a dimensions, n_a features and a gain g_a, what they save against ignoring their
features. Wanted: whole counts k_a >= 0 with sum k_a d_a <= d, sum k_a n_a <= n and the largest sum
k_a g_a: an unbounded knapsack with two constraints.

Small: dynamic programming over (d, n). Large: the linear relaxation has two blocks (or one and a
slack) in its basis and prices lam per dimension, mu per feature; a whole solution is worth lam d +
mu n less the reduced costs r_a = lam d_a + mu n_a - g_a >= 0 of what is not in the basis. The
cheapest set of such items that leaves a remainder for whole numbers of the basis is found in
`theory.mixtures.group`; only items cheaper than the gap of a known solution can be in it, so the
better the known one (that of a neighbouring S, say), the fewer they are. Should the sets be too
many, the dynamic programme runs over those items. No step is heuristic: the answer is optimal for
the gains given (proved, up to sums of floats).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theory.features import Float
from theory.mixtures.group import Group, Item

CELLS = 200_000
"""Cells (d + 1)(n + 1) up to which the dynamic programme runs at once."""


def solve(
    items: Sequence[Item], d: int, n: int, known: Sequence[int] | None = None
) -> tuple[int, ...]:
    """Counts of the items with the largest total gain that fit in d dimensions and n features.

    Parameters
    ----------
    items : sequence of (d_a, n_a, gain)
        d_a, n_a positive; items without a gain are not used.
    d, n : int
    known : sequence of int, optional
        Counts that fit, to start from: the better they are, the sooner it is done.

    Returns
    -------
    tuple of int
        One count per item. Exact; of several optima one.
    """
    fits = [k for k, (a, b, g) in enumerate(items) if g > 0 and a <= d and b <= n]
    counts = [0] * len(items)
    chosen = [items[k] for k in fits]
    if chosen:
        small = (d + 1) * (n + 1) <= CELLS
        start = None if known is None else [known[k] for k in fits]
        found = _table(chosen, d, n) if small else _large(chosen, d, n, start)
        for k, many in zip(fits, found, strict=True):
            counts[k] = many
    return tuple(counts)


def _table(items: Sequence[Item], d: int, n: int) -> list[int]:
    """Dynamic programming over dimensions, all numbers of features at once."""
    best = np.zeros((d + 1, n + 1))
    for x in range(1, d + 1):
        row = best[x]
        row[:] = best[x - 1]
        for a, b, gain in items:
            if a <= x and b <= n:
                np.maximum(row[b:], best[x - a, : n + 1 - b] + gain, out=row[b:])
    counts = [0] * len(items)
    while d > 0:
        value = best[d, n]
        if value == best[d - 1, n]:
            d -= 1
            continue
        for k, (a, b, gain) in enumerate(items):
            if a <= d and b <= n and best[d - a, n - b] + gain == value:
                counts[k] += 1
                d, n = d - a, n - b
                break
    return counts


def prices(
    items: Sequence[tuple[float, float, float]], d: float, n: float
) -> tuple[float, float, list[int]]:
    """Prices per dimension and per feature of the linear relaxation, and the items of its basis.

    The upper concave envelope of gain per dimension over features per dimension, at n/d. In the
    basis -1 stands for an unused dimension, -2 for an unused feature.
    """
    points = sorted(
        [(0.0, 0.0, -1)] + [(b / a, g / a, k) for k, (a, b, g) in enumerate(items)],
        key=lambda p: (p[0], -p[1]),
    )
    hull: list[tuple[float, float, int]] = []
    for p in points:
        if hull and p[0] == hull[-1][0]:
            continue
        while len(hull) > 1 and _above(hull[-2], hull[-1], p):
            hull.pop()
        hull.append(p)
    at = n / d
    top = max(range(len(hull)), key=lambda i: hull[i][1])
    if at >= hull[top][0]:
        return hull[top][1], 0.0, [hull[top][2], -2]
    right = next(i for i in range(1, top + 1) if hull[i][0] > at)
    p, q = hull[right - 1], hull[right]
    mu = (q[1] - p[1]) / (q[0] - p[0])
    return p[1] - mu * p[0], mu, [p[2], q[2]]


def _above(
    o: tuple[float, float, int], p: tuple[float, float, int], q: tuple[float, float, int]
) -> bool:
    """Whether the line from o to q passes above p."""
    return (p[0] - o[0]) * (q[1] - o[1]) >= (q[0] - o[0]) * (p[1] - o[1])


def _large(items: Sequence[Item], d: int, n: int, start: Sequence[int] | None = None) -> list[int]:
    lam, mu, basis = prices(items, d, n)
    whole = [*items, (0, 1, 0.0), (1, 0, 0.0)]  # at -2 and -1: an unused feature, dimension
    columns = [whole[k] for k in basis]
    cost = [max(0.0, lam * a + mu * b - g) for a, b, g in whole]
    known = _rounded(items, cost, columns, basis, (d, n))
    if start is not None and value(items, start) > value(items, known):
        known = list(start)
    top = value(items, known)
    gap = max(0.0, lam * d + mu * n - top) * (1.0 + 1e-9) + 1e-12 * top
    inside = {k % len(whole) for k in basis}
    free = [k for k in range(len(whole)) if k not in inside and cost[k] <= gap]
    free.sort(key=lambda k: -cost[k])
    group = Group(whole, free, cost, columns, gap)
    found = group.cheapest((d, n))
    if found is not None and min(found[1]) < 0:
        found = group.listed((d, n), (lam, mu))
    if found is not None:
        counts, rest = found
        for k, many in zip(basis, rest, strict=True):
            counts[k] += many
        return counts[: len(items)]
    kept = sorted({k for k in (*free, *inside) if k < len(items)})
    counts = [0] * len(items)
    for k, many in zip(kept, _table([items[k] for k in kept], d, n), strict=True):
        counts[k] = many
    return counts


def _rounded(
    items: Sequence[Item],
    cost: list[float],
    columns: list[Item],
    basis: list[int],
    size: tuple[int, int],
) -> list[int]:
    """A good solution: the relaxation rounded down, what is left filled with cheap items."""
    (a, b, _), (e, f, _) = columns
    d, n = size
    det = a * f - b * e
    counts = [0] * (len(items) + 2)
    back = 2 if min(d, n) > 100 else 0  # room for other blocks
    for k, top in zip(basis, (d * f - n * e, a * n - b * d), strict=True):
        many = max(0, top // det - back)
        counts[k] = many
    counts = counts[: len(items)]
    d -= sum(k * item[0] for k, item in zip(counts, items, strict=True))
    n -= sum(k * item[1] for k, item in zip(counts, items, strict=True))
    n = min(n, max(CELLS // (d + 1) - 1, 0))
    fits = [k for k, item in enumerate(items) if item[0] <= d and item[1] <= n]
    fits = sorted(fits, key=lambda k: cost[k])[:40]
    for k, many in zip(fits, _table([items[k] for k in fits], d, n), strict=True):
        counts[k] += many
    return counts


def value(items: Sequence[Item], counts: Sequence[int] | Float) -> float:
    """Total gain."""
    return float(sum(k * item[2] for k, item in zip(counts, items, strict=True)))
