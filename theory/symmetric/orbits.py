"""Blocks with several kinds of vectors: a norm and a bias for each, and perhaps a free height.

A vector of kind a with norm r_a receives z = b_a + r_a^2 x + sum r_a r_b c x_j. Its loss needs only
the weights u = r_a r_b c and how many features share each; the block's loss is the sum over kinds.
Exact for fractions (binary; uniform with rational cosines), balls for balls. The least loss is
found numerically and then proved to be attained at a stationary point.
"""

from __future__ import annotations

import math
import numbers
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import numpy as np

from packing.algebra.balls import Jet, ball, positive, positive_definite, powers
from packing.algebra.balls import krawczyk as krawczyk_shift
from packing.algebra.number_fields import Field, Given, Number, common, number, number_of_turn
from packing.catalogue import entry
from packing.catalogue.entry_types import Entry
from packing.errors import BadInput, NotReached
from packing.optimise import descend
from packing.results import Evidence
from packing.types import Float
from theory.features import law_named
from theory.losses.expected import engine
from theory.symmetric.active_states import probability

# --- the loss of one feature that sees others at few different weights, for any kind of number ---
#
# z = b + u_0 x + sum_l u_l Y_l, x the own feature and Y_l the sum of m_l others. Binary: a sum over
# how many of each kind are on. Uniform: a sum over vertices of the cube, every other feature of
# weight u giving S y/u at the vertex "1" and 1 - S - S y/u at "0", y^q standing for tau_+^q / q!
# (docs/theory.md, section 3.2). With y/2 for z_+^2/2 and the own feature integrated, the vertex
# x = 1 gives -2 S y^2/u_0 + 2 S (1/u_0 + 1/u_0^2) y^3, the vertex x = 0 the rest.
#
# Fractions give exact numbers, balls give balls and jets give slopes and Hessians too: proved.


LARGEST = 20_000
"""Terms of a sum up to which it is made."""

Weights = Sequence[tuple[Any, int]]


def binary(own: Any, others: Weights, bias: Any, S: Any) -> Any:
    """E (x - z_+)^2, a feature that is on having the value 1.

    Parameters
    ----------
    own : number
        u_0.
    others : sequence of (u_l, m_l)
    bias, S : number

    Raises
    ------
    NotReached
        If there are more than LARGEST terms, or a jet sits at a kink.
    """
    _affordable(others)
    off, table = 1 - S, [(bias, S * 0 + 1)]
    for u, m in others:
        shares = [math.comb(m, j) * S**j * off ** (m - j) for j in range(m + 1)]
        steps = [u * 0, u]
        for _ in range(m - 1):
            steps.append(steps[-1] + u)
        table = [
            (z + steps[j] if j else z, weight * shares[j])
            for z, weight in table
            for j in range(m + 1)
        ]
    total = bias * 0
    for z, weight in table:
        low, high = 2 * powers(z, 2)[2], positive(z + own)  # z_+^2 has a continuous slope
        total = total + low * (off * weight) + (high * high - 2 * high + 1) * (S * weight)
    return total


def uniform(own: Any, others: Weights, bias: Any, S: Any) -> Any:
    """E (x - z_+)^2, a feature that is on being uniform on [0, 1]; arguments as for `binary`.

    Weights must not be 0, and u_0 must be positive; small ones cost digits.
    """
    _affordable(others)
    off, table = 1 - S, [(bias, [S * 0 + 1])]
    degree = 0
    for u, m in others:
        share = S / u
        shares = [share * 0 + 1]
        for _ in range(m):
            shares.append(shares[-1] * share)
        factors = []  # of j features at the vertex 1, from y^j on
        for j in range(m + 1):
            factors.append(
                [
                    shares[i + j]
                    * (math.comb(m, j) * math.comb(m - j, i) * (-1) ** i * off ** (m - j - i))
                    for i in range(m - j + 1)
                ]
            )
        wider = []
        steps = [u * 0, u]
        for _ in range(m - 1):
            steps.append(steps[-1] + u)
        for z, weight in table:
            for j, factor in enumerate(factors):
                wider.append((z + steps[j] if j else z, _times(weight, factor, j)))
        table, degree = wider, degree + m
    one = S / own
    both = 2 * one + 2 * one / own
    total = S / 3 + bias * 0
    for z, weight in table:
        for tau, two, three in ((z + own, -2 * one, both), (z, 2 * off, -both)):
            if getattr(tau, "value", tau) <= 0:
                continue
            power = powers(tau, degree + 3)
            low = high = None
            for r, w in enumerate(weight):
                if w is None:
                    continue
                a, b = w * power[r + 2], w * power[r + 3]
                low = a if low is None else low + a
                high = b if high is None else high + b
            total = total + low * two + high * three
    return total


def _times(weight: list[Any], factor: list[Any], shift: int) -> list[Any]:
    """Product of polynomials in y, the second multiplied by y^shift; None stands for 0."""
    out: list[Any] = [None] * (len(weight) + len(factor) - 1 + shift)
    for i, a in enumerate(weight):
        if a is None:
            continue
        for j, b in enumerate(factor):
            place = i + j + shift
            out[place] = a * b if out[place] is None else out[place] + a * b
    return out


def _affordable(others: Weights) -> None:
    terms = math.prod(m + 1 for _, m in others)
    if terms > LARGEST:
        raise NotReached(
            f"a feature of this block can receive {terms} combinations of inputs, more than "
            f"{LARGEST}: ask theory.loss for numbers",
            None,
        )


# --- descriptions -------------------------------------------------------------------------------
#
# An `Orbits` says how many vectors each kind has and what each sees: (kind, cosine, count). A
# cosine is a number (as `closed_form` reads them) or a tuple of numbers: coefficients of 1, h,
# h^2, ... in the height h. The makers below put rings of k vectors at height h:
# (sqrt(1 - h^2) cos, .. sin, h).

Seen = tuple[int, Given | tuple[Given, ...], int]


@dataclass(frozen=True, eq=False)
class Orbits:
    """Vectors of several kinds, and which cosines a vector of each kind sees.

    Parameters
    ----------
    name : str
    counts : tuple of int
        Vectors of each kind.
    seen : per kind a tuple of (kind, cosine, count)
        The other vectors; those at cosine 0 may be left out. A cosine that is a tuple holds the
        coefficients of 1, h, h^2, ...
    height : (float, float) or None
        Open interval in which h may lie; None if no cosine depends on h.
    d : int or None
        Dimension, where known.
    labels : tuple of int or None
        Kind of each vector of the catalogue entry this was made from.
    """

    name: str
    counts: tuple[int, ...]
    seen: tuple[tuple[Seen, ...], ...]
    height: tuple[float, float] | None = None
    d: int | None = None
    labels: tuple[int, ...] | None = None

    @property
    def n(self) -> int:
        return sum(self.counts)


def orbits_of(block: Entry, parts: Sequence[Sequence[int]] | None = None) -> Orbits:
    """The kinds of vectors of a catalogue entry.

    Parameters
    ----------
    block : Entry
    parts : sequence of sequences of int, optional
        Vectors that are to share norm and bias, all of them once; from the rows of cosines if not
        given. Parts are split until the vectors of each see the same cosines with each part.
    """
    colours, n = block.gram.colours, block.n
    label = [0] * n
    if parts is not None:
        if sorted(i for part in parts for i in part) != list(range(n)):
            raise BadInput(f"parts = {parts} do not hold each of the {n} vectors once")
        for a, part in enumerate(parts):
            for i in part:
                label[i] = a
    while True:
        sights = [
            (label[i], tuple(sorted(Counter(_pairs(i, label, colours)).items()))) for i in range(n)
        ]
        kinds = {sight: a for a, sight in enumerate(dict.fromkeys(sights))}
        if len(kinds) == len(set(label)):
            break
        label = [kinds[sight] for sight in sights]
    seen = [sight for _, sight in kinds]
    label = [kinds[sight] for sight in sights]
    names = {old: new for old, new in zip((s[0] for s in kinds), range(len(kinds)), strict=True)}
    return Orbits(
        block.name,
        tuple(label.count(a) for a in range(len(kinds))),
        tuple(tuple((names[b], block.gram.cosines[c], m) for (b, c), m in row) for row in seen),
        None,
        block.d,
        tuple(label),
    )


def _pairs(i: int, label: list[int], colours: np.ndarray) -> list[tuple[int, int]]:
    return [(label[j], int(colours[i, j])) for j in range(len(label)) if j != i]


def bipyramid(k: int) -> Orbits:
    """Two opposite apexes over a k-gon: its height is the ratio of the two norms."""
    ring = tuple((1, c, m) for c, m in _ring(k))
    return Orbits(f"{k}-gonal bipyramid", (2, k), (((0, -1, 1),), ring), None, 3)


def pyramid(k: int) -> Orbits:
    """An apex and a k-gon at height h; for k = 2 an isosceles triangle in the plane."""
    ring = tuple((1, _lifted(c, 1), m) for c, m in _ring(k))
    seen = (((1, (0, 1), k),), ((0, (0, 1), 1), *ring))
    name = "isosceles triangle" if k == 2 else f"{k}-gonal pyramid"
    return Orbits(name, (1, k), seen, (-1.0, 1.0), 2 if k == 2 else 3)


def prism(k: int, twisted: bool = False) -> Orbits:
    """Two k-gons at heights h and -h, one turned by half a step if twisted; one kind."""
    ring = tuple((0, _lifted(c, 1), m) for c, m in _ring(k))
    name = f"{k}-gonal {'antiprism' if twisted else 'prism'}"
    return Orbits(name, (2 * k,), ((*ring, *_across(k, twisted, 0)),), (0.0, 1.0), 3)


def capped_prism(k: int, twisted: bool = False) -> Orbits:
    """A prism with an apex above and one below: two kinds and a height."""
    ring = tuple((1, _lifted(c, 1), m) for c, m in _ring(k))
    apex = ((0, -1, 1), (1, (0, 1), k), (1, (0, -1), k))
    other = ((0, (0, 1), 1), (0, (0, -1), 1), *ring, *_across(k, twisted, 1))
    name = f"capped {k}-gonal {'antiprism' if twisted else 'prism'}"
    return Orbits(name, (2, 2 * k), (apex, other), (0.0, 1.0), 3)


def _across(k: int, twisted: bool, kind: int) -> tuple[Seen, ...]:
    found = Counter(_turn(2 * j + twisted, 2 * k) for j in range(k))
    return tuple((kind, _lifted(c, -1), m) for c, m in found.items())


def _ring(k: int) -> tuple[tuple[Number, int], ...]:
    """Cosines in a k-gon with multiplicities."""
    if k < 2:
        raise BadInput(f"k = {k}: give the number of sides, at least 2")
    return tuple((_turn(j, k), 1 if 2 * j == k else 2) for j in range(1, k // 2 + 1))


def _turn(step: int, whole: int) -> Number:
    return number_of_turn(Fraction(step, whole))


def _lifted(c: Number, sign: int) -> tuple[Given, ...]:
    """(1 - h^2) c + sign h^2."""
    return c, 0, sign - c


# --- forms --------------------------------------------------------------------------------------

Cosines = tuple[tuple[int, tuple[Number, ...], int], ...]


@dataclass(frozen=True, eq=False)
class OrbitForm:
    """The loss of a block as a function of the norms and biases of its kinds, and of its height.

    Losses are of the whole block. Directions move with the height alone, so a minimum is an upper
    bound on what these features need.

    Parameters
    ----------
    shape : Orbits
    law : str
        ``binary`` and ``uniform`` are exact; for others every answer is numerical.
    field : Field
        Where the coefficients of the cosines lie.
    seen : per kind a tuple of (kind, coefficients in h, count)
        Cosines that are not identically 0.
    """

    shape: Orbits
    law: str
    field: Field
    seen: tuple[Cosines, ...]

    @property
    def name(self) -> str:
        return self.shape.name

    @property
    def n(self) -> int:
        return self.shape.n

    @property
    def counts(self) -> tuple[int, ...]:
        return self.shape.counts

    @property
    def free(self) -> bool:
        """Whether there is a height to choose."""
        return self.shape.height is not None

    def loss(self, norms: Sequence[Any], biases: Sequence[Any], S: Any, height: Any = None) -> Any:
        """Expected loss of the whole block.

        Parameters
        ----------
        norms, biases : one number per kind
            Lengths r_a >= 0 (not squared) and biases.
        S : number
            Chance that a feature is on, in [0, 1].
        height : number, optional
            h, where the shape has one.

        Returns
        -------
        sympy expression, ball or float
            Fractions and whole numbers give an exact expression (binary; uniform with rational
            cosines), balls a ball, floats a float with relative error below 1e-13 (laws without an
            exact form: 1e-7).

        Raises
        ------
        BadInput
            If a number is missing or out of range.
        NotReached
            If a feature can receive too many different sums.
        """
        given = [*norms, *biases, S, *([] if height is None else [height])]
        self._check(norms, biases, S, height)
        if self.law not in ("binary", "uniform"):
            return float(numerical(self, norms, biases, float(S), height))
        if all(isinstance(x, (Fraction, int)) for x in given):
            found = self._exact(norms, biases, Fraction(S), height)
            if found is not None:
                return found
        bits = flint.ctx.prec if any(isinstance(x, flint.arb) for x in given) else 0
        precision = max(bits, 128)
        for _ in range(6):
            with flint.ctx.workprec(precision if self.law == "binary" else precision + 8 * self.n):
                at = [ball(x) for x in (*norms, *biases)]
                h = None if height is None else ball(height)
                value = self.total(at[: len(norms)], at[len(norms) :], ball(S), h)
            if bits or value.rel_accuracy_bits() > 50:
                break
            precision *= 2
        return value if bits else float(value.mid())

    def _check(self, norms: Sequence[Any], biases: Sequence[Any], S: Any, height: Any) -> None:
        kinds = len(self.counts)
        if len(norms) != kinds or len(biases) != kinds:
            raise BadInput(
                f"{len(norms)} norms and {len(biases)} biases: {self.name} has {kinds} kinds of "
                "vectors, give one of each per kind"
            )
        for x in (*norms, *biases, S, *([] if height is None else [height])):
            if not isinstance(x, (numbers.Real, flint.arb)):
                raise BadInput(f"{x!r} is no real number: give a float, a Fraction or a ball")
        if any(x < 0 for x in norms):
            raise BadInput(f"norms = {list(norms)}: a length is not negative")
        probability(S)
        if self.shape.height is None:
            if height is not None:
                raise BadInput(f"{self.name} has no free height: leave it out")
            return
        low, high = self.shape.height
        if height is None or not low <= float(_middle(height)) <= high:
            raise BadInput(f"height = {height}: {self.name} needs one in ({low:g}, {high:g})")

    def total(self, norms: Sequence[Any], biases: Sequence[Any], S: Any, height: Any) -> Any:
        """The loss from balls or jets, at the working precision."""
        return self._sum(norms, biases, S, height, Number.ball)

    def _sum(
        self, norms: Sequence[Any], biases: Sequence[Any], S: Any, height: Any, made: Any
    ) -> Any:
        """The loss, with the exact cosines made into the kind of number that the others are."""
        one = binary if self.law == "binary" else uniform
        total: Any = 0
        for a, many in enumerate(self.counts):
            r, b = norms[a], biases[a]
            weights = []
            for other, coefficients, m in self.seen[a]:
                c: Any = made(coefficients[-1])
                for element in reversed(coefficients[:-1]):
                    c = c * height + made(element)
                weights.append((r * norms[other] * c, m))
            if self.law == "uniform":
                weights = [(u, m) for u, m in weights if not _zero(u)]
                if _zero(r):
                    z = positive(b)
                    total = total + (S / 3 - S * z + z * z) * many
                    continue
            total = total + one(r * r, weights, b, S) * many
        return total

    def _exact(self, norms: Sequence[Any], biases: Sequence[Any], S: Fraction, height: Any) -> Any:
        if self.field.degree > 1 and self.law != "binary":
            return None
        made = [self.field(x) for x in (*norms, *biases, height or 0)]
        k = len(norms)
        value: Number = self._sum(made[:k], made[k : 2 * k], S, made[-1], lambda c: c)
        return value.expression

    def minimum(self, S: Fraction | float, digits: int = 15, seed: int = 0) -> OrbitMinimum:
        """The least loss found over all norms, biases and the height.

        Parameters
        ----------
        S : Fraction or float
            In [0, 1], taken as the number it is.
        digits : int
            Correct digits of the loss after its leading one.
        seed : int
            Of the starts.

        Returns
        -------
        OrbitMinimum
            Numerical: that nothing lies lower. Its ``advice`` says what is proved: as a rule that
            the loss is attained, at a stationary point of the shape (Krawczyk's test in balls).
        """
        self._check([1] * len(self.counts), [0] * len(self.counts), S, self.middle)
        if not isinstance(digits, int) or digits < 1:
            raise BadInput(f"digits = {digits!r}: give a positive whole number")
        if S == 0 or (S == 1 and self.law == "binary"):
            return self._constant(Fraction(S))
        return minimum(self, Fraction(S), digits, seed)

    def _constant(self, S: Fraction) -> OrbitMinimum:
        """Where inputs never vary biases alone reproduce them."""
        k = len(self.counts)
        norms, biases = (flint.arb(1 - S.numerator),) * k, (flint.arb(S.numerator),) * k
        h = None if self.middle is None else flint.arb(self.middle)
        advice = "inputs that never vary are reproduced by biases alone"
        zero = flint.arb(0)
        return OrbitMinimum(S, norms, biases, h, zero, True, False, 0, 0, Evidence.PROVED, advice)

    @property
    def middle(self) -> float | None:
        """The middle of the heights allowed."""
        return None if self.shape.height is None else sum(self.shape.height) / 2.0


@dataclass(frozen=True, eq=False)
class OrbitMinimum:
    """The least loss found of a block with several kinds of vectors, at one S.

    Parameters
    ----------
    S : Fraction
    norms, biases : tuple of ball
        Lengths and biases per kind.
    height : ball or None
    loss : ball
        Of the whole block; the block attains it, so it bounds its least loss from above.
    stationary : bool
        Proved: the balls hold a point at which all slopes vanish.
    local : bool
        Proved: there the Hessian is positive definite, so it is a local minimum within the shape.
    hits, starts : int
        Starts that came to this loss, of how many.
    known : Evidence
        Whether nothing lies lower.
    advice : str
        What is proved and what is numerical, as a sentence.
    """

    S: Fraction
    norms: tuple[Any, ...]
    biases: tuple[Any, ...]
    height: Any
    loss: Any
    stationary: bool
    local: bool
    hits: int
    starts: int
    known: Evidence
    advice: str


def _middle(x: Any) -> Any:
    return x.mid() if hasattr(x, "mid") else x


def _zero(u: Any) -> bool:
    value = getattr(u, "value", u)
    return bool(value == 0)


# --- the least loss: found by descent, proved in balls ------------------------------------------
#
# Descents from many starts find the point; Newton's method in balls sharpens it; Krawczyk's
# operator K(X) = m - Y g(m) + (I - Y H(X)) (X - m), Y about the inverse Hessian, proves it: if K(X)
# lies inside X there is exactly one point in X with gradient 0. H(X) encloses the Hessian on all of
# X, so with the binary law no ReLU with a kink in the slope changes sides in X, and with the
# uniform law no kink is overlooked. That no other minimum is lower is numerical.


STARTS = 32
"""Starts of the search for the least loss."""

SMALLEST = 1e-5
"""Norms below this, and heights as near to an end, are taken to lie on the border of the shape."""

PROVED = (
    "proved: the block attains this loss, at a stationary point of its shape; numerical: that "
    "nothing lies lower"
)
BOUND = (
    "proved: the block attains this loss; numerical: that it is stationary and nothing lies lower"
)
NUMBERS = "this law has no exact form: everything is numerical"


def minimum(form: OrbitForm, S: Fraction, digits: int, seed: int) -> OrbitMinimum:
    """See `OrbitForm.minimum`."""
    k = len(form.counts)
    at, value, hits = found(form, float(S), seed)
    at[:k] = np.where(at[:k] < SMALLEST, 0.0, at[:k])
    if form.law not in ("binary", "uniform"):
        balls = [flint.arb(float(x)) for x in at]
        h = balls[-1] if form.free else None
        norms, biases = tuple(balls[:k]), tuple(balls[k : 2 * k])
        loss = flint.arb(value)
        return OrbitMinimum(
            *(S, norms, biases, h, loss, False, False, hits, STARTS, Evidence.NUMERICAL, NUMBERS)
        )
    bits = 96 + round(3.33 * digits) + (16 * form.n if form.law == "uniform" else 0)
    proof: tuple[list[Any], Any, bool] | None = None
    for _ in range(4):
        with flint.ctx.workprec(bits):
            proof = krawczyk(form, S, at) if _inside(form, at) else None
            if proof is None:
                balls, local = [ball(float(x)) for x in at], False
                h = balls[-1] if form.free else None
                loss = form.total(balls[:k], balls[k : 2 * k], ball(S), h)
            else:
                balls, loss, local = proof
        if proof is not None and loss.rel_accuracy_bits() >= 3.33 * digits:
            break
        if proof is None and loss.rel_accuracy_bits() > 50 and bits > 400:
            break
        bits *= 2
    return OrbitMinimum(
        S,
        tuple(balls[:k]),
        tuple(balls[k : 2 * k]),
        balls[-1] if form.free else None,
        loss,
        proof is not None,
        local,
        hits,
        STARTS,
        Evidence.NUMERICAL,
        PROVED if proof is not None else BOUND,
    )


def _inside(form: OrbitForm, at: Float) -> bool:
    """Whether the point lies off the border: no norm is 0, the height at neither end."""
    if np.min(at[: len(form.counts)]) < SMALLEST:
        return False
    low, high = form.shape.height or (-np.inf, np.inf)
    return not form.free or bool(low + SMALLEST < at[-1] < high - SMALLEST)


def jet(form: OrbitForm, S: Fraction, values: Sequence[Any]) -> Jet:
    """Loss, gradient and Hessian by norms, biases and height on a box of balls."""
    k = len(form.counts)
    made = Jet.parameters(list(values))
    found = form.total(made[:k], made[k : 2 * k], ball(S), made[-1] if form.free else None)
    assert isinstance(found, Jet)
    return found


def krawczyk(form: OrbitForm, S: Fraction, at: Float) -> tuple[list[Any], Any, bool] | None:
    """Balls that hold one stationary point, the loss there, and whether it is a local minimum.

    At the working precision; None where the test does not succeed near ``at``.
    """
    bits = flint.ctx.prec
    middle = [ball(float(x)) for x in at]
    try:
        for _ in range(14):
            here = jet(form, S, middle)
            step = here.hessian.mid().solve(here.gradient.mid()).entries()
            middle = [(m - move).mid() for m, move in zip(middle, step, strict=True)]
            if max(abs(float(m.mid()) - x) for m, x in zip(middle, at, strict=True)) > 1e-3:
                return None
            if all(abs(move) < flint.arb(2) ** (-(3 * bits) // 4) for move in step):
                break
        here = jet(form, S, middle)
        inverse = here.hessian.mid().inv().mid()
        start = inverse * here.gradient
        reach = max(abs(move).upper() for move in start.entries())
        radius = (reach * 1024).max(flint.arb(2) ** (-(5 * bits) // 8))
        around = jet(form, S, [m + flint.arb(0, radius) for m in middle]).hessian
    except (ZeroDivisionError, NotReached):
        return None
    shift = krawczyk_shift(inverse, around, start, radius)
    if shift is None:
        return None
    second = shift.transpose() * around * shift
    loss = here.value + (here.gradient.transpose() * shift)[0, 0] + second[0, 0] / 2
    box = [m + move for m, move in zip(middle, shift.entries(), strict=True)]
    return box, loss, positive_definite(around)


# --- floats -------------------------------------------------------------------------------------


def numerical(
    form: OrbitForm, norms: Sequence[Any], biases: Sequence[Any], S: float, height: Any
) -> float:
    """The loss by the engines of `theory.loss`; numerical."""
    at = [float(x) for x in (*norms, *biases, *([] if height is None else [height]))]
    return float(objective(form, S)(np.array([at]))[0][0])


def objective(form: OrbitForm, S: float) -> Callable[[Float], tuple[Float, Float]]:
    """Loss and gradient of many points at once: rows (r_1 .., b_1 .., h), in floats."""
    k = len(form.counts)
    width = 1 + max(sum(m for _, _, m in row) for row in form.seen)
    if width > 1024:
        raise BadInput(f"{width} features are too many for numbers: at most 1024")
    cosines = [[(b, [float(x) for x in c], m) for b, c, m in row] for row in form.seen]
    law = law_named(form.law)

    def value(points: Float) -> tuple[Float, Float]:
        count = len(points)
        total, slope = np.zeros(count), np.zeros_like(points)
        h = points[:, -1] if form.free else np.zeros(count)
        for a, many in enumerate(form.counts):
            r = points[:, a]
            c = [np.polynomial.polynomial.polyval(h, q) for _, q, _ in cosines[a]]
            A = np.zeros((count, width))
            A[:, 0] = r * r
            place = 1
            for (b, _, m), x in zip(cosines[a], c, strict=True):
                A[:, place : place + m] = (r * points[:, b] * x)[:, None]
                place += m
            answer = engine(
                A,
                points[:, k + a].copy(),
                np.zeros(count, dtype=int),
                np.full((count, width), S),
                law,
                gradient=True,
                bounds=False,
                rtol=1e-8,
            )[1]
            assert answer.dA is not None and answer.db is not None
            total += many * answer.value
            slope[:, k + a] += many * answer.db
            slope[:, a] += 2.0 * many * r * answer.dA[:, 0]
            place = 1
            for (b, q, m), x in zip(cosines[a], c, strict=True):
                by = many * answer.dA[:, place : place + m].sum(axis=1)
                place += m
                slope[:, a] += by * points[:, b] * x
                slope[:, b] += by * r * x
                if len(q) > 1:
                    dq = np.polynomial.polynomial.polyder(q)
                    slope[:, -1] += by * r * points[:, b] * np.polynomial.polynomial.polyval(h, dq)
        return total, slope

    return value


def found(form: OrbitForm, S: float, seed: int) -> tuple[Float, float, int]:
    """The point of least loss found, that loss, and how many starts came to it."""
    k = len(form.counts)
    rng = np.random.default_rng([seed, form.n, k])
    value = objective(form, S)
    low, high = form.shape.height or (0.0, 0.0)

    def unfolded(free: Float) -> Float:
        """Norms are squares and the height moves on a circle: no border is left."""
        out = free.copy()
        out[:, :k] = free[:, :k] ** 2
        if form.free:
            out[:, -1] = low + (high - low) * 0.5 * (1.0 + np.sin(free[:, -1]))
        return out

    def rough(free: Float, index: object) -> tuple[Float, Float]:
        loss, slope = value(unfolded(free))
        slope = slope.copy()
        slope[:, :k] *= 2.0 * free[:, :k]
        if form.free:
            slope[:, -1] *= (high - low) * 0.5 * np.cos(free[:, -1])
        return loss, slope

    mean = law_named(form.law).mean * S
    free = np.empty((STARTS, 2 * k + form.free))
    norms = rng.uniform(0.3, 1.2, size=(STARTS, k))
    norms[::3] = norms[::3, :1]  # a third begin with one norm
    free[:, :k] = np.sqrt(norms)
    free[:, k : 2 * k] = rng.choice([-0.3, -0.1, 0.0, mean, S * S / 2.0], size=(STARTS, 1))
    free[:, k : 2 * k] += 0.05 * rng.normal(size=(STARTS, k))
    if form.free:
        free[:, -1] = rng.uniform(-1.4, 1.4, size=STARTS)
    ends, losses = descend(rough, free, 60, tolerance=1e-6)
    best = np.argsort(losses, kind="stable")[: STARTS // 3]
    ends[best], losses[best] = descend(rough, ends[best], 600, tolerance=1e-15)
    first = int(np.argmin(losses))
    hits = int(np.sum(losses <= losses[first] * (1.0 + 1e-6)))
    return unfolded(ends[first : first + 1])[0], float(losses[first]), hits


# --- from a catalogue entry or a description to the form ----------------------------------------
#
# A description must not contradict itself: counts fit into the block, the pairs between two kinds
# are as many seen from either side, and cosines stay in [-1, 1] at the ends and the middle of the
# heights. Whether some vectors have these cosines is not checked: it is for who describes them.


def orbit_form(
    block: Entry | str | Orbits,
    law: str = "binary",
    parts: Sequence[Sequence[int]] | None = None,
) -> OrbitForm:
    """The loss of a block whose vectors are of several kinds, each with its own norm and bias.

    Parameters
    ----------
    block : Entry, str or Orbits
        A catalogue entry, its name, or a description (`theory.symmetric.orbits`).
    law : str
        Name of a law of `theory.features`.
    parts : sequence of sequences of int, optional
        For an entry: which vectors share norm and bias. Their kinds of rows if not given; always
        split until the vectors of a part see the same cosines with every part.

    Returns
    -------
    OrbitForm

    Raises
    ------
    BadInput
        If the description contradicts itself, or a cosine cannot be read.
    """
    law_named(law)
    if isinstance(block, str):
        block = entry(block)
    if isinstance(block, Entry):
        block = orbits_of(block, parts)
    elif parts is not None:
        raise BadInput("parts are for catalogue entries: a description has its kinds already")
    given: list[Given] = []
    places: list[tuple[int, int, int, int]] = []
    for a, row in enumerate(block.seen):
        for b, cosine, m in row:
            several = cosine if isinstance(cosine, tuple) else (cosine,)
            if len(several) > 1 and block.height is None:
                raise BadInput(f"a cosine of {block.name} depends on h: give height = (low, high)")
            given += several
            places.append((a, b, len(several), m))
    field, elements = common(map(number, given))
    seen: list[list[tuple[int, tuple[Number, ...], int]]] = [[] for _ in block.counts]
    for a, b, length, m in places:
        coefficients, elements = elements[:length], elements[length:]
        while coefficients and not coefficients[-1]:
            coefficients.pop()
        if coefficients:
            seen[a].append((b, tuple(coefficients), m))
    form = OrbitForm(block, law, field, tuple(tuple(row) for row in seen))
    _consistent(form)
    return form


def _consistent(form: OrbitForm) -> None:
    """Counts are whole, fit into the block, agree from both sides, and cosines lie in [-1, 1]."""
    counts, kinds = form.counts, len(form.counts)
    name = form.name
    if len(form.shape.seen) != kinds or any(not isinstance(k, int) or k < 1 for k in counts):
        raise BadInput(f"counts = {counts}: give a positive count and a row per kind of vector")
    pairs: dict[tuple[int, int, tuple[Number, ...]], int] = {}
    for a, row in enumerate(form.seen):
        if any(not 0 <= b < kinds or not isinstance(m, int) or m < 1 for b, _, m in row):
            raise BadInput(f"a row of {name} names a kind or a count that does not exist")
        for b in range(kinds):
            if sum(m for k, _, m in row if k == b) > counts[b] - (a == b):
                raise BadInput(
                    f"kind {a} of {name} sees more of kind {b} than the {counts[b]} there are"
                )
        for b, c, m in row:
            pairs[a, b, c] = pairs.get((a, b, c), 0) + m
    for (a, b, c), m in pairs.items():
        if counts[a] * m != counts[b] * pairs.get((b, a, c), 0):
            raise BadInput(
                f"{name}: {counts[a]} x {m} pairs seen from kind {a} are "
                f"{counts[b]} x {pairs.get((b, a, c), 0)} seen from kind {b}: they must be equal"
            )
    low, high = form.shape.height or (0.0, 0.0)
    if not low <= high:
        raise BadInput(f"height = ({low}, {high}): give an interval")
    with flint.ctx.workprec(128):
        for h in (low, (low + high) / 2, high):
            for row in form.seen:
                for _, c, _ in row:
                    value = flint.arb_poly([x.ball() for x in c])(flint.arb(h))
                    if abs(value) > 1:
                        raise BadInput(
                            f"a cosine of {name} is {float(value.mid()):g} at h = {h:g}: "
                            "cosines lie in [-1, 1]"
                        )
