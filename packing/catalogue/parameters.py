"""Parameters of strongly regular graphs: what they must satisfy and what follows from them.

A graph is strongly regular, srg(v, k, l, m), when it has v vertices of degree k, adjacent ones with
l common neighbours and others with m. Facts from Brouwer and Van Maldeghem, Strongly Regular Graphs
(2022), chapters 1 and 8; the eigenspaces as spherical codes from Delsarte, Goethals and Seidel,
Spherical codes and designs (1977).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from packing.catalogue.entry import Row
from packing.catalogue.numbers import Number
from packing.catalogue.surd import surd
from packing.errors import BadInput

Eigenspace = Literal["r", "s"]

LARGEST = 10**9
"""Vertices or lines beyond which parameters are refused: numbers are split by trial."""

LARGEST_FACTORIAL = 500
"""Orders of larger symmetric groups are not written out."""

ABSENT = {
    (49, 16, 3, 6): "Bussemaker, Haemers, Mathon and Wilbrink 1989",
    (57, 14, 1, 4): "Wilbrink and Brouwer 1983",
    (75, 32, 10, 16): "Azarija and Marc 2018",
    (76, 21, 2, 7): "Haemers 1993",
    (76, 30, 8, 14): "Bondarenko, Prymak and Radchenko 2017",
    (76, 35, 18, 14): "Azarija and Marc 2018, Yu 2015",
    (95, 40, 12, 20): "Azarija and Marc 2020",
    (96, 38, 10, 18): "Degraer 2007",
    (96, 45, 24, 18): "Azarija and Marc 2020",
    (289, 54, 1, 12): "Bondarenko and Radchenko 2013",
    (324, 57, 0, 12): "Gavrilyuk and Makhnev 2005, Kaski and Ostergard 2008",
}
"""Parameters that pass every test here although no such graph exists, and who proved that."""


@dataclass(frozen=True)
class Parameters:
    """srg(v, k, l, m), checked.

    Parameters
    ----------
    v, k, l, m : int
        Vertices, degree, common neighbours of adjacent and of other vertices; 0 < m < k, so that
        graph and complement are connected and no eigenspace repeats a vector.

    Raises
    ------
    BadInput
        If a necessary condition fails (edge count, multiplicities that are whole numbers or the
        conference case with v a sum of two squares, Krein, absolute bound), or the graph is known
        not to exist. Passing does not mean that a graph exists.
    """

    v: int
    k: int
    l: int
    m: int

    def __post_init__(self) -> None:
        whole = all(isinstance(x, int) and not isinstance(x, bool) for x in self.key)
        if not whole or min(self.key) < 0:
            raise BadInput(f"{self}: v, k, l, m are whole numbers, not negative")
        v, k, l, m = self.key
        if v > LARGEST:
            raise BadInput(f"{self}: give v <= {LARGEST}")
        if not (0 < k < v - 1 and l < k and m <= k):
            raise BadInput(f"{self}: give 0 < k < v - 1, l < k and m <= k")
        if k * (k - l - 1) != (v - k - 1) * m:
            raise BadInput(
                f"{self}: no such graph, paths of length two must satisfy "
                f"k (k - l - 1) = (v - k - 1) m, here {k * (k - l - 1)} and {(v - k - 1) * m}"
            )
        if m in (0, k):
            raise BadInput(
                f"{self}: a union of complete graphs or its complement, whose eigenspaces repeat "
                "vectors or split; ask for simplices instead"
            )
        self._check_multiplicities()
        self._check_inequalities()
        for key in (self.key, self._other):
            if key in ABSENT:
                raise BadInput(f"{self}: no such graph or complement exists ({ABSENT[key]})")

    def __str__(self) -> str:
        return f"srg({self.v},{self.k},{self.l},{self.m})"

    @property
    def key(self) -> tuple[int, int, int, int]:
        """(v, k, l, m)."""
        return self.v, self.k, self.l, self.m

    @property
    def _other(self) -> tuple[int, int, int, int]:
        v, k, l, m = self.key
        return v, v - k - 1, v - 2 - 2 * k + m, v - 2 * k + l

    @property
    def complement(self) -> Parameters:
        """Parameters of the complement, whose s is -1 - r."""
        return Parameters(*self._other)

    @property
    def conference(self) -> bool:
        """True when both multiplicities are (v - 1) / 2 whatever the eigenvalues."""
        return 2 * self.k + (self.v - 1) * (self.l - self.m) == 0

    @property
    def _discriminant(self) -> int:
        return (self.l - self.m) ** 2 + 4 * (self.k - self.m)

    @property
    def r(self) -> Number:
        """The larger restricted eigenvalue, exact."""
        return surd(Fraction(self.l - self.m, 2), Fraction(1, 2), self._discriminant)

    @property
    def s(self) -> Number:
        """The smaller restricted eigenvalue, exact; negative."""
        return surd(Fraction(self.l - self.m, 2), Fraction(-1, 2), self._discriminant)

    @property
    def f(self) -> int:
        """Multiplicity of r."""
        return self.v - 1 - self.g

    @property
    def g(self) -> int:
        """Multiplicity of s."""
        if self.conference:
            return (self.v - 1) // 2
        excess = 2 * self.k + (self.v - 1) * (self.l - self.m)
        return (self.v - 1 + excess // math.isqrt(self._discriminant)) // 2

    def dimension(self, eigenspace: Eigenspace = "s") -> int:
        """Dimension of the eigenspace: g for s, f for r."""
        return self.g if eigenspace == "s" else self.f

    def cosines(self, eigenspace: Eigenspace = "s") -> tuple[Number, Number]:
        """Cosines of adjacent and of other vertices projected to the eigenspace, exact.

        s / k and -(1 + s) / (v - k - 1), the same with r: the projection is a polynomial in the
        adjacency matrix, and its rows sum to zero.
        """
        value = self.s if eigenspace == "s" else self.r
        return value / self.k, -(value + 1) / (self.v - self.k - 1)

    def row(self, eigenspace: Eigenspace = "s") -> Row:
        """Row of cosines of every vector of the eigenspace, decreasing, with multiplicities."""
        near, far = self.cosines(eigenspace)
        row = ((near.cosine, self.k), (far.cosine, self.v - self.k - 1))
        return tuple(sorted(row, key=lambda item: -item[0].value))

    def _check_multiplicities(self) -> None:
        v, D = self.v, self._discriminant
        if self.conference:
            if not sum_of_two_squares(v):
                raise BadInput(
                    f"{self}: no such graph, in the conference case v must be a sum of two squares "
                    "(Belevitch; Van Lint and Seidel 1966)"
                )
            return
        root = math.isqrt(D)
        excess = 2 * self.k + (v - 1) * (self.l - self.m)
        if root * root != D or excess % root or (v - 1 + excess // root) % 2:
            raise BadInput(
                f"{self}: no such graph, the multiplicities of its eigenvalues are no whole numbers"
            )
        if min(self.f, self.g) < 1:
            raise BadInput(f"{self}: no such graph, a multiplicity is not positive")

    def _check_inequalities(self) -> None:
        v = self.v
        for name, space in (("f", "r"), ("g", "s")):
            d = self.f if space == "r" else self.g
            if 2 * v > d * (d + 3):
                raise BadInput(
                    f"{self}: no such graph, the absolute bound asks for v <= {name} ({name} + 3) "
                    f"/ 2 = {d * (d + 3) // 2}"
                )
        if self.conference:  # both Krein conditions follow from feasibility
            return
        k, r, s = self.k, self.r.coefficients[0], self.s.coefficients[0]
        for x, y in ((r, s), (s, r)):
            if (x + 1) * (k + x + 2 * x * y) > (k + x) * (y + 1) ** 2:
                raise BadInput(
                    f"{self}: no such graph, a Krein condition fails (a triple intersection "
                    "number would be negative)"
                )


def sum_of_two_squares(v: int) -> bool:
    """True if v = x^2 + y^2 in whole numbers."""
    return any(math.isqrt(v - i * i) ** 2 == v - i * i for i in range(math.isqrt(v) + 1))


def factorial(n: int) -> int | None:
    """n!, or None where it is too long to be of use."""
    return math.factorial(n) if n <= LARGEST_FACTORIAL else None
