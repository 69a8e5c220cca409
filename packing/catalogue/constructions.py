"""Which strongly regular graphs can be built, from what, and how symmetric they are.

Orders of automorphism groups and constructions from Brouwer and Van Maldeghem, Strongly Regular
Graphs (2022), chapter 10, unless a source is given.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from packing.catalogue import regular
from packing.catalogue.claims import BACHOC_VALLENTIN, UNIVERSAL, proved
from packing.catalogue.entry import Claim, Int
from packing.catalogue.fields import prime_power
from packing.catalogue.parameters import Parameters, factorial
from packing.errors import BadInput

TRIANGLE_FREE = proved("spherical code", "Cohn, de Laat & Leijenhorst, arXiv 2403.16874 (2024)")


@dataclass(frozen=True, eq=False)
class Graph:
    """A strongly regular graph that can be built.

    Parameters
    ----------
    name : str
        Without the word graph.
    parameters : Parameters
    make : callable
        Makes the adjacency matrix (v, v).
    order : int or None
        Automorphisms, from the literature.
    construction : str
        How it is built.
    code, far_code : str
        Names of the arrangements in the eigenspaces of s and r, where they have one of their own;
        empty for "<name> code" and "<name> complement code".
    claims, far_claims : tuple of Claim
        What they are optimal for.
    listed, far_listed : bool
        False where the arrangement is in the catalogue from another construction.
    aliases : tuple of str
        Other names of the arrangement in the eigenspace of s.
    """

    name: str
    parameters: Parameters
    make: Callable[[], Int]
    order: int | None
    construction: str
    code: str = ""
    far_code: str = ""
    claims: tuple[Claim, ...] = ()
    far_claims: tuple[Claim, ...] = ()
    listed: bool = True
    far_listed: bool = True
    aliases: tuple[str, ...] = ()


# --- what can be built --------------------------------------------------------------------------


@lru_cache(maxsize=1)
def single() -> tuple[Graph, ...]:
    """Graphs that belong to no family here."""
    return (
        Graph(
            "Clebsch",
            Parameters(16, 5, 0, 2),
            regular.clebsch,
            1920,
            "folded 5-cube",
            code="5-demicube",
            claims=(UNIVERSAL,),
            listed=False,
            aliases=("Clebsch code",),
        ),
        Graph(
            "Hoffman-Singleton",
            Parameters(50, 7, 0, 1),
            regular.hoffman_singleton,
            252000,
            "Robertson's five pentagons and five pentagrams",
            claims=(TRIANGLE_FREE,),
        ),
        Graph(
            "Gewirtz",
            Parameters(56, 10, 0, 2),
            regular.gewirtz,
            80640,
            "hexads of S(3,6,22) that miss a point, adjacent when disjoint",
            claims=(TRIANGLE_FREE,),
        ),
        Graph(
            "M22",
            Parameters(77, 16, 0, 4),
            regular.m22,
            887040,
            "hexads of S(3,6,22), adjacent when disjoint",
            claims=(TRIANGLE_FREE,),
        ),
        Graph(
            "Higman-Sims",
            Parameters(100, 22, 0, 6),
            regular.higman_sims,
            88704000,
            "a vertex, the points and the hexads of S(3,6,22)",
            claims=(UNIVERSAL,),
        ),
        Graph(
            "U4(3)",
            Parameters(162, 56, 10, 24),
            regular.mclaughlin_far,
            13063680,
            "second subconstituent of the McLaughlin graph",
            claims=(UNIVERSAL,),
        ),
        Graph(
            "Goethals-Seidel",
            Parameters(105, 32, 4, 12),
            regular.goethals_seidel,
            241920,
            "second subconstituent of the U4(3) graph",
        ),
        Graph(
            "Brouwer-Haemers",
            Parameters(81, 20, 1, 6),
            regular.brouwer_haemers,
            233280,
            "points of GQ(3,9) not collinear with a given one",
        ),
        Graph(
            "M22 on 176",
            Parameters(176, 70, 18, 34),
            regular.heptads_176,
            443520,
            "heptads of S(4,7,23) that miss a point, adjacent when they meet once",
        ),
        Graph(
            "M23",
            Parameters(253, 112, 36, 60),
            regular.heptads_253,
            10200960,
            "heptads of S(4,7,23), adjacent when they meet once",
        ),
        Graph(
            "McLaughlin",
            Parameters(275, 112, 30, 56),
            regular.mclaughlin,
            1796256000,
            "points, hexads and heptads of S(4,7,23) and S(3,6,22) in it",
            claims=(UNIVERSAL,),
        ),
    )


def triangular(size: int) -> Graph:
    return Graph(
        f"T({size})",
        Parameters(math.comb(size, 2), 2 * (size - 2), size - 2, 4),
        lambda: regular.triangular(size),
        factorial(size),
        f"pairs out of {size} points, adjacent when they share one",
        code="Petersen complement code" if size == 5 else "",
        far_code="Petersen code" if size == 5 else f"rectified {size - 1}-simplex",
        far_claims=(proved("spherical code", BACHOC_VALLENTIN),) if size == 5 else (),
        far_listed=False,  # midpoints of the edges of a simplex
    )


def lattice(size: int) -> Graph:
    return Graph(
        f"L({size})",
        Parameters(size * size, 2 * (size - 1), size - 2, 2),
        lambda: regular.lattice(size),
        2 * order**2 if (order := factorial(size)) and size <= 300 else None,
        f"cells of a board of {size} rows and columns, adjacent when in line",
        far_listed=size > 3,  # L(3) is its own complement
    )


def paley(q: int) -> Graph:
    split = prime_power(q)
    assert split is not None
    return Graph(
        f"Paley({q})",
        Parameters(q, (q - 1) // 2, (q - 5) // 4, (q - 1) // 4),
        lambda: regular.paley(q),
        split[1] * q * (q - 1) // 2,  # Carlitz 1960
        f"elements of GF({q}), adjacent when they differ by a square",
        code="pentagon" if q == 5 else "",
        far_code="pentagon" if q == 5 else f"Paley({q}) code",
        claims=(UNIVERSAL,) if q == 5 else (),
        listed=q != 5,
        far_listed=False,  # the graph is its own complement
    )


def quadrangle(q: int) -> Graph:
    split = prime_power(q)
    assert split is not None
    # collineations of the dual, the Hermitian surface: PGammaU(4, q)
    order = 2 * split[1] * q**6 * (q**2 - 1) * (q**3 + 1) * (q**4 - 1)
    small = q == 2
    return Graph(
        f"GQ({q},{q * q})",
        Parameters((q + 1) * (q**3 + 1), q * (q * q + 1), q - 1, q * q + 1),
        lambda: regular.quadric(q),
        order,
        f"points of the elliptic quadric in PG(5,{q}), adjacent when collinear",
        code="Schlaefli code" if small else "",
        far_code="Schlaefli complement code" if small else "",
        claims=(UNIVERSAL,),
        listed=not small,
        far_listed=q <= 3,  # beyond, hundreds of dimensions
        aliases=(f"isotropic subspaces code, q = {q}",),
    )


FAMILIES: dict[str, tuple[Callable[[int], Graph], tuple[int, ...]]] = {
    "T": (triangular, tuple(range(5, 13))),
    "L": (lattice, tuple(range(3, 9))),
    "Paley": (paley, (5, 13, 17, 25, 29, 37, 41, 49, 53, 61)),
    "GQ": (quadrangle, (2, 3, 4, 5)),
}
"""Families with the members that the catalogue lists; others are built when they are asked for."""

LARGEST_GRAPH = 2**14
"""Vertices beyond which no adjacency matrix is built."""

OTHER_NAMES = {
    "C5": "Paley(5)",
    "pentagon": "Paley(5)",
    "Petersen": "T(5) complement",
    "Schlaefli": "GQ(2,4) complement",
    "Schlaefli complement": "GQ(2,4)",
}


def member(family: str, index: int) -> Graph | None:
    """T(index), L(index), Paley(index) or GQ(index, index^2), if there is one."""
    exists = {
        "T": index >= 5,
        "L": index >= 3,
        "Paley": index % 4 == 1 and prime_power(index) is not None,
        "GQ": prime_power(index) is not None,
    }[family]
    return FAMILIES[family][0](index) if exists else None


def known(graph: Parameters) -> tuple[Graph, bool] | None:
    """A construction of a graph with these parameters, and whether it is of the complement."""
    v = graph.v
    if v > LARGEST_GRAPH:
        return None
    guesses = {"T": (1 + math.isqrt(1 + 8 * v)) // 2, "L": math.isqrt(v), "Paley": v}
    guesses["GQ"] = math.isqrt(math.isqrt(v))  # v lies between q^4 and (q + 1)^4
    for far, wanted in ((False, graph), (True, graph.complement)):
        members = (member(family, index) for family, index in guesses.items())
        for found in (*single(), *members):
            if found is not None and found.parameters == wanted:
                return found, far
    return None


def named(name: str) -> Parameters:
    """Parameters of the graph with this name.

    Raises
    ------
    BadInput
        If no graph is called that here.
    """
    short = name.removesuffix(" graph").removesuffix(" code").strip()
    short = OTHER_NAMES.get(short, short)
    other = short.removesuffix(" complement")
    found = {graph.name: graph for graph in single()}.get(other)
    parts = re.fullmatch(r"(T|L|Paley|GQ)\((\d{1,5})(?:,(\d{1,5}))?\)", other)
    if parts and (parts[3] is None) != (parts[1] == "GQ"):
        index = int(parts[2])
        if parts[3] is None or int(parts[3]) == index**2:
            found = member(parts[1], index)
    if found is None:
        names = ", ".join(graph.name for graph in single())
        raise BadInput(
            f"no strongly regular graph is called {name!r} here: give C5, Petersen, Schlaefli, "
            f"{names}, T(n), L(n), Paley(q), GQ(q,q^2), or Parameters(v, k, l, m)"
        )
    return found.parameters if short == other else found.parameters.complement
