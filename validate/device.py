"""Devices: where a suite trains, how much memory a batch may take, what the device is called.

torch is imported when one of these is called, so that a missing torch can be told in a sentence.
"""

from __future__ import annotations

import importlib.util
import os
import platform
from typing import TYPE_CHECKING

from packing.errors import BadInput

if TYPE_CHECKING:
    from validate.carriers import Carrier

GPU_MEMORY = 2**33
"""Bytes of a batch on a GPU; more gains nothing for models of this size."""

WORKER_MEMORY = 2**30
"""Bytes of a batch on a CPU beside others, if half of what is free allows it."""


def ready(device: str, backend: str = "none") -> str:
    """The device to train on, "cpu" or "cuda", if it can be had.

    Workers train on CPUs. A GPU is full with one batch, and sums on it depend on the company a
    model trains in, so it is not shared out; several GPUs are several sessions on one store.

    Raises
    ------
    BadInput
        If the name is unknown, torch is not installed, there is no CUDA, or a GPU is asked for
        together with workers.
    """
    if device == "cuda" and backend != "none":
        raise BadInput(
            f"device = 'cuda' trains in one process, and engine backend = {backend!r} in several: "
            "leave out the backend, or give --device cpu"
        )
    if device == "auto" and backend != "none":
        device = "cpu"
    if importlib.util.find_spec("torch") is None:
        raise BadInput(
            "training needs torch, which is not installed: pip install 'feature-packing[validate]'"
        )
    from validate.train import device_of

    return str(device_of(device).type)


def memory_for(device: str, carrier: Carrier | None = None) -> int | None:
    """Bytes for a batch; None leaves it to the trainer.

    On a GPU sums depend on the company a model trains in, so an interrupted run must form the same
    batches again. They may not follow the memory that happens to be free, unless it is little.
    On a CPU no result depends on the batch, and workers share what there is.
    """
    if device == "cpu":
        if carrier is None:
            return None
        free = _free() // carrier.jobs if carrier.memory is None else carrier.memory
        return min(WORKER_MEMORY, free // 2)
    import torch

    return min(GPU_MEMORY, int(0.6 * torch.cuda.mem_get_info()[0]))


def _free() -> int:
    """Bytes of memory that are free, as far as the system tells."""
    try:
        with open("/proc/meminfo", encoding="ascii") as told:
            found = dict(line.split(":", 1) for line in told)
        return int(found["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, OSError, ValueError):
        return WORKER_MEMORY * 8


def device_name(device: str) -> str:
    """What the device is, without saying which machine this is."""
    if device == "cuda":
        import torch

        return f"cuda ({torch.cuda.get_device_name()})"
    return f"cpu ({platform.machine()})"
