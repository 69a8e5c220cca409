"""Blocks decorated with finite shadows: k on every vertex, or a single one.

A decorated block has orbits: features that see the same cosines to every orbit share a norm and a
bias. One row per orbit goes to an engine of `theory.rows`, and the total sum_o n_o L_o(norms,
biases) is minimised from several starts. Directions are kept, so the loss is an upper bound on that
of the optimum; numerical. A shadow lies along its vertex, or opposite to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from packing.arrangement import Int
from packing.errors import BadInput
from theory.exact import Problem
from theory.features import Features, Float
from theory.loss import engine
from theory.minima import settle
from theory.mixtures.blocks import block_loss, checked, variance
from theory.search import Shape

SMALLEST = 1e-3
"""Norms below count as 0: such a feature is ignored, the block is not decorated."""

WEAK = 0.75
"""A shadow is weaker than this share of the weakest vertex, else it is a vertex itself."""

SET = (("digon", 1), ("digon", 2), ("triangle", 1), ("pentagon", 1), ("tetrahedron", 1))
"""Blocks and shadows per vertex that `decorated_gains` tries."""

SINGLE = ("digon", "triangle", "pentagon", "tetrahedron")
"""Blocks that `decorated_gains` tries with one shadow on one vertex."""


@dataclass(frozen=True, eq=False)
class Decorated:
    """A block with shadows, at the norms and biases of least loss.

    Parameters
    ----------
    block : str
    d, n : int
        Dimensions, and features with the shadows.
    per_vertex : int
        Shadows on each vertex; 0 where a single vertex has one.
    opposite : bool
        Whether shadows point away from their vertex.
    loss : float
        Total of the n features.
    norms, biases : (n,) arrays
        |W_i| and b_i; shadows last.
    gain : float
        Per dimension, (n v - loss)/d.
    plain : float
        Gain per dimension of the block without shadows (one norm, one bias).
    S : float
    law : str
    W : (d, n) array
    """

    block: str
    d: int
    n: int
    per_vertex: int
    opposite: bool
    loss: float
    norms: Float
    biases: Float
    gain: float
    plain: float
    S: float
    law: str
    W: Float

    @property
    def pays(self) -> bool:
        """Whether shadows are there (SMALLEST, WEAK) and the gain is above the block's."""
        count = max(1, self.vertices * self.per_vertex)
        shadow, others = self.norms[-1], self.norms[:-count]
        there = SMALLEST < shadow < WEAK * np.min(others)
        return bool(there and self.gain > self.plain * (1.0 + 1e-9))

    @property
    def vertices(self) -> int:
        """Features of the block itself."""
        return self.n // (1 + self.per_vertex) if self.per_vertex else self.n - 1

    @property
    def name(self) -> str:
        """``pentagon + 1 shadow``."""
        many = f"{self.per_vertex} shadow per vertex" if self.per_vertex else "1 shadow"
        return f"{self.block} + {many}" + (" opposite" if self.opposite else "")

    @property
    def one_minus_S(self) -> float:
        return 1.0 - self.S


def decorate(
    block: str,
    S: float,
    law: str = "binary",
    *,
    per_vertex: int = 0,
    opposite: bool = False,
    free: bool = False,
    guesses: Sequence[Float] = (),
) -> Decorated:
    """A catalogue block with shadows, norms and biases at their best.

    Parameters
    ----------
    block : str
        Name of a catalogue entry whose vectors all see the same cosines.
    S : float
    law : {"binary", "uniform"}
    per_vertex : int
        Shadows on each vertex; 0: a single shadow on one vertex, features at the same cosine from
        it share their norm and bias.
    opposite : bool
        Shadows opposite to the vertex.
    free : bool
        Then let every direction, norm and bias go to the next local minimum (Newton's method).
    guesses : sequence of (2 orbits,) arrays
        Further starts: norms, then biases, by orbit (as in ``Decorated`` without repetition).

    Returns
    -------
    Decorated
        Numerical: the least of several local minima.

    Raises
    ------
    BadInput
        If the block is unknown or not symmetric enough, S is no probability, or per_vertex < 0.
    """
    if isinstance(per_vertex, bool) or per_vertex < 0 or per_vertex != int(per_vertex):
        raise BadInput(f"per_vertex = {per_vertex}: give 0 (a single shadow), 1, 2, ...")
    S = float(checked([S])[0])
    V, row = _shape(block)
    d, n = V.shape
    plain_loss = float(block_loss(row, [S], law)[0])
    model = _Model(V, per_vertex, opposite, S, law)
    rough = [_descend(model, x, 25, 1e-9) for x in [*_starts(model, row, S, law), *guesses]]
    rough.sort(key=lambda found: found[0])
    least, best = min((_descend(model, x, 400, 1e-15) for _, x in rough[:2]), key=lambda f: f[0])
    half = best.size // 2
    v = float(variance(np.array(S), law))
    norms, biases = best[:half][model.label], best[half:][model.label]
    count = model.label.size
    W = model.directions * norms
    if free:
        problem = Problem(Features.of(count, S, law), Shape(count, d, True))
        point = settle(problem, problem.shape.join(W[None], biases[None])[0])
        if point.value < least:
            least = point.value
            W, biases = (part[0] for part in problem.shape.split(point.theta[None]))
    plain = n / d * (v - plain_loss)
    gain = (count * v - least) / d
    norms = np.linalg.norm(W, axis=0)
    return Decorated(
        block, d, count, int(per_vertex), opposite, least, norms, biases, gain, plain, S, law, W
    )


def decorated_gains(
    S: float | Sequence[float] | Float, law: str = "binary"
) -> dict[str, tuple[int, int, Float]]:
    """Gain per dimension of decorated blocks at each S (M,): name -> (d, n, gains).

    The blocks of SET and SINGLE; -inf where no shadow is left at the best norms, so that a name
    means what it says. Numerical lower bounds on what such blocks can gain.
    """
    S = checked(S)
    found: dict[str, tuple[int, int, Float]] = {}
    for block, k in [*SET, *((name, 0) for name in SINGLE)]:
        answers = [decorate(block, s, law, per_vertex=k) for s in S.tolist()]
        gain = np.array([x.gain if x.pays else -np.inf for x in answers])
        found[answers[0].name] = (answers[0].d, answers[0].n, gain)
    return found


def _shape(block: str) -> tuple[Float, list[tuple[float, int]]]:
    from packing.catalogue import entry

    one = entry(block)
    if len(one.rows) != 1:
        raise BadInput(f"{block} has {len(one.rows)} orbits of vectors: give a block with one")
    row = [(c.value, m) for c, m in one.rows[0][1] if abs(c.value) > 1e-13]
    return np.asarray(one.vectors, dtype=float), row


class _Model:
    """Loss and gradient by the norms and biases of orbits."""

    def __init__(self, V: Float, per_vertex: int, opposite: bool, S: float, law: str) -> None:
        n = V.shape[1]
        sign = -1.0 if opposite else 1.0
        if per_vertex:
            self.directions = np.concatenate([V, *[sign * V] * per_vertex], axis=1)
            self.label: Int = np.repeat([0, 1], [n, n * per_vertex])
        else:
            self.directions = np.concatenate([V, sign * V[:, :1]], axis=1)
            levels = np.round(V.T @ V[:, 0], 9)
            orbits = np.unique(-levels, return_inverse=True)[1].ravel()
            self.label = np.append(orbits, orbits.max() + 1)
        _, self.first, size = np.unique(self.label, return_index=True, return_counts=True)
        self.size = size.astype(float)
        C = self.directions.T @ self.directions
        self.C = C[self.first]
        for orbit, first in enumerate(self.first):
            want = self._seen(C[first])
            for i in np.flatnonzero(self.label == orbit):
                if not np.allclose(self._seen(C[i]), want, atol=1e-8):
                    raise BadInput("features at one cosine from a vertex are not alike here")
        features = Features.of(self.label.size, S, law)
        self.law, self.p = features.law, np.broadcast_to(features.S, self.C.shape)
        self.shadow = int(self.label[-1])

    def _seen(self, row: Float) -> Float:
        return np.concatenate([np.sort(row[self.label == k]) for k in range(self.label.max() + 1)])

    def __call__(self, theta: Float) -> tuple[float, Float]:
        half = theta.size // 2
        a, b = theta[:half], theta[half:]
        A = a[:, None] * a[self.label] * self.C
        answer = engine(
            A, b.copy(), self.first, self.p, self.law, gradient=True, bounds=False, rtol=1e-8
        )[1]
        assert answer.dA is not None and answer.db is not None
        D = answer.dA * self.C * self.size[:, None]
        slope = D @ a[self.label] + np.bincount(self.label, a @ D, minlength=half)
        value = float(self.size @ answer.value)
        return value, np.concatenate([slope, self.size * answer.db])


def _descend(model: _Model, start: Float, most: int, least: float) -> tuple[float, Float]:
    options = {"maxiter": most, "ftol": least, "gtol": 1e-11}
    half = start.size // 2
    bounds = [(0.0, None)] * half + [(None, None)] * half  # a norm below 0 is another direction
    found = minimize(model, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return float(found.fun), found.x


def _starts(model: _Model, row: list[tuple[float, int]], S: float, law: str) -> list[Float]:
    from theory.mixtures.counts import binary_minimum
    from theory.mixtures.transforms import uniform_minimum

    found = (binary_minimum if law == "binary" else uniform_minimum)(row, np.array([S]))
    rho, b = max(float(found[1][0]), 0.3), float(found[2][0])
    mean = S if law == "binary" else S / 2.0
    starts = []
    orbits = model.size.size
    for share in (0.15, 0.35, 0.75):
        for bias in (mean, 0.0):
            norms = np.full(orbits, np.sqrt(rho))
            norms[model.shadow] *= share
            biases = np.full(orbits, b)
            biases[model.shadow] = bias
            starts.append(np.concatenate([norms, biases]))
    return starts
