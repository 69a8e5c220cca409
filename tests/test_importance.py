"""Mixtures for features of different importance: the programme against every assignment.

Tolerances were set before the runs: 1e-12 for the programme, sums of a few floats; 1e-8 for losses
against theory.loss, which is what its default asks for.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from packing.catalogue import entry
from packing.errors import BadInput
from theory.features import Features
from theory.losses.expected import loss
from theory.mixtures import mixture_at, mixture_ladder, mixture_losses
from theory.mixtures.block_losses import uniform_minimum
from theory.mixtures.mixture import assign, weighted_loss

Sizes = list[tuple[int, int]]


def every(sizes: Sizes, gains: list[float], d: int, importance: list[float]) -> float:
    """Every way to give features to blocks: each in turn left out or in a block with others."""

    def rest(free: tuple[int, ...], room: int) -> float:
        if not free:
            return 0.0
        first, *others = free
        best = rest(tuple(others), room)
        for (a, m), gain in zip(sizes, gains, strict=True):
            if a <= room and m <= len(free):
                for mates in itertools.combinations(others, m - 1):
                    left = tuple(i for i in others if i not in mates)
                    mine = gain * (importance[first] + sum(importance[i] for i in mates))
                    best = max(best, mine + rest(left, room - a))
        return best

    return rest(tuple(range(len(importance))), d)


def worth(gains: list[float], found: list[tuple[int, tuple[int, ...]]], I: list[float]) -> float:
    return sum(gains[k] * sum(I[i] for i in features) for k, features in found)


def test_against_every_assignment() -> None:
    rng = np.random.default_rng(3)
    for _ in range(40):
        sizes: Sizes = [(1, 1)]
        for _ in range(2):
            a = int(rng.integers(1, 4))
            sizes.append((a, a + int(rng.integers(1, 3))))
        gains = [1.0, *rng.random(2).tolist()]
        importance = rng.random(int(rng.integers(3, 8))).round(2).tolist()
        d = int(rng.integers(1, 5))
        found = assign(sizes, gains, d, importance)
        used = [i for _, features in found for i in features]
        assert len(used) == len(set(used))
        assert sum(sizes[k][0] for k, _ in found) <= d
        wanted = every(sizes, gains, d, importance)
        assert worth(gains, found, importance) == pytest.approx(wanted, rel=1e-12)


def test_the_order_matters() -> None:
    """Negative control: the same blocks filled the wrong way round gain less."""
    sizes, gains, importance = [(1, 1), (1, 2)], [1.0, 0.6], [1.0, 0.4, 0.3]
    found = assign(sizes, gains, 2, importance)
    assert found == [(0, (0,)), (1, (1, 2))]
    turned = [(0, (2,)), (1, (0, 1))]
    assert worth(gains, turned, importance) < worth(gains, found, importance)


def test_equal_importance_is_the_plain_programme() -> None:
    for n, d, law in ((7, 3, "binary"), (9, 4, "uniform")):
        plain, even = mixture_at(n, d, 0.1, law), mixture_at(n, d, 0.1, law, [2.0] * n)
        assert even.loss == pytest.approx(2.0 * plain.loss, rel=1e-12)
        assert even.represented == plain.represented


def test_the_loss_is_that_of_the_weights() -> None:
    """theory.loss of the weights the mixture names, feature by feature."""
    importance = [1.0, 0.05, 0.9, 0.8, 0.02, 0.7, 0.6]
    found = mixture_at(7, 3, 0.05, "uniform", importance)
    W, b, row = np.zeros((3, 7)), np.full(7, 0.025), 0
    for name, features in found.features:
        if name == "dedicated":
            W[row, features[0]], b[features[0]] = 1.0, 0.0
            row += 1
            continue
        block = entry(name)
        cosines = [(c.value, m) for c, m in block.rows[0][1]]
        _, rho, bias = uniform_minimum(cosines, np.array([0.05]))
        W[row : row + block.d, list(features)] = np.sqrt(rho[0]) * block.vectors
        b[list(features)] = bias[0]
        row += block.d
    told = loss(W, b, features=Features.of(7, 0.05, "uniform", importance)).total
    assert found.loss == pytest.approx(told, rel=1e-8)
    assert mixture_losses(found, np.array([0.05]))[0] == pytest.approx(found.loss, rel=1e-10)


def test_unequal_importance_restores_dedicated_features() -> None:
    """With equal importance a pair beats dedicated and ignored; with 1 and 0.01 it does not."""
    assert mixture_at(2, 1, 0.2).name != "1 dedicated + 1 ignored"
    found = mixture_at(2, 1, 0.2, "binary", [0.01, 1.0])
    assert found.name == "1 dedicated + 1 ignored"
    assert found.features == (("dedicated", (1,)),)
    assert found.loss == pytest.approx(0.01 * 0.2 * 0.8, rel=1e-12)


def test_a_ladder_with_importance() -> None:
    importance = [1.0, 0.8, 0.5, 0.3]
    found = mixture_ladder(4, 2, "uniform", importance=importance)
    assert found.status == "complete" and found.crossings
    for change in found.crossings:
        at = np.array([change.S])
        gap = mixture_losses(change.denser, at) - mixture_losses(change.sparser, at)
        assert abs(gap[0]) < 1e-9 * change.loss
        beside = mixture_at(4, 2, 0.999 * change.S, "uniform", importance)
        assert beside.loss <= mixture_losses(change.denser, np.array([0.999 * change.S]))[0]
    plain = mixture_ladder(4, 2, "uniform")
    assert abs(found.crossings[0].S - plain.crossings[0].S) > 1e-3 * plain.crossings[0].S


def test_runs_are_filled_best_first() -> None:
    assert weighted_loss([(2, 0.2), (1, 0.0)], 1.0, [0.1, 1.0, 0.5, 0.4]) == pytest.approx(
        0.0 * 1.0 + 0.2 * 0.9 + 1.0 * 0.1
    )


def test_bad_importance() -> None:
    with pytest.raises(BadInput, match="importance has shape"):
        mixture_at(3, 1, 0.1, "binary", [1.0, 2.0])
    with pytest.raises(BadInput, match="negative"):
        mixture_at(3, 1, 0.1, "binary", [1.0, -2.0, 1.0])
    with pytest.raises(BadInput, match="too many"):
        assign([(1, 1)], [1.0], 10_000, [1.0] * 10_000)
