"""The spectrum of a code: its cosines, how often each occurs, and the bound none can beat."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter
from numpy.typing import NDArray

from packing.arrangement import TOLERANCE, Arrangement
from packing.draw import GREY, PALETTE
from packing.symmetry import colours

Float = NDArray[np.float64]

MAX_BARS = 24
"""More distinct cosines than this are gathered in a histogram."""

BINS = 60
FILLED = 0.7
"""The part of the height that bars may take; the rest is for what is said about the bound."""


def spectrum(arrangement: Arrangement, lines: bool = False) -> tuple[Float, Float]:
    """Distinct (absolute) cosines, increasing, and how many of the others have each, per vector."""
    C = arrangement.cosines
    i, j = np.triu_indices(arrangement.n, 1)
    c = np.abs(C[i, j]) if lines else C[i, j]
    if not c.size:  # one vector
        return np.zeros(0), np.zeros(0)
    (group,) = colours([c], TOLERANCE)
    count = np.bincount(group).astype(np.float64)
    total = np.bincount(group, weights=c)
    return total / count, 2.0 * count / arrangement.n


def draw_spectrum(
    axes: Axes,
    arrangement: Arrangement,
    *,
    lines: bool = False,
    bound: float | None = None,
    bound_name: str = "",
) -> None:
    """Cosines of a code with their multiplicities per vector, beside the bound."""
    values, counts = spectrum(arrangement, lines)
    low = 0.0 if lines else -1.0
    if values.size > MAX_BARS:
        heights, edges = np.histogram(values, BINS, (low, 1.0), weights=counts)
        axes.stairs(heights, edges, fill=True, color=PALETTE[0])
        axes.set_ylabel("cosines per vector, in each bin")
    else:
        axes.vlines(values, 0.0, counts, color=PALETTE[0], lw=7.0, capstyle="butt")
        _labels(axes, values, counts)
        axes.set_ylabel("cosines per vector")
        axes.set_yscale("symlog", linthresh=1.0)
        ticks = [
            t
            for t in (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
            if t <= 1.5 * counts.max(initial=1.0)
        ]
        axes.yaxis.set_major_locator(FixedLocator(ticks))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(ScalarFormatter())
    most = float(axes.get_ylim()[1])
    if values.size <= MAX_BARS:  # on this scale one takes as much room as a factor of ten
        most = float(counts.max(initial=1.0))
        axes.set_ylim(0.0, 10.0 ** ((1.0 + np.log10(most)) / FILLED - 1.0))
    else:
        axes.set_ylim(0.0, most / FILLED)
    axes.set_xlim(low - 0.06, 1.04)
    axes.set_xlabel("absolute cosine of two lines" if lines else "cosine of two vectors")
    if values.size:
        _bound(axes, float(values[-1]), bound, bound_name)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_title(
        "Spectrum of cosines and the bound" if bound is not None else "Spectrum of cosines", size=10
    )


def _labels(axes: Axes, values: Float, counts: Float) -> None:
    """Value and multiplicity above each bar, upright where bars are close."""
    close = bool(values.size > 1 and float(np.diff(values).min()) < 0.16) or values.size > 8
    for c, m in zip(values, counts, strict=True):
        times = f"{m:.0f}" if abs(m - round(m)) < 1e-9 else f"{m:.3g}"
        value = f"{c + 0.0:.4g}" if abs(c) > 5e-7 else "0"
        axes.annotate(
            f"{value}  ×{times}" if close else f"{value}\n×{times}", (c, m), xytext=(0, 4),
            textcoords="offset points", ha="center", va="bottom", size=8,
            rotation=90 if close else 0, bbox={"fc": "white", "ec": "none", "pad": 0.6},
        )  # fmt: skip


def _bound(axes: Axes, found: float, bound: float | None, name: str) -> None:
    axes.axvline(found, color=GREY, lw=0.9, ls=":", zorder=0)
    if bound is None:
        return
    axes.axvline(bound, color=PALETTE[1], lw=1.3, ls="--", zorder=0)
    if found > bound:
        axes.axvspan(bound, found, color=PALETTE[1], alpha=0.15, lw=0, zorder=0)
    text = f"no code lies left of {bound:.6g}" + (f"\n({name})" if name else "")
    text += "\nmet: optimal" if found - bound < 1e-9 else f"\ngap {found - bound:.3g}"
    leftwards = bound > 0.2
    axes.annotate(
        text,
        (bound, 0.985),
        xycoords=("data", "axes fraction"),
        xytext=(-6 if leftwards else 6, 0),
        textcoords="offset points",
        ha="right" if leftwards else "left",
        va="top",
        size=8,
        color="#A34700",
    )
