"""The compiled engine: one model a thread, whole stretches of training in one call (numba).

First the tables from which a kernel draws whole numbers with one look-up (alias tables, Walker
1977), then how the samples of a run are drawn, then the engine; its kernels stand in `kernels`.

A law on low, low + 1, ... is cut into 2^k cells of equal chance, each shared by at most two values;
k random bits choose the cell and the other 64 - k one of the two (Vose 1991). Chances are right to
about 2^-52, and tails of less than 2^-60 are left out: the samples are those of the law as far as
double precision can tell. Tables stand one behind the other in two arrays.

The counts of the patterns of a batch are multinomial, and are drawn by way of a Poisson trick that
is exact: independent N_i ~ Poisson(mu q_i), given their sum T, are multinomial(T, q). Drawing
M - T more samples one by one, or taking away T - M of those drawn without looking, makes them
multinomial(M, q), whatever T was. With mu a little below the mean of M few are needed.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from packing.errors import BadInput
from packing.types import Float
from validate.experiments import Recipe, Run, Setting
from validate.sampling import Sampler, generator, sampler
from validate.training.engine import Engine
from validate.training.step import EPSILON, first_weights, learning_rate

if TYPE_CHECKING:
    import torch

    from validate.training.kernels import Job, Shape

TAIL = 2.0**-60
"""Chances below this are left out at the ends of a law."""

OFTEN = 1.0
"""A pattern is counted by a table of its own if it is expected at least so often in a batch."""


@dataclass
class Tables:
    """Alias tables one behind the other; each row of `where` is a table.

    Attributes
    ----------
    keep : list of arrays of uint64
        Of a cell: below this the cell's own value is taken.
    other : list of arrays of int64
        The value taken otherwise.
    where : list of (start, shift, low)
        First cell, 64 - k, and the value of cell 0.
    """

    keep: list[NDArray[np.uint64]] = field(default_factory=list)
    other: list[NDArray[np.int64]] = field(default_factory=list)
    where: list[tuple[int, int, int]] = field(default_factory=list)

    def add(self, p: Float, low: int = 0) -> int:
        """A table of the law p (unnormalised) on low, low + 1, ...; its number."""
        k = max(1, (len(p) - 1).bit_length())
        size, shift = 2**k, 64 - k
        share = np.zeros(size)
        share[: len(p)] = np.asarray(p, dtype=float) / math.fsum(p) * size
        other = np.arange(size)
        keep = np.ones(size)
        small = [i for i in range(size) if share[i] < 1.0]
        large = [i for i in range(size) if share[i] >= 1.0]
        while small and large:
            i, j = small.pop(), large[-1]
            keep[i], other[i] = share[i], j
            share[j] -= 1.0 - share[i]
            if share[j] < 1.0:
                small.append(large.pop())
        # Cells that are left over should be full; what rounding took from them goes to the mode.
        top = int(np.argmax(p))
        for i in small:
            keep[i], other[i] = share[i], top
        start = sum(map(len, self.keep))
        scaled = np.minimum(np.floor(keep * 2.0**shift), 2.0**shift)
        self.keep.append(scaled.astype(np.uint64))
        self.other.append(other + low)
        self.where.append((start, shift, low))
        return len(self.where) - 1

    def poisson(self, mean: float) -> int:
        """A table of the Poisson law."""
        from scipy.stats import poisson

        low, high = _ends(mean, math.sqrt(mean), math.inf)
        p = poisson.pmf(np.arange(low, high + 1), mean)
        return self._cut(p, low)

    def binomial(self, count: int, chance: float) -> int:
        """A table of the binomial law."""
        from scipy.stats import binom

        spread = math.sqrt(count * chance * (1.0 - chance))
        low, high = _ends(count * chance, spread, count)
        p = binom.pmf(np.arange(low, high + 1), count, chance)
        return self._cut(p, low)

    def geometric(self, chance: float) -> tuple[int, int]:
        """A table of how many come before the next that is on; and its last value.

        The last value stands for itself and everything beyond: it says to go on from there, which
        is right because the law has no memory.
        """
        cells = 2 ** min(10, max(4, math.ceil(math.log2(4.0 / chance))))
        p = chance * (1.0 - chance) ** np.arange(cells)
        p[-1] = (1.0 - chance) ** (cells - 1)
        return self.add(p), cells - 1

    def _cut(self, p: Float, low: int) -> int:
        """The table without the tails at both ends."""
        some = np.flatnonzero(p > TAIL * p.max())
        return self.add(p[some[0] : some[-1] + 1], low + int(some[0]))

    def packed(self) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
        """The arrays a kernel takes: keep, other, where (tables, 3)."""
        if not self.where:
            return np.zeros(1, np.uint64), np.zeros(1, np.int64), np.zeros((1, 3), np.int64)
        return (
            np.concatenate(self.keep),
            np.concatenate(self.other),
            np.array(self.where, dtype=np.int64),
        )


def _ends(mean: float, spread: float, most: float) -> tuple[int, int]:
    """Where a law of counts may be cut: 14 standard deviations, and 40 more for small means."""
    low = max(0, math.floor(mean - 14.0 * spread))
    return low, int(min(most, math.ceil(mean + 14.0 * spread + 40.0)))


@dataclass(frozen=True, eq=False)
class Counting:
    """How the patterns of a batch are counted.

    Parameters
    ----------
    starts, members : (P + 1,) and (sum,) arrays
        The features of pattern p are members[starts[p] : starts[p + 1]]; often ones come first.
    often : int
        Patterns with a Poisson table of their own.
    tables : Tables
        0: samples with anything on; 1 to `often`: those counts; then, if there are other patterns,
        how many samples are of them, and which; last, which pattern one sample has.
    """

    starts: NDArray[np.int64]
    members: NDArray[np.int64]
    often: int
    tables: Tables


def counting(patterns: list[tuple[tuple[int, ...], float]], batch: int) -> Counting:
    """Tables for the counts of patterns with these chances among `batch` samples.

    Parameters
    ----------
    patterns : list of ((n,) tuple of 0 and 1, chance)
    batch : int
    """
    some = [(np.flatnonzero(x), p) for x, p in patterns if any(x) and p > 0.0]
    some.sort(key=lambda each: -each[1])
    chances = np.array([p for _, p in some])
    q = chances / chances.sum()
    active = min(1.0, math.fsum(chances.tolist()))
    mean = batch * active
    # M has variance mean (1 - active), T has variance mu: they differ by about this.
    mu = max(0.0, mean - math.sqrt(mean * (2.0 - active)))
    often = int(np.sum(mu * q >= OFTEN))
    tables = Tables()
    tables.binomial(batch, active)
    for one in q[:often]:
        tables.poisson(mu * float(one))
    if often < len(q):
        tables.poisson(mu * float(q[often:].sum()))
        tables.add(q[often:], often)
    tables.add(q)
    starts = np.concatenate([[0], np.cumsum([len(x) for x, _ in some])]).astype(np.int64)
    members = np.concatenate([x for x, _ in some]).astype(np.int64)
    return Counting(starts, members, often, tables)


# How the compiled engine draws the samples of a run: in which form, from which tables.
#
# The form depends on the run alone: counts of patterns where there are few, gaps where features are
# seldom on or on in groups, else every cell.

PATTERNS = 1024
"""Most on/off patterns that are counted."""

OFTEN_ON = 0.25
"""Independent features that are on with at least this chance are asked cell by cell."""


@dataclass(frozen=True, eq=False)
class Plan:
    """All that the kernel is told of a run beside its weights.

    Parameters
    ----------
    form : int
        As in `kernels`.
    columns : float
        Columns of a batch, expected.
    draws : float
        Random choices and values of a batch, expected.
    """

    form: int
    columns: float
    draws: float
    starts: NDArray[np.int64]
    members: NDArray[np.int64]
    often: int
    rare: bool
    last: int
    keep: NDArray[np.uint64]
    other: NDArray[np.int64]
    where: NDArray[np.int64]
    accept: NDArray[np.uint64]
    levels: Float


@lru_cache(maxsize=4096)
def plan_of(setting: Setting, recipe: Recipe) -> Plan:
    """How the samples of a run are drawn."""
    law, batch = sampler(setting), recipe.batch
    if law.pattern_count() <= PATTERNS:
        return _patterns(counting(list(law.patterns()), batch), law, batch)
    none = np.zeros(1, np.int64)
    dense = law.size == 1 and float(np.max(law.chance)) >= OFTEN_ON
    tables, last = Tables(), 0
    accept, levels = np.zeros(1, np.uint64), np.zeros(1)
    if dense:
        with np.errstate(divide="ignore"):
            levels = np.concatenate([law.chance, np.where(law.chance > 0, 1.0 / law.chance, 0.0)])
        columns, draws = float(batch), float(batch * law.groups)
    else:
        top = float(np.max(law.chance))
        _, last = tables.geometric(top)
        share = np.minimum(np.floor(law.chance / top * 2.0**64), 2.0**64 - 2.0**11)
        accept = np.where(law.chance >= top, 0.0, share).astype(np.uint64)
        columns, draws = batch * law.active, batch * float(np.sum(law.chance)) * 2.0
    from validate.training.kernels import DENSE, GAPS

    keep, other, where = tables.packed()
    form = DENSE if dense else GAPS
    return Plan(
        form, columns, draws, none, none, 0, False, last, keep, other, where, accept, levels
    )


def _patterns(found: Counting, law: Sampler, batch: int) -> Plan:
    from validate.training.kernels import PATTERNS

    keep, other, where = found.tables.packed()
    count = len(found.starts) - 1
    columns = batch * law.active
    draws = found.often + 2.0 * math.sqrt(columns) + 2.0
    if law.law == "binary":
        columns = min(columns, found.often + 2.0)
    else:
        draws += batch * float(np.sum(law.chance)) * (1.0 if law.single else law.size)
    none = np.zeros(1, np.uint64)
    return Plan(
        PATTERNS,
        columns,
        draws,
        found.starts,
        found.members,
        found.often,
        found.often < count,
        0,
        keep,
        other,
        where,
        none,
        np.zeros(1),
    )


# The compiled engine: one model a thread, whole stretches of training in one call (numba).
#
# How samples are drawn depends on the run alone (`plan_of`): counts of patterns where there are
# few, gaps where features are seldom on, else every cell. A model's weights, moments and samples
# stay in the first-level cache; threads share nothing, so a result is the same in any company and
# for any number of threads. The kernel is compiled at first use, once for each precision, and kept
# on disk.

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
            for lane in range(len(runs)):
                lanes.feed(lane, x[lane, t].reshape(n, -1), t)
            found.append(lanes.weights())
        lanes.close()
        return np.stack(found, axis=1)


class NumbaLanes:
    """Models side by side, each a row of numbers that one thread works on."""

    def __init__(self, runs: Sequence[Run]) -> None:
        from numba import config

        from validate.training.kernels import WORDS

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
        self.shapes = [self._shape(run) for run in runs]
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
        self.shapes = [self.shapes[lane] for lane in kept]
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
        from validate.training.kernels import train

        train(self._job(lane, scratch), rates, want, losses, self.kind.type(1.0))

    def _job(self, lane: int, scratch: _Scratch) -> Job:
        from validate.training.kernels import Job

        plan = self.plans[lane]
        return Job(
            self.shapes[lane],
            scratch.at,
            self.models[lane],
            scratch.numbers,
            self.states[lane],
            scratch.bits,
            np.zeros(2 * max(len(plan.starts), 1), np.int64),
            np.zeros(2, np.int64),
            plan.starts,
            plan.members,
            plan.keep,
            plan.other,
            plan.where,
            plan.accept,
            plan.levels.astype(self.kind),
        )

    def _shape(self, run: Run) -> Shape:
        from validate.training.kernels import Shape

        plan, s, drawn = plan_of(run.setting, run.recipe), run.setting, sampler(run.setting)
        return Shape(
            n=self.n,
            d=self.d,
            size=self.padded,
            blocks=self.blocks,
            batch=run.recipe.batch,
            form=plan.form,
            law=("binary", "uniform", "exponential").index(s.law),
            relu=bool(s.relu),
            bias=bool(s.bias),
            group=int(drawn.size),
            single=bool(drawn.single),
            often=int(plan.often),
            rare=bool(plan.rare),
            last=int(plan.last),
        )

    def feed(self, lane: int, x: Float, t: int) -> None:
        """One step of a model on the samples x (n, B) as they are."""
        from validate.training.kernels import finish, flush

        zero, scratch = self.kind.type(0.0), _Scratch(self)
        job, s, at = self._job(lane, scratch), scratch.numbers, scratch.at
        B, room = x.shape[1], 16 * self.blocks
        for low in range(0, B, room):
            some = x[:, low : low + room]
            wide = -(-some.shape[1] // 16)
            columns = np.zeros((self.n, 16 * wide))
            columns[:, : some.shape[1]] = some
            size = self.n * 16 * wide
            placed = columns.reshape(self.n, wide, 16).transpose(1, 0, 2).ravel()
            s[at.input : at.input + size] = placed
            s[at.weight : at.weight + some.shape[1]] = 1.0
            flush(job, wide, False, zero)
        finish(job, 0, rates_of(self.recipe, t, 1).astype(self.kind)[0], zero)


class _Scratch:
    """What one thread needs beside the models: gradients and columns."""

    def __init__(self, lanes: NumbaLanes) -> None:
        from validate.training.kernels import BITS, POOL, Places

        n, d, blocks = lanes.n, lanes.d, lanes.blocks
        wide = 16 * blocks
        parts = (lanes.padded, d * wide, d * wide, n * wide, n * wide, wide, POOL)
        self.at = Places(*(sum(parts[:i]) for i in range(len(parts))))
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


__all__ = [
    "Counting",
    "NumbaEngine",
    "NumbaLanes",
    "Plan",
    "Tables",
    "cost",
    "counting",
    "memory_of",
    "plan_of",
    "rates_of",
]
