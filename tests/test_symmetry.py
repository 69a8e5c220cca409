"""packing.symmetry: relabellings against all permutations, formulas, BLISS and other graphs."""

from __future__ import annotations

import itertools
import math

import igraph
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packing.arrangement import Arrangement
from packing.catalogue import entry
from packing.catalogue.exact import polygon
from packing.catalogue.polytopes import antiprism, prism
from packing.symmetry import (
    LARGEST,
    STEP,
    Coloured,
    automorphisms,
    colours,
    fingerprint,
    matching,
    orbits,
    relabelling,
    symmetry_order,
    waves,
)

PENTAGON = polygon(5)
SHADED = np.concatenate([PENTAGON, 0.3 * PENTAGON[:, 2:3]], axis=1)
ISOSCELES = np.array([[1.0, -0.6, -0.6], [0.0, 0.9, -0.9]])
AXES = np.concatenate([np.eye(3), -np.eye(3)], axis=1)

SMALL = [
    PENTAGON,
    SHADED,
    ISOSCELES,
    prism(3, 0.5),
    antiprism(3, 0.4) * [1, 1, 1, 2, 2, 2],
    np.c_[polygon(3), polygon(3)],
    np.c_[polygon(3), polygon(3)[:, :2]],
    AXES,
    np.ones((1, 4)),
    np.array([[1.0, -1.0, 1.0, -1.0, 0.5]]),
    np.random.default_rng(0).normal(size=(3, 6)),
]

KNOWN = [
    ("icosahedron", 120),
    ("24-cell", 1152),
    ("600-cell", 14400),
    ("E8 roots", 696729600),
    ("5-demicube", 1920),  # the Clebsch graph
    ("Schlaefli code", 51840),
    ("Hoffman-Singleton code", 252000),  # P Sigma U(3, 5^2)
    ("Higman-Sims code", 88704000),  # HS.2
    ("McLaughlin code", 1796256000),  # McL.2
]


def turned(W: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rotated, relabelled, scaled and a little noisy; and the relabelling."""
    rng = np.random.default_rng(seed)
    d, n = W.shape
    Q, _ = np.linalg.qr(rng.normal(size=(d, d)))
    order = rng.permutation(n)
    return 7.0 * (Q @ W[:, order] + 1e-10 * rng.normal(size=W.shape)), order


def all_symmetries(W: np.ndarray, tolerance: float = 1e-6) -> set[tuple[int, ...]]:
    G = W.T @ W
    every = itertools.permutations(range(W.shape[1]))
    return {p for p in every if np.abs(G[np.ix_(p, p)] - G).max() < tolerance}


def generated(generators: tuple[tuple[int, ...], ...], n: int) -> set[tuple[int, ...]]:
    """The group, element by element."""
    group = {tuple(range(n))}
    front = list(group)
    while front:
        front = [tuple(g[i] for i in p) for p in front for g in generators]
        front = [p for p in dict.fromkeys(front) if p not in group]
        group.update(front)
    return group


@pytest.mark.parametrize("W", SMALL)
def test_order_orbits_and_generators_against_all_permutations(W):
    kept = all_symmetries(W)
    part = Arrangement.from_weights(W)
    assert symmetry_order(part) == len(kept)
    assert generated(automorphisms(part), W.shape[1]) == kept
    if not part.duplicated():
        expected = {tuple(sorted({p[i] for p in kept})) for i in range(W.shape[1])}
        assert set(orbits(part)) == expected


@pytest.mark.parametrize(("name", "order"), KNOWN, ids=[x[0] for x in KNOWN])
def test_orders_from_the_literature(name, order):
    V = entry(name).vectors
    assert symmetry_order(Arrangement.from_weights(turned(V, 0)[0])) == order
    assert orbits(Arrangement.from_weights(V)) == (tuple(range(V.shape[1])),)
    if V.shape[1] < 130:  # one vector longer: what is left keeps it in its place
        longer = Arrangement.from_weights(V * np.r_[1.5, np.ones(V.shape[1] - 1)])
        assert symmetry_order(longer) == order // V.shape[1]


def test_random_graphs_against_bliss_and_all_permutations():
    """Graphs with two colours of edges and of vertices, counted in three ways."""
    rng = np.random.default_rng(0)
    counts = set()
    for _ in range(60):
        A = np.triu(rng.integers(0, 2, size=(6, 6)), 1)
        A, own = A + A.T, rng.integers(0, 2, size=6) // 2
        one = Coloured(A, own)
        group = generated(tuple(map(tuple, one.generators())), 6)
        graph = igraph.Graph.Adjacency(A.tolist(), mode="undirected")
        assert one.count() == graph.count_automorphisms(color=own.tolist()) == len(group)
        every = np.array(list(itertools.permutations(range(6))))
        kept = (A[every[:, :, None], every[:, None, :]] == A).all((1, 2))
        assert one.count() == (kept & (own[every] == own).all(axis=1)).sum()
        counts.add(one.count())
    assert len(counts) > 3


def test_orders_that_no_float_holds():
    axes = np.concatenate([np.eye(30), -np.eye(30)], axis=1)
    assert symmetry_order(Arrangement.from_weights(axes)) == 2**30 * math.factorial(30)
    assert symmetry_order(Arrangement.from_weights(np.eye(60))) == math.factorial(60)


def test_repeated_columns_count_as_exchangeable():
    # three pairs of equal vectors at 120 degrees: 2!^3 times the triangle's 6
    W = np.repeat(polygon(3), 2, axis=1)
    part = Arrangement.from_weights(W)
    assert symmetry_order(part) == 48 == len(all_symmetries(W))
    assert [len(orbit) for orbit in orbits(part)] == [3]
    # a column repeated at another norm is another vector
    assert symmetry_order(Arrangement.from_weights(W * [1, 2, 1, 2, 1, 2])) == 6


def test_same_cosine_rows_are_not_enough():
    """Rook's graph and Shrikhande graph: equal parameters and cosines, different graphs."""
    cells = list(itertools.product(range(4), repeat=2))

    def adjacency(joined):
        return np.array(
            [[float(joined((a - c) % 4, (b - d) % 4)) for a, b in cells] for c, d in cells]
        )

    rook = adjacency(lambda x, y: (x == 0) != (y == 0))
    shrikhande = adjacency(lambda x, y: (x, y) in {(0, 1), (0, 3), (1, 0), (3, 0), (1, 1), (3, 3)})

    def embedded(A):
        values, vectors = np.linalg.eigh(A)
        V = vectors[:, np.abs(values + 2.0) < 1e-9].T
        return V / np.linalg.norm(V, axis=0)

    one, other = embedded(rook), embedded(shrikhande)
    np.testing.assert_allclose(np.sort(one.T @ one), np.sort(other.T @ other), atol=1e-12)
    assert relabelling(one, Arrangement.from_weights(other)) is None
    assert relabelling(one, Arrangement.from_weights(turned(one, 0)[0])) is not None
    first, second = Arrangement.from_weights(one), Arrangement.from_weights(other)
    assert symmetry_order(first) == 1152 and symmetry_order(second) == 192
    np.testing.assert_allclose(waves(first), waves(second), atol=1e-12)
    assert fingerprint(first) != fingerprint(second)


@pytest.mark.parametrize("name", ["snub cube", "24-cell", "Petersen code", "M22 code", "E8 roots"])
def test_relabelling_is_found_and_right(name):
    V = entry(name).vectors
    W, _ = turned(V, 3)
    order = relabelling(V, Arrangement.from_weights(W))
    part = Arrangement.from_weights(W)
    np.testing.assert_allclose((V.T @ V)[np.ix_(order, order)], part.cosines, atol=1e-8)
    # negative control: one vector out of place, and no relabelling exists
    W[:, 0] += 0.01 * W[:, 1]
    assert relabelling(V, Arrangement.from_weights(W)) is None


@pytest.mark.parametrize("name", ["snub cube", "600-cell", "Hoffman-Singleton code", "7-simplex"])
def test_fingerprints_depend_on_neither_rotation_nor_labels(name):
    V = entry(name).vectors * np.r_[1.2, 0.9, np.ones(entry(name).n - 2)]
    prints = {fingerprint(Arrangement.from_weights(turned(V, seed)[0])) for seed in range(4)}
    assert len(prints) == 1
    # the first two vectors exchange their norms: another arrangement, unless a symmetry does it
    moved = V * np.r_[0.75, 4.0 / 3.0, np.ones(V.shape[1] - 2)]
    same = fingerprint(Arrangement.from_weights(moved)) in prints
    assert same == (symmetry_order(Arrangement.from_weights(_pair(V))) == _fixing(V))
    assert fingerprint(Arrangement.from_weights(V[:, 1:])) not in prints


def _pair(V: np.ndarray) -> np.ndarray:
    """The directions, the first two vectors longer than the rest and equal."""
    U = V / np.linalg.norm(V, axis=0)
    return U * np.r_[2.0, 2.0, np.ones(U.shape[1] - 2)]


def _fixing(V: np.ndarray) -> int:
    """Twice the symmetries that keep the first two vectors in their places."""
    U = V / np.linalg.norm(V, axis=0)
    kept = symmetry_order(Arrangement.from_weights(U * np.r_[2.0, 3.0, np.ones(U.shape[1] - 2)]))
    return 2 * kept


def test_colours_part_in_the_middle_of_gaps():
    low, high = colours([np.array([0.1, 0.5]), np.array([0.1 + 1e-9, 0.5 - 1e-9])], 1e-6)
    assert low.tolist() == high.tolist() == [0, 1]
    # 0.25 is a boundary of rounding to one digit, and no boundary here
    (table,) = colours([np.array([0.25 - 1e-12, 0.25 + 1e-12, 0.4])], 1e-6)
    assert table.tolist() == [0, 0, 1]


def test_matching_needs_equal_colours():
    rng = np.random.default_rng(0)
    A = rng.integers(0, 3, size=(9, 9))
    A = np.triu(A, 1) + np.triu(A, 1).T
    order = rng.permutation(9)
    found = matching(A, A[np.ix_(order, order)])
    np.testing.assert_array_equal(A[np.ix_(found, found)], A[np.ix_(order, order)])
    B = A.copy()
    B[0, 1] = B[1, 0] = (A[0, 1] + 1) % 3
    assert matching(A, B) is None


def test_layers_lose_no_colour():
    """Twelve colours in a circle of twelve vertices: only turns and mirrors keep them all."""
    step = np.abs(np.subtract.outer(np.arange(12), np.arange(12)))
    circle = np.minimum(step, 12 - step)
    alike = np.zeros(12, dtype=np.int64)
    assert Coloured(circle, alike).count() == 24
    turned_only = np.where(step == 6, 7, circle)
    turned_only[0, 1] = turned_only[1, 0] = 9  # one edge of its own colour keeps one mirror
    assert Coloured(turned_only, alike).count() == 2


def test_beyond_the_largest_size_nothing_is_searched():
    part = Arrangement.from_weights(np.random.default_rng(0).normal(size=(2, LARGEST + 1)))
    assert symmetry_order(part) is None and automorphisms(part) is None


# Fingerprints: the rates that the docstring states, on random arrangements of several sizes.

SIZES = [(4, 2), (5, 2), (8, 3), (20, 5), (60, 10)]


@given(st.sampled_from(SIZES), st.integers(0, 2**32 - 1), st.floats(1e-100, 1e100))
def test_equal_arrangements_have_equal_fingerprints(size, seed, scale):
    rng = np.random.default_rng(seed)
    W = rng.normal(size=size[::-1])
    Q, _ = np.linalg.qr(rng.normal(size=(size[1], size[1])))
    same = Q @ W[:, rng.permutation(size[0])] * scale
    one, other = Arrangement.from_weights(W), Arrangement.from_weights(same)
    np.testing.assert_allclose(waves(one), waves(other), atol=1e-11)
    assert fingerprint(one) == fingerprint(other)


@given(st.sampled_from(SIZES), st.integers(0, 2**32 - 1), st.floats(0.02, 1.0))
def test_different_arrangements_have_different_fingerprints(size, seed, change):
    """Down to a twentieth of one vector's length: the first vector is turned and stretched."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=size[::-1])
    other = W.copy()
    other[:, 0] += rng.normal(size=size[1]) * change * np.linalg.norm(W) / math.sqrt(size[1])
    found = [fingerprint(Arrangement.from_weights(x)) for x in (W, other)]
    assert found[0] != found[1]


@pytest.mark.parametrize("size", SIZES)
def test_collisions_of_random_arrangements(size):
    """11 175 pairs, of which 1e-4 should coincide; each wave does so in fewer than one in 60."""
    rng = np.random.default_rng(1)
    parts = [Arrangement.from_weights(rng.normal(size=size[::-1])) for _ in range(150)]
    assert len({fingerprint(part)[:6] for part in parts}) == 150
    bins = np.floor(np.array([waves(part) for part in parts]) / STEP)
    i, j = np.triu_indices(150, 1)
    assert ((bins[i] == bins[j]).mean(axis=0) < 1.0 / 60.0).all()


@pytest.mark.parametrize("size", SIZES)
def test_how_often_noise_moves_a_fingerprint(size):
    """At most 600 e of all arrangements cross a boundary: waves move by their share of a bin."""
    rng = np.random.default_rng(2)
    moved, error = [], 1e-7
    for _ in range(300):
        W = rng.normal(size=size[::-1])
        away = rng.normal(size=W.shape)
        away *= error * np.linalg.norm(W, axis=0) / np.linalg.norm(away, axis=0)
        one, other = Arrangement.from_weights(W), Arrangement.from_weights(W + away)
        moved.append(np.abs(waves(one) - waves(other)).sum() / STEP)
        assert fingerprint(one) == fingerprint(other)  # 300 cases and a rate of 6e-5: 2% in all
    assert np.mean(moved) < 600.0 * error
