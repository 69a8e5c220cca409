"""The commands `packing loss`, `packing optimal` and `packing critical`.

Each command parses, checks that what it is to write can be written, calls one verb, prints its
answer and writes the files. numpy and scipy are imported inside the commands, never for --help.
Keys of the JSON answers are stable: tests/schemas.py holds them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from packing.cli import (
    NOT_REACHED,
    OK,
    Number,
    Numbers,
    Verb,
    Whole,
    emit,
    note,
    options,
    progress_bar,
)
from packing.errors import BadInput, NotReached
from packing.files import check_target, replacing
from theory.answers import (
    SETTLED,
    UNSETTLED,
    asked,
    ladder_tables,
    ladder_values,
    loss_tables,
    optimum_tables,
    optimum_values,
)

if TYPE_CHECKING:
    from theory.features import Features

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
    verb="theory.loss:loss",
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
    from theory.loss import loss

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
    verb="theory.optimum:optimum",
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
    from theory.optimum import Optimum, optimum

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
            from theory.draw import draw_optimum

            _draw(draw_optimum, found, drawn)
            note(f"picture written to {plot}")
    return code


@click.command(
    "critical",
    cls=Verb,
    verb="theory.phases:ladder",
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

    from theory.phases import Ladder, ladder

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
    from theory.rungs import exact_rung, side_formulas

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
    from packing.cli import plain

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
    from theory.draw import draw_ladder

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
