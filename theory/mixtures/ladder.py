"""Ladders of mixtures: where the best mixture changes as S falls.

The best mixture is found on a grid of S; between neighbours with different mixtures their crossing
is located, the programme is asked again there, and what wins there splits the interval, until
nothing wins. So every crossing reported is a true crossing of the mixtures named, but a phase
narrower than a step of the grid whose neighbours agree is not seen. Numerical; upper bounds on the
optimum throughout.

One block is asked for thousands of S, so its losses are kept as Chebyshev pieces: on an octave of
S, the share l(S)/v(S) of the ignored feature's loss is interpolated in log S at NODES points that
are computed together (one transform serves all). Its last coefficients tell how good that is; where
they are too large, at kinks where other ReLUs become active or another minimum takes over, the
interval is halved, and after LEVELS halvings losses are computed one by one. What is returned is
within about 1e-10 of `Block.loss`, relative.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.optimize.elementwise import find_root

from packing.errors import BadInput, NotReached
from packing.types import Float
from theory.features import law_named, whole
from theory.mixtures.block_table import Block, blocks, variance
from theory.mixtures.mixture import (
    Group,
    Mixture,
    best_among,
    best_weighted,
    fitting,
    prices,
    reach,
    weighted_loss,
    weights_of,
)

NODES, LEVELS = 16, 2

WORTH = 6
"""Values of S asked for in one octave from which it is interpolated."""

TAIL, NOISE = 2e-11, 5e-12
"""Largest of the last three coefficients, as a share of the largest share on the interval, and the
part of it that is the rounding of the losses themselves."""

_TOP = {"uniform": 1.0}  # under other laws one by one: binary losses have too many kinks

_T = np.cos((np.arange(NODES) + 0.5) * np.pi / NODES)
_TO_COEFFICIENTS = np.cos(np.outer(np.arange(NODES), np.arccos(_T))) * 2.0 / NODES
_TO_COEFFICIENTS[0] *= 0.5

Key = tuple[int, int]
"""Halvings, and the number of the interval counted downwards from S = 1."""


class Pieces:
    """The loss of one block at any S, computed where it is asked for and kept."""

    def __init__(self, block: Block, law: str) -> None:
        self.block, self.law = block, law
        self.leaves: dict[Key, Float | None] = {}  # None: halved, or one by one on the last level
        self.known: dict[float, float] = {}
        self.asked: dict[int, set[float]] = {}

    def __call__(self, S: Float) -> Float:
        """Least loss per feature at S (M,)."""
        S = np.asarray(S, dtype=float)
        octaves = -np.log2(S)
        out = np.empty(S.size)
        smooth = S <= _TOP.get(self.law, 0.0)  # noqa: SIM300
        self._directly(np.flatnonzero(~smooth), S, out)
        self._at_level(0, np.flatnonzero(smooth), octaves, S, out)
        return out

    def _at_level(
        self, level: int, chosen: np.ndarray, octaves: Float, S: Float, out: Float
    ) -> None:
        if not chosen.size:
            return
        scaled = octaves[chosen] * 2**level
        number = np.floor(scaled).astype(int)
        halved = []
        for k in np.unique(number).tolist():
            inside = chosen[number == k]
            if level == 0 and (0, k) not in self.leaves:
                asked = self.asked.setdefault(k, set())
                asked.update(S[inside].tolist())
                if len(asked) < WORTH:
                    self._directly(inside, S, out)
                    continue
            piece = self._piece(level, k)
            if piece is None:
                halved.append(inside)
                continue
            x = 2.0 * (octaves[inside] * 2**level - k) - 1.0
            share = np.polynomial.chebyshev.chebval(x, piece)
            out[inside] = share * variance(S[inside], self.law)
        if halved:
            rest = np.concatenate(halved)
            if level == LEVELS:
                self._directly(rest, S, out)
            else:
                self._at_level(level + 1, rest, octaves, S, out)

    def _piece(self, level: int, k: int) -> Float | None:
        key = level, k
        if key not in self.leaves:
            at = 2.0 ** -((0.5 * (_T + 1.0) + k) / 2**level)
            share = self.block.loss(at, self.law) / variance(at, self.law)
            found: Float | None = None
            if np.all(np.isfinite(share)):
                found = _TO_COEFFICIENTS @ share
                if np.max(np.abs(found[-3:])) > TAIL * np.max(share) + NOISE:
                    found = None
            self.leaves[key] = found
        return self.leaves[key]

    def _directly(self, chosen: np.ndarray, S: Float, out: Float) -> None:
        if not chosen.size:
            return
        values = S[chosen].tolist()
        new = sorted({s for s in values if s not in self.known})
        if new:
            losses = self.block.loss(np.array(new), self.law).tolist()
            self.known.update(zip(new, losses, strict=True))
        out[chosen] = [self.known[s] for s in values]


@lru_cache(maxsize=1024)
def pieces(block: Block, law: str) -> Pieces:
    """The pieces of that block, shared by all that ask in this process."""
    return Pieces(block, law)


# The best blocks at an S, and where two mixtures cross: each block asked for many S together.


HUGE = 1e30


def ask(tables: Sequence[Sequence[Block]], S: Sequence[float], law: str) -> None:
    """Have each block compute its losses at all S it will be asked for, together."""
    wanted: dict[Block, list[float]] = {}
    for table, s in zip(tables, S, strict=True):
        for block in table:
            wanted.setdefault(block, []).append(s)
    for block, values in wanted.items():
        pieces(block, law)(np.array(values))


def best_from_pieces(
    n: int,
    d: int,
    S: float,
    law: str,
    table: Sequence[Block],
    known: Sequence[Mixture] = (),
    importance: tuple[float, ...] | None = None,
) -> Mixture:
    """The best mixture of these blocks, their losses from their pieces."""
    at = np.array([S])
    loss = np.array([float(pieces(block, law)(at)[0]) for block in table])
    if importance is not None:
        return best_weighted(n, d, S, law, table, loss, importance)
    return best_among(n, d, S, law, table, loss, known)


def cost_at(mixture: Mixture, S: Float) -> Float:
    """What a mixture costs at other S (M,), from the pieces of its blocks."""
    known = {block.name: block for block in blocks(mixture.law)}
    if mixture.importance is not None:
        return np.array([weighted_at(mixture, s) for s in S.tolist()])
    total = mixture.ignored * variance(S, mixture.law)
    for name, many in mixture.parts:
        total = total + many * known[name].n * pieces(known[name], mixture.law)(S)
    return np.asarray(total)


def weighted_at(mixture: Mixture, S: float) -> float:
    """What its blocks cost at S, each holding the features it is best for there."""
    assert mixture.importance is not None
    known = {block.name: block for block in blocks(mixture.law)}
    at = np.array([S])
    runs = [(1, 0.0)] * mixture.dedicated
    for name, many in mixture.parts:
        runs += [(known[name].n, float(pieces(known[name], mixture.law)(at)[0]))] * many
    return weighted_loss(runs, float(variance(at, mixture.law)[0]), mixture.importance)


def crossings(pairs: Sequence[tuple[Mixture, ...]]) -> list[float]:
    """Where the mixtures of each pair cost the same, between the S they were found at.

    All pairs at once, so that a block is asked for many S together; `sharpened` later.
    """
    if not pairs:
        return []

    def ahead(S: Float, index: Float) -> Float:
        found = differences([pairs[int(i)] for i in index], S)
        return np.clip(found, -HUGE, HUGE)  # a block that is none at S costs infinitely much

    ends = np.array([a.S for a, _ in pairs]), np.array([b.S for _, b in pairs])
    index = np.arange(len(pairs), dtype=float)
    found = find_root(ahead, ends, args=(index,), tolerances={"xrtol": 1e-10})
    # a tie at one end changes no sign: the end where they differ least
    f, g = (np.abs(ahead(end, index)) for end in ends)
    tied = np.where(f <= g, *ends)
    return np.where(np.isfinite(found.x), found.x, tied).tolist()


def differences(pairs: Sequence[tuple[Mixture, ...]], S: Float, *, exactly: bool = False) -> Float:
    """Loss of the first minus the second of each pair, each at its own S; from pieces or not."""
    if pairs[0][0].importance is not None:
        at = np.array(S).tolist()
        return np.array(
            [weighted_at(a, s) - weighted_at(b, s) for (a, b), s in zip(pairs, at, strict=True)]
        )
    law = pairs[0][0].law
    known = {block.name: block for block in blocks(law)}
    total = np.array([a.ignored - b.ignored for a, b in pairs]) * variance(S, law)
    weights: dict[str, Float] = {}
    for i, pair in enumerate(pairs):
        for mixture, sign in zip(pair, (1.0, -1.0), strict=True):
            for name, many in mixture.parts:
                weights.setdefault(name, np.zeros(len(pairs)))[i] += sign * many
    for name, weight in weights.items():
        asked = np.flatnonzero(weight)
        if asked.size:
            block = known[name]
            loss = block.loss(S[asked], law) if exactly else pieces(block, law)(S[asked])
            total[asked] += weight[asked] * block.n * loss
    return np.asarray(total)


# Pruning: which blocks a best mixture can hold. Rough losses are computed on a grid of S and
# interpolated; a margin, from how much the loss bends between neighbours, makes the gains
# optimistic. With their prices a mixture loses what its blocks lack; it is worth no more than the
# relaxation less that, so a block belongs to none that is better than a known one if the cheapest
# whole solution with that block in it (`Group.containing`, a lower bound) already loses too much.
# What is left is computed in full. That the margin holds is numerical; the rest is exact.


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


# The ladder.


S_TOP = {"binary": 0.995, "uniform": 1.0}
"""Where ladders begin: at S = 1 binary inputs are constant and all phases tie."""

HALVINGS = 12
"""How often an interval is split where a third mixture wins at the crossing of two."""

LARGE = 200_000
"""d n beyond which the first grid has fewer points."""

_NEAR, _TIE = 0.99, 1e-9  # above this S, mixtures that differ by less at S = 1 never cross: noise


@dataclass(frozen=True)
class MixtureCrossing:
    """An S at which the best mixture changes.

    Parameters
    ----------
    S, loss : float
        Where the two cost the same, and what.
    denser, sparser : Mixture
        Best just above and just below S (as computed at a nearby S).
    settled : bool
        False where a third mixture is better at S but the splitting ended.
    exact : Crossing or None
        From `theory.symmetric.crossing`, where asked for and supported.
    """

    S: float
    loss: float
    denser: Mixture
    sparser: Mixture
    settled: bool = True
    exact: Any = None


@dataclass(frozen=True)
class MixtureLadder:
    """The best mixtures of n features in d dimensions from S = 1 down to S_min.

    Parameters
    ----------
    phases : tuple of Mixture
        S falling, each at one S where it is best.
    crossings : tuple of MixtureCrossing
        Between them.
    S_star : float or None
        Largest S0 such that for every S < S0 no feature is ignored; 1 if none ever is, None if
        some are at S_min.
    S_onset : float or None
        The same for "more than d features are represented".
    status : {"complete", "coarse"}
        Coarse if some change is not settled.
    """

    n: int
    d: int
    law: str
    S_min: float
    phases: tuple[Mixture, ...]
    crossings: tuple[MixtureCrossing, ...]
    S_star: float | None
    S_onset: float | None
    status: str


def mixture_ladder(
    n: int,
    d: int,
    law: str = "binary",
    *,
    S_min: float = 1e-4,
    points: int | None = None,
    exact: bool = False,
    importance: Sequence[float] | Float | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> MixtureLadder:
    """The ladder of best mixtures.

    Parameters
    ----------
    n, d : int
    law : {"binary", "uniform", "exponential"}
        The exponential law is slow, and knows small blocks only (`mixture.SLOW`).
    S_min : float
        Where the ladder ends.
    points : int, optional
        Values of S at which the programme is solved first; 60, or 24 where n d > LARGE.
    exact : bool
        Make each change's crossing exact or enclosed, where closed forms allow (equal importance).
    importance : (n,) array, optional
        Weights of the features in the loss; for n, d of moderate size. A phase is its blocks: which
        features they hold may change inside it.
    progress : callable, optional
        Told the stage and which part of it is done.

    Returns
    -------
    MixtureLadder
        Numerical: crossings to 1e-12 relative of the losses in floats.

    Raises
    ------
    BadInput
        If an argument is out of range.
    """
    n, d = whole(n, "n"), whole(d, "d")
    if not 0 < S_min < 0.9:
        raise BadInput(f"S_min = {S_min}: give a number in (0, 0.9)")
    weights = weights_of(importance, n)
    if weights is not None and len(set(weights)) == 1:
        weights = None  # the same ladder, its losses times a number
    law = law_named(law).name
    table = fitting(n, d, law)
    if d >= n:
        only = best_among(n, d, S_min, law, table, np.zeros(len(table)))
        return MixtureLadder(n, d, law, S_min, (only,), (), 1.0, None, "complete")
    most = reach(table, d)
    if weights is None and n > most + 1:  # the others are ignored, whatever S
        found_ = mixture_ladder(
            most + 1, d, law, S_min=S_min, points=points, exact=exact, progress=progress
        )
        return _more_ignored(found_, n)
    points = max(8, (60 if n * d <= LARGE else 24) if points is None else whole(points, "points"))
    half = points // 4 + 1
    grid = np.concatenate([np.geomspace(S_min, 0.1, points - half), np.linspace(0.1, 1, half)[1:]])
    grid[-1] = S_TOP.get(law, 1.0)
    S = grid.tolist()
    quick = weights is None and law in S_TOP
    screen = Screen(n, d, table, law, S_min, S[-1]) if quick else None
    good: list[tuple[Mixture, ...]] = [()] * len(S)
    here = [table] * len(S)
    if screen is not None:
        good, here = screen.candidates(S, good)
    ask(here, S, law)
    found = []
    for i, (kept, known, s) in enumerate(zip(here, good, S, strict=True)):
        if progress is not None:
            progress("mixtures", i / len(S))
        found.append(best_from_pieces(n, d, s, law, kept, known, weights))
    pending: list[tuple[Mixture, ...]] = [
        (one, other) for one, other in itertools.pairwise(found) if _key(one) != _key(other)
    ]
    changes: list[MixtureCrossing] = []
    for level in range(HALVINGS + 1):
        if progress is not None:
            progress("crossings", level / (HALVINGS + 1))
        crossed = crossings(pending)
        good, here = list(pending), [table] * len(pending)
        if screen is not None:
            good, here = screen.candidates(crossed, good)
        ask(here, crossed, law)
        following: list[tuple[Mixture, ...]] = []
        for pair, s, kept, known in zip(pending, crossed, here, good, strict=True):
            x = float(cost_at(pair[0], np.array([s]))[0])
            third = best_from_pieces(n, d, s, law, kept, known, weights)
            better = third.loss < x * (1.0 - 1e-9) and _key(third) not in map(_key, pair)
            if better and level < HALVINGS:
                following += [(pair[0], third), (third, pair[1])]
            else:
                changes.append(MixtureCrossing(float(s), x, pair[1], pair[0], not better))
        pending = following
        if not pending:
            break
    changes = _sharpened(changes)
    changes.sort(key=lambda change: -change.S)
    while (
        changes
        and weights is None
        and only_noise(changes[0].sparser, changes[0].denser, changes[0].S)
    ):
        found[-1] = changes.pop(0).sparser
    if exact and weights is None:
        changes = [_exact(change) for change in changes]
    phases = (found[-1], *(change.sparser for change in changes))
    return MixtureLadder(
        n,
        d,
        law,
        S_min,
        phases,
        tuple(changes),
        _threshold(phases, changes, n),
        _threshold(phases, changes, d + 1),
        "complete" if all(change.settled for change in changes) else "coarse",
    )


def mixture_losses(mixture: Mixture, S: Float) -> Float:
    """What a mixture costs at other S (M,): all its blocks at their best norms and biases there."""
    if mixture.importance is not None:
        return np.array([weighted_at(mixture, s) for s in S.tolist()])
    known = {block.name: block for block in blocks(mixture.law)}
    total = mixture.ignored * variance(S, mixture.law)
    for name, many in mixture.parts:
        total = total + many * known[name].n * known[name].loss(S, mixture.law)
    return np.asarray(total)


def _key(mixture: Mixture) -> tuple[Any, ...]:
    return mixture.parts, mixture.dedicated, mixture.ignored


def only_noise(sparser: Mixture, denser: Mixture, S: float) -> bool:
    """Whether a crossing near S = 1 is rounding, as the two cost the same at S = 1.

    Uniform: a digon gains like (1 - S)^4 over a dedicated feature, soon less than floats tell.
    """
    if S < _NEAR or sparser.law == "binary":
        return False
    a, b = (float(mixture_losses(one, np.ones(1))[0]) for one in (sparser, denser))
    return abs(a - b) <= _TIE * max(a, b)


def _more_ignored(ladder: MixtureLadder, n: int) -> MixtureLadder:
    """The ladder of n features where the last of ladder.n features is always ignored."""
    more = n - ladder.n

    def one(m: Mixture) -> Mixture:
        v = float(variance(np.array(m.S), m.law))
        return replace(m, n=n, ignored=m.ignored + more, loss=m.loss + more * v)

    changes = tuple(
        replace(
            change,
            loss=change.loss + more * float(variance(np.array(change.S), ladder.law)),
            denser=one(change.denser),
            sparser=one(change.sparser),
        )
        for change in ladder.crossings
    )
    return replace(ladder, n=n, phases=tuple(one(m) for m in ladder.phases), crossings=changes)


def _sharpened(changes: list[MixtureCrossing]) -> list[MixtureCrossing]:
    """The same changes after a Newton step on the losses themselves, all changes at once."""
    if not changes:
        return changes
    S = np.array([change.S for change in changes])
    pairs = [(change.sparser, change.denser) for change in changes]
    step = 1e-5 * S
    slope = (differences(pairs, S + step) - differences(pairs, S - step)) / (2.0 * step)
    with np.errstate(divide="ignore", invalid="ignore"):
        move = -differences(pairs, S, exactly=True) / slope
    S = np.where(np.abs(move) < 1e-6 * S, S + move, S)
    return [replace(change, S=s) for change, s in zip(changes, S.tolist(), strict=True)]


def _threshold(
    phases: Sequence[Mixture], changes: Sequence[MixtureCrossing], count: int
) -> float | None:
    """The largest S0 below which every phase represents at least that many features."""
    if phases[-1].represented < count:
        return None
    for change, phase in zip(reversed(changes), reversed(phases[:-1]), strict=True):
        if phase.represented < count:
            return change.S
    return 1.0


def _exact(change: MixtureCrossing) -> MixtureCrossing:
    """The same change with its crossing enclosed; unchanged where closed forms do not reach."""
    from theory.symmetric import crossing, mixture

    try:
        a, b = (
            mixture(*m.parts, ignored=m.ignored, dedicated=m.dedicated, law=m.law)
            for m in (change.sparser, change.denser)
        )
        width = 1e-6 * change.S
        return replace(change, exact=crossing(a, b, change.S - width, change.S + width))
    except (BadInput, NotReached):
        return change
