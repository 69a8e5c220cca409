"""A lower bound on the Coulomb energy of n points in R^d: the universal bound.

Yudin 1992 for the method; Boyvalenkov, Dragnev, Hardin, Saff, Stoyanova, Constr. Approx. 44 (2016)
385-415, for this form. With s the solution of L_m(d, s) = n and m even or odd, quadrature at the
roots alpha_i of Levenshtein's polynomial integrates polynomials of degree <= m over the sphere:
f_0 = f(1)/n + sum rho_i f(alpha_i). For a potential h whose derivatives are all >= 0 as a function
of the cosine, the Hermite interpolant of h at these nodes lies below h and is positive definite, so
sum over ordered pairs of h >= n^2 sum rho_i h(alpha_i).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from packing.bounds import levenshtein
from packing.bounds.codes import COHN_KUMAR, sharp_code
from packing.bounds.nouns import Bound

Float = NDArray[np.float64]

LARGEST_LEVEL = 200
MARGIN = 1e-11
"""Relative margin for rounding: nodes and weights come from a symmetric tridiagonal matrix of at
most 100 rows and are good to about 1e-13."""


def coulomb(n: int, d: int) -> Bound | None:
    """Least sum over pairs of 1 / distance, n >= 2, d >= 2.

    Returns
    -------
    Bound or None
        The theorem is proved, its evaluation is floating point: ``rigorous`` is False. None for
        n > D(d, 201), where too many nodes would be needed.
    """
    if n < 2 or d < 2 or levenshtein.level(n, d) >= LARGEST_LEVEL:
        return None
    nodes, weights = quadrature(n, d)
    value = 0.5 * n * n * float((weights / np.sqrt(2.0 - 2.0 * nodes)).sum())
    return Bound(
        "universal energy bound",
        "energy",
        "at least",
        value * (1.0 - MARGIN),
        None,
        "n >= 2, d >= 2, n <= D(d, 200)",
        "Yudin 1992; Boyvalenkov, Dragnev, Hardin, Saff, Stoyanova 2016",
        rigorous=False,
        attained=f"{shape} ({COHN_KUMAR})" if (shape := sharp_code(n, d)) is not None else None,
    )


def quadrature(n: int, d: int) -> tuple[Float, Float]:
    """Levenshtein's nodes (k,) and weights (k,); with weight 1/n at 1 the weights sum to 1.

    The nodes are a Gauss-Radau rule for (1 - x) w or (1 - x)(1 + x) w with one node fixed at s:
    eigenvalues of the Jacobi matrix with its last diagonal entry changed (Golub 1973).
    """
    m = levenshtein.level(n, d)
    s = float(levenshtein.cosine(n, d)[0])
    k = (m + 1) // 2
    right, left = (d - 1) / 2, (d - 3) / 2 if m % 2 else (d - 1) / 2
    diagonal, squares = _recurrence(right, left, k)
    # Monic p_(j+1) = (x - a_j) p_j - b_j p_(j-1); ratios do not under- or overflow.
    ratio = s - diagonal[0]
    for j in range(1, k - 1):
        ratio = s - diagonal[j] - squares[j] / ratio
    if k > 1:
        diagonal[k - 1] = s - squares[k - 1] / ratio
    else:
        diagonal[0] = s
    off = np.sqrt(squares[1:k])
    nodes, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1))
    inside = vectors[0] ** 2
    if m % 2:
        return nodes, inside / (1.0 - nodes)
    weights = inside * (1.0 - 1.0 / d) / (1.0 - nodes**2)
    rest = 1.0 - 1.0 / n - float(weights.sum())
    return np.append(nodes, -1.0), np.append(weights, rest)


def _recurrence(a: float, b: float, k: int) -> tuple[Float, Float]:
    """Diagonal (k,) and squared off-diagonal (k,) for the weight (1-x)^a (1+x)^b, both monic."""
    j = np.arange(1.0, k)
    size = 2.0 * j + a + b
    diagonal = np.empty(k)
    diagonal[0] = (b - a) / (a + b + 2.0)
    diagonal[1:] = (b * b - a * a) / (size * (size + 2.0))
    squares = np.zeros(k)
    if k > 1:
        top = 4.0 * j * (j + a) * (j + b) * (j + a + b)
        with np.errstate(invalid="ignore", divide="ignore"):
            squares[1:] = top / (size**2 * (size + 1.0) * (size - 1.0))
        # At j = 1 the factor (1 + a + b) cancels, which matters where it is zero.
        squares[1] = 4.0 * (1.0 + a) * (1.0 + b) / ((2.0 + a + b) ** 2 * (3.0 + a + b))
    return diagonal, squares
