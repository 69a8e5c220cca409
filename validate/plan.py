"""Which runs train together, and how many: memory predicted before anything is allocated.

A batch holds runs of equal shape, recipe and form of samples. What one more run takes is a sum of
shapes: two chunks of samples (one in use, one being drawn), the arrays of a step, parameters and
moments, and what is kept for the answer. On a CPU the arrays of a step should also fit the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple

import torch

from packing.errors import BadInput
from validate.engine import LANES
from validate.feed import form_of
from validate.runs import Run

RECORDS = 4
"""Losses recorded per chunk."""

CPU_MEMORY = 2**30
"""Bytes a batch may take on a CPU unless said."""

CACHE = 2**21
"""Bytes that the arrays of a step should take on a CPU: larger ones leave the cache."""


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


def memory_of(run: Run, device: str = "cpu") -> int:
    """Bytes that one more run like this takes in a batch, predicted from shapes.

    Two chunks of samples (one in use, one being drawn), the buffers of a step, parameters and
    moments, and what is kept for the answer. Parts that do not grow with the batch are in
    `memory_fixed`.
    """
    form, recipe = form_of(run.setting, run.recipe, device), run.recipe
    n, d = run.setting.n, run.setting.d
    m, R, T = n + 1, form.columns, form.steps
    number = 4 if recipe.dtype == "float32" else 8
    size = n * (d + 1)
    chunks = m * R + 2 * T * R if form.kind == "patterns" else 2 * T * (m * R + 1)
    step = 3 * m * R + 5 * m * m + n * d  # z, e, squares; A, D, G + G' and their temporaries
    parameters = 6 * (-(-size // LANES) * LANES)
    kept = 8 * (recipe.snapshots + 3) * size + 16 * (recipe.steps * RECORDS // T + RECORDS)
    return number * (chunks + step + parameters) + kept


def memory_fixed(run: Run, device: str = "cpu") -> int:
    """Bytes that a batch takes however few runs are in it: the samples of one run being drawn."""
    form = form_of(run.setting, run.recipe, device)
    n, B, T = run.setting.n, run.recipe.batch, form.steps
    if form.kind == "dense":
        return 4 * 8 * T * n * B  # uniform numbers, values, comparisons, results
    if form.kind == "rows":
        return 12 * 8 * T * form.columns * n  # places, rows, groups, slots, ... of each event
    return 8 * T * form.columns + 2**16


def batches(
    runs: Sequence[Run], *, device: str = "auto", memory: int | None = None
) -> list[list[Run]]:
    """Runs that train together, in batches that fit.

    Parameters
    ----------
    runs : sequence of Run
    device : {"auto", "cpu", "cuda"}
    memory : int, optional
        Bytes that a batch may take; 1 GiB on a CPU, 60 % of what is free on a GPU.

    Returns
    -------
    list of lists of Run
        Together are runs of equal n, d, recipe, bias, ReLU and form of batches; S, importance, law
        and joint law may differ. No run's result depends on the split.

    Raises
    ------
    BadInput
        If a single run does not fit.
    """
    place = device_of(device)
    if memory is None:
        memory = CPU_MEMORY if place.type == "cpu" else int(0.6 * torch.cuda.mem_get_info()[0])
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(alike(run, place.type), []).append(run)
    done = []
    for group in groups.values():
        most = max(memory_of(run, place.type) for run in group)
        fixed = max(memory_fixed(run, place.type) for run in group)
        if most + fixed > memory:
            raise BadInput(
                f"one run of n = {group[0].setting.n}, d = {group[0].setting.d}, batch = "
                f"{group[0].recipe.batch} needs {most + fixed:.3g} bytes and memory = {memory:.3g}:"
                " allow more, or make the batch smaller"
            )
        size = (memory - fixed) // most
        if place.type == "cpu":
            size = min(size, max(4, CACHE // max(_step_bytes(run) for run in group)))
        parts = -(-len(group) // size)
        even = -(-len(group) // parts)
        done += [group[i : i + even] for i in range(0, len(group), even)]
    return done


def alike(run: Run, device: str) -> tuple[object, ...]:
    """What runs of one batch have in common."""
    form = form_of(run.setting, run.recipe, device)
    s = run.setting
    return (s.n, s.d, s.bias, s.relu, astuple(run.recipe), astuple(form))


def _step_bytes(run: Run) -> int:
    """Bytes of the samples, z and e of one step."""
    number = 4 if run.recipe.dtype == "float32" else 8
    form = form_of(run.setting, run.recipe, "cpu")
    return 3 * number * (run.setting.n + 1) * form.columns
