"""Mixtures of blocks: the best for n, d and S, their ladders, and the limit of many features.

best_mixture(n, d, S, law)      the integer programme over catalogue blocks, solved exactly
mixture_ladder(n, d, law)       where the best mixture changes as S falls
surplus(law)                    best blocks for features in surplus, and the S of every change
envelope(d/n, S, law)           the convex envelope in the limit
block_loss(row, S, law)         least losses of a block at many S

Every loss is an upper bound on the true optimum ("best known"): blocks are kept symmetric, the
catalogue is finite, and shadows of represented features are not among the blocks.
"""

from theory.mixtures.blocks import Block, block_loss, blocks
from theory.mixtures.ladder import MixtureLadder, MixtureRung, mixture_ladder, mixture_losses
from theory.mixtures.limit import SurplusPhase, envelope, gains, surplus
from theory.mixtures.mixture import Mixture, best_mixture
from theory.mixtures.programme import solve

__all__ = [
    "Block",
    "Mixture",
    "MixtureLadder",
    "MixtureRung",
    "SurplusPhase",
    "best_mixture",
    "block_loss",
    "blocks",
    "envelope",
    "gains",
    "mixture_ladder",
    "mixture_losses",
    "solve",
    "surplus",
]
