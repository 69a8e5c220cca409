"""Sweeps: batches of runs trained here or by workers, each given back as soon as it is done.

Workers are those of a backend of joblib: loky (processes of this machine), Dask or Ray (a cluster
at an address, or one made here that listens on the loopback alone). A worker trains and measures a
batch; the process that asked receives the models and alone writes the store. A run's result depends
on its key, so it does not matter who trained it, beside which others, in which order, or how often
its worker was lost before (on a CPU, bit by bit, as long as processors and versions are equal).

joblib gives up when a worker dies. Then what is missing is handed out again; batches that were
there twice are done alone, one after another, and the one that still takes its worker down is put
aside: all others are finished, and one sentence says what it was.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packing.errors import BadInput, NotReached
from packing.search.multistart import cores
from packing.types import Telling
from validate.experiments import Model, Run
from validate.store import versions
from validate.training import engine as engines

BACKENDS = {
    "none": ((), ""),
    "loky": (("joblib",), "validate"),
    "dask": (("joblib", "distributed"), "dask"),
    "ray": (("joblib", "ray"), "ray"),
}
"""Names of `--engine-backend`: modules that each needs, and the extra that installs them. `none`
trains in this process."""

LIVES = 3
"""Workers that a batch may lose before it is given up."""

COMPANY = 2
"""Times that a batch may be there when a worker is lost, before it is done alone."""

SHARES = 3
"""Pieces per job that a sweep is cut into, so that the last ones end at about the same time."""

WORTH = 5e5
"""Arithmetic of a step (`work`) below which a smaller piece no longer trains faster."""

PATIENCE = 5.0
"""Seconds to wait for an answer from the address of a cluster."""

FIRST_WORKER = 60.0
"""Seconds to wait for the first worker of a cluster."""

MEMORY = "needs more memory than there is"
KILLED = "took its worker down again and again"

Task = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function and its arguments; the first is the task's number, as is the first of its answer."""

Finished = Callable[[Iterable[str]], set[str]]
"""Which of the keys are kept already; called from threads of the backend too."""


# Batches.


def trained_batches(
    batches: Sequence[Sequence[Run]],
    *,
    device: str,
    engine: str = "auto",
    workers: Workers | None = None,
    finished: Finished = lambda keys: set(),
    backwards: bool = False,
    progress: Telling | None = None,
) -> Iterator[list[Model]]:
    """Train and measure batches.

    Parameters
    ----------
    batches : sequence of sequences of Run
        From `validate.training.trainer.batches`; workers get them in smaller pieces.
    device : {"cpu", "cuda"}
    engine : str
        As in `validate.train`; ``auto`` is settled here, not by what a worker has installed.
    workers : Workers, optional
        From `hired`; without, this process trains, one batch after another.
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
    if workers is not None:
        parts = pieces(batches, workers.jobs)[::step]
        yield from _by_workers(parts, workers, device, engine, finished)
        return
    for batch in batches[::step]:
        missing = _missing(batch, finished)
        if missing:
            yield _here(missing, device, engine, progress)


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


def _missing(runs: Sequence[Run], finished: Finished) -> list[Run]:
    held = finished(run.key for run in runs)
    return [run for run in runs if run.key not in held]


def _here(runs: Sequence[Run], device: str, engine: str, progress: Telling | None) -> list[Model]:
    def inside(stage: str, fraction: float) -> None:
        if progress is not None:
            progress(stage, fraction, runs)

    found = _models(runs, device, engine, inside)
    if isinstance(found, MemoryError):
        raise NotReached(_sentence(runs, device, engine, MEMORY))
    return found


def _models(
    runs: Sequence[Run], device: str, engine: str, progress: Any = None
) -> list[Model] | MemoryError:
    """Runs trained and measured. Memory that ran out is an answer too."""
    from validate.measurement import measure_trained  # both import torch
    from validate.training import trainer

    try:
        done = trainer.train_batch(runs, device=device, engine=engine, progress=progress)
        return [(one, measure_trained(one)) for one in done]
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        return MemoryError(str(error))


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out; PyTorch has no type for it on a CPU."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in said or "allocate memory" in said


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
        with suppress(BadInput):
            if engines.engine(name).most(runs, device, 2**power) >= len(runs):
                return 2**power
    return None


# Workers.


@dataclass
class Workers:
    """Processes that do tasks, behind a backend of joblib.

    Parameters
    ----------
    name : str
        One of `BACKENDS` but none.
    jobs : int
        Tasks on their way at a time.
    memory : int, optional
        Bytes that a worker may use, where a cluster says so.
    config : dict
        What `joblib.parallel_config` is told.
    deaths : tuple of exceptions
        What joblib raises when a worker dies.
    """

    name: str
    jobs: int
    memory: int | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    deaths: tuple[type[BaseException], ...] = ()

    def answers(self, tasks: Iterable[Task]) -> Generator[Any, None, None]:
        """What the tasks return, as it comes; tasks are taken as workers become free.

        A task whose workers died is answered by (its number, error) where the backend can tell
        which it was; otherwise one of `deaths` is raised, and all that was on its way is lost.
        """
        from joblib import Parallel, delayed, parallel_config

        with parallel_config(backend=self.name, **self.config) as made:
            backend = made["backend"]
        if self.name == "dask":
            _tell_errors(backend)
            # Else a cluster of one thread would leave the work to this process.
            backend.effective_n_jobs = lambda n_jobs: max(self.jobs, 2)
        elif self.name == "ray":  # its pool calls back like all others
            backend.supports_return_generator = True
        parallel = Parallel(
            n_jobs=max(self.jobs, 2),  # a single job would be done in this process
            backend=backend,
            return_as="generator_unordered",
            batch_size=1,
            pre_dispatch=self.jobs,
            max_nbytes=None,
        )
        with deaf():
            found = parallel(delayed(function)(*words) for function, words in tasks)
        try:
            yield from found
        finally:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that not all was used is the purpose
                found.close()


def task(
    number: int, runs: list[Run], device: str, engine: str, expected: dict[str, str]
) -> tuple[int, list[Model] | MemoryError]:
    """What a worker does: train and measure a batch."""
    if "numba" not in sys.modules:
        os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    problem = differs(expected)
    if problem:
        raise BadInput(f"a worker would not train the same: {problem}; install the same versions")
    return number, _models(runs, device, engine)


def differs(expected: dict[str, str]) -> str:
    """How this process differs from the one that wants work done; empty if it does not."""
    mine = versions()
    return ", ".join(
        f"{name} is {mine.get(name, 'none')}, not {version}"
        for name, version in expected.items()
        if mine.get(name, "none") != version
    )


def _by_workers(
    parts: Sequence[list[Run]], workers: Workers, device: str, engine: str, finished: Finished
) -> Iterator[list[Model]]:
    left = dict(enumerate(parts))
    away: set[int] = set()  # handed out, and not back
    kept: set[int] = set()  # found to be finished by someone else
    strikes = Counter[int]()
    given_up: list[tuple[list[Run], str]] = []
    expected = versions()

    def tasks() -> Iterator[Task]:
        """What is handed out in this round: all without suspicion, or else one suspect alone."""
        suspects = [i for i in left if strikes[i] >= COMPANY]
        calm = [i for i in left if i not in suspects]
        for number in calm or suspects[:1]:
            missing = _missing(left[number], finished)
            if missing:
                away.add(number)
                name = engines.engine_for(engine, missing[0], device)
                yield task, (number, missing, device, name, expected)
            else:
                kept.add(number)

    def blame(number: int, reason: str, times: int = 1) -> None:
        strikes[number] += times
        if strikes[number] >= LIVES:
            given_up.append((left.pop(number), reason))

    while left:
        away.clear()
        try:
            with closing(workers.answers(tasks())) as answers:
                for number, answer in answers:
                    away.discard(number)
                    if isinstance(answer, list):
                        del left[number]
                        yield answer
                    elif isinstance(answer, MemoryError):
                        blame(number, MEMORY)
                    else:
                        blame(number, KILLED, LIVES)
        except workers.deaths:
            for number in away & left.keys():
                blame(number, KILLED)
        except (CancelledError, ConnectionError, TimeoutError):
            raise NotReached(
                f"the {workers.name} cluster no longer answers: everything finished is kept; "
                "start it again, and go on with --resume"
            ) from None
        for number in kept & left.keys():
            del left[number]
    if given_up:
        runs, reason = given_up[0]
        raise NotReached(_sentence(runs, device, engine, reason, len(given_up) - 1))


def _tell_errors(backend: Any) -> None:
    """Make joblib's Dask backend tell of errors: whoever waits for the task would do so for ever.

    A task that killed its workers is answered by its error, so that the others go on.
    """
    submit = backend.submit

    def telling(batch: Any, callback: Any = None) -> Any:
        def told(done: Any) -> None:
            error = done.exception()
            if error is not None and callback is not None:
                killed = type(error).__name__ == "KilledWorker"
                callback([(batch.items[0][1][0], error)] if killed else error)

        future = submit(batch, callback)
        future.add_done_callback(told)
        return future

    backend.submit = telling


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


# Who is hired: processes of this machine, or a cluster, whose workers have to be like this process.


@contextmanager
def hired(backend: str, jobs: int | None = None) -> Iterator[Workers | None]:
    """Workers, who are gone when the block ends; None where this process trains.

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
    kind = {"loky": _loky, "dask": _dask, "ray": _ray}[name]
    with kind(address, jobs) as found:
        yield found


def checked(backend: str, jobs: int | None) -> tuple[str, str]:
    """Name and address of a backend.

    Raises
    ------
    BadInput
        If it is unknown, not installed, or jobs cannot be.
    """
    name, colon, address = backend.partition(":")
    asked = f"engine backend = {backend!r}"
    if colon and not address:
        raise BadInput(f"{asked} names no address: give one, or leave out the colon")
    if name not in BACKENDS:
        known = ", ".join(BACKENDS)
        raise BadInput(f"engine backend = {name!r} is unknown: give one of {known}")
    if address and name in ("none", "loky"):
        raise BadInput(f"{asked}: {name} has no address, leave it out; dask and ray have")
    if name == "dask" and address and not any(mark in address for mark in (":", ".", os.sep)):
        raise BadInput(
            f"{asked}: {address!r} is neither a scheduler's file nor an address as tcp://HOST:PORT"
        )
    if jobs is not None and (isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1):
        raise BadInput(f"jobs = {jobs!r}: give how many batches train at a time, 1 or more")
    if name == "none" and jobs is not None and jobs > 1:
        raise BadInput(
            f"jobs = {jobs} needs worker processes: add --engine-backend loky, or dask, or ray"
        )
    modules, extra = BACKENDS[name]
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise BadInput(
                f"engine backend = {name!r} needs {module}, which is not installed: "
                f"pip install 'feature-packing[{extra}]'"
            )
    return name, address


@contextmanager
def _loky(address: str, jobs: int | None) -> Iterator[Workers]:
    """Processes of this machine."""
    from joblib.externals.loky import reusable_executor
    from joblib.externals.loky.process_executor import BrokenProcessPool

    how = {"inner_max_num_threads": 1, "initializer": settle, "initargs": (os.getpid(),)}
    with warnings.catch_warnings():
        # loky replaces a worker whose memory grew, and warns of it; no task is lost by that.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
        try:
            yield Workers("loky", jobs or cores(), config=how, deaths=(BrokenProcessPool,))
        finally:
            if reusable_executor._executor is not None:
                reusable_executor._executor.shutdown(wait=True, kill_workers=True)


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


@contextmanager
def _dask(address: str, jobs: int | None) -> Iterator[Workers]:
    """Workers of the Dask cluster at an address, or of one made here.

    Each has one thread, since training sets the number of threads of its process.
    """
    import distributed
    from dask import config

    logger = logging.getLogger("distributed.client")  # what it would say is told in a sentence
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        if address:
            with _client(address) as client:
                threads = _looked_over(client, address)
                limits = [w["memory_limit"] for w in client.scheduler_info(-1)["workers"].values()]
                memory = min(filter(None, limits), default=None)
                yield Workers("dask", jobs or threads, memory, {"client": client, "pure": False})
            return
        make: Any = distributed.LocalCluster
        with deaf(), config.set({"distributed.scheduler.allowed-failures": LIVES - 1}):
            cluster = make(
                n_workers=0,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
                env={"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
            )
        connect: Any = distributed.Client
        with cluster, connect(cluster, set_as_default=False) as client:
            cluster.scale(jobs or cores())
            yield Workers("dask", jobs or cores(), config={"client": client, "pure": False})
    finally:
        logger.setLevel(level)


def _client(address: str) -> Any:
    import distributed

    connect: Any = distributed.Client
    where: dict[str, Any] = {"address": address}
    if address.endswith(".json") or os.path.sep in address.partition("://")[0]:
        if not Path(address).is_file():
            raise BadInput(f"scheduler file {address} does not exist: start dask scheduler first")
        where = {"scheduler_file": address}
    try:
        return connect(**where, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(
            f"no Dask scheduler answers at {address} within {PATIENCE:g} s ({reason}): start one "
            "with dask scheduler, or leave the address out for workers on this machine"
        ) from None


def _looked_over(client: Any, address: str) -> int:
    """Threads of a cluster, whose workers are as they have to be."""
    cluster = f"the Dask cluster at {address}"
    try:
        client.wait_for_workers(1, timeout=FIRST_WORKER)
    except TimeoutError:
        raise BadInput(
            f"{cluster} has no workers after {FIRST_WORKER:g} s: start some with "
            "dask worker --nthreads 1"
        ) from None
    threads = client.nthreads()
    worst = max(threads.values())
    if worst > 1:
        raise BadInput(
            f"a worker of {cluster} has {worst} threads, and training sets the number of threads "
            "of its process: start workers with --nthreads 1, as many as there are cores"
        )
    for problem in client.run(differs, versions(), on_error="return").values():
        if isinstance(problem, BaseException):
            problem = f"it cannot import this package ({problem})"
        if problem:
            raise BadInput(
                f"a worker of {cluster} would not train the same: {problem}; install the same "
                "versions there"
            )
    return len(threads)


@contextmanager
def _ray(address: str, jobs: int | None) -> Iterator[Workers]:
    """Workers of the Ray cluster at an address, or of one made here."""
    import ray
    from ray.exceptions import RayError
    from ray.util.joblib import register_ray

    host, _, port = address.removeprefix("ray://").rpartition(":")
    here = {"num_cpus": jobs or cores(), "_node_ip_address": "127.0.0.1"}
    how: dict[str, Any] = {"address": address} if address else here
    try:
        if port.isdigit():  # Ray itself would try for minutes
            socket.create_connection((host, int(port)), PATIENCE).close()
        ray.init(**how, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(
            f"no Ray cluster answers at {address or 'this machine'} ({reason}): start one with "
            "ray start --head, or leave the address out for workers on this machine"
        ) from None
    try:
        register_ray()
        cpus = int(ray.cluster_resources().get("CPU", 1)) if address else cores()
        yield Workers("ray", jobs or cpus, deaths=(RayError,))
    finally:
        ray.shutdown()
