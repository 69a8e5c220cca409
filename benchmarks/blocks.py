"""Closed forms of every block against two other routes: theory's numerical rows, and simulation.

    python benchmarks/blocks.py [--law binary|uniform|both] [--points 2] [--samples 100000]
        [--seed 0] [--only WORD] [--out FILE.jsonl]

For every block of `theory.mixtures.block_table` and random (rho, bias, S): `ClosedForm.loss`
against one row of the engines in `theory.losses.rows` (all rows are alike), against a mean over
sampled
features, and against the same with the sign of one cosine changed, which is told apart unless a
low bias keeps the ReLU at rest. Tolerances, fixed before any run: 1e-12 relative up to 12 points,
else 1e-10, or the bound that the engine itself reports where that is wider (counted apart);
simulation 5 standard errors. Exits 1 on a miss."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from theory.features import law_named
from theory.losses import fourier as transform
from theory.losses.expected import engine
from theory.mixtures import blocks
from theory.symmetric import closed_form

LARGEST = 325
SMALL, TIGHT, WIDE = 12, 1e-12, 1e-10
ERRORS = 5.0
MORE_WORK = 1e9


@dataclass(frozen=True)
class Comparison:
    """One block at one (rho, bias, S): relative differences, and errors in standard errors."""

    name: str
    law: str
    n: int
    rho: float
    bias: float
    S: float
    loss: float
    difference: float
    bound: float
    deviation: float
    wrong: float
    seconds: float
    engine_seconds: float

    @property
    def tolerance(self) -> float:
        return TIGHT if self.n <= SMALL else WIDE

    @property
    def agrees(self) -> bool:
        return self.difference <= self.tolerance

    @property
    def within_bound(self) -> bool:
        """Whether the difference is explained by the engine's own bound."""
        return self.difference <= self.tolerance + self.bound

    @property
    def simulated(self) -> bool:
        return abs(self.deviation) <= ERRORS

    @property
    def caught(self) -> bool:
        """Whether the wrong cosine was seen."""
        return abs(self.wrong) > ERRORS


def anywhere(rng: np.random.Generator) -> tuple[float, float, float]:
    """A random squared norm, bias of either sign, and S."""
    return rng.uniform(0.2, 1.8), rng.uniform(-0.6, 0.6), rng.uniform(0.01, 0.9)


def compare(
    name: str, law: str, at: tuple[float, float, float], rng: np.random.Generator, samples: int
) -> Comparison:
    """A block at one (rho, bias, S) by all routes."""
    form = closed_form(name, law)
    rho, bias, S = at
    cosines = np.array([float(c) for c in form.row.cosines])
    counts = np.array(form.row.counts)
    begun = time.perf_counter()
    value = form.loss(rho, bias, S)
    middle = time.perf_counter()
    reference, bound = row_loss(cosines, counts, law, rho, bias, S)
    ended = time.perf_counter()
    drawn = simulated(cosines, counts, law, (rho, bias, S), rng, samples)
    mean, error = float(np.mean(drawn)), float(np.std(drawn)) / np.sqrt(samples)
    other = cosines.copy()
    k = int(np.argmax(counts * cosines**2))
    other[k] = -other[k]
    wrong = row_loss(other, counts, law, rho, bias, S, 1e-6)[0]
    return Comparison(
        name,
        law,
        form.n,
        rho,
        bias,
        S,
        value,
        abs(value - reference) / value,
        bound / value,
        (mean - value) / error,
        (mean - wrong) / error,
        middle - begun,
        ended - middle,
    )


def row_loss(
    cosines: np.ndarray,
    counts: np.ndarray,
    law: str,
    rho: float,
    bias: float,
    S: float,
    rtol: float = 1e-12,
) -> tuple[float, float]:
    """Loss of one feature by the engines of `theory.losses.rows`, and their bound on its error."""
    row = np.concatenate([[1.0], np.repeat(cosines, counts)])
    A, b, own = rho * row[None], np.array([bias]), np.zeros(1, dtype=int)
    p, drawn = np.full((1, row.size), S), law_named(law)
    method, answer = engine(A, b, own, p, drawn, rtol=rtol)
    if method == "transform" and answer.bound[0] > WIDE * answer.value[0] and rtol < WIDE:
        # long rows stop at the engine's cap on work: here it may take a second
        answer = transform.rows(A, b, own, p, drawn, False, rtol, MORE_WORK)
    return float(answer.value[0]), float(answer.bound[0])


def simulated(
    cosines: np.ndarray,
    counts: np.ndarray,
    law: str,
    at: tuple[float, float, float],
    rng: np.random.Generator,
    samples: int,
) -> np.ndarray:
    """Squared errors of one feature over sampled inputs (samples,): counts, then their values."""
    rho, bias, S = at
    x = (rng.random(samples) < S) * (1.0 if law == "binary" else rng.random(samples))
    t = x.copy()
    for c, m in zip(cosines, counts, strict=True):
        on = rng.binomial(m, S, samples)
        t += c * (on if law == "binary" else sums(on, rng))
    return (x - np.maximum(rho * t + bias, 0.0)) ** 2


def sums(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sums of so many uniform numbers each."""
    ends = np.cumsum(counts)
    total = np.concatenate([[0.0], np.cumsum(rng.random(int(ends[-1])))])
    return total[ends] - total[ends - counts]


def names(law: str, only: str = "") -> list[str]:
    """Blocks of one norm and one bias, up to LARGEST points."""
    return [b.name for b in blocks(law) if b.row and b.n <= LARGEST and only in b.name]


def comparisons(
    law: str, points: int, samples: int, seed: int, only: str = ""
) -> Iterator[Comparison]:
    for k, name in enumerate(names(law, only)):
        rng = np.random.default_rng([seed, k])
        for _ in range(points):
            yield compare(name, law, anywhere(rng), rng, samples)


def report(found: list[Comparison]) -> str:
    """What was seen, per law and size."""
    lines = []
    for law in ("binary", "uniform"):
        for label, low, high in (("up to 12", 0, SMALL), ("13 to 325", SMALL + 1, LARGEST)):
            part = [c for c in found if c.law == law and low <= c.n <= high]
            if not part:
                continue
            worst = max(part, key=lambda c: c.difference)
            missed = [c for c in part if not c.agrees]
            bound = [c for c in missed if c.within_bound]
            lines.append(
                f"{law}, {label} points: {len({c.name for c in part})} blocks, {len(part)} "
                f"comparisons; {len(missed)} above {part[0].tolerance:g} ({len(bound)} of them "
                f"within the engine's bound); largest {worst.difference:.2g} ({worst.name}, bound "
                f"{worst.bound:.2g}); simulation {sum(c.simulated for c in part)} within 5 errors, "
                f"largest {max(abs(c.deviation) for c in part):.2f}; wrong cosine caught "
                f"{sum(c.caught for c in part)}; {sum(c.seconds for c in part):.0f} s, engine "
                f"{sum(c.engine_seconds for c in part):.0f} s"
            )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--law", choices=("binary", "uniform", "both"), default="both")
    parser.add_argument("--points", type=int, default=2)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="part of a block's name")
    parser.add_argument("--out", type=Path, help="a line of JSON for each comparison")
    ask = parser.parse_args()
    found = []
    for law in ("binary", "uniform") if ask.law == "both" else (ask.law,):
        for one in comparisons(law, ask.points, ask.samples, ask.seed, ask.only):
            found.append(one)
            if ask.out:
                with ask.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(one)) + "\n")
            if not (one.within_bound and one.simulated):
                print(f"MISS {one}", file=sys.stderr)
    print(report(found))
    return 0 if all(c.within_bound and c.simulated for c in found) else 1


if __name__ == "__main__":
    sys.exit(main())
