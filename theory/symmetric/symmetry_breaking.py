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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import flint
import numpy as np

from packing.algebra.balls import ball, fraction, rational, value_at
from packing.algebra.number_fields import RATIONALS
from packing.algebra.polynomials import Quotient
from packing.algebra.roots import Point, roots_between
from packing.catalogue import entry
from packing.catalogue.entry_types import Entry
from packing.errors import BadInput, NotReached
from packing.results import Evidence
from theory.symmetric.orbits import OrbitForm, Orbits, found

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
                off_, own = value_at(off, u), value_at(on, u)
                total += many * (off_ * z * z + own * (1 - z) * (1 - z))
            sets.append(frozenset(on_))
        return total * (1 - S) ** self.n, tuple(sets) if sure else None

    def formula(self, active: Active) -> tuple[Any, Any]:
        """(top, bottom): the loss at its best rho and biases, as a quotient in (t, S).

        Proved for these active sets; that they are the true ones is for `minimum` to check.
        """
        ring = flint.fmpq_mpoly_ctx.get(("t", "S"), "lex")
        t, S = ring.gens()
        (M0, M1, M2, X0, X1), (N0, N1, N2, Y0, Y1) = self._moments(
            active, lambda p: _chance(p, self.n, S), t
        )
        m, n = self.counts
        both = M0 * N0
        flat = m * X0 * X0 * N0 + n * Y0 * Y0 * M0
        rise = m * (X1 * M0 - X0 * M1) * N0 + n * (Y1 * N0 - Y0 * N1) * M0
        wide = m * (M2 * M0 - M1 * M1) * N0 + n * (N2 * N0 - N1 * N1) * M0
        top, bottom = (self.n * S * both - flat) * wide - rise * rise, both * wide
        if not bottom:
            raise NotReached(f"{self.name}: too few active ReLUs to settle norm and biases", None)
        shared = top.gcd(bottom)
        return top / shared, bottom / shared

    def _moments(self, active: Active, chance: Callable[[Any], Any], t: Any) -> list[list[Any]]:
        """M0, M1, M2, X0, X1 of each orbit; any kind of number."""
        found = []
        for table, chosen in zip(self.sums, active, strict=True):
            M0 = M1 = M2 = X0 = X1 = 0 * t
            for key in chosen:
                off, own = map(chance, table[key])
                s = sum((t**i * rational(c) for i, c in enumerate(key)), 0 * t)
                M0, M1, M2 = M0 + off + own, M1 + (off + own) * s, M2 + (off + own) * s * s
                X0, X1 = X0 + own, X1 + own * s
            found.append([M0, M1, M2, X0, X1])
        return found

    @cached_property
    def form(self) -> OrbitForm:
        """The same block as one of two kinds of vectors."""
        seen = tuple(tuple((b, (RATIONALS(c),), m) for b, c, m in row) for row in self.seen)
        return OrbitForm(Orbits(self.name, self.counts, self.seen), "binary", RATIONALS, seen)

    def start(self, S: float) -> tuple[np.ndarray, float]:
        """(r, q, b_1, b_2) of the least loss found from several starts, and that loss."""
        at, value, _ = found(self.form, S, 0)
        return at, value

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
            Enclosed: the block attains that loss, at a stationary point. That nothing lies lower
            is numerical.

        Raises
        ------
        NotReached
            If the point found lies on a kink.
        """
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
            loss = value_at(top, t) / value_at(bottom, t)
            rho, biases = self.settled(active, t, S)
            norms = (rho.sqrt(), t * rho.sqrt())
            if self.active(norms, biases, S) != active:
                raise NotReached(f"the active ReLUs of {self.name} could not be confirmed", None)
        return BrokenMinimum(S, norms, biases, loss, point, active, Evidence.ENCLOSED)

    def settled(self, active: Active, t: Any, S: Fraction) -> tuple[Any, tuple[Any, Any]]:
        """rho and biases at the minimum for given active sets and ratio, balls."""
        u = ball(S / (1 - S))
        moments = self._moments(active, lambda p: value_at(p, u), t)
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
    known : Evidence
        Enclosed: the block attains this loss. That nothing lies lower is numerical.
    """

    S: Fraction
    norms: tuple[Any, Any]
    biases: tuple[Any, Any]
    loss: Any
    ratio: Point
    active: Active
    known: Evidence


def _moved(key: Sum, power: int, c: Fraction) -> Sum:
    a = list(key)
    a[power] += c
    return a[0], a[1], a[2]


def _chance(p: Any, n: int, S: Any) -> Any:
    """(1-S)^n p(S/(1-S)), a polynomial."""
    coefficients = p.coeffs()
    return sum((int(c) * S**i * (1 - S) ** (n - i) for i, c in enumerate(coefficients)), 0 * S)


def at_S(p: Any, S: Fraction) -> Any:
    """A polynomial in (t, S) at a rational S: a rational polynomial in t."""
    out = [flint.fmpq(0)] * (p.degrees()[0] + 1)
    for (i, j), c in p.to_dict().items():
        out[i] += c * rational(S) ** int(j)
    return flint.fmpq_poly(out)


# --- blocks with their symmetry broken: made from the catalogue, and when they begin to win -----
#
# At the S where a broken block begins to cost less than a formula, with a jump of its norms, the
# difference of the two losses has a double root in the ratio t of the norms: a discriminant
# vanishes.


def broken(block: Entry | str, part: Sequence[int] = (0,)) -> Broken:
    """A catalogue block with some vectors given their own norm and bias.

    Parameters
    ----------
    block : Entry or str
    part : sequence of int
        The vectors of the first orbit; the others form the second.

    Raises
    ------
    BadInput
        If vectors of one part see different cosines, or a cosine is irrational.
    """
    if isinstance(block, str):
        block = entry(block)
    gram = block.gram
    label = np.ones(block.n, dtype=int)
    label[list(part)] = 0
    if not 0 < np.count_nonzero(label) < block.n:
        raise BadInput(f"part = {list(part)}: give some of the {block.n} vectors, not all")
    seen: list[tuple[tuple[int, Fraction, int], ...]] = []
    for a in (0, 1):
        rows = set()
        for i in np.flatnonzero(label == a):
            pairs = [(int(label[j]), int(gram.colours[i, j])) for j in range(block.n) if j != i]
            rows.add(tuple((*p, pairs.count(p)) for p in sorted(set(pairs))))
        if len(rows) > 1:
            raise BadInput(f"vectors of one part of {block.name} see different cosines")
        row = [(b, gram.cosines[c].number.rational, m) for b, c, m in rows.pop()]
        if any(c is None for _, c, _ in row):
            raise BadInput(f"{block.name} has irrational cosines: rational ones are done")
        seen.append(tuple((b, c, m) for b, c, m in row if c is not None))
    counts = int(np.sum(label == 0)), int(np.sum(label == 1))
    return Broken(f"uneven {block.name}", counts, tuple(seen))


def takeover(block: Broken, rival: Quotient, low: Fraction, high: Fraction) -> Point:
    """The S at which the broken block and a rival with a formula cost the same, exactly.

    Parameters
    ----------
    block : Broken
    rival : Quotient
        Loss of as many features, a rational function of S over the rationals.
    low, high : Fraction
        Where it lies; the broken block must be lower at just one end.

    Returns
    -------
    Point
        A root of a discriminant: there the difference has a double root in t.

    Raises
    ------
    BadInput
        If the block wins, or loses, at both ends.
    """
    ends = []
    for S in (low, high):
        with flint.ctx.workprec(192):
            ends.append((block.start(float(S)), rival(ball(S))))
    wins = [value < float(other.mid()) * (1 - 1e-9) for (_, value), other in ends]
    if wins[0] == wins[1]:
        word = "less" if wins[0] else "no less"
        raise BadInput(f"{block.name} costs {word} at both {float(low)} and {float(high)}")
    (guess, _), S = (ends[0][0], low) if wins[0] else (ends[1][0], high)
    with flint.ctx.workprec(192):
        active = block.active(np.abs(guess[:2]).tolist(), guess[2:].tolist(), S)
    if active is None:
        raise NotReached(f"a ReLU of {block.name} sits at its kink at S = {float(S)}", None)
    top, bottom = block.formula(active)
    S_ = top.context().gens()[1]
    over = sum((c * S_**i for i, c in enumerate(rival.top.parts[0].coeffs())), 0 * S_)
    under = sum((c * S_**i for i, c in enumerate(rival.bottom.parts[0].coeffs())), 0 * S_)
    gap = top * under - over * bottom
    near = Fraction(abs(guess[1] / guess[0]))
    for factor, _ in gap.factor()[1]:
        if factor.degrees()[0] < 2:
            continue
        equation = _in_S(factor.discriminant("t"))
        for point in roots_between(equation, low, high):
            if _touches(factor, point, near):
                return point
    raise NotReached("no crossing was found for these active ReLUs: narrow the interval", None)


def _touches(factor: Any, point: Point, near: Fraction) -> bool:
    """Whether the factor has a double root in t near the expected ratio at that S."""
    S = fraction(point.ball(512))
    slope = at_S(factor.derivative("t"), S)
    found = roots_between(slope, near - Fraction(1, 5), near + Fraction(1, 5))
    value = at_S(factor, S)
    return any(abs(float(value(rational(fraction(t.ball(512)))))) < 1e-60 for t in found)


def _in_S(p: Any) -> Any:
    """A polynomial in (t, S) that is free of t, as one in S."""
    out = [flint.fmpq(0)] * (p.degrees()[1] + 1)
    for (_, j), c in p.to_dict().items():
        out[j] += c
    return flint.fmpq_poly(out)
