"""The compiled engine: one model a thread, whole stretches of training in one call (numba).

How samples are drawn depends on the run alone (`plan_of`): counts of patterns where there are few,
gaps where features are seldom on, else every cell. A model's weights, moments and samples stay in
the first-level cache; threads share nothing, so a result is the same in any company and for any
number of threads. The kernel is compiled at first use, once for each precision, and kept on disk.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from packing.errors import BadInput
from theory.features import Float
from validate.data import generator, sampler
from validate.engine import EPSILON, first_weights, learning_rate
from validate.engines.drawing import plan_of
from validate.engines.seam import Engine
from validate.runs import Recipe, Run

if TYPE_CHECKING:
    import torch

SCRATCH = 24 * 1024
"""Bytes that the columns of a flush may take: they and the model should fit the smallest cache."""

STRETCH = 5e-3
"""Seconds, about, that one call of the kernel takes: progress is told and Ctrl-C heard between."""

PATIENCE = 20.0
"""Core-seconds, about, that a batch may take: what a lost worker costs."""

FEWEST, MOST = 8, 1024
"""Models in a batch."""

RECORDS = 128
"""Losses recorded in a run, about."""


class NumbaEngine(Engine):
    """One model a thread, compiled."""

    name = "numba"
    places = ("cpu",)

    def missing(self) -> str:
        if importlib.util.find_spec("numba") is None:
            return (
                "engine = 'numba' needs numba, which is not installed: "
                "pip install 'feature-packing[compiled]', or give --engine torch"
            )
        return ""

    def refusal(self, run: Run) -> str:
        return ""

    def alike(self, run: Run, place: str) -> tuple[object, ...]:
        s = run.setting
        return (s.n, s.d, s.bias, s.relu, run.recipe)

    def most(self, group: Sequence[Run], place: str, memory: int | None) -> int:
        each = max(memory_of(run) for run in group)
        if memory is not None and each > memory:
            s = group[0].setting
            raise BadInput(
                f"one run of n = {s.n}, d = {s.d} needs {each:.3g} bytes and memory = {memory:.3g}:"
                " allow more"
            )
        slow = max(cost(run) for run in group) * group[0].recipe.steps
        size = min(MOST, max(FEWEST, int(PATIENCE / slow)))
        return size if memory is None else min(size, memory // each)

    def lanes(self, runs: Sequence[Run], device: torch.device) -> NumbaLanes:
        return NumbaLanes(runs)

    def follow(self, runs: Sequence[Run], x: Float) -> Float:
        lanes = NumbaLanes(runs)
        n, found = runs[0].setting.n, [lanes.weights()]
        for t in range(x.shape[1]):
            for lane, model in enumerate(lanes.models):
                lanes.feed(model, x[lane, t].reshape(n, -1), t)
            found.append(lanes.weights())
        lanes.close()
        return np.stack(found, axis=1)


class NumbaLanes:
    """Models side by side, each a row of numbers that one thread works on."""

    def __init__(self, runs: Sequence[Run]) -> None:
        from numba import config

        from validate.engines.simd import WORDS

        setting, self.recipe = runs[0].setting, runs[0].recipe
        self.n, self.d = setting.n, setting.d
        self.size = self.n * (self.d + 1)
        self.kind = np.dtype(self.recipe.dtype)
        self.padded = -(-self.size // 16) * 16
        self.models = np.zeros((len(runs), 3 * self.padded + self.n), self.kind)
        self.models[:, : self.size] = [first_weights(run) for run in runs]
        self.models[:, 3 * self.padded :] = [run.setting.features.importance for run in runs]
        self.states = np.stack([_seeds(run, WORDS) for run in runs])
        self.plans = [plan_of(run.setting, self.recipe) for run in runs]
        self.blocks = _blocks(self.n, self.d, self.kind)
        self.shapes = np.array([self._shape(run) for run in runs], dtype=np.int64)
        self.chunk = _chunk(runs)
        self.every = _every(self.recipe)
        self.done = 0
        threads = min(int(config.NUMBA_NUM_THREADS), len(runs))
        self.pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self.threads = threads

    def weights(self) -> Float:
        return self.models[:, : self.size].astype(float)

    def sound(self) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(self.models[:, : 3 * self.padded]).all(axis=1))

    def keep(self, lanes: Sequence[int]) -> None:
        kept = list(lanes)
        self.models, self.states = self.models[kept], self.states[kept]
        self.shapes = self.shapes[kept]
        self.plans = [self.plans[lane] for lane in kept]

    def advance(self, count: int) -> list[tuple[int, Float]]:
        made = np.arange(self.done, self.done + count) + 1
        want = (made % self.every == 0) | (made % self.chunk == 0) | (made == self.recipe.steps)
        losses = np.zeros((len(self.models), count))
        rates = rates_of(self.recipe, self.done, count).astype(self.kind)
        parts = [range(i, len(self.models), 4 * self.threads) for i in range(4 * self.threads)]

        def work(part: range) -> None:
            scratch = _Scratch(self)
            for lane in part:
                self._train(lane, scratch, rates, want, losses[lane])

        if self.pool is None:
            work(range(len(self.models)))
        else:
            jobs: list[Future[None]] = [self.pool.submit(work, part) for part in parts if part]
            try:
                for job in jobs:
                    job.result()
            except BaseException:
                for job in jobs:
                    job.cancel()
                raise
        self.done += count
        return [(int(made[t]), losses[:, t]) for t in np.flatnonzero(want)]

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown()

    def _train(
        self, lane: int, scratch: _Scratch, rates: NDArray[Any], want: Any, losses: Float
    ) -> None:
        from validate.engines.kernels import train

        plan = self.plans[lane]
        counts = np.zeros(2 * max(len(plan.starts), 1), np.int64)
        train(
            self.models[lane],
            scratch.numbers,
            scratch.at,
            self.shapes[lane],
            self.states[lane],
            scratch.bits,
            counts,
            plan.starts,
            plan.members,
            plan.keep,
            plan.other,
            plan.where,
            plan.accept,
            plan.levels.astype(self.kind),
            rates,
            want,
            losses,
            self.kind.type(1.0),
        )

    def _shape(self, run: Run) -> list[int]:
        """What a kernel is told of a run, in the order of the names in `kernels`."""
        plan, s = plan_of(run.setting, run.recipe), run.setting
        law = ("binary", "uniform", "exponential").index(s.law)
        drawn = sampler(s)
        return [
            self.n,
            self.d,
            self.padded,
            self.blocks,
            run.recipe.batch,
            plan.form,
            law,
            int(s.relu),
            int(s.bias),
            drawn.size,
            int(drawn.single),
            plan.often,
            int(plan.rare),
            plan.last,
        ]

    def feed(self, model: NDArray[Any], x: Float, t: int) -> None:
        """One step on the samples x (n, B) as they are."""
        from validate.engines.kernels import finish
        from validate.engines.products import INPUT, WEIGHT, flush

        zero, scratch = self.kind.type(0.0), _Scratch(self)
        s, at, shape = scratch.numbers, scratch.at, self.shapes[0]
        B, room = x.shape[1], 16 * self.blocks
        for low in range(0, B, room):
            some = x[:, low : low + room]
            wide = -(-some.shape[1] // 16)
            columns = np.zeros((self.n, 16 * wide))
            columns[:, : some.shape[1]] = some
            size = self.n * 16 * wide
            placed = columns.reshape(self.n, wide, 16).transpose(1, 0, 2).ravel()
            s[at[INPUT] : at[INPUT] + size] = placed
            s[at[WEIGHT] : at[WEIGHT] + some.shape[1]] = 1.0
            flush(model, s, at, shape, wide, False, zero)
        rates = rates_of(self.recipe, t, 1).astype(self.kind)
        finish(model, s, at, shape, 0, rates[0], zero)


class _Scratch:
    """What one thread needs beside the models: gradients and columns."""

    def __init__(self, lanes: NumbaLanes) -> None:
        from validate.engines.columns import BITS, POOL

        n, d, blocks = lanes.n, lanes.d, lanes.blocks
        wide = 16 * blocks
        parts = (lanes.padded, d * wide, d * wide, n * wide, n * wide, wide, POOL)
        self.at = np.concatenate([[0], np.cumsum(parts)[:-1]]).astype(np.int64)
        self.numbers = np.zeros(sum(parts), lanes.kind)
        self.bits = np.zeros(BITS, np.uint64)


def rates_of(recipe: Recipe, start: int, count: int) -> Float:
    """What Adam needs of each step, shape (count, 9), in the order of the names in `kernels`."""
    one, two = recipe.betas
    rate = np.array([learning_rate(recipe, step) for step in range(start, start + count)])
    made = np.arange(start + 1.0, start + count + 1.0)
    columns = (
        2.0 / recipe.batch,
        1.0 - rate * recipe.weight_decay,
        one,
        1.0 - one,
        two,
        1.0 - two,
        1.0 / np.sqrt(1.0 - two**made),
        EPSILON,
        rate / (1.0 - one**made),
    )
    return np.stack(np.broadcast_arrays(*columns), axis=1)


def cost(run: Run) -> float:
    """Seconds of one core that a step takes, about."""
    plan, n, d = plan_of(run.setting, run.recipe), run.setting.n, run.setting.d
    work = (5.0 * d + 8.0) * n * plan.columns
    return 1e-7 + 4e-9 * plan.draws + 1e-10 * work


def memory_of(run: Run) -> int:
    """Bytes that one more run like this takes in a batch."""
    n, d = run.setting.n, run.setting.d
    plan = plan_of(run.setting, run.recipe)
    size = 8 * n * (d + 1)
    return 10 * size + size * run.recipe.snapshots + 32 * RECORDS + 16 * len(plan.keep)


def _seeds(run: Run, words: int) -> NDArray[np.uint64]:
    """First state of a run's random numbers: words of its own generator."""
    return generator(run.key, 1).integers(0, 2**64, size=words, dtype=np.uint64)


def _blocks(n: int, d: int, kind: np.dtype[Any]) -> int:
    """Blocks of sixteen columns in a flush."""
    return min(64, max(8, SCRATCH // (2 * (n + d) * 16 * kind.itemsize)))


def _every(recipe: Recipe) -> int:
    """Steps between two recorded losses; a plateau is judged by some."""
    every = max(1, recipe.steps // RECORDS)
    return every if recipe.plateau is None else max(1, min(every, recipe.plateau // 8))


def _chunk(runs: Sequence[Run]) -> int:
    """Steps of one call; a power of two, and at most 64 where plateaus are looked for."""
    # One number for all models of a batch, and the same in every batch: of the recipe and shape.
    s, recipe = runs[0].setting, runs[0].recipe
    work = (5.0 * s.d + 8.0) * s.n * recipe.batch
    steps = 2 ** int(math.log2(max(2.0, STRETCH / (1e-7 + 0.3e-10 * work))))
    return min(steps, 64) if recipe.plateau is not None else steps


__all__ = ["NumbaEngine", "NumbaLanes", "cost", "memory_of", "plan_of", "rates_of"]
