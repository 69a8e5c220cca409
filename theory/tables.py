"""The tables of `packing table`: phases compared, in the same columns whatever the format.

candidate_table     the phases that compete at one S
law_table           the same phases under three laws, side by side
critical_table      S* and S_onset over a grid of n and d
phase_table         the ladder of mixtures beside that of true optima
gain_table          the catalogue by gain per dimension
surplus_table       where the best block for features in surplus changes

Every row says how it is known. Mixtures are upper bounds on the optimum either way ("best known":
over the catalogue's blocks, kept symmetric).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from packing import cache
from packing.catalogue import entry
from packing.errors import BadInput, NotReached
from packing.results import Evidence, Result, Table, plain, shown
from packing.types import Float, Progress, Telling
from theory.features import LAWS, Features, whole
from theory.ladders import S_MIN, Ladder, numerical_ladder
from theory.mixtures import MixtureLadder, blocks, gains, mixture_ladder, surplus_sequence
from theory.mixtures.block_table import checked
from theory.mixtures.candidates import (
    ENCLOSED,
    Certainty,
    largest_cosine,
    part,
    rival_mixtures,
    summed,
    weakest,
)
from theory.mixtures.comparison import spans
from theory.mixtures.mixture import Mixture, best_among, fitting, losses
from theory.optima import optimum

LARGEST = (400, 40)
"""Largest n and d of a table of S*."""

_SAME = 1e-9  # relative: losses this close are one phase's
_SAMPLES = 9  # S inside a phase at which its loss is compared with the best mixture
_NOISE = 1e-7  # relative: less is rounding and no saving


def both(key: str, S: float | None) -> dict[str, float | None]:
    """S under its key, and 1 - S, which stands wherever S does."""
    return {key: S, f"one_minus_{key}": None if S is None else 1.0 - S}


def chance(S: float | None) -> str:
    """S and 1 - S for people."""
    return "none" if S is None else f"{shown(S)} (1 - S = {shown(1.0 - S)})"


def _total(n: int, S: float, law: str) -> float:
    """The loss of ignoring every feature."""
    return n * float(Features.of(1, S, law).variance[0])


# Phases at one S.


def candidate_table(
    n: int,
    d: int,
    S: float,
    law: str = "binary",
    *,
    most: int = 12,
    optimal: bool = True,
    seed: int = 0,
    starts: int | None = None,
    progress: Progress | None = None,
) -> Table:
    """Every candidate phase of n features in d dimensions at one S, the cheapest first.

    For each block of the catalogue that fits, the best mixture that holds it, the best mixtures
    without the winner's blocks, and the numerical optimum as a row of its own: loss, capacity,
    interference, features represented, D*, largest cosine, and what the next phase costs more.

    Parameters
    ----------
    n, d : int
    S : float
        Chance that a feature is on, in (0, 1].
    law : {"binary", "uniform", "exponential"}
        The last without exact forms: numerical, small blocks only.
    most : int
        Mixtures listed at most.
    optimal : bool
        Search for the optimum too (`theory.optimum`), with seed and starts.

    Returns
    -------
    Table
        `share` is of the loss of ignoring everything, `margin` what the next phase costs more.
        Mixtures: proved, enclosed or numerical for blocks kept symmetric, so upper bounds on the
        optimum; the optimum, which may be irregular and lower than every mixture: numerical.

    Raises
    ------
    BadInput
        If an argument is out of range or the law has no blocks.
    """
    rows: list[dict[str, Any]] = [
        {"phase": m.name, "of": "mixture", "represented": m.represented, **vars(summed(m))}
        for m in rival_mixtures(n, d, S, law, most)
    ]
    if optimal:
        rows.append(_optimum(n, d, S, law, seed, starts, progress))
    rows.sort(key=lambda row: float(row["loss"]))
    total = _total(n, S, law)
    for i, row in enumerate(rows):
        row |= both("S", S)
        row.setdefault("interference", row["loss"] - row["capacity"])
        if total == 0.0:  # inputs are constant: any norms with the right biases lose nothing
            row |= dict.fromkeys(("capacity", "interference", "D_star", "max_cosine"))
        following = [x["loss"] for x in rows[i + 1 :] if x["loss"] > row["loss"] * (1.0 + _SAME)]
        row["margin"] = following[0] / row["loss"] - 1.0 if following and row["loss"] > 0 else None
        row["share"] = row["loss"] / total if total > 0 else None
    title = f"Candidate phases, n = {n}, d = {d}, S = {chance(S)}, law {law}"
    digits = {"share": 6, "D_star": 6, "max_cosine": 6, "margin": 3}
    columns = (
        *("phase", "of", "loss", "share", "capacity", "interference", "represented", "D_star"),
        *("max_cosine", "margin", "S", "one_minus_S", "known"),
    )
    return Table.of(title, rows, digits, columns)


def _optimum(
    n: int,
    d: int,
    S: float,
    law: str,
    seed: int,
    starts: int | None,
    progress: Progress | None,
) -> dict[str, Any]:
    found = optimum(Features.of(n, S, law), d, seed=seed, starts=starts, progress=progress)
    proved = found.evidence is Evidence.PROVED
    return {
        "phase": found.name,
        "of": "optimum",
        "loss": found.loss.total,
        "capacity": found.loss.capacity,
        "interference": found.loss.interference,
        "represented": found.represented,
        "D_star": found.D_star if np.isfinite(found.D_star) else None,
        "max_cosine": largest_cosine(found.W),
        "known": Evidence.PROVED if proved else Evidence.NUMERICAL,
    }


def law_table(
    n: int,
    d: int,
    S: float,
    *,
    most: int = 6,
    optimal: bool = True,
    seed: int = 0,
    starts: int | None = None,
    progress: Progress | None = None,
) -> Table:
    """The same phases under the binary, the uniform and the exponential law, side by side.

    Rows are the best mixtures under the binary and the uniform law and, if asked for, the numerical
    optimum of each law. Losses of different laws do not compare; their shares of the loss of
    ignoring every feature do. Mixtures have no blocks of their own under the exponential law: there
    norm and bias are found by search (numerical).

    Parameters
    ----------
    n, d, S, seed, starts
        As for `candidate_table`.
    most : int
        Mixtures taken from each of the two laws.
    optimal : bool
        Search for the optimum under each law.

    Returns
    -------
    Table
        Optima first; None where a phase does not exist under a law; known: the weakest of the row.

    Raises
    ------
    BadInput
        If an argument is out of range.
    """
    total = {law: _total(n, S, law) for law in LAWS}

    def row(
        phase: str, of: str, represented: int, loss: dict[str, float], known: Evidence
    ) -> dict[str, Any]:
        share = {law: loss[law] / total[law] if total[law] > 0 else None for law in loss}
        return {
            "phase": phase,
            "of": of,
            "represented": represented,
            **{f"loss_{law}": loss.get(law) for law in LAWS},
            **{f"share_{law}": share.get(law) for law in LAWS},
            **both("S", S),
            "known": known,
        }

    chosen: dict[Any, Mixture] = {}
    for law in ("binary", "uniform"):
        for m in rival_mixtures(n, d, S, law, most):
            chosen.setdefault((m.parts, m.dedicated, m.ignored), m)
    rows = []
    for k, m in enumerate(chosen.values()):
        if progress is not None:
            progress("mixtures", k / len(chosen))
        sums = {}
        for law in LAWS:
            try:
                sums[law] = summed(m, law)
            except (BadInput, NotReached):
                continue
        cost = {law: one.loss for law, one in sums.items()}
        known = weakest(one.known for one in sums.values())
        rows.append(row(m.name, "mixture", m.represented, cost, known))
    for law in LAWS if optimal else ():
        best = _optimum(n, d, S, law, seed, starts, progress)
        loss = {law: best["loss"]}
        rows.append(row(best["phase"], f"optimum, {law}", best["represented"], loss, best["known"]))

    def order(row: dict[str, Any]) -> tuple[bool, float]:
        shares = (row[f"share_{law}"] or 0.0 for law in LAWS if row[f"loss_{law}"] is not None)
        return row["of"] == "mixture", min(shares)

    title = f"Phases under three laws, n = {n}, d = {d}, S = {chance(S)}; share: of ignoring all"
    rows.sort(key=order)
    return Table.of(title, rows, {key: 8 if "loss" in key else 5 for key in rows[0] if "_" in key})


# S* over a grid of n and d.


def critical_table(
    sizes: Sequence[int],
    dimensions: Sequence[int],
    laws: Sequence[str] = ("binary", "uniform"),
    *,
    S_min: float = 1e-3,
    optimal: bool = False,
    keep: bool = True,
    progress: Progress | None = None,
) -> Table:
    """S* and S_onset of the best mixture of blocks for every n and d, and how they are known.

    S* is the largest S below which the best mixture of catalogue blocks ignores no feature; S_onset
    the same for more than d features. The true optimum may be irregular and lower than any mixture,
    so a mixture's S* bounds nothing by itself: the column of the optimum says where one is known.

    Parameters
    ----------
    sizes, dimensions : sequences of int
        The n and the d of the table.
    laws : sequence of {"binary", "uniform"}
    S_min : float
        Nothing is looked for below, in (0, 0.05].
    optimal : bool
        Search for the ladder of optima where the cache has none.
    keep : bool
        Read and write the cache.

    Returns
    -------
    Table
        By law, d and n; `sparser` and `denser` are the mixtures just below and just above S*. For
        d >= n every feature has a dimension of its own and S* is 1 (proved).

    Raises
    ------
    BadInput
        If a size is no positive whole number, beyond LARGEST, a law
        has no blocks, or S_min is out of range.
    """
    if not 0.0 < S_min <= 0.05:
        raise BadInput(f"S-min = {S_min:g} is out of range: give a number in (0, 0.05]")
    sizes = sorted({whole(n, "n") for n in sizes})
    dimensions = sorted({whole(d, "d") for d in dimensions})
    cells = [(n, d) for d in dimensions for n in sizes]
    crowded = [(n, d) for n, d in cells if d < n]
    large, deep = (max((cell[axis] for cell in crowded), default=1) for axis in (0, 1))
    if large > LARGEST[0] or deep > LARGEST[1]:
        raise BadInput(
            f"n = {large}, d = {deep}: this table ends at n = {LARGEST[0]}, d = {LARGEST[1]}; "
            "`packing table phases` has the ladder of one n and d of any size"
        )
    rows = []
    for k, law in enumerate(laws):
        certain = Certainty()
        for i, (n, d) in enumerate(cells):
            if progress is not None:
                progress(law, (k + i / len(cells)) / len(laws))
            mixed = mixture_ladder(n, d, law, S_min=S_min)
            sparser, denser, known = _change(mixed, mixed.S_star, certain)
            best = numerical_ladder(n, d, law, search=optimal, keep=keep, progress=progress)
            S_star = None if best is None else best.S_star
            rows.append(
                {
                    "law": law,
                    "n": n,
                    "d": d,
                    **both("S_star", mixed.S_star),
                    **both("S_onset", mixed.S_onset),
                    "sparser": sparser,
                    "denser": denser,
                    "known": known,
                    "known_onset": _change(mixed, mixed.S_onset, certain)[2],
                    "optimum_S_star": S_star,
                    "optimum_one_minus_S_star": None if S_star is None else 1.0 - S_star,
                }
            )
    title = (
        f"S* and S_onset of the best mixture of blocks, S from {shown(S_min)} (not of the "
        "optimum: its own column)"
    )
    return Table.of(title, rows, {key: 8 for key in rows[0] if "S" in key})


def _change(
    ladder: MixtureLadder, S: float | None, certain: Certainty
) -> tuple[str, str, Evidence]:
    """The mixtures just below and above S, and how a change there is known."""
    for change in ladder.crossings:
        if change.S == S:
            known = certain.of(change.sparser, change.denser, change.S)
            return change.sparser.name, change.denser.name, known
    only = ladder.phases[0 if S == 1.0 else -1].name
    return only, only, Evidence.PROVED if ladder.d >= ladder.n else Evidence.NUMERICAL


# The ladder of best mixtures beside that of true optima.


@dataclass(frozen=True, repr=False)
class Phases(Result):
    """Two ladders of one n, d and law: of best mixtures, and of true optima where it is known.

    Parameters
    ----------
    mixtures : MixtureLadder
    optimum : Ladder or None
    table : Table
        One row per phase, S falling within each ladder: where it is best, features represented,
        irregular (no name of the catalogue fits), saves (optimum: by which share it costs less than
        the best mixture, at most), known (of the change at S_low).
    """

    mixtures: MixtureLadder
    optimum: Ladder | None
    table: Table

    def _values(self) -> dict[str, Any]:
        ladder, optimum = self.mixtures, self.optimum
        return {
            "kind": "ladder",
            "n": ladder.n,
            "d": ladder.d,
            "law": ladder.law,
            **both("S_star", ladder.S_star),
            **both("S_onset", ladder.S_onset),
            **both("optimum_S_star", None if optimum is None else optimum.S_star),
            "rows": self.table.records,
        }

    def _facts(self) -> list[tuple[str, str]]:
        optimum = self.optimum
        return [
            ("S* of mixtures", chance(self.mixtures.S_star)),
            ("S* of the optimum", chance(None if optimum is None else optimum.S_star)),
            ("S_onset of mixtures", chance(self.mixtures.S_onset)),
        ]

    def _tables(self) -> list[Table]:
        return [self.table]

    def plot(self, ax: Any = None) -> Any:
        """Draw the losses of both ladders against S into the axes, which are returned."""
        from theory.plotting import plot_losses

        return plot_losses(self.mixtures, self.optimum, ax)


def phase_table(
    n: int,
    d: int,
    law: str = "binary",
    *,
    optimal: bool = False,
    keep: bool = True,
    exact: bool = False,
    progress: Progress | None = None,
) -> Phases:
    """The phases of n features in d dimensions as S falls: best mixtures, and true optima.

    Best mixtures of catalogue blocks come at any size; the true optima are shown where they are
    known from `packing critical`, or searched for with --optimum. Irregular optima are named so,
    with the share that they save against the best mixture.

    Parameters
    ----------
    n, d : int
    law : {"binary", "uniform", "exponential"}
        The last without exact forms: numerical, small blocks only.
    optimal : bool
        Search for the ladder of optima where the cache has none.
    keep : bool
        Read and write the cache.
    exact : bool
        Enclose every change of mixtures that has formulas, which may take minutes; otherwise only
        where few small blocks change, for a few seconds.

    Returns
    -------
    Phases

    Raises
    ------
    BadInput
        If an argument is out of range or the law has no blocks.
    """
    mixed = mixture_ladder(n, d, law, S_min=S_MIN, progress=progress)
    certain = Certainty(exact)
    rows = []
    for i, (phase, high, low) in enumerate(spans(mixed)):
        known = Evidence.PROVED if mixed.d >= mixed.n else Evidence.NUMERICAL
        if i < len(mixed.crossings):
            if progress is not None:
                progress("enclosures", i / len(mixed.crossings))
            change = mixed.crossings[i]
            known = certain.of(change.sparser, change.denser, change.S)
        rows.append(_phase("mixtures", phase.name, high, low, phase.represented, None, known))
    found = numerical_ladder(n, d, law, search=optimal, keep=keep, progress=progress)
    if found is not None:
        known = found.evidence
        for phase, high, low in spans(found):
            inside = np.flatnonzero((low <= phase.S) & (high >= phase.S))
            count = int(phase.represented[inside[len(inside) // 2]]) if inside.size else 0
            saves = _saving(found, law, phase.S[inside], phase.loss[inside])
            rows.append(_phase("optimum", phase.name, high, low, count, saves, known))
    title = f"Phases from S = 1 down to {S_MIN:g}, n = {n}, d = {d}, law {law}"
    return Phases(mixed, found, Table.of(title, rows, {"saves": 3}))


def _phase(
    ladder: str,
    phase: str,
    high: float,
    low: float,
    represented: int,
    saves: float | None,
    known: Evidence,
) -> dict[str, Any]:
    return {
        "ladder": ladder,
        "phase": phase,
        "S_high": high,
        "S_low": low,
        "one_minus_S_high": 1.0 - high,
        "one_minus_S_low": 1.0 - low,
        "represented": represented,
        "irregular": "irregular" in phase,
        "saves": saves,
        "known": known,
    }


def _saving(ladder: Ladder, law: str, S: Float, loss: Float) -> float | None:
    """The largest share by which a branch costs less than the best mixture; 0 where it does not."""
    if law not in ("binary", "uniform"):
        return None
    S, loss = S[S < 1.0], loss[S < 1.0]
    step = max(1, S.size // _SAMPLES)
    S, loss = S[::step], loss[::step]
    table = fitting(ladder.n, ladder.d, law)
    known = losses(table, S, law)
    most = 0.0
    for i, (s, least) in enumerate(zip(S.tolist(), loss.tolist(), strict=True)):
        mixed = best_among(ladder.n, ladder.d, s, law, table, known[:, i]).loss
        if mixed > 0.0:
            most = max(most, 1.0 - least / mixed)
    return most if most > _NOISE else 0.0


# The catalogue for features in surplus: the best block is the one of largest gain per dimension.


def gain_table(
    S: Sequence[float] = (0.3, 0.1, 0.03, 0.01),
    law: str = "binary",
    *,
    most: int | None = 15,
    progress: Progress | None = None,
) -> Table:
    """The catalogue by gain per dimension at several S.

    The gain is what a block saves against ignoring its features, divided by its dimensions; with
    features in surplus the block of largest gain is best.

    Parameters
    ----------
    S : sequence of float
        Chances that a feature is on, in (0, 1].
    law : {"binary", "uniform"}
    most : int or None
        Blocks listed at each S; None for all.

    Returns
    -------
    Table
        `cosines` are those with the other features, `share` is of the largest gain at that S;
        proved (binary) or enclosed (uniform) for small blocks.

    Raises
    ------
    BadInput
        If S is no probability or the law has no blocks.
    """
    values = checked(list(S))
    with np.errstate(invalid="ignore"):  # at S = 1 binary inputs never vary
        found = gains(values, law)
    table = {b.name: b for b in blocks(law)}
    rows: list[dict[str, Any]] = []
    for i, s in enumerate(values.tolist()):
        if progress is not None:
            progress("blocks", i / values.size)
        column = {name: float(gain[i]) for name, gain in found.items() if np.isfinite(gain[i])}
        top: float | None = None
        for rank, name in enumerate(sorted(column, key=lambda x: -column[x])[:most], 1):
            block = table.get(name)
            gain, known = column[name], Evidence.NUMERICAL if block else Evidence.PROVED
            if block and block.row and block.n <= ENCLOSED[law] and s < 1.0:
                try:
                    one = part(name, s, law)
                    gain, known = (_total(block.n, s, law) - one.loss) / block.d, one.known
                except (BadInput, NotReached):
                    pass
            top = gain if top is None else top
            rows.append(
                {
                    **both("S", s),
                    "rank": rank,
                    "name": name,
                    "d": block.d if block else 1,
                    "n": block.n if block else 1,
                    "cosines": cosines(name) if block else None,
                    "gain": gain,
                    "share": gain / top if top > 0 else None,
                    "known": known,
                }
            )
    title = f"Blocks by gain per dimension, law {law}; share: of the largest gain at that S"
    return Table.of(title, rows, {"share": 6})


def cosines(name: str) -> str | None:
    """The row of cosines with the other features as text: ``-1/2 (2)``; None for unequal pairs."""
    try:
        rows = entry(name).rows
    except BadInput:
        return None
    return ", ".join(f"{cosine.text} ({many})" for cosine, many in rows[0][1])


def surplus_table(
    law: str = "binary",
    *,
    seconds: float = 10.0,
    keep: bool = True,
    progress: Telling | None = None,
) -> Table:
    """Where the best block for features in surplus changes as S falls, each S enclosed.

    Every S is the root of a polynomial (proved) or lies in an interval (enclosed); that no block is
    missing, and that no other is better between, is numerical. Large blocks take seconds each, so
    the answer is kept in the cache.

    Parameters
    ----------
    law : {"binary", "uniform"}
    seconds : float
        Processor time for each transition of large blocks, about; what is fixed by then is shown.
    keep : bool
        Read and write the cache.

    Returns
    -------
    Table

    Raises
    ------
    BadInput
        If the law has no blocks.
    """
    if law not in ("binary", "uniform"):
        raise BadInput(f"law = {law!r}: blocks are made for binary and uniform")
    question = {"verb": "table of surplus", "law": law, "seconds": seconds}
    kept = cache.read(question) if keep else None
    if kept is None:
        tell = progress or (lambda *told: None)
        tell("transitions", 0.0, "looking for them")
        done: list[str] = []

        def told(line: str) -> None:
            done.append(line)
            tell("transitions", len(done) / (len(done) + 6.0), line)

        rows = surplus_sequence.transition_rows(law, seconds=seconds, progress=told)
        kept = {"rows": plain([_with_complement(row) for row in rows])}
        if keep:
            cache.write(question, kept)
    title = f"Best known blocks for features in surplus, S falling, law {law}"
    columns = kept["rows"][0] if kept["rows"] else ("denser", "sparser", *both("S", None), "known")
    return Table.of(title, kept["rows"], columns=list(columns))


def _with_complement(row: dict[str, Any]) -> dict[str, Any]:
    """The row with 1 - S beside S and its evidence."""
    out: dict[str, Any] = {}
    for key, value in row.items():
        out |= both(key, value) if key == "S" else {key: value}
    return out | {"known": Evidence(row["known"])}
