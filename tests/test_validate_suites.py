"""suites: what a file may say, what it may not, and that the declared ones hold together."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import ClassVar

import pytest

from packing.errors import BadInput
from validate.extensions import Extension
from validate.statistics import FAMILY
from validate.suites import ALONG, CONTROLS, QUANTITIES, STUDIES, load, names, parse

GOOD = """
title = "t"
about = "a"
minutes = 1
needs = "a CPU"

[recipe]
steps = 100
betas = [0.9, 0.99]

[[cell]]
name = "five"
n = 5
d = 2
S = 0.05
runs = 30
groups = 10
wrong = "2 digon + 1 ignored"

[[cell]]
name = "spread"
n = 3
d = 2
S = [0.1, 0.2, 0.3]
importance = [1, 0.5, 0.25]
runs = 30
groups = 10
seed = 7
recipe = { steps = 50, snapshots = 9 }

[[sweep]]
name = "three"
n = 3
d = 1
S = [0.1, 0.2]
runs = 30
groups = 10

[[check]]
cells = ["five", "spread"]
quantity = "loss"
tolerance = 0.01
reason = "r"

[[check]]
cells = ["three"]
quantity = "critical"
tolerance = 0.05
reason = "r"
controls = ["1-S"]
"""


def test_what_the_file_says_is_what_is_trained():
    suite = parse(GOOD, "good")
    assert [cell.name for cell in suite.cells] == ["five", "spread", "three at 0.1", "three at 0.2"]
    assert len(suite.runs) == 4 * 30
    assert len({run.key for run in suite.runs}) == 4 * 30
    five, spread = suite.cell("five"), suite.cell("spread")
    assert (five.setting.n, five.setting.d, five.setting.S, five.setting.law) == (
        5,
        2,
        0.05,
        "binary",
    )
    assert five.recipe.steps == 100
    assert five.recipe.betas == (0.9, 0.99)
    assert five.recipe.weight_decay == 0.0
    assert spread.recipe.steps == 50
    assert spread.recipe.snapshots == 9
    assert spread.recipe.betas == (0.9, 0.99)
    assert spread.setting.importance == (1.0, 0.5, 0.25)
    assert spread.seeds == tuple(range(7, 37))
    assert [cell.setting.S for cell in suite.sweep("three")] == [0.1, 0.2]
    assert [rule.name for rule in suite.rules] == ["five: loss", "spread: loss", "three: critical"]
    assert suite.alpha == pytest.approx(FAMILY / 3)


def test_a_seed_of_the_file_holds_for_every_cell_without_one():
    suite = parse(GOOD.replace("minutes = 1", "minutes = 1\nseed = 100"), "good")
    firsts = [cell.seeds[0] for cell in suite.cells]
    assert firsts == [100, 7, 100, 100]
    with pytest.raises(BadInput, match="seed = -1: give a whole number from 0"):
        parse(GOOD.replace("minutes = 1", "minutes = 1\nseed = -1"), "good")


def test_the_hash_follows_what_is_said_and_not_how():
    suite = parse(GOOD, "good")
    assert parse("# a remark\n" + GOOD, "other").hash == suite.hash
    assert parse(GOOD.replace("tolerance = 0.01", "tolerance = 0.02"), "good").hash != suite.hash


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("title =", "titel =", "unknown key 'titel': did you mean title"),
        ("groups = 10\nwrong", "group = 10\nwrong", "cell 'five' has an unknown key 'group'"),
        ("steps = 100", "step = 100", "unknown key 'step': did you mean steps"),
        ("steps = 100", "steps = 0", "steps = 0: give a whole number from 1"),
        ("S = 0.05", "S = 1.7", "cell 'five'.*1.7"),
        ("S = 0.05", 'S = "a"', "cell 'five'"),
        ("S = 0.05\n", "", "cell 'five' has no S"),
        ("S = [0.1, 0.2, 0.3]", "S = [0.1, 0.2]", "cell 'spread'"),
        ("n = 5", "n = 5.5", "n = 5.5"),
        ("n = 5", "n = true", "n = True"),
        ("runs = 30\ngroups = 10\nwrong", "runs = 31\ngroups = 10\nwrong", "31 runs make no 10"),
        ("runs = 30\ngroups = 10\nwrong", "runs = 0\ngroups = 10\nwrong", "runs = 0"),
        ("tolerance = 0.01", "tolerance = 0", "tolerance = 0: give a number above 0"),
        ("tolerance = 0.01", "tolerance = nan", "tolerance = nan"),
        ('quantity = "loss"', 'quantity = "lost"', "no quantity 'lost': did you mean loss"),
        ('"five", "spread"', '"six"', "there is no cell 'six'"),
        ('cells = ["three"]', 'cells = ["five"]', "there is no sweep 'five'"),
        ('controls = ["1-S"]', 'controls = ["S-1"]', "give a list of some of arrangement, 1-S"),
        ('controls = ["1-S"]', 'controls = "1-S"', "give a list of some of"),
        ('reason = "r"', 'reason = ""', "give reason, a text"),
        ("S = [0.1, 0.2]\n", "S = [0.2, 0.1]\n", "give its S in rising order"),
        ("S = [0.1, 0.2]\n", "S = 0.1\n", "S as a list of at least two numbers"),
        ('name = "spread"', 'name = "five"', "two cells are called 'five'"),
        ("minutes = 1", "minutes = -1", "minutes = -1"),
        ("[recipe]", "recipe = 3\n[more]", "unknown key 'more'"),
        ('title = "t"', "title = ", "is no TOML"),
    ],
)
def test_what_a_file_may_not_say(old, new, said):
    assert old in GOOD
    with pytest.raises(BadInput, match=said) as caught:
        parse(GOOD.replace(old, new, 1), "bad")
    assert str(caught.value).startswith("suite bad")
    assert "\n" not in str(caught.value)


def test_checks_need_what_they_are_about():
    loss = 'quantity = "loss"\ntolerance = 0.01\nreason = "r"'
    for more, said in [
        ('quantity = "path"\ntolerance = 1\nreason = "r"', "'five' keeps no snapshots"),
        (loss + '\ncontrols = ["arrangement"]', "'spread' names no wrong arrangement"),
    ]:
        with pytest.raises(BadInput, match=said):
            parse(GOOD.replace(loss, more, 1), "bad")
    dependent = GOOD.replace('wrong = "2 digon + 1 ignored"', 'joint = "one-on"')
    with pytest.raises(BadInput, match="independent features only, not of 'five'"):
        parse(dependent, "bad")
    twice = GOOD.replace('["five", "spread"]', '["five", "five"]')
    with pytest.raises(BadInput, match="'five: loss' is declared twice"):
        parse(twice, "bad")
    with pytest.raises(BadInput, match=r"has 6 groups: 3 intervals .* need at least 10 groups"):
        parse(GOOD.replace("groups = 10", "groups = 6", 1), "bad")
    nothing = GOOD.split("[[check]]")[0]
    with pytest.raises(BadInput, match="it checks nothing"):
        parse(nothing, "bad")


def test_unknown_suites_and_files_are_one_sentence(tmp_path):
    with pytest.raises(BadInput, match="no suite 'quik': did you mean quick"):
        load("quik")
    with pytest.raises(BadInput, match="no suite 'xyz': give one of"):
        load("xyz")
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        load(tmp_path / "mine.toml")
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="cannot be read: it is no text"):
        load(tmp_path / "mine.toml")
    (tmp_path / "mine.toml").write_text(GOOD)
    assert load(tmp_path / "mine.toml").name == "mine"


@pytest.mark.parametrize("name", names())
def test_declared_suites_hold_together(name):
    suite = load(name)
    assert suite.name == name
    assert suite.about and suite.needs and suite.minutes < 30.0
    for rule in suite.rules:
        assert rule.quantity in QUANTITIES
        assert set(rule.controls) <= set(CONTROLS)
        assert len(rule.reason) > 30, f"{rule.name}: a reason is a sentence"
    if suite.rules:
        assert any(rule.controls for rule in suite.rules), "no negative controls"
    for a, b in itertools.combinations(suite.cells, 2):
        assert a.setting != b.setting or not set(a.seeds) & set(b.seeds) or a.recipe != b.recipe


def test_the_suites_of_the_issue_are_there():
    assert {"quick", "polytopes", "critical", "laws", "dynamics"} <= set(names())
    assert load("quick").minutes <= 1.5
    assert any(rule.quantity in ALONG for rule in load("dynamics").rules)
    grid = {(c.setting.n, c.setting.d) for c in load("critical").cells}
    assert {(2, 1), (3, 1), (3, 2), (4, 2), (4, 3), (5, 2), (5, 3), (6, 2), (6, 3)} <= grid
    sizes = {(c.setting.n, c.setting.d, c.setting.law) for c in load("polytopes").cells}
    assert {(16, 5, "binary"), (16, 5, "uniform"), (24, 4, "binary"), (24, 4, "uniform")} <= sizes
    assert {"binary", "uniform", "exponential"} <= {c.setting.law for c in load("laws").cells}


class Notes(Extension):
    """A smallest extension: a note, and a cell of its own for each."""

    table = "note"
    command = "python -m notes"
    quantities: ClassVar = {"length": ("letters of a note", ("1-S",))}

    def parse(self, x):
        note = SimpleNamespace(**x)
        cell = {"name": f"cell of {note.name}", "n": 3, "d": 2, "S": 0.5, "runs": 4}
        return note, [cell]


NOTE = """
[[note]]
name = "first"
[[check]]
cells = ["first"]
quantity = "length"
tolerance = 0.1
reason = "letters are counted"
"""


def test_an_extension_adds_tables_cells_and_quantities():
    with pytest.raises(BadInput, match="the file has an unknown key 'note'"):
        parse(GOOD + NOTE, "good")
    suite = parse(GOOD + NOTE, "good", [Notes()])
    assert [one.name for one in suite.extra["note"]] == ["first"]
    (cell,) = suite.owned("first")
    assert (cell.name, cell.setting.n, len(cell.runs)) == ("cell of first", 3, 4)
    assert suite.rules[-1].name == "first: length" and suite.words["length"] == "letters of a note"
    assert suite.command == "python -m notes good" and "length" not in QUANTITIES
    plain = parse(GOOD, "good", [Notes()])
    assert not plain.extensions and not plain.extra and plain.command == "packing validate good"
    assert plain.hash == parse(GOOD, "good").hash
    for old, new, said in (
        ('["first"]', '["second"]', "there is no map 'second'"),
        ("tolerance = 0.1", 'tolerance = 0.1\ncontrols = ["law"]', "give a list of some of 1-S"),
        ("length", "lenght", "no quantity 'lenght': did you mean length"),
    ):
        with pytest.raises(BadInput, match=said):
            parse(GOOD + NOTE.replace(old, new), "good", [Notes()])


def test_a_suite_says_what_it_is():
    suite = load("quick")
    assert repr(suite).startswith("<Suite quick: ") and suite.to_dict()["models"] == suite.size
    (table,) = suite._tables()
    assert [row[0] for row in table.rows] == [rule.name for rule in suite.rules]


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_not_installed_and_says_how_it_runs(name):
    assert name not in names()
    with pytest.raises(BadInput, match=f"is a study: run python -m studies {name} from a clone"):
        load(name)
