"""Batches of models on the exact loss: values, gradients, Hessians, and the polish that uses them.

`theory.loss` answers for one model with every detail; the optimiser asks for thousands of values,
so here the rows of many models go to an engine in one call.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from packing.descent import descend
from theory.features import Binary, Features, Float
from theory.loss import engine
from theory.rows.patterns import on_off, pattern_weights
from theory.search import Shape

# Steps of the Hessian's central differences: the first balances eps / h against h^2; finer ones are
# for small S, where the curvature by a bias jumps by a factor 1 / S at a bias near 0.
_STEPS = (4e-6, 3e-8, 5e-10)


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
