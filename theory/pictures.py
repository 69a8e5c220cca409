"""The picture of a ladder of mixtures beside that of the optimum, and what pictures share.

Phases are bands of colour with numbers in them; the legend gives the names, so that a narrow phase
needs no room for its name. Axes in S carry 1 - S on the opposite side.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from packing.draw import PALETTE, check_path, new_figure, save
from theory.mixtures.blocks import variance

if TYPE_CHECKING:
    from theory.mixtures import MixtureLadder
    from theory.phases import Ladder

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


def draw_phases(
    ladder: MixtureLadder, path: str | os.PathLike[str], optimum: Ladder | None
) -> Path:
    """Draw the losses of best mixture and optimum against S, with their phases as bands.

    Parameters
    ----------
    ladder : MixtureLadder
    path : path
        PDF, PNG or SVG, decided by the suffix. Written whole or not at all.
    optimum : Ladder or None
        The ladder of true optima, where it is known.

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
    left = _left(bands, ladder.S_min)
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
    figure.suptitle(_ladder_title(ladder, optimum), size=12)
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


def _left(bands: list[tuple[str, list[tuple[str, float, float]]]], S_min: float) -> float:
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


def _ladder_title(ladder: MixtureLadder, optimum: Ladder | None) -> str:
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
