"""The contact graph of an arrangement, and which vectors rattle.

Two vectors touch when their cosine is within a tolerance of the largest one; for lines, when their
|cosine| is. A vector rattles when some small motion takes it away from everything it touches. To
first order that is a linear programme in its tangent space: is there a direction v with
v . x_j < 0 for every contact x_j? Where there is one the vector is taken out of the graph and its
neighbours are asked again, until nobody leaves. What stays is the core. Derived here; numerical.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]

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
