"""The CUDA engine, opt-in: one model a thread, whole stretches of training in one launch (numba).

It has run in numba's simulator only, never on a GPU: `auto` does not choose it, PyTorch trains on a
GPU. It is kept small enough to be read. A thread draws its samples one after the other and goes
through the factors, with h = W x, z = W'h + b, e = relu(z) - x where z > 0 and 0 elsewhere:

    dL/dW = s o (h e' + (W e) x'),   dL/db = s o e,   s = 2 I / B along features,

summed over the batch, then Adam (`validate.training.step`). Threads share nothing, so a model's
result is the same in any company. Random numbers are xoroshiro128+, seeded by the run's own key.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import astuple
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from packing.errors import BadInput
from packing.types import Float
from validate.experiments import Run
from validate.sampling import generator, sampler
from validate.training.engine import Engine
from validate.training.numba_engine import rates_of
from validate.training.step import first_weights

if TYPE_CHECKING:
    import torch

if importlib.util.find_spec("numba") and importlib.util.find_spec("numba_cuda"):
    # names of the module, not of a function: the simulator replaces them there
    from numba import cuda
    from numba.cuda.random import xoroshiro128p_dtype
    from numba.cuda.random import xoroshiro128p_uniform_float64 as uniform


CHUNK = 256
"""Steps of one launch; decisions fall after multiples of so many."""

EVERY = 64
"""Steps between recorded losses."""

LARGEST = 1024
"""Parameters of a model, at most: they live in the local memory of one thread."""

THREADS = 64
"""Threads of a block."""

LAWS = ("binary", "uniform", "exponential")


class Model(NamedTuple):
    """What a kernel is told of the models, all numbers.

    Parameters
    ----------
    batch, group : int
        Samples of a batch; features of a group (`validate.sampling.Sampler`).
    single, relu, bias, fed : bool
        Whether one feature of a group that is on is on; what the model has; whether samples are
        given rather than drawn.
    law : int
        Place in LAWS.
    """

    batch: int
    group: int
    single: bool
    relu: bool
    bias: bool
    fed: bool
    law: int


class State(NamedTuple):
    """Arrays of K models on the device, models last: neighbours read neighbouring numbers.

    Parameters
    ----------
    theta, first, second : (size, K) arrays
        Weights W (d, n) row by row and biases; the moments of Adam.
    importance : (n, K) array
    chance : (groups, K) array
    random : (K,) array
        States of xoroshiro128+.
    """

    theta: Any
    first: Any
    second: Any
    importance: Any
    chance: Any
    random: Any


@cache
def kernel(n: int, d: int, double: bool) -> Any:
    """The kernel for one shape: of (model, state, given, rates, every, losses), a thread a model.

    ``given`` is (steps, batch, n, K), read where ``model.fed``; ``rates`` (steps, 9) as in
    `validate.training.numba_engine.rates_of`; ``losses`` (records, K) is filled.
    """
    real = np.float64 if double else np.float32
    size, zero, half = n * (d + 1), real(0), real(0.5)

    @cuda.jit(device=True)
    def value(law: int, random: Any, k: int) -> Any:
        if law == 0:
            return real(1)
        u = uniform(random, k)
        return real(u) if law == 1 else real(-math.log(1.0 - u))

    @cuda.jit(device=True)
    def draw(model: Model, chance: Any, random: Any, k: int, x: Any) -> None:
        for j in range(n):
            x[j] = zero
        for g in range(n // model.group):
            if uniform(random, k) < chance[g, k]:
                begin = g * model.group
                if model.single:
                    member = min(int(uniform(random, k) * model.group), model.group - 1)
                    x[begin + member] = value(model.law, random, k)
                else:
                    for j in range(begin, begin + model.group):
                        x[j] = value(model.law, random, k)

    @cuda.jit
    def train(model: Model, state: State, given: Any, rates: Any, every: int, losses: Any) -> None:
        k = cuda.grid(1)
        if k >= state.theta.shape[1]:
            return
        gradient = cuda.local.array(size, real)
        x = cuda.local.array(n, real)
        h = cuda.local.array(d, real)
        back = cuda.local.array(d, real)
        theta, slot = state.theta, 0
        for step in range(rates.shape[0]):
            rate = rates[step]
            for p in range(size):
                gradient[p] = zero
            loss = zero
            for sample in range(model.batch):
                if model.fed:
                    for j in range(n):
                        x[j] = given[step, sample, j, k]
                else:
                    draw(model, state.chance, state.random, k, x)
                for c in range(d):
                    h[c] = zero
                    back[c] = zero
                    for j in range(n):
                        h[c] += theta[c * n + j, k] * x[j]
                for i in range(n):
                    z = theta[d * n + i, k]
                    for c in range(d):
                        z += theta[c * n + i, k] * h[c]
                    active = not model.relu or z > zero
                    e = (z if active else zero) - x[i]
                    scale = rate[0] * state.importance[i, k]
                    loss += half * scale * e * e
                    if active:
                        slope = scale * e
                        for c in range(d):
                            gradient[c * n + i] += slope * h[c]
                            back[c] += slope * theta[c * n + i, k]
                        if model.bias:
                            gradient[d * n + i] += slope
                for c in range(d):
                    for j in range(n):
                        gradient[c * n + j] += back[c] * x[j]
            for p in range(size):
                g = gradient[p]
                m = rate[2] * state.first[p, k] + rate[3] * g
                v = rate[4] * state.second[p, k] + rate[5] * g * g
                state.first[p, k] = m
                state.second[p, k] = v
                below = real(math.sqrt(v)) * rate[6] + rate[7]
                theta[p, k] = rate[1] * theta[p, k] - rate[8] * m / below
            if (step + 1) % every == 0 or step + 1 == rates.shape[0]:
                losses[slot, k] = loss
                slot += 1

    return train


class CudaEngine(Engine):
    """Models in the threads of a GPU."""

    name = "cuda"
    places = ("cuda",)

    def missing(self) -> str:
        for module, package in (("numba", "numba"), ("numba_cuda", "numba-cuda")):
            if importlib.util.find_spec(module) is None:
                return (
                    f"engine = 'cuda' needs {package}, which is not installed: "
                    "pip install 'feature-packing[cuda]'"
                )
        if cuda.config.ENABLE_CUDASIM:
            return ""
        try:
            found = bool(cuda.is_available())
        except Exception:  # a driver may fail in many ways; none of them is a usable GPU
            found = False
        if not found:
            return (
                "engine = 'cuda' finds no GPU that numba-cuda can use (where there is one, it also "
                "wants NVIDIA's libraries: pip install 'numba-cuda[cu13]'); give torch"
            )
        return ""

    def refusal(self, run: Run) -> str:
        s = run.setting
        if s.n * (s.d + 1) > LARGEST:
            return (
                f"engine = 'cuda' trains models of at most {LARGEST} parameters, and n = {s.n}, "
                f"d = {s.d} has {s.n * (s.d + 1)}: give torch"
            )
        return ""

    def alike(self, run: Run, place: str) -> tuple[object, ...]:
        s, law = run.setting, sampler(run.setting)
        return (s.n, s.d, s.bias, s.relu, astuple(run.recipe), law.size, law.single, law.law)

    def most(self, group: Sequence[Run], place: str, memory: int | None) -> int:
        if memory is None:
            import torch

            memory = int(0.6 * torch.cuda.mem_get_info()[0])
        s, recipe = group[0].setting, group[0].recipe
        size = s.n * (s.d + 1)
        records = recipe.steps // EVERY + recipe.steps // CHUNK + 2
        each = 8 * (4 * size + 2 * s.n + (recipe.snapshots + 3) * size + 2 * records)
        if each > memory:
            raise BadInput(
                f"one run of n = {s.n}, d = {s.d} needs {each:.3g} bytes and memory = "
                f"{memory:.3g}: allow more"
            )
        return min(memory // each, 2**24)

    def lanes(self, runs: Sequence[Run], device: torch.device) -> CudaLanes:
        return CudaLanes(runs)

    def follow(self, runs: Sequence[Run], x: Float) -> Float:
        lanes = CudaLanes(runs)
        found = [lanes.weights()]
        for t in range(x.shape[1]):
            lanes.advance(1, np.ascontiguousarray(x[:, t].transpose(2, 1, 0)[None]))
            found.append(lanes.weights())
        return np.stack(found, axis=1)


class CudaLanes:
    """K models on the device between two launches; lane k is the k-th run that is going on."""

    chunk = CHUNK

    def __init__(self, runs: Sequence[Run]) -> None:
        s, self.recipe = runs[0].setting, runs[0].recipe
        laws = [sampler(run.setting) for run in runs]
        self.real = np.dtype(self.recipe.dtype)
        self.n, self.size, self.done = s.n, s.n * (s.d + 1), 0
        self.kernel = kernel(s.n, s.d, self.real == np.float64)
        law = laws[0]
        place = LAWS.index(law.law)
        self.model = Model(self.recipe.batch, law.size, law.single, s.relu, s.bias, False, place)
        random = np.zeros(len(runs), dtype=xoroshiro128p_dtype)
        for k, run in enumerate(runs):
            words = generator(run.key, 1).integers(1, 2**63, size=2, dtype=np.uint64)
            random[k] = tuple(words.tolist())
        theta = np.stack([first_weights(run) for run in runs], axis=1).astype(self.real)
        importance = np.stack([run.setting.features.importance for run in runs], axis=1)
        parts = State(
            theta,
            np.zeros_like(theta),
            np.zeros_like(theta),
            importance.astype(self.real),
            np.stack([one.chance for one in laws], axis=1),
            random,
        )
        self.state = State(*map(cuda.to_device, parts))

    def weights(self) -> Float:
        return np.ascontiguousarray(self.state.theta.copy_to_host().T.astype(np.float64))

    def sound(self) -> NDArray[np.bool_]:
        parts = (self.state.theta, self.state.first, self.state.second)
        return np.all([np.isfinite(part.copy_to_host()).all(axis=0) for part in parts], axis=0)

    def keep(self, lanes: Sequence[int]) -> None:
        kept = [np.ascontiguousarray(part.copy_to_host()[..., list(lanes)]) for part in self.state]
        self.state = State(*map(cuda.to_device, kept))

    def advance(self, count: int, given: NDArray[Any] | None = None) -> list[tuple[int, Float]]:
        K = self.state.theta.shape[1]
        rates = rates_of(self.recipe, self.done, count)
        model = self.model._replace(fed=given is not None)
        none = np.zeros((0, 0, self.n, K), dtype=self.real)
        samples = none if given is None else given.astype(self.real)
        stops = [*range(EVERY, count + 1, EVERY)]
        stops += [] if stops and stops[-1] == count else [count]
        losses = cuda.to_device(np.zeros((len(stops), K), dtype=self.real))
        threads = min(K, THREADS)
        self.kernel[-(-K // threads), threads](
            model, self.state, cuda.to_device(samples), cuda.to_device(rates.astype(self.real)),
            EVERY, losses,
        )  # fmt: skip
        start, self.done = self.done, self.done + count
        found = losses.copy_to_host().astype(np.float64)
        return [(start + stop, loss) for stop, loss in zip(stops, found, strict=True)]

    def close(self) -> None:
        pass


__all__ = ["CudaEngine", "CudaLanes", "Model", "State", "kernel"]
