"""Laws without an exact form: the same questions answered by numbers, and said to be numerical."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from packing.errors import BadInput
from theory.closed_form.binary import Minimum
from theory.features import law_named
from theory.loss import engine

if TYPE_CHECKING:
    from theory.closed_form.form import ClosedForm

LARGEST = 1024
"""Features of a block up to which numbers are computed here."""


def loss(form: ClosedForm, rho: float, bias: float, S: float) -> float:
    """Loss per feature by the engines of `theory.loss`, to about 1e-7; numerical."""
    return _loss(form, rho, bias, S)[0]


def _loss(form: ClosedForm, rho: float, bias: float, S: float) -> tuple[float, float, float]:
    """The loss and its slopes by rho and bias."""
    if form.row.n > LARGEST:
        raise BadInput(f"{form.row.n} features are too many for numbers: at most {LARGEST}")
    if S == 0.0:
        return max(bias, 0.0) ** 2, 0.0, 2.0 * max(bias, 0.0)
    cosines = [float(form.row.field.ball(c).mid()) for c in form.row.cosines]
    row = np.concatenate([[1.0], np.repeat(cosines, form.row.counts)])
    p = np.full((1, row.size), S)
    answer = engine(
        rho * row[None, :],
        np.array([bias]),
        np.zeros(1, dtype=int),
        p,
        law_named(form.law),
        gradient=True,
    )[1]
    assert answer.dA is not None and answer.db is not None
    return float(answer.value[0]), float(answer.dA[0] @ row), float(answer.db[0])


def minimum(form: ClosedForm, S: float) -> Minimum:
    """The least loss found from several starts; numerical, nothing is enclosed."""
    import flint
    from scipy.optimize import minimize

    law = law_named(form.law)
    best: tuple[float, float, float] | None = None
    for rho, bias in ((1.0, 0.0), (0.3, law.mean * S), (1.2, -0.2), (0.6, 0.1)):
        found = minimize(
            lambda at: (lambda value: (value[0], np.array([value[1] * np.exp(at[0]), value[2]])))(
                _loss(form, float(np.exp(at[0])), float(at[1]), S)
            ),
            np.array([np.log(rho), bias]),
            jac=True,
            method="BFGS",
            options={"gtol": 1e-10},
        )
        if best is None or found.fun < best[0]:
            best = float(found.fun), float(np.exp(found.x[0])), float(found.x[1])
    assert best is not None
    values = [flint.arb(x) for x in best]
    return Minimum(Fraction(S), values[1], values[2], values[0], 0, "numerical")
