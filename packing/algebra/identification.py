"""Exact forms of numbers known to many digits: minimal polynomials, with the evidence.

A lattice (LLL) finds the smallest polynomial with whole coefficients that vanishes at a number to
all digits known. Some such polynomial always exists; it means something only if it is far smaller
than chance would make it. The measure used here is a theorem: of the numbers in [-1, 1], the
fraction within rho of a real root of any polynomial of degree <= k and coefficients <= H in size is
at most k rho (2 H + 1)^(k + 1). A polynomial is accepted only where that is below 10^-certain, so
that a uniformly random number with those digits gets one with probability at most
12 * 10^-certain (at most twelve degrees are tried). Found so, a form is evidence, not proof;
`packing.proofs.exact_gram` proves some of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from packing.algebra.roots import polynomial_text, real_roots, root_text
from packing.arrangement import Arrangement
from packing.errors import BadInput
from packing.proofs.certificates import Criterion

CERTAIN = 12.0
"""Minus log10 of the largest probability of a polynomial by chance, for each degree tried; with
fewer than twice as many digits, half of them."""

DEGREE = 24
"""Degrees tried by default."""

Status = Literal["proved", "found", "none"]


@dataclass(frozen=True)
class Algebraic:
    """A real number as a root of a polynomial, or none.

    Parameters
    ----------
    status : {"proved", "found", "none"}
        ``found`` is numerical evidence; ``proved`` says that the number is that root.
    sentence : str
        The evidence in words.
    text : str
        The number as sympy reads it; empty for none.
    coefficients : tuple of int
        Of the irreducible polynomial, constant term first, leading one positive.
    index : int
        Which of its real roots, counted upwards from 0.
    digits : float
        Correct digits that went in.
    needed : float
        Digits that chance alone would explain: log10 of k (2 H + 1)^(k + 1).
    residual : float
        log10 of |p(x)| at the digits given; -infinity where it is 0.
    """

    status: Status
    sentence: str
    text: str = ""
    coefficients: tuple[int, ...] = ()
    index: int = 0
    digits: float = 0.0
    needed: float = 0.0
    residual: float = math.nan

    @property
    def degree(self) -> int:
        return len(self.coefficients) - 1

    @property
    def height(self) -> int:
        """Largest coefficient in size."""
        return max(map(abs, self.coefficients), default=0)

    @property
    def polynomial(self) -> str:
        """The polynomial in x."""
        return polynomial_text(self.coefficients)

    def enclosure(self, bits: int = 128) -> Any:
        """A ball (flint.arb) around the root, with about that many bits; rigorous."""
        return real_roots(self.coefficients, bits)[self.index]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "status": self.status,
            "sentence": self.sentence,
            "text": self.text,
            "polynomial": self.polynomial if self.coefficients else None,
            "coefficients": list(self.coefficients),
            "degree": self.degree if self.coefficients else None,
            "digits": self.digits,
            "digits_by_chance": self.needed,
            "log10_residual": self.residual if math.isfinite(self.residual) else None,
        }


def algebraic(
    x: str | float | Fraction | Arrangement | Any,
    digits: float | None = None,
    *,
    degree: int = DEGREE,
    certain: float | None = None,
    criterion: Criterion = "angle",
) -> Algebraic:
    """The minimal polynomial of a number given by its digits, if they show one.

    Parameters
    ----------
    x : str, float, Fraction, int, flint.arb, or an Arrangement
        A decimal such as ``"0.2612038749637414"`` (correct to one unit of its last digit), a ball,
        or a polished code, whose largest cosine (lines: |cosine|) is refined first.
    digits : float, optional
        Correct digits after the point; needed for a float (otherwise 14), and how far a code is
        refined (otherwise 300).
    degree : int
        Largest degree tried, 1 to 64.
    certain : float, optional
        Minus log10 of the largest probability of a form by chance, for each degree; by default
        CERTAIN, or half the digits where that is less.
    criterion : {"angle", "lines"}
        For a code.

    Returns
    -------
    Algebraic
        ``proved`` only for a Fraction and for codes whose exact Gram matrix is proved.

    Raises
    ------
    BadInput
        If x is none of these.
    """
    if digits is not None and not digits < math.inf:
        raise BadInput(f"digits = {digits} is no number of digits: give a finite one")
    if not 1 <= degree <= 64:
        raise BadInput(f"degree = {degree} is out of range: give 1 to 64")
    if isinstance(x, (Fraction, int, np.integer)) and not isinstance(x, bool):
        q = Fraction(int(x)) if not isinstance(x, Fraction) else x
        return Algebraic(
            "proved", f"{q} was given exactly", str(q), (-q.numerator, q.denominator), 0, math.inf
        )
    if isinstance(x, (Arrangement, np.ndarray)):
        return _of_code(x, 300.0 if digits is None else digits, degree, certain, criterion)
    mid, known = _digits(x, digits)
    if not known >= 4:  # NaN is not
        raise BadInput(f"x has {known:.1f} correct digits: at least 4 are needed")
    certain = min(CERTAIN, known / 2.0) if certain is None else certain
    for k in (k for k in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64) if k < degree or k == 1):
        if (found := _at_degree(mid, known, k, certain)) is not None:
            return found
    if (found := _at_degree(mid, known, degree, certain)) is not None:
        return found
    return Algebraic(
        "none",
        f"no polynomial of degree at most {degree} fits the {known:.0f} digits better than chance: "
        "give more digits or a larger degree",
        digits=known,
    )


def _of_code(
    x: ArrayLike | Arrangement,
    digits: float,
    degree: int,
    certain: float | None,
    criterion: Criterion,
) -> Algebraic:
    """The form of a code's largest cosine; proved where an exact Gram matrix is."""
    from packing.proofs.exact_gram import exact_gram, precise

    known = precise(x, criterion, int(digits))
    if known is None:
        return Algebraic(
            "none",
            "the contacts do not determine the code to many digits: polish it, or give digits",
        )
    found = algebraic(known.cosine, degree=degree, certain=certain)
    if found.status == "found" and found.degree * known.n <= 256:
        exact = exact_gram(x, criterion=criterion, digits=int(digits))
        if exact.proved and exact.largest and exact.largest.coefficients == found.coefficients:
            return replace(found, status="proved", sentence=f"{found.sentence}; {exact.sentence}")
    return found


def _digits(x: Any, digits: float | None) -> tuple[Fraction, float]:
    """The number as an exact fraction and how many digits after the point are correct."""
    import flint

    if isinstance(x, flint.arb):
        if not x.is_finite():
            raise BadInput("x is not finite: give a real number")
        mid = fraction_of(x)
        radius = x.rad()
        known = 1e6 if radius.is_zero() else -float(radius.log()) / math.log(10.0)
        if radius.is_zero() and digits is None:
            raise BadInput("x is an exact ball: say how many digits are correct")
        return mid, known if digits is None else min(known, digits)
    try:
        mid = Fraction(x)
    except (TypeError, ValueError, OverflowError):
        raise BadInput(f"x = {x!r} is no finite number: give a decimal, a ball or a code") from None
    if isinstance(x, str):
        shown = x.strip().lower().partition("e")
        power = int(shown[2] or 0)
        shown_digits = len(shown[0].partition(".")[2]) - power
        return mid, float(shown_digits if digits is None else min(digits, shown_digits))
    return mid, 14.0 if digits is None else float(digits)


def _at_degree(x: Fraction, digits: float, k: int, certain: float) -> Algebraic | None:
    """The polynomial of degree at most k that vanishes at x, if chance cannot explain it."""
    import flint

    relation = integer_relation([x**i for i in range(k + 1)], digits)
    if relation is None:
        return None
    best: Algebraic | None = None
    rho = Fraction(10) ** -math.floor(digits)
    for factor, _ in flint.fmpz_poly(list(relation)).factor()[1]:
        found = _judged(tuple(int(c) for c in factor.coeffs()), x, rho, digits, certain)
        best = best or found
    return best


def _judged(
    p: tuple[int, ...], x: Fraction, rho: Fraction, digits: float, certain: float
) -> Algebraic | None:
    """The evidence for one irreducible polynomial; None unless it has one root at x."""
    import flint

    k, height = len(p) - 1, max(map(abs, p))
    needed = math.log10(k) + (k + 1) * math.log10(2 * height + 1) if k else math.inf
    if needed + certain > digits:
        return None
    bits = int(digits * 3.33) + 64
    with flint.ctx.workprec(bits):
        ball = _ball(x) + flint.arb(0, _ball(rho).upper())
        at = [i for i, root in enumerate(real_roots(p, bits)) if root.overlaps(ball)]
        if len(at) != 1:
            return None
        size = sum(c * x**i for i, c in enumerate(p))
        residual = float(_ball(abs(size)).log()) / math.log(10.0) if size else -math.inf
    p = p if p[-1] > 0 else tuple(-c for c in p)
    text = root_text(p, at[0])
    return Algebraic(
        "found",
        f"root of {polynomial_text(p)} to {digits:.0f} digits, of which chance explains "
        f"{needed:.0f}: by chance with probability at most 10^{needed - digits:.0f}, no proof",
        text,
        p,
        at[0],
        digits,
        needed,
        residual,
    )


def integer_relation(values: Sequence[Fraction], digits: float) -> tuple[int, ...] | None:
    """Small whole numbers c with sum c_i values_i = 0 to about that many digits, by LLL, or None.

    The shortest vector of the reduced lattice; whether it means anything is for the caller to say.
    """
    import flint

    scale = 10 ** max(1, math.floor(digits) - 1)
    n = len(values)
    rows = [
        [int(i == j) for j in range(n)] + [round(value * scale)] for i, value in enumerate(values)
    ]
    reduced = flint.fmpz_mat(rows).lll().tolist()
    first = min(reduced, key=lambda row: sum(int(v) ** 2 for v in row))
    found = tuple(int(v) for v in first[:n])
    return found if any(found) else None


def fraction_of(ball: Any) -> Fraction:
    """The middle of a ball, exactly."""
    mantissa, power = (int(v) for v in ball.mid().man_exp())
    return Fraction(mantissa) * Fraction(2) ** power


def _ball(x: Fraction) -> Any:
    import flint

    return flint.arb(flint.fmpq(x.numerator, x.denominator))


# Numbers of one algebraic number field, guessed from digits, with exact linear algebra on them.
#
# A field Q(alpha) is the minimal polynomial of alpha and its digits; a number in it is a tuple of k
# rational coefficients of 1, alpha, .., alpha^(k-1). Guesses come from lattices and carry no proof;
# what is computed with them afterwards is exact.


Element = tuple[Fraction, ...]

SPARE = 2.0
"""Digits that a relation must leave unexplained by chance: few, since proofs follow."""


@dataclass(frozen=True, eq=False)
class Field:
    """Q(alpha), alpha the real root number ``index`` of an irreducible polynomial.

    Parameters
    ----------
    polynomial : tuple of int
        Constant term first.
    index : int
        Which real root, counted upwards from 0.
    alpha : Fraction
        Its digits.
    digits : float
        How many of them are correct.
    """

    polynomial: tuple[int, ...]
    index: int
    alpha: Fraction
    digits: float

    @property
    def degree(self) -> int:
        return len(self.polynomial) - 1

    def member(self, value: Fraction) -> Element | None:
        """The small rational combination of powers of alpha with that value, or None."""
        powers = [self.alpha**i for i in range(self.degree)]
        relation = integer_relation([value, *powers], self.digits)
        if relation is None or relation[0] == 0:
            return None
        height = max(map(abs, relation))
        if (self.degree + 1) * math.log10(2 * height + 1) + SPARE > self.digits:
            return None
        return tuple(Fraction(-c, relation[0]) for c in relation[1:])

    @cached_property
    def _powers(self) -> list[list[list[Fraction]]]:
        """Multiplication by 1, alpha, .., alpha^(k-1) on that basis, as k x k matrices."""
        k, top = self.degree, self.polynomial[-1]
        vectors = [[Fraction(int(i == j)) for j in range(k)] for i in range(k)]
        for _ in range(k - 1):  # alpha^k, alpha^(k+1), ..
            last = vectors[-1]
            vectors.append(
                [
                    (last[j - 1] if j else Fraction(0))
                    - last[-1] * Fraction(self.polynomial[j], top)
                    for j in range(k)
                ]
            )
        return [[vectors[i + j] for j in range(k)] for i in range(k)]

    def matrix(self, element: Element) -> list[list[Fraction]]:
        """Multiplication by the element, (k, k): row j holds its product with alpha^j."""
        k = self.degree
        return [
            [
                sum((c * P[i][j] for c, P in zip(element, self._powers, strict=True)), Fraction(0))
                for j in range(k)
            ]
            for i in range(k)
        ]

    def minimal(self, element: Element) -> tuple[int, ...]:
        """Minimal polynomial of an element, primitive, leading coefficient positive; exact."""
        import flint

        table = [[flint.fmpq(c.numerator, c.denominator) for c in r] for r in self.matrix(element)]
        found = flint.fmpq_mat(table).minpoly()
        numerator = found.numer()
        p = [int(c) for c in (numerator // numerator.content()).coeffs()]
        return tuple(p if p[-1] > 0 else [-c for c in p])

    def ball(self, element: Element, bits: int) -> Any:
        """The element's value in balls; rigorous."""
        import flint

        with flint.ctx.workprec(bits):
            root, value = self._root(bits), flint.arb(0)
            for c in reversed(element):
                value = value * root + flint.arb(flint.fmpq(c.numerator, c.denominator))
        return value

    def _root(self, bits: int) -> Any:
        known = self.__dict__.setdefault("_roots", {})
        if bits not in known:
            known[bits] = real_roots(self.polynomial, bits)[self.index]
        return known[bits]

    def rank(self, colours: NDArray[np.int64], elements: Sequence[Element]) -> int:
        """Rank of the matrix whose entry (i, j) is elements[colours[i, j]]; exact."""
        import flint

        common = math.lcm(*(c.denominator for e in elements for row in self.matrix(e) for c in row))
        k = self.degree
        blocks = np.empty((len(elements), k, k), dtype=object)
        for number, element in enumerate(elements):
            for i, row in enumerate(self.matrix(element)):
                blocks[number, i] = [int(c * common) for c in row]
        n = colours.shape[0]
        whole = blocks[colours].transpose(0, 2, 1, 3).reshape(n * k, n * k)
        total = int(flint.fmpz_mat(whole.tolist()).rank())
        return total // k


def common_field(
    values: Sequence[Fraction], digits: float, largest: int, certain: float
) -> tuple[Field, list[Element]] | None:
    """A field that holds all values, and the values in it, or None; a guess.

    Starts from the rationals and, at the first value that does not fit, adjoins it: the new
    generator is alpha + m value for a small m, and everything is expressed anew.
    """
    field = Field((-1, 1), 0, Fraction(1), digits)
    for _ in range(5):
        elements: list[Element] = []
        for value in values:
            element = field.member(value)
            if element is None:
                break
            elements.append(element)
        else:
            return field, elements
        wider = _adjoined(field, values[len(elements)], digits, largest, certain)
        if wider is None:
            return None
        field = wider
    return None


def _adjoined(
    field: Field, value: Fraction, digits: float, largest: int, certain: float
) -> Field | None:
    import flint

    for m in (1, 2, -1):
        alpha = value if field.degree == 1 else field.alpha + m * value
        with flint.ctx.workprec(int(digits * 3.33) + 64):
            ball = flint.arb(flint.fmpq(alpha.numerator, alpha.denominator))
        found = algebraic(ball, digits - 0.5, degree=largest, certain=certain)
        if found.status == "found" and found.degree > field.degree:
            wider = Field(found.coefficients, found.index, alpha, digits - 0.5)
            if field.degree == 1 or wider.member(value) is not None:
                return wider
        if field.degree == 1:
            return None
    return None
