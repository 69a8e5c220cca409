"""Large rows under the uniform law: the functions of `uniform` by the transform integral, in balls.

Patterns with at most K other features on keep their vertices: the terms of degree K or less of the
sum in `uniform`. The rest is the trapezoidal sum of the transform on the line Re s = c,

    T_q(tau) = (h/pi) sum'_k Re e^(s tau) R(s)/s^(q+1),   s = c + i k h,   P = 2 pi/h,

R(s) = E[e^(s sum_j c_j x_j); more than K on]. By Poisson's formula T_q is the sum over j of
e^(-j c P) Y_q(tau + j P): none for j < 0 where P exceeds the largest sum, and for j > 0 at most
e^(-j c P) (top + j P)^q/q!. Beyond the last node U a feature that is on multiplies by at most
(e^(c c_j) + 1)/(|c_j| U), to the power K + 1 or more, so what is left out is B(U) U^-q/(pi (K+1+q))
with B the same product over these bounds. Both are added to the ball: proved, as the vertices are.
For tau > 0 the mirrored row answers, E z_+^q = E z^q - (-1)^q E(-z)_+^q. Derived here.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from theory.closed_form.plan import Plan
from theory.closed_form.points import ball
from theory.closed_form.states import Row
from theory.closed_form.uniform import TOP, Profile, integrals

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
        import flint

        self.row, self.known = row, {}
        mirrored = Row(row.field, tuple(tuple(-x for x in c) for c in row.cosines), row.counts)
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
        import flint

        self.c, self.N = ball(plan.c), plan.nodes
        self.period = flint.arb(plan.period)
        self.h = 2 * flint.arb.pi() / self.period
        self.cosines = [
            (row.field.ball(x), m) for x, m in zip(row.cosines, row.counts, strict=True)
        ]
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
        import flint

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
        import flint

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
        import flint

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
        import flint

        ratio = (-self.c * self.period).exp()
        found = []
        for q in range(TOP + 1):
            # top + 1 + j P <= j (top + 1 + P), and sum_j j^3 r^j = r (1 + 4 r + r^2)/(1 - r)^4
            reach = (self.top + 1 + self.period) ** q / math.factorial(q)
            found.append(flint.arb((reach * ratio * (1 + 5 * ratio) / (1 - ratio) ** 4).upper()))
        return found


def _turned(angle: Any) -> Any:
    """e^(i angle)."""
    import flint

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
    import flint

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
        at = row.field.ball([Fraction(k, row.scale) for k in key])
        found.append((at, integrals(weight)))
    return found


def _moments(row: Row, p: Any) -> tuple[Any, Any, Any]:
    """E s, E s^2, E s^3 of s = sum_j c_j x_j, from cumulants."""
    import flint

    m1, m2, m3 = p / 2, p / 3, p / 4
    k1, k2, k3 = m1, m2 - m1 * m1, m3 - 3 * m1 * m2 + 2 * m1**3
    one, two, three = (flint.arb(0) for _ in range(3))
    for cosine, m in zip(row.cosines, row.counts, strict=True):
        c = row.field.ball(cosine)
        one, two, three = one + m * c * k1, two + m * c * c * k2, three + m * c**3 * k3
    return one, two + one * one, three + 3 * one * two + one**3
