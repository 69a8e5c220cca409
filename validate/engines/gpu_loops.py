# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""The loops over the steps of a chunk: from counts of patterns, or row by row.

    counts   independent Poisson counts of the patterns, their sum T accepted with chance
             Binomial(T; B, a) / (c Poisson(T; B a)), a the chance that a sample is not of the most
             frequent pattern, which takes what is left. Given T, Poisson counts are multinomial
             whatever the law of T, and the acceptance gives T its law: exact.
    rows     on groups at geometric gaps over the samples of a batch, one after the other; samples
             with nothing on are counted, and their one gradient is applied once.

The lanes of a model take every branch together, since they draw the same numbers; models of one
warp part ways, each with a step counter of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from validate.engines.gpu_parts import FULL, Shape, device_for, model_parts, random_parts


def counts_loop(shape: Shape, fma: Any, barrier: Any) -> Any:
    """Training on counts of on/off patterns."""
    device = device_for(shape)
    _, below, entry, _ = random_parts(shape)
    load, store, prepare, _, sample, update = model_parts(shape, fma, barrier)
    n, fed = shape.n, shape.fed
    real = np.float64 if shape.double else np.float32
    zero, one = real(0), real(1)

    @device
    def pattern(mask, x):
        for j in range(n):
            x[j] = one if (mask >> j) & 1 else zero

    @device
    def train(k, K, lane, span, state, random, sound, laws, tables, given, rates, losses, own):
        start, stop, every, batch = span
        theta, first, second, scale = state
        law, heads, plans = laws
        limits, lows, others = tables
        w, gram, acc, sc, tmp, x, _, _, _, gb, ls, grad, m, v, g = own
        load(k, K, lane, theta, first, second, random, scale, w, sc, m, v, g)
        h = 8 * law[k]
        base, frequent, rare, total = heads[h], heads[h + 1], heads[h + 2], heads[h + 3]
        which, gate, low, high = heads[h + 4], heads[h + 5], heads[h + 6], heads[h + 7]
        step, due, slot = start, (start // every + 1) * every, 0
        while step < stop:
            prepare(lane, w, gram, acc, gb, ls)
            left = batch
            for p in range(frequent):
                q = np.uint32(4 * (total + p))
                bits, first_count = plans[np.uint32(q + 2)], plans[np.uint32(q + 3)]
                if fed:
                    count = given[(k * (stop - start) + step - start) * rare + p]
                else:
                    table = plans[np.uint32(q + 1)]
                    count = first_count + entry(table, bits, limits, lows, others, g)
                left -= count
                pattern(plans[q], x)
                sample(lane, x, real(count), w, gram, acc, gb, ls)
            taken = True
            if not fed:
                q = 4 * (total + frequent)
                count = entry(plans[q + 1], plans[q + 2], limits, lows, others, g)
                left -= count
                for _ in range(count):
                    p = entry(which >> 5, which & 31, limits, lows, others, g)
                    pattern(plans[np.uint32(4 * (total + frequent + 1 + p))], x)
                    sample(lane, x, one, w, gram, acc, gb, ls)
                done = batch - left
                taken = done >= low and done < high
                if taken:
                    taken = below(limits[gate + done], lows[gate + done], g)
            if taken:
                pattern(base, x)
                sample(lane, x, real(left), w, gram, acc, gb, ls)
                step += 1
                record = step in (due, stop)
                update(
                    k, K, lane, step - 1 - start, record, slot, rates, losses,
                    w, sc, acc, tmp, gb, ls, grad, m, v,
                )  # fmt: skip
                if record:
                    due, slot = due + every, slot + 1
        store(k, K, lane, theta, first, second, random, sound, w, m, v, g)

    return train


def rows_loop(shape: Shape, fma: Any, barrier: Any) -> Any:
    """Training on samples one by one, those with nothing on only counted."""
    device = device_for(shape)
    word, below, entry, value = random_parts(shape)
    load, store, prepare, answer, _, update = model_parts(shape, fma, barrier)
    n, d, lanes, mine, fed = shape.n, shape.d, shape.lanes, shape.own, shape.fed
    real = np.float64 if shape.double else np.float32
    zero, whole = real(0), np.int64(2**32)

    @device
    def gap(offset, bits, limits, lows, others, g):
        """Cells to the next on group; the last column of the table is "further", without memory."""
        last = (1 << bits) - 1
        found = 1
        column = entry(offset, bits, limits, lows, others, g)
        while column == last:
            found += last
            column = entry(offset, bits, limits, lows, others, g)
        return found + column

    @device
    def member(size, g):
        """One of `size` alike (Lemire 2019, doi:10.1145/3230636): no remainder is favoured."""
        product = np.uint64(word(g)) * np.uint64(size)
        while np.uint32(product & np.uint64(FULL)) < (whole - size) % size:
            product = np.uint64(word(g)) * np.uint64(size)
        return np.int32(product >> np.uint64(32))

    @device
    def on(lane, j, value, count, gram, z, x, places, values):
        """One more feature of the sample is on."""
        for r in range(mine):
            i = lane + r * lanes
            if i < n:
                z[r] = fma(value, gram[j * n + i], z[r])
                if i == j:
                    x[r] = value
        places[count] = j
        values[count] = value

    @device
    def close(lane, count, acc, z, x, places, values, gb, ls):
        for r in range(mine):
            i = lane + r * lanes
            if i < n:
                slope = answer(z[r], x[r], real(1), r, gb, ls)
                for q in range(count):
                    p = places[q] * n + i
                    acc[p] = fma(values[q], slope, acc[p])

    @device
    def train(k, K, lane, span, state, random, sound, laws, tables, given, rates, losses, own):
        start, stop, every, batch = span
        theta, first, second, scale = state
        law, heads, _ = laws
        limits, lows, others = tables
        starts, cells, fills = given
        w, gram, acc, sc, tmp, x, z, places, values, gb, ls, grad, m, v, g = own
        load(k, K, lane, theta, first, second, random, scale, w, sc, m, v, g)
        h = 8 * law[k]
        groups, size, single, kind = heads[h], heads[h + 1], heads[h + 2], heads[h + 3]
        offset, bits, keep, thinned = heads[h + 4], heads[h + 5], heads[h + 6], heads[h + 7]
        total, cursor = batch * groups, 0
        step, due, slot = start, (start // every + 1) * every, 0
        if fed:
            cursor = starts[k]
        while step < stop:
            prepare(lane, w, gram, acc, gb, ls)
            cell, row, rows, count = -1, -1, 0, 0
            while row < batch:
                kept = True
                fill = zero
                if fed:
                    cell, fill = cells[cursor], fills[cursor]
                    cursor += 1
                else:
                    cell += gap(offset, bits, limits, lows, others, g)
                    if thinned and cell < total:
                        p = keep + cell % groups
                        kept = below(limits[p], lows[p], g)
                if kept:
                    here = cell // groups if cell < total else batch
                    if here != row:
                        if count > 0:
                            close(lane, count, acc, z, x, places, values, gb, ls)
                            rows += 1
                        row, count = here, 0
                        for r in range(mine):
                            i = lane + r * lanes
                            x[r] = zero
                            z[r] = w[d * n + i] if i < n else zero
                    if row < batch:
                        j = (cell - row * groups) * size
                        if fed:
                            on(lane, j, fill, count, gram, z, x, places, values)
                            count += 1
                        elif single:
                            j += member(size, g)
                            on(lane, j, value(kind, g), count, gram, z, x, places, values)
                            count += 1
                        else:
                            for _ in range(size):
                                on(lane, j, value(kind, g), count, gram, z, x, places, values)
                                count += 1
                                j += 1
            for r in range(mine):
                i = lane + r * lanes
                if i < n:
                    answer(w[d * n + i], zero, real(batch - rows), r, gb, ls)
            step += 1
            record = step in (due, stop)
            update(
                k, K, lane, step - 1 - start, record, slot, rates, losses,
                w, sc, acc, tmp, gb, ls, grad, m, v,
            )  # fmt: skip
            if record:
                due, slot = due + every, slot + 1
        store(k, K, lane, theta, first, second, random, sound, w, m, v, g)

    return train
