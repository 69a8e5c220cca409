"""Closed forms as text, as LaTeX and as decimal enclosures.

Binary law: one line per piece, norm^2, bias and loss as rational functions of S (exact). Uniform
law: with beta = bias/norm^2 and rho = norm^2 the loss per feature is S/3 - 2 rho F1 + rho^2 F2, and
F1, F2 are polynomials in beta and S between two knots, the beta at which some vertex of the cube
meets the kink; the least loss is S/3 - F1^2/F2 where 2 F1' F2 - F1 F2' = 0. F1 and F2 have degree
at most n in S, so their coefficients, known at rational S (`uniform.stationarity`), are
interpolated from as many S as that needs: exact. Texts are read back by sympy.sympify, given
symbols for S and beta as ``locals``. Enclosures are balls.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import flint

from packing.algebra.balls import decimals, fraction
from packing.algebra.number_fields import Number, solve
from packing.algebra.roots import Point
from packing.catalogue.entry_types import Entry
from packing.errors import BadInput, NotReached
from theory.symmetric.active_states import Row
from theory.symmetric.one_orbit import ClosedForm, closed_form
from theory.symmetric.orbits import OrbitForm
from theory.symmetric.uniform import stationarity

if TYPE_CHECKING:
    import sympy

LARGEST = 8
"""Features up to which the polynomials of the uniform law are written down."""

KNOTS = 24
"""Knots of the uniform law's loss up to which all its pieces are written down."""


def plain(expression: Any) -> str:
    """An expression as text, powers with ^; sympy reads it."""
    return str(expression).replace("**", "^")


def number(x: Fraction) -> str:
    """A number as people read it."""
    return str(x) if x.denominator < 10**6 else repr(float(x))


# --- the polynomials of the uniform law ---------------------------------------------------------


def knots(row: Row) -> list[Number]:
    """The beta at which the loss changes its polynomial, upwards."""
    sums = [row.number(key) for key, _ in row.sums(1, [[1] * (m + 1) for m in row.counts])]
    return sorted({-t for t in sums} | {-t - 1 for t in sums})


def between(ends: list[Number]) -> list[Fraction]:
    """Fractions near the knots, and one beyond the last."""
    near = [Fraction(round(float(end) * 10**9), 10**9) for end in ends]
    return [*near, near[-1] + 1]


def neighbours(ends: list[Number], place: Fraction) -> tuple[sympy.Expr, sympy.Expr]:
    """The knots on both sides of beta, as expressions."""
    import sympy

    low = [end for end in ends if end <= place]
    high = [end for end in ends if end > place]
    return low[-1].expression if low else -sympy.oo, high[0].expression if high else sympy.oo


def pieces_in_S(row: Row, place: Fraction) -> tuple[Any, ...]:
    """F1, F2 and 2 F1' F2 - F1 F2' around one beta, as expressions in beta and S; exact."""
    import sympy

    beta, chance = sympy.symbols("beta S")
    most = 2 * row.n  # degree in S: at most n each, so twice that in the equation
    nodes = [Fraction(j, most + 2) for j in range(1, most + 2)]
    table = [[x**j for j in range(most + 1)] for x in nodes]
    found = [stationarity(row, x, place) for x in nodes]
    basis = [(row.field.generator**i).expression for i in range(row.field.degree)]
    out = []
    for which in ("F1", "F2", "equation"):
        at_nodes = [getattr(piece, which) for piece in found]
        total = sympy.Integer(0)
        for k in range(max(p.degree for p in at_nodes) + 1):
            for i, a in enumerate(basis):
                values = [p.coefficient(k).coefficients[i] for p in at_nodes]
                coefficients = map(sympy.Rational, reversed(solve(table, values)))
                part = sympy.factor(sympy.Poly(list(coefficients), chance).as_expr())
                total += part * beta**k * a
        out.append(total)
    return tuple(out)


# --- printed ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Printed:
    """A closed form for people.

    Parameters
    ----------
    text : str
        A line per piece; expressions as sympy reads them.
    latex : str
        The same, as a ``cases`` environment (binary), or a line per piece.
    enclosure : str
        Decimals with error bounds: ends of the pieces, and norm^2, bias and loss at the S asked.
    """

    text: str
    latex: str
    enclosure: str


def formula_text(
    form: ClosedForm | OrbitForm | Entry | str,
    law: str = "binary",
    S: Fraction | float | None = None,
    digits: int = 30,
) -> Printed:
    """A block's least loss, written out.

    Parameters
    ----------
    form : ClosedForm, OrbitForm, Entry or str
        A closed form (then ``law`` is its own), a catalogue entry or its name.
    law : str
    S : Fraction or float, optional
        Where the minimum is enclosed, in (0, 1). Only the piece that holds it is written then.
    digits : int
        Of the enclosures.

    Raises
    ------
    BadInput
        If the law has no exact form, or a block of several kinds of vectors comes without S.
    NotReached
        If there are too many pieces to write down; an S makes do with one of them, or
        `ClosedForm.minimum` answers.
    """
    if isinstance(form, OrbitForm):
        return _several(form, S, digits)
    if not isinstance(form, ClosedForm):
        form = closed_form(form, law)
    if form.law == "binary":
        return _binary(form, S, digits)
    if form.law == "uniform":
        return _uniform(form, S, digits)
    raise BadInput(f"the {form.law} law has no exact form: ask minimum(S) for numbers")


# --- binary ---------------------------------------------------------------------------------------


def _binary(form: ClosedForm, S: Fraction | float | None, digits: int) -> Printed:
    lines, cases, bounds = [], [], []
    for piece in form.pieces():
        if S is not None and not piece.holds(S):
            continue
        low, high = _end(piece.low), _end(piece.high)
        functions = (piece.loss, piece.rho, piece.bias)
        loss, rho, bias = (plain(f.expression) for f in functions)
        lines.append(
            f"S in ({low}, {high}): loss = {loss} per feature, norm^2 = {rho}, bias = {bias}"
        )
        cases.append(f"{piece.loss.latex} & {_latex(piece.low)} < S < {_latex(piece.high)}")
        for end in (piece.low, piece.high):
            line = f"S = {decimals(end.ball(round(3.4 * digits) + 32), digits)}"
            if end.degree > 1:
                line += f": root of {end.equation}"
            if line not in bounds:
                bounds.append(line)
    latex = "\\begin{cases}\n" + " \\\\\n".join(cases) + "\n\\end{cases}"
    if S is not None:
        bounds.append(_at(form, S, digits))
    return Printed("\n".join(lines), latex, "\n".join(bounds))


def _at(form: ClosedForm, S: Fraction | float, digits: int) -> str:
    """The minimum at one S, enclosed."""
    found = form.minimum(S, digits)
    values = (("loss", found.loss), ("norm^2", found.rho), ("bias", found.bias))
    numbers = ", ".join(f"{name} = {decimals(value, digits)}" for name, value in values)
    return f"at S = {number(Fraction(S))}: {numbers} ({found.known})"


def _end(point: Point) -> str:
    """An end of a piece: exact where short, else the decimals that tell it apart."""
    return point.text if point.degree <= 2 else f"{float(point):.12g}..."


def _latex(point: Point) -> str:
    import sympy

    if point.degree > 2:
        return f"{float(point):.12g}\\ldots"
    return str(sympy.latex(sympy.sympify(point.text)))


# --- uniform --------------------------------------------------------------------------------------


def _uniform(form: ClosedForm, S: Fraction | float | None, digits: int) -> Printed:
    import sympy

    row = form.row
    if row.n > LARGEST:
        raise NotReached(
            f"{form.name}: the polynomials of {row.n} features are too long to write down, at most "
            f"{LARGEST}: ask minimum(S)",
            None,
        )
    ends = knots(row)
    head = "beta = bias/norm^2, loss = S/3 - 2*norm^2*F1 + norm^4*F2 per feature"
    bounds = []
    if S is not None:
        found = form.minimum(S, digits)
        bounds.append(_at(form, S, digits))
        with flint.ctx.workprec(256):
            places = [fraction((found.bias / found.rho).mid())]
    else:
        if len(ends) > KNOTS:
            raise NotReached(
                f"the loss of {form.name} has {len(ends) + 1} pieces in bias/norm^2, more than "
                f"{KNOTS + 1}: give S for the one that holds its minimum",
                None,
            )
        places = [(a + b) / 2 for a, b in pairwise(between(ends))]
    lines, cases = [head], []
    for place in places:
        low, high = neighbours(ends, place)
        F1, F2, equation = pieces_in_S(row, place)
        where = f"beta in ({plain(low)}, {plain(high)})"
        lines.append(
            f"{where}: F1 = {plain(F1)}, F2 = {plain(F2)}, stationary where {plain(equation)} = 0"
        )
        cases.append(
            f"{sympy.latex(low)} < \\beta < {sympy.latex(high)}:\\quad "
            f"F_1 = {sympy.latex(F1)},\\ F_2 = {sympy.latex(F2)},\\ 0 = {sympy.latex(equation)}"
        )
    for end in ends:
        bounds.append(f"knot beta = {decimals(end.ball(256), digits)}")
    return Printed("\n".join(lines), " \\\\\n".join(cases), "\n".join(bounds))


# --- several kinds --------------------------------------------------------------------------------


def _several(form: OrbitForm, S: Fraction | float | None, digits: int) -> Printed:
    import sympy

    if S is None:
        raise BadInput(
            f"{form.name} has {len(form.counts)} kinds of vectors and no formula in S alone: give S"
        )
    found = form.minimum(S, digits)
    named = [("loss", found.loss)]
    for a, (norm, bias) in enumerate(zip(found.norms, found.biases, strict=True)):
        named += [(f"norm_{a}", norm), (f"bias_{a}", bias)]
    if found.height is not None:
        named.append(("height", found.height))
    text = ", ".join(f"{name} = {float(value.mid()):.15g}" for name, value in named)
    enclosed = ", ".join(f"{name} = {decimals(value, digits)}" for name, value in named)
    symbols = {"loss": "L", "norm": "r", "bias": "b", "height": "h"}
    latex = ",\\ ".join(
        f"{sympy.latex(sympy.Symbol(symbols[name.split('_')[0]] + name[4:] * ('_' in name)))}"
        f" = {float(value.mid()):.15g}"
        for name, value in named
    )
    where = f"at S = {number(Fraction(S))}"
    return Printed(f"{where}: {text} ({found.advice})", latex, f"{where}: {enclosed}")
