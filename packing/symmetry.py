"""Relabellings: which permutations of vectors keep every cosine, and how many there are.

Cosines are sorted into colours. A relabelling that keeps colours is found by fixing the images of
independent vectors one by one: once their images are known, every other vector is known by its
cosines with them. A partial choice is dropped as soon as the multiset of colours seen so far
differs, which leaves almost no dead ends.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from packing.arrangement import TOLERANCE, Arrangement

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Hash = NDArray[np.uint64]

LARGEST = 512
"""Blocks of more vectors than this are neither compared with shapes nor searched for symmetry."""

BUDGET = 50_000
"""Steps after which the search for a relabelling gives up; symmetric shapes need far fewer."""


def relabelling(vectors: Float, part: Arrangement, tolerance: float = TOLERANCE) -> Int | None:
    """order (n,) such that vectors[:, order] has the cosines of the part, or None.

    ``vectors`` (k, n) are unit columns. Norms play no role.
    """
    want = vectors.T @ vectors
    if want.shape != part.cosines.shape:
        return None
    slack = min(tolerance / float(part.confidence.min()), 1e-2)
    A, B = _colours([want, part.cosines], slack)
    alike = np.zeros(part.n, dtype=np.int64)
    try:
        images = _Search(A, B, alike, alike, _basis(vectors)).first(())
    except _GaveUp:
        images = None
    if images is None:
        return None
    order = np.empty(part.n, dtype=np.int64)
    order[images] = np.arange(part.n)
    off = np.abs(want[np.ix_(order, order)] - part.cosines).max()
    return order if off <= 2.0 * slack else None


def symmetry_order(part: Arrangement, tolerance: float = TOLERANCE) -> int | None:
    """Number of permutations of the columns that keep W^T W, or None if it is out of reach.

    By orbits and stabilisers: the product, over a chain of independent vectors, of the number of
    places each can be sent to when those before it stay put.
    """
    if part.n > LARGEST:
        return None
    kept, several = _distinct(part, tolerance)
    order = math.prod(math.factorial(int(k)) for k in several)
    colour, own = _own_colours(kept, several, tolerance)
    search = _Search(colour, colour, own, own, _basis(kept.directions * kept.confidence))
    try:
        for level in range(len(search.base)):
            order *= len(search.places(search.base[:level]))
    except _GaveUp:
        return None
    return order


def orbits(part: Arrangement, tolerance: float = TOLERANCE) -> tuple[tuple[int, ...], ...]:
    """Columns that symmetries carry into each other, identical columns counted once.

    Beyond the reach of the search, classes that no symmetry joins may be given as one.
    """
    kept, several = _distinct(part, tolerance)
    colour, own = _own_colours(kept, several, tolerance)
    vectors = kept.directions * kept.confidence
    left, found = list(range(kept.n)), []
    search = _Search(colour, colour, own, own, _basis(vectors))
    while left:
        orbit = search.class_of(left[0])
        if len(orbit) > 1 and kept.n <= LARGEST:
            search = _Search(colour, colour, own, own, _basis(vectors, left[0]))
            with contextlib.suppress(_GaveUp):
                orbit = search.places(())
        found.append(tuple(i for i in orbit if i in left) or (left[0],))
        left = [i for i in left if i not in found[-1]]
    return tuple(found)


def _own_colours(kept: Arrangement, several: Int, tolerance: float) -> tuple[Int, Int]:
    """Colours of pairs, by cosine, and of single vectors, by norm and repetition."""
    (colour,) = _colours([_weighted(kept)], tolerance)
    (norm,) = _colours([kept.relative_norms], tolerance)
    return colour, norm * (int(several.max()) + 1) + several


def _weighted(part: Arrangement) -> Float:
    """Cosines, damped where a weak column makes them uncertain."""
    return part.cosines * np.minimum(part.confidence[:, None], part.confidence)


def _distinct(part: Arrangement, tolerance: float) -> tuple[Arrangement, Int]:
    """The columns without repetitions (same direction and norm), and how often each occurs."""
    norms = part.relative_norms
    several = np.ones(part.n, dtype=np.int64)
    for group in part.duplicated(tolerance, 0.0):
        ranked = sorted(group, key=lambda i: norms[i])
        for before, after in itertools.pairwise(ranked):
            if norms[after] - norms[before] <= tolerance:
                several[after] += several[before]
                several[before] = 0
    keep = np.flatnonzero(several)
    return part.part(keep.tolist()), several[keep]


def _colours(tables: Sequence[Float], tolerance: float) -> list[Int]:
    """Whole numbers for values, equal where values are joined by gaps of at most tolerance."""
    flat = np.sort(np.concatenate([table.ravel() for table in tables]))
    starts = flat[1:][np.diff(flat) > tolerance]
    return [np.searchsorted(starts, table, side="right").astype(np.int64) for table in tables]


def _basis(vectors: Float, start: int | None = None) -> tuple[int, ...]:
    """Independent columns that span the rest, longest remainder first."""
    rest = vectors.copy()
    chosen: list[int] = []
    while len(chosen) < min(vectors.shape):
        lengths = np.linalg.norm(rest, axis=0)
        pick = int(np.argmax(lengths > 0.999 * lengths.max()))
        pick = start if start is not None and not chosen else pick
        if lengths[pick] <= 1e-4:
            break
        chosen.append(pick)
        axis = rest[:, pick] / lengths[pick]
        rest = rest - np.outer(axis, axis @ rest)
    return tuple(chosen)


class _GaveUp(Exception):
    """The search for a relabelling used up its budget."""


class _Search:
    """Relabellings from one coloured complete graph to another."""

    STEP = np.uint64(0x9E3779B97F4A7C15)  # any large odd number: keeps the levels of a hash apart

    def __init__(self, A: Int, B: Int, own_A: Int, own_B: Int, base: tuple[int, ...]) -> None:
        self.A, self.B, self.base, self.steps = A, B, base, 0
        rng = np.random.default_rng(0)
        top = int(max(A.max(), B.max(), own_A.max(), own_B.max())) + 1
        full = np.iinfo(np.uint64).max
        self.salt = rng.integers(0, full, size=(3, top), dtype=np.uint64)
        # what has been seen of each vertex after 0, 1, 2, ... base points, as one number
        seen = self.salt[1][own_A] + self.salt[2][A].sum(axis=1, dtype=np.uint64)
        self.start = self.salt[1][own_B] + self.salt[2][B].sum(axis=1, dtype=np.uint64)
        self.seen = [seen]
        for point in base:
            seen = seen * self.STEP + self.salt[0][A[:, point]]
            self.seen.append(seen)
        self.sorted = [np.sort(seen) for seen in self.seen]

    def _after(self, images: Sequence[int]) -> Hash:
        seen = self.start
        for image in images:
            seen = seen * self.STEP + self.salt[0][self.B[:, image]]
        return seen

    def class_of(self, vertex: int) -> list[int]:
        """Vertices with the same colours around them, symmetric or not."""
        return [int(i) for i in np.flatnonzero(self.start == self.seen[0][vertex])]

    def alike(self, images: Sequence[int]) -> list[int]:
        """Vertices that look like the next base point, given the images of those before."""
        level = len(images)
        point = self.base[level]
        return [int(i) for i in np.flatnonzero(self._after(images) == self.seen[level][point])]

    def places(self, images: Sequence[int]) -> list[int]:
        """Images of the next base point under relabellings with the given earlier images."""
        return [i for i in self.alike(images) if self.first((*images, i)) is not None]

    def first(self, images: tuple[int, ...]) -> Int | None:
        """A relabelling, as the image (n,) of every vertex, that extends the given images."""
        return self._extend(len(images), self._after(images))

    def _extend(self, level: int, seen: Hash) -> Int | None:
        self.steps += 1
        if self.steps > BUDGET:
            raise _GaveUp
        if not np.array_equal(np.sort(seen), self.sorted[level]):
            return None
        if level == len(self.base):
            image = np.empty(seen.size, dtype=np.int64)
            image[np.argsort(self.seen[level], kind="stable")] = np.argsort(seen, kind="stable")
            return image
        for i in np.flatnonzero(seen == self.seen[level][self.base[level]]):
            found = self._extend(level + 1, seen * self.STEP + self.salt[0][self.B[:, i]])
            if found is not None:
                return found
        return None
