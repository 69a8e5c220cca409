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

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import hypot
from weakref import WeakKeyDictionary

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from packing.catalogue import candidates
from packing.errors import BadInput
from packing.optimise import descend
from packing.plotting import GREY, new_figure
from packing.results import Evidence
from packing.types import Float
from studies.claims import ALPHA, Book, Case, Finding, Measurement, Part, kept
from theory.global_search import Problem, Shape
from theory.mixtures import blocks, mixture_at
from theory.mixtures.block_losses import binary_minimum, uniform_minimum
from validate.experiments import Setting
from validate.plotting import BLUE, ORANGE, png
from validate.predict import SEARCHED, Model, Sample, distance, truth
from validate.statistics import Estimate, Verdict, median, share
from validate.suites import Cell

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
        Of `theory.optimum`; unsettled where a search is out of reach and mixtures are all there is.
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
    mixture = mixture_at(n, d, S, law)
    known, best, status = loss, name, str(Evidence.UNSETTLED)
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


# --- without training ---


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
    setting = aim.setting
    problem = Problem(setting.features, Shape(setting.n, setting.d, True)).roughly
    rng = np.random.default_rng([seed, setting.n, setting.d])
    length = float(np.linalg.norm(aim.W[:, 0])) / np.sqrt(setting.d)
    W = aim.W + kick * length * rng.standard_normal(aim.W.shape)
    start = problem.shape.join(W[None], aim.b[None])
    end, value = descend(lambda theta, _: problem(theta), start, DESCENT, tolerance=SETTLED)
    return [float(value[0]) / aim.loss - 1.0, distance(problem.shape.split(end)[0][0], aim.W)]


# --- the picture: where every run stopped, and the share that arrived ---
#
# A row for each cell. Left, the gap of each model to the best known loss: dots of runs that reached
# the named arrangement, open rings of those that did not. Right, the share that reached it with its
# interval.


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


# --- statements ---
#
# known       nothing trained lies below the named arrangement
#
# Theory has a say in that one alone: it is judged by the rules of `claims`. Which minimum training
# finds nothing predicts, so these are measured, each with its interval:
#
# reached     share of the runs that end there
# together    the same, all settings and recipes of a shape together
# apart       how far above the best known a run stops that ends elsewhere
# batch, rate, longer    the ends of a line of recipes that differ in one key: their shares
# schedule    what the way in which the learning rate falls changes
# returns     let down on the exact loss from beside it, where a model ends
#
# The first cell of a setting is its plain recipe; others are compared with it. That the noise of
# the gradient is behind the differences is read from the sign of all of them; nothing here proves
# it.


KICKS = (0.1, 0.3, 1.0)
"""Noise on each vector, relative, from which a descent begins."""

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


def winning(book: Book, law: str) -> list[Tally]:
    """The first cell of each setting at which the named arrangement is the best known."""
    return [one for one in plain(tallies(book, law)) if one.target.wins]


def known(book: Book, law: str) -> Finding:
    """Nothing lies below the named arrangement, neither in theory nor among trained models."""
    found = tallies(book, law)
    parts = []
    for (n, d), mine in shapes(plain(found)).items():
        cases = [_beaten(one, found) for one in mine]
        names = ", ".join(dict.fromkeys(one.target.name for one in mine))
        S = [
            f"{one.cell.setting.S:g}" for one, case in zip(mine, cases, strict=True) if case.theory
        ]
        where = f"S is one of {', '.join(S)} ({n} in {d})" if S else ""
        parts.append(Part(f"{n} in {d}, {names}", tuple(cases), where))
    lower = [one for one in found if bool(one.below.any())]
    note = "Theory's side is the least of the named arrangement, the best mixture of blocks and "
    note += "the search of theory.optimum: an upper bound on the optimum."
    if lower:
        depth = max(lower, key=lambda one: float(-one.gap.min()))
        note += (
            f" Trained models lie below all of them in {', '.join(o.cell.name for o in lower)}: by "
            f"up to {-float(depth.gap.min()):.2%}."
        )
    return Finding(tuple(parts), note=note, picture=png(draw(found)))


def _beaten(one: Tally, found: Sequence[Tally]) -> Case:
    """A setting: whether theory, and whether any of its models, knows less than the named."""
    aim = one.target
    gap = np.concatenate([x.gap for x in found if x.cell.setting == one.cell.setting])
    over = (1.0 + gap) * aim.known / aim.loss - 1.0
    noise = 1e-6 if one.cell.setting.n > 16 else 1e-9  # relative error of the losses compared
    trained: Verdict = "disagree" if (over < -noise).any() else "agree"
    told = aim.name if aim.wins else f"{aim.best}, {aim.known / aim.loss - 1.0:.2%}"
    seen = f"best of {len(over)} {over.min():+.3%}"
    return Case(f"S = {one.cell.setting.S:g}", aim.wins, trained, f"{told} ({aim.status})", seen)


def reached(book: Book, law: str) -> Finding:
    """Share of the runs that end at the named arrangement, where it is the best known."""
    found = winning(book, law)
    spread = "; ".join(
        f"{one.cell.name} {', '.join(f'{x:+.2%}' for x in one.quantiles((0.1, 0.5, 0.9)))}"
        for one in found
    )
    return Finding(
        measured=tuple(Measurement.of(place(one), one.share) for one in found),
        trained="Shares of the runs, by distance of Gram matrices.",
        note=f"Gaps of all runs (10%, 50%, 90%): {spread}.",
    )


def together(book: Book, law: str) -> Finding:
    """The same share, all settings and recipes of a shape together."""
    measured = []
    found = [one for one in tallies(book, law) if one.target.wins]
    for (n, d), mine in shapes(found).items():
        hits = int(sum(one.reached.sum() for one in mine))
        runs = sum(len(one.reached) for one in mine)
        name = f"{n} in {d}, {mine[0].target.name}, {runs} runs"
        measured.append(Measurement.of(name, share(hits, runs, ALPHA)))
        gap = 100.0 * min(float(one.gap.min()) for one in mine)
        measured.append(Measurement(f"{name}, gap of the best", gap, unit="%"))
    return Finding(measured=tuple(measured), trained="Runs of all recipes together.")


def apart(book: Book, law: str) -> Finding:
    """How far above the best known a run stops that ends elsewhere."""
    measured = []
    for one in winning(book, law):
        rest = 100.0 * one.gap[~one.reached]
        if rest.size:
            name = f"{place(one)}, {rest.size} runs"
            measured.append(Measurement(f"{name}, least gap", float(rest.min()), unit="%"))
            measured.append(Measurement.of(f"{name}, median gap", median(rest, ALPHA), "%"))
    return Finding(
        measured=tuple(measured),
        trained="The nearest other end, and the median of the runs that end elsewhere.",
        note="Losses are exact: of these runs the least gap is a fact and needs no interval.",
    )


def batch(book: Book, law: str) -> Finding:
    """Shares at the ends of a line of batch sizes."""
    return _ends(book, law, "batch")


def rate(book: Book, law: str) -> Finding:
    """Shares at the ends of a line of learning rates."""
    return _ends(book, law, "lr")


def longer(book: Book, law: str) -> Finding:
    """Shares at the ends of a line of lengths."""
    return _ends(book, law, "steps")


def _ends(book: Book, law: str, key: str) -> Finding:
    """The least and the largest value of one key of the recipe, all else as in the plain cell."""
    measured = []
    for base, others in _varied(book, law, key).items():
        line = sorted([base, *others], key=lambda one: float(getattr(one.cell.recipe, key)))
        low, high = (getattr(one.cell.recipe, key) for one in (line[0], line[-1]))
        for value, one in ((low, line[0]), (high, line[-1])):
            measured.append(Measurement.of(f"{place(base)}, {key} {value:g}", one.share))
        name = f"{place(base)}, {key} {high:g} less {low:g}"
        measured.append(Measurement.of(name, difference(line[-1].share, line[0].share)))
    return Finding(measured=tuple(measured), trained="Shares of the runs that reach it.")


def schedule(book: Book, law: str) -> Finding:
    """Shares under other schedules less the plain one's, and the gaps of the runs that reach it."""
    shares, gaps = [], []
    for base, others in _varied(book, law, "schedule", "warmup").items():
        for one in [base, *others]:
            how = one.cell.recipe.schedule + (" after a rise" if one.cell.recipe.warmup else "")
            gap = median(100.0 * one.gap[one.reached], ALPHA)
            gaps.append(Measurement.of(f"{place(base)}, {how}, median gap", gap, "%"))
            if one is not base:
                name = f"{place(base)}, {how} less {base.cell.recipe.schedule}"
                shares.append(Measurement.of(name, difference(one.share, base.share)))
    return Finding(
        measured=(*shares, *gaps),
        trained="Differences of shares; median gaps of the runs that reach it.",
    )


def comes_back(book: Book, law: str) -> Finding:
    """Without training: kicked and let down on the exact loss, where does it end?"""
    measured = []
    for mine in shapes(plain(tallies(book, law))).values():
        one = max(mine, key=lambda x: (x.target.wins, x.cell.setting.S))
        for kick in KICKS:
            gap, off = returns(one.cell.setting, kick)
            name = f"{one.target.name}, {place(one)}, noise {kick:g}"
            measured.append(Measurement(f"{name}, gap", 100.0 * gap, unit="%"))
            measured.append(Measurement(f"{name}, distance", off))
    return Finding(
        measured=tuple(measured),
        note="No training: descents on the exact loss, one for each noise, so no intervals. A "
        f"model is back where its gap is 0 and its distance at most {REACH:g}; a gap below 0 is a "
        "lower place elsewhere.",
    )


def difference(one: Estimate, other: Estimate) -> Estimate:
    """One share less another: square and add (Newcombe 1998), from Clopper and Pearson's ends."""
    value = one.value - other.value
    low = value - hypot(one.value - one.low, other.high - other.value)
    return Estimate(value, low, value + hypot(one.high - one.value, other.value - other.low))


def _varied(book: Book, law: str, *keys: str) -> dict[Tally, list[Tally]]:
    """Plain cells, each with those that differ from it in these keys of the recipe alone."""
    found: dict[Tally, list[Tally]] = {}
    for base in winning(book, law):
        for one in tallies(book, law):
            recipe, other = base.cell.recipe, one.cell.recipe
            same = replace(other, **{key: getattr(recipe, key) for key in keys}) == recipe
            if one is not base and one.cell.setting == base.cell.setting and same:
                found.setdefault(base, []).append(one)
    if not found:
        raise BadInput(f"the suite {book.suite.name} varies no {' or '.join(keys)} ({law}): add it")
    return found


def shapes(found: Sequence[Tally]) -> dict[tuple[int, int], list[Tally]]:
    """Tallies by their (n, d)."""
    out: dict[tuple[int, int], list[Tally]] = {}
    for one in found:
        out.setdefault((one.cell.setting.n, one.cell.setting.d), []).append(one)
    return out


def place(one: Tally) -> str:
    """Where a cell is, in words."""
    return f"{one.cell.setting.n} in {one.cell.setting.d}, S = {one.cell.setting.S:g}"


CLAIMS: dict[str, Callable[[Book, str], Finding]] = {
    "surplus known": known,
    "surplus reached": reached,
    "surplus together": together,
    "surplus apart": apart,
    "surplus batch": batch,
    "surplus rate": rate,
    "surplus longer": longer,
    "surplus schedule": schedule,
    "surplus returns": comes_back,
}
"""The functions that judge or measure, by the name that a suite gives."""


# --- the table of a store ---


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


__all__ = [
    "CLAIMS",
    "COLUMNS",
    "REACH",
    "Tally",
    "Target",
    "difference",
    "draw",
    "plain",
    "returns",
    "rows",
    "summary",
    "tallies",
    "tally",
    "target",
]
