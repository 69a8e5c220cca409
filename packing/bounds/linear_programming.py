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
from scipy.optimize import linprog

from packing.bounds import spherical_codes
from packing.bounds.bound import (
    Bound,
    Delsarte,
    Number,
    cosine_above,
    down_root,
    square_above,
    whole,
)
from packing.bounds.spherical_codes import design_size
from packing.errors import BadInput, NotReached
from packing.types import Float

PROGRAM_LEVEL = 18
"""The linear programme is left out where Levenshtein's bound has a degree above this (110 points in
R^3, 440 in R^4): it would need degrees beyond what 16 digits solve in about a second."""

PROGRAM_POINTS = 1e6
"""... and above so many points, where its relative error of 1e-8 to 1e-6 approaches one point."""

LARGEST_DIMENSION = 100
"""... and above this dimension, where the polynomials' scales differ by more than 16 digits."""


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
        return spherical_codes.degree_at(d, high)
    # 2 y - 1 runs over [-1, 1], and antipodal pairs of points have twice the degree.
    return max(1, spherical_codes.degree_at(d, Fraction(down_root(high))) // 2)


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
        weights = spherical_codes.multipliers(d, high, degree, lines)
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


# Delsarte's linear programme in floating point. Its answer is a proposal: nothing trusts it.
#
# Minimise 1 + sum a_k over a_k >= 0 with sum a_k p_k(x) <= -1 on [low, high], by exchange: solve on
# some points of the interval (HiGHS), add the points where the solution violates the constraint
# most, and repeat.


ROUNDS = 12
GRID = 2400
CLEAN = 1e-8
"""A violation above this means that the degree is more than 16 digits solve here."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """Multipliers a_1 .. a_K (K,), the value 1 + sum a_k, and the largest violation seen."""

    weights: Float
    value: float
    violation: float

    @property
    def safe(self) -> float:
        """The value once the violation is repaired; infinity if it cannot be."""
        v = self.violation
        return 1.0 + (self.value - 1.0) / (1.0 - v) if v < 1.0 else np.inf


def zonal_values(x: Float, d: int, degree: int, lines: bool = False) -> Float:
    """p_1 .. p_degree of the system at the points x (N,): shape (N, degree). See `exact.zonal`."""
    if lines:
        return zonal_values(np.sqrt(x), d, 2 * degree)[:, 1::2]
    before, here = np.ones_like(x), x
    columns = []
    for k in range(1, degree + 1):
        columns.append(here)
        before, here = here, ((2 * k + d - 2) * x * here - k * before) / (k + d - 2)
    return np.stack(columns, axis=1)


@lru_cache(maxsize=1024)
def propose(d: int, high: float, degrees: tuple[int, ...], lines: bool = False) -> Proposal | None:
    """The programme's solution for points (or lines: high is then the squared cosine).

    The degrees are tried in turn until one is solved cleanly; the best is returned. None where the
    solver finds no solution at all.
    """
    best: Proposal | None = None
    for degree in degrees:
        found = _solve(d, high, degree, lines)
        if found is not None and (best is None or found.safe < best.safe):
            best = found
        if found is not None and found.violation < CLEAN:
            break
    return best


def _solve(d: int, high: float, degree: int, lines: bool) -> Proposal | None:
    low = 0.0 if lines else -1.0
    middle, half = (low + high) / 2, (high - low) / 2
    angles = np.linspace(0.0, np.pi, GRID)
    basis = zonal_values(middle - half * np.cos(angles), d, degree, lines)
    # P_k is about d^(-k/2) inside the interval: unscaled, the columns differ by many orders.
    scale = np.abs(basis).max(axis=0)
    basis = basis / scale
    rows = basis[:: max(1, GRID // (4 * degree))]
    best: Proposal | None = None
    for _ in range(ROUNDS):
        found = linprog(
            1.0 / scale,
            A_ub=rows,
            b_ub=-np.ones(rows.shape[0]),
            bounds=(0.0, None),
            method="highs-ds",
            options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
        )
        if found.x is None:
            break
        weights = np.maximum(found.x, 0.0)
        peaks = _peaks(angles, 1.0 + basis @ weights)
        fresh = zonal_values(middle - half * np.cos(peaks), d, degree, lines) / scale
        excess = 1.0 + fresh @ weights
        worst = max(float(excess.max()), 0.0)
        if best is None or worst < best.violation:
            best = Proposal(weights / scale, 1.0 + float((weights / scale).sum()), worst)
        if worst < 1e-10:
            break
        rows = np.concatenate([rows, fresh[excess > 1e-13]])
    return best


def _peaks(angles: Float, values: Float) -> Float:
    """Places of the local maxima of a smooth function on a grid (parabolas), and the ends."""
    inside = (values[1:-1] >= values[:-2]) & (values[1:-1] >= values[2:])
    i = np.flatnonzero(inside) + 1
    left, here, right = values[i - 1], values[i], values[i + 1]
    bend = left - 2.0 * here + right
    shift = np.where(bend < 0.0, 0.5 * (left - right) / np.where(bend < 0.0, bend, -1.0), 0.0)
    step = angles[1] - angles[0]
    found = angles[i] + step * np.clip(shift, -1.0, 1.0)
    return np.concatenate([found, angles[[0, -1]]])


# The cosine below which Delsarte's bound allows fewer than n points, with the certificate.


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
    start, text = (_line_start(n, d), None) if lines else spherical_codes.cosine(n, d)
    m = (spherical_codes.level(2 * n, d) + 1) // 2 if lines else spherical_codes.level(n, d)
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
