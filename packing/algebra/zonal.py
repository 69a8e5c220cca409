"""Zonal polynomials with rational coefficients, and the sign of a polynomial, proved.

Two systems. Points: P_k, the Gegenbauer polynomials of S^(d-1) with P_k(1) = 1, in the variable
x = cosine on [-1, 1]. Lines: the P_2k in the variable y = cosine squared on [0, 1]. Both are
positive definite (Schoenberg 1942): the sum over all pairs i, j of P_k(u_i . u_j) is never
negative, which is all that the linear programming bound uses.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Any

from flint import fmpq, fmpq_poly

from packing.algebra.balls import ends, fraction, rational
from packing.algebra.roots import primitive, real_roots

Polynomial = Any
"""flint.fmpq_poly; flint has no type stubs."""


@lru_cache(maxsize=256)
def zonal(d: int, degree: int, lines: bool = False) -> tuple[Polynomial, ...]:
    """The polynomials 0..degree of the system, d >= 2; see the module's docstring.

    P_0 = 1, P_1 = x, P_(k+1) = ((2k+d-2) x P_k - k P_(k-1)) / (k+d-2).
    """
    top = 2 * degree if lines else degree
    found = [fmpq_poly([1]), fmpq_poly([0, 1])]
    for k in range(1, top):
        step = fmpq_poly([0, 2 * k + d - 2]) * found[k] - k * found[k - 1]
        found.append(step * fmpq(1, k + d - 2))
    if lines:
        return tuple(fmpq_poly(p.coeffs()[::2]) for p in found[: top + 1 : 2])
    return tuple(found[: top + 1])


def expand(f: Polynomial, d: int, lines: bool = False) -> tuple[Fraction, ...]:
    """Coefficients of f in the system, lowest first."""
    degree = f.degree()
    basis = zonal(d, degree, lines)
    left, found = f, [Fraction(0)] * (degree + 1)
    for k in range(degree, -1, -1):
        weight = left[k] / basis[k][k]
        left = left - weight * basis[k]
        found[k] = fraction(weight)
    return tuple(found)


def combine(weights: tuple[Fraction, ...], d: int, lines: bool = False) -> Polynomial:
    """1 + sum of weights[k-1] times the k-th polynomial of the system."""
    basis = zonal(d, len(weights), lines)
    total = fmpq_poly([1])
    for k, weight in enumerate(weights, start=1):
        total = total + rational(weight) * basis[k]
    return total


def nowhere_positive(h: Polynomial, low: Fraction, high: Fraction) -> bool:
    """Whether h <= 0 on [low, high], decided exactly: at both ends and once between any two roots.

    A sample between two neighbouring roots, real ones isolated by Arb, has the sign of h in all of
    the gap; where a gap is cut by an end of the interval, the end is a sample of it.
    """
    if h.degree() < 0:
        return True
    balls = map(ends, real_roots(primitive(_squarefree(h)), 128))
    between = ((a[1] + b[0]) / 2 for a, b in pairwise(balls))
    samples = (low, high, *(x for x in between if low < x < high))
    return all(h(rational(x)) <= 0 for x in samples)


def distinct_roots(p: Polynomial, low: Fraction, high: Fraction) -> int:
    """Number of distinct roots in the open interval."""
    plain = _squarefree(p)
    for end in (low, high):
        if plain(rational(end)) == 0:
            plain = plain // fmpq_poly([-rational(end), 1])
    bits = 128
    while True:  # no root is an end: in some precision the balls say on which side they lie
        balls = [ends(root) for root in real_roots(primitive(plain), bits)]
        if not any(a <= end <= b for a, b in balls for end in (low, high)):
            return sum(low < a < high for a, _ in balls)
        bits *= 2


def _squarefree(p: Polynomial) -> Polynomial:
    """The polynomial with every root once."""
    return p // p.gcd(p.derivative())
