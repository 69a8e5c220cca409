"""The kernel of the CUDA engine: training of one model by a block of threads.

A model is trained from the first step of a launch to its last, and thread i of a block owns
feature i: column i of W, b_i, their moments, and column i of two matrices,

    gram[j, i] = (W'W)_ji      acc[j, i] = sum over samples of x_j e_i,  e = relu(z) - x where z > 0

with z = gram x + b. The loss sum_i I_i mean (x_i - relu(z_i))^2 then has the gradient
dL/dW = W (D + D'), D_ij = s_i acc[j, i], dL/db_i = s_i sum e_i, s = (2/B) I, as in
`validate.training.step`.

Samples are made row by row. Every thread draws the same random numbers for itself (xoshiro128++,
Blackman and Vigna 2021, doi:10.1145/3460772), so a sample takes no exchange between threads: the
gap to the next group that is on is geometric, floor(log(1 - u) / log(1 - q)); where chances differ
q is the largest and others are kept with chance q_g / q. Samples with nothing on are only counted,
and their one gradient is applied once. Blocks share nothing, so a model's result is bitwise the
same in any company.
"""

# The compiler types what a kernel is given at launch; annotations there would be decoration.
# mypy: disable-error-code="no-untyped-def,no-untyped-call,attr-defined,call-arg"

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import cuda

from validate.training.step import EPSILON

LAWS = ("binary", "uniform", "exponential")
"""Laws of the values, numbered for the kernel."""


class Shape(NamedTuple):
    """What the kernel is compiled for.

    Parameters
    ----------
    n, d : int
    relu, bias : bool
    size : int
        Features of a group.
    single : bool
        Whether one member of an on group is on, rather than all.
    law : int
        Of the values, as in LAWS.
    double : bool
        Whether in float64.
    fed : bool
        Whether samples are read rather than drawn.
    """

    n: int
    d: int
    relu: bool
    bias: bool
    size: int
    single: bool
    law: int
    double: bool
    fed: bool


@cache
def kernel(shape: Shape) -> Any:
    """The kernel of a shape, to be launched with a block of n threads for each of K models.

    Returns
    -------
    callable
        Of batch; theta, first, second (K, n d + n), changed; scale (K, n), (2/B) I; random (K, 4),
        changed; pace (K,), 1 / log(1 - q); keep (K, groups), the chance to keep an event;
        rates (T, 7), see `rates_of`; given (K, T, B n), read where samples are fed; gram and
        acc (K, n n), scratch; losses (K, n), each feature's share of the last batch's loss.
    """
    n, d, relu, bias, size, single, law, double, fed = shape
    real = np.float64 if double else np.float32
    zero, half, epsilon = real(0), real(0.5), real(EPSILON)
    groups, width = n // size, d + 1
    whole = np.uint32(0xFFFFFFFF)

    @cuda.jit(device=True)
    def word(g):
        """32 random bits."""
        total = np.uint32((g[0] + g[3]) & whole)
        drawn = np.uint32((np.uint32((total << 7) | (total >> 25)) + g[0]) & whole)
        shifted = np.uint32((g[1] << 9) & whole)
        g[2] ^= g[0]
        g[3] ^= g[1]
        g[1] ^= g[2]
        g[0] ^= g[3]
        g[2] ^= shifted
        g[3] = np.uint32((g[3] << 11) | (g[3] >> 21))
        return drawn

    @cuda.jit(device=True)
    def uniform(g):
        """A number on [0, 1) of 53 bits."""
        high, low = word(g) >> np.uint32(5), word(g) >> np.uint32(6)
        return (np.float64(high) * 67108864.0 + np.float64(low)) * 2.0**-53

    @cuda.jit(device=True)
    def value(g):
        """Of a feature that is on."""
        if law == 0:
            return real(1)
        u = uniform(g)
        return real(u) if law == 1 else real(-math.log1p(-u))

    @cuda.jit(device=True)
    def following(cell, total, k, t, pace, keep, given, g):
        """The next cell after this one that is on; `total` or more if there is none."""
        while True:
            if fed:
                cell += 1
                if cell >= total or given[k, t, cell] != zero:
                    return cell
            else:
                cell += 1 + int(math.log1p(-uniform(g)) * pace[k])
                if cell >= total:
                    return cell
                chance = keep[k, cell % groups]
                if chance >= 1.0 or uniform(g) < chance:
                    return cell

    @cuda.jit
    def train(
        batch, theta, first, second, scale, random, pace, keep, rates, given, gram, acc, losses
    ):
        k, i = cuda.blockIdx.x, cuda.threadIdx.x
        places, values = cuda.local.array(n, np.int32), cuda.local.array(n, real)
        gradient, g = cuda.local.array(width, real), cuda.local.array(4, np.uint32)
        for j in range(4):
            g[j] = random[k, j]
        for t in range(len(rates)):
            # Column i of the matrices: read and written by this thread alone until the barrier.
            for j in range(n):
                product = zero
                for c in range(d):
                    product += theta[k, c * n + j] * theta[k, c * n + i]
                gram[k, j * n + i] = product
                acc[k, j * n + i] = zero
            b = theta[k, d * n + i]
            slopes, loss = zero, zero  # sums of e_i and of squared errors
            total, rows, count = batch * groups, 0, 0
            cell = following(-1, total, k, t, pace, keep, given, g)
            while cell < total:
                # One sample: all cells of its row that are on.
                row, count, z, x = cell // groups, 0, b, zero
                while cell < total and cell // groups == row:
                    low = (cell - row * groups) * size
                    high = low + size
                    if single:
                        low += int(uniform(g) * size)
                        high = low + 1
                    for j in range(low, high):
                        v = given[k, t, cell] if fed else value(g)
                        z += v * gram[k, j * n + i]
                        if i == j:
                            x = v
                        places[count], values[count] = j, v
                        count += 1
                    cell = following(cell, total, k, t, pace, keep, given, g)
                rows += 1
                dead = relu and z <= zero  # NaN goes on as NaN
                e = -x if dead else z - x
                loss += e * e
                if not dead:
                    slopes += e
                    for q in range(count):
                        acc[k, places[q] * n + i] += values[q] * e
            # Samples with nothing on answer with relu(b).
            e = zero if relu and b <= zero else b
            loss += real(batch - rows) * e * e
            slopes += real(batch - rows) * e
            cuda.syncthreads()  # acc is whole
            s = scale[k, i]
            for c in range(d):
                gradient[c] = zero
            for j in range(n):
                both = acc[k, j * n + i] * s + acc[k, i * n + j] * scale[k, j]
                for c in range(d):
                    gradient[c] += theta[k, c * n + j] * both
            gradient[d] = slopes * s if bias else zero
            losses[k, i] = half * s * loss
            cuda.syncthreads()  # nobody reads W any more
            # Adam (Kingma and Ba 2015, Algorithm 1) with decoupled weight decay.
            rate, root, decay = rates[t, 0], rates[t, 1], rates[t, 2]
            one, rest, two, left = rates[t, 3], rates[t, 4], rates[t, 5], rates[t, 6]
            for c in range(width):
                p, slope = c * n + i, gradient[c]
                m = one * first[k, p] + rest * slope
                v = two * second[k, p] + left * slope * slope
                first[k, p], second[k, p] = m, v
                theta[k, p] = decay * theta[k, p] - rate * m / (real(math.sqrt(v)) * root + epsilon)
            cuda.syncthreads()  # W is whole
        if i == 0:
            for j in range(4):
                random[k, j] = g[j]

    return train


__all__ = ["LAWS", "Shape", "kernel"]
