"""Contact equations of a symmetric code, on one vector per orbit: exact, though found by floats.

A symmetric code has more contacts than unknowns; restricted to codes with the same symmetry the
count is often right. The restriction has to be exact. Let H be a group of permutations of the n
points (any group: which one was guessed from floats). It acts on R^n by permutation matrices P(g).

1. A symmetric matrix M (n, n) that is constant on the orbits of H on pairs commutes with every
   P(g), exactly, whatever its values. Take values near the projector on the row space of X (d, n).
2. If |M^2 - M| <= e in the spectral norm (checked in balls; the largest row sum bounds it), the
   eigenvalues of M are within 2e of 0 or 1, and the projector Q onto those near 1 is within 2e of
   M, commutes with every P(g), and has rank trace(M) rounded. So V = range Q is a d-dimensional
   Euclidean space on which H acts by isometries.
3. Points y_a in V, one for each orbit, fixed by the stabiliser of a, give the code P(g) y_a. With z
   constant on the orbits of the stabiliser, Q z is such a point; so y_a = Q Z_a c_a with a
   whole-orbit matrix Z_a of floats, and y_a . P(g) y_b = c_a . (Z_a^T Q P(g) Z_b) c_b.

The contact equations of `proofs.equations` with K = Z_a^T Q P(g) Z_b, in balls, therefore describe
exactly the codes in R^d with the symmetry H. Derived here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from packing.proofs.equations import Box, Equations, Form

Float = NDArray[np.float64]
Int = NDArray[np.int64]


def generators(
    directions: Float, tolerance: float, touches: NDArray[np.bool_] | None = None
) -> tuple[int, list[Int]]:
    """Order and generators of the permutations of columns (d, n) that keep cosines and contacts.

    The coloured Gram matrix becomes a layered graph (one layer for each binary digit of a colour),
    whose automorphisms BLISS finds (igraph). Numerical: cosines joined by gaps below the tolerance
    share a colour.
    """
    import igraph

    C = directions.T @ directions
    n = C.shape[0]
    i, j = np.triu_indices(n, 1)
    values = C[i, j]
    ordered = np.sort(values)
    starts = ordered[1:][np.diff(ordered) > tolerance]
    colour = np.searchsorted(starts, values, side="right") + 1
    if touches is not None:
        colour = np.unique(2 * colour + touches[i, j], return_inverse=True)[1] + 1
    layers = max(1, int(colour.max()).bit_length())
    edges = [
        np.stack([i[on] + k * n, j[on] + k * n], axis=1)
        for k in range(layers)
        for on in [(colour >> k & 1).astype(bool)]
    ]
    rungs = np.arange(n * (layers - 1))
    edges.append(np.stack([rungs, rungs + n], axis=1))
    graph = igraph.Graph(n * layers, np.concatenate(edges).tolist())
    layer = np.repeat(np.arange(layers), n).tolist()
    order = int(graph.count_automorphisms(color=layer))
    found = graph.automorphism_group(color=layer)
    return order, [np.array(g[:n], dtype=np.int64) for g in found]


@dataclass(frozen=True, eq=False)
class Action:
    """A group of permutations of n points, by generators, and its orbits.

    Parameters
    ----------
    n : int
    moves : tuple of (n,) int arrays
        Generators g, the image of point k being g[k].
    """

    n: int
    moves: tuple[Int, ...]

    @cached_property
    def pairs(self) -> Int:
        """Orbits on ordered pairs, (n, n), as whole numbers."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        n = self.n
        here = np.arange(n * n)
        there = [(g[:, None] * n + g).ravel() for g in self.moves]
        rows = np.concatenate([here] * len(there)) if there else here
        columns = np.concatenate(there) if there else here
        links = coo_matrix((np.ones(rows.size, dtype=np.int8), (rows, columns)), (n * n, n * n))
        return np.asarray(connected_components(links, directed=False)[1], np.int64).reshape(n, n)

    @cached_property
    def carried(self) -> tuple[tuple[int, Int], ...]:
        """For each point j, its representative a and a group element g with g[a] = j."""
        found: dict[int, tuple[int, Int]] = {}
        for a in range(self.n):
            if a in found:
                continue
            found[a] = (a, np.arange(self.n))
            front = [a]
            while front:
                point = front.pop()
                for g in self.moves:
                    image = int(g[point])
                    if image not in found:
                        found[image] = (a, g[found[point][1]])
                        front.append(image)
        return tuple(found[j] for j in range(self.n))

    @cached_property
    def representatives(self) -> tuple[int, ...]:
        return tuple(sorted({a for a, _ in self.carried}))


@dataclass(frozen=True, eq=False)
class Reduced:
    """A code with symmetry: its equations and every other inner product, in balls.

    Parameters
    ----------
    equations : Equations
    others : tuple of Form
        Pairs that do not touch, one for each orbit; their ``sign`` means nothing.
    action : Action
    dimension : int
        Rank of the projector Q, proved.
    half : tuple of arrays in balls
        Z_a^T Q for each representative, (d_a, n).
    basis : tuple of float arrays
        Z_a, (n, d_a).
    """

    equations: Equations
    others: tuple[Form, ...]
    action: Action
    dimension: int
    half: tuple[Any, ...]
    basis: tuple[Float, ...]

    def points(self, box: Box) -> Iterator[Any]:
        """Every point in balls, as a row (1, n) of R^n, in the order of the columns."""
        import flint

        where = {a: k for k, a in enumerate(self.action.representatives)}
        values = [e + flint.arb(0, box.radius) for e in box.mid.entries()]
        rows = []
        for k, half in enumerate(self.half):
            part = values[self.equations.part(k)]
            rows.append((flint.arb_mat(1, len(part), part) * half).entries())
        for a, g in self.action.carried:
            row = rows[where[a]]
            yield flint.arb_mat(1, self.action.n, [row[int(k)] for k in np.argsort(g)])


def reduce(
    X: Float,
    touches: NDArray[np.bool_],
    moves: Sequence[Int],
    bits: int,
    opposite: Int | None = None,
) -> Reduced | None:
    """The equations of the code X (d, n) under the group that the moves generate, or None.

    Parameters
    ----------
    X : (d, n) array
        Unit vectors that span R^d.
    touches : (n, n) array of bool
        Contacts; the group must keep them, so that an orbit of pairs touches as a whole.
    moves : sequence of (n,) int arrays
        Generators.
    bits : int
        Precision of the projector.
    opposite : (n,) int array, optional
        The permutation that carries every point to its opposite, a member of the group; pairs
        (j, opposite[j]) are then left out of ``others``, having the inner product -1 exactly.

    Returns
    -------
    Reduced or None
        None where the permutations do not act on the row space of X, or do not keep the contacts.
    """
    import flint

    d, n = X.shape
    if any(np.any(touches[np.ix_(g, g)] != touches) for g in moves):
        return None  # one pair of an orbit touches and another does not
    action = Action(n, tuple(moves) + (() if opposite is None else (opposite,)))
    pairs = action.pairs
    reps = action.representatives
    values, axes = np.linalg.eigh(X @ X.T)
    Y = (axes / np.sqrt(values)) @ axes.T @ X  # Y^T carries R^d isometrically onto the row space
    with flint.ctx.workprec(bits + 64):
        made = _projector(Y.T @ Y, pairs, reps, d, bits)
        if made is None:
            return None
        Q, slack = made
        if opposite is not None:
            trace = sum((Q[k, int(opposite[k])] for k in range(n)), flint.arb(0))
            if not (trace + flint.arb(0, slack * n) + d).abs_upper() < flint.arb(1) / 2:
                return None  # it is not -1 on all of V
        ball, basis, half, start = flint.arb(0, slack), [], [], []
        for a in reps:
            Z = _fixed(Y, pairs[a])
            y = Y.T @ X[:, a]
            c = np.linalg.lstsq(Y.T @ (Y @ Z), y, rcond=None)[0]
            if np.abs(Y.T @ (Y @ Z @ c) - y).max() > 1e-6:
                return None
            basis.append(Z)
            left = flint.arb_mat(Z.T.tolist())
            # |Z^T (Q - M)| <= |column of Z| 2e in every entry
            size = flint.arb(float(np.linalg.norm(Z, axis=0).max()) * (1 + 1e-9))
            near = (left * Q).entries()
            half.append(flint.arb_mat(Z.shape[1], n, [e + ball * size for e in near]))
            start.append(c)
        forms: list[Form] = []
        others: list[Form] = []
        where = {a: k for k, a in enumerate(reps)}
        seen = set()
        for k, a in enumerate(reps):
            for j in range(n):
                kind = min(pairs[a, j], pairs[j, a])
                apart = opposite is not None and int(opposite[a]) == j
                if kind in seen or apart:
                    continue
                seen.add(kind)
                b, g = action.carried[j]
                moved = np.empty_like(basis[where[b]])
                moved[g] = basis[where[b]]  # P(g) carries coordinate k to g[k]
                K = half[k] * flint.arb_mat(moved.tolist())
                mid = np.array([[float(v.mid()) for v in row] for row in K.tolist()])
                form = Form(k, where[b], int(touches[a, j]), mid, K)
                (forms if a == j or touches[a, j] else others).append(form)
    t = float((X.T @ X)[touches].mean())
    system = Equations(
        tuple(Z.shape[1] for Z in basis), tuple(forms), np.concatenate([*start, [t]])
    )
    return Reduced(system, tuple(others), action, d, tuple(half), tuple(basis))


def _projector(P: Float, pairs: Int, reps: Sequence[int], d: int, bits: int) -> Any:
    """M (n, n) in exact balls near a projector of rank d, and a bound on |Q - M|; None if none."""
    import flint

    n = P.shape[0]
    both = np.minimum(pairs, pairs.T)  # orbits of unordered pairs
    kinds, flat = np.unique(both, return_inverse=True)
    flat = flat.reshape(n, n)
    counts = np.bincount(flat.ravel())
    means = np.bincount(flat.ravel(), weights=P.ravel()) / counts
    if np.abs(means[flat] - P).max() > 1e-6:
        return None
    values = [flint.arb(float(v)) for v in means]
    near = flat[list(reps)]
    first = [int(np.argmax(near.ravel() == k)) for k in range(len(kinds))]
    slack = flint.arb(1)
    for step in range(12):
        M = flint.arb_mat([[values[k] for k in row] for row in flat])
        rows = flint.arb_mat([[values[k] for k in flat[a]] for a in reps])
        square = rows * M
        error = square - rows
        # The error is constant on orbits of pairs too, so that the rows of the representatives
        # show every row sum of it.
        sums = [sum((e.abs_upper() for e in row), flint.arb(0)) for row in error.tolist()]
        new = max(s.upper() for s in sums)
        if (step and not new * 4 < slack) or new < flint.arb(2) ** -(bits + 16):
            slack = new
            break
        slack = new
        better = (3 * square - 2 * (square * M)).entries()
        values = [better[k].mid() for k in first]
    trace = sum((values[flat[k, k]] for k in range(n)), flint.arb(0))
    wrong = (trace - d).abs_upper() + 2 * slack * n
    if not (slack < flint.arb(1) / 8 and wrong < flint.arb(1) / 2):
        return None
    return M, (2 * slack).upper()


def _fixed(Y: Float, classes: Int) -> Float:
    """Z (n, k), constant on classes, such that Y Z has orthonormal columns that span all Y Z'."""
    kinds, which = np.unique(classes, return_inverse=True)
    indicator = np.eye(len(kinds))[which]
    _, values, V = np.linalg.svd(Y @ indicator, full_matrices=False)
    k = int((values > 1e-6 * values.max()).sum())
    small = V[:k].T / values[:k]
    return np.asarray(small[which], dtype=np.float64)
