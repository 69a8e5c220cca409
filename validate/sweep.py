"""Sweeps: batches of runs trained here or by workers, each batch given back as soon as it is done.

A worker trains and measures a batch; the process that asked receives the models and alone writes
the store. A run's result depends on its key, so it does not matter who trained it, beside which
others, in which order, or how often its worker was lost before (on a CPU, bit by bit, as long as
processors and versions are equal, which is checked as far as it can be).

A lost worker costs the batches that were on their way (loky loses all of its workers at once, Dask
and Ray one): they are done again. Batches that were there twice when a worker was lost are done
alone, one after another; the one that then takes its worker down once more is put aside, all
others are finished, and one sentence says what it was.
"""

from __future__ import annotations

import math
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import closing
from typing import Any

from packing.errors import BadInput, NotReached
from validate import engines
from validate.carriers import LIVES, Carrier, Lost, differs, gone
from validate.runs import Run
from validate.store import Model, versions

Finished = Callable[[Iterable[str]], set[str]]
"""Which of the keys are kept already; called from threads of the backend too."""

Progress = Callable[..., None]

SHARES = 3
"""Pieces per job that a sweep is cut into, so that the last ones end at about the same time."""

WORTH = 5e5
"""Arithmetic of a step (`work`) below which a smaller piece no longer trains faster."""

MEMORY = "needs more memory than there is"
KILLED = "took its worker down again and again"

COMPANY = 2
"""Times that a batch may be there when a worker is lost, before it is done alone."""


def trained_batches(
    batches: Sequence[Sequence[Run]],
    *,
    device: str,
    engine: str = "auto",
    carrier: Carrier | None = None,
    finished: Finished = lambda keys: set(),
    backwards: bool = False,
    progress: Progress | None = None,
) -> Iterator[list[Model]]:
    """Train and measure batches.

    Parameters
    ----------
    batches : sequence of sequences of Run
        From `validate.train.batches`; a carrier's workers get them in smaller pieces.
    device : {"cpu", "cuda"}
    engine : str
        As in `validate.train.train`; ``auto`` is settled here, not by what a worker has installed.
    carrier : Carrier, optional
        Workers (`validate.carriers.carried`); without, this process trains, one by one.
    finished : callable
        Which of some keys need no training any more; asked before a batch is begun.
    backwards : bool
        Begin with the last batch: two sweeps on one store then meet in the middle.
    progress : callable, optional
        ``progress(stage, fraction, runs)`` inside a batch, where this process trains.

    Yields
    ------
    list of (Trained, Measured)
        A batch, in no certain order of batches.

    Raises
    ------
    BadInput
        If a batch cannot be trained.
    NotReached
        If a batch took its worker down again and again, or needs more memory than there is; all
        others were yielded before.
    """
    step = -1 if backwards else 1
    if carrier is None:
        for batch in batches[::step]:
            held = finished(run.key for run in batch)
            missing = [run for run in batch if run.key not in held]
            if missing:
                yield _here(missing, device, engine, progress)
        return
    parts = pieces(batches, carrier.jobs)[::step]
    yield from _carried(parts, carrier, device, engine, finished)


def pieces(batches: Sequence[Sequence[Run]], jobs: int) -> list[list[Run]]:
    """Batches cut for so many jobs, the longest first.

    Where there are few, they are cut into `SHARES` pieces per job, but not into pieces so small
    that PyTorch would spend a step on its calls.
    """
    share = sum(effort(run) for batch in batches for run in batch) / (SHARES * jobs)
    found: list[list[Run]] = []
    for batch in batches:
        parts = math.ceil(sum(map(effort, batch)) / share)
        size = max(-(-len(batch) // parts), math.ceil(WORTH / work(batch[0])))
        even = -(-len(batch) // -(-len(batch) // size))
        found += [list(batch[i : i + even]) for i in range(0, len(batch), even)]
    return sorted(found, key=lambda piece: -sum(map(effort, piece)))


def work(run: Run) -> float:
    """Arithmetic of one step of a run, about."""
    return run.recipe.batch * run.setting.n * (run.setting.d + 8.0)


def effort(run: Run) -> float:
    """How long a run takes, in units of no meaning; the estimate of time left is made of it."""
    return float(run.recipe.steps) * (work(run) + 1e4)  # a fixed cost of each step


def _here(runs: Sequence[Run], device: str, engine: str, progress: Progress | None) -> list[Model]:
    def inside(stage: str, fraction: float) -> None:
        if progress is not None:
            progress(stage, fraction, runs)

    try:
        return _models(runs, device, engine, inside)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise NotReached(_sentence(runs, device, engine, MEMORY)) from None


def _models(
    runs: Sequence[Run], device: str, engine: str, progress: Progress | None = None
) -> list[Model]:
    from validate.measure import measure
    from validate.train import train_batch

    trained = train_batch(runs, device=device, engine=engine, progress=progress)
    return [(one, measure(one)) for one in trained]


def task(
    number: int, runs: list[Run], device: str, engine: str, expected: dict[str, str]
) -> tuple[int, list[Model] | MemoryError]:
    """What a worker does: train and measure a batch. Memory that ran out is an answer too."""
    if "numba" not in sys.modules:
        os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    problem = differs(expected)
    if problem:
        raise BadInput(f"a worker would not train the same: {problem}; install the same versions")
    try:
        return number, _models(runs, device, engine)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        return number, MemoryError(str(error))


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out; PyTorch has no type for it on a CPU."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in said or "allocate memory" in said


def _carried(
    parts: Sequence[list[Run]], carrier: Carrier, device: str, engine: str, finished: Finished
) -> Iterator[list[Model]]:
    sweep = _Sweep(parts, device, engine, finished)
    while sweep.left:
        try:
            with closing(carrier.answers(sweep.tasks())) as answers:
                for number, answer in answers:
                    if isinstance(answer, list):
                        del sweep.left[number]
                        yield answer
                    elif isinstance(answer, MemoryError):
                        sweep.blame(number, MEMORY)
                    else:
                        sweep.blame(number, KILLED, LIVES)
        except Lost:
            for number in carrier.flying & sweep.left.keys():
                sweep.blame(number, KILLED)
        except (CancelledError, ConnectionError, TimeoutError):
            raise gone(carrier) from None
        sweep.left = {i: runs for i, runs in sweep.left.items() if i not in sweep.kept}
    if sweep.given_up:
        runs, reason = sweep.given_up[0]
        raise NotReached(_sentence(runs, device, engine, reason, len(sweep.given_up) - 1))


class _Sweep:
    """What is left of a sweep, and which batches were there when workers were lost."""

    def __init__(
        self, parts: Sequence[list[Run]], device: str, engine: str, finished: Finished
    ) -> None:
        self.left = dict(enumerate(parts))
        self.how = (device, engine)
        self.finished = finished
        self.kept: set[int] = set()  # found to be finished by someone else
        self.strikes = Counter[int]()
        self.given_up: list[tuple[list[Run], str]] = []

    def tasks(self) -> Iterator[tuple[Callable[..., Any], tuple[Any, ...]]]:
        """What is handed out in this round: all without suspicion, or else one suspect alone."""
        suspects = [i for i in self.left if self.strikes[i] >= COMPANY]
        calm = [i for i in self.left if i not in suspects]
        expected = versions()
        for number in calm or suspects[:1]:
            runs = self.left[number]
            held = self.finished(run.key for run in runs)
            missing = [run for run in runs if run.key not in held]
            if missing:
                device, engine = self.how
                name = engines.engine_for(engine, missing[0], device)
                yield task, (number, missing, device, name, expected)
            else:
                self.kept.add(number)

    def blame(self, number: int, reason: str, strikes: int = 1) -> None:
        """A batch was there when something broke; after `LIVES` times it is given up."""
        self.strikes[number] += strikes
        if self.strikes[number] >= LIVES:
            self.given_up.append((self.left.pop(number), reason))


def _sentence(runs: Sequence[Run], device: str, engine: str, reason: str, more: int = 0) -> str:
    """What is said of a batch that cannot be trained."""
    setting, recipe = runs[0].setting, runs[0].recipe
    need = predicted(runs, device, engine)
    size = "more than can be said" if need is None else f"about {max(need / 2**20, 1.0):.0f} MiB"
    others = f" (and {more} batch{'es' if more > 1 else ''} more)" if more else ""
    return (
        f"a batch of {len(runs)} models of n = {setting.n}, d = {setting.d}, batch = "
        f"{recipe.batch}{others} {reason} (its arrays were predicted to take {size}): use fewer "
        "--jobs, or a smaller batch in the recipe; everything else is finished and kept, and "
        "--resume goes on with the rest"
    )


def predicted(runs: Sequence[Run], device: str, engine: str) -> int | None:
    """Bytes that a batch should need: the least power of two that is allowed to hold it."""
    name = engines.engine_for(engine, runs[0], device)
    for power in range(16, 44):
        try:
            if engines.engine(name).most(runs, device, 2**power) >= len(runs):
                return 2**power
        except BadInput:
            continue
    return None
