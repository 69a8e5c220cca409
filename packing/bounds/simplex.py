"""The simplex bound in R^4: no packing of caps on S^3 is denser than in a regular tetrahedron.

Coxeter 1963 conjectured it, K. Boroczky proved it (Acta Math. Acad. Sci. Hungar. 32 (1978)
243-261). Caps of angular radius t/2 around the vertices of a regular spherical tetrahedron with
edge t cover part of it: each vertex takes the share (3 a - pi) / (4 pi) of its cap, a the dihedral
angle. So n points with angle t satisfy n <= 2 pi (3 a - pi) / V, V the tetrahedron's volume. The
600-cell's cells are such tetrahedra: 120 points are met exactly. In R^3 the same idea is Fejes
Toth's bound.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from packing.bounds.nouns import BITS, Bound, down

BOROCZKY = "Coxeter 1963; K. Boroczky, Acta Math. Acad. Sci. Hungar. 32 (1978) 243-261"


def points_at(edge: Any) -> Any:
    """Ball around 2 pi (3 a - pi) / V for an edge (ball) in (0, pi/2]; BITS of precision.

    cos a = cos t / (1 + 2 cos t); by Schlaefli's formula dV = 3 t da, which gives
    V = 3 integral_0^t u sin u / ((1 + 2 cos u) sqrt((1 + cos u)(1 + 3 cos u))) du.
    """
    from flint import acb, arb

    def slope(u: Any, analytic: bool) -> Any:
        c = u.cos()
        root = ((1 + c) * (1 + 3 * c)).sqrt(analytic=analytic)
        return u * u.sin() / ((1 + 2 * c) * root)

    volume = 3 * acb.integral(slope, 0, acb(edge)).real
    c = arb(edge).cos()
    dihedral = (c / (1 + 2 * c)).acos()
    return 2 * arb.pi() * (3 * dihedral - arb.pi()) / volume


def _points_float(edge: float, nodes: Any, weights: Any) -> float:
    u = 0.5 * edge * (nodes + 1.0)
    c = np.cos(u)
    slope = u * np.sin(u) / ((1.0 + 2.0 * c) * np.sqrt((1.0 + c) * (1.0 + 3.0 * c)))
    volume = 1.5 * edge * float(weights @ slope)
    return 2.0 * math.pi * (3.0 * _dihedral(edge) - math.pi) / volume


def _dihedral(edge: float) -> float:
    c = math.cos(edge)
    return math.acos(c / (1.0 + 2.0 * c))


@lru_cache(maxsize=4096)
def boroczky(n: int, d: int) -> Bound | None:
    """d = 4, n >= 8: the largest cosine is at least that of the edge whose bound is n.

    The edge is found in floats; then ball arithmetic proves that a slightly larger edge allows
    fewer than n points. None outside d = 4 and where floats are too coarse (n above 10^12).
    """
    if d != 4 or not 8 <= n <= 10**12:
        return None
    from flint import arb, ctx

    nodes, weights = np.polynomial.legendre.leggauss(40)
    low, high = 1e-6, math.pi / 2  # points_at falls from infinity to 8 on this interval
    while (middle := 0.5 * (low + high)) not in (low, high):
        if _points_float(middle, nodes, weights) > n:
            low = middle
        else:
            high = middle
    with ctx.workprec(BITS):
        edge, step = high, 1e-15
        while edge < math.pi / 2 and not points_at(arb(edge)) < n:
            edge, step = high * (1.0 + step), 4.0 * step
        value = 0.0 if edge >= math.pi / 2 else down(arb(edge).cos())
    exact, shape = {120: ("(1 + sqrt(5))/4", "600-cell"), 8: ("0", "cross-polytope")}.get(
        n, (None, None)
    )
    return Bound(
        "Boroczky simplex",
        "max_cosine",
        "at least",
        value,
        exact,
        "d = 4, n >= 8",
        BOROCZKY,
        attained=shape,
    )
