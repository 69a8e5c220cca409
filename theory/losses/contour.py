r"""Rows of a law whose transform has no singularity off the positive real axis: a bent contour.

With M(s) = E e^{sz} = e^{sb} prod_j (1 - p_j + p_j phi(a_j s)) and phi(s) = E[e^{sx} | on],

    E z_+^m / m! = (1 / 2 pi i) int M(s) s^{-m-1} ds,     0 < Re s < 1 / max_j a_j,

and a factor x_j under the expectation replaces phi by phi' in its factor. For the exponential law
phi(s) = 1 / (1 - s): all singularities lie on the real axis, 0 and 1/a_j, and |phi| is bounded by
a power elsewhere. For b <= 0 the line may therefore be bent to the right, into the hyperbola

    s(w) = (C / 2) (1 + sin(theta + i w)),     theta in (0, pi/2), w real,

on which e^{sb} and powers of s both decay in w at least exponentially. The trapezoid rule in w
then converges geometrically in its step (Weideman and Trefethen, Math. Comp. 76 (2007) 1341, for
the hyperbola; Lopez-Fernandez and Palencia 2004), and poles as far apart as floating point allows
cost nodes in the logarithm of that distance only. It crosses the real axis near the minimum of the
integrand there, so that little cancels. Rows with b > 0 are reflected, z_+ = z + (-z)_+.

The pattern with every weighted feature off has z = b <= 0 and contributes nothing: it is taken out
of M without a subtraction, so errors scale with the chance that something is on. The error bound
is numerical: the change when the step is halved, the cut ends, and rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from packing.types import Complex, Float
from theory.features import Law
from theory.losses import rows as linear
from theory.losses.rows import EPS, RowLoss

THETA = np.pi / 8.0  # largest angle by which the rays of the hyperbola leave the vertical
STEP = 0.072 / THETA  # step per angle; 2 pi / STEP = 34: the rule errs by e^-34 of the integrand
_REACH = 37.0  # the integrand is followed until it has fallen by e^-37
_NEAREST = 0.7  # the contour crosses at most this far towards the first pole
_FAINT = 1e-250  # weights below this fraction of the row's largest count as this large
_FAR = 1e90  # |a_j s| beyond which a transform is asked no further
_CHUNK = 1 << 15  # complex numbers held at once in one array


@dataclass(frozen=True)
class Batch:
    """R rows with b <= 0 and some positive weight, scaled to weights of at most about 1.

    Parameters
    ----------
    a, p : (R, n) arrays
        Weights and on-probabilities, the own feature in column 0.
    b : (R,) array
        Biases.
    unit : (R,) array
        Weight of x_own against z: the inverse of the scale of z.
    sign : (R,) array
        1, or -1 where z is reflected.
    """

    a: Float
    p: Float
    b: Float
    unit: Float
    sign: Float

    def __getitem__(self, rows: slice | NDArray[np.intp]) -> Batch:
        return Batch(*(v[rows] for v in (self.a, self.p, self.b, self.unit, self.sign)))


def rows(
    A: Float,
    b: Float,
    own: NDArray[np.intp],
    p: Float,
    law: Law,
    gradient: bool = False,
    bounds: bool = True,
) -> RowLoss:
    """Row losses by a bent contour; see `theory.losses.rows` for the arguments.

    Parameters
    ----------
    law : Law
        ``transform`` must hold off the positive real axis from ``strip[1]`` on, not in the strip
        alone, and be bounded there by a power of s.
    bounds : bool
        Without it the bound is NaN and the work half: for optimisers.

    Returns
    -------
    RowLoss
        Numerical; value and gradient to about 1e-15 of E x_own^2 + E z^2 and its slope.
    """
    count, n = A.shape
    here = np.arange(count)
    mean, chance = p * law.mean, p[here, own]
    # z >= 0 for the most part and b = 0: reflected, less is left to integrate.
    flip = (b > 0.0) | ((b == 0.0) & (np.sum(A * mean, axis=1) > 0.0))
    sign = np.where(flip, -1.0, 1.0)
    largest = np.max(np.abs(A), axis=1)
    # a power of two, so that scaling rounds nothing
    scale = np.ldexp(1.0, np.maximum(np.frexp(largest)[1], -1000))
    order = np.argsort(np.arange(n) != own[:, None], axis=1, kind="stable")
    a = np.take_along_axis(A, order, axis=1) * (sign / scale)[:, None]
    batch = Batch(a, np.take_along_axis(p, order, axis=1), b * sign / scale, 1.0 / scale, sign)

    whole = linear.rows(A, b, own, p, law, gradient)
    value = np.where(flip, whole.value, chance * law.second)
    bound = np.where(flip, whole.bound, EPS * chance * law.second)
    da, db = np.zeros((count, n)), np.zeros(count)
    live = np.flatnonzero(np.any(a > 0.0, axis=1))
    if live.size:
        part = _integrate(batch[live], law, gradient, bounds)
        square = scale[live] ** 2
        value[live] += part.value * square
        bound[live] += part.bound * square
        if part.dA is not None and part.db is not None:
            da[live], db[live] = part.dA * scale[live, None], part.db * scale[live]
    value = np.maximum(value, 0.0)
    bound = bound + 4.0 * EPS * value if bounds else np.full(count, np.nan)
    if not gradient:
        return RowLoss(value, bound)
    assert whole.dA is not None and whole.db is not None
    # 1(z > 0) = 1 - 1(-z > 0) - 1(z = 0); the last where nothing weighted is on and b = 0
    atom = np.where(flip & (b == 0.0) & (a[:, 0] == 0.0), 2.0 * chance, 0.0)
    atom *= np.prod(np.where(A != 0.0, 1.0 - p, 1.0), axis=1)
    dA = np.zeros((count, n))
    np.put_along_axis(dA, order, da, axis=1)
    dA[here, own] += atom * law.second
    db += atom * law.mean
    # a feature without weight is independent of z
    idle = A == 0.0
    idle[here, own] = False
    dA = np.where(idle, mean * db[:, None], dA)
    return RowLoss(value, bound, dA + flip[:, None] * whole.dA, db + np.where(flip, whole.db, 0.0))


def _integrate(rows: Batch, law: Law, gradient: bool, bounds: bool) -> RowLoss:
    """What the positive part of (reflected) z adds to each row, in units of the row."""
    a = np.where(rows.a != 0.0, np.copysign(np.maximum(np.abs(rows.a), _FAINT), rows.a), 0.0)
    rows = Batch(a, rows.p, rows.b, rows.unit, rows.sign)
    count, n = a.shape
    theta = _angle(rows, law)
    crossing = _crossing(rows, law)
    finer = 2.0 if bounds else 1.0
    step = STEP / finer * theta
    nodes = np.ceil(_length(rows, theta, crossing, gradient) / step).astype(int) + 2
    value, bound = np.zeros(count), np.zeros(count)
    dA, db = (np.zeros((count, n)), np.zeros(count)) if gradient else (None, None)
    order = np.argsort(nodes, kind="stable")
    first = 0
    while first < count:  # rows of like length together
        size = max(1, _CHUNK // (n * int(nodes[order[first]])))
        part = order[first : first + size]
        first += size
        longest = int(nodes[part].max())
        got = _trapezoid(rows[part], theta[part], crossing[part], finer, longest, law, gradient)
        value[part], bound[part] = got.value, got.bound
        if dA is not None and db is not None and got.dA is not None and got.db is not None:
            dA[part], db[part] = got.dA, got.db
    return RowLoss(value, bound, dA, db)


def _angle(rows: Batch, law: Law) -> Float:
    """The angle theta of each contour, (R,).

    Where z is surely positive M grows along a ray to the right before it falls: for a normal law
    of z by exp(mean^2 tan^2 theta / 2 variance). Such rows get a contour that is nearly straight.
    """
    spread = law.second - law.mean**2 + law.mean**2 * (1.0 - rows.p)
    mean = np.sum(rows.a * rows.p, axis=1) * law.mean + rows.b
    variance = np.sum(rows.a**2 * rows.p * spread, axis=1)
    return THETA / np.maximum(1.0, 0.2 * mean / np.sqrt(variance))


def _crossing(rows: Batch, law: Law) -> Float:
    """Where each contour crosses the real axis, (R,): where the integrand is about least."""
    n = rows.a.shape[1]
    pole = law.strip[1] / np.max(rows.a, axis=1)
    ratio = _NEAREST * np.geomspace(1.0, 0.1 / n, 10 + int(np.log2(n)))
    c = pole[:, None] * ratio
    factor = (1.0 - rows.p) + rows.p * _transform(law, rows.a * c.T[..., None], 0).real
    size = np.sum(np.log(factor), axis=2).T + rows.b[:, None] * c
    size -= np.log1p(-ratio) + 2.0 * np.log(ratio)
    return np.take_along_axis(c, np.argmin(size, axis=1)[:, None], axis=1)[:, 0]


def _length(rows: Batch, theta: Float, crossing: Float, gradient: bool) -> Float:
    """How far in w each integrand has to be followed, (R,)."""
    size = np.abs(rows.a) * crossing[:, None]
    with np.errstate(divide="ignore", over="ignore"):
        faintest = -np.log(np.min(np.where(size > 0.0, size, np.inf), axis=1))
        own = np.where(size[:, 0] > 0.0, -np.log(size[:, 0]), np.inf)
        bias = np.log(_REACH / np.sin(theta) / (np.abs(rows.b) * crossing))
    faintest, own = np.maximum(faintest, 0.0), np.maximum(own, 0.0)
    # In log |s| with |s| = 1 at the crossing: E[x_own z_+] falls as s^-1, from 1/a_own on as s^-3;
    # E z_+^2 as s^-2, from the faintest weight on as s^-3.
    cross = np.minimum(_REACH, np.maximum((_REACH + 2.0 * own) / 3.0, own))
    square = np.minimum(0.5 * _REACH, np.maximum((_REACH + faintest) / 3.0, faintest))
    length = np.maximum(cross, square)
    if gradient:
        # E z_+ as s^-1, from the faintest weight on as s^-2; E[x_own 1(z > 0)] as s^-2 from own
        # on, without own weight as s^-1 from the faintest on.
        steady = np.minimum(_REACH, np.maximum((_REACH + faintest) / 2.0, faintest))
        sudden = np.minimum(own + 0.5 * _REACH, faintest + _REACH)
        length = np.maximum(np.maximum(length, steady), sudden)
    length = np.minimum(length, np.maximum(bias, 0.0))
    return length + np.log(2.0 + 2.0 * np.sin(theta))  # |s| = C e^w / 4


def _transform(law: Law, s: Complex | Float, order: int) -> Complex:
    """E[x^order e^{sx} | on], where |s| is huge at a place nearer by: nothing is left anyway."""
    size = np.abs(s)
    if np.max(size) > _FAR:
        s = s * np.minimum(1.0, _FAR / np.maximum(size, 1.0))
    return law.transform(np.asarray(s, dtype=np.complex128), order)


def _trapezoid(
    rows: Batch,
    theta: Float,
    crossing: Float,
    finer: float,
    nodes: int,
    law: Law,
    gradient: bool,
) -> RowLoss:
    """The integrals of a few rows, all on the same number of nodes."""
    n = rows.a.shape[1]
    step = (STEP / finer) * theta
    w = theta[:, None] + 1j * step[:, None] * np.arange(nodes)
    curve = 1.0 + np.sin(w)
    s = (crossing / (1.0 + np.sin(theta)))[:, None] * curve
    # ds / s, conjugate nodes folded in: (1 / pi) Im of the sum, the first node halved
    weight = (step / np.pi)[:, None] * 1j * np.cos(w) / curve
    weight[:, 0] *= 0.5
    inverse = 1.0 / s
    kernel = weight * np.exp(s * rows.b[:, None])

    busy = rows.a != 0.0
    off = np.where(busy, 1.0 - rows.p, 1.0)
    on = np.where(busy, rows.p, 0.0)
    argument = rows.a[:, :, None] * s[:, None, :]
    part = on[:, :, None] * _transform(law, argument, 0)
    factor = off[:, :, None] + part
    # prod of factors = none + some, none the chance that all are off: no subtraction needed
    none: Float = np.ones(len(s))
    some: Complex = np.zeros_like(s)
    for j in range(1, n):
        some = some * factor[:, j] + none[:, None] * part[:, j]
        none = none * off[:, j]
    own = (rows.p[:, 0] * rows.unit)[:, None]
    others = none[:, None] + some
    visible = np.where(busy[:, :1], others, some)
    some = some * factor[:, 0] + none[:, None] * part[:, 0]
    none = none * off[:, 0]
    sign = rows.sign[:, None]
    first = own * _transform(law, argument[:, 0], 1)

    square = kernel * some * inverse
    cross = kernel * visible * first
    terms = 2.0 * inverse * (sign * square - cross)
    value = np.sum(terms.imag, axis=1)
    half = 2.0 * np.sum(terms[:, ::2].imag, axis=1)
    # each term met some n factors, an exponential of s b and a dozen other operations
    size = 2.0 * np.abs(inverse) * (np.abs(square) + np.abs(cross))
    rounding = np.sum(size * (8.0 * n + 24.0 + np.abs(s * rows.b[:, None])), axis=1)
    bound = np.abs(value - half) + EPS * rounding + size[:, -1] * (2.0 / step)
    if not gradient:
        return RowLoss(value, bound)

    db = 2.0 * np.sum((square - sign * cross).imag, axis=1)
    together = 2.0 * kernel * ((none[:, None] + some) * inverse - sign * others * first)
    ratio = on[:, :, None] * _transform(law, argument, 1) / factor
    dA = np.einsum("rjk,rk->rj", ratio, together).imag  # a thread pool would only cost time here
    second = own * _transform(law, argument[:, 0], 2)
    mine = 2.0 * kernel * visible * (first * inverse / rows.unit[:, None] - sign * second)
    dA[:, 0] = np.sum(mine.imag, axis=1)
    return RowLoss(value, bound, dA, db)
