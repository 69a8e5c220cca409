"""Trained models on the staircase: how far above the mixture, on which levels, in which blocks.

A model has a gap, loss / loss of the mixture - 1; a share of represented features whose D_i lies
within NEAR of a level of the mixture; and a share whose cosines are those of one of its blocks.
The last is needed because D_i alone says little: in any tight frame of N equal norms D_i = d/N, so
60 directions in 30 dimensions that are tight show 1/2 without a single pair. Both shares are
measured on random matrices too, the control. Clusters say which blocks there are, whether or not
the mixture has them, and by how much they overlap. Only "this model costs less than the mixture" is
a fact, up to its error bound; all else is numerical.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from packing.errors import BadInput
from theory.features import Float
from validate.data import generator
from validate.ledger_parts import Book
from validate.measure import represented
from validate.quantities import Model
from validate.staircase import Stair, plain, rows_of, stairs

NEAR = 0.02
"""Distance in D_i at which a feature counts as on a level: levels of small blocks (3/4, 2/3, 1/2,
2/5, 3/8, 5/16) are 0.025 to 0.17 apart."""

EXPLAINED = 0.95
"""A feature is in a block if the block's cosines explain this part of its squared cosines."""

LINKED = 0.25
"""|cosine| from which two features count as neighbours in a cluster: inside small blocks cosines
are larger, between trained blocks they stay below 0.2."""

CHANCE, PURPOSE = 2, 3
"""Random matrices of each kind beside a model, and the purpose of their numbers."""


@dataclass(frozen=True, eq=False)
class Landed:
    """A trained model beside the prediction.

    Parameters
    ----------
    stair : Stair
    seed : int
    loss, error_bound, gap : float
        Exact loss, its error bound, and loss / loss of the mixture - 1.
    simulated, standard_error : float
        The same loss from fresh samples.
    D_star : float
    dimensionality : (N,) array
        D_i of the represented features.
    on_level, in_block : float
        Shares of the represented features.
    chance_level, chance_block : (float, float)
        The same of random matrices of as many features: Gaussian, and a tight frame.
    clusters : tuple of (size, rank, count)
        Represented features joined by cosines beyond LINKED, the largest first.
    """

    stair: Stair
    seed: int
    loss: float
    error_bound: float
    gap: float
    simulated: float
    standard_error: float
    D_star: float
    dimensionality: Float
    on_level: float
    in_block: float
    chance_level: tuple[float, float]
    chance_block: tuple[float, float]
    clusters: tuple[tuple[int, int, int], ...]

    @property
    def dimensions(self) -> int:
        """Dimensions that the clusters would need if each had its own: beyond d, they overlap."""
        return sum(rank * count for _, rank, count in self.clusters)

    @property
    def below(self) -> bool:
        """Whether it costs less than the mixture for certain."""
        return self.loss + self.error_bound < self.stair.loss * (1.0 - 1e-9)


@dataclass(frozen=True, eq=False)
class Place:
    """The trained models at one S, that of least loss first."""

    stair: Stair
    models: tuple[Model, ...]
    landed: tuple[Landed, ...]

    @property
    def best(self) -> Landed:
        return self.landed[0]

    @property
    def name(self) -> str:
        return f"S = {self.stair.S:.4g}"


_SEEN: WeakKeyDictionary[Book, dict[str, tuple[Place, ...]]] = WeakKeyDictionary()


def places(book: Book, law: str) -> tuple[Place, ...]:
    """Models of a suite under one law, S falling.

    Raises
    ------
    BadInput
        If the suite has no such cells, or of several shapes.
    """
    held = _SEEN.setdefault(book, {})
    if law not in held:
        cells = [cell for cell in book.suite.cells if cell.setting.law == law]
        if len({(cell.setting.n, cell.setting.d) for cell in cells}) != 1:
            raise BadInput(f"a staircase needs cells of one n and d under the {law} law: add them")
        found = []
        for cell in cells:
            pairs = [(landed(model), model) for model in book.samples[cell.name].models]
            pairs.sort(key=lambda pair: pair[0].loss)
            both = tuple(m for _, m in pairs), tuple(one for one, _ in pairs)
            found.append(Place(pairs[0][0].stair, *both))
        held[law] = tuple(sorted(found, key=lambda place: -place.stair.S))
    return held[law]


def landed(model: Model) -> Landed:
    """A trained model of equal S and importance beside the prediction.

    Raises
    ------
    BadInput
        If features differ, or the model has no exact loss.
    """
    trained, measured = model
    setting = trained.run.setting
    stair = stairs(setting.n, setting.d, [plain(setting)], setting.law)[0]
    if measured.loss is None:
        raise BadInput(f"the model of seed {trained.run.seed} has no exact loss: leave it out")
    live = represented(setting, trained.W)
    W, rng = trained.W[:, live], generator(trained.run.key, PURPOSE)
    rows = rows_of(stair.name, setting.law)
    levels = [D for D, _ in stair.levels]
    chance = []
    for make in (gaussian, tight):
        drawn = [make(setting.d, W.shape[1], rng) for _ in range(CHANCE)]
        chance.append(
            (
                float(np.mean([on_level(dimensionality(V), levels) for V in drawn])),
                float(np.mean([in_blocks(V, rows) for V in drawn])),
            )
        )
    D = measured.dimensionality[live]
    return Landed(
        stair=stair,
        seed=trained.run.seed,
        loss=measured.loss,
        error_bound=measured.error_bound or 0.0,
        gap=measured.loss / stair.loss - 1.0 if stair.loss > 0.0 else np.inf,
        simulated=measured.simulated,
        standard_error=measured.standard_error,
        D_star=measured.d_star,
        dimensionality=D,
        on_level=on_level(D, levels),
        in_block=in_blocks(W, rows),
        chance_level=(chance[0][0], chance[1][0]),
        chance_block=(chance[0][1], chance[1][1]),
        clusters=clusters(W),
    )


def on_level(D: Float, levels: Sequence[float]) -> float:
    """Share of dimensionalities (N,) within NEAR of one of the levels."""
    if not len(D) or not len(levels):
        return 0.0
    off = np.abs(np.asarray(D)[:, None] - np.asarray(levels)[None, :])
    return float(np.mean(off.min(axis=1) <= NEAR))


def in_blocks(W: Float, rows: Sequence[Sequence[tuple[float, int]]]) -> float:
    """Share of the columns of W (d, N) whose cosines are those of one of the rows.

    The N - 1 cosines of a column are sorted and compared with a row's, zeros added: the squared
    distance must not exceed 1 - EXPLAINED of the row's own sum of squares. A row of several cosines
    that fits is found whatever else the model holds; orthogonal blocks need not be told apart.
    """
    N = W.shape[1]
    if N < 2 or not rows:
        return 0.0
    V = W / np.maximum(np.linalg.norm(W, axis=0), 1e-300)
    C = np.sort((V.T @ V)[~np.eye(N, dtype=bool)].reshape(N, N - 1), axis=1)
    found = np.zeros(N, dtype=bool)
    for row in rows:
        cosines = np.concatenate([np.full(m, c) for c, m in row])
        if len(cosines) > N - 1:
            continue
        whole = np.sort(np.concatenate([cosines, np.zeros(N - 1 - len(cosines))]))
        off = np.sum((C - whole) ** 2, axis=1)
        found |= off <= (1.0 - EXPLAINED) * float(np.sum(cosines**2))
    return float(np.mean(found))


def clusters(W: Float) -> tuple[tuple[int, int, int], ...]:
    """Columns of W (d, N) joined by |cosines| beyond LINKED: (size, rank, count), largest first.

    The rank counts eigenvalues above 1/2 of a cluster's unit vectors; those of a tight block of n
    vectors in d dimensions are n/d.
    """
    from scipy.sparse.csgraph import connected_components

    if W.shape[1] == 0:
        return ()
    V = W / np.maximum(np.linalg.norm(W, axis=0), 1e-300)
    C = V.T @ V
    many, label = connected_components(np.abs(C) > LINKED, directed=False)
    found: dict[tuple[int, int], int] = {}
    for k in range(many):
        inside = np.flatnonzero(label == k)
        values = np.linalg.eigvalsh(C[np.ix_(inside, inside)])
        shape = (len(inside), int(np.sum(values > 0.5)))
        found[shape] = found.get(shape, 0) + 1
    return tuple((n, d, count) for (n, d), count in sorted(found.items(), reverse=True))


def dimensionality(W: Float) -> Float:
    """D_i = |W_i|^2 / sum_j (w_i . W_j)^2 of the columns of W (d, N), w_i = W_i / |W_i|."""
    G = W.T @ W
    return np.asarray(np.diag(G) ** 2 / np.maximum(np.sum(G * G, axis=1), 1e-300))


def gaussian(d: int, N: int, rng: np.random.Generator) -> Float:
    """N random vectors in R^d; neither shares depends on their scale, so on their D*."""
    return rng.standard_normal((d, N))


def tight(d: int, N: int, rng: np.random.Generator) -> Float:
    """A random tight frame of N unit vectors in R^d (of N orthonormal ones, if N < d).

    Alternating projections (Tropp, Dhillon, Heath and Strohmer 2005): the nearest tight frame,
    then unit norms, which ends at D_i = d/N for every feature.
    """
    V = gaussian(d, N, rng)
    for _ in range(100):
        u, _, v = np.linalg.svd(V, full_matrices=False)
        V = u @ v
        V = V / np.linalg.norm(V, axis=0)
    return V


__all__ = ["Landed", "Place", "clusters", "in_blocks", "landed", "on_level", "places"]
