"""Exact forms of changes against the numerical ladder, which knows no formula."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest
import sympy

from packing.catalogue import entry
from packing.recognition import name_of
from packing.results import Evidence
from theory.crossings import Part, Phase, exact_form, side_formulas
from theory.features import Features
from theory.ladders import Ladder, ladder
from theory.losses.expected import loss
from theory.objective import Objective
from theory.symmetric import closed_form, crossing, mixture

LOCATED = 1e-8  # what a numerical change promises


SIZES = {"triangle": 3, "isosceles triangle": 3, "digon": 2, "uneven digon": 2, "pentagon": 5}


def phase(*blocks: tuple[str, int], ignored: int = 0) -> Phase:
    """A phase of so many blocks of each shape, its name written by hand."""
    parts = [Part(shape, count, SIZES[shape]) for shape, count in blocks]
    parts += [Part("ignored", ignored, 1)] * (ignored > 0)
    return Phase("a name that nothing reads", tuple(parts))


TRIANGLE, SQUARE = phase(("triangle", 1), ignored=1), phase(("digon", 2))


@pytest.fixture(scope="module")
def pair() -> Ladder:
    return ladder(Features.of(2, 0.5), 1, exact=True, cache=False)


def test_takeovers_of_the_uneven_digon_are_roots(pair: Ladder) -> None:
    """Both changes between digon and uneven digon: exact, at the S that the search found."""
    forms = [x.exact for x in pair.crossings if x.exact is not None]
    assert len(forms) == 2
    for form in forms:
        assert form.evidence is Evidence.PROVED and form.polynomial is not None
        S = min((x.S for x in pair.crossings), key=lambda s: abs(s - float(form.text)))
        assert float(form.text) == pytest.approx(S, abs=LOCATED)
        S_ = sympy.Symbol("S")
        root = sympy.Poly(sympy.sympify(form.polynomial, locals={"S": S_}), S_)
        assert root.count_roots(*(sympy.Rational(x) for x in (form.low, form.high))) == 1
        assert root.is_irreducible


@pytest.mark.parametrize(
    ("n", "denser", "sparser", "low", "high"),
    [
        (4, TRIANGLE, SQUARE, 0.4, 0.41),
        (5, phase(("triangle", 1), ignored=2), phase(("digon", 2), ignored=1), 0.4, 0.41),
    ],
)
def test_a_crossing_of_formulas_is_where_the_numbers_cross(
    n: int, denser: Phase, sparser: Phase, low: float, high: float
) -> None:
    """Route two: bisection on the losses of the two shapes, minimised without a formula."""
    from scipy.optimize import brentq, minimize

    def least(name: str, S: float) -> float:
        known = entry(name)
        features = Features.of(known.n, S)

        def value(x: list[float]) -> float:
            W, b = abs(x[0]) * known.vectors, [x[1]] * known.n
            return loss(W, b, features=features).total

        starts = [(1.0, 0.0), (0.8, 0.1), (1.0, -0.1)]
        rule = {"xatol": 1e-9, "fatol": 1e-14, "maxiter": 2000}
        found = [minimize(value, x, method="Nelder-Mead", options=rule) for x in starts]
        return min(float(x.fun) for x in found)

    def gap(S: float) -> float:
        return least("triangle", S) + S * (1 - S) - 2 * least("digon", S)

    S = float(brentq(gap, low, high, xtol=1e-9))
    assert denser.n == sparser.n == n
    form = exact_form(S, denser, sparser, "binary")
    assert form is not None and form.evidence is Evidence.PROVED
    assert float(form.text) == pytest.approx(S, abs=LOCATED)


def test_uniform_rungs_are_enclosed() -> None:
    a = mixture("triangle", ignored=1, law="uniform")
    b = mixture(("digon", 2), law="uniform")
    wide = crossing(a, b, 0.6, 0.7, digits=10)
    form = exact_form(float(wide), TRIANGLE, SQUARE, "uniform")
    assert form is not None and form.evidence is Evidence.ENCLOSED and form.polynomial is None
    low, high = Fraction(form.low), Fraction(form.high)
    assert high - low <= Fraction(1, 10**30)
    assert wide.low <= high and low <= wide.high


@pytest.mark.parametrize(
    ("denser", "sparser", "law"),
    [
        (Phase("", (Part("irregular 5 in 2 [61c52d]", 1, 5),)), phase(("pentagon", 1)), "binary"),
        (phase(("isosceles triangle", 1), ignored=1), TRIANGLE, "binary"),
        (
            Phase("", (Part("digon + 1 twin", 1, 3), Part("uneven digon", 1, 2))),
            phase(("uneven digon", 2), ignored=1),
            "binary",
        ),
        (TRIANGLE, SQUARE, "exponential"),
        (phase(("triangle", 1), ignored=2), SQUARE, "binary"),  # five features and four
    ],
)
def test_what_has_no_formula_gets_none(denser: Phase, sparser: Phase, law: str) -> None:
    assert exact_form(0.4047922356, denser, sparser, law) is None


def test_a_wrong_place_gets_none() -> None:
    """Negative control: the right phases, an S at which they do not cross."""
    assert exact_form(0.41, TRIANGLE, SQUARE, "binary") is None
    assert exact_form(0.26, SQUARE, phase(("uneven digon", 2)), "binary") is None


def test_exact_forms_are_part_of_the_answer(pair: Ladder) -> None:
    """What the ladder holds is what its JSON says; a model without formulas has none."""
    for change, said in zip(pair.crossings, pair.to_dict()["ladder"], strict=True):
        assert said["polynomial"] == change.polynomial
        if change.exact is None:
            assert said["exact"] is None and said["formulas"] == []
        else:
            assert said["exact"]["known"] == "proved" and said["formulas"][0]["block"] == "digon"
    bare = ladder(Features.of(2, 0.5), 1, objective=Objective(bias=False), S_min=0.2, exact=True)
    assert all(change.exact is None for change in bare.crossings)


def test_phases_hold_their_blocks() -> None:
    """Two digons, a triangle, a digon with a shadow, a dedicated and two ignored features."""
    turn = 2.0 * np.pi * np.arange(3) / 3.0
    W = np.zeros((6, 13))
    W[0, :2] = W[1, 2:4] = 1.0, -1.0
    W[2, 4:6], W[2, 10] = (1.0, -1.0), 0.5
    W[3:5, 6:9] = np.cos(turn), np.sin(turn)
    W[5, 9] = 1.0
    found = Phase.of(name_of(W))
    assert set(found.parts) == {
        Part("triangle", 1, 3),
        Part("digon + 1 shadow", 1, 3),
        Part("digon", 2, 2),
        Part("dedicated", 1, 1),
        Part("ignored", 2, 1),
    }
    assert found.n == 13 and found.symmetric is None
    assert str(found) == found.name == name_of(W).name
    octahedron = Phase.of(name_of(np.concatenate([np.eye(3), -np.eye(3)], axis=1)))
    assert octahedron.symmetric == {"digon": 3} and "octahedron" in str(octahedron)


def test_formulas_of_both_sides_are_the_minima_there() -> None:
    S = 0.4047922356
    found = side_formulas(S, TRIANGLE, SQUARE, "binary")
    assert [one.block for one in found] == ["triangle", "digon"]
    for one in found:
        text = re.search(r"loss = (.*?) per feature", one.text)
        assert text is not None
        value = float(sympy.sympify(text[1], locals={"S": sympy.Symbol("S")}).subs("S", S))
        truth = float(closed_form(one.block).minimum(S).loss.mid())
        assert value == pytest.approx(truth, rel=1e-12)
        assert value != pytest.approx(float(closed_form(one.block).minimum(1 - S).loss), rel=1e-3)


def test_sides_without_formulas_are_left_out() -> None:
    odd = Phase("", (Part("irregular 4 in 2 [942b87]", 1, 4),))
    assert side_formulas(0.2506644917, phase(("uneven digon", 2)), odd, "binary") == ()
