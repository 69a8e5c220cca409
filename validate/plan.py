"""Which runs train together, and how many, on which device and by which engine.

A batch holds runs that one engine can advance together (`Engine.alike`), as many as fit
(`Engine.most`); memory is predicted before anything is allocated. No run's result depends on how
runs are split.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from packing.errors import BadInput
from validate.engines import engine, engine_for
from validate.runs import Run


def device_of(name: str) -> torch.device:
    """The device of that name; ``auto`` takes a GPU where there is one.

    Raises
    ------
    BadInput
        If the name is unknown, or cuda is asked for and there is none.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise BadInput(f"device = {name!r} is unknown: give auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise BadInput("device = 'cuda', but PyTorch finds no GPU here: give auto or cpu")
    return torch.device("cpu" if name == "cpu" or not torch.cuda.is_available() else "cuda")


def batches(
    runs: Sequence[Run],
    *,
    device: str = "auto",
    engine: str = "auto",
    memory: int | None = None,
) -> list[list[Run]]:
    """Runs that train together, in batches that fit.

    Parameters
    ----------
    runs : sequence of Run
    device : {"auto", "cpu", "cuda"}
    engine : {"auto", "torch", "numba", "cuda"}
    memory : int, optional
        Bytes that a batch may take; by default 1 GiB on a CPU, 60 % of what is free on a GPU.

    Returns
    -------
    list of lists of Run
        Together are runs of equal n, d, recipe, bias, ReLU and engine; S, importance, law and joint
        law may differ as far as the engine allows. No run's result depends on the split.

    Raises
    ------
    BadInput
        If a single run does not fit, or the engine is unknown, not installed, or refuses a run.
    """
    place = device_of(device)
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(alike(run, place.type, engine), []).append(run)
    done = []
    for (name, *_), group in groups.items():
        size = _engine(str(name)).most(group, place.type, memory)
        parts = -(-len(group) // size)
        even = -(-len(group) // parts)
        done += [group[i : i + even] for i in range(0, len(group), even)]
    return done


def alike(run: Run, place: str, asked: str = "auto") -> tuple[object, ...]:
    """What runs of one batch have in common; the engine's name comes first."""
    name = engine_for(asked, run, place)
    return (name, *_engine(name).alike(run, place))


_engine = engine  # `batches` has a parameter of that name
