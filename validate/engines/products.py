"""The products of a training step, sixteen columns at a time.

Samples stand in columns, sixteen side by side (a block), several blocks at a time: as many as keep
everything in the nearest cache. With h = W x, z = W'h + b, e = w I (relu(z) - x) where z > 0,
w how often a column occurs,

    dL/db = (2/B) sum e,   dL/dW = (2/B) sum (h e' + g x'),   g = W e,

about 5 n d multiply-adds a column. Rows are taken four (or two) at a time, so that a vector that
was loaded is used more than once.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from validate.engines.simd import add, fma, load, mul, splat, store, sub, total, where_positive

# Places in `shape`, the whole numbers a kernel is told, and in `at`, where its scratch begins.
N, D, SIZE, BLOCKS, BATCH, FORM, LAW, RELU, BIAS, GROUP, SINGLE, OFTEN, RARE, LAST = range(14)
GRADIENT, HIDDEN, BACK, INPUT, ERROR, WEIGHT, VALUES = range(7)

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
