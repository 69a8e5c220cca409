"""The minimum of a symmetric block as a piecewise rational function of S (binary law).

The best piece is found at many S in ball arithmetic; between two S with different best pieces the
change is closed in on, and its S is the root of the numerator of the difference of the two
formulas. Every formula and every end is exact. That no further piece hides between the S visited is
numerical, unless `proved` is asked, which examines all pieces on every interval.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from packing.errors import NotReached
from theory.closed_form.binary import Formula, formula, minimum
from theory.closed_form.points import Point, ball, roots_between
from theory.closed_form.polynomials import Quotient
from theory.closed_form.states import Row, States, counted

BITS = 256
"""Working precision where pieces are compared."""

FEATURES, LARGEST = 60, 600
"""Features seen and states up to which pieces are followed; larger rows are answered at one S."""


@dataclass(frozen=True, eq=False)
class Piece:
    """The minimum on an interval of S.

    Parameters
    ----------
    low, high : Point
        Where the formula is the minimum; 0 and 1 at the outer ends.
    active : int
        How many states have their ReLU active.
    threshold : str
        The least active sum t = x + sum_j c_j x_j, as sympy reads it.
    rho, bias, loss : Quotient
        Functions of S: squared norm, bias, loss per feature.
    """

    low: Point
    high: Point
    active: int
    threshold: str
    rho: Quotient
    bias: Quotient
    loss: Quotient

    def holds(self, S: float | Fraction) -> bool:
        """Whether S lies on the piece (its ends taken as floats)."""
        return float(self.low) <= S <= float(self.high)


def grid() -> list[Fraction]:
    """Where the best piece is looked for: dense towards 0 and 1."""
    ends = [Fraction(1, round(10 ** (k / 8))) for k in range(48, 7, -1)]
    middle = [Fraction(k, 160) for k in range(17, 144)]
    return sorted({*ends, *middle, *(1 - x for x in ends)})


def pieces(row: Row) -> tuple[Piece, ...]:
    """The minimum over norm and bias for every S in (0, 1), piece by piece.

    Parameters
    ----------
    row : Row

    Returns
    -------
    tuple of Piece
        Upwards in S, without gaps. Formulas and ends exact, completeness numerical (see above).

    Raises
    ------
    NotReached
        If the row has more than FEATURES features or LARGEST states.
    """
    found = counted(row) if row.n <= FEATURES else None
    if found is None or len(found) > LARGEST:
        raise NotReached(
            f"a row of {row.n} features has too many states, and its minimum too many pieces: ask "
            "for the minimum at the S you need",
            None,
        )
    follow = _Follow(row, found)
    points = grid()
    changes: list[tuple[Fraction, Fraction, int, int]] = []
    now = follow.best(points[0], None)
    first = now
    for low, high in itertools.pairwise(points):
        after = follow.best(high, now)
        if after != now:
            changes += follow.between(low, high, now, after)
        now = after
    ends = [Point.rational(0)]
    order = [first]
    for low, high, before, after in changes:
        ends.append(follow.crossing(low, high, before, after))
        order.append(after)
    ends.append(Point.rational(1))
    return tuple(
        follow.piece(active, a, b) for active, a, b in zip(order, ends, ends[1:], strict=False)
    )


class _Follow:
    """The best pieces of a row at many S, and their formulas, each made once."""

    def __init__(self, row: Row, found: States) -> None:
        self.row, self.found = row, found
        self.formulas: dict[int, Formula] = {}

    def formula(self, active: int) -> Formula:
        if active not in self.formulas:
            self.formulas[active] = formula(self.row, active, self.found)
        return self.formulas[active]

    def best(self, S: Fraction, before: int | None) -> int:
        """The best piece at S; of pieces that tie the one before."""
        import flint

        with flint.ctx.workprec(BITS):
            u = ball(S / (1 - S))
            scale = (1 - ball(S)) ** self.row.n
            off = tuple(scale * flint.arb_poly(p)(u) for p in self.found.off)
            on = tuple(scale * flint.arb_poly(p)(u) for p in self.found.on)
            chances = States(self.row, self.found.keys, off, on)
            _, tied = minimum(self.row, ball(S), chances)
        names = [c.active for c in tied]
        return before if before in names else names[0]

    def between(
        self, low: Fraction, high: Fraction, before: int, after: int
    ) -> list[tuple[Fraction, Fraction, int, int]]:
        """Changes on [low, high], each in an interval that is short and holds only that one."""
        if high - low < Fraction(1, 1 << 48):
            return [(low, high, before, after)]
        middle = (low + high) / 2
        here = self.best(middle, before)
        found = []
        if here != before:
            found += self.between(low, middle, before, here)
        if here != after:
            found += self.between(middle, high, here, after)
        return found

    def crossing(self, low: Fraction, high: Fraction, before: int, after: int) -> Point:
        """Where two formulas agree, exactly."""
        import flint

        gap = (self.formula(before).loss - self.formula(after).loss).top
        norm = gap.norm()
        if norm.is_zero():
            raise ArithmeticError("two pieces have one formula: report this block")
        with flint.ctx.workprec(BITS):
            for point in roots_between(norm, low, high):
                if gap(point.ball(BITS)).contains(0):
                    return point
        raise ArithmeticError("two pieces change places without meeting: report this block")

    def piece(self, active: int, low: Point, high: Point) -> Piece:
        f = self.formula(active)
        text = str(self.row.field.expression(self.found.value(active - 1)))
        return Piece(low, high, active, text, f.rho, f.bias, f.loss)


def proved(row: Row, found: tuple[Piece, ...], work: int = 60) -> bool:
    """Whether the pieces are the minimum on all of (0, 1): every other piece is examined.

    On the interval of a piece w, another piece i could only be better where its formula is lower
    and its minimiser has the active states assumed. All roots of the polynomials that decide this
    are isolated; between two of them one S decides.

    Parameters
    ----------
    row : Row
    found : tuple of Piece
    work : int
        Number of states up to which this is tried.

    Raises
    ------
    NotReached
        If the row has more states.
    """
    import flint

    states = counted(row)
    if len(states) > work:
        raise NotReached(f"{len(states)} states are more than {work}: raise work, and wait", None)
    formulas = [formula(row, i, states) for i in range(2, len(states) + 1)]
    with flint.ctx.workprec(BITS):
        for piece in found:
            own = next(f for f in formulas if f.active == piece.active)
            if not _beats(own, own, piece):
                return False
            if any(not _beats(own, f, piece) for f in formulas if f is not own):
                return False
    return True


def _beats(own: Formula, other: Formula, piece: Piece) -> bool:
    """Whether no S inside the piece makes the other formula valid and lower (own: invalid)."""
    deciding: list[Any] = [limit.in_S(limit.degree) for limit in other.limits if not limit.is_zero]
    gap = (other.loss - own.loss).top
    if not gap.is_zero:
        deciding.append(gap)
    low, high = piece.low.ball(BITS), piece.high.ball(BITS)
    a, b = fraction_below(high), fraction_above(low)
    cuts = [b, a]
    for polynomial in deciding:
        for point in roots_between(polynomial.norm(), b, a):
            x, y = point.interval
            cuts += [(x + y) / 2]
    cuts = sorted(set(cuts))
    for x, y in itertools.pairwise(cuts):
        S = ball((x + y) / 2)
        u = S / (1 - S)
        valid = other.valid(u)
        if other is own:
            if valid is not True:
                return False
        elif valid is not False and not other.loss(S) > own.loss(S):
            return False
    return True


def fraction_below(x: Any) -> Fraction:
    """A fraction just below a ball."""
    from theory.closed_form.points import fraction

    return fraction(x.lower()) - Fraction(1, 1 << 200)


def fraction_above(x: Any) -> Fraction:
    """A fraction just above a ball."""
    from theory.closed_form.points import fraction

    return fraction(x.upper()) + Fraction(1, 1 << 200)
