"""validate: does training agree with the theory?

The third room of the house. It trains the models that `theory` speaks about and measures them with
losses and samples of its own, so that agreement means something; it needs torch, which the extra
``feature-packing[validate]`` installs. Nothing in `packing` or `theory` imports it. Everything
public is reachable from here and imported when it is first asked for (PEP 562)::

    from validate import measure, run_suite, train
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from validate.checks import Check as Check
    from validate.experiments import Measured as Measured
    from validate.experiments import Trained as Trained
    from validate.measurement import measure as measure
    from validate.models import TrainedModels as TrainedModels
    from validate.models import train as train
    from validate.runner import Report as Report
    from validate.runner import run_suite as run_suite

__version__ = "0.1.0"

_HOME = {
    "Check": "validate.checks",
    "Measured": "validate.experiments",
    "Report": "validate.runner",
    "Trained": "validate.experiments",
    "TrainedModels": "validate.models",
    "measure": "validate.measurement",
    "run_suite": "validate.runner",
    "train": "validate.models",
}

__all__ = [
    "Check",
    "Measured",
    "Report",
    "Trained",
    "TrainedModels",
    "measure",
    "run_suite",
    "train",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'validate' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
