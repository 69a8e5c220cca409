"""The least loss of one orbit under the uniform law, enclosed: no other bias can be better.

In `uniform` the loss at the best norm is S/3 - F1^2/F2, functions of beta = bias / norm^2. E (s +
tau)_+^q is not negative and grows with tau, and so do F0 = E (t + beta)_+, F1, F2, their slopes,
and P(t + beta > 0): values at both ends of an interval of beta enclose them in between. Where
h = F1' F2 - F1 F0 keeps its sign, F1^2/F2 is monotone; where h falls, it has at most one root, the
maximum. By Cauchy and Schwarz F1^2/F2 is below P(t + beta > 0), which settles the far end; beyond
the last vertex the model is linear, and h too. Proved; derived here and in docs/phases.md. Rows
from `transform.SEEN` features on take their functions from the transform integral, others from
the vertices; `Minimum.route` says which.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

from packing.errors import NotReached
from theory.closed_form.binary import Minimum
from theory.closed_form.points import ball, fraction
from theory.closed_form.states import Row
from theory.closed_form.transform import SEEN, Transformed
from theory.closed_form.uniform import At, Profile

STEPS = 30_000
"""Intervals of beta examined before a minimum is given up."""


def minimum(row: Row, S: Any, digits: int = 15) -> Minimum:
    """The least loss over norm and bias, enclosed.

    Parameters
    ----------
    row : Row
    S : Fraction
        In (0, 1].
    digits : int
        Correct digits of the loss after its leading one.

    Returns
    -------
    Minimum
        Rigorous: every other beta is excluded by interval bounds.

    Raises
    ------
    NotReached
        If the intervals or the precision do not suffice.
    """
    import flint

    many = row.n >= SEEN
    bits = 64 + round(3.33 * digits) + (40 if many else 4 * row.n)
    for _ in range(6):
        profile = Transformed(row, S, bits) if many else Profile(row, S, bits)
        found = _attempt(profile, digits)
        if found is not None:
            return found
        bits *= 2
    with flint.ctx.workprec(64):
        raise NotReached(f"{digits} digits need more than {bits} bits: ask for fewer", None)


def _attempt(profile: Profile, digits: int) -> Minimum | None:
    """The minimum at the precision of a profile, or None if that is too low."""
    import flint

    with flint.ctx.workprec(profile.bits):
        roots = _basins(profile)
        if roots is None:
            return None
        width = Fraction(1, 1 << round(3.33 * digits + 40))
        best: Minimum | None = None
        for a, b in roots:
            found = _polished(profile, a, b, width)
            if found is None:
                return None
            if best is None or found.loss.mid() < best.loss.mid():
                best = found
            elif not found.loss > best.loss:
                best = _either(best, found)
        if best is None or best.loss.rel_accuracy_bits() < 3.33 * digits:
            return None
        return best


def _either(one: Minimum, other: Minimum) -> Minimum:
    """Two minima that cannot be told apart: the least lies in both balls' lower part."""
    low = one.loss if one.loss.lower() < other.loss.lower() else other.loss
    loss = low.union(one.loss) if one.loss.upper() < low.upper() else low
    return Minimum(one.S, one.rho, one.bias, loss, 0, "rigorous", one.route)


def _basins(profile: Profile) -> list[tuple[Fraction, Fraction]] | None:
    """Intervals of beta that hold all candidates for the maximum of F1^2/F2, one root of h each."""
    start, end = fraction(-profile.most.upper()), _end(profile)
    queue = [(start, end)]
    parts = 64
    edges = [start + (end - start) * k / parts for k in range(parts + 1)]
    best = None
    for beta in edges[1:]:
        gain = profile.at(beta).gain
        if gain.is_finite() and (best is None or gain.lower() > best):
            best = gain.lower()
    if best is None:
        return None
    queue = list(itertools.pairwise(edges))
    found: list[tuple[Fraction, Fraction]] = []
    for _ in range(STEPS):
        if not queue:
            return found
        a, b = queue.pop()
        low, high = profile.at(a), profile.at(b)
        if high.chance < best or best * low.F2 > high.F1 * high.F1:
            continue
        if low.slope * low.F2 > high.F1 * high.F0 or high.slope * high.F2 < low.F1 * low.F0:
            continue
        if low.h > 0 and high.h < 0 and _falls(profile, low, high):
            found.append((a, b))
            continue
        if (low.h < 0 or high.h > 0) and _falls(profile, low, high):
            continue
        if b - a < Fraction(1, 1 << 60):
            return None
        middle = (a + b) / 2
        gain = profile.at(middle).gain
        if gain.is_finite() and gain.lower() > best:
            best = gain.lower()
        queue += [(a, middle), (middle, b)]
    raise NotReached(
        "the bias could not be enclosed: two minima nearly tie here, ask at another S", None
    )


def _falls(profile: Profile, low: At, high: At) -> bool:
    """Whether h falls between two beta: an upper bound on h' = F1'' F2 + F1' F0 - F1 P."""
    p = profile.S
    bend = p * (high.Y[1][0] - low.Y[1][1] + high.Y[0][1])
    steep = bend * high.F2 + high.slope * high.F0 - low.F1 * low.chance
    return bool(steep < 0)


def _end(profile: Profile) -> Fraction:
    """A beta beyond which F1^2/F2 falls: the model is linear there and h is linear in beta."""
    p, row = profile.S, profile.row
    cosines = [(row.field.ball(c), m) for c, m in zip(row.cosines, row.counts, strict=True)]
    mean = p / 2
    variance = p / 3 - mean * mean
    t_mean = mean + sum((c * m for c, m in cosines), profile.S * 0) * mean
    t_variance = variance * (1 + sum((c * c * m for c, m in cosines), profile.S * 0))
    product = variance + mean * t_mean
    root = (mean * (t_variance + t_mean * t_mean) - product * t_mean) / variance
    return max(fraction(root.upper()), fraction((-profile.least).upper())) + Fraction(1, 4)


def _polished(profile: Profile, a: Fraction, b: Fraction, width: Fraction) -> Minimum | None:
    """The minimum at the root of h between a and b: Illinois, then both sides checked."""
    ha, hb = profile.at(a).h, profile.at(b).h
    grain = width / 64
    for step in range(200):
        if b - a <= width:
            break
        x = _between(a, b, ha, hb) if step % 3 != 2 else (a + b) / 2
        x = Fraction(round(x / grain)) * grain
        # a guess near one end is pushed beyond the root, so that both ends close in
        for y in (x, x - width / 4, x + width / 4):
            if not a < y < b:
                continue
            h = profile.at(y).h
            if h > 0:
                a, ha = y, h
            elif h < 0:
                b, hb = y, h
    if b - a > width:
        return None
    low, high = profile.at(a), profile.at(b)
    gain = (low.F1 * low.F1 / high.F2).union(high.F1 * high.F1 / low.F2)
    rho = (low.F1 / high.F2).union(high.F1 / low.F2)
    beta = ball(a).union(ball(b))
    return Minimum(profile.S, rho, beta * rho, profile.S / 3 - gain, 0, "rigorous", profile.route)


def _between(a: Fraction, b: Fraction, ha: Any, hb: Any) -> Fraction:
    """The root of the line through two values of h."""
    top, bottom = fraction(ha), fraction(ha) - fraction(hb)
    return a + (b - a) * top / bottom if bottom else (a + b) / 2
