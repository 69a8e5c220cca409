"""Finite fields as tables, large enough for the geometries of the catalogue.

Elements of GF(p^e) are the whole numbers 0 ... q - 1, read in base p as the coefficients of a
polynomial; 0 and 1 are the field's own. Derived here, by trial: nothing is looked up.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property, lru_cache

import flint
import numpy as np
from numpy.typing import NDArray

from packing.errors import BadInput
from packing.types import Int


@dataclass(frozen=True, eq=False)
class Field:
    """GF(q), q = p^e.

    Parameters
    ----------
    p, e : int
        Characteristic and degree.
    plus, times : (q, q) arrays of int
        Tables of sums and products.
    """

    p: int
    e: int
    plus: Int
    times: Int

    @property
    def q(self) -> int:
        return self.p**self.e

    @cached_property
    def negative(self) -> Int:
        """-x for every x, shape (q,)."""
        return np.asarray(np.argmin(self.plus, axis=1), dtype=np.int64)

    @cached_property
    def square(self) -> NDArray[np.bool_]:
        """Which elements are squares of non-zero elements, shape (q,)."""
        found = np.zeros(self.q, dtype=bool)
        found[np.diag(self.times)[1:]] = True
        return found

    def power(self, x: Int, k: int) -> Int:
        """x^k, element by element, k >= 1."""
        result = x
        for _ in range(k - 1):
            result = self.times[result, x]
        return result

    def sum(self, *terms: Int) -> Int:
        """Sum of arrays, element by element."""
        total = terms[0]
        for term in terms[1:]:
            total = self.plus[total, term]
        return total

    def points(self, dimension: int) -> Int:
        """Points of the projective space over GF(q), (count, dimension); first non-zero is 1."""
        blocks = []
        for lead in range(dimension):
            rest = list(itertools.product(range(self.q), repeat=dimension - lead - 1))
            block = np.zeros((len(rest), dimension), dtype=np.int64)
            block[:, lead] = 1
            block[:, lead + 1 :] = np.array(rest, dtype=np.int64).reshape(len(rest), -1)
            blocks.append(block)
        return np.concatenate(blocks)


def prime_power(q: int) -> tuple[int, int] | None:
    """(p, e) with q = p^e and p prime, or None."""
    factors = flint.fmpz(q).factor() if q > 1 else []
    return (int(factors[0][0]), factors[0][1]) if len(factors) == 1 else None


@lru_cache(maxsize=32)
def field(q: int) -> Field:
    """GF(q).

    Raises
    ------
    BadInput
        If q is no power of a prime.
    """
    split = prime_power(q)
    if split is None:
        raise BadInput(f"q = {q}: a finite field has a power of a prime many elements, give one")
    p, e = split
    digits = np.array(list(itertools.product(range(p), repeat=e)), dtype=np.int64)[:, ::-1]
    weights = p ** np.arange(e)
    plus = ((digits[:, None] + digits[None]) % p) @ weights
    product = np.zeros((q, q, 2 * e - 1), dtype=np.int64)
    for i, j in itertools.product(range(e), repeat=2):
        product[:, :, i + j] += np.multiply.outer(digits[:, i], digits[:, j])
    # The first monic polynomial for which multiplication has no zero divisors is irreducible.
    for low in digits:
        rest = product.copy()
        for top in range(2 * e - 2, e - 1, -1):
            rest[:, :, top - e : top] -= rest[:, :, top, None] * low
        times = np.asarray((rest[:, :, :e] % p) @ weights, dtype=np.int64)
        if np.all(times[1:, 1:] > 0):
            return Field(p, e, np.asarray(plus, dtype=np.int64), times)
    raise AssertionError("there is an irreducible polynomial of every degree")
