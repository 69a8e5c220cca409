"""Enclosed transitions against floats, against hand algebra, and against other routes.

Tolerances, fixed before any run: 1e-8 relative between an enclosure and `surplus`, whose losses are
good to 1e-10 while gains cross at angles down to 1e-3; 1e-10 where brentq works on theory.loss.
Balls must overlap.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import flint
import numpy as np
import pytest
from scipy.optimize import brentq, minimize

from packing.catalogue import entry
from packing.errors import BadInput
from theory.features import Features
from theory.losses.expected import loss
from theory.mixtures import (
    Block,
    SurplusPhase,
    Transition,
    blocks,
    surplus,
    transition,
    transition_rows,
)
from theory.mixtures import surplus_sequence as enclosed
from theory.mixtures.block_losses import pair_minimum
from theory.mixtures.surplus_sequence import enclosed_pair, pair
from theory.optima import optimum
from theory.symmetric import broken, closed_form
from theory.symmetric import uniform as plan
from theory.symmetric.uniform import Profile, Transformed

# ---------------------------------------------------------------- the transform, in balls

PARTS = ("F0", "F1", "F2", "slope", "chance")


@pytest.mark.parametrize(("kept", "bits"), [((4,), 30), ((7,), 60)])
@pytest.mark.parametrize(("name", "S"), [("icosahedron", "1/5"), ("5-demicube", "7/10")])
def test_the_transform_and_the_vertices_are_one_function(
    name: str, S: str, kept: tuple[int, ...], bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few patterns kept as vertices, so that most of the answer comes from the integral."""
    monkeypatch.setattr(plan, "KEPT", kept)
    form, chance = closed_form(name, "uniform"), Fraction(S)
    one, other = Transformed(form.row, chance, bits), Profile(form.row, chance, 400)
    for beta in (Fraction(-9, 10), Fraction(-1, 5), Fraction(0), Fraction(1, 3), Fraction(5, 2)):
        a, b = one.at(beta), other.at(beta)
        for part in PARTS:
            x, y = getattr(a, part), getattr(b, part)
            assert x.overlaps(y)
            # at beta = 0 the chance that nothing is on may count or not
            assert x.rad() < 2.0 ** (8 - bits) or (beta == 0 and part == "chance")


def test_a_dropped_term_of_the_transform_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Controls: without a node, or with the few-on patterns of another S, balls do not meet."""
    form, chance, beta = closed_form("icosahedron", "uniform"), Fraction(1, 5), Fraction(-1, 5)
    monkeypatch.setattr(plan, "KEPT", (5,))
    true = Profile(form.row, chance, 400).at(beta).F2
    wrong = Transformed(form.row, chance, 40)
    rows, _ = wrong.sides[0].shape
    wrong.sides[0].weights[3 * rows, 1] = flint.acb(0)
    wrong.sides[0].weights[2 * rows, 1] = flint.acb(0)
    assert not wrong.at(beta).F2.overlaps(true)
    other = Transformed(form.row, chance, 40)
    other.sides[0].vertices = Transformed(form.row, Fraction(21, 100), 40).sides[0].vertices
    assert not other.at(beta).F2.overlaps(true)


@pytest.mark.parametrize("name", ["doubled 10-simplex", "Schlaefli code"])
def test_minima_by_both_routes_overlap(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from theory.symmetric import uniform as enclosure

    form = closed_form(name, "uniform")
    by_transform = form.minimum(0.2, 25)
    monkeypatch.setattr(enclosure, "SEEN", 1000)
    by_vertices = form.minimum(0.2, 25)
    assert (by_transform.route, by_vertices.route) == ("transform", "vertices")
    assert by_transform.loss.overlaps(by_vertices.loss)
    assert min(by_transform.digits, by_vertices.digits) >= 25
    assert not form.minimum(0.2001, 25).loss.overlaps(by_vertices.loss)


# ---------------------------------------------------------------- unequal pairs


@pytest.mark.parametrize("S", [0.02, 0.2, 0.45, 0.6, 0.9])
@pytest.mark.parametrize("name", ["uneven digon", "parallel pair"])
def test_the_least_loss_of_a_pair_is_what_floats_find(name: str, S: float) -> None:
    found = enclosed_pair(name, Fraction(S), 25)
    floats = float(pair_minimum(np.array([S]), -1 if "uneven" in name else 1)[0][0])
    assert found.loss.rel_accuracy_bits() > 80
    assert floats >= float(found.loss.lower()) * (1 - 1e-13)
    assert float(found.loss.mid()) == pytest.approx(floats, rel=1e-12)


@pytest.mark.parametrize("S", [0.1, 0.3, 0.45, 0.7])
def test_the_better_pair_is_the_optimum_of_two_features_in_one_dimension(S: float) -> None:
    best = optimum(Features.of(2, S), 1).loss.total
    pairs = [
        float(enclosed_pair(n, Fraction(S)).loss.mid()) for n in ("uneven digon", "parallel pair")
    ]
    assert min(pairs) == pytest.approx(best, rel=1e-9)
    # the even pair is among the points, and the enclosure of a stationary point agrees
    even = 2 * closed_form("digon").minimum(S, 25).loss
    assert not enclosed_pair("uneven digon", Fraction(S), 25).loss > even
    if S < 0.4:
        assert (
            broken("digon")
            .minimum(S, 25)
            .loss.overlaps(enclosed_pair("uneven digon", Fraction(S), 25).loss)
        )


def test_no_pair_by_hand_is_below_the_enclosure() -> None:
    rng = np.random.default_rng(8)
    for name in ("uneven digon", "parallel pair"):
        least = enclosed_pair(name, Fraction(3, 10), 20).loss
        block = pair(name)
        with flint.ctx.workprec(96):
            for _ in range(200):
                norms, biases = rng.uniform(0.0, 1.3, 2), rng.uniform(-0.3, 0.5, 2)
                assert block.loss(norms.tolist(), biases.tolist(), Fraction(3, 10)) > least
    with pytest.raises(BadInput, match="no unequal pair"):
        enclosed_pair("digon", Fraction(1, 3))
    with pytest.raises(BadInput, match="S = 1"):
        enclosed_pair("uneven digon", Fraction(1))


# ---------------------------------------------------------------- transitions


def gain(name: str, law: str) -> Any:
    """Gain per dimension by L-BFGS on theory.loss over one norm and one bias."""
    block = entry(name)

    def found(S: float) -> float:
        features = Features.of(block.n, S, law)

        def value(at: np.ndarray) -> tuple[float, np.ndarray]:
            W = at[0] * block.vectors
            answer = loss(W, np.full(block.n, at[1]), features=features, gradient=True)
            assert answer.grad_W is not None and answer.grad_b is not None
            slope = np.array([np.sum(answer.grad_W * block.vectors), np.sum(answer.grad_b)])
            return answer.total, slope

        starts = ([1.0, 0.1], [0.9, 0.3], [1.1, -0.1])
        least = min(
            float(minimize(value, x, jac=True, options={"gtol": 1e-12}).fun) for x in starts
        )
        v = S * (1 - S) if law == "binary" else S / 3 - S * S / 4
        return (block.n * v - least) / block.d

    return found


@pytest.mark.parametrize(
    ("law", "denser", "sparser", "near"),
    [
        ("binary", "tetrahedron", "digon", 0.4037),
        ("uniform", "triangle", "digon", 0.6442),
        ("uniform", "doubled 9-simplex", "pentagon", 0.22225),
    ],
)
def test_a_transition_is_where_theory_loss_says(
    law: str, denser: str, sparser: str, near: float
) -> None:
    found = transition(denser, sparser, law, near, digits=20)
    a, b = (
        (gain(name, law) if entry(name).n < 17 else None) or _many(name, law)
        for name in (denser, sparser)
    )
    true = brentq(lambda S: a(S) - b(S), near * 0.99, near * 1.01, xtol=1e-14)
    assert float(found) == pytest.approx(true, rel=1e-8 if denser == "doubled 9-simplex" else 1e-10)
    assert found.low < found.high <= found.low + Fraction(1, 10**20) and found.digits >= 20
    assert (found.known == "proved") == (law == "binary")
    # control: with the gain of one block a permille larger it is elsewhere
    wrong = brentq(lambda S: a(S) - 1.001 * b(S), near * 0.8, near * 1.2)
    assert abs(wrong - true) > 1e-5


def _many(name: str, law: str) -> Any:
    block = next(b for b in blocks(law) if b.name == name)
    return lambda S: _gains(block, S, law)


def _gains(block: Block, S: float, law: str) -> float:
    v = S * (1 - S) if law == "binary" else S / 3 - S * S / 4
    return block.n / block.d * (v - float(block.loss([S], law)[0]))


def test_small_binary_transitions_are_those_of_the_numerical_sequence() -> None:
    phases = surplus("binary", S_min=0.18, points=50)
    checked = 0
    for above, below in itertools.pairwise(phases):
        if max(above.n, below.n) > 30:
            continue
        found = transition(above.name, below.name, "binary", above.low, digits=12)
        assert float(found) == pytest.approx(above.low, rel=1e-8)
        assert found.margin > 1e-6 and found.digits >= 12
        checked += 1
    assert checked >= 5


def test_the_polynomial_is_that_of_the_gains() -> None:
    found = transition("triangle", "tetrahedron", "binary", 0.464)
    assert found.point is not None and found.known == "proved"
    p = flint.fmpz_poly(list(found.point.polynomial))
    assert len(p.factor()[1]) == 1 and p.factor()[1][0][1] == 1
    with flint.ctx.workprec(192):
        root = found.point.ball(192)
        low, high = (
            flint.arb(flint.fmpq(x.numerator, x.denominator)) for x in (found.low, found.high)
        )
        assert low <= root <= high
        # by the pieces, not by the minima: 3/2 (v - l) = 4/3 (v - l')
        l3, l4 = (
            next(q for q in closed_form(n).pieces() if q.holds(float(root.mid()))).loss(root)
            for n in ("triangle", "tetrahedron")
        )
        v = root * (1 - root)
        assert ((v - l3) * 3 / 2 - (v - l4) * 4 / 3).contains(0)
        assert not ((v - l3) * 3 / 2 - (v - l4)).contains(0)


def test_the_digon_breaks_exactly_where_it_is_known_to() -> None:
    found = transition("digon", "uneven digon", "binary", 0.2507)
    assert found.known == "proved" and found.digits >= 29
    assert float(found) == pytest.approx(0.2506644917440553, abs=1e-15)
    for step, uneven in ((-1e-3, True), (1e-3, False)):
        S = float(found) + step
        best = optimum(Features.of(2, S), 1).loss.total
        even = 2 * float(closed_form("digon").minimum(S).loss.mid())
        assert (best < even * (1 - 1e-7)) == uneven


def test_wrong_questions_are_refused() -> None:
    with pytest.raises(BadInput, match="gains more than"):
        # these two cross, but something else gains more there
        transition("triangle", "digon", "binary", 0.4048)
    with pytest.raises(BadInput, match="swap"):
        transition("digon", "triangle", "uniform", 0.6442)
    with pytest.raises(BadInput, match=r"do not cross|closer"):
        transition("triangle", "digon", "uniform", 0.3)
    with pytest.raises(BadInput, match="no block"):
        transition("triangle", "flatworm", "binary", 0.4)
    with pytest.raises(BadInput, match="different"):
        transition("triangle", "triangle", "binary", 0.4)


def test_rows_say_what_a_table_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole list is the command's; here its rows for three phases."""
    phases = [
        SurplusPhase("triangle", 2, 3, 0.46417, 0.5, ()),
        SurplusPhase("tetrahedron", 3, 4, 0.4037, 0.46417, ()),
        SurplusPhase("digon", 1, 2, 0.26, 0.4037, ()),
    ]
    monkeypatch.setattr(enclosed, "surplus", lambda law, S_min: phases)
    said: list[str] = []
    rows = transition_rows("binary", digits=10, progress=said.append)
    assert len(said) == len(rows) == 2
    last = rows[-1]
    assert (last["denser"], last["sparser"], last["known"]) == ("tetrahedron", "digon", "proved")
    assert last["low"][:12] == last["high"][:12] and float(last["low"]) <= last["S"]
    assert "S**" in last["polynomial"] and "triangle" in last["rivals"] and last["digits"] >= 10
    assert all(row["S"] > after["S"] for row, after in itertools.pairwise(rows))
    one = transition("tetrahedron", "digon", "binary", 0.4037, digits=10)
    assert isinstance(one, Transition) and one.decimals[0] < one.decimals[1]
