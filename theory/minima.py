"""Global search for minima: wide on a surrogate, then on the exact loss.

`minima` searches at one S, `minima_on_grid` at many S in one batch where the surrogate is the loss
itself. Both return stationary points that `theory.exact.polish` has settled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from packing.descent import descend
from theory.exact import Polished, Problem, polish
from theory.features import Binary, Float, Uniform
from theory.rows.patterns import on_off, pattern_weights
from theory.search import (
    Real,
    Shape,
    block_starts,
    cloud_for,
    kicks,
    random_starts,
    surrogate,
)

Progress = Callable[[str, float], None]

_ROUNDS = 24  # of kicks, at most, where features differ
NEWTON_UP_TO = 110  # parameters; beyond, Hessians cost more than they tell


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
