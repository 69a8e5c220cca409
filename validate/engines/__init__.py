"""Engines: what does the arithmetic of training, and which one a run is given to.

Nothing heavy is imported before an engine is asked for by name.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from packing.errors import BadInput
from validate.engines.choice import faster
from validate.engines.seam import Engine, Lanes
from validate.runs import Run

ENGINES = {
    "torch": "validate.engines.reference:TorchEngine",
    "numba": "validate.engines.compiled:NumbaEngine",
    "cuda": "validate.engines.gpu:CudaEngine",
}
"""Names of the engines, and where they are."""


@cache
def engine(name: str) -> Engine:
    """The engine of that name, whether or not it can be used here.

    Raises
    ------
    BadInput
        If there is none.
    """
    if name not in ENGINES:
        raise BadInput(f"engine = {name!r} is unknown: give auto, {', '.join(ENGINES)}")
    module, kind = ENGINES[name].split(":")
    made: Engine = getattr(import_module(module), kind)()
    return made


def usable(name: str, place: str) -> str:
    """Why an engine cannot be used on a device here; empty if it can."""
    asked = engine(name)
    if name == "cuda" and place == "cpu":
        return "engine = 'cuda' needs --device cuda, a GPU: give auto, torch or numba for this one"
    if place not in asked.places:
        return f"engine = {name!r} does not train on {place}: give {' or '.join(asked.places)}"
    return asked.missing()


def engine_for(name: str, run: Run, place: str) -> str:
    """Name of the engine that trains a run on "cpu" or "cuda".

    ``auto`` takes the one that was measured to be faster for runs like this (`choice.faster`),
    among those that can be used here. It depends on the run and on what is installed, not on
    timing: the same run always gets the same engine.

    Raises
    ------
    BadInput
        If the engine asked for is unknown, not installed, or cannot train this run.
    """
    if name != "auto":
        reason = usable(name, place) or engine(name).refusal(run)
        if reason:
            raise BadInput(reason)
        return name
    other = "numba" if place == "cpu" else "cuda"
    if usable(other, place) or engine(other).refusal(run) or not faster(other, run):
        return "torch"
    return other


__all__ = ["ENGINES", "Engine", "Lanes", "engine", "engine_for", "usable"]
