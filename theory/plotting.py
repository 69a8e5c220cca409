"""Pictures of an optimum and of a ladder of phases."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from packing.plotting import GREY, PALETTE, check_path, draw_gram, draw_vectors, new_figure, save
from packing.plotting import vector_colours as block_colours
from packing.types import Float
from theory.mixtures.block_table import variance

if TYPE_CHECKING:
    from theory.diagrams import EnvelopeMap, ImportanceMap, Staircase
    from theory.ladders import Ladder
    from theory.mixtures import MixtureLadder
    from theory.optima import Optimum
    from theory.tables import Phases


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


# The picture of a ladder of mixtures beside that of the optimum, and what pictures share.
#
# Phases are bands of colour with numbers in them; the legend gives the names, so that a narrow
# phase
# needs no room for its name. Axes in S carry 1 - S on the opposite side.


LIGHT = (
    "#9ECAE1",
    "#FDBE85",
    "#A1D99B",
    "#E7C6DA",
    "#F7DC8F",
    "#C6E6F8",
    "#BDBDBD",
    "#D9C9A0",
)
"""Paler companions of the palette, for a ninth and further phase."""

COLOURS = (*PALETTE[:6], *LIGHT[:7], "#8C6D1F", "#5B3A8C", "#7FBF7B", "#B2182B", "#4D4D4D")
MOST_NAMED = 18
"""Phases in a legend; further ones share one line."""


def colour_of(k: int) -> str:
    """The colour of the k-th phase; colours come round again after the last."""
    return COLOURS[k % len(COLOURS)]


def draw_phases(found: Phases, path: str | os.PathLike[str]) -> Path:
    """Draw the losses of best mixture and optimum against S, with their phases as bands.

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
    bands = [("best mixture", _spans(ladder))]
    if optimum is not None:
        bands.append(("optimum", _spans(optimum)))
    names = list(dict.fromkeys(name for _, spans in bands for name, _, _ in spans))
    figure = new_figure(
        11.5, (9.2 if optimum is not None else 7.6) + 0.2 * (min(len(names), MOST_NAMED) // 3)
    )
    heights = [4.0, *([1.4] if optimum is not None else []), 0.75 * len(bands)]
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    top, strip = figure.add_subplot(grid[0]), figure.add_subplot(grid[-1])
    strip.sharex(top)
    if optimum is not None:
        _excess(figure.add_subplot(grid[1], sharex=top), ladder, optimum)
    _curves(top, ladder, optimum)
    left = _left_margin(bands, ladder.S_min)
    for row, (_, spans) in enumerate(bands):
        for name, low, high in spans:
            k = names.index(name)
            strip.fill_betweenx([row - 0.42, row + 0.42], low, high, color=colour_of(k), lw=0)
            strip.plot([low, low], [row - 0.42, row + 0.42], color="white", lw=0.8)
            if row == 0:
                top.axvspan(low, high, color=colour_of(k), alpha=0.16, lw=0)
            low = max(low, left)
            if np.log(high / low) > 0.018 * np.log(1.0 / left):
                _label(strip, float(np.sqrt(low * high)), row, str(k + 1), colour_of(k))
    strip.set_yticks(range(len(bands)), [title for title, _ in bands])
    strip.set_ylim(len(bands) - 0.5, -0.5)
    strip.tick_params(axis="y", length=0)
    _stars(top, ladder, optimum, left)
    log_axis(strip, left, 1.0)
    beyond = "" if left <= ladder.S_min else f"; no change from here down to {ladder.S_min:g}"
    strip.set_xlabel(f"S, chance that a feature is on{beyond}")
    top.tick_params(labelbottom=False)
    complement(top, left)
    for axes in (top, strip):
        for side in ("right",) if axes is top else ("right", "top", "left"):
            axes.spines[side].set_visible(False)
    figure.suptitle(_mixture_ladder_title(ladder, optimum), size=12)
    handles = [
        Patch(color=colour_of(k), label=f"{k + 1}  {name}")
        for k, name in enumerate(names[:MOST_NAMED])
    ]
    if len(names) > MOST_NAMED:
        handles.append(Patch(color="none", label=f"and {len(names) - MOST_NAMED} more"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return save(figure, target)


def _spans(ladder: Any) -> list[tuple[str, float, float]]:
    """Name, lowest and highest S of each phase of a ladder of either kind."""
    phases = ladder.phases if hasattr(ladder, "phases") else ladder.branches
    edges = [1.0, *(rung.S for rung in ladder.rungs), ladder.S_min]
    return [
        (re.sub(r" \([^()+]*\)$", "", phase.name), low, high)  # a familiar name may follow
        for phase, high, low in zip(phases, edges[:-1], edges[1:], strict=True)
    ]


def _excess(axes: Axes, ladder: MixtureLadder, optimum: Ladder) -> None:
    """By how much the best mixture costs more than the optimum, in percent."""
    from theory.mixtures import mixture_losses

    for branch, (_, low, high) in zip(optimum.branches, _spans(optimum), strict=True):
        here = (low * 0.999 <= branch.S) & (np.minimum(high * 1.001, 0.9999) >= branch.S)
        here &= branch.loss > 0.0  # with a dimension for every feature nothing is lost by either
        S, least = branch.S[here], branch.loss[here]
        if S.size:
            mixed = np.min([mixture_losses(phase, S) for phase in ladder.phases], axis=0)
            axes.plot(S, 100.0 * (mixed / least - 1.0), color=PALETTE[1], lw=1.6)
    axes.set_ylabel("best mixture above\nthe optimum, %")
    axes.set_ylim(bottom=0.0)
    axes.tick_params(labelbottom=False)
    for side in ("right", "top"):
        axes.spines[side].set_visible(False)


def _left_margin(bands: list[tuple[str, list[tuple[str, float, float]]]], S_min: float) -> float:
    """Smallest S shown: nothing happens a decade below the last change."""
    changes = [high for _, spans in bands for _, _, high in spans if high < 1.0]
    return max(S_min, min(changes, default=1.0) / 10.0)


def _curves(axes: Axes, ladder: MixtureLadder, optimum: Ladder | None) -> None:
    from theory.mixtures import mixture_losses

    for phase, (_, low, high) in zip(ladder.phases, _spans(ladder), strict=True):
        S = np.geomspace(low, min(high, 0.999), 40)
        nothing = ladder.n * variance(S, ladder.law)
        axes.plot(S, mixture_losses(phase, S) / nothing, color="black", lw=2.0)
    handles = [Line2D([], [], color="black", lw=2.0, label="best mixture (an upper bound)")]
    if optimum is not None:
        for branch, (_, low, high) in zip(optimum.branches, _spans(optimum), strict=True):
            here = (low * 0.999 <= branch.S) & (np.minimum(high * 1.001, 0.9999) >= branch.S)
            S = branch.S[here]
            share = branch.loss[here] / (ladder.n * variance(S, ladder.law))
            axes.plot(S, share, color=PALETTE[1], lw=1.6, ls=(0, (4, 2)))
        handles.append(
            Line2D([], [], color=PALETTE[1], lw=1.6, ls=(0, (4, 2)), label="optimum (numerical)")
        )
    axes.set_ylim(0.0, 1.05)
    axes.set_ylabel("loss / loss of ignoring every feature")
    axes.legend(handles=handles, loc="upper left", frameon=True, framealpha=0.9, fontsize=9)


def _stars(axes: Axes, ladder: MixtureLadder, optimum: Ladder | None, left: float) -> None:
    """S* of both, with the text on the side where there is room."""
    found = [("S* of mixtures", ladder.S_star, "black", 0.62)]
    if optimum is not None:
        found.append(("S* of the optimum", optimum.S_star, PALETTE[1], 0.52))
    for text, S, ink, height in found:
        if S is None or not left < S < 1.0:
            continue
        axes.axvline(S, color=ink, lw=1.4, ls=":")
        right = np.log(S) < 0.7 * np.log(left)
        axes.annotate(
            f"{text} = {S:.6g}",
            xy=(S, height),
            xytext=(6 if right else -6, 0),
            textcoords="offset points",
            ha="left" if right else "right",
            color=ink,
            size=9,
            bbox={"boxstyle": "round,pad=0.2", "fc": "white", "ec": "none", "alpha": 0.85},
        )


def _mixture_ladder_title(ladder: MixtureLadder, optimum: Ladder | None) -> str:
    def number(S: float | None) -> str:
        return "none" if S is None else f"{S:.6g} (1 − S* = {1.0 - S:.6g})"

    rest = "" if optimum is None else f"; of the optimum: {number(optimum.S_star)}"
    return (
        f"Phases as S falls, n = {ladder.n}, d = {ladder.d}, {ladder.law} law\n"
        f"S* of the best mixture: {number(ladder.S_star)}{rest}"
    )


def _label(axes: Axes, x: float, y: float, text: str, ground: str) -> None:
    red, green, blue = (int(ground[i : i + 2], 16) for i in (1, 3, 5))
    dark = 0.299 * red + 0.587 * green + 0.114 * blue < 140
    axes.text(x, y, text, ha="center", va="center", size=9, color="white" if dark else "black")


def log_axis(axes: Axes, low: float, high: float) -> None:
    """S along x in logarithms, with ticks at 1, 2, 5."""
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(ticks(low, high)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten between two numbers."""
    decades = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1.0)
    every = [m * 10.0**k for k in decades for m in (1.0, 2.0, 5.0)]
    return [t for t in every if low * 0.999 <= t <= high * 1.001]


def complement(axes: Axes, low: float, vertical: bool = False) -> None:
    """1 - S on the other side of an axis in S."""
    other = axes.twinx() if vertical else axes.twiny()
    axis = other.yaxis if vertical else other.xaxis
    (other.set_yscale if vertical else other.set_xscale)("log")
    (other.set_ylim if vertical else other.set_xlim)(axes.get_ylim() if vertical else (low, 1.0))
    places = [t for t in ticks(*(axes.get_ylim() if vertical else (low, 1.0)))]
    axis.set_major_locator(FixedLocator(places))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{1.0 - x:g}"))
    axis.set_minor_formatter(NullFormatter())
    axis.set_label_text("1 − S, the sparsity of Elhage et al.")
    for side in other.spines.values():
        side.set_visible(False)
    if not vertical:
        other.tick_params(labelrotation=45, labelsize=8)


# The picture of the true optimum over (importance ratio, S), with the prototypes overlaid.


def draw_importance(found: ImportanceMap, path: str | os.PathLike[str]) -> Path:
    """Draw the phases of the true optimum over (importance ratio, S), prototypes overlaid.

    Parameters
    ----------
    found : ImportanceMap
        (2, 1) or (3, 2) for an overlay; other sizes are drawn without.
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
    order = [found.phase.index(row["phase"]) for row in found.summary().records]
    place = {k: i for i, k in enumerate(order)}
    index = np.vectorize(place.__getitem__)(found.index)
    figure = new_figure(8.6, 7.6)
    axes = figure.add_subplot()
    inks = ListedColormap([colour_of(i) for i in range(len(order))])
    axes.pcolormesh(
        _edges(found.ratio),
        _edges(found.S),
        index.T,
        cmap=inks,
        vmin=-0.5,
        vmax=len(order) - 0.5,
        alpha=0.6,
        lw=0,
        rasterized=True,
    )
    handles = [
        Patch(color=colour_of(i), alpha=0.6, label=found.phase[k])
        for i, k in enumerate(order[:MOST_NAMED])
    ]
    handles += _overlay(axes, found)
    log_axis(axes, float(found.ratio[0]), float(found.ratio[-1]))
    axes.set_xlabel("importance of the extra feature over that of the others, r")
    axes.set_yscale("log")
    axes.set_ylim(float(found.S[0]), 1.0)
    axes.yaxis.set_major_locator(FixedLocator(ticks(float(found.S[0]), 1.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.set_ylabel("S, chance that a feature is on")
    complement(axes, float(found.S[0]), vertical=True)
    figure.suptitle(
        f"Phases of the true optimum, n = {found.n}, d = {found.d}, {found.law} law, with biases\n"
        "colours: optimum (numerical); lines: prototypes with unit norms and no bias",
        size=11,
    )
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return save(figure, target)


def _edges(centre: Float) -> Float:
    """Edges of cells whose centres are even in the logarithm."""
    step = np.log(centre[1] / centre[0])
    return np.asarray(np.concatenate([centre, centre[-1:] * np.exp(step)]) * np.exp(-step / 2))


def _overlay(axes: Axes, found: ImportanceMap) -> list[Any]:
    """Boundaries of the prototypes, drawn finely; nothing where there are none for this size."""
    from theory.prototypes import LAW, best, prototypes

    if found.law != LAW or (found.n, found.d) not in ((2, 1), (3, 2)):
        return []
    candidates = prototypes(found.n, found.d)
    ratio = np.geomspace(float(found.ratio[0]), float(found.ratio[-1]), 801)
    S = np.geomspace(float(found.S[0]), 1.0, 801)
    winner = best(candidates, ratio, S)
    seen: list[int] = sorted(set(winner.ravel().tolist()))
    for k in seen:
        axes.contour(
            ratio, S, (winner == k).T.astype(float), levels=[0.5], colors="black", linewidths=1.4
        )
        r, s = np.nonzero(winner == k)
        x = float(np.exp(np.mean(np.log(ratio[r]))))
        y = float(np.exp(np.mean(np.log(S[s]))))
        axes.text(
            x,
            y,
            candidates[k].name.replace(", ", ",\n"),
            ha="center",
            va="center",
            size=9,
            style="italic",
            bbox={"boxstyle": "round,pad=0.25", "fc": "white", "ec": "black", "lw": 0.6},
        )
    return [
        Line2D([], [], color="black", lw=1.4, label="prototypes: which costs least (boxed names)")
    ]


# Pictures for many features: the (d/n, S) plane of the best mixture, and D* against 1/S.


INKS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#5B3A8C",
    "#8C6D1F",
    "#B2182B",
    "#9ECAE1",
    "#FDBE85",
    "#A1D99B",
    "#E7C6DA",
    "#F0E442",
    "#7F7F7F",
    "#C7A2E0",
    "#2F4F4F",
    "#B5CF6B",
    "#E7969C",
    "#17BECF",
)
OTHER = "#E4E4E4"
"""The colour of blocks that are seen too little for one of their own."""


def draw_diagram(found: EnvelopeMap, path: str | os.PathLike[str]) -> Path:
    """Draw the (d/n, S) plane, coloured by the block with most dimensions in the best mixture.

    Parameters
    ----------
    found : EnvelopeMap
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
    kinds, counts = np.unique(found.first, return_counts=True)
    large = kinds[np.argsort(-counts, kind="stable")][: len(INKS)]
    # numbered by the S at which they are seen, so that neighbours in the legend are neighbours
    centre = {
        int(k): float(np.mean(np.log(found.S[np.nonzero(found.first == k)[1]]))) for k in large
    }
    order = sorted(centre, key=lambda k: -centre[k])
    place = {k: i for i, k in enumerate(order)}
    index = np.vectorize(lambda k: place.get(int(k), len(order)))(found.first)
    figure = new_figure(11.0, 8.4)
    axes = figure.add_subplot()
    inks = ListedColormap([*INKS[: len(order)], OTHER])
    axes.pcolormesh(
        found.ratio,
        found.S,
        index.T,
        cmap=inks,
        vmin=-0.5,
        vmax=len(order) + 0.5,
        shading="nearest",
        rasterized=True,
    )
    axes.contourf(
        found.ratio,
        found.S,
        found.ignored.T.astype(float),
        levels=[0.5, 1.5],
        colors="none",
        hatches=["..."],
    )
    axes.contour(
        found.ratio,
        found.S,
        found.ignored.T.astype(float),
        levels=[0.5],
        colors="black",
        linewidths=1.6,
    )
    for i, k in enumerate(order):
        _number(axes, found, index == i, str(i + 1), INKS[i], int(k))
    log_axis(axes, float(found.ratio[0]), 1.0)
    axes.set_xlabel("d/n, dimensions per feature")
    axes.set_yscale("log")
    axes.set_ylim(float(found.S[0]), float(found.S[-1]))
    axes.yaxis.set_major_locator(FixedLocator(ticks(float(found.S[0]), 1.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.set_ylabel("S, chance that a feature is on")
    complement(axes, float(found.S[0]), vertical=True)
    figure.suptitle(
        f"Best known mixtures of blocks, n and d large, {found.law} law\n"
        "colour: the block with most of the dimensions; dots: features in surplus are ignored",
        size=12,
    )
    handles = [Patch(color=INKS[i], label=f"{i + 1}  {found.name[k]}") for i, k in enumerate(order)]
    if len(kinds) > len(order):
        handles.append(Patch(color=OTHER, label=f"{len(kinds) - len(order)} other blocks"))
    handles.append(
        Patch(facecolor="white", edgecolor="black", hatch="...", label="some features ignored")
    )
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return save(figure, target)


def _number(
    axes: Axes, found: EnvelopeMap, here: np.ndarray, text: str, ground: str, k: int
) -> None:
    """A number at the cell of a region that lies deepest inside it."""
    from scipy.ndimage import distance_transform_edt

    # cells outside the picture belong to no region: the edge counts as a boundary
    deep = distance_transform_edt(np.pad(here, 1))[1:-1, 1:-1]
    r, s = np.unravel_index(int(np.argmax(deep)), deep.shape)
    if deep[r, s] < 1.8:
        return
    red, green, blue = (int(ground[i : i + 2], 16) for i in (1, 3, 5))
    dark = 0.299 * red + 0.587 * green + 0.114 * blue < 140
    axes.text(
        float(found.ratio[r]),
        float(found.S[s]),
        text,
        ha="center",
        va="center",
        size=8,
        color="white" if dark else "black",
        bbox={"boxstyle": "round,pad=0.12", "fc": ground, "ec": "none"},
    )


def draw_staircase(found: Staircase, path: str | os.PathLike[str]) -> Path:
    """Draw the predicted dimensions per feature against 1/S.

    Parameters
    ----------
    found : Staircase
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
    figure = new_figure(10.5, 6.8)
    axes = figure.add_subplot()
    x = 1.0 / found.S
    axes.plot(x, found.D_star, color="black", lw=1.2, alpha=0.5)
    runs = _runs(found)
    for k, (name, chosen) in enumerate(runs):
        axes.plot(
            x[chosen],
            found.D_star[chosen],
            ls="none",
            marker="osD^v"[(k // len(INKS)) % 5],
            ms=5.5,
            color=INKS[k % len(INKS)],
            label=name,
        )
    for level, text in ((1.0, "dedicated, 1"), (0.5, "pairs, 1/2"), (2.0 / 3.0, "triangles, 2/3")):
        axes.axhline(level, color=GREY, lw=0.8, ls=":")
        axes.text(1.0, level, f" {text}", transform=axes.get_yaxis_transform(), size=8, va="center")
    axes.axhline(found.d / found.n, color=PALETTE[1], lw=1.0, ls="--")
    axes.text(
        1.0,
        found.d / found.n,
        f" d/n = {found.d / found.n:.3g}",
        transform=axes.get_yaxis_transform(),
        size=8,
        va="center",
        color=PALETTE[1],
    )
    log_axis(axes, 1.0, float(x[-1]))
    other = axes.secondary_xaxis("top")
    other.set_xticks(ticks(1.0, float(x[-1])))
    other.xaxis.set_minor_locator(NullLocator())
    other.xaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{1.0 / t:g}  ({1.0 - 1.0 / t:g})"))
    other.xaxis.set_minor_formatter(NullFormatter())
    other.tick_params(labelsize=8, labelrotation=30)
    other.set_xlabel("S (1 − S)")
    axes.set_xlabel("1/S")
    axes.set_ylabel("D* = d / ||W||², dimensions per feature")
    axes.set_ylim(0.0, 1.1)
    figure.suptitle(
        f"Predicted dimensions per feature, n = {found.n}, d = {found.d}, {found.law} law\n"
        "of the best known mixture of blocks; colour: its largest block",
        size=12,
    )
    handles = [
        Line2D(
            [],
            [],
            ls="none",
            marker="osD^v"[(k // len(INKS)) % 5],
            color=INKS[k % len(INKS)],
            label=name,
        )
        for k, (name, _) in enumerate(runs)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return save(figure, target)


def _runs(found: Staircase) -> list[tuple[str, list[int]]]:
    """The leading block of each S, with the S at which it leads, in the order they come."""
    leading = [phase.split(" + ")[0] for phase in found.phase]
    names = [word.split(" ", 1)[1] if word.split(" ")[0].isdigit() else word for word in leading]
    out: dict[str, list[int]] = {}
    for name, group in groupby(range(len(names)), key=lambda i: names[i]):
        out.setdefault(name, []).extend(group)
    return list(out.items())
