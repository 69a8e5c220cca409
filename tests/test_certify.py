"""Rational certificates against a naive check in fractions, and with negative controls."""

from __future__ import annotations

import dataclasses
import itertools
import json
import time
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapes import cube, icosahedron, roots_D, roots_E8, simplex

from packing.errors import BadInput
from packing.proofs.certificates import Certificate, breaker, certify, certify_at, degrees_below

LOSS = 1e-14  # what the certificate may lose against the floats, as promised


def above(x, y, c: Fraction, lines: bool) -> bool:
    """Independent route: compares signed squares of cosines as fractions, no screen."""
    dot = sum(a * b for a, b in zip(x, y, strict=True))
    square = Fraction(dot * dot, sum(a * a for a in x) * sum(b * b for b in y))
    signed = square if dot >= 0 or lines else -square
    return signed > (c * c if c >= 0 else -c * c)


def naive(rows, c: Fraction, lines: bool = False) -> bool:
    return not any(above(x, y, c, lines) for x, y in itertools.combinations(rows, 2))


def random_vectors(n: int, d: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(d, n))


@given(
    st.integers(2, 9),
    st.integers(1, 5),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["angle", "lines"]),
    st.sampled_from([1, 7, 10**6, 10**16]),
)
def test_the_bound_is_the_least_multiple_that_holds(n, d, seed, criterion, denominator):
    found = certify(random_vectors(n, d, seed), criterion, denominator=denominator)
    lines = criterion == "lines"
    assert found.proved and found.verify() and naive(found.integers, found.cosine, lines)
    below = found.cosine - Fraction(1, denominator)
    if found.cosine.denominator == denominator or denominator == 1:
        assert not naive(found.integers, below, lines) or below < -1


@pytest.mark.parametrize("criterion", ["angle", "lines"])
@pytest.mark.parametrize("n, d", [(5, 3), (40, 3), (60, 8), (30, 24)])
def test_rounding_loses_less_than_promised(n, d, criterion):
    W = random_vectors(n, d, n)
    found = certify(W, criterion)
    with mpmath.workdps(40):  # the float vectors' own largest cosine, far beyond double precision
        U = [mpmath.matrix([mpmath.mpf(float(v)) for v in w]) for w in W.T]
        cosines = [
            (x.T * y)[0] / mpmath.norm(x) / mpmath.norm(y) for x, y in itertools.combinations(U, 2)
        ]
        top = max(abs(c) if criterion == "lines" else c for c in cosines)
        assert abs(mpmath.mpf(found.cosine.numerator) / found.cosine.denominator - top) < LOSS


def test_whole_numbers_are_kept_and_give_simple_bounds():
    e = np.eye(4)
    pairs = itertools.combinations(range(4), 2)
    roots = np.array([a * e[i] + b * e[j] for i, j in pairs for a in (1, -1) for b in (1, -1)]).T
    assert certify(roots).cosine == Fraction(1, 2) and certify(roots).degrees == 60.0
    assert certify(np.sign(cube(3))).cosine == Fraction(1, 3)
    assert certify(4.0 * np.eye(4) - 1.0).cosine == Fraction(-1, 3)
    assert certify(np.eye(3), "lines").cosine == 0 and certify(np.eye(3)).degrees == 90.0
    assert certify_at(roots, "1/2").proved
    assert not certify_at(roots, Fraction(1, 2) - Fraction(1, 10**40)).proved  # negative control


def test_a_negative_bound_turns_the_inequality_round():
    found = certify(simplex(5))
    assert Fraction(-1, 5) <= found.cosine < Fraction(-1, 5) + Fraction(1, 10**14)
    assert found.verify() and not certify_at(simplex(5), "-1/4").proved
    assert certify_at([[1, -1]], -1).proved and not certify_at([[1, 2]], "99/100").proved


def test_one_changed_integer_fails():
    found = certify(icosahedron())
    rows = [list(row) for row in found.integers]
    contact = max(range(1, 12), key=lambda j: sum(a * b for a, b in zip(rows[0], rows[j])))  # noqa: B905
    for k in range(3):
        changed = [list(row) for row in rows]
        step = rows[contact][k] - rows[0][k]
        changed[0][k] += step // 1000 if step else 0
        if step:
            broken = dataclasses.replace(found, integers=tuple(map(tuple, changed)))
            assert not broken.verify()
    zero = dataclasses.replace(found, integers=((0, 0, 0), *found.integers[1:]))
    assert not zero.verify()
    lower = dataclasses.replace(found, cosine=found.cosine - Fraction(1, 10**15))
    assert not lower.verify()


@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 20, 61, 200, 1200]), st.booleans())
def test_the_screen_never_clears_a_pair_above_the_bound(seed, bits, lines):
    """At every pair's own cosine, one unit up and one down, against the naive check."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(5):
        size = int(rng.integers(1, bits + 1))  # lengths of very different sizes side by side
        rows.append(tuple(int(v * 2**40) * 2**size >> 40 for v in rng.normal(size=3)) or (1, 0, 0))
    rows = [row if any(row) else (1, 0, 0) for row in rows]
    for x, y in itertools.combinations(rows, 2):
        with mpmath.workdps(60):
            dot = sum(a * b for a, b in zip(x, y, strict=True))
            length = mpmath.sqrt(sum(a * a for a in x)) * mpmath.sqrt(sum(b * b for b in y))
            near = Fraction(int(mpmath.floor(dot / length * 10**30)), 10**30)
        for c in (near - Fraction(1, 10**30), near, near + Fraction(2, 10**30)):
            found = breaker(rows, c, "lines" if lines else "angle")
            expected = naive(rows, c, lines) and not (lines and c < 0)
            assert (found is None) == expected or (c <= -1 or c >= 1)


def test_degrees_are_a_lower_bound_and_close():
    with mpmath.workdps(50):
        for c in (Fraction(1, 3), Fraction(-1, 7), Fraction(999999, 10**6), Fraction(1, 10**20)):
            exact = mpmath.degrees(mpmath.acos(mpmath.mpf(c.numerator) / c.denominator))
            got = degrees_below(c)
            assert got <= exact < got + 1e-13
    assert degrees_below(Fraction(1, 2)) == 60.0 and degrees_below(Fraction(-1)) == 180.0


def test_yes_and_no_for_an_angle():
    assert certify_at(icosahedron(), degrees="63.4349488").proved  # arctan 2 = 63.43494882..
    assert not certify_at(icosahedron(), degrees="63.4349489").proved
    assert certify_at(roots_D(4), degrees="59.9999999").proved
    assert certify_at([[1, 0], [0, 1]], degrees=90).proved
    assert certify_at(np.eye(5), cosine=0, criterion="lines").proved


def test_a_certificate_survives_a_file_and_a_tampered_one_does_not(tmp_path):
    found = certify(icosahedron(), "angle")
    path = tmp_path / "certificate.json"
    found.save(path)
    again = Certificate.load(path)
    assert again.proved and again.verify()
    assert (again.integers, again.cosine, again.criterion) == (
        found.integers,
        found.cosine,
        found.criterion,
    )
    held = json.loads(path.read_text())
    held["vectors"][0] = held["vectors"][1]
    path.write_text(json.dumps(held))
    assert held["proved"] is True  # the file still claims so
    assert not Certificate.load(path).proved


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"vectors": [["1"]], "cosine": "1/2", "criterion": "angle"}',
        '{"vectors": [["1"], ["a"]], "cosine": "1/2", "criterion": "angle"}',
        '{"vectors": [["1"], ["1", "2"]], "cosine": "1/2", "criterion": "angle"}',
        '{"vectors": [["1"], ["2"]], "cosine": "1/0", "criterion": "angle"}',
        '{"vectors": [["1"], ["2"]], "cosine": "1/2", "criterion": "speed"}',
    ],
)
def test_a_damaged_file_is_refused(tmp_path, text):
    path = tmp_path / "certificate.json"
    path.write_text(text)
    with pytest.raises(BadInput):
        Certificate.load(path)
    with pytest.raises(BadInput):
        Certificate.load(tmp_path / "missing.json")


def test_two_thousand_vectors_take_seconds():
    start = time.monotonic()
    found = certify(random_vectors(2000, 8, 0))
    assert found.verify()
    assert certify(roots_E8()).verify()
    assert time.monotonic() - start < 20.0  # about 1 s when measured


@pytest.mark.parametrize(
    "call",
    [
        lambda: certify([[1.0]]),
        lambda: certify([[1.0, 0.0]]),
        lambda: certify([[1.0, np.nan]]),
        lambda: certify(np.eye(2), "speed"),
        lambda: certify(np.eye(2), denominator=0),
        lambda: certify(np.eye(2), bits=3),
        lambda: certify_at(np.eye(2)),
        lambda: certify_at(np.eye(2), "1/2", degrees=60),
        lambda: certify_at(np.eye(2), 2),
        lambda: certify_at(np.eye(2), "half"),
        lambda: certify_at(np.eye(2), float("inf")),
        lambda: certify_at(np.eye(2), degrees=0),
        lambda: certify_at(np.eye(2), degrees=181),
    ],
)
def test_bad_input_is_one_sentence(call):
    with pytest.raises(BadInput) as error:
        call()
    assert "\n" not in str(error.value)


ROOT = Path(__file__).resolve().parent.parent
FOUND = sorted((ROOT / "docs" / "certificates").glob("lines-*.json"))


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_published_certificates_hold_and_beat_the_table(path):
    """What docs/geometry.md calls an improvement is one: proved, and below the tabulated value."""
    certificate = Certificate.load(path)
    assert certificate.verify() and certificate.criterion == "lines"
    d, n = (int(part) for part in path.stem.split("-")[1:])
    assert certificate.arrangement.W.shape == (d, n)
    table = ROOT / "tests" / "data" / "reference" / "lines_real.csv"
    rows = (line.split(",") for line in table.read_text().splitlines() if line[:1].isdigit())
    known = {(int(row[0]), int(row[1])): Fraction(row[2]) for row in rows}
    assert certificate.cosine < known[d, n]


def test_four_improvements_are_published():
    assert len(FOUND) == 4
