"""Blocks and their names seen through noise, at the noise level that explains most.

For a stated noise level everything follows: which vectors are too short to count, which cosines
vanish, how large the spans are, and then each block has the name of its nearest arrangement or
none. If no level is stated, a ladder of levels is climbed until everything has a name; failing
that, the level that names most features is taken. A reading counts only if the whole comes nearer
to what it is called than chance brings random directions (`packing.names.chance`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from packing.arrangement import Arrangement
from packing.names.chance import Piece, log_chance
from packing.names.naming import Found, displacements, name_block
from packing.names.sight import AROUND, EVEN, SIMPLEX, Sight

Float = NDArray[np.float64]

LEVELS = tuple(10.0 ** (k / 2.0) for k in range(-10, -1))
"""Noise levels tried when none is stated, 1e-5 to 0.1: lengths of a vector's error in units of the
root mean square norm."""

RARE = 1e-5
"""Without a stated noise level, a name needs random directions to come as near with a probability
below this. Every name that a size and dimension may have adds as much at most: of arrangements at
(4, 2), the worst size, 3.6% get a name where this is 1e-2, hence 4 in 10^5 here, and fewer at any
other n > d + 1 (`tests/test_recognise.py` counts)."""

RARE_STATED = 1e-4
"""The same where the noise level is stated, which rules most other explanations out."""

FEW = 3e-3
"""The same for at most d + 1 vectors, where little is rare: of three random vectors in the plane
one in a hundred still passes for something. Two vectors are what they look like."""

FEW_STATED = 3e-2

SHORT = 3.0
"""Vectors shorter than this many times the noise level are ignored: they may be nothing but it."""

FAINT = 0.03
"""Without a stated noise level, longer vectors are never ignored: what is ignored needs no place,
so that a rest of few vectors would soon look like something."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What was found at one noise level.

    Parameters
    ----------
    groups : tuple of tuple of int
        The blocks.
    found : tuple of (Found or None)
        Their names; None for irregular ones.
    ranks : tuple of int
        Dimensions of their spans.
    sight : Sight
    limit : float
        Norm up to which vectors are ignored.
    distance : float
        Root mean square displacement of a vector from its place in the whole, norms kept, in units
        of the root mean square norm.
    log_chance : float
        Logarithm of the chance that random directions come as near.
    """

    groups: tuple[tuple[int, ...], ...]
    found: tuple[Found | None, ...]
    ranks: tuple[int, ...]
    sight: Sight
    limit: float
    distance: float
    log_chance: float

    @property
    def named(self) -> int:
        """Number of features in named blocks."""
        pairs = zip(self.groups, self.found, strict=True)
        return sum(len(group) for group, found in pairs if found is not None)

    @property
    def complete(self) -> bool:
        return None not in self.found


def read(whole: Arrangement, tolerance: float, noise: float | None) -> Reading | None:
    """The best reading of a noisy arrangement, or None if no block gets a name."""
    best: Reading | None = None
    seen = set()
    for level in LEVELS if noise is None else (noise,):
        look = _looked(whole, tolerance, level, noise is not None)
        if look is None or look.key in seen:
            continue
        seen.add(look.key)
        reading = look.named(whole)
        if reading is not None and reading.named > (0 if best is None else best.named):
            best = reading
            if best.complete:
                break
    return best


@dataclass(frozen=True)
class _Look:
    """Blocks at one level, before they are named."""

    sight: Sight
    limit: float
    groups: tuple[tuple[int, ...], ...]
    ranks: tuple[int, ...]
    doubled: tuple[tuple[tuple[int, ...], ...], ...]

    @property
    def key(self) -> object:
        return self.groups, self.ranks, self.doubled

    def named(self, whole: Arrangement) -> Reading | None:
        """The blocks named, or None if chance explains the whole as well as the names do."""
        parts = [whole.part(group) for group in self.groups]
        found = tuple(name_block(part, self.sight) for part in parts)
        if not any(found):
            return None
        pieces = [
            _free_piece(part, rank) if one is None else one.piece
            for part, rank, one in zip(parts, self.ranks, found, strict=True)
        ]
        live = whole.part([i for group in self.groups for i in group])
        model = np.zeros((sum(p.vectors.shape[0] for p in pieces), live.n))
        row = column = 0
        for piece in pieces:
            d, n = piece.vectors.shape
            model[row : row + d, column : column + n] = piece.vectors
            row, column = row + d, column + n
        distance = math.sqrt(float((displacements(live, model * live.norms) ** 2).mean()))
        weights = live.norms / math.sqrt(float((live.norms**2).mean()))
        chance = log_chance(pieces, distance, weights)
        if live.n > row + 1:
            accepted = chance < math.log(self.sight.rare) and distance <= self.sight.around
        else:
            accepted = distance <= self.sight.simplex
            accepted &= live.n <= 2 or chance < math.log(self.sight.few)
        if not accepted:
            return None
        return Reading(self.groups, found, self.ranks, self.sight, self.limit, distance, chance)


def _looked(whole: Arrangement, tolerance: float, level: float, stated: bool) -> _Look | None:
    """The blocks at one noise level, or None if that level cannot be."""
    norms = whole.norms
    top = float(norms.max())
    if top == 0.0:
        return None
    short = SHORT * level if stated else min(SHORT * level, FAINT)
    scale = _rms(norms[norms > short * top])
    limit = short * scale
    scale = _rms(norms[norms > limit])
    sigma = level * scale / math.sqrt(whole.d)
    spread = 8.0 * sigma / top  # norms of the same length are this far apart at most
    sight = Sight(
        same=max(tolerance, min(8.0 * sigma / scale, 0.1)),
        even=spread if stated else max(spread, EVEN),
        noise=sigma,
        rare=RARE_STATED if stated else RARE,
        few=FEW_STATED if stated else FEW,
        around=2.0 * level if stated else AROUND,
        simplex=min(2.0 * level, 2.0 * SIMPLEX) if stated else SIMPLEX,
    )
    groups = whole.blocks(tolerance, limit, sigma)
    parts = [whole.part(group) for group in groups]
    ranks = tuple(sight.rank(part) for part in parts)
    if sum(ranks) > whole.d:  # cosines that are no noise were taken for it
        return None
    doubled = tuple(sight.along(part) for part in parts)
    return _Look(sight, limit, groups, ranks, doubled)


def _free_piece(part: Arrangement, rank: int) -> Piece:
    """An irregular block: whatever shape it has counts as expected."""
    axes = np.linalg.svd(part.W, full_matrices=False)[0][:, :rank]
    flat = axes.T @ part.directions
    return Piece("irregular", flat / np.linalg.norm(flat, axis=0), None)


def _rms(values: Float) -> float:
    return math.sqrt(float((values**2).mean()))
