"""Training along the way: jumps between energy levels, and how directions move.

jumps      a loss curve as levels: the partition into constant pieces of least squared error plus a
           price per piece (exact, by dynamic programming); a change of level is a jump if
           two levels fit better than one straight line
dynamics   from snapshots: how far directions spread, how fast the whole rotates, how the shape
           (the Gram matrix, which no rotation changes) moves, and when both have settled
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from packing.errors import BadInput
from packing.types import Float
from validate.trajectory import rotation

PRICE = 4.0
"""A further level must reduce the squared error by this times ln T noise variances: BIC asks for 2
(a level and a place); twice that, since noise along a curve is a little correlated."""

SETTLED = 0.05
"""Cosines within this of the last ones, root mean square, have settled; angles within it, in
radians, too."""


@dataclass(frozen=True)
class Jump:
    """A sudden fall of the loss.

    Parameters
    ----------
    step : float
        Where, between the last step of one level and the first of the next.
    before, after : float
        Geometric mean losses of the two levels.
    """

    step: float
    before: float
    after: float


def jumps(steps: ArrayLike, losses: ArrayLike, *, least: float = 0.05) -> tuple[Jump, ...]:
    """The energy-level jumps of a learning curve (Elhage et al. 2022, section on dynamics).

    Parameters
    ----------
    steps, losses : (T,) arrays
        Rising steps and positive losses, as in `Trained.curve`; T up to some thousand.
    least : float
        Relative fall below which a change of level is no jump.

    Returns
    -------
    tuple of Jump

    Raises
    ------
    BadInput
        If the arrays do not match, or a loss is not positive and finite.

    Notes
    -----
    Numerical. The noise of ln loss is estimated from second differences, which levels and slow
    falls leave alone. A fall that a straight line of ln loss describes as well is no jump.
    """
    at, y = np.asarray(steps, dtype=float), np.asarray(losses, dtype=float)
    if at.ndim != 1 or at.shape != y.shape:
        raise BadInput(f"steps {at.shape} and losses {y.shape} differ: give two (T,) arrays")
    if not np.all(np.isfinite(y)) or np.any(y <= 0.0):
        raise BadInput("a loss is not positive and finite: give those before the run diverged")
    if len(y) < 4:
        return ()
    y = np.log(y)
    second = np.abs(np.diff(y, 2))
    noise = max(float(np.median(second)) / (0.6745 * math.sqrt(6.0)), 1e-6)
    price = PRICE * noise * noise * math.log(len(y))
    ends = _levels(y, price)
    pieces = [(a, b) for a, b in pairwise(ends) if b - a > 2]
    found = []
    for (a, b), (c, d) in pairwise(pieces):
        before, after = float(np.mean(y[a:b])), float(np.mean(y[c:d]))
        sudden = _bend(np.concatenate([y[a:b], y[c:d]]), b - a) > price
        if before - after > -math.log1p(-least) and sudden:
            where = float(at[b - 1] + at[c]) / 2.0
            found.append(Jump(where, math.exp(before), math.exp(after)))
    return tuple(found)


def _levels(y: Float, price: float) -> list[int]:
    """Ends of the pieces of the best piecewise constant fit, 0 and T included."""
    T = len(y)
    one = np.concatenate([[0.0], np.cumsum(y)])
    two = np.concatenate([[0.0], np.cumsum(y * y)])
    best, last = np.zeros(T + 1), np.zeros(T + 1, dtype=int)
    best[0] = -price
    for end in range(1, T + 1):
        start = np.arange(end)
        error = two[end] - two[:end] - (one[end] - one[:end]) ** 2 / (end - start)
        cost = best[:end] + error + price
        last[end] = int(np.argmin(cost))
        best[end] = cost[last[end]]
    ends = [T]
    while ends[-1] > 0:
        ends.append(int(last[ends[-1]]))
    return ends[::-1]


def _bend(y: Float, at: int) -> float:
    """By how much two levels, changing at `at`, fit better than one straight line."""
    t = np.arange(len(y)) - (len(y) - 1) / 2.0
    line = y - np.mean(y) - t * float(t @ y / (t @ t))
    low, high = y[:at] - np.mean(y[:at]), y[at:] - np.mean(y[at:])
    return float(line @ line - low @ low - high @ high)


@dataclass(frozen=True, eq=False)
class Dynamics:
    """How the directions of a model moved while it trained.

    Parameters
    ----------
    steps : (T,) array
        Of the snapshots.
    spread : (T,) array
        Variance of the directions, 1 - |mean of W_i / |W_i||^2: 0 if all are equal, 1 if they
        balance. Features that end up ignored are left out, here and below.
    rotation : (T - 1,) array
        Angle in degrees of the orthogonal map that brings one snapshot nearest to the next: the
        largest over its planes.
    speed : (T - 1,) array
        The same per step.
    shape : (T - 1,) array
        Root mean square change of the cosines between one snapshot and the next.
    settled : int or None
        First step from which cosines and directions stay within `SETTLED` of the last ones; None
        if only the last snapshot is.
    """

    steps: Float
    spread: Float
    rotation: Float
    speed: Float
    shape: Float
    settled: int | None


def dynamics(snapshots: Sequence[tuple[int, Float, Float]], *, least: float = 0.1) -> Dynamics:
    """How directions spread, rotate and settle.

    Parameters
    ----------
    snapshots : sequence of (step, W, b)
        As in `Trained.snapshots`; two or more, of models (d, n).
    least : float
        Norm in the last snapshot from which a feature counts.

    Raises
    ------
    BadInput
        If there are fewer than two snapshots.
    """
    if len(snapshots) < 2:
        raise BadInput(f"{len(snapshots)} snapshots: give two or more (Recipe.snapshots)")
    live = np.linalg.norm(snapshots[-1][1], axis=0) > least
    units = []
    for _, W, _ in snapshots:
        part = W[:, live]
        units.append(part / np.maximum(np.linalg.norm(part, axis=0), 1e-300))
    steps = np.array([float(step) for step, _, _ in snapshots])
    pairs = list(pairwise(units))
    turns = np.array([rotation(a, b) for a, b in pairs])
    last = units[-1]
    settled = None
    for i in range(len(units) - 2, -1, -1):
        if _cosine_change(units[i], last) > SETTLED or _moved(units[i], last) > SETTLED:
            break
        settled = int(steps[i])
    return Dynamics(
        steps=steps,
        spread=np.array([1.0 - float(np.sum(np.mean(u, axis=1) ** 2)) for u in units]),
        rotation=turns,
        speed=turns / np.diff(steps),
        shape=np.array([_cosine_change(a, b) for a, b in pairs]),
        settled=settled,
    )


def _cosine_change(A: Float, B: Float) -> float:
    return float(np.sqrt(np.mean((A.T @ A - B.T @ B) ** 2))) if A.size else 0.0


def _moved(A: Float, B: Float) -> float:
    """Root mean square angle, in radians, between equal columns."""
    if not A.size:
        return 0.0
    return float(np.sqrt(np.mean(np.arccos(np.clip(np.sum(A * B, axis=0), -1.0, 1.0)) ** 2)))
