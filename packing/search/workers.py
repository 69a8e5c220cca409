"""Worker processes for the driver: optional, and invisible in the answer.

Plain subprocesses of ``python -m packing.search.workers``: unlike multiprocessing they never import
the caller's main module again, so a script without a ``__main__`` guard may call `search`. Jobs and
answers are a line of JSON followed by raw float64 numbers; nothing is pickled. A worker whose
parent is gone reads the end of its input and leaves at once.
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
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from packing.search.code import Float
from packing.search.driver import LAG, Clock, Criterion, Tally, one, serial

ALONE = 1.0
"""Seconds before a second process is worth its start."""

_ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


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
                [sys.executable, "-m", "packing.search.workers", *words],
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


def main(words: list[str]) -> None:
    """The life of a worker: jobs from standard input, answers to standard output."""
    from packing.search import make_criterion

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


if __name__ == "__main__":
    main(sys.argv[1:])
