"""Answers of the commands: what --json prints, and the same as tables for people.

The values are made once; the tables read them, so that both say the same. Keys are stable:
tests/schemas.py holds them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from packing.cli.app import (
    NOT_REACHED,
    OK,
    Number,
    Numbers,
    Verb,
    Whole,
    emit,
    facts,
    grid,
    note,
    number,
    options,
    progress_bar,
)
from packing.errors import BadInput, NotReached
from packing.files import check_target, replacing

if TYPE_CHECKING:
    from rich.console import RenderableType

    from theory.features import Features
    from theory.ladders import Ladder
    from theory.optima import Optimum

UNSETTLED = "unsettled"  # the status of an optimum short of what is promised: exit code 3
LONGEST = 240
"""Characters of a formula that is shown to people."""

SETTLED = ("complete", "exact")  # the statuses of a ladder that is not: all others exit with 3
_ROWS_SHOWN = 64  # features listed one by one for people; --json has them all


def loss_tables(v: dict[str, Any]) -> Iterator[RenderableType]:
    yield facts(
        [
            ("loss", f"{number(v['loss'])} +- {number(v['error_bound'], 2)}"),
            ("capacity", number(v["capacity"])),
            ("interference", number(v["interference"])),
            *_question_facts(v),
            ("weights", v["note"]),
            ("method", v["method"]),
        ]
    )
    if v["n"] <= _ROWS_SHOWN:
        rows = [[str(i), number(x)] for i, x in enumerate(v["per_feature"])]
        yield grid("Loss of each feature, importance included", ["feature", "loss"], rows)


def optimum_values(found: Optimum | None, d: int, said: str | None) -> dict[str, Any]:
    """The keys of the answer; all null where the search broke off with nothing in hand."""
    if found is None:
        keys = (
            "loss capacity interference W b name distortion blocks represented dimensionality "
            "status advice error_bound hits starts gradient_norm stable spectrum D_star per_feature"
        )
        return {**dict.fromkeys(keys.split()), "status": UNSETTLED, "advice": said}
    size = float((found.W**2).sum())
    return {
        "loss": found.loss.total,
        "capacity": found.loss.capacity,
        "interference": found.loss.interference,
        "W": found.W,
        "b": found.b,
        "name": found.name,
        "distortion": max((k.distortion or 0.0 for k in found.blocks), default=0.0),
        "blocks": [
            {"name": k.name, "features": k.features, "distortion": k.distortion}
            for k in found.blocks
        ],
        "represented": found.represented,
        "dimensionality": found.dimensionality,
        "status": found.status if said is None else UNSETTLED,
        "advice": found.advice if said is None else said,
        "error_bound": found.loss.error_bound,
        "hits": found.hits,
        "starts": found.starts,
        "gradient_norm": found.gradient_norm,
        "stable": found.stable,
        "spectrum": found.spectrum,
        "D_star": d / size if size > 0.0 else None,
        "per_feature": found.loss.per_feature,
    }


def optimum_tables(v: dict[str, Any]) -> Iterator[RenderableType]:
    from packing.recognition import with_distortion

    if v["W"] is None:
        yield facts([("status", v["status"]), *_question_facts(v)])
        return
    n, d = v["n"], v["d"]
    yield facts(
        [
            ("arrangement", with_distortion(v["name"], v["distortion"])),
            ("loss", f"{number(v['loss'])} +- {number(v['error_bound'], 2)}"),
            ("capacity", number(v["capacity"])),
            ("interference", number(v["interference"])),
            ("represented", f"{v['represented']} of {n} features in d = {d}"),
            ("D* = d/|W|^2", number(v["D_star"], 6)),
            *_question_facts(v),
            ("found by", f"{v['hits']} of {v['starts']} starts"),
            ("gradient", number(v["gradient_norm"], 2)),
            ("status", v["status"]),
            ("advice", v["advice"]),
        ]
    )
    if n > _ROWS_SHOWN:
        return
    block = {i: k["name"] for k in v["blocks"] for i in k["features"]}
    shown = d if d <= 4 else 0  # coordinates of more dimensions do not fit a line
    columns = ["feature", "block", "norm", "b", "D_i", "loss", *(f"W[{a}]" for a in range(shown))]
    rows = []
    for i in range(n):
        column = [row[i] for row in v["W"]]
        norm = sum(x * x for x in column) ** 0.5
        numbers = [norm, v["b"][i], v["dimensionality"][i], v["per_feature"][i]]
        cells = [number(x, 6) for x in (*numbers, *column[:shown])]
        rows.append([str(i), block.get(i, "-"), *cells])
    yield grid("Features", columns, rows, words=["block"])


def ladder_values(found: Ladder | None, S_min: float, said: str | None) -> dict[str, Any]:
    if found is None:
        empty: dict[str, Any] = {"S_star": None, "S_onset": None}
        found_status, found_advice = UNSETTLED, said
        rungs: Sequence[Any] = ()
        counts: Sequence[tuple[float, float, int]] = ()
    else:
        empty = {"S_star": found.S_star, "S_onset": found.S_onset}
        found_status = found.status if said is None else UNSETTLED
        found_advice = found.advice if said is None else said
        rungs, counts = found.rungs, found.represented
    return {
        **{name: value for key, S in empty.items() for name, value in _both(key, S)},
        "S_min": S_min,
        "one_minus_S_min": 1.0 - S_min,
        "ladder": [
            {
                "S": rung.S,
                "one_minus_S": 1.0 - rung.S,
                "bracket": list(rung.bracket),
                "denser": rung.denser,
                "sparser": rung.sparser,
                "order": rung.order,
                "polynomial": rung.polynomial,
            }
            for rung in rungs
        ],
        "represented": [{"from": lo, "to": hi, "count": count} for lo, hi, count in counts],
        "status": found_status,
        "advice": found_advice,
    }


def ladder_tables(v: dict[str, Any]) -> Iterator[RenderableType]:
    yield facts(
        [
            ("S*", _with_sparsity(v["S_star"], "below it all features are represented")),
            ("S_onset", _with_sparsity(v["S_onset"], "below it more than d features are")),
            ("model", _model_text(v)),
            ("status", v["status"]),
            ("advice", v["advice"] or "-"),
        ]
    )
    columns = ["S", "1 - S", "denser", "sparser", "order"]
    rows = [
        [number(r["S"]), number(r["one_minus_S"]), r["denser"], r["sparser"], r["order"]]
        for r in v["ladder"]
    ]
    if rows:
        title = f"Ladder, from S = 1 down to {number(v['S_min'])}"
        yield grid(title, columns, rows, words=["denser", "sparser", "order"])
    forms = [
        (number(r["S"]), f"{r['exact']['text']}...  ({r['exact']['known']})", r["polynomial"])
        for r in v["ladder"]
        if r.get("exact")
    ]
    if forms:
        yield facts([("", "")])
        yield facts([("Exact rungs", "crossings of two formulas; others are numerical")])
        for S, text, polynomial in forms:
            yield facts([(S, text), ("", f"root of {polynomial}")][: 2 if polynomial else 1])
        yield from _formulas(v["ladder"])
    spans = [
        [number(r["from"]), number(r["to"]), f"{r['count']} of {v['n']}"] for r in v["represented"]
    ]
    if spans:
        yield grid("Features represented", ["from S", "to S", "count"], spans)


def _formulas(rungs: Sequence[dict[str, Any]]) -> Iterator[RenderableType]:
    """Formulas of the blocks beside exact rungs; long ones are left to --json."""
    shown: dict[str, str] = {}
    for rung in rungs:
        for one in rung.get("formulas") or ():
            line = next(x for x in one["text"].splitlines() if x)
            short = line if len(line) <= LONGEST else "long: --json prints it, and its LaTeX"
            shown.setdefault(f"{one['block']}, {short}", one["block"])
    if shown:
        yield facts([("", "")])
        yield facts([("Formulas", "least loss of a block per feature, on its piece at a rung")])
        yield facts([(block, text.removeprefix(f"{block}, ")) for text, block in shown.items()])


def asked(features: Features, S: Sequence[float], *, bias: bool, relu: bool) -> dict[str, Any]:
    one = len(S) == 1
    return {
        "S": S[0] if one else list(S),
        "one_minus_S": 1.0 - S[0] if one else [1.0 - s for s in S],
        "law": features.law.name,
        "importance": features.importance,
        "bias": bias,
        "relu": relu,
    }


def _question_facts(v: dict[str, Any]) -> list[tuple[str, str]]:
    def listed(value: Any) -> str:
        return ", ".join(map(number, value)) if isinstance(value, list) else number(value)

    return [
        ("S (on)", listed(v["S"])),
        ("1 - S (off)", listed(v["one_minus_S"])),
        ("model", _model_text(v)),
    ]


def _model_text(v: dict[str, Any]) -> str:
    parts = [f"{v['law']} law", "bias" if v["bias"] else "no bias"]
    parts.append("ReLU" if v["relu"] else "linear")
    if len(set(v["importance"])) > 1:
        shown = ", ".join(number(x, 4) for x in v["importance"][:8])
        parts.append(f"importance {shown}{', ...' if len(v['importance']) > 8 else ''}")
    return ", ".join(parts)


def _both(key: str, S: float | None) -> list[tuple[str, float | None]]:
    """S and 1 - S under their names: one_minus_S stands wherever S does."""
    return [(key, S), (f"one_minus_{key}", None if S is None else 1.0 - S)]


def _with_sparsity(S: float | None, meaning: str) -> str:
    if S is None:
        return "none"
    return f"{number(S, 12)}   (1 - S = {number(1.0 - S, 12)}; {meaning})"


# The commands `packing loss`, `packing optimal` and `packing critical`.
#
# Each command parses, checks that what it is to write can be written, calls one verb, prints its
# answer and writes the files. numpy and scipy are imported inside the commands, never for --help.
# Keys of the JSON answers are stable: tests/schemas.py holds them.


PICTURES = (".png", ".svg", ".pdf")

_size = options(
    click.option("-n", type=Whole(), required=True, metavar="N", help="Number of features."),
    click.option("-d", type=Whole(), required=True, metavar="D", help="Number of dimensions."),
)
_S = click.option(
    "-S",
    "S",
    type=Numbers(),
    required=True,
    metavar="S",
    help="Probability that a feature is on, in (0, 1]: one number, or one per feature (0.1,0.2).",
)
_model = options(
    click.option(
        "--law",
        default="binary",
        metavar="[binary|uniform|exponential]",
        help="Value of a feature that is on: 1, uniform on [0, 1], or exponential of mean 1.  "
        "[default: binary]",
    ),
    click.option("--no-bias", is_flag=True, help="The model has no bias (b = 0)."),
    click.option("--linear", is_flag=True, help="The model has no ReLU."),
    click.option(
        "--importance",
        type=Numbers(),
        metavar="I",
        help="Weight of each feature in the loss, as in 1,0.9,0.8.  [default: all 1]",
    ),
    click.option(
        "--importance-decay",
        "decay",
        type=Number(),
        metavar="r",
        help="Importance r^i of feature i = 0, 1, ...",
    ),
)
_effort = options(
    click.option(
        "--seed", type=Whole(0), default=0, metavar="K", help="Seed of the search.  [default: 0]"
    ),
    click.option(
        "--starts",
        type=Whole(),
        metavar="K",
        help="Random starts of a search.  [default: falls with N]",
    ),
)
_plot = click.option(
    "--plot", metavar="FILE", help="Draw the answer: a png, svg or pdf file, told by its ending."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.command(
    "loss",
    cls=Verb,
    verb="theory.losses.expected:loss",
    help="Expected loss of the weights in a file.",
    note="FILE is npz, npy or safetensors. It holds W or weight, one column per feature (d, n) or "
    "one row per feature (n, d), and if wanted b or bias (n,) and importance (n,). Its format is "
    "told by its first bytes, and pickles are never read.",
    examples="""
        packing loss weights.npz -S 0.1
        packing loss weights.safetensors -S 0.1 --law uniform --json
        packing loss square.npy -S 0.1,0.1,0.2 --orientation d,n
        """,
)
@click.argument("file", metavar="FILE")
@_S
@_model
@click.option(
    "--orientation",
    metavar="[d,n|n,d]",
    help="How FILE holds W; needed where W is square.  [default: d < n decides]",
)
@_json
def loss_command(
    file: str,
    S: tuple[float, ...],
    law: str,
    no_bias: bool,
    linear: bool,
    importance: tuple[float, ...] | None,
    decay: float | None,
    orientation: str | None,
    as_json: bool,
) -> int:
    from packing.weights import read_weights
    from theory.losses.expected import loss

    known = next((len(v) for v in (S, importance or ()) if len(v) > 1), None)
    weights = read_weights(file, orientation, known)
    given = _importance(weights.n, importance, decay)
    features = _features(weights.n, S, law, weights.importance if given is None else given)
    if no_bias and weights.b is not None:
        note(f"note: the b in {file} is not used (--no-bias)")
    bias = None if no_bias else weights.b
    answer = loss(weights.W, bias, features=features, relu=not linear)
    floor = 1e-14 * float(features.importance @ features.second)
    if not answer.error_bound <= 1e-6 * answer.total + floor:
        note(f"note: the loss is only known to within {answer.error_bound:.1e}")
    values = {
        "loss": answer.total,
        "capacity": answer.capacity,
        "interference": answer.interference,
        "per_feature": answer.per_feature,
        "error_bound": answer.error_bound,
        **asked(features, S, bias=bias is not None, relu=not linear),
        "n": weights.n,
        "d": weights.d,
        "orientation": weights.orientation,
        "note": weights.note,
        "method": answer.method,
    }
    emit(values, as_json, loss_tables)
    return OK


@click.command(
    "optimal",
    cls=Verb,
    verb="theory.optima:optimum",
    help="The arrangement of least expected loss.",
    examples="""
        packing optimal -n 5 -d 2 -S 0.1
        packing optimal -n 5 -d 2 -S 0.1 --law uniform --plot pentagon.png
        packing optimal -n 6 -d 2 -S 0.05 --importance-decay 0.9 --save six.npz --json
        """,
)
@_size
@_S
@_model
@_effort
@click.option("--save", metavar="FILE", help="Write W, b and importance to an npz file.")
@_plot
@_json
def optimal_command(
    n: int,
    d: int,
    S: tuple[float, ...],
    law: str,
    no_bias: bool,
    linear: bool,
    importance: tuple[float, ...] | None,
    decay: float | None,
    seed: int,
    starts: int | None,
    save: str | None,
    plot: str | None,
    as_json: bool,
) -> int:
    saved = check_target(save, "--save", (".npz",)) if save is not None else None
    drawn = check_target(plot, "--plot", PICTURES) if plot is not None else None
    features = _features(n, S, law, _importance(n, importance, decay))
    from theory.optima import Optimum, optimum

    code, said = OK, None
    with progress_bar(f"optimum of n = {n}, d = {d}") as progress:
        try:
            found: Any = optimum(
                features,
                d,
                bias=not no_bias,
                relu=not linear,
                seed=seed,
                starts=starts,
                progress=progress,
            )
        except NotReached as stop:
            found, said, code = stop.partial, str(stop), NOT_REACHED
    if not isinstance(found, Optimum):
        found = None
    values = {
        "n": n,
        "d": d,
        **optimum_values(found, d, said),
        **asked(features, S, bias=not no_bias, relu=not linear),
    }
    if code == OK and values["status"] == UNSETTLED:
        code = NOT_REACHED
    emit(values, as_json, optimum_tables)
    if code != OK:
        note(f"packing: {values['advice']}")
    if found is not None:
        if saved is not None:
            from packing.weights import save_weights

            save_weights(saved, found.W, found.b, features.importance)
            note(f"weights written to {save}")
        if drawn is not None:
            from theory.plotting import draw_optimum

            _draw(draw_optimum, found, drawn)
            note(f"picture written to {plot}")
    return code


@click.command(
    "critical",
    cls=Verb,
    verb="theory.ladders:ladder",
    help="Where the optimum changes as S falls.",
    examples="""
        packing critical -n 5 -d 2
        packing critical -n 5 -d 2 --law uniform --plot ladder.pdf
        packing critical -n 6 -d 3 --no-bias --S-min 0.001 --json
        """,
)
@_size
@_model
@click.option(
    "--S-min",
    "S_min",
    type=Number(),
    default=1e-4,
    metavar="S",
    help="Where the ladder ends.  [default: 0.0001]",
)
@click.option("--exact", is_flag=True, help="The polynomial whose root S is, where it is known.")
@_effort
@click.option("--no-cache", is_flag=True, help="Compute afresh, and keep nothing.")
@_plot
@_json
def critical_command(
    n: int,
    d: int,
    law: str,
    no_bias: bool,
    linear: bool,
    importance: tuple[float, ...] | None,
    decay: float | None,
    S_min: float,
    exact: bool,
    seed: int,
    starts: int | None,
    no_cache: bool,
    plot: str | None,
    as_json: bool,
) -> int:
    drawn = check_target(plot, "--plot", PICTURES) if plot is not None else None
    if not 0.0 < S_min <= 0.5:
        raise BadInput(f"S-min = {S_min:g} is out of range: give a number in (0, 0.5]")
    weights = _importance(n, importance, decay)
    features = _features(n, (0.5,), law, weights)  # checks n, law and importance before any work
    plain_model = len(set(weights or ())) <= 1 and not no_bias and not linear
    if exact and not (plain_model and law in ("binary", "uniform")):
        note(
            "note: rungs have exact forms for equal importance, bias, ReLU and the laws binary and "
            "uniform: polynomial stays null"
        )
        exact = False
    question = {
        "verb": "ladder",
        "n": n,
        "d": d,
        "law": law,
        "importance": [float(x) for x in features.importance],
        "bias": not no_bias,
        "relu": not linear,
        "S_min": S_min,
        "seed": seed,
        "starts": starts,
    }
    from packing import cache

    kept = None if no_cache else cache.read(question)
    if kept is not None:
        note("note: answered from the cache (--no-cache computes afresh)")
        if exact:
            kept["values"]["ladder"] = _exact_rungs(kept["values"]["ladder"], n, law)
        emit(kept["values"], as_json, ladder_tables)
        if drawn is not None:
            _draw_ladder(cache.decode(kept["ladder"]), drawn, plot)
        return OK

    from theory.ladders import Ladder, ladder

    code, said = OK, None
    with progress_bar(f"ladder of n = {n}, d = {d}") as progress:
        try:
            found: Any = ladder(
                n,
                d,
                law=law,
                importance=features.importance,
                bias=not no_bias,
                relu=not linear,
                S_min=S_min,
                seed=seed,
                starts=starts,
                progress=progress,
            )
        except NotReached as stop:
            found, said, code = stop.partial, str(stop), NOT_REACHED
    if not isinstance(found, Ladder):
        found = None
    values = {
        "n": n,
        "d": d,
        **ladder_values(found, S_min, said),
        "law": law,
        "bias": not no_bias,
        "relu": not linear,
        "importance": features.importance,
    }
    if code == OK and values["status"] not in SETTLED:
        code = NOT_REACHED
    if code == OK and not no_cache:
        _keep(question, values, found)
    if exact:
        values["ladder"] = _exact_rungs(values["ladder"], n, law)
    emit(values, as_json, ladder_tables)
    if code != OK:
        note(f"packing: {values['advice']}")
    if found is not None and drawn is not None:
        _draw_ladder(found, drawn, plot)
    return code


def _exact_rungs(rungs: Sequence[dict[str, Any]], n: int, law: str) -> list[dict[str, Any]]:
    """The rungs with the polynomial whose root S is, and an enclosure, where both are known."""
    from theory.exact_crossings import exact_rung, side_formulas

    out = []
    with progress_bar("exact rungs") as progress:
        for done, rung in enumerate(rungs):
            if progress is not None:
                progress("crossings", done / len(rungs))
            form = exact_rung(rung["S"], rung["denser"], rung["sparser"], n, law)
            more: dict[str, Any] = {"exact": None, "formulas": []}
            if form is not None:
                more = {
                    "polynomial": form.polynomial,
                    "exact": {
                        "known": form.known,
                        "text": form.text,
                        "low": f"{form.low.numerator}/{form.low.denominator}",
                        "high": f"{form.high.numerator}/{form.high.denominator}",
                    },
                    "formulas": [
                        asdict(one)
                        for one in side_formulas(rung["S"], rung["denser"], rung["sparser"], law)
                    ],
                }
            out.append({**rung, **more})
    return out


def _keep(question: dict[str, Any], values: dict[str, Any], found: Any) -> None:
    from packing import cache
    from packing.cli.app import plain

    try:
        kept = cache.write(question, {"values": plain(values), "ladder": cache.encode(found)})
    except TypeError:  # a law without a name of its own
        return
    if not kept and cache.folder() is not None:
        note(f"note: the answer could not be kept in {cache.folder()}")


# What the commands share.


def _features(n: int, S: Sequence[float], law: str, importance: Any) -> Features:
    from theory.features import Features

    return Features.of(n, S[0] if len(S) == 1 else list(S), law, importance)


def _importance(
    n: int, importance: tuple[float, ...] | None, decay: float | None
) -> list[float] | None:
    """Importance of each feature, or None where neither option was given."""
    if importance is not None and decay is not None:
        raise BadInput("--importance and --importance-decay are both given: keep one of them")
    if decay is not None:
        if not 0.0 <= decay < float("inf"):
            raise BadInput(f"importance-decay = {decay:g} is out of range: give a number >= 0")
        try:
            return [decay**i for i in range(n)]
        except OverflowError:
            raise BadInput(
                f"importance-decay = {decay:g} makes the importance of feature {n - 1} "
                "overflow: give a smaller number"
            ) from None
    return None if importance is None else list(importance)


def _draw(draw: Callable[[Any, Path], object], answer: Any, target: Path) -> None:
    """Draw into a temporary file first: a picture is whole or absent."""
    with _writing(target), replacing(target) as temporary:
        draw(answer, temporary)


def _draw_ladder(found: Any, target: Path, shown: str | None) -> None:
    from theory.plotting import draw_ladder

    _draw(draw_ladder, found, target)
    note(f"picture written to {shown}")


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """A disk that fills up while a file is written is one line, not a traceback."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    try:
        yield
    except OSError as error:
        raise BadInput(f"{target} cannot be written: {error.strerror or error}") from None
