"""theory.loss against exact arithmetic, against itself, and against simulation.

Tolerances are fixed here, before any run:

- n <= 12: 1e-10 L + 1e-14 sum_i I_i (E x_i^2 + E z_i^2). The second term is
  what rounding of doubles alone costs, about 45 units in the last place of the terms added.
- n > 12: 1e-7 L + 1e-13 of the same sum: more terms are added.
- gradient: 1e-7 of its norm, W and b apart, and 1e-12 of its natural scale (where it vanishes).
- the reported error bound: no slack at all, the reference is exact.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from cases import BY_NAME, CASES, Case, biases, case, chances, gaussian, polygon
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import (
    KINK,
    MP,
    _residues,
    bromwich,
    reference_gradient,
    reference_loss,
    second_moments,
)

from packing.errors import BadInput
from theory.features import Features
from theory.losses.expected import Loss, loss
from theory.objective import Objective

LAWS = ("binary", "uniform", "exponential")
EPS = float(np.finfo(float).eps)
EVERY_CASE = pytest.mark.parametrize("item", CASES, ids=str)
EVERY_LAW = pytest.mark.parametrize("law", LAWS)


# ---------------------------------------------------------------- the comparison, used throughout


@dataclasses.dataclass(frozen=True)
class Truth:
    """What the reference says of one case, in mpf."""

    total: Any
    per_feature: list[Any]
    capacity: Any
    scale: Any  # sum_i I_i (E x_i^2 + E z_i^2)
    solo_scale: Any  # the same with every other feature off


def truth_of(item: Case, law: str, relu: bool = True) -> Truth:
    total, per_feature, capacity = reference_loss(
        item.W, item.b, item.S, law, item.importance, relu
    )
    scale, solo_scale = (
        second_moments(item.W, item.b, item.S, law, item.importance, solo) for solo in (False, True)
    )
    return Truth(total, per_feature, capacity, scale, solo_scale)


@cache
def truth(name: str, law: str) -> Truth:
    return truth_of(BY_NAME[name], law)


def features_of(item: Case, law: str) -> Features:
    return Features.of(item.n, item.S, law, item.importance)


LINEAR = Objective(relu=False)


def computed_of(item: Case, law: str, **options: Any) -> Loss:
    return loss(item.W, item.b, features=features_of(item, law), **options)


@cache
def computed(name: str, law: str) -> Loss:
    return computed_of(BY_NAME[name], law)


def tolerances(law: str, n: int) -> tuple[float, float]:
    """Relative part, and part of sum_i I_i (E x_i^2 + E z_i^2)."""
    return (1e-7, 1e-13) if n > 12 else (1e-10, 1e-14)


def disagreements(found: Loss, true: Truth, law: str) -> list[str]:
    """Every way in which a loss differs from the truth by more than it may; empty if none."""
    relative, absolute = tolerances(law, found.per_feature.size)
    out = []

    def compare(what: str, value: float, reference: Any, scale: Any = true.scale) -> None:
        error, allowed = abs(exact(value) - reference), relative * reference + absolute * scale
        if not error <= allowed:
            out.append(
                f"{what} = {value!r}, truth {MP.nstr(reference, 17)}: off by "
                f"{MP.nstr(error, 3)}, allowed {MP.nstr(allowed, 3)}"
            )
        if value < 0.0:
            out.append(f"{what} = {value!r} is negative")

    compare("total", found.total, true.total)
    compare("capacity", found.capacity, true.capacity, true.solo_scale)
    for i, (value, reference) in enumerate(zip(found.per_feature, true.per_feature, strict=True)):
        compare(f"per_feature[{i}]", float(value), reference)
    error = abs(exact(found.total) - true.total)
    if not error <= exact(found.error_bound):
        out.append(f"total is off by {MP.nstr(error, 3)} > error_bound {found.error_bound:.3g}")
    if not np.isfinite(found.error_bound):
        out.append(f"error_bound = {found.error_bound!r}")
    rounding = 4 * found.per_feature.size * EPS
    if abs(found.capacity + found.interference - found.total) > rounding * (
        found.capacity + found.total
    ):
        out.append("capacity + interference != total")
    if abs(float(np.sum(found.per_feature)) - found.total) > rounding * found.total:
        out.append("per_feature does not add up to total")
    return out


def exact(value: float) -> Any:
    """A double as an mpf, nan and inf included (which then agree with nothing)."""
    return MP.mpf(float(value))


# ---------------------------------------------------------------- against the reference


@EVERY_LAW
@EVERY_CASE
def test_loss_agrees_with_the_reference(item: Case, law: str) -> None:
    assert disagreements(computed(item.name, law), truth(item.name, law), law) == []


@EVERY_LAW
@EVERY_CASE
def test_error_bound_is_worth_reading(item: Case, law: str) -> None:
    # A bound of infinity would always hold. It may exceed the error it bounds, not the accuracy
    # promised for large n by more than rounding can.
    found, true = computed(item.name, law), truth(item.name, law)
    assert exact(found.error_bound) <= 1e-7 * true.total + 1e-11 * true.scale


@pytest.mark.parametrize(
    "name",
    [
        "random 6,2 importance with zeros",
        "triangle + triangle + dedicated",
        "random 3,2",
        "all columns huge 1e+08",
        "kinks on several patterns",
        "all zero W b=0.2",
        "random 8,5 one S each",
    ],
)
@EVERY_LAW
def test_linear_loss_agrees_with_the_reference(name: str, law: str) -> None:
    item = BY_NAME[name]
    found = computed_of(item, law, objective=LINEAR)
    assert disagreements(found, truth_of(item, law, relu=False), law) == []


def large_cases() -> list[tuple[str, Case]]:
    """More than 12 features whose law of z still has few values, or few poles, so exact."""
    rng = np.random.default_rng(7)
    lattice = rng.integers(-3, 4, size=(2, 40)) / 4.0
    alike = np.repeat(polygon(3), 14, axis=1)
    few = np.repeat(np.array([[1.0, -1.0, 0.25], [0.0, 0.5, 0.75]]), 8, axis=1)
    blocks = np.zeros((32, 64))
    for k in range(16):
        blocks[2 * k : 2 * k + 2, 4 * k : 4 * k + 4] = gaussian(300 + k, 2, 4)
    return [
        ("binary", case("binary lattice 40,2", lattice, -0.125, 0.05)),
        ("binary", case("binary lattice 40,2 S=1e-3", lattice, 0.0, 1e-3)),
        ("binary", case("binary lattice 40,2 one S each", lattice, -0.25, chances(8, 40, 1e-2))),
        ("binary", case("42 in three directions", alike, -0.3, 0.02)),
        ("binary", case("block diagonal 64,32", blocks, -0.1, 0.1)),
        ("uniform", case("24 in three directions", few, -0.2, 0.1)),
        ("uniform", case("24 in three directions S=1", few, -0.2, 1.0)),
        ("uniform", case("24 in three directions S=1e-4", few, 0.0, 1e-4)),
        ("uniform", case("block diagonal 64,32", blocks, -0.1, 0.1)),
        ("exponential", case("random 20,6", gaussian(310, 6, 20), biases(310, 20), 0.1)),
        ("exponential", case("random 20,4 S=1e-3", gaussian(311, 4, 20), -0.1, 1e-3)),
        ("exponential", case("block diagonal 64,32", blocks, 0.1, 0.1)),
    ]


@pytest.mark.parametrize("law,item", large_cases(), ids=str)
def test_loss_of_many_features_agrees_with_the_reference(law: str, item: Case) -> None:
    assert disagreements(computed_of(item, law), truth_of(item, law), law) == []


@EVERY_LAW
def test_rotated_orthogonal_blocks_of_many_features(law: str) -> None:
    # A rotation fills the zeros of G with 1e-17; the truth moves by rounding only.
    item = large_cases()[4][1]
    turned = dataclasses.replace(item, W=np.linalg.qr(gaussian(320, 32, 32))[0] @ item.W)
    assert disagreements(computed_of(turned, law), truth_of(item, law), law) == []


# ---------------------------------------------------------------- gradient


def gradient_disagreements(found: Loss, item: Case, law: str, relu: bool = True) -> list[str]:
    """Entries of the gradient that differ from exact differences; kinks are left out.

    Kinks of the binary law that lie within rounding of W are left out too (reference.py says how).
    """
    assert found.grad_W is not None and found.grad_b is not None
    assert found.grad_W.shape == item.W.shape and found.grad_b.shape == (item.n,)
    d, n = item.W.shape
    where: list[Any] = [*product(range(d), range(n)), *range(n)]
    if len(where) > 8:  # a sample: every exact difference costs two exact losses
        rng = np.random.default_rng(len(item.name))
        keep = (1, 1) if n >= 10 else (1, 2) if law == "exponential" or n >= 8 else (3, 2)
        where = [where[k] for k in rng.choice(d * n, keep[0], replace=False)]
        where += [int(i) for i in rng.choice(n, keep[1], replace=False)]
    differences = reference_gradient(item.W, item.b, item.S, law, item.importance, where, relu)
    scale = float(second_moments(item.W, item.b, item.S, law, item.importance))
    second = float(np.max(features_of(item, law).second))
    natural_b = np.sqrt(scale * item.importance.max())
    natural_W = n * np.max(np.abs(item.W)) * natural_b * np.sqrt(second)
    vanishing = 1e-12
    out = []
    for place, reference in zip(where, differences, strict=True):
        if isinstance(reference, str):
            assert reference == KINK
            continue
        if isinstance(place, int):
            value, allowed = found.grad_b[place], np.linalg.norm(found.grad_b) * 1e-7
            allowed += vanishing * natural_b
        else:
            value, allowed = found.grad_W[place], np.linalg.norm(found.grad_W) * 1e-7
            allowed += vanishing * natural_W
        allowed += 1e-165  # where W is so small that G underflows
        if not abs(exact(value) - reference) <= allowed:
            out.append(
                f"gradient at {place} = {float(value)!r}, truth {MP.nstr(reference, 17)}, "
                f"allowed {float(allowed):.3g}"
            )
    return out


@pytest.mark.parametrize(
    "law,item",
    # The reference of the exponential law takes the longest: every third case, to save time, and
    # none below 1e-100, where its exact differences drown in their own step.
    [
        (law, item)
        for law in LAWS
        for item in CASES[:: 3 if law == "exponential" else 1]
        if law != "exponential" or not np.any((item.W != 0.0) & (np.abs(item.W) < 1e-100))
    ],
    ids=str,
)
def test_gradient_agrees_with_exact_differences(law: str, item: Case) -> None:
    found = computed_of(item, law, gradient=True)
    assert gradient_disagreements(found, item, law) == []
    assert abs(found.total - computed(item.name, law).total) <= 2.0 * found.error_bound


@EVERY_LAW
def test_linear_gradient_agrees_with_exact_differences(law: str) -> None:
    for name in ("random 3,2", "random 6,2 importance with zeros", "random 8,5 one S each"):
        item = BY_NAME[name]
        found = computed_of(item, law, objective=LINEAR, gradient=True)
        assert gradient_disagreements(found, item, law, relu=False) == []


def test_no_gradient_unless_asked() -> None:
    found = computed("random 3,2", "binary")
    assert found.grad_W is None and found.grad_b is None


# ---------------------------------------------------------------- negative controls


CONTROL = BY_NAME["random 5,2 S=0.3"]
WRONG: dict[str, Callable[[str], Loss]] = {
    "interference dropped": lambda law: dataclasses.replace(
        computed(CONTROL.name, law),
        total=computed(CONTROL.name, law).capacity,
        interference=0.0,
    ),
    "S read as the chance of being off": lambda law: computed_of(
        dataclasses.replace(CONTROL, S=1.0 - CONTROL.S), law
    ),
    "another law": lambda law: computed_of(CONTROL, LAWS[LAWS.index(law) - 1]),
    "bias forgotten": lambda law: computed_of(dataclasses.replace(CONTROL, b=0.0 * CONTROL.b), law),
    "bias of the wrong sign": lambda law: computed_of(
        dataclasses.replace(CONTROL, b=-CONTROL.b), law
    ),
    "ReLU forgotten": lambda law: computed_of(CONTROL, law, objective=LINEAR),
    "mean instead of sum": lambda law: dataclasses.replace(
        computed(CONTROL.name, law),
        total=computed(CONTROL.name, law).total / CONTROL.n,
        per_feature=computed(CONTROL.name, law).per_feature / CONTROL.n,
    ),
    "features in another order": lambda law: dataclasses.replace(
        computed(CONTROL.name, law), per_feature=computed(CONTROL.name, law).per_feature[::-1]
    ),
    "one part in a million": lambda law: dataclasses.replace(
        computed(CONTROL.name, law), total=computed(CONTROL.name, law).total * (1.0 + 1e-6)
    ),
    "bound of zero": lambda law: dataclasses.replace(
        computed(CONTROL.name, law),
        total=computed(CONTROL.name, law).total * (1.0 + 1e-14),
        error_bound=0.0,
    ),
    "not a number": lambda law: dataclasses.replace(computed(CONTROL.name, law), total=np.nan),
}


@EVERY_LAW
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_loss_is_rejected(wrong: str, law: str) -> None:
    assert disagreements(WRONG[wrong](law), truth(CONTROL.name, law), law) != []


@EVERY_LAW
def test_a_wrong_gradient_is_rejected(law: str) -> None:
    found = computed_of(CONTROL, law, gradient=True)
    assert found.grad_W is not None and found.grad_b is not None
    changes: tuple[dict[str, Any], ...] = (
        {"grad_W": 0.5 * found.grad_W},  # W (D + D^T) without the transpose
        {"grad_W": found.grad_W * (1.0 + 1e-4)},  # one sampled entry has to show it
        {"grad_b": -found.grad_b},
        {"grad_b": found.grad_b[::-1]},
    )
    for change in changes:
        assert gradient_disagreements(dataclasses.replace(found, **change), CONTROL, law) != []


# ---------------------------------------------------------------- properties

SEEDS = st.integers(0, 10**6)
SIZES = st.tuples(st.integers(1, 6), st.integers(1, 4))  # n, d
CHANCES = st.sampled_from([1e-4, 0.01, 0.1, 0.5, 0.9, 1.0])


def properties(test: Callable[..., None]) -> Callable[..., None]:
    """The same few examples on every machine."""
    return settings(derandomize=True, deadline=None, max_examples=15, database=None)(test)


def drawn(seed: int, n: int, d: int, S: float) -> Case:
    """A random model of that size, with its own importance."""
    importance = 0.1 + np.random.default_rng(seed).random(n)
    return case("drawn", gaussian(seed, d, n), biases(seed, n), S, importance)


def near(law: str, found: float, expected: float, floor: float) -> bool:
    """Equal in exact arithmetic, computed twice by the same route from rounded inputs."""
    relative = 2e-10
    return abs(found - expected) <= relative * abs(expected) + 1e-13 * floor


def floor_of(item: Case, law: str) -> float:
    return float(second_moments(item.W, item.b, item.S, law, item.importance))


@EVERY_LAW
@properties
@given(seed=SEEDS, size=SIZES, S=CHANCES)
def test_rotation_changes_nothing(law: str, seed: int, size: tuple[int, int], S: float) -> None:
    n, d = size
    item = drawn(seed, n, d, S)
    turn = np.linalg.qr(gaussian(seed + 1, d, d))[0]
    turned = computed_of(dataclasses.replace(item, W=turn @ item.W), law)
    assert near(law, turned.total, computed_of(item, law).total, floor_of(item, law))


@EVERY_LAW
@properties
@given(seed=SEEDS, size=SIZES)
def test_permutation_permutes(law: str, seed: int, size: tuple[int, int]) -> None:
    n, d = size
    item = dataclasses.replace(drawn(seed, n, d, 0.1), S=chances(seed, n))
    order = np.random.default_rng(seed + 2).permutation(n)
    moved = Case("moved", item.W[:, order], item.b[order], item.S[order], item.importance[order])
    here, there = computed_of(item, law, gradient=True), computed_of(moved, law, gradient=True)
    floor = floor_of(item, law)
    assert near(law, there.total, here.total, floor)
    assert near(law, there.capacity, here.capacity, floor)
    for i, k in enumerate(order):
        assert near(law, there.per_feature[i], here.per_feature[k], floor)
    assert here.grad_W is not None and there.grad_W is not None
    size_of_gradient = np.linalg.norm(here.grad_W) + floor
    assert np.linalg.norm(there.grad_W - here.grad_W[:, order]) <= 1e-7 * size_of_gradient


@EVERY_LAW
@properties
@given(seed=SEEDS, first=SIZES, second=SIZES, S=CHANCES)
def test_orthogonal_blocks_add(
    law: str, seed: int, first: tuple[int, int], second: tuple[int, int], S: float
) -> None:
    one, two = drawn(seed, *first, S), drawn(seed + 1, *second, S)
    W = np.zeros((first[1] + second[1], one.n + two.n))
    W[: first[1], : one.n], W[first[1] :, one.n :] = one.W, two.W
    both = Case(
        "both",
        W,
        *(
            np.concatenate([getattr(one, name), getattr(two, name)])
            for name in ("b", "S", "importance")
        ),
    )
    whole, parts = computed_of(both, law), [computed_of(item, law) for item in (one, two)]
    floor = floor_of(both, law)
    assert near(law, whole.total, parts[0].total + parts[1].total, floor)
    assert near(law, whole.interference + whole.capacity, whole.total, floor)
    assert np.allclose(
        whole.per_feature,
        np.concatenate([part.per_feature for part in parts]),
        rtol=2e-10,
        atol=1e-13 * floor,
    )


@EVERY_LAW
@properties
@given(seed=SEEDS, size=SIZES, S=CHANCES, factor=st.sampled_from([1e-9, 0.5, 3.0, 1e9]))
def test_loss_is_linear_in_importance(
    law: str, seed: int, size: tuple[int, int], S: float, factor: float
) -> None:
    item = drawn(seed, *size, S)
    once = computed_of(item, law, gradient=True)
    scaled = computed_of(
        dataclasses.replace(item, importance=factor * item.importance), law, gradient=True
    )
    for name in ("total", "capacity", "interference", "error_bound", "per_feature", "grad_W"):
        a, b = getattr(scaled, name), factor * getattr(once, name)
        # Rounding only; the interference is a difference.
        assert np.allclose(a, b, rtol=1e-12, atol=1e-13 * factor * floor_of(item, law))
    equal = computed_of(dataclasses.replace(item, importance=np.ones(item.n)), law)
    assert np.allclose(once.per_feature, item.importance * equal.per_feature, rtol=1e-12, atol=0.0)


@EVERY_LAW
@properties
@given(seed=SEEDS, size=SIZES)
def test_rare_features_cost_nothing_in_the_limit(
    law: str, seed: int, size: tuple[int, int]
) -> None:
    # Without a bias the loss is at most S times a constant, and its slope at S = 0 is capacity's.
    item = dataclasses.replace(drawn(seed, *size, 0.1), b=np.zeros(size[0]))
    found = [
        computed_of(dataclasses.replace(item, S=0 * item.S + S), law)
        for S in (1e-2, 1e-4, 1e-6, 1e-8)
    ]
    rows = 1.0 + item.n * np.sum((item.W.T @ item.W) ** 2, axis=1)  # (a.x)^2 <= n sum a_j^2 x_j^2
    bound = 2.0 * features_of(item, law).law.second * float(np.sum(item.importance * rows))
    for S, result in zip((1e-2, 1e-4, 1e-6, 1e-8), found, strict=True):
        assert 0.0 <= result.total <= S * bound
    assert all(b.total <= a.total for a, b in pairwise(found))


@EVERY_LAW
@pytest.mark.parametrize("S", [1e-4, 0.05, 0.5, 1.0 - 1e-9, 1.0])
def test_ignored_features_cost_their_variance(law: str, S: float) -> None:
    features = Features.of(3, S, law, np.array([1.0, 2.0, 0.5]))
    best = loss(np.zeros((2, 3)), features.mean, features=features)
    s = Fraction(S)
    variance = {"binary": s * (1 - s), "uniform": s / 3 - s * s / 4, "exponential": 2 * s - s * s}[
        law
    ]
    expected = 3.5 * float(variance)
    assert best.total == pytest.approx(expected, rel=1e-10, abs=1e-14 * 3.5 * S)
    assert best.interference == pytest.approx(0.0, abs=1e-13 * S)
    for step in (-1e-3, 1e-3):
        assert loss(np.zeros((2, 3)), features.mean + step, features=features).total > best.total
    nothing = loss(np.zeros((2, 3)), features=features).total
    assert nothing == pytest.approx(3.5 * features.second[0], rel=1e-10)


@EVERY_LAW
def test_one_S_per_feature_is_not_their_mean(law: str) -> None:
    S = np.array([0.01, 0.9, 0.3])
    item = case("each", gaussian(400, 2, 3), biases(400, 3), S)
    assert disagreements(computed_of(item, law), truth_of(item, law), law) == []
    alike = computed_of(dataclasses.replace(item, S=0 * S + S.mean()), law)
    assert disagreements(alike, truth_of(item, law), law) != []
    shuffled = computed_of(dataclasses.replace(item, S=S[::-1].copy()), law)
    assert disagreements(shuffled, truth_of(item, law), law) != []


@EVERY_LAW
def test_missing_bias_is_zero_bias(law: str) -> None:
    item = dataclasses.replace(CONTROL, b=0.0 * CONTROL.b)
    features = features_of(item, law)
    assert loss(item.W, features=features).total == computed_of(item, law).total


# ---------------------------------------------------------------- simulation, the third route


@EVERY_LAW
@pytest.mark.parametrize(
    "name", ["random 5,2 S=0.3", "pentagon and a shadow", "random 12,3", "random 8,5 one S each"]
)
def test_simulation_agrees(name: str, law: str) -> None:
    # Features.sample draws the inputs, so the sampler's convention for S is tested as well. Five
    # standard errors: one false alarm in two million.
    item, count = BY_NAME[name], 200_000
    x = features_of(item, law).sample(np.random.default_rng(5), count)
    squares = (x - np.maximum(x @ (item.W.T @ item.W) + item.b, 0.0)) ** 2 @ item.importance
    found = computed(name, law)
    assert abs(squares.mean() - found.total) <= 5.0 * squares.std() / np.sqrt(count)
    z = x * np.sum(item.W**2, axis=0) + item.b
    solo = (x - np.maximum(z, 0.0)) ** 2 @ item.importance
    assert abs(solo.mean() - found.capacity) <= 5.0 * solo.std() / np.sqrt(count)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "W,b",
    [
        (np.ones((2, 4)), None),
        (np.ones(3), None),
        (np.ones((2, 3)), np.ones(4)),
        (np.ones((2, 3)), np.ones((3, 1))),
        (np.full((2, 3), np.nan), None),
        (np.full((2, 3), np.inf), None),
        (np.ones((2, 3)), np.array([0.0, np.nan, 0.0])),
        (np.full((2, 3), 1e200), None),
        ("weights", None),
    ],
    ids=["n", "vector", "b length", "b column", "nan", "inf", "b nan", "overflow", "text"],
)
def test_bad_input_is_named(W: Any, b: Any) -> None:
    with pytest.raises(BadInput) as caught:
        loss(W, b, features=Features.of(3, 0.1))
    assert "\n" not in str(caught.value) and len(str(caught.value)) > 10


def test_arguments_are_left_alone() -> None:
    W, b = CONTROL.W.copy(), CONTROL.b.copy()
    for law in LAWS:
        loss(W, b, features=features_of(CONTROL, law), gradient=True)
    assert np.array_equal(W, CONTROL.W) and np.array_equal(b, CONTROL.b)


# ---------------------------------------------------------------- the reference meets itself


@EVERY_LAW
@pytest.mark.parametrize(
    "name",
    ["random 6,3 positive bias S=0.3", "antipodal triples", "random 7,2 one S each, near 0 and 1"],
)
def test_reference_agrees_with_simulation(name: str, law: str) -> None:
    item, count = BY_NAME[name], 200_000
    rng = np.random.default_rng(11)
    on = rng.random((count, item.n)) < item.S
    value = {
        "binary": np.ones(on.shape),
        "uniform": rng.random(on.shape),
        "exponential": -np.log1p(-rng.random(on.shape)),
    }[law]
    x = on * value
    squares = (x - np.maximum(x @ (item.W.T @ item.W) + item.b, 0.0)) ** 2 @ item.importance
    error = 5.0 * squares.std() / np.sqrt(count)
    assert abs(squares.mean() - float(truth(name, law).total)) <= error


def test_reference_binary_is_the_sum_over_patterns() -> None:
    for name in ("random 5,2 S=0.3", "duplicated columns", "random 8,5 one S each"):
        item = BY_NAME[name]
        total = 0.0
        for pattern in product([0.0, 1.0], repeat=item.n):
            x = np.array(pattern)
            chance = np.prod(np.where(x > 0.0, item.S, 1.0 - item.S))
            z = item.W.T @ (item.W @ x) + item.b
            total += chance * np.sum(item.importance * (x - np.maximum(z, 0.0)) ** 2)
        assert total == pytest.approx(float(truth(name, "binary").total), rel=1e-12)


@pytest.mark.parametrize("S", [1e-3, 0.3, 0.5])
def test_reference_digon(S: float) -> None:
    # theory.md, 3: b = S^2/(S^2 + (1-S)^2), rho = 1 - b. The point is stationary, so that rounding
    # W costs the square of a rounding error.
    share = S * S / (S * S + (1.0 - S) ** 2)
    W = np.sqrt(1.0 - share) * np.array([[1.0, -1.0]])
    total, per_feature, _ = reference_loss(W, [share] * 2, S, "binary")
    s = Fraction(S)
    expected = exact_fraction(s**2 * (1 - s) ** 2 / (s**2 + (1 - s) ** 2))
    assert abs(per_feature[0] - expected) <= 1e-28
    assert abs(total - 2 * expected) <= 1e-28
    # Nearer the stationary point than any kink (at S = 1/2 one lies on it).
    if S < 0.5:
        for slope in reference_gradient(W, [share] * 2, S, "binary", None, [(0, 0), (0, 1), 0, 1]):
            assert abs(slope) < 1e-14


def exact_fraction(value: Fraction) -> Any:
    return MP.mpf(value.numerator) / value.denominator


def test_reference_one_feature_by_hand() -> None:
    for w, b, S in product([0.5, 1.0, 1.5], [-2.0, -0.25, 0.0, 0.25], [0.125, 1.0]):
        g, s = w * w, S
        values = {law: float(reference_loss([[w]], [b], S, law)[0]) for law in LAWS}
        off = (1 - s) * max(b, 0.0) ** 2
        assert values["binary"] == pytest.approx(off + s * (1 - max(g + b, 0.0)) ** 2, rel=1e-14)
        t = min(max(-b / g, 0.0), 1.0)  # the kink in x

        def moment(k: int, t: float = t) -> float:
            return (1.0 - t ** (k + 1)) / (k + 1)

        uniform = 1 / 3 - 2 * (g * moment(2) + b * moment(1))
        uniform += g * g * moment(2) + 2 * g * b * moment(1) + b * b * moment(0)
        assert values["uniform"] == pytest.approx(off + s * uniform, rel=1e-13)
        t = max(-b / g, 0.0)
        e = np.exp(-t)
        m0, m1, m2 = e, e * (1 + t), e * (2 + 2 * t + t * t)
        exponential = 2 - 2 * (g * m2 + b * m1) + g * g * m2 + 2 * g * b * m1 + b * b * m0
        assert values["exponential"] == pytest.approx(off + s * exponential, rel=1e-13)


@EVERY_LAW
def test_reference_takes_a_feature_that_is_always_on(law: str) -> None:
    W, b = [[1.0, -0.5]], [0.1, 0.2]
    limits = [reference_loss(W, b, [0.3, 1.0 - 2.0**-k], law)[0] for k in (20, 50)]
    always = reference_loss(W, b, [0.3, 1.0], law)[0]
    assert abs(limits[1] - always) < 1e-14
    assert abs((limits[0] - always) / (limits[1] - always) - 2.0**30) < 1e-3 * 2.0**30
    if law == "binary":  # a constant: feature 0 sees a shifted bias
        shifted = reference_loss([[1.0]], [0.1 - 0.5], 0.3, law)[0]
        assert abs(reference_loss(W, b, [0.3, 1.0], law)[1][0] - shifted) < 1e-16


def test_reference_exponential_agrees_with_quadrature() -> None:
    half, third, quarter = Fraction(1, 2), Fraction(1, 3), Fraction(1, 4)
    features = [(half, third), (-quarter, Fraction(1, 5)), (half, half), (Fraction(2), Fraction(1))]
    for b in (Fraction(0), Fraction(-1, 3), half):
        for m, bare in ((2, []), (1, [third, third]), (1, [half, half]), (1, [-quarter, -quarter])):
            value = _residues(features, bare, b, m)
            assert abs(value - bromwich(features, bare, b, m)) < 1e-15 * value


def test_reference_is_continuous_where_its_formula_is_not() -> None:
    # Equal weights (a double pole, a merged vertex), zero weights (a feature marginalised): the
    # formula changes, the value must not.
    W = [[1.0, 0.75, 0.75, 0.0]]
    for law in LAWS:
        here = reference_loss(W, [-0.1] * 4, 0.3, law)[0]
        for place in (2, 3):
            moved: list[list[Any]] = [list(W[0])]
            moved[0][place] = Fraction(W[0][place]) + Fraction(1, 2**80)
            assert abs(reference_loss(moved, [-0.1] * 4, 0.3, law)[0] - here) < 2.0**-75


def test_reference_finds_kinks() -> None:
    # b = 0 and W = 0, binary: the slope in b jumps.
    place: list[Any] = [0]
    assert reference_gradient([[0.0]], [0.0], 0.3, "binary", None, place) == [KINK]
    slope = reference_gradient([[1.0]], [0.5], 0.25, "binary", None, place)[0]
    assert abs(slope - (2 * 0.75 * 0.5 + 2 * 0.25 * 0.5)) < 1e-30
