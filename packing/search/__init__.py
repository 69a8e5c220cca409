"""The best arrangement for a criterion: largest minimum angle, least energy, least coherence."""

from __future__ import annotations

import math
import os
from numbers import Integral, Real

from packing.errors import BadInput
from packing.search.code import Code
from packing.search.multistart import Criterion, run
from packing.search.riesz import Riesz
from packing.search.spherical_codes import MinMax
from packing.types import Progress

CRITERIA = ("angle", "coulomb", "riesz", "lines")

__all__ = ["CRITERIA", "Code", "make_criterion", "search"]


def make_criterion(name: str, n: int, d: int, *, s: float = 1.0) -> Criterion:
    """The criterion of that name for n points in R^d; s is the exponent of "riesz"."""
    if name in ("angle", "lines"):
        return MinMax(n, d, lines=name == "lines")
    return Riesz(n, d, s if name == "riesz" else 1.0, name)


def search(
    n: int,
    d: int,
    criterion: str = "angle",
    *,
    s: float = 1.0,
    seconds: float = 60.0,
    seed: int = 0,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Code:
    """The best arrangement of n unit vectors in R^d that attempts reach in the time given.

    Parameters
    ----------
    n, d : int
        Number of vectors and dimension, at least 1.
    criterion : str
        "angle": the largest cosine is to be least, which makes the smallest angle largest
        (spherical codes; Tammes' problem for d = 3). "lines": the largest |cosine| (the coherence)
        is to be least (line packings, Grassmannian frames). "coulomb": the energy
        sum_{i<j} 1 / |x_i - x_j| (Thomson's problem for d = 3). "riesz": the same with the
        exponent `s`, and -log |x_i - x_j| for s = 0.
    s : float
        Exponent of "riesz", at least 0.
    seconds : float
        Time budget, wall clock. The search stops earlier when the best has been reached often.
    seed : int
        At least 0. The same seed gives the same code, unless the clock stopped the search.
    progress : callable, optional
        Called as progress(stage, fraction) after every attempt.
    workers : int, optional
        Most processes; by default one for each core this process may use. Does not change the
        answer.

    Returns
    -------
    Code
        Numerical, except where its status is proved (a closed form with a proof of optimality).
        That many runs ended there is evidence, not a proof: compare `packing.bounds`.

    Raises
    ------
    BadInput
        When an argument is out of range, or the memory that is needed is not there.
    NotReached
        When the time is too short for a single attempt.
    """
    for name, number in (("n", n), ("d", d)):
        if isinstance(number, bool) or not isinstance(number, Integral) or number < 1:
            raise BadInput(f"{name} = {number!r} is not a count: give a whole number, at least 1")
    if criterion not in CRITERIA:
        raise BadInput(f"no criterion {criterion!r}: give one of {', '.join(CRITERIA)}")
    if not (isinstance(s, Real) and math.isfinite(s) and s >= 0):
        raise BadInput(f"s = {s!r} is no Riesz exponent here: give a number, at least 0")
    if not (isinstance(seconds, Real) and not math.isnan(seconds) and seconds > 0):
        raise BadInput(f"seconds = {seconds!r} is no time budget: give a positive number")
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise BadInput(f"seed = {seed!r} is no seed: give a whole number, at least 0")
    if workers is not None and (not isinstance(workers, Integral) or workers < 1):
        raise BadInput(f"workers = {workers!r}: give a whole number of processes, at least 1")
    n, d = int(n), int(d)
    problem = make_criterion(criterion, n, d, s=float(s))
    check_memory(n, d, problem.needs()[0])
    return run(problem, n, d, float(seconds), int(seed), progress, workers=workers)


def check_memory(n: int, d: int, needed: float) -> None:
    """Refuse, before anything is allocated, what this machine cannot hold."""
    there = memory_there()
    if needed > there:
        raise BadInput(
            f"{n} points in R^{d} need about {needed / 1e9:.3g} GB and {there / 1e9:.3g} GB are "
            "there: take fewer points or dimensions"
        )


def memory_there() -> float:
    """Bytes of physical memory of this machine; infinite where that cannot be asked."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE")) * float(os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return math.inf
