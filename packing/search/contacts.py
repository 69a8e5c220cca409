"""Contacts of a code as a system of equations: Newton's method, and the stresses that hold it.

At a best code the contacts (pairs of the largest cosine t) are in equilibrium under stresses w_ij,

    sum_j w_ij q_ij P_i x_j = 0,   sum w = 1,   w >= 0,

P_i the projection along the sphere at x_i and q = 1, or the sign of the cosine for lines. These are
the first-order (Karush-Kuhn-Tucker) conditions of min t, q_ij x_i . x_j <= t: necessary, not
sufficient. Derived here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import nnls
from scipy.sparse import csr_matrix

from packing.search.code import Float
from packing.search.energy import normalised

Int = NDArray[np.int64]

SLIGHT = 1e-11
"""Added to the diagonal of normal equations, relative: rotations leave them singular. Newton's
method repairs what this costs in its next round."""


@dataclass(frozen=True)
class Pairs:
    """Pairs i < j (m,) of a code and the sign q (m,) of their constraint."""

    i: Int
    j: Int
    q: Float

    @property
    def m(self) -> int:
        return len(self.i)

    def cosines(self, X: Float) -> Float:
        return np.asarray(self.q * np.einsum("md,md->m", X[self.i], X[self.j]))

    def take(self, which: NDArray[np.bool_] | Int) -> Pairs:
        return Pairs(self.i[which], self.j[which], self.q[which])

    def jacobian(self, X: Float, basis: Float) -> csr_matrix:
        """Derivative (m, n (d - 1)) of the cosines along tangent bases (n, d, d - 1)."""
        n, _, e = basis.shape
        left = self.q[:, None] * np.einsum("mde,md->me", basis[self.i], X[self.j])
        right = self.q[:, None] * np.einsum("mde,md->me", basis[self.j], X[self.i])
        columns = np.arange(e)
        where = np.concatenate(
            [self.i[:, None] * e + columns, self.j[:, None] * e + columns], axis=1
        )
        data = np.concatenate([left, right], axis=1)
        ends = 2 * e * np.arange(self.m + 1)
        return csr_matrix((data.ravel(), where.ravel(), ends), shape=(self.m, n * e))


def pairs_above(X: Float, level: float, lines: bool) -> Pairs:
    """Pairs whose cosine (absolute, for lines) is at least `level`."""
    C = X @ X.T
    i, j = np.nonzero((np.abs(C) if lines else C) >= level)
    i, j = i[i < j], j[i < j]
    return Pairs(i, j, np.where(C[i, j] < 0.0, -1.0, 1.0) if lines else np.ones(len(i)))


def largest(X: Float, lines: bool) -> float:
    """The largest cosine (absolute, for lines) of two rows."""
    C = np.abs(X @ X.T) if lines else X @ X.T
    np.fill_diagonal(C, -1.0)
    return float(C.max())


def tangents(X: Float) -> Float:
    """Orthonormal bases (n, d, d - 1) of the tangent spaces at unit rows (Householder)."""
    n, d = X.shape
    v = X.copy()
    v[:, 0] += np.where(X[:, 0] < 0.0, -1.0, 1.0)  # the sign that cancels nothing
    v /= np.sqrt(1.0 + np.abs(X[:, 0]))[:, None]  # now |v|^2 = 2
    H = np.broadcast_to(np.eye(d), (n, d, d)) - v[:, :, None] * v[:, None, :]
    return np.ascontiguousarray(H[:, :, 1:])


def newton(X: Float, pairs: Pairs, rounds: int = 8) -> tuple[Float, float]:
    """Equal cosines on the pairs, by Gauss-Newton steps of least length: the code, the spread.

    Quadratic as long as the equations are consistent, however many there are: the 60 contacts of
    the snub cube leave 45 coordinates. It gives up as soon as it is not quadratic: then these are
    not the contacts, or not all of them.
    """
    n, d = X.shape
    best, spread = X, np.inf
    for _ in range(rounds):
        c = pairs.cosines(X)
        now = float(c.max() - c.min())
        slow = now > 0.1 * spread
        if now < spread:
            best, spread = X, now
        if slow or now < 3e-16:
            break
        basis = tangents(X)
        J = pairs.jacobian(X, basis)
        step = -_shortest(J)(c - c.mean())
        X = normalised(X + np.einsum("nde,ne->nd", basis, step.reshape(n, d - 1)))
    return best, spread


def _shortest(J: csr_matrix) -> Callable[[Float], Float]:
    """r -> the u (p,) of least length with J u - mean(J u) = r (m,), in the least-squares sense."""
    m, p = J.shape
    if m <= p:
        K = (J @ J.T).toarray()
        K -= K.mean(axis=0)
        K -= K.mean(axis=1)[:, None]
    else:
        mean = np.asarray(J.mean(axis=0)).ravel()
        K = (J.T @ J).toarray() - m * np.outer(mean, mean)
    K[np.diag_indices_from(K)] += SLIGHT * np.trace(K) / len(K) + 1e-300
    try:
        factor = cho_factor(K, overwrite_a=True, check_finite=False)
    except LinAlgError:
        return lambda r: np.zeros(p)
    if m <= p:

        def solve(r: Float) -> Float:
            y = cho_solve(factor, r, check_finite=False)
            return np.asarray(J.T @ (y - y.mean()))

        return solve
    return lambda r: np.asarray(cho_solve(factor, J.T @ (r - r.mean()), check_finite=False))


def stress(X: Float, pairs: Pairs) -> tuple[Float, float]:
    """Stresses w >= 0 with sum 1 on the pairs (m,), and how far they are from equilibrium.

    The residual is the largest force component left on a vector over the largest stress: 1e-10 says
    that the first-order conditions hold, 1e-2 that they do not; infinite when no stress was found.
    """
    J = pairs.jacobian(X, tangents(X))
    if J.shape[0] * J.shape[1] < 3 * 10**5:
        A = np.vstack([J.T.toarray(), np.full((1, pairs.m), 1.0)])
        goal = np.zeros(len(A))
        goal[-1] = 1.0
        try:
            w = nnls(A, goal)[0]
        except RuntimeError:  # too many iterations: no stress was found, which is what is reported
            return np.zeros(pairs.m), np.inf
    else:
        w = _projected(J)
    if not w.sum() > 0.0:
        return np.zeros(pairs.m), np.inf
    w = w / w.sum()
    return w, float(np.abs(J.T @ w).max() / w.max())


def _projected(J: csr_matrix, rounds: int = 100) -> Float:
    """Equal stresses projected on equilibrium and on w >= 0 in turn (for many contacts)."""
    m, p = J.shape
    K = (J @ J.T if m <= p else J.T @ J).toarray()
    slight = SLIGHT * np.trace(K) / len(K)
    K[np.diag_indices_from(K)] += slight
    factor = cho_factor(K, overwrite_a=True, check_finite=False)
    w = np.full(m, 1.0 / m)
    for _ in range(rounds):
        for _ in range(2):  # twice, against rounding
            if m <= p:
                w = slight * cho_solve(factor, w, check_finite=False)
            else:
                w = w - J @ cho_solve(factor, J.T @ w, check_finite=False)
        if w.min() >= -1e-12 * np.abs(w).max():
            break
        w = np.maximum(w, 0.0)
    return np.maximum(w, 0.0)
