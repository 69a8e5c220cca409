"""Samplers: sparse features, alone or in groups that are on together or that exclude each other.

Every joint law here is one rule: the n features fall into groups of k consecutive ones, each group
is on with its own chance q, independently of the others, and then either all its members are on or
exactly one of them, all alike. So

    independent   k = 1, q_i = S_i            together:k   all members on, q = S
    apart:k       one member on, q = k S      one-on       apart with a single group, k = n, q = 1

(the groups of Elhage et al. 2022). The value of an on feature is 1, uniform on [0, 1] or
exponential of mean 1, independently of everything else. Three ways to draw the same batch:

    dense      every cell, from one uniform number each
    rows       only the rows with something on: gaps between on groups are geometric
    patterns   binary values, few features: how often each on/off pattern occurs, multinomial

Nothing is shared with the samplers or losses of `theory`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from packing.types import Float
from validate.experiments import Recipe, Run, Setting, joint_parts

SURE = 6.0
"""Standard deviations of room for a random count; beyond lies a chance of about 1e-9."""

COARSE = 1.0 / 16.0
"""Chances below this are compared with uniform numbers of 53 bits instead of 24."""


def generator(key: str, purpose: int) -> np.random.Generator:
    """Random numbers of one run for one purpose; two purposes never share any.

    Parameters
    ----------
    key : str
        Key of the run, hexadecimal.
    purpose : int
        0 for first weights, 1 for training samples, 2 for measuring.
    """
    seeds = np.random.SeedSequence(int(key, 16), spawn_key=(purpose,))
    return np.random.Generator(np.random.SFC64(seeds))


@dataclass(frozen=True, eq=False)
class Sampler:
    """The joint law of the features of a setting.

    Parameters
    ----------
    n, size : int
        Features, and how many of them form a group.
    chance : (n / size,) array
        Chance that a group is on.
    single : bool
        Whether one member of an on group is on, rather than all.
    law : str
        Law of the value of an on feature.
    """

    n: int
    size: int
    chance: Float
    single: bool
    law: str

    @property
    def groups(self) -> int:
        return self.n // self.size

    @property
    def cells(self) -> int:
        """Uniform numbers that one dense sample takes."""
        return self.groups if self.single else self.n

    @property
    def active(self) -> float:
        """Chance that a sample has anything on."""
        if np.any(self.chance >= 1.0):
            return 1.0
        return float(-np.expm1(np.sum(np.log1p(-self.chance))))

    @property
    def fine(self) -> bool:
        """Whether uniform numbers of 24 bits are too coarse for the chances."""
        return bool(np.min(self.chance) < COARSE)

    def dense(self, u: torch.Tensor) -> torch.Tensor:
        """Samples from uniform numbers.

        Parameters
        ----------
        u : (..., cells, B) tensor
            Uniform on [0, 1), independent; overwritten.

        Returns
        -------
        (..., n, B) tensor
            Feature i of sample t at [..., i, t].

        Notes
        -----
        One uniform number serves twice: a group is on if u < q, and given that, u / q is again
        uniform and makes the value (and before it the member).
        """
        q = torch.as_tensor(self.chance, dtype=u.dtype, device=u.device)[:, None]
        lead, B = u.shape[:-2], u.shape[-1]
        if self.single:
            on = u < q
            v = u.div_(q).mul_(self.size)
            member = v.floor().clamp_(max=self.size - 1)
            v.sub_(member)
            which = torch.arange(self.size, dtype=u.dtype, device=u.device)[:, None]
            chosen = (member[..., None, :] == which) & on[..., None, :]
            return torch.where(chosen, self._values(v)[..., None, :], 0.0).reshape(*lead, self.n, B)
        u = u.reshape(*lead, self.groups, self.size, B)
        on = u[..., 0, :] < q
        u[..., 0, :].div_(q)
        return torch.where(on[..., None, :], self._values(u), 0.0).reshape(*lead, self.n, B)

    def draw(self, rng: np.random.Generator, count: int) -> Float:
        """`count` samples, shape (count, n)."""
        u = torch.from_numpy(rng.random((self.cells, count)))
        return np.ascontiguousarray(self.dense(u).numpy().T)

    def rows(
        self, rng: np.random.Generator, steps: int, batch: int, out: NDArray[np.floating]
    ) -> NDArray[np.int64]:
        """The rows with something on, of several batches.

        Parameters
        ----------
        out : (steps, n + 1, R) array of zeros
            Gets the samples with something on, side by side, and a one below each of them.

        Returns
        -------
        (steps,) array
            How many rows of each batch have something on. Those beyond R are left out.
        """
        groups, R = self.groups, out.shape[2]
        place = self._places(rng, steps * batch * groups)
        row = place // groups
        group = place - row * groups
        first = np.searchsorted(row, np.arange(steps + 1) * batch)  # first event of each step
        step = np.repeat(np.arange(steps), np.diff(first))
        rank = np.zeros(len(row) + 1, dtype=np.int64)  # which active row an event belongs to
        np.cumsum(row[1:] != row[:-1], out=rank[1:-1])
        rank[-1] = int(rank[-2]) + 1 if len(row) else 0
        # The first event of a step always opens a new row, since steps do not share rows.
        start = np.where(first < len(row), rank[first], rank[-1])
        slot = rank[:-1] - start[step]
        active = np.diff(start)
        if np.any(active > R):
            kept = slot < R
            step, slot, group = step[kept], slot[kept], group[kept]
        base = step * (out.shape[1] * R) + slot
        flat = out.reshape(-1)
        assert np.shares_memory(flat, out)
        flat[base + self.n * R] = 1.0
        if self.single:
            member = rng.integers(self.size, size=len(group))
            flat[base + (group * self.size + member) * R] = self._drawn(rng, len(group), out.dtype)
        else:
            base += group * (self.size * R)
            for i in range(self.size):
                flat[base + i * R] = self._drawn(rng, len(base), out.dtype)
        return active

    def patterns(self) -> Iterator[tuple[tuple[int, ...], float]]:
        """Every on/off pattern with its probability, as (n,) tuples of 0 and 1."""
        off, full = (0,) * self.size, (1,) * self.size
        one = [tuple(int(i == j) for j in range(self.size)) for i in range(self.size)]
        for parts in product(*([off, *one] if self.single else [off, full] for _ in self.chance)):
            p = 1.0
            for part, q in zip(parts, self.chance.tolist(), strict=True):
                p *= (q / self.size if self.single else q) if any(part) else 1.0 - q
            yield sum(parts, ()), p

    def pattern_count(self) -> float:
        """How many patterns there are, impossible ones included; infinite beyond 2^1000."""
        each = self.size + 1 if self.single else 2
        return float(each) ** self.groups if self.groups * math.log2(each) < 1000.0 else math.inf

    def _places(self, rng: np.random.Generator, total: int) -> NDArray[np.int64]:
        """Increasing places of on groups among `total` (sample, group) cells, group fastest."""
        q = float(np.max(self.chance))
        if q >= 1.0:
            place = np.arange(total)
        else:
            rate = -math.log1p(-q)
            expected = total * q
            count = int(expected + SURE * math.sqrt(expected * (1.0 - q)) + 2.0 * SURE)
            parts: list[NDArray[np.int64]] = []
            last = -1
            while last < total:
                gap = rng.standard_exponential(count)
                gap /= rate
                part = np.minimum(gap, total).astype(np.int64)
                part += 1
                np.cumsum(part, out=part)
                part += last
                parts.append(part)
                last = int(part[-1])
            place = parts[0] if len(parts) == 1 else np.concatenate(parts)
            place = place[: np.searchsorted(place, total)]
        if np.ptp(self.chance) > 0.0:  # thinned where a group is on less often than the most
            keep = rng.random(len(place)) * q < self.chance[place % self.groups]
            place = place[keep]
        return place

    def _values(self, v: torch.Tensor) -> torch.Tensor:
        """Values of on features from uniform numbers."""
        if self.law == "binary":
            return torch.ones_like(v)
        if self.law == "uniform":
            return v
        return v.clamp_(max=1.0 - torch.finfo(v.dtype).eps).neg_().log1p_().neg_()

    def _drawn(
        self, rng: np.random.Generator, count: int, dtype: np.dtype
    ) -> NDArray[np.floating] | float:
        if self.law == "binary":
            return 1.0
        kind = np.float32 if dtype == np.float32 else np.float64
        draw = rng.random if self.law == "uniform" else rng.standard_exponential
        return np.asarray(draw(count, dtype=kind))


def sampler(setting: Setting) -> Sampler:
    """The sampler of a setting."""
    S = setting.features.S
    kind, size = joint_parts(setting.joint, setting.n, S.tolist())
    if kind == "one-on":
        return Sampler(setting.n, setting.n, np.ones(1), True, setting.law)
    chance = S[::size] * (size if kind == "apart" else 1)
    return Sampler(setting.n, size, np.minimum(chance, 1.0), kind == "apart", setting.law)


# Batches for many models at once: which form they take, what they need, who fills them.
#
# A run's samples come from its own generator, a fixed number of steps per call, so they do not
# depend on who trains beside it. Each sample is a column of an (n + 1, R) array whose last row is
# 1: then the bias is one more column of the Gram matrix, and a column of zeros is no sample at all.
#
#     patterns   each on/off pattern once, with how often it occurs in the batch as a weight
#     rows       the samples with something on; those with nothing on are only counted
#     dense      all samples
#
# The next chunk is drawn by a second thread while the first one is being used.

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
