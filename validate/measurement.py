"""What a trained model learned: its exact loss, a simulated one, and its geometry.

Two routes to the loss meet here. `theory.loss` integrates; `simulate` draws fresh samples with the
samplers of `validate.sampling`, averages |x - x'|^2 and shares no line with it:

    mean = sum w e / sum w,    standard error^2 = sum w (e - mean)^2 / (N (N - 1))

for patterns or rows e with weights w = how often each occurs among N samples.
"""

from __future__ import annotations

import math

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
