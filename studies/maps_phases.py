"""What becomes of each feature at (2, 1) and (3, 2), read off weights, in the prototypes' words.

The last feature is called extra, since its importance differs; the others are alike.

    represented   |W_i|^2 above a threshold
    together      |cos(W_i, W_j)| above `BENT`: neither orthogonal nor ignored
    paired        two together, opposite;  parallel: two together, the same way
    triangle      three together that surround the origin

One reading serves optima, prototypes and trained models, so none of them has an advantage. It is
coarser than `theory.diagrams.phase_name`, which also tells even pairs from uneven ones: weights off
by 1% cannot say when a pair begins to be uneven.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from packing.types import Float
from validate.experiments import THRESHOLD

BENT = 0.25
"""Cosines below are taken for orthogonal: an angle within 14.5 degrees of a right one."""

EXTRA_IGNORED = "extra ignored"
NOTHING = "nothing represented"


def phase_of(W: Float, threshold: float = THRESHOLD) -> str:
    """What becomes of the extra feature and of the others.

    Parameters
    ----------
    W : (d, n) array
        Of (2, 1) or (3, 2).
    threshold : float
        Squared norm from which a feature is represented.

    Returns
    -------
    str
        Where there is a prototype of that kind, its name in `theory.prototypes`.
    """
    n = W.shape[1]
    extra = n - 1
    norms = np.sqrt(np.sum(W * W, axis=0))
    shown = [i for i in range(n) if norms[i] ** 2 > threshold]
    C = (W.T @ W) / np.maximum(np.outer(norms, norms), 1e-300)
    bonds = [(i, j) for i, j in combinations(shown, 2) if abs(C[i, j]) > BENT]
    if n == 2:
        return _of_two(shown, extra, bonds, C)
    return _of_three(shown, extra, bonds, C, W)


def _of_two(shown: list[int], extra: int, bonds: list[tuple[int, int]], C: Float) -> str:
    if not shown:
        return NOTHING
    if len(shown) == 1:
        return "extra dedicated" if shown == [extra] else EXTRA_IGNORED
    return _way(C, bonds[0], "pair", "parallel pair")


def _of_three(
    shown: list[int], extra: int, bonds: list[tuple[int, int]], C: Float, W: Float
) -> str:
    if len(shown) < 2:
        return NOTHING if not shown else "two ignored"
    if len(shown) == 2:
        where = EXTRA_IGNORED if extra not in shown else "extra dedicated, one other ignored"
        return where if not bonds else _way(C, bonds[0], "one ignored, a pair", "one ignored, bent")
    if len(bonds) == 1:
        if extra in bonds[0]:
            mine = _way(C, bonds[0], "extra paired", "extra parallel")
            return f"{mine}, one other dedicated"
        return f"extra dedicated, the others {_way(C, bonds[0], 'paired', 'parallel')}"
    place = np.sort(np.arctan2(W[1], W[0]))
    gaps = np.append(np.diff(place), 2.0 * np.pi - (place[-1] - place[0]))
    return "triangle" if float(gaps.max()) < np.pi else "irregular"


def _way(C: Float, bond: tuple[int, int], opposite: str, same: str) -> str:
    return opposite if C[bond] < 0.0 else same


__all__ = ["BENT", "phase_of"]
