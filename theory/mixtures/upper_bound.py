"""An upper bound on what any model can gain, to set beside the best known mixtures.

n v - L is what representing features saves over ignoring them all. For bounded laws (values in
[0, 1]) no W, no biases and no decoder z = V h + b save more than

    2 s ln( sum_{k<=d} C(n, k) T^k ) + n / (12 T^2),      T = 1, 2, 3, ...,  and n v,

s the sub-Gaussian variance proxy of x; for the binary law entropies give a little less. Proved
(`gain_bound`). The proxy is proved too: values in ball arithmetic, a Lipschitz bound between them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.special import gammaln

from packing.errors import BadInput
from packing.results import Evidence, Result, shown
from theory.features import law_named, whole

SLOPE = 1.0 / 12.0
"""Lipschitz constant of 2 psi(t)/t^2 for a law on [0, 1] (see `proxy`)."""

_MARGIN = 1e-5  # relative: what the bound on the proxy may exceed the proxy by
_BITS = 160
_ROUNDING = 1e-12  # relative slack for the floats that follow


@dataclass(frozen=True, repr=False)
class GainBound(Result):
    """An upper bound on the gain n v - L of every model with n features in d dimensions.

    Parameters
    ----------
    n, d : int
    S : float
    law : str
    gain : float
        No model saves more than this over ignoring all features.
    per_dimension : float
        gain / d.
    T : int
        Levels of the quantiser that gives the bound; 0 where n v is as low (``trivial``).
    trivial : bool
        Whether only n v was found: a loss is not negative.
    loss_at_least : float
        n v - gain: no model has a smaller loss.
    known : str
        Always ``proved``.
    """

    n: int
    d: int
    S: float
    law: str
    gain: float
    per_dimension: float
    T: int
    trivial: bool
    loss_at_least: float

    @property
    def evidence(self) -> Evidence:
        """Proved."""
        return Evidence.PROVED

    @property
    def one_minus_S(self) -> float:
        return 1.0 - self.S

    def _values(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "d": self.d,
            "S": self.S,
            "one_minus_S": self.one_minus_S,
            "law": self.law,
            "gain": self.gain,
            "per_dimension": self.per_dimension,
            "loss_at_least": self.loss_at_least,
            "trivial": self.trivial,
            "status": self.evidence,
        }

    def _facts(self) -> list[tuple[str, str]]:
        return [(name, shown(value, 8)) for name, value in self.to_dict().items()]


def gain_bound(n: int, d: int, S: float, law: str = "binary") -> GainBound:
    """The most that any model can gain: proved for every W, b and untied decoder.

    Parameters
    ----------
    n, d : int
        Features and dimensions, equal importance.
    S : float
        Chance that a feature is on, in (0, 1].
    law : {"binary", "uniform"}
        A law on [0, 1].

    Returns
    -------
    GainBound

    Raises
    ------
    BadInput
        If n or d is no positive whole number, S no probability, or the law is unbounded.

    Notes
    -----
    Derived here. Let x' be the output, z_i = v_i.h + b_i before the ReLU, h in R^d.

    1. Clip x'_i to [0, 1]: x_i lies there, so the loss L does not grow.
    2. Subtractive dither: round x'_i + U_i to the multiples of 1/T and take U_i away again, U_i
       uniform on an interval of length 1/T. The error is uniform, of mean 0 and variance
       1/(12 T^2), whatever x'_i is; the mean of the loss over U is L + n/(12 T^2), so a set of
       dithers of positive measure has at most that. Among them is one for which no threshold is an
       atom of the law of z_i or an end of [0, 1]: those are countably many.
    3. [0, 1] then holds T thresholds inside, so the rounded output y_i changes where z_i crosses
       one of T values: T parallel planes of h. Adding a family of T planes to others adds at most T
       times the regions that those others cut in one dimension less, so R(n, d) <= R(n - 1, d) +
       T R(n - 1, d - 1), and R(n, d) <= N = sum_{k<=d} C(n, k) T^k. h is on no plane but with
       chance 0, so y takes at most N values and I(x; y) = H(y) <= ln N.
    4. The features are independent, so sum_i I(x_i; y) <= I(x; y).
    5. With psi(t) = ln E e^{t (x - Ex)} <= s t^2/2 for all t, Donsker and Varadhan's KL(Q|P) >=
       t (m_Q - m_P) - psi(t) gives KL >= (m_Q - m_P)^2/(2 s), so g_i = Var E[x_i|y] <= 2 s
       I(x_i; y).
    6. y_i is a function of y, so L + n/(12 T^2) >= sum_i E Var(x_i|y) = n v - sum_i g_i.

    Hence n v - L <= 2 s ln N + n/(12 T^2). At fixed S it grows with n like 3 s d ln(n/d).

    Binary law, in place of 5: given y, feature i is on with chance m, Var(x_i|y) = m(1 - m) and
    its entropy is H(m). p(1 - p) is a convex increasing function of H(p), p <= 1/2: its slope is
    (1 - 2p)/ln((1 - p)/p), which grows with p. By Jensen sum_i E Var(x_i|y) >= n p(1 - p) with
    H(p) = H(S) - ln(N)/n (p = 0 if that is negative). The bound of 5 is its tangent at ln N = 0.
    """
    n, d, S, s = whole(n, "n"), whole(d, "d"), _probability(S), proxy(S, law)
    found = law_named(law)
    v = S * (found.second - S * found.mean**2)
    whole_gain = n * v
    bound = {
        T: n * (_saving(log_regions(n, d, T) / n, S, law, s, v) + 1.0 / (12.0 * T * T))
        for T in _levels(n / d, s)
    }
    T = min(bound, key=lambda k: bound[k])
    gain = bound[T] * (1.0 + _ROUNDING)
    trivial = not gain < whole_gain
    gain = whole_gain if trivial else gain
    return GainBound(
        n, d, S, law, gain, gain / d, 0 if trivial else T, trivial, max(0.0, whole_gain - gain)
    )


def log_regions(n: int, d: int, T: int) -> float:
    """ln sum_{k<=d} C(n, k) T^k: regions that n families of T parallel planes cut R^d into."""
    k = np.arange(min(n, d) + 1.0)
    terms = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0) + k * math.log(T)
    top = float(np.max(terms))
    return top + math.log(float(np.sum(np.exp(terms - top))))


def gain_bound_per_dimension(ratio: float, S: float, law: str = "binary") -> float:
    """The bound on the gain per dimension for n, d -> infinity at fixed n/d = ratio > 1.

    Notes
    -----
    ln N / d -> the maximum over kappa <= 1 of ratio H(kappa/ratio) + kappa ln T, H the entropy in
    nats, which is at kappa = min(1, ratio T/(1 + T)); then the least over T, and ratio v. Proved.
    """
    if not ratio > 1.0:
        raise BadInput(f"n/d = {ratio}: give a number above 1; up to 1 nothing is lost")
    S, s = _probability(S), proxy(S, law)
    found = law_named(law)
    best = ratio * S * (found.second - S * found.mean**2)
    v = best / ratio
    for T in _levels(ratio, s):
        p = min(1.0 / ratio, T / (1.0 + T))
        nats = _entropy(p) + p * math.log(T)
        saved = _saving(nats, S, law, s, v) + 1.0 / (12.0 * T * T)
        best = min(best, ratio * saved * (1.0 + _ROUNDING))
    return best


def _levels(ratio: float, s: float) -> list[int]:
    """Values of T worth trying: every T is allowed, so a poor choice only weakens the bound."""
    # with the linear bound both terms change by the same at T^2 = n/(12 s d)
    middle = math.sqrt(ratio / (12.0 * s)) if s > 0 else 1.0
    near = middle * np.geomspace(0.4, 1.6, 41)
    return sorted({max(1, round(T)) for T in near.tolist()})


def _saving(nats: float, S: float, law: str, s: float, v: float) -> float:
    """The most that a feature's variance can fall, on average, for so many nats per feature."""
    linear = min(v, 2.0 * s * nats)
    if law != "binary" or not 0.0 < S < 1.0:
        return linear
    left = _entropy(S) - nats
    low, high = 0.0, 0.5
    for _ in range(60):  # low stays below p: the variance left is not overstated
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _entropy(middle) <= left * (1.0 - 1e-14) else (low, middle)
    return min(linear, v - low * (1.0 - low))


def _entropy(p: float) -> float:
    """Of one coin, in nats."""
    return -p * math.log(p) - (1.0 - p) * math.log1p(-p) if 0.0 < p < 1.0 else 0.0


@lru_cache(maxsize=4096)
def proxy(S: float, law: str = "binary") -> float:
    """The sub-Gaussian variance proxy sup_t 2 psi(t)/t^2 of one feature, from above.

    Returns
    -------
    float
        Proved upper bound: binary (1 - 2S)/(2 ln((1-S)/S)) (Kearns and Saul 1998), 1/4 at S = 1/2;
        uniform at most 1e-5 relative above the supremum.

    Raises
    ------
    BadInput
        If the law is neither binary nor uniform, or S no probability.

    Notes
    -----
    f(t) = 2 psi(t)/t^2 = 2 int_0^1 (1-r) psi''(rt) dr, and psi''' is a third central moment of a
    law on [0, 1], at most 1/4 in size, so |f'| <= 2 int (1-r) r dr / 4 = 1/12. Beyond the interval
    searched, psi(t) <= |t| (the range of x - Ex), so f <= 2/|t|.
    """
    S = _probability(S)
    if law == "binary":
        if S in (0.5, 1.0):
            return 0.25 if S == 0.5 else 0.0
        odds = (1.0 - 2.0 * S) / S
        return (1.0 - 2.0 * S) / (2.0 * math.log1p(odds)) * (1.0 + _ROUNDING)
    if law != "uniform":
        law_named(law)
        raise BadInput(f"law = {law!r}: the bound is proved for laws on [0, 1]: binary, uniform")
    return supremum(S, law)


def supremum(S: float, law: str) -> float:
    """An upper bound on sup_t 2 psi(t)/t^2: balls at points, a Lipschitz bound between them."""
    found = law_named(law)
    low = S * (found.second - S * found.mean**2)  # the value at t = 0
    reach, step = 2.0 / low, 0.25
    # a first look finds how large it is, hence how far to search
    for t in np.geomspace(1e-2, min(reach, 200.0), 60).tolist():
        for signed in (t, -t):
            low = max(low, _quotient(signed, S, law)[0])
    reach = 2.0 / low
    count = math.ceil(2.0 * reach / step)
    pieces = [(-reach + (k + 0.5) * 2.0 * reach / count, reach / count) for k in range(count)]
    high = low
    while pieces:
        left = []
        for centre, half in pieces:
            a, b = _quotient(centre, S, law)
            low = max(low, a)
            top = b + SLOPE * half
            if top <= low * (1.0 + _MARGIN):
                high = max(high, top)
            else:
                left += [(centre - 0.5 * half, 0.5 * half), (centre + 0.5 * half, 0.5 * half)]
        pieces = left
    return high * (1.0 + _ROUNDING)


def _quotient(t: float, S: float, law: str) -> tuple[float, float]:
    """2 psi(t)/t^2 between two floats, in ball arithmetic; around 0 by the Lipschitz bound."""
    import flint

    found = law_named(law)
    if abs(t) < 1e-8:
        v = S * (found.second - S * found.mean**2)
        return v - 1e-9, v + 1e-9
    before, flint.ctx.prec = flint.ctx.prec, _BITS
    try:
        x, p = flint.arb(t), flint.arb(S)
        own = x.exp() if law == "binary" else (x.exp() - 1) / x
        mean = p if law == "binary" else p / 2
        ball = 2 * ((1 - p + p * own).log() - x * mean) / (x * x)
        centre, radius = float(ball.mid()), float(ball.rad())
    finally:
        flint.ctx.prec = before
    slack = radius + 1e-15 * abs(centre)
    return centre - slack, centre + slack


def _probability(S: float) -> float:
    try:
        value = float(S)
    except (TypeError, ValueError):
        raise BadInput(f"S = {S!r} is not a number: give one in (0, 1]") from None
    if not 0.0 < value <= 1.0:
        raise BadInput(
            f"S = {value:g} is not a probability: give the chance that a feature is on, in (0, 1]; "
            "Elhage et al.'s sparsity is 1 - S"
        )
    return value
