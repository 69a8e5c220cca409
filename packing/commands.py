"""The commands `packing code`, `packing bounds` and `packing identify`.

Each command parses, checks that what it is to write can be written, calls one verb, prints its
answer and writes the files. numpy and scipy are imported inside the commands, never for --help.
Keys of the JSON answers are stable: tests/schemas.py holds them. `packing table` is in
`packing.table_commands`.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from packing.answers import (
    UNFINISHED,
    bounds_tables,
    bounds_values,
    code_tables,
    code_values,
    identify_tables,
    identify_values,
)
from packing.cli import (
    DISAGREED,
    NOT_REACHED,
    OK,
    Number,
    Verb,
    Whole,
    emit,
    note,
    progress_bar,
)
from packing.errors import BadInput, NotReached
from packing.files import check_target, replacing
from packing.options import (
    JSON,
    PICTURES,
    PLOT,
    SEARCH,
    SEED,
    SIZE,
    check_criterion,
    check_drawable,
    check_seconds,
    writing,
)

if TYPE_CHECKING:
    from packing.judgement import Judgement

# What sympy reads is run by it, so nothing but plain formulas is handed on.
_COSINE = re.compile(r"(?:[0-9.+\-/() ]|(?<!\*)\*(?!\*)|sqrt|sin|cos|pi|(?<=[0-9.])e){1,80}")


# --- packing code -------------------------------------------------------------------------------


@click.command(
    "code",
    cls=Verb,
    verb="packing.search:search",
    help="The best arrangement of n points or lines in R^d.",
    note="Exit code 3: the time was up before the search was content; what it found is printed.",
    examples="""
        packing code -n 24 -d 3
        packing code -n 32 -d 3 --criterion coulomb --plot thomson.png
        packing code -n 16 -d 5 --criterion lines --seconds 10 --json
        packing code -n 13 -d 3 --certificate angle.json --prove --save code.npz
        """,
)
@SIZE
@SEARCH
@click.option(
    "--seconds",
    type=Number(),
    default=60.0,
    metavar="T",
    help="Time budget; the search ends earlier once the best was found often.  [default: 60]",
)
@SEED
@click.option(
    "--prove",
    is_flag=True,
    help="Prove by interval arithmetic that an exact code exists, and find its exact cosine.",
)
@click.option(
    "--certificate",
    metavar="FILE",
    help="Write a json file that proves the smallest angle in whole numbers.",
)
@click.option("--save", metavar="FILE", help="Write the vectors to an npz file, as W (d, n).")
@PLOT
@JSON
def code_command(
    n: int,
    d: int,
    criterion: str,
    exponent: float | None,
    seconds: float,
    seed: int,
    prove: bool,
    certificate: str | None,
    save: str | None,
    plot: str | None,
    as_json: bool,
) -> int:
    saved = check_target(save, "--save", (".npz",)) if save is not None else None
    drawn = check_target(plot, "--plot", PICTURES) if plot is not None else None
    proof = (
        check_target(certificate, "--certificate", (".json",)) if certificate is not None else None
    )
    check_criterion(criterion, exponent)
    check_seconds(seconds)
    if drawn is not None:
        check_drawable(n)
    energy = criterion in ("coulomb", "riesz")
    for given, option in ((prove, "--prove"), (proof is not None, "--certificate")):
        if given and energy:
            raise BadInput(f"{option} is about angles: give --criterion angle or lines with it")
        if given and n < 2:
            raise BadInput(f"{option} needs two vectors or more: n = {n} has no angle to prove")
    from packing.judgement import IMPOSSIBLE, judge
    from packing.search import search

    judged: Judgement | None = None
    said = ""
    with progress_bar(f"code of n = {n}, d = {d}") as progress:
        try:
            found = search(
                n, d, criterion, s=exponent or 1.0, seconds=seconds, seed=seed, progress=progress
            )
            judged = judge(found)
        except NotReached as stop:
            said = str(stop)
    proofs: dict[str, Any] = {"certificate": None, "existence": None, "algebraic": None}
    if judged is not None and proof is not None:
        proofs |= _certificate(judged, proof)
    if judged is not None and prove:
        judged, proved = _proofs(judged)
        proofs |= proved
    asked = {"n": n, "d": d, "criterion": criterion, "exponent": exponent, "seed": seed}
    values = {**code_values(judged, asked, said), **proofs}
    code = NOT_REACHED if values["status"] == UNFINISHED else OK
    if values["verdict"] == IMPOSSIBLE:
        code = DISAGREED
    emit(values, as_json, code_tables)
    if code != OK:
        note(f"packing: {values['advice'] if code == NOT_REACHED else values['why']}")
    if judged is None:
        return code
    if saved is not None:
        from packing.weights import save_weights

        save_weights(saved, judged.code.arrangement.W)
        note(f"vectors written to {save}")
    if proof is not None:
        note(f"certificate written to {certificate}")
    if drawn is not None:
        _draw_judged(judged, drawn)
        note(f"picture written to {plot}")
    return code


def _certificate(judged: Judgement, target: Path) -> dict[str, Any]:
    """Write the proof in whole numbers; what it says, without the numbers."""
    from packing.proofs.certify import certify

    criterion: Any = judged.code.criterion
    made = certify(judged.code.arrangement, criterion)
    with writing(target):
        made.save(target)
    facts = made.as_dict()
    return {"certificate": {key: facts[key] for key in facts if key not in ("kind", "vectors")}}


def _proofs(judged: Judgement) -> tuple[Judgement, dict[str, Any]]:
    """That an exact code exists near the one found, and its largest cosine as a number."""
    from packing.judgement import with_exact
    from packing.proofs.algebraic import algebraic
    from packing.proofs.existence import existence

    criterion: Any = judged.code.criterion
    arrangement = judged.code.arrangement
    there = existence(arrangement, criterion=criterion)
    exact = algebraic(arrangement, criterion=criterion)
    if exact.status == "proved":
        judged = with_exact(judged, exact.text)
    return judged, {"existence": there.as_dict(), "algebraic": exact.as_dict()}


def _draw_judged(judged: Judgement, target: Path) -> None:
    from packing.pictures.codes import draw_code

    code, lines = judged.code, judged.code.criterion == "lines"
    size = f"n = {code.n}, d = {code.d}"
    if code.n == 1:
        reached = "no angle"
    elif code.criterion in ("coulomb", "riesz"):
        reached = f"energy {code.energy:.10g}"
    elif lines:
        reached = f"coherence {code.coherence:.10g}, {math.degrees(code.min_angle):.6f}°"
    else:
        reached = f"cosine {code.max_cosine:.10g}, {math.degrees(code.min_angle):.6f}°"
    bound = judged.bound if code.criterion in ("angle", "lines") else None
    with writing(target), replacing(target) as temporary:
        draw_code(
            code.arrangement,
            temporary,
            title=f"{judged.name}\n{size}: {reached}, {judged.verdict}",
            lines=lines,
            rattlers=code.rattlers,
            bound=None if bound is None else bound.value,
            bound_name="" if bound is None else bound.name,
        )


# --- packing bounds -----------------------------------------------------------------------------


@click.command(
    "bounds",
    cls=Verb,
    verb="packing.bounds.collect:bounds",
    help="What no n points or lines in R^d can beat.",
    examples="""
        packing bounds -n 24 -d 3
        packing bounds -d 8 --cosine 1/2
        packing bounds -n 120 -d 4 --json
        """,
)
@click.option("-n", type=Whole(), metavar="N", help="Number of vectors.")
@click.option("-d", type=Whole(), required=True, metavar="D", help="Number of dimensions.")
@click.option(
    "--cosine",
    metavar="C",
    help="Bound the number of vectors with no cosine above C instead: 0.5, 1/2 or sqrt(5)/5.",
)
@JSON
def bounds_command(n: int | None, d: int, cosine: str | None, as_json: bool) -> int:
    if n is None and cosine is None:
        raise BadInput("neither -n nor --cosine was given: say how many vectors, or how close")
    if cosine is not None and not _COSINE.fullmatch(cosine):
        raise BadInput(
            f"cosine = {cosine!r} is no number: give one in [-1, 1), as in 0.5, 1/2 or sqrt(5)/5"
        )
    from packing.bounds import bounds, lines, points, skipped

    found = bounds(n, d) if n is not None else ()
    if cosine is not None:
        found += points(d, cosine)
        with suppress(BadInput):  # a negative cosine bounds points, not lines
            found += lines(d, cosine)
    left_out = skipped(n, d) if n is not None and n > 2 * d > 2 else None
    if left_out:
        note(f"note: {left_out}")
    emit(bounds_values(found, {"n": n, "d": d, "cosine": cosine}), as_json, bounds_tables)
    return OK


# --- packing identify ---------------------------------------------------------------------------


@click.command(
    "identify",
    cls=Verb,
    verb="packing.recognise:identify",
    help="The name of the arrangement in a file.",
    note="FILE is npz, npy or safetensors. It holds W or weight, one column per feature (d, n) or "
    "one row per feature (n, d). Its format is told by its first bytes, and pickles are never "
    "read.",
    examples="""
        packing identify weights.npz
        packing identify trained.safetensors --noise 0.01 --json
        packing identify square.npy --orientation d,n --plot square.png
        """,
)
@click.argument("file", metavar="FILE")
@click.option(
    "--tolerance",
    type=Number(),
    default=1e-6,
    metavar="E",
    help="Cosines closer than this are the same.  [default: 1e-6]",
)
@click.option(
    "--noise",
    type=Number(),
    metavar="E",
    help="Error that each vector may have, as a fraction of its length, 0 to 0.2; 0 sees sharply.  "
    "[default: found]",
)
@click.option(
    "--orientation",
    metavar="[d,n|n,d]",
    help="How FILE holds W; needed where W is square.  [default: d < n decides]",
)
@PLOT
@JSON
def identify_command(
    file: str,
    tolerance: float,
    noise: float | None,
    orientation: str | None,
    plot: str | None,
    as_json: bool,
) -> int:
    drawn = check_target(plot, "--plot", PICTURES) if plot is not None else None
    if not 0.0 < tolerance < 0.1:
        raise BadInput(f"tolerance = {tolerance:g} is out of range: give a number in (0, 0.1)")
    from packing.recognise import identify
    from packing.search import check_memory
    from packing.weights import read_weights

    weights = read_weights(file, orientation)
    if drawn is not None:
        check_drawable(weights.n)
    # Cosines, their colours and a few comparisons of the two, all n by n.
    check_memory(weights.n, weights.d, 48.0 * weights.n**2 + 32.0 * weights.n * weights.d)
    named = identify(weights.W, weights.b, tolerance=tolerance, noise=noise)
    asked = {
        "n": weights.n,
        "d": weights.d,
        "tolerance": tolerance,
        "orientation": weights.orientation,
        "note": weights.note,
    }
    emit(identify_values(named, asked), as_json, identify_tables)
    if drawn is not None:
        from packing.pictures.named import draw_named

        with writing(drawn), replacing(drawn) as temporary:
            draw_named(weights.W, named, temporary)
        note(f"picture written to {plot}")
    return OK
