"""Rare arrangements: how often training ends at one, and how far above the best known it stops.

    named   the catalogue's arrangement of n vectors in R^d of least loss, at its best norm and bias
    known   the least of its loss, that of the best mixture of blocks and, up to SEARCHED features,
            that of `theory.optimum`: an upper bound on the optimum, called best known
    gap     exact loss of a trained model / known - 1; below 0 it is the model that is best known
    reached a model whose Gram matrix is within REACH of the named one's, up to relabelling

A share is Clopper and Pearson's over independent seeds. `returns` asks without training whether an
arrangement is a minimum: kicked, and let down on the exact loss, it comes back or does not.
Losses are exact up to their error bounds; that nothing lies below ``known`` is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from packing.errors import BadInput
from theory.features import Float
from theory.mixtures import best_mixture, blocks
from theory.mixtures.counts import binary_minimum
from theory.mixtures.transforms import uniform_minimum
from validate.cells import Cell
from validate.ledger_parts import ALPHA, kept
from validate.predict import SEARCHED, distance, truth
from validate.quantities import Model, Sample
from validate.runs import Setting
from validate.statistics import Estimate, median, share

REACH = 0.1
"""Distance between Gram matrices, relative: noise of training leaves up to 0.03 with a falling rate
and 0.07 with a constant one; the nearest other minimum seen was 0.25 away."""

ROUNDING = 1e-9
"""Relative difference that is none."""

DESCENT, SETTLED = 80, 1e-6
"""Steps of a descent on the exact loss, and its tolerance over ten of them."""


@dataclass(frozen=True, eq=False)
class Target:
    """What theory has at a setting.

    Parameters
    ----------
    setting : Setting
    name : str
        Of the catalogue's best arrangement of all n features.
    W, b : (d, n) and (n,) arrays
        It, at its best norm and bias.
    loss : float
        Its loss.
    known : float
        The least loss that theory knows.
    best : str
        Whose that is.
    status : str
        How far it was searched: a status of `theory.optimum`, or ``mixture``.
    """

    setting: Setting
    name: str
    W: Float
    b: Float
    loss: float
    known: float
    best: str
    status: str

    @property
    def wins(self) -> bool:
        """Whether nothing known lies below the named arrangement."""
        return self.loss <= self.known * (1.0 + ROUNDING)


@dataclass(frozen=True, eq=False)
class Tally:
    """What came of the models of a cell.

    Parameters
    ----------
    cell : Cell
    target : Target
    gap : (K,) array
        Relative, of each model.
    reached : (K,) bool array
    below : (K,) bool array
        Models that lie below what is known, error bounds included.
    represented : (K,) array
    """

    cell: Cell
    target: Target
    gap: Float
    reached: np.ndarray
    below: np.ndarray
    represented: np.ndarray

    @property
    def share(self) -> Estimate:
        """Of the runs that reach the named arrangement."""
        return share(int(self.reached.sum()), len(self.reached), ALPHA)

    def middle(self, which: np.ndarray) -> Estimate:
        """Median gap of some of the models."""
        return median(self.gap[which], ALPHA)

    def quantiles(self, levels: Sequence[float]) -> Float:
        return np.asarray(np.quantile(self.gap, levels))


def target(setting: Setting) -> Target:
    """The named arrangement of a setting beside the best that is known.

    Raises
    ------
    BadInput
        If the catalogue has no arrangement of n vectors in R^d, or features differ.
    """
    if isinstance(setting.S, tuple) or setting.importance is not None:
        raise BadInput("rare arrangements are for equal features: give one S and no importance")
    return _target(setting)


@cache
def _target(setting: Setting) -> Target:
    from packing.catalogue import candidates

    n, d, S, law = setting.n, setting.d, float(setting.features.S[0]), setting.law
    rows = {block.name: block.row for block in blocks(law)}
    minimum = binary_minimum if law == "binary" else uniform_minimum
    found = []
    for entry in candidates(n, d):
        if entry.name in rows:
            cost, rho, bias = (float(x[0]) for x in minimum(rows[entry.name], np.array([S])))
            found.append((n * cost, entry.name, np.sqrt(rho) * entry.vectors, np.full(n, bias)))
    if not found:
        raise BadInput(f"the catalogue has no arrangement of {n} vectors in R^{d}: give another")
    loss, name, W, b = min(found, key=lambda one: one[0])
    mixture = best_mixture(n, d, S, law)
    known, best, status = loss, name, "mixture"
    if mixture.loss < known * (1.0 - ROUNDING):
        known, best = mixture.loss, mixture.name
    if n <= SEARCHED:
        right = truth(setting)
        status = right.status
        if right.loss < known * (1.0 - ROUNDING):
            known, best = right.loss, right.name
    return Target(setting, name, W, b, loss, known, best, status)


def tally(cell: Cell, sample: Sample) -> Tally:
    """The models of a cell beside their target."""
    aim = target(cell.setting)
    loss = np.array([_loss(model) for model in sample.models])
    bound = np.array([model[1].error_bound or 0.0 for model in sample.models])
    return Tally(
        cell=cell,
        target=aim,
        gap=loss / aim.known - 1.0,
        reached=np.array([distance(one.W, aim.W) <= REACH for one, _ in sample.models]),
        below=loss + bound < aim.known * (1.0 - ROUNDING),
        represented=np.array([measured.represented for _, measured in sample.models]),
    )


def _loss(model: Model) -> float:
    value = model[1].loss
    return np.inf if value is None or not np.isfinite(value) else value


# --- without training -----------------------------------------------------------------------------


def returns(setting: Setting, kick: float, seed: int = 0) -> tuple[float, float]:
    """Where a descent on the exact loss ends that starts beside the named arrangement.

    Parameters
    ----------
    setting : Setting
    kick : float
        Standard deviation of the noise on each vector, relative to its length.
    seed : int

    Returns
    -------
    gap, distance : float
        Of its end, from the named arrangement (numerical).
    """
    aim = target(setting)
    question = {
        "n": setting.n,
        "d": setting.d,
        "S": float(setting.features.S[0]),
        "law": setting.law,
        "kick": kick,
        "seed": seed,
    }
    gap, apart = kept("descent", question, lambda: _descended(aim, kick, seed))
    return float(gap), float(apart)


def _descended(aim: Target, kick: float, seed: int) -> list[float]:
    from packing.descent import descend
    from theory.exact import Problem
    from theory.search import Shape

    setting = aim.setting
    problem = Problem(setting.features, Shape(setting.n, setting.d, True)).roughly
    rng = np.random.default_rng([seed, setting.n, setting.d])
    length = float(np.linalg.norm(aim.W[:, 0])) / np.sqrt(setting.d)
    W = aim.W + kick * length * rng.standard_normal(aim.W.shape)
    start = problem.shape.join(W[None], aim.b[None])
    end, value = descend(lambda theta, _: problem(theta), start, DESCENT, tolerance=SETTLED)
    return [float(value[0]) / aim.loss - 1.0, distance(problem.shape.split(end)[0][0], aim.W)]


__all__ = ["REACH", "Tally", "Target", "returns", "tally", "target"]
