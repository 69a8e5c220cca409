"""Features: how often each is on, which law its value follows, how important it is.

A law is everything the solvers know about the value of a feature that is on: its mean, its second
moment, its transform E[x^k exp(s x)] with the strip in which that is finite, and a sampler. Nothing
else in the project asks which law it has been given, except the two exact evaluators, which say by
name what they are exact for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from packing.errors import BadInput
from packing.results import shown
from packing.types import Complex, Float
from theory.objective import Objective


@runtime_checkable
class Law(Protocol):
    """The law of a feature's value given that the feature is on.

    A new law needs these seven members and nothing else; no solver is touched. Three more make its
    losses faster to evaluate, with smaller error bounds: ``tail(t, order)``, E[x^order 1(x > t)]
    for orders 0 to 3 (patterns with one feature on are then taken exactly), and, where the law has
    a density, ``decay(t, order)``, a decreasing bound on |E[x^order exp(i t x)]|, orders 0 and 1;
    ``sector = True`` says that the transform is analytic off the positive real axis and bounded by
    a power there (a gamma law, not a bounded one), which the fast contour engine needs.
    """

    name: str
    mean: float
    second: float
    upper: float
    strip: tuple[float, float]

    def transform(self, s: Complex, order: int = 0) -> Complex:
        """E[x^order exp(s x)] for complex s inside the strip, order 0, 1 or 2."""
        ...

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Float:
        """Independent values of a feature that is on."""
        ...


class Binary:
    """An on feature has the value 1."""

    name = "binary"
    mean = 1.0
    second = 1.0
    upper = 1.0
    strip = (-math.inf, math.inf)

    def transform(self, s: Complex, order: int = 0) -> Complex:
        return np.exp(np.asarray(s, dtype=np.complex128))

    def tail(self, t: ArrayLike, order: int) -> Float:
        return np.where(np.asarray(t, dtype=float) < 1.0, 1.0, 0.0)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Float:
        return np.ones(size)


class Uniform:
    """An on feature is uniform on [0, 1]."""

    name = "uniform"
    mean = 0.5
    second = 1.0 / 3.0
    upper = 1.0
    strip = (-math.inf, math.inf)

    def transform(self, s: Complex, order: int = 0) -> Complex:
        """E[x^k e^{sx}]; by recurrence away from 0, by its Taylor series for |s| < 2."""
        s = np.asarray(s, dtype=np.complex128)
        out = np.empty_like(s)
        small = np.abs(s) < 2.0
        z = s[small]
        term, total = np.ones_like(z), np.full_like(z, 1.0 / (order + 1))
        for r in range(1, 34):  # 2^33 / 33! < 1e-26
            term = term * z / r
            total = total + term / (order + r + 1)
        out[small] = total
        z = s[~small]
        e = np.exp(z)
        value = (e - 1.0) / z
        for k in range(1, order + 1):
            value = (e - k * value) / z
        out[~small] = value
        return out

    def tail(self, t: ArrayLike, order: int) -> Float:
        inside = np.clip(np.asarray(t, dtype=float), 0.0, 1.0)
        return np.asarray((1.0 - inside ** (order + 1)) / (order + 1))

    def decay(self, t: Float, order: int) -> Float:
        """Bound on |E[x^order exp(i t x)]|: x^order varies by 2 in all on [0, 1], ends included."""
        return np.minimum(1.0 / (order + 1), 2.0 / np.maximum(t, 1e-300))

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Float:
        return rng.random(size)


class Exponential:
    """An on feature is exponential with mean 1."""

    name = "exponential"
    mean = 1.0
    second = 2.0
    upper = math.inf
    strip = (-math.inf, 1.0)
    sector = True

    def transform(self, s: Complex, order: int = 0) -> Complex:
        return math.factorial(order) / (1.0 - np.asarray(s, dtype=np.complex128)) ** (order + 1)

    def tail(self, t: ArrayLike, order: int) -> Float:
        beyond = np.maximum(np.asarray(t, dtype=float), 0.0)
        ratio = np.zeros_like(beyond)
        for k in range(order + 1):
            ratio += beyond**k / math.factorial(k)
        return np.asarray(math.factorial(order) * np.exp(-beyond) * ratio)

    def decay(self, t: Float, order: int) -> Float:
        """|E[x^order exp(i t x)]| / order!, exactly."""
        return (1.0 + t * t) ** (-0.5 * (order + 1))

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Float:
        return rng.exponential(size=size)


BINARY, UNIFORM, EXPONENTIAL = Binary(), Uniform(), Exponential()
LAWS: dict[str, Law] = {law.name: law for law in (BINARY, UNIFORM, EXPONENTIAL)}


def law_named(name: str | Law) -> Law:
    """The law of that name; a law object is passed through.

    Raises
    ------
    BadInput
        If no law has that name.
    """
    if not isinstance(name, str):
        return name
    try:
        return LAWS[name]
    except KeyError:
        raise BadInput(f"law = {name!r} is unknown: choose one of {', '.join(LAWS)}") from None


@dataclass(frozen=True, eq=False)
class Features:
    """n independent sparse features.

    Parameters
    ----------
    S : (n,) array
        Chance that each feature is on, in (0, 1]. Elhage et al. 2022 call 1 - S the sparsity.
    law : Law
        Law of the value of a feature that is on.
    importance : (n,) array
        Non-negative weights I_i of the loss, not all zero.
    """

    S: Float
    law: Law
    importance: Float

    @staticmethod
    def of(
        n: int,
        S: float | Sequence[float] | Float,
        law: str | Law = "binary",
        importance: Sequence[float] | Float | None = None,
    ) -> Features:
        """Features from a scalar or per-feature S; checks every argument.

        Raises
        ------
        BadInput
            If n is not a positive whole number, S leaves (0, 1], importance is negative or all
            zero, or a length differs from n.
        """
        n = whole(n, "n")
        return Features(
            S=probabilities(S, n), law=law_named(law), importance=_importance(importance, n)
        )

    @property
    def n(self) -> int:
        return int(self.S.size)

    @property
    def mean(self) -> Float:
        """E x_i, shape (n,)."""
        return self.S * self.law.mean

    @property
    def second(self) -> Float:
        """E x_i^2, shape (n,)."""
        return self.S * self.law.second

    @property
    def variance(self) -> Float:
        """Var x_i, shape (n,): the loss of an ignored feature with its best bias."""
        # S (m2 - S m1^2) written so that nothing cancels for the binary law near S = 1.
        spread = self.law.second - self.law.mean**2
        return self.S * (spread + self.law.mean**2 * (1.0 - self.S))

    @property
    def one_minus_S(self) -> Float:
        """Chance that each feature is off, the sparsity of Elhage et al. 2022."""
        return 1.0 - self.S

    @property
    def alike(self) -> bool:
        """True when all features have the same S and the same importance."""
        return bool(np.ptp(self.S) == 0.0 and np.ptp(self.importance) == 0.0)

    def at(self, S: float | Float) -> Features:
        """The same features at another activation probability."""
        return Features(probabilities(S, self.n), self.law, self.importance)

    def sample(self, rng: np.random.Generator, count: int) -> Float:
        """Independent inputs x, shape (count, n)."""
        on = rng.random((count, self.n)) < self.S
        return np.where(on, self.law.sample(rng, (count, self.n)), 0.0)


# How a question is told in an answer.


def model_values(features: Features, objective: Objective) -> dict[str, Any]:
    """Keys of every answer that say which model was asked about."""
    return {
        "law": features.law.name,
        "importance": features.importance,
        "bias": objective.bias,
        "relu": objective.relu,
    }


def model_text(features: Features, objective: Objective) -> str:
    """The same in words."""
    parts = [f"{features.law.name} law", "bias" if objective.bias else "no bias"]
    parts.append("ReLU" if objective.relu else "linear")
    if np.ptp(features.importance) > 0.0:
        first = ", ".join(shown(x, 4) for x in features.importance[:8].tolist())
        parts.append(f"importance {first}{', ...' if features.n > 8 else ''}")
    return ", ".join(parts)


def question_values(features: Features, objective: Objective) -> dict[str, Any]:
    """Keys of an answer at one S: S and 1 - S as one number where all are equal, and the model."""
    S, off = features.S.tolist(), (1.0 - features.S).tolist()
    one = len(set(S)) == 1
    return {
        "S": S[0] if one else S,
        "one_minus_S": off[0] if one else off,
        **model_values(features, objective),
    }


def question_facts(features: Features, objective: Objective) -> list[tuple[str, str]]:
    """The same for people."""
    values = question_values(features, objective)
    S, off = (
        ", ".join(map(shown, x)) if isinstance(x, list) else shown(x)
        for x in (values["S"], values["one_minus_S"])
    )
    return [("S (on)", S), ("1 - S (off)", off), ("model", model_text(features, objective))]


# What arguments must be.


def whole(value: object, name: str) -> int:
    """A positive whole number, or BadInput."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or int(value) < 1:
        raise BadInput(f"{name} = {value!r} is not a positive whole number: give 1, 2, 3, ...")
    return int(value)


def seed_of(value: object) -> int:
    """A whole number >= 0 to seed a search with, or BadInput."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or int(value) < 0:
        raise BadInput(f"seed = {value!r} is not a whole number >= 0: give 0, 1, 2, ...")
    return int(value)


def probabilities(S: float | Sequence[float] | Float, n: int) -> Float:
    """S as an (n,) array of activation probabilities in (0, 1], or BadInput."""
    try:
        values = np.asarray(S, dtype=float)
    except (TypeError, ValueError):
        raise BadInput(f"S = {S!r} is not a number: give one in (0, 1]") from None
    if values.ndim > 1 or values.size not in (1, n):
        raise BadInput(f"S has {values.size} values for n = {n} features: give one number or {n}")
    bad = ~((values > 0.0) & (values <= 1.0))
    if np.any(bad):
        worst = float(values.flat[int(np.argmax(bad))])
        raise BadInput(
            f"S = {worst:g} is not a probability: give the chance that a feature is on, "
            "in (0, 1]; Elhage et al.'s sparsity is 1 - S"
        )
    return np.ascontiguousarray(np.broadcast_to(values.reshape(-1), (n,)))


def _importance(importance: Sequence[float] | Float | None, n: int) -> Float:
    if importance is None:
        return np.ones(n)
    try:
        values = np.asarray(importance, dtype=float)
    except (TypeError, ValueError):
        raise BadInput(f"importance = {importance!r} is not numeric: give {n} numbers") from None
    if values.shape != (n,):
        raise BadInput(f"importance has shape {values.shape}: give {n} numbers, one per feature")
    if not np.all(np.isfinite(values)) or np.any(values < 0.0):
        raise BadInput("importance holds a negative or non-finite number: give numbers >= 0")
    if not np.any(values > 0.0):
        raise BadInput("importance is zero for every feature: make at least one positive")
    return values.copy()
