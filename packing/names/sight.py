"""What counts as equal when blocks are named: sharply, or through noise of a known level."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from packing.arrangement import Arrangement

Float = NDArray[np.float64]

SIMPLEX = 0.05
"""Root mean square distance within which d + 1 noisy vectors are called a simplex. For three random
vectors of the plane it is met with probability 0.002; where there are more than d + 1 vectors,
chance decides instead."""

AROUND = 0.15
"""Root mean square distance beyond which no noisy block gets a name, however unlikely it is."""

EVEN = 0.1
"""Noisy norms that spread by less than this fraction of the largest are called even: training
leaves them a few percent apart."""

BLURRED = 0.15
"""A noisy vector whose direction is known no better than this follows no other: among random
directions in the plane one would soon be found along it."""


@dataclass(frozen=True)
class Sight:
    """What counts as equal.

    Parameters
    ----------
    same : float
        Cosines and directions closer than this are the same (weak columns: less sharply).
    even : float
        Norms closer than this fraction of the largest are the same.
    noise : float
        Standard deviation of every entry of W, in the units of W; 0 for a sharp sight.
    rare : float
        Noisy shapes of more than d + 1 vectors are named if random directions come as near with a
        smaller probability than this.
    few : float
        The same for fewer vectors.
    around, simplex : float
        Root mean square distance that a noisy shape may have at most: of more than d + 1 vectors,
        and of fewer.
    """

    same: float
    even: float
    noise: float = 0.0
    rare: float = 0.0
    few: float = 0.0
    around: float = 0.0
    simplex: float = 0.0

    def rank(self, part: Arrangement) -> int:
        """Dimension of the span of the columns without their noise."""
        if not self.noise:
            return part.rank(self.same)
        # the largest singular value of noise alone is sqrt(n) + sqrt(d), seldom half as much again
        top = 1.5 * self.noise * (math.sqrt(part.n) + math.sqrt(part.d))
        return max(1, int((np.linalg.svd(part.W, compute_uv=False) > top).sum()))

    def along(self, part: Arrangement) -> tuple[tuple[int, ...], ...]:
        """Groups of two or more columns along one direction."""
        if not self.noise:
            return part.duplicated(self.same, 0.0)
        reach = self.noise * (math.sqrt(part.d) + 2.5) / part.norms
        allowed = np.where(
            np.maximum(reach[:, None], reach) <= BLURRED, np.hypot(reach[:, None], reach), 0.0
        )
        near = np.sqrt(np.maximum(2.0 - 2.0 * part.cosines, 0.0)) <= allowed
        np.fill_diagonal(near, False)
        groups: list[list[int]] = []
        strongest = np.argsort(-part.norms, kind="stable")  # they know their direction best
        for i in strongest[near[strongest].any(axis=1)].tolist():
            for group in groups:
                if near[i, group[0]]:
                    group.append(i)
                    break
            else:
                groups.append([i])
        return tuple(tuple(sorted(group)) for group in groups if len(group) > 1)

    def uneven(self, norms: Float) -> bool:
        # the spread of many noisy norms is wider than that of a few, the deviation is not
        wide = 2.0 * norms.std() if self.noise else np.ptp(norms)
        return bool(wide > self.even * norms.max())
