"""Least losses of one-orbit blocks under the binary law, for many S at once, in floats.

A feature sees t = x + sum_k c_k J_k with J_k ~ Binomial(m_k, S); its output is (rho t + b)_+. For
each set of active states t > threshold the loss is quadratic in (rho, b) and its minimiser has a
formula (docs/phases.md; `theory.closed_form.binary` proves that nothing else can be best). Here the
formula only proposes (rho, b): what is returned is the loss at the best of them, a sum of squares,
so its relative error is that of the weights (about 1e-13) and it is never below the truth by more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import scipy.sparse as sparse
from scipy.special import gammaln

from packing.arrangement import Int
from packing.errors import NotReached
from theory.features import Float

FloatRow = Sequence[tuple[float, int]]
"""Cosines other than 0 with the other features, and how many have each."""

LARGEST = 60_000
"""Sums t beyond which a row is refused; they take time, and nothing is gained by so many."""

_NEGLIGIBLE = 1e-26  # chance of a count that is left out; a sum of squares is at most about 1e4
_CHUNK, _ENTRIES = 64, 4_000_000  # S that are done together, and numbers in one array


def binary_minimum(row: FloatRow, S: Float) -> tuple[Float, Float, Float]:
    """Least loss per feature over (rho, b), with the norm and bias that give it.

    Parameters
    ----------
    row : sequence of (cosine, count)
    S : (M,) array
        In (0, 1).

    Returns
    -------
    loss, rho, b : (M,) arrays
        Numerical; relative error about 1e-12.

    Raises
    ------
    NotReached
        If the row has too many different sums.
    """
    S = np.asarray(S, dtype=float)
    out = np.empty((3, S.size))
    for part in alike(S, 3.0, _CHUNK, 1e-12):
        out[:, part] = _chunk(row, S[part])
    return out[0], out[1], out[2]


def alike(S: Float, ratio: float, most: int, spare: float = 0.0) -> Iterator[Int]:
    """Indices of S, upwards, in groups of at most ``most`` within a factor (and ``spare``)."""
    order = np.argsort(S)
    start = 0
    while start < S.size:
        top = ratio * S[order[start]] + spare
        stop = start + 1
        while stop < S.size and stop - start < most and S[order[stop]] <= top:
            stop += 1
        yield order[start:stop]
        start = stop


def _chunk(row: FloatRow, S: Float) -> Float:
    t, weight = _sums(row, S)
    t = np.concatenate([t, t + 1.0])
    off, on = (1.0 - S)[:, None] * weight, S[:, None] * weight
    down = np.argsort(-t)
    t = t[down]
    mass = np.concatenate([off, on], axis=1)[:, down]
    own = np.concatenate([np.zeros_like(off), on], axis=1)[:, down]
    M0, M1, M2 = (np.cumsum(mass * t**k, axis=1) for k in range(3))
    X0, X1 = np.cumsum(own, axis=1), np.cumsum(own * t, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        D = M0 * M2 - M1 * M1
        rho, b = (X1 * M0 - X0 * M1) / D, (X0 * M2 - X1 * M1) / D
        gain = rho * X1 + b * X0
    following = np.append(t[1:], -np.inf)
    slack = 1e-11 * (1.0 + np.abs(b))
    with np.errstate(invalid="ignore"):
        valid = (D > 0) & (rho > 0) & (rho * t + b >= -slack)
        valid[:, :-1] &= (rho * following + b <= slack)[:, :-1]
    gain = np.where(valid & np.isfinite(gain), gain, -np.inf)
    best = np.stack([S * (1.0 - S), np.zeros_like(S), S])
    rows = np.arange(S.size)
    for _ in range(3):  # rounding may swap the formulas of near ties: squares decide
        k = np.argmax(gain, axis=1)
        known = np.isfinite(gain[rows, k])
        r, c = np.where(known, rho[rows, k], 0.0), np.where(known, b[rows, k], S)
        z = np.maximum(r[:, None] * t + c[:, None], 0.0)
        value = np.sum((mass - own) * z * z + own * (1.0 - z) ** 2, axis=1)
        better = value < best[0]
        best = np.where(better, np.stack([value, r, c]), best)
        gain[rows, k] = -np.inf
    return best


def _sums(row: FloatRow, S: Float) -> tuple[Float, Float]:
    """Different sums over the other features, and their chances (M, N)."""
    t, weight = np.zeros(1), np.ones((S.size, 1))
    for c, m in row:
        j, p = _binomial(m, S)
        wide = (t[:, None] + c * j).ravel()
        if wide.size * S.size > 8 * _ENTRIES and S.size > 1:
            halves = [_sums(row, part) for part in np.array_split(S, 2)]
            return _joined(halves)
        keys, back = np.unique(np.round(wide, 10), return_inverse=True)
        if keys.size > LARGEST:
            raise NotReached(f"a feature receives more than {LARGEST} different sums", None)
        gather = sparse.csr_matrix(
            (np.ones(wide.size), (back.ravel(), np.arange(wide.size))), (keys.size, wide.size)
        )
        # the sum itself, not its rounded key: any member of a group is right to 1e-15
        t = np.empty(keys.size)
        t[back.ravel()] = wide
        weight = (gather @ (weight[:, :, None] * p[:, None, :]).reshape(S.size, -1).T).T
    return t, weight


def _joined(halves: list[tuple[Float, Float]]) -> tuple[Float, Float]:
    """Chances over the union of the sums of two groups of S."""
    keys = np.unique(np.concatenate([np.round(t, 10) for t, _ in halves]))
    values, total = np.empty(keys.size), []
    for t, weight in halves:
        at = np.searchsorted(keys, np.round(t, 10))
        values[at] = t
        full = np.zeros((weight.shape[0], keys.size))
        full[:, at] = weight
        total.append(full)
    return values, np.concatenate(total)


def _binomial(m: int, S: Float) -> tuple[Float, Float]:
    """Counts j that have a chance at some of these S, and their chances (M, len(j))."""
    j = np.arange(m + 1.0)
    ways = np.round(gammaln(m + 1.0) - gammaln(j + 1.0) - gammaln(m - j + 1.0), 15)
    count = np.exp(ways)
    small = m < 50
    if small:
        count = np.round(count)
    chance = count * S[:, None] ** j * (1.0 - S[:, None]) ** (m - j)
    kept = np.max(chance, axis=0) > _NEGLIGIBLE
    return j[kept], chance[:, kept]
