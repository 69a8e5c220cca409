"""Statements about rare arrangements and the recipe: what decides how often training ends there?

batch, rate, longer    the ends of a line of recipes that differ in one key: are the shares apart?
schedule               what the way in which the learning rate falls changes

Cells of one setting that differ in one key are compared by Fisher's exact test of their shares, at
the level that all intervals of the ledger have. Theory has no say: training alone decides
(`surplus_claims.of_training`). That the noise of the gradient is behind it is read from the sign of
all of them; nothing here proves it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import hypot

from packing.errors import BadInput
from validate.ledger_parts import ALPHA, Book, Case, Finding, Part, least, most, near, shown
from validate.statistics import Estimate, Verdict
from validate.surplus import Tally
from validate.surplus_claims import at, of_training, plain, tallies

ALIKE = 0.3
"""Difference of two shares that counts as none: an interval of 256 runs against 256 leaves 0.18."""

FEWER = 0.1
"""By how much a constant rate may arrive less often: its noise lasts, and was seen to help."""

NOISE, STILL = 0.002, 0.0005
"""Relative gap that a constant rate leaves at least, and a falling one at most."""


def batch(book: Book, law: str) -> Finding:
    """A smaller batch ends at the named arrangement more often."""
    return _compared(book, law, "batch", "a smaller batch reaches it more often", smaller=True)


def rate(book: Book, law: str) -> Finding:
    """A larger learning rate ends there more often."""
    return _compared(book, law, "lr", "a larger learning rate reaches it more often")


def longer(book: Book, law: str) -> Finding:
    """More steps end there more often."""
    return _compared(book, law, "steps", "more steps reach it more often")


def _compared(book: Book, law: str, key: str, claim: str, smaller: bool = False) -> Finding:
    """The least and the largest value of one key of the recipe, all else as in the plain cell."""
    parts = []
    for base, others in _varied(book, law, key).items():
        line = sorted([base, *others], key=lambda one: float(getattr(one.cell.recipe, key)))
        if not any(one.reached.any() for one in line):
            continue  # where no run arrives there is nothing to compare
        more, less = (line[0], line[-1]) if smaller else (line[-1], line[0])
        values = [getattr(one.cell.recipe, key) for one in (more, less)]
        name = f"{at(base)}, {key} {values[0]:g} against {values[1]:g}"
        seen = f"{shown(more.share)} against {shown(less.share)}"
        case = of_training(Case(name, True, larger(more, less), "", seen))
        s = base.cell.setting
        parts.append(Part(f"{s.n} in {s.d}, {at(base)}: {claim}", (case,)))
    return Finding(tuple(parts), trained="Shares of the runs that reach it.")


def schedule(book: Book, law: str) -> Finding:
    """The schedule changes little of what is found, and much of how near it comes."""
    alike, gaps = [], []
    for base, others in _varied(book, law, "schedule", "warmup").items():
        for one in others:
            how = one.cell.recipe.schedule + (" after a rise" if one.cell.recipe.warmup else "")
            apart = difference(one.share, base.share)
            name = f"{how} less {base.cell.recipe.schedule}, {at(base)}"
            if one.cell.recipe.schedule == "constant":
                alike.append(of_training(least(f"{name}, at least", -FEWER, 1.0, apart)))
            else:
                alike.append(of_training(near(name, 0.0, ALIKE, 0.0, apart)))
        for one in [base, *others]:
            how = one.cell.recipe.schedule + (" after a rise" if one.cell.recipe.warmup else "")
            found, name = one.middle(one.reached), f"{how}, {at(base)}"
            if one.cell.recipe.schedule == "constant":
                gaps.append(of_training(least(f"{name}, at least", NOISE, 1.0, found)))
            else:
                gaps.append(of_training(most(f"{name}, at most", STILL, 0.0, found)))
    return Finding(
        (
            Part("the schedule does not change how often it is reached", tuple(alike)),
            Part("a constant rate stops above what it has reached, others do not", tuple(gaps)),
        ),
        trained="Differences of shares; median gaps of the runs that reach it.",
    )


def larger(one: Tally, other: Tally) -> Verdict:
    """Whether a share is larger than another: Fisher's exact test (1935) at the ledger's level."""
    from scipy.stats import fisher_exact

    hits = [(int(x.reached.sum()), int((~x.reached).sum())) for x in (one, other)]
    if float(fisher_exact(hits).pvalue) > ALPHA:
        return "inconclusive"
    return "agree" if one.share.value > other.share.value else "disagree"


def difference(one: Estimate, other: Estimate) -> Estimate:
    """One share less another: square and add (Newcombe 1998), from Clopper and Pearson's ends."""
    value = one.value - other.value
    low = value - hypot(one.value - one.low, other.high - other.value)
    return Estimate(value, low, value + hypot(one.high - one.value, other.value - other.low))


def _varied(book: Book, law: str, *keys: str) -> dict[Tally, list[Tally]]:
    """Plain cells, each with those that differ from it in these keys of the recipe alone."""
    found: dict[Tally, list[Tally]] = {}
    every = tallies(book, law)
    for base in plain(every):
        if not base.target.wins:
            continue
        for one in every:
            recipe, other = base.cell.recipe, one.cell.recipe
            same = replace(other, **{key: getattr(recipe, key) for key in keys}) == recipe
            if one is not base and one.cell.setting == base.cell.setting and same:
                found.setdefault(base, []).append(one)
    if not found:
        raise BadInput(f"the suite {book.suite.name} varies no {' or '.join(keys)} ({law}): add it")
    return found


CLAIMS: dict[str, Callable[[Book, str], Finding]] = {
    "surplus batch": batch,
    "surplus rate": rate,
    "surplus longer": longer,
    "surplus schedule": schedule,
}
"""The functions that judge, by the name that a suite gives."""

__all__ = ["CLAIMS", "difference", "larger"]
