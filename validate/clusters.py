"""Clusters: Dask and Ray, found at an address or made on this machine, as carriers.

A cluster made here listens on the loopback alone. One that runs already has to be like this
process: the same versions, and one thread to a worker, since training sets the number of threads
of its process.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from packing.errors import BadInput
from validate.carriers import LIVES, Carrier, deaf, differs, instance
from validate.store import versions

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
