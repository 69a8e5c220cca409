"""Interval proofs of existence: meeting closed forms, and refusing what is not there."""

from __future__ import annotations

import csv
import functools
import itertools
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
from shapes import cell_600, cube, demicube, icosahedron, polygon, roots_D, simplex

from packing.arrangement import Arrangement, contact_graph
from packing.catalogue.polytopes import antiprism
from packing.errors import BadInput
from packing.proofs.certificates import certify
from packing.proofs.contact_equations import (
    Action,
    Equations,
    Form,
    generators,
    plain_model,
    reduce,
    symmetric_model,
)
from packing.proofs.existence import existence
from packing.search import search

REFERENCE = Path(__file__).parent / "data" / "reference" / "tammes_d3.csv"
BUDGET = 20.0  # seconds for a search that takes two; it stops by itself


@functools.cache
def found(n: int, d: int = 3, criterion: str = "angle") -> np.ndarray:
    return search(n, d, criterion, seconds=BUDGET, workers=1).arrangement.W


def turned(W: np.ndarray, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.normal(size=(W.shape[0],) * 2))[0]
    return Q @ W[:, rng.permutation(W.shape[1])]


def antiprism_cosine() -> mpmath.mpf:
    """Eight points: a square antiprism of height +-h and radius r with all edges equal.

    Neighbours on a square have cosine h^2, across r^2 / sqrt 2 - h^2, and r^2 + h^2 = 1: so
    h^2 = 1 / (1 + 2 sqrt 2).
    """
    return 1 / (1 + 2 * mpmath.sqrt(2))


def snub_cube() -> list[list[mpmath.mpf]]:
    """The snub cube: even permutations of (1, 1/T, T) with an even number of minus signs and odd
    ones with an odd number, T^3 = T^2 + T + 1; unit vectors as rows."""
    T = mpmath.findroot(lambda x: x**3 - x**2 - x - 1, 1.8)
    base = (mpmath.mpf(1), 1 / T, T)
    points = []
    even = ((0, 1, 2), (1, 2, 0), (2, 0, 1))
    for p in itertools.permutations(range(3)):
        for signs in range(8):
            s = [1 - 2 * (signs >> k & 1) for k in range(3)]
            if (bin(signs).count("1") % 2 == 0) == (p in even):
                points.append([s[k] * base[p[k]] for k in range(3)])
    norm = mpmath.sqrt(sum(v * v for v in base))
    return [[v / norm for v in point] for point in points]


def snub_cube_cosine() -> mpmath.mpf:
    points = snub_cube()
    return max(
        sum(a * b for a, b in zip(x, y, strict=True)) for x, y in itertools.combinations(points, 2)
    )


def inside(result, value) -> bool:
    low, high = result.enclosure
    return low <= Fraction(int(mpmath.floor(value * 10**70)), 10**70) + Fraction(1, 10**68) and (
        Fraction(int(mpmath.floor(value * 10**70)), 10**70) - Fraction(1, 10**68) <= high
    )


def test_the_antiprism_meets_its_closed_form():
    result = existence(turned(antiprism(4, float(mpmath.sqrt(antiprism_cosine())))))
    assert result.proved and result.method == "intervals, symmetric" and result.symmetry == 16
    with mpmath.workdps(80):
        assert inside(result, antiprism_cosine())
        assert not inside(result, antiprism_cosine() + mpmath.mpf(10) ** -55)  # negative control
    low, high = result.enclosure
    assert 0 < high - low < Fraction(1, 10**58)


def test_the_snub_cube_meets_its_closed_form():
    result = existence(turned(np.array(snub_cube(), dtype=float).T))
    assert result.proved and (result.symmetry, result.contacts, result.unknowns) == (24, 60, 4)
    with mpmath.workdps(80):
        assert inside(result, snub_cube_cosine())


@pytest.mark.parametrize("n, contacts", [(7, 12), (13, 24)])
def test_square_systems_are_proved_without_symmetry(n, contacts):
    result = existence(turned(found(n)))
    assert result.proved and result.method == "intervals" and result.flexes == 0
    assert result.contacts == contacts == 2 * n - 2 and result.rattlers == ()
    # the certificate of the same floats, another route, agrees to rounding
    bound = certify(found(n)).cosine
    assert abs(float(bound - result.enclosure[0])) < 1e-14


def test_contacts_and_rattlers_meet_the_reference():
    with REFERENCE.open(encoding="utf-8") as file:
        rows = {row["n"]: row for row in csv.DictReader(x for x in file if not x.startswith("#"))}
    for n in (7, 13, 19):
        result, row = existence(found(n)), rows[str(n)]
        assert (result.contacts, len(result.rattlers)) == (
            int(row["contacts"]),
            int(row["rattlers"]),
        )
        assert abs(float(result.enclosure[0]) - float(row["max_cosine"])) < 1e-14


def test_more_digits_lie_inside_fewer():
    few, many = existence(found(13), digits=20), existence(found(13), digits=300)
    assert few.enclosure[0] <= many.enclosure[0] <= many.enclosure[1] <= few.enclosure[1]
    assert many.enclosure[1] - many.enclosure[0] < Fraction(1, 10**299)


def test_rattlers_are_placed_by_the_proof():
    result = existence(turned(found(19)))
    assert result.proved and len(result.rattlers) == 1
    # in dimensions that the core does not span, straight and leaning, with symmetry and without
    for core in (polygon(5), icosahedron()):
        d = core.shape[0]
        flat = np.vstack([core, np.zeros(core.shape[1])])
        poles = np.eye(d + 1)[:, [d, d]] * [1.0, -1.0] + 0.1 * np.eye(d + 1)[:, :1]
        result = existence(turned(np.hstack([flat, poles / np.linalg.norm(poles, axis=0)])))
        assert result.proved and len(result.rattlers) == 2
    # negative control: a vector on top of another one has no room
    W = np.concatenate([found(7), found(7)[:, :1]], axis=1)
    pairs = contact_graph(found(7), 1e-9).pairs
    squeezed = existence(W, pairs)
    assert not squeezed.proved


@pytest.mark.parametrize(
    "W, order, cosine",
    [
        (icosahedron(), 120, lambda: 1 / mpmath.sqrt(5)),
        (roots_D(4), 1152, lambda: mpmath.mpf(1) / 2),
        (demicube(5), 1920, lambda: mpmath.mpf(1) / 5),
        (cell_600(), 14400, lambda: (1 + mpmath.sqrt(5)) / 4),
        (np.hstack([np.eye(4), -np.eye(4)]), 384, lambda: mpmath.mpf(0)),
    ],
)
def test_overdetermined_codes_are_proved_under_their_symmetry(W, order, cosine):
    result = existence(turned(W))
    assert result.proved and result.method == "intervals, symmetric" and result.symmetry == order
    with mpmath.workdps(80):
        assert inside(result, cosine())


def test_what_no_interval_proves_is_proved_exactly():
    """The icosahedron less a vertex: more contacts than unknowns, under its symmetry too."""
    result = existence(turned(icosahedron()[:, 1:]))
    assert result.proved and result.method == "exact Gram matrix" and result.contacts == 25
    with mpmath.workdps(80):
        assert inside(result, 1 / mpmath.sqrt(5))


def axes_of_the_cube() -> np.ndarray:
    """Three axes through faces and four through corners of the cube: 7 lines, |cosine| 1/sqrt 3."""
    corners = np.array([[1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]]).T / 3.0**0.5
    return np.hstack([np.eye(3), corners])


def axes_of_the_icosahedron() -> np.ndarray:
    W = icosahedron()
    return W[:, [i for i in range(12) if all(W[:, i] @ W[:, j] > -0.9 for j in range(i))]]


@pytest.mark.parametrize(
    "W, value",
    [
        (axes_of_the_icosahedron(), lambda: 1 / mpmath.sqrt(5)),
        (axes_of_the_cube(), lambda: 1 / mpmath.sqrt(3)),
        (polygon(8)[:, :4], lambda: mpmath.cos(mpmath.pi / 4)),
        (np.eye(4), lambda: mpmath.mpf(0)),
    ],
)
def test_lines(W, value):
    signs = np.where(np.arange(W.shape[1]) % 2, -1.0, 1.0)  # a line has no sign
    result = existence(turned(W) * signs, criterion="lines")
    assert result.proved
    with mpmath.workdps(80):
        assert inside(result, value())


def test_lines_that_are_no_code_are_refused():
    W = axes_of_the_icosahedron()
    W[:, 0] = W[:, 0] + 0.05 * np.ones(3)
    assert not existence(W, criterion="lines").proved


def test_flexible_codes_say_so():
    result = existence(cube(3))
    assert result.proved and result.flexes == 2 and "family" in result.sentence
    assert existence(simplex(4)).flexes == 0


def test_a_wrong_contact_graph_is_not_proved():
    """Negative control: one contact too many, one too few, one swapped.

    With one too few there is a family: the optimum's stresses are positive, so the missing pair
    comes apart exactly where the others come closer. What is proved then is a code nearby that is
    worse, and its enclosure says so.
    """
    W = found(13)
    graph = contact_graph(W, 1e-9)
    right = existence(W, graph.pairs)
    assert right.proved
    C = W.T @ W - 2 * np.eye(13)
    C[graph.pairs[:, 0], graph.pairs[:, 1]] = C[graph.pairs[:, 1], graph.pairs[:, 0]] = -1.0
    extra = np.array(np.unravel_index(np.argmax(C), C.shape))
    assert not existence(W, np.vstack([graph.pairs, extra])).proved
    for k in (0, 5, 23):
        less = np.delete(graph.pairs, k, axis=0)
        fewer = existence(W, less)
        assert not fewer.proved or fewer.enclosure[0] > right.enclosure[1]
        assert not existence(W, np.vstack([less, extra])).proved


def test_the_exact_route_looks_at_the_contacts_too():
    """Negative control: the right vectors, the wrong graph, where only the Gram matrix proves."""
    W = icosahedron()[:, 1:]
    pairs = contact_graph(W, 1e-9).pairs
    assert existence(W, pairs).method == "exact Gram matrix"
    assert not existence(W, pairs[1:]).proved
    far = np.argwhere(np.triu(W.T @ W < -0.9))[:1]
    assert not existence(W, np.vstack([pairs, far])).proved


def unclear(found):
    """Whether the answer says that contacts are unclear, or that nothing is jammed."""
    reasons = ("contacts differ by", "every vector can move")
    return found.status == "unsettled" and found.sentence.startswith(reasons)


def test_rough_and_random_codes_are_not_proved():
    rng = np.random.default_rng(0)
    W = found(13) + 1e-5 * rng.normal(size=(3, 13))
    assert unclear(existence(W))
    assert existence(W, tolerance=1e-3).proved  # the equations polish it, and it stays near
    far = found(13) + 1e-2 * rng.normal(size=(3, 13))
    assert not existence(far, contact_graph(found(13), 1e-9).pairs).proved
    assert unclear(existence(rng.normal(size=(3, 9))))
    assert "polish" in existence(found(13) + 1e-10 * rng.normal(size=(3, 13))).sentence


def test_the_krawczyk_test_refuses_equations_without_a_solution():
    """x . x = 1 and x . x = t, with t asked for twice: consistent only with a third one wrong."""
    one = np.eye(1)
    good = Equations((1,), (Form(0, 0, 0, one), Form(0, 0, 1, one)), np.array([1.0, 1.0]))
    assert good.prove(200) is not None
    far = Equations((1,), good.forms, np.array([0.5, 1.0]))  # a solution, but not near
    assert far.prove(200) is None
    double = Equations((1,), (*good.forms, Form(0, 0, 1, 2.0 * one)), good.start)
    assert not double.independent and double.prove(200) is None


def test_newton_reaches_the_digits_asked_for():
    core = contact_graph(found(7), 1e-9)
    held = np.zeros((7, 7), dtype=bool)
    held[core.pairs[:, 0], core.pairs[:, 1]] = held[core.pairs[:, 1], core.pairs[:, 0]] = True
    system = plain_model(found(7), held, False).equations
    _, left = system.refine(1000)
    assert float(left.log()) < -600  # 10^-300 is e^-690
    # the Jacobian against differences
    y = system.polished
    step = 1e-6 * np.random.default_rng(0).normal(size=y.size)
    change = system.residual(y + step) - system.residual(y - step)
    np.testing.assert_allclose(change, 2.0 * system.jacobian(y) @ step, atol=1e-15)


def test_generators_make_the_whole_group_and_wrong_ones_are_refused():
    W = icosahedron()
    order, moves = generators(W, 1e-9)
    assert order == 120
    C = W.T @ W
    assert all(np.allclose(C[np.ix_(g, g)], C) for g in moves)
    action = Action(12, tuple(moves))
    assert action.representatives == (0,) and len(np.unique(action.pairs)) == 4
    for j, (a, g) in enumerate(action.carried):
        assert g[a] == j
    touches = np.abs(C - 5.0**-0.5) < 1e-9
    assert reduce(W, touches, moves, 200) is not None
    less = np.array(touches)
    less[0, :] = less[:, 0] = False  # contacts that the group does not keep
    assert reduce(W, less, moves, 200) is None
    swap = np.arange(12)
    swap[[0, 1]] = swap[[1, 0]]  # no symmetry
    assert reduce(W, touches, [*moves, swap], 200) is None


def test_symmetry_is_none_where_there_is_none():
    W = found(13) + 0.0
    W[:, 0] += 1e-3
    W = W / np.linalg.norm(W, axis=0)
    held = np.zeros((13, 13), dtype=bool)
    held[0, 1] = held[1, 0] = True
    assert symmetric_model(W, held, False, 200, 1e-9) is None


def test_small_cases_and_json():
    assert existence([[1.0, -1.0]]).proved
    assert existence(polygon(5)).proved
    assert set(existence(simplex(3)).to_dict()) >= {"status", "sentence", "cosine", "contacts"}
    assert existence(Arrangement.from_weights(3.0 * simplex(3))).proved  # norms play no role


@pytest.mark.parametrize(
    "call",
    [
        lambda: existence([[1.0]]),
        lambda: existence([[1.0, 0.0]]),
        lambda: existence(simplex(3), digits=5),
        lambda: existence(simplex(3), tolerance=0.0),
        lambda: existence(simplex(3), [[0, 9]]),
        lambda: existence(simplex(3), [[1, 1]]),
        lambda: existence(simplex(3), [0.5]),
    ],
)
def test_bad_input_is_one_sentence(call):
    with pytest.raises(BadInput) as error:
        call()
    assert "\n" not in str(error.value)
