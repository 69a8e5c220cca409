"""The trainer: which runs train together, by which engine, and training from start to end.

A batch holds runs that one engine can advance together (`Engine.alike`), as many as fit
(`Engine.most`); memory is predicted before anything is allocated. No run's result depends on how
runs are split.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from packing.errors import BadInput
from packing.types import Float, Progress
from validate.experiments import Recipe, Run, Trained
from validate.training import engine as engines
from validate.training.engine import engine, engine_for


def device_of(name: str) -> torch.device:
    """The device of that name; ``auto`` takes a GPU where there is one.

    Raises
    ------
    BadInput
        If the name is unknown, or cuda is asked for and there is none.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise BadInput(f"device = {name!r} is unknown: give auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise BadInput("device = 'cuda', but PyTorch finds no GPU here: give auto or cpu")
    return torch.device("cpu" if name == "cpu" or not torch.cuda.is_available() else "cuda")


def batches(
    runs: Sequence[Run],
    *,
    device: str = "auto",
    engine: str = "auto",
    memory: int | None = None,
) -> list[list[Run]]:
    """Runs that train together, in batches that fit.

    Parameters
    ----------
    runs : sequence of Run
    device : {"auto", "cpu", "cuda"}
    engine : {"auto", "torch", "numba", "cuda"}
    memory : int, optional
        Bytes that a batch may take; by default 1 GiB on a CPU, 60 % of what is free on a GPU.

    Returns
    -------
    list of lists of Run
        Together are runs of equal n, d, recipe, bias, ReLU and engine; S, importance, law and joint
        law may differ as far as the engine allows. No run's result depends on the split.

    Raises
    ------
    BadInput
        If a single run does not fit, or the engine is unknown, not installed, or refuses a run.
    """
    place = device_of(device)
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(alike(run, place.type, engine), []).append(run)
    done = []
    for (name, *_), group in groups.items():
        size = _engine(str(name)).most(group, place.type, memory)
        parts = -(-len(group) // size)
        even = -(-len(group) // parts)
        done += [group[i : i + even] for i in range(0, len(group), even)]
    return done


def alike(run: Run, place: str, asked: str = "auto") -> tuple[object, ...]:
    """What runs of one batch have in common; the engine's name comes first."""
    name = engine_for(asked, run, place)
    return (name, *_engine(name).alike(run, place))


_engine = engine  # `batches` has a parameter of that name


# Train toy models, many at once.
#
# K models of one shape are advanced together by an engine (`validate.training.engine`), each on
# samples of its own. Nothing crosses from model to model: on a CPU a run's result is bitwise the
# same alone, in any batch and in any order. How many fit is worked out before anything is
# allocated.
#
# All decisions about a run (plateau, divergence) fall at ends of its chunks, a number of steps
# that depends on the run alone; a run that stopped is taken out and its neighbours go on.


Status = Literal["finished", "plateau", "diverged"]

LOOK = 64
"""Steps after which plateaus are looked for."""

CURVE = 400
"""Rows of a learning curve that are kept."""


def train(
    runs: Sequence[Run],
    *,
    device: str = "auto",
    engine: str = "auto",
    memory: int | None = None,
    progress: Progress | None = None,
) -> list[Trained]:
    """Train every run; the answers stand in the order of the runs.

    Parameters
    ----------
    runs : sequence of Run
    device, engine, memory
        As in `batches`.
    progress : callable, optional
        Called with a stage and the fraction done, between chunks; raise from it to stop.

    Returns
    -------
    list of Trained

    Raises
    ------
    BadInput
        If the device or the engine is not there, or a run does not fit.
    """
    parts = batches(runs, device=device, engine=engine, memory=memory)
    work = [len(part) * part[0].recipe.steps for part in parts]
    found: dict[str, Trained] = {}
    for i, part in enumerate(parts):
        before, share = sum(work[:i]) / max(sum(work), 1), work[i] / max(sum(work), 1)

        def inside(stage: str, fraction: float, a: float = before, s: float = share) -> None:
            if progress is not None:
                progress(stage, a + s * fraction)

        for trained in train_batch(part, device=device, engine=engine, progress=inside):
            found[trained.run.key] = trained
    return [found[run.key] for run in runs]


def train_batch(
    runs: Sequence[Run],
    *,
    device: str = "auto",
    engine: str = "auto",
    progress: Progress | None = None,
) -> list[Trained]:
    """Train runs of one batch together (see `batches`).

    Raises
    ------
    BadInput
        If they cannot share a batch, or the device or the engine is not there.
    """
    place = device_of(device)
    if not runs:
        return []
    kinds = {alike(run, place.type, engine) for run in runs}
    if len(kinds) > 1:
        raise BadInput("these runs cannot share a batch: split them with validate.train.batches")
    name = str(kinds.pop()[0])
    lanes = engines.engine(name).lanes(runs, place)
    try:
        batch = _Batch(runs, lanes, f"{place.type}/{name}")
        return batch.train(progress or (lambda stage, fraction: None))
    finally:
        lanes.close()


def snapshot_steps(recipe: Recipe) -> list[int]:
    """Steps after which weights are kept: 0, then evenly in the logarithm up to the last."""
    if not recipe.snapshots:
        return []
    spread = np.geomspace(1.0, recipe.steps, max(recipe.snapshots - 1, 1))
    return sorted({0, *np.rint(spread).astype(int).tolist()})[: recipe.snapshots]


class _Batch:
    """The state of one batch while it trains; `alive` maps lanes to runs."""

    def __init__(self, runs: Sequence[Run], lanes: engines.Lanes, device: str) -> None:
        self.runs, self.recipe, self.lanes = list(runs), runs[0].recipe, lanes
        self.device = device
        self.alive = np.arange(len(runs))
        self.at: list[int] = []  # steps whose losses were recorded, and those losses by run
        self.losses: list[Float] = []
        self.snapshots: list[tuple[int, Float]] = []
        self.last: list[tuple[Status, int, Float] | None] = [None] * len(runs)

    def train(self, progress: Progress) -> list[Trained]:
        start, steps, T = time.perf_counter(), self.recipe.steps, self.lanes.chunk
        wanted = snapshot_steps(self.recipe)
        if 0 in wanted:
            self._snapshot(0)
        done, after = 0, self.lanes.weights()
        while done < steps and len(self.alive):
            begin, end, before = done, min(done + T, steps), after
            sound = np.ones(len(self.alive), dtype=bool)
            for stop in sorted({end, *(s for s in wanted if done < s < end)}):
                for step, losses in self.lanes.advance(stop - done):
                    self._record(step, losses)
                    sound &= np.isfinite(losses)
                if stop in wanted:
                    self._snapshot(stop)
                done = stop
            sound &= self.lanes.sound()
            after = self.lanes.weights()
            look = done // LOOK > begin // LOOK  # as often whatever the engine's chunks are
            flat = self._flat(done) if look else np.zeros(len(self.alive), dtype=bool)
            for lane, run in enumerate(self.alive):
                if not sound[lane]:
                    self.last[run] = ("diverged", begin, before[lane])
                elif done == steps:
                    self.last[run] = ("finished", steps, after[lane])
                elif flat[lane]:
                    self.last[run] = ("plateau", done, after[lane])
            go_on = np.flatnonzero(sound & ~flat)
            if done < steps and len(go_on) < len(self.alive):
                self.lanes.keep(go_on.tolist())
                self.alive, after = self.alive[go_on], after[go_on]
            progress(f"training {len(self.runs)} models", done / steps)
        seconds = (time.perf_counter() - start) / len(self.runs)
        return [self._trained(i, seconds) for i in range(len(self.runs))]

    def _record(self, step: int, losses: Float) -> None:
        row = np.full(len(self.runs), np.nan)
        row[self.alive] = losses
        self.at.append(step)
        self.losses.append(row)

    def _snapshot(self, step: int) -> None:
        row = np.full((len(self.runs), self.lanes.size), np.nan)
        row[self.alive] = self.lanes.weights()
        self.snapshots.append((step, row))

    def _flat(self, step: int) -> NDArray[np.bool_]:
        """Runs whose loss over the last `plateau` steps is not below that of as many before.

        Not below by more than the standard error of the difference, that is; while the loss falls,
        the windows differ by more.
        """
        width = self.recipe.plateau
        if width is None or step < 2 * width:
            return np.zeros(len(self.alive), dtype=bool)
        at = np.array(self.at)
        mean, square = [], []
        for low in (step - width, step - 2 * width):
            some = np.flatnonzero((at > low) & (at <= low + width))
            if not len(some):
                return np.zeros(len(self.alive), dtype=bool)
            rows = np.stack([self.losses[i][self.alive] for i in some])
            # Running sums: unlike `sum`, their order does not depend on the number of columns.
            mean.append(np.cumsum(rows, axis=0)[-1] / len(some))
            spread = np.cumsum((rows - mean[-1]) ** 2, axis=0)[-1] / len(some)
            square.append(spread / len(some))
        return np.asarray(mean[0] >= mean[1] - np.sqrt(square[0] + square[1]))

    def _trained(self, i: int, seconds: float) -> Trained:
        last = self.last[i]
        assert last is not None
        status, steps, theta = last
        n, d = self.runs[i].setting.n, self.runs[i].setting.d
        curve = np.array([(s, row[i]) for s, row in zip(self.at, self.losses, strict=True)])
        return Trained(
            run=self.runs[i],
            W=theta[: n * d].reshape(d, n),
            b=theta[n * d :],
            curve=_thinned(curve[curve[:, 0] <= steps]),
            snapshots=tuple(
                (s, rows[i, : n * d].reshape(d, n), rows[i, n * d :])
                for s, rows in self.snapshots
                if s <= steps
            ),
            status=status,
            steps=steps,
            device=self.device,
            seconds=seconds,
        )


def _thinned(curve: Float) -> Float:
    """At most CURVE rows: neighbours averaged, each at the last of its steps."""
    width = -(-len(curve) // CURVE)
    if width <= 1:
        return curve
    parts = [curve[i : i + width] for i in range(0, len(curve), width)]
    return np.array([(part[-1, 0], float(np.mean(part[:, 1]))) for part in parts])


__all__ = ["batches", "device_of", "snapshot_steps", "train", "train_batch"]
