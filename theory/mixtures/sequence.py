"""Best blocks for features in surplus: the sequence that they pass through as S falls.

With features in surplus the best block has the largest gain per dimension, (n/d)(v - l(S)). Gains
are seen on a grid in rough losses; where a block may be best, or a rival, its loss is computed in
full, so rough losses decide only what is not asked (their margin is numerical). A change between
two points of the grid is located by secants in a bracket, and where a third block wins there the
interval is split. "Best known": over the blocks of the table, kept symmetric.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from packing.errors import BadInput
from theory.features import Float
from theory.mixtures.blocks import Block, blocks, variance
from theory.mixtures.limit import DEDICATED
from theory.mixtures.mixture import losses

_MARGIN = {0.3: 5e-3, 1.0: 5e-4}
"""Up to these S: the share of the largest gain that a gain from rough losses may be wrong by."""

_NEAR = 10.0
"""How many margins below the best at both ends a block may win in between."""

_SPLITS = 8


@dataclass(frozen=True)
class SurplusPhase:
    """A block that is best for features in surplus on an interval of S.

    Parameters
    ----------
    name : str
    d, n : int
    low, high : float
        Where it has the largest gain per dimension; crossings to 1e-10, numerical.
    rivals : tuple of (name, float)
        Blocks that lose less than 2 % of the gain somewhere inside, with the least share lost.
    """

    name: str
    d: int
    n: int
    low: float
    high: float
    rivals: tuple[tuple[str, float], ...]


def surplus(
    law: str = "binary", *, S_min: float = 1e-3, points: int = 120, within: float = 0.02
) -> tuple[SurplusPhase, ...]:
    """The sequence of best blocks for features in surplus, from S near 1 down to S_min.

    Parameters
    ----------
    law : {"binary", "uniform"}
    S_min : float
    points : int
        Grid on which phases are first seen; one narrower than a step can be missed.
    within : float
        Rivals are listed up to this share of the gain.

    Returns
    -------
    tuple of SurplusPhase
        S falling. "Best known": over the blocks of the table, kept symmetric; below
        `many_takeover` the many-features solution gains more than any of them.

    Raises
    ------
    BadInput
        If S_min is not in (0, 0.9) or the law has no blocks.
    """
    if law not in ("binary", "uniform") or not 0 < S_min < 0.9:
        raise BadInput(f"law = {law!r}, S_min = {S_min}: give binary or uniform, S_min in (0, 0.9)")
    table = (DEDICATED, *blocks(law))
    grid = _grid(S_min, points)
    seen = _Gains(table, grid, law)
    first = seen.first()
    edges: list[tuple[float, int, int]] = []
    for i in np.flatnonzero(np.diff(first)).tolist():
        ends = float(grid[i]), float(grid[i + 1])
        near = np.any(seen.close()[:, i : i + 2], axis=1)
        few = [table[k] for k in np.flatnonzero(near)]
        pair = table[first[i]], table[first[i + 1]]
        edges += [(S, table.index(a), table.index(b)) for S, a, b in _between(few, law, pair, ends)]
    edges.sort()
    bounds = [float(grid[0]), *(s for s, _, _ in edges), float(grid[-1])]
    order = [int(first[0]), *(k for _, _, k in edges)]
    phases = []
    for k, low, high in zip(order, bounds[:-1], bounds[1:], strict=True):
        inside = np.flatnonzero((grid >= low) & (grid <= high))
        here = seen
        if not inside.size:
            here, inside = _Gains(table, np.array([0.5 * (low + high)]), law), np.array([0])
        rivals = here.rivals(k, inside, within)
        phases.append(SurplusPhase(table[k].name, table[k].d, table[k].n, low, high, rivals))
    return tuple(reversed(phases))


def _grid(S_min: float, points: int) -> Float:
    if S_min >= 0.2:
        return np.linspace(S_min, 0.99, points)
    half = points // 2
    return np.concatenate(
        [np.geomspace(S_min, 0.2, half), np.linspace(0.2, 0.99, points - half)[1:]]
    )


class _Gains:
    """Gains per dimension (blocks, M): rough, and in full where that has been asked for."""

    def __init__(self, table: Sequence[Block], S: Float, law: str) -> None:
        self.table, self.S, self.law = table, S, law
        self.v = variance(S, law)
        self.size = np.array([b.n / b.d for b in table])[:, None]
        loss = losses(table, S, law, rough=True)  # of a dedicated feature: 0
        self.gain = self.size * (self.v - loss)
        self.full = np.zeros(self.gain.shape, dtype=bool)
        self.full[[k for k, b in enumerate(table) if law == "binary" or not b.row]] = True
        self.margin = np.where(min(_MARGIN) >= S, *_MARGIN.values())

    def ask(self, wanted: np.ndarray) -> None:
        """Have these gains (blocks, M) in full."""
        for k in np.flatnonzero(np.any(wanted & ~self.full, axis=1)).tolist():
            at = np.flatnonzero(wanted[k] & ~self.full[k])
            loss = self.table[k].loss(self.S[at], self.law)
            self.gain[k, at] = self.size[k] * (self.v[at] - loss)
            self.full[k, at] = True

    def first(self) -> np.ndarray:
        """The best block at each S; of ties (to rounding) the earliest."""
        top = np.full(self.S.size, -np.inf)
        while True:  # rough gains are too large at times: the largest in full decides
            wanted = ~self.full & (self.gain > top * (1.0 - self.margin))
            if not np.any(wanted):
                break
            if np.isfinite(top[0]):
                self.ask(wanted)
            else:
                self.ask(self.gain == np.max(self.gain, axis=0))
            top = np.max(np.where(self.full, self.gain, -np.inf), axis=0)
        top = np.max(np.where(self.full, self.gain, -np.inf), axis=0)
        return np.argmax(self.full & (self.gain >= top * (1.0 - 1e-11)), axis=0)

    def close(self) -> np.ndarray:
        """Which blocks (blocks, M) gain nearly as much as the best, and may between two S."""
        top = np.max(np.where(self.full, self.gain, -np.inf), axis=0)
        return np.asarray(self.gain > top * (1.0 - _NEAR * self.margin))

    def rivals(self, k: int, inside: np.ndarray, within: float) -> tuple[tuple[str, float], ...]:
        """Blocks that lose less than that share of block k's gain at one of these S."""
        self.ask(np.arange(len(self.table))[:, None] == np.full(self.S.size, k))
        lost = 1.0 - self.gain[:, inside] / self.gain[k, inside]
        while True:  # the point where least is lost, block by block, until it is sure
            lost = 1.0 - self.gain[:, inside] / self.gain[k, inside]
            sure = np.min(np.where(self.full[:, inside], lost, within), axis=1, keepdims=True)
            hope = np.where(self.full[:, inside], np.inf, lost - self.margin[inside])
            hope[hope >= np.minimum(sure, within)] = np.inf
            if not np.any(np.isfinite(hope)):
                break
            rows = np.flatnonzero(np.isfinite(np.min(hope, axis=1)))
            wanted = np.zeros(self.gain.shape, dtype=bool)
            wanted[rows, inside[np.argmin(hope[rows], axis=1)]] = True
            self.ask(wanted)
        lost = np.min(np.where(self.full[:, inside], lost, within), axis=1)
        return tuple(
            (self.table[j].name, max(0.0, float(lost[j])))
            for j in np.argsort(lost)
            if j != k and lost[j] < within
        )


def others(S: float, law: str, own: Sequence[str], within: float) -> list[tuple[float, str]]:
    """Blocks but those named, with the share that they lose of the largest gain of those named.

    The least first; all that lose less than ``within``, and the closest in any case. Numerical.
    """
    table = (DEDICATED, *blocks(law))
    seen = _Gains(table, np.array([S]), law)
    mine = np.array([block.name in own for block in table])
    seen.ask(mine[:, None])
    lost = 1.0 - seen.gain[:, 0] / np.max(seen.gain[mine])
    lost[mine] = np.inf
    seen.ask((lost < max(within, float(np.min(lost))) + seen.margin[0])[:, None])
    exact = 1.0 - seen.gain[:, 0] / np.max(seen.gain[mine])
    found = [
        (float(exact[k]), block.name)
        for k, block in enumerate(table)
        if seen.full[k, 0] and not mine[k] and np.isfinite(exact[k])
    ]
    return sorted(found)


def _between(
    table: Sequence[Block],
    law: str,
    pair: tuple[Block, Block],
    ends: tuple[float, float],
    depth: int = 0,
) -> list[tuple[float, Block, Block]]:
    """Changes (S, below, above) between two S with different best blocks."""
    from scipy.optimize import brentq

    below, above = pair

    def ahead(S: float) -> float:
        return _gain(above, S, law) - _gain(below, S, law)

    low, high = (ahead(S) for S in ends)
    if low < 0.0 < high:
        S = float(brentq(ahead, *ends, xtol=1e-13, rtol=1e-13))
    else:  # a tie at one end
        S = ends[0] if low >= 0.0 else ends[1]
    best = max(_gain(below, S, law), _gain(above, S, law))
    at = _Gains(table, np.array([S]), law)
    k = int(at.first()[0])
    third = table[k]
    if depth < _SPLITS and third not in pair and at.gain[k, 0] > best * (1.0 + 1e-9):
        return [
            *_between(table, law, (below, third), (ends[0], S), depth + 1),
            *_between(table, law, (third, above), (S, ends[1]), depth + 1),
        ]
    return [(S, below, above)]


def _gain(block: Block, S: float, law: str) -> float:
    at = np.array([S])
    return float((block.n / block.d * (variance(at, law) - block.loss(at, law)))[0])
