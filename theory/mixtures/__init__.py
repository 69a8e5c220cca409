"""Mixtures of blocks: the best for n, d and S, their ladders, and the limit of many features.

best_mixture(features, d)        the integer programme over catalogue blocks, solved exactly
mixture_ladder(n, d, law)       where the best mixture changes as S falls
surplus(law)                    best blocks for features in surplus, and the S of every change
transitions(law)                the same, every S enclosed or an exact number
many_takeover(law)              the S below which many features gain more than any block
envelope(d/n, S, law)           the convex envelope in the limit
many_features(n/d, S, law)      what many features with Gaussian interference cost
ratio_at(share, S, law)         the n/d at which they lose that share of ignored features' loss
compare_optimum(n, d, S, law)   the best mixture beside the numerical optimum
irregular_phases(n, d, law)     where the optimum is lower than every mixture
staircase(n, d, S, law)         D* and dimensionalities against S
block_loss(row, S, law)         least losses of a block at many S
gain_bound(n, d, S, law)           an upper bound on every model's gain, proved

Every loss is an upper bound on the true optimum ("best known"): blocks are kept symmetric, the
catalogue is finite, and mixtures hold no shadows (in surplus none was found to pay).
"""

from __future__ import annotations

from theory.mixtures.block_table import Block, block_loss, blocks
from theory.mixtures.comparison import (
    Compared,
    IrregularPhase,
    Step,
    compare_optimum,
    irregular_phases,
    staircase,
)
from theory.mixtures.gaussian_limit import (
    ManyFeatures,
    envelope,
    gains,
    many_features,
    many_takeover,
    ratio_at,
)
from theory.mixtures.ladder import MixtureCrossing, MixtureLadder, mixture_ladder, mixture_losses
from theory.mixtures.mixture import Mixture, best_mixture, mixture_at, solve
from theory.mixtures.surplus_sequence import (
    SurplusPhase,
    Transition,
    surplus,
    transition,
    transition_rows,
    transitions,
)
from theory.mixtures.upper_bound import GainBound, gain_bound, gain_bound_per_dimension

__all__ = [
    "Block",
    "Compared",
    "GainBound",
    "IrregularPhase",
    "ManyFeatures",
    "Mixture",
    "MixtureCrossing",
    "MixtureLadder",
    "Step",
    "SurplusPhase",
    "Transition",
    "best_mixture",
    "block_loss",
    "blocks",
    "compare_optimum",
    "envelope",
    "gain_bound",
    "gain_bound_per_dimension",
    "gains",
    "irregular_phases",
    "many_features",
    "many_takeover",
    "mixture_at",
    "mixture_ladder",
    "mixture_losses",
    "ratio_at",
    "solve",
    "staircase",
    "surplus",
    "transition",
    "transition_rows",
    "transitions",
]
