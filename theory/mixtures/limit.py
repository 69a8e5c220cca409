"""Many features and dimensions: the best blocks at fixed d/n, and for features in surplus.

Per dimension block a places x_a = n_a/d_a features and saves y_a = (n_a/d_a)(v - l_a(S)). Mixtures
in large numbers reach every point below the upper concave envelope of these points, of (1, v) for
dedicated features and of (0, 0), and no other (proved: an integer programme tends to its linear
relaxation). At x = n/d features per dimension the best mixture costs v - E(x)/x per feature, E the
envelope; beyond the block of largest y features are in surplus and are ignored. Losses of blocks
are numerical and symmetric, so all of this is "best known": an upper bound on the least loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from packing.errors import BadInput
from theory.features import Float
from theory.mixtures.blocks import Block, blocks, checked, variance
from theory.mixtures.many import many_gain, many_losses
from theory.mixtures.mixture import LIMIT, losses
from theory.mixtures.programme import prices

DEDICATED = Block("dedicated", 1, 1, ())


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


MANY = "many features"


def gains(
    S: float | Sequence[float] | Float, law: str = "binary", *, many: bool = False
) -> dict[str, Float]:
    """Gain per dimension of every block, dedicated features included, at each S (M,).

    With ``many`` also that of the many-features solution at its best n/d. At S = 0 nothing is lost
    and nothing gained: all are 0.
    """
    S = checked(S)
    table = blocks(law)
    v = variance(S, law)
    found = {DEDICATED.name: v}
    for block, loss in zip(table, losses(table, S, law), strict=True):
        found[block.name] = block.n / block.d * (v - loss)
    if many:
        found[MANY] = many_gain(S, law)[0]
    return found


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
    grid = np.concatenate(
        [np.geomspace(S_min, 0.2, points // 2), np.linspace(0.2, 0.99, points - points // 2)[1:]]
    )
    v = variance(grid, law)
    size = np.array([b.n / b.d for b in table])
    loss = losses(table[1:], grid, law)
    gain = size[:, None] * (v - np.concatenate([np.zeros((1, grid.size)), loss]))
    first = [int(k) for k in _first(gain)]
    edges: list[tuple[float, int, int]] = []
    for i in range(grid.size - 1):
        if first[i] != first[i + 1]:
            ends = float(grid[i]), float(grid[i + 1])
            share = np.max(gain[:, i : i + 2] / np.max(gain[:, i : i + 2], axis=0), axis=1)
            near = [int(k) for k in np.flatnonzero(share > 0.9)]
            edges += _between(table, near, law, (first[i], first[i + 1]), ends)
    edges.sort()
    bounds = [float(grid[0]), *(s for s, _, _ in edges), float(grid[-1])]
    order = [first[0], *(k for _, _, k in edges)]
    phases = []
    for k, low, high in zip(order, bounds[:-1], bounds[1:], strict=True):
        inside = np.flatnonzero((grid >= low) & (grid <= high))
        seen = gain[:, inside]
        if not inside.size:
            seen = np.array([[_gain(b, 0.5 * (low + high), law)] for b in table])
        lost = np.min(1.0 - seen / seen[k], axis=1)
        rivals = [
            (table[j].name, max(0.0, float(lost[j])))
            for j in np.argsort(lost)
            if j != k and lost[j] < within
        ]
        phases.append(SurplusPhase(table[k].name, table[k].d, table[k].n, low, high, tuple(rivals)))
    return tuple(reversed(phases))


def many_takeover(law: str = "binary", *, S_min: float = 1e-3, points: int = 13) -> float:
    """The S below which the many-features solution gains more per dimension than every block.

    There the sequence of `surplus` is no longer best known: features in surplus are better placed
    by the many-features solution at its best n/d, which many more dimensions are needed for.

    Parameters
    ----------
    law : {"binary", "uniform"}
    S_min : float
    points : int
        Grid from S_min to 0.2 on which the order is seen; an island narrower than a step is missed.

    Returns
    -------
    float
        1e-4 relative; numerical, for the blocks of the table, in the limit n, d -> infinity.

    Raises
    ------
    BadInput
        If S_min is not in (0, 0.1), the law has no blocks, or blocks still gain more at S_min.
    """
    if law not in ("binary", "uniform") or not 0 < S_min < 0.1:
        raise BadInput(f"law = {law!r}, S_min = {S_min}: give binary or uniform, S_min in (0, 0.1)")
    table = blocks(law)
    size = np.array([[b.n / b.d] for b in table])

    def per_block(S: Float, chosen: Sequence[int]) -> Float:
        loss = losses([table[k] for k in chosen], S, law)
        return np.asarray(size[list(chosen)] * (variance(S, law) - loss))

    grid = np.geomspace(S_min, 0.2, points)
    gain = per_block(grid, range(len(table)))
    ahead = many_gain(grid, law)[0] > np.max(gain, axis=0)
    if not ahead[0]:
        raise BadInput(
            f"at S_min = {S_min} blocks gain more than many features: give a smaller one"
        )
    k = int(np.argmin(ahead))
    share = np.max((gain / np.max(gain, axis=0))[:, k - 1 : k + 1], axis=1)
    near = np.flatnonzero(share > 0.8).tolist()
    low, high = float(grid[k - 1]), float(grid[k])
    while high - low > 1e-4 * low:
        inside = np.geomspace(low, high, 6)[1:-1]
        behind = many_gain(inside, law)[0] <= np.max(per_block(inside, near), axis=0)
        i = int(np.argmax(behind)) if np.any(behind) else inside.size
        low, high = [low, *inside.tolist()][i], [*inside.tolist(), high][i]
    return 0.5 * (low + high)


def _first(gain: Float) -> np.ndarray:
    """The best row of each column; of ties (to rounding) the earliest."""
    top = np.max(gain, axis=0)
    return np.argmax(gain >= top * (1.0 - 1e-11), axis=0)


def _between(
    table: Sequence[Block],
    near: list[int],
    law: str,
    blocks_: tuple[int, int],
    ends: tuple[float, float],
    depth: int = 0,
) -> list[tuple[float, int, int]]:
    """Changes (S, below, above) between two S with different best blocks."""
    low, high = ends
    below, above = blocks_
    for _ in range(36):
        middle = 0.5 * (low + high)
        a, b = (_gain(table[k], middle, law) for k in (below, above))
        low, high = (middle, high) if a > b else (low, middle)
        if high - low < 1e-10 * high:
            break
    S = 0.5 * (low + high)
    values = np.array([_gain(table[k], S, law) for k in near])
    third = near[int(np.argmax(values))]
    best = max(_gain(table[below], S, law), _gain(table[above], S, law))
    if depth < 8 and third not in blocks_ and values.max() > best * (1.0 + 1e-9):
        return [
            *_between(table, near, law, (below, third), (ends[0], S), depth + 1),
            *_between(table, near, law, (third, above), (S, ends[1]), depth + 1),
        ]
    return [(S, below, above)]


def _gain(block: Block, S: float, law: str) -> float:
    at = np.array([S])
    loss = np.zeros(1) if block is DEDICATED else block.loss(at, law)
    return float((block.n / block.d * (variance(at, law) - loss))[0])


def envelope(
    ratio: float, S: float, law: str = "binary", *, many: bool = True
) -> tuple[tuple[str, ...], float]:
    """The blocks of the best mixture at d/n = ratio in the limit, and its loss per feature.

    Parameters
    ----------
    ratio : float
        d/n in (0, 1).
    S : float
        At S = 0, a limit, the loss is 0 and the names are those of `mixture.LIMIT`.
    law : {"binary", "uniform"}
    many : bool
        Whether the many-features solution (`theory.mixtures.many`) at any n/d may be mixed in.

    Returns
    -------
    names : tuple of str
        One or two blocks; ``ignored`` where features are in surplus.
    loss : float
        Per feature; an upper bound on the least loss ("best known").

    Raises
    ------
    BadInput
        If the ratio is not in (0, 1) or S no probability.
    """
    if not 0 < ratio < 1:
        raise BadInput(f"d/n = {ratio}: give a number in (0, 1); from 1 on nothing is lost")
    table = (DEDICATED, *blocks(law))
    at = checked(S)
    if at[0] == 0.0:
        return envelope(ratio, LIMIT, law, many=many)[0], 0.0
    v = float(variance(at, law)[0])
    loss = np.concatenate([[0.0], losses(table[1:], at, law)[:, 0]])
    items: list[tuple[float, float, float]] = list(_items(table, loss, v))
    names = [block.name for block in table]
    lam, mu, basis = prices(items, ratio, 1.0)
    for around in (None, 0.03, 0.0005) if many else ():  # the family on a grid, then on closer ones
        at_ratio = _ratios(items, basis, len(table), around)
        saved = at_ratio * (v - many_losses(at_ratio, at, law)[0])
        items += [(1.0, float(x), float(g)) for x, g in zip(at_ratio, saved, strict=True)]
        names += [f"{MANY} (n/d = {x:.4g})" for x in at_ratio.tolist()]
        lam, mu, basis = prices(items, ratio, 1.0)
    words = {-1: "unused dimension", -2: "ignored"}
    return tuple(words[k] if k < 0 else names[k] for k in basis), v - (lam * ratio + mu)


def _ratios(
    items: Sequence[tuple[float, float, float]], basis: list[int], first: int, around: float | None
) -> Float:
    """Values of n/d for the many-features solution: everywhere, or near those in the basis."""
    if around is None:
        return np.geomspace(1.02, 3e4, 400)
    near = [items[k][1] for k in basis if k >= first]
    found = [x * np.exp(around * np.linspace(-1.0, 1.0, 61)) for x in near]
    return np.maximum(np.concatenate([np.zeros(0), *found]), 1.0 + 1e-6)


def _items(table: Sequence[Block], loss: Float, v: float) -> list[tuple[int, int, float]]:
    saved = np.where(np.isfinite(loss), v - np.where(np.isfinite(loss), loss, 0.0), -1.0)
    gain = [b.n * float(x) for b, x in zip(table, saved, strict=True)]
    return [(b.d, b.n, g) for b, g in zip(table, gain, strict=True)]


def shortfall(table: Sequence[Block], loss: Float, S: float, law: str) -> Float:
    """Per block: which share of the envelope's gain at its own n/d it lacks, (blocks,)."""
    v = float(variance(np.array(S), law))
    items = [(1, 1, v), *_items(table, loss, v)]
    short = []
    for a, b, g in items[1:]:
        lam, mu, _ = prices(items, a, b)
        whole = lam * a + mu * b
        short.append((whole - g) / whole)
    return np.array(short)
