r"""The Fourier series behind `theory.rows.transform`: its kernels, their weights, their errors.

For |z| < P, with u_k = (2 pi / P) (k + 1/2),

    z_+^2 = z^2/2 + P z/2 - (4/P) sum_k sin(u_k z) / u_k^3,
    z_+   = z/2 + P/4     - (2/P) sum_k cos(u_k z) / u_k^2,         k = 0, 1, 2, ...

(the antiperiodic continuations of z(|z| - P)/2 and |z|/2 - P/4; no node lies at u = 0, and no
strip is needed). The series is cut at K nodes. The kink is first rounded off on a scale
sigma = kappa P / (2 pi K): each term is multiplied by e^{-v} times a polynomial in
v = sigma^2 u^2 / 2, which changes z_+^2 by sigma^2 D(z / sigma) and z_+ by sigma D(z / sigma):

    kernel         multiplier                  D(x), x >= 0                        parity
    square         e^{-v} (1 + v + v^2/2)      x^2 Q(x) - (3/4) x phi(x)           odd
    smooth         e^{-v} (1 + v + v^2/2)      x Q(x) - (3 + x^2) phi(x) / 8       even
    pinned         e^{-v} (1 + v + 2 v^2)      x Q(x) - x^2 phi(x) / 2             even, D(0) = 0

with phi the standard normal density and Q its upper tail. Every D is bounded by Gaussians,

    |D_square| <= A_SQUARE e^{-BETA x^2/2},    |D_smooth| <= A_SMOOTH e^{-BETA x^2/2},
    |D_square| <= C_SQUARE |x| e^{-GAMMA x^2/2}, |D_pinned| <= C_PINNED |x| e^{-GAMMA x^2/2},

and the expectation of a Gaussian is itself a series over the same nodes, so the price of rounding
the kink off is bounded after the fact by numbers already at hand. The second pair, with
E|x| e^{..} <= sqrt(E e^{..} E x^2 e^{..}), is what makes an atom on the kink cost nothing.

The corrections are those of the Gaussian of width sigma, cut after the stated power (proved: the
multiplier is the transform of z_+^2 - sigma^2 D); the four constants were found on a grid of x and
rounded up (numerical; the tests check them).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from theory.rows import Float

Complex = NDArray[np.complex128]

BETA, GAMMA = 0.75, 0.95
A_SQUARE, A_SMOOTH = 0.0646, 0.1497
C_SQUARE, C_PINNED = 0.3000, 0.5001
KAPPAS = (4.4, 5.2, 6.0)
# Kernels tried for z_+^2 (kappa) and for z_+ (kappa, name); kappa 0 leaves the kink sharp.
SQUARES = (0.0, *KAPPAS)
LINES = ((0.0, "smooth"), *((k, name) for k in KAPPAS for name in ("smooth", "pinned")))
# Images of the Gaussians one period away are dropped: with 10 widths to the kink they are < 1e-20.
MARGIN = 1.05
SMALLEST_ROUNDED = 10.0 * max(KAPPAS) / (2.0 * math.pi * math.sqrt(BETA) * (1.0 - 1.0 / MARGIN))


@dataclass(frozen=True)
class Weights:
    """Weights of K nodes for one kappa (0: the kink is left sharp), in units of P = 1.

    Parameters
    ----------
    K : int
        Number of nodes.
    sigma : float
        Width on which the kink is rounded off.
    square, smooth, pinned : (K,) arrays
        Weights of sin in z_+^2 and of cos in z_+ (both with a minus sign in front).
    gauss, gauss_narrow, moment : (K,) arrays
        Weights of cos in e^{-BETA x^2/2}, e^{-GAMMA x^2/2} and x^2 e^{-GAMMA x^2/2}.
    tails : dict
        For each of the names above the sum of |weights| beyond K, rounded up.
    """

    K: int
    sigma: float
    square: Float
    smooth: Float
    pinned: Float
    gauss: Float
    gauss_narrow: Float
    moment: Float
    tails: dict[str, float]


def allowed(K: int, kappa: float) -> bool:
    """Whether K nodes resolve the rounded kink well enough for its images to be dropped."""
    return kappa == 0.0 or K >= SMALLEST_ROUNDED


def weights(K: int, kappa: float) -> Weights:
    """The weights of K nodes; small tables are kept."""
    return _kept(K, kappa) if K <= 16384 else _weights(K, kappa)


def _weights(K: int, kappa: float) -> Weights:
    if kappa == 0.0:
        u = 2.0 * math.pi * (np.arange(K, dtype=np.float64) + 0.5)
        none = np.zeros(0)
        # 1/u^3 and 1/u^2 are convex, so midpoint sums lie below the integrals from K on.
        tails = {
            "square": 4.0 / (8.0 * math.pi**3 * 2.0 * K**2),
            "smooth": 2.0 / (4.0 * math.pi**2 * K),
        }
        return Weights(K, 0.0, 4.0 / u**3, 2.0 / u**2, none, none, none, none, tails)
    sigma = kappa / (2.0 * math.pi * K)
    inside = _table(np.arange(K), sigma)
    # Beyond 3 K the multipliers are below e^{-87} times a square of v, together below 1e-30.
    beyond = _table(np.arange(K, 3 * K), sigma)
    tails = {name: 1.01 * float(np.abs(w).sum()) + 1e-30 for name, w in beyond.items()}
    return Weights(K, sigma, **inside, tails=tails)


_kept = lru_cache(maxsize=128)(_weights)


def _table(k: NDArray[np.intp], sigma: float) -> dict[str, Float]:
    u = 2.0 * math.pi * (k.astype(np.float64) + 0.5)
    v = 0.5 * (sigma * u) ** 2
    e = np.exp(-v)
    wide, narrow = sigma / math.sqrt(BETA), sigma / math.sqrt(GAMMA)
    root = 2.0 * math.sqrt(2.0 * math.pi)
    gauss_narrow = root * narrow * np.exp(-v / GAMMA)
    return {
        "square": 4.0 / u**3 * e * (1.0 + v + 0.5 * v * v),
        "smooth": 2.0 / u**2 * e * (1.0 + v + 0.5 * v * v),
        "pinned": 2.0 / u**2 * e * (1.0 + v + 2.0 * v * v),
        "gauss": root * wide * np.exp(-v / BETA),
        "gauss_narrow": gauss_narrow,
        "moment": gauss_narrow * (1.0 - 2.0 * v / GAMMA) / GAMMA,
    }


def square(
    R: Complex, K: int, P: Float, nu: Float, spin: Float, far: Float, outside: Float
) -> tuple[Float, Float]:
    """Series of z_+^2 and its error with every kernel of `SQUARES`, (kernels, R) each."""
    values, errors = [], []
    for kappa in SQUARES:
        if not allowed(K, kappa):
            values.append(np.zeros_like(P))
            errors.append(np.full_like(P, np.inf))
            continue
        w = weights(K, kappa)
        error = P**2 * w.tails["square"] * far
        if kappa:
            s = w.sigma * P
            wide, narrow, moment = _gauss(R, w, nu + spin / s, far, outside)
            error = error + s * s * np.minimum(A_SQUARE * wide, C_SQUARE * np.sqrt(narrow * moment))
        values.append(-(P**2) * dot(R.imag, w.square))
        errors.append(error)
    return np.array(values), np.array(errors)


def line(
    R: Complex, K: int, P: Float, nu: Float, spin: Float, far: Float, outside: Float
) -> tuple[Float, Float]:
    """The same for z_+ against x_own; kernels of `LINES`."""
    values, errors = [], []
    for kappa, name in LINES:
        if not allowed(K, kappa):
            values.append(np.zeros_like(P))
            errors.append(np.full_like(P, np.inf))
            continue
        w = weights(K, kappa)
        error = P * w.tails[name] * far
        if kappa:
            s = w.sigma * P
            wide, narrow, moment = _gauss(R, w, nu + spin / s, far, outside)
            gap = A_SMOOTH * wide if name == "smooth" else C_PINNED * np.sqrt(narrow * moment)
            error = error + s * gap
        values.append(-P * dot(R.real, getattr(w, name)))
        errors.append(error)
    return np.array(values), np.array(errors)


def _gauss(R: Complex, w: Weights, unit: Float, far: Float, outside: Float) -> list[Float]:
    """Upper bounds on E e^{-BETA x^2/2}, E e^{-GAMMA x^2/2}, E x^2 e^{-GAMMA x^2/2}"""
    out = []
    for name in ("gauss", "gauss_narrow", "moment"):
        v = dot(R.real, getattr(w, name)) + w.tails[name] * far + 4.0 * unit
        out.append(np.maximum(v, 0.0) + 4.0 * unit + outside)
    return out


def dot(values: Float, w: Float) -> Float:
    """Sums over nodes, pairwise (at most 30 roundings, which the bound counts): einsum and BLAS add
    one by one, and 10^5 nodes added to a large first term then lose five digits."""
    total: Float = np.sum(np.ascontiguousarray(values * w), axis=1)
    return total
