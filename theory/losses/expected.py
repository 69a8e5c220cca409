"""Expected loss of any (W, b), with an error bound and gradients.

L = sum_i I_i E[(x_i - ReLU(W_i.Wx + b_i))^2] needs one row of the Gram matrix at a time, so this
module prepares the rows, picks an engine and adds up. Which engine answered is part of the answer:
`patterns` (the sum over all on/off patterns, which stands here) and `vertices` are exact up to
rounding, `contour` and `transform` integrate a transform and bound what they leave out, `linear` is
exact. Every route carries an error bound.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from packing.errors import BadInput
from packing.results import Result, Table, shown
from packing.types import Float
from packing.weights import Weights
from theory.features import Binary, Features, Law, Uniform, question_facts, question_values
from theory.losses import contour, fourier, rows, vertices
from theory.losses.rows import EPS, RowLoss
from theory.objective import PLAIN, Objective

MAX_PATTERNS = 20
"""Largest n for which the patterns are enumerated (2^20 patterns a row)."""

ROWS_SHOWN = 64
"""Features that are listed one by one for people; `to_dict` has them all."""

_CHUNK = 1 << 22  # numbers held at once
_VERTICES_FASTER = 11  # n up to which the vertex sum beats the transform, with gradient
_EXACT_WORK = 200_000  # n * n * d up to which constants are folded in rational arithmetic


@dataclass(frozen=True, eq=False, repr=False)
class Loss(Result):
    """Expected loss of one model.

    Parameters
    ----------
    total : float
        L, the sum over features (not a mean) of importance times expected squared error.
    capacity : float
        What the features would cost if no two were ever on together, sum_i I_i solo_i.
    interference : float
        total - capacity; negative where features that are on together help each other.
    error_bound : float
        Upper bound on |total - truth|, rounding of the Gram matrix included.
    per_feature : (n,) array
        Contribution of each feature to the total, importance included.
    method : str
        The engine that answered: patterns, vertices, contour, transform or linear.
    solo : (n,) array
        Contribution of each feature to the capacity, importance included.
    features, objective, d
        What was asked.
    grad_W, grad_b : (d, n) and (n,) arrays or None
        Gradient of the total.
    weights : Weights or None
        The file that the model came from.
    """

    total: float
    capacity: float
    interference: float
    error_bound: float
    per_feature: Float
    method: str
    solo: Float
    features: Features
    objective: Objective
    d: int
    grad_W: Float | None = None
    grad_b: Float | None = None
    weights: Weights | None = None

    @property
    def vague(self) -> bool:
        """Whether less than six digits are sure, rounding of a loss near zero aside."""
        floor = 1e-14 * float(self.features.importance @ self.features.second)
        return not self.error_bound <= 1e-6 * self.total + floor

    def parts(self) -> list[tuple[str, str]]:
        """The loss and its parts for people."""
        return [
            ("loss", f"{shown(self.total)} +- {shown(self.error_bound, 2)}"),
            ("capacity", shown(self.capacity)),
            ("interference", shown(self.interference)),
        ]

    def _values(self) -> dict[str, Any]:
        values = {
            "loss": self.total,
            "capacity": self.capacity,
            "interference": self.interference,
            "per_feature": self.per_feature,
            "error_bound": self.error_bound,
            **question_values(self.features, self.objective),
            "n": self.features.n,
            "d": self.d,
            "method": self.method,
        }
        if self.weights is not None:
            values |= {"orientation": self.weights.orientation, "note": self.weights.note}
        return values

    def _facts(self) -> list[tuple[str, str]]:
        told = [] if self.weights is None else [("weights", self.weights.note)]
        asked = question_facts(self.features, self.objective)
        return [*self.parts(), *asked, *told, ("method", self.method)]

    def _tables(self) -> list[Table]:
        if self.features.n > ROWS_SHOWN:
            return []
        title = "Loss of each feature, importance included"
        return [Table(title, ["feature", "loss"], list(enumerate(self.per_feature.tolist())))]

    def plot(self, ax: Any = None) -> Any:
        """Draw the loss of each feature, and what it would cost alone."""
        from packing.plotting import new_figure

        ax = ax or new_figure(6.0, 4.0).add_subplot()
        for label, each in (("loss", self.per_feature), ("alone", self.solo)):
            ax.step(range(self.features.n), each, where="mid", label=label)
        ax.set(xlabel="feature", ylabel="loss, importance included")
        ax.legend()
        return ax


def loss(
    W: ArrayLike | Weights,
    b: ArrayLike | None = None,
    *,
    features: Features,
    objective: Objective = PLAIN,
    gradient: bool = False,
    rtol: float = 1e-7,
) -> Loss:
    """Expected loss sum_i I_i E[(x_i - ReLU(W^T W x + b)_i)^2], with an error bound.

    Parameters
    ----------
    W : (d, n) array, or Weights read from a file
        One column per feature. With `Weights` comes their b.
    b : (n,) array, optional
        Biases; zero when omitted.
    features : Features
        Activation probability, law and importance of the n features.
    objective : Objective
        Without a bias, b is not used; without the ReLU the model is linear.
    gradient : bool
        Also return the derivatives by W and b.
    rtol : float
        Relative accuracy asked of the transform engine, which serves the laws and sizes that have
        no exact sum (see Notes); what it reached is in ``error_bound``.

    Returns
    -------
    Loss

    Raises
    ------
    BadInput
        If shapes disagree or a number is not finite.

    Notes
    -----
    Binary law up to n = 20 and uniform law up to n = 16: exact sums, proved up to the rounding
    that ``error_bound`` holds. Laws with ``sector`` (exponential): a bent contour that converges
    geometrically, its bound numerical. Otherwise the transform integral (Pinelis, arXiv
    1603.07365) with its few-on patterns taken out, bounded a posteriori. Derivations in
    docs/theory.md, sections 2 to 4.
    At a kink (z exactly 0 with positive chance) the derivative of ReLU is taken as 0.
    """
    weights: Weights | None = None
    if isinstance(W, Weights):
        weights, b = W, W.b
        W = W.W
    biased = b is not None and objective.bias
    W, b = checked(W, b if biased else None, features.n)
    d, n = W.shape
    G = W.T @ W
    A, bias = _fold_constants(W, G, b, features)
    own = np.arange(n)
    p = np.broadcast_to(features.S, (n, n))
    relu = objective.relu
    method, answer = engine(A, bias, own, p, features.law, relu=relu, gradient=gradient, rtol=rtol)
    solo = _solo(np.diag(G), b, features, relu)
    I = features.importance
    # Rounding of G (and of the folded bias): z moves by at most delta.x, so a row loss moves by at
    # most 2 sqrt(loss * v) + v with v = E (delta.x)^2.
    reach = _gram_rounding(W, A, features)
    shift = EPS * np.abs(bias) + _folding_error(W, features)
    v = (reach @ features.mean + shift) ** 2 + reach**2 @ features.variance
    bound = answer.bound + 2.0 * np.sqrt((answer.value + answer.bound) * v) + v
    per_feature = I * answer.value
    total = float(np.sum(per_feature))
    capacity = float(np.sum(I * solo.value))
    grad_W = grad_b = None
    if gradient:
        assert answer.dA is not None and answer.db is not None
        D = I[:, None] * answer.dA
        grad_W, grad_b = W @ (D + D.T), I * answer.db
    return Loss(
        total=total,
        capacity=capacity,
        interference=total - capacity,
        error_bound=float(np.sum(I * bound)) + n * EPS * total,
        per_feature=per_feature,
        method=method,
        solo=I * solo.value,
        features=features,
        objective=replace(objective, bias=biased),
        d=d,
        grad_W=grad_W,
        grad_b=grad_b,
        weights=weights,
    )


def checked(W: ArrayLike, b: ArrayLike | None, n: int) -> tuple[Float, Float]:
    """W as a finite (d, n) array and b as a finite (n,) array, or BadInput."""
    try:
        W = np.asarray(W, dtype=float)
        b = np.zeros(n) if b is None else np.asarray(b, dtype=float)
    except (TypeError, ValueError):
        raise BadInput("W and b must be arrays of numbers: W (d, n), b (n,)") from None
    if W.ndim != 2 or W.shape[1] != n or W.shape[0] < 1:
        raise BadInput(f"W has shape {W.shape}: give (d, n) with n = {n} columns, one per feature")
    if b.shape != (n,):
        raise BadInput(f"b has shape {b.shape}: give ({n},), one bias per feature")
    if not (np.all(np.isfinite(W)) and np.all(np.isfinite(b))):
        raise BadInput("W or b holds NaN or infinity: give finite weights")
    if np.max(np.abs(W), initial=0.0) > 1e60 or np.max(np.abs(b), initial=0.0) > 1e120:
        raise BadInput("W or b is too large to square: give |W| <= 1e60 and |b| <= 1e120")
    return W, b


def engine(
    A: Float,
    b: Float,
    own: np.ndarray,
    p: Float,
    law: Law,
    *,
    relu: bool = True,
    gradient: bool = False,
    bounds: bool = True,
    rtol: float = 1e-7,
) -> tuple[str, RowLoss]:
    """Row losses by the engine that serves this law and size, and the name of that engine.

    Without `bounds` (optimisers) whichever is fastest at that size is taken.
    """
    n = A.shape[1]
    if not relu:
        return "linear", rows.rows(A, b, own, p, law, gradient)
    if isinstance(law, Binary) and n <= MAX_PATTERNS:
        return "patterns", pattern_rows(A, b, own, p, gradient)
    most = vertices.MAX_FEATURES if bounds else _VERTICES_FASTER
    if isinstance(law, Uniform) and n <= most:
        return "vertices", vertices.rows(A, b, own, p, gradient, bounds)
    if getattr(law, "sector", False):
        return "contour", contour.rows(A, b, own, p, law, gradient, bounds)
    return "transform", fourier.rows(A, b, own, p, law, gradient, rtol)


def _solo(norms: Float, b: Float, features: Features, relu: bool) -> RowLoss:
    """Rows with the own feature alone, all n at once."""
    n = features.n
    own, p = np.zeros(n, dtype=int), features.S[:, None]
    return engine(norms[:, None].copy(), b, own, p, features.law, relu=relu, rtol=1e-12)[1]


def _fold_constants(W: Float, G: Float, b: Float, features: Features) -> tuple[Float, Float]:
    """Rows and biases with binary features that are surely on moved into the bias.

    Sums of huge antipodal columns cancel exactly there and nothing else sets a scale, so the sum is
    done in rational arithmetic where that is affordable.
    """
    sure = features.S == 1.0
    if not (isinstance(features.law, Binary) and np.any(sure)):
        return G.copy(), b
    d, n = W.shape
    A = G.copy()
    A[:, sure] = 0.0
    if n * n * d > _EXACT_WORK:
        return A, b + W.T @ np.sum(W[:, sure], axis=1)
    total = [sum((Fraction(float(w)) for w in row[sure]), Fraction(0)) for row in W]
    folded = [
        float(Fraction(float(b[i])) + sum(Fraction(float(W[k, i])) * total[k] for k in range(d)))
        for i in range(n)
    ]
    return A, np.array(folded)


def _gram_rounding(W: Float, A: Float, features: Features) -> Float:
    """Bound on |fl(G) - G| for the columns still in A, shape (n, n)."""
    size = np.abs(W)
    reach = W.shape[0] * EPS * (size.T @ size)
    if isinstance(features.law, Binary) and W.size * features.n <= _EXACT_WORK:
        reach[:, features.S == 1.0] = 0.0
    return reach


def _folding_error(W: Float, features: Features) -> Float:
    """Bound on the rounding of the biases into which `_fold_constants` summed, shape (n,)."""
    sure = features.S == 1.0
    if not (isinstance(features.law, Binary) and np.any(sure)):
        return np.zeros(features.n)
    if W.size * features.n <= _EXACT_WORK:
        return np.zeros(features.n)  # rational arithmetic, rounded once
    terms = W.shape[0] + int(np.sum(sure))
    return terms * EPS * (np.abs(W).T @ np.sum(np.abs(W[:, sure]), axis=1))


# The sum over the 2^n on/off patterns.


@lru_cache(maxsize=8)
def on_off(n: int) -> Float:
    """All 0/1 patterns of n features, shape (2^n, n); row t has the bits of t."""
    bits = (np.arange(1 << n)[:, None] >> np.arange(n)) & 1
    patterns = bits.astype(float)
    patterns.setflags(write=False)
    return patterns


def pattern_weights(p: Float) -> Float:
    """Probability of each pattern of `on_off`, shape (R, 2^n), for on-probabilities p (R, n)."""
    weights = np.ones((p.shape[0], 1))
    for j in range(p.shape[1]):
        on = p[:, j : j + 1]
        weights = np.concatenate([weights * (1.0 - on), weights * on], axis=1)
    return weights


def pattern_rows(A: Float, b: Float, own: np.ndarray, p: Float, gradient: bool = False) -> RowLoss:
    """Row losses of the binary law by enumeration; see `theory.losses.rows` for the arguments.

    Every term (x_own - z_+)^2 is non-negative, so nothing cancels except inside z itself, and the
    bound follows that rounding pattern by pattern. Proved up to the stated bound.
    """
    count, n = A.shape
    step = max(1, _CHUNK >> n)
    parts = [
        _pattern_rows(
            A[i : i + step], b[i : i + step], own[i : i + step], p[i : i + step], gradient
        )
        for i in range(0, count, step)
    ]
    if len(parts) == 1:
        return parts[0]
    return RowLoss(
        np.concatenate([q.value for q in parts]),
        np.concatenate([q.bound for q in parts]),
        np.concatenate([q.dA for q in parts if q.dA is not None]) if gradient else None,
        np.concatenate([q.db for q in parts if q.db is not None]) if gradient else None,
    )


def _pattern_rows(A: Float, b: Float, own: np.ndarray, p: Float, gradient: bool) -> RowLoss:
    n = A.shape[1]
    X = on_off(n)
    weights = pattern_weights(p)
    z = A @ X.T + b[:, None]
    residual = X[:, own].T - np.maximum(z, 0.0)
    weighted = weights * residual
    value = np.sum(weighted * residual, axis=1)
    # |dz| <= (n + 1) eps (|a|.x + |b|); the rest is the rounding of weights, square and sum.
    dz = (n + 1) * EPS * (np.abs(A) @ X.T + np.abs(b)[:, None])
    bound = np.sum(weights * dz * (2.0 * np.abs(residual) + dz), axis=1)
    bound += (3 * n + 40) * EPS * value
    if not gradient:
        return RowLoss(value, bound)
    slope = np.where(z > 0.0, -2.0 * weighted, 0.0)
    return RowLoss(value, bound, slope @ X, np.sum(slope, axis=1))
