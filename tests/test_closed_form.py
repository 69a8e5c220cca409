"""theory.symmetric against theory.loss, against minimisation, simulation and published values.

Tolerances, fixed before any run:

- loss of blocks up to 16 (uniform) or 20 (binary) features: 1e-12 relative, where theory.loss sums
  exactly; larger ones: 1e-10 relative plus the bound that theory.loss reports.
- a minimum from scipy lies above the enclosure's lower end, and within 1e-9 relative of it: scipy
  stops on slopes, and losses are quadratic there.
- simulation: 5 standard errors, and the standard error is below 1% so that it means something.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import flint
import numpy as np
import pytest
import sympy
from scipy.optimize import minimize

from packing.algebra.number_fields import common, read
from packing.catalogue import entry
from packing.errors import BadInput, NotReached
from theory.features import Features, law_named
from theory.losses.expected import engine, loss
from theory.symmetric import ClosedForm, closed_form
from theory.symmetric.binary import Piece, proved
from theory.symmetric.uniform import stationarity

SMALL = (
    "digon",
    "triangle",
    "square",
    "pentagon",
    "heptagon",
    "tetrahedron",
    "icosahedron",
    "Petersen code",
    "5-demicube",
    "Paley(13) code",
    "doubled 5-cell",
    "triangular prism",
)
LARGE = ("24-cell", "Schlaefli code", "Gewirtz code", "Higman-Sims code", "E8 roots")
S = sympy.Symbol("S")


def points(seed: int, count: int = 4) -> list[tuple[float, float, float]]:
    """Random (rho, bias, S), biases of both signs."""
    rng = np.random.default_rng(seed)
    return [
        (rng.uniform(0.2, 1.8), rng.uniform(-0.6, 0.6), rng.uniform(0.01, 0.95))
        for _ in range(count)
    ]


# ---------------------------------------------------------------- reading cosines


@pytest.mark.parametrize(
    "texts",
    [
        ("1/4", "-2/3"),
        ("-1/4 + sqrt(5)/4", "sqrt(20)/8"),
        ("cos(2*pi/7)", "cos(pi)", "sqrt(2)/2", "1/2 + sqrt(3)/4"),
        ("cos(4*pi/9) - 1/2", "cos(-3*pi/4)"),
        ("CRootOf(x**3 - x**2 - x - 1, 0)/4", "CRootOf(x**3 - x**2 - x - 1, 0)**2/4"),
    ],
)
def test_numbers_are_read_as_sympy_reads_them(texts: tuple[str, ...]) -> None:
    numbers = common(map(read, texts))[1]
    with flint.ctx.workprec(160):
        for text, x in zip(texts, numbers, strict=True):
            true = str(sympy.N(sympy.sympify(text), 45))
            assert abs(x.ball() - flint.arb(true)) < 1e-40
            assert abs(float(sympy.sympify(str(x.expression))) - float(true)) < 1e-13


def test_products_and_inverses_stay_in_the_field() -> None:
    a, b = map(read, ("cos(2*pi/7)", "cos(4*pi/7)"))
    # cos 2t = 2 cos^2 t - 1, and the product with the inverse is 1
    assert a.field == b.field and 2 * a * a - 1 == b
    assert b * b.inverse() == 1


@pytest.mark.parametrize("text", ["cos(1)", "tan(pi/3)", "1/", "sqrt(-2)", "2*y"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        read(text)


# ---------------------------------------------------------------- the loss


@pytest.mark.parametrize("law", ["binary", "uniform"])
@pytest.mark.parametrize("name", SMALL)
def test_loss_is_that_of_the_vectors(name: str, law: str) -> None:
    block = entry(name)
    form = closed_form(name, law)
    for rho, bias, chance in points(len(name)):
        true = loss(
            np.sqrt(rho) * block.vectors,
            np.full(block.n, bias),
            features=Features.of(block.n, chance, law),
        )
        assert np.ptp(true.per_feature) <= 1e-11 * true.total
        assert form.loss(rho, bias, chance) == pytest.approx(true.total / block.n, rel=1e-12)
        # control: a feature fewer is another loss
        assert form.loss(rho, bias, chance * 0.999) != pytest.approx(true.total / block.n, rel=1e-7)


@pytest.mark.parametrize("law", ["binary", "uniform"])
@pytest.mark.parametrize("name", LARGE)
def test_loss_of_large_blocks_is_that_of_one_row(name: str, law: str) -> None:
    block = entry(name)
    form = closed_form(name, law)
    row = np.concatenate([[1.0], *(np.full(m, c.value) for c, m in block.rows[0][1])])
    for rho, bias, chance in points(len(name), 2):
        answer = engine(
            rho * row[None],
            np.array([bias]),
            np.zeros(1, dtype=int),
            np.full((1, block.n), chance),
            law_named(law),
            rtol=1e-11,
        )[1]
        value = form.loss(rho, bias, chance)
        assert abs(value - answer.value[0]) <= 1e-10 * value + answer.bound[0]
        assert answer.bound[0] < 1e-5 * value


@pytest.mark.parametrize("law", ["binary", "uniform"])
def test_loss_is_what_a_simulation_sees(law: str) -> None:
    block, form = entry("Petersen code"), closed_form("Petersen code", law)
    rng = np.random.default_rng(5)
    rho, bias, chance = 1.1, -0.15, 0.12
    on = rng.random((200_000, block.n)) < chance
    x = on * (1.0 if law == "binary" else rng.random(on.shape))
    seen = np.maximum(rho * x @ block.vectors.T @ block.vectors + bias, 0.0)
    each = np.mean((x - seen) ** 2, axis=1)
    error = np.std(each) / np.sqrt(len(each))
    value = form.loss(rho, bias, chance)
    assert error < 0.01 * value
    assert abs(np.mean(each) - value) < 5 * error
    assert abs(np.mean(each) - form.loss(rho, bias, 1 - chance)) > 50 * error


@pytest.mark.parametrize("law", ["binary", "uniform"])
@pytest.mark.parametrize("name", ["triangle", "pentagon", "5-demicube"])
def test_exact_ball_and_float_are_one_number(name: str, law: str) -> None:
    form = closed_form(name, law)
    rho, bias, chance = Fraction(9, 10), Fraction(-1, 7), Fraction(1, 5)
    number = form.loss(float(rho), float(bias), float(chance))
    if law == "binary" or name != "pentagon":
        assert float(form.loss(rho, bias, chance)) == pytest.approx(number, rel=1e-13)
    with flint.ctx.workprec(200):
        balls = [flint.arb(flint.fmpq(q.numerator, q.denominator)) for q in (rho, bias, chance)]
        found = form.loss(*balls)
        assert float(found.mid()) == pytest.approx(number, rel=1e-13)
        assert found.rel_accuracy_bits() > 120


# ---------------------------------------------------------------- formulas


def loss_on(form: ClosedForm, at: float) -> Any:
    return next(piece for piece in form.pieces() if piece.holds(at)).loss.expression


def test_the_digon_by_hand_comes_out_of_the_general_code() -> None:
    form = closed_form("digon")
    low, high = form.pieces()
    assert (low.low.text, low.high.text, high.high.text) == ("0", "1/2", "1")
    by_hand = S**2 * (1 - S) ** 2 / (S**2 + (1 - S) ** 2)
    assert sympy.simplify(low.loss.expression - by_hand) == 0
    assert sympy.simplify(low.bias.expression - S**2 / (S**2 + (1 - S) ** 2)) == 0
    assert sympy.simplify(low.rho.expression + low.bias.expression) == 1
    assert sympy.simplify(high.loss.expression - S * (1 - S) / 2) == 0
    assert sympy.simplify(high.loss.expression - by_hand) != 0
    assert "frac" in low.loss.latex


def test_the_linear_piece_is_the_last_one() -> None:
    """Near S = 1 no ReLU rests: (1 - d/n) v for a tight frame, docs/theory.md, section 7.3."""
    for name in ("triangle", "tetrahedron", "pentagon", "Petersen code", "5-demicube"):
        block = entry(name)
        last = closed_form(name).pieces()[-1]
        want = (1 - sympy.Rational(block.d, block.n)) * S * (1 - S)
        assert sympy.simplify(last.loss.expression - want) == 0


def test_pieces_join_without_gaps() -> None:
    for name in ("triangle", "tetrahedron", "pentagon"):
        found = closed_form(name).pieces()
        assert found[0].low.text == "0" and found[-1].high.text == "1"
        for one, other in pairwise(found):
            assert one.high == other.low
            a, b = one.high.interval
            assert b - a < Fraction(1, 10**12)
            where = one.high.ball(200)
            with flint.ctx.workprec(200):
                assert abs(one.loss(where) - other.loss(where)) < 1e-40
                p = flint.fmpz_poly(list(one.high.polynomial))
                assert len(p.factor()[1]) == 1


@pytest.mark.parametrize("name", ["digon", "triangle", "tetrahedron", "pentagon"])
def test_no_piece_is_missing_and_a_missing_one_would_be_seen(name: str) -> None:
    form = closed_form(name)
    found = form.pieces()
    assert proved(form.row, found)
    wrong = list(found)
    first = wrong.pop(0)
    wrong[0] = Piece(
        first.low, wrong[0].high, wrong[0].active, "", wrong[0].rho, wrong[0].bias, wrong[0].loss
    )
    assert not proved(form.row, tuple(wrong))


def test_pieces_of_large_rows_are_refused_and_their_minimum_is_not() -> None:
    form = closed_form("Higman-Sims code")
    with pytest.raises(NotReached, match="states"):
        form.pieces()
    assert form.minimum(0.01).digits >= 14


# ---------------------------------------------------------------- minima


def descended(form: ClosedForm, chance: float) -> float:
    """The least loss that scipy finds from a grid of starts, on the float loss."""
    best = np.inf
    for rho in (0.3, 1.0):
        for bias in (-0.15, 0.0, chance):
            found = minimize(
                lambda at: form.loss(float(np.exp(at[0])), float(at[1]), chance),
                np.array([np.log(rho), bias]),
                method="Nelder-Mead",
                options={"xatol": 1e-9, "fatol": 1e-16, "maxiter": 400},
            )
            best = min(best, float(found.fun))
    return best


@pytest.mark.parametrize("law", ["binary", "uniform"])
@pytest.mark.parametrize("name", ["digon", "triangle", "pentagon", "Petersen code"])
def test_minimum_is_what_minimisation_finds(name: str, law: str) -> None:
    form = closed_form(name, law)
    for chance in (0.03, 0.2, 0.45, 0.8):
        found = form.minimum(chance)
        value = descended(form, chance)
        assert found.known == "enclosed" and found.digits >= 14
        assert value >= float(found.loss.lower()) * (1 - 1e-13)
        assert value == pytest.approx(float(found.loss.mid()), rel=1e-9)
        at = form.loss(float(found.rho.mid()), float(found.bias.mid()), chance)
        assert at == pytest.approx(float(found.loss.mid()), rel=1e-12)


@pytest.mark.parametrize("name", ["triangle", "pentagon", "5-demicube"])
def test_pieces_and_enclosures_agree(name: str) -> None:
    form = closed_form(name)
    for k in range(1, 20):
        chance = Fraction(k, 20)
        found = form.minimum(chance, digits=30)
        piece = next(p for p in form.pieces() if p.holds(chance))
        with flint.ctx.workprec(256):
            value = piece.loss(flint.arb(flint.fmpq(k, 20)))
        assert value.overlaps(found.loss) and found.digits >= 30


@pytest.mark.parametrize("name", ["digon", "triangle", "pentagon", "5-demicube", "icosahedron"])
def test_uniform_minima_solve_the_exact_stationarity_equation(name: str) -> None:
    form = closed_form(name, "uniform")
    chance = Fraction(1, 10)
    found = form.minimum(chance, digits=40)
    with flint.ctx.workprec(300):
        beta = found.bias / found.rho
        exact = stationarity(form.row, chance, Fraction(float(beta.mid())))
        middle = beta.mid()
        value, scale = exact.equation(middle), exact.equation(middle + flint.arb(1e-6))
        assert abs(value) < abs(scale) * 1e-20
        F1, F2 = exact.F1(middle), exact.F2(middle)
        assert abs(flint.arb(1) / 30 - F1 * F1 / F2 - found.loss) < 1e-30


@pytest.mark.parametrize(
    ("k", "length", "bias", "H"), [(5, 1.17046, -0.28230, 0.23738), (6, 1.32053, -0.61814, 0.86746)]
)
def test_one_feature_at_a_time_meets_the_published_polygons(
    k: int, length: float, bias: float, H: float
) -> None:
    """Chen et al., arXiv 2310.06301: L = H/(3 k) given that one feature is on, here S -> 0."""
    tiny = Fraction(1, 10**9)
    found = closed_form(f"{k}-gon", "uniform").minimum(tiny, digits=20)
    assert float(found.loss.mid()) * 3 * k / float(tiny) == pytest.approx(H, abs=6e-6)
    assert float(found.rho.sqrt().mid()) == pytest.approx(length, abs=6e-6)
    assert float(found.bias.mid()) == pytest.approx(bias, abs=6e-6)


def published(k: int, rho: float, b: float) -> float:
    """H of one feature of a k-gon, b <= 0, as docs/theory.md, section 5, has it."""
    a = rho * np.cos(2 * np.pi * np.arange(1, k) / k)
    active = a[a > -b]
    own = b**3 / rho**2 + b**3 / rho + (1 - rho) ** 2 - 3 * (1 - rho) * b + 3 * b * b
    return float(np.sum((active + b) ** 3 / active)) + (own if rho > -b else 1.0)


def test_one_feature_at_a_time_no_polygon_beats_a_heptagon_and_ignored_features() -> None:
    """An ignored feature has H = 1, so a k-gon is compared with what k - 1 and that one cost."""
    tiny = Fraction(1, 10**12)
    H = {4: 0.0}
    for k in range(5, 13):
        found = closed_form(f"{k}-gon", "uniform").minimum(tiny)
        H[k] = float(found.loss.mid()) * 3 * k / float(tiny)
        rho, bias = float(found.rho.mid()), float(found.bias.mid())
        assert H[k] == pytest.approx(k * published(k, rho, bias), rel=1e-9)
        for off in (0.99, 1.01):  # and no lower beside it
            assert k * published(k, off * rho, bias) > H[k] < k * published(k, rho, off * bias)
    square = closed_form("4-gon", "uniform").minimum(1e-6)
    assert float(square.loss.mid()) * 12 / 1e-6 == pytest.approx(H[4], abs=2e-5)
    pays = [k for k in range(5, 13) if H[k] < H[k - 1] + 1.0]
    assert pays == [5, 6, 7, 12]  # 12 pays beside the 11-gon alone:
    least = [min(H[m] + (k - m) for m in range(4, k + 1)) for k in range(5, 13)]
    assert least == pytest.approx([H[5], H[6], *(H[7] + k - 7 for k in range(7, 13))], rel=1e-12)
    assert H[10] == pytest.approx(5.0, abs=1e-9)


def test_small_and_large_S() -> None:
    for law in ("binary", "uniform"):
        form = closed_form("pentagon", law)
        assert form.minimum(0).loss == 0
        assert 0 < form.minimum(1e-6).loss < 1e-6
    assert closed_form("pentagon").minimum(1).loss == 0
    assert closed_form("pentagon", "uniform").minimum(1).loss > 0


def test_a_law_without_exact_form_is_answered_by_numbers_and_says_so() -> None:
    form = closed_form("triangle", "exponential")
    found = form.minimum(0.2)
    assert found.known == "numerical"
    true = loss(
        np.sqrt(0.9) * entry("triangle").vectors,
        np.full(3, 0.05),
        features=Features.of(3, 0.2, "exponential"),
    )
    assert form.loss(0.9, 0.05, 0.2) == pytest.approx(true.total / 3, rel=1e-7)
    assert float(found.loss.mid()) <= form.loss(0.9, 0.05, 0.2)
    with pytest.raises(BadInput, match="rational function"):
        form.pieces()


def test_bad_input_is_named() -> None:
    with pytest.raises(BadInput, match=r"1\.7 is not a probability.*1 - S"):
        closed_form("digon").minimum(1.7)
    with pytest.raises(BadInput, match="kinds of vectors"):
        closed_form("icosahedron less a vertex")
    with pytest.raises(BadInput, match="no cosine"):
        closed_form([("3/2", 1)])
    with pytest.raises(BadInput, match="positive whole"):
        closed_form([("1/2", 0)])
    with pytest.raises(BadInput, match="not positive"):
        closed_form("digon").loss(-1.0, 0.0, 0.5)
    with pytest.raises(BadInput, match="law"):
        closed_form("digon", "gaussian")


def test_a_row_may_be_given_by_hand() -> None:
    form = closed_form([("-1", 1), (0, 5), (Fraction(1, 2), 2)])
    assert form.n == 9 and form.row.n == 4
    assert closed_form([(-1, 1)]).minimum(0.3).loss.overlaps(closed_form("digon").minimum(0.3).loss)
