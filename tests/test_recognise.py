"""packing.recognise: every construction keeps its name in disguise, and nothing else gets one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packing import named
from packing.arrangement import Arrangement
from packing.errors import BadInput
from packing.named import antiprism, polygon, prism, shapes, simplex
from packing.recognise import name_of
from packing.symmetry import orbits, relabelling, symmetry_order

DIGON = np.array([[1.0, -1.0]])
ONE = np.array([[1.0]])

# name, vectors, order of the symmetry group (from the literature or the group itself)
SHAPES = [
    ("digon", DIGON, 2),
    ("parallel pair", np.array([[1.0, 1.0]]), 2),
    *((named.polygon_name(k), polygon(k), 2 * k) for k in (3, 5, 6, 7, 8, 9, 10, 11, 12, 13)),
    *((named.simplex_name(d), simplex(d), math.factorial(d + 1)) for d in (3, 4, 5, 8)),
    ("cube", named.cube(3), 48),
    ("icosahedron", named.icosahedron(), 120),
    ("dodecahedron", named.dodecahedron(), 120),
    ("cuboctahedron", named.roots_D(3), 48),
    ("icosidodecahedron", named.icosidodecahedron(), 120),
    ("disphenoid", antiprism(2, 0.3), 8),
    ("triangular prism", prism(3, 0.5), 12),
    ("triangular antiprism", antiprism(3, 0.4), 12),
    ("square antiprism", antiprism(4, 0.5), 16),
    ("square prism", prism(4, 0.4), 16),
    ("pentagonal antiprism", antiprism(5, 0.5), 20),
    ("pentagonal prism", prism(5, 0.4), 20),
    ("9-gonal antiprism", antiprism(9, 0.4), 36),
    ("Petersen code", named.rectified_simplex(4), 120),
    ("doubled 5-cell", named.doubled(simplex(4)), 240),
    ("tesseract", named.cube(4), 384),
    ("A4 roots", named.roots_A(4), 240),
    ("24-cell", named.roots_D(4), 1152),
    ("600-cell", named.cell_600(), 14400),
    ("doubled 5-simplex", named.doubled(simplex(5)), 1440),
    ("rectified 5-simplex", named.rectified_simplex(5), 720),
    ("5-demicube", named.demicube(5), 1920),
    ("D5 roots", named.roots_D(5), 3840),
    ("5-cube", named.cube(5), 3840),
    ("6-demicube", named.demicube(6), 23040),
    ("Schlaefli code", named.code_27(), 51840),
    ("E6 roots", named.roots_E6(), 103680),
    ("E7 56-code", named.code_56(), 2903040),
    ("A7 roots", named.roots_A(7), 80640),
    ("E7 roots", named.roots_E7(), 2903040),
    ("E8 roots", named.roots_E8(), 696729600),
]
SMALL = [entry for entry in SHAPES if entry[1].shape[1] <= 12]


def stacked(*blocks: np.ndarray) -> np.ndarray:
    """Blocks in orthogonal subspaces."""
    W = np.zeros((sum(x.shape[0] for x in blocks), sum(x.shape[1] for x in blocks)))
    row = col = 0
    for x in blocks:
        W[row : row + x.shape[0], col : col + x.shape[1]] = x
        row, col = row + x.shape[0], col + x.shape[1]
    return W


def disguised(W: np.ndarray, seed: int, room: int = 0, noise: float = 1e-9) -> np.ndarray:
    """Rotated into `room` more dimensions, relabelled, scaled, with noise relative to the scale."""
    rng = np.random.default_rng(seed)
    d, n = W.shape
    Q, _ = np.linalg.qr(rng.normal(size=(d + room, d + room)))
    W = Q[:, :d] @ W[:, rng.permutation(n)]
    return 10.0 ** rng.uniform(-2, 2) * (W + noise * rng.normal(size=W.shape))


@pytest.mark.parametrize(("name", "vectors", "order"), SHAPES, ids=[s[0] for s in SHAPES])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_construction_keeps_its_name_in_disguise(name, vectors, order, seed):
    got = name_of(disguised(vectors, seed, room=seed))
    assert got.name == name
    (block,) = got.blocks
    assert block.symmetry_order == order
    assert block.distance < 1e-7
    assert block.features == tuple(range(vectors.shape[1]))
    assert got.represented == vectors.shape[1] and got.ignored == ()


@pytest.mark.parametrize(("name", "vectors", "order"), SHAPES, ids=[s[0] for s in SHAPES])
def test_one_vector_turned_by_1e_3_costs_the_name(name, vectors, order):
    d, n = vectors.shape
    if d == 1:
        vectors, d = np.vstack([vectors, np.zeros(n)]), 2
    turn = np.random.default_rng(5).normal(size=d)
    W = vectors.copy()
    turn -= (turn @ W[:, 0]) * W[:, 0]
    W[:, 0] += 1e-3 * turn / np.linalg.norm(turn)
    W[:, 0] /= np.linalg.norm(W[:, 0])
    got = name_of(disguised(W, 2))
    assert got.name.startswith("irregular" if name != "triangle" else ("irregular", "isosceles"))
    assert all(block.distance == math.inf for block in got.blocks if "irregular" in block.name)


def test_a_triangle_turned_by_1e_3_is_no_triangle_but_nearly_one():
    W = polygon(3)
    W[:, 0] = [math.cos(1e-3), math.sin(1e-3)]
    assert name_of(W).name.startswith("irregular 3 in 2")
    assert name_of(W, tolerance=5e-3).name == "triangle"


@pytest.mark.parametrize(("name", "vectors", "order"), SMALL, ids=[s[0] for s in SMALL])
def test_unequal_norms_are_uneven(name, vectors, order):
    W = vectors * np.linspace(1.0, 1.5, vectors.shape[1])
    assert name_of(disguised(W, 3)).name == f"uneven {name}"
    assert name_of(disguised(W, 3)).blocks[0].symmetry_order == 1


BENT = np.radians([0.0, 71.66716, 144.23107, 144.23107, 216.79498, 288.46215])
BENT = np.array([np.cos(BENT), np.sin(BENT)])
BENT = BENT * [1.116756, 1.108632, 0.29332, 1.07738, 1.108632, 1.116756]  # (6,2), uniform, S = 0.07
PENTAGON = polygon(5)
SHADED = np.concatenate([PENTAGON, 0.3 * PENTAGON[:, 2:3]], axis=1)
ISOSCELES = np.array([[1.0, -0.6, -0.6], [0.0, 0.9, -0.9]])


@pytest.mark.parametrize(
    ("name", "W"),
    [
        ("1 dedicated", ONE),
        ("3 dedicated", np.diag([1.0, 2.0, 3.0])),
        ("3 ignored", np.zeros((2, 3))),
        ("2 digon (square)", stacked(DIGON, DIGON)),
        ("2 digon", stacked(DIGON, 1.1 * DIGON)),
        ("3 digon (octahedron)", stacked(DIGON, DIGON, DIGON)),
        ("5 digon (cross-polytope)", stacked(*[DIGON] * 5)),
        ("triangle + digon (triangular bipyramid)", stacked(DIGON, polygon(3))),
        ("triangle + digon", stacked(DIGON, 0.9 * polygon(3))),
        ("pentagon + digon (pentagonal bipyramid)", stacked(PENTAGON, DIGON)),
        ("2 digon + 1 ignored", np.c_[stacked(DIGON, DIGON), np.zeros((2, 1))]),
        ("digon + 1 dedicated", stacked(DIGON, ONE)),
        ("pentagon + 2 digon + 2 dedicated", stacked(ONE, DIGON, PENTAGON, ONE, DIGON)),
        ("digon + uneven digon", stacked(DIGON, DIGON * [1.0, 0.6])),
        ("uneven digon", DIGON * [1.0, 0.6]),
        ("uneven parallel pair", np.array([[1.0, 0.4]])),
        (
            "2 uneven parallel pair + 1 ignored",
            np.c_[stacked(*[[[1.0, 0.4]] @ np.eye(2)] * 2), [0, 0]],
        ),
        ("parallel triple", np.ones((1, 3))),
        ("uneven parallel 5-tuple", np.arange(1.0, 6.0)[None]),
        ("digon + 1 shadow", np.array([[1.0, -1.0, 0.3]])),
        ("digon + 1 shadow", np.array([[1.0, -0.7, 0.3]])),
        ("digon + 1 twin", np.array([[1.0, -1.0, 1.0]])),
        ("digon + 2 shadow", np.array([[1.0, -1.0, 0.3, -0.2]])),
        ("pentagon + 1 shadow", SHADED),
        ("pentagon + 1 shadow", BENT),
        ("pentagon + 1 twin", np.c_[PENTAGON, PENTAGON[:, 0]]),
        ("triangle + 1 shadow", np.c_[polygon(3), 1e-3 * polygon(3)[:, 0]]),
        ("(pentagon + 1 shadow) + digon", stacked(SHADED, DIGON)),
        ("2 (pentagon + 1 shadow) + 1 dedicated", stacked(SHADED, SHADED, ONE)),
        ("pentagon + 1 shadow + 1 dedicated + 1 ignored", np.c_[stacked(SHADED, ONE), np.zeros(3)]),
        ("icosahedron + 1 shadow", np.c_[named.icosahedron(), 0.1 * named.icosahedron()[:, 4]]),
        ("isosceles triangle", ISOSCELES),
        ("isosceles triangle", polygon(3) * [1.1, 1.0, 1.0]),
        ("uneven triangle", polygon(3) * [1.1, 1.0, 0.9]),
    ],
)
def test_names_of_mixtures(name, W):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        V = W[:, rng.permutation(W.shape[1])]
        Q, _ = np.linalg.qr(rng.normal(size=(W.shape[0], W.shape[0])))
        V = Q @ V + (V != 0).any(axis=0) * 1e-9 * rng.normal(size=W.shape)
        assert name_of(V).name == name


def test_blocks_say_which_features_they_hold():
    W = np.c_[stacked(DIGON, polygon(3)), np.zeros((3, 1))][:, [5, 2, 0, 3, 4, 1]]
    got = name_of(W)
    assert [(block.name, block.features) for block in got.blocks] == [
        ("triangle", (1, 3, 4)),
        ("digon", (2, 5)),
    ]
    assert got.ignored == (0,) and got.represented == 5


@settings(max_examples=60)
@given(st.lists(st.integers(0, len(SMALL) - 1), min_size=1, max_size=4), st.integers(0, 999))
def test_direct_sums_split_into_their_blocks(picks, seed):
    parts = [SMALL[i] for i in picks]
    got = name_of(disguised(stacked(*(vectors for _, vectors, _ in parts)), seed))
    assert sorted(block.name for block in got.blocks) == sorted(name for name, _, _ in parts)
    assert sorted(block.symmetry_order for block in got.blocks) == sorted(o for _, _, o in parts)
    taken = sorted(i for block in got.blocks for i in block.features)
    assert taken == list(range(sum(vectors.shape[1] for _, vectors, _ in parts)))
    assert got.rattlers == () or len(parts) > 1


@settings(max_examples=300)
@given(st.integers(2, 30), st.integers(2, 6), st.booleans(), st.integers(0, 2**32 - 1))
def test_random_arrangements_get_no_name(n, d, unit, seed):
    """Not one false name in 300 arrangements; a chance one needs cosines to agree to 1e-6."""
    W = np.random.default_rng(seed).normal(size=(d, n))
    if unit:
        W = W / np.linalg.norm(W, axis=0)
    got = name_of(W)
    assert got.name.startswith(f"irregular {n} in {min(n, d)} [")
    assert got.blocks[0].symmetry_order == (1 if n > 2 or not unit else 2)
    assert got.blocks[0].distance == math.inf


@settings(max_examples=100)
@given(st.integers(2, 12), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_random_antipodal_pairs_get_no_name(k, d, seed):
    V = np.random.default_rng(seed).normal(size=(d, k))
    V = V / np.linalg.norm(V, axis=0)
    got = name_of(np.concatenate([V, -V], axis=1))
    assert got.name.startswith(f"irregular {2 * k} in {min(k, d)} [")
    assert got.blocks[0].symmetry_order % 2 == 0


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
    assert relabelling(one, Arrangement.from_weights(disguised(one, 0))) is not None
    assert symmetry_order(Arrangement.from_weights(one)) == 1152
    assert symmetry_order(Arrangement.from_weights(other)) == 192


@pytest.mark.parametrize(
    "W",
    [
        polygon(5),
        SHADED,
        BENT,
        ISOSCELES,
        prism(3, 0.5),
        antiprism(3, 0.4) * [1, 1, 1, 2, 2, 2],
        np.c_[polygon(3), polygon(3)],
        np.c_[polygon(3), polygon(3)[:, :2]],
        stacked(DIGON, DIGON, DIGON),
        np.ones((1, 4)),
        np.array([[1.0, -1.0, 1.0, -1.0, 0.5]]),
    ],
)
def test_symmetry_order_and_orbits_against_all_permutations(W):
    G = W.T @ W
    n = W.shape[1]
    kept = [
        p
        for p in itertools.permutations(range(n))
        if np.abs(G[np.ix_(p, p)] - G).max() < 1e-4  # BENT is written with six digits
    ]
    part = Arrangement.from_weights(W)
    assert symmetry_order(part, 1e-5) == len(kept)
    if not part.duplicated():
        expected = {tuple(sorted({p[i] for p in kept})) for i in range(n)}
        assert set(orbits(part, 1e-5)) == expected


def test_fingerprint_is_constant_along_a_branch_and_changes_with_the_type():
    def mirrored(t, lean=0.0):
        angles = np.array([0.0, 1.19 + t, -1.19 - t, 2.08 - t, -2.08 + t + lean])
        norms = np.array([1.0, 1.05 + t, 1.05 + t, 0.9 - t, 0.9 - t])
        return norms * np.array([np.cos(angles), np.sin(angles)])

    names = {name_of(disguised(mirrored(t), k)).name for k, t in enumerate(np.linspace(0, 0.3, 40))}
    assert len(names) == 1 and names.pop().startswith("irregular 5 in 2 [")
    assert name_of(mirrored(0.1)).blocks[0].symmetry_order == 2
    assert name_of(mirrored(0.1)).name != name_of(mirrored(0.1, lean=1e-3)).name


def test_represented_means_a_norm_above_1e_6():
    W = stacked(DIGON, ONE)
    assert name_of(W * [1, 1, 2e-6]).name == "digon + 1 dedicated"
    assert name_of(W * [1, 1, 0.5e-6]).name == "digon + 1 ignored"
    assert name_of(W * [1, 1, 0.1], norm_tolerance=0.2).name == "digon + 1 ignored"


def test_rattlers_are_named_for_equal_norms_only():
    assert name_of(stacked(PENTAGON, DIGON)).rattlers == (5, 6)
    assert name_of(stacked(PENTAGON, 0.9 * DIGON)).rattlers == ()


def test_distance_of_a_bent_pentagon_by_hand():
    # one vector of a pentagon with a shadow made longer by e: to first order it moves by e, the
    # best scale takes back e / 5 and nothing turns
    e = 1e-4
    W = PENTAGON * [1 + e, 1, 1, 1, 1]
    W = np.c_[W, 1e-6 * W[:, 0]]
    got = name_of(W, norm_tolerance=0.0)
    assert got.name == "pentagon + 1 shadow"
    # the unit of distance is the root mean square norm, and the shadow counts as a sixth vector
    assert got.blocks[0].distance == pytest.approx(0.8 * e * math.sqrt(6 / 5), rel=1e-2)


def test_listed_shapes_are_unit_spanning_and_connected():
    for n, d in [*named.FIXED, (5, 4), (6, 5), (16, 5), (32, 6), (64, 7), (12, 5), (40, 5), (7, 2)]:
        for shape in shapes(n, d):
            assert shape.vectors.shape == (d, n), shape.name
            np.testing.assert_allclose(np.linalg.norm(shape.vectors, axis=0), 1.0, rtol=1e-14)
            A = Arrangement.from_weights(shape.vectors)
            assert A.rank() == d and len(A.blocks()) == 1 and A.tight(1e-12), shape.name


def test_a_large_arrangement_is_answered_without_a_search():
    W = np.random.default_rng(0).normal(size=(5, 600))
    got = name_of(W)
    assert got.name.startswith("irregular 600 in 5") and got.blocks[0].symmetry_order is None


@pytest.mark.parametrize(
    ("W", "options"),
    [
        (np.ones((2, 2)), {"b": np.zeros(3)}),
        (np.ones((2, 2)), {"tolerance": 0.0}),
        (np.ones((2, 2)), {"tolerance": math.nan}),
        (np.ones((2, 2)), {"norm_tolerance": -1.0}),
        (np.full((2, 2), math.nan), {}),
    ],
)
def test_bad_input_is_one_sentence(W, options):
    with pytest.raises(BadInput) as error:
        name_of(W, **options)
    assert "give" in str(error.value) and "\n" not in str(error.value)
