"""Rational certificates: a bound on the cosines of a code, compared exactly in whole numbers.

Rows are vectors of Python integers of any size. A cosine enters as its signed square
sign(x.y) (x.y)^2 / (|x|^2 |y|^2), which is rational and grows with it.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

import flint
import numpy as np
from numpy.typing import ArrayLike

from packing.arrangement import Arrangement
from packing.errors import BadInput
from packing.files import write_text
from packing.results import Evidence, Result

Criterion = Literal["angle", "lines"]

_NIVEN = {
    Fraction(1): 0.0,
    Fraction(1, 2): 60.0,
    Fraction(0): 90.0,
    Fraction(-1, 2): 120.0,
    Fraction(-1): 180.0,
}
"""The rational cosines of rational angles (Niven), where rounding would lose a bit."""


def square(rows: Sequence[Sequence[int]], i: int, j: int, criterion: Criterion) -> Fraction:
    """sign(x.y) (x.y)^2 / (|x|^2 |y|^2): grows with the cosine."""
    x, y = rows[i], rows[j]
    dot = sum(a * b for a, b in zip(x, y, strict=True))
    square = Fraction(dot * dot, sum(a * a for a in x) * sum(b * b for b in y))
    return square if dot >= 0 or criterion == "lines" else -square


def extreme(rows: Sequence[Sequence[int]], criterion: Criterion) -> Fraction:
    """The exact signed square of a pair that looks worst in floating point; only a start."""
    shift = max(0, max(max(abs(x) for x in row) for row in rows).bit_length() - 1000)
    X = np.array([[float(x >> shift) for x in row] for row in rows])
    X = X / np.abs(X).max(axis=1, keepdims=True)
    X = X / np.linalg.norm(X, axis=1, keepdims=True)
    worst, at = -np.inf, (0, 1)
    for i in range(len(rows) - 1):
        c = X[i + 1 :] @ X[i]
        c = np.abs(c) if criterion == "lines" else c
        if c.max() > worst:
            worst, at = float(c.max()), (i, i + 1 + int(np.argmax(c)))
    return square(rows, *at, criterion)


def rounded_up(square: Fraction, denominator: int) -> Fraction:
    """The least p/denominator with cosine <= p/denominator, given sign * cosine^2.

    The cosine itself where it is a fraction with a smaller denominator.
    """
    top, bottom = abs(square.numerator), square.denominator
    p, q = math.isqrt(top), math.isqrt(bottom)
    if p * p == top and q * q == bottom and q <= denominator:
        return Fraction(p if square >= 0 else -p, q)
    root = math.isqrt(top * denominator**2 // bottom)  # floor(|cosine| * denominator)
    return Fraction(root + 1, denominator) if square >= 0 else Fraction(-root, denominator)


def breaker(
    rows: Sequence[Sequence[int]], c: Fraction, criterion: Criterion
) -> tuple[int, int] | None:
    """A pair (i, j) whose cosine is above c, the pair (i, i) for a zero vector, or None."""
    norms = [sum(x * x for x in row) for row in rows]
    if 0 in norms:
        return norms.index(0), norms.index(0)
    if c < -1 or (criterion == "lines" and c < 0):
        return 0, 1
    if c >= 1:
        return None
    p, q = c.numerator**2, c.denominator**2
    for i, near in _suspects(rows, norms, c, criterion):
        for j in near:
            dot = sum(a * b for a, b in zip(rows[i], rows[j], strict=True))
            left, right = dot * dot * q, p * norms[i] * norms[j]
            if criterion == "lines":
                good = left <= right
            elif c >= 0:
                good = dot <= 0 or left <= right
            else:
                good = dot < 0 and left >= right
            if not good:
                return i, j
    return None


def _suspects(
    rows: Sequence[Sequence[int]], norms: Sequence[int], c: Fraction, criterion: Criterion
) -> Iterator[tuple[int, list[int]]]:
    """For each i, the j > i that a screen in 64-bit integers cannot clear.

    With x = 2^s u + e, 0 <= e < 2^s in each coordinate, x.y <= 2^2s (u.v + |u|_1 + |v|_1 + d), and
    |x| lies between two neighbouring multiples of 2^s. With |u| <= 2^b and c a multiple of 2^-b,
    rounded to the safe side, both sides of the comparison stay below d 2^(3b + 1) < 2^62.
    """
    d = len(rows[0])
    b = (60 - d.bit_length()) // 3
    s = max(max(abs(x) for x in row) for row in rows).bit_length() - b
    if s > 0:
        U = np.array([[x >> s for x in row] for row in rows], dtype=np.int64)
        length = np.array([math.isqrt(N) >> s for N in norms], dtype=np.int64)
    else:
        U = np.array([[x << -s for x in row] for row in rows], dtype=np.int64)
        length = np.array([math.isqrt(N << -2 * s) for N in norms], dtype=np.int64)
    slack = np.abs(U).sum(axis=1) if s > 0 else np.zeros(len(rows), dtype=np.int64)
    lost = d if s > 0 else 0
    unit = 1 << b
    scaled = math.floor(c * unit) if c >= 0 else math.ceil(-c * unit)
    for i in range(len(rows) - 1):
        dot = U[i + 1 :] @ U[i]
        above = (np.abs(dot) if criterion == "lines" else dot) + slack[i + 1 :] + slack[i] + lost
        if c >= 0:
            room = scaled * (length[i] * length[i + 1 :])
        else:  # the bound is negative: it is safe with the larger lengths
            room = -scaled * ((length[i] + 1) * (length[i + 1 :] + 1))
        yield i, (i + 1 + np.flatnonzero(above * unit > room)).tolist()


def degrees_below(cosine: Fraction) -> float:
    """The largest double that is at most arccos(cosine) in degrees, within a few ulp; rigorous."""
    if cosine in _NIVEN:
        return _NIVEN[cosine]
    if not -1 <= cosine <= 1:
        return 180.0 if cosine < -1 else 0.0
    with flint.ctx.workprec(256):
        angle = flint.arb(flint.fmpq(cosine.numerator, cosine.denominator)).acos() * 180
        lower = angle / flint.arb.pi()
        value = float(lower.mid())
        while not flint.arb(value) <= lower:
            value = math.nextafter(value, -math.inf)
    return max(value, 0.0)


def cosine_below(degrees: Fraction) -> Fraction:
    """A rational at most cos(degrees), by less than 1e-30."""
    for cosine, angle in _NIVEN.items():
        if degrees == angle:
            return cosine
    with flint.ctx.workprec(256):
        turn = flint.fmpq(degrees.numerator, degrees.denominator * 180)
        scaled = (flint.arb.cos_pi_fmpq(turn) * flint.arb(10) ** 30).floor().lower()
        return Fraction(int(str(scaled.unique_fmpz())), 10**30)


# --- certificates: "no two of these vectors have a cosine above c", proved in whole numbers -----
#
# The coordinates are rounded to whole numbers X (n, d) and the claim is checked for the vectors
# X_i, which are not quite the ones that were given but a code in their own right. For c = p/q >= 0
# a pair passes when x.y <= 0 or (x.y)^2 q^2 <= p^2 |x|^2 |y|^2; for c < 0 when x.y < 0 and the
# inequality is turned round. No floating point decides anything: most pairs are cleared by 64-bit
# integers that provably cannot overflow, the rest by Python's integers. Derived here.

BITS = 60
"""Coordinates of unit vectors are rounded to multiples of 2^-60: finer than float64 by 2^7, so that
rounding costs a cosine at most 4 sqrt(d) 2^-60 (each vector is displaced by sqrt(d)/2 units)."""

DENOMINATOR = 10**16
"""Default denominator of the bound: rounding c up costs at most 1e-16."""

EXACT = 20
"""Coordinates that are multiples of 2^-20 are kept as they are, as whole numbers."""

LARGEST = 20_000
"""More vectors than this are refused: pairs are counted in the hundreds of millions."""


@dataclass(frozen=True, eq=False, repr=False)
class Certificate(Result):
    """Whole-number vectors and a bound on their cosines.

    Parameters
    ----------
    integers : tuple of n tuples of d int
        The vectors, any length, none zero.
    cosine : Fraction
        The bound c.
    criterion : {"angle", "lines"}
        Whether cosines or |cosines| are bounded.
    proved : bool
        What the exact check said when the certificate was made; `verify` asks again.
    sentence : str
        The same in words, with the pair that breaks the bound where one does.
    """

    integers: tuple[tuple[int, ...], ...]
    cosine: Fraction
    criterion: Criterion
    proved: bool
    sentence: str

    @property
    def n(self) -> int:
        return len(self.integers)

    @property
    def d(self) -> int:
        return len(self.integers[0])

    @cached_property
    def degrees(self) -> float:
        """A lower bound on the smallest angle in degrees, rounded down; rigorous if proved."""
        return degrees_below(self.cosine)

    @property
    def arrangement(self) -> Arrangement:
        """The whole-number vectors in floating point, scaled to length 1."""
        top = max(max(map(abs, row)) for row in self.integers)
        W = np.array([[x / top for x in row] for row in self.integers]).T
        return Arrangement.from_weights(W / np.linalg.norm(W, axis=0))

    def verify(self) -> bool:
        """Check every pair again, from the integers alone."""
        return breaker(self.integers, self.cosine, self.criterion) is None

    def _values(self) -> Mapping[str, Any]:
        """Plain values for JSON; whole numbers as text, since JSON readers may round them."""
        return {
            "kind": "packing certificate",
            "criterion": self.criterion,
            "n": self.n,
            "d": self.d,
            "cosine": str(self.cosine),
            "min_angle_deg_at_least": self.degrees,
            "proved": self.proved,
            "sentence": self.sentence,
            "vectors": [[str(x) for x in row] for row in self.integers],
        }

    def _facts(self) -> Sequence[tuple[str, str]]:
        known = Evidence.PROVED if self.proved else Evidence.UNSETTLED
        return [("certificate", self.sentence), ("status", known)]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `to_dict` as JSON, whole or not at all.

        Raises
        ------
        BadInput
            If the file cannot be written.
        """
        try:
            write_text(path, json.dumps(self.to_dict(), indent=1) + "\n")
        except OSError as error:
            raise BadInput(
                f"{os.fspath(path)} cannot be written: {error.strerror or error}"
            ) from None

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Certificate:
        """Read what `save` wrote; nothing in the file is trusted, the check is made again.

        Raises
        ------
        BadInput
            If the file is no certificate.
        """
        shown = os.fspath(path)
        try:
            held = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BadInput(f"{shown} cannot be read as JSON: {error}") from None
        try:
            rows = tuple(tuple(int(x) for x in row) for row in held["vectors"])
            cosine, criterion = Fraction(held["cosine"]), held["criterion"]
        except (TypeError, ValueError, KeyError, ZeroDivisionError) as error:
            raise BadInput(
                f"{shown} is no certificate ({error}): it needs vectors, cosine and criterion"
            ) from None
        return _check(rows, cosine, _criterion(criterion))


def certify(
    vectors: ArrayLike | Arrangement,
    criterion: Criterion = "angle",
    *,
    denominator: int = DENOMINATOR,
    bits: int = BITS,
) -> Certificate:
    """The smallest c = p/denominator that the rounded vectors provably keep to.

    Parameters
    ----------
    vectors : (d, n) array or Arrangement
        n >= 2 vectors of any length. Whole numbers (up to a common power of two) are kept as they
        are; anything else is scaled to length 1 and rounded.
    criterion : {"angle", "lines"}
        Bound the cosines or the |cosines|.
    denominator : int
        The bound is a multiple of 1/denominator, or the exact cosine where that is a simpler
        fraction. It exceeds the largest cosine of the rounded vectors by less than 1/denominator.
    bits : int
        Coordinates are multiples of 2^-bits; 16 to 4096.

    Returns
    -------
    Certificate
        Always proved.

    Raises
    ------
    BadInput
        If there are fewer than two vectors or a zero one, or an argument is out of range.
    """
    if denominator < 1:
        raise BadInput(f"denominator = {denominator} is not positive: give a whole number >= 1")
    rows = _integers(vectors, bits)
    _criterion(criterion)
    # The bound comes from the worst pair of the float Gram matrix and is raised as long as the
    # exact check finds a pair above it: each time to that pair's exact cosine, rounded up.
    c = rounded_up(extreme(rows, criterion), denominator)
    while (pair := breaker(rows, c, criterion)) is not None:
        c = rounded_up(square(rows, *pair, criterion), denominator)
    return _check(rows, c, criterion)


def certify_at(
    vectors: ArrayLike | Arrangement,
    cosine: Fraction | int | str | None = None,
    criterion: Criterion = "angle",
    *,
    degrees: Fraction | int | str | None = None,
    bits: int = BITS,
) -> Certificate:
    """Whether the rounded vectors keep to a given bound: ``proved`` says yes or no.

    Parameters
    ----------
    vectors, criterion, bits
        As for `certify`.
    cosine : Fraction, int or text such as "1/2"
        The bound c in [-1, 1], taken exactly (so no float).
    degrees : Fraction, int or text, instead of cosine
        The smallest angle asked for, in (0, 180]; a rational c just below its cosine is used
        (within 1e-30), so that yes is rigorous.

    Raises
    ------
    BadInput
        As `certify`, and unless exactly one of cosine and degrees is given and in range.

    Notes
    -----
    No means that the rounded vectors miss the bound. Where the vectors given reach it exactly
    (1/2 for the 24-cell, say), rounding alone can push them past it: give whole numbers then, or
    ask for a little less.
    """
    if (cosine is None) == (degrees is None):
        raise BadInput("cosine and degrees: give exactly one of them")
    given = cosine if cosine is not None else degrees
    try:
        c = Fraction(cast(Fraction, given))
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        raise BadInput(f"{given!r} is no number: give a fraction such as 1/2") from None
    if cosine is not None and not -1 <= c <= 1:
        raise BadInput(f"cosine = {c} is out of range: give a fraction in [-1, 1]")
    if degrees is not None:
        if not 0 < c <= 180:
            raise BadInput(f"degrees = {c} is out of range: give an angle in (0, 180]")
        c = cosine_below(c)
    return _check(_integers(vectors, bits), c, _criterion(criterion))


# --- whole numbers ------------------------------------------------------------------------------


def _criterion(name: object) -> Criterion:
    if name not in ("angle", "lines"):
        raise BadInput(f"criterion = {name!r} is unknown: give angle or lines")
    return name


def as_arrangement(vectors: ArrayLike | Arrangement, largest: int = LARGEST) -> Arrangement:
    """Two or more vectors, none of them zero.

    Raises
    ------
    BadInput
        If they are anything else, or more than ``largest``.
    """
    whole = vectors if isinstance(vectors, Arrangement) else Arrangement.from_weights(vectors)
    if not 2 <= whole.n <= largest:
        raise BadInput(f"{whole.n} vectors: give 2 to {largest}, one per column")
    if np.any(whole.norms == 0.0):
        raise BadInput(
            f"vector {int(np.argmin(whole.norms))} is zero and has no direction: leave it out"
        )
    return whole


def _integers(vectors: ArrayLike | Arrangement, bits: int) -> tuple[tuple[int, ...], ...]:
    """Whole-number rows (n, d) along the columns of vectors (d, n)."""
    if not 16 <= bits <= 4096:
        raise BadInput(f"bits = {bits} is out of range: give 16 to 4096")
    whole = as_arrangement(vectors)
    small = np.ldexp(whole.W, EXACT)
    if np.all(small == np.rint(small)) and np.abs(small).max() < 2.0**62:
        return tuple(tuple(int(x) for x in row) for row in small.T)
    # A float is a whole number times a power of two, so this loses nothing but the last bits.
    scale = 1 << bits
    return tuple(
        tuple(round(Fraction(float(x)) * scale) for x in row) for row in whole.directions.T
    )


def _check(rows: tuple[tuple[int, ...], ...], c: Fraction, criterion: Criterion) -> Certificate:
    if len(rows) < 2 or not rows[0] or len({len(row) for row in rows}) > 1:
        raise BadInput("a certificate needs two or more vectors of one dimension >= 1")
    pair = breaker(rows, c, criterion)
    what = "|cosine|" if criterion == "lines" else "cosine"
    if pair is None:
        sentence = f"every {what} between two of the {len(rows)} vectors is at most {c} (proved)"
    elif pair[0] == pair[1]:
        sentence = f"vector {pair[0]} is zero and has no direction"
    else:
        sentence = f"the {what} of vectors {pair[0]} and {pair[1]} is above {c} (proved)"
    return Certificate(rows, c, criterion, pair is None, sentence)
