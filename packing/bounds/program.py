"""Delsarte's linear programme in floating point. Its answer is a proposal: nothing trusts it.

Minimise 1 + sum a_k over a_k >= 0 with sum a_k p_k(x) <= -1 on [low, high], by exchange: solve on
some points of the interval (HiGHS), add the points where the solution violates the constraint most,
and repeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

Float = NDArray[np.float64]

ROUNDS = 12
GRID = 2400
CLEAN = 1e-8
"""A violation above this means that the degree is more than 16 digits solve here."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """Multipliers a_1 .. a_K (K,), the value 1 + sum a_k, and the largest violation seen."""

    weights: Float
    value: float
    violation: float

    @property
    def safe(self) -> float:
        """The value once the violation is repaired; infinity if it cannot be."""
        v = self.violation
        return 1.0 + (self.value - 1.0) / (1.0 - v) if v < 1.0 else np.inf


def zonal_values(x: Float, d: int, degree: int, lines: bool = False) -> Float:
    """p_1 .. p_degree of the system at the points x (N,): shape (N, degree). See `exact.zonal`."""
    if lines:
        return zonal_values(np.sqrt(x), d, 2 * degree)[:, 1::2]
    before, here = np.ones_like(x), x
    columns = []
    for k in range(1, degree + 1):
        columns.append(here)
        before, here = here, ((2 * k + d - 2) * x * here - k * before) / (k + d - 2)
    return np.stack(columns, axis=1)


@lru_cache(maxsize=1024)
def propose(d: int, high: float, degrees: tuple[int, ...], lines: bool = False) -> Proposal | None:
    """The programme's solution for points (or lines: high is then the squared cosine).

    The degrees are tried in turn until one is solved cleanly; the best is returned. None where the
    solver finds no solution at all.
    """
    best: Proposal | None = None
    for degree in degrees:
        found = _solve(d, high, degree, lines)
        if found is not None and (best is None or found.safe < best.safe):
            best = found
        if found is not None and found.violation < CLEAN:
            break
    return best


def _solve(d: int, high: float, degree: int, lines: bool) -> Proposal | None:
    low = 0.0 if lines else -1.0
    middle, half = (low + high) / 2, (high - low) / 2
    angles = np.linspace(0.0, np.pi, GRID)
    basis = zonal_values(middle - half * np.cos(angles), d, degree, lines)
    # P_k is about d^(-k/2) inside the interval: unscaled, the columns differ by many orders.
    scale = np.abs(basis).max(axis=0)
    basis = basis / scale
    rows = basis[:: max(1, GRID // (4 * degree))]
    best: Proposal | None = None
    for _ in range(ROUNDS):
        found = linprog(
            1.0 / scale,
            A_ub=rows,
            b_ub=-np.ones(rows.shape[0]),
            bounds=(0.0, None),
            method="highs-ds",
            options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
        )
        if found.x is None:
            break
        weights = np.maximum(found.x, 0.0)
        peaks = _peaks(angles, 1.0 + basis @ weights)
        fresh = zonal_values(middle - half * np.cos(peaks), d, degree, lines) / scale
        excess = 1.0 + fresh @ weights
        worst = max(float(excess.max()), 0.0)
        if best is None or worst < best.violation:
            best = Proposal(weights / scale, 1.0 + float((weights / scale).sum()), worst)
        if worst < 1e-10:
            break
        rows = np.concatenate([rows, fresh[excess > 1e-13]])
    return best


def _peaks(angles: Float, values: Float) -> Float:
    """Places of the local maxima of a smooth function on a grid (parabolas), and the ends."""
    inside = (values[1:-1] >= values[:-2]) & (values[1:-1] >= values[2:])
    i = np.flatnonzero(inside) + 1
    left, here, right = values[i - 1], values[i], values[i + 1]
    bend = left - 2.0 * here + right
    shift = np.where(bend < 0.0, 0.5 * (left - right) / np.where(bend < 0.0, bend, -1.0), 0.0)
    step = angles[1] - angles[0]
    found = angles[i] + step * np.clip(shift, -1.0, 1.0)
    return np.concatenate([found, angles[[0, -1]]])
