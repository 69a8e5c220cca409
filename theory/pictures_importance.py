"""The picture of the true optimum over (importance ratio, S), with the prototypes overlaid."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from packing.draw import check_path, new_figure, save
from theory.features import Float
from theory.pictures import MOST_NAMED, colour_of, complement, log_axis, ticks

if TYPE_CHECKING:
    from theory.diagrams import ImportanceMap


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
    from theory.diagrams import summary

    target = check_path(path)
    order = [found.phase.index(row["phase"]) for row in summary(found)]
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
