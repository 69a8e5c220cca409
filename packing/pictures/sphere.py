"""Points on the circle or sphere with their contacts, seen along an axis of symmetry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Circle
from numpy.typing import NDArray

from packing.arrangement import Arrangement
from packing.draw import GREY, PALETTE
from packing.pictures.views import view

Float = NDArray[np.float64]
Int = NDArray[np.int64]

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
