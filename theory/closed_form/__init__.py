"""Exact losses of symmetric blocks: formulas in S, enclosed minima, and where two phases cross.

closed_form(block, law)     the loss of a block as a function of norm, bias and S
ClosedForm.minimum(S)       its least value, enclosed
ClosedForm.pieces()         the same for all S, as rational functions (binary law)
mixture(...), crossing(...) sums of blocks, and the S where two of them cost the same
broken(block, part)         the block with its symmetry broken: two norms, two biases
takeover(...)               the S at which a broken block begins to win, exactly
"""

from theory.closed_form.binary import Formula, Minimum
from theory.closed_form.crossings import Crossing, Mixture, crossing, mixture
from theory.closed_form.form import ClosedForm, closed_form
from theory.closed_form.pieces import Piece
from theory.closed_form.points import Point
from theory.closed_form.takeover import broken, takeover
from theory.closed_form.unequal import Broken, BrokenMinimum

__all__ = [
    "Broken",
    "BrokenMinimum",
    "ClosedForm",
    "Crossing",
    "Formula",
    "Minimum",
    "Mixture",
    "Piece",
    "Point",
    "broken",
    "closed_form",
    "crossing",
    "mixture",
    "takeover",
]
