"""Strongly regular graphs and their codes: identities in whole numbers, and constructions meeting.

Integer products here are taken in int64; the package itself uses floating point, so the check and
what it checks share no arithmetic.
"""

from __future__ import annotations

import csv
import itertools
import math
from fractions import Fraction
from pathlib import Path

import igraph
import numpy as np
import pytest

from packing.algebra.finite_fields import field, prime_power
from packing.catalogue import entry
from packing.catalogue import graphs as regular
from packing.catalogue import lattices as golay
from packing.catalogue.entry_types import Entry, ExactGram
from packing.catalogue.graphs import (
    ABSENT,
    FAMILIES,
    Parameters,
    adjacency,
    by_name,
    listing,
    named,
    single,
    srg,
)
from packing.errors import BadInput

NAMED = {
    "C5": (5, 2, 0, 1),
    "Petersen": (10, 3, 0, 1),
    "Clebsch": (16, 5, 0, 2),
    "Hoffman-Singleton": (50, 7, 0, 1),
    "Gewirtz": (56, 10, 0, 2),
    "M22": (77, 16, 0, 4),
    "Higman-Sims": (100, 22, 0, 6),
    "McLaughlin": (275, 112, 30, 56),
    "U4(3)": (162, 56, 10, 24),
    "Schlaefli": (27, 16, 10, 8),
    "Schlaefli complement": (27, 10, 1, 5),
    "GQ(2,4)": (27, 10, 1, 5),
    "GQ(3,9)": (112, 30, 2, 10),
    "GQ(4,16)": (325, 68, 3, 17),
    "GQ(5,25)": (756, 130, 4, 26),
    "Brouwer-Haemers": (81, 20, 1, 6),
    "Goethals-Seidel": (105, 32, 4, 12),
    "M22 on 176": (176, 70, 18, 34),
    "M23": (253, 112, 36, 60),
    "Paley(9)": (9, 4, 1, 2),
    "Paley(25)": (25, 12, 5, 6),
    "T(7)": (21, 10, 5, 4),
    "L(6) complement": (36, 25, 16, 20),
}
"""Parameters as Brouwer and Van Maldeghem (2022) give them."""

LISTED = listing()


def graph_of(A: np.ndarray) -> igraph.Graph:
    return igraph.Graph.Adjacency(A.tolist(), mode="undirected")


def graph_matrix(graph: igraph.Graph) -> np.ndarray:
    return np.array(graph.get_adjacency().data, dtype=np.int64)


def canonical(A: np.ndarray) -> list[tuple[int, int]]:
    """Edges after BLISS has relabelled the vertices: equal exactly for isomorphic graphs."""
    graph = graph_of(A)
    return sorted(
        (min(e), max(e))
        for e in graph.permute_vertices(graph.canonical_permutation()).get_edgelist()
    )


def nearest(gram: ExactGram) -> np.ndarray:
    """Pairs at the smallest angle."""
    return (gram.colours == 1).astype(np.int64)


# Graphs.


@pytest.mark.parametrize("name", NAMED)
def test_graph_satisfies_its_identity_in_whole_numbers(name: str) -> None:
    v, k, l, m = NAMED[name]
    A = adjacency(name)
    assert A.shape == (v, v) and A.dtype == np.int64 and not A.flags.writeable
    unit = np.eye(v, dtype=np.int64)
    np.testing.assert_array_equal(A @ A, k * unit + l * A + m * (1 - unit - A))


@pytest.mark.parametrize("name", ["Petersen", "Clebsch", "Higman-Sims", "GQ(3,9)", "Paley(25)"])
def test_one_wrong_edge_is_noticed(name: str) -> None:
    graph = named(name)
    A = np.array(adjacency(name))
    assert regular.is_regular(A, graph)
    assert graph.conference or not regular.is_regular(A, graph.complement)
    A[0, 1] = A[1, 0] = 1 - A[0, 1]
    assert not regular.is_regular(A, graph)
    with pytest.raises(AssertionError, match="does not have its parameters"):
        regular.verified(A, graph)


def test_switching_two_edges_keeps_degrees_and_is_noticed() -> None:
    A = np.array(adjacency("Hoffman-Singleton"))
    edges = graph_of(A).get_edgelist()
    a, b = edges[0]
    c, d = next((c, d) for c, d in edges if not {c, d} & {a, b} and not A[a, c] and not A[b, d])
    for i, j, x in ((a, b, 0), (c, d, 0), (a, c, 1), (b, d, 1)):
        A[i, j] = A[j, i] = x
    assert (A.sum(axis=0) == 7).all()
    assert not regular.is_regular(A, Parameters(50, 7, 0, 1))


def test_graphs_built_two_ways_are_the_same() -> None:
    """Canonical forms: families against single graphs, and graphs inside larger graphs."""
    assert canonical(adjacency("Paley(9)")) == canonical(adjacency("L(3)"))
    assert canonical(regular.paley(5)) == canonical(graph_matrix(igraph.Graph.Ring(5)))
    petersen = graph_matrix(igraph.Graph.Famous("Petersen"))
    assert canonical(adjacency("Petersen")) == canonical(petersen)
    mclaughlin = adjacency("McLaughlin")
    near = regular.first_subconstituent(mclaughlin)
    assert canonical(near) == canonical(regular.quadric(3))
    far = regular.second_subconstituent(mclaughlin)
    assert canonical(regular.first_subconstituent(far)) == canonical(adjacency("Gewirtz"))
    # from a vertex that the construction does not single out
    order = np.roll(np.arange(100), -60)
    higman_sims = adjacency("Higman-Sims")[np.ix_(order, order)]
    assert canonical(regular.second_subconstituent(higman_sims)) == canonical(adjacency("M22"))
    around = regular.first_subconstituent(adjacency("Schlaefli"))
    assert canonical(regular.complement(around)) == canonical(adjacency("Clebsch"))


def test_canonical_forms_tell_graphs_apart() -> None:
    """Two graphs with one set of parameters: the lattice graph L(4) and Shrikhande's."""
    X = np.array(list(itertools.product(range(4), repeat=2)))
    steps = {(0, 1), (0, 3), (1, 0), (3, 0), (1, 1), (3, 3)}
    shrikhande = np.array([[int(tuple((x - y) % 4) in steps) for y in X] for x in X])
    assert regular.is_regular(shrikhande, named("L(4)"))
    assert canonical(shrikhande) != canonical(adjacency("L(4)"))


def test_quadric_is_a_generalized_quadrangle() -> None:
    """A point off a line is collinear with exactly one point on it."""
    A = adjacency("GQ(3,9)")
    i, j = 0, int(np.flatnonzero(A[0])[0])
    line = [i, j, *np.flatnonzero(A[i] & A[j])]
    assert len(line) == 4 and A[np.ix_(line, line)].sum() == 12
    off = np.setdiff1d(np.arange(112), line)
    assert (A[np.ix_(off, line)].sum(axis=1) == 1).all()


@pytest.mark.parametrize("one", [e for e in LISTED if e.n <= 325], ids=lambda e: e.name)
def test_automorphisms_are_as_many_as_the_literature_says(one: Entry) -> None:
    """BLISS counts; the entry states an order from a book or a formula."""
    assert graph_of(nearest(one.gram)).count_automorphisms() == one.symmetry_order


def test_a_switched_edge_has_fewer_automorphisms() -> None:
    A = np.array(adjacency("Gewirtz"))
    A[0, 1] = A[1, 0] = 1 - A[0, 1]
    assert graph_of(A).count_automorphisms() < 80640


# Parameters.


def test_feasible_parameters_up_to_fifty_vertices() -> None:
    """All that pass, against Brouwer's table (k < v / 2), without those known not to exist."""
    found = []
    for v in range(5, 51):
        for k, l in itertools.product(range(2, (v + 1) // 2), range(v)):
            m, rest = divmod(k * (k - l - 1), v - k - 1)
            if l < k and not rest:
                try:
                    found.append(Parameters(v, k, l, m).key)
                except BadInput:
                    continue
    table = """5,2,0,1 9,4,1,2 10,3,0,1 13,6,2,3 15,6,1,3 16,5,0,2 16,6,2,2 17,8,3,4 21,10,3,6
        21,10,5,4 25,8,3,2 25,12,5,6 26,10,3,4 27,10,1,5 28,12,6,4 29,14,6,7 35,16,6,8 36,10,4,2
        36,14,4,6 36,14,7,4 36,15,6,6 37,18,8,9 40,12,2,4 41,20,9,10 45,12,3,3 45,16,8,4
        45,22,10,11 49,12,5,2 49,18,7,6 49,24,11,12 50,7,0,1 50,21,8,9"""
    assert found == [tuple(int(x) for x in item.split(",")) for item in table.split()]


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ((10, 3, 0, 2), r"k \(k - l - 1\)"),
        ((21, 10, 4, 5), "two squares"),
        ((28, 9, 0, 4), "absolute bound|Krein"),
        ((64, 21, 0, 10), "absolute bound|Krein"),
        ((19, 6, 1, 2), "multiplicities"),
        ((4, 2, 0, 2), "complete graphs"),
        ((6, 2, 1, 0), "complete graphs"),
        ((10, 9, 8, 0), "0 < k < v - 1"),
        ((0, 0, 0, 0), "0 < k < v - 1"),
        ((-5, 2, 0, 1), "whole numbers"),
        ((5, 2, 0, 1.0), "whole numbers"),
        ((95, 40, 12, 20), "Azarija and Marc"),
        ((95, 54, 33, 27), "Azarija and Marc"),
        ((10**10, 3, 0, 1), "give v <="),
    ],
)
def test_infeasible_parameters_are_refused_with_the_reason(key: tuple, reason: str) -> None:
    with pytest.raises(BadInput, match=reason) as caught:
        srg(*key)
    assert len(str(caught.value).splitlines()) == 1


def test_krein_condition_refuses_what_the_other_tests_let_pass() -> None:
    with pytest.raises(BadInput, match="Krein"):
        Parameters(154, 51, 8, 21)
    with pytest.raises(BadInput, match="Krein"):
        Parameters(154, 102, 71, 60)  # its complement


def test_absent_graphs_pass_every_other_test(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = list(ABSENT)
    monkeypatch.setattr("packing.catalogue.graphs.ABSENT", {})
    for key in keys:
        assert Parameters(*key).key == key


@pytest.mark.parametrize("name", [n for n in NAMED if NAMED[n][0] <= 275])
def test_eigenvalues_against_a_numerical_spectrum(name: str) -> None:
    graph = named(name)
    values = np.linalg.eigvalsh(adjacency(name).astype(float))
    expected = [float(graph.s)] * graph.g + [float(graph.r)] * graph.f + [graph.k]
    np.testing.assert_allclose(values, expected, atol=1e-10 * graph.v)
    assert graph.complement.complement == graph
    assert (graph.complement.f, graph.complement.g) == (graph.g, graph.f)
    for space in ("r", "s"):
        near, far = graph.cosines(space)
        total = near * graph.k + far * (graph.v - graph.k - 1) + 1
        assert total == total.field(0)  # exact: projections sum to zero


# Codes.


@pytest.mark.parametrize("one", LISTED, ids=lambda e: e.name)
def test_rows_and_tight_frame(one: Entry) -> None:
    """The stated row is that of the Gram matrix, which is v/g times a projection of rank g."""
    gram = one.gram
    assert gram.rows == one.rows
    texts = [c.text for c in gram.cosines]
    if any("sqrt" in text for text in texts):
        G = gram.floats
        np.testing.assert_allclose(G @ G, one.n / one.d * G, atol=1e-12)
        return
    exact = [Fraction(text) for text in texts]
    common = math.lcm(*(x.denominator for x in exact))
    G = np.array([int(x * common) for x in exact], dtype=np.int64)[gram.colours]
    np.testing.assert_array_equal(one.d * (G @ G), one.n * common * G)


def test_vectors_of_a_large_one() -> None:
    one = by_name("GQ(4,16) code")
    assert one is not None
    V = one.vectors
    assert V.shape == (52, 325)
    np.testing.assert_allclose(V.T @ V, one.gram.floats, atol=1e-13)
    assert one.arrangement.tight()


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ((5, 2, 0, 1), "pentagon"),
        ((10, 3, 0, 1), "Petersen code"),
        ((16, 5, 0, 2), "5-demicube"),
        ((27, 10, 1, 5), "Schlaefli code"),
        ((15, 6, 1, 3), "rectified 5-simplex"),
        ((21, 10, 3, 6), "rectified 6-simplex"),
    ],
)
def test_eigenspace_against_polytope(key: tuple[int, int, int, int], name: str) -> None:
    """A graph's eigenspace and coordinates of a polytope give one Gram matrix, up to labels."""
    from_graph, polytope = srg(*key), entry(name)
    assert from_graph.name == polytope.name == name
    assert (from_graph.n, from_graph.d) == (polytope.n, polytope.d)
    values = [[c.value for c in e.gram.cosines] for e in (from_graph, polytope)]
    np.testing.assert_allclose(*values, rtol=1e-15)
    assert canonical(nearest(from_graph.gram)) == canonical(nearest(polytope.gram))
    assert from_graph.symmetry_order == polytope.symmetry_order
    assert from_graph.proved("spherical code") == polytope.proved("spherical code")
    if name != "pentagon":  # its complement is a pentagon again
        other = (polytope.gram.colours == 2).astype(np.int64)
        assert canonical(nearest(from_graph.gram)) != canonical(other)


def test_names_are_found_once_and_do_not_repeat_polytopes() -> None:
    names = [e.name for e in LISTED]
    assert len(set(names)) == len(names)
    assert not set(names) & {"pentagon", "Petersen code", "5-demicube", "Schlaefli code"}
    for one in LISTED:
        found = by_name(one.aliases[0])
        assert found is not None and (found.name, found.d) == (one.name, one.d)


def test_unknown_graph_gives_rows_and_says_so() -> None:
    one = srg(99, 14, 1, 2)
    assert not one.built and one.d == 44 and "parameters only" in one.construction
    total = 1 + sum(Fraction(c.text) * m for c, m in one.rows[0][1])
    assert total == 0 and sum(m for _, m in one.rows[0][1]) == 98
    with pytest.raises(BadInput):
        _ = one.gram
    with pytest.raises(BadInput):
        _ = one.vectors
    with pytest.raises(BadInput, match="no construction is known"):
        adjacency(Parameters(99, 14, 1, 2))


@pytest.mark.parametrize(
    "name",
    ["", "nonsense", "T(4)", "L(2)", "Paley(7)", "Paley(21)", "GQ(3,8)", "GQ(6,36)", "GQ(3)"],
)
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match="no strongly regular graph is called"):
        adjacency(name)
    assert by_name(f"{name} code") is None


def test_a_graph_too_large_for_memory_is_refused_before_it_is_built() -> None:
    one = by_name("T(160) code")
    assert one is not None and one.built
    with pytest.raises(BadInput, match="GiB"):
        _ = one.gram
    with pytest.raises(BadInput, match="GiB"):
        adjacency("T(160)")
    assert not srg(*named("Paley(99989)").key).built


def test_listing_builds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("built too early")

    for name in ("hexads", "heptads", "octads", "codewords"):
        monkeypatch.setattr(golay, name, refuse)
    monkeypatch.setattr(regular, "quadric", refuse)
    monkeypatch.setattr(regular, "triangular", refuse)
    assert len(listing()) == len(LISTED)


def test_every_graph_and_family_member_is_listed_or_known_elsewhere() -> None:
    graphs = [*single(), *(make(i) for make, members in FAMILIES.values() for i in members)]
    for graph in graphs:
        assert by_name(str(graph.parameters)) is not None
        if not graph.listed:
            assert entry(graph.code).n == graph.parameters.v


def test_claims_against_the_reference_table() -> None:
    path = Path(__file__).parent / "data" / "reference" / "exact_codes.csv"
    lines = [x for x in path.read_text(encoding="utf-8").splitlines() if not x.startswith("#")]
    checked = 0
    for row in csv.DictReader(lines):
        for one in LISTED:
            if (row["d"], row["n"]) == (str(one.d), str(one.n)) and one.claims:
                assert row["max_cosine_exact"] == one.max_cosine.text
                assert one.proved("spherical code") and row["optimality"].startswith("proved")
                checked += 1
    assert checked == 7


# Fields, the ground under all this.


@pytest.mark.parametrize("q", [2, 3, 4, 5, 7, 8, 9, 16, 25, 27])
def test_field_axioms(q: int) -> None:
    F = field(q)
    x = np.arange(q)
    np.testing.assert_array_equal(F.plus[0], x)
    np.testing.assert_array_equal(F.times[1], x)
    np.testing.assert_array_equal(np.sort(F.plus, axis=1), np.tile(x, (q, 1)))
    np.testing.assert_array_equal(np.sort(F.times[1:], axis=1), np.tile(x, (q - 1, 1)))
    a, b, c = np.meshgrid(x, x, x, indexing="ij")
    t, p = F.times, F.plus
    np.testing.assert_array_equal(t[a, p[b, c]], p[t[a, b], t[a, c]])
    np.testing.assert_array_equal(t[a, t[b, c]], t[t[a, b], c])
    np.testing.assert_array_equal(F.power(x, q), x)
    assert F.points(3).shape == (q * q + q + 1, 3)


def test_fields_need_prime_powers() -> None:
    assert [q for q in range(2, 30) if prime_power(q) is None] == [
        *(6, 10, 12, 14, 15, 18, 20, 21, 22, 24, 26, 28)
    ]
    with pytest.raises(BadInput, match="power of a prime"):
        field(6)
