"""What the GPU kernels are made of: random numbers, and the arithmetic of a model.

Factories: each returns functions compiled for one `Shape`, whose n, d and lanes are then constants,
so that loops unroll and arrays become registers. Lane l of G owns features l, l + G, ...: it forms
their columns of the matrices

    gram[j, i] = (W'W)_ji      acc[j, i] = sum over samples of x_j e_i,  e = relu(z) - x where z > 0

with z = gram x + b, and of the gradient of sum_i I_i mean (x_i - relu(z_i))^2, which is
dL/dW = W (D + D'), D_ij = (2/B) I_i acc[j, i], dL/db_i = (2/B) I_i sum e_i
(`validate.training.step`).
Products that are added always go through one fused multiply-add, so that no compiler is left a
choice of rounding: sums do not depend on the number of lanes.

The arithmetic is checked in numba's simulator and compiled for a processor, never on a GPU.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numba
import numpy as np
from numba import cuda

from validate.training.step import EPSILON

# mypy: disable-error-code="no-untyped-def,no-untyped-call,attr-defined,call-arg"


FULL = 0xFFFFFFFF
U7, U9, U11 = 7, 9, 11


@dataclass(frozen=True)
class Shape:
    """What a kernel is compiled for.

    Parameters
    ----------
    kind : {"counts", "rows"}
    n, d, lanes : int
        Features, dimensions, lanes per model.
    models : int
        Models per block.
    double, relu, bias : bool
    fed : bool
        Whether samples are read rather than drawn.
    place : {"gpu", "simulator", "host"}
    """

    kind: str
    n: int
    d: int
    lanes: int
    models: int
    double: bool
    relu: bool
    bias: bool
    fed: bool
    place: str

    @property
    def own(self) -> int:
        """Features per lane, at most."""
        return -(-self.n // self.lanes)

    @property
    def local(self) -> bool:
        """Whether the matrices of a model live in registers."""
        small = self.n <= REGISTERS and self.d <= REGISTERS
        return self.kind == "counts" and self.lanes == 1 and small

    @property
    def words(self) -> int:
        """Numbers of shared memory per model, odd: neighbours then start in different banks."""
        return (2 * self.n * self.n + (self.d + 3) * self.n) | 1


REGISTERS = 6
"""Largest n and d whose matrices fit a thread's registers beside W and its moments."""


def device_for(shape: Shape) -> Callable[[Any], Any]:
    """How a function that kernels call is compiled."""
    if shape.place == "gpu":
        # Older releases leave it to the optimiser; arrays stay in registers only if it inlines.
        known = "forceinline" in inspect.signature(cuda.jit).parameters
        return cuda.jit(device=True, **({"forceinline": True} if known else {}))
    if shape.place == "host":
        return numba.njit(error_model="numpy")
    return lambda function: function


def random_parts(shape: Shape) -> tuple[Any, Any, Any, Any]:
    """Words, thresholds, entries of alias tables, and values of on features."""
    device, double = device_for(shape), shape.double
    real = np.float64 if double else np.float32
    full = np.uint32(FULL)
    one, grain, fine, coarse = real(1), real(2.0**-24), real(2.0**-53), real(2.0**26)

    @device
    def word(g):
        s0, s1, s3 = g[0], g[1], g[3]
        x = np.uint32(s0 + s3)
        u = np.uint32(np.uint32((x << U7) | (x >> 25)) + s0)
        s2 = np.uint32(g[2] ^ s0)
        s3 = np.uint32(s3 ^ s1)
        g[0] = np.uint32(s0 ^ s3)
        g[1] = np.uint32(s1 ^ s2)
        g[2] = np.uint32(s2 ^ np.uint32(s1 << U9))
        g[3] = np.uint32((s3 << U11) | (s3 >> 21))
        return u

    @device
    def below(limit, low, g):
        """Whether a uniform number is below (limit + low / 2^32) / 2^32."""
        u = word(g)
        return u < limit or (u == limit and word(g) < low)

    @device
    def entry(offset, bits, limits, lows, others, g):
        """A column of an alias table of 2^bits columns: itself below its limit, else its other."""
        u = word(g)
        column = np.int32(u >> np.uint32(32 - bits))
        rest = np.uint32(u & np.uint32(full >> np.uint32(bits)))
        p = np.uint32(offset + column)  # without a sign nobody asks whether it counts from the end
        limit = limits[p]
        if rest > limit or (rest == limit and word(g) >= lows[p]):
            return others[p]
        return column

    @device
    def value(law, g):
        """1, uniform or exponential: law 0, 1, 2."""
        if law == 0:
            return one
        if double:
            v = (real(word(g) >> np.uint32(5)) * coarse + real(word(g) >> np.uint32(6))) * fine
        else:
            v = real(word(g) >> np.uint32(8)) * grain
        if law == 1:
            return v
        return real(-math.log(one - v))

    return word, below, entry, value


def model_parts(shape: Shape, fma: Any, barrier: Any) -> tuple[Any, ...]:
    """What a model does with its numbers, whatever its samples are."""
    device = device_for(shape)
    n, d, lanes, own = shape.n, shape.d, shape.lanes, shape.own
    relu, bias = shape.relu, shape.bias
    real = np.float64 if shape.double else np.float32
    zero, half, epsilon = real(0), real(0.5), real(EPSILON)

    @device
    def load(k, K, lane, theta, first, second, random, scale, w, sc, m, v, g):
        for r in range(own):
            i = lane + r * lanes
            if i < n:
                sc[i] = scale[i * K + k]
                for c in range(d + 1):
                    w[c * n + i] = theta[(c * n + i) * K + k]
                    m[c * own + r] = first[(c * n + i) * K + k]
                    v[c * own + r] = second[(c * n + i) * K + k]
        for j in range(4):
            g[j] = random[j * K + k]
        barrier()

    @device
    def store(k, K, lane, theta, first, second, random, sound, w, m, v, g):
        fine = True
        for r in range(own):
            i = lane + r * lanes
            if i < n:
                for c in range(d + 1):
                    a, b, q = w[c * n + i], m[c * own + r], v[c * own + r]
                    theta[(c * n + i) * K + k] = a
                    first[(c * n + i) * K + k] = b
                    second[(c * n + i) * K + k] = q
                    # A difference of a number with itself is 0 unless it is infinite or NaN.
                    fine = fine and a - a == zero and b - b == zero and q - q == zero
        sound[lane * K + k] = 1 if fine else 0
        if lane == 0:
            for j in range(4):
                random[j * K + k] = g[j]

    @device
    def prepare(lane, w, gram, acc, gb, ls):
        for r in range(own):
            i = lane + r * lanes
            gb[r] = zero
            ls[r] = zero
            if i < n:
                for j in range(n):
                    s = zero
                    for c in range(d):
                        s = fma(w[c * n + j], w[c * n + i], s)
                    gram[j * n + i] = s
                    acc[j * n + i] = zero

    @device
    def answer(z, x, count, r, gb, ls):
        """Loss and slope of one feature of `count` equal samples; returns their summed slope."""
        e = z - x
        if relu and z <= zero:  # NaN goes on as NaN
            e = -x
        ls[r] = fma(count * e, e, ls[r])
        if relu and z <= zero:
            e = zero
        gb[r] = fma(count, e, gb[r])
        return count * e

    @device
    def sample(lane, x, count, w, gram, acc, gb, ls):
        """`count` equal samples x."""
        for r in range(own):
            i = lane + r * lanes
            if i < n:
                z = w[d * n + i]
                for j in range(n):
                    z = fma(x[j], gram[j * n + i], z)
                slope = answer(z, x[i], count, r, gb, ls)
                for j in range(n):
                    acc[j * n + i] = fma(x[j], slope, acc[j * n + i])

    @device
    def update(k, K, lane, at, record, slot, rates, losses, w, sc, acc, tmp, gb, ls, grad, m, v):
        """Gradient, then Adam (Kingma and Ba 2015, Algorithm 1) with decoupled decay."""
        for r in range(own):
            i = lane + r * lanes
            if i < n:
                tmp[i] = ls[r]
        barrier()  # acc and tmp are whole
        for r in range(own):
            i = lane + r * lanes
            if i < n:
                for c in range(d):
                    grad[c * own + r] = zero
                for j in range(n):
                    t = fma(acc[j * n + i], sc[i], acc[i * n + j] * sc[j])
                    for c in range(d):
                        grad[c * own + r] = fma(w[c * n + j], t, grad[c * own + r])
                grad[d * own + r] = gb[r] * sc[i] if bias else zero
        if record and lane == 0:
            total = zero
            for i in range(n):
                total = fma(half * sc[i], tmp[i], total)
            losses[slot * K + k] = total
        barrier()  # nobody reads W any more
        rate, root, decay = rates[7 * at], rates[7 * at + 1], rates[7 * at + 2]
        one, rest = rates[7 * at + 3], rates[7 * at + 4]
        two, left = rates[7 * at + 5], rates[7 * at + 6]
        for r in range(own):
            i = lane + r * lanes
            if i < n:
                for c in range(d + 1):
                    q, p = c * own + r, c * n + i
                    s = grad[q]
                    m[q] = fma(rest, s, one * m[q])
                    v[q] = fma(left * s, s, two * v[q])
                    below = fma(real(math.sqrt(v[q])), root, epsilon)
                    w[p] = fma(-rate, m[q] / below, decay * w[p])
        barrier()  # W is whole

    return load, store, prepare, answer, sample, update


# The loops over the steps of a chunk: from counts of patterns, or row by row.
#
#     counts   independent Poisson counts of the patterns, their sum T accepted with chance
#              Binomial(T; B, a) / (c Poisson(T; B a)), a the chance that a sample is not of the
# most
#              frequent pattern, which takes what is left. Given T, Poisson counts are multinomial
#              whatever the law of T, and the acceptance gives T its law: exact.
#     rows     on groups at geometric gaps over the samples of a batch, one after the other; samples
#              with nothing on are counted, and their one gradient is applied once.
#
# The lanes of a model take every branch together, since they draw the same numbers; models of one
# warp part ways, each with a step counter of its own.


# mypy: disable-error-code="no-untyped-def,no-untyped-call"


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


# Kernels that train a model from the first step of a chunk to its last without leaving the chip.
#
# G lanes (threads of one warp, G a power of two) work on a model, each on features of its own
# (`validate.training.cuda_kernels`). Every lane draws the same random numbers for itself, so a
# sample
# takes no exchange between lanes; only the update reads its neighbours' numbers, behind barriers of
# the model's own lanes. The result does not depend on G, hence not on the company. Two kernels:
#
#     counts   few on/off patterns, binary values: how often each occurs in the batch
#     rows     any law, any n that fits: sample by sample, those with nothing on only counted
#
# (`validate.training.cuda_kernels`). Tables are those of `validate.training.cuda_engine`. One
# source
# serves
# three places: the GPU, numba's simulator (NUMBA_ENABLE_CUDASIM=1 before numba is imported) and the
# processor ("host": numba's CPU compiler, one lane), where tests can afford many steps. With `fed`,
# counts or events are read instead of drawn.
#
# The choice of numba-cuda over Triton is argued, not measured: it is small, has a simulator, and
# shares its language with the CPU engine. No kernel has run on a GPU yet.


# mypy: disable-error-code="no-untyped-def,no-untyped-call,attr-defined,call-arg"


SIMULATED = bool(cuda.config.ENABLE_CUDASIM)
"""Whether kernels run in the simulator; decided when numba is first imported."""


def _fma(shape: Shape) -> Any:
    if shape.place == "host":
        return numba.njit(lambda a, b, c: a * b + c)

    def fma(a, b, c):
        return cuda.fma(a, b, c)

    return device_for(shape)(fma)


def _barrier(shape: Shape) -> Any:
    """A barrier of the lanes of one model.

    The simulator has barriers of whole blocks only. They serve as well: every thread's i-th barrier
    is then everybody's i-th, and the lanes of a model pass equally many.
    """
    lanes = shape.lanes
    mine = FULL if lanes == 32 else (1 << lanes) - 1

    if lanes == 1:

        def barrier():
            pass

    elif shape.place == "gpu":

        def barrier():
            cuda.syncwarp(np.int32(mine << (cuda.laneid & ~(lanes - 1))))

    else:

        def barrier():
            cuda.syncthreads()

    return device_for(shape)(barrier)


@cache
def kernel(shape: Shape) -> Any:
    """The kernel of a shape.

    Parameters
    ----------
    shape : Shape

    Returns
    -------
    callable
        Of (K, span, state, random, sound, laws, tables, given, rates, losses); on the GPU and in
        the simulator it wants a grid: [blocks, (lanes, models)].
    """
    n, own, per, models = shape.n, shape.own, shape.words, shape.models
    width, params, square = (shape.d + 1) * own, (shape.d + 1) * n, n * n
    block = per * models  # a constant of the compiler's, so worked out here
    real = np.float64 if shape.double else np.float32
    loop = counts_loop if shape.kind == "counts" else rows_loop
    train = loop(shape, _fma(shape), _barrier(shape))

    if shape.place == "host":

        @numba.njit(error_model="numpy")
        def on_host(K, span, state, random, sound, laws, tables, given, rates, losses):
            w, gram, acc = np.empty(params, real), np.empty(square, real), np.empty(square, real)
            sc, tmp, x = np.empty(n, real), np.empty(n, real), np.empty(n, real)
            z, gb, ls = np.empty(own, real), np.empty(own, real), np.empty(own, real)
            places, values = np.empty(n, np.int32), np.empty(n, real)
            grad, m, v = np.empty(width, real), np.empty(width, real), np.empty(width, real)
            g = np.empty(4, np.uint32)
            mem = (w, gram, acc, sc, tmp, x, z, places, values, gb, ls, grad, m, v, g)
            for k in range(K):
                train(k, K, 0, span, state, random, sound, laws, tables, given, rates, losses, mem)

        return on_host

    @cuda.jit
    def in_registers(K, span, state, random, sound, laws, tables, given, rates, losses):
        k = cuda.blockIdx.x * models + cuda.threadIdx.y
        if k >= K:
            return
        w = cuda.local.array(params, real)
        gram = cuda.local.array(square, real)
        acc = cuda.local.array(square, real)
        sc = cuda.local.array(n, real)
        tmp = cuda.local.array(n, real)
        x = cuda.local.array(n, real)
        z = cuda.local.array(own, real)
        places = cuda.local.array(n, np.int32)
        values = cuda.local.array(n, real)
        gb = cuda.local.array(own, real)
        ls = cuda.local.array(own, real)
        grad = cuda.local.array(width, real)
        m = cuda.local.array(width, real)
        v = cuda.local.array(width, real)
        g = cuda.local.array(4, np.uint32)
        mem = (w, gram, acc, sc, tmp, x, z, places, values, gb, ls, grad, m, v, g)
        train(k, K, 0, span, state, random, sound, laws, tables, given, rates, losses, mem)

    @cuda.jit
    def in_shared(K, span, state, random, sound, laws, tables, given, rates, losses):
        memory = cuda.shared.array(block, real)
        k = cuda.blockIdx.x * models + cuda.threadIdx.y
        if k >= K:
            return
        a = cuda.threadIdx.y * per
        b = a + square
        c = b + square
        gram, acc, w = memory[a:b], memory[b:c], memory[c : c + params]
        a = c + params
        sc, tmp = memory[a : a + n], memory[a + n : a + 2 * n]
        x = cuda.local.array(n, real)
        z = cuda.local.array(own, real)
        places = cuda.local.array(n, np.int32)
        values = cuda.local.array(n, real)
        gb = cuda.local.array(own, real)
        ls = cuda.local.array(own, real)
        grad = cuda.local.array(width, real)
        m = cuda.local.array(width, real)
        v = cuda.local.array(width, real)
        g = cuda.local.array(4, np.uint32)
        mem = (w, gram, acc, sc, tmp, x, z, places, values, gb, ls, grad, m, v, g)
        lane = cuda.threadIdx.x
        train(k, K, lane, span, state, random, sound, laws, tables, given, rates, losses, mem)

    return in_registers if shape.local else in_shared
