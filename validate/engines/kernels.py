"""The kernel of the compiled engine: whole stretches of one model's training, nothing leaves it.

Samples stand in columns, sixteen side by side (a block), several blocks at a time: as many as keep
everything in the first-level cache. With h = W x, z = W'h + b, e = w I (relu(z) - x) where z > 0,
w how often a column occurs,

    dL/db = (2/B) sum e,   dL/dW = (2/B) sum (h e' + g x'),   g = W e,

about 5 n d multiply-adds a column. Samples with nothing on never become columns: their number is
drawn, and their gradient, 2/B times relu(b), is added to that of b. Columns come in three forms:

    patterns   few on/off patterns: how often each occurs is drawn (tables.py); a column each if
               values are binary, else one for each sample
    gaps       from one feature (or group of them) that is on to the next
    dense      every cell, where features are on often

Adam and learning rates are those of `validate.engine`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from validate.engines.simd import (
    add,
    chosen,
    div,
    fma,
    load,
    mul,
    random_words,
    root,
    splat,
    store,
    sub,
    total,
    uniform,
    where_below,
    where_positive,
)

PATTERNS, GAPS, DENSE = 0, 1, 2
BINARY, UNIFORM, EXPONENTIAL = 0, 1, 2

SIMD = "bb9f52acb78f9fce"
"""First digits of the SHA-256 of simd.py. The compiler's cache on disk looks at the file of a
function and at no other, so a change there must change this file too; a test compares."""

BITS = 64
"""Random words drawn at a time."""

POOL = 64
"""Values drawn at a time."""

# Places in `shape`, the whole numbers a kernel is told, and in `at`, where its scratch begins.
N, D, SIZE, BLOCKS, BATCH, FORM, LAW, RELU, BIAS, GROUP, SINGLE, OFTEN, RARE, LAST = range(14)
GRADIENT, HIDDEN, BACK, INPUT, ERROR, WEIGHT, VALUES = range(7)
SCALE, KEEP, FIRST, FRESH, SECOND, SQUARE, UNBIAS, TINY, STEP = range(9)

fast = njit(nogil=True, cache=True, error_model="numpy")


@fast
def _down(model: Any, s: Any, n: int, d: int, x: int, h: int, blocks: int, zero: Any) -> None:
    """h = W x: (d, 16) a block from (n, 16) a block, four rows at a time."""
    for k in range(blocks):
        source, target = x + k * n * 16, h + k * d * 16
        c = 0
        while c + 3 < d:
            one, two, three, four = splat(zero), splat(zero), splat(zero), splat(zero)
            for i in range(n):
                v, w = load(s, source + 16 * i), c * n + i
                one = fma(splat(model[w]), v, one)
                two = fma(splat(model[w + n]), v, two)
                three = fma(splat(model[w + 2 * n]), v, three)
                four = fma(splat(model[w + 3 * n]), v, four)
            store(s, target + 16 * c, one)
            store(s, target + 16 * (c + 1), two)
            store(s, target + 16 * (c + 2), three)
            store(s, target + 16 * (c + 3), four)
            c += 4
        while c + 1 < d:
            one, two = splat(zero), splat(zero)
            for i in range(n):
                v, w = load(s, source + 16 * i), c * n + i
                one = fma(splat(model[w]), v, one)
                two = fma(splat(model[w + n]), v, two)
            store(s, target + 16 * c, one)
            store(s, target + 16 * (c + 1), two)
            c += 2
        if c < d:
            one = splat(zero)
            for i in range(n):
                one = fma(splat(model[c * n + i]), load(s, source + 16 * i), one)
            store(s, target + 16 * c, one)


@fast
def _up(model: Any, s: Any, n: int, d: int, h: int, z: int, blocks: int) -> None:
    """z = W'h + b: (n, 16) a block from (d, 16) a block, four rows at a time."""
    bias = n * d
    for k in range(blocks):
        source, target = h + k * d * 16, z + k * n * 16
        i = 0
        while i + 3 < n:
            one, two = splat(model[bias + i]), splat(model[bias + i + 1])
            three, four = splat(model[bias + i + 2]), splat(model[bias + i + 3])
            for c in range(d):
                v, w = load(s, source + 16 * c), c * n + i
                one = fma(splat(model[w]), v, one)
                two = fma(splat(model[w + 1]), v, two)
                three = fma(splat(model[w + 2]), v, three)
                four = fma(splat(model[w + 3]), v, four)
            store(s, target + 16 * i, one)
            store(s, target + 16 * (i + 1), two)
            store(s, target + 16 * (i + 2), three)
            store(s, target + 16 * (i + 3), four)
            i += 4
        while i < n:
            one = splat(model[bias + i])
            for c in range(d):
                one = fma(splat(model[c * n + i]), load(s, source + 16 * c), one)
            store(s, target + 16 * i, one)
            i += 1


@fast
def _outer(s: Any, at: Any, n: int, d: int, blocks: int, zero: Any) -> None:
    """Add h e' + (W e) x' to the gradient of W, two rows and two columns at a time."""
    g, h, back, x, e = at[GRADIENT], at[HIDDEN], at[BACK], at[INPUT], at[ERROR]
    for c in range(0, d - 1, 2):
        for i in range(0, n - 1, 2):
            one, two, three, four = splat(zero), splat(zero), splat(zero), splat(zero)
            for k in range(blocks):
                here, there = 16 * (k * n + i), 16 * (k * d + c)
                r, q = load(s, e + here), load(s, e + here + 16)
                u, v = load(s, h + there), load(s, h + there + 16)
                one, two = fma(r, u, one), fma(q, u, two)
                three, four = fma(r, v, three), fma(q, v, four)
                r, q = load(s, x + here), load(s, x + here + 16)
                u, v = load(s, back + there), load(s, back + there + 16)
                one, two = fma(r, u, one), fma(q, u, two)
                three, four = fma(r, v, three), fma(q, v, four)
            place = g + c * n + i
            s[place] += total(one)
            s[place + 1] += total(two)
            s[place + n] += total(three)
            s[place + n + 1] += total(four)
    # What is left over: the last row if d is odd, the last column if n is odd.
    for c in range(d):
        start = 0 if c == d - 1 and d % 2 == 1 else n - n % 2
        for i in range(start, n):
            one = splat(zero)
            for k in range(blocks):
                here, there = 16 * (k * n + i), 16 * (k * d + c)
                one = fma(load(s, e + here), load(s, h + there), one)
                one = fma(load(s, x + here), load(s, back + there), one)
            s[g + c * n + i] += total(one)


@fast
def flush(model: Any, s: Any, at: Any, shape: Any, blocks: int, want: bool, zero: Any) -> float:
    """Add the gradient of the columns in scratch; their loss if wanted. Clears the columns."""
    n, d, relu = shape[N], shape[D], shape[RELU] != 0
    x, e, w = at[INPUT], at[ERROR], at[WEIGHT]
    importance, biases = 3 * shape[SIZE], at[GRADIENT] + n * d
    _down(model, s, n, d, x, at[HIDDEN], blocks, zero)
    few = d < 4
    if not few:
        _up(model, s, n, d, at[HIDDEN], e, blocks)
    lost = 0.0
    for i in range(n):
        scale, sums, squares = splat(model[importance + i]), splat(zero), splat(zero)
        for k in range(blocks):
            place = 16 * (k * n + i)
            v = load(s, x + place)
            if few:
                z = splat(model[n * d + i])
                for c in range(d):
                    z = fma(splat(model[c * n + i]), load(s, at[HIDDEN] + 16 * (k * d + c)), z)
            else:
                z = load(s, e + place)
            r = sub(where_positive(z, z), v) if relu else sub(z, v)
            y = mul(mul(r, scale), load(s, w + 16 * k))
            squares = fma(r, y, squares)
            if relu:
                y = where_positive(z, y)
            sums = add(sums, y)
            store(s, e + place, y)
        s[biases + i] += total(sums)
        if want:
            lost += total(squares)
    _down(model, s, n, d, e, at[BACK], blocks, zero)
    _outer(s, at, n, d, blocks, zero)
    for i in range(w, w + 16 * blocks, 16):
        store(s, i, splat(zero))
    for i in range(x, x + 16 * blocks * n, 16):
        store(s, i, splat(zero))
    return lost


@fast
def finish(
    model: Any, s: Any, at: Any, shape: Any, off: int, rates: Any, want: bool, zero: Any
) -> float:
    """Samples with nothing on, then Adam; rates are those of this step (`STEP`)."""
    n, size = shape[N], shape[SIZE]
    g, bias, importance = at[GRADIENT], n * shape[D], 3 * size
    lost = 0.0
    for i in range(n):
        b = model[bias + i]
        if shape[RELU] != 0 and b <= zero:
            b = zero
        share = model[importance + i] * b * off
        lost += share * b
        if shape[BIAS] != 0:
            s[g + bias + i] += share
        else:
            s[g + bias + i] = zero
    scale, keep = splat(rates[SCALE]), splat(rates[KEEP])
    first, fresh = splat(rates[FIRST]), splat(rates[FRESH])
    second, square = splat(rates[SECOND]), splat(rates[SQUARE])
    unbias, epsilon, step = splat(rates[UNBIAS]), splat(rates[TINY]), splat(rates[STEP])
    for i in range(0, size, 16):
        gradient = mul(load(s, g + i), scale)
        m = fma(gradient, fresh, mul(load(model, size + i), first))
        v = fma(mul(gradient, gradient), square, mul(load(model, 2 * size + i), second))
        store(model, size + i, m)
        store(model, 2 * size + i, v)
        below = fma(root(v), unbias, epsilon)
        theta = mul(load(model, i), keep)
        store(model, i, sub(theta, mul(step, div(m, below))))
        store(s, g + i, splat(zero))
    return lost


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
def train(
    model: Any,
    s: Any,
    at: Any,
    shape: Any,
    state: Any,
    bits: Any,
    counts: Any,
    starts: Any,
    members: Any,
    keep: Any,
    other: Any,
    where: Any,
    accept: Any,
    levels: Any,
    rates: Any,
    want: Any,
    losses: Any,
    one: Any,
) -> None:
    """Train one model for as many steps as `rates` has rows.

    Parameters
    ----------
    model : (3 SIZE + n,) array
        Parameters, both moments, importance; changed.
    s : array
        Scratch, zero wherever it may be read; left so.
    at, shape : integer arrays
        Where the parts of the scratch begin, and what is trained (names above).
    state : (WORDS,) array of uint64
        Of the random numbers; changed.
    bits, counts : integer scratch
        BITS random words; counts of the patterns, and the list of rare ones met.
    starts, members : integer arrays
        Of the patterns.
    keep, other, where : arrays
        Alias tables.
    accept : array of uint64
        Gaps: a word below this keeps the event of a group; 0 keeps all.
    levels : array
        Dense: S of each feature, then 1 / S of each.
    rates : (T, 9) array
    want : (T,) array of bool
        Steps whose loss is recorded,
    losses : (T,) array of float64
        here.
    one : float
        Says in which precision.
    """
    n, batch, form, law = shape[N], shape[BATCH], shape[FORM], shape[LAW]
    blocks, size, single = shape[BLOCKS], shape[GROUP], shape[SINGLE] != 0
    often, rare = shape[OFTEN], shape[RARE] != 0
    room, zero = 16 * blocks, one - one
    x, w, values = at[INPUT], at[WEIGHT], at[VALUES]
    place, ready = BITS, POOL
    for t in range(len(rates)):
        lost, column, off = 0.0, 0, 0
        asked = want[t]
        if form == PATTERNS:
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
                        lost += flush(model, s, at, shape, blocks, asked, zero)
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
                            lost += flush(model, s, at, shape, blocks, asked, zero)
                            column = 0
                if j >= often:
                    counts[p] = 0
        elif form == GAPS:
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
                            lost += flush(model, s, at, shape, blocks, asked, zero)
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
        else:
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
                    lost += flush(model, s, at, shape, blocks, asked, zero)
                    column = 0
            off = 0
        if column > 0:
            lost += flush(model, s, at, shape, (column + 15) >> 4, asked, zero)
        lost += finish(model, s, at, shape, off, rates[t], asked, zero)
        losses[t] = lost / batch
