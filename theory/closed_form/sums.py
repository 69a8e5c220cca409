"""Loss of one feature that sees others at few different weights; for any kind of number.

z = b + u_0 x + sum_l u_l Y_l, x the own feature and Y_l the sum of m_l others. Binary: a sum over
how many of each kind are on. Uniform: a sum over vertices of the cube, every other feature of
weight u giving S y/u at the vertex "1" and 1 - S - S y/u at "0", y^q standing for tau_+^q / q!
(docs/theory.md, section 3.2). With y/2 for z_+^2/2 and the own feature integrated, the vertex
x = 1 gives -2 S y^2/u_0 + 2 S (1/u_0 + 1/u_0^2) y^3, the vertex x = 0 the rest.

Fractions give exact numbers, balls give balls and jets give slopes and Hessians too: proved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from packing.errors import NotReached
from theory.closed_form.jets import Jet, negative, positive, powers

LARGEST = 20_000
"""Terms of a sum up to which it is made."""

Weights = Sequence[tuple[Any, int]]


def binary(own: Any, others: Weights, bias: Any, S: Any) -> Any:
    """E (x - z_+)^2, a feature that is on having the value 1.

    Parameters
    ----------
    own : number
        u_0.
    others : sequence of (u_l, m_l)
    bias, S : number

    Raises
    ------
    NotReached
        If there are more than LARGEST terms, or a jet sits at a kink.
    """
    _affordable(others)
    off, table = 1 - S, [(bias, S * 0 + 1)]
    for u, m in others:
        shares = [math.comb(m, j) * S**j * off ** (m - j) for j in range(m + 1)]
        steps = [u * 0, u]
        for _ in range(m - 1):
            steps.append(steps[-1] + u)
        table = [
            (z + steps[j] if j else z, weight * shares[j])
            for z, weight in table
            for j in range(m + 1)
        ]
    total = bias * 0
    for z, weight in table:
        low, high = _square(z), positive(z + own)
        total = total + low * (off * weight) + (high * high - 2 * high + 1) * (S * weight)
    return total


def _square(z: Any) -> Any:
    """z_+^2, whose derivative is continuous."""
    return 2 * powers(z, 2)[2]


def uniform(own: Any, others: Weights, bias: Any, S: Any) -> Any:
    """E (x - z_+)^2, a feature that is on being uniform on [0, 1]; arguments as for `binary`.

    Weights must not be 0, and u_0 must be positive; small ones cost digits.
    """
    _affordable(others)
    off, table = 1 - S, [(bias, [S * 0 + 1])]
    degree = 0
    for u, m in others:
        share = S / u
        shares = [share * 0 + 1]
        for _ in range(m):
            shares.append(shares[-1] * share)
        factors = []  # of j features at the vertex 1, from y^j on
        for j in range(m + 1):
            factors.append(
                [
                    shares[i + j]
                    * (math.comb(m, j) * math.comb(m - j, i) * (-1) ** i * off ** (m - j - i))
                    for i in range(m - j + 1)
                ]
            )
        wider = []
        steps = [u * 0, u]
        for _ in range(m - 1):
            steps.append(steps[-1] + u)
        for z, weight in table:
            for j, factor in enumerate(factors):
                wider.append((z + steps[j] if j else z, _times(weight, factor, j)))
        table, degree = wider, degree + m
    one = S / own
    both = 2 * one + 2 * one / own if not isinstance(one, Jet) else 2 * one + 2 * one * (1 / own)
    total = S / 3 + bias * 0
    for z, weight in table:
        for tau, two, three in ((z + own, -2 * one, both), (z, 2 * off, -both)):
            if negative(tau):
                continue
            power = powers(tau, degree + 3)
            low = high = None
            for r, w in enumerate(weight):
                if w is None:
                    continue
                a, b = w * power[r + 2], w * power[r + 3]
                low = a if low is None else low + a
                high = b if high is None else high + b
            total = total + low * two + high * three
    return total


def _times(weight: list[Any], factor: list[Any], shift: int) -> list[Any]:
    """Product of polynomials in y, the second multiplied by y^shift; None stands for 0."""
    out: list[Any] = [None] * (len(weight) + len(factor) - 1 + shift)
    for i, a in enumerate(weight):
        if a is None:
            continue
        for j, b in enumerate(factor):
            place = i + j + shift
            out[place] = a * b if out[place] is None else out[place] + a * b
    return out


def _affordable(others: Weights) -> None:
    terms = math.prod(m + 1 for _, m in others)
    if terms > LARGEST:
        raise NotReached(
            f"a feature of this block can receive {terms} combinations of inputs, more than "
            f"{LARGEST}: ask theory.loss for numbers",
            None,
        )
