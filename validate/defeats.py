"""Defeats: a trained model whose exact loss lies below the predicted optimum refutes it.

    loss + error bound < predicted - rounding

with the error bound of the trained model's exact loss, and how far the predicted loss may be from
that of its own minimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from validate import predict
from validate.quantities import Model
from validate.runs import Measured, Setting, Trained


@dataclass(frozen=True, eq=False)
class Defeat:
    """A trained model that is better than the predicted optimum."""

    key: str
    setting: Setting
    loss: float
    error_bound: float
    predicted: float
    rounding: float
    model: Model


def defeat_of(trained: Trained, measured: Measured) -> Defeat | None:
    """The defeat that a model is, if its exact loss lies below the predicted optimum."""
    setting = trained.run.setting
    if measured.loss is None or not setting.independent or not np.isfinite(measured.loss):
        return None
    right = predict.truth(setting)
    return below((trained, measured), right.loss, right.rounding)


def below(model: Model, predicted: float, rounding: float) -> Defeat | None:
    """The defeat that a model is beside a predicted loss."""
    trained, measured = model
    if measured.loss is None or not np.isfinite(measured.loss):
        return None
    bound = measured.error_bound or 0.0
    if not measured.loss + bound < predicted - rounding:
        return None
    return Defeat(
        key=trained.run.key,
        setting=trained.run.setting,
        loss=measured.loss,
        error_bound=bound,
        predicted=predicted,
        rounding=rounding,
        model=model,
    )


__all__ = ["Defeat", "below", "defeat_of"]
