"""The ledger: popular statements about toy models, what theory and training say, and a verdict.

Each statement of a suite names, under ``by``, a function of `CLAIMS`; with ``, uniform`` after the
name it is asked for uniform values. The function compares numbers of theory, computed when asked,
with intervals of trained models, by rules that are fixed in `ledger_parts` and in the tolerances of
`ledger_shapes`, `ledger_phases`, `ledger_scaling` and `ledger_path`. `SAME` asks whether uniform
values change a verdict. All predictions are numerical unless a text says proved.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

from packing.errors import BadInput
from validate.ledger_parts import (
    Book,
    Case,
    Finding,
    Part,
    Stated,
    kind,
    stated,
)
from validate.ledger_path import stages
from validate.ledger_phases import added, critical, sudden
from validate.ledger_scaling import many, scaling
from validate.ledger_shapes import largest_cosine, pentagon, regular, widest
from validate.quantities import Model
from validate.staircase_claims import CLAIMS as STAIRCASE
from validate.suites import Statement, Suite
from validate.surplus_claims import CLAIMS as SURPLUS
from validate.surplus_recipes import CLAIMS as RECIPES

Claim = Callable[[Book, str], Finding]

CLAIMS: dict[str, Claim] = {
    "pentagon": pentagon,
    "largest cosine": largest_cosine,
    "regular": regular,
    "widest": widest,
    "critical": critical,
    "sudden": sudden,
    "scaling": scaling,
    "added": added,
    "stages": stages,
    "many": many,
    **STAIRCASE,
    **SURPLUS,
    **RECIPES,
}
"""The functions that judge, by the name that a suite gives."""

UNIFORM = ", uniform"

SAME = "same for uniform"
"""Name of the statement that compares the verdicts of both laws; it comes last."""


def known() -> tuple[str, ...]:
    """Every name that a statement may give as ``by``."""
    return (*CLAIMS, *(name + UNIFORM for name in CLAIMS), SAME)


def check(statements: Sequence[Statement]) -> None:
    """Refuse a statement that nothing can judge.

    Raises
    ------
    BadInput
        If a ``by`` is unknown, or the comparison of laws has nothing to compare.
    """
    for one in statements:
        if one.by not in known():
            near = difflib.get_close_matches(one.by, known(), 1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known())}"
            raise BadInput(f"statement {one.id!r} is judged by {one.by!r}: {hint}")
    names = {one.by for one in statements}
    if SAME in names and not any(name in names and name + UNIFORM in names for name in CLAIMS):
        raise BadInput(f"{SAME!r} compares statements judged for both laws: give at least one pair")


def state(
    suite: Suite, models: Sequence[Model], progress: Callable[..., None] | None = None
) -> tuple[Stated, ...]:
    """Judge the statements of a suite.

    Parameters
    ----------
    suite : Suite
        With `Statement`s and the cells that they need.
    models : sequence of (Trained, Measured)
        At least those of the suite's runs.
    progress : callable, optional
        ``progress(stage, fraction, detail)``; predictions can take a minute.

    Returns
    -------
    tuple of Stated
        In the order of the suite.

    Raises
    ------
    BadInput
        If a statement names nothing known, or a cell that it needs is missing.
    """
    check(suite.statements)
    book, found = Book(suite, models), {}
    for i, one in enumerate(suite.statements):
        if progress is not None:
            progress("ledger", i / len(suite.statements), f"{one.id}. {one.text[:50]}")
        if one.by != SAME:
            law = "uniform" if one.by.endswith(UNIFORM) else "binary"
            judged = CLAIMS[one.by.removesuffix(UNIFORM)](book, law)
            found[one.by] = stated(one.id, one.text, judged)
    return tuple(
        stated(one.id, one.text, same(found)) if one.by == SAME else found[one.by]
        for one in suite.statements
    )


def same(found: dict[str, Stated]) -> Finding:
    """Whether a statement has the same verdict for both laws; conditions may differ in numbers."""
    cases = []
    for name in CLAIMS:
        if name not in found or name + UNIFORM not in found:
            continue
        binary, uniform = found[name], found[name + UNIFORM]
        verdicts = kind(binary.verdict), kind(uniform.verdict)
        equal = verdicts[0] == verdicts[1]
        trained = "inconclusive" if "undecided" in verdicts else "agree" if equal else "disagree"
        text = f"{verdicts[0]} / {verdicts[1]}"
        cases.append(Case(f"{binary.id}", equal, trained, text, ""))  # type: ignore[arg-type]
    alike = ", ".join(case.name for case in cases if case.theory)
    return Finding(
        (
            Part(
                "binary and uniform values give the same verdict",
                tuple(cases),
                f"the statement is one of {alike}",
            ),
        ),
        predicted="Verdicts for binary and for uniform values.",
        note="Numbers differ everywhere: see the statements for uniform values.",
    )


__all__ = ["CLAIMS", "SAME", "UNIFORM", "Stated", "check", "known", "same", "state"]
