"""Pictures for many features: the (d/n, S) plane of the best mixture, and D* against 1/S."""

from __future__ import annotations

import os
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from packing.draw import GREY, PALETTE, check_path, new_figure, save
from theory.pictures import complement, log_axis, ticks

if TYPE_CHECKING:
    from theory.envelopes import EnvelopeMap, Staircase

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
