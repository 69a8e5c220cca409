"""The search for spherical codes beside pymanopt, given the same seconds in the same run.

    python benchmarks/packing_peer.py [--seconds 30] [--cases 3,24 3,32 6,27 4,120] [--out FILE.md]

The peer is the approach of pymanopt's example "packing on the sphere": minimise
``s + eps log sum_{i<j} exp((x_i . x_j - s) / eps)`` over the elliptope by conjugate gradients, here
with the continuation in eps that its documentation recommends (halved from 0.5 until the surplus
over the maximum is below 1e-13) and restarted from new random points until the time is up. It gets
the analytic gradient, so automatic differentiation costs it nothing. Both sides run on as many
cores as they use by themselves; needs ``pip install -e '.[benchmarks]'``.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path

import numpy as np
import pymanopt
from numpy.typing import NDArray
from pymanopt.manifolds import Elliptope
from pymanopt.optimizers import ConjugateGradient

from packing.catalogue import entry
from packing.search import search

Float = NDArray[np.float64]

# (3, 32): N. J. A. Sloane's tables of spherical codes, as in tests/data/reference/tammes_d3.csv.
SLOANE_3_32 = 0.793616614871263
NAMED = {(3, 24): "snub cube", (6, 27): "Schlaefli code", (4, 120): "600-cell"}


def best_known(d: int, n: int) -> float:
    """Max cosine of the best code known: exact from the catalogue where it has the code."""
    return SLOANE_3_32 if (d, n) == (3, 32) else entry(NAMED[d, n]).max_cosine.value


def peer(d: int, n: int, seconds: float, seed: int = 0) -> tuple[float, int]:
    """Best max cosine of pymanopt in that time, and the number of starts it finished."""
    manifold = Elliptope(n, d)
    rng = np.random.default_rng(seed)
    upper = np.triu_indices(n, 1)
    stop = time.perf_counter() + seconds
    best, starts = np.inf, 0

    def weights(X: Float, eps: float) -> tuple[float, float, Float]:
        C = X @ X.T
        top = float(C[upper].max())
        np.fill_diagonal(C, -np.inf)
        E = np.exp((C - top) / eps)
        return top, float(E.sum() / 2.0), E

    while (left := stop - time.perf_counter()) > 0.0:
        X = rng.standard_normal((n, d))
        X /= np.linalg.norm(X, axis=1, keepdims=True)
        eps = 0.5
        while left > 0.0 and eps * np.log(n * n) > 1e-13:

            @pymanopt.function.numpy(manifold)
            def cost(X: Float, eps: float = eps) -> float:
                top, total, _ = weights(X, eps)
                return top + eps * float(np.log(total))

            @pymanopt.function.numpy(manifold)
            def gradient(X: Float, eps: float = eps) -> Float:
                _, total, E = weights(X, eps)
                return np.asarray(E @ X / total)

            problem = pymanopt.Problem(manifold, cost, euclidean_gradient=gradient)
            optimizer = ConjugateGradient(
                max_time=left, max_iterations=1000, min_gradient_norm=1e-8, verbosity=0
            )
            X = optimizer.run(problem, initial_point=X).point
            unit = X / np.linalg.norm(X, axis=1, keepdims=True)
            best = min(best, float((unit @ unit.T)[upper].max()))
            eps /= 2.0
            left = stop - time.perf_counter()
        starts += left > 0.0
    return best, starts


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="budget of each side")
    parser.add_argument("--cases", nargs="*", default=["3,24", "3,32", "6,27", "4,120"])
    parser.add_argument("--out", type=Path, help="write the table to this file too")
    options = parser.parse_args()
    rows = [
        f"{options.seconds:g} s for each side, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, pymanopt {pymanopt.__version__}, seed 0. Gap: max cosine "
        "found minus best known.",
        "",
        "| (d, n) | best known | gap, pymanopt | its starts | gap, `search` | seconds | reached |",
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(rows), flush=True)
    for case in options.cases:
        d, n = (int(part) for part in case.split(","))
        known = best_known(d, n)
        theirs, starts = peer(d, n, options.seconds)
        start = time.perf_counter()
        ours = search(n, d, seconds=options.seconds)
        used = time.perf_counter() - start
        rows.append(
            f"| ({d}, {n}) | {known:.15f} | {theirs - known:.1e} | {starts} | "
            f"{ours.max_cosine - known:.1e} | {used:.1f} | {ours.reached} of {ours.runs} |"
        )
        print(rows[-1], flush=True)
    if options.out:
        options.out.write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
