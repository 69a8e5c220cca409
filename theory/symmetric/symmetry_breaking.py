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
from itertools import groupby
from typing import Any, Literal

import numpy as np

from packing.catalogue.entry_types import Entry
from packing.errors import BadInput, NotReached
from packing.types import Float
from theory.features import Features, law_named
from theory.symmetric.binary import Known
from theory.symmetric.points import Point, ball, fraction, roots_between
from theory.symmetric.polynomials import Quotient

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


# Blocks with their symmetry broken: made from the catalogue, and when they begin to win.
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
        from packing.catalogue import entry

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
        try:
            seen.append(tuple((b, Fraction(gram.cosines[c].text), m) for b, c, m in rows.pop()))
        except ValueError:
            raise BadInput(f"{block.name} has irrational cosines: rational ones are done") from None
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
    import flint

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
    import flint

    out = [flint.fmpq(0)] * (p.degrees()[1] + 1)
    for (_, j), c in p.to_dict().items():
        out[j] += c
    return flint.fmpq_poly(out)


# Models that beat a symmetric block: where they are looked for, and at which S they win.
#
# Copies of the symmetric form are kicked, split and thinned, and descend on the surrogate of
# `theory.global_search`, then on the exact loss; two hardly changed ones slide off it if it is a
# saddle.
# What wins at one S is tried at its neighbours, and the ends of what stands are bisected. A rival
# counts only if `theory.loss` with its error bound puts it below. Numerical.


CLEARLY = 1e-9
"""Relative loss by which a rival must be lower to count."""

PRECISION = 1e-4
"""Width in S to which the ends of intervals are closed in on."""


@dataclass(eq=False)
class Rivals:
    """Looks for models below one block, at any S."""

    block: Entry
    law: str
    seed: int

    def __post_init__(self) -> None:
        from theory.global_search import Problem, Shape
        from theory.symmetric.one_orbit import closed_form
        from theory.symmetric.orbits import OrbitForm, orbit_form

        n, d = self.block.n, self.block.d
        one = len(self.block.rows) == 1
        self.form: Any = (closed_form if one else orbit_form)(self.block, self.law)
        self.several = isinstance(self.form, OrbitForm)
        self.problem = Problem(Features.of(n, 0.5, self.law), Shape(n, d, True))
        self.rng = np.random.default_rng([self.seed, n, d])
        self.known: dict[float, tuple[Float, float]] = {}

    def symmetric(self, S: float) -> tuple[Float, float]:
        """The symmetric form at S, as parameters, and its loss."""
        if S not in self.known:
            from theory.symmetric.orbits import found

            n = self.block.n
            if self.several:
                at, value, _ = found(self.form, S, self.seed)
                k, labels = len(self.form.counts), np.array(self.form.shape.labels)
                norms, biases = at[:k][labels], at[k : 2 * k][labels]
            else:
                least = self.form.minimum(S)
                value = n * float(least.loss.mid())
                norms = np.full(n, float(least.rho.sqrt().mid()))
                biases = np.full(n, float(least.bias.mid()))
            W = self.block.vectors * norms
            theta = self.problem.shape.join(W[None], biases[None])[0]
            self.known[S] = theta, value
        return self.known[S]

    def starts(self, S: float, count: int) -> Float:
        """Copies of the symmetric form: nudged, kicked, split into two parts, thinned."""
        from theory.global_search import kicks

        theta, _ = self.symmetric(S)
        shape, rng = self.problem.shape, self.rng
        n = shape.n
        made = [theta + size * rng.normal(size=theta.shape) for size in (1e-3, 0.03, 0.15)]
        mean = law_named(self.law).mean * S
        for i in range(max(3, count // 2)):
            W, b = (q[0].copy() for q in shape.split(theta[None]))
            part = rng.permutation(n)[: rng.integers(1, n // 2 + 1)]
            size = (0.0, 0.3, 0.6, 0.85)[i % 4]
            W[:, part] *= size + 0.02 * rng.normal(size=part.size)
            b[part] += (1.0 - size) * (mean - b[part])
            if i % 8 >= 4:
                W[:, part] *= -1.0  # the part turned round
            made.append(shape.join(W[None], b[None])[0] + 0.01 * rng.normal(size=theta.shape))
        more = max(1, count - len(made))
        return np.concatenate([np.array(made), kicks(rng, shape, theta[None], more)])

    def descended(self, theta: Float, S: Float) -> tuple[Float, Float]:
        """Models after a descent on the exact loss, each at its own S."""
        from packing.optimise import descend

        problem = self.problem if self.block.n <= 11 else self.problem.roughly
        wide = np.repeat(S[:, None], self.block.n, axis=1)

        def objective(points: Float, index: np.ndarray) -> tuple[Float, Float]:
            return problem.evaluate(points, wide[index])

        return descend(objective, theta, 200, tolerance=1e-11)

    def roughly(self, theta: Float, S: float, keep: int) -> Float:
        """The lowest few models after a descent on the surrogate of `theory.global_search`."""
        from packing.optimise import descend
        from theory.global_search import cloud_for, surrogate

        features, shape = self.problem.features.at(S), self.problem.shape
        cloud = cloud_for(features, self.seed)
        kind: Any = np.float64 if cloud.exact else np.float32
        X, w = cloud.X.astype(kind), cloud.weights.astype(kind)[None]
        I = features.importance.astype(kind)

        def objective(points: Float, index: np.ndarray) -> tuple[Float, Float]:
            value, slope = surrogate(points.astype(kind), shape, X, w, I, True)
            return value.astype(float), slope.astype(float)

        theta, value = descend(objective, theta, 80, tolerance=1e-6)
        order = np.argsort(value, kind="stable")
        kept = [order[0]]
        for k in order[1:]:
            if value[k] > value[kept[-1]] * (1.0 + 1e-5) and len(kept) < keep:
                kept.append(k)
        return theta[kept]

    def beaten_by(self, theta: Float, S: float) -> bool:
        """Whether a model is clearly below the symmetric form, by `theory.loss` and its bound."""
        from theory.losses.expected import loss

        W, b = (q[0] for q in self.problem.shape.split(theta[None]))
        found = loss(W, b, features=self.problem.features.at(S), rtol=1e-10)
        return bool(found.total + found.error_bound < self.symmetric(S)[1] * (1.0 - CLEARLY))

    def winners(self, S: Float, groups: Sequence[Float]) -> list[Any]:
        """At each S the lowest model that its group (K, p) descends to; None if none wins."""
        which = np.repeat(np.arange(S.size), [len(g) for g in groups])
        theta, value = self.descended(np.concatenate(groups), S[which])
        out: list[Any] = []
        for k, x in enumerate(S.tolist()):
            mine = np.flatnonzero(which == k)
            best = theta[mine[np.argmin(value[mine])]]
            out.append(best if self.beaten_by(best, x) else None)
        return out

    def nudged(self, S: float) -> Float:
        """The symmetric form, hardly changed: where it is a saddle, this slides off."""
        theta, _ = self.symmetric(S)
        return theta + np.array([[1e-3], [0.02]]) * self.rng.normal(size=(2, theta.size))

    def standing(self, S: Float) -> Standing:
        n = self.block.n
        count = 32 if n <= 8 else 20 if n <= 12 else 12
        groups = []
        for x in S.tolist():
            far = self.roughly(self.starts(x, count), x, 3)
            groups.append(np.concatenate([self.nudged(x), far]))
        winners = self.winners(S, groups)
        for _ in range(2):  # what wins here may win next door
            beside = [
                [w for w in winners[max(0, k - 1) : k + 2] if w is not None] for k in range(S.size)
            ]
            again = [k for k in range(S.size) if winners[k] is None and beside[k]]
            if not again:
                break
            more = self.winners(S[again], [np.array(beside[k]) for k in again])
            for k, w in zip(again, more, strict=True):
                winners[k] = w
        ends = [float(S[0])]
        runs = []
        place = 0
        for lost, members in groupby(winners, key=lambda w: w is not None):
            size = len(list(members))
            runs.append((lost, place, place + size))
            place += size
            if place < S.size:
                pair = float(S[place - 1]), float(S[place])
                ends.append(self.end(*pair, winners[place - 1], winners[place]))
        ends.append(float(S[-1]))
        intervals, beaten = [], []
        for (lost, first, last), low, high in zip(runs, ends, ends[1:], strict=False):
            if lost:
                beaten += self.named(S[first:last], winners[first:last], low, high)
            else:
                intervals.append((low, high))
        return Standing(
            self.block.name,
            self.law,
            tuple(intervals),
            tuple(beaten),
            (float(S[0]), float(S[-1])),
            "tried",
        )

    def end(self, low: float, high: float, below: Any, above: Any) -> float:
        """The S between two neighbours at which the block begins to lose, or to stand."""
        rival = below if above is None else above
        lost, safe = (high, low) if below is None else (low, high)
        while abs(lost - safe) > PRECISION:
            middle = 0.5 * (lost + safe)
            group = np.concatenate([rival[None], self.nudged(middle)])
            found = self.winners(np.array([middle]), [group])[0]
            if found is None:
                safe = middle
            else:
                lost, rival = middle, found
        return 0.5 * (lost + safe)

    def named(
        self, S: Float, winners: Sequence[Float], low: float, high: float
    ) -> list[tuple[float, float, str]]:
        """What wins between low and high, by name; few of many S are looked at closely."""
        from packing.recognition import name_of
        from theory.global_search import settle

        most = min(S.size, 5 if self.block.n > 6 else S.size)
        chosen = np.unique(np.linspace(0, S.size - 1, most).round().astype(int))
        names = []
        for k in chosen.tolist():
            point = settle(self.problem.at(float(S[k])), winners[k])
            W, _ = self.problem.shape.split(point.theta[None])
            names.append((float(S[k]), name_of(W[0], noise=0.0).kind))
        out: list[tuple[float, float, str]] = []
        start = low
        for (x, name), (y, after) in zip(names, [*names[1:], (high, "")], strict=True):
            if name != after:
                stop = high if not after else 0.5 * (x + y)
                out.append((start, stop, name))
                start = stop
        return out


# Where in S a symmetric block is its own optimum: n features in its d dimensions, any W and b.
#
# A symmetric form is stationary, so it can lose in two ways: a direction in which the Hessian turns
# negative (`stability`, the symmetry breaks continuously), or another minimum that falls below it
# (`standing`, which descends on the exact loss from kicked, split and thinned copies of the
# block at
# many S, takes what wins at one S to its neighbours, and closes in on the ends by bisection).
# Numerical: what is found lower is lower, but a block that stands may only not have been beaten
# yet.


LARGEST = {"binary": 12, "uniform": 8}
"""Features of a block up to which its standing is tried unasked, about a minute's work; 6 for other
laws."""

HESSIANS = 64
"""Features up to which a Hessian is made."""

STATUS = {
    "tried": "descents from kicked, split and thinned copies of the block",
    "not tried": "large blocks take many minutes (raise `most` to try), or it has no vectors",
}


@dataclass(frozen=True)
class Standing:
    """Where a symmetric block is the best found for its own n and d.

    Parameters
    ----------
    name, law : str
    intervals : tuple of (float, float)
        Of S on which nothing lower was found; empty if it is always beaten, or was not tried.
    beaten : tuple of (float, float, str)
        From, to, and the name of something that is lower there.
    searched : (float, float) or None
        Least and largest S that were tried.
    status : {"tried", "not tried"}
    known : str
    """

    name: str
    law: str
    intervals: tuple[tuple[float, float], ...]
    beaten: tuple[tuple[float, float, str], ...]
    searched: tuple[float, float] | None
    status: Literal["tried", "not tried"]
    known: str = "numerical"

    @property
    def advice(self) -> str:
        """The status as a sentence."""
        return STATUS[self.status]

    def stands(self, S: float) -> bool | None:
        """Whether the block stands at S; None outside what was searched."""
        if self.searched is None or not self.searched[0] <= S <= self.searched[1]:
            return None
        return any(low <= S <= high for low, high in self.intervals)


@dataclass(frozen=True)
class Stability:
    """Whether a symmetric form can lower its loss by an infinitesimal change.

    Parameters
    ----------
    S : float
    least : float
        Smallest eigenvalue of the Hessian by all of W and b, rotations left out.
    noise : float
        Eigenvalues smaller than this are 0 to the accuracy of the Hessian.
    known : str
    """

    S: float
    least: float
    noise: float
    known: str = "numerical"

    @property
    def breaks(self) -> bool:
        return self.least < -self.noise


def grid(law: str = "binary") -> Float:
    """The S that `standing` tries where none are given."""
    return np.concatenate([np.geomspace(0.01, 0.1, 6), np.linspace(0.13, 0.97, 22)])


def standing(
    block: Entry | str,
    law: str = "binary",
    S: Sequence[float] | None = None,
    *,
    seed: int = 0,
    most: int | None = None,
    cached: bool = True,
) -> Standing:
    """The intervals of S on which a block's symmetric form is the best found for its n and d.

    Parameters
    ----------
    block : Entry or str
        A catalogue entry; of several kinds of vectors each gets its norm and bias.
    law : str
    S : sequence of float, optional
        Where to look, in (0, 1); `grid` if not given. Changes between two neighbours are found if
        the block stands at one and is beaten at the other.
    seed : int
    most : int, optional
        Features up to which a block is tried; by default LARGEST for the law.
    cached : bool
        Take the answer from the cache, and keep it there.

    Returns
    -------
    Standing
        Numerical: ends to 1e-4.

    Raises
    ------
    BadInput
        If S leaves (0, 1), or block or law is unknown.
    """
    law_named(law)
    if isinstance(block, str):
        from packing.catalogue import entry

        block = entry(block)
    where = np.unique(grid(law) if S is None else np.asarray(S, dtype=float))
    if where.size == 0 or where[0] <= 0.0 or where[-1] >= 1.0:
        raise BadInput(f"S = {list(where)}: give numbers strictly between 0 and 1")
    if block.n > (LARGEST.get(law, 6) if most is None else most) or not block.built:
        return Standing(block.name, law, (), (), None, "not tried")
    from packing import cache

    question = {
        "verb": "standing",
        "block": block.name,
        "law": law,
        "S": where.tolist(),
        "seed": seed,
    }
    kept = cache.read(question) if cached else None
    if kept is not None:
        answer = cache.decode(kept["standing"])
        assert isinstance(answer, Standing)
        return answer

    found = Rivals(block, law, seed).standing(where)
    if cached:
        cache.write(question, {"standing": cache.encode(found)})
    return found


def stability(block: Entry | str, law: str, S: float) -> Stability:
    """The smallest eigenvalue of the Hessian at a block's symmetric form; rotations left out.

    Parameters
    ----------
    block : Entry or str
    law : str
    S : float
        In (0, 1).

    Returns
    -------
    Stability
        Numerical (binary up to 10 features: exact up to rounding).
    """
    if isinstance(block, str):
        from packing.catalogue import entry

        block = entry(block)
    if not 0.0 < S < 1.0:
        raise BadInput(f"S = {S}: give a number strictly between 0 and 1")
    if block.n > HESSIANS:
        raise BadInput(f"{block.n} features have too large a Hessian: give at most {HESSIANS}")

    rivals = Rivals(block, law, 0)
    theta, _ = rivals.symmetric(S)
    problem = rivals.problem.at(S)
    turns = problem.rotations(theta)
    basis = np.linalg.svd(turns, full_matrices=True)[0][:, turns.shape[1] :]
    values = np.linalg.eigvalsh(basis.T @ problem.hessian(theta) @ basis)
    size = float(np.max(np.abs(values)))
    return Stability(S, float(values[0]), max(problem.hessian_noise, 1e-8) * size)
