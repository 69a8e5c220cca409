"""The best mixture of blocks: an integer programme, for equal importance and for unequal.

Blocks a have d_a dimensions, n_a features and a gain g_a, what they save against ignoring their
features. Wanted: whole counts k_a >= 0 with sum k_a d_a <= d, sum k_a n_a <= n and the largest sum
k_a g_a, an unbounded knapsack with two constraints.

Small: dynamic programming over (d, n). Large: the linear relaxation has two blocks (or one and a
slack) in its basis and prices lam per dimension, mu per feature; a whole solution is worth lam d +
mu n less the reduced costs r_a = lam d_a + mu n_a - g_a >= 0 of what is not in the basis. Which
sets of those leave a remainder that the basis fills with whole numbers, negative ones allowed,
depends only on residues modulo the lattice of the basis, so the cheapest is a shortest path in a
finite group (Gomory's group relaxation). Where its numbers are negative, sets are listed best
first: what a set must still lose is at least what the group says of its remainder, and what the
relaxation says of it, whose prices are those of any edge of the envelope. Only items cheaper than
the gap of a known solution can be in it, so the better the known one (that of a neighbouring S,
say), the fewer they are. Should the sets be too many, the dynamic programme runs over those items.
No step is heuristic: the answer is optimal for the gains given (proved, up to sums of floats).

`scipy.optimize.milp` finds the same optima (56 of 56 programmes tried) in a tenth of the lines, and
was left out: it takes six times as long, stops within 1e-6 of the optimum, which is too coarse
unless gains are scaled by 1e5, and prints lines of debugging on standard output when they are.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from packing.errors import BadInput
from packing.results import Evidence, Result, Table
from packing.types import Float, Int
from theory.features import Features, law_named, whole
from theory.mixtures.block_table import Block, blocks, checked, variance

LABELS = 20_000
"""Sets of items that are looked at before the dynamic programme is asked instead."""

Item = tuple[int, int, float]
"""Dimensions, features, gain."""

Found = tuple[list[int], list[int]]
"""Counts of all items, and of the two in the basis (to be added)."""


class Group:
    """Z^2 modulo the lattice of two items, and the least cost of reaching each place.

    Parameters
    ----------
    items : sequence of (d_a, n_a, gain)
        With unused features and dimensions.
    order : sequence of int
        Items outside the basis that may be used. Sets are listed from its end, against what those
        before can do: with the cheapest last few sets are looked at.
    cost : sequence of float
        Reduced costs of all items.
    columns : two items
        The basis.
    gap : float
        Sets that cost more are not wanted: `rows` is infinite or beyond it for those.
    """

    def __init__(
        self,
        items: Sequence[Item],
        order: Sequence[int],
        cost: Sequence[float],
        columns: Sequence[Item],
        gap: float,
    ) -> None:
        (a, b, _), (e, f, _) = columns
        self.items, self.order, self.cost, self.gap = items, order, cost, gap
        self.columns, self.det = columns, a * f - b * e
        size = abs(self.det)
        self.g, p, q = _bezout(a, e)
        self.h, self.last = p * b + q * f, size // self.g  # the lattice: (g, h) and (0, last)
        self.all = np.divmod(np.arange(size), self.last)
        least = np.full(size, np.inf)
        least[0] = 0.0
        self.rows = np.empty((len(order) + 1, size))  # with none of the items, one, two, ...
        self.rows[0] = least
        self.taken: list[tuple[int, int, np.ndarray]] = []
        # an item may be used up to gap / cost times: in steps of 1, 2, 4, ..., each taken or not
        for i, k in enumerate(order):
            most = size if cost[k] <= gap / size else int(gap / cost[k])
            uses = 1
            while uses <= most:
                x, y = uses * items[k][0], uses * items[k][1]
                there = self._shifted(least, x, y) + uses * cost[k]
                better = there < least
                if not np.any(better & (there <= gap)):
                    break  # then more uses are no better either
                least = np.where(better, there, least)
                self.taken.append((k, uses, better))
                uses *= 2
            self.rows[i + 1] = least

    def place(self, x: Int, y: Int) -> Int:
        """Number of the coset of (x, y), by the Hermite form of the lattice."""
        return np.asarray((x % self.g) * self.last + (y - x // self.g * self.h) % self.last)

    def _shifted(self, least: Float, x: int, y: int) -> Float:
        """What is known of the places (x, y) before each."""
        if self.g == 1:  # a cycle
            k = int(self.place(np.array(x), np.array(y)))
            return np.concatenate([least[self.last - k :], least[: self.last - k]])
        X, Y = self.all
        return np.asarray(least[self.place(X - x, Y - y)])

    def containing(self, target: tuple[int, int], prices: tuple[float, float]) -> Float:
        """What a whole solution with each item of the order in it loses at least; cf. `listed`."""
        size = np.array([self.items[k][:2] for k in self.order], dtype=int).reshape(-1, 2)
        u, v = target[0] - size[:, 0], target[1] - size[:, 1]
        still = self.rows[-1, self.place(u, v)]
        for lam, mu in self._edges(prices):
            still = np.maximum(still, lam * u + mu * v)
        return np.asarray(np.array([self.cost[k] for k in self.order]) + still)

    def _basis(self, x: int, y: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Quotients and remainders of the numbers of A and of B that fill (x, y)."""
        (a, b, _), (e, f, _) = self.columns
        return divmod(f * x - e * y, self.det), divmod(a * y - b * x, self.det)

    def cheapest(self, target: tuple[int, int]) -> Found | None:
        """Cheapest set whose remainder the basis fills; None if none is within the gap."""
        x, y = target
        if not self.rows[-1, int(self.place(np.array(x), np.array(y)))] <= self.gap:
            return None
        counts = [0] * len(self.items)
        for k, uses, better in reversed(self.taken):
            if better[int(self.place(np.array(x), np.array(y)))]:
                counts[k] += uses
                x, y = x - uses * self.items[k][0], y - uses * self.items[k][1]
        (p, _), (q, _) = self._basis(x, y)
        return counts, [p, q]

    def listed(self, target: tuple[int, int], prices: tuple[float, float]) -> Found | None:
        """The same among sets whose remainder needs no negative numbers.

        ``prices`` are those of the basis. None if more than LABELS sets were looked at, or no set
        is within the gap.
        """
        size = np.array([self.items[k][:2] for k in self.order], dtype=int).reshape(-1, 2)
        cost = np.array([self.cost[k] for k in self.order])
        edges = self._edges(prices)
        queue: list[tuple[float, int, float, int, int, int, tuple[int, ...]]]
        queue = [(0.0, 0, 0.0, *target, cost.size, ())]
        seen: dict[tuple[int, int, int], float] = {}
        pushed = 0
        for _ in range(LABELS):
            if not queue:
                return None
            _, _, spent, x, y, stop, chosen = heapq.heappop(queue)
            (p, r), (q, t) = self._basis(x, y)
            if r == 0 == t and p >= 0 and q >= 0:
                counts = [0] * len(self.items)
                for i in chosen:
                    counts[self.order[i]] += 1
                return counts, [p, q]
            # the items of a set in falling order: after one, itself and those before it
            u, v = x - size[:stop, 0], y - size[:stop, 1]
            total, row = spent + cost[:stop], np.arange(1, stop + 1)
            still = self.rows[row, self.place(u, v)]
            for lam, mu in edges:
                still = np.maximum(still, lam * u + mu * v)
            bound = total + still
            for i in np.flatnonzero((u >= 0) & (v >= 0) & (bound <= self.gap)).tolist():
                key = int(u[i]), int(v[i]), i + 1
                if seen.get(key, math.inf) <= total[i]:
                    continue
                seen[key] = float(total[i])
                pushed += 1  # of equals the last one first: it is nearer its end
                label = float(bound[i]), -pushed, float(total[i]), *key, (*chosen, i)
                heapq.heappush(queue, label)
        return None

    def _edges(self, prices: tuple[float, float]) -> list[tuple[float, float]]:
        """Prices of the basis less those of each edge of the envelope of what may be used."""
        lam, mu = prices
        usable = [*(self.items[k] for k in self.order), *self.columns]
        points = sorted({(0.0, 0.0), *((b / a, g / a) for a, b, g in usable if a)})
        hull: list[tuple[float, float]] = []
        for p in points:
            if hull and p[0] == hull[-1][0]:
                hull.pop()  # sorted: the later is higher
            while len(hull) > 1 and _turns_up(hull[-2], hull[-1], p):
                hull.pop()
            hull.append(p)
        edges = [(lam - max(y for _, y in hull), mu)]
        for (x, y), (s, t) in itertools.pairwise(hull):
            slope = (t - y) / (s - x)
            if slope > 0.0:
                edges.append((lam - (y - slope * x), mu - slope))
        return edges


def _turns_up(o: tuple[float, float], p: tuple[float, float], q: tuple[float, float]) -> bool:
    return (p[0] - o[0]) * (q[1] - o[1]) >= (q[0] - o[0]) * (p[1] - o[1])


def _bezout(a: int, b: int) -> tuple[int, int, int]:
    """g = p a + q b, the greatest common divisor, a and b not negative."""
    g = math.gcd(a, b)
    if b == 0:
        return g, 1, 0
    p = pow(a // g, -1, b // g) if b // g > 1 else 0
    return g, p, (g - p * a) // b


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


# Features of different importance. A block with one norm and one bias costs (sum of the importance
# of its features) l_a(S), at the same norm and bias whatever the importance. Against ignoring
# everything a mixture gains
#
#     sum over blocks (v - l_a) * (importance of the features in it).
#
# By the rearrangement inequality that is largest when gains per feature and importance are sorted
# the same way. So blocks in the order of falling gain per feature take runs of features one after
# the other, ignored features come last, and a run from i to j weighs P_j - P_i, P the sums of
# importance. What is left is which blocks: dynamic programming over (dimensions used, features
# placed), block by block in that order, is exact (proved; tests try every assignment). Kept
# symmetric, a block cannot favour its more important features: an upper bound on what its features
# cost together, as everything made of blocks.


TABLE_CELLS = 30_000_000
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
    if (d + 1) * (n + 1) > TABLE_CELLS:
        raise BadInput(
            f"n = {n} and d = {d} are too many for features of different importance: "
            f"(d + 1)(n + 1) may be {TABLE_CELLS} at most"
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


LIMIT = 1e-4
"""The S whose blocks stand for those of S = 0: as S falls to 0 the sequence of best blocks has no
last member (with room for all features every loss falls faster than S)."""

SLOW = 8
"""Features of the largest block where a law has no fast path."""


@dataclass(frozen=True, repr=False)
class Mixture(Result):
    """Blocks in orthogonal subspaces, dedicated and ignored features.

    Parameters
    ----------
    parts : tuple of (name, count)
        Blocks, the largest first.
    dedicated, ignored : int
        Features with a dimension of their own (loss 0), and without any (loss their variance).
    n, d, d_used : int
        Features, dimensions, dimensions that are used.
    S : float
    loss : float
        Total; numerical, 1e-10 relative. Of all mixtures of the table's blocks the least, so an
        upper bound on the true optimum.
    law : str
    importance : tuple of float, optional
        Of each feature, where they differ.
    features : tuple of (name, features)
        With importance: which features each block holds, dedicated ones too; the others are
        ignored. Without, any assignment costs the same.
    """

    parts: tuple[tuple[str, int], ...]
    dedicated: int
    ignored: int
    n: int
    d: int
    d_used: int
    S: float
    loss: float
    law: str
    importance: tuple[float, ...] | None = None
    features: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @property
    def evidence(self) -> Evidence:
        """How the loss is known: always numerically, to 1e-10 relative."""
        return Evidence.NUMERICAL

    @property
    def advice(self) -> str:
        """What the loss is a bound for, and from which blocks."""
        blocks = "" if self.law in ("binary", "uniform") else f" of up to {SLOW} features"
        return f"the best mixture of the catalogue's blocks{blocks}: the optimum may cost less"

    @property
    def name(self) -> str:
        """``3 pentagon + digon + 2 ignored``."""
        words = [name if k == 1 else f"{k} {name}" for name, k in self.parts]
        for count, word in ((self.dedicated, "dedicated"), (self.ignored, "ignored")):
            if count:
                words.append(f"{count} {word}")
        return " + ".join(words)

    @property
    def represented(self) -> int:
        return self.n - self.ignored

    @property
    def one_minus_S(self) -> float:
        return 1.0 - self.S

    def _values(self) -> dict[str, Any]:
        blocks_of = [{"name": name, "count": many} for name, many in self.parts]
        return {
            "n": self.n,
            "d": self.d,
            "S": self.S,
            "one_minus_S": self.one_minus_S,
            "law": self.law,
            "loss": self.loss,
            "name": self.name,
            "blocks": blocks_of,
            "dedicated": self.dedicated,
            "ignored": self.ignored,
            "represented": self.represented,
            "d_used": self.d_used,
            "features": [{"name": name, "features": held} for name, held in self.features],
            "status": self.evidence,
            "advice": self.advice,
        }

    def _facts(self) -> list[tuple[str, str]]:
        return [
            ("mixture", self.name),
            ("loss", f"{self.loss:.10g}"),
            ("S (on)", f"{self.S:g}"),
            ("represented", f"{self.represented} of {self.n} features in d = {self.d}"),
            ("1 - S (off)", f"{self.one_minus_S:.10g}"),
            ("law", self.law),
            ("status", self.evidence.value),
            ("advice", self.advice),
        ]

    def _tables(self) -> list[Table]:
        rows: list[tuple[str, int]] = list(self.parts)
        rows += [("dedicated", self.dedicated), ("ignored", self.ignored)]
        shown = [row for row in rows if row[1]]
        return [Table("Blocks of the mixture", ("block", "count"), shown)]


def best_mixture(features: Features, d: int) -> Mixture:
    """The mixture of blocks, dedicated and ignored features with the least loss.

    Parameters
    ----------
    features : Features
        n features of one S; their law and importance. Biases and ReLU are on.
    d : int
        Dimensions.

    Returns
    -------
    Mixture
        The integer programme is solved exactly for the blocks' numerical losses: an upper bound on
        the loss of the optimum.

    Raises
    ------
    BadInput
        If features differ in S, or d is no positive whole number.
    """
    S = np.unique(features.S)
    if S.size > 1:
        raise BadInput(
            f"{S.size} different values of S: mixtures are known for features of one S; "
            "ask theory.optimum"
        )
    equal = np.ptp(features.importance) == 0.0 and features.importance[0] == 1.0
    importance = None if equal else features.importance
    return mixture_at(features.n, d, float(S[0]), features.law.name, importance)


def mixture_at(
    n: int,
    d: int,
    S: float,
    law: str = "binary",
    importance: Sequence[float] | Float | None = None,
) -> Mixture:
    """The mixture of blocks, dedicated and ignored features with the least loss.

    Parameters
    ----------
    n, d : int
        Features and dimensions.
    S : float
        Chance that a feature is on, in [0, 1]. At S = 0, a limit, the loss is 0 and the blocks are
        those of S = LIMIT.
    law : {"binary", "uniform", "exponential"}
        The exponential law is slow, and knows blocks of up to SLOW features only.
    importance : (n,) array, optional
        Weights of the features in the loss; 1 unless given (`theory.mixtures.mixture`).

    Returns
    -------
    Mixture
        The integer programme is solved exactly for the blocks' numerical losses.

    Raises
    ------
    BadInput
        If an argument is no positive whole number, probability or importance.
    """
    n, d = whole(n, "n"), whole(d, "d")
    weights = weights_of(importance, n)
    at = float(checked(S)[0])
    s = at if at > 0.0 else LIMIT
    table = fitting(n, d, law)
    loss = losses(table, np.array([s]), law)[:, 0]
    if weights is None:
        found = best_among(n, d, s, law, table, loss)
    else:
        found = best_weighted(n, d, s, law, table, loss, weights)
    return found if at > 0.0 else replace(found, S=0.0, loss=0.0)


def best_weighted(
    n: int,
    d: int,
    S: float,
    law: str,
    table: Sequence[Block],
    loss: Float,
    importance: tuple[float, ...],
) -> Mixture:
    """The best mixture of the blocks given for features of that importance; exact."""
    v = float(variance(np.array(S), law))
    sizes = [(1, 1), *((b.d, b.n) for b in table)]
    known = [0.0, *loss.tolist()]
    if n <= d:
        found: list[tuple[int, tuple[int, ...]]] = [(0, (i,)) for i in range(n)]
    else:
        found = assign(sizes, [v - x for x in known], d, importance)
    names = ["dedicated", *(b.name for b in table)]
    counts: dict[int, int] = {}
    for k, _ in found:
        counts[k] = counts.get(k, 0) + 1
    rank = sorted((k for k in counts if k), key=lambda k: (-sizes[k][1], k))
    placed = {i for _, features in found for i in features}
    total = sum(known[k] * importance[i] for k, features in found for i in features)
    total += v * sum(x for i, x in enumerate(importance) if i not in placed)
    used = sum(sizes[k][0] for k, _ in found)
    return Mixture(
        tuple((names[k], counts[k]) for k in rank),
        counts.get(0, 0),
        n - len(placed),
        n,
        d,
        used,
        S,
        float(total),
        law,
        importance,
        tuple((names[k], features) for k, features in found),
    )


def fitting(n: int, d: int, law: str) -> tuple[Block, ...]:
    """Blocks of the table that n features in d dimensions have room for."""
    slow = law_named(law).name not in ("binary", "uniform")
    return tuple(b for b in blocks(law) if b.n <= min(n, SLOW if slow else n) and b.d <= d)


def reach(table: Sequence[Block], d: int) -> int:
    """Features that d dimensions can hold at most: any further ones are ignored."""
    return max([d, *(b.n * d // b.d for b in table)])


def losses(table: Sequence[Block], S: Float, law: str, *, rough: bool = False) -> Float:
    """Least losses per feature, (blocks, M); rough ones are good to about 1e-3."""
    if not table:
        return np.zeros((0, np.size(S)))
    return np.stack([block.loss(S, law, rough=rough) for block in table])


def best_among(
    n: int,
    d: int,
    S: float,
    law: str,
    table: Sequence[Block],
    loss: Float,
    known: Sequence[Mixture] = (),
) -> Mixture:
    """The best mixture of the blocks given, with their losses per feature (blocks,).

    Mixtures of the same blocks that are known, good ones at a neighbouring S, save time.
    """
    v = float(variance(np.array(S), law))
    # a block must gain: those that are no better than dedicated and ignored features are dropped
    rank = sorted(range(len(table)), key=lambda k: (-table[k].n, k))
    items = [(1, 1, v)]
    items += [(table[k].d, table[k].n, table[k].n * (v - float(loss[k]))) for k in rank]
    if n <= d:
        counts: tuple[int, ...] = (n, *(0 for _ in rank))
    else:
        items = [(a, b, g if np.isfinite(g) else 0.0) for a, b, g in items]
        starts = [_counts(m, [table[k].name for k in rank]) for m in known]
        start = max(starts, key=lambda c: value(items, c)) if starts else None
        counts = solve(items, d, min(n, reach(table, d)), start)
    parts = [(table[k].name, many) for k, many in zip(rank, counts[1:], strict=True) if many]
    used = sum(many * item[0] for many, item in zip(counts, items, strict=True))
    placed = sum(many * item[1] for many, item in zip(counts, items, strict=True))
    total = (n - placed) * v
    for k, many in zip(rank, counts[1:], strict=True):
        if many:
            total += many * table[k].n * float(loss[k])
    return Mixture(tuple(parts), counts[0], n - placed, n, d, used, S, total, law)


def _counts(mixture: Mixture, names: Sequence[str]) -> tuple[int, ...]:
    parts = dict(mixture.parts)
    return (mixture.dedicated, *(parts.get(name, 0) for name in names))
