"""What a step must cost: operations and bytes counted from n, d and the law, and a device's peak.

Counted are the additions, multiplications, divisions and roots that the sparse step needs whatever
does it (a fused multiply-add is two): the Gram matrix once by symmetry, each on/off pattern that
occurs once with its count (binary, few patterns) or each sample with something on, the gradient and
Adam. Random numbers, look-ups and comparisons are left out, so the fraction of the bound that an
engine reaches is a fraction of what arithmetic alone would allow. Bytes: the state of a model in
and out once per chunk, and its recorded losses.

The peak of a device is cores x clock x 2: a bound no kernel reaches that does anything but fused
multiply-adds. Derived here; `benchmarks/gpu.py` prints it beside what was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from validate.data import sampler
from validate.engines.gpu_lanes import RECORDS, chunk_of, itemsize, kind_of
from validate.engines.gpu_tables import ordered
from validate.runs import Run

ADAM = 13
"""Operations of Adam per parameter: 3 for the first moment, 4 for the second, a root, 2 below the
line, a division, 2 to step."""

CORES = {(6, 0): 64, (7, 0): 64, (7, 2): 64, (7, 5): 64, (8, 0): 64}
"""float32 cores per multiprocessor by compute capability; 128 where nothing is said."""


@dataclass(frozen=True)
class Bound:
    """What one step of one model takes, at least.

    Parameters
    ----------
    operations : float
        Floating-point operations.
    dense : float
        The same if every sample is multiplied out, as PyTorch's batched step does.
    bytes : float
        To and from device memory, spread over the steps of a chunk.
    """

    operations: float
    dense: float
    bytes: float


@dataclass(frozen=True)
class Device:
    """Peak of a device: float32 operations and bytes per second."""

    name: str
    operations: float
    bytes: float


def bound(run: Run) -> Bound:
    """Operations and bytes of one step of a run."""
    s, batch = run.setting, run.recipe.batch
    n, d, size = s.n, s.d, s.n * (s.d + 1)
    law = sampler(s)
    around = n * (n + 1) * d + 1.5 * n * (n + 1) + 2.0 * n * n * d + ADAM * size
    if kind_of(run) == "counts":
        masks, q = ordered(law)
        there = -np.expm1(batch * np.log1p(-np.minimum(q, 1.0 - 1e-16)))
        on = np.array([mask.bit_count() for mask in masks])
        samples = float(np.sum(there * n * (2.0 * on + 4.0)))
    else:
        mean = float(np.sum(law.chance) * (1 if law.single else law.size))  # on per sample
        samples = batch * n * (4.0 * mean + 3.0 * law.active)
    dense = 2.0 * n * n * d + 4.0 * n * n * batch + 4.0 * n * batch + 4.0 * n * n * d + ADAM * size
    state = itemsize(run.recipe) * (6.0 * size + n + RECORDS) + 2 * 16 + 8
    return Bound(around + samples, dense, state / chunk_of(run.recipe))


def device() -> Device:
    """Peak of the GPU in use, from what its driver says of it."""
    import torch
    from numba import cuda

    found = cuda.get_current_device()
    cores = CORES.get(tuple(found.compute_capability), 128)
    # Clocks in kHz; memory moves two words per clock and pin.
    operations = 2.0 * found.MULTIPROCESSOR_COUNT * cores * found.CLOCK_RATE * 1e3
    memory = 2.0 * found.MEMORY_CLOCK_RATE * 1e3 * found.GLOBAL_MEMORY_BUS_WIDTH / 8.0
    return Device(torch.cuda.get_device_name(), operations, memory)
