"""The seam between training and what does the arithmetic: an Engine makes Lanes, Lanes make steps.

What training means is said once (`validate.train`): first weights, learning rates, when a run has
diverged or reached a plateau, what is kept along the way. An engine says how K models of one shape
are advanced together, each on fresh samples of its own. All engines make the same step, so given
the same samples they agree to rounding (`follow`); on samples of their own they agree in
distribution (`validate.engines.equivalence`). The PyTorch engine is the reference.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from theory.features import Float
from validate.runs import Run

if TYPE_CHECKING:
    import torch


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


__all__ = ["Engine", "Lanes"]
