"""Arrangement: n vectors in R^d with norms, and what can be said of them.

Everything is computed from unit directions and relative norms, so that W times 1e-150 or 1e+150
has the same cosines, blocks and symmetries as W. Derived here unless a source is given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from packing.errors import BadInput

Float = NDArray[np.float64]
Int = NDArray[np.int64]

REPRESENTED = 1e-6
"""||W_i|| above which a feature is represented at a polished optimum."""

TOLERANCE = 1e-6
"""Cosines and relative norms closer than this are the same: a thousand times the noise of a
polished optimum, and far below the differences between arrangements that deserve two names."""

WEAK = 1e-2
"""Columns below this fraction of the largest norm have a direction that is known less well: noise
of fixed size in W turns it by noise / norm. Tolerances on their cosines grow accordingly."""


@dataclass(frozen=True, eq=False)
class Arrangement:
    """n vectors in R^d, one per column of W.

    Parameters
    ----------
    W : (d, n) array
        Finite; read-only. Use `from_weights`, which checks and copies.
    """

    W: Float

    @staticmethod
    def from_weights(W: ArrayLike) -> Arrangement:
        """The arrangement of the columns of W (d, n).

        Raises
        ------
        BadInput
            If W is not a (d, n) table of finite numbers with d, n >= 1.
        """
        try:
            values = np.array(W, dtype=np.float64)
        except (TypeError, ValueError):
            raise BadInput(
                "W is not a table of numbers: give a (d, n) array, one column per feature"
            ) from None
        if values.ndim != 2 or 0 in values.shape:
            raise BadInput(f"W has shape {values.shape}: give a (d, n) array with d, n >= 1")
        if not np.all(np.isfinite(values)):
            raise BadInput("W holds NaN or infinity: give finite numbers")
        values.setflags(write=False)
        return Arrangement(values)

    @property
    def n(self) -> int:
        return int(self.W.shape[1])

    @property
    def d(self) -> int:
        return int(self.W.shape[0])

    @cached_property
    def directions(self) -> Float:
        """Unit columns, shape (d, n); zero columns stay zero."""
        top = np.abs(self.W).max(axis=0)
        part = self.W / np.where(top > 0.0, top, 1.0)  # the division cannot over- or underflow
        length = np.sqrt((part**2).sum(axis=0))
        return np.asarray(part / np.where(length > 0.0, length, 1.0), dtype=np.float64)

    @cached_property
    def norms(self) -> Float:
        """||W_i||, shape (n,)."""
        top = np.abs(self.W).max(axis=0)
        part = self.W / np.where(top > 0.0, top, 1.0)
        return np.asarray(top * np.sqrt((part**2).sum(axis=0)), dtype=np.float64)

    @cached_property
    def relative_norms(self) -> Float:
        """||W_i|| over the largest norm, shape (n,); all zero when W is."""
        top = float(self.norms.max())
        return self.norms / top if top > 0.0 else np.zeros(self.n)

    @cached_property
    def gram(self) -> Float:
        """W^T W, shape (n, n); may overflow to infinity for norms above 1e154."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(self.W.T @ self.W, dtype=np.float64)

    @cached_property
    def cosines(self) -> Float:
        """Cosines between columns, shape (n, n); 0 in the row of a zero column."""
        C = np.clip(self.directions.T @ self.directions, -1.0, 1.0)
        np.fill_diagonal(C, (self.norms > 0.0).astype(float))
        return np.asarray(C, dtype=np.float64)

    @cached_property
    def dimensionality(self) -> Float:
        """D_i = ||W_i||^2 / sum_j (W_i/||W_i|| . W_j)^2, shape (n,); sum_i D_i <= d.

        Elhage et al. 2022; j = i is included, and a zero column has D_i = 0.
        """
        live = self.norms > 0.0
        with np.errstate(over="ignore"):
            ratio = self.cosines * self.norms / np.where(live, self.norms, 1.0)[:, None]
            total = (ratio**2).sum(axis=1)
        return np.where(live, 1.0 / np.where(live, total, 1.0), 0.0)

    @property
    def D_star(self) -> float:
        """d / ||W||_F^2, the dimensions per represented feature; infinity when W = 0."""
        top = float(self.norms.max())
        if top == 0.0:
            return math.inf
        with np.errstate(over="ignore", under="ignore", divide="ignore"):
            root = np.sqrt(self.d / np.square(self.relative_norms).sum()) / np.float64(top)
            return float(root**2)

    @cached_property
    def max_cosine(self) -> float:
        """Largest cosine between two non-zero columns; NaN with fewer than two."""
        C = self._off_diagonal()
        return float(C.max()) if C.size else math.nan

    @property
    def coherence(self) -> float:
        """Largest |cosine| between two non-zero columns; NaN with fewer than two."""
        C = self._off_diagonal()
        return float(np.abs(C).max()) if C.size else math.nan

    @property
    def min_angle(self) -> float:
        """Smallest angle between two non-zero columns, radians; NaN with fewer than two."""
        live = np.flatnonzero(self.norms > 0.0)
        if live.size < 2:
            return math.nan
        C = self.cosines[np.ix_(live, live)] - 3.0 * np.eye(live.size)
        i, j = np.unravel_index(int(np.argmax(C)), C.shape)
        u, v = self.directions[:, live[i]], self.directions[:, live[j]]
        # arccos loses half the digits near 0; this does not.
        return 2.0 * math.atan2(float(np.linalg.norm(u - v)), float(np.linalg.norm(u + v)))

    def _off_diagonal(self) -> Float:
        live = np.flatnonzero(self.norms > 0.0)
        i, j = np.triu_indices(live.size, 1)
        return np.asarray(self.cosines[live[i], live[j]], dtype=np.float64)

    def rank(self, tolerance: float = TOLERANCE) -> int:
        """Dimension of the span of the directions, up to noise of that size."""
        if not np.any(self.norms > 0.0):
            return 0
        values = np.linalg.svd(self.directions * self.confidence, compute_uv=False)
        return int((values > tolerance * math.sqrt(self.n)).sum())

    def frame_bounds(self) -> tuple[float, float]:
        """A, B with A |x|^2 <= sum_i (W_i . x)^2 <= B |x|^2 on all of R^d; A = 0 if no frame."""
        top = float(self.norms.max())
        if top == 0.0:
            return 0.0, 0.0
        values = np.linalg.svd(self.W / top, compute_uv=False)
        low = float(values[-1]) if self.n >= self.d else 0.0
        return (low * top) ** 2, (float(values[0]) * top) ** 2

    def tight(self, tolerance: float = TOLERANCE) -> bool:
        """True when the frame bounds agree: sum_i W_i W_i^T is a multiple of the identity."""
        low, high = self.frame_bounds()
        return high > 0.0 and high - low <= tolerance * high

    @cached_property
    def confidence(self) -> Float:
        """How well each direction is known, shape (n,): 1, less for weak columns (see WEAK)."""
        return np.minimum(1.0, self.relative_norms / WEAK)

    def _pair_tolerance(self, tolerance: float) -> Float:
        least = np.minimum(self.confidence[:, None], self.confidence)
        with np.errstate(divide="ignore"):
            return np.asarray(tolerance / least, dtype=np.float64)

    def represented(self, norm_tolerance: float = REPRESENTED) -> tuple[int, ...]:
        """Features with ||W_i|| > norm_tolerance (absolute, as at a polished optimum)."""
        return _tuple(np.flatnonzero(self.norms > norm_tolerance))

    def ignored(self, norm_tolerance: float = REPRESENTED) -> tuple[int, ...]:
        """Features that are not represented."""
        return _tuple(np.flatnonzero(~(self.norms > norm_tolerance)))

    def blocks(
        self, tolerance: float = TOLERANCE, norm_tolerance: float = REPRESENTED
    ) -> tuple[tuple[int, ...], ...]:
        """Orthogonal blocks (tegum factors): features joined by chains of |cosine| > tolerance.

        Ordered by their first feature; ignored features belong to none.
        """
        live = self.represented(norm_tolerance)
        joined = np.abs(self.cosines) > self._pair_tolerance(tolerance)
        return _components(joined, live)

    def duplicated(
        self, tolerance: float = TOLERANCE, norm_tolerance: float = REPRESENTED
    ) -> tuple[tuple[int, ...], ...]:
        """Groups of two or more represented features along one direction (norms may differ)."""
        live = self.represented(norm_tolerance)
        # |u - v| instead of 1 - cos, which is blind below 1e-8 radians; only near pairs need it.
        i, j = np.nonzero(np.triu(self.cosines > 0.99, 1))
        U, allowed = self.directions, self._pair_tolerance(tolerance)
        along = np.zeros((self.n, self.n), dtype=bool)
        along[i, j] = np.linalg.norm(U[:, i] - U[:, j], axis=0) <= allowed[i, j]
        groups = _components(along | along.T, live)
        return tuple(g for g in groups if len(g) > 1)

    def rattlers(self, tolerance: float = TOLERANCE) -> tuple[int, ...]:
        """Non-zero vectors that touch no other: no cosine within tolerance of the largest.

        Such a vector can move without the minimum angle shrinking. A vector with contacts may
        rattle too; deciding that needs the full contact graph and is not done here.
        """
        live = np.flatnonzero(self.norms > 0.0)
        if live.size < 2:
            return ()
        C = self.cosines[np.ix_(live, live)] - 3.0 * np.eye(live.size)
        return _tuple(live[C.max(axis=1) < self.max_cosine - tolerance])

    def part(self, features: Sequence[int]) -> Arrangement:
        """The arrangement of some of the columns."""
        W = np.array(self.W[:, list(features)])
        W.setflags(write=False)
        return Arrangement(W)


def _tuple(indices: NDArray[np.intp]) -> tuple[int, ...]:
    return tuple(int(i) for i in indices)


def _components(joined: NDArray[np.bool_], among: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Connected components of the graph `joined` (n, n) on the vertices `among`."""
    left = np.zeros(joined.shape[0], dtype=bool)
    left[list(among)] = True
    found = []
    for start in among:
        if not left[start]:
            continue
        left[start] = False
        group, front = [start], [start]
        while front:
            reach = left & joined[front].any(axis=0)
            front = [int(i) for i in np.flatnonzero(reach)]
            left[reach] = False
            group += front
        found.append(tuple(sorted(group)))
    return tuple(found)
