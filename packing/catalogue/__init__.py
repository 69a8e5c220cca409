"""Named arrangements, exact: polygons, polytopes, root systems, strongly regular graphs, lines.

entry("24-cell").vectors          unit vectors, one per column
entry("E7 56-code").rows          cosines with multiplicities, exact
entries(d=4)                      everything there is in R^4
candidates(27, 6)                 what 27 vectors in R^6 may be called
"""

from __future__ import annotations

import difflib
import re
from functools import lru_cache

from packing.catalogue import codes, graphs, lattices, polytopes
from packing.catalogue import equiangular_lines as lines
from packing.catalogue.entry_types import Claim, Cosine, Entry, ExactGram, Row
from packing.catalogue.equiangular_lines import equiangular
from packing.catalogue.graphs import srg
from packing.catalogue.polytopes import FAMILIES, POLYGON, SIDED, Family, prism_entry
from packing.errors import BadInput

__all__ = [
    "Claim",
    "Cosine",
    "Entry",
    "ExactGram",
    "Row",
    "candidates",
    "entries",
    "entry",
    "equiangular",
    "srg",
]

SMALL_COUNT, SMALL_DIMENSION = 24, 8
"""Members of families up to this size are listed when neither n nor d is asked for."""

LARGEST_MEMBER = 4096
"""Members of families beyond this parameter are not made: their rows alone would be long."""


@lru_cache(maxsize=1)
def _finite() -> tuple[Entry, ...]:
    """Entries that belong to no family; the first of two with one name is kept."""
    found: dict[str, Entry] = {}
    for one in (
        *polytopes.listing(),
        *lattices.root_codes(),
        *codes.listing(),
        *graphs.listing(),
        *lines.listing(),
        *lattices.leech_codes(),
    ):
        found.setdefault(one.name, one)
    return tuple(found.values())


@lru_cache(maxsize=4096)
def _member(family: Family, p: int) -> Entry:
    return family.make(p)


SOLIDS = {(4, False): "cube", (2, True): "tetrahedron", (3, True): "octahedron"}
"""Prisms and antiprisms, by sides and twist, that are Platonic solids when edges are equal."""


@lru_cache(maxsize=512)
def _prism(k: int, twisted: bool) -> Entry:
    return prism_entry(k, twisted)


def _members(n: int | None, d: int | None, largest: int) -> list[Entry]:
    """Members of families of that size, n vectors in R^d, or of any where None."""
    found = []
    for family in FAMILIES:
        for p in range(family.first, LARGEST_MEMBER + 1):
            size = family.size(p)
            if size[0] > largest or (n is not None and size[0] > n):
                break
            small = size[0] <= SMALL_COUNT and size[1] <= SMALL_DIMENSION
            fits = small if n is None and d is None else n in (None, size[0])
            if fits and d in (None, size[1]):
                found.append(_member(family, p))
    if d in (None, 3):
        for k in range(3, (SMALL_COUNT if n is None else min(n, largest)) // 2 + 1):
            if n in (None, 2 * k):
                found += [_prism(k, x) for x in (False, True) if (k, x) not in SOLIDS]
    return found


def entries(
    n: int | None = None, d: int | None = None, *, largest: int = 2000
) -> tuple[Entry, ...]:
    """The catalogue, or what it holds for n vectors, for dimension d, or for both.

    Parameters
    ----------
    n, d : int, optional
        Number of vectors and dimension. Without them families appear with their small members.
    largest : int
        Entries of more vectors are left out.

    Raises
    ------
    BadInput
        If n, d or largest is not a positive whole number.
    """
    for name, value in (("n", n), ("d", d), ("largest", largest)):
        if value is not None and not (isinstance(value, int) and value >= 1):
            raise BadInput(f"{name} = {value!r}: give a positive whole number")
    fixed = [
        one for one in _finite() if one.n <= largest and n in (None, one.n) and d in (None, one.d)
    ]
    found = {one.name: one for one in (*_members(n, d, largest), *fixed)}
    return tuple(sorted(found.values(), key=lambda x: (x.d, x.n)))


@lru_cache(maxsize=512)
def candidates(n: int, d: int) -> tuple[Entry, ...]:
    """Rigid arrangements of n vectors spanning R^d, d >= 2, that do not split into blocks.

    Most special name first. Prisms of free height are left to `polytopes.prisms`. Only built
    entries; their float vectors need no formulas.
    """
    if d < 2 or n <= d:
        return ()
    found = [one for one in _finite() if (one.n, one.d) == (n, d) and one.built]
    for family in FAMILIES:
        if not family.rigid or (family is POLYGON) != (d == 2 and n >= 5):
            continue
        p = n if family is POLYGON else d
        if p >= family.first and p <= LARGEST_MEMBER and family.size(p) == (n, d):
            found.append(_member(family, p))
    return tuple(found)


# --- by name ------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _by_name() -> dict[str, Entry]:
    known: dict[str, Entry] = {}
    for one in (*_finite(), *_members(None, None, 10**6)):
        for name in (one.name, *one.aliases):
            known.setdefault(_plain(name), one)
    return known


def _plain(name: str) -> str:
    """Names are compared without capitals, and hyphens count as spaces, but "-3" is no 3."""
    sign = "-" if name.lstrip().startswith("-") else ""
    return sign + " ".join(name.lower().replace("_", " ").replace("-", " ").split())


def entry(name: str) -> Entry:
    """The entry of that name.

    Parameters
    ----------
    name : str
        ``24-cell``, ``E8 roots``, or a member of a family: ``13-gon``, ``7-simplex``,
        ``6-cross-polytope``, ``D7 roots``, ``9-gonal antiprism``, ``srg(27,10,1,5)``. Capitals
        do not matter, and a space is as good as a hyphen.

    Raises
    ------
    BadInput
        If there is no such name; the message lists close ones.
    """
    if not isinstance(name, str) or not name.strip():
        raise BadInput(f"{name!r} is no name: give one such as '24-cell' or '7-simplex'")
    wanted = _plain(name)
    known = _by_name()
    for form in (wanted, f"{wanted} code"):  # Clebsch is the code of that graph
        if form in known:
            return known[form]
    found = _family_member(wanted) or graphs.by_name(name) or lines.by_name(name)
    if found is not None:
        return found
    close = difflib.get_close_matches(wanted, known, n=4, cutoff=0.5)
    names = dict.fromkeys(known[x].name for x in close)
    hint = ", ".join(names) if names else "24-cell, E8 roots, 7-simplex, 13-gon"
    raise BadInput(f"{name!r} is not in the catalogue: try {hint}, or list it with entries()")


def _family_member(wanted: str) -> Entry | None:
    for family in FAMILIES:
        head, tail = _plain(family.pattern.replace("{}", "@")).split("@")
        match = re.fullmatch(re.escape(head) + r"(\d{1,9})" + re.escape(tail), wanted)
        if match is None:
            continue
        p = int(match[1])
        if p in family.others:
            return entry(family.others[p])
        if p < family.first:
            least = min([family.first, *family.others])
            raise BadInput(f"{wanted!r} does not exist: give a number of at least {least}")
        _modest(wanted, p)
        return _member(family, p)
    sides = {name: k for k, name in SIDED.items()}
    match = re.fullmatch(r"(?:(\d{1,9}) gonal|(\w+)) (anti)?prism", wanted)
    if match and (match[1] or match[2] in sides):
        k = int(match[1]) if match[1] else sides[match[2]]
        _modest(wanted, k)
        kind = k, match[3] is not None
        return entry(SOLIDS[kind]) if kind in SOLIDS else _prism(*kind)
    return None


def _modest(wanted: str, p: int) -> None:
    if p > LARGEST_MEMBER:
        raise BadInput(f"{wanted!r} is too large: give a number of at most {LARGEST_MEMBER}")
