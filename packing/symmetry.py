"""Complete graphs with coloured edges and vertices: their automorphisms and canonical order.

Classes of vertices that look alike are found first, by refinement; often that settles everything
(all vertices differ, or all pairs between two classes look the same). What is left goes to BLISS
(Junttila and Kaski 2007, through igraph), which knows vertex colours only: colours of edges are
written in binary and each binary digit becomes a layer, a copy of the vertices with an edge where
the digit is one; the copies of a vertex are joined in a chain and coloured by layer.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from packing.arrangement import TOLERANCE, Arrangement
from packing.types import Float, Int

Hash = NDArray[np.uint64]

TINY = 7
"""Up to this many vertices all permutations are tried, which is over before igraph is imported."""


def colours(tables: Sequence[Float], tolerance: float) -> list[Int]:
    """Whole numbers for values, equal where values are joined by gaps of at most tolerance.

    Two colours part in the middle of the gap between them, so that a value is never rounded across
    a boundary by the last digit of a matrix product.
    """
    flat = np.sort(np.concatenate([table.ravel() for table in tables]))
    gap = np.flatnonzero(np.diff(flat) > tolerance)
    middle = flat[gap] / 2.0 + flat[gap + 1] / 2.0
    return [np.searchsorted(middle, table, side="right").astype(np.int64) for table in tables]


def matching(A: Int, B: Int) -> Int | None:
    """order (n,) such that A[order][:, order] equals B off the diagonal, or None.

    A and B are symmetric (n, n) tables of colours, whole numbers from 0.
    """
    alike = np.zeros(A.shape[0], dtype=np.int64)
    first, second = Coloured(A, alike), Coloured(B, alike)
    if A.shape != B.shape or not np.array_equal(np.sort(first.looks), np.sort(second.looks)):
        return None
    order = np.empty(alike.size, dtype=np.int64)
    order[second.order] = first.order
    same = A[np.ix_(order, order)] == B
    np.fill_diagonal(same, True)
    return order if same.all() else None


class Coloured:
    """A complete graph with coloured edges ``edge`` (n, n) and vertices ``own`` (n,)."""

    def __init__(self, edge: Int, own: Int) -> None:
        self.edge, self.own, self.n = edge, own, own.size

    @cached_property
    def looks(self) -> Hash:
        """A number for each vertex, equal where refinement cannot tell two apart; label-free."""
        seen = _scramble(self.own.astype(np.uint64))
        edges = _scramble(self.edge.astype(np.uint64) + np.uint64(1 << 32))
        kinds = 0
        while kinds < (found := np.unique(seen).size):
            kinds = found
            if kinds == self.n:
                break
            # a sum over the others of numbers that mix the edge's colour and the vertex's look
            mixed = _scramble(edges ^ seen[None, :])
            np.fill_diagonal(mixed, 0)
            seen = _scramble(seen * np.uint64(3) + mixed.sum(axis=1, dtype=np.uint64))
        return seen

    @cached_property
    def classes(self) -> Int:
        """Vertices that look alike share a number."""
        return np.unique(self.looks, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def _codes(self) -> Int:
        """Colours of the edges, counted afresh between every two classes, the commonest as 0.

        Nothing is lost: an automorphism keeps classes. Fewer numbers need fewer layers.
        """
        low = np.minimum(self.classes[:, None], self.classes)
        high = np.maximum(self.classes[:, None], self.classes)
        between = (low * (int(self.classes.max()) + 1) + high).ravel()
        away = ~np.eye(self.n, dtype=bool).ravel()
        _, pair = np.unique(between, return_inverse=True)
        _, colour = np.unique(self.edge.ravel(), return_inverse=True)
        kind, where, count = np.unique(
            pair[away] * (int(colour.max()) + 1) + colour[away],
            return_inverse=True,
            return_counts=True,
        )
        owner = kind // (int(colour.max()) + 1)
        ranked = np.lexsort((kind, -count, owner))
        starts = np.searchsorted(owner[ranked], owner[ranked])
        code = np.empty(kind.size, dtype=np.int64)
        code[ranked] = np.arange(kind.size) - starts
        codes = np.zeros(self.n * self.n, dtype=np.int64)
        codes[away] = code[where]
        return codes.reshape(self.n, self.n)

    @property
    def _tiny(self) -> bool:
        return self.n <= TINY and bool(self._codes.max() > 0)

    @cached_property
    def _layers(self) -> tuple[Any, list[int]] | None:
        """The layered graph and its vertex colours for BLISS; None where classes say it all."""
        if self.n < 2 or (codes := self._codes).max() == 0:
            return None
        import igraph

        layers = int(codes.max()).bit_length()
        i, j = np.triu_indices(self.n, 1)
        edges = []
        for layer in range(layers):
            here = (codes[i, j] >> layer) & 1 == 1
            edges.append(np.column_stack([i[here], j[here]]) + layer * self.n)
        chain = np.arange((layers - 1) * self.n)
        edges.append(np.column_stack([chain, chain + self.n]))
        colour = np.concatenate([self.classes * layers + layer for layer in range(layers)])
        graph = igraph.Graph(n=layers * self.n, edges=np.concatenate(edges).tolist())
        return graph, colour.tolist()

    @cached_property
    def _kept(self) -> Int:
        """All automorphisms of a tiny graph, one a row."""
        every = _permutations(self.n)
        every = every[(self.classes[every] == self.classes).all(axis=1)]
        return every[(self._codes[every[:, :, None], every[:, None, :]] == self._codes).all((1, 2))]

    def count(self) -> int:
        """Number of automorphisms."""
        if self._tiny:
            return len(self._kept)
        if self._layers is None:
            sizes = np.bincount(self.classes)
            return math.prod(math.factorial(int(k)) for k in sizes)
        graph, colour = self._layers
        return int(graph.count_automorphisms(color=colour, sh="fl"))

    def generators(self) -> list[list[int]]:
        """Automorphisms that generate all, each as the images of the vertices."""
        if self._tiny:
            return [p for p in self._kept.tolist() if p != list(range(self.n))]
        if self._layers is not None:
            graph, colour = self._layers
            found = graph.automorphism_group(color=colour, sh="fl")
            return [images[: self.n] for images in found]
        swaps = []
        for label in range(int(self.classes.max()) + 1):
            for i, j in itertools.pairwise(np.flatnonzero(self.classes == label).tolist()):
                images = list(range(self.n))
                images[i], images[j] = j, i
                swaps.append(images)
        return swaps

    @cached_property
    def order(self) -> Int:
        """The vertices in canonical order."""
        if self._tiny:
            every = _permutations(self.n)
            every = every[(self.classes[every] == np.sort(self.classes)).all(axis=1)]
            tables = self._codes[every[:, :, None], every[:, None, :]].reshape(len(every), -1)
            return every[np.lexsort(tables.T)[0]]
        if self._layers is None:
            return np.argsort(self.classes, kind="stable").astype(np.int64)
        graph, colour = self._layers
        # igraph 1.0 turned the meaning of a permutation around, here and in permute_vertices alike
        graph.vs["was"] = range(graph.vcount())
        moved = graph.permute_vertices(graph.canonical_permutation(color=colour, sh="fl"))
        return np.array([was for was in moved.vs["was"] if was < self.n], dtype=np.int64)


@lru_cache(maxsize=TINY)
def _permutations(n: int) -> Int:
    return np.array(list(itertools.permutations(range(n))), dtype=np.int64)


def _scramble(values: Hash) -> Hash:
    """Numbers mixed so that sums of them tell multisets apart (the finaliser of splitmix64)."""
    x = values + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)), dtype=np.uint64)


# Relabellings: which permutations of vectors keep every inner product, and how many there are.
#
# Cosines and norms are sorted into colours, so an arrangement becomes a complete graph with
# coloured
# edges and vertices, whose automorphisms `packing.symmetry` counts. Counts are exact for the
# colours;
# which values are one colour depends on the tolerance.


LARGEST = 1200
"""Blocks of more vectors than this are neither compared with shapes nor searched for symmetry."""


@dataclass(frozen=True, eq=False)
class Canonical:
    """An arrangement in an order that no longer depends on how its vectors were labelled.

    Parameters
    ----------
    order : (n,) array of int
        Columns of the part, in canonical order.
    colours : (n, n) array of int
        Ranks of the cosines in that order, the largest cosine first; on the diagonal the rank of
        the norm. Equal for two arrangements exactly if a relabelling joins their colours.
    fingerprint : str
        Sixteen hexadecimal digits of the SHA-256 hash of the colours.
    """

    order: Int
    colours: Int
    fingerprint: str


def relabelling(vectors: Float, part: Arrangement, tolerance: float = TOLERANCE) -> Int | None:
    """order (n,) such that vectors[:, order] has the cosines of the part, or None.

    ``vectors`` (k, n) are unit columns. Norms play no role.
    """
    want = vectors.T @ vectors
    if want.shape != part.cosines.shape:
        return None
    slack = min(tolerance / float(part.confidence.min()), 1e-2)
    # a look at the sorted tables is cheap, and settles nearly every comparison
    if np.abs(np.sort(want, axis=None) - np.sort(part.cosines, axis=None)).max() > 2.0 * slack:
        return None
    A, B = colours([want, part.cosines], slack)
    order = matching(A, B)
    if order is None:
        return None
    off = np.abs(want[np.ix_(order, order)] - part.cosines).max()
    return order if off <= 2.0 * slack else None


def symmetry_order(part: Arrangement, tolerance: float = TOLERANCE) -> int | None:
    """Number of permutations of the columns that keep W^T W, or None if it is out of reach."""
    if part.n > LARGEST:
        return None
    graph, groups = _graph(part, tolerance)
    return graph.count() * math.prod(math.factorial(len(group)) for group in groups)


def automorphisms(
    part: Arrangement, tolerance: float = TOLERANCE
) -> tuple[tuple[int, ...], ...] | None:
    """Permutations that generate all those which keep W^T W, or None if out of reach.

    Each is given as the image of every column; the identity is not listed.
    """
    if part.n > LARGEST:
        return None
    graph, groups = _graph(part, tolerance)
    found = []
    for images in graph.generators():
        whole = np.arange(part.n)
        for source, image in enumerate(images):
            whole[list(groups[source])] = groups[image]
        found.append(tuple(whole.tolist()))
    for group in groups:
        for i, j in itertools.pairwise(group):
            swap = list(range(part.n))
            swap[i], swap[j] = j, i
            found.append(tuple(swap))
    return tuple(found)


def orbits(part: Arrangement, tolerance: float = TOLERANCE) -> tuple[tuple[int, ...], ...]:
    """Columns that symmetries carry into each other; of identical columns only the first is given.

    For more than LARGEST columns, classes that no symmetry joins may be given as one.
    """
    graph, groups = _graph(part, tolerance)
    label = graph.classes.copy()
    if part.n <= LARGEST:
        label = np.arange(graph.n)
        for images in graph.generators():
            for i in np.flatnonzero(np.asarray(images) != np.arange(graph.n)):
                one, other = label[i], label[images[i]]
                label[label == max(one, other)] = min(one, other)
    names: dict[int, list[int]] = {}
    for vertex, name in enumerate(label.tolist()):
        names.setdefault(name, []).append(groups[vertex][0])
    return tuple(tuple(sorted(orbit)) for orbit in names.values())


def canonical_form(part: Arrangement, tolerance: float = TOLERANCE) -> Canonical | None:
    """A form that rotations, scale and relabelling do not change, or None if out of reach.

    The form holds the order of the cosines, not their decimals: it is the same for all members of
    a family in which no two cosines meet or part, such as the antiprisms of nearly one height.
    The order that BLISS calls canonical may change between versions of igraph.
    """
    if part.n > LARGEST:
        return None
    graph, groups = _graph(part, tolerance)
    order = np.array([i for vertex in graph.order for i in groups[vertex]], dtype=np.int64)
    (table,) = colours([_weighted(part)], tolerance)
    (norm,) = colours([part.relative_norms], tolerance)
    table = table.max() - table
    np.fill_diagonal(table, norm)
    # ranks of the colours off the diagonal, so that the diagonal cannot shift them
    away = ~np.eye(part.n, dtype=bool)
    table[away] = np.unique(table[away], return_inverse=True)[1]
    table = table[np.ix_(order, order)]
    key = f"{part.n} {part.rank(tolerance)} ".encode() + table.astype("<i4").tobytes()
    return Canonical(order, table, hashlib.sha256(key).hexdigest()[:16])


def _graph(part: Arrangement, tolerance: float) -> tuple[Coloured, list[tuple[int, ...]]]:
    """The coloured graph of the columns without repetitions, and the columns of each vertex."""
    groups = _distinct(part, tolerance)
    kept = part.part([group[0] for group in groups])
    several = np.array([len(group) for group in groups])
    (colour,) = colours([_weighted(kept)], tolerance)
    (norm,) = colours([kept.relative_norms], tolerance)
    return Coloured(colour, norm * (int(several.max()) + 1) + several), groups


def _weighted(part: Arrangement) -> Float:
    """Cosines, damped where a weak column makes them uncertain."""
    return part.cosines * np.minimum(part.confidence[:, None], part.confidence)


def _distinct(part: Arrangement, tolerance: float) -> list[tuple[int, ...]]:
    """Groups of columns with one direction and norm, ordered by their first column."""
    norms = part.relative_norms
    left, groups = set(range(part.n)), []
    for along in part.duplicated(tolerance, 0.0):
        ranked = sorted(along, key=lambda i: norms[i])
        runs = [[ranked[0]]]
        for before, after in itertools.pairwise(ranked):
            if norms[after] - norms[before] > tolerance:
                runs.append([])
            runs[-1].append(after)
        groups += [tuple(sorted(run)) for run in runs]
        left -= set(along)
    return sorted([*groups, *((i,) for i in left)])
