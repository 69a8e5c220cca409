"""A smooth stand-in for the largest cosine, for many codes at once.

    F(X) = log sum_{i<j} exp(beta q(x_i . x_j)),   q(c) = c, or c^2 for lines,

a Gaussian energy whose exponent beta is raised step by step. F / beta exceeds the largest q by at
most log(n (n - 1) / 2) / beta. Derived here.
"""

from __future__ import annotations

import numpy as np

from packing.descent import descend
from packing.search.code import Float


def normalised(X: Float) -> Float:
    """Rows divided by their lengths; a zero row becomes the first axis."""
    length = np.sqrt(np.einsum("...d,...d->...", X, X))[..., None]
    out = X / np.where(length > 0.0, length, 1.0)
    out[..., 0] += length[..., 0] == 0.0
    return np.asarray(out, dtype=np.float64)


def surrogate(X: Float, beta: Float, lines: bool) -> tuple[Float, Float, Float]:
    """F (k,), its gradient (k, n, d) at unit rows, along the sphere, and the mean cosine (k,).

    The mean is over pairs with weights exp(beta q): a guess at the limit of the largest cosine that
    is good to O(1 / beta^2) at a minimum, because F = beta t + const + O(1 / beta) there and the
    mean of q is dF / dbeta.
    """
    n = X.shape[1]
    C = X @ X.transpose(0, 2, 1)
    diagonal = np.arange(n)
    E = C * C if lines else C.copy()
    E[:, diagonal, diagonal] = -1.0
    top = E.max(axis=(1, 2))
    E -= top[:, None, None]
    E *= beta[:, None, None]
    np.maximum(E, -60.0, out=E)  # far pairs would become denormal numbers, which are slow
    np.exp(E, out=E)
    E[:, diagonal, diagonal] = 0.0
    total = E.sum(axis=(1, 2))
    E *= (2.0 * beta / total)[:, None, None]
    if lines:
        E *= C
        mean = np.einsum("kij,kij->k", E, C) / (2.0 * beta)
        mean = np.sqrt(mean)
        E *= 2.0
    else:
        mean = np.einsum("kij,kij->k", E, C) / (2.0 * beta)
    G = E @ X
    G -= np.einsum("knd,knd->kn", G, X)[..., None] * X
    return beta * top + np.log(0.5 * total), G, mean


def relax(
    X: Float, beta: Float, lines: bool, iterations: int, tolerance: float = 1e-7
) -> tuple[Float, Float]:
    """Codes X (k, n, d) after a descent of F at exponents beta (k,), and their values of F."""
    k, n, d = X.shape

    def objective(theta: Float, index: np.ndarray) -> tuple[Float, Float]:
        P = theta.reshape(-1, n, d)
        length = np.sqrt(np.einsum("knd,knd->kn", P, P))[..., None]
        value, gradient, _ = surrogate(P / length, beta[index], lines)
        return value, (gradient / length).reshape(len(theta), -1)

    theta, value = descend(objective, X.reshape(k, -1), iterations, tolerance=tolerance)
    return normalised(theta.reshape(k, n, d)), value
