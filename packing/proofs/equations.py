"""Contact equations of a code, solved to many digits and proved to have a solution nearby.

Unknown are the coordinates of a few representative vectors c_a and the cosine t of a contact:

    c_a . K c_b = 1 (a norm), = t or = -t (a contact), and linear equations that fix rotations.

Without symmetry every vector is its own representative and every K is the identity; with symmetry
(`packing.proofs.reduced`) K carries one vector to another. A Krawczyk test in ball arithmetic
(python-flint) proves that an exact solution exists in a small box and is the only one there: if
x - C f(x) + (1 - C J(B))(B - x) lies inside the box B around x, for any matrix C (Krawczyk 1969;
Rump, Acta Numerica 19, 2010). Entries of K may be balls too: the test then holds for each of their
values.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

INDEPENDENT = 1e-7
"""Singular values of the scaled Jacobian below this count as zero. Only a guide: what is proved is
proved by the Krawczyk test, whatever was guessed here."""


NEAR = 1e-4
"""A proof is about a code near the one that was given: no coordinate may move further."""


@dataclass(frozen=True, eq=False)
class Form:
    """One equation c_a . K c_b = 1 (sign 0) or sign * t; ``exact`` is K in balls, None if 1."""

    a: int
    b: int
    sign: int
    K: Float
    exact: Any = None


@dataclass(frozen=True, eq=False)
class Box:
    """A proved enclosure: the solution lies within ``radius`` of ``mid`` in every unknown."""

    mid: Any
    radius: Any


@dataclass(frozen=True, eq=False)
class Equations:
    """The forms, how many coordinates each representative has, and a float solution (N,).

    The last unknown is t.
    """

    sizes: tuple[int, ...]
    forms: tuple[Form, ...]
    start: Float

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        return tuple(int(k) for k in np.concatenate([[0], np.cumsum(self.sizes)]))

    @property
    def unknowns(self) -> int:
        return self.offsets[-1] + 1

    def part(self, a: int) -> slice:
        """Where the coordinates of representative a stand among the unknowns."""
        return slice(self.offsets[a], self.offsets[a + 1])

    def residual(self, x: Float) -> Float:
        """f(x), shape (equations,), without the gauge."""
        values = [x[self.part(f.a)] @ f.K @ x[self.part(f.b)] for f in self.forms]
        return np.array(values) - [f.sign * x[-1] if f.sign else 1.0 for f in self.forms]

    def jacobian(self, x: Float) -> Float:
        """Derivatives, shape (equations, N), without the gauge."""
        J = np.zeros((len(self.forms), self.unknowns))
        for row, f in zip(J, self.forms, strict=True):
            row[self.part(f.a)] += f.K @ x[self.part(f.b)]
            row[self.part(f.b)] += f.K.T @ x[self.part(f.a)]
            row[-1] = -f.sign
        return J

    @cached_property
    def polished(self) -> Float:
        """The start after Gauss-Newton steps in floating point."""
        x = self.start
        for _ in range(6):
            step = np.linalg.lstsq(self.jacobian(x), -self.residual(x), rcond=INDEPENDENT)[0]
            x = x + step
            if np.abs(step).max() < 1e-15:
                break
        return x

    @cached_property
    def _decomposed(self) -> tuple[Float, Float, Float]:
        U, values, V = np.linalg.svd(self.jacobian(self.polished), full_matrices=True)
        return U, values, V

    @property
    def rank(self) -> int:
        """Number of independent equations at the polished start; numerical."""
        values = self._decomposed[1]
        return int((values > INDEPENDENT * values.max()).sum())

    @property
    def independent(self) -> bool:
        """True if no equation follows from the others to first order; numerical."""
        return self.rank == len(self.forms)

    @cached_property
    def inverse(self) -> Float:
        """Pseudo-inverse of the Jacobian, (N, equations)."""
        U, values, V = self._decomposed
        k = self.rank
        return np.asarray((V[:k].T / values[:k]) @ U[:, :k].T, dtype=np.float64)

    @cached_property
    def gauge(self) -> Float:
        """Directions (k, N) that the equations leave free: rotations and flexes."""
        return np.asarray(self._decomposed[2][self.rank :], dtype=np.float64)

    # --- many digits ----------------------------------------------------------------------------

    def _exact_residual(self, x: Any) -> Any:
        """f in balls at the column x (N, 1), without the gauge."""
        import flint

        column = x.entries()
        out = []
        for f in self.forms:
            u, v = column[self.part(f.a)], column[self.part(f.b)]
            value = -(f.sign * column[-1]) if f.sign else flint.arb(-1)
            if f.exact is None:
                value += sum((p * q for p, q in zip(u, v, strict=True)), flint.arb(0))
            else:
                row = flint.arb_mat(1, len(u), u) * f.exact * flint.arb_mat(len(v), 1, v)
                value += row[0, 0]
            out.append(value)
        return flint.arb_mat(len(out), 1, out)

    def _exact_jacobian(self, x: Any) -> Any:
        """Derivatives in balls, one list per equation, without the gauge."""
        import flint

        column, rows = x.entries(), []
        for f in self.forms:
            row = [flint.arb(0)] * self.unknowns
            u, v = column[self.part(f.a)], column[self.part(f.b)]
            if f.exact is not None:
                left = (flint.arb_mat(1, len(u), u) * f.exact).entries()
                v = (f.exact * flint.arb_mat(len(v), 1, v)).entries()
                u = left
            for k, value in zip(range(*self.part(f.a).indices(self.unknowns)), v, strict=True):
                row[k] += value
            for k, value in zip(range(*self.part(f.b).indices(self.unknowns)), u, strict=True):
                row[k] += value
            row[-1] = flint.arb(-f.sign)
            rows.append(row)
        return rows

    def refine(self, bits: int) -> tuple[Any, Any]:
        """A solution to about ``bits`` bits, with the largest |f| left; numerical.

        Simplified Newton steps: the float pseudo-inverse gains some 40 bits each. Redundant
        equations are fine where they agree. The residual says what was reached.
        """
        import flint

        with flint.ctx.workprec(bits + 64):
            C = _balls(self.inverse)
            x = _balls(self.polished[:, None])
            before = None
            for _ in range(12 + bits // 8):
                step = (C * self._exact_residual(x)).mid()
                x = (x - step).mid()
                size = max((e.abs_upper() for e in step.entries()), default=flint.arb(0))
                if size < flint.arb(2) ** -bits or (before is not None and size > before):
                    break
                before = size
            left = max(e.abs_upper() for e in self._exact_residual(x).entries())
        return x, left

    def prove(self, bits: int) -> Box | None:
        """A box that provably holds exactly one solution of the equations and the gauge, or None.

        The gauge asks that the solution differs from the refined one by nothing along the
        directions that the equations leave free.
        """
        import flint

        if not self.independent or np.abs(self.polished - self.start).max() > NEAR:
            return None
        x, _ = self.refine(bits)
        with flint.ctx.workprec(bits + 64):
            f = self._exact_residual(x)  # the gauge equations vanish at x by definition
            free = self.gauge.shape[0]
            full = np.vstack([self.jacobian(self.polished), self.gauge])
            C = _balls(np.linalg.inv(full))
            f = flint.arb_mat(f.nrows() + free, 1, f.entries() + [flint.arb(0)] * free)
            shift = C * f
            identity = flint.arb_mat(self.unknowns, self.unknowns, 1)
            top = max(e.abs_upper() for e in shift.entries())
            radius = (top * 4 + flint.arb(2) ** -bits).upper()
            for _ in range(6):
                ball = flint.arb(0, radius)
                around = [e + ball for e in x.entries()]
                J = self._exact_jacobian(flint.arb_mat(self.unknowns, 1, around))
                J += [[flint.arb(float(g)) for g in row] for row in self.gauge]
                spread = identity - C * flint.arb_mat(J)
                rest = flint.arb_mat(self.unknowns, 1, [ball] * self.unknowns)
                image = spread * rest - shift
                if all(e.abs_upper() < radius for e in image.entries()):
                    return Box(x, radius)
                radius = (radius * 1000).upper()
        return None


def _balls(values: Float) -> Any:
    """A float matrix as exact balls."""
    import flint

    return flint.arb_mat([[float(v) for v in row] for row in values])


def ends(ball: Any) -> tuple[Fraction, Fraction]:
    """The ends of a real ball as exact fractions, rounded outwards."""
    low, high = (Fraction(*_mantissa(end)) for end in (ball.lower(), ball.upper()))
    return low, high


def _mantissa(end: Any) -> tuple[int, int]:
    mantissa, power = (int(x) for x in end.man_exp())
    return (mantissa << power, 1) if power >= 0 else (mantissa, 1 << -power)
