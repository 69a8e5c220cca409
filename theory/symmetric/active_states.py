"""What one feature can receive: the sums t = x + sum_j c_j x_j over on/off patterns, with weights.

A feature of a symmetric block sees z = rho t + b, whatever rho and b are. Features at cosine 0 are
never seen. Equal sums are one state, found by exact arithmetic. The weight of a state is a
polynomial in the odds u = S/(1-S) with whole coefficients, times (1-S)^n with n the features that
are seen: pattern counts by number on. Derived in docs/phases.md.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from packing.errors import NotReached
from theory.symmetric.number_fields import Element, Field

LARGEST = 400_000
"""States that are listed; a row with more of them has no closed form here."""

_DIGITS = 320  # binary, of sums that are put in order


@dataclass(frozen=True, eq=False)
class Row:
    """What a feature sees: exact cosines with multiplicities.

    Parameters
    ----------
    field : Field
    cosines : tuple of Element
        With the other features, in that field; zeros left out.
    counts : tuple of int
        How many others have each.
    """

    field: Field
    cosines: tuple[Element, ...]
    counts: tuple[int, ...]

    @property
    def n(self) -> int:
        """Features that are seen, the own one included."""
        return 1 + sum(self.counts)

    @cached_property
    def scale(self) -> int:
        """Common denominator of all coordinates."""
        return math.lcm(*(x.denominator for c in self.cosines for x in c))

    @cached_property
    def whole(self) -> tuple[tuple[int, ...], ...]:
        """Coordinates of the cosines times the scale."""
        return tuple(tuple(int(x * self.scale) for x in c) for c in self.cosines)

    def place(self, key: tuple[int, ...]) -> int:
        """A whole number that grows with the sum; equal only for equal sums (checked)."""
        powers = self.__dict__.setdefault("_powers", _powers(self.field))
        return sum(k * p for k, p in zip(key, powers, strict=True))

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


def _powers(field: Field) -> list[int]:
    """1, a, a^2, ... as whole numbers with _DIGITS binary digits after the point."""
    import flint

    with flint.ctx.workprec(_DIGITS + 64):
        found = []
        for i in range(field.degree):
            mantissa, power = (field.root**i).mid().man_exp()
            shift = _DIGITS + int(power)
            found.append(int(mantissa) << shift if shift >= 0 else int(mantissa) >> -shift)
    return found


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

    def value(self, i: int) -> Element:
        """The sum t of state i."""
        return tuple(Fraction(k, self.row.scale) for k in self.keys[i])

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
    import flint

    u = flint.fmpz_poly([0, 1])
    one = flint.fmpz_poly([1])
    factors = [[math.comb(m, j) * u**j for j in range(m + 1)] for m in row.counts]
    return states(row, one, factors, (one, u))


def weighted(row: Row, S: Any) -> States:
    """States with their chances at one S: a float, a Fraction or a ball."""
    off = 1 - S
    factors = [[math.comb(m, j) * S**j * off ** (m - j) for j in range(m + 1)] for m in row.counts]
    return states(row, S * 0 + 1, factors, (off, S))
