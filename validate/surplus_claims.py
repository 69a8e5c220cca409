"""Statements about rare arrangements: does training end there, how often, and what decides it?

known       nothing trained lies below the named arrangement
reached     training ends there in at least SHARE of the runs
apart       a run that does not end there stops at least APART above
never       no run ends there, all settings of a shape together
returns     let down on the exact loss from beside it, a model comes back

Whether an arrangement is the best known is a question to theory and to training, judged by the
rules of `ledger_parts`. Which minimum training finds is none that theory answers: of those claims
training alone decides, through intervals (`of_training`). The first cell of a setting is its plain
recipe; `surplus_recipes` compares the others with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np

from packing.errors import BadInput
from validate.ledger_parts import ALPHA, Book, Case, Finding, Part, least, most
from validate.runs import Setting
from validate.statistics import Verdict, share
from validate.surplus import REACH, Tally, returns, tally

SHARE = 0.2
"""Twenty seeds miss what a fifth of the runs reach with a chance of 1%."""

FEWEST = 48
"""Runs of a cell from which a share can be judged: none of fewer leaves a fifth possible."""

APART = 0.01
"""Relative gap: a hundred times what noise leaves where the rate falls to zero."""

KICKS, BACK = (0.1, 0.3, 1.0), 1e-4
"""Noise on each vector, relative, and the gap from which a descent counts as back."""

_SEEN: WeakKeyDictionary[Book, dict[str, tuple[Tally, ...]]] = WeakKeyDictionary()


def tallies(book: Book, law: str) -> tuple[Tally, ...]:
    """What came of every cell under one law, in the order of the suite.

    Raises
    ------
    BadInput
        If the suite has no such cells.
    """
    held = _SEEN.setdefault(book, {})
    if law not in held:
        cells = [cell for cell in book.suite.cells if cell.setting.law == law]
        if not cells:
            raise BadInput(f"the suite {book.suite.name} has no cells with {law} values: add some")
        held[law] = tuple(tally(cell, book.samples[cell.name]) for cell in cells)
    return held[law]


def plain(found: Sequence[Tally]) -> list[Tally]:
    """The first cell of each setting."""
    first: dict[Setting, Tally] = {}
    for one in found:
        first.setdefault(one.cell.setting, one)
    return list(first.values())


# --- which is the best known ----------------------------------------------------------------------


def known(book: Book, law: str) -> Finding:
    """Nothing lies below the named arrangement, neither in theory nor among trained models."""
    found = tallies(book, law)
    parts = []
    for (n, d), mine in shapes(plain(found)).items():
        cases = [_beaten(one, found) for one in mine]
        names = ", ".join(dict.fromkeys(one.target.name for one in mine))
        parts.append(Part(f"{n} in {d}, {names}", tuple(cases), _where(n, d, mine, cases)))
    lower = [one for one in found if bool(one.below.any())]
    note = "Theory's side is the least of the named arrangement, the best mixture of blocks and "
    note += "the search of theory.optimum: an upper bound on the optimum."
    if lower:
        depth = max(lower, key=lambda one: float(-one.gap.min()))
        note += (
            f" Trained models lie below all of them in {', '.join(o.cell.name for o in lower)}: by "
            f"up to {-float(depth.gap.min()):.2%}."
        )
    return Finding(tuple(parts), note=note, picture=_picture(found))


def _beaten(one: Tally, found: Sequence[Tally]) -> Case:
    """A setting: whether theory, and whether any of its models, knows less than the named."""
    aim = one.target
    gap = np.concatenate([x.gap for x in found if x.cell.setting == one.cell.setting])
    over = (1.0 + gap) * aim.known / aim.loss - 1.0
    below = over < -_noise(one)
    trained: Verdict = "disagree" if below.any() else "agree"
    told = aim.name if aim.wins else f"{aim.best}, {aim.known / aim.loss - 1.0:.2%}"
    seen = f"best of {len(over)} {over.min():+.3%}"
    return Case(at(one), aim.wins, trained, f"{told} ({aim.status})", seen)


def _noise(one: Tally) -> float:
    """Relative error of the losses that are compared."""
    return 1e-6 if one.cell.setting.n > 16 else 1e-9


def reached(book: Book, law: str) -> Finding:
    """Training ends at the named arrangement, where it is the best known, in SHARE of the runs.

    Cells of less than FEWEST runs are left to `never`.
    """
    found = [one for one in plain(tallies(book, law)) if one.target.wins]
    found = [one for one in found if len(one.gap) >= FEWEST]
    parts = []
    for (n, d), mine in shapes(found).items():
        cases = [of_training(least(at(one), SHARE, 1.0, one.share)) for one in mine]
        names = ", ".join(dict.fromkeys(one.target.name for one in mine))
        parts.append(Part(f"{n} in {d}, {names}", tuple(cases), _where(n, d, mine, cases)))
    return Finding(
        tuple(parts),
        trained="Shares of the runs, by distance of Gram matrices.",
        note="Gaps of all runs (10%, 50%, 90%): "
        + "; ".join(f"{one.cell.name} {_spread(one)}" for one in found)
        + ".",
    )


def apart(book: Book, law: str) -> Finding:
    """A run that ends elsewhere stops at least APART above the best known."""
    found = [one for one in plain(tallies(book, law)) if one.target.wins]
    parts = []
    for (n, d), mine in shapes(found).items():
        cases = []
        for one in mine:
            rest = one.gap[~one.reached]
            if rest.size:
                true = bool(rest.min() >= APART)
                seen = f"{rest.min():.2%}, median {np.median(rest):.2%} of {rest.size}"
                cases.append(Case(at(one), true, "agree" if true else "disagree", "", seen))
        if cases:
            parts.append(Part(f"{n} in {d}", tuple(cases), _where(n, d, mine, cases)))
    return Finding(
        tuple(parts),
        trained="The nearest other end.",
        note="Losses are exact: of these runs it is a fact, and no interval is needed.",
    )


def never(book: Book, law: str) -> Finding:
    """In none of the settings of a shape is the named arrangement reached, all runs together."""
    found = [one for one in tallies(book, law) if one.target.wins]
    parts = []
    for (n, d), mine in shapes(found).items():
        hits = int(sum(one.reached.sum() for one in mine))
        runs = sum(len(one.reached) for one in mine)
        case = of_training(most(f"{runs} runs", SHARE, 0.0, share(hits, runs, ALPHA)))
        gap = min(float(one.gap.min()) for one in mine)
        cases = (replace(case, measured=f"{case.measured}, the best {gap:+.2%} above"),)
        parts.append(Part(f"{n} in {d}, {mine[0].target.name}, under {SHARE:.0%}", cases))
    return Finding(tuple(parts), trained="Runs of all recipes together.")


# --- without training -----------------------------------------------------------------------------


def comes_back(book: Book, law: str) -> Finding:
    """Without training: kicked and let down on the exact loss, does it come back?"""
    parts = []
    for (n, d), mine in shapes(plain(tallies(book, law))).items():
        one = max(mine, key=lambda x: (x.target.wins, x.cell.setting.S))
        cases = []
        for kick in KICKS:
            gap, off = returns(one.cell.setting, kick)
            back = abs(gap) <= BACK and off <= REACH  # a lower place elsewhere is not back
            seen = f"gap {gap:.2%}, distance {off:.3f}"
            verdict: Verdict = "agree" if back else "disagree"
            cases.append(Case(f"noise {kick:g}", back, verdict, seen, ""))
        first = next((i for i, case in enumerate(cases) if not case.theory), len(KICKS))
        held = KICKS[:first]
        where = f"the noise is at most {max(held):g} of each length ({n} in {d})" if held else ""
        parts.append(Part(f"{one.target.name}, {at(one)}", tuple(cases), where))
    return Finding(tuple(parts), note="No training: descents on the exact loss.")


# --- parts ----------------------------------------------------------------------------------------


def of_training(case: Case) -> Case:
    """A claim on which theory has no say: what training decides stands."""
    return replace(case, theory=case.trained != "disagree", predicted="")


def shapes(found: Sequence[Tally]) -> dict[tuple[int, int], list[Tally]]:
    out: dict[tuple[int, int], list[Tally]] = {}
    for one in found:
        out.setdefault((one.cell.setting.n, one.cell.setting.d), []).append(one)
    return out


def _where(n: int, d: int, mine: Sequence[Tally], cases: Sequence[Case]) -> str:
    """The S at which the cases are true."""
    true = {case.name for case in cases if case.theory}
    S = [f"{one.cell.setting.S:g}" for one in mine if at(one) in true]
    return f"S is one of {', '.join(S)} ({n} in {d})" if S else ""


def at(one: Tally) -> str:
    return f"S = {one.cell.setting.S:g}"


def _spread(one: Tally) -> str:
    return ", ".join(f"{x:+.2%}" for x in one.quantiles((0.1, 0.5, 0.9)))


def _picture(found: Sequence[Tally]) -> bytes:
    from validate.draw import png
    from validate.surplus_draw import draw

    return png(draw(found))


CLAIMS: dict[str, Callable[[Book, str], Finding]] = {
    "surplus known": known,
    "surplus reached": reached,
    "surplus apart": apart,
    "surplus never": never,
    "surplus returns": comes_back,
}
"""The functions that judge, by the name that a suite gives."""

__all__ = ["CLAIMS", "at", "of_training", "plain", "tallies"]
