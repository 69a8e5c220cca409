"""Predictions: what theory says of a setting, rightly and wrongly read, and how it is measured.

A prediction is the optimum that `theory.optimum` finds, never a named form's: a symmetric form is
only a bound where norms may differ. A wrong reading is a prediction of the same kind under

    arrangement   other blocks at their best common norm and bias, which is no optimum
    1-S           S read as the chance of being off
    law           another law of the values
    bias          the model without biases

and must be told from the right one by what was trained. Answers are kept (`packing.cache`).
Numerical, as optima and ladders are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment, minimize

from packing import cache
from packing.arrangement import Arrangement
from packing.catalogue import candidates, entry
from packing.errors import BadInput
from packing.results import Evidence
from packing.types import Float
from theory.features import Features
from theory.ladders import Ladder, ladder
from theory.losses.expected import loss
from theory.mixtures import Mixture, mixture_at
from theory.mixtures import blocks as table
from theory.mixtures.block_losses import binary_minimum, uniform_minimum
from theory.mixtures.comparison import block_norms
from theory.optima import Optimum, optimum
from validate.experiments import Model, Setting
from validate.statistics import Estimate, bracket, mean, median, share

DENSE = 12
"""Features of a block beyond which only biases below zero are scanned."""

POLISH = 1e-9
"""Relative distance of a polished loss from its minimum: its gradient is below 1e-9 of the loss's
scale (1e-6 without a Hessian), and the loss is off by about the square of that."""

LARGE, STARTS = 12, 6
"""Beyond LARGE features a start costs seconds: STARTS random ones have to do, beside the named
arrangements of as many features, from which the search may descend further."""

SEARCHED = 60
"""Features up to which an optimum is searched for; beyond, a search would take hours, and what
theory says is the best mixture of blocks, an upper bound (`mixture`)."""

PAIRS = {"uneven digon": -1.0, "parallel pair": 1.0}
"""Blocks of the binary law of two norms, and the cosine of their features."""

OTHER_LAW = {"binary": "uniform", "uniform": "binary", "exponential": "uniform"}


@dataclass(frozen=True, eq=False)
class Truth:
    """What one reading of theory says of a setting.

    Parameters
    ----------
    setting : Setting
        As it was read.
    W, b : (d, n) and (n,) arrays
    loss, rounding : float
        Expected loss, and how far it may be from that of the optimum itself.
    represented : int
    d_star : float
    min_angle : float
        Between represented features, degrees; nan for fewer than two.
    name : str
    status : Evidence
        How the optimum is known (`theory.optimum`): numerical for a named arrangement, unsettled
        for a mixture, which is an upper bound on the optimum.
    """

    setting: Setting
    W: Float
    b: Float
    loss: float
    rounding: float
    represented: int
    d_star: float
    min_angle: float
    name: str
    status: str


def predicted(setting: Setting) -> Optimum:
    """The optimum of a setting, from the cache or by search.

    Raises
    ------
    BadInput
        If features are not independent: theory does not speak of them.
    """
    if not setting.independent:
        raise BadInput(
            f"theory has no optimum for joint = {setting.joint!r}: it speaks of independent "
            "features; leave such cells without checks"
        )
    question = {"verb": "predicted", "setting": _plain(asdict(setting))}

    def ask() -> Optimum:
        large = setting.n > LARGE
        return optimum(
            setting.features,
            setting.d,
            objective=setting.objective,
            starts=STARTS if large else None,
            guesses=_named(setting) if large else (),
        )

    return _kept(question, ask)


def ladder_of(setting: Setting) -> Ladder:
    """The ladder of a setting's model; its S is not used."""
    return ladder(setting.features, setting.d, objective=setting.objective, S_min=1e-3)


def truth(setting: Setting) -> Truth:
    """The prediction for a setting; beyond SEARCHED features a bound that nothing can defeat."""
    if setting.n > SEARCHED:
        return mixture(setting)
    best = predicted(setting)
    rounding = best.loss.error_bound + POLISH * best.loss.total
    # a search that its own starts do not confirm predicts, and the report says that it is unsettled
    name, status = best.name, best.evidence if best.sure else Evidence.UNSETTLED
    return _truth(setting, best.W, best.b, best.loss.total, rounding, name, status)


def mixture(setting: Setting) -> Truth:
    """The best mixture of blocks, as what theory says of a setting too large to search.

    Its loss is an upper bound, so ``rounding`` is infinite: no model can defeat it. Weights
    are zero where a block has two norms; the numbers stand.

    Raises
    ------
    BadInput
        If S or importance differ, or features are not independent.
    """
    S = one_S(setting)
    best = _kept(_mixed(setting), lambda: mixture_at(setting.n, setting.d, S, setting.law))
    square, represented = float(best.dedicated), best.dedicated
    for name, many in best.parts:
        total, each = block_norms(name, S, setting.law)
        square += many * total
        represented += many * sum(count for _, count in each)
    try:
        W, b = mixed(setting, best.name)
    except BadInput:
        W, b = np.zeros((setting.d, setting.n)), setting.features.mean.copy()
    found = _truth(setting, W, b, best.loss, float("inf"), best.name, Evidence.UNSETTLED)
    D_star = setting.d / square if square > 0.0 else float("inf")
    return replace(found, represented=represented, d_star=D_star)


def keep_mixture(setting: Setting, found: Mixture) -> None:
    """Keep the best mixture of a setting for `mixture`, where many were found together."""
    cache.remember(_mixed(setting), found)


def _mixed(setting: Setting) -> dict[str, Any]:
    return {"verb": "predicted mixture", "setting": _plain(asdict(setting))}


def one_S(setting: Setting) -> float:
    """The one S of a setting of equal features.

    Raises
    ------
    BadInput
        If S or importance differ, or features are not independent.
    """
    if isinstance(setting.S, tuple) or setting.importance is not None or not setting.independent:
        raise BadInput("mixtures are for independent features of equal S and importance")
    return float(setting.S)


def misread(setting: Setting, control: str, wrong: str = "") -> Truth:
    """The prediction under a wrong convention.

    Parameters
    ----------
    setting : Setting
    control : {"arrangement", "1-S", "law", "bias"}
    wrong : str
        For ``arrangement``: its blocks, as ``2 digon + 1 ignored``.

    Raises
    ------
    BadInput
        If the control is unknown, or the arrangement does not fit n and d.
    """
    if control == "arrangement":
        return arranged(setting, wrong)
    return truth(misread_setting(setting, control))


def misread_setting(setting: Setting, control: str) -> Setting:
    """The setting as read under ``1-S``, ``law`` or ``bias``."""
    if control == "1-S":
        off = tuple(1.0 - S for S in setting.S) if isinstance(setting.S, tuple) else 1.0 - setting.S
        return replace(setting, S=off)
    if control == "law":
        return replace(setting, law=OTHER_LAW[setting.law])
    if control == "bias":
        return replace(setting, bias=False)
    raise BadInput(f"there is no control {control!r}: give arrangement, 1-S, law or bias")


def arranged(setting: Setting, name: str) -> Truth:
    """The blocks of a name in orthogonal subspaces, each at its best norm and bias.

    Every feature of a block has the same norm and bias, so this is a candidate, not an optimum.

    Raises
    ------
    BadInput
        As `built`.
    """
    W, b = built(setting, name)
    total = loss(W, b, features=setting.features, objective=setting.objective)
    return _truth(setting, W, b, total.total, total.error_bound, name, Evidence.NUMERICAL)


def distance(A: Float, B: Float) -> float:
    """How different the Gram matrices of A and B (d, n) are, whatever the order of features.

    Rows of each Gram matrix are sorted (the diagonal stays first), rows are matched at least cost,
    and the Frobenius norm of the difference is divided by that of B's Gram matrix. Zero for
    arrangements equal up to rotation and relabelling; never above the distance after the best
    relabelling (proved: sorting and matching only bring rows nearer).
    """
    rows = []
    for W in (A, B):
        G = W.T @ W
        n = len(G)
        others = np.sort(G[~np.eye(n, dtype=bool)].reshape(n, n - 1), axis=1)
        rows.append(np.concatenate([np.diag(G)[:, None], others], axis=1))
    cost = np.sum((rows[0][:, None] - rows[1][None]) ** 2, axis=2)
    scale = float(np.linalg.norm(rows[1])) or 1.0
    return float(np.sqrt(cost[linear_sum_assignment(cost)].sum())) / scale


def _truth(
    setting: Setting, W: Float, b: Float, total: float, rounding: float, name: str, status: str
) -> Truth:
    shape = Arrangement.from_weights(W)
    norms = np.linalg.norm(W, axis=0)
    shown = norms > 1e-6
    if setting.importance is not None:
        shown &= np.array(setting.importance) > 0.0
    size = float(np.sum(norms**2))
    return Truth(
        setting=setting,
        W=W,
        b=b,
        loss=total,
        rounding=rounding,
        represented=int(shown.sum()),
        d_star=W.shape[0] / size if size > 0.0 else float("inf"),
        min_angle=min_angle(shape, shown),
        name=name,
        status=status,
    )


def min_angle(shape: Arrangement, shown: Any) -> float:
    """Smallest angle between the features shown, degrees; nan for fewer than two."""
    which = np.flatnonzero(shown)
    if len(which) < 2:
        return float("nan")
    C = shape.cosines[np.ix_(which, which)]
    top = float(C[~np.eye(len(which), dtype=bool)].max())
    return float(np.degrees(np.arccos(np.clip(top, -1.0, 1.0))))


def _named(setting: Setting) -> list[tuple[Float, Float]]:
    """Named arrangements of all features as starts of a search, where features are alike."""
    if isinstance(setting.S, tuple) or setting.importance is not None:
        return []
    return [built(setting, entry.name) for entry in candidates(setting.n, setting.d)]


def _plain(x: dict[str, Any]) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in x.items()}


def _kept(question: dict[str, Any], ask: Callable[[], Any]) -> Any:
    answer = cache.recall(question)
    if answer is None:
        answer = ask()
        cache.remember(question, answer)
    return answer


# --- named arrangements as models ---
#
# W holds rho_k V_k for each block of unit columns V_k, b its bias, where (rho_k, b_k) minimise the
# block's own loss. Orthogonal blocks do not see each other, so their losses add up. Norms and
# biases within a block are equal here, which an optimum's need not be: these are candidates, and
# serve as wrong predictions and as starts of a search.


def built(
    setting: Setting, name: str, norm: Callable[[str, Float], tuple[float, float]] | None = None
) -> tuple[Float, Float]:
    """Weights and biases of the blocks of a name.

    Parameters
    ----------
    setting : Setting
        Of equal S and importance.
    name : str
        Blocks, as ``2 digon + 1 ignored``.
    norm : callable, optional
        Norm and bias of a block from its name and its unit columns; `best` unless given.

    Returns
    -------
    W, b : (d, n) and (n,) arrays
        Numerical (a scan, then L-BFGS, per block).

    Raises
    ------
    BadInput
        If a block has no construction, the blocks do not fit n and d, or features differ.
    """
    if isinstance(setting.S, tuple) or setting.importance is not None:
        raise BadInput("named arrangements are for equal features: leave the control out")
    W, b = np.zeros((setting.d, setting.n)), setting.features.mean.copy()
    if not setting.bias:
        b[:] = 0.0
    row = column = 0
    for count, block in blocks(name):
        if block == "ignored":
            column += count
            continue
        if block in PAIRS:
            raise BadInput(f"{block!r} has two norms: it is not laid out here")
        V = np.ones((1, 1)) if block == "dedicated" else entry(block).vectors
        d, n = V.shape
        if row + count * d > setting.d or column + count * n > setting.n:
            break
        rho, bias = best(V, setting) if norm is None else norm(block, V)
        for _ in range(count):
            W[row : row + d, column : column + n] = rho * V
            b[column : column + n] = bias
            row, column = row + d, column + n
    else:
        if column == setting.n:
            return W, b
    raise BadInput(
        f"{name!r} is no arrangement of {setting.n} features in {setting.d} dimensions: "
        "its blocks must fit d, and with ignored features add up to n"
    )


def mixed(setting: Setting, name: str) -> tuple[Float, Float]:
    """Weights and biases of a mixture of table blocks, each at its minimum; else as `built`."""
    minimum = binary_minimum if setting.law == "binary" else uniform_minimum
    rows = {block.name: block.row for block in table(setting.law)}
    S = np.array([one_S(setting)])

    def norm(block: str, V: Float) -> tuple[float, float]:
        if block == "dedicated":
            return 1.0, 0.0
        _, rho, bias = minimum(rows[block], S)
        return float(np.sqrt(rho[0])), float(bias[0])

    return built(setting, name, norm)


def blocks(name: str) -> list[tuple[int, str]]:
    """Counts and names of the blocks of an arrangement."""
    found = []
    for part in name.split(" + "):
        counted = re.fullmatch(r"(\d+) (.+)", part.strip())
        found.append((int(counted[1]), counted[2]) if counted else (1, part.strip()))
    return found


def best(V: Float, setting: Setting) -> tuple[float, float]:
    """Norm and bias that minimise the loss of a block of unit columns V (d, n)."""
    assert not isinstance(setting.S, tuple)
    n, S = V.shape[1], setting.S
    features = Features.of(n, S, setting.law)

    def cost(x: Float) -> tuple[float, Float]:
        bias = np.full(n, x[1] if setting.bias else 0.0)
        at = loss(x[0] * V, bias, features=features, objective=setting.objective, gradient=True)
        assert at.grad_W is not None and at.grad_b is not None
        slope = float(at.grad_b.sum()) if setting.bias else 0.0
        return at.total, np.array([float(np.sum(at.grad_W * V)), slope])

    # Flat in places, with several minima: at a small b > 0 of the size of S^2, and at a b < 0 as
    # large as the interference that it has to cut off. Scan, then descend from the three best.
    small = [[1.0 - 2.0 * x, x] for x in (0.5 * S**2, S**2, 0.05)]
    cut = [[1.1, -x] for x in (0.0, 0.02, 0.1, 0.2, 0.4, 0.6)]
    if n > DENSE:  # every feature has interference, and losses at b > 0 are slow
        small, cut = [], cut[2:]
    starts = sorted((*small, *cut), key=lambda x: cost(np.array(x))[0])[:3]
    found = [minimize(cost, x, jac=True, method="L-BFGS-B", tol=1e-12) for x in starts]
    least = min(found, key=lambda x: x.fun)
    return float(least.x[0]), float(least.x[1]) if setting.bias else 0.0


# --- quantities: what is compared, and its confidence interval ---
#
# The runs of a cell fall into g groups. Training finds minima, not always the least one, so what is
# compared is the best model of a group, that of least exact loss; g groups give g independent
# values.
#
# reading(truth, sample)           the predicted value under one reading of theory
# measured(truth, sample, alpha)   its estimate, missing with chance alpha at most
# shift(right, wrong, sample)      how far a wrong reading moves the prediction


@dataclass(frozen=True, eq=False)
class Sample:
    """The trained models of a cell, group after group."""

    models: tuple[Model, ...]
    groups: int

    @cached_property
    def best(self) -> tuple[Model, ...]:
        """The model of least exact loss in each group."""
        size = len(self.models) // self.groups
        parts = [self.models[i * size : (i + 1) * size] for i in range(self.groups)]
        return tuple(min(part, key=_exact) for part in parts)


@dataclass(frozen=True)
class Quantity:
    """One thing that theory predicts and training shows."""

    unit: str
    reading: Callable[[Truth, Sample], float]
    measured: Callable[[Truth, Sample, float], Estimate]
    apart: Callable[[Truth, Truth, Sample], float] | None = None

    def shift(self, right: Truth, wrong: Truth, sample: Sample) -> float:
        """How far apart two readings are, in the quantity's unit."""
        if self.apart is not None:
            return self.apart(right, wrong, sample)
        return abs(self.reading(wrong, sample) - self.reading(right, sample))


def _exact(model: Model) -> float:
    value = model[1].loss
    return np.inf if value is None or not np.isfinite(value) else value


def _median(of: Callable[[Model], float]) -> Callable[[Truth, Sample, float], Estimate]:
    def measured(truth: Truth, sample: Sample, alpha: float) -> Estimate:
        return median([of(model) for model in sample.best], alpha)

    return measured


def _excess(truth: Truth, sample: Sample) -> float:
    """Simulated less exact loss, relative, that a reading of theory expects: its own loss of the
    same weights less the right one."""
    found = []
    for trained, measured in sample.best:
        setting, right = truth.setting, _exact((trained, measured))
        b = trained.b if setting.bias else np.zeros_like(trained.b)
        other = loss(trained.W, b, features=setting.features, objective=setting.objective)
        found.append(other.total / right - 1.0)
    return float(np.mean(found))


def _simulated(truth: Truth, sample: Sample, alpha: float) -> Estimate:
    return mean([m.simulated / _exact((t, m)) - 1.0 for t, m in sample.best], alpha)


def _angle(model: Model) -> float:
    cosine = model[1].max_cosine
    return np.nan if cosine is None else float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def _distances(truth: Truth, sample: Sample, alpha: float) -> Estimate:
    return median([distance(trained.W, truth.W) for trained, _ in sample.best], alpha)


def _name_share(truth: Truth, sample: Sample, alpha: float) -> Estimate:
    names = [measured.name for _, measured in sample.best]
    return share(names.count(truth.name), len(names), alpha)


MEASURED = {
    "loss": Quantity("", lambda truth, sample: truth.loss, _median(_exact)),
    "simulation": Quantity("of the loss", _excess, _simulated),
    "represented": Quantity(
        "features",
        lambda truth, sample: float(truth.represented),
        _median(lambda model: float(model[1].represented)),
    ),
    "d_star": Quantity(
        "", lambda truth, sample: truth.d_star, _median(lambda model: model[1].d_star)
    ),
    "distance": Quantity(
        "of |G|",
        lambda truth, sample: 0.0,
        _distances,
        lambda right, wrong, sample: distance(right.W, wrong.W),
    ),
    "name": Quantity(
        "of the groups",
        lambda truth, sample: 1.0,
        _name_share,
        lambda right, wrong, sample: float(right.name != wrong.name),
    ),
    "min_angle": Quantity(
        "degrees",
        lambda truth, sample: truth.min_angle,
        _median(_angle),
    ),
}
"""Quantities of the trained models of one cell."""


def change(S: Sequence[float], samples: Sequence[Sample], n: int, alpha: float) -> Estimate:
    """The S at which the best model of a group stops representing all n features.

    Parameters
    ----------
    S : sequence of float
        Rising.
    samples : sequence of Sample
        One per S, of equally many groups.
    n : int
    alpha : float

    Returns
    -------
    Estimate
        Group k, one from each sample, has a bracket: from the last S up to which all its best
        models represent all n, to the first S from which none does (0 and 1 where there is no
        such S). The interval is that of the median group's bracket, so it holds the grid's
        spacing, and a group that changes back and forth has a wide bracket.
    """
    full = np.array([[m.represented >= n for _, m in sample.best] for sample in samples])
    lows, highs = [], []
    for column in full.T:
        first = int(np.argmin(column)) if not column.all() else len(column)
        last = len(column) - int(np.argmax(column[::-1])) if column.any() else 0
        lows.append(S[first - 1] if first else 0.0)
        highs.append(S[last] if last < len(column) else 1.0)
    return bracket(lows, highs, alpha)


__all__ = [
    "MEASURED",
    "Model",
    "Quantity",
    "Sample",
    "Truth",
    "arranged",
    "best",
    "blocks",
    "built",
    "change",
    "distance",
    "keep_mixture",
    "ladder_of",
    "misread",
    "mixed",
    "mixture",
    "one_S",
    "predicted",
    "truth",
]
