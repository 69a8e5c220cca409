"""Which relabellings keep every inner product: automorphisms, orbits, matchings, fingerprints.

Cosines and norms are sorted into colours, so that an arrangement becomes a complete graph with
coloured edges and vertices. Classes of vertices that look alike are found first, by refinement;
often that settles everything (all vertices differ, or all pairs between two classes look the same).
What is left goes to nauty (McKay and Piperno 2014, as ported to Rust by canonaut, Apache-2.0),
which knows vertex colours only: colours of edges are written in binary and each binary digit
becomes a layer, a copy of the vertices with an edge where the digit is one; the copies of a vertex
are joined in a chain and coloured by layer. Counts are exact for the colours; which values are one
colour depends on the tolerance.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from packing.arrangement import TOLERANCE, Arrangement
from packing.types import Float, Int

Hash = NDArray[np.uint64]

LARGEST = 1200
"""Blocks of more vectors than this are neither compared with shapes nor searched for symmetry."""


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

    def _searched(self, own: Int) -> Any:
        """What nauty finds in the layered graph with these vertex colours (n,)."""
        from canonaut import raw

        layers = int(self._codes.max()).bit_length()
        i, j = np.triu_indices(self.n, 1)
        on = [np.flatnonzero(self._codes[i, j] >> layer & 1) for layer in range(layers)]
        chain = np.arange((layers - 1) * self.n)
        first = np.concatenate([i[k] + layer * self.n for layer, k in enumerate(on)] + [chain])
        second = np.concatenate(
            [j[k] + layer * self.n for layer, k in enumerate(on)] + [chain + self.n]
        )
        colour = (own * layers + np.arange(layers)[:, None]).ravel()
        edges = list(zip(first.tolist(), second.tolist(), strict=True))
        return raw.canonize(layers * self.n, edges, colors=colour.tolist(), generators=True)

    @cached_property
    def _found(self) -> Any | None:
        """The search with the vertices coloured by class; None where classes say it all."""
        return None if self.n < 2 or self._codes.max() == 0 else self._searched(self.classes)

    def count(self) -> int:
        """Number of automorphisms."""
        found = self._found
        if found is None:
            sizes = np.bincount(self.classes)
            return math.prod(math.factorial(int(k)) for k in sizes)
        if found.group_size2 == 0:  # below 10^10, where a float is exact
            return int(found.group_size1)
        # otherwise vertices are fixed one by one: the order is the product of their orbits' sizes
        total, own = 1, self.classes.copy()
        while True:
            orbit, size = np.unique(found.orbits[: self.n], return_counts=True)
            if size.max() == 1:
                return total
            total *= int(size.max())
            own[orbit[size.argmax()]] = own.max() + 1
            found = self._searched(own)

    def generators(self) -> list[list[int]]:
        """Automorphisms that generate all, each as the images of the vertices."""
        if self._found is not None:
            return [images[: self.n] for images in self._found.generators]
        swaps = []
        for label in range(int(self.classes.max()) + 1):
            for i, j in itertools.pairwise(np.flatnonzero(self.classes == label).tolist()):
                images = list(range(self.n))
                images[i], images[j] = j, i
                swaps.append(images)
        return swaps

    @cached_property
    def orbits(self) -> Int:
        """Vertices that automorphisms carry into each other share a number, (n,)."""
        if self._found is None:
            return self.classes
        return np.asarray(self._found.orbits[: self.n], dtype=np.int64)

    @cached_property
    def order(self) -> Int:
        """The vertices in canonical order (it may change between versions of canonaut)."""
        if self._found is None:
            return np.argsort(self.classes, kind="stable").astype(np.int64)
        return np.array([i for i in self._found.labeling if i < self.n], dtype=np.int64)


def _scramble(values: Hash) -> Hash:
    """Numbers mixed so that sums of them tell multisets apart (the finaliser of splitmix64)."""
    x = values + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)), dtype=np.uint64)


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
    return tuple(tuple(group[0] for group in orbit) for orbit in orbits_of_copies(part, tolerance))


def orbits_of_copies(
    part: Arrangement, tolerance: float = TOLERANCE
) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """The orbits, each of several vectors, each given by all the columns that are its copies."""
    graph, groups = _graph(part, tolerance)
    names: dict[int, list[tuple[int, ...]]] = {}
    for vertex, name in enumerate((graph.orbits if part.n <= LARGEST else graph.classes).tolist()):
        names.setdefault(name, []).append(groups[vertex])
    return tuple(tuple(orbit) for orbit in names.values())


STEP = 0.02
"""Width of the bins in which a fingerprint counts its `waves`, which spread by about 1."""

FREQUENCIES = (2.0, 3.1, 4.3, 5.6)
"""Frequencies of those waves, with no common divisor."""


def waves(part: Arrangement) -> Float:
    """One number for each frequency t: the sum over all i, j of cos(t x_i . x_j + t) / n.

    The x_i are the columns in units of the root mean square norm, so that no rotation, relabelling
    or scale changes the numbers. They are smooth in W: vectors that move by a fraction e of their
    length change them by a few e.
    """
    X = part.directions * part.relative_norms
    G = X.T @ X * (part.n / float((X**2).sum()))
    return np.array([np.cos(t * (G + 1.0)).sum() / part.n for t in FREQUENCIES])


def fingerprint(part: Arrangement, key: tuple[object, ...] | None = None) -> str:
    """Sixteen hexadecimal digits for an arrangement, up to rotation, scale and relabelling.

    They hash its type (``key``, if it is known) and its `waves`, rounded to STEP. Equal
    arrangements have equal ones. Those of two random arrangements of more than three vectors
    coincide with a probability of about 1e-8 (each wave by chance in one case of 120), and 16 or 6
    digits by hashing in 2^-64 or 2^-24; arrangements of one type that differ by less than 0.001 of
    a vector's length mostly share one.
    Rounding has boundaries: where every vector is off by a fraction e of its length, a share of
    600 e of all arrangements changes its fingerprint, one in 16 000 for a tenth of the tolerance
    (measured: at most 550 e, tests/test_symmetry.py). Errors near the tolerance or beyond may
    change the type, too. Numerical.
    """
    rounded = np.floor(waves(part) / STEP).tolist()
    told = repr((type_key(part) if key is None else key, rounded))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def type_key(
    part: Arrangement, tolerance: float = TOLERANCE, rank: int | None = None
) -> tuple[object, ...]:
    """Size, rank, order of the symmetry group, orbit sizes, and how many vectors share a line.

    Along a continuous branch of optima it changes only where the symmetry does. Different
    arrangements may share it.
    """
    sizes = sorted(len(orbit) for orbit in orbits(part, tolerance))
    flipped = Arrangement(np.concatenate([part.W, -part.W], axis=1))
    lines = flipped.duplicated(tolerance, 0.0)
    along = [sum(i < part.n for i in line) for line in lines]
    sides = sorted(tuple(sorted((k, len(line) - k))) for line, k in zip(lines, along, strict=True))
    rank = part.rank(tolerance) if rank is None else rank
    return part.n, rank, symmetry_order(part, tolerance), sizes, sides


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
