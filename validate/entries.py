"""Values of a suite's file: each is what it has to be, or refused by name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from packing.errors import BadInput


def tables(data: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The list of tables under a key."""
    found = data.get(key, [])
    if not isinstance(found, list) or not all(isinstance(x, dict) for x in found):
        raise BadInput(f"{key} is no list of tables: write [[{key}]]")
    return found


def known(x: Mapping[str, Any], keys: set[str], where: str) -> None:
    """Refuse a key that is not known, with the nearest one that is."""
    for key in x:
        if key not in keys:
            near = difflib.get_close_matches(key, sorted(keys), 1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(keys))}"
            raise BadInput(f"{where} has an unknown key {key!r}: {hint}")


def text(x: Mapping[str, Any], key: str, where: str) -> str:
    """A text that is not empty."""
    value = x.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadInput(f"{where}: give {key}, a text")
    return value.strip()


def is_number(value: Any) -> bool:
    """Whether it is a number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def positive(x: Mapping[str, Any], key: str, where: str) -> float:
    """A finite number above 0."""
    value = x.get(key)
    if not is_number(value) or not 0.0 < value < float("inf"):  # type: ignore[operator]
        raise BadInput(f"{where}: {key} = {value!r}: give a number above 0")
    return float(value)  # type: ignore[arg-type]


def count(
    x: Mapping[str, Any], key: str, where: str, low: int = 1, default: int | None = None
) -> int:
    """A whole number from `low` to a million."""
    value = x.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= 10**6:
        raise BadInput(f"{where}: {key} = {value!r}: give a whole number from {low} to 1000000")
    return value


__all__ = ["count", "is_number", "known", "positive", "tables", "text"]
