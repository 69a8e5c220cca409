# mypy: disable-error-code="no-untyped-def,no-untyped-call,attr-defined,call-arg"
"""Kernels that train a model from the first step of a chunk to its last without leaving the chip.

G lanes (threads of one warp, G a power of two) work on a model, each on features of its own
(`validate.engines.gpu_parts`). Every lane draws the same random numbers for itself, so a sample
takes no exchange between lanes; only the update reads its neighbours' numbers, behind barriers of
the model's own lanes. The result does not depend on G, hence not on the company. Two kernels:

    counts   few on/off patterns, binary values: how often each occurs in the batch
    rows     any law, any n that fits: sample by sample, those with nothing on only counted

(`validate.engines.gpu_loops`). Tables are those of `validate.engines.gpu_tables`. One source serves
three places: the GPU, numba's simulator (NUMBA_ENABLE_CUDASIM=1 before numba is imported) and the
processor ("host": numba's CPU compiler, one lane), where tests can afford many steps. With `fed`,
counts or events are read instead of drawn.

The choice of numba-cuda over Triton is argued, not measured: it is small, has a simulator, and
shares its language with the CPU engine. No kernel has run on a GPU yet.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np
from numba import cuda

from validate.engines.gpu_loops import counts_loop, rows_loop
from validate.engines.gpu_parts import FULL, Shape, device_for

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
