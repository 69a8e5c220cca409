"""When does an infinitesimal shadow pay? A local criterion, for blocks and for any (W, b).

A feature that is ignored gets a small vector eps u, |u| = 1. Its own output stays linear and costs
v + eps^2 (Var(u.h) - 2 v); a represented feature i sees noise eps (w_i.u) x_j, which costs half the
curvature of its loss in its bias, a_i = P(z_i > 0) - E[x_i delta(z_i)], times eps^2 (w_i.u)^2 v:

    pays  <=>  u^T K u < 2,   K = sum_i (1 + a_i) w_i w_i^T,

and in a tight one-orbit block K = rho (n/d) (1 + a), whatever u. Proved to second order in eps,
where all biases are at their best and no state sits exactly on a kink. Numbers are numerical.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from packing.errors import BadInput
from theory.features import Features, Float
from theory.loss import checked as checked_model
from theory.loss import engine
from theory.mixtures.blocks import Block, blocks, checked
from theory.mixtures.counts import FloatRow, _sums, binary_minimum
from theory.mixtures.transforms import Moments, uniform_minimum

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
