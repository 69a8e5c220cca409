"""Toy models, trained and measured: `train`, and what it returns.

Every model of one call has the same setting and recipe and a seed of its own, so that what training
finds by chance can be told from what it always finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from packing.plotting import new_figure
from packing.results import Result, Table, shown
from packing.types import Float, Progress
from validate.experiments import HIGHEST_SEED, Measured, Model, Recipe, Run, Setting, whole
from validate.runner import ready

MOST_MODELS = 10**6
"""Models of one call beyond which a number is a slip of the finger."""


@dataclass(frozen=True, eq=False, repr=False)
class TrainedModels(Result):
    """K models of one setting and recipe.

    Parameters
    ----------
    models : tuple of (Trained, Measured)
        In the order of their seeds.
    """

    models: tuple[Model, ...]

    @property
    def setting(self) -> Setting:
        """What was trained."""
        return self.models[0][0].run.setting

    @property
    def recipe(self) -> Recipe:
        """How it was trained."""
        return self.models[0][0].run.recipe

    @property
    def W(self) -> Float:
        """Weights, shape (K, d, n)."""
        return np.stack([trained.W for trained, _ in self.models])

    @property
    def b(self) -> Float:
        """Biases, shape (K, n)."""
        return np.stack([trained.b for trained, _ in self.models])

    @property
    def losses(self) -> Float:
        """Exact expected losses, shape (K,); NaN where there is none (dependent features)."""
        return np.array([np.nan if m.loss is None else m.loss for _, m in self.models])

    @property
    def curves(self) -> tuple[Float, ...]:
        """Learning curves: step and loss of its batch, one (T, 2) array a model."""
        return tuple(trained.curve for trained, _ in self.models)

    @property
    def best(self) -> int:
        """Place of the model of least exact loss, of least simulated loss where there is none."""
        return int(np.argmin([least_loss(measured) for _, measured in self.models]))

    def _values(self) -> dict[str, Any]:
        trained, measured = zip(*self.models, strict=True)
        first = trained[0].run.body
        return {
            "setting": first["setting"],
            "recipe": first["recipe"],
            "seeds": [one.run.seed for one in trained],
            "status": [one.status for one in trained],
            "losses": self.losses,
            "error_bounds": [one.error_bound for one in measured],
            "simulated": [one.simulated for one in measured],
            "names": [one.name for one in measured],
            "best": self.best,
            "W": self.W,
            "b": self.b,
            "curves": list(self.curves),
        }

    def _facts(self) -> list[tuple[str, str]]:
        setting, (_, best) = self.setting, self.models[self.best]
        values = len({measured.name for _, measured in self.models})
        return [
            ("models", f"{len(self.models)} of n = {setting.n}, d = {setting.d}, {setting.law}"),
            ("least loss", shown(least_loss(best))),
            ("best model", best.name),
            ("arrangements", f"{values} different"),
        ]

    def _tables(self) -> list[Table]:
        measured = ("loss", "error_bound", "simulated", "represented", "name")
        rows = [
            [t.run.seed, t.status, t.steps, *(getattr(m, name) for name in measured)]
            for t, m in self.models
        ]
        return [
            Table(
                "Trained models", ("seed", "status", "steps", *measured), rows, {"error_bound": 2}
            )
        ]

    def plot(self, ax: Any = None) -> Any:
        """The learning curves, and the exact loss of the best model as a line."""
        ax = new_figure(6.0, 4.0).add_subplot() if ax is None else ax
        for curve in self.curves:
            ax.plot(*curve.T, lw=0.8, alpha=0.6)
        ax.axhline(least_loss(self.models[self.best][1]), ls="--", lw=1.0, color="black")
        ax.set(xlabel="step", ylabel="loss", xscale="log", yscale="log")
        return ax


def least_loss(measured: Measured) -> float:
    """The exact loss of a model, or the simulated one where theory speaks of none."""
    return measured.simulated if measured.loss is None else measured.loss


def train(
    n: int,
    d: int,
    S: float | Sequence[float],
    *,
    law: str = "binary",
    importance: Sequence[float] | None = None,
    bias: bool = True,
    relu: bool = True,
    joint: str = "independent",
    models: int = 8,
    steps: int = 4000,
    batch: int = 1024,
    lr: float = 1e-2,
    seed: int = 0,
    engine: str = "auto",
    device: str = "auto",
    progress: Progress | None = None,
    **recipe: Any,
) -> TrainedModels:
    """Train toy models x -> ReLU(W^T W x + b) with Adam on fresh samples, and measure them.

    Parameters
    ----------
    n, d : int
        Features and hidden dimensions.
    S : float or sequence of n floats
        Chance that a feature is on, in (0, 1]; Elhage et al.'s sparsity is 1 - S.
    law : {"binary", "uniform", "exponential"}
        Value of a feature that is on.
    importance : sequence of n floats, optional
        Weights of the features in the loss, all 1 unless given.
    bias, relu : bool
    joint : str
        Which features are on together (`validate.experiments.Setting`).
    models : int
        K, models that are trained; model k has the seed ``seed + k``.
    steps, batch : int
        Updates, and samples in each.
    lr : float
        Largest learning rate.
    seed : int
        Of the first model. A model depends on its seed, not on the others.
    engine : {"auto", "torch", "numba", "cuda"}
        What does the arithmetic; auto takes what was measured to be faster.
    device : {"auto", "cpu", "cuda"}
        Where to train; auto takes CUDA where there is one.
    progress : callable, optional
        ``progress(stage, fraction)``.
    **recipe
        Everything else a `validate.experiments.Recipe` holds: schedule, warmup, betas,
        weight_decay, dtype, init, plateau, snapshots.

    Returns
    -------
    TrainedModels
        Weights (K, d, n), biases (K, n), exact losses (K,), learning curves, names. The losses are
        exact within their error bounds (`theory.loss`) whatever training did; that training found
        a minimum is not promised.

    Raises
    ------
    BadInput
        If a value is out of range, torch is not installed, or the device or the engine is missing.

    Examples
    --------
    >>> from validate import train
    >>> found = train(5, 2, 0.05, models=4, steps=2000)  # doctest: +SKIP
    >>> found.models[found.best][1].name  # doctest: +SKIP
    'pentagon'
    """
    setting = Setting(n, d, S, law, importance, bias, relu, joint)  # type: ignore[arg-type]
    how = Recipe(steps, batch, lr, **recipe)
    count = whole(models, "models", 1, MOST_MODELS)
    first = whole(seed, "seed", 0, HIGHEST_SEED - count + 1)
    runs = [Run(setting, how, first + k) for k in range(count)]
    where = ready(device)
    # Only now is it sure that torch is there.
    from validate.measurement import measure_trained
    from validate.training import trainer

    done = trainer.train(runs, device=where, engine=engine, progress=progress)
    return TrainedModels(tuple((one, measure_trained(one)) for one in done))
