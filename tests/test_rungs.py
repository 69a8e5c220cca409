"""Exact forms of rungs against the numerical ladder, which knows no formula."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
import sympy

from theory.exact_crossings import exact_rung, parts, side_formulas
from theory.ladders import Ladder, ladder
from theory.symmetric import closed_form

LOCATED = 1e-8  # what a numerical rung promises


@pytest.fixture(scope="module")
def pair() -> Ladder:
    return ladder(2, 1)


def test_takeovers_of_the_uneven_digon_are_roots(pair: Ladder) -> None:
    """Both changes between digon and uneven digon: exact, at the S that the search found."""
    found = [exact_rung(x.S, x.denser, x.sparser, 2, "binary") for x in pair.rungs]
    forms = [x for x in found if x is not None]
    assert len(forms) == 2
    for form in forms:
        assert form.known == "proved" and form.polynomial is not None
        S = min((x.S for x in pair.rungs), key=lambda s: abs(s - float(form.text)))
        assert float(form.text) == pytest.approx(S, abs=LOCATED)
        S_ = sympy.Symbol("S")
        root = sympy.Poly(sympy.sympify(form.polynomial, locals={"S": S_}), S_)
        assert root.count_roots(*(sympy.Rational(x) for x in (form.low, form.high))) == 1
        assert root.is_irreducible


@pytest.mark.parametrize(
    ("n", "denser", "sparser", "low", "high"),
    [
        (4, "triangle + 1 ignored", "2 digon (square)", 0.4, 0.41),
        (5, "triangle + 2 ignored", "2 digon + 1 ignored", 0.4, 0.41),
    ],
)
def test_a_crossing_of_formulas_is_where_the_numbers_cross(
    n: int, denser: str, sparser: str, low: float, high: float
) -> None:
    """Route two: bisection on the losses of the two shapes, minimised without a formula."""
    from scipy.optimize import brentq, minimize

    from packing.catalogue import entry
    from theory import Features, loss

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
    form = exact_rung(S, denser, sparser, n, "binary")
    assert form is not None and form.known == "proved"
    assert float(form.text) == pytest.approx(S, abs=LOCATED)


def test_uniform_rungs_are_enclosed() -> None:
    from theory.symmetric import crossing, mixture

    a = mixture("triangle", ignored=1, law="uniform")
    b = mixture(("digon", 2), law="uniform")
    wide = crossing(a, b, 0.6, 0.7, digits=10)
    form = exact_rung(float(wide), a.name, "2 digon (square)", 4, "uniform")
    assert form is not None and form.known == "enclosed" and form.polynomial is None
    assert form.high - form.low <= Fraction(1, 10**30)
    assert wide.low <= form.high and form.low <= wide.high


@pytest.mark.parametrize(
    ("denser", "sparser", "n", "law"),
    [
        ("irregular 5 in 2 [61c52d]", "pentagon", 5, "binary"),
        ("isosceles triangle + 1 ignored", "triangle + 1 ignored", 4, "binary"),
        ("(digon + 1 twin) + uneven digon", "2 uneven digon + 1 ignored", 5, "binary"),
        ("triangle + 1 ignored", "2 digon (square)", 4, "exponential"),
        ("triangle + 1 ignored", "2 digon (square)", 5, "binary"),  # four features, not five
    ],
)
def test_what_has_no_formula_gets_none(denser: str, sparser: str, n: int, law: str) -> None:
    assert exact_rung(0.4047922356, denser, sparser, n, law) is None


def test_a_wrong_place_gets_none() -> None:
    """Negative control: the right phases, an S at which they do not cross."""
    assert exact_rung(0.41, "triangle + 1 ignored", "2 digon (square)", 4, "binary") is None
    assert exact_rung(0.26, "2 digon", "2 uneven digon", 4, "binary") is None


def test_names_are_read_back() -> None:
    assert parts("2 digon + 1 ignored") == {"digon": 2, "ignored": 1}
    assert parts("3 digon (octahedron)") == {"digon": 3}
    assert parts("triangle + digon (triangular bipyramid)") == {"triangle": 1, "digon": 1}
    assert parts("pentagon + 1 shadow") is None
    assert parts("(digon + 1 shadow) + digon") is None


def test_formulas_of_both_sides_are_the_minima_there() -> None:
    S = 0.4047922356
    found = side_formulas(S, "triangle + 1 ignored", "2 digon (square)", "binary")
    assert [one.block for one in found] == ["triangle", "digon"]
    for one in found:
        text = re.search(r"loss = (.*?) per feature", one.text)
        assert text is not None
        value = float(sympy.sympify(text[1], locals={"S": sympy.Symbol("S")}).subs("S", S))
        truth = float(closed_form(one.block).minimum(S).loss.mid())
        assert value == pytest.approx(truth, rel=1e-12)
        assert value != pytest.approx(float(closed_form(one.block).minimum(1 - S).loss), rel=1e-3)


def test_sides_without_formulas_are_left_out() -> None:
    assert (
        side_formulas(0.2506644917, "2 uneven digon", "irregular 4 in 2 [942b87]", "binary") == ()
    )
