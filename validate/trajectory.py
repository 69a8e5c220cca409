"""Training along the way: what learning curves and snapshots say about how weights got there.

jumps     a learning curve as energy levels, and where it falls from one to the next
dynamics  from snapshots: how far directions spread, how fast the whole rotates, how the shape (the
          Gram matrix, which no rotation changes) moves, and when both have settled
path      training follows Adam on the exact loss from the same start: no samples, no torch
settled   the Gram matrix at half of the steps is already the last one, up to relabelling
turned    from where the Gram matrix has settled, the vectors do not rotate: the loss depends on
          W^T W alone, so its gradient never turns the vectors as a whole

The last three are quantities that suites check. The path is the sharpest: the mean over snapshots
of |ln(loss / loss on the exact path)|. A model near a saddle may leave it to another side than its
exact twin, so the median over models counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from packing.errors import BadInput
from packing.types import Float
from theory.global_search import Problem, Shape
from validate.experiments import Recipe, Setting
from validate.predict import Truth, distance
from validate.quantities import Model, Quantity, Sample
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


# Learning curves as levels: the partition into constant pieces of least squared error plus a price
# per piece (exact, by dynamic programming). A change of level is a jump if two levels fit better
# than one straight line.


PRICE = 4.0
"""A further level must reduce the squared error by this times ln T noise variances: BIC asks for 2
(a level and a place); twice that, since noise along a curve is a little correlated."""

SETTLED = 0.05
"""Cosines within this of the last ones, root mean square, have settled; angles within it, in
radians, too."""


@dataclass(frozen=True)
class Jump:
    """A sudden fall of the loss.

    Parameters
    ----------
    step : float
        Where, between the last step of one level and the first of the next.
    before, after : float
        Geometric mean losses of the two levels.
    """

    step: float
    before: float
    after: float


def jumps(steps: ArrayLike, losses: ArrayLike, *, least: float = 0.05) -> tuple[Jump, ...]:
    """The energy-level jumps of a learning curve (Elhage et al. 2022, section on dynamics).

    Parameters
    ----------
    steps, losses : (T,) arrays
        Rising steps and positive losses, as in `Trained.curve`; T up to some thousand.
    least : float
        Relative fall below which a change of level is no jump.

    Returns
    -------
    tuple of Jump

    Raises
    ------
    BadInput
        If the arrays do not match, or a loss is not positive and finite.

    Notes
    -----
    Numerical. The noise of ln loss is estimated from second differences, which levels and slow
    falls leave alone. A fall that a straight line of ln loss describes as well is no jump.
    """
    at, y = np.asarray(steps, dtype=float), np.asarray(losses, dtype=float)
    if at.ndim != 1 or at.shape != y.shape:
        raise BadInput(f"steps {at.shape} and losses {y.shape} differ: give two (T,) arrays")
    if not np.all(np.isfinite(y)) or np.any(y <= 0.0):
        raise BadInput("a loss is not positive and finite: give those before the run diverged")
    if len(y) < 4:
        return ()
    y = np.log(y)
    second = np.abs(np.diff(y, 2))
    noise = max(float(np.median(second)) / (0.6745 * math.sqrt(6.0)), 1e-6)
    price = PRICE * noise * noise * math.log(len(y))
    ends = _levels(y, price)
    pieces = [(a, b) for a, b in pairwise(ends) if b - a > 2]
    found = []
    for (a, b), (c, d) in pairwise(pieces):
        before, after = float(np.mean(y[a:b])), float(np.mean(y[c:d]))
        sudden = _bend(np.concatenate([y[a:b], y[c:d]]), b - a) > price
        if before - after > -math.log1p(-least) and sudden:
            where = float(at[b - 1] + at[c]) / 2.0
            found.append(Jump(where, math.exp(before), math.exp(after)))
    return tuple(found)


def _levels(y: Float, price: float) -> list[int]:
    """Ends of the pieces of the best piecewise constant fit, 0 and T included."""
    T = len(y)
    one = np.concatenate([[0.0], np.cumsum(y)])
    two = np.concatenate([[0.0], np.cumsum(y * y)])
    best, last = np.zeros(T + 1), np.zeros(T + 1, dtype=int)
    best[0] = -price
    for end in range(1, T + 1):
        start = np.arange(end)
        error = two[end] - two[:end] - (one[end] - one[:end]) ** 2 / (end - start)
        cost = best[:end] + error + price
        last[end] = int(np.argmin(cost))
        best[end] = cost[last[end]]
    ends = [T]
    while ends[-1] > 0:
        ends.append(int(last[ends[-1]]))
    return ends[::-1]


def _bend(y: Float, at: int) -> float:
    """By how much two levels, changing at `at`, fit better than one straight line."""
    t = np.arange(len(y)) - (len(y) - 1) / 2.0
    line = y - np.mean(y) - t * float(t @ y / (t @ t))
    low, high = y[:at] - np.mean(y[:at]), y[at:] - np.mean(y[at:])
    return float(line @ line - low @ low - high @ high)


@dataclass(frozen=True, eq=False)
class Dynamics:
    """How the directions of a model moved while it trained.

    Parameters
    ----------
    steps : (T,) array
        Of the snapshots.
    spread : (T,) array
        Variance of the directions, 1 - |mean of W_i / |W_i||^2: 0 if all are equal, 1 if they
        balance. Features that end up ignored are left out, here and below.
    rotation : (T - 1,) array
        Angle in degrees of the orthogonal map that brings one snapshot nearest to the next: the
        largest over its planes.
    speed : (T - 1,) array
        The same per step.
    shape : (T - 1,) array
        Root mean square change of the cosines between one snapshot and the next.
    settled : int or None
        First step from which cosines and directions stay within `SETTLED` of the last ones; None
        if only the last snapshot is.
    """

    steps: Float
    spread: Float
    rotation: Float
    speed: Float
    shape: Float
    settled: int | None


def dynamics(snapshots: Sequence[tuple[int, Float, Float]], *, least: float = 0.1) -> Dynamics:
    """How directions spread, rotate and settle.

    Parameters
    ----------
    snapshots : sequence of (step, W, b)
        As in `Trained.snapshots`; two or more, of models (d, n).
    least : float
        Norm in the last snapshot from which a feature counts.

    Raises
    ------
    BadInput
        If there are fewer than two snapshots.
    """
    if len(snapshots) < 2:
        raise BadInput(f"{len(snapshots)} snapshots: give two or more (Recipe.snapshots)")
    live = np.linalg.norm(snapshots[-1][1], axis=0) > least
    units = []
    for _, W, _ in snapshots:
        part = W[:, live]
        units.append(part / np.maximum(np.linalg.norm(part, axis=0), 1e-300))
    steps = np.array([float(step) for step, _, _ in snapshots])
    pairs = list(pairwise(units))
    turns = np.array([rotation(a, b) for a, b in pairs])
    last = units[-1]
    settled = None
    for i in range(len(units) - 2, -1, -1):
        if _cosine_change(units[i], last) > SETTLED or _moved(units[i], last) > SETTLED:
            break
        settled = int(steps[i])
    return Dynamics(
        steps=steps,
        spread=np.array([1.0 - float(np.sum(np.mean(u, axis=1) ** 2)) for u in units]),
        rotation=turns,
        speed=turns / np.diff(steps),
        shape=np.array([_cosine_change(a, b) for a, b in pairs]),
        settled=settled,
    )


def _cosine_change(A: Float, B: Float) -> float:
    return float(np.sqrt(np.mean((A.T @ A - B.T @ B) ** 2))) if A.size else 0.0


def _moved(A: Float, B: Float) -> float:
    """Root mean square angle, in radians, between equal columns."""
    if not A.size:
        return 0.0
    return float(np.sqrt(np.mean(np.arccos(np.clip(np.sum(A * B, axis=0), -1.0, 1.0)) ** 2)))
