"""Where in S a symmetric block is its own optimum: n features in its d dimensions, any W and b.

A symmetric form is stationary, so it can lose in two ways: a direction in which the Hessian turns
negative (`stability`, the symmetry breaks continuously), or another minimum that falls below it
(`standing`). Rivals are copies of the symmetric form, kicked, split and thinned, that descend on
the surrogate of `theory.global_search`, then on the exact loss; two hardly changed ones slide off
it if it is a saddle. What wins at one S is tried at its neighbours, and the ends of what stands are
bisected. A rival counts only if `theory.loss` with its error bound puts it below. Numerical: what
is found lower is lower, but a block that stands may only not have been beaten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from packing import cache
from packing.catalogue import entry
from packing.catalogue.entry_types import Entry
from packing.errors import BadInput
from packing.optimise import descend
from packing.recognition import name_of
from packing.results import Evidence
from packing.types import Float
from theory.features import Features, law_named
from theory.global_search import Problem, Shape, cloud_for, kicks, settle, surrogate
from theory.losses.expected import loss
from theory.symmetric.one_orbit import closed_form
from theory.symmetric.orbits import OrbitForm, found, orbit_form

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
        problem = self.problem if self.block.n <= 11 else self.problem.roughly
        wide = np.repeat(S[:, None], self.block.n, axis=1)

        def objective(points: Float, index: np.ndarray) -> tuple[Float, Float]:
            return problem.evaluate(points, wide[index])

        return descend(objective, theta, 200, tolerance=1e-11)

    def roughly(self, theta: Float, S: float, keep: int) -> Float:
        """The lowest few models after a descent on the surrogate of `theory.global_search`."""
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
        W, b = (q[0] for q in self.problem.shape.split(theta[None]))
        exact = loss(W, b, features=self.problem.features.at(S), rtol=1e-10)
        return bool(exact.total + exact.error_bound < self.symmetric(S)[1] * (1.0 - CLEARLY))

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


LARGEST = {"binary": 12, "uniform": 8}
"""Features of a block up to which its standing is tried unasked, about a minute's work; 6 for other
laws."""

HESSIANS = 64
"""Features up to which a Hessian is made."""

TRIED = "descents from kicked, split and thinned copies of the block"
NOT_TRIED = "large blocks take many minutes (raise `most` to try), or it has no vectors"


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
    known : Evidence
        Numerical where the block was tried, else unsettled.
    """

    name: str
    law: str
    intervals: tuple[tuple[float, float], ...]
    beaten: tuple[tuple[float, float, str], ...]
    searched: tuple[float, float] | None
    known: Evidence = Evidence.NUMERICAL

    @property
    def advice(self) -> str:
        """What was done, or what to do."""
        return NOT_TRIED if self.searched is None else TRIED

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
    known : Evidence
    """

    S: float
    least: float
    noise: float
    known: Evidence = Evidence.NUMERICAL

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
        block = entry(block)
    where = np.unique(grid(law) if S is None else np.asarray(S, dtype=float))
    if where.size == 0 or where[0] <= 0.0 or where[-1] >= 1.0:
        raise BadInput(f"S = {list(where)}: give numbers strictly between 0 and 1")
    if block.n > (LARGEST.get(law, 6) if most is None else most) or not block.built:
        return Standing(block.name, law, (), (), None, Evidence.UNSETTLED)
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
