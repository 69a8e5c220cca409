"""Tables from which the GPU kernels draw: alias tables, acceptance chances, and where they stand.

An alias table (Walker 1977, Vose 1991) gives a discrete law in one random word u of 32 bits: its
first bits choose a column, the rest decide between the column and its other. Limits are kept to 64
bits and a second word is drawn where the first cannot decide, so what is drawn differs from the law
by the rounding of doubles, not by that of 32 bits. Poisson tables end where the law falls below
1e-20 of its peak; geometric tables end in a column that means "further" and is followed by another
draw, which is exact since the law has no memory.

`count_law` serves binary values with few on/off patterns, `row_law` all others; `stacked` puts the
laws of many models into one table, equal laws once.
"""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import gammaln

from packing.errors import BadInput
from packing.types import Float
from validate.experiments import Recipe, Run, Setting
from validate.sampling import PATTERNS, Chunk, Sampler, generator, sampler
from validate.training.engine import Engine, Lanes
from validate.training.step import EPSILON, Stack, first_weights, learning_rate

if TYPE_CHECKING:
    from validate.training.cuda_kernels import Shape

WORD = 2.0**32

RARE = 2.0
"""Samples per batch that may be drawn one by one instead of counted: their patterns are the least
frequent ones, and a count of each would nearly always be zero."""

FAINT = 1e-20
"""Chances below this part of the largest are left out."""

LAW_CODES = {"binary": 0, "uniform": 1, "exponential": 2}

Columns = tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.int32]]


def alias(p: Float, bits: int) -> Columns:
    """Alias table of 2^bits columns for a law on 0, 1, ... len(p) - 1.

    Returns
    -------
    limits, lows : (2^bits,) arrays of uint32
        A column is taken if the 32 - bits bits left over are below its limit; where they equal it,
        if the next word is below its low.
    others : (2^bits,) array of int32
        What is taken else.
    """
    size = 1 << bits
    heights = np.zeros(size)
    heights[: len(p)] = np.asarray(p) / np.sum(p) * size
    others = np.arange(size, dtype=np.int32)
    height = heights.tolist()
    small = [i for i, x in enumerate(height) if x < 1.0]
    large = [i for i, x in enumerate(height) if x >= 1.0]
    while small and large:
        i, j = small.pop(), large[-1]
        others[i] = j
        height[j] -= 1.0 - height[i]
        if height[j] < 1.0:
            small.append(large.pop())
    for i in (*small, *large):  # full but for rounding; itself either way
        height[i] = 1.0
    return (*fixed(np.array(height), 32 - bits), others)


def fixed(chance: Float, bits: int = 32) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Chances as numbers of `bits` bits, rounded down, and the next 32 bits."""
    scaled = np.asarray(chance) * 2.0**bits
    whole = np.minimum(np.floor(scaled), WORD - 1.0)
    rest = np.where(scaled >= WORD, WORD - 1.0, np.floor((scaled - whole) * WORD))
    return whole.astype(np.uint32), rest.astype(np.uint32)


@dataclass(frozen=True, eq=False)
class Law:
    """The tables of one law, at offsets counted from their own start.

    Parameters
    ----------
    head : (8,) list of int
    shifts : tuple of int
        Which entries of the head count columns, to be shifted where laws are stacked.
    plan : (P, 4) list of int
        Pattern, columns and bits of its table, and the count its first column means.
    columns : Columns
    """

    head: list[int]
    shifts: tuple[int, ...]
    plan: list[list[int]]
    columns: Columns


def count_law(law: Sampler, batch: int, fed: bool = False) -> tuple[Law, Float]:
    """Tables for the kernel that counts patterns.

    Parameters
    ----------
    law : Sampler
    batch : int
    fed : bool
        Whether counts will be read: then every pattern but the first gets an entry of its own.

    Returns
    -------
    Law
        Head: first pattern, patterns counted, stride of given counts, (filled in by `stacked`),
        table of rare patterns, columns and first and last sum of the acceptance chances.
    (P,) array
        Expected occurrences of every pattern in a batch, in the order of the table.
    """
    masks, q = ordered(law)
    a = math.fsum(q[1:].tolist())
    means = batch * q
    tails = np.cumsum(means[:0:-1])[::-1]  # of patterns 1.., 2.., ...
    frequent = len(q) - 1 if fed else int(np.sum(tails > RARE))
    parts: list[Columns] = []
    plan = []

    def add(columns: Columns) -> int:
        parts.append(columns)
        return sum(len(part[0]) for part in parts[:-1])

    for p in range(1, frequent + 1):
        low, chances = poisson(float(means[p]))
        bits = _bits(len(chances))
        plan.append([masks[p], add(alias(chances, bits)), bits, low])
    rare = math.fsum(means[frequent + 1 :].tolist())
    _, chances = poisson(rare)
    bits = _bits(len(chances))
    plan.append([0, add(alias(chances, bits)), bits, 0])
    which = 0
    if rare > 0.0:
        bits = _bits(len(q) - frequent - 1)
        which = (add(alias(q[frequent + 1 :], bits)) << 5) | bits
    plan += [[mask, 0, 0, 0] for mask in masks[frequent + 1 :]]
    low, accept = acceptance(batch, a)
    gate = add((*fixed(accept), np.zeros(len(accept), dtype=np.int32)))
    head = [masks[0], frequent, len(q) - 1, 0, which, gate - low, low, low + len(accept)]
    return Law(head, (5,), plan, _joined(parts)), means


def ordered(law: Sampler) -> tuple[list[int], Float]:
    """Patterns that occur, by falling chance, as masks (bit i for feature i), and their chances."""
    found = [(q, sum(1 << i for i, on in enumerate(p) if on)) for p, q in law.patterns() if q > 0.0]
    found.sort(key=lambda pair: (-pair[0], pair[1]))
    q = np.array([pair[0] for pair in found])
    return [pair[1] for pair in found], q / q.sum()


def poisson(mean: float) -> tuple[int, Float]:
    """The first count that is kept, and the chances from there on."""
    if mean == 0.0:
        return 0, np.ones(1)
    k = np.arange(int(mean + 12.0 * math.sqrt(mean) + 40.0) + 1)
    logs = k * math.log(mean) - mean - gammaln(k + 1.0)
    kept = np.flatnonzero(logs > logs.max() + math.log(FAINT))
    return int(kept[0]), np.exp(logs[kept[0] : kept[-1] + 1])


def acceptance(batch: int, a: float) -> tuple[int, Float]:
    """Binomial(T; batch, a) over Poisson(T; batch a), divided by its maximum.

    Returns
    -------
    int, (W,) array
        The first sum T that is kept and the chances from there on. On average about
        sqrt(1 - a) of the proposals are taken.
    """
    if a <= 0.0:
        return 0, np.ones(1)
    spread = 12.0 * math.sqrt(batch * a * (1.0 - a)) + 40.0
    low, high = max(0, int(batch * a - spread)), min(batch, int(batch * a + spread) + 1)
    T = np.arange(low, high)
    steps = np.log((batch - T) / (batch * (1.0 - a)))  # r(T + 1) / r(T)
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    return low, np.exp(logs - logs.max())


def row_law(law: Sampler) -> Law:
    """Tables for the kernel that walks from on group to on group.

    Head: groups, their size, one member or all, law of the values, columns and bits of the gaps'
    table, columns of the chances to keep an event, whether some are not kept.
    """
    q = float(np.max(law.chance))
    bits = min(12, max(1, math.ceil(math.log2(3.0 / q + 2.0))))
    c = np.arange((1 << bits) - 1)
    if q < 1.0:
        chances = np.append(q * (1.0 - q) ** c, (1.0 - q) ** ((1 << bits) - 1))
    else:
        chances = np.append((c == 0).astype(float), 0.0)
    gaps = alias(chances, bits)
    keep = (*fixed(law.chance / q), np.zeros(law.groups, dtype=np.int32))
    thinned = int(np.ptp(law.chance) > 0.0)
    kind = LAW_CODES[law.law]
    head = [law.groups, law.size, int(law.single), kind, 0, bits, len(gaps[0]), thinned]
    return Law(head, (4, 6), [], _joined([gaps, keep]))


@dataclass(frozen=True, eq=False)
class Tables:
    """The laws of many models in one place.

    Parameters
    ----------
    law : (K,) array of int32
        Which law a model follows.
    heads, plans, others : arrays of int32
    limits, lows : arrays of uint32
    """

    law: NDArray[np.int32]
    heads: NDArray[np.int32]
    plans: NDArray[np.int32]
    limits: NDArray[np.uint32]
    lows: NDArray[np.uint32]
    others: NDArray[np.int32]


def stacked(which: Sequence[int], laws: Sequence[Law]) -> Tables:
    """One table of several laws; `which` names the law of every model."""
    heads, plans, rows, columns = [], [], 0, 0
    for law in laws:
        head = list(law.head)
        for i in law.shifts:
            head[i] += columns
        if law.plan:
            head[3] = rows
            if head[4]:
                head[4] += columns << 5
            plans += [[m, offset + columns, bits, low] for m, offset, bits, low in law.plan]
        heads.append(head)
        rows += len(law.plan)
        columns += len(law.columns[0])
    limits, lows, others = _joined([law.columns for law in laws])
    return Tables(
        law=np.array(which, dtype=np.int32),
        heads=np.array(heads, dtype=np.int32).ravel(),
        plans=np.array(plans or [[0, 0, 0, 0]], dtype=np.int32).ravel(),
        limits=limits,
        lows=lows,
        others=others,
    )


def rates(recipe: Recipe, start: int, stop: int) -> Float:
    """What the updates of steps start .. stop - 1 need, shape (stop - start, 7).

    Rate over the first moment's bias correction, root of the second's, the factor of decay, and
    the four weights of the running means.
    """
    one, two = recipe.betas
    rows = []
    for step in range(start, stop):
        rate = learning_rate(recipe, step)
        first, second = 1.0 - one ** (step + 1), 1.0 - two ** (step + 1)
        decay = 1.0 - rate * recipe.weight_decay
        rows.append((rate / first, 1.0 / math.sqrt(second), decay, one, 1 - one, two, 1 - two))
    return np.array(rows)


def _joined(parts: Sequence[Columns]) -> Columns:
    a, b, c = zip(*parts, strict=True)
    return np.concatenate(a), np.concatenate(b), np.concatenate(c)


def _bits(columns: int) -> int:
    return max(1, math.ceil(math.log2(columns)))


# Models of the GPU kernels between two launches: where their numbers rest, how they are laid out.
#
# Numbers of K models stand parameter by parameter (size, K), so that neighbouring threads read
# neighbouring places; a launch loads them once, makes the steps of a chunk on the chip and stores
# them once. How many lanes a model gets follows from the number of models and the device.


RECORDS = 4
"""Losses recorded per chunk."""

SHARED = 48 * 1024
"""Bytes of shared memory a block may take without asking the driver."""

BLOCK = 128
"""Threads of a block, at most."""

LEAST = 64
"""Threads of a block that are wanted where models are large."""

FILL = 512
"""Threads per multiprocessor that keep it busy; with fewer models, each gets more lanes."""


LARGEST = 2**20
"""Samples per batch: counts stay whole numbers in float32, and places in 32 bits."""


class CudaLanes:
    """K models whose numbers rest in device memory between chunks."""

    def __init__(
        self,
        runs: Sequence[Run],
        where: str,
        lanes: int,
        device: torch.device | None,
        fed: str = "",
    ) -> None:
        setting, self.recipe = runs[0].setting, runs[0].recipe
        self.where, self.fed = where, bool(fed)
        self.kind = fed or kind_of(runs[0])
        self.real: Any = np.float64 if self.recipe.dtype == "float64" else np.float32
        self.chunk = chunk_of(self.recipe)
        self.every = self.chunk // RECORDS
        self.size = setting.n * (setting.d + 1)
        if where == "gpu" and device is not None and device.index is not None:
            from numba import cuda

            cuda.select_device(device.index)
        self.shape = self._shape(setting, len(runs), lanes)
        tables = tables_of(runs, self.kind, self.fed)
        weights = np.stack([first_weights(run) for run in runs], axis=1)
        importance = np.stack([run.setting.features.importance for run in runs], axis=1)
        words = [generator(run.key, 1).integers(2**32, size=4, dtype=np.uint32) for run in runs]
        self.done = 0
        empty = np.zeros(1, dtype=np.int32)
        self.given: Any = empty
        if self.kind == "rows":
            self.given = (empty, empty, np.zeros(1, dtype=self.real))
        self.given = self._up(self.given)
        self.state = {
            "theta": self._up(weights.astype(self.real)),
            "first": self._up(np.zeros_like(weights, dtype=self.real)),
            "second": self._up(np.zeros_like(weights, dtype=self.real)),
            "scale": self._up((importance * (2.0 / self.recipe.batch)).astype(self.real)),
            "random": self._up(np.stack(words, axis=1)),
            "law": self._up(tables.law),
        }
        self.tables = self._up((tables.limits, tables.lows, tables.others))
        self.laws = self._up((tables.heads, tables.plans))
        self.count = len(runs)
        self.fine = np.ones(len(runs), dtype=bool)

    def weights(self) -> Float:
        theta = self._down("theta").reshape(self.size, self.count)
        return np.ascontiguousarray(theta.T, dtype=np.float64)

    def sound(self) -> NDArray[np.bool_]:
        return self.fine

    def keep(self, lanes: Sequence[int]) -> None:
        kept = np.asarray(lanes, dtype=np.int64)
        for name in self.state:
            rows = self._down(name).reshape(-1, self.count)
            self.state[name] = self._up(rows[:, kept])
        self.fine, self.count = self.fine[kept], len(kept)

    def advance(self, count: int) -> list[tuple[int, Float]]:
        if count == 0 or self.count == 0:
            self.done += count
            return []
        from validate.training.cuda_kernels import kernel

        start, stop, every, K = self.done, self.done + count, self.every, self.count
        at = [step for step in range(start + 1, stop + 1) if step % every == 0 or step == stop]
        losses = self._up(np.zeros((len(at), K), dtype=self.real))
        sound = self._up(np.zeros((self.shape.lanes, K), dtype=np.int32))
        s = self.state
        arguments = (
            K,
            (start, stop, every, self.recipe.batch),
            (s["theta"], s["first"], s["second"], s["scale"]),
            s["random"],
            sound,
            (s["law"], *self.laws),
            self.tables,
            self.given,
            self._up(rates(self.recipe, start, stop).astype(self.real)),
            losses,
        )
        if self.where == "host":
            kernel(self.shape)(*arguments)
        else:
            grid = -(-K // self.shape.models), (self.shape.lanes, self.shape.models)
            with warnings.catch_warnings():
                # A few models leave a GPU idle, and whoever trains a few knows; the simulator's
                # words wrap around, as they must, and models may break.
                warnings.filterwarnings("ignore", message="Grid size")
                warnings.filterwarnings("ignore", message="overflow encountered")
                warnings.filterwarnings("ignore", message="invalid value encountered")
                kernel(self.shape)[grid](*arguments)
        self.done = stop
        rows = _host(losses).reshape(len(at), K).astype(np.float64)
        self.fine = np.all(_host(sound).reshape(-1, K) == 1, axis=0)
        last = (self.recipe.steps,) if not self.fed else ()
        return [
            (step, row)
            for step, row in zip(at, rows, strict=True)
            if step % every == 0 or step in last
        ]

    def feed(self, given: Any) -> None:
        """Samples of the next step, where they are read and not drawn."""
        self.given = self._up(given)

    def close(self) -> None:
        self.state.clear()

    def _shape(self, setting: Setting, count: int, lanes: int) -> Shape:
        from validate.training.cuda_kernels import Shape

        double = self.recipe.dtype == "float64"
        n, d = setting.n, setting.d
        shape = Shape(
            self.kind, n, d, 1, 1, double, setting.relu, setting.bias, self.fed, self.where
        )
        if self.where == "host":
            return shape
        room = SHARED // (shape.words * itemsize(self.recipe))
        if not lanes:
            lanes = lanes_for(shape, count, room, _multiprocessors(self.where))
        shape = replace(shape, lanes=lanes)
        models = BLOCK // lanes if shape.local else min(BLOCK // lanes, room)
        # The simulator starts a thread for every lane: no more than there is work for.
        return replace(shape, models=max(1, min(models, count)))

    def _up(self, array: Any) -> Any:
        if isinstance(array, tuple):
            return tuple(self._up(one) for one in array)
        flat = np.ascontiguousarray(array).reshape(-1)
        if self.where != "gpu":
            return flat
        from numba import cuda

        return cuda.to_device(flat)

    def _down(self, name: str) -> NDArray[Any]:
        return _host(self.state[name])


def _host(array: Any) -> NDArray[Any]:
    return np.asarray(array.copy_to_host() if hasattr(array, "copy_to_host") else array)


def _multiprocessors(where: str) -> int:
    if where != "gpu":
        return 1
    from numba import cuda

    return int(cuda.get_current_device().MULTIPROCESSOR_COUNT)


def lanes_for(shape: Shape, count: int, room: int, multiprocessors: int) -> int:
    """Lanes per model: enough to fill the device, and never more than there are features.

    Parameters
    ----------
    shape : Shape
    count : int
        Models.
    room : int
        Models whose numbers fit the shared memory of a block.
    multiprocessors : int
    """
    top = min(32, 1 << (shape.n - 1).bit_length())
    lanes = 1
    while lanes < top and (
        count * lanes < FILL * multiprocessors
        or (not replace(shape, lanes=lanes).local and room * lanes < LEAST)
    ):
        lanes *= 2
    return lanes


def kind_of(run: Run) -> str:
    """What trains a run: "counts" or "rows" of the kernels, or a "graph" if it is too large."""
    setting = run.setting
    if words(setting) * itemsize(run.recipe) > SHARED or run.recipe.batch > LARGEST:
        return "graph"
    few = setting.law == "binary" and setting.n <= 31
    return "counts" if few and sampler(setting).pattern_count() <= PATTERNS else "rows"


def chunk_of(recipe: Recipe) -> int:
    """Steps between decisions, of the run alone: few where it may stop, else a part of all."""
    if recipe.plateau is not None:
        return 64
    return 1 << min(10, max(6, (recipe.steps // 64).bit_length() - 1))


def tables_of(runs: Sequence[Run], kind: str, fed: bool = False) -> Tables:
    """Tables of the laws of some runs, equal laws once."""
    made: list[Law] = []
    known: dict[tuple[object, ...], int] = {}
    which = []
    for run in runs:
        s, batch = run.setting, run.recipe.batch
        law = sampler(s)
        name = (law.n, law.size, law.single, law.law, law.chance.tobytes(), batch)
        if name not in known:
            known[name] = len(made)
            if fed and kind == "rows":
                made.append(row_law(Sampler(s.n, 1, np.full(s.n, 0.5), False, s.law)))
            else:
                made.append(row_law(law) if kind == "rows" else count_law(law, batch, fed)[0])
        which.append(known[name])
    if fed and kind == "counts":  # counts are given in rows of one length
        widest = max(one.head[2] for one in made)
        for one in made:
            one.head[2] = widest
    return stacked(which, made)


def itemsize(recipe: Recipe) -> int:
    return 8 if recipe.dtype == "float64" else 4


def words(setting: Setting) -> int:
    n, d = setting.n, setting.d
    return (2 * n * n + (d + 3) * n) | 1


# Large models on a GPU: the batched step of PyTorch, captured once as a CUDA graph and replayed.
#
# At (400, 30) a step is some thirty small launches around three products of matrices, and one core
# feeds the GPU with them more slowly than it works. A CUDA graph keeps the launches: drawing a
# batch,
# the step of `validate.training.step.Stack` and Adam are recorded once, and every further step is a
# single
# call. What changes from step to step must then live on the device: the rates stand in a table
# there,
# and a counter on the device says which row is meant. Each model draws from a generator of its own,
# which the graph is told about, so its state moves on with every replay.
#
# Where nothing can be captured (on a CPU, or where PyTorch refuses) the same step runs plainly: a
# graph changes when work is launched, not what is computed. ``compiled`` hands the step to
# `torch.compile` instead, which fuses what stands between the products.
#
# On a GPU a library may sum in an order that depends on how many models are stacked, so results
# there
# do not depend on the company up to rounding only, as with the PyTorch engine.
#
# The capture itself has never run: no GPU was in reach when this was written. Run here, on a
# CPU, are
# the step with its rates on the device (equal to the reference to rounding) and `torch.compile`.


CHUNK = 64
"""Steps between decisions."""


"""Losses recorded per chunk."""

WARM = 3
"""Steps made before a capture, as PyTorch asks: libraries take their working memory in them."""

WAYS = ("graph", "plain", "compiled")


class Steady(Stack):
    """A stack whose step reads and writes fixed places on the device and nothing else.

    Parameters
    ----------
    runs : sequence of Run
        With the same n, d, recipe, bias and relu.
    device : torch.device

    Notes
    -----
    `x` (K, n + 1, B) holds the batch, `table` (CHUNK, 3) the rates, `at` (1,) the row that is
    meant, `lost` (K,) the losses of the last batch.
    """

    def __init__(self, runs: Sequence[Run], device: torch.device) -> None:
        super().__init__(runs, runs[0].recipe.batch, device)
        self._places()

    def _places(self) -> None:
        K = len(self.theta)
        make = partial(torch.zeros, dtype=self.dtype, device=self.device)
        self.x = make((K, self.n + 1, self.columns))
        self.x[:, self.n] = 1.0
        self.table = make((CHUNK, 3))
        self.at = torch.zeros(1, dtype=torch.int64, device=self.device)
        self.lost = torch.zeros(K, dtype=torch.float64, device=self.device)
        self.held = Chunk(self.x[:, None], None, None)

    def keep(self, lanes: torch.Tensor) -> None:
        super().keep(lanes)
        self._places()

    def expect(self, step: int) -> None:
        """Rates of the steps from here on."""
        table = torch.from_numpy(rates(self.recipe, step, step + CHUNK)[:, :3])
        self.table.copy_(table.to(self.dtype))
        self.at.zero_()

    def make(self, record: bool = True) -> None:
        """One update with the batch in `x`; its losses go to `lost` if asked for."""
        self.step(self.held, 0, 0, record)

    def _adam(self, step: int) -> None:
        one, two = self.recipe.betas
        rate, root, decay = self.table.index_select(0, self.at)[0].unbind()
        if self.recipe.weight_decay:
            self.theta.mul_(decay)
        self.first.mul_(one).add_(self.gradient, alpha=1.0 - one)
        self.second.mul_(two).addcmul_(self.gradient, self.gradient, value=1.0 - two)
        torch.sqrt(self.second, out=self.root)
        self.root.mul_(root).add_(EPSILON)
        torch.div(self.first, self.root, out=self.root)
        self.theta.sub_(self.root.mul_(rate))
        self.at.add_(1)

    def _losses(self, chunk: Chunk, t: int) -> Float | None:  # type: ignore[override]
        rows = (self.e * self.e).sum(dim=2)[:, : self.n].double()
        self.lost.copy_((rows * self.importance).sum(dim=1) / self.recipe.batch)
        return None


class Source:
    """Dense batches of K models, drawn on the device, each model from its own generator."""

    def __init__(self, runs: Sequence[Run], device: torch.device) -> None:
        self.device, recipe = device, runs[0].recipe
        self.double = recipe.dtype == "float64"
        self.laws = [sampler(run.setting) for run in runs]
        self.streams = []
        for run in runs:
            stream = torch.Generator(device)
            stream.manual_seed(int(generator(run.key, 1).integers(2**63 - 1)))
            self.streams.append(stream)
        self._groups()

    def _groups(self) -> None:
        """Models of equal law are filled together; chances already stand on the device."""
        known: dict[tuple[object, ...], list[int]] = {}
        for k, law in enumerate(self.laws):
            name = (law.size, law.single, law.law, law.chance.tobytes())
            known.setdefault(name, []).append(k)
        self.groups: list[tuple[Sampler, torch.dtype, torch.Tensor]] = []
        for lanes in known.values():
            law = self.laws[lanes[0]]
            dtype = torch.float64 if self.double or law.fine else torch.float32
            chance: Any = torch.from_numpy(law.chance).to(device=self.device, dtype=dtype)
            where = torch.tensor(lanes, device=self.device)
            self.groups.append((replace(law, chance=chance), dtype, where))
        self.lanes = list(known.values())

    def keep(self, lanes: Sequence[int]) -> None:
        self.laws = [self.laws[k] for k in lanes]
        self.streams = [self.streams[k] for k in lanes]
        self._groups()

    def draw(self, x: torch.Tensor) -> None:
        """Fill x (K, n + 1, B); the last row is not touched."""
        B = x.shape[2]
        for (law, dtype, where), lanes in zip(self.groups, self.lanes, strict=True):
            u = torch.empty(len(lanes), law.cells, B, dtype=dtype, device=self.device)
            for row, k in zip(u, lanes, strict=True):
                row.uniform_(generator=self.streams[k])
            x[:, :-1].index_copy_(0, where, law.dense(u).to(x.dtype))


class GraphLanes:
    """Models of `Steady`, a step of which is one replay where it can be captured.

    Parameters
    ----------
    runs : sequence of Run
    device : torch.device
    way : {"graph", "plain", "compiled"}
    """

    def __init__(self, runs: Sequence[Run], device: torch.device, way: str = "graph") -> None:
        self.recipe, self.device, self.way = runs[0].recipe, device, way
        self.chunk = CHUNK
        self.stack, self.source = Steady(runs, device), Source(runs, device)
        self.size = self.stack.size
        self.done = 0
        self.why = ""  # why nothing was captured
        self.once: Callable[[], None] | None = None

    def weights(self) -> Float:
        return self.stack.weights()

    def sound(self) -> NDArray[np.bool_]:
        return np.asarray(self.stack.finite().cpu().numpy())

    def keep(self, lanes: Sequence[int]) -> None:
        self.stack.keep(torch.as_tensor(list(lanes), device=self.device))
        self.source.keep(lanes)
        self.once = None

    def advance(self, count: int) -> list[tuple[int, Float]]:
        found = []
        with torch.no_grad():
            if self.once is None:
                self.once = self._prepared()
            if self.done % CHUNK == 0 or int(self.stack.at) != self.done % CHUNK:
                self.stack.expect(self.done - self.done % CHUNK)
                self.stack.at.fill_(self.done % CHUNK)
            for _ in range(count):
                self.once()
                self.done += 1
                if self.done % (CHUNK // RECORDS) == 0 or self.done == self.recipe.steps:
                    found.append((self.done, self.stack.lost.cpu().numpy().copy()))
        return found

    def close(self) -> None:
        self.once = None

    def _plain(self) -> None:
        self.source.draw(self.stack.x)
        self.stack.make()

    def _prepared(self) -> Callable[[], None]:
        """One step as a call: a replay, a compiled step, or the plain one."""
        if self.way == "compiled":
            make = torch.compile(self.stack.make)

            def compiled() -> None:
                self.source.draw(self.stack.x)
                make()

            return compiled
        if self.way == "graph" and self.device.type == "cuda":
            try:
                return self._captured()
            except (RuntimeError, AttributeError) as error:
                self.why = str(error)
        return self._plain

    def _captured(self) -> Callable[[], None]:
        """The step as a graph; warming up leaves no trace in weights, rates or generators."""
        stack, streams = self.stack, self.source.streams
        state = (stack.theta, stack.first, stack.second, stack.at, stack.lost)
        before, seeds = [one.clone() for one in state], [one.get_state() for one in streams]

        def restore() -> None:
            torch.cuda.synchronize(self.device)
            for one, old in zip(state, before, strict=True):
                one.copy_(old)
            for stream, seed in zip(streams, seeds, strict=True):
                stream.set_state(seed)

        aside: Any = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream(self.device))
        try:
            with torch.cuda.stream(aside):
                stack.at.zero_()
                for _ in range(WARM):
                    self._plain()
            torch.cuda.current_stream(self.device).wait_stream(aside)
            restore()
            graph = torch.cuda.CUDAGraph()
            for stream in streams:
                graph.register_generator_state(stream)
            with torch.cuda.graph(graph):
                self._plain()
        finally:
            restore()

        def replay() -> None:
            graph.replay()

        return replay


def follow(runs: Sequence[Run], x: Float, device: torch.device, way: str = "plain") -> Float:
    """Weights after 0, 1, ... T steps on given samples x (K, T, n, B), shape (K, T + 1, size)."""
    stack = Steady(runs, device)
    make = torch.compile(stack.make) if way == "compiled" else stack.make
    found = [stack.weights()]
    with torch.no_grad():
        for t in range(x.shape[1]):
            if t % CHUNK == 0:
                stack.expect(t)
            stack.x[:, :-1] = torch.from_numpy(np.ascontiguousarray(x[:, t])).to(stack.x)
            make()
            found.append(stack.weights())
    return np.stack(found, axis=1)


# The GPU engine: whole stretches of training in one kernel, a model in the registers of its lanes.
#
# The kernels and their law of samples are in `validate.training.cuda_kernels`. Here: which runs
# fit,
# how many lanes a model gets, what goes to the device and what comes back. Between two launches (a
# chunk) a model's numbers rest in device memory; within one they stay on the chip, and only tables
# are read, through the cache. Lanes per model follow the number of models and the device;
# results do
# not depend on them.
#
# What fits: float32, 2 n^2 + (d + 3) n <= 12288 (n up to about 76 at small d), half of it in
# float64;
# batches up to 2^20. Beyond, PyTorch's batched step replayed as a CUDA graph (`graphs`).
#
# The engine needs numba-cuda and a GPU. Without one it runs in numba's simulator (set
# NUMBA_ENABLE_CUDASIM=1 before Python starts), or as ``CudaEngine("host")``, the same source
# compiled
# for the processor: both for tests, not for work.


class CudaEngine(Engine):
    """Models in registers and shared memory of a GPU.

    Parameters
    ----------
    where : {"", "gpu", "simulator", "host"}
        Empty for the simulator if numba runs in it, else the GPU.
    lanes : int
        Lanes per model; 0 to choose by their number and the device.
    """

    name = "cuda"
    places = ("cuda",)

    def __init__(self, where: str = "", lanes: int = 0) -> None:
        self.where, self.count = where, lanes

    def missing(self) -> str:
        for module, package in (("numba", "numba"), ("numba_cuda", "numba-cuda")):
            if importlib.util.find_spec(module) is None:
                return (
                    f"engine = 'cuda' needs {package}, which is not installed: "
                    "pip install 'feature-packing[cuda]'"
                )
        from numba import cuda

        if cuda.config.ENABLE_CUDASIM:
            return ""
        try:
            found = bool(cuda.is_available())
        except Exception:  # a driver may fail in many ways; none of them is a usable GPU
            found = False
        if not found:
            return (
                "engine = 'cuda' finds no GPU that numba-cuda can use (where there is one, it also "
                "wants NVIDIA's libraries: pip install 'numba-cuda[cu13]'); give numba or torch"
            )
        return ""

    def refusal(self, run: Run) -> str:
        return ""

    def alike(self, run: Run, place: str) -> tuple[object, ...]:
        s = run.setting
        return (s.n, s.d, s.bias, s.relu, astuple(run.recipe), kind_of(run))

    def most(self, group: Sequence[Run], place: str, memory: int | None) -> int:
        if memory is None:
            import torch

            memory = int(0.6 * torch.cuda.mem_get_info()[0])
        each = max(memory_of(run) for run in group)
        if each > memory:
            s = group[0].setting
            raise BadInput(
                f"one run of n = {s.n}, d = {s.d} needs {each:.3g} bytes and memory = "
                f"{memory:.3g}: allow more"
            )
        return min(memory // each, 2**24)

    def lanes(self, runs: Sequence[Run], device: torch.device) -> Lanes:
        if kind_of(runs[0]) == "graph":
            return GraphLanes(runs, device)
        return CudaLanes(runs, self._where(), self.count, device)

    def follow(self, runs: Sequence[Run], x: Float) -> Float:
        K, T, n, B = x.shape
        setting, recipe = runs[0].setting, runs[0].recipe
        if n != setting.n or recipe.batch != B or len(runs) != K:
            raise BadInput(
                f"samples of shape {x.shape} for {len(runs)} runs of n = {setting.n}, batch = "
                f"{recipe.batch}: give (K, T, n, B)"
            )
        if kind_of(runs[0]) == "graph":
            import torch

            return follow(runs, x, torch.device("cuda" if self._where() == "gpu" else "cpu"))
        counts = [_counted(sampler(run.setting), some) for run, some in zip(runs, x, strict=True)]
        kind = "rows" if any(c is None for c in counts) else kind_of(runs[0])
        lanes = CudaLanes(runs, self._where(), self.count, None, fed=kind)
        found = [lanes.weights()]
        for t in range(T):
            if kind == "counts":
                widths = [c.shape[1] for c in counts if c is not None]
                given = np.zeros((K, max(widths)), dtype=np.int32)
                for k, c in enumerate(counts):
                    if c is not None:
                        given[k, : c.shape[1]] = c[t]
                lanes.feed(given.ravel())
            else:
                lanes.feed(_events(x[:, t], lanes.real))
            lanes.advance(1)
            found.append(lanes.weights())
        return np.stack(found, axis=1)

    def _where(self) -> str:
        if self.where:
            return self.where
        from validate.training.cuda_kernels import SIMULATED

        return "simulator" if SIMULATED else "gpu"


def memory_of(run: Run) -> int:
    """Bytes that one more run takes, at most: its state, its tables as if nobody shared them, and
    what is kept for the answer."""
    s, recipe, kind = run.setting, run.recipe, kind_of(run)
    size = s.n * (s.d + 1)
    kept = 8 * (recipe.snapshots + 3) * size + 16 * (recipe.steps * RECORDS // 64 + RECORDS)
    if kind == "graph":
        # Samples, z, e, squares and uniform numbers; matrices; parameters and their moments.
        numbers = 7 * (s.n + 1) * recipe.batch + 6 * (s.n + 1) ** 2 + 7 * size
        return itemsize(recipe) * numbers + 8 * s.n * recipe.batch + kept
    state = itemsize(recipe) * (3 * size + s.n + RECORDS) + 4 * (4 + 32 + 1)
    laws = 12 * PATTERNS * 128 if kind == "counts" else 12 * (2**12 + s.n)
    return state + laws + kept


def _counted(law: Sampler, x: Float) -> NDArray[np.int32] | None:
    """How often each pattern but the first occurs, (T, P - 1); None if others do."""
    if law.law != "binary" or law.n > 31 or law.pattern_count() > PATTERNS:
        return None
    if not np.all((x == 0.0) | (x == 1.0)):
        return None
    masks, _ = ordered(law)
    seen = np.tensordot(x, 2 ** np.arange(law.n), axes=(1, 0)).astype(np.int64)  # (T, B)
    counts = np.stack([np.sum(seen == mask, axis=1) for mask in masks], axis=1)
    if np.any(counts.sum(axis=1) != x.shape[2]):
        return None
    return counts[:, 1:].astype(np.int32)


def _events(x: Float, real: Any) -> tuple[NDArray[Any], ...]:
    """On cells of one batch per model: where each model's begin, the cells and their values."""
    _, n, B = x.shape
    starts, cells, values = [], [], []
    at = 0
    for one in x:
        row, j = np.nonzero(one.T)
        starts.append(at)
        cells += [row * n + j, [B * n]]
        values += [one[j, row], [0.0]]
        at += len(row) + 1
    return (
        np.array(starts, dtype=np.int32),
        np.concatenate(cells).astype(np.int32),
        np.concatenate(values).astype(real),
    )


# What a step must cost: operations and bytes counted from n, d and the law, and a device's peak.
#
# Counted are the additions, multiplications, divisions and roots that the sparse step needs
# whatever
# does it (a fused multiply-add is two): the Gram matrix once by symmetry, each on/off pattern that
# occurs once with its count (binary, few patterns) or each sample with something on, the
# gradient and
# Adam. Random numbers, look-ups and comparisons are left out, so the fraction of the bound that an
# engine reaches is a fraction of what arithmetic alone would allow. Bytes: the state of a model in
# and out once per chunk, and its recorded losses.
#
# The peak of a device is cores x clock x 2: a bound no kernel reaches that does anything but fused
# multiply-adds. Derived here; `benchmarks/gpu.py` prints it beside what was measured.


ADAM = 13
"""Operations of Adam per parameter: 3 for the first moment, 4 for the second, a root, 2 below the
line, a division, 2 to step."""

CORES = {(6, 0): 64, (7, 0): 64, (7, 2): 64, (7, 5): 64, (8, 0): 64}
"""float32 cores per multiprocessor by compute capability; 128 where nothing is said."""


@dataclass(frozen=True)
class Bound:
    """What one step of one model takes, at least.

    Parameters
    ----------
    operations : float
        Floating-point operations.
    dense : float
        The same if every sample is multiplied out, as PyTorch's batched step does.
    bytes : float
        To and from device memory, spread over the steps of a chunk.
    """

    operations: float
    dense: float
    bytes: float


@dataclass(frozen=True)
class Device:
    """Peak of a device: float32 operations and bytes per second."""

    name: str
    operations: float
    bytes: float


def bound(run: Run) -> Bound:
    """Operations and bytes of one step of a run."""
    s, batch = run.setting, run.recipe.batch
    n, d, size = s.n, s.d, s.n * (s.d + 1)
    law = sampler(s)
    around = n * (n + 1) * d + 1.5 * n * (n + 1) + 2.0 * n * n * d + ADAM * size
    if kind_of(run) == "counts":
        masks, q = ordered(law)
        there = -np.expm1(batch * np.log1p(-np.minimum(q, 1.0 - 1e-16)))
        on = np.array([mask.bit_count() for mask in masks])
        samples = float(np.sum(there * n * (2.0 * on + 4.0)))
    else:
        mean = float(np.sum(law.chance) * (1 if law.single else law.size))  # on per sample
        samples = batch * n * (4.0 * mean + 3.0 * law.active)
    dense = 2.0 * n * n * d + 4.0 * n * n * batch + 4.0 * n * batch + 4.0 * n * n * d + ADAM * size
    state = itemsize(run.recipe) * (6.0 * size + n + RECORDS) + 2 * 16 + 8
    return Bound(around + samples, dense, state / chunk_of(run.recipe))


def device() -> Device:
    """Peak of the GPU in use, from what its driver says of it."""
    import torch
    from numba import cuda

    found = cuda.get_current_device()
    cores = CORES.get(tuple(found.compute_capability), 128)
    # Clocks in kHz; memory moves two words per clock and pin.
    operations = 2.0 * found.MULTIPROCESSOR_COUNT * cores * found.CLOCK_RATE * 1e3
    memory = 2.0 * found.MEMORY_CLOCK_RATE * 1e3 * found.GLOBAL_MEMORY_BUS_WIDTH / 8.0
    return Device(torch.cuda.get_device_name(), operations, memory)
