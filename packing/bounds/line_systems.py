"""Bounds on the coherence (largest |cosine|) of n lines in R^d, and on equiangular lines."""

from __future__ import annotations

import math
from fractions import Fraction

from flint import arb, ctx, fmpq

from packing.bounds.bound import BITS, Bound, down, down_root, up_fraction
from packing.bounds.spherical_codes import boroczky, fejes_toth, levenshtein_bound

CONWAY = "Conway, Hardin, Sloane, Experiment. Math. 5 (1996) 139-159"

FRAMES = "Fickus and Mixon 2015, arXiv 1504.00253"

EQUIANGULAR = frozenset(
    {
        *((3, 6), (5, 10), (6, 16), (7, 14), (7, 28), (9, 18), (10, 16), (13, 26), (15, 36)),
        *((21, 28), (21, 36), (21, 126), (22, 176), (23, 276)),
    }
)
"""(d, n) of some real equiangular tight frames; they meet Welch's bound. Not (20, 96): srg(95, 40,
12, 20) does not exist (Azarija and Marc 2020)."""

SHARP_LINES = {
    (6, 36): "E6 roots (Delsarte, Goethals, Seidel 1975)",
    (7, 63): "E7 roots (Delsarte, Goethals, Seidel 1975)",
    (8, 120): "E8 roots (Delsarte, Goethals, Seidel 1975)",
    (23, 2300): "half of the 4600 points (Delsarte, Goethals, Seidel 1975)",
}
"""(d, n) of some systems of lines that meet Levenshtein's bound of degree 2."""

ORDERS = 40
"""Highest order of Welch's bound tried; the best order grows slowly with n."""


def line_bounds(n: int, d: int) -> tuple[Bound, ...]:
    """Every closed-form bound on the coherence of n lines in R^d that applies."""
    found = [few_lines(n, d), polygon_lines(n, d), welch(n, d), high_welch(n, d)]
    found += [orthoplex(n, d), levenshtein_lines(n, d)]
    if n > d:
        points = (fejes_toth(2 * n, d), boroczky(2 * n, d), levenshtein_bound(2 * n, d))
        found += [doubled(b, n, d) for b in points if b is not None]
    return tuple(b for b in found if b is not None)


def _coherence(
    name: str, square: Fraction, holds: str, source: str, attained: str | None = None
) -> Bound:
    exact = str(Fraction(math.isqrt(square.numerator), math.isqrt(square.denominator)))
    if Fraction(exact) ** 2 != square:
        exact = f"sqrt({square})"
    return Bound(
        name, "coherence", "at least", down_root(square), exact, holds, source, attained=attained
    )


ANTIPODAL = {
    (3, 12): "icosahedron",
    (4, 120): "600-cell",
    (7, 56): "56 points of E8",
    (8, 240): "E8 roots",
    (23, 552): "552 points",
    (23, 4600): "4600 points",
    (24, 196560): "Leech lattice minimal vectors",
}
"""Antipodal codes (d, 2n) that meet a bound: their diagonals do too."""


def doubled(b: Bound, n: int, d: int) -> Bound:
    """The unit vectors u and -u of n > d lines are 2n points; their largest cosine bounds lines."""
    shape = ANTIPODAL.get((d, 2 * n)) if b.attained is not None else None
    return Bound(
        f"{b.name}, of 2n points",
        "coherence",
        "at least",
        b.value,
        b.exact,
        f"n > d; for 2n points: {b.holds}",
        b.source,
        attained=f"diagonals: {shape}" if shape is not None else None,
    )


def few_lines(n: int, d: int) -> Bound | None:
    """n <= d: orthogonal lines; d = 1: all lines are one."""
    if n <= d:
        return _coherence(
            "orthogonal", Fraction(0), "n <= d", "orthonormal vectors", "orthonormal vectors"
        )
    if d == 1:
        return _coherence(
            "line", Fraction(1), "d = 1, n >= 2", "R^1 holds one line", "repeated lines"
        )
    return None


def polygon_lines(n: int, d: int) -> Bound | None:
    """d = 2: the n gaps between neighbouring lines sum to pi."""
    if d != 2 or n < 2:
        return None
    short = {2: "0", 3: "1/2"}
    with ctx.workprec(BITS):
        value = down(arb.cos_pi_fmpq(fmpq(1, n)))
    return Bound(
        "polygon",
        "coherence",
        "at least",
        float(Fraction(short[n])) if n in short else value,
        short.get(n, f"cos(pi/{n})"),
        "d = 2, n >= 2",
        "gaps between neighbouring lines sum to half a turn",
        attained=f"diagonals of the regular {2 * n}-gon",
    )


def welch(n: int, d: int) -> Bound | None:
    """mu^2 >= (n - d) / (d (n - 1)); met only by equiangular tight frames."""
    if n < d or n < 2:
        return None
    square = Fraction(n - d, d * (n - 1))
    holds = "n >= d, n >= 2; cannot be met for n > d(d+1)/2"
    named = f"lines through the vertices of the regular {d}-simplex" if n == d + 1 else None
    if (d, n) in EQUIANGULAR:
        named = f"equiangular tight frame of {n} vectors ({FRAMES})"
    return _coherence(
        "Welch", square, holds, "Welch, IEEE Trans. Inform. Theory 20 (1974) 397-399", named
    )


def high_welch(n: int, d: int) -> Bound | None:
    """The best order k >= 2 of mu^(2k) >= (n c_k - 1) / (n - 1), c_k the mean of cos^(2k).

    c_k = 1 3 5 ... (2k-1) / (d (d+2) ... (d+2k-2)): sum over all pairs of cos^(2k) >= n^2 c_k
    (Sidelnikov 1974), the real form of Welch's bounds, whose constant 1 / C(d+k-1, k) is for
    complex vectors and smaller.
    """
    if n < 2 or d < 2:
        return None
    best, order, mean = 0.0, 0, Fraction(1, d)
    with ctx.workprec(BITS):
        for k in range(2, ORDERS + 1):
            mean *= Fraction(2 * k - 1, d + 2 * k - 2)
            power = (n * mean - 1) / (n - 1)
            if power <= 0:
                break
            value = down(arb(fmpq(power.numerator, power.denominator)).root(2 * k))
            if value > best:
                best, order = value, k
    if order == 0:
        return None
    return Bound(
        f"Welch, order {order}",
        "coherence",
        "at least",
        best,
        None,
        "n c_k > 1 for some k >= 2, c_k = 1 3 ... (2k-1) / (d (d+2) ... (d+2k-2))",
        "Welch 1974; real form: Sidelnikov, Mat. Sbornik 95 (1974) 148-158",
    )


def orthoplex(n: int, d: int) -> Bound | None:
    """mu >= 1 / sqrt(d) for n > d (d + 1) / 2: Rankin for the projections, less their trace."""
    if n <= d * (d + 1) // 2 or d < 2:
        return None
    # d/2 + 1 mutually unbiased orthonormal bases of R^d, d a power of 4, and any part of them.
    power_of_4 = d.bit_count() == 1 and d.bit_length() % 2 == 1
    bases = "mutually unbiased bases (Cameron and Seidel 1973)"
    return _coherence(
        "orthoplex",
        Fraction(1, d),
        "d >= 2, n > d(d+1)/2",
        CONWAY,
        bases if power_of_4 and n <= d * (d // 2 + 1) else None,
    )


def levenshtein_lines(n: int, d: int) -> Bound | None:
    """mu^2 >= (3n - d^2 - 2d) / ((d + 2)(n - d)) for n > d (d + 1) / 2."""
    if n <= d * (d + 1) // 2 or d < 2:
        return None
    return _coherence(
        "Levenshtein (lines)",
        Fraction(3 * n - d * d - 2 * d, (d + 2) * (n - d)),
        "d >= 2, n > d(d+1)/2",
        "Levenshtein, Acta Appl. Math. 29 (1992) 1-82",
        SHARP_LINES.get((d, n)),
    )


def gerzon(d: int) -> Bound:
    """At most d (d + 1) / 2 equiangular lines: their projections are linearly independent."""
    size = d * (d + 1) // 2
    return Bound(
        "Gerzon",
        "lines",
        "at most",
        up_fraction(Fraction(size)),
        str(size),
        "equiangular lines in R^d",
        "Gerzon, in Lemmens and Seidel, J. Algebra 24 (1973) 494-512",
    )


def relative(d: int, square: Fraction) -> Bound | None:
    """n <= d (1 - mu^2) / (1 - d mu^2) lines with |cosines| at most mu, if d mu^2 < 1."""
    if d * square >= 1:
        return None
    value = d * (1 - square) / (1 - d * square)
    return Bound(
        "relative bound",
        "lines",
        "at most",
        up_fraction(value),
        str(value) if value.denominator < 10**12 else None,
        "d mu^2 < 1",
        "van Lint and Seidel, Indag. Math. 28 (1966) 335-348; Welch's bound solved for n",
    )
