"""Best blocks for features in surplus: the sequence they pass through as S falls, enclosed.

With features in surplus the best block has the largest gain per dimension, (n/d)(v - l(S)). The
sequence is seen on a grid in rough losses; where a block may be best, or a rival, its loss is
computed in full, so rough losses decide only what is not asked (their margin is numerical). A
change between two points of the grid is located in a bracket, and where a third block wins there
the interval is split. "Best known": over the blocks of the table, kept symmetric.

Each transition is then enclosed: both gains lie in balls over their whole computation, minima
included, so a change of sign between two S proves a crossing of two blocks between them, and under
the binary law it is the root of a polynomial where both have formulas. That no third block of the
table is better there is compared in floats (1e-10): numerical, with the closest one named.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.optimize import brentq

from packing.algebra.balls import ball, fraction, value_at
from packing.algebra.roots import Point, roots_between
from packing.errors import BadInput, NotReached
from packing.results import Evidence
from packing.types import Float
from theory.mixtures.block_table import Block, blocks, variance
from theory.mixtures.gaussian_limit import DEDICATED
from theory.mixtures.mixture import losses
from theory.symmetric.crossings import Mixture, exact_point, ignored_loss, sign_change, signed
from theory.symmetric.one_orbit import closed_form
from theory.symmetric.symmetry_breaking import Active, Broken, Sum, at_S, broken, takeover

# Unequal pairs: W = (r, +-t r) with 0 <= t <= 1, rho = r^2, binary law. For given active ReLUs the
# loss is quadratic in (rho, b_1, b_2) and its minimum over them is a rational function of t. A
# global minimum is stationary for the ReLUs that are active there: kinks at a feature that is on
# are concave, so none lies on them, and across the others the loss is continuously differentiable.
# A flat direction (one active sum each) ends at such a kink. So the global minimum is among the
# critical points of 15 rational functions in 0 < t < 1, their values at t = 1 and, at t = 0, one
# feature dedicated and one ignored: proved. All roots are isolated, exactly; points whose ReLUs are
# certainly not those assumed are dropped.


SIGNS = {"uneven digon": -1, "parallel pair": 1}


@dataclass(frozen=True, eq=False)
class PairMinimum:
    """The least loss of two features in one dimension, at one S.

    Parameters
    ----------
    S : Fraction
    loss : ball
        Of both features together; holds the global minimum.
    ratio : Point or None
        Second norm over first where one point is the best; None where several cannot be told apart.
    """

    S: Fraction
    loss: Any
    ratio: Point | None


def pair(name: str) -> Broken:
    """The pair as a block with two orbits.

    Raises
    ------
    BadInput
        If it is neither ``uneven digon`` nor ``parallel pair``.
    """
    if name not in SIGNS:
        raise BadInput(f"{name!r} is no unequal pair: give one of {', '.join(SIGNS)}")
    c = Fraction(SIGNS[name])
    return Broken(name, (1, 1), (((1, c, 1),), ((0, c, 1),)))


def enclosed_pair(name: str, S: Fraction, digits: int = 30) -> PairMinimum:
    """The least loss of an unequal pair over both norms and biases; rigorous.

    Parameters
    ----------
    name : {"uneven digon", "parallel pair"}
    S : Fraction
        In (0, 1).
    digits : int
        Correct digits of the loss.

    Returns
    -------
    PairMinimum
        Equal norms, and one feature ignored, are among the points compared.

    Raises
    ------
    NotReached
        If the digits are out of reach.
    """
    S = Fraction(S)
    if not 0 < S < 1:
        raise BadInput(f"S = {S}: give the chance that a feature is on, in (0, 1)")
    bits = 96 + 4 * digits
    for _ in range(4):
        found = _attempt(name, S, bits)
        if found is not None and found.loss.rel_accuracy_bits() > 3.33 * digits:
            return found
        bits *= 2
    raise NotReached(f"the least loss of the {name} at S = {float(S)} has two close rivals", None)


def _attempt(name: str, S: Fraction, bits: int) -> PairMinimum | None:
    import flint

    block = pair(name)
    with flint.ctx.workprec(bits):
        values = [(ball(S * (1 - S)), True, Point.rational(0))]
        for active, (top, bottom) in _formulas(name):
            over, under = at_S(top, S), at_S(bottom, S)
            slope = over.derivative() * under - over * under.derivative()
            points = {Point.rational(1)}
            points |= set(roots_between(slope, Fraction(0), Fraction(1), bits)) if slope else set()
            for point in points:
                t = point.ball(bits)
                if not t > 0 or t > 1:
                    continue
                below = value_at(under, t)
                if below.contains(0):  # at t = 1 only, where sums coincide
                    continue
                sure = _holds(block, active, t, S)
                if sure is not False:
                    values.append((value_at(over, t) / below, sure is True, point))
        least = values[0][0].upper()
        for v, sure, _ in values[1:]:
            if sure and v.upper() < least:
                least = v.upper()
        near = [(v, point) for v, _, point in values if not v > least]
        loss = flint.arb(least)
        for v, _ in near:
            loss = loss.union(v) if v.lower() < loss.lower() else loss
        ratios = {point for _, point in near}
        return PairMinimum(S, loss, ratios.pop() if len(ratios) == 1 else None)


def _holds(block: Broken, active: Active, t: Any, S: Fraction) -> bool | None:
    """Whether the ReLUs assumed are those at the stationary point; None if it cannot be told."""
    rho, biases = block.settled(active, t, S)
    if rho < 0:
        return False
    sure = bool(rho > 0)
    for table, chosen, bias in zip(block.sums, active, biases, strict=True):
        for key in table:
            z = bias + rho * (ball(key[0]) + t * ball(key[1]) + t * t * ball(key[2]))
            wrong = z < 0 if key in chosen else z > 0
            if wrong:
                return False
            sure = sure and bool(z > 0 if key in chosen else z <= 0)
    return sure


@lru_cache(maxsize=2)
def _formulas(name: str) -> list[tuple[Active, tuple[Any, Any]]]:
    """Active sums (the k largest of each feature) and the loss at its best norm and biases."""
    block = pair(name)
    found: list[tuple[Active, tuple[Any, Any]]] = []
    orders = [sorted(table, key=_middle, reverse=True) for table in block.sums]
    for i in range(1, 5):
        for j in range(1, 5):
            if i + j > 2:
                active = frozenset(orders[0][:i]), frozenset(orders[1][:j])
                found.append((active, block.formula(active)))
    return found


def _middle(key: Sum) -> Fraction:
    """A sum at t = 1/2: the order is the same for all 0 < t < 1."""
    return key[0] + key[1] / 2 + key[2] / 4


# Where two blocks have the same gain per dimension. Floats only say where to look.


FEATURES = 60
"""Points of a block up to which a polynomial is made; with 77 and 16 it takes two minutes."""

Gain = Callable[[Fraction, int], Any]


def meeting(
    sides: tuple[Block, Block], law: str, near: float, digits: int, seconds: float | None = None
) -> tuple[Fraction, Fraction]:
    """A short interval in which the first block overtakes the second as S grows; proved.

    Parameters
    ----------
    sides : two Blocks
    law : {"binary", "uniform"}
    near : float
        An S within 2 % of it.
    digits : int
        Decimals asked for.
    seconds : float, optional
        Stop after about so much processor time, with the decimals that are fixed by then.

    Raises
    ------
    BadInput
        If it does not overtake near there.
    """
    over, under = (_gain(block, law) for block in sides)
    known: dict[Fraction, Any] = {}

    def gap(S: Fraction, start: int) -> Any:
        if S not in known:
            known[S] = signed(lambda n: over(S, n) - under(S, n), S, start)
        return known[S]

    low, high = _bracket(gap, sides, law, near)
    low, high, _ = sign_change(gap, low, high, digits, seconds)
    return low, high


def _gain(block: Block, law: str) -> Gain:
    """Gain per dimension as a ball with so many correct digits of the loss."""
    if block is DEDICATED:
        return lambda S, digits: ball(ignored_loss(law, S))
    if block.name in SIGNS:
        return lambda S, digits: (
            2 * ball(ignored_loss(law, S)) - enclosed_pair(block.name, S, digits).loss
        )
    form, size = closed_form(block.name, law), Fraction(block.n, block.d)
    return lambda S, digits: (
        ball(size) * (ball(ignored_loss(law, S)) - form.minimum(S, digits).loss)
    )


def _bracket(
    gap: Callable[[Fraction, int], Any], sides: tuple[Block, Block], law: str, near: float
) -> tuple[Fraction, Fraction]:
    """Two S on either side of the crossing: a step of Newton's method, and a little beyond."""
    names = [block.name for block in sides]
    at = np.array([near * (1.0 - 1e-4), near * (1.0 + 1e-4)])
    seen = _float_gains(sides, at, law)
    slope = float(np.diff(seen[0] - seen[1])[0]) / (at[1] - at[0])
    value = float(gap(Fraction(near), 20).mid())
    if not 0 < slope < math.inf:
        raise BadInput(
            f"near S = {near} {names[0]} does not overtake {names[1]} as S grows: swap the two "
            "names, or give an S closer to where they cross"
        )
    step = -value / slope
    room = min(abs(step) * 0.05 + 1e-13 * near, 0.02 * near)
    if abs(step) > 0.02 * near:
        raise BadInput(
            f"{names[0]} and {names[1]} do not cross near S = {near}: give an S closer to it"
        )
    center = Fraction(near + step) if abs(step) > 1e-12 * near else Fraction(near) + Fraction(step)
    for _ in range(12):
        low, high = center - Fraction(room), center + Fraction(room)
        if low > 0 and high < 1 and gap(low, 20) < 0 < gap(high, 20):
            return low, high
        room *= 8.0
        if room > 0.05 * near:
            break
    raise BadInput(f"{names[0]} and {names[1]} do not change order near S = {near}")


def _float_gains(sides: tuple[Block, Block], at: np.ndarray, law: str) -> np.ndarray:
    v = variance(at, law)
    return np.array([b.n / b.d * (v - (0.0 if b is DEDICATED else b.loss(at, law))) for b in sides])


def polynomial(
    sides: tuple[Block, Block], low: Fraction, high: Fraction, features: int = FEATURES
) -> Point | None:
    """The S between two at which both gains agree, as a root; binary law.

    None where a block has unequal norms or more than ``features`` points, or where its best piece
    changes in between.
    """
    if any(b.name in SIGNS or b.n > features for b in sides):
        return None
    d = math.lcm(*(b.d for b in sides))
    most = max(d // b.d * b.n for b in sides)
    mixtures = []
    for b in sides:
        form = () if b is DEDICATED else ((closed_form(b.name), d // b.d),)
        rest = most - d // b.d * b.n
        mixtures.append(Mixture(form, rest, d if b is DEDICATED else 0))
    return exact_point(mixtures[0], mixtures[1], low, high, features)


def broken_digon(near: Fraction, digits: int) -> tuple[Fraction, Fraction, Point]:
    """Where unequal norms take over from the digon: exact, and proved from both sides.

    Raises
    ------
    BadInput
        If they do not within 1 % of ``near``.
    """
    import flint

    width = near / 100
    rival = closed_form("digon").pieces()[0].loss.scaled(2)
    point = takeover(broken("digon"), rival, near - width, near + width)
    goal = Fraction(1, 10**digits)
    middle = fraction(point.ball(round(3.33 * digits) + 64))
    low, high = middle - goal / 3, middle + goal / 3
    with flint.ctx.workprec(64 + 4 * (digits + 20)):
        even = 2 * closed_form("digon").minimum(low, digits + 20).loss
        if not enclosed_pair("uneven digon", low, digits + 10).loss < even:
            raise NotReached("the uneven digon could not be shown to be better below", None)
        ratio = enclosed_pair("uneven digon", high, digits + 10).ratio
        if ratio is None or ratio.polynomial != (-1, 1):
            raise NotReached("the even digon could not be shown to be better above", None)
    return low, high, point


# The sequence, in floats.


_MARGIN = {0.3: 5e-3, 1.0: 5e-4}
"""Up to these S: the share of the largest gain that a gain from rough losses may be wrong by."""

_NEAR = 10.0
"""How many margins below the best at both ends a block may win in between."""

_SPLITS = 8


@dataclass(frozen=True)
class SurplusPhase:
    """A block that is best for features in surplus on an interval of S.

    Parameters
    ----------
    name : str
    d, n : int
    low, high : float
        Where it has the largest gain per dimension; crossings to 1e-10, numerical.
    rivals : tuple of (name, float)
        Blocks that lose less than 2 % of the gain somewhere inside, with the least share lost.
    """

    name: str
    d: int
    n: int
    low: float
    high: float
    rivals: tuple[tuple[str, float], ...]


def surplus(
    law: str = "binary", *, S_min: float = 1e-3, points: int = 120, within: float = 0.02
) -> tuple[SurplusPhase, ...]:
    """The sequence of best blocks for features in surplus, from S near 1 down to S_min.

    Parameters
    ----------
    law : {"binary", "uniform"}
    S_min : float
    points : int
        Grid on which phases are first seen; one narrower than a step can be missed.
    within : float
        Rivals are listed up to this share of the gain.

    Returns
    -------
    tuple of SurplusPhase
        S falling. "Best known": over the blocks of the table, kept symmetric; below
        `many_takeover` the many-features solution gains more than any of them.

    Raises
    ------
    BadInput
        If S_min is not in (0, 0.9) or the law has no blocks.
    """
    if law not in ("binary", "uniform") or not 0 < S_min < 0.9:
        raise BadInput(f"law = {law!r}, S_min = {S_min}: give binary or uniform, S_min in (0, 0.9)")
    table = (DEDICATED, *blocks(law))
    grid = _grid(S_min, points)
    seen = _Gains(table, grid, law)
    first = seen.first()
    edges: list[tuple[float, int, int]] = []
    for i in np.flatnonzero(np.diff(first)).tolist():
        ends = float(grid[i]), float(grid[i + 1])
        near = np.any(seen.close()[:, i : i + 2], axis=1)
        few = [table[k] for k in np.flatnonzero(near)]
        pair = table[first[i]], table[first[i + 1]]
        edges += [(S, table.index(a), table.index(b)) for S, a, b in _between(few, law, pair, ends)]
    edges.sort()
    bounds = [float(grid[0]), *(s for s, _, _ in edges), float(grid[-1])]
    order = [int(first[0]), *(k for _, _, k in edges)]
    phases = []
    for k, low, high in zip(order, bounds[:-1], bounds[1:], strict=True):
        inside = np.flatnonzero((grid >= low) & (grid <= high))
        here = seen
        if not inside.size:
            here, inside = _Gains(table, np.array([0.5 * (low + high)]), law), np.array([0])
        rivals = here.rivals(k, inside, within)
        phases.append(SurplusPhase(table[k].name, table[k].d, table[k].n, low, high, rivals))
    return tuple(reversed(phases))


def _grid(S_min: float, points: int) -> Float:
    if S_min >= 0.2:
        return np.linspace(S_min, 0.99, points)
    half = points // 2
    return np.concatenate(
        [np.geomspace(S_min, 0.2, half), np.linspace(0.2, 0.99, points - half)[1:]]
    )


class _Gains:
    """Gains per dimension (blocks, M): rough, and in full where that has been asked for."""

    def __init__(self, table: Sequence[Block], S: Float, law: str) -> None:
        self.table, self.S, self.law = table, S, law
        self.v = variance(S, law)
        self.size = np.array([b.n / b.d for b in table])[:, None]
        loss = losses(table, S, law, rough=True)  # of a dedicated feature: 0
        self.gain = self.size * (self.v - loss)
        self.full = np.zeros(self.gain.shape, dtype=bool)
        self.full[[k for k, b in enumerate(table) if law == "binary" or not b.row]] = True
        self.margin = np.where(min(_MARGIN) >= S, *_MARGIN.values())

    def ask(self, wanted: np.ndarray) -> None:
        """Have these gains (blocks, M) in full."""
        for k in np.flatnonzero(np.any(wanted & ~self.full, axis=1)).tolist():
            at = np.flatnonzero(wanted[k] & ~self.full[k])
            loss = self.table[k].loss(self.S[at], self.law)
            self.gain[k, at] = self.size[k] * (self.v[at] - loss)
            self.full[k, at] = True

    def first(self) -> np.ndarray:
        """The best block at each S; of ties (to rounding) the earliest."""
        top = np.full(self.S.size, -np.inf)
        while True:  # rough gains are too large at times: the largest in full decides
            wanted = ~self.full & (self.gain > top * (1.0 - self.margin))
            if not np.any(wanted):
                break
            if np.isfinite(top[0]):
                self.ask(wanted)
            else:
                self.ask(self.gain == np.max(self.gain, axis=0))
            top = np.max(np.where(self.full, self.gain, -np.inf), axis=0)
        top = np.max(np.where(self.full, self.gain, -np.inf), axis=0)
        return np.argmax(self.full & (self.gain >= top * (1.0 - 1e-11)), axis=0)

    def close(self) -> np.ndarray:
        """Which blocks (blocks, M) gain nearly as much as the best, and may between two S."""
        top = np.max(np.where(self.full, self.gain, -np.inf), axis=0)
        return np.asarray(self.gain > top * (1.0 - _NEAR * self.margin))

    def rivals(self, k: int, inside: np.ndarray, within: float) -> tuple[tuple[str, float], ...]:
        """Blocks that lose less than that share of block k's gain at one of these S."""
        self.ask(np.arange(len(self.table))[:, None] == np.full(self.S.size, k))
        lost = 1.0 - self.gain[:, inside] / self.gain[k, inside]
        while True:  # the point where least is lost, block by block, until it is sure
            lost = 1.0 - self.gain[:, inside] / self.gain[k, inside]
            sure = np.min(np.where(self.full[:, inside], lost, within), axis=1, keepdims=True)
            hope = np.where(self.full[:, inside], np.inf, lost - self.margin[inside])
            hope[hope >= np.minimum(sure, within)] = np.inf
            if not np.any(np.isfinite(hope)):
                break
            rows = np.flatnonzero(np.isfinite(np.min(hope, axis=1)))
            wanted = np.zeros(self.gain.shape, dtype=bool)
            wanted[rows, inside[np.argmin(hope[rows], axis=1)]] = True
            self.ask(wanted)
        lost = np.min(np.where(self.full[:, inside], lost, within), axis=1)
        return tuple(
            (self.table[j].name, max(0.0, float(lost[j])))
            for j in np.argsort(lost)
            if j != k and lost[j] < within
        )


def others(S: float, law: str, own: Sequence[str], within: float) -> list[tuple[float, str]]:
    """Blocks but those named, with the share that they lose of the largest gain of those named.

    The least first; all that lose less than ``within``, and the closest in any case. Numerical.
    """
    table = (DEDICATED, *blocks(law))
    seen = _Gains(table, np.array([S]), law)
    mine = np.array([block.name in own for block in table])
    seen.ask(mine[:, None])
    lost = 1.0 - seen.gain[:, 0] / np.max(seen.gain[mine])
    lost[mine] = np.inf
    seen.ask((lost < max(within, float(np.min(lost))) + seen.margin[0])[:, None])
    exact = 1.0 - seen.gain[:, 0] / np.max(seen.gain[mine])
    found = [
        (float(exact[k]), block.name)
        for k, block in enumerate(table)
        if seen.full[k, 0] and not mine[k] and np.isfinite(exact[k])
    ]
    return sorted(found)


def _between(
    table: Sequence[Block],
    law: str,
    pair: tuple[Block, Block],
    ends: tuple[float, float],
    depth: int = 0,
) -> list[tuple[float, Block, Block]]:
    """Changes (S, below, above) between two S with different best blocks."""
    below, above = pair

    def ahead(S: float) -> float:
        return _gain_at(above, S, law) - _gain_at(below, S, law)

    low, high = (ahead(S) for S in ends)
    if low < 0.0 < high:
        S = float(brentq(ahead, *ends, xtol=1e-13, rtol=1e-13))
    else:  # a tie at one end
        S = ends[0] if low >= 0.0 else ends[1]
    best = max(_gain_at(below, S, law), _gain_at(above, S, law))
    at = _Gains(table, np.array([S]), law)
    k = int(at.first()[0])
    third = table[k]
    if depth < _SPLITS and third not in pair and at.gain[k, 0] > best * (1.0 + 1e-9):
        return [
            *_between(table, law, (below, third), (ends[0], S), depth + 1),
            *_between(table, law, (third, above), (S, ends[1]), depth + 1),
        ]
    return [(S, below, above)]


def _gain_at(block: Block, S: float, law: str) -> float:
    at = np.array([S])
    return float((block.n / block.d * (variance(at, law) - block.loss(at, law)))[0])


# Its transitions, enclosed.


SMALL = 16
"""Points of a block up to which all digits are found, however long that takes."""

_TIE = 1e-9  # share of the gain below which floats do not tell two blocks apart


@dataclass(frozen=True, eq=False)
class Transition:
    """An S at which the best block for features in surplus changes.

    Parameters
    ----------
    low, high : Fraction
        Ends of an interval that holds it: the gains change order in between (proved).
    denser, sparser : str
        Blocks with the larger gain above and below.
    point : Point or None
        The root of an irreducible polynomial, where one was found (binary law).
    evidence : Evidence
        Of S: proved where it is the root of a polynomial, else enclosed.
    digits : int
        Decimals that the interval fixes.
    rivals : tuple of (name, share)
        Other blocks within 2 % there, the closest first, with the share of the gain they lose.
    margin : float
        Share that the closest other block loses; numerical, to 1e-10.
    law : str
    """

    low: Fraction
    high: Fraction
    denser: str
    sparser: str
    point: Point | None
    evidence: Evidence
    digits: int
    rivals: tuple[tuple[str, float], ...]
    margin: float
    law: str

    def __float__(self) -> float:
        return float((self.low + self.high) / 2)

    @property
    def decimals(self) -> tuple[str, str]:
        """Both ends with one digit more than is fixed, rounded outwards."""
        places = self.digits + 1
        scale = 10**places
        ends = math.floor(self.low * scale), math.ceil(self.high * scale)
        low, high = (f"{x // scale}.{x % scale:0{places}d}" for x in ends)
        return low, high


def transitions(
    law: str,
    *,
    digits: int = 30,
    seconds: float = 60.0,
    S_min: float = 1e-3,
    progress: Callable[[str], None] | None = None,
) -> tuple[Transition, ...]:
    """Every transition of `surplus`, enclosed.

    Parameters
    ----------
    law : {"binary", "uniform"}
    digits : int
        Decimals asked for.
    seconds : float
        Processor time for each transition where a block has more than SMALL points; about.
    S_min : float
        As in `surplus`.
    progress : callable, optional
        Told each transition as a line of text.

    Returns
    -------
    tuple of Transition
        S falling. Each enclosure is proved; that the list is complete is numerical.
    """
    phases = surplus(law, S_min=S_min)
    found = []
    for above, below in itertools.pairwise(phases):
        one = transition(above.name, below.name, law, above.low, digits=digits, seconds=seconds)
        found.append(one)
        if progress is not None:
            progress(f"{one.denser}, {one.sparser}: {one.decimals[0]} ({one.evidence.value})")
    return tuple(found)


def transition(
    denser: str,
    sparser: str,
    law: str,
    near: float,
    *,
    digits: int = 30,
    seconds: float = 60.0,
    within: float = 0.02,
) -> Transition:
    """Where the best block for features in surplus changes from one to another.

    Parameters
    ----------
    denser, sparser : str
        Names in `blocks`, or ``dedicated``: larger gain above and below.
    law : {"binary", "uniform"}
    near : float
        An S close to it, to about 1 part in 1000.
    digits, seconds
        As in `transitions`.
    within : float
        Rivals are listed up to this share of the gain.

    Returns
    -------
    Transition

    Raises
    ------
    BadInput
        If a name is unknown, the gains do not change order near there, or a third block gains more.
    """
    table = {block.name: block for block in (DEDICATED, *blocks(law))}
    for name in (denser, sparser):
        if name not in table:
            raise BadInput(f"{name!r} is no block of the table: see theory.mixtures.block_table")
    if denser == sparser or digits < 1:
        raise BadInput("give two different blocks, and at least one digit")
    sides = table[denser], table[sparser]
    limit = None if max(block.n for block in sides) <= SMALL else seconds
    point: Point | None
    if {denser, sparser} == {"digon", "uneven digon"}:
        low, high, point = broken_digon(Fraction(near), digits)
    else:
        low, high = meeting(sides, law, near, digits, limit)
        point = polynomial(sides, low, high) if law == "binary" else None
    rivals, margin = _others(law, float((low + high) / 2), (denser, sparser), within)
    return Transition(
        low,
        high,
        denser,
        sparser,
        point,
        Evidence.PROVED if point else Evidence.ENCLOSED,
        math.floor(-math.log10(float(high - low)) + 1e-9),
        rivals,
        margin,
        law,
    )


def transition_rows(law: str, **options: Any) -> list[dict[str, Any]]:
    """The transitions as rows of a table.

    Parameters
    ----------
    law : {"binary", "uniform"}
    options
        As in `transitions`.

    Returns
    -------
    list of dict
        S (float), low, high (text), digits, denser, sparser, known, polynomial (text or None),
        rivals (text).
    """
    rows = []
    for one in transitions(law, **options):
        low, high = one.decimals
        short = one.point is not None and len(one.point.equation) <= 200
        rows.append(
            {
                "S": float(one),
                "low": low,
                "high": high,
                "digits": one.digits,
                "denser": one.denser,
                "sparser": one.sparser,
                "known": one.evidence.value,
                "polynomial": _equation(one.point, short),
                "rivals": ", ".join(f"{name} ({_percent(x)})" for name, x in one.rivals),
            }
        )
    return rows


def _equation(point: Point | None, short: bool) -> str | None:
    if point is None:
        return None
    return point.equation if short else f"degree {point.degree}, {len(point.equation)} characters"


def _percent(share: float) -> str:
    return f"{100.0 * share:.3g} %"


def _others(
    law: str, S: float, own: tuple[str, str], within: float
) -> tuple[tuple[tuple[str, float], ...], float]:
    """Other blocks within a share of the gain at S, and the least share lost by any."""
    lost = others(S, law, own, within)
    share, third = lost[0]
    if share < -_TIE:
        raise BadInput(
            f"at S = {S} {third} gains more than {own[0]} and {own[1]}: not a transition"
        )
    return tuple((name, max(0.0, x)) for x, name in lost if x < within), share
