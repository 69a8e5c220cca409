"""Blocks with several kinds of vectors: a norm and a bias for each, and perhaps a free height.

A vector of kind a with norm r_a receives z = b_a + r_a^2 x + sum r_a r_b c x_j. Its loss needs only
the weights u = r_a r_b c and how many features share each (`sums`); the block's loss is the sum
over kinds. Exact for fractions (binary; uniform with rational cosines), balls for balls. The least
loss is found numerically and then proved to be attained at a stationary point (`settled`).
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from packing.errors import BadInput
from theory.closed_form import sums
from theory.closed_form.field import Element, Field
from theory.closed_form.points import ball
from theory.closed_form.shapes import Orbits

Cosines = tuple[tuple[int, tuple[Element, ...], int], ...]


@dataclass(frozen=True, eq=False)
class OrbitForm:
    """The loss of a block as a function of the norms and biases of its kinds, and of its height.

    Losses are of the whole block. Directions move with the height alone, so a minimum is an upper
    bound on what these features need.

    Parameters
    ----------
    shape : Orbits
    law : str
        ``binary`` and ``uniform`` are exact; for others every answer is numerical.
    field : Field
        Where the coefficients of the cosines lie.
    seen : per kind a tuple of (kind, coefficients in h, count)
        Cosines that are not identically 0.
    """

    shape: Orbits
    law: str
    field: Field
    seen: tuple[Cosines, ...]

    @property
    def name(self) -> str:
        return self.shape.name

    @property
    def n(self) -> int:
        return self.shape.n

    @property
    def counts(self) -> tuple[int, ...]:
        return self.shape.counts

    @property
    def free(self) -> bool:
        """Whether there is a height to choose."""
        return self.shape.height is not None

    def loss(self, norms: Sequence[Any], biases: Sequence[Any], S: Any, height: Any = None) -> Any:
        """Expected loss of the whole block.

        Parameters
        ----------
        norms, biases : one number per kind
            Lengths r_a >= 0 (not squared) and biases.
        S : number
            Chance that a feature is on, in [0, 1].
        height : number, optional
            h, where the shape has one.

        Returns
        -------
        sympy expression, ball or float
            Fractions and whole numbers give an exact expression (binary; uniform with rational
            cosines), balls a ball, floats a float with relative error below 1e-13 (laws without an
            exact form: 1e-7).

        Raises
        ------
        BadInput
            If a number is missing or out of range.
        NotReached
            If a feature can receive too many different sums.
        """
        import flint

        given = [*norms, *biases, S, *([] if height is None else [height])]
        self._check(norms, biases, S, height)
        if self.law not in ("binary", "uniform"):
            from theory.closed_form.settled import numerical

            return float(numerical(self, norms, biases, float(S), height))
        if all(isinstance(x, (Fraction, int)) for x in given):
            found = self._exact(norms, biases, Fraction(S), height)
            if found is not None:
                return found
        bits = flint.ctx.prec if any(isinstance(x, flint.arb) for x in given) else 0
        precision = max(bits, 128)
        for _ in range(6):
            with flint.ctx.workprec(precision if self.law == "binary" else precision + 8 * self.n):
                at = [ball(x) for x in (*norms, *biases)]
                h = None if height is None else ball(height)
                value = self.total(at[: len(norms)], at[len(norms) :], ball(S), h)
            if bits or value.rel_accuracy_bits() > 50:
                break
            precision *= 2
        return value if bits else float(value.mid())

    def _check(self, norms: Sequence[Any], biases: Sequence[Any], S: Any, height: Any) -> None:
        import flint

        kinds = len(self.counts)
        if len(norms) != kinds or len(biases) != kinds:
            raise BadInput(
                f"{len(norms)} norms and {len(biases)} biases: {self.name} has {kinds} kinds of "
                "vectors, give one of each per kind"
            )
        for x in (*norms, *biases, S, *([] if height is None else [height])):
            if not isinstance(x, (numbers.Real, flint.arb)):
                raise BadInput(f"{x!r} is no real number: give a float, a Fraction or a ball")
        if any(x < 0 for x in norms):
            raise BadInput(f"norms = {list(norms)}: a length is not negative")
        if isinstance(S, numbers.Real) and not 0 <= float(S) <= 1:
            raise BadInput(
                f"S = {S} is not a probability: give the chance that a feature is on, in [0, 1]; "
                "Elhage et al.'s sparsity is 1 - S"
            )
        if self.shape.height is None:
            if height is not None:
                raise BadInput(f"{self.name} has no free height: leave it out")
            return
        low, high = self.shape.height
        if height is None or not low <= float(_middle(height)) <= high:
            raise BadInput(f"height = {height}: {self.name} needs one in ({low:g}, {high:g})")

    def total(self, norms: Sequence[Any], biases: Sequence[Any], S: Any, height: Any) -> Any:
        """The loss from balls or jets, at the working precision."""
        return self._sum(norms, biases, S, height, self.field.ball, self.law)

    def _sum(
        self,
        norms: Sequence[Any],
        biases: Sequence[Any],
        S: Any,
        height: Any,
        number: Any,
        law: str,
    ) -> Any:
        one = sums.binary if law == "binary" else sums.uniform
        total = None
        for a, many in enumerate(self.counts):
            r, b = norms[a], biases[a]
            weights = []
            for other, coefficients, m in self.seen[a]:
                c: Any = number(coefficients[-1])
                for element in reversed(coefficients[:-1]):
                    c = c * height + number(element)
                weights.append((r * norms[other] * c, m))
            if law == "uniform":
                weights = [(u, m) for u, m in weights if not _zero(u)]
                if _zero(r):
                    part = S / 3 - S * _plus(b) + _plus(b) * _plus(b)
                    total = part * many if total is None else total + part * many
                    continue
            part = one(r * r, weights, b, S) * many
            total = part if total is None else total + part
        return total

    def _exact(self, norms: Sequence[Any], biases: Sequence[Any], S: Fraction, height: Any) -> Any:
        h = Fraction(0 if height is None else height)
        rs, bs = [Fraction(r) for r in norms], [Fraction(b) for b in biases]
        if self.field.degree > 1:
            if self.law != "binary":
                return None
            from theory.closed_form.exactly import Exact

            made = [Exact(self.field, self.field.element(x)) for x in (*rs, *bs, h)]
            k = len(rs)
            value = self._sum(
                made[:k], made[k : 2 * k], S, made[-1], lambda c: Exact(self.field, c), "binary"
            )
            return self.field.expression(value.element)
        import sympy

        value = self._sum(rs, bs, S, h, lambda c: c[0], self.law)
        return sympy.Rational(value.numerator, value.denominator)

    def minimum(self, S: Fraction | float, digits: int = 15, seed: int = 0) -> OrbitMinimum:
        """The least loss found over all norms, biases and the height.

        Parameters
        ----------
        S : Fraction or float
            In [0, 1], taken as the number it is.
        digits : int
            Correct digits of the loss after its leading one.
        seed : int
            Of the starts.

        Returns
        -------
        OrbitMinimum
            Its ``known`` says what is proved: as a rule that the loss is attained, at a stationary
            point of the shape (Krawczyk's test in balls); that nothing lies lower is numerical.
        """
        from theory.closed_form.settled import minimum

        self._check([1] * len(self.counts), [0] * len(self.counts), S, self.middle)
        if not isinstance(digits, int) or digits < 1:
            raise BadInput(f"digits = {digits!r}: give a positive whole number")
        if S == 0 or (S == 1 and self.law == "binary"):
            return self._constant(Fraction(S))
        return minimum(self, Fraction(S), digits, seed)

    def _constant(self, S: Fraction) -> OrbitMinimum:
        """Where inputs never vary biases alone reproduce them."""
        import flint

        k = len(self.counts)
        norms, biases = (flint.arb(1 - S.numerator),) * k, (flint.arb(S.numerator),) * k
        h = None if self.middle is None else flint.arb(self.middle)
        known = "exact: inputs that never vary are reproduced by biases alone"
        return OrbitMinimum(S, norms, biases, h, flint.arb(0), True, False, 0, 0, known)

    @property
    def middle(self) -> float | None:
        """The middle of the heights allowed."""
        return None if self.shape.height is None else sum(self.shape.height) / 2.0


@dataclass(frozen=True, eq=False)
class OrbitMinimum:
    """The least loss found of a block with several kinds of vectors, at one S.

    Parameters
    ----------
    S : Fraction
    norms, biases : tuple of ball
        Lengths and biases per kind.
    height : ball or None
    loss : ball
        Of the whole block; the block attains it, so it bounds its least loss from above.
    stationary : bool
        Proved: the balls hold a point at which all slopes vanish.
    local : bool
        Proved: there the Hessian is positive definite, so it is a local minimum within the shape.
    hits, starts : int
        Starts that came to this loss, of how many.
    known : str
        What is rigorous and what is numerical, as a sentence.
    """

    S: Fraction
    norms: tuple[Any, ...]
    biases: tuple[Any, ...]
    height: Any
    loss: Any
    stationary: bool
    local: bool
    hits: int
    starts: int
    known: str


def _middle(x: Any) -> Any:
    return x.mid() if hasattr(x, "mid") else x


def _zero(u: Any) -> bool:
    value = getattr(u, "value", u)
    return bool(value == 0)


def _plus(b: Any) -> Any:
    from theory.closed_form.jets import positive

    return positive(b)
