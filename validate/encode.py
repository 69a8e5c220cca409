"""How a trained model is written down: weights as safetensors, the rest as JSON and plain columns.

A float64 array comes back bit for bit from safetensors, a number bit for bit from SQLite and from
JSON. The weights alone are one safetensors blob, W (d, n), b (n,) and importance (n,), which
`packing loss` reads as it is; what else a model is made of (its curve, its snapshots, the arrays
measured on it) is a second one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from theory.features import Float
from validate.runs import Measured, Recipe, Run, Setting, Trained

Arrays = dict[str, Float]

SCALARS = (
    "loss",
    "error_bound",
    "simulated",
    "standard_error",
    "samples",
    "represented",
    "d_star",
    "max_cosine",
    "name",
    "distance",
)
"""Fields of `Measured` that are one value; each is a column of the store."""

ARRAYS = ("dimensionality", "angles")
"""Fields of `Measured` that are arrays."""

HELD = ("body", "weights", "extras", "status", "steps", "device", "seconds", *SCALARS)
"""What the store has to hold of a model for `model_from` to build it again."""

_NEVER_NONE = ("simulated", "standard_error", "d_star")  # SQLite holds NaN as NULL

COLUMNS = (
    "key",
    "n",
    "d",
    "S",
    "one_minus_S",
    "law",
    "importance",
    "bias",
    "relu",
    "joint",
    "seed",
    "status",
    "steps",
    "batch",
    "lr",
    "dtype",
    "device",
    "seconds",
    *SCALARS,
)
"""Columns of an exported table of runs."""


def to_bytes(arrays: Arrays) -> bytes:
    """Arrays as one safetensors blob; float64, in any memory layout."""
    from safetensors.numpy import save

    # safetensors writes the memory as it lies, whatever the strides say.
    return save({k: np.ascontiguousarray(v, dtype=np.float64) for k, v in arrays.items()})


def from_bytes(blob: bytes) -> Arrays:
    """The arrays of a safetensors blob.

    Raises
    ------
    ValueError
        If it is none.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return dict(load(blob))
    except SafetensorError as error:
        raise ValueError(str(error)) from None


def weights_of(trained: Trained) -> bytes:
    """W (d, n), b (n,) and importance (n,) as `packing loss` reads them."""
    arrays = {"W": trained.W, "b": trained.b}
    if trained.run.setting.importance is not None:
        arrays["importance"] = np.array(trained.run.setting.importance)
    return to_bytes(arrays)


def extras_of(trained: Trained, measured: Measured) -> bytes:
    """Everything else in arrays: the curve, the snapshots, what was measured feature by feature."""
    arrays = {"curve": np.asarray(trained.curve, dtype=np.float64).reshape(-1, 2)}
    if trained.snapshots:
        steps, W, b = zip(*trained.snapshots, strict=True)
        arrays["snapshots.step"] = np.array(steps, dtype=np.float64)
        arrays["snapshots.W"] = np.stack(W)
        arrays["snapshots.b"] = np.stack(b)
    for name in ARRAYS:
        arrays[f"measured.{name}"] = getattr(measured, name)
    return to_bytes(arrays)


def run_text(run: Run) -> str:
    """A run as JSON, from which its key can be computed again."""
    return json.dumps(
        {"setting": asdict(run.setting), "recipe": asdict(run.recipe), "seed": run.seed},
        sort_keys=True,
    )


def run_from(text: str) -> Run:
    """The run that `run_text` wrote."""
    body = json.loads(text)
    return Run(Setting(**body["setting"]), Recipe(**body["recipe"]), body["seed"])


def model_from(row: Sequence[Any]) -> tuple[Trained, Measured]:
    """A model and what was measured on it, from what the store holds.

    Parameters
    ----------
    row : sequence
        One value for each of `HELD`.

    Raises
    ------
    ValueError, KeyError, TypeError
        If it is damaged.
    """
    text, weights, extras, status, steps, device, seconds, *scalars = row
    held, more = from_bytes(weights), from_bytes(extras)
    snapshots: tuple[tuple[int, Float, Float], ...] = ()
    if "snapshots.step" in more:
        rows = zip(*(more[f"snapshots.{part}"] for part in ("step", "W", "b")), strict=True)
        snapshots = tuple((int(step), W, b) for step, W, b in rows)
    trained = Trained(
        run=run_from(text),
        W=held["W"],
        b=held["b"],
        curve=more["curve"],
        snapshots=snapshots,
        status=status,
        steps=steps,
        device=device,
        seconds=seconds,
    )
    values: dict[str, Any] = dict(zip(SCALARS, scalars, strict=True))
    for name in _NEVER_NONE:
        values[name] = math.nan if values[name] is None else values[name]
    values |= {name: more[f"measured.{name}"] for name in ARRAYS}
    return trained, Measured(**values)


def row_of(trained: Trained, measured: Measured) -> dict[str, Any]:
    """One model as a row of `COLUMNS`; S of each feature, importance and its like as text."""
    run = trained.run
    setting, recipe = run.setting, run.recipe
    S = setting.S
    spread = isinstance(S, tuple)
    row: dict[str, Any] = {
        "key": run.key,
        "S": _list(S) if spread else S,
        "one_minus_S": _list([1.0 - x for x in S]) if spread else 1.0 - S,  # type: ignore[union-attr, operator]
        "importance": None if setting.importance is None else _list(setting.importance),
        "seed": run.seed,
    }
    for name in ("n", "d", "law", "bias", "relu", "joint"):
        row[name] = getattr(setting, name)
    for name in ("batch", "lr", "dtype"):
        row[name] = getattr(recipe, name)
    for name in ("status", "steps", "device", "seconds"):
        row[name] = getattr(trained, name)
    for name in SCALARS:
        row[name] = getattr(measured, name)
    return {name: row[name] for name in COLUMNS}


def _list(values: Any) -> str:
    return " ".join(repr(float(x)) for x in values)
