"""Models of the GPU kernels between two launches: where their numbers rest, how they are laid out.

Numbers of K models stand parameter by parameter (size, K), so that neighbouring threads read
neighbouring places; a launch loads them once, makes the steps of a chunk on the chip and stores
them once. How many lanes a model gets follows from the number of models and the device.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from theory.features import Float
from validate.data import Sampler, generator, sampler
from validate.engine import first_weights
from validate.engines.gpu_tables import Law, Tables, count_law, rates, row_law, stacked
from validate.feed import PATTERNS
from validate.runs import Recipe, Run, Setting

if TYPE_CHECKING:
    import torch

    from validate.engines.gpu_parts import Shape

RECORDS = 4
"""Losses recorded per chunk."""

SHARED = 48 * 1024
"""Bytes of shared memory a block may take without asking the driver."""

BLOCK = 128
"""Threads of a block, at most."""

LEAST = 64
"""Threads of a block that are wanted where models are large."""

FILL = 512
"""Threads per multiprocessor that keep it busy; with fewer models, each gets more lanes."""


LARGEST = 2**20
"""Samples per batch: counts stay whole numbers in float32, and places in 32 bits."""


class CudaLanes:
    """K models whose numbers rest in device memory between chunks."""

    def __init__(
        self,
        runs: Sequence[Run],
        where: str,
        lanes: int,
        device: torch.device | None,
        fed: str = "",
    ) -> None:
        setting, self.recipe = runs[0].setting, runs[0].recipe
        self.where, self.fed = where, bool(fed)
        self.kind = fed or kind_of(runs[0])
        self.real: Any = np.float64 if self.recipe.dtype == "float64" else np.float32
        self.chunk = chunk_of(self.recipe)
        self.every = self.chunk // RECORDS
        self.size = setting.n * (setting.d + 1)
        if where == "gpu" and device is not None and device.index is not None:
            from numba import cuda

            cuda.select_device(device.index)
        self.shape = self._shape(setting, len(runs), lanes)
        tables = tables_of(runs, self.kind, self.fed)
        weights = np.stack([first_weights(run) for run in runs], axis=1)
        importance = np.stack([run.setting.features.importance for run in runs], axis=1)
        words = [generator(run.key, 1).integers(2**32, size=4, dtype=np.uint32) for run in runs]
        self.done = 0
        empty = np.zeros(1, dtype=np.int32)
        self.given: Any = empty
        if self.kind == "rows":
            self.given = (empty, empty, np.zeros(1, dtype=self.real))
        self.given = self._up(self.given)
        self.state = {
            "theta": self._up(weights.astype(self.real)),
            "first": self._up(np.zeros_like(weights, dtype=self.real)),
            "second": self._up(np.zeros_like(weights, dtype=self.real)),
            "scale": self._up((importance * (2.0 / self.recipe.batch)).astype(self.real)),
            "random": self._up(np.stack(words, axis=1)),
            "law": self._up(tables.law),
        }
        self.tables = self._up((tables.limits, tables.lows, tables.others))
        self.laws = self._up((tables.heads, tables.plans))
        self.count = len(runs)
        self.fine = np.ones(len(runs), dtype=bool)

    def weights(self) -> Float:
        theta = self._down("theta").reshape(self.size, self.count)
        return np.ascontiguousarray(theta.T, dtype=np.float64)

    def sound(self) -> NDArray[np.bool_]:
        return self.fine

    def keep(self, lanes: Sequence[int]) -> None:
        kept = np.asarray(lanes, dtype=np.int64)
        for name in self.state:
            rows = self._down(name).reshape(-1, self.count)
            self.state[name] = self._up(rows[:, kept])
        self.fine, self.count = self.fine[kept], len(kept)

    def advance(self, count: int) -> list[tuple[int, Float]]:
        if count == 0 or self.count == 0:
            self.done += count
            return []
        from validate.engines.gpu_kernels import kernel

        start, stop, every, K = self.done, self.done + count, self.every, self.count
        at = [step for step in range(start + 1, stop + 1) if step % every == 0 or step == stop]
        losses = self._up(np.zeros((len(at), K), dtype=self.real))
        sound = self._up(np.zeros((self.shape.lanes, K), dtype=np.int32))
        s = self.state
        arguments = (
            K,
            (start, stop, every, self.recipe.batch),
            (s["theta"], s["first"], s["second"], s["scale"]),
            s["random"],
            sound,
            (s["law"], *self.laws),
            self.tables,
            self.given,
            self._up(rates(self.recipe, start, stop).astype(self.real)),
            losses,
        )
        if self.where == "host":
            kernel(self.shape)(*arguments)
        else:
            grid = -(-K // self.shape.models), (self.shape.lanes, self.shape.models)
            with warnings.catch_warnings():
                # A few models leave a GPU idle, and whoever trains a few knows; the simulator's
                # words wrap around, as they must, and models may break.
                warnings.filterwarnings("ignore", message="Grid size")
                warnings.filterwarnings("ignore", message="overflow encountered")
                warnings.filterwarnings("ignore", message="invalid value encountered")
                kernel(self.shape)[grid](*arguments)
        self.done = stop
        rows = _host(losses).reshape(len(at), K).astype(np.float64)
        self.fine = np.all(_host(sound).reshape(-1, K) == 1, axis=0)
        last = (self.recipe.steps,) if not self.fed else ()
        return [
            (step, row)
            for step, row in zip(at, rows, strict=True)
            if step % every == 0 or step in last
        ]

    def feed(self, given: Any) -> None:
        """Samples of the next step, where they are read and not drawn."""
        self.given = self._up(given)

    def close(self) -> None:
        self.state.clear()

    def _shape(self, setting: Setting, count: int, lanes: int) -> Shape:
        from validate.engines.gpu_parts import Shape

        double = self.recipe.dtype == "float64"
        n, d = setting.n, setting.d
        shape = Shape(
            self.kind, n, d, 1, 1, double, setting.relu, setting.bias, self.fed, self.where
        )
        if self.where == "host":
            return shape
        room = SHARED // (shape.words * itemsize(self.recipe))
        if not lanes:
            lanes = lanes_for(shape, count, room, _multiprocessors(self.where))
        shape = replace(shape, lanes=lanes)
        models = BLOCK // lanes if shape.local else min(BLOCK // lanes, room)
        # The simulator starts a thread for every lane: no more than there is work for.
        return replace(shape, models=max(1, min(models, count)))

    def _up(self, array: Any) -> Any:
        if isinstance(array, tuple):
            return tuple(self._up(one) for one in array)
        flat = np.ascontiguousarray(array).reshape(-1)
        if self.where != "gpu":
            return flat
        from numba import cuda

        return cuda.to_device(flat)

    def _down(self, name: str) -> NDArray[Any]:
        return _host(self.state[name])


def _host(array: Any) -> NDArray[Any]:
    return np.asarray(array.copy_to_host() if hasattr(array, "copy_to_host") else array)


def _multiprocessors(where: str) -> int:
    if where != "gpu":
        return 1
    from numba import cuda

    return int(cuda.get_current_device().MULTIPROCESSOR_COUNT)


def lanes_for(shape: Shape, count: int, room: int, multiprocessors: int) -> int:
    """Lanes per model: enough to fill the device, and never more than there are features.

    Parameters
    ----------
    shape : Shape
    count : int
        Models.
    room : int
        Models whose numbers fit the shared memory of a block.
    multiprocessors : int
    """
    top = min(32, 1 << (shape.n - 1).bit_length())
    lanes = 1
    while lanes < top and (
        count * lanes < FILL * multiprocessors
        or (not replace(shape, lanes=lanes).local and room * lanes < LEAST)
    ):
        lanes *= 2
    return lanes


def kind_of(run: Run) -> str:
    """What trains a run: "counts" or "rows" of the kernels, or a "graph" if it is too large."""
    setting = run.setting
    if words(setting) * itemsize(run.recipe) > SHARED or run.recipe.batch > LARGEST:
        return "graph"
    few = setting.law == "binary" and setting.n <= 31
    return "counts" if few and sampler(setting).pattern_count() <= PATTERNS else "rows"


def chunk_of(recipe: Recipe) -> int:
    """Steps between decisions, of the run alone: few where it may stop, else a part of all."""
    if recipe.plateau is not None:
        return 64
    return 1 << min(10, max(6, (recipe.steps // 64).bit_length() - 1))


def tables_of(runs: Sequence[Run], kind: str, fed: bool = False) -> Tables:
    """Tables of the laws of some runs, equal laws once."""
    made: list[Law] = []
    known: dict[tuple[object, ...], int] = {}
    which = []
    for run in runs:
        s, batch = run.setting, run.recipe.batch
        law = sampler(s)
        name = (law.n, law.size, law.single, law.law, law.chance.tobytes(), batch)
        if name not in known:
            known[name] = len(made)
            if fed and kind == "rows":
                made.append(row_law(Sampler(s.n, 1, np.full(s.n, 0.5), False, s.law)))
            else:
                made.append(row_law(law) if kind == "rows" else count_law(law, batch, fed)[0])
        which.append(known[name])
    if fed and kind == "counts":  # counts are given in rows of one length
        widest = max(one.head[2] for one in made)
        for one in made:
            one.head[2] = widest
    return stacked(which, made)


def itemsize(recipe: Recipe) -> int:
    return 8 if recipe.dtype == "float64" else 4


def words(setting: Setting) -> int:
    n, d = setting.n, setting.d
    return (2 * n * n + (d + 3) * n) | 1
