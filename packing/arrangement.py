"""Arrangement: n vectors in R^d with norms, and what can be said of them.

Everything is computed from unit directions and relative norms, so that W times 1e-150 or 1e+150
has the same cosines, blocks and symmetries as W. Derived here unless a source is given.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from packing.errors import BadInput
from packing.results import Result, Table, shown
from packing.types import Float, Int
from packing.weights import read_weights, save_weights

REPRESENTED = 1e-6
"""||W_i|| above which a feature is represented at a polished optimum."""

TOLERANCE = 1e-6
"""Cosines and relative norms closer than this are the same: a thousand times the noise of a
polished optimum, and far below the differences between arrangements that deserve two names."""

WEAK = 1e-2
"""Columns below this fraction of the largest norm have a direction that is known less well: noise
of fixed size in W turns it by noise / norm. Tolerances on their cosines grow accordingly."""

DEVIATIONS = 6.0
"""Standard deviations of noise that a cosine may have before it counts: 2e-9 of a normal law lie
beyond, so that 1000 vectors are joined by noise alone once in a thousand times."""


@dataclass(frozen=True, eq=False, repr=False)
class Arrangement(Result):
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

    def _values(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "d": self.d,
            "W": self.W,
            "norms": self.norms,
            "dimensionality": self.dimensionality,
            "D_star": self.D_star,
            "max_cosine": self.max_cosine,
            "coherence": self.coherence,
        }

    def _facts(self) -> list[tuple[str, str]]:
        return [
            ("vectors", f"{self.n} in R^{self.d}"),
            ("represented", f"{len(self.represented())}"),
            ("largest cosine", shown(self.max_cosine)),
            ("coherence", shown(self.coherence)),
        ]

    def _tables(self) -> list[Table]:
        rows = zip(range(self.n), self.norms, self.dimensionality, strict=True)
        return [Table("Vectors", ("feature", "norm", "D_i"), list(rows), {"norm": 6, "D_i": 6})]

    def plot(self, ax: Any = None) -> Any:
        """The Gram matrix into the axes; `packing.plotting` draws vectors too."""
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.figure().add_subplot()
        most = float(np.abs(self.gram).max()) or 1.0
        ax.imshow(self.gram, cmap="RdBu_r", vmin=-most, vmax=most)
        return ax

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
        self,
        tolerance: float = TOLERANCE,
        norm_tolerance: float = REPRESENTED,
        noise: float = 0.0,
    ) -> tuple[tuple[int, ...], ...]:
        """Orthogonal blocks (tegum factors): features joined by chains of |cosine| > tolerance.

        Ordered by their first feature; ignored features belong to none. With ``noise``, the
        standard deviation of each entry of W in the units of W, orthogonal columns have a cosine
        of standard deviation s = noise sqrt(1/|W_i|^2 + 1/|W_j|^2) to first order, and only a
        cosine beyond both the tolerance and DEVIATIONS s joins them: true factors stay apart, but
        blocks whose cosines drown in that noise fall apart too.

        Raises
        ------
        BadInput
            If the noise is negative or not finite.
        """
        if not 0.0 <= noise < math.inf:
            raise BadInput(f"noise = {noise:g} is no standard deviation: give a number >= 0")
        live = self.represented(norm_tolerance)
        allowed = self._pair_tolerance(tolerance)
        if noise > 0.0:
            with np.errstate(divide="ignore", over="ignore"):
                turn = noise / self.norms
                spread = np.hypot(turn[:, None], turn)
            allowed = np.maximum(allowed, DEVIATIONS * spread)
        return components(np.abs(self.cosines) > allowed, live)

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
        groups = components(along | along.T, live)
        return tuple(g for g in groups if len(g) > 1)

    def rattlers(self, tolerance: float = TOLERANCE) -> tuple[int, ...]:
        """Non-zero vectors that touch no other: no cosine within tolerance of the largest.

        Such a vector can move without the minimum angle shrinking. A vector with contacts may
        rattle too: `movable` decides that.
        """
        live = np.flatnonzero(self.norms > 0.0)
        if live.size < 2:
            return ()
        C = self.cosines[np.ix_(live, live)] - 3.0 * np.eye(live.size)
        return _tuple(live[C.max(axis=1) < self.max_cosine - tolerance])

    def contacts(self, tolerance: float = TOLERANCE, lines: bool = False) -> Int:
        """Touching pairs i < j, shape (m, 2): cosines within tolerance of the largest one.

        Zero columns touch nothing. With ``lines`` the largest |cosine| counts.
        """
        live = np.flatnonzero(self.norms > 0.0)
        touches = touching(self.cosines[np.ix_(live, live)], tolerance, lines)
        return np.asarray(live[np.argwhere(np.triu(touches, 1))], dtype=np.int64).reshape(-1, 2)

    def movable(self, tolerance: float = TOLERANCE, lines: bool = False) -> tuple[int, ...]:
        """Non-zero vectors that can move away from everything they touch (rattlers, pruned).

        First order and numerical: a vector leaves if its contacts lie in an open half-space of its
        tangent space, then its neighbours are asked again (the contact graph below has more). Holds
        every vector of `rattlers`, and all vectors of an arrangement that is no local optimum.
        """
        live = np.flatnonzero(self.norms > 0.0)
        touches = touching(self.cosines[np.ix_(live, live)], tolerance, lines)
        found = movable(self.directions[:, live], touches, lines) if live.size > 1 else ()
        return _tuple(live[list(found)])

    def spectrum(self, tolerance: float = TOLERANCE) -> tuple[tuple[tuple[float, int], ...], ...]:
        """Cosines of each vector with the others, decreasing, with multiplicities.

        Cosines joined by gaps of at most the tolerance count as one, everywhere the same, and are
        given by their mean. A zero column has an empty row and is in no other.
        """
        rows: list[tuple[tuple[float, int], ...]] = [()] * self.n
        live = np.flatnonzero(self.norms > 0.0)
        if live.size < 2:
            return tuple(rows)
        found = grouped_rows(self.cosines[np.ix_(live, live)], tolerance)
        for i, row in zip(live, found, strict=True):
            rows[i] = row
        return tuple(rows)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write W (d, n) to an npz file, whole or not at all.

        Raises
        ------
        BadInput
            If the file cannot be written.
        """
        save_weights(path, self.W)

    @staticmethod
    def load(path: str | os.PathLike[str], orientation: str | None = "d,n") -> Arrangement:
        """The arrangement in an npz, npy or safetensors file (`packing.weights.read_weights`).

        Parameters
        ----------
        path : path
        orientation : {"d,n", "n,d"} or None
            How the file holds W: as `save` writes it by default; None lets the shape decide.

        Raises
        ------
        BadInput
            If the file cannot be read as weights, or the orientation stays open.
        """
        return Arrangement.from_weights(read_weights(path, orientation).W)

    def part(self, features: Sequence[int]) -> Arrangement:
        """The arrangement of some of the columns."""
        W = np.array(self.W[:, list(features)])
        W.setflags(write=False)
        return Arrangement(W)


def _tuple(indices: NDArray[np.intp]) -> tuple[int, ...]:
    return tuple(int(i) for i in indices)


# The contact graph of an arrangement, and which vectors rattle.
#
# Two vectors touch when their cosine is within a tolerance of the largest one; for lines, when
# their |cosine| is. A vector rattles when some small motion takes it away from everything it
# touches. To first order that is a linear programme in its tangent space: is there a direction v
# with v . x_j < 0 for every contact x_j? Where there is one the vector is taken out of the graph
# and its neighbours are asked again, until nobody leaves. What stays is the core. Derived here;
# numerical.


ROOM = 1e-6
"""Contacts must recede at least at this rate (unit speed, unit contact directions) before a vector
is called a rattler: far above rounding, far below the rates seen in rattlers (about 0.1)."""


@dataclass(frozen=True, eq=False)
class ContactGraph:
    """Who touches whom once the rattlers are taken out.

    Parameters
    ----------
    pairs : (m, 2) array of int
        Touching pairs i < j of the core.
    signs : (m,) array of int
        Sign of each pair's cosine: always 1 for angles, 1 or -1 for lines.
    core : tuple of int
        Vectors that cannot leave their contacts; empty when everything can move.
    rattlers : tuple of int
        All other vectors.
    cosine : float
        Largest cosine (lines: |cosine|).
    spread : float
        Difference between the largest and the smallest cosine of a contact.
    gap : float
        Difference between the largest cosine and the largest one that is no contact; infinity
        where every pair touches.
    """

    pairs: Int
    signs: Int
    core: tuple[int, ...]
    rattlers: tuple[int, ...]
    cosine: float
    spread: float
    gap: float


def touching(cosines: Float, tolerance: float, lines: bool = False) -> NDArray[np.bool_]:
    """Pairs (n, n) whose cosine (lines: |cosine|) is within tolerance of the largest one."""
    C = np.abs(cosines) if lines else np.array(cosines)
    np.fill_diagonal(C, -np.inf)
    top = C.max() if C.shape[0] > 1 else np.inf
    return np.asarray(top - tolerance <= C, dtype=bool)


def movable(directions: Float, touches: NDArray[np.bool_], lines: bool = False) -> tuple[int, ...]:
    """Columns of unit vectors (d, n) that can leave their contacts, found by pruning.

    ``touches`` (n, n) is symmetric. A contact of two lines is one of x_i with x_j or with -x_j,
    whichever makes the cosine positive.
    """
    left = np.array(touches)
    n = left.shape[0]
    alive = np.ones(n, dtype=bool)
    queue = list(range(n))
    while queue:
        i = queue.pop()
        if not alive[i]:
            continue
        near = np.flatnonzero(left[i])
        if _can_leave(directions[:, i], directions[:, near], lines):
            alive[i] = False
            left[i, :] = left[:, i] = False
            queue += [int(j) for j in near]
    return tuple(int(i) for i in np.flatnonzero(~alive))


def _can_leave(x: Float, near: Float, lines: bool) -> bool:
    """True if some tangent direction at x makes every cosine with near (d, k) smaller."""
    c = x @ near
    if lines and np.any(np.abs(c) < ROOM):  # every direction leads closer to an orthogonal line
        return False
    near = near * np.where(c < 0.0, -1.0, 1.0) if lines else near
    along = near - np.outer(x, x @ near)
    length = np.linalg.norm(along, axis=0)
    far = length >= ROOM
    if not lines and np.any(c[~far] < 0.0):  # every direction leads closer to an opposite vector
        return False
    along = along[:, far] / length[far]  # and every direction leads away from a repeated one
    if along.shape[1] == 0:
        return True
    total = along.sum(axis=1)
    size = float(np.linalg.norm(total))
    # Both ends are decided without a programme in most cases: all contacts on one side, or a
    # positive combination of their directions that vanishes (Gordan's alternative).
    if size < 1e-9:
        return False
    if float((total @ along).min()) > ROOM * size:
        return True
    from scipy.optimize import linprog

    d, k = along.shape
    objective = np.append(np.zeros(d), -1.0)
    rates = np.column_stack([along.T, np.ones(k)])
    box = [(-1.0, 1.0)] * d + [(0.0, 1.0)]
    found = linprog(objective, A_ub=rates, b_ub=np.zeros(k), bounds=box, method="highs")
    return bool(found.status == 0 and -found.fun > ROOM)


def contact_graph(
    directions: Float,
    tolerance: float,
    lines: bool = False,
    given: NDArray[np.bool_] | None = None,
) -> ContactGraph:
    """The contact graph of unit columns (d, n) without zero columns.

    Parameters
    ----------
    directions : (d, n) array
        Unit vectors, n >= 2.
    tolerance : float
        Cosines this close to the largest are contacts.
    lines : bool
        Compare |cosine| instead.
    given : (n, n) array of bool, optional
        The contacts, where they are known; the tolerance then plays no role.

    Notes
    -----
    Numerical: the contacts of a polished code agree to about 1e-13, those of a rough one do not,
    which ``spread`` and ``gap`` show.
    """
    C = directions.T @ directions
    touches = touching(C, tolerance, lines) if given is None else given
    rattlers = movable(directions, touches, lines)
    gone = np.zeros(C.shape[0], dtype=bool)
    gone[list(rattlers)] = True
    size = np.abs(C) if lines else C
    i, j = np.triu_indices(C.shape[0], 1)
    values, hit = size[i, j], touches[i, j]
    kept = hit & ~gone[i] & ~gone[j]
    top = float(values.max())
    apart = values[~hit]
    return ContactGraph(
        pairs=np.stack([i[kept], j[kept]], axis=1).astype(np.int64),
        signs=np.where(C[i, j][kept] < 0.0, -1, 1).astype(np.int64)
        if lines
        else np.ones(int(kept.sum()), dtype=np.int64),
        core=tuple(int(k) for k in np.flatnonzero(~gone)),
        rattlers=rattlers,
        cosine=top,
        spread=top - float(values[hit].min()),
        gap=top - float(apart.max()) if apart.size else np.inf,
    )


def grouped_rows(C: Float, tolerance: float) -> list[tuple[tuple[float, int], ...]]:
    """Off-diagonal entries of each row of C (n, n), n >= 2, decreasing, with multiplicities.

    Values joined by gaps of at most the tolerance anywhere in C count as one: their mean.
    """
    n = C.shape[0]
    apart = C[~np.eye(n, dtype=bool)].reshape(n, n - 1)
    ordered = np.sort(apart, axis=None)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(ordered) > tolerance) + 1])
    means = np.add.reduceat(ordered, starts) / np.diff(np.append(starts, ordered.size))
    which = np.searchsorted(ordered[starts], apart, side="right") - 1
    rows = []
    for row in which:
        kinds, counts = np.unique(row, return_counts=True)
        pairs = zip(means[kinds[::-1]].tolist(), counts[::-1].tolist(), strict=True)
        rows.append(tuple(pairs))
    return rows


def components(joined: NDArray[np.bool_], among: Sequence[int]) -> tuple[tuple[int, ...], ...]:
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
