"""Points on the unit sphere that repel each other: energy, gradient, Hessian, and what they say.

The energy of unit rows X (n, d) is the sum over pairs of 1/r^s, r the distance, or of -log r for
s = 0. Distances come from differences of coordinates, never from 1 - cosine, so close pairs keep
their digits. Derivatives are along the sphere: P_i = I - x_i x_i^T projects on point i's tangent
space. Formulas derived here; the error bounds are first order in the unit roundoff.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

Float = NDArray[np.float64]

EPS = float(np.finfo(np.float64).eps)

DENSE = 3000
"""Variables n (d - 1) up to which a Hessian is formed."""

FLAT = 1e-9
"""Curvature over the mean curvature below which a direction counts as flat: Hessians of
arrangements with separate points are good to about 1e-12 of that."""


@dataclass(frozen=True, eq=False)
class Stationary:
    """What gradient and Hessian say about an arrangement (numerical, not proved).

    Parameters
    ----------
    energy : float
        Sum over pairs of 1/r^s, or of -log r for s = 0.
    error : float
        Bound on the rounding error of ``energy``, the points taken as given and put on the sphere.
    gradient : float
        Norm of the gradient along the sphere, (n, d) entries.
    floor : float
        What rounding alone may leave of that norm, to within a small factor.
    eigenvalues : array
        Hessian along the sphere, ascending, less the rotations; empty where it was too large
        (``known`` is False) or nothing but rotations can move.
    negative, flat : int
        How many eigenvalues lie below zero, or within rounding of it.
    known : bool
        False where the Hessian was not formed.
    """

    energy: float
    error: float
    gradient: float
    floor: float
    eigenvalues: Float
    negative: int
    flat: int
    known: bool

    @property
    def curvature(self) -> float:
        """Smallest eigenvalue less the rotations: infinity if there is none, NaN if not known."""
        if not self.known:
            return math.nan
        return float(self.eigenvalues[0]) if self.eigenvalues.size else math.inf

    @property
    def stationary(self) -> bool:
        """True if the gradient is at rounding level."""
        return self.gradient <= 10.0 * self.floor

    @property
    def minimum(self) -> bool:
        """True for a strict local minimum up to rotations; False also where that is not known."""
        return self.known and self.stationary and self.negative == 0 and self.flat == 0

    @property
    def excess(self) -> float:
        """|gradient|^2 / (2 curvature): how far above the stationary value, to leading order.

        NaN where the curvature is not positive or not known.
        """
        if not self.known or self.negative or self.flat:
            return math.nan
        return self.gradient**2 / (2.0 * self.curvature)


def energy(X: Float, s: float) -> tuple[float, float]:
    """Energy of unit rows X (n, d), and a bound on its rounding error; infinite if points coincide.

    The terms are summed exactly, so the bound is the terms' own: differences are rounded once,
    squares and their sum d + 1 times, so r^2 is good to (d + 3) eps / 2 relative; a row that is
    off the sphere by 2 eps moves r by as much; and the power adds a few units in the last place.
    """
    u = np.concatenate(
        [((X[i] - X[i + 1 :]) ** 2).sum(axis=1) for i in range(len(X) - 1)] or [np.empty(0)]
    )
    off = (0.25 * X.shape[1] + 3.0) * EPS
    with np.errstate(divide="ignore", over="ignore"):
        terms = -0.5 * np.log(u) if s == 0.0 else u ** (-0.5 * s)
    total = math.fsum(terms)
    if s == 0.0:
        return total, off * u.size + 2.0 * EPS * math.fsum(np.abs(terms))
    return total, (off * s + 4.0 * EPS) * total


def weights(X: Float, s: float) -> tuple[Float, Float, Float]:
    """u = r^2, a = 2 f'(u) and b = 4 f''(u), each (n, n), for the energy f(u) of a pair.

    All three are 0 on the diagonal.
    """
    u = np.stack([((x - X) ** 2).sum(axis=1) for x in X])
    np.fill_diagonal(u, 1.0)
    a = -(s or 1.0) * u ** (-0.5 * s - 1.0)
    np.fill_diagonal(a, 0.0)
    b = -(s + 2.0) * a / u
    np.fill_diagonal(u, 0.0)
    return u, a, b


def gradient(X: Float, s: float) -> tuple[Float, float]:
    """Gradient of the energy along the sphere, (n, d), and the norm that rounding may give it."""
    u, a, _ = weights(X, s)
    # sum_j a_ij (x_i - x_j), and each term's relative error as in `energy`.
    G = np.stack([a[i] @ (X[i] - X) for i in range(len(X))])
    size = np.linalg.norm((np.abs(a) * np.sqrt(u)).sum(axis=1))
    return tangential(X, G), float((1.0 + 0.5 * s) * EPS * size)


def hessian(X: Float, s: float) -> tuple[Float, Float]:
    """Riemannian Hessian (m, m), m = n (d - 1), and the tangent bases (n, d, d - 1) it refers to.

    Block (i, j) is P_i (d^2 f / dx_i dx_j) P_j, less x_i . (df / dx_i) on the diagonal: what the
    curved sphere takes away.
    """
    n, k = len(X), X.shape[1] - 1
    u, a, b = weights(X, s)
    bases = tangent_bases(X)
    flat = bases.transpose(0, 2, 1).reshape(n * k, k + 1)
    p = (flat @ X.T).reshape(n, k, n)  # p[i, :, j] = B_i^T x_j = -B_i^T (x_i - x_j)
    H = (flat @ flat.T).reshape(n, k, n, k)
    H *= -a[:, None, :, None]
    H += (b[:, None, :] * p)[:, :, :, None] * p.transpose(2, 0, 1)[:, None, :, :]
    own = (p * b[:, None, :]) @ p.transpose(0, 2, 1)
    own += np.eye(k) * (a * (1.0 - 0.5 * u)).sum(axis=1)[:, None, None]
    index = np.arange(n)
    H[index, :, index, :] = own
    square = H.reshape(n * k, n * k)
    return 0.5 * (square + square.T), bases


def pinned_hessian(X: Float, s: float) -> tuple[Float, Float, Float, float]:
    """Hessian with rotations made stiff, tangent bases, rotations (m, q), mean curvature.

    Turning everything costs nothing, so the Hessian is singular. Adding the mean curvature times
    the projection on the rotations leaves every other eigenvalue where it was.
    """
    H, bases = hessian(X, s)
    turns = rotations(X, bases)
    scale = float(np.abs(np.diag(H)).mean())
    H += scale * turns @ turns.T
    return H, bases, turns, scale


def lowest_move(X: Float, s: float) -> Float:
    """A move (n, d) along the Hessian's lowest eigenvector, a tenth of the closest distance."""
    H, bases, _, _ = pinned_hessian(X, s)
    lowest = scipy.linalg.eigh(H, subset_by_index=[0, 0])[1]
    move = np.einsum("iak,ik->ia", bases, lowest.reshape(len(X), -1))
    return np.asarray(move * (0.1 * closest(X) / np.sqrt((move**2).sum(axis=1).max())))


def rotations(X: Float, bases: Float) -> Float:
    """Orthonormal basis (m, q) of the tangent moves that turn the whole arrangement.

    q = d (d - 1) / 2 if X spans R^d or a hyperplane, fewer otherwise.
    """
    i, j = np.triu_indices(X.shape[1], 1)
    moves = X[:, None, j] * bases[:, i, :].transpose(0, 2, 1)
    moves -= X[:, None, i] * bases[:, j, :].transpose(0, 2, 1)
    flat = moves.reshape(-1, i.size)
    # The eigenvectors of the small Gram matrix, made orthonormal again, cost less than an SVD.
    values, V = np.linalg.eigh(flat.T @ flat)
    kept = flat @ V[:, values > 1e-12 * values[-1]]
    return np.asarray(np.linalg.qr(kept)[0], dtype=np.float64)


def examine(X: Float, s: float) -> Stationary:
    """Energy with its error, gradient, and the Hessian's eigenvalues less the rotations.

    X are unit rows (n, d), n * (d - 1) up to DENSE for the Hessian to be formed.
    """
    total, error = energy(X, s)
    g, floor = gradient(X, s)
    n, d = X.shape
    values, scale, known = np.empty(0), 0.0, n * (d - 1) <= DENSE
    if known and n > 1 and d > 1:
        H, bases = hessian(X, s)
        turns = rotations(X, bases)
        scale = float(np.abs(np.diag(H)).mean())
        # Rotations go to the top of the spectrum, where they are cut off.
        H += 1e6 * scale * turns @ turns.T
        values = scipy.linalg.eigvalsh(H)[: len(H) - turns.shape[1]]
    return Stationary(
        energy=total,
        error=error,
        gradient=float(np.linalg.norm(g)),
        floor=floor,
        eigenvalues=values,
        negative=int((values < -FLAT * scale).sum()),
        flat=int((np.abs(values) <= FLAT * scale).sum()),
        known=known,
    )


def mean_force(X: Float, s: float) -> tuple[float, Float]:
    """(log of the mean of 1/r^s) / s for unit rows X, and its gradient along the sphere (n, d).

    It has the energy's minima, no exponent overflows it, and s -> 0 gives the mean of -log r.
    Distances come from cosines: quick, and good to the 1e-7 that a descent needs.
    """
    n = len(X)
    u = np.maximum(2.0 - 2.0 * (X @ X.T), 1e-14)
    u.flat[:: n + 1] = np.inf
    near = float(u.min())
    if s == 0.0:
        pull = 2.0 / (n * (n - 1) * u)
        u.flat[:: n + 1] = 1.0
        return -0.5 * float(np.log(u).mean()) * n / (n - 1), tangential(X, pull @ X)
    e = near / u
    e = np.sqrt(e) if s == 1.0 else e ** (0.5 * s)
    total = float(e.sum())
    value = math.log(total / (n * (n - 1))) / s - 0.5 * math.log(near)
    return value, tangential(X, ((2.0 / total) * e / u) @ X)


def tangential(X: Float, G: Float) -> Float:
    """Rows of G less their parts along the unit rows X."""
    return np.asarray(G - np.einsum("ij,ij->i", G, X)[:, None] * X, dtype=np.float64)


def tangent_bases(X: Float) -> Float:
    """Orthonormal bases of the tangent spaces at unit rows, (n, d, d - 1), by reflections."""
    d = X.shape[1]
    v = X.copy()
    v[:, 0] += np.where(X[:, 0] < 0.0, -1.0, 1.0)
    reflect = np.eye(d) - 2.0 * v[:, :, None] * v[:, None, :] / (v**2).sum(axis=1)[:, None, None]
    return np.asarray(reflect[:, :, 1:], dtype=np.float64)


def on_sphere(X: Float) -> Float:
    """Rows of X made unit."""
    return np.asarray(X / np.sqrt((X**2).sum(axis=1, keepdims=True)), dtype=np.float64)


def closest(X: Float) -> float:
    """The smallest distance between two unit rows, roughly."""
    u = 2.0 - 2.0 * X @ X.T
    np.fill_diagonal(u, np.inf)
    return math.sqrt(max(float(u.min()), 1e-14))
