"""Blocks and mixtures at one S, with everything a table says of them.

A part is a block at its best norm and bias. Its loss is exact (binary law: a rational function of
S) or rigorous (enclosed) where `theory.closed_form` answers quickly, else numerical. Blocks are
orthogonal, so losses, capacities and squared norms of a mixture are sums over its parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from packing.errors import BadInput, NotReached
from packing.types import Float
from theory.features import Features
from theory.mixtures.block_losses import binary_minimum, uniform_minimum
from theory.mixtures.block_table import Block, blocks
from theory.mixtures.mixture import Mixture

ENCLOSED = {"binary": 40, "uniform": 12}
"""Largest block whose minimum is enclosed for a table; larger ones take more than a moment."""

KNOWN = ("proved", "enclosed", "numerical")
"""How a number is known, the best first."""


@dataclass(frozen=True)
class Part:
    """A block at its best norms and biases.

    Parameters
    ----------
    n : int
        Features.
    loss, solo : float
        Of the whole block: expected loss, and what its features would cost alone (capacity).
    size : float
        Sum of squared norms.
    max_cosine : float
        Largest cosine between two of its features; -1 where there is just one.
    known : {"proved", "enclosed", "numerical"}
        How the loss is known, for a block kept symmetric.
    """

    n: int
    loss: float
    solo: float
    size: float
    max_cosine: float
    known: str


@dataclass(frozen=True)
class Sum:
    """A mixture at one S: the same, summed over its parts, ignored and dedicated features."""

    loss: float
    capacity: float
    D_star: float | None
    max_cosine: float | None
    known: str


def weakest(known: Sequence[str]) -> str:
    """How a sum is known whose terms are known so; a sum of nothing is exact."""
    return KNOWN[max((KNOWN.index(k) for k in known), default=0)]


@lru_cache(maxsize=512)
def part(name: str, S: float, law: str) -> Part:
    """A block of the table at one S.

    Parameters
    ----------
    name : str
        Of `theory.mixtures.block_table`.
    S : float
    law : str
        For a law without blocks (exponential) the search for norm and bias is numerical.

    Raises
    ------
    BadInput
        If the table has no such block, or none under this law.
    """
    table = {b.name: b for b in blocks("binary" if law == "binary" else "uniform")}
    if name not in table:
        raise BadInput(f"there is no block {name!r} under the {law} law")
    block = table[name]
    if not block.row:
        return _pair(name, S)
    loss, rho, bias, known = _minimum(block, S, law)
    cosines = [c for c, _ in block.row]
    if 1 + sum(m for _, m in block.row) < block.n:
        cosines.append(0.0)
    solo = _solo(rho, bias, S, law)
    n = block.n
    return Part(n, n * loss, n * solo, n * rho, max(cosines), known)


def _minimum(block: Block, S: float, law: str) -> tuple[float, float, float, str]:
    """Loss per feature, squared norm, bias, and how the loss is known."""
    from theory.symmetric import closed_form

    if block.n <= ENCLOSED.get(law, 1024):
        try:
            found = closed_form(block.name, law).minimum(S, 12)
            loss, rho, bias = (float(x.mid()) for x in (found.loss, found.rho, found.bias))
            # binary: the value of a rational function of S, so a formula, though shown in digits
            exact = law == "binary" and found.active > 0
            return loss, rho, bias, "proved" if exact else found.known
        except NotReached:
            pass
    quick = {"binary": binary_minimum, "uniform": uniform_minimum}
    if law not in quick:
        raise BadInput(f"{block.name} has too many features for numbers under the {law} law")
    at = quick[law](block.row, np.array([S]))
    return float(at[0][0]), float(at[1][0]), float(at[2][0]), "numerical"


def _solo(rho: float, bias: float, S: float, law: str) -> float:
    from theory.losses.expected import loss

    return loss([[np.sqrt(rho)]], [bias], features=Features.of(1, S, law)).total


def _pair(name: str, S: float) -> Part:
    """Two features in one dimension with unequal norms, binary law: descended and polished."""
    from packing.optimise import descend
    from theory.global_search import Problem, Shape, polish
    from theory.losses.expected import loss
    from theory.mixtures.block_losses import pair_minimum

    sign = -1 if name == "uneven digon" else 1
    wanted, ratio = (float(x[0]) for x in pair_minimum(np.array([S]), sign))
    features = Features.of(2, S, "binary")
    problem = Problem(features, Shape(2, 1, True))
    norms = np.array([0.2, 0.5, 0.8, 1.0, 1.1])
    W = norms[:, None] * np.array([1.0, sign * ratio])
    levels = np.array([[0.0, 0.0], [S * S / 2.0, S * S], [S / 2.0, S]])
    theta = np.concatenate([np.tile(W, (3, 1)), np.repeat(levels, len(W), axis=0)], axis=1)
    down, value = descend(problem, theta, 300, tolerance=1e-13)
    # the pair that is meant: of all that were reached the one whose loss the table has
    point = polish(problem, down[int(np.argmin(np.abs(value - wanted)))])
    if abs(point.value - wanted) > 1e-6 * wanted:
        raise NotReached(f"no {name} of loss {wanted:.6g} was found at S = {S:g}", None)
    W_, b = (q[0] for q in problem.shape.split(point.theta[None]))
    answer = loss(W_, b, features=features)
    return Part(2, point.value, answer.capacity, float(np.sum(W_**2)), float(sign), "numerical")


def summed(m: Mixture, law: str | None = None) -> Sum:
    """What a mixture costs at its S, under its own law or another, and how that is known.

    Raises
    ------
    BadInput
        If a block has no form under that law.
    """
    law = law or m.law
    v = float(Features.of(1, m.S, law).variance[0])
    loss = capacity = m.ignored * v
    size = float(m.dedicated)
    known = []
    cosines = [0.0] if m.dedicated + sum(k for _, k in m.parts) > 1 else []
    for name, many in m.parts:
        one = part(name, m.S, law)
        loss += many * one.loss
        capacity += many * one.solo
        size += many * one.size
        cosines.append(one.max_cosine)
        known.append(one.known)
    D_star = m.d / size if size > 0.0 else None
    return Sum(loss, capacity, D_star, max(cosines, default=None), weakest(known))


def largest_cosine(W: Float) -> float | None:
    """The largest cosine between two represented columns; None where there are not two."""
    norms = np.linalg.norm(W, axis=0)
    V = W[:, norms > 1e-6] / norms[norms > 1e-6]
    if V.shape[1] < 2:
        return None
    found = float(np.max((V.T @ V)[np.triu_indices(V.shape[1], 1)]))
    return 0.0 if abs(found) < 1e-12 else found  # rounding of orthogonal vectors
