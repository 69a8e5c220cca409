"""Pictures of a validation: checks in their tolerances, trained models over predicted ones.

Each function returns a figure; `png` makes bytes of it. Colours are those of `packing.plotting`,
and shape or position always carries the same information.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.optimize import linear_sum_assignment

from packing.plotting import GREY, PALETTE, new_figure
from packing.types import Float
from validate.checks import Check
from validate.predict import Model, Sample, Truth, distance
from validate.trajectory import exact_path, losses_along, rotation

BLUE, ORANGE, GREEN = PALETTE[0], PALETTE[1], PALETTE[2]
INK = {"agree": GREEN, "disagree": ORANGE, "inconclusive": "#E69F00"}
MARK = {"agree": "o", "disagree": "X", "inconclusive": "D"}

REACH = 4.0
"""Tolerances shown on either side of a prediction; what lies beyond is an arrow at the edge."""

MOST_ALONG = 12
"""Models whose training is drawn; more of them hide each other."""

LARGEST_LAID = 12
"""Features up to which trained vectors are laid over predicted ones."""


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def draw_checks(checks: Sequence[Check]) -> Figure:
    """Every check in units of its tolerance: the interval over the band, controls as crosses."""
    figure = new_figure(9.5, 1.5 + 0.32 * len(checks))
    axes = figure.add_subplot()
    axes.axvspan(-1.0, 1.0, color=BLUE, alpha=0.12, lw=0)
    axes.axvline(0.0, color=BLUE, lw=1.0)
    for row, check in enumerate(checks):
        scale = check.tolerance or 1.0
        low, high = ((x - check.predicted) / scale for x in check.interval)
        at = (check.measured - check.predicted) / scale
        ink = INK[check.verdict]
        shown = np.clip([low, high], -REACH, REACH)
        axes.plot(shown, [row, row], color=ink, lw=3.0, solid_capstyle="butt")
        if low < -REACH or high > REACH:
            side = -REACH if low < -REACH else REACH
            axes.plot(side, row, marker="<" if side < 0 else ">", color=ink, ms=8, clip_on=False)
        if abs(at) <= REACH:
            axes.plot(at, row, marker=MARK[check.verdict], color=ink, ms=6)
        for one in check.controls:
            moved = (one.predicted - check.predicted) / scale
            moved = moved if abs(moved) > 1e-9 else one.shift / scale
            if one.power and np.isfinite(moved):
                ok = GREY if one.rejected else ORANGE
                side = float(np.clip(moved, -REACH, REACH))
                axes.plot(side, row, marker="x", color=ok, ms=6, mew=1.6, clip_on=False)
    axes.set_yticks(range(len(checks)), [check.name for check in checks], size=8)
    axes.set_xlim(-REACH - 0.15, REACH + 0.15)
    axes.set_ylim(len(checks) - 0.4, -0.6)
    axes.set_xlabel("measured − predicted, in tolerances")
    handles = [
        Patch(color=BLUE, alpha=0.2, label="prediction ± tolerance"),
        *(
            Line2D([], [], color=INK[v], marker=MARK[v], lw=3, label=v)
            for v in INK
            if any(check.verdict == v for check in checks)
        ),
        Line2D([], [], color=GREY, marker="x", lw=0, label="wrong prediction, rejected"),
    ]
    if any(o.power and not o.rejected for c in checks for o in c.controls):
        handles.append(Line2D([], [], color=ORANGE, marker="x", lw=0, label="not rejected"))
    figure.legend(handles=handles, loc="outside upper center", ncols=5, frameon=False, fontsize=8)
    _plain(axes)
    return figure


def draw_excess(cells: Sequence[tuple[str, Sample, Truth]]) -> Figure:
    """Loss of every trained model above the predicted optimum, cell by cell."""
    figure = new_figure(9.5, 1.4 + 0.36 * len(cells))
    axes = figure.add_subplot()
    for row, (_, sample, truth) in enumerate(cells):
        every = _excess([m.loss for _, m in sample.models], truth)
        best = _excess([m.loss for _, m in sample.best], truth)
        spread = np.linspace(-0.25, 0.25, max(2, len(every)))[: len(every)]
        axes.plot(every, row + spread, ".", color=GREY, ms=3)
        axes.plot(best, np.full(len(best), row), "|", color=BLUE, ms=11, mew=1.4)
        below = [x for x in every if x < -truth.rounding / truth.loss]
        axes.plot(below, np.full(len(below), row), "X", color=ORANGE, ms=8)
    axes.axvline(0.0, color=BLUE, lw=1.0)
    axes.set_xscale("symlog", linthresh=1e-6)
    axes.set_yticks(range(len(cells)), [name for name, _, _ in cells], size=8)
    axes.set_ylim(len(cells) - 0.4, -0.6)
    left = min(0.0, axes.get_xlim()[0] if any_below(cells) else -2e-7)
    axes.set_xlim(left=left)
    axes.set_xlabel("loss / predicted optimum − 1   (a model left of 0 would defeat the theory)")
    handles = [
        Line2D([], [], color=GREY, marker=".", lw=0, label="every model"),
        Line2D([], [], color=BLUE, marker="|", ms=10, lw=0, label="best of a group"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    _plain(axes)
    return figure


def any_below(cells: Sequence[tuple[str, Sample, Truth]]) -> bool:
    """Whether a model lies below its predicted optimum by more than rounding."""
    return any(
        m.loss is not None and m.loss < truth.loss - truth.rounding
        for _, sample, truth in cells
        for _, m in sample.models
    )


def draw_planes(cells: Sequence[tuple[str, Sample, Truth]]) -> Figure:
    """For d = 2: the vectors of each group's best model over the predicted ones.

    Each model is turned, mirrored and relabelled such that it lies nearest.
    """
    shown = [x for x in cells if x[2].W.shape[0] == 2 and x[2].W.shape[1] <= LARGEST_LAID]
    columns = min(4, max(1, len(shown)))
    rows = -(-len(shown) // columns)
    figure = new_figure(3.0 * columns, 3.5 * rows + 0.5)
    for place, (name, sample, truth) in enumerate(shown):
        axes = figure.add_subplot(rows, columns, place + 1)
        laid = [laid_over(trained.W, truth.W) for trained, _ in sample.best]
        for W in laid:
            axes.plot(*W, "o", color=ORANGE, ms=4, alpha=0.35, mew=0)
        for w in truth.W.T:
            axes.plot([0.0, w[0]], [0.0, w[1]], color=BLUE, lw=1.4)
        circle = np.linspace(0.0, 2.0 * np.pi, 200)
        axes.plot(np.cos(circle), np.sin(circle), ":", color=GREY, lw=0.8)
        reach = 1.15 * max(1.0, *(float(np.abs(W).max()) for W in (truth.W, *laid)))
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-reach, reach)
        axes.set_aspect("equal")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(f"{name}\n{truth.name}", size=8)
    handles = [
        Line2D([], [], color=BLUE, label="predicted"),
        Line2D([], [], color=ORANGE, marker="o", lw=0, label="trained, best of each group"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def laid_over(A: Float, B: Float) -> Float:
    """The columns of A (2, n), turned, mirrored and relabelled to lie near those of B (2, n)."""
    angles = [np.arctan2(M[1], M[0]) for M in (A, B)]
    start = int(np.argmax(np.linalg.norm(A, axis=0)))
    best, found = np.inf, A
    for flip in (1.0, -1.0):
        M = A * np.array([[1.0], [flip]])
        for target in angles[1]:
            turn = target - flip * angles[0][start]
            c, s = np.cos(turn), np.sin(turn)
            turned = np.array([[c, -s], [s, c]]) @ M
            for _ in range(2):
                cost = np.sum((turned[:, :, None] - B[:, None, :]) ** 2, axis=0)
                order = linear_sum_assignment(cost.T)[1]
                u, _, v = np.linalg.svd(B @ turned[:, order].T)
                turned = (u @ v) @ turned[:, order]
            off = float(np.sum((turned - B) ** 2))
            if off < best:
                best, found = off, turned
    return found


def draw_change(check: Check, S: Sequence[float], samples: Sequence[Sample], n: int) -> Figure:
    """Where best-of-many models change phase, beside the predicted S*."""
    figure = new_figure(6.2, 3.2)
    axes = figure.add_subplot()
    full = [np.mean([m.represented >= n for _, m in sample.best]) for sample in samples]
    mean = [np.mean([m.represented for _, m in sample.best]) / n for sample in samples]
    low, high = check.predicted - check.tolerance, check.predicted + check.tolerance
    axes.axvspan(low, high, color=BLUE, alpha=0.12, lw=0, label="predicted S* ± tolerance")
    axes.axvline(check.predicted, color=BLUE, lw=1.2)
    axes.plot(S, full, "o-", color=ORANGE, lw=1.2, ms=5, label="groups with all represented")
    axes.plot(S, mean, "s:", color=GREY, lw=1.0, ms=4, label="features represented / n")
    ends = np.clip(check.interval, *axes.get_xlim())
    axes.plot(ends, [-0.09, -0.09], color=INK[check.verdict], lw=5, solid_capstyle="butt")
    axes.plot([], [], color=INK[check.verdict], lw=5, label=f"measured: {check.verdict}")
    axes.set_ylim(-0.16, 1.08)
    axes.set_xlabel("S, chance that a feature is on")
    axes.set_title(f"{check.cell}: predicted {check.predicted:.4f}", size=10)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    _plain(axes)
    return figure


def draw_along(name: str, models: Sequence[Model]) -> Figure:
    """Training as snapshots show it: loss beside the exact path, shape, angles, rotation.

    Of the first `MOST_ALONG` models.
    """
    models = models[:MOST_ALONG]
    run = models[0][0].run
    steps = np.array([step for step, _, _ in models[0][0].snapshots])
    W = np.array([[w for _, w, _ in t.snapshots] for t, _ in models]).swapaxes(0, 1)
    b = np.array([[c for _, _, c in t.snapshots] for t, _ in models]).swapaxes(0, 1)
    exact = exact_path(run.setting, run.recipe, W[0], b[0], steps.tolist())
    figure = new_figure(10.0, 6.0)
    panels = figure.subplots(2, 2)
    at = np.maximum(steps, 0.7)
    for k, curve in enumerate(losses_along(run.setting, W, b).T):
        panels[0, 0].plot(
            at, curve, color=ORANGE, lw=1.0, alpha=0.6, label=None if k else "trained"
        )
    for k, curve in enumerate(losses_along(run.setting, *exact).T):
        text = None if k else "Adam on the exact loss"
        panels[0, 0].plot(at, curve, "--", color=BLUE, lw=0.8, alpha=0.8, label=text)
    panels[0, 0].legend(frameon=False, fontsize=8)
    for k in range(W.shape[1]):
        last = W[-1, k]
        panels[0, 1].plot(at, [_smallest(w) for w in W[:, k]], color=ORANGE, lw=1.0, alpha=0.6)
        off = [distance(w, last) for w in W[:-1, k]]
        panels[1, 0].plot(at[:-1], off, color=ORANGE, lw=1.0, alpha=0.6)
        panels[1, 1].plot(at, [rotation(w, last) for w in W[:, k]], color=ORANGE, lw=1.0, alpha=0.6)
    panels[0, 0].set_yscale("log")
    panels[1, 0].set_yscale("log")
    titles = (
        "exact loss",
        "smallest angle between vectors, degrees",
        "distance of the Gram matrix to the last one",
        "rotation still to come, degrees (180: mirrored)",
    )
    for axes, title in zip(panels.flat, titles, strict=True):
        axes.set_xscale("log")
        axes.set_title(title, size=9)
        axes.set_xlabel("step", size=8)
        _plain(axes)
    figure.suptitle(f"{name}: {len(models)} models along training", size=11)
    return figure


def _smallest(W: Float) -> float:
    norms = np.linalg.norm(W, axis=0)
    U = W / np.maximum(norms, 1e-12)
    C = np.clip(U.T @ U, -1.0, 1.0)
    return float(np.degrees(np.arccos(C[~np.eye(len(C), dtype=bool)].max())))


def _excess(losses: Sequence[float | None], truth: Truth) -> list[float]:
    """Losses above the predicted one, relative; none where that is zero (n <= d)."""
    if not truth.loss > 0.0:
        return []
    return [x / truth.loss - 1.0 for x in losses if x is not None and np.isfinite(x)]


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
