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

from packing.algebra.balls import fraction, rational

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
    """Whether h <= 0 on [low, high], decided exactly.

    Only a root of odd multiplicity inside changes the sign. The product of the factors of odd
    multiplicity, freed of roots at the two ends, has none in between if and only if Sturm's theorem
    counts none; then the sign at any point where h is not zero is the sign everywhere.
    """
    if h.degree() < 0:
        return True
    if low == high:
        return bool(h(rational(low)) <= 0)
    odd = _odd_part(h)
    for end in (low, high):
        odd = _without_root(odd, end)
    if _roots_between(odd, low, high):
        return False
    for part in range(1, h.degree() + 3):  # more points than h has roots
        value = h(rational(low + (high - low) * Fraction(part, h.degree() + 3)))
        if value != 0:
            return bool(value < 0)
    return False


def _odd_part(h: Polynomial) -> Polynomial:
    product = fmpq_poly([1])
    for factor, multiplicity in h.numer().factor_squarefree()[1]:
        if multiplicity % 2:
            product = product * fmpq_poly(factor)
    return product


def _without_root(p: Polynomial, root: Fraction) -> Polynomial:
    if p(rational(root)) != 0:
        return p
    return divmod(p, fmpq_poly([-rational(root), 1]))[0]  # square-free: once is enough


def distinct_roots(p: Polynomial, low: Fraction, high: Fraction) -> int:
    """Number of distinct roots in the open interval."""
    plain = divmod(p, p.gcd(p.derivative()))[0]
    for end in (low, high):
        plain = _without_root(plain, end)
    return _roots_between(plain, low, high)


def _roots_between(p: Polynomial, low: Fraction, high: Fraction) -> int:
    """Number of distinct roots in (low, high) of a polynomial that is not zero at either end."""
    chain = [p, p.derivative()]
    while chain[-1].degree() >= 0:
        rest = -(chain[-2] % chain[-1])
        if rest.degree() < 0:
            break
        # A positive factor changes no sign and keeps the whole numbers short.
        chain.append(_primitive(rest))
    return _changes(chain, low) - _changes(chain, high)


def _primitive(p: Polynomial) -> Polynomial:
    whole = p.numer()
    return fmpq_poly(whole) * fmpq(1, abs(int(whole.content())))


def _changes(chain: list[Polynomial], x: Fraction) -> int:
    point = rational(x)
    signs = [value > 0 for value in (p(point) for p in chain) if value != 0]
    return sum(a != b for a, b in pairwise(signs))
