"""Samples as columns, in three forms; what fills the scratch is flushed into the gradient.

    patterns   few on/off patterns: how often each occurs is drawn (tables.py); a column each if
               values are binary, else one for each sample
    gaps       from one feature (or group of them) that is on to the next
    dense      every cell, where features are on often

Samples with nothing on never become columns in the first two: they are counted. Random words and
values are drawn ahead, many at a time; `spent` says how many of them are used up.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from validate.engines.products import (
    BATCH,
    BLOCKS,
    GROUP,
    INPUT,
    LAST,
    LAW,
    OFTEN,
    RARE,
    SINGLE,
    VALUES,
    WEIGHT,
    N,
    fast,
    flush,
)
from validate.engines.simd import (
    chosen,
    mul,
    random_words,
    splat,
    store,
    uniform,
    where_below,
)

PATTERNS, GAPS, DENSE = 0, 1, 2
BINARY, UNIFORM, EXPONENTIAL = 0, 1, 2

BITS = 64
"""Random words drawn at a time."""

POOL = 64
"""Values drawn at a time."""


@fast
def _refill(state: Any, bits: Any) -> None:
    """Draw BITS random words."""
    for i in range(0, BITS, 8):
        random_words(state, bits, i)


@fast
def _values(state: Any, s: Any, start: int, count: int, law: int, one: Any) -> None:
    """Fill scratch with values of features that are on."""
    if law == BINARY:
        for i in range(0, count, 16):
            store(s, start + i, splat(one))
        return
    for i in range(0, count, 16):
        store(s, start + i, uniform(state, one))
    if law == EXPONENTIAL:
        for i in range(start, start + count):
            s[i] = -math.log1p(-s[i])


@fast
def by_patterns(
    model: Any,
    s: Any,
    at: Any,
    shape: Any,
    state: Any,
    bits: Any,
    spent: Any,
    counts: Any,
    starts: Any,
    members: Any,
    keep: Any,
    other: Any,
    where: Any,
    asked: bool,
    one: Any,
) -> tuple[float, int, int]:
    """One batch, by how often each on/off pattern occurs.

    Returns
    -------
    loss of the columns flushed, samples with nothing on, columns not flushed yet
    """
    n, batch, law = shape[N], shape[BATCH], shape[LAW]
    room, zero = 16 * shape[BLOCKS], one - one
    x, w, values = at[INPUT], at[WEIGHT], at[VALUES]
    place, ready = spent[0], spent[1]
    often, rare = shape[OFTEN], shape[RARE] != 0
    lost, column = 0.0, 0
    # How many samples have anything on, and how often each pattern occurs among them.
    if place == BITS:
        _refill(state, bits)
        place = 0
    word = bits[place]
    place += 1
    active = chosen(word, keep, other, where, 0)
    off = batch - active
    found, met = 0, often
    for p in range(often):
        if place == BITS:
            _refill(state, bits)
            place = 0
        word = bits[place]
        place += 1
        counts[p] = chosen(word, keep, other, where, p + 1)
        found += counts[p]
    table = often + 1
    more = 0
    if rare:
        if place == BITS:
            _refill(state, bits)
            place = 0
        word = bits[place]
        place += 1
        more = chosen(word, keep, other, where, table)
        table += 2
    end = len(starts) - 1
    while more > 0 or found < active:
        if place == BITS:
            _refill(state, bits)
            place = 0
        word = bits[place]
        place += 1
        if more > 0:
            p = chosen(word, keep, other, where, table - 1)
            more -= 1
        else:
            p = chosen(word, keep, other, where, table)
        if p >= often and counts[p] == 0:
            counts[end + met - often] = p
            met += 1
        counts[p] += 1
        found += 1
    while found > active:
        if place == BITS:
            _refill(state, bits)
            place = 0
        word = bits[place]
        place += 1
        left = np.int64(((word >> np.uint64(32)) * np.uint64(found)) >> np.uint64(32))
        for j in range(met):
            p = j if j < often else counts[end + j - often]
            left -= counts[p]
            if left < 0:
                counts[p] -= 1
                break
        found -= 1
    for j in range(met):
        p = j if j < often else counts[end + j - often]
        count = counts[p]
        if law == BINARY and count > 0:
            base = x + (column >> 4) * n * 16 + (column & 15)
            for k in range(starts[p], starts[p + 1]):
                s[base + 16 * members[k]] = one
            s[w + column] = one * count
            column += 1
            if column == room:
                lost += flush(model, s, at, shape, shape[BLOCKS], asked, zero)
                column = 0
        elif law != BINARY:
            for _ in range(count):
                base = x + (column >> 4) * n * 16 + (column & 15)
                for k in range(starts[p], starts[p + 1]):
                    if ready == POOL:
                        _values(state, s, values, POOL, law, one)
                        ready = 0
                    s[base + 16 * members[k]] = s[values + ready]
                    ready += 1
                s[w + column] = one
                column += 1
                if column == room:
                    lost += flush(model, s, at, shape, shape[BLOCKS], asked, zero)
                    column = 0
        if j >= often:
            counts[p] = 0
    spent[0], spent[1] = place, ready
    return lost, off, column


@fast
def by_gaps(
    model: Any,
    s: Any,
    at: Any,
    shape: Any,
    state: Any,
    bits: Any,
    spent: Any,
    keep: Any,
    other: Any,
    where: Any,
    accept: Any,
    asked: bool,
    one: Any,
) -> tuple[float, int, int]:
    """One batch, from one group that is on to the next.

    Returns
    -------
    loss of the columns flushed, samples with nothing on, columns not flushed yet
    """
    n, batch, law = shape[N], shape[BATCH], shape[LAW]
    room, zero = 16 * shape[BLOCKS], one - one
    x, w, values = at[INPUT], at[WEIGHT], at[VALUES]
    place, ready = spent[0], spent[1]
    size, single = shape[GROUP], shape[SINGLE] != 0
    lost, column = 0.0, 0
    groups = n // size
    last = shape[LAST]
    cells = batch * groups
    cell, sample, active = -1, -1, 0
    base = x
    while True:
        cell += 1
        while True:
            if place == BITS:
                _refill(state, bits)
                place = 0
            word = bits[place]
            place += 1
            gap = chosen(word, keep, other, where, 0)
            cell += gap
            if gap != last or cell >= cells:
                break
        if cell >= cells:
            break
        row = cell // groups
        group = cell - row * groups
        if accept[group] != np.uint64(0):
            if place == BITS:
                _refill(state, bits)
                place = 0
            word = bits[place]
            place += 1
            if word >= accept[group]:
                continue
        if row != sample:
            if sample >= 0:
                column += 1
                if column == room:
                    lost += flush(model, s, at, shape, shape[BLOCKS], asked, zero)
                    column = 0
            sample = row
            active += 1
            base = x + (column >> 4) * n * 16 + (column & 15)
            s[w + column] = one
        low, high = group * size, (group + 1) * size
        if single:
            if place == BITS:
                _refill(state, bits)
                place = 0
            word = bits[place]
            place += 1
            low += np.int64(((word >> np.uint64(32)) * np.uint64(size)) >> np.uint64(32))
            high = low + 1
        for i in range(low, high):
            if ready == POOL:
                _values(state, s, values, POOL, law, one)
                ready = 0
            s[base + 16 * i] = s[values + ready]
            ready += 1
    if sample >= 0:
        column += 1
    off = batch - active
    spent[0], spent[1] = place, ready
    return lost, off, column


@fast
def by_cells(
    model: Any,
    s: Any,
    at: Any,
    shape: Any,
    state: Any,
    levels: Any,
    asked: bool,
    one: Any,
) -> tuple[float, int, int]:
    """One batch, every cell of it.

    Returns
    -------
    loss of the columns flushed, samples with nothing on, columns not flushed yet
    """
    n, batch, law = shape[N], shape[BATCH], shape[LAW]
    room, zero = 16 * shape[BLOCKS], one - one
    x, w = at[INPUT], at[WEIGHT]
    lost, column, off = 0.0, 0, 0
    while off < batch:
        base = x + (column >> 4) * n * 16
        for i in range(n):
            u, q = uniform(state, one), splat(levels[i])
            if law == BINARY:
                store(s, base + 16 * i, where_below(u, q, splat(one)))
            else:
                scaled = mul(u, splat(levels[n + i]))
                store(s, base + 16 * i, where_below(u, q, scaled))
        if law == EXPONENTIAL:
            for i in range(base, base + 16 * n):
                if s[i] > zero:
                    s[i] = -math.log1p(-min(s[i], one - 2.0**-24))
        count = min(16, batch - off)
        for j in range(count):
            s[w + column + j] = one
        off += count
        column += 16
        if column == room:
            lost += flush(model, s, at, shape, shape[BLOCKS], asked, zero)
            column = 0
    return lost, 0, column
