"""The closed form of a symmetric block: its loss and minimum as formulas, balls or numbers.

closed_form("digon").pieces()[0].loss.expression      S**2*(S - 1)**2/(2*S**2 - 2*S + 1)
closed_form("pentagon", "uniform").minimum(0.1)       norm, bias and loss, enclosed
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import flint
import numpy as np

from packing.algebra.balls import ball
from packing.algebra.number_fields import Given, Number, common, number
from packing.catalogue import entry
from packing.catalogue.entry_types import Entry
from packing.errors import BadInput, NotReached
from packing.results import Evidence
from theory.features import law_named
from theory.losses.expected import engine
from theory.symmetric import binary, uniform
from theory.symmetric.active_states import Row, counted, probability, weighted
from theory.symmetric.binary import Formula, Minimum, Piece

if TYPE_CHECKING:
    import sympy

LARGEST = 1024
"""Features of a block up to which numbers are computed here."""

Cosines = Sequence[tuple[Given, int]]


# --- laws without an exact form: numbers --------------------------------------------------------


def _loss(form: ClosedForm, rho: float, bias: float, S: float) -> tuple[float, float, float]:
    """The loss per feature and its slopes by rho and bias, to about 1e-7; numerical."""
    if form.row.n > LARGEST:
        raise BadInput(f"{form.row.n} features are too many for numbers: at most {LARGEST}")
    if S == 0.0:
        return max(bias, 0.0) ** 2, 0.0, 2.0 * max(bias, 0.0)
    cosines = [float(c) for c in form.row.cosines]
    row = np.concatenate([[1.0], np.repeat(cosines, form.row.counts)])
    p = np.full((1, row.size), S)
    answer = engine(
        rho * row[None, :],
        np.array([bias]),
        np.zeros(1, dtype=int),
        p,
        law_named(form.law),
        gradient=True,
    )[1]
    assert answer.dA is not None and answer.db is not None
    return float(answer.value[0]), float(answer.dA[0] @ row), float(answer.db[0])


def _minimum(form: ClosedForm, S: float) -> Minimum:
    """The least loss found from several starts; numerical, nothing is enclosed."""
    from scipy.optimize import minimize  # half a second that no law with an exact form needs

    law = law_named(form.law)
    best: tuple[float, float, float] | None = None

    def value(at: np.ndarray) -> tuple[float, np.ndarray]:
        rho = float(np.exp(at[0]))
        total, by_rho, by_bias = _loss(form, rho, float(at[1]), S)
        return total, np.array([rho * by_rho, by_bias])

    for rho, bias in ((1.0, 0.0), (0.3, law.mean * S), (1.2, -0.2), (0.6, 0.1)):
        start = np.array([np.log(rho), bias])
        found = minimize(value, start, jac=True, method="BFGS", options={"gtol": 1e-10})
        if best is None or found.fun < best[0]:
            best = float(found.fun), float(np.exp(found.x[0])), float(found.x[1])
    assert best is not None
    values = [flint.arb(x) for x in best]
    return Minimum(Fraction(S), values[1], values[2], values[0], 0, Evidence.NUMERICAL)


# --- closed forms -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ClosedForm:
    """A block in which every feature sees the same cosines, with one norm and one bias.

    Losses are per feature. With its symmetry broken the block may cost less, so its minimum is an
    upper bound on what these features need and never claimed to be more.

    Parameters
    ----------
    name : str
    n : int
        Features of the block.
    law : str
        ``binary`` and ``uniform`` have exact forms; for others every answer is numerical.
    row : Row
        Cosines other than 0, in their number field.
    d : int or None
        Dimension, where known.
    """

    name: str
    n: int
    law: str
    row: Row
    d: int | None = None

    def loss(self, rho: Any, bias: Any, S: Any) -> Any:
        """Expected loss per feature at one norm and bias.

        Parameters
        ----------
        rho : number
            Squared norm, positive.
        bias : number
        S : number
            Chance that a feature is on, in [0, 1].

        Returns
        -------
        sympy expression, ball or float
            Fractions and whole numbers give an exact expression (binary; uniform with rational
            cosines), balls (flint.arb) give a ball, floats a float with relative error below 1e-14
            (exponential: 1e-7).

        Raises
        ------
        BadInput
            If rho is not positive or S no probability.
        """
        for x in (rho, bias, S):
            if not isinstance(x, (numbers.Real, flint.arb)):
                raise BadInput(f"{x!r} is no real number: give a float, a Fraction or a ball")
        probability(S)
        if not rho > 0:
            raise BadInput(f"rho = {rho} is not positive: give the squared norm")
        if self.law not in ("binary", "uniform"):
            return _loss(self, float(rho), float(bias), float(S))[0]
        exact = all(isinstance(x, (Fraction, int)) for x in (rho, bias, S))
        if exact and self.law == "binary":
            return self._exact_loss(Fraction(rho), Fraction(bias), Fraction(S))
        if exact and self.row.field.degree == 1:
            return uniform.exact_loss(self.row, Fraction(rho), Fraction(bias), Fraction(S))
        bits = flint.ctx.prec if any(isinstance(x, flint.arb) for x in (rho, bias, S)) else 0
        with flint.ctx.workprec(bits or 128):
            found = self._ball_loss(ball(rho), ball(bias), ball(S), bits)
        return found if bits else float(found.mid())

    def _ball_loss(self, rho: Any, bias: Any, S: Any, bits: int) -> Any:
        if self.law == "binary":
            found = weighted(self.row, S)
            values = [found.value(i).ball() for i in range(len(found))]
            return binary.at(found, values, rho, bias)
        many = self.row.n >= uniform.SEEN
        precision = (bits or 64) + 64 + (0 if many else 4 * self.row.n)
        for _ in range(6):
            profile = uniform.Transformed if many else uniform.Profile
            value = profile(self.row, S, precision).loss(rho, bias)
            if bits or value.rel_accuracy_bits() > 50:
                return value
            precision *= 2
        raise NotReached(f"the loss is not known to 15 digits with {precision // 2} bits", None)

    def _exact_loss(self, rho: Fraction, bias: Fraction, S: Fraction) -> sympy.Expr:
        found, total = weighted(self.row, S), self.row.field(0)
        for i in range(len(found)):
            z = found.value(i) * rho + bias
            for x, chance in ((0, found.off[i]), (1, found.on[i])):
                r = x - z if z > 0 else self.row.field(x)
                total += r * r * chance
        return total.expression

    def minimum(self, S: Any, digits: int = 15) -> Minimum:
        """The least loss per feature over norm and bias.

        Parameters
        ----------
        S : Fraction, float or ball (binary)
            Chance that a feature is on, in [0, 1]; a float is taken as the number it is.
        digits : int
            Correct digits of the loss after its leading one.

        Returns
        -------
        Minimum
            Enclosed for the laws binary and uniform: the ball holds the global minimum.

        Raises
        ------
        NotReached
            If the digits are out of reach.
        """
        if not isinstance(digits, int) or digits < 1:
            raise BadInput(f"digits = {digits!r}: give a positive whole number")
        if isinstance(S, flint.arb):
            if self.law != "binary":
                raise BadInput("S must be a float or a Fraction for this law")
            return binary.minimum(self.row, S)[0]
        probability(S)
        if S == 0 or (S == 1 and self.law == "binary") or not self.row.counts:
            return _without_loss(S)
        if self.law == "uniform":
            return uniform.minimum(self.row, Fraction(S), digits)
        if self.law != "binary":
            return _minimum(self, float(S))
        return _binary_minimum(self.row, Fraction(S), digits)

    @cached_property
    def _pieces(self) -> tuple[Piece, ...]:
        return binary.pieces(self.row)

    def pieces(self) -> tuple[Piece, ...]:
        """The minimum as a piecewise rational function of S (binary law).

        Raises
        ------
        BadInput
            For other laws: their minima are no rational functions of S.
        NotReached
            If there are too many pieces; `minimum` still answers.
        """
        if self.law != "binary":
            raise BadInput(f"the minimum under the {self.law} law is no rational function of S")
        return self._pieces

    def formula(self, active: int) -> Formula:
        """The stationary norm, bias and loss with that many active states, as functions of S."""
        states = counted(self.row)
        if self.law != "binary" or not 2 <= active <= len(states):
            raise BadInput(f"active = {active}: give 2 to {len(states)}, for the binary law")
        return binary.formula(self.row, active, states)


def _without_loss(S: Fraction | float) -> Minimum:
    """Where a unit norm without bias reproduces everything."""
    one, zero = flint.arb(1), flint.arb(0)
    return Minimum(Fraction(S), one, zero, zero, 0, Evidence.PROVED)


def _binary_minimum(row: Row, S: Fraction, digits: int) -> Minimum:
    need = 3.33 * digits
    bits = 64 + round(2 * need) + 8 * max(1, round(-math.log2(min(S, 1 - S))))
    for _ in range(8):
        with flint.ctx.workprec(bits):
            found, _ = binary.minimum(row, ball(S))
            if found.loss.rel_accuracy_bits() >= need:
                return found
        bits *= 2
    return found


def closed_form(
    block: Entry | str | Cosines, law: Literal["binary", "uniform"] | str = "binary"
) -> ClosedForm:
    """The closed form of a block whose features all see the same cosines.

    Parameters
    ----------
    block : Entry, str or sequence of (cosine, count)
        A catalogue entry, its name, or a row: cosines with the n - 1 other features (`Cosine`,
        text that sympy reads, Fraction or whole number) and how many have each.
    law : str
        Name of a law of `theory.features`.

    Returns
    -------
    ClosedForm

    Raises
    ------
    BadInput
        If the features see different rows (several orbits), or a cosine cannot be read.
    """
    law_named(law)
    if isinstance(block, str):
        block = entry(block)
    if isinstance(block, Entry):
        if len(block.rows) != 1:
            kinds = ", ".join(str(many) for many, _ in block.rows)
            raise BadInput(
                f"{block.name} has {len(block.rows)} kinds of vectors ({kinds}) with different "
                "cosines: one norm and one bias do not suffice, use `orbit_form`"
            )
        return ClosedForm(block.name, block.n, law, row_of(block.rows[0][1]), block.d)
    row = row_of(block)
    n = 1 + sum(many for _, many in block)
    return ClosedForm(f"{n} features", n, law, row)


def row_of(cosines: Cosines) -> Row:
    """A row in its number field, zeros left out.

    Raises
    ------
    BadInput
        If a count is no positive whole number, or a cosine is not in [-1, 1] or cannot be read.
    """
    for _, many in cosines:
        if not isinstance(many, int) or many < 1:
            raise BadInput(f"{many!r} features at one cosine: give a positive whole number")
    field, numbers = common(number(cosine) for cosine, _ in cosines)
    kept: dict[Number, int] = {}
    for cosine, (_, many) in zip(numbers, cosines, strict=True):
        if abs(cosine.ball(128)) > 1:
            raise BadInput(f"{cosine.text} is no cosine: give a number in [-1, 1]")
        if cosine:
            kept[cosine] = kept.get(cosine, 0) + many
    return Row(field, tuple(kept), tuple(kept.values()))
