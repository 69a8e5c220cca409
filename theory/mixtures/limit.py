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

import numpy as np

from packing.errors import BadInput
from theory.features import Float
from theory.mixtures.blocks import Block, blocks, checked, variance
from theory.mixtures.many import many_gain, many_losses
from theory.mixtures.mixture import LIMIT, losses
from theory.mixtures.programme import prices

DEDICATED = Block("dedicated", 1, 1, ())


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
    items: list[tuple[float, float, float]] = list(items_of(table, loss, v))
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


def items_of(table: Sequence[Block], loss: Float, v: float) -> list[tuple[int, int, float]]:
    """Dimensions, features and gain of every block; -1 per feature where it has no loss."""
    saved = np.where(np.isfinite(loss), v - np.where(np.isfinite(loss), loss, 0.0), -1.0)
    gain = [b.n * float(x) for b, x in zip(table, saved, strict=True)]
    return [(b.d, b.n, g) for b, g in zip(table, gain, strict=True)]


def shortfall(table: Sequence[Block], loss: Float, S: float, law: str) -> Float:
    """Per block: which share of the envelope's gain at its own n/d it lacks, (blocks,)."""
    v = float(variance(np.array(S), law))
    items = [(1, 1, v), *items_of(table, loss, v)]
    short = []
    for a, b, g in items[1:]:
        lam, mu, _ = prices(items, a, b)
        whole = lam * a + mu * b
        short.append((whole - g) / whole)
    return np.array(short)
