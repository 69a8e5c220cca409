"""Do two engines train alike? The statistical part of the answer, with tolerances fixed beforehand.

Given the same samples, engines agree to rounding (`Engine.follow`). On samples of their own they
can agree in distribution only. From equal first weights, K models are trained by each; of what
comes out

    loss       of the final weights on a fixed set of samples
    D*         d / |W|^2
    cosine     the largest between two represented features
    curve      loss of the weights after some steps on the way

the first three must have distributions that differ nowhere by more than TOLERANCE in probability
(Kolmogorov's distance; its interval from the inequality of Dvoretzky, Kiefer, Wolfowitz and Massart
1990, which holds for every law and every K), and the mean of the last must differ by less than
CURVE of itself (differences in pairs, from equal first weights; Student's interval). Nothing passes
because it is noisy: the whole interval has to lie inside, all of them together with 99%.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from packing.types import Float
from validate.experiments import THRESHOLD, Recipe, Run, Setting, Trained
from validate.sampling import sampler
from validate.training.trainer import train

TOLERANCE = 0.15
"""Largest difference of the chances of one event under the two engines."""

CURVE = 0.03
"""Largest relative difference of mean losses along the way."""

MISS = 0.01
"""Chance that one of the intervals misses."""

SAMPLES = 8192
"""Samples on which losses are looked at; the same for all models of a case."""

_RECIPE = Recipe(600, batch=128, snapshots=5, lr=2e-2)

CASES: dict[str, tuple[Setting, Recipe]] = {
    "patterns, binary": (Setting(5, 2, 0.1), _RECIPE),
    "patterns, uniform": (Setting(5, 2, 0.2, "uniform"), _RECIPE),
    "gaps, uniform": (Setting(12, 3, 0.05, "uniform"), _RECIPE),
    "gaps, unequal S and importance": (
        Setting(
            11,
            3,
            tuple(0.02 * (k + 1) for k in range(11)),
            importance=tuple(0.9**k for k in range(11)),
        ),
        _RECIPE,
    ),
    "dense, exponential": (Setting(12, 3, 0.4, "exponential"), _RECIPE),
    "together, binary": (Setting(6, 2, 0.1, joint="together:2"), _RECIPE),
    "apart, uniform": (Setting(6, 2, 0.1, "uniform", joint="apart:2"), _RECIPE),
    "no ReLU, weight decay, warmup": (
        Setting(4, 2, 0.3, relu=False),
        replace(_RECIPE, weight_decay=0.05, warmup=50, schedule="linear"),
    ),
}
"""What is trained: every way of drawing samples, and every part of a recipe that a step sees."""


@dataclass(frozen=True)
class Agreement:
    """One comparison of two engines.

    Parameters
    ----------
    case, quantity : str
    models : int
        Trained by each.
    difference : float
        Seen: Kolmogorov's distance, or the relative difference of means.
    interval : (float, float)
        Holds together with all others with 99%.
    tolerance : float
    """

    case: str
    quantity: str
    models: int
    difference: float
    interval: tuple[float, float]
    tolerance: float

    @property
    def verdict(self) -> str:
        """``agree``: the interval lies inside; ``disagree``: outside; else ``inconclusive``."""
        low, high = self.interval
        if max(abs(low), abs(high)) <= self.tolerance:
            return "agree"
        if low > self.tolerance or high < -self.tolerance:
            return "disagree"
        return "inconclusive"


def equivalence(
    engine: str,
    *,
    reference: str = "torch",
    device: str = "cpu",
    models: int = 4096,
    seed: int = 0,
    cases: Sequence[str] | None = None,
    control: float = 1.0,
    tolerance: float = TOLERANCE,
    curve: float = CURVE,
) -> list[Agreement]:
    """Compare an engine with the reference.

    Parameters
    ----------
    engine, reference : str
        Names of engines.
    device : str
        Where the engine under test trains; the reference trains on the CPU.
    models : int
        Models of each engine in each case.
    seed : int
        First seed.
    cases : sequence of str, optional
        Some of `CASES`.
    control : float
        The engine under test gets S times this: the comparison must notice.
    tolerance, curve : float

    Returns
    -------
    list of Agreement
    """
    chosen = list(CASES if cases is None else cases)
    count = sum(3 + len(_looked(CASES[name][1])) for name in chosen)
    found = []
    for name in chosen:
        setting, recipe = CASES[name]
        seeds = range(seed, seed + models)
        S = setting.S
        other = tuple(control * s for s in S) if isinstance(S, tuple) else control * S
        one = _reference(name, seed, models, reference)
        # First weights are drawn from a run's key: they are equal where the runs are.
        two = train(
            [Run(replace(setting, S=other), recipe, k) for k in seeds], device=device, engine=engine
        )
        x = sampler(setting).draw(np.random.default_rng(7), SAMPLES).T
        found += _compared(name, one, two, x, MISS / count, tolerance, curve)
    return found


@lru_cache(maxsize=1)
def _reference(name: str, seed: int, models: int, engine: str) -> list[Trained]:
    """Models of the reference; a control asks for them again."""
    runs = [Run(*CASES[name], k) for k in range(seed, seed + models)]
    return train(runs, device="cpu", engine=engine)


def _compared(
    name: str,
    one: Sequence[Trained],
    two: Sequence[Trained],
    x: Float,
    alpha: float,
    tolerance: float,
    curve: float,
) -> list[Agreement]:
    from scipy.stats import t as student

    K, found = len(one), []
    quantities: dict[str, Callable[[Trained], float]] = {
        "loss": lambda t: _loss(t.run.setting, t.W, t.b, x),
        "D*": lambda t: t.W.shape[0] / float(np.sum(t.W**2)),
        "cosine": lambda t: _cosine(t.W),
    }
    # Each of the two distributions is known to this with chance 1 - alpha / 2.
    reach = 2.0 * math.sqrt(math.log(4.0 / alpha) / (2.0 * K))
    for quantity, of in quantities.items():
        a, b = np.sort([of(t) for t in one]), np.sort([of(t) for t in two])
        at = np.concatenate([a, b])
        gap = np.searchsorted(a, at, "right") - np.searchsorted(b, at, "right")
        far = float(np.abs(gap).max()) / K
        span = (max(0.0, far - reach), far + reach)
        found.append(Agreement(name, quantity, K, far, span, tolerance))
    for place in _looked(one[0].run.recipe):
        step = one[0].snapshots[place][0]
        a, b = (
            np.array([_loss(one[0].run.setting, *t.snapshots[place][1:], x) for t in group])
            for group in (one, two)
        )
        apart = (b - a) / a.mean()
        mean, error = float(apart.mean()), float(apart.std(ddof=1)) / math.sqrt(K)
        reach_ = float(student.ppf(1.0 - alpha / 2.0, K - 1)) * error
        span = (mean - reach_, mean + reach_)
        found.append(Agreement(name, f"curve at {step}", K, mean, span, curve))
    return found


def _looked(recipe: Recipe) -> range:
    """Which snapshots are compared: not the first, which is equal, and the last is the end."""
    return range(2, recipe.snapshots)


def _loss(setting: Setting, W: Float, b: Float, x: Float) -> float:
    z = W.T @ (W @ x) + b[:, None]
    y = np.maximum(z, 0.0) if setting.relu else z
    return float(setting.features.importance @ np.mean((x - y) ** 2, axis=1))


def _cosine(W: Float) -> float:
    """Largest cosine between represented features; -1 where there are fewer than two."""
    norms = np.linalg.norm(W, axis=0)
    shown = norms**2 > THRESHOLD
    if np.sum(shown) < 2:
        return -1.0
    unit = W[:, shown] / norms[shown]
    C = unit.T @ unit
    return float(C[~np.eye(len(C), dtype=bool)].max())


__all__ = ["CASES", "Agreement", "equivalence"]
