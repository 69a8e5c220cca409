"""Carriers: what takes batches to worker processes and brings models back, by joblib's backends.

A carrier starts workers, or finds a cluster, and hands out a joblib backend on which any task can
be called. Two things are added to joblib's own: it tells which tasks are on their way (so that it
is known what a lost worker held), and an error that Dask reports of a task reaches the caller,
who would otherwise wait for ever.

loky        processes of this machine
dask        a Dask cluster: `dask:tcp://host:8786`, `dask:scheduler.json`, or one made here
ray         a Ray cluster: `ray:ADDRESS`, or one made here
"""

from __future__ import annotations

import importlib.util
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from packing.errors import BadInput, NotReached
from packing.search.workers import cores
from validate.store import versions

BACKENDS = ("none", "loky", "dask", "ray")
"""Names of `--engine-backend`; none trains in this process."""

LIVES = 3
"""Workers that a batch may lose before it is given up."""

Task = Callable[..., Any]
_NEEDS = {"loky": ("joblib",), "dask": ("joblib", "distributed"), "ray": ("joblib", "ray")}
_EXTRA = {"loky": "validate", "dask": "dask", "ray": "ray"}


class Lost(Exception):
    """Workers died, and what they were doing has to be done again."""


class Carrier:
    """Worker processes behind a backend of joblib.

    Parameters
    ----------
    name : str
        One of `BACKENDS` but none.
    jobs : int
        Tasks on their way at a time.
    memory : int, optional
        Bytes that a worker may use, where a cluster says so.

    Attributes
    ----------
    flying : set of int
        Numbers of the tasks that were handed out and have not come back.
    """

    def __init__(self, name: str, jobs: int, memory: int | None = None) -> None:
        self.name, self.jobs, self.memory = name, jobs, memory
        self.flying: set[int] = set()
        self.stack = ExitStack()
        self.deaths: tuple[type[BaseException], ...] = ()
        self.make: Callable[[], Any] = lambda: None

    def close(self) -> None:
        """Let the workers go; those that still work are stopped."""
        self.stack.close()

    def answers(self, tasks: Iterable[tuple[Task, tuple[Any, ...]]]) -> Generator[Any, None, None]:
        """What the tasks return, as it comes.

        Parameters
        ----------
        tasks : iterable of (function, arguments)
            Taken one by one as workers become free, in a thread of the backend. The first
            argument is the number of the task, and so is the first part of its answer.

        Yields
        ------
        tuple
            Answers; (number, error) for a task whose workers died, where the backend knows it.

        Raises
        ------
        Lost
            If workers died and all that is in `flying` with them.
        """
        from joblib import Parallel, delayed

        self.flying.clear()
        backend = self._watched(self.make())
        parallel = Parallel(
            n_jobs=max(self.jobs, 2),  # a single job would be done in this process
            backend=backend,
            return_as="generator_unordered",
            batch_size=1,
            pre_dispatch=self.jobs,
            max_nbytes=None,
        )
        found = None
        try:
            with deaf():
                found = parallel(delayed(function)(*words) for function, words in tasks)
            for answer in found:
                self.flying.discard(answer[0])
                yield answer
        except self.deaths as error:
            raise Lost(str(error)) from None
        finally:
            if found is not None:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # that not all was used is the purpose
                    found.close()

    def _watched(self, backend: Any) -> Any:
        """The backend of joblib, with its tasks counted and their errors told."""
        submit, jobs = backend.submit, self.jobs

        def watched(batch: Any, callback: Any = None) -> Any:
            number = batch.items[0][1][0]
            self.flying.add(number)
            future = submit(batch, callback)
            if self.name == "dask":

                def told(done: Any) -> None:
                    error = done.exception()
                    if error is not None and callback is not None:
                        killed = type(error).__name__ == "KilledWorker"
                        callback([(number, error)] if killed else error)

                future.add_done_callback(told)
            return future

        backend.submit = watched
        if self.name == "dask":
            # Else a cluster of one thread would leave the work to this process.
            backend.effective_n_jobs = lambda n_jobs: max(jobs, 2)
        return backend


def checked(backend: str, jobs: int | None) -> tuple[str, str]:
    """Name and address of a backend.

    Raises
    ------
    BadInput
        If it is unknown, not installed, or jobs cannot be.
    """
    name, colon, address = backend.partition(":")
    if colon and not address:
        raise BadInput(
            f"engine backend = {backend!r} names no address: give one, or leave out the colon"
        )
    if name == "dask" and address and not (":" in address or "." in address or os.sep in address):
        raise BadInput(
            f"engine backend = {backend!r}: {address!r} is neither a scheduler's file nor an "
            "address as tcp://HOST:PORT"
        )
    if name not in BACKENDS:
        known = ", ".join(BACKENDS)
        raise BadInput(f"engine backend = {name!r} is unknown: give one of {known}")
    if jobs is not None and (isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1):
        raise BadInput(f"jobs = {jobs!r}: give how many batches train at a time, 1 or more")
    if name == "none":
        if address:
            raise BadInput(f"engine backend = {backend!r}: none has no address, leave it out")
        if jobs is not None and jobs > 1:
            raise BadInput(
                f"jobs = {jobs} needs worker processes: add --engine-backend loky, or dask, or ray"
            )
        return name, address
    if name == "loky" and address:
        raise BadInput(f"engine backend = {backend!r}: loky has no address; dask and ray have")
    for module in _NEEDS[name]:
        if importlib.util.find_spec(module) is None:
            raise BadInput(
                f"engine backend = {name!r} needs {module}, which is not installed: "
                f"pip install 'feature-packing[{_EXTRA[name]}]'"
            )
    return name, address


@contextmanager
def carried(backend: str, jobs: int | None = None) -> Iterator[Carrier | None]:
    """A carrier, whose workers are gone when the block ends; None where there is nothing to carry.

    Parameters
    ----------
    backend : str
        ``none``, ``loky``, ``dask``, ``ray``; the last two with ``:ADDRESS`` for a cluster.
    jobs : int, optional
        Batches that train at a time; by default as many as there are cores, or as the cluster
        has threads.

    Raises
    ------
    BadInput
        If the backend cannot be used; one sentence says what to do.
    """
    name, address = checked(backend, jobs)
    if name == "none":
        yield None
        return
    carrier = Carrier(name, jobs or cores())
    try:
        if name == "loky":
            with_loky(carrier)
        else:
            from validate.clusters import with_dask, with_ray

            (with_dask if name == "dask" else with_ray)(carrier, address, jobs)
        yield carrier
    finally:
        carrier.close()


@contextmanager
def deaf() -> Iterator[None]:
    """Threads and processes begun in here do not hear Ctrl-C, not even while they start.

    A terminal sends it to all of them; this process alone answers, when the block has ended.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def with_loky(carrier: Carrier) -> None:
    """Processes of this machine."""
    from joblib.externals.loky.process_executor import BrokenProcessPool

    def make() -> Any:
        return instance(
            "loky", inner_max_num_threads=1, initializer=settle, initargs=(os.getpid(),)
        )

    def let_go() -> None:
        from joblib.externals.loky import reusable_executor

        if reusable_executor._executor is not None:
            reusable_executor._executor.shutdown(wait=True, kill_workers=True)

    carrier.make, carrier.deaths = make, (BrokenProcessPool,)
    carrier.stack.callback(let_go)
    carrier.stack.enter_context(warnings.catch_warnings())
    # loky replaces a worker whose memory grew, and warns of it; no task is lost by that.
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs", append=False)


def settle(parent: int) -> None:
    """Make this process a worker: Ctrl-C is its parent's affair, and it goes when that is gone."""
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    if hasattr(os, "getppid"):
        threading.Thread(target=watch, name="parent", daemon=True).start()


def instance(name: str, **how: Any) -> Any:
    """An instance of a backend of joblib."""
    from joblib import parallel_config

    with parallel_config(backend=name, **how) as made:
        return made["backend"]


def differs(expected: dict[str, str]) -> str:
    """How this process differs from the one that wants work done; empty if it does not."""
    mine = versions()
    return ", ".join(
        f"{name} is {mine.get(name, 'none')}, not {version}"
        for name, version in expected.items()
        if mine.get(name, "none") != version
    )


def gone(carrier: Carrier) -> NotReached:
    """What is said when a cluster is lost as a whole."""
    return NotReached(
        f"the {carrier.name} cluster no longer answers: everything finished is kept; start it "
        "again, and go on with --resume"
    )
