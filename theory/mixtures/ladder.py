"""Ladders of mixtures: where the best mixture changes as S falls.

The best mixture is found on a grid of S; between neighbours with different mixtures their crossing
is located, the programme is asked again there, and what wins there splits the interval, until
nothing wins. So every rung reported is a true crossing of the mixtures named, but a phase narrower
than a step of the grid whose neighbours agree is not seen. Which blocks are asked at all is seen in
rough losses (`theory.mixtures.screening`). Numerical; upper bounds on the optimum throughout.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from packing.errors import BadInput, NotReached
from theory.features import Float, law_named, whole
from theory.mixtures.blocks import blocks, variance
from theory.mixtures.importance import weights_of
from theory.mixtures.mixture import Mixture, best_among, fitting, reach
from theory.mixtures.screening import Screen
from theory.mixtures.steps import (
    ask,
    best_from_pieces,
    cost_at,
    crossings,
    differences,
    weighted_at,
)

S_TOP = {"binary": 0.995, "uniform": 1.0}
"""Where ladders begin: at S = 1 binary inputs are constant and all phases tie."""

LEVELS = 12
"""How often an interval is split where a third mixture wins at the crossing of two."""

LARGE = 200_000
"""d n beyond which the first grid has fewer points."""

_NEAR, _TIE = 0.99, 1e-9  # above this S, mixtures that differ by less at S = 1 never cross: noise


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
        Make each rung's crossing exact or enclosed, where closed forms allow (equal importance).
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
    rungs: list[MixtureRung] = []
    for level in range(LEVELS + 1):
        if progress is not None:
            progress("crossings", level / (LEVELS + 1))
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
            if better and level < LEVELS:
                following += [(pair[0], third), (third, pair[1])]
            else:
                rungs.append(MixtureRung(float(s), x, pair[1], pair[0], not better))
        pending = following
        if not pending:
            break
    rungs = _sharpened(rungs)
    rungs.sort(key=lambda rung: -rung.S)
    while rungs and weights is None and only_noise(rungs[0].sparser, rungs[0].denser, rungs[0].S):
        found[-1] = rungs.pop(0).sparser
    if exact and weights is None:
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

    rungs = tuple(
        replace(
            rung,
            loss=rung.loss + more * float(variance(np.array(rung.S), ladder.law)),
            denser=one(rung.denser),
            sparser=one(rung.sparser),
        )
        for rung in ladder.rungs
    )
    return replace(ladder, n=n, phases=tuple(one(m) for m in ladder.phases), rungs=rungs)


def _sharpened(rungs: list[MixtureRung]) -> list[MixtureRung]:
    """The same rungs after a Newton step on the losses themselves, all rungs at once."""
    if not rungs:
        return rungs
    S = np.array([rung.S for rung in rungs])
    pairs = [(rung.sparser, rung.denser) for rung in rungs]
    step = 1e-5 * S
    slope = (differences(pairs, S + step) - differences(pairs, S - step)) / (2.0 * step)
    with np.errstate(divide="ignore", invalid="ignore"):
        move = -differences(pairs, S, exactly=True) / slope
    S = np.where(np.abs(move) < 1e-6 * S, S + move, S)
    return [replace(rung, S=s) for rung, s in zip(rungs, S.tolist(), strict=True)]


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
