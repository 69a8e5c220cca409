"""The engine for small models on a GPU, through numba-cuda: opt-in, `auto` never takes it.

One kernel (`validate.training.cuda_kernel`) makes the steps between two recorded losses, a block of
threads for each model. Between launches the models rest in device memory. Blocks share nothing, so
a model's result is bitwise the same in any company.

The kernel has run in numba's simulator only (NUMBA_ENABLE_CUDASIM=1 before Python starts), never on
a GPU: `benchmarks/gpu.py` is what to run first.
"""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from packing.errors import BadInput
from packing.types import Float
from validate.experiments import Recipe, Run
from validate.sampling import Sampler, generator, sampler
from validate.training.engine import Engine
from validate.training.step import first_weights, learning_rate

if TYPE_CHECKING:
    import torch

    from validate.training.cuda_kernel import Shape

MOST = 1024
"""Features of a model, at most: threads of a block."""

CHUNK = 64
"""Steps between decisions."""

RECORDS = 4
"""Losses recorded per chunk; a launch makes the steps from one to the next."""


def rates_of(recipe: Recipe, start: int, stop: int) -> Float:
    """What the updates of steps start .. stop - 1 need, shape (stop - start, 7).

    Rate over the first moment's bias correction, root of the second's, the factor of decay, and
    the four weights of the running means.
    """
    one, two = recipe.betas
    rows = []
    for step in range(start, stop):
        rate = learning_rate(recipe, step)
        first, second = 1.0 - one ** (step + 1), 1.0 - two ** (step + 1)
        decay = 1.0 - rate * recipe.weight_decay
        rows.append((rate / first, 1.0 / math.sqrt(second), decay, one, 1 - one, two, 1 - two))
    return np.array(rows)


class CudaEngine(Engine):
    """One model a block of threads, on a GPU or in numba's simulator of one."""

    name = "cuda"
    places = ("cuda",)

    def missing(self) -> str:
        for module, package in (("numba", "numba"), ("numba_cuda", "numba-cuda")):
            if importlib.util.find_spec(module) is None:
                return (
                    f"engine = 'cuda' needs {package}, which is not installed: "
                    "pip install 'feature-packing[cuda]'"
                )
        from numba import cuda

        try:
            found = bool(cuda.config.ENABLE_CUDASIM or cuda.is_available())
        except Exception:  # a driver may fail in many ways; none of them is a usable GPU
            found = False
        if not found:
            return (
                "engine = 'cuda' finds no GPU that numba-cuda can use (where there is one, it also "
                "wants NVIDIA's libraries: pip install 'numba-cuda[cu13]'); give numba or torch"
            )
        return ""

    def refusal(self, run: Run) -> str:
        n = run.setting.n
        return "" if n <= MOST else f"engine = 'cuda' takes n <= {MOST}, not {n}: give torch"

    def alike(self, run: Run, place: str) -> tuple[object, ...]:
        return (_shape(run), astuple(run.recipe))

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
        return memory // each

    def lanes(self, runs: Sequence[Run], device: torch.device) -> CudaLanes:
        from numba import cuda

        if device.index is not None:
            cuda.select_device(device.index)
        return CudaLanes(runs)

    def follow(self, runs: Sequence[Run], x: Float) -> Float:
        K, T, n, B = x.shape
        setting, recipe = runs[0].setting, runs[0].recipe
        if n != setting.n or recipe.batch != B or len(runs) != K:
            raise BadInput(
                f"samples of shape {x.shape} for {len(runs)} runs of n = {setting.n}, batch = "
                f"{recipe.batch}: give (K, T, n, B)"
            )
        lanes = CudaLanes(runs, fed=True)
        found = [lanes.weights()]
        for t in range(T):
            lanes.launch(1, x[:, t].transpose(0, 2, 1).reshape(K, 1, B * n))
            found.append(lanes.weights())
        return np.stack(found, axis=1)


class CudaLanes:
    """K models whose numbers rest in device memory between launches."""

    chunk = CHUNK

    def __init__(self, runs: Sequence[Run], fed: bool = False) -> None:
        self.recipe = runs[0].recipe
        self.shape = _shape(runs[0], fed)
        self.real = np.dtype(self.recipe.dtype)
        self.size = self.shape.n * (self.shape.d + 1)
        self.done = 0
        weights = np.stack([first_weights(run) for run in runs])
        importance = np.stack([run.setting.features.importance for run in runs])
        laws = [sampler(run.setting) for run in runs]
        words = [generator(run.key, 1).integers(2**32, size=4, dtype=np.uint32) for run in runs]
        scratch = np.zeros((len(runs), self.shape.n**2), self.real)
        self.state: dict[str, Any] = {}  # in the order in which the kernel wants them
        self._put(
            theta=weights.astype(self.real),
            first=np.zeros_like(weights, self.real),
            second=np.zeros_like(weights, self.real),
            scale=(importance * (2.0 / self.recipe.batch)).astype(self.real),
            random=np.stack(words),
            pace=np.array([_pace(law) for law in laws]),
            keep=np.stack([law.chance / np.max(law.chance) for law in laws]),
            gram=scratch,
            acc=scratch,
            losses=np.zeros((len(runs), self.shape.n), self.real),
        )

    def weights(self) -> Float:
        return self._get("theta").astype(np.float64)

    def sound(self) -> NDArray[np.bool_]:
        parts = [np.isfinite(self._get(name)) for name in ("theta", "first", "second")]
        return np.asarray(np.all(parts, axis=(0, 2)))

    def keep(self, lanes: Sequence[int]) -> None:
        self._put(**{name: self._get(name)[list(lanes)] for name in self.state})

    def advance(self, count: int) -> list[tuple[int, Float]]:
        found, end, every = [], self.done + count, CHUNK // RECORDS
        nothing = np.zeros((1, 1, 1), self.real)
        while self.done < end:
            self.launch(min(every - self.done % every, end - self.done), nothing)
            if self.done % every == 0 or self.done == self.recipe.steps:
                losses = self._get("losses").astype(np.float64)
                # Running sums: unlike `sum`, their order does not depend on the number of models.
                found.append((self.done, np.cumsum(losses, axis=1)[:, -1]))
        return found

    def launch(self, count: int, given: NDArray[Any]) -> None:
        """Make so many steps, on given samples (K, count, B n) if the kernel reads them."""
        from numba import cuda

        from validate.training.cuda_kernel import kernel

        rates = rates_of(self.recipe, self.done, self.done + count).astype(self.real)
        *before, gram, acc, losses = self.state.values()
        with warnings.catch_warnings():
            # A few models leave a GPU idle, and whoever trains a few knows; the simulator's words
            # wrap around, as they must, and models may break.
            warnings.filterwarnings("ignore", message="Grid size")
            warnings.filterwarnings("ignore", message="(overflow|invalid value) encountered")
            kernel(self.shape)[len(losses), self.shape.n](
                self.recipe.batch,
                *before,
                cuda.to_device(rates),
                cuda.to_device(np.ascontiguousarray(given, self.real)),
                gram,
                acc,
                losses,
            )
        self.done += count

    def close(self) -> None:
        self.state.clear()

    def _put(self, **arrays: NDArray[Any]) -> None:
        from numba import cuda

        for name, array in arrays.items():
            self.state[name] = cuda.to_device(np.ascontiguousarray(array))

    def _get(self, name: str) -> NDArray[Any]:
        return np.asarray(self.state[name].copy_to_host())


def memory_of(run: Run) -> int:
    """Bytes that one more run takes: its state, and what is kept for the answer."""
    s, recipe = run.setting, run.recipe
    size = s.n * (s.d + 1)
    kept = 8 * (recipe.snapshots + 3) * size + 16 * (recipe.steps * RECORDS // CHUNK + RECORDS)
    state = np.dtype(recipe.dtype).itemsize * (3 * size + 2 * s.n + 2 * s.n**2) + 8 * (s.n + 3)
    return state + kept


def _shape(run: Run, fed: bool = False) -> Shape:
    from validate.training.cuda_kernel import LAWS, Shape

    s, law = run.setting, sampler(run.setting)
    # Samples that are read tell of every feature by itself.
    size, single = (1, False) if fed else (law.size, law.single)
    double = run.recipe.dtype == "float64"
    return Shape(s.n, s.d, s.relu, s.bias, size, single, LAWS.index(law.law), double, fed)


def _pace(law: Sampler) -> float:
    """1 / log(1 - q) of the likeliest group; 0 if it is always on: every gap is 0 then."""
    q = float(np.max(law.chance))
    return 1.0 / math.log1p(-q) if q < 1.0 else 0.0


__all__ = ["CudaEngine", "CudaLanes", "memory_of", "rates_of"]
