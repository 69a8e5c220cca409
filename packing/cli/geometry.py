"""The commands `packing code`, `packing bounds` and `packing identify`.

Each command parses, checks that what it is to write can be written, asks one verb, prints its
answer and writes the files. numpy and scipy are imported inside the commands, never for --help.
Keys of the JSON answers are stable: tests/schemas.py holds them.
"""

from __future__ import annotations

import re

import click

from packing.cli.app import (
    DISAGREED,
    NOT_REACHED,
    OK,
    Number,
    Verb,
    Whole,
    note,
    progress_bar,
    show,
)
from packing.cli.options import (
    JSON,
    PICTURES,
    PLOT,
    SEARCH,
    SEED,
    SIZE,
    check_criterion,
    check_drawable,
    check_seconds,
    target_of,
    writing,
)
from packing.errors import BadInput, NotReached
from packing.results import Evidence

# What sympy reads is run by it, so nothing but plain formulas is handed on.
_COSINE = re.compile(r"(?:[0-9.+\-/() ]|(?<!\*)\*(?!\*)|sqrt|sin|cos|pi|(?<=[0-9.])e){1,80}")


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
    saved = target_of(save, "--save", (".npz",))
    drawn = target_of(plot, "--plot", PICTURES)
    proof = target_of(certificate, "--certificate", (".json",))
    check_criterion(criterion, exponent)
    check_seconds(seconds)
    if drawn is not None:
        check_drawable(n)
    for given, option in ((prove, "--prove"), (proof is not None, "--certificate")):
        if given and criterion in ("coulomb", "riesz"):
            raise BadInput(f"{option} is about angles: give --criterion angle or lines with it")
        if given and n < 2:
            raise BadInput(f"{option} needs two vectors or more: n = {n} has no angle to prove")
    from packing.evaluation import NoCode, evaluate
    from packing.search import search

    try:
        with progress_bar(f"code of n = {n}, d = {d}") as progress:
            code = search(
                n, d, criterion, s=exponent or 1.0, seconds=seconds, seed=seed, progress=progress
            )
            found = evaluate(code)
    except NotReached as stop:
        show(NoCode(n, d, criterion, exponent, seed, str(stop)), as_json)
        raise
    if proof is not None:
        found = found.certified()
        with writing(proof):
            found.certificate.save(proof)  # type: ignore[union-attr]
    if prove:
        found = found.proved()
    show(found, as_json)
    ended = OK
    if found.impossible or found.status is Evidence.UNSETTLED:
        ended = DISAGREED if found.impossible else NOT_REACHED
        note(f"packing: {found.why if found.impossible else found.advice}")
    if saved is not None:
        from packing.weights import save_weights

        save_weights(saved, code.arrangement.W)
        note(f"vectors written to {save}")
    if proof is not None:
        note(f"certificate written to {certificate}")
    if drawn is not None:
        from packing import plotting

        lines, bound = criterion == "lines", found.bound
        with writing(drawn):
            plotting.draw_code(
                code.arrangement,
                drawn,
                title=found.title,
                lines=lines,
                rattlers=code.rattlers,
                bound=None if bound is None or bound.quantity == "energy" else bound.value,
                bound_name="" if bound is None else bound.name,
            )
        note(f"picture written to {plot}")
    return ended


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
    from packing.bounds import bounds

    found = bounds(n, d, cosine)
    if found.left_out:
        note(f"note: {found.left_out}")
    show(found, as_json)
    return OK


@click.command(
    "identify",
    cls=Verb,
    verb="packing.recognition:identify",
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
    drawn = target_of(plot, "--plot", PICTURES)
    if not 0.0 < tolerance < 0.1:
        raise BadInput(f"tolerance = {tolerance:g} is out of range: give a number in (0, 0.1)")
    from packing.recognition import identify
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
    weights_note = ("weights", f"n = {weights.n} in d = {weights.d}; {weights.note}")
    show(named, as_json, asked, [weights_note])
    if drawn is not None:
        from packing.plotting import draw_named

        with writing(drawn):
            draw_named(weights.W, named, drawn)
        note(f"picture written to {plot}")
    return OK
