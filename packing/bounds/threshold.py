"""The cosine below which Delsarte's bound allows fewer than n points, with the certificate."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

from packing.bounds import levenshtein
from packing.bounds.delsarte import (
    LARGEST_DIMENSION,
    PROGRAM_LEVEL,
    PROGRAM_POINTS,
    Delsarte,
    certificate,
    program_degrees,
)
from packing.bounds.levenshtein import design_size
from packing.bounds.nouns import Bound, whole
from packing.bounds.program import propose

NEAR = 2e-10
"""Relative distance from n at which the search for the cosine stops."""

CROSSINGS = 14
"""Steps of that search; usually five are enough."""


def delsarte_cosine(n: int, d: int, *, lines: bool = False) -> Bound | None:
    """A proved lower bound on the largest cosine (lines: coherence) of n points in R^d.

    Parameters
    ----------
    n, d : int
        n > d >= 2.
    lines : bool

    Returns
    -------
    Bound or None
        With the certificate in ``proof``: no n points keep the cosine ``proof.high``, because
        ``proof.bound < n``. Where Levenshtein's bound is rational and not improved, ``exact`` is
        that number and ``proof.bound == n`` there: what excludes every smaller cosine is that his
        bound is strictly increasing. None where the programme is out of reach (`skipped` says why).

    Raises
    ------
    BadInput
        If n or d is out of range.

    Notes
    -----
    Proved. The search for the cosine is floating point, the certificate is not.
    """
    d = whole("d", d, 2)
    return _threshold(whole("n", n, d + 1), d, bool(lines))


@lru_cache(maxsize=4096)
def _threshold(n: int, d: int, lines: bool) -> Bound | None:
    if skipped(n, d) is not None:
        return None
    start, text = (_line_start(n, d), None) if lines else levenshtein.cosine(n, d)
    m = (levenshtein.level(2 * n, d) + 1) // 2 if lines else levenshtein.level(n, d)
    guess, degrees = float(start), None
    if m > 2 or lines:
        degrees = program_degrees(m, lines)
        guess = _crossing(n, d, guess, degrees, lines)
    if not lines and text is not None and guess - float(start) < 1e-9:
        proof = certificate(d, start, lines) if "sqrt" not in text else None
        if proof is not None and proof.bound == n:
            return _bound(n, lines, proof, text)
    for step in (0.0, 3e-12, 3e-11, 3e-10, 3e-9, 3e-8, 3e-7, 3e-6):
        high = Fraction(guess - step * max(1.0 - guess, 1e-3))
        if high < (0 if lines else -1):
            break
        proof = certificate(d, high, lines, degrees)
        if proof is not None and proof.bound < n:
            return _bound(n, lines, proof, None)
    return None


def _line_start(n: int, d: int) -> Fraction:
    """A squared cosine at which polynomials of degree 1 or 2 in it already exclude n lines."""
    welch = Fraction(n - d, d * (n - 1))
    if n <= d * (d + 1) // 2:
        return welch
    return max(welch, Fraction(3 * n - d * d - 2 * d, (d + 2) * (n - d)))  # Levenshtein 1992


def _crossing(n: int, d: int, low: float, degrees: tuple[int, ...], lines: bool) -> float:
    """A cosine just below the one at which the programme's value passes n, in floating point."""

    def excess(c: float) -> float:
        found = propose(d, c, degrees, lines)
        return math.inf if found is None else math.log(found.safe / n)

    below = excess(low)
    if below > -NEAR:
        return low
    step = 0.003 * (1.0 - low)
    high = low + step
    while (above := excess(high)) < 0.0:
        low, below, step = high, above, 3.0 * step
        high = min(low + step, 0.5 * (1.0 + low))
    # Regula falsi with the Illinois rule, aimed a little below: the end with less than n is wanted.
    kept = 0
    for _ in range(CROSSINGS):
        if below > -NEAR or high - low < 1e-12 or math.isinf(above):
            break
        middle = low + (high - low) * (below + 0.5 * NEAR) / (below - above)
        middle = min(max(middle, low), high)
        here = excess(middle)
        if here < 0.0:
            above *= 0.5 if kept == 1 else 1.0
            low, below, kept = middle, here, 1
        else:
            below *= 0.5 if kept == -1 else 1.0
            high, above, kept = middle, here, -1
    return low


def _bound(n: int, lines: bool, proof: Delsarte, exact: str | None) -> Bound:
    return Bound(
        name="Delsarte (lines)" if lines else "Delsarte",
        quantity="coherence" if lines else "max_cosine",
        direction="at least",
        value=proof.cosine,
        exact=exact,
        holds="n > d >= 2",
        source="Delsarte, Goethals, Seidel 1977; certificate verified in rational arithmetic",
        proof=proof,
    )


def skipped(n: int, d: int) -> str | None:
    """Why `delsarte_cosine` does not answer for n points in R^d, or None where it does."""
    if d < 2 or n <= d:
        return "Delsarte: left out for d = 1 and n <= d, where the answer is elementary"
    if d > LARGEST_DIMENSION:
        return f"Delsarte: left out for d = {d} (done up to d = {LARGEST_DIMENSION})"
    if n > design_size(d, PROGRAM_LEVEL + 1):
        limit = design_size(d, PROGRAM_LEVEL + 1)
        return f"Delsarte: left out for n = {n} (done up to n = {limit} in d = {d})"
    if n > PROGRAM_POINTS:
        return f"Delsarte: left out for n = {n} (done up to n = {PROGRAM_POINTS:.0e})"
    return None
