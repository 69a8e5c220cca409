"""Contact equations of a code, solved to many digits and proved to have a solution nearby.

Unknown are the coordinates of a few representative vectors c_a and the cosine t of a contact:

    c_a . K c_b = 1 (a norm), = t or = -t (a contact), and linear equations that fix rotations.

Without symmetry every vector is its own representative and every K is the identity; with symmetry
(`symmetric_model`) K carries one vector to another. A Krawczyk test in ball arithmetic
(python-flint) proves that an exact solution exists in a small box and is the only one there: if
x - C f(x) + (1 - C J(B))(B - x) lies inside the box B around x, for any matrix C (Krawczyk 1969;
Rump, Acta Numerica 19, 2010). Entries of K may be balls too: the test then holds for each of their
values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import flint
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import qr
from scipy.optimize import linprog
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from packing.algebra.balls import Ball, krawczyk
from packing.arrangement import Arrangement, ContactGraph, contact_graph
from packing.errors import BadInput
from packing.symmetry import Coloured, colours
from packing.types import Float, Int

INDEPENDENT = 1e-7
"""Singular values of the scaled Jacobian below this count as zero. Only a guide: what is proved is
proved by the Krawczyk test, whatever was guessed here."""


NEAR = 1e-4
"""A proof is about a code near the one that was given: no coordinate may move further."""


@dataclass(frozen=True, eq=False)
class Form:
    """One equation c_a . K c_b = 1 (sign 0) or sign * t; ``exact`` is K in balls, None if 1."""

    a: int
    b: int
    sign: int
    K: Float
    exact: Any = None

    def product(self, u: Sequence[Ball], v: Sequence[Ball]) -> Ball:
        """u . K v in balls."""
        if self.exact is None:
            return sum((p * q for p, q in zip(u, v, strict=True)), flint.arb(0))
        return (flint.arb_mat(1, len(u), u) * self.exact * flint.arb_mat(len(v), 1, v))[0, 0]


@dataclass(frozen=True, eq=False)
class Box:
    """A proved enclosure: the solution lies within ``radius`` of ``mid`` in every unknown."""

    mid: Any
    radius: Any


@dataclass(frozen=True, eq=False)
class Equations:
    """The forms, how many coordinates each representative has, and a float solution (N,).

    The last unknown is t.
    """

    sizes: tuple[int, ...]
    forms: tuple[Form, ...]
    start: Float

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        return tuple(int(k) for k in np.concatenate([[0], np.cumsum(self.sizes)]))

    @property
    def unknowns(self) -> int:
        return self.offsets[-1] + 1

    def part(self, a: int) -> slice:
        """Where the coordinates of representative a stand among the unknowns."""
        return slice(self.offsets[a], self.offsets[a + 1])

    def residual(self, x: Float) -> Float:
        """f(x), shape (equations,), without the gauge."""
        values = [x[self.part(f.a)] @ f.K @ x[self.part(f.b)] for f in self.forms]
        return np.array(values) - [f.sign * x[-1] if f.sign else 1.0 for f in self.forms]

    def jacobian(self, x: Float) -> Float:
        """Derivatives, shape (equations, N), without the gauge."""
        J = np.zeros((len(self.forms), self.unknowns))
        for row, f in zip(J, self.forms, strict=True):
            row[self.part(f.a)] += f.K @ x[self.part(f.b)]
            row[self.part(f.b)] += f.K.T @ x[self.part(f.a)]
            row[-1] = -f.sign
        return J

    @cached_property
    def polished(self) -> Float:
        """The start after Gauss-Newton steps in floating point."""
        x = self.start
        for _ in range(6):
            step = np.linalg.lstsq(self.jacobian(x), -self.residual(x), rcond=INDEPENDENT)[0]
            x = x + step
            if np.abs(step).max() < 1e-15:
                break
        return x

    @cached_property
    def _decomposed(self) -> tuple[Float, Float, Float]:
        U, values, V = np.linalg.svd(self.jacobian(self.polished), full_matrices=True)
        return U, values, V

    @property
    def rank(self) -> int:
        """Number of independent equations at the polished start; numerical."""
        values = self._decomposed[1]
        return int((values > INDEPENDENT * values.max()).sum())

    @property
    def independent(self) -> bool:
        """True if no equation follows from the others to first order; numerical."""
        return self.rank == len(self.forms)

    @cached_property
    def inverse(self) -> Float:
        """Pseudo-inverse of the Jacobian, (N, equations)."""
        U, values, V = self._decomposed
        k = self.rank
        return np.asarray((V[:k].T / values[:k]) @ U[:, :k].T, dtype=np.float64)

    @cached_property
    def gauge(self) -> Float:
        """Directions (k, N) that the equations leave free: rotations and flexes."""
        return np.asarray(self._decomposed[2][self.rank :], dtype=np.float64)

    # --- many digits ----------------------------------------------------------------------------

    def _exact_residual(self, x: Any) -> Any:
        """f in balls at the column x (N, 1), without the gauge."""
        column = x.entries()
        values = [f.product(column[self.part(f.a)], column[self.part(f.b)]) for f in self.forms]
        sides = [f.sign * column[-1] if f.sign else 1 for f in self.forms]
        return flint.arb_mat(
            len(values), 1, [value - side for value, side in zip(values, sides, strict=True)]
        )

    def _exact_jacobian(self, x: Any) -> Any:
        """Derivatives in balls, one list per equation, without the gauge."""
        column, rows = x.entries(), []
        for f in self.forms:
            row = [flint.arb(0)] * self.unknowns
            u, v = column[self.part(f.a)], column[self.part(f.b)]
            if f.exact is not None:
                left = (flint.arb_mat(1, len(u), u) * f.exact).entries()
                v = (f.exact * flint.arb_mat(len(v), 1, v)).entries()
                u = left
            for k, value in zip(range(*self.part(f.a).indices(self.unknowns)), v, strict=True):
                row[k] += value
            for k, value in zip(range(*self.part(f.b).indices(self.unknowns)), u, strict=True):
                row[k] += value
            row[-1] = flint.arb(-f.sign)
            rows.append(row)
        return rows

    def refine(self, bits: int) -> tuple[Any, Any]:
        """A solution to about ``bits`` bits, with the largest |f| left; numerical.

        Simplified Newton steps: the float pseudo-inverse gains some 40 bits each. Redundant
        equations are fine where they agree. The residual says what was reached.
        """
        with flint.ctx.workprec(bits + 64):
            C = _balls(self.inverse)
            x = _balls(self.polished[:, None])
            before = None
            for _ in range(12 + bits // 8):
                step = (C * self._exact_residual(x)).mid()
                x = (x - step).mid()
                size = max((e.abs_upper() for e in step.entries()), default=flint.arb(0))
                if size < flint.arb(2) ** -bits or (before is not None and size > before):
                    break
                before = size
            left = max(e.abs_upper() for e in self._exact_residual(x).entries())
        return x, left

    def prove(self, bits: int) -> Box | None:
        """A box that provably holds exactly one solution of the equations and the gauge, or None.

        The gauge asks that the solution differs from the refined one by nothing along the
        directions that the equations leave free.
        """
        if not self.independent or np.abs(self.polished - self.start).max() > NEAR:
            return None
        x, _ = self.refine(bits)
        with flint.ctx.workprec(bits + 64):
            f = self._exact_residual(x)  # the gauge equations vanish at x by definition
            free = self.gauge.shape[0]
            full = np.vstack([self.jacobian(self.polished), self.gauge])
            C = _balls(np.linalg.inv(full))
            f = flint.arb_mat(f.nrows() + free, 1, f.entries() + [flint.arb(0)] * free)
            shift = C * f
            top = max(e.abs_upper() for e in shift.entries())
            radius = (top * 4 + flint.arb(2) ** -bits).upper()
            for _ in range(6):
                around = [e + flint.arb(0, radius) for e in x.entries()]
                J = self._exact_jacobian(flint.arb_mat(self.unknowns, 1, around))
                J += [[flint.arb(float(g)) for g in row] for row in self.gauge]
                if krawczyk(C, flint.arb_mat(J), shift, radius) is not None:
                    return Box(x, radius)
                radius = (radius * 1000).upper()
        return None


def _balls(values: Float) -> Any:
    """A float matrix as exact balls."""
    return flint.arb_mat([[float(v) for v in row] for row in values])


# --- symmetric codes: one vector per orbit, exact though found by floats ------------------------
#
# A symmetric code has more contacts than unknowns; restricted to codes with the same symmetry the
# count is often right. The restriction has to be exact. Let H be a group of permutations of the n
# points (any group: which one was guessed from floats). It acts on R^n by permutation matrices
# P(g).
#
# 1. A symmetric matrix M (n, n) that is constant on the orbits of H on pairs commutes with every
#    P(g), exactly, whatever its values. Take values near the projector on the row space of X
#    (d, n).
# 2. If |M^2 - M| <= e in the spectral norm (checked in balls; the largest row sum bounds it), the
#    eigenvalues of M are within 2e of 0 or 1, and the projector Q onto those near 1 is within 2e of
#    M, commutes with every P(g), and has rank trace(M) rounded. So V = range Q is a d-dimensional
#    Euclidean space on which H acts by isometries.
# 3. Points y_a in V, one for each orbit, fixed by the stabiliser of a, give the code P(g) y_a. With
#    z constant on the orbits of the stabiliser, Q z is such a point; so y_a = Q Z_a c_a with a
#    whole-orbit matrix Z_a of floats, and y_a . P(g) y_b = c_a . (Z_a^T Q P(g) Z_b) c_b.
#
# The contact equations with K = Z_a^T Q P(g) Z_b, in balls, therefore describe exactly the codes in
# R^d with the symmetry H. Derived here.


def generators(
    directions: Float, tolerance: float, touches: NDArray[np.bool_] | None = None
) -> tuple[int, list[Int]]:
    """Order and generators of the permutations of columns (d, n) that keep cosines and contacts.

    Numerical: cosines joined by gaps below the tolerance share a colour.
    """
    (colour,) = colours([directions.T @ directions], tolerance)
    if touches is not None:
        colour = 2 * colour + touches
    graph = Coloured(colour, np.zeros(directions.shape[1], dtype=np.int64))
    return graph.count(), [np.array(images, dtype=np.int64) for images in graph.generators()]


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


# --- models: the equations of a code, with or without its symmetry ------------------------------

TOLERANCE = 1e-9
"""Cosines this close to the largest are contacts: a polished code has them equal to about 1e-13."""

LARGEST = 600
"""Points beyond which no symmetry is looked for: projectors of that size are made in balls."""


@dataclass(frozen=True, eq=False)
class Model:
    """The contact equations of a code, plain or reduced by symmetry.

    ``X`` (r, k) are the core's unit vectors in its own span, both signs of each for reduced lines;
    ``pairs`` are the pairs of core vectors that do not touch, for a plain model.
    """

    X: Float
    equations: Equations
    reduced: Reduced | None = None
    symmetry: int = 1
    rotations: int = 0
    others: tuple[Form, ...] = field(default=())


def contact_structure(
    whole: Arrangement, contacts: ArrayLike | None, tolerance: float, lines: bool
) -> tuple[ContactGraph, NDArray[np.bool_]]:
    """The contact graph, found or given, and which pairs touch, (n, n).

    Raises
    ------
    BadInput
        If the contacts given are no pairs of different vectors.
    """
    if not 0.0 < tolerance < 0.1:
        raise BadInput(f"tolerance = {tolerance:g} is out of range: give a number in (0, 0.1)")
    given = None
    if contacts is not None:
        pairs = np.asarray(contacts)
        fine = pairs.ndim == 2 and pairs.shape[1:] == (2,) and pairs.dtype.kind in "iu"
        if not fine or not len(pairs) or pairs.min() < 0 or pairs.max() >= whole.n:
            raise BadInput(f"contacts: give an (m, 2) array of pairs of vectors 0 to {whole.n - 1}")
        if np.any(pairs[:, 0] == pairs[:, 1]):
            raise BadInput("contacts: a vector cannot touch itself, give pairs of different ones")
        given = np.zeros((whole.n, whole.n), dtype=bool)
        given[pairs[:, 0], pairs[:, 1]] = given[pairs[:, 1], pairs[:, 0]] = True
    graph = contact_graph(whole.directions, tolerance, lines, given)
    held = np.zeros((whole.n, whole.n), dtype=bool)
    i, j = graph.pairs.T
    held[i, j] = held[j, i] = True
    return graph, held


def plain_model(X: Float, touches: NDArray[np.bool_], lines: bool) -> Model:
    """One representative for each vector of X (r, k)."""
    r, k = X.shape
    C, identity = X.T @ X, np.eye(r)
    forms = [Form(i, i, 0, identity) for i in range(k)]
    others: list[Form] = []
    for i, j in zip(*np.triu_indices(k, 1), strict=True):
        sign = -1 if lines and C[i, j] < 0.0 else 1
        form = Form(int(i), int(j), sign, identity)
        (forms if touches[i, j] else others).append(form)
    t = float(np.abs(C[touches]).mean()) if lines else float(C[touches].mean())
    start = np.append(X.T.ravel(), t)
    return Model(
        X, Equations((r,) * k, tuple(forms), start), None, 1, r * (r - 1) // 2, tuple(others)
    )


def symmetric_model(
    X: Float, touches: NDArray[np.bool_], lines: bool, bits: int, tolerance: float
) -> Model | None:
    """One representative for each orbit of the symmetry group, or None without a symmetry."""
    k = X.shape[1]
    if (2 if lines else 1) * k > LARGEST:
        return None
    opposite = None
    if lines:
        sign = X.T @ X > 0.0
        touches = np.block([[touches & sign, touches & ~sign], [touches & ~sign, touches & sign]])
        X = np.concatenate([X, -X], axis=1)
        opposite = np.roll(np.arange(2 * k), k)
    order, moves = generators(X, tolerance, touches)
    if order == 1:
        return None
    found = reduce(X, touches, moves, bits, opposite)
    if found is None:
        return None
    return Model(X, found.equations, found, order, _commuting(X, moves), found.others)


def _commuting(X: Float, moves: Sequence[Int]) -> int:
    """Dimension of the rotations of R^r that commute with the symmetries of X (r, k)."""
    r = X.shape[0]
    i, j = np.triu_indices(r, 1)
    if not i.size:
        return 0
    skew = np.zeros((i.size, r, r))
    skew[np.arange(i.size), i, j], skew[np.arange(i.size), j, i] = 1.0, -1.0
    back = np.linalg.pinv(X)
    rows = [(skew @ R - R @ skew).reshape(i.size, -1) for R in (X[:, g] @ back for g in moves)]
    values = np.linalg.svd(np.concatenate(rows, axis=1), compute_uv=False)
    return int(i.size - (values > 1e-6).sum())


def value(model: Model, form: Form, x: Sequence[Ball]) -> Ball:
    """The inner product of a form's pair at the unknowns x, in balls."""
    return form.product(x[model.equations.part(form.a)], x[model.equations.part(form.b)])


def solution(box: Box) -> list[Any]:
    """The unknowns in balls."""
    return [e + flint.arb(0, box.radius) for e in box.mid.entries()]


def apart(model: Model, box: Box, lines: bool) -> bool:
    """True if every pair of the core that does not touch is proved to stay below the contacts."""
    with flint.ctx.workprec(256):  # balls; wide ones can only make the answer no
        x = solution(box)
        values = [value(model, form, x) for form in model.others]
        if lines and model.reduced is None:
            values = [abs(v) for v in values]
        return all(v < x[-1] for v in values)


def trimmed(model: Model) -> tuple[Model, tuple[Form, ...]]:
    """The model with independent equations only, and the contacts that were left out.

    Norms stay; among the contacts a pivoted factorisation chooses.
    """
    system = model.equations
    J = system.jacobian(system.polished)
    norms = np.array([form.sign == 0 for form in system.forms])
    basis = np.linalg.qr(J[norms].T)[0]
    rest = J[~norms] - (J[~norms] @ basis) @ basis.T
    keep = qr(rest.T, mode="r", pivoting=True)[1][: system.rank - int(norms.sum())]
    chosen = norms.copy()
    chosen[np.flatnonzero(~norms)[keep]] = True
    forms = tuple(f for f, kept in zip(system.forms, chosen, strict=True) if kept)
    out = tuple(f for f, kept in zip(system.forms, chosen, strict=True) if not kept)
    smaller = Equations(system.sizes, forms, system.polished)
    return replace(model, equations=smaller), out


def rattle(model: Model, box: Box, loose: Float, lines: bool) -> bool:
    """True if the rattlers are proved to fit: all their cosines stay below the contacts.

    ``loose`` (d, k) are the rattlers in coordinates whose first r span the core. They are moved to
    the middle of their room first, since a search may leave them leaning on something.
    """
    d, k = loose.shape
    if not k:
        return True
    r, size = model.X.shape
    core = np.vstack([model.X, np.zeros((d - r, size))])
    floats = settled(core, loose, lines)
    with flint.ctx.workprec(256):
        x = solution(box)
        if model.reduced is None:
            points = [x[model.equations.part(i)] for i in range(size)]
        else:
            points = [row.entries() for row in model.reduced.points(box)]
        # Both are coordinates in one Euclidean space; in the reduced one a rattler must be a
        # combination of exact points, since other rows of R^n may lie outside it.
        if model.reduced is None:
            rows = [[flint.arb(float(v)) for v in column] for column in floats[:r].T]
        else:
            weights = np.linalg.pinv(model.X) @ floats[:r]
            made = flint.arb_mat(weights.T.tolist()) * flint.arb_mat(points)
            rows = made.tolist()
        rows = [row + [flint.arb(float(v)) for v in floats[r:, i]] for i, row in enumerate(rows)]
        points = [list(p) + [flint.arb(0)] * (d - r) for p in points]
        placed: list[list[Any]] = []
        for row in rows:
            length = sum((v * v for v in row), flint.arb(0)).sqrt()
            for point in (*points, *placed):
                dot = sum((p * q for p, q in zip(row, point, strict=True)), flint.arb(0))
                cosine = dot / length
                if not (abs(cosine) if lines else cosine) < x[-1]:
                    return False
            placed.append([v / length for v in row])
    return True


def settled(core: Float, loose: Float, lines: bool) -> Float:
    """Rattlers (d, k) moved, one after the other, to where their largest cosine is smallest.

    By a few linear programmes in the tangent space, each step kept only if it helps.
    """
    placed = np.array(loose)
    for _ in range(2):
        for i in range(placed.shape[1]):
            others = np.concatenate([core, np.delete(placed, i, axis=1)], axis=1)
            others = np.concatenate([others, -others], axis=1) if lines else others
            x, reach = placed[:, i], 0.1
            worst = float((x @ others).max())
            for _ in range(12):
                d = x.size
                A = np.column_stack([others.T, -np.ones(others.shape[1])])
                step = linprog(
                    np.append(np.zeros(d), 1.0),
                    A_ub=A,
                    b_ub=-(x @ others),
                    A_eq=np.append(x, 0.0)[None],
                    b_eq=[0.0],
                    bounds=[(-reach, reach)] * d + [(-2.0, 2.0)],
                    method="highs",
                )
                if step.status != 0:
                    break
                y = x + step.x[:d]
                y = y / np.linalg.norm(y)
                if (new := float((y @ others).max())) < worst - 1e-12:
                    x, worst = y, new
                else:
                    reach /= 4.0
            placed[:, i] = x
    return placed
