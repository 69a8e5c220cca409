"""The picture of a staircase: predicted D_i and D*, trained D* and the D_i of every feature.

Above, dimensions per feature against 1/S: a short line for each block of the best mixture at its
D_i, dots for the represented features of the trained models, spread sideways inside their S. Below,
the gap of each model to the mixture's loss, beside that of the many-features solution.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from packing.draw import GREY, PALETTE, check_path, new_figure, save
from theory.pictures import ticks

if TYPE_CHECKING:
    from validate.staircase import Stair
    from validate.staircase_trained import Place

NAMED = {
    "tetrahedron 3/4": 3 / 4,
    "triangle 2/3": 2 / 3,
    "digon 1/2": 1 / 2,
    "pentagon 2/5": 2 / 5,
    "square antiprism 3/8": 3 / 8,
    "5-demicube 5/16": 5 / 16,
    "icosahedron 1/4": 1 / 4,
    "Higman-Sims 11/50": 11 / 50,
    "GQ(3,9) 3/16": 3 / 16,
    "U4(3) 7/54": 7 / 54,
}
"""Levels with a name at the edge of the picture."""

BETWEEN = 2
"""Further S predicted between two trained ones."""

BLUE, ORANGE, GREEN = PALETTE[0], PALETTE[1], PALETTE[2]


def draw(found: Sequence[Place], between: int = 0) -> Figure:
    """The picture; with ``between`` further S predicted between two neighbouring trained ones."""
    setting = found[0].models[0][0].run.setting
    n, d, law = setting.n, setting.d, setting.law
    steps = _predicted(found, between)
    figure = new_figure(11.0, 8.6)
    grid = figure.add_gridspec(2, 1, height_ratios=[3.4, 1.0])
    top = figure.add_subplot(grid[0])
    low = figure.add_subplot(grid[1], sharex=top)
    _levels(top, steps)
    rng = np.random.default_rng(0)
    for place, (left, right) in zip(found, _spans([p.stair.S for p in found]), strict=True):
        for one in place.landed:
            at = np.exp(
                rng.uniform(0.75 * np.log(left), 0.75 * np.log(right), one.dimensionality.size)
            )
            top.plot(at / place.stair.S, one.dimensionality, ".", color=ORANGE, ms=2.6, alpha=0.35)
    along = [1.0 / stair.S for stair in steps]
    top.plot(along, [stair.wide_D_star for stair in steps], "--", color=GREY, lw=1.3)
    top.plot(along, [stair.D_star for stair in steps], color="black", lw=1.4)
    for place in found:
        for one in place.landed:
            top.plot(
                1.0 / place.stair.S, one.D_star, "D", color=GREEN, ms=5.0, mec="white", mew=0.5
            )
            low.plot(1.0 / place.stair.S, 100.0 * one.gap, "D", color=GREEN, ms=4.0)
    low.plot(along, [100.0 * stair.margin for stair in steps], "--", color=GREY, lw=1.3)
    low.axhline(0.0, color="black", lw=1.4)
    _axes(top, low, along, d / n)
    figure.suptitle(
        f"Dimensions per feature, n = {n}, d = {d}, {law} values, equal importance: "
        "best known mixtures and trained models",
        size=12,
    )
    figure.legend(
        handles=_handles(), loc="outside lower center", ncols=3, frameon=False, fontsize=9
    )
    return figure


def picture(found: Sequence[Place], path: str | os.PathLike[str]) -> Path:
    """Write the picture into a file, PDF, PNG or SVG.

    Raises
    ------
    BadInput
        If the suffix is unknown or the file cannot be written.
    """
    target = check_path(path)
    return save(draw(found, BETWEEN), target)


def _predicted(found: Sequence[Place], between: int) -> list[Stair]:
    """The predictions of the trained S, and of those between."""
    if not between or len(found) < 2:
        return [place.stair for place in found]
    from validate.staircase import stairs

    setting = found[0].models[0][0].run.setting
    S = np.log([place.stair.S for place in found])
    at = np.interp(
        np.arange((len(S) - 1) * (between + 1) + 1) / (between + 1), np.arange(len(S)), S
    )
    fine = np.exp(at)
    fine[:: between + 1] = [place.stair.S for place in found]
    return list(stairs(setting.n, setting.d, fine.tolist(), setting.law))


def _spans(S: Sequence[float]) -> list[tuple[float, float]]:
    """Half-way to the neighbours of each S, as factors of 1/S."""
    if len(S) < 2:
        return [(1.0 / 1.05, 1.05)] * len(S)
    x = np.log(1.0 / np.asarray(S))
    middle = 0.5 * (x[1:] + x[:-1])
    edges = np.concatenate([[2.0 * x[0] - middle[0]], middle, [2.0 * x[-1] - middle[-1]]])
    return [
        (float(np.exp(a - c)), float(np.exp(b - c)))
        for a, b, c in zip(edges[:-1], edges[1:], x, strict=True)
    ]


def _levels(axes: Axes, steps: Sequence[Stair]) -> None:
    """A line for each D_i of each mixture, broad where many features have it."""
    for stair, (left, right) in zip(steps, _spans([s.S for s in steps]), strict=True):
        total = sum(count for _, count in stair.levels) or 1
        for D, count in stair.levels:
            x = np.array([left, right]) / stair.S
            axes.plot(
                x,
                [D, D],
                color=BLUE,
                lw=1.5 + 5.0 * count / total,
                alpha=0.45,
                solid_capstyle="butt",
            )


def _axes(top: Axes, low: Axes, x: Sequence[float], least: float) -> None:
    for text, D in NAMED.items():
        top.axhline(D, color=GREY, lw=0.5, ls=":")
        top.text(1.005, D, text, transform=top.get_yaxis_transform(), size=7.5, va="center")
    top.axhline(least, color=GREY, lw=0.8, ls="-.")
    top.text(
        1.005, least, "all at once, d/n", transform=top.get_yaxis_transform(), size=7.5, va="center"
    )
    top.set_ylim(0.0, 1.12)
    top.set_ylabel("dimensions per feature")
    low.set_ylabel("loss above\nthe mixture, %")
    low.set_xlabel("1/S")
    first, last = x[0] / 1.05, x[-1] * 1.05
    top.set_xscale("log")
    top.set_xlim(first, last)
    low.xaxis.set_major_locator(FixedLocator(ticks(first, last)))
    low.xaxis.set_minor_locator(NullLocator())
    low.xaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{t:g}"))
    low.xaxis.set_minor_formatter(NullFormatter())
    top.tick_params(labelbottom=False)
    other = top.secondary_xaxis("top")
    other.set_xticks(ticks(first, last))
    other.xaxis.set_minor_locator(NullLocator())
    other.xaxis.set_major_formatter(
        FuncFormatter(lambda t, _: f"{1.0 / t:.3g} ({1.0 - 1.0 / t:.3g})")
    )
    other.tick_params(labelsize=8)
    other.set_xlabel(
        "S, chance that a feature is on (1 − S, the sparsity of Elhage et al.)", size=9
    )
    for axes in (top, low):
        axes.spines[["right"]].set_visible(False)
    low.spines[["top"]].set_visible(False)


def _handles() -> list[Line2D]:
    return [
        Line2D([], [], color=BLUE, lw=4, alpha=0.45, label="D_i of the best mixture's blocks"),
        Line2D([], [], color="black", lw=1.4, label="D* = d/||W||² of the best mixture"),
        Line2D([], [], color=GREY, ls="--", label="many-features solution, best number"),
        Line2D([], [], color=ORANGE, marker=".", lw=0, label="D_i of every trained feature"),
        Line2D([], [], color=GREEN, marker="D", lw=0, label="D* and loss of trained models"),
    ]


__all__ = ["BETWEEN", "NAMED", "draw", "picture"]
