"""The page of a report and its parts, as the template `templates/report.html.j2` writes them."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


@cache
def template() -> Any:
    """The template of a report; what it is given is escaped, unless it is `Markup`."""
    made = Environment(
        loader=PackageLoader("validate"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.tests["finite"] = math.isfinite
    made.filters["base64"] = lambda image: base64.b64encode(image).decode()
    made.filters["facts"] = lambda session: [(k, _said(v)) for k, v in vars(session).items()]
    return made.get_template("report.html.j2")


def page(**parts: Any) -> str:
    """A whole page; the template says what it needs."""
    return str(template().render(**parts))


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table; numbers to seven digits."""
    return str(template().module.table(columns, rows))


def embedded(image: bytes, caption: str) -> str:
    """The bytes of a PNG file inside the page."""
    return str(template().module.figure(image, caption))


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    return "" if value is None else str(value)
