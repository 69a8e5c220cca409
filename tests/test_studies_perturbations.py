"""Shadows: the local criterion, the gas and finite shadows against theory.loss and theory.optimum.

Tolerances were set before the runs and stand beside the checks with their reason.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import erf

from packing.catalogue import entry
from packing.errors import BadInput
from studies.perturbations import (
    _at,
    decorate,
    decorated_gains,
    gas_gain,
    half_curvature,
    noisy,
    shadow_margin,
    shadow_matrix,
)
from theory.features import Features
from theory.losses.expected import loss
from theory.mixtures.block_losses import Moments, binary_minimum
from theory.mixtures.block_table import block_loss
from theory.optima import optimum

LAWS = ["binary", "uniform"]
CASES = [("digon", 0.1), ("triangle", 0.5), ("triangle", 0.43), ("pentagon", 0.15), ("5-cell", 0.1)]


def row(name: str) -> list[tuple[float, int]]:
    return [(c.value, m) for c, m in entry(name).rows[0][1]]


def with_shadow(
    W: np.ndarray, b: np.ndarray, u: np.ndarray, eps: float, features: Features
) -> float:
    """Loss of (W, b) and one feature at eps u, biases moved by the means."""
    mean = features.mean[0]
    shift = b - eps * (W.T @ u) * mean
    own = mean * (1.0 - eps * eps) - eps * (u @ W.sum(axis=1)) * mean
    more = Features.of(features.n + 1, float(features.S[0]), features.law)
    return loss(np.c_[W, eps * u], np.append(shift, own), features=more).total


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("name", "S"), CASES)
def test_the_criterion_against_the_loss(name: str, S: float, law: str) -> None:
    """A small shadow in a random direction: what it saves over being ignored, per eps^2 v."""
    V = entry(name).vectors
    d, n = V.shape
    found = shadow_margin(row(name), d, n, [S], law)
    features = Features.of(n, S, law)
    W, b = math.sqrt(found.rho[0]) * V, np.full(n, found.b[0])
    v = features.variance[0]
    rng = np.random.default_rng(5)
    eps = 4e-4  # small, or the state "all off" crosses its kink where the bias is nearly 0
    for _ in range(2):
        u = rng.normal(size=(d,))
        u /= np.linalg.norm(u)
        saved = loss(W, b, features=features).total + v - with_shadow(W, b, u, eps, features)
        # rounding 1e-16/(eps^2 v); biases and norms are known to 1e-7
        assert saved / (eps * eps * v) == pytest.approx(found.margin[0], abs=2e-4)
    K = shadow_matrix(W, b, features)
    assert np.allclose(K, (2.0 - found.margin[0]) * np.eye(d), atol=1e-5)


def test_dropping_the_density_would_be_wrong() -> None:
    """Negative control: with P(z > 0) alone the uniform pentagon's margin is off by 0.4."""
    S, n, d = 0.3, 5, 2
    found = shadow_margin(row("pentagon"), d, n, [S], "uniform")
    rho, b = found.rho[0], found.b[0]
    step = 1e-4
    ends = Moments(row("pentagon"), np.array([S]))(b / rho + step * np.array([[1.0, -1.0]]))
    chance = float(ends[3][0, 0] - ends[3][0, 1]) / (2.0 * step)
    dropped = 2.0 - rho * n / d * (1.0 + chance)
    assert dropped < found.margin[0] - 0.1


@pytest.mark.parametrize(("name", "S"), [("pentagon", 0.1), ("triangle", 0.5)])
def test_curvature_against_differences_of_the_loss(name: str, S: float) -> None:
    V = entry(name).vectors
    n = V.shape[1]
    _, rho, b = binary_minimum(row(name), np.array([S]))
    h = 1e-5

    def cost(bias: float) -> float:
        features = Features.of(n, S)
        return loss(math.sqrt(rho[0]) * V, np.full(n, bias), features=features).total / n

    second = (cost(b[0] + h) - 2.0 * cost(b[0]) + cost(b[0] - h)) / (h * h)
    # rounding 1e-16/h^2
    assert half_curvature(row(name), S, "binary", rho[0], b[0]) == pytest.approx(
        second / 2.0, abs=1e-4
    )


# best blocks for features in surplus (docs/phases.md, section 7), inside their intervals of S
BEST = {
    "binary": [
        ("Higman-Sims complement code", 0.575),
        ("Brouwer-Haemers complement code", 0.53),
        ("triangle", 0.49),
        ("tetrahedron", 0.43),
        ("digon", 0.3),
        ("doubled 9-simplex", 0.195),
        ("doubled 5-cell", 0.14),
        ("5-demicube", 0.08),
        ("M22 code", 0.07),
        ("Higman-Sims code", 0.05),
        ("McLaughlin code", 0.006),
    ],
    "uniform": [("triangle", 0.7), ("digon", 0.4), ("pentagon", 0.21), ("5-demicube", 0.15)],
}


@pytest.mark.parametrize("law", LAWS)
def test_no_infinitesimal_shadow_pays_on_a_best_block(law: str) -> None:
    for name, S in BEST[law]:
        one = entry(name)
        assert shadow_margin(row(name), one.d, one.n, [S], law).margin[0] < 0
    if law == "binary":  # the uneven pairs, best around 0.23 and above 0.6
        for S in (0.22, 0.7):
            pair = optimum(Features.of(2, S), 1, starts=24)
            assert shadow_matrix(pair.W, pair.b, pair.features)[0, 0] > 2.0
    # and on blocks that are not best it may
    assert shadow_margin(row("24-simplex"), 24, 25, [0.1], law).margin[0] > 0.3


def test_noise_against_the_closed_form() -> None:
    """Binary: a sum over patterns of rectified Gaussians' moments, by erf."""
    S, noise, seen = 0.3, 0.03, row("pentagon")
    beta = np.array([-0.6, -0.1, 0.4])
    wanted = np.zeros((2, 3))
    for pattern in range(32):
        x = [(pattern >> k) & 1 for k in range(5)]
        p = S ** sum(x) * (1 - S) ** (5 - sum(x))
        cosines = [c for c, m in seen for _ in range(m)]
        mean = x[0] + sum(c * y for c, y in zip(cosines, x[1:], strict=True)) + beta
        z = mean / math.sqrt(noise)
        density = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
        below = 0.5 * (1.0 + erf(z / math.sqrt(2.0)))
        wanted[0] += p * x[0] * (mean * below + math.sqrt(noise) * density)
        wanted[1] += p * ((mean**2 + noise) * below + mean * math.sqrt(noise) * density)
    assert np.allclose(noisy(seen, S, "binary", noise, beta), wanted, rtol=0, atol=1e-11)


def test_noise_under_the_uniform_law() -> None:
    """Gauss and Hermite over moments without noise: smooth but for the atom, so to 1e-4."""
    S, noise, seen = 0.3, 0.03, row("pentagon")
    points, weight = np.polynomial.hermite_e.hermegauss(120)
    beta = np.array([-0.3, 0.2])
    shifts = beta[:, None] + math.sqrt(noise) * points
    F1, F2 = Moments(seen, np.array([S]))(shifts.reshape(1, -1))[:2]
    weight = weight / weight.sum()
    found = noisy(seen, S, "uniform", noise, beta)
    assert np.allclose(found[0], F1.reshape(2, -1) @ weight, atol=1e-4)
    assert np.allclose(found[1], F2.reshape(2, -1) @ weight, atol=1e-4)


@pytest.mark.parametrize("law", LAWS)
def test_many_small_shadows_tend_to_the_gas(law: str) -> None:
    """A real model: a triangle and m shadows of mass mu, m growing, in theory.loss."""
    S, n, d, tau, beta = 0.3, 3, 2, 0.2, np.array([-0.1])
    gain, rho, mu = (float(x[0]) for x in _at(row("triangle"), n / d, S, law, tau, beta))
    mean, v = (float(x[0]) for x in (Features.of(1, S, law).mean, Features.of(1, S, law).variance))
    V = entry("triangle").vectors
    gap = []
    for m in (8, 32, 128):
        angle = 0.1 + 2.0 * np.pi * np.arange(m) / m
        eps = math.sqrt(mu * d / m)
        W = np.c_[math.sqrt(rho) * V, eps * np.stack([np.cos(angle), np.sin(angle)])]
        b = np.r_[np.full(n, rho * beta[0]), np.full(m, mean * (1.0 - eps * eps))]
        total = loss(W, b, features=Features.of(n + m, S, law), rtol=1e-9).total
        gap.append(abs(((n + m) * v - total) / d - gain))
    assert gap[1] < 0.5 * gap[0]  # like 1/m
    assert gap[2] < 0.5 * gap[1]
    assert gap[2] < 0.01 * gain
    # without the noise of the gas the formula would miss by more
    quiet = float(_at(row("triangle"), n / d, S, law, 1e-4, beta)[0][0])
    assert abs(quiet - gain) > 5.0 * gap[2]


@pytest.mark.parametrize("law", LAWS)
def test_the_gas_pays_on_a_simplex(law: str) -> None:
    """At its best mass, and in agreement with the local criterion about the direction."""
    one = entry("5-cell")
    gas = gas_gain(row("5-cell"), one.d, one.n, 0.1, law)
    assert gas.local
    assert gas.gain > 1.01 * gas.plain
    assert 0.1 < gas.mu < 0.4
    more = gas_gain(row("9-simplex"), 9, 10, 0.3, law)
    assert more.local
    assert shadow_margin(row("9-simplex"), 9, 10, [0.3], law).margin[0] > 0


def test_the_gas_where_it_does_not_pay() -> None:
    one = gas_gain(row("pentagon"), 2, 5, 0.2, "uniform")
    assert not one.local
    assert one.mu == 0.0
    assert one.gain == one.plain
    # dense: nothing beats a dimension of one's own by much, and mu = 1 is just that
    v = 0.95 * 0.05
    assert gas_gain(row("pentagon"), 2, 5, 0.95).gain == pytest.approx(v, rel=1e-3)


def test_pentagon_and_one_shadow_is_the_optimum() -> None:
    """(6,2), uniform: observed between S = 0.0687 and 0.0811; against the global search."""
    found = decorate("pentagon", 0.075, "uniform", free=True)
    best = optimum(Features.of(6, 0.075, "uniform"), 2, starts=8)
    assert best.name == "pentagon + 1 shadow"
    assert found.loss == pytest.approx(best.loss.total, abs=1e-9)
    assert found.pays
    assert found.name == "pentagon + 1 shadow"
    assert found.norms[-1] == pytest.approx(float(np.min(np.linalg.norm(best.W, axis=0))), rel=1e-4)
    fixed = decorate("pentagon", 0.075, "uniform")
    assert found.loss < fixed.loss < found.loss * 1.001  # directions give way a little


def test_where_the_pentagons_shadow_goes() -> None:
    """The upper end, 0.0811181595, is where the pentagon and an ignored feature cost as much."""
    for S, sign in ((0.0811181595 * (1 - 1e-6), 1), (0.0811181595 * (1 + 1e-6), -1)):
        found = decorate("pentagon", S, "uniform", free=True)
        assert sign * (found.gain - found.plain) > 0
        assert found.pays is (sign > 0)


@pytest.mark.parametrize("law", LAWS)
def test_decorated_losses_are_those_of_the_model(law: str) -> None:
    found = decorate("digon", 0.03, law, per_vertex=2)
    features = Features.of(6, 0.03, law)
    total = loss(found.W, found.biases, features=features).total
    assert found.loss == pytest.approx(total, rel=1e-9)
    assert found.pays
    assert found.vertices == 2
    assert found.gain == pytest.approx(6 * features.variance[0] - total, rel=1e-9)
    plain = 2.0 * (features.variance[0] - block_loss(row("digon"), [0.03], law)[0])
    assert found.plain == pytest.approx(plain, rel=1e-12)
    nearby = loss(found.W * 1.01, found.biases, features=features).total
    assert nearby > total


def test_finite_shadows_pay_at_small_S_only() -> None:
    """Where the pentagon is best for features in surplus its shadows have gone."""
    found = decorated_gains([0.01, 0.21], "binary")
    assert found["digon + 2 shadow per vertex"][2][0] > 0
    for name in ("digon + 2 shadow per vertex", "pentagon + 1 shadow per vertex"):
        assert found[name][2][1] == -np.inf
    assert found["pentagon + 1 shadow"][:2] == (2, 6)
    assert not decorate("pentagon", 0.21, "uniform", per_vertex=1).pays
    assert decorate("pentagon", 0.01, "binary", per_vertex=1).pays


def test_bad_input() -> None:
    with pytest.raises(BadInput, match="binary and uniform"):
        shadow_margin(row("digon"), 1, 2, [0.1], "exponential")
    with pytest.raises(BadInput, match="tight block"):
        shadow_margin([(0.5, 1)], 2, 2, [0.1], "binary")
    with pytest.raises(BadInput, match="no probabilities"):
        gas_gain(row("digon"), 1, 2, 1.5)
    with pytest.raises(BadInput, match="variance above 0"):
        noisy(row("digon"), 0.1, "binary", 0.0, np.zeros(1))
    with pytest.raises(BadInput, match="per_vertex"):
        decorate("digon", 0.1, per_vertex=-1)
    with pytest.raises(BadInput, match="differ"):
        shadow_matrix(np.ones((1, 2)), np.zeros(2), Features.of(2, [0.1, 0.2]))
