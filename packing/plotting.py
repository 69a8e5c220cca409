"""Pictures of arrangements: the vectors for d = 1, 2, 3 and the Gram matrix for any d.

Figures are built on matplotlib's object interface (no pyplot, no global state), so that drawing
works without a screen and from several threads. Colours are those of Okabe and Ito, which people
with colour vision deficiencies can tell apart; the order of features carries the same information.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecFromSubplotSpec, SubplotSpec
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from packing.arrangement import TOLERANCE, Arrangement
from packing.errors import BadInput
from packing.files import replacing
from packing.symmetry import automorphisms, colours
from packing.types import Float, Int

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F")
GREY = "#9A9A9A"
FORMATS = ("pdf", "png", "svg")
MAX_VALUES = 16
"""Largest Gram matrix whose values are written into the squares."""


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, inches, that belongs to no window."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write the figure as PDF, PNG or SVG, decided by the suffix; all of it or nothing.

    Raises
    ------
    BadInput
        If the suffix is none of these or the file cannot be written.
    """
    target = check_path(path)
    kind = target.suffix.lower().lstrip(".")
    # the same picture gives the same bytes
    dates = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}[kind]
    try:
        with replacing(target) as temporary, matplotlib.rc_context({"svg.hashsalt": "packing"}):
            figure.savefig(temporary, format=kind, dpi=150, metadata=dates)
    except OSError as error:
        raise BadInput(f"cannot write {target}: {error.strerror}; choose another place") from None
    return target


def check_path(path: str | os.PathLike[str]) -> Path:
    """The path of a picture, or BadInput before any work has been done for it."""
    target = Path(path)
    if target.suffix.lower().lstrip(".") not in FORMATS:
        known = ", ".join("." + kind for kind in FORMATS)
        raise BadInput(f"{target.name!r} does not end in a picture format: give one of {known}")
    if not target.parent.is_dir():
        raise BadInput(f"cannot write {target}: {target.parent} is no folder; make it first")
    if target.is_dir():
        raise BadInput(f"cannot write {target}: it is a folder; give the name of a file")
    return target


def vector_colours(blocks: Sequence[Sequence[int]], n: int) -> list[str]:
    """A colour per feature: one per block, grey for features in none."""
    out = [GREY] * n
    for k, block in enumerate(blocks):
        for i in block:
            out[i] = PALETTE[k % len(PALETTE)]
    return out


def draw_vectors(axes: Any, W: Float, shown: Sequence[int], colour: Sequence[str]) -> None:
    """The columns W[:, shown] as labelled arrows; ``axes`` is three-dimensional for d = 3."""
    draw = {1: _line, 2: _plane, 3: _space}[W.shape[0]]
    draw(axes, W, list(shown), colour)


def draw_gram(axes: Axes, W: Float, order: Sequence[int], colour: Sequence[str]) -> None:
    """W^T W as a heatmap, features in the given order, with values for n <= MAX_VALUES."""
    G = (W.T @ W)[np.ix_(order, order)]
    n = len(order)
    top = float(np.abs(G).max()) or 1.0
    picture = axes.imshow(G, cmap="RdBu_r", vmin=-top, vmax=top, interpolation="nearest")
    assert axes.figure is not None
    axes.figure.colorbar(picture, ax=axes, shrink=0.75, pad=0.02)
    if n <= MAX_VALUES:
        size = min(9.0, 62.0 / n)
        for (i, j), value in np.ndenumerate(G):
            text = f"{value:.2f}" if abs(value) >= 5e-3 else "0"
            ink = "white" if abs(value) > 0.6 * top else "black"
            axes.text(j, i, text, ha="center", va="center", size=size, color=ink)
    step = max(1, -(-n // 24))
    ticks = list(range(0, n, step))
    size = 9.0 if n <= 16 else 7.0
    axes.set_xticks(ticks, [str(order[i]) for i in ticks], size=size)
    axes.set_yticks(ticks, [str(order[i]) for i in ticks], size=size)
    for axis in (axes.xaxis, axes.yaxis):
        for label, i in zip(axis.get_ticklabels(), ticks, strict=True):
            label.set_color(colour[order[i]])
    axes.tick_params(length=0)
    axes.set_title("Gram matrix, features by block", size=10)


def tip_labels(tips: Float, names: Sequence[int], reach: float) -> list[tuple[list[int], Float]]:
    """Labels that would overlap, joined: for each the features and the place (d,) they share."""
    found: list[tuple[list[int], Float]] = []
    for name, tip in zip(names, tips.T, strict=True):
        for members, place in found:
            if np.linalg.norm(place - tip) < reach:
                members.append(name)
                break
        else:
            found.append(([name], tip))
    return found


def _joined(members: Sequence[int]) -> str:
    """ "0, 3, 7", broken into lines of four."""
    rows = [members[i : i + 4] for i in range(0, len(members), 4)]
    return ",\n".join(", ".join(map(str, row)) for row in rows)


def _line(axes: Axes, W: Float, shown: list[int], colour: Sequence[str]) -> None:
    # one row per feature: arrows on the same line would hide each other
    reach = 1.25 * max(1.0, float(np.abs(W).max()))
    axes.axvline(0.0, color="black", lw=0.8)
    for end in (-1.0, 1.0):
        axes.axvline(end, color=GREY, lw=0.8, ls=":")
    for row, i in enumerate(shown):
        axes.axhline(row, color="#E5E5E5", lw=0.8, zorder=0)
        _arrow(axes, (0.0, row), (float(W[0, i]), row), colour[i])
    axes.set_xlim(-reach, reach)
    axes.set_ylim(max(len(shown), 1) - 0.4, -0.6)
    axes.set_yticks(range(len(shown)), [str(i) for i in shown], size=9)
    axes.set_xlabel("W")
    axes.set_ylabel("feature")
    _bare(axes, "left")


def _plane(axes: Axes, W: Float, shown: list[int], colour: Sequence[str]) -> None:
    reach = max(1.0, float(np.linalg.norm(W, axis=0).max(initial=0.0)))
    turn = np.linspace(0.0, 2.0 * np.pi, 200)
    axes.plot(np.cos(turn), np.sin(turn), color=GREY, lw=0.8, ls=":")
    axes.plot(0.0, 0.0, ".", color="black", ms=4)
    for i in sorted(shown, key=lambda i: -float(np.linalg.norm(W[:, i]))):
        _arrow(axes, (0.0, 0.0), (float(W[0, i]), float(W[1, i])), colour[i])
    for members, tip in tip_labels(W[:, shown], shown, 0.1 * reach):
        length = float(np.linalg.norm(tip))
        out = tip / length
        along = [i for i in shown if _follows(W[:, i], tip)]
        if along:  # a longer arrow passes here: the label goes to its side
            place = tip * 0.9 + 0.11 * reach * np.array([-out[1], out[0]])
        else:
            place = tip + 0.11 * reach * out
        ink = colour[members[0]]
        x, y = float(place[0]), float(place[1])
        axes.text(x, y, _joined(members), color=ink, size=10, ha="center", va="center")
    axes.set_xlim(-1.28 * reach, 1.28 * reach)
    axes.set_ylim(-1.28 * reach, 1.28 * reach)
    axes.set_aspect("equal")
    axes.set_axis_off()


def _follows(longer: Float, tip: Float) -> bool:
    """True if the tip lies on or next to the longer vector."""
    length = float(np.linalg.norm(tip))
    if float(np.linalg.norm(longer)) < 1.1 * length:
        return False
    cosine = float(longer @ tip) / (length * float(np.linalg.norm(longer)))
    return cosine > 0.98


def _space(axes: Any, W: Float, shown: list[int], colour: Sequence[str]) -> None:
    reach = max(1.0, float(np.linalg.norm(W, axis=0).max(initial=0.0)))
    turn = np.linspace(0.0, 2.0 * np.pi, 120)
    ring = np.array([np.cos(turn), np.sin(turn), np.zeros_like(turn)])
    for k in range(3):
        axes.plot(*np.roll(ring, k, axis=0), color="#C8C8C8", lw=0.7)
    elevation, azimuth = _view(W[:, shown])
    e, a = np.radians([elevation, azimuth])
    toward = np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    for i in shown:
        tip = W[:, i]
        # vectors that point away from the reader are paler
        near = 0.5 + 0.5 * float(tip @ toward) / reach
        alpha = 0.45 + 0.55 * near
        axes.plot(*np.column_stack([np.zeros(3), tip]), color=colour[i], lw=2.0, alpha=alpha)
        axes.plot(*tip[:, None], "o", color=colour[i], ms=4.0 + 3.0 * near, alpha=alpha)
    for members, tip in tip_labels(W[:, shown], shown, 0.1 * reach):
        out = tip / np.linalg.norm(tip)
        away = out - (out @ toward) * toward  # push the label aside on the paper, not in depth
        length = float(np.linalg.norm(away))
        aside = away / length if length > 1e-6 else _up(toward)
        axes.text(
            *(tip + 0.16 * reach * aside),
            _joined(members),
            color=colour[members[0]],
            size=10,
            ha="center",
            va="center",
        )
    span = 0.78 * reach
    axes.set(xlim=(-span, span), ylim=(-span, span), zlim=(-span, span))
    axes.set_box_aspect((1.0, 1.0, 1.0))
    axes.set_proj_type("ortho")
    axes.view_init(elev=elevation, azim=azimuth)
    axes.set_axis_off()


def _up(toward: Float) -> Float:
    up = np.array([0.0, 0.0, 1.0]) - toward[2] * toward
    return np.asarray(up / np.linalg.norm(up), dtype=np.float64)


def _view(points: Float) -> tuple[float, float]:
    """Elevation and azimuth, degrees, from which every tip is furthest from all other arrows."""
    best, answer = -1.0, (20.0, 30.0)
    own = 9.0 * np.eye(points.shape[1])
    for elevation in range(10, 56, 5):
        for azimuth in range(0, 360, 10):
            e, a = np.radians([elevation, azimuth])
            right = np.array([-np.sin(a), np.cos(a), 0.0])
            up = np.array([-np.sin(e) * np.cos(a), -np.sin(e) * np.sin(a), np.cos(e)])
            flat = np.array([right @ points, up @ points])
            # distance of tip i from the segment between the origin and tip j
            squares = np.maximum((flat**2).sum(axis=0), 1e-12)
            along = np.clip(flat.T @ flat / squares, 0.0, 1.0)
            gaps = np.linalg.norm(flat[:, :, None] - along * flat[:, None, :], axis=0) + own
            gap = float(gaps.min(initial=9.0))
            if gap > best + 1e-9:
                best, answer = gap, (float(elevation), float(azimuth))
    return answer


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    style = {"arrowstyle": "-|>,head_width=0.25,head_length=0.5", "color": colour, "lw": 2.0}
    axes.annotate("", xy=end, xytext=start, arrowprops={**style, "shrinkA": 0, "shrinkB": 0})


def _bare(axes: Axes, *more: str) -> None:
    for side in ("top", "right", *more):
        axes.spines[side].set_visible(False)


# Planes that show a symmetry: where to look at a code from.
#
# A relabelling that keeps every cosine is a rotation of R^d. It turns some planes into themselves,
# each by a multiple of 2 pi / k; projected onto one of those, the code falls into rings of k
# points. For a root system and the rotation of Coxeter the plane is Coxeter's, and the picture the
# one of Petrie polygons in his Regular Polytopes (1948). Planes are chosen among many rotations
# made from the generators of the group at random, from a fixed seed: a search, which proves
# nothing.


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


# Where to look at points on the sphere from: along an axis of symmetry, if that hides none.
#
# Candidates are the axes through points, through the middle of contacts and through holes; the one
# of the highest rotational symmetry whose view keeps all points, front and back, apart is taken.


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


# Points on the circle or sphere with their contacts, seen along an axis of symmetry.


MAX_LABELS = 36
"""Points are numbered up to this many."""

TOUCH = 1e-7
"""Cosines this close to the largest are drawn as contacts."""

NEAR, FAR = "#303030", "#C9CED6"
RATTLER = PALETTE[1]


def contacts(
    arrangement: Arrangement, lines: bool = False, touch: float = TOUCH
) -> tuple[Int, tuple[int, ...]]:
    """Pairs (m, 2) of the largest (absolute) cosine, and the points in none of them."""
    C = arrangement.cosines
    i, j = np.triu_indices(arrangement.n, 1)
    c = np.abs(C[i, j]) if lines else C[i, j]
    near = c >= c.max(initial=-2.0) - touch
    pairs = np.stack([i[near], j[near]], axis=1).astype(np.int64)
    loose = np.setdiff1d(np.arange(arrangement.n), pairs)
    return pairs, tuple(int(k) for k in loose) if arrangement.n > 1 else ()


def draw_sphere(
    axes: Axes,
    points: Float,
    pairs: Int,
    loose: Sequence[int],
    lines: bool = False,
    labels: Sequence[int] | None = None,
    ink: str = PALETTE[0],
) -> tuple[list[int], Float]:
    """Draw points (d, n), d <= 3, and their contacts on the circle or sphere.

    Returns the points in the order of the circle, or from the front to the back, and the vectors
    (d, n) that are drawn in front: for lines the ends that face the reader.
    """
    n = points.shape[1]
    flat = points.shape[0] <= 2
    turn = np.eye(3) if flat else view(points, pairs, lines)
    place = turn @ np.vstack([points, np.zeros((3 - points.shape[0], n))])
    facing = np.where((place[2] < -1e-9) & lines, -1.0, 1.0)
    place = place * facing
    axes.add_patch(Circle((0.0, 0.0), 1.0, facecolor="#F6F7FA", edgecolor=GREY, lw=1.0, zorder=0))
    edges = [
        _arc(a * place[:, i], b * place[:, j], flat) for i, j, a, b in _ends(place, pairs, lines)
    ]
    pieces = [(piece, front) for edge in edges for piece, front in _split(edge)]
    for front, colour, width, level in ((False, FAR, 1.1, 1), (True, NEAR, 1.5, 3)):
        some = [piece[:2].T for piece, side in pieces if side == front]
        axes.add_collection(
            LineCollection(some, colors=colour, linewidths=width, zorder=level, capstyle="round")
        )
    size = 12.5 if n <= MAX_LABELS else max(4.0, 70.0 / np.sqrt(n))
    words = [str(i) if n <= MAX_LABELS else "" for i in labels or range(n)]
    for end in [place, -place] if lines else [place]:
        for i in range(n):
            _point(axes, end[:, i], words[i], size, RATTLER if i in loose else ink, i in loose)
    axes.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), aspect="equal")
    axes.set_axis_off()
    around = np.round(np.arctan2(place[1], place[0]), 6)
    around = np.where(around < -3.14159, -around, around)  # half a turn has no sign
    if flat:
        order = np.argsort(around % np.pi if lines else around % (2.0 * np.pi), kind="stable")
    else:
        order = np.lexsort((around, -np.round(place[2], 6)))
    return [int(i) for i in order], points * facing


def _ends(place: Float, pairs: Int, lines: bool) -> list[tuple[int, int, int, int]]:
    """Pairs with the ends that touch: both pairs of ends for lines."""
    if not lines:
        return [(int(i), int(j), 1, 1) for i, j in pairs]
    out = []
    for i, j in pairs:
        c = float(place[:, i] @ place[:, j])
        for b in (1, -1) if abs(c) < TOUCH else (1 if c > 0 else -1,):
            out += [(int(i), int(j), 1, b), (int(i), int(j), -1, -b)]
    return out


def _arc(start: Float, end: Float, flat: bool) -> Float:
    """The way from one point to another, (3, m): a great circle, or a chord in the plane."""
    t = np.linspace(0.0, 1.0, 2 if flat else 33)
    straight = start[:, None] * (1.0 - t) + end[:, None] * t
    if flat or float(start @ end) < -1.0 + 1e-9:  # opposite points have no shortest way
        return straight
    return np.asarray(straight / np.linalg.norm(straight, axis=0), dtype=np.float64)


def _split(edge: Float) -> list[tuple[Float, bool]]:
    """Pieces of a curve (3, m) in front of the middle plane (True) and behind it."""
    front = edge[2] > -1e-9
    cuts = np.flatnonzero(np.diff(front)) + 1
    pieces = []
    for a, b in zip([0, *cuts], [*cuts, edge.shape[1]], strict=True):
        pieces.append((edge[:, max(a - 1, 0) : b], bool(front[a])))
    return pieces


def _point(axes: Axes, place: Float, label: str, size: float, ink: str, loose: bool) -> None:
    front = place[2] > -1e-9
    colour = ink if front else _pale(ink)
    level = 5 if front else 2
    small = size if front else 0.8 * size
    x, y = float(place[0]), float(place[1])
    fill, edge, width = ("white", colour, 1.6) if loose else (colour, "white", 0.8)
    axes.plot(x, y, "o", ms=small, mfc=fill, mec=edge, mew=width, zorder=level)
    write_number(axes, (x, y), label, colour if loose else "white", 0.58 * small, level + 0.5)


def write_number(
    axes: Axes, place: tuple[float, float], text: str, ink: str, size: float, level: float
) -> None:
    """A number inside a marker."""
    if text:
        axes.annotate(
            text, place, ha="center", va="center_baseline", color=ink, weight="bold", size=size,
            zorder=level,
        )  # fmt: skip


def _pale(colour: str) -> str:
    """The colour mixed with white."""
    parts = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    return "#" + "".join(f"{round(0.42 * p + 0.58 * 255):02X}" for p in parts)


# The spectrum of a code: its cosines, how often each occurs, and the bound none can beat.


MAX_BARS = 24
"""More distinct cosines than this are gathered in a histogram."""

BINS = 60
FILLED = 0.7
"""The part of the height that bars may take; the rest is for what is said about the bound."""


def spectrum(arrangement: Arrangement, lines: bool = False) -> tuple[Float, Float]:
    """Distinct (absolute) cosines, increasing, and how many of the others have each, per vector."""
    C = arrangement.cosines
    i, j = np.triu_indices(arrangement.n, 1)
    c = np.abs(C[i, j]) if lines else C[i, j]
    if not c.size:  # one vector
        return np.zeros(0), np.zeros(0)
    (group,) = colours([c], TOLERANCE)
    count = np.bincount(group).astype(np.float64)
    total = np.bincount(group, weights=c)
    return total / count, 2.0 * count / arrangement.n


def draw_spectrum(
    axes: Axes,
    arrangement: Arrangement,
    *,
    lines: bool = False,
    bound: float | None = None,
    bound_name: str = "",
) -> None:
    """Cosines of a code with their multiplicities per vector, beside the bound."""
    values, counts = spectrum(arrangement, lines)
    low = 0.0 if lines else -1.0
    if values.size > MAX_BARS:
        heights, edges = np.histogram(values, BINS, (low, 1.0), weights=counts)
        axes.stairs(heights, edges, fill=True, color=PALETTE[0])
        axes.set_ylabel("cosines per vector, in each bin")
        axes.set_ylim(0.0, float(axes.get_ylim()[1]) / FILLED)
    else:
        axes.vlines(values, 0.0, counts, color=PALETTE[0], lw=7.0, capstyle="butt")
        _labels(axes, values, counts)
        axes.set_ylabel("cosines per vector")
        axes.set_yscale("symlog", linthresh=1.0)
        ticks = np.array([0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000])
        axes.yaxis.set_major_locator(FixedLocator(ticks[ticks <= 1.5 * counts.max(initial=1.0)]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(ScalarFormatter())
        # on this scale one takes as much room as a factor of ten
        most = float(counts.max(initial=1.0))
        axes.set_ylim(0.0, 10.0 ** ((1.0 + np.log10(most)) / FILLED - 1.0))
    axes.set_xlim(low - 0.06, 1.04)
    axes.set_xlabel("absolute cosine of two lines" if lines else "cosine of two vectors")
    if values.size:
        _bound(axes, float(values[-1]), bound, bound_name)
    _bare(axes)
    axes.set_title(
        "Spectrum of cosines and the bound" if bound is not None else "Spectrum of cosines", size=10
    )


def _labels(axes: Axes, values: Float, counts: Float) -> None:
    """Value and multiplicity above each bar, upright where bars are close."""
    close = bool(values.size > 1 and float(np.diff(values).min()) < 0.16) or values.size > 8
    for c, m in zip(values, counts, strict=True):
        times = f"{m:.0f}" if abs(m - round(m)) < 1e-9 else f"{m:.3g}"
        value = f"{c + 0.0:.4g}" if abs(c) > 5e-7 else "0"
        axes.annotate(
            f"{value}  ×{times}" if close else f"{value}\n×{times}", (c, m), xytext=(0, 4),
            textcoords="offset points", ha="center", va="bottom", size=8,
            rotation=90 if close else 0, bbox={"fc": "white", "ec": "none", "pad": 0.6},
        )  # fmt: skip


def _bound(axes: Axes, found: float, bound: float | None, name: str) -> None:
    axes.axvline(found, color=GREY, lw=0.9, ls=":", zorder=0)
    if bound is None:
        return
    axes.axvline(bound, color=PALETTE[1], lw=1.3, ls="--", zorder=0)
    if found > bound:
        axes.axvspan(bound, found, color=PALETTE[1], alpha=0.15, lw=0, zorder=0)
    text = f"no code lies left of {bound:.6g}" + (f"\n({name})" if name else "")
    text += "\nmet: optimal" if found - bound < 1e-9 else f"\ngap {found - bound:.3g}"
    leftwards = bound > 0.2
    axes.annotate(
        text,
        (bound, 0.985),
        xycoords=("data", "axes fraction"),
        xytext=(-6 if leftwards else 6, 0),
        textcoords="offset points",
        ha="right" if leftwards else "left",
        va="top",
        size=8,
        color="#A34700",
    )


# A code of many dimensions, projected onto the plane that shows most of its symmetry.


EDGE = "#5A6472"
RINGS = (*PALETTE[:6], PALETTE[7])
"""Colours of rings, from the outermost inwards; not black, which is for contacts."""


def draw_projection(
    axes: Axes,
    arrangement: Arrangement,
    pairs: Int,
    loose: Sequence[int],
    lines: bool = False,
    tolerance: float = 1e-6,
    ink: str | None = None,
) -> str:
    """Draw a code on its plane of most symmetry; points that cover each other are counted.

    Points closer than ``tolerance`` count as one, and cosines closer than that as equal. Points
    have a colour for each ring, or all the same ``ink``. Returns what the plane shows, in words.
    """
    V = arrangement.directions
    if lines:  # both ends of each line
        V = np.concatenate([V, -V], axis=1)
        if pairs.size:
            least = abs(float(arrangement.cosines[pairs[0, 0], pairs[0, 1]])) - TOUCH
            pairs = np.argwhere(np.triu(V.T @ V, 1) > max(least, TOUCH))
    plane = symmetric_plane(Arrangement.from_weights(V), tolerance)
    flat = plane.of(V)
    flat = _upright(flat)
    reach = float(np.hypot(*flat).max())
    segments = flat.T[pairs]
    thin = float(np.clip(60.0 / max(len(pairs), 1) ** 0.62, 0.2, 1.1))
    faint = float(np.clip(9.0 / max(len(pairs), 1) ** 0.4, 0.28, 0.6))
    axes.add_collection(
        LineCollection(list(segments), colors=EDGE, linewidths=thin, alpha=faint, zorder=1)
    )
    spots = places(flat, tolerance)
    near = [np.abs(flat - spot[:, None]).max(axis=0) < tolerance for spot in spots.T]
    count = np.array([some.sum() for some in near])
    radius = _merged(np.hypot(*spots), 10.0 * tolerance)
    rings = sorted(set(radius.tolist()), reverse=True)
    inks = [RINGS[rings.index(r) % 7 if plane.fold > 1 else 0] for r in radius.tolist()]
    inks = inks if ink is None else [ink] * len(inks)
    # The axes are about 300 points wide; markers that touch would hide how many there are.
    small = min(6.0, 40.0 / np.sqrt(spots.shape[1]))
    size = float(np.clip(0.85 * 300.0 * smallest_distance(spots) / (2.16 * reach), small, 11.0))
    for spot, colour, times in zip(spots.T, inks, count, strict=True):
        axes.plot(*spot, "o", ms=size, mfc=colour, mec="white", mew=0.7, zorder=3)
        if times > 1:
            x, y = float(spot[0]), float(spot[1])
            write_number(axes, (x, y), str(times), "white", max(5.0, 0.6 * size), 4.0)
    ends = {i % arrangement.n for i in loose}
    for i in [k for k in range(V.shape[1]) if k % arrangement.n in ends]:
        axes.plot(*flat[:, i], "o", ms=size + 4, mfc="none", mec=RATTLER, mew=1.4, zorder=5)
    axes.set(xlim=(-1.08 * reach, 1.08 * reach), ylim=(-1.08 * reach, 1.08 * reach))
    axes.set_aspect("equal")
    axes.set_axis_off()
    return _plane_title(plane.fold, rings, radius, count)


def _merged(values: Float, tolerance: float) -> Float:
    """The values, those joined by gaps of at most tolerance replaced by their mean."""
    (group,) = colours([values], tolerance)
    mean = np.bincount(group, weights=values) / np.bincount(group)
    return np.asarray(mean[group], dtype=np.float64)


def _plane_title(fold: int, rings: Sequence[float], radius: Float, count: Int) -> str:
    if fold < 3:
        return "Projected onto a plane in which points lie apart"
    sizes = [int(count[radius == r].sum()) for r in rings]
    if len(rings) == 1:
        shown = f"a ring of {sizes[0]}"
    elif len(set(sizes)) == 1:
        shown = f"{len(rings)} rings of {sizes[0]}"
    else:
        shown = (
            f"{len(rings)} rings" if len(rings) > 5 else "rings of " + " + ".join(map(str, sizes))
        )
    return f"{fold}-fold projection: {shown}"


def _upright(flat: Float) -> Float:
    """The projection turned so that an outermost point is at the top."""
    outer = flat[:, int(np.argmax(np.round(np.hypot(*flat), 6)))]
    x, y = outer / max(float(np.hypot(*outer)), 1e-12)
    return np.array([[y, -x], [x, y]]) @ flat


# Pictures of codes: the sphere with its contacts for d <= 3, a plane of symmetry beyond.
#
# For d = 2 and 3 the points lie on the circle or sphere, seen along an axis of symmetry, beside the
# Gram matrix. In more dimensions the code is projected onto the plane that shows most of its
# symmetry, beside the spectrum of its cosines and the bound that no code can
# beat.


MAX_DRAWN = 2000
"""Codes of more points than this are not drawn: n^2 cosines and their contacts fill the paper."""


def draw_code(
    arrangement: Arrangement,
    path: str | os.PathLike[str],
    *,
    title: str = "",
    lines: bool = False,
    rattlers: Sequence[int] | None = None,
    bound: float | None = None,
    bound_name: str = "",
) -> Path:
    """Draw a code of n unit vectors in R^d.

    Parameters
    ----------
    arrangement : Arrangement
        No zero vectors; norms play no role.
    path : path
        PDF, PNG or SVG, decided by the suffix. Written whole or not at all.
    title : str
        What stands above the picture.
    lines : bool
        The vectors stand for lines: both ends are drawn, and absolute cosines count.
    rattlers : sequence of int, optional
        Points to mark as free to move; those without a contact unless given.
    bound : float, optional
        What the largest (absolute) cosine of n vectors in R^d cannot fall below.
    bound_name : str
        Its name.

    Raises
    ------
    BadInput
        If the suffix is unknown, the file cannot be written, a vector is zero or there are more
        than MAX_DRAWN.
    """
    target = check_path(path)
    n, d = arrangement.n, arrangement.d
    _check_points(arrangement)
    figure = new_figure(10.4, 5.4)
    left, right = figure.subplots(1, 2, width_ratios=[1.0, 1.06])
    touching, loose, order, shown = _draw_left(left, arrangement, lines, rattlers)
    if d <= 3:
        draw_gram(right, shown, order, ["black"] * n)
        if lines and d == 3:
            title_right = "Gram matrix of the front ends, front to back"
        else:
            row = "in the order of the circle" if d <= 2 else "from the front to the back"
            title_right = f"Gram matrix, {'lines' if lines else 'points'} {row}"
        right.set_title(title_right, size=10)
    else:
        draw_spectrum(right, arrangement, lines=lines, bound=bound, bound_name=bound_name)
    figure.suptitle(title, size=12)
    _legend(figure, touching, loose, d, lines)
    return save(figure, target)


def _check_points(arrangement: Arrangement) -> None:
    if arrangement.n > MAX_DRAWN:
        raise BadInput(f"n = {arrangement.n} points do not fit a picture: draw at most {MAX_DRAWN}")
    if np.any(arrangement.norms == 0.0):
        raise BadInput("a vector is zero and has no direction: draw the others only")


def draw_points(
    arrangement: Arrangement,
    axes: Axes | None = None,
    *,
    lines: bool = False,
    rattlers: Sequence[int] | None = None,
) -> Axes:
    """Draw a code as `draw_code` does, into axes (new ones unless given), which are returned.

    Raises
    ------
    BadInput
        If a vector is zero or there are more than MAX_DRAWN.
    """
    _check_points(arrangement)
    axes = new_figure(5.2, 5.2).subplots() if axes is None else axes
    _draw_left(axes, arrangement, lines, rattlers)
    return axes


def _draw_left(
    axes: Axes, arrangement: Arrangement, lines: bool, rattlers: Sequence[int] | None
) -> tuple[Int, tuple[int, ...], list[int], Float]:
    """The code itself; its contacts and rattlers, and what `draw_sphere` returns."""
    touching, loose = contacts(arrangement, lines)
    loose = loose if rattlers is None else tuple(rattlers)
    points = arrangement.directions
    if arrangement.d <= 3:
        return touching, loose, *draw_sphere(axes, points, touching, loose, lines)
    axes.set_title(draw_projection(axes, arrangement, touching, loose, lines), size=10)
    return touching, loose, list(range(arrangement.n)), points


def _legend(figure: Figure, pairs: Int, loose: Sequence[int], d: int, lines: bool) -> None:
    marks = {"marker": "o", "ls": "", "ms": 8}
    blue = {"mfc": PALETTE[0], "mec": "white"}
    words = "lines, both ends" if lines else "points"
    entries = [Line2D([], [], **marks, **blue, label=words)]  # type: ignore[arg-type]
    if loose:
        open_ = {"mfc": "white" if d <= 3 else "none", "mec": RATTLER, "mew": 1.6}
        entries.append(Line2D([], [], **marks, **open_, label=_several(len(loose), "rattler")))  # type: ignore[arg-type]
    if len(pairs):
        ink = NEAR if d <= 3 else EDGE
        entries.append(Line2D([], [], color=ink, lw=1.5, label=_several(len(pairs), "contact")))
    if d == 3:
        entries.append(Line2D([], [], color=FAR, lw=1.5, label="behind"))
    figure.legend(
        handles=entries, loc="outside lower center", ncols=len(entries), frameon=False, fontsize=9
    )


def _several(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


# Pictures of what `identify` found: the vectors, or each block seen along its own symmetry.


MAX_PANELS = 4
"""Blocks drawn each in a panel of its own; repeated ones are drawn once."""

MAX_LEGEND = 12


class BlockShown(Protocol):
    """What is drawn of a `packing.recognition.Block`."""

    @property
    def name(self) -> str: ...
    @property
    def features(self) -> Sequence[int]: ...


class Shown(Protocol):
    """What is drawn of a `packing.recognition.Named`: a picture needs to know no more of names."""

    @property
    def name(self) -> str: ...
    @property
    def blocks(self) -> Sequence[BlockShown]: ...
    @property
    def ignored(self) -> Sequence[int]: ...
    @property
    def noise(self) -> float: ...
    @property
    def noisy(self) -> bool: ...


def draw_named(W: Float, named: Shown, path: str | os.PathLike[str]) -> Path:
    """Draw the columns of W (d, n) beside their Gram matrix, coloured by block.

    For d <= 3 the vectors are arrows. In more dimensions each kind of block is drawn in a panel of
    its own: on its circle or sphere, or projected onto the plane that shows most of its symmetry.

    Parameters
    ----------
    W : (d, n) array
    named : packing.recognition.Named
        What `packing.recognition.identify` said of W.
    path : path
        PDF, PNG or SVG, decided by the suffix. Written whole or not at all.

    Raises
    ------
    BadInput
        If the suffix is unknown, the file cannot be written or n exceeds MAX_DRAWN.
    """
    target = check_path(path)
    d, n = W.shape
    if n > MAX_DRAWN:
        raise BadInput(f"n = {n} vectors do not fit a picture: draw at most {MAX_DRAWN}")
    top = float(np.abs(W).max(initial=0.0))
    unit = ""
    if top > 1e100 or 0.0 < top < 1e-100:  # squares would leave the range of floats
        W, unit = W / top, f"\nW in units of {top:.3g}"
    blocks = [block.features for block in named.blocks]
    placed = [i for block in blocks for i in block]
    order = placed + [i for i in range(n) if i not in set(placed)]
    colour = vector_colours(blocks, n)
    figure = new_figure(10.4, 5.4)
    grid = figure.add_gridspec(1, 2, width_ratios=[1.0, 1.06])
    if d <= 3:
        kind: dict[str, Any] = {"projection": "3d"} if d == 3 else {}
        axes = figure.add_subplot(grid[0, 0], **kind)
        draw_vectors(axes, W, placed, colour)
        axes.set_title("Columns of W", size=10)
    else:
        _blocks(figure, grid[0, 0], W, named)
    draw_gram(figure.add_subplot(grid[0, 1]), W, order, colour)
    seen = f", seen through noise {named.noise:.2g}" if named.noisy else ""
    figure.suptitle(f"{named.name}\nn = {n}, d = {d}{seen}{unit}", size=12)
    _legend_of_blocks(figure, named.blocks, named.ignored)
    return save(figure, target)


def _blocks(figure: Figure, place: SubplotSpec, W: Float, named: Shown) -> None:
    """Each kind of block once, the largest first; those on a line say nothing in a picture."""
    kinds: dict[str, tuple[str, Sequence[int], str]] = {}
    for k, block in enumerate(named.blocks):
        if len(block.features) > 2:
            kinds.setdefault(block.name, (block.name, block.features, PALETTE[k % len(PALETTE)]))
    live = [i for block in named.blocks for i in block.features]
    shown = list(kinds.values())[:MAX_PANELS] or [("", live, PALETTE[0])]
    rows = 1 if len(shown) == 1 else 2
    inner = GridSpecFromSubplotSpec(rows, -(-len(shown) // rows), subplot_spec=place)
    touch = max(TOUCH, 4.0 * named.noise)
    for k, (name, features, ink) in enumerate(shown):
        axes = figure.add_subplot(inner[k % rows, k // rows])
        if not features:
            axes.set_axis_off()
            continue
        part = _own_span(W[:, list(features)], max(1e-6, 2.0 * named.noise))
        pairs, _ = contacts(part, touch=touch)
        title = name
        if part.d <= 3:
            draw_sphere(axes, part.directions, pairs, (), labels=features, ink=ink)
        else:
            only = None if len(shown) == 1 else ink
            said = draw_projection(axes, part, pairs, (), tolerance=touch, ink=only)
            title = said if only is None else f"{name}\n{said.replace(': ', chr(10))}"
        axes.set_title(title, size=9 if len(shown) == 1 else 8)


def _own_span(columns: Float, tolerance: float) -> Arrangement:
    """The unit columns in coordinates of their own span, as far as it exceeds the noise."""
    U = Arrangement.from_weights(columns).directions
    axes, values, _ = np.linalg.svd(U, full_matrices=False)
    rank = max(1, int((values > tolerance * np.sqrt(U.shape[1])).sum()))
    return Arrangement.from_weights(axes[:, :rank].T @ U)


def _legend_of_blocks(figure: Figure, blocks: Sequence[BlockShown], ignored: Sequence[int]) -> None:
    handles = [
        Line2D([], [], color=PALETTE[k % len(PALETTE)], lw=4, label=_entry(x.name, x.features))
        for k, x in enumerate(blocks[:MAX_LEGEND])
    ]
    if len(blocks) > MAX_LEGEND:
        more = f"and {len(blocks) - MAX_LEGEND} more blocks"
        handles.append(Line2D([], [], color="none", label=more))
    if ignored:
        handles.append(Line2D([], [], color=GREY, lw=4, label=_entry("ignored", ignored)))
    columns = min(4, max(1, len(handles)))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=9
    )


def _entry(name: str, features: Sequence[int]) -> str:
    shown = ", ".join(str(i) for i in features[:8])
    return f"{name}: {shown}" if len(features) <= 8 else f"{name}: {shown}, … ({len(features)})"
