"""One orbit, binary law: the minimum over norm and bias, piece by piece.

With z = rho t + b and rho > 0 the active states are those above a threshold, t > -b/rho. For fixed
active states the loss is the quadratic S - 2 (rho X1 + b X0) + rho^2 M2 + 2 rho b M1 + b^2 M0 with
M_k = E[t^k; active], X_k = E[x t^k; active]. With D = M0 M2 - M1^2 its minimum is
S - (X1^2 M0 - 2 X0 X1 M1 + X0^2 M2)/D, at rho = (X1 M0 - X0 M1)/D, b = (X0 M2 - X1 M1)/D.

The minimum over all (rho, b) is the least of these over the pieces whose minimiser has just these
states active (proved, docs/phases.md): kinks at x = 1 are concave, so no minimum lies on them;
across kinks at x = 0 the loss is continuously differentiable, so a minimum there is stationary for
both sides; rho = 0 is beaten by the linear piece; and a single active state is never strictly best.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint

from packing.algebra.balls import ball, ends, fraction, positive, value_at
from packing.algebra.polynomials import Polynomial, Quotient
from packing.algebra.roots import Point, roots_between
from packing.errors import NotReached
from packing.results import Evidence
from theory.symmetric.active_states import Row, States, counted, weighted


@dataclass(frozen=True, eq=False)
class Minimum:
    """The least loss of a block over its norm and bias, at one S.

    Parameters
    ----------
    S : Fraction or ball
        Chance that a feature is on.
    rho, bias : ball
        Squared norm and bias at the minimum.
    loss : ball
        Per feature; holds the truth where ``known`` is enclosed or proved.
    active : int
        How many of the states, largest sums first, have their ReLU active; 0 where the law makes
        every threshold possible.
    known : Evidence
    route : str
        What the loss came from: ``pieces`` (binary), ``vertices`` or ``transform`` (uniform).
    """

    S: Any
    rho: Any
    bias: Any
    loss: Any
    active: int
    known: Evidence
    route: str = "pieces"

    @property
    def digits(self) -> float:
        """Correct digits of the loss after its leading one."""
        return float(self.loss.rel_accuracy_bits()) * 0.30103


@dataclass(frozen=True, eq=False)
class Formula:
    """The minimum of one piece, as functions of S.

    Parameters
    ----------
    active : int
        Number of active states, largest sums first.
    rho, bias, loss : Quotient
        Squared norm, bias, loss per feature.
    limits : tuple of Polynomial
        In the odds, times positive factors: rho, z of the last active state, minus z of the next
        one (if there is one). The piece is its own minimum exactly where the first two are
        positive and the third is not negative.
    """

    active: int
    rho: Quotient
    bias: Quotient
    loss: Quotient
    limits: tuple[Polynomial, ...]

    def valid(self, u: Any) -> bool | None:
        """Whether the minimiser has the active states assumed; None where a ball is too wide."""
        values = [limit(u) for limit in self.limits]
        if any(value < 0 for value in values):
            return False
        return True if all(value > 0 for value in values) else None


def formula(row: Row, active: int, known: States | None = None) -> Formula:
    """The minimum over (rho, b) with a given number of active states, exact.

    Parameters
    ----------
    row : Row
    active : int
        2 up to the number of states.
    known : States, optional
        `counted` states of the row, if there already.
    """
    found = counted(row) if known is None else known
    field = row.field
    M0 = M1 = M2 = X0 = X1 = Polynomial.zero(field)
    for i in range(active):
        t = found.value(i)
        both, own = found.off[i] + found.on[i], found.on[i]
        M0 = M0 + Polynomial.of(field, both)
        M1 = M1 + Polynomial.of(field, both, t)
        M2 = M2 + Polynomial.of(field, both, t * t)
        X0 = X0 + Polynomial.of(field, own)
        X1 = X1 + Polynomial.of(field, own, t)
    D = M0 * M2 - M1 * M1
    rho, bias = X1 * M0 - X0 * M1, X0 * M2 - X1 * M1
    gained = X1 * rho + X0 * bias
    power = flint.fmpz_poly([1, 1]) ** (row.n - 1)
    u = flint.fmpz_poly([0, 1])
    top = Polynomial.of(field, u * power) * D - gained
    bottom = Polynomial.of(field, power + u * power) * D
    limits = [rho, rho.times(found.value(active - 1)) + bias]
    if active < len(found):
        limits.append(-(rho.times(found.value(active)) + bias))
    return Formula(
        active,
        Quotient.reduced(rho, D),
        Quotient.reduced(bias, D),
        Quotient.reduced(top, bottom),
        tuple(limits),
    )


@dataclass(frozen=True, eq=False)
class Candidate:
    """The minimiser of one piece at one S, in balls."""

    active: int
    rho: Any
    bias: Any
    loss: Any
    certain: bool


def candidates(found: States, values: list[Any], S: Any) -> list[Candidate]:
    """Pieces whose minimiser has, or may have, the active states assumed.

    ``found`` holds the chances at the ball S, ``values`` the sums t as balls.
    """
    M0 = M1 = M2 = X0 = X1 = flint.arb(0)
    kept = []
    last = len(found) - 1
    for i, t in enumerate(values):
        own = found.on[i]
        both = found.off[i] + own
        M0, M1, M2 = M0 + both, M1 + both * t, M2 + both * t * t
        X0, X1 = X0 + own, X1 + own * t
        if i == 0:
            continue
        rho, bias = X1 * M0 - X0 * M1, X0 * M2 - X1 * M1
        lowest = rho * t + bias
        if rho < 0 or lowest < 0:
            continue
        further = -(rho * values[i + 1] + bias) if i < last else flint.arb(1)
        if further < 0:
            continue
        D = M0 * M2 - M1 * M1
        certain = rho > 0 and lowest > 0 and further >= 0
        rho, bias = rho / D, bias / D
        kept.append(Candidate(i + 1, rho, bias, S - (X1 * rho + X0 * bias), certain))
    return kept


def minimum(row: Row, S: Any, known: States | None = None) -> tuple[Minimum, list[Candidate]]:
    """The least loss at a ball S inside (0, 1), at the working precision; rigorous.

    ``known`` are the states with their chances at S, where they are there already.

    Returns
    -------
    Minimum
    list of Candidate
        All that cannot be told from the least, the least first; more than one near a transition.
    """
    found = weighted(row, S) if known is None else known
    values = [found.value(i).ball() for i in range(len(found))]
    kept = candidates(found, values, S)
    finite = [c for c in kept if c.loss.is_finite()]
    if not finite:
        raise NotReached("no piece could be told at this precision: ask for more digits", None)
    best = min([c for c in finite if c.certain] or finite, key=lambda c: fraction(c.loss))
    upper = best.loss if best.certain else at(found, values, best.rho.mid(), best.bias.mid())
    tied = [c for c in kept if not c.loss > upper]
    loss = upper
    for c in tied:
        loss = loss.union(c.loss if c.loss.is_finite() else flint.arb(0))
    tied.sort(key=lambda c: c.active != best.active)
    return Minimum(S, best.rho, best.bias, loss, best.active, Evidence.ENCLOSED), tied


def at(found: States, values: list[Any], rho: Any, bias: Any) -> Any:
    """The loss at (rho, bias): sum of chance times (x - (rho t + b)_+)^2; any kind of number."""
    loss = rho * 0
    for i, t in enumerate(values):
        z = positive(rho * t + bias)
        loss = loss + found.off[i] * z * z + found.on[i] * (1 - z) * (1 - z)
    return loss


# --- all S: a piecewise rational function -------------------------------------------------------
#
# The best piece is found at many S in ball arithmetic; between two S with different best pieces the
# change is closed in on, and its S is the root of the numerator of the difference of the two
# formulas. Every formula and every end is exact. That no further piece hides between the S visited
# is numerical, unless `proved` is asked, which examines all pieces on every interval.


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
        with flint.ctx.workprec(BITS):
            u = ball(S / (1 - S))
            scale = (1 - ball(S)) ** self.row.n
            off = tuple(scale * value_at(p, u) for p in self.found.off)
            on = tuple(scale * value_at(p, u) for p in self.found.on)
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
        text = self.found.value(active - 1).text
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
    step = Fraction(1, 1 << 200)
    low, high = ends(piece.low.ball(BITS))[1] + step, ends(piece.high.ball(BITS))[0] - step
    cuts = {low, high}
    for polynomial in deciding:
        roots = (
            fraction(point.ball(BITS)) for point in roots_between(polynomial.norm(), low, high)
        )
        cuts.update(x for x in roots if low < x < high)  # an end of the piece is a root itself
    for x, y in itertools.pairwise(sorted(cuts)):
        S = ball((x + y) / 2)
        u = S / (1 - S)
        valid = other.valid(u)
        if other is own:
            if valid is not True:
                return False
        elif valid is not False and not other.loss(S) > own.loss(S):
            return False
    return True
