"""The parts a page is made of: tables, pictures and style as HTML that needs no other file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; }
table { border-collapse: collapse; margin: 0.6rem 0 1.4rem; font-size: 13px; display: block;
        overflow-x: auto; }
th, td { padding: 0.2rem 0.6rem; text-align: left; border-bottom: 1px solid #ddd;
         vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
img { max-width: 100%; }
.agree, .holds { color: #00734f; } .disagree, .defeated, .broken, .fails { color: #b84a00; }
.inconclusive { color: #946200; } .verdict { font-size: 1.2rem; font-weight: 600; }
figure { margin: 1rem 0; } figcaption, .small { font-size: 13px; color: #555; }
"""


class Raw(str):
    """Text that is HTML already."""


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table; numbers to seven digits, and everything but `Raw` escaped."""
    head = "".join(f"<th>{escape(c)}</th>" for c in columns)
    lines = [f"<tr>{head}</tr>"] if any(columns) else []
    for row in rows:
        lines.append("<tr>" + "".join(map(_entry, row)) + "</tr>")
    return "<table>" + "\n".join(lines) + "</table>"


def _entry(value: Any) -> str:
    if isinstance(value, Raw):
        return f"<td>{value}</td>"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f'<td class="n">{value:.7g}</td>' if np.isfinite(value) else "<td>–</td>"
    return f"<td>{escape(str(value))}</td>"


def picture(figure: Figure, caption: str) -> str:
    """A figure inside the page."""
    from validate.plotting import png

    return embedded(png(figure), caption)


def embedded(image: bytes, caption: str) -> str:
    """The bytes of a PNG file inside the page."""
    data = base64.b64encode(image).decode()
    said = escape(caption)
    tag = f'<img alt="{said}" src="data:image/png;base64,{data}">'
    return f"<figure>{tag}<figcaption>{said}</figcaption></figure>"


__all__ = ["STYLE", "Raw", "embedded", "picture", "table"]
