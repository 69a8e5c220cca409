"""The optimum in every cell of a map at once.

All cells, each with its own importance ratio and S, descend in one batch on the exact loss: from
random starts of their own, from the literature's prototypes, and then from the optima of all eight
neighbours until none improves. Numerical: what stays is the least loss found, as
`theory.diagrams.importance_map` finds it in its own way (tests/test_validate_maps.py). A sparser
search (every second cell) once missed a triangle one cell wide, which two trained models found.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from packing.optimise import descend
from packing.types import Float
from theory.features import Features, law_named
from theory.global_search import Problem, Shape, polish, random_starts
from theory.losses.expected import engine
from theory.prototypes import prototypes

Index = NDArray[np.int_]

VERSION = 3
"""Of what the search does: an answer kept by another one is not taken for its own."""

STARTS, KEPT = 6, 2
"""Random starts of a cell, its own, and how many of them are followed after a rough descent."""

SWEEPS = 12
"""Rounds in which cells try their neighbours' optima."""

EQUAL = 1e-10
"""Relative difference of losses that is rounding."""

FADED = 1e-2
"""Norms below are set to 0 where that does not raise the loss."""


class Search:
    """The best parameters known in every cell, and their losses.

    Parameters
    ----------
    n, d : int
        (2, 1) or (3, 2).
    law : str
    ratio, S : (R,) and (M,) arrays
    seed : int
    """

    def __init__(self, n: int, d: int, law: str, ratio: Float, S: Float, seed: int = 0) -> None:
        self.shape, self.law, self.size = Shape(n, d, True), law_named(law), (ratio.size, S.size)
        importance = np.ones((ratio.size, S.size, n))
        importance[:, :, -1] = ratio[:, None]
        self.importance = importance.reshape(-1, n)
        self.S = np.tile(S, ratio.size)
        self.best = np.zeros((self.S.size, self.shape.size))
        self.loss = np.full(self.S.size, np.inf)
        self._scatter(np.random.default_rng([seed, n, d]))
        self._spread()

    def evaluate(self, theta: Float, cell: Index) -> tuple[Float, Float]:
        """Exact losses (K,) and gradients (K, p) of models theta (K, p), each in its cell."""
        W, b = self.shape.split(theta)
        count, n = b.shape
        G = np.swapaxes(W, 1, 2) @ W
        I = self.importance[cell]
        answer = engine(
            G.reshape(-1, n),
            b.reshape(-1),
            np.tile(np.arange(n), count),
            np.broadcast_to(np.repeat(self.S[cell], n)[:, None], (count * n, n)),
            self.law,
            relu=True,
            gradient=True,
            bounds=False,
            rtol=1e-6,
        )[1]
        assert answer.dA is not None and answer.db is not None
        value = np.sum(answer.value.reshape(count, n) * I, axis=1)
        D = answer.dA.reshape(count, n, n) * I[:, :, None]
        dW = W @ (D + np.swapaxes(D, 1, 2))
        return value, self.shape.join(dW, answer.db.reshape(count, n) * I)

    def down(
        self, theta: Float, cell: Index, iterations: int, tolerance: float
    ) -> tuple[Float, Float]:
        """Every model descends in its cell."""

        def objective(t: Float, index: Index) -> tuple[Float, Float]:
            return self.evaluate(t, cell[index])

        return descend(objective, theta, iterations, tolerance=tolerance)

    def _scatter(self, rng: np.random.Generator) -> None:
        every = np.arange(self.S.size)
        cell = np.repeat(every, STARTS)
        theta, value = self.down(random_starts(rng, self.shape, cell.size), cell, 40, 1e-5)
        order = np.argsort(value.reshape(-1, STARTS), axis=1)[:, :KEPT]
        kept = (order + STARTS * every[:, None]).ravel()
        n, d = self.shape.n, self.shape.d
        known = [self.shape.join(*weights(n, d, p.groups)) for p in prototypes(n, d)]
        self.offer(
            np.concatenate([theta[kept], np.repeat(np.concatenate(known), every.size, axis=0)]),
            np.concatenate([cell[kept], np.tile(every, len(known))]),
        )

    def _spread(self) -> None:
        grid = np.arange(self.S.size).reshape(self.size)
        pairs = (
            (grid[1:], grid[:-1]),
            (grid[:, 1:], grid[:, :-1]),
            (grid[1:, 1:], grid[:-1, :-1]),
            (grid[1:, :-1], grid[:-1, 1:]),
        )
        here = np.concatenate([x.ravel() for a, b in pairs for x in (a, b)])
        there = np.concatenate([x.ravel() for a, b in pairs for x in (b, a)])
        stale = np.ones(self.S.size, dtype=bool)
        for _ in range(SWEEPS):
            before = self.loss.copy()
            some = stale[there]
            if not np.any(some):
                break
            self.offer(self.best[there[some]], here[some])
            stale = self.loss < before * (1.0 - 1e-7)
        if self.size[1] < 2:
            return
        # At S = 1 x and 1 - x have one law: a pair may turn round at no cost, and rounding would
        # choose. Of equal optima it has that of its neighbour.
        last = grid[:, -1]
        theta, value = self.down(self.best[grid[:, -2]], last, 400, 1e-13)
        equal = value <= self.loss[last] * (1.0 + EQUAL)
        self.best[last[equal]] = theta[equal]
        self.loss[last[equal]] = value[equal]

    def offer(self, theta: Float, cell: Index) -> None:
        """Cells take what descends below their best, the most promising one followed to its end."""
        theta, value = self.down(theta, cell, 80, 1e-7)
        order = np.lexsort((value, cell))
        first = order[np.unique(cell[order], return_index=True)[1]]
        theta, cell = theta[first], cell[first]
        theta, value = self.down(theta, cell, 400, 1e-13)
        better = value < self.loss[cell]
        self.loss[cell[better]], self.best[cell[better]] = value[better], theta[better]

    def settle(self, cell: int) -> None:
        """Newton's method, where descent ended early: next to a continuous change."""
        problem = Problem(self.features(cell), self.shape)
        found = polish(problem, self.best[cell])
        if found.value <= self.loss[cell] * (1.0 + 1e-9):
            self.best[cell], self.loss[cell] = found.theta, found.value

    def features(self, cell: int) -> Features:
        """What `theory.loss` is asked about a cell."""
        return Features.of(
            self.shape.n, float(self.S[cell]), self.law.name, self.importance[cell].tolist()
        )

    def faded(self) -> tuple[Float, Float]:
        """Every cell's model, W (C, d, n) and b (C, n), columns that do nothing set to 0."""
        W, b = self.shape.split(self.best.copy())
        every = np.arange(self.S.size)
        for i in range(self.shape.n):
            bare, level = W.copy(), b.copy()
            bare[:, :, i] = 0.0
            level[:, i] = self.S * self.law.mean
            value, _ = self.evaluate(self.shape.join(bare, level), every)
            small = np.linalg.norm(W[:, :, i], axis=1) < FADED
            gone = small & (value <= self.loss * (1.0 + 1e-8))
            W[gone], b[gone] = bare[gone], level[gone]
        return W, b


def weights(n: int, d: int, groups: Any) -> tuple[Float, Float]:
    """Weights (1, d, n) and biases (1, n) of a prototype: its blocks in orthogonal subspaces."""
    W, axis = np.zeros((1, d, n)), 0
    for block, members in groups:
        if block == "triangle":
            turn = 2.0 * np.pi * np.arange(3) / 3.0
            W[0][:, list(members)] = [np.cos(turn), np.sin(turn)]
            axis += 2
        else:
            W[0, axis, list(members)] = [1.0, -1.0][: len(members)]
            axis += 1
    return W, np.zeros((1, n))


__all__ = ["VERSION", "Index", "Search", "weights"]
