"""Pictures and tables of maps: optimum, trained and prototypes beside each other, luck, dissent.

Colours are those of `packing.plotting`, which colour-blind people can tell apart, and every region
has a letter in it: no colour carries what a letter or a mark does not say too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
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
from packing.results import Table, render
from packing.types import Float
from studies.maps import Found
from theory.plotting import LIGHT, log_axis, ticks
from validate.markup import embedded, table
from validate.plotting import png

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


# --- on the page, as a table of cells, and as files ---


CELL_COLUMNS = (
    "map",
    "r",
    "S",
    "one_minus_S",
    "optimum_loss",
    "best_loss",
    "prototypes_loss",
    "optimum",
    "trained",
    "prototypes",
    "optimum_name",
    "reached",
    "tied",
    "lucky",
)
"""Columns of maps.csv, a row for each cell."""

CAPTIONS = {
    "phases": "Phases of the optimum, of the best trained models and of the prototypes.",
    "luck": "How lucky one model must be, how near the best come, and who disagrees where.",
}


def files(suite: str, found: Sequence[Found]) -> dict[str, str | bytes]:
    """Two pictures of each map as PNG files, and every cell of every map as CSV."""
    drawn: dict[str, str | bytes] = {}
    for one in found:
        drawn[picture(suite, one, "phases")] = png(draw_phases(one))
        drawn[picture(suite, one, "luck")] = png(draw_luck(one))
    return {**drawn, "maps.csv": cells_csv(found)}


def picture(suite: str, found: Found, what: str) -> str:
    """File name of a picture, as phase-diagram-2-1-luck.png."""
    return f"{suite}-{found.plan.n}-{found.plan.d}-{what}.png"


def compared(values: Sequence[dict[str, Any]]) -> Table:
    """The summaries of maps for people."""
    return Table("Maps", ["", *(v["map"] for v in values)], list(rows(values)))


def section(
    suite: str,
    maps: Sequence[Found],
    values: Sequence[dict[str, Any]],
    files: Mapping[str, str | bytes],
) -> Iterator[str]:
    """What a page says of the maps."""
    yield "<h2>Maps</h2>"
    yield table(("", *(v["map"] for v in values)), list(rows(values)))
    for found, value in zip(maps, values, strict=True):
        plan = found.plan
        r, S = (f"{axis[0]:g} to {axis[-1]:g}" for axis in (plan.ratio, plan.S))
        yield f"<h3>{escape(plan.name)}</h3>"
        yield (
            f"<p>n = {plan.n}, d = {plan.d}, S = {S}, importance {r}, {plan.law}: "
            f"{len(plan.ratio)} × {len(plan.S)} cells of {plan.runs} models. "
            f"{escape(plan.reason)}</p>"
        )
        for what, caption in CAPTIONS.items():
            image = files[picture(suite, found, what)]
            assert isinstance(image, bytes)
            yield embedded(image, caption)
        yield table(
            ("phase", "optimum", "trained", "prototypes", "the optimum's names"),
            [
                (
                    one["phase"],
                    *(f"{one[key]:.2%}" for key in ("optimum", "trained", "prototypes")),
                    "; ".join(one["names"]),
                )
                for one in value["phases"]
            ],
        )
        if value["others"]:
            yield table(
                ("the optimum's phase", "trained instead", "tied", "cells"),
                [
                    (one["optimum"], one["trained"], "yes" if one["tied"] else "no", one["cells"])
                    for one in value["others"]
                ],
            )


def rows(values: Sequence[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """The summaries of maps side by side, a row for each number."""

    def row(text: str, say: Any) -> tuple[str, ...]:
        return (text, *(str(say(v)) for v in values))

    yield row("cells × models in each", lambda v: f"{v['cells']} × {v['models'] // v['cells']}")
    yield row(
        "best has the optimum's loss (within)", lambda v: f"{v['reached']:.2%} ({v['within']:.2%})"
    )
    yield row("its largest excess", lambda v: f"{v['largest_excess']:.2g}")
    yield row("best has the optimum's phase", lambda v: f"{v['same_phase']:.2%}")
    yield row("another phase, tied with it", lambda v: f"{v['tied']:.2%}")
    yield row("another phase", lambda v: f"{v['other_phase']:.2%}")
    yield row(
        "prototypes: another phase than the best trained",
        lambda v: f"{v['prototypes_other_than_trained']:.2%}",
    )
    yield row(
        "prototypes: another phase than the optimum",
        lambda v: f"{v['prototypes_other_than_optimum']:.2%}",
    )
    yield row(
        "where prototypes and optimum differ: best trained has the optimum's phase",
        lambda v: (
            "" if v["contested_won"] is None else f"{v['contested_won']:.1%} of {v['contested']}"
        ),
    )
    yield row(
        "prototypes: loss above the optimum's, median and most",
        lambda v: f"{v['prototypes_above_optimum'][1]:.2%}, {v['prototypes_above_optimum'][2]:.2%}",
    )
    yield row(
        "best trained lies below every prototype", lambda v: f"{v['trained_below_prototypes']:.2%}"
    )
    yield row(
        "one model reaches the optimum's phase: mean, least",
        lambda v: f"{v['one_model_lucky']:.1%}, {v['least_lucky']:.1%}",
    )
    yield row(
        "cells in which less than a quarter of models do", lambda v: v["cells_below_a_quarter"]
    )
    yield row("cells with a feature too weak to be read off", lambda v: v["faint"])


def cells_csv(maps: Sequence[Found]) -> str:
    """Every cell of every map as CSV."""
    lines: list[list[Any]] = []
    for found in maps:
        reached, tied = found.reached(found.right), found.tied(found.right)
        for i, r in enumerate(found.plan.ratio):
            for j, S in enumerate(found.plan.S):
                at = (i, j)
                lines.append(
                    [
                        *(found.plan.name, r, S, 1.0 - S),
                        *(float(found.right.loss[at]), float(found.best_loss[at])),
                        float(found.prototypes.loss[at]),
                        *(str(found.right.phase[at]), str(found.best_phase[at])),
                        *(str(found.prototypes.phase[at]), str(found.right.name[at])),
                        *(bool(reached[at]), bool(tied[at]), float(found.lucky[at])),
                    ]
                )
    return render(CELL_COLUMNS, lines, "csv", "cells of the maps")


__all__ = ["CELL_COLUMNS", "compared", "draw_luck", "draw_phases", "edges", "files", "section"]
