"""The GPU engine: whole stretches of training in one kernel, a model in the registers of its lanes.

The kernels and their law of samples are in `validate.engines.gpu_kernels`. Here: which runs fit,
how many lanes a model gets, what goes to the device and what comes back. Between two launches (a
chunk) a model's numbers rest in device memory; within one they stay on the chip, and only tables
are read, through the cache. Lanes per model follow the number of models and the device; results do
not depend on them.

What fits: float32, 2 n^2 + (d + 3) n <= 12288 (n up to about 76 at small d), half of it in float64;
batches up to 2^20. Beyond, PyTorch's batched step replayed as a CUDA graph (`graphs`).

The engine needs numba-cuda and a GPU. Without one it runs in numba's simulator (set
NUMBA_ENABLE_CUDASIM=1 before Python starts), or as ``CudaEngine("host")``, the same source compiled
for the processor: both for tests, not for work.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from packing.errors import BadInput
from theory.features import Float
from validate.data import Sampler, sampler
from validate.engines.gpu_lanes import (
    RECORDS,
    CudaLanes,
    itemsize,
    kind_of,
)
from validate.engines.gpu_tables import ordered
from validate.engines.seam import Engine, Lanes
from validate.feed import PATTERNS
from validate.runs import Run

if TYPE_CHECKING:
    import torch


class CudaEngine(Engine):
    """Models in registers and shared memory of a GPU.

    Parameters
    ----------
    where : {"", "gpu", "simulator", "host"}
        Empty for the simulator if numba runs in it, else the GPU.
    lanes : int
        Lanes per model; 0 to choose by their number and the device.
    """

    name = "cuda"
    places = ("cuda",)

    def __init__(self, where: str = "", lanes: int = 0) -> None:
        self.where, self.count = where, lanes

    def missing(self) -> str:
        for module, package in (("numba", "numba"), ("numba_cuda", "numba-cuda")):
            if importlib.util.find_spec(module) is None:
                return (
                    f"engine = 'cuda' needs {package}, which is not installed: "
                    "pip install 'feature-packing[cuda]'"
                )
        from numba import cuda

        if cuda.config.ENABLE_CUDASIM:
            return ""
        try:
            found = bool(cuda.is_available())
        except Exception:  # a driver may fail in many ways; none of them is a usable GPU
            found = False
        if not found:
            return (
                "engine = 'cuda' finds no GPU that numba-cuda can use (where there is one, it also "
                "wants NVIDIA's libraries: pip install 'numba-cuda[cu13]'); give numba or torch"
            )
        return ""

    def refusal(self, run: Run) -> str:
        return ""

    def alike(self, run: Run, place: str) -> tuple[object, ...]:
        s = run.setting
        return (s.n, s.d, s.bias, s.relu, astuple(run.recipe), kind_of(run))

    def most(self, group: Sequence[Run], place: str, memory: int | None) -> int:
        if memory is None:
            import torch

            memory = int(0.6 * torch.cuda.mem_get_info()[0])
        each = max(memory_of(run) for run in group)
        if each > memory:
            s = group[0].setting
            raise BadInput(
                f"one run of n = {s.n}, d = {s.d} needs {each:.3g} bytes and memory = "
                f"{memory:.3g}: allow more"
            )
        return min(memory // each, 2**24)

    def lanes(self, runs: Sequence[Run], device: torch.device) -> Lanes:
        if kind_of(runs[0]) == "graph":
            from validate.engines.graphs import GraphLanes

            return GraphLanes(runs, device)
        return CudaLanes(runs, self._where(), self.count, device)

    def follow(self, runs: Sequence[Run], x: Float) -> Float:
        K, T, n, B = x.shape
        setting, recipe = runs[0].setting, runs[0].recipe
        if n != setting.n or recipe.batch != B or len(runs) != K:
            raise BadInput(
                f"samples of shape {x.shape} for {len(runs)} runs of n = {setting.n}, batch = "
                f"{recipe.batch}: give (K, T, n, B)"
            )
        if kind_of(runs[0]) == "graph":
            import torch

            from validate.engines.graphs import follow

            return follow(runs, x, torch.device("cuda" if self._where() == "gpu" else "cpu"))
        counts = [_counted(sampler(run.setting), some) for run, some in zip(runs, x, strict=True)]
        kind = "rows" if any(c is None for c in counts) else kind_of(runs[0])
        lanes = CudaLanes(runs, self._where(), self.count, None, fed=kind)
        found = [lanes.weights()]
        for t in range(T):
            if kind == "counts":
                widths = [c.shape[1] for c in counts if c is not None]
                given = np.zeros((K, max(widths)), dtype=np.int32)
                for k, c in enumerate(counts):
                    if c is not None:
                        given[k, : c.shape[1]] = c[t]
                lanes.feed(given.ravel())
            else:
                lanes.feed(_events(x[:, t], lanes.real))
            lanes.advance(1)
            found.append(lanes.weights())
        return np.stack(found, axis=1)

    def _where(self) -> str:
        if self.where:
            return self.where
        from validate.engines.gpu_kernels import SIMULATED

        return "simulator" if SIMULATED else "gpu"


def memory_of(run: Run) -> int:
    """Bytes that one more run takes, at most: its state, its tables as if nobody shared them, and
    what is kept for the answer."""
    s, recipe, kind = run.setting, run.recipe, kind_of(run)
    size = s.n * (s.d + 1)
    kept = 8 * (recipe.snapshots + 3) * size + 16 * (recipe.steps * RECORDS // 64 + RECORDS)
    if kind == "graph":
        # Samples, z, e, squares and uniform numbers; matrices; parameters and their moments.
        numbers = 7 * (s.n + 1) * recipe.batch + 6 * (s.n + 1) ** 2 + 7 * size
        return itemsize(recipe) * numbers + 8 * s.n * recipe.batch + kept
    state = itemsize(recipe) * (3 * size + s.n + RECORDS) + 4 * (4 + 32 + 1)
    laws = 12 * PATTERNS * 128 if kind == "counts" else 12 * (2**12 + s.n)
    return state + laws + kept


def _counted(law: Sampler, x: Float) -> NDArray[np.int32] | None:
    """How often each pattern but the first occurs, (T, P - 1); None if others do."""
    if law.law != "binary" or law.n > 31 or law.pattern_count() > PATTERNS:
        return None
    if not np.all((x == 0.0) | (x == 1.0)):
        return None
    masks, _ = ordered(law)
    seen = np.tensordot(x, 2 ** np.arange(law.n), axes=(1, 0)).astype(np.int64)  # (T, B)
    counts = np.stack([np.sum(seen == mask, axis=1) for mask in masks], axis=1)
    if np.any(counts.sum(axis=1) != x.shape[2]):
        return None
    return counts[:, 1:].astype(np.int32)


def _events(x: Float, real: Any) -> tuple[NDArray[Any], ...]:
    """On cells of one batch per model: where each model's begin, the cells and their values."""
    _, n, B = x.shape
    starts, cells, values = [], [], []
    at = 0
    for one in x:
        row, j = np.nonzero(one.T)
        starts.append(at)
        cells += [row * n + j, [B * n]]
        values += [one[j, row], [0.0]]
        at += len(row) + 1
    return (
        np.array(starts, dtype=np.int32),
        np.concatenate(cells).astype(np.int32),
        np.concatenate(values).astype(real),
    )
