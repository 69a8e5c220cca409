"""What a trained model learned, and how it got there: loss, geometry, jumps, moving directions.

measure    the exact loss of weights, a simulated one, and their geometry
jumps      a loss curve as levels: the partition into constant pieces of least squared error plus a
           price per piece (exact, by dynamic programming); a change of level is a jump if
           two levels fit better than one straight line
dynamics   from snapshots: how far directions spread, how fast the whole rotates, how the shape
           (the Gram matrix, which no rotation changes) moves, and when both have settled
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import ArrayLike

from packing.arrangement import Arrangement
from packing.errors import BadInput
from packing.recognition import Named, identify
from packing.types import Float
from theory.features import Features
from theory.losses.expected import checked, loss
from validate.experiments import HIGHEST_SEED, THRESHOLD, Measured, Setting, Trained, whole
from validate.sampling import PATTERNS, SELDOM, SURE, Sampler, generator, sampler

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
    rotation = np.array([turn(a, b) for a, b in pairs])
    last = units[-1]
    settled = None
    for i in range(len(units) - 2, -1, -1):
        if _cosine_change(units[i], last) > SETTLED or _moved(units[i], last) > SETTLED:
            break
        settled = int(steps[i])
    return Dynamics(
        steps=steps,
        spread=np.array([1.0 - float(np.sum(np.mean(u, axis=1) ** 2)) for u in units]),
        rotation=rotation,
        speed=rotation / np.diff(steps),
        shape=np.array([_cosine_change(a, b) for a, b in pairs]),
        settled=settled,
    )


def turn(A: Float, B: Float) -> float:
    """Largest angle, in degrees, of the orthogonal map that brings A (d, k) nearest to B.

    Notes
    -----
    The map is U V' of the singular value decomposition B A' = U s V' (Schoenemann 1966).
    """
    if not A.size:
        return 0.0
    u, _, v = np.linalg.svd(B @ A.T)
    return float(np.degrees(np.max(np.abs(np.angle(np.linalg.eigvals(u @ v))))))


def _cosine_change(A: Float, B: Float) -> float:
    return float(np.sqrt(np.mean((A.T @ A - B.T @ B) ** 2))) if A.size else 0.0


def _moved(A: Float, B: Float) -> float:
    """Root mean square angle, in radians, between equal columns."""
    if not A.size:
        return 0.0
    return float(np.sqrt(np.mean(np.arccos(np.clip(np.sum(A * B, axis=0), -1.0, 1.0)) ** 2)))


# Measuring. Two routes to the loss meet here: `theory.loss` integrates; `simulate` draws fresh
# samples with the samplers of `validate.sampling`, averages |x - x'|^2 and shares no line with it:
#
#     mean = sum w e / sum w,    standard error^2 = sum w (e - mean)^2 / (N (N - 1))
#
# for patterns or rows e with weights w = how often each occurs among N samples.


SAMPLES = 2**15
"""Samples drawn at a time."""

MOST = 2**20
"""Most samples of one simulation."""

ERROR = 0.02
"""A simulation ends when its standard error falls below this part of its mean."""

FRESH = 2
"""Purpose of the random numbers of a simulation: training never saw them."""


def measure(
    W: ArrayLike, b: ArrayLike | None, features: Features, *, relu: bool = True, seed: int = 0
) -> Measured:
    """Everything that is measured of the weights of one model.

    Parameters
    ----------
    W : (d, n) array
        One column per feature.
    b : (n,) array or None
        Biases; None for zeros.
    features : Features
        Chances, law and importance of the n features.
    relu : bool
        False for the linear model.
    seed : int
        Of the fresh samples of the simulated loss.

    Returns
    -------
    Measured
        ``loss`` is exact within ``error_bound`` (`theory.loss`); the rest is numerical.

    Raises
    ------
    BadInput
        If shapes disagree, a number is not finite, or the law is none that can be sampled.

    See Also
    --------
    measure_trained : the same of a model that `validate` trained, dependent features included.
    """
    W, biases = checked(W, b, features.n)
    setting = Setting(
        features.n,
        len(W),
        tuple(features.S.tolist()),
        features.law.name,
        tuple(features.importance.tolist()),
        bias=b is not None,
        relu=relu,
    )
    rng = np.random.default_rng(whole(seed, "seed", 0, HIGHEST_SEED))
    return _measured(setting, W, biases, rng)


def measure_trained(trained: Trained) -> Measured:
    """Everything that is measured of one trained model.

    Parameters
    ----------
    trained : Trained

    Returns
    -------
    Measured
        ``loss`` and ``error_bound`` are None for dependent features, and where the weights are
        beyond what can be squared. Features below `THRESHOLD` count as ignored in the name too,
        features of importance 0 as not represented. ``distance`` is the root mean square
        displacement from the named arrangement or, if a block is irregular, that from its nearest
        named one; None where nothing is near. Angles go round the plane from feature to feature,
        one per represented feature, and add up to 360 degrees.

    Notes
    -----
    Numerical; dimensionality and D* as in Elhage et al. 2022.
    """
    rng = generator(trained.run.key, FRESH)
    lost = trained.status == "diverged"
    return _measured(trained.run.setting, trained.W, trained.b, rng, lost=lost)


def _measured(
    setting: Setting, W: Float, b: Float, rng: np.random.Generator, *, lost: bool = False
) -> Measured:
    """What `measure` says; weights that are lost may be too large to have a loss."""
    exact = bound = None
    if setting.independent:
        try:
            found = loss(W, b, features=setting.features, objective=setting.objective)
            exact, bound = found.total, found.error_bound
        except BadInput:
            if not lost:
                raise
    simulated, error, samples = simulate(setting, W, b, rng)
    live = represented(setting, W)
    whole, part = Arrangement.from_weights(W), Arrangement.from_weights(np.where(live, W, 0.0))
    named = identify(part.W, exact=False)
    return Measured(
        loss=exact,
        error_bound=bound,
        simulated=simulated,
        standard_error=error,
        samples=samples,
        represented=int(np.sum(live)),
        dimensionality=whole.dimensionality,
        d_star=whole.D_star,
        max_cosine=part.max_cosine if np.sum(live) > 1 else None,
        name=named.name,
        distance=displacement(named),
        angles=angles(W[:, live]) if setting.d == 2 else np.zeros(0),
    )


def represented(setting: Setting, W: Float) -> np.ndarray:
    """Features of squared norm above `THRESHOLD` and positive importance, shape (n,)."""
    with np.errstate(over="ignore"):
        return np.asarray((np.sum(W * W, axis=0) > THRESHOLD) & (setting.features.importance > 0.0))


def displacement(named: Named) -> float | None:
    """Root mean square displacement from the named arrangement, every vector keeping its norm."""
    found = [block.nearest_distance for block in named.blocks if math.isinf(block.distance)]
    worst = max([named.noise, *found])
    return None if math.isinf(worst) else worst


def angles(W: Float) -> Float:
    """Angles between neighbours of vectors W (2, k) in the plane, in degrees, rising."""
    if W.shape[1] < 2:
        return np.zeros(0)
    place = np.sort(np.degrees(np.arctan2(W[1], W[0])))
    return np.sort(np.append(np.diff(place), 360.0 - (place[-1] - place[0])))


def simulate(
    setting: Setting, W: Float, b: Float, rng: np.random.Generator, most: int = MOST
) -> tuple[float, float, int]:
    """Loss of (W, b) on fresh samples, its standard error, and the number of samples.

    Parameters
    ----------
    setting : Setting
        Any joint law.
    W, b : (d, n) and (n,) arrays
    rng : numpy Generator
    most : int
        Samples are drawn until the standard error is below `ERROR` of the mean, at most so many.
    """
    law = sampler(setting)
    total, square, count = 0.0, 0.0, 0
    scale = 0.0  # errors are measured from here, so that squares do not cancel
    while count < most:
        x, weight = _some(law, rng, min(SAMPLES, most - count))
        with np.errstate(over="ignore", invalid="ignore"):
            z = W.T @ (W @ x) + b[:, None]
            y = np.maximum(z, 0.0) if setting.relu else z
            error = setting.features.importance @ (x - y) ** 2
            if not count:
                scale = float(np.sum(weight * error) / np.sum(weight))
            total += float(np.sum(weight * (error - scale)))
            square += float(np.sum(weight * (error - scale) ** 2))
            count += int(np.sum(weight))
            mean = scale + total / count
            spread = max(square - total * total / count, 0.0) / max(count - 1, 1)
        deviation = math.sqrt(spread / count) if math.isfinite(spread) else math.inf
        if not deviation > ERROR * abs(mean):
            break
    return mean, deviation, count


def _some(law: Sampler, rng: np.random.Generator, count: int) -> tuple[Float, Float]:
    """Samples in columns (n, R), and how often each occurs."""
    if law.law == "binary" and law.pattern_count() <= PATTERNS:
        found = list(law.patterns())
        p = np.array([chance for _, chance in found])
        weight = rng.multinomial(count, p / p.sum())
        return np.array([pattern for pattern, _ in found], dtype=float).T, weight.astype(float)
    if float(np.max(law.chance)) < SELDOM:
        # The number of rows with something on has a standard deviation of at most sqrt(count) / 2.
        room = count * law.active + SURE * math.sqrt(count)
        out = np.zeros((1, law.n + 1, min(count, int(room))))
        active = int(law.rows(rng, 1, count, out)[0])
        x = np.zeros((law.n, active + 1))
        x[:, :active] = out[0, : law.n, :active]
        return x, np.append(np.ones(active), float(count - active))
    u = torch.from_numpy(rng.random((law.cells, count)))
    return law.dense(u).numpy(), np.ones(count)


__all__ = [
    "Dynamics",
    "Jump",
    "angles",
    "displacement",
    "dynamics",
    "jumps",
    "measure",
    "measure_trained",
    "represented",
    "simulate",
]
