"""Relabellings: which permutations of vectors keep every inner product, and how many there are.

Cosines and norms are sorted into colours, so an arrangement becomes a complete graph with coloured
edges and vertices, whose automorphisms `packing.coloured` counts. Counts are exact for the colours;
which values are one colour depends on the tolerance.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from packing.arrangement import TOLERANCE, Arrangement
from packing.coloured import Coloured, matching
from packing.coloured import colours as colours  # others look for it here

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Hash = NDArray[np.uint64]

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
