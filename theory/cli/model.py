"""The commands `packing loss`, `packing optimal` and `packing critical`.

Each command parses, checks that what it is to write can be written, calls one verb, shows its
result and writes the files. numpy and scipy are imported inside the commands, never for --help.
Keys of the JSON answers are stable: tests/schemas.py holds them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
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
    note,
    options,
    progress_bar,
    show,
)
from packing.cli.options import TERMS
from packing.errors import BadInput, NotReached
from packing.files import check_target, replacing
from packing.results import Evidence, Result
from theory.objective import Objective

if TYPE_CHECKING:
    from packing.types import Float
    from theory.features import Features
    from theory.ladders import Ladder
    from theory.optima import Optimum

PICTURES = (".png", ".svg", ".pdf")
OPTIMUM_KEYS = (
    "loss capacity interference W b name distortion blocks represented dimensionality error_bound "
    "hits starts gradient_norm stable spectrum D_star per_feature"
)
CRITICAL_KEYS = "S_star one_minus_S_star S_onset one_minus_S_onset"
"""Keys that are null where a search stops with nothing in hand."""

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
_model_options = options(
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


@dataclass(frozen=True)
class Model:
    """What the model options say."""

    law: str
    objective: Objective
    importance: tuple[float, ...] | None
    decay: float | None

    def features(
        self, n: int, S: Sequence[float] = (0.5,), importance: Float | None = None
    ) -> Features:
        """The features asked about; the importance of a file counts unless an option gives one."""
        from theory.features import Features

        given: Any = importance if self.importance is None else list(self.importance)
        if self.decay is not None:
            given = self._decaying(n, self.decay)
        return Features.of(n, S[0] if len(S) == 1 else list(S), self.law, given)

    def _decaying(self, n: int, decay: float) -> list[float]:
        if self.importance is not None:
            raise BadInput("--importance and --importance-decay are both given: keep one of them")
        if not 0.0 <= decay < float("inf"):
            raise BadInput(f"importance-decay = {decay:g} is out of range: give a number >= 0")
        try:
            return [decay**i for i in range(n)]
        except OverflowError:
            raise BadInput(
                f"importance-decay = {decay:g} makes the importance of feature {n - 1} "
                "overflow: give a smaller number"
            ) from None


def _model(command: Callable[..., int]) -> Callable[..., int]:
    """The model options as one argument ``model``."""

    @_model_options
    @wraps(command)
    def asked(
        law: str,
        no_bias: bool,
        linear: bool,
        importance: tuple[float, ...] | None,
        decay: float | None,
        **others: Any,
    ) -> int:
        model = Model(law, Objective(not no_bias, not linear), importance, decay)
        return command(model=model, **others)

    return asked


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
    model: Model,
    orientation: str | None,
    as_json: bool,
) -> int:
    from packing.weights import read_weights
    from theory.losses.expected import loss

    known = next((len(v) for v in (S, model.importance or ()) if len(v) > 1), None)
    weights = read_weights(file, orientation, known)
    features = model.features(weights.n, S, weights.importance)
    if not model.objective.bias and weights.b is not None:
        note(f"note: the b in {file} is not used (--no-bias)")
    answer = loss(weights, features=features, objective=model.objective)
    if answer.vague:
        note(f"note: the loss is only known to within {answer.error_bound:.1e}")
    show(answer, as_json)
    return OK


@click.command(
    "optimal",
    cls=Verb,
    verb="theory.optima:optimum",
    help="The arrangement of least expected loss.",
    note=TERMS,
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
    model: Model,
    seed: int,
    starts: int | None,
    save: str | None,
    plot: str | None,
    as_json: bool,
) -> int:
    saved = check_target(save, "--save", (".npz",)) if save is not None else None
    drawn = check_target(plot, "--plot", PICTURES) if plot is not None else None
    features, objective = model.features(n, S), model.objective
    from theory.features import question_values
    from theory.optima import Optimum, optimum

    def ask(progress: Any) -> Optimum:
        return optimum(
            features, d, objective=objective, seed=seed, starts=starts, progress=progress
        )

    asked = {"n": n, "d": d, **question_values(features, objective)}
    empty = {**asked, **dict.fromkeys(OPTIMUM_KEYS.split())}
    found, code = _answered(ask, f"optimum of n = {n}, d = {d}", empty, as_json)
    if isinstance(found, Optimum):
        if saved is not None:
            from packing.weights import save_weights

            save_weights(saved, found.W, found.b, features.importance)
            note(f"weights written to {save}")
        if drawn is not None:
            from theory.plotting import draw_optimum

            _draw(draw_optimum, found, drawn, plot)
    return code


@click.command(
    "critical",
    cls=Verb,
    verb="theory.ladders:ladder",
    help="Where the optimum changes as S falls.",
    note="A crossing is an S at which the optimum changes. " + TERMS,
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
    model: Model,
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
    features, objective = model.features(n), model.objective
    from packing import cache
    from theory.features import model_values
    from theory.ladders import Ladder, has_exact_forms, ladder

    if exact and not has_exact_forms(features, objective):
        note(
            "note: changes have exact forms for equal importance, bias, ReLU and the laws binary "
            "and uniform: polynomial stays null"
        )

    def ask(progress: Any) -> Ladder:
        return ladder(
            features,
            d,
            objective=objective,
            exact=exact,
            S_min=S_min,
            seed=seed,
            starts=starts,
            cache=not no_cache,
            progress=progress,
        )

    asked: dict[str, Any] = {"n": n, "d": d, "S_min": S_min, "one_minus_S_min": 1.0 - S_min}
    asked |= {**model_values(features, objective), "ladder": [], "represented": []}
    empty = {**asked, **dict.fromkeys(CRITICAL_KEYS.split())}
    found, code = _answered(ask, f"ladder of n = {n}, d = {d}", empty, as_json)
    if isinstance(found, Ladder):
        if found.remembered:
            note("note: answered from the cache (--no-cache computes afresh)")
        elif not (no_cache or found.kept or d >= n) and cache.folder() is not None:
            note(f"note: the answer could not be kept in {cache.folder()}")
        if drawn is not None:
            from theory.plotting import draw_ladder

            _draw(draw_ladder, found, drawn, plot)
    return code


# What the commands share.


@dataclass(frozen=True, repr=False)
class Unanswered(Result):
    """A search that stopped with nothing in hand: every key of the answer, most of them null."""

    values: Mapping[str, Any]
    advice: str
    evidence: Evidence = Evidence.UNSETTLED

    def _values(self) -> dict[str, Any]:
        return {**self.values, "status": self.evidence, "advice": self.advice}

    def _facts(self) -> list[tuple[str, str]]:
        asked = [(key, str(self.values[key])) for key in ("n", "d", "law")]
        return [("status", self.evidence), ("advice", self.advice), *asked]


def _answered(
    ask: Callable[[Any], Any], title: str, empty: Mapping[str, Any], as_json: bool
) -> tuple[Any, int]:
    """Ask, show what comes, and the exit code: 3 where the search stopped short."""
    with progress_bar(title) as progress:
        try:
            found = ask(progress)
        except NotReached as stop:
            if isinstance(stop.partial, Result):
                found = replace(stop.partial, evidence=Evidence.UNSETTLED, advice=str(stop))  # type: ignore[type-var]
            else:
                found = Unanswered(empty, str(stop))
    show(found, as_json)
    if found.evidence is not Evidence.UNSETTLED:
        return found, OK
    note(f"packing: {found.advice}")
    return found, NOT_REACHED


def _draw(
    draw: Callable[[Any, Path], object], answer: Any, target: Path, named: str | None
) -> None:
    """Draw into a temporary file first: a picture is whole or absent."""
    with _writing(target), replacing(target) as temporary:
        draw(answer, temporary)
    note(f"picture written to {named}")


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """A disk that fills up while a file is written is one line, not a traceback."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    try:
        yield
    except OSError as error:
        raise BadInput(f"{target} cannot be written: {error.strerror or error}") from None
