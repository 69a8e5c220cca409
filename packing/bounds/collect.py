"""All bounds at once, the best of them, and how far a found arrangement is from it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal

from packing.bounds import linear_programming
from packing.bounds.bound import (
    Bound,
    Delsarte,
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
from packing.results import Evidence, Result, Table

QUANTITIES: tuple[Quantity, ...] = ("max_cosine", "coherence", "energy", "lines")

MEET = 1e-10
"""An exact form is preferred to a certificate that is better by less than this: certificates stop
that far short of the limit they prove."""


@dataclass(frozen=True, repr=False)
class Bounds(Result):
    """Every bound on the best arrangements of one size; a sequence of `Bound`.

    Parameters
    ----------
    n : int or None
        None where only the number of vectors is bounded.
    d : int
    cosine : Number or None
        The largest cosine allowed, where the number of vectors is bounded.
    found : tuple of Bound
    """

    n: int | None
    d: int
    cosine: Number | None
    found: tuple[Bound, ...]

    def __iter__(self) -> Iterator[Bound]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, i: int) -> Bound:
        return self.found[i]

    @property
    def left_out(self) -> str | None:
        """Why Delsarte's linear programme, which usually decides, is missing."""
        decides = self.n is not None and self.n > 2 * self.d > 2
        return linear_programming.skipped(self.n, self.d) if self.n and decides else None

    def _values(self) -> Mapping[str, Any]:
        cosine = None if self.cosine is None else str(self.cosine)
        listed = [bound._values() for bound in self.found]
        return {"n": self.n, "d": self.d, "cosine": cosine, "bounds": listed}

    def _facts(self) -> Sequence[tuple[str, str]]:
        size = "any number of vectors" if self.n is None else f"n = {self.n}"
        facts = [("bounds for", f"{size} in d = {self.d}")]
        if self.cosine is not None:
            facts.append(("cosine", f"at most {self.cosine}"))
        return facts if self.found else [*facts, ("bounds", "none is known here")]

    def _tables(self) -> Sequence[Table]:
        # Gerzon's bound is of lines with one angle between any two.
        counted = "How many equiangular lines there can be"
        if self.cosine is not None:
            counted = f"How many lines there can be, coherence at most {self.cosine}"
            counted += "" if self.n is None else " (Gerzon: equiangular lines)"
        titles = {
            "max_cosine": "Largest cosine of two of n vectors",
            "coherence": "Coherence of n lines",
            "points": "How many vectors there can be",
            "lines": counted,
            "energy": "Coulomb energy of n vectors",
        }
        columns = ["bound", "is", "value", "exact", "known", "source"]
        tables = []
        for quantity, title in titles.items():
            rows = [
                [b.name, b.direction, b.value, b.exact, b.evidence, b.source]
                for b in self.found
                if b.quantity == quantity
            ]
            if rows:
                tables.append(Table(title, columns, rows, {"value": 12}))
        return tables


def bounds(n: int | None, d: int, cosine: Number | None = None) -> Bounds:
    """Every bound of this project that applies to n points or lines in R^d.

    Parameters
    ----------
    n, d : int
        At least 1; n may be None where a cosine is given.
    cosine : Fraction, int, float or str, optional
        Bound the number of points and lines with no larger cosine too, as `points` and `lines` do.

    Returns
    -------
    Bounds
        Largest cosine first, then coherence, Coulomb energy and the number of equiangular lines;
        within a quantity the strongest lower bound first. Delsarte's linear programme is left out
        where `skipped` says so.

    Raises
    ------
    BadInput
        If n or d is not a whole number of at least 1, the cosine is out of range, or neither n nor
        a cosine is given.

    Examples
    --------
    >>> best(12, 3).exact
    'sqrt(5)/5'
    """
    if n is None and cosine is None:
        raise BadInput("neither n nor a cosine was given: say how many vectors, or how close")
    d = whole("d", d)
    found: tuple[Bound, ...] = ()
    if n is not None:
        n = whole("n", n)
        found = tuple(b for quantity in QUANTITIES for b in _about(n, d, quantity))
    if cosine is not None:
        found += points(d, cosine)
        with suppress(BadInput):  # a negative cosine bounds points, not lines
            found += lines(d, cosine)
    return Bounds(n, d, cosine, found)


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


def _counted(name: str, quantity: Literal["points", "lines"], proof: Delsarte) -> Bound:
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
    verdict : Evidence
        How it is known that nothing is better: proved; numerical where the two agree; unsettled.
    reason : str
        One sentence: what proves it, or what is missing.
    impossible : bool
        The value is below a proved bound by more than its error.
    """

    bound: Bound
    gap: float
    verdict: Evidence
    reason: str
    impossible: bool = False


def gap(
    value: Number, n: int, d: int, *, quantity: Quantity = "max_cosine", error: float = 1e-10
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
        Proved in two cases only: the value is exact and equals the bound's exact form; or the value
        is within ``error`` of a bound that a named arrangement is known to attain, so that the best
        possible value is exactly the bound. A float that meets a bound which nothing is known to
        attain is numerical: a slightly better one may exist, and the bound may be slightly out of
        reach.

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
        return Gap(least, 0.0, Evidence.PROVED, reason)
    if difference < -allowed:
        reason = f"below the bound {least.name}: the value, its error or n and d are wrong"
        return Gap(least, difference, Evidence.UNSETTLED, reason, True)
    if difference > allowed:
        reason = "nothing here proves that a better one is impossible"
        return Gap(least, difference, Evidence.UNSETTLED, reason)
    if least.attained is not None and not exact:
        reason = f"the bound {least.name} is attained ({least.attained})"
        return Gap(least, difference, Evidence.PROVED, reason)
    reason = f"within {allowed:.0e} of {least.name}; an exact cosine would be needed for a proof"
    return Gap(least, difference, Evidence.NUMERICAL, reason)


def _equal(a: str, b: str) -> bool:
    """Whether two algebraic numbers given as text are the same; False when sympy cannot decide."""
    import sympy

    difference: Any = sympy.sympify(a) - sympy.sympify(b)
    if abs(difference.evalf(30)) > 1e-20:
        return False
    return sympy.simplify(sympy.nsimplify(difference)) == 0 or difference.equals(0) is True
