"""Rows of `packing table laws`: the same phases under three laws, side by side.

One row per phase, those of the optima first:
    phase, of (mixture, or the optimum under a law), represented, loss_LAW and share_LAW (of the
    loss of ignoring everything) for each law, S, one_minus_S, known (the weakest of the row)
"""

from __future__ import annotations

from typing import Any

from packing.errors import BadInput, NotReached
from packing.types import Progress
from theory.features import LAWS, Features, law_named
from theory.mixtures.mixture import Mixture
from theory.tables.candidates import optimum_row, rival_mixtures
from theory.tables.parts import summed, weakest

COLUMNS = (
    "phase",
    "of",
    "represented",
    *(f"loss_{law}" for law in LAWS),
    *(f"share_{law}" for law in LAWS),
    "S",
    "one_minus_S",
    "known",
)
DIGITS = {name: 8 if "loss" in name else 5 for name in COLUMNS if "_" in name}


def laws(
    n: int,
    d: int,
    S: float,
    *,
    most: int = 6,
    optimal: bool = True,
    seed: int = 0,
    starts: int | None = None,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """The same phases under the binary, the uniform and the exponential law, side by side.

    Rows are the best mixtures under the binary and the uniform law and, if asked for, the numerical
    optimum of each law. Losses of different laws do not compare; their shares of the loss of
    ignoring every feature do. Mixtures have no blocks of their own under the exponential law: there
    norm and bias are found by search (numerical).

    Parameters
    ----------
    n, d, S, seed, starts
        As for `candidates`.
    most : int
        Mixtures taken from each of the two laws.
    optimal : bool
        Search for the optimum under each law.

    Returns
    -------
    list of dict
        With the keys of COLUMNS; None where a phase does not exist under a law.

    Raises
    ------
    BadInput
        If an argument is out of range.
    """
    chosen: dict[Any, Mixture] = {}
    for law in ("binary", "uniform"):
        for m in rival_mixtures(n, d, S, law, most):
            chosen.setdefault((m.parts, m.dedicated, m.ignored), m)
    rows = []
    for k, m in enumerate(chosen.values()):
        if progress is not None:
            progress("mixtures", k / len(chosen))
        row = _empty(m.name, "mixture", m.represented, S)
        known = []
        for law in LAWS:
            try:
                one = summed(m, law)
            except (BadInput, NotReached):
                continue
            row[f"loss_{law}"] = one.loss
            known.append(one.known)
        row["known"] = weakest(known)
        rows.append(row)
    for law in LAWS if optimal else ():
        found = optimum_row(n, d, S, law, seed, starts, progress)
        row = _empty(found["phase"], f"optimum, {law}", found["represented"], S)
        rows.append({**row, f"loss_{law}": found["loss"], "known": found["known"]})
    for law in LAWS:
        total = n * float(Features.of(1, S, law_named(law)).variance[0])
        for row in rows:
            loss = row[f"loss_{law}"]
            row[f"share_{law}"] = loss / total if loss is not None and total > 0 else None

    def least(row: dict[str, Any]) -> float:
        return min(row[f"share_{law}"] or 0.0 for law in LAWS if row[f"loss_{law}"] is not None)

    return sorted(rows, key=lambda row: (row["of"] == "mixture", least(row)))


def _empty(name: str, of: str, represented: int, S: float) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    return row | {
        "phase": name,
        "of": of,
        "represented": represented,
        "S": S,
        "one_minus_S": 1.0 - S,
    }
