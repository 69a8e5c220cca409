"""Statements about phases: when features are lost, how suddenly, and whether more of them pay.

e  the S at which five features in two dimensions become fewer      f  whether they go at once
h  features added in two dimensions at a fixed S

S* and the counts come from `theory.ladder`; trained models say at which S of a grid the best of a
group stops representing all (`quantities.change`). A change at which a norm jumps leaves models in
both phases on both sides of it, and the smallest norm of the best ones does not go to zero before.
"""

from __future__ import annotations

import numpy as np

from theory.features import Float
from theory.mixtures import mixture_ladder
from validate import predict
from validate.ledger_parts import (
    ALPHA,
    Book,
    Case,
    Finding,
    Part,
    least,
    most,
    near,
)
from validate.measure import represented
from validate.quantities import Model, Sample, change
from validate.runs import Setting
from validate.statistics import Estimate, median, share

GRID = 0.045
"""Tolerance of an S*: near it the two phases differ by 0.05% and groups miss the better one at two
S of the grid."""

ABOUT = 0.02
"""What `about 0.15` allows."""

NORM = 0.1
"""A norm below this counts as gone, and one above as there: the predicted ones are 0 or above."""

PAYS = 0.03
"""Saving, in losses of an ignored feature, below which an added feature does not pay: training
leaves 0.5% of a loss of about three ignored features."""

STAR_S = {"binary": 0.09, "uniform": 0.05}
"""S at which features are added: none at which the heptagon is best, which is seldom found."""


def critical(book: Book, law: str) -> Finding:
    """e: a sharp S* near 0.15, above it two features."""
    setting = Setting(n=5, d=2, S=0.5, law=law)
    ladder = predict.ladder_of(setting)
    star = 0.0 if ladder.S_star is None else ladder.S_star
    cells = book.along(5, 2, law)
    S, samples = [x for x, _ in cells], [sample for _, sample in cells]
    found = change(S, samples, 5, ALPHA)
    exists = near("S at which the best of a group changes", star, GRID, star, found)
    about = near("S*", 0.15, ABOUT, star, found)
    above, counts = [], []
    for at, sample in cells:
        expected = predict.truth(Setting(n=5, d=2, S=at, law=law)).represented
        kept = book.median(sample, lambda model: float(model[1].represented))
        counts.append((at, expected, kept))
        if at > star + GRID:
            above.append(near(f"represented at S = {at:g}", 2.0, 0.3, float(expected), kept))
    spans = "; ".join(f"{low:.4g} to {high:.4g}: {n}" for low, high, n in ladder.represented[::-1])
    return Finding(
        (
            Part("there is a sharp S*", (exists,)),
            Part("S* is about 0.15", (about,)),
            Part("above S* two features are represented", tuple(above)),
        ),
        predicted=f"S* = {star:.5g}. Represented, by S: {spans}.",
        note="At S = 0.3 one feature is ignored, not three: two antipodal pairs cost less than two "
        "features with a dimension each."
        if _count(counts, 0.3) == 4
        else "",
        picture=_staircase(ladder.represented, counts, star),
    )


def _count(counts: list[tuple[float, int, Estimate]], S: float) -> int:
    return next((n for at, n, _ in counts if at == S), -1)


def sudden(book: Book, law: str) -> Finding:
    """f: the change at S* is of first order."""
    setting = Setting(n=5, d=2, S=0.5, law=law)
    ladder = predict.ladder_of(setting)
    star = 0.0 if ladder.S_star is None else ladder.S_star
    rung = min(ladder.rungs, key=lambda one: abs(one.S - star))
    cells = book.along(5, 2, law)
    low, under = max(((S, x) for S, x in cells if star > S), key=lambda x: x[0])
    high, over = min(((S, x) for S, x in cells if star < S), key=lambda x: x[0])
    first = rung.order == "first"
    cases = [
        _norm(book, law, low, under),
        _gone(book, law, high, over),
        _both(f"models in the other phase at S = {low:g}", first, under.models, False),
        _both(f"models in the other phase at S = {high:g}", first, over.models, True),
    ]
    others = ", ".join(f"{one.S:.4g} {one.order}" for one in ladder.rungs)
    return Finding(
        (Part("a feature goes at once", tuple(cases)),),
        predicted=f"At S* = {star:.5g} {rung.denser} gives way to {rung.sparser}, order: "
        f"{rung.order}.",
        note=f"Orders of all changes from S = 1 down: {others}.",
        picture=_norms(book, law, star),
    )


def _norm(book: Book, law: str, S: float, sample: Sample) -> Case:
    right = predict.truth(Setting(n=5, d=2, S=S, law=law))
    found = book.median(sample, lambda model: _smallest(model[0].W))
    return least(f"smallest norm just below S*, at S = {S:g}", NORM, _smallest(right.W), found)


def _gone(book: Book, law: str, S: float, sample: Sample) -> Case:
    right = predict.truth(Setting(n=5, d=2, S=S, law=law))
    found = book.median(sample, lambda model: _smallest(model[0].W))
    return most(f"smallest norm just above S*, at S = {S:g}", NORM, _smallest(right.W), found)


def _both(name: str, first: bool, models: tuple[Model, ...], all_kept: bool) -> Case:
    """Whether some models end in the phase that is not the best at that S."""
    hits = sum(bool(represented(t.run.setting, t.W).all()) == all_kept for t, _ in models)
    found = share(hits, len(models), ALPHA)
    trained = "agree" if found.low > 0.0 else "inconclusive"
    said = f"{found.value:.3g} [{found.low:.3g}, {found.high:.3g}]"
    return Case(name, first, trained, "some" if first else "none", said)  # type: ignore[arg-type]


def added(book: Book, law: str) -> Finding:
    """h: what each further feature saves in two dimensions, and the first that saves nothing."""
    v = float(Setting(n=1, d=1, S=STAR_S[law], law=law).features.variance[0])
    held = {n: book.at(n, 2, STAR_S[law], law) for n in range(4, 10) if _there(book, n, law)}
    rows = []
    for n in sorted(held):
        if n - 1 not in held:
            continue
        low, high = (
            predict.truth(Setting(n=k, d=2, S=STAR_S[law], law=law)).loss for k in (n - 1, n)
        )
        saved = (low + v - high) / v
        pairs = zip(held[n - 1].best, held[n].best, strict=True)
        found = median([(_loss(a) + v - _loss(b)) / v for a, b in pairs], ALPHA)
        rows.append((n, saved, found))
    stop = next((n for n, saved, _ in rows if saved <= 1e-6), None)
    pays = [
        least(f"the {n}th saves", PAYS, saved, x)
        for n, saved, x in rows
        if stop is None or n < stop
    ]
    ends = [most(f"the {n}th saves", PAYS, saved, x) for n, saved, x in rows if n == stop]
    stars = {n: mixture_ladder(n, 2, law).S_star for n in range(5, 13)}
    listed = ", ".join(
        f"{n}: {'never' if S is None else format(S, '.4g')}" for n, S in stars.items()
    )
    first = (
        f"the {stop}th feature is the first that is better ignored" if stop else "all of them pay"
    )
    none = Case("a feature that saves nothing", False, "inconclusive", "none up to 9", "")
    return Finding(
        (
            Part("at first each added feature saves something", tuple(pays)),
            Part("from some n on it saves nothing", tuple(ends) or (none,)),
        ),
        predicted=f"At S = {STAR_S[law]:g} {first}. In units of the loss of an ignored feature",
        note=f"The n depends on S. Mixtures of regular blocks keep all n features in 2D below "
        f"these S: {listed}."
        + (
            " So with uniform values the limit stays at seven however small S is."
            if stars[8] is None and stars[7] is not None
            else ""
        ),
        picture=_savings(rows),
    )


def _there(book: Book, n: int, law: str) -> bool:
    wanted = Setting(n=n, d=2, S=STAR_S[law], law=law)
    return any(c.setting == wanted and not c.recipe.snapshots for c in book.suite.cells)


# --- parts ----------------------------------------------------------------------------------------


def _smallest(W: Float) -> float:
    return float(np.linalg.norm(W, axis=0).min())


def _loss(model: Model) -> float:
    found = model[1].loss
    return float("nan") if found is None else found


def _staircase(
    spans: tuple[tuple[float, float, int], ...],
    counts: list[tuple[float, int, Estimate]],
    star: float,
) -> bytes:
    from packing.draw import new_figure
    from validate.draw import BLUE, ORANGE, png

    figure = new_figure(6.4, 3.2)
    axes = figure.add_subplot()
    for low, high, n in spans:
        axes.plot([low, high], [n, n], color=BLUE, lw=2.5)
    axes.axvline(star, color=BLUE, lw=0.8, ls=":")
    at = [S for S, _, _ in counts]
    middle = [x.value for _, _, x in counts]
    ends = np.array([[x.value - x.low, x.high - x.value] for _, _, x in counts]).T
    axes.errorbar(at, middle, yerr=ends, fmt="o", color=ORANGE, ms=5, capsize=3)
    axes.plot([], [], color=BLUE, lw=2.5, label="predicted")
    axes.plot([], [], "o", color=ORANGE, label="trained, best of a group")
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(0.0, 5.6)
    axes.set_xlabel("S, chance that a feature is on")
    axes.set_ylabel("features represented")
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return png(figure)


def _norms(book: Book, law: str, star: float) -> bytes:
    from packing.draw import GREY, new_figure
    from validate.draw import BLUE, ORANGE, png

    figure = new_figure(6.4, 3.2)
    axes = figure.add_subplot()
    for S, sample in book.along(5, 2, law):
        every = [_smallest(t.W) for t, _ in sample.models]
        axes.plot(np.full(len(every), S), every, ".", color=GREY, ms=3)
        best = [_smallest(t.W) for t, _ in sample.best]
        axes.plot(np.full(len(best), S), best, "_", color=ORANGE, ms=14, mew=1.5)
        right = predict.truth(Setting(n=5, d=2, S=S, law=law))
        axes.plot(S, _smallest(right.W), "D", color=BLUE, ms=5, mfc="none")
    axes.axvline(star, color=BLUE, lw=0.8, ls=":")
    for mark, ink, label in (
        (".", GREY, "every model"),
        ("_", ORANGE, "best of a group"),
        ("D", BLUE, "predicted"),
    ):
        axes.plot([], [], mark, color=ink, label=label, mfc="none")
    axes.set_xlabel("S, chance that a feature is on")
    axes.set_ylabel("smallest norm of five")
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return png(figure)


def _savings(rows: list[tuple[int, float, Estimate]]) -> bytes:
    from packing.draw import new_figure
    from validate.draw import BLUE, ORANGE, png

    figure = new_figure(5.2, 3.0)
    axes = figure.add_subplot()
    axes.bar(
        [n for n, _, _ in rows], [x for _, x, _ in rows], color=BLUE, alpha=0.3, label="predicted"
    )
    ends = np.array([[x.value - x.low, x.high - x.value] for _, _, x in rows]).T
    axes.errorbar(
        [n for n, _, _ in rows],
        [x.value for _, _, x in rows],
        yerr=ends,
        fmt="o",
        color=ORANGE,
        ms=5,
        capsize=3,
        label="trained",
    )
    axes.axhline(0.0, color="black", lw=0.6)
    axes.set_xticks([n for n, _, _ in rows])
    axes.set_xlabel("feature added in two dimensions")
    axes.set_ylabel("saving / loss when ignored")
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return png(figure)


__all__ = ["added", "critical", "sudden"]
