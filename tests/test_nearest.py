"""Distances of constructions (names.nearest), probabilities by counting (names.chance)."""

from __future__ import annotations

import math

import numpy as np
import pytest

from packing.arrangement import Arrangement
from packing.catalogue import entries, entry
from packing.catalogue.exact import polygon
from packing.catalogue.polytopes import antiprism, prism
from packing.matching import FAR, Piece, log_chance, log_sphere, nearest

SPLIT = ("digon", "square", "octahedron", "16-cell", "cross-polytope")
RIGID = [
    one
    for one in entries(largest=300)
    if one.built and one.d > 1 and not one.name.endswith(SPLIT) and one.d < 60
]


def noisy(V: np.ndarray, seed: int, noise: float, norms: float = 0.0) -> tuple:
    """Turned into two more dimensions, relabelled, scaled, every vector off by about `noise`."""
    rng = np.random.default_rng(seed)
    d, n = V.shape
    Q, _ = np.linalg.qr(rng.normal(size=(d + 2, d + 2)))
    order = rng.permutation(n)
    off = noise / math.sqrt(d + 2) * rng.normal(size=(d + 2, n))
    W = (Q[:, :d] @ V[:, order] + off) * (1.0 + norms * rng.uniform(-1, 1, size=n))
    return Arrangement.from_weights(10.0 ** rng.uniform(-3, 3) * W), order


@pytest.mark.parametrize("one", RIGID, ids=[one.name for one in RIGID])
def test_every_entry_is_found_again(one):
    part, _ = noisy(one.vectors, 1, 1e-3, norms=0.03)
    got = nearest(part, rank=one.d)
    assert got.name == one.name
    assert got.distance < 1.1e-3 and got.largest < 5e-3
    # the relabelling is right: cosines agree as far as the noise allows
    assert np.abs(got.vectors.T @ got.vectors - part.cosines).max() < 1e-2


@pytest.mark.parametrize("name", ["pentagon", "24-cell", "E6 roots", "M22 code", "dodecahedron"])
@pytest.mark.parametrize("noise", [1e-6, 1e-2, 5e-2, 0.1])
def test_distance_is_that_of_the_noise(name, noise):
    """Errors of length `noise` are left, but for those that norms, turns and the scale take up."""
    one = entry(name)
    part, _ = noisy(one.vectors, 2, noise)
    got = nearest(part, rank=one.d)
    assert got.name == name
    room = one.d + 2
    left = 1.0 - 1.0 / room - (one.d * (one.d - 1) / 2 + 2 * one.d) / (one.n * room)
    assert got.distance == pytest.approx(noise * math.sqrt(left), rel=0.25)


def test_distance_by_hand():
    # one corner of a pentagon turned by 5 t: the best rotation takes back t of it, and leaves
    # 4 t once and t four times
    t = 1e-4
    turn = 2.0 * np.pi * np.arange(5) / 5.0 + np.array([5.0 * t, 0, 0, 0, 0])
    got = nearest(Arrangement.from_weights(np.array([np.cos(turn), np.sin(turn)])))
    assert got.name == "pentagon"
    assert got.largest == pytest.approx(4.0 * t, rel=1e-6)
    assert got.distance == pytest.approx(t * math.sqrt((16 + 4) / 5), rel=1e-6)


def test_uneven_norms_cost_nothing_and_weak_vectors_count_less():
    V = entry("icosahedron").vectors
    W = V * np.linspace(1.0, 3.0, 12)
    assert nearest(Arrangement.from_weights(W)).distance < 1e-12
    rng = np.random.default_rng(0)
    W = V * np.r_[0.05, np.ones(11)]
    W += 1e-2 * rng.normal(size=W.shape)  # turns the weak one by 0.3
    got = nearest(Arrangement.from_weights(W))
    assert got.name == "icosahedron" and got.distance < 0.03


@pytest.mark.parametrize("k", [2, 3, 4, 5, 7])
@pytest.mark.parametrize("height", [0.2, 0.45, 0.65, 0.8])
def test_free_heights_are_fitted(k, height):
    for make, least in ((antiprism, 2), (prism, 3)):
        if k < least:
            continue
        part, _ = noisy(make(k, height), 3, 1e-3)
        got = nearest(part, rank=3)
        assert got.free == 1 and got.name.endswith("prism" if k > 2 else "disphenoid")
        assert ("anti" in got.name or k == 2) == (make is antiprism)
        assert got.distance < 2e-3
        cosines = np.sort(got.vectors.T @ got.vectors, axis=None)
        expected = np.sort(make(k, height).T @ make(k, height), axis=None)
        np.testing.assert_allclose(cosines, expected, atol=5e-3)  # of the height, not only the name


def test_a_height_is_free_only_if_that_fits_clearly_better():
    cube = entry("cube").vectors
    assert nearest(noisy(cube, 0, 1e-2)[0], rank=3).name == "cube"
    height = 1.0 / math.sqrt(3.0)
    assert nearest(noisy(prism(4, height + 0.02), 0, 1e-3)[0], rank=3).name == "square prism"
    assert nearest(noisy(prism(4, height + 0.02), 0, 5e-2)[0], rank=3).name == "cube"


def test_other_candidates_may_be_given():
    part, _ = noisy(polygon(7), 0, 1e-3)
    assert nearest(part, [entry("heptagon")], rank=2).name == "heptagon"
    assert nearest(part, [entry("hexagon"), entry("icosahedron")], rank=2) is None
    assert nearest(part, [], rank=2) is None


def test_far_arrangements_have_no_nearest():
    rng = np.random.default_rng(0)
    for n, d in ((8, 3), (16, 5), (27, 6), (100, 22), (240, 8)):
        assert nearest(Arrangement.from_weights(rng.normal(size=(d, n)))) is None
    part, _ = noisy(polygon(5), 0, 0.1)
    assert nearest(part, rank=2, far=1e-3) is None
    assert nearest(part, rank=2, far=FAR) is not None


# --- chance -------------------------------------------------------------------------------------


def polygon_distance(angles: np.ndarray) -> np.ndarray:
    """Root mean square distance of directions (N, k) from the best regular k-gon, a second route.

    The best assignment keeps the order around the circle, and the best rotation the phase of the
    sum of z_j / w_j.
    """
    k = angles.shape[1]
    z = np.exp(1j * np.sort(angles, axis=1))
    w = np.exp(2j * np.pi * np.arange(k) / k)
    return np.sqrt(np.maximum(2.0 - 2.0 * np.abs((z * w.conj()).sum(axis=1)) / k, 0.0))


@pytest.mark.parametrize(("k", "r"), [(3, 0.05), (3, 0.2), (5, 0.15), (6, 0.2)])
def test_chance_of_polygons_against_counts(k, r):
    N = 400_000
    angles = np.random.default_rng(k).uniform(0.0, 2.0 * np.pi, size=(N, k))
    count = int((polygon_distance(angles) < r).sum())
    predicted = math.exp(log_chance([Piece("polygon", polygon(k), 2 * k)], r))
    # four standard deviations of the count, and 5% for the tube's second order at these radii
    assert abs(count / N - predicted) < 4.0 * math.sqrt(predicted / N) + 0.05 * predicted
    wrong = math.exp(log_chance([Piece("polygon", polygon(k), 4 * k)], r))
    assert abs(count / N - wrong) > 4.0 * math.sqrt(wrong / N) + 0.05 * wrong


def test_chance_of_a_sum_counts_its_exchanges():
    N, r = 400_000, 0.1
    digon = np.array([[1.0, -1.0]])
    angles = np.random.default_rng(0).uniform(0.0, 2.0 * np.pi, size=(N, 4))
    count = int((polygon_distance(angles) < r).sum())
    predicted = math.exp(log_chance([Piece("digon", digon, 2), Piece("digon", digon, 2)], r))
    assert abs(count / N - predicted) < 4.0 * math.sqrt(predicted / N) + 0.05 * predicted


def test_chance_in_space_against_counts():
    """Tetrahedra: the best of all relabellings of random directions, by Procrustes."""
    V = entry("tetrahedron").vectors
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200_000, 3, 4))
    X /= np.linalg.norm(X, axis=1)[:, None, :]
    # all 24 relabellings are symmetries of a simplex: the given labels are as good as any
    inner = np.linalg.svd(X @ V.T, compute_uv=False).sum(axis=1)
    distance = np.sqrt(np.maximum(2.0 - 2.0 * inner / 4.0, 0.0))
    r = 0.2
    predicted = math.exp(log_chance([Piece("tetrahedron", V, 24)], r))
    count = int((distance < r).sum())
    # the tube's second order is larger here: the sphere curves in more directions
    assert abs(count / 200_000 - predicted) < 4.0 * math.sqrt(predicted / 200_000) + 0.1 * predicted


def test_chance_of_a_free_height_is_larger():
    V = prism(4, 0.6)
    fixed = log_chance([Piece("square prism", V, 16)], 0.05)
    free = log_chance([Piece("square prism", V, 16, 1)], 0.05)
    assert fixed < free < 0.0


def test_spheres_have_their_volumes():
    volumes = [math.exp(log_sphere(k)) for k in range(4)]
    np.testing.assert_allclose(volumes, [2.0, 2 * np.pi, 4 * np.pi, 2 * np.pi**2], rtol=1e-13)


def test_an_irregular_block_takes_its_own_shape_for_granted():
    shape = np.random.default_rng(0).normal(size=(2, 5))
    shape /= np.linalg.norm(shape, axis=0)
    alone = log_chance([Piece("irregular", shape, None)], 0.1)
    assert alone == pytest.approx(0.0, abs=1e-9)  # certain: it is near to itself
    digon = np.array([[1.0, -1.0]])
    both = log_chance([Piece("irregular", shape, None), Piece("digon", digon, 2)], 0.01)
    assert both < math.log(1e-6)
