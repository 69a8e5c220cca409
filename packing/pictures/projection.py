"""A code of many dimensions, projected onto the plane that shows most of its symmetry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from packing.arrangement import Arrangement
from packing.draw import PALETTE
from packing.pictures.planes import places, smallest_distance, symmetric_plane
from packing.pictures.sphere import RATTLER, TOUCH, write_number
from packing.symmetry import colours

Float = NDArray[np.float64]
Int = NDArray[np.int64]

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
