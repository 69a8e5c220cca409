"""The ledger: verdicts follow from fixed rules, and a wrong model changes them.

Rules are tested on cases made by hand; statements on models whose weights are known (the predicted
optimum, or something else), so that what should hold holds and a swapped shape is noticed.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from packing.catalogue import entry
from packing.errors import BadInput
from studies import claims, ledger
from studies.claims import Book, Case, Part, Statement, kind, least, most, near, stated, whole
from studies.registry import load, names, parse
from theory.mixtures import ratio_at
from validate import predict
from validate.experiments import Trained
from validate.measurement import measure_trained
from validate.predict import Model
from validate.statistics import Estimate
from validate.suites import Suite

HEAD = """
title = "t"
about = "a"
minutes = 1
needs = "a CPU"

[recipe]
steps = 10
"""


def suite_of(*cells: tuple[int, int, float], law: str = "binary", by: str = "pentagon") -> Suite:
    text = HEAD
    for n, d, S in cells:
        text += f'\n[[cell]]\nname = "{n} in {d} at {S}"\nn = {n}\nd = {d}\nS = {S}\n'
        text += f'law = "{law}"\nruns = 16\ngroups = 16\n'
    return parse(text + f'\n[[statement]]\nid = "a"\ntext = "said"\nby = "{by}"\n', "made")


def models_of(suite: Suite, W: np.ndarray | None = None) -> list[Model]:
    """Models of a suite that all have the predicted weights, or those given."""
    found = []
    for cell in suite.cells:
        right = predict.truth(cell.setting)
        first = trained(cell.runs[0], right.W if W is None else W, right.b)
        measured = measure_trained(first)
        found += [(replace(first, run=run), measured) for run in cell.runs]
    return found


def trained(run, W, b) -> Trained:
    curve = np.array([[10.0, 0.1]])
    return Trained(run, W, b, curve, (), "finished", 10, "cpu", 0.0)


def case(theory: bool, verdict: str) -> Case:
    return Case("c", theory, verdict, "", "")  # type: ignore[arg-type]


# --- rules --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cases", "condition", "expected"),
    [
        ([(True, "agree")], "", "holds"),
        ([(False, "disagree")], "", "fails"),
        ([(True, "agree"), (False, "disagree")], "S < 0.1", "holds only if S < 0.1"),
        ([(True, "agree"), (False, "disagree")], "", "fails"),
        ([(False, "disagree")], "S < 0.1", "fails"),
        ([(True, "disagree")], "", "undecided"),
        ([(False, "agree")], "", "undecided"),
        ([(True, "inconclusive")], "", "undecided"),
        ([(True, "agree"), (False, "inconclusive")], "S < 0.1", "undecided"),
        ([], "", "undecided"),
    ],
)
def test_a_part_needs_theory_and_training_to_agree(cases, condition, expected):
    assert Part("p", tuple(case(*one) for one in cases), condition).verdict == expected


def test_an_end_that_theory_knows_is_a_condition():
    part = Part("p", (case(True, "agree"),), "S < 0.4", ends=True)
    assert part.verdict == "holds only if S < 0.4"
    assert replace(part, ends=False).verdict == "holds"


def test_the_whole_is_as_good_as_its_worst_part():
    holds, fails = Part("h", (case(True, "agree"),)), Part("f", (case(False, "disagree"),))
    open_ = Part("o", (case(True, "inconclusive"),))
    only = Part("c", (case(True, "agree"), case(False, "disagree")), "S < 0.1")
    other = replace(only, condition="n < 7")
    assert whole([holds, holds]) == "holds"
    assert whole([holds, only, other]) == "holds only if S < 0.1; n < 7"
    assert whole([holds, only, open_]) == "undecided"
    assert whole([holds, open_, fails]) == "fails"
    assert whole([]) == "undecided"
    assert kind("holds only if S < 0.1") == "holds only if" and kind("holds") == "holds"


def test_a_wide_interval_never_decides():
    narrow, wide = Estimate(2.0, 1.95, 2.05), Estimate(2.0, 0.0, 4.0)
    assert near("x", 2.0, 0.1, 2.0, narrow).confirmed
    assert near("x", 3.0, 0.1, 2.0, narrow).confirmed  # false, and seen to be
    assert not near("x", 3.0, 0.1, 3.0, narrow).confirmed  # a wrong prediction
    for of in (least, most):
        assert not of("x", 2.0, 2.0, wide).confirmed
    assert not near("x", 2.0, 0.1, 2.0, wide).confirmed
    assert least("x", 1.0, 2.0, narrow).confirmed and least("x", 3.0, 2.0, narrow).confirmed
    assert most("x", 3.0, 2.0, narrow).confirmed and most("x", 1.0, 2.0, narrow).confirmed
    assert not least("x", 1.0, 0.5, narrow).confirmed  # theory says less, training more


# --- the declared chapter -----------------------------------------------------------------------


def test_the_chapter_states_everything_for_both_laws():
    suite = load("chapter")
    ids = [one.id for one in suite.extra["statement"]]
    assert ids == [*"abcdefghijk", *(f"k.{x}" for x in "abcdefghij")]
    ledger.check(suite.extra["statement"])
    assert {one.by for one in suite.extra["statement"]} <= set(ledger.known())
    used = {one.by for name in names() for one in load(name).extra.get("statement", ())}
    assert {by.removesuffix(ledger.UNIFORM) for by in used} == {*ledger.CLAIMS, ledger.SAME}
    twins = {one.id: one.by for one in suite.extra["statement"]}
    assert all(twins[f"k.{x}"] == twins[x] + ledger.UNIFORM for x in "abcdefghij")
    assert any(rule.controls for rule in suite.rules)
    joined = [c for c in suite.cells if (c.setting.n, c.setting.d) == (5, 2)]
    assert {c.groups for c in joined if not c.recipe.snapshots} == {16}  # `change` pairs groups


def test_a_statement_that_nothing_judges_is_refused():
    with pytest.raises(BadInput, match="did you mean pentagon"):
        ledger.check([Statement("a", "t", "pentagone")])
    with pytest.raises(BadInput, match="at least one pair"):
        ledger.check([Statement("k", "t", ledger.SAME)])
    with pytest.raises(BadInput, match="statement 'a': give by, a text"):
        suite_of((5, 2, 0.05), by=" ")


def test_a_missing_cell_is_named():
    suite = suite_of((5, 2, 0.05))
    with pytest.raises(BadInput, match=r"n = 5, d = 2, S = 0.01, law = binary"):
        ledger.state(suite, models_of(suite))
    with pytest.raises(BadInput, match="lacks 16 models"):
        ledger.state(suite_of((5, 2, 0.01)), [])


# --- statements on known weights ----------------------------------------------------------------


def test_the_pentagon_holds_for_pentagons_and_not_for_others():
    suite = suite_of((5, 2, 0.01))
    (one,) = ledger.state(suite, models_of(suite))
    assert (one.id, one.text, one.verdict) == ("a", "said", "holds")
    assert "72.00 and 144.00" in one.predicted and "pentagon" in one.predicted
    assert one.picture is not None and one.picture.startswith(b"\x89PNG")
    angles = np.radians([0.0, 60.0, 144.0, 216.0, 288.0])
    crooked = 1.19 * np.array([np.cos(angles), np.sin(angles)])
    (other,) = ledger.state(suite, models_of(suite, crooked))
    assert other.verdict == "undecided" and "Not confirmed" in other.note


def test_angles_do_not_feel_rotation_order_or_norms():
    rng = np.random.default_rng(3)
    V = entry("octahedron").vectors
    Q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    W = (Q @ V * rng.uniform(0.5, 2.0, 6))[:, rng.permutation(6)]
    live = np.ones(6, dtype=bool)
    assert ledger.off(W, live, "octahedron") < 1e-5
    live[2] = False
    assert ledger.off(W, live, "octahedron") == 180.0
    square = entry("square").vectors
    # a kite: one vector turned by ten degrees
    turned = square.copy()
    turned[:, 0] = (
        np.array([[math.cos(0.1745), -math.sin(0.1745)], [math.sin(0.1745), math.cos(0.1745)]])
        @ square[:, 0]
    )
    assert ledger.off(turned, np.ones(4, dtype=bool), "square") == pytest.approx(10, abs=0.01)


def test_the_best_angle_is_the_known_one():
    # five points: 90 degrees (proved); seven: Schuette and van der Waerden 1951, 77.8695 degrees
    assert ledger.best_angle(5, 3) == pytest.approx(90.0, abs=1e-6)
    assert ledger.best_angle(7, 3) == pytest.approx(77.86954, abs=1e-4)


def test_exponents_of_fixed_weights_follow_by_hand():
    """Binary, unit norms, no bias: a pair of cosine c > 0 costs 2 S c^2, one of -c 2 S^2 c^2."""
    opposite = ledger._fixed_S("pair", np.array([[1.0, -1.0]]), "binary")
    acute = ledger._fixed_S("pair", ledger._pair(0.3), "binary")
    assert opposite.theory and opposite.trained == "agree" and opposite.predicted.startswith("2")
    assert not acute.theory and acute.trained == "disagree" and acute.predicted.startswith("1")
    for sign in (1.0, -1.0):
        cosine = ledger._fixed_cosine("pair", sign, "binary")
        assert cosine.theory and cosine.trained == "agree" and cosine.predicted.startswith("2")


def test_where_hundreds_are_worth_it_is_a_root():
    S = ledger._reaches("binary")
    half, hundred = ledger.WORTH, ledger.HUNDREDS
    assert ratio_at(half, S, "binary") == pytest.approx(hundred, rel=1e-6)
    assert ratio_at(half, 1.1 * S, "binary") < hundred < ratio_at(half, 0.9 * S, "binary")


def test_a_turning_path_is_seen_and_a_still_one_is_not():
    V, steps = 1.1 * entry("pentagon").vectors, list(range(0, 110, 10))

    def path(turn: float) -> np.ndarray:
        found = []
        for step in steps:
            a = math.radians(turn) * min(step / 60.0, 1.0)
            found.append(np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]]) @ V)
        return np.array(found)

    spread, settled, rotation = ledger._look(steps, path(40.0))
    assert (spread, settled) == (0.0, 60.0) and rotation == pytest.approx(40.0)
    assert ledger._look(steps, path(0.0)) == pytest.approx((0.0, 0.0, 0.0), abs=1e-5)
    together = np.array([np.ones((2, 5)) for _ in steps])
    assert ledger._look(steps, together)[0] == steps[-1]  # never spread


def test_verdicts_of_both_laws_are_compared():
    def one(id: str, *cases: Case):
        part = Part("p", cases, "S < 0.1")
        return stated(id, "t", claims.Finding((part,)))

    true, false = case(True, "agree"), case(False, "disagree")
    found = {
        "pentagon": one("a", true),
        "pentagon, uniform": one("k.a", true),
        "regular": one("c", true, false),
        "regular, uniform": one("k.c", false),
    }
    both = stated("k", "t", ledger.same(found))
    assert both.verdict == "holds only if the statement is one of a"
    alike = {name: value for name, value in found.items() if name.startswith("pentagon")}
    assert stated("k", "t", ledger.same(alike)).verdict == "holds"


def test_a_book_tells_cells_apart():
    suite = suite_of((4, 2, 0.3), (4, 2, 0.2), (3, 2, 0.3))
    book = Book(suite, models_of(suite))
    assert [S for S, _ in book.along(4, 2, "binary")] == [0.2, 0.3]
    assert book.along(4, 2, "uniform") == []
    with pytest.raises(BadInput, match="keeps snapshots"):
        book.at(4, 2, 0.3, "binary", path=True)
