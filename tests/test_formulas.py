"""theory.symmetric.formula_text: what is printed is read back and is the minimum.

Tolerances: printed formulas are exact, so they meet minimum(S) to its 30 digits; enclosures hold
the value of an independent route (scipy on the float loss, 1e-9: it stops on slopes).
"""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise

import flint
import pytest
import sympy

from packing.algebra.balls import decimals
from packing.errors import BadInput, NotReached
from theory.symmetric import closed_form, formula_text, orbit_form
from theory.symmetric.orbits import pyramid

S, BETA = sympy.symbols("S beta")


def read(text: str) -> sympy.Expr:
    """An expression as printed; sympy has meanings of its own for S and beta."""
    return sympy.sympify(text, locals={"S": S, "beta": BETA})


def parsed(line: str) -> dict[str, sympy.Expr]:
    """The functions of a line of the binary law."""
    body = line.split("): ", 1)[1]
    found = dict(
        re.findall(r"(loss|norm\^2|bias) = (.*?)(?: per feature)?(?:, (?=norm|bias)|$)", body)
    )
    return {name: read(text) for name, text in found.items()}


@pytest.mark.parametrize("name", ["digon", "triangle", "tetrahedron", "pentagon"])
def test_printed_pieces_are_the_minimum(name: str) -> None:
    form = closed_form(name)
    lines = formula_text(name).text.splitlines()
    assert len(lines) == len(form.pieces())
    for line, piece in zip(lines, form.pieces(), strict=True):
        at = Fraction((float(piece.low) + float(piece.high)) / 2)
        found = form.minimum(at, digits=30)
        functions = parsed(line)
        assert set(functions) == {"loss", "norm^2", "bias"}
        inside = sympy.Rational(at.numerator, at.denominator)
        for key, ball in (("loss", found.loss), ("norm^2", found.rho), ("bias", found.bias)):
            value = sympy.N(functions[key].subs(S, inside), 40)
            with flint.ctx.workprec(200):
                assert abs(ball - flint.arb(str(value))) < 1e-28
        # control: another S is another loss
        assert abs(functions["loss"].subs(S, inside * 0.999) - float(found.loss.mid())) > 1e-9


def test_the_digon_reads_as_by_hand() -> None:
    printed = formula_text("digon")
    low, high = printed.text.splitlines()
    assert low.startswith("S in (0, 1/2): loss = ") and high.startswith("S in (1/2, 1): loss = ")
    by_hand = S**2 * (1 - S) ** 2 / (S**2 + (1 - S) ** 2)
    assert sympy.simplify(parsed(low)["loss"] - by_hand) == 0
    assert "\\begin{cases}" in printed.latex and "\\frac{1}{2}" in printed.latex
    assert printed.latex.count("\\\\") == 1


def bounds(text: str) -> tuple[Fraction, Fraction]:
    low, high = re.fullmatch(r"\[(.*), (.*)\]", text).groups()  # type: ignore[union-attr]
    return Fraction(low), Fraction(high)


def test_an_S_selects_its_piece_and_is_enclosed() -> None:
    printed = formula_text("triangle", S=Fraction(3, 10), digits=25)
    assert len(printed.text.splitlines()) == 1
    line = printed.enclosure.splitlines()[-1]
    low, high = bounds(re.search(r"loss = (\[.*?\])", line).group(1))  # type: ignore[union-attr]
    exact = parsed(printed.text)["loss"].subs(S, sympy.Rational(3, 10))
    assert low <= Fraction(int(exact.p), int(exact.q)) <= high
    assert high - low < Fraction(1, 10**24)
    end = printed.enclosure.splitlines()[1]
    assert "root of" in end
    a, b = bounds(re.search(r"S = (\[.*?\])", end).group(1))  # type: ignore[union-attr]
    polynomial = read(end.split("root of ")[1])
    signs = [polynomial.subs(S, sympy.Rational(x.numerator, x.denominator)) for x in (a, b)]
    assert signs[0] * signs[1] < 0  # the ends of the enclosure bracket a root


@pytest.mark.parametrize("name", ["digon", "triangle"])
def test_uniform_pieces_are_the_loss_and_their_equation_its_stationarity(name: str) -> None:
    form = closed_form(name, "uniform")
    lines = formula_text(form).text.splitlines()[1:]
    pattern = r"beta in \((.*), (.*)\): F1 = (.*), F2 = (.*), stationary where (.*) = 0"
    ends = []
    for line in lines:
        low, high, *texts = re.fullmatch(pattern, line).groups()  # type: ignore[union-attr]
        a, b = read(low), read(high)
        ends.append((a, b))
        F1, F2, equation = (read(text) for text in texts)
        assert sympy.expand(2 * F1.diff(BETA) * F2 - F1 * F2.diff(BETA) - equation) == 0
        beta = a + sympy.Rational(1, 3) * ((b if b.is_finite else a + 1) - a)
        rho = sympy.Rational(9, 10)
        value = (S / 3 - 2 * rho * F1 + rho**2 * F2).subs({BETA: beta, S: sympy.Rational(1, 5)})
        bias = Fraction(int(beta.p), int(beta.q)) * Fraction(9, 10)
        assert value == form.loss(Fraction(9, 10), bias, Fraction(1, 5))
        assert value != form.loss(Fraction(9, 10), bias, Fraction(1, 6))
    assert all(one[1] == two[0] for one, two in pairwise(ends))
    assert ends[-1][1] == sympy.oo


def test_the_uniform_minimum_lies_on_the_piece_that_is_printed() -> None:
    form = closed_form("pentagon", "uniform")
    printed = formula_text(form, S=Fraction(1, 10), digits=20)
    assert len(printed.text.splitlines()) == 2
    line = printed.text.splitlines()[1]
    F1, F2, equation = (
        read(re.search(rf"{key} (.*?)(?:, |$)", line).group(1).removesuffix(" = 0"))  # type: ignore[union-attr]
        for key in ("F1 =", "F2 =", "stationary where")
    )
    found = form.minimum(Fraction(1, 10), digits=20)
    beta = sympy.Float(str((found.bias / found.rho).mid().str(40, radius=False)), 40)
    here = {S: sympy.Rational(1, 10), BETA: beta}
    least = sympy.N((S / 3 - F1**2 / F2).subs(here), 30)
    assert abs(float(least) - float(found.loss.mid())) < 1e-15
    assert abs(sympy.N(equation.subs(here), 30)) < 1e-16
    assert abs(sympy.N(equation.subs({**here, BETA: beta + 0.01}), 30)) > 1e-6


def test_several_kinds_are_printed_with_what_is_known() -> None:
    form = orbit_form(pyramid(2))
    printed = formula_text(form, S=Fraction(1, 10), digits=20)
    assert "numerical: that nothing lies lower" in printed.text
    found = form.minimum(Fraction(1, 10), digits=20)
    low, high = bounds(re.search(r"loss = (\[.*?\])", printed.enclosure).group(1))  # type: ignore[union-attr]
    assert float(low) <= float(found.loss.mid()) <= float(high) and high - low < Fraction(1, 10**20)
    assert "r_{0}" in printed.latex and "h = " in printed.latex


def test_what_cannot_be_written_down_is_refused() -> None:
    with pytest.raises(NotReached, match="too many states"):
        formula_text("Higman-Sims code")
    with pytest.raises(NotReached, match="give S"):
        formula_text("heptagon", "uniform")
    with pytest.raises(NotReached, match="too long"):
        formula_text("Petersen code", "uniform", 0.1)
    with pytest.raises(BadInput, match="no exact form"):
        formula_text("digon", "exponential")
    with pytest.raises(BadInput, match="give S"):
        formula_text(orbit_form(pyramid(2)))


def test_decimals_enclose_and_are_short() -> None:
    with flint.ctx.workprec(200):
        third = flint.arb(1) / 3
        low, high = bounds(decimals(third, 10))
        assert low < Fraction(1, 3) < high and high - low == Fraction(1, 10**10)
        low, high = bounds(decimals(-third / 10**8, 10))
        assert low < Fraction(-1, 3 * 10**8) < high and high - low < Fraction(1, 10**17)
    assert decimals(flint.arb(0.5)) == "0.5" and decimals(flint.arb(-2)) == "-2"
