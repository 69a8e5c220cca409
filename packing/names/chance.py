"""How likely random directions come as near to a named arrangement as the given ones did.

Directions of n vectors in R^D are a point of the product of n spheres. The points congruent to an
arrangement X form n!/|Aut X| copies of the orbit O(D) X, and those whose root mean square distance
from one of them is below r form a tube around it. To first order in r its volume is that of the
orbit times that of a ball of radius r sqrt(n) in the m = n (D - 1) - D (D - 1)/2 directions across:

    P = n! / |Aut X| * Vol(O(D) X) * omega_m (r sqrt n)^m / Vol(S^(D-1))^n .

A turn in the plane of two axes a, b of the frame operator (eigenvalues l_a, l_b) moves X by
sqrt(l_a + l_b), so Vol(O(D) X) = Vol(O(D)) * prod over a < b of sqrt(l_a + l_b). A free height adds
one dimension to the orbit; a block that is not named adds all of its own. Derived here; numerical
(tests compare it with counts of random arrangements), and not a bound: tubes may overlap, curve, or
miss a corner. For uneven norms, displacements in W are turned into angles vector by vector.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Piece:
    """One block of an arrangement, as far as counting is concerned.

    Parameters
    ----------
    name : str
        Blocks of one name may be exchanged.
    vectors : (d, n) array
        Unit vectors that span R^d.
    symmetry_order : int or None
        Relabellings that keep all cosines; None for a block that may have any shape.
    free : int
        Number of free parameters of the shape, such as a height.
    """

    name: str
    vectors: Float
    symmetry_order: int | None
    free: int = 0


def log_chance(pieces: Sequence[Piece], distance: float, weights: Float | None = None) -> float:
    """Natural logarithm of the chance that random directions are as near to a direct sum.

    Parameters
    ----------
    pieces : sequence of Piece
        The orthogonal blocks.
    distance : float
        Root mean square displacement of a vector after the best rotation and relabelling, in units
        of the root mean square norm.
    weights : (n,) array, optional
        Norms in the same units; equal norms if left out.

    Returns
    -------
    float
        At most 0; -infinity for distance 0 where that is a condition at all.
    """
    n = sum(piece.vectors.shape[1] for piece in pieces)
    D = sum(piece.vectors.shape[0] for piece in pieces)
    values = np.concatenate([_frame(piece.vectors) for piece in pieces])
    total = math.lgamma(n + 1.0) + _log_turns(D) + _log_speeds(values)
    across = n * (D - 1) - D * (D - 1) // 2
    for piece in pieces:
        d, k = piece.vectors.shape
        if piece.symmetry_order is None:
            total -= math.lgamma(k + 1.0) + _log_turns(d) + _log_speeds(_frame(piece.vectors))
            total += k * log_sphere(d - 1)
            across -= k * (d - 1) - d * (d - 1) // 2
        else:
            # a free height is an angle in (0, pi/2) that moves each of the k vectors alike
            total -= math.log(piece.symmetry_order)
            total += piece.free * math.log(math.sqrt(k) * math.pi / 2.0)
            across -= piece.free
    named = Counter(piece.name for piece in pieces if piece.symmetry_order is not None)
    total -= sum(math.lgamma(count + 1.0) for count in named.values())
    total -= n * log_sphere(D - 1)
    if weights is not None:
        total -= (D - 1) * float(np.log(np.minimum(weights, 1.0)).sum())
    if across > 0:
        if distance <= 0.0:
            return -math.inf
        ball = across / 2.0 * math.log(math.pi) - math.lgamma(across / 2.0 + 1.0)
        total += ball + across * math.log(distance * math.sqrt(n))
    return min(total, 0.0)


def log_sphere(k: int) -> float:
    """Logarithm of the volume of the unit sphere of dimension k, which lies in R^(k+1)."""
    half = (k + 1) / 2.0
    return math.log(2.0) + half * math.log(math.pi) - math.lgamma(half)


def _log_turns(d: int) -> float:
    """Logarithm of the volume of O(d), where a turn by one radian in a plane has length 1."""
    return math.log(2.0) + sum(log_sphere(k) for k in range(1, d))


def _log_speeds(values: Float) -> float:
    """How fast turns in the planes of two axes move an arrangement with these frame values."""
    i, j = np.triu_indices(values.size, 1)
    return 0.5 * float(np.log(values[i] + values[j]).sum())


def _frame(vectors: Float) -> Float:
    return np.asarray(np.linalg.eigvalsh(vectors @ vectors.T), dtype=np.float64)
