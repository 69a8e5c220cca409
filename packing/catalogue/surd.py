"""Square roots of rationals in the exact numbers of the catalogue.

Eigenvalues of strongly regular graphs and cosines of equiangular lines are a + b sqrt(D).
"""

from __future__ import annotations

import math
from fractions import Fraction

from packing.catalogue.numbers import RATIONALS, Number, quadratic


def surd(a: int | Fraction, b: int | Fraction = 0, D: int = 1) -> Number:
    """a + b sqrt(D), D >= 0, exact; squares are taken out of D first."""
    part, factor = math.isqrt(D), 2
    if b == 0 or part * part == D:  # a square, however large, at once; others by trial
        return RATIONALS(Fraction(a) + Fraction(b) * part)
    part = 1
    while factor * factor <= D:
        while D % (factor * factor) == 0:
            D, part = D // (factor * factor), part * factor
        factor += 1
    return quadratic(D)(Fraction(a), Fraction(b) * part)


def root_of(x: Fraction) -> Number:
    """sqrt(x), x >= 0, exact."""
    return surd(0, Fraction(1, x.denominator), x.numerator * x.denominator)
