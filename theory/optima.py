"""The (W, b) of least expected loss: search widely on a surrogate, polish on the exact loss.

What comes back is a stationary point of the exact loss, with its Hessian spectrum, the number of
independent starts that reached it and a status. No finite search proves a global minimum; the
status says how sure this one is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from packing.arrangement import REPRESENTED, Arrangement
from packing.errors import BadInput
from packing.recognition import Block, name_of
from packing.types import Float, Progress
from theory.features import Features, seed_of, whole
from theory.global_search import NEWTON_UP_TO, Found, Polished, Problem, Shape, least_norm, minima
from theory.losses.expected import Loss, checked, loss

#: Statuses of `Optimum`, each with its sentence.
STATUS = {
    "exact": "known in closed form: every feature has a dimension of its own",
    "constant": "known in closed form: inputs that never vary are reproduced by biases alone",
    "found-often": "several independent starts reached it and none went lower",
    "found-rarely": "few starts reached it, so a rarer, better optimum is likely: raise --starts",
    "guided": "only starts built from other optima reached it; raise --starts to test it",
    "flat": "a whole family of weights ties for the least loss; the one of least norm is shown",
    "unsettled": "the gradient did not vanish, or a way down was left; the loss is an upper bound",
}


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best model found.

    Parameters
    ----------
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
    status, advice : str
        How sure the answer is, as a word and as a sentence.
    """

    features: Features
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
    status: str
    advice: str

    @property
    def D_star(self) -> float:
        """d / ||W||_F^2, dimensions per feature (Elhage et al. 2022); inf where W = 0."""
        total = float(np.sum(self.W**2))
        return self.W.shape[0] / total if total > 0.0 else float("inf")


def optimum(
    features: Features,
    d: int,
    *,
    bias: bool = True,
    relu: bool = True,
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
    bias, relu : bool
        False for the model without biases, or without ReLU.
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
    problem = Problem(features, Shape(features.n, d, bias), relu)
    if d >= features.n:
        return _dedicated(problem)
    if bias and not np.any(features.importance * features.variance):
        return _constant(problem)
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
    """An `Optimum` from a stationary point: loss in parts, name, dimensionalities, status."""
    features, point = problem.features, found.point
    W, b = (q[0] for q in problem.shape.split(point.theta[None]))
    # what is not represented is set to 0, so that the weights say themselves what they are called
    counted = features.importance > 0.0
    W = np.where(counted & (np.linalg.norm(W, axis=0) > REPRESENTED), W, 0.0)
    named = name_of(W, b)
    settled = 1e-9 if point.spectrum.size else 1e-6  # without a Hessian descent ends earlier
    if point.gradient_norm > settled * problem.scale or not point.stable:
        status = "unsettled"
    elif point.flat:
        status = "flat"
    elif found.hits == 0:
        status = "guided"
    elif found.hits < max(3, found.starts // 60):
        status = "found-rarely"
    else:
        status = "found-often"
    return Optimum(
        features=features,
        W=W,
        b=b.copy(),
        loss=loss(W, b, features=features, relu=problem.relu),
        name=named.name,
        blocks=named.blocks,
        represented=named.represented,
        dimensionality=Arrangement.from_weights(W).dimensionality,
        gradient_norm=point.gradient_norm,
        spectrum=point.spectrum,
        stable=point.stable,
        hits=found.hits,
        starts=found.starts,
        status=status,
        advice=STATUS[status],
    )


def _dedicated(problem: Problem) -> Optimum:
    """d >= n: orthogonal unit columns and no bias reproduce every input; loss 0, proved."""
    W = np.eye(problem.shape.d, problem.shape.n)
    theta = problem.shape.join(W[None], np.zeros((1, problem.shape.n)))[0]
    answer = describe(problem, Found(Polished(theta, 0.0, 0.0, np.zeros(0), 0), 1, 1))
    return replace(answer, status="exact", advice=STATUS["exact"])


def _constant(problem: Problem) -> Optimum:
    """Inputs that never vary (binary, S = 1): biases alone reproduce them; loss 0, proved."""
    W = np.zeros((problem.shape.d, problem.shape.n))
    theta = problem.shape.join(W[None], problem.features.mean[None])[0]
    answer = describe(problem, Found(Polished(theta, 0.0, 0.0, np.zeros(0), 0), 1, 1))
    return replace(answer, status="constant", advice=STATUS["constant"])


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


__all__ = ["STATUS", "Optimum", "optimum"]
