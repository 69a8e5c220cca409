"""The picture of rare arrangements: where every run stopped, and the share that arrived.

A row for each cell. Left, the gap of each model to the best known loss: dots of runs that reached
the named arrangement, open rings of those that did not. Right, the share that reached it with its
interval.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from packing.draw import GREY, PALETTE, check_path, new_figure, save

if TYPE_CHECKING:
    from validate.surplus import Tally

BLUE, ORANGE = PALETTE[0], PALETTE[1]

LINEAR = 1e-3
"""Gap below which the axis is linear, in percent."""


def draw(found: Sequence[Tally]) -> Figure:
    """Gaps and shares, cell by cell."""
    figure = new_figure(11.0, 1.7 + 0.33 * len(found))
    grid = figure.add_gridspec(1, 2, width_ratios=[2.4, 1.0])
    left = figure.add_subplot(grid[0])
    right = figure.add_subplot(grid[1], sharey=left)
    for row, one in enumerate(found):
        spread = row + np.linspace(-0.28, 0.28, max(2, len(one.gap)))[: len(one.gap)]
        gap, there = 100.0 * one.gap, one.reached
        left.plot(gap[there], spread[there], ".", color=BLUE, ms=3.5)
        left.plot(gap[~there], spread[~there], "o", color=ORANGE, ms=3.2, mfc="none", mew=0.7)
        rate = one.share
        right.plot([rate.low, rate.high], [row, row], color=BLUE, lw=2.6, solid_capstyle="butt")
        right.plot(rate.value, row, "D", color=BLUE, ms=5, mec="white", mew=0.6)
    left.axvline(0.0, color=GREY, lw=0.9)
    left.set_xscale("symlog", linthresh=LINEAR, linscale=0.4)
    least = min(float(one.gap.min()) for one in found)
    most = max(float(one.gap[np.isfinite(one.gap)].max()) for one in found)
    ticks = [x for x in (-1.0, -0.1, 0.0, 0.01, 0.1, 1.0, 10.0, 100.0) if x >= 0.0 or least < 0.0]
    left.set_xticks(ticks)
    left.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}%"))
    left.set_xlim(min(300.0 * least, -0.3 * LINEAR), 130.0 * most)
    left.set_yticks(range(len(found)), [one.cell.name for one in found], size=8)
    left.set_ylim(len(found) - 0.4, -0.6)
    left.set_xlabel("exact loss above the best known")
    right.set_xlim(-0.03, 1.03)
    right.set_xlabel("share of the runs that reach it")
    right.tick_params(labelleft=False)
    for axes in (left, right):
        axes.grid(axis="x", color=GREY, alpha=0.25, lw=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    handles = [
        Line2D([], [], color=BLUE, marker=".", lw=0, label="reached the named arrangement"),
        Line2D([], [], color=ORANGE, marker="o", mfc="none", lw=0, label="ended elsewhere"),
        Line2D([], [], color=BLUE, marker="D", lw=2.6, label="share and its interval"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    return figure


def picture(found: Sequence[Tally], path: str | os.PathLike[str]) -> Path:
    """Draw into a PDF, PNG or SVG file.

    Raises
    ------
    BadInput
        If the file cannot be written.
    """
    check_path(path)
    return save(draw(found), path)


__all__ = ["draw", "picture"]
