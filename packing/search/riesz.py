"""Points on the unit sphere that repel each other: energy, derivatives, the least of it.

The energy of unit rows X (n, d) is the sum over pairs of 1/r^s, r the distance, or of -log r for
s = 0. Distances come from differences of coordinates, never from 1 - cosine, so close pairs keep
their digits. Derivatives are along the sphere: P_i = I - x_i x_i^T projects on point i's tangent
space. Formulas derived here; the error bounds are first order in the unit roundoff.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
from scipy.optimize import minimize

from packing.errors import BadInput
from packing.search.multistart import Clock, Known, OutOfTime
from packing.search.spherical_codes import polygon, simplex
from packing.search.starts import away, fresh
from packing.types import Float

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


# Least energy: n points on the sphere in R^d that repel each other by 1/r^s, or by -log r.
#
# s = 1 is Coulomb's law (Thomson's problem in d = 3), s = 0 the logarithm. One attempt draws a
# start or changes an arrangement found before, descends by L-BFGS, and ends with Newton's method
# along the sphere, where the Hessian also tells a minimum from a saddle. What comes out is a local
# minimum known to all digits; that it is the least of all is never proved by the search. Points are
# rows here: X is (n, d).


LARGEST_S = 100.0
"""Above it the energy is the closest pair and nothing else, and 1/r^s leaves the floats."""

SAME = 1e-11
"""Energies this close (relative) are one basin: polished ones repeat to 1e-14 times s."""

ESCAPES = 8
"""How many saddles one attempt leaves before it gives up."""

QUICK = 400
"""Variables up to which an attempt takes well under a second."""

NEVER = Clock(math.inf)

SOURCE = "Cohn and Kumar 2007"


@dataclass(frozen=True)
class Riesz:
    """The criterion: least sum over pairs of 1/r^s for n points on the unit sphere in R^d.

    Parameters
    ----------
    n, d : int
        n >= 1 points, d >= 1; in d = 1 there is room for two.
    s : float
        In [0, 100]; 1 is Coulomb's law, 0 the logarithmic energy -log r.
    name : str
        "coulomb" or "riesz"; by default the one that fits s.

    Raises
    ------
    BadInput
        If n, d or s is out of range.
    """

    n: int
    d: int
    s: float = 1.0
    name: str = ""

    def __post_init__(self) -> None:
        for label, value in (("n", self.n), ("d", self.d)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise BadInput(f"{label} = {value!r} is not a positive whole number: give one")
        if isinstance(self.s, bool) or not isinstance(self.s, int | float | np.number):
            raise BadInput(f"s = {self.s!r} is not a number: give the exponent of 1/r^s")
        if not 0.0 <= self.s <= LARGEST_S:
            raise BadInput(
                f"s = {self.s} is out of range: give an exponent from 0 (logarithm) to "
                f"{LARGEST_S:g}, or search for the largest angle, which is the limit of large s"
            )
        if self.d == 1 and self.n > 2:
            raise BadInput(
                f"{self.n} points in d = 1, where the sphere has two: some would coincide and the "
                "energy be infinite; give n <= 2 or d >= 2"
            )
        if not self.name:
            object.__setattr__(self, "name", "coulomb" if self.s == 1.0 else "riesz")
        if self.name not in ("coulomb", "riesz") or (self.name == "coulomb" and self.s != 1.0):
            raise BadInput(f"{self.name!r} with s = {self.s}: give coulomb with s = 1, or riesz")

    @property
    def variables(self) -> int:
        return self.n * (self.d - 1)

    def known(self) -> Known | None:
        """The simplex (n <= d + 1), polygon (d = 2) or cross-polytope (n = 2 d), otherwise None.

        They minimise every energy that is completely monotonic in squared distance, proved by Cohn
        and Kumar (J. Amer. Math. Soc. 20 (2007) 99-148, Theorem 1.2 and Table 1); -log r is a
        limit of those.
        """
        if self.n == 1:
            X, why = np.eye(1, self.d), "one point has no energy"
        elif self.n <= self.d + 1:
            X, why = simplex(self.n, self.d), f"a regular simplex has the least energy ({SOURCE})"
        elif self.d == 2:
            X = polygon(self.n, 2.0 * math.pi / self.n)
            why = f"the regular polygon has the least energy ({SOURCE})"
        elif self.n == 2 * self.d:
            X = np.concatenate([np.eye(self.d), -np.eye(self.d)])
            why = f"the cross-polytope has the least energy ({SOURCE})"
        else:
            return None
        X = on_sphere(X)
        return Known(X, self.energy(X), why)

    def same(self, a: float, b: float) -> bool:
        """True if two energies count as the same basin."""
        pairs = 0.5 * self.n * (self.n - 1)
        size = max(abs(a), abs(b), pairs if self.s == 0.0 else 0.0)
        return abs(a - b) <= SAME * size

    def enough(self, reached: int, runs: int) -> bool:
        """Content with 10 runs at the best: of 40 if most end there, of many more otherwise.

        A better basin that one run in ten finds escapes 40 runs once in 70 searches. Where a run
        takes seconds (Hessians of many variables), 12 must do.
        """
        few = 40 if self.variables <= QUICK else 12
        return reached >= 10 and runs >= (few if 4 * reached >= 3 * runs else few + 2 * self.n)

    def needs(self) -> tuple[float, float]:
        """Bytes of memory, and seconds that one attempt may take (rough, from a common core)."""
        n, d = self.n, self.d
        if n <= d + 1 or d == 2 or n == 2 * d:  # a closed form
            return 8.0 * (3 * n * d + 3 * n * n), 1e-8 * n * n * d
        m = self.variables if self.variables <= DENSE else 0
        numbers = 8 * n * n + 100 * n * d + 100 * d * d + 2 * m * d * d + 5 * m * m
        pairs = 1e-8 * n * n * (1.0 + 0.1 * d)
        return 8.0 * numbers, (300.0 + 3.0 * n) * pairs + 5e-10 * m**3 + 2e-7 * m * m + 2e-3

    def energy(self, X: Float) -> float:
        """Sum over pairs of 1/r^s (of -log r for s = 0) for unit rows X (n, d)."""
        return energy(self._checked(X), self.s)[0]

    def examine(self, X: Float) -> Stationary:
        """Energy with its error, gradient and curvature at unit rows X (n, d), no two the same."""
        found = energy(self._checked(X), self.s)[0]
        if not math.isfinite(found):
            raise BadInput("some points coincide, so the energy is infinite: give distinct points")
        return examine(X, self.s)

    def _checked(self, X: Float) -> Float:
        if np.shape(X) != (self.n, self.d):
            raise BadInput(f"points of shape {np.shape(X)}: give one row each, {self.n, self.d}")
        if not np.all(np.abs(np.einsum("ij,ij->i", X, X) - 1.0) < 1e-9):  # NaN fails too
            raise BadInput("some points are off the unit sphere: divide each row by its length")
        return X

    # --- one attempt ----------------------------------------------------------------------------

    def attempt(
        self, rng: np.random.Generator, best: Float | None = None, clock: Clock = NEVER
    ) -> tuple[float, Float]:
        """One attempt: a start, or a change of `best` (n, d); descent; polishing. (energy, X).

        Raises
        ------
        OutOfTime
            When the clock is up at the beginning; later it returns what it has.
        """
        if clock.up:
            raise OutOfTime
        known = self.known()
        if known is not None:
            return known.value, known.X
        X = fresh(rng, self.n, self.d) if best is None else away(rng, best, lines=False)
        # The first exponent decides the basin: from afar a large one feels the closest pair only.
        first = self.s if best is not None else float(max(self.s, 1e-3) ** rng.uniform())
        X = self.fall(X, rng, clock, first)
        return self.energy(X), X

    def fall(
        self, X: Float, rng: np.random.Generator, clock: Clock = NEVER, first: float | None = None
    ) -> Float:
        """The polished minimum (n, d) below unit rows X: descent, and off every saddle it meets."""
        X, down = self.polish(self.descend(X, clock, first), clock)
        for _ in range(ESCAPES):
            if down is None or clock.up:
                break
            X = on_sphere(X + rng.choice((-1.0, 1.0)) * down)
            X, down = self.polish(self.descend(X, clock), clock)
        return X

    def descend(self, X: Float, clock: Clock = NEVER, first: float | None = None) -> Float:
        """L-BFGS from unit rows X (n, d), through exponents from `first` to s, four-fold each."""
        steps = [self.s]
        if first is not None:
            steps = [first * 4.0**k for k in range(9) if first * 4.0**k < self.s / 2.0] + steps
        most = min(100 + 20 * self.n, 5000)
        tolerance = (1e-5 if self.variables <= DENSE else 1e-10) / self.n
        for s in steps:

            def objective(y: Float, s: float = s) -> tuple[float, Float]:
                Y = y.reshape(self.n, self.d)
                length = np.sqrt(np.einsum("ij,ij->i", Y, Y))[:, None]
                value, slope = mean_force(Y / length, s)
                return value, (slope / length).ravel()

            def stop(_: Float) -> None:
                if clock.up:
                    raise StopIteration

            found: Any = minimize(
                objective,
                X.ravel(),
                jac=True,
                method="L-BFGS-B",
                callback=stop,
                options={"maxiter": most, "maxcor": 12, "gtol": tolerance, "ftol": 1e-15},
            )
            X = on_sphere(found.x.reshape(self.n, self.d))
        return X

    def polish(self, X: Float, clock: Clock = NEVER, steps: int = 40) -> tuple[Float, Float | None]:
        """Newton's method along the sphere, from unit rows X (n, d) near a stationary point.

        Stops when the gradient is what rounding leaves, or no longer falls. Converges
        quadratically to strict minima; a step never raises the energy beyond its rounding error.
        Without a Hessian (more than DENSE variables) X is returned as it is.

        Returns
        -------
        X : (n, d) array
        down : (n, d) array or None
            None, or a short move of negative curvature: then X lies where the energy is not
            convex, by a saddle, and was not polished further.
        """
        if not 0 < self.variables <= DENSE or self.n == 1:
            return X, None
        if self.variables <= QUICK:
            clock = NEVER  # a few milliseconds, so the answer is polished even at the last moment
        value, error = energy(X, self.s)
        g, floor = gradient(X, self.s)
        size, idle, bent = float(np.linalg.norm(g)), 0, math.inf
        for _ in range(steps):
            if (size <= floor and bent == 0.0) or idle >= 3 or clock.up:
                break
            step, bent = self._newton_step(X, g)
            if bent == math.inf or (size <= floor and bent > 0.0):
                return X, lowest_move(X, self.s)
            reach = float(np.sqrt((step**2).sum(axis=1).max()))
            step *= min(1.0, 0.3 * closest(X) / max(reach, 1e-300))
            for _ in range(30):
                new = on_sphere(X + step)
                new_value, new_error = energy(new, self.s)
                if new_value <= value + error:
                    break
                step *= 0.5
            else:
                break
            new_g, new_floor = gradient(new, self.s)
            new_size = float(np.linalg.norm(new_g))
            falls = value - new_value > error
            if new_size >= size and not falls:
                break  # rounding level: the point before is at least as good
            idle = 0 if falls or new_size <= 0.5 * size else idle + 1
            X, value, error, g, floor, size = new, new_value, new_error, new_g, new_floor, new_size
        return X, None

    def _newton_step(self, X: Float, g: Float) -> tuple[Float, float]:
        """Newton's step (n, d), and how much curvature had to be added to make it downhill.

        The second is 0 where the energy is convex. Minima that are flat to second order (7 points,
        s = 2) have slightly concave neighbours, so a little is added before giving up (infinity).
        """
        H, bases, turns, scale = pinned_hessian(X, self.s)
        slope = np.einsum("iak,ia->ik", bases, g).ravel()
        for bent in (0.0, 1e-7, 1e-5):
            shifted = H.copy()
            shifted.flat[:: len(H) + 1] += max(bent, FLAT) * scale
            try:
                factor = scipy.linalg.cho_factor(shifted, overwrite_a=True)
            except scipy.linalg.LinAlgError:
                continue
            y = scipy.linalg.cho_solve(factor, turns @ (turns.T @ slope) - slope)
            return np.einsum("iak,ik->ia", bases, y.reshape(self.n, -1)), bent
        return np.zeros_like(X), math.inf
