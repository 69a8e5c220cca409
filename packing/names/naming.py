"""What one block is called, seen sharply or through noise.

The same questions are asked either way: what lies on one line, which vectors follow another, which
shape carries the rest. A `Sight` says what counts as equal. Seen sharply a shape must agree on all
cosines; through noise the nearest one is taken, and it must be nearer than chance allows.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from packing.arrangement import Arrangement
from packing.catalogue import candidates
from packing.catalogue.coordinates import (
    cross_polytope_name,
    polygon,
    polygon_name,
    simplex,
    simplex_name,
)
from packing.catalogue.polytopes import prisms
from packing.names.chance import Piece, log_chance
from packing.names.nearest import Nearest, Shape, nearest
from packing.names.sight import Sight
from packing.symmetry import LARGEST, orbits, relabelling, symmetry_order

Float = NDArray[np.float64]
Int = NDArray[np.int64]

NEAR = 0.15
"""How far a vector of a shape that carries shadows may be from its regular place, as a fraction
of the shape's radius. At (6, 2), uniform, S = 0.07 the pentagon is bent by 0.03."""


@dataclass(frozen=True, eq=False)
class Found:
    """A named block.

    Parameters
    ----------
    name : str
    model : (d, n) array
        The named arrangement in its own coordinates and the block's labelling, with norms.
    free : int
        Number of fitted heights.
    """

    name: str
    model: Float
    free: int = 0

    @property
    def piece(self) -> Piece:
        """The directions of the model, as far as chance is concerned."""
        vectors = self.model / np.linalg.norm(self.model, axis=0)
        return Piece(self.name, vectors, symmetry_order(Arrangement(vectors)), self.free)


def name_block(part: Arrangement, sight: Sight) -> Found | None:
    """The name of a block of non-zero columns; None for an irregular one."""
    return _on_a_line(part, sight) if sight.rank(part) == 1 else _in_space(part, sight)


def near_block(part: Arrangement, sight: Sight) -> Nearest | None:
    """The nearest named arrangement of a block without its shadows and twins, near or not."""
    head = np.ones(part.n, dtype=bool)
    for group in sight.along(part):
        head[sorted(group, key=lambda i: -part.norms[i])[1:]] = False
    core = part.part(np.flatnonzero(head).tolist())
    return nearest(core, rank=sight.rank(core))


def displacements(part: Arrangement, model: Float) -> Float:
    """How far each vector is from a model (k, n) after the best rotation and scale, shape (n,).

    In units of the root mean square norm. Orthogonal Procrustes: with U S V' the decomposition of
    W M', the rotation is U V' and the scale trace(S) / |M|^2.
    """
    W = part.directions * part.relative_norms
    U, values, V = np.linalg.svd(W @ model.T, full_matrices=False)
    fitted = (values.sum() / (model**2).sum()) * (U @ V) @ model
    radius = math.sqrt(float((W**2).sum()) / part.n)
    return np.asarray(np.linalg.norm(W - fitted, axis=0) / radius, dtype=np.float64)


def _on_a_line(part: Arrangement, sight: Sight) -> Found:
    """Dedicated, digon, parallel pair and so on: everything of rank one has a name."""
    norms = part.relative_norms
    axis = part.directions[:, int(np.argmax(norms))]
    along = np.where(axis @ part.directions < 0.0, -1.0, 1.0)
    model = along * norms
    if part.n == 1:
        return Found("dedicated", model[None])
    sides = [norms[along > 0.0], norms[along < 0.0]]
    prefix = "uneven " * sight.uneven(norms)
    if sight.noise and not prefix and (part.n == 2 or sides[1].size == 0):
        model = along
    if sides[1].size == 0:
        words = {2: "parallel pair", 3: "parallel triple", 4: "parallel quadruple"}
        name = words.get(part.n, f"parallel {part.n}-tuple")
        return Found(prefix + name, model[None])
    if part.n == 2:
        return Found(prefix + "digon", model[None])
    # The strongest on each side make the digon and the others follow it. Followers bend the digon
    # they follow, so it is named even; the distance says how uneven it is.
    heads = np.array([side.max() for side in sides])
    weak = sum(int((side < side.max() - sight.even).sum()) for side in sides)
    model = np.where(np.isin(norms, heads), along * heads.mean(), model)
    return Found("digon" + _followers(weak, part.n - 2 - weak), model[None])


def _in_space(part: Arrangement, sight: Sight) -> Found | None:
    """The name of a block of rank two or more."""
    norms = part.relative_norms
    head = np.ones(part.n, dtype=bool)
    host = np.arange(part.n)
    weak = twins = 0
    for group in sight.along(part):
        members = np.array(group)
        first = members[int(np.argmax(norms[members]))]
        others = members[members != first]
        head[others], host[others] = False, first
        lesser = int((norms[others] < norms[first] - sight.even).sum())
        weak, twins = weak + lesser, twins + others.size - lesser
    core = part.part(np.flatnonzero(head).tolist())
    found = _bent(core, sight) if weak + twins else None
    found = found or (_near(core, sight) if sight.noise else _exact(core, sight))
    if found is None:
        return None
    full = np.zeros((found.model.shape[0], part.n))
    full[:, head] = found.model
    full = full[:, host] * np.where(head, 1.0, norms / norms[host])
    return Found(found.name + _followers(weak, twins), full, found.free)


def _exact(core: Arrangement, sight: Sight) -> Found | None:
    """The shape whose cosines the core has."""
    norms, d = core.relative_norms, sight.rank(core)
    if core.n > LARGEST or core.n <= d:
        return None
    shapes: Iterable[Shape] = (*candidates(core.n, d), *prisms(_own_span(core, d)))
    for shape in shapes:
        order = relabelling(shape.vectors, core, sight.same)
        if order is not None:
            if sight.uneven(norms) and core.n == 3 and _mirror(core, sight) is not None:
                break
            prefix = "uneven " * sight.uneven(norms)
            return Found(prefix + shape.name, shape.vectors[:, order] * norms)
    if core.n == 3 and d == 2 and (apex := _mirror(core, sight)) is not None:
        left, right = (i for i in range(3) if i != apex)
        c = (core.cosines[apex, left] + core.cosines[apex, right]) / 2.0
        model = np.zeros((2, 3))
        model[0, apex] = 1.0
        model[:, left], model[:, right] = (c, s := math.sqrt(1.0 - c * c)), (c, -s)
        return Found("isosceles triangle", model * norms)
    return None


def _near(core: Arrangement, sight: Sight) -> Found | None:
    """The nearest shape, if noise explains the distance and chance does not."""
    d = sight.rank(core)
    best = nearest(core, rank=d, far=sight.around)
    if best is None or best.name == cross_polytope_name(d):  # that is several blocks
        return None
    uneven = sight.uneven(core.norms)
    model = best.vectors * (core.relative_norms if uneven else 1.0)
    found = Found("uneven " * uneven + best.name, model, best.free)
    if core.n == d + 1:
        return found if best.distance <= sight.simplex else None
    return found if log_chance([found.piece], best.distance) < math.log(sight.rare) else None


def _mirror(core: Arrangement, sight: Sight) -> int | None:
    """The one of three vectors on whose line a mirror lies, or None."""
    slack = sight.same / core.confidence.min()
    for apex in range(3):
        left, right = (i for i in range(3) if i != apex)
        angles = core.cosines[apex, left] - core.cosines[apex, right]
        if abs(angles) <= slack and not sight.uneven(core.relative_norms[[left, right]]):
            return apex
    return None


def _bent(core: Arrangement, sight: Sight) -> Found | None:
    """The regular polygon or simplex near a core that carries shadows."""
    d = sight.rank(core) if sight.noise else core.rank()
    if core.n == d + 1:
        name, model = simplex_name(d), simplex(d)
    elif d == 2 and core.n >= 5:
        name, model = polygon_name(core.n), polygon(core.n)
        flat = _own_span(core, 2)
        around = np.argsort(np.arctan2(flat[1], flat[0]))
        model = model[:, np.argsort(around)]
    else:
        return None
    near = float(displacements(core, model).max()) <= NEAR
    return Found(name, model) if near else None


def _followers(shadows: int, twins: int) -> str:
    return f" + {shadows} shadow" * (shadows > 0) + f" + {twins} twin" * (twins > 0)


def _own_span(part: Arrangement, d: int) -> Float:
    """Unit directions in coordinates of the d-dimensional space they span, (d, n)."""
    axes, _, _ = np.linalg.svd(part.directions * part.confidence, full_matrices=False)
    return np.asarray(axes[:, :d].T @ part.directions, dtype=np.float64)


# --- words


def sentence(names: Sequence[str], ignored: int, even: bool) -> str:
    """The name of the whole, with a familiar one in brackets when all norms are equal."""
    counts = Counter(names)
    dedicated = counts.pop("dedicated", 0)
    alone = sum(counts.values()) == 1
    words = []
    for name, count in counts.items():
        inner = name if alone or " + " not in name else f"({name})"
        words.append(inner if count == 1 else f"{count} {inner}")
    words += [f"{dedicated} dedicated"] * (dedicated > 0) + [f"{ignored} ignored"] * (ignored > 0)
    name = " + ".join(words)
    if ignored or dedicated or not even:
        return name
    familiar = {
        "2 digon": "square",
        "3 digon": "octahedron",
        "triangle + digon": "triangular bipyramid",
        "pentagon + digon": "pentagonal bipyramid",
    }
    if set(counts) == {"digon"} and counts["digon"] > 3:
        return f"{name} (cross-polytope)"
    return f"{name} ({familiar[name]})" if name in familiar else name


def type_of(part: Arrangement, sight: Sight, order: int | None) -> str:
    """Six hexadecimal digits of the type of an irregular block (see the module's docstring)."""
    tolerance = sight.same
    sizes = sorted(len(orbit) for orbit in orbits(part, tolerance))
    flipped = Arrangement(np.concatenate([part.W, -part.W], axis=1))
    lines = flipped.duplicated(tolerance, 0.0)
    along = [sum(i < part.n for i in line) for line in lines]
    against = [len(line) - k for line, k in zip(lines, along, strict=True)]
    pairs = sorted(tuple(sorted(x)) for x in zip(along, against, strict=True))
    key = repr((part.n, sight.rank(part), order, sizes, pairs))
    return hashlib.sha256(key.encode()).hexdigest()[:6]
