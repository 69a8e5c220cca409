"""The numbers behind two pictures for many features: the (d/n, S) plane, and D* against 1/S.

envelope_map(law)          which block holds most dimensions of the best mixture, over (d/n, S)
staircase_of(n, d, law)    D* = d / ||W||_F^2 of the best mixture, against S

In the limit n, d -> infinity the best mixture at d/n is the convex envelope of
`theory.mixtures.limit` over all blocks and the many-features solution: two of them, or one and
ignored features. Upper bounds on the loss, "best
known": over the catalogue's blocks, kept symmetric. Numerical.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from packing.errors import BadInput
from theory.features import Float, whole
from theory.mixtures.blocks import blocks, variance
from theory.mixtures.compare import block_norms
from theory.mixtures.limit import DEDICATED, items_of
from theory.mixtures.many import many_losses
from theory.mixtures.mixture import Mixture, best_among, fitting, losses
from theory.mixtures.programme import prices

Progress = Callable[..., None]
Item = tuple[float, float, float]

MANY = "many features"
"""The many-features solution of `theory.mixtures.many`, whatever its n/d."""

RATIOS = (0.04, 1.0)
_MANY_AT = np.geomspace(1.02, 3e3, 160)  # n/d of the many-features solution that are offered
S_RANGE = (0.003, 0.95)
_GROUP = 24  # S that are asked together, between two reports of progress


@dataclass(frozen=True, eq=False)
class EnvelopeMap:
    """The best mixture of blocks in the limit of many features.

    Parameters
    ----------
    law : str
    ratio : (R,) array
        d/n, ascending, below 1.
    S : (M,) array
        Ascending.
    loss : (R, M) array
        Per feature, over the loss of ignoring it.
    name : tuple of str
        Blocks that occur.
    first : (R, M) array of int
        The block with most of the dimensions.
    share : (R, M) array
        Of the dimensions, that it has.
    ignored : (R, M) array of bool
        Whether features are ignored: more than the best block can place.
    """

    law: str
    ratio: Float
    S: Float
    loss: Float
    name: tuple[str, ...]
    first: np.ndarray
    share: Float
    ignored: np.ndarray


def envelope_map(
    law: str = "binary", *, cells: int = 120, progress: Progress | None = None
) -> EnvelopeMap:
    """The (d/n, S) plane, by the block with most dimensions in the best mixture.

    Parameters
    ----------
    law : {"binary", "uniform"}
    cells : int
        Along each axis, both even in the logarithm.

    Returns
    -------
    EnvelopeMap
        Numerical; an upper bound on the least loss.

    Raises
    ------
    BadInput
        If the law has no blocks or cells is out of range.
    """
    if law not in ("binary", "uniform"):
        raise BadInput(f"law = {law!r}: mixtures of blocks are made for binary and uniform")
    cells = whole(cells, "cells")
    if not 4 <= cells <= 400:
        raise BadInput(f"cells = {cells} is out of range: give 4 to 400")
    table = (DEDICATED, *blocks(law))
    ratio = np.geomspace(*RATIOS, cells + 1)[:-1]
    S = np.geomspace(*S_RANGE, cells)
    names: dict[str, int] = {}
    loss, share = np.empty((cells, cells)), np.empty((cells, cells))
    first = np.zeros((cells, cells), dtype=int)
    ignored = np.zeros((cells, cells), dtype=bool)
    for start in range(0, cells, _GROUP):
        if progress is not None:
            progress("blocks", start / cells)
        group = S[start : start + _GROUP]
        known = losses(table[1:], group, law)
        pairs = np.meshgrid(_MANY_AT, group)
        many = many_losses(pairs[0].ravel(), pairs[1].ravel(), law)[0].reshape(group.size, -1)
        for i, s in enumerate(group.tolist(), start):
            v = float(variance(np.array(s), law))
            own = np.concatenate([[0.0], known[:, i - start]])
            items: list[Item] = list(items_of(table, own, v))
            saved = _MANY_AT * (v - many[i - start])
            items += [(1.0, x, g) for x, g in zip(_MANY_AT.tolist(), saved.tolist(), strict=True)]
            for r, x in enumerate(ratio.tolist()):
                lam, mu, basis = prices(items, x, 1.0)
                k, part = _dominant(items, basis, 1.0 / x)
                name = table[k].name if k < len(table) else MANY
                first[r, i] = names.setdefault(name, len(names))
                share[r, i], ignored[r, i] = part, -2 in basis
                loss[r, i] = 1.0 - (lam * x + mu) / v
    return EnvelopeMap(law, ratio, S, loss, tuple(names), first, share, ignored)


def _dominant(items: list[Item], basis: list[int], x: float) -> tuple[int, float]:
    """The block of the basis with most of the dimensions at x features per dimension."""
    if min(basis) < 0:
        return max(basis), 1.0
    a, b = (items[k][1] / items[k][0] for k in basis)
    t = (b - x) / (b - a)  # share of dimensions of the first
    return (basis[0], t) if t >= 0.5 else (basis[1], 1.0 - t)


def regions(found: EnvelopeMap) -> list[dict[str, Any]]:
    """Share of the plane, and the S and d/n at which each block leads, the largest first."""
    return seen_at("block", found.name, found.first, found.ratio, found.S)


def seen_at(
    key: str, names: Sequence[str], index: np.ndarray, ratio: Float, S: Float
) -> list[dict[str, Any]]:
    """Share of a map (ratio, S) that each name has, and where it is seen; the largest first."""
    rows = []
    for k, name in enumerate(names):
        at = index == k
        r, s = np.nonzero(at)
        low, high = float(S[s.min()]), float(S[s.max()])
        rows.append(
            {
                key: name,
                "share": float(np.mean(at)),
                "S_low": low,
                "S_high": high,
                "one_minus_S_low": 1.0 - low,
                "one_minus_S_high": 1.0 - high,
                "ratio_low": float(ratio[r.min()]),
                "ratio_high": float(ratio[r.max()]),
            }
        )
    return sorted(rows, key=lambda row: -float(str(row["share"])))


@dataclass(frozen=True, eq=False)
class Staircase:
    """Dimensions per feature of the best mixtures as S falls.

    Parameters
    ----------
    n, d : int
    law : str
    S : (M,) array
        Falling.
    D_star : (M,) array
        d / ||W||_F^2 (Elhage et al. 2022).
    represented : (M,) array of int
    phase : tuple of str
        The best mixture at each S.
    """

    n: int
    d: int
    law: str
    S: Float
    D_star: Float
    represented: np.ndarray
    phase: tuple[str, ...]


def staircase_of(
    n: int,
    d: int,
    law: str = "uniform",
    *,
    S_min: float = 0.005,
    points: int = 48,
    progress: Progress | None = None,
) -> Staircase:
    """The predicted D* against S: d over the squared norms of the best mixture of blocks.

    Parameters
    ----------
    n, d : int
    law : {"binary", "uniform"}
    S_min : float
        From S = 0.95 down to here, even in the logarithm.
    points : int

    Returns
    -------
    Staircase
        Numerical: D* of the best known mixtures, which the optimum need not be.

    Raises
    ------
    BadInput
        If an argument is out of range, n <= d, or the law has no blocks.
    """
    n, d, points = whole(n, "n"), whole(d, "d"), whole(points, "points")
    if not 0 < S_min < 0.5:
        raise BadInput(f"S-min = {S_min:g} is out of range: give a number in (0, 0.5)")
    if n <= d:
        raise BadInput(
            f"n = {n}, d = {d}: every feature has a dimension of its own at any S; give n > d"
        )
    table = fitting(n, d, law)
    S = np.geomspace(0.95, S_min, points)
    known = losses(table, S, law)
    D_star, phases, represented = [], [], []
    for i, s in enumerate(S.tolist()):
        if progress is not None:
            progress("mixtures", i / points)
        best = best_among(n, d, s, law, table, known[:, i])
        size = squared_norms(best)
        D_star.append(d / size if size > 0.0 else float("inf"))
        phases.append(best.name)
        represented.append(best.represented)
    return Staircase(n, d, law, S, np.array(D_star), np.array(represented), tuple(phases))


def squared_norms(m: Mixture) -> float:
    """||W||_F^2 of a mixture at its S: dedicated features have norm 1, ignored ones none."""
    placed = (many * block_norms(name, m.S, m.law)[0] for name, many in m.parts)
    return m.dedicated + sum(placed)
