"""Values of a suite's file: each is what it has to be, or refused by name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from packing.errors import BadInput
from validate.experiments import Recipe, Run, Setting
from validate.statistics import level


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


# What a suite is made of: cells that are trained, rules that judge them, statements of the ledger.
#
# A cell is one setting trained from many seeds, its runs cut into groups, since training finds
# minima
# and not always the least: what is measured is the best model of each group. A rule says which
# quantity of a cell is compared with its prediction, how near is near enough, and why.


CONTROLS = ("arrangement", "1-S", "law", "bias", "prototypes")
"""Negative controls: another arrangement, S read as 1 - S, another law, biases dropped, and over a
map the literature's prototypes passed off as optima."""

QUANTITIES = {
    "loss": "exact loss of the best model of a group",
    "simulation": "simulated less exact loss, as a fraction of the exact one",
    "represented": "features represented by the best model of a group",
    "d_star": "D* = d / |W|^2 of the best model of a group",
    "distance": "distance of the best model's Gram matrix to the predicted one's",
    "name": "share of groups whose best model has the predicted name",
    "min_angle": "smallest angle between features of the best model, degrees",
    "critical": "S at which the best model of a group changes phase",
    "path": "loss along training, relative to training on the exact loss",
    "settled": "distance of the Gram matrix at half of the steps to the last one",
    "turned": "rotation of the vectors after their Gram matrix has settled, degrees",
    "reached": "share of a map's cells whose best model has the loss of the optimum",
    "phases": "share of a map's cells whose best model has the phase of the optimum",
    "prototypes": "share of a map's cells whose best model has not the prototypes' phase",
    "contested": "share with the optimum's phase, of the cells where the prototypes have another",
}
"""What a check can look at; relative tolerances are those of `RELATIVE`."""

RELATIVE = ("loss", "d_star")
"""Quantities whose tolerance is a fraction of the predicted value."""

ALONG = ("path", "settled", "turned")
"""Quantities that need snapshots along training."""

MAPPED = {
    "reached": ("1-S", "law", "prototypes"),
    "phases": ("1-S", "law", "prototypes"),
    "prototypes": ("1-S", "law"),
    "contested": ("prototypes",),
}
"""Quantities of a map, and the controls that each of them can have."""


@dataclass(frozen=True)
class Cell:
    """Models of one setting, trained from different seeds.

    Parameters
    ----------
    name : str
    setting : Setting
    recipe : Recipe
    seeds : tuple of int
    groups : int
        The runs are cut into that many groups of equal size.
    wrong : str
        Blocks of the arrangement that is *not* expected, for the negative control.
    sweep, map : str
        Sweep or map that the cell belongs to, or empty.
    """

    name: str
    setting: Setting
    recipe: Recipe
    seeds: tuple[int, ...]
    groups: int
    wrong: str = ""
    sweep: str = ""
    map: str = ""

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Its runs, group after group."""
        return tuple(Run(self.setting, self.recipe, seed) for seed in self.seeds)


@dataclass(frozen=True)
class Map:
    """A plane of cells: the importance of the last feature over that of the others, against S.

    Parameters
    ----------
    name : str
    n, d : int
    law : str
    ratio, S : tuple of float
        R importance ratios and M values of S, rising.
    runs : int
        Models of each cell; the best of them is what is compared.
    within : float
        The best model has the optimum's loss if it differs by no more than this part of it.
    tie : float
        Another phase does not disagree if its loss lies above the optimum's by less than this part
        of it ...
    near : int
        ... in a cell that has a boundary of the predicted map within so many cells, or S = 1.
    reason : str
        Why these three numbers.
    """

    name: str
    n: int
    d: int
    law: str
    ratio: tuple[float, ...]
    S: tuple[float, ...]
    runs: int
    within: float
    tie: float
    near: int
    reason: str


@dataclass(frozen=True)
class Rule:
    """A check as declared: what is compared, how near it has to be, and why.

    ``cell`` names a cell, a sweep where the quantity is ``critical``, or a map for `MAPPED`.
    """

    cell: str
    quantity: str
    tolerance: float
    reason: str
    controls: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.cell}: {self.quantity}"


@dataclass(frozen=True)
class Statement:
    """A sentence of the ledger; ``by`` names the function that judges it."""

    id: str
    text: str
    by: str


@dataclass(frozen=True)
class Suite:
    """A declared suite.

    Parameters
    ----------
    name, title, about, needs : str
    minutes : float
        What it takes on two cores.
    cells : tuple of Cell
    rules : tuple of Rule
        Its checks, one cell each.
    statements : tuple of Statement
    hash : str
        SHA-256 of what the file says.
    maps : tuple of Map
        Their cells stand among the cells, ratio after ratio, S rising in each.
    """

    name: str
    title: str
    about: str
    minutes: float
    needs: str
    cells: tuple[Cell, ...]
    rules: tuple[Rule, ...]
    statements: tuple[Statement, ...]
    hash: str
    maps: tuple[Map, ...] = ()

    @property
    def alpha(self) -> float:
        """Chance of each interval to miss, such that all hold together with 99%."""
        return level(len(self.rules))

    @property
    def size(self) -> int:
        """How many runs there are, counted without their keys, which take seconds for a map."""
        return len({(c.setting, c.recipe, seed) for c in self.cells for seed in c.seeds})

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Every run once, in the order of the cells."""
        return tuple({run.key: run for cell in self.cells for run in cell.runs}.values())

    def cell(self, name: str) -> Cell:
        return next(cell for cell in self.cells if cell.name == name)

    def sweep(self, name: str) -> tuple[Cell, ...]:
        """Cells of a sweep, S rising."""
        return tuple(cell for cell in self.cells if cell.sweep == name)

    def map(self, name: str) -> Map:
        return next(plan for plan in self.maps if plan.name == name)


__all__ = [
    "ALONG",
    "CONTROLS",
    "MAPPED",
    "QUANTITIES",
    "RELATIVE",
    "Cell",
    "Map",
    "Rule",
    "Statement",
    "Suite",
    "count",
    "is_number",
    "known",
    "positive",
    "tables",
    "text",
]
