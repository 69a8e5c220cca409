"""What ladders of mixtures ask again and again: the best blocks at an S, and where two cross.

Losses come from `pieces`, each block asked for many S together. Numerical.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theory.features import Float
from theory.mixtures.blocks import Block, blocks, variance
from theory.mixtures.importance import weighted_loss
from theory.mixtures.mixture import Mixture, best_among, best_weighted
from theory.mixtures.pieces import pieces


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

    All pairs at once, so that a block is asked for many S together: secants kept inside brackets
    (Illinois), halved where a block is infinite or progress is slow.
    """
    if not pairs:
        return []
    low, high = np.array([a.S for a, _ in pairs]), np.array([b.S for _, b in pairs])
    f, g = differences(pairs, low), differences(pairs, high)
    x, before = low, np.zeros(low.size)
    for step in range(60):
        last = x
        with np.errstate(invalid="ignore", divide="ignore"):
            x = (low * g - high * f) / (g - f)
        good = np.isfinite(x) & (x > low) & (x < high) & (step % 4 != 3)
        x = np.where(good, x, 0.5 * (low + high))
        open_ = (high - low > 1e-12 * high) & (np.abs(x - last) > 1e-9 * high)  # `sharpened` later
        if not np.any(open_):
            break
        chosen = np.flatnonzero(open_)
        y = np.zeros(x.size)
        y[chosen] = differences([pairs[i] for i in chosen.tolist()], x[chosen])
        left = y < 0
        exact = open_ & (y == 0)
        # the end that stays a second time counts half
        g = np.where(open_, np.where(left, np.where(before > 0, 0.5, 1.0) * g, y), g)
        f = np.where(open_, np.where(left, y, np.where(before < 0, 0.5, 1.0) * f), f)
        before = np.where(left, 1.0, -1.0)
        low = np.where(open_ & (left | exact), x, low)
        high = np.where(open_ & ~left, x, high)
    return np.clip(x, low, high).tolist()


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
