"""The ledger: popular statements about toy models, what theory and training say, and a verdict.

Each statement of a suite names, under ``by``, a function of `CLAIMS`; with ``, uniform`` after the
name it is asked for uniform values. The function compares numbers of theory, computed when asked,
with intervals of trained models, by the rules of `claims` and the tolerances here; or, where theory
has no say, measures. `SAME` asks whether uniform values change a verdict. All predictions are
numerical unless a text says proved. The functions of the suite ``chapter`` are in this file.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from packing import bounds
from packing.catalogue import entry
from packing.errors import BadInput
from packing.plotting import GREY, PALETTE, new_figure
from packing.search import search
from packing.types import Float
from studies.claims import (
    ALPHA,
    Book,
    Case,
    Finding,
    Part,
    Stated,
    Statement,
    kept,
    kind,
    least,
    most,
    near,
    shown,
    stated,
)
from studies.dynamics import dynamics
from studies.staircase import CLAIMS as STAIRCASE
from studies.surplus import CLAIMS as SURPLUS
from theory.losses.expected import loss
from theory.mixtures import envelope, many_features, mixture_ladder, ratio_at
from validate import predict
from validate.experiments import Setting
from validate.measurement import represented, simulate
from validate.plotting import BLUE, GREEN, ORANGE, draw_planes, png
from validate.predict import Model, Sample, change
from validate.statistics import Estimate, mean, median, share
from validate.suites import Suite
from validate.trajectory import exact_path, rotation

# --- training goes from random to spread to rotated to settled ---
#
# i  spread: the directions balance, 1 - |mean direction|^2 reaches `SPREAD`
#    settled: cosines and directions stay as they end (`validate.measurement`)
#    rotated: the angle of the orthogonal map from the spread directions to the last ones
#
# The loss depends on W'W alone. So under plain gradient descent W dW' is symmetric: no step turns
# the vectors as a whole (proved), and a rotation is the work of Adam, which scales each weight by
# its own size, and of noise. What theory predicts is Adam on the exact loss from the same weights.


SPREAD = 0.9
"""Variance of the directions, at most 1, from which they count as spread."""

TURN = 15.0
"""Degrees from which a rotation counts as a stage: a fifth of the angle between neighbours."""

S = 0.05


def stages(book: Book, law: str) -> Finding:
    """i: the order of the stages, and whether there is one of rotation."""
    sample = book.at(5, 2, S, law, path=True)
    steps, trained, exact = _paths(sample)
    seen, expected = ([_look(steps, W) for W in paths] for paths in (trained, exact))

    def ratio(one: tuple[float, float, float]) -> float:
        return (one[1] + 1.0) / (one[0] + 1.0)

    order = least(
        "steps until settled / until spread",
        1.0,
        float(np.median([ratio(x) for x in expected])),
        median([ratio(x) for x in seen], ALPHA),
    )
    turned = least(
        "rotation after the spread",
        TURN,
        float(np.median([x[2] for x in expected])),
        median([x[2] for x in seen], ALPHA),
        "degrees",
    )
    ready = np.mean([x[0] == 0.0 for x in seen])
    at, end = ([np.median([x[i] for x in some]) for some in (seen, expected)] for i in (0, 1))
    far = np.mean([x[2] >= TURN for x in seen])
    return Finding(
        (
            Part("directions spread before they settle", (order,)),
            Part(f"in between they rotate, by {TURN:g} degrees or more", (turned,)),
        ),
        predicted="Plain gradient descent never turns the vectors as a whole (proved). Adam on the "
        "exact loss from the same first weights",
        trained=f"Of {len(seen)} models {ready:.0%} are spread before the first step, and "
        f"{far:.0%} turn by {TURN:g} degrees or more.",
        note=f"Median steps: spread {at[0]:.0f} (predicted {at[1]:.0f}), settled {end[0]:.0f} "
        f"({end[1]:.0f}). Spreading and settling overlap; how far the whole turns differs "
        "from start to start.",
        picture=_picture(steps, trained),
    )


def _paths(sample: Sample) -> tuple[list[int], Float, Float]:
    """Steps (T,), weights along training (K, T, d, n), and on the exact loss from there."""
    models = [trained for trained, _ in sample.best]
    steps = [step for step, _, _ in models[0].snapshots]
    W = np.array([[w for _, w, _ in t.snapshots] for t in models])
    b = np.array([t.snapshots[0][2] for t in models])
    run = models[0].run
    exact, _ = exact_path(run.setting, run.recipe, W[:, 0], b, steps)
    return steps, W, exact.swapaxes(0, 1)


def _look(steps: list[int], W: Float) -> tuple[float, float, float]:
    """Step of the spread, step from which all is settled, rotation between spread and end."""
    found = dynamics([(step, w, np.zeros(w.shape[1])) for step, w in zip(steps, W, strict=True)])
    over = np.flatnonzero(found.spread >= SPREAD)
    at = int(over[0]) if len(over) else len(steps) - 1  # never spread counts as at the very end
    settled = steps[-1] if found.settled is None else found.settled
    return float(steps[at]), float(settled), rotation(W[at], W[-1])


def _picture(steps: list[int], W: Float, shown: int = 8) -> bytes:
    figure = new_figure(9.0, 4.8)
    panels = figure.subplots(2, shown // 2)
    for axes, path in zip(panels.flat, W, strict=False):
        for k in range(path.shape[2]):
            x, y = path[:, 0, k], path[:, 1, k]
            ink = PALETTE[k % len(PALETTE)]
            axes.plot(x, y, color=ink, lw=0.9, alpha=0.8)
            axes.plot(x[0], y[0], "o", color=ink, ms=3, mfc="none")
            axes.plot(x[-1], y[-1], "o", color=ink, ms=4)
        axes.set_aspect("equal")
        axes.set_xlim(-1.6, 1.6)
        axes.set_ylim(-1.6, 1.6)
        axes.set_xticks([])
        axes.set_yticks([])
    figure.suptitle(f"Eight models from first weights (open) to last, {steps[-1]} steps", size=10)
    return png(figure)


# --- phases: when features are lost, how suddenly, and whether more of them pay ---
#
# e  the S at which five features in two dimensions become fewer      f  whether they go at once
# h  features added in two dimensions at a fixed S
#
# S* and the counts come from `theory.ladder`; trained models say at which S of a grid the best of a
# group stops representing all (`predict.change`). A change at which a norm jumps leaves models in
# both phases on both sides of it, and the smallest norm of the best ones does not go to zero
# before.


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
    change = min(ladder.crossings, key=lambda one: abs(one.S - star))
    cells = book.along(5, 2, law)
    low, under = max(((S, x) for S, x in cells if star > S), key=lambda x: x[0])
    high, over = min(((S, x) for S, x in cells if star < S), key=lambda x: x[0])
    first = change.order == "first"
    cases = [
        _norm(book, law, low, under),
        _gone(book, law, high, over),
        _both(f"models in the other phase at S = {low:g}", first, under.models, False),
        _both(f"models in the other phase at S = {high:g}", first, over.models, True),
    ]
    others = ", ".join(f"{one.S:.4g} {one.order}" for one in ladder.crossings)
    return Finding(
        (Part("a feature goes at once", tuple(cases)),),
        predicted=f"At S* = {star:.5g} {change.denser} gives way to {change.sparser}, order: "
        f"{change.order}.",
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


# --- parts ---


def _smallest(W: Float) -> float:
    return float(np.linalg.norm(W, axis=0).min())


def _loss(model: Model) -> float:
    found = model[1].loss
    return float("nan") if found is None else found


LEGEND: dict[str, Any] = {"frameon": False, "fontsize": 8}


def _panel(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of one pair of axes, open above and to the right."""
    figure = new_figure(width, height)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _log(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")


def _staircase(
    spans: tuple[tuple[float, float, int], ...],
    counts: list[tuple[float, int, Estimate]],
    star: float,
) -> bytes:
    figure, axes = _panel(6.4, 3.2)
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
    figure.legend(loc="outside upper center", ncols=2, **LEGEND)
    return png(figure)


def _norms(book: Book, law: str, star: float) -> bytes:
    figure, axes = _panel(6.4, 3.2)
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
    figure.legend(loc="outside upper center", ncols=3, **LEGEND)
    return png(figure)


def _savings(rows: list[tuple[int, float, Estimate]]) -> bytes:
    figure, axes = _panel(5.2, 3.0)
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
    figure.legend(loc="outside upper center", ncols=2, **LEGEND)
    return png(figure)


# --- size: how interference grows with S and the cosine, and how many features fit ---
#
# g  interference as a power of S, and of the cosine       j  features per dimension at small S
#
# An exponent is taken between two values: ln(I2/I1) / ln(x2/x1). Interference is the loss less what
# each feature would cost alone (`theory.loss`). Capacity and interference add up to the loss by
# definition, so only the scaling is tested: of trained models, whose weights adapt, and of fixed
# weights, which nobody trains, by simulation (`validate.measurement.simulate`).


EXPONENT = 0.15
"""Tolerance of an exponent: they are taken at finite S, where the next order is 5% of the first."""

TRAINED_S = (0.01, 0.05)
FIXED_S = (0.02, 0.1)
COSINES = (0.1, 0.2)
REPEATS, SAMPLES = 16, 2**19
"""Simulations of fixed weights: an exponent from each, and their mean."""

HUNDREDS = 100.0
"""Features per dimension from which `hundreds` is granted."""

SHARES = (0.1, 0.5)
WORTH = 0.5
"""A feature is worth storing while it loses at most this share of what ignoring it costs."""

SMALL = (0.01, 0.003, 0.001)
PLACE = (12, 2, 0.01)
"""Where trained models stand beside the limit: n, d, S."""


def scaling(book: Book, law: str) -> Finding:
    """g: interference as S^2 and as the square of the cosine."""
    adapted = _trained_S(book, law)
    antipodal, acute = np.array([[1.0, -1.0]]), _pair(COSINES[1])
    in_S = (
        adapted,
        _fixed_S("antipodal pair, fixed, b = 0", antipodal, law),
        _fixed_S(f"pair of cosine {COSINES[1]:g}, fixed, b = 0", acute, law),
        _fixed_S("pentagon, fixed, b = 0", _pentagon(), law),
    )
    in_cosine = (
        _fixed_cosine(f"pair, cosine {COSINES[0]:g} to {COSINES[1]:g}, fixed, b = 0", 1.0, law),
        _fixed_cosine(f"pair, cosine -{COSINES[0]:g} to -{COSINES[1]:g}, fixed, b = 0", -1.0, law),
        _trained_cosine(book, law),
    )
    adapts = " or weights and biases adapt to S" if adapted.theory else ""
    return Finding(
        (
            Part("interference grows as S^2", in_S, f"no cosine is positive{adapts} (for S^2)"),
            Part(
                "interference grows as the square of the cosine",
                in_cosine,
                "weights are fixed, without biases (for the square of the cosine)",
            ),
        ),
        predicted="Exponents of S and of the cosine.",
        note="A positive cosine without a bias costs a feature whenever the other is on, which has "
        "the chance S; only where the bias hides that are two features needed, with chance S^2. "
        "The exact interference of trained weights, and simulated losses of fixed ones.",
        picture=_lines(law),
    )


def _trained_S(book: Book, law: str) -> Case:
    low, high = TRAINED_S
    log = math.log(high / low)
    at = [book.at(5, 2, S, law).best for S in TRAINED_S]
    found = median([math.log(_felt(b) / _felt(a)) / log for a, b in zip(*at, strict=True)], ALPHA)
    right = [_optimal(5, 2, S, law) for S in TRAINED_S]
    predicted = math.log(right[1] / right[0]) / log
    return near(f"pentagon, trained at S = {low:g} and {high:g}", 2.0, EXPONENT, predicted, found)


def _trained_cosine(book: Book, law: str) -> Case:
    log = math.log(math.cos(math.radians(60.0)) / math.cos(math.radians(72.0)))
    pairs = zip(book.at(5, 2, 0.05, law).best, book.at(6, 2, 0.05, law).best, strict=True)
    found = median([math.log(_felt(b) / 6 / (_felt(a) / 5)) / log for a, b in pairs], ALPHA)
    five, six = _optimal(5, 2, 0.05, law) / 5, _optimal(6, 2, 0.05, law) / 6
    name = "pentagon to hexagon, per feature, trained at S = 0.05"
    return near(name, 2.0, EXPONENT, math.log(six / five) / log, found)


def _felt(model: Model) -> float:
    """Exact interference of a trained model."""
    trained = model[0]
    return loss(trained.W, trained.b, features=trained.run.setting.features).interference


def _optimal(n: int, d: int, S: float, law: str) -> float:
    right = predict.truth(Setting(n=n, d=d, S=S, law=law))
    return loss(right.W, right.b, features=right.setting.features).interference


def _fixed_S(name: str, W: Float, law: str) -> Case:
    low, high = FIXED_S
    settings = [Setting(n=W.shape[1], d=W.shape[0], S=S, law=law) for S in FIXED_S]
    return _fixed(name, [W, W], settings, math.log(high / low))


def _fixed_cosine(name: str, sign: float, law: str) -> Case:
    setting = Setting(n=2, d=2, S=FIXED_S[1], law=law)
    W = [_pair(sign * c) for c in COSINES]
    return _fixed(name, W, [setting, setting], math.log(COSINES[1] / COSINES[0]))


def _fixed(name: str, W: Sequence[Float], settings: Sequence[Setting], log: float) -> Case:
    """Unit vectors without biases reproduce each feature alone: their loss is interference."""
    zero = np.zeros(settings[0].n)
    exact = [
        loss(w, zero, features=s.features).interference for w, s in zip(W, settings, strict=True)
    ]
    found = []
    for k in range(REPEATS):
        rng = np.random.default_rng([k, settings[0].n])
        a, b = (simulate(s, w, zero, rng, SAMPLES)[0] for w, s in zip(W, settings, strict=True))
        found.append(math.log(b / a) / log if a > 0.0 and b > 0.0 else math.nan)
    return near(name, 2.0, EXPONENT, math.log(exact[1] / exact[0]) / log, mean(found, ALPHA))


def _pair(cosine: float) -> Float:
    return np.array([[1.0, cosine], [0.0, math.sqrt(1.0 - cosine * cosine)]])


def _pentagon() -> Float:
    turn = 2.0 * np.pi * np.arange(5) / 5.0
    return np.array([np.cos(turn), np.sin(turn)])


# --- j ---


def many(book: Book, law: str) -> Finding:
    """j: features per dimension at which the loss reaches shares of the ignored-feature loss."""
    table = {S: [ratio_at(x, S, law) for x in SHARES] for S in SMALL}
    at = ratio_at(WORTH, SMALL[0], law)
    enough = _reaches(law)
    n, d, S = PLACE
    setting = Setting(n=n, d=d, S=S, law=law)
    v = float(setting.features.variance[0]) * n
    found = book.median(book.at(n, d, S, law), lambda model: _loss(model) / v)
    right = predict.truth(setting).loss / v
    gauss = many_features(n / d, S, law).loss / float(setting.features.variance[0])
    # Trained models speak at n/d = 6 alone; they must not do better than the limit by a tenth,
    # or it would say too little of what can be stored.
    trained = "agree" if found.low >= gauss - 0.1 else "inconclusive"
    seen = f"share lost at n/d = {n / d:g}: {shown(found)}"
    cases = []
    for one, ratio in ((SMALL[0], at), (0.9 * enough, ratio_at(WORTH, 0.9 * enough, law))):
        true = ratio >= HUNDREDS
        side = trained if true else {"agree": "disagree"}.get(trained, trained)
        name = f"n/d at which half is lost, S = {one:.2g}"
        cases.append(Case(name, true, side, f"{ratio:.4g}", ""))  # type: ignore[arg-type]
    texts = [f"S = {S:g}: {a:.4g} and {b:.4g}" for S, (a, b) in table.items()]
    return Finding(
        (
            Part(
                "hundreds of features per dimension are worth storing",
                tuple(cases),
                f"S < {enough:.2g}",
            ),
        ),
        predicted="In the limit of many features the loss reaches 10% and 50% of the "
        f"ignored-feature loss at these n/d: {'; '.join(texts)}. Half is lost at "
        f"n/d = {HUNDREDS:g} for S = {enough:.3g}.",
        trained=f"n = {n}, d = {d}, S = {S:g}: {seen} of the ignored-feature loss; the optimum "
        f"found loses {right:.3g}, the limit says {gauss:.3g}.",
        note=f"Worth storing means losing at most {WORTH:.0%}; hundreds, at least {HUNDREDS:g}. "
        "The limit needs many features on at once: models of few dimensions are worse than it, and "
        "the best known blocks "
        f"lose half at n/d = {_blocks(law):.3g} for S = {SMALL[0]:g}. Training cannot show the "
        "limit itself at these sizes: it confirms only that small models do no better.",
        picture=_ratios(law),
    )


def _reaches(law: str) -> float:
    """The S below which half is lost at HUNDREDS of features per dimension or more."""
    low, high = 1e-5, 0.1
    for _ in range(40):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if ratio_at(WORTH, middle, law) >= HUNDREDS else (low, middle)
    return low


def _blocks(law: str) -> float:
    """Largest n/d at which the best known mixture of blocks loses at most half at the largest S."""
    v = float(Setting(n=1, d=1, S=SMALL[0], law=law).features.variance[0])
    low, high = 1.0, 1e4
    for _ in range(40):
        middle = math.sqrt(low * high)
        so = envelope(1.0 / middle, SMALL[0], law)[1] <= WORTH * v
        low, high = (middle, high) if so else (low, middle)
    return low


def _lines(law: str) -> bytes:
    figure, axes = _panel(5.6, 3.4)
    S = np.geomspace(0.003, 0.1, 12)
    fixed = {
        "antipodal pair, b = 0": np.array([[1.0, -1.0]]),
        f"cosine {COSINES[1]:g}, b = 0": _pair(COSINES[1]),
        "pentagon, b = 0": _pentagon(),
    }
    for (name, W), ink in zip(fixed.items(), (GREEN, ORANGE, BLUE), strict=True):
        n, d = W.shape[1], W.shape[0]
        y = [
            loss(
                W, np.zeros(n), features=Setting(n=n, d=d, S=float(x), law=law).features
            ).interference
            for x in S
        ]
        axes.plot(S, y, color=ink, label=name)
    axes.plot(
        TRAINED_S,
        [_optimal(5, 2, x, law) for x in TRAINED_S],
        "D--",
        color=BLUE,
        mfc="none",
        label="pentagon, optimal weights",
    )
    axes.plot(S, 3.0 * S**2, ":", color="black", lw=0.8, label="slope 2")
    _log(axes)
    axes.set_xlabel("S, chance that a feature is on")
    axes.set_ylabel("interference")
    figure.legend(loc="outside right center", **LEGEND)
    return png(figure)


def _ratios(law: str) -> bytes:
    figure, axes = _panel(5.6, 3.2)
    S = np.geomspace(1e-4, 0.1, 13)
    for part, ink in zip(SHARES, (ORANGE, BLUE), strict=True):
        axes.plot(
            S,
            [ratio_at(part, float(x), law) for x in S],
            color=ink,
            label=f"{part:.0%} of the ignored-feature loss",
        )
    axes.axhline(HUNDREDS, color=GREY, lw=0.8, ls=":")
    axes.axvline(SMALL[0], color=GREY, lw=0.8, ls=":")
    _log(axes)
    axes.set_xlabel("S, chance that a feature is on")
    axes.set_ylabel("features per dimension")
    figure.legend(loc="outside upper center", ncols=2, **LEGEND)
    return png(figure)


# --- shapes: the pentagon, other regular figures, and the largest smallest angle ---
#
# a  the angles of five features in two dimensions      b  their largest cosine
# c  square, hexagon, tetrahedron, octahedron           d  regular polytopes, and the minimum angle
#
# An arrangement is compared with a regular one by its angles, sorted: `off` is the largest
# difference in degrees. So norms may differ, which is generous to the statements. What theory says
# comes from `theory.optimum` at each S, and the S where a shape ends is bisected between two such
# optima.


NEAR = 3.0
"""Degrees by which angles may be off: noise of training leaves one or two; the nearest other
arrangement is off by more than ten."""

EXACT = 0.5
"""Degrees by which a predicted optimum may be off and still count as the regular figure."""

COSINE = 0.03
"""Tolerance of a cosine: three degrees at the pentagon's."""

SHAPES = (("square", 4, 2), ("hexagon", 6, 2), ("tetrahedron", 4, 3), ("octahedron", 6, 3))

LOOKED = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6)
"""S at which theory is asked for the shapes; between neighbours that differ it bisects."""

BISECTIONS = 6

REGULAR = {2: None, 3: (4, 6, 8, 12, 20)}
"""Numbers of vertices of the regular polytopes: any in the plane (None), five solids in space."""

ANGLE = 1.0
"""Degrees by which the smallest angle may stay behind the largest possible one."""


def angles_of(W: Float, live: np.ndarray) -> Float:
    """All angles between represented vectors, degrees, rising."""
    U = W[:, live] / np.linalg.norm(W[:, live], axis=0)
    C = np.clip(U.T @ U, -1.0, 1.0)
    return np.sort(np.degrees(np.arccos(C[np.triu_indices(len(C), 1)])))


def off(W: Float, live: np.ndarray, shape: str) -> float:
    """Largest difference between the angles of W and those of a catalogue shape, degrees; 180 where
    not all of its vertices are there."""
    vertices = entry(shape).vectors
    wanted = angles_of(vertices, np.ones(vertices.shape[1], dtype=bool))
    found = angles_of(W, live)
    return 180.0 if len(found) != len(wanted) else float(np.abs(found - wanted).max())


def trained_off(model: Model, shape: str) -> float:
    trained = model[0]
    return off(trained.W, represented(trained.run.setting, trained.W), shape)


def predicted_off(setting: Setting, shape: str) -> float:
    right = predict.truth(setting)
    return off(right.W, np.linalg.norm(right.W, axis=0) > 1e-6, shape)


# --- a, b ---


def pentagon(book: Book, law: str) -> Finding:
    """a: five features in two dimensions at S = 0.01."""
    sample = book.at(5, 2, 0.01, law)
    setting = Setting(n=5, d=2, S=0.01, law=law)
    right = predict.truth(setting)
    angles = angles_of(right.W, np.linalg.norm(right.W, axis=0) > 1e-6)
    found = book.median(sample, lambda model: trained_off(model, "pentagon"))
    part = Part(
        "the angles are 72 and 144 degrees",
        (
            most(
                "largest difference from 72 and 144",
                NEAR,
                predicted_off(setting, "pentagon"),
                found,
                "degrees",
            ),
        ),
    )
    first = book.median(sample, lambda model: float(angles_of(*_live(model))[0]))
    opposite = book.median(sample, lambda model: float(angles_of(*_live(model))[-1]))
    high = book.median(sample, lambda model: _excess(model, right.loss))
    share = np.mean([trained_off(model, "pentagon") < NEAR for model in sample.models])
    return Finding(
        (part,),
        predicted=f"The optimum is the {right.name} with angles {angles[0]:.2f} and "
        f"{angles[-1]:.2f}, and is so for {_where(setting, 'pentagon')}.",
        trained=f"Smallest angle {_said(first)}, largest {_said(opposite)} degrees; losses are "
        f"{100 * high.low:.2g} to {100 * high.high:.2g}% above the optimum, and {share:.0%} of all "
        f"{len(sample.models)} models end as the pentagon.",
        picture=_plane([("S = 0.01", sample, right)]),
    )


def largest_cosine(book: Book, law: str) -> Finding:
    """b: 0.31 for the pentagon, 0.5 for the hexagon, and nothing smaller is possible."""
    cases, texts, shown = [], [], []
    for name, n, claimed in (("pentagon", 5, 0.31), ("hexagon", 6, 0.5)):
        setting = Setting(n=n, d=2, S=0.05, law=law)
        right, sample = predict.truth(setting), book.at(n, 2, 0.05, law)
        top = float(np.cos(np.radians(right.min_angle)))
        found = book.median(sample, _cosine)
        cases.append(near(f"{name}, S = 0.05", claimed, COSINE, top, found))
        bound = bounds.best(n, 2)
        texts.append(f"{n} vectors have a largest cosine of at least {bound.value:.4f}")
        shown.append((f"{name}, S = 0.05", sample, right))
    best = bounds.best(5, 2).value
    pentagon_now = predict.truth(Setting(n=5, d=2, S=0.05, law=law))
    above = float(np.cos(np.radians(pentagon_now.min_angle))) - best
    tight = near("above the least possible", 0.0, COSINE, above, _shift(book, law, best))
    lines = bounds.best(5, 2, "coherence").value
    return Finding(
        (
            Part("neighbours have the cosine 0.31, and 0.5 in the hexagon", tuple(cases)),
            Part("no five vectors do better", (tight,)),
        ),
        predicted=f"Proved: {', '.join(texts)}.",
        note=f"Without signs the pentagon is best too: its opposite features have |cosine| 0.81, "
        f"and no five lines do better than {lines:.4f}. The statement is about directions: norms "
        "and biases are chosen along with them.",
        picture=_plane(shown),
    )


def _shift(book: Book, law: str, best: float) -> Estimate:
    found = book.median(book.at(5, 2, 0.05, law), _cosine)
    return Estimate(found.value - best, found.low - best, found.high - best)


# --- c ---


def regular(book: Book, law: str) -> Finding:
    """c: square, hexagon, tetrahedron and octahedron, at every S that was trained."""
    parts, texts, flat = [], [], []
    for shape, n, d in SHAPES:
        cases = []
        for S, sample in book.along(n, d, law):
            setting = Setting(n=n, d=d, S=S, law=law)
            right, best = predict.truth(setting), predicted_off(setting, shape)
            found = book.median(sample, partial(trained_off, shape=shape))
            case = most(f"{shape}, S = {S:g}, off by", NEAR, best, found, "degrees")
            cases.append(replace(case, predicted=f"{case.predicted} ({right.name})"))
            if d == 2:
                flat.append((f"{shape}, S = {S:g}", sample, right))
        where = _where(Setting(n=n, d=d, S=0.5, law=law), shape)
        texts.append(f"{n} in {d}D, {shape}, for {where}")
        ends = where != f"S <= {LOOKED[-1]:.4g}"
        parts.append(Part(f"{n} in {d}D, {shape}", tuple(cases), f"{where} ({n} in {d}D)", ends))
    return Finding(
        tuple(parts),
        predicted=f"Of the S looked at, {LOOKED[0]:g} to {LOOKED[-1]:g}: {'; '.join(texts)}.",
        note="Directions alone are compared: norms may be uneven, as in the binary square at small "
        "S. Where a shape ends, S is bisected.",
        picture=_plane(flat),
    )


def _where(setting: Setting, shape: str) -> str:
    """The S at which the optimum has that shape, among those looked at, ends bisected."""
    is_so = [_has(setting, S, shape) for S in LOOKED]
    spans, start = [], None
    for i, (S, so) in enumerate(zip(LOOKED, is_so, strict=True)):
        if so and start is None:
            start = S if i == 0 else _bisect(setting, LOOKED[i - 1], S, shape)
        if start is not None and not so:
            spans.append((start, _bisect(setting, LOOKED[i - 1], S, shape)))
            start = None
    if start is not None:
        spans.append((start, LOOKED[-1]))
    if not spans:
        return "no S"
    return " and ".join(
        f"S <= {high:.4g}" if low == LOOKED[0] else f"{low:.4g} <= S <= {high:.4g}"
        for low, high in spans
    )


def _has(setting: Setting, S: float, shape: str) -> bool:
    there = Setting(n=setting.n, d=setting.d, S=S, law=setting.law)
    return predicted_off(there, shape) <= EXACT


def _bisect(setting: Setting, low: float, high: float, shape: str) -> float:
    """Where the answer of `_has` changes between two S."""
    at_low = _has(setting, low, shape)
    for _ in range(BISECTIONS):
        middle = float(f"{np.sqrt(low * high):.4g}")
        if _has(setting, middle, shape) == at_low:
            low = middle
        else:
            high = middle
    return low if at_low else high


# --- d ---


def widest(book: Book, law: str) -> Finding:
    """d: whether the smallest angle is the largest possible, and the figure a regular polytope."""
    wide, solid = [], []
    for n, d in ((5, 2), (4, 3), (5, 3), (6, 3), (7, 3), (8, 3)):
        sample, setting = book.at(n, d, 0.05, law), Setting(n=n, d=d, S=0.05, law=law)
        right, most_possible = predict.truth(setting), best_angle(n, d)
        found = book.median(sample, lambda model: float(angles_of(*_live(model))[0]))
        name = f"{n} in {d}D, {right.name}, smallest angle (at most {most_possible:.2f})"
        # Noise only lowers it, so it is allowed for where theory says that the largest is reached.
        noise = ANGLE if right.min_angle < most_possible - ANGLE else NEAR
        wide.append(least(name, most_possible - noise, right.min_angle, found, "degrees"))
        count = book.median(sample, lambda model: float(model[1].represented))
        solid.append(_polytope(n, d, right.represented, count))
    return Finding(
        (
            Part("the smallest angle is the largest possible", tuple(wide)),
            Part("the optimum is a regular polytope with k vertices", tuple(solid)),
        ),
        predicted="At S = 0.05, against the best code that `packing code` finds.",
        note="In space regular polytopes have 4, 6, 8, 12 or 20 vertices; where all features are "
        "represented and their number is another, there is none to be.",
    )


def best_angle(n: int, d: int) -> float:
    """Largest smallest angle of n unit vectors in R^d, degrees: proved, or the best found."""

    def ask() -> float:
        return float(search(n, d, "angle", seconds=10.0, workers=1).max_cosine)

    return float(np.degrees(np.arccos(kept("angle", {"n": n, "d": d}, ask))))


def _polytope(n: int, d: int, expected: int, found: Estimate) -> Case:
    """Whether k represented features can be the vertices of a regular polytope at all."""
    counts = REGULAR[d]
    able = counts is None or expected in counts
    name = f"{n} in {d}D, vertices"
    case = near(name, float(expected), 0.3, float(expected), found)
    trained = case.trained
    if not able and trained != "inconclusive":
        trained = "disagree" if trained == "agree" else "inconclusive"
    said = "" if able else ", no regular polytope"
    return Case(name, able, trained, f"{expected}{said}", case.measured)


# --- parts ---


def _live(model: Model) -> tuple[Float, np.ndarray]:
    trained = model[0]
    return trained.W, represented(trained.run.setting, trained.W)


def _cosine(model: Model) -> float:
    found = model[1].max_cosine
    return float("nan") if found is None else found


def _excess(model: Model, best: float) -> float:
    found = model[1].loss
    return float("nan") if found is None else found / best - 1.0


def _said(found: Estimate) -> str:
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _plane(cells: list[tuple[str, Sample, predict.Truth]]) -> bytes:
    return png(draw_planes(cells))


# --- the ledger ---


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
}
"""The functions that judge or measure, by the name that a suite gives."""

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
    statements = suite.extra["statement"]
    check(statements)
    book, found = Book(suite, models), {}
    for i, one in enumerate(statements):
        if progress is not None:
            progress("ledger", i / len(statements), f"{one.id}. {one.text[:50]}")
        if one.by != SAME:
            law = "uniform" if one.by.endswith(UNIFORM) else "binary"
            judged = CLAIMS[one.by.removesuffix(UNIFORM)](book, law)
            found[one.by] = stated(one.id, one.text, judged)
    return tuple(
        stated(one.id, one.text, same(found)) if one.by == SAME else found[one.by]
        for one in statements
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


__all__ = [
    "CLAIMS",
    "SAME",
    "UNIFORM",
    "Stated",
    "added",
    "angles_of",
    "best_angle",
    "check",
    "critical",
    "known",
    "largest_cosine",
    "many",
    "off",
    "pentagon",
    "regular",
    "same",
    "scaling",
    "stages",
    "state",
    "sudden",
    "widest",
]
