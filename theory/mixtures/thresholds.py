"""S* and S_onset of the best mixture for all n, d at once, and how crossings of mixtures are known.

One dynamic programme over dimensions and features answers for every cell (n, d): value (x, y) is
the best total gain of x dimensions and y features, an array over S. Between two S of its grid where
the number represented crosses a threshold, the crossing of the two mixtures is located, all cells
together, because a block costs much the same at one S and at twenty; the programme is asked again
there with the blocks that came close. Numerical, of losses in floats; a crossing is then proved
where the formulas of both mixtures meet in the root of a polynomial, and enclosed by interval
arithmetic where it can be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import process_time
from typing import Any

import numpy as np
from scipy.optimize.elementwise import find_root

from packing.errors import BadInput, NotReached
from packing.results import Evidence
from packing.types import Float
from theory.mixtures.block_table import Block, blocks, variance
from theory.mixtures.ladder import differences, mixture_losses, only_noise
from theory.mixtures.mixture import Mixture, losses
from theory.symmetric import crossing, mixture

_WIDTH = 1e-10  # relative, of the interval at whose ends the signs are proved

SMALL, FEW = 16, 3
"""Crossings are enclosed unasked where the mixtures differ in so few blocks of so few points."""

SECONDS = 5.0
"""Processor time for the crossings of one table that are enclosed unasked."""

LARGEST = (400, 40)
"""Largest n and d of the programme; beyond, `mixture_ladder` answers cell by cell."""

_TOP = {"binary": 0.995, "uniform": 1.0}  # at S = 1 binary inputs are constant: all phases tie
_LEVELS = 8
_CLOSE = 0.03
_ROUGH = 0.05  # what rough losses may be wrong by


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

        def near(block: Block, gain: Float, n: int, d: int) -> bool:
            if block.n > n or block.d > d:
                return False
            best = self.value[d, n]
            least = best - self.value[d - block.d, n - block.n] - gain
            return bool(np.any(least < share * (n * v - best)))

        pairs = zip(self.table, self.gain[1:], strict=True)
        return tuple(b for b, gain in pairs if any(near(b, gain, n, d) for n, d in cells))

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
        used, placed = (
            sum(k * size[axis] for k, size in zip(counts, sizes, strict=True)) for axis in (0, 1)
        )
        parts = tuple((b.name, k) for b, k in zip(self.table, counts[1:], strict=True) if k)
        S = float(self.S[i])
        total = float(n * variance(np.array(S), self.law) - value[d, n])
        return Mixture(parts, counts[0], n - placed, n, d, used, S, total, self.law)


def difference(a: Mixture, b: Mixture) -> tuple[tuple[tuple[str, int], ...], int, int]:
    """a less b: counts of blocks, dedicated and ignored features, what they share left out."""
    counts = dict(a.parts)
    for name, many in b.parts:
        counts[name] = counts.get(name, 0) - many
    parts = tuple(sorted((name, k) for name, k in counts.items() if k))
    return parts, a.dedicated - b.dedicated, a.ignored - b.ignored


def crossings(pairs: Sequence[tuple[Mixture, Mixture]]) -> Float:
    """Where the mixtures of each pair cost the same, between the S they were found at (K,).

    Pairs with one difference between the same S are one equation, and all are asked together.
    Numerical, to about 1e-12 relative; where there is no change of sign, the S at which the
    mixtures cost more nearly the same.
    """
    keys = [(difference(a, b), a.S, b.S) for a, b in pairs]
    unique = dict(zip(keys, pairs, strict=True))
    asked = list(unique.values())
    low, high = (np.array([pair[side].S for pair in asked]) for side in (0, 1))

    def gap(S: Float, which: np.ndarray) -> Float:
        return differences([asked[i] for i in which.ravel()], S.ravel(), exactly=True).reshape(
            S.shape
        )

    found = find_root(
        gap, (low, high), args=(np.arange(len(asked)),), tolerances={"xrtol": 1e-13, "xatol": 0.0}
    )
    nearest = np.where(np.abs(found.f_bracket[0]) < np.abs(found.f_bracket[1]), *found.bracket)
    S = dict(zip(unique, np.where(found.success, found.x, nearest).tolist(), strict=True))
    return np.array([S[key] for key in keys])


@dataclass(frozen=True)
class Threshold:
    """The largest S0 below which at least so many features are represented, by the best mixture.

    Parameters
    ----------
    S : float or None
        1 if they always are, None if they are not at S_min.
    sparser, denser : Mixture or None
        Best just below and just above S.
    known : Evidence
    """

    S: float | None
    sparser: Mixture | None
    denser: Mixture | None
    known: Evidence = Evidence.NUMERICAL


def thresholds(
    cells: Sequence[tuple[int, int]], law: str, S_min: float, report: Callable[[float], None]
) -> dict[tuple[int, int], tuple[Threshold, Threshold]]:
    """S* and S_onset of the best mixture of n > d features in d dimensions, for every (n, d)."""
    n, d = max(n for n, _ in cells), max(d for _, d in cells)
    fitting = [b for b in blocks(law) if b.n <= n and b.d <= d]
    table = tuple(sorted(fitting, key=lambda b: -b.n))
    grid = np.concatenate([np.geomspace(S_min, 0.1, 24), np.linspace(0.1, _TOP[law], 31)[1:]])
    close = Programme.of(table, grid, law, n, d, rough=True).close(cells, _CLOSE + _ROUGH)
    report(0.1)
    coarse = Programme.of(close, grid, law, n, d)
    report(0.5)
    kept: dict[tuple[int, int, int], Threshold] = {}
    pending: dict[tuple[int, int, int], tuple[Mixture, Mixture]] = {}
    for n_, d_ in cells:
        mixtures = [coarse.best(n_, d_, i) for i in range(grid.size)]
        for count in (n_, d_ + 1):
            short = [i for i, m in enumerate(mixtures) if m.represented < count]
            if not short:
                kept[n_, d_, count] = Threshold(1.0, mixtures[-1], mixtures[-1])
            elif short[0] == 0:
                kept[n_, d_, count] = Threshold(None, mixtures[0], mixtures[0])
            else:
                pending[n_, d_, count] = mixtures[short[0] - 1], mixtures[short[0]]
    close = coarse.close(cells, _CLOSE) if pending else ()
    for level in range(_LEVELS):
        if not pending:
            break
        report(0.6 + 0.1 * min(level, 2))
        crossed = crossings(list(pending.values()))
        at = np.unique(crossed)
        programme = Programme.of(close, at, law, n, d)
        following = {}
        for (cell, (a, b)), S in zip(pending.items(), crossed, strict=True):
            third = programme.best(cell[0], cell[1], int(np.searchsorted(at, S)))
            cost = mixture_losses(a, np.array([S]))[0] if third.parts != a.parts else third.loss
            if level < _LEVELS - 1 and third.loss < cost * (1.0 - 1e-9):
                following[cell] = (third, b) if third.represented >= cell[2] else (a, third)
            else:
                kept[cell] = Threshold(float(S), a, b)
        pending = following
    report(0.8)
    certain = Certainty()
    for cell, one in kept.items():
        if one.S is not None and one.S < 1.0:
            assert one.sparser is not None and one.denser is not None
            if only_noise(one.sparser, one.denser, one.S):
                kept[cell] = Threshold(1.0, one.sparser, one.sparser)
                continue
            known = certain.of(one.sparser, one.denser, one.S)
            kept[cell] = Threshold(one.S, one.sparser, one.denser, known)
    return {(a, b): (kept[a, b, a], kept[a, b, b + 1]) for a, b in cells}


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
    kept: dict[Any, Evidence] = field(default_factory=dict)

    def of(self, a: Mixture, b: Mixture, S: float) -> Evidence:
        """Proved, enclosed or numerical: the crossing of two mixtures near S."""
        key = difference(a, b), round(S, 9)
        if key not in self.kept:
            if not self.every and (self.spent > self.seconds or not _quick(a, b)):
                return Evidence.NUMERICAL
            start = process_time()
            self.kept[key] = evidence_of(a, b, S)
            self.spent += process_time() - start
        return self.kept[key]


def _quick(a: Mixture, b: Mixture) -> bool:
    """Whether the blocks that two mixtures do not share are few and small."""
    parts = difference(a, b)[0]
    size = {block.name: block.n for block in blocks(a.law)}
    return len(parts) <= FEW and all(size[name] <= SMALL for name, _ in parts)


def evidence_of(a: Mixture, b: Mixture, S: float) -> Evidence:
    """Whether the crossing of two mixtures near S is proved, enclosed or only numerical."""
    parts, dedicated, ignored = difference(a, b)
    unequal = any(name in ("uneven digon", "parallel pair") for name, _ in parts)
    if unequal or a.law not in ("binary", "uniform"):  # these have no exact forms
        return Evidence.NUMERICAL
    sides = [
        mixture(
            *((name, sign * k) for name, k in parts if sign * k > 0),
            ignored=max(0, sign * ignored),
            dedicated=max(0, sign * dedicated),
            law=a.law,
        )
        for sign in (1, -1)
    ]
    try:
        width = _WIDTH * S
        return as_evidence(crossing(sides[0], sides[1], S - width, S + width, digits=9).known)
    except (BadInput, NotReached):
        return Evidence.NUMERICAL


def as_evidence(known: str) -> Evidence:
    """How a closed form is known: the words of formulas are exact and rigorous."""
    return {"exact": Evidence.PROVED, "rigorous": Evidence.ENCLOSED}.get(known) or Evidence(known)
