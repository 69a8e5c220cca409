"""Optimal codes that are none of the classical polytopes: 7, 9 to 11, 13, 14 in R^3, 64 in R^14."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np

from packing.algebra.number_fields import RATIONALS, Field, Number
from packing.catalogue import references as by
from packing.catalogue.entry_types import Entry, ExactGram
from packing.catalogue.exact import Points, from_points, from_table
from packing.catalogue.lattices import nordstrom_robinson
from packing.catalogue.polytopes import icosahedron
from packing.types import Float

SEVEN = Field((1, -3, -9, 3), 1)
"""Q(x), x = 0.21... the cosine of the best seven points."""

TEN = Field((1, -2, -4, 7), 1)
"""Q(x), x = 0.40... the cosine of the best ten points."""

THIRTEEN = Field((1, -8, -12, 24, 38, 8, -12, -24, 1), 1)
"""Q(x), x = 0.54... the cosine of the best thirteen points."""

FOURTEEN = Field((-1, 0, 3, -2, 4), 1)
"""Q(x), x = 0.56... the cosine of the best fourteen points."""

Vector = list[Number]


def seven() -> ExactGram:
    """A pole, three points that touch it, and three that touch each other and two of those.

    With cosine x of touching points, h the depth of the last three below the centre: they touch
    each other if h^2 = (2x + 1)/3, and the middle three if (1 - x^2)(1 - h) = 4 x^2 (1 + h), so
    h = (1 - 5x^2)/(1 + 3x^2). Equating gives 3x^3 - 9x^2 - 3x + 1 = 0 or a root that is too
    large. Derived here; the arrangement is Schuette and van der Waerden's.

    Raises
    ------
    ArithmeticError
        If the two conditions on h disagree.
    """
    x = SEVEN.x
    h = (1 - 5 * x * x) / (1 + 3 * x * x)
    if h * h * 3 != 2 * x + 1:
        raise ArithmeticError("the last three points do not touch each other")
    middle = (3 * x * x - 1) / SEVEN(2)
    # opposite points of the two triangles: -hx - r s, where touching gives r s = 2x(1 + h)
    far = -h * x - 2 * x * (1 + h)
    pole = [SEVEN(1), x, x, x, -h, -h, -h]
    table = [pole]
    for i in range(3):
        same = [[SEVEN(1) if i == j else c for j in range(3)] for c in (middle, x)]
        other = [far if i == j else x for j in range(3)]
        table.insert(i + 1, [x, *same[0], *other])
        table.append([-h, *other, *same[1]])
    return from_table(table)


class Frame:
    """Vectors as coefficients of three unit vectors: one touches the others (cosine x in a field),
    and those have cosine y."""

    def __init__(self, x: Number, y: Number) -> None:
        self.x, self.y, zero, one = x, y, x.field(0), x.field(1)
        self.axes = [[one if i == j else zero for j in range(3)] for i in range(3)]

    def dot(self, u: Vector, v: Vector) -> Number:
        """Inner product."""
        own = u[0] * v[0] + u[1] * v[1] + u[2] * v[2]
        first = u[0] * (v[1] + v[2]) + (u[1] + u[2]) * v[0]
        return own + self.x * first + self.y * (u[1] * v[2] + u[2] * v[1])

    def flip(self, w: Vector, u: Vector, v: Vector) -> Vector:
        """The mirror image of w in the plane of u and v: cosines with u and v are kept."""
        g, wu, wv = self.dot(u, v), self.dot(w, u), self.dot(w, v)
        a, b = ((2 * (p - g * q)) / (1 - g * g) for p, q in ((wu, wv), (wv, wu)))
        return [a * y + b * z - t for y, z, t in zip(u, v, w, strict=True)]

    def gram(self, points: Sequence[Vector], contacts: int) -> ExactGram:
        """Their Gram matrix, which must have that many pairs at cosine x."""
        table = [[self.dot(u, v) for v in points] for u in points]
        found = sum(y == self.x for row in table for y in row) // 2
        if found != contacts:
            raise ArithmeticError(f"{found} pairs touch where there should be {contacts}")
        return from_table(table)


def ten() -> ExactGram:
    """Two strips of three touching triangles with common ends, and a pair across the gap.

    A strip p, q, c, r, s has triangles pqc, qcr, crs. Each next corner is a mirror image of one
    that is known, so in the basis q, c, r all coordinates lie in Q(x). The second strip is the
    mirror image of the first in the plane of p and s. The last two points, a p + b s and
    b p + a s, are of length 1 and touch each other if (a + b)^2 = (1 + x)/(1 + p.s) and
    (a - b)^2 = (1 - x)/(1 - p.s), and touch q and r if a x + b (q.s) = x. Without a and b that is
    7x^3 - 4x^2 - 2x + 1 = 0, or another factor. Derived here; the arrangement is Danzer's.

    Raises
    ------
    ArithmeticError
        If not all 19 pairs touch.
    """
    x = TEN.x
    frame = Frame(x, x)
    q, c, r = frame.axes
    p, s = frame.flip(r, q, c), frame.flip(q, c, r)
    g, y = frame.dot(p, s), frame.dot(q, s)
    # 2x = (a + b)(x + y) + (a - b)(x - y), squared to leave a + b alone
    sums, gaps = (1 + x) / (1 + g) * (x + y) * (x + y), (1 - x) / (1 - g) * (x - y) * (x - y)
    total = (4 * x * x + sums - gaps) / (4 * x * (x + y))
    gap = (2 * x - total * (x + y)) / (x - y)
    a, b = (total + gap) * Fraction(1, 2), (total - gap) * Fraction(1, 2)
    pair = [[m * u + n * v for u, v in zip(p, s, strict=True)] for m, n in ((a, b), (b, a))]
    return frame.gram([p, s, q, c, r, *(frame.flip(w, p, s) for w in (q, c, r)), *pair], 19)


def layers(frame: Frame) -> tuple[list[Vector], list[Vector], list[Vector]]:
    """Three rings of four around the frame's first axis n.

    The first holds the other two axes and their images under half a turn about n; the second the
    images of n over neighbours in the first, which it touches; the third the images of the first
    over neighbours in the second.
    """
    n, a, b = frame.axes
    c, d = ([2 * frame.x * z - t for z, t in zip(n, w, strict=True)] for w in (a, b))
    first = [a, b, c, d]
    second = [frame.flip(n, u, v) for u, v in zip(first, [b, c, d, a], strict=True)]
    third = [frame.flip(first[i], second[i - 1], second[i]) for i in range(4)]
    return first, second, third


def thirteen() -> ExactGram:
    """A pole and three rings of four, the last of which is a square of touching points.

    The first ring is a square that touches the pole, with cosine x^2 between neighbours; the
    last ring's neighbours touch if x^8 - 24x^7 - 12x^6 + 8x^5 + 38x^4 + 24x^3 - 12x^2 - 8x + 1 is
    zero. Derived here; the arrangement is Musin and Tarasov's.

    Raises
    ------
    ArithmeticError
        If not all 24 pairs touch.
    """
    x = THIRTEEN.x
    frame = Frame(x, x * x)
    first, second, third = layers(frame)
    return frame.gram([frame.axes[0], *first, *second, *third], 24)


def fourteen() -> ExactGram:
    """Two opposite points, four around each, and four between.

    Two neighbours in the first ring touch and the next two do not; the last ring touches the
    opposite of the pole if 4x^4 - 2x^3 + 3x^2 - 1 = 0. Derived here; the arrangement is Musin and
    Tarasov's.

    Raises
    ------
    ArithmeticError
        If not all 28 pairs touch.
    """
    x = FOURTEEN.x
    frame = Frame(x, x)
    first, second, third = layers(frame)
    pole = frame.axes[0]
    return frame.gram([pole, [-z for z in pole], *first, *second, *third], 28)


def nine() -> Points:
    """An equilateral triangle on the equator and a triangular prism turned by half a step.

    An equator point touches four of the prism: r/2 = 1/3; the prism's triangles have cosine
    h^2 - r^2/2 = 1/3 too. Axes are scaled by 1, sqrt 3 and sqrt 5, so coordinates are whole.
    """
    ring = np.array([[2, 0], [-1, 1], [-1, -1]])
    equator = np.column_stack([3 * ring, np.zeros(3, dtype=np.int64)])
    prism = [np.column_stack([-2 * ring, np.full(3, h)]) for h in (2, -2)]
    metric = np.diag([1, 3, 5])[:, :, None]
    return Points(np.concatenate([equator, *prism]), RATIONALS, metric)


def eleven() -> Points:
    """The icosahedron without one vertex."""
    whole = icosahedron()
    return Points(whole.X[1:], whole.field)


def sixty_four() -> Points:
    """Words of the Nordstrom-Robinson code that begin with two zeros, those left out, as signs."""
    words = nordstrom_robinson()
    return Points(1 - 2 * words[(words[:, :2] == 0).all(axis=1)][:, 2:])


def _tammes(
    n: int,
    order: int,
    source: str,
    build: Callable[[], ExactGram],
    construction: str,
    name: str = "",
    coordinates: Callable[[], Float] | None = None,
) -> Entry:
    """The best n points of R^3, and who proved that they are."""
    best = f"best {n} points"
    return Entry(
        name=name or best,
        d=3,
        n=n,
        rows=(),
        symmetry_order=order,
        claims=(by.proved("spherical code", source),),
        construction=construction,
        build=build,
        coordinates=coordinates,
        aliases=(*((best,) if name else ()), f"Tammes {n}"),
    )


@lru_cache(maxsize=1)
def listing() -> tuple[Entry, ...]:
    """What this module builds."""
    touching = (
        "A pole, three points that touch it, and three that touch each other and two of those."
    )
    strips = "Two strips of three touching triangles with common ends, and a pair across the gap."
    equator = "An equilateral triangle on the equator and a triangular prism turned by half a step."
    less = "The icosahedron without one vertex."
    rings = "A pole and three rings of four, the last of which is a square of touching points."
    poles = "Two opposite points, four around each, and four between."
    return (
        _tammes(7, 6, by.SCHUETTE_1951, seven, touching),
        _tammes(10, 4, by.DANZER, ten, strips),
        _tammes(
            9, 12, by.SCHUETTE_1951, lambda: nine().gram(), equator, "", lambda: nine().floats()
        ),
        _tammes(
            11,
            10,
            by.DANZER,
            lambda: eleven().gram(),
            less,
            "icosahedron less a vertex",
            lambda: eleven().floats(),
        ),
        _tammes(13, 8, by.THIRTEEN, thirteen, rings),
        _tammes(14, 8, by.MUSIN_TARASOV, fourteen, poles),
        from_points(
            "Nordstrom-Robinson 64-code",
            (64, 14),
            None,
            sixty_four,
            "The Nordstrom-Robinson code shortened twice, with signs for zeros and ones.",
            (by.conjectured("universal", by.BALLINGER),),
        ),
    )
