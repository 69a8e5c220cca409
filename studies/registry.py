"""The studies as extensions of `validate`: what they add to suites, and where their suites lie.

``[[map]]`` declares a plane of cells (`studies.maps`), ``[[statement]]`` a sentence of the ledger
(`studies.ledger`). `load`, `parse` and `names` are those of `validate.suites` for studies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from packing.results import Table
from studies import ledger, maps, maps_report
from studies.claims import Stated, Statement
from validate import suites
from validate.checks import MEANING, Check, Control, Defeat, below, control, judged
from validate.extensions import Extension
from validate.markup import embedded
from validate.predict import Model
from validate.suites import Rule, Suite, known, text

SAID = ("id", "text", "predicted", "trained", "note")
"""What JSON answers say of a statement beside its verdict; its picture is on the page alone."""

FOLDER = Path(__file__).parent / "suites"

MEANING["prototypes"] = "prototypes passed off as optima"  # a control that maps alone have


class Maps(Extension):
    """Tables [[map]]: checks over their cells, pictures, and a table of every cell."""

    table = "map"
    command = "python -m studies"
    quantities: Mapping[str, tuple[str, tuple[str, ...]]] = {
        "reached": (
            "share of a map's cells whose best model has the loss of the optimum",
            ("1-S", "law", "prototypes"),
        ),
        "phases": (
            "share of a map's cells whose best model has the phase of the optimum",
            ("1-S", "law", "prototypes"),
        ),
        "prototypes": (
            "share of a map's cells whose best model has not the prototypes' phase",
            ("1-S", "law"),
        ),
        "contested": (
            "share with the optimum's phase, of the cells where the prototypes have another",
            ("prototypes",),
        ),
    }

    def parse(self, x: Mapping[str, Any]) -> tuple[maps.Map, list[dict[str, Any]]]:
        return maps.map_of(x)

    def judge(
        self, suite: Suite, models: Mapping[str, Model], tell: Callable[..., None]
    ) -> Sequence[maps.Found]:
        found, plans = [], suite.extra[self.table]
        for i, plan in enumerate(plans):
            tell("comparing", i / len(plans), f"predicting {plan.name}")
            found.append(maps.found_in(plan, suite.owned(plan.name), models))
        return found

    def defeats(
        self, suite: Suite, found: Sequence[maps.Found], models: Mapping[str, Model]
    ) -> Iterator[Defeat]:
        """Any model of a map, not only the best of a cell."""
        for one in found:
            right = one.right
            for place, cell in enumerate(suite.owned(one.plan.name)):
                at = divmod(place, len(one.plan.S))
                for run in cell.runs:
                    lower = below(models[run.key], float(right.loss[at]), float(right.rounding[at]))
                    if lower is not None:
                        yield lower

    def check(self, suite: Suite, rule: Rule, found: Sequence[maps.Found]) -> Check:
        """A share of the cells of a map against its prediction, and against wrong readings."""
        mine = next(one for one in found if one.plan.name == rule.cell)
        quantity, alpha, controls = rule.quantity, suite.alpha, list[Control]()
        for name in rule.controls:
            wrong = maps.wrong_of(mine.plan, name)
            told = maps.measured(quantity, mine, wrong, alpha)
            moved = maps.shift(quantity, mine, wrong)
            value = maps.reading(quantity, mine, wrong)
            controls.append(control(name, value, moved, told, rule.tolerance))
        estimate = maps.measured(quantity, mine, mine.right, alpha)
        expected = maps.reading(quantity, mine, mine.right)
        unit, status = "of the cells", mine.right.status
        return judged(rule, expected, estimate, rule.tolerance, controls, unit, status)

    def values(self, found: Sequence[maps.Found]) -> list[dict[str, Any]]:
        return [maps.summary(one) for one in found]

    def shown(self, values: Sequence[dict[str, Any]]) -> Sequence[Table]:
        return [maps_report.compared(values)]

    def files(self, suite: Suite, found: Sequence[maps.Found]) -> dict[str, str | bytes]:
        return maps_report.files(suite.name, found)

    def section(
        self, suite: Suite, found: Sequence[maps.Found], files: Mapping[str, str | bytes]
    ) -> Iterator[str]:
        return maps_report.section(suite.name, found, self.values(found), files)


class Ledger(Extension):
    """Tables [[statement]]: id, text and, as ``by``, the name of what judges or measures it."""

    table = "statement"
    command = "python -m studies"

    def parse(self, x: Mapping[str, Any]) -> tuple[Statement, list[dict[str, Any]]]:
        where = f"statement {x.get('id', '')!r}"
        known(x, {"id", "text", "by"}, where)
        return Statement(text(x, "id", where), text(x, "text", where), text(x, "by", where)), []

    def judge(
        self, suite: Suite, models: Mapping[str, Model], tell: Callable[..., None]
    ) -> Sequence[Stated]:
        return ledger.state(suite, tuple(models.values()), tell)

    def values(self, found: Sequence[Stated]) -> list[dict[str, Any]]:
        return [
            {
                **{key: getattr(one, key) for key in SAID},
                "verdict": one.verdict or None,
                "measured": [
                    {"name": x.name, "measured": x.value, "interval": x.interval, "unit": x.unit}
                    for x in one.measured
                ],
            }
            for one in found
        ]

    def shown(self, values: Sequence[dict[str, Any]]) -> Sequence[Table]:
        rows = [[one["id"], one["verdict"] or "measured", one["text"]] for one in values]
        return [Table("Ledger", ["", "verdict", "statement"], rows)]

    def section(
        self, suite: Suite, found: Sequence[Stated], files: Mapping[str, str | bytes]
    ) -> Iterator[str]:
        """Each statement with what theory predicts, what training shows, and its verdict."""
        yield "<h2>Statements</h2>"
        for one in found:
            yield f"<h3>{escape(one.id)}. {escape(one.text)}</h3>"
            if one.verdict:
                kind = one.verdict.split()[0]
                yield f'<p class="{kind}"><b>{escape(one.verdict)}</b></p>'
            for key in ("predicted", "trained", "note"):
                if said := getattr(one, key):
                    yield f"<p><b>{key}</b>: {escape(said)}</p>"
            if one.picture:
                yield embedded(one.picture, one.id)


EXTENSIONS = (Ledger(), Maps())
"""In the order in which a report shows them."""


def names() -> tuple[str, ...]:
    """Names of the suites that are studies."""
    return suites.names(FOLDER)


def load(name: str | Path) -> Suite:
    """A study's suite by its name, or from a file that ends in .toml (`validate.suites.load`)."""
    return suites.load(name, folder=FOLDER, extensions=EXTENSIONS)


def parse(text: str, name: str) -> Suite:
    """A suite that may use the studies' tables, from its text (`validate.suites.parse`)."""
    return suites.parse(text, name, EXTENSIONS)


__all__ = ["EXTENSIONS", "FOLDER", "Ledger", "Maps", "load", "names", "parse"]
