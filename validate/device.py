"""Devices: where a suite trains, how much memory a batch may take, what the device is called.

torch is imported when one of these is called, so that a missing torch can be told in a sentence.
"""

from __future__ import annotations

import importlib.util
import platform

from packing.errors import BadInput

GPU_MEMORY = 2**33
"""Bytes of a batch on a GPU; more gains nothing for models of this size."""


def ready(device: str) -> str:
    """The device to train on, "cpu" or "cuda", if it can be had.

    Raises
    ------
    BadInput
        If the name is unknown, torch is not installed, or there is no CUDA.
    """
    if importlib.util.find_spec("torch") is None:
        raise BadInput(
            "training needs torch, which is not installed: pip install 'feature-packing[validate]'"
        )
    from validate.train import device_of

    return str(device_of(device).type)


def memory_for(device: str) -> int | None:
    """Bytes for a batch; None leaves it to the trainer.

    On a GPU sums depend on the company a model trains in, so an interrupted run must form the same
    batches again. They may not follow the memory that happens to be free, unless it is little.
    """
    if device == "cpu":
        return None
    import torch

    return min(GPU_MEMORY, int(0.6 * torch.cuda.mem_get_info()[0]))


def device_name(device: str) -> str:
    """What the device is, without saying which machine this is."""
    if device == "cuda":
        import torch

        return f"cuda ({torch.cuda.get_device_name()})"
    return f"cpu ({platform.machine()})"
