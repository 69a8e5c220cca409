"""The best mixture of blocks at one S, or at many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from packing.errors import BadInput
from theory.features import Float, whole
from theory.mixtures.blocks import Block, blocks, checked, variance
from theory.mixtures.programme import solve


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


def best_mixture(n: int, d: int, S: float, law: str = "binary") -> Mixture:
    """The mixture of blocks, dedicated and ignored features with the least loss.

    Parameters
    ----------
    n, d : int
        Features and dimensions.
    S : float
        Chance that a feature is on, in (0, 1].
    law : {"binary", "uniform"}

    Returns
    -------
    Mixture
        The integer programme is solved exactly for the blocks' numerical losses.

    Raises
    ------
    BadInput
        If an argument is no positive whole number or probability, or the law has no blocks.
    """
    n, d = whole(n, "n"), whole(d, "d")
    values = checked(S)
    table = fitting(n, d, law)
    return best_among(n, d, float(values[0]), law, table, losses(table, values, law)[:, 0])


def fitting(n: int, d: int, law: str) -> tuple[Block, ...]:
    """Blocks of the table that n features in d dimensions have room for."""
    if law not in ("binary", "uniform"):
        raise BadInput(f"law = {law!r}: mixtures are made for binary and uniform")
    return tuple(b for b in blocks(law) if b.n <= n and b.d <= d)


def losses(table: Sequence[Block], S: Float, law: str) -> Float:
    """Least losses per feature, (blocks, M)."""
    if not table:
        return np.zeros((0, np.size(S)))
    return np.stack([block.loss(S, law) for block in table])


def best_among(n: int, d: int, S: float, law: str, table: Sequence[Block], loss: Float) -> Mixture:
    """The best mixture of the blocks given, with their losses per feature (blocks,)."""
    v = float(variance(np.array(S), law))
    # a block must gain: those that are no better than dedicated and ignored features are dropped
    rank = sorted(range(len(table)), key=lambda k: (-table[k].n, k))
    items = [(1, 1, v)]
    items += [(table[k].d, table[k].n, table[k].n * (v - float(loss[k]))) for k in rank]
    if n <= d:
        counts: tuple[int, ...] = (n, *(0 for _ in rank))
    else:
        counts = solve([(a, b, g if np.isfinite(g) else 0.0) for a, b, g in items], d, n)
    parts = [(table[k].name, many) for k, many in zip(rank, counts[1:], strict=True) if many]
    used = sum(many * item[0] for many, item in zip(counts, items, strict=True))
    placed = sum(many * item[1] for many, item in zip(counts, items, strict=True))
    total = (n - placed) * v
    for k, many in zip(rank, counts[1:], strict=True):
        if many:
            total += many * table[k].n * float(loss[k])
    return Mixture(tuple(parts), counts[0], n - placed, n, d, used, S, total, law)
