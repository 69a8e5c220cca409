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

from dataclasses import dataclass
from typing import Any, Literal

from packing.errors import NotReached
from theory.closed_form.polynomials import Polynomial, Quotient
from theory.closed_form.states import Row, States, counted, weighted

Known = Literal["exact", "rigorous", "numerical"]


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
        Per feature; encloses the truth where ``known`` is rigorous.
    active : int
        How many of the states, largest sums first, have their ReLU active; 0 where the law makes
        every threshold possible.
    known : {"exact", "rigorous", "numerical"}
    route : str
        What the loss came from: ``pieces`` (binary), ``vertices`` or ``transform`` (uniform).
    """

    S: Any
    rho: Any
    bias: Any
    loss: Any
    active: int
    known: Known
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
    import flint

    found = counted(row) if known is None else known
    field = row.field
    zero = Polynomial.zero(field)
    M0, M1, M2, X0, X1 = zero, zero, zero, zero, zero
    for i in range(active):
        t = found.value(i)
        square = field.product(t, t)
        both, own = found.off[i] + found.on[i], found.on[i]
        M0 = M0 + Polynomial.of(field, both)
        M1 = M1 + Polynomial.of(field, both, t)
        M2 = M2 + Polynomial.of(field, both, square)
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
    import flint

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
    import flint

    found = weighted(row, S) if known is None else known
    values = [row.field.ball(found.value(i)) for i in range(len(found))]
    kept = candidates(found, values, S)
    finite = [c for c in kept if c.loss.is_finite()]
    if not finite:
        raise NotReached("no piece could be told at this precision: ask for more digits", None)
    best = _least([c for c in finite if c.certain] or finite)
    upper = best.loss if best.certain else at(found, values, best.rho.mid(), best.bias.mid())
    tied = [c for c in kept if not c.loss > upper]
    loss = upper
    for c in tied:
        loss = loss.union(c.loss if c.loss.is_finite() else flint.arb(0))
    tied.sort(key=lambda c: c.active != best.active)
    return Minimum(S, best.rho, best.bias, loss, best.active, "rigorous"), tied


def _least(some: list[Candidate]) -> Candidate:
    """The one of least loss, by midpoints."""
    best = some[0]
    for c in some[1:]:
        if c.loss.mid() < best.loss.mid():
            best = c
    return best


def at(found: States, values: list[Any], rho: Any, bias: Any) -> Any:
    """The loss at (rho, bias): sum of chance times (x - (rho t + b)_+)^2; any kind of number."""
    zero = rho * 0
    loss = zero
    for i, t in enumerate(values):
        z = positive(rho * t + bias, zero)
        loss = loss + found.off[i] * z * z + found.on[i] * (1 - z) * (1 - z)
    return loss


def positive(z: Any, zero: Any) -> Any:
    """max(z, 0), for balls too."""
    return z.nonnegative_part() if hasattr(z, "nonnegative_part") else max(z, zero)
