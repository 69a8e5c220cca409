"""Patterns with few other features on, uniform law: their vertices, and their transform."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from theory.features import Float

FEW = 4
"""Other features on in the patterns that are summed in closed form."""


def few_on(c: Float, m: Float, S: Float) -> dict[int, tuple[Float, Float]]:
    """Patterns with up to FEW others on, as vertices: number on -> weights (M, T), vertices (T,).

    k features on at cosines a contribute sum over vertices (-1)^(k - |e|) g_k(a.e)/prod a, with g_k
    the k-th antiderivative.
    """
    others = m.sum()
    found: dict[tuple[int, float], Float] = {}
    for k in range(min(FEW, int(others)) + 1):
        chance = S**k * (1.0 - S) ** (others - k)
        for chosen in itertools.combinations_with_replacement(range(c.size), k):
            counts = np.bincount(np.array(chosen, dtype=int), minlength=c.size)
            ways = math.prod(math.comb(int(a), int(b)) for a, b in zip(m, counts, strict=True))
            if not ways:
                continue
            a = c[list(chosen)]
            for e in itertools.product((0, 1), repeat=k):
                sign = (-1.0) ** (k - sum(e)) * ways / float(np.prod(a))
                key = (k, round(float(np.dot(a, e)), 13))
                found[key] = found.get(key, 0.0) + sign * chance
    terms = {}
    for k in sorted({k for k, _ in found}):
        kept = [(w, v) for (order, v), w in found.items() if order == k and np.any(w)]
        if kept:
            terms[k] = np.stack([w for w, _ in kept], axis=1), np.array([v for _, v in kept])
    return terms


def low_orders(kernel: np.ndarray, m: Float, S: Float) -> np.ndarray:
    """The same patterns in the transform: elementary symmetric sums from power sums."""
    others = int(m.sum())
    e = elementary(kernel, m, FEW)
    total = np.zeros((S.size, kernel.shape[1]), dtype=complex)
    for k in range(min(FEW, others) + 1):
        total += (S**k * (1.0 - S) ** (others - k))[:, None] * e[k]
    return total


def elementary(x: Any, m: Float, most: int) -> list[Any]:
    """Elementary symmetric sums of x with multiplicities, from power sums (Newton)."""
    power = [(m[:, None] * x**k).sum(axis=0) if x.ndim == 2 else m @ x**k for k in range(most + 1)]
    e = [power[0] * 0 + 1.0]
    for k in range(1, most + 1):
        e.append(sum((-1.0) ** (i - 1) * e[k - i] * power[i] for i in range(1, k + 1)) / k)
    return e
