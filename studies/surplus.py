"""Rare arrangements: how often training ends at one, and how far above the best known it stops.

    named   the catalogue's arrangement of n vectors in R^d of least loss, at its best norm and bias
    known   the least of its loss, that of the best mixture of blocks and, up to SEARCHED features,
            that of `theory.optimum`: an upper bound on the optimum, called best known
    gap     exact loss of a trained model / known - 1; below 0 it is the model that is best known
    reached a model whose Gram matrix is within REACH of the named one's, up to relabelling

A share is Clopper and Pearson's over independent seeds. `returns` asks without training whether an
arrangement is a minimum: kicked, and let down on the exact loss, it comes back or does not.
Losses are exact up to their error bounds; that nothing lies below ``known`` is not.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import hypot
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from packing.errors import BadInput
from packing.formats import render
from packing.plotting import GREY, PALETTE, check_path, new_figure, save
from packing.types import Float
from studies.ledger_parts import ALPHA, Book, Case, Finding, Part, kept, least, most, near, shown
from theory.mixtures import best_mixture, blocks
from theory.mixtures.block_losses import binary_minimum, uniform_minimum
from validate.cells import Cell
from validate.experiments import Setting
from validate.predict import SEARCHED, distance, truth
from validate.quantities import Model, Sample
from validate.statistics import Estimate, Verdict, median, share
from validate.store import STORE, Store
from validate.suites import load

REACH = 0.1
"""Distance between Gram matrices, relative: noise of training leaves up to 0.03 with a falling rate
and 0.07 with a constant one; the nearest other minimum seen was 0.25 away."""

ROUNDING = 1e-9
"""Relative difference that is none."""

DESCENT, SETTLED = 80, 1e-6
"""Steps of a descent on the exact loss, and its tolerance over ten of them."""


@dataclass(frozen=True, eq=False)
class Target:
    """What theory has at a setting.

    Parameters
    ----------
    setting : Setting
    name : str
        Of the catalogue's best arrangement of all n features.
    W, b : (d, n) and (n,) arrays
        It, at its best norm and bias.
    loss : float
        Its loss.
    known : float
        The least loss that theory knows.
    best : str
        Whose that is.
    status : str
        How far it was searched: a status of `theory.optimum`, or ``mixture``.
    """

    setting: Setting
    name: str
    W: Float
    b: Float
    loss: float
    known: float
    best: str
    status: str

    @property
    def wins(self) -> bool:
        """Whether nothing known lies below the named arrangement."""
        return self.loss <= self.known * (1.0 + ROUNDING)


@dataclass(frozen=True, eq=False)
class Tally:
    """What came of the models of a cell.

    Parameters
    ----------
    cell : Cell
    target : Target
    gap : (K,) array
        Relative, of each model.
    reached : (K,) bool array
    below : (K,) bool array
        Models that lie below what is known, error bounds included.
    represented : (K,) array
    """

    cell: Cell
    target: Target
    gap: Float
    reached: np.ndarray
    below: np.ndarray
    represented: np.ndarray

    @property
    def share(self) -> Estimate:
        """Of the runs that reach the named arrangement."""
        return share(int(self.reached.sum()), len(self.reached), ALPHA)

    def middle(self, which: np.ndarray) -> Estimate:
        """Median gap of some of the models."""
        return median(self.gap[which], ALPHA)

    def quantiles(self, levels: Sequence[float]) -> Float:
        return np.asarray(np.quantile(self.gap, levels))


def target(setting: Setting) -> Target:
    """The named arrangement of a setting beside the best that is known.

    Raises
    ------
    BadInput
        If the catalogue has no arrangement of n vectors in R^d, or features differ.
    """
    if isinstance(setting.S, tuple) or setting.importance is not None:
        raise BadInput("rare arrangements are for equal features: give one S and no importance")
    return _target(setting)


@cache
def _target(setting: Setting) -> Target:
    from packing.catalogue import candidates

    n, d, S, law = setting.n, setting.d, float(setting.features.S[0]), setting.law
    rows = {block.name: block.row for block in blocks(law)}
    minimum = binary_minimum if law == "binary" else uniform_minimum
    found = []
    for entry in candidates(n, d):
        if entry.name in rows:
            cost, rho, bias = (float(x[0]) for x in minimum(rows[entry.name], np.array([S])))
            found.append((n * cost, entry.name, np.sqrt(rho) * entry.vectors, np.full(n, bias)))
    if not found:
        raise BadInput(f"the catalogue has no arrangement of {n} vectors in R^{d}: give another")
    loss, name, W, b = min(found, key=lambda one: one[0])
    mixture = best_mixture(n, d, S, law)
    known, best, status = loss, name, "mixture"
    if mixture.loss < known * (1.0 - ROUNDING):
        known, best = mixture.loss, mixture.name
    if n <= SEARCHED:
        right = truth(setting)
        status = right.status
        if right.loss < known * (1.0 - ROUNDING):
            known, best = right.loss, right.name
    return Target(setting, name, W, b, loss, known, best, status)


def tally(cell: Cell, sample: Sample) -> Tally:
    """The models of a cell beside their target."""
    aim = target(cell.setting)
    loss = np.array([_loss(model) for model in sample.models])
    bound = np.array([model[1].error_bound or 0.0 for model in sample.models])
    return Tally(
        cell=cell,
        target=aim,
        gap=loss / aim.known - 1.0,
        reached=np.array([distance(one.W, aim.W) <= REACH for one, _ in sample.models]),
        below=loss + bound < aim.known * (1.0 - ROUNDING),
        represented=np.array([measured.represented for _, measured in sample.models]),
    )


def _loss(model: Model) -> float:
    value = model[1].loss
    return np.inf if value is None or not np.isfinite(value) else value


# --- without training -----------------------------------------------------------------------------


def returns(setting: Setting, kick: float, seed: int = 0) -> tuple[float, float]:
    """Where a descent on the exact loss ends that starts beside the named arrangement.

    Parameters
    ----------
    setting : Setting
    kick : float
        Standard deviation of the noise on each vector, relative to its length.
    seed : int

    Returns
    -------
    gap, distance : float
        Of its end, from the named arrangement (numerical).
    """
    aim = target(setting)
    question = {
        "n": setting.n,
        "d": setting.d,
        "S": float(setting.features.S[0]),
        "law": setting.law,
        "kick": kick,
        "seed": seed,
    }
    gap, apart = kept("descent", question, lambda: _descended(aim, kick, seed))
    return float(gap), float(apart)


def _descended(aim: Target, kick: float, seed: int) -> list[float]:
    from packing.optimise import descend
    from theory.global_search import Problem, Shape

    setting = aim.setting
    problem = Problem(setting.features, Shape(setting.n, setting.d, True)).roughly
    rng = np.random.default_rng([seed, setting.n, setting.d])
    length = float(np.linalg.norm(aim.W[:, 0])) / np.sqrt(setting.d)
    W = aim.W + kick * length * rng.standard_normal(aim.W.shape)
    start = problem.shape.join(W[None], aim.b[None])
    end, value = descend(lambda theta, _: problem(theta), start, DESCENT, tolerance=SETTLED)
    return [float(value[0]) / aim.loss - 1.0, distance(problem.shape.split(end)[0][0], aim.W)]


# The picture of rare arrangements: where every run stopped, and the share that arrived.
#
# A row for each cell. Left, the gap of each model to the best known loss: dots of runs that reached
# the named arrangement, open rings of those that did not. Right, the share that reached it with its
# interval.


BLUE, ORANGE = PALETTE[0], PALETTE[1]

LINEAR = 1e-3
"""Gap below which the axis is linear, in percent."""


def draw(found: Sequence[Tally]) -> Figure:
    """Gaps and shares, cell by cell."""
    figure = new_figure(11.0, 1.7 + 0.33 * len(found))
    grid = figure.add_gridspec(1, 2, width_ratios=[2.4, 1.0])
    left = figure.add_subplot(grid[0])
    right = figure.add_subplot(grid[1], sharey=left)
    for row, one in enumerate(found):
        spread = row + np.linspace(-0.28, 0.28, max(2, len(one.gap)))[: len(one.gap)]
        gap, there = 100.0 * one.gap, one.reached
        left.plot(gap[there], spread[there], ".", color=BLUE, ms=3.5)
        left.plot(gap[~there], spread[~there], "o", color=ORANGE, ms=3.2, mfc="none", mew=0.7)
        rate = one.share
        right.plot([rate.low, rate.high], [row, row], color=BLUE, lw=2.6, solid_capstyle="butt")
        right.plot(rate.value, row, "D", color=BLUE, ms=5, mec="white", mew=0.6)
    left.axvline(0.0, color=GREY, lw=0.9)
    left.set_xscale("symlog", linthresh=LINEAR, linscale=0.4)
    least = min(float(one.gap.min()) for one in found)
    most = max(float(one.gap[np.isfinite(one.gap)].max()) for one in found)
    ticks = [x for x in (-1.0, -0.1, 0.0, 0.01, 0.1, 1.0, 10.0, 100.0) if x >= 0.0 or least < 0.0]
    left.set_xticks(ticks)
    left.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}%"))
    left.set_xlim(min(300.0 * least, -0.3 * LINEAR), 130.0 * most)
    left.set_yticks(range(len(found)), [one.cell.name for one in found], size=8)
    left.set_ylim(len(found) - 0.4, -0.6)
    left.set_xlabel("exact loss above the best known")
    right.set_xlim(-0.03, 1.03)
    right.set_xlabel("share of the runs that reach it")
    right.tick_params(labelleft=False)
    for axes in (left, right):
        axes.grid(axis="x", color=GREY, alpha=0.25, lw=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    handles = [
        Line2D([], [], color=BLUE, marker=".", lw=0, label="reached the named arrangement"),
        Line2D([], [], color=ORANGE, marker="o", mfc="none", lw=0, label="ended elsewhere"),
        Line2D([], [], color=BLUE, marker="D", lw=2.6, label="share and its interval"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    return figure


def picture(found: Sequence[Tally], path: str | os.PathLike[str]) -> Path:
    """Draw into a PDF, PNG or SVG file.

    Raises
    ------
    BadInput
        If the file cannot be written.
    """
    check_path(path)
    return save(draw(found), path)


# Statements about rare arrangements: does training end there, how often, and what decides it?
#
# known       nothing trained lies below the named arrangement
# reached     training ends there in at least SHARE of the runs
# apart       a run that does not end there stops at least APART above
# never       no run ends there, all settings of a shape together
# returns     let down on the exact loss from beside it, a model comes back
#
# Whether an arrangement is the best known is a question to theory and to training, judged by the
# rules of `ledger_parts`. Which minimum training finds is none that theory answers: of those claims
# training alone decides, through intervals (`of_training`). The first cell of a setting is its
# plain
# recipe; `surplus_recipes` compares the others with it.


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
    from validate.plotting import png

    return png(draw(found))


CLAIMS: dict[str, Callable[[Book, str], Finding]] = {
    "surplus known": known,
    "surplus reached": reached,
    "surplus apart": apart,
    "surplus never": never,
    "surplus returns": comes_back,
}
"""The functions that judge, by the name that a suite gives."""


# Statements about rare arrangements and the recipe: what decides how often training ends there?
#
# batch, rate, longer    the ends of a line of recipes that differ in one key: are the shares apart?
# schedule               what the way in which the learning rate falls changes
#
# Cells of one setting that differ in one key are compared by Fisher's exact test of their
# shares, at
# the level that all intervals of the ledger have. Theory has no say: training alone decides
# (`surplus_claims.of_training`). That the noise of the gradient is behind it is read from the
# sign of
# all of them; nothing here proves it.


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


RECIPE_CLAIMS: dict[str, Callable[[Book, str], Finding]] = {
    "surplus batch": batch,
    "surplus rate": rate,
    "surplus longer": longer,
    "surplus schedule": schedule,
}
"""The functions that judge, by the name that a suite gives."""


# What came of a surplus suite as a table in Markdown, and as a picture.
#
#     python -m validate.surplus_table FOLDER [--suite surplus] [--plot FILE]
#
# FOLDER is that of `packing validate surplus --out FOLDER`. A row for each cell. Nothing is
# trained;
# predictions come from the cache, or are asked for.


COLUMNS = (
    "n, d",
    "S (1 − S), values",
    "arrangement",
    "batch",
    "lr",
    "steps",
    "schedule",
    "reached",
    "share",
    "gap: best",
    "10%",
    "median",
    "90%",
    "nearest elsewhere",
)


def read(folder: str | Path, suite: str = "surplus") -> tuple[Tally, ...]:
    """What came of the cells of a suite, from its store.

    Raises
    ------
    BadInput
        If there is no store, or it lacks models of the suite.
    """
    path = Path(folder) / STORE
    if not path.exists():
        raise BadInput(f"{path} does not exist: run packing validate {suite} --out {folder} first")
    wanted = load(suite)
    with Store(path, write=False) as store:
        models = store.load([run.key for run in wanted.runs])
    book = Book(wanted, models)
    return tuple(tally(cell, book.samples[cell.name]) for cell in wanted.cells)


def rows(found: Sequence[Tally]) -> list[list[str]]:
    """A row of words for each cell."""
    out = []
    for one in found:
        s, recipe, aim = one.cell.setting, one.cell.recipe, one.target
        S = float(s.features.S[0])
        rate, rest = one.share, one.gap[~one.reached]
        best, low, middle, high = one.quantiles((0.0, 0.1, 0.5, 0.9))
        name = aim.name if aim.wins else f"{aim.name} (not: {aim.best})"
        out.append(
            [
                f"{s.n}, {s.d}",
                f"{S:g} ({1.0 - S:g}), {s.law}",
                name,
                f"{recipe.batch}",
                f"{recipe.lr:g}",
                f"{recipe.steps}",
                recipe.schedule + (f", warmup {recipe.warmup}" if recipe.warmup else ""),
                f"{int(one.reached.sum())} of {len(one.reached)}",
                f"{rate.low:.2f} to {rate.high:.2f}",
                *(f"{x:+.3%}" for x in (best, low, middle, high)),
                f"{rest.min():+.2%}" if rest.size else "–",
            ]
        )
    return out


def summary(found: Sequence[Tally]) -> list[str]:
    """What theory has at each setting, in sentences."""
    out = [f"models: {sum(len(one.gap) for one in found)}"]
    for aim in {one.cell.setting: one.target for one in found}.values():
        s = aim.setting
        out.append(
            f"{s.n} in {s.d}, S = {s.S:g}, {s.law}: {aim.name} {aim.loss:.9g}, best known "
            f"{aim.known:.9g} ({aim.best}, {aim.status})"
        )
    below = [one.cell.name for one in found if np.any(one.below)]
    return [*out, f"below the best known: {', '.join(below) or 'none'}"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m validate.surplus_table")
    parser.add_argument("folder", help="of packing validate surplus --out")
    parser.add_argument("--suite", default="surplus", help="name of a suite, or a .toml file")
    parser.add_argument("--plot", help="a PDF, PNG or SVG file")
    given = parser.parse_args(arguments)
    try:
        found = read(given.folder, given.suite)
        print(render(COLUMNS, rows(found), "md", given.suite))
        print("\n".join(summary(found)), file=sys.stderr)
        if given.plot:
            picture(found, given.plot)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

__all__ = [
    "CLAIMS",
    "REACH",
    "RECIPE_CLAIMS",
    "Tally",
    "Target",
    "at",
    "difference",
    "draw",
    "larger",
    "of_training",
    "picture",
    "plain",
    "returns",
    "tallies",
    "tally",
    "target",
]
