"""Exact Gram matrices from coordinates, from numbers of a field and from circulants.

And what the catalogue makes entries of: names and whole coordinates of the simplest families, rows
of cosines, also those of spherical designs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb

import numpy as np

from packing.algebra.number_fields import RATIONALS, Field, Number, cosine_of_turn, quadratic, solve
from packing.catalogue.entry_types import Claim, Entry, ExactGram, Row
from packing.types import Float, Int

# --- Gram matrices ------------------------------------------------------------------------------


def assemble(index: Int, numbers: Sequence[Number]) -> ExactGram:
    """The Gram matrix whose entry (i, j) is numbers[index[i, j]]; equal numbers are merged.

    Raises
    ------
    ValueError
        If the diagonal is not 1, or a number is not in [-1, 1].
    """
    kinds = sorted(set(numbers), reverse=True)
    rank = {x: i for i, x in enumerate(kinds)}
    colours = np.array([rank[x] for x in numbers], dtype=np.int64)[index]
    one = kinds[0]
    if one != 1 or np.any(np.diag(colours)) or kinds[-1] < -1:
        raise ValueError("these are not the inner products of unit vectors")
    colours.setflags(write=False)
    return ExactGram(colours, tuple(x.cosine for x in kinds))


def from_table(table: Sequence[Sequence[Number]]) -> ExactGram:
    """The Gram matrix with these entries."""
    kinds = {x: i for i, x in enumerate(dict.fromkeys(x for row in table for x in row))}
    index = np.array([[kinds[x] for x in row] for row in table], dtype=np.int64)
    return assemble(index, list(kinds))


def circulant(k: int) -> ExactGram:
    """Gram matrix of the regular k-gon: cos(2 pi (i - j)/k)."""
    steps = np.arange(k)
    colours = (steps[:, None] - steps) % k
    colours = np.minimum(colours, k - colours)  # cos falls on [0, pi]: the colours are in order
    colours.setflags(write=False)
    return ExactGram(colours, tuple(cosine_of_turn(j, k) for j in range(k // 2 + 1)))


@dataclass(frozen=True, eq=False)
class Points:
    """Vectors of one length with exact coordinates.

    Parameters
    ----------
    X : (n, m) or (n, m, degree) array of int
        Coordinates, in the basis 1, a, a^2, ... of the field where there is a third axis.
    field : Field
    metric : (m, m, degree) array of int, optional
        Inner products of the axes, up to a factor; the identity if not given.
    """

    X: Int
    field: Field = RATIONALS
    metric: Int | None = None

    @property
    def n(self) -> int:
        return int(self.X.shape[0])

    @property
    def _full(self) -> Int:
        return self.X if self.X.ndim == 3 else self.X[:, :, None]

    def gram(self) -> ExactGram:
        """Their exact cosines.

        Raises
        ------
        ValueError
            If the lengths differ, or whole numbers grow beyond 2^53.
        """
        X = self._full
        Y = X if self.metric is None else self._product(X, self.metric.transpose(1, 0, 2))
        G = self._product(Y, X)
        if np.any(np.diagonal(G) != G[0, 0][:, None]):
            raise ValueError("vectors of different lengths: scale them first")
        index, values = _distinct(G.reshape(self.n**2, -1))
        length = self.field(*G[0, 0].tolist())
        numbers = [self.field(*value) / length for value in values.tolist()]
        return assemble(index.reshape(self.n, self.n), numbers)

    def _product(self, Y: Int, X: Int) -> Int:
        """Sum over m of Y[i, m] X[j, m] in the field, (len(Y), len(X), degree)."""
        degree = self.field.degree
        size = float(np.abs(Y).max()) * float(np.abs(X).max()) * X.shape[1]
        if size * degree**2 * float(np.abs(self.field.powers).max()) >= 2.0**53:
            raise ValueError("coordinates too large for exact products")
        total = np.zeros((len(Y), len(X), degree))
        for k in range(degree):
            for l in range(degree):
                # exact in floating point, and much faster there: every sum is below 2^53
                part = Y[:, :, k].astype(np.float64) @ X[:, :, l].T.astype(np.float64)
                for q, p in enumerate(self.field.powers[k + l].tolist()):
                    if p:
                        total[:, :, q] += p * part
        return total.astype(np.int64)

    def floats(self) -> Float:
        """Unit vectors as columns (d, n), in coordinates of their own span."""
        basis = [float(self.field(*[0] * k, 1)) for k in range(self.field.degree)]
        X = self._full @ np.array(basis)
        if self.metric is not None:
            X = X @ np.linalg.cholesky(self.metric @ np.array(basis))
        X = X / np.linalg.norm(X, axis=1, keepdims=True)
        values, axes = np.linalg.eigh(X.T @ X)
        if values[0] > 1e-9 * values[-1]:
            return np.ascontiguousarray(X.T)
        return np.ascontiguousarray((X @ axes[:, values > 1e-9 * values[-1]]).T)


def _distinct(values: Int) -> tuple[Int, Int]:
    """For rows of whole numbers: the index of each among the distinct ones, and those."""
    low = values.min(axis=0)
    key = np.zeros(len(values), dtype=np.int64)
    room = 1
    for column, least in zip(values.T, low, strict=True):
        width = int(column.max() - least) + 1
        key, room = key * width + (column - least), room * width
    if room > 2**62:
        kinds, index = np.unique(values, axis=0, return_inverse=True)
        return index.reshape(-1), kinds
    if room > max(2**20, 4 * len(values)):
        _, first, index = np.unique(key, return_index=True, return_inverse=True)
        return index.reshape(-1), values[first]
    seen = np.full(room, -1, dtype=np.int64)
    seen[key] = np.arange(len(key))
    keep = np.flatnonzero(seen >= 0)
    number = np.zeros(room, dtype=np.int64)
    number[keep] = np.arange(keep.size)
    return number[key], values[seen[keep]]


# --- rows of cosines ----------------------------------------------------------------------------


def row_of(pairs: Iterable[tuple[Number, int]]) -> Row:
    """Cosines and multiplicities, equal ones joined, decreasing."""
    total: dict[Number, int] = {}
    for number, several in pairs:
        total[number] = total.get(number, 0) + several
    kinds = sorted(total, reverse=True)
    return tuple((number.cosine, total[number]) for number in kinds if total[number])


def rational_row(*pairs: tuple[Fraction | int, int]) -> Row:
    return row_of((RATIONALS(c), several) for c, several in pairs)


# --- from one arrangement to another ------------------------------------------------------------


def neighbours(X: Int) -> Int:
    """The nearest neighbours of the first vector, seen from it: one dimension lower.

    Parameters
    ----------
    X : (n, m) array of int
        Vectors of one length N; returns (k, m), the parts N v - (v.x) x orthogonal to x = X[0].
    """
    inner = X @ X[0]
    length = int(inner[0])
    best = int(np.max(inner[inner < length]))
    near = X[inner == best]
    found = length * near - best * X[0]
    return np.asarray(found // np.gcd.reduce(found, axis=None), dtype=np.int64)


def doubled(X: Int) -> Int:
    """The vectors and their opposites."""
    return np.concatenate([X, -X])


def from_points(
    name: str,
    size: tuple[int, int],
    order: int | None,
    points: Callable[[], Points],
    construction: str,
    claims: tuple[Claim, ...] = (),
    aliases: tuple[str, ...] = (),
    rows: tuple[tuple[int, Row], ...] = (),
) -> Entry:
    """An entry of size (n, d) with exact coordinates; missing rows come from its Gram matrix."""
    return Entry(
        name=name,
        d=size[1],
        n=size[0],
        rows=rows,
        symmetry_order=order,
        claims=claims,
        construction=construction,
        build=lambda: points().gram(),
        coordinates=lambda: points().floats(),
        aliases=tuple(x for x in aliases if x != name),
    )


# Names and whole coordinates of the families: polygons, simplices, cubes, roots A, B and D.


POLYGONS = {3: "triangle", 4: "square", 5: "pentagon", 6: "hexagon", 7: "heptagon"}
POLYGONS |= {8: "octagon", 9: "enneagon", 10: "decagon", 11: "hendecagon", 12: "dodecagon"}

# --- names --------------------------------------------------------------------------------------


def simplex_name(d: int) -> str:
    """Name of the regular simplex in R^d."""
    return {1: "digon", 2: "triangle", 3: "tetrahedron"}.get(d, f"{d}-simplex")


def polygon_name(k: int) -> str:
    """Name of the regular k-gon."""
    return POLYGONS.get(k, f"{k}-gon")


def cross_polytope_name(d: int) -> str:
    """Name of the cross-polytope in R^d."""
    small = {1: "digon", 2: "square", 3: "octahedron", 4: "16-cell"}
    return small.get(d, f"{d}-cross-polytope")


# --- float vectors and whole coordinates --------------------------------------------------------


def polygon(k: int) -> Float:
    """The k-th roots of unity, (2, k)."""
    turn = 2.0 * np.pi * np.arange(k) / k
    return np.array([np.cos(turn), np.sin(turn)])


def simplex_points(d: int) -> Int:
    """d + 1 vectors: the basis of R^(d+1) less its mean."""
    return np.eye(d + 1, dtype=np.int64) * (d + 1) - 1


def simplex(d: int) -> Float:
    """d + 1 unit vectors with all cosines -1/d, (d, d + 1)."""
    return Points(simplex_points(d)).floats()


def signs(d: int) -> Int:
    """All 2^d rows of signs."""
    bits = np.arange(2**d)[:, None] >> np.arange(d - 1, -1, -1)
    return np.asarray(1 - 2 * (bits & 1), dtype=np.int64)


def even_signs(d: int) -> Int:
    """Rows of signs with an even number of minuses."""
    rows = signs(d)
    return rows[rows.prod(axis=1) > 0]


def subset_points(size: int, k: int) -> Int:
    """Indicators of the k-subsets of `size` things, less their mean, times size."""
    rows = np.full((comb(size, k), size), -k, dtype=np.int64)
    for row, chosen in zip(rows, itertools.combinations(range(size), k), strict=True):
        row[list(chosen)] += size
    return rows


def roots_A(d: int) -> Int:
    """Differences of two basis vectors of R^(d+1)."""
    e = np.eye(d + 1, dtype=np.int64)
    return np.array([e[i] - e[j] for i, j in itertools.permutations(range(d + 1), 2)])


def roots_D(d: int) -> Int:
    """+-e_i +- e_j."""
    e = np.eye(d, dtype=np.int64)
    pairs = itertools.combinations(range(d), 2)
    return np.array([a * e[i] + b * e[j] for i, j in pairs for a in (1, -1) for b in (1, -1)])


def roots_B(d: int) -> Points:
    """Directions of +-e_i +- e_j and +-e_i: the latter are scaled by sqrt 2."""
    X = np.zeros((2 * d * d, d, 2), dtype=np.int64)
    X[: -2 * d, :, 0] = roots_D(d)
    X[-2 * d :, :, 1] = doubled(np.eye(d, dtype=np.int64))
    return Points(X, quadratic(2))


# Rows of cosines of spherical designs, from the cosines alone.


def design_row(d: int, cosines: Sequence[Fraction]) -> tuple[tuple[Fraction, int], ...]:
    """How often each cosine occurs in a row, from the cosines alone.

    A spherical t-design (Delsarte, Goethals and Seidel 1977) averages every polynomial of degree up
    to t as the sphere does. With s <= t different cosines, the powers 0 ... s give s + 1 linear
    equations for the multiplicities and the number of vectors.

    Raises
    ------
    ValueError
        If the solution is not in whole numbers: no such design exists.
    """
    s = len(cosines)
    moments = [Fraction(1)]
    for k in range(1, s + 1):
        moments.append(moments[-2] * Fraction(k - 1, d + k - 2) if k % 2 == 0 else Fraction(0))
    table = [[x**k for x in cosines] + [-moments[k]] for k in range(s + 1)]
    counts = solve(table, [-1] * (s + 1))[:-1]
    if any(m.denominator != 1 or m < 1 for m in counts):
        raise ValueError(f"no design in dimension {d} has just the cosines {list(cosines)}")
    return tuple((x, int(m)) for x, m in zip(cosines, counts, strict=True))
