"""Answers of the geometry commands: what --json prints, and the same as tables for people.

The values are made once; the tables read them, so that both say the same. Keys are stable:
tests/schemas.py holds them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from packing.cli.app import (
    DISAGREED,
    NOT_REACHED,
    OK,
    Number,
    Verb,
    Whole,
    emit,
    facts,
    grid,
    note,
    number,
    progress_bar,
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
    writing,
)
from packing.errors import BadInput, NotReached
from packing.files import check_target, replacing

if TYPE_CHECKING:
    from rich.console import RenderableType

    from packing.bounds import Bound
    from packing.recognition import Judgement, Named

_ROWS_SHOWN = 64  # vectors listed one by one for people; --json has them all
_COORDINATES_SHOWN = 8
_LONGEST = 40  # characters of an exact cosine shown to people; --json has it

ROUNDING = 1e-12  # noise below this is that of floats and not of the weights

UNFINISHED = "unfinished"  # the status of a code whose search the clock stopped: exit code 3


# --- packing code -------------------------------------------------------------------------------


def code_values(judged: Judgement | None, asked: dict[str, Any], said: str = "") -> dict[str, Any]:
    """The keys of the answer; null where the time was too short for any code."""
    if judged is None:
        keys = (
            "value max_cosine min_angle_deg coherence energy vectors name bound gap verdict why "
            "bound_name bound_source contacts rattlers seconds"
        )
        empty = dict.fromkeys(keys.split())
        status = {"status": UNFINISHED, "search_status": UNFINISHED, "advice": said}
        return {**asked, **empty, **status, "reached": 0, "runs": 0}
    from packing.recognition import upright_lines

    code, bound = judged.code, judged.bound
    shown = upright_lines(code.arrangement) if code.criterion == "lines" else code.arrangement
    return {
        **asked,
        "value": code.value,
        "max_cosine": shown.max_cosine,
        "min_angle_deg": math.degrees(code.min_angle),
        "coherence": code.coherence,
        "energy": code.energy,
        "vectors": shown.W.T,
        "name": judged.name,
        "bound": None if bound is None else bound.value,
        "gap": judged.gap,
        "bound_name": None if bound is None else bound.name,
        "bound_source": None if bound is None else bound.source,
        "verdict": judged.verdict,
        "why": judged.why,
        "status": judged.status,
        "search_status": code.status,
        "advice": judged.advice,
        "reached": code.reached,
        "runs": code.runs,
        "seconds": code.seconds,
        "contacts": code.contacts,
        "rattlers": code.rattlers,
    }


def code_tables(v: dict[str, Any]) -> Iterator[RenderableType]:
    asked = ("criterion", _criterion_text(v))
    if v["vectors"] is None:
        yield facts([("code", f"none of n = {v['n']} in d = {v['d']}"), asked])
        return
    contacts = "contact" if len(v["contacts"]) == 1 else "contacts"
    rattlers = ", ".join(map(str, v["rattlers"])) or "none"
    angle = "-" if v["min_angle_deg"] is None else f"{number(v['min_angle_deg'], 12)} degrees"
    bound = "none known"
    if v["bound"] is not None:
        bound = f"{number(v['bound'], 12)} at least: {v['bound_name']} ({v['bound_source']})"
    advice = [] if v["advice"] == v["why"] else [("advice", v["advice"])]
    yield facts(
        [
            ("arrangement", f"{v['name']}, n = {v['n']} in d = {v['d']}"),
            asked,
            ("largest cosine", number(v["max_cosine"], 15)),
            ("smallest angle", angle),
            ("coherence", number(v["coherence"], 15)),
            ("energy", number(v["energy"], 12)),
            ("bound", bound),
            ("gap", number(v["gap"], 3)),
            ("verdict", f"{v['verdict']}. {v['why']}"),
            ("contacts", f"{len(v['contacts'])} {contacts}; rattlers: {rattlers}"),
            ("found by", _found_by(v)),
            ("status", v["status"]),
            *advice,
            *_proof_facts(v),
        ]
    )
    if v["n"] <= _ROWS_SHOWN and v["d"] <= _COORDINATES_SHOWN:
        touching = [0] * v["n"]
        for i, j in v["contacts"]:
            touching[i] += 1
            touching[j] += 1
        columns = ["vector", "contacts", *(f"x[{a}]" for a in range(v["d"]))]
        rows = [
            [str(i), str(touching[i]), *(f"{round(x, 8) + 0.0:.8f}" for x in row)]
            for i, row in enumerate(v["vectors"])
        ]
        yield grid("Vectors", columns, rows)


def _found_by(v: dict[str, Any]) -> str:
    if v["search_status"] == "proved":
        return f"a closed form, {number(v['seconds'], 2)} s"
    runs = "run" if v["runs"] == 1 else "runs"
    return f"{v['reached']} of {v['runs']} {runs}, {number(v['seconds'], 3)} s"


def _criterion_text(v: dict[str, Any]) -> str:
    words = {
        "angle": "largest smallest angle",
        "lines": "least coherence (lines)",
        "coulomb": "least Coulomb energy",
        "riesz": f"least Riesz energy, exponent {number(v['exponent'])}",
    }
    return words[v["criterion"]]


def _proof_facts(v: dict[str, Any]) -> list[tuple[str, str]]:
    named = {"certificate": "certificate", "existence": "existence", "algebraic": "exact cosine"}
    out = [(title, v[key]["sentence"]) for key, title in named.items() if v[key] is not None]
    if v["algebraic"] is not None and v["algebraic"]["text"]:
        title, sentence = out.pop()
        text = v["algebraic"]["text"]
        # The sentence names the polynomial: sympy's CRootOf would only repeat it.
        out.append((title, sentence if text.startswith("CRootOf") else f"{text}, {sentence}"))
    return out


# --- packing bounds -----------------------------------------------------------------------------


def bounds_values(found: Sequence[Bound], asked: dict[str, Any]) -> dict[str, Any]:
    """The bounds as plain values."""
    keys = ("name", "quantity", "direction", "value", "exact", "holds", "source", "rigorous")
    return {
        **asked,
        "bounds": [
            {**{key: getattr(bound, key) for key in keys}, "attained": bound.attained}
            for bound in found
        ],
    }


def bounds_tables(v: dict[str, Any]) -> Iterator[RenderableType]:
    size = "any number of vectors" if v["n"] is None else f"n = {v['n']}"
    given = [] if v["cosine"] is None else [("cosine", f"at most {v['cosine']}")]
    yield facts([("bounds for", f"{size} in d = {v['d']}"), *given])
    if not v["bounds"]:
        yield facts([("bounds", "none is known here")])
        return
    titles = {
        "max_cosine": "Largest cosine of two of n vectors",
        "coherence": "Coherence of n lines",
        "points": "How many vectors there can be",
        "lines": _lines_title(v),
        "energy": "Coulomb energy of n vectors",
    }
    for quantity, title in titles.items():
        rows = [
            [
                b["name"],
                b["direction"],
                number(b["value"], 12),
                b["exact"] or "-",
                "yes" if b["rigorous"] else "no",
                b["source"],
            ]
            for b in v["bounds"]
            if b["quantity"] == quantity
        ]
        if rows:
            columns = ["bound", "is", "value", "exact", "rigorous", "source"]
            yield grid(title, columns, rows, words=["bound", "is", "exact", "rigorous", "source"])


def _lines_title(v: dict[str, Any]) -> str:
    """Gerzon's bound is of lines with one angle between any two: there is no other without one."""
    if v["cosine"] is None:
        return "How many equiangular lines there can be"
    most = f"How many lines there can be, coherence at most {v['cosine']}"
    return most if v["n"] is None else f"{most} (Gerzon: equiangular lines)"


# --- packing identify ---------------------------------------------------------------------------


def identify_values(named: Named, asked: dict[str, Any]) -> dict[str, Any]:
    """The keys of the answer; a distance that is not known is null."""
    blocks = [
        {
            "name": block.name,
            "features": block.features,
            "symmetry_order": block.symmetry_order,
            "distance": block.distance,
            "distortion": block.distortion,
            "nearest": block.nearest or None,
            "nearest_distance": block.nearest_distance,
            "fingerprint": block.fingerprint or None,
            "exact": block.exact,
            "orbits": [asdict(orbit) for orbit in block.orbits],
        }
        for block in named.blocks
    ]
    return {
        "name": named.name,
        "distortion": named.distortion,
        "blocks": blocks,
        "rattlers": named.rattlers,
        "represented": named.represented,
        "ignored": named.ignored,
        "noise": named.noise,
        "chance": named.chance,
        **asked,
    }


def identify_tables(v: dict[str, Any]) -> Iterator[RenderableType]:
    from packing.recognition import with_distortion

    noisy = []
    if v["noise"] > ROUNDING:
        chance = "below 1e-300" if v["chance"] == 0.0 else number(v["chance"], 2)
        noisy = [
            ("noise", f"{number(v['noise'], 3)} of a vector's length, root mean square"),
            ("chance", f"{chance} that random directions come as near"),
        ]
    yield facts(
        [
            ("arrangement", with_distortion(v["name"], v["distortion"])),
            ("represented", f"{v['represented']} of {v['n']} features in d = {v['d']}"),
            ("rattlers", ", ".join(map(str, v["rattlers"])) or "none"),
            ("ignored", _listed(v["ignored"]) or "none"),
            *noisy,
            ("weights", v["note"]),
        ]
    )
    if not v["blocks"]:
        return
    columns = [
        "block",
        "features",
        "symmetry",
        "largest shift",
        "nearest",
        "fingerprint",
        "cosines",
    ]
    rows = []
    for block in v["blocks"][:_ROWS_SHOWN]:
        near = "-"
        if block["nearest"]:
            near = f"{block['nearest']} at {number(block['nearest_distance'], 3)}"
        order = "-" if block["symmetry_order"] is None else str(block["symmetry_order"])
        cells = [block["name"], _listed(block["features"]), order, number(block["distance"], 3)]
        rows.append([*cells, near, block["fingerprint"] or "-", _cosines(block["exact"]) or "-"])
    used = [i for i, name in enumerate(columns) if i < 4 or any(row[i] != "-" for row in rows)]
    shown = [[row[i] for i in used] for row in rows]
    words = ["block", "features", "nearest", "fingerprint", "cosines"]
    yield grid("Blocks", [columns[i] for i in used], shown, words=words)
    # what has no name, or only nearly has it, is described
    described = [
        [
            block["name"],
            _listed(orbit["features"]),
            str(orbit["copies"]),
            number(orbit["norm"], 6),
            ", ".join(f"{number(c, 4)} ({k})" for c, k in orbit["cosines"][:8]) or "-",
        ]
        for block in v["blocks"]
        if block["distortion"] != 0.0
        for orbit in block["orbits"]
    ]
    if described:
        title = "Orbits: vectors that symmetries exchange, and cosines with the others (how often)"
        columns = ["block", "features", "copies", "norm", "cosines"]
        yield grid(title, columns, described[:_ROWS_SHOWN], words=["block", "features", "cosines"])


def _cosines(exact: Sequence[str]) -> str:
    """The exact cosines that can be read; a root of a polynomial of degree 8 is for machines."""
    short = [text for text in exact if len(text) <= _LONGEST]
    longer = len(exact) - len(short)
    if not longer:
        return _listed(exact)
    if not short:
        return f"{longer} in --json"
    return ", ".join([*short[:10], f"and {len(exact) - len(short[:10])} more in --json"])


def _listed(values: Sequence[Any]) -> str:
    shown = ", ".join(map(str, values[:10]))
    return shown if len(values) <= 10 else f"{shown}, and {len(values) - 10} more"


# The commands `packing code`, `packing bounds` and `packing identify`.
#
# Each command parses, checks that what it is to write can be written, calls one verb, prints its
# answer and writes the files. numpy and scipy are imported inside the commands, never for --help.
# Keys of the JSON answers are stable: tests/schemas.py holds them. `packing table` is in
# `packing.cli.tables`.


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
    from packing.recognition import IMPOSSIBLE, judge
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
    from packing.proofs.certificates import certify

    criterion: Any = judged.code.criterion
    made = certify(judged.code.arrangement, criterion)
    with writing(target):
        made.save(target)
    facts = made.as_dict()
    return {"certificate": {key: facts[key] for key in facts if key not in ("kind", "vectors")}}


def _proofs(judged: Judgement) -> tuple[Judgement, dict[str, Any]]:
    """That an exact code exists near the one found, and its largest cosine as a number."""
    from packing.algebra.identification import algebraic
    from packing.proofs.existence import existence
    from packing.recognition import with_exact

    criterion: Any = judged.code.criterion
    arrangement = judged.code.arrangement
    there = existence(arrangement, criterion=criterion)
    exact = algebraic(arrangement, criterion=criterion)
    if exact.status == "proved":
        judged = with_exact(judged, exact.text)
    return judged, {"existence": there.as_dict(), "algebraic": exact.as_dict()}


def _draw_judged(judged: Judgement, target: Path) -> None:
    from packing.plotting import draw_code

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
    drawn = check_target(plot, "--plot", PICTURES) if plot is not None else None
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
    emit(identify_values(named, asked), as_json, identify_tables)
    if drawn is not None:
        from packing.plotting import draw_named

        with writing(drawn), replacing(drawn) as temporary:
            draw_named(weights.W, named, temporary)
        note(f"picture written to {plot}")
    return OK
