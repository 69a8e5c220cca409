# mypy: disable-error-code="no-untyped-def,no-untyped-call,attr-defined,call-arg"
"""What the GPU kernels are made of: random numbers, and the arithmetic of a model.

Factories: each returns functions compiled for one `Shape`, whose n, d and lanes are then constants,
so that loops unroll and arrays become registers. Lane l of G owns features l, l + G, ...: it forms
their columns of the matrices

    gram[j, i] = (W'W)_ji      acc[j, i] = sum over samples of x_j e_i,  e = relu(z) - x where z > 0

with z = gram x + b, and of the gradient of sum_i I_i mean (x_i - relu(z_i))^2, which is
dL/dW = W (D + D'), D_ij = (2/B) I_i acc[j, i], dL/db_i = (2/B) I_i sum e_i (`validate.engine`).
Products that are added always go through one fused multiply-add, so that no compiler is left a
choice of rounding: sums do not depend on the number of lanes.

The arithmetic is checked in numba's simulator and compiled for a processor, never on a GPU.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numba import cuda

from validate.engine import EPSILON

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
