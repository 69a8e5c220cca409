"""Pictures of what `identify` found: the vectors, or each block seen along its own symmetry."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecFromSubplotSpec, SubplotSpec
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from packing.answers import ROUNDING
from packing.arrangement import Arrangement
from packing.draw import GREY, PALETTE, check_path, draw_gram, draw_vectors, new_figure, save
from packing.draw import colours as block_colours
from packing.errors import BadInput
from packing.pictures.codes import MAX_DRAWN
from packing.pictures.projection import draw_projection
from packing.pictures.sphere import TOUCH, contacts, draw_sphere

if TYPE_CHECKING:
    from packing.recognise import Block, Named

Float = NDArray[np.float64]

MAX_PANELS = 4
"""Blocks drawn each in a panel of its own; repeated ones are drawn once."""

MAX_LEGEND = 12


def draw_named(W: Float, named: Named, path: str | os.PathLike[str]) -> Path:
    """Draw the columns of W (d, n) beside their Gram matrix, coloured by block.

    For d <= 3 the vectors are arrows. In more dimensions each kind of block is drawn in a panel of
    its own: on its circle or sphere, or projected onto the plane that shows most of its symmetry.

    Parameters
    ----------
    W : (d, n) array
    named : Named
        What `packing.recognise.identify` said of W.
    path : path
        PDF, PNG or SVG, decided by the suffix. Written whole or not at all.

    Raises
    ------
    BadInput
        If the suffix is unknown, the file cannot be written or n exceeds MAX_DRAWN.
    """
    target = check_path(path)
    d, n = W.shape
    if n > MAX_DRAWN:
        raise BadInput(f"n = {n} vectors do not fit a picture: draw at most {MAX_DRAWN}")
    top = float(np.abs(W).max(initial=0.0))
    unit = ""
    if top > 1e100 or 0.0 < top < 1e-100:  # squares would leave the range of floats
        W, unit = W / top, f"\nW in units of {top:.3g}"
    blocks = [block.features for block in named.blocks]
    placed = [i for block in blocks for i in block]
    order = placed + [i for i in range(n) if i not in set(placed)]
    colour = block_colours(blocks, n)
    figure = new_figure(10.4, 5.4)
    grid = figure.add_gridspec(1, 2, width_ratios=[1.0, 1.06])
    if d <= 3:
        kind: dict[str, Any] = {"projection": "3d"} if d == 3 else {}
        axes = figure.add_subplot(grid[0, 0], **kind)
        draw_vectors(axes, W, placed, colour)
        axes.set_title("Columns of W", size=10)
    else:
        _blocks(figure, grid[0, 0], W, named)
    draw_gram(figure.add_subplot(grid[0, 1]), W, order, colour)
    seen = f", seen through noise {named.noise:.2g}" if named.noise > ROUNDING else ""
    figure.suptitle(f"{named.name}\nn = {n}, d = {d}{seen}{unit}", size=12)
    _legend(figure, named.blocks, named.ignored)
    return save(figure, target)


def _blocks(figure: Figure, place: SubplotSpec, W: Float, named: Named) -> None:
    """Each kind of block once, the largest first; those on a line say nothing in a picture."""
    kinds: dict[str, tuple[str, Sequence[int], str]] = {}
    for k, block in enumerate(named.blocks):
        if len(block.features) > 2:
            kinds.setdefault(block.name, (block.name, block.features, PALETTE[k % len(PALETTE)]))
    live = [i for block in named.blocks for i in block.features]
    shown = list(kinds.values())[:MAX_PANELS] or [("", live, PALETTE[0])]
    rows = 1 if len(shown) == 1 else 2
    inner = GridSpecFromSubplotSpec(rows, -(-len(shown) // rows), subplot_spec=place)
    touch = max(TOUCH, 4.0 * named.noise)
    for k, (name, features, ink) in enumerate(shown):
        axes = figure.add_subplot(inner[k % rows, k // rows])
        if not features:
            axes.set_axis_off()
            continue
        part = _own_span(W[:, list(features)], max(1e-6, 2.0 * named.noise))
        pairs, _ = contacts(part, touch=touch)
        title = name
        if part.d <= 3:
            draw_sphere(axes, part.directions, pairs, (), labels=features, ink=ink)
        else:
            only = None if len(shown) == 1 else ink
            said = draw_projection(axes, part, pairs, (), tolerance=touch, ink=only)
            title = said if only is None else f"{name}\n{said.replace(': ', chr(10))}"
        axes.set_title(title, size=9 if len(shown) == 1 else 8)


def _own_span(columns: Float, tolerance: float) -> Arrangement:
    """The unit columns in coordinates of their own span, as far as it exceeds the noise."""
    U = Arrangement.from_weights(columns).directions
    axes, values, _ = np.linalg.svd(U, full_matrices=False)
    rank = max(1, int((values > tolerance * np.sqrt(U.shape[1])).sum()))
    return Arrangement.from_weights(axes[:, :rank].T @ U)


def _legend(figure: Figure, blocks: Sequence[Block], ignored: Sequence[int]) -> None:
    handles = [
        Line2D([], [], color=PALETTE[k % len(PALETTE)], lw=4, label=_entry(x.name, x.features))
        for k, x in enumerate(blocks[:MAX_LEGEND])
    ]
    if len(blocks) > MAX_LEGEND:
        more = f"and {len(blocks) - MAX_LEGEND} more blocks"
        handles.append(Line2D([], [], color="none", label=more))
    if ignored:
        handles.append(Line2D([], [], color=GREY, lw=4, label=_entry("ignored", ignored)))
    columns = min(4, max(1, len(handles)))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=9
    )


def _entry(name: str, features: Sequence[int]) -> str:
    shown = ", ".join(str(i) for i in features[:8])
    return f"{name}: {shown}" if len(features) <= 8 else f"{name}: {shown}, … ({len(features)})"
