"""The ceiling: its parts by counting, and no optimum, mixture or random model above it.

No tolerance is needed but rounding (1e-9): the bound is a theorem. Each check that a gain stays
below is shown to fail for a bound with a dropped factor.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from packing.catalogue import entry
from packing.errors import BadInput
from packing.results import Evidence
from theory.features import Features
from theory.losses.expected import loss
from theory.mixtures import block_loss, mixture_at
from theory.mixtures.block_table import variance
from theory.mixtures.upper_bound import (
    GainBound,
    gain_bound,
    gain_bound_per_dimension,
    log_regions,
    proxy,
    supremum,
)
from theory.optima import optimum

LAWS = ["binary", "uniform"]


def psi(t: np.ndarray, S: float, law: str) -> np.ndarray:
    """ln E e^{t (x - Ex)} by another route: expm1 and log1p in floats."""
    on = np.expm1(t) if law == "binary" else np.expm1(t) / t - 1.0
    return np.log1p(S * on) - t * S * (1.0 if law == "binary" else 0.5)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("S", [0.003, 0.05, 0.3, 0.5, 0.8])
def test_the_proxy_bounds_the_cumulants_and_little_more(S: float, law: str) -> None:
    s = proxy(S, law)
    t = np.concatenate([np.geomspace(0.01, 200.0, 4000) * k for k in (-1.0, 1.0)])
    quotient = 2.0 * psi(t, S, law) / t**2
    assert np.all(quotient <= s * (1.0 + 1e-9))
    assert np.max(quotient) >= s * (1.0 - 3e-5)  # 1e-5 is the margin, the rest the grid
    assert np.any(quotient > s / 4.0)  # a proxy with a dropped factor is none


@pytest.mark.parametrize("S", [0.01, 0.2, 0.7])
def test_the_search_meets_kearns_and_saul(S: float) -> None:
    exact = proxy(S, "binary")
    assert exact <= supremum(S, "binary") <= exact * (1.0 + 3e-5)
    assert proxy(0.5, "binary") == 0.25
    assert proxy(0.5 + 1e-9, "binary") == pytest.approx(0.25, rel=1e-9)
    assert proxy(S, "uniform") < exact  # a mean of coins: tilts less


def test_the_slope_of_the_quotient() -> None:
    """The Lipschitz bound of the proof, on a grid: 1/12 of the unit interval's worst law."""
    for S, law in itertools.product((0.01, 0.2, 0.5), LAWS):
        t = np.linspace(-30.0, 30.0, 60000)
        t = t[np.abs(t) > 0.1]
        slope = np.diff(2.0 * psi(t, S, law) / t**2) / np.diff(t)
        assert np.max(np.abs(slope[np.diff(t) < 0.01])) < 1.0 / 12.0


@pytest.mark.parametrize(("n", "d", "T"), [(3, 1, 2), (4, 2, 1), (3, 2, 2), (4, 2, 3), (3, 3, 2)])
def test_regions_by_sampling(n: int, d: int, T: int) -> None:
    """Cells that random points of random families fall into: never more, and in the end as many."""
    rng = np.random.default_rng(n + 10 * d + 100 * T)
    normals = rng.normal(size=(n, d))
    offsets = np.sort(rng.uniform(-0.5, 0.5, size=(n, T)), axis=1)
    seen: set[int] = set()
    for scale in (0.3, 1.0, 5.0, 50.0):
        h = scale * rng.normal(size=(100_000, d)) @ normals.T
        cell = sum(np.searchsorted(offsets[i], h[:, i]) * (T + 1) ** i for i in range(n))
        seen |= set(np.unique(cell).tolist())
    most = round(math.exp(log_regions(n, d, T)))
    assert most == sum(math.comb(n, k) * T**k for k in range(d + 1))
    assert 0.9 * most <= len(seen) <= most


def test_dither_costs_what_is_said_and_keeps_the_planes() -> None:
    rng = np.random.default_rng(3)
    for T in (1, 2, 5):
        x = rng.random(400_000) ** 2
        u = rng.uniform(-0.5 / T, 0.5 / T, size=x.size)
        error = np.round((x + u) * T) / T - u - x
        assert np.mean(error**2) == pytest.approx(1.0 / (12.0 * T * T), rel=0.01)
        assert abs(np.corrcoef(error, x)[0, 1]) < 0.01
        for shift in rng.uniform(-0.5 / T, 0.5 / T, size=20):
            values = np.unique(np.round((np.linspace(0.0, 1.0, 10001) + shift) * T))
            assert values.size == T + 1  # T thresholds inside


def test_entropy_and_variance_of_a_coin() -> None:
    """p(1 - p) is convex in H(p): what the binary bound uses; slopes are twice the proxy."""
    p = np.linspace(1e-6, 0.5 - 1e-6, 5001)
    H = -p * np.log(p) - (1.0 - p) * np.log1p(-p)
    slope = np.diff(p * (1.0 - p)) / np.diff(H)
    assert np.all(np.diff(slope) > 0)
    at = 0.5 * (p[1000] + p[1001])
    assert slope[1000] == pytest.approx(2.0 * proxy(float(at)), rel=1e-6)


MODELS = [(2, 1, 0.1), (3, 1, 0.5), (4, 2, 0.1), (4, 3, 0.7)]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("n", "d", "S"), MODELS)
def test_no_optimum_is_above(n: int, d: int, S: float, law: str) -> None:
    found = optimum(Features.of(n, S, law), d, starts=4)
    top = gain_bound(n, d, S, law)
    gain = float(np.sum(found.features.variance)) - found.loss.total
    assert gain <= top.gain * (1.0 + 1e-9)
    assert found.loss.total >= top.loss_at_least - 1e-12
    assert top.evidence is Evidence.PROVED


def test_no_mixture_is_above() -> None:
    for n, d, S in ((1000, 30, 0.3), (400, 10, 0.1), (3000, 10, 0.02), (300, 300, 0.1)):
        found = mixture_at(n, d, S)
        gain = n * S * (1.0 - S) - found.loss
        assert gain <= gain_bound(n, d, S).gain * (1.0 + 1e-9)
    assert not gain_bound(10_000, 10, 0.1).trivial


@pytest.mark.parametrize("law", LAWS)
def test_no_block_is_above(law: str) -> None:
    S = np.array([0.01, 0.1, 0.3, 0.6])
    for name in ("digon", "triangle", "pentagon", "5-demicube", "Higman-Sims code"):
        one = entry(name)
        row = [(c.value, m) for c, m in one.rows[0][1]]
        gain = one.n / one.d * (variance(S, law) - block_loss(row, S, law))
        for s, g in zip(S.tolist(), gain.tolist(), strict=True):
            assert g <= gain_bound(one.n, one.d, s, law).per_dimension * (1.0 + 1e-9)
            assert g <= gain_bound(1000 * one.n, one.d, s, law).per_dimension


def test_a_bound_with_dropped_factors_is_beaten() -> None:
    """Negative controls: a quarter of the proxy, or no quantiser's cost with T = 1."""
    n, d, S = 12, 2, 0.35
    gain = n * S * (1 - S) - mixture_at(n, d, S).loss
    s = proxy(S)
    assert gain > 2.0 * (s / 4.0) * log_regions(n, d, 1)
    assert gain < 2.0 * s * log_regions(n, d, 1) + n / 12.0
    # dedicated features gain d v: planes in R^d counted as if d were 1 leave too few regions
    d = 30
    gain = d * S * (1 - S)
    assert gain > 2.0 * s * log_regions(d, 1, 1)
    assert gain <= gain_bound(d, d, S).gain * (1.0 + 1e-12)


@pytest.mark.parametrize("law", LAWS)
def test_random_models_and_untied_decoders(law: str) -> None:
    """A decoder of its own for every feature, from samples: also below, and far from the bound."""
    rng = np.random.default_rng(4)
    for n, d, S in ((6, 2, 0.2), (40, 1, 0.4)):
        features = Features.of(n, S, law)
        top = gain_bound(n, d, S, law)
        W, b = rng.normal(size=(d, n)) / math.sqrt(d), rng.normal(size=n) * 0.1
        if n < 12:
            total = loss(W, b, features=features).total
            assert float(np.sum(features.variance)) - total <= top.gain
        x = features.sample(rng, 20_000)
        for encoder in (W, np.eye(d, n), np.ones((d, n))):
            h = x @ encoder.T
            design = np.concatenate([h, np.ones((len(h), 1))], axis=1)
            fit = np.linalg.lstsq(design, x, rcond=None)[0]
            x_hat = np.clip(design @ fit, 0.0, None)
            gain = float(np.sum(features.variance) - np.sum(np.mean((x - x_hat) ** 2, axis=0)))
            assert gain <= top.gain + 0.02


@pytest.mark.parametrize("law", LAWS)
def test_shape_of_the_answer(law: str) -> None:
    found = gain_bound(5000, 5, 0.3, law)
    assert isinstance(found, GainBound)
    assert found.T >= 1
    v = float(Features.of(1, 0.3, law).variance[0])
    assert found.loss_at_least == pytest.approx(5000 * v - found.gain)
    assert found.per_dimension == pytest.approx(found.gain / 5)
    assert found.one_minus_S == 0.7
    plain = gain_bound(5, 5, 0.3, law)
    assert plain.trivial
    assert plain.T == 0
    assert plain.gain == pytest.approx(5 * v)
    assert plain.loss_at_least == 0.0
    # from below the limit at fixed n/d, and logarithmic growth: 3 s per e-folding of n/d
    limit = gain_bound_per_dimension(50.0, 0.3, law)
    assert gain_bound(5000, 100, 0.3, law).per_dimension <= limit
    assert gain_bound(500_000, 10_000, 0.3, law).per_dimension == pytest.approx(limit, rel=1e-3)
    rise = gain_bound_per_dimension(1e7, 0.3, law) - gain_bound_per_dimension(1e6, 0.3, law)
    assert rise == pytest.approx(3.0 * proxy(0.3, law) * math.log(10.0), rel=0.02)


def test_bad_input_and_limits() -> None:
    with pytest.raises(BadInput, match=r"laws on \[0, 1\]"):
        gain_bound(5, 2, 0.1, "exponential")
    with pytest.raises(BadInput, match="not a probability"):
        gain_bound(5, 2, 0.0)
    with pytest.raises(BadInput, match="not a number"):
        gain_bound(5, 2, "x")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="positive whole"):
        gain_bound(0, 2, 0.1)
    with pytest.raises(BadInput, match="n/d"):
        gain_bound_per_dimension(1.0, 0.1)
    assert gain_bound(9, 2, 1.0).gain == 0.0  # nothing varies
    assert gain_bound(9, 2, 1.0, "uniform").gain > 0.0
