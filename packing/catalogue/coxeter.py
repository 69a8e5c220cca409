"""Orbits of finite reflection groups: every uniform polytope of the kaleidoscope.

A point is kept by its inner products with twice the unit normals of the mirrors (its labels).
Reflection i subtracts label i times row i of the matrix A_ij = 2 n_i.n_j = -2 cos(pi/m_ij), so
labels stay in Z, Z[sqrt 2] or Z[golden ratio], and inner products of points are given by the
inverse of A. The vertex with label 1 on some mirrors and 0 on the others generates the uniform
polytope with those rings on its diagram (Coxeter, Regular Polytopes, chapter 11).
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import numpy as np

from packing.catalogue.entry import Int
from packing.catalogue.exact import Points
from packing.catalogue.numbers import RATIONALS, Field, Number, quadratic

Bond = tuple[int, int, int]


def bonds(letter: str, d: int) -> list[Bond]:
    """Edges (i, j, m) of the Coxeter diagram: mirrors i and j meet at pi/m."""
    chain = [(i, i + 1, 3) for i in range(d - 1)]
    if letter == "A":
        return chain
    if letter in "BH":
        return [*chain[:-1], (d - 2, d - 1, 4 if letter == "B" else 5)]
    if letter == "F":
        return [(0, 1, 3), (1, 2, 4), (2, 3, 3)]
    return [*chain[:-1], ((d - 3) if letter == "D" else 2, d - 1, 3)]  # D, E: a branch


def order(letter: str, d: int) -> int:
    """Number of elements of the reflection group (Coxeter, Regular Polytopes, table IV)."""
    known = {"E6": 51840, "E7": 2903040, "E8": 696729600, "F4": 1152, "H3": 120, "H4": 14400}
    general = {"A": math.factorial(d + 1), "B": 2**d * math.factorial(d)}
    general["D"] = general["B"] // 2
    return known.get(f"{letter}{d}") or general[letter]


def _mirrors(letter: str, d: int) -> tuple[Field, list[list[Number]]]:
    """The matrix A of twice the inner products of the mirrors' unit normals."""
    field = {"B": quadratic(2), "F": quadratic(2), "H": quadratic(5)}.get(letter, RATIONALS)
    half = Fraction(1, 2)
    A = [[field(2 if i == j else 0) for j in range(d)] for i in range(d)]
    for i, j, m in bonds(letter, d):
        twice = {3: field(1), 4: field(0, 1), 5: field(half, half)} if m > 3 else {3: field(1)}
        A[i][j] = A[j][i] = -twice[m]
    return field, A


def _inverse(A: list[list[Number]]) -> list[list[Number]]:
    """Inverse of a positive definite matrix over a field, by elimination without pivots."""
    size, field = len(A), A[0][0].field
    rows = [[*row, *(field(i == j) for j in range(size))] for i, row in enumerate(A)]
    for i in range(size):
        scale = rows[i][i].inverse()
        rows[i] = [x * scale for x in rows[i]]
        for r in range(size):
            if r != i:
                factor = rows[r][i]
                rows[r] = [x - factor * y for x, y in zip(rows[r], rows[i], strict=True)]
    return [row[size:] for row in rows]


def _whole(table: list[list[Number]]) -> Int:
    """Coefficients of a table of numbers times their common denominator."""
    common = math.lcm(*(c.denominator for row in table for x in row for c in x.coefficients))
    whole = [[[int(c * common) for c in x.coefficients] for x in row] for row in table]
    return np.array(whole, dtype=np.int64)


@lru_cache(maxsize=32)
def orbit(letter: str, d: int, rings: tuple[int, ...]) -> Points:
    """Vertices of the uniform polytope with these rings on the diagram, counted from 1.

    Raises
    ------
    ValueError
        If the orbit has not the size that the group's order promises.
    """
    field, A = _mirrors(letter, d)
    metric = _whole(_inverse(A))
    twice = [[x + x for x in row] for row in A]
    rows = np.array([[[int(c) for c in x.coefficients] for x in row] for row in twice])
    start = np.zeros((d, field.degree), dtype=np.int64)
    start[[r - 1 for r in rings], 0] = 2  # labels are doubled: halves occur with the golden ratio
    found = {start.tobytes(): start}
    front = [start]
    while front:
        fresh = []
        for labels in front:
            for i in np.flatnonzero(labels.any(axis=1)).tolist():
                # labels[i] times row i; both doubled, so the product is four times too large
                step = np.einsum("k,jl,klq->jq", labels[i], rows[i], _table(field))
                image = labels - step // 2
                key = image.tobytes()
                if key not in found:
                    found[key] = image
                    fresh.append(image)
        front = fresh
    return Points(np.array(list(found.values())), field, metric)


def _table(field: Field) -> Int:
    """Products of powers: a^k a^l in the basis, (degree, degree, degree)."""
    steps = np.arange(field.degree)
    return np.asarray(field.powers[steps[:, None] + steps], dtype=np.int64)


def orbit_size(letter: str, d: int, rings: tuple[int, ...]) -> int:
    """Order of the group over that of the mirrors through the vertex."""
    left = [i for i in range(d) if i + 1 not in rings]
    joined = {(i, j): m for i, j, m in bonds(letter, d) if i in left and j in left}
    stabiliser = 1
    while left:
        part = [left.pop()]
        for i in part:
            near = [j for j in left if (i, j) in joined or (j, i) in joined]
            left = [j for j in left if j not in near]
            part += near
        stabiliser *= _component_order(part, joined)
    return order(letter, d) // stabiliser


def _component_order(part: list[int], joined: dict[tuple[int, int], int]) -> int:
    """Order of the group of a connected part of a diagram."""
    inside = {pair: m for pair, m in joined.items() if pair[0] in part}
    size, top = len(part), max(inside.values(), default=3)
    degree = [sum(i in pair for pair in inside) for i in part]
    if top == 5:
        return {2: 10, 3: 120, 4: 14400}[size]
    if top == 4:
        ends = [i for i, k in zip(part, degree, strict=True) if k == 1]
        four = next(pair for pair, m in inside.items() if m == 4)
        return order("B", size) if size < 4 or set(four) & set(ends) else order("F", 4)
    if max(degree) < 3:
        return order("A", size)
    branch = part[degree.index(3)]
    short = sum(
        1
        for i, k in zip(part, degree, strict=True)
        if k == 1 and ((i, branch) in inside or (branch, i) in inside)
    )
    return order("D", size) if short >= 2 else order("E", size)
