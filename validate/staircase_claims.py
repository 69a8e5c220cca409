"""Statements about the staircase: does training of large models find what mixtures predict?

at most    training stops at most GAP above the best mixture
undercut   no trained model costs less than the best mixture, by more than DEFICIT
followed   D* is that of the best mixture, within a tenth; wrong readings are rejected
half       where D* is one half: the plateau of antipodal pairs
blocks     nine in ten represented features are in a block of the mixture: its D_i, its cosines

Theory's side is the best mixture, an upper bound: where the exact loss of a trained model lies
below it (`theory.loss`, error bound included) theory itself says that the mixture is no optimum,
and long simulations on fresh samples must say so too. Losses are exact, so a case has no interval:
it is decided if all models of an S agree. All rules are in `ledger_parts`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from validate.data import generator
from validate.ledger_parts import Book, Case, Finding, Part
from validate.measure import simulate
from validate.quantities import Model
from validate.staircase import stairs
from validate.staircase_trained import Place, places
from validate.statistics import Verdict

GAP = 0.01
"""Relative gap to the mixture's loss: the many-features solution, which has no blocks at all, costs
1.5 to 6% more where S is between 0.03 and 0.5."""

DEFICIT = 0.003
"""Relative deficit from which a model counts as below the mixture: SURE standard errors of the
simulations that have to confirm it."""

FACTOR = 0.1
"""Relative tolerance of D*: neighbouring steps (1/2, 2/5, 5/16) are 20% apart or more."""

HALF = 0.02
"""Distance of D* from 1/2 on the plateau, as `staircase.NEAR` of a D_i."""

MOST = 0.9
"""Share of represented features that has to be on a level, and in a block."""

TIMES, PURPOSE, SURE = 16, 4, 4.0
"""Simulations of a model below the mixture, the purpose of their numbers, and the standard errors
it must lie below by: for 50 models all right with more than 99%."""

CONTROLLED = 8
"""Of the S, so many are predicted under wrong readings too."""

OTHER = {"binary": "uniform", "uniform": "binary"}


def at_most(book: Book, law: str) -> Finding:
    """Training stops at most GAP above the best mixture."""
    found = places(book, law)
    cases = []
    for place in found:
        inside = [one.gap <= GAP for one in place.landed]
        gaps = ", ".join(f"{one.gap:+.2%}" for one in place.landed)
        told = f"many features {place.stair.margin:+.2%}"
        cases.append(Case(place.name, True, decided(inside), told, gaps))
    gap = np.array([place.best.gap for place in found])
    wide = np.array([place.stair.margin for place in found])
    return Finding(
        (Part(f"training stops at most {GAP:.0%} above the best mixture", tuple(cases)),),
        predicted="Loss of the many-features solution above the mixture's.",
        trained=f"Gap to the mixture: median {np.median(gap):+.2%}, from {gap.min():+.2%} to "
        f"{gap.max():+.2%}; {int(np.sum(gap < wide))} of {len(gap)} are nearer than many "
        "features.",
        note="The mixture is an upper bound on the least loss, so a gap says how far training is "
        "from the best that is known, not from the optimum.",
    )


def undercut(book: Book, law: str) -> Finding:
    """No trained model costs less than the best mixture, by more than DEFICIT."""
    found = places(book, law)
    cases = []
    for place in found:
        best, mixture = place.best, (1.0 - DEFICIT) * place.stair.loss
        low = best.loss + best.error_bound < mixture
        value, error = best.simulated, best.standard_error
        if low:
            value, error = simulated(place.models[0])
        trained: Verdict = "inconclusive"
        if value + SURE * error < mixture:
            trained = "disagree"
        elif not low:
            trained = "agree"
        under = sum(one.below for one in place.landed)
        told = f"exact {best.gap:+.2%}"
        told += f" ({under} of {len(place.landed)} models below)" if under else ""
        gap, spread = value / place.stair.loss - 1.0, error / place.stair.loss
        cases.append(
            Case(place.name, not low, trained, told, f"simulated {gap:+.2%} ± {spread:.2%}")
        )
    low_at = [place.stair.S for place, one in zip(found, cases, strict=True) if not one.theory]
    span = f"S is not {_list(low_at)}" if low_at else ""
    return Finding(
        (
            Part(
                f"no trained model costs less than the best mixture by more than {DEFICIT:.1%}",
                tuple(cases),
                span,
            ),
        ),
        predicted="Exact loss of the best model against the mixture's.",
        note="A model below refutes that the mixture is the optimum, not the theory behind it: its "
        "loss is an upper bound, of symmetric blocks from a finite catalogue in orthogonal "
        f"subspaces. Models below are simulated {TIMES} times.",
    )


def followed(book: Book, law: str) -> Finding:
    """D* is that of the best mixture within FACTOR."""
    found = places(book, law)
    cases = []
    for place in found:
        ratio = [one.D_star / place.stair.D_star - 1.0 for one in place.landed]
        cases.append(
            Case(
                place.name,
                True,
                decided([abs(x) <= FACTOR for x in ratio]),
                f"{place.stair.D_star:.4f}",
                ", ".join(f"{one.D_star:.4f}" for one in place.landed),
            )
        )
    trained = np.array([place.best.D_star for place in found])
    right = np.array([place.stair.D_star for place in found])
    off = deviation(trained, right)
    return Finding(
        (
            Part(f"D* is that of the best mixture within {FACTOR:.0%}", tuple(cases)),
            Part("wrong readings of theory are told apart", tuple(_wrong(found, off))),
        ),
        predicted="D* of the best mixture; of wrong readings, the median deviation of D* from it.",
        trained=f"Median deviation of D* from the mixture's {off:.1%}, from that of many features "
        f"{deviation(trained, np.array([p.stair.wide_D_star for p in found])):.1%}.",
    )


def _wrong(found: Sequence[Place], off: float) -> list[Case]:
    """The other law and S read as 1 - S, as controls: they must be further off than the right one.

    At a few S below 1; without power, and left out, where the wrong D* is within 2 FACTOR of the
    right one at the median.
    """
    some = [place for place in found[:: -(-len(found) // CONTROLLED)] if place.stair.S < 1.0]
    setting = found[0].models[0][0].run.setting
    n, d, law = setting.n, setting.d, setting.law
    readings = [
        ("the other law", [(p, p.stair.S) for p in some], OTHER[law]),
        ("S read as 1 - S", [(p, 1.0 - p.stair.S) for p in some], law),
    ]
    cases = []
    for name, pairs, other in readings:
        wrong = np.array([x.D_star for x in stairs(n, d, [S for _, S in pairs], other)])
        right = np.array([place.stair.D_star for place, _ in pairs])
        trained = np.array([place.best.D_star for place, _ in pairs])
        shift, seen = deviation(wrong, right), deviation(trained, wrong)
        if shift > 2.0 * FACTOR:
            told: Verdict = "agree" if seen > max(FACTOR, 1.5 * off) else "disagree"
            cases.append(Case(name, True, told, f"{shift:.1%}", f"{seen:.1%}"))
    return cases


def half(book: Book, law: str) -> Finding:
    """Where D* is one half."""
    found = places(book, law)
    cases = []
    for place in found:
        true = abs(place.stair.D_star - 0.5) <= HALF
        inside = [abs(one.D_star - 0.5) <= HALF for one in place.landed]
        seen = ", ".join(f"{one.D_star:.4f}" for one in place.landed)
        cases.append(Case(place.name, true, decided(inside), f"{place.stair.D_star:.4f}", seen))
    on = [place.stair.S for place in found if abs(place.stair.D_star - 0.5) <= HALF]
    where = f"S is from {min(on):.3g} to {max(on):.3g} (of those trained)" if on else ""
    return Finding(
        (Part(f"D* is within {HALF:g} of one half", tuple(cases), where),),
        predicted="D* of the best mixture.",
        note="The plateau of antipodal pairs; elsewhere the mixture's D* is another.",
    )


def in_blocks(book: Book, law: str) -> Finding:
    """Represented features in the blocks of the mixture: on their levels, with their cosines."""
    found = places(book, law)
    cases = []
    for place in found:
        best = place.best
        told = f"random {best.chance_level[0]:.0%}, {best.chance_block[0]:.0%}; "
        told += f"tight {best.chance_level[1]:.0%}, {best.chance_block[1]:.0%}"
        seen = "; ".join(f"{one.on_level:.0%}, {one.in_block:.0%}" for one in place.landed)
        met = decided([min(one.on_level, one.in_block) >= MOST for one in place.landed])
        cases.append(Case(place.name, not best.below, met, told, seen))
    real = [p.stair.S for p in found if min(p.best.on_level, p.best.in_block) >= MOST]
    blind = [p.stair.S for p in found if max(p.best.chance_level) >= MOST]
    level = np.array([p.best.on_level for p in found])
    chance = np.array([max(p.best.chance_level) for p in found])
    return Finding(
        (
            Part(
                f"{MOST:.0%} of the represented features are in a block of the mixture",
                tuple(cases),
            ),
        ),
        predicted="Shares of random matrices with as many features that lie on a level, and have "
        "the cosines of a block: negative controls.",
        trained="Blocks of the mixture at S = "
        f"{_list(real)}. A level alone shows nothing at S = {_list(blind)}: a random tight frame "
        f"has it too. On a level are {np.mean(level):.0%} of the features, the mean over S; of the "
        f"features of a random matrix of the better kind, {np.mean(chance):.0%}.",
        note="Where a model costs less than the mixture, theory does not ask for its blocks.",
        picture=_picture(found),
    )


# --- parts ----------------------------------------------------------------------------------------


def decided(inside: Sequence[bool]) -> Verdict:
    """All models, none, or some."""
    return "agree" if all(inside) else "inconclusive" if any(inside) else "disagree"


def deviation(one: np.ndarray, other: np.ndarray) -> float:
    """Median of |ln(one / other)|, as a fraction."""
    return float(np.expm1(np.median(np.abs(np.log(one / other)))))


def simulated(model: Model) -> tuple[float, float]:
    """Loss on fresh samples and its standard error, from TIMES simulations."""
    trained = model[0]
    rng = generator(trained.run.key, PURPOSE)
    drawn = [simulate(trained.run.setting, trained.W, trained.b, rng) for _ in range(TIMES)]
    count = np.array([samples for _, _, samples in drawn], dtype=float)
    part = count / count.sum()
    value = float(np.sum(part * [mean for mean, _, _ in drawn]))
    return value, float(np.sqrt(np.sum((part * [error for _, error, _ in drawn]) ** 2)))


def _list(S: Sequence[float]) -> str:
    return ", ".join(f"{s:.3g}" for s in S) if S else "none"


def _picture(found: Sequence[Place]) -> bytes:
    from validate.draw import png
    from validate.staircase_draw import draw

    return png(draw(found))


CLAIMS: dict[str, Callable[[Book, str], Finding]] = {
    "staircase loss": at_most,
    "staircase undercut": undercut,
    "staircase D*": followed,
    "staircase half": half,
    "staircase blocks": in_blocks,
}
"""The functions that judge, by the name that a suite gives (`validate.ledger`)."""

__all__ = ["CLAIMS", "at_most", "followed", "half", "in_blocks", "undercut"]
