"""theory: what a packing of features costs, as numbers.

The second room of the house. Everything public is reachable from here and imported when it is first
asked for (PEP 562)::

    from theory import Features, loss, optimum, ladder

``theory.loss`` and ``theory.optimum`` are the verbs, although modules of the same names hold them:
import what else those modules define with ``from theory.loss import Loss``.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from packing.weights import Weights as Weights
    from packing.weights import read_weights as read_weights
    from packing.weights import save_weights as save_weights
    from theory.features import BINARY as BINARY
    from theory.features import EXPONENTIAL as EXPONENTIAL
    from theory.features import LAWS as LAWS
    from theory.features import UNIFORM as UNIFORM
    from theory.features import Features as Features
    from theory.features import Law as Law
    from theory.features import law_named as law_named
    from theory.loss import Loss as Loss
    from theory.loss import loss as loss
    from theory.optimum import Optimum as Optimum
    from theory.optimum import optimum as optimum
    from theory.phases import CriticalSparsity as CriticalSparsity
    from theory.phases import Ladder as Ladder
    from theory.phases import Phase as Phase
    from theory.phases import ladder as ladder

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
    "theory.loss": ("Loss", "loss"),
    "theory.optimum": ("Optimum", "optimum"),
    "theory.phases": ("CriticalSparsity", "Ladder", "Phase", "ladder"),
    "packing.weights": ("Weights", "read_weights", "save_weights"),
}
_HOME = {name: home for home, names in _NAMES.items() for name in names}

__all__ = [
    "BINARY",
    "EXPONENTIAL",
    "LAWS",
    "UNIFORM",
    "CriticalSparsity",
    "Features",
    "Ladder",
    "Law",
    "Loss",
    "Optimum",
    "Phase",
    "Weights",
    "ladder",
    "law_named",
    "loss",
    "optimum",
    "read_weights",
    "save_weights",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'theory' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))


class _Room(ModuleType):
    """This package as a module that keeps the verb where a submodule shares its name.

    The import system binds every imported submodule on its package. Without this, `theory.loss`
    would be the function or the module depending on what was imported before.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and _HOME.get(name) == value.__name__:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Room
