"""The maps of a report: on its page, as a table of cells, and as files of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from packing.formats import render
from validate.markup import embedded, table

if TYPE_CHECKING:
    from studies.maps import Found
    from validate.runner import Report

CELL_COLUMNS = (
    "map",
    "r",
    "S",
    "one_minus_S",
    "optimum_loss",
    "best_loss",
    "prototypes_loss",
    "optimum",
    "trained",
    "prototypes",
    "optimum_name",
    "reached",
    "tied",
    "lucky",
)
"""Columns of maps.csv, a row for each cell."""

CAPTIONS = {
    "phases": "Phases of the optimum, of the best trained models and of the prototypes.",
    "luck": "How lucky one model must be, how near the best come, and who disagrees where.",
}


def pictures(found: Found) -> dict[str, bytes]:
    """The two pictures of a map as PNG files, by what they show."""
    from studies.maps_draw import draw_luck, draw_phases
    from validate.plotting import png

    return {"phases": png(draw_phases(found)), "luck": png(draw_luck(found))}


def stem(report: Report, found: Found, what: str) -> str:
    """File name of a picture, as phase-diagram-2-1-luck.png."""
    return f"{report.suite.name}-{found.plan.n}-{found.plan.d}-{what}.png"


def section(report: Report, drawn: Mapping[str, dict[str, bytes]]) -> Iterator[str]:
    """What a page says of the maps; ``drawn`` holds the pictures of each by its name."""
    from studies.maps import summary

    maps = report.judgement.maps
    if not maps:
        return
    yield "<h2>Maps</h2>"
    values = [summary(found) for found in maps]
    yield table(("", *(v["map"] for v in values)), list(rows(values)))
    for found, value in zip(maps, values, strict=True):
        yield f"<h3>{escape(found.plan.name)}</h3>"
        yield f"<p>{escape(found.plan.reason)}</p>"
        for what, image in drawn[found.plan.name].items():
            yield embedded(image, CAPTIONS[what])
        yield table(
            ("phase", "optimum", "trained", "prototypes", "the optimum's names"),
            [
                (
                    one["phase"],
                    *(f"{one[key]:.2%}" for key in ("optimum", "trained", "prototypes")),
                    "; ".join(one["names"]),
                )
                for one in value["phases"]
            ],
        )
        if value["others"]:
            yield table(
                ("the optimum's phase", "trained instead", "tied", "cells"),
                [
                    (one["optimum"], one["trained"], "yes" if one["tied"] else "no", one["cells"])
                    for one in value["others"]
                ],
            )


def rows(values: Sequence[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """The summaries of maps side by side, a row for each number."""

    def row(text: str, say: Any) -> tuple[str, ...]:
        return (text, *(str(say(v)) for v in values))

    yield row("cells × models in each", lambda v: f"{v['cells']} × {v['models'] // v['cells']}")
    yield row(
        "best has the optimum's loss (within)", lambda v: f"{v['reached']:.2%} ({v['within']:.2%})"
    )
    yield row("its largest excess", lambda v: f"{v['largest_excess']:.2g}")
    yield row("best has the optimum's phase", lambda v: f"{v['same_phase']:.2%}")
    yield row("another phase, tied with it", lambda v: f"{v['tied']:.2%}")
    yield row("another phase", lambda v: f"{v['other_phase']:.2%}")
    yield row(
        "prototypes: another phase than the best trained",
        lambda v: f"{v['prototypes_other_than_trained']:.2%}",
    )
    yield row(
        "prototypes: another phase than the optimum",
        lambda v: f"{v['prototypes_other_than_optimum']:.2%}",
    )
    yield row(
        "where prototypes and optimum differ: best trained has the optimum's phase",
        lambda v: (
            "" if v["contested_won"] is None else f"{v['contested_won']:.1%} of {v['contested']}"
        ),
    )
    yield row(
        "prototypes: loss above the optimum's, median and most",
        lambda v: f"{v['prototypes_above_optimum'][1]:.2%}, {v['prototypes_above_optimum'][2]:.2%}",
    )
    yield row(
        "best trained lies below every prototype", lambda v: f"{v['trained_below_prototypes']:.2%}"
    )
    yield row(
        "one model reaches the optimum's phase: mean, least",
        lambda v: f"{v['one_model_lucky']:.1%}, {v['least_lucky']:.1%}",
    )
    yield row(
        "cells in which less than a quarter of models do", lambda v: v["cells_below_a_quarter"]
    )
    yield row("cells with a feature too weak to be read off", lambda v: v["faint"])


def cells_csv(maps: Sequence[Found]) -> str:
    """Every cell of every map as CSV."""
    lines: list[list[Any]] = []
    for found in maps:
        reached, tied = found.reached(found.right), found.tied(found.right)
        for i, r in enumerate(found.plan.ratio):
            for j, S in enumerate(found.plan.S):
                at = (i, j)
                lines.append(
                    [
                        *(found.plan.name, r, S, 1.0 - S),
                        *(float(found.right.loss[at]), float(found.best_loss[at])),
                        float(found.prototypes.loss[at]),
                        *(str(found.right.phase[at]), str(found.best_phase[at])),
                        *(str(found.prototypes.phase[at]), str(found.right.name[at])),
                        *(bool(reached[at]), bool(tied[at]), float(found.lucky[at])),
                    ]
                )
    return render(CELL_COLUMNS, lines, "csv", "cells of the maps")


__all__ = ["CELL_COLUMNS", "cells_csv", "pictures", "rows", "section", "stem"]
