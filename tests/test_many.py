"""Many features: closed forms against sums, quadrature and simulation with Hadamard rows.

Tolerances were set before the runs. Closed moments: 1e-9, quadrature. Hadamard rows at n S >= 100:
2 %, as the interference is a sum of about n S terms that are alike, whose law is Gaussian to about
(n S)^-1 in the kurtosis. With few features on the formula fails, by more than that.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import hadamard
from scipy.optimize import minimize_scalar

from packing.errors import BadInput
from theory.features import Features, law_named
from theory.mixtures import (
    compare_optimum,
    envelope,
    gains,
    irregular_phases,
    many_features,
    many_takeover,
    mixture_at,
    ratio_at,
    staircase,
)
from theory.mixtures.gaussian_limit import many_gain, many_losses, moments

LAWS = ("binary", "uniform", "exponential")


def ignored(S: float, law: str) -> float:
    found = law_named(law)
    return S * found.second - (S * found.mean) ** 2


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("beta", "S", "tau"), [(-0.3, 0.2, 0.4), (0.5, 0.01, 0.1), (-2, 0.1, 3)])
def test_moments_against_quadrature(law: str, beta: float, S: float, tau: float) -> None:
    def over_noise(x: float, power: int) -> float:
        """E (x + beta + tau g)_+^power by Gauss-Legendre above the kink."""
        low, high = max(-12.0, -(x + beta) / tau), 12.0
        if low >= high:
            return 0.0
        t, w = np.polynomial.legendre.leggauss(80)
        g = low + (t + 1.0) * 0.5 * (high - low)
        value = (x + beta + tau * g) ** power * np.exp(-0.5 * g * g) / np.sqrt(2.0 * np.pi)
        return float(0.5 * (high - low) * (w @ value))

    def over_x(power: int, own: int) -> float:
        if law == "binary":
            return over_noise(1.0, power)
        top, density = (1.0, 0.0) if law == "uniform" else (40.0, 1.0)

        def inner(x: float) -> float:
            return x**own * over_noise(x, power) * float(np.exp(-density * x))

        return float(quad(inner, 0.0, top, epsabs=1e-12, limit=200)[0])

    F1, F2 = moments(np.array(beta), np.array(S), np.array(tau), law)
    assert float(F1) == pytest.approx(S * over_x(1, 1), rel=1e-8, abs=1e-12)
    wanted = S * over_x(2, 0) + (1.0 - S) * over_noise(0.0, 2)
    assert float(F2) == pytest.approx(wanted, rel=1e-8, abs=1e-12)


def simulated(n: int, d: int, S: float, law: str, *, shift: bool = True) -> np.ndarray:
    """Losses per feature of d random rows of a Hadamard matrix, one per input."""
    rng = np.random.default_rng(11)
    found = many_features(n / d, S, law)
    rows = hadamard(n)[1 + rng.permutation(n - 1)[:d]].astype(float)
    W = np.sqrt(found.a / d) * rows  # diagonal a
    mean = S * law_named(law).mean
    # the rows are orthogonal to the constant one: the others of a feature sum to -a
    b = found.b + (mean * found.a if shift else 0.0)
    losses = []
    for _ in range(8):
        on = rng.random((400, n)) < S
        x = np.where(on, law_named(law).sample(rng, (400, n)), 0.0)
        losses.append(np.mean((x - np.maximum(x @ W.T @ W + b, 0.0)) ** 2, axis=1))
    return np.concatenate(losses)


def mean_and_error(x: np.ndarray) -> tuple[float, float]:
    return float(x.mean()), float(x.std() / np.sqrt(x.size))


@pytest.mark.parametrize(
    ("n", "d", "S", "law"), [(1024, 512, 0.1, "binary"), (1024, 256, 0.1, "uniform"),
                             (512, 256, 0.3, "exponential")]
)  # fmt: skip
def test_hadamard_rows(n: int, d: int, S: float, law: str) -> None:
    with_mean = simulated(n, d, S, law)
    value, error = mean_and_error(with_mean)
    predicted = many_features(n / d, S, law).loss
    assert abs(value - predicted) + 3.0 * error < 0.05 * predicted
    assert abs(value - predicted) < 0.02 * predicted + 3.0 * error
    # negative control: the same inputs without the mean interference in the bias cost more, by far
    # more than the simulation's error; under the binary law the agreement above is gone as well
    without = simulated(n, d, S, law, shift=False)
    more, error = mean_and_error(without - with_mean)
    assert more > 10.0 * error
    if law == "binary":
        value, error = mean_and_error(without)
        assert abs(value - predicted) > 0.02 * predicted + 3.0 * error


def test_it_fails_with_few_features_on() -> None:
    """64 features of which 0.64 are on: the interference is no Gaussian, most often it is none."""
    value, error = mean_and_error(simulated(64, 16, 0.01, "binary"))
    predicted = many_features(4.0, 0.01, "binary").loss
    assert abs(value - predicted) - 3.0 * error > 0.1 * predicted


@pytest.mark.parametrize("law", LAWS)
def test_limits(law: str) -> None:
    assert many_features(1.0, 0.1, law).loss == 0.0
    assert many_features(5.0, 0.0, law).loss == 0.0
    far = many_features(1e6, 0.1, law)
    assert far.loss == pytest.approx(ignored(0.1, law), rel=1e-3)
    assert far.loss <= ignored(0.1, law) * (1.0 + 1e-12)
    ratios = np.geomspace(1.01, 1e4, 60)
    assert np.all(np.diff(many_losses(ratios, [0.01], law)[0]) > 0)
    one = many_features(3.0, 0.1, law)
    spread = one.sigma / (one.a * np.sqrt(2.0 * ignored(0.1, law)))
    assert spread == pytest.approx(1.0, rel=1e-12)
    assert one.D_star == pytest.approx(1.0 / (3.0 * one.a))


def test_no_other_norm_or_bias_is_better() -> None:
    found = many_features(6.0, 0.03, "binary")
    rng = np.random.default_rng(0)
    for _ in range(200):
        a, beta = rng.uniform(0.05, 3.0), rng.uniform(-3.0, 2.0)
        tau = np.sqrt(5.0 * ignored(0.03, "binary"))
        F1, F2 = moments(np.array(beta), np.array(0.03), np.array(tau), "binary")
        assert 0.03 - 2 * a * float(F1) + a * a * float(F2) >= found.loss * (1.0 - 1e-12)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_ratio_at_a_share(law: str, share: float) -> None:
    ratios = [ratio_at(share, S, law) for S in (0.1, 0.01, 1e-3)]
    assert ratios == sorted(ratios)
    for S, ratio in zip((0.1, 0.01, 1e-3), ratios, strict=True):
        assert many_features(ratio, S, law).loss == pytest.approx(share * ignored(S, law), rel=1e-8)


def test_hundreds_per_dimension_only_below_a_thousandth() -> None:
    """At S = 1 % a tenth of the ignored loss is reached long before a hundred per dimension."""
    assert 3.0 < ratio_at(0.1, 0.01) < 6.0 and ratio_at(0.5, 0.01) < 20.0
    assert ratio_at(0.1, 1e-4) > 100.0


def test_envelope_and_gains() -> None:
    for ratio in (0.01, 0.5):
        alone, both = envelope(ratio, 0.05, many=False)[1], envelope(ratio, 0.05)[1]
        wide = many_features(1.0 / ratio, 0.05).loss
        assert both <= min(alone, wide) * (1.0 + 1e-7)
    found = gains([0.01], "binary", many=True)
    best, ratio = many_gain([0.01])
    assert found["many features"][0] == best[0]
    wanted = ratio[0] * (ignored(0.01, "binary") - many_features(ratio[0], 0.01).loss)
    assert best[0] == pytest.approx(wanted, rel=1e-9)
    assert "many features" not in gains([0.01])


@pytest.mark.parametrize("law", ["binary", "uniform"])
def test_many_features_take_over_from_every_block(law: str) -> None:
    """On both sides, with the gain from `many_features` at a ratio found by another search."""
    S = many_takeover(law)
    for s, ahead in ((0.998 * S, True), (1.002 * S, False)):
        v = ignored(s, law)
        alone = max(float(x[0]) for x in gains([s], law).values())
        found = minimize_scalar(
            lambda t, s=s, v=v: np.exp(t) * (many_features(np.exp(t), s, law).loss - v),
            bounds=(0.5, 6.0), method="bounded",
        )  # fmt: skip
        assert (-found.fun > alone) == ahead
        assert -found.fun == pytest.approx(alone, rel=0.02)
    with pytest.raises(BadInput, match="smaller one"):
        many_takeover(law, S_min=0.05)


def test_envelope_at_no_S() -> None:
    assert envelope(0.3, 0.0, "binary", many=False)[1] == 0.0
    assert max(float(g[0]) for g in gains([0.0]).values()) == 0.0


@pytest.mark.parametrize("law", ["binary", "uniform"])
def test_the_staircase(law: str) -> None:
    n, d = 40, 5
    for step in staircase(n, d, [0.2, 0.02, 0.002], law):
        mixed = mixture_at(n, d, step.S, law)
        assert step.name == mixed.name
        assert sum(count for _, count in step.dimensionality) == mixed.represented
        total = sum(D * count for D, count in step.dimensionality)
        assert total <= d * (1.0 + 1e-9)  # Elhage et al. 2022: sum of D_i <= d
        assert 0.0 < step.D_star < 2.0
        assert step.many_D_star == many_features(n / d, step.S, law).D_star
    dense = staircase(3, 2, [0.3], "uniform")[0]
    if dense.name == "triangle":
        assert dense.dimensionality[0][0] == pytest.approx(2 / 3)


def test_an_unequal_pair_on_the_staircase() -> None:
    """Its norm against a descent on theory.loss; the two D_i of one dimension sum to 1."""
    from theory.features import Features
    from theory.losses.expected import loss

    step = staircase(2, 1, [0.1])[0]
    assert step.name == "uneven digon"
    assert sum(D * k for D, k in step.dimensionality) == pytest.approx(1.0)
    square = 1.0 / step.D_star
    share = max(D for D, _ in step.dimensionality)
    W = np.sqrt(square) * np.array([[np.sqrt(share), -np.sqrt(1.0 - share)]])
    features = Features.of(2, 0.1)
    grid = np.linspace(-0.4, 0.4, 81)
    least = min(loss(W, np.array([x, y]), features=features).total for x in grid for y in grid[::4])
    assert least == pytest.approx(2.0 * step.loss, rel=0.02)


def test_comparison_with_the_optimum() -> None:
    found = compare_optimum(5, 2, 0.15, "binary", starts=64)
    assert found.difference > 1e-4 and found.irregular is not None  # no regular pentagon there
    same = compare_optimum(2, 1, 0.2, "uniform", starts=32)
    assert same.mixture.name == "digon"
    assert abs(same.difference) < 1e-7 * same.mixture.loss and same.irregular is None


def test_irregular_phases_of_a_ladder() -> None:
    from theory.ladders import ladder

    with pytest.raises(BadInput, match="give that of"):
        irregular_phases(
            3, 2, "binary", ladder=ladder(Features.of(2, 0.5), 1, starts=16, S_min=0.1)
        )
    found = irregular_phases(
        2, 1, "binary", ladder=ladder(Features.of(2, 0.5), 1, starts=16, S_min=0.1)
    )
    assert found == ()  # the unequal pairs are among the blocks: nothing is lower


def test_bad_input() -> None:
    with pytest.raises(BadInput, match="ratio of many features"):
        many_features(0.5, 0.1)
    with pytest.raises(BadInput, match="give the chance"):
        many_features(2.0, 1.5)
    with pytest.raises(BadInput, match="unknown"):
        many_features(2.0, 0.1, "gamma")
    with pytest.raises(BadInput, match="two numbers"):
        ratio_at(1.0, 0.1)
    with pytest.raises(BadInput, match="n > d"):
        staircase(3, 4, [0.1])
