"""What the catalogue holds: named arrangements of unit vectors with exact inner products.

Everything exact is kept as whole numbers (which pairs have which cosine) beside a short list of
algebraic numbers. So a name costs nothing until its formulas are asked for, and
`packing.recognition` compares whole numbers instead of decimals.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from packing.algebra.number_fields import Cosine as Cosine
from packing.algebra.number_fields import cosine
from packing.arrangement import Arrangement
from packing.errors import BadInput
from packing.results import Result, Table
from packing.types import Float, Int

LARGEST_ARRAY = 2**30
"""Bytes one array may take; larger ones are refused before they are made."""


def affordable(what: str, *shape: int) -> None:
    """Refuse an array of eight-byte numbers that would be too large.

    Raises
    ------
    BadInput
        With the memory it would need.
    """
    size = 8 * math.prod(shape)
    if size > LARGEST_ARRAY:
        raise BadInput(
            f"{what} would be {' x '.join(map(_short, shape))} numbers and need "
            f"{_short(size // 2**30)} GiB of memory: give one that fits in "
            f"{LARGEST_ARRAY // 2**30} GiB, or use its rows alone"
        )


def _short(count: int) -> str:
    """A whole number, as a power of two where it is long."""
    return str(count) if count < 10**6 else f"about 2^{round(math.log2(count))}"


@dataclass(frozen=True, eq=False)
class ExactGram:
    """Inner products of n unit vectors, each one of a few exact numbers.

    Parameters
    ----------
    colours : (n, n) array of int
        Which cosine each pair has: an index into ``cosines``; symmetric, 0 on the diagonal and
        nowhere else unless vectors repeat. Read-only.
    cosines : tuple of Cosine
        Distinct, decreasing; the first is 1.
    """

    colours: Int
    cosines: tuple[Cosine, ...]

    @property
    def n(self) -> int:
        return int(self.colours.shape[0])

    @cached_property
    def floats(self) -> Float:
        """The Gram matrix in floating point, (n, n)."""
        return np.array([c.value for c in self.cosines])[self.colours]

    def row(self, i: int) -> tuple[tuple[Cosine, int], ...]:
        """Cosines of vector i with the n - 1 others, decreasing, with multiplicities."""
        counts = Counter(np.delete(self.colours[i], i).tolist())
        return tuple((self.cosines[c], counts[c]) for c in sorted(counts))

    @cached_property
    def rows(self) -> tuple[tuple[int, Row], ...]:
        """The different rows and how many vectors have each, the commonest first."""
        top = len(self.cosines)
        counts = np.zeros((self.n, top), dtype=np.int64)
        for colour in range(top):
            counts[:, colour] = (self.colours == colour).sum(axis=1)
        _, first, several = np.unique(counts, axis=0, return_index=True, return_counts=True)
        kinds = sorted(zip(several.tolist(), first.tolist(), strict=True), key=lambda x: (-x[0], x))
        return tuple((many, self.row(i)) for many, i in kinds)


Row = tuple[tuple[Cosine, int], ...]
"""Cosines with the other vectors, decreasing, with multiplicities."""


@dataclass(frozen=True)
class Claim:
    """What an arrangement is optimal for, and who says so.

    Parameters
    ----------
    optimal_for : str
        ``spherical code``, ``universal`` (least energy for every completely monotonic function of
        squared distance, which includes the spherical code), ``kissing``, ``lines``,
        ``equiangular lines`` ...
    status : {"proved", "conjectured"}
    source : str
        Who, where, when.
    """

    optimal_for: str
    status: Literal["proved", "conjectured"]
    source: str


@dataclass(frozen=True, eq=False, repr=False)
class Entry(Result):
    """A named arrangement of n unit vectors that span R^d.

    Parameters
    ----------
    name : str
        Its standard name, as `packing.recognition` prints it.
    d, n : int
    rows : tuple of (count, Row)
        The rows of cosines that occur and how many vectors have each; one for most. Given as ()
        they are read off the exact Gram matrix when first asked for.
    symmetry_order : int or None
        Number of relabellings that keep every cosine, from the literature or a formula (never from
        this project's own count: tests make the two meet).
    claims : tuple of Claim
    construction : str
        One sentence: how it is built, with its source.
    build : callable or None
        Makes the exact Gram matrix; None where only parameters and rows are known.
    coordinates : callable or None
        Makes float coordinates (d, n), where there is a better way than the Gram matrix.
    aliases : tuple of str
        Other names under which it is found.
    """

    name: str
    d: int
    n: int
    rows: tuple[tuple[int, Row], ...]
    symmetry_order: int | None
    claims: tuple[Claim, ...]
    construction: str
    build: Callable[[], ExactGram] | None = None
    coordinates: Callable[[], Float] | None = None
    aliases: tuple[str, ...] = ()

    if not TYPE_CHECKING:  # a type checker would take it as leave to use any attribute

        def __post_init__(self) -> None:
            if not self.rows and self.build is not None:
                del self.__dict__["rows"]

        def __getattr__(self, name: str) -> Any:
            if name != "rows":
                raise AttributeError(f"an Entry has no attribute {name!r}")
            rows = self.__dict__["rows"] = self.gram.rows
            return rows

    def __repr__(self) -> str:
        return f"Entry({self.name!r}: {self.n} vectors in R^{self.d})"

    @property
    def built(self) -> bool:
        """True if vectors can be made, False if only parameters and rows are known."""
        return self.build is not None or self.coordinates is not None

    @cached_property
    def gram(self) -> ExactGram:
        """The exact Gram matrix.

        Raises
        ------
        BadInput
            If only parameters and rows are known, or the matrix would not fit in memory.
        """
        if self.build is None:
            raise BadInput(
                f"{self.name} has {self._missing}: its exact Gram matrix is not made here"
            )
        affordable(f"the Gram matrix of {self.name}", self.n, self.n)
        return self.build()

    @cached_property
    def vectors(self) -> Float:
        """Unit vectors (d, n), read-only; from the coordinates, or the Gram matrix's eigenspace.

        Their inner products agree with the exact ones to 1e-14.

        Raises
        ------
        BadInput
            If only parameters and rows are known, or the vectors would not fit in memory.
        """
        affordable(f"the vectors of {self.name}", self.d, self.n)
        if self.coordinates is not None:
            V = self.coordinates()
        elif self.build is not None:
            V = factor(self.gram.floats, self.d)
        else:
            raise BadInput(f"{self.name} has {self._missing}: no vectors can be made")
        V = np.ascontiguousarray(V, dtype=np.float64)
        V.setflags(write=False)
        return V

    @property
    def _missing(self) -> str:
        return "coordinates only" if self.built else "no construction here, only rows of cosines"

    @property
    def arrangement(self) -> Arrangement:
        return Arrangement(self.vectors)

    @property
    def max_cosine(self) -> Cosine:
        """The largest cosine between two of the vectors."""
        return max((row[0][0] for _, row in self.rows if row), key=lambda c: c.value)

    @property
    def coherence(self) -> Cosine:
        """The largest |cosine| between two vectors that are not antipodal, with its sign."""
        found = (c for _, row in self.rows for c, _ in row if c != MINUS_ONE)
        return max(found, key=lambda c: (round(abs(c.value), 14), c.value), default=MINUS_ONE)

    def proved(self, optimal_for: str) -> bool:
        """True if a claim of that kind is proved; universal optima are best codes as well."""
        wanted = {optimal_for} | ({"universal"} if optimal_for == "spherical code" else set())
        return any(c.optimal_for in wanted and c.status == "proved" for c in self.claims)

    def _values(self) -> Mapping[str, Any]:
        return {
            "name": self.name,
            "aliases": list(self.aliases),
            "d": self.d,
            "n": self.n,
            "max_cosine": {"exact": self.max_cosine.text, "value": self.max_cosine.value},
            "rows": [
                {
                    "count": many,
                    "cosines": [
                        {"exact": c.text, "value": c.value, "multiplicity": m} for c, m in row
                    ],
                }
                for many, row in self.rows
            ],
            "symmetry_order": _printable(self.symmetry_order),
            "claims": [
                {"optimal_for": c.optimal_for, "status": c.status, "source": c.source}
                for c in self.claims
            ],
            "construction": self.construction,
            "built": self.built,
        }

    def _facts(self) -> Sequence[tuple[str, str]]:
        order = _printable(self.symmetry_order)
        facts = [
            ("arrangement", f"{self.name}, n = {self.n} in d = {self.d}"),
            ("largest cosine", self.max_cosine.text if self.n > 1 else "-"),
            ("symmetry", "-" if order is None else str(order)),
            ("construction", self.construction),
        ]
        return facts + [(c.status, f"{c.optimal_for}, {c.source}") for c in self.claims]

    def _tables(self) -> Sequence[Table]:
        rows = [[many, c.text, c.value, m] for many, row in self.rows for c, m in row]
        return [Table("Cosines", ["vectors", "cosine", "value", "multiplicity"], rows)]

    def plot(self, ax: Any = None) -> Any:
        """Draw the arrangement: on its sphere, or on the plane that shows most symmetry."""
        from packing.plotting import draw_points

        return draw_points(self.arrangement, ax)


MINUS_ONE = cosine(-1)


def factor(G: Float, d: int) -> Float:
    """Unit vectors (d, n) whose inner products are G (n, n), a Gram matrix of rank d."""
    values, axes = np.linalg.eigh(G)
    V = axes[:, -d:].T * np.sqrt(values[-d:, None])
    return np.asarray(V / np.linalg.norm(V, axis=0), dtype=np.float64)


def _printable(order: int | None) -> int | None:
    """The order, or None where it has more digits than Python agrees to print."""
    return order if order is None or order.bit_length() < 10_000 else None
