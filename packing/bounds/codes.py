"""Bounds on the largest cosine of n points in R^d that are formulas (or solve one equation)."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any

from packing.bounds import levenshtein
from packing.bounds.nouns import BITS, Bound, down, down_fraction, up
from packing.bounds.simplex import boroczky

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
    from flint import arb, ctx, fmpq

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
    from flint import arb, ctx, fmpq

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
    return _at_least(
        "Fejes Toth",
        value,
        exact,
        "d = 3, n >= 3",
        FEJES_TOTH,
        attained=shape,
    )


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
    value, exact = levenshtein.cosine(n, d)
    m = levenshtein.level(n, d)
    sharp = sharp_code(n, d)
    return _at_least(
        f"Levenshtein, degree {m}",
        down_fraction(value),
        exact,
        f"d >= 2, D(d, {m}) < n" + (f" <= D(d, {m + 1})" if m < levenshtein.LARGEST_DEGREE else ""),
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
    from flint import arb, ctx
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
