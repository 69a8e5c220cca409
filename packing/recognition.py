"""The name of an arrangement: its orthogonal blocks, each compared with the named shapes.

A block has a name if a construction of the catalogue agrees with it up to rotation, scale and
relabelling: sharply, within the tolerance, or nearly, at a distance that chance does not explain.
Everything else is `irregular` with a fingerprint of its geometry. `name_of` says the name, and
whatever asks for one asks it; `identify` adds what there is to tell of the blocks. Grammar:

    blocks joined by " + ", a count before a repeated one, then dedicated and ignored features:
    pentagon; 2 digon + 1 ignored; (pentagon + 1 shadow) + digon + 1 dedicated

- dedicated: alone in its dimension. digon: an antipodal pair. parallel pair: the same direction.
- shadow: weaker than another feature of the block and along its direction; twin: as strong.
  They bend the shape that carries them, so that shape is named when it is a regular polygon or
  simplex within BEND, or a digon however uneven.
- uneven: the directions of the shape, with unequal norms.
- isosceles triangle: three vectors in a plane with a mirror line through one of them.
- A block that only nearly has its shape keeps the name: `Block.distortion` says by how much, and
  `Named.said` says it in words ("pentagon, distorted by 1.2%").
- Along a branch of optima distances and fingerprints change with S. `Named.kind` does not: it holds
  the sharp name, irregular blocks by their type (size, dimension, symmetries).
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from packing.arrangement import REPRESENTED, TOLERANCE, Arrangement, grouped_rows
from packing.catalogue import candidates
from packing.catalogue.exact import (
    cross_polytope_name,
    polygon,
    polygon_name,
    simplex,
    simplex_name,
)
from packing.catalogue.polytopes import prisms
from packing.errors import BadInput
from packing.matching import Nearest, Piece, Shape, log_chance, nearest
from packing.results import Result, Table, shown
from packing.symmetry import (
    LARGEST,
    fingerprint,
    orbits_of_copies,
    relabelling,
    symmetry_order,
    type_key,
)
from packing.types import Float

SIMPLEX = 0.05
"""Root mean square distance within which d + 1 noisy vectors are called a simplex. For three random
vectors of the plane it is met with probability 0.002; where there are more than d + 1 vectors,
chance decides instead."""

AROUND = 0.15
"""Root mean square distance beyond which no noisy block gets a name, however unlikely it is."""

EVEN = 0.1
"""Noisy norms that spread by less than this fraction of the largest are called even: training
leaves them a few percent apart."""

ON_A_LINE = 0.03
"""In one dimension norms are called uneven from this difference on: those of short training runs
that should be even differ by up to 0.03, those of the uneven pairs that are optimal at n = 2
(binary) by about S / 2, so that below S = 0.06 they are digons distorted by less than this."""

BLURRED = 0.15
"""A noisy vector whose direction is known no better than this follows no other: among random
directions in the plane one would soon be found along it."""


@dataclass(frozen=True)
class Sight:
    """What counts as equal.

    Parameters
    ----------
    same : float
        Cosines and directions closer than this are the same (weak columns: less sharply).
    even : float
        Norms closer than this fraction of the largest are the same.
    noise : float
        Standard deviation of every entry of W, in the units of W; 0 for a sharp sight.
    rare : float
        Noisy shapes of more than d + 1 vectors are named if random directions come as near with a
        smaller probability than this.
    few : float
        The same for fewer vectors.
    around, simplex : float
        Root mean square distance that a noisy shape may have at most: of more than d + 1 vectors,
        and of fewer.
    """

    same: float
    even: float
    noise: float = 0.0
    rare: float = 0.0
    few: float = 0.0
    around: float = 0.0
    simplex: float = 0.0

    def rank(self, part: Arrangement) -> int:
        """Dimension of the span of the columns without their noise."""
        if not self.noise:
            return part.rank(self.same)
        # the largest singular value of noise alone is sqrt(n) + sqrt(d), seldom half as much again
        top = 1.5 * self.noise * (math.sqrt(part.n) + math.sqrt(part.d))
        return max(1, int((np.linalg.svd(part.W, compute_uv=False) > top).sum()))

    def along(self, part: Arrangement) -> tuple[tuple[int, ...], ...]:
        """Groups of two or more columns along one direction."""
        if not self.noise:
            return part.duplicated(self.same, 0.0)
        reach = self.noise * (math.sqrt(part.d) + 2.5) / part.norms
        allowed = np.where(
            np.maximum(reach[:, None], reach) <= BLURRED, np.hypot(reach[:, None], reach), 0.0
        )
        near = np.sqrt(np.maximum(2.0 - 2.0 * part.cosines, 0.0)) <= allowed
        np.fill_diagonal(near, False)
        groups: list[list[int]] = []
        strongest = np.argsort(-part.norms, kind="stable")  # they know their direction best
        for i in strongest[near[strongest].any(axis=1)].tolist():
            for group in groups:
                if near[i, group[0]]:
                    group.append(i)
                    break
            else:
                groups.append([i])
        return tuple(tuple(sorted(group)) for group in groups if len(group) > 1)

    def uneven(self, norms: Float) -> bool:
        # the spread of many noisy norms is wider than that of a few, the deviation is not
        wide = 2.0 * norms.std() if self.noise else np.ptp(norms)
        return bool(wide > self.even * norms.max())


# What one block is called, seen sharply or through noise.
#
# The same questions are asked either way: what lies on one line, which vectors follow another,
# which shape carries the rest. A `Sight` says what counts as equal. Seen sharply a shape must agree
# on all cosines; through noise the nearest one is taken, and it must be nearer than chance allows.


BEND = 0.15
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
    for shape in _shapes(core, d):
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


def _shapes(core: Arrangement, d: int) -> Iterator[Shape]:
    """What n > d vectors that span R^d may be; most are regular, and need no catalogue."""
    regular = _regular(core.n, d)
    if regular is not None:
        yield Piece(*regular, None)
    yield from candidates(core.n, d)
    yield from prisms(_own_span(core, d))


def _regular(n: int, d: int) -> tuple[str, Float] | None:
    """Name and vectors of the regular simplex or polygon of n vectors in R^d, if there is one."""
    if n == d + 1:
        return simplex_name(d), simplex(d)
    return (polygon_name(n), polygon(n)) if d == 2 and n >= 5 else None


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
    regular = _regular(core.n, d)
    if regular is None:
        return None
    name, model = regular
    if core.n > d + 1:
        flat = _own_span(core, 2)
        around = np.argsort(np.arctan2(flat[1], flat[0]))
        model = model[:, np.argsort(around)]
    near = float(displacements(core, model).max()) <= BEND
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


# Blocks and their names seen through noise, at the noise level that explains most.
#
# For a stated noise level everything follows: which vectors are too short to count, which cosines
# vanish, how large the spans are, and then each block has the name of its nearest arrangement or
# none. If no level is stated, a ladder of levels is climbed until everything has a name; failing
# that, the level that names most features is taken. A reading counts only if the whole comes nearer
# to what it is called than chance brings random directions (`packing.matching`).


LEVELS = tuple(10.0 ** (k / 2.0) for k in range(-10, -1))
"""Noise levels tried when none is stated, 1e-5 to 0.1: lengths of a vector's error in units of the
root mean square norm."""

RARE = 1e-5
"""Without a stated noise level, a name needs random directions to come as near with a probability
below this. Every name that a size and dimension may have adds as much at most: of arrangements at
(4, 2), the worst size, 3.6% get a name where this is 1e-2, hence 4 in 10^5 here, and fewer at any
other n > d + 1 (`tests/test_recognise.py` counts)."""

RARE_STATED = 1e-4
"""The same where the noise level is stated, which rules most other explanations out."""

FEW = 3e-3
"""The same for at most d + 1 vectors, where little is rare: of three random vectors in the plane
one in a hundred still passes for something. Two vectors are what they look like."""

FEW_STATED = 3e-2

SHORT = 3.0
"""Vectors shorter than this many times the noise level are ignored: they may be nothing but it."""

FAINT = 0.03
"""Without a stated noise level, longer vectors are never ignored: what is ignored needs no place,
so that a rest of few vectors would soon look like something."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What was found at one noise level.

    Parameters
    ----------
    groups : tuple of tuple of int
        The blocks.
    found : tuple of (Found or None)
        Their names; None for irregular ones.
    ranks : tuple of int
        Dimensions of their spans.
    sight : Sight
    limit : float
        Norm up to which vectors are ignored.
    distance : float
        Root mean square displacement of a vector from its place in the whole, norms kept, in units
        of the root mean square norm.
    log_chance : float
        Logarithm of the chance that random directions come as near.
    """

    groups: tuple[tuple[int, ...], ...]
    found: tuple[Found | None, ...]
    ranks: tuple[int, ...]
    sight: Sight
    limit: float
    distance: float
    log_chance: float

    @property
    def named(self) -> int:
        """Number of features in named blocks."""
        pairs = zip(self.groups, self.found, strict=True)
        return sum(len(group) for group, found in pairs if found is not None)

    @property
    def complete(self) -> bool:
        return None not in self.found


def read(whole: Arrangement, tolerance: float, noise: float | None) -> Reading | None:
    """The best reading of a noisy arrangement, or None if no block gets a name."""
    best: Reading | None = None
    seen = set()
    for level in LEVELS if noise is None else (noise,):
        look = _looked(whole, tolerance, level, noise is not None)
        if look is None or look.key in seen:
            continue
        seen.add(look.key)
        reading = look.named(whole)
        if reading is not None and reading.named > (0 if best is None else best.named):
            best = reading
            if best.complete:
                break
    return best


@dataclass(frozen=True)
class _Look:
    """Blocks at one level, before they are named."""

    sight: Sight
    limit: float
    groups: tuple[tuple[int, ...], ...]
    ranks: tuple[int, ...]
    doubled: tuple[tuple[tuple[int, ...], ...], ...]

    @property
    def key(self) -> object:
        return self.groups, self.ranks, self.doubled

    def named(self, whole: Arrangement) -> Reading | None:
        """The blocks named, or None if chance explains the whole as well as the names do."""
        parts = [whole.part(group) for group in self.groups]
        found = tuple(name_block(part, self.sight) for part in parts)
        if not any(found):
            return None
        pieces = [
            _free_piece(part, rank) if one is None else one.piece
            for part, rank, one in zip(parts, self.ranks, found, strict=True)
        ]
        live = whole.part([i for group in self.groups for i in group])
        model = np.zeros((sum(p.vectors.shape[0] for p in pieces), live.n))
        row = column = 0
        for piece in pieces:
            d, n = piece.vectors.shape
            model[row : row + d, column : column + n] = piece.vectors
            row, column = row + d, column + n
        distance = math.sqrt(float((displacements(live, model * live.norms) ** 2).mean()))
        weights = live.norms / math.sqrt(float((live.norms**2).mean()))
        chance = log_chance(pieces, distance, weights)
        if live.n > row + 1:
            accepted = chance < math.log(self.sight.rare) and distance <= self.sight.around
        else:
            accepted = distance <= self.sight.simplex
            accepted &= live.n <= 2 or chance < math.log(self.sight.few)
        if not accepted:
            return None
        return Reading(self.groups, found, self.ranks, self.sight, self.limit, distance, chance)


def _looked(whole: Arrangement, tolerance: float, level: float, stated: bool) -> _Look | None:
    """The blocks at one noise level, or None if that level cannot be."""
    norms = whole.norms
    top = float(norms.max())
    if top == 0.0:
        return None
    short = SHORT * level if stated else min(SHORT * level, FAINT)
    scale = _rms(norms[norms > short * top])
    limit = short * scale
    scale = _rms(norms[norms > limit])
    sigma = level * scale / math.sqrt(whole.d)
    spread = 8.0 * sigma / top  # norms of the same length are this far apart at most
    sight = Sight(
        same=max(tolerance, min(8.0 * sigma / scale, 0.1)),
        even=spread if stated else max(spread, EVEN),
        noise=sigma,
        rare=RARE_STATED if stated else RARE,
        few=FEW_STATED if stated else FEW,
        around=2.0 * level if stated else AROUND,
        simplex=min(2.0 * level, 2.0 * SIMPLEX) if stated else SIMPLEX,
    )
    groups = whole.blocks(tolerance, limit, sigma)
    parts = [whole.part(group) for group in groups]
    ranks = tuple(sight.rank(part) for part in parts)
    if sum(ranks) > whole.d:  # cosines that are no noise were taken for it
        return None
    doubled = tuple(sight.along(part) for part in parts)
    return _Look(sight, limit, groups, ranks, doubled)


def _free_piece(part: Arrangement, rank: int) -> Piece:
    """An irregular block: whatever shape it has counts as expected."""
    axes = np.linalg.svd(part.W, full_matrices=False)[0][:, :rank]
    flat = axes.T @ part.directions
    return Piece("irregular", flat / np.linalg.norm(flat, axis=0), None)


def _rms(values: Float) -> float:
    return math.sqrt(float((values**2).mean()))


# The name of the whole, and what is told of its blocks.


GUESSED = 24
"""Exact cosines of blocks outside the catalogue are sought for up to this many vectors."""

LOUDEST = 0.2
"""Noise above this fraction of the vectors' length leaves nothing to name."""


TOLD = 100
"""All cosines of an orbit are listed in blocks of up to this many vectors."""


@dataclass(frozen=True)
class Orbit:
    """Vectors of a block that its symmetries carry into each other.

    Parameters
    ----------
    features : tuple of int
        Its features, copies included.
    copies : int
        Features that share each vector (direction and norm); 1 where all differ.
    norm : float
        Mean norm of its vectors.
    cosines : tuple of (float, int)
        Cosines of its first vector with the other vectors of the block, decreasing, copies left
        out, each with its multiplicity; empty in blocks of more than TOLD vectors.
    """

    features: tuple[int, ...]
    copies: int
    norm: float
    cosines: tuple[tuple[float, int], ...]


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
        Number of relabellings that keep all its inner products; None where that was not found. For
        a shape named through noise, that of the shape.
    distance : float
        Largest displacement of a vector from the named shape after the best rotation, scale and
        relabelling, in units of the root mean square norm; infinity for an irregular block.
    distortion : float or None
        Root mean square of these displacements; 0 where the largest is below the tolerance, None
        for an irregular block.
    fingerprint : str
        For an irregular block, sixteen digits of its geometry: equal for equal blocks, however
        rotated, scaled and labelled (`packing.symmetry.fingerprint`). Its name holds the first six.
    nearest : str
        For an irregular block, the nearest named arrangement if `identify` found one at all.
    nearest_distance : float
        The root mean square displacement from it, every vector keeping its norm; else infinity.
    exact : tuple of str
        From `identify`: the distinct cosines between its vectors, decreasing, as sympy reads them.
        Those of the named shape; for others found by integer relations and proved to belong to
        some vectors (`packing.proofs.exact_gram`). Empty where none were found or the weights are
        noisy.
    orbits : tuple of Orbit
        From `identify`: its vectors by symmetry, the largest norms first; empty beyond LARGEST.
    """

    name: str
    features: tuple[int, ...]
    symmetry_order: int | None
    distance: float
    distortion: float | None
    fingerprint: str = ""
    nearest: str = ""
    nearest_distance: float = math.inf
    exact: tuple[str, ...] = ()
    orbits: tuple[Orbit, ...] = ()


ROUNDING = 1e-12
"""Noise below this is that of floats and not of the weights."""

_ROWS_SHOWN = 64  # blocks listed one by one for people; to_dict has them all
_LONGEST = 40  # characters of an exact cosine shown to people


@dataclass(frozen=True, repr=False)
class Named(Result):
    """The name of an arrangement and of its blocks.

    ``blocks`` are in the order of the name, dedicated features last, one block each. ``rattlers``
    have no cosine as large as the largest of their block, so they can move there and nothing gets
    worse (equal norms only, else empty; through noise, those of the named shapes). ``represented``
    counts the features that are not ``ignored``. ``kind`` is the sharp name, with six digits of the
    type of each irregular block in place of its fingerprint: what stays along a branch of optima.

    A name that holds only nearly has a ``noise``: the root mean square displacement of a vector
    from its place in the named arrangement, every vector keeping its norm, in units of the root
    mean square norm. ``chance`` is the probability that random directions come as near to it
    (`packing.matching`). Both are 0 for a name that holds within the tolerance.
    """

    name: str
    kind: str
    blocks: tuple[Block, ...]
    rattlers: tuple[int, ...]
    represented: int
    ignored: tuple[int, ...]
    noise: float = 0.0
    chance: float = 0.0

    @property
    def distortion(self) -> float:
        """The largest distortion of a block; 0 where all named shapes are kept."""
        return max((block.distortion or 0.0 for block in self.blocks), default=0.0)

    @property
    def said(self) -> str:
        """The name with its distortion, for people."""
        return with_distortion(self.name, self.distortion)

    def _described(self) -> Sequence[Table]:
        """The orbits of blocks that have no name, or only nearly have it."""
        rows = [
            (
                block.name,
                _listed(orbit.features),
                orbit.copies,
                orbit.norm,
                ", ".join(f"{shown(c, 4)} ({k})" for c, k in orbit.cosines[:8]) or None,
            )
            for block in self.blocks
            if block.distortion != 0.0
            for orbit in block.orbits
        ]
        title = "Orbits: vectors that symmetries exchange, and cosines with the others (how often)"
        columns = ("block", "features", "copies", "norm", "cosines")
        return [Table(title, columns, rows[:_ROWS_SHOWN], {"norm": 6})] if rows else []

    @property
    def noisy(self) -> bool:
        """True if the name was seen through more noise than that of floats."""
        return self.noise > ROUNDING

    def _values(self) -> Mapping[str, Any]:
        blocks = [
            {
                "name": block.name,
                "features": block.features,
                "symmetry_order": block.symmetry_order,
                "distance": block.distance,
                "distortion": block.distortion,
                "nearest": block.nearest or None,
                "nearest_distance": block.nearest_distance,
                "fingerprint": block.fingerprint or None,
                "exact": block.exact,
                "orbits": [asdict(orbit) for orbit in block.orbits],
            }
            for block in self.blocks
        ]
        return {
            "name": self.name,
            "distortion": self.distortion,
            "blocks": blocks,
            "rattlers": self.rattlers,
            "represented": self.represented,
            "ignored": self.ignored,
            "noise": self.noise,
            "chance": self.chance,
        }

    def _facts(self) -> Sequence[tuple[str, str]]:
        n = self.represented + len(self.ignored)
        facts = [
            ("arrangement", self.said),
            ("represented", f"{self.represented} of {n} features"),
            ("rattlers", ", ".join(map(str, self.rattlers)) or "none"),
            ("ignored", _listed(self.ignored) or "none"),
        ]
        if self.noisy:
            chance = "below 1e-300" if self.chance == 0.0 else shown(self.chance, 2)
            facts += [
                ("noise", f"{self.noise:.3g} of a vector's length, root mean square"),
                ("chance", f"{chance} that random directions come as near"),
            ]
        return facts

    def _tables(self) -> Sequence[Table]:
        """The blocks; a column in which nothing is known is left out."""
        named = ("block", "features", "symmetry", "largest shift", "nearest", "fingerprint")
        rows = [
            (
                block.name,
                _listed(block.features),
                block.symmetry_order,
                block.distance,
                f"{block.nearest} at {shown(block.nearest_distance, 3)}" if block.nearest else None,
                block.fingerprint or None,
                _readable(block.exact) or None,
            )
            for block in self.blocks[:_ROWS_SHOWN]
        ]
        columns = [*named, "cosines"]
        used = [i for i in range(7) if i < 4 or any(row[i] is not None for row in rows)]
        cells = [[row[i] for i in used] for row in rows]
        table = Table("Blocks", [columns[i] for i in used], cells, {"largest shift": 3})
        return [table, *self._described()] if rows else []


def with_distortion(name: str, distortion: float | None) -> str:
    """A name as people read it: "pentagon, distorted by 1.2%"."""
    return f"{name}, distorted by {100.0 * distortion:.2g}%" if distortion else name


def _readable(exact: Sequence[str]) -> str:
    """The exact cosines that can be read; a root of a polynomial of degree 8 is for machines."""
    short = [text for text in exact if len(text) <= _LONGEST]
    if len(short) == len(exact):
        return _listed(exact)
    if not short:
        return f"{len(exact)} in --json"
    return ", ".join([*short[:10], f"and {len(exact) - len(short[:10])} more in --json"])


def _listed(values: Sequence[Any]) -> str:
    first = ", ".join(map(str, values[:10]))
    return first if len(values) <= 10 else f"{first}, and {len(values) - 10} more"


def name_of(
    W: ArrayLike | Arrangement,
    b: ArrayLike | None = None,
    *,
    tolerance: float = TOLERANCE,
    norm_tolerance: float | None = None,
    noise: float | None = None,
) -> Named:
    """The name of the columns of W: sharp where there is one, else nearly, through noise.

    Parameters
    ----------
    W : (d, n) array or Arrangement
        Finite weights, one column per feature.
    b : (n,) array, optional
        Biases; checked for shape only, since names describe geometry.
    tolerance : float
        Cosines and relative norms closer than this are the same; in (0, 0.1).
    norm_tolerance : float, optional
        A feature is represented if its norm exceeds this, in the units of W; REPRESENTED of the
        largest norm if left out.
    noise : float, optional
        Length of the error that each vector may have, in units of the root mean square norm of the
        features that count; 0 to see sharply only, at most LOUDEST. If left out, whatever has a
        sharp name gets it, and the rest is seen at the noise level between 1e-5 and 0.1 that names
        most.

    Raises
    ------
    BadInput
        If W or b has a wrong shape or holds NaN, or a tolerance or the noise is out of range.

    Notes
    -----
    Numerical, not proved. Every sharp name is confirmed on all inner products of a relabelled
    construction. Through noise, features shorter than three times the noise are ignored (if it is
    not stated, never longer ones than 0.03), and norms are even if their standard deviation is
    below a twentieth of the largest (if it is stated, below four times that of an entry). Without a
    stated noise, fewer than one in 10^4 random arrangements of more than d + 1 vectors gets a name
    (`packing.matching` has the formula, tests the count). With fewer vectors a name says little: of
    three random vectors in the plane up to one in a hundred gets one, and `chance` says how little.
    Overstating the noise can lose a name.
    """
    return _named(_checked(W, b, tolerance), tolerance, norm_tolerance, noise)[0]


def identify(
    W: ArrayLike | Arrangement,
    b: ArrayLike | None = None,
    *,
    tolerance: float = TOLERANCE,
    noise: float | None = None,
    exact: bool = True,
) -> Named:
    """The name of the columns of W as `name_of` gives it, with all that is known of the blocks.

    Parameters
    ----------
    W, b, tolerance, noise
        As in `name_of`.
    exact : bool
        Look for the exact cosines of blocks; without, they are left empty and nothing else changes.

    Returns
    -------
    Named
        With orbits, the nearest named arrangement of irregular blocks, and exact cosines where they
        are known.

    Raises
    ------
    BadInput
        As `name_of`.
    """
    whole = _checked(W, b, tolerance)
    named, sight = _named(whole, tolerance, None, noise)
    return replace(named, blocks=tuple(_told(whole, x, sight, exact) for x in named.blocks))


def _named(
    whole: Arrangement, tolerance: float, norm_tolerance: float | None, noise: float | None
) -> tuple[Named, Sight]:
    """The name, and how it was seen."""
    if norm_tolerance is None:
        norm_tolerance = REPRESENTED * float(whole.norms.max())
    if not 0.0 <= norm_tolerance < math.inf:
        raise BadInput(f"norm_tolerance = {norm_tolerance:g} is out of range: give a number >= 0")
    if noise is not None and not 0.0 <= noise <= LOUDEST:
        raise BadInput(
            f"noise = {noise:g} is out of range: give the length of a vector's error as a fraction "
            f"of its norm, from 0 to {LOUDEST:g}"
        )
    sight = Sight(tolerance, tolerance)
    groups = whole.blocks(tolerance, norm_tolerance)
    found = [name_block(whole.part(group), sight) for group in groups]
    sharp = _assembled(whole, groups, found, sight, norm_tolerance)
    regular = sum(len(block.features) for block in sharp.blocks if block.distance < math.inf)
    if "uneven" in sharp.name and whole.d == 1:  # there only norms can tell of noise
        live = whole.norms[list(whole.represented(norm_tolerance))]
        regular *= bool(np.ptp(live) > ON_A_LINE * live.max())
    reading = None
    if noise or (noise is None and regular < sharp.represented):
        reading = read(whole, tolerance, noise)
    if reading is None or (noise is None and reading.named <= regular):
        return sharp, sight
    named = _assembled(whole, reading.groups, reading.found, reading.sight, reading.limit)
    chance = math.exp(reading.log_chance)
    seen = replace(named, kind=sharp.kind, noise=reading.distance, chance=chance)
    return seen, reading.sight


def _checked(W: ArrayLike | Arrangement, b: ArrayLike | None, tolerance: float) -> Arrangement:
    whole = W if isinstance(W, Arrangement) else Arrangement.from_weights(W)
    if b is not None and np.shape(b) != (whole.n,):
        raise BadInput(f"b has shape {np.shape(b)}: give {whole.n} biases, one per column of W")
    if not 0.0 < tolerance < 0.1:
        raise BadInput(f"tolerance = {tolerance:g} is out of range: give a number in (0, 0.1)")
    return whole


def _assembled(
    whole: Arrangement,
    groups: Sequence[tuple[int, ...]],
    found: Sequence[Found | None],
    sight: Sight,
    norm_tolerance: float,
) -> Named:
    """The name of the whole from those of its blocks."""
    blocks = [
        _block(whole.part(group), group, one, sight)
        for group, one in zip(groups, found, strict=True)
    ]
    ranks = {group: sight.rank(whole.part(group)) for group in groups}

    def place(pair: tuple[Block, str]) -> tuple[bool, int, int, str, tuple[int, ...]]:
        x, kind = pair
        return kind == "dedicated", -ranks[x.features], -len(x.features), kind, x.features

    blocks.sort(key=place)
    ignored = whole.ignored(norm_tolerance)
    live = [i for group in groups for i in group]
    even = bool(live) and not sight.uneven(whole.norms[live])
    loose = []
    for group, one in zip(groups, found, strict=True):
        if not sight.noise:
            loose += [group[i] for i in whole.part(group).rattlers(sight.same)]
        elif one is not None:  # noise lifts one cosine above the others: ask the shape itself
            loose += [group[i] for i in Arrangement(one.model).rattlers(TOLERANCE)]
    return Named(
        name=sentence([x.name for x, _ in blocks], len(ignored), even),
        kind=sentence([kind for _, kind in blocks], len(ignored), even),
        blocks=tuple(x for x, _ in blocks),
        rattlers=tuple(sorted(loose)) if even else (),
        represented=len(live),
        ignored=ignored,
    )


def _block(
    part: Arrangement, group: tuple[int, ...], found: Found | None, sight: Sight
) -> tuple[Block, str]:
    """A block, and its name as it goes into the kind of the whole."""
    if found is None:
        rank = sight.rank(part)
        key = type_key(part, sight.same, rank)
        digits = fingerprint(part, key)
        type_ = hashlib.sha256(repr(key).encode()).hexdigest()
        order = symmetry_order(part, sight.same)
        size = f"irregular {part.n} in {rank}"
        block = Block(f"{size} [{digits[:6]}]", group, order, math.inf, None, digits)
        return block, f"{size} [{type_[:6]}]"
    away = displacements(part, found.model)
    distance = float(away.max())
    distortion = math.sqrt(float((away**2).mean())) if distance > TOLERANCE else 0.0
    order = symmetry_order(Arrangement(found.model) if sight.noise else part, sight.same)
    return Block(found.name, group, order, distance, distortion), found.name


def _told(whole: Arrangement, block: Block, sight: Sight, wanted: bool) -> Block:
    """A block with what only `identify` says of it."""
    part = whole.part(block.features)
    block = replace(block, orbits=_orbits(part, block, sight))
    if wanted and not sight.noise:
        block = replace(block, exact=_exact_cosines(part, block, sight))
    if block.distance < math.inf or (near := near_block(part, sight)) is None:
        return block
    return replace(block, nearest=near.name, nearest_distance=near.distance)


def _orbits(part: Arrangement, block: Block, sight: Sight) -> tuple[Orbit, ...]:
    """The orbits of a block: of its vectors as they are, distorted or not."""
    if part.n > LARGEST:
        return ()
    found = orbits_of_copies(part, sight.same)
    kept = part.part([copies[0] for orbit in found for copies in orbit])
    rows = grouped_rows(kept.cosines, sight.same) if 1 < kept.n <= TOLD else [()] * kept.n
    told, row = [], 0
    for orbit in found:
        members = sorted(i for copies in orbit for i in copies)
        features = tuple(block.features[i] for i in members)
        norm = float(part.norms[members].mean())
        told.append(Orbit(features, len(orbit[0]), norm, rows[row]))
        row += len(orbit)
    return tuple(sorted(told, key=lambda x: (-x.norm, x.features)))


def _exact_cosines(part: Arrangement, block: Block, sight: Sight) -> tuple[str, ...]:
    """Cosines between the vectors of a block, from the catalogue or by integer relations."""
    if sight.rank(part) == 1:
        signs = np.unique(np.sign(part.cosines[np.triu_indices(part.n, 1)]))
        return tuple("1" if sign > 0.0 else "-1" for sign in signs[::-1])
    name = block.name.removeprefix("uneven ")
    for one in candidates(part.n, sight.rank(part)):
        if one.name == name:
            rows = [cosine for _, row in one.rows for cosine, _ in row]
            return tuple({c.text: c for c in sorted(rows, key=lambda c: -c.value)})
    if part.n > GUESSED:
        return ()
    from packing.proofs.exact_gram import exact_gram

    found = exact_gram(part).gram
    return () if found is None else tuple(c.text for c in found.cosines[1:])
