"""Contact equations of a code, with or without its symmetry, and what surrounds a solution of them.

A model turns unit vectors and their contacts into `proofs.equations`; `apart` and `rattle` then
compare, in balls, every pair that does not touch with the cosine of those that do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from packing.arrangement import Arrangement
from packing.contacts import ContactGraph, contact_graph
from packing.errors import BadInput
from packing.proofs.equations import Box, Equations, Form
from packing.proofs.reduced import Reduced, generators, reduce

Float = NDArray[np.float64]
Int = NDArray[np.int64]


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


def plain(X: Float, touches: NDArray[np.bool_], lines: bool) -> Model:
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


def symmetric(
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


def value(model: Model, form: Form, x: Sequence[Any]) -> Any:
    """The inner product of a form's pair at the unknowns x, in balls."""
    import flint

    u, v = x[model.equations.part(form.a)], x[model.equations.part(form.b)]
    if form.exact is None:
        return sum((p * q for p, q in zip(u, v, strict=True)), flint.arb(0))
    return (flint.arb_mat(1, len(u), u) * form.exact * flint.arb_mat(len(v), 1, v))[0, 0]


def solution(box: Box) -> list[Any]:
    """The unknowns in balls."""
    import flint

    return [e + flint.arb(0, box.radius) for e in box.mid.entries()]


def apart(model: Model, box: Box, lines: bool) -> bool:
    """True if every pair of the core that does not touch is proved to stay below the contacts."""
    import flint

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
    from scipy.linalg import qr

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
    import flint

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
    from scipy.optimize import linprog

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
