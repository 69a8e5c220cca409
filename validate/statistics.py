"""Intervals: what the trained models say about a quantity, and with what confidence.

median   from the r-th smallest to the r-th largest value: misses with chance 2 P(Bin(g, 1/2) < r)
mean     Student's t over independent runs
share    Clopper and Pearson's interval for a probability

The best losses of groups are bounded by the optimum on one side and now and then sit in another
minimum: skewed, with a rare far tail. Student's interval for their mean then misses far more often
than it says (tests/test_validate_compare.py shows it), so the median is estimated, whose interval
is exact for independent values of any one law, ties included. Student's t serves for simulated
losses, means of many samples. The share's interval is exact too.

All intervals of a suite hold together with 99%: each gets 1% over the number of checks
(Bonferroni). Holm's procedure is sharper but orders *tests*; it yields no intervals of its own, and
an equivalence test needs the interval. A wider interval fits a tolerance less easily, so noise
never helps to pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

FAMILY = 0.01
"""Chance that any interval of a suite misses."""

Verdict = Literal["agree", "disagree", "inconclusive"]


@dataclass(frozen=True)
class Estimate:
    """A measured value and its confidence interval, low <= value <= high."""

    value: float
    low: float
    high: float


def level(checks: int, family: float = FAMILY) -> float:
    """Chance of one interval to miss, such that all of them hold with 1 - family (Bonferroni)."""
    return family / max(1, checks)


def fewest_groups(alpha: float) -> int:
    """Fewest values from which the median has an interval: 2 / 2^g <= alpha."""
    return max(2, math.ceil(1.0 + math.log2(1.0 / alpha)))


def median(values: ArrayLike, alpha: float) -> Estimate:
    """The median of a law from independent values of it.

    Parameters
    ----------
    values : (g,) array
    alpha : float
        Chance to miss.

    Returns
    -------
    Estimate
        Between two order statistics, exact for any law (proved: the r-th smallest of g values lies
        above a median only if fewer than r lie at or below it). Without enough values, all reals.
    """
    x = np.sort(np.asarray(values, dtype=float))
    r = rank(len(x), alpha)
    if r == 0:
        return Estimate(float(np.median(x)) if len(x) else math.nan, -math.inf, math.inf)
    return Estimate(float(np.median(x)), float(x[r - 1]), float(x[-r]))


def bracket(lows: ArrayLike, highs: ArrayLike, alpha: float) -> Estimate:
    """The median of a quantity each value of which is only known to lie between two numbers.

    The low end comes from the medians' interval of the low numbers, the high end from that of the
    high ones: whatever the values inside their brackets are, their own interval lies within.
    """
    low, high = median(lows, alpha), median(highs, alpha)
    return Estimate(0.5 * (low.value + high.value), low.low, high.high)


@cache
def rank(g: int, alpha: float) -> int:
    """Largest r with 2 P(Bin(g, 1/2) < r) <= alpha; 0 if there is none."""
    from scipy.stats import binom  # a second, which --list need not wait

    tails = 2.0 * binom.cdf(np.arange(g // 2 + 1), g, 0.5)  # 2 P(Bin <= r - 1) for r = 1, 2, ...
    return int(np.searchsorted(tails, alpha * (1.0 + 1e-12), side="right"))


def mean(values: ArrayLike, alpha: float) -> Estimate:
    """The mean of nearly normal independent values: Student's t.

    With fewer than two values, all reals.
    """
    from scipy.stats import t  # as above

    x = np.asarray(values, dtype=float)
    if len(x) < 2:
        return Estimate(float(x.mean()) if len(x) else math.nan, -math.inf, math.inf)
    middle = float(x.mean())
    half = float(t.isf(0.5 * alpha, len(x) - 1) * x.std(ddof=1) / math.sqrt(len(x)))
    return Estimate(middle, middle - half, middle + half)


def share(hits: int, of: int, alpha: float) -> Estimate:
    """A probability from independent trials (Clopper and Pearson 1934, exact)."""
    from scipy.stats import beta  # as above

    if of == 0:
        return Estimate(math.nan, 0.0, 1.0)
    low = float(beta.ppf(0.5 * alpha, hits, of - hits + 1)) if hits else 0.0
    high = float(beta.isf(0.5 * alpha, hits + 1, of - hits)) if hits < of else 1.0
    return Estimate(hits / of, low, high)


def verdict(estimate: Estimate, predicted: float, tolerance: float) -> Verdict:
    """Agree if the whole interval lies within predicted +- tolerance, disagree if all of it lies
    outside, else inconclusive."""
    low, high = predicted - tolerance, predicted + tolerance
    if low <= estimate.low and estimate.high <= high:
        return "agree"
    if estimate.high < low or estimate.low > high:
        return "disagree"
    return "inconclusive"


def agreed(verdicts: Sequence[Verdict]) -> Verdict:
    """The worst of several verdicts."""
    for one in ("disagree", "inconclusive"):
        if one in verdicts:
            return one
    return "agree"
