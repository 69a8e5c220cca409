"""theory.symmetric.crossings against bisection of theory.loss, ladders, and exact arithmetic.

Tolerances, fixed before any run: 1e-10 in S where two phases are first order (losses agree to
1e-14, and cross at an angle); a root of a polynomial lies in the enclosure, whose width is asked.
Broken blocks: losses 1e-12 relative (exact sums on both sides), optima 1e-10 (the optimiser ends at
a vanishing gradient).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import flint
import numpy as np
import pytest
import sympy
from scipy.optimize import brentq, minimize

from packing.catalogue import entry
from packing.errors import BadInput
from theory.features import Features
from theory.losses.expected import loss
from theory.optima import optimum
from theory.symmetric import closed_form
from theory.symmetric.crossings import Mixture, crossing, mixture
from theory.symmetric.symmetry_breaking import broken, takeover


def descended(name: str, law: str) -> Callable[[float], float]:
    """Loss of a symmetric block by L-BFGS on theory.loss over one norm and one bias."""
    block = entry(name)

    def least(chance: float) -> float:
        features = Features.of(block.n, chance, law)

        def value(at: np.ndarray) -> tuple[float, np.ndarray]:
            W = at[0] * block.vectors
            answer = loss(W, np.full(block.n, at[1]), features=features, gradient=True)
            assert answer.grad_W is not None and answer.grad_b is not None
            slope = np.array([np.sum(answer.grad_W * block.vectors), np.sum(answer.grad_b)])
            return answer.total, slope

        starts = ([1.0, 0.1], [0.9, 0.3], [1.1, -0.1])
        runs = [minimize(value, x, jac=True, options={"gtol": 1e-12}) for x in starts]
        return min(float(run.fun) for run in runs)

    return least


@pytest.mark.parametrize(("law", "low", "high"), [("binary", 0.35, 0.45), ("uniform", 0.55, 0.75)])
def test_triangle_and_digons_cross_where_theory_loss_says(
    law: str, low: float, high: float
) -> None:
    a, b = mixture("triangle", ignored=1, law=law), mixture(("digon", 2), law=law)
    found = crossing(a, b, low, high)
    triangle, digon = descended("triangle", law), descended("digon", law)
    ignored = (lambda S: S * (1 - S)) if law == "binary" else (lambda S: S / 3 - S * S / 4)
    true = brentq(lambda S: triangle(S) + ignored(S) - 2 * digon(S), low, high, xtol=1e-13)
    assert float(found) == pytest.approx(true, abs=1e-10)
    assert found.denser == "triangle + 1 ignored" and found.sparser == "2 digon"
    assert found.digits >= 30
    # control: with the ignored feature's mean square in place of its variance it is elsewhere
    wrong = brentq(lambda S: triangle(S) + ignored(S) * 0.99 - 2 * digon(S), 0.2, high)
    assert abs(wrong - true) > 1e-3


@pytest.mark.parametrize("law", ["binary", "uniform"])
def test_the_sign_changes_within_the_enclosure(law: str) -> None:
    a, b = mixture("pentagon", law=law), mixture(("digon", 2), ignored=1, law=law)
    found = crossing(a, b, 0.05, 0.4, digits=25)
    assert found.high - found.low <= Fraction(1, 10**25)
    with flint.ctx.workprec(300):
        below = a.loss(found.low, 60) - b.loss(found.low, 60)
        above = a.loss(found.high, 60) - b.loss(found.high, 60)
        assert below < 0 < above
    assert found.sparser == "pentagon"


def test_the_polynomial_is_the_minimal_one_and_its_root_is_enclosed() -> None:
    """By hand, from the digon's formula and the general triangle's, eliminated by sympy."""
    S = sympy.Symbol("S")
    a, b = mixture("triangle", ignored=1), mixture(("digon", 2))
    found = crossing(a, b, 0.35, 0.45)
    assert found.known == "proved" and found.point is not None
    p = sympy.Poly(list(reversed(found.point.polynomial)), S)
    assert p.is_irreducible
    # the triangle with t >= 0 active by hand: z = b for nothing or all on, b + rho for one, ...
    rho, bias = sympy.symbols("rho b")
    V = 1 - S
    triangle = (
        V**3 * bias**2
        + S * V**2 * (1 - rho - bias) ** 2
        + 2 * S**2 * V * (1 - rho / 2 - bias) ** 2
        + S**3 * (1 - bias) ** 2
    )
    at = sympy.solve([triangle.diff(rho), triangle.diff(bias)], [rho, bias], dict=True)[0]
    digon = S**2 * V**2 / (S**2 + V**2)
    gap = sympy.together(3 * triangle.subs(at) + S * V - 4 * digon)
    assert sympy.rem(sympy.numer(gap), p.as_expr(), S) == 0
    assert sympy.rem(sympy.numer(sympy.together(gap + S / 1000)), p.as_expr(), S) != 0
    with flint.ctx.workprec(200):
        root = found.ball(200)
        low = flint.arb(flint.fmpq(found.low.numerator, found.low.denominator))
        high = flint.arb(flint.fmpq(found.high.numerator, found.high.denominator))
        assert low <= root <= high
    ends = [sympy.Rational(x.numerator, x.denominator) for x in found.point.interval]
    assert p.count_roots(*ends) == 1


def test_blocks_that_both_phases_share_do_not_matter() -> None:
    plain = crossing(mixture("triangle", ignored=1), mixture(("digon", 2)), 0.35, 0.45)
    more = crossing(
        mixture("triangle", "tetrahedron", ignored=1, dedicated=2),
        mixture(("digon", 2), "tetrahedron", dedicated=2),
        0.35,
        0.45,
    )
    assert plain.point == more.point


def test_fields_are_joined_or_the_crossing_is_enclosed() -> None:
    one = crossing(mixture("pentagon"), mixture(("digon", 2), ignored=1), 0.05, 0.4)
    assert one.known == "proved" and one.point is not None and one.point.degree > 2
    other = crossing(mixture("octagon"), mixture("pentagon", ignored=3), 0.01, 0.2, digits=20)
    assert other.known == "enclosed" and other.point is None and other.digits >= 20


def test_bad_questions_are_named() -> None:
    a, b = mixture("triangle", ignored=1), mixture(("digon", 2))
    with pytest.raises(BadInput, match="costs less at both"):
        crossing(a, b, 0.01, 0.02)
    with pytest.raises(BadInput, match="do not compare"):
        crossing(a, mixture("digon"), 0.1, 0.5)
    with pytest.raises(BadInput, match="low"):
        crossing(a, b, 0.5, 0.1)
    with pytest.raises(BadInput, match="whole number"):
        mixture("digon", ignored=-1)


def test_a_mixture_adds_up() -> None:
    block = mixture("triangle", ("digon", 2), ignored=3, dedicated=1)
    assert (block.n, block.name) == (11, "triangle + 2 digon + 1 dedicated + 3 ignored")
    chance = Fraction(1, 5)
    parts = [mixture("triangle"), mixture("digon"), mixture("digon"), mixture(ignored=3)]
    total = sum(float(part.loss(chance).mid()) for part in parts)
    assert float(block.loss(chance).mid()) == pytest.approx(total, rel=1e-14)
    assert Mixture((), 0, 2).loss(chance) == 0


# ---------------------------------------------------------------- broken blocks


@pytest.mark.parametrize(
    ("name", "part"),
    [("digon", (0,)), ("triangle", (1,)), ("square", (0, 1)), ("5-simplex", (0, 3))],
)
def test_loss_of_a_broken_block_is_that_of_the_vectors(name: str, part: tuple[int, ...]) -> None:
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


@pytest.mark.parametrize("S", [0.1, 0.01, 0.001])
def test_the_uneven_digon_at_small_S_is_the_optimum(S: float) -> None:
    """Its biases fall with S^2 and its norms come together: found all the same."""
    best = optimum(Features.of(2, S), 1).loss.total
    assert float(broken("digon").minimum(S).loss.mid()) == pytest.approx(best, rel=1e-10)


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
        broken("octagon", (0, 2, 4, 6))
    rival = closed_form("digon").pieces()[0].loss.scaled(2)
    with pytest.raises(BadInput, match="at both"):
        takeover(broken("digon"), rival, Fraction(3, 10), Fraction(2, 5))
