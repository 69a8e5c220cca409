"""The driver: attempts of a criterion, repeated until the best has been reached often enough.

A criterion knows how to make one attempt; the driver decides where attempts begin, counts how often
the best was reached, watches the clock and fills the cores. Attempt number k draws its random
numbers from (seed, k) and sees only what attempts up to k - LAG have found, so the answer does not
depend on how many attempts run at once: only the clock can change it.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from packing.errors import NotReached
from packing.search.code import Code, make_code
from packing.types import Float, Progress

LAG = 8
"""Attempt k sees the results of the attempts up to k - LAG; also the most workers that are used."""

ELITES = 4
"""How many different codes are kept to move away from."""

SURE = 5
"""After the best was reached this often, it is better to try to leave it than to find it again."""


class OutOfTime(Exception):
    """The clock stopped an attempt before it had anything to return."""


@dataclass(frozen=True)
class Clock:
    """A deadline, as `time.monotonic` counts."""

    deadline: float

    @staticmethod
    def of(seconds: float) -> Clock:
        return Clock(time.monotonic() + seconds)

    @property
    def left(self) -> float:
        return self.deadline - time.monotonic()

    @property
    def up(self) -> bool:
        return self.left <= 0.0


@dataclass(frozen=True, eq=False)
class Known:
    """A code that is optimal by a closed form: unit rows X (n, d), its value, and why."""

    X: Float
    value: float
    why: str


class Criterion(Protocol):
    """What is minimised, and how to make one attempt at it.

    Implementations are frozen dataclasses that `packing.search.make_criterion` can rebuild from
    (name, n, d, s), because worker processes do so. One may also have `departures`: how many
    attempts to leave the best must have failed before the search is content (0 without it).
    """

    @property
    def name(self) -> str: ...
    @property
    def n(self) -> int: ...
    @property
    def d(self) -> int: ...
    @property
    def s(self) -> float:
        """The Riesz exponent; 1 where it means nothing."""
        ...

    def known(self) -> Known | None:
        """The closed form, where there is one."""
        ...

    def attempt(
        self, rng: np.random.Generator, best: Float | None, clock: Clock
    ) -> tuple[float, Float]:
        """One attempt: the value reached and unit rows X (n, d).

        From scratch when `best` is None, otherwise by a move away from the code `best` (n, d).
        When the clock is up it returns what it has, or raises OutOfTime when it has nothing.
        """
        ...

    def same(self, a: float, b: float) -> bool:
        """Whether two values count as the same basin."""
        ...

    def enough(self, reached: int, runs: int) -> bool:
        """The stop rule: whether `reached` of `runs` runs at the best value are convincing."""
        ...

    def needs(self) -> tuple[float, float]:
        """Bytes of memory, and seconds that one attempt may take, both estimated."""
        ...


@dataclass
class Tally:
    """What the attempts so far have found, in their order."""

    same: Callable[[float, float], bool]
    values: list[float] = field(default_factory=list)
    parents: list[float | None] = field(default_factory=list)
    elites: list[list[tuple[float, Float]]] = field(default_factory=lambda: [[]])
    reached: list[int] = field(default_factory=lambda: [0])

    def add(self, parent: float | None, value: float, X: Float) -> None:
        self.parents.append(parent)
        self.values.append(value)
        # A better specimen of the same basin replaces its predecessor.
        kept = [(v, Y) for v, Y in self.elites[-1] if not (self.same(v, value) and value <= v)]
        if not any(self.same(v, value) for v, _ in kept):
            kept = sorted([*kept, (value, X)], key=lambda item: item[0])[:ELITES]
        self.elites.append(kept)
        self.reached.append(self.counts()[0])

    @property
    def best(self) -> tuple[float, Float]:
        return self.elites[-1][0]

    def counts(self) -> tuple[int, int]:
        """How many attempts reached the best, of how many that did not begin there."""
        if not self.values:
            return 0, 0
        top = self.best[0]
        there = [
            self.same(value, top)
            for parent, value in zip(self.parents, self.values, strict=True)
            if parent is None or not self.same(parent, top)
        ]
        return sum(there), len(there)

    def departures(self) -> int:
        """How many attempts began at the best and found nothing better."""
        top = self.best[0]
        return sum(parent is not None and self.same(parent, top) for parent in self.parents)

    def beginning(self, number: int, seed: int) -> tuple[float | None, Float | None]:
        """Where attempt `number` begins: from scratch, or from one of the best codes."""
        then = max(0, number + 1 - LAG)
        elites, sure = self.elites[then], self.reached[then] >= SURE
        if not elites or number % (4 if sure else 2) == 0:
            return None, None
        draw = 0 if sure else np.random.default_rng([seed, number, 1]).geometric(0.5) - 1
        value, X = elites[min(int(draw), len(elites) - 1)]
        return value, X


def run(
    criterion: Criterion,
    n: int,
    d: int,
    seconds: float,
    seed: int,
    progress: Progress | None = None,
    *,
    workers: int | None = None,
) -> Code:
    """The best code that attempts of `criterion` reach within `seconds`.

    Parameters
    ----------
    criterion : Criterion
        For n points in R^d.
    n, d : int
        As in the criterion.
    seconds : float
        Time budget, wall clock. An attempt under way is asked to stop; it does so at its next step.
    seed : int
        At least 0.
    progress : callable, optional
        Called with a stage and a fraction in [0, 1] after every attempt.
    workers : int, optional
        Most processes to use; by default as many as there are cores, at most LAG.

    Raises
    ------
    NotReached
        When the time is up before a single attempt has anything to show.
    """

    begin = time.monotonic()
    clock = Clock(begin + seconds)
    known = criterion.known()
    if known is not None:
        return make_code(
            known.X, criterion.name, known.value, s=criterion.s, reached=1, runs=1,
            seconds=time.monotonic() - begin, seed=seed, end="proved", why=known.why,
        )  # fmt: skip
    tally, departures = Tally(criterion.same), getattr(criterion, "departures", 0)
    done = False
    for parent, value, X in results(criterion, tally, seed, clock, workers):
        tally.add(parent, value, X)
        reached, runs = tally.counts()
        done = criterion.enough(reached, runs) and tally.departures() >= departures
        if progress is not None:
            progress("search", 1.0 if done else min(1.0, (time.monotonic() - begin) / seconds))
        if done:
            break
    if not tally.values:
        raise NotReached(
            f"{seconds:g} seconds were too short for a single attempt at {n} points in R^{d}: "
            f"one takes about {criterion.needs()[1]:.2g} seconds here, give more"
        )
    value, X = tally.best
    reached, runs = tally.counts()
    often = reached >= 3 and 10 * reached >= runs
    end = "unfinished" if not done else "found-often" if often else "found-rarely"
    return make_code(
        X, criterion.name, value, s=criterion.s, reached=reached, runs=runs,
        seconds=time.monotonic() - begin, seed=seed, end=end,
    )  # fmt: skip


def one(
    criterion: Criterion, number: int, seed: int, start: Float | None, clock: Clock
) -> tuple[float, Float] | None:
    """Attempt `number`; None when the clock stopped it before it had anything."""
    try:
        return criterion.attempt(np.random.default_rng([seed, number]), start, clock)
    except OutOfTime:
        return None


def serial(
    criterion: Criterion, tally: Tally, seed: int, clock: Clock, first: int = 0
) -> Iterator[tuple[float | None, float, Float]]:
    """Attempts one after the other, in this process, until the clock is up."""
    number = first
    while not clock.up:
        parent, start = tally.beginning(number, seed)
        found = one(criterion, number, seed, start, clock)
        if found is not None:
            yield parent, found[0], found[1]
        number += 1


# Worker processes for the driver: optional, and invisible in the answer.
#
# Plain subprocesses that call `main`: unlike multiprocessing they never import the caller's main
# module again, so a script without a ``__main__`` guard may call `search`. Jobs and answers are a
# line of JSON followed by raw float64 numbers; nothing is pickled. A worker whose parent is gone
# reads the end of its input and leaves at once.


ALONE = 1.0
"""Seconds before a second process is worth its start."""

_ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}

_WORKER = (
    "import sys; from packing.search import make_criterion; "
    "from packing.search.multistart import main; main(sys.argv[1:], make_criterion)"
)
"""Not ``python -m``: that would make this module twice, and an OutOfTime of one is none of the
other."""


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def results(
    criterion: Criterion, tally: Tally, seed: int, clock: Clock, workers: int | None
) -> Iterator[tuple[float | None, float, Float]]:
    """(parent's value, value, X) of every attempt, in order; the caller adds each to the tally."""
    begin = time.monotonic()
    many = min(cores() if workers is None else workers, LAG)
    number = 0
    for number, found in enumerate(serial(criterion, tally, seed, clock), 1):  # noqa: B007
        yield found
        if many > 1 and time.monotonic() - begin > ALONE:
            break
    if clock.up or many <= 1:
        return
    with Team(criterion, many) as team:
        pending: dict[int, tuple[float | None, Future[tuple[float, Float] | None]]] = {}
        ahead = number
        while True:
            while ahead < number + LAG and len(pending) < 2 * many and not clock.up:
                parent, start = tally.beginning(ahead, seed)
                pending[ahead] = (parent, team.submit(ahead, seed, start, clock))
                ahead += 1
            if number not in pending:
                return
            parent, future = pending.pop(number)
            done = future.result()
            number += 1
            if done is not None:
                yield parent, done[0], done[1]


class Team:
    """A few worker processes, each served by a thread that writes jobs and reads answers."""

    def __init__(self, criterion: Criterion, many: int) -> None:
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        words = [criterion.name, str(criterion.n), str(criterion.d), repr(criterion.s)]
        self.criterion = criterion
        self.idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-c", _WORKER, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **_ONE_THREAD, "PYTHONPATH": path},
            )
            for _ in range(many)
        ]
        for process in self.processes:
            self.idle.put(process)
        self.threads = ThreadPoolExecutor(many)

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
        self.threads.shutdown(cancel_futures=True)
        for process in self.processes:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(BrokenPipeError):
                        pipe.close()
            process.wait()

    def submit(
        self, number: int, seed: int, start: Float | None, clock: Clock
    ) -> Future[tuple[float, Float] | None]:
        return self.threads.submit(self._ask, number, seed, start, clock)

    def _ask(
        self, number: int, seed: int, start: Float | None, clock: Clock
    ) -> tuple[float, Float] | None:
        if clock.up:
            return None
        process = self.idle.get()
        assert process.stdin is not None and process.stdout is not None
        try:
            head = {"number": number, "seed": seed, "left": clock.left, "start": start is not None}
            _send(process.stdin, head, start)
            answer = json.loads(process.stdout.readline() or "{}")
            if "value" not in answer:
                raise RuntimeError(answer.get("error", "a worker process ended without an answer"))
            if answer["value"] is None:
                return None
            return answer["value"], _numbers(process.stdout, self.criterion)
        finally:
            self.idle.put(process)


def _send(pipe: BinaryIO | Any, head: Mapping[str, object], X: Float | None) -> None:
    pipe.write(json.dumps(head).encode() + b"\n")
    if X is not None:
        pipe.write(np.ascontiguousarray(X, dtype=np.float64).tobytes())
    pipe.flush()


def _numbers(pipe: BinaryIO | Any, criterion: Criterion) -> Float:
    raw = pipe.read(8 * criterion.n * criterion.d)
    return np.frombuffer(raw, dtype=np.float64).reshape(criterion.n, criterion.d).copy()


def main(words: list[str], make_criterion: Callable[..., Criterion]) -> None:
    """The life of a worker: jobs from standard input, answers to standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    criterion = make_criterion(words[0], int(words[1]), int(words[2]), s=float(words[3]))
    jobs: queue.SimpleQueue[tuple[dict[str, Any], Float | None]] = queue.SimpleQueue()

    def listen() -> None:
        while line := sys.stdin.buffer.readline():
            job = json.loads(line)
            jobs.put((job, _numbers(sys.stdin.buffer, criterion) if job["start"] else None))
        os._exit(0)  # the parent is gone, or done with us: leave in the middle of an attempt

    threading.Thread(target=listen, daemon=True).start()
    while True:
        job, start = jobs.get()
        try:
            found = one(criterion, job["number"], job["seed"], start, Clock.of(job["left"]))
            value, X = found if found is not None else (None, None)
            _send(sys.stdout.buffer, {"value": value}, X)
        except Exception as error:
            _send(sys.stdout.buffer, {"error": f"{type(error).__name__}: {error}"}, None)
