"""The best mixture of blocks at one S, or at many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from theory.features import Float, law_named, whole
from theory.mixtures.blocks import Block, blocks, checked, variance
from theory.mixtures.importance import assign, weights_of
from theory.mixtures.programme import solve, value

LIMIT = 1e-4
"""The S whose blocks stand for those of S = 0: as S falls to 0 the sequence of best blocks has no
last member (with room for all features every loss falls faster than S)."""

SLOW = 8
"""Features of the largest block where a law has no fast path."""


@dataclass(frozen=True)
class Mixture:
    """Blocks in orthogonal subspaces, dedicated and ignored features.

    Parameters
    ----------
    parts : tuple of (name, count)
        Blocks, the largest first.
    dedicated, ignored : int
        Features with a dimension of their own (loss 0), and without any (loss their variance).
    n, d, d_used : int
        Features, dimensions, dimensions that are used.
    S : float
    loss : float
        Total; numerical, 1e-10 relative. Of all mixtures of the table's blocks the least, so an
        upper bound on the true optimum.
    law : str
    importance : tuple of float, optional
        Of each feature, where they differ.
    features : tuple of (name, features)
        With importance: which features each block holds, dedicated ones too; the others are
        ignored. Without, any assignment costs the same.
    """

    parts: tuple[tuple[str, int], ...]
    dedicated: int
    ignored: int
    n: int
    d: int
    d_used: int
    S: float
    loss: float
    law: str
    importance: tuple[float, ...] | None = None
    features: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @property
    def known(self) -> str:
        """How the loss is known."""
        if self.law in ("binary", "uniform"):
            return "numerical"
        return f"numerical, blocks of up to {SLOW} features"

    @property
    def name(self) -> str:
        """``3 pentagon + digon + 2 ignored``."""
        words = [name if k == 1 else f"{k} {name}" for name, k in self.parts]
        for count, word in ((self.dedicated, "dedicated"), (self.ignored, "ignored")):
            if count:
                words.append(f"{count} {word}")
        return " + ".join(words)

    @property
    def represented(self) -> int:
        return self.n - self.ignored

    @property
    def one_minus_S(self) -> float:
        return 1.0 - self.S


def best_mixture(
    n: int,
    d: int,
    S: float,
    law: str = "binary",
    importance: Sequence[float] | Float | None = None,
) -> Mixture:
    """The mixture of blocks, dedicated and ignored features with the least loss.

    Parameters
    ----------
    n, d : int
        Features and dimensions.
    S : float
        Chance that a feature is on, in [0, 1]. At S = 0, a limit, the loss is 0 and the blocks are
        those of S = LIMIT.
    law : {"binary", "uniform", "exponential"}
        The exponential law is slow, and knows blocks of up to SLOW features only.
    importance : (n,) array, optional
        Weights of the features in the loss; 1 unless given (`theory.mixtures.importance`).

    Returns
    -------
    Mixture
        The integer programme is solved exactly for the blocks' numerical losses.

    Raises
    ------
    BadInput
        If an argument is no positive whole number, probability or importance.
    """
    n, d = whole(n, "n"), whole(d, "d")
    weights = weights_of(importance, n)
    at = float(checked(S)[0])
    s = at if at > 0.0 else LIMIT
    table = fitting(n, d, law)
    loss = losses(table, np.array([s]), law)[:, 0]
    if weights is None:
        found = best_among(n, d, s, law, table, loss)
    else:
        found = best_weighted(n, d, s, law, table, loss, weights)
    return found if at > 0.0 else replace(found, S=0.0, loss=0.0)


def best_weighted(
    n: int,
    d: int,
    S: float,
    law: str,
    table: Sequence[Block],
    loss: Float,
    importance: tuple[float, ...],
) -> Mixture:
    """The best mixture of the blocks given for features of that importance; exact."""
    v = float(variance(np.array(S), law))
    sizes = [(1, 1), *((b.d, b.n) for b in table)]
    known = [0.0, *loss.tolist()]
    if n <= d:
        found: list[tuple[int, tuple[int, ...]]] = [(0, (i,)) for i in range(n)]
    else:
        found = assign(sizes, [v - x for x in known], d, importance)
    names = ["dedicated", *(b.name for b in table)]
    counts: dict[int, int] = {}
    for k, _ in found:
        counts[k] = counts.get(k, 0) + 1
    rank = sorted((k for k in counts if k), key=lambda k: (-sizes[k][1], k))
    placed = {i for _, features in found for i in features}
    total = sum(known[k] * importance[i] for k, features in found for i in features)
    total += v * sum(x for i, x in enumerate(importance) if i not in placed)
    used = sum(sizes[k][0] for k, _ in found)
    return Mixture(
        tuple((names[k], counts[k]) for k in rank),
        counts.get(0, 0),
        n - len(placed),
        n,
        d,
        used,
        S,
        float(total),
        law,
        importance,
        tuple((names[k], features) for k, features in found),
    )


def fitting(n: int, d: int, law: str) -> tuple[Block, ...]:
    """Blocks of the table that n features in d dimensions have room for."""
    slow = law_named(law).name not in ("binary", "uniform")
    return tuple(b for b in blocks(law) if b.n <= min(n, SLOW if slow else n) and b.d <= d)


def reach(table: Sequence[Block], d: int) -> int:
    """Features that d dimensions can hold at most: any further ones are ignored."""
    return max([d, *(b.n * d // b.d for b in table)])


def losses(table: Sequence[Block], S: Float, law: str, *, rough: bool = False) -> Float:
    """Least losses per feature, (blocks, M); rough ones are good to about 1e-3."""
    if not table:
        return np.zeros((0, np.size(S)))
    return np.stack([block.loss(S, law, rough=rough) for block in table])


def best_among(
    n: int,
    d: int,
    S: float,
    law: str,
    table: Sequence[Block],
    loss: Float,
    known: Sequence[Mixture] = (),
) -> Mixture:
    """The best mixture of the blocks given, with their losses per feature (blocks,).

    Mixtures of the same blocks that are known, good ones at a neighbouring S, save time.
    """
    v = float(variance(np.array(S), law))
    # a block must gain: those that are no better than dedicated and ignored features are dropped
    rank = sorted(range(len(table)), key=lambda k: (-table[k].n, k))
    items = [(1, 1, v)]
    items += [(table[k].d, table[k].n, table[k].n * (v - float(loss[k]))) for k in rank]
    if n <= d:
        counts: tuple[int, ...] = (n, *(0 for _ in rank))
    else:
        items = [(a, b, g if np.isfinite(g) else 0.0) for a, b, g in items]
        starts = [_counts(m, [table[k].name for k in rank]) for m in known]
        start = max(starts, key=lambda c: value(items, c)) if starts else None
        counts = solve(items, d, min(n, reach(table, d)), start)
    parts = [(table[k].name, many) for k, many in zip(rank, counts[1:], strict=True) if many]
    used = sum(many * item[0] for many, item in zip(counts, items, strict=True))
    placed = sum(many * item[1] for many, item in zip(counts, items, strict=True))
    total = (n - placed) * v
    for k, many in zip(rank, counts[1:], strict=True):
        if many:
            total += many * table[k].n * float(loss[k])
    return Mixture(tuple(parts), counts[0], n - placed, n, d, used, S, total, law)


def _counts(mixture: Mixture, names: Sequence[str]) -> tuple[int, ...]:
    parts = dict(mixture.parts)
    return (mixture.dedicated, *(parts.get(name, 0) for name in names))
