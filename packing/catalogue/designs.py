"""Rows of cosines of spherical designs, from the cosines alone."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from packing.catalogue.numbers import solve


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
