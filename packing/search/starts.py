"""Where attempts begin, and a smooth stand-in for the largest cosine of many codes at once.

    F(X) = log sum_{i<j} exp(beta q(x_i . x_j)),   q(c) = c, or c^2 for lines,

a Gaussian energy whose exponent beta is raised step by step. F / beta exceeds the largest q by at
most log(n (n - 1) / 2) / beta. Derived here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from packing.optimise import descend
from packing.types import Float


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


# Where attempts begin: random and symmetric starts, and moves that leave a basin.
#
# None of this is needed for correctness: a start only decides which minimum is found. What each
# kind is worth is measured in benchmarks/codes.py.


NUDGE = (0.05, 0.3)
"""Sizes of the small kicks, in spacings: below, nothing changes; above, too much (measured)."""

ORDERS = (2, 2, 2, 3, 3, 3, 4, 4, 5, 6, 7, 8)
"""Orders of the rotations that make symmetric starts; small ones are commoner in good codes."""


def spread(rng: np.random.Generator, ends: tuple[float, float], many: int) -> Float:
    """Random numbers (many,) between two positive ends, uniform in the logarithm."""
    low, high = ends
    return np.asarray(low * (high / low) ** rng.random(many))


def random_points(rng: np.random.Generator, n: int, d: int) -> Float:
    """n uniform points on the sphere, (n, d)."""
    return normalised(rng.normal(size=(n, d)))


def fresh(rng: np.random.Generator, n: int, d: int, lines: bool = False) -> Float:
    """A start from nothing: uniform, antipodal, or orbits of a small group."""
    kind = rng.random()
    if kind < 0.15 and n % 2 == 0 and not lines:
        half = random_points(rng, n // 2, d)
        return np.concatenate([half, -half])  # E8's 240 points are seldom met otherwise
    if d < 3 or kind < 0.5:
        return random_points(rng, n, d)
    group = small_group(rng, d)
    if 2 * len(group) > n:
        return random_points(rng, n, d)
    whole, rest = divmod(n, len(group))
    orbits = [(group @ random_points(rng, 1, d)[0]) for _ in range(whole)]
    # What is left over goes where the group fixes a direction, or into a shorter orbit.
    for _ in range(rest):
        fixed = group.mean(axis=0) @ rng.normal(size=d)
        if np.linalg.norm(fixed) < 1e-6 or rng.random() < 0.3:
            fixed = rng.normal(size=d)
        orbits.append(normalised(fixed[None] * rng.choice([-1.0, 1.0])))
    X = np.concatenate(orbits)
    # A little noise: the descent would keep the symmetry and could end on a saddle.
    return normalised(X + 10.0 ** rng.uniform(-4.0, -1.0) * rng.normal(size=X.shape))


def small_group(rng: np.random.Generator, d: int) -> Float:
    """The matrices (g, d, d) of a random cyclic or dihedral group of orthogonal maps, g <= 16."""
    m = int(rng.choice(ORDERS))
    planes = int(rng.integers(1, d // 2 + 1))
    turn = np.eye(d)
    for p in range(planes):
        angle = 2.0 * np.pi * (1 if p == 0 else int(rng.integers(1, m + 1))) / m
        c, s = np.cos(angle), np.sin(angle)
        turn[2 * p : 2 * p + 2, 2 * p : 2 * p + 2] = [[c, -s], [s, c]]
    # Signs on the axes that are left turn rotations into rotary reflections.
    if m % 2 == 0 and rng.random() < 0.5:
        turn[2 * planes :, 2 * planes :] *= -1.0
        if planes == 1 and m == 2 and rng.random() < 0.5:
            turn = -np.eye(d)
    powers = [np.eye(d)]
    for _ in range(m - 1):
        powers.append(powers[-1] @ turn)
    group = np.array(powers)
    if rng.random() < 0.4:
        # A half turn (or a mirror) that inverts every plane: dihedral.
        flip = np.eye(d)
        for p in range(planes):
            flip[2 * p + 1, 2 * p + 1] = -1.0
        if rng.random() < 0.5:
            flip[2 * planes :, 2 * planes :] *= -1.0
        group = np.concatenate([group, group @ flip])
    return group


def away(rng: np.random.Generator, X: Float, lines: bool) -> Float:
    """A move that leaves the basin of X (n, d)."""
    n, d = X.shape
    kind = rng.random()
    if kind < 0.5:
        return relocated(rng, X, int(rng.choice([1, 1, 1, 2, 2, 3, 4])), lines)
    spacing = np.sqrt(2.0 * max(1.0 - _level(X, lines), 0.0))
    if kind < 0.65:
        size = 10.0 ** rng.uniform(-1.0, 0.0)
        return normalised(X + size * spacing * rng.normal(size=X.shape) / np.sqrt(d))
    axis = random_points(rng, 1, d)[0]
    height = X @ axis
    if lines:
        X = X * np.where(height < 0.0, -1.0, 1.0)[:, None]
        height = np.abs(height)
    cut = np.sort(height)[int(rng.integers(n // 3, n - 1))] if n > 2 else 0.0
    cap = height > cut
    if kind < 0.85:
        # Turn a cap against the rest: many codes in R^3 are made of layers.
        Y = X.copy()
        Y[cap] = X[cap] @ _turn(rng, axis).T
        return Y
    Y = X.copy()
    Y[cap] += spacing * rng.normal(size=(int(cap.sum()), d)) / np.sqrt(d)
    return normalised(Y)


def nudged(rng: np.random.Generator, X: Float, many: int, lines: bool) -> Float:
    """`many` copies (k, n, d) of X after kicks between a thirtieth and a third of the spacing."""
    spacing = np.sqrt(2.0 * max(1.0 - _level(X, lines), 0.0) / X.shape[1])
    size = spacing * spread(rng, NUDGE, many)[:, None, None]
    return normalised(X + size * rng.normal(size=(many, *X.shape)))


def _level(X: Float, lines: bool) -> float:
    C = np.abs(X @ X.T) if lines else X @ X.T
    np.fill_diagonal(C, -1.0)
    return float(np.median(C.max(axis=1)))


def _turn(rng: np.random.Generator, axis: Float) -> Float:
    """A random rotation (d, d) that fixes the axis."""
    d = len(axis)
    Q = np.linalg.qr(np.concatenate([axis[:, None], rng.normal(size=(d, d - 1))], axis=1))[0]
    R = np.linalg.qr(rng.normal(size=(d - 1, d - 1)))[0]
    full = np.eye(d)
    full[1:, 1:] = R
    return np.asarray(Q @ full @ Q.T)


def relocated(rng: np.random.Generator, X: Float, many: int, lines: bool) -> Float:
    """X with a few points taken out and put into the largest holes that are left."""
    n = len(X)
    many = min(many, n - 1)
    if rng.random() < 0.3:  # neighbours of one point, which empties a region
        C = X @ X[int(rng.integers(n))]
        out = np.argsort(-(np.abs(C) if lines else C))[:many]
    else:
        out = rng.permutation(n)[:many]
    Y = np.delete(X, out, axis=0)
    for _ in range(many):
        Y = np.concatenate([Y, hole(rng, Y, lines)[None]])
    return Y


def hole(rng: np.random.Generator, X: Float, lines: bool, greed: float = 4.0) -> Float:
    """A point (d,) far from all rows of X, a random one of the deep holes."""
    d = X.shape[1]
    P = random_points(rng, 64 * d, d)
    depth = _depth(P, X, lines)
    P = P[np.argsort(depth)[: 8 * d]]
    size = 0.1
    depth = _depth(P, X, lines)
    for _ in range(20):  # a random walk downhill: enough to find the bottom to a few percent
        Q = normalised(P + size * rng.normal(size=P.shape))
        new = _depth(Q, X, lines)
        better = new < depth
        P[better], depth[better] = Q[better], new[better]
        size *= 0.85
    order = np.argsort(depth)
    return np.asarray(P[order[min(int(rng.exponential(greed)), len(order) - 1)]])


def _depth(P: Float, X: Float, lines: bool) -> NDArray[np.float64]:
    C = P @ X.T
    return np.asarray((np.abs(C) if lines else C).max(axis=1))
