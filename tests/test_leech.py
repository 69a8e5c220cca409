"""The Golay code, the Leech lattice's minimal vectors, and every code that descends from them."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import igraph
import numpy as np
import pytest

from packing.catalogue import lattices as bases
from packing.catalogue import lattices as golay
from packing.catalogue import lattices as leech
from packing.catalogue.entry_types import ExactGram
from packing.catalogue.equiangular_lines import doubled
from packing.catalogue.exact import design_row
from packing.catalogue.graphs import by_name
from packing.catalogue.lattices import DESCENTS, minimal_vectors, products
from packing.errors import BadInput

LEECH, C4600, C891, KERDOCK = leech.leech_codes()


def canonical(gram: ExactGram) -> list[tuple[int, int]]:
    """Pairs at the smallest angle after BLISS has relabelled the vectors."""
    graph = igraph.Graph.Adjacency((gram.colours == 1).tolist(), mode="undirected")
    return sorted(
        (min(e), max(e))
        for e in graph.permute_vertices(graph.canonical_permutation()).get_edgelist()
    )


# The Golay code.


def test_golay_code_is_linear_with_the_known_weights() -> None:
    words = golay.codewords()
    weights = np.bincount(words.sum(axis=1), minlength=25)
    assert dict(
        zip(np.flatnonzero(weights).tolist(), weights[weights > 0].tolist(), strict=True)
    ) == {
        **{0: 1, 8: 759, 12: 2576},
        **{16: 759, 24: 1},
    }
    known = {row.tobytes() for row in words}
    assert len(known) == 4096
    rng = np.random.default_rng(1)
    for i, j in rng.integers(0, 4096, size=(200, 2)):
        assert (words[i] ^ words[j]).tobytes() in known
    float_words = words.astype(float)
    assert not (float_words @ float_words.T % 2).any()  # self-dual


@pytest.mark.parametrize(
    ("blocks", "points", "strength"),
    [(golay.octads(), 24, 5), (golay.heptads(), 23, 4), (golay.hexads(), 22, 3)],
    ids=["S(5,8,24)", "S(4,7,23)", "S(3,6,22)"],
)
def test_steiner_systems(blocks: np.ndarray, points: int, strength: int) -> None:
    """Every set of `strength` points lies in exactly one block."""
    covered = [
        part
        for block in blocks
        for part in itertools.combinations(np.flatnonzero(block).tolist(), strength)
    ]
    assert len(covered) == len(set(covered)) == math.comb(points, strength)
    moved = np.array(blocks)
    moved[0] = np.roll(moved[0], 1)  # negative control: no Steiner system any more
    spoilt = {
        part
        for block in moved
        for part in itertools.combinations(np.flatnonzero(block).tolist(), strength)
    }
    assert len(spoilt) < math.comb(points, strength)


# The lattice.


def test_minimal_vectors_are_as_many_as_the_theta_series_says() -> None:
    """The coefficient of q^2 in E4^3 - 720 Delta, the only form of weight 12 without q^1."""
    X = minimal_vectors()
    sigma = [0, 1, 9]  # sums of cubes of divisors
    e4 = [1, 240 * sigma[1], 240 * sigma[2]]
    square = [sum(e4[i] * e4[k - i] for i in range(k + 1)) for k in range(3)]
    cube = [sum(square[i] * e4[k - i] for i in range(k + 1)) for k in range(3)]
    theta = cube[2] - 720 * (-24)  # Delta = q - 24 q^2 + ...
    assert cube[1] == 720 and X.shape == (theta, 24) == (LEECH.n, 24)
    assert X.dtype == np.int8 and X.nbytes < 5 * 2**20 and not X.flags.writeable
    assert ((X.astype(int) ** 2).sum(axis=1) == 32).all()
    assert len(np.unique(X, axis=0)) == len(X)


def test_rows_of_the_lattice() -> None:
    """Rows from one vector of every shape are the row that the design equations give."""
    X = minimal_vectors()
    stated = {Fraction(c.text): m for c, m in LEECH.rows[0][1]}
    for i in (0, 60000, 97152, 98255, 98256, 196559):
        inner, counts = np.unique(products(X[i].tolist()), return_counts=True)
        row = dict(zip(inner.tolist(), counts.tolist(), strict=True))
        assert row.pop(32) == 1
        assert {Fraction(x, 32): m for x, m in row.items()} == stated


def test_an_odd_number_of_minus_signs_is_no_lattice_vector() -> None:
    x = minimal_vectors()[0].astype(int)
    assert not (products(x.tolist()) % 8).any()
    x[np.flatnonzero(x)[0]] *= -1
    assert (products(x.tolist()) % 8).any()


def test_gram_matrix_of_the_lattice_is_refused_before_allocating() -> None:
    with pytest.raises(BadInput, match=r"28[78] GiB"):
        _ = LEECH.gram
    with pytest.raises(BadInput, match=r"28[78] GiB"):
        leech.Descent(
            "all", 24, (), (), tuple(Fraction(c.text) for c, _ in LEECH.rows[0][1])
        ).gram()


def test_vectors_of_the_lattice() -> None:
    V = LEECH.vectors
    assert V.shape == (24, 196560) and V.nbytes == 8 * 24 * 196560
    np.testing.assert_allclose(V @ V.T, 196560 / 24 * np.eye(24), atol=1e-8)
    np.testing.assert_allclose((V[:, :500] ** 2).sum(axis=0), 1.0, rtol=1e-15)
    assert LEECH.proved("kissing") and LEECH.proved("spherical code")


# What descends.


@pytest.mark.parametrize("name", DESCENTS)
def test_descents_are_lattice_codes_of_the_stated_size(name: str) -> None:
    code = DESCENTS[name]
    members = code.members
    assert len(members) == code.n
    for x in code.fixed:  # fixed vectors are in the lattice: it is its own dual
        assert not (products(x) % 8).any()
    stated = design_row(code.d, code.cosines)
    for i in (0, code.n // 2):  # rows in whole numbers, without a Gram matrix
        inner, counts = np.unique(members @ members[i], return_counts=True)
        cosines = [(int(x) - code.foot) / (32 - code.foot) for x in inner]
        row = dict(zip(cosines, counts.tolist(), strict=True))
        assert row.pop(Fraction(1)) == 1
        assert row == dict(stated)


@pytest.mark.parametrize("name", [n for n in DESCENTS if DESCENTS[n].n < 1000])
def test_descents_have_one_row_and_span_their_space(name: str) -> None:
    code = DESCENTS[name]
    gram, V = code.gram(), code.coordinates()
    assert len(gram.rows) == 1
    assert V.shape == (code.d, code.n)
    np.testing.assert_allclose(V.T @ V, gram.floats, atol=1e-14)
    np.testing.assert_allclose(V @ V.T, code.n / code.d * np.eye(code.d), atol=1e-11)


@pytest.mark.parametrize(
    "name", ["McLaughlin code", "Higman-Sims code", "U4(3) code", "GQ(3,9) code"]
)
def test_descents_against_graphs(name: str) -> None:
    """The lattice and the Steiner systems (or the quadric) lead to one Gram matrix."""
    from_lattice, from_graph = DESCENTS[name].gram(), by_name(name).gram
    assert from_lattice.cosines == from_graph.cosines
    assert canonical(from_lattice) == canonical(from_graph)


def test_552_against_the_two_graph() -> None:
    from_lattice, lines = DESCENTS["doubled ETF(23,276)"].gram(), doubled(23, 276)
    assert from_lattice.rows == lines.rows
    assert canonical(from_lattice) == canonical(lines.gram)


def test_another_inner_product_gives_another_code() -> None:
    """Negative control: 100 vectors again, but not as many with the other product."""
    code = DESCENTS["Higman-Sims code"]
    wrong = leech.Descent("wrong", code.d, code.fixed, (24, 8), code.cosines)
    assert len(wrong.members) != 100


def test_the_code_of_891() -> None:
    """Distance-regular of degree 42; its group is U6(2) with all outer automorphisms."""
    gram = C891.gram
    assert gram.rows == C891.rows
    A = gram.colours == 3
    assert (A.sum(axis=0) == 42).all()
    graph = igraph.Graph.Adjacency(A.tolist(), mode="undirected")
    assert graph.count_automorphisms() == C891.symmetry_order
    assert graph.diameter() == 3


def test_the_code_of_4600() -> None:
    gram = C4600.gram
    assert gram.rows == C4600.rows
    # nearest neighbours of one vector, seen from it: the code of 891
    near = np.flatnonzero(gram.colours[0] == 1)
    inner = gram.colours[np.ix_(near, near)]
    assert near.size == C891.n
    counts = np.bincount(inner[0])
    exact = [Fraction(c.text) for c in gram.cosines]
    seen = {
        (x - Fraction(1, 9)) / Fraction(8, 9): int(m) for x, m in zip(exact, counts, strict=False)
    }
    assert {x: m for x, m in seen.items() if m and x != 1} == {
        Fraction(c.text): m for c, m in C891.rows[0][1]
    }


# The Nordstrom-Robinson code.


def test_nordstrom_robinson_code_has_distance_six() -> None:
    words = bases.nordstrom_robinson()
    distances = (words[:, None] != words).sum(axis=2)
    for row in distances:  # distance invariant, though not linear
        assert np.bincount(row, minlength=17)[[0, 6, 8, 10, 16]].tolist() == [1, 112, 30, 112, 1]
    known = {row.tobytes() for row in words}
    assert any((x ^ y).tobytes() not in known for x in words[::16] for y in words[:16])


def test_code_of_288() -> None:
    gram, V = KERDOCK.gram, KERDOCK.vectors
    assert gram.rows == KERDOCK.rows
    np.testing.assert_allclose(V.T @ V, gram.floats, atol=1e-15)
    np.testing.assert_allclose(V @ V.T, 18 * np.eye(16), atol=1e-13)
    graph = igraph.Graph.Adjacency((gram.colours == 1).tolist(), mode="undirected")
    assert graph.count_automorphisms() == KERDOCK.symmetry_order


def test_nine_bases_are_mutually_unbiased() -> None:
    """Lines at right angles fall into nine bases; lines of different bases meet at cosine 1/4."""
    colours = KERDOCK.gram.colours
    zero = [c.text for c in KERDOCK.gram.cosines].index("0")
    graph = igraph.Graph.Adjacency((colours == zero).tolist(), mode="undirected")
    assert sorted(graph.connected_components().sizes()) == [32] * 9
    assert KERDOCK.coherence.text == "1/4"  # 1/sqrt(d), the orthoplex bound for n > d(d+1)/2 lines


# Rows without vectors.


def test_design_equations_by_hand_and_their_failure() -> None:
    third = Fraction(1, 3)
    assert design_row(2, (Fraction(-1, 2),)) == ((Fraction(-1, 2), 2),)  # triangle
    assert design_row(3, (-third,)) == ((-third, 3),)  # tetrahedron
    cube = design_row(3, (third, -third, Fraction(-1)))
    assert [m for _, m in cube] == [3, 3, 1]
    with pytest.raises(ValueError, match="no design"):
        design_row(3, (Fraction(2, 5), Fraction(-2, 5), Fraction(-1)))


def test_listing_makes_no_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError("built too early")

    monkeypatch.setattr(leech, "minimal_vectors", refuse)
    monkeypatch.setattr(golay, "codewords", refuse)
    assert [e.n for e in leech.leech_codes()[:3]] == [LEECH.n, C4600.n, C891.n]
    assert [e.n for e in bases.basis_codes()] == [KERDOCK.n]
