"""The staircase of large models: dimensions per feature against 1/S, as theory predicts it.

At (400, 30) nobody can search for the optimum. What theory has at each S is

    mixture   the best mixture of catalogue blocks (`theory.mixtures`): an upper bound on the least
              loss, with D* = d/|W|_F^2 and a dimensionality D_i for each of its blocks
    wide      N of the n features as the many-features solution in all d dimensions, N at its best,
              the others ignored: a limit, no bound

Numerical. Trained models are held against both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator
from scipy.sparse.csgraph import connected_components

from packing import cache
from packing.errors import BadInput
from packing.plotting import GREY, new_figure
from packing.types import Float
from studies.claims import Book, Case, Finding, Part
from theory.mixtures import blocks, envelope
from theory.mixtures.comparison import block_norms
from theory.mixtures.gaussian_limit import many_losses
from theory.mixtures.mixture import best_among, fitting, losses
from theory.plotting import ticks
from validate.experiments import Setting
from validate.measurement import represented, simulate
from validate.plotting import BLUE, GREEN, ORANGE, png
from validate.predict import OTHER_LAW, PAIRS, Model, keep_mixture, one_S
from validate.predict import blocks as parts_of
from validate.sampling import generator
from validate.statistics import Verdict


@dataclass(frozen=True)
class Stair:
    """What theory says of one S.

    Parameters
    ----------
    S : float
    name : str
        The best mixture.
    loss, D_star : float
        Its total loss, an upper bound on the least, and d/|W|_F^2.
    levels : tuple of (D_i, count)
        Of its represented features, falling.
    wide_loss, wide_D_star : float
        Loss and D* of the many-features solution with the best number of features.
    wide_count : int
        That number.
    """

    S: float
    name: str
    loss: float
    D_star: float
    levels: tuple[tuple[float, int], ...]
    wide_loss: float
    wide_D_star: float
    wide_count: int

    @property
    def margin(self) -> float:
        """By how much the many-features solution costs more than the mixture, relative."""
        return self.wide_loss / self.loss - 1.0 if self.loss > 0.0 else math.inf


_HELD: dict[tuple[int, int, float, str], Stair] = {}


def stairs(n: int, d: int, S: Sequence[float], law: str) -> tuple[Stair, ...]:
    """What theory says at each S, from the cache or computed (about a second each at (400, 30)).

    Parameters
    ----------
    n, d : int
        n > d.
    S : sequence of float
        In (0, 1].
    law : {"binary", "uniform"}

    Raises
    ------
    BadInput
        If n <= d or the law has no blocks.
    """
    if n <= d or law not in ("binary", "uniform"):
        raise BadInput(f"n = {n}, d = {d}, law = {law!r}: give n > d and binary or uniform")
    asked = [(n, d, float(s), law) for s in S]
    missing = []
    for one in dict.fromkeys(asked):
        if one not in _HELD and (kept := cache.read(_question(one))) is not None:
            values = dict(kept["stair"])
            values["levels"] = tuple((float(D), int(k)) for D, k in values["levels"])
            _HELD[one] = Stair(**values)
        if one not in _HELD:
            missing.append(one)
    if missing:
        for one, stair in zip(
            missing, _computed(n, d, [s for _, _, s, _ in missing], law), strict=True
        ):
            _HELD[one] = stair
            cache.write(_question(one), {"stair": asdict(stair)})
    return tuple(_HELD[one] for one in asked)


def _question(one: tuple[int, int, float, str]) -> dict[str, Any]:
    n, d, S, law = one
    return {"verb": "validated staircase", "n": n, "d": d, "S": S, "law": law}


def _computed(n: int, d: int, S: Sequence[float], law: str) -> Iterator[Stair]:
    """`theory.mixtures.staircase` with the losses of all blocks at all S at once."""
    table, at = fitting(n, d, law), np.array(S)
    known = losses(table, at, law)
    count = np.arange(d, n + 1)
    for i, s in enumerate(S):
        best = best_among(n, d, s, law, table, known[:, i])
        square, levels = float(best.dedicated), [(1.0, best.dedicated)] * (best.dedicated > 0)
        for name, many in best.parts:
            total, each = block_norms(name, s, law)
            square += many * total
            levels += [(float(D), many * k) for D, k in each]
        setting = Setting(n=n, d=d, S=s, law=law)
        keep_mixture(setting, best)
        variance = float(setting.features.variance[0])
        loss, norm, _ = many_losses(count / d, [s], law)
        wide = count * loss + (n - count) * variance
        k = int(np.argmin(wide))
        yield Stair(
            S=s,
            name=best.name,
            loss=best.loss,
            D_star=d / square if square > 0.0 else math.inf,
            levels=tuple(sorted(levels, reverse=True)),
            wide_loss=float(wide[k]),
            wide_D_star=d / float(count[k] * norm[k]),
            wide_count=int(count[k]),
        )


def limit_loss(n: int, d: int, S: float, law: str) -> float:
    """n times the loss per feature of the best blocks for n, d -> infinity at the same d/n.

    What blocks could save if the d dimensions held fractions of them; no bound at n and d. A few
    seconds, kept.
    """
    question = {"verb": "validated limit", "n": n, "d": d, "S": S, "law": law}
    kept = cache.read(question)
    value = kept["loss"] if kept is not None else envelope(d / n, S, law, many=False)[1]
    if kept is None:
        cache.write(question, {"loss": value})
    return n * float(value)


def rows_of(name: str, law: str) -> list[tuple[tuple[float, int], ...]]:
    """Cosines of the blocks of a mixture, with their counts."""
    known = {block.name: block.row for block in blocks(law)}
    names = dict.fromkeys(block for _, block in parts_of(name))
    wanted = [one for one in names if one not in ("ignored", "dedicated")]
    return [((PAIRS[one], 1),) if one in PAIRS else known[one] for one in wanted]


# --- trained models: how far above the mixture, on which levels, in which blocks ---
#
# A model has a gap, loss / loss of the mixture - 1; a share of represented features whose D_i lies
# within NEAR of a level of the mixture; and a share whose cosines are those of one of its blocks.
# The last is needed because D_i alone says little: in any tight frame of N equal norms D_i = d/N,
# so 60 directions in 30 dimensions that are tight show 1/2 without a single pair. Both shares are
# measured on random matrices too, the control. Clusters say which blocks there are, whether or not
# the mixture has them, and by how much they overlap. Only "this model costs less than the mixture"
# is a fact, up to its error bound; all else is numerical.


NEAR = 0.02
"""Distance in D_i at which a feature counts as on a level: levels of small blocks (3/4, 2/3, 1/2,
2/5, 3/8, 5/16) are 0.025 to 0.17 apart."""

EXPLAINED = 0.95
"""A feature is in a block if the block's cosines explain this part of its squared cosines."""

LINKED = 0.25
"""|cosine| from which two features count as neighbours in a cluster: inside small blocks cosines
are larger, between trained blocks they stay below 0.2."""

CHANCE, PURPOSE = 2, 3
"""Random matrices of each kind beside a model, and the purpose of their numbers."""


@dataclass(frozen=True, eq=False)
class Landed:
    """A trained model beside the prediction.

    Parameters
    ----------
    stair : Stair
    seed : int
    loss, error_bound, gap : float
        Exact loss, its error bound, and loss / loss of the mixture - 1.
    simulated, standard_error : float
        The same loss from fresh samples.
    D_star : float
    dimensionality : (N,) array
        D_i of the represented features.
    on_level, in_block : float
        Shares of the represented features.
    chance_level, chance_block : (float, float)
        The same of random matrices of as many features: Gaussian, and a tight frame.
    clusters : tuple of (size, rank, count)
        Represented features joined by cosines beyond LINKED, the largest first.
    """

    stair: Stair
    seed: int
    loss: float
    error_bound: float
    gap: float
    simulated: float
    standard_error: float
    D_star: float
    dimensionality: Float
    on_level: float
    in_block: float
    chance_level: tuple[float, float]
    chance_block: tuple[float, float]
    clusters: tuple[tuple[int, int, int], ...]

    @property
    def dimensions(self) -> int:
        """Dimensions that the clusters would need if each had its own: beyond d, they overlap."""
        return sum(rank * count for _, rank, count in self.clusters)

    @property
    def below(self) -> bool:
        """Whether it costs less than the mixture for certain."""
        return self.loss + self.error_bound < self.stair.loss * (1.0 - 1e-9)


@dataclass(frozen=True, eq=False)
class Place:
    """The trained models at one S, that of least loss first."""

    stair: Stair
    models: tuple[Model, ...]
    landed: tuple[Landed, ...]

    @property
    def best(self) -> Landed:
        return self.landed[0]

    @property
    def name(self) -> str:
        return f"S = {self.stair.S:.4g}"


_SEEN: WeakKeyDictionary[Book, dict[str, tuple[Place, ...]]] = WeakKeyDictionary()


def places(book: Book, law: str) -> tuple[Place, ...]:
    """Models of a suite under one law, S falling.

    Raises
    ------
    BadInput
        If the suite has no such cells, or of several shapes.
    """
    held = _SEEN.setdefault(book, {})
    if law not in held:
        cells = [cell for cell in book.suite.cells if cell.setting.law == law]
        if len({(cell.setting.n, cell.setting.d) for cell in cells}) != 1:
            raise BadInput(f"a staircase needs cells of one n and d under the {law} law: add them")
        found = []
        for cell in cells:
            pairs = [(landed(model), model) for model in book.samples[cell.name].models]
            pairs.sort(key=lambda pair: pair[0].loss)
            both = tuple(m for _, m in pairs), tuple(one for one, _ in pairs)
            found.append(Place(pairs[0][0].stair, *both))
        held[law] = tuple(sorted(found, key=lambda place: -place.stair.S))
    return held[law]


def landed(model: Model) -> Landed:
    """A trained model of equal S and importance beside the prediction.

    Raises
    ------
    BadInput
        If features differ, or the model has no exact loss.
    """
    trained, measured = model
    setting = trained.run.setting
    stair = stairs(setting.n, setting.d, [one_S(setting)], setting.law)[0]
    if measured.loss is None:
        raise BadInput(f"the model of seed {trained.run.seed} has no exact loss: leave it out")
    live = represented(setting, trained.W)
    W, rng = trained.W[:, live], generator(trained.run.key, PURPOSE)
    rows = rows_of(stair.name, setting.law)
    levels = [D for D, _ in stair.levels]
    chance = []
    for make in (gaussian, tight):
        drawn = [make(setting.d, W.shape[1], rng) for _ in range(CHANCE)]
        chance.append(
            (
                float(np.mean([on_level(dimensionality(V), levels) for V in drawn])),
                float(np.mean([in_blocks(V, rows) for V in drawn])),
            )
        )
    D = measured.dimensionality[live]
    return Landed(
        stair=stair,
        seed=trained.run.seed,
        loss=measured.loss,
        error_bound=measured.error_bound or 0.0,
        gap=measured.loss / stair.loss - 1.0 if stair.loss > 0.0 else np.inf,
        simulated=measured.simulated,
        standard_error=measured.standard_error,
        D_star=measured.d_star,
        dimensionality=D,
        on_level=on_level(D, levels),
        in_block=in_blocks(W, rows),
        chance_level=(chance[0][0], chance[1][0]),
        chance_block=(chance[0][1], chance[1][1]),
        clusters=clusters(W),
    )


def on_level(D: Float, levels: Sequence[float]) -> float:
    """Share of dimensionalities (N,) within NEAR of one of the levels."""
    if not len(D) or not len(levels):
        return 0.0
    off = np.abs(np.asarray(D)[:, None] - np.asarray(levels)[None, :])
    return float(np.mean(off.min(axis=1) <= NEAR))


def in_blocks(W: Float, rows: Sequence[Sequence[tuple[float, int]]]) -> float:
    """Share of the columns of W (d, N) whose cosines are those of one of the rows.

    The N - 1 cosines of a column are sorted and compared with a row's, zeros added: the squared
    distance must not exceed 1 - EXPLAINED of the row's own sum of squares. A row of several cosines
    that fits is found whatever else the model holds; orthogonal blocks need not be told apart.
    """
    N = W.shape[1]
    if N < 2 or not rows:
        return 0.0
    V = W / np.maximum(np.linalg.norm(W, axis=0), 1e-300)
    C = np.sort((V.T @ V)[~np.eye(N, dtype=bool)].reshape(N, N - 1), axis=1)
    found = np.zeros(N, dtype=bool)
    for row in rows:
        cosines = np.concatenate([np.full(m, c) for c, m in row])
        if len(cosines) > N - 1:
            continue
        whole = np.sort(np.concatenate([cosines, np.zeros(N - 1 - len(cosines))]))
        off = np.sum((C - whole) ** 2, axis=1)
        found |= off <= (1.0 - EXPLAINED) * float(np.sum(cosines**2))
    return float(np.mean(found))


def clusters(W: Float) -> tuple[tuple[int, int, int], ...]:
    """Columns of W (d, N) joined by |cosines| beyond LINKED: (size, rank, count), largest first.

    The rank counts eigenvalues above 1/2 of a cluster's unit vectors; those of a tight block of n
    vectors in d dimensions are n/d.
    """
    if W.shape[1] == 0:
        return ()
    V = W / np.maximum(np.linalg.norm(W, axis=0), 1e-300)
    C = V.T @ V
    many, label = connected_components(np.abs(C) > LINKED, directed=False)
    found: dict[tuple[int, int], int] = {}
    for k in range(many):
        inside = np.flatnonzero(label == k)
        values = np.linalg.eigvalsh(C[np.ix_(inside, inside)])
        shape = (len(inside), int(np.sum(values > 0.5)))
        found[shape] = found.get(shape, 0) + 1
    return tuple((n, d, count) for (n, d), count in sorted(found.items(), reverse=True))


def dimensionality(W: Float) -> Float:
    """D_i = |W_i|^2 / sum_j (w_i . W_j)^2 of the columns of W (d, N), w_i = W_i / |W_i|."""
    G = W.T @ W
    return np.asarray(np.diag(G) ** 2 / np.maximum(np.sum(G * G, axis=1), 1e-300))


def gaussian(d: int, N: int, rng: np.random.Generator) -> Float:
    """N random vectors in R^d; neither shares depends on their scale, so on their D*."""
    return rng.standard_normal((d, N))


def tight(d: int, N: int, rng: np.random.Generator) -> Float:
    """A random tight frame of N unit vectors in R^d (of N orthonormal ones, if N < d).

    Alternating projections (Tropp, Dhillon, Heath and Strohmer 2005): the nearest tight frame,
    then unit norms, which ends at D_i = d/N for every feature.
    """
    V = gaussian(d, N, rng)
    for _ in range(100):
        u, _, v = np.linalg.svd(V, full_matrices=False)
        V = u @ v
        V = V / np.linalg.norm(V, axis=0)
    return V


# --- the picture: predicted D_i and D*, trained D* and the D_i of every feature ---
#
# Above, dimensions per feature against 1/S: a short line for each block of the best mixture at its
# D_i, dots for the represented features of the trained models, spread sideways inside their S.
# Below, the gap of each model to the mixture's loss, beside that of the many-features solution.


NAMED = {
    "tetrahedron 3/4": 3 / 4,
    "triangle 2/3": 2 / 3,
    "digon 1/2": 1 / 2,
    "pentagon 2/5": 2 / 5,
    "square antiprism 3/8": 3 / 8,
    "5-demicube 5/16": 5 / 16,
    "icosahedron 1/4": 1 / 4,
    "Higman-Sims 11/50": 11 / 50,
    "GQ(3,9) 3/16": 3 / 16,
    "U4(3) 7/54": 7 / 54,
}
"""Levels with a name at the edge of the picture."""

BETWEEN = 2
"""Further S predicted between two trained ones."""


def draw(found: Sequence[Place], between: int = 0) -> Figure:
    """The picture; with ``between`` further S predicted between two neighbouring trained ones."""
    setting = found[0].models[0][0].run.setting
    n, d, law = setting.n, setting.d, setting.law
    steps = _predicted(found, between)
    figure = new_figure(11.0, 8.6)
    grid = figure.add_gridspec(2, 1, height_ratios=[3.4, 1.0])
    top = figure.add_subplot(grid[0])
    low = figure.add_subplot(grid[1], sharex=top)
    _levels(top, steps)
    rng = np.random.default_rng(0)
    for place, (left, right) in zip(found, _spans([p.stair.S for p in found]), strict=True):
        for one in place.landed:
            at = np.exp(
                rng.uniform(0.75 * np.log(left), 0.75 * np.log(right), one.dimensionality.size)
            )
            top.plot(at / place.stair.S, one.dimensionality, ".", color=ORANGE, ms=2.6, alpha=0.35)
    along = [1.0 / stair.S for stair in steps]
    top.plot(along, [stair.wide_D_star for stair in steps], "--", color=GREY, lw=1.3)
    top.plot(along, [stair.D_star for stair in steps], color="black", lw=1.4)
    for place in found:
        for one in place.landed:
            top.plot(
                1.0 / place.stair.S, one.D_star, "D", color=GREEN, ms=5.0, mec="white", mew=0.5
            )
            low.plot(1.0 / place.stair.S, 100.0 * one.gap, "D", color=GREEN, ms=4.0)
    low.plot(along, [100.0 * stair.margin for stair in steps], "--", color=GREY, lw=1.3)
    low.axhline(0.0, color="black", lw=1.4)
    _axes(top, low, along, d / n)
    figure.suptitle(
        f"Dimensions per feature, n = {n}, d = {d}, {law} values, equal importance: "
        "best known mixtures and trained models",
        size=12,
    )
    figure.legend(
        handles=_handles(), loc="outside lower center", ncols=3, frameon=False, fontsize=9
    )
    return figure


def _predicted(found: Sequence[Place], between: int) -> list[Stair]:
    """The predictions of the trained S, and of those between."""
    if not between or len(found) < 2:
        return [place.stair for place in found]

    setting = found[0].models[0][0].run.setting
    S = np.log([place.stair.S for place in found])
    at = np.interp(
        np.arange((len(S) - 1) * (between + 1) + 1) / (between + 1), np.arange(len(S)), S
    )
    fine = np.exp(at)
    fine[:: between + 1] = [place.stair.S for place in found]
    return list(stairs(setting.n, setting.d, fine.tolist(), setting.law))


def _spans(S: Sequence[float]) -> list[tuple[float, float]]:
    """Half-way to the neighbours of each S, as factors of 1/S."""
    if len(S) < 2:
        return [(1.0 / 1.05, 1.05)] * len(S)
    x = np.log(1.0 / np.asarray(S))
    middle = 0.5 * (x[1:] + x[:-1])
    edges = np.concatenate([[2.0 * x[0] - middle[0]], middle, [2.0 * x[-1] - middle[-1]]])
    return [
        (float(np.exp(a - c)), float(np.exp(b - c)))
        for a, b, c in zip(edges[:-1], edges[1:], x, strict=True)
    ]


def _levels(axes: Axes, steps: Sequence[Stair]) -> None:
    """A line for each D_i of each mixture, broad where many features have it."""
    for stair, (left, right) in zip(steps, _spans([s.S for s in steps]), strict=True):
        total = sum(count for _, count in stair.levels) or 1
        for D, count in stair.levels:
            x = np.array([left, right]) / stair.S
            axes.plot(
                x,
                [D, D],
                color=BLUE,
                lw=1.5 + 5.0 * count / total,
                alpha=0.45,
                solid_capstyle="butt",
            )


def _axes(top: Axes, low: Axes, x: Sequence[float], least: float) -> None:
    for text, D in NAMED.items():
        top.axhline(D, color=GREY, lw=0.5, ls=":")
        top.text(1.005, D, text, transform=top.get_yaxis_transform(), size=7.5, va="center")
    top.axhline(least, color=GREY, lw=0.8, ls="-.")
    top.text(
        1.005, least, "all at once, d/n", transform=top.get_yaxis_transform(), size=7.5, va="center"
    )
    top.set_ylim(0.0, 1.12)
    top.set_ylabel("dimensions per feature")
    low.set_ylabel("loss above\nthe mixture, %")
    low.set_xlabel("1/S")
    first, last = x[0] / 1.05, x[-1] * 1.05
    top.set_xscale("log")
    top.set_xlim(first, last)
    low.xaxis.set_major_locator(FixedLocator(ticks(first, last)))
    low.xaxis.set_minor_locator(NullLocator())
    low.xaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{t:g}"))
    low.xaxis.set_minor_formatter(NullFormatter())
    top.tick_params(labelbottom=False)
    other = top.secondary_xaxis("top")
    other.set_xticks(ticks(first, last))
    other.xaxis.set_minor_locator(NullLocator())
    other.xaxis.set_major_formatter(
        FuncFormatter(lambda t, _: f"{1.0 / t:.3g} ({1.0 - 1.0 / t:.3g})")
    )
    other.tick_params(labelsize=8)
    other.set_xlabel(
        "S, chance that a feature is on (1 − S, the sparsity of Elhage et al.)", size=9
    )
    for axes in (top, low):
        axes.spines[["right"]].set_visible(False)
    low.spines[["top"]].set_visible(False)


def _handles() -> list[Line2D]:
    return [
        Line2D([], [], color=BLUE, lw=4, alpha=0.45, label="D_i of the best mixture's blocks"),
        Line2D([], [], color="black", lw=1.4, label="D* = d/||W||² of the best mixture"),
        Line2D([], [], color=GREY, ls="--", label="many-features solution, best number"),
        Line2D([], [], color=ORANGE, marker=".", lw=0, label="D_i of every trained feature"),
        Line2D([], [], color=GREEN, marker="D", lw=0, label="D* and loss of trained models"),
    ]


# --- statements: does training of large models find what mixtures predict? ---
#
# at most    training stops at most GAP above the best mixture
# undercut   no trained model costs less than the best mixture, by more than DEFICIT
# followed   D* is that of the best mixture, within a tenth; wrong readings are rejected
# half       where D* is one half: the plateau of antipodal pairs
# blocks     nine in ten represented features are in a block of the mixture: its D_i, its cosines
#
# Theory's side is the best mixture, an upper bound: where the exact loss of a trained model lies
# below it (`theory.loss`, error bound included) theory itself says that the mixture is no optimum,
# and long simulations on fresh samples must say so too. Losses are exact, so a case has no
# interval: it is decided if all models of an S agree. All rules are in `claims`.


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

TIMES, CLAIM_PURPOSE, SURE = 16, 4, 4.0
"""Simulations of a model below the mixture, the purpose of their numbers, and the standard errors
it must lie below by: for 50 models all right with more than 99%."""

CONTROLLED = 8
"""Of the S, so many are predicted under wrong readings too."""


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
        ("the other law", [(p, p.stair.S) for p in some], OTHER_LAW[law]),
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


def in_blocks_claim(book: Book, law: str) -> Finding:
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
        picture=png(draw(found)),
    )


# --- parts ---


def decided(inside: Sequence[bool]) -> Verdict:
    """All models, none, or some."""
    return "agree" if all(inside) else "inconclusive" if any(inside) else "disagree"


def deviation(one: np.ndarray, other: np.ndarray) -> float:
    """Median of |ln(one / other)|, as a fraction."""
    return float(np.expm1(np.median(np.abs(np.log(one / other)))))


def simulated(model: Model) -> tuple[float, float]:
    """Loss on fresh samples and its standard error, from TIMES simulations."""
    trained = model[0]
    rng = generator(trained.run.key, CLAIM_PURPOSE)
    drawn = [simulate(trained.run.setting, trained.W, trained.b, rng) for _ in range(TIMES)]
    count = np.array([samples for _, _, samples in drawn], dtype=float)
    part = count / count.sum()
    value = float(np.sum(part * [mean for mean, _, _ in drawn]))
    return value, float(np.sqrt(np.sum((part * [error for _, error, _ in drawn]) ** 2)))


def _list(S: Sequence[float]) -> str:
    return ", ".join(f"{s:.3g}" for s in S) if S else "none"


CLAIMS: dict[str, Callable[[Book, str], Finding]] = {
    "staircase loss": at_most,
    "staircase undercut": undercut,
    "staircase D*": followed,
    "staircase half": half,
    "staircase blocks": in_blocks_claim,
}
"""The functions that judge, by the name that a suite gives (`studies.ledger`)."""


# --- the table of a store ---
#
# A row for each S, of its best model; further models of the same S stand behind a comma.


COLUMNS = (
    "S (1 − S)",
    "best mixture",
    "its D\\*",
    "trained D\\*",
    "gap",
    "blocks, n → ∞",
    "many features",
    "represented",
    "on a level",
    "random, tight",
    "in a block",
    "clusters",
    "",
)

SMALL, NAMED_ROWS = 16, 4
"""Features of the largest cluster that is a small block; kinds of clusters that are named."""


def kind(place: Place) -> str:
    """What is seen at one S, in a word.

    ``blocks``: those of the mixture. ``other blocks``: nine tenths of the dimensions are those of
    small clusters, ``overlapping`` where they have more than d together; half, ``partly blocks``.
    """
    best, d = place.best, place.models[0][0].run.setting.d
    small = sum(rank * count for n, rank, count in best.clusters if 1 < n <= SMALL)
    share = small / max(best.dimensions, 1)
    if min(best.on_level, best.in_block) >= MOST:
        word = "blocks"
    elif share >= MOST:
        word = "overlapping blocks" if best.dimensions > d else "other blocks"
    else:
        word = "partly blocks" if share >= 0.5 else "smeared"
    return f"{word}, below" if best.below else word


def clustered(place: Place) -> str:
    """``5 x 5 in 2``: clusters of the best model, single features left out."""
    parts = [
        f"{count} × {n} in {d}" if count > 1 else f"{n} in {d}"
        for n, d, count in place.best.clusters
        if n > 1
    ]
    more = [f"{len(parts) - NAMED_ROWS} more"] if len(parts) > NAMED_ROWS else []
    return ", ".join(parts[:NAMED_ROWS] + more) + f"; {place.best.dimensions} in all"


def rows(found: Sequence[Place]) -> list[list[str]]:
    """A row of words for each S."""
    out = []
    for place in found:
        stair, best, s = place.stair, place.best, place.models[0][0].run.setting
        chance = best.chance_level
        out.append(
            [
                f"{stair.S:.3g} ({1.0 - stair.S:.3g})",
                stair.name.rsplit(" + ", 1)[0] if stair.name.endswith("ignored") else stair.name,
                f"{stair.D_star:.3f}",
                ", ".join(f"{one.D_star:.3f}" for one in place.landed),
                ", ".join(f"{one.gap:+.2%}" for one in place.landed),
                f"{limit_loss(s.n, s.d, stair.S, s.law) / stair.loss - 1.0:+.2%}",
                f"{stair.margin:+.2%}",
                f"{len(best.dimensionality)} ({sum(count for _, count in stair.levels)})",
                f"{best.on_level:.0%}",
                f"{chance[0]:.0%}, {chance[1]:.0%}",
                f"{best.in_block:.0%}",
                clustered(place),
                kind(place),
            ]
        )
    return out


def summary(found: Sequence[Place]) -> list[str]:
    """What the table comes to, in sentences of numbers."""
    gap = np.array([place.best.gap for place in found])
    off = np.array([place.best.D_star / place.stair.D_star - 1.0 for place in found])
    wide = np.array([place.best.D_star / place.stair.wide_D_star - 1.0 for place in found])
    below = [place for place in found if place.best.below]
    blocks = [place for place in found if kind(place) == "blocks"]
    d = found[0].models[0][0].run.setting.d
    sums = [float(place.best.dimensionality.sum()) / d for place in found]
    return [
        f"S: {len(found)}, models: {sum(len(place.landed) for place in found)}",
        f"gap: median {np.median(gap):+.2%}, {gap.min():+.2%} to {gap.max():+.2%}",
        f"|D* / mixture - 1|: median {np.median(abs(off)):.1%}, largest {abs(off).max():.1%}",
        f"|D* / many features - 1|: median {np.median(abs(wide)):.1%}",
        f"sum of D_i of represented features over d: {min(sums):.4f} to {max(sums):.4f}",
        "blocks at S = " + ", ".join(f"{place.stair.S:.3g}" for place in blocks),
        "below the mixture at S = " + ", ".join(f"{place.stair.S:.3g}" for place in below),
    ]


__all__ = [
    "BETWEEN",
    "CLAIMS",
    "COLUMNS",
    "NAMED",
    "Landed",
    "Place",
    "Stair",
    "at_most",
    "clusters",
    "draw",
    "followed",
    "half",
    "in_blocks",
    "in_blocks_claim",
    "landed",
    "limit_loss",
    "on_level",
    "places",
    "rows_of",
    "stairs",
    "undercut",
]
