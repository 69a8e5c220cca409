"""The least loss of a block with several kinds of vectors: found by descent, proved in balls.

Descents from many starts find the point; Newton's method in balls sharpens it; Krawczyk's operator
K(X) = m - Y g(m) + (I - Y H(X)) (X - m), Y about the inverse Hessian, proves it: if K(X) lies
inside X there is exactly one point in X with gradient 0 (Moore, Kearfott and Cloud 2009, chapter
8). H(X) encloses the Hessian on all of X, so with the binary law no ReLU with a kink in the slope
changes sides in X, and with the uniform law no kink is overlooked. That no other minimum is lower
is numerical.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from packing.descent import descend
from packing.errors import BadInput, NotReached
from theory.closed_form.jets import Jet
from theory.closed_form.points import ball
from theory.features import Float, law_named
from theory.loss import engine

if TYPE_CHECKING:
    from theory.closed_form.orbits import OrbitForm, OrbitMinimum

STARTS = 32
"""Starts of the search for the least loss."""

SMALLEST = 1e-5
"""Norms below this, and heights as near to an end, are taken to lie on the border of the shape."""

PROVED = (
    "rigorous: the block attains this loss, at a stationary point of its shape that is proved to "
    "exist; numerical: that nothing lies lower"
)
BOUND = (
    "rigorous: the block attains this loss; numerical: that it is stationary and nothing lies lower"
)
NUMBERS = "numerical: this law has no exact form"


def minimum(form: OrbitForm, S: Fraction, digits: int, seed: int) -> OrbitMinimum:
    """See `OrbitForm.minimum`."""
    import flint

    from theory.closed_form.orbits import OrbitMinimum

    k = len(form.counts)
    at, value, hits = found(form, float(S), seed)
    at[:k] = np.where(at[:k] < SMALLEST, 0.0, at[:k])
    if form.law not in ("binary", "uniform"):
        balls = [flint.arb(float(x)) for x in at]
        h = balls[-1] if form.free else None
        norms, biases = tuple(balls[:k]), tuple(balls[k : 2 * k])
        return OrbitMinimum(
            S, norms, biases, h, flint.arb(value), False, False, hits, STARTS, NUMBERS
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
    import flint

    bits = flint.ctx.prec
    middle = [ball(float(x)) for x in at]
    p = len(middle)
    try:
        for _ in range(14):
            here = jet(form, S, middle)
            step = here.hessian().mid().solve(flint.arb_mat([[g.mid()] for g in here.gradient()]))
            middle = [(m - step[i, 0]).mid() for i, m in enumerate(middle)]
            if max(abs(float(middle[i].mid()) - at[i]) for i in range(p)) > 1e-3:
                return None
            if all(abs(step[i, 0]) < flint.arb(2) ** (-(3 * bits) // 4) for i in range(p)):
                break
        here = jet(form, S, middle)
        inverse = here.hessian().mid().inv().mid()
        start = inverse * flint.arb_mat([[g] for g in here.gradient()])
        reach = max(abs(start[i, 0]).upper() for i in range(p))
        radius = (reach * 1024).max(flint.arb(2) ** (-(5 * bits) // 8))
        box = [m + flint.arb(0, radius) for m in middle]
        around = jet(form, S, box).hessian()
    except (ZeroDivisionError, NotReached):
        return None
    one = flint.arb_mat([[int(i == j) for j in range(p)] for i in range(p)])
    spread = flint.arb_mat([[flint.arb(0, radius)] for _ in range(p)])
    shift = (one - inverse * around) * spread - start
    if not all(abs(shift[i, 0]) < radius for i in range(p)):
        return None
    g = here.gradient()
    loss = here.value
    for i in range(p):
        loss += g[i] * shift[i, 0]
        for j in range(p):
            loss += around[i, j] * shift[i, 0] * shift[j, 0] / 2
    return [m + shift[i, 0] for i, m in enumerate(middle)], loss, _positive(around)


def _positive(H: Any) -> bool:
    """Whether every symmetric matrix in H is positive definite: all pivots are."""
    p = H.nrows()
    rows = [[H[i, j] for j in range(p)] for i in range(p)]
    for i in range(p):
        if not rows[i][i] > 0:
            return False
        for r in range(i + 1, p):
            factor = rows[r][i] / rows[i][i]
            for c in range(i, p):
                rows[r][c] = rows[r][c] - factor * rows[i][c]
    return True


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
    cosines = [
        [(b, [float(form.field.ball(x).mid()) for x in c], m) for b, c, m in row]
        for row in form.seen
    ]
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
