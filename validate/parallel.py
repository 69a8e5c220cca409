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
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from packing.errors import BadInput, NotReached
from packing.search.multistart import cores
from packing.types import Telling
from validate.experiments import Model, Run
from validate.store import versions
from validate.training import engine as engines

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


# Clusters: Dask and Ray, found at an address or made on this machine, as carriers.
#
# A cluster made here listens on the loopback alone. One that runs already has to be like this
# process: the same versions, and one thread to a worker, since training sets the number of threads
# of its process.


PATIENCE = 5.0
"""Seconds to wait for an answer from the address of a cluster."""

FIRST_WORKER = 60.0
"""Seconds to wait for the first worker of a cluster."""


def with_dask(carrier: Carrier, address: str, jobs: int | None) -> None:
    """Workers of the Dask cluster at an address, or of one made here.

    Raises
    ------
    BadInput
        If no scheduler answers there, or its workers would not do.
    """
    import distributed
    from dask import config

    carrier.stack.enter_context(_quiet("distributed.client"))
    if not address:
        env = {name: "1" for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")}
        make: Any = distributed.LocalCluster
        with deaf(), config.set({"distributed.scheduler.allowed-failures": LIVES - 1}):
            cluster = make(
                n_workers=0,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
                env=env,
            )
        carrier.stack.enter_context(cluster)
        cluster.scale(carrier.jobs)
        made: Any = distributed.Client
        client = carrier.stack.enter_context(made(cluster, set_as_default=False))
    else:
        client = carrier.stack.enter_context(_client(address))
        carrier.jobs = _look_over(client, address, jobs)
        limits = [w["memory_limit"] for w in client.scheduler_info(-1)["workers"].values()]
        carrier.memory = min(filter(None, limits), default=None)
    carrier.make = lambda: instance("dask", client=client, pure=False)


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """A logger that says nothing: what it would say is told in a sentence."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _client(address: str) -> Any:
    import distributed

    made: Any = distributed.Client
    where: dict[str, Any] = {"address": address}
    if address.endswith(".json") or os.path.sep in address.partition("://")[0]:
        if not Path(address).is_file():
            raise BadInput(f"scheduler file {address} does not exist: start dask scheduler first")
        where = {"scheduler_file": address}
    try:
        return made(**where, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(
            f"no Dask scheduler answers at {address} within {PATIENCE:g} s ({reason}): start one "
            "with dask scheduler, or leave the address out for workers on this machine"
        ) from None


def _look_over(client: Any, address: str, jobs: int | None) -> int:
    """Threads of a cluster, whose workers are as they have to be."""
    try:
        client.wait_for_workers(1, timeout=FIRST_WORKER)
    except TimeoutError:
        raise BadInput(
            f"the Dask cluster at {address} has no workers after {FIRST_WORKER:g} s: start some "
            "with dask worker --nthreads 1"
        ) from None
    threads = client.nthreads()
    worst = max(threads.values())
    if worst > 1:
        raise BadInput(
            f"a worker of the Dask cluster at {address} has {worst} threads, and training sets "
            "the number of threads of its process: start workers with --nthreads 1, as many as "
            "there are cores"
        )
    for problem in client.run(differs, versions(), on_error="return").values():
        if isinstance(problem, BaseException):
            problem = f"it cannot import this package ({problem})"
        if problem:
            raise BadInput(
                f"a worker of the Dask cluster at {address} would not train the same: {problem}; "
                "install the same versions there"
            )
    return jobs or len(threads)


def with_ray(carrier: Carrier, address: str, jobs: int | None) -> None:
    """Workers of the Ray cluster at an address, or of one made here.

    Raises
    ------
    BadInput
        If there is none.
    """
    import ray
    from ray.exceptions import RayError
    from ray.util.joblib import register_ray

    host, _, port = address.removeprefix("ray://").rpartition(":")
    here = {"num_cpus": carrier.jobs, "_node_ip_address": "127.0.0.1"}
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
    carrier.stack.callback(ray.shutdown)
    if address:
        carrier.jobs = jobs or int(ray.cluster_resources().get("CPU", 1))
    register_ray()

    def make() -> Any:
        backend = instance("ray")
        # joblib keeps generators from pools of processes; those of Ray call back like all others.
        backend.supports_return_generator = True
        return backend

    carrier.make, carrier.deaths = make, (RayError,)


# Sweeps: batches of runs trained here or by workers, each batch given back as soon as it is done.
#
# A worker trains and measures a batch; the process that asked receives the models and alone writes
# the store. A run's result depends on its key, so it does not matter who trained it, beside which
# others, in which order, or how often its worker was lost before (on a CPU, bit by bit, as long as
# processors and versions are equal, which is checked as far as it can be).
#
# A lost worker costs the batches that were on their way (loky loses all of its workers at once,
# Dask
# and Ray one): they are done again. Batches that were there twice when a worker was lost are done
# alone, one after another; the one that then takes its worker down once more is put aside, all
# others are finished, and one sentence says what it was.


Finished = Callable[[Iterable[str]], set[str]]
"""Which of the keys are kept already; called from threads of the backend too."""


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
    progress: Telling | None = None,
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
        Workers (`validate.parallel.carried`); without, this process trains, one by one.
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


def _here(runs: Sequence[Run], device: str, engine: str, progress: Telling | None) -> list[Model]:
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
    runs: Sequence[Run], device: str, engine: str, progress: Telling | None = None
) -> list[Model]:
    from validate.measurement import measure_trained
    from validate.training.trainer import train_batch

    trained = train_batch(runs, device=device, engine=engine, progress=progress)
    return [(one, measure_trained(one)) for one in trained]


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
