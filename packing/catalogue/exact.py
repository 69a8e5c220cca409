"""Exact Gram matrices from whole coordinates, from numbers of a field and from circulants."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from packing.catalogue.entry import Claim, Entry, ExactGram, Float, Int, Row
from packing.catalogue.numbers import DIGITS, RATIONALS, Field, Number, cosine_of_turn

# --- Gram matrices ------------------------------------------------------------------------------


def assemble(index: Int, numbers: Sequence[Number]) -> ExactGram:
    """The Gram matrix whose entry (i, j) is numbers[index[i, j]]; equal numbers are merged.

    Raises
    ------
    ValueError
        If the diagonal is not 1, a number is not in [-1, 1], or two are too close to be ordered.
    """
    kinds = sorted(set(numbers), key=lambda x: x.near, reverse=True)
    gaps = [x.near - y.near for x, y in itertools.pairwise(kinds)]
    if gaps and min(gaps) < Fraction(1, 2 ** (DIGITS // 2)):
        raise ValueError("two different numbers agree to 100 binary digits: compare them exactly")
    rank = {x: i for i, x in enumerate(kinds)}
    colours = np.array([rank[x] for x in numbers], dtype=np.int64)[index]
    one = kinds[0]
    if one != one.field(1) or np.any(np.diag(colours)) or kinds[-1].near < -1:
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
    kinds = sorted(total.items(), key=lambda x: x[0].near, reverse=True)
    return tuple((number.cosine, several) for number, several in kinds if several)


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
