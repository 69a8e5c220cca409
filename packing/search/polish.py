"""From a good code to the last digits: linear programmes find the contacts, Newton closes them.

The problem min t, q_ij x_i . x_j <= t is not smooth. Linearised inside a small box it is a linear
programme, whose solution names the pairs that will be contacts. Once they are the right ones, the
code solves the equations that they make, and Newton's method finds it to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, hstack

from packing.search.code import Float
from packing.search.contacts import Pairs, largest, newton, pairs_above, stress, tangents
from packing.search.energy import normalised

NEAR = 3e-8
"""After the linear programmes, pairs this close to the largest cosine are taken for contacts."""

MANY = 250
"""Coordinates above which the interior-point method is the faster one (measured)."""


def never() -> bool:
    return False


@dataclass(frozen=True)
class Programme:
    """The answer of one linear programme at a code."""

    steps: Float
    """(n, d - 1) along the tangent bases."""
    promised: float
    """By how much the largest cosine would fall if cosines were linear."""
    stressed: Pairs
    """Pairs with a positive stress."""
    active: Pairs
    """Pairs that meet the new largest cosine, up to the curvature that the programme ignores."""


def programme(X: Float, t: float, lines: bool, radius: float) -> Programme | None:
    """Steps inside a box that lower the linearised largest cosine t the most."""
    n, d = X.shape
    e = d - 1
    # Inside the box a cosine moves by at most 2 sqrt(e) radius: the other pairs cannot matter.
    pairs = pairs_above(X, t - 4.0 * np.sqrt(e) * radius, lines)
    J = pairs.jacobian(X, tangents(X))
    A = hstack([J, csr_matrix(np.full((pairs.m, 1), -1.0))]).tocsr()
    goal = np.zeros(n * e + 1)
    goal[-1] = 1.0
    bounds = np.tile([-1.0, 1.0], (n * e + 1, 1))
    bounds[-1] = [-np.inf, 0.0]
    # In units of the radius, so that the solver's absolute tolerances shrink with the steps.
    gap = (t - pairs.cosines(X)) / radius
    method = "highs-ds" if n * e <= MANY else "highs-ipm"
    answer = linprog(goal, A_ub=A, b_ub=gap, bounds=bounds, method=method)
    if answer.status != 0:
        return None
    steps = radius * answer.x[:-1].reshape(n, e)
    w = -answer.ineqlin.marginals
    curved = 4.0 * float((steps**2).sum(axis=1).max()) + 1e-7 * radius
    return Programme(
        steps,
        -radius * answer.x[-1],
        pairs.take(w > 1e-9 * w.max()),
        pairs.take(radius * answer.slack <= curved),
    )


def polish(
    X: Float, lines: bool, *, radius: float = 0.02, rounds: int = 30, up: Callable[[], bool] = never
) -> tuple[Float, float]:
    """A code X (n, d) brought to its local optimum, and the residual of its equilibrium.

    Linear programmes inside a shrinking box; as soon as they single out the contacts, Newton's
    method. A residual above 1e-8 says that no optimum was closed; `up` says when to stop early.
    """
    t = largest(X, lines)
    apart = clear_gap(X, lines)
    closed = None if apart is None else close(X, apart, lines)
    if closed is not None:
        return closed[0], closed[2]
    for _ in range(rounds):
        found = None if up() else programme(X, t, lines, radius)
        if found is None:
            break
        Y = normalised(X + np.einsum("nde,ne->nd", tangents(X), found.steps))
        new = largest(Y, lines)
        for guess in (found.stressed, found.active):
            closed = close(Y if new < t else X, guess, lines)
            if closed is not None and closed[1] <= min(t, new) + 1e-14:
                return closed[0], closed[2]
        if new < t:
            gained, X, t = t - new, Y, new
            radius *= 0.3 if gained < 0.5 * found.promised else 1.0
            radius = min(radius, 2.0 * float(np.abs(found.steps).max()))
        else:
            radius *= 0.2
        if found.promised < 1e-13 or radius < 1e-13:
            break
    if rounds == 0 or up():
        return X, np.inf
    return X, stress(X, pairs_above(X, t - NEAR, lines))[1]


def clear_gap(X: Float, lines: bool) -> Pairs | None:
    """The pairs above the clearest gap among the large cosines, if it is ten times their spread."""
    n = len(X)
    t = largest(X, lines)
    floor = t - 0.1 * (1.0 - t) - 1e-12
    pairs = pairs_above(X, floor, lines)
    c = pairs.cosines(X)
    order = np.argsort(-c)
    drop = -np.diff(np.append(c[order], floor))
    spread = t - c[order]
    clear = np.where(np.arange(pairs.m) >= min(n, pairs.m) - 1, drop / (spread + 1e-13), 0.0)
    best = int(np.argmax(clear))
    return pairs.take(np.sort(order[: best + 1])) if clear[best] > 10.0 else None


def close(X: Float, pairs: Pairs, lines: bool) -> tuple[Float, float, float] | None:
    """Newton's method on the contacts; the code, its largest cosine and residual, or None."""
    if pairs.m < 2 or np.ptp(pairs.cosines(X)) > 1e-2:
        return None
    Y, spread = newton(X, pairs)
    if spread > 1e-13:
        return None
    t = largest(Y, lines)
    if t > pairs.cosines(Y).max() + 1e-13:
        return None
    _, residual = stress(Y, pairs_above(Y, t - 1e-10, lines))
    return (Y, t, residual) if residual < 1e-8 else None


def centre_rattlers(X: Float, lines: bool) -> Float:
    """X with the vectors that bear no stress moved to the middle of their holes.

    So that contacts are the pairs that hold the code, and a rattler touches nothing.
    """
    t = largest(X, lines)
    pairs = pairs_above(X, t - 1e-10, lines)
    w, residual = stress(X, pairs)
    if residual > 1e-8:
        return X
    bears = np.zeros(len(X))
    np.add.at(bears, pairs.i, w)
    np.add.at(bears, pairs.j, w)
    X = X.copy()
    for k in np.flatnonzero(bears < 1e-9):
        others = np.delete(X, k, axis=0)
        X[k] = deepest(X[k], others, lines)
    return X


def deepest(x: Float, others: Float, lines: bool) -> Float:
    """The unit vector (d,) near x that is farthest from the rows of `others`: a local optimum."""
    radius = 0.1
    for _ in range(40):
        c = others @ x
        q = np.where(c < 0.0, -1.0, 1.0) if lines else np.ones(len(c))
        basis = tangents(x[None])[0]
        t = float((q * c).max())
        e = basis.shape[1]
        near = q * c > t - 4.0 * np.sqrt(e) * radius
        A = np.concatenate([(q[:, None] * others @ basis)[near], -np.ones((near.sum(), 1))], axis=1)
        bounds = [(-1.0, 1.0)] * e + [(None, 0.0)]
        goal = np.append(np.zeros(e), 1.0)
        answer = linprog(goal, A_ub=A, b_ub=(t - (q * c)[near]) / radius, bounds=bounds)
        if answer.status != 0 or -radius * answer.x[-1] < 1e-10:
            break
        y = normalised(x + radius * basis @ answer.x[:-1])
        c = others @ y
        if float((np.abs(c) if lines else c).max()) < t:
            x = y
        else:
            radius *= 0.3
    return x
