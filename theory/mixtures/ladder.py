"""Ladders of mixtures: where the best mixture changes as S falls.

The best mixture is found on a grid of S; between neighbours with different mixtures their crossing
is located, the programme is asked again there, and what wins there splits the interval. So every
rung reported is a true crossing of the mixtures named, but a phase narrower than a step of the grid
whose neighbours agree is not seen. Numerical; upper bounds on the optimum throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from packing.errors import BadInput, NotReached
from theory.features import Float, whole
from theory.mixtures.blocks import Block, blocks, variance
from theory.mixtures.mixture import Mixture, best_among, fitting, losses

S_TOP = {"binary": 0.995, "uniform": 1.0}
"""Where ladders begin: at S = 1 binary inputs are constant and all phases tie."""

LEVELS = 6
"""How often an interval is split where a third mixture wins at the crossing of two."""

LARGE = 200_000
"""d n beyond which an interval is split only once: there phases differ in a few small blocks."""

_CLOSE = 0.03  # a block this far from its price at both ends of a step is not asked again inside


@dataclass(frozen=True)
class MixtureRung:
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
        From `theory.closed_form.crossing`, where asked for and supported.
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
    rungs : tuple of MixtureRung
        Between them.
    S_star : float or None
        Largest S0 such that for every S < S0 no feature is ignored; 1 if none ever is, None if
        some are at S_min.
    S_onset : float or None
        The same for "more than d features are represented".
    status : {"complete", "coarse"}
        Coarse if some rung is not settled.
    """

    n: int
    d: int
    law: str
    S_min: float
    phases: tuple[Mixture, ...]
    rungs: tuple[MixtureRung, ...]
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
) -> MixtureLadder:
    """The ladder of best mixtures.

    Parameters
    ----------
    n, d : int
    law : {"binary", "uniform"}
    S_min : float
        Where the ladder ends.
    points : int, optional
        Values of S at which the programme is solved first; 60, or 24 where n d > LARGE.
    exact : bool
        Make each rung's crossing exact or enclosed, where closed forms allow.

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
    table = fitting(n, d, law)
    if d >= n:
        only = best_among(n, d, S_min, law, table, np.zeros(len(table)))
        return MixtureLadder(n, d, law, S_min, (only,), (), 1.0, None, "complete")
    points = (60 if n * d <= LARGE else 24) if points is None else whole(points, "points")
    half = max(points, 8) // 4 + 1
    grid = np.concatenate(
        [np.geomspace(S_min, 0.1, max(points, 8) - half), np.linspace(0.1, 1, half)[1:]]
    )
    grid[-1] = S_TOP[law]
    known = losses(table, grid, law)
    found = [best_among(n, d, s, law, table, known[:, i]) for i, s in enumerate(grid.tolist())]
    near = _near(table, known, grid, law)
    pending = []
    for i in range(grid.size - 1):
        if _key(found[i]) != _key(found[i + 1]):
            kept = tuple(b for k, b in enumerate(table) if near[k, i] or near[k, i + 1])
            pending.append((found[i], found[i + 1], kept))
    rungs: list[MixtureRung] = []
    levels = LEVELS if n * d <= LARGE else 1
    for level in range(levels + 1):
        crossed = _crossings([(a, b) for a, b, _ in pending])
        following = []
        for (a, b, kept), s in zip(pending, crossed, strict=True):
            used = {name for m in (a, b) for name, _ in m.parts}
            kept = tuple(x for x in table if x in kept or x.name in used)
            third = best_among(n, d, s, law, kept, losses(kept, np.array([s]), law)[:, 0])
            cost = mixture_losses(a, np.array([s]))[0]
            better = third.loss < cost * (1.0 - 1e-9) and _key(third) not in (_key(a), _key(b))
            if better and level < levels:
                following += [(a, third, kept), (third, b, kept)]
            else:
                rungs.append(MixtureRung(float(s), float(cost), b, a, not better))
        pending = following
        if not pending:
            break
    rungs.sort(key=lambda rung: -rung.S)
    if exact:
        rungs = [_exact(rung) for rung in rungs]
    phases = (found[-1], *(rung.sparser for rung in rungs))
    return MixtureLadder(
        n,
        d,
        law,
        S_min,
        phases,
        tuple(rungs),
        _threshold(phases, rungs, n),
        _threshold(phases, rungs, d + 1),
        "complete" if all(rung.settled for rung in rungs) else "coarse",
    )


def mixture_losses(mixture: Mixture, S: Float) -> Float:
    """What a mixture costs at other S (M,): all its blocks at their best norms and biases there."""
    known = {block.name: block for block in blocks(mixture.law)}
    total = mixture.ignored * variance(S, mixture.law)
    for name, many in mixture.parts:
        total = total + many * known[name].n * known[name].loss(S, mixture.law)
    return np.asarray(total)


def _key(mixture: Mixture) -> tuple[Any, ...]:
    return mixture.parts, mixture.dedicated, mixture.ignored


def _near(table: Sequence[Block], known: Float, grid: Float, law: str) -> np.ndarray:
    """Which blocks come close to a supporting line of the gains, at each S of the grid."""
    from theory.mixtures.limit import shortfall

    if not table:
        return np.zeros((0, grid.size), dtype=bool)
    return np.stack(
        [shortfall(table, known[:, i], s, law) < _CLOSE for i, s in enumerate(grid.tolist())],
        axis=1,
    )


def _crossings(pairs: list[tuple[Mixture, Mixture]]) -> list[float]:
    """Where the mixtures of each pair cost the same, between the S they were found at.

    All pairs at once, so that a block is asked for many S together: secants kept inside brackets
    (Illinois), halved where a block is infinite or progress is slow.
    """
    if not pairs:
        return []
    low, high = np.array([a.S for a, _ in pairs]), np.array([b.S for _, b in pairs])
    f, g = _differences(pairs, low), _differences(pairs, high)
    for step in range(60):
        with np.errstate(invalid="ignore", divide="ignore"):
            x = (low * g - high * f) / (g - f)
        good = np.isfinite(x) & (x > low) & (x < high) & (step % 4 != 3)
        x = np.where(good, x, 0.5 * (low + high))
        open_ = high - low > 1e-12 * high
        if not np.any(open_):
            break
        chosen = np.flatnonzero(open_)
        y = np.zeros(x.size)
        y[chosen] = _differences([pairs[i] for i in chosen], x[chosen])
        left = y < 0
        exact = open_ & (y == 0)
        g = np.where(open_, np.where(left, 0.5 * g, y), g)
        f = np.where(open_, np.where(left, y, 0.5 * f), f)
        low = np.where(open_ & (left | exact), x, low)
        high = np.where(open_ & ~left, x, high)
    return (0.5 * (low + high)).tolist()


def _differences(pairs: list[tuple[Mixture, Mixture]], S: Float) -> Float:
    """Loss of the first minus the second of each pair, each pair at its own S."""
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
            total[asked] += weight[asked] * known[name].n * known[name].loss(S[asked], law)
    return np.asarray(total)


def _threshold(phases: Sequence[Mixture], rungs: Sequence[MixtureRung], count: int) -> float | None:
    """The largest S0 below which every phase represents at least that many features."""
    if phases[-1].represented < count:
        return None
    for rung, phase in zip(reversed(rungs), reversed(phases[:-1]), strict=True):
        if phase.represented < count:
            return rung.S
    return 1.0


def _exact(rung: MixtureRung) -> MixtureRung:
    """The same rung with its crossing enclosed; unchanged where closed forms do not reach."""
    from dataclasses import replace

    from theory.closed_form import crossing, mixture

    try:
        a, b = (
            mixture(*m.parts, ignored=m.ignored, dedicated=m.dedicated, law=m.law)
            for m in (rung.sparser, rung.denser)
        )
        width = 1e-6 * rung.S
        return replace(rung, exact=crossing(a, b, rung.S - width, rung.S + width))
    except (BadInput, NotReached):
        return rung
