"""Two orbits with norms and biases of their own, binary law: a symmetric block with its symmetry
broken, exactly.

Let the norms be r and t r, and rho = r^2. A feature of orbit a sees z = rho s + b_a with
s = t_a^2 x + sum_j t_a t_j c_aj x_j, t_1 = 1, t_2 = t: a polynomial in t. For fixed active sets the
loss is quadratic in (rho, b_1, b_2) and its minimum over them, with the moments of `binary` per
orbit and n_a features in it, is

    n S - sum_a n_a X0^2/M0 - (sum_a n_a (X1 - X0 M1/M0))^2 / sum_a n_a (M2 - M1^2/M0),

a rational function of (t, S). So t solves a polynomial equation, and the S at which the broken
block begins to win against a formula is a root of a discriminant. Which active sets occur is found
numerically, and then checked in balls. Derived here and in docs/phases.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from packing.errors import NotReached
from theory.closed_form.binary import Known
from theory.closed_form.points import Point, ball, roots_between

Sum = tuple[Fraction, Fraction, Fraction]
Active = tuple[frozenset[Sum], ...]


@dataclass(frozen=True, eq=False)
class Broken:
    """A block whose features fall into two orbits.

    Parameters
    ----------
    name : str
    counts : (int, int)
        Features in each orbit.
    seen : per orbit a tuple of (orbit, cosine, count)
        What a feature of that orbit sees; cosines rational.
    """

    name: str
    counts: tuple[int, int]
    seen: tuple[tuple[tuple[int, Fraction, int], ...], ...]

    @property
    def n(self) -> int:
        return sum(self.counts)

    @cached_property
    def sums(self) -> tuple[dict[Sum, tuple[Any, Any]], ...]:
        """Per orbit: each sum s, as coefficients in 1, t, t^2, with its weights, own off and on.

        A weight is a polynomial in the odds u, times (1-S)^n.
        """
        import flint

        u = flint.fmpz_poly([0, 1])
        found = []
        for a, seen in enumerate(self.seen):
            table: dict[Sum, Any] = {(Fraction(0),) * 3: flint.fmpz_poly([1])}
            for b, cosine, m in seen:
                stay = flint.fmpz_poly([1, 1])
                for _ in range(m):
                    wider: dict[Sum, Any] = {}
                    for key, weight in table.items():
                        on = _moved(key, a + b, cosine)
                        if on == key:
                            wider[key] = wider.get(key, 0) + weight * stay
                            continue
                        wider[key] = wider.get(key, 0) + weight
                        wider[on] = wider.get(on, 0) + weight * u
                    table = wider
            both: dict[Sum, tuple[Any, Any]] = {}
            zero = flint.fmpz_poly([0])
            for key, weight in table.items():
                off, on_ = both.get(key, (zero, zero))
                both[key] = off + weight, on_
                own = _moved(key, 2 * a, Fraction(1))
                off, on_ = both.get(own, (zero, zero))
                both[own] = off, on_ + weight * u
            found.append(both)
        return tuple(found)

    def loss(self, norms: Sequence[Any], biases: Sequence[Any], S: Any) -> Any:
        """Loss of the whole block, a ball at the working precision.

        Parameters
        ----------
        norms, biases : two numbers each
            Lengths r_a (not squared) and biases.
        S : number
            In [0, 1).
        """
        return self._terms([ball(x) for x in norms], [ball(x) for x in biases], ball(S))[0]

    def active(self, norms: Sequence[Any], biases: Sequence[Any], S: Any) -> Active | None:
        """The sums with active ReLU in each orbit; None where a sign cannot be told."""
        return self._terms([ball(x) for x in norms], [ball(x) for x in biases], ball(S))[1]

    def _terms(self, norms: list[Any], biases: list[Any], S: Any) -> tuple[Any, Active | None]:
        import flint

        (r, q), u = norms, S / (1 - S)
        total, sets, sure = flint.arb(0), [], True
        for many, table, bias in zip(self.counts, self.sums, biases, strict=True):
            on_ = set()
            for key, (off, on) in table.items():
                z = bias
                for c, size in zip(key, (r * r, r * q, q * q), strict=True):
                    z = z + ball(c) * size
                if z > 0:
                    on_.add(key)
                elif not z < 0:
                    sure = False
                z = z.nonnegative_part()
                off_, own = flint.arb_poly(off)(u), flint.arb_poly(on)(u)
                total += many * (off_ * z * z + own * (1 - z) * (1 - z))
            sets.append(frozenset(on_))
        return total * (1 - S) ** self.n, tuple(sets) if sure else None

    def formula(self, active: Active) -> tuple[Any, Any]:
        """(top, bottom): the loss at its best rho and biases, as a quotient in (t, S).

        Proved for these active sets; that they are the true ones is for `minimum` to check.
        """
        import flint

        ring = flint.fmpq_mpoly_ctx.get(("t", "S"), "lex")
        t, S = ring.gens()
        one = t**0
        spread, gained, slope = [], [], []
        M0s = []
        for many, table, chosen in zip(self.counts, self.sums, active, strict=True):
            M0, M1, M2, X0, X1 = (0 * one for _ in range(5))
            for key in chosen:
                off, own = (_chance(p, self.n, S) for p in table[key])
                s = sum((rational(c) * t**i for i, c in enumerate(key)), 0 * one)
                M0, M1, M2 = M0 + off + own, M1 + (off + own) * s, M2 + (off + own) * s * s
                X0, X1 = X0 + own, X1 + own * s
            M0s.append(M0)
            gained.append(many * X0 * X0)
            slope.append(many * (X1 * M0 - X0 * M1))
            spread.append(many * (M2 * M0 - M1 * M1))
        M, N = M0s
        both = M * N
        flat = gained[0] * N + gained[1] * M
        rise = slope[0] * N + slope[1] * M
        wide = spread[0] * N + spread[1] * M
        top, bottom = (self.n * S * both - flat) * wide - rise * rise, both * wide
        if not bottom:
            raise NotReached(f"{self.name}: too few active ReLUs to settle norm and biases", None)
        shared = top.gcd(bottom)
        return top / shared, bottom / shared

    def start(self, S: float) -> tuple[np.ndarray, float]:
        """(r, q, b_1, b_2) of the least loss found from several starts, and that loss."""
        from scipy.optimize import minimize

        def value(at: np.ndarray) -> float:
            return float(self.loss(at[:2].tolist(), at[2:].tolist(), S).mid())

        best: tuple[np.ndarray, float] | None = None
        for r, q in ((1.0, 0.9), (1.05, 0.5), (0.5, 1.05), (0.9, 0.9), (1.0, 0.99)):
            for bias in (0.05, 0.3, S * S / 2.0):  # biases of a digon fall with S^2
                at = np.array([r, q, bias, 1.5 * bias])
                for _ in range(2):
                    run = minimize(
                        value, at, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-16}
                    )
                    at = run.x
                if best is None or run.fun < best[1] - 1e-13:
                    best = run.x, float(run.fun)
        assert best is not None
        return best

    def minimum(self, S: Fraction | float, digits: int = 30) -> BrokenMinimum:
        """The least loss found with unequal norms and biases, its stationary point enclosed.

        Parameters
        ----------
        S : Fraction or float
            In (0, 1), taken as the number it is.
        digits : int

        Returns
        -------
        BrokenMinimum
            Rigorous: the block attains that loss, at a stationary point. That nothing lies lower
            is numerical.

        Raises
        ------
        NotReached
            If the point found lies on a kink.
        """
        import flint

        S = Fraction(S)
        guess, _ = self.start(float(S))
        r, q = (abs(float(x)) for x in guess[:2])
        with flint.ctx.workprec(192):
            active = self.active([r, q], guess[2:].tolist(), S)
        if active is None:
            raise NotReached(f"a ReLU of {self.name} sits at its kink at S = {float(S)}", None)
        top, bottom = (at_S(p, S) for p in self.formula(active))
        equation = top.derivative() * bottom - top * bottom.derivative()
        near = Fraction(q / r)
        spread = Fraction(1, 10**4)
        points = roots_between(equation, near - spread, near + spread)
        if not points:
            raise NotReached(f"no stationary ratio of norms near {float(near)}", None)
        point = min(points, key=lambda p: abs(float(p) - float(near)))
        bits = round(3.33 * digits) + 128
        with flint.ctx.workprec(bits):
            t = point.ball(bits)
            loss = flint.arb_poly(top)(t) / flint.arb_poly(bottom)(t)
            rho, biases = self.settled(active, t, S)
            norms = (rho.sqrt(), t * rho.sqrt())
            if self.active(norms, biases, S) != active:
                raise NotReached(f"the active ReLUs of {self.name} could not be confirmed", None)
        return BrokenMinimum(S, norms, biases, loss, point, active, "rigorous")

    def settled(self, active: Active, t: Any, S: Fraction) -> tuple[Any, tuple[Any, Any]]:
        """rho and biases at the minimum for given active sets and ratio, balls."""
        import flint

        u, moments = ball(S / (1 - S)), []
        for table, chosen in zip(self.sums, active, strict=True):
            M0, M1, M2, X0, X1 = (flint.arb(0) for _ in range(5))
            for key in chosen:
                off, own = (flint.arb_poly(p)(u) for p in table[key])
                s = ball(key[0]) + t * ball(key[1]) + t * t * ball(key[2])
                M0, M1, M2 = M0 + off + own, M1 + (off + own) * s, M2 + (off + own) * s * s
                X0, X1 = X0 + own, X1 + own * s
            moments.append((M0, M1, M2, X0, X1))
        rise, wide = flint.arb(0), flint.arb(0)
        for many, (M0, M1, M2, X0, X1) in zip(self.counts, moments, strict=True):
            rise += many * (X1 - X0 * M1 / M0)
            wide += many * (M2 - M1 * M1 / M0)
        rho = rise / wide
        one, two = ((X0 - rho * M1) / M0 for M0, M1, _, X0, _ in moments)
        return rho, (one, two)


@dataclass(frozen=True, eq=False)
class BrokenMinimum:
    """A stationary point of a block with two orbits.

    Parameters
    ----------
    S : Fraction
    norms, biases : two balls each
        Lengths and biases per orbit.
    loss : ball
        Of the whole block.
    ratio : Point
        Second norm over first, as a root of a polynomial.
    active : per orbit the sums with active ReLU
    known : str
    """

    S: Fraction
    norms: tuple[Any, Any]
    biases: tuple[Any, Any]
    loss: Any
    ratio: Point
    active: Active
    known: Known


def _moved(key: Sum, power: int, c: Fraction) -> Sum:
    a = list(key)
    a[power] += c
    return a[0], a[1], a[2]


def rational(c: Fraction) -> Any:
    import flint

    return flint.fmpq(c.numerator, c.denominator)


def _chance(p: Any, n: int, S: Any) -> Any:
    """(1-S)^n p(S/(1-S)), a polynomial."""
    coefficients = p.coeffs()
    return sum((int(c) * S**i * (1 - S) ** (n - i) for i, c in enumerate(coefficients)), 0 * S)


def at_S(p: Any, S: Fraction) -> Any:
    """A polynomial in (t, S) at a rational S: a rational polynomial in t."""
    import flint

    out = [flint.fmpq(0)] * (p.degrees()[0] + 1)
    for (i, j), c in p.to_dict().items():
        out[i] += c * rational(S) ** int(j)
    return flint.fmpq_poly(out)
