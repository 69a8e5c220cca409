"""Transitions of the best block for features in surplus, as exact numbers or proved enclosures.

With features in surplus the best block has the largest gain per dimension, (n/d)(v - l(S)). Each
gain lies in a ball over its whole computation, the minimum over norms and biases included, so a
change of sign between two S encloses a transition between two blocks (proved). Under the binary law
it is the root of a polynomial where both blocks have formulas. That no third block of the table is
better there is compared in floats (1e-10): numerical, with the closest one named.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from packing.errors import BadInput
from theory.closed_form.points import Point
from theory.mixtures.blocks import blocks
from theory.mixtures.limit import DEDICATED
from theory.mixtures.meeting import broken_digon, meeting, polynomial
from theory.mixtures.sequence import others, surplus

SMALL = 16
"""Points of a block up to which all digits are found, however long that takes."""

_TIE = 1e-9  # share of the gain below which floats do not tell two blocks apart


@dataclass(frozen=True, eq=False)
class Transition:
    """An S at which the best block for features in surplus changes.

    Parameters
    ----------
    low, high : Fraction
        Ends of an interval that holds it: the gains change order in between (proved).
    denser, sparser : str
        Blocks with the larger gain above and below.
    point : Point or None
        The root of an irreducible polynomial, where one was found (binary law).
    known : {"exact", "rigorous", "numerical"}
        Of S; ``numerical`` is not used as long as every block has an enclosure.
    digits : int
        Decimals that the interval fixes.
    rivals : tuple of (name, share)
        Other blocks within 2 % there, the closest first, with the share of the gain they lose.
    margin : float
        Share that the closest other block loses; numerical, to 1e-10.
    law : str
    """

    low: Fraction
    high: Fraction
    denser: str
    sparser: str
    point: Point | None
    known: Literal["exact", "rigorous", "numerical"]
    digits: int
    rivals: tuple[tuple[str, float], ...]
    margin: float
    law: str

    def __float__(self) -> float:
        return float((self.low + self.high) / 2)

    @property
    def decimals(self) -> tuple[str, str]:
        """Both ends with one digit more than is fixed, rounded outwards."""
        places = self.digits + 1
        scale = 10**places
        ends = math.floor(self.low * scale), math.ceil(self.high * scale)
        low, high = (f"{x // scale}.{x % scale:0{places}d}" for x in ends)
        return low, high


def transitions(
    law: str,
    *,
    digits: int = 30,
    seconds: float = 60.0,
    S_min: float = 1e-3,
    progress: Callable[[str], None] | None = None,
) -> tuple[Transition, ...]:
    """Every transition of `surplus`, enclosed.

    Parameters
    ----------
    law : {"binary", "uniform"}
    digits : int
        Decimals asked for.
    seconds : float
        Processor time for each transition where a block has more than SMALL points; about.
    S_min : float
        As in `surplus`.
    progress : callable, optional
        Told each transition as a line of text.

    Returns
    -------
    tuple of Transition
        S falling. Each enclosure is proved; that the list is complete is numerical.
    """
    phases = surplus(law, S_min=S_min)
    found = []
    for above, below in itertools.pairwise(phases):
        one = transition(above.name, below.name, law, above.low, digits=digits, seconds=seconds)
        found.append(one)
        if progress is not None:
            progress(f"{one.denser}, {one.sparser}: {one.decimals[0]} ({one.known})")
    return tuple(found)


def transition(
    denser: str,
    sparser: str,
    law: str,
    near: float,
    *,
    digits: int = 30,
    seconds: float = 60.0,
    within: float = 0.02,
) -> Transition:
    """Where the best block for features in surplus changes from one to another.

    Parameters
    ----------
    denser, sparser : str
        Names in `blocks`, or ``dedicated``: larger gain above and below.
    law : {"binary", "uniform"}
    near : float
        An S close to it, to about 1 part in 1000.
    digits, seconds
        As in `transitions`.
    within : float
        Rivals are listed up to this share of the gain.

    Returns
    -------
    Transition

    Raises
    ------
    BadInput
        If a name is unknown, the gains do not change order near there, or a third block gains more.
    """
    table = {block.name: block for block in (DEDICATED, *blocks(law))}
    for name in (denser, sparser):
        if name not in table:
            raise BadInput(f"{name!r} is no block of the table: see theory.mixtures.blocks")
    if denser == sparser or digits < 1:
        raise BadInput("give two different blocks, and at least one digit")
    sides = table[denser], table[sparser]
    limit = None if max(block.n for block in sides) <= SMALL else seconds
    point: Point | None
    if {denser, sparser} == {"digon", "uneven digon"}:
        low, high, point = broken_digon(Fraction(near), digits)
    else:
        low, high = meeting(sides, law, near, digits, limit)
        point = polynomial(sides, low, high) if law == "binary" else None
    rivals, margin = _others(law, float((low + high) / 2), (denser, sparser), within)
    return Transition(
        low,
        high,
        denser,
        sparser,
        point,
        "exact" if point else "rigorous",
        math.floor(-math.log10(float(high - low)) + 1e-9),
        rivals,
        margin,
        law,
    )


def transition_rows(law: str, **options: Any) -> list[dict[str, Any]]:
    """The transitions as rows of a table.

    Parameters
    ----------
    law : {"binary", "uniform"}
    options
        As in `transitions`.

    Returns
    -------
    list of dict
        S (float), low, high (text), digits, denser, sparser, known, polynomial (text or None),
        rivals (text).
    """
    rows = []
    for one in transitions(law, **options):
        low, high = one.decimals
        short = one.point is not None and len(one.point.equation) <= 200
        rows.append(
            {
                "S": float(one),
                "low": low,
                "high": high,
                "digits": one.digits,
                "denser": one.denser,
                "sparser": one.sparser,
                "known": one.known,
                "polynomial": _equation(one.point, short),
                "rivals": ", ".join(f"{name} ({_percent(x)})" for name, x in one.rivals),
            }
        )
    return rows


def _equation(point: Point | None, short: bool) -> str | None:
    if point is None:
        return None
    return point.equation if short else f"degree {point.degree}, {len(point.equation)} characters"


def _percent(share: float) -> str:
    return f"{100.0 * share:.3g} %"


def _others(
    law: str, S: float, own: tuple[str, str], within: float
) -> tuple[tuple[tuple[str, float], ...], float]:
    """Other blocks within a share of the gain at S, and the least share lost by any."""
    lost = others(S, law, own, within)
    share, third = lost[0]
    if share < -_TIE:
        raise BadInput(
            f"at S = {S} {third} gains more than {own[0]} and {own[1]}: not a transition"
        )
    return tuple((name, max(0.0, x)) for x, name in lost if x < within), share
