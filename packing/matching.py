"""The named arrangement nearest to noisy vectors, and how likely random directions come as near.

Directions of n vectors in R^D are a point of the product of n spheres. The points congruent to an
arrangement X form n!/|Aut X| copies of the orbit O(D) X, and those whose root mean square distance
from one of them is below r form a tube around it. To first order in r its volume is that of the
orbit times that of a ball of radius r sqrt(n) in the m = n (D - 1) - D (D - 1)/2 directions across:

    P = n! / |Aut X| * Vol(O(D) X) * omega_m (r sqrt n)^m / Vol(S^(D-1))^n .

A turn in the plane of two axes a, b of the frame operator (eigenvalues l_a, l_b) moves X by
sqrt(l_a + l_b), so Vol(O(D) X) = Vol(O(D)) * prod over a < b of sqrt(l_a + l_b). A free height adds
one dimension to the orbit; a block that is not named adds all of its own. Derived here; numerical
(tests compare it with counts of random arrangements), and not a bound: tubes may overlap, curve, or
miss a corner. For uneven norms, displacements in W are turned into angles vector by vector.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from packing.arrangement import TOLERANCE, Arrangement
from packing.catalogue import candidates, entry
from packing.catalogue.exact import cross_polytope_name
from packing.catalogue.polytopes import prisms
from packing.symmetry import LARGEST, colours, matching
from packing.types import Float, Int


@dataclass(frozen=True, eq=False)
class Piece:
    """One block of an arrangement, as far as counting is concerned.

    Parameters
    ----------
    name : str
        Blocks of one name may be exchanged.
    vectors : (d, n) array
        Unit vectors that span R^d.
    symmetry_order : int or None
        Relabellings that keep all cosines; None for a block that may have any shape.
    free : int
        Number of free parameters of the shape, such as a height.
    """

    name: str
    vectors: Float
    symmetry_order: int | None
    free: int = 0


def log_chance(pieces: Sequence[Piece], distance: float, weights: Float | None = None) -> float:
    """Natural logarithm of the chance that random directions are as near to a direct sum.

    Parameters
    ----------
    pieces : sequence of Piece
        The orthogonal blocks.
    distance : float
        Root mean square displacement of a vector after the best rotation and relabelling, in units
        of the root mean square norm.
    weights : (n,) array, optional
        Norms in the same units; equal norms if left out.

    Returns
    -------
    float
        At most 0; -infinity for distance 0 where that is a condition at all.
    """
    n = sum(piece.vectors.shape[1] for piece in pieces)
    D = sum(piece.vectors.shape[0] for piece in pieces)
    values = np.concatenate([_frame(piece.vectors) for piece in pieces])
    total = math.lgamma(n + 1.0) + _log_turns(D) + _log_speeds(values)
    across = n * (D - 1) - D * (D - 1) // 2
    for piece in pieces:
        d, k = piece.vectors.shape
        if piece.symmetry_order is None:
            total -= math.lgamma(k + 1.0) + _log_turns(d) + _log_speeds(_frame(piece.vectors))
            total += k * log_sphere(d - 1)
            across -= k * (d - 1) - d * (d - 1) // 2
        else:
            # a free height is an angle in (0, pi/2) that moves each of the k vectors alike
            total -= math.log(piece.symmetry_order)
            total += piece.free * math.log(math.sqrt(k) * math.pi / 2.0)
            across -= piece.free
    named = Counter(piece.name for piece in pieces if piece.symmetry_order is not None)
    total -= sum(math.lgamma(count + 1.0) for count in named.values())
    total -= n * log_sphere(D - 1)
    if weights is not None:
        total -= (D - 1) * float(np.log(np.minimum(weights, 1.0)).sum())
    if across > 0:
        if distance <= 0.0:
            return -math.inf
        ball = across / 2.0 * math.log(math.pi) - math.lgamma(across / 2.0 + 1.0)
        total += ball + across * math.log(distance * math.sqrt(n))
    return min(total, 0.0)


def log_sphere(k: int) -> float:
    """Logarithm of the volume of the unit sphere of dimension k, which lies in R^(k+1)."""
    half = (k + 1) / 2.0
    return math.log(2.0) + half * math.log(math.pi) - math.lgamma(half)


def _log_turns(d: int) -> float:
    """Logarithm of the volume of O(d), where a turn by one radian in a plane has length 1."""
    return math.log(2.0) + sum(log_sphere(k) for k in range(1, d))


def _log_speeds(values: Float) -> float:
    """How fast turns in the planes of two axes move an arrangement with these frame values."""
    i, j = np.triu_indices(values.size, 1)
    return 0.5 * float(np.log(values[i] + values[j]).sum())


def _frame(vectors: Float) -> Float:
    return np.asarray(np.linalg.eigvalsh(vectors @ vectors.T), dtype=np.float64)


# The named arrangement nearest to noisy vectors, after the best rotation, scale and relabelling.
#
# Every candidate of the same size and dimension is tried. Most are dismissed by their sorted
# cosines alone, which bound the distance from below. For the others a relabelling is sought, first
# by reading each noisy angle as the candidate's nearest one, which makes a coloured graph that
# either is the candidate's or is not; where noise is too large for that, by finding images of a few
# vectors that determine a rotation, and then exchanging rotation and assignment until both stay
# put. The distance to each candidate is exact for the relabelling found, so it is an upper bound on
# the true one.


FAR = 0.3
"""Root mean square distance beyond which a named arrangement is no longer called the nearest:
random directions are about 1 away, and at 0.3 every fifth of five vectors sits in a wrong place."""

CLEARLY = 25.0
"""A shape with a free height must fit better than a rigid one by this many times the square of its
own residual per degree of freedom: five standard deviations of the height."""

CLOSE = 1.5
"""A relabelling whose distance is within this factor of what the sorted cosines let expect is
taken for the best: wrong relabellings are far above."""

BLURS = (1e-9, 0.03, 0.1)
"""Cosines of a candidate nearer than this are read as one; noise cannot tell them apart."""

BEAM = 24
"""Rotations tried for one candidate in the search for a start."""

MANY = 100
"""Beyond this many vectors fewer rotations are tried, and no heights fitted: an assignment costs
n^3, and shapes that large are read from their angles or not at all."""


class Shape(Protocol):
    """What a candidate must offer: a name and unit vectors (d, n)."""

    @property
    def name(self) -> str: ...

    @property
    def vectors(self) -> Float: ...


@dataclass(frozen=True, eq=False)
class Nearest:
    """A named arrangement laid over a noisy one.

    Parameters
    ----------
    name : str
    distance : float
        Root mean square displacement of a vector from its place, in units of the root mean square
        norm; every vector keeps its norm, so uneven norms cost nothing.
    largest : float
        The largest such displacement.
    vectors : (d, n) array
        Unit vectors of the named arrangement in its own coordinates, in the labelling of the part.
    order : (n,) array of int
        The relabelling: column i of the part lies on vector order[i] of the candidate.
    free : int
        Number of heights that were fitted.
    """

    name: str
    distance: float
    largest: float
    vectors: Float
    order: Int
    free: int = 0


def nearest(
    part: Arrangement,
    shapes: Sequence[Shape] | None = None,
    *,
    rank: int | None = None,
    far: float = FAR,
) -> Nearest | None:
    """The candidate nearest to the directions of a noisy arrangement.

    Parameters
    ----------
    part : Arrangement
        Without zero columns. Directions of weak columns count less: the noise is in W.
    shapes : sequence of Shape, optional
        Rigid shapes; others than n vectors in R^rank are skipped. The catalogue, cross-polytopes
        (which are a block each for every axis), and prisms and antiprisms of fitted height, if
        left out.
    rank : int, optional
        The dimension of the span of the columns without noise; counted if left out.
    far : float
        Root mean square distance from which on nothing is returned.

    Returns
    -------
    Nearest or None
        None if nothing is nearer than ``far``, or for more than LARGEST vectors.
    """
    d = part.rank() if rank is None else rank
    if part.n > LARGEST or d < 2 or part.n <= d or not np.all(part.norms > 0.0):
        return None
    view = _View(part, d)
    best: Nearest | None = None
    for shape in _rigid(part.n, d) if shapes is None else shapes:
        if shape.vectors.shape == (d, part.n):
            limit = far if best is None else min(far, best.distance)
            best = view.compare(shape, limit) or best
    if shapes is None and d == 3 and part.n <= MANY:
        for shape in prisms(view.own):
            found = view.compare(shape, far)
            found = None if found is None else view.fitted(found)
            if found is not None and (best is None or _clearly(best, found, view)):
                best = found
    return best


def _rigid(n: int, d: int) -> list[Shape]:
    found: list[Shape] = list(candidates(n, d))
    if n == 2 * d:
        found.append(entry(cross_polytope_name(d)))
    return found


def _clearly(rigid: Nearest, other: Nearest, view: _View) -> bool:
    """True if freeing the height pays for itself, by the F test for one parameter."""
    if rigid.free:
        return other.distance < rigid.distance
    freedom = view.n * (view.d - 1) - view.d * (view.d - 1) // 2 - 1
    gain = rigid.distance**2 - other.distance**2
    floor = (TOLERANCE * 1e-3) ** 2  # both fit to the last digits
    return gain > CLEARLY * (other.distance**2 / max(freedom, 1) + floor)


class _View:
    """The noisy vectors as the comparison sees them."""

    def __init__(self, part: Arrangement, d: int) -> None:
        norms = part.relative_norms
        self.n, self.d = part.n, d
        self.weights = norms / math.sqrt(float((norms**2).mean()))
        self.W = part.directions * self.weights
        axes = np.linalg.svd(self.W, full_matrices=False)[0][:, :d]
        flat = axes.T @ part.directions
        lengths = np.linalg.norm(flat, axis=0)
        self.own: Float = flat / np.where(lengths > 0.0, lengths, 1.0)
        self.cosines: Float = np.clip(self.own.T @ self.own, -1.0, 1.0)
        self.sorted: Float = np.sort(self.cosines, axis=None)

    def compare(self, shape: Shape, limit: float) -> Nearest | None:
        """The shape laid over the vectors, or None if that leaves them ``limit`` or more apart."""
        target = np.clip(shape.vectors.T @ shape.vectors, -1.0, 1.0)
        # |u.v - x.y| <= |u - x| + |v - y|, and sorting is the cheapest way to match two tables: so
        # this is at most the distance, up to weak columns, which weigh less there
        least = 0.5 * math.sqrt(float(((self.sorted - np.sort(target, axis=None)) ** 2).mean()))
        if least * min(1.0, float(self.weights.min())) >= limit:
            return None
        best: Nearest | None = None
        for start in self._starts(shape.vectors, target):
            found = self._settled(shape, start)
            if best is None or found.distance < best.distance:
                best = found
            # noise that moves vectors by x moves cosines by x sqrt(2 / d), and least is half that
            if best.distance <= CLOSE * math.sqrt(2.0 * self.d) * least + 1e-9:
                break
        return best if best is not None and best.distance < limit else None

    def _starts(self, vectors: Float, target: Float) -> Iterator[Int]:
        """Relabellings to start from, the most promising first."""
        if self.d == 2:
            around = np.argsort(np.argsort(np.arctan2(self.own[1], self.own[0])))
            yield np.argsort(np.arctan2(vectors[1], vectors[0]))[around]
            return
        for blur in BLURS:
            order = self._read(target, blur)
            if order is not None:
                yield order
        yield from self._anchored(vectors, target)

    def _read(self, target: Float, blur: float) -> Int | None:
        """Every angle taken for the nearest of the candidate's, and the graphs compared."""
        (exact,) = colours([target], blur)
        middle = np.sort([target[exact == k].mean() for k in range(int(exact.max()) + 1)])
        angles = np.arccos(np.clip(middle, -1.0, 1.0))
        bounds = np.cos((angles[1:] + angles[:-1]) / 2.0)
        read = np.searchsorted(bounds, self.cosines).astype(np.int64)
        np.fill_diagonal(read, int(exact.max()))
        return matching(exact, read)

    def _anchored(self, vectors: Float, target: Float) -> Iterator[Int]:
        """Assignments under rotations that carry d vectors of the candidate near d of the own."""
        from scipy.linalg import qr

        base = qr(self.own * np.minimum(self.weights, 1.0), mode="r", pivoting=True)[1][: self.d]
        want = self.cosines[np.ix_(base, base)]
        beam = [(0.0, [i]) for i in _representatives(target)]
        for level in range(1, self.d):
            grown = []
            for cost, images in beam:
                off = ((target[:, images] - want[level, :level]) ** 2).sum(axis=1)
                off[images] = np.inf
                likely = np.argsort(off, kind="stable")[:BEAM]
                grown += [(cost + float(off[i]), [*images, int(i)]) for i in likely]
            grown.sort(key=lambda x: x[0])
            # what symmetry repeats costs the same, and two of it are enough
            costs = [round(cost, 9) for cost, _ in grown]
            beam = [x for k, x in enumerate(grown) if k < 2 or costs[k] != costs[k - 2]][:BEAM]
        for _, images in beam[: max(2, BEAM * MANY // max(self.n, MANY))]:
            U, _, V = np.linalg.svd(self.own[:, base] @ vectors[:, images].T)
            yield self._assigned(U @ V @ vectors)

    def _assigned(self, turned: Float) -> Int:
        """The assignment of turned candidate vectors (d, n) with the least distance."""
        gain = self.own.T @ turned * self.weights[:, None] ** 2
        order = np.argmax(gain, axis=1)
        if np.unique(order).size < self.n:
            from scipy.optimize import linear_sum_assignment

            order = linear_sum_assignment(gain, maximize=True)[1]
        return np.asarray(order, dtype=np.int64)

    def _settled(self, shape: Shape, order: Int) -> Nearest:
        """Rotation and assignment in turn, until the assignment stays."""
        found = self._laid(shape.name, shape.vectors[:, order], order)
        for _ in range(20):
            U, _, V = np.linalg.svd(self.own * self.weights**2 @ found.vectors.T)
            order = self._assigned(U @ V @ shape.vectors)
            if np.array_equal(order, found.order):
                break
            again = self._laid(shape.name, shape.vectors[:, order], order)
            if again.distance >= found.distance * (1.0 - 1e-9):
                break
            found = again
        return found

    def _laid(self, name: str, model: Float, order: Int, free: int = 0) -> Nearest:
        """The distance after the best rotation (orthogonal Procrustes), every norm kept."""
        M = model * self.weights
        U, _, V = np.linalg.svd(self.W @ M.T, full_matrices=False)
        away = np.linalg.norm(self.W - U @ V @ M, axis=0)
        rms = math.sqrt(float((away**2).mean()))
        return Nearest(name, rms, float(away.max()), model, order, free)

    def fitted(self, found: Nearest) -> Nearest:
        """A prism or antiprism with the height that fits best."""
        best = Nearest(found.name, found.distance, found.largest, found.vectors, found.order, 1)
        for _ in range(8):
            model = best.vectors
            axis = _axis(model)
            if axis is None:
                break
            up = axis @ model
            ring = model - np.outer(axis, up)
            U, _, V = np.linalg.svd(self.own * self.weights**2 @ model.T)
            turned = (U @ V).T @ self.own * self.weights**2
            # the height is the angle at which the shape's two parts have these overlaps
            high = float((axis @ turned) @ np.sign(up))
            wide = float((turned * ring).sum() / np.linalg.norm(ring[:, 0]))
            size = math.hypot(high, wide)
            if high <= 0.0 or wide <= 0.0:
                break
            again = wide / size * ring / np.linalg.norm(ring[:, 0])
            again += high / size * np.outer(axis, np.sign(up))
            laid = self._laid(found.name, again, found.order, 1)
            if laid.distance >= best.distance * (1.0 - 1e-6):
                break
            best = laid
        return best


def _representatives(target: Float) -> list[int]:
    """One vector for each row of cosines, up to order, that a candidate has."""
    _, first = np.unique(np.sort(target, axis=1).round(9), axis=0, return_index=True)
    return [int(i) for i in first]


def _axis(model: Float) -> Float | None:
    """The unit vector along which all vectors (3, n) of a prism or antiprism are equally high."""
    _, axes = np.linalg.eigh(model @ model.T)
    for axis in axes.T:
        high = np.abs(axis @ model)
        if np.ptp(high) < 1e-6 < high.min():
            return np.asarray(axis, dtype=np.float64)
    return None
