"""The rows of `packing table`: phases compared, in the same columns whatever the format.

candidates.py    candidates: the phases that compete at one S
laws.py          laws: the same phases under three laws, side by side
critical.py      critical: S* and S_onset over a grid of n and d (programme.py)
ladders.py       phases: the ladder of mixtures beside that of optima (theory.remembered)
catalogue.py     blocks, surplus: the catalogue by gain per dimension, and where the best changes
parts.py         blocks and mixtures at one S, and how their losses are known

Every row says how it is known: exact (a formula, or the root of a polynomial), rigorous (enclosed
by interval arithmetic), numerical. Mixtures are upper bounds on the optimum either way.
"""

from __future__ import annotations
