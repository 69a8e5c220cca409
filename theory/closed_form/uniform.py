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

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from theory.closed_form.points import ball
from theory.closed_form.states import Row

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
        import flint

        self.row, self.bits = row, bits
        self.known: dict[Fraction, At] = {}
        with flint.ctx.workprec(bits):
            self.S = p = ball(S)
            off = 1 - p
            one = flint.arb_poly([1])
            factors = []
            for cosine, m in zip(row.cosines, row.counts, strict=True):
                share = p / row.field.ball(cosine)
                up, down = flint.arb_poly([0, share]), flint.arb_poly([off, -share])
                factors.append([math.comb(m, j) * up**j * down ** (m - j) for j in range(m + 1)])
            self.vertices = []
            for key, weight in row.sums(one, factors):
                at = row.field.ball([Fraction(k, row.scale) for k in key])
                self.vertices.append((at, integrals(weight)))
            low = [row.field.ball(c) * m for c, m in zip(row.cosines, row.counts, strict=True)]
            self.least = sum((c for c in low if c < 0), flint.arb(0))
            self.most = 1 + sum((c for c in low if c > 0), flint.arb(0))

    def Y(self, tau: Any) -> tuple[Any, ...]:
        """E (s + tau)_+^q / q! for q = 0 .. TOP, in balls."""
        import flint

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
        import flint

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
        import flint

        with flint.ctx.workprec(self.bits):
            rho = ball(rho)
            at = self._at(ball(bias) / rho)
            return self.S / 3 - 2 * rho * at.F1 + rho * rho * at.F2


def integrals(weight: Any) -> list[Any]:
    """sum_r a_r t^(r+q) / (r+q)! for q = 0 .. TOP, from sum_r a_r y^r."""
    import flint

    coefficients = weight.coeffs()
    found = []
    for q in range(TOP + 1):
        found.append(
            flint.arb_poly(
                [0] * q + [a / math.factorial(r + q) for r, a in enumerate(coefficients)]
            )
        )
    return found
