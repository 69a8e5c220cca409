"""The uniform prototypes of the literature, as exact expressions, and where they cross.

Elhage et al. 2022 (Toy Models of Superposition; closed forms in the repository
wattenberg/superposition) compare models that are not optimised: represented features have unit
norms and no bias, ignored ones their best bias. Under these conditions each costs a polynomial in S
of degree n, so its exact values at n + 1 rational S (`theory.symmetric`, uniform law) fix it:
nothing here is typed in. The last feature, called extra, has importance r and the others 1.

Proved under the stated conditions. They are no optima: once norms and biases move, losses fall and
the boundaries shift (`theory.diagrams.importance_map` has the true ones).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from packing.errors import BadInput
from packing.types import Float
from theory.features import law_named
from theory.symmetric import closed_form

LAW = "uniform"
BLOCKS: dict[str, tuple[tuple[Fraction, int], ...]] = {
    "dedicated": (),
    "digon": ((Fraction(-1), 1),),
    "triangle": ((Fraction(-1, 2), 2),),
}
"""Rows of cosines of the blocks that prototypes are made of."""


@dataclass(frozen=True)
class Prototype:
    """A model with unit norms and no bias.

    Parameters
    ----------
    name : str
    groups : tuple of (block, features)
        Which features form which block; those in none are ignored.
    loss : sympy expression
        Total loss in the symbols S and r; exact.
    """

    name: str
    groups: tuple[tuple[str, tuple[int, ...]], ...]
    loss: Any

    def __call__(self, S: Float, ratio: Float) -> Float:
        """The loss at numbers, broadcast."""
        from sympy import lambdify

        value = lambdify(symbols(), self.loss, "numpy")(np.asarray(S), np.asarray(ratio))
        shape = np.broadcast_shapes(np.shape(S), np.shape(ratio))
        return np.broadcast_to(np.asarray(value, dtype=float), shape)


def symbols() -> tuple[Any, Any]:
    """S, the chance that a feature is on, and r, the importance of the extra feature."""
    import sympy

    return sympy.Symbol("S", positive=True), sympy.Symbol("r", positive=True)


@lru_cache(maxsize=8)
def block_polynomial(block: str) -> Any:
    """Loss per feature of a block with unit norms and no bias: a polynomial in S, exact.

    Proved: the loss is a polynomial of degree at most n in S, fixed by its values at n + 1 points,
    which `theory.symmetric.closed_form` gives as fractions.
    """
    import sympy

    S, _ = symbols()
    form = closed_form(BLOCKS[block], LAW)
    points = [Fraction(k, form.n + 1) for k in range(1, form.n + 2)]
    values = [(sympy.Rational(s), form.loss(Fraction(1), Fraction(0), s)) for s in points]
    return sympy.expand(sympy.interpolate(values, S))


@lru_cache(maxsize=1)
def ignored_polynomial() -> Any:
    """Loss of an ignored feature with its best bias: the variance of x, exact."""
    import sympy

    S, _ = symbols()
    law = law_named(LAW)
    second, mean = (
        sympy.Rational(Fraction(x).limit_denominator(1000)) for x in (law.second, law.mean)
    )
    return sympy.expand(S * second - (S * mean) ** 2)


def prototypes(n: int, d: int) -> tuple[Prototype, ...]:
    """The candidates for n features in d dimensions, the last feature of importance r.

    Parameters
    ----------
    n, d : int
        (2, 1) or (3, 2).

    Returns
    -------
    tuple of Prototype

    Raises
    ------
    BadInput
        For other sizes.
    """
    if (n, d) == (2, 1):
        return (
            _prototype("extra ignored", n, ("dedicated", (0,))),
            _prototype("extra dedicated", n, ("dedicated", (1,))),
            _prototype("pair", n, ("digon", (0, 1))),
        )
    if (n, d) == (3, 2):
        return (
            _prototype("extra ignored", n, ("dedicated", (0,)), ("dedicated", (1,))),
            _prototype("extra dedicated, one other ignored", n, *_alone(0, 2)),
            _prototype("extra paired, one other dedicated", n, ("digon", (0, 2)), *_alone(1)),
            _prototype("extra dedicated, the others paired", n, ("digon", (0, 1)), *_alone(2)),
            _prototype("triangle", n, ("triangle", (0, 1, 2))),
        )
    raise BadInput(f"n = {n}, d = {d}: prototypes are known for (n, d) = (2, 1) and (3, 2)")


def _alone(*features: int) -> list[tuple[str, tuple[int, ...]]]:
    return [("dedicated", (i,)) for i in features]


def _prototype(name: str, n: int, *groups: tuple[str, tuple[int, ...]]) -> Prototype:
    import sympy

    _, r = symbols()
    weight = [sympy.Integer(1)] * (n - 1) + [r]
    placed = {i for _, members in groups for i in members}
    total = sum((weight[i] * ignored_polynomial() for i in range(n) if i not in placed), 0 * r)
    for block, members in groups:
        total += sum(weight[i] for i in members) * block_polynomial(block)
    return Prototype(name, groups, sympy.expand(total))


def crossings(a: Prototype, b: Prototype) -> tuple[Any, ...]:
    """The S at which two prototypes cost the same, as expressions in r; S = 0 is left out.

    Parameters
    ----------
    a, b : Prototype
        Of the same features.

    Returns
    -------
    tuple of sympy expression
        Real for some r > 0; whether S lies in (0, 1] there, and a third is lower, is not asked.
    """
    import sympy

    S, _ = symbols()
    gap = sympy.factor_list(sympy.expand(a.loss - b.loss), S)[1]
    found = []
    for factor, _ in gap:
        if sympy.degree(factor, S) >= 1 and factor != S:
            found += [sympy.simplify(root) for root in sympy.solve(factor, S)]
    return tuple(found)


def best(candidates: Sequence[Prototype], ratio: Float, S: Float) -> np.ndarray:
    """Which prototype costs least at each ratio (R,) and S (M,): indices (R, M)."""
    losses = [p(S[None, :], ratio[:, None]) for p in candidates]
    return np.asarray(np.argmin(np.stack(losses), axis=0))
