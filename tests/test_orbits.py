"""theory.symmetric.orbit_form against theory.loss, simulation, scipy and the broken digon.

Tolerances, fixed before any run:

- losses: 1e-12 relative where theory.loss sums exactly (binary to 20, uniform to 16 features),
  exponential 1e-7 (its engine's accuracy); simulation: 5 standard errors, each below 1%.
- least losses: scipy stops on slopes and losses are quadratic there, so 1e-9 relative, and never
  below the proved loss by more than rounding (1e-12): the same minimum is found by other means.
- the broken digon: both enclosures are proved, so they overlap; no tolerance.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import numpy as np
import pytest
import sympy
from scipy.optimize import minimize

from packing.algebra.balls import Jet
from packing.catalogue import entries, entry
from packing.errors import BadInput
from packing.symmetry import orbits
from theory.features import Features
from theory.losses.expected import loss
from theory.symmetric import Orbits, broken, closed_form, orbit_form
from theory.symmetric.orbits import bipyramid, capped_prism, jet, krawczyk, prism, pyramid


def ring(k: int, h: float, turn: float = 0.0) -> Any:
    """k unit vectors at height h, the first at the angle turn (in steps)."""
    angle = 2 * np.pi * (np.arange(k) + turn) / k
    r = np.sqrt(1 - h * h)
    return np.array([r * np.cos(angle), r * np.sin(angle), np.full(k, h)])


APEX = np.array([[0.0], [0.0], [1.0]])


def vectors(name: str, h: float) -> Any:
    """Unit vectors of the shapes below, made without the code under test."""
    return {
        "square antiprism": lambda: np.hstack([ring(4, h), ring(4, -h, 0.5)]),
        "triangular prism": lambda: np.hstack([ring(3, h), ring(3, -h)]),
        "triangular bipyramid": lambda: np.hstack([APEX, -APEX, ring(3, 0.0)]),
        "pentagonal pyramid": lambda: np.hstack([APEX, ring(5, h)]),
        "capped antiprism": lambda: np.hstack([APEX, -APEX, ring(3, h), ring(3, -h, 0.5)]),
    }[name]()


SHAPES = {
    "square antiprism": prism(4, twisted=True),
    "triangular prism": prism(3),
    "triangular bipyramid": bipyramid(3),
    "pentagonal pyramid": pyramid(5),
    "capped antiprism": capped_prism(3, twisted=True),
}


def truth(name: str, norms: Any, biases: Any, h: float, S: float, law: str) -> float:
    """The loss by theory.loss, from vectors."""
    many = np.array(SHAPES[name].counts)
    W = vectors(name, h) * np.repeat(norms, many)
    return loss(W, np.repeat(biases, many), features=Features.of(W.shape[1], S, law)).total


def random_point(rng: Any, name: str) -> tuple[list[float], list[float], float, float]:
    kinds = len(SHAPES[name].counts)
    norms = rng.uniform(0.3, 1.3, kinds).tolist()
    biases = rng.uniform(-0.4, 0.4, kinds).tolist()
    return norms, biases, float(rng.uniform(0.15, 0.85)), float(rng.uniform(0.02, 0.9))


# ---------------------------------------------------------------- the loss


@pytest.mark.parametrize("law", ["binary", "uniform", "exponential"])
@pytest.mark.parametrize("name", sorted(SHAPES))
def test_loss_is_that_of_the_vectors(name: str, law: str) -> None:
    form = orbit_form(SHAPES[name], law)
    rng = np.random.default_rng(len(name))
    tolerance = 1e-7 if law == "exponential" else 1e-12
    for _ in range(3):
        norms, biases, h, S = random_point(rng, name)
        height = h if form.free else None
        true = truth(name, norms, biases, h, S, law)
        assert form.loss(norms, biases, S, height) == pytest.approx(true, rel=tolerance)
        # control: another height, or another norm, is another loss
        if form.free:
            assert form.loss(norms, biases, S, h * 0.99) != pytest.approx(true, rel=1e-6)
        other = [norms[0] * 0.99, *norms[1:]]
        assert form.loss(other, biases, S, height) != pytest.approx(true, rel=1e-6)


@pytest.mark.parametrize("law", ["binary", "uniform"])
@pytest.mark.parametrize("name", ["best 9 points", "icosahedron less a vertex", "best 10 points"])
def test_catalogue_entries_of_several_kinds(name: str, law: str) -> None:
    block = entry(name)
    form = orbit_form(name, law)
    labels = np.array(form.shape.labels)
    rng = np.random.default_rng(3)
    norms, biases = (
        rng.uniform(0.5, 1.2, len(form.counts)),
        rng.uniform(-0.3, 0.3, len(form.counts)),
    )
    W, b = block.vectors * norms[labels], biases[labels]
    true = loss(W, b, features=Features.of(block.n, 0.15, law)).total
    assert form.loss(norms.tolist(), biases.tolist(), 0.15) == pytest.approx(true, rel=1e-12)
    with pytest.raises(BadInput, match=r"kinds of vectors.*orbit_form"):
        closed_form(name, law)


@pytest.mark.parametrize("law", ["binary", "uniform"])
def test_loss_is_what_a_simulation_sees(law: str) -> None:
    form, V = orbit_form(SHAPES["pentagonal pyramid"], law), vectors("pentagonal pyramid", -0.4)
    norms, biases, S = [0.8, 1.1], [0.1, -0.2], 0.2
    W, b = V * np.repeat(norms, [1, 5]), np.repeat(biases, [1, 5])
    rng = np.random.default_rng(7)
    on = rng.random((200_000, 6)) < S
    x = on * (1.0 if law == "binary" else rng.random(on.shape))
    each = np.sum((x - np.maximum(x @ W.T @ W + b, 0.0)) ** 2, axis=1)
    error = np.std(each) / np.sqrt(len(each))
    value = form.loss(norms, biases, S, -0.4)
    assert error < 0.01 * value and abs(np.mean(each) - value) < 5 * error
    assert abs(np.mean(each) - form.loss(norms[::-1], biases, S, -0.4)) > 50 * error


@pytest.mark.parametrize(("k", "law"), [(3, "binary"), (3, "uniform"), (5, "binary")])
def test_exact_ball_and_float_are_one_number(k: int, law: str) -> None:
    form = orbit_form(bipyramid(k), law)
    norms, biases, S = (
        [Fraction(1), Fraction(3, 4)],
        [Fraction(-1, 7), Fraction(1, 9)],
        Fraction(1, 5),
    )
    exact = form.loss(norms, biases, S)
    number = form.loss([1.0, 0.75], [-1 / 7, 1 / 9], 0.2)
    assert isinstance(exact, sympy.Expr) and float(exact) == pytest.approx(number, rel=1e-13)
    with flint.ctx.workprec(200):
        ball = form.loss(
            [flint.arb(1), flint.arb(0.75)], [flint.arb(-1) / 7, flint.arb(1) / 9], flint.arb(1) / 5
        )
        assert ball.rel_accuracy_bits() > 120
        assert ball.overlaps(flint.arb(str(sympy.N(exact, 70))) + flint.arb(0, 1e-55))


def test_one_kind_is_the_symmetric_block() -> None:
    """Two routes: the sum over orbits, and the sum over states."""
    for law in ("binary", "uniform"):
        one, form = closed_form("pentagon", law), orbit_form("pentagon", law)
        assert form.counts == (5,)
        value = form.loss([1.1], [-0.2], 0.3)
        assert value == pytest.approx(5 * one.loss(1.21, -0.2, 0.3), rel=1e-12)


def test_slopes_and_curvature_are_differences_of_the_loss() -> None:
    form = orbit_form(SHAPES["pentagonal pyramid"], "uniform")
    at, step = np.array([0.9, 1.1, 0.07, -0.2, -0.35]), 1e-4
    with flint.ctx.workprec(256):
        found = jet(form, Fraction(1, 5), [flint.arb(x) for x in at])
    slopes, H = [float(g.mid()) for g in found.gradient.entries()], found.hessian

    def value(x: Any) -> float:
        return float(form.loss(x[:2].tolist(), x[2:4].tolist(), 0.2, float(x[4])))

    for i in range(5):
        e = step * np.eye(5)[i]
        assert slopes[i] == pytest.approx((value(at + e) - value(at - e)) / (2 * step), abs=1e-6)
        second = (value(at + e) - 2 * value(at) + value(at - e)) / step**2
        assert float(H[i, i].mid()) == pytest.approx(second, abs=1e-5)


def test_a_jet_at_a_kink_is_refused_or_enclosed() -> None:
    from packing.algebra.balls import positive, powers
    from packing.errors import NotReached

    (z,) = Jet.parameters([flint.arb(0, 1e-9)])
    with pytest.raises(NotReached, match="kink"):
        positive(z)
    second = powers(z, 2)[2].curve[0]
    assert second.contains(0) and second.contains(1)


# ---------------------------------------------------------------- least losses


def restricted(name: str, S: float, law: str, starts: int = 5) -> float:
    """The least loss scipy finds on theory.loss, within the shape."""
    rng = np.random.default_rng(11)
    kinds, free = len(SHAPES[name].counts), SHAPES[name].height is not None

    def value(at: Any) -> float:
        h = float(np.sin(at[-1])) if free else 0.5
        return truth(name, at[:kinds], at[kinds : 2 * kinds], h, S, law)

    best = np.inf
    for _ in range(starts):
        at = np.concatenate([rng.uniform(0.7, 1.2, kinds), rng.uniform(-0.3, 0.1, kinds)])
        at = np.append(at, rng.uniform(0.2, 0.9)) if free else at
        for _ in range(2):
            run = minimize(value, at, method="BFGS", options={"gtol": 1e-8})
            at = run.x
        best = min(best, float(run.fun))
    return best


@pytest.mark.parametrize(
    ("name", "law", "S"),
    [
        ("square antiprism", "binary", 0.1),
        ("square antiprism", "uniform", 0.1),
        ("triangular bipyramid", "binary", 0.2),
        ("triangular bipyramid", "uniform", 0.2),
        ("capped antiprism", "binary", 0.02),
    ],
)
def test_minimum_is_what_minimisation_finds(name: str, law: str, S: float) -> None:
    form = orbit_form(SHAPES[name], law)
    found = form.minimum(S)
    assert found.stationary and found.local and "proved" in found.advice
    assert "numerical: that nothing lies lower" in found.advice
    assert found.loss.rel_accuracy_bits() > 50
    # the uniform law's exact sums are slow here: one start, from which scipy finds it
    starts = 1 if law == "uniform" else 3
    value, proved = restricted(name, S, law, starts), float(found.loss.mid())
    assert proved * (1 - 1e-12) <= value
    assert value == pytest.approx(proved, rel=1e-9)
    at = [[float(x.mid()) for x in group] for group in (found.norms, found.biases)]
    height = None if found.height is None else float(found.height.mid())
    assert form.loss(*at, S, height) == pytest.approx(proved, rel=1e-12)


def test_two_norms_of_a_pair_are_the_broken_digon() -> None:
    form = orbit_form("digon", "binary", [[0], [1]])
    assert form.counts == (1, 1)
    for S in (Fraction(1, 10),):
        found, other = form.minimum(S, digits=30), broken("digon").minimum(S)
        assert found.loss.overlaps(other.loss) and found.stationary
        pairs = sorted(zip(found.norms, found.biases, strict=True), key=lambda q: q[0].mid())
        others = sorted(zip(other.norms, other.biases, strict=True), key=lambda q: q[0].mid())
        for (r, b), (q, c) in zip(pairs, others, strict=True):
            assert r.overlaps(q) and b.overlaps(c)
    # where the equal pair is the optimum both norms agree, and the loss is its formula
    S = Fraction(3, 10)
    equal = form.minimum(S)
    assert equal.loss.overlaps(2 * closed_form("digon").minimum(S).loss)
    assert abs(equal.norms[0] - equal.norms[1]) < 1e-15


def test_a_wrong_active_set_is_rejected() -> None:
    """Krawczyk's test says no where there is no stationary point, and across a kink of the ReLU."""
    form = orbit_form("digon", "binary", [[0], [1]])
    S = Fraction(1, 10)
    found = form.minimum(S)
    true = np.array([float(x.mid()) for x in (*found.norms, *found.biases)])
    with flint.ctx.workprec(192):
        assert krawczyk(form, S, true) is not None
        assert krawczyk(form, S, true + 0.05) is None
        # every ReLU of the second feature at rest: the loss is flat there, nothing to prove
        assert krawczyk(form, S, np.array([1.0, 1.0, 0.0, -3.0])) is None
        # z = 0 exactly when both are on: at x = 1 the loss has a kink there
        assert krawczyk(form, S, np.array([1.0, 1.0, 0.0, 0.0])) is None


def test_a_minimum_on_the_border_is_only_a_bound_and_says_so() -> None:
    """Six features and two apexes at S = 0.1: the apexes are ignored, their norm is 0."""
    found = orbit_form(SHAPES["triangular bipyramid"], "binary").minimum(0.7)
    proved = orbit_form(capped_prism(4, twisted=True), "binary").minimum(0.1)
    assert not proved.stationary and not proved.local
    assert "numerical: that it is stationary" in proved.advice
    assert min(float(r.mid()) for r in proved.norms) == 0.0
    assert found.loss > 0


def test_a_law_without_exact_form_is_answered_by_numbers_and_says_so() -> None:
    found = orbit_form(pyramid(2), "exponential").minimum(0.2)
    assert found.known.startswith("numerical") and not found.stationary
    assert float(found.loss.mid()) < 3 * (0.2 * 2 - 0.04)  # three ignored features


@pytest.mark.parametrize("law", ["binary", "uniform"])
def test_the_ends_of_S_are_answered(law: str) -> None:
    form = orbit_form(SHAPES["triangular bipyramid"], law)
    assert form.minimum(0).loss == 0
    assert 0 < form.minimum(1e-3).loss < 5e-3
    if law == "uniform":
        return  # S = 1 is like any other there
    at_one = form.minimum(1)
    norms, biases = ([x.mid() for x in group] for group in (at_one.norms, at_one.biases))
    assert abs(form.loss(norms, biases, flint.arb(1)) - at_one.loss) < 1e-12
    assert at_one.loss == 0


def test_the_isosceles_triangle_takes_its_angle() -> None:
    """Binary, small S: the free angle beats the regular triangle (docs/theory.md, section 3)."""
    bent = orbit_form(pyramid(2)).minimum(0.1)
    assert bent.stationary
    assert bent.loss < 3 * closed_form("triangle").minimum(0.1).loss
    assert abs(bent.height + 0.5) > 0.01
    straight = orbit_form(pyramid(2)).minimum(0.35)
    assert abs(straight.height + 0.5) < 1e-12  # the regular one again


# ---------------------------------------------------------------- descriptions


def test_kinds_are_split_until_they_are_alike() -> None:
    """One vertex of a pentagon apart: the others fall into neighbours and the rest."""
    form = orbit_form("pentagon", "binary", [[0], [1, 2, 3, 4]])
    assert sorted(form.counts) == [1, 2, 2]
    V = entry("pentagon").vectors
    rng = np.random.default_rng(2)
    norms, biases = rng.uniform(0.5, 1.2, 3), rng.uniform(-0.2, 0.2, 3)
    labels = np.array(form.shape.labels)
    true = loss(V * norms[labels], biases[labels], features=Features.of(5, 0.2)).total
    assert form.loss(norms.tolist(), biases.tolist(), 0.2) == pytest.approx(true, rel=1e-12)


def test_no_block_with_one_row_of_cosines_has_two_orbits() -> None:
    """`closed_form` tells kinds by their rows: in the catalogue that is the same as by orbit."""
    checked = 0
    for block in entries():
        if block.n <= 20 and block.build is not None and len(block.rows) == 1:
            assert len(orbits(block.arrangement)) == 1, block.name
            checked += 1
        elif block.n <= 20 and block.build is not None:
            with pytest.raises(BadInput, match="kinds of vectors"):
                closed_form(block)
    assert checked > 50


def test_bad_input_is_named() -> None:
    form = orbit_form(prism(3))
    with pytest.raises(BadInput, match="has 1 kinds"):
        form.loss([1, 1], [0], 0.1, 0.5)
    with pytest.raises(BadInput, match="height"):
        form.loss([1], [0], 0.1)
    with pytest.raises(BadInput, match=r"1\.5 is not a probability.*1 - S"):
        form.loss([1], [0], 1.5, 0.5)
    with pytest.raises(BadInput, match="not negative"):
        form.loss([-1], [0], 0.5, 0.5)
    with pytest.raises(BadInput, match=r"-0\.1 is not a probability"):
        form.minimum(-0.1)
    with pytest.raises(BadInput, match="digits"):
        form.minimum(0.1, digits=0)
    with pytest.raises(BadInput, match="they must be equal"):
        orbit_form(Orbits("lopsided", (1, 2), (((1, "1/2", 2),), ())))
    with pytest.raises(BadInput, match="sees more of kind"):
        orbit_form(Orbits("crowded", (2,), (((0, "1/2", 2),),)))
    with pytest.raises(BadInput, match="cosines lie in"):
        orbit_form(Orbits("long", (2,), (((0, "3/2", 1),),)))
    with pytest.raises(BadInput, match="give height"):
        orbit_form(Orbits("loose", (2,), (((0, (0, 1), 1),),)))
    with pytest.raises(BadInput, match="each of the 2 vectors once"):
        orbit_form("digon", "binary", [[0], [0]])
    with pytest.raises(BadInput, match="at least 2"):
        pyramid(1)
    with pytest.raises(BadInput, match="law"):
        orbit_form("digon", "gaussian")
