"""Exact forms: found from digits with their evidence, proved by exact ranks, none by chance."""

from __future__ import annotations

import csv
import functools
import itertools
import random
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from shapes import cell_600, demicube, dodecahedron, icosahedron, polygon, simplex

from packing.algebra.identification import (
    CERTAIN,
    algebraic,
    common_field,
    integer_relation,
    member,
)
from packing.algebra.number_fields import RATIONALS, quadratic
from packing.algebra.roots import polynomial_text, real_roots, root_text
from packing.catalogue.polytopes import antiprism
from packing.errors import BadInput
from packing.proofs.exact_gram import exact_cosine, exact_gram, precise, rank
from packing.search import search

REFERENCE = Path(__file__).parent / "data" / "reference" / "exact_codes.csv"
x = sympy.Symbol("x")


@functools.cache
def found(n: int, d: int = 3) -> np.ndarray:
    return search(n, d, "angle", seconds=20.0, workers=1).arrangement.W


def turned(W: np.ndarray, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.normal(size=(W.shape[0],) * 2))[0]
    return Q @ W[:, rng.permutation(W.shape[1])]


# Numbers.


RADICALS = ["1/3", "-2/7", "sqrt(5)/5", "(-1 + 2*sqrt(2))/7", "-sqrt(3)/2", "(1 + sqrt(5))/4"]
COSINES = ["cos(2*pi/7)", "cos(3*pi/13)"]
OTHERS = ["2**Rational(1, 3)/2", "(sqrt(2) + sqrt(3))/5"]


@pytest.mark.parametrize("text", RADICALS + COSINES + OTHERS)
def test_known_numbers_are_recognised_and_agree_with_sympy(text):
    exact = sympy.sympify(text)
    got = algebraic(mpmath_digits(exact, 60))
    assert got.status == "numerical"
    expected = sympy.Poly(sympy.minimal_polynomial(exact, x), x)  # another route to the polynomial
    assert sympy.Poly(sympy.sympify(got.polynomial), x) == expected
    assert abs(sympy.N(sympy.sympify(got.text) - exact, 50)) < 1e-45
    assert got.residual < -50 and got.digits - got.needed > CERTAIN
    assert (got.text == text) == (text not in OTHERS)


def mpmath_digits(exact: sympy.Expr, count: int) -> str:
    with mpmath.workdps(count + 10):
        value = mpmath.mpf(sympy.N(exact, count + 10))
        return mpmath.nstr(value, count, strip_zeros=False, min_fixed=-10)


def test_a_float_gives_small_forms_only():
    assert algebraic(5.0**-0.5).text == "sqrt(5)/5"
    assert algebraic(1.0 / 3.0).text == "1/3"
    root = sympy.CRootOf(x**8 - 24 * x**7 + 8 * x + 1, 0)
    assert algebraic(float(root)).status == "unsettled"  # 14 digits cannot show nine coefficients
    assert algebraic(Fraction(1, 3)).status == "proved"


def test_random_numbers_get_nothing():
    """Negative control. By the theorem in the module at most 12 e-12 of them may get a form."""
    rng = random.Random(0)
    for count in (15, 30, 60, 120):
        for _ in range(25):
            text = "0." + "".join(rng.choice("0123456789") for _ in range(count))
            got = algebraic(text, certain=CERTAIN)
            assert got.status == "unsettled" and got.text == "" and "chance" in got.sentence


def test_the_stated_rate_of_false_forms_is_kept():
    """With certain = 1 (a tenth for each degree) chance forms do occur, and no more than stated."""
    rng = random.Random(1)
    hits = sum(
        algebraic(f"0.{rng.randrange(10**12):012d}", certain=1.0, degree=1).status == "numerical"
        for _ in range(400)
    )
    # degree 1 alone is tried: at most 10% are expected; 400 draws stay below 15% but for 1 in 1000
    assert 0 < hits < 60


def test_one_wrong_digit_destroys_the_form():
    good = mpmath_digits(sympy.CRootOf(3 * x**3 - 9 * x**2 - 3 * x + 1, 1), 50)
    assert algebraic(good).coefficients == (1, -3, -9, 3)
    for place in (10, 25, 40):
        digit = str((int(good[place]) + 5) % 10)
        assert algebraic(good[:place] + digit + good[place + 1 :]).status == "unsettled"


def test_the_root_is_isolated_and_text_reads_back():
    p = (1, -3, -9, 3)
    roots = real_roots(p, 200)
    assert len(roots) == 3
    for i, root in enumerate(roots):
        value = sympy.N(sympy.sympify(root_text(p, i)), 40)
        assert abs(float(root.mid()) - float(value)) < 1e-14
    assert polynomial_text((-1, 0, 1)) == "x**2 - 1" and polynomial_text((0, -2)) == "-2*x"


@given(st.lists(st.integers(-9, 9), min_size=2, max_size=4), st.integers(0, 10**6))
def test_a_planted_relation_is_found(coefficients, seed):
    rng = random.Random(seed)
    values = [Fraction(rng.randrange(10**40), 10**40) for _ in coefficients]
    last = -sum((c * v for c, v in zip(coefficients, values, strict=True)), Fraction(0))
    relation = integer_relation([*values, last], 40)
    assert relation is not None
    assert sum(c * v for c, v in zip(relation, [*values, last], strict=True)) == 0


# Codes.


def test_seven_points_by_elimination():
    """1 + 3 + 3 points: pole, ring at height t, ring at -h. Equal cosines t between the lower
    three, h^2 - (1 - h^2)/2 = t, and between the rings, sqrt((1-t^2)(1-h^2))/2 - t h = t."""
    t, h = sympy.symbols("t h")
    first = 3 * h**2 - 1 - 2 * t
    second = (1 - t**2) * (1 - h**2) - 4 * t**2 * (1 + h) ** 2
    eliminated = sympy.resultant(first, second, h)
    got = exact_cosine(turned(found(7)))
    assert got.status == "proved" and got.digits > 250
    p = sympy.Poly(sympy.sympify(got.polynomial).subs(x, t), t)
    assert sympy.rem(sympy.Poly(eliminated, t), p).is_zero
    assert got.degree == 3


def test_eight_points_and_twelve_by_hand():
    height = (1.0 + 8.0**0.5) ** -0.5  # h^2 = 1/(1 + 2 sqrt 2) = (2 sqrt 2 - 1)/7
    got = exact_cosine(turned(antiprism(4, height)))
    assert got.status == "proved" and got.polynomial == "7*x**2 + 2*x - 1"
    assert exact_cosine(turned(icosahedron())).polynomial == "5*x**2 - 1"


def test_the_reference_polynomials():
    with REFERENCE.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    seen = 0
    for row in rows:
        form = row["max_cosine_exact"]
        if row["d"] == "3" and "root of " in form:
            wanted = form.split("root of ")[1].replace("^", "**")
            for k in "23456789":
                wanted = wanted.replace(f"{k}x", f"{k}*x")
            got = exact_cosine(found(int(row["n"])))
            assert sympy.expand(sympy.sympify(got.polynomial) - sympy.sympify(wanted)) == 0
            assert got.status == "proved"
            seen += 1
    assert seen >= 2


def test_snub_cube_has_a_cubic_in_the_field_of_the_tribonacci_number():
    got = exact_cosine(turned(found(24)))
    T = sympy.CRootOf(x**3 - x**2 - x - 1, 0)
    assert got.status == "proved" and got.degree == 3
    with mpmath.workdps(50):
        t = mpmath.mpf(sympy.N(T, 50))
        base, even = (mpmath.mpf(1), 1 / t, t), ((0, 1, 2), (1, 2, 0), (2, 0, 1))
        points = [
            [s * base[k] for s, k in zip(signs, p, strict=True)]
            for p in itertools.permutations(range(3))
            for signs in itertools.product((1, -1), repeat=3)
            if (np.prod(signs) > 0) == (p in even)
        ]
        top = max(mpmath.fdot(p, q) for p, q in itertools.combinations(points, 2))
        value = mpmath.mpf(sympy.N(sympy.sympify(got.text), 50))
        assert abs(top / mpmath.fdot(base, base) - value) < mpmath.mpf(10) ** -45


def test_codes_without_digits_get_no_form():
    rng = np.random.default_rng(0)
    assert exact_cosine(rng.normal(size=(3, 9))).status == "unsettled"
    assert precise(rng.normal(size=(3, 9))) is None
    assert precise(found(7) + 1e-7 * rng.normal(size=(3, 7))) is None


@pytest.mark.parametrize("digits", [float("nan"), float("inf"), -4.0])
def test_digits_that_are_no_number_are_refused(digits):
    with pytest.raises(BadInput, match="digits"):
        algebraic(0.3, digits=digits)


# Gram matrices.


@pytest.mark.parametrize(
    "W, field",
    [
        (simplex(5), 1),
        (demicube(5), 1),
        (icosahedron(), 2),
        (dodecahedron(), 2),
        (cell_600(), 2),
        (polygon(7), 3),
        (antiprism(4, (1.0 + 8.0**0.5) ** -0.5), 2),
        (np.hstack([2.0 * np.eye(3), 1.0 - 2.0 * np.eye(3), np.ones((3, 1))]), 2),
    ],
)
def test_exact_gram_matrices_are_proved_and_meet_the_floats(W, field):
    V = turned(W)
    got = exact_gram(V)
    assert got.proved and len(got.field) - 1 == field
    U = V / np.linalg.norm(V, axis=0)
    np.testing.assert_allclose(got.gram.floats, U.T @ U, atol=1e-12)
    for cosine in got.gram.cosines:
        assert abs(float(sympy.N(cosine.exact, 30)) - cosine.value) < 1e-15
    assert list(got.gram.cosines) == sorted(got.gram.cosines, key=lambda c: -c.value)
    assert np.all(np.diag(got.gram.colours) == 0)


def test_an_exact_rank_by_sympy():
    """Another route to the proof: sympy's exact rank of the exact matrix."""
    got = exact_gram(turned(antiprism(4, (1.0 + 8.0**0.5) ** -0.5)))
    exact = [c.exact for c in got.gram.cosines]
    G = sympy.Matrix(8, 8, lambda i, j: exact[got.gram.colours[i, j]])
    assert G.rank(simplify=True) == 3


def test_thirteen_points_exactly():
    got = exact_gram(found(13))
    assert got.proved and len(got.field) - 1 == 8
    U = found(13)
    np.testing.assert_allclose(got.gram.floats, U.T @ U, atol=1e-12)
    assert len(got.contacts) == 24


def test_wrong_values_fail_the_rank():
    """Negative control: one entry's exact value replaced by another near it."""
    colours = exact_gram(simplex(3)).gram.colours
    one, right, wrong = map(RATIONALS, (1, Fraction(-1, 3), Fraction(-333333, 10**6)))
    assert rank(colours, [one, right]) == 3
    assert rank(colours, [one, wrong]) == 4


def test_noise_and_random_vectors_get_no_exact_gram():
    rng = np.random.default_rng(0)
    assert not exact_gram(rng.normal(size=(3, 6))).proved
    assert not exact_gram(icosahedron() + 1e-8 * rng.normal(size=(3, 12))).proved


def test_repeated_vectors_share_the_colour_of_the_diagonal():
    got = exact_gram(turned(np.hstack([icosahedron(), icosahedron()[:, :1]])))
    assert got.proved and got.largest is None
    assert np.count_nonzero(got.gram.colours == 0) == 13 + 2


def test_fields():
    root = sympy.sqrt(2)
    value = Fraction(mpmath_digits(root, 60))
    element = member(quadratic(2), (3 - 5 * value) / 7, 60.0)
    assert element == quadratic(2)(Fraction(3, 7), Fraction(-5, 7))
    assert element.point.polynomial == (-41, -42, 49)  # 49 y^2 - 42 y + 9 - 50
    assert member(quadratic(2), Fraction(mpmath_digits(sympy.sqrt(3), 60)), 60.0) is None
    both = common_field([value, Fraction(mpmath_digits(sympy.sqrt(3), 60))], 60.0, 8, 12.0)
    assert both is not None and both[0].degree == 4
    assert abs(float(both[1][0]) - 2.0**0.5) < 1e-15
    assert common_field([Fraction(mpmath_digits(sympy.pi, 60))], 60.0, 8, 12.0) is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: algebraic("abc"),
        lambda: algebraic(float("nan")),
        lambda: algebraic("0.5", degree=0),
        lambda: algebraic("0.5"),
        lambda: exact_gram([[1.0, 0.0]]),
    ],
)
def test_bad_input_is_one_sentence(call):
    with pytest.raises(BadInput) as error:
        call()
    assert "\n" not in str(error.value)
