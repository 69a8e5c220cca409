"""Largest minimum angle, and least coherence: the criteria "angle" and "lines"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from packing.search.closed import known_code
from packing.search.code import Float
from packing.search.contacts import largest
from packing.search.driver import Clock, Known, OutOfTime
from packing.search.energy import relax, surrogate
from packing.search.moves import away, fresh, nudged, spread
from packing.search.polish import centre_rattlers, polish

SAME = 1e-9
"""Polished values this close are one basin: they are good to 1e-13."""

FIRST = (4.0, 80.0)
"""Range of the first exponent, as beta times (1 - largest cosine); it decides the basin."""

AGAIN = (10.0, 100.0)
"""The same after a move away from a good code, most of which is to be kept."""

LAST = 150.0
"""The last exponent for every start: basins can be told apart by their limits."""

SHARP = 300.0
"""The exponent for the few that are polished: the contacts can be told from the other pairs."""

GROWTH = 4.0

SHARP_STEPS = 300
"""Iterations of that descent; with half as many n = 44 in R^3 is found ten times less often."""

NUDGES = 8
"""Small kicks in a round."""

STARTS = 8
"""Least number of starts in an attempt, so that polishing is not the most of its cost."""

HEAVY = 800
"""Coordinates above which a linear programme takes a second: few of them, and no small kicks."""

SMALL = 12
"""Up to here a few attempts meet every basin there is."""

FINE = 3
"""Rounds of small kicks. Codes that differ in a few contacts, by 1e-5 in the cosine, are one basin
of the smooth energy: the best of them is found by kicks of a tenth of the spacing."""


@dataclass(frozen=True)
class MinMax:
    """n unit vectors in R^d with the least largest cosine, or largest |cosine| for lines.

    An attempt relaxes a batch of starts with a growing exponent, keeps those whose limit looks
    lowest, and polishes them.
    """

    n: int
    d: int
    lines: bool = False

    @property
    def name(self) -> str:
        return "lines" if self.lines else "angle"

    @property
    def s(self) -> float:
        return 1.0

    def known(self) -> Known | None:
        return known_code(self.n, self.d, self.lines)

    def same(self, a: float, b: float) -> bool:
        return abs(a - b) <= SAME

    @property
    def departures(self) -> int:
        return 0 if self.n <= SMALL or self.heavy else min(self.n // 4, 10)

    @property
    def heavy(self) -> bool:
        return self.n * (self.d - 1) > HEAVY

    def enough(self, reached: int, runs: int) -> bool:
        if self.heavy:
            return reached >= 3
        return reached >= 5 and (runs >= 10 or reached == runs >= 7 or self.n <= SMALL)

    def needs(self) -> tuple[float, float]:
        k, n, d = self.batch, float(self.n), float(self.d)
        size = 8.0 * (5.0 * k * n * n + 24.0 * k * n * d + n * d * d)
        evaluations = 1000.0 * max(k, STARTS)
        return size, evaluations * n * n * (5.0 + 0.5 * d) * 1e-9 + 0.02

    @property
    def batch(self) -> int:
        """How many starts an attempt relaxes together: what fits the processor's cache."""
        return int(np.clip(60_000 / self.n**2, 2, 24))

    @property
    def level(self) -> float:
        """A rough guess of the best cosine: caps that cover most of the sphere."""
        count = 2 * self.n if self.lines else self.n
        part = min(0.8 / count, 0.5)  # of the sphere, for a cap of half the angle
        sine2 = betaincinv((self.d - 1) / 2.0, 0.5, 2.0 * part)
        return float(np.clip(1.0 - 2.0 * sine2, 0.05, 1.0 - 1e-9))

    def beta(self, kappa: Float) -> Float:
        t = self.level
        return kappa / ((1.0 - t) * (2.0 * t if self.lines else 1.0))

    def attempt(
        self, rng: np.random.Generator, best: Float | None, clock: Clock
    ) -> tuple[float, Float]:
        def up() -> bool:
            return clock.up

        if self.heavy and best is not None:
            # From scratch, heavy codes are closed only where the contacts are plain to see: it
            # would take too long to polish what may not be the best. Here is the best.
            value, Y = largest(best, self.lines), polish(best, self.lines, rounds=6, up=up)[0]
            if largest(Y, self.lines) < value - SAME:
                return largest(Y, self.lines), Y
        k = self.batch
        some = [self.relaxed(rng, best, k, clock)]
        while len(some) * k < STARTS and not clock.up:
            some.append(self.relaxed(rng, best, k, clock))
        X, limit = (np.concatenate(parts) for parts in zip(*some, strict=True))
        hopeful = np.argsort(limit)[: min(k, NUDGES)]
        hopeful = hopeful[limit[hopeful] <= limit.min() + 5e-3 * (1.0 - self.level)]
        value, Y = self.sharpest(X[hopeful], np.inf, 3, clock)
        for _ in range(0 if self.heavy else FINE):
            if clock.up:
                break
            new, Z = self.sharpest(nudged(rng, Y, min(k, NUDGES), self.lines), value, 3, clock)
            if not new < value - SAME:
                break
            value, Y = new, Z
        if not self.heavy:
            Y = centre_rattlers(Y, self.lines)
        return largest(Y, self.lines), Y

    def relaxed(
        self, rng: np.random.Generator, best: Float | None, k: int, clock: Clock
    ) -> tuple[Float, Float]:
        """k starts (k, n, d) after descents with a growing exponent, and their limits (k,)."""
        if best is None:
            X = np.stack([fresh(rng, self.n, self.d, self.lines) for _ in range(k)])
            kappa = spread(rng, FIRST, k)
        else:
            X = np.stack([away(rng, best, self.lines) for _ in range(k)])
            kappa = spread(rng, AGAIN, k)
        while True:
            if clock.up:
                raise OutOfTime
            X = relax(X, self.beta(kappa), self.lines, 300, 1e-5)[0]
            if np.all(kappa >= LAST):
                return X, surrogate(X, self.beta(kappa), self.lines)[2]
            kappa = np.minimum(kappa * GROWTH, LAST)

    def sharpest(self, X: Float, value: float, many: int, clock: Clock) -> tuple[float, Float]:
        """The best of the codes X (k, n, d) after a sharp descent and, for the best few, a polish.

        Codes whose limit is not below `value` are not worth a polish.
        """
        beta = self.beta(np.full(len(X), SHARP))
        X = relax(X, beta, self.lines, SHARP_STEPS, 1e-6)[0]
        limit = surrogate(X, beta, self.lines)[2]
        order = np.argsort(limit)
        best, seen = (largest(X[order[0]], self.lines), X[order[0]]), list[float]()
        near = 1e-4 * (1.0 - self.level)
        for a in order:
            if clock.up or len(seen) == many or limit[a] > value + near:
                break
            if any(abs(limit[a] - v) < 0.01 * near for v in seen):
                continue
            seen.append(float(limit[a]))
            rounds = 0 if self.heavy else 30
            Y = polish(X[a], self.lines, rounds=rounds, up=lambda: clock.up)[0]
            best = min(best, (largest(Y, self.lines), Y), key=lambda item: item[0])
        return best
