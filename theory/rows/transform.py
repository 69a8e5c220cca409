r"""Rows of any law and any n, from the transform E e^{iuz}, with an error bound found afterwards.

E[(x_own - z_+)^2] = E x_own^2 - 2 E[x_own z_+] + E z_+^2, and both expectations of z_+ are Fourier
series in E e^{iuz} and E[x_own e^{iuz}], products of one factor a feature (`theory.rows.series`).
Patterns with few features on are taken exactly (`theory.rows.fewon`), the series sees the rest: a
positive measure, summed without cancellation by carrying "exactly k on" beside "more on".

The bound adds, all computed here: what rounding the kink off and cutting the series cost (the
smaller of two ways: a Gaussian-rounded kink for laws with atoms, the decay of the transform for
laws with a density), the chance that |z| leaves the period (Chernoff), weights treated as zero,
and rounding, for which a law's transform is trusted to about ten units in the last place.
Nodes are added until the bound meets ``rtol * value`` or the work cap is reached. The gradient is
that of the computed value and has no bound. Near an atom it is smoothed over the width sigma, and
it is no better than a few digits where weights of very different sizes decide the sign of z.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from theory.features import Law
from theory.rows import EPS, Float, RowLoss
from theory.rows import series as sr
from theory.rows.fewon import Block, few_on, highest_order
from theory.rows.nodes import Index, Nodes, carry, decay_of
from theory.rows.period import period_of, size_of, support_of

# Rows are summed in batches of MANY up to FIRST_CAP nodes, the few that need more in batches of
# FEW: an array of node values is then 8 MB, all of them 200 MB.
MANY, FEW = 32, 2
FIRST_CAP, LAST_CAP = 1 << 14, 1 << 18
NEGLIGIBLE = 1e-22  # variance of the weights treated as zero


def rows(
    A: Float,
    b: Float,
    own: NDArray[np.int64],
    p: Float,
    law: Law,
    gradient: bool = False,
    rtol: float = 1e-7,
    max_work: float = 2e7,
) -> RowLoss:
    """Expected loss of R rows.

    Parameters
    ----------
    A, b, own, p : (R, n), (R,), (R,), (R, n) arrays
        Weights, biases, the feature each row reconstructs, on-probabilities.
    law : Law
        Law of an on feature. Used: mean, second, upper, strip, transform, and where it has them
        ``tail`` and ``decay(t, order)``, a decreasing bound on |E[x^order e^{itx} | on]|.
    gradient : bool
        Whether dA and db are computed.
    rtol : float
        Target of bound / value.
    max_work : float
        Largest number of nodes times features a row may use; the bound is honest if it is hit.
    """
    A, b, p = (np.array(v, dtype=float) for v in (A, b, p))
    own = np.asarray(own, dtype=int)
    each = np.arange(A.shape[0])

    # Features that are constant, or whose weight cannot matter, only shift the bias.
    variance = _variance(p, law)
    spread = A * A * variance
    spread[each, own] = np.inf
    order = np.argsort(spread, axis=1)
    running = np.cumsum(np.take_along_axis(spread, order, axis=1), axis=1)
    idle = np.zeros(A.shape, dtype=bool)
    # Relative to z as well as to x_own: where all weights are tiny none is negligible for slopes.
    whole = np.sum(A * A * variance, axis=1) + b * b
    few = running <= NEGLIGIBLE * np.minimum(p[each, own] * law.second, whole)[:, None]
    np.put_along_axis(idle, order, few, axis=1)
    lost = np.where(idle, spread, 0.0).sum(axis=1)
    b = b + np.sum(np.where(idle, A * p * law.mean, 0.0), axis=1)

    # The own feature first, then the busy ones, then padding with p = 0.
    place = np.where(idle, 2, 1)
    place[each, own] = 0
    busy = (~idle).sum(axis=1)
    order = np.argsort(place, axis=1, kind="stable")[:, : int(busy.max(initial=1))]
    keep = np.take_along_axis(~idle, order, axis=1)
    a = np.where(keep, np.take_along_axis(A, order, axis=1), 0.0)
    q = np.where(keep, np.take_along_axis(p, order, axis=1), 0.0)

    sure, out = _one_sided(a, b, q, law)
    value, bound, da, db = out.value, out.bound, np.zeros_like(a), np.zeros_like(b)
    if out.dA is not None and out.db is not None:
        da, db = out.dA, out.db
    jobs = _batches(a, b, q, busy, np.flatnonzero(~sure), law, rtol)
    for first, cap, size in ((0, FIRST_CAP, MANY), (FIRST_CAP, LAST_CAP, FEW)):
        unmet = []
        for which, batch in jobs:
            for i in range(0, which.size, size):
                part = slice(i, i + size)
                got, met = batch.take(part).solve(rtol, max_work, first, cap, gradient)
                at = which[part]
                value[at], bound[at] = got.value, got.bound
                if got.dA is not None and got.db is not None:
                    da[at, : got.dA.shape[1]], db[at] = got.dA, got.db
                again = np.flatnonzero(~met) + i
                if again.size and max_work / a.shape[1] > cap:
                    unmet.append((which[again], batch.take(again)))
        jobs = unmet
    bound = bound + 2.0 * np.sqrt(lost * (np.maximum(value, 0.0) + bound)) + lost
    value = np.maximum(value, 0.0)
    if not gradient:
        return RowLoss(value, bound)
    # A constant or negligible x_j is independent of all else: E[x_j g] = E x_j E g.
    dA = np.where(idle, p * law.mean * db[:, None], 0.0)
    np.put_along_axis(dA, order, np.where(keep, da, np.take_along_axis(dA, order, 1)), axis=1)
    return RowLoss(value, bound, dA, db)


def _variance(p: Float, law: Law) -> Float:
    return p * (law.second - law.mean**2 + law.mean**2 * (1.0 - p))


def _one_sided(a: Float, b: Float, p: Float, law: Law) -> tuple[NDArray[np.bool_], RowLoss]:
    """Which rows have z >= 0 or z <= 0 surely, and their moments; own feature in column 0."""
    low, high = support_of(a, b, p, law)
    positive, negative = low >= 0.0, high <= 0.0
    variance = _variance(p, law)
    e = a.copy()
    e[:, 0] -= 1.0
    error = b + np.sum(e * p, axis=1) * law.mean
    second = p[:, 0] * law.second
    value = np.where(positive, error**2 + np.sum(e * e * variance, axis=1), second)
    da = 2.0 * (p * law.mean * error[:, None] + e * variance)
    da, db = np.where(positive[:, None], da, 0.0), np.where(positive, 2.0 * error, 0.0)
    # The sign itself was found in floating point: |z| may be off by n EPS size.
    size, unit = size_of(a, b, p, law), (a.shape[1] + 16.0) * EPS
    all_of_it = np.where(positive, (size + np.sqrt(second)) ** 2, second)
    bound = unit * (all_of_it + p[:, 0] * law.mean * size) + (unit * size) ** 2
    return positive | negative, RowLoss(value, bound, da, db)


def _batches(
    a: Float, b: Float, p: Float, busy: Index, todo: Index, law: Law, rtol: float
) -> list[tuple[Index, _Rows]]:
    """Rows sorted by few-on order and width, so that padding costs little."""
    if todo.size == 0:
        return []
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        P, tail2, tail1 = period_of(a[todo], b[todo], p[todo], law, rtol)
    block = Block(a[todo, 1:], p[todo, 1:], a[todo, 0], p[todo, 0], b[todo], P)
    kinds = highest_order(block, law)
    out = []
    for kind in np.unique(kinds):
        part = np.flatnonzero(kinds == kind)
        part = part[np.argsort(busy[todo[part]], kind="stable")]
        for i in range(0, part.size, MANY):
            at = part[i : i + MANY]
            piece = block[at].narrow(int(busy[todo[at]].max()) - 1)
            out.append((todo[at], _Rows(piece, law, int(kind), tail2[at], tail1[at])))
    return out


@dataclass
class _Rows:
    """A handful of rows with the same few-on order; tail2, tail1 as from `period_of`."""

    block: Block
    law: Law
    order: int
    tail2: Float
    tail1: Float

    def take(self, at: slice | Index) -> _Rows:
        return _Rows(self.block[at], self.law, self.order, self.tail2[at], self.tail1[at])

    def solve(
        self, rtol: float, max_work: float, first: int, cap: int, gradient: bool
    ) -> tuple[RowLoss, NDArray[np.bool_]]:
        """Add nodes until every row meets rtol or the cap; also says which rows met it."""
        block, law, P = self.block, self.law, self.block.P
        limit = min(float(cap), max(64.0, max_work / (block.a.shape[1] + 1)))
        stages = [k for i in range(6, 19) for k in (2**i, 3 * 2 ** (i - 1)) if k <= limit]
        stages = [k for k in stages if k > first] or stages[-1:]
        few = few_on(block, law, self.order)
        mass, mass_x, far, far_x = self._masses(stages)

        # Moments of the whole law complete the kernels of the series.
        a = np.concatenate([block.a0[:, None], block.a], axis=1)
        p = np.concatenate([block.p0[:, None], block.p], axis=1)
        x, xx, var = p * law.mean, p[:, 0] * law.second, _variance(p, law)
        z = block.b + np.sum(a * x, axis=1)
        zz = z * z + np.sum(a * a * var, axis=1)
        xz = x[:, 0] * z + block.a0 * var[:, 0]
        base = xx + 0.5 * zz + 0.5 * P * z - xz - 0.5 * P * x[:, 0] + few.value

        # Errors that more nodes do not cure. nu: relative rounding of a node value; spin: that of
        # its phase per unit of u; 15 EPS of nu are for adding up. Sums of weights: by hand.
        m = block.a.shape[1] + 1.0
        nu, size = (12.0 * m + 32.0) * EPS, size_of(a, block.b, p, law)
        spin, spin_x = 4.0 * EPS * size, 4.0 * EPS * (x[:, 0] * size + np.abs(block.a0) * xx)
        fixed = (2.0 * m + 24.0) * EPS * (size**2 + P * size + xx + x[:, 0] * (size + P))
        fixed += nu * (0.2 * P**2 * mass + P * mass_x)
        fixed += P * spin + 2.0 * spin_x * math.log(4.0 * stages[-1])
        fixed += 1.25 * self.tail2 + 2.3 * self.tail1
        # Chance (weighted by x_own) to be where images of the Gaussians count negatively.
        outside, outside_x = 1.2 * (self.tail2 / P) / P, 1.2 * self.tail1 / P

        value, bound = base.copy(), fixed.copy()
        smooth = decay_of(law) is not None
        chosen = np.zeros((z.size, 3), dtype=int)  # nodes, kernels of z_+^2 and of z_+
        active, settled = np.flatnonzero(mass > 0.0), mass <= 0.0
        nodes = Nodes(block, law, self.order)
        for i, K in enumerate(stages):
            if active.size == 0:
                break
            R, Rx = nodes.residual(active, K)
            Pa, at = P[active], np.arange(active.size)
            error = (nu * mass[active], spin[active], far[active, i], outside[active])
            error_x = (nu * mass_x[active], spin_x[active], far_x[active, i], outside_x[active])
            v2, e2 = sr.square(R, K, Pa, *error)
            v1, e1 = sr.line(Rx, K, Pa, *error_x)
            k2, k1 = e2.argmin(axis=0), e1.argmin(axis=0)
            series_error = e2[k2, at] + 2.0 * e1[k1, at]
            # Nodes added for the slope alone leave the value as it was.
            late = settled[active]
            new = base[active] + v2[k2, at] - 2.0 * v1[k1, at]
            value[active] = np.where(late, value[active], new)
            bound[active] = np.where(late, bound[active], fixed[active] + series_error)
            chosen[active] = np.stack([np.full(at.size, K), k2, k1], axis=1)
            met = bound[active] <= rtol * np.maximum(value[active], 0.0)
            met |= series_error <= 0.05 * fixed[active]
            met |= late
            settled[active] = met
            if gradient and smooth:
                # Slopes converge later than values: wait until the last half of the nodes is quiet.
                w, half = sr.weights(K, 0.0), slice(K // 2, K)
                u = 2.0 * math.pi * (np.arange(K)[half] + 0.5)
                loud = Pa * sr.dot(np.abs(R[:, half]), u * w.square[half])
                loud += 2.0 * sr.dot(np.abs(Rx[:, half]), u * w.smooth[half])
                met &= loud <= 10.0 * rtol * _slope(value, xx)[active]
            active = active[~met]
        if not gradient:
            return RowLoss(value, bound), settled
        db = z + 0.5 * P - x[:, 0] + few.db
        dA = x * (z + 0.5 * P - x[:, 0])[:, None] + a * var
        dA[:, 0] += few.da0 - var[:, 0]
        dA[:, 1:] += few.da
        some = np.flatnonzero(mass > 0.0)
        if some.size:
            g, gb = nodes.gradient(some, chosen[some], 1e-2 * rtol * _slope(value, xx)[some])
            dA[some] += g
            db[some] += gb
        return RowLoss(value, bound, dA, db), settled

    def _masses(self, stages: list[int]) -> tuple[Float, Float, Float, Float]:
        """Residual mass and E x_own over it, (R,); bounds on their transforms past each stage."""
        block, law, order = self.block, self.law, self.order
        q0, p0, q = 1.0 - block.p0, block.p0, (1.0 - block.p)[:, :, None]
        more, least = (v[:, 0] for v in carry(block.p[:, :, None], q, order))
        mass, mass_x = q0 * more + p0 * least, p0 * law.mean * least
        far, far_x = (np.repeat(v[:, None], len(stages), axis=1) for v in (mass, mass_x))
        decay = decay_of(law)
        if decay is not None:
            U = 2.0 * math.pi * np.array(stages) / block.P[:, None]
            t = block.p[:, :, None] * decay(np.abs(block.a)[:, :, None] * U[:, None, :], 0)
            more, least = carry(t, q, order)
            t0 = p0[:, None] * decay(np.abs(block.a0)[:, None] * U, 0)
            t1 = p0[:, None] * decay(np.abs(block.a0)[:, None] * U, 1)
            far = np.minimum(far, q0[:, None] * more + t0 * least)
            far_x = np.minimum(far_x, t1 * least)
        return mass, mass_x, far, far_x


def _slope(value: Float, second: Float) -> Float:
    """Scale of the derivatives, sqrt(E(x - z_+)^2 E x_own^2), less where the loss is small."""
    value = np.abs(value)
    return np.sqrt(value * np.minimum(value, second))
