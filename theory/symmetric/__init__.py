"""Exact losses of symmetric blocks: formulas in S, enclosed minima, and where two phases cross.

closed_form(block, law)     the loss of a block as a function of norm, bias and S
ClosedForm.minimum(S)       its least value, enclosed
ClosedForm.pieces()         the same for all S, as rational functions (binary law)
mixture(...), crossing(...) sums of blocks, and the S where two of them cost the same
broken(block, part)         the block with its symmetry broken: two norms, two biases
takeover(...)               the S at which a broken block begins to win, exactly
orbit_form(block, law)      several kinds of vectors: norms and biases for each, a free height
formula_text(block, law)    formulas as text, LaTeX and enclosures

Where in S a symmetric form is its own optimum, a search says: `theory.symmetric.optimality`.
"""

from __future__ import annotations

from packing.algebra.roots import Point
from theory.symmetric.binary import Formula, Minimum, Piece
from theory.symmetric.crossings import Crossing, Mixture, crossing, mixture
from theory.symmetric.formatting import Printed, formula_text
from theory.symmetric.one_orbit import ClosedForm, closed_form
from theory.symmetric.orbits import OrbitForm, OrbitMinimum, Orbits, orbit_form
from theory.symmetric.symmetry_breaking import Broken, BrokenMinimum, broken, takeover

__all__ = [
    "Broken",
    "BrokenMinimum",
    "ClosedForm",
    "Crossing",
    "Formula",
    "Minimum",
    "Mixture",
    "OrbitForm",
    "OrbitMinimum",
    "Orbits",
    "Piece",
    "Point",
    "Printed",
    "broken",
    "closed_form",
    "crossing",
    "formula_text",
    "mixture",
    "orbit_form",
    "takeover",
]
