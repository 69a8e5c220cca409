"""Code: what a search found, how often it found it, and how far that can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from packing.arrangement import Arrangement
from packing.results import Evidence, Result, Table, shown
from packing.types import Float, Int

CONTACT = 1e-9
"""Cosines this close to the largest are contacts: polished codes are good to 1e-14, and two
different cosines of a best code closer than this have not been met."""

ENDS = {
    "proved": (Evidence.PROVED, "Optimal: {why}."),
    "found-often": (
        Evidence.NUMERICAL,
        "{reached} of {runs} runs that began elsewhere ended here, so a better code is unlikely; "
        "it is not excluded. Compare with the bounds.",
    ),
    "found-rarely": (
        Evidence.NUMERICAL,
        "Only {reached} of {runs} runs that began elsewhere ended here, so a better code may well "
        "exist: give more seconds, or another seed.",
    ),
    "unfinished": (
        Evidence.UNSETTLED,
        "The time was up after {runs} runs, {reached} of which ended here, before the search was "
        "content: give more seconds.",
    ),
}
"""How a search can end: how its answer is known, and one sentence of advice."""

CRITERIA = {
    "angle": "largest smallest angle",
    "lines": "least coherence (lines)",
    "coulomb": "least Coulomb energy",
    "riesz": "least Riesz energy, exponent {:.10g}",
}
"""Each criterion in words."""

_ROWS_SHOWN = 64  # vectors listed one by one for people; to_dict has them all
_COORDINATES_SHOWN = 8


@dataclass(frozen=True, eq=False, repr=False)
class Code(Result):
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
    status : Evidence
        Proved when the answer is a closed form with a proof of optimality, numerical when the
        search ended by itself, unsettled when the time was up before its stop rule.
    advice : str
        One sentence: what the status means and what to do.
    exponent : float or None
        s of the criterion "riesz".
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
    status: Evidence
    advice: str
    exponent: float | None = None

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

    @property
    def upright(self) -> Arrangement:
        """The vectors; of lines, the ends that make the largest cosine equal to the coherence."""
        return upright_lines(self.arrangement) if self.criterion == "lines" else self.arrangement

    def _values(self) -> Mapping[str, Any]:
        vectors = self.upright
        return {
            "n": self.n,
            "d": self.d,
            "criterion": self.criterion,
            "exponent": self.exponent,
            "seed": self.seed,
            "value": self.value,
            "max_cosine": vectors.max_cosine,
            "min_angle_deg": math.degrees(self.min_angle),
            "coherence": self.coherence,
            "energy": self.energy,
            "vectors": vectors.W.T,
            "status": self.status,
            "advice": self.advice,
            "reached": self.reached,
            "runs": self.runs,
            "seconds": self.seconds,
            "contacts": self.contacts,
            "rattlers": self.rattlers,
        }

    def _facts(self) -> Sequence[tuple[str, str]]:
        several, found = self.n > 1, f"a closed form, {self.seconds:.2g} s"
        if self.status is not Evidence.PROVED:
            runs = "run" if self.runs == 1 else "runs"
            found = f"{self.reached} of {self.runs} {runs}, {self.seconds:.3g} s"
        pairs = "contact" if len(self.contacts) == 1 else "contacts"
        free = ", ".join(map(str, self.rattlers)) or "none"
        angle = f"{math.degrees(self.min_angle):.12g} degrees"
        return [
            ("code", f"n = {self.n} in d = {self.d}"),
            ("criterion", CRITERIA[self.criterion].format(self.exponent)),
            ("largest cosine", shown(self.upright.max_cosine if several else None, 15)),
            ("smallest angle", angle if several else "-"),
            ("coherence", shown(self.coherence if several else None, 15)),
            ("energy", shown(self.energy if math.isfinite(self.energy) else None, 12)),
            ("contacts", f"{len(self.contacts)} {pairs}; rattlers: {free}"),
            ("found by", found),
            ("status", self.status),
            ("advice", self.advice),
        ]

    def _tables(self) -> Sequence[Table]:
        if self.n > _ROWS_SHOWN or self.d > _COORDINATES_SHOWN:
            return []
        touching = np.bincount(self.contacts.ravel(), minlength=self.n)
        rows = [
            [i, touching[i], *np.round(row, 8).tolist()] for i, row in enumerate(self.upright.W.T)
        ]
        columns = ["vector", "contacts", *(f"x[{a}]" for a in range(self.d))]
        return [Table("Vectors", columns, rows)]

    def plot(self, ax: Any = None) -> Any:
        """Draw the code: on its circle or sphere, or on the plane that shows most symmetry."""
        from packing.plotting import draw_points

        lines = self.criterion == "lines"
        return draw_points(self.arrangement, ax, lines=lines, rattlers=self.rattlers)


def upright_lines(arrangement: Arrangement) -> Arrangement:
    """The same lines, each by the end that makes the largest cosine equal to the coherence.

    A line has two ends and a search may return either. With these the largest cosine and the
    smallest angle of the vectors are those of the lines.
    """
    if arrangement.n < 2 or arrangement.max_cosine >= arrangement.coherence:
        return arrangement
    C = np.abs(arrangement.cosines - np.eye(arrangement.n))
    i, _ = np.unravel_index(int(np.argmax(C)), C.shape)
    W = np.array(arrangement.W)
    W[:, i] *= -1.0
    return Arrangement.from_weights(W)


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
    end: str,
    why: str = "",
) -> Code:
    """The Code of the unit rows X (n, d), from a search that ended as `ENDS` says."""
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
    status, advice = ENDS[end]
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
        advice=advice.format(reached=reached, runs=runs, why=why),
        exponent=s if criterion == "riesz" else None,
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
