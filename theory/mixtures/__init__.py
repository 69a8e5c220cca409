"""Mixtures of blocks: the best for n, d and S, their ladders, and the limit of many features.

best_mixture(n, d, S, law)      the integer programme over catalogue blocks, solved exactly
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
shadow_margin(row, d, n, S, law)  whether an infinitesimal shadow pays on a block
gas_gain(row, d, n, S, law)     a block in a gas of ever weaker shadows
decorate(block, S, law)         a block with finite shadows, norms and biases at their best
ceiling(n, d, S, law)           an upper bound on every model's gain, proved

Every loss is an upper bound on the true optimum ("best known"): blocks are kept symmetric, the
catalogue is finite, and mixtures hold no shadows (in surplus none was found to pay).
"""

from theory.mixtures.blocks import Block, block_loss, blocks
from theory.mixtures.ceiling import Ceiling, ceiling, ceiling_per_dimension
from theory.mixtures.compare import (
    Compared,
    IrregularPhase,
    Step,
    compare_optimum,
    irregular_phases,
    staircase,
)
from theory.mixtures.decorated import Decorated, decorate, decorated_gains
from theory.mixtures.enclosed import Transition, transition, transition_rows, transitions
from theory.mixtures.gas import Gas, gas_gain
from theory.mixtures.ladder import MixtureLadder, MixtureRung, mixture_ladder, mixture_losses
from theory.mixtures.limit import envelope, gains, many_takeover
from theory.mixtures.many import ManyFeatures, many_features, ratio_at
from theory.mixtures.mixture import Mixture, best_mixture
from theory.mixtures.programme import solve
from theory.mixtures.sequence import SurplusPhase, surplus
from theory.mixtures.shadows import Margin, paying, shadow_margin, shadow_matrix

__all__ = [
    "Block",
    "Ceiling",
    "Compared",
    "Decorated",
    "Gas",
    "IrregularPhase",
    "ManyFeatures",
    "Margin",
    "Mixture",
    "MixtureLadder",
    "MixtureRung",
    "Step",
    "SurplusPhase",
    "Transition",
    "best_mixture",
    "block_loss",
    "blocks",
    "ceiling",
    "ceiling_per_dimension",
    "compare_optimum",
    "decorate",
    "decorated_gains",
    "envelope",
    "gains",
    "gas_gain",
    "irregular_phases",
    "many_features",
    "many_takeover",
    "mixture_ladder",
    "mixture_losses",
    "paying",
    "ratio_at",
    "shadow_margin",
    "shadow_matrix",
    "solve",
    "staircase",
    "surplus",
    "transition",
    "transition_rows",
    "transitions",
]
