"""The kernel of the compiled engine: whole stretches of one model's training, nothing leaves it.

A step draws its samples as columns (`columns`), which are flushed into the gradient (`products`),
adds the gradient of the samples with nothing on, 2/B times relu(b) for each, all at once, and makes
the update of Adam. Learning rates are those of `validate.engine`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from validate.engines.columns import BITS, GAPS, PATTERNS, POOL, by_cells, by_gaps, by_patterns
from validate.engines.products import BATCH, BIAS, FORM, GRADIENT, RELU, SIZE, D, N, fast, flush
from validate.engines.simd import div, fma, load, mul, root, splat, store, sub

SCALE, KEEP, FIRST, FRESH, SECOND, SQUARE, UNBIAS, TINY, STEP = range(9)

UNDER = "d41d71fff47d89c6"
"""First digits of the SHA-256 of simd.py, products.py and columns.py. The compiler's cache on disk
looks at the file of a function only, so a change there must change this file too (tested)."""


@fast
def finish(model: Any, s: Any, at: Any, shape: Any, off: int, rates: Any, zero: Any) -> float:
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
    form, batch, zero = shape[FORM], shape[BATCH], one - one
    spent = np.array([BITS, POOL])
    for t in range(len(rates)):
        if form == PATTERNS:
            lost, off, column = by_patterns(
                model,
                s,
                at,
                shape,
                state,
                bits,
                spent,
                counts,
                starts,
                members,
                keep,
                other,
                where,
                want[t],
                one,
            )
        elif form == GAPS:
            lost, off, column = by_gaps(
                model, s, at, shape, state, bits, spent, keep, other, where, accept, want[t], one
            )
        else:
            lost, off, column = by_cells(model, s, at, shape, state, levels, want[t], one)
        if column > 0:
            lost += flush(model, s, at, shape, (column + 15) >> 4, want[t], zero)
        lost += finish(model, s, at, shape, off, rates[t], zero)
        losses[t] = lost / batch
