"""Negative controls: the same data against predictions that are known to be wrong.

A check that accepts everything shows nothing. So each check is repeated against wrong readings of
theory: another arrangement, S read as 1 - S, another law, biases dropped. The shift is how far the
prediction moves. Beyond `POWER` tolerances the trained models must reject it (verdict disagree);
below, the check cannot tell the two apart, and says so. The factor leaves room for the interval: a
control two tolerances away would already be rejected by every interval that lets the check agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from validate.statistics import Estimate, Verdict, verdict

if TYPE_CHECKING:
    from validate.compare import Check

POWER = 3.0
"""Tolerances beyond which a wrong prediction has to be rejected."""

MEANING = {
    "arrangement": "another arrangement",
    "1-S": "S read as 1 - S",
    "law": "the other law",
    "bias": "biases dropped",
    "prototypes": "prototypes passed off as optima",
}


@dataclass(frozen=True)
class Control:
    """A check repeated against a wrong prediction.

    Parameters
    ----------
    name : str
        Which reading was wrong (`MEANING`).
    predicted : float
        What it predicts.
    shift : float
        How far that is from the right prediction, in the quantity's unit.
    power : bool
        Whether the shift exceeds `POWER` tolerances.
    verdict : str
    rejected : bool
        Whether the verdict is ``disagree``.
    """

    name: str
    predicted: float
    shift: float
    power: bool
    verdict: Verdict
    rejected: bool


def control(
    name: str, predicted: float, shift: float, estimate: Estimate, tolerance: float
) -> Control:
    """The verdict on a wrong prediction."""
    found = verdict(estimate, predicted, tolerance)
    return Control(name, predicted, shift, shift > POWER * tolerance, found, found == "disagree")


def broken(checks: Sequence[Check]) -> tuple[str, ...]:
    """Why a suite shows nothing: a sentence for each control that passed, or for their lack."""
    if not checks:
        return ()
    tested = [(check, one) for check in checks for one in check.controls if one.power]
    if not tested:
        return ("no negative control has power: a wrong theory would pass unnoticed",)
    return tuple(
        f"{check.name}: {MEANING[one.name]} was not rejected ({one.verdict}), "
        f"though it moves the prediction by {one.shift / check.tolerance:.1f} tolerances"
        for check, one in tested
        if not one.rejected
    )


def count(checks: Sequence[Check], which: Callable[[Control], bool]) -> int:
    """How many controls of all checks are so."""
    return sum(which(one) for check in checks for one in check.controls)


__all__ = ["MEANING", "POWER", "Control", "broken", "control", "count"]
