"""Runs: what is trained, how, and what came out.

Setting     the model and its data: n features in d dimensions, S, law, importance
Recipe      the optimiser: steps, batch, learning rate and its schedule
Run         one model: a setting, a recipe and a seed; its key names it everywhere
Trained     weights at the end, the loss along the way, and how it ended
Measured    what the weights are: exact loss, a simulated one, geometry

A run's key is a hash of all that decides its result, so a store can tell what is done.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any, Literal

import numpy as np

from packing.errors import BadInput
from packing.results import Result, shown
from packing.types import Float
from theory.features import LAWS, Features
from theory.objective import Objective

JOINTS = ("independent", "one-on", "together", "apart")
"""How features are on together; the last two name the size of their groups: ``together:2``."""

SCHEDULES = ("constant", "linear", "cosine")
DTYPES = ("float32", "float64")
INITS = ("xavier", "unit", "small")

MOST = 10**9
"""Steps, samples or seeds beyond which a number is a slip of the finger."""


HIGHEST_SEED = 2**63 - 1


def whole(value: Any, name: str, low: int, high: int = MOST) -> int:
    """The value, if it is a whole number of that range."""
    fine = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    if not fine:
        raise BadInput(f"{name} = {value!r}: give a whole number from {low} to {high}")
    return int(value)


def _number(value: Any, name: str, low: float, high: float, open_low: bool = True) -> float:
    fine = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not fine or not low <= value <= high or (open_low and value == low):
        start = "above" if open_low else "from"
        raise BadInput(f"{name} = {value!r}: give a number {start} {low:g} up to {high:g}")
    return float(value)


def _numbers(values: Any, name: str) -> tuple[float, ...]:
    try:
        return tuple(float(x) for x in values)
    except (TypeError, ValueError):
        raise BadInput(f"{name} = {values!r}: give a number or one for each feature") from None


def _one_of(value: Any, name: str, known: Sequence[str]) -> str:
    if value not in known:
        raise BadInput(f"{name} = {value!r} is unknown: give one of {', '.join(known)}")
    return str(value)


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise BadInput(f"{name} = {value!r}: give true or false")
    return value


def joint_parts(joint: Any, n: int, S: Sequence[float]) -> tuple[str, int]:
    """Kind and group size of a joint law: ``together:2`` gives ("together", 2).

    Raises
    ------
    BadInput
        If the kind is unknown, groups do not divide n, or S cannot be met.
    """
    kind, _, size = str(joint).partition(":")
    _one_of(kind, "joint", JOINTS)
    if kind in ("independent", "one-on"):
        if size:
            raise BadInput(f"joint = {joint!r}: {kind} has no group size, leave it out")
        return kind, n if kind == "one-on" else 1
    if (
        not (size.isdecimal() and size.isascii() and len(size) < 7)
        or int(size) < 2
        or n % int(size)
    ):
        raise BadInput(
            f"joint = {joint!r}: name a group size >= 2 that divides n = {n}, as in {kind}:2"
        )
    if len(set(S)) > 1:
        raise BadInput(f"joint = {joint!r}: give one S for all features")
    if kind == "apart" and int(size) * S[0] > 1.0:
        raise BadInput(
            f"joint = {joint!r}: with at most one of {size} features on, S = {S[0]:g} cannot be "
            f"reached; give S <= {1 / int(size):g}"
        )
    return kind, int(size)


@dataclass(frozen=True)
class Setting:
    """What is trained.

    Parameters
    ----------
    n, d : int
        Features and hidden dimensions.
    S : float or tuple of n floats
        Chance that a feature is on, in (0, 1]. Elhage et al.'s sparsity is 1 - S.
    law : {"binary", "uniform", "exponential"}
        Value of a feature that is on.
    importance : tuple of n floats, optional
    bias, relu : bool
    joint : str
        ``independent``, ``one-on``, ``together:k`` or ``apart:k``. With ``one-on`` each feature is
        on with chance 1/n, and S is not used.

    Raises
    ------
    BadInput
        If a value is out of range.
    """

    n: int
    d: int
    S: float | tuple[float, ...]
    law: str = "binary"
    importance: tuple[float, ...] | None = None
    bias: bool = True
    relu: bool = True
    joint: str = "independent"

    def __post_init__(self) -> None:
        whole(self.n, "n", 1, 100_000)
        whole(self.d, "d", 1, 100_000)
        _one_of(self.law, "law", tuple(LAWS))
        _flag(self.bias, "bias")
        _flag(self.relu, "relu")
        if not isinstance(self.S, (int, float)):
            object.__setattr__(self, "S", _numbers(self.S, "S"))
        if self.importance is not None:
            object.__setattr__(self, "importance", _numbers(self.importance, "importance"))
        features = self.features  # checks S and importance
        joint_parts(self.joint, self.n, features.S.tolist())

    @cached_property
    def features(self) -> Features:
        """The same as independent features of `theory`."""
        S = list(self.S) if isinstance(self.S, tuple) else self.S
        return Features.of(self.n, S, self.law, self.importance)

    @property
    def objective(self) -> Objective:
        """The model, as `theory` calls it."""
        return Objective(self.bias, self.relu)

    @property
    def independent(self) -> bool:
        """Whether `theory.loss` speaks about this data."""
        return self.joint == "independent"


@dataclass(frozen=True)
class Recipe:
    """How a model is trained: Adam on fresh samples.

    Parameters
    ----------
    steps, batch : int
        Updates, and samples in each.
    lr : float
        Largest learning rate.
    schedule : {"constant", "linear", "cosine"}
        How it falls to zero.
    warmup : int
        Steps over which it first rises.
    betas : (float, float)
    weight_decay : float
        Decoupled; 0 by default, since it moves the minimum.
    dtype : {"float32", "float64"}
    init : {"xavier", "unit", "small"}
        Normal weights: of variance 2/(n + d), of unit columns, or a tenth of xavier's.
    plateau : int, optional
        Stop a run whose mean loss over that many steps is not below the mean over as many before
        by more than its standard error; looked at every 64 steps, or a little later.
    snapshots : int
        Weights kept along the way, at steps evenly spaced in the logarithm; 0 for none.

    Raises
    ------
    BadInput
        If a value is out of range.
    """

    steps: int
    batch: int = 1024
    lr: float = 1e-2
    schedule: str = "cosine"
    warmup: int = 0
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    dtype: str = "float32"
    init: str = "xavier"
    plateau: int | None = None
    snapshots: int = 0

    def __post_init__(self) -> None:
        whole(self.steps, "steps", 1)
        whole(self.batch, "batch", 1)
        _number(self.lr, "lr", 0.0, 10.0)
        _one_of(self.schedule, "schedule", SCHEDULES)
        whole(self.warmup, "warmup", 0, self.steps)
        if not isinstance(self.betas, (list, tuple)) or len(self.betas) != 2:
            raise BadInput(f"betas = {self.betas!r}: give two numbers in [0, 1)")
        for beta in self.betas:
            _number(beta, "betas", 0.0, 1.0 - 1e-9, open_low=False)
        object.__setattr__(self, "betas", tuple(float(x) for x in self.betas))
        _number(self.weight_decay, "weight_decay", 0.0, 1e6, open_low=False)
        _one_of(self.dtype, "dtype", DTYPES)
        _one_of(self.init, "init", INITS)
        if self.plateau is not None:
            whole(self.plateau, "plateau", 1)
        whole(self.snapshots, "snapshots", 0, 10_000)


@dataclass(frozen=True)
class Run:
    """One model to train."""

    setting: Setting
    recipe: Recipe
    seed: int

    def __post_init__(self) -> None:
        whole(self.seed, "seed", 0, HIGHEST_SEED)

    @property
    def body(self) -> dict[str, Any]:
        """Everything that decides the result, as JSON values."""
        return {"setting": asdict(self.setting), "recipe": asdict(self.recipe), "seed": self.seed}

    @cached_property
    def key(self) -> str:
        """Name of the run: a hash of everything that decides its result."""
        text = json.dumps(self.body, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, eq=False, repr=False)
class Trained(Result):
    """A trained model.

    Parameters
    ----------
    run : Run
    W, b : (d, n) and (n,) arrays
        In float64, whatever was trained in.
    curve : (T, 2) array
        Step and loss of its batch, summed over features: as many as the engine records,
        neighbours averaged into at most 400 rows.
    snapshots : tuple of (step, W, b)
    status : {"finished", "plateau", "diverged"}
        Diverged: a loss was not finite; the weights are the last finite ones.
    steps : int
        Updates made.
    device : str
        Where it was trained, and by which engine: ``cpu/numba``.
    seconds : float
        Of its batch, divided by the runs in it.
    """

    run: Run
    W: Float
    b: Float
    curve: Float
    snapshots: tuple[tuple[int, Float, Float], ...]
    status: Literal["finished", "plateau", "diverged"]
    steps: int
    device: str
    seconds: float

    def _values(self) -> dict[str, Any]:
        held = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "run"}
        return {"key": self.run.key, **self.run.body, **held}

    def _facts(self) -> list[tuple[str, str]]:
        setting = self.run.setting
        return [
            ("model", f"n = {setting.n}, d = {setting.d}, {setting.law}, seed {self.run.seed}"),
            ("training", f"{self.status} after {self.steps} steps on {self.device}"),
        ]


@dataclass(frozen=True, eq=False, repr=False)
class Measured(Result):
    """What the weights of a trained model are.

    Parameters
    ----------
    loss, error_bound : float or None
        Exact expected loss and its error bound (`theory.loss`); None for dependent features, and
        for diverged weights too large to square.
    simulated, standard_error : float
        Monte Carlo on fresh samples.
    samples : int
    represented : int
        Features with squared norm above `THRESHOLD`.
    dimensionality : (n,) array
        D_i of Elhage et al. 2022.
    d_star : float
        d / |W|_F^2.
    max_cosine : float or None
        Among represented features.
    name : str
        Nearest named arrangement, block by block.
    distance : float or None
        Root mean square displacement from it, of the nearest named one where the block is
        irregular; None where nothing is near.
    angles : (k,) array
        Angles between represented neighbours in the plane (d = 2), degrees; else empty.
    """

    loss: float | None
    error_bound: float | None
    simulated: float
    standard_error: float
    samples: int
    represented: int
    dimensionality: Float
    d_star: float
    max_cosine: float | None
    name: str
    distance: float | None
    angles: Float = field(default_factory=lambda: np.zeros(0))

    def _values(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def _facts(self) -> list[tuple[str, str]]:
        exact = "none" if self.loss is None else f"{shown(self.loss)} ± {self.error_bound:.1g}"
        return [
            ("loss", exact),
            ("simulated", f"{self.simulated:.6g} ± {self.standard_error:.1g}"),
            ("name", self.name),
            ("represented", f"{self.represented} of {len(self.dimensionality)}"),
        ]


Model = tuple[Trained, Measured]
"""A trained model and what was measured of it."""

THRESHOLD = 1e-2
"""Squared norm from which a trained feature counts as represented."""
