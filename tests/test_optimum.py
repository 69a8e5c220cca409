"""theory.optimum against closed forms, a two-feature loss written by hand, and brute force.

Nothing here is taken from the solver's own output. Tolerances, fixed before any run:

- a closed form: 1e-12 relative, a few hundred roundings;
- two independent searches for one minimum: 1e-9 relative, what is asked of the optimum itself
  (losses agree to the square of what the parameters do, so the searches need not be sharper);
- cosines of a symmetric optimum: 1e-6, for a gradient at rounding and curvatures above 1e-4;
- zero: 1e-14 of the loss of ignoring everything, where parameters were rounded, else 0 itself.
"""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import biases, gaussian
from scipy.optimize import minimize

from packing.errors import BadInput
from packing.recognition import identify
from packing.results import Evidence
from packing.weights import read_weights, save_weights
from theory.features import Features
from theory.global_search import Problem, Shape, least_norm, polish
from theory.losses.expected import loss
from theory.objective import Objective
from theory.optima import CONSTANT, DEDICATED, FLAT, GUIDED, OFTEN, OPEN, RARE, Optimum, optimum

AGREE = 1e-9


SAYS = {
    **dict.fromkeys((DEDICATED, CONSTANT), Evidence.PROVED),
    **dict.fromkeys((FLAT, GUIDED, RARE, OFTEN), Evidence.NUMERICAL),
    OPEN: Evidence.UNSETTLED,
}
"""What each advice claims."""


@cache
def best(n: int, d: int, S: float, law: str = "binary", **options: Any) -> Optimum:
    """An optimum asked for by several tests, with the default search."""
    return optimum(Features.of(n, S, law), d, **options)


def cosines(found: Optimum) -> Any:
    """Cosines of all pairs of columns, (n (n-1) / 2,), ascending."""
    unit = found.W / np.linalg.norm(found.W, axis=0)
    return np.sort((unit.T @ unit)[np.triu_indices(found.W.shape[1], 1)])


def digon(S: float) -> float:
    """Loss of the equal-norm antipodal pair, both features, S <= 1/2 (theory.md, 3)."""
    return 2.0 * S**2 * (1.0 - S) ** 2 / (S**2 + (1.0 - S) ** 2)


# ---------------------------------------------------------------- two features, written by hand


def two_features(v: Any, S: float) -> tuple[float, Any]:
    """Binary loss of W = (a, c), b = (b1, b2) and its gradient, pattern by pattern."""
    a, c, b1, b2 = v
    off = 1.0 - S
    value, grad = 0.0, np.zeros(4)
    for x1, x2, chance in ((0, 0, off * off), (1, 0, S * off), (0, 1, off * S), (1, 1, S * S)):
        hidden = a * x1 + c * x2
        for k, (x, w, b) in enumerate(((x1, a, b1), (x2, c, b2))):
            z = w * hidden + b
            value += chance * (x - max(z, 0.0)) ** 2
            if z > 0.0:
                slope = -2.0 * chance * (x - z)
                grad[0] += slope * (w * x1 + (hidden if k == 0 else 0.0))
                grad[1] += slope * (w * x2 + (hidden if k == 1 else 0.0))
                grad[2 + k] += slope
    return value, grad


@cache
def two_features_minimum(S: float, bias: bool = True) -> float:
    """Its least value over a grid of starts, by BFGS."""
    # 0.01: at small S a start with a bias at or below 0 never sees that a small one pays
    levels = ((-0.1, 0.01, 0.2, 0.6), (0.01, 0.2, 0.5)) if bias else ((0.0,), (0.0,))
    free = slice(0, 4 if bias else 2)
    lowest = np.inf
    for start in itertools.product((0.6, 1.0), (-1.0, -0.6, -0.2, 0.2, 0.6), *levels):

        def objective(v: Any, start: Any = start) -> tuple[float, Any]:
            full = np.array(start)
            full[free] = v
            value, grad = two_features(full, S)
            return value, grad[free]

        end = minimize(
            objective,
            np.array(start)[free],
            jac=True,
            method="BFGS",
            options={"gtol": 1e-12, "maxiter": 500},
        )
        lowest = min(lowest, float(end.fun))
    return lowest


def test_the_loss_by_hand_is_the_loss() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        v, S = rng.normal(size=4), rng.uniform(0.01, 1.0)
        true = loss(v[None, :2], v[2:], features=Features.of(2, S), gradient=True)
        value, grad = two_features(v, S)
        assert true.grad_W is not None and true.grad_b is not None
        assert value == pytest.approx(true.total, rel=1e-13)
        assert grad == pytest.approx(
            np.concatenate([true.grad_W[0], true.grad_b]), rel=1e-11, abs=1e-13
        )


@pytest.mark.parametrize("S", [0.02, 0.1, 0.25, 0.4, 0.42, 0.45, 0.5, 0.55, 0.9])
def test_two_features_meet_an_independent_minimum(S: float) -> None:
    assert best(2, 1, S).loss.total == pytest.approx(two_features_minimum(S), rel=AGREE)


@pytest.mark.parametrize("S", [0.1, 0.3, 0.7])
def test_two_features_without_bias_meet_an_independent_minimum(S: float) -> None:
    found = best(2, 1, S, objective=Objective(bias=False))
    assert found.loss.total == pytest.approx(two_features_minimum(S, bias=False), rel=AGREE)
    assert not np.any(found.b)


def test_the_digon_is_the_optimum_at_03() -> None:
    found = best(2, 1, 0.3)
    assert found.name == "digon"
    assert found.loss.total == pytest.approx(digon(0.3), rel=1e-12)
    # theory.md, 3: the stationary point has b = S^2 / (S^2 + (1-S)^2), squared norm 1 - b
    share = 0.09 / (0.09 + 0.49)
    assert found.b == pytest.approx([share, share], rel=1e-7)
    assert np.sum(found.W**2, axis=0) == pytest.approx([1.0 - share] * 2, rel=1e-7)
    assert (
        SAYS[found.advice] is found.evidence
        and found.advice == OFTEN
        and found.stable
        and found.represented == 2
    )


def test_the_uneven_digon_is_the_optimum_at_01() -> None:
    found = best(2, 1, 0.1)
    assert found.name == "uneven digon"
    assert 1.0 - found.loss.total / digon(0.1) == pytest.approx(0.018, abs=0.001)
    assert found.W[0, 0] * found.W[0, 1] < 0.0
    assert abs(abs(found.W[0, 0]) - abs(found.W[0, 1])) > 1e-3
    assert found.hits > 0


# ---------------------------------------------------------------- known arrangements


@pytest.mark.parametrize("law,S", [("binary", 0.01), ("binary", 0.03), ("uniform", 0.03)])
def test_five_in_the_plane_are_a_regular_pentagon(law: str, S: float) -> None:
    found = best(5, 2, S, law)
    assert found.name == "pentagon" and found.represented == 5
    turn = 2.0 * np.pi / 5.0
    assert cosines(found) == pytest.approx([np.cos(2.0 * turn)] * 5 + [np.cos(turn)] * 5, abs=1e-6)
    assert found.dimensionality == pytest.approx([0.4] * 5, abs=1e-6)  # a tight frame: d / n
    assert [block.symmetry_order for block in found.blocks] == [10]


def test_six_in_space_are_an_octahedron() -> None:
    found = best(6, 3, 0.2, "uniform")
    assert found.name == "3 digon (octahedron)"
    assert cosines(found) == pytest.approx([-1.0] * 3 + [0.0] * 12, abs=1e-6)
    # Orthogonal blocks add (theory.md, 4).
    assert found.loss.total == pytest.approx(3.0 * best(2, 1, 0.2, "uniform").loss.total, rel=AGREE)


def test_sixteen_in_five_dimensions_are_the_demicube() -> None:
    found = best(16, 5, 0.05, "uniform")
    assert found.name == "5-demicube"
    # vertices of the 5-cube with an even number of minus signs: 10 differ in 2 signs, 5 in 4
    assert cosines(found) == pytest.approx([-3.0 / 5.0] * 40 + [1.0 / 5.0] * 80, abs=1e-6)
    assert found.hits > 0 and found.advice in (OFTEN, RARE)
    assert found.represented == 16
    again = loss(found.W, found.b, features=found.features, gradient=True)
    assert again.grad_W is not None and again.grad_b is not None
    grad = float(np.hypot(np.linalg.norm(again.grad_W), np.linalg.norm(again.grad_b)))
    # Descent, not Newton's method, at this size; the loss is off by grad^2 / curvature, at a
    # curvature above 1e-3 less than 1e-9 of a loss of a few hundredths.
    assert grad <= 1e-7


# ---------------------------------------------------------------- answered in closed form


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("law", ["binary", "uniform", "exponential"])
@pytest.mark.parametrize("n,d", [(1, 1), (1, 4), (3, 3), (3, 5)])
def test_a_dimension_for_every_feature_costs_nothing(n: int, d: int, law: str, relu: bool) -> None:
    for S, bias in itertools.product((1e-4, 0.3, 1.0), (True, False)):
        found = optimum(Features.of(n, S, law), d, objective=Objective(bias, relu))
        assert found.loss.total == 0.0
        assert found.represented == n and found.name == f"{n} dedicated"
        assert (
            (found.evidence, found.advice) == (Evidence.PROVED, DEDICATED)
            and found.W.shape == (d, n)
            and found.b.shape == (n,)
        )
        assert found.dimensionality == pytest.approx(np.ones(n), rel=1e-12)
        assert found.D_star == pytest.approx(d / n)


@pytest.mark.parametrize("n,d", [(2, 1), (4, 2), (5, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_features_that_are_always_on_cost_nothing(n: int, d: int, bias: bool) -> None:
    # With a bias x' = b = 1; without, G = 11^T / n maps ones to ones.
    found = best(n, d, 1.0, objective=Objective(bias))
    assert found.loss.total <= 1e-14 * n
    assert SAYS[found.advice] is found.evidence
    assert np.all(np.isfinite(found.W)) and np.all(np.isfinite(found.b))
    assert np.array_equal(found.b, np.zeros(n)) or bias


def test_inputs_that_never_vary_need_biases_only() -> None:
    # S = 1 with a bias: W = 0, b = 1 costs nothing and no other W is shorter.
    found = best(4, 2, 1.0)
    assert (found.evidence, found.advice) == (Evidence.PROVED, CONSTANT)
    assert found.loss.total == 0.0 and np.all(found.W == 0.0) and found.represented == 0


@pytest.mark.parametrize("S", [0.1, (0.05, 0.45, 0.2, 0.3)], ids=["equal S", "one S each"])
@pytest.mark.parametrize("law,starts", [("binary", None), ("uniform", 8)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_models_do_principal_components(
    S: Any, law: str, starts: int | None, bias: bool
) -> None:
    # x' = Gx + b with G = W^T W of rank d: the best G projects on the leading eigenvectors of the
    # second moments, of the covariance where b absorbs the mean; the others' sum is the loss.
    features = Features.of(4, S, law)
    moments = np.diag(features.variance)
    if not bias:
        moments = moments + np.outer(features.mean, features.mean)
    for d in (1, 2, 3)[:: 1 if starts is None else 2]:
        found = optimum(features, d, objective=Objective(bias, relu=False), starts=starts)
        left_out = np.linalg.eigvalsh(moments)[: 4 - d].sum()
        assert found.loss.total == pytest.approx(left_out, rel=1e-12)
        assert np.array_equal(found.b, np.zeros(4)) or bias
        eigenvalues = np.linalg.eigvalsh(found.W.T @ found.W)
        assert eigenvalues == pytest.approx([0.0] * (4 - d) + [1.0] * d, abs=1e-6)


# ---------------------------------------------------------------- a stationary point, and stable


def natural(features: Features) -> float:
    return float(features.importance @ features.second)


STATIONARY = [
    (2, 1, 0.1, "binary"),
    (2, 1, 0.3, "binary"),
    (3, 2, 0.35, "binary"),
    (5, 2, 0.03, "binary"),
    (5, 2, 0.15, "binary"),
    (4, 3, 0.7, "binary"),
    (2, 1, 0.2, "uniform"),
    (4, 2, 0.35, "uniform"),
    (5, 2, 0.03, "uniform"),
]


@pytest.mark.parametrize("n,d,S,law", STATIONARY)
def test_the_gradient_vanishes_and_the_spectrum_is_that_of_the_hessian(
    n: int, d: int, S: float, law: str
) -> None:
    found = best(n, d, S, law)
    true = loss(found.W, found.b, features=found.features, gradient=True)
    assert true.grad_W is not None and true.grad_b is not None
    grad = float(np.hypot(np.linalg.norm(true.grad_W), np.linalg.norm(true.grad_b)))
    # Newton's method ends at rounding: a few hundred terms of the size of the loss.
    assert grad <= 1e-12 * natural(found.features)
    assert found.gradient_norm <= 1e-12 * natural(found.features)
    assert found.loss.total == true.total
    assert found.stable and SAYS[found.advice] is found.evidence
    # The spectrum: that of differences of theory.loss's own gradient, less the rotations (zeros).
    H = differences_of_gradient(found.features, d, found.W, found.b)
    eigenvalues = np.linalg.eigvalsh(H)
    by_size = np.argsort(np.abs(eigenvalues))
    rest = np.sort(eigenvalues[by_size[d * (d - 1) // 2 :]])
    assert found.spectrum.shape == rest.shape
    assert found.spectrum == pytest.approx(rest, abs=1e-6 * np.max(np.abs(rest)))
    assert np.sum(found.dimensionality) <= d * (1.0 + 1e-12)
    assert found.D_star == pytest.approx(d / np.sum(found.W**2), rel=1e-12)


def differences_of_gradient(features: Features, d: int, W: Any, b: Any) -> Any:
    """The Hessian by central differences of theory.loss's gradient, extrapolated to h^4."""
    shape = Shape(features.n, d, True)
    theta = shape.join(W[None], b[None])[0]

    def gradient(t: Any) -> Any:
        W, b = (q[0] for q in shape.split(t[None]))
        true = loss(W, b, features=features, gradient=True)
        assert true.grad_W is not None and true.grad_b is not None
        return np.concatenate([true.grad_W.ravel(), true.grad_b])

    def table(h: float) -> Any:
        steps = h * np.eye(theta.size)
        return np.array([(gradient(theta + s) - gradient(theta - s)) / (2.0 * h) for s in steps])

    H = (4.0 * table(5e-5) - table(1e-4)) / 3.0
    return 0.5 * (H + H.T)


@pytest.mark.parametrize("law", ["binary", "uniform"])
def test_the_hessian_is_that_of_the_loss_anywhere(law: str) -> None:
    # Not only where the gradient vanishes; importance and one S each included.
    for seed, (n, d) in enumerate([(2, 1), (3, 2), (5, 3)]):
        features = Features.of(n, np.linspace(0.1, 0.7, n), law, np.linspace(0.5, 2.0, n))
        W, b = gaussian(seed, d, n), biases(seed, n)
        problem = Problem(features, Shape(n, d, True))
        assert problem.enumerable == (law == "binary")
        H = problem.hessian(problem.shape.join(W[None], b[None])[0])
        reference = differences_of_gradient(features, d, W, b)
        assert np.max(np.abs(H - reference)) <= 1e-6 * np.max(np.abs(reference))
        assert np.array_equal(H, H.T) or np.max(np.abs(H - H.T)) <= 1e-13 * np.max(np.abs(H))


def test_the_hessian_without_bias_is_a_block_of_the_one_with() -> None:
    features, W = Features.of(4, 0.2), gaussian(3, 2, 4)
    whole, part = (Problem(features, Shape(4, 2, bias)) for bias in (True, False))
    H = whole.hessian(whole.shape.join(W[None], np.zeros((1, 4)))[0])
    assert np.allclose(part.hessian(W.ravel()), H[:8, :8], rtol=0.0, atol=1e-14)


@pytest.mark.parametrize("law", ["binary", "uniform"])
def test_problem_and_loss_agree(law: str) -> None:
    for relu in (True, False):
        features = Features.of(4, [0.1, 0.3, 0.5, 0.9], law, [1.0, 0.5, 0.0, 2.0])
        problem = Problem(features, Shape(4, 2, True), relu)
        W = np.stack([gaussian(k, 2, 4) for k in range(3)])
        b = np.stack([biases(k, 4) for k in range(3)])
        value, grad = problem(problem.shape.join(W, b))
        for k in range(3):
            true = loss(
                W[k], b[k], features=features, objective=Objective(relu=relu), gradient=True
            )
            assert true.grad_W is not None and true.grad_b is not None
            assert value[k] == pytest.approx(true.total, rel=1e-10)
            whole = np.concatenate([true.grad_W.ravel(), true.grad_b])
            assert np.linalg.norm(grad[k] - whole) <= 1e-10 * np.linalg.norm(whole)
    other = problem.at(0.25).features
    assert np.array_equal(other.S, np.full(4, 0.25))
    assert np.array_equal(other.importance, features.importance)


@pytest.mark.parametrize(
    "n,d,rank,r",
    [(5, 2, 2, 1), (6, 3, 3, 3), (6, 3, 1, 2), (4, 3, 2, 3), (3, 1, 1, 0), (3, 2, 0, 0)],
)
def test_rotations_are_null_directions(n: int, d: int, rank: int, r: int) -> None:
    # d (d-1) / 2 planes, less those that leave every column where it is.
    W = gaussian(7, d, rank) @ gaussian(8, rank, n) if rank else np.zeros((d, n))
    problem = Problem(Features.of(n, 0.2), Shape(n, d, True))
    theta = problem.shape.join(W[None], biases(9, n)[None])[0]
    turn = problem.rotations(theta)
    assert turn.shape == (theta.size, r)
    assert turn.T @ turn == pytest.approx(np.eye(r), abs=1e-12)
    if not r:
        return
    value, grad = (q[0] for q in problem(theta[None]))
    assert np.max(np.abs(turn.T @ grad)) <= 1e-13 * np.linalg.norm(grad)
    # to second order the loss changes along the tangent by the bend of the circle alone
    h = 1e-4
    moved = problem(theta + h * turn.T)[0]
    assert np.max(np.abs(moved - value)) <= 10.0 * h * h * (1.0 + np.linalg.norm(grad))
    stationary = best(5, 2, 0.15)
    problem = Problem(stationary.features, Shape(5, 2, True))
    theta = problem.shape.join(stationary.W[None], stationary.b[None])[0]
    H, turn = problem.hessian(theta), problem.rotations(theta)
    assert np.max(np.abs(H @ turn)) <= 1e-12 * np.max(np.abs(H))


# ---------------------------------------------------------------- the polish


def test_polish_leaves_the_saddle_of_ignoring_everything() -> None:
    # W = 0, b = E x: the gradient vanishes (z = b everywhere, errors have mean 0), and along equal
    # W the loss falls.
    for n, d in ((2, 1), (3, 2)):
        problem = Problem(Features.of(n, 0.3), Shape(n, d, True))
        saddle = problem.shape.join(np.zeros((1, d, n)), np.full((1, n), 0.3))
        value, grad = (q[0] for q in problem(saddle))
        assert np.linalg.norm(grad) <= 1e-15 and value == pytest.approx(n * 0.21, rel=1e-14)
        point = polish(problem, saddle[0])
        assert point.value < 0.9 * value and point.stable
        assert point.gradient_norm <= 1e-12 * problem.scale


def test_polish_leaves_the_symmetric_saddle_for_an_uneven_pair() -> None:
    # The equal-norm digon of S = 0.45 is stationary by symmetry, not a minimum.
    S, share = 0.45, 0.45**2 / (0.45**2 + 0.55**2)
    problem = Problem(Features.of(2, S), Shape(2, 1, True))
    W = np.sqrt(1.0 - share) * np.array([[[1.0, -1.0]]])
    saddle = problem.shape.join(W, np.full((1, 2), share))
    value, grad = (q[0] for q in problem(saddle))
    assert value == pytest.approx(digon(S), rel=1e-13) and np.linalg.norm(grad) <= 1e-15
    H = differences_of_gradient(problem.features, 1, W[0], np.full(2, share))
    assert np.linalg.eigvalsh(H)[0] < -1e-3
    point = polish(problem, saddle[0])
    assert point.value == pytest.approx(two_features_minimum(S), rel=AGREE)
    assert point.stable


def test_polish_stays_where_it_belongs() -> None:
    problem = Problem(Features.of(2, 0.3), Shape(2, 1, True))
    share = 0.09 / 0.58
    exact = np.array([np.sqrt(1.0 - share), -np.sqrt(1.0 - share), share, share])
    away = exact + 0.02 * np.array([1.0, -0.5, 0.3, 1.0])
    for start in (exact, away):
        kept = start.copy()
        point = polish(problem, start)
        assert np.array_equal(start, kept)
        assert point.theta == pytest.approx(exact, abs=1e-9)
        assert point.value == pytest.approx(digon(0.3), rel=1e-13)
        assert point.flat == 0 and point.spectrum[0] > 0.0


def test_least_norm_never_costs_anything() -> None:
    # Linear, n = 2 ignored dimensions' worth: every projection ties, and has the norm sqrt(d).
    problem = Problem(Features.of(4, 0.2), Shape(4, 2, True), relu=False)
    start = problem.shape.join(np.eye(2, 4)[None], np.array([[0.0, 0.0, 0.2, 0.2]]))[0]
    point = polish(problem, start)
    assert point.flat > 0
    shorter = least_norm(problem, point)
    assert shorter.value <= point.value + 1e-13
    assert np.linalg.norm(shorter.theta[:8]) <= np.linalg.norm(point.theta[:8]) * (1.0 + 1e-9)


# ---------------------------------------------------------------- bounds that hold by proof

SPARSITIES = [0.15, 0.7]


@pytest.mark.parametrize("S", SPARSITIES)
def test_more_dimensions_never_cost(S: float) -> None:
    for n in (2, 3, 4, 5):
        totals = [best(n, d, S).loss.total for d in (1, 2, 3)]
        assert all(b <= a * (1.0 + AGREE) for a, b in itertools.pairwise(totals))


@pytest.mark.parametrize("S", SPARSITIES)
def test_more_features_never_help(S: float) -> None:
    # Given the new feature's value the others' losses are those of a model with shifted biases.
    for d in (1, 2, 3):
        totals = [best(n, d, S).loss.total for n in (1, 2, 3, 4, 5, 6) if d < 3 or n != 6]
        assert all(a <= b * (1.0 + AGREE) for a, b in itertools.pairwise(totals))
        # ... and never cost more than being ignored.
        assert all(b - a <= S * (1.0 - S) * (1.0 + AGREE) for a, b in itertools.pairwise(totals))


def cheapest_mixture(n: int, d: int, S: float, law: str, largest: int) -> float:
    """Least sum over orthogonal blocks smaller than (n, d), ignored features at their variance."""
    v = float(Features.of(1, S, law).variance[0])
    table = {(m, 0): m * v for m in range(n + 1)}
    for k, m in itertools.product(range(1, d + 1), range(n + 1)):
        options = [m * v]
        for e, size in itertools.product(range(1, k + 1), range(1, m + 1)):
            if (size, e) != (n, d) and size <= largest:
                block = 0.0 if e >= size else best(size, e, S, law).loss.total
                options.append(block + table[m - size, k - e])
        table[m, k] = min(options)
    return table[n, d]


@pytest.mark.parametrize(
    "n,d,S,law,largest",
    [
        (4, 2, 0.08, "binary", 4),
        (4, 2, 0.35, "binary", 4),
        (5, 2, 0.15, "binary", 5),
        (6, 3, 0.15, "binary", 6),
        (6, 3, 0.4, "binary", 6),
        (4, 2, 0.35, "uniform", 2),
        (6, 3, 0.2, "uniform", 2),
    ],
)
def test_no_mixture_of_orthogonal_blocks_is_better(
    n: int, d: int, S: float, law: str, largest: int
) -> None:
    mixture = cheapest_mixture(n, d, S, law, largest)
    assert best(n, d, S, law).loss.total <= mixture * (1.0 + AGREE)


def test_less_of_a_model_never_helps() -> None:
    # b = 0 is a choice of b. (Without ReLU is no such choice: nothing to compare.)
    for S in (0.1, 0.6):
        free, bare = best(3, 2, S), best(3, 2, S, objective=Objective(bias=False))
        assert free.loss.total <= bare.loss.total * (1.0 + AGREE)


# ---------------------------------------------------------------- brute force


def brute_force(features: Features, d: int, count: int, seed: int) -> float:
    """Lowest end of L-BFGS-B on theory.loss from plain Gaussian starts; knows nothing else."""
    n = features.n

    def objective(t: Any) -> tuple[float, Any]:
        true = loss(t[: d * n].reshape(d, n), t[d * n :], features=features, gradient=True)
        assert true.grad_W is not None and true.grad_b is not None
        return true.total, np.concatenate([true.grad_W.ravel(), true.grad_b])

    def descend(start: Any, iterations: int) -> Any:
        return minimize(
            objective,
            start,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": iterations, "ftol": 1e-15, "gtol": 1e-10},
        )

    rng = np.random.default_rng(seed)
    ends = [descend(0.7 * rng.normal(size=d * n + n), 15) for _ in range(count)]
    ends.sort(key=lambda end: end.fun)  # the front runners go all the way
    return min(float(descend(end.x, 300).fun) for end in ends[: max(5, count // 6)])


@pytest.mark.parametrize("S", [0.08, 0.35])
@pytest.mark.parametrize("n,d", [(3, 2), (4, 2)])
@pytest.mark.parametrize("law,count", [("binary", 60), ("uniform", 30)])
def test_brute_force_finds_nothing_lower(n: int, d: int, S: float, law: str, count: int) -> None:
    found = best(n, d, S, law)
    lowest = brute_force(found.features, d, count, 17)
    assert lowest >= found.loss.total * (1.0 - AGREE)
    # The control: it must have come near, or it says nothing. Two uneven digons at once are rare.
    assert lowest <= found.loss.total * 1.05


# ---------------------------------------------------------------- importance and labels


def test_features_of_no_importance_do_not_count() -> None:
    # Three that matter in two dimensions: the fourth is best ignored (the averaging argument).
    found = optimum(Features.of(4, 0.35, "binary", [1.0, 0.0, 1.0, 1.0]), 2)
    assert found.loss.total == pytest.approx(best(3, 2, 0.35).loss.total, rel=AGREE)
    assert found.represented == 3
    assert all(1 not in block.features for block in found.blocks)
    # Two that matter: nothing is lost at all.
    found = optimum(Features.of(3, 0.35, "binary", [0.0, 2.0, 1.0]), 2)
    assert found.loss.total <= 1e-14
    assert found.represented == 2


@pytest.mark.parametrize("law", ["binary", "uniform"])
def test_labels_do_not_matter(law: str) -> None:
    S, I = np.array([0.1, 0.3, 0.2]), np.array([1.0, 0.3, 0.7])
    order = np.array([2, 0, 1])
    here = optimum(Features.of(3, S, law, I), 1, starts=24)
    there = optimum(Features.of(3, S[order], law, I[order]), 1, starts=24)
    assert there.loss.total == pytest.approx(here.loss.total, rel=AGREE)
    assert there.loss.per_feature == pytest.approx(here.loss.per_feature[order], rel=1e-6, abs=1e-9)
    assert there.represented == here.represented and there.name == here.name


def test_importance_scales_the_loss() -> None:
    plain = best(3, 2, 0.2)
    for factor in (1e-3, 1e3):
        scaled = optimum(Features.of(3, 0.2, "binary", [factor] * 3), 2)
        assert scaled.loss.total == pytest.approx(factor * plain.loss.total, rel=AGREE)
        assert scaled.name == plain.name


def test_what_matters_most_is_served_best() -> None:
    # theory.md, 5: unequal importance restores "dedicated plus ignored". S(1-S) is the variance.
    found = optimum(Features.of(2, 0.6, "binary", [1.0, 1e-4]), 1)
    assert found.loss.total <= 1e-4 * 0.24 * (1.0 + AGREE)
    assert np.linalg.norm(found.W[:, 0]) > np.linalg.norm(found.W[:, 1])


# ---------------------------------------------------------------- the search itself


@pytest.mark.parametrize("law", ["binary", "uniform"])
def test_same_seed_same_answer(law: str) -> None:
    features = Features.of(3, 0.12, law)
    first, again = (optimum(features, 2, seed=3, starts=24) for _ in range(2))
    assert np.array_equal(first.W, again.W) and np.array_equal(first.b, again.b)
    assert first.loss.total == again.loss.total and first.hits == again.hits
    other = optimum(features, 2, seed=4, starts=24)
    assert other.loss.total == pytest.approx(first.loss.total, rel=AGREE)


def test_arguments_are_left_alone_and_progress_is_told() -> None:
    told: list[tuple[str, float]] = []
    guess = gaussian(1, 2, 4), biases(1, 4)
    kept = guess[0].copy(), guess[1].copy()
    state = np.random.get_state()[1].copy()  # noqa: NPY002  (that it is left alone is the point)
    found = optimum(Features.of(4, 0.1), 2, guesses=[guess], progress=lambda *a: told.append(a))
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002
    assert np.array_equal(guess[0], kept[0]) and np.array_equal(guess[1], kept[1])
    assert told and all(isinstance(s, str) and 0.0 <= x <= 1.0 for s, x in told)
    assert 0 <= found.hits <= found.starts


def test_a_good_guess_is_never_lost() -> None:
    # One random start will rarely find two uneven digons; told where they are, it must.
    pair = best(2, 1, 0.1)
    W = np.zeros((2, 4))
    W[0, :2], W[1, 2:] = pair.W[0], pair.W[0]
    found = optimum(Features.of(4, 0.1), 2, starts=1, guesses=[(W, np.tile(pair.b, 2))])
    assert found.loss.total <= 2.0 * pair.loss.total * (1.0 + 1e-12)
    assert found.starts == 1 and found.hits <= 1
    if found.hits == 0:
        assert found.advice == GUIDED and not found.sure


@pytest.mark.parametrize(
    "arguments",
    [
        {"d": 0},
        {"d": -1},
        {"d": 1.5},
        {"d": True},
        {"d": 2, "starts": 0},
        {"d": 2, "starts": -3},
        {"d": 2, "starts": 2.5},
        {"d": 2, "guesses": [(np.zeros((3, 2)), np.zeros(3))]},
        {"d": 2, "guesses": [(np.zeros((2, 3)), np.zeros(2))]},
        {"d": 2, "guesses": [(np.zeros((2, 3)), np.zeros(3)), (np.zeros((1, 3)), np.zeros(3))]},
        {"d": 2, "guesses": [(np.full((2, 3), np.nan), np.zeros(3))]},
        {"d": 2, "guesses": [(np.zeros((2, 3)), np.full(3, np.inf))]},
        {"d": 2, "seed": -1},
        {"d": 2, "seed": 1.5},
    ],
    ids=lambda arguments: " ".join(str(arguments).split()),
)
def test_bad_input_is_named(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as caught:
        optimum(Features.of(3, 0.1), **arguments)
    assert "\n" not in str(caught.value) and len(str(caught.value)) > 10


# ---------------------------------------------------------------- one name for one file

SAVED: list[tuple[int, int, float, str, float]] = [  # n, d, S, law, decay of the importance
    (2, 1, 0.3, "binary", 1.0),
    (2, 1, 0.1, "binary", 1.0),
    (3, 2, 0.2, "binary", 0.8),
    (3, 2, 0.9, "uniform", 1.0),
    (4, 2, 0.41, "binary", 1.0),
    (4, 2, 0.05, "binary", 0.9),
    (5, 2, 0.15, "binary", 1.0),
    (5, 2, 0.147, "binary", 1.0),
    (5, 2, 0.05, "binary", 1.0),
    (5, 2, 0.02, "uniform", 0.9),
    (6, 2, 0.07, "uniform", 1.0),
    (6, 2, 0.9, "uniform", 1.0),
    (6, 3, 0.05, "uniform", 0.9),
    (7, 3, 0.05, "binary", 1.0),
    (4, 2, 0.3, "exponential", 0.7),
    (3, 1, 0.2, "binary", 0.5),
]


@pytest.mark.parametrize(("n", "d", "S", "law", "decay"), SAVED)
def test_a_saved_optimum_is_identified_by_its_own_name(
    n: int, d: int, S: float, law: str, decay: float, tmp_path: Path
) -> None:
    importance = decay ** np.arange(n)
    found = optimum(Features.of(n, S, law, importance), d, starts=12)
    save_weights(tmp_path / "w.npz", found.W, found.b, importance)
    read = read_weights(tmp_path / "w.npz", "d,n")
    named = identify(read.W, read.b)
    assert named.name == found.name and named.represented == found.represented
    assert [x.features for x in named.blocks] == [x.features for x in found.blocks]
    assert [x.distortion for x in named.blocks] == [x.distortion for x in found.blocks]
