"""Models as training would leave them, made without training: optima with noise on the weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from packing.arrangement import Arrangement
from packing.types import Float
from theory.losses.expected import loss
from validate.experiments import THRESHOLD, Measured, Run, Trained
from validate.predict import Model, truth
from validate.suites import Suite


def measured_of(run: Run, W: Float, b: Float, name: str, error: float = 1e-3) -> Measured:
    """What measuring finds, with a simulated loss of that relative standard error."""
    setting = run.setting
    rng = np.random.default_rng([run.seed, 5])
    found = loss(W, b, features=setting.features, objective=setting.objective)
    shape = Arrangement.from_weights(W)
    shown = np.flatnonzero(shape.norms**2 > THRESHOLD)
    C = shape.cosines[np.ix_(shown, shown)]
    return Measured(
        loss=found.total,
        error_bound=found.error_bound,
        simulated=found.total * (1.0 + error * rng.standard_normal()),
        standard_error=found.total * error,
        samples=1000,
        represented=len(shown),
        dimensionality=shape.dimensionality,
        d_star=W.shape[0] / float(np.sum(W**2)),
        max_cosine=float(C[~np.eye(len(shown), dtype=bool)].max()) if len(shown) > 1 else None,
        name=name,
        distance=0.0,
    )


def model_of(run: Run, W: Float, b: Float, name: str = "none", error: float = 1e-3) -> Model:
    """A finished model with those weights."""
    curve = np.column_stack([np.arange(1.0, 5.0), np.linspace(1.0, 0.5, 4)])
    trained = Trained(run, W, b, curve, (), "finished", run.recipe.steps, "cpu", 0.1)
    return trained, measured_of(run, W, b, name, error)


def near_optimum(suite: Suite, noise: float = 1e-3) -> list[Model]:
    """For every run of a suite, its predicted optimum, turned, relabelled and disturbed."""
    return [_near(run, noise) for run in suite.runs]


def _near(run: Run, noise: float) -> Model:
    rng = np.random.default_rng([run.seed, run.setting.n])
    best = truth(run.setting)
    turn = np.linalg.qr(rng.standard_normal((run.setting.d, run.setting.d)))[0]
    order = rng.permutation(run.setting.n)
    W = turn @ best.W[:, order] + noise * rng.standard_normal(best.W.shape)
    b = best.b[order] + noise * rng.standard_normal(len(best.b)) * run.setting.bias
    return model_of(run, W, b, best.name)


def changed(models: list[Model], change: Callable[[Run, Float, Float], Model]) -> list[Model]:
    """The same runs with other weights."""
    return [change(t.run, t.W.copy(), t.b.copy()) for t, _ in models]
