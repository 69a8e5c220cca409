"""Delsarte's bound, rigorous: rational multipliers whose polynomial's sign is proved.

Delsarte 1972; Delsarte, Goethals, Seidel 1977; for lines with the even polynomials. If a_k >= 0 and
1 + sum a_k p_k(x) <= 0 for every cosine x that may occur, then n points have
0 <= sum over pairs of sum a_k p_k = n sum a_k + (pairs i != j) <= n sum a_k - n (n - 1),
so n <= 1 + sum a_k. Floating point proposes the a_k (`program`) or Levenshtein's polynomial gives
them (`levenshtein`); whichever it was, `Delsarte.verify` decides in exact arithmetic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from packing.bounds import levenshtein
from packing.bounds.exact import combine, nowhere_positive
from packing.bounds.nouns import (
    Number,
    cosine_above,
    down_fraction,
    square_above,
    whole,
)
from packing.bounds.program import propose
from packing.errors import BadInput, NotReached

PROGRAM_LEVEL = 18
"""The linear programme is left out where Levenshtein's bound has a degree above this (110 points in
R^3, 440 in R^4): it would need degrees beyond what 16 digits solve in about a second."""

PROGRAM_POINTS = 1e6
"""... and above so many points, where its relative error of 1e-8 to 1e-6 approaches one point."""

LARGEST_DIMENSION = 100
"""... and above this dimension, where the polynomials' scales differ by more than 16 digits."""


@dataclass(frozen=True)
class Delsarte:
    """A proof that at most ``points`` points (or lines) of R^d keep a cosine.

    Parameters
    ----------
    d : int
    high : Fraction
        Points: all cosines between two of them are at most this. Lines: all squared cosines are.
    lines : bool
    multipliers : tuple of Fraction
        a_1, a_2, ...: multipliers of the zonal polynomials (`exact.zonal`), none negative.
    bound : Fraction
        1 + sum of the multipliers.
    route : {"Levenshtein", "linear programme"}
        Where the multipliers came from; the proof does not depend on it.
    """

    d: int
    high: Fraction
    lines: bool
    multipliers: tuple[Fraction, ...]
    bound: Fraction
    route: str

    @property
    def points(self) -> int:
        """The largest number that the bound allows."""
        return math.floor(self.bound)

    @property
    def cosine(self) -> float:
        """The largest |cosine| or cosine the proof covers, rounded down."""
        if not self.lines:
            return down_fraction(self.high)
        return down_root(self.high)

    @property
    def degree(self) -> int:
        """Degree of the polynomial in the cosine."""
        return len(self.multipliers) * (2 if self.lines else 1)

    def verify(self) -> bool:
        """Check the whole proof again in exact rational arithmetic; False if any part fails."""
        low = Fraction(0 if self.lines else -1)
        return (
            self.d >= 2
            and low <= self.high < 1
            and all(a >= 0 for a in self.multipliers)
            and self.bound == 1 + sum(self.multipliers)
            and nowhere_positive(combine(self.multipliers, self.d, self.lines), low, self.high)
        )


def down_root(square: Fraction) -> float:
    """The square root of a fraction, rounded down to a float."""
    scaled = (square.numerator << 200) // square.denominator
    return down_fraction(Fraction(math.isqrt(scaled), 1 << 100))


def delsarte(d: int, cosine: Number, *, lines: bool = False) -> Delsarte:
    """At most this many points of R^d have all cosines at most ``cosine``: proved.

    Parameters
    ----------
    d : int
        At least 2.
    cosine : Fraction, int, float or str
        In [-1, 1); for lines the largest |cosine|, in (0, 1). Text may be irrational
        (``sqrt(5)/5``); then the proof is for a fraction at most 2^-60 larger, which covers it.
        A float is the number it stands for: 0.2 is slightly more than 1/5.
    lines : bool
        Bound lines through the origin instead of points.

    Returns
    -------
    Delsarte
        Verified. The least of Levenshtein's polynomial and a linear programme made exact; the
        first is exact wherever a sharp code has a rational cosine, for instance 240 at (8, 1/2).

    Raises
    ------
    BadInput
        If d < 2, or the cosine is not a number in the range.
    NotReached
        If no certificate could be verified: the cosine is too close to 1 for this d.

    Notes
    -----
    Proved. Source: Delsarte, Goethals and Seidel, Geometriae Dedicata 6 (1977) 363-388.

    Examples
    --------
    >>> delsarte(8, "1/2").bound
    Fraction(240, 1)
    """
    d = whole("d", d, 2)
    high = square_above(cosine) if lines else cosine_above(cosine)
    if lines and high <= 0:
        raise BadInput(f"cosine {cosine!r}: for lines one in (0, 1) is required; give another")
    found = certificate(d, high, bool(lines))
    if found is None:
        raise NotReached(
            f"no proof was found for d = {d} and cosine {float(high)}: give a smaller cosine or d"
        )
    return found


@lru_cache(maxsize=1024)
def certificate(
    d: int, high: Fraction, lines: bool, degrees: tuple[int, ...] | None = None
) -> Delsarte | None:
    """The best verified certificate, or None; the programme's degrees may be given."""
    candidates: list[Delsarte | None] = []
    closed = _from_levenshtein(d, high, lines)
    if closed is not None:
        candidates.append(closed)
    m = closed_level(d, high, lines)
    if degrees is not None or _program_helps(m, d, closed):
        degrees = degrees or program_degrees(m, lines)
        candidates.append(_from_program(d, high, lines, degrees))
    verified = [c for c in candidates if c is not None and c.verify()]
    if not verified:
        return None
    # Levenshtein's comes first: an exact answer is kept unless the other is really better.
    return min(verified, key=lambda c: c.bound * (Fraction(1) if c is closed else 1 + TIE))


TIE = Fraction(1, 10**8)


def closed_level(d: int, high: Fraction, lines: bool) -> int:
    """The degree of Levenshtein's polynomial at this cosine; for lines in the squared cosine."""
    if not lines:
        return levenshtein.degree_at(d, high)
    # 2 y - 1 runs over [-1, 1], and antipodal pairs of points have twice the degree.
    return max(1, levenshtein.degree_at(d, Fraction(down_root(high))) // 2)


def _program_helps(m: int, d: int, closed: Delsarte | None) -> bool:
    # For m <= 2 the programme was never seen to be better; only time depends on this.
    if d > LARGEST_DIMENSION or m > PROGRAM_LEVEL:
        return False
    return closed is None or closed.lines or (m > 2 and closed.bound < PROGRAM_POINTS)


def _from_levenshtein(d: int, high: Fraction, lines: bool) -> Delsarte | None:
    m = closed_level(d, high, lines)
    if m > 2 * PROGRAM_LEVEL:
        return None
    found = []
    for degree in range(max(1, m - 1), m + 3) if lines else (m,):
        weights = levenshtein.multipliers(d, high, degree, lines)
        if weights is not None:
            found.append(
                Delsarte(d, high, lines, weights, Fraction(1 + sum(weights)), "Levenshtein")
            )
    found = [c for c in sorted(found, key=lambda c: (c.bound, c.degree)) if c.verify()]
    return found[0] if found else None


def program_degrees(m: int, lines: bool) -> tuple[int, ...]:
    """Degrees to try: higher ones than the first gain about 1e-5, the others are easier."""
    return (m + 10, m + 3) if lines else (max(30, m + 14), m + 12, m + 6)


def _from_program(d: int, high: Fraction, lines: bool, degrees: tuple[int, ...]) -> Delsarte | None:
    # Rounded up: the programme must not see less than the interval that the proof covers.
    top = float(high) if Fraction(float(high)) >= high else math.nextafter(float(high), 1.0)
    proposal = propose(d, top, degrees, lines)
    if proposal is None or proposal.violation > 0.1:
        return None
    # Multipliers that hardly matter only make the exact arithmetic long.
    kept = np.where(proposal.weights > 1e-13, proposal.weights, 0.0)
    weights = tuple(Fraction(float(a)) for a in np.trim_zeros(kept, "b"))
    # sum a p <= -1 + v becomes <= -1 when all a are multiplied by 1 + t, t >= v / (1 - v).
    margin = Fraction(2.0 * proposal.violation + 1e-12)
    for _ in range(8):
        scaled = tuple(a * (1 + margin) for a in weights)
        found = Delsarte(d, high, lines, scaled, Fraction(1 + sum(scaled)), "linear programme")
        if found.verify():
            return found
        margin *= 8
    return None
