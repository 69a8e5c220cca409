"""One orbit, uniform law, at a rational S: the loss as exact polynomials between vertices.

The same sum over vertices as in `uniform`, over the field of the cosines. Between two neighbouring
vertices F1 and F2 are polynomials in beta = bias / norm^2, and the least loss is at a root of
2 F1' F2 - F1 F2'.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from theory.closed_form.field import Element, Field
from theory.closed_form.points import ball
from theory.closed_form.polynomials import Polynomial, total
from theory.closed_form.states import Row


@dataclass(frozen=True, eq=False)
class Stationarity:
    """The piece of the loss around one beta, exact, at one rational S.

    The loss at norm^2 rho and bias rho beta is S/3 - 2 rho F1(beta) + rho^2 F2(beta).

    Parameters
    ----------
    S : Fraction
    low, high : ball
        The interval of beta on which these polynomials hold; no vertex is crossed.
    F1, F2 : Polynomial
        In beta.
    equation : Polynomial
        2 F1' F2 - F1 F2': zero where the loss, at its best rho, is stationary.
    """

    S: Fraction
    low: Any
    high: Any
    F1: Polynomial
    F2: Polynomial
    equation: Polynomial


def stationarity(row: Row, S: Fraction, beta: Fraction) -> Stationarity:
    """The exact piecewise polynomial loss around beta, and its stationarity equation.

    Parameters
    ----------
    row : Row
    S : Fraction
        In (0, 1].
    beta : Fraction
        bias / norm^2, not a vertex sum (with the sign turned).
    """
    import flint

    field = row.field
    vertices = _exact_vertices(row, S)
    sums = {}
    for q, shift in ((1, 0), (2, 0), (3, 0), (2, 1), (3, 1)):
        sums[q, shift] = total(
            field,
            (
                _power_sum(field, weight, at, shift, q)
                for at, weight in vertices
                if _above(field, at, beta + shift)
            ),
        )
    low_end: Any = flint.arb.neg_inf()
    high_end: Any = flint.arb.pos_inf()
    for at, _ in vertices:
        for shift in (0, 1):
            knot = -field.ball(at) - shift
            if knot < ball(beta):
                low_end = knot if not knot < low_end else low_end
            else:
                high_end = knot if knot < high_end else high_end
    p, off = field.element(S), field.element(1 - S)
    F1 = (sums[2, 1] - sums[3, 1] + sums[3, 0]).times(p)
    half = (sums[3, 1] - sums[3, 0]).times(p) + sums[2, 0].times(off)
    F2 = half + half
    equation = F1.derivative * (F2 + F2) - F1 * F2.derivative
    return Stationarity(S, low_end, high_end, F1, F2, equation)


def exact_loss(row: Row, rho: Fraction, bias: Fraction, S: Fraction) -> Any:
    """Loss per feature as an exact expression; cosines rational."""
    beta = bias / rho
    piece = stationarity(row, S, beta)
    F1, F2 = piece.F1.at(beta), piece.F2.at(beta)
    value = [-2 * rho * a + rho * rho * b for a, b in zip(F1, F2, strict=True)]
    return row.field.expression([value[0] + S / 3, *value[1:]])


def _exact_vertices(row: Row, S: Fraction) -> list[tuple[Element, Polynomial]]:
    """Vertex sums with their polynomials in y, largest first."""
    field = row.field
    one = Polynomial.of(field, [1])
    factors = []
    for cosine, m in zip(row.cosines, row.counts, strict=True):
        share = Polynomial.of(field, [0, 1], tuple(S * c for c in field.inverse(cosine)))
        stay = Polynomial.of(field, [1], field.element(1 - S)) - share
        ups, downs = [one], [one]
        for _ in range(m):
            ups.append(ups[-1] * share)
            downs.append(downs[-1] * stay)
        factors.append(
            [(ups[j] * downs[m - j]).times(field.element(math.comb(m, j))) for j in range(m + 1)]
        )
    return [
        (tuple(Fraction(k, row.scale) for k in key), weight)
        for key, weight in row.sums(one, factors)
    ]


def _above(field: Field, at: Element, tau: Fraction) -> bool:
    """Whether the vertex lies above -tau."""
    import flint

    t = (at[0] + tau, *at[1:])
    if not any(t):
        return False
    with flint.ctx.workprec(256):
        value = field.ball(t)
    if value.contains(0):
        raise ArithmeticError("256 bits do not tell a vertex from the kink: report this")
    return bool(value > 0)


def _power_sum(field: Field, weight: Polynomial, at: Element, shift: int, q: int) -> Polynomial:
    """sum_r a_r (at + shift + beta)^(r+q) / (r+q)! as a polynomial in beta."""
    t = Polynomial.of(field, [0, 1]) + Polynomial.of(field, [1], (at[0] + shift, *at[1:]))
    out = Polynomial.zero(field)
    for r in range(weight.degree, -1, -1):
        c = tuple(x / math.factorial(r + q) for x in weight.coefficient(r))
        out = out * t + Polynomial.of(field, [1], c)
    for _ in range(q):
        out = out * t
    return out
