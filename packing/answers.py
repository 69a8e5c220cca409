"""Answers of the geometry commands: what --json prints, and the same as tables for people.

The values are made once; the tables read them, so that both say the same. Keys are stable:
tests/schemas.py holds them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from packing.cli import facts, grid, number

if TYPE_CHECKING:
    from rich.console import RenderableType

    from packing.bounds import Bound
    from packing.judgement import Judgement
    from packing.recognise import Named

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
    from packing.judgement import upright_lines

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
            "nearest": block.nearest or None,
            "nearest_distance": block.nearest_distance,
            "fingerprint": block.fingerprint or None,
            "exact": block.exact,
        }
        for block in named.blocks
    ]
    return {
        "name": named.name,
        "blocks": blocks,
        "rattlers": named.rattlers,
        "represented": named.represented,
        "ignored": named.ignored,
        "noise": named.noise,
        "chance": named.chance,
        **asked,
    }


def identify_tables(v: dict[str, Any]) -> Iterator[RenderableType]:
    noisy = []
    if v["noise"] > ROUNDING:
        chance = "below 1e-300" if v["chance"] == 0.0 else number(v["chance"], 2)
        noisy = [
            ("noise", f"{number(v['noise'], 3)} of a vector's length, root mean square"),
            ("chance", f"{chance} that random directions come as near"),
        ]
    yield facts(
        [
            ("arrangement", v["name"]),
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
