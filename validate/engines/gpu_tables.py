"""Tables from which the GPU kernels draw: alias tables, acceptance chances, and where they stand.

An alias table (Walker 1977, Vose 1991) gives a discrete law in one random word u of 32 bits: its
first bits choose a column, the rest decide between the column and its other. Limits are kept to 64
bits and a second word is drawn where the first cannot decide, so what is drawn differs from the law
by the rounding of doubles, not by that of 32 bits. Poisson tables end where the law falls below
1e-20 of its peak; geometric tables end in a column that means "further" and is followed by another
draw, which is exact since the law has no memory.

`count_law` serves binary values with few on/off patterns, `row_law` all others; `stacked` puts the
laws of many models into one table, equal laws once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from theory.features import Float
from validate.data import Sampler
from validate.engine import learning_rate
from validate.runs import Recipe

WORD = 2.0**32

RARE = 2.0
"""Samples per batch that may be drawn one by one instead of counted: their patterns are the least
frequent ones, and a count of each would nearly always be zero."""

FAINT = 1e-20
"""Chances below this part of the largest are left out."""

LAW_CODES = {"binary": 0, "uniform": 1, "exponential": 2}

Columns = tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.int32]]


def alias(p: Float, bits: int) -> Columns:
    """Alias table of 2^bits columns for a law on 0, 1, ... len(p) - 1.

    Returns
    -------
    limits, lows : (2^bits,) arrays of uint32
        A column is taken if the 32 - bits bits left over are below its limit; where they equal it,
        if the next word is below its low.
    others : (2^bits,) array of int32
        What is taken else.
    """
    size = 1 << bits
    heights = np.zeros(size)
    heights[: len(p)] = np.asarray(p) / np.sum(p) * size
    others = np.arange(size, dtype=np.int32)
    height = heights.tolist()
    small = [i for i, x in enumerate(height) if x < 1.0]
    large = [i for i, x in enumerate(height) if x >= 1.0]
    while small and large:
        i, j = small.pop(), large[-1]
        others[i] = j
        height[j] -= 1.0 - height[i]
        if height[j] < 1.0:
            small.append(large.pop())
    for i in (*small, *large):  # full but for rounding; itself either way
        height[i] = 1.0
    return (*fixed(np.array(height), 32 - bits), others)


def fixed(chance: Float, bits: int = 32) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Chances as numbers of `bits` bits, rounded down, and the next 32 bits."""
    scaled = np.asarray(chance) * 2.0**bits
    whole = np.minimum(np.floor(scaled), WORD - 1.0)
    rest = np.where(scaled >= WORD, WORD - 1.0, np.floor((scaled - whole) * WORD))
    return whole.astype(np.uint32), rest.astype(np.uint32)


@dataclass(frozen=True, eq=False)
class Law:
    """The tables of one law, at offsets counted from their own start.

    Parameters
    ----------
    head : (8,) list of int
    shifts : tuple of int
        Which entries of the head count columns, to be shifted where laws are stacked.
    plan : (P, 4) list of int
        Pattern, columns and bits of its table, and the count its first column means.
    columns : Columns
    """

    head: list[int]
    shifts: tuple[int, ...]
    plan: list[list[int]]
    columns: Columns


def count_law(law: Sampler, batch: int, fed: bool = False) -> tuple[Law, Float]:
    """Tables for the kernel that counts patterns.

    Parameters
    ----------
    law : Sampler
    batch : int
    fed : bool
        Whether counts will be read: then every pattern but the first gets an entry of its own.

    Returns
    -------
    Law
        Head: first pattern, patterns counted, stride of given counts, (filled in by `stacked`),
        table of rare patterns, columns and first and last sum of the acceptance chances.
    (P,) array
        Expected occurrences of every pattern in a batch, in the order of the table.
    """
    masks, q = ordered(law)
    a = math.fsum(q[1:].tolist())
    means = batch * q
    tails = np.cumsum(means[:0:-1])[::-1]  # of patterns 1.., 2.., ...
    frequent = len(q) - 1 if fed else int(np.sum(tails > RARE))
    parts: list[Columns] = []
    plan = []

    def add(columns: Columns) -> int:
        parts.append(columns)
        return sum(len(part[0]) for part in parts[:-1])

    for p in range(1, frequent + 1):
        low, chances = poisson(float(means[p]))
        bits = _bits(len(chances))
        plan.append([masks[p], add(alias(chances, bits)), bits, low])
    rare = math.fsum(means[frequent + 1 :].tolist())
    _, chances = poisson(rare)
    bits = _bits(len(chances))
    plan.append([0, add(alias(chances, bits)), bits, 0])
    which = 0
    if rare > 0.0:
        bits = _bits(len(q) - frequent - 1)
        which = (add(alias(q[frequent + 1 :], bits)) << 5) | bits
    plan += [[mask, 0, 0, 0] for mask in masks[frequent + 1 :]]
    low, accept = acceptance(batch, a)
    gate = add((*fixed(accept), np.zeros(len(accept), dtype=np.int32)))
    head = [masks[0], frequent, len(q) - 1, 0, which, gate - low, low, low + len(accept)]
    return Law(head, (5,), plan, _joined(parts)), means


def ordered(law: Sampler) -> tuple[list[int], Float]:
    """Patterns that occur, by falling chance, as masks (bit i for feature i), and their chances."""
    found = [(q, sum(1 << i for i, on in enumerate(p) if on)) for p, q in law.patterns() if q > 0.0]
    found.sort(key=lambda pair: (-pair[0], pair[1]))
    q = np.array([pair[0] for pair in found])
    return [pair[1] for pair in found], q / q.sum()


def poisson(mean: float) -> tuple[int, Float]:
    """The first count that is kept, and the chances from there on."""
    if mean == 0.0:
        return 0, np.ones(1)
    k = np.arange(int(mean + 12.0 * math.sqrt(mean) + 40.0) + 1)
    logs = k * math.log(mean) - mean - gammaln(k + 1.0)
    kept = np.flatnonzero(logs > logs.max() + math.log(FAINT))
    return int(kept[0]), np.exp(logs[kept[0] : kept[-1] + 1])


def acceptance(batch: int, a: float) -> tuple[int, Float]:
    """Binomial(T; batch, a) over Poisson(T; batch a), divided by its maximum.

    Returns
    -------
    int, (W,) array
        The first sum T that is kept and the chances from there on. On average about
        sqrt(1 - a) of the proposals are taken.
    """
    if a <= 0.0:
        return 0, np.ones(1)
    spread = 12.0 * math.sqrt(batch * a * (1.0 - a)) + 40.0
    low, high = max(0, int(batch * a - spread)), min(batch, int(batch * a + spread) + 1)
    T = np.arange(low, high)
    steps = np.log((batch - T) / (batch * (1.0 - a)))  # r(T + 1) / r(T)
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    return low, np.exp(logs - logs.max())


def row_law(law: Sampler) -> Law:
    """Tables for the kernel that walks from on group to on group.

    Head: groups, their size, one member or all, law of the values, columns and bits of the gaps'
    table, columns of the chances to keep an event, whether some are not kept.
    """
    q = float(np.max(law.chance))
    bits = min(12, max(1, math.ceil(math.log2(3.0 / q + 2.0))))
    c = np.arange((1 << bits) - 1)
    if q < 1.0:
        chances = np.append(q * (1.0 - q) ** c, (1.0 - q) ** ((1 << bits) - 1))
    else:
        chances = np.append((c == 0).astype(float), 0.0)
    gaps = alias(chances, bits)
    keep = (*fixed(law.chance / q), np.zeros(law.groups, dtype=np.int32))
    thinned = int(np.ptp(law.chance) > 0.0)
    kind = LAW_CODES[law.law]
    head = [law.groups, law.size, int(law.single), kind, 0, bits, len(gaps[0]), thinned]
    return Law(head, (4, 6), [], _joined([gaps, keep]))


@dataclass(frozen=True, eq=False)
class Tables:
    """The laws of many models in one place.

    Parameters
    ----------
    law : (K,) array of int32
        Which law a model follows.
    heads, plans, others : arrays of int32
    limits, lows : arrays of uint32
    """

    law: NDArray[np.int32]
    heads: NDArray[np.int32]
    plans: NDArray[np.int32]
    limits: NDArray[np.uint32]
    lows: NDArray[np.uint32]
    others: NDArray[np.int32]


def stacked(which: Sequence[int], laws: Sequence[Law]) -> Tables:
    """One table of several laws; `which` names the law of every model."""
    heads, plans, rows, columns = [], [], 0, 0
    for law in laws:
        head = list(law.head)
        for i in law.shifts:
            head[i] += columns
        if law.plan:
            head[3] = rows
            if head[4]:
                head[4] += columns << 5
            plans += [[m, offset + columns, bits, low] for m, offset, bits, low in law.plan]
        heads.append(head)
        rows += len(law.plan)
        columns += len(law.columns[0])
    limits, lows, others = _joined([law.columns for law in laws])
    return Tables(
        law=np.array(which, dtype=np.int32),
        heads=np.array(heads, dtype=np.int32).ravel(),
        plans=np.array(plans or [[0, 0, 0, 0]], dtype=np.int32).ravel(),
        limits=limits,
        lows=lows,
        others=others,
    )


def rates(recipe: Recipe, start: int, stop: int) -> Float:
    """What the updates of steps start .. stop - 1 need, shape (stop - start, 7).

    Rate over the first moment's bias correction, root of the second's, the factor of decay, and
    the four weights of the running means.
    """
    one, two = recipe.betas
    rows = []
    for step in range(start, stop):
        rate = learning_rate(recipe, step)
        first, second = 1.0 - one ** (step + 1), 1.0 - two ** (step + 1)
        decay = 1.0 - rate * recipe.weight_decay
        rows.append((rate / first, 1.0 / math.sqrt(second), decay, one, 1 - one, two, 1 - two))
    return np.array(rows)


def _joined(parts: Sequence[Columns]) -> Columns:
    a, b, c = zip(*parts, strict=True)
    return np.concatenate(a), np.concatenate(b), np.concatenate(c)


def _bits(columns: int) -> int:
    return max(1, math.ceil(math.log2(columns)))
