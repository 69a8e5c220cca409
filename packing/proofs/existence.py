"""Proofs that a code with a given contact graph exists, by interval arithmetic.

A search ends with floats. Here contacts become equations (`packing.proofs.contact_equations`), a
Krawczyk test proves that they have an exact solution near the floats, and balls show that every
pair that does not touch stays below the cosine of those that do. Where the equations are more than
can be independent even under the symmetry, exact arithmetic on the Gram matrix is tried
(`packing.proofs.exact_gram`). Derived here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import numpy as np
from numpy.typing import ArrayLike

from packing.algebra.balls import Ball, ends
from packing.arrangement import Arrangement, ContactGraph
from packing.errors import BadInput
from packing.proofs.certificates import Criterion, as_arrangement
from packing.proofs.contact_equations import (
    TOLERANCE,
    Box,
    Model,
    apart,
    contact_structure,
    plain_model,
    rattle,
    solution,
    symmetric_model,
    trimmed,
    value,
)
from packing.proofs.exact_gram import exact_gram
from packing.results import Evidence, Result
from packing.types import Float

CLEAR = 10.0
"""Contacts are clear if they agree to TOLERANCE / CLEAR and all other pairs are TOLERANCE * CLEAR
below; in between a pair might be either."""

EXACT = 240
"""Exact Gram matrices of more vectors than this are not tried."""

UNKNOWNS = 700
"""More unknowns than this are not tried: the test multiplies matrices of that size in balls."""


@dataclass(frozen=True, eq=False, repr=False)
class Existence(Result):
    """What is proved about a code near the one that was given.

    Parameters
    ----------
    status : Evidence
        ``proved``; ``enclosed`` (the code exists and its largest cosine is in the enclosure, but
        some contacts are only known to agree to ``digits``); ``unsettled``: the sentence says why
        (more contacts than independent equations, a test that failed, contacts that are unclear,
        vectors that can all move, too many unknowns).
    sentence : str
        The same in words, with advice where it is not proved.
    method : str
        ``intervals``, ``intervals, symmetric`` or ``exact Gram matrix``; empty if nothing is
        proved.
    cosine, radius : str
        The largest cosine (lines: |cosine|) of the code that exists, as a decimal and how far it
        can be off; empty if nothing is proved.
    enclosure : (Fraction, Fraction) or None
        The same as exact ends.
    contacts : int
        Touching pairs of the core.
    rattlers : tuple of int
        Vectors that touch nothing once the others are where they are.
    unknowns, equations : int
        Of the system that was tested (rotations are not among the equations).
    symmetry : int
        Order of the symmetry group that was used; 1 without. For lines it acts on the 2n points.
    flexes : int
        Dimensions in which the contacts leave the core free beside rotations (among codes with that
        symmetry); 0 means that the code is the only one near; numerical.
    """

    status: Evidence
    sentence: str
    method: str = ""
    cosine: str = ""
    radius: str = ""
    enclosure: tuple[Fraction, Fraction] | None = None
    contacts: int = 0
    rattlers: tuple[int, ...] = ()
    unknowns: int = 0
    equations: int = 0
    symmetry: int = 1
    flexes: int = 0
    digits: int = 0

    @property
    def proved(self) -> bool:
        return self.status is Evidence.PROVED

    def _values(self) -> Mapping[str, Any]:
        names = ("status", "sentence", "method", "cosine", "radius", "contacts", "rattlers")
        more = ("unknowns", "equations", "symmetry", "flexes", "digits")
        return {name: getattr(self, name) for name in (*names, *more)}

    def _facts(self) -> Sequence[tuple[str, str]]:
        return [("exists", self.status), ("why", self.sentence), ("cosine", self.cosine or "-")]


def existence(
    arrangement: ArrayLike | Arrangement,
    contacts: ArrayLike | None = None,
    *,
    criterion: Criterion = "angle",
    digits: int = 60,
    tolerance: float = TOLERANCE,
) -> Existence:
    """Prove that a code with the contacts of this one exists, and enclose its largest cosine.

    Parameters
    ----------
    arrangement : (d, n) array or Arrangement
        A polished code: contacts equal to about 1e-12 (norms play no role).
    contacts : (m, 2) array of int, optional
        The touching pairs; by default those within the tolerance of the largest cosine.
    criterion : {"angle", "lines"}
        Whether a contact is a largest cosine or a largest |cosine|.
    digits : int
        Decimal digits of the enclosure, 15 to 1000.
    tolerance : float
        Which cosines are contacts.

    Returns
    -------
    Existence
        If its status is ``proved``: n unit vectors in R^d exist, near the given ones, with exactly
        these contacts among the core at one cosine inside the enclosure, every other pair strictly
        below it (proved; a guess made in floating point can only make the proof fail).

    Raises
    ------
    BadInput
        If there are fewer than two vectors, a zero one, or an argument is out of range.
    """
    whole = as_arrangement(arrangement)
    if not 15 <= digits <= 1000:
        raise BadInput(f"digits = {digits} is out of range: give 15 to 1000")
    lines = criterion == "lines"
    graph, touches = contact_structure(whole, contacts, tolerance, lines)
    m, n = graph.pairs.shape[0], len(graph.core)
    facts: dict[str, Any] = {"contacts": m, "rattlers": graph.rattlers, "digits": digits}
    if contacts is None and (graph.spread * CLEAR > tolerance or graph.gap < tolerance * CLEAR):
        return Existence(
            Evidence.UNSETTLED,
            f"contacts differ by {graph.spread:.1e} and the nearest other pair by {graph.gap:.1e}: "
            "polish the code, choose a tolerance between the two, or name the contacts",
            **facts,
        )
    if not m:
        return Existence(
            Evidence.UNSETTLED, "every vector can move: the contacts hold nothing in place", **facts
        )
    core = whole.directions[:, list(graph.core)]
    axes, values, _ = np.linalg.svd(core)
    r = int((values > 1e-6).sum())
    X, held = axes[:, :r].T @ core, touches[np.ix_(graph.core, graph.core)]
    bits = int(digits * 3.3220) + 16
    tried: list[str] = []
    square = n + m <= n * r + 1 - r * (r - 1) // 2
    large = False
    loose = axes.T @ whole.directions[:, list(graph.rattlers)]
    kinds: tuple[str, ...] = ("intervals", "intervals, symmetric")
    if lines and graph.cosine < tolerance:  # orthogonal: the sign of t is not determined
        kinds = ()
    for kind in kinds:
        if kind == "intervals":
            large = n * r + 1 > UNKNOWNS
            model = plain_model(X, held, lines) if square and not large else None
        else:
            model = symmetric_model(X, held, lines, bits, tolerance)
        if model is None or model.equations.unknowns > UNKNOWNS or not model.equations.independent:
            continue
        tried.append(kind)
        box = model.equations.prove(bits)
        if box is None or not apart(model, box, lines):
            continue
        if not rattle(model, box, loose, lines):
            continue
        return _proved(model, box, kind, whole, criterion, facts)
    if square and large and not tried:
        return Existence(
            Evidence.UNSETTLED, f"{n * r + 1} unknowns are more than {UNKNOWNS}: not tried", **facts
        )
    exact = _exact(whole, graph, criterion, facts)
    if exact is not None:
        return exact
    if not tried and kinds and n * r < UNKNOWNS:
        near = _enclosed(plain_model(X, held, lines), loose, whole, criterion, facts)
        if near is not None:
            return near
    if tried:
        return Existence(
            Evidence.UNSETTLED,
            "the Krawczyk test or the comparison with the other pairs failed: polish the code, or "
            "check the contacts",
            **facts,
        )
    return Existence(
        Evidence.UNSETTLED,
        f"{n + m} equations (norms and contacts) for {n * r + 1} unknowns less "
        f"{r * (r - 1) // 2} rotations are not independent, under the symmetry group neither: "
        "intervals cannot prove such a code",
        **facts,
    )


def _shown(ball: Ball, digits: int) -> dict[str, Any]:
    """A ball as a decimal with its radius and its exact ends."""
    mid = "0" if ball.contains(0) else ball.str(digits, radius=False)
    return {"cosine": mid, "radius": ball.rad().str(2, radius=False), "enclosure": ends(ball)}


def _proved(
    model: Model,
    box: Box,
    method: str,
    whole: Arrangement,
    criterion: Criterion,
    facts: dict[str, Any],
) -> Existence:
    digits = int(facts["digits"])
    system = model.equations
    flexes = max(0, system.gauge.shape[0] - model.rotations)
    what = "|cosine|" if criterion == "lines" else "cosine"
    kind = " among codes of this symmetry" if model.symmetry > 1 else ""
    alone = (
        f"locally the only ones{kind}" if not flexes else f"one of a family with {flexes} flexes"
    )
    with flint.ctx.workprec(int(digits * 3.3220) + 80):
        shown = _shown(solution(box)[-1], digits)
    return Existence(
        Evidence.PROVED,
        f"{whole.n} unit vectors in R^{whole.d} with exactly these contacts and largest {what} "
        f"{shown['cosine'][:17]}.. exist near the given ones (proved by {method}); up to rotation "
        f"they are {alone} (numerical)",
        method=method,
        unknowns=system.unknowns,
        equations=len(system.forms),
        symmetry=model.symmetry,
        flexes=flexes,
        **shown,
        **facts,
    )


def _enclosed(
    model: Model, loose: Float, whole: Arrangement, criterion: Criterion, facts: dict[str, Any]
) -> Existence | None:
    """The same with a largest independent part of the contacts, the others agreeing to digits."""
    lines, digits = criterion == "lines", int(facts["digits"])
    bits = int(digits * 3.3220) + 16
    part, out = trimmed(model)
    box = part.equations.prove(bits) if part.equations.independent else None
    if box is None or not apart(part, box, lines) or not rattle(part, box, loose, lines):
        return None
    with flint.ctx.workprec(bits + 64):
        x = solution(box)
        t = x[-1]
        for form in out:
            size = value(part, form, x) * form.sign
            if not abs(size - x[-1]) < flint.arb(10) ** -digits:
                return None
            t = t.union(size)
        shown = _shown(t, digits)
    kept = int(facts["contacts"]) - len(out)
    return Existence(
        Evidence.ENCLOSED,
        f"{whole.n} unit vectors in R^{whole.d} exist near the given ones with {kept} of these "
        f"{facts['contacts']} contacts, the others equal to {digits} digits but not proved equal: "
        f"the largest cosine {shown['cosine'][:17]}.. is proved to that accuracy (intervals)",
        method="intervals",
        unknowns=part.equations.unknowns,
        equations=len(part.equations.forms),
        **shown,
        **facts,
    )


def _exact(
    whole: Arrangement, graph: ContactGraph, criterion: Criterion, facts: dict[str, Any]
) -> Existence | None:
    """The proof by an exact Gram matrix, for codes without rattlers."""
    if graph.rattlers or whole.n > EXACT:
        return None
    found = exact_gram(whole, criterion=criterion)
    point = found.largest.point if found.largest is not None else None
    if point is None or found.contacts is None:
        return None
    if set(map(tuple, found.contacts.tolist())) != set(map(tuple, graph.pairs.tolist())):
        return None
    digits = int(facts["digits"])
    with flint.ctx.workprec(int(digits * 3.3220) + 80):
        shown = _shown(point.ball(int(digits * 3.3220) + 80), digits)
    return Existence(
        Evidence.PROVED,
        f"{whole.n} unit vectors in R^{whole.d} with exactly these contacts and largest cosine "
        f"{point.text} exist near the given ones (proved by the rank of an exact Gram "
        "matrix)",
        method="exact Gram matrix",
        **shown,
        **facts,
    )
