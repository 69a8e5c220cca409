"""Tables from which a kernel draws whole numbers with one look-up: alias tables (Walker 1977).

A law on low, low + 1, ... is cut into 2^k cells of equal chance, each shared by at most two values;
k random bits choose the cell and the other 64 - k one of the two (Vose 1991). Chances are right to
about 2^-52, and tails of less than 2^-60 are left out: the samples are those of the law as far as
double precision can tell. Tables stand one behind the other in two arrays.

The counts of the patterns of a batch are multinomial, and are drawn by way of a Poisson trick that
is exact: independent N_i ~ Poisson(mu q_i), given their sum T, are multinomial(T, q). Drawing
M - T more samples one by one, or taking away T - M of those drawn without looking, makes them
multinomial(M, q), whatever T was. With mu a little below the mean of M few are needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from theory.features import Float

TAIL = 2.0**-60
"""Chances below this are left out at the ends of a law."""

OFTEN = 1.0
"""A pattern is counted by a table of its own if it is expected at least so often in a batch."""


@dataclass
class Tables:
    """Alias tables one behind the other; each row of `where` is a table.

    Attributes
    ----------
    keep : list of arrays of uint64
        Of a cell: below this the cell's own value is taken.
    other : list of arrays of int64
        The value taken otherwise.
    where : list of (start, shift, low)
        First cell, 64 - k, and the value of cell 0.
    """

    keep: list[NDArray[np.uint64]] = field(default_factory=list)
    other: list[NDArray[np.int64]] = field(default_factory=list)
    where: list[tuple[int, int, int]] = field(default_factory=list)

    def add(self, p: Float, low: int = 0) -> int:
        """A table of the law p (unnormalised) on low, low + 1, ...; its number."""
        k = max(1, (len(p) - 1).bit_length())
        size, shift = 2**k, 64 - k
        share = np.zeros(size)
        share[: len(p)] = np.asarray(p, dtype=float) / math.fsum(p) * size
        other = np.arange(size)
        keep = np.ones(size)
        small = [i for i in range(size) if share[i] < 1.0]
        large = [i for i in range(size) if share[i] >= 1.0]
        while small and large:
            i, j = small.pop(), large[-1]
            keep[i], other[i] = share[i], j
            share[j] -= 1.0 - share[i]
            if share[j] < 1.0:
                small.append(large.pop())
        # Cells that are left over should be full; what rounding took from them goes to the mode.
        top = int(np.argmax(p))
        for i in small:
            keep[i], other[i] = share[i], top
        start = sum(map(len, self.keep))
        scaled = np.minimum(np.floor(keep * 2.0**shift), 2.0**shift)
        self.keep.append(scaled.astype(np.uint64))
        self.other.append(other + low)
        self.where.append((start, shift, low))
        return len(self.where) - 1

    def poisson(self, mean: float) -> int:
        """A table of the Poisson law."""
        from scipy.stats import poisson

        low, high = _ends(mean, math.sqrt(mean), math.inf)
        p = poisson.pmf(np.arange(low, high + 1), mean)
        return self._cut(p, low)

    def binomial(self, count: int, chance: float) -> int:
        """A table of the binomial law."""
        from scipy.stats import binom

        spread = math.sqrt(count * chance * (1.0 - chance))
        low, high = _ends(count * chance, spread, count)
        p = binom.pmf(np.arange(low, high + 1), count, chance)
        return self._cut(p, low)

    def geometric(self, chance: float) -> tuple[int, int]:
        """A table of how many come before the next that is on; and its last value.

        The last value stands for itself and everything beyond: it says to go on from there, which
        is right because the law has no memory.
        """
        cells = 2 ** min(10, max(4, math.ceil(math.log2(4.0 / chance))))
        p = chance * (1.0 - chance) ** np.arange(cells)
        p[-1] = (1.0 - chance) ** (cells - 1)
        return self.add(p), cells - 1

    def _cut(self, p: Float, low: int) -> int:
        """The table without the tails at both ends."""
        some = np.flatnonzero(p > TAIL * p.max())
        return self.add(p[some[0] : some[-1] + 1], low + int(some[0]))

    def packed(self) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
        """The arrays a kernel takes: keep, other, where (tables, 3)."""
        if not self.where:
            return np.zeros(1, np.uint64), np.zeros(1, np.int64), np.zeros((1, 3), np.int64)
        return (
            np.concatenate(self.keep),
            np.concatenate(self.other),
            np.array(self.where, dtype=np.int64),
        )


def _ends(mean: float, spread: float, most: float) -> tuple[int, int]:
    """Where a law of counts may be cut: 14 standard deviations, and 40 more for small means."""
    low = max(0, math.floor(mean - 14.0 * spread))
    return low, int(min(most, math.ceil(mean + 14.0 * spread + 40.0)))


@dataclass(frozen=True, eq=False)
class Counting:
    """How the patterns of a batch are counted.

    Parameters
    ----------
    starts, members : (P + 1,) and (sum,) arrays
        The features of pattern p are members[starts[p] : starts[p + 1]]; often ones come first.
    often : int
        Patterns with a Poisson table of their own.
    tables : Tables
        0: samples with anything on; 1 to `often`: those counts; then, if there are other patterns,
        how many samples are of them, and which; last, which pattern one sample has.
    """

    starts: NDArray[np.int64]
    members: NDArray[np.int64]
    often: int
    tables: Tables


def counting(patterns: list[tuple[tuple[int, ...], float]], batch: int) -> Counting:
    """Tables for the counts of patterns with these chances among `batch` samples.

    Parameters
    ----------
    patterns : list of ((n,) tuple of 0 and 1, chance)
    batch : int
    """
    some = [(np.flatnonzero(x), p) for x, p in patterns if any(x) and p > 0.0]
    some.sort(key=lambda each: -each[1])
    chances = np.array([p for _, p in some])
    q = chances / chances.sum()
    active = min(1.0, math.fsum(chances.tolist()))
    mean = batch * active
    # M has variance mean (1 - active), T has variance mu: they differ by about this.
    mu = max(0.0, mean - math.sqrt(mean * (2.0 - active)))
    often = int(np.sum(mu * q >= OFTEN))
    tables = Tables()
    tables.binomial(batch, active)
    for one in q[:often]:
        tables.poisson(mu * float(one))
    if often < len(q):
        tables.poisson(mu * float(q[often:].sum()))
        tables.add(q[often:], often)
    tables.add(q)
    starts = np.concatenate([[0], np.cumsum([len(x) for x, _ in some])]).astype(np.int64)
    members = np.concatenate([x for x, _ in some]).astype(np.int64)
    return Counting(starts, members, often, tables)


__all__ = ["Counting", "Tables", "counting"]
