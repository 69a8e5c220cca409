"""Answers of the commands: what --json prints, and the same as tables for people.

The values are made once; the tables read them, so that both say the same. Keys are stable:
tests/schemas.py holds them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from packing.cli import facts, grid, number

if TYPE_CHECKING:
    from rich.console import RenderableType

    from theory.features import Features
    from theory.optimum import Optimum
    from theory.phases import Ladder

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
            "loss capacity interference W b name blocks represented dimensionality status advice "
            "error_bound hits starts gradient_norm stable spectrum D_star per_feature"
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
        "blocks": [{"name": k.name, "features": k.features} for k in found.blocks],
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
    if v["W"] is None:
        yield facts([("status", v["status"]), *_question_facts(v)])
        return
    n, d = v["n"], v["d"]
    yield facts(
        [
            ("arrangement", v["name"]),
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
