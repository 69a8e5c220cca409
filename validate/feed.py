"""Batches for many models at once: which form they take, what they need, who fills them.

A run's samples come from its own generator, a fixed number of steps per call, so they do not depend
on who trains beside it. Each sample is a column of an (n + 1, R) array whose last row is 1: then
the bias is one more column of the Gram matrix, and a column of zeros is no sample at all. Forms:

    patterns   each on/off pattern once, with how often it occurs in the batch as a weight
    rows       the samples with something on; those with nothing on are only counted
    dense      all samples

The next chunk is drawn by a second thread while the first one is being used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from validate.data import SURE, Sampler, generator, sampler
from validate.runs import Recipe, Run, Setting

PATTERNS = 128
"""Most on/off patterns that are counted rather than drawn."""

SPARSE = 0.7
"""Rows with something on are drawn alone if their room stays below this part of the batch..."""

SELDOM = 0.25
"""... or if groups are on with a smaller chance than this: finding them beats asking each cell."""

LANE = 16
"""Columns come in multiples of this: every model's samples then start on a 64-byte boundary."""

CHUNK = 2**17
"""Numbers per model that are drawn in one call, about."""


@dataclass(frozen=True)
class Form:
    """How the batches of a run are stored.

    Parameters
    ----------
    kind : {"patterns", "rows", "dense"}
    columns : int
        R, columns per batch.
    steps : int
        T, batches drawn in one call.
    """

    kind: str
    columns: int
    steps: int


@dataclass(frozen=True, eq=False)
class Chunk:
    """Batches of several steps for K models.

    Parameters
    ----------
    x : (K, T, n + 1, R) tensor
        Samples in columns, 1 below each; T = 1 if all steps share them (patterns).
    weight : (K, T, R) tensor or None
        How often each column occurs; None for once.
    off : (K, T) tensor or None
        Samples with nothing on that are not among the columns.
    """

    x: torch.Tensor
    weight: torch.Tensor | None
    off: torch.Tensor | None

    def of(self, lanes: torch.Tensor) -> Chunk:
        """The batches of some of the models."""
        return Chunk(
            self.x[lanes],
            None if self.weight is None else self.weight[lanes],
            None if self.off is None else self.off[lanes],
        )


def form_of(setting: Setting, recipe: Recipe, device: str) -> Form:
    """The form of a run's batches; it depends on nothing but the run and the kind of device."""
    law, B, rows = sampler(setting), recipe.batch, setting.n + 1
    if device == "cpu":
        # A GPU draws dense batches faster than one core could count or pick for it.
        if setting.law == "binary" and law.pattern_count() <= min(PATTERNS, B):
            return Form("patterns", _room(law.pattern_count()), 64)
        mean = B * law.active
        room = _room(mean + SURE * (mean * (1.0 - law.active)) ** 0.5 + SURE)
        if room < SPARSE * B or float(np.max(law.chance)) < SELDOM:
            room = min(room, _room(B))
            return Form("rows", room, _steps(rows * room))
    return Form("dense", -(-B // LANE) * LANE, _steps(rows * B))


def _room(columns: float) -> int:
    """Columns rounded up on a coarse scale, so that runs with near S can share a batch."""
    step = max(LANE, 2 ** int(columns).bit_length() // 16)
    return -(-int(np.ceil(columns)) // step) * step


def _steps(numbers: int) -> int:
    return max(2, min(64, CHUNK // numbers))


class Feed:
    """The samples of K runs of one form.

    Parameters
    ----------
    runs : sequence of Run
        With the same n, batch and dtype.
    form : Form
    device : torch.device
    """

    def __init__(self, runs: Sequence[Run], form: Form, device: torch.device) -> None:
        self.form, self.device = form, device
        recipe = runs[0].recipe
        self.batch, self.rows = recipe.batch, runs[0].setting.n + 1
        self.dtype = torch.float32 if recipe.dtype == "float32" else torch.float64
        self.laws = [sampler(run.setting) for run in runs]
        self.rngs = [generator(run.key, 1) for run in runs]
        self.streams: list[torch.Generator] = []
        self.buffers: list[torch.Tensor] = []
        if device.type != "cpu":
            for rng in self.rngs:
                stream = torch.Generator(device)
                stream.manual_seed(int(rng.integers(2**63 - 1)))
                self.streams.append(stream)
        if form.kind == "patterns":
            self.tables = [_table(law, form.columns) for law in self.laws]
            x = torch.zeros(len(runs), 1, self.rows, form.columns, dtype=self.dtype)
            for k, (columns, _, _) in enumerate(self.tables):
                x[k, 0] = columns
            self.x = x

    def keep(self, lanes: Sequence[int]) -> None:
        """Go on with some of the runs only."""
        self.laws = [self.laws[k] for k in lanes]
        self.rngs = [self.rngs[k] for k in lanes]
        self.buffers = []
        if self.streams:
            self.streams = [self.streams[k] for k in lanes]
        if self.form.kind == "patterns":
            self.tables = [self.tables[k] for k in lanes]
            self.x = self.x[list(lanes)]

    def draw(self) -> Chunk:
        """The next `form.steps` batches of every run."""
        K, T, R = len(self.laws), self.form.steps, self.form.columns
        if self.form.kind == "patterns":
            weight = torch.zeros(K, T, R, dtype=self.dtype)
            for k, (_, order, p) in enumerate(self.tables):
                counts = self.rngs[k].multinomial(self.batch, p, size=T)
                weight[k, :, order] = torch.from_numpy(counts).to(self.dtype)
            return Chunk(self.x, weight, None)
        x = self._zeros(K, T, self.rows, R)
        if self.form.kind == "rows":
            off = torch.empty(K, T, dtype=self.dtype)
            arrays = x.numpy()
            for k, law in enumerate(self.laws):
                active = law.rows(self.rngs[k], T, self.batch, arrays[k])
                off[k] = torch.from_numpy(self.batch - active).to(self.dtype)
            return Chunk(x, None, off)
        x[:, :, -1, : self.batch] = 1.0
        for k, law in enumerate(self.laws):
            x[k, :, :-1, : self.batch] = law.dense(self._uniform(k, law))
        return Chunk(x, None, None)

    def _zeros(self, *shape: int) -> torch.Tensor:
        """One of two buffers: the other one holds the chunk in use."""
        if len(self.buffers) < 2:
            self.buffers.append(torch.zeros(shape, dtype=self.dtype, device=self.device))
            return self.buffers[-1]
        self.buffers.reverse()
        return self.buffers[-1].zero_()

    def _uniform(self, k: int, law: Sampler) -> torch.Tensor:
        shape = (self.form.steps, law.cells, self.batch)
        double = law.fine or self.dtype == torch.float64
        if self.streams:
            dtype = torch.float64 if double else torch.float32
            return torch.rand(shape, dtype=dtype, device=self.device, generator=self.streams[k])
        drawn = self.rngs[k].random(shape, dtype=np.float64 if double else np.float32)
        return torch.from_numpy(drawn)


def _table(law: Sampler, columns: int) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """The patterns as columns, and their order by falling chance with those chances.

    In that order the multinomial is done as soon as no sample is left to give.
    """
    found = list(law.patterns())
    x = torch.zeros(law.n + 1, columns, dtype=torch.float64)
    x[: law.n, : len(found)] = torch.tensor([pattern for pattern, _ in found]).double().T
    x[law.n, : len(found)] = 1.0
    p = np.array([chance for _, chance in found])
    order = np.argsort(-p, kind="stable")
    p = p[order] / p.sum()
    return x, torch.from_numpy(order), p
