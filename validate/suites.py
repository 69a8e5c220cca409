"""Suites: what is trained, what is checked, and how near is near enough, before anything runs.

A suite is one file in `validate/declared`, or any TOML file of the same form:

    title, about, minutes, needs       what it shows, how long it takes on two cores
    seed                               of the first run of each cell, unless a cell says otherwise
    [recipe]                           how models are trained, unless a cell says otherwise
    [[cell]]                           models of one setting: name, n, d, S, runs, groups, ...
    [[sweep]]                          the same along a list of S, for the S at which phases change
    [[check]]                          cells, quantity, tolerance, its reason, negative controls

An extension (`validate.extensions`) may add tables of its own. Training finds minima and not always
the least, so the runs of a cell are cut into groups, and the best model of each group is what is
measured. A key that is not known, or a value that cannot be, is refused by name. The hash of a
suite covers all that the file says except comments.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from packing.errors import BadInput
from packing.results import Result, Table
from validate.experiments import Recipe, Run, Setting
from validate.extensions import Extension
from validate.statistics import fewest_groups, level

FOLDER = Path(__file__).parent / "declared"

STUDIES = ("chapter", "phase-diagram", "staircase", "surplus", "surplus-large")
"""Suites that are studies: they run from a clone of the repository (`python -m studies`)."""

_MODEL = ("n", "d", "S", "law", "importance", "bias", "relu", "joint")
_CELL = {"name", *_MODEL, "runs", "groups", "seed", "wrong", "recipe"}
_CHECK = {"cells", "quantity", "tolerance", "reason", "controls"}
_TOP = {"title", "about", "minutes", "needs", "seed", "recipe", "cell", "sweep", "check"}

CONTROLS = ("arrangement", "1-S", "law", "bias")
"""Negative controls: another arrangement, S read as 1 - S, another law, biases dropped."""

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
}
"""What a check can look at; relative tolerances are those of `RELATIVE`."""

RELATIVE = ("loss", "d_star")
"""Quantities whose tolerance is a fraction of the predicted value."""

ALONG = ("path", "settled", "turned")
"""Quantities that need snapshots along training."""


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
    sweep : str
        The sweep that the cell belongs to, or empty.
    owner : str
        What of an extension (as a map) owns the cell and says what is predicted for it, or empty.
    """

    name: str
    setting: Setting
    recipe: Recipe
    seeds: tuple[int, ...]
    groups: int
    wrong: str = ""
    sweep: str = ""
    owner: str = ""

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Its runs, group after group."""
        return tuple(Run(self.setting, self.recipe, seed) for seed in self.seeds)


@dataclass(frozen=True)
class Rule:
    """A check as declared: what is compared, how near it has to be, and why.

    ``cell`` names a cell, a sweep where the quantity is ``critical``, or the owner of cells where
    it is an extension's.
    """

    cell: str
    quantity: str
    tolerance: float
    reason: str
    controls: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.cell}: {self.quantity}"


@dataclass(frozen=True, repr=False)
class Suite(Result):
    """A declared suite.

    Parameters
    ----------
    name, title, about, needs : str
    minutes : float
        What it takes on two cores.
    cells : tuple of Cell
    rules : tuple of Rule
        Its checks, one cell each.
    hash : str
        SHA-256 of what the file says.
    extensions : tuple of Extension
        Those whose tables the file has.
    extra : mapping of str to tuple
        What those tables say, by their names.
    """

    name: str
    title: str
    about: str
    minutes: float
    needs: str
    cells: tuple[Cell, ...]
    rules: tuple[Rule, ...]
    hash: str
    extensions: tuple[Extension, ...] = ()
    extra: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def alpha(self) -> float:
        """Chance of each interval to miss, such that all hold together with 99%."""
        return level(len(self.rules))

    @property
    def size(self) -> int:
        """How many runs there are, counted without their keys, which take seconds for thousands."""
        return len({(c.setting, c.recipe, seed) for c in self.cells for seed in c.seeds})

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Every run once, in the order of the cells."""
        return tuple({run.key: run for cell in self.cells for run in cell.runs}.values())

    @property
    def command(self) -> str:
        """What runs it."""
        return f"{(self.extensions or (Extension,))[0].command} {self.name}"

    @property
    def words(self) -> dict[str, str]:
        """What its checks can look at, name by name."""
        more = (one.quantities.items() for one in self.extensions)
        return QUANTITIES | {name: said for items in more for name, (said, _) in items}

    def cell(self, name: str) -> Cell:
        return next(cell for cell in self.cells if cell.name == name)

    def sweep(self, name: str) -> tuple[Cell, ...]:
        """Cells of a sweep, S rising."""
        return tuple(cell for cell in self.cells if cell.sweep == name)

    def owned(self, name: str) -> tuple[Cell, ...]:
        """Cells of an owner, in their order."""
        return tuple(cell for cell in self.cells if cell.owner == name)

    def _values(self) -> Mapping[str, Any]:
        return {
            "name": self.name,
            "title": self.title,
            "about": " ".join(self.about.split()),
            "minutes": self.minutes,
            "needs": self.needs,
            "models": self.size,
            "checks": [rule.name for rule in self.rules],
            "statements": [one.id for one in self.extra.get("statement", ())],
            "hash": self.hash,
        }

    def _facts(self) -> Sequence[tuple[str, str]]:
        values = self._values()
        parts = [(values["models"], "model"), (len(self.rules), "check")]
        parts += [(len(values["statements"]), "statement")] * bool(values["statements"])
        return [
            (self.name, self.title),
            ("checks", values["about"]),
            ("size", ", ".join(f"{many} {what}{'s' * (many != 1)}" for many, what in parts)),
            ("takes", f"{self.minutes:g} minute{'s' * (self.minutes != 1)} on two cores"),
            ("needs", self.needs),
        ]

    def _tables(self) -> Sequence[Table]:
        rows = [(r.name, r.tolerance, ", ".join(r.controls), r.reason) for r in self.rules]
        return [Table(self.title, ("check", "tolerance", "controls", "reason"), rows)]


@dataclass(frozen=True, repr=False)
class SuiteList(Result):
    """Suites: what each checks, how long it takes and what it needs."""

    suites: tuple[Suite, ...]

    def _values(self) -> dict[str, Any]:
        return {"suites": [suite.to_dict() for suite in self.suites]}

    def _facts(self) -> list[tuple[str, str]]:
        found = []
        for suite in self.suites:
            first, *more = suite._facts()
            found += [first, *((f"  {name}", said) for name, said in more)]
        return found


# --- reading a file ---


def names(folder: Path = FOLDER) -> tuple[str, ...]:
    """Names of the suites of a folder: those that come with the project."""
    return tuple(sorted(path.stem for path in folder.glob("*.toml")))


def load(name: str | Path, *, folder: Path = FOLDER, extensions: Sequence[Extension] = ()) -> Suite:
    """A suite by its name, or from a file that ends in .toml.

    Parameters
    ----------
    name : str or path
    folder : path
        Where names are looked up.
    extensions : sequence of Extension
        That it may use.

    Raises
    ------
    BadInput
        If there is no such suite or file, or the file holds an unknown key or an impossible value.
    """
    path = Path(name)
    if path.suffix != ".toml":
        known_names = names(folder)
        if str(name) in STUDIES and str(name) not in known_names:
            raise BadInput(
                f"the suite {name} is a study: run python -m studies {name} from a clone of the "
                "repository"
            )
        if str(name) not in known_names:
            near = difflib.get_close_matches(str(name), known_names, 1)
            hint = f"did you mean {near[0]}?" if near else f"give one of {', '.join(known_names)}"
            raise BadInput(f"there is no suite {str(name)!r}: {hint}")
        path = folder / f"{name}.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise BadInput(f"the suite {path} cannot be read: {reason}") from None
    return parse(text, path.stem, extensions)


def parse(text: str, name: str, extensions: Sequence[Extension] = ()) -> Suite:
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
        return _suite(data, name, extensions)
    except BadInput as error:
        raise BadInput(f"suite {name}: {error}") from None


def _suite(data: Mapping[str, Any], name: str, extensions: Sequence[Extension]) -> Suite:
    known(data, _TOP | {one.table for one in extensions}, "the file")
    extensions = tuple(one for one in extensions if one.table in data)
    digest = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
    recipe = data.get("recipe", {})
    seed = count(data, "seed", "the file", 0, 0)
    cells = [_cell({"seed": seed, **x}, recipe) for x in tables(data, "cell")]
    for x in tables(data, "sweep"):
        cells += _sweep({"seed": seed, **x}, recipe)
    extra: dict[str, tuple[Any, ...]] = {}
    for one in extensions:
        parsed = [one.parse(x) for x in tables(data, one.table)]
        extra[one.table] = tuple(thing for thing, _ in parsed)
        for thing, owned in parsed:
            cells += [_cell({"seed": seed, **x}, recipe, owner=thing.name) for x in owned]
    taken = [cell.name for cell in cells]
    taken += sorted({c.sweep for c in cells if c.sweep})
    taken += sorted({c.owner for c in cells if c.owner})
    for twice, times in Counter(taken).items():
        if times > 1:
            raise BadInput(f"two cells are called {twice!r}: give each a name of its own")
    quantities = {q: fit for one in extensions for q, (_, fit) in one.quantities.items()}
    rules = tuple(r for x in tables(data, "check") for r in _rules(x, cells, quantities))
    if not rules and not any(extra.values()):
        either = " or ".join(f"[[{key}]]" for key in ("check", *(e.table for e in extensions)))
        raise BadInput(f"it checks nothing: give at least one {either}")
    for rule in rules:
        if sum(other.name == rule.name for other in rules) > 1:
            raise BadInput(f"the check {rule.name!r} is declared twice: keep one")
    _enough([rule for rule in rules if rule.quantity not in quantities], len(rules), cells)
    return Suite(
        name=name,
        title=text(data, "title", "the file"),
        about=text(data, "about", "the file"),
        minutes=positive(data, "minutes", "the file"),
        needs=text(data, "needs", "the file"),
        cells=tuple(cells),
        rules=rules,
        hash=digest,
        extensions=extensions,
        extra=extra,
    )


def _cell(
    x: Mapping[str, Any], recipe: Mapping[str, Any], sweep: str = "", owner: str = ""
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
    return Cell(name, setting, how, tuple(range(seed, seed + runs)), groups, wrong, sweep, owner)


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


def _rules(
    x: Mapping[str, Any], cells: Sequence[Cell], more: Mapping[str, tuple[str, ...]]
) -> Iterator[Rule]:
    where = f"a check of {x.get('quantity', 'nothing')!r}"
    known(x, _CHECK, where)
    quantity, every = text(x, "quantity", where), (*QUANTITIES, *more)
    if quantity not in every:
        near = difflib.get_close_matches(quantity, every, 1)
        hint = f"did you mean {near[0]}?" if near else f"give one of {', '.join(every)}"
        raise BadInput(f"there is no quantity {quantity!r}: {hint}")
    controls = x.get("controls", [])
    fitting = more.get(quantity, CONTROLS)
    for one in controls if isinstance(controls, list) else [controls]:
        if one not in fitting or not isinstance(controls, list):
            some = ", ".join(fitting)
            raise BadInput(f"{where}: controls = {controls!r}: give a list of some of {some}")
    tolerance, reason = positive(x, "tolerance", where), text(x, "reason", where)
    wanted = x.get("cells")
    if not isinstance(wanted, list) or not wanted:
        raise BadInput(f"{where}: give cells, a list of names")
    kind = "map" if quantity in more else "sweep" if quantity == "critical" else "cell"
    mine = {
        "map": {c.owner: c for c in cells},
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


def _enough(rules: Sequence[Rule], intervals: int, cells: Sequence[Cell]) -> None:
    """Whether every check can have an interval at all: that takes a number of groups."""
    least = fewest_groups(level(max(1, intervals)))
    for rule in rules:
        groups = min(c.groups for c in cells if rule.cell in (c.name, c.sweep))
        if groups < least:
            raise BadInput(
                f"{rule.name} has {groups} groups: {intervals} intervals that hold together with "
                f"99% need at least {least} groups each"
            )


# --- values ---


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


__all__ = [
    "ALONG",
    "CONTROLS",
    "QUANTITIES",
    "RELATIVE",
    "STUDIES",
    "Cell",
    "Rule",
    "Suite",
    "SuiteList",
    "load",
    "names",
    "parse",
]
