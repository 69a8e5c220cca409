"""Losses of blocks as Chebyshev pieces, so that one block can be asked for thousands of S.

On an octave of S, the share l(S)/v(S) of the ignored feature's loss is interpolated in log S at
NODES points that are computed together (one transform serves all). Its last coefficients tell how
good that is; where they are too large, at kinks where other ReLUs become active or another minimum
takes over, the interval is halved, and after LEVELS halvings losses are computed one by one. What
is returned is within about 1e-10 of `Block.loss`, relative. Numerical.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from theory.features import Float
from theory.mixtures.blocks import Block, variance

NODES, LEVELS = 16, 2

WORTH = 6
"""Values of S asked for in one octave from which it is interpolated."""

TAIL, NOISE = 2e-11, 5e-12
"""Largest of the last three coefficients, as a share of the largest share on the interval, and the
part of it that is the rounding of the losses themselves."""

_TOP = {"uniform": 1.0}  # under other laws one by one: binary losses have too many kinks

_T = np.cos((np.arange(NODES) + 0.5) * np.pi / NODES)
_TO_COEFFICIENTS = np.cos(np.outer(np.arange(NODES), np.arccos(_T))) * 2.0 / NODES
_TO_COEFFICIENTS[0] *= 0.5

Key = tuple[int, int]
"""Halvings, and the number of the interval counted downwards from S = 1."""


class Pieces:
    """The loss of one block at any S, computed where it is asked for and kept."""

    def __init__(self, block: Block, law: str) -> None:
        self.block, self.law = block, law
        self.leaves: dict[Key, Float | None] = {}  # None: halved, or one by one on the last level
        self.known: dict[float, float] = {}
        self.asked: dict[int, set[float]] = {}

    def __call__(self, S: Float) -> Float:
        """Least loss per feature at S (M,)."""
        S = np.asarray(S, dtype=float)
        octaves = -np.log2(S)
        out = np.empty(S.size)
        smooth = S <= _TOP.get(self.law, 0.0)  # noqa: SIM300
        self._directly(np.flatnonzero(~smooth), S, out)
        self._at_level(0, np.flatnonzero(smooth), octaves, S, out)
        return out

    def _at_level(
        self, level: int, chosen: np.ndarray, octaves: Float, S: Float, out: Float
    ) -> None:
        if not chosen.size:
            return
        scaled = octaves[chosen] * 2**level
        number = np.floor(scaled).astype(int)
        halved = []
        for k in np.unique(number).tolist():
            inside = chosen[number == k]
            if level == 0 and (0, k) not in self.leaves:
                asked = self.asked.setdefault(k, set())
                asked.update(S[inside].tolist())
                if len(asked) < WORTH:
                    self._directly(inside, S, out)
                    continue
            piece = self._piece(level, k)
            if piece is None:
                halved.append(inside)
                continue
            x = 2.0 * (octaves[inside] * 2**level - k) - 1.0
            share = np.polynomial.chebyshev.chebval(x, piece)
            out[inside] = share * variance(S[inside], self.law)
        if halved:
            rest = np.concatenate(halved)
            if level == LEVELS:
                self._directly(rest, S, out)
            else:
                self._at_level(level + 1, rest, octaves, S, out)

    def _piece(self, level: int, k: int) -> Float | None:
        key = level, k
        if key not in self.leaves:
            at = 2.0 ** -((0.5 * (_T + 1.0) + k) / 2**level)
            share = self.block.loss(at, self.law) / variance(at, self.law)
            found: Float | None = None
            if np.all(np.isfinite(share)):
                found = _TO_COEFFICIENTS @ share
                if np.max(np.abs(found[-3:])) > TAIL * np.max(share) + NOISE:
                    found = None
            self.leaves[key] = found
        return self.leaves[key]

    def _directly(self, chosen: np.ndarray, S: Float, out: Float) -> None:
        if not chosen.size:
            return
        values = S[chosen].tolist()
        new = sorted({s for s in values if s not in self.known})
        if new:
            losses = self.block.loss(np.array(new), self.law).tolist()
            self.known.update(zip(new, losses, strict=True))
        out[chosen] = [self.known[s] for s in values]


@lru_cache(maxsize=1024)
def pieces(block: Block, law: str) -> Pieces:
    """The pieces of that block, shared by all that ask in this process."""
    return Pieces(block, law)
