"""Pictures of codes: the sphere with its contacts for d <= 3, a plane of symmetry beyond.

For d = 2 and 3 the points lie on the circle or sphere, seen along an axis of symmetry, beside the
Gram matrix. In more dimensions the code is projected onto the plane that shows most of its symmetry
(`packing.pictures.planes`), beside the spectrum of its cosines and the bound that no code can beat.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from packing import options
from packing.arrangement import Arrangement
from packing.draw import PALETTE, check_path, draw_gram, new_figure, save
from packing.errors import BadInput
from packing.pictures.projection import EDGE, draw_projection
from packing.pictures.spectrum import draw_spectrum
from packing.pictures.sphere import FAR, NEAR, RATTLER, contacts, draw_sphere

Int = NDArray[np.int64]

MAX_DRAWN = options.MAX_DRAWN
"""Codes of more points than this are not drawn: n^2 cosines and their contacts fill the paper."""


def draw_code(
    arrangement: Arrangement,
    path: str | os.PathLike[str],
    *,
    title: str = "",
    lines: bool = False,
    rattlers: Sequence[int] | None = None,
    bound: float | None = None,
    bound_name: str = "",
) -> Path:
    """Draw a code of n unit vectors in R^d.

    Parameters
    ----------
    arrangement : Arrangement
        No zero vectors; norms play no role.
    path : path
        PDF, PNG or SVG, decided by the suffix. Written whole or not at all.
    title : str
        What stands above the picture.
    lines : bool
        The vectors stand for lines: both ends are drawn, and absolute cosines count.
    rattlers : sequence of int, optional
        Points to mark as free to move; those without a contact unless given.
    bound : float, optional
        What the largest (absolute) cosine of n vectors in R^d cannot fall below.
    bound_name : str
        Its name.

    Raises
    ------
    BadInput
        If the suffix is unknown, the file cannot be written, a vector is zero or there are more
        than MAX_DRAWN.
    """
    target = check_path(path)
    n, d = arrangement.n, arrangement.d
    if n > MAX_DRAWN:
        raise BadInput(f"n = {n} points do not fit a picture: draw at most {MAX_DRAWN}")
    if np.any(arrangement.norms == 0.0):
        raise BadInput("a vector is zero and has no direction: draw the others only")
    figure = new_figure(10.4, 5.4)
    left, right = figure.subplots(1, 2, width_ratios=[1.0, 1.06])
    points = arrangement.directions
    touching, loose = contacts(arrangement, lines)
    loose = loose if rattlers is None else tuple(rattlers)
    if d <= 3:
        order, shown = draw_sphere(left, points, touching, loose, lines)
        draw_gram(right, shown, order, ["black"] * n)
        what = "lines" if lines else "points"
        if lines and d == 3:
            right.set_title("Gram matrix of the front ends, front to back", size=10)
        else:
            row = "in the order of the circle" if d <= 2 else "from the front to the back"
            right.set_title(f"Gram matrix, {what} {row}", size=10)
    else:
        left.set_title(draw_projection(left, arrangement, touching, loose, lines), size=10)
        draw_spectrum(right, arrangement, lines=lines, bound=bound, bound_name=bound_name)
    figure.suptitle(title, size=12)
    _legend(figure, touching, loose, d, lines)
    return save(figure, target)


def _legend(figure: Figure, pairs: Int, loose: Sequence[int], d: int, lines: bool) -> None:
    marks = {"marker": "o", "ls": "", "ms": 8}
    blue = {"mfc": PALETTE[0], "mec": "white"}
    words = "lines, both ends" if lines else "points"
    entries = [Line2D([], [], **marks, **blue, label=words)]  # type: ignore[arg-type]
    if loose:
        open_ = {"mfc": "white" if d <= 3 else "none", "mec": RATTLER, "mew": 1.6}
        entries.append(Line2D([], [], **marks, **open_, label=_several(len(loose), "rattler")))  # type: ignore[arg-type]
    if len(pairs):
        ink = NEAR if d <= 3 else EDGE
        entries.append(Line2D([], [], color=ink, lw=1.5, label=_several(len(pairs), "contact")))
    if d == 3:
        entries.append(Line2D([], [], color=FAR, lw=1.5, label="behind"))
    figure.legend(
        handles=entries, loc="outside lower center", ncols=len(entries), frameon=False, fontsize=9
    )


def _several(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
