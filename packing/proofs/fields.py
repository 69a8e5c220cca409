"""Numbers of one algebraic number field, guessed from digits, with exact linear algebra on them.

A field Q(alpha) is the minimal polynomial of alpha and its digits; a number in it is a tuple of k
rational coefficients of 1, alpha, .., alpha^(k-1). Guesses come from lattices and carry no proof;
what is computed with them afterwards is exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from packing.proofs.algebraic import algebraic, integer_relation
from packing.proofs.roots import real_roots

Element = tuple[Fraction, ...]

SPARE = 2.0
"""Digits that a relation must leave unexplained by chance: few, since proofs follow."""


@dataclass(frozen=True, eq=False)
class Field:
    """Q(alpha), alpha the real root number ``index`` of an irreducible polynomial.

    Parameters
    ----------
    polynomial : tuple of int
        Constant term first.
    index : int
        Which real root, counted upwards from 0.
    alpha : Fraction
        Its digits.
    digits : float
        How many of them are correct.
    """

    polynomial: tuple[int, ...]
    index: int
    alpha: Fraction
    digits: float

    @property
    def degree(self) -> int:
        return len(self.polynomial) - 1

    def member(self, value: Fraction) -> Element | None:
        """The small rational combination of powers of alpha with that value, or None."""
        powers = [self.alpha**i for i in range(self.degree)]
        relation = integer_relation([value, *powers], self.digits)
        if relation is None or relation[0] == 0:
            return None
        height = max(map(abs, relation))
        if (self.degree + 1) * math.log10(2 * height + 1) + SPARE > self.digits:
            return None
        return tuple(Fraction(-c, relation[0]) for c in relation[1:])

    @cached_property
    def _powers(self) -> list[list[list[Fraction]]]:
        """Multiplication by 1, alpha, .., alpha^(k-1) on that basis, as k x k matrices."""
        k, top = self.degree, self.polynomial[-1]
        vectors = [[Fraction(int(i == j)) for j in range(k)] for i in range(k)]
        for _ in range(k - 1):  # alpha^k, alpha^(k+1), ..
            last = vectors[-1]
            vectors.append(
                [
                    (last[j - 1] if j else Fraction(0))
                    - last[-1] * Fraction(self.polynomial[j], top)
                    for j in range(k)
                ]
            )
        return [[vectors[i + j] for j in range(k)] for i in range(k)]

    def matrix(self, element: Element) -> list[list[Fraction]]:
        """Multiplication by the element, (k, k): row j holds its product with alpha^j."""
        k = self.degree
        return [
            [
                sum((c * P[i][j] for c, P in zip(element, self._powers, strict=True)), Fraction(0))
                for j in range(k)
            ]
            for i in range(k)
        ]

    def minimal(self, element: Element) -> tuple[int, ...]:
        """Minimal polynomial of an element, primitive, leading coefficient positive; exact."""
        import flint

        table = [[flint.fmpq(c.numerator, c.denominator) for c in r] for r in self.matrix(element)]
        found = flint.fmpq_mat(table).minpoly()
        numerator = found.numer()
        p = [int(c) for c in (numerator // numerator.content()).coeffs()]
        return tuple(p if p[-1] > 0 else [-c for c in p])

    def ball(self, element: Element, bits: int) -> Any:
        """The element's value in balls; rigorous."""
        import flint

        with flint.ctx.workprec(bits):
            root, value = self._root(bits), flint.arb(0)
            for c in reversed(element):
                value = value * root + flint.arb(flint.fmpq(c.numerator, c.denominator))
        return value

    def _root(self, bits: int) -> Any:
        known = self.__dict__.setdefault("_roots", {})
        if bits not in known:
            known[bits] = real_roots(self.polynomial, bits)[self.index]
        return known[bits]

    def rank(self, colours: NDArray[np.int64], elements: Sequence[Element]) -> int:
        """Rank of the matrix whose entry (i, j) is elements[colours[i, j]]; exact."""
        import flint

        common = math.lcm(*(c.denominator for e in elements for row in self.matrix(e) for c in row))
        k = self.degree
        blocks = np.empty((len(elements), k, k), dtype=object)
        for number, element in enumerate(elements):
            for i, row in enumerate(self.matrix(element)):
                blocks[number, i] = [int(c * common) for c in row]
        n = colours.shape[0]
        whole = blocks[colours].transpose(0, 2, 1, 3).reshape(n * k, n * k)
        total = int(flint.fmpz_mat(whole.tolist()).rank())
        return total // k


def common_field(
    values: Sequence[Fraction], digits: float, largest: int, certain: float
) -> tuple[Field, list[Element]] | None:
    """A field that holds all values, and the values in it, or None; a guess.

    Starts from the rationals and, at the first value that does not fit, adjoins it: the new
    generator is alpha + m value for a small m, and everything is expressed anew.
    """
    field = Field((-1, 1), 0, Fraction(1), digits)
    for _ in range(5):
        elements: list[Element] = []
        for value in values:
            element = field.member(value)
            if element is None:
                break
            elements.append(element)
        else:
            return field, elements
        wider = _adjoined(field, values[len(elements)], digits, largest, certain)
        if wider is None:
            return None
        field = wider
    return None


def _adjoined(
    field: Field, value: Fraction, digits: float, largest: int, certain: float
) -> Field | None:
    import flint

    for m in (1, 2, -1):
        alpha = value if field.degree == 1 else field.alpha + m * value
        with flint.ctx.workprec(int(digits * 3.33) + 64):
            ball = flint.arb(flint.fmpq(alpha.numerator, alpha.denominator))
        found = algebraic(ball, digits - 0.5, degree=largest, certain=certain)
        if found.status == "found" and found.degree > field.degree:
            wider = Field(found.coefficients, found.index, alpha, digits - 0.5)
            if field.degree == 1 or wider.member(value) is not None:
                return wider
        if field.degree == 1:
            return None
    return None
