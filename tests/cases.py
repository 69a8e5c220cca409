"""Named adversarial inputs of a loss, fixed by seeds: what an optimiser would find and live in.

Every case is asked of every law. S is the probability that a feature is on, a number or one per
feature. Sizes stay where tests/reference.py is exact for generic weights: n <= 12.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Case:
    """One loss to be computed: weights (d, n), biases (n,), S (n,), importance (n,)."""

    name: str
    W: Float
    b: Float
    S: Float
    importance: Float

    @property
    def n(self) -> int:
        return int(self.b.size)

    def __str__(self) -> str:
        return self.name


def case(
    name: str,
    W: Float,
    b: float | Float = 0.0,
    S: float | Float = 0.3,
    importance: float | Float = 1.0,
) -> Case:
    """A case with scalars spread over the features."""
    W = np.atleast_2d(np.asarray(W, dtype=float))
    n = W.shape[1]
    b, S, importance = (np.broadcast_to(np.asarray(v, float), (n,)) for v in (b, S, importance))
    return Case(name, W, b.copy(), S.copy(), importance.copy())


def polygon(k: int, norm: float = 1.0, turn: float = 0.0) -> Float:
    """k vectors of that norm at equal angles, shape (2, k)."""
    angle = turn + 2.0 * np.pi * np.arange(k) / k
    return norm * np.stack([np.cos(angle), np.sin(angle)])


def gaussian(seed: int, d: int, n: int) -> Float:
    """Columns of expected squared norm 1, shape (d, n)."""
    W: Float = np.random.default_rng(seed).normal(size=(d, n)) / np.sqrt(d)
    return W


def biases(seed: int, n: int, scale: float = 0.3, centre: float = 0.0) -> Float:
    """Normal biases, shape (n,)."""
    return centre + scale * np.random.default_rng(1000 + seed).normal(size=n)


def chances(seed: int, n: int, low: float = 1e-4) -> Float:
    """One S per feature, logarithmically spread over [low, 1], the last one exactly 1."""
    S = low ** np.random.default_rng(2000 + seed).random(n)
    S[-1] = 1.0
    return S


def _random() -> Iterator[Case]:
    S_values = (1e-4, 1e-2, 0.05, 0.3, 0.5, 0.9, 1.0 - 1e-9, 1.0)
    for seed, S in enumerate(S_values):
        yield case(f"random 5,2 S={S!r}", gaussian(seed, 2, 5), biases(seed, 5), S)
        yield case(
            f"random 6,3 positive bias S={S!r}",
            gaussian(20 + seed, 3, 6),
            np.abs(biases(seed, 6)),
            S,
        )
    for seed, (n, d) in enumerate([(1, 1), (1, 3), (2, 1), (3, 1), (3, 2), (4, 5), (7, 4), (8, 3)]):
        yield case(f"random {n},{d}", gaussian(40 + seed, d, n), biases(seed, n), 0.2)
    yield case("random 8,5 one S each", gaussian(60, 5, 8), biases(60, 8), chances(60, 8))
    yield case(
        "random 7,2 one S each, near 0 and 1",
        gaussian(61, 2, 7),
        biases(61, 7),
        np.array([1e-4, 1e-4, 1.0 - 1e-9, 1.0, 0.5, 1e-3, 1.0 - 1e-4]),
    )
    yield case(
        "random 6,2 importance with zeros",
        gaussian(62, 2, 6),
        biases(62, 6),
        0.1,
        np.array([1.0, 0.0, 0.3, 0.0, 1e-9, 7.0]),
    )
    yield case(
        "random 6,2 importance from 1e-12 to 1e12",
        gaussian(63, 2, 6),
        biases(63, 6),
        0.1,
        np.array([1e-12, 1e12, 1.0, 1e-3, 1e6, 0.0]),
    )
    yield case(
        "random 6,2 strongly negative bias", gaussian(64, 2, 6), biases(64, 6, 0.1, -0.9), 0.1
    )
    yield case("random 6,2 bias below every pattern", gaussian(65, 2, 6), -50.0, 0.1)
    yield case("random 6,2 bias above every pattern", gaussian(66, 2, 6), 50.0, 0.1)
    yield case("random 10,3", gaussian(67, 3, 10), biases(67, 10), 0.1)
    yield case("random 10,4 S=1", gaussian(68, 4, 10), biases(68, 10), 1.0)
    yield case("random 12,3", gaussian(69, 3, 12), biases(69, 12), 0.05)
    yield case(
        "near-orthogonal 12,5 one S each", _near_orthogonal(12, 5, 1e-6), -0.05, chances(70, 12)
    )


def _near_orthogonal(n: int, d: int, eps: float) -> Float:
    """Signed coordinate axes, each moved by eps: most |a_j| are about eps."""
    W = np.zeros((d, n))
    for i in range(n):
        W[i % d, i] = (-1.0) ** (i // d) * (1.0 + 0.1 * i)
    return W + eps * gaussian(n + d, d, n)


def _small_weights() -> Iterator[Case]:
    for eps in (1e-3, 1e-6, 1e-9, 1e-13):
        for b in (0.0, -0.1, 0.1, eps):
            yield case(f"near-orthogonal 6,3 eps={eps:g} b={b:g}", _near_orthogonal(6, 3, eps), b)
        yield case(
            f"near-orthogonal 8,4 eps={eps:g} S=0.05", _near_orthogonal(8, 4, eps), -eps, 0.05
        )
    for size in (1e-3, 1e-8, 1e-150, 1e-170):
        W = gaussian(80, 2, 5)
        W[:, 2:] *= size
        yield case(f"three tiny columns {size:g}", W, biases(80, 5))
        yield case(f"three tiny columns {size:g} b=0", W, 0.0)
        yield case(f"all columns tiny {size:g}", size * gaussian(81, 2, 5), biases(81, 5), 0.2)
        yield case(f"all columns tiny {size:g} b=0", size * gaussian(82, 2, 5), 0.0, 0.2)
        # |b| of the size of the weights: the kink lies inside the cube of small weights.
        yield case(
            f"all columns tiny {size:g}, b alike", size * gaussian(83, 2, 5), -0.3 * size**2, 0.5
        )


def _large_weights() -> Iterator[Case]:
    for size in (1e3, 1e8):
        W = gaussian(90, 2, 5)
        W[:, 3:] *= size
        yield case(f"two huge columns {size:g}", W, biases(90, 5))
        yield case(f"all columns huge {size:g}", size * gaussian(91, 3, 6), biases(91, 6), 0.1)
        yield case(f"all columns huge {size:g} b=0", size * gaussian(92, 2, 4), 0.0, 0.9)
        yield case(f"huge biases {size:g}", gaussian(93, 2, 5), size * biases(93, 5), 0.2)
    for spread in (3, 8):
        scale = 10.0 ** np.linspace(-spread, spread, 6)
        yield case(f"mixed scales 1e+-{spread}", gaussian(94, 3, 6) * scale, biases(94, 6), 0.1)
        yield case(f"mixed scales 1e+-{spread} b=0", gaussian(95, 2, 6) * scale, 0.0, 0.3)
    scale = np.array([1.0, 1e-4, 1e4, 1e-2, 1e2, 1e-6, 1e6, 1.0])
    yield case(
        "mixed scales 8,3 one S each", gaussian(96, 3, 8) * scale, biases(96, 8), chances(96, 8)
    )


def _coincidences() -> Iterator[Case]:
    u, v = gaussian(100, 3, 1), gaussian(101, 3, 1)
    yield case("duplicated columns", np.hstack([u, u, v, v, v, u]), biases(100, 6), 0.2)
    yield case("duplicated columns b=0", np.hstack([u, u, v, v, -v, u]), 0.0, 0.2)
    yield case("equal columns", np.repeat(u, 6, axis=1), -0.1, 0.2)
    yield case("equal columns b=0", np.repeat(u, 6, axis=1), 0.0, 0.9)
    yield case(
        "equal columns but for rounding",
        np.repeat(u, 6, axis=1) * (1.0 + 2.0**-52 * np.arange(6)),
        -0.2,
        0.4,
    )
    yield case(
        "equal columns but for 1e-9",
        np.repeat(u, 6, axis=1) + 1e-9 * gaussian(102, 3, 6),
        -0.2,
        0.4,
    )
    yield case("antipodal pair b=0", np.array([[1.0, -1.0]]), 0.0, 0.3)
    yield case("antipodal pair", np.array([[0.9, -0.9]]), 0.15, 0.3)
    yield case("antipodal triples", np.hstack([u, -u, u, -u, u, -u]), biases(103, 6), 0.3)
    yield case(
        "antipodal but for 1e-9", np.hstack([u, -u, v, -v]) + 1e-9 * gaussian(104, 3, 4), 0.0, 0.3
    )
    for b in (-0.2, 0.0, 0.2):
        yield case(f"all zero W b={b:g}", np.zeros((2, 4)), b, np.array([0.1, 0.5, 1.0, 1e-4]))
    W = gaussian(105, 2, 5)
    W[:, 3] = 0.0
    yield case("one zero column", W, biases(105, 5), 0.1)
    yield case("one zero column b=0", W, 0.0, 0.1)
    yield case("dedicated", np.eye(3), 0.0, 0.3)
    yield case("dedicated and ignored", np.eye(3)[:2], np.array([0.0, 0.0, 0.3]), 0.3)
    yield case("dedicated 4,5", np.eye(5)[:, :4], 0.0, chances(106, 4))
    yield case("loss nearly zero", np.eye(3) + 1e-7 * gaussian(107, 3, 3), 0.0, 0.3)
    # A loss far below its own terms: an integral's error bound has to notice.
    for eps, S in ((1e-4, 0.9), (1e-7, 0.5), (1e-9, 0.9), (1e-11, np.array([0.5, 0.1, 0.9]))):
        W = np.eye(5)[:, :3] * np.array([1.0, -1.0, 1.0]) + eps * gaussian(108, 5, 3)
        yield case(f"nearly dedicated eps={eps:g}", W, 0.0, S)
        yield case(f"nearly dedicated eps={eps:g} b=-eps", W, -eps * np.array([1.0, 0.2, 1e-4]), S)
    yield case("always on, reproduced by the bias", np.zeros((1, 3)), 1.0, 1.0)


def _kinks() -> Iterator[Case]:
    # Weights are multiples of 1/4, so z is exact and exactly zero on the patterns named.
    W = np.array([[1.0, -0.5, 0.25, 0.75, -1.0], [0.5, 1.0, -0.75, 0.0, -0.25]])
    G = W.T @ W
    for on in ([1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 1, 1, 0, 1], [1, 1, 1, 1, 1]):
        yield case(f"kink exactly on pattern {''.join(map(str, on))}", W, -G @ np.array(on, float))
    yield case("kinks on several patterns", W, np.array([-0.375, 0.25, -0.125, 0.25, 0.0]), 0.4)
    yield case("kinks nearly on patterns", W, np.nextafter(-G @ np.ones(5), 0.0), 0.4)
    yield case("kink in the middle of the cube", W, -G @ np.full(5, 0.5), 0.9)


def _arrangements() -> Iterator[Case]:
    for k in (3, 4, 5, 6, 7, 8):
        yield case(f"{k}-gon b=0", polygon(k), 0.0, 0.05)
        # The neighbours' cosine, as rounded: each kink lies on or next to a pattern.
        yield case(f"{k}-gon b=-cos", polygon(k), -float(np.cos(2.0 * np.pi / k)), 0.05)
    yield case("10-gon b=-0.9", polygon(10, 1.2, 0.1), -0.9, 0.02)
    yield case("pentagon as trained at one feature at a time", polygon(5, 1.17046), -0.2823, 0.01)
    shadow = np.hstack([polygon(5, 1.1), 0.3 * polygon(5)[:, :1]])
    yield case("pentagon and a shadow", shadow, -0.25, 0.06)
    shadow = np.hstack([polygon(5, 1.1), 1e-5 * polygon(5)[:, :1]])
    yield case("pentagon and a shadow nearly gone", shadow, -0.25, 0.06)
    tetrahedron = np.array([[1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]]) / np.sqrt(3.0)
    yield case("tetrahedron", tetrahedron, 0.0, 0.1)
    yield case("tetrahedron, negative bias", tetrahedron, -0.1, 0.1)
    yield case("octahedron", np.hstack([np.eye(3), -np.eye(3)]), 0.05, 0.2)
    blocks = np.zeros((5, 7))
    blocks[:2, :3], blocks[2:4, 3:6], blocks[4, 6] = polygon(3), 0.8 * polygon(3), 0.9
    yield case("triangle + triangle + dedicated", blocks, biases(110, 7, 0.1), 0.15)
    turn = np.linalg.qr(gaussian(111, 5, 5))[0]
    # In exact arithmetic orthogonal, as doubles 1e-17: weights that are rounding and nothing else.
    yield case("the same, rotated", turn @ blocks, biases(110, 7, 0.1), 0.15)
    yield case(
        "rotated octahedron b=0",
        np.linalg.qr(gaussian(112, 3, 3))[0] @ np.hstack([np.eye(3), -np.eye(3)]),
        0.0,
        0.2,
    )


CASES: tuple[Case, ...] = tuple(
    item
    for family in (_random, _small_weights, _large_weights, _coincidences, _kinks, _arrangements)
    for item in family()
)
BY_NAME: dict[str, Case] = {item.name: item for item in CASES}
if len(BY_NAME) != len(CASES):
    raise AssertionError("two cases share a name")
