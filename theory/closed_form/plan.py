"""How the transform integral of a large row is laid out: numbers that decide speed, never truth.

`transform` proves its bounds for whatever line, nodes and number of kept patterns are given here.
More patterns kept as vertices make the rest of the transform fall with a higher power of the node,
so fewer nodes do; their vertices cost time and cancel, which takes bits. Floats suffice to choose.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from theory.closed_form.states import Row

KEPT = (4, 6, 8, 11, 14, 18, 23, 29, 36, 44, 54, 66)  # K, the number on, that is tried

_TALL = 25.0  # log of the transform on the line that is accepted


class Plan:
    """The line Re s = c, the period, the nodes, and the patterns kept for one row at one S.

    Parameters
    ----------
    row : Row
    S : float
    bits : int
        2^-bits is the absolute error aimed at.

    Attributes
    ----------
    period : int
        Above the largest sum + 1.
    c : Fraction
    kept : int
        Patterns with so many others on are summed as vertices.
    nodes : int
    spare : int
        Bits that the arithmetic loses to cancellation, about.
    """

    def __init__(self, row: Row, S: float, bits: int) -> None:
        c = np.array([float(row.field.ball(x).mid()) for x in row.cosines])
        m = np.array(row.counts, dtype=float)
        top = float(np.sum(m * np.maximum(c, 0.0))) + 1.0
        self.period = math.ceil(top + 1.0)
        # a longer period brings the line nearer to 0, where the transform is small
        while _growth(c, m, S, (bits + 8) * math.log(2.0) / self.period) > _TALL:
            self.period = math.ceil(1.25 * self.period)
        self.c = Fraction(round(64.0 * (bits + 8) * math.log(2.0) / self.period), 64)
        line, step = float(self.c), 2.0 * math.pi / self.period
        size = (np.exp(np.minimum(np.maximum(line * c, 0.0), 300.0)) + 1.0) / np.abs(c)
        goal = -(bits + 8) * math.log(2.0) - line
        terms = _logs(m, size, S, KEPT[-1] + 60)
        ends = np.array([*row.whole, (0,) * row.field.degree], dtype=float)
        spread = np.max(ends, axis=0) - np.min(ends, axis=0)
        best: tuple[float, int, float] | None = None
        for kept in KEPT:
            k = np.arange(kept + 1, terms.size)
            left = terms[kept + 1 :]
            # log of the rest at U: least U with max over k of terms - k log U below the goal
            reach = float(np.max((left - goal) / k, initial=0.0)) + 0.05
            # microseconds, of a hundred evaluations too
            nodes = math.exp(min(reach, 40.0)) / step
            pairs = np.ones(1)
            for many in m:
                pairs = np.convolve(pairs, np.ones(min(int(many), kept) + 1))[: kept + 1]
            combinations = float(np.sum(pairs))
            # equal sums are one vertex: no more of them than points of their lattice
            sums = min(combinations, float(np.prod(kept * spread + 1.0)))
            joined = min(combinations, sums * float(np.sum(np.minimum(m, kept) + 1.0)))
            cost = nodes * (400.0 + 40.0 * m.size + 4.0 * kept)
            cost += sums * (240.0 + 40.0 * kept) + 2.5 * kept * joined
            if best is None or cost < best[0]:
                best = cost, min(kept, int(m.sum())), math.exp(min(reach, 40.0))
            if not left.size or kept >= m.sum():
                break
        assert best is not None
        self.kept, self.nodes = best[1], max(16, math.ceil(best[2] / step))
        # vertices cancel: their terms are about (2 S m/c tau)^k/k!^2
        k = np.arange(1, self.kept + 1)
        tall = np.log(2.0 * S * np.sum(m / np.abs(c)) * (1.0 + top)) * k
        tall -= 2.0 * np.array([math.lgamma(x + 1.0) for x in k])
        # and so do the terms of the transform that are taken out, at the last node
        taken = terms[: self.kept + 1] - np.arange(self.kept + 1) * math.log(self.nodes * step)
        lost = max(float(np.max(tall)), 0.0) + max(float(np.max(taken)), 0.0)
        self.spare = 64 + round((lost + max(_growth(c, m, S, line), 0.0)) / math.log(2.0))


def _growth(c: np.ndarray, m: np.ndarray, S: float, line: float) -> float:
    """A bound on the log of the transform at ``line``, from both ends of each feature."""
    return float(np.sum(m * np.log1p(S * np.expm1(np.clip(line * c, -30.0, 300.0)))))


def _logs(m: np.ndarray, size: np.ndarray, S: float, most: int) -> np.ndarray:
    """log of S^k (1-S)^(n-k) e_k(size), k = 0 .. most, from a scaled product."""
    scale = float(np.sum(S * m * size)) + 1e-300
    total, shift = np.ones(1), 0.0
    for many, x in zip(m, size, strict=True):
        k = np.arange(min(int(many), most) + 1)
        logs = np.array([math.lgamma(many + 1) - math.lgamma(i + 1) for i in k])
        logs -= np.array([math.lgamma(many - i + 1) for i in k])
        logs += k * math.log(S * x / scale) + (many - k) * math.log(max(1.0 - S, 1e-12))
        shift += float(np.max(logs))
        total = np.convolve(total, np.exp(logs - np.max(logs)))[: most + 1]
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(total) + shift + np.arange(total.size) * math.log(scale))
