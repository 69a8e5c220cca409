"""The statement about training: from random to spread to rotated to settled.

i  spread: the directions balance, 1 - |mean direction|^2 reaches `SPREAD`
   settled: cosines and directions stay as they end (`validate.dynamics`)
   rotated: the angle of the orthogonal map from the spread directions to the last ones

The loss depends on W'W alone. So under plain gradient descent W dW' is symmetric: no step turns
the vectors as a whole (proved), and a rotation is the work of Adam, which scales each weight by its
own size, and of noise. What theory predicts is Adam on the exact loss from the same first weights.
"""

from __future__ import annotations

import numpy as np

from theory.features import Float
from validate.along import exact_path, rotation
from validate.dynamics import dynamics
from validate.ledger_parts import ALPHA, Book, Finding, Part, least
from validate.quantities import Sample
from validate.statistics import median

SPREAD = 0.9
"""Variance of the directions, at most 1, from which they count as spread."""

TURN = 15.0
"""Degrees from which a rotation counts as a stage: a fifth of the angle between neighbours."""

S = 0.05


def stages(book: Book, law: str) -> Finding:
    """i: the order of the stages, and whether there is one of rotation."""
    sample = book.at(5, 2, S, law, path=True)
    steps, trained, exact = _paths(sample)
    seen, expected = ([_look(steps, W) for W in paths] for paths in (trained, exact))

    def ratio(one: tuple[float, float, float]) -> float:
        return (one[1] + 1.0) / (one[0] + 1.0)

    order = least(
        "steps until settled / until spread",
        1.0,
        float(np.median([ratio(x) for x in expected])),
        median([ratio(x) for x in seen], ALPHA),
    )
    turned = least(
        "rotation after the spread",
        TURN,
        float(np.median([x[2] for x in expected])),
        median([x[2] for x in seen], ALPHA),
        "degrees",
    )
    ready = np.mean([x[0] == 0.0 for x in seen])
    at, end = ([np.median([x[i] for x in some]) for some in (seen, expected)] for i in (0, 1))
    far = np.mean([x[2] >= TURN for x in seen])
    return Finding(
        (
            Part("directions spread before they settle", (order,)),
            Part(f"in between they rotate, by {TURN:g} degrees or more", (turned,)),
        ),
        predicted="Plain gradient descent never turns the vectors as a whole (proved). Adam on the "
        "exact loss from the same first weights",
        trained=f"Of {len(seen)} models {ready:.0%} are spread before the first step, and "
        f"{far:.0%} turn by {TURN:g} degrees or more.",
        note=f"Median steps: spread {at[0]:.0f} (predicted {at[1]:.0f}), settled {end[0]:.0f} "
        f"({end[1]:.0f}). Spreading and settling overlap; how far the whole turns differs "
        "from start to start.",
        picture=_picture(steps, trained),
    )


def _paths(sample: Sample) -> tuple[list[int], Float, Float]:
    """Steps (T,), weights along training (K, T, d, n), and on the exact loss from there."""
    models = [trained for trained, _ in sample.best]
    steps = [step for step, _, _ in models[0].snapshots]
    W = np.array([[w for _, w, _ in t.snapshots] for t in models])
    b = np.array([t.snapshots[0][2] for t in models])
    run = models[0].run
    exact, _ = exact_path(run.setting, run.recipe, W[:, 0], b, steps)
    return steps, W, exact.swapaxes(0, 1)


def _look(steps: list[int], W: Float) -> tuple[float, float, float]:
    """Step of the spread, step from which all is settled, rotation between spread and end."""
    found = dynamics([(step, w, np.zeros(w.shape[1])) for step, w in zip(steps, W, strict=True)])
    over = np.flatnonzero(found.spread >= SPREAD)
    at = int(over[0]) if len(over) else len(steps) - 1  # never spread counts as at the very end
    settled = steps[-1] if found.settled is None else found.settled
    return float(steps[at]), float(settled), rotation(W[at], W[-1])


def _picture(steps: list[int], W: Float, shown: int = 8) -> bytes:
    from packing.draw import PALETTE, new_figure
    from validate.draw import png

    figure = new_figure(9.0, 4.8)
    panels = figure.subplots(2, shown // 2)
    for axes, path in zip(panels.flat, W, strict=False):
        for k in range(path.shape[2]):
            x, y = path[:, 0, k], path[:, 1, k]
            ink = PALETTE[k % len(PALETTE)]
            axes.plot(x, y, color=ink, lw=0.9, alpha=0.8)
            axes.plot(x[0], y[0], "o", color=ink, ms=3, mfc="none")
            axes.plot(x[-1], y[-1], "o", color=ink, ms=4)
        axes.set_aspect("equal")
        axes.set_xlim(-1.6, 1.6)
        axes.set_ylim(-1.6, 1.6)
        axes.set_xticks([])
        axes.set_yticks([])
    figure.suptitle(f"Eight models from first weights (open) to last, {steps[-1]} steps", size=10)
    return png(figure)


__all__ = ["stages"]
