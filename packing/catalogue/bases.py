"""Nine mutually unbiased bases of R^16, from the Nordstrom-Robinson code.

288 vectors: the coordinate axes, and the 256 words of the code with signs for zeros and ones, which
fall into eight bases more. Such Kerdock sets reach the orthoplex bound for lines (Calderbank,
Cameron, Kantor and Seidel, Proc. London Math. Soc. 75 (1997) 436-480).
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from packing.catalogue import golay
from packing.catalogue.claims import ORTHOPLEX, proved
from packing.catalogue.entry import Entry, ExactGram, Float, Int
from packing.catalogue.exact import assemble
from packing.catalogue.numbers import RATIONALS, rational


def nordstrom_robinson() -> Int:
    """The 256 words of the Nordstrom-Robinson code, shape (256, 16), zeros and ones.

    Words of the Golay code that meet an octad in nothing, or in its last point and at most one
    other, off that octad (Goethals 1971).
    """
    words = golay.codewords()
    octad = np.flatnonzero(golay.octads()[0])
    rest = np.setdiff1d(np.arange(24), octad)
    on = words[:, octad]
    none = on.sum(axis=1) == 0
    pair = (on.sum(axis=1) == 2) & (on[:, -1] == 1)
    return words[none | pair][:, rest]


def nine_bases() -> Int:
    """288 vectors with squared length 16, whole coordinates, shape (288, 16)."""
    axes = 4 * np.eye(16, dtype=np.int64)
    return np.concatenate([axes, -axes, 1 - 2 * nordstrom_robinson()])


def gram() -> ExactGram:
    """Exact Gram matrix of the 288 vectors."""
    X = nine_bases()
    kinds, index = np.unique(X @ X.T, return_inverse=True)
    numbers = [RATIONALS(Fraction(int(x), 16)) for x in kinds]
    return assemble(index.reshape(len(X), len(X)), numbers)


def coordinates() -> Float:
    """The 288 vectors, unit, (16, 288)."""
    return nine_bases().T / 4.0


def listing() -> tuple[Entry, ...]:
    """The code of 288; nothing is built yet."""
    # eight other bases of sixteen lines, fifteen lines at right angles, the opposite
    row = ((Fraction(1, 4), 16 * 8), (Fraction(0), 2 * 15), (Fraction(-1, 4), 16 * 8))
    return (
        Entry(
            name="Kerdock 288-code",
            d=16,
            n=288,
            rows=((288, (*((rational(x), m) for x, m in row), (rational(-1), 1))),),
            symmetry_order=2**9 * math.factorial(9) // 2,  # 2^(1+8).A9: A9 acts on the bases
            claims=(
                proved("universal", "Cohn, de Laat & Leijenhorst, arXiv 2403.16874 (2024)"),
                proved("lines", ORTHOPLEX),
            ),
            construction="both unit vectors on the lines of nine mutually unbiased bases: the axes "
            "and the Nordstrom-Robinson code (Calderbank, Cameron, Kantor & Seidel 1997)",
            build=gram,
            coordinates=coordinates,
        ),
    )
