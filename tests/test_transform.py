"""The transform engine against references that share nothing with it."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from theory.features import BINARY, EXPONENTIAL, UNIFORM
from theory.losses import fourier as sr
from theory.losses import fourier as transform
from theory.losses.fourier import rows


def one(a, b, own, p, law, gradient=False, **options):
    """A single row; p may be one number."""
    a = np.asarray(a, dtype=float)
    p = np.broadcast_to(np.asarray(p, dtype=float), a.shape)
    return rows(a[None], np.array([b]), np.array([own]), p[None], law, gradient, **options)


def by_patterns(a, b, own, p, values=((1.0, 1.0),)):
    """E(x_own - z_+)^2 and its derivatives; an on feature takes values[k][0] with chance [k][1]."""
    a, n = np.asarray(a, dtype=float), len(a)
    p = np.broadcast_to(np.asarray(p, dtype=float), (n,))
    levels = np.array([0.0] + [v for v, _ in values])
    index = np.array(list(itertools.product(range(levels.size), repeat=n)))
    x = levels[index]
    chance = np.array([[1 - q, *(q * w for _, w in values)] for q in p])
    weight = np.prod(chance[np.arange(n), index], axis=1)
    z = np.array([math.fsum([*row, b]) for row in x * a])
    error = x[:, own] - np.maximum(z, 0.0)
    slope = -2.0 * weight * error * (z > 0.0)
    return math.fsum(weight * error**2), slope @ x, slope.sum()


def holds(got, truth, scale=1.0):
    """The bound is not below the error, up to rounding of the reference."""
    return abs(got.value[0] - truth) <= got.bound[0] + 4e-16 * (abs(truth) + scale)


WEIGHT = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 0.5, -0.5, 1e-9, -1e-5, 1e-3, -0.25, 20.0]),
    st.floats(-1.5, 1.5).map(lambda v: round(v, 6)),
)
CHANCE = st.one_of(
    st.sampled_from([1e-4, 1e-3, 0.5, 0.999, 1.0]), st.floats(1e-4, 1.0, exclude_max=True)
)


@st.composite
def row(draw, most):
    n = draw(st.integers(2, most))
    a = draw(st.lists(WEIGHT, min_size=n, max_size=n))
    p = draw(st.one_of(st.lists(CHANCE, min_size=n, max_size=n), CHANCE.map(lambda q: [q] * n)))
    b = draw(st.one_of(st.sampled_from([0.0, -1.0, 0.5, -0.3]), st.floats(-1.0, 1.0)))
    return a, b, draw(st.integers(0, n - 1)), p


@settings(max_examples=120, derandomize=True, deadline=None)
@given(row(most=9))
def test_binary_bound_holds_whatever_the_row(case):
    a, b, own, p = case
    got = one(a, b, own, p, BINARY)
    truth = by_patterns(a, b, own, p)[0]
    assert holds(got, truth, scale=float(np.sum(np.abs(a)) + abs(b)) ** 2)
    assert got.value[0] >= 0.0


@pytest.mark.parametrize("S", [1e-4, 0.02, 0.2, 0.7, 1.0])
@pytest.mark.parametrize("b", [0.0, -0.15])
def test_binary_reaches_its_target(S, b):
    rng = np.random.default_rng(3)
    A = rng.normal(size=(6, 12)) / 4.0
    own = np.arange(6)
    A[own, own] = 0.9
    got = rows(A, np.full(6, b), own, np.full((6, 12), S), BINARY, True)
    assert np.all(got.bound <= 1e-7 * got.value)
    for i in range(6):
        truth, dA, db = by_patterns(A[i], b, i, S)
        assert abs(got.value[i] - truth) <= got.bound[i]
        assert np.max(np.abs(got.dA[i] - dA)) <= 2e-3 * S
        assert abs(got.db[i] - db) <= 2e-3 * S


def test_atoms_on_the_kink_cost_little():
    a = np.array([1.0, -1.0, 0.5, -0.5, 0.5, -0.5, 0.25, 0.0])
    got = one(a, 0.0, 0, 0.3, BINARY)
    truth = by_patterns(a, 0.0, 0, 0.3)[0]
    assert holds(got, truth) and got.bound[0] <= 1e-7 * truth


def test_rows_do_not_depend_on_their_company():
    rng = np.random.default_rng(8)
    A = rng.normal(size=(5, 7)) * np.array([[1.0], [1e-3], [10.0], [0.1], [1.0]])
    A[3, 2:5], A[4, :] = 0.0, 0.0
    p = rng.uniform(0.01, 1.0, size=(5, 7))
    p[0, 3] = 1.0
    b, own = rng.normal(size=5) / 5, np.array([0, 6, 2, 2, 1])
    for law in (BINARY, UNIFORM, EXPONENTIAL):
        together = rows(A, b, own, p, law, True)
        for i in range(5):
            alone = one(A[i], b[i], own[i], p[i], law, True)
            room = together.bound[i] + alone.bound[0]
            assert abs(together.value[i] - alone.value[0]) <= room
            assert np.allclose(together.dA[i], alone.dA[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("b", [0.0, -0.5, -0.37, 0.2])
@pytest.mark.parametrize("S", [0.003, 0.05, 0.4])
def test_many_binary_features_against_counts(b, S):
    m1, m2, a0, c1, c2 = 20, 19, 1.0, 0.25, -0.5
    a = np.array([a0] + [c1] * m1 + [c2] * m2)
    k1, k2 = np.arange(m1 + 1)[:, None], np.arange(m2 + 1)
    chance = binom.pmf(k1, m1, S) * binom.pmf(k2, m2, S)
    truth = 0.0
    for x, w in ((0.0, 1 - S), (1.0, S)):
        z = b + a0 * x + c1 * k1 + c2 * k2
        truth += w * math.fsum((chance * (x - np.maximum(z, 0.0)) ** 2).ravel())
    got = one(a, b, 0, S, BINARY)
    assert abs(got.value[0] - truth) <= got.bound[0] + 1e-13 * truth
    assert got.bound[0] <= 1e-6 * truth


# High-precision references: E z_+^2 as a function of the weights, E[x z_+] = (1/2) d/da of it.


def in_mpmath(square, a, b, own, p, law):
    a, b, p = [mp.mpf(v) for v in a], mp.mpf(b), [mp.mpf(v) for v in p]

    def total(weight):
        w = [*a[:own], weight, *a[own + 1 :]]
        out = mp.mpf(0)
        for on in itertools.product((0, 1), repeat=len(a)):
            chance = mp.fprod(q if o else 1 - q for q, o in zip(p, on, strict=True))
            out += chance * square([v for v, o in zip(w, on, strict=True) if o], b)
        return out

    cross = mp.diff(total, a[own], h=mp.mpf(10) ** -25)
    return float(p[own] * law - cross + total(a[own]))


def uniform_square(w, b):
    k = len(w)
    out = mp.mpf(0)
    for e in itertools.product((0, 1), repeat=k):
        z = b + mp.fdot(w, e)
        if z > 0:
            out += (-1) ** (k - sum(e)) * z ** (k + 2)
    return 2 * out / (mp.factorial(k + 2) * mp.fprod(w))


def exponential_square(w, b):
    if not w:
        return b * b if b > 0 else mp.mpf(0)
    out = mp.mpf(0)
    for j, v in enumerate(w):
        share = mp.fprod(v / (v - u) for i, u in enumerate(w) if i != j)
        if v > 0:
            part = b * b + 2 * v * b + 2 * v * v if b >= 0 else 2 * v * v * mp.exp(b / v)
        else:
            part = b * b + 2 * v * b + 2 * v * v - 2 * v * v * mp.exp(b / v) if b > 0 else 0
        out += share * part
    return out


HARD = [
    ([0.9, -0.4, 0.3, 0.21], -0.1, 0, [0.05] * 4),
    ([0.9, -0.9, 1e-4, 0.3, -0.31], 0.0, 0, [0.3, 0.2, 0.9, 1e-4, 0.5]),
    ([1.1, 2e-6, -0.6, 0.2], -0.2, 1, [1e-4, 0.5, 0.2, 0.01]),
    ([0.7, -0.2, -0.21, -0.22], 0.15, 2, [1.0, 0.6, 0.7, 0.05]),
    ([-0.5, -0.25, 3.0], 0.4, 0, [1e-3, 0.4, 1e-3]),
    ([1.0, 0.99999], -0.5, 0, [0.1, 0.1]),
]


@pytest.mark.parametrize("case", HARD, ids=range(len(HARD)))
@pytest.mark.parametrize("law", [UNIFORM, EXPONENTIAL], ids=lambda law: law.name)
def test_laws_with_a_density(case, law):
    a, b, own, p = case
    square = uniform_square if law is UNIFORM else exponential_square
    with mp.workdps(80):
        truth = in_mpmath(square, a, b, own, p, mp.mpf(1) / 3 if law is UNIFORM else 2)
    got = one(a, b, own, p, law)
    assert holds(got, truth)
    assert got.bound[0] <= 1e-7 * truth


def test_long_sums_do_not_round_beyond_the_bound():
    # Nearly dedicated: a small loss out of large terms, and a quarter of a million nodes.
    a, p = [5.53876849e-05, 0.999939268, -5.9552826e-05], [0.9] * 3
    with mp.workdps(80):
        truth = in_mpmath(exponential_square, a, 0.0, 1, p, 2)
    for copies in (1, 2, 3):
        got = rows(
            np.tile(a, (copies, 1)),
            np.zeros(copies),
            np.ones(copies, int),
            np.tile(p, (copies, 1)),
            EXPONENTIAL,
        )
        assert np.all(np.abs(got.value - truth) <= got.bound)
        assert np.all(got.bound <= 1e-2 * truth)


@pytest.mark.parametrize("n", [6, 40])
@pytest.mark.parametrize("law", [UNIFORM, EXPONENTIAL], ids=lambda law: law.name)
def test_gradient_is_the_slope_of_the_value(n, law):
    rng = np.random.default_rng(n)
    a, b, p = rng.normal(size=n) / 4, -0.12, rng.uniform(0.01, 0.4, size=n)
    a[1] = 0.8
    got = one(a, b, 1, p, law, True, rtol=1e-9)
    h = 1e-4
    for j in [*range(min(n, 6)), n]:
        step = np.eye(n + 1)[j] * h
        up, down = (
            one(a + s * step[:n], b + s * step[n], 1, p, law, rtol=1e-10).value[0] for s in (1, -1)
        )
        slope = got.db[0] if j == n else got.dA[0, j]
        assert slope == pytest.approx((up - down) / (2 * h), rel=1e-5, abs=1e-7)


class TwoValues:
    """On features are 1/2 or 1: a law with atoms and without the optional members."""

    name, mean, second, upper, strip = "two", 0.75, 0.625, 1.0, (-math.inf, math.inf)

    def transform(self, s, order=0):
        return 0.5 * (0.5**order * np.exp(0.5 * np.asarray(s)) + np.exp(np.asarray(s)))

    def sample(self, rng, size):
        return rng.choice([0.5, 1.0], size=size)


@pytest.mark.parametrize("S", [0.01, 0.3, 1.0])
def test_a_law_of_ones_own(S):
    a = np.array([0.9, -0.35, 0.22, -0.41, 0.13])
    truth, dA, db = by_patterns(a, -0.0717, 0, S, ((0.5, 0.5), (1.0, 0.5)))
    got = one(a, -0.0717, 0, S, TwoValues(), True)
    assert holds(got, truth) and got.bound[0] <= 2e-7 * truth
    assert np.allclose(got.dA[0], dA, atol=1e-3 * S) and got.db[0] == pytest.approx(db, abs=1e-3)


def test_bound_is_honest_when_the_work_is_capped():
    rng = np.random.default_rng(5)
    for law in (BINARY, UNIFORM):
        a = rng.normal(size=10) / 3
        best = one(a, -0.1, 0, 0.3, law)
        for work in (10, 2e3, 2e4):
            got = one(a, -0.1, 0, 0.3, law, max_work=work)
            assert abs(got.value[0] - best.value[0]) <= got.bound[0] + best.bound[0]


def test_sure_signs_are_moments():
    a, p = np.array([1.0, 0.5, 0.25]), np.array([0.2, 0.3, 0.4])
    got = rows(
        np.array([a, -a, 0 * a]),
        np.array([0.1, -0.1, 0.0]),
        np.zeros(3, int),
        np.tile(p, (3, 1)),
        BINARY,
        True,
    )
    truth, dA, db = by_patterns(a, 0.1, 0, p)
    assert got.value[0] == pytest.approx(truth, rel=1e-14)
    assert np.allclose(got.dA[0], dA, rtol=1e-13) and got.db[0] == pytest.approx(db)
    assert got.value[1:] == pytest.approx([0.2, 0.2], rel=1e-15)
    assert not got.dA[1].any()


def kernel_gap(name, x):
    """D(x) for x >= 0, as the module states it."""
    q, phi = norm.sf(x), norm.pdf(x)
    return {
        "square": x * x * q - 0.75 * x * phi,
        "smooth": x * q - (3 + x * x) * phi / 8,
        "pinned": x * q - x * x * phi / 2,
    }[name]


def test_kernels_are_what_the_module_says():
    x = np.linspace(1e-9, 12.0, 120001)
    wide, narrow = np.exp(-sr.BETA * x * x / 2), x * np.exp(-sr.GAMMA * x * x / 2)
    assert np.all(np.abs(kernel_gap("square", x)) <= sr.A_SQUARE * wide)
    assert np.all(np.abs(kernel_gap("smooth", x)) <= sr.A_SMOOTH * wide)
    assert np.all(np.abs(kernel_gap("square", x)) <= sr.C_SQUARE * narrow)
    assert np.all(np.abs(kernel_gap("pinned", x)) <= sr.C_PINNED * narrow)
    w = sr.weights(1024, max(sr.KAPPAS))
    u = 2 * math.pi * (np.arange(1024) + 0.5)
    for z in (-0.31, -2e-3, -1e-4, 0.0, 1e-4, 7e-4, 3e-3, 0.2):
        t = abs(z) / w.sigma
        gap = math.copysign(w.sigma**2, z) * kernel_gap("square", t)
        assert -np.sum(w.square * np.sin(u * z)) == pytest.approx(
            z * (abs(z) - 1) / 2 - gap, abs=1e-12
        )
        for name in ("smooth", "pinned"):
            series = -np.sum(getattr(w, name) * np.cos(u * z))
            gap = w.sigma * kernel_gap(name, t)
            assert series == pytest.approx(abs(z) / 2 - 0.25 - gap, abs=1e-10)
        for name, expected in (
            ("gauss", math.exp(-sr.BETA * t * t / 2)),
            ("gauss_narrow", math.exp(-sr.GAMMA * t * t / 2)),
            ("moment", t * t * math.exp(-sr.GAMMA * t * t / 2)),
        ):
            assert np.sum(getattr(w, name) * np.cos(u * z)) == pytest.approx(expected, abs=1e-4)


# Negative controls: with a term left out, the comparison with patterns must fail.


def against_patterns():
    a, b, S = np.array([0.9, -0.35, 0.22, -0.41, 0.13]), -0.07, 0.1
    return holds(one(a, b, 0, S, BINARY), by_patterns(a, b, 0, S)[0])


def test_control_without_the_atom_at_all_off(monkeypatch):
    assert against_patterns()
    whole = transform.few_on

    def without(block, law, order):
        out = whole(block, law, order)
        none = (1 - block.p0) * np.prod(1 - block.p, axis=1)
        return replace(out, value=out.value - none * block.b * (np.abs(block.b) - block.P) / 2)

    monkeypatch.setattr(transform, "few_on", without)
    assert not against_patterns()


def test_control_with_a_period_too_short(monkeypatch):
    whole = transform.period_of

    def short(*args):
        P, tail2, tail1 = whole(*args)
        return 0.5 * P, tail2, tail1

    monkeypatch.setattr(transform, "period_of", short)
    assert not against_patterns()


@pytest.mark.parametrize("law", [BINARY, UNIFORM], ids=lambda law: law.name)
def test_hundreds_of_features_agree_with_sampling(law):
    rng = np.random.default_rng(11)
    n, S = 300, 0.05
    a = rng.normal(size=n) / math.sqrt(n / 2)
    a[0] = 0.8
    got = one(a, -0.1, 0, S, law, True)
    assert got.bound[0] <= 1e-7 * got.value[0]
    x = np.where(rng.random((40000, n)) < S, law.sample(rng, (40000, n)), 0.0)
    error = (x[:, 0] - np.maximum(x @ a - 0.1, 0.0)) ** 2
    assert abs(error.mean() - got.value[0]) <= 5 * error.std() / 200
