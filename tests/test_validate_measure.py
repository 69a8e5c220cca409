"""Measuring: two routes to the loss, the geometry of known weights, jumps put there on purpose."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest

from packing.errors import BadInput
from packing.types import Float
from studies.dynamics import dynamics, jumps
from theory.losses.expected import loss
from theory.objective import Objective
from validate.experiments import Recipe, Run, Setting, Trained
from validate.measurement import ERROR, MOST, angles, measure_trained, simulate
from validate.sampling import generator
from validate.training.trainer import train
from validate.trajectory import rotation

RUN = Run(Setting(5, 2, 0.05), Recipe(10), 0)
AROUND = np.radians(72.0 * np.arange(5))
PENTAGON = 1.16 * np.array([np.cos(AROUND), np.sin(AROUND)])


def trained(setting: Setting, W: Float, b: Float, status: str = "finished") -> Trained:
    """A model with those weights, as if training had found them."""
    run = Run(setting, Recipe(10), 0)
    curve = np.array([[10.0, 0.1]])
    return Trained(run, W, b, curve, (), status, 10, "cpu", 0.0)  # type: ignore[arg-type]


def some(n: int, d: int, seed: int = 0) -> tuple[Float, Float]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((d, n)) * 0.7, rng.uniform(-0.4, 0.2, n)


# The loss, twice.


@pytest.mark.parametrize("law", ["binary", "uniform", "exponential"])
@pytest.mark.parametrize("S", [0.02, 0.4])
@pytest.mark.parametrize("n", [5, 9])
def test_simulated_losses_agree_with_exact_ones(law: str, S: float, n: int) -> None:
    W, b = some(n, 3)
    importance = tuple(np.linspace(0.2, 1.5, n))
    for setting in (
        Setting(n, 3, S, law, importance=importance),
        Setting(n, 3, S, law, relu=False),
        Setting(n, 3, tuple(np.linspace(0.5 * S, S, n)), law),
    ):
        found = measure_trained(trained(setting, W, b))
        exact = loss(W, b, features=setting.features, objective=setting.objective)
        assert (found.loss, found.error_bound) == (exact.total, exact.error_bound)
        assert found.standard_error <= ERROR * found.simulated or found.samples == MOST
        assert abs(found.simulated - exact.total) < 5 * found.standard_error + exact.error_bound


def test_the_simulation_tells_faults_apart() -> None:
    """Controls: S read as 1 - S, the law swapped, the bias dropped, the ReLU dropped."""
    right = Setting(5, 2, 0.2, "uniform")
    b = np.full(5, -0.3)
    simulated, error, _ = simulate(right, PENTAGON, b, generator(RUN.key, 2))
    truth = loss(PENTAGON, b, features=right.features).total
    assert abs(simulated - truth) < 5 * error
    for wrong in (replace(right, S=0.8), replace(right, law="binary")):
        assert abs(simulated - loss(PENTAGON, b, features=wrong.features).total) > 20 * error
    assert abs(simulated - loss(PENTAGON, features=right.features).total) > 20 * error
    linear = loss(PENTAGON, b, features=right.features, objective=Objective(relu=False))
    assert abs(simulated - linear.total) > 20 * error


def test_the_standard_error_is_one() -> None:
    """Over many seeds the deviations from the exact loss have the size that was stated."""
    W, b = some(5, 2)
    for law, joint in (("binary", "independent"), ("uniform", "independent")):
        setting = Setting(5, 2, 0.1, law, joint=joint)
        truth = loss(W, b, features=setting.features).total
        scores = []
        for seed in range(100):
            mean, error, _ = simulate(setting, W, b, np.random.default_rng(seed), most=4096)
            scores.append((mean - truth) / error)
        assert np.mean(np.square(scores)) == pytest.approx(1.0, abs=5 * math.sqrt(2 / 100))


def test_dependent_features_are_simulated_only() -> None:
    """One feature on, binary: n equal columns e_i give a loss that can be written down."""
    W, b = some(4, 2)
    found = measure_trained(trained(Setting(4, 2, 0.25, joint="one-on"), W, b))
    rows = np.maximum(W.T @ W + b[:, None], 0.0)
    by_hand = float(np.sum((np.eye(4) - rows) ** 2)) / 4
    assert found.loss is None and found.error_bound is None
    assert abs(found.simulated - by_hand) < 5 * found.standard_error
    # Groups that are on together, against the sum over their patterns.
    setting = Setting(4, 2, 0.3, joint="together:2")
    total = 0.0
    for first in (0, 1):
        for second in (0, 1):
            x = np.array([first, first, second, second], dtype=float)
            p = (0.3 if first else 0.7) * (0.3 if second else 0.7)
            total += p * float(np.sum((x - np.maximum(W.T @ (W @ x) + b, 0.0)) ** 2))
    found = measure_trained(trained(setting, W, b))
    assert abs(found.simulated - total) < 5 * found.standard_error


# Geometry.


def test_a_pentagon_with_noise_is_measured_as_one() -> None:
    rng = np.random.default_rng(0)
    W = PENTAGON + 1e-3 * rng.standard_normal((2, 5))
    found = measure_trained(trained(RUN.setting, W, np.full(5, -0.4)))
    assert found.name == "pentagon" and found.represented == 5
    assert found.distance is not None and 2e-4 < found.distance < 3e-3
    assert found.max_cosine == pytest.approx(math.cos(math.radians(72)), abs=5e-3)
    np.testing.assert_allclose(found.angles, 72.0, atol=0.5)
    assert np.sum(found.angles) == pytest.approx(360.0)
    np.testing.assert_allclose(found.dimensionality, 0.4, atol=1e-3)
    assert found.d_star == pytest.approx(2 / np.sum(W * W))


def test_blocks_and_what_is_ignored() -> None:
    W = np.array([[1.0, -1.0, 0.0, 0.0, 0.02], [0.0, 0.0, 1.1, -1.1, 0.01]])
    found = measure_trained(trained(RUN.setting, W, np.zeros(5)))
    assert found.name == "2 digon + 1 ignored" and found.represented == 4
    assert found.angles == pytest.approx([90.0] * 4)
    # Importance 0 does not count, however long the vector.
    careless = replace(RUN.setting, importance=(1.0, 1.0, 0.0, 1.0, 1.0))
    assert measure_trained(trained(careless, W, np.zeros(5))).represented == 3
    one = measure_trained(
        trained(RUN.setting, np.eye(2, 5)[:, ::-1] * [0, 0, 0, 0, 1], np.zeros(5))
    )
    assert one.represented == 1 and one.max_cosine is None and one.angles.size == 0
    nothing = measure_trained(trained(RUN.setting, np.zeros((2, 5)), np.zeros(5)))
    assert nothing.represented == 0 and nothing.d_star == math.inf
    assert nothing.loss == pytest.approx(5 * 0.05)


def test_an_irregular_arrangement_says_what_is_nearest() -> None:
    W = PENTAGON.copy()
    W[:, 0] *= 0.6
    turned = np.radians(14.0)
    W[:, 1] = [[math.cos(turned), -math.sin(turned)], [math.sin(turned), math.cos(turned)]] @ W[
        :, 1
    ]
    found = measure_trained(trained(RUN.setting, W, np.zeros(5)))
    assert found.name.startswith("irregular 5 in 2")
    assert found.distance is None or found.distance > 0.05
    assert np.sum(found.angles) == pytest.approx(360.0) and np.ptp(found.angles) > 10


def test_angles_go_round() -> None:
    assert angles(np.array([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]])) == pytest.approx([90, 90, 180])
    assert angles(np.array([[1.0, 1.0], [0.0, 0.0]])) == pytest.approx([0, 360])
    assert measure_trained(trained(Setting(3, 3, 0.1), np.eye(3), np.zeros(3))).angles.size == 0


def test_weights_beyond_squaring_are_measured_if_they_diverged() -> None:
    W = np.full((2, 5), 1e80)
    found = measure_trained(trained(RUN.setting, W, np.zeros(5), status="diverged"))
    assert found.loss is None and found.represented == 5
    with pytest.raises(BadInput, match="too large"):
        measure_trained(trained(RUN.setting, W, np.zeros(5)))


def test_a_batch_is_measured_within_a_second() -> None:
    group = [Run(Setting(5, 2, 0.05, "uniform"), Recipe(400), seed) for seed in range(64)]
    models = train(group, device="cpu")
    start = time.thread_time()
    found = [measure_trained(one) for one in models]
    # Of this thread, so that a busy machine is no failure; twice the promise, for slow ones.
    assert time.thread_time() - start < 2.0
    assert {m.represented for m in found} <= {2, 3, 4, 5}


# Jumps.


def stairs(levels: list[float], noise: float, seed: int = 0, each: int = 60) -> Float:
    rng = np.random.default_rng(seed)
    return np.repeat(levels, each) * np.exp(noise * rng.standard_normal(each * len(levels)))


def test_jumps_are_found_where_they_were_put() -> None:
    for seed in range(20):
        y = stairs([1.0, 0.6, 0.5, 0.2], 0.03, seed)
        found = jumps(10.0 * np.arange(len(y)), y)
        assert [jump.step for jump in found] == pytest.approx([595, 1195, 1795], abs=20)
        assert [jump.after for jump in found] == pytest.approx([0.6, 0.5, 0.2], rel=0.02)
        assert [jump.before for jump in found] == pytest.approx([1.0, 0.6, 0.5], rel=0.02)


def test_what_is_no_jump() -> None:
    t = np.arange(240.0)
    for seed in range(20):
        assert jumps(t, stairs([0.7] * 4, 0.05, seed)) == (), "noise"
        rng = np.random.default_rng(seed)
        assert jumps(t, np.exp(-t / 60 + 0.03 * rng.standard_normal(240))) == (), "a steady fall"
        assert jumps(t, stairs([1.0, 1.5, 1.5, 2.0], 0.03, seed)) == (), "rises"
    assert jumps(t, stairs([1.0, 0.98, 0.96, 0.94], 0.001)) == (), "smaller than asked for"
    assert len(jumps(t, stairs([1.0, 0.98, 0.96, 0.94], 0.001), least=0.01)) == 3
    assert jumps([1, 2], [0.5, 0.4]) == ()


def test_curves_that_are_none() -> None:
    with pytest.raises(BadInput, match="differ"):
        jumps([1, 2, 3], [1.0, 2.0])
    with pytest.raises(BadInput, match="not positive"):
        jumps([1, 2], [1.0, math.nan])


# Directions.


def rotated(W: Float, degrees: float) -> Float:
    a = math.radians(degrees)
    return np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]]) @ W


def test_rotation_and_shape_are_told_apart() -> None:
    b = np.zeros(5)
    shots = [(10 * k, rotated(PENTAGON, 5.0 * min(k, 6)), b) for k in range(10)]
    found = dynamics(shots)
    np.testing.assert_allclose(found.rotation, [5.0] * 6 + [0.0] * 3, atol=1e-6)
    np.testing.assert_allclose(found.speed, found.rotation / 10.0)
    np.testing.assert_allclose(found.shape, 0.0, atol=1e-12)
    np.testing.assert_allclose(found.spread, 1.0, atol=1e-12)
    assert found.settled == 60
    # Directions that start together and spread: the shape changes, the whole does not turn.
    shots = [
        (k, 1.2 * np.array([np.cos(t := (AROUND - math.pi) * k / 4), np.sin(t)]), b)
        for k in range(1, 5)
    ]
    found = dynamics(shots)
    assert np.all(np.diff(found.spread) > 0.0) and found.spread[-1] > 0.9
    assert np.all(found.shape > 0.1) and found.settled is None


def test_turn_is_the_angle_of_the_best_map() -> None:
    rng = np.random.default_rng(0)
    A = rng.standard_normal((3, 7))
    q = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    q *= np.sign(np.linalg.det(q))
    angle = math.degrees(math.acos((np.trace(q) - 1.0) / 2.0))
    assert rotation(A, q @ A) == pytest.approx(angle, abs=1e-5)
    assert rotation(A, A) == pytest.approx(0.0, abs=1e-5)
    assert rotation(np.zeros((2, 0)), np.zeros((2, 0))) == 0.0
    with pytest.raises(BadInput, match="two or more"):
        dynamics([(0, A, np.zeros(7))])


def test_dynamics_of_a_trained_model() -> None:
    run = Run(Setting(5, 2, 0.05), Recipe(1500, snapshots=30), 1)
    found = dynamics(train([run], device="cpu")[0].snapshots)
    assert len(found.steps) == len(found.spread) == len(found.speed) + 1
    assert found.settled is not None and 0 < found.settled < 1500
    assert found.spread[-1] > 0.99, "the pentagon balances"
    assert found.shape[-1] < 0.01 < np.max(found.shape)
