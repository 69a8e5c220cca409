"""The name of an arrangement: its orthogonal blocks, each compared with the named shapes.

A block has a name only if a construction in `packing.named` agrees with it up to rotation, scale
and relabelling, within the tolerance; everything else is `irregular` with a fingerprint. Grammar:

    blocks joined by " + ", a count before a repeated one, then dedicated and ignored features:
    pentagon; 2 digon + 1 ignored; (pentagon + 1 shadow) + digon + 1 dedicated

- dedicated: alone in its dimension. digon: an antipodal pair. parallel pair: the same direction.
- shadow: weaker than another feature of the block and along its direction; twin: as strong.
  They bend the shape that carries them, so that shape is named when it is a regular polygon or
  simplex within NEAR, or a digon however uneven; `Block.distance` says how far it is bent.
- uneven: the directions of the shape, with unequal norms.
- isosceles triangle: three vectors in a plane with a mirror line through one of them.
- The fingerprint of an irregular block hashes its type, not its decimals: size, dimension, order
  of its symmetry group, orbit sizes, antipodal and parallel pairs. Along a continuous branch in S
  it changes only where the type does; two different blocks may share it.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from packing.arrangement import REPRESENTED, TOLERANCE, Arrangement
from packing.errors import BadInput
from packing.named import polygon, polygon_name, prisms, shapes, simplex, simplex_name
from packing.symmetry import LARGEST, orbits, relabelling, symmetry_order

Float = NDArray[np.float64]
Int = NDArray[np.int64]

NEAR = 0.15
"""How far a vector of a shape that carries shadows may be from its regular place, as a fraction
of the shape's radius. At (6, 2), uniform, S = 0.07 the pentagon is bent by 0.03."""


@dataclass(frozen=True)
class Block:
    """Features in a subspace orthogonal to all others.

    Parameters
    ----------
    name : str
        Name of the shape.
    features : tuple of int
        Its features, ascending, counted from 0.
    symmetry_order : int or None
        Number of relabellings that keep all its inner products; None where that was not found.
    distance : float
        Largest displacement of a vector from the named shape after the best rotation, scale and
        relabelling, in units of the root mean square norm; infinity for an irregular block.
    """

    name: str
    features: tuple[int, ...]
    symmetry_order: int | None
    distance: float


@dataclass(frozen=True)
class Named:
    """The name of an arrangement and of its blocks.

    ``blocks`` are in the order of the name, dedicated features last, one block each; ``rattlers``
    touch no other vector (equal norms only, else empty); ``represented`` counts the features that
    are not ``ignored``.
    """

    name: str
    blocks: tuple[Block, ...]
    rattlers: tuple[int, ...]
    represented: int
    ignored: tuple[int, ...]


def name_of(
    W: ArrayLike | Arrangement,
    b: ArrayLike | None = None,
    *,
    tolerance: float = TOLERANCE,
    norm_tolerance: float = REPRESENTED,
) -> Named:
    """The name of the columns of W.

    Parameters
    ----------
    W : (d, n) array or Arrangement
        Finite weights, one column per feature.
    b : (n,) array, optional
        Biases; checked for shape only, since names describe geometry.
    tolerance : float
        Cosines and relative norms closer than this are the same; in (0, 0.1).
    norm_tolerance : float
        A feature is represented if its norm exceeds this, in the units of W.

    Raises
    ------
    BadInput
        If W or b has a wrong shape or holds NaN, or a tolerance is out of range.

    Notes
    -----
    Numerical, not proved: equality means equality within the tolerance. Every name is confirmed on
    all inner products of a relabelled construction.
    """
    whole = W if isinstance(W, Arrangement) else Arrangement.from_weights(W)
    if b is not None and np.shape(b) != (whole.n,):
        raise BadInput(f"b has shape {np.shape(b)}: give {whole.n} biases, one per column of W")
    if not 0.0 < tolerance < 0.1:
        raise BadInput(f"tolerance = {tolerance:g} is out of range: give a number in (0, 0.1)")
    if not 0.0 <= norm_tolerance < math.inf:
        raise BadInput(f"norm_tolerance = {norm_tolerance:g} is out of range: give a number >= 0")
    groups = whole.blocks(tolerance, norm_tolerance)
    found = [_block(whole.part(group), group, tolerance) for group in groups]
    ranks = {group: whole.part(group).rank(tolerance) for group in groups}

    def place(x: Block) -> tuple[bool, int, int, str, tuple[int, ...]]:
        return x.name == "dedicated", -ranks[x.features], -len(x.features), x.name, x.features

    blocks = tuple(sorted(found, key=place))
    ignored = whole.ignored(norm_tolerance)
    live = [i for group in groups for i in group]
    norms = whole.norms[live]
    even = bool(live) and bool(np.ptp(norms) <= tolerance * norms.max())
    rattlers = whole.part(live).rattlers(tolerance) if even else ()
    return Named(
        name=_sentence(blocks, len(ignored), even),
        blocks=blocks,
        rattlers=tuple(live[i] for i in rattlers),
        represented=len(live),
        ignored=ignored,
    )


def _sentence(blocks: Sequence[Block], ignored: int, even: bool) -> str:
    """The name of the whole, with a familiar one in brackets when all norms are equal."""
    counts = Counter(x.name for x in blocks)
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


# --- one block ----------------------------------------------------------------------------------


def _block(part: Arrangement, features: tuple[int, ...], tolerance: float) -> Block:
    if part.rank(tolerance) == 1:
        name, distance = _on_a_line(part, tolerance)
    else:
        name, distance = _in_space(part, tolerance)
    order = symmetry_order(part, tolerance)
    if not name:
        name = f"irregular {part.n} in {part.rank(tolerance)} [{_fingerprint(part, tolerance)}]"
    return Block(name, features, order, distance)


def _on_a_line(part: Arrangement, tolerance: float) -> tuple[str, float]:
    """Dedicated, digon, parallel pair and so on: everything of rank one has a name."""
    norms = part.relative_norms
    axis = part.directions[:, int(np.argmax(norms))]
    along = np.sign(axis @ part.directions)
    distance = _distance(part, (along * norms)[None, :])
    if part.n == 1:
        return "dedicated", distance
    sides = [norms[along > 0.0], norms[along < 0.0]]
    if sides[1].size == 0:
        words = {2: "parallel pair", 3: "parallel triple", 4: "parallel quadruple"}
        name = words.get(part.n, f"parallel {part.n}-tuple")
        return _uneven(norms, tolerance) + name, distance
    if part.n == 2:
        return _uneven(norms, tolerance) + "digon", distance
    # The strongest on each side make the digon and the others follow it. Followers bend the digon
    # they follow, so it is named even; the distance says how uneven it is.
    heads = np.array([side.max() for side in sides])
    weak = sum(int((side < side.max() - tolerance).sum()) for side in sides)
    model = np.where(np.isin(norms, heads), along * heads.mean(), along * norms)
    return "digon" + _followers(weak, part.n - 2 - weak), _distance(part, model[None, :])


def _in_space(part: Arrangement, tolerance: float) -> tuple[str, float]:
    """Name and distance of a block of rank two or more; no name and infinity if irregular."""
    norms = part.relative_norms
    head = np.ones(part.n, dtype=bool)
    host = np.arange(part.n)
    weak = twins = 0
    for group in part.duplicated(tolerance, 0.0):
        members = np.array(group)
        first = members[int(np.argmax(norms[members]))]
        others = members[members != first]
        head[others], host[others] = False, first
        lesser = int((norms[others] < norms[first] - tolerance).sum())
        weak, twins = weak + lesser, twins + others.size - lesser
    core = part.part(np.flatnonzero(head).tolist())
    found = _bent(core) if weak + twins else None
    found = found or _exact(core, tolerance)
    if found is None:
        return "", math.inf
    name, model = found
    full = np.zeros((model.shape[0], part.n))
    full[:, head] = model
    full = full[:, host] * np.where(head, 1.0, norms / norms[host])
    return name + _followers(weak, twins), _distance(part, full)


def _exact(core: Arrangement, tolerance: float) -> tuple[str, Float] | None:
    """The shape whose cosines the core has, and its vectors in the core's labelling and norms."""
    norms, d = core.relative_norms, core.rank(tolerance)
    if core.n > LARGEST or core.n <= d:
        return None
    for shape in (*shapes(core.n, d), *prisms(_own_span(core, d))):
        order = relabelling(shape.vectors, core, tolerance)
        if order is not None:
            prefix = _uneven(norms, tolerance)
            if prefix and core.n == 3 and _mirror(core, tolerance) is not None:
                break
            return prefix + shape.name, shape.vectors[:, order] * norms
    if core.n == 3 and d == 2 and (apex := _mirror(core, tolerance)) is not None:
        left, right = (i for i in range(3) if i != apex)
        c = (core.cosines[apex, left] + core.cosines[apex, right]) / 2.0
        model = np.zeros((2, 3))
        model[0, apex] = 1.0
        model[:, left], model[:, right] = (c, s := math.sqrt(1.0 - c * c)), (c, -s)
        return "isosceles triangle", model * norms
    return None


def _mirror(core: Arrangement, tolerance: float) -> int | None:
    """The one of three vectors on whose line a mirror lies, or None."""
    slack = tolerance / core.confidence.min()
    for apex in range(3):
        left, right = (i for i in range(3) if i != apex)
        angles = core.cosines[apex, left] - core.cosines[apex, right]
        if abs(angles) <= slack and not _uneven(core.relative_norms[[left, right]], tolerance):
            return apex
    return None


def _bent(core: Arrangement) -> tuple[str, Float] | None:
    """The regular polygon or simplex near a core that carries shadows."""
    d = core.rank()
    if core.n == d + 1:
        name, model = simplex_name(d), simplex(d)
    elif d == 2 and core.n >= 5:
        name, model = polygon_name(core.n), polygon(core.n)
        flat = _own_span(core, 2)
        around = np.argsort(np.arctan2(flat[1], flat[0]))
        model = model[:, np.argsort(around)]
    else:
        return None
    return (name, model) if _distance(core, model) <= NEAR else None


def _uneven(norms: Float, tolerance: float) -> str:
    return "uneven " if np.ptp(norms) > tolerance * norms.max() else ""


def _followers(shadows: int, twins: int) -> str:
    return f" + {shadows} shadow" * (shadows > 0) + f" + {twins} twin" * (twins > 0)


def _own_span(part: Arrangement, d: int) -> Float:
    """Unit directions in coordinates of the d-dimensional space they span, (d, n)."""
    axes, _, _ = np.linalg.svd(part.directions * part.confidence, full_matrices=False)
    return np.asarray(axes[:, :d].T @ part.directions, dtype=np.float64)


def _distance(part: Arrangement, model: Float) -> float:
    """Largest displacement from the model (k, n) after the best rotation and scale.

    Orthogonal Procrustes: with U S V' the decomposition of W M', the rotation is U V' and the
    scale trace(S) / |M|^2.
    """
    W = part.directions * part.relative_norms
    U, values, V = np.linalg.svd(W @ model.T, full_matrices=False)
    fitted = (values.sum() / (model**2).sum()) * (U @ V) @ model
    radius = math.sqrt(float((W**2).sum()) / part.n)
    return float(np.linalg.norm(W - fitted, axis=0).max()) / radius


def _fingerprint(part: Arrangement, tolerance: float) -> str:
    """Six hexadecimal digits of the type of an irregular block (see the module's docstring)."""
    order = symmetry_order(part, tolerance)
    sizes = sorted(len(orbit) for orbit in orbits(part, tolerance))
    flipped = Arrangement(np.concatenate([part.W, -part.W], axis=1))
    lines = flipped.duplicated(tolerance, 0.0)
    along = [sum(i < part.n for i in line) for line in lines]
    against = [len(line) - k for line, k in zip(lines, along, strict=True)]
    pairs = sorted(tuple(sorted(x)) for x in zip(along, against, strict=True))
    key = repr((part.n, part.rank(tolerance), order, sizes, pairs))
    return hashlib.sha256(key.encode()).hexdigest()[:6]
