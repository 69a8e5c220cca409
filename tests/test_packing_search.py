"""packing.search: best codes and line packings, against closed forms, other routes and itself."""

from __future__ import annotations

import csv
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from packing.errors import BadInput, NotReached
from packing.search import Code, make_criterion, search
from packing.search.code import make_code, riesz_energy
from packing.search.multistart import Clock, Known, Tally, Team, run
from packing.search.spherical_codes import (
    MinMax,
    Pairs,
    centre_rattlers,
    known_code,
    largest,
    newton,
    pairs_above,
    polish,
    simplex,
    stress,
    tangents,
)
from packing.search.starts import away, fresh, hole, normalised, relax, relocated, surrogate
from packing.types import Float

EXACT = 1e-12
"""Polished cosines: a few dozen roundings of numbers of size one."""

REFERENCE = Path(__file__).parent / "data" / "reference"


def found_often(code: Code) -> bool:
    return code.status == "numerical" and "a better code is unlikely" in code.advice


def root(coefficients: list[float], low: float, high: float) -> float:
    return float(brentq(lambda c: np.polyval(coefficients, c), low, high, xtol=1e-15))


# Proved optima in R^3 and sharp codes; each value is a formula or a polynomial of the literature.
ROOT5 = math.sqrt(5.0)
PROVED = {
    (7, 3): root([3, -9, -3, 1], 0.0, 0.5),  # Schütte and van der Waerden 1951
    (8, 3): (2.0 * math.sqrt(2.0) - 1.0) / 7.0,  # the same: the square antiprism
    (9, 3): 1.0 / 3.0,
    (11, 3): 1.0 / ROOT5,  # Danzer 1986, Böröczky 1983
    (12, 3): 1.0 / ROOT5,  # Fejes Tóth 1943: the icosahedron
    (13, 3): root([1, -24, -12, 8, 38, 24, -12, -8, 1], 0.5, 0.6),  # Musin and Tarasov 2012
}
SHARP = {(24, 4): 0.5, (16, 5): 0.2, (27, 6): 0.25, (56, 7): 1.0 / 3.0}
"""The 24-cell, the hemicube, Schläfli's 27 and Gosset's 56 points; sizes found by construction."""


def snub_cube() -> float:
    """The cosine of n = 24, Robinson 1961, from its construction with the tribonacci constant."""
    t = root([1, -1, -1, -1], 1.0, 2.0)
    a = np.array([1.0, 1.0 / t, t])
    # Even permutations with an even number of minus signs, odd ones with an odd number.
    points = []
    for p in ((0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (2, 1, 0), (1, 0, 2)):
        odd = p in ((0, 2, 1), (2, 1, 0), (1, 0, 2))
        for signs in np.array(np.meshgrid([1, -1], [1, -1], [1, -1])).reshape(3, -1).T:
            if (np.prod(signs) < 0) == odd:
                points.append(a[list(p)] * signs)
    X = normalised(np.array(points))
    assert X.shape == (24, 3)
    return largest(X, False)


def quick(n: int, d: int, criterion: str = "angle", seed: int = 0, seconds: float = 300.0) -> Code:
    return search(n, d, criterion, seconds=seconds, seed=seed, workers=1)


def best_of(problem: MinMax, attempts: int) -> tuple[float, Float]:
    """The best of a few attempts from scratch: a search without its stop rule."""
    clock = Clock.of(300.0)
    found = [problem.attempt(np.random.default_rng(k), None, clock) for k in range(attempts)]
    return min(found, key=lambda item: item[0])


def rows(code: Code) -> Float:
    return np.ascontiguousarray(code.arrangement.W.T)


@pytest.mark.parametrize(("n", "d"), list(PROVED))
def test_proved_optima_are_found(n: int, d: int) -> None:
    code = quick(n, d)
    assert code.value == pytest.approx(PROVED[n, d], abs=EXACT)
    assert code.max_cosine == code.arrangement.max_cosine == pytest.approx(code.value, abs=EXACT)
    assert found_often(code) and 1 <= code.reached <= code.runs


@pytest.mark.parametrize(("n", "d"), list(SHARP))
def test_sharp_codes_are_found_in_a_few_attempts(n: int, d: int) -> None:
    value, X = best_of(MinMax(n, d), 2)
    assert value == pytest.approx(SHARP[n, d], abs=EXACT)
    c = (X @ X.T)[np.triu_indices(n, 1)]
    distinct = np.unique(np.round(c, 9))
    assert distinct.size == {24: 4, 16: 2, 27: 2, 56: 3}[n]  # as many as the constructions have


def test_the_snub_cube_is_found() -> None:
    value, X = best_of(MinMax(24, 3), 2)
    assert value == pytest.approx(snub_cube(), abs=EXACT)
    assert pairs_above(X, value - 1e-9, False).m == 60


@pytest.mark.parametrize(
    ("n", "d", "value"),
    [
        (6, 3, 1.0 / ROOT5),  # the diagonals of the icosahedron
        (10, 5, 1.0 / 3.0),  # equiangular, meets Welch's bound
        (12, 4, 0.5),  # the diagonals of the 24-cell
        (16, 6, 1.0 / 3.0),
        (28, 7, 1.0 / 3.0),
    ],
)
def test_line_packings_of_the_literature_are_found(n: int, d: int, value: float) -> None:
    found, X = best_of(MinMax(n, d, lines=True), 2)
    assert found == largest(X, True) == pytest.approx(value, abs=EXACT)
    welch = math.sqrt((n - d) / (d * (n - 1)))
    assert found >= welch - EXACT


def test_lines_are_antipodal_codes() -> None:
    """A second route to the diagonals of the icosahedron: a search for 12 points."""
    lines = rows(quick(6, 3, "lines"))
    points = rows(quick(12, 3))
    doubled = np.concatenate([lines, -lines])
    assert np.allclose(
        np.sort((doubled @ doubled.T).ravel()), np.sort((points @ points.T).ravel()), atol=1e-10
    )


# Closed forms.


@pytest.mark.parametrize(
    ("n", "d", "criterion", "value"),
    [
        (2, 1, "angle", -1.0),
        (3, 1, "angle", 1.0),
        (2, 5, "angle", -1.0),
        (4, 3, "angle", -1.0 / 3.0),
        (5, 7, "angle", -0.25),
        (5, 3, "angle", 0.0),
        (6, 3, "angle", 0.0),
        (13, 2, "angle", math.cos(2.0 * math.pi / 13.0)),
        (3, 1, "lines", 1.0),
        (4, 4, "lines", 0.0),
        (3, 6, "lines", 0.0),
        (5, 4, "lines", 0.25),
        (9, 2, "lines", math.cos(math.pi / 9.0)),
    ],
)
def test_closed_forms_are_answered_at_once(n: int, d: int, criterion: str, value: float) -> None:
    code = quick(n, d, criterion, seconds=1e-9)  # no time for a search: none is needed
    assert code.status == "proved" and code.advice.startswith("Optimal")
    assert code.value == pytest.approx(value, abs=EXACT)
    assert code.arrangement.W.shape == (d, n)
    assert np.allclose(code.arrangement.norms, 1.0, atol=EXACT)
    assert largest(rows(code), criterion == "lines") == pytest.approx(value, abs=EXACT)
    assert (code.reached, code.runs) == (1, 1)


@pytest.mark.parametrize("criterion", ["angle", "lines"])
def test_a_single_vector_has_no_neighbour(criterion: str) -> None:
    code = quick(1, 3, criterion)
    assert math.isnan(code.value) and math.isnan(code.min_angle) and code.status == "proved"
    assert code.contacts.shape == (0, 2) and code.rattlers == ()


@pytest.mark.parametrize(("n", "d", "lines"), [(5, 2, False), (7, 4, False), (8, 2, True)])
def test_no_attempt_beats_a_closed_form(n: int, d: int, lines: bool) -> None:
    """The search, were it asked, ends where the proof says (and the control: not at random)."""
    known = known_code(n, d, lines)
    assert known is not None
    problem = MinMax(n, d, lines)
    value, X = best_of(problem, 3)
    assert value == pytest.approx(known.value, abs=1e-9)
    random = normalised(np.random.default_rng(0).normal(size=X.shape))
    assert largest(random, lines) > known.value + 0.01


@given(st.integers(2, 40), st.integers(0, 20))
def test_the_simplex_is_regular(n: int, more: int) -> None:
    X = simplex(n, n - 1 + more)
    wanted = np.full((n, n), -1.0 / (n - 1))
    np.fill_diagonal(wanted, 1.0)
    assert np.allclose(X @ X.T, wanted, atol=1e-13)


# Optimality: the first-order conditions by another route than the polish.


def force_and_stress(X: Float, lines: bool) -> tuple[Float, Float]:
    """Stresses from the null space of the contact forces, by a singular value decomposition."""
    pairs = pairs_above(X, largest(X, lines) - 1e-10, lines)
    forces = np.zeros((pairs.m, *X.shape))
    for k, (i, j, q) in enumerate(zip(pairs.i, pairs.j, pairs.q, strict=True)):
        forces[k, i] = q * (X[j] - (X[i] @ X[j]) * X[i])
        forces[k, j] = q * (X[i] - (X[i] @ X[j]) * X[j])
    flat = forces.reshape(pairs.m, -1)
    _, values, vectors = np.linalg.svd(flat.T)
    rank = int((values > 1e-8).sum())
    null = vectors[rank:]
    return flat, null


@pytest.mark.parametrize(("n", "d", "lines"), [(10, 3, False), (12, 3, False), (7, 3, True)])
def test_contacts_are_in_equilibrium_under_positive_stresses(n: int, d: int, lines: bool) -> None:
    X = rows(quick(n, d, "lines" if lines else "angle"))
    pairs = pairs_above(X, largest(X, lines) - 1e-10, lines)
    w, residual = stress(X, pairs)
    assert residual < 1e-9 and w.min() >= 0.0 and w.sum() == pytest.approx(1.0)
    flat, null = force_and_stress(X, lines)
    assert np.abs(w @ flat).max() < 1e-9 * w.max()
    assert np.linalg.norm(w - null.T @ (null @ w)) < 1e-9  # the stress lies in the null space
    # Control: three of the contacts alone hold nothing.
    assert stress(X, pairs.take(np.arange(3)))[1] > 1e-2


def test_small_steps_do_not_improve_a_found_code() -> None:
    X = rows(quick(10, 3))
    t, rng = largest(X, False), np.random.default_rng(1)
    for size in (1e-2, 1e-4, 1e-6):
        for _ in range(200):
            assert largest(normalised(X + size * rng.normal(size=X.shape)), False) > t - 1e-14


def test_the_best_of_two_basins_is_told_apart() -> None:
    """n = 13 from low exponents ends in worse basins: polished to the end, and not called equal."""
    problem = MinMax(13, 3)
    rng = np.random.default_rng(0)
    X = np.stack([normalised(rng.normal(size=(13, 3))) for _ in range(8)])
    for kappa in (8.0, 32.0, 128.0, 512.0):
        X = relax(X, problem.beta(np.full(8, kappa)), False, 300, 1e-6)[0]
    polished = [polish(x, False) for x in X]
    values = np.array([largest(Y, False) for Y, _ in polished])
    assert max(residual for _, residual in polished) < 1e-8  # all are closed optima
    worse = values[values > PROVED[13, 3] + 1e-4]
    assert worse.size
    assert not problem.same(float(worse[0]), PROVED[13, 3])
    assert best_of(problem, 2)[0] < worse.min() - 1e-4


# The parts.


@pytest.mark.parametrize("lines", [False, True])
def test_the_surrogate_and_its_gradient(lines: bool) -> None:
    rng = np.random.default_rng(0)
    X, beta = normalised(rng.normal(size=(2, 7, 4))), np.array([3.0, 30.0])
    value, gradient, mean = surrogate(X, beta, lines)
    i, j = np.triu_indices(7, 1)
    for k in range(2):
        c = (X[k] @ X[k].T)[i, j]
        q = c * c if lines else c
        assert value[k] == pytest.approx(np.log(np.exp(beta[k] * q).sum()), abs=1e-12)
        m = float((np.exp(beta[k] * q) * q).sum() / np.exp(beta[k] * q).sum())
        assert mean[k] == pytest.approx(math.sqrt(m) if lines else m, abs=1e-12)
    step = 1e-6 * rng.normal(size=X.shape)
    rise = surrogate(normalised(X + step), beta, lines)[0]
    fall = surrogate(normalised(X - step), beta, lines)[0]
    assert np.allclose((rise - fall) / 2.0, (gradient * step).sum(axis=(1, 2)), rtol=1e-6)


def test_the_limit_of_the_surrogate_is_better_than_its_largest_cosine() -> None:
    """The claim on which the choice of what to polish rests: an error of second order."""
    problem, best = MinMax(12, 3), PROVED[12, 3]
    X = np.stack([normalised(np.random.default_rng(k).normal(size=(12, 3))) for k in range(4)])
    off = []
    for kappa in (20.0, 80.0, 320.0):
        X = relax(X, problem.beta(np.full(4, kappa)), False, 500, 1e-9)[0]
        limit = surrogate(X, problem.beta(np.full(4, kappa)), False)[2]
        off.append(abs(float(limit.min()) - best))
    assert off[-1] < 1e-6


def test_tangents_are_orthonormal_and_tangent() -> None:
    X = normalised(np.random.default_rng(0).normal(size=(6, 5)))
    X[0], X[1] = np.eye(5)[0], -np.eye(5)[0]
    T = tangents(X)
    assert np.allclose(np.einsum("nde,nd->ne", T, X), 0.0, atol=1e-15)
    assert np.allclose(np.einsum("nde,ndf->nef", T, T), np.eye(4), atol=1e-14)


def test_the_jacobian_is_the_derivative_of_the_cosines() -> None:
    rng = np.random.default_rng(0)
    X = normalised(rng.normal(size=(5, 3)))
    pairs, T = pairs_above(X, -1.0, True), tangents(X)
    assert pairs.m == 10
    u = 1e-6 * rng.normal(size=(5, 2))
    move = np.einsum("nde,ne->nd", T, u)
    change = pairs.cosines(normalised(X + move)) - pairs.cosines(normalised(X - move))
    assert np.allclose(change / 2.0, pairs.jacobian(X, T) @ u.ravel(), rtol=1e-6, atol=1e-15)


def test_newton_closes_the_right_contacts_and_no_others() -> None:
    X = normalised(np.array([(0, s, t * (1 + ROOT5) / 2) for s in (1, -1) for t in (1, -1)]))
    X = np.concatenate([X, X[:, [1, 2, 0]], X[:, [2, 0, 1]]])
    rng = np.random.default_rng(0)
    Y = normalised(X + 1e-4 * rng.normal(size=X.shape))
    edges = pairs_above(Y, 0.44, False)
    assert edges.m == 30
    assert newton(Y, edges)[1] < 1e-15
    # Control: with a pair that is no contact among them, there is nothing to close.
    wrong = Pairs(np.append(edges.i, 0), np.append(edges.j, 3), np.append(edges.q, 1.0))
    assert newton(Y, wrong)[1] > 1e-3


def test_rattlers_are_told_and_centred() -> None:
    """n = 19 in R^3: one point is free, as Sloane's table says, and it returns to its middle."""
    code = quick(19, 3)
    X, (k,) = rows(code), code.rattlers
    assert k not in code.contacts
    Y = X.copy()
    Y[k] = normalised(X[k] + 1e-3 * np.array([1.0, -1.0, 0.5]))
    assert largest(Y, False) == pytest.approx(code.value, abs=EXACT)  # it was free to move
    assert np.allclose(centre_rattlers(Y, False), X, atol=1e-6)
    # Control: a point of the frame is not free, and nothing is moved where nothing is held.
    Z = X.copy()
    Z[k - 1] = normalised(X[k - 1] + 1e-3 * np.array([1.0, -1.0, 0.5]))
    assert largest(Z, False) > code.value + 1e-5
    assert np.array_equal(centre_rattlers(Z, False), Z)


def test_moves_keep_unit_vectors_and_change_the_code() -> None:
    rng = np.random.default_rng(0)
    for n, d, lines in ((4, 3, False), (14, 3, False), (9, 4, True), (12, 5, True)):
        X = fresh(rng, n, d, lines)
        for Y in [fresh(rng, n, d, lines) for _ in range(20)] + [
            away(rng, X, lines) for _ in range(40)
        ]:
            assert Y.shape == (n, d) and np.allclose(np.linalg.norm(Y, axis=1), 1.0)
            assert not np.allclose(Y, X)
        kept = (np.abs(relocated(rng, X, 1, lines)[:, None] - X[None]).sum(axis=2) < 1e-12).any(1)
        assert kept.sum() == n - 1


def test_a_hole_is_found() -> None:
    """The octahedron without one vertex has its deepest hole there."""
    X = np.concatenate([np.eye(3), -np.eye(3)])[:5]
    x = hole(np.random.default_rng(0), X, False, greed=0.0)
    assert x[2] < -0.9


# The driver: counting, reproducibility, the clock.


def test_the_same_seed_gives_the_same_code() -> None:
    one, two, other = quick(10, 3, seed=4), quick(10, 3, seed=4), quick(10, 3, seed=5)
    assert np.array_equal(one.arrangement.W, two.arrangement.W)
    assert (one.reached, one.runs) == (two.reached, two.runs)
    assert not np.array_equal(one.arrangement.W, other.arrangement.W)
    assert one.value == pytest.approx(other.value, abs=EXACT)


@dataclass(frozen=True)
class Drawn:
    """A criterion whose attempts draw 0, 1 or 2: what the driver counts can be counted by hand."""

    n: int = 2
    d: int = 2
    s: float = 1.0
    name: str = "angle"
    wanted: int = 4

    def known(self) -> Known | None:
        return None

    def attempt(
        self, rng: np.random.Generator, best: Float | None, clock: Clock
    ) -> tuple[float, Float]:
        return float(rng.integers(3)), np.array([[1.0, 0.0], [0.0, 1.0]])

    def same(self, a: float, b: float) -> bool:
        return a == b

    def enough(self, reached: int, runs: int) -> bool:
        return reached >= self.wanted

    def needs(self) -> tuple[float, float]:
        return 0.0, 0.0


def test_reached_and_runs_are_counted() -> None:
    tally = Tally(lambda a, b: a == b)
    X = np.eye(2)
    for parent, value in [(None, 2.0), (None, 1.0), (2.0, 1.0), (1.0, 1.0), (1.0, 2.0), (2.0, 2.0)]:
        tally.add(parent, value, X)
    # The best is 1.0; two attempts began there and do not count, four began elsewhere, two arrived.
    assert tally.counts() == (2, 4) and tally.departures() == 2
    tally.add(1.0, 0.0, X)  # better: now nobody began there, and one arrived
    assert tally.best[0] == 0.0 and tally.counts() == (1, 7) and tally.departures() == 0
    assert [value for value, _ in tally.elites[-1]] == [0.0, 1.0, 2.0]


def test_the_stop_rule_stops() -> None:
    code = run(Drawn(), 2, 2, 60.0, 0, workers=1)
    assert code.reached == 4 and found_often(code)
    never = run(Drawn(wanted=10**9), 2, 2, 0.2, 0, workers=1)
    assert never.value == 0.0 and never.status == "unsettled" and "more seconds" in never.advice


def test_progress_is_reported() -> None:
    seen: list[tuple[str, float]] = []
    search(9, 3, seconds=30.0, workers=1, progress=lambda stage, part: seen.append((stage, part)))
    assert seen and seen[-1][1] == 1.0
    assert all(isinstance(stage, str) and 0.0 <= part <= 1.0 for stage, part in seen)


def test_a_budget_too_short_says_so() -> None:
    with pytest.raises(NotReached, match="too short for a single attempt at 40 points"):
        quick(40, 3, seconds=1e-6)


def test_a_short_budget_gives_what_was_reached() -> None:
    begin = time.monotonic()
    code = quick(60, 3, seconds=2.0)
    assert time.monotonic() - begin < 8.0
    assert code.status == "unsettled" and code.advice
    assert code.value == pytest.approx(largest(rows(code), False), abs=EXACT)
    assert 0.868 < code.value < 0.95  # no better than fifty points, and better than nothing


def test_workers_do_not_change_the_answer() -> None:
    """Two worker processes, from a script without a main guard."""
    script = (
        "import packing.search.multistart as w\nw.ALONE = 0.0\n"
        "from packing.search import search\n"
        "c = search(10, 3, seconds=50, seed=1, workers={})\n"
        "print(repr(c.value), c.reached, c.runs, c.arrangement.W.tobytes().hex())\n"
    )
    answers = [
        subprocess.run(
            [sys.executable, "-c", script.format(many)],
            capture_output=True, text=True, timeout=120, check=True, env={**os.environ},
        ).stdout
        for many in (1, 2)
    ]  # fmt: skip
    assert answers[0] == answers[1] and answers[0]


# Bad input.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n": 0}, "n = 0 is not a count"),
        ({"n": -3}, "n = -3"),
        ({"n": True}, "n = True"),
        ({"n": 2.5}, "n = 2.5"),
        ({"d": 0}, "d = 0 is not a count"),
        ({"criterion": "angles"}, "give one of angle"),
        ({"seconds": 0.0}, "no time budget"),
        ({"seconds": math.nan}, "no time budget"),
        ({"seed": -1}, "no seed"),
        ({"workers": 0}, "workers = 0"),
        ({"criterion": "riesz", "s": math.inf}, "Riesz exponent"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        search(**{"n": 5, "d": 3, "seconds": 1.0, **arguments})  # type: ignore[arg-type]


@pytest.mark.parametrize(("n", "d"), [(10**7, 3), (4, 10**12), (10**6, 10**6)])
@pytest.mark.parametrize("criterion", ["angle", "lines"])
def test_what_does_not_fit_is_refused_before_it_is_allocated(
    n: int, d: int, criterion: str
) -> None:
    begin = time.monotonic()
    with pytest.raises(BadInput, match="GB"):
        search(n, d, criterion)
    assert time.monotonic() - begin < 1.0


# Invariance and the reference table.


def test_values_do_not_depend_on_the_frame() -> None:
    rng = np.random.default_rng(0)
    X = rows(quick(10, 3))
    Q = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turned = make_code(
        (X @ Q)[rng.permutation(10)], "angle", largest(X, False), reached=1, runs=1, seconds=0.0,
        seed=0, end="proved",
    )  # fmt: skip
    assert turned.max_cosine == pytest.approx(largest(X, False), abs=1e-14)
    assert len(turned.contacts) == 19
    assert turned.energy == pytest.approx(riesz_energy(X, 1.0), rel=1e-12)
    assert turned.min_angle == pytest.approx(math.acos(turned.max_cosine), abs=1e-12)


def test_energies_by_hand() -> None:
    X = np.concatenate([np.eye(3), -np.eye(3)])
    assert riesz_energy(X, 1.0) == pytest.approx(12.0 / math.sqrt(2.0) + 1.5, rel=1e-14)
    assert riesz_energy(X, 2.0) == pytest.approx(12.0 / 2.0 + 3.0 / 4.0, rel=1e-14)
    assert riesz_energy(X, 0.0) == pytest.approx(-6.0 * math.log(2.0) - 3.0 * math.log(2.0))
    assert math.isinf(riesz_energy(np.ones((2, 1)), 1.0))


def table() -> Iterator[tuple[int, float]]:
    path = REFERENCE / "tammes_d3.csv"
    if path.exists():
        lines = [row for row in path.read_text().splitlines() if not row.startswith("#")]
        for row in csv.DictReader(lines):
            yield int(row["n"]), float(row["max_cosine"])


@pytest.mark.slow
def test_the_table_of_best_known_codes() -> None:
    """A few rows of Sloane's table; benchmarks/codes.py makes the whole comparison."""
    known = dict(table())
    for n in (16, 30, 34):
        assert quick(n, 3).value == pytest.approx(known[n], abs=1e-11)


# Workers.


class Soon(Clock):
    """A clock that is up as soon as a worker looks at it."""

    @property
    def up(self) -> bool:
        return False

    @property
    def left(self) -> float:
        return 1e-9


def test_a_worker_that_is_out_of_time_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    with Team(make_criterion("angle", 24, 4), 1) as team:
        assert team.submit(0, 0, None, Soon(0.0)).result() is None
    assert capfd.readouterr().err == ""
