"""Equiangular tight frames: signs in whole numbers, two constructions, and what cannot exist."""

from __future__ import annotations

import csv
import math
from fractions import Fraction
from pathlib import Path

import igraph
import numpy as np
import pytest

from packing.catalogue import entry
from packing.catalogue import equiangular_lines as twographs
from packing.catalogue.entry_types import ExactGram
from packing.catalogue.equiangular_lines import (
    LISTED,
    by_name,
    coherence,
    doubled,
    equiangular,
    listing,
    seidel,
)
from packing.catalogue.graphs import srg
from packing.errors import BadInput

BUILT = [
    *((2, 3), (3, 4), (6, 7), (3, 6), (5, 10), (6, 16), (7, 14), (7, 28), (9, 18), (10, 16)),
    *((13, 26), (15, 30), (15, 36), (21, 28), (21, 36), (21, 126), (22, 176), (23, 276)),
    *((28, 64), (36, 64), (35, 120), (51, 136)),
]


def canonical(gram: ExactGram) -> list[tuple[int, int]]:
    """Pairs at the smallest angle after BLISS has relabelled the vectors."""
    graph = igraph.Graph.Adjacency((gram.colours == 1).tolist(), mode="undirected")
    return sorted(
        (min(e), max(e))
        for e in graph.permute_vertices(graph.canonical_permutation()).get_edgelist()
    )


@pytest.mark.parametrize(("d", "n"), BUILT)
def test_signs_have_two_eigenvalues_of_the_right_multiplicity(d: int, n: int) -> None:
    S = seidel(d, n)
    assert S.shape == (n, n) and not S.flags.writeable
    square = S @ S  # int64, while the package multiplies in floating point
    a = int(square[0, 1] * S[0, 1])
    np.testing.assert_array_equal(square, (n - 1) * np.eye(n, dtype=np.int64) + a * S)
    # eigenvalues x, y = (a -+ root) / 2 with multiplicities n - d and d: the trace decides
    root = math.sqrt(a * a + 4 * (n - 1))
    assert (n - d) * (a - root) / 2 + d * (a + root) / 2 == pytest.approx(0.0, abs=1e-9)
    assert -2.0 / (a - root) == pytest.approx(float(coherence(d, n)), rel=1e-14)


@pytest.mark.parametrize(("d", "n"), BUILT)
def test_rows_frames_and_welch(d: int, n: int) -> None:
    one, both = equiangular(d, n), doubled(d, n)
    assert one.gram.rows == one.rows
    assert both.gram.rows == both.rows
    V = one.vectors
    assert V.shape == (d, n)
    np.testing.assert_allclose(V @ V.T, n / d * np.eye(d), atol=1e-10)
    off = np.abs(V.T @ V)[~np.eye(n, dtype=bool)]
    np.testing.assert_allclose(off, math.sqrt((n - d) / (d * (n - 1))), atol=1e-12)  # Welch
    assert one.proved("lines") and both.proved("lines")


@pytest.mark.parametrize(("d", "n"), BUILT)
def test_automorphisms_are_as_many_as_the_literature_says(d: int, n: int) -> None:
    for one in (equiangular(d, n), doubled(d, n)):
        # colour 1 is mu and colour 2 is -mu or, for a simplex, missing
        near = one.gram.colours == 1
        graph = igraph.Graph.Adjacency(near.tolist(), mode="undirected")
        assert graph.count_automorphisms() == one.symmetry_order


def test_a_changed_sign_is_noticed() -> None:
    S = np.array(seidel(7, 28))
    a = 6
    assert twographs.has_two_eigenvalues(S, a)
    assert not twographs.has_two_eigenvalues(S, -a)
    assert not twographs.has_two_eigenvalues(-S, a)
    S[3, 5] = S[5, 3] = -S[3, 5]
    assert not twographs.has_two_eigenvalues(S, a)


def test_switching_changes_nothing_but_signs() -> None:
    S = seidel(15, 36)
    signs = np.where(np.arange(36) % 3 == 0, -1, 1)
    switched = S * np.outer(signs, signs)
    assert twographs.has_two_eigenvalues(switched, 2)
    np.testing.assert_array_equal(twographs.isolated(switched), S)
    assert (S[0, 1:] == 1).all()


@pytest.mark.parametrize(
    ("d", "n", "name"),
    [
        (2, 3, "hexagon"),
        (3, 4, "cube"),
        (3, 6, "icosahedron"),
        (4, 5, "doubled 5-cell"),
        (5, 10, "birectified 5-simplex"),
        (6, 16, "6-demicube"),
        (7, 8, "doubled 7-simplex"),
        (7, 28, "E7 56-code"),
    ],
)
def test_doubles_against_polytopes(d: int, n: int, name: str) -> None:
    lines, polytope = doubled(d, n), entry(name)
    assert lines.name == polytope.name == name
    assert (lines.n, lines.d) == (polytope.n, polytope.d)
    assert lines.symmetry_order == polytope.symmetry_order
    assert [m for _, m in lines.rows[0][1]] == [m for _, m in polytope.rows[0][1]]
    np.testing.assert_allclose(
        [c.value for c in lines.gram.cosines], [c.value for c in polytope.gram.cosines], rtol=1e-15
    )
    assert canonical(lines.gram) == canonical(polytope.gram)


@pytest.mark.parametrize(
    ("d", "n", "graph"),
    [
        (5, 10, (10, 6, 3, 4)),
        (6, 16, (16, 9, 4, 6)),
        (10, 16, (16, 10, 6, 6)),
    ],
)
def test_two_graphs_against_graph_eigenspaces(
    d: int, n: int, graph: tuple[int, int, int, int]
) -> None:
    """A graph whose two cosines are opposite spans the same lines, with other signs."""
    G = srg(*graph).gram
    signs = np.array([1, 1, -1])[G.colours]
    both = np.block([[signs, -signs], [-signs, signs]])
    np.fill_diagonal(both, 0)
    S = doubled(d, n).gram
    assert [c.text for c in G.cosines] == [c.text for c in S.cosines[:3]]
    index = np.where(both == 1, 1, 2)
    unit = np.eye(n, dtype=np.int64)
    index[np.block([[unit, unit], [unit, unit]]) == 1] = 0
    assert canonical(ExactGram(index, S.cosines)) == canonical(S)


def test_two_constructions_of_28_lines() -> None:
    """Isotropic points of a Hermitian plane over GF(9), and a quadratic form over GF(2)."""
    S = twographs.unitary(3)
    S = next(X for X in (S, -S) if twographs.has_two_eigenvalues(X, 6))
    unit = np.eye(28, dtype=np.int64)
    index = np.block([[S % 3, -S % 3 + 3 * unit], [-S % 3 + 3 * unit, S % 3]])
    model = doubled(7, 28).gram
    assert canonical(ExactGram(index, model.cosines)) == canonical(model)


def test_naimark_complement_turns_the_signs() -> None:
    """What a frame leaves of R^n is, up to scale, the frame of its complement."""
    for d, n in ((6, 16), (7, 28), (15, 36)):
        A, B = equiangular(d, n).gram.floats, equiangular(n - d, n).gram.floats
        rest = (np.eye(n) - d / n * A) * n / (n - d)
        signs = np.sign(rest[0])  # signs of vectors are free
        np.testing.assert_allclose(signs[:, None] * rest * signs, B, atol=1e-14)


@pytest.mark.parametrize(
    ("d", "n", "reason"),
    [
        (20, 96, "Azarija and Marc 2020"),
        (76, 96, "Azarija and Marc 2020"),
        (19, 76, "Azarija and Marc 2018"),
        (3, 7, "Gerzon"),
        (4, 7, "Gerzon"),
        (4, 8, "conference"),
        (11, 22, "conference"),
        (17, 34, "conference"),
        (17, 51, "odd"),
        (8, 20, "odd"),
        (1, 2, "d >= 2"),
        (5, 5, r"d \+ 1 <= n"),
        (3, 6.0, "whole numbers"),
        (0, 4, "d >= 2"),
    ],
)
def test_lines_that_cannot_be_are_refused_with_the_reason(d: int, n: int, reason: str) -> None:
    for ask in (equiangular, doubled, seidel):
        with pytest.raises(BadInput, match=reason) as caught:
            ask(d, n)
        assert len(str(caught.value).splitlines()) == 1


def test_lines_without_a_construction_have_rows_alone() -> None:
    """A regular two-graph on 100 points is not among those built here."""
    one = equiangular(45, 100)
    assert not one.built and "parameters only" in one.construction
    assert "nor whether there are any" in one.construction
    (many, row), (single, first) = one.rows
    assert (many, single, sum(m for _, m in row), first[0][1]) == (99, 1, 99, 99)
    with pytest.raises(BadInput):
        _ = one.gram
    with pytest.raises(BadInput, match="no construction"):
        seidel(45, 100)
    assert not doubled(45, 100).built


def test_names() -> None:
    assert [e.name for e in listing()] == [f"doubled ETF({d},{n})" for d, n in LISTED]
    assert by_name("ETF(7, 28)").n == 28
    assert by_name("doubled ETF(7,28)").name == "E7 56-code"
    assert by_name("Clebsch code") is None
    with pytest.raises(BadInput):
        by_name("ETF(20,96)")


def test_coherence_against_the_reference_table() -> None:
    path = Path(__file__).parent / "data" / "reference" / "lines_real.csv"
    lines = [x for x in path.read_text(encoding="utf-8").splitlines() if not x.startswith("#")]
    table = {(int(r["d"]), int(r["n"])): float(r["coherence"]) for r in csv.DictReader(lines)}
    known = [key for key in BUILT if key in table]
    assert len(known) >= 4
    for key in known:
        assert float(coherence(*key)) == pytest.approx(table[key], abs=1e-9)


def test_mu_is_exact() -> None:
    assert coherence(7, 28).text == "1/3"
    assert coherence(3, 6).text == "sqrt(5)/5"
    assert Fraction(coherence(23, 276).text) == Fraction(1, 5)
