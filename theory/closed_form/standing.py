"""Where in S a symmetric block is its own optimum: n features in its d dimensions, any W and b.

A symmetric form is stationary, so it can lose in two ways: a direction in which the Hessian turns
negative (`stability`, the symmetry breaks continuously), or another minimum that falls below it
(`standing`, which descends on the exact loss from kicked, split and thinned copies of the block at
many S, takes what wins at one S to its neighbours, and closes in on the ends by bisection).
Numerical: what is found lower is lower, but a block that stands may only not have been beaten yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from packing.catalogue.entry import Entry
from packing.errors import BadInput
from theory.features import Float, law_named

LARGEST = {"binary": 12, "uniform": 8}
"""Features of a block up to which its standing is tried unasked, about a minute's work; 6 for other
laws."""

HESSIANS = 64
"""Features up to which a Hessian is made."""

STATUS = {
    "tried": "descents from kicked, split and thinned copies of the block",
    "not tried": "large blocks take many minutes (raise `most` to try), or it has no vectors",
}


@dataclass(frozen=True)
class Standing:
    """Where a symmetric block is the best found for its own n and d.

    Parameters
    ----------
    name, law : str
    intervals : tuple of (float, float)
        Of S on which nothing lower was found; empty if it is always beaten, or was not tried.
    beaten : tuple of (float, float, str)
        From, to, and the name of something that is lower there.
    searched : (float, float) or None
        Least and largest S that were tried.
    status : {"tried", "not tried"}
    known : str
    """

    name: str
    law: str
    intervals: tuple[tuple[float, float], ...]
    beaten: tuple[tuple[float, float, str], ...]
    searched: tuple[float, float] | None
    status: Literal["tried", "not tried"]
    known: str = "numerical"

    @property
    def advice(self) -> str:
        """The status as a sentence."""
        return STATUS[self.status]

    def stands(self, S: float) -> bool | None:
        """Whether the block stands at S; None outside what was searched."""
        if self.searched is None or not self.searched[0] <= S <= self.searched[1]:
            return None
        return any(low <= S <= high for low, high in self.intervals)


@dataclass(frozen=True)
class Stability:
    """Whether a symmetric form can lower its loss by an infinitesimal change.

    Parameters
    ----------
    S : float
    least : float
        Smallest eigenvalue of the Hessian by all of W and b, rotations left out.
    noise : float
        Eigenvalues smaller than this are 0 to the accuracy of the Hessian.
    known : str
    """

    S: float
    least: float
    noise: float
    known: str = "numerical"

    @property
    def breaks(self) -> bool:
        return self.least < -self.noise


def grid(law: str = "binary") -> Float:
    """The S that `standing` tries where none are given."""
    return np.concatenate([np.geomspace(0.01, 0.1, 6), np.linspace(0.13, 0.97, 22)])


def standing(
    block: Entry | str,
    law: str = "binary",
    S: Sequence[float] | None = None,
    *,
    seed: int = 0,
    most: int | None = None,
    cached: bool = True,
) -> Standing:
    """The intervals of S on which a block's symmetric form is the best found for its n and d.

    Parameters
    ----------
    block : Entry or str
        A catalogue entry; of several kinds of vectors each gets its norm and bias.
    law : str
    S : sequence of float, optional
        Where to look, in (0, 1); `grid` if not given. Changes between two neighbours are found if
        the block stands at one and is beaten at the other.
    seed : int
    most : int, optional
        Features up to which a block is tried; by default LARGEST for the law.
    cached : bool
        Take the answer from the cache, and keep it there.

    Returns
    -------
    Standing
        Numerical: ends to 1e-4.

    Raises
    ------
    BadInput
        If S leaves (0, 1), or block or law is unknown.
    """
    law_named(law)
    if isinstance(block, str):
        from packing.catalogue import entry

        block = entry(block)
    where = np.unique(grid(law) if S is None else np.asarray(S, dtype=float))
    if where.size == 0 or where[0] <= 0.0 or where[-1] >= 1.0:
        raise BadInput(f"S = {list(where)}: give numbers strictly between 0 and 1")
    if block.n > (LARGEST.get(law, 6) if most is None else most) or not block.built:
        return Standing(block.name, law, (), (), None, "not tried")
    from packing import cache

    question = {
        "verb": "standing",
        "block": block.name,
        "law": law,
        "S": where.tolist(),
        "seed": seed,
    }
    kept = cache.read(question) if cached else None
    if kept is not None:
        answer = cache.decode(kept["standing"])
        assert isinstance(answer, Standing)
        return answer
    from theory.closed_form.rivals import Rivals

    found = Rivals(block, law, seed).standing(where)
    if cached:
        cache.write(question, {"standing": cache.encode(found)})
    return found


def stability(block: Entry | str, law: str, S: float) -> Stability:
    """The smallest eigenvalue of the Hessian at a block's symmetric form; rotations left out.

    Parameters
    ----------
    block : Entry or str
    law : str
    S : float
        In (0, 1).

    Returns
    -------
    Stability
        Numerical (binary up to 10 features: exact up to rounding).
    """
    if isinstance(block, str):
        from packing.catalogue import entry

        block = entry(block)
    if not 0.0 < S < 1.0:
        raise BadInput(f"S = {S}: give a number strictly between 0 and 1")
    if block.n > HESSIANS:
        raise BadInput(f"{block.n} features have too large a Hessian: give at most {HESSIANS}")
    from theory.closed_form.rivals import Rivals

    rivals = Rivals(block, law, 0)
    theta, _ = rivals.symmetric(S)
    problem = rivals.problem.at(S)
    turns = problem.rotations(theta)
    basis = np.linalg.svd(turns, full_matrices=True)[0][:, turns.shape[1] :]
    values = np.linalg.eigvalsh(basis.T @ problem.hessian(theta) @ basis)
    size = float(np.max(np.abs(values)))
    return Stability(S, float(values[0]), max(problem.hessian_noise, 1e-8) * size)
