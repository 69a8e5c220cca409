"""Global search for low losses: many starts descended at once on a fixed weighted sample of inputs.

A *cloud* is a set of inputs X (B, n) with weights, so the surrogate loss
``sum_B w_B sum_i I_i (x_i - ReLU(Gx + b)_i)^2`` is a few matrix products for a whole batch of
models. For the binary law and n <= 10 the cloud is every on/off pattern and the surrogate is the
loss itself; otherwise strata by pattern (or by the number on) with low-discrepancy values. The
surrogate only has to find basins: `theory.optimum` polishes on the exact loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from theory.features import Binary, Features, Float, Law
from theory.rows.patterns import on_off, pattern_weights

Real = NDArray[np.floating[Any]]

_PATTERNS_UP_TO = 10
_SAMPLED = 4000
_VALUED = 900  # points aimed at where values are sampled pattern by pattern


@dataclass(frozen=True, eq=False)
class Cloud:
    """Weighted inputs: X (B, n), weights (B,) that sum to 1; exact where no value was sampled."""

    X: Float
    weights: Float
    exact: bool


def cloud_for(features: Features, seed: int = 0) -> Cloud:
    """The surrogate sample for these features."""
    if features.n <= _PATTERNS_UP_TO:
        return _pattern_points(features, seed)
    return _sampled_points(features, seed)


def _pattern_points(features: Features, seed: int) -> Cloud:
    """Inputs for every on/off pattern; a likelier pattern gets more points."""
    patterns = on_off(features.n)
    chance = pattern_weights(features.S[None])[0]
    if isinstance(features.law, Binary):
        return Cloud(patterns, chance, True)
    rng = np.random.default_rng(seed)
    share = np.sqrt(chance) / np.sum(np.sqrt(chance[1:]))
    points, weights = [np.zeros((1, features.n))], [chance[:1]]
    for on, likely, part in zip(patterns[1:], chance[1:], share[1:], strict=True):
        if likely < 1e-9:
            continue
        count = int(np.clip(round(_VALUED * part), 3, 400))
        x = np.zeros((count, features.n))
        x[:, on > 0] = _values(features.law, rng, count, int(on.sum()))
        points.append(x)
        weights.append(np.full(count, likely / count))
    return Cloud(np.concatenate(points), np.concatenate(weights), False)


def _values(law: Law, rng: np.random.Generator, count: int, k: int) -> Float:
    """`count` points of k values: stratified through the law's own sampler, sorted into a lattice.

    Only a sampler is known of a law, so its quantiles are taken from a large sorted sample.
    """
    pool = np.sort(law.sample(rng, 20_000))
    if k == 1:
        u = (np.arange(count)[:, None] + 0.5) / count
    else:
        u = qmc.Sobol(k, scramble=True, rng=rng).random(1 << (count - 1).bit_length())[:count]
    return pool[np.minimum((u * pool.size).astype(int), pool.size - 1)]


def _sampled_points(features: Features, seed: int) -> Cloud:
    """All-off, one-on and two-on strata explicitly, three or more by sampling."""
    rng = np.random.default_rng(seed)
    n, S, law = features.n, features.S, features.law
    off = np.prod(1.0 - S)
    odds = S / np.maximum(1.0 - S, 1e-12)
    blocks, weights = [np.zeros((1, n))], [np.array([off])]
    single = isinstance(law, Binary)
    per = 1 if single else 24
    values = np.ones(per) if single else _values(law, rng, per, 1)[:, 0]
    blocks.append(np.repeat(np.eye(n), per, axis=0) * np.tile(values, n)[:, None])
    weights.append(np.repeat(off * odds, per) / per)
    least = 2
    if n <= 48:
        # Few values a pair would be an invitation: the optimiser fits the sample, not the law.
        i, j = np.triu_indices(n, 1)
        per = 1 if single else int(np.clip(2500 // i.size, 2, 24))
        i, j = np.repeat(i, per), np.repeat(j, per)
        X = np.zeros((i.size, n))
        v = np.ones((per, 2)) if single else _values(law, rng, per, 2)
        v = np.tile(v, (i.size // per, 1))
        X[np.arange(i.size), i], X[np.arange(i.size), j] = v[:, 0], v[:, 1]
        blocks.append(X)
        weights.append(off * odds[i] * odds[j] / per)
        least = 3
    rest = max(0.0, 1.0 - sum(float(w.sum()) for w in weights))
    if rest > 1e-9:
        kept: list[np.ndarray] = []
        have = 0
        for _ in range(10_000):
            on = rng.random((4096, n)) < S
            on = on[on.sum(axis=1) >= least]
            kept.append(on)
            have += len(on)
            if have >= _SAMPLED:
                break
        on = np.concatenate(kept)[:_SAMPLED]
        if len(on):
            blocks.append(np.where(on, law.sample(rng, on.shape), 0.0))
            weights.append(np.full(len(on), rest / len(on)))
    return Cloud(np.concatenate(blocks), np.concatenate(weights), False)


@dataclass(frozen=True, eq=False)
class Shape:
    """How a parameter vector holds a model: W (d, n), then b (n,) where there are biases."""

    n: int
    d: int
    bias: bool

    @property
    def size(self) -> int:
        return self.n * self.d + (self.n if self.bias else 0)

    def split(self, theta: Any) -> tuple[Any, Any]:
        """(K, p) parameters as W (K, d, n) and b (K, n)."""
        W = theta[:, : self.n * self.d].reshape(-1, self.d, self.n)
        b = theta[:, self.n * self.d :] if self.bias else np.zeros((len(theta), self.n))
        return W, b

    def join(self, W: Any, b: Any) -> Any:
        flat = W.reshape(len(W), -1)
        return np.concatenate([flat, b], axis=1) if self.bias else flat


def surrogate(
    theta: Real, shape: Shape, X: Real, weights: Real, importance: Real, relu: bool
) -> tuple[Float, Float]:
    """Loss (K,) and gradient (K, p) of a batch of models on a cloud."""
    W, b = shape.split(theta)
    G = np.swapaxes(W, 1, 2) @ W
    z = X @ G
    z += b[:, None, :]
    live = z > 0.0 if relu else None
    if relu:
        np.maximum(z, 0.0, out=z)
    np.subtract(X, z, out=z)
    slope = z * weights[:, :, None]
    slope *= importance
    value = np.einsum("kbi,kbi->k", slope, z)
    if live is not None:
        slope *= live
    D = X.T @ slope  # (K, n, n): D[j, i] = sum x_j slope_i
    dW = -2.0 * (W @ (D + np.swapaxes(D, 1, 2)))
    return value, shape.join(dW, -2.0 * (np.ones(len(X), X.dtype) @ slope))


def random_starts(rng: np.random.Generator, shape: Shape, count: int) -> Float:
    """Varied starts: free directions, shared and opposite directions, ignored features, any bias.

    Half are plain Gaussian; the rest place features on a few directions with either sign and
    uneven norms, which is where rare optima (uneven digons, parallel pairs, shadows) live.
    """
    n, d = shape.n, shape.d
    W = rng.normal(size=(count, d, n)) * rng.choice([0.3, 0.6, 1.0], size=(count, 1, 1))
    W /= np.sqrt(max(d, 1)) ** rng.integers(0, 2, size=(count, 1, 1))
    shared = rng.random(count) < 0.5
    few = rng.integers(1, max(2, min(n, 2 * d) + 1), size=count)
    axes = rng.normal(size=(count, d, n))
    orthogonal = np.linalg.qr(rng.normal(size=(count, d, d)))[0]
    flat = rng.random(count) < 0.6
    axes[flat] = np.take_along_axis(
        orthogonal[flat], (np.arange(n)[None, None, :] % d).repeat(flat.sum(), 0).repeat(d, 1), 2
    )
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    choice = (rng.random((count, n)) * few[:, None]).astype(int)
    sign = rng.choice([-1.0, 1.0], size=(count, n))
    norm = rng.uniform(0.2, 1.3, size=(count, n))
    placed = np.take_along_axis(axes, choice[:, None, :].repeat(d, 1), 2) * (sign * norm)[:, None]
    W[shared] = placed[shared] + 0.02 * rng.normal(size=W[shared].shape)
    silent = (rng.random((count, n)) < rng.choice([0.0, 0.2, 0.5], size=(count, 1)))[:, None, :]
    W = np.where(silent, 0.03 * W, W)
    b = rng.choice([-0.3, -0.1, 0.0, 0.1, 0.4], size=(count, 1)) + 0.1 * rng.normal(size=(count, n))
    return shape.join(W, b)


def kicks(
    rng: np.random.Generator, shape: Shape, theta: Float, count: int, swaps: float = 0.0
) -> Float:
    """Perturbed copies of good models: noise, swapped features, a feature cloned, flipped, cut.

    Where features differ, who takes which place matters: a share `swaps` of the copies only swaps.
    """
    picked = theta[rng.integers(len(theta), size=count)].copy()
    W, b = (q.copy() for q in shape.split(picked))
    n = shape.n
    for i in range(count):
        move = rng.integers(6) if swaps == 0.0 or rng.random() >= swaps else 1
        j, l = rng.integers(n, size=2)
        if move == 0:
            W[i] += rng.choice([0.1, 0.3, 0.6]) * rng.normal(size=W[i].shape)
        elif move == 1:
            W[i][:, [j, l]], b[i, [j, l]] = W[i][:, [l, j]], b[i, [l, j]]
        elif move == 2:
            W[i][:, j] = rng.uniform(0.2, 1.0) * W[i][:, l]
        elif move == 3:
            W[i][:, j] = -rng.uniform(0.2, 1.2) * W[i][:, l]
        elif move == 4:
            W[i][:, j] = 0.02 * rng.normal(size=shape.d)
        else:
            W[i][:, j] = rng.normal(size=shape.d)
            b[i] += 0.1 * rng.normal()
        W[i] += 0.01 * rng.normal(size=W[i].shape)
    return shape.join(W, b)


def block_starts(rng: np.random.Generator, shape: Shape, count: int) -> Float:
    """Starts from orthogonal blocks of well-spread points: what known arrangements look like.

    The dimensions are split at random; each block gets a random number of features, spread by a
    few steps of repulsion (polygons, simplices, antiprisms and demicubes arise by themselves);
    the rest are ignored.
    """
    n, d = shape.n, shape.d
    W = np.zeros((count, d, n))
    b = np.zeros((count, n))
    for i in range(count):
        order = rng.permutation(n)
        sizes = [d] if rng.random() < 0.4 else _random_split(rng, d)
        room, row, used = n, 0, 0
        for position, k in enumerate(sizes):
            later = d - row - k
            most = room - later
            if most < 1:
                break
            least = min(k, most)
            last = position == len(sizes) - 1
            m = most if last and rng.random() < 0.6 else int(rng.integers(least, most + 1))
            if k == 1:
                m = min(m, 2)
            members = order[used : used + m]
            W[i][row : row + k, members] = _spread(rng, m, k).T
            room, row, used = room - m, row + k, used + m
        W[i] *= rng.uniform(0.8, 1.2)
        b[i] = rng.choice([-0.2, -0.05, 0.0])
        b[i, order[used:]] = 0.1
    return shape.join(W + 0.005 * rng.normal(size=W.shape), b)


def _random_split(rng: np.random.Generator, d: int) -> list[int]:
    sizes = []
    while d:
        k = int(rng.integers(1, d + 1))
        sizes.append(k)
        d -= k
    return sizes


def _spread(rng: np.random.Generator, m: int, k: int) -> Float:
    """m unit vectors in R^k (m, k) after some steps of repulsion, not converged."""
    x = rng.normal(size=(m, k))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    if k == 1 and m == 2:
        return np.array([[1.0], [-1.0]])
    for step in np.geomspace(0.3, 0.02, 60):
        gram = x @ x.T
        np.fill_diagonal(gram, -1.0)
        push = np.exp(6.0 * (gram - 1.0)) @ x
        x -= step * push / max(1e-12, float(np.max(np.abs(push))))
        x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    return x
