"""Perturbations: when shadows, weak features in dimensions that others use, pay.

First a local criterion, for blocks and for any (W, b); then a gas of them, and finite ones.

A feature that is ignored gets a small vector eps u, |u| = 1. Its own output stays linear and costs
v + eps^2 (Var(u.h) - 2 v); a represented feature i sees noise eps (w_i.u) x_j, which costs half the
curvature of its loss in its bias, a_i = P(z_i > 0) - E[x_i delta(z_i)], times eps^2 (w_i.u)^2 v:

    pays  <=>  u^T K u < 2,   K = sum_i (1 + a_i) w_i w_i^T,

and in a tight one-orbit block K = rho (n/d) (1 + a), whatever u. Proved to second order in eps,
where all biases are at their best and no state sits exactly on a kink. Numbers are numerical.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from packing.catalogue import entry
from packing.errors import BadInput
from packing.types import Float, Int
from theory.features import Features, law_named
from theory.global_search import Problem, Shape, settle
from theory.losses.expected import checked as checked_model
from theory.losses.expected import engine
from theory.mixtures.block_losses import FloatRow, Moments, _sums, binary_minimum, uniform_minimum
from theory.mixtures.block_table import Block, block_loss, blocks, checked, variance

_STEP = 1e-4  # of the differences in the bias: rounding 1e-12/h against h^2


@dataclass(frozen=True, eq=False)
class Margin:
    """Whether an infinitesimal shadow pays on a block, at each S.

    Parameters
    ----------
    margin : (M,) array
        2 - rho (n/d) (1 + a): positive where an infinitesimal shadow lowers the loss.
    rho, b, a : (M,) arrays
        The block's best squared norm and bias, and half the curvature of its loss in the bias.
    """

    margin: Float
    rho: Float
    b: Float
    a: Float


def shadow_margin(row: FloatRow, d: int, n: int, S: Float | Sequence[float], law: str) -> Margin:
    """The local criterion at a block's best norm and bias, at each S (M,).

    Parameters
    ----------
    row : sequence of (cosine, count)
        Cosines of a tight block (1 + sum of count times cosine^2 = n/d) with the other features.
    d, n : int
    S : (M,) array
    law : {"binary", "uniform"}

    Returns
    -------
    Margin
        One shadow of squared norm q changes the loss by -q v margin, to first order in q.

    Raises
    ------
    BadInput
        If the row is not that of a tight block, S no probability, or the law has no fast path.
    """
    S = checked(S)
    row = [(float(c), int(m)) for c, m in row if abs(c) > 1e-13]
    if law not in ("binary", "uniform"):
        raise BadInput(f"law = {law!r}: shadows are worked out for binary and uniform")
    if abs(1.0 + sum(m * c * c for c, m in row) - n / d) > 1e-6 * n / d:
        raise BadInput(
            f"a row with 1 + sum m c^2 = {1.0 + sum(m * c * c for c, m in row):.6g} is not that of "
            f"a tight block of {n} in R^{d} (n/d = {n / d:.6g}): use shadow_matrix(W, b, features)"
        )
    _, rho, b = (binary_minimum if law == "binary" else uniform_minimum)(row, S)
    a = np.ones(S.shape)
    for k in np.flatnonzero(rho > 0):
        a[k] = half_curvature(row, float(S[k]), law, float(rho[k]), float(b[k]))
    return Margin(2.0 - rho * (n / d) * (1.0 + a), rho, b, a)


def half_curvature(row: FloatRow, S: float, law: str, rho: float, b: float) -> float:
    """P(z > 0) - E[x delta(z)] for z = rho t + b, half the second derivative of the loss by b."""
    at = np.array([S])
    if law == "binary":
        t, weight = _sums(row, at)
        off, on = (float(weight[0] @ (rho * x + b > 0.0)) for x in (t, t + 1.0))
        return (1.0 - S) * off + S * on
    moments = Moments(row, at)
    ends = b / rho + _STEP * np.array([[1.0, -1.0]])
    _, _, first, zeroth = (m[0] for m in moments(ends))
    slope = rho * zeroth - first  # half the slope of the loss by b
    return float((slope[0] - slope[1]) / (2.0 * _STEP * rho))


def shadow_matrix(W: Float, b: Float, features: Features) -> Float:
    """K = sum_i I_i (1/v) (v + a_i v) w_i w_i^T of any model, features alike: (d, d).

    A further feature with a small vector along u pays to first order where u^T K u < 2; so some
    direction pays where the least eigenvalue of K is below 2.

    Parameters
    ----------
    W, b : (d, n) and (n,) arrays
        Biases at their best for W, as at an optimum.
    features : Features
        The n features, all with the same S and importance.

    Raises
    ------
    BadInput
        If shapes disagree or the features differ.
    """
    W, b = checked_model(W, b, features.n)
    if not features.alike:
        raise BadInput("features differ in S or importance: give one S and equal importance")
    G, own = W.T @ W, np.arange(features.n)
    p = np.broadcast_to(features.S, G.shape)
    slopes = []
    for h in (_STEP, -_STEP):
        answer = engine(G, b + h, own, p, features.law, gradient=True, rtol=1e-10)[1]
        assert answer.db is not None
        slopes.append(answer.db)
    a = (slopes[0] - slopes[1]) / (4.0 * _STEP)
    return np.asarray((W * (1.0 + a)) @ W.T)


def paying(S: Float | Sequence[float], law: str = "binary") -> dict[str, Margin]:
    """The criterion for every tight block of the table, unequal pairs left out."""
    S = checked(S)
    found = {}
    for block in blocks(law):
        if _tight(block):
            found[block.name] = shadow_margin(block.row, block.d, block.n, S, law)
    return found


def _tight(block: Block) -> bool:
    size = 1.0 + sum(m * c * c for c, m in block.row)
    return bool(block.row) and abs(size - block.n / block.d) < 1e-6 * size


# --- the gas: a block and ever more, ever weaker shadows of its features in its dimensions ---
#
# m shadows of squared norm eps^2 each, spread evenly, mass mu = m eps^2/d, m -> infinity. Each
# stays linear, so per dimension they gain v (2 mu - mu^2 - mu rho n/d); a represented feature hears
# them as Gaussian noise of variance rho mu v (central limit). Per dimension the gain is
#
#     (n/d) (v - E x^2 + 2 rho F1 - rho^2 F2) + v (2 mu - mu^2 - mu rho n/d),
#     F1 = E[x (t + beta + g)_+],  F2 = E (t + beta + g)_+^2,  Var g = tau v,  tau = mu/rho,
#
# quadratic in rho at fixed (beta, tau). mu = 0 is the block alone, rho = 0 with mu = 1 dedicated
# features. The limit is derived, its finite-m error is not bounded; the maximum is numerical.


_DAMPING = 34.0  # shift of the line times the period: aliasing e^-34
_SIGMAS = 12.5  # a Gaussian beyond is less likely than e^(-2 damping)
_TAU = np.geomspace(0.01, 30.0, 31)


@dataclass(frozen=True)
class Gas:
    """A block with the shadow gas that serves it best, at one S.

    Parameters
    ----------
    gain : float
        Per dimension, of block and gas; at least ``plain`` and at least the variance v.
    plain : float
        Gain per dimension of the block alone.
    mu, rho, b : float
        Mass of the gas (squared norms per dimension), the block's squared norm and bias; mu = 0
        where the gas does not pay.
    local : bool
        Whether a gas of mass between 0 and 1 beats both the block and v.
    S : float
    law : str
    """

    gain: float
    plain: float
    mu: float
    rho: float
    b: float
    local: bool
    S: float
    law: str

    @property
    def one_minus_S(self) -> float:
        return 1.0 - self.S


def gas_gain(row: FloatRow, d: int, n: int, S: float, law: str = "binary") -> Gas:
    """The largest gain per dimension of a tight block with a shadow gas.

    Parameters
    ----------
    row : sequence of (cosine, count)
        Cosines of the block with the other features.
    d, n : int
    S : float
    law : {"binary", "uniform"}

    Returns
    -------
    Gas
        Numerical; gains to about 1e-9. tau below 0.01 is left to `shadow_margin`.

    Raises
    ------
    BadInput
        If S is no probability or the law has no fast path.
    """
    S = float(checked([S])[0])
    row = [(float(c), int(m)) for c, m in row if abs(c) > 1e-13]
    v = float(variance(np.array(S), law))
    size = n / d
    plain = size * (v - float(block_loss(row, [S], law)[0]))
    beta = np.linspace(-2.5, 1.5, 161)
    best = (-math.inf, 0.0, 0.0)  # gain, tau, beta
    for tau in _TAU.tolist():
        gain = _at(row, size, S, law, tau, beta)[0]
        k = int(np.argmax(gain))
        if gain[k] > best[0]:
            best = float(gain[k]), tau, float(beta[k])
    best = _refined(row, size, S, law, best)
    top, norm, mass = _at(row, size, S, law, best[1], np.array([best[2]]))
    found, rho, mu = float(top[0]), float(norm[0]), float(mass[0])
    local = found > max(plain, v) * (1.0 + 1e-7)
    if not local:
        dense = v >= plain
        return Gas(max(plain, v), plain, float(dense), 0.0, 0.0, False, S, law)
    return Gas(found, plain, mu, rho, rho * best[2], True, S, law)


def _at(
    row: FloatRow, size: float, S: float, law: str, tau: float, beta: Float
) -> tuple[Float, Float, Float]:
    """Gain per dimension, rho and mu at each beta, the best rho taken."""
    v = float(variance(np.array(S), law))
    F1, F2 = noisy(row, S, law, tau * v, beta)
    # gain = size (v - E x^2) + 2 rho A - rho^2 B
    A = size * F1 + v * tau
    B = size * F2 + v * (tau * tau + tau * size)
    rho = A / B
    second = law_named(law).second * S
    return size * (v - second) + A * rho, rho, tau * rho


def _refined(
    row: FloatRow, size: float, S: float, law: str, best: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Ever closer grids in beta and ln tau around the best point."""
    wide, far = 0.05, math.log(_TAU[1] / _TAU[0])
    for _ in range(12):
        _, tau, centre = best
        beta = centre + wide * np.linspace(-1.0, 1.0, 9)
        for step in (-1.0, -0.5, 0.0, 0.5, 1.0):
            at = tau * math.exp(far * step)
            gain = _at(row, size, S, law, at, beta)[0]
            k = int(np.argmax(gain))
            if gain[k] > best[0]:
                best = float(gain[k]), at, float(beta[k])
        wide, far = 0.4 * wide, 0.55 * far
    return best


def noisy(row: FloatRow, S: float, law: str, noise: float, beta: Float) -> tuple[Float, Float]:
    """F1 = E[x (t + beta + g)_+] and F2 = E (t + beta + g)_+^2 with Gaussian g, Var g = noise > 0.

    A transform integral on a line right of 0 (docs/theory.md, section 4): the Gaussian makes the
    integrand decay like e^(-noise u^2/2), so the trapezoidal rule is exact to rounding for both
    laws; what a period must hold are all sums and 12.5 standard deviations. Numerical, absolute
    error about 1e-12 where the sums stay moderate.
    """
    if not noise > 0.0:
        raise BadInput(f"noise = {noise}: give a variance above 0")
    c, m = np.array([x for x, _ in row]), np.array([float(k) for _, k in row])
    deviation = math.sqrt(noise)
    top = 1.0 + float(np.sum(m * np.maximum(c, 0.0))) + float(np.max(beta))
    period = max(top, 1.0) + _SIGMAS * deviation
    shift = _DAMPING / period
    h = 2.0 * math.pi / period
    # |integrand| falls by e^(-(noise/2) u^2): to e^-40
    nodes = math.ceil(math.sqrt(80.0) / deviation / h)
    s = shift + 1j * h * np.arange(nodes + 1)
    weight = np.full(nodes + 1, h / math.pi)
    weight[0] *= 0.5
    binary = law == "binary"

    def kernel(z: np.ndarray) -> np.ndarray:
        return np.exp(z) if binary else np.expm1(z) / z

    log = 0.5 * noise * s * s
    rest = np.exp(log) * weight
    for x, k in zip(c, m, strict=True):
        rest = rest * (1.0 - S + S * kernel(s * x)) ** k
    own = kernel(s)
    M = (1.0 - S + S * own) * rest
    N = S * (np.exp(s) if binary else (np.exp(s) - own) / s) * rest
    wave = np.exp(np.outer(beta, s))
    return (wave @ (N / s**2)).real, (wave @ (2.0 * M / s**3)).real


# --- blocks decorated with finite shadows: k on every vertex, or a single one ---
#
# A decorated block has orbits: features that see the same cosines to every orbit share a norm and a
# bias. One row per orbit goes to an engine of `theory.losses.rows`, and the total
# sum_o n_o L_o(norms, biases) is minimised from several starts. Directions are kept, so the loss is
# an upper bound on that of the optimum; numerical. A shadow lies along its vertex, or opposite.


SMALLEST = 1e-3
"""Norms below count as 0: such a feature is ignored, the block is not decorated."""

WEAK = 0.75
"""A shadow is weaker than this share of the weakest vertex, else it is a vertex itself."""

SET = (("digon", 1), ("digon", 2), ("triangle", 1), ("pentagon", 1), ("tetrahedron", 1))
"""Blocks and shadows per vertex that `decorated_gains` tries."""

SINGLE = ("digon", "triangle", "pentagon", "tetrahedron")
"""Blocks that `decorated_gains` tries with one shadow on one vertex."""


@dataclass(frozen=True, eq=False)
class Decorated:
    """A block with shadows, at the norms and biases of least loss.

    Parameters
    ----------
    block : str
    d, n : int
        Dimensions, and features with the shadows.
    per_vertex : int
        Shadows on each vertex; 0 where a single vertex has one.
    opposite : bool
        Whether shadows point away from their vertex.
    loss : float
        Total of the n features.
    norms, biases : (n,) arrays
        |W_i| and b_i; shadows last.
    gain : float
        Per dimension, (n v - loss)/d.
    plain : float
        Gain per dimension of the block without shadows (one norm, one bias).
    S : float
    law : str
    W : (d, n) array
    """

    block: str
    d: int
    n: int
    per_vertex: int
    opposite: bool
    loss: float
    norms: Float
    biases: Float
    gain: float
    plain: float
    S: float
    law: str
    W: Float

    @property
    def pays(self) -> bool:
        """Whether shadows are there (SMALLEST, WEAK) and the gain is above the block's."""
        count = max(1, self.vertices * self.per_vertex)
        shadow, others = self.norms[-1], self.norms[:-count]
        there = SMALLEST < shadow < WEAK * np.min(others)
        return bool(there and self.gain > self.plain * (1.0 + 1e-9))

    @property
    def vertices(self) -> int:
        """Features of the block itself."""
        return self.n // (1 + self.per_vertex) if self.per_vertex else self.n - 1

    @property
    def name(self) -> str:
        """``pentagon + 1 shadow``."""
        many = f"{self.per_vertex} shadow per vertex" if self.per_vertex else "1 shadow"
        return f"{self.block} + {many}" + (" opposite" if self.opposite else "")

    @property
    def one_minus_S(self) -> float:
        return 1.0 - self.S


def decorate(
    block: str,
    S: float,
    law: str = "binary",
    *,
    per_vertex: int = 0,
    opposite: bool = False,
    free: bool = False,
    guesses: Sequence[Float] = (),
) -> Decorated:
    """A catalogue block with shadows, norms and biases at their best.

    Parameters
    ----------
    block : str
        Name of a catalogue entry whose vectors all see the same cosines.
    S : float
    law : {"binary", "uniform"}
    per_vertex : int
        Shadows on each vertex; 0: a single shadow on one vertex, features at the same cosine from
        it share their norm and bias.
    opposite : bool
        Shadows opposite to the vertex.
    free : bool
        Then let every direction, norm and bias go to the next local minimum (Newton's method).
    guesses : sequence of (2 orbits,) arrays
        Further starts: norms, then biases, by orbit (as in ``Decorated`` without repetition).

    Returns
    -------
    Decorated
        Numerical: the least of several local minima.

    Raises
    ------
    BadInput
        If the block is unknown or not symmetric enough, S is no probability, or per_vertex < 0.
    """
    if isinstance(per_vertex, bool) or per_vertex < 0 or per_vertex != int(per_vertex):
        raise BadInput(f"per_vertex = {per_vertex}: give 0 (a single shadow), 1, 2, ...")
    S = float(checked([S])[0])
    V, row = _shape(block)
    d, n = V.shape
    plain_loss = float(block_loss(row, [S], law)[0])
    model = _Model(V, per_vertex, opposite, S, law)
    rough = [_descend(model, x, 25, 1e-9) for x in [*_starts(model, row, S, law), *guesses]]
    rough.sort(key=lambda found: found[0])
    least, best = min((_descend(model, x, 400, 1e-15) for _, x in rough[:2]), key=lambda f: f[0])
    half = best.size // 2
    v = float(variance(np.array(S), law))
    norms, biases = best[:half][model.label], best[half:][model.label]
    count = model.label.size
    W = model.directions * norms
    if free:
        problem = Problem(Features.of(count, S, law), Shape(count, d, True))
        point = settle(problem, problem.shape.join(W[None], biases[None])[0])
        if point.value < least:
            least = point.value
            W, biases = (part[0] for part in problem.shape.split(point.theta[None]))
    plain = n / d * (v - plain_loss)
    gain = (count * v - least) / d
    norms = np.linalg.norm(W, axis=0)
    return Decorated(
        block, d, count, int(per_vertex), opposite, least, norms, biases, gain, plain, S, law, W
    )


def decorated_gains(
    S: float | Sequence[float] | Float, law: str = "binary"
) -> dict[str, tuple[int, int, Float]]:
    """Gain per dimension of decorated blocks at each S (M,): name -> (d, n, gains).

    The blocks of SET and SINGLE; -inf where no shadow is left at the best norms, so that a name
    means what it says. Numerical lower bounds on what such blocks can gain.
    """
    S = checked(S)
    found: dict[str, tuple[int, int, Float]] = {}
    for block, k in [*SET, *((name, 0) for name in SINGLE)]:
        answers = [decorate(block, s, law, per_vertex=k) for s in S.tolist()]
        gain = np.array([x.gain if x.pays else -np.inf for x in answers])
        found[answers[0].name] = (answers[0].d, answers[0].n, gain)
    return found


def _shape(block: str) -> tuple[Float, list[tuple[float, int]]]:
    one = entry(block)
    if len(one.rows) != 1:
        raise BadInput(f"{block} has {len(one.rows)} orbits of vectors: give a block with one")
    row = [(c.value, m) for c, m in one.rows[0][1] if abs(c.value) > 1e-13]
    return np.asarray(one.vectors, dtype=float), row


class _Model:
    """Loss and gradient by the norms and biases of orbits."""

    def __init__(self, V: Float, per_vertex: int, opposite: bool, S: float, law: str) -> None:
        n = V.shape[1]
        sign = -1.0 if opposite else 1.0
        if per_vertex:
            self.directions = np.concatenate([V, *[sign * V] * per_vertex], axis=1)
            self.label: Int = np.repeat([0, 1], [n, n * per_vertex])
        else:
            self.directions = np.concatenate([V, sign * V[:, :1]], axis=1)
            levels = np.round(V.T @ V[:, 0], 9)
            orbits = np.unique(-levels, return_inverse=True)[1].ravel()
            self.label = np.append(orbits, orbits.max() + 1)
        _, self.first, size = np.unique(self.label, return_index=True, return_counts=True)
        self.size = size.astype(float)
        C = self.directions.T @ self.directions
        self.C = C[self.first]
        for orbit, first in enumerate(self.first):
            want = self._seen(C[first])
            for i in np.flatnonzero(self.label == orbit):
                if not np.allclose(self._seen(C[i]), want, atol=1e-8):
                    raise BadInput("features at one cosine from a vertex are not alike here")
        features = Features.of(self.label.size, S, law)
        self.law, self.p = features.law, np.broadcast_to(features.S, self.C.shape)
        self.shadow = int(self.label[-1])

    def _seen(self, row: Float) -> Float:
        return np.concatenate([np.sort(row[self.label == k]) for k in range(self.label.max() + 1)])

    def __call__(self, theta: Float) -> tuple[float, Float]:
        half = theta.size // 2
        a, b = theta[:half], theta[half:]
        A = a[:, None] * a[self.label] * self.C
        answer = engine(
            A, b.copy(), self.first, self.p, self.law, gradient=True, bounds=False, rtol=1e-8
        )[1]
        assert answer.dA is not None and answer.db is not None
        D = answer.dA * self.C * self.size[:, None]
        slope = D @ a[self.label] + np.bincount(self.label, a @ D, minlength=half)
        value = float(self.size @ answer.value)
        return value, np.concatenate([slope, self.size * answer.db])


def _descend(model: _Model, start: Float, most: int, least: float) -> tuple[float, Float]:
    options = {"maxiter": most, "ftol": least, "gtol": 1e-11}
    half = start.size // 2
    bounds = [(0.0, None)] * half + [(None, None)] * half  # a norm below 0 is another direction
    found = minimize(model, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return float(found.fun), found.x


def _starts(model: _Model, row: list[tuple[float, int]], S: float, law: str) -> list[Float]:
    found = (binary_minimum if law == "binary" else uniform_minimum)(row, np.array([S]))
    rho, b = max(float(found[1][0]), 0.3), float(found[2][0])
    mean = S if law == "binary" else S / 2.0
    starts = []
    orbits = model.size.size
    for share in (0.15, 0.35, 0.75):
        for bias in (mean, 0.0):
            norms = np.full(orbits, np.sqrt(rho))
            norms[model.shadow] *= share
            biases = np.full(orbits, b)
            biases[model.shadow] = bias
            starts.append(np.concatenate([norms, biases]))
    return starts
