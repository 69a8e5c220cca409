"""theory.closed_form.unequal against theory.loss, theory.optimum, and hand-made equations.

Tolerances, fixed before any run: losses 1e-12 relative (exact sums on both sides); optima 1e-10
relative (the optimiser ends at a vanishing gradient).
"""

from __future__ import annotations

from fractions import Fraction

import flint
import numpy as np
import pytest

from packing.catalogue import entry
from packing.errors import BadInput
from theory.closed_form import closed_form
from theory.closed_form.takeover import broken, takeover
from theory.features import Features
from theory.loss import loss
from theory.optimum import optimum


@pytest.mark.parametrize(
    ("name", "part"),
    [("digon", (0,)), ("triangle", (1,)), ("square", (0, 1)), ("5-simplex", (0, 3))],
)
def test_loss_is_that_of_the_vectors(name: str, part: tuple[int, ...]) -> None:
    block, form = entry(name), broken(name, part)
    rng = np.random.default_rng(3)
    label = np.isin(np.arange(block.n), part)
    for _ in range(4):
        (r, q), (b, c), chance = rng.uniform(0.4, 1.2, 2), rng.uniform(-0.2, 0.4, 2), rng.random()
        true = loss(
            np.where(label, r, q) * block.vectors,
            np.where(label, b, c),
            features=Features.of(block.n, chance),
        )
        with flint.ctx.workprec(128):
            assert float(form.loss((r, q), (b, c), chance).mid()) == pytest.approx(
                true.total, rel=1e-12
            )
            assert float(form.loss((q, r), (b, c), chance).mid()) != pytest.approx(
                true.total, rel=1e-6
            )


@pytest.mark.parametrize("chance", [0.1, 0.2, 0.45])
def test_the_uneven_digon_is_the_optimum_of_two_features_in_one_dimension(chance: float) -> None:
    found = broken("digon").minimum(chance)
    best = optimum(Features.of(2, chance), 1)
    assert float(found.loss.mid()) == pytest.approx(best.loss.total, rel=1e-10)
    sizes = sorted(float(x.mid()) for x in found.norms)
    assert sizes == pytest.approx(sorted(np.abs(best.W[0])), abs=1e-7)
    assert found.loss < 2 * closed_form("digon").minimum(chance).loss
    with flint.ctx.workprec(192):
        again = broken("digon").loss(found.norms, found.biases, found.S)
        assert again.overlaps(found.loss) and found.loss.rel_accuracy_bits() > 100


def test_where_the_symmetric_digon_holds_it_is_found() -> None:
    """Between the two takeovers norms are equal: t = 1 is the stationary ratio."""
    found = broken("digon").minimum(Fraction(1, 3))
    assert found.ratio.text == "1"
    assert found.loss.overlaps(2 * closed_form("digon").minimum(Fraction(1, 3), 40).loss)


@pytest.mark.parametrize(("low", "high"), [("1/5", "3/10"), ("2/5", "9/20")])
def test_takeover_is_where_two_independent_losses_meet(low: str, high: str) -> None:
    rival = closed_form("digon").pieces()[0].loss.scaled(2)
    point = takeover(broken("digon"), rival, Fraction(low), Fraction(high))
    S = float(point)
    best = min(optimum(Features.of(2, S + e), 1).loss.total for e in (0.0, 1e-12))
    assert best == pytest.approx(2 * float(closed_form("digon").minimum(S).loss.mid()), rel=1e-12)
    # on the side of the broken block it is lower, on the other the symmetric one is the optimum
    for step in (-1e-3, 1e-3):
        here = optimum(Features.of(2, S + step), 1).loss.total
        digon = 2 * float(closed_form("digon").minimum(S + step).loss.mid())
        outside = (step < 0) == (low == "1/5")
        assert (here < digon * (1 - 1e-6)) == outside
    p = flint.fmpz_poly(list(point.polynomial))
    assert len(p.factor()[1]) == 1 and point.degree > 1


def test_bad_parts_are_named() -> None:
    with pytest.raises(BadInput, match="not all"):
        broken("digon", (0, 1))
    with pytest.raises(BadInput, match="different cosines"):
        broken("square", (0, 1, 2))
    with pytest.raises(BadInput, match="irrational"):
        broken("octahedron").name and broken("icosahedron", range(6))
    rival = closed_form("digon").pieces()[0].loss.scaled(2)
    with pytest.raises(BadInput, match="at both"):
        takeover(broken("digon"), rival, Fraction(3, 10), Fraction(2, 5))
