"""The reference engine: PyTorch, all models of a batch in one tensor, samples from a second thread.

A step is `validate.training.step.Stack`, samples come from `validate.sampling.Feed`. On a CPU
everything runs
in one thread of PyTorch: with more, how a vector is cut depends on its length, and a model's result
on the company it trains in.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import astuple

import numpy as np
import torch
from numpy.typing import NDArray

from packing.errors import BadInput
from packing.types import Float
from validate.experiments import Run
from validate.sampling import Chunk, Feed, form_of
from validate.training.engine import Engine
from validate.training.step import LANES, Stack

RECORDS = 4
"""Losses recorded per chunk."""

CPU_MEMORY = 2**30
"""Bytes a batch may take on a CPU unless said."""

CACHE = 2**21
"""Bytes that the arrays of a step should take on a CPU: larger ones leave the cache."""


class TorchEngine(Engine):
    """Batched PyTorch, on a CPU or a GPU."""

    name = "torch"
    places = ("cpu", "cuda")

    def missing(self) -> str:
        return ""

    def refusal(self, run: Run) -> str:
        return ""

    def alike(self, run: Run, place: str) -> tuple[object, ...]:
        s = run.setting
        form = form_of(s, run.recipe, place)
        return (s.n, s.d, s.bias, s.relu, astuple(run.recipe), astuple(form))

    def most(self, group: Sequence[Run], place: str, memory: int | None) -> int:
        if memory is None:
            memory = CPU_MEMORY if place == "cpu" else int(0.6 * torch.cuda.mem_get_info()[0])
        each = max(memory_of(run, place) for run in group)
        fixed = max(memory_fixed(run, place) for run in group)
        if each + fixed > memory:
            raise BadInput(
                f"one run of n = {group[0].setting.n}, d = {group[0].setting.d}, batch = "
                f"{group[0].recipe.batch} needs {each + fixed:.3g} bytes and memory = {memory:.3g}:"
                " allow more, or make the batch smaller"
            )
        size = (memory - fixed) // each
        if place == "cpu":
            size = min(size, max(4, CACHE // max(_step_bytes(run) for run in group)))
        return size

    def lanes(self, runs: Sequence[Run], device: torch.device) -> TorchLanes:
        return TorchLanes(runs, device)

    def follow(self, runs: Sequence[Run], x: Float) -> Float:
        K, T, _, B = x.shape
        stack = Stack(runs, B, torch.device("cpu"))
        ones = np.ones((K, T, 1, B))
        columns = torch.from_numpy(np.concatenate([x, ones], axis=2)).to(stack.dtype)
        chunk, found = Chunk(columns, None, None), [stack.weights()]
        with torch.no_grad():
            for t in range(T):
                stack.step(chunk, t, t, False)
                found.append(stack.weights())
        return np.stack(found, axis=1)


class TorchLanes:
    """A stack of models and the feed of their samples; the next chunk is drawn meanwhile."""

    def __init__(self, runs: Sequence[Run], device: torch.device) -> None:
        self.recipe, self.device = runs[0].recipe, device
        form = form_of(runs[0].setting, self.recipe, device.type)
        self.chunk = form.steps
        self.every = max(form.steps // RECORDS, 1)
        if self.recipe.plateau is not None:
            self.every = max(1, min(self.every, self.recipe.plateau // 8))
        self.threads = torch.get_num_threads()
        torch.set_num_threads(1)
        self.feed = Feed(runs, form, device)
        self.stack = Stack(runs, form.columns, device)
        self.size = self.stack.size
        self.pool = ThreadPoolExecutor(1, "", torch.set_num_threads, (1,))
        self.coming: Future[Chunk] = self.pool.submit(self.feed.draw)
        self.held: Chunk | None = None  # of some lanes, where others have stopped
        self.now: Chunk | None = None
        self.done = 0

    def weights(self) -> Float:
        return self.stack.weights()

    def sound(self) -> NDArray[np.bool_]:
        return np.asarray(self.stack.finite().cpu().numpy())

    def keep(self, lanes: Sequence[int]) -> None:
        kept = torch.as_tensor(list(lanes), dtype=torch.long, device=self.device)
        if self.done < self.recipe.steps:
            # The chunk under way was drawn for all: let it end before the feed forgets some.
            self.held = self.coming.result().of(kept)
        self.feed.keep(list(lanes))
        self.stack.keep(kept)

    def advance(self, count: int) -> list[tuple[int, Float]]:
        T, steps, found = self.chunk, self.recipe.steps, []
        with torch.no_grad():
            for _ in range(count):
                t = self.done % T
                if t == 0:
                    self.now, self.held = self.held or self.coming.result(), None
                    if self.done + T < steps:
                        self.coming = self.pool.submit(self.feed.draw)
                assert self.now is not None
                last = self.done + 1 in (steps, self.done - t + T)
                record = (t + 1) % self.every == 0 or last
                losses = self.stack.step(self.now, t, self.done, record)
                self.done += 1
                if losses is not None:
                    found.append((self.done, losses))
        return found

    def close(self) -> None:
        self.pool.shutdown()
        torch.set_num_threads(self.threads)


def memory_of(run: Run, device: str = "cpu") -> int:
    """Bytes that one more run like this takes in a batch, predicted from shapes.

    Two chunks of samples (one in use, one being drawn), the buffers of a step, parameters and
    moments, and what is kept for the answer. Parts that do not grow with the batch are in
    `memory_fixed`.
    """
    form, recipe = form_of(run.setting, run.recipe, device), run.recipe
    n, d = run.setting.n, run.setting.d
    m, R, T = n + 1, form.columns, form.steps
    number = 4 if recipe.dtype == "float32" else 8
    size = n * (d + 1)
    chunks = m * R + 2 * T * R if form.kind == "patterns" else 2 * T * (m * R + 1)
    step = 3 * m * R + 5 * m * m + n * d  # z, e, squares; A, D, G + G' and their temporaries
    parameters = 6 * (-(-size // LANES) * LANES)
    kept = 8 * (recipe.snapshots + 3) * size + 16 * (recipe.steps * RECORDS // T + RECORDS)
    return number * (chunks + step + parameters) + kept


def memory_fixed(run: Run, device: str = "cpu") -> int:
    """Bytes that a batch takes however few runs are in it: the samples of one run being drawn."""
    form = form_of(run.setting, run.recipe, device)
    n, B, T = run.setting.n, run.recipe.batch, form.steps
    if form.kind == "dense":
        return 4 * 8 * T * n * B  # uniform numbers, values, comparisons, results
    if form.kind == "rows":
        return 12 * 8 * T * form.columns * n  # places, rows, groups, slots, ... of each event
    return 8 * T * form.columns + 2**16


def _step_bytes(run: Run) -> int:
    """Bytes of the samples, z and e of one step."""
    number = 4 if run.recipe.dtype == "float32" else 8
    form = form_of(run.setting, run.recipe, "cpu")
    return 3 * number * (run.setting.n + 1) * form.columns


__all__ = ["TorchEngine", "TorchLanes", "memory_fixed", "memory_of"]
