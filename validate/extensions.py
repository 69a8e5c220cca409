"""What a study adds to suites: tables of the file, quantities to check, and a share of the report.

A suite is parsed with the extensions that it may use (`validate.suites.parse`) and carries those
that it does; `validate` asks them at the right moments and knows nothing else of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from packing.results import Table


class Extension:
    """Tables ``[[table]]`` of a suite's file, and what becomes of them.

    A *thing* is what one such table says, parsed; *found* is what came of it, in the same order.
    """

    table = ""
    """Of the file; with an s at its end the key of JSON answers."""

    command = "packing validate"
    """What runs a suite that has such tables."""

    quantities: Mapping[str, tuple[str, tuple[str, ...]]] = {}
    """What its checks can look at: name -> (words, negative controls that fit)."""

    def parse(self, x: Mapping[str, Any]) -> tuple[Any, list[dict[str, Any]]]:
        """A thing from its table, and the keys of the cells it needs, which it then owns.

        Raises
        ------
        BadInput
            If a key is unknown or a value cannot be.
        """
        raise NotImplementedError

    def judge(
        self, suite: Any, models: Mapping[str, Any], tell: Callable[..., None]
    ) -> Sequence[Any]:
        """What came of the things of a suite; models by the key of their run."""
        raise NotImplementedError

    def defeats(self, suite: Any, found: Sequence[Any], models: Mapping[str, Any]) -> Iterator[Any]:
        """Models of the cells it owns that lie below their prediction."""
        return iter(())

    def check(self, suite: Any, rule: Any, found: Sequence[Any]) -> Any:
        """A check of one of its quantities."""
        raise NotImplementedError

    def values(self, found: Sequence[Any]) -> list[dict[str, Any]]:
        """What came of it, as JSON values."""
        return []

    def shown(self, values: Sequence[dict[str, Any]]) -> Sequence[Table]:
        """The same for people."""
        return ()

    def files(self, suite: Any, found: Sequence[Any]) -> dict[str, str | bytes]:
        """Files beside the report, by name."""
        return {}

    def section(
        self, suite: Any, found: Sequence[Any], files: Mapping[str, str | bytes]
    ) -> Iterator[str]:
        """Parts of the page, as HTML."""
        return iter(())


__all__ = ["Extension"]
