"""The programme of mixtures for all n, d and many S at once, and the crossings of its answers.

One dynamic programme over dimensions and features answers for every cell (n, d) of a table: value
(x, y) is the best total gain of x dimensions and y features, an array over S. Crossings of many
pairs of mixtures are located together, because a block costs much the same at one S and at twenty.
Numerical: crossings to about 1e-12 relative, of losses in floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import process_time
from typing import Any

import numpy as np

from packing.errors import BadInput, NotReached
from packing.types import Float
from theory.mixtures.block_table import Block, blocks, variance
from theory.mixtures.mixture import Mixture, losses

_WIDTH = 1e-10  # relative, of the interval at whose ends the signs are proved

SMALL, FEW = 16, 3
"""Crossings are enclosed unasked where the mixtures differ in so few blocks of so few points."""

SECONDS = 5.0
"""Processor time for the crossings of one table that are enclosed unasked."""


@dataclass(frozen=True, eq=False)
class Programme:
    """Best total gain for x dimensions and y features at each S: value (x, y, M)."""

    law: str
    table: tuple[Block, ...]
    S: Float
    gain: Float  # (1 + blocks, M), dedicated first
    value: Float

    @staticmethod
    def of(
        table: tuple[Block, ...], S: Float, law: str, n: int, d: int, rough: bool = False
    ) -> Programme:
        """All cells up to (n, d) at these S; rough losses are good to a few percent."""
        v = variance(S, law)
        loss = losses(table, S, law, rough=rough)
        saved = np.array([b.n for b in table])[:, None] * (v - loss) if table else loss
        gain = np.concatenate([v[None], np.where(np.isfinite(saved), saved, 0.0)])
        value = np.zeros((d + 1, n + 1, S.size))
        sizes = [(1, 1), *((b.d, b.n) for b in table)]
        for x in range(1, d + 1):
            value[x] = value[x - 1]
            for (a, b), g in zip(sizes, gain, strict=True):
                if a <= x and b <= n:
                    np.maximum(value[x, b:], value[x - a, : n + 1 - b] + g, out=value[x, b:])
        return Programme(law, table, S, gain, value)

    def close(self, cells: Sequence[tuple[int, int]], share: float) -> tuple[Block, ...]:
        """Blocks that cost some cell less than that share of its loss, if it must hold one."""
        v = variance(self.S, self.law)
        kept = []
        for block, gain in zip(self.table, self.gain[1:], strict=True):
            for n, d in cells:
                if block.n <= n and block.d <= d:
                    best = self.value[d, n]
                    least = best - self.value[d - block.d, n - block.n] - gain
                    if np.any(least < share * (n * v - best)):
                        kept.append(block)
                        break
        return tuple(kept)

    def best(self, n: int, d: int, i: int) -> Mixture:
        """The best mixture of n features in d dimensions at the i-th S."""
        value, gain = self.value[:, :, i], self.gain[:, i]
        sizes = [(1, 1), *((b.d, b.n) for b in self.table)]
        counts, x, y = [0] * len(sizes), d, n
        while x > 0:
            here = value[x, y]
            if here == value[x - 1, y]:
                x -= 1
                continue
            for k, (a, b) in enumerate(sizes):
                if a <= x and b <= y and value[x - a, y - b] + gain[k] == here:
                    counts[k] += 1
                    x, y = x - a, y - b
                    break
        placed = sum(k * b for k, (_, b) in zip(counts, sizes, strict=True))
        used = sum(k * a for k, (a, _) in zip(counts, sizes, strict=True))
        parts = [(b.name, k) for b, k in zip(self.table, counts[1:], strict=True) if k]
        S = float(self.S[i])
        total = float(n * variance(np.array(S), self.law) - value[d, n])
        left = n - placed
        return Mixture(tuple(parts), counts[0], left, n, d, used, S, total, self.law)


def difference(a: Mixture, b: Mixture) -> tuple[tuple[tuple[str, int], ...], int, int]:
    """a less b: counts of blocks, dedicated and ignored features, what they share left out."""
    counts = dict(a.parts)
    for name, many in b.parts:
        counts[name] = counts.get(name, 0) - many
    parts = tuple(sorted((name, k) for name, k in counts.items() if k))
    return parts, a.dedicated - b.dedicated, a.ignored - b.ignored


def crossings(pairs: list[tuple[Mixture, Mixture]], coarse: Programme) -> Float:
    """Where the mixtures of each pair cost the same, between the S they were found at (K,).

    Pairs with one difference between the same S are one equation, and all are asked together: a
    block costs much the same at one S and at twenty. A spline through the grid gives a start, two
    parabolas refine it; where the sign does not change around the answer, bisection does the work.
    """
    keys = [(difference(a, b), a.S, b.S) for a, b in pairs]
    unique = list(dict.fromkeys(keys))
    low, high = np.array([k[1] for k in unique]), np.array([k[2] for k in unique])
    known = {b.name: b for b in coarse.table}

    def gap(S: Float, chosen: np.ndarray) -> Float:
        """The differences chosen, at S (K, P)."""
        total = np.array([unique[i][0][2] for i in chosen])[:, None] * variance(S, coarse.law)
        weights: dict[str, Float] = {}
        for row, i in enumerate(chosen):
            for name, many in unique[i][0][0]:
                weights.setdefault(name, np.zeros(len(chosen)))[row] += many
        for name, weight in weights.items():
            asked, block = np.flatnonzero(weight), known[name]
            value = block.loss(S[asked].ravel(), coarse.law).reshape(len(asked), -1)
            total[asked] += weight[asked, None] * block.n * value
        return np.asarray(total)

    x = np.array([_start(key, coarse) for key in unique])
    every = np.arange(len(unique))
    for step in (1e-3, 1e-6):
        S = np.clip(x[:, None] * (1.0 + step * np.array([-1.0, 0.0, 1.0])), coarse.S[0], 1.0)
        y = gap(S, every)
        x = np.clip([_parabola(a, b) for a, b in zip(S, y, strict=True)], low, high)
    lost = np.flatnonzero(~((y[:, 0] < 0) & (y[:, 2] > 0)))
    if lost.size:
        f, g = low[lost], high[lost]
        for _ in range(45):
            middle = 0.5 * (f + g)
            below = gap(middle[:, None], lost)[:, 0] < 0
            f, g = np.where(below, middle, f), np.where(below, g, middle)
        x[lost] = 0.5 * (f + g)
    S_of = dict(zip(unique, x.tolist(), strict=True))
    return np.array([S_of[key] for key in keys])


def _start(key: tuple[Any, float, float], coarse: Programme) -> float:
    """The root between the two S of a spline through the losses on the grid."""
    from scipy.interpolate import CubicSpline
    from scipy.optimize import brentq

    (parts, _, ignored), low, high = key
    v = variance(coarse.S, coarse.law)
    row = {b.name: k + 1 for k, b in enumerate(coarse.table)}
    size = {b.name: b.n for b in coarse.table}
    total = ignored * v
    for name, many in parts:
        total = total + many * (size[name] * v - coarse.gain[row[name]])
    # a pair that is none at some S has no loss there: a straight line is start enough
    curve = CubicSpline(np.log(coarse.S), total)
    try:
        return float(np.exp(brentq(curve, np.log(low), np.log(high))))
    except ValueError:
        return 0.5 * (low + high)


def _parabola(S: Float, y: Float) -> float:
    """The root nearest to the middle of the parabola through three points."""
    h = S[1] - S[0]
    slope, bend = (y[2] - y[0]) / (2 * h), (y[2] - 2 * y[1] + y[0]) / (2 * h * h)
    inside = slope * slope - 4 * bend * y[1]
    if not (np.isfinite(inside) and inside > 0) or slope == 0:
        return float(S[1])
    return float(S[1] - 2 * y[1] / (slope + np.copysign(np.sqrt(inside), slope)))


@dataclass
class Certainty:
    """How crossings are known, with a bound on the time that finding it out takes.

    Parameters
    ----------
    every : bool
        Enclose all crossings that have formulas, however long that takes; otherwise those of a few
        small blocks (FEW, SMALL), until the time is up.
    seconds : float
        Processor time for all crossings together; not kept to where ``every`` is asked for.
    """

    every: bool = False
    seconds: float = SECONDS
    spent: float = 0.0
    kept: dict[Any, str] = field(default_factory=dict)

    def of(self, a: Mixture, b: Mixture, S: float) -> str:
        """Exact, rigorous or numerical: the crossing of two mixtures near S."""
        key = difference(a, b), round(S, 9)
        if key not in self.kept:
            if not self.every and (self.spent > self.seconds or not _quick(a, b)):
                return "numerical"
            start = process_time()
            self.kept[key] = how_known(a, b, S)
            self.spent += process_time() - start
        return self.kept[key]


def _quick(a: Mixture, b: Mixture) -> bool:
    """Whether the blocks that two mixtures do not share are few and small."""
    parts = difference(a, b)[0]
    size = {block.name: block.n for block in blocks(a.law)}
    return len(parts) <= FEW and all(size[name] <= SMALL for name, _ in parts)


def how_known(a: Mixture, b: Mixture, S: float) -> str:
    """Whether the crossing of two mixtures near S is exact, rigorous or only numerical."""
    from theory.symmetric import crossing, mixture

    if a.law not in ("binary", "uniform"):  # others have no exact forms
        return "numerical"
    parts, dedicated, ignored = difference(a, b)
    sides = [
        mixture(
            *((name, sign * k) for name, k in parts if sign * k > 0),
            ignored=max(0, sign * ignored),
            dedicated=max(0, sign * dedicated),
            law=a.law,
        )
        if not any(name in ("uneven digon", "parallel pair") for name, _ in parts)
        else None
        for sign in (1, -1)
    ]
    if sides[0] is None or sides[1] is None:
        return "numerical"
    try:
        width = _WIDTH * S
        return crossing(sides[0], sides[1], S - width, S + width, digits=9).known
    except (BadInput, NotReached):
        return "numerical"
