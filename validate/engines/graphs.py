"""Large models on a GPU: the batched step of PyTorch, captured once as a CUDA graph and replayed.

At (400, 30) a step is some thirty small launches around three products of matrices, and one core
feeds the GPU with them more slowly than it works. A CUDA graph keeps the launches: drawing a batch,
the step of `validate.engine.Stack` and Adam are recorded once, and every further step is a single
call. What changes from step to step must then live on the device: the rates stand in a table there,
and a counter on the device says which row is meant. Each model draws from a generator of its own,
which the graph is told about, so its state moves on with every replay.

Where nothing can be captured (on a CPU, or where PyTorch refuses) the same step runs plainly: a
graph changes when work is launched, not what is computed. ``compiled`` hands the step to
`torch.compile` instead, which fuses what stands between the products.

On a GPU a library may sum in an order that depends on how many models are stacked, so results there
do not depend on the company up to rounding only, as with the PyTorch engine.

The capture itself has never run: no GPU was in reach when this was written. Run here, on a CPU, are
the step with its rates on the device (equal to the reference to rounding) and `torch.compile`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from theory.features import Float
from validate.data import Sampler, generator, sampler
from validate.engine import EPSILON, Stack
from validate.engines.gpu_tables import rates
from validate.feed import Chunk
from validate.runs import Run

CHUNK = 64
"""Steps between decisions."""

RECORDS = 4
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
