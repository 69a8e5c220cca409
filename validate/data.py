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
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from theory.features import Float
from validate.runs import Setting, joint_parts

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
