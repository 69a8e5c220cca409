"""Pictures of an optimum and of a ladder of phases."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from packing.draw import GREY, PALETTE, check_path, draw_gram, draw_vectors, new_figure, save
from packing.draw import colours as block_colours

if TYPE_CHECKING:
    from theory.optimum import Optimum
    from theory.phases import Ladder

Float = NDArray[np.float64]

DASHES = ("-", "--", ":", "-.")
MAX_LEGEND = 14
"""Branches named in a legend: those on the lower envelope first."""

EXCESS = 0.05
"""The panel of excess losses shows branches up to this fraction above the best one."""


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
    W = np.asarray(optimum.W, dtype=float)
    d, n = W.shape
    blocks = [tuple(block.features) for block in optimum.blocks]
    placed = [i for block in blocks for i in block]
    ignored = [i for i in range(n) if i not in set(placed)]
    colour = block_colours(blocks, n)
    panels = 3 if d <= 3 else 2
    figure = new_figure(4.6 * panels + 0.4, 5.2)
    grid = figure.add_gridspec(1, panels, width_ratios=[1.0] * (panels - 1) + [0.8])
    if d <= 3:
        kind = {"projection": "3d"} if d == 3 else {}
        axes = figure.add_subplot(grid[0, 0], **kind)
        draw_vectors(axes, W, placed, colour)
        radius = {1: "dotted: length 1", 2: "ring: length 1", 3: "great circles: length 1"}[d]
        axes.set_title(f"Columns of W ({radius})", size=10)
    draw_gram(figure.add_subplot(grid[0, panels - 2]), W, placed + ignored, colour)
    _bars(figure.add_subplot(grid[0, panels - 1]), optimum, placed + ignored, colour)
    figure.suptitle(_optimum_title(optimum, d, n), size=12)
    _block_legend(figure, optimum, blocks, ignored)
    return save(figure, target)


def _optimum_title(optimum: Optimum, d: int, n: int) -> str:
    S = np.asarray(optimum.features.S, dtype=float)
    low, high = float(S.min()), float(S.max())
    if high > low:
        chance = f"S = {low:.4g} to {high:.4g} (1 − S = {1 - high:.4g} to {1 - low:.4g})"
    else:
        chance = f"S = {low:.6g} (1 − S = {1 - low:.6g})"
    law = optimum.features.law.name
    return f"{optimum.name}\nn = {n}, d = {d}, {chance}, {law}, loss {optimum.loss.total:.6g}"


def _block_legend(
    figure: Figure, optimum: Optimum, blocks: list[tuple[int, ...]], ignored: list[int]
) -> None:
    handles = []
    for k, features in enumerate(blocks[:MAX_LEGEND]):
        text = f"{optimum.blocks[k].name}: {_listed(features)}"
        handles.append(Line2D([], [], color=PALETTE[k % len(PALETTE)], lw=4, label=text))
    if len(blocks) > MAX_LEGEND:
        more = f"and {len(blocks) - MAX_LEGEND} more blocks"
        handles.append(Line2D([], [], color="none", label=more))
    if ignored:
        handles.append(Line2D([], [], color=GREY, lw=4, label=f"ignored: {_listed(ignored)}"))
    columns = min(4, max(1, len(handles)))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=9
    )


def _listed(features: tuple[int, ...] | list[int]) -> str:
    shown = ", ".join(str(i) for i in features[:10])
    return shown if len(features) <= 10 else f"{shown}, … ({len(features)})"


def _bars(axes: Axes, optimum: Optimum, order: list[int], colour: list[str]) -> None:
    """Loss of each feature: what it costs alone (solid) and what the others add (hatched)."""
    total = np.asarray(optimum.loss.per_feature, dtype=float)[order]
    alone = np.asarray(optimum.loss.solo, dtype=float)[order]
    rows = np.arange(len(order))
    inks = [colour[i] for i in order]
    axes.barh(rows, alone, color=inks, height=0.62, alpha=0.85)
    axes.barh(
        rows,
        total - alone,
        left=alone,
        color="none",
        edgecolor=[
            "white" if gap < 0.0 else ink for gap, ink in zip(total - alone, inks, strict=True)
        ],
        hatch="////" if len(order) <= 40 else "",
        height=0.62,
        lw=0.8,
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
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel(
        "solid: alone (capacity), hatched: interference\n"
        "black: total, inside the solid bar where interference is negative",
        size=8,
    )


# --- a ladder -----------------------------------------------------------------------------------


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
    middle = figure.add_subplot(grid[1], sharex=top)
    bottom = figure.add_subplot(grid[2], sharex=top)
    names = _branch_order(ladder)
    style: dict[str, dict[str, Any]] = {
        name: {"color": PALETTE[k % len(PALETTE)], "ls": DASHES[(k // len(PALETTE)) % len(DASHES)]}
        for k, name in enumerate(names)
    }
    curves = [(phase.name, *_relative(ladder, phase)) for phase in ladder.branches]
    curves = [curve for curve in curves if curve[1].size]
    # with the rungs among the S, two branches meet where they were computed to meet
    S = _union([*(at for _, at, _ in curves), np.array([rung.S for rung in ladder.rungs])])
    values = [_at(S, at, loss) for _, at, loss in curves]
    low = np.min([np.full(S.size, np.inf), *values], axis=0)
    seen: Counter[str] = Counter()
    for (name, at, loss), value in zip(curves, values, strict=True):
        # branches of one name share a colour and differ in their dashes
        look = (
            {**style[name], "ls": DASHES[seen[name] % len(DASHES)]} if seen[name] else style[name]
        )
        seen[name] += 1
        top.plot(at, loss, lw=1.3, marker="o" if at.size == 1 else None, ms=4, **look)
        here = np.isfinite(value)
        middle.plot(S[here], 100.0 * (value[here] / low[here] - 1.0), lw=1.5, **look)
    top.plot(S, low, color="black", lw=5.0, alpha=0.18, solid_capstyle="round")
    top.set_ylabel("loss / loss of ignoring all")
    shown = [float(loss[at >= _left(ladder)].max(initial=0.0)) for _, at, loss in curves]
    top.set_ylim(0.0, 1.06 * (max(shown, default=1.0) or 1.0))
    middle.set_ylabel("above the best, %")
    middle.set_ylim(-100.0 * EXCESS / 40.0, 100.0 * EXCESS)
    _counts(bottom, ladder)
    for axes in (top, middle, bottom):
        for rung in ladder.rungs:
            ls = "-" if rung.order == "first" else ":"
            axes.axvline(rung.S, color=GREY, lw=0.9, ls=ls, zorder=0)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    _log_axis(bottom, ladder)
    for axes in (top, middle):
        axes.tick_params(labelbottom=False)
    _mark_rungs(figure, top, ladder)
    figure.suptitle(_ladder_title(ladder), size=12)
    _branch_legend(figure, names, style, ladder)
    return save(figure, target)


def _relative(ladder: Ladder, phase: Any) -> tuple[Float, Float]:
    """S ascending, and the branch's loss over that of ignoring everything."""
    from theory.features import law_named

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


def _law_name(ladder: Ladder) -> str:
    return ladder.law if isinstance(ladder.law, str) else ladder.law.name


def _union(parts: list[Float]) -> Float:
    return np.unique(np.concatenate([np.empty(0), *parts]))


def _at(S: Float, at: Float, value: Float) -> Float:
    """A branch at other S, straight in logarithms; infinite outside its own range."""
    here = np.exp(np.interp(np.log(S), np.log(at), np.log(value)))
    return np.where((at[0] <= S) & (at[-1] >= S), here, np.inf)


def _branch_order(ladder: Ladder) -> list[str]:
    """Names of the branches, those of the ladder first and in its order from S = 1 down."""
    on_ladder = [name for rung in ladder.rungs for name in (rung.denser, rung.sparser)]
    return list(dict.fromkeys([*on_ladder, *(phase.name for phase in ladder.branches)]))


def _counts(axes: Axes, ladder: Ladder) -> None:
    steps = sorted(ladder.represented)
    for low, high, count in steps:
        axes.plot([low, high], [count, count], color="black", lw=3.0, solid_capstyle="butt")
    for left, right in itertools.pairwise(steps):
        axes.plot([left[1], right[0]], [left[2], right[2]], color="black", lw=0.9)
    axes.axhline(ladder.d, color=GREY, lw=0.8, ls="--", zorder=0)
    axes.set_ylim(-0.4, ladder.n + 0.4)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    axes.set_ylabel("represented\n(dashed: d)")


def _left(ladder: Ladder) -> float:
    """Smallest S shown: nothing happens a decade below the last rung."""
    return max(ladder.S_min, min((rung.S for rung in ladder.rungs), default=0.0) / 10.0)


def _log_axis(axes: Axes, ladder: Ladder) -> None:
    left = _left(ladder)
    axes.set_xscale("log")
    axes.set_xlim(left, 1.0)
    decades = np.arange(np.floor(np.log10(left)), 1.0)
    ticks = [m * 10.0**k for k in decades for m in (1.0, 2.0, 5.0)]
    axes.xaxis.set_major_locator(FixedLocator([t for t in ticks if left * 0.999 <= t <= 1.0]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    beyond = "" if left <= ladder.S_min else f"; no change from here down to {ladder.S_min:g}"
    axes.set_xlabel(f"S, chance that a feature is on (1 − S is the sparsity){beyond}")


def _mark_rungs(figure: Figure, axes: Axes, ladder: Ladder) -> None:
    """S of every rung above the upper panel, moved apart where they would overlap."""
    rungs = sorted(ladder.rungs, key=lambda rung: rung.S)
    if not rungs:
        return
    left = np.log(_left(ladder))
    true = [(np.log(rung.S) - left) / -left for rung in rungs]
    room = min(0.02 if len(rungs) <= 30 else 0.013, 0.98 / len(rungs))
    place = _apart(true, room)
    size = 8.0 if len(rungs) <= 30 else 6.0
    for rung, x, x0 in zip(rungs, place, true, strict=True):
        axes.annotate(
            f"{rung.S:.5g}",
            xy=(x0, 1.0),
            xytext=(x, 1.045),
            xycoords="axes fraction",
            textcoords="axes fraction",
            rotation=90,
            size=size,
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
    def number(value: float | None) -> str:
        return "none" if value is None else f"{value:.8g}"

    bias = "" if ladder.bias else ", no bias"
    return (
        f"Phases for n = {ladder.n}, d = {ladder.d}, {_law_name(ladder)}{bias}\n"
        f"S* = {number(ladder.S_star)} (all features represented below), "
        f"S_onset = {number(ladder.S_onset)} (more than d)"
    )


def _branch_legend(
    figure: Figure, names: list[str], style: dict[str, dict[str, Any]], ladder: Ladder
) -> None:
    handles = [Line2D([], [], color="black", lw=5, alpha=0.18, label="optimum")]
    if any(rung.order == "first" for rung in ladder.rungs):
        handles.append(Line2D([], [], color=GREY, lw=0.9, label="first-order crossing"))
    if any(rung.order != "first" for rung in ladder.rungs):
        handles.append(Line2D([], [], color=GREY, lw=0.9, ls=":", label="continuous change"))
    for name in names[:MAX_LEGEND]:
        handles.append(Line2D([], [], lw=1.8, label=name, **style[name]))
    if len(names) > MAX_LEGEND:
        handles.append(Line2D([], [], color="none", label=f"and {len(names) - MAX_LEGEND} more"))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=9,
    )
