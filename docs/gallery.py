"""Draws every picture of docs/geometry.md.

    python docs/gallery.py [--only NAME ...]

Codes of the catalogue are drawn from their exact Gram matrices, the others are searched for first
(seed 0), so the pictures are made by what the project answers and by nothing else.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from packing.arrangement import Arrangement
from packing.bounds import best
from packing.catalogue import entry
from packing.plotting import draw_code
from packing.search import search

FOLDER = Path(__file__).resolve().parent / "pictures" / "geometry"

# file name -> (n, d, criterion) to search for, or the name of an entry of the catalogue
GALLERY: dict[str, tuple[int, int, str] | str] = {
    "points-13": (13, 3, "angle"),
    "points-20": (20, 3, "angle"),
    "snub-cube": "snub cube",
    "lines-16": (16, 3, "lines"),
    "24-cell": "24-cell",
    "600-cell": "600-cell",
    "clebsch": "5-demicube",
    "schlaefli": "Schlaefli code",
    "e8": "E8 roots",
    "hoffman-singleton": "Hoffman-Singleton code",
    "higman-sims": "Higman-Sims code",
    "mclaughlin": "McLaughlin code",
}


def draw(name: str, wanted: tuple[int, int, str] | str) -> Path:
    """Draw one picture of the gallery; the path of the file."""
    if isinstance(wanted, str):
        known = entry(wanted)
        shape: Arrangement = known.arrangement
        lines, value = False, known.max_cosine.value
        title = f"{wanted}: {known.n} points in R^{known.d}, largest cosine {known.max_cosine.text}"
    else:
        n, d, criterion = wanted
        found = search(n, d, criterion)
        shape, value, lines = found.arrangement, found.value, criterion == "lines"
        kind = "lines, coherence" if lines else "points, largest cosine"
        title = f"best known {n} {kind} {value:.12f} in R^{d}"
    bound = best(shape.n, shape.d, "coherence" if lines else "max_cosine")
    return draw_code(
        shape,
        FOLDER / f"{name}.png",
        title=title,
        lines=lines,
        rattlers=shape.movable(lines=lines) if not isinstance(wanted, str) else None,
        bound=bound.value if bound else None,
        bound_name=bound.name if bound else "",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=sorted(GALLERY), help="these pictures only")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, wanted in GALLERY.items():
        if not options.only or name in options.only:
            print(draw(name, wanted).relative_to(FOLDER.parent.parent.parent), flush=True)


if __name__ == "__main__":
    main()
