"""Blocks that mixtures are made of, and their least losses at many S at once.

A block is a catalogue entry whose vectors all see the same cosines and do not split into orthogonal
parts, with one norm and one bias; under the binary law also two features in one dimension with
unequal norms. With its symmetry broken a block may cost less, so every loss here is an upper bound
on what its features need in its dimensions. Numerical, to 1e-10 relative (`theory.symmetric`
encloses the same minima).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from packing.catalogue.entry_types import Entry
from packing.errors import BadInput
from packing.types import Float
from theory.features import law_named
from theory.mixtures.block_losses import FloatRow, binary_minimum, pair_minimum, uniform_minimum

LARGEST = 330
"""Points of the largest block in the table."""

_PAIRS = {"uneven digon": -1, "parallel pair": 1}
_COSINES = 8  # different cosines of a block: beyond, too many sums under the binary law
_POLYGON, _SIMPLEX = 12, 24


@dataclass(frozen=True)
class Block:
    """n features in d dimensions that are placed together.

    Parameters
    ----------
    name : str
    d, n : int
    row : tuple of (cosine, count)
        Cosines other than 0 with the n - 1 others; empty for unequal pairs and dedicated features.
    """

    name: str
    d: int
    n: int
    row: tuple[tuple[float, int], ...]

    def loss(self, S: Float | Sequence[float], law: str, *, rough: bool = False) -> Float:
        """Least loss per feature at each S (M,); infinite where an unequal pair is none."""
        S = np.asarray(S, dtype=float)
        if self.name in _PAIRS:
            out = np.full(S.shape, np.inf)
            inner = S > 0.0
            if law == "binary" and np.any(inner):
                loss, ratio = pair_minimum(S[inner], _PAIRS[self.name])
                # at ratio 1 it is the even pair, at ratio 0 one feature is ignored
                out[inner] = np.where((ratio < 1.0 - 2e-6) & (ratio > 1e-5), loss / 2.0, np.inf)
            return out
        if rough and law == "uniform" and self.row:
            return uniform_minimum(self.row, S, rough=True)[0]
        return block_loss(self.row, S, law)


def block_loss(row: FloatRow, S: Float | Sequence[float], law: str = "binary") -> Float:
    """Least loss per feature of a block with one norm and one bias, for many S at once.

    Parameters
    ----------
    row : sequence of (cosine, count)
        Cosines with the other features.
    S : (M,) array
        In [0, 1]; at S = 0, a limit, the loss is 0.
    law : {"binary", "uniform", "exponential"}
        Others than binary and uniform have no fast path: about a second per S, and 1e-6 relative.

    Returns
    -------
    (M,) array
        Numerical, relative error below 1e-10 for S >= 1e-4 (uniform: squared norms up to
        `transforms.LONGEST`); the exact minimum lies in `closed_form(...).minimum(S)`.

    Raises
    ------
    BadInput
        If S is no probability or the law is unknown.
    NotReached
        If a binary row has too many different sums.
    """
    S = checked(S)
    row = [(float(c), int(m)) for c, m in row if abs(c) > 1e-13]
    name = law_named(law).name
    if not row:
        return np.zeros(S.shape)
    out = np.zeros(S.shape)
    inner = (S > 0.0) & (S < 1.0 if name == "binary" else S <= 1.0)
    if name not in ("binary", "uniform"):
        out[inner] = [_searched(tuple(row), s, name) for s in S[inner].tolist()]
        return out
    if not np.any(inner):
        return out
    found = binary_minimum if law == "binary" else uniform_minimum
    out[inner] = found(row, S[inner])[0]
    return out


@lru_cache(maxsize=4096)
def _searched(row: tuple[tuple[float, int], ...], S: float, law: str) -> float:
    """The least loss by the engines of `theory.loss`, over norm and bias from several starts."""
    from scipy.optimize import minimize

    from theory.losses.expected import engine

    found = law_named(law)
    g = np.concatenate([[1.0], *(np.full(m, c) for c, m in row)])

    def cost(at: Float) -> tuple[float, Float]:
        norm = float(np.exp(at[0]))
        answer = engine(
            norm * g[None, :],
            np.array([at[1]]),
            np.zeros(1, dtype=int),
            np.full((1, g.size), S),
            found,
            gradient=True,
        )[1]
        assert answer.dA is not None and answer.db is not None
        slope = np.array([norm * float(answer.dA[0] @ g), float(answer.db[0])])
        return float(answer.value[0]), slope

    alone = S * (found.second - found.mean**2 * S)
    least = alone
    for norm, bias in ((1.1, -0.2 * found.mean), (0.5, found.mean * S)):
        start = np.array([np.log(norm), bias])
        least = min(least, float(minimize(cost, start, jac=True, method="BFGS").fun))
    return least


def checked(S: Any) -> Float:
    """S as an (M,) array of probabilities, 0 among them as a limit, or BadInput."""
    S = np.atleast_1d(np.asarray(S, dtype=float))
    if S.ndim != 1 or not np.all((S >= 0) & (S <= 1)):
        raise BadInput(
            f"S = {S} holds no probabilities: give the chance that a feature is on, in (0, 1]; "
            "Elhage et al.'s sparsity is 1 - S"
        )
    return S


def variance(S: Float, law: str) -> Float:
    """What an ignored feature costs."""
    found = law_named(law)
    spread = found.second - found.mean**2
    return np.asarray(S * (spread + found.mean**2 * (1.0 - np.asarray(S, dtype=float))))


@lru_cache(maxsize=4)
def blocks(law: str = "binary") -> tuple[Block, ...]:
    """The table of blocks: digon, simplices, polygons, polytopes, sharp codes, graphs, lines.

    Catalogue entries of one row up to LARGEST points that do not split, with their dimension; the
    unequal pairs (binary). Dimensions and features that stay over are filled with dedicated and
    ignored features by the programme, so those are not listed.
    """
    from packing.catalogue import entries, entry

    listed = {one.name: one for one in entries(largest=LARGEST)}
    for k in range(9, _SIMPLEX + 1):  # families are listed with their small members only
        for name in (f"{k}-simplex", f"doubled {k}-simplex"):
            listed.setdefault(name, entry(name))
    found = []
    for one in sorted(listed.values(), key=lambda x: (x.d, x.n)):
        if one.d == 2 and one.n > _POLYGON:
            continue
        block = _usable(one)
        if block is not None:
            found.append(block)
    pairs = [Block(name, 1, 2, ()) for name in _PAIRS] if law == "binary" else []
    return (*found, *pairs)


def _usable(one: Entry) -> Block | None:
    if len(one.rows) != 1:
        return None
    row = tuple((c.value, m) for c, m in one.rows[0][1] if abs(c.value) > 1e-13)
    if len(row) > _COSINES or (one.n > 2 * sum(m for _, m in row) and not row):
        return None
    if 1 + sum(m for _, m in row) < one.n and one.built and _splits(one):
        return None
    return Block(one.name, one.d, one.n, row)


def _splits(one: Entry) -> bool:
    """Whether the vectors fall into mutually orthogonal groups."""
    import scipy.sparse as sparse
    from scipy.sparse.csgraph import connected_components

    linked = np.abs(one.gram.floats) > 1e-9
    return int(connected_components(sparse.csr_matrix(linked), directed=False)[0]) > 1
