"""What a code that was found is worth: its name, its gap to the best bound, and the verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from packing.arrangement import Arrangement
from packing.errors import BadInput

if TYPE_CHECKING:
    from packing.bounds import Bound
    from packing.search import Code

OPTIMAL = "optimal (proved)"
MEETS = "meets the bound"
OPEN = "open"
IMPOSSIBLE = "impossible"

_QUANTITY: dict[str, Literal["max_cosine", "coherence", "energy"]] = {
    "angle": "max_cosine",
    "lines": "coherence",
    "coulomb": "energy",
}

_CLAIMS = {
    "angle": ("spherical code", "universal"),
    "lines": ("lines", "equiangular lines"),
    "coulomb": ("universal", "coulomb"),
    "riesz": ("universal",),
}
"""What a catalogue entry must be proved optimal for; universal: for every such energy."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """A code beside what is known of it.

    Parameters
    ----------
    code : Code
    name : str
        As `packing.recognise` gives it; for lines, the name of both ends of all of them.
    bound : Bound or None
        The best lower bound on the code's value; None where none is known.
    gap : float or None
        The value less the bound.
    verdict : str
        OPTIMAL where the code has a proof, reaches a bound that is known to be attained, or has a
        name that is proved optimal in the literature; MEETS where the two agree to 1e-10 and no
        more is known; OPEN; IMPOSSIBLE where the value is below a proved bound, so that one of the
        two is wrong.
    why : str
        One sentence.
    """

    code: Code
    name: str
    bound: Bound | None
    gap: float | None
    verdict: str
    why: str

    @property
    def status(self) -> str:
        """The status of the code, or what the verdict knows better: "proved", "meets-bound"."""
        if self.verdict == OPTIMAL:
            return "proved"
        return "meets-bound" if self.verdict == MEETS else self.code.status

    @property
    def advice(self) -> str:
        """What the status means; no more time is asked for where nothing better can be found."""
        return self.why if self.verdict in (OPTIMAL, MEETS) else self.code.advice


def judge(code: Code) -> Judgement:
    """A found code beside its name and the best bound; says whether it is proved optimal.

    The name and the comparison with the bound are numerical (to 1e-6 and 1e-10); bounds and the
    theorems behind names are proved where they say so.
    """
    from packing.bounds import bounds, gap

    name = name_of_code(code)
    quantity = _QUANTITY.get(code.criterion)
    known = [b for b in bounds(code.n, code.d) if b.quantity == quantity]
    if quantity is None or not math.isfinite(code.value) or not known:
        why = "No bound is known here to compare it with."
        return _settled(Judgement(code, name, None, None, OPEN, why))
    found = gap(code.value, code.n, code.d, quantity=quantity)
    difference = found.gap
    if abs(difference) < 1e-14 * max(1.0, abs(code.value)):
        difference = 0.0  # the last digits of two floats
    why = f"{found.reason[:1].upper()}{found.reason[1:]}."
    if found.verdict == OPEN:
        why = f"No code can be better by more than {difference:.3g} ({found.bound.name})."
    return _settled(Judgement(code, name, found.bound, difference, found.verdict, why))


def with_exact(judged: Judgement, cosine: str) -> Judgement:
    """The judgement once the code's largest (absolute) cosine is proved to be ``cosine``.

    A float that meets a bound leaves open whether the bound is reached; the exact number decides.
    """
    if judged.verdict != MEETS:
        return judged
    from packing.bounds import gap

    code = judged.code
    found = gap(cosine, code.n, code.d, quantity=_QUANTITY[code.criterion])
    if found.verdict != OPTIMAL:
        return judged
    why = f"{found.reason[:1].upper()}{found.reason[1:]}."
    return replace(judged, bound=found.bound, gap=found.gap, verdict=OPTIMAL, why=why)


def _settled(judged: Judgement) -> Judgement:
    """The judgement, with a proof that does not come from the bound where there is one."""
    if judged.verdict in (OPTIMAL, IMPOSSIBLE):
        return judged
    if judged.code.status == "proved":
        said = judged.code.advice.removeprefix("Optimal: ")
        return replace(judged, verdict=OPTIMAL, why=f"{said[:1].upper()}{said[1:]}")
    source = proved_by(judged.name, judged.code)
    if source is None:
        return judged
    return replace(
        judged, verdict=OPTIMAL, why=f"It is the {judged.name}, proved optimal by {source}."
    )


def proved_by(name: str, code: Code) -> str | None:
    """Who proved the code of that name optimal for its criterion, as the catalogue has it."""
    from packing.catalogue import entry

    try:
        known = entry(name)
    except BadInput:
        return None
    if (known.n, known.d) != (code.n, code.d):
        return None
    for claim in known.claims:
        if claim.status == "proved" and claim.optimal_for in _CLAIMS[code.criterion]:
            return claim.source
    return None


def name_of_code(code: Code) -> str:
    """The name of a code; lines are named by both of their ends."""
    from packing.recognise import name_of

    if code.criterion != "lines" or code.n == 1:
        return name_of(code.arrangement).name
    W = code.arrangement.W
    both = Arrangement.from_weights(np.concatenate([W, -W], axis=1))
    return f"axes of {name_of(both).name}"


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
