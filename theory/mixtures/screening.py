"""Which blocks a best mixture can hold, seen in rough losses.

Rough losses are computed on a grid of S and interpolated; a margin, from how much the loss bends
between neighbours, makes the gains optimistic. With their prices a mixture loses what its blocks
lack; it is worth no more than the relaxation less that, so a block belongs to none that is better
than a known one if the cheapest whole solution with that block in it (`theory.mixtures.group`, a
lower bound) already loses too much. What is left is computed in full. That the margin holds is
numerical; the rest is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.interpolate import PchipInterpolator

from theory.features import Float
from theory.mixtures.blocks import Block, variance
from theory.mixtures.group import Group
from theory.mixtures.mixture import Mixture, best_among
from theory.mixtures.pieces import pieces
from theory.mixtures.programme import prices
from theory.mixtures.steps import ask, cost_at

_MARGIN = {"uniform": {0.2: 5e-4, 1.0: 3e-5}, "binary": {0.6: 2e-3, 1.0: 1e-4}}
"""Up to these S: share of the ignored feature's loss that rough losses may be too high, besides
what they bend between two neighbours of the grid. Too low is harmless."""

_POINTS, _DENSE = 20, 32

ROUNDS, FEW = 3, {"uniform": 20}
"""How often a better known mixture is looked for where more than FEW blocks are left (other laws:
never, a loss is computed sooner)."""


class Screen:
    """Rough losses of a table of blocks for n features in d dimensions, at S in [low, high]."""

    def __init__(
        self, n: int, d: int, table: Sequence[Block], law: str, low: float, high: float
    ) -> None:
        self.n, self.d, self.table, self.law = n, d, table, law
        self.sure = [k for k, block in enumerate(table) if not block.row]  # asked in full, always
        self.place = {block.name: k for k, block in enumerate(table)}
        rows = [_rough(block, law, low, high) for block in table]
        grid = _grid(low, high)
        share = np.array(rows).reshape(len(table), grid.size)
        self.grid, self.share = np.log(grid), share
        self.smooth = PchipInterpolator(self.grid, share, axis=1) if table else None

    def optimistic(self, S: float, known: Sequence[Mixture] = ()) -> Float:
        """Losses per feature that are not too high; in full for blocks of what is known there."""
        if self.smooth is None:
            return np.zeros(0)
        at = float(np.clip(np.log(S), self.grid[0], self.grid[-1]))
        right = int(np.clip(np.searchsorted(self.grid, at), 1, self.grid.size - 1))
        x, y = self.grid[right - 1 : right + 1], self.share[:, right - 1 : right + 1]
        straight = y[:, 0] + (y[:, 1] - y[:, 0]) * (at - x[0]) / (x[1] - x[0])
        smooth = self.smooth(at)
        margin = _MARGIN.get(self.law, {1.0: 5e-3})
        off = np.abs(smooth - straight) + next(m for top, m in margin.items() if top >= S)
        loss = np.maximum(smooth - off, 0.0) * variance(np.array(S), self.law)
        names = [self.table[k].name for k in self.sure]
        names += [name for mixture in known for name, _ in mixture.parts]
        for k in {self.place[name] for name in names}:
            loss[k] = float(pieces(self.table[k], self.law)(np.array([S]))[0])
        return np.asarray(loss)

    def candidates(
        self, S: Sequence[float], known: Sequence[tuple[Mixture, ...]]
    ) -> tuple[list[tuple[Mixture, ...]], list[tuple[Block, ...]]]:
        """At each S mixtures that are good there, and the blocks that a better one can hold."""
        good, few = list(known), FEW.get(self.law, len(self.table))
        near: list[tuple[Block, ...]] = [() for _ in S]
        open_ = list(range(len(S)))
        for step in range(ROUNDS + 1):
            ask([self.full(good[i]) for i in open_], [S[i] for i in open_], self.law)
            for i in open_:
                if not good[i]:
                    continue
                cost = [float(cost_at(m, np.array([S[i]]))[0]) for m in good[i]]
                near[i] = self.near(S[i], good[i], min(cost))
            open_ = [i for i in open_ if len(near[i]) > few or not good[i]]
            for i in open_ if step < ROUNDS else ():
                loss = self.optimistic(S[i], good[i])
                one = best_among(self.n, self.d, S[i], self.law, self.table, loss, good[i])
                good[i] = (*good[i], one)
        return good, near

    def full(self, known: Sequence[Mixture]) -> tuple[Block, ...]:
        """Blocks whose losses `near` asks for in full."""
        names = dict.fromkeys(name for mixture in known for name, _ in mixture.parts)
        found = dict.fromkeys([*self.sure, *(self.place[name] for name in names)])
        return tuple(self.table[k] for k in found)

    def near(self, S: float, known: Sequence[Mixture], cost: float) -> tuple[Block, ...]:
        """Blocks that a mixture which costs no more than a known one can hold."""
        n, d = self.n, self.d
        v = float(variance(np.array(S), self.law))
        loss = self.optimistic(S, known)
        saved = np.where(np.isfinite(loss), v - loss, 0.0)
        items = [(1, 1, v)]
        items += [(b.d, b.n, b.n * float(x)) for b, x in zip(self.table, saved, strict=True)]
        lam, mu, basis = prices(items, d, n)
        whole = [*items, (0, 1, 0.0), (1, 0, 0.0)]
        lacks = [max(0.0, lam * a + mu * b - g) for a, b, g in whole]
        gap = max(0.0, lam * d + mu * n - (n * v - cost)) * (1.0 + 1e-9) + 1e-9 * lam * d
        inside = {k % len(whole) for k in basis}
        free = [k for k in range(len(whole)) if k not in inside and lacks[k] <= gap]
        free.sort(key=lambda k: -lacks[k])
        group = Group(whole, free, lacks, [whole[k] for k in basis], gap)
        lost = group.containing((d, n), (lam, mu))
        kept = {k for k, x in zip(free, lost, strict=True) if x <= gap} | inside
        kept |= {self.place[name] + 1 for mixture in known for name, _ in mixture.parts}
        kept |= {k + 1 for k in self.sure}
        return tuple(self.table[k - 1] for k in sorted(kept) if 0 < k < len(items))


def _grid(low: float, high: float) -> Float:
    sparse = np.geomspace(low, 0.15, _POINTS) if low < 0.1 else np.array([low])
    return np.unique([*sparse, *np.linspace(max(low, 0.15), high, _DENSE)])


@lru_cache(maxsize=1024)
def _rough(block: Block, law: str, low: float, high: float) -> tuple[float, ...]:
    """Rough losses of a block on the grid, as shares; 1 where there is none."""
    grid = _grid(low, high)
    share = block.loss(grid, law, rough=True) / variance(grid, law)
    return tuple(np.where(np.isfinite(share), share, 1.0).tolist())
