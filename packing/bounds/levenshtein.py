"""Levenshtein's bounds of every degree: the value exactly, and the polynomial that proves it.

Levenshtein 1979, 1992 (Acta Appl. Math. 29, 1-82). At most L_m(d, s) points of R^d have all cosines
at most s, for s in an interval I_m; the intervals m = 1, 2, 3, ... follow each other and L is
continuous and strictly increasing across them. At the ends L takes the values D(d, m) of Delsarte,
Goethals and Seidel 1977 (least size of a spherical m-design), so the number of points alone says
which m applies.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Any

from packing.bounds.exact import Polynomial, distinct_roots, expand, fraction, rational, zonal
from packing.errors import BadInput

LARGEST_DEGREE = 300
"""Degrees above are not used: more points than D(d, 300) are answered for D(d, 300) of them, which
is weaker and still true."""

EXACT_FORM_DEGREE = 12
"""Up to this degree an exact form of the cosine is looked for."""


def design_size(d: int, m: int) -> int:
    """D(d, m), the least number of points an m-design in R^d can have (DGS 1977), d >= 2."""
    k = (m + 1) // 2
    if m % 2:
        return 2 * math.comb(d + k - 2, d - 1)
    return math.comb(d + m // 2 - 1, d - 1) + math.comb(d + m // 2 - 2, d - 1)


def level(n: int, d: int) -> int:
    """The m with D(d, m) < n <= D(d, m + 1), at least 1 and at most LARGEST_DEGREE; n >= 2."""
    m = 1
    while m < LARGEST_DEGREE and design_size(d, m + 1) < n:
        m += 1
    return m


def count(d: int, s: Fraction) -> Fraction:
    """Upper bound on the number of points in R^d with all cosines at most s, exactly; d >= 2.

    Raises
    ------
    BadInput
        If s needs a degree above LARGEST_DEGREE.
    """
    value, _ = _walk(d, rational(s), LARGEST_DEGREE)
    if value is None:
        raise BadInput(
            f"cosine {float(s)} in d = {d} needs a degree above {LARGEST_DEGREE}: lower it"
        )
    return fraction(value)


def degree_at(d: int, s: Fraction) -> int:
    """The m with s in I_m; LARGEST_DEGREE + 1 when it is larger than that."""
    return _walk(d, rational(s), LARGEST_DEGREE)[1]


def _walk(d: int, s: Any, largest: int) -> tuple[Any, int]:
    """L_m(d, s) and m, for s a float or an exact rational number.

    I_(2k-1) ends at the largest zero of P_k - P_(k+1) other than 1, I_2k at the largest zero of the
    Gegenbauer polynomial R_k of dimension d + 2. In a family of orthogonal polynomials all members
    up to k are positive at s exactly when s is beyond the largest zero of the k-th, so signs met on
    the way decide which interval s is in, without computing a zero.
    """
    before, here, after = None, 1 + 0 * s, s  # P_(k-1), P_k, P_(k+1)
    r_before, r_here = None, 1 + 0 * s  # R_(k-1), R_k
    for k in range(1, largest // 2 + 1):
        before, here, after = here, after, ((2 * k + d - 2) * s * after - k * here) / (k + d - 2)
        r_before, r_here = (
            r_here,
            (s if k == 1 else ((2 * k + d - 2) * s * r_here - (k - 1) * r_before) / (k + d - 1)),
        )
        if here - after <= 0:
            scale = math.comb(k + d - 3, k - 1)
            top = (before - here) / ((1 - s) * here)
            return scale * ((2 * k + d - 3) / (d - 1 + 0 * s) - top), 2 * k - 1
        if r_here <= 0:
            scale = math.comb(k + d - 2, k)
            top = (1 + s) * (here - after) / ((1 - s) * (here + after))
            return scale * ((2 * k + d - 1) / (d - 1 + 0 * s) - top), 2 * k
    return None, largest + 1


@lru_cache(maxsize=4096)
def cosine(n: int, d: int) -> tuple[Fraction, str | None]:
    """Lower bound on the largest cosine of n points in R^d, n, d >= 2, and its exact form.

    The fraction s has L(d, s) <= n, proved by exact arithmetic, so that no n points have a smaller
    largest cosine (L is strictly increasing); it is within about 1e-15 of the number with L = n.
    The exact form is given where that number is rational or has degree 2.
    """
    m = level(n, d)
    largest = design_size(d, m + 1)
    if n > largest:
        n = largest  # any n points contain so many
    low, high = -1.0, 1.0
    while (middle := (low + high) / 2) not in (low, high):
        if _fewer(d, middle, n):
            low = middle
        else:
            high = middle
    step, start = 2.0**-52, low
    while low > -1.0 and count(d, Fraction(low)) > n:
        low, step = max(-1.0, start - step), 2 * step
    return _exact_form(n, d, m, Fraction(low))


def _fewer(d: int, s: float, n: int) -> bool:
    """Whether L(d, s) < n, in floats; False where L is more than floats can hold."""
    try:
        value = _walk(d, s, LARGEST_DEGREE)[0]
    except OverflowError:
        return False
    return value is not None and bool(value < n)


def _exact_form(n: int, d: int, m: int, low: Fraction) -> tuple[Fraction, str | None]:
    """The root of the numerator of L_m - n just above low, if it has a short form.

    Between low and high L passes n (checked), and the numerator has one root there (Sturm): so that
    root is the number with L = n.
    """
    if n == 2:
        return Fraction(-1), "-1"
    high, under = low + Fraction(1, 2**44), low - Fraction(1, 2**44)
    if m > EXACT_FORM_DEGREE or count(d, high) < n:
        return low, None
    numerator = _numerator(n, d, m)
    if distinct_roots(numerator, under, high) != 1:
        return low, None
    for factor, _ in numerator.numer().factor()[1]:
        for root, text in _roots(*(int(c) for c in factor.coeffs()[::-1])):
            if under < root < high:
                return root, text
    return low, None


def _numerator(n: int, d: int, m: int) -> Polynomial:
    """Numerator of L_m(d, s) - n as a polynomial in s."""
    from flint import fmpq, fmpq_poly

    k = (m + 1) // 2
    P = zonal(d, k + 1)
    one, x = fmpq_poly([1]), fmpq_poly([0, 1])
    if m % 2:
        scale = math.comb(k + d - 3, k - 1)
        bottom = (one - x) * P[k]
        return (scale * fmpq(2 * k + d - 3, d - 1) - n) * bottom - scale * (P[k - 1] - P[k])
    scale = math.comb(k + d - 2, k)
    bottom = (one - x) * (P[k] + P[k + 1])
    top = scale * (one + x) * (P[k] - P[k + 1])
    return (scale * fmpq(2 * k + d - 1, d - 1) - n) * bottom - top


def _roots(*coefficients: int) -> list[tuple[Fraction, str]]:
    """Real roots of a x + b or a x^2 + b x + c: at most 2^-90 below the root, and its text."""
    if len(coefficients) == 2:
        root = Fraction(-coefficients[1], coefficients[0])
        return [(root, str(root))]
    if len(coefficients) != 3:
        return []
    a, b, c = coefficients
    inside = b * b - 4 * a * c
    if inside <= 0:
        return []
    square = max(q for q in range(1, 2000) if inside % (q * q) == 0)
    plain = inside // (square * square)
    surd = Fraction(math.isqrt(plain << 240), 1 << 120)  # within 2^-120
    found = []
    for sign in (1, -1):
        p, q = Fraction(-b, 2 * a), Fraction(sign * square, 2 * a)
        root = p + q * surd - Fraction(1, 2**100)
        found.append((root, _surd_text(p, q, plain)))
    return found


def _surd_text(p: Fraction, q: Fraction, inside: int) -> str:
    """p + q sqrt(inside) as text."""
    common = math.lcm(p.denominator, q.denominator)
    a, b = int(p * common), int(q * common)
    size = "" if abs(b) == 1 else f"{abs(b)}*"
    if a == 0:
        text = f"{'-' if b < 0 else ''}{size}sqrt({inside})"
    else:
        text = f"({a} {'-' if b < 0 else '+'} {size}sqrt({inside}))"
    return text if common == 1 else f"{text}/{common}"


def polynomial(d: int, s: Fraction, m: int, lines: bool = False) -> Polynomial:
    """Levenshtein's polynomial of degree m for the cosine s (lines: squared cosine s).

    (x - s) K(x, s)^2 for odd m, (x - lowest) (x - s) K(x, s)^2 for even m, with K the
    Christoffel-Darboux kernel of the polynomials orthogonal for (1 - x) and (1 - x)(x - lowest)
    times the system's weight. Nothing is claimed here: a certificate made of it is verified.
    """
    from flint import fmpq_poly

    k = (m + 1) // 2
    lowest, one = rational(0 if lines else -1), rational(1)
    family = list(zonal(d, k + 2, lines))
    family = [_kernel(family, j, one) for j in range(k + 2)]
    if m % 2 == 0:
        family = [_kernel(family, j, lowest) for j in range(k + 1)]
    point = rational(s)
    kernel = _kernel(family, k - 1, point)
    f = fmpq_poly([-point, 1]) * kernel * kernel
    return f if m % 2 else f * fmpq_poly([-lowest, 1])


def _kernel(family: list[Polynomial], j: int, at: Any) -> Polynomial:
    """(p_(j+1)(x) p_j(a) - p_j(x) p_(j+1)(a)) / (x - a): orthogonal for (x - a) w."""
    from flint import fmpq_poly

    top = family[j + 1] * family[j](at) - family[j] * family[j + 1](at)
    return divmod(top, fmpq_poly([-at, 1]))[0]


def multipliers(d: int, s: Fraction, m: int, lines: bool = False) -> tuple[Fraction, ...] | None:
    """The a_k of Levenshtein's polynomial divided by its mean, or None if some is negative."""
    weights = expand(polynomial(d, s, m, lines), d, lines)
    if weights[0] <= 0:
        return None
    scaled = tuple(w / weights[0] for w in weights[1:])
    return scaled if all(a >= 0 for a in scaled) else None
