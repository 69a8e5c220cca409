"""Mixtures that compete at one S, what each is made of, and how losses and crossings are known.

A part is a block at its best norm and bias. Its loss is proved (binary law: a rational function of
S) or enclosed where `theory.symmetric.closed_form` answers quickly, else numerical. Blocks are
orthogonal, so losses, capacities and squared norms of a mixture are sums over its parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from time import process_time
from typing import Any

import numpy as np

from packing.errors import BadInput, NotReached
from packing.optimise import descend
from packing.results import Evidence
from packing.types import Float
from theory.features import Features, whole
from theory.global_search import Problem, Shape, polish
from theory.losses.expected import loss as expected_loss
from theory.mixtures.block_losses import binary_minimum, pair_minimum, uniform_minimum
from theory.mixtures.block_table import Block, blocks, checked
from theory.mixtures.gaussian_limit import shortfall
from theory.mixtures.mixture import Mixture, best_among, fitting, losses
from theory.symmetric import closed_form, crossing, mixture

ENCLOSED = {"binary": 40, "uniform": 12}
"""Largest block whose minimum is enclosed for a table; larger ones take more than a moment."""

SMALL, FEW = 16, 3
"""Crossings are enclosed unasked where the mixtures differ in so few blocks of so few points."""

SECONDS = 5.0
"""Processor time for the crossings of one table that are enclosed unasked."""

_WIDTH = 1e-10  # relative, of the interval at whose ends the signs of a crossing are proved
_FORCED = 40  # blocks that are forced into a mixture: those that lack least of the envelope


def rival_mixtures(n: int, d: int, S: float, law: str, most: int = 12) -> list[Mixture]:
    """The best mixture and those that compete with it, the cheapest first.

    For every block that fits, the best mixture that holds it; the best without each block of the
    winner; the best that dedicates, and that ignores, a feature. A mixture of the same blocks in
    other numbers may lie between two of them.

    Parameters
    ----------
    n, d : int
    S : float
        In (0, 1].
    law : {"binary", "uniform"}
    most : int
        At most so many.

    Raises
    ------
    BadInput
        If an argument is out of range or the law has no blocks.
    """
    n, d, most = whole(n, "n"), whole(d, "d"), whole(most, "most")
    S = float(checked(S)[0])
    v = float(Features.of(1, S, law).variance[0])
    table = fitting(n, d, law)
    loss = losses(table, np.array([S]), law)[:, 0]

    def best(n: int, d: int, without: str = "") -> Mixture:
        if n == 0 or d == 0:
            return Mixture((), 0, n, n, d, 0, S, n * v, law)
        kept = [k for k, b in enumerate(table) if b.n <= n and b.d <= d and b.name != without]
        return best_among(n, d, S, law, tuple(table[k] for k in kept), loss[kept])

    def holding(k: int) -> Mixture:
        block = table[k]
        rest = best(n - block.n, d - block.d)
        counts = dict(rest.parts)
        counts[block.name] = counts.get(block.name, 0) + 1
        size = {b.name: b.n for b in table}
        parts = tuple(sorted(counts.items(), key=lambda part: (-size[part[0]], part[0])))
        used, cost = rest.d_used + block.d, rest.loss + block.n * float(loss[k])
        return replace(rest, parts=parts, n=n, d=d, d_used=used, loss=cost)

    found = [best(n, d)]
    if d < n:
        found += [holding(k) for k in _forced(table, loss, S, law)]
        found += [best(n, d, without=name) for name, _ in found[0].parts]
        rest = best(n - 1, d - 1)
        found.append(replace(rest, dedicated=rest.dedicated + 1, n=n, d=d, d_used=rest.d_used + 1))
        rest = best(n - 1, d)
        found.append(replace(rest, ignored=rest.ignored + 1, n=n, loss=rest.loss + v))
    distinct = {(m.parts, m.dedicated, m.ignored): m for m in found}
    return sorted(distinct.values(), key=lambda m: (m.loss, m.ignored))[:most]


def _forced(table: Sequence[Block], loss: Float, S: float, law: str) -> list[int]:
    usable = [k for k in range(len(table)) if np.isfinite(loss[k])]
    if len(usable) <= _FORCED:
        return usable
    lacking = shortfall([table[k] for k in usable], loss[usable], S, law)
    return [usable[k] for k in np.argsort(lacking, kind="stable")[:_FORCED]]


@dataclass(frozen=True)
class Part:
    """A block at its best norms and biases.

    Parameters
    ----------
    loss, solo : float
        Of the whole block: expected loss, and what its features would cost alone (capacity).
    size : float
        Sum of squared norms.
    max_cosine : float
        Largest cosine between two of its features.
    known : Evidence
        Of the loss, for a block kept symmetric.
    """

    loss: float
    solo: float
    size: float
    max_cosine: float
    known: Evidence


@dataclass(frozen=True)
class Sum:
    """A mixture at one S: the same, summed over its parts, ignored and dedicated features."""

    loss: float
    capacity: float
    D_star: float | None
    max_cosine: float | None
    known: Evidence


def weakest(known: Iterable[Evidence]) -> Evidence:
    """How a sum is known whose terms are known so; a sum of nothing is proved."""
    return max(known, key=list(Evidence).index, default=Evidence.PROVED)


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
    solo = expected_loss([[np.sqrt(rho)]], [bias], features=Features.of(1, S, law)).total
    return Part(block.n * loss, block.n * solo, block.n * rho, max(cosines), known)


def _minimum(block: Block, S: float, law: str) -> tuple[float, float, float, Evidence]:
    """Loss per feature, squared norm, bias, and how the loss is known."""
    if block.n <= ENCLOSED.get(law, 1024):
        try:
            found = closed_form(block.name, law).minimum(S, 12)
            loss, rho, bias = (float(x.mid()) for x in (found.loss, found.rho, found.bias))
            # binary: the value of a rational function of S, so a formula, though shown in digits
            exact = law == "binary" and found.active > 0
            return loss, rho, bias, Evidence.PROVED if exact else found.known
        except NotReached:
            pass
    quick = {"binary": binary_minimum, "uniform": uniform_minimum}
    if law not in quick:
        raise BadInput(f"{block.name} has too many features for numbers under the {law} law")
    at = quick[law](block.row, np.array([S]))
    return float(at[0][0]), float(at[1][0]), float(at[2][0]), Evidence.NUMERICAL


def _pair(name: str, S: float) -> Part:
    """Two features in one dimension with unequal norms, binary law: descended and polished."""
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
    capacity = expected_loss(W_, b, features=features).capacity
    return Part(point.value, capacity, float(np.sum(W_**2)), float(sign), Evidence.NUMERICAL)


def summed(m: Mixture, law: str | None = None) -> Sum:
    """What a mixture costs at its S, under its own law or another, and how that is known.

    Raises
    ------
    BadInput
        If a block has no form under that law.
    """
    law = law or m.law
    parts = [(part(name, m.S, law), many) for name, many in m.parts]
    ignored = m.ignored * float(Features.of(1, m.S, law).variance[0])
    size = m.dedicated + sum(many * one.size for one, many in parts)
    cosines = [one.max_cosine for one, _ in parts]
    if m.dedicated + sum(many for _, many in parts) > 1:
        cosines.append(0.0)
    return Sum(
        ignored + sum(many * one.loss for one, many in parts),
        ignored + sum(many * one.solo for one, many in parts),
        m.d / size if size > 0.0 else None,
        max(cosines, default=None),
        weakest(one.known for one, _ in parts),
    )


def largest_cosine(W: Float) -> float | None:
    """The largest cosine between two represented columns of W (d, n); None where there are < 2."""
    norms = np.linalg.norm(W, axis=0)
    V = W[:, norms > 1e-6] / norms[norms > 1e-6]
    if V.shape[1] < 2:
        return None
    found = float(np.max((V.T @ V)[np.triu_indices(V.shape[1], 1)]))
    return 0.0 if abs(found) < 1e-12 else found  # rounding of orthogonal vectors


# How crossings are known.


@dataclass
class Certainty:
    """How crossings are known, with a bound on the time that finding it out takes.

    Parameters
    ----------
    every : bool
        Enclose all crossings that have formulas, however long that takes; otherwise those of a few
        small blocks (FEW, SMALL), until the time is up.
    seconds : float
        Processor time for all crossings together; not kept to where ``every`` is asked for.
    """

    every: bool = False
    seconds: float = SECONDS
    spent: float = 0.0
    kept: dict[Any, Evidence] = field(default_factory=dict)

    def of(self, a: Mixture, b: Mixture, S: float) -> Evidence:
        """Proved, enclosed or numerical: the crossing of two mixtures near S."""
        key = _difference(a, b), round(S, 9)
        if key not in self.kept:
            if not self.every and (self.spent > self.seconds or not _quick(a, b)):
                return Evidence.NUMERICAL
            start = process_time()
            self.kept[key] = evidence_of(a, b, S)
            self.spent += process_time() - start
        return self.kept[key]


def _quick(a: Mixture, b: Mixture) -> bool:
    """Whether the blocks that two mixtures do not share are few and small."""
    parts = _difference(a, b)[0]
    size = {block.name: block.n for block in blocks(a.law)}
    return len(parts) <= FEW and all(size[name] <= SMALL for name, _ in parts)


def evidence_of(a: Mixture, b: Mixture, S: float) -> Evidence:
    """Whether the crossing of two mixtures near S is proved, enclosed or only numerical."""
    parts, dedicated, ignored = _difference(a, b)
    unequal = any(name in ("uneven digon", "parallel pair") for name, _ in parts)
    if unequal or a.law not in ("binary", "uniform"):  # these have no exact forms
        return Evidence.NUMERICAL
    sides = [
        mixture(
            *((name, sign * k) for name, k in parts if sign * k > 0),
            ignored=max(0, sign * ignored),
            dedicated=max(0, sign * dedicated),
            law=a.law,
        )
        for sign in (1, -1)
    ]
    try:
        width = _WIDTH * S
        return crossing(sides[0], sides[1], S - width, S + width, digits=9).known
    except (BadInput, NotReached):
        return Evidence.NUMERICAL


def _difference(a: Mixture, b: Mixture) -> tuple[tuple[tuple[str, int], ...], int, int]:
    """a less b: counts of blocks, dedicated and ignored features, what they share left out."""
    counts = dict(a.parts)
    for name, many in b.parts:
        counts[name] = counts.get(name, 0) - many
    parts = tuple(sorted((name, k) for name, k in counts.items() if k))
    return parts, a.dedicated - b.dedicated, a.ignored - b.ignored
