"""Closed-form bounds on points of R^d: largest cosine, how many, Coulomb energy.

Levenshtein's of every degree, Boroczky's simplex bound in R^4, Rankin's, Fejes Toth's, random
coding, and the universal bound on the energy. Values are rounded to the safe side after ball or
exact arithmetic, except that of the energy.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from flint import acb, arb, ctx, fmpq, fmpq_poly

from packing.algebra.balls import fraction, rational
from packing.algebra.zonal import Polynomial, distinct_roots, expand, zonal
from packing.bounds.bound import BITS, Bound, down, down_fraction, up, up_fraction
from packing.errors import BadInput
from packing.results import Evidence
from packing.types import Float

# Levenshtein's bounds of every degree: the value exactly, and the polynomial that proves it.
#
# Levenshtein 1979, 1992 (Acta Appl. Math. 29, 1-82). At most L_m(d, s) points of R^d have all
# cosines at most s, for s in an interval I_m; the intervals m = 1, 2, 3, ... follow each other and
# L is continuous and strictly increasing across them. At the ends L takes the values D(d, m) of
# Delsarte, Goethals and Seidel 1977 (least size of a spherical m-design), so the number of points
# alone says which m applies.


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
    top = family[j + 1] * family[j](at) - family[j] * family[j + 1](at)
    return divmod(top, fmpq_poly([-at, 1]))[0]


def multipliers(d: int, s: Fraction, m: int, lines: bool = False) -> tuple[Fraction, ...] | None:
    """The a_k of Levenshtein's polynomial divided by its mean, or None if some is negative."""
    weights = expand(polynomial(d, s, m, lines), d, lines)
    if weights[0] <= 0:
        return None
    scaled = tuple(w / weights[0] for w in weights[1:])
    return scaled if all(a >= 0 for a in scaled) else None


# The simplex bound in R^4: no packing of caps on S^3 is denser than in a regular tetrahedron.
#
# Coxeter 1963 conjectured it, K. Boroczky proved it (Acta Math. Acad. Sci. Hungar. 32 (1978)
# 243-261). Caps of angular radius t/2 around the vertices of a regular spherical tetrahedron with
# edge t cover part of it: each vertex takes the share (3 a - pi) / (4 pi) of its cap, a the
# dihedral angle. So n points with angle t satisfy n <= 2 pi (3 a - pi) / V, V the tetrahedron's
# volume. The 600-cell's cells are such tetrahedra: 120 points are met exactly. In R^3 the same idea
# is Fejes Toth's bound.


BOROCZKY = "Coxeter 1963; K. Boroczky, Acta Math. Acad. Sci. Hungar. 32 (1978) 243-261"


def points_at(edge: Any) -> Any:
    """Ball around 2 pi (3 a - pi) / V for an edge (ball) in (0, pi/2]; BITS of precision.

    cos a = cos t / (1 + 2 cos t); by Schlaefli's formula dV = 3 t da, which gives
    V = 3 integral_0^t u sin u / ((1 + 2 cos u) sqrt((1 + cos u)(1 + 3 cos u))) du.
    """

    def slope(u: Any, analytic: bool) -> Any:
        c = u.cos()
        root = ((1 + c) * (1 + 3 * c)).sqrt(analytic=analytic)
        return u * u.sin() / ((1 + 2 * c) * root)

    volume = 3 * acb.integral(slope, 0, acb(edge)).real
    c = arb(edge).cos()
    dihedral = (c / (1 + 2 * c)).acos()
    return 2 * arb.pi() * (3 * dihedral - arb.pi()) / volume


def _points_float(edge: float, nodes: Any, weights: Any) -> float:
    u = 0.5 * edge * (nodes + 1.0)
    c = np.cos(u)
    slope = u * np.sin(u) / ((1.0 + 2.0 * c) * np.sqrt((1.0 + c) * (1.0 + 3.0 * c)))
    volume = 1.5 * edge * float(weights @ slope)
    return 2.0 * math.pi * (3.0 * _dihedral(edge) - math.pi) / volume


def _dihedral(edge: float) -> float:
    c = math.cos(edge)
    return math.acos(c / (1.0 + 2.0 * c))


@lru_cache(maxsize=4096)
def boroczky(n: int, d: int) -> Bound | None:
    """d = 4, n >= 8: the largest cosine is at least that of the edge whose bound is n.

    The edge is found in floats; then ball arithmetic proves that a slightly larger edge allows
    fewer than n points. None outside d = 4 and where floats are too coarse (n above 10^12).
    """
    if d != 4 or not 8 <= n <= 10**12:
        return None
    nodes, weights = np.polynomial.legendre.leggauss(40)
    low, high = 1e-6, math.pi / 2  # points_at falls from infinity to 8 on this interval
    while (middle := 0.5 * (low + high)) not in (low, high):
        if _points_float(middle, nodes, weights) > n:
            low = middle
        else:
            high = middle
    with ctx.workprec(BITS):
        edge, step = high, 1e-15
        while edge < math.pi / 2 and not points_at(arb(edge)) < n:
            edge, step = high * (1.0 + step), 4.0 * step
        value = 0.0 if edge >= math.pi / 2 else down(arb(edge).cos())
    exact, shape = {120: ("(1 + sqrt(5))/4", "600-cell"), 8: ("0", "cross-polytope")}.get(
        n, (None, None)
    )
    return Bound(
        "Boroczky simplex",
        "max_cosine",
        "at least",
        value,
        exact,
        "d = 4, n >= 8",
        BOROCZKY,
        attained=shape,
    )


# Bounds on the largest cosine of n points in R^d that are formulas (or solve one equation).


RANKIN = "Rankin, Proc. Glasgow Math. Assoc. 2 (1955) 139-144"
FEJES_TOTH = "L. Fejes Toth, Jber. Deutsch. Math.-Verein. 53 (1943) 66-68"
LEVENSHTEIN = "Levenshtein 1979; Acta Appl. Math. 29 (1992) 1-82"
COHN_KUMAR = "Cohn and Kumar, J. Amer. Math. Soc. 20 (2007) 99-148, Table 1"

SHARP = {
    (3, 12): "icosahedron",
    (5, 16): "5-demicube",
    (6, 27): "27 points of the Schlaefli graph",
    (7, 56): "56 points (kissing arrangement of E8's)",
    (8, 240): "E8 roots",
    (21, 162): "162 points, strongly regular graph",
    (22, 100): "Higman-Sims",
    (22, 275): "McLaughlin",
    (22, 891): "891 points, kissing arrangement",
    (23, 552): "552 points, 276 equiangular lines",
    (23, 4600): "4600 points, kissing arrangement",
    (24, 196560): "Leech lattice minimal vectors",
}
"""Codes (d, n) that meet Levenshtein's bound, besides the families in `sharp_code`."""

PRIME_POWERS = (2, 3, 4, 5, 7, 8, 9)
"""q of the isotropic subspaces considered."""


def point_bounds(n: int, d: int) -> tuple[Bound, ...]:
    """Every closed-form bound on the largest cosine of n points in R^d that applies."""
    found = [elementary(n, d), polygon(n, d), *rankin(n, d), fejes_toth(n, d)]
    found += [boroczky(n, d), levenshtein_bound(n, d), random_coding(n, d)]
    return tuple(b for b in found if b is not None)


def _at_least(
    name: str, value: float, exact: str | None, holds: str, source: str, **more: Any
) -> Bound:
    return Bound(name, "max_cosine", "at least", value, exact, holds, source, **more)


def elementary(n: int, d: int) -> Bound | None:
    """One point has no cosine; three points on a line repeat one."""
    if n == 1:
        return _at_least("one point", -1.0, "-1", "n = 1", "no pair, hence no constraint")
    if d == 1:
        value = "-1" if n == 2 else "1"
        attained = "digon" if n == 2 else "repeated points"
        return _at_least(
            "line", float(value), value, "d = 1", "R^1 has two unit vectors", attained=attained
        )
    return None


def polygon(n: int, d: int) -> Bound | None:
    """d = 2: the n gaps between neighbours sum to 2 pi, so the least is at most 2 pi / n."""
    if d != 2 or n < 2:
        return None
    short = {2: "-1", 3: "-1/2", 4: "0", 6: "1/2"}
    with ctx.workprec(BITS):
        value = down(arb.cos_pi_fmpq(fmpq(2, n)))
    return _at_least(
        "polygon",
        float(Fraction(short[n])) if n in short else value,
        short.get(n, f"cos(2*pi/{n})"),
        "d = 2, n >= 2",
        "gaps between neighbours sum to a full turn",
        attained=f"regular {n}-gon",
    )


def rankin(n: int, d: int) -> tuple[Bound, ...]:
    """c >= -1/(n-1) for n <= d + 1, c >= 0 for n > d + 1; both met (the second up to n = 2d)."""
    if n < 2:
        return ()
    if n <= d + 1:
        value = Fraction(-1, n - 1)
        simplex = f"regular simplex of {n} points"
        return (
            _at_least(
                "Rankin simplex",
                down_fraction(value),
                str(value),
                "2 <= n <= d + 1",
                RANKIN,
                attained=simplex,
            ),
        )
    attained = "part of the cross-polytope" if n < 2 * d else "cross-polytope"
    return (
        _at_least(
            "Rankin orthoplex",
            0.0,
            "0",
            "n >= d + 2",
            RANKIN,
            attained=f"{attained} ({RANKIN})" if n <= 2 * d else None,
        ),
    )


def fejes_toth(n: int, d: int) -> Bound | None:
    """d = 3: cos >= (cot(w)^2 - 1) / 2 with w = n pi / (6 (n - 2)); met for n = 3, 4, 6, 12."""
    if d != 3 or n < 3:
        return None
    sharp = {
        3: ("-1/2", "triangle"),
        4: ("-1/3", "tetrahedron"),
        6: ("0", "octahedron"),
        12: ("sqrt(5)/5", "icosahedron"),
    }
    exact, shape = sharp.get(n, (None, None))
    with ctx.workprec(BITS):
        # Exactly representable values keep their float; the ball alone would lose one ulp.
        w = fmpq(n, 6 * (n - 2))
        value = down((arb.cos_pi_fmpq(w) / arb.sin_pi_fmpq(w)) ** 2 / 2 - arb(fmpq(1, 2)))
    if exact is not None and "sqrt" not in exact:
        value = down_fraction(Fraction(exact))
    return _at_least("Fejes Toth", value, exact, "d = 3, n >= 3", FEJES_TOTH, attained=shape)


def sharp_code(n: int, d: int) -> str | None:
    """The code of n points that meets Levenshtein's bound of R^d, n, d >= 2, where one is known.

    It is then of least energy for every completely monotonic potential (Cohn and Kumar 2007).
    """
    if n <= d + 1:
        return f"regular simplex of {n} points"
    if d == 2:
        return f"regular {n}-gon"
    if n == 2 * d:
        return "cross-polytope"
    if (d, n) in SHARP:
        return SHARP[d, n]
    for q in PRIME_POWERS:
        if (d, n) == (q * (q**3 + 1) // (q + 1), (q + 1) * (q**3 + 1)):
            return f"isotropic subspaces, q = {q}"
    return None


def levenshtein_bound(n: int, d: int) -> Bound | None:
    """Levenshtein's bound of the degree that n asks for; see `levenshtein`."""
    if n < 2 or d < 2:
        return None
    value, exact = cosine(n, d)
    m = level(n, d)
    sharp = sharp_code(n, d)
    return _at_least(
        f"Levenshtein, degree {m}",
        down_fraction(value),
        exact,
        f"d >= 2, D(d, {m}) < n" + (f" <= D(d, {m + 1})" if m < LARGEST_DEGREE else ""),
        LEVENSHTEIN,
        attained=f"{sharp} ({COHN_KUMAR})" if sharp is not None and exact is not None else None,
    )


@lru_cache(maxsize=4096)
def random_coding(n: int, d: int) -> Bound | None:
    """n points with angle t exist when caps of radius t around n - 1 points cannot cover.

    A cap of angle t is the fraction I_z(a, a) of the sphere, z = sin^2(t/2), a = (d-1)/2: the same
    as (1/2) I_(sin^2 t)(a, 1/2) up to a right angle, and without a turning point there.
    """
    if n < 2 or d < 2:
        return None
    from scipy.special import betaincinv

    with ctx.workprec(BITS):
        limit = arb(1) / (n - 1)
        # In floats first, then a little smaller until the ball proves it.
        z = float(betaincinv((d - 1) / 2, (d - 1) / 2, 1.0 / (n - 1))) if n > 2 else 1.0
        step = 1e-15
        a = arb(d - 1) / 2
        while n > 2 and not arb(z).beta_lower(a, a, 1) < limit:
            z, step = z * (1.0 - step), 4.0 * step
            if step > 0.5 or z <= 0.0:
                return None
        value = min(1.0, up(1 - 2 * arb(z)))
    return Bound(
        "random coding",
        "max_cosine",
        "at most",
        value,
        None,
        "n >= 2, d >= 2",
        "Shannon 1959, Wyner 1965 (greedy choice: caps around n - 1 points do not cover)",
    )


# Bounds on the number of points of R^d whose cosines do not exceed a given one.


def random_coding_points(d: int, cosine: Fraction) -> Bound:
    """At least 1 / (fraction of a cap) points have all cosines at most this; d >= 2."""
    with ctx.workprec(BITS):
        c = arb(fmpq(cosine.numerator, cosine.denominator))
        a = arb(d - 1) / 2
        size = (1 / ((1 - c) / 2).beta_lower(a, a, 1)).lower().ceil() if cosine > -1 else arb(1)
        value = down(size)
    return Bound(
        "random coding",
        "points",
        "at least",
        value,
        None,
        "d >= 2",
        "Shannon 1959, Wyner 1965 (caps around a largest arrangement cover the sphere)",
    )


def point_counts(d: int, cosine: Fraction) -> tuple[Bound, ...]:
    """Closed-form bounds on the number of points of R^d with cosines at most this; d >= 2."""
    found = []
    if cosine < 0:
        simplex = 1 - 1 / cosine
        found.append(_most("Rankin simplex", min(simplex, Fraction(d + 1)), "cosine < 0", RANKIN))
    elif cosine == 0:
        found.append(_most("Rankin orthoplex", Fraction(2 * d), "cosine = 0", RANKIN))
    if d in (2, 3, 4):
        found += _by_area(d, cosine)
    m = degree_at(d, cosine)
    if m <= LARGEST_DEGREE:
        value = count(d, cosine)
        found.append(_most(f"Levenshtein, degree {m}", value, f"cosine in I_{m}", LEVENSHTEIN))
    return (*found, random_coding_points(d, cosine))


def _by_area(d: int, cosine: Fraction) -> list[Bound]:
    """Gaps of the circle, Fejes Toth's triangles, Boroczky's tetrahedra, solved for n."""
    with ctx.workprec(BITS):
        c = arb(fmpq(cosine.numerator, cosine.denominator))
        if d == 2 and cosine > -1:
            value = up(2 * arb.pi() / c.acos())
            return [_number("polygon", value, "d = 2", "gaps sum to a full turn")]
        if d == 3 and cosine > Fraction(-1, 2):
            # cot(w)^2 = 2 c + 1 and n pi >= 6 (n - 2) w
            w = (1 / (2 * c + 1).sqrt()).atan()
            value = up(12 * w / (6 * w - arb.pi()))
            return [_number("Fejes Toth", value, "d = 3, cosine > -1/2", FEJES_TOTH)]
        if d == 4 and cosine > 0:
            return [_number("Boroczky simplex", up(points_at(c.acos())), "d = 4", BOROCZKY)]
    return []


def _number(name: str, value: float, holds: str, source: str) -> Bound:
    return Bound(name, "points", "at most", value, None, holds, source)


def _most(name: str, value: Fraction, holds: str, source: str) -> Bound:
    exact = str(value) if value.denominator < 10**12 else None
    return Bound(name, "points", "at most", up_fraction(value), exact, holds, source)


# A lower bound on the Coulomb energy of n points in R^d: the universal bound.
#
# Yudin 1992 for the method; Boyvalenkov, Dragnev, Hardin, Saff, Stoyanova, Constr. Approx. 44
# (2016) 385-415, for this form. With s the solution of L_m(d, s) = n and m even or odd, quadrature
# at the roots alpha_i of Levenshtein's polynomial integrates polynomials of degree <= m over the
# sphere: f_0 = f(1)/n + sum rho_i f(alpha_i). For a potential h whose derivatives are all >= 0 as a
# function of the cosine, the Hermite interpolant of h at these nodes lies below h and is positive
# definite, so sum over ordered pairs of h >= n^2 sum rho_i h(alpha_i).


LARGEST_LEVEL = 200
MARGIN = 1e-11
"""Relative margin for rounding: nodes and weights come from a symmetric tridiagonal matrix of at
most 100 rows and are good to about 1e-13."""


def coulomb(n: int, d: int) -> Bound | None:
    """Least sum over pairs of 1 / distance, n >= 2, d >= 2.

    Returns
    -------
    Bound or None
        The theorem is proved, its evaluation is floating point: numerical. None for
        n > D(d, 201), where too many nodes would be needed.
    """
    if n < 2 or d < 2 or level(n, d) >= LARGEST_LEVEL:
        return None
    nodes, weights = quadrature(n, d)
    value = 0.5 * n * n * float((weights / np.sqrt(2.0 - 2.0 * nodes)).sum())
    return Bound(
        "universal energy bound",
        "energy",
        "at least",
        value * (1.0 - MARGIN),
        None,
        "n >= 2, d >= 2, n <= D(d, 200)",
        "Yudin 1992; Boyvalenkov, Dragnev, Hardin, Saff, Stoyanova 2016",
        evidence=Evidence.NUMERICAL,
        attained=f"{shape} ({COHN_KUMAR})" if (shape := sharp_code(n, d)) is not None else None,
    )


def quadrature(n: int, d: int) -> tuple[Float, Float]:
    """Levenshtein's nodes (k,) and weights (k,); with weight 1/n at 1 the weights sum to 1.

    The nodes are a Gauss-Radau rule for (1 - x) w or (1 - x)(1 + x) w with one node fixed at s:
    eigenvalues of the Jacobi matrix with its last diagonal entry changed (Golub 1973).
    """
    m = level(n, d)
    s = float(cosine(n, d)[0])
    k = (m + 1) // 2
    right, left = (d - 1) / 2, (d - 3) / 2 if m % 2 else (d - 1) / 2
    diagonal, squares = _recurrence(right, left, k)
    # Monic p_(j+1) = (x - a_j) p_j - b_j p_(j-1); ratios do not under- or overflow.
    ratio = s - diagonal[0]
    for j in range(1, k - 1):
        ratio = s - diagonal[j] - squares[j] / ratio
    if k > 1:
        diagonal[k - 1] = s - squares[k - 1] / ratio
    else:
        diagonal[0] = s
    off = np.sqrt(squares[1:k])
    nodes, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1))
    inside = vectors[0] ** 2
    if m % 2:
        return nodes, inside / (1.0 - nodes)
    weights = inside * (1.0 - 1.0 / d) / (1.0 - nodes**2)
    rest = 1.0 - 1.0 / n - float(weights.sum())
    return np.append(nodes, -1.0), np.append(weights, rest)


def _recurrence(a: float, b: float, k: int) -> tuple[Float, Float]:
    """Diagonal (k,) and squared off-diagonal (k,) for the weight (1-x)^a (1+x)^b, both monic."""
    j = np.arange(1.0, k)
    size = 2.0 * j + a + b
    diagonal = np.empty(k)
    diagonal[0] = (b - a) / (a + b + 2.0)
    diagonal[1:] = (b * b - a * a) / (size * (size + 2.0))
    squares = np.zeros(k)
    if k > 1:
        top = 4.0 * j * (j + a) * (j + b) * (j + a + b)
        with np.errstate(invalid="ignore", divide="ignore"):
            squares[1:] = top / (size**2 * (size + 1.0) * (size - 1.0))
        # At j = 1 the factor (1 + a + b) cancels, which matters where it is zero.
        squares[1] = 4.0 * (1.0 + a) * (1.0 + b) / ((2.0 + a + b) ** 2 * (3.0 + a + b))
    return diagonal, squares
