"""High-precision expected loss, independent of the project: no project code, no numpy arithmetic.

Every input double is taken as the exact rational it stands for, so that the only error left is
that of the last conversion (60 digits). With a = row i of G, b = b_i and z = a.x + b, each row is

    L_i = E x_i^2 - 2 E[x_i z_+] + E[z_+^2].

binary       The law of z by convolution, in integers: equal values of z are merged, so a generic
             row costs 2^n and a row on a lattice costs a polynomial, which reaches large n.
uniform      One on/off uniform feature acts on g by (1-S) g + (S/a) (I g(. + a) - I g), I the
             antiderivative from -inf; under x_i, by S (I/a - I^2/a^2) g(. + a) + S I^2/a^2 g. A row
             is a dictionary from cube vertices to polynomials in I, in integers. Nothing cancels
             wrongly because nothing is rounded; weights that are exactly zero are marginalised.
exponential  E exp(s z) is e^{sb} prod (1 - (1-S_j) a_j s) / (1 - a_j s), so E z_+^m is a finite sum
             of residues, with exact multiplicities for equal weights; nearly equal weights cancel,
             so the precision is doubled until two answers agree.
linear       Moments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import comb, factorial, lcm
from operator import add
from typing import Any

from mpmath.ctx_mp import MPContext

MP = MPContext()  # a context of our own: no test can change its precision behind our back
MP.dps = 60
DIGITS = 60
LAW_MOMENTS = {
    "binary": (Fraction(1), Fraction(1)),
    "uniform": (Fraction(1, 2), Fraction(1, 3)),
    "exponential": (Fraction(1), Fraction(2)),
}
Rational = Fraction
Matrix = list[list[Rational]]
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Problem:
    """The inputs of one loss as exact rationals."""

    W: Matrix  # (d, n)
    b: list[Rational]  # (n,)
    S: list[Rational]  # (n,)
    law: str
    importance: list[Rational]  # (n,)
    relu: bool = True

    @property
    def n(self) -> int:
        return len(self.b)

    def gram(self) -> Matrix:
        """W^T W, exactly."""
        n = self.n
        G = [[Fraction(0)] * n for _ in range(n)]
        for i in range(n):
            for j in range(i + 1):
                G[i][j] = G[j][i] = sum((row[i] * row[j] for row in self.W), Fraction(0))
        return G


def problem(W: Any, b: Any, S: Any, law: str, importance: Any = None, relu: bool = True) -> Problem:
    """Exact rationals from nested sequences (or arrays) of doubles; b, S, importance as in Loss."""
    rows = [[Fraction(_number(w)) for w in row] for row in W]
    n = len(rows[0])
    return Problem(
        W=rows,
        b=_vector(0 if b is None else b, n),
        S=_vector(S, n),
        law=law,
        importance=_vector(1 if importance is None else importance, n),
        relu=relu,
    )


def _number(value: Any) -> Any:
    """A double, or a rational on some dyadic grid, which is what the integer sums rest on."""
    if isinstance(value, Fraction) and value.denominator & (value.denominator - 1):
        raise ValueError(f"{value} is not dyadic")
    return value if isinstance(value, (int, Fraction)) else float(value)


def _vector(values: Any, n: int) -> list[Rational]:
    if getattr(values, "ndim", 1) == 0 or not hasattr(values, "__len__"):
        return [Fraction(_number(values))] * n
    return [Fraction(_number(v)) for v in values]


def to_mpf(value: Any, digits: int = DIGITS) -> Any:
    """A rational or float as an mpf of that many digits."""
    with MP.workdps(digits):
        if isinstance(value, Fraction):
            return MP.mpf(value.numerator) / MP.mpf(value.denominator)
        return MP.mpf(value)


# ---------------------------------------------------------------- the verbs


def reference_loss(
    W: Any, b: Any, S: Any, law: str, importance: Any = None, relu: bool = True
) -> tuple[Any, list[Any], Any]:
    """(L, per_feature with importance, capacity) as mpf, correct to about 55 digits."""
    exact = problem(W, b, S, law, importance, relu)
    per_feature, solo = losses(exact)
    weighed = [to_mpf(i) * to_mpf(v) for i, v in zip(exact.importance, per_feature, strict=True)]
    alone = [to_mpf(i) * to_mpf(v) for i, v in zip(exact.importance, solo, strict=True)]
    return MP.fsum(weighed), weighed, MP.fsum(alone)


def losses(
    exact: Problem, digits: int = DIGITS, known: dict[Key, Any] | None = None
) -> tuple[list[Any], list[Any]]:
    """Loss of each row and its solo loss, importance left out (Fraction; mpf if exponential).

    `known` remembers rows between calls that differ in W and b only.
    """
    G = exact.gram()
    known = {} if known is None else known

    def row(a: list[Rational], own: int) -> Any:
        # Rows that are permutations of one another have one loss.
        others = Counter((a[j], exact.S[j]) for j in range(exact.n) if j != own and a[j] != 0)
        key = (a[own], exact.S[own], exact.b[own], frozenset(others.items()))
        if key not in known:
            known[key] = _row_loss(a, own, exact, digits)
        return known[key]

    per_feature, solo = [], []
    for i in range(exact.n):
        per_feature.append(row(G[i], i))
        solo.append(row([G[i][j] if i == j else Fraction(0) for j in range(exact.n)], i))
    return per_feature, solo


def second_moments(
    W: Any, b: Any, S: Any, law: str, importance: Any = None, solo: bool = False
) -> Any:
    """sum_i I_i (E x_i^2 + E z_i^2) as mpf: the scale that a loss tolerance may refer to.

    `solo`: with every other feature off in z_i, the scale of the capacity.
    """
    exact = problem(W, b, S, law, importance)
    first, second = LAW_MOMENTS[law]
    mean = [s * first for s in exact.S]
    variance = [s * second - m * m for s, m in zip(exact.S, mean, strict=True)]
    total = Fraction(0)
    for i, a in enumerate(exact.gram()):
        if solo:
            a = [x if i == j else Fraction(0) for j, x in enumerate(a)]
        centre = sum((x * m for x, m in zip(a, mean, strict=True)), exact.b[i])
        spread = sum((x * x * v for x, v in zip(a, variance, strict=True)), Fraction(0))
        total += exact.importance[i] * (exact.S[i] * second + centre**2 + spread)
    return to_mpf(total)


KINK = "kink"


def reference_gradient(
    W: Any,
    b: Any,
    S: Any,
    law: str,
    importance: Any,
    where: Sequence[tuple[int, int] | int],
    relu: bool = True,
) -> list[Any]:
    """dL/dW[k, i] for each (k, i) and dL/db[i] for each i of `where`, as mpf; KINK at a kink.

    Central differences with a step of 2^-70 of the entry (of 1 if it is zero), exact; 2^-40 and 70
    digits for the exponential law. So only a truncation error, 1e-42 (1e-24) relative, is left. A
    kink is where the one-sided differences differ by more than that. For the binary law entries
    that move a row with a kink within 2^-40 are given up too: a kink that near is lost in the
    rounding of W, and no gradient from doubles can be asked to know its side.
    """
    exact = problem(W, b, S, law, importance, relu)
    n = exact.n
    kinked = [law == "binary" and relu and _near_kink(exact, i) for i in range(n)]
    digits, bits = (70, 40) if law == "exponential" else (150, 70)
    with MP.workdps(digits):
        known: dict[Key, Any] = {}
        total = _weighed(exact, digits, known)
        out = []
        for place in where:
            if isinstance(place, int):
                entry, lost = exact.b[place], kinked[place]
            else:
                row = exact.W[place[0]]
                entry = row[place[1]]
                lost = kinked[place[1]] or any(kinked[i] and row[i] for i in range(n))
            if lost:
                out.append(KINK)
                continue
            h = (abs(entry) or Fraction(1)) / 2**bits
            before, after = _slopes(exact, total, place, h, digits, known)
            # Where the slope is zero the one-sided differences are +-h/2 times the curvature.
            slack = 1 + to_mpf(total, digits) / max(1, abs(to_mpf(entry)))
            slack = slack / MP.mpf(2) ** (bits - 10) + (abs(after) + abs(before)) / 10**9
            out.append((after + before) / 2 if abs(after - before) <= slack else KINK)
    return out


def _near_kink(exact: Problem, own: int) -> bool:
    """Whether a binary pattern with the own feature on has z within 2^-40 of 0, of z's range."""
    a = exact.gram()[own]
    reach = abs(exact.b[own]) + sum(map(abs, a), Fraction(0))
    values = {exact.b[own] + a[own]}
    for j, x in enumerate(a):
        if j != own and x:
            values = {z + x for z in values} | (values if exact.S[j] != 1 else set())
    return any(abs(z) * 2**40 <= reach for z in values)


def _slopes(
    exact: Problem,
    centre: Any,
    place: tuple[int, int] | int,
    h: Rational,
    digits: int,
    known: dict[Key, Any],
) -> list[Any]:
    """Backward and forward difference quotients."""
    down, up = (_weighed(_moved(exact, place, move), digits, known) for move in (-h, h))
    step = to_mpf(h, digits)
    return [to_mpf(v - u, digits) / step for u, v in pairwise([down, centre, up])]


def _weighed(exact: Problem, digits: int, known: dict[Key, Any]) -> Any:
    per_feature, _ = losses(exact, digits, known)
    if exact.law == "exponential" and exact.relu:
        return MP.fsum(
            to_mpf(i, digits) * v for i, v in zip(exact.importance, per_feature, strict=True)
        )
    return sum((i * v for i, v in zip(exact.importance, per_feature, strict=True)), Fraction(0))


def _moved(exact: Problem, place: tuple[int, int] | int, h: Rational) -> Problem:
    W, b = [list(row) for row in exact.W], list(exact.b)
    if isinstance(place, int):
        b[place] += h
    else:
        W[place[0]][place[1]] += h
    return Problem(W, b, exact.S, exact.law, exact.importance, exact.relu)


# ---------------------------------------------------------------- one row


def _row_loss(a: list[Rational], own: int, exact: Problem, digits: int) -> Any:
    first, second = LAW_MOMENTS[exact.law]
    if not exact.relu:
        mean = [s * first for s in exact.S]
        bias = exact.b[own] - mean[own]
        spread = Fraction(0)
        for j, x in enumerate(a):
            variance = exact.S[j] * second - mean[j] ** 2
            spread += (x - (j == own)) ** 2 * variance
            bias += x * mean[j]
        return spread + bias**2
    row = {"binary": _binary, "uniform": _uniform, "exponential": _exponential}[exact.law]
    others = [(a[j], exact.S[j]) for j in range(exact.n) if j != own and a[j] != 0]
    return row((a[own], exact.S[own]), others, exact.b[own], digits)


Feature = tuple[Rational, Rational]  # weight in the row, on-probability


def _integers(
    own: Feature, others: list[Feature], b: Rational
) -> tuple[int, list[int], int, int, list[int], list[int], list[int]]:
    """The row on a dyadic grid: own weight, weights, bias, grid bits; S, 1 - S, bits of S."""
    weights = [own[0], *(w for w, _ in others)]
    bits = max(x.denominator.bit_length() - 1 for x in [*weights, b])
    scaled = [int(x * 2**bits) for x in [*weights, b]]
    chance = [own[1], *(s for _, s in others)]
    depth = [s.denominator.bit_length() - 1 for s in chance]
    on = [s.numerator for s in chance]
    off = [s.denominator - s.numerator for s in chance]
    return scaled[0], scaled[1:-1], scaled[-1], bits, on, off, depth


def _binary(own: Feature, others: list[Feature], b: Rational, digits: int) -> Rational:
    a_own, weights, bias, bits, on, off, depth = _integers(own, others, b)
    law = {bias: 1}  # value of z without the own feature -> chance, both as integers
    for a, p, q in zip(weights, on[1:], off[1:], strict=True):
        following: dict[int, int] = {}
        for z, chance in law.items():
            following[z] = following.get(z, 0) + chance * q
            if p:
                following[z + a] = following.get(z + a, 0) + chance * p
        law = following
    one, total = 2**bits, 0
    for z, chance in law.items():
        total += chance * off[0] * max(z, 0) ** 2
        total += chance * on[0] * (one - max(z + a_own, 0)) ** 2
    return Fraction(total, 2 ** (2 * bits + sum(depth)))


def _uniform(own: Feature, others: list[Feature], b: Rational, digits: int) -> Rational:
    a_own, weights, bias, bits, on, off, depth = _integers(own, others, b)
    # Every factor is multiplied by its weight, so that only integers appear: vertex 0 carries
    # a (1-S) - S I, vertex 1 carries S I; the product of the weights divides at the end.
    vertices: dict[int, list[int]] = {bias: [1]}
    reach = sum(max(a, 0) for a in [a_own, *weights])
    for a, p, q in zip(weights, on[1:], off[1:], strict=True):
        reach -= max(a, 0)
        vertices = _apply(vertices, a, at_zero=[a * q, -p], at_one=[0, p])
        # A vertex that can no longer get above zero contributes nothing.
        vertices = {v: polynomial for v, polynomial in vertices.items() if v + reach > 0}
    square, cross = vertices, vertices
    if a_own != 0:
        p, q = on[0], off[0]
        square = _apply(vertices, a_own, at_zero=[a_own * q, -p], at_one=[0, p])
        cross = _apply(vertices, a_own, at_zero=[0, 0, p], at_one=[0, a_own * p, -p])
    denominator = 1
    for a in weights:
        denominator *= a
    scale = denominator * 2 ** sum(depth[1:])  # the grid bits of weights and of I cancel
    z_squared = Fraction(_positive_part(square, 2), 4**bits) / scale
    x_z = Fraction(_positive_part(cross, 1), 2**bits) / scale
    if a_own != 0:
        z_squared /= a_own * 2 ** depth[0]
        x_z /= a_own**2 * 2 ** depth[0]
    else:
        x_z *= own[1] / 2
    value: Rational = own[1] / 3 - 2 * x_z + z_squared
    return value


def _apply(
    vertices: dict[int, list[int]], a: int, at_zero: list[int], at_one: list[int]
) -> dict[int, list[int]]:
    out: dict[int, list[int]] = {}
    for v, polynomial in vertices.items():
        for place, factor in ((v, at_zero), (v + a, at_one)):
            padding = len(factor) - 1
            for r, f in enumerate(factor):
                if f:
                    term = [0] * r + [f * c for c in polynomial] + [0] * (padding - r)
                    here = out.get(place)
                    out[place] = term if here is None else list(map(add, here, term))
    return out


def _positive_part(vertices: dict[int, list[int]], m: int) -> Rational:
    """sum over vertices of P(I) v_+^m, with I^k v_+^m = m!/(m+k)! v_+^{m+k}."""
    top = max((len(p) for p in vertices.values()), default=1) - 1
    weight = [factorial(m) * (factorial(m + top) // factorial(m + k)) for k in range(top + 1)]
    total = 0
    for v, polynomial in vertices.items():
        if v > 0:
            value = 0
            for k in range(top, -1, -1):
                value = value * v + weight[k] * polynomial[k]
            total += value * v**m
    return Fraction(total, factorial(m + top))


# ---------------------------------------------------------------- exponential law


def _exponential(own: Feature, others: list[Feature], b: Rational, digits: int) -> Any:
    previous, working = None, digits + 40
    while working < 20000:
        with MP.workdps(working):
            square = _residues([own, *others], [], b, 2)
            # On, and under x: 1/(1-as)^2 instead of (1-(1-S)as)/(1-as).
            cross = _residues(others, [own[0]] * 2, b, 1) * to_mpf(own[1], working)
            value = 2 * to_mpf(own[1], working) - 2 * cross + square
            if previous is not None and abs(value - previous) <= MP.mpf(10) ** -digits * (
                to_mpf(own[1], working) + abs(square)
            ):
                return value
            previous, working = value, 2 * working
    raise ArithmeticError("the exponential reference did not settle")


def _residues(features: list[Feature], bare: list[Rational], b: Rational, m: int) -> Any:
    """m! times the inverse Laplace integral of M(s)/s^{m+1}: E z_+^m under the measure M.

    M(s) = e^{bs} prod (1 - (1-S) a s)/(1 - a s) over features, times 1/(1 - a s) over bare.
    For b <= 0 the contour closes to the right, on positive weights; for b > 0 to the left, on
    negative weights and on s = 0.
    """
    weights = [*(a for a, _ in features if a), *(a for a in bare if a)]
    roots = [(1 - s) * a for a, s in features if a and s != 1]
    # Poles are at 1/weight, zeros at 1/root. On a common grid differences are exact integers.
    grid = lcm(*(x.denominator for x in [*weights, *roots, b]))
    poles, zeros = (Counter(int(x * grid) for x in xs) for xs in (weights, roots))
    poles, zeros = poles - zeros, zeros - poles  # a zero on a pole cancels
    bias = int(b * grid)
    right = b <= 0
    total = MP.mpf(0)
    for alpha, r in poles.items():
        if (alpha > 0) != right:
            continue
        # With s = (1 + t)/alpha a factor 1 - a s is (gap - a t)/alpha, gap = alpha - a; the residue
        # is alpha^m (-1)^r e^beta times [t^(r-1)] of what multiplies (-t)^-r.
        beta = MP.mpf(bias) / alpha
        top = bottom = 1
        series = [MP.mpf(1)]
        if r > 1:
            series = [beta**k / factorial(k) for k in range(r)]
            series = _times(series, [MP.mpf((-1) ** k * comb(m + k, k)) for k in range(r)])
        for zero, count in zeros.items():
            top, bottom = top * (alpha - zero) ** count, bottom * alpha**count
            for _ in range(count if r > 1 else 0):
                series = _times(series, [MP.mpf(1), -MP.mpf(zero) / (alpha - zero)])
        for pole, count in poles.items():
            if pole != alpha:
                top, bottom = top * alpha**count, bottom * (alpha - pole) ** count
                for _ in range(count if r > 1 else 0):
                    series = _over(series, MP.mpf(1), MP.mpf(pole) / (alpha - pole))
        factor = MP.mpf(top) / MP.mpf(bottom) * (MP.mpf(alpha) / grid) ** m * (-1) ** r
        total += factor * MP.exp(beta) * series[r - 1]
    if right:
        return -factorial(m) * total
    at_zero = [to_mpf(b, MP.dps) ** k / factorial(k) for k in range(m + 1)]
    for zero, count in zeros.items():
        for _ in range(count):
            at_zero = _times(at_zero, [MP.mpf(1), -MP.mpf(zero) / grid])
    for pole, count in poles.items():
        for _ in range(count):
            at_zero = _over(at_zero, MP.mpf(1), MP.mpf(pole) / grid)
    return factorial(m) * (total + at_zero[m])


def _times(series: list[Any], factor: list[Any]) -> list[Any]:
    """Product of two truncated series, to the length of the first."""
    return [
        MP.fsum(factor[k] * series[r - k] for k in range(min(r + 1, len(factor))))
        for r in range(len(series))
    ]


def _over(series: list[Any], constant: Any, slope: Any) -> list[Any]:
    """series / (constant - slope t), truncated."""
    out: list[Any] = []
    for r, c in enumerate(series):
        out.append((c + slope * out[r - 1]) / constant if r else c / constant)
    return out


def bromwich(features: list[Feature], bare: list[Rational], b: Rational, m: int) -> Any:
    """What `_residues` computes, by quadrature along a bent contour: a check of the reference.

    The contour s = c + iu +- u^2 bends away from zero on the side on which e^{bs} decays; it meets
    the real axis in c only, so it crosses no pole.
    """
    top = max([a for a, _ in features] + bare + [Fraction(0)])
    c = to_mpf(Fraction(1, 2) if top == 0 else 1 / (2 * top))
    bend = 0 if b == 0 else (-1 if b > 0 else 1)
    shift = to_mpf(b)
    plain = [(to_mpf(a), to_mpf(1 - s)) for a, s in features]
    double = [to_mpf(a) for a in bare]

    def integrand(u: Any) -> Any:
        s = MP.mpc(c + bend * u * u, u)
        value = MP.exp(shift * s) / s ** (m + 1)
        for a, q in plain:
            value *= (1 - q * a * s) / (1 - a * s)
        for a in double:
            value /= 1 - a * s
        return (value * MP.mpc(1, -2 * bend * u)).real  # ds = (i + 2 bend u) du = i (1 - 2i ..) du

    with MP.workdps(25):
        return factorial(m) / MP.pi * MP.quad(integrand, [0, 1, 4, 16, 64, MP.inf])
