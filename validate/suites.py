"""Suites: what is trained, what is checked, and how near is near enough, before anything runs.

A suite is one file in `validate/declared`, or any TOML file of the same form:

    title, about, minutes, needs       what it shows, how long it takes on two cores
    seed                               of the first run of each cell, unless a cell says otherwise
    [recipe]                           how models are trained, unless a cell says otherwise
    [[cell]]                           models of one setting: name, n, d, S, runs, groups, ...
    [[sweep]]                          the same along a list of S, for the S at which phases change
    [[map]]                            the same over a plane of importance and S (`maps_declared`)
    [[check]]                          cells, quantity, tolerance, its reason, negative controls
    [[statement]]                      a sentence of the ledger: id, text, by

The runs of a cell are cut into groups, and the best model of each group is what is measured.
A key that is not known, or a value that cannot be, is refused by name. The hash of a suite covers
all that the file says except comments.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from packing.errors import BadInput
from packing.results import Result
from studies.maps_declared import map_of
from validate.cells import (
    ALONG,
    CONTROLS,
    MAPPED,
    QUANTITIES,
    RELATIVE,
    Cell,
    Map,
    Rule,
    Statement,
    Suite,
    count,
    is_number,
    known,
    positive,
    tables,
    text,
)
from validate.experiments import Recipe, Setting
from validate.statistics import fewest_groups, level

FOLDER = Path(__file__).parent / "declared"

_MODEL = ("n", "d", "S", "law", "importance", "bias", "relu", "joint")
_CELL = {"name", *_MODEL, "runs", "groups", "seed", "wrong", "recipe"}
_CHECK = {"cells", "quantity", "tolerance", "reason", "controls"}
_WORDS = ("title", "about", "minutes", "needs", "seed", "recipe")
_TOP = {*_WORDS, "cell", "sweep", "map", "check", "statement"}


def names() -> tuple[str, ...]:
    """Names of the suites that come with the project."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load(name: str | Path) -> Suite:
    """A suite by its name, or from a file that ends in .toml.

    Raises
    ------
    BadInput
        If there is no such suite or file, or the file holds an unknown key or an impossible value.
    """
    path = Path(name)
    if path.suffix != ".toml":
        if str(name) not in names():
            near = difflib.get_close_matches(str(name), names(), 1)
            hint = f"did you mean {near[0]}?" if near else f"give one of {', '.join(names())}"
            raise BadInput(f"there is no suite {str(name)!r}: {hint}")
        path = FOLDER / f"{name}.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise BadInput(f"the suite {path} cannot be read: {reason}") from None
    return parse(text, path.stem)


def parse(text: str, name: str) -> Suite:
    """A suite from the text of its file.

    Raises
    ------
    BadInput
        As `load`.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"suite {name} is no TOML: {error}") from None
    try:
        return _suite(data, name)
    except BadInput as error:
        raise BadInput(f"suite {name}: {error}") from None


def _suite(data: Mapping[str, Any], name: str) -> Suite:
    known(data, _TOP, "the file")
    digest = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
    recipe = data.get("recipe", {})
    seed = count(data, "seed", "the file", 0, 0)
    cells = [_cell({"seed": seed, **x}, recipe) for x in tables(data, "cell")]
    for x in tables(data, "sweep"):
        cells += _sweep({"seed": seed, **x}, recipe)
    maps = []
    for x in tables(data, "map"):
        plan, places = map_of(x)
        maps.append(plan)
        shared = {k: x[k] for k in ("n", "d", "runs", "seed", "recipe") if k in x}
        for place in places:
            cells.append(_cell({"seed": seed, **shared, **place}, recipe, of_map=plan.name))
    taken = [cell.name for cell in cells] + sorted({c.sweep for c in cells if c.sweep})
    for one, times in Counter([*taken, *(plan.name for plan in maps)]).items():
        if times > 1:
            raise BadInput(f"two cells are called {one!r}: give each a name of its own")
    rules = tuple(rule for x in tables(data, "check") for rule in _rules(x, cells))
    statements = tuple(_statement(x) for x in tables(data, "statement"))
    if not rules and not statements:
        raise BadInput("it checks nothing: give at least one [[check]] or [[statement]]")
    for rule in rules:
        if sum(other.name == rule.name for other in rules) > 1:
            raise BadInput(f"the check {rule.name!r} is declared twice: keep one")
    _enough(rules, cells)
    return Suite(
        name=name,
        title=text(data, "title", "the file"),
        about=text(data, "about", "the file"),
        minutes=positive(data, "minutes", "the file"),
        needs=text(data, "needs", "the file"),
        cells=tuple(cells),
        rules=rules,
        statements=statements,
        hash=digest,
        maps=tuple(maps),
    )


def _cell(
    x: Mapping[str, Any], recipe: Mapping[str, Any], sweep: str = "", of_map: str = ""
) -> Cell:
    name = text(x, "name", "a cell")
    where = f"cell {name!r}"
    known(x, _CELL, where)
    for key in ("n", "d", "S", "runs"):
        if key not in x:
            raise BadInput(f"{where} has no {key}: give one")
    runs, seed = count(x, "runs", where), count(x, "seed", where, 0, 0)
    groups = count(x, "groups", where, 1, 1)
    if runs % groups:
        raise BadInput(f"{where}: {runs} runs make no {groups} equal groups; give a multiple")
    model = {key: x[key] for key in _MODEL if key in x}
    for key in ("S", "importance"):
        if isinstance(model.get(key), list):
            model[key] = tuple(model[key])
    merged = {**_recipe(recipe, "[recipe]"), **_recipe(x.get("recipe", {}), where)}
    if "steps" not in merged:
        raise BadInput(f"{where} has no steps: give steps in [recipe]")
    try:
        setting = Setting(**model)
        how = Recipe(**merged)
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from None
    except (TypeError, ValueError):
        raise BadInput(f"{where}: S and importance are numbers or lists of numbers") from None
    wrong = x.get("wrong", "")
    if not isinstance(wrong, str):
        raise BadInput(f"{where}: wrong = {wrong!r}: give the name of an arrangement")
    return Cell(name, setting, how, tuple(range(seed, seed + runs)), groups, wrong, sweep, of_map)


def _sweep(x: Mapping[str, Any], recipe: Mapping[str, Any]) -> list[Cell]:
    name = text(x, "name", "a sweep")
    grid = x.get("S")
    if not isinstance(grid, list) or len(grid) < 2 or not all(is_number(S) for S in grid):
        raise BadInput(f"sweep {name!r}: give S as a list of at least two numbers")
    if sorted(set(grid)) != grid:
        raise BadInput(f"sweep {name!r}: give its S in rising order")
    return [_cell({**x, "name": f"{name} at {S:g}", "S": S}, recipe, name) for S in grid]


def _recipe(x: Any, where: str) -> dict[str, Any]:
    if not isinstance(x, dict):
        raise BadInput(f"{where}: recipe is a table, as in recipe = {{ steps = 1000 }}")
    known(x, {f.name for f in fields(Recipe)}, f"the recipe of {where}")
    return {k: tuple(v) if isinstance(v, list) else v for k, v in x.items()}


def _rules(x: Mapping[str, Any], cells: Sequence[Cell]) -> Iterator[Rule]:
    where = f"a check of {x.get('quantity', 'nothing')!r}"
    known(x, _CHECK, where)
    quantity = text(x, "quantity", where)
    if quantity not in QUANTITIES:
        near = difflib.get_close_matches(quantity, QUANTITIES, 1)
        hint = f"did you mean {near[0]}?" if near else f"give one of {', '.join(QUANTITIES)}"
        raise BadInput(f"there is no quantity {quantity!r}: {hint}")
    controls = x.get("controls", [])
    fitting = MAPPED.get(quantity, tuple(c for c in CONTROLS if c != "prototypes"))
    for one in controls if isinstance(controls, list) else [controls]:
        if one not in fitting or not isinstance(controls, list):
            some = ", ".join(fitting)
            raise BadInput(f"{where}: controls = {controls!r}: give a list of some of {some}")
    tolerance, reason = positive(x, "tolerance", where), text(x, "reason", where)
    wanted = x.get("cells")
    if not isinstance(wanted, list) or not wanted:
        raise BadInput(f"{where}: give cells, a list of names")
    kind = "map" if quantity in MAPPED else "sweep" if quantity == "critical" else "cell"
    mine = {
        "map": {c.map: c for c in cells},
        "sweep": {c.sweep: c for c in cells},
        "cell": {c.name: c for c in cells},
    }[kind]
    for one in wanted:
        if not one or one not in mine:
            raise BadInput(f"{where}: there is no {kind} {one!r}")
        cell = mine[one]
        if not cell.setting.independent:
            raise BadInput(f"{where}: theory speaks of independent features only, not of {one!r}")
        if "arrangement" in controls and quantity != "critical" and not cell.wrong:
            raise BadInput(f"{where}: cell {one!r} names no wrong arrangement for its control")
        if quantity in ALONG and not cell.recipe.snapshots:
            raise BadInput(f"{where}: cell {one!r} keeps no snapshots; give some in its recipe")
        yield Rule(one, quantity, tolerance, reason, tuple(controls))


def _enough(rules: Sequence[Rule], cells: Sequence[Cell]) -> None:
    """Whether every check can have an interval at all: that takes a number of groups."""
    least = fewest_groups(level(max(1, len(rules))))
    for rule in rules:
        if rule.quantity in MAPPED:
            continue  # its cells are the trials
        groups = min(c.groups for c in cells if rule.cell in (c.name, c.sweep))
        if groups < least:
            raise BadInput(
                f"{rule.name} has {groups} groups: {len(rules)} intervals that hold together with "
                f"99% need at least {least} groups each"
            )


def _statement(x: Mapping[str, Any]) -> Statement:
    where = f"statement {x.get('id', '')!r}"
    known(x, {"id", "text", "by"}, where)
    return Statement(text(x, "id", where), text(x, "text", where), text(x, "by", where))


# What suites there are, as `packing validate --list` says it.


@dataclass(frozen=True, repr=False)
class SuiteList(Result):
    """Suites: what each checks, how long it takes and what it needs."""

    suites: tuple[Suite, ...]

    def _values(self) -> dict[str, Any]:
        return {
            "suites": [
                {
                    "name": suite.name,
                    "title": suite.title,
                    "about": " ".join(suite.about.split()),
                    "minutes": suite.minutes,
                    "needs": suite.needs,
                    "models": suite.size,
                    "checks": [rule.name for rule in suite.rules],
                    "statements": [statement.id for statement in suite.statements],
                    "hash": suite.hash,
                }
                for suite in self.suites
            ]
        }

    def _facts(self) -> list[tuple[str, str]]:
        found = []
        for suite in self.suites:
            parts = [_count(suite.size, "model"), _count(len(suite.rules), "check")]
            if suite.statements:
                parts.append(_count(len(suite.statements), "statement"))
            found += [
                (suite.name, suite.title),
                ("  checks", " ".join(suite.about.split())),
                ("  size", ", ".join(parts)),
                ("  takes", f"{_count(suite.minutes, 'minute')} on two cores"),
                ("  needs", suite.needs),
            ]
        return found


def _count(value: float, what: str) -> str:
    return f"{value:g} {what}" + ("" if value == 1 else "s")


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
    "SuiteList",
    "load",
    "names",
    "parse",
]
