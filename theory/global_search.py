"""Global search for minima of the loss: wide on a surrogate, then on the exact loss.

`minima` searches at one S, `minima_on_grid` at many S in one batch where the surrogate is the loss
itself. Both descend many starts at once on a fixed weighted sample of inputs, which only has to
find basins, and settle the lowest on the exact loss: Newton's method (`polish`) where a Hessian is
affordable, long descent elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from packing.optimise import descend
from packing.types import Float, Progress
from theory.features import Binary, Features, Law, Uniform
from theory.losses.expected import engine, on_off, pattern_weights

Real = NDArray[np.floating[Any]]

_PATTERNS_UP_TO = 10
_SAMPLED = 4000
_VALUED = 900  # points aimed at where values are sampled pattern by pattern
_ROUNDS = 24  # of kicks, at most, where features differ
NEWTON_UP_TO = 110  # parameters; beyond, Hessians cost more than they tell

# Steps of the Hessian's central differences: the first balances eps / h against h^2; finer ones are
# for small S, where the curvature by a bias jumps by a factor 1 / S at a bias near 0.
_STEPS = (4e-6, 3e-8, 5e-10)


# The surrogate. A *cloud* is a set of inputs X (B, n) with weights, so the loss on it,
# ``sum_B w_B sum_i I_i (x_i - ReLU(Gx + b)_i)^2``, is a few matrix products for a whole batch of
# models. For the binary law and n <= 10 the cloud is every on/off pattern and the surrogate is the
# loss itself; otherwise strata by pattern (or by the number on) with low-discrepancy values.


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


# The exact loss: `theory.loss` answers for one model with every detail; the optimiser asks for
# thousands of values, so here the rows of many models go to an engine in one call.


@dataclass(frozen=True, eq=False)
class Problem:
    """Minimise the expected loss over W (d, n) and b (n,): what is fixed while one searches."""

    features: Features
    shape: Shape
    relu: bool = True
    rtol: float = 1e-6  # of the transform engine; slopes then hold to 1e-8 (uniform), 1e-4 (binary)

    def at(self, S: float | Float) -> Problem:
        return replace(self, features=self.features.at(S))

    @property
    def roughly(self) -> Problem:
        """The same with the transform engine at an accuracy that is enough to descend by."""
        return replace(self, rtol=1e-4)

    @property
    def scale(self) -> float:
        """Loss of ignoring everything without bias, sum_i I_i E x_i^2: sets what 'zero' means."""
        return float(self.features.importance @ self.features.second)

    def __call__(self, theta: Float, index: object = None) -> tuple[Float, Float]:
        """Loss (K,) and gradient (K, p) of the models theta (K, p)."""
        return self.evaluate(theta, np.broadcast_to(self.features.S, (len(theta), self.shape.n)))

    def evaluate(self, theta: Float, S: Float) -> tuple[Float, Float]:
        """The same, each model at activation probabilities of its own, S (K, n)."""
        W, b = self.shape.split(theta)
        count, n = b.shape
        G = np.swapaxes(W, 1, 2) @ W
        f = self.features
        answer = engine(
            G.reshape(-1, n),
            b.reshape(-1),
            np.tile(np.arange(n), count),
            np.repeat(S, n, axis=0),
            f.law,
            relu=self.relu,
            gradient=True,
            bounds=False,
            rtol=self.rtol,
        )[1]
        assert answer.dA is not None and answer.db is not None
        I = f.importance
        value = answer.value.reshape(count, n) @ I
        D = answer.dA.reshape(count, n, n) * I[:, None]
        dW = W @ (D + np.swapaxes(D, 1, 2))
        return value, self.shape.join(dW, answer.db.reshape(count, n) * I)

    @property
    def enumerable(self) -> bool:
        """Binary law with few features: every pattern at hand, so the Hessian is exact too."""
        return self.relu and isinstance(self.features.law, Binary) and self.shape.n <= 10

    @property
    def hessian_noise(self) -> float:
        """Eigenvalues below this fraction of the largest cannot be told from zero."""
        return 1e-12 if self.enumerable else 4e-9

    def hessian(self, theta: Float, step: float = _STEPS[0]) -> Float:
        """Hessian (p, p) at theta (p,): exact over patterns, else differences of the gradient."""
        if self.enumerable:
            return self._pattern_hessian(theta)
        p = theta.size
        h = step * max(1.0, float(np.max(np.abs(theta))))
        shifts = h * np.eye(p)
        _, grad = self(np.concatenate([theta + shifts, theta - shifts]))
        H = (grad[:p] - grad[p:]) / (2.0 * h)
        return 0.5 * (H + H.T)

    def _pattern_hessian(self, theta: Float) -> Float:
        """Sum over patterns of 2 grad z grad z^T - 2 (x - z) hess z where z > 0."""
        n, d = self.shape.n, self.shape.d
        W, b = (q[0] for q in self.shape.split(theta[None]))
        X = on_off(n)
        weights = pattern_weights(self.features.S[None])[0]
        hidden = X @ W.T  # (B, d)
        z = hidden @ W + b
        active = (z > 0.0) * weights[:, None] * self.features.importance  # (B, n)
        # dz_i/dW_kl = delta_il hidden_k + W_ki x_l ; dz_i/db_l = delta_il
        jacobian = W.T[None, :, :, None] * X[:, None, None, :]  # (B, i, k, l)
        for i in range(n):
            jacobian[:, i, :, i] += hidden
        J = jacobian.reshape(len(X) * n, d * n)
        if self.shape.bias:
            J = np.concatenate([J, np.tile(np.eye(n), (len(X), 1))], axis=1)
        H = 2.0 * (J.T * active.ravel()) @ J
        # d2 z_i / dW_kl dW_km = delta_il x_m + delta_im x_l
        D = X.T @ (-2.0 * active * (X - z))
        for k in range(d):
            block = slice(k * n, (k + 1) * n)
            H[block, block] += D + D.T
        return H

    def rotations(self, theta: Float) -> Float:
        """Orthonormal basis (p, r) of the directions that only rotate the arrangement."""
        W = self.shape.split(theta[None])[0][0]
        d, size = self.shape.d, self.shape.size
        moves = np.zeros((d * (d - 1) // 2, size))
        for row, (k, l) in enumerate(zip(*np.triu_indices(d, 1), strict=True)):
            turned = np.zeros_like(W)
            turned[k], turned[l] = W[l], -W[k]
            moves[row, : W.size] = turned.ravel()
        if not len(moves):
            return np.zeros((size, 0))
        u, s, _ = np.linalg.svd(moves.T, full_matrices=False)
        return u[:, s > 1e-7 * max(1.0, s[0])]


@dataclass(frozen=True, eq=False)
class Polished:
    """A stationary point: parameters (p,), loss, gradient norm, Hessian spectrum mod rotation."""

    theta: Float
    value: float
    gradient_norm: float
    spectrum: Float
    flat: int
    noise: float = 4e-9

    @property
    def stable(self) -> bool:
        """No direction, rotations aside, in which the loss falls."""
        s = self.spectrum
        return bool(s.size == 0 or s[0] >= -_flatness(s, self.noise))


def _flatness(spectrum: Float, noise: float) -> float:
    """Eigenvalues below this size are zero to the accuracy of the Hessian."""
    return noise * float(np.max(np.abs(spectrum), initial=1e-300))


def polish(problem: Problem, theta: Float, iterations: int = 30) -> Polished:
    """Newton's method on the exact loss until the gradient stops falling; leaves saddles downhill.

    Eigenvalues are taken by size (so that saddles repel), directions flat to rounding are left
    alone, and a step that lowers neither the loss nor, near the end, the gradient is shortened.
    """
    theta = theta.copy()
    f, g = (q[0] for q in problem(theta[None]))
    eigenvalues = np.zeros(0)
    noise = problem.hessian_noise
    here: Float = np.full_like(theta, np.inf)  # where the eigenvalues were taken
    escapes, finer = 0, 0
    fresh = True
    for _ in range(iterations):
        norm = float(np.linalg.norm(g))
        if fresh:
            eigenvalues, vectors = _modes(problem, theta, _STEPS[finer])
            here = theta
        tiny = _flatness(eigenvalues, noise)
        if norm <= 2e-15 * problem.scale:
            if eigenvalues.size and eigenvalues[0] < -10 * tiny and escapes < 4:
                escapes += 1
                theta, f, g = _escape(problem, theta, f, vectors[:, 0])
                fresh = True
                continue
            break
        along = vectors.T @ g
        curvature = np.where(np.abs(eigenvalues) > tiny, np.abs(eigenvalues), np.inf)
        # a gradient that lives in a flat direction still has to go: a cautious gradient step
        loose = ~np.isfinite(curvature) & (np.abs(along) > 1e-3 * norm)
        curvature[loose] = max(norm, tiny)
        step = -(vectors @ (along / curvature))
        length = float(np.linalg.norm(step))
        step *= min(1.0, 0.5 / max(length, 1e-300))
        best = None
        for shrink in (1.0, 0.3, 0.1, 0.02, 3e-3, 3e-4, 3e-5):
            trial = theta + shrink * step
            ft, gt = (q[0] for q in problem(trial[None]))
            slack = 4e-15 * problem.scale
            if ft < f - slack or (ft <= f + slack and np.linalg.norm(gt) < 0.9 * norm):
                best = (trial, ft, gt)
                break
        if best is None:
            if fresh and eigenvalues.size and eigenvalues[0] < -10 * tiny and escapes < 4:
                escapes += 1
                theta, f, g = _escape(problem, theta, f, vectors[:, 0])
                continue
            if fresh:
                finer += 1
                if problem.enumerable or finer == len(_STEPS):
                    break
            fresh = True
            continue
        theta, f, g = best
        if length < 1e-4 and np.linalg.norm(g) > 0.3 * norm and finer < len(_STEPS) - 1:
            finer += 1  # Newton's method should do better here: the differences straddle a jump
        # near the end the old Hessian still serves (chord steps): one gradient instead of 2p
        fresh = not (length < 1e-4 and np.linalg.norm(g) < 0.05 * norm)
    if not np.allclose(here, theta, rtol=0.0, atol=1e-6):
        eigenvalues, _ = _modes(problem, theta)
    flat = int(np.sum(np.abs(eigenvalues) <= _flatness(eigenvalues, noise)))
    return Polished(theta, float(f), float(np.linalg.norm(g)), eigenvalues, flat, noise)


def _modes(problem: Problem, theta: Float, step: float = _STEPS[0]) -> tuple[Float, Float]:
    """Hessian eigenvalues (ascending) and eigenvectors on the complement of the rotations."""
    H = problem.hessian(theta, step)
    turn = problem.rotations(theta)
    if turn.shape[1]:
        basis = np.linalg.qr(np.concatenate([turn, np.eye(theta.size)], axis=1))[0]
        basis = basis[:, turn.shape[1] : theta.size]
        values, vectors = np.linalg.eigh(basis.T @ H @ basis)
        return values, basis @ vectors
    return np.linalg.eigh(H)


def _escape(
    problem: Problem, theta: Float, f: float, direction: Float
) -> tuple[Float, float, Float]:
    """Leave a saddle along a direction of negative curvature, to the lower of both sides."""
    sizes = np.geomspace(1e-6, 0.3, 12)
    sizes = np.concatenate([sizes, -sizes])
    trials = theta + sizes[:, None] * direction
    values, grads = problem(trials)
    best = int(np.argmin(values))
    if values[best] >= f:
        values, grads = problem(theta[None])
        return theta, float(values[0]), grads[0]
    return trials[best], float(values[best]), grads[best]


def least_norm(problem: Problem, point: Polished) -> Polished:
    """On a flat set of minimisers, the member of least ||W||, so that the answer is one thing.

    A penalty far below the loss's own scale slides along the flat directions; Newton's method then
    removes what it cost. Kept only if the loss did not rise.
    """
    weight = 1e-6 * problem.scale
    size = problem.shape.n * problem.shape.d

    def penalised(theta: Float, index: object) -> tuple[Float, Float]:
        value, grad = problem(theta)
        extra = np.zeros_like(grad)
        extra[:, :size] = 2.0 * weight * theta[:, :size]
        return value + weight * np.sum(theta[:, :size] ** 2, axis=1), grad + extra

    slid, _ = descend(penalised, point.theta[None], 200, tolerance=1e-12)
    again = polish(problem, slid[0])
    if again.value <= point.value + 1e-14 * problem.scale:
        return again
    return point


# The search.


@dataclass(frozen=True, eq=False)
class Found:
    """A stationary point and how it was reached."""

    point: Polished
    hits: int = 0
    starts: int = 0


def minima(
    problem: Problem,
    *,
    seed: int = 0,
    starts: int | None = None,
    guesses: Float | None = None,
    keep: int = 4,
    polished: int | None = None,
    progress: Progress | None = None,
) -> list[Found]:
    """Distinct low-lying minima, best first: the global search behind `optimum`.

    Of the `keep` lowest the first `polished` (all, if None) are polished to rounding.
    """
    features, shape = problem.features, problem.shape
    n = features.n
    report = progress or (lambda stage, fraction: None)
    rng = np.random.default_rng([seed, n, shape.d])
    cloud = cloud_for(features, seed)
    count = starts or default_starts(n, cloud.exact)
    X: Real = cloud.X if cloud.exact else cloud.X.astype(np.float32)
    w = cloud.weights.astype(X.dtype)[None]
    I = features.importance.astype(X.dtype)

    def rough(theta: Float, index: object) -> tuple[Float, Float]:
        value, grad = surrogate(theta.astype(X.dtype), shape, X, w, I, problem.relu)
        return value.astype(float), grad.astype(float)

    batches: list[tuple[Float, Float]] = []
    group = max(1, min(count, 4_000_000 // (len(X) * n)))
    short, long = (60, 200) if n <= 12 else (80, 160)

    def run(theta: Float, stage: str) -> Float:
        """Descend briefly from all, at length from the best third; the losses reached."""
        reached = []
        for i in range(0, len(theta), group):
            reached.append(descend(rough, theta[i : i + group], short, tolerance=1e-6))
            report(stage, 0.5 * min(1.0, (i + group) / len(theta)))
        theta, value = _pooled(reached)
        better = np.argsort(value, kind="stable")[: (len(value) + 2) // 3]
        for i in range(0, len(better), group):
            part = better[i : i + group]
            theta[part], value[part] = descend(rough, theta[part], long, tolerance=1e-7)
            report(stage, 0.5 + 0.5 * min(1.0, (i + group) / len(better)))
        batches.append((theta, value))
        return value

    first = run(random_starts(rng, shape, count), "random starts")
    extra = block_starts(rng, shape, max(4, count // 4))
    run(extra if guesses is None else np.concatenate([extra, guesses]), "known blocks")
    for _ in range(2 if n <= 12 else 1):
        theta, value = _pooled(batches)
        order = _distinct(value, 1e-4, 10)
        run(kicks(rng, shape, theta[order], max(4, count // 3)), "broken copies")
    if not features.alike and n <= 12:
        # which feature takes which place is a search of its own: kick until that stops paying
        failures, best = 0, float(np.min(_pooled(batches)[1]))
        for _ in range(_ROUNDS):
            theta, value = _pooled(batches)
            order = _distinct(value, 1e-6, 10)
            reached = run(kicks(rng, shape, theta[order], 96, 0.4), "broken copies")
            failures = 0 if np.min(reached) < best * (1.0 - 1e-9) else failures + 1
            best = min(best, float(np.min(reached)))
            if failures == 4:
                break
    theta, value = _pooled(batches)
    rough_ends = theta[:count]
    # such laws are served by the transform engine alone
    slow = not isinstance(features.law, (Binary, Uniform)) and not hasattr(features.law, "sector")
    width = 24 if cloud.exact else int(np.clip(6000 // n**3, 2, 2 if slow else 32))
    theta = theta[_distinct(value, 1e-8 if cloud.exact else 1e-5, width)]
    known, independent = len(theta), np.zeros(len(theta), dtype=bool)
    if not (cloud.exact or slow) and n <= 8:
        # where the landscape is flat (S near 1) the sample misleads: some starts skip it
        raw = random_starts(rng, shape, min(24, 6 * n))
        theta = np.concatenate([theta, raw, block_starts(rng, shape, min(40, 10 * n))])
        independent = np.zeros(len(theta), dtype=bool)
        independent[known : known + len(raw)] = True
        count += len(raw)
    if guesses is not None:  # a neighbour's optimum always reaches the exact loss
        theta = np.concatenate([theta, guesses])
        independent = np.concatenate([independent, np.zeros(len(guesses), dtype=bool)])
    report("exact loss", 0.0)
    if cloud.exact:
        theta, fine = descend(problem, theta, 400, tolerance=1e-12)
    else:
        theta, fine = descend(problem.roughly, theta, 25)
        ahead = fine <= 1.02 * np.min(fine)
        theta, fine, independent = theta[ahead], fine[ahead], independent[ahead]
        theta, fine = descend(problem.roughly, theta, 60, tolerance=1e-9 if n <= 12 else 1e-7)
        if n <= 8 and not slow:
            theta, fine, independent = _explore_flat(problem, rng, theta, fine, independent)
    found = []
    order = _distinct(fine, 1e-7, keep if n <= 12 and not slow else 1)
    for position, k in enumerate(order):
        if polished is None or position < polished:
            point = settle(problem, theta[k])
        else:
            point = Polished(theta[k], float(fine[k]), float("inf"), np.zeros(0), 0)
        if cloud.exact:
            hits = int(np.sum(np.abs(first - fine[k]) <= 1e-5 * abs(fine[k]) + 1e-300))
        else:
            hits = int(np.sum(_alike(shape, rough_ends, point.theta)))
            hits += int(np.sum(independent & (np.abs(fine - fine[k]) <= 1e-6 * abs(fine[k]))))
        found.append(Found(point, hits, count))
        report("exact loss", (position + 1) / len(order))
    return sorted(found, key=lambda q: q.point.value)


def _explore_flat(
    problem: Problem, rng: np.random.Generator, theta: Float, fine: Float, independent: np.ndarray
) -> tuple[Float, Float, np.ndarray]:
    """Where many minima lie within 1%, kick the best on the exact loss until that stops paying.

    So it is for S near 1, where minima differ by less than the surrogate is wrong, and where
    features differ, so that minima are many.
    """
    failures = 0
    alike = problem.features.alike
    for _ in range(8 if alike else 2 * _ROUNDS):
        near = _distinct(np.where(fine <= 1.01 * np.min(fine), fine, np.inf), 1e-7, 8)
        if (alike and len(near) < 5) or failures == (2 if alike else 4):
            break
        kicked = kicks(rng, problem.shape, theta[near], 24, 0.0 if alike else 0.4)
        more, reached = descend(problem.roughly, kicked, 80, tolerance=1e-8)
        failures = 0 if np.min(reached) < np.min(fine) * (1.0 - 1e-9) else failures + 1
        theta, fine = np.concatenate([theta, more]), np.concatenate([fine, reached])
        independent = np.concatenate([independent, np.zeros(len(more), dtype=bool)])
    return theta, fine, independent


def _alike(shape: Shape, theta: Float, target: Float) -> np.ndarray:
    """Which models have the target's Gram matrix up to relabelling, within a surrogate's blur."""
    W, _ = shape.split(np.concatenate([theta, target[None]]))
    G = np.sort((np.swapaxes(W, 1, 2) @ W).reshape(len(W), -1), axis=1)
    distance = np.sqrt(np.mean((G[:-1] - G[-1]) ** 2, axis=1))
    close = distance <= 0.05 * np.sqrt(np.mean(G[-1] ** 2)) + 1e-12
    return np.asarray(close)


def minima_on_grid(
    problem: Problem, grid: Float, *, seed: int = 0, starts: int, progress: Progress | None = None
) -> list[Polished]:
    """The best minimum at every S of a grid, all searched in one batch.

    Only where the surrogate is the loss itself (binary law, few features): the inputs are then the
    same at every S and only their weights differ.
    """
    f, shape = problem.features, problem.shape
    rng = np.random.default_rng([seed, f.n, shape.d])
    X = on_off(f.n)
    weights = pattern_weights(np.repeat(grid[:, None], f.n, axis=1))
    report = progress or (lambda stage, fraction: None)
    step = max(1, 2_000_000 // (starts * X.size))
    best: list[Polished] = []
    for first in range(0, len(grid), step):
        here = np.arange(first, min(first + step, len(grid)))
        base = np.concatenate(
            [random_starts(rng, shape, starts), block_starts(rng, shape, max(4, starts // 3))]
        )
        theta = np.tile(base, (len(here), 1))
        kept = _grid_descent(problem, X, weights[here], theta, len(base))
        for _ in range(2):
            more = [kicks(rng, shape, theta[:4], max(4, starts // 3)) for theta, _ in kept]
            again = _grid_descent(problem, X, weights[here], np.concatenate(more), len(more[0]))
            kept = [
                _lowest(np.concatenate([a[0], b[0]]), np.concatenate([a[1], b[1]]), 8)
                for a, b in zip(kept, again, strict=True)
            ]
        for S, (theta, _) in zip(grid[here], kept, strict=True):
            at = problem.at(float(S))
            best.append(min((polish(at, t) for t in theta[:2]), key=lambda q: q.value))
        report("searching the grid", float(here[-1] + 1) / len(grid))
    return best


def _grid_descent(
    problem: Problem, X: Float, weights: Float, theta: Float, per: int
) -> list[tuple[Float, Float]]:
    """Descend `per` models at each S together; the eight lowest distinct ones of every S."""
    which = np.repeat(np.arange(len(weights)), per)

    def descend_some(chosen: np.ndarray, iterations: int, tolerance: float) -> Float:
        def objective(t: Float, index: np.ndarray) -> tuple[Float, Float]:
            w = weights[which[chosen[index]]]
            return surrogate(t, problem.shape, X, w, problem.features.importance, problem.relu)

        theta[chosen], value = descend(objective, theta[chosen], iterations, tolerance=tolerance)
        return value

    value = descend_some(np.arange(len(theta)), 60, 1e-6)
    third = np.argsort(value.reshape(-1, per), axis=1)[:, : (per + 2) // 3]
    better = (third + per * np.arange(len(weights))[:, None]).ravel()
    value[better] = descend_some(better, 250, 1e-9)
    return [_lowest(theta[k : k + per], value[k : k + per], 8) for k in range(0, len(theta), per)]


def _lowest(theta: Float, value: Float, most: int) -> tuple[Float, Float]:
    order = _distinct(value, 1e-7, most)
    return theta[order], value[order]


def default_starts(n: int, exact: bool) -> int:
    """Random starts when none are asked for: fewer where each costs more."""
    for limit, count in ((8, 256), (12, 128)) if exact else ((3, 64), (5, 192), (8, 96), (12, 64)):
        if n <= limit:
            return count
    for limit, count in ((24, 32), (64, 16)):
        if n <= limit:
            return count
    return 8


def settle(problem: Problem, theta: Float) -> Polished:
    """Polish by Newton's method where a Hessian is affordable, else by long descent."""
    if problem.shape.size <= NEWTON_UP_TO and (
        problem.features.n <= 12 or isinstance(problem.features.law, Binary)
    ):
        return polish(problem, theta)
    down, _ = descend(problem.roughly, theta[None], 400, tolerance=1e-9)
    down, value = descend(problem, down, 200, tolerance=1e-14)
    _, grad = problem(down)
    return Polished(down[0], float(value[0]), float(np.linalg.norm(grad[0])), np.zeros(0), 0)


def _pooled(batches: list[tuple[Float, Float]]) -> tuple[Float, Float]:
    return (
        np.concatenate([theta for theta, _ in batches]),
        np.concatenate([value for _, value in batches]),
    )


def _distinct(value: Float, rtol: float, most: int) -> np.ndarray:
    """Indices of the lowest values, those equal to `rtol` counted once."""
    kept: list[int] = []
    for k in np.argsort(value, kind="stable"):
        if not np.isfinite(value[k]):
            break
        if not kept or value[k] - value[kept[-1]] > rtol * abs(value[k]):
            kept.append(int(k))
            if len(kept) == most:
                break
    return np.array(kept, dtype=int)
