"""Exact inner products of a code: many digits from its contact equations, then exact numbers.

A code that its contacts hold in place is known to as many digits as anyone asks for. Numerical: the
residual and the agreement of equal values say how far to trust them. From digits the inner products
are guessed as numbers of one field, and exact arithmetic proves that a code has them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import flint
import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import qr

from packing.algebra.balls import Ball, fraction, positive_definite
from packing.algebra.identification import CERTAIN, DEGREE, Algebraic, algebraic, common_field
from packing.algebra.number_fields import Cosine, Number
from packing.arrangement import Arrangement
from packing.catalogue.entry_types import ExactGram
from packing.proofs.certificates import Criterion, as_arrangement
from packing.proofs.contact_equations import (
    TOLERANCE,
    Box,
    contact_structure,
    plain_model,
    symmetric_model,
)
from packing.results import Evidence
from packing.types import Float, Int

LARGEST = 300
"""Codes of more vectors than this are not refined."""

FLOAT_DIGITS = 12
"""Digits trusted in inner products of a code that contacts do not pin down."""


@dataclass(frozen=True, eq=False)
class Precise:
    """Inner products to many digits: which pair has which value, and the values in balls."""

    colours: Int
    values: tuple[Ball, ...]
    cosine: Ball
    digits: float

    @property
    def n(self) -> int:
        return int(self.colours.shape[0])


def precise(
    arrangement: ArrayLike | Arrangement,
    criterion: Criterion = "angle",
    digits: int = 300,
    tolerance: float = TOLERANCE,
) -> Precise | None:
    """Cosines of the core to many digits from its contact equations, or None; numerical.

    The core is the code without its rattlers. The equations are refined whether or not they are
    independent; what they leave open shows as too large a residual, or as values that differ
    within one colour.
    """
    whole = as_arrangement(arrangement)
    if whole.n > LARGEST:
        return None
    lines = criterion == "lines"
    graph, touches = contact_structure(whole, None, tolerance, lines)
    if not graph.core or graph.spread * 10.0 > tolerance or graph.gap < tolerance * 10.0:
        return None
    core = whole.directions[:, list(graph.core)]
    axes, scale, _ = np.linalg.svd(core)
    X = axes[:, : int((scale > 1e-6).sum())].T @ core
    held, n = touches[np.ix_(graph.core, graph.core)], X.shape[1]
    bits = int(digits * 3.33) + 32
    model = symmetric_model(X, held, lines, bits, tolerance) or plain_model(X, held, lines)
    system = model.equations
    if system.unknowns > 1000:
        return None
    free = system.unknowns - system.rank
    if free > model.rotations:
        return None  # a flexible code has no digits to find
    x, left = system.refine(bits)
    if not left < flint.arb(10) ** (8 - digits):
        return None
    with flint.ctx.workprec(bits + 64):
        if model.reduced is not None:
            rows = [p.entries() for p in model.reduced.points(Box(x, flint.arb(0)))][:n]
        else:
            entries = x.entries()
            rows = [entries[system.part(i)] for i in range(n)]
        table = flint.arb_mat(rows)
        G = (table * table.transpose()).tolist()
        t = x.entries()[-1]
        colours, first = _colours(core.T @ core, tolerance)
        values = tuple(G[i][j] for i, j in first)
        close = flint.arb(10) ** (12 - digits)
        for i, row in enumerate(G):
            if any(not abs(row[j] - values[colours[i, j]]) < close for j in range(i)):
                return None
        return Precise(colours, values, t.mid() + flint.arb(0, close), digits - 12.0)


def rough(whole: Arrangement, tolerance: float) -> Precise:
    """Cosines as they are: means over the pairs of one colour."""
    C = whole.directions.T @ whole.directions
    colours, _ = _colours(C, tolerance)
    sums = np.bincount(colours.ravel(), weights=C.ravel()) / np.bincount(colours.ravel())
    values = tuple(flint.arb(float(v)) for v in sums)
    apart = C - 3.0 * np.eye(whole.n)
    return Precise(colours, values, flint.arb(float(apart.max())), FLOAT_DIGITS)


def _colours(C: Float, tolerance: float) -> tuple[Int, list[tuple[int, int]]]:
    """Colours (n, n) of cosines, decreasing, and a pair (i >= j) of each.

    0 stands for 1: on the diagonal, and for repeated vectors.
    """
    n = C.shape[0]
    i, j = np.tril_indices(n, -1)
    values = C[i, j]
    order = np.argsort(-values, kind="stable")
    kind = np.concatenate([[1], 1 + np.cumsum(-np.diff(values[order]) > tolerance)])
    if order.size and values[order[0]] > 1.0 - tolerance:
        kind = kind - 1
    colours = np.zeros((n, n), dtype=np.int64)
    colours[i[order], j[order]] = colours[j[order], i[order]] = kind
    starts = np.flatnonzero(np.diff(kind, prepend=0))  # the first of each kind but 0
    first = [(0, 0), *((int(i[order[s]]), int(j[order[s]])) for s in starts)]
    return colours, first


# --- exact Gram matrices ------------------------------------------------------------------------
#
# All entries are written as polynomials in one number over the rationals. Then G is a matrix over a
# field, and whether its rank is r is a question about whole numbers: replacing every entry by the
# matrix of multiplication by it (k x k for a field of degree k) gives a rational matrix of k times
# the rank. If the exact rank is r, and some principal r x r block is positive definite (in balls),
# r eigenvalues are positive (interlacing) and the others vanish: G is the Gram matrix of n vectors
# in R^r. So a code with these exact inner products exists, however they were guessed. Derived here.


FIELD = 16
"""Largest degree of a field that is tried."""

ROWS = 720
"""Largest rational matrix whose rank is asked for: n times the degree of the field."""


@dataclass(frozen=True, eq=False)
class Exact:
    """The exact form of all inner products, or why there is none.

    Parameters
    ----------
    status : Evidence
        ``proved``: vectors with exactly these inner products exist in R^rank, within 1e-9 of the
        given ones; else ``unsettled``.
    sentence : str
    gram : ExactGram or None
        Unit norms: the inner products are cosines.
    largest : Algebraic or None
        The largest cosine (lines: |cosine|), with its minimal polynomial.
    contacts : (m, 2) array of int, or None
        The pairs i < j that have exactly that cosine.
    field : tuple of int
        Minimal polynomial of the number that generates all entries, constant term first.
    """

    status: Evidence
    sentence: str
    gram: ExactGram | None = None
    largest: Algebraic | None = None
    contacts: Int | None = None
    field: tuple[int, ...] = ()

    @property
    def proved(self) -> bool:
        return self.status is Evidence.PROVED


def exact_gram(
    arrangement: ArrayLike | Arrangement,
    *,
    criterion: Criterion = "angle",
    digits: int = 200,
    tolerance: float = TOLERANCE,
) -> Exact:
    """Exact forms of all cosines between the vectors, proved to belong to a code.

    Parameters
    ----------
    arrangement : (d, n) array or Arrangement
        n >= 2 vectors, accurate to about 1e-12; norms play no role.
    criterion : {"angle", "lines"}
        What its contacts are, where contacts are needed for more digits.
    digits : int
        How far the contact equations are refined where floats do not suffice.
    tolerance : float
        Cosines within this of each other are one number.

    Returns
    -------
    Exact

    Notes
    -----
    Small forms are tried on the floats first, then on the refined contact equations. A wrong guess
    fails the rank test; a right one that is too large to guess gives ``none``.
    """
    whole = as_arrangement(arrangement)
    tried = False
    for source in (rough(whole, tolerance), None):
        known = source or precise(whole, criterion, digits, tolerance)
        if known is None or known.n < whole.n:  # nothing exact can be said of rattlers
            continue
        tried = True
        found = _settled(whole, known, criterion)
        if found is not None:
            return found
    why = "no common field was found" if tried else "its cosines are not known to enough digits"
    return Exact(Evidence.UNSETTLED, f"no exact form of the {whole.n} vectors: {why}")


def exact_cosine(
    arrangement: ArrayLike | Arrangement,
    *,
    criterion: Criterion = "angle",
    digits: int = 300,
    degree: int = DEGREE,
    certain: float | None = None,
) -> Algebraic:
    """The largest cosine (lines: |cosine|) of a polished code as a root of a polynomial.

    Parameters
    ----------
    arrangement, criterion
        As for `exact_gram`.
    digits : int
        How far the contact equations are refined.
    degree, certain
        As for `packing.algebra.identification.algebraic`.

    Returns
    -------
    Algebraic
        ``proved`` where the exact Gram matrix is.
    """
    known = precise(arrangement, criterion, digits)
    if known is None:
        return Algebraic(
            Evidence.UNSETTLED,
            "the contacts do not determine the code to many digits: polish it, or give digits",
        )
    found = algebraic(known.cosine, degree=degree, certain=certain)
    if found.point is not None and found.degree * known.n <= 256:
        exact = exact_gram(arrangement, criterion=criterion, digits=digits)
        if exact.largest is not None and exact.largest.coefficients == found.coefficients:
            sentence = f"{found.sentence}; {exact.sentence}"
            return replace(found, status=Evidence.PROVED, sentence=sentence)
    return found


def _settled(whole: Arrangement, known: Precise, criterion: Criterion) -> Exact | None:
    """The exact Gram matrix with the values guessed from these digits, if it is proved."""
    r = whole.rank()
    certain = 3.0 if known.digits <= FLOAT_DIGITS else CERTAIN  # a wrong guess fails the proof
    values = [fraction(value) for value in known.values[1:]]
    guess = common_field(values, known.digits, min(FIELD, ROWS // whole.n), certain)
    if guess is None:
        return None
    field, numbers = guess
    numbers.insert(0, field(1))
    if whole.n * field.degree > ROWS or rank(known.colours, numbers) != r:
        return None
    balls = [number.ball(192) for number in numbers]
    near = flint.arb(10) ** -9
    if any(not abs(b - v) < near for b, v in zip(balls, known.values, strict=True)):
        return None
    if not _positive(whole, known.colours, balls, r):
        return None
    gram = ExactGram(
        known.colours, tuple(Cosine(number.point.text, float(number), number) for number in numbers)
    )
    largest, top = _largest(numbers, gram, criterion)
    contacts = np.argwhere(np.triu(np.isin(known.colours, top), 1))
    kind = "rationals" if field.degree == 1 else f"a field of degree {field.degree}"
    return Exact(
        Evidence.PROVED,
        f"{whole.n} vectors with these {len(numbers) - 1} exact cosines exist in R^{r}: the exact "
        f"Gram matrix over {kind} has rank {r} and is positive semidefinite (proved)",
        gram,
        largest,
        contacts,
        field.polynomial,
    )


def rank(colours: Int, numbers: Sequence[Number]) -> int:
    """Rank of the matrix whose entry (i, j) is numbers[colours[i, j]]; exact."""
    n, k = colours.shape[0], numbers[0].field.degree
    common = math.lcm(*(int(number.multiplication.numer_denom()[1]) for number in numbers))
    blocks = np.empty((len(numbers), k, k), dtype=object)
    for i, number in enumerate(numbers):
        blocks[i] = (number.multiplication * common).numer_denom()[0].tolist()
    whole = blocks[colours].transpose(0, 2, 1, 3).reshape(n * k, n * k)
    return int(flint.fmpz_mat(whole.tolist()).rank()) // k


def _positive(whole: Arrangement, colours: Int, values: Sequence[Ball], r: int) -> bool:
    """True if some principal r x r block is proved positive definite."""
    chosen = np.sort(qr(whole.directions, mode="economic", pivoting=True)[2][:r])
    with flint.ctx.workprec(192):
        block = [[values[colours[i, j]] for j in chosen] for i in chosen]
        return positive_definite(flint.arb_mat(block))


def _largest(
    numbers: list[Number], gram: ExactGram, criterion: Criterion
) -> tuple[Algebraic | None, list[int]]:
    """The largest cosine (lines: |cosine|) and its colours; None where close ones are not equal."""
    if len(numbers) < 2 or np.count_nonzero(gram.colours == 0) > gram.n:
        return None, []  # all vectors are one, or some repeat
    if criterion == "angle":
        near, up = [1], {numbers[1]}
    else:
        sizes = [abs(c.value) for c in gram.cosines[1:]]
        near = [k for k, size in enumerate(sizes, 1) if size > max(sizes) - TOLERANCE]
        up = {numbers[k] if gram.cosines[k].value >= 0 else -numbers[k] for k in near}
        if len(up) != 1:
            return None, []
    proof = "exact inner product of a code"
    return Algebraic(Evidence.PROVED, proof, up.pop().point), near
