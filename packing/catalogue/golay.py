"""The extended binary Golay code and the Steiner systems in it.

Positions 0 ... 22 are the integers modulo 23, position 23 is infinity. Construction: the quadratic
residue code (Conway and Sloane, Sphere Packings, Lattices and Groups, chapters 3 and 11).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Int = NDArray[np.int64]


@lru_cache(maxsize=1)
def codewords() -> Int:
    """The 4096 words of length 24, shape (4096, 24), zeros and ones; read-only.

    Spanned over GF(2) by the translates modulo 23 of the set of non-residues with 0, and by the
    word of ones.
    """
    residues = {i * i % 23 for i in range(1, 23)}
    start = [x for x in range(23) if x not in residues]
    rows = [np.ones(24, dtype=np.int64)]
    for shift in range(23):
        row = np.zeros(24, dtype=np.int64)
        row[[(x + shift) % 23 for x in start]] = 1
        rows.append(row)
    words = np.zeros((1, 24), dtype=np.int64)
    for row in _independent(rows):
        words = np.concatenate([words, words ^ row])
    words.setflags(write=False)
    return words


def octads() -> Int:
    """The 759 words of weight 8, the blocks of S(5,8,24), shape (759, 24)."""
    words = codewords()
    return words[words.sum(axis=1) == 8]


def heptads() -> Int:
    """The 253 blocks of S(4,7,23): octads through infinity, without it, shape (253, 23)."""
    blocks = octads()
    return blocks[blocks[:, 23] == 1][:, :23]


def hexads() -> Int:
    """The 77 blocks of S(3,6,22): heptads through 22, without it, shape (77, 22)."""
    blocks = heptads()
    return blocks[blocks[:, 22] == 1][:, :22]


def _independent(rows: list[Int]) -> list[Int]:
    """A basis over GF(2) of the span of the rows, in echelon form."""
    basis: list[tuple[int, Int]] = []
    for row in rows:
        rest = row.copy()
        for pivot, old in basis:
            if rest[pivot]:
                rest ^= old
        if rest.any():
            basis.append((int(np.argmax(rest)), rest))
    return [row for _, row in basis]
