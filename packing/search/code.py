"""Code: what a search found, how often it found it, and how far that can be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from packing.arrangement import Arrangement
from packing.types import Float, Int

CONTACT = 1e-9
"""Cosines this close to the largest are contacts: polished codes are good to 1e-14, and two
different cosines of a best code closer than this have not been met."""

STATUSES = ("proved", "found-often", "found-rarely", "unfinished")

ADVICE = {
    "proved": "Optimal: {why}.",
    "found-often": (
        "{reached} of {runs} runs that began elsewhere ended here, so a better code is unlikely; "
        "it is not excluded. Compare with the bounds."
    ),
    "found-rarely": (
        "Only {reached} of {runs} runs that began elsewhere ended here, so a better code may well "
        "exist: give more seconds, or another seed."
    ),
    "unfinished": (
        "The time was up after {runs} runs, {reached} of which ended here, before the search was "
        "content: give more seconds."
    ),
}


@dataclass(frozen=True, eq=False)
class Code:
    """The best arrangement of n unit vectors in R^d that a search found.

    Parameters
    ----------
    arrangement : Arrangement
        Unit vectors, one per column, shape (d, n).
    criterion : str
        "angle" (least maximal cosine), "lines" (least coherence), "coulomb" or "riesz" (energy).
    value : float
        What the criterion minimises: maximal cosine, coherence, or energy.
    max_cosine, coherence : float
        Largest cosine, and largest absolute cosine, of two vectors; NaN for n = 1.
    energy : float
        Coulomb energy sum_{i<j} 1 / |x_i - x_j|, or the Riesz energy for criterion "riesz";
        infinite when two points coincide.
    contacts : (m, 2) array
        Pairs i < j whose cosine (for "lines": absolute cosine) is within CONTACT of the largest.
    rattlers : tuple of int
        Vectors without a contact: they can move and nothing gets worse. Empty for energies.
    reached, runs : int
        How many runs ended at this value, of how many that did not begin there. 1 of 1 when the
        answer is a closed form.
    seconds : float
        Wall-clock time spent.
    seed : int
        What the random numbers were drawn from; the same seed gives the same code, unless the
        clock stopped the search.
    status : str
        One of STATUSES: "proved" when the answer is a closed form with a proof of optimality,
        otherwise numerical, by how often the value was found; "unfinished" when the time was up
        before the stop rule.
    advice : str
        One sentence: what the status means and what to do.
    """

    arrangement: Arrangement
    criterion: str
    value: float
    max_cosine: float
    coherence: float
    energy: float
    contacts: Int
    rattlers: tuple[int, ...]
    reached: int
    runs: int
    seconds: float
    seed: int
    status: str
    advice: str

    @property
    def n(self) -> int:
        return self.arrangement.n

    @property
    def d(self) -> int:
        return self.arrangement.d

    @property
    def min_angle(self) -> float:
        """Smallest angle, radians (for "lines": between lines); NaN for n = 1."""
        if self.criterion != "lines":
            return self.arrangement.min_angle
        return math.acos(min(1.0, self.coherence)) if self.n > 1 else math.nan


def make_code(
    X: Float,
    criterion: str,
    value: float,
    *,
    s: float = 1.0,
    reached: int,
    runs: int,
    seconds: float,
    seed: int,
    status: str,
    why: str = "",
) -> Code:
    """The Code of the unit rows X (n, d)."""
    arrangement = Arrangement.from_weights(np.ascontiguousarray(X.T))
    C = X @ X.T
    i, j = np.triu_indices(len(X), 1)
    c = C[i, j]
    tight = np.abs(c) if criterion == "lines" else c
    near = tight > tight.max() - CONTACT if c.size else np.zeros(0, dtype=bool)
    contacts = np.stack([i[near], j[near]], axis=1).astype(np.int64)
    free: tuple[int, ...] = ()
    if criterion in ("angle", "lines") and c.size:
        free = tuple(int(k) for k in np.setdiff1d(np.arange(len(X)), contacts))
    contacts.setflags(write=False)
    advice = ADVICE[status].format(reached=reached, runs=runs, why=why)
    return Code(
        arrangement=arrangement,
        criterion=criterion,
        value=float(value),
        max_cosine=arrangement.max_cosine,
        coherence=arrangement.coherence,
        energy=riesz_energy(X, s if criterion == "riesz" else 1.0),
        contacts=contacts,
        rattlers=free,
        reached=reached,
        runs=runs,
        seconds=seconds,
        seed=seed,
        status=status,
        advice=advice,
    )


def riesz_energy(X: Float, s: float) -> float:
    """sum_{i<j} |x_i - x_j|^-s over the rows of X (n, d), -log |x_i - x_j| for s = 0.

    Infinite when two rows coincide.
    """
    total = 0.0
    for k in range(1, len(X)):
        r2 = ((X[k:] - X[k - 1]) ** 2).sum(axis=1)
        with np.errstate(divide="ignore"):
            total += float((r2 ** (-s / 2.0) if s else -0.5 * np.log(r2)).sum())
    return total
