"""What a whole solution loses against the linear relaxation of the programme, at least.

With the relaxation's basis A, B and reduced costs r_a >= 0, a whole solution is a set of other
items and what A and B fill: it loses the sum of the set's reduced costs. Which sets leave a
remainder that A and B fill with whole numbers, negative ones allowed, depends only on residues
modulo the lattice of A and B, so the cheapest is a shortest path in a finite group (Gomory's group
relaxation). Where its numbers are negative, sets are listed best first: what a set must still lose
is at least what the group says of its remainder, and what the relaxation says of it, whose prices
are those of any edge of the envelope. The first complete set is the optimum (proved).
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Sequence

import numpy as np

from packing.arrangement import Int
from theory.features import Float

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
