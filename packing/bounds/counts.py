"""Bounds on the number of points of R^d whose cosines do not exceed a given one."""

from __future__ import annotations

from fractions import Fraction

from packing.bounds import levenshtein
from packing.bounds.codes import FEJES_TOTH, LEVENSHTEIN, RANKIN
from packing.bounds.nouns import BITS, Bound, down, up, up_fraction
from packing.bounds.simplex import BOROCZKY, points_at


def random_coding_points(d: int, cosine: Fraction) -> Bound:
    """At least 1 / (fraction of a cap) points have all cosines at most this; d >= 2."""
    from flint import arb, ctx, fmpq

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
    m = levenshtein.degree_at(d, cosine)
    if m <= levenshtein.LARGEST_DEGREE:
        value = levenshtein.count(d, cosine)
        found.append(_most(f"Levenshtein, degree {m}", value, f"cosine in I_{m}", LEVENSHTEIN))
    return (*found, random_coding_points(d, cosine))


def _by_area(d: int, cosine: Fraction) -> list[Bound]:
    """Gaps of the circle, Fejes Toth's triangles, Boroczky's tetrahedra, solved for n."""
    from flint import arb, ctx, fmpq

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
