"""The parts of the global search: the surrogate sample, the batched descent, the kinds of start.

Truths are closed forms: minima of quadratics, sums over patterns, moments of a law. Tolerances:

- sums of a few hundred doubles agree to 1e-12 of their size;
- a descent that stops when the loss no longer falls by 1e-14 (relative) is within 1e-9 of the
  minimum of a quadratic of condition number 1e3, and a thousandth of that for its parameters' root;
- a sampled cloud only has to find basins: its moments agree to 5% of the exact ones.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from cases import biases, chances, gaussian

from packing.optimise import descend
from theory.features import Features
from theory.global_search import Shape, block_starts, cloud_for, kicks, random_starts, surrogate
from theory.losses.expected import loss
from theory.objective import Objective

LAWS = ("binary", "uniform", "exponential")
SHAPES = [
    Shape(n, d, bias) for (n, d), bias in product([(2, 1), (5, 2), (7, 3), (3, 1)], [True, False])
]
EVERY_SHAPE = pytest.mark.parametrize("shape", SHAPES, ids=str)


# ---------------------------------------------------------------- parameters


@EVERY_SHAPE
def test_split_and_join_undo_each_other(shape: Shape) -> None:
    theta = np.random.default_rng(1).normal(size=(4, shape.size))
    W, b = shape.split(theta)
    assert W.shape == (4, shape.d, shape.n) and b.shape == (4, shape.n)
    assert np.array_equal(shape.join(W, b), theta)
    if not shape.bias:
        assert not np.any(b)


# ---------------------------------------------------------------- the surrogate


@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_binary_cloud_is_every_pattern(n: int) -> None:
    features = Features.of(n, chances(n, n, 0.05), "binary")
    cloud = cloud_for(features)
    assert cloud.exact
    assert {tuple(x) for x in cloud.X} == set(product([0.0, 1.0], repeat=n))
    assert len(cloud.X) == 2**n
    by_hand = [np.prod(np.where(x > 0.0, features.S, 1.0 - features.S)) for x in cloud.X]
    assert cloud.weights == pytest.approx(by_hand, rel=1e-12, abs=1e-300)
    assert float(cloud.weights.sum()) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("relu", [True, False])
def test_binary_surrogate_is_the_loss(relu: bool) -> None:
    features = Features.of(5, chances(3, 5, 0.05), "binary", [1.0, 0.0, 0.5, 2.0, 1.0])
    cloud, shape = cloud_for(features), Shape(5, 2, True)
    W = np.stack([gaussian(k, 2, 5) for k in range(3)])
    b = np.stack([biases(k, 5) for k in range(3)])
    value, grad = surrogate(
        shape.join(W, b), shape, cloud.X, cloud.weights[None], features.importance, relu
    )
    for k in range(3):
        true = loss(W[k], b[k], features=features, objective=Objective(relu=relu), gradient=True)
        assert true.grad_W is not None and true.grad_b is not None
        assert value[k] == pytest.approx(true.total, rel=1e-12)
        whole = np.concatenate([true.grad_W.ravel(), true.grad_b])
        assert np.linalg.norm(grad[k] - whole) <= 1e-12 * np.linalg.norm(whole)


@pytest.mark.parametrize(
    "law,n,S",
    [
        ("uniform", 3, 0.2),
        ("exponential", 3, 0.2),
        ("uniform", 6, 0.02),
        ("uniform", 16, 0.05),
        ("binary", 16, 0.05),
        ("exponential", 60, 0.03),
        ("binary", 12, 1.0),
    ],
)
def test_a_sampled_cloud_has_the_moments_of_the_features(law: str, n: int, S: float) -> None:
    features = Features.of(n, S, law)
    cloud = cloud_for(features, 3)
    assert not cloud.exact
    assert cloud.X.shape[1] == n and np.all(cloud.X >= 0.0) and np.all(cloud.weights >= 0.0)
    assert float(cloud.weights.sum()) == pytest.approx(1.0, rel=1e-6)  # it may drop the unlikeliest
    mean, second = cloud.weights @ cloud.X, cloud.weights @ cloud.X**2
    assert float(mean.mean()) == pytest.approx(float(features.mean[0]), rel=0.05)
    assert float(second.mean()) == pytest.approx(float(features.second[0]), rel=0.05)
    none = float(cloud.weights[~np.any(cloud.X > 0.0, axis=1)].sum())
    assert none == pytest.approx((1.0 - S) ** n, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("law", LAWS)
def test_clouds_repeat_for_a_seed(law: str) -> None:
    features = Features.of(4, 0.1, law)
    first, again, other = (cloud_for(features, seed) for seed in (5, 5, 6))
    assert np.array_equal(first.X, again.X) and np.array_equal(first.weights, again.weights)
    assert first.exact or not np.array_equal(first.X, other.X)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("relu", [True, False])
def test_the_gradient_of_the_surrogate_is_its_derivative(bias: bool, relu: bool) -> None:
    features = Features.of(3, 0.3, "uniform", [1.0, 0.5, 2.0])
    cloud, shape = cloud_for(features), Shape(3, 2, bias)
    theta = np.random.default_rng(8).normal(size=shape.size)

    def value(t: Any) -> tuple[Any, Any]:
        return surrogate(t, shape, cloud.X, cloud.weights[None], features.importance, relu)

    grad = value(theta[None])[1][0]
    h = 1e-6
    steps = h * np.eye(shape.size)
    numeric = (value(theta + steps)[0] - value(theta - steps)[0]) / (2.0 * h)
    # h^2 of truncation, eps / h of rounding, and a few samples whose kink lies inside the step
    assert np.linalg.norm(grad - numeric) <= 1e-5 * np.linalg.norm(grad)


# ---------------------------------------------------------------- the descent


def quadratics(count: int, p: int, condition: float) -> tuple[Any, Any, Any, Callable[..., Any]]:
    """A batch of positive definite quadratics, minimum and floor known: (H, centre, floor, f)."""
    rng = np.random.default_rng(20)
    turn = np.linalg.qr(rng.normal(size=(count, p, p)))[0]
    eigenvalues = condition ** rng.random((count, p)) * 10.0 ** rng.integers(-3, 4, (count, 1))
    H = turn @ (eigenvalues[:, :, None] * np.swapaxes(turn, 1, 2))
    centre, floor = rng.normal(size=(count, p)), rng.uniform(0.5, 2.0, size=count)

    def objective(theta: Any, index: Any) -> tuple[Any, Any]:
        away = theta - centre[index]
        grad = np.einsum("kpq,kq->kp", H[index], away)
        return floor[index] + 0.5 * np.sum(away * grad, axis=1), grad

    return H, centre, floor, objective


@pytest.mark.parametrize("p", [1, 3, 12])
def test_descend_reaches_the_minimum_of_every_quadratic(p: int) -> None:
    # Curvatures from 1e-3 to 1e6 in one batch: every model needs a step of its own.
    H, centre, floor, objective = quadratics(15, p, 1e3)
    start = np.random.default_rng(21).normal(size=centre.shape)
    theta, value = descend(objective, start, 500, tolerance=1e-14)
    assert value == pytest.approx(floor, rel=1e-9)
    assert np.all(value >= floor * (1.0 - 1e-14))
    rest = np.einsum("kp,kpq,kq->k", theta - centre, H, theta - centre) / 2.0
    assert np.all(rest <= 1e-9 * floor + 1e-14)


def test_descend_returns_the_loss_of_what_it_returns() -> None:
    _, _, _, objective = quadratics(9, 5, 1e3)
    start = np.random.default_rng(22).normal(size=(9, 5))
    before = objective(start, np.arange(9))[0]
    kept = start.copy()
    for iterations in (1, 2, 10, 11, 60):
        theta, value = descend(objective, start, iterations)
        assert np.array_equal(start, kept)
        assert np.array_equal(value, objective(theta, np.arange(9))[0])
        assert np.all(value <= before)


def test_each_model_goes_its_own_way() -> None:
    # Alone or in company: the same end (to the rounding of sums over the batch).
    _, _, _, objective = quadratics(6, 4, 1e2)
    start = np.random.default_rng(23).normal(size=(6, 4))
    together = descend(objective, start, 200, tolerance=1e-14)[0]
    for k in range(6):
        alone = descend(
            lambda t, i, k=k: objective(t, i + k), start[k : k + 1], 200, tolerance=1e-14
        )[0]
        assert together[k] == pytest.approx(alone[0], rel=1e-5, abs=1e-5)


def test_descend_stays_at_a_minimum() -> None:
    _, centre, floor, objective = quadratics(4, 3, 10.0)
    theta, value = descend(objective, centre, 50)
    assert np.array_equal(theta, centre) and np.array_equal(value, floor)


def test_descend_follows_a_curved_valley() -> None:
    def rosenbrock(theta: Any, index: Any) -> tuple[Any, Any]:
        x, y = theta.T
        bend = y - x * x
        grad = np.stack([-2.0 * (1.0 - x) - 400.0 * x * bend, 200.0 * bend], axis=1)
        return (1.0 - x) ** 2 + 100.0 * bend**2, grad

    start = np.array([[-1.2, 1.0], [2.0, -1.0], [0.0, 0.0]])
    theta, value = descend(rosenbrock, start, 500, tolerance=1e-14)
    assert np.all(value <= 1e-12)
    assert theta == pytest.approx(np.ones((3, 2)), abs=1e-5)


def test_descend_backs_away_from_what_is_not_a_number() -> None:
    def barrier(theta: Any, index: Any) -> tuple[Any, Any]:
        with np.errstate(invalid="ignore"):
            value = theta[:, 0] - np.log(theta[:, 0])  # nan below 0, minimum 1 at 1
        return value, 1.0 - 1.0 / theta

    theta, value = descend(barrier, np.array([[0.01], [3.0]]), 200, tolerance=1e-14)
    assert value == pytest.approx([1.0, 1.0], rel=1e-12)
    assert theta == pytest.approx(np.ones((2, 1)), abs=1e-5)


# ---------------------------------------------------------------- starts


def starts_of(kind: str, shape: Shape, seed: int, count: int) -> Any:
    rng = np.random.default_rng(seed)
    if kind == "random":
        return random_starts(rng, shape, count)
    if kind == "blocks":
        return block_starts(rng, shape, count)
    theta = np.random.default_rng(99).normal(size=(3, shape.size))
    kept = theta.copy()
    out = kicks(rng, shape, theta, count)
    assert np.array_equal(theta, kept)
    return out


@EVERY_SHAPE
@pytest.mark.parametrize("kind", ["random", "blocks", "kicks"])
def test_starts_are_finite_varied_and_repeat_for_a_seed(kind: str, shape: Shape) -> None:
    first, again, other = (starts_of(kind, shape, seed, 30) for seed in (1, 1, 2))
    assert first.shape == (30, shape.size) and np.all(np.isfinite(first))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(np.unique(first.round(9), axis=0)) == 30
    assert starts_of(kind, shape, 1, 1).shape == (1, shape.size)


def test_random_starts_hold_what_rare_optima_need() -> None:
    shape = Shape(5, 2, True)
    W, b = shape.split(random_starts(np.random.default_rng(4), shape, 400))
    assert 0.1 < np.mean(np.all(b > 0.0, axis=1)) < 0.9  # some biases positive, some not
    norms = np.linalg.norm(W, axis=1)
    unit = W / norms[:, None]
    cosines = np.einsum("kdi,kdj->kij", unit, unit)[:, *np.triu_indices(5, 1)]
    assert np.mean(np.min(cosines, axis=1) < -0.99) > 0.1  # antipodal pairs
    assert np.mean(np.max(cosines, axis=1) > 0.99) > 0.1  # parallel pairs
    assert np.mean(np.min(norms, axis=1) < 0.15) > 0.1  # ignored features


def test_block_starts_are_blocks_of_spread_points() -> None:
    # (6, 3): an octahedron, or a pentagon and one feature alone, and so on, up to 0.5% of noise.
    shape = Shape(6, 3, True)
    W, _ = shape.split(block_starts(np.random.default_rng(5), shape, 200))
    norms = np.linalg.norm(W, axis=1)
    pairs = W / np.maximum(norms, 1e-12)[:, None]
    cosines = np.einsum("kdi,kdj->kij", pairs, pairs)
    live = norms > 0.1
    both = live[:, :, None] & live[:, None, :] & ~np.eye(6, dtype=bool)
    assert np.any(np.all(live, axis=1)) and np.any(~np.all(live, axis=1))
    orthogonal = np.mean(np.abs(cosines[both]) < 0.05)
    assert 0.1 < orthogonal < 0.9
    lines = np.sum(both & (cosines < -0.95), axis=(1, 2)) // 2
    assert np.any(lines == 3)  # three digons, which is the octahedron


def test_kicks_keep_most_of_what_they_copy() -> None:
    # Every move but the first changes one or two features and adds 1% of noise.
    shape = Shape(6, 2, True)
    theta = np.random.default_rng(6).normal(size=(1, shape.size))
    original = shape.split(theta)[0][0]
    W, _ = shape.split(kicks(np.random.default_rng(7), shape, theta, 120))
    moved = np.linalg.norm(W - original, axis=1) > 0.06
    changed = moved.sum(axis=1)
    assert np.mean(changed <= 2) > 0.5 and np.any(changed == 1) and np.any(changed == 2)
