"""What a found code is worth: its name, its gap to the best bound, whether it is optimal.

`evaluate` sets a code beside what is known of it; `code_table` does so for every n and d.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np

from packing import cache
from packing.algebra.identification import Algebraic
from packing.arrangement import Arrangement
from packing.bounds import Bound, Gap, bounds, gap
from packing.catalogue import entry
from packing.errors import BadInput, NotReached
from packing.proofs.certificates import Certificate, certify
from packing.proofs.exact_gram import exact_cosine
from packing.proofs.existence import Existence, existence
from packing.recognition import name_of
from packing.results import Evidence, Result, Table, plain, shown
from packing.search import Code, check_memory, make_criterion, search
from packing.search.code import CRITERIA
from packing.types import Progress

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


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Result):
    """A code beside what is known of it; what `packing code` prints.

    Parameters
    ----------
    code : Code
    name : str
        As `packing.recognition` gives it; for lines, the name of both ends of all of them.
    bound : Bound or None
        The best lower bound on the code's value; None where none is known.
    gap : float or None
        The value less the bound.
    verdict : Evidence
        How it is known that the code is optimal: proved where it has a proof, reaches a bound that
        is known to be attained, or has a name that is proved optimal in the literature; numerical
        where code and bound agree to 1e-10 and no more is known; unsettled otherwise.
    why : str
        One sentence.
    impossible : bool
        The value is below a proved bound: one of the two is wrong.
    certificate : Certificate, optional
        That no angle is smaller, in whole numbers; see `certified`.
    existence : Existence, optional
    algebraic : Algebraic, optional
        That an exact code exists, and its largest cosine as a number; see `proved`.
    """

    code: Code
    name: str
    bound: Bound | None
    gap: float | None
    verdict: Evidence
    why: str
    impossible: bool = False
    certificate: Certificate | None = None
    existence: Existence | None = None
    algebraic: Algebraic | None = None

    @property
    def status(self) -> Evidence:
        """How the code is known; unsettled only where its search was stopped by the clock."""
        return self.code.status if self.verdict is Evidence.UNSETTLED else self.verdict

    @property
    def advice(self) -> str:
        """What the status means; no more time is asked for where nothing better can be found."""
        return self.code.advice if self.verdict is Evidence.UNSETTLED else self.why

    def certified(self) -> Evaluation:
        """With a `Certificate` of the smallest angle; for angles and lines only."""
        return replace(self, certificate=certify(self.code.arrangement, self._criterion()))

    def proved(self) -> Evaluation:
        """With what intervals prove of an exact code nearby; for angles and lines only.

        Where its largest cosine is proved, the bound is compared with that number.
        """
        criterion = self._criterion()
        there = existence(self.code.arrangement, criterion=criterion)
        exact = exact_cosine(self.code.arrangement, criterion=criterion)
        known = self.with_exact(exact.text) if exact.status == "proved" else self
        return replace(known, existence=there, algebraic=exact)

    def with_exact(self, cosine: str) -> Evaluation:
        """The evaluation once the code's largest (absolute) cosine is proved to be ``cosine``.

        A float that meets a bound leaves open whether the bound is reached; the exact number
        decides.
        """
        if self.verdict is not Evidence.NUMERICAL:
            return self
        code = self.code
        found = gap(cosine, code.n, code.d, quantity=_QUANTITY[code.criterion])
        if found.verdict is not Evidence.PROVED:
            return self
        why = _sentence(found.reason)
        return replace(self, bound=found.bound, gap=found.gap, verdict=found.verdict, why=why)

    def _criterion(self) -> Literal["angle", "lines"]:
        if self.code.criterion not in ("angle", "lines") or self.code.n < 2:
            raise BadInput("a proof is about angles: give two vectors or more, or lines")
        return cast(Literal["angle", "lines"], self.code.criterion)

    def _values(self) -> Mapping[str, Any]:
        certificate = self.certificate.to_dict() if self.certificate is not None else None
        if certificate is not None:
            certificate = {k: v for k, v in certificate.items() if k not in ("kind", "vectors")}
        bound = self.bound
        return {
            **self.code._values(),
            "name": self.name,
            "bound": bound and bound.value,
            "gap": self.gap,
            "bound_name": bound and bound.name,
            "bound_source": bound and bound.source,
            "verdict": self.verdict,
            "why": self.why,
            "impossible": self.impossible,
            "status": self.status,
            "search_status": self.code.status,
            "advice": self.advice,
            "certificate": certificate,
            "existence": self.existence and self.existence.to_dict(),
            "algebraic": self.algebraic and self.algebraic.to_dict(),
        }

    def _facts(self) -> Sequence[tuple[str, str]]:
        code, bound = self.code, "none known"
        if self.bound is not None:
            value = shown(self.bound.value, 12)
            bound = f"{value} at least: {self.bound.name} ({self.bound.source})"
        measured = [fact for fact in code._facts() if fact[0] not in ("code", "status", "advice")]
        facts = [("arrangement", f"{self.name}, n = {code.n} in d = {code.d}"), *measured]
        facts[-2:-2] = [  # before what the search says of itself
            ("bound", bound),
            ("gap", shown(self.gap, 3)),
            ("verdict", f"{self.verdict}. {self.why}"),
        ]
        facts.append(("status", self.status))
        if self.advice != self.why:
            facts.append(("advice", self.advice))
        if self.certificate is not None:
            facts.append(("certificate", self.certificate.sentence))
        if self.existence is not None:
            facts.append(("existence", self.existence.sentence))
        if self.algebraic is not None:
            text, sentence = self.algebraic.text, self.algebraic.sentence
            # The sentence names the polynomial: sympy's CRootOf would only repeat it.
            plainly = not text or text.startswith("CRootOf")
            facts.append(("exact cosine", sentence if plainly else f"{text}, {sentence}"))
        return facts

    def _tables(self) -> Sequence[Table]:
        return self.code._tables()

    def plot(self, ax: Any = None) -> Any:
        """Draw the code into the axes; see `Code.plot`."""
        return self.code.plot(ax)

    @property
    def title(self) -> str:
        """Two lines that stand above a picture of the code."""
        code = self.code
        degrees = f"{math.degrees(code.min_angle):.6f}°"
        if code.n == 1:
            reached = "no angle"
        elif code.criterion in ("coulomb", "riesz"):
            reached = f"energy {code.energy:.10g}"
        elif code.criterion == "lines":
            reached = f"coherence {code.coherence:.10g}, {degrees}"
        else:
            reached = f"cosine {code.max_cosine:.10g}, {degrees}"
        known = "proved optimal" if self.verdict is Evidence.PROVED else self.verdict.value
        return f"{self.name}\nn = {code.n}, d = {code.d}: {reached}, {known}"


@dataclass(frozen=True, repr=False)
class NoCode(Result):
    """The time was too short for any code; the keys of `Evaluation`, most of them null."""

    n: int
    d: int
    criterion: str
    exponent: float | None
    seed: int
    advice: str

    def _values(self) -> Mapping[str, Any]:
        keys = (
            "value max_cosine min_angle_deg coherence energy vectors name bound gap verdict why "
            "impossible bound_name bound_source contacts rattlers seconds certificate existence "
            "algebraic"
        )
        return {
            **dict.fromkeys(keys.split()),
            **vars(self),
            "status": Evidence.UNSETTLED,
            "search_status": Evidence.UNSETTLED,
            "reached": 0,
            "runs": 0,
        }

    def _facts(self) -> Sequence[tuple[str, str]]:
        criterion = CRITERIA[self.criterion].format(self.exponent)
        return [("code", f"none of n = {self.n} in d = {self.d}"), ("criterion", criterion)]


def evaluate(code: Code) -> Evaluation:
    """A found code beside its name and the best bound; says whether it is proved optimal.

    The name and the comparison with the bound are numerical (to 1e-6 and 1e-10); bounds and the
    theorems behind names are proved where they say so.
    """
    name = name_of_code(code)
    quantity = _QUANTITY.get(code.criterion)
    known = [b for b in bounds(code.n, code.d) if b.quantity == quantity]
    if quantity is None or not math.isfinite(code.value) or not known:
        why = "No bound is known here to compare it with."
        return _settled(Evaluation(code, name, None, None, Evidence.UNSETTLED, why))
    found = gap(code.value, code.n, code.d, quantity=quantity)
    return _settled(_compared(code, name, found))


def _compared(code: Code, name: str, found: Gap) -> Evaluation:
    difference = found.gap
    if abs(difference) < 1e-14 * max(1.0, abs(code.value)):
        difference = 0.0  # the last digits of two floats
    why = _sentence(found.reason)
    if found.verdict is Evidence.UNSETTLED and not found.impossible:
        why = f"No code can be better by more than {difference:.3g} ({found.bound.name})."
    return Evaluation(code, name, found.bound, difference, found.verdict, why, found.impossible)


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}."


def _settled(known: Evaluation) -> Evaluation:
    """The evaluation, with a proof that does not come from the bound where there is one."""
    if known.verdict is Evidence.PROVED or known.impossible:
        return known
    if known.code.status is Evidence.PROVED:
        said = known.code.advice.removeprefix("Optimal: ").removesuffix(".")
        return replace(known, verdict=Evidence.PROVED, why=_sentence(said))
    source = proved_by(known.name, known.code)
    if source is None:
        return known
    why = f"It is the {known.name}, proved optimal by {source}."
    return replace(known, verdict=Evidence.PROVED, why=why)


def proved_by(name: str, code: Code) -> str | None:
    """Who proved the code of that name optimal for its criterion, as the catalogue has it."""
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
    if code.criterion != "lines" or code.n == 1:
        return name_of(code.arrangement).name
    W = code.arrangement.W
    both = Arrangement.from_weights(np.concatenate([W, -W], axis=1))
    return f"axes of {name_of(both).name}"


# The best code for every n and d.
#
# Every finished cell is kept in the cache at once, so that a table that was interrupted goes on
# where it stopped. A cell whose search ended by itself answers for every time budget; one that the
# clock stopped answers for that budget only.

COLUMNS = (
    "n",
    "d",
    "min_angle_deg",
    "max_cosine",
    "coherence",
    "energy",
    "name",
    "bound",
    "gap",
    "bound_name",
    "known",
    "found",
)

_TITLES = {
    "angle": "vectors in R^d: largest smallest angle",
    "lines": "lines in R^d: least coherence",
    "coulomb": "vectors in R^d: least Coulomb energy",
    "riesz": "vectors in R^d: least Riesz energy, exponent {:.10g}",
}


@dataclass(frozen=True, repr=False)
class CodeTable(Result):
    """The best codes for many n and d.

    Parameters
    ----------
    criterion : str
    exponent : float
        Of "riesz".
    rows : tuple of dict
        One per cell, by d and then n, with the keys of COLUMNS, ``status`` and ``advice``.
    remembered : int
        Cells that were answered from the cache.
    """

    criterion: str
    exponent: float
    rows: tuple[dict[str, Any], ...]
    remembered: int

    @property
    def unfinished(self) -> int:
        """Cells whose search the clock stopped, with or without a result."""
        return sum(row["status"] == Evidence.UNSETTLED for row in self.rows)

    def _values(self) -> Mapping[str, Any]:
        (table,) = self._tables()
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        return {"title": table.title, "columns": table.columns, "rows": rows}

    def _facts(self) -> Sequence[tuple[str, str]]:
        return [("cells", str(len(self.rows))), ("unfinished", str(self.unfinished))]

    def _tables(self) -> Sequence[Table]:
        columns = [name for name in COLUMNS if name != "coherence" or self.criterion == "lines"]
        title = f"Best arrangements of n {_TITLES[self.criterion].format(self.exponent)}"
        rows = [[row[name] for name in columns] for row in self.rows]
        return [Table(title, columns, rows, {"min_angle_deg": 9, "gap": 3})]


def code_table(
    sizes: Sequence[int],
    dimensions: Sequence[int],
    criterion: str = "angle",
    *,
    s: float = 1.0,
    seconds: float = 10.0,
    seed: int = 0,
    keep: bool = True,
    progress: Progress | None = None,
) -> CodeTable:
    """The best arrangement of n points for every n and d, its bound, and how it is known.

    One row per cell: smallest angle, largest cosine, energy, name, best bound, gap, how it is known
    to be optimal and how often the search found it. Cells are kept in the cache as soon as they are
    finished, so the same command continues a table that was interrupted.

    Parameters
    ----------
    sizes, dimensions : sequences of int
        The n and the d of the table.
    criterion, s, seconds, seed
        As for `packing.search.search`; the time budget is for each cell.
    keep : bool
        Read and write the cache.
    progress : callable, optional
        Called as progress(stage, fraction) with the fraction of the table that is done.

    Raises
    ------
    BadInput
        As `packing.search.search`.
    """
    # The largest cell first: a table must not stop halfway for what was known at its beginning.
    top = max(sizes), max(dimensions)
    check_memory(*top, make_criterion(criterion, *top, s=s).needs()[0])
    cells = [(n, d) for d in sorted(set(dimensions)) for n in sorted(set(sizes))]
    rows, remembered = [], 0
    for done, (n, d) in enumerate(cells):

        def inner(stage: str, fraction: float, done: int = done) -> None:
            if progress is not None:
                progress("cells", (done + min(fraction, 0.99)) / len(cells))

        question = {
            "verb": "evaluation of a code",
            "n": n,
            "d": d,
            "criterion": criterion,
            "s": s if criterion == "riesz" else None,
            "seed": seed,
        }
        budgets = (None, seconds) if keep else ()
        answers = (cache.read({**question, "seconds": budget}) for budget in budgets)
        row = next((answer for answer in answers if answer), None)
        if row is not None:
            remembered += 1
        else:
            row = _cell(n, d, criterion, s=s, seconds=seconds, seed=seed, progress=inner)
            if keep and row["name"] is not None:
                budget = seconds if row["status"] == Evidence.UNSETTLED else None
                cache.write({**question, "seconds": budget}, row)
        rows.append(row)
        inner("", 1.0)
    return CodeTable(criterion, s, tuple(rows), remembered)


def _cell(n: int, d: int, criterion: str, *, seconds: float, **rest: Any) -> dict[str, Any]:
    """One row, as values that JSON can hold; without a result where the time was too short."""
    try:
        found = evaluate(search(n, d, criterion, seconds=seconds, **rest))
    except NotReached as stop:
        said = {"known": Evidence.UNSETTLED, "found": f"nothing in {seconds:g} s"}
        ended = {"status": Evidence.UNSETTLED, "advice": str(stop)}
        row: dict[str, Any] = plain({**dict.fromkeys(COLUMNS), "n": n, "d": d, **said, **ended})
        return row
    code, values = found.code, found.to_dict()
    row = {name: values.get(name) for name in (*COLUMNS, "status", "advice")}
    row["coherence"] = _clean(code.coherence)
    row["max_cosine"] = _clean(code.coherence if criterion == "lines" else code.max_cosine)
    late = ", time up" if found.status is Evidence.UNSETTLED else ""
    row |= {"known": found.verdict.value, "found": f"{code.reached} of {code.runs}{late}"}
    return cast(dict[str, Any], plain(row))


def _clean(cosine: float) -> float:
    """The cosine, 0 where it is nothing but the rounding of coordinates near 1."""
    return 0.0 if abs(cosine) < 4e-16 else cosine
