"""Pictures of arrangements: the vectors for d = 1, 2, 3 and the Gram matrix for any d.

Figures are built on matplotlib's object interface (no pyplot, no global state), so that drawing
works without a screen and from several threads. Colours are those of Okabe and Ito, which people
with colour vision deficiencies can tell apart; the order of features carries the same information.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from packing.errors import BadInput

Float = NDArray[np.float64]

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
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, suffix=target.suffix)
        os.close(handle)
    except OSError as error:
        raise BadInput(f"cannot write {target}: {error.strerror}; choose another place") from None
    try:
        kind = target.suffix.lower().lstrip(".")
        # the same picture gives the same bytes
        dates = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}[kind]
        with matplotlib.rc_context({"svg.hashsalt": "packing"}):
            figure.savefig(name, format=kind, dpi=150, metadata=dates)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)  # mkstemp makes files that only their owner can read
        os.replace(name, target)
    except OSError as error:
        raise BadInput(f"cannot write {target}: {error.strerror}; choose another place") from None
    finally:
        Path(name).unlink(missing_ok=True)
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


def colours(blocks: Sequence[Sequence[int]], n: int) -> list[str]:
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
