"""Planes that show a symmetry: where to look at a code from.

A relabelling that keeps every cosine is a rotation of R^d. It turns some planes into themselves,
each by a multiple of 2 pi / k; projected onto one of those, the code falls into rings of k points.
For a root system and the rotation of Coxeter the plane is Coxeter's, and the picture the one of
Petrie polygons in his Regular Polytopes (1948). Planes are chosen among many rotations made from
the generators of the group at random, from a fixed seed: a search, which proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from packing.arrangement import TOLERANCE, Arrangement
from packing.symmetry import automorphisms

Float = NDArray[np.float64]
Int = NDArray[np.int64]

WORDS = 400
"""Rotations tried; a Coxeter rotation is one in thirty of the group of E8."""

TRIED = 12
"""Rotations of the longest cycles whose planes are compared."""


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane in R^d and what it shows.

    Parameters
    ----------
    axes : (2, d) array
        Orthonormal rows that span it.
    fold : int
        Some symmetry of the code turns the plane by one fold-th of a turn; 1 where none was found.
    """

    axes: Float
    fold: int

    def of(self, vectors: Float) -> Float:
        """The projections (2, n) of vectors (d, n)."""
        return np.asarray(self.axes @ vectors, dtype=np.float64)


def symmetric_plane(arrangement: Arrangement, tolerance: float = TOLERANCE) -> Plane:
    """The plane of R^d, d >= 2, in which a code shows most of its symmetry.

    Among the planes that a rotation of the code turns by 2 pi / k, those with the largest k; among
    these the one whose outermost neighbours are nearest neighbours in R^d too (Petrie's polygon),
    then the one in which fewest points cover each other. Without any rotation of order three or
    more: the two principal axes of an uneven code, or the plane in which points lie furthest
    apart.

    Parameters
    ----------
    arrangement : Arrangement
        No zero vectors.
    tolerance : float
        Cosines closer than this are the same. With noise of that size a symmetry turns the plane
        only nearly into itself.
    """
    V = arrangement.directions
    best: tuple[tuple[float, ...], Plane] | None = None
    for images in _rotations(arrangement, tolerance):
        for plane in _turned(V, images, 3 if best is None else best[1].fold, tolerance):
            score = (float(plane.fold), *_clarity(plane, V))
            if best is None or score > best[0]:
                best = score, plane
    return best[1] if best is not None else _spread(V)


def _rotations(arrangement: Arrangement, tolerance: float) -> list[Int]:
    """Relabellings, images (n,), those with the longest cycles first."""
    made = [
        np.array(images, dtype=np.int64) for images in automorphisms(arrangement, tolerance) or ()
    ]
    if not made:
        return []
    rng = np.random.default_rng(0)
    found: dict[bytes, tuple[int, Int]] = {}
    word = made[0]
    for _ in range(WORDS):
        for _ in range(int(rng.integers(1, 5))):
            word = made[int(rng.integers(len(made)))][word]
        found.setdefault(word.tobytes(), (max(_cycles(word)), word))
    ranked = sorted(found.values(), key=lambda pair: -pair[0])
    # Many rotations are alike up to the choice of axes: a few of each length are enough.
    lengths = sorted({length for length, _ in ranked}, reverse=True)
    return [word for k in lengths for word in [w for length, w in ranked if length == k][:TRIED]]


def _cycles(images: Int) -> list[int]:
    """Lengths of the cycles of a permutation."""
    left = np.ones(images.size, dtype=bool)
    lengths = []
    for start in range(images.size):
        length, i = 0, start
        while left[i]:
            left[i] = False
            length, i = length + 1, int(images[i])
        if length:
            lengths.append(length)
    return lengths


def _turned(V: Float, images: Int, least: int, tolerance: float) -> list[Plane]:
    """Planes that the rotation V[:, i] -> V[:, images[i]] turns by an angle of order >= least."""
    longest = max(_cycles(images))
    if longest < least:
        return []
    rotation = V[:, images] @ np.linalg.pinv(V)
    values, vectors = np.linalg.eig(rotation)
    turns = np.angle(values) / (2.0 * np.pi)
    planes = []
    for i in np.flatnonzero(turns > 1e-6):
        fold = next((k for k in range(2, longest + 1) if _whole(k * turns[i], tolerance)), 0)
        if fold < least:
            continue
        axes, _ = np.linalg.qr(np.stack([vectors[:, i].real, vectors[:, i].imag], axis=1))
        planes.append(Plane(np.ascontiguousarray(axes.T), fold))
    return planes


def _whole(value: float, tolerance: float) -> bool:
    return abs(value - round(value)) < max(1e-6, min(tolerance, 1e-2))


def _clarity(plane: Plane, V: Float) -> tuple[float, ...]:
    """Cosine of outermost neighbours, places that differ, and their smallest distance."""
    flat = plane.of(V)
    radius = np.hypot(*flat)
    ring = np.flatnonzero(radius > radius.max() - 1e-6)
    ring = ring[np.argsort(np.arctan2(flat[1, ring], flat[0, ring]))]
    near = (V[:, ring] * V[:, np.roll(ring, 1)]).sum(axis=0) if ring.size > 2 else np.zeros(1)
    where = places(flat)
    apart = smallest_distance(where)
    return round(float(near.min()), 6), float(where.shape[1]), round(apart, 6)


def places(flat: Float, tolerance: float = 1e-6) -> Float:
    """The distinct columns of flat (k, n)."""
    rounded = np.round(flat / tolerance)
    _, first = np.unique(rounded, axis=1, return_index=True)
    return np.asarray(flat[:, np.sort(first)], dtype=np.float64)


def smallest_distance(points: Float) -> float:
    """Least distance between two columns of points (k, m); infinity for m < 2."""
    if points.shape[1] < 2:
        return float("inf")
    from scipy.spatial import cKDTree

    nearest = cKDTree(points.T).query(points.T, k=2)[0][:, 1]
    return float(nearest.min())


def _spread(V: Float) -> Plane:
    """Principal axes where they stand out, otherwise the clearest of many planes."""
    d = V.shape[0]
    values, axes = np.linalg.eigh(V @ V.T)
    if d == 2 or values[-2] > values[-3] * 1.05:
        return Plane(np.ascontiguousarray(axes[:, :-3:-1].T), 1)
    rng = np.random.default_rng(0)
    best, answer = -1.0, np.eye(2, d)
    for _ in range(WORDS):
        rows = np.linalg.qr(rng.standard_normal((d, 2)))[0].T
        apart = smallest_distance(rows @ V)
        if apart > best:
            best, answer = apart, np.ascontiguousarray(rows)
    return Plane(answer, 1)
