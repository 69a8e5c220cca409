"""Pictures of optima, ladders and phase diagrams.

draw_* writes a picture to a file, with its legend below; plot_* draws the same into axes, for
notebooks and `plot` of the results. The style is that of `packing.plotting`. Axes in S carry 1 - S
on the opposite side where there is one.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator
from scipy.ndimage import distance_transform_edt

from packing.plotting import (
    GREY,
    PALETTE,
    check_path,
    draw_gram,
    draw_vectors,
    new_figure,
    save,
    vector_colours,
)
from packing.types import Float
from theory.features import law_named
from theory.mixtures import mixture_losses
from theory.mixtures.block_table import variance
from theory.mixtures.comparison import spans
from theory.prototypes import best

if TYPE_CHECKING:
    from theory.ladders import Ladder
    from theory.mixtures import MixtureLadder
    from theory.optima import Optimum

# Results of `theory.diagrams` and `theory.tables`, which draw themselves by this file: they are
# known here by what is drawn of them, so that no modules import in a circle.
EnvelopeMap: TypeAlias = Any
ImportanceMap: TypeAlias = Any
Staircase: TypeAlias = Any
Phases: TypeAlias = Any

LIGHT = (
    *("#9ECAE1", "#FDBE85", "#A1D99B", "#E7C6DA"),
    *("#F7DC8F", "#C6E6F8", "#BDBDBD", "#D9C9A0"),
)
"""Paler companions of the palette."""

INKS = (
    *(*PALETTE[:6], "#5B3A8C", "#8C6D1F", "#B2182B", *LIGHT[:4]),
    *("#F0E442", "#7F7F7F", "#C7A2E0", "#2F4F4F", "#B5CF6B", "#E7969C", "#17BECF"),
)
"""One colour for each phase of a diagram; they come round again after the last."""

OTHER = "#E4E4E4"
"""The colour of blocks that are seen too little for one of their own."""

DASHES = ("-", "--", ":", "-.")
DASHED = (0, (4, 2))
MARKERS = "osD^v"

MAX_LEGEND = 14
"""Branches named in a legend: those on the lower envelope first."""

MOST_NAMED = 18
"""Phases in the legend of a diagram; further ones share one line."""

EXCESS = 0.05
"""The panel of excess losses shows branches up to this fraction above the best one."""

Paint = Callable[[Axes, Any], tuple[str, list[Any]]]
"""Draws a result into axes; gives its title and the entries of its legend."""


# What pictures share.


def _alone(paint: Paint, found: Any, ax: Axes | None) -> Axes:
    """Paint into the axes, with title and legend inside; into new ones, legend below, without."""
    axes = ax if ax is not None else new_figure(8.0, 7.0).add_subplot()
    title, handles = paint(axes, found)
    axes.set_title(title, size=10)
    if ax is not None:
        axes.legend(handles=handles, fontsize=8, framealpha=0.9)
    else:
        _legend_below(axes.get_figure(), handles, 3)
    return axes


def _picture(
    paint: Paint,
    found: Any,
    path: str | os.PathLike[str],
    size: tuple[float, float],
    columns: int,
) -> Path:
    """A picture of one panel, its legend below it, in a file."""
    target = check_path(path)
    figure = new_figure(*size)
    title, handles = paint(figure.add_subplot(), found)
    return _finished(figure, title, handles, columns, target)


def _finished(figure: Figure, title: str, handles: list[Any], columns: int, target: Path) -> Path:
    figure.suptitle(title, size=12)
    _legend_below(figure, handles, columns)
    return save(figure, target)


def _legend_below(figure: Any, handles: list[Any], columns: int) -> None:
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=9
    )


def _named(
    handles: list[Any], most: int, blank: Callable[..., Any], what: str = "more"
) -> list[Any]:
    """The first entries of a legend, and how many more there are."""
    if len(handles) <= most:
        return handles
    return [*handles[:most], blank(label=f"and {len(handles) - most} {what}")]


def _line(**look: Any) -> Line2D:
    return Line2D([], [], **look)


def _bare(axes: Axes, *sides: str) -> None:
    axes.spines[list(sides or ("top", "right"))].set_visible(False)


def _on(ground: str) -> str:
    """Black or white, whichever can be read on that colour."""
    red, green, blue = to_rgb(ground)
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 140 / 255 else "black"


def ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten between two numbers."""
    decades = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1.0)
    every = [m * 10.0**k for k in decades for m in (1.0, 2.0, 5.0)]
    return [t for t in every if low * 0.999 <= t <= high * 1.001]


def _ticked(axis: Axis, places: Sequence[float], text: Callable[[float], str]) -> None:
    axis.set_major_locator(FixedLocator(places))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda x, _: text(x)))
    axis.set_minor_formatter(NullFormatter())


def log_axis(axes: Axes, low: float, high: float, vertical: bool = False) -> None:
    """Logarithms along x (or y), with ticks at 1, 2, 5."""
    (axes.set_yscale if vertical else axes.set_xscale)("log")
    (axes.set_ylim if vertical else axes.set_xlim)(low, high)
    _ticked(axes.yaxis if vertical else axes.xaxis, ticks(low, high), lambda x: f"{x:g}")


def complement(axes: Axes, low: float, high: float = 1.0, vertical: bool = False) -> None:
    """1 - S on the other side of an axis in S."""
    other = axes.twinx() if vertical else axes.twiny()
    axis = other.yaxis if vertical else other.xaxis
    log_axis(other, low, high, vertical)
    _ticked(axis, ticks(low, high), lambda x: f"{1.0 - x:g}")
    axis.set_label_text("1 − S, the sparsity of Elhage et al.")
    _bare(other, "left", "right", "top", "bottom")
    if not vertical:
        other.tick_params(labelrotation=45, labelsize=8)


def _plane(axes: Axes, ratio: tuple[Any, float], S: tuple[Any, float], label: str) -> None:
    """A plane of some ratio along x and S along y, both from and to; 1 - S on the right."""
    log_axis(axes, *ratio)
    axes.set_xlabel(label)
    log_axis(axes, *S, vertical=True)
    axes.set_ylabel("S, chance that a feature is on")
    complement(axes, *S, vertical=True)


def _left(changes: Sequence[float], S_min: float) -> float:
    """Smallest S shown: nothing happens a decade below the last change."""
    return max(S_min, min(changes, default=1.0) / 10.0)


def _beyond(left: float, S_min: float) -> str:
    return "" if left <= S_min else f"; no change from here down to {S_min:g}"


# --- an optimum ---------------------------------------------------------------------------------


def draw_optimum(optimum: Optimum, path: str | os.PathLike[str]) -> Path:
    """Draw an optimum: its vectors (d = 1, 2, 3), its Gram matrix and the loss of each feature.

    Parameters
    ----------
    optimum : Optimum
    path : path
        PDF, PNG or SVG, decided by the suffix. Written whole or not at all.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    BadInput
        If the suffix is unknown or the file cannot be written.
    """
    target = check_path(path)
    d, n = np.shape(optimum.W)
    order, ignored, colour = _features(optimum)
    panels = 3 if d <= 3 else 2
    figure = new_figure(4.6 * panels + 0.4, 5.2)
    grid = figure.add_gridspec(1, panels, width_ratios=[1.0] * (panels - 1) + [0.8])
    if d <= 3:
        kind = {"projection": "3d"} if d == 3 else {}
        plot_optimum(optimum, figure.add_subplot(grid[0, 0], **kind))
    draw_gram(figure.add_subplot(grid[0, panels - 2]), optimum.W, order, colour)
    _bars(figure.add_subplot(grid[0, panels - 1]), optimum, order, colour)
    blocks = [
        _line(
            color=colour[block.features[0]], lw=4, label=f"{block.name}: {_listed(block.features)}"
        )
        for block in optimum.blocks
    ]
    handles = _named(
        blocks, MAX_LEGEND, lambda label: _line(color="none", label=label), "more blocks"
    )
    if ignored:
        handles.append(_line(color=GREY, lw=4, label=f"ignored: {_listed(ignored)}"))
    S = np.asarray(optimum.features.S, dtype=float)
    low, high = float(S.min()), float(S.max())
    chance = f"S = {low:.6g} (1 − S = {1 - low:.6g})"
    if high > low:
        chance = f"S = {low:.4g} to {high:.4g} (1 − S = {1 - high:.4g} to {1 - low:.4g})"
    law, loss = optimum.features.law.name, optimum.loss.total
    title = f"{optimum.name}\nn = {n}, d = {d}, {chance}, {law}, loss {loss:.6g}"
    return _finished(figure, title, handles, min(4, max(1, len(handles))), target)


def plot_optimum(optimum: Optimum, ax: Axes | None = None) -> Axes:
    """Draw the vectors of an optimum (d <= 3, for d = 3 into 3D axes), else its Gram matrix."""
    W = np.asarray(optimum.W, dtype=float)
    d = W.shape[0]
    order, ignored, colour = _features(optimum)
    if ax is None:
        kind = {"projection": "3d"} if d == 3 else {}
        ax = new_figure(5.0, 5.2).add_subplot(**kind)
    if d > 3 or (d == 3) != (ax.name == "3d"):
        draw_gram(ax, W, order, colour)
        return ax
    draw_vectors(ax, W, order[: len(order) - len(ignored)], colour)
    radius = {1: "dotted: length 1", 2: "ring: length 1", 3: "great circles: length 1"}[d]
    ax.set_title(f"Columns of W ({radius})", size=10)
    return ax


def _features(optimum: Optimum) -> tuple[list[int], list[int], list[str]]:
    """Features by block and then those ignored, the ignored ones, and the colour of each."""
    n = np.shape(optimum.W)[1]
    blocks = [tuple(block.features) for block in optimum.blocks]
    placed = [i for block in blocks for i in block]
    ignored = [i for i in range(n) if i not in set(placed)]
    return placed + ignored, ignored, vector_colours(blocks, n)


def _listed(features: Sequence[int]) -> str:
    shown = ", ".join(str(i) for i in features[:10])
    return shown if len(features) <= 10 else f"{shown}, … ({len(features)})"


def _bars(axes: Axes, optimum: Optimum, order: list[int], colour: list[str]) -> None:
    """Loss of each feature: what it costs alone (solid) and what the others add (hatched)."""
    total = np.asarray(optimum.loss.per_feature, dtype=float)[order]
    alone = np.asarray(optimum.loss.solo, dtype=float)[order]
    rows = np.arange(len(order))
    inks = [colour[i] for i in order]
    edges = ["white" if gap < 0.0 else ink for gap, ink in zip(total - alone, inks, strict=True)]
    hatch = "////" if len(order) <= 40 else ""
    bar: dict[str, Any] = {"height": 0.62}
    axes.barh(rows, alone, color=inks, alpha=0.85, **bar)
    axes.barh(
        rows, total - alone, left=alone, color="none", edgecolor=edges, hatch=hatch, lw=0.8, **bar
    )
    axes.scatter(total, rows, marker="|", s=max(12.0, 1800.0 / len(order)), color="black", lw=1.4)
    step = max(1, -(-len(order) // 24))
    axes.set_yticks(rows[::step], [str(i) for i in order[::step]], size=9)
    axes.set_ylim(len(order) - 0.4, -0.6)
    longest = float(max(alone.max(), total.max())) or 1.0  # every feature may be free of loss
    axes.set_xlim(0.0, 1.08 * longest)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.ticklabel_format(axis="x", style="sci", scilimits=(-2, 3))
    axes.set_ylabel("feature")
    axes.set_title("Loss per feature", size=10)
    _bare(axes)
    axes.set_xlabel(
        "solid: alone (capacity), hatched: interference\n"
        "black: total, inside the solid bar where interference is negative",
        size=8,
    )


# --- a ladder of optima -------------------------------------------------------------------------


def draw_ladder(ladder: Ladder, path: str | os.PathLike[str]) -> Path:
    """Draw a ladder: losses against S, excess over the best branch, features represented.

    Parameters
    ----------
    ladder : Ladder
    path : path
        PDF, PNG or SVG, decided by the suffix. Written whole or not at all.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    BadInput
        If the suffix is unknown or the file cannot be written.

    Notes
    -----
    Losses are divided by the loss of ignoring every feature (its variance with a bias, its second
    moment without), which is 1 at the top: plain losses all vanish with S and cannot be told apart.
    Between its sampled S a branch is drawn straight; crossings are drawn where they were computed.
    """
    target = check_path(path)
    figure = new_figure(11.5, 8.8)
    grid = figure.add_gridspec(3, 1, height_ratios=[3.0, 2.0, 1.3])
    top = figure.add_subplot(grid[0])
    middle, bottom = (figure.add_subplot(grid[k], sharex=top) for k in (1, 2))
    handles = _branches(top, ladder, middle)
    _counts(bottom, ladder)
    _frame(ladder, top, middle, bottom)
    for axes in (top, middle):
        axes.tick_params(labelbottom=False)
        axes.set_xlabel("")
    _mark_rungs(top, ladder)
    return _finished(figure, _ladder_title(ladder), handles, 3, target)


def _branches(top: Axes, ladder: Ladder, middle: Axes | None = None) -> list[Any]:
    """The branches, and what they lack of the best; the entries of a legend."""
    on_ladder = [
        str(phase) for change in ladder.crossings for phase in (change.denser, change.sparser)
    ]
    names = list(dict.fromkeys([*on_ladder, *(phase.name for phase in ladder.branches)]))
    style: dict[str, dict[str, Any]] = {
        name: {"color": PALETTE[k % len(PALETTE)], "ls": DASHES[(k // len(PALETTE)) % len(DASHES)]}
        for k, name in enumerate(names)
    }
    curves = [(phase.name, *_relative(ladder, phase)) for phase in ladder.branches]
    curves = [curve for curve in curves if curve[1].size]
    # with the changes among the S, two branches meet where they were computed to meet
    places = [*(at for _, at, _ in curves), np.array([change.S for change in ladder.crossings])]
    S = np.unique(np.concatenate(places))
    values = [_at(S, at, loss) for _, at, loss in curves]
    low = np.min([np.full(S.size, np.inf), *values], axis=0)
    seen: Counter[str] = Counter()
    for (name, at, loss), value in zip(curves, values, strict=True):
        # branches of one name share a colour and differ in their dashes
        again = {"ls": DASHES[seen[name] % len(DASHES)]} if seen[name] else {}
        look = style[name] | again
        seen[name] += 1
        top.plot(at, loss, lw=1.3, marker="o" if at.size == 1 else None, ms=4, **look)
        here = np.isfinite(value)
        if middle is not None:
            middle.plot(S[here], 100.0 * (value[here] / low[here] - 1.0), lw=1.5, **look)
    best_look: dict[str, Any] = {"color": "black", "lw": 5.0, "alpha": 0.18}
    top.plot(S, low, solid_capstyle="round", **best_look)
    top.set_ylabel("loss / loss of ignoring all")
    left = _left([change.S for change in ladder.crossings] or [0.0], ladder.S_min)
    shown = [float(loss[at >= left].max(initial=0.0)) for _, at, loss in curves]
    top.set_ylim(0.0, 1.06 * (max(shown, default=1.0) or 1.0))
    if middle is not None:
        middle.set_ylabel("above the best, %")
        middle.set_ylim(-100.0 * EXCESS / 40.0, 100.0 * EXCESS)
    handles: list[Any] = [_line(label="optimum", **best_look)]
    if any(change.order == "first" for change in ladder.crossings):
        handles.append(_line(color=GREY, lw=0.9, label="first-order crossing"))
    if any(change.order != "first" for change in ladder.crossings):
        handles.append(_line(color=GREY, lw=0.9, ls=":", label="continuous change"))
    entries = [_line(lw=1.8, label=name, **style[name]) for name in names]
    return handles + _named(entries, MAX_LEGEND, lambda label: _line(color="none", label=label))


def _relative(ladder: Ladder, phase: Any) -> tuple[Float, Float]:
    """S ascending, and the branch's loss over that of ignoring everything."""
    law = law_named(ladder.law)
    importance = getattr(ladder, "importance", None)
    weight = float(ladder.n) if importance is None else float(np.sum(importance))
    mean = law.mean if ladder.bias else 0.0
    S, loss = np.asarray(phase.S, dtype=float), np.asarray(phase.loss, dtype=float)
    order = np.argsort(S)
    S, loss = S[order], loss[order]
    nothing = weight * (S * law.second - (S * mean) ** 2)
    # binary features that are surely on have no variance: nothing to lose and nothing to draw
    kept = nothing > 1e-12 * weight * law.second
    return S[kept], np.maximum(loss[kept] / nothing[kept], 1e-300)


def _at(S: Float, at: Float, value: Float) -> Float:
    """A branch at other S, straight in logarithms; infinite outside its own range."""
    here = np.exp(np.interp(np.log(S), np.log(at), np.log(value)))
    return np.where((at[0] <= S) & (at[-1] >= S), here, np.inf)


def _counts(axes: Axes, ladder: Ladder) -> None:
    steps = sorted(ladder.represented)
    for low, high, count in steps:
        axes.plot([low, high], [count, count], color="black", lw=3.0, solid_capstyle="butt")
    for left, right in pairwise(steps):
        axes.plot([left[1], right[0]], [left[2], right[2]], color="black", lw=0.9)
    axes.axhline(ladder.d, color=GREY, lw=0.8, ls="--", zorder=0)
    axes.set_ylim(-0.4, ladder.n + 0.4)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    axes.set_ylabel("represented\n(dashed: d)")


def _frame(ladder: Ladder, *panels: Axes) -> None:
    """The crossings in every panel, and their axis in S."""
    left = _left([change.S for change in ladder.crossings] or [0.0], ladder.S_min)
    for axes in panels:
        for change in ladder.crossings:
            ls = "-" if change.order == "first" else ":"
            axes.axvline(change.S, color=GREY, lw=0.9, ls=ls, zorder=0)
        _bare(axes)
        log_axis(axes, left, 1.0)
        beyond = _beyond(left, ladder.S_min)
        axes.set_xlabel(f"S, chance that a feature is on (1 − S is the sparsity){beyond}")


def _mark_rungs(axes: Axes, ladder: Ladder) -> None:
    """S of every crossing above the upper panel, moved apart where they would overlap."""
    S = sorted(change.S for change in ladder.crossings)
    if not S:
        return
    left = np.log(_left(S, ladder.S_min))
    true = [(np.log(s) - left) / -left for s in S]
    few = len(S) <= 30
    place = _apart(true, min(0.02 if few else 0.013, 0.98 / len(S)))
    for s, x, x0 in zip(S, place, true, strict=True):
        axes.annotate(
            f"{s:.5g}",
            xy=(x0, 1.0),
            xytext=(x, 1.045),
            xycoords="axes fraction",
            textcoords="axes fraction",
            rotation=90,
            size=8.0 if few else 6.0,
            ha="center",
            va="bottom",
            color="black",
            arrowprops={"arrowstyle": "-", "color": GREY, "lw": 0.7, "shrinkA": 0, "shrinkB": 0},
        )


def _apart(places: list[float], room: float) -> list[float]:
    """The nearest ascending places in [0, 1] that are at least ``room`` apart."""
    # pool adjacent violators: subtracting k * room turns "apart" into "not descending"
    groups: list[list[float]] = []
    for k, x in enumerate(places):
        groups.append([x - k * room, 1.0])
        while len(groups) > 1 and groups[-2][0] > groups[-1][0]:
            (a, m), (b, w) = groups[-2:]
            groups[-2:] = [[(a * m + b * w) / (m + w), m + w]]
    flat = [x for x, count in groups for _ in range(int(count))]
    top = 1.0 - (len(places) - 1) * room
    return [min(max(x, 0.0), top) + k * room for k, x in enumerate(flat)]


def _ladder_title(ladder: Ladder) -> str:
    star, onset = ("none" if S is None else f"{S:.8g}" for S in (ladder.S_star, ladder.S_onset))
    law = ladder.law if isinstance(ladder.law, str) else ladder.law.name
    return (
        f"Phases for n = {ladder.n}, d = {ladder.d}, {law}{'' if ladder.bias else ', no bias'}\n"
        f"S* = {star} (all features represented below), S_onset = {onset} (more than d)"
    )


# --- a ladder of mixtures beside that of the optimum ---------------------------------------------


def draw_phases(found: Phases, path: str | os.PathLike[str]) -> Path:
    """Draw the losses of best mixture and optimum against S, with their phases as bands.

    Phases are bands of colour with numbers in them; the legend gives the names, so that a narrow
    phase needs no room for its name.

    Parameters
    ----------
    found : Phases
    path : path
        PDF, PNG or SVG, decided by the suffix. Written whole or not at all.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    BadInput
        If the suffix is unknown or the file cannot be written.
    """
    target, ladder, optimum = check_path(path), found.mixtures, found.optimum
    bands = [("best mixture", _named_spans(ladder))]
    if optimum is not None:
        bands.append(("optimum", _named_spans(optimum)))
    names = list(dict.fromkeys(name for _, row in bands for name, _, _ in row))
    ink = {name: INKS[k % len(INKS)] for k, name in enumerate(names)}
    height = (9.2 if optimum is not None else 7.6) + 0.2 * (min(len(names), MOST_NAMED) // 3)
    figure = new_figure(11.5, height)
    heights = [4.0, *([1.4] if optimum is not None else []), 0.75 * len(bands)]
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    top, strip = figure.add_subplot(grid[0]), figure.add_subplot(grid[-1])
    strip.sharex(top)
    if optimum is not None:
        _excess(figure.add_subplot(grid[1], sharex=top), ladder, optimum)
    left = _left([high for _, row in bands for _, high, _ in row if high < 1.0], ladder.S_min)
    _losses(top, ladder, optimum, left)
    for name, high, low in bands[0][1]:
        top.axvspan(low, high, color=ink[name], alpha=0.16, lw=0)
    for y, (_, row) in enumerate(bands):
        for name, high, low in row:
            strip.fill_betweenx([y - 0.42, y + 0.42], low, high, color=ink[name], lw=0)
            strip.plot([low, low], [y - 0.42, y + 0.42], color="white", lw=0.8)
            low = max(low, left)
            if np.log(high / low) > 0.018 * np.log(1.0 / left):
                strip.text(
                    *(np.sqrt(low * high), y, str(names.index(name) + 1)),
                    ha="center",
                    va="center",
                    size=9,
                    color=_on(ink[name]),
                )
    strip.set_yticks(range(len(bands)), [title for title, _ in bands])
    strip.set_ylim(len(bands) - 0.5, -0.5)
    strip.tick_params(axis="y", length=0)
    log_axis(strip, left, 1.0)
    strip.set_xlabel(f"S, chance that a feature is on{_beyond(left, ladder.S_min)}")
    _bare(strip, "right", "top", "left")
    top.tick_params(labelbottom=False)
    top.set_xlabel("")
    complement(top, left)
    patches = [Patch(color=ink[name], label=f"{k}  {name}") for k, name in enumerate(names, 1)]
    handles = _named(patches, MOST_NAMED, lambda label: Patch(color="none", label=label))
    return _finished(figure, _phases_title(ladder, optimum), handles, 3, target)


def plot_losses(ladder: MixtureLadder, optimum: Ladder | None, ax: Axes | None = None) -> Axes:
    """Draw the losses of best mixture and optimum against S."""
    axes = ax if ax is not None else new_figure(8.0, 6.0).add_subplot()
    changes = [change.S for one in (ladder, optimum) if one is not None for change in one.crossings]
    _losses(axes, ladder, optimum, _left(changes, ladder.S_min))
    axes.set_title(_phases_title(ladder, optimum), size=10)
    return axes


def _named_spans(ladder: MixtureLadder | Ladder) -> list[tuple[str, float, float]]:
    """Name, highest and lowest S of each phase; a familiar name in brackets is left out."""
    return [
        (re.sub(r" \([^()+]*\)$", "", phase.name), high, low) for phase, high, low in spans(ladder)
    ]


def _optimal(optimum: Ladder) -> list[tuple[Float, Float]]:
    """S and loss of every branch where it is best."""
    found = []
    for branch, high, low in spans(optimum):
        here = (low * 0.999 <= branch.S) & (np.minimum(high * 1.001, 0.9999) >= branch.S)
        found.append((branch.S[here], branch.loss[here]))
    return found


def _excess(axes: Axes, ladder: MixtureLadder, optimum: Ladder) -> None:
    """By how much the best mixture costs more than the optimum, in percent."""
    for S, least in _optimal(optimum):
        # with a dimension for every feature nothing is lost by either
        S, least = S[least > 0.0], least[least > 0.0]
        if S.size:
            mixed = np.min([mixture_losses(phase, S) for phase in ladder.phases], axis=0)
            axes.plot(S, 100.0 * (mixed / least - 1.0), color=PALETTE[1], lw=1.6)
    axes.set_ylabel("best mixture above\nthe optimum, %")
    axes.set_ylim(bottom=0.0)
    axes.tick_params(labelbottom=False)
    _bare(axes)


def _losses(axes: Axes, ladder: MixtureLadder, optimum: Ladder | None, left: float) -> None:
    """The losses of both against S, and their S*, with the text where there is room."""
    for phase, high, low in spans(ladder):
        S = np.geomspace(low, min(high, 0.999), 40)
        share = mixture_losses(phase, S) / (ladder.n * variance(S, ladder.law))
        axes.plot(S, share, color="black", lw=2.0)
    handles = [_line(color="black", lw=2.0, label="best mixture (an upper bound)")]
    stars = [("S* of mixtures", ladder.S_star, "black", 0.62)]
    if optimum is not None:
        look: dict[str, Any] = {"color": PALETTE[1], "lw": 1.6, "ls": DASHED}
        for S, loss in _optimal(optimum):
            axes.plot(S, loss / (ladder.n * variance(S, ladder.law)), **look)
        handles.append(_line(label="optimum (numerical)", **look))
        stars.append(("S* of the optimum", optimum.S_star, PALETTE[1], 0.52))
    for text, star, ink, height in stars:
        if star is None or not left < star < 1.0:
            continue
        axes.axvline(star, color=ink, lw=1.4, ls=":")
        right = np.log(star) < 0.7 * np.log(left)
        axes.annotate(
            f"{text} = {star:.6g}",
            xy=(star, height),
            xytext=(6 if right else -6, 0),
            textcoords="offset points",
            ha="left" if right else "right",
            color=ink,
            size=9,
            bbox={"boxstyle": "round,pad=0.2", "fc": "white", "ec": "none", "alpha": 0.85},
        )
    log_axis(axes, left, 1.0)
    axes.set_xlabel("S, chance that a feature is on")
    axes.set_ylim(0.0, 1.05)
    axes.set_ylabel("loss / loss of ignoring every feature")
    axes.legend(handles=handles, loc="upper left", frameon=True, framealpha=0.9, fontsize=9)
    _bare(axes, "right")


def _phases_title(ladder: MixtureLadder, optimum: Ladder | None) -> str:
    def number(S: float | None) -> str:
        return "none" if S is None else f"{S:.6g} (1 − S* = {1.0 - S:.6g})"

    rest = "" if optimum is None else f"; of the optimum: {number(optimum.S_star)}"
    return (
        f"Phases as S falls, n = {ladder.n}, d = {ladder.d}, {ladder.law} law\n"
        f"S* of the best mixture: {number(ladder.S_star)}{rest}"
    )


# --- the true optimum over (importance ratio, S), with the prototypes overlaid -------------------


def draw_importance(found: ImportanceMap, path: str | os.PathLike[str]) -> Path:
    """Draw the phases of the true optimum over (importance ratio, S), prototypes overlaid.

    Parameters and errors as for `draw_phases`.
    """
    return _picture(_importance, found, path, (8.6, 7.6), 2)


def plot_importance(found: ImportanceMap, ax: Axes | None = None) -> Axes:
    """Draw the phases of the true optimum over (importance ratio, S) into the axes."""
    return _alone(_importance, found, ax)


def _importance(axes: Axes, found: ImportanceMap) -> tuple[str, list[Any]]:
    order = [found.phase.index(row["phase"]) for row in found.summary().records]
    inks = [INKS[i % len(INKS)] for i in range(len(order))]
    axes.pcolormesh(
        _edges(found.ratio),
        _edges(found.S),
        np.argsort(order)[found.index].T,
        cmap=ListedColormap(inks),
        vmin=-0.5,
        vmax=len(order) - 0.5,
        alpha=0.6,
        lw=0,
        rasterized=True,
    )
    handles: list[Any] = [
        Patch(color=ink, alpha=0.6, label=found.phase[k])
        for ink, k in zip(inks, order[:MOST_NAMED], strict=False)
    ]
    handles += _prototypes(axes, found)
    label = "importance of the extra feature over that of the others, r"
    _plane(axes, (found.ratio[0], found.ratio[-1]), (found.S[0], 1.0), label)
    title = (
        f"Phases of the true optimum, n = {found.n}, d = {found.d}, {found.law} law, with biases\n"
        "colours: optimum (numerical); lines: prototypes with unit norms and no bias"
    )
    return title, handles


def _edges(centre: Float) -> Float:
    """Edges of cells whose centres are even in the logarithm."""
    step = np.log(centre[1] / centre[0])
    return np.asarray(np.concatenate([centre, centre[-1:] * np.exp(step)]) * np.exp(-step / 2))


def _prototypes(axes: Axes, found: ImportanceMap) -> list[Any]:
    """Boundaries of the prototypes, drawn finely; nothing where there are none for this size."""
    candidates = found.prototypes()
    if not candidates:
        return []
    ratio = np.geomspace(float(found.ratio[0]), float(found.ratio[-1]), 801)
    S = np.geomspace(float(found.S[0]), 1.0, 801)
    winner = best(candidates, ratio, S)
    for k in np.unique(winner):
        here = winner == k
        axes.contour(ratio, S, here.T.astype(float), levels=[0.5], colors="black", linewidths=1.4)
        r, s = np.nonzero(here)
        axes.text(
            np.exp(np.mean(np.log(ratio[r]))),
            np.exp(np.mean(np.log(S[s]))),
            candidates[k].name.replace(", ", ",\n"),
            ha="center",
            va="center",
            size=9,
            style="italic",
            bbox={"boxstyle": "round,pad=0.25", "fc": "white", "ec": "black", "lw": 0.6},
        )
    return [_line(color="black", lw=1.4, label="prototypes: which costs least (boxed names)")]


# --- many features: the (d/n, S) plane of the best mixture, and D* against 1/S -------------------


def draw_diagram(found: EnvelopeMap, path: str | os.PathLike[str]) -> Path:
    """Draw the (d/n, S) plane, coloured by the block with most dimensions in the best mixture.

    Parameters and errors as for `draw_phases`.
    """
    return _picture(_diagram, found, path, (11.0, 8.4), 4)


def plot_diagram(found: EnvelopeMap, ax: Axes | None = None) -> Axes:
    """Draw the (d/n, S) plane, coloured by the leading block, into the axes."""
    return _alone(_diagram, found, ax)


def _diagram(axes: Axes, found: EnvelopeMap) -> tuple[str, list[Any]]:
    kinds, counts = np.unique(found.first, return_counts=True)
    large = kinds[np.argsort(-counts, kind="stable")][: len(INKS)]
    # numbered by the S at which they are seen, so that neighbours in the legend are neighbours
    height = np.broadcast_to(np.log(found.S), found.first.shape)
    order = sorted(large.tolist(), key=lambda k: -float(np.mean(height[found.first == k])))
    index = np.full(found.first.shape, len(order))
    for i, k in enumerate(order):
        index[found.first == k] = i
    axes.pcolormesh(
        found.ratio,
        found.S,
        index.T,
        cmap=ListedColormap([*INKS[: len(order)], OTHER]),
        vmin=-0.5,
        vmax=len(order) + 0.5,
        shading="nearest",
        rasterized=True,
    )
    lost = found.ratio, found.S, found.ignored.T.astype(float)
    axes.contourf(*lost, levels=[0.5, 1.5], colors="none", hatches=["..."])
    axes.contour(*lost, levels=[0.5], colors="black", linewidths=1.6)
    for i in range(len(order)):
        _number(axes, found, index == i, str(i + 1), INKS[i])
    label = "d/n, dimensions per feature"
    _plane(axes, (found.ratio[0], 1.0), (found.S[0], found.S[-1]), label)
    handles = [Patch(color=INKS[i], label=f"{i + 1}  {found.name[k]}") for i, k in enumerate(order)]
    if len(kinds) > len(order):
        handles.append(Patch(color=OTHER, label=f"{len(kinds) - len(order)} other blocks"))
    dots: dict[str, Any] = {"facecolor": "white", "edgecolor": "black", "hatch": "..."}
    handles.append(Patch(label="some features ignored", **dots))
    title = (
        f"Best known mixtures of blocks, n and d large, {found.law} law\n"
        "colour: the block with most of the dimensions; dots: features in surplus are ignored"
    )
    return title, handles


def _number(axes: Axes, found: EnvelopeMap, here: np.ndarray, text: str, ground: str) -> None:
    """A number at the cell of a region that lies deepest inside it."""
    # cells outside the picture belong to no region: the edge counts as a boundary
    deep = distance_transform_edt(np.pad(here, 1))[1:-1, 1:-1]
    r, s = np.unravel_index(int(np.argmax(deep)), deep.shape)
    if deep[r, s] >= 1.8:
        axes.text(
            *(float(found.ratio[r]), float(found.S[s]), text),
            ha="center",
            va="center",
            size=8,
            color=_on(ground),
            bbox={"boxstyle": "round,pad=0.12", "fc": ground, "ec": "none"},
        )


def draw_staircase(found: Staircase, path: str | os.PathLike[str]) -> Path:
    """Draw the predicted dimensions per feature against 1/S.

    Parameters and errors as for `draw_phases`.
    """
    return _picture(_staircase, found, path, (10.5, 6.8), 4)


def plot_staircase(found: Staircase, ax: Axes | None = None) -> Axes:
    """Draw the predicted dimensions per feature against 1/S into the axes."""
    return _alone(_staircase, found, ax)


def _staircase(axes: Axes, found: Staircase) -> tuple[str, list[Any]]:
    x = 1.0 / found.S
    axes.plot(x, found.D_star, color="black", lw=1.2, alpha=0.5)
    handles: list[Any] = []
    for k, (name, chosen) in enumerate(_runs(found)):
        marker = MARKERS[k // len(INKS) % len(MARKERS)]
        look: dict[str, Any] = {"marker": marker, "color": INKS[k % len(INKS)]}
        handles += axes.plot(x[chosen], found.D_star[chosen], ls="none", ms=5.5, label=name, **look)
    share = found.d / found.n
    levels = [(1.0, "dedicated, 1"), (0.5, "pairs, 1/2"), (2.0 / 3.0, "triangles, 2/3")]
    for level, text, ink, ls in [
        *((level, text, GREY, ":") for level, text in levels),
        (share, f"d/n = {share:.3g}", PALETTE[1], "--"),
    ]:
        axes.axhline(level, color=ink, lw=0.8, ls=ls)
        axes.text(
            *(1.0, level, f" {text}"),
            transform=axes.get_yaxis_transform(),
            size=8,
            va="center",
            color="black" if ink == GREY else ink,
        )
    log_axis(axes, 1.0, float(x[-1]))
    other = axes.secondary_xaxis("top")
    _ticked(other.xaxis, ticks(1.0, float(x[-1])), lambda t: f"{1.0 / t:g}  ({1.0 - 1.0 / t:g})")
    other.tick_params(labelsize=8, labelrotation=30)
    other.set_xlabel("S (1 − S)")
    axes.set_xlabel("1/S")
    axes.set_ylabel("D* = d / ||W||², dimensions per feature")
    axes.set_ylim(0.0, 1.1)
    title = (
        f"Predicted dimensions per feature, n = {found.n}, d = {found.d}, {found.law} law\n"
        "of the best known mixture of blocks; colour: its largest block"
    )
    return title, handles


def _runs(found: Staircase) -> list[tuple[str, list[int]]]:
    """The leading block of each S, with the S at which it leads, in the order they come."""
    leading = [phase.split(" + ")[0] for phase in found.phase]
    names = [word.split(" ", 1)[1] if word.split(" ")[0].isdigit() else word for word in leading]
    out: dict[str, list[int]] = {}
    for name, group in groupby(range(len(names)), key=lambda i: names[i]):
        out.setdefault(name, []).extend(group)
    return list(out.items())
