"""All bounds at once, the best of them, and how far a found arrangement is from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal

from packing.bounds import linear_programming
from packing.bounds.bound import (
    Bound,
    Number,
    Quantity,
    cosine_above,
    square_above,
    up_fraction,
    whole,
)
from packing.bounds.line_systems import gerzon, line_bounds, relative
from packing.bounds.linear_programming import delsarte_cosine
from packing.bounds.spherical_codes import coulomb, point_bounds, point_counts
from packing.errors import BadInput

QUANTITIES: tuple[Quantity, ...] = ("max_cosine", "coherence", "energy", "lines")

MEET = 1e-10
"""An exact form is preferred to a certificate that is better by less than this: certificates stop
that far short of the limit they prove."""


def bounds(n: int, d: int) -> tuple[Bound, ...]:
    """Every bound of this project that applies to n points or lines in R^d.

    Parameters
    ----------
    n, d : int
        At least 1.

    Returns
    -------
    tuple of Bound
        Largest cosine first, then coherence, Coulomb energy and the number of equiangular lines;
        within a quantity the strongest lower bound first. Delsarte's linear programme is left out
        where `skipped` says so.

    Raises
    ------
    BadInput
        If n or d is not a whole number of at least 1.

    Examples
    --------
    >>> best(12, 3).exact
    'sqrt(5)/5'
    """
    n, d = whole("n", n), whole("d", d)
    return tuple(b for quantity in QUANTITIES for b in _about(n, d, quantity))


@lru_cache(maxsize=4096)
def _about(n: int, d: int, quantity: str) -> tuple[Bound, ...]:
    """The bounds on one quantity, strongest first: nobody waits for those not asked for."""
    found: list[Bound | None] = []
    if quantity == "max_cosine":
        found += point_bounds(n, d)
        # Up to 2d points Rankin's bound is met: nothing is left to prove.
        if n > max(2 * d, 2) and d > 1:
            found.append(delsarte_cosine(n, d))
    elif quantity == "coherence":
        found += line_bounds(n, d)
        if n > d + 1 and d > 2:
            found.append(delsarte_cosine(n, d, lines=True))
    else:
        found.append(coulomb(n, d) if quantity == "energy" else gerzon(d))
    return tuple(sorted((b for b in found if b is not None), key=_order))


def _order(b: Bound) -> tuple[bool, float, bool]:
    strength = -b.value if b.direction == "at least" else b.value
    # Of two that agree the exact one is the better to print.
    rounded = strength if b.quantity == "energy" else round(strength, 10)
    return b.direction == "at most", rounded, b.exact is None


def best(n: int, d: int, quantity: Quantity = "max_cosine") -> Bound:
    """The strongest bound no arrangement of n points in R^d can beat.

    Parameters
    ----------
    n, d : int
        At least 1.
    quantity : {"max_cosine", "coherence", "energy", "lines"}

    Returns
    -------
    Bound
        The largest "at least" (for "lines", which is a count, the least "at most"). Among bounds
        that agree to 1e-10 one that is attained or has an exact form is taken.

    Raises
    ------
    BadInput
        If n, d or the quantity is not one of these, or nothing bounds it (energy of one point).
    """
    if quantity not in QUANTITIES:
        raise BadInput(f"quantity {quantity!r}: one of {', '.join(QUANTITIES)} is required")
    side = "at most" if quantity == "lines" else "at least"
    n, d = whole("n", n), whole("d", d)
    fit = [b for b in _about(n, d, quantity) if b.direction == side]
    if not fit:
        raise BadInput(f"no bound on the {quantity} of {n} points in R^{d}: ask for n >= 2, d >= 2")
    if quantity == "lines":
        return min(fit, key=lambda b: b.value)
    top = max(b.value for b in fit)
    near = [b for b in fit if b.value >= top - MEET * max(1.0, abs(top))]
    return min(near, key=lambda b: (b.attained is None, b.exact is None, -b.value))


def points(d: int, cosine: Number) -> tuple[Bound, ...]:
    """How many points of R^d can have all cosines at most this; the kissing number at 1/2.

    Parameters
    ----------
    d : int
        At least 2.
    cosine : Fraction, int, float or str
        In [-1, 1); see `delsarte`.

    Returns
    -------
    tuple of Bound
        Quantity "points"; "at most" first, the strongest first, then the existence bound. Values
        are not rounded to whole numbers.

    Raises
    ------
    BadInput
        If d or the cosine is out of range.
    """
    d = whole("d", d, 2)
    high = cosine_above(cosine)
    found = list(point_counts(d, high))
    proof = linear_programming.certificate(d, high, False)
    if proof is not None:
        found.append(_counted("Delsarte", "points", proof))
    return tuple(sorted(found, key=lambda b: (b.direction == "at least", b.value, b.exact is None)))


def lines(d: int, cosine: Number) -> tuple[Bound, ...]:
    """How many lines of R^d can have all |cosines| at most this; see `points`."""
    d = whole("d", d, 2)
    square = square_above(cosine)
    found = [relative(d, square)]
    proof = linear_programming.certificate(d, square, True) if square > 0 else None
    if proof is not None:
        found.append(_counted("Delsarte (lines)", "lines", proof))
    return tuple(sorted((b for b in found if b is not None), key=lambda b: b.value))


def _counted(
    name: str, quantity: Literal["points", "lines"], proof: linear_programming.Delsarte
) -> Bound:
    return Bound(
        name,
        quantity,
        "at most",
        up_fraction(proof.bound),
        str(proof.bound) if proof.bound.denominator < 10**12 else None,
        f"certificate of degree {proof.degree} ({proof.route})",
        "Delsarte, Goethals, Seidel 1977; certificate verified in rational arithmetic",
        proof=proof,
    )


@dataclass(frozen=True)
class Gap:
    """How far a value is from the best bound.

    Parameters
    ----------
    bound : Bound
    gap : float
        The value minus the bound; never negative beyond the error for a true arrangement.
    verdict : {"optimal (proved)", "meets the bound", "open", "impossible"}
        "impossible" when the value is below a proved bound by more than its error.
    reason : str
        One sentence: what proves it, or what is missing.
    """

    bound: Bound
    gap: float
    verdict: Literal["optimal (proved)", "meets the bound", "open", "impossible"]
    reason: str


def gap(
    value: Number,
    n: int,
    d: int,
    *,
    quantity: Quantity = "max_cosine",
    error: float = 1e-10,
) -> Gap:
    """Compare what an arrangement reaches with the best bound.

    Parameters
    ----------
    value : float, Fraction or str
        Largest cosine, coherence or Coulomb energy of n points in R^d. Text or a Fraction is taken
        as exact, a float as good to ``error``.
    n, d : int
    quantity : {"max_cosine", "coherence", "energy"}
    error : float
        How far a float may be from the truth; relative for energies above 1.

    Returns
    -------
    Gap
        "optimal (proved)" in two cases only: the value is exact and equals the bound's exact form;
        or the value is within ``error`` of a bound that a named arrangement is known to attain, so
        that the best possible value is exactly the bound. A float that meets a bound which nothing
        is known to attain only "meets the bound": a slightly better one may exist, and the bound
        may be slightly out of reach.

    Raises
    ------
    BadInput
        If n, d, quantity or value cannot be used.
    """
    try:
        number = float(cosine_above(value)) if isinstance(value, str) else float(value)
    except (TypeError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or not error >= 0.0 or quantity == "lines":
        raise BadInput(f"value {value!r} with error {error!r}: finite numbers are required")
    least = best(n, d, quantity)
    difference = number - least.value
    exact = isinstance(value, (str, Fraction))
    allowed = max(error, 4e-16) * max(1.0, abs(least.value))
    if exact and least.exact is not None and _equal(str(value), least.exact):
        reason = f"the exact value {value} equals the bound ({least.name}, {least.source})"
        return Gap(least, 0.0, "optimal (proved)", reason)
    if difference < -allowed:
        reason = f"below the bound {least.name}: the value, its error or n and d are wrong"
        return Gap(least, difference, "impossible", reason)
    if difference > allowed:
        return Gap(least, difference, "open", "nothing here proves that a better one is impossible")
    if least.attained is not None and not exact:
        reason = f"the bound {least.name} is attained ({least.attained})"
        return Gap(least, difference, "optimal (proved)", reason)
    reason = f"within {allowed:.0e} of {least.name}; an exact cosine would be needed for a proof"
    return Gap(least, difference, "meets the bound", reason)


def _equal(a: str, b: str) -> bool:
    """Whether two algebraic numbers given as text are the same; False when sympy cannot decide."""
    import sympy

    difference: Any = sympy.sympify(a) - sympy.sympify(b)
    if abs(difference.evalf(30)) > 1e-20:
        return False
    return sympy.simplify(sympy.nsimplify(difference)) == 0 or difference.equals(0) is True
