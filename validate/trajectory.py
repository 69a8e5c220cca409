"""Quantities along training: what snapshots say about how the weights got where they are.

path      training follows Adam on the exact loss from the same start: no samples, no torch
settled   the Gram matrix at half of the steps is already the last one, up to relabelling
turned    from where the Gram matrix has settled, the vectors do not rotate: the loss depends on
          W^T W alone, so its gradient never turns the vectors as a whole

The path is the sharpest: the mean over snapshots of |ln(loss / loss on the exact path)|. A model
near a saddle may leave it to another side than its exact twin, so the median over models counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from packing.types import Float
from theory.global_search import Problem, Shape
from validate.experiments import Recipe, Setting
from validate.predict import Model, Quantity, Sample, Truth, distance
from validate.statistics import Estimate, median

NEAR = 0.05
"""Distance of Gram matrices, relative, below which a shape counts as settled."""


def exact_path(
    setting: Setting, recipe: Recipe, W: Float, b: Float, steps: Sequence[int]
) -> tuple[Float, Float]:
    """Adam on the exact expected loss from K starting points.

    Parameters
    ----------
    setting : Setting
    recipe : Recipe
        Its learning rates and betas; batch and seed mean nothing here.
    W, b : (K, d, n) and (K, n) arrays
        Where training starts.
    steps : sequence of int
        Rising; when to look.

    Returns
    -------
    W, b : (T, K, d, n) and (T, K, n) arrays
        After those steps.
    """
    return _path(
        setting,
        recipe,
        (W.shape[0], W.shape[1], W.shape[2]),
        np.asarray(W, dtype=float).tobytes(),
        np.asarray(b, dtype=float).tobytes(),
        tuple(steps),
    )


@lru_cache(maxsize=32)
def _path(
    setting: Setting,
    recipe: Recipe,
    shape: tuple[int, int, int],
    weights: bytes,
    biases: bytes,
    steps: tuple[int, ...],
) -> tuple[Float, Float]:
    """The path itself, kept: controls and pictures ask for the same ones again."""
    W = np.frombuffer(weights).reshape(shape)
    b = np.frombuffer(biases).reshape(shape[0], shape[2])
    problem = Problem(setting.features, Shape(setting.n, setting.d, setting.bias), setting.relu)
    theta = problem.shape.join(W, b)
    first, second = np.zeros_like(theta), np.zeros_like(theta)
    wanted, found = set(steps), []
    for step in range(max(steps) + 1):
        if step in wanted:
            found.append(problem.shape.split(theta))
        gradient = problem(theta)[1]
        t = step + 1
        first = recipe.betas[0] * first + (1.0 - recipe.betas[0]) * gradient
        second = recipe.betas[1] * second + (1.0 - recipe.betas[1]) * gradient**2
        unbiased = second / (1.0 - recipe.betas[1] ** t)
        move = first / (1.0 - recipe.betas[0] ** t) / (np.sqrt(unbiased) + 1e-8)
        theta = theta * (1.0 - rate(recipe, step) * recipe.weight_decay) - rate(recipe, step) * move
    return np.array([w for w, _ in found]), np.array([c for _, c in found])


def rate(recipe: Recipe, step: int) -> float:
    """Learning rate of a step, counted from 0."""
    if step < recipe.warmup:
        return recipe.lr * (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    if recipe.schedule == "linear":
        return recipe.lr * (1.0 - done)
    if recipe.schedule == "cosine":
        return recipe.lr * 0.5 * (1.0 + math.cos(math.pi * done))
    return recipe.lr


def losses_along(setting: Setting, W: Float, b: Float) -> Float:
    """Exact losses (T, K) of weights W (T, K, d, n), b (T, K, n)."""
    problem = Problem(setting.features, Shape(setting.n, setting.d, True), setting.relu)
    flat = problem.shape.join(W.reshape(-1, *W.shape[2:]), b.reshape(-1, b.shape[-1]))
    return problem(flat)[0].reshape(W.shape[:2])


def rotation(A: Float, B: Float) -> float:
    """Largest angle, in degrees, of the orthogonal map that brings A (d, k) nearest to B.

    Notes
    -----
    The map is U V' of the singular value decomposition B A' = U s V' (Schoenemann 1966).
    """
    if not A.size:
        return 0.0
    u, _, v = np.linalg.svd(B @ A.T)
    return float(np.degrees(np.abs(np.angle(np.linalg.eigvals(u @ v))).max()))


def turned(model: Model) -> float:
    """Rotation from where the Gram matrix has settled to the end, degrees."""
    weights = [W for _, W, _ in model[0].snapshots]
    last = model[0].W
    settled = len(weights)
    while settled and _gram(weights[settled - 1], last) < NEAR:
        settled -= 1
    return rotation(weights[settled], last) if settled < len(weights) else 0.0


def _gram(A: Float, B: Float) -> float:
    """Difference of Gram matrices, features in their order, relative."""
    size = float(np.linalg.norm(B.T @ B))
    return float(np.linalg.norm(A.T @ A - B.T @ B)) / max(size, 1e-300)


def _settled(model: Model) -> float:
    half = model[0].steps / 2
    _, W, _ = min(model[0].snapshots, key=lambda x: abs(x[0] - half))
    return distance(W, model[0].W)


def _paths(truth: Truth, sample: Sample, alpha: float) -> Estimate:
    return median(deviations(truth.setting, sample.best), alpha)


def deviations(read: Setting, models: Sequence[Model]) -> Float:
    """For each model, the mean of |ln(its loss / loss on the exact path)| over its snapshots.

    ``read`` is the setting whose exact loss is followed; losses are measured at the trained one.
    """
    run = models[0][0].run
    steps = [step for step, _, _ in models[0][0].snapshots]
    W = np.array([[w for _, w, _ in t.snapshots] for t, _ in models]).swapaxes(0, 1)
    b = np.array([[c for _, _, c in t.snapshots] for t, _ in models]).swapaxes(0, 1)
    start = b[0] if read.bias else np.zeros_like(b[0])
    exact = exact_path(read, run.recipe, W[0], start, steps)
    at = replace(run.setting, bias=True)
    ratio = np.log(losses_along(at, W, b)[1:] / losses_along(at, *exact)[1:])
    return np.mean(np.abs(ratio), axis=0)


def _zero(truth: Truth, sample: Sample) -> float:
    return 0.0


def _apart(right: Truth, wrong: Truth, sample: Sample) -> float:
    """How far apart the exact paths of two readings are, for the sample's starts."""
    run = sample.best[0][0].run
    starts = [t.snapshots[0] for t, _ in sample.best]
    steps = [step for step, _, _ in sample.best[0][0].snapshots]
    W, b = np.array([w for _, w, _ in starts]), np.array([c for _, _, c in starts])
    at = replace(right.setting, bias=True)
    found = []
    for truth in (right, wrong):
        begin = b if truth.setting.bias else np.zeros_like(b)
        path = exact_path(truth.setting, run.recipe, W, begin, steps)
        found.append(np.log(losses_along(at, *path)[1:]))
    return float(np.median(np.mean(np.abs(found[1] - found[0]), axis=0)))


def _of(value: Callable[[Model], float]) -> Callable[[Truth, Sample, float], Estimate]:
    def measured(truth: Truth, sample: Sample, alpha: float) -> Estimate:
        return median([value(model) for model in sample.best], alpha)

    return measured


ALONG = {
    "path": Quantity("of ln loss", _zero, _paths, _apart),
    "settled": Quantity("of |G|", _zero, _of(_settled)),
    "turned": Quantity("degrees", _zero, _of(turned)),
}
"""Quantities along training; their cells keep snapshots, the first before any step."""
