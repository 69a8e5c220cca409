"""packing.bounds: formulas, programmes and known codes meet, and no code beats a bound."""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import shapes
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import betainc, eval_gegenbauer

from packing.algebra.balls import fraction, rational
from packing.algebra.zonal import combine, expand, nowhere_positive, zonal
from packing.arrangement import Arrangement
from packing.bounds import Gap, best, bounds, delsarte, delsarte_cosine, gap, lines, points, skipped
from packing.bounds import spherical_codes as levenshtein
from packing.bounds.bound import cosine_above
from packing.bounds.line_systems import EQUIANGULAR, SHARP_LINES
from packing.bounds.linear_programming import propose, zonal_values
from packing.bounds.spherical_codes import (
    SHARP,
    boroczky,
    coulomb,
    point_bounds,
    point_counts,
    quadrature,
    sharp_code,
)
from packing.errors import BadInput
from packing.results import Evidence

REFERENCE = Path(__file__).parent / "data" / "reference"

ROUNDING = 1e-12
"""Coordinates of named shapes are good to 1e-15, cosines of a few hundred of them to 1e-14."""

# d, cosine, size: the sharp codes with a rational cosine (Cohn and Kumar 2007, Table 1)
RATIONAL = [
    (5, "1/5", 16),
    (6, "1/4", 27),
    (7, "1/3", 56),
    (8, "1/2", 240),
    (21, "1/7", 162),
    (21, "1/9", 112),
    (22, "1/11", 100),
    (22, "1/6", 275),
    (22, "1/4", 891),
    (23, "1/5", 552),
    (23, "1/3", 4600),
    (24, "1/2", 196560),
]

# Upper bounds on kissing numbers by linear programming, rounded down: Odlyzko and Sloane,
# J. Combin. Theory A 26 (1979) 210-214, Table I.
KISSING = {3: 13, 4: 25, 5: 46, 6: 82, 7: 140, 8: 240, 9: 380, 10: 595, 11: 915, 12: 1416}


def table(name: str) -> list[dict[str, str]]:
    with (REFERENCE / name).open(encoding="utf-8") as text:
        return list(csv.DictReader(line for line in text if not line.startswith("#")))


# --- the exact layer ----------------------------------------------------------------------------


@pytest.mark.parametrize("d", [2, 3, 4, 7, 24])
def test_zonal_polynomials_three_ways(d: int) -> None:
    x = np.linspace(-1.0, 1.0, 31)
    floats = zonal_values(x, d, 12)
    for k in range(1, 13):
        exact = [float(fraction(zonal(d, k)[k](rational(Fraction(float(v)))))) for v in x]
        a = d / 2 - 1
        scipy = np.cos(k * np.arccos(x)) if d == 2 else eval_gegenbauer(k, a, x)
        np.testing.assert_allclose(exact, scipy / scipy[-1], atol=1e-10)
        np.testing.assert_allclose(floats[:, k - 1], exact, atol=1e-12)
    lines_ = zonal_values(x**2, d, 5, lines=True)
    np.testing.assert_allclose(lines_, floats[:, 1:10:2], atol=1e-12)


def test_zonal_polynomials_are_positive_definite() -> None:
    X = np.random.default_rng(1).standard_normal((20, 5))
    X /= np.linalg.norm(X, axis=1)[:, None]
    G = np.clip(X @ X.T, -1.0, 1.0)
    values = zonal_values(G.ravel(), 5, 12).reshape(20, 20, 12)
    assert (values.sum(axis=(0, 1)) > -1e-9).all()
    # Negative control: the polynomials of a smaller space are not, here cos(2 t) on a basis of R^5.
    wrong = zonal_values(np.eye(5).ravel(), 2, 2)[:, 1]
    assert wrong.sum() < -1.0


def bernstein_nowhere_positive(h: list[Fraction], low: Fraction, high: Fraction) -> bool | None:
    """Second route: h(low + (high - low) t) in Bernstein form on halves of [0, 1]; None: unsure."""
    n = len(h) - 1
    moved = [Fraction(0)] * (n + 1)
    for c in reversed(h):  # Horner's rule in t
        shifted = [Fraction(0), *(a * (high - low) for a in moved[:-1])]
        moved = [a * low + b for a, b in zip(moved, shifted, strict=True)]
        moved[0] += c
    start = [
        sum(
            (Fraction(math.comb(i, j), math.comb(n, j)) * moved[j] for j in range(i + 1)),
            Fraction(0),
        )
        for i in range(n + 1)
    ]
    work = [(start, 0)]
    while work:
        row, depth = work.pop()
        if max(row) <= 0:
            continue
        if row[0] > 0 or row[-1] > 0:
            return False
        if depth > 40:
            return None
        left, right = [row[0]], [row[-1]]
        while len(row) > 1:
            row = [(a + b) / 2 for a, b in pairwise(row)]
            left.append(row[0])
            right.append(row[-1])
        work += [(left, depth + 1), (right[::-1], depth + 1)]
    return True


small = st.fractions(min_value=-2, max_value=2, max_denominator=8)


@settings(max_examples=150)
@given(st.lists(small, min_size=1, max_size=6), small, small)
def test_sign_by_sturm_and_by_bernstein(h: list[Fraction], a: Fraction, b: Fraction) -> None:
    from flint import fmpq_poly

    low, high = sorted((a, b))
    if low == high:
        high = low + 1
    second = bernstein_nowhere_positive(h, low, high)
    if second is not None:
        assert nowhere_positive(fmpq_poly([rational(c) for c in h]), low, high) is second


@settings(max_examples=60)
@given(small, small, st.integers(0, 3))
def test_touching_is_allowed_and_crossing_is_not(r: Fraction, q: Fraction, power: int) -> None:
    from flint import fmpq_poly

    root = fmpq_poly([-rational(r), 1])
    square = -root * root * fmpq_poly([rational(q) * rational(q) + 1, 0, 1]) ** power
    assert nowhere_positive(square, Fraction(-3), Fraction(3))
    raised = square + fmpq_poly([rational(Fraction(1, 10**12))])
    assert not nowhere_positive(raised, Fraction(-3), Fraction(3))
    assert not nowhere_positive(square * root, Fraction(-3), Fraction(3))
    assert nowhere_positive(
        -root * root * root, r, Fraction(3)
    )  # a root at the end changes nothing


def test_expansion_is_undone_by_combination() -> None:
    from flint import fmpq_poly

    f = fmpq_poly([3, -1, 4, 1, -5])
    for d, along in ((3, False), (8, False), (5, True)):
        weights = expand(f, d, along)
        again = combine(weights[1:], d, along) + rational(weights[0] - 1)
        assert again == f


# --- Delsarte -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("d", "cosine", "size"), RATIONAL)
def test_sharp_codes_exactly(d: int, cosine: str, size: int) -> None:
    proof = delsarte(d, cosine)
    assert proof.bound == size and proof.verify()
    value, exact = levenshtein.cosine(size, d)
    assert exact == cosine and value == Fraction(cosine)
    assert best(size, d).exact == cosine


@pytest.mark.parametrize(
    ("d", "cosine", "size"), [(3, "sqrt(5)/5", 12), (4, "(1+sqrt(5))/4", 120), (3, "0", 6)]
)
def test_irrational_cosines(d: int, cosine: str, size: int) -> None:
    proof = delsarte(d, cosine)
    assert proof.verify() and proof.points == size
    assert size <= proof.bound < size + Fraction(1, 10**5)


@pytest.mark.parametrize(("d", "size"), KISSING.items())
def test_kissing_bounds_of_1979(d: int, size: int) -> None:
    found = points(d, "1/2")
    upper = [b for b in found if b.direction == "at most"]
    assert math.floor(upper[0].value) == size
    assert all(b.value < size for b in found if b.direction == "at least")


@pytest.mark.parametrize(("d", "c"), [(3, 0.5), (3, 0.8), (4, 0.6), (6, 0.3), (9, 0.5)])
def test_rigorous_is_no_better_than_the_programme(d: int, c: float) -> None:
    """The exact bound may not fall below the optimum of a programme of a higher degree."""
    proof, floats = delsarte(d, c), propose(d, c, (33,))
    assert floats is not None
    # The programme is solved to 1e-8; three degrees more than the proof uses gain about 1e-4.
    assert -1e-7 < float(proof.bound) / floats.value - 1.0 < 1e-3
    assert proof.bound <= levenshtein.count(d, Fraction(c))


@pytest.mark.parametrize(("d", "cosine"), [(8, "1/2"), (3, "1/2"), (4, "(1+sqrt(5))/4")])
def test_a_changed_proof_does_not_verify(d: int, cosine: str) -> None:
    proof = delsarte(d, cosine)
    a = proof.multipliers
    for k in range(len(a)):
        # Smaller: the polynomial rises above zero where it touched. Every multiplier matters.
        less = (*a[:k], a[k] * (1 - Fraction(1, 1000)), *a[k + 1 :])
        fake = dataclasses.replace(proof, multipliers=less, bound=1 + sum(less))
        assert a[k] == 0 or not fake.verify()
    negative = (*a, Fraction(-1, 10**9))
    assert not dataclasses.replace(proof, multipliers=negative, bound=1 + sum(negative)).verify()
    assert not dataclasses.replace(proof, bound=proof.bound - 1).verify()
    assert not dataclasses.replace(proof, high=proof.high + Fraction(1, 100)).verify()
    # One dimension more holds more points than the bound.
    assert not dataclasses.replace(proof, d=proof.d + 1).verify()


@pytest.mark.parametrize(
    ("d", "cosine", "size"),
    [
        *[(3, "sqrt(5)/5", 6), (6, "1/3", 16), (7, "1/3", 28), (23, "1/5", 276), (4, "1/2", 12)],
        *[(6, "1/2", 36), (7, "1/2", 63), (8, "1/2", 120), (24, "1/2", 98280)],
    ],
)
def test_sharp_systems_of_lines(d: int, cosine: str, size: int) -> None:
    proof = delsarte(d, cosine, lines=True)
    assert proof.bound == size and proof.verify()
    assert lines(d, cosine)[0].value == size


@pytest.mark.parametrize(("n", "d"), [(7, 3), (13, 3), (24, 3), (20, 5), (40, 8), (30, 4)])
def test_threshold_has_a_certificate(n: int, d: int) -> None:
    found = delsarte_cosine(n, d)
    assert found is not None and found.proof is not None
    assert found.proof.verify() and found.proof.bound < n
    assert Fraction(found.value) <= found.proof.high
    # Close to the limit: a slightly larger cosine is no longer excluded.
    assert delsarte(d, found.value + 1e-7).bound >= n


def test_thresholds_of_the_floating_point_table() -> None:
    """That table sampled 300 points (a little too strong) at degree 20 (a little too weak)."""
    for row in table("delsarte_lp_bounds.csv")[::12]:
        found = delsarte_cosine(int(row["n"]), int(row["d"]))
        assert found is not None
        assert abs(found.value - float(row["lp_lower_bound_cosine"])) < 1e-4, row


# --- Levenshtein --------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.integers(2, 40), st.integers(1, 99))
def test_three_formulas_of_levenshtein(d: int, part: int) -> None:
    s = Fraction(-1) + Fraction(part, 100) * (1 - Fraction(1, d))
    assert levenshtein.count(d, s) == (s - 1) / s
    s = Fraction(-1, d) + Fraction(part, 100) * Fraction(1, d)
    assert levenshtein.count(d, s) == 2 * d * (1 - s) / (1 - d * s)
    top = Fraction((math.sqrt(d + 3) - 1) / (d + 2)) - Fraction(1, 10**12)
    s = top * Fraction(part, 100)
    assert levenshtein.count(d, s) == d * (1 - s) * (2 + (d + 1) * s) / (1 - d * s * s)


@settings(max_examples=25)
@given(st.integers(2, 12), st.fractions(-Fraction(9, 10), Fraction(9, 10), max_denominator=50))
def test_levenshteins_polynomial_proves_his_value(d: int, s: Fraction) -> None:
    m = levenshtein.degree_at(d, s)
    weights = levenshtein.multipliers(d, s, m)
    assert weights is not None
    assert 1 + sum(weights) == levenshtein.count(d, s)
    assert nowhere_positive(combine(weights, d), Fraction(-1), s)


@settings(max_examples=60)
@given(st.integers(2, 3000), st.integers(2, 60))
def test_levenshteins_cosine_is_monotone_and_safe(n: int, d: int) -> None:
    here = levenshtein.cosine(n, d)[0]
    assert levenshtein.count(d, here) <= n
    assert here <= levenshtein.cosine(n + 1, d)[0]
    assert here >= levenshtein.cosine(n, d + 1)[0]
    if levenshtein.level(n, d) < levenshtein.LARGEST_DEGREE:
        assert levenshtein.count(d, here + Fraction(1, 10**9)) > n - Fraction(1, 10**12)


def test_design_sizes_end_the_intervals() -> None:
    for d in (3, 4, 9):
        for m in range(1, 9):
            n = levenshtein.design_size(d, m + 1)
            assert levenshtein.level(n, d) == m and levenshtein.level(n + 1, d) == m + 1


# --- closed forms -------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "value"), [(3, -0.5), (4, -1 / 3), (6, 0.0), (12, 5**-0.5)])
def test_fejes_toth_is_sharp(n: int, value: float) -> None:
    found = next(b for b in bounds(n, 3) if b.name == "Fejes Toth")
    assert found.value == pytest.approx(value, abs=1e-15) and found.attained is not None
    assert gap(value, n, 3).verdict is Evidence.PROVED


def test_fejes_toth_by_its_formula() -> None:
    for n in (5, 24, 1000):
        found = next(b for b in bounds(n, 3) if b.name == "Fejes Toth")
        w = n * math.pi / (6 * (n - 2))
        assert found.value == pytest.approx((1 / math.tan(w) ** 2 - 1) / 2, abs=1e-12)


def test_simplex_bound_in_four_dimensions() -> None:
    """Against the volume as an integral over the dihedral angle, and the kissing bound 26."""
    for n in (24, 120, 1000):
        found = boroczky(n, 4)
        assert found is not None
        edge = math.acos(found.value)
        end = math.acos(math.cos(edge) / (1 + 2 * math.cos(edge)))

        def length(a: float) -> float:
            return math.acos(min(1.0, math.cos(a) / (1 - 2 * math.cos(a))))

        volume = 3 * quad(length, math.acos(1 / 3), end, epsabs=1e-12)[0]
        # The integrand starts with a square root: quad is good to about 1e-8.
        assert 2 * math.pi * (3 * end - math.pi) / volume == pytest.approx(n, rel=1e-6)
    assert boroczky(26, 4).value < 0.5 < boroczky(27, 4).value  # type: ignore[union-attr]
    exact = cosine_above("(1+sqrt(5))/4")
    assert 0 <= exact - Fraction(boroczky(120, 4).value) < Fraction(1, 10**14)  # type: ignore[union-attr]


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 7, 13, 100])
def test_plane(n: int) -> None:
    assert best(n, 2).value == pytest.approx(math.cos(2 * math.pi / n), abs=1e-15)
    assert gap(Arrangement(shapes.polygon(n)).max_cosine, n, 2).verdict is Evidence.PROVED
    # Levenshtein's bound is sharp for polygons: another route.
    other = next(b for b in bounds(n, 2) if b.name.startswith("Levenshtein, degree"))
    assert other.value == pytest.approx(best(n, 2).value, abs=1e-13)


def test_small_cases_are_answered() -> None:
    for d in (1, 2, 3, 7, 1000):
        assert best(1, d).value == -1.0
        assert best(1, d, "coherence").value == 0.0
        for n in (2, d, d + 1):
            if n >= 2 and n <= d + 1:
                assert best(n, d).exact == str(Fraction(-1, n - 1))
        if d > 1:
            assert best(d + 2, d).value >= 0.0 and best(2 * d, d).exact == "0"
            assert best(d, d, "coherence").exact == "0"
    assert best(3, 1).value == 1.0 and best(2, 1, "coherence").value == 1.0


def test_random_coding() -> None:
    for n, d in ((10, 3), (100, 4), (50, 10), (3, 7)):
        found = next(
            b for b in bounds(n, d) if b.direction == "at most" and b.quantity == "max_cosine"
        )
        sine = 1 - found.value**2
        half = 0.5 * betainc((d - 1) / 2, 0.5, sine)  # the form in the angle, up to a right angle
        cap = half if found.value >= 0 else 1 - half
        assert cap * (n - 1) == pytest.approx(1.0, rel=1e-9)
        assert found.value > best(n, d).value
    assert points(3, 0)[-1].value == 2.0  # a hemisphere is half of the sphere


@pytest.mark.parametrize(("d", "n"), sorted(EQUIANGULAR | set(SHARP_LINES)))
def test_line_bounds_at_sharp_systems(d: int, n: int) -> None:
    """Welch's bound (or Levenshtein's) and the linear programme agree, and both say attained."""
    found = best(n, d, "coherence")
    assert found.attained is not None and found.exact is not None
    programme = delsarte_cosine(n, d, lines=True)
    assert programme is not None
    assert 0 <= found.value - programme.value + 1e-15 < 1e-9


def test_lines_known_not_to_exist_attain_nothing() -> None:
    """The catalogue refuses 76 lines in R^19 and 96 in R^20, so no bound may say they exist."""
    from packing.catalogue.equiangular_lines import ABSENT

    assert not EQUIANGULAR & set(ABSENT)
    for d, n in ABSENT:
        welch = best(n, d, "coherence")
        assert welch.name == "Welch" and welch.attained is None
        assert gap(welch.value, n, d, quantity="coherence").verdict is Evidence.NUMERICAL


@settings(max_examples=20)
@given(st.integers(2, 4), st.integers(9, 400))
def test_counting_undoes_the_cosine(d: int, n: int) -> None:
    """The bounds by area say n at the cosine that they give for n."""
    name = {2: "polygon", 3: "Fejes Toth", 4: "Boroczky simplex"}[d]
    here = next(b for b in point_bounds(n, d) if b.name == name)
    back = next(b for b in point_counts(d, Fraction(here.value)) if b.name == name)
    assert back.value == pytest.approx(n, rel=1e-9)


def test_gerzon_and_the_relative_bound() -> None:
    assert [best(9, d, "lines").value for d in (2, 3, 7, 23)] == [3, 6, 28, 276]
    assert next(b for b in lines(7, "1/3") if b.name == "relative bound").exact == "28"
    assert next(b for b in lines(15, "1/5") if b.name == "relative bound").exact == "36"


# --- no code beats a bound ----------------------------------------------------------------------


def some_shapes() -> Iterator[np.ndarray]:
    yield from (shapes.icosahedron(), shapes.dodecahedron(), shapes.icosidodecahedron())
    yield from (shapes.cell_600(), shapes.roots_E6(), shapes.code_27(), shapes.code_56())
    yield from (shapes.roots_D(4), shapes.demicube(5), shapes.demicube(6), shapes.cube(4))
    yield from (shapes.simplex(6), shapes.doubled(shapes.simplex(5)), shapes.rectified_simplex(5))


def below(vectors: np.ndarray, shrink: float = 0.0) -> list[str]:
    """Bounds that the code beats; `shrink` fakes a better one."""
    found = Arrangement.from_weights(vectors)
    bad = []
    for b in bounds(found.n, found.d):
        if b.quantity == "max_cosine" and b.direction == "at least":
            bad += [b.name] if found.max_cosine - shrink < b.value - ROUNDING else []
        if b.quantity == "coherence" and found.coherence < 1.0 - ROUNDING:
            bad += [b.name] if found.coherence - shrink < b.value - ROUNDING else []
    return bad


@pytest.mark.parametrize(
    "vectors", list(some_shapes()), ids=lambda v: f"{v.shape[1]} in R^{v.shape[0]}"
)
def test_named_codes_beat_no_bound(vectors: np.ndarray) -> None:
    assert below(vectors) == []
    d, n = vectors.shape
    if sharp_code(n, d) is not None or (d, n) == (4, 120):
        assert below(vectors, 1e-9), "a code better than a sharp one must be caught"


def test_tables_beat_no_bound() -> None:
    optimal = []
    for row in table("tammes_d3.csv")[:60:5]:
        found = gap(float(row["max_cosine"]), int(row["n"]), 3, error=1e-9)
        assert found.verdict in (Evidence.UNSETTLED, Evidence.PROVED) and not found.impossible
        optimal += [int(row["n"])] if found.verdict is not Evidence.UNSETTLED else []
    assert set(optimal) <= {2, 3, 4, 5, 6, 12}
    for row in table("lines_real.csv")[::12]:
        found = gap(
            float(row["coherence"]), int(row["n"]), int(row["d"]), quantity="coherence", error=1e-6
        )
        assert not found.impossible, row
    for row in table("thomson_d3.csv")[::2]:
        assert gap(float(row["energy_here"]), int(row["n"]), 3, quantity="energy").gap > -1e-8


def energy(vectors: np.ndarray) -> float:
    D = np.linalg.norm(vectors[:, :, None] - vectors[:, None, :], axis=0)
    i, j = np.triu_indices(vectors.shape[1], 1)
    return float((1.0 / D[i, j]).sum())


@pytest.mark.parametrize(
    "vectors", list(some_shapes()), ids=lambda v: f"{v.shape[1]} in R^{v.shape[0]}"
)
def test_energy_bound(vectors: np.ndarray) -> None:
    d, n = vectors.shape
    found, reached = coulomb(n, d), energy(vectors)
    assert found is not None and found.evidence is Evidence.NUMERICAL
    assert reached >= found.value
    if sharp_code(n, d) is not None:
        assert reached == pytest.approx(found.value, rel=1e-10)


def test_quadrature_integrates_what_it_should() -> None:
    for n, d in ((13, 3), (24, 4), (30, 5), (500, 3), (9, 8)):
        nodes, weights = quadrature(n, d)
        values = zonal_values(nodes, d, levenshtein.level(n, d))
        np.testing.assert_allclose(weights @ values + 1.0 / n, 0.0, atol=1e-11)
        assert (weights > 0.0).all()


# --- verdicts -----------------------------------------------------------------------------------


def is_open(found: Gap) -> bool:
    return found.verdict is Evidence.UNSETTLED and not found.impossible


def test_verdicts() -> None:
    assert gap("1/sqrt(5)", 12, 3).verdict is Evidence.PROVED
    assert gap(Fraction(1, 4), 27, 6).verdict is Evidence.PROVED
    assert gap("(1+sqrt(5))/4", 120, 4).verdict is Evidence.PROVED
    assert is_open(gap(0.25 + 1e-9, 27, 6))
    assert gap(0.25 + 1e-9, 27, 6, error=1e-8).verdict is Evidence.PROVED
    assert gap(0.25 - 1e-9, 27, 6).impossible
    assert gap("1/4 - 1/10**9", 27, 6).impossible
    assert is_open(gap(0.55, 13, 3))
    # Nothing is known to attain this bound: a number that meets it proves nothing.
    limit = best(13, 3)
    assert limit.attained is None and gap(limit.value, 13, 3).verdict is Evidence.NUMERICAL
    assert gap(1 / 3, 28, 7, quantity="coherence").verdict is Evidence.PROVED


def test_every_bound_says_where_it_holds_and_whose_it_is() -> None:
    for n, d in ((1, 1), (5, 1), (4, 3), (13, 3), (120, 4), (28, 7), (10**6, 1000)):
        found = bounds(n, d)
        assert found == bounds(np.int64(n), np.int64(d))  # type: ignore[arg-type]
        for b in found:
            assert b.holds and b.source and math.isfinite(b.value)
            assert b.to_dict()["rigorous"] == b.evidence in ("proved", "numerical")
            if b.exact is not None:
                import sympy

                exact = Fraction(int(sympy.floor(sympy.sympify(b.exact) * 2**80)), 2**80)
                # On the safe side, and within two ulp of it.
                error = exact - Fraction(b.value) if b.direction == "at least" else 0
                assert -Fraction(1, 2**79) <= error < Fraction(1, 2**51)


@pytest.mark.parametrize("d", [3, 4, 5])
def test_best_is_monotone_in_n(d: int) -> None:
    values = [best(n, d).value for n in (*range(2, 18, 3), 10**3, 10**6, 10**12)]
    # Certificates stop up to 1e-7 short of their limit.
    assert all(a <= b + 1e-7 for a, b in pairwise(values))
    assert values[-1] > values[0]


def test_large_questions() -> None:
    for n, d in (
        (10**6, 1000),
        (10**30, 1000),
        (10**18, 3),
        (10**18, 4),
        (5, 10**6),
        (10**7, 10**6),
    ):
        found = best(n, d)
        assert -1.0 <= found.value < 1.0
        assert 0.0 <= best(n, d, "coherence").value <= 1.0
    assert skipped(10**6, 1000) is not None and skipped(24, 3) is None
    assert SHARP[24, 196560] in (best(196560, 24).attained or "")


@pytest.mark.parametrize(
    "call",
    [
        lambda: bounds(0, 3),
        lambda: bounds(3, -1),
        lambda: bounds(3.0, 3),  # type: ignore[arg-type]
        lambda: bounds(True, 3),
        lambda: bounds([3], 3),  # type: ignore[arg-type]
        lambda: best(5, 3, "volume"),  # type: ignore[arg-type]
        lambda: best(1, 3, "energy"),
        lambda: delsarte(3, 1.0),
        lambda: delsarte(3, -1.1),
        lambda: delsarte(3, math.nan),
        lambda: delsarte(3, math.inf),
        lambda: delsarte(3, "half"),
        lambda: delsarte(3, "1/0"),
        lambda: delsarte(3, "I/2"),
        lambda: delsarte(3, "9**9**9**9"),
        lambda: delsarte(3, "1e-99999999999"),
        lambda: delsarte(3, "__import__('os').getpid()"),
        lambda: delsarte(3, "sqrt(-1)"),
        lambda: delsarte(3, "sqrt(5"),
        lambda: delsarte(3, ""),
        lambda: delsarte(1, 0.5),
        lambda: delsarte(3, 0.0, lines=True),
        lambda: delsarte(3, -0.5, lines=True),
        lambda: delsarte_cosine(3, 3),
        lambda: points(3, None),  # type: ignore[arg-type]
        lambda: lines(3, 1),
        lambda: gap(math.nan, 5, 3),
        lambda: gap(None, 5, 3),  # type: ignore[arg-type]
        lambda: gap(0.5, 5, 3, error=-1.0),
        lambda: gap(0.5, 5, 3, error=math.nan),
    ],
)
def test_bad_input(call: object) -> None:
    with pytest.raises(BadInput):
        call()  # type: ignore[operator]
