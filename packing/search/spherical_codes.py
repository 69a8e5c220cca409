"""Largest minimum angle and least coherence: closed forms, contacts, refinement, the criteria.

What is known in closed form together with a proof is answered without a search. Any other attempt
descends a smooth stand-in of the largest cosine (`packing.search.starts`), finds the contacts by
linear programmes, and solves the equations that they make by Newton's method.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import linprog, nnls
from scipy.sparse import csr_matrix, hstack
from scipy.special import betaincinv

from packing.search.multistart import Clock, Known, OutOfTime
from packing.search.starts import away, fresh, normalised, nudged, relax, spread, surrogate
from packing.types import Float, Int

RANKIN = "Rankin 1955"


def known_code(n: int, d: int, lines: bool) -> Known | None:
    """The closed form for n points (or lines) in R^d, where one is proved to be optimal.

    Points: n = 1, d = 1 (pigeonhole), d = 2 (the regular n-gon: some gap is at most 2 pi / n),
    n <= d + 1 (the simplex) and n <= 2 d (a part of the cross-polytope), both by Rankin's bounds.
    Lines: n <= d (orthonormal), d = 1, d = 2 and n = d + 1 (the simplex meets Welch's bound).
    """
    return _lines(n, d) if lines else _points(n, d)


def _points(n: int, d: int) -> Known | None:
    if n == 1:
        return Known(np.eye(1, d), math.nan, "a single vector has no neighbour")
    if n <= d + 1:
        return Known(
            simplex(n, d), -1.0 / (n - 1), f"a simplex, which meets {RANKIN}'s first bound"
        )
    if d == 1:
        X = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)[:, None]
        return Known(X, 1.0, "on a line two of three unit vectors coincide")
    if d == 2:
        return Known(
            polygon(n, 2.0 * math.pi / n),
            math.cos(2.0 * math.pi / n),
            "the regular polygon: n gaps on a circle cannot all exceed 2 pi / n",
        )
    if n <= 2 * d:
        pairs = n - d
        X = np.concatenate([np.eye(d), -np.eye(d)[:pairs]])
        return Known(X, 0.0, f"part of the cross-polytope, which meets {RANKIN}'s second bound")
    return None


def _lines(n: int, d: int) -> Known | None:
    if n == 1:
        return Known(np.eye(1, d), math.nan, "a single line has no neighbour")
    if n <= d:
        return Known(np.eye(n, d), 0.0, "orthogonal lines; no coherence is below 0")
    if d == 1:
        return Known(np.ones((n, 1)), 1.0, "there is a single line in R^1")
    if d == 2:
        return Known(
            polygon(n, math.pi / n),
            math.cos(math.pi / n),
            "equally turned lines: n gaps in a half turn cannot all exceed pi / n",
        )
    if n == d + 1:
        return Known(simplex(n, d), 1.0 / d, "the lines of a simplex meet Welch's bound (1974)")
    return None


def polygon(n: int, angle: float) -> Float:
    """n unit vectors (n, 2) in the plane, each turned by `angle` against the one before."""
    turn = angle * np.arange(n)
    return np.stack([np.cos(turn), np.sin(turn)], axis=1)


def simplex(n: int, d: int) -> Float:
    """n unit vectors (n, d), d >= n - 1, any two with cosine -1 / (n - 1).

    The last m = n - k rows, less their common first k coordinates, are a simplex of m points whose
    radius r follows from its edge: 2 r^2 m / (m - 1) = 2 n / (n - 1).
    """
    X = np.zeros((n, d))
    for k in range(n - 1):
        m = n - k
        X[k, k] = math.sqrt(n * (m - 1) / ((n - 1) * m))
        X[k + 1 :, k] = -X[k, k] / (m - 1)
    return X


# Contacts of a code as a system of equations: Newton's method, and the stresses that hold it.
#
# At a best code the contacts (pairs of the largest cosine t) are in equilibrium under stresses
# w_ij,
#
#     sum_j w_ij q_ij P_i x_j = 0,   sum w = 1,   w >= 0,
#
# P_i the projection along the sphere at x_i and q = 1, or the sign of the cosine for lines. These
# are the first-order (Karush-Kuhn-Tucker) conditions of min t, q_ij x_i . x_j <= t: necessary, not
# sufficient. Derived here.


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


# From a good code to the last digits: linear programmes find the contacts, Newton closes them.
#
# The problem min t, q_ij x_i . x_j <= t is not smooth. Linearised inside a small box it is a linear
# programme, whose solution names the pairs that will be contacts. Once they are the right ones, the
# code solves the equations that they make, and Newton's method finds it to the last digit.


NEAR = 3e-8
"""After the linear programmes, pairs this close to the largest cosine are taken for contacts."""

MANY = 250
"""Coordinates above which the interior-point method is the faster one (measured)."""


def never() -> bool:
    return False


@dataclass(frozen=True)
class Programme:
    """The answer of one linear programme at a code."""

    steps: Float
    """(n, d - 1) along the tangent bases."""
    promised: float
    """By how much the largest cosine would fall if cosines were linear."""
    stressed: Pairs
    """Pairs with a positive stress."""
    active: Pairs
    """Pairs that meet the new largest cosine, up to the curvature that the programme ignores."""


def programme(X: Float, t: float, lines: bool, radius: float) -> Programme | None:
    """Steps inside a box that lower the linearised largest cosine t the most."""
    n, d = X.shape
    e = d - 1
    # Inside the box a cosine moves by at most 2 sqrt(e) radius: the other pairs cannot matter.
    pairs = pairs_above(X, t - 4.0 * np.sqrt(e) * radius, lines)
    J = pairs.jacobian(X, tangents(X))
    A = hstack([J, csr_matrix(np.full((pairs.m, 1), -1.0))]).tocsr()
    goal = np.zeros(n * e + 1)
    goal[-1] = 1.0
    bounds = np.tile([-1.0, 1.0], (n * e + 1, 1))
    bounds[-1] = [-np.inf, 0.0]
    # In units of the radius, so that the solver's absolute tolerances shrink with the steps.
    gap = (t - pairs.cosines(X)) / radius
    method = "highs-ds" if n * e <= MANY else "highs-ipm"
    answer = linprog(goal, A_ub=A, b_ub=gap, bounds=bounds, method=method)
    if answer.status != 0:
        return None
    steps = radius * answer.x[:-1].reshape(n, e)
    w = -answer.ineqlin.marginals
    curved = 4.0 * float((steps**2).sum(axis=1).max()) + 1e-7 * radius
    return Programme(
        steps,
        -radius * answer.x[-1],
        pairs.take(w > 1e-9 * w.max()),
        pairs.take(radius * answer.slack <= curved),
    )


def polish(
    X: Float, lines: bool, *, radius: float = 0.02, rounds: int = 30, up: Callable[[], bool] = never
) -> tuple[Float, float]:
    """A code X (n, d) brought to its local optimum, and the residual of its equilibrium.

    Linear programmes inside a shrinking box; as soon as they single out the contacts, Newton's
    method. A residual above 1e-8 says that no optimum was closed; `up` says when to stop early.
    """
    t = largest(X, lines)
    apart = clear_gap(X, lines)
    closed = None if apart is None else close(X, apart, lines)
    if closed is not None:
        return closed[0], closed[2]
    for _ in range(rounds):
        found = None if up() else programme(X, t, lines, radius)
        if found is None:
            break
        Y = normalised(X + np.einsum("nde,ne->nd", tangents(X), found.steps))
        new = largest(Y, lines)
        for guess in (found.stressed, found.active):
            closed = close(Y if new < t else X, guess, lines)
            if closed is not None and closed[1] <= min(t, new) + 1e-14:
                return closed[0], closed[2]
        if new < t:
            gained, X, t = t - new, Y, new
            radius *= 0.3 if gained < 0.5 * found.promised else 1.0
            radius = min(radius, 2.0 * float(np.abs(found.steps).max()))
        else:
            radius *= 0.2
        if found.promised < 1e-13 or radius < 1e-13:
            break
    if rounds == 0 or up():
        return X, np.inf
    return X, stress(X, pairs_above(X, t - NEAR, lines))[1]


def clear_gap(X: Float, lines: bool) -> Pairs | None:
    """The pairs above the clearest gap among the large cosines, if it is ten times their spread."""
    n = len(X)
    t = largest(X, lines)
    floor = t - 0.1 * (1.0 - t) - 1e-12
    pairs = pairs_above(X, floor, lines)
    c = pairs.cosines(X)
    order = np.argsort(-c)
    drop = -np.diff(np.append(c[order], floor))
    spread = t - c[order]
    clear = np.where(np.arange(pairs.m) >= min(n, pairs.m) - 1, drop / (spread + 1e-13), 0.0)
    best = int(np.argmax(clear))
    return pairs.take(np.sort(order[: best + 1])) if clear[best] > 10.0 else None


def close(X: Float, pairs: Pairs, lines: bool) -> tuple[Float, float, float] | None:
    """Newton's method on the contacts; the code, its largest cosine and residual, or None."""
    if pairs.m < 2 or np.ptp(pairs.cosines(X)) > 1e-2:
        return None
    Y, spread = newton(X, pairs)
    if spread > 1e-13:
        return None
    t = largest(Y, lines)
    if t > pairs.cosines(Y).max() + 1e-13:
        return None
    _, residual = stress(Y, pairs_above(Y, t - 1e-10, lines))
    return (Y, t, residual) if residual < 1e-8 else None


def centre_rattlers(X: Float, lines: bool) -> Float:
    """X with the vectors that bear no stress moved to the middle of their holes.

    So that contacts are the pairs that hold the code, and a rattler touches nothing.
    """
    t = largest(X, lines)
    pairs = pairs_above(X, t - 1e-10, lines)
    w, residual = stress(X, pairs)
    if residual > 1e-8:
        return X
    bears = np.zeros(len(X))
    np.add.at(bears, pairs.i, w)
    np.add.at(bears, pairs.j, w)
    X = X.copy()
    for k in np.flatnonzero(bears < 1e-9):
        others = np.delete(X, k, axis=0)
        X[k] = deepest(X[k], others, lines)
    return X


def deepest(x: Float, others: Float, lines: bool) -> Float:
    """The unit vector (d,) near x that is farthest from the rows of `others`: a local optimum."""
    radius = 0.1
    for _ in range(40):
        c = others @ x
        q = np.where(c < 0.0, -1.0, 1.0) if lines else np.ones(len(c))
        basis = tangents(x[None])[0]
        t = float((q * c).max())
        e = basis.shape[1]
        near = q * c > t - 4.0 * np.sqrt(e) * radius
        A = np.concatenate([(q[:, None] * others @ basis)[near], -np.ones((near.sum(), 1))], axis=1)
        bounds = [(-1.0, 1.0)] * e + [(None, 0.0)]
        goal = np.append(np.zeros(e), 1.0)
        answer = linprog(goal, A_ub=A, b_ub=(t - (q * c)[near]) / radius, bounds=bounds)
        if answer.status != 0 or -radius * answer.x[-1] < 1e-10:
            break
        y = normalised(x + radius * basis @ answer.x[:-1])
        c = others @ y
        if float((np.abs(c) if lines else c).max()) < t:
            x = y
        else:
            radius *= 0.3
    return x


# Largest minimum angle, and least coherence: the criteria "angle" and "lines".


SAME = 1e-9
"""Polished values this close are one basin: they are good to 1e-13."""

FIRST = (4.0, 80.0)
"""Range of the first exponent, as beta times (1 - largest cosine); it decides the basin."""

AGAIN = (10.0, 100.0)
"""The same after a move away from a good code, most of which is to be kept."""

LAST = 150.0
"""The last exponent for every start: basins can be told apart by their limits."""

SHARP = 300.0
"""The exponent for the few that are polished: the contacts can be told from the other pairs."""

GROWTH = 4.0

SHARP_STEPS = 300
"""Iterations of that descent; with half as many n = 44 in R^3 is found ten times less often."""

NUDGES = 8
"""Small kicks in a round."""

STARTS = 8
"""Least number of starts in an attempt, so that polishing is not the most of its cost."""

HEAVY = 800
"""Coordinates above which a linear programme takes a second: few of them, and no small kicks."""

SMALL = 12
"""Up to here a few attempts meet every basin there is."""

FINE = 3
"""Rounds of small kicks. Codes that differ in a few contacts, by 1e-5 in the cosine, are one basin
of the smooth energy: the best of them is found by kicks of a tenth of the spacing."""


@dataclass(frozen=True)
class MinMax:
    """n unit vectors in R^d with the least largest cosine, or largest |cosine| for lines.

    An attempt relaxes a batch of starts with a growing exponent, keeps those whose limit looks
    lowest, and polishes them.
    """

    n: int
    d: int
    lines: bool = False

    @property
    def name(self) -> str:
        return "lines" if self.lines else "angle"

    @property
    def s(self) -> float:
        return 1.0

    def known(self) -> Known | None:
        return known_code(self.n, self.d, self.lines)

    def same(self, a: float, b: float) -> bool:
        return abs(a - b) <= SAME

    @property
    def departures(self) -> int:
        return 0 if self.n <= SMALL or self.heavy else min(self.n // 4, 10)

    @property
    def heavy(self) -> bool:
        return self.n * (self.d - 1) > HEAVY

    def enough(self, reached: int, runs: int) -> bool:
        if self.heavy:
            return reached >= 3
        return reached >= 5 and (runs >= 10 or reached == runs >= 7 or self.n <= SMALL)

    def needs(self) -> tuple[float, float]:
        k, n, d = self.batch, float(self.n), float(self.d)
        size = 8.0 * (5.0 * k * n * n + 24.0 * k * n * d + n * d * d)
        evaluations = 1000.0 * max(k, STARTS)
        return size, evaluations * n * n * (5.0 + 0.5 * d) * 1e-9 + 0.02

    @property
    def batch(self) -> int:
        """How many starts an attempt relaxes together: what fits the processor's cache."""
        return int(np.clip(60_000 / self.n**2, 2, 24))

    @property
    def level(self) -> float:
        """A rough guess of the best cosine: caps that cover most of the sphere."""
        count = 2 * self.n if self.lines else self.n
        part = min(0.8 / count, 0.5)  # of the sphere, for a cap of half the angle
        sine2 = betaincinv((self.d - 1) / 2.0, 0.5, 2.0 * part)
        return float(np.clip(1.0 - 2.0 * sine2, 0.05, 1.0 - 1e-9))

    def beta(self, kappa: Float) -> Float:
        t = self.level
        return kappa / ((1.0 - t) * (2.0 * t if self.lines else 1.0))

    def attempt(
        self, rng: np.random.Generator, best: Float | None, clock: Clock
    ) -> tuple[float, Float]:
        def up() -> bool:
            return clock.up

        if self.heavy and best is not None:
            # From scratch, heavy codes are closed only where the contacts are plain to see: it
            # would take too long to polish what may not be the best. Here is the best.
            value, Y = largest(best, self.lines), polish(best, self.lines, rounds=6, up=up)[0]
            if largest(Y, self.lines) < value - SAME:
                return largest(Y, self.lines), Y
        k = self.batch
        some = [self.relaxed(rng, best, k, clock)]
        while len(some) * k < STARTS and not clock.up:
            some.append(self.relaxed(rng, best, k, clock))
        X, limit = (np.concatenate(parts) for parts in zip(*some, strict=True))
        hopeful = np.argsort(limit)[: min(k, NUDGES)]
        hopeful = hopeful[limit[hopeful] <= limit.min() + 5e-3 * (1.0 - self.level)]
        value, Y = self.sharpest(X[hopeful], np.inf, 3, clock)
        for _ in range(0 if self.heavy else FINE):
            if clock.up:
                break
            new, Z = self.sharpest(nudged(rng, Y, min(k, NUDGES), self.lines), value, 3, clock)
            if not new < value - SAME:
                break
            value, Y = new, Z
        if not self.heavy:
            Y = centre_rattlers(Y, self.lines)
        return largest(Y, self.lines), Y

    def relaxed(
        self, rng: np.random.Generator, best: Float | None, k: int, clock: Clock
    ) -> tuple[Float, Float]:
        """k starts (k, n, d) after descents with a growing exponent, and their limits (k,)."""
        if best is None:
            X = np.stack([fresh(rng, self.n, self.d, self.lines) for _ in range(k)])
            kappa = spread(rng, FIRST, k)
        else:
            X = np.stack([away(rng, best, self.lines) for _ in range(k)])
            kappa = spread(rng, AGAIN, k)
        while True:
            if clock.up:
                raise OutOfTime
            X = relax(X, self.beta(kappa), self.lines, 300, 1e-5)[0]
            if np.all(kappa >= LAST):
                return X, surrogate(X, self.beta(kappa), self.lines)[2]
            kappa = np.minimum(kappa * GROWTH, LAST)

    def sharpest(self, X: Float, value: float, many: int, clock: Clock) -> tuple[float, Float]:
        """The best of the codes X (k, n, d) after a sharp descent and, for the best few, a polish.

        Codes whose limit is not below `value` are not worth a polish.
        """
        beta = self.beta(np.full(len(X), SHARP))
        X = relax(X, beta, self.lines, SHARP_STEPS, 1e-6)[0]
        limit = surrogate(X, beta, self.lines)[2]
        order = np.argsort(limit)
        best, seen = (largest(X[order[0]], self.lines), X[order[0]]), list[float]()
        near = 1e-4 * (1.0 - self.level)
        for a in order:
            if clock.up or len(seen) == many or limit[a] > value + near:
                break
            if any(abs(limit[a] - v) < 0.01 * near for v in seen):
                continue
            seen.append(float(limit[a]))
            rounds = 0 if self.heavy else 30
            Y = polish(X[a], self.lines, rounds=rounds, up=lambda: clock.up)[0]
            best = min(best, (largest(Y, self.lines), Y), key=lambda item: item[0])
        return best
