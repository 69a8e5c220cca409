"""Statements about size: how interference grows with S and the cosine, and how many features fit.

g  interference as a power of S, and of the cosine       j  features per dimension at small S

An exponent is taken between two values: ln(I2/I1) / ln(x2/x1). Interference is the loss less what
each feature would cost alone (`theory.loss`). Capacity and interference add up to the loss by
definition, so only the scaling is tested: of trained models, whose weights adapt, and of fixed
weights, which nobody trains, by simulation (`validate.measure.simulate`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from theory.features import Float
from theory.loss import loss
from theory.mixtures import envelope, many_features, ratio_at
from validate import predict
from validate.ledger_parts import ALPHA, Book, Case, Finding, Part, near, shown
from validate.quantities import Model
from validate.runs import Setting
from validate.statistics import mean, median

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
    from validate.measure import simulate

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


# --- j --------------------------------------------------------------------------------------------


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


def _loss(model: Model) -> float:
    found = model[1].loss
    return math.nan if found is None else found


def _lines(law: str) -> bytes:
    from packing.draw import new_figure
    from validate.draw import BLUE, GREEN, ORANGE, png

    figure = new_figure(5.6, 3.4)
    axes = figure.add_subplot()
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
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("S, chance that a feature is on")
    axes.set_ylabel("interference")
    figure.legend(loc="outside right center", frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return png(figure)


def _ratios(law: str) -> bytes:
    from packing.draw import GREY, new_figure
    from validate.draw import BLUE, ORANGE, png

    figure = new_figure(5.6, 3.2)
    axes = figure.add_subplot()
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
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("S, chance that a feature is on")
    axes.set_ylabel("features per dimension")
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return png(figure)


__all__ = ["many", "scaling"]
