"""Mixtures beside the numerical optimum, and what they say of trained weights.

The best mixture bounds the optimum from above. Where `theory.optimum` finds less, the optimum is
something else: an irregular arrangement, a shadow, a broken block; its name is kept, with what it
saves. `staircase` tells D* = d/||W||_F^2 and the dimensionalities that weights at the best mixture,
or at the many-features solution, would show. All of it is numerical.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from packing.errors import BadInput
from packing.types import Float
from theory.features import Features
from theory.mixtures.block_losses import binary_minimum, pair_minimum, uniform_minimum
from theory.mixtures.block_table import blocks
from theory.mixtures.gaussian_limit import many_features
from theory.mixtures.ladder import MixtureLadder
from theory.mixtures.mixture import LIMIT, Mixture, mixture_at

if TYPE_CHECKING:
    from theory.ladders import Ladder
    from theory.optima import Optimum

LOWER = 1e-7
"""Relative difference from which the optimum counts as lower than the mixture."""


@dataclass(frozen=True, eq=False)
class Compared:
    """The best mixture and the numerical optimum at one S.

    Parameters
    ----------
    mixture : Mixture
    optimum : Optimum
    difference : float
        Loss of the mixture less that of the optimum, the total. Negative: the search has missed
        the mixture.
    irregular : str or None
        The optimum's name where it is lower by more than LOWER, relative.
    """

    mixture: Mixture
    optimum: Optimum
    difference: float
    irregular: str | None


@dataclass(frozen=True)
class IrregularPhase:
    """An interval of S on which the optimum is lower than every mixture of blocks.

    Parameters
    ----------
    name : str
        Of the optimum, as the ladder gives it.
    low, high : float
        Its interval.
    S : float
        Where the difference was largest, among the S computed.
    share : float
        What the best mixture costs more there, relative.
    mixture : str
        The best mixture there.
    """

    name: str
    low: float
    high: float
    S: float
    share: float
    mixture: str


@dataclass(frozen=True)
class Step:
    """What weights of n features in d dimensions show at one S.

    Parameters
    ----------
    S : float
    name : str
        The best mixture.
    loss : float
        Per feature.
    D_star : float
        d/||W||_F^2.
    dimensionality : tuple of (D_i, count)
        Of the represented features, falling; ignored ones have none.
    many_loss, many_D_star : float
        The same of the many-features solution.
    """

    S: float
    name: str
    loss: float
    D_star: float
    dimensionality: tuple[tuple[float, int], ...]
    many_loss: float
    many_D_star: float

    @property
    def one_minus_S(self) -> float:
        return 1.0 - self.S


def compare_optimum(
    n: int,
    d: int,
    S: float,
    law: str = "binary",
    importance: Sequence[float] | Float | None = None,
    *,
    seed: int = 0,
    starts: int | None = None,
) -> Compared:
    """The best mixture beside the optimum that a search over all weights finds.

    Parameters
    ----------
    n, d : int
    S : float
        In (0, 1].
    law : {"binary", "uniform", "exponential"}
    importance : (n,) array, optional
    seed, starts : int
        Of the search, as in `theory.optimum.optimum`.

    Raises
    ------
    BadInput
        If an argument is out of range.
    """
    from theory.optima import optimum

    mixed = mixture_at(n, d, S, law, importance)
    features = Features.of(n, S, law, importance)
    found = optimum(features, d, seed=seed, starts=starts)
    least = found.loss.total
    scale = float(features.importance @ features.variance)
    lower = mixed.loss - least > LOWER * mixed.loss + 1e-13 * scale
    return Compared(mixed, found, mixed.loss - least, found.name if lower else None)


def irregular_phases(
    n: int, d: int, law: str = "binary", *, ladder: Ladder | None = None, ask: bool = False
) -> tuple[IrregularPhase, ...] | None:
    """Phases of the numerical ladder that are lower than every mixture of blocks.

    Parameters
    ----------
    n, d : int
    law : {"binary", "uniform"}
    ladder : Ladder, optional
        Of `theory.ladder`; without it the one kept on disk by `packing critical` is taken.
    ask : bool
        Compute the ladder where none is kept: minutes.

    Returns
    -------
    tuple of IrregularPhase, or None
        S falling. None where no ladder is known: nothing can be said.
    """
    from theory.ladders import numerical_ladder

    found = ladder if ladder is not None else numerical_ladder(n, d, law, search=ask)
    if found is None:
        return None
    plain = np.ptp(found.importance) == 0.0
    if (found.n, found.d, found.law.name) != (n, d, law) or not plain:
        raise BadInput(
            f"the ladder is of n = {found.n}, d = {found.d}, law {found.law.name}: give that of "
            f"n = {n}, d = {d}, law {law} with equal importance"
        )
    out = []
    for branch in found.branches:
        low, high = min(branch.interval), max(branch.interval)
        inside = (low <= branch.S) & (high >= branch.S) & (branch.S < 1.0)
        rows = []
        for s, least in zip(branch.S[inside].tolist(), branch.loss[inside].tolist(), strict=True):
            mixed = mixture_at(n, d, s, law)
            if mixed.loss > 0.0:
                rows.append((1.0 - least / mixed.loss, s, mixed.name))
        if rows and max(rows)[0] > LOWER:
            share, s, name = max(rows)
            out.append(IrregularPhase(branch.name, low, high, s, share, name))
    return tuple(out)


def staircase(n: int, d: int, S: Sequence[float] | Float, law: str = "binary") -> tuple[Step, ...]:
    """D* and dimensionalities against S, from the best mixture and from the many-features solution.

    Parameters
    ----------
    n, d : int
        n > d.
    S : sequence of float
        In (0, 1].
    law : {"binary", "uniform"}

    Returns
    -------
    tuple of Step
        One per S. A block of n_a unit vectors whose squares of cosines sum to c has D_i = 1/c,
        itself included: d_a/n_a where it is a tight frame. Numerical.

    Raises
    ------
    BadInput
        If n <= d, S is out of range or the law has no blocks.
    """
    if n <= d or law not in ("binary", "uniform"):
        raise BadInput(f"n = {n}, d = {d}, law = {law!r}: give n > d and binary or uniform")
    steps = []
    for s in np.asarray(S, dtype=float).ravel().tolist():
        mixed = mixture_at(n, d, s, law)
        at = s if s > 0.0 else LIMIT
        square, shown = float(mixed.dedicated), [(1.0, mixed.dedicated)] * (mixed.dedicated > 0)
        for name, many in mixed.parts:
            total, each = block_norms(name, at, law)
            square += many * total
            shown += [(D, many * count) for D, count in each]
        wide = many_features(n / d, s, law)
        D_star = d / square if square > 0.0 else float("inf")
        shown.sort(reverse=True)
        steps.append(
            Step(s, mixed.name, mixed.loss / n, D_star, tuple(shown), wide.loss, wide.D_star)
        )
    return tuple(steps)


def block_norms(name: str, S: float, law: str) -> tuple[float, list[tuple[float, int]]]:
    """Sum of the squared norms of a block at its minimum, and D_i with their counts."""
    block = next(b for b in blocks(law) if b.name == name)
    at = np.array([S])
    if not block.row:  # an unequal pair: norms w and t w in one dimension
        sign = -1 if name == "uneven digon" else 1
        t = float(pair_minimum(at, sign)[1][0])
        rho = _pair_norm(S, t, sign)
        return rho * (1.0 + t * t), [(1.0 / (1.0 + t * t), 1), (t * t / (1.0 + t * t), 1)]
    minimum = binary_minimum if law == "binary" else uniform_minimum
    rho = float(minimum(block.row, at)[1][0])
    overlap = 1.0 + sum(m * c * c for c, m in block.row)
    return block.n * rho, [(1.0 / overlap, block.n)]


def _pair_norm(S: float, t: float, sign: int) -> float:
    """The squared norm w^2 of the longer of two features w and t w in one dimension, binary law."""
    from scipy.optimize import minimize

    own, other = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0])
    chance = S ** (own + other) * (1.0 - S) ** (2.0 - own - other)

    def cost(at: Float) -> float:
        first = np.maximum(at[0] * (own + sign * t * other) + at[1], 0.0) - own
        second = np.maximum(at[0] * (t * t * own + sign * t * other) + at[2], 0.0) - own
        return float(chance @ (first**2 + second**2))

    options = {"xatol": 1e-11, "fatol": 1e-15, "maxiter": 4000}
    starts = ([1.0, 0.0, 0.0], [1.0, -0.3, S], [0.5, S, S], [1.5, -0.5, -0.5])
    found = [minimize(cost, start, method="Nelder-Mead", options=options) for start in starts]
    return float(min(found, key=lambda one: one.fun).x[0])


def spans(ladder: MixtureLadder | Ladder) -> list[tuple[Any, float, float]]:
    """The phases of a ladder of either kind, with the highest and lowest S of each."""
    phases = ladder.phases if isinstance(ladder, MixtureLadder) else ladder.branches
    edges = [1.0, *(change.S for change in ladder.crossings), ladder.S_min]
    return list(zip(phases, edges[:-1], edges[1:], strict=True))


__all__ = [
    "Compared",
    "IrregularPhase",
    "Step",
    "block_norms",
    "compare_optimum",
    "irregular_phases",
    "spans",
    "staircase",
]
