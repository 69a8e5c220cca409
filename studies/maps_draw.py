"""Pictures of a map: optimum, trained and prototypes side by side; luck, and who disagrees where.

Colours are those of `packing.plotting`, which colour-blind people can tell apart, and every region
has
a letter in it: no colour carries what a letter or a mark does not say too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from packing.plotting import PALETTE, new_figure
from packing.types import Float
from studies.maps import Found
from theory.plotting import LIGHT, log_axis, ticks

FILL = (*LIGHT[:3], LIGHT[3], LIGHT[4], LIGHT[5], LIGHT[6], LIGHT[7], *PALETTE[:6])
"""A pale colour for each phase, so that marks can be seen on it."""

LETTERS = "ABCDEFGHIJKLMN"
FLOOR, CEILING = 1e-7, 1e-1
"""Excess below and above which cells have one colour: below, single precision ends."""


def draw_phases(found: Found) -> Figure:
    """Phases of the optimum, of the best trained models and of the prototypes, side by side.

    Lines are the optimum's boundaries in all three; dots mark cells of another phase, rings those
    of another phase that costs the same.
    """
    maps = (found.right.phase, found.best_phase, found.prototypes.phase)
    names = _order(maps)
    figure = new_figure(13.0, 5.6)
    panels = figure.subplots(1, 3, sharey=True)
    titles = (
        "predicted: the true optimum",
        f"trained: best of {found.plan.runs} models",
        "prototypes: unit norms, no bias",
    )
    tied = found.tied(found.right)
    for axes, phase, title in zip(panels, maps, titles, strict=True):
        index = np.vectorize(names.index)(phase)
        inks = ListedColormap([FILL[k % len(FILL)] for k in range(len(names))])
        _mesh(axes, found, index, cmap=inks, vmin=-0.5, vmax=len(names) - 0.5)
        _boundaries(axes, found)
        for k in np.unique(index):
            _letter(axes, found, index == k, LETTERS[k % len(LETTERS)])
        if phase is not maps[0]:
            other = phase != maps[0]
            even = tied if phase is maps[1] else np.zeros_like(other)
            _marks(axes, found, other & ~even, ".", "black")
            _marks(axes, found, other & even, "o", "none")
        _frame(axes, found)
        share = float(np.mean(phase == maps[0]))
        said = "" if phase is maps[0] else f"\nsame phase as the optimum in {share:.1%} of cells"
        axes.set_title(title + (said or "\n"), size=10)
    _ordinate(panels[0], panels[-1])
    handles: list[Artist] = [
        Patch(facecolor=FILL[k % len(FILL)], edgecolor="#555555", lw=0.5, label=_label(k, name))
        for k, name in enumerate(names)
    ]
    handles += [
        Line2D([], [], color="black", lw=1.4, label="boundary of the optimum's phases"),
        Line2D([], [], color="black", marker=".", lw=0, label="another phase than the optimum"),
        Line2D([], [], **_RING, label="another phase, within the tie of the optimum's loss"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.suptitle(_title(found), size=12)
    return figure


def draw_luck(found: Found) -> Figure:
    """How many single models reach the optimum's phase, how near the best come, who disagrees."""
    figure = new_figure(13.0, 5.2)
    panels = figure.subplots(1, 3, sharey=True)
    lucky, excess, verdict = panels
    K = found.plan.runs
    steps = np.linspace(0.0, 1.0, 9)
    norm = BoundaryNorm(steps, 256)
    mesh = _mesh(lucky, found, found.lucky, cmap="cividis", norm=norm)
    figure.colorbar(mesh, ax=lucky, location="bottom", label="share of models", ticks=steps[::2])
    lucky.set_title(
        f"one model: share of {K} that reach the optimum's phase\n"
        f"mean {np.mean(found.lucky):.0%}, least {np.min(found.lucky):.0%}",
        size=10,
    )
    shown = np.clip(found.excess, FLOOR, None)
    mesh = _mesh(excess, found, shown, cmap="cividis", norm=LogNorm(FLOOR, CEILING))
    figure.colorbar(mesh, ax=excess, location="bottom", label="loss / optimum − 1", extend="both")
    missed = ~found.reached(found.right)
    _marks(excess, found, missed, "x", "black")
    excess.set_title(
        f"best of {K}: loss above the optimum\n×: above {found.plan.within:.2%}, in "
        f"{int(missed.sum())} of {missed.size} cells",
        size=10,
    )
    trained = ~found.same(found.right) & ~found.tied(found.right)
    literature = found.prototypes.phase != found.right.phase
    inks = ListedColormap(["#F2F2F2", LIGHT[0], PALETTE[1], "#000000"])
    sides = _mesh(verdict, found, literature + 2 * trained, cmap=inks, vmin=-0.5, vmax=3.5)
    _marks(verdict, found, trained & ~literature, "x", "black")
    verdict.set_title(
        "another phase than the optimum:\n"
        f"prototypes in {np.mean(literature):.1%}, training in {np.mean(trained):.1%} of cells",
        size=10,
    )
    bar = figure.colorbar(sides, ax=verdict, location="bottom", ticks=range(4), drawedges=True)
    bar.set_ticklabels(["neither", "prototypes", "training (×)", "both"])
    bar.ax.tick_params(length=0)
    for axes in panels:
        _boundaries(axes, found, "white" if axes is not verdict else "black")
        _frame(axes, found)
    _ordinate(lucky, verdict)
    figure.suptitle(_title(found), size=12)
    return figure


_RING: dict[str, Any] = {
    **{"marker": "o", "color": "black", "markerfacecolor": "none"},
    **{"markersize": 5, "markeredgewidth": 0.9, "linewidth": 0},
}


def _order(maps: tuple[NDArray[np.str_], ...]) -> list[str]:
    """Names of all phases seen, those with most cells first."""
    every = np.concatenate([phase.ravel() for phase in maps]).tolist()
    return sorted(set(every), key=lambda name: (-every.count(name), name))


def _label(k: int, name: str) -> str:
    return f"{LETTERS[k % len(LETTERS)]}  {name}"


def _title(found: Found) -> str:
    plan = found.plan
    return f"{plan.n} features in {plan.d} dimension{'s' * (plan.d > 1)}, {plan.law} values"


def edges(centre: tuple[float, ...]) -> Float:
    """Edges of cells whose centres are even in the logarithm."""
    step = np.log(centre[1] / centre[0])
    return np.asarray(np.exp(np.append(np.log(centre) - step / 2, np.log(centre[-1]) + step / 2)))


def _mesh(axes: Axes, found: Found, values: Any, **how: Any) -> QuadMesh:
    x, y = edges(found.plan.ratio), edges(found.plan.S)
    return axes.pcolormesh(x, y, values.T, rasterized=True, lw=0, **how)


def _marks(axes: Axes, found: Found, where: NDArray[np.bool_], marker: str, ink: str) -> None:
    r, m = np.nonzero(where)
    x, y = np.array(found.plan.ratio)[r], np.array(found.plan.S)[m]
    if marker == "o":
        axes.plot(x, y, **_RING)
    else:
        axes.plot(x, y, lw=0, marker=marker, color=ink, ms=4.5, mew=1.2)


def _boundaries(axes: Axes, found: Found, ink: str = "black") -> None:
    """The edges between cells of different predicted phases."""
    x, y, phase = edges(found.plan.ratio), edges(found.plan.S), found.right.phase
    for r, m in np.argwhere(phase[1:] != phase[:-1]).tolist():
        axes.plot([x[r + 1], x[r + 1]], [y[m], y[m + 1]], color=ink, lw=1.4)
    for r, m in np.argwhere(phase[:, 1:] != phase[:, :-1]).tolist():
        axes.plot([x[r], x[r + 1]], [y[m + 1], y[m + 1]], color=ink, lw=1.4)


def _letter(axes: Axes, found: Found, where: NDArray[np.bool_], letter: str) -> None:
    """The letter of a phase in the middle of the cells of it that lie deepest inside."""
    if where.sum() < 6:
        return
    depth, inside = np.zeros(where.shape), where.copy()
    while inside.any():
        depth += inside
        framed = np.pad(inside, 1)
        inside = (
            inside & framed[2:, 1:-1] & framed[:-2, 1:-1] & framed[1:-1, 2:] & framed[1:-1, :-2]
        )
    deepest = np.argwhere(depth == depth.max())
    off = np.sum((deepest - deepest.mean(axis=0)) ** 2, axis=1)
    r, m = deepest[int(off.argmin())].tolist()
    axes.text(
        found.plan.ratio[r],
        found.plan.S[m],
        letter,
        ha="center",
        va="center",
        size=13,
        weight="bold",
        bbox={"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none", "alpha": 0.75},
    )


def _frame(axes: Axes, found: Found) -> None:
    x, y = edges(found.plan.ratio), edges(found.plan.S)
    log_axis(axes, float(x[0]), float(x[-1]))
    axes.set_xlabel("importance of the last feature / of the others, r", size=9)
    axes.set_yscale("log")
    axes.set_ylim(float(y[0]), float(y[-1]))
    axes.yaxis.set_major_locator(FixedLocator(ticks(found.plan.S[0], found.plan.S[-1])))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda S, _: f"{S:g}"))
    axes.tick_params(labelsize=8)


def _ordinate(left: Axes, right: Axes) -> None:
    """S on the left, 1 - S on the right."""
    left.set_ylabel("S, chance that a feature is on", size=9)
    other = right.twinx()
    other.set_yscale("log")
    other.set_ylim(right.get_ylim())
    other.yaxis.set_major_locator(FixedLocator(list(left.get_yticks())))
    other.yaxis.set_minor_locator(NullLocator())
    other.yaxis.set_major_formatter(FuncFormatter(lambda S, _: f"{1.0 - S:.3g}"))
    other.tick_params(labelsize=8)
    other.set_ylabel("1 − S, the sparsity of Elhage et al.", size=9)


__all__ = ["draw_luck", "draw_phases", "edges"]
