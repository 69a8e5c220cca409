"""packing.arrangement against hand calculations, at every scale, and with negative controls."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packing.arrangement import Arrangement
from packing.catalogue import entry
from packing.catalogue.exact import polygon, simplex
from packing.errors import BadInput

DIGON = np.array([[1.0, -1.0]])


def stacked(*blocks: np.ndarray) -> np.ndarray:
    """Blocks in orthogonal subspaces."""
    d = sum(x.shape[0] for x in blocks)
    W = np.zeros((d, sum(x.shape[1] for x in blocks)))
    row = col = 0
    for x in blocks:
        W[row : row + x.shape[0], col : col + x.shape[1]] = x
        row, col = row + x.shape[0], col + x.shape[1]
    return W


def test_pentagon_by_hand():
    A = Arrangement.from_weights(1.5 * polygon(5))
    assert (A.n, A.d, A.rank()) == (5, 2, 2)
    np.testing.assert_allclose(A.norms, 1.5, rtol=1e-15)
    np.testing.assert_allclose(A.dimensionality, 2.0 / 5.0, rtol=1e-14)  # tight: D_i = d / n
    assert A.D_star == pytest.approx(2.0 / (5 * 1.5**2), rel=1e-14)
    assert A.max_cosine == pytest.approx(math.cos(2 * math.pi / 5), rel=1e-14)
    assert A.coherence == pytest.approx(-math.cos(4 * math.pi / 5), rel=1e-14)
    assert A.min_angle == pytest.approx(2 * math.pi / 5, rel=1e-14)
    assert A.frame_bounds() == pytest.approx((2.5 * 2.25, 2.5 * 2.25), rel=1e-14)
    assert A.tight()
    assert A.blocks() == ((0, 1, 2, 3, 4),)
    assert A.rattlers() == A.ignored() == A.duplicated() == ()


def test_a_pentagon_with_one_long_vector_is_not_tight():
    W = polygon(5)
    W[:, 0] *= 1.001
    assert not Arrangement.from_weights(W).tight()


def test_blocks_ignored_and_duplicated():
    W = np.concatenate([stacked(polygon(3), DIGON), np.zeros((3, 1))], axis=1)
    W = np.concatenate([W, 0.2 * W[:, :1]], axis=1)
    A = Arrangement.from_weights(W)
    assert A.blocks() == ((0, 1, 2, 6), (3, 4))
    assert A.ignored() == (5,)
    assert A.represented() == (0, 1, 2, 3, 4, 6)
    assert A.duplicated() == ((0, 6),)


def test_a_vector_leaning_by_1e_5_joins_its_neighbour():
    W = np.eye(2)
    W[0, 1] = 1e-5
    assert Arrangement.from_weights(W).blocks() == ((0, 1),)
    assert Arrangement.from_weights(W).blocks(tolerance=1e-4) == ((0,), (1,))


def test_noise_of_1e_9_joins_nothing_even_at_weak_vectors():
    rng = np.random.default_rng(3)
    W = stacked(DIGON, np.array([[1.0]])) * [1.0, 1e-4, 1e-3]
    A = Arrangement.from_weights(W + 1e-9 * rng.normal(size=W.shape))
    assert A.blocks() == ((0, 1), (2,))


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1.0, 1e150, 1e300])
def test_geometry_does_not_depend_on_scale(scale):
    rng = np.random.default_rng(0)
    W = rng.normal(size=(3, 6))
    one, other = Arrangement.from_weights(W), Arrangement.from_weights(W * scale)
    np.testing.assert_allclose(other.cosines, one.cosines, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(other.dimensionality, one.dimensionality, rtol=1e-12)
    assert other.min_angle == pytest.approx(one.min_angle, rel=1e-13)
    assert other.rank() == 3
    assert other.blocks(norm_tolerance=0.0) == one.blocks()


def test_columns_of_very_different_scales():
    W = np.array([[1e200, 1.0, 0.0], [0.0, 1.0, 1e-200]])
    A = Arrangement.from_weights(W)
    np.testing.assert_allclose(A.cosines[0, 1], math.sqrt(0.5), rtol=1e-15)
    np.testing.assert_allclose(A.dimensionality, [1.0, 0.0, 0.0], atol=1e-15)


@given(st.integers(1, 8), st.integers(1, 5), st.integers(0, 2**32 - 1), st.floats(-3, 3, width=32))
def test_dimensionality_is_elhages_and_sums_to_at_most_d(n, d, seed, power):
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(d, n)) * 10.0 ** (power * rng.random(n))
    D = Arrangement.from_weights(W).dimensionality
    for i in range(n):
        unit = W[:, i] / np.linalg.norm(W[:, i])
        direct = np.linalg.norm(W[:, i]) ** 2 / sum((unit @ W[:, j]) ** 2 for j in range(n))
        assert D[i] == pytest.approx(direct, rel=1e-9)
    assert D.sum() <= d * (1 + 1e-12)


def test_zero_columns_and_the_zero_matrix():
    A = Arrangement.from_weights(np.zeros((2, 3)))
    assert A.rank() == 0 and A.blocks() == () and A.ignored() == (0, 1, 2)
    assert A.D_star == math.inf and math.isnan(A.coherence) and math.isnan(A.min_angle)
    assert not A.tight() and A.frame_bounds() == (0.0, 0.0)
    np.testing.assert_array_equal(A.dimensionality, 0.0)
    np.testing.assert_array_equal(A.cosines, 0.0)


def test_small_angles_keep_their_digits():
    W = np.array([[1.0, math.cos(1e-9)], [0.0, math.sin(1e-9)]])
    assert Arrangement.from_weights(W).min_angle == pytest.approx(1e-9, rel=1e-6)


def test_rattlers_touch_nothing():
    # the poles of a pentagonal bipyramid are 90 degrees from the ring, whose steps are 72
    assert Arrangement.from_weights(stacked(polygon(5), DIGON)).rattlers() == (5, 6)
    assert Arrangement.from_weights(simplex(4)).rattlers() == ()


def test_spectrum_by_hand():
    A = Arrangement.from_weights(2.0 * polygon(5))
    (row,) = set(A.spectrum())
    near, far = math.cos(2 * math.pi / 5), math.cos(4 * math.pi / 5)
    assert [count for _, count in row] == [2, 2]
    assert [value for value, _ in row] == pytest.approx([near, far], abs=1e-15)
    mixed = Arrangement.from_weights(
        np.concatenate([stacked(polygon(3), DIGON), np.zeros((3, 1))], 1)
    )
    rows = mixed.spectrum()
    assert [[count for _, count in row] for row in rows] == [[2, 2]] * 3 + [[3, 1]] * 2 + [[]]
    assert Arrangement.from_weights([[1.0], [2.0]]).spectrum() == ((),)


@given(st.integers(2, 9), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_a_spectrum_counts_every_other_vector_once(n, d, seed):
    W = np.random.default_rng(seed).integers(-2, 3, size=(d, n))
    A = Arrangement.from_weights(W)
    live = [i for i in range(n) if np.any(W[:, i])]
    for i, row in enumerate(A.spectrum()):
        assert sum(count for _, count in row) == (len(live) - 1 if i in live else 0)
        values = sorted((v for v, count in row for _ in range(count)), reverse=True)
        direct = sorted((A.cosines[i, j] for j in live if j != i and i in live), reverse=True)
        np.testing.assert_allclose(values, direct, atol=1e-5)


def test_contacts_by_hand():
    A = Arrangement.from_weights(stacked(polygon(5), DIGON))
    assert sorted(map(tuple, A.contacts())) == [(0, 1), (0, 4), (1, 2), (2, 3), (3, 4)]
    lines = Arrangement.from_weights(np.array([[1.0, 0.0, 0.6, -0.6], [0.0, 1.0, 0.8, 0.8]]))
    assert lines.contacts().tolist() == [[1, 2], [1, 3]]
    assert lines.contacts(lines=True).tolist() == [[1, 2], [1, 3]]
    assert Arrangement.from_weights(-lines.W * [1, 1, 1, -1]).contacts(lines=True).tolist() == [
        [1, 2],
        [1, 3],
    ]
    assert Arrangement.from_weights([[0.0, 1.0]]).contacts().shape == (0, 2)


def test_movable_vectors_are_the_ones_with_room():
    A = Arrangement.from_weights(stacked(polygon(5), DIGON))
    assert A.movable() == A.rattlers() == (5, 6)
    assert Arrangement.from_weights(simplex(4)).movable() == ()
    assert Arrangement.from_weights(entry("icosahedron").vectors).movable() == ()
    # every vertex of an icosahedron less one still has neighbours all around or nearly so
    assert Arrangement.from_weights(entry("icosahedron").vectors[:, 1:]).movable() == ()


def test_a_vector_with_contacts_can_rattle():
    """A hexagon in R^3 and a vector above it that leans on one corner: it has one contact."""
    hexagon = np.vstack([polygon(6), np.zeros(6)])
    lean = np.array([[0.5], [0.0], [math.sqrt(0.75)]])
    A = Arrangement.from_weights(np.hstack([hexagon, lean]))
    assert A.rattlers() == () and A.movable() == (6,)


def test_pruning_goes_on_until_nobody_leaves():
    """A hexagon less a corner unravels from both ends, though its middle is held at first."""
    assert Arrangement.from_weights(polygon(6)).movable() == ()
    A = Arrangement.from_weights(polygon(6)[:, 1:])
    assert A.rattlers() == () and A.movable() == (0, 1, 2, 3, 4)


def test_random_vectors_hold_nothing():
    W = np.random.default_rng(0).normal(size=(3, 12))
    assert Arrangement.from_weights(W).movable() == tuple(range(12))
    assert Arrangement.from_weights(W).movable(lines=True) == tuple(range(12))


def test_orthogonal_lines_cannot_move():
    assert Arrangement.from_weights(np.eye(4)).movable(lines=True) == ()


@pytest.mark.parametrize("noise", [1e-6, 1e-4, 1e-3, 1e-2])
def test_blocks_survive_the_noise_that_is_stated(noise):
    rng = np.random.default_rng(4)
    W = stacked(polygon(5), simplex(3), DIGON, np.array([[1.0]])) * rng.uniform(0.3, 3.0, size=12)
    blocks = Arrangement.from_weights(W).blocks()
    assert len(blocks) == 4
    for _ in range(20):
        noisy = Arrangement.from_weights(W + noise * rng.normal(size=W.shape))
        assert noisy.blocks(noise=noise) == blocks
        assert noisy.blocks() != blocks  # negative control: without the statement they merge


def test_noise_that_drowns_a_contact_splits_it():
    W = np.array([[1.0, 0.01], [0.0, 1.0]])
    A = Arrangement.from_weights(W)
    assert A.blocks() == A.blocks(noise=1e-3) == ((0, 1),)
    assert A.blocks(noise=1e-2) == ((0,), (1,))
    for bad in (-1.0, math.nan, math.inf):
        with pytest.raises(BadInput, match="noise"):
            A.blocks(noise=bad)


@pytest.mark.parametrize("shape", [(2, 5), (5, 2), (3, 3)])
def test_an_arrangement_survives_a_file(tmp_path, shape):
    W = np.random.default_rng(0).normal(size=shape)
    path = tmp_path / "arrangement.npz"
    Arrangement.from_weights(W).save(path)
    np.testing.assert_array_equal(Arrangement.load(path).W, W)
    np.testing.assert_array_equal(Arrangement.load(path, "n,d").W, W.T)
    if shape[0] < shape[1]:
        np.testing.assert_array_equal(Arrangement.load(path, None).W, W)
    with pytest.raises(BadInput):
        Arrangement.load(tmp_path / "missing.npz")


def test_an_arrangement_owns_its_numbers():
    W = polygon(5)
    A = Arrangement.from_weights(W)
    W[:] = 0.0
    assert A.norms.min() > 0.9
    with pytest.raises(ValueError, match="read-only"):
        A.W[0, 0] = 1.0


@pytest.mark.parametrize(
    "W",
    [np.ones(3), np.ones((2, 0)), np.ones((0, 2)), [[1.0, math.nan]], [[math.inf]], "W", [[1], 2]],
)
def test_bad_input_is_one_sentence(W):
    with pytest.raises(BadInput) as error:
        Arrangement.from_weights(W)
    assert "give" in str(error.value) and "\n" not in str(error.value)


def test_an_arrangement_is_a_result() -> None:
    made = Arrangement.from_weights([[1.0, -1.0, 0.0], [0.0, 0.0, 2.0]])
    values = made.to_dict()
    assert values["W"] == made.W.tolist() and values["max_cosine"] == 0.0
    assert values["norms"] == [1.0, 1.0, 2.0] and values["coherence"] == 1.0
    assert "3 in R^2" in repr(made) and "<table>" in made._repr_html_()
    axes = made.plot()
    assert axes.images[0].get_array().shape == (3, 3)
