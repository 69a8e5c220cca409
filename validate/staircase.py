"""The staircase of large models: dimensions per feature against 1/S, as theory predicts it.

At (400, 30) nobody can search for the optimum. What theory has at each S is

    mixture   the best mixture of catalogue blocks (`theory.mixtures`): an upper bound on the least
              loss, with D* = d/|W|_F^2 and a dimensionality D_i for each of its blocks
    wide      N of the n features as the many-features solution in all d dimensions, N at its best,
              the others ignored: a limit, no bound

Numerical. Trained models are held against both in `staircase_trained`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from packing import cache
from packing.errors import BadInput
from theory.features import Float
from theory.mixtures import blocks, envelope
from theory.mixtures.compare import block_norms
from theory.mixtures.counts import binary_minimum
from theory.mixtures.many import many_losses
from theory.mixtures.mixture import best_among, fitting, losses
from theory.mixtures.transforms import uniform_minimum
from validate.named import blocks as parts_of
from validate.predict import Truth, min_angle
from validate.runs import Setting

PAIRS = {"uneven digon": -1.0, "parallel pair": 1.0}
"""Blocks of the binary law that are no rows of cosines of unit vectors at one norm."""


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
        variance = float(Setting(n=n, d=d, S=s, law=law).features.variance[0])
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


def plain(setting: Setting) -> float:
    """The one S of a setting of equal features.

    Raises
    ------
    BadInput
        If S or importance differ, or features are not independent.
    """
    if isinstance(setting.S, tuple) or setting.importance is not None or not setting.independent:
        raise BadInput("mixtures are for independent features of equal S and importance")
    return float(setting.S)


def rows_of(name: str, law: str) -> list[tuple[tuple[float, int], ...]]:
    """Cosines of the blocks of a mixture, with their counts."""
    known = {block.name: block.row for block in blocks(law)}
    names = dict.fromkeys(block for _, block in parts_of(name))
    wanted = [one for one in names if one not in ("ignored", "dedicated")]
    return [((PAIRS[one], 1),) if one in PAIRS else known[one] for one in wanted]


# --- the mixture as a model -----------------------------------------------------------------------


def weights(setting: Setting, stair: Stair) -> tuple[Float, Float]:
    """Weights (d, n) and biases (n,) of the best mixture: its blocks side by side.

    Raises
    ------
    BadInput
        For the pairs of unequal norms of the binary law, which have no one norm.
    """
    from packing.catalogue import entry

    minimum = binary_minimum if setting.law == "binary" else uniform_minimum
    known = {block.name: block.row for block in blocks(setting.law)}
    W, b = np.zeros((setting.d, setting.n)), setting.features.mean.copy()
    row = column = 0
    for count, name in parts_of(stair.name):
        if name in PAIRS:
            raise BadInput(f"{name!r} has two norms: it is not laid out here")
        if name == "ignored":
            column += count
            continue
        V, rho, bias = np.ones((1, 1)), 1.0, 0.0
        if name != "dedicated":
            V = entry(name).vectors
            _, norms, biases = minimum(known[name], np.array([stair.S]))
            rho, bias = float(norms[0]), float(biases[0])
        d, n = V.shape
        for _ in range(count):
            W[row : row + d, column : column + n] = np.sqrt(rho) * V
            b[column : column + n] = bias
            row, column = row + d, column + n
    return W, b


def bound(setting: Setting) -> Truth:
    """The best mixture as what theory says of a setting too large to search.

    Its loss is an upper bound, so ``rounding`` is infinite: no model can defeat it.
    """
    S = plain(setting)
    stair = stairs(setting.n, setting.d, [S], setting.law)[0]
    try:
        W, b = weights(setting, stair)
    except BadInput:  # no coordinates: the numbers stand
        W, b = np.zeros((setting.d, setting.n)), setting.features.mean.copy()
    from packing.arrangement import Arrangement

    shown = np.linalg.norm(W, axis=0) > 0.0
    return Truth(
        setting=setting,
        W=W,
        b=b,
        loss=stair.loss,
        rounding=float("inf"),
        represented=sum(count for _, count in stair.levels),
        d_star=stair.D_star,
        min_angle=min_angle(Arrangement.from_weights(W), shown),
        name=stair.name,
        status="mixture",
    )


__all__ = ["Stair", "bound", "limit_loss", "plain", "rows_of", "stairs", "weights"]
