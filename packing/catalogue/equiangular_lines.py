"""Equiangular lines: their signs, which are Seidel matrices of regular two-graphs, and their codes.

A Seidel matrix S is symmetric, 0 on the diagonal, +-1 elsewhere. Unit vectors along n lines with
one angle between any two of them have the Gram matrix I + mu S, and span as few dimensions as the
Welch bound allows when S has two eigenvalues. Changing the sign of a vector switches S, so what
counts is its switching class: a regular two-graph (Taylor 1977; Seidel 1976).
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np

from packing.algebra.finite_fields import Field, field, prime_power
from packing.algebra.number_fields import RATIONALS, Number, root_of
from packing.catalogue import graphs
from packing.catalogue.entry_types import Claim, Entry, ExactGram, Row, affordable
from packing.catalogue.exact import assemble
from packing.catalogue.graphs import LARGEST, factorial, sum_of_two_squares
from packing.catalogue.references import GERZON, UNIVERSAL, WELCH, proved
from packing.errors import BadInput
from packing.types import Int


def has_two_eigenvalues(S: Int, a: int) -> bool:
    """True when S is a Seidel matrix with S^2 = (n - 1) I + a S.

    The product is taken in floating point, which is exact here: entries are at most n.
    """
    n = len(S)
    if not (np.array_equal(S, S.T) and np.array_equal(np.abs(S), 1 - np.eye(n))):
        return False
    X = S.astype(np.float64)
    return bool(np.array_equal(X @ X, (n - 1) * np.eye(n) + a * X))


def of_graph(A: Int) -> Int:
    """-1 between neighbours, +1 between others."""
    S = 1 - 2 * A
    np.fill_diagonal(S, 0)
    return np.asarray(S, dtype=np.int64)


def with_point(S: Int) -> Int:
    """The Seidel matrix with one more line, +1 to all others: undoes `isolated`."""
    n = len(S) + 1
    full = np.ones((n, n), dtype=np.int64)
    full[1:, 1:] = S
    full[0, 0] = 0
    return full


def isolated(S: Int) -> Int:
    """S switched until the first line has +1 with all others."""
    signs = S[0].copy()
    signs[0] = 1
    return S * np.outer(signs, signs)


def conference(q: int) -> Int:
    """Paley's symmetric conference matrix of order q + 1, q = 1 modulo 4 a prime power."""
    return with_point(of_graph(graphs.paley(q)))


def symplectic(m: int, elliptic: bool) -> Int:
    """The symplectic two-graph on 2^(m-1) (2^m - 1) or, not elliptic, 2^(m-1) (2^m + 1) points.

    Points are the zeros of a quadratic form on GF(2)^(2m) of that type, the sign between two of
    them is given by the bilinear form. Sp(2m, 2) acts on them two-transitively.
    """
    form, polar = _quadratic(m, elliptic)
    zeros = np.flatnonzero(form == 0)
    return _signs(1 - 2 * polar[np.ix_(zeros, zeros)])


def affine(m: int) -> Int:
    """The two-graph on the 4^m vectors of GF(2)^(2m): signs by the quadratic form of x + y."""
    form, polar = _quadratic(m, False)
    return _signs(1 - 2 * ((form[:, None] + form + polar) % 2))


def unitary(q: int) -> Int:
    """Taylor's two-graph on the q^3 + 1 isotropic points of a Hermitian plane; q odd.

    The sign between two points is the quadratic character of the Hermitian product of vectors on
    them, in GF(q^2); another vector on the same point switches.
    """
    if q % 2 == 0:
        raise BadInput(f"q = {q}: the unitary two-graph needs an odd prime power")
    F: Field = field(q * q)
    X = F.points(3)
    conjugate = F.power(np.arange(q * q), q)

    def product(x: Int, y: Int) -> Int:
        y = conjugate[y]
        return F.sum(*(F.times[x[..., i], y[..., i]] for i in range(3)))

    X = X[product(X, X) == 0]
    return _signs(np.where(F.square[product(X[:, None], X[None])], 1, -1))


def heptads() -> Int:
    """Goethals and Seidel's 176 lines: heptads of S(4,7,23) off a point, by how they meet."""
    return of_graph(graphs.heptads_176())


def mclaughlin() -> Int:
    """The 276 lines: the McLaughlin graph and one more point."""
    return with_point(of_graph(graphs.mclaughlin()))


def _signs(table: Int) -> Int:
    S = np.array(table, dtype=np.int64)
    np.fill_diagonal(S, 0)
    return S


def _quadratic(m: int, elliptic: bool) -> tuple[Int, Int]:
    """A quadratic form of that type on the vectors of GF(2)^(2m), and its bilinear form."""
    X = np.array(list(itertools.product((0, 1), repeat=2 * m)), dtype=np.int64)
    U = np.zeros((2 * m, 2 * m), dtype=np.int64)
    U[range(0, 2 * m, 2), range(1, 2 * m, 2)] = 1
    if elliptic:  # x^2 + x y + y^2 vanishes at 0 alone
        U[0, 0] = U[1, 1] = 1
    return ((X @ U) * X).sum(axis=1) % 2, X @ (U + U.T) @ X.T % 2


# --- which lines can be built ---------------------------------------------------------------------


@dataclass(frozen=True)
class TwoGraph:
    """A regular two-graph that can be built.

    Parameters
    ----------
    make : callable
        Makes its Seidel matrix, up to sign.
    order : int
        Permutations of the lines that keep it.
    construction : str
    """

    make: Callable[[], Int]
    order: int
    construction: str


def known(d: int, n: int) -> TwoGraph | None:
    """The two-graph whose n lines, or the Naimark complement of those, lie in R^d.

    Groups from Taylor, Regular 2-graphs (1977) and Two-graphs and doubly transitive groups (1992).
    """
    least = min(d, n - d)
    if n == 2 * d and (split := prime_power(n - 1)) and n % 4 == 2:
        q = n - 1
        order = split[1] * q * (q * q - 1) // 2  # PSigmaL(2, q)
        return TwoGraph(partial(conference, q), order, f"Paley's conference matrix, q = {q}")
    return _families().get((least, n))


def _families() -> dict[tuple[int, int], TwoGraph]:
    """The lines (d, n), d < n / 2, that can be built."""
    found = {
        (22, 176): TwoGraph(heptads, 44352000, "heptads of S(4,7,23) off a point, group HS"),
        (23, 276): TwoGraph(mclaughlin, 495766656000, "the McLaughlin graph, group Co3"),
    }
    for q in (5, 7, 9):  # q = 3 is symplectic
        p_e = prime_power(q)
        assert p_e is not None
        order = 2 * p_e[1] * q**3 * (q**2 - 1) * (q**3 + 1)  # PGammaU(3, q)
        text = f"isotropic points of a Hermitian plane, group U3({q})"
        found[q * q - q + 1, q**3 + 1] = TwoGraph(partial(unitary, q), order, text)
    for m in (2, 3, 4):
        order = 2 ** (m * m) * math.prod(4**i - 1 for i in range(1, m + 1))  # Sp(2m, 2)
        text = f"vectors of GF(2)^{2 * m} by a quadratic form, group 2^{2 * m}:Sp({2 * m},2)"
        half = 2 ** (m - 1)
        found[half * (2**m - 1), 4**m] = TwoGraph(partial(affine, m), 4**m * order, text)
        for e in (-1, 1) if m > 2 else ():
            text = f"zeros of a quadratic form on GF(2)^{2 * m}, group Sp({2 * m},2)"
            key = (2**m + e) * (half + e) // 3, half * (2**m + e)
            found[key] = TwoGraph(partial(symplectic, m, e < 0), order, text)
    return found


# Equiangular tight frames: n lines in R^d that meet the Welch bound, and their antipodal doubles.
#
# Any two lines have |cosine| mu = sqrt((n - d) / (d (n - 1))), the least coherence that n lines in
# R^d can have (Welch 1974). `equiangular` gives one vector on each line, `doubled` both.


ABSENT = {(19, 76): "Azarija and Marc 2018, Yu 2015", (20, 96): "Azarija and Marc 2020, Yu 2015"}
"""Lines that satisfy every condition here and are known not to exist, and who proved that."""

LISTED = (
    *((7, 14), (9, 18), (10, 16), (13, 26), (15, 36)),
    *((21, 28), (21, 36), (21, 126), (22, 176), (23, 276)),
)
"""Doubles in the catalogue that have no other name."""

OTHER_NAMES = {
    (2, 3): "hexagon",
    (3, 4): "cube",
    (4, 5): "doubled 5-cell",
    (3, 6): "icosahedron",
    (5, 10): "birectified 5-simplex",
    (6, 16): "6-demicube",
    (7, 28): "E7 56-code",
}
"""Doubles that are known under another name; for d >= 5, n = d + 1 it is "doubled d-simplex"."""

ALIASES = {(23, 276): ("Leech 552-code",)}

MOST = "Lemmens & Seidel, J. Algebra 24 (1973) 494-512"
MOST_LINES = {
    (3, 6): GERZON,
    (5, 10): MOST,
    (6, 16): MOST,
    (7, 28): GERZON,
    (15, 36): MOST,
    (21, 126): MOST,
    (22, 176): MOST,
    (23, 276): GERZON,
}
"""Where no larger number of equiangular lines exists in that dimension, and who proved that."""


# --- parameters ---------------------------------------------------------------------------------


def coherence(d: int, n: int) -> Number:
    """mu of n lines in R^d that meet the Welch bound, exact."""
    return root_of(Fraction(n - d, d * (n - 1)))


def slope(d: int, n: int) -> int:
    """a in S^2 = (n - 1) I + a S, for the Seidel matrix S of n lines in R^d.

    The eigenvalues of S are -1/mu, n - d times, and (n/d - 1)/mu, d times; a is their sum.

    Raises
    ------
    BadInput
        If no such lines can exist, or they are known not to (Sustik, Tropp, Dhillon and Heath 2007
        for the conditions). Passing does not mean that they exist.
    """
    asked = f"{n} equiangular lines in R^{d} that meet the Welch bound"
    if not all(isinstance(x, int) for x in (d, n)) or not 2 <= d < n <= LARGEST:
        raise BadInput(f"{asked}: give whole numbers, d >= 2 and d + 1 <= n <= {LARGEST}")
    if n == d + 1:
        return 1 - d
    least = min(d, n - d)  # the Naimark complement has n lines in R^(n - d)
    if 2 * n > least * (least + 1):
        raise BadInput(f"{asked}: there are none, Gerzon's bound is n <= d(d+1)/2, for n - d too")
    if (found := ABSENT.get((least, n))) is not None:
        raise BadInput(f"{asked}: there are none ({found})")
    if n == 2 * d:
        if n % 4 != 2 or not sum_of_two_squares(n - 1):
            raise BadInput(
                f"{asked}: there are none, n = 2d asks for a symmetric conference matrix, so "
                "n = 2 modulo 4 with n - 1 a sum of two squares"
            )
        return 0
    low, high = (_odd_root(Fraction(x * (n - 1), n - x)) for x in (d, n - d))
    if low is None or high is None:
        raise BadInput(f"{asked}: there are none, the eigenvalues of the signs are not odd numbers")
    return high - low


def _odd_root(x: Fraction) -> int | None:
    root = math.isqrt(x.numerator)
    return root if x.denominator == 1 and root * root == x.numerator and root % 2 else None


# --- verbs --------------------------------------------------------------------------------------


def seidel(d: int, n: int) -> Int:
    """Signs between n equiangular lines in R^d that meet the Welch bound, shape (n, n).

    The first row is +1, or all are -1 for a simplex.

    Checked in exact arithmetic: S^2 = (n - 1) I + a S, and a fixes the dimension.

    Raises
    ------
    BadInput
        If there are none, or no construction is known here.
    """
    a = slope(d, n)
    affordable(f"the signs of {n} lines", n, n)
    if n == d + 1:
        simplex = np.eye(n, dtype=np.int64) - 1
        simplex.setflags(write=False)
        return simplex
    two = known(d, n)
    if two is None:
        raise BadInput(
            f"({d}, {n}): no construction of these lines is known here, ask for their rows alone"
        )
    S = two.make()
    for signs in (S, -S):  # -S are the signs of the Naimark complement, in R^(n - d)
        if has_two_eigenvalues(signs, a) and len(signs) == n:
            found = isolated(signs)
            found.setflags(write=False)
            return found
    raise AssertionError(f"a construction of lines ({d}, {n}) does not have two eigenvalues")


def equiangular(d: int, n: int) -> Entry:
    """One unit vector on each of n equiangular lines in R^d that meet the Welch bound.

    Parameters
    ----------
    d, n : int
        d >= 2, n >= d + 1.

    Returns
    -------
    Entry
        Called ETF(d,n). Signs are chosen so that the first vector has cosine mu with all others
        (a simplex keeps its own). Built where a construction is known here; otherwise `built` is
        False and only the rows are known, of every such set of lines if there is one.

    Raises
    ------
    BadInput
        If no such lines can exist, or are known not to.
    """
    a, mu = slope(d, n), coherence(d, n)
    two = known(d, n)
    rows: tuple[tuple[int, Row], ...]
    if n == d + 1:
        rows = ((n, (((-mu).cosine, d),)),)
        order = factorial(n)
    else:
        # the first row of S^2 = (n - 1) I + a S: plus and minus signs of another row differ by a
        plus = (n - 2 + a) // 2 + 1
        rows = (
            (n - 1, ((mu.cosine, plus), ((-mu).cosine, n - 1 - plus))),
            (1, ((mu.cosine, n - 1),)),
        )
        order = two.order // n if two else None  # all are transitive on the lines
    return Entry(
        name=f"ETF({d},{n})",
        d=d,
        n=n,
        rows=rows,
        symmetry_order=order,
        claims=_line_claims(d, n) if two or n == d + 1 else (),
        construction=_construction(two, d, n),
        build=(lambda: _gram(d, n)) if two or n == d + 1 else None,
    )


def doubled(d: int, n: int) -> Entry:
    """The 2n unit vectors on n equiangular lines in R^d that meet the Welch bound.

    Parameters, errors and what is built: see `equiangular`. The name is the usual one where the
    arrangement has one (icosahedron, E7 56-code, doubled d-simplex), else "doubled ETF(d,n)".
    """
    slope(d, n)
    mu = coherence(d, n)
    two = known(d, n)
    order = two.order if two else factorial(n) if n == d + 1 else None
    universal = (UNIVERSAL,) if (d, n) in ((3, 6), (7, 28), (23, 276)) else ()
    usual = f"doubled {d}-simplex" if n == d + 1 else f"doubled ETF({d},{n})"
    name = OTHER_NAMES.get((d, n), usual)
    return Entry(
        name=name,
        d=d,
        n=2 * n,
        rows=((2 * n, ((mu.cosine, n - 1), ((-mu).cosine, n - 1), (RATIONALS(-1).cosine, 1))),),
        symmetry_order=2 * order if order else None,
        claims=(*universal, *_line_claims(d, n)) if two or n == d + 1 else (),
        construction=f"both unit vectors on each line; {_construction(two, d, n)}",
        build=(lambda: _double_gram(d, n)) if two or n == d + 1 else None,
        aliases=(*(() if name == usual else (usual,)), *ALIASES.get((d, n), ())),
    )


def by_name(name: str) -> Entry | None:
    """The arrangement called "ETF(d,n)" or "doubled ETF(d,n)"; None for any other name.

    Raises
    ------
    BadInput
        If it is a name of that form, of lines that cannot exist.
    """
    parts = re.fullmatch(r"(doubled )?ETF\((\d{1,12}),\s*(\d{1,12})\)", name.strip())
    if not parts:
        return None
    return (doubled if parts[1] else equiangular)(int(parts[2]), int(parts[3]))


def listing() -> tuple[Entry, ...]:
    """Antipodal doubles that have no other name in the catalogue; nothing is built yet."""
    return tuple(doubled(d, n) for d, n in LISTED)


def _line_claims(d: int, n: int) -> tuple[Claim, ...]:
    most = MOST_LINES.get((d, n))
    return (proved("lines", WELCH), *((proved("equiangular lines", most),) if most else ()))


def _construction(two: TwoGraph | None, d: int, n: int) -> str:
    if n == d + 1:
        return "the lines of a regular simplex"
    if two is None:
        return (
            f"parameters only: no construction of lines ({d}, {n}) is known here, nor whether "
            "there are any"
        )
    kind = "regular two-graph" if 2 * d <= n else "Naimark complement of a regular two-graph"
    return f"{kind} (Taylor 1977): {two.construction}"


def _gram(d: int, n: int) -> ExactGram:
    mu = coherence(d, n)
    S = seidel(d, n)
    return assemble(S % 3, _numbers(mu)[:3])


def _double_gram(d: int, n: int) -> ExactGram:
    affordable(f"the Gram matrix of {2 * n} vectors", 2 * n, 2 * n)
    S = seidel(d, n)
    unit = np.eye(n, dtype=np.int64)
    same, other = S % 3 * (1 - unit), -S % 3 * (1 - unit) + 3 * unit
    return assemble(np.block([[same, other], [other, same]]), _numbers(coherence(d, n)))


def _numbers(mu: Number) -> tuple[Number, ...]:
    """Cosines by colour: 1, mu, -mu, -1; a sign modulo 3 is its colour."""
    one = mu.field(1)
    return one, mu, -mu, -one
