"""Transforms of the residual measure at the nodes u = 2 pi (k + 1/2) / P.

The cost of a row is here: a factor for every feature at every node.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from theory.features import Law, Uniform
from theory.rows import Float
from theory.rows import series as sr
from theory.rows.fewon import Block, point

Complex = NDArray[np.complex128]
Index = NDArray[np.intp]
BLOCK, INNER = 16384, 32


def decay_of(law: Law) -> Callable[[Float, int], Float] | None:
    """A decreasing bound on |E[x^k e^{itx} | on]|, t >= 0, k = 0 or 1; None if none is known."""
    known: Callable[[Float, int], Float] | None = getattr(law, "decay", None)
    return known


def carry(t: Float, q: Float, order: int) -> tuple[Float, Float]:
    """(more than ``order`` on, at least ``order`` on) of the others; real masses t, q (R, m, S).

    Order -1 gives the whole measure twice.
    """
    total = np.ones((t.shape[0], t.shape[2]))
    if order < 0:
        for j in range(t.shape[1]):
            total = total * (q[:, j] + t[:, j])
        return total, total
    exact = [total] + [np.zeros_like(total) for _ in range(order)]
    more = np.zeros_like(total)
    for j in range(t.shape[1]):
        more = more * (q[:, j] + t[:, j]) + exact[order] * t[:, j]
        for k in range(order, 0, -1):
            exact[k] = exact[k] * q[:, j] + exact[k - 1] * t[:, j]
        exact[0] = exact[0] * q[:, j]
    return more, more + exact[order]


class Nodes:
    """Node values of a handful of rows, kept while nodes are added."""

    def __init__(self, block: Block, law: Law, order: int) -> None:
        self.block, self.law, self.order = block, law, order
        self.K = 0
        self.more: Complex = np.empty((block.b.size, 0), dtype=np.complex128)
        self.least: Complex = self.more
        self.one: Complex = self.more

    def residual(self, rows: Index, K: int) -> tuple[Complex, Complex]:
        """E e^{iuz} and E[x_own e^{iuz}] over the residual measure, (rows, K) each.

        The first call with a larger K adds nodes, to these rows only.
        """
        if self.K < K:
            self._extend(rows, K)
        block, law = self.block[rows], self.law
        more, least = self.more[rows, :K], self.least[rows, :K]
        t = block.p0[:, None] * _phi(law, block.a0 / block.P, 0, K, 0)
        t1 = block.p0[:, None] * _phi(law, block.a0 / block.P, 0, K, 1)
        return (1.0 - block.p0)[:, None] * more + t * least, t1 * least

    def _extend(self, rows: Index, K: int) -> None:
        block = self.block[rows]
        room = ((0, 0), (0, K - self.K))
        self.more, self.least = np.pad(self.more, room), np.pad(self.least, room)
        if self.order == 2:
            self.one = np.pad(self.one, room)
        step = _step(rows.size)
        for k in range(self.K, K, step):
            stop = min(K, k + step)
            more, least, one = _others(block, self.law, self.order, k, stop)
            self.more[rows, k:stop], self.least[rows, k:stop] = more, least
            if one is not None:
                self.one[rows, k:stop] = one
        self.K = K

    def gradient(self, rows: Index, chosen: Index, goal: Float) -> tuple[Float, Float]:
        """Derivatives of the series by (a_own, a_others) and by b.

        Parameters
        ----------
        rows : (r,) array
            Rows meant.
        chosen : (r, 3) array
            Number of nodes and positions in `sr.SQUARES` and `sr.LINES` of the kernels used.
        goal : (r,) array
            Trailing nodes whose terms together stay below this are left out.
        """
        block, law = self.block[rows], self.law
        K, P, p0 = int(chosen[:, 0].max()), block.P[:, None], block.p0[:, None]
        w2, w1 = np.zeros((rows.size, K)), np.zeros((rows.size, K))
        for i, (Ki, k2, k1) in enumerate(chosen):
            kappa, name = sr.LINES[k1]
            w2[i, :Ki] = -(block.P[i] ** 2) * sr.weights(Ki, sr.SQUARES[k2]).square
            w1[i, :Ki] = -block.P[i] * getattr(sr.weights(Ki, kappa), name)
        R, Rx = self.residual(rows, K)
        u = 2.0 * math.pi * (np.arange(K) + 0.5) / P
        size = u * (np.abs(w2) * np.abs(R) + 2.0 * np.abs(w1) * np.abs(Rx))
        rest = np.cumsum(size[:, ::-1], axis=1)[:, ::-1]
        needed = (rest > goal[:, None]).sum(axis=1).max()
        K = min(K, INNER * (int(needed) // INNER + 1))
        u, w2, w1, R, Rx = u[:, :K], w2[:, :K], w1[:, :K], R[:, :K], Rx[:, :K]

        # d/db multiplies by iu; d/da_own also turns x_own^k into x_own^{k+1}.
        ex = [p0 * _phi(law, block.a0 / block.P, 0, K, k) for k in range(3)]
        least = self.least[rows, :K]
        db = np.sum(u * (w2 * R.real + 2.0 * w1 * Rx.imag), axis=1)
        out = np.zeros((rows.size, block.a.shape[1] + 1))
        out[:, 0] = np.sum(u * ((w2 * ex[1] - 2j * w1 * ex[2]) * least).real, axis=1)

        # d/da_j: the product without factor j, less the few-on patterns without j.
        none = np.prod(1.0 - block.p, axis=1)[:, None] * np.exp(1j * u * block.b[:, None])
        whole, Y, Z = least, None, None
        if self.order >= 1:
            whole = whole + none
            Y = u * w2 * (1.0 - p0) * none
        if self.order == 2:
            one, Z = self.one[rows, :K], Y
            whole = whole + one
            Y = u * (w2 * ((1.0 - p0) * (none + one) + ex[0] * none) - 2j * w1 * ex[1] * none)
        X = u * (w2 * (1.0 - p0 + ex[0]) - 2j * w1 * ex[1]) * whole
        step = _step(rows.size)
        for j in range(block.a.shape[1]):
            a, p = block.a[:, j] / block.P, block.p[:, j, None]
            for k in range(0, K, step):
                cut = slice(k, min(K, k + step))
                out[:, j + 1] += p[:, 0] * self._factor(a, p, cut, X, Y, Z)
        return out, db

    def _factor(
        self, a: Float, p: Float, cut: slice, X: Complex, Y: Complex | None, Z: Complex | None
    ) -> Float:
        """Re sum over nodes of E[x e^{iuax}] (X / f - (Y - Z t) / q), f = q + p E e^{iuax}."""
        phi = _phi(self.law, a, cut.start, cut.stop, 0)
        known = point(self.law)
        phi1 = self.law.mean * phi if known else _phi(self.law, a, cut.start, cut.stop, 1)
        q = 1.0 - p
        f = p * phi
        f += q
        f[np.abs(f) < 1e-30] = 1e-30  # X holds the same factor: the quotient stays accurate
        g = X[:, cut] / f
        if Z is not None and Y is not None:
            phi *= p / q
            phi *= Z[:, cut]
            np.subtract(Y[:, cut], phi, out=phi)
            phi /= q
            g -= phi
        elif Y is not None:
            g -= Y[:, cut] / q
        real: Float = np.einsum("rk,rk->r", g.real, phi1.real)
        return real - np.einsum("rk,rk->r", g.imag, phi1.imag)


def _step(rows: int) -> int:
    """Nodes a time, so that a block stays in cache."""
    return max(INNER, BLOCK // rows // INNER * INNER)


def _others(
    block: Block, law: Law, order: int, k0: int, k1: int
) -> tuple[Complex, Complex, Complex | None]:
    """(more than order on, at least order on, exactly one on) of the others at nodes k0 to k1.

    All times e^{iub}. Order -1 gives the whole transform twice.
    """
    m = block.a.shape[1]
    u = 2.0 * math.pi * (np.arange(k0, k1) + 0.5) / block.P[:, None]
    shift = np.exp(1j * u * block.b[:, None])
    if order < 0:
        total = shift
        for j in range(m):
            f = _phi(law, block.a[:, j] / block.P, k0, k1, 0, block.p[:, j])
            f += (1.0 - block.p[:, j])[:, None]
            total *= f
        return total, total, None
    # In units of "all off": every step multiplies by 1 + t and adds, nothing is subtracted.
    exact = [np.ones_like(shift)] + [np.zeros_like(shift) for _ in range(order)]
    more, work = np.zeros_like(shift), np.empty_like(shift)
    odds = block.p / (1.0 - block.p)
    for j in range(m):
        t = _phi(law, block.a[:, j] / block.P, k0, k1, 0, odds[:, j])
        np.add(more, exact[order], out=work)
        work *= t
        more += work
        if order == 2:
            np.multiply(exact[1], t, out=work)
            exact[2] += work
        if order >= 1:
            exact[1] += t
    shift *= np.prod(1.0 - block.p, axis=1)[:, None]
    more *= shift
    return more, more + exact[order] * shift, exact[1] * shift if order == 2 else None


def _phi(law: Law, a: Float, k0: int, k1: int, order: int, factor: Float | None = None) -> Complex:
    """factor * E[x^order e^{i a u x} | on] at the nodes u = 2 pi (k + 1/2), shape (R, k1 - k0).

    On the even grid e^{i theta} is an outer product of two short tables (k1 - k0 is a multiple of
    32), which is most of the speed for the binary and uniform laws.
    """
    factor = np.ones_like(a) if factor is None else factor
    a = a[:, None]
    if point(law):
        return _spin(2.0 * math.pi * law.mean * a, k0, k1, factor[:, None] * law.mean**order)
    theta = 2.0 * math.pi * a * (np.arange(k0, k1) + 0.5)
    if not isinstance(law, Uniform) or order > 1:
        return factor[:, None] * law.transform(1j * theta, order)
    half = _spin(math.pi * a, k0, k1, np.ones_like(a))
    theta[theta == 0.0] = 1e-300
    value = half * (half.imag / (0.5 * theta) * (factor[:, None] if order == 0 else 1.0))
    if order == 0:
        still = np.abs(theta) <= 1e-290
        if still.any():
            value[still] = np.broadcast_to(factor[:, None], theta.shape)[still]
        return value
    small = np.abs(theta) < 0.5
    value = (half * half - value) / (1j * theta)
    if small.any():
        value[small] = law.transform(1j * theta[small], 1)
    return factor[:, None] * value


def _spin(step: Float, k0: int, k1: int, factor: Float) -> Complex:
    """factor e^{i step (k + 1/2)} for k0 <= k < k1; step and factor (R, 1)."""
    short = np.exp(1j * step * (np.arange(INNER) + 0.5))
    long = factor * np.exp(1j * step * np.arange(k0, k1, INNER))
    out = long[:, :, None] * short[:, None, :]
    return out.reshape(step.shape[0], k1 - k0)
