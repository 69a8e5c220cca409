"""Train toy models, many at once.

K models of one shape are stacked and updated together (`validate.engine`) on samples of their own
(`validate.feed`). Nothing crosses from model to model: on a CPU a run's result is bitwise the same
alone, in any batch and in any order. How many fit is worked out before anything is allocated.

All decisions about a run (plateau, divergence) fall at ends of its chunks, a number of steps that
depends on the run alone; a run that stopped is taken out of the stack and its neighbours go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from packing.errors import BadInput
from theory.features import Float
from validate.engine import Stack
from validate.feed import Feed, form_of
from validate.plan import RECORDS, alike, batches, device_of
from validate.runs import Recipe, Run, Trained

Progress = Callable[[str, float], None]
"""Called with a stage and the fraction done; what it raises stops the training."""

Status = Literal["finished", "plateau", "diverged"]

CURVE = 400
"""Rows of a learning curve that are kept."""

__all__ = ["batches", "device_of", "snapshot_steps", "train", "train_batch"]


def train(
    runs: Sequence[Run],
    *,
    device: str = "auto",
    memory: int | None = None,
    progress: Progress | None = None,
) -> list[Trained]:
    """Train every run; the answers stand in the order of the runs.

    Parameters
    ----------
    runs : sequence of Run
    device, memory
        As in `batches`.
    progress : callable, optional
        Called with a stage and the fraction done, between chunks; raise from it to stop.

    Returns
    -------
    list of Trained

    Raises
    ------
    BadInput
        If the device is not there or a run does not fit.
    """
    parts = batches(runs, device=device, memory=memory)
    work = [len(part) * part[0].recipe.steps for part in parts]
    found: dict[str, Trained] = {}
    for i, part in enumerate(parts):
        before, share = sum(work[:i]) / max(sum(work), 1), work[i] / max(sum(work), 1)

        def inside(stage: str, fraction: float, a: float = before, s: float = share) -> None:
            if progress is not None:
                progress(stage, a + s * fraction)

        for trained in train_batch(part, device=device, progress=inside):
            found[trained.run.key] = trained
    return [found[run.key] for run in runs]


def train_batch(
    runs: Sequence[Run], *, device: str = "auto", progress: Progress | None = None
) -> list[Trained]:
    """Train runs of one batch together (see `batches`).

    Raises
    ------
    BadInput
        If they cannot share a batch, or the device is not there.

    Notes
    -----
    Runs inside one thread of PyTorch, whose setting is restored: with more, how a vector is cut
    depends on its length, and results on the company. A second thread draws samples.
    """
    place = device_of(device)
    if not runs:
        return []
    if len({alike(run, place.type) for run in runs}) > 1:
        raise BadInput("these runs cannot share a batch: split them with validate.train.batches")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad(), ThreadPoolExecutor(1, "", torch.set_num_threads, (1,)) as pool:
            return _Batch(runs, place, pool).train(progress or (lambda stage, fraction: None))
    finally:
        torch.set_num_threads(threads)


def snapshot_steps(recipe: Recipe) -> list[int]:
    """Steps after which weights are kept: 0, then evenly in the logarithm up to the last."""
    if not recipe.snapshots:
        return []
    spread = np.geomspace(1.0, recipe.steps, max(recipe.snapshots - 1, 1))
    return sorted({0, *np.rint(spread).astype(int).tolist()})[: recipe.snapshots]


class _Batch:
    """The state of one batch while it trains; `alive` maps lanes of the stack to runs."""

    def __init__(self, runs: Sequence[Run], device: torch.device, pool: ThreadPoolExecutor) -> None:
        self.runs, self.recipe, self.pool = list(runs), runs[0].recipe, pool
        self.device = device
        self.form = form_of(runs[0].setting, self.recipe, device.type)
        self.feed = Feed(runs, self.form, device)
        self.stack = Stack(runs, self.form.columns, device)
        self.alive = np.arange(len(runs))
        self.at: list[int] = []  # steps whose losses were recorded, and those losses by run
        self.losses: list[Float] = []
        self.snapshots: list[tuple[int, Float]] = []
        self.last: list[tuple[Status, int, Float] | None] = [None] * len(runs)

    def train(self, progress: Progress) -> list[Trained]:
        start, steps, T = time.perf_counter(), self.recipe.steps, self.form.steps
        wanted = set(snapshot_steps(self.recipe))
        if 0 in wanted:
            self._snapshot(0)
        coming, held, done = self.pool.submit(self.feed.draw), None, 0
        after = self.stack.weights()
        while done < steps and len(self.alive):
            chunk, held = held or coming.result(), None
            if done + T < steps:
                coming = self.pool.submit(self.feed.draw)
            count, before = min(T, steps - done), after
            sound = np.ones(len(self.alive), dtype=bool)
            for t in range(count):
                record = (t + 1) % max(T // RECORDS, 1) == 0 or t == count - 1
                losses = self.stack.step(chunk, t, done + t, record)
                if losses is not None:
                    self._record(done + t + 1, losses)
                    sound &= np.isfinite(losses)
                if done + t + 1 in wanted:
                    self._snapshot(done + t + 1)
            sound &= self.stack.finite().cpu().numpy()
            after = self.stack.weights()
            flat = self._flat(done + count)
            for lane, run in enumerate(self.alive):
                if not sound[lane]:
                    self.last[run] = ("diverged", done, before[lane])
                elif done + count == steps:
                    self.last[run] = ("finished", steps, after[lane])
                elif flat[lane]:
                    self.last[run] = ("plateau", done + count, after[lane])
            done += count
            go_on = np.flatnonzero(sound & ~flat)
            if done < steps and len(go_on) < len(self.alive):
                # The chunk under way was drawn for all: let it end before the feed forgets some.
                lanes = torch.from_numpy(go_on).to(self.device)
                held = coming.result().of(lanes)
                self.feed.keep(go_on.tolist())
                self.stack.keep(lanes)
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
        row = np.full((len(self.runs), self.stack.size), np.nan)
        row[self.alive] = self.stack.weights()
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
            device=self.device.type,
            seconds=seconds,
        )


def _thinned(curve: Float) -> Float:
    """At most CURVE rows: neighbours averaged, each at the last of its steps."""
    width = -(-len(curve) // CURVE)
    if width <= 1:
        return curve
    parts = [curve[i : i + width] for i in range(0, len(curve), width)]
    return np.array([(part[-1, 0], float(np.mean(part[:, 1]))) for part in parts])
