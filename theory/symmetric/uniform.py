"""One orbit, uniform law: the loss from the vertices of the cube, in balls.

With z = rho (t + beta), t = x + s, s = sum_j c_j x_j and rho > 0, the loss is

    S/3 - 2 rho F1(beta) + rho^2 F2(beta),   F1 = E[x (t + beta)_+],  F2 = E (t + beta)_+^2,

so its minimum over rho is S/3 - F1^2/F2, and one number beta is left. Every F is a combination of
Y_q(tau) = E (s + tau)_+^q / q! at tau = beta and beta + 1, and Y_q is a sum over vertices: a
feature at cosine c multiplies by S y/c at the vertex "1" and by 1 - S - S y/c at the vertex "0",
where y^q stands for tau_+^q / q! (docs/theory.md, section 3.2). Equal vertices are merged by exact
arithmetic. Derived here and in docs/phases.md.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import numpy as np

from packing.algebra.balls import ball, fraction
from packing.algebra.number_fields import Number
from packing.algebra.polynomials import Polynomial, total
from packing.errors import NotReached
from packing.results import Evidence
from theory.symmetric.active_states import Row
from theory.symmetric.binary import Minimum

TOP = 3
"""Largest q of Y_q."""


@dataclass(frozen=True, eq=False)
class At:
    """What is known at one beta, in balls."""

    F0: Any
    F1: Any
    F2: Any
    slope: Any
    """F1' = E[x; t + beta > 0]."""
    chance: Any
    """P(t + beta > 0)."""
    Y: tuple[tuple[Any, ...], tuple[Any, ...]]

    @property
    def h(self) -> Any:
        """F1' F2 - F1 F0: the sign of the slope of F1^2/F2."""
        return self.slope * self.F2 - self.F1 * self.F0

    @property
    def gain(self) -> Any:
        """F1^2/F2: what the block saves at the best rho."""
        return self.F1 * self.F1 / self.F2


class Profile:
    """The functions of beta above, for one row at one S, in balls of a fixed precision.

    Parameters
    ----------
    row : Row
    S : Fraction or ball
        In (0, 1].
    bits : int
        Working precision; vertex sums cancel, so values carry fewer correct bits than that.
    """

    route = "vertices"

    def __init__(self, row: Row, S: Any, bits: int) -> None:
        self.row, self.bits = row, bits
        self.known: dict[Fraction, At] = {}
        with flint.ctx.workprec(bits):
            self.S = p = ball(S)
            off = 1 - p
            one = flint.arb_poly([1])
            factors = []
            for cosine, m in zip(row.cosines, row.counts, strict=True):
                share = p / cosine.ball()
                up, down = flint.arb_poly([0, share]), flint.arb_poly([off, -share])
                factors.append([math.comb(m, j) * up**j * down ** (m - j) for j in range(m + 1)])
            self.vertices = []
            for key, weight in row.sums(one, factors):
                self.vertices.append((row.number(key).ball(), integrals(weight)))
            low = [c.ball() * m for c, m in zip(row.cosines, row.counts, strict=True)]
            self.least = sum((c for c in low if c < 0), flint.arb(0))
            self.most = 1 + sum((c for c in low if c > 0), flint.arb(0))

    def Y(self, tau: Any) -> tuple[Any, ...]:
        """E (s + tau)_+^q / q! for q = 0 .. TOP, in balls."""
        total = [flint.arb(0)] * (TOP + 1)
        for at, polynomials in self.vertices:
            t = at + tau
            if not t > 0:
                if t < 0:
                    break  # the vertices come largest first
                t = t.nonnegative_part()
                total[0] = total[0].union(total[0] + polynomials[0](t))
                for q in range(1, TOP + 1):
                    total[q] = total[q] + t * 0 + polynomials[q](t)
                continue
            for q, polynomial in enumerate(polynomials):
                total[q] = total[q] + polynomial(t)
        return tuple(total)

    def at(self, beta: Fraction) -> At:
        """All functions at beta, kept."""
        if beta not in self.known:
            with flint.ctx.workprec(self.bits):
                self.known[beta] = self._at(ball(beta))
        return self.known[beta]

    def _at(self, beta: Any) -> At:
        p, off = self.S, 1 - self.S
        low, high = self.Y(beta), self.Y(beta + 1)
        return At(
            p * (high[2] - low[2]) + off * low[1],
            p * (high[2] - high[3] + low[3]),
            2 * (p * (high[3] - low[3]) + off * low[2]),
            p * (high[1] - high[2] + low[2]),
            p * (high[1] - low[1]) + off * low[0],
            (low, high),
        )

    def loss(self, rho: Any, bias: Any) -> Any:
        """Loss per feature at norm^2 rho > 0 and that bias, a ball."""
        with flint.ctx.workprec(self.bits):
            rho = ball(rho)
            at = self._at(ball(bias) / rho)
            return self.S / 3 - 2 * rho * at.F1 + rho * rho * at.F2


def integrals(weight: Any) -> list[Any]:
    """sum_r a_r t^(r+q) / (r+q)! for q = 0 .. TOP, from sum_r a_r y^r."""
    coefficients = weight.coeffs()
    found = []
    for q in range(TOP + 1):
        found.append(
            flint.arb_poly(
                [0] * q + [a / math.factorial(r + q) for r, a in enumerate(coefficients)]
            )
        )
    return found


# --- large rows: the layout of the transform integral, which decides speed, never truth ---------
#
# `Transformed` proves its bounds for whatever line, nodes and number of kept patterns are given
# here. More patterns kept as vertices make the rest of the transform fall with a higher power of
# the node, so fewer nodes do; their vertices cost time and cancel, which takes bits. Floats suffice
# to choose.

KEPT = (4, 6, 8, 11, 14, 18, 23, 29, 36, 44, 54, 66)  # K, the number on, that is tried

_TALL = 25.0  # log of the transform on the line that is accepted


class Plan:
    """The line Re s = c, the period, the nodes, and the patterns kept for one row at one S.

    Parameters
    ----------
    row : Row
    S : float
    bits : int
        2^-bits is the absolute error aimed at.

    Attributes
    ----------
    period : int
        Above the largest sum + 1.
    c : Fraction
    kept : int
        Patterns with so many others on are summed as vertices.
    nodes : int
    spare : int
        Bits that the arithmetic loses to cancellation, about.
    """

    def __init__(self, row: Row, S: float, bits: int) -> None:
        c = np.array([float(x) for x in row.cosines])
        m = np.array(row.counts, dtype=float)
        top = float(np.sum(m * np.maximum(c, 0.0))) + 1.0
        self.period = math.ceil(top + 1.0)
        # a longer period brings the line nearer to 0, where the transform is small
        while _growth(c, m, S, (bits + 8) * math.log(2.0) / self.period) > _TALL:
            self.period = math.ceil(1.25 * self.period)
        self.c = Fraction(round(64.0 * (bits + 8) * math.log(2.0) / self.period), 64)
        line, step = float(self.c), 2.0 * math.pi / self.period
        size = (np.exp(np.minimum(np.maximum(line * c, 0.0), 300.0)) + 1.0) / np.abs(c)
        goal = -(bits + 8) * math.log(2.0) - line
        terms = _logs(m, size, S, KEPT[-1] + 60)
        ends = np.array([*row.whole, (0,) * row.field.degree], dtype=float)
        spread = np.max(ends, axis=0) - np.min(ends, axis=0)
        best: tuple[float, int, float] | None = None
        for kept in KEPT:
            k = np.arange(kept + 1, terms.size)
            left = terms[kept + 1 :]
            # log of the rest at U: least U with max over k of terms - k log U below the goal
            reach = float(np.max((left - goal) / k, initial=0.0)) + 0.05
            # microseconds, of a hundred evaluations too
            nodes = math.exp(min(reach, 40.0)) / step
            pairs = np.ones(1)
            for many in m:
                pairs = np.convolve(pairs, np.ones(min(int(many), kept) + 1))[: kept + 1]
            combinations = float(np.sum(pairs))
            # equal sums are one vertex: no more of them than points of their lattice
            sums = min(combinations, float(np.prod(kept * spread + 1.0)))
            joined = min(combinations, sums * float(np.sum(np.minimum(m, kept) + 1.0)))
            cost = nodes * (400.0 + 40.0 * m.size + 4.0 * kept)
            cost += sums * (240.0 + 40.0 * kept) + 2.5 * kept * joined
            if best is None or cost < best[0]:
                best = cost, min(kept, int(m.sum())), math.exp(min(reach, 40.0))
            if not left.size or kept >= m.sum():
                break
        assert best is not None
        self.kept, self.nodes = best[1], max(16, math.ceil(best[2] / step))
        # vertices cancel: their terms are about (2 S m/c tau)^k/k!^2
        k = np.arange(1, self.kept + 1)
        tall = np.log(2.0 * S * np.sum(m / np.abs(c)) * (1.0 + top)) * k
        tall -= 2.0 * np.array([math.lgamma(x + 1.0) for x in k])
        # and so do the terms of the transform that are taken out, at the last node
        taken = terms[: self.kept + 1] - np.arange(self.kept + 1) * math.log(self.nodes * step)
        lost = max(float(np.max(tall)), 0.0) + max(float(np.max(taken)), 0.0)
        self.spare = 64 + round((lost + max(_growth(c, m, S, line), 0.0)) / math.log(2.0))


def _growth(c: np.ndarray, m: np.ndarray, S: float, line: float) -> float:
    """A bound on the log of the transform at ``line``, from both ends of each feature."""
    return float(np.sum(m * np.log1p(S * np.expm1(np.clip(line * c, -30.0, 300.0)))))


def _logs(m: np.ndarray, size: np.ndarray, S: float, most: int) -> np.ndarray:
    """log of S^k (1-S)^(n-k) e_k(size), k = 0 .. most, from a scaled product."""
    scale = float(np.sum(S * m * size)) + 1e-300
    total, shift = np.ones(1), 0.0
    for many, x in zip(m, size, strict=True):
        k = np.arange(min(int(many), most) + 1)
        logs = np.array([math.lgamma(many + 1) - math.lgamma(i + 1) for i in k])
        logs -= np.array([math.lgamma(many - i + 1) for i in k])
        logs += k * math.log(S * x / scale) + (many - k) * math.log(max(1.0 - S, 1e-12))
        shift += float(np.max(logs))
        total = np.convolve(total, np.exp(logs - np.max(logs)))[: most + 1]
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(total) + shift + np.arange(total.size) * math.log(scale))


# --- large rows: the functions of a `Profile` by the transform integral -------------------------
#
# Patterns with at most K other features on keep their vertices: the terms of degree K or less of
# the sum over vertices. The rest is the trapezoidal sum of the transform on the line Re s = c,
#
#     T_q(tau) = (h/pi) sum'_k Re e^(s tau) R(s)/s^(q+1),   s = c + i k h,   P = 2 pi/h,
#
# R(s) = E[e^(s sum_j c_j x_j); more than K on]. By Poisson's formula T_q is the sum over j of
# e^(-j c P) Y_q(tau + j P): none for j < 0 where P exceeds the largest sum, and for j > 0 at most
# e^(-j c P) (top + j P)^q/q!. Beyond the last node U a feature that is on multiplies by at most
# (e^(c c_j) + 1)/(|c_j| U), to the power K + 1 or more, so what is left out is
# B(U) U^-q/(pi (K+1+q)) with B the same product over these bounds. Both are added to the ball:
# proved, as the vertices are. For tau > 0 the mirrored row answers,
# E z_+^q = E z^q - (-1)^q E(-z)_+^q. Derived here.

SEEN = 20
"""Features seen from which this is faster than all vertices."""


class Transformed(Profile):
    """The functions of beta of a row at one S, absolute errors about 2^-bits.

    Parameters
    ----------
    row : Row
    S : Fraction or ball
        In (0, 1].
    bits : int
        What the truncated integral is good for; the arithmetic carries more.
    """

    route = "transform"

    def __init__(self, row: Row, S: Any, bits: int) -> None:
        self.row, self.known = row, {}
        mirrored = Row(row.field, tuple(-c for c in row.cosines), row.counts)
        plans = [Plan(one, float(ball(S).mid()), bits) for one in (row, mirrored)]
        self.bits = bits + max(plan.spare for plan in plans)
        with flint.ctx.workprec(self.bits):
            self.S = p = ball(S)
            self.sides = [
                _Side(one, p, bits, plan) for one, plan in zip((row, mirrored), plans, strict=True)
            ]
            self.most, self.least = 1 + self.sides[0].top, -self.sides[1].top
            self.moments = _moments(row, p)

    def Y(self, tau: Any) -> tuple[Any, ...]:
        """E (s + tau)_+^q / q! for q = 0 .. TOP, in balls."""
        if not tau.mid() > 0:
            return self.sides[0].Y(tau)
        other = self.sides[1].Y(-tau)
        m1, m2, m3 = self.moments
        whole = (
            tau * 0 + 1,
            tau + m1,
            (tau * tau + 2 * tau * m1 + m2) / 2,
            (tau**3 + 3 * tau * tau * m1 + 3 * tau * m2 + m3) / 6,
        )
        return tuple(w - (-1) ** q * y for q, (w, y) in enumerate(zip(whole, other, strict=True)))


class _Side(Profile):
    """Y_q(tau) for tau up to 1: few-on vertices, and the trapezoidal sum for the rest."""

    def __init__(self, row: Row, p: Any, bits: int, plan: Plan) -> None:
        self.c, self.N = ball(plan.c), plan.nodes
        self.period = flint.arb(plan.period)
        self.h = 2 * flint.arb.pi() / self.period
        self.cosines = [(x.ball(), m) for x, m in zip(row.cosines, row.counts, strict=True)]
        self.top = sum((x * m for x, m in self.cosines if x > 0), flint.arb(0))
        if not self.top + 1 < self.period:
            raise ArithmeticError("the period is shorter than the largest sum: report this")
        self.vertices = _few(row, p, self.cosines, plan.kept)
        self.chances = [
            [math.comb(m, k) * p**k * (1 - p) ** (m - k) for k in range(min(m, plan.kept) + 1)]
            for _, m in self.cosines
        ]
        self.everything = plan.kept >= sum(row.counts)  # nothing is left for the integral
        if self.everything:
            return
        self._nodes(p, plan.kept)
        self.left = self._left(p, plan.kept)
        self.alias = self._alias()

    def Y(self, tau: Any) -> tuple[Any, ...]:
        if not tau < 1:
            raise ArithmeticError("tau is beyond what the period allows: report this")
        few = super().Y(tau)
        if self.everything:
            return few
        turn = self.h * tau
        rows, columns = self.shape
        wave = flint.acb_mat([[_turned(turn * k)] for k in range(columns)])
        parts = self.weights * wave
        jumps = [_turned(turn * columns * g) for g in range(rows)]
        grow = (self.c * tau).exp()
        found = []
        for q in range(TOP + 1):
            total = flint.acb(0)
            for g, jump in enumerate(jumps):
                total += parts[q * rows + g, 0] * jump
            value = grow * total.real
            error = grow * self.left[q]
            value = value + error.union(-error) - self.alias[q].union(flint.arb(0))
            # between 0 and all of it
            found.append(few[q] + value)
        return tuple(found)

    def _nodes(self, p: Any, kept: int) -> None:
        """h/pi R(s)/s^(q+1) at the nodes: rows (q, giant step), columns small steps."""
        columns = max(1, math.isqrt(2 * self.N))
        rows = -(-(self.N + 1) // columns)
        self.shape = rows, columns
        weights = [[flint.acb(0)] * columns for _ in range(rows * (TOP + 1))]
        first = self.h / flint.arb.pi()
        for k in range(self.N + 1):
            s = flint.acb(self.c, self.h * k)
            value = self._rest([((s * x).exp() - 1) / (s * x) for x, _ in self.cosines], p, kept)
            value = value * (first if k else first / 2)
            g, b = divmod(k, columns)
            for q in range(TOP + 1):
                value = value / s
                weights[q * rows + g][b] = value
        self.weights = flint.acb_mat(weights)

    def _rest(self, kernel: list[Any], p: Any, kept: int) -> Any:
        """prod (1 - p + p kernel_j)^m_j without its terms of degree at most ``kept``."""
        full = 1
        for x, (_, m) in zip(kernel, self.cosines, strict=True):
            full = full * (1 - p + p * x) ** m
        return full - _low(self.chances, kernel, kept)

    def _left(self, p: Any, kept: int) -> list[Any]:
        """Bounds on what lies beyond the last node, per q, without e^(c tau)."""
        U = self.h * self.N
        size = []
        for x, _ in self.cosines:
            up = (self.c * x).exp()
            size.append((up + 1) / (abs(x) * U))
        rest = self._rest(size, p, kept)
        bound = flint.arb(rest.upper())
        pi = flint.arb.pi()
        return [flint.arb((bound / U**q / (pi * (kept + 1 + q))).upper()) for q in range(TOP + 1)]

    def _alias(self) -> list[Any]:
        """Bounds on sum_(j>0) e^(-j c P) (top + 1 + j P)^q/q!, per q."""
        ratio = (-self.c * self.period).exp()
        found = []
        for q in range(TOP + 1):
            # top + 1 + j P <= j (top + 1 + P), and sum_j j^3 r^j = r (1 + 4 r + r^2)/(1 - r)^4
            reach = (self.top + 1 + self.period) ** q / math.factorial(q)
            found.append(flint.arb((reach * ratio * (1 + 5 * ratio) / (1 - ratio) ** 4).upper()))
        return found


def _turned(angle: Any) -> Any:
    """e^(i angle)."""
    sine, cosine = angle.sin_cos()
    return flint.acb(cosine, sine)


def _low(chances: list[list[Any]], kernel: list[Any], kept: int) -> Any:
    """sum over counts k_j with sum at most ``kept`` of prod chance_j[k_j] kernel_j^k_j."""
    by_degree: list[Any] | None = None
    for number, (chance, x) in enumerate(zip(chances, kernel, strict=True)):
        power, terms = 1, []
        for a in chance:
            terms.append(a * power)
            power = power * x
        if by_degree is None:
            by_degree = terms
        elif number < len(kernel) - 1:
            by_degree = _product(by_degree, terms, kept)
        else:
            sums = [terms[0]]
            for term in terms[1:]:
                sums.append(sums[-1] + term)
            total = 0
            for k, value in enumerate(by_degree[: kept + 1]):
                total = total + value * sums[min(kept - k, len(sums) - 1)]
            return total
    assert by_degree is not None
    return sum(by_degree[1 : kept + 1], by_degree[0])


def _product(a: list[Any], b: list[Any], kept: int) -> list[Any]:
    out = [0] * min(len(a) + len(b) - 1, kept + 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            if i + j < len(out):
                out[i + j] = out[i + j] + x * y
    return out


def _few(row: Row, p: Any, cosines: list[tuple[Any, int]], kept: int) -> list[tuple[Any, Any]]:
    """Vertices of the patterns with at most ``kept`` others on: degrees up to ``kept``."""
    off, factors = 1 - p, []
    for x, m in cosines:
        share, factor = p / x, []
        for j in range(min(m, kept) + 1):
            rest = m - j
            factor.append(
                flint.arb_poly(
                    [0] * j
                    + [
                        math.comb(m, j)
                        * share**j
                        * math.comb(rest, i)
                        * off ** (rest - i)
                        * (-share) ** i
                        for i in range(min(rest, kept - j) + 1)
                    ]
                )
            )
        factors.append(factor)
    found = []
    sums = row.sums(flint.arb_poly([1]), factors, lambda weight: weight.truncate(kept + 1))
    for key, weight in sums:
        found.append((row.number(key).ball(), integrals(weight)))
    return found


def _moments(row: Row, p: Any) -> tuple[Any, Any, Any]:
    """E s, E s^2, E s^3 of s = sum_j c_j x_j, from cumulants."""
    m1, m2, m3 = p / 2, p / 3, p / 4
    k1, k2, k3 = m1, m2 - m1 * m1, m3 - 3 * m1 * m2 + 2 * m1**3
    one, two, three = (flint.arb(0) for _ in range(3))
    for cosine, m in zip(row.cosines, row.counts, strict=True):
        c = cosine.ball()
        one, two, three = one + m * c * k1, two + m * c * c * k2, three + m * c**3 * k3
    return one, two + one * one, three + 3 * one * two + one**3


# --- a rational S: the loss as exact polynomials between vertices -------------------------------
#
# The same sum over vertices, over the field of the cosines. Between two neighbouring vertices F1
# and F2 are polynomials in beta = bias / norm^2, and the least loss is at a root of
# 2 F1' F2 - F1 F2'.


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
    field = row.field
    vertices = _exact_vertices(row, S)
    sums = {}
    for q, shift in ((1, 0), (2, 0), (3, 0), (2, 1), (3, 1)):
        sums[q, shift] = total(
            field,
            (
                _power_sum(weight, at + shift, q)
                for at, weight in vertices
                if at + (beta + shift) > 0
            ),
        )
    low_end: Any = flint.arb.neg_inf()
    high_end: Any = flint.arb.pos_inf()
    for at, _ in vertices:
        for shift in (0, 1):
            knot = -at.ball() - shift
            if knot < ball(beta):
                low_end = knot if not knot < low_end else low_end
            else:
                high_end = knot if knot < high_end else high_end
    p, off = field(S), field(1 - S)
    F1 = (sums[2, 1] - sums[3, 1] + sums[3, 0]).times(p)
    half = (sums[3, 1] - sums[3, 0]).times(p) + sums[2, 0].times(off)
    F2 = half + half
    equation = F1.derivative * (F2 + F2) - F1 * F2.derivative
    return Stationarity(S, low_end, high_end, F1, F2, equation)


def exact_loss(row: Row, rho: Fraction, bias: Fraction, S: Fraction) -> Any:
    """Loss per feature as an exact expression; cosines rational."""
    beta = bias / rho
    piece = stationarity(row, S, beta)
    value = piece.F1.at(beta) * (-2 * rho) + piece.F2.at(beta) * (rho * rho) + S / 3
    return value.expression


def _exact_vertices(row: Row, S: Fraction) -> list[tuple[Number, Polynomial]]:
    """Vertex sums with their polynomials in y, largest first."""
    field = row.field
    one = Polynomial.of(field, [1])
    factors = []
    for cosine, m in zip(row.cosines, row.counts, strict=True):
        share = Polynomial.of(field, [0, 1], S / cosine)
        stay = Polynomial.of(field, [1], field(1 - S)) - share
        ups, downs = [one], [one]
        for _ in range(m):
            ups.append(ups[-1] * share)
            downs.append(downs[-1] * stay)
        factors.append(
            [(ups[j] * downs[m - j]).times(field(math.comb(m, j))) for j in range(m + 1)]
        )
    return [(row.number(key), weight) for key, weight in row.sums(one, factors)]


def _power_sum(weight: Polynomial, at: Number, q: int) -> Polynomial:
    """sum_r a_r (at + beta)^(r+q) / (r+q)! as a polynomial in beta."""
    field = weight.field
    t = Polynomial.of(field, [0, 1]) + Polynomial.of(field, [1], at)
    out = Polynomial.zero(field)
    for r in range(weight.degree, -1, -1):
        out = out * t + Polynomial.of(field, [1], weight.coefficient(r) / math.factorial(r + q))
    for _ in range(q):
        out = out * t
    return out


# --- the least loss, enclosed: no other bias can be better --------------------------------------
#
# The loss at the best norm is S/3 - F1^2/F2, functions of beta = bias / norm^2.
# E (s + tau)_+^q is not negative and grows with tau, and so do F0 = E (t + beta)_+, F1, F2, their
# slopes, and P(t + beta > 0): values at both ends of an interval of beta enclose them in between.
# Where h = F1' F2 - F1 F0 keeps its sign, F1^2/F2 is monotone; where h falls, it has at most one
# root, the maximum. By Cauchy and Schwarz F1^2/F2 is below P(t + beta > 0), which settles the far
# end; beyond the last vertex the model is linear, and h too. Proved; derived here and in
# docs/phases.md. Rows of SEEN features or more take their functions from the transform integral,
# others from the vertices; `Minimum.route` says which.

STEPS = 30_000
"""Intervals of beta examined before a minimum is given up."""


def minimum(row: Row, S: Any, digits: int = 15) -> Minimum:
    """The least loss over norm and bias, enclosed.

    Parameters
    ----------
    row : Row
    S : Fraction
        In (0, 1].
    digits : int
        Correct digits of the loss after its leading one.

    Returns
    -------
    Minimum
        Enclosed: every other beta is excluded by interval bounds.

    Raises
    ------
    NotReached
        If the intervals or the precision do not suffice.
    """
    many = row.n >= SEEN
    bits = 64 + round(3.33 * digits) + (40 if many else 4 * row.n)
    for _ in range(6):
        profile = Transformed(row, S, bits) if many else Profile(row, S, bits)
        found = _attempt(profile, digits)
        if found is not None:
            return found
        bits *= 2
    with flint.ctx.workprec(64):
        raise NotReached(f"{digits} digits need more than {bits} bits: ask for fewer", None)


def _attempt(profile: Profile, digits: int) -> Minimum | None:
    """The minimum at the precision of a profile, or None if that is too low."""
    with flint.ctx.workprec(profile.bits):
        roots = _basins(profile)
        if roots is None:
            return None
        width = Fraction(1, 1 << round(3.33 * digits + 40))
        best: Minimum | None = None
        for a, b in roots:
            found = _polished(profile, a, b, width)
            if found is None:
                return None
            if best is None or found.loss.mid() < best.loss.mid():
                best = found
            elif not found.loss > best.loss:
                best = _either(best, found)
        if best is None or best.loss.rel_accuracy_bits() < 3.33 * digits:
            return None
        return best


def _either(one: Minimum, other: Minimum) -> Minimum:
    """Two minima that cannot be told apart: the least lies in both balls' lower part."""
    low = one.loss if one.loss.lower() < other.loss.lower() else other.loss
    loss = low.union(one.loss) if one.loss.upper() < low.upper() else low
    return Minimum(one.S, one.rho, one.bias, loss, 0, Evidence.ENCLOSED, one.route)


def _basins(profile: Profile) -> list[tuple[Fraction, Fraction]] | None:
    """Intervals of beta that hold all candidates for the maximum of F1^2/F2, one root of h each."""
    start, end = fraction(-profile.most.upper()), _end(profile)
    queue = [(start, end)]
    parts = 64
    edges = [start + (end - start) * k / parts for k in range(parts + 1)]
    best = None
    for beta in edges[1:]:
        gain = profile.at(beta).gain
        if gain.is_finite() and (best is None or gain.lower() > best):
            best = gain.lower()
    if best is None:
        return None
    queue = list(itertools.pairwise(edges))
    found: list[tuple[Fraction, Fraction]] = []
    for _ in range(STEPS):
        if not queue:
            return found
        a, b = queue.pop()
        low, high = profile.at(a), profile.at(b)
        if high.chance < best or best * low.F2 > high.F1 * high.F1:
            continue
        if low.slope * low.F2 > high.F1 * high.F0 or high.slope * high.F2 < low.F1 * low.F0:
            continue
        if low.h > 0 and high.h < 0 and _falls(profile, low, high):
            found.append((a, b))
            continue
        if (low.h < 0 or high.h > 0) and _falls(profile, low, high):
            continue
        if b - a < Fraction(1, 1 << 60):
            return None
        middle = (a + b) / 2
        gain = profile.at(middle).gain
        if gain.is_finite() and gain.lower() > best:
            best = gain.lower()
        queue += [(a, middle), (middle, b)]
    raise NotReached(
        "the bias could not be enclosed: two minima nearly tie here, ask at another S", None
    )


def _falls(profile: Profile, low: At, high: At) -> bool:
    """Whether h falls between two beta: an upper bound on h' = F1'' F2 + F1' F0 - F1 P."""
    p = profile.S
    bend = p * (high.Y[1][0] - low.Y[1][1] + high.Y[0][1])
    steep = bend * high.F2 + high.slope * high.F0 - low.F1 * low.chance
    return bool(steep < 0)


def _end(profile: Profile) -> Fraction:
    """A beta beyond which F1^2/F2 falls: the model is linear there and h is linear in beta."""
    p, row = profile.S, profile.row
    cosines = [(c.ball(), m) for c, m in zip(row.cosines, row.counts, strict=True)]
    mean = p / 2
    variance = p / 3 - mean * mean
    t_mean = mean + sum((c * m for c, m in cosines), profile.S * 0) * mean
    t_variance = variance * (1 + sum((c * c * m for c, m in cosines), profile.S * 0))
    product = variance + mean * t_mean
    root = (mean * (t_variance + t_mean * t_mean) - product * t_mean) / variance
    return max(fraction(root.upper()), fraction((-profile.least).upper())) + Fraction(1, 4)


def _polished(profile: Profile, a: Fraction, b: Fraction, width: Fraction) -> Minimum | None:
    """The minimum at the root of h between a and b: Illinois, then both sides checked."""
    ha, hb = profile.at(a).h, profile.at(b).h
    grain = width / 64
    for step in range(200):
        if b - a <= width:
            break
        x = _between(a, b, ha, hb) if step % 3 != 2 else (a + b) / 2
        x = Fraction(round(x / grain)) * grain
        # a guess near one end is pushed beyond the root, so that both ends close in
        for y in (x, x - width / 4, x + width / 4):
            if not a < y < b:
                continue
            h = profile.at(y).h
            if h > 0:
                a, ha = y, h
            elif h < 0:
                b, hb = y, h
    if b - a > width:
        return None
    low, high = profile.at(a), profile.at(b)
    gain = (low.F1 * low.F1 / high.F2).union(high.F1 * high.F1 / low.F2)
    rho = (low.F1 / high.F2).union(high.F1 / low.F2)
    beta = ball(a).union(ball(b))
    loss = profile.S / 3 - gain
    return Minimum(profile.S, rho, beta * rho, loss, 0, Evidence.ENCLOSED, profile.route)


def _between(a: Fraction, b: Fraction, ha: Any, hb: Any) -> Fraction:
    """The root of the line through two values of h."""
    top, bottom = fraction(ha), fraction(ha) - fraction(hb)
    return a + (b - a) * top / bottom if bottom else (a + b) / 2
