"""Least energy on the sphere: `packing.search.riesz` and the derivatives it stands on.

Truths are closed forms, sums over published rows of cosines, and mpmath at 40 digits. Tolerances:

- energies agree with mpmath within the bound they carry, which is itself below 1e-12 of them for
  s <= 3: two dozen roundings of 1e-16 per term;
- a polished energy is stationary to rounding, so it meets a closed form to 1e-13 relative;
- gradients and Hessians against 40 digits: 1e-12 of their size, a thousand roundings;
- differences of floats are only good to a step of 1e-5 squared: 1e-8.
"""

from __future__ import annotations

import math
from itertools import combinations, pairwise
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packing.errors import BadInput
from packing.search import search
from packing.search.multistart import Clock, OutOfTime
from packing.search.riesz import (
    Riesz,
    closest,
    energy,
    gradient,
    hessian,
    mean_force,
    on_sphere,
    rotations,
    tangent_bases,
    tangential,
)
from packing.types import Float

EXPONENTS = pytest.mark.parametrize("s", [0.0, 0.5, 1.0, 2.0, 3.0])
TABLE = Path(__file__).parent / "data" / "reference" / "thomson_d3.csv"


def points(n: int, d: int, seed: int = 0) -> Float:
    return on_sphere(np.random.default_rng(seed).normal(size=(n, d)))


def pair(s: float, cosine: float) -> float:
    """Energy of two points with that cosine, on paper."""
    r2 = 2.0 - 2.0 * cosine
    return -0.5 * math.log(r2) if s == 0.0 else r2 ** (-0.5 * s)


def from_rows(n: int, row: list[tuple[float, int]], s: float) -> float:
    """Energy of n points that all see the same row of (cosine, count)."""
    assert sum(m for _, m in row) == n - 1
    return 0.5 * n * math.fsum(m * pair(s, c) for c, m in row)


def precise(X: list[list[mpmath.mpf]], s: float) -> mpmath.mpf:
    """Energy of the directions of X, in mpmath's working precision."""
    rows = [[x / mpmath.sqrt(sum(y * y for y in row)) for x in row] for row in X]
    r2 = [sum((a - b) ** 2 for a, b in zip(p, q, strict=True)) for p, q in combinations(rows, 2)]
    if s == 0.0:
        return mpmath.fsum(-mpmath.log(u) / 2 for u in r2)
    return mpmath.fsum(u ** (-mpmath.mpf(s) / 2) for u in r2)


def moved(X: Float, V: Float, t: mpmath.mpf) -> list[list[mpmath.mpf]]:
    """Points along great circles from X with velocities V (orthogonal to their points)."""
    rows = []
    for x, v in zip(X.tolist(), V.tolist(), strict=True):
        speed = mpmath.sqrt(sum(mpmath.mpf(a) ** 2 for a in v))
        rows.append(
            [mpmath.cos(speed * t) * a + mpmath.sin(speed * t) / speed * b for a, b in zip(x, v)]  # noqa: B905
        )
    return rows


def settle(problem: Riesz, seed: int) -> Float:
    """Descent and polishing from random points, closed forms left aside."""
    return problem.fall(points(problem.n, problem.d, seed), np.random.default_rng(seed))


# ---------------------------------------------------------------- the energy


@EXPONENTS
@pytest.mark.parametrize(("n", "d"), [(2, 2), (7, 3), (9, 6)])
def test_energy_is_within_its_bound_of_forty_digits(n: int, d: int, s: float) -> None:
    X = points(n, d, n)
    value, error = energy(X, s)
    with mpmath.workdps(40):
        assert abs(precise(X.tolist(), s) - value) <= error
    assert error <= 1e-12 * max(abs(value), n * n)


@pytest.mark.parametrize("s", [1.0, 3.0])
def test_the_bound_covers_rows_that_are_off_the_sphere_by_rounding(s: float) -> None:
    X = points(7, 3, 1) * (1.0 + 2.0**-51)
    value, error = energy(X, s)
    with mpmath.workdps(40):
        assert 0.0 < precise(X.tolist(), s) - value <= error


def test_close_points_keep_their_digits() -> None:
    """And 1 - cosine, the negative control, loses half of them."""
    X = points(6, 3)
    X[1] = on_sphere((X[0] + 1e-7 * X[2])[None])[0]
    value, error = energy(X, 1.0)
    with mpmath.workdps(40):
        truth = precise(X.tolist(), 1.0)
    assert abs(truth - value) <= error < 1e-13 * value
    i, j = np.triu_indices(6, 1)
    with np.errstate(divide="ignore"):
        lost = float((1.0 / np.sqrt(np.maximum(2.0 - 2.0 * (X @ X.T)[i, j], 0.0))).sum())
    assert not abs(truth - lost) <= 1e6 * error


def test_coinciding_points_have_infinite_energy() -> None:
    X = points(4, 3)
    X[3] = X[0]
    assert Riesz(4, 3).energy(X) == math.inf
    with pytest.raises(BadInput, match="coincide"):
        Riesz(4, 3).examine(X)


@given(
    st.integers(2, 9),
    st.integers(2, 5),
    st.sampled_from([0.0, 1.0, 2.5]),
    st.integers(0, 2**32 - 1),
)
def test_energy_knows_no_names_and_no_axes(n: int, d: int, s: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = on_sphere(rng.normal(size=(n, d)))
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    Y = on_sphere(X[rng.permutation(n)] @ turn)
    a, error = energy(X, s)
    # The turned points are rounded once more: 1e-16 over the closest distance.
    slack = 100.0 * (1.0 + s) * (error + 1e-16 * n * n * (1.0 + abs(a)) / closest(X))
    assert energy(Y, s)[0] == pytest.approx(a, abs=slack)
    assert np.linalg.norm(gradient(Y, s)[0]) == pytest.approx(
        np.linalg.norm(gradient(X, s)[0]), rel=1e-7, abs=1e-9
    )


# ---------------------------------------------------------------- derivatives


@EXPONENTS
@pytest.mark.parametrize(("n", "d"), [(5, 3), (6, 5)])
def test_derivatives_against_forty_digits_along_great_circles(n: int, d: int, s: float) -> None:
    """First and second derivative along geodesics: what a Riemannian gradient and Hessian are."""
    X = points(n, d, 3)
    V = tangential(X, np.random.default_rng(4).normal(size=(n, d)))
    g, _ = gradient(X, s)
    H, bases = hessian(X, s)
    v = np.einsum("iak,ia->ik", bases, V).ravel()
    size = float(np.abs(H).sum())
    with mpmath.workdps(40):
        # X and V are floats, good to 1e-16 on the sphere: normalised and so are their derivatives.
        first = mpmath.diff(lambda t: precise(moved(X, V, t), s), 0)
        second = mpmath.diff(lambda t: precise(moved(X, V, t), s), 0, 2)
    assert float(first) == pytest.approx(float((g * V).sum()), abs=1e-12 * size)
    assert float(second) == pytest.approx(float(v @ H @ v), abs=1e-12 * size)
    assert np.abs(np.einsum("ij,ij->i", g, X)).max() <= 1e-14 * size
    # Negative control: the second derivative without the sphere's curvature is far off.
    flat = float(v @ H @ v) + float((np.einsum("ij,ij->i", V, V) * pulls(X, s)).sum())
    assert abs(float(second) - flat) > 1e-3


def pulls(X: Float, s: float) -> Float:
    """x_i . dE/dx_i, by differences in radius: what curvature takes from the Hessian."""
    step = 1e-5
    out = []
    for i in range(len(X)):
        ends = [X.copy(), X.copy()]
        ends[0][i] *= 1.0 + step
        ends[1][i] *= 1.0 - step
        out.append((energy(ends[0], s)[0] - energy(ends[1], s)[0]) / (2.0 * step))
    return np.array(out)


@EXPONENTS
def test_hessian_is_the_gradients_derivative(s: float) -> None:
    """At a stationary point the tangent spaces' turning does not matter."""
    X = settle(Riesz(7, 3, s), 1)
    H, bases = hessian(X, s)
    step = 1e-5
    columns = []
    for k in range(H.shape[0]):
        unit = np.zeros(H.shape[0])
        unit[k] = step
        V = np.einsum("iak,ik->ia", bases, unit.reshape(7, 2))
        ends = [gradient(on_sphere(X + sign * V), s)[0] for sign in (1.0, -1.0)]
        columns.append(np.einsum("iak,ia->ik", bases, (ends[0] - ends[1]) / (2.0 * step)).ravel())
    assert np.array(columns) == pytest.approx(H, abs=1e-7 * float(np.abs(H).max()))


@pytest.mark.parametrize("s", [0.0, 1.0, 2.0, 7.0, 100.0])
def test_the_force_that_descends_is_the_energys(s: float) -> None:
    X = points(8, 4, 2)
    value, slope = mean_force(X, s)
    pairs = 28.0
    total = energy(X, s)[0]
    truth = total / pairs if s == 0.0 else math.log(total / pairs) / s
    assert value == pytest.approx(truth, rel=1e-12)
    g, _ = gradient(X, s)
    expected = g / pairs if s == 0.0 else g / (s * total)
    assert slope == pytest.approx(expected, abs=1e-10 * float(np.abs(expected).max()))


def test_no_exponent_overflows_the_descent() -> None:
    X = points(30, 3)
    X[1] = on_sphere((X[0] + 1e-6)[None])[0]
    value, slope = mean_force(X, 100.0)
    assert math.isfinite(value) and np.all(np.isfinite(slope))


@given(st.integers(1, 6), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_tangent_bases_and_rotations(n: int, d: int, seed: int) -> None:
    """Rotations: d (d - 1) / 2 of them, less those that leave the span of the points alone."""
    X = on_sphere(np.random.default_rng(seed).normal(size=(n, d)))
    bases = tangent_bases(X)
    eye = np.eye(d - 1)
    assert np.abs(np.einsum("iak,ial->ikl", bases, bases) - eye).max() <= 1e-14
    assert np.abs(np.einsum("iak,ia->ik", bases, X)).max() <= 1e-14
    out = max(d - n, 0)
    turns = rotations(X, bases)
    assert turns.shape == (n * (d - 1), d * (d - 1) // 2 - out * (out - 1) // 2)
    assert np.abs(turns.T @ turns - np.eye(turns.shape[1])).max() <= 1e-12


# ---------------------------------------------------------------- closed forms


@pytest.mark.parametrize("s", [0.0, 1.0, 2.0])
@pytest.mark.parametrize(
    ("n", "d", "row"),
    [
        (1, 3, []),
        (2, 1, [(-1.0, 1)]),
        (2, 3, [(-1.0, 1)]),
        (4, 3, [(-1 / 3, 3)]),
        (6, 5, [(-1 / 5, 5)]),
        (4, 6, [(-1 / 3, 3)]),
        (6, 3, [(0.0, 4), (-1.0, 1)]),
        (10, 5, [(0.0, 8), (-1.0, 1)]),
        (5, 2, [(math.cos(2 * math.pi * k / 5), 1) for k in range(1, 5)]),
        (12, 2, [(math.cos(2 * math.pi * k / 12), 1) for k in range(1, 12)]),
    ],
)
def test_proved_optima_are_answered_and_descent_finds_them(
    n: int, d: int, row: list[tuple[float, int]], s: float
) -> None:
    problem = Riesz(n, d, s)
    truth = from_rows(n, row, s)
    known = problem.known()
    assert known is not None and known.X.shape == (n, d)
    assert known.value == pytest.approx(truth, rel=1e-13, abs=1e-13)
    assert problem.attempt(np.random.default_rng(0))[0] == known.value
    at = problem.examine(known.X)
    assert at.stationary and at.negative == 0
    if d > 1 and n > 1:
        X = settle(problem, 5)
        assert problem.energy(X) == pytest.approx(truth, rel=1e-13, abs=1e-13)


def test_tetrahedron_and_octahedron_as_on_paper() -> None:
    known = [Riesz(n, 3).known() for n in (4, 6)]
    assert known[0] is not None and known[1] is not None
    assert known[0].value == pytest.approx(6.0 / math.sqrt(8.0 / 3.0), rel=1e-14)
    assert known[1].value == pytest.approx(12.0 / math.sqrt(2.0) + 1.5, rel=1e-14)


def test_polygon_sum_on_paper() -> None:
    """n/4 sum_k 1 / sin(pi k / n): chords of the regular n-gon."""
    for n in (3, 7, 40):
        known = Riesz(n, 2).known()
        chords = math.fsum(1.0 / math.sin(math.pi * k / n) for k in range(1, n))
        assert known is not None and known.value == pytest.approx(0.25 * n * chords, rel=1e-13)


def test_nothing_is_claimed_where_nothing_is_proved() -> None:
    for n, d in ((5, 3), (7, 3), (6, 4), (24, 4)):
        assert Riesz(n, d).known() is None


PHI = math.sqrt(0.2)
GOLDEN = (1.0 + math.sqrt(5.0)) / 4.0
UNIVERSAL = {  # Cohn and Kumar 2007, Table 1, and the 600-cell's distances
    "icosahedron": (12, 3, [(PHI, 5), (-PHI, 5), (-1.0, 1)]),
    "5-demicube": (16, 5, [(0.2, 10), (-0.6, 5)]),
    "Schlaefli code": (27, 6, [(0.25, 16), (-0.5, 10)]),
    "56 in R^7": (56, 7, [(1 / 3, 27), (-1 / 3, 27), (-1.0, 1)]),
    "600-cell": (
        120,
        4,
        [
            *[(GOLDEN, 12), (0.5, 20), (GOLDEN - 0.5, 12), (0.0, 30)],
            *[(0.5 - GOLDEN, 12), (-0.5, 20), (-GOLDEN, 12), (-1.0, 1)],
        ],
    ),
}


@pytest.mark.parametrize("s", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("name", list(UNIVERSAL))
def test_universal_optima_are_found_from_nothing(name: str, s: float) -> None:
    n, d, row = UNIVERSAL[name]
    problem = Riesz(n, d, s)
    value, X = min(
        (problem.attempt(np.random.default_rng([8, k])) for k in range(3)), key=lambda f: f[0]
    )
    assert value == pytest.approx(from_rows(n, row, s), rel=1e-13)
    assert problem.examine(X).minimum


def test_the_240_roots_of_E8_are_found_from_nothing() -> None:
    row = [(0.5, 56), (0.0, 126), (-0.5, 56), (-1.0, 1)]
    problem, truth = Riesz(240, 8), from_rows(240, row, 1.0)
    for k in range(4):
        value, _ = problem.attempt(np.random.default_rng([0, k]))
        assert value >= truth * (1.0 - 1e-13)
        if value <= truth * (1.0 + 1e-13):
            return
    pytest.fail("not found in four attempts")


def bipyramid(s: float) -> float:
    """Two poles and three points on the equator."""
    return pair(s, -1.0) + 6.0 * pair(s, 0.0) + 3.0 * pair(s, -0.5)


@pytest.mark.parametrize("s", [1.0, 2.0, 14.0])
def test_five_points_are_a_triangular_bipyramid(s: float) -> None:
    """Proved by Schwartz, Experimental Mathematics 22 (2013) 157-186, for s = 1 and 2."""
    values = [Riesz(5, 3, s).attempt(np.random.default_rng([1, k]))[0] for k in range(12)]
    assert min(values) == pytest.approx(bipyramid(s), rel=1e-12)


def test_five_points_change_to_a_square_pyramid_above_s_of_15() -> None:
    """Near s = 15.048 (Schwartz, arXiv 1610.03303): the bipyramid is no longer the answer at 16."""
    values = [Riesz(5, 3, 16.0).attempt(np.random.default_rng([1, k]))[0] for k in range(12)]
    best = min(values)
    assert best < bipyramid(16.0) * (1.0 - 1e-3)
    pyramids = [
        pair_sum(16.0, h)
        for h in np.linspace(-0.6, 0.0, 20001)  # the height of the square, the apex at 1
    ]
    assert best == pytest.approx(min(pyramids), rel=1e-6)


def pair_sum(s: float, h: float) -> float:
    """Energy of a square at height h with an apex above."""
    flat = 1.0 - h * h
    return 4.0 * pair(s, h) + 4.0 * pair(s, h * h) + 2.0 * pair(s, h * h - flat)


# ---------------------------------------------------------------- minima and saddles


def cube() -> Float:
    corners = np.array([[(k >> b & 1) * 2.0 - 1.0 for b in range(3)] for k in range(8)])
    return on_sphere(corners)


def test_the_cube_is_a_saddle_and_is_left() -> None:
    """Its gradient vanishes, so only the Hessian tells: the antiprism is lower."""
    problem = Riesz(8, 3)
    at = problem.examine(cube())
    assert at.stationary and at.negative > 0 and not at.minimum
    assert at.curvature < 0.0 and math.isnan(at.excess)
    X, down = problem.polish(cube())
    assert down is not None and np.array_equal(X, cube())
    assert problem.energy(on_sphere(cube() + down)) < at.energy
    value, Y = problem.attempt(np.random.default_rng(0))
    assert value < at.energy - 0.05 and problem.examine(Y).minimum


@pytest.mark.parametrize(("n", "d"), [(7, 3), (12, 3), (13, 4), (24, 4)])
def test_minima_are_strict_and_at_rounding_level(n: int, d: int) -> None:
    problem = Riesz(n, d)
    value, X = problem.attempt(np.random.default_rng(2))
    at = problem.examine(X)
    assert at.minimum and at.curvature > 0.0 and at.energy == value
    assert at.eigenvalues.shape == (n * (d - 1) - d * (d - 1) // 2,)
    assert 0.0 <= at.excess <= at.error <= 1e-12 * value
    assert np.abs(np.einsum("ij,ij->i", X, X) - 1.0).max() <= 1e-15


def bipyramid_of_seven() -> Float:
    ring = [[math.cos(2 * math.pi * k / 5), math.sin(2 * math.pi * k / 5), 0.0] for k in range(5)]
    return on_sphere(np.array([*ring, [0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]))


def test_a_flat_minimum_is_reached_and_called_flat() -> None:
    """Seven points, s = 2: the pentagonal bipyramid, 1/4 + 10/2 + 5, is flat to second order.

    So it is no strict minimum by the Hessian, and Newton's method only converges linearly there.
    """
    problem = Riesz(7, 3, 2.0)
    at = problem.examine(bipyramid_of_seven())
    assert at.energy == pytest.approx(10.25, rel=1e-14)
    assert at.stationary and at.flat == 2 and at.negative == 0 and not at.minimum
    found = [problem.attempt(np.random.default_rng(k))[0] for k in range(20)]
    assert found == pytest.approx([10.25] * 20, rel=5e-14)
    for k in range(10):
        beside = 0.05 * np.random.default_rng(k).normal(size=(7, 3))
        X, down = problem.polish(problem.descend(on_sphere(bipyramid_of_seven() + beside)))
        assert down is None  # slightly concave on the way, which is no saddle
        assert problem.energy(X) == pytest.approx(10.25, rel=1e-13)
    # Negative control: for Coulomb's law the same points are a strict minimum.
    assert Riesz(7, 3).examine(bipyramid_of_seven()).minimum


def test_a_point_beside_the_minimum_is_told_from_it() -> None:
    problem = Riesz(12, 3)
    X = problem.attempt(np.random.default_rng(0))[1]
    beside = on_sphere(X + 1e-4 * np.random.default_rng(1).normal(size=X.shape))
    at = problem.examine(beside)
    above = at.energy - problem.energy(X)
    assert not at.stationary and not at.minimum
    assert 0.0 < above <= at.excess * 1.01


def test_newton_converges_quadratically() -> None:
    problem = Riesz(17, 3)
    X = problem.attempt(np.random.default_rng(0))[1]
    curvature = problem.examine(X).curvature
    start = on_sphere(X + 3e-3 * np.random.default_rng(3).normal(size=X.shape))
    ends = [problem.polish(start, steps=k)[0] for k in range(7)]
    sizes = [problem.examine(Y).gradient / curvature for Y in ends]
    floor = problem.examine(X).floor / curvature
    assert sizes[0] > 1e-2
    for before, after in pairwise(sizes):
        if before < 0.1:
            # The constant is the third derivative over the curvature: about 20 here.
            assert after <= 200.0 * before**2 + 10.0 * floor
    assert sizes[-1] <= 10.0 * floor
    assert problem.same(problem.energy(ends[-1]), problem.energy(X))


def test_nothing_to_move_is_a_minimum() -> None:
    for n, d in ((1, 1), (2, 1), (1, 4)):
        known = Riesz(n, d).known()
        assert known is not None
        at = Riesz(n, d).examine(known.X)
        assert at.minimum and at.curvature == math.inf and at.excess == 0.0


# ---------------------------------------------------------------- the search


def test_attempts_repeat_and_differ() -> None:
    problem = Riesz(16, 3)
    one, two, other = (problem.attempt(np.random.default_rng(k))[1] for k in (4, 4, 5))
    assert np.array_equal(one, two) and not np.array_equal(one, other)


def test_a_move_starts_at_the_best_and_leaves_it_alone() -> None:
    problem = Riesz(20, 3)
    best = problem.attempt(np.random.default_rng(0))[1]
    kept = best.copy()
    for k in range(5):
        value, X = problem.attempt(np.random.default_rng([1, k]), best)
        assert X.shape == (20, 3) and value == problem.energy(X)
    assert np.array_equal(best, kept)


def test_search_answers_coulomb_and_riesz() -> None:
    code = search(16, 3, "coulomb", seconds=20.0, workers=1)
    assert code.energy == pytest.approx(code.value, rel=1e-13)
    assert code.criterion == "coulomb" and code.status == "numerical"
    assert "a better code is unlikely" in code.advice
    again = search(16, 3, "coulomb", seconds=20.0, workers=1)
    assert np.array_equal(code.arrangement.W, again.arrangement.W)
    riesz = search(9, 3, "riesz", s=2.0, seconds=20.0, workers=1)
    assert riesz.energy == pytest.approx(Riesz(9, 3, 2.0).energy(riesz.arrangement.W.T), rel=1e-13)
    assert search(7, 9, "coulomb").status == "proved"


@pytest.mark.parametrize("n", [9, 16, 22, 32, 37])
def test_best_known_energies(n: int) -> None:
    """Thomson's table, ten digits; 37 has a second basin that most runs fall into."""
    rows = [line.split(",") for line in TABLE.read_text(encoding="utf-8").splitlines()]
    known = {int(row[0]): float(row[-1]) for row in rows if row[0].isdigit()}
    found = search(n, 3, "coulomb", seconds=20.0, workers=1).value
    assert found <= known[n] + 1e-7


def test_large_exponents_lead_to_the_largest_angle() -> None:
    """At s = 100 the closest pair of 9 points is within 3 % of Tammes' best, cosine 1/3."""
    values = [Riesz(9, 3, 100.0).attempt(np.random.default_rng([3, k])) for k in range(8)]
    X = min(values, key=lambda f: f[0])[1]
    assert closest(X) == pytest.approx(math.sqrt(4.0 / 3.0), rel=0.03)


def test_the_clock_is_obeyed() -> None:
    problem = Riesz(200, 5)
    with pytest.raises(OutOfTime):
        problem.attempt(np.random.default_rng(0), None, Clock.of(-1.0))
    value, X = problem.attempt(np.random.default_rng(0), None, Clock.of(0.02))
    assert X.shape == (200, 5) and value == problem.energy(X)
    assert value > problem.attempt(np.random.default_rng(0))[0]


def test_small_answers_are_polished_even_at_the_last_moment() -> None:
    problem = Riesz(30, 3)
    X = problem.descend(points(30, 3))
    Y, down = problem.polish(X, Clock.of(-1.0))
    assert down is None and problem.examine(Y).stationary and not problem.examine(X).stationary


def test_without_a_hessian_nothing_is_claimed() -> None:
    problem = Riesz(1600, 3)
    at = problem.examine(points(1600, 3))
    assert not at.known and not at.minimum and math.isnan(at.curvature) and math.isnan(at.excess)


def test_the_stop_rule_wants_many_runs_or_many_hits() -> None:
    problem = Riesz(20, 3)
    assert problem.enough(40, 40)
    assert not problem.enough(10, 11)
    assert not problem.enough(9, 1000)
    assert not problem.enough(15, 60)
    assert problem.enough(15, 80)


def test_same_tells_rounding_from_another_basin() -> None:
    problem = Riesz(16, 3)
    values = {f"{problem.attempt(np.random.default_rng(k))[0]:.9f}" for k in range(20)}
    a = problem.attempt(np.random.default_rng(0))[0]
    assert problem.same(a, a * (1.0 + 1e-14)) and not problem.same(a, a * (1.0 + 1e-9))
    assert len(values) >= 2, "16 points have two minima"
    b, c = sorted(map(float, values))[:2]
    assert not problem.same(b, c)
    assert Riesz(2, 3, 0.0).same(1e-15, -1e-15)


def test_needs_grow_with_the_problem() -> None:
    small, large = Riesz(20, 3).needs(), Riesz(240, 8).needs()
    assert 0.0 < small[0] < large[0] and 0.0 < small[1] < large[1]
    assert Riesz(10, 10**8).needs()[0] > 1e9  # said, not allocated
    assert Riesz(5, 10**5).needs()[0] < 1e8  # a simplex is cheap wherever it lies


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((0, 3), "n = 0"),
        ((3, -1), "d = -1"),
        ((2.5, 3), "n = 2.5"),
        ((True, 3), "n = True"),
        ((5, 3, -1.0), "out of range"),
        ((5, 3, math.nan), "out of range"),
        ((5, 3, 101.0), "largest angle"),
        ((5, 3, "1"), "exponent"),
        ((3, 1), "d = 1"),
        ((5, 3, 2.0, "coulomb"), "coulomb"),
        ((5, 3, 2.0, "angle"), "angle"),
    ],
)
def test_bad_problems_are_refused(arguments: tuple, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        Riesz(*arguments)


def test_bad_points_are_refused() -> None:
    problem = Riesz(4, 3)
    with pytest.raises(BadInput, match="shape"):
        problem.energy(points(3, 4))
    with pytest.raises(BadInput, match="sphere"):
        problem.energy(2.0 * points(4, 3))
    with pytest.raises(BadInput, match="sphere"):
        problem.examine(np.full((4, 3), np.nan))
