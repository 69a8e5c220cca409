"""The (W, b) of least expected loss: search widely on a surrogate, polish on the exact loss.

What comes back is a stationary point of the exact loss, with its Hessian spectrum, the number of
independent starts that reached it and a sentence of advice. No finite search proves a global
minimum; the advice says how sure this one is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from packing.arrangement import REPRESENTED, Arrangement
from packing.errors import BadInput
from packing.recognition import Block, name_of, with_distortion
from packing.results import Evidence, Result, Table, shown
from packing.types import Float, Progress
from theory.features import Features, question_facts, question_values, seed_of, whole
from theory.global_search import NEWTON_UP_TO, Found, Polished, Problem, Shape, least_norm, minima
from theory.losses.expected import ROWS_SHOWN, Loss, checked, loss
from theory.objective import PLAIN, Objective

DEDICATED = "known in closed form: every feature has a dimension of its own"
CONSTANT = "known in closed form: inputs that never vary are reproduced by biases alone"
OPEN = "the gradient did not vanish, or a way down was left; the loss is an upper bound"
FLAT = "a whole family of weights ties for the least loss; the one of least norm is shown"
GUIDED = "only starts built from other optima reached it; raise --starts to test it"
RARE = "few starts reached it, so a rarer, better optimum is likely: raise --starts"
OFTEN = "several independent starts reached it and none went lower"


@dataclass(frozen=True, eq=False, repr=False)
class Optimum(Result):
    """The best model found.

    Parameters
    ----------
    features, objective
        What was asked.
    W, b : (d, n) and (n,) arrays
        Weights and biases; the arrangement is fixed up to rotation.
    loss : Loss
        Exact loss with its parts and error bound.
    name : str
        Name of the arrangement (see `packing.recognition.name_of`).
    blocks : tuple of Block
        Orthogonal blocks of represented features.
    represented : int
        Features with importance and ||W_i|| > 1e-6.
    dimensionality : (n,) array
        D_i of Elhage et al. 2022.
    gradient_norm : float
        Norm of the gradient at the answer.
    spectrum : array
        Hessian eigenvalues, rotations removed, ascending; empty where not computed.
    stable : bool
        No eigenvalue is negative beyond rounding (True where not computed).
    hits, starts : int
        Random starts that reached this optimum (at least), of how many.
    evidence : Evidence
        Proved where the answer is known in closed form, unsettled where it is not even a minimum.
    sure : bool
        Proved, or one minimum that several independent starts reached: nothing to warn of.
    advice : str
        How sure the answer is, as a sentence.
    """

    features: Features
    objective: Objective
    W: Float
    b: Float
    loss: Loss
    name: str
    blocks: tuple[Block, ...]
    represented: int
    dimensionality: Float
    gradient_norm: float
    spectrum: Float
    stable: bool
    hits: int
    starts: int
    evidence: Evidence
    sure: bool
    advice: str

    @property
    def D_star(self) -> float:
        """d / ||W||_F^2, dimensions per feature (Elhage et al. 2022); inf where W = 0."""
        total = float(np.sum(self.W**2))
        return self.W.shape[0] / total if total > 0.0 else float("inf")

    @property
    def distortion(self) -> float:
        """The largest distortion of a block that only nearly has its shape; else 0."""
        return max((block.distortion or 0.0 for block in self.blocks), default=0.0)

    def _values(self) -> dict[str, Any]:
        d, n = self.W.shape
        return {
            "n": n,
            "d": d,
            "loss": self.loss.total,
            "capacity": self.loss.capacity,
            "interference": self.loss.interference,
            "W": self.W,
            "b": self.b,
            "name": self.name,
            "distortion": self.distortion,
            "blocks": [
                {"name": x.name, "features": x.features, "distortion": x.distortion}
                for x in self.blocks
            ],
            "represented": self.represented,
            "dimensionality": self.dimensionality,
            "status": self.evidence,
            "advice": self.advice,
            "error_bound": self.loss.error_bound,
            "hits": self.hits,
            "starts": self.starts,
            "gradient_norm": self.gradient_norm,
            "stable": self.stable,
            "spectrum": self.spectrum,
            "D_star": self.D_star,
            "per_feature": self.loss.per_feature,
            **question_values(self.features, self.objective),
        }

    def _facts(self) -> list[tuple[str, str]]:
        d, n = self.W.shape
        return [
            ("arrangement", with_distortion(self.name, self.distortion)),
            *self.loss.parts(),
            ("represented", f"{self.represented} of {n} features in d = {d}"),
            ("D* = d/|W|^2", shown(self.D_star if np.isfinite(self.D_star) else None, 6)),
            *question_facts(self.features, self.objective),
            ("found by", f"{self.hits} of {self.starts} starts"),
            ("gradient", shown(self.gradient_norm, 2)),
            ("status", self.evidence),
            ("advice", self.advice),
        ]

    def _tables(self) -> list[Table]:
        d, n = self.W.shape
        if n > ROWS_SHOWN:
            return []
        block = {i: x.name for x in self.blocks for i in x.features}
        axes = d if d <= 4 else 0  # coordinates of more dimensions do not fit a line
        columns: dict[str, Iterable[Any]] = {
            "feature": range(n),
            "block": [block.get(i, "-") for i in range(n)],
            "norm": np.linalg.norm(self.W, axis=0),
            "b": self.b,
            "D_i": self.dimensionality,
            "loss": self.loss.per_feature,
            **{f"W[{a}]": self.W[a] for a in range(axes)},
        }
        rows = list(zip(*columns.values(), strict=True))
        return [Table("Features", list(columns), rows, dict.fromkeys(columns, 6))]

    def plot(self, ax: Any = None) -> Any:
        """Draw the columns of W where d <= 2, else their Gram matrix, block by block."""
        from packing.plotting import draw_gram, draw_vectors, new_figure, vector_colours

        d, n = self.W.shape
        ax = ax or new_figure(5.0, 5.0).add_subplot()
        placed = [i for block in self.blocks for i in block.features]
        colours = vector_colours([block.features for block in self.blocks], n)
        if d <= 2:
            draw_vectors(ax, self.W, placed, colours)
        else:
            draw_gram(ax, self.W, placed + sorted(set(range(n)) - set(placed)), colours)
        ax.set_title(self.name)
        return ax


def optimum(
    features: Features,
    d: int,
    *,
    objective: Objective = PLAIN,
    seed: int = 0,
    starts: int | None = None,
    guesses: Sequence[tuple[Float, Float]] = (),
    progress: Progress | None = None,
) -> Optimum:
    """The (W, b) of least expected loss for these features in d dimensions.

    Parameters
    ----------
    features : Features
        n features with their S, law and importance.
    d : int
        Hidden dimensions.
    objective : Objective
        With or without biases, with or without ReLU.
    seed : int
        Same seed, same answer.
    starts : int, optional
        Independent random starts; the default falls with n.
    guesses : sequence of (W, b)
        Further starts, such as optima at a neighbouring S.
    progress : callable, optional
        Called with a stage and the fraction done.

    Returns
    -------
    Optimum
        Numerical (a search), except d >= n, which is exact.

    Raises
    ------
    BadInput
        If d or starts is not a positive whole number.
    """
    d, seed = whole(d, "d"), seed_of(seed)
    if starts is not None:
        starts = whole(starts, "starts")
    problem = Problem(features, Shape(features.n, d, objective.bias), objective.relu)
    if d >= features.n:
        # orthogonal unit columns
        return _known(problem, np.eye(d, features.n), np.zeros(features.n), DEDICATED)
    if objective.bias and not np.any(features.importance * features.variance):
        # binary, S = 1
        return _known(problem, np.zeros((d, features.n)), features.mean, CONSTANT)
    found = minima(
        problem,
        seed=seed,
        starts=starts,
        guesses=_thetas(problem.shape, guesses),
        progress=progress,
    )
    best = found[0]
    point = best.point
    if point.flat and problem.shape.size <= NEWTON_UP_TO:
        point = least_norm(problem, point)
    return describe(problem, replace(best, point=point))


def describe(problem: Problem, found: Found) -> Optimum:
    """An `Optimum` from a stationary point: loss in parts, name, dimensionalities, evidence."""
    features, point = problem.features, found.point
    W, b = (q[0] for q in problem.shape.split(point.theta[None]))
    # what is not represented is set to 0, so that the weights say themselves what they are called
    counted = features.importance > 0.0
    W = np.where(counted & (np.linalg.norm(W, axis=0) > REPRESENTED), W, 0.0)
    named = name_of(W, b)
    settled = 1e-9 if point.spectrum.size else 1e-6  # without a Hessian descent ends earlier
    evidence, advice = Evidence.NUMERICAL, OFTEN
    if point.gradient_norm > settled * problem.scale or not point.stable:
        evidence, advice = Evidence.UNSETTLED, OPEN
    elif point.flat:
        advice = FLAT
    elif found.hits == 0:
        advice = GUIDED
    elif found.hits < max(3, found.starts // 60):
        advice = RARE
    objective = Objective(problem.shape.bias, problem.relu)
    return Optimum(
        features=features,
        objective=objective,
        W=W.copy(),
        b=b.copy(),
        loss=loss(W, b, features=features, objective=objective),
        name=named.name,
        blocks=named.blocks,
        represented=named.represented,
        dimensionality=Arrangement.from_weights(W).dimensionality,
        gradient_norm=point.gradient_norm,
        spectrum=point.spectrum,
        stable=point.stable,
        hits=found.hits,
        starts=found.starts,
        evidence=evidence,
        sure=advice is OFTEN,
        advice=advice,
    )


def _known(problem: Problem, W: Float, b: Float, advice: str) -> Optimum:
    """A model that reproduces every input: loss 0, proved."""
    theta = problem.shape.join(W[None], b[None])[0]
    answer = describe(problem, Found(Polished(theta, 0.0, 0.0, np.zeros(0), 0), 1, 1))
    return replace(answer, evidence=Evidence.PROVED, sure=True, advice=advice)


def _thetas(shape: Shape, guesses: Sequence[tuple[Float, Float]]) -> Float | None:
    if not guesses:
        return None
    for W, b in guesses:
        if np.shape(W) != (shape.d, shape.n) or np.shape(b) != (shape.n,):
            raise BadInput(
                f"a guess has shapes {np.shape(W)} and {np.shape(b)}: "
                f"give W ({shape.d}, {shape.n}) and b ({shape.n},)"
            )
        checked(W, b, shape.n)
    W = np.array([W for W, _ in guesses], dtype=float)
    return shape.join(W, np.array([b for _, b in guesses], dtype=float))


__all__ = ["Optimum", "optimum"]
