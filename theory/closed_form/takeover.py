"""Blocks with their symmetry broken: made from the catalogue, and when they begin to win.

At the S where a broken block begins to cost less than a formula, with a jump of its norms, the
difference of the two losses has a double root in the ratio t of the norms: a discriminant vanishes.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from packing.catalogue.entry import Entry
from packing.errors import BadInput, NotReached
from theory.closed_form.points import Point, ball, fraction, roots_between
from theory.closed_form.polynomials import Quotient
from theory.closed_form.unequal import Broken, at_S, rational


def broken(block: Entry | str, part: Sequence[int] = (0,)) -> Broken:
    """A catalogue block with some vectors given their own norm and bias.

    Parameters
    ----------
    block : Entry or str
    part : sequence of int
        The vectors of the first orbit; the others form the second.

    Raises
    ------
    BadInput
        If vectors of one part see different cosines, or a cosine is irrational.
    """
    if isinstance(block, str):
        from packing.catalogue import entry

        block = entry(block)
    gram = block.gram
    label = np.ones(block.n, dtype=int)
    label[list(part)] = 0
    if not 0 < np.count_nonzero(label) < block.n:
        raise BadInput(f"part = {list(part)}: give some of the {block.n} vectors, not all")
    seen: list[tuple[tuple[int, Fraction, int], ...]] = []
    for a in (0, 1):
        rows = set()
        for i in np.flatnonzero(label == a):
            pairs = [(int(label[j]), int(gram.colours[i, j])) for j in range(block.n) if j != i]
            rows.add(tuple((*p, pairs.count(p)) for p in sorted(set(pairs))))
        if len(rows) > 1:
            raise BadInput(f"vectors of one part of {block.name} see different cosines")
        try:
            seen.append(tuple((b, Fraction(gram.cosines[c].text), m) for b, c, m in rows.pop()))
        except ValueError:
            raise BadInput(f"{block.name} has irrational cosines: rational ones are done") from None
    counts = int(np.sum(label == 0)), int(np.sum(label == 1))
    return Broken(f"uneven {block.name}", counts, tuple(seen))


def takeover(block: Broken, rival: Quotient, low: Fraction, high: Fraction) -> Point:
    """The S at which the broken block and a rival with a formula cost the same, exactly.

    Parameters
    ----------
    block : Broken
    rival : Quotient
        Loss of as many features, a rational function of S over the rationals.
    low, high : Fraction
        Where it lies; the broken block must be lower at just one end.

    Returns
    -------
    Point
        A root of a discriminant: there the difference has a double root in t.

    Raises
    ------
    BadInput
        If the block wins, or loses, at both ends.
    """
    import flint

    ends = []
    for S in (low, high):
        with flint.ctx.workprec(192):
            ends.append((block.start(float(S)), rival(ball(S))))
    wins = [value < float(other.mid()) * (1 - 1e-9) for (_, value), other in ends]
    if wins[0] == wins[1]:
        word = "less" if wins[0] else "no less"
        raise BadInput(f"{block.name} costs {word} at both {float(low)} and {float(high)}")
    (guess, _), S = (ends[0][0], low) if wins[0] else (ends[1][0], high)
    with flint.ctx.workprec(192):
        active = block.active(np.abs(guess[:2]).tolist(), guess[2:].tolist(), S)
    if active is None:
        raise NotReached(f"a ReLU of {block.name} sits at its kink at S = {float(S)}", None)
    top, bottom = block.formula(active)
    S_ = top.context().gens()[1]
    over = sum((c * S_**i for i, c in enumerate(rival.top.parts[0].coeffs())), 0 * S_)
    under = sum((c * S_**i for i, c in enumerate(rival.bottom.parts[0].coeffs())), 0 * S_)
    gap = top * under - over * bottom
    near = Fraction(abs(guess[1] / guess[0]))
    for factor, _ in gap.factor()[1]:
        if factor.degrees()[0] < 2:
            continue
        equation = _in_S(factor.discriminant("t"))
        for point in roots_between(equation, low, high):
            if _touches(factor, point, near):
                return point
    raise NotReached("no crossing was found for these active ReLUs: narrow the interval", None)


def _touches(factor: Any, point: Point, near: Fraction) -> bool:
    """Whether the factor has a double root in t near the expected ratio at that S."""
    S = fraction(point.ball(512))
    slope = at_S(factor.derivative("t"), S)
    found = roots_between(slope, near - Fraction(1, 5), near + Fraction(1, 5))
    value = at_S(factor, S)
    return any(abs(float(value(rational(fraction(t.ball(512)))))) < 1e-60 for t in found)


def _in_S(p: Any) -> Any:
    """A polynomial in (t, S) that is free of t, as one in S."""
    import flint

    out = [flint.fmpq(0)] * (p.degrees()[1] + 1)
    for (_, j), c in p.to_dict().items():
        out[j] += c
    return flint.fmpq_poly(out)
