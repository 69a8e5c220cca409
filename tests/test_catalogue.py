"""packing.catalogue: every entry is what it says, by routes that do not share a formula.

Exact ranks are found by flint from the texts of the cosines as sympy reads them, symmetry orders
by a search, claims by the theorem they rest on; the classical coordinates meet reflection groups.
"""

from __future__ import annotations

import csv
import json
import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import flint
import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from packing import catalogue
from packing.algebra.number_fields import (
    RATIONALS,
    TRIBONACCI,
    cosine_of_turn,
    cosines_of_turns,
    double_cosine,
    quadratic,
)
from packing.arrangement import Arrangement
from packing.catalogue import candidates, entries, entry
from packing.catalogue.codes import FOURTEEN, SEVEN, TEN, THIRTEEN, Frame, layers
from packing.catalogue.entry_types import Cosine, Entry, ExactGram
from packing.catalogue.exact import Points, assemble, from_table, neighbours, simplex_points
from packing.catalogue.lattices import roots_E8
from packing.catalogue.polytopes import (
    FAMILIES,
    antiprism,
    orbit,
    orbit_size,
    prism,
    prism_entry,
    prisms,
)
from packing.catalogue.references import GERZON, UNIVERSAL
from packing.errors import BadInput
from packing.symmetry import relabelling, symmetry_order

ALL = entries()
BUILT = [one for one in ALL if one.built and one.n <= 300]
IDS = [one.name for one in BUILT]
every = pytest.mark.parametrize("one", BUILT, ids=IDS)

FIELDS = [
    quadratic(2),
    quadratic(5),
    TRIBONACCI,
    SEVEN,
    TEN,
    THIRTEEN,
    FOURTEEN,
    double_cosine(7).field,
]
FIELDS += [double_cosine(N).field for N in (9, 11, 16, 26, 60)]


# --- reading the exact texts with sympy and flint -----------------------------------------------


def read(texts: Sequence[str]) -> tuple[flint.fmpz_poly, list[flint.fmpq_poly]]:
    """The numbers as polynomials in one generator, and its minimal polynomial, by flint.

    Next to cosines of parts of a turn, square roots are written as such cosines too.
    """
    if any("cos" in text for text in texts):
        roots = {"sqrt(2)": "2*cos(2*pi/8)", "sqrt(3)": "2*cos(2*pi/12)"}
        roots |= {"sqrt(5)": "(1 + 4*cos(2*pi/5))"}
        for root, cosine in roots.items():
            texts = [text.replace(root, cosine) for text in texts]
    turn = re.compile(r"cos\((?:(\d+)\*)?pi/(\d+)\)")
    turns = [Fraction(int(p or 1), 2 * int(q)) for text in texts for p, q in turn.findall(text)]
    other = {x for text in texts for x in re.findall(r"sqrt\(\d+\)|CRootOf\(.*?, \d\)", text)}
    assert len(other) + bool(turns) <= 1, "cosines of two fields: the test cannot read them"
    x = flint.fmpq_poly([0, 1])
    minimal = flint.fmpz_poly([0, 1])
    if turns:
        N = math.lcm(*(t.denominator for t in turns))
        minimal = flint.fmpz_poly.cos_minpoly(N)
    for generator in other:
        if generator.startswith("sqrt"):
            minimal = flint.fmpz_poly([-int(generator[5:-1]), 0, 1])
        else:
            polynomial = sympy.Poly(generator[8:].rpartition(",")[0], sympy.Symbol("x"))
            minimal = flint.fmpz_poly([int(c) for c in reversed(polynomial.all_coeffs())])
        texts = [text.replace(generator, "x") for text in texts]

    def cosine(found: re.Match[str]) -> str:
        return f"C({int(Fraction(int(found[1] or 1), 2 * int(found[2])) * N)})"

    def chebyshev(k: int) -> flint.fmpq_poly:
        before, now = flint.fmpq_poly([2]), x
        for _ in range(k):
            before, now = now, (x * now - before) % flint.fmpq_poly(minimal)
        return before / 2

    numbers = []
    for text in texts:
        program = re.sub(r"(?<!\*\*)(?<![\d(])\b\d+", r"Q(\g<0>)", turn.sub(cosine, text))
        program = re.sub(r"C\(Q\((\d+)\)\)", r"C(\1)", program)
        value = eval(program, {"x": x, "C": chebyshev, "Q": flint.fmpq})
        numbers.append(
            (flint.fmpq_poly([0]) + value) % flint.fmpq_poly(minimal)
            if minimal.degree() > 1
            else flint.fmpq_poly([value])
        )
    return minimal, numbers


def degree(gram: ExactGram) -> int:
    """Degree of the field of its cosines."""
    return int(read([c.text for c in gram.cosines])[0].degree())


def rank(gram: ExactGram) -> int:
    """Exact rank: every number becomes the matrix of multiplication by it, over the rationals."""
    minimal, numbers = read([c.text for c in gram.cosines])
    size, modulus = int(minimal.degree()), flint.fmpq_poly(minimal)
    powers = [flint.fmpq_poly([0] * k + [1]) for k in range(size)]
    blocks = []
    for number in numbers:
        images = [number * power % modulus if size > 1 else number for power in powers]
        blocks.append([[image[i] for image in images] for i in range(size)])
    common = math.lcm(*(int(x.q) for block in blocks for row in block for x in row))
    whole = np.array([[[int(x * common) for x in row] for row in block] for block in blocks])
    full = whole.astype(object)[gram.colours].transpose(0, 2, 1, 3)
    found = flint.fmpz_mat(full.reshape(gram.n * size, gram.n * size).tolist()).rank()
    assert found % size == 0
    return int(found) // size


def recoloured(gram: ExactGram) -> ExactGram:
    """The same with one cosine exchanged for another: no longer of low rank."""
    colours = np.array(gram.colours)
    colours[0, 1] = colours[1, 0] = next(c for c in range(len(gram.cosines)) if c != colours[0, 1])
    return ExactGram(colours, gram.cosines)


# --- every entry --------------------------------------------------------------------------------


@every
def test_exact_gram_has_rank_d_and_is_positive(one: Entry) -> None:
    """The rank is exact. Weyl: floats move eigenvalues by less than n^2 ulp = 2e-11, so those
    above 1e-6 are positive, and if there are d of them the others are exactly 0."""
    if one.n * degree(one.gram) > 320:
        pytest.skip("too large for exact elimination here; its construction has a test of its own")
    assert rank(one.gram) == one.d
    values = np.linalg.eigvalsh(one.gram.floats)
    assert (values > 1e-6).sum() == one.d
    assert np.abs(values[: -one.d]).max(initial=0.0) < 1e-10


@pytest.mark.parametrize("name", ["icosahedron", "24-cell", "best 10 points", "heptagonal prism"])
def test_rank_notices_one_wrong_cosine(name: str) -> None:
    assert rank(recoloured(entry(name).gram)) > entry(name).d


@every
def test_vectors_agree_with_the_exact_gram(one: Entry) -> None:
    V, G = one.vectors, one.gram
    assert V.shape == (one.d, one.n) and not V.flags.writeable
    assert np.abs(V.T @ V - G.floats).max() < 1e-14
    assert np.array_equal(G.colours, G.colours.T) and not np.diag(G.colours).any()
    bent = V.copy()
    bent[0, 0] += 1e-10
    assert np.abs(bent.T @ bent - G.floats).max() > 1e-14


@every
def test_rows_are_those_of_the_gram(one: Entry) -> None:
    def key(rows):
        return Counter({tuple((c.text, c.value, m) for c, m in row): count for count, row in rows})

    found = Counter(one.gram.row(i) for i in range(one.n))
    assert key((count, row) for row, count in found.items()) == key(one.rows)
    assert sum(count for count, _ in one.rows) == one.n
    assert all(sum(m for _, m in row) == one.n - 1 for _, row in one.rows)
    best = max(c.value for c in one.gram.cosines[1:]) if one.n > 1 else None
    assert one.max_cosine.value == best
    assert one.n < 3 or key(recoloured(one.gram).rows) != key(one.rows)


@pytest.mark.parametrize("one", [x for x in ALL if x.rows], ids=lambda x: x.name)
def test_texts_and_decimals_agree(one: Entry) -> None:
    """Two ulp of the text's value, or of 1 where cosines cancel to less."""
    for cosine in dict.fromkeys(c for _, row in one.rows for c, _ in row):
        exact = sympy.N(cosine.exact, 30)
        assert abs(exact - sympy.Float(cosine.value, 30)) <= 2 * math.ulp(abs(cosine.value))
    decreasing = [[c.value for c, _ in row] for _, row in one.rows]
    assert all(row == sorted(set(row), reverse=True) for row in decreasing)


UNEVEN = ("prism", "best", "less a vertex")  # their frames have two or more eigenvalues
TIGHT = [one for one in ALL if not any(word in one.name for word in UNEVEN)]


@pytest.mark.parametrize("one", TIGHT, ids=lambda x: x.name)
def test_irreducible_symmetry_makes_tight_frames(one: Entry) -> None:
    """Schur: sum_j c_ij^2 = n/d for every i, and the vectors add up to 0; sums in 40 digits."""
    for _, row in one.rows:
        values = [(sympy.N(c.exact, 40), m) for c, m in row]
        assert abs(1 + sum(m * c**2 for c, m in values) - sympy.Rational(one.n, one.d)) < 1e-30
        assert abs(1 + sum(m * c for c, m in values)) < 1e-30


def test_the_tight_frame_identity_notices_a_frame_that_is_not() -> None:
    row = entry("triangular prism").rows[0][1]
    assert abs(1 + sum(m * c.value**2 for c, m in row) - 2) > 0.01


@pytest.mark.parametrize("one", [x for x in BUILT if x.n <= 240], ids=lambda x: x.name)
def test_symmetry_order_against_a_search(one: Entry) -> None:
    if one.symmetry_order is None:
        pytest.skip("no order in the literature")
    assert symmetry_order(one.arrangement) == one.symmetry_order


def test_symmetry_search_notices_a_moved_vector() -> None:
    V = entry("24-cell").vectors.copy()
    V[:, 0] = [0.6, 0.8, 0.0, 0.0]
    assert symmetry_order(Arrangement.from_weights(V)) != 1152


def test_no_two_entries_are_the_same_arrangement() -> None:
    kinds: dict[object, list[Entry]] = {}
    for one in ALL:
        rows = sorted((n, tuple((round(c.value, 9), m) for c, m in row)) for n, row in one.rows)
        kinds.setdefault((one.n, one.d, str(rows)), []).append(one)
    for alike in kinds.values():
        for i, one in enumerate(alike):
            for other in alike[:i]:
                assert one.built and other.built, (one.name, other.name)
                order = relabelling(one.vectors, other.arrangement)
                assert order is None, f"{one.name} is {other.name}"
    names = [x for one in ALL for x in dict.fromkeys((one.name, *one.aliases))]
    assert len(names) == len(set(names))


# --- claims -------------------------------------------------------------------------------------


def strength(one: Entry) -> int:
    """Largest t such that the vectors are a spherical t-design (sums of Gegenbauer polynomials)."""
    t = 0
    values = [(c.value, m * n) for n, row in one.rows for c, m in row] + [(1.0, one.n)]
    before, now = [1.0] * len(values), [c for c, _ in values]
    while abs(sum(p * m for p, (_, m) in zip(now, values, strict=True))) < 1e-9 * one.n**2:
        t += 1
        after = [
            ((2 * t + one.d - 2) * c * p - t * q) / (t + one.d - 2)
            for (c, _), p, q in zip(values, now, before, strict=True)
        ]
        before, now = now, after
    return t


def claimed(kind: str) -> list[Entry]:
    return [one for one in ALL if any(c.optimal_for == kind for c in one.claims)]


@pytest.mark.parametrize("one", [x for x in claimed("universal") if x.d > 1], ids=lambda x: x.name)
def test_universal_claims_meet_the_theorem(one: Entry) -> None:
    """Cohn and Kumar 2007, theorem 1.2: m cosines and a (2m - 1)-design. Their 600-cell, and what
    others proved or conjectured, are just the ones that this theorem does not reach."""
    cosines = {c.text for _, row in one.rows for c, _ in row}
    sharp = strength(one) >= 2 * len(cosines) - 1
    (claim,) = (c for c in one.claims if c.optimal_for == "universal")
    assert sharp == (claim == UNIVERSAL and one.name != "600-cell")


@pytest.mark.parametrize("name", ["24-cell", "cuboctahedron", "Petersen code", "dodecahedron"])
def test_codes_that_are_not_sharp_are_not_called_universal(name: str) -> None:
    one = entry(name)
    assert strength(one) < 2 * len({c.text for _, row in one.rows for c, _ in row}) - 1
    assert all(c.optimal_for != "universal" for c in one.claims)


def lines_bound(n: int, d: int) -> float:
    """Welch, orthoplex and Levenshtein bounds on the coherence of n lines in R^d."""
    if n <= d:
        return 0.0
    found = [math.sqrt((n - d) / (d * (n - 1)))]
    if n > d * (d + 1) / 2:
        found += [1 / math.sqrt(d), math.sqrt((3 * n - d * d - 2 * d) / ((d + 2) * (n - d)))]
    return max(found)


@pytest.mark.parametrize("one", claimed("lines"), ids=lambda x: x.name)
def test_lines_claims_meet_their_bounds(one: Entry) -> None:
    """Antipodal vectors are one line; a claim that cites an antipodal code needs that code's."""
    antipodal = any(c.text == "-1" for c, _ in one.rows[0][1])
    lines = one.n // 2 if antipodal else one.n
    source = next(c.source for c in one.claims if c.optimal_for == "lines")
    if "antipodal" in source:
        assert antipodal and one.proved("spherical code")
    else:
        assert lines_bound(lines, one.d) == pytest.approx(abs(one.coherence.value), abs=1e-12)
    assert lines_bound(lines + 1, one.d) != pytest.approx(abs(one.coherence.value), abs=1e-6)


def test_kissing_and_equiangular_claims_are_at_least_possible() -> None:
    """Spheres that touch one and do not overlap are seen at 60 degrees or more; equiangular lines
    have one |cosine|, and as many as Gerzon's bound where that is cited."""
    assert {"24-cell", "cuboctahedron", "E8 roots"} <= {x.name for x in claimed("kissing")}
    assert all(one.max_cosine.value <= 0.5 for one in claimed("kissing"))
    for one in claimed("equiangular lines"):
        sizes = {round(abs(c.value), 12) for _, row in one.rows for c, _ in row if c.text != "-1"}
        assert len(sizes) == 1, one.name
        if any(c.source == GERZON for c in one.claims):
            assert one.n == one.d * (one.d + 1)


@pytest.mark.parametrize("one", [x for x in ALL if x.d == 3 and x.n > 2], ids=lambda x: x.name)
def test_nothing_beats_fejes_toth(one: Entry) -> None:
    """Fejes Toth 1943, with equality for the triangle's relatives n = 4, 6, 12 and no others."""
    w = one.n * math.pi / (6 * (one.n - 2))
    bound = (1 / math.tan(w) ** 2 - 1) / 2
    meets = one.max_cosine.value == pytest.approx(bound, abs=1e-12)
    assert one.max_cosine.value > bound - 1e-12
    assert meets == (one.name in ("tetrahedron", "octahedron", "icosahedron"))


def reference() -> list[dict[str, str]]:
    file = Path(__file__).parent / "data" / "reference" / "exact_codes.csv"
    lines = [x for x in file.read_text().splitlines() if not x.startswith("#")]
    return list(csv.DictReader(lines))


def test_largest_cosines_against_the_reference_table() -> None:
    met = set()
    for row in reference():
        if not (row["d"].isdigit() and row["n"].isdigit() and row["max_cosine_float"]):
            continue
        n, d, cosine = int(row["n"]), int(row["d"]), float(row["max_cosine_float"])
        found = entries(n, d, largest=200_000)
        if not found:
            continue
        assert min(x.max_cosine.value for x in found) > cosine - 1e-14
        best = [x for x in found if x.proved("spherical code")]
        if best:
            assert all(abs(x.max_cosine.value - cosine) < 1e-14 for x in best)
            if row["aut_order"]:
                assert int(row["aut_order"]) in [x.symmetry_order for x in best]
            met.add((d, n))
    assert {
        (3, 7),
        (3, 8),
        (3, 9),
        (3, 10),
        (3, 11),
        (3, 12),
        (3, 14),
        (3, 24),
        (4, 24),
        (4, 120),
    } <= met
    assert {(5, 16), (6, 27), (7, 56), (8, 240), (20, 56), (21, 50), (22, 100), (22, 275)} <= met


# --- constructions meet reflection groups -------------------------------------------------------

WYTHOFF = [
    ("tetrahedron", "A", 3, (1,)),
    ("octahedron", "B", 3, (1,)),
    ("cuboctahedron", "B", 3, (2,)),
    ("cube", "B", 3, (3,)),
    ("icosahedron", "H", 3, (1,)),
    ("icosidodecahedron", "H", 3, (2,)),
    ("dodecahedron", "H", 3, (3,)),
    ("Petersen code", "A", 4, (2,)),
    ("A4 roots", "A", 4, (1, 4)),
    ("tesseract", "B", 4, (4,)),
    ("24-cell", "F", 4, (1,)),
    ("24-cell", "D", 4, (2,)),
    ("600-cell", "H", 4, (1,)),
    ("birectified 5-simplex", "A", 5, (3,)),
    ("5-demicube", "D", 5, (5,)),
    ("D5 roots", "D", 5, (2,)),
    ("Schlaefli code", "E", 6, (1,)),
    ("E6 roots", "E", 6, (6,)),
    ("E7 56-code", "E", 7, (6,)),
    ("E7 roots", "E", 7, (1,)),
    ("E8 roots", "E", 8, (7,)),
]


@pytest.mark.parametrize(("name", "letter", "d", "rings"), WYTHOFF)
def test_coordinates_meet_reflection_groups(name, letter, d, rings) -> None:
    one, found = entry(name), orbit(letter, d, rings)
    assert found.n == one.n == orbit_size(letter, d, rings)
    assert relabelling(found.floats(), one.arrangement) is not None
    (_, row), (_, other) = found.gram().rows[0], one.rows[0]
    assert [(c.text, m) for c, m in row] == [(c.text, m) for c, m in other]


def test_best_codes_close_up_at_their_cosine_only() -> None:
    """At x = 5/9, near the root 0.5639... for fourteen points, some of the contacts are lost."""
    x = RATIONALS(Fraction(5, 9))
    frame = Frame(x, x)
    pole = frame.axes[0]
    points = [pole, [-z for z in pole], *(v for ring in layers(frame) for v in ring)]
    with pytest.raises(ArithmeticError, match="pairs touch where there should be 28"):
        frame.gram(points, 28)


def test_another_ring_is_another_polytope() -> None:
    assert relabelling(orbit("H", 3, (3,)).floats(), entry("icosahedron").arrangement) is None


def test_the_600_cell_is_closed_under_its_reflections() -> None:
    X = entry("600-cell").vectors
    image = X - 2.0 * np.outer(X[:, 0], X[:, 0] @ X)
    assert ((X.T @ image) > 1 - 1e-12).sum() == 120


@pytest.mark.parametrize("name", ["snub cube", "truncated icosahedron", "truncated cube"])
def test_uniform_solids_have_regular_faces(name: str) -> None:
    """Touching pairs per vertex as the solid's symbol says: 3.3.3.3.4, 5.6.6, 3.8.8."""
    degree = {"snub cube": 5}.get(name, 3)
    assert [row[0][1] for _, row in entry(name).rows] == [degree]


# --- exact numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize("field", FIELDS, ids=lambda f: f.symbol)
def test_fields_have_irreducible_polynomials_and_one_root_in_reach(field) -> None:
    polynomial = sympy.Poly(field.monic[::-1], sympy.Symbol("x"))
    assert polynomial.is_irreducible and polynomial.is_monic
    low, high = map(sympy.Rational, field.generator.point.interval)
    assert polynomial.count_roots(low, high) == 1
    a = field.generator.near
    assert abs(polynomial.eval(sympy.Rational(a.numerator, a.denominator))) < 2.0**-180
    assert (
        abs(sympy.N(field.scale * sympy.sympify(field.symbol), 40) - sympy.N(float(a), 17)) < 1e-12
    )


small = st.fractions(-9, 9, max_denominator=12)


@settings(max_examples=60)
@given(st.sampled_from(FIELDS), st.data())
def test_numbers_against_decimals_of_their_texts(field, data) -> None:
    x, y = (field(*data.draw(st.lists(small, max_size=field.degree))) for _ in range(2))
    texts = [sympy.N(sympy.sympify(z.text), 40) for z in (x, y, x * y, x - y)]
    assert abs(texts[0] * texts[1] - texts[2]) < 1e-30
    assert abs(texts[0] - texts[1] - texts[3]) < 1e-30
    assert abs(float(x) - float(texts[0])) <= 1e-15 * max(1.0, abs(float(x)))
    if any(x.coefficients):
        assert x * x.inverse() == 1 + field(0) and (y / x) * x == y
    assert (x == y) == (x.coefficients == y.coefficients)


@settings(max_examples=200)
@given(st.integers(0, 400), st.integers(1, 400))
def test_cosines_of_turns_to_two_ulp(j: int, N: int) -> None:
    got = cosine_of_turn(j, N)
    with mpmath.workdps(40):
        exact = mpmath.cos(2 * mpmath.pi * j / N)
        assert abs(exact - got.value) <= 2 * math.ulp(abs(got.value)) or abs(exact) < 1e-30
    if N <= 24:
        assert (
            abs(
                sympy.N(got.exact, 30) - sympy.N(sympy.cos(2 * sympy.pi * sympy.Rational(j, N)), 30)
            )
            < 1e-25
        )
        field = cosines_of_turns(N, j % N)[-1]
        assert abs(field.near - Fraction(got.value)) < 1e-15


def test_assembling_refuses_what_is_no_gram() -> None:
    one, half = RATIONALS(1), RATIONALS(Fraction(1, 2))
    with pytest.raises(ValueError, match="not the inner products"):
        assemble(np.array([[1, 0], [0, 1]]), [one, half])
    with pytest.raises(ValueError, match="not the inner products"):
        from_table([[one, -3 * half], [-3 * half, one]])
    with pytest.raises(ValueError, match="different lengths"):
        Points(np.array([[1, 0], [1, 1]])).gram()
    with pytest.raises(ValueError, match="too large"):
        Points(np.array([[2**30, 0], [0, 2**30]])).gram()


def test_equal_numbers_share_a_colour() -> None:
    half = quadratic(5)(Fraction(1, 2))
    gram = assemble(
        np.array([[0, 1, 2], [1, 0, 1], [2, 1, 0]]), [half + half, half, half * half * 2]
    )
    assert [c.text for c in gram.cosines] == ["1", "1/2"]


def test_neighbours_of_neighbours() -> None:
    seen = neighbours(neighbours(roots_E8()))
    assert seen.shape == (27, 8) and np.linalg.matrix_rank(seen) == 6


# --- families -----------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.sampled_from(FAMILIES), st.integers(0, 40))
def test_families_count_what_they_build(family, step: int) -> None:
    p = family.first + step
    while family.size(p)[0] > 260:
        p = family.first + (p - family.first) // 2
    one = family.make(p)
    assert (one.n, one.d) == family.size(p)
    assert one.rows == one.gram.rows
    if rank_in_reach(one):
        assert rank(one.gram) == one.d
    assert entry(family.pattern.format(p)).name == one.name
    assert np.abs(one.vectors.T @ one.vectors - one.gram.floats).max() < 1e-14
    C = one.gram.floats
    assert np.abs(C.sum(axis=1)).max() < 1e-10
    assert np.abs((C**2).sum(axis=1) - one.n / one.d).max() < 1e-10
    assert len(one.arrangement.blocks()) == (1 if family.rigid else one.d)


def rank_in_reach(one: Entry) -> bool:
    return one.n * degree(one.gram) <= 120


@settings(max_examples=30)
@given(st.integers(1, 300))
def test_simplices(d: int) -> None:
    one = entry(f"{d}-simplex")
    ((count, row),) = one.rows
    assert count == d + 1 and [(c.exact, m) for c, m in row] == [(-sympy.Rational(1, d), d)]
    assert one.symmetry_order == math.factorial(d + 1)
    assert np.array_equal(simplex_points(d).sum(axis=0), np.zeros(d + 1))


@settings(max_examples=20)
@given(st.integers(3, 9), st.booleans(), st.fractions(Fraction(1, 50), Fraction(49, 50)))
def test_prisms_of_any_height(k: int, twisted: bool, square: Fraction) -> None:
    one = prism_entry(k, twisted, square)
    floats = (antiprism if twisted else prism)(k, math.sqrt(square))
    assert np.abs(floats.T @ floats - one.gram.floats).max() < 1e-14
    named = [shape.name for shape in prisms(floats) if np.allclose(shape.vectors, floats)]
    assert one.name.startswith(named[0])
    assert rank(one.gram) == 3


@pytest.mark.parametrize(
    ("k", "twisted", "order"), [(4, False, 48), (2, True, 24), (3, True, 48), (5, True, 20)]
)
def test_prisms_that_are_regular_solids(k: int, twisted: bool, order: int) -> None:
    one = prism_entry(k, twisted, Fraction(1, 3) if k < 5 else Fraction(1, 5))
    assert one.symmetry_order == symmetry_order(one.arrangement) == order
    equal = prism_entry(k, twisted)
    assert equal.symmetry_order == order
    assert equal.rows[0][1] == one.rows[0][1]


@pytest.mark.parametrize("k", range(3, 13))
@pytest.mark.parametrize("twisted", [False, True])
def test_prisms_have_equal_edges(k: int, twisted: bool) -> None:
    """Every vertex of a prism has three edges, of an antiprism four; for k > 4 nothing is nearer
    than the ends of an edge."""
    if k > 4:
        assert prism_entry(k, twisted).rows[0][1][0][1] == 3 + twisted


@pytest.mark.parametrize("square", [Fraction(0), Fraction(1), Fraction(-1, 2)])
def test_prisms_refuse_other_heights(square: Fraction) -> None:
    with pytest.raises(BadInput, match=r"out of range: give one in \(0, 1\)"):
        prism_entry(5, True, square)
    with pytest.raises(BadInput, match="too small: give the number of sides"):
        prism_entry(2)


def test_prisms_are_proposed_for_even_numbers_of_vectors_in_space_only() -> None:
    assert not list(prisms(np.eye(4)[:, :4])) and not list(prisms(np.eye(3)))
    assert len(list(prisms(antiprism(5, 0.4)))) == 6


# --- asking -------------------------------------------------------------------------------------


def test_entries_by_size() -> None:
    assert {"icosahedron", "cuboctahedron", "truncated tetrahedron"} <= {
        x.name for x in entries(12, 3)
    }
    assert {x.d for x in entries(d=4)} == {4} and "600-cell" in {x.name for x in entries(d=4)}
    assert "600-cell" not in {x.name for x in entries(d=4, largest=100)}
    assert [x.name for x in entries(1001, 1000)] == ["1000-simplex"]
    assert [x.name for x in entries(97, 2)] == ["97-gon"]
    assert entries(3, 17) == ()
    assert all(one.n <= 50 for one in entries(largest=50))
    for wrong in (0, -1, 2.5):
        with pytest.raises(BadInput, match="give a positive whole number"):
            entries(wrong)


@pytest.mark.parametrize(
    ("name", "standard"),
    [
        ("24-CELL", "24-cell"),
        ("24 cell", "24-cell"),
        ("D4 roots", "24-cell"),
        ("13-gon", "13-gon"),
        ("5-gon", "pentagon"),
        ("4-gon", "square"),
        ("3-gon", "triangle"),
        ("2-simplex", "triangle"),
        ("7-simplex", "7-simplex"),
        ("1-simplex", "digon"),
        ("6-cross-polytope", "6-cross-polytope"),
        ("4-orthoplex", "16-cell"),
        ("3-demicube", "tetrahedron"),
        ("Clebsch code", "5-demicube"),
        ("Clebsch", "5-demicube"),
        ("petersen", "Petersen code"),
        ("rectified 4-simplex", "Petersen code"),
        ("doubled 4-simplex", "doubled 5-cell"),
        ("D7 roots", "D7 roots"),
        ("A3 roots", "cuboctahedron"),
        ("square antiprism", "square antiprism"),
        ("4-gonal prism", "cube"),
        ("triangular antiprism", "octahedron"),
        ("31-gonal antiprism", "31-gonal antiprism"),
        ("Schläfli code", "Schlaefli code"),
        ("srg(100,22,0,6)", "Higman-Sims code"),
    ],
)
def test_names(name: str, standard: str) -> None:
    assert entry(name).name == standard


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("icosahedrn", "'icosahedrn' is not in the catalogue: try icosahedron"),
        ("the shape of things", "not in the catalogue: try"),
        ("", "is no name: give one such as"),
        ("2-gon", "give a number of at least 3"),
        ("-3-gon", "not in the catalogue"),
        ("0-simplex", "give a number of at least 1"),
        ("99999-cube", "too large: give a number of at most"),
    ],
)
def test_names_that_are_none(name: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        entry(name)


def test_what_does_not_fit_in_memory_is_refused_before_it_is_made() -> None:
    cube = entry("60-cube")
    assert cube.n == 2**60 and cube.max_cosine == Cosine("29/30", 29 / 30, Fraction(0))
    with pytest.raises(BadInput, match=r"60 x about 2\^60 numbers and need about 2\^39 GiB"):
        cube.vectors  # noqa: B018
    with pytest.raises(BadInput, match="use its rows alone"):
        cube.gram  # noqa: B018
    with pytest.raises(BadInput, match=r"20000 x 20000 numbers and need 2 GiB"):
        Entry("x", 1, 20000, (), 1, (), "", build=lambda: entry("digon").gram).gram  # noqa: B018


def test_entries_known_by_parameters_only_say_so() -> None:
    one = Entry("srg(65,32,15,16) code", 32, 65, entry("digon").rows, None, (), "")
    assert not one.built
    with pytest.raises(BadInput, match="no construction here, only rows"):
        one.vectors  # noqa: B018
    with pytest.raises(BadInput, match="no construction here, only rows"):
        one.gram  # noqa: B018


@every
def test_facts_are_plain_values(one: Entry) -> None:
    facts = json.loads(json.dumps(one.to_dict(), allow_nan=False))
    assert facts["n"] == one.n and facts["max_cosine"]["value"] == one.max_cosine.value
    assert sum(row["count"] for row in facts["rows"]) == one.n
    assert facts["construction"] and all(c["source"] for c in facts["claims"])


# --- candidates ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "d", "name"),
    [
        (3, 2, "triangle"),
        (5, 2, "pentagon"),
        (12, 2, "dodecagon"),
        (4, 3, "tetrahedron"),
        (8, 3, "cube"),
        (12, 3, "icosahedron"),
        (12, 3, "cuboctahedron"),
        (20, 3, "dodecahedron"),
        (30, 3, "icosidodecahedron"),
        (10, 4, "Petersen code"),
        (10, 4, "doubled 5-cell"),
        (16, 4, "tesseract"),
        (20, 4, "A4 roots"),
        (24, 4, "24-cell"),
        (120, 4, "600-cell"),
        (16, 5, "5-demicube"),
        (40, 5, "D5 roots"),
        (15, 5, "rectified 5-simplex"),
        (27, 6, "Schlaefli code"),
        (72, 6, "E6 roots"),
        (56, 7, "E7 56-code"),
        (126, 7, "E7 roots"),
        (240, 8, "E8 roots"),
        (100, 22, "Higman-Sims code"),
    ],
)
def test_candidates(n: int, d: int, name: str) -> None:
    found = candidates(n, d)
    assert name in [one.name for one in found]
    for one in found:
        assert one.vectors.shape == (d, n)
        assert len(one.arrangement.blocks()) == 1


def test_what_splits_is_no_candidate() -> None:
    """A square is two digons, an octahedron three; R^1 and too few vectors have no shapes."""
    assert candidates(4, 2) == () and "octahedron" not in [x.name for x in candidates(6, 3)]
    assert candidates(2, 1) == () and candidates(3, 3) == ()
    assert not any("cross" in x.name for d in range(2, 12) for x in candidates(2 * d, d))


def test_candidates_need_no_heavy_library() -> None:
    code = (
        "import sys\n"
        "from packing.catalogue import candidates, entries, entry\n"
        "light = set(sys.modules)\n"
        "[x.vectors for n, d in ((27, 6), (120, 4), (9, 2), (24, 3)) for x in candidates(n, d)]\n"
        "entries(), entry('E8 roots'), entry('13-gon').rows\n"
        "print(sorted({'sympy', 'canonaut', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_public_names_exist() -> None:
    assert all(getattr(catalogue, name) is not None for name in catalogue.__all__)
