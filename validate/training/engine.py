"""Engines: what does the arithmetic of training, and which one a run is given to.

Nothing heavy is imported before an engine is asked for by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from packing.errors import BadInput
from packing.types import Float
from validate.experiments import Run

if TYPE_CHECKING:
    import torch

ENGINES = {
    "torch": "validate.training.torch_engine:TorchEngine",
    "numba": "validate.training.numba_engine:NumbaEngine",
    "cuda": "validate.training.cuda_engine:CudaEngine",
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

    ``auto`` takes the one that was measured to be faster for runs like this (`faster`), among
    those that can be used here; on a GPU PyTorch, since the engine "cuda" has run on none. It
    depends on the run and on what is installed, not on timing: the same run always gets the same
    engine.

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
    if place != "cpu" or usable("numba", place) or engine("numba").refusal(run) or not faster(run):
        return "torch"
    return "numba"


# The seam between training and what does the arithmetic: an Engine makes Lanes, Lanes make steps.
#
# What training means is said once (`validate.train`): first weights, learning rates, when a run
# has diverged or reached a plateau, what is kept along the way. An engine says how K models of
# one shape are advanced together, each on fresh samples of its own. All engines make the same
# step, so given the same samples they agree to rounding (`follow`); on samples of their own they
# agree in distribution (`validate.training.equivalence`). The PyTorch engine is the reference.


class Lanes(Protocol):
    """K models in training; lane k is the k-th run that is still going on.

    Parameters
    ----------
    chunk : int
        All decisions fall after multiples of so many steps. It depends on a run alone.
    size : int
        Parameters of a model, d n + n.
    """

    chunk: int
    size: int

    def weights(self) -> Float:
        """Weights and biases, shape (K, size): W (d, n) row by row, then b."""
        ...

    def sound(self) -> NDArray[np.bool_]:
        """Which models have finite weights and moments, shape (K,)."""
        ...

    def keep(self, lanes: Sequence[int]) -> None:
        """Go on with some of the models only; called at ends of chunks."""
        ...

    def advance(self, count: int) -> list[tuple[int, Float]]:
        """Make `count` more steps, never past the end of a chunk.

        Returns
        -------
        list of (int, (K,) array)
            Steps made so far, and the losses of the batches of the last of them, where recorded.
        """
        ...

    def close(self) -> None:
        """Give back threads and whatever else was borrowed."""
        ...


class Engine(ABC):
    """A way to train models.

    Parameters
    ----------
    name : str
        What it is called on the command line.
    places : tuple of str
        Devices it trains on.
    """

    name: str
    places: tuple[str, ...]

    @abstractmethod
    def missing(self) -> str:
        """Why it cannot be used on this machine, and what to do; empty if it can."""

    @abstractmethod
    def refusal(self, run: Run) -> str:
        """Why it cannot train this run; empty if it can."""

    @abstractmethod
    def alike(self, run: Run, place: str) -> tuple[object, ...]:
        """What the runs of one batch have in common."""

    @abstractmethod
    def most(self, group: Sequence[Run], place: str, memory: int | None) -> int:
        """How many of these runs, which are alike, train together.

        Raises
        ------
        BadInput
            If a single one does not fit the memory.
        """

    @abstractmethod
    def lanes(self, runs: Sequence[Run], device: torch.device) -> Lanes:
        """Models at their first weights."""

    @abstractmethod
    def follow(self, runs: Sequence[Run], x: Float) -> Float:
        """Train on given samples.

        Parameters
        ----------
        runs : sequence of K alike runs
        x : (K, T, n, B) array
            Batch t of run k in columns; B as in the recipe.

        Returns
        -------
        (K, T + 1, size) array
            Weights after 0, 1, ... T steps.
        """


# Which engine a run is given to: a rule fitted to measurements, not a guess and not a stopwatch.
#
# A stopwatch at run time would give one run to different engines on a busy and on an idle machine,
# and its samples with it. The rule depends on the run alone; `benchmarks/engines.py` measures both
# engines over a grid and prints where it is wrong, and by how much.
#
# A column costs the compiled engine 5 n d multiply-adds, the reference 2 n^2 of them with the Gram
# matrix, in one large product instead of many small ones. So d/n decides, and for few features the
# reference pays more for its calls than for its products.


FEW = 48
"""Up to so many features the compiled engine is faster whatever d is."""

WIDE = 0.45
"""Beyond, it is faster where d is at most this part of n."""


def faster(run: Run) -> bool:
    """Whether the compiled engine beats the reference on a run, as measured on two cores.

    Notes
    -----
    Numerical: measured from (2, 1) to (1000, 50).
    """
    n, d = run.setting.n, run.setting.d
    return n <= FEW or d <= WIDE * n


__all__ = ["ENGINES", "Engine", "Lanes", "engine", "engine_for", "usable"]
