"""Where to look at points on the sphere from: along an axis of symmetry, if that hides none.

Candidates are the axes through points, through the middle of contacts and through holes; the one
of the highest rotational symmetry whose view keeps all points, front and back, apart is taken.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from packing.pictures.planes import smallest_distance

Float = NDArray[np.float64]
Int = NDArray[np.int64]

APART = 0.3
"""A view is clear if points stay this fraction of the usual spacing apart on the paper."""

AXES = 400
"""Candidate axes compared, and directions tried where no axis is clear."""


def view(points: Float, pairs: Int, lines: bool = False) -> Float:
    """Rotation (3, 3) whose rows are right, up and towards the reader, for unit points (3, n).

    For lines both ends are turned, but only the ends in front must stay apart: those behind are
    under them.

    Parameters
    ----------
    points : (3, n) array
    pairs : (m, 2) array of int
        Contacts; the middle of each is a candidate.
    """
    usual = np.sqrt(np.pi / points.shape[1])
    axes = _axes(points, pairs)
    points = np.concatenate([points, -points], axis=1) if lines else points

    def clear(frame: Float) -> float:
        place = frame @ points
        shown = place[:2, place[2] > -1e-6] if lines else place[:2]
        return smallest_distance(shown)

    best: tuple[tuple[int, float], Float] | None = None
    for axis in axes:
        frame = _frame(axis, points)
        apart = round(clear(frame) / usual, 6)
        if apart < APART:
            continue
        score = (fold(points, axis), apart)
        if best is None or score > best[0]:
            best = score, frame
    if best is not None and best[0][0] > 1:
        return best[1]
    frames = [_frame(axis, points) for axis in _everywhere(AXES)]
    return frames[int(np.argmax([clear(frame) for frame in frames]))]


def fold(points: Float, axis: Float, most: int = 12, tolerance: float = 1e-5) -> int:
    """Largest k up to ``most`` such that 1/k of a turn about the axis keeps the points (3, n)."""
    from scipy.spatial import cKDTree

    tree = cKDTree(points.T)
    for k in range(min(most, points.shape[1]), 1, -1):
        away = tree.query((_turn(axis, 2.0 * np.pi / k) @ points).T)[0]
        if away.max() < tolerance:
            return k
    return 1


def _axes(points: Float, pairs: Int) -> list[Float]:
    """Axes through points, contacts and holes, opposite ones once, in a fixed order."""
    found = [points]
    if len(pairs):
        found.append(points[:, pairs[:, 0]] + points[:, pairs[:, 1]])
    if points.shape[1] > 4 and np.linalg.matrix_rank(points - points[:, :1], 1e-6) == 3:
        from scipy.spatial import ConvexHull

        found.append(ConvexHull(points.T, qhull_options="Qt").equations[:, :3].T)
    found.append(np.linalg.eigh(points @ points.T)[1])
    axes = np.concatenate(found, axis=1)
    length = np.linalg.norm(axes, axis=0)
    axes = axes[:, length > 1e-6] / length[length > 1e-6]
    kept: list[Float] = []
    for axis in axes.T[: 4 * AXES]:
        if not kept or float(np.abs(np.array(kept) @ axis).max()) < 1.0 - 1e-9:
            kept.append(axis)
    return kept[:AXES]


def _everywhere(count: int) -> list[Float]:
    """Directions spread over the sphere along a spiral of golden turns."""
    k = np.arange(count)
    z = 1.0 - (2.0 * k + 1.0) / count
    r, turn = np.sqrt(1.0 - z * z), np.pi * (3.0 - np.sqrt(5.0)) * k
    return list(np.stack([r * np.cos(turn), r * np.sin(turn), z], axis=1))


def _frame(axis: Float, points: Float) -> Float:
    """Right, up and towards; up is the way to the point nearest to the reader off the axis."""
    off = points - np.outer(axis, axis @ points)
    length = np.linalg.norm(off, axis=0)
    high = np.where(length > 1e-6, np.round(axis @ points, 6), -2.0)
    up = off[:, int(np.argmax(high))]
    if float(np.linalg.norm(up)) <= 1e-6:
        up = np.eye(3)[int(np.argmin(np.abs(axis)))]
        up = up - (up @ axis) * axis
    up = up / np.linalg.norm(up)
    return np.array([np.cross(up, axis), up, axis])


def _turn(axis: Float, angle: float) -> Float:
    """Rotation about a unit axis (Rodrigues)."""
    x, y, z = axis
    K = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle) * K + (1.0 - np.cos(angle)) * (K @ K)
