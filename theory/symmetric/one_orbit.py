"""Laws without an exact form: the same questions answered by numbers, and said to be numerical."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

import numpy as np

from packing.catalogue.entry_types import Cosine, Entry
from packing.errors import BadInput, NotReached
from theory.features import law_named
from theory.losses.expected import engine
from theory.symmetric import binary, uniform
from theory.symmetric import binary as pieces
from theory.symmetric import uniform as enclosure
from theory.symmetric import uniform as stationarity
from theory.symmetric import uniform as transform
from theory.symmetric.active_states import Row, counted, weighted
from theory.symmetric.binary import Formula, Minimum, Piece
from theory.symmetric.number_fields import read
from theory.symmetric.points import ball

LARGEST = 1024
"""Features of a block up to which numbers are computed here."""


def loss(form: ClosedForm, rho: float, bias: float, S: float) -> float:
    """Loss per feature by the engines of `theory.loss`, to about 1e-7; numerical."""
    return _loss(form, rho, bias, S)[0]


def _loss(form: ClosedForm, rho: float, bias: float, S: float) -> tuple[float, float, float]:
    """The loss and its slopes by rho and bias."""
    if form.row.n > LARGEST:
        raise BadInput(f"{form.row.n} features are too many for numbers: at most {LARGEST}")
    if S == 0.0:
        return max(bias, 0.0) ** 2, 0.0, 2.0 * max(bias, 0.0)
    cosines = [float(form.row.field.ball(c).mid()) for c in form.row.cosines]
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


def minimum(form: ClosedForm, S: float) -> Minimum:
    """The least loss found from several starts; numerical, nothing is enclosed."""
    import flint
    from scipy.optimize import minimize

    law = law_named(form.law)
    best: tuple[float, float, float] | None = None
    for rho, bias in ((1.0, 0.0), (0.3, law.mean * S), (1.2, -0.2), (0.6, 0.1)):
        found = minimize(
            lambda at: (lambda value: (value[0], np.array([value[1] * np.exp(at[0]), value[2]])))(
                _loss(form, float(np.exp(at[0])), float(at[1]), S)
            ),
            np.array([np.log(rho), bias]),
            jac=True,
            method="BFGS",
            options={"gtol": 1e-10},
        )
        if best is None or found.fun < best[0]:
            best = float(found.fun), float(np.exp(found.x[0])), float(found.x[1])
    assert best is not None
    values = [flint.arb(x) for x in best]
    return Minimum(Fraction(S), values[1], values[2], values[0], 0, "numerical")


# The closed form of a symmetric block: its loss and minimum as formulas, balls or numbers.
#
# closed_form("digon").pieces()[0].loss.expression      S**2*(S - 1)**2/(2*S**2 - 2*S + 1)
# closed_form("pentagon", "uniform").minimum(0.1)       norm, bias and loss, enclosed


Cosines = Sequence[tuple[Cosine | str | Fraction | int, int]]


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
        import flint

        for x in (rho, bias, S):
            if not isinstance(x, (numbers.Real, flint.arb)):
                raise BadInput(f"{x!r} is no real number: give a float, a Fraction or a ball")
        if isinstance(S, numbers.Real):
            _probability(S)
        if not rho > 0:
            raise BadInput(f"rho = {rho} is not positive: give the squared norm")
        if self.law not in ("binary", "uniform"):
            return loss(self, float(rho), float(bias), float(S))
        exact = all(isinstance(x, (Fraction, int)) for x in (rho, bias, S))
        if exact and self.law == "binary":
            return self._exact_loss(Fraction(rho), Fraction(bias), Fraction(S))
        if exact and self.row.field.degree == 1:
            return stationarity.exact_loss(self.row, Fraction(rho), Fraction(bias), Fraction(S))
        bits = flint.ctx.prec if any(isinstance(x, flint.arb) for x in (rho, bias, S)) else 0
        with flint.ctx.workprec(bits or 128):
            found = self._ball_loss(ball(rho), ball(bias), ball(S), bits)
        return found if bits else float(found.mid())

    def _ball_loss(self, rho: Any, bias: Any, S: Any, bits: int) -> Any:
        if self.law == "binary":
            found = weighted(self.row, S)
            values = [self.row.field.ball(found.value(i)) for i in range(len(found))]
            return binary.at(found, values, rho, bias)
        many = self.row.n >= transform.SEEN
        precision = (bits or 64) + 64 + (0 if many else 4 * self.row.n)
        for _ in range(6):
            profile = transform.Transformed if many else uniform.Profile
            value = profile(self.row, S, precision).loss(rho, bias)
            if bits or value.rel_accuracy_bits() > 50:
                return value
            precision *= 2
        raise NotReached(f"the loss is not known to 15 digits with {precision // 2} bits", None)

    def _exact_loss(self, rho: Fraction, bias: Fraction, S: Fraction) -> Any:
        import flint

        field, found = self.row.field, weighted(self.row, S)
        total = field.element(0)
        for i in range(len(found)):
            t = found.value(i)
            z = tuple(rho * c + (bias if k == 0 else 0) for k, c in enumerate(t))
            with flint.ctx.workprec(256):
                value = field.ball(z)
            if any(z) and value.contains(0):
                raise ArithmeticError("256 bits do not show the sign of z: report this")
            for x, chance in ((0, found.off[i]), (1, found.on[i])):
                r = tuple(-c for c in z) if value > 0 else field.element(0)
                r = (r[0] + x, *r[1:])
                total = tuple(
                    p + chance * q for p, q in zip(total, field.product(r, r), strict=True)
                )
        return field.expression(total)

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
            Rigorous for the laws binary and uniform: the ball holds the global minimum.

        Raises
        ------
        NotReached
            If the digits are out of reach.
        """
        import flint

        if not isinstance(digits, int) or digits < 1:
            raise BadInput(f"digits = {digits!r}: give a positive whole number")
        if isinstance(S, flint.arb):
            if self.law != "binary":
                raise BadInput("S must be a float or a Fraction for this law")
            return binary.minimum(self.row, S)[0]
        _probability(S)
        if S == 0 or (S == 1 and self.law == "binary"):
            zero = flint.arb(0)
            return Minimum(Fraction(S), flint.arb(1), zero, zero, 0, "exact")
        if not self.row.counts:
            return Minimum(Fraction(S), flint.arb(1), flint.arb(0), flint.arb(0), 0, "exact")
        if self.law == "uniform":
            return enclosure.minimum(self.row, Fraction(S), digits)
        if self.law != "binary":
            return minimum(self, float(S))
        return _binary_minimum(self.row, Fraction(S), digits)

    @cached_property
    def _pieces(self) -> tuple[Piece, ...]:
        return pieces.pieces(self.row)

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


def _binary_minimum(row: Row, S: Fraction, digits: int) -> Minimum:
    import flint

    need = 3.33 * digits
    bits = 64 + round(2 * need) + 8 * max(1, round(-math.log2(min(S, 1 - S))))
    for _ in range(8):
        with flint.ctx.workprec(bits):
            found, _ = binary.minimum(row, ball(S))
            if found.loss.rel_accuracy_bits() >= need:
                return found
        bits *= 2
    return found


def _probability(S: Any) -> None:
    if not (isinstance(S, numbers.Real) and 0 <= float(S) <= 1):
        raise BadInput(
            f"S = {S} is not a probability: give the chance that a feature is on, in [0, 1]; "
            "Elhage et al.'s sparsity is 1 - S"
        )


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
        from packing.catalogue import entry

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
    import flint

    texts, counts = [], []
    for cosine, many in cosines:
        if not isinstance(many, int) or many < 1:
            raise BadInput(f"{many!r} features at one cosine: give a positive whole number")
        texts.append(cosine.text if isinstance(cosine, Cosine) else str(cosine))
        counts.append(many)
    field, elements = read(texts)
    with flint.ctx.workprec(128):
        for text, element in zip(texts, elements, strict=True):
            if abs(field.ball(element)) > 1:
                raise BadInput(f"{text} is no cosine: give a number in [-1, 1]")
    kept: dict[tuple[Fraction, ...], int] = {}
    for element, many in zip(elements, counts, strict=True):
        if any(element):
            kept[element] = kept.get(element, 0) + many
    return Row(field, tuple(kept), tuple(kept.values()))
