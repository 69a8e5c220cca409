"""theory: what a packing of features costs, as numbers.

The second room of the house. Everything public is reachable from here and imported when it is first
asked for (PEP 562)::

    from theory import Features, loss, optimum, ladder
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packing.weights import Weights as Weights
    from packing.weights import read_weights as read_weights
    from packing.weights import save_weights as save_weights
    from theory.crossings import Crossing as Crossing
    from theory.crossings import Phase as Phase
    from theory.features import BINARY as BINARY
    from theory.features import EXPONENTIAL as EXPONENTIAL
    from theory.features import LAWS as LAWS
    from theory.features import UNIFORM as UNIFORM
    from theory.features import Features as Features
    from theory.features import Law as Law
    from theory.features import law_named as law_named
    from theory.ladders import Branch as Branch
    from theory.ladders import Ladder as Ladder
    from theory.ladders import critical as critical
    from theory.ladders import ladder as ladder
    from theory.losses.expected import Loss as Loss
    from theory.losses.expected import loss as loss
    from theory.mixtures.mixture import Mixture as Mixture
    from theory.mixtures.mixture import best_mixture as best_mixture
    from theory.objective import Objective as Objective
    from theory.optima import Optimum as Optimum
    from theory.optima import optimum as optimum

__version__ = "0.1.0"

_NAMES = {
    "theory.features": (
        "BINARY",
        "EXPONENTIAL",
        "Features",
        "LAWS",
        "Law",
        "UNIFORM",
        "law_named",
    ),
    "theory.losses.expected": ("Loss", "loss"),
    "theory.optima": ("Optimum", "optimum"),
    "theory.crossings": ("Crossing", "Phase"),
    "theory.ladders": ("Branch", "Ladder", "critical", "ladder"),
    "theory.mixtures.mixture": ("Mixture", "best_mixture"),
    "theory.objective": ("Objective",),
    "packing.weights": ("Weights", "read_weights", "save_weights"),
}
_HOME = {name: home for home, names in _NAMES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'theory' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
