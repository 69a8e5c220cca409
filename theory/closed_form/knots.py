"""One orbit, uniform law: the polynomials F1 and F2 between two knots, in beta and in S; exact.

beta = bias/norm^2, and a knot is a beta at which some vertex of the cube meets the kink. F1 and F2
have degree at most n in S, so their coefficients, known at rational S (`stationarity`), are
interpolated from as many S as that needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from theory.closed_form.decimals import rational
from theory.closed_form.points import ball
from theory.closed_form.polynomials import Polynomial
from theory.closed_form.states import Row
from theory.closed_form.stationarity import stationarity


def knots(row: Row) -> list[tuple[Fraction, ...]]:
    """The beta at which the loss changes its polynomial, upwards, as elements of the field."""
    sums_ = row.sums(1, [[1] * (m + 1) for m in row.counts])
    found = set()
    for key, _ in sums_:
        element = tuple(Fraction(-k, row.scale) for k in key)
        found |= {element, (element[0] - 1, *element[1:])}
    return sorted(found, key=lambda e: value_of(row, e).mid())


def value_of(row: Row, element: Sequence[Fraction]) -> Any:
    import flint

    with flint.ctx.workprec(256):
        return row.field.ball(element)


def between(row: Row, ends: list[tuple[Fraction, ...]]) -> list[Fraction]:
    """Fractions near the knots, and one beyond the last."""
    near = [Fraction(round(float(value_of(row, e).mid()) * 10**9), 10**9) for e in ends]
    return [*near, near[-1] + 1]


def neighbours(row: Row, ends: list[tuple[Fraction, ...]], place: Fraction) -> tuple[Any, Any]:
    """The knots on both sides of beta, as expressions."""
    import sympy

    low: Any = -sympy.oo
    for end in ends:
        if value_of(row, end) > ball(place):
            return low, row.field.expression(end)
        low = row.field.expression(end)
    return low, sympy.oo


def pieces_in_S(row: Row, place: Fraction) -> tuple[Any, Any, Any]:
    """F1, F2 and 2 F1' F2 - F1 F2' around one beta, as expressions in beta and S; exact."""
    import sympy

    beta, chance = sympy.symbols("beta S")
    most = 2 * row.n  # degree in S: at most n each, so twice that in the equation
    nodes = [Fraction(j, most + 2) for j in range(1, most + 2)]
    found = [stationarity(row, x, place) for x in nodes]
    a = sympy.sympify(row.field.text)
    out = []
    for which in ("F1", "F2", "equation"):
        at_nodes: list[Polynomial] = [getattr(piece, which) for piece in found]
        total = sympy.Integer(0)
        for k in range(max(p.degree for p in at_nodes) + 1):
            for i in range(row.field.degree):
                values = [p.coefficient(k)[i] for p in at_nodes]
                part = sympy.factor(_interpolated(nodes, values).as_expr(chance))
                total += part * beta**k * a**i
        out.append(total)
    return out[0], out[1], out[2]


def _interpolated(nodes: Sequence[Fraction], values: Sequence[Fraction]) -> Any:
    """The polynomial of least degree through these points, by Newton's differences."""
    import sympy

    x = sympy.Symbol("S")
    table = list(values)
    for step in range(1, len(nodes)):
        for i in range(len(nodes) - 1, step - 1, -1):
            table[i] = (table[i] - table[i - 1]) / (nodes[i] - nodes[i - step])
    out = [Fraction(0)]
    for node, c in zip(reversed(nodes), reversed(table), strict=True):
        shifted = [Fraction(0), *out]
        out = [a - node * b for a, b in zip(shifted, [*out, Fraction(0)], strict=True)]
        out[0] += c
    return sympy.Poly([rational(c) for c in reversed(out)], x)
