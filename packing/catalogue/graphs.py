"""Spherical codes of strongly regular graphs.

The vertices of srg(v, k, l, m), projected to the eigenspace of its smallest eigenvalue s, are v
unit vectors with two cosines that form a tight frame (Delsarte, Goethals and Seidel 1977). The
larger restricted eigenvalue r gives a second arrangement, which is that of the complement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from packing.catalogue import regular
from packing.catalogue.constructions import FAMILIES, Graph, known, named, single
from packing.catalogue.entry import Entry, ExactGram, Int, affordable
from packing.catalogue.exact import assemble
from packing.catalogue.numbers import RATIONALS
from packing.catalogue.parameters import Parameters
from packing.errors import BadInput

BOOK = "Brouwer and Van Maldeghem 2022"


def adjacency(graph: str | Parameters) -> Int:
    """Adjacency matrix of a strongly regular graph, built and checked in exact arithmetic.

    Parameters
    ----------
    graph : str or Parameters
        A name ("Higman-Sims", "T(7)", "Paley(13)", "GQ(3,9)", "Petersen", "Schlaefli", with or
        without the word graph) or parameters, for which one graph is built, not every one.

    Returns
    -------
    (v, v) array of zeros and ones, read-only.

    Raises
    ------
    BadInput
        If the name is unknown, no construction is known here, or memory would not suffice.
    """
    if isinstance(graph, str):
        graph = named(graph)
    found = known(graph)
    if found is None:
        raise BadInput(f"{graph}: no construction is known here, ask for its rows of cosines")
    affordable(f"the adjacency matrix of {graph}", graph.v, graph.v)
    one, far = found
    A = one.make()
    return regular.verified(regular.complement(A) if far else A, graph)


def srg(v: int, k: int, l: int, m: int) -> Entry:
    """The arrangement of srg(v, k, l, m) in the eigenspace of its smallest eigenvalue.

    Parameters
    ----------
    v, k, l, m : int
        Vertices, degree, common neighbours of adjacent and of other vertices. Give those of the
        complement for the eigenspace of the other eigenvalue.

    Returns
    -------
    Entry
        v vectors in R^g. Built where a construction is known here; otherwise `built` is False, and
        dimension and row of cosines hold for every such graph, if there is one. Graphs with equal
        parameters can differ: the construction says which one is meant.

    Raises
    ------
    BadInput
        If no graph can have these parameters, or it is known that none has.
    """
    graph = Parameters(v, k, l, m)
    found = known(graph)
    if found is not None:
        return _entry(*found)
    return Entry(
        name=f"{graph} code",
        d=graph.g,
        n=v,
        rows=((v, graph.row()),),
        symmetry_order=None,
        claims=(),
        construction=f"parameters only: no construction of {graph} is known here, nor whether one "
        "exists",
    )


def by_name(name: str) -> Entry | None:
    """The arrangement called "srg(v,k,l,m)", or after a graph: "T(20) code"; None if none is.

    Raises
    ------
    BadInput
        If it is a name of that form, of a graph that cannot exist.
    """
    four = r",\s*".join([r"(\d{1,12})"] * 4)
    parts = re.fullmatch(rf"srg\({four}\)(?: code)?", name.strip())
    if parts:
        return srg(*(int(x) for x in parts.groups()))
    try:
        return srg(*named(name).key) if name.endswith(" code") else None
    except BadInput:
        return None


def listing() -> tuple[Entry, ...]:
    """The catalogue's strongly regular graphs, both eigenspaces of each; nothing is built yet."""
    return tuple(_entries())


def _entries() -> Iterator[Entry]:
    families = (make(index) for make, listed in FAMILIES.values() for index in listed)
    for graph in (*single(), *families):
        if graph.listed:
            yield _entry(graph, False)
        if graph.far_listed:
            yield _entry(graph, True)


def _entry(graph: Graph, far: bool) -> Entry:
    parameters = graph.parameters.complement if far else graph.parameters
    if far:
        name = graph.far_code or f"{graph.name} complement code"
        construction = f"complement of the {graph.name} graph ({graph.construction})"
    else:
        name = graph.code or f"{graph.name} code"
        construction = f"{graph.name} graph: {graph.construction}"
    return Entry(
        name=name,
        d=parameters.g,
        n=parameters.v,
        rows=((parameters.v, parameters.row()),),
        symmetry_order=graph.order,
        claims=graph.far_claims if far else graph.claims,
        construction=f"{construction}; {parameters} in the eigenspace of its smallest eigenvalue "
        f"({BOOK})",
        build=lambda: _gram(parameters),
        aliases=(str(parameters), *(() if far else graph.aliases)),
    )


def _gram(graph: Parameters) -> ExactGram:
    A = adjacency(graph)
    index = 2 - A  # 1 for neighbours, 2 for the others
    np.fill_diagonal(index, 0)
    return assemble(index, (RATIONALS(1), *graph.cosines()))
