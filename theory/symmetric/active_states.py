"""What one feature can receive: the sums t = x + sum_j c_j x_j over on/off patterns, with weights.

A feature of a symmetric block sees z = rho t + b, whatever rho and b are. Features at cosine 0 are
never seen. Equal sums are one state, found by exact arithmetic. The weight of a state is a
polynomial in the odds u = S/(1-S) with whole coefficients, times (1-S)^n with n the features that
are seen: pattern counts by number on. Derived in docs/phases.md.
"""

from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import flint

from packing.algebra.balls import fraction
from packing.algebra.number_fields import Field, Number
from packing.errors import BadInput, NotReached

LARGEST = 400_000
"""States that are listed; a row with more of them has no closed form here."""

_DIGITS = 320  # binary, of sums that are put in order


@dataclass(frozen=True, eq=False)
class Row:
    """What a feature sees: exact cosines with multiplicities.

    Parameters
    ----------
    field : Field
    cosines : tuple of Number
        With the other features, in that field; zeros left out.
    counts : tuple of int
        How many others have each.
    """

    field: Field
    cosines: tuple[Number, ...]
    counts: tuple[int, ...]

    @property
    def n(self) -> int:
        """Features that are seen, the own one included."""
        return 1 + sum(self.counts)

    @cached_property
    def scale(self) -> int:
        """Common denominator of all coordinates."""
        return math.lcm(*(x.denominator for c in self.cosines for x in c.coefficients))

    @cached_property
    def whole(self) -> tuple[tuple[int, ...], ...]:
        """Coordinates of the cosines times the scale."""
        return tuple(tuple(int(x * self.scale) for x in c.coefficients) for c in self.cosines)

    def place(self, key: tuple[int, ...]) -> int:
        """A whole number that grows with the sum; equal only for equal sums (checked)."""
        return sum(k * p for k, p in zip(key, self._powers, strict=True))

    @cached_property
    def _powers(self) -> list[int]:
        """1, a, a^2, ... as whole numbers with _DIGITS binary digits after the point."""
        with flint.ctx.workprec(_DIGITS + 64):
            a = self.field.root(_DIGITS + 64)
            return [math.floor(fraction(a**i) * 2**_DIGITS) for i in range(self.field.degree)]

    def number(self, key: tuple[int, ...]) -> Number:
        """The number with these coordinates over the scale."""
        return Number(self.field, flint.fmpq_poly(list(key)) / self.scale)

    def sums(
        self, first: Any, factors: list[list[Any]], trim: Callable[[Any], Any] | None = None
    ) -> list[tuple[tuple[int, ...], Any]]:
        """Sums over the other features with their weights, decreasing.

        Parameters
        ----------
        first
            Weight of "nothing on".
        factors : list of list
            Per cosine, what j = 0 .. count features on multiply a weight by.
        trim : callable, optional
            What is kept of a weight; where nothing is, larger j are not tried.

        Raises
        ------
        NotReached
            If there are more than LARGEST sums.
        """
        table: dict[tuple[int, ...], Any] = {(0,) * self.field.degree: first}
        for cosine, factor in zip(self.whole, factors, strict=True):
            wider: dict[tuple[int, ...], Any] = {}
            for key, weight in table.items():
                for j, f in enumerate(factor):
                    sum_ = tuple(a + j * c for a, c in zip(key, cosine, strict=True))
                    product = weight * f if trim is None else trim(weight * f)
                    if trim is not None and not product:
                        break
                    known = wider.get(sum_)
                    wider[sum_] = product if known is None else known + product
            table = wider
            if len(table) > LARGEST:
                raise NotReached(
                    f"a feature of this block can receive more than {LARGEST} different sums: "
                    "ask theory.loss for numbers",
                    None,
                )
        places = sorted(((self.place(key), key) for key in table), reverse=True)
        for (high, _), (low, _) in itertools.pairwise(places):
            if high - low < 1 << 64:
                raise ArithmeticError("two different sums agree to 76 digits: report this block")
        return [(key, table[key]) for _, key in places]


@dataclass(frozen=True, eq=False)
class States:
    """The different sums t of a row, decreasing, with their weights.

    Parameters
    ----------
    row : Row
    keys : tuple of tuple of int
        Coordinates of t times ``row.scale``.
    off, on : tuple
        Weight of t with the own feature off, on; what kind of number depends on who asked.
    """

    row: Row
    keys: tuple[tuple[int, ...], ...]
    off: tuple[Any, ...]
    on: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.keys)

    def value(self, i: int) -> Number:
        """The sum t of state i."""
        return self.row.number(self.keys[i])

    @cached_property
    def floats(self) -> list[float]:
        one = float(1 << _DIGITS) * self.row.scale
        return [self.row.place(key) / one for key in self.keys]


def states(row: Row, first: Any, factors: list[list[Any]], own: tuple[Any, Any]) -> States:
    """All sums with the own feature off and on; ``own`` are its two weights."""
    others = row.sums(first, factors)
    table: dict[tuple[int, ...], list[Any]] = {}
    zero = first * 0
    for x in (0, 1):
        for key, weight in others:
            sum_ = (key[0] + x * row.scale, *key[1:])
            table.setdefault(sum_, [zero, zero])[x] = weight * own[x]
    keys = tuple(sorted(table, key=row.place, reverse=True))
    return States(row, keys, tuple(table[k][0] for k in keys), tuple(table[k][1] for k in keys))


def counted(row: Row) -> States:
    """States with whole-number polynomials in the odds u as weights."""
    u = flint.fmpz_poly([0, 1])
    one = flint.fmpz_poly([1])
    factors = [[math.comb(m, j) * u**j for j in range(m + 1)] for m in row.counts]
    return states(row, one, factors, (one, u))


def weighted(row: Row, S: Any) -> States:
    """States with their chances at one S: a float, a Fraction or a ball."""
    off = 1 - S
    factors = [[math.comb(m, j) * S**j * off ** (m - j) for j in range(m + 1)] for m in row.counts]
    return states(row, S * 0 + 1, factors, (off, S))


def probability(S: Any) -> None:
    """Refuse what is no chance that a feature is on; balls pass.

    Raises
    ------
    BadInput
        If S is no number in [0, 1].
    """
    if isinstance(S, flint.arb):
        return
    if not (isinstance(S, numbers.Real) and 0 <= float(S) <= 1):
        raise BadInput(
            f"S = {S} is not a probability: give the chance that a feature is on, in [0, 1]; "
            "Elhage et al.'s sparsity is 1 - S"
        )
