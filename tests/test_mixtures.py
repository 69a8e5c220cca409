"""Mixtures: float losses against closed forms, the programme against counting, ladders, the limit.

Tolerances were set before the runs: 1e-10 relative for losses, which is what the float path
promises; 1e-12 for the programme, sums of a few floats.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from packing.catalogue import entry
from packing.errors import BadInput
from packing.results import Evidence
from theory.features import Features
from theory.losses.expected import loss
from theory.mixtures import (
    best_mixture,
    block_loss,
    blocks,
    envelope,
    gains,
    mixture_at,
    mixture_ladder,
    mixture_losses,
    solve,
    surplus,
)
from theory.mixtures.block_losses import binary_minimum, uniform_minimum
from theory.mixtures.block_table import variance
from theory.mixtures.ladder import Screen
from theory.mixtures.mixture import CELLS, Group, _large, _table, best_among, losses, value
from theory.symmetric import closed_form, crossing, mixture

S = np.array([1e-4, 1e-3, 0.01, 0.05, 0.13, 0.3, 0.5, 0.7, 0.95])
SMALL = ["digon", "triangle", "pentagon", "heptagon", "Petersen code", "doubled 5-cell"]


def row(name: str) -> list[tuple[float, int]]:
    return [(c.value, m) for c, m in entry(name).rows[0][1]]


@pytest.mark.parametrize("law", ["binary", "uniform"])
@pytest.mark.parametrize("name", [*SMALL, "5-demicube"])
def test_block_losses_lie_in_the_closed_forms(name: str, law: str) -> None:
    found = block_loss(row(name), S, law)
    form = closed_form(name, law)
    for s, least in zip(S.tolist(), found.tolist(), strict=True):
        assert least == pytest.approx(float(form.minimum(s).loss.mid()), rel=1e-10)


@pytest.mark.parametrize(("name", "s"), [("Higman-Sims code", 0.05), ("GQ(4,16) code", 0.02)])
def test_large_binary_blocks(name: str, s: float) -> None:
    found = block_loss(row(name), [s])[0]
    assert found == pytest.approx(float(closed_form(name).minimum(s).loss.mid()), rel=1e-10)


@pytest.mark.parametrize("law", ["binary", "uniform"])
def test_the_minimiser_costs_what_is_said(law: str) -> None:
    """A second engine, theory.loss, at the norm and bias returned; and nearby it costs more."""
    V, s = entry("icosahedron").vectors, np.array([0.1])
    seen = [(c, m) for c, m in row("icosahedron")]
    found, rho, b = (binary_minimum if law == "binary" else uniform_minimum)(seen, s)

    def cost(r: float, bias: float) -> float:
        features = Features.of(12, 0.1, law)
        return loss(np.sqrt(r) * V, np.full(12, bias), features=features, rtol=1e-10).total / 12

    assert found[0] == pytest.approx(cost(rho[0], b[0]), rel=1e-8)
    assert cost(rho[0] * 1.05, b[0]) > found[0] < cost(rho[0], b[0] + 0.02)


def test_the_table_holds_what_was_asked_for() -> None:
    names = {block.name for block in blocks("binary")}
    assert {"digon", "24-cell", "600-cell", "Schlaefli code", "E7 56-code", "E8 roots"} <= names
    assert {"M22 code", "GQ(4,16) code", "doubled 5-cell", "uneven digon"} <= names
    assert not {"square", "octahedron", "16-cell"} & names  # they split into digons
    assert not any("uneven" in block.name for block in blocks("uniform"))


@pytest.mark.parametrize("s", [0.02, 0.1, 0.2, 0.45])
def test_uneven_digon_against_the_closed_form(s: float) -> None:
    from theory.symmetric import broken

    block = next(b for b in blocks("binary") if b.name == "uneven digon")
    exact = float(broken("digon").minimum(s).loss.mid())
    assert 2.0 * block.loss([s], "binary")[0] == pytest.approx(exact, rel=1e-10)


def counted(items: list[tuple[int, int, float]], d: int, n: int) -> float:
    """Every combination of counts."""
    ranges = [range(min(d // a, n // b) + 1) for a, b, _ in items]
    best = 0.0
    for k in itertools.product(*ranges):
        if sum(x * i[0] for x, i in zip(k, items, strict=True)) <= d and (
            sum(x * i[1] for x, i in zip(k, items, strict=True)) <= n
        ):
            best = max(best, value(items, k))
    return best


def test_the_programme_against_counting() -> None:
    rng = np.random.default_rng(1)
    for _ in range(40):
        items = [(1, 1, 0.5)]
        for _ in range(3):
            a = int(rng.integers(1, 5))
            items.append((a, a + int(rng.integers(1, 7)), float(a * rng.random() * 1.5)))
        d, n = int(rng.integers(2, 9)), int(rng.integers(4, 25))
        wanted = counted(items, d, n)
        assert value(items, solve(items, d, n)) == pytest.approx(wanted, rel=1e-12)
        assert value(items, _large(items, d, n)) == pytest.approx(wanted, rel=1e-12)


def test_large_programmes_against_dynamic_programming() -> None:
    rng = np.random.default_rng(2)
    for _ in range(60):
        items = [(1, 1, 0.5)]
        for _ in range(int(rng.integers(2, 12))):
            a = int(rng.integers(1, 12))
            items.append((a, a + int(rng.integers(1, 40)), float(a * rng.random() * 1.5)))
        d, n = int(rng.integers(10, 60)), int(rng.integers(20, 400))
        found = _large(items, d, n)
        assert sum(k * i[0] for k, i in zip(found, items, strict=True)) <= d
        assert sum(k * i[1] for k, i in zip(found, items, strict=True)) <= n
        assert min(found) >= 0
        wanted = value(items, _table(items, d, n))
        assert value(items, found) == pytest.approx(wanted, rel=1e-12)


def test_sets_are_listed_where_the_group_needs_negative_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Near a corner of the envelope; against dynamic programming, which must not be asked."""
    seen = []
    monkeypatch.setattr(Group, "listed", _counting(Group.listed, seen))
    items = [(1, 1, 1.0), (7, 27, 11.9), (21, 162, 43.0), (22, 275, 58.0), (6, 16, 8.9)]
    for d, n in ((220, 2700), (221, 2740), (150, 1130), (97, 1100), (43, 436)):
        wanted = value(items, _table(items, d, n))
        with monkeypatch.context() as patch:
            patch.setattr("theory.mixtures.mixture._table", _small_only)
            found = _large(items, d, n)
        assert value(items, found) == pytest.approx(wanted, rel=1e-12)
    assert any(seen)


def _counting(method: Any, seen: list[bool]) -> Any:
    def counted_(self: Group, *args: Any) -> Any:
        found = method(self, *args)
        seen.append(found is not None)
        return found

    return counted_


def _small_only(items: Any, d: int, n: int) -> list[int]:
    assert (d + 1) * (n + 1) <= CELLS  # the rest of a rounded solution, never the whole
    return _table(items, d, n)


def test_a_greedy_programme_would_fail() -> None:
    """Negative control: filling up with the best gain per dimension is not optimal."""
    items = [(2, 3, 3.1), (3, 5, 4.6), (1, 1, 1.0)]
    greedy = value(items, (1, 0, 1))
    assert value(items, solve(items, 3, 5)) > greedy


@pytest.mark.parametrize("law", ["binary", "uniform"])
def test_mixtures_and_names(law: str) -> None:
    found = mixture_at(7, 4, 0.1, law)
    assert found.name == " + ".join(
        [
            *(name if k == 1 else f"{k} {name}" for name, k in found.parts),
            *([f"{found.dedicated} dedicated"] if found.dedicated else []),
            *([f"{found.ignored} ignored"] if found.ignored else []),
        ]
    )
    assert found.d_used <= 4
    assert found.loss == pytest.approx(mixture_losses(found, np.array([0.1]))[0], rel=1e-12)
    assert found.loss < 3 * float(variance(np.array(0.1), law))
    assert mixture_at(3, 5, 0.1, law).name == "3 dedicated"


def test_the_ladder_of_two_features_in_one_dimension() -> None:
    """Against exact numbers: signs do not matter at 1/2, and the digon's takeovers."""
    found = mixture_ladder(2, 1)
    assert pytest.approx(0.5, abs=1e-9) == found.crossings[0].S
    for change in found.crossings:
        assert change.denser.name != change.sparser.name
    assert found.S_star == 1.0
    assert [phase.name for phase in found.phases] == [
        "parallel pair",
        "uneven digon",
        "digon",
        "uneven digon",
    ]


def test_ladder_rungs_are_crossings() -> None:
    found = mixture_ladder(6, 2, "uniform", exact=True)
    assert found.status == "complete"
    for change in found.crossings:
        at = np.array([change.S])
        gap = mixture_losses(change.denser, at) - mixture_losses(change.sparser, at)
        assert abs(gap[0]) < 1e-10 * change.loss
        if change.exact is not None:
            assert float(change.exact.low) - 1e-9 <= change.S <= float(change.exact.high) + 1e-9
    assert any(change.exact is not None for change in found.crossings)
    last = found.crossings[-1].S
    assert mixture_at(6, 2, 0.99 * last, "uniform").name == found.crossings[-1].sparser.name
    assert mixture_at(6, 2, 1.01 * last, "uniform").name == found.crossings[-1].denser.name


def test_trivial_and_bad_input() -> None:
    assert mixture_ladder(3, 4).S_star == 1.0
    with pytest.raises(BadInput, match="not a positive whole"):
        mixture_at(0, 1, 0.1)
    with pytest.raises(BadInput, match="no probabilities"):
        mixture_at(3, 1, 1.7)
    with pytest.raises(BadInput, match="unknown"):
        mixture_at(3, 1, 0.1, "gamma")
    with pytest.raises(BadInput, match=r"d/n"):
        envelope(1.5, 0.1)


def test_no_feature_on_is_a_limit() -> None:
    found = mixture_at(5, 2, 0.0)
    assert (found.S, found.loss) == (0.0, 0.0) and found.represented == 5
    assert found.name == mixture_at(5, 2, 1e-4).name
    assert block_loss(row("pentagon"), [0.0, 0.1])[0] == 0.0


def test_a_law_without_a_fast_path_is_answered_by_numbers() -> None:
    found = mixture_at(3, 1, 0.1, "exponential")
    assert "up to" in found.advice and "up to" not in mixture_at(3, 1, 0.1).advice
    assert found.evidence is Evidence.NUMERICAL
    form = closed_form("digon", "exponential").minimum(0.1)
    assert form.known == "numerical"
    least = block_loss(row("digon"), [0.1], "exponential")[0]
    assert least == pytest.approx(float(form.loss.mid()), rel=1e-5)
    assert found.loss <= 2.0 * least + float(variance(np.array(0.1), "exponential")) + 1e-12


@pytest.mark.parametrize("law", ["binary", "uniform"])
def test_pieces_are_the_losses(law: str) -> None:
    from theory.mixtures.ladder import Pieces

    at = np.geomspace(2e-4, 0.99, 40)
    for block in (b for b in blocks(law) if b.name in ("digon", "pentagon")):
        assert Pieces(block, law)(at) == pytest.approx(block.loss(at, law), rel=1e-8)


def test_rough_losses_are_good_enough_to_choose() -> None:
    at = np.geomspace(1e-3, 0.9, 12)
    for block in (b for b in blocks("uniform") if b.name in ("pentagon", "5-demicube", "E6 roots")):
        rough, exact = block.loss(at, "uniform", rough=True), block.loss(at, "uniform")
        assert np.max(np.abs(rough - exact) / variance(at, "uniform")) < 5e-3


@pytest.mark.parametrize("law", ["binary", "uniform"])
def test_screening_keeps_what_is_best(law: str) -> None:
    """Optimistic losses are not above the losses, and the full programme finds nothing else."""
    n, d = 900, 90
    table = tuple(b for b in blocks(law) if b.row)[::6]
    screen = Screen(n, d, table, law, 1e-3, 0.99)
    for s in (0.0023, 0.011, 0.06, 0.23, 0.6, 0.9):
        at = np.array([s])
        full = losses(table, at, law)[:, 0]
        v = float(variance(at, law)[0])
        assert np.all(screen.optimistic(s) <= full + 1e-4 * v)
        (known,), (near,) = screen.candidates([s], [()])
        best = best_among(n, d, s, law, table, full)
        assert {name for name, _ in best.parts} <= {block.name for block in near}
        assert min(m.loss for m in known) <= best.loss * 1.02


def test_a_known_solution_changes_nothing_but_the_time() -> None:
    items = [(1, 1, 0.5), (2, 5, 1.9), (3, 8, 2.7), (7, 19, 6.9)]
    plain = solve(items, 400, 1100)
    for known in ((0, 0, 0, 0), (400, 0, 0, 0), plain):
        again = solve(items, 400, 1100, known)
        assert value(items, again) == pytest.approx(value(items, plain), rel=1e-12)
    assert value(items, plain) == pytest.approx(value(items, _table(items, 400, 1100)), rel=1e-12)


def test_the_envelope_bounds_every_mixture() -> None:
    for d, n in ((30, 100), (7, 80)):
        names, per_feature = envelope(d / n, 0.1)
        assert names
        assert mixture_at(n, d, 0.1).loss >= n * per_feature * (1.0 - 1e-9)
        assert mixture_at(20 * n, 20 * d, 0.1).loss < 20 * n * per_feature * 1.01


def test_more_features_than_can_be_placed_are_ignored() -> None:
    """Nine or a billion in two dimensions: the same changes, the others ignored."""
    few, many = (mixture_ladder(n, 2, S_min=0.05) for n in (40, 10**9))
    assert [change.S for change in few.crossings] == pytest.approx(
        [change.S for change in many.crossings]
    )
    for one, other in zip(few.phases, many.phases, strict=True):
        assert one.parts == other.parts and one.ignored + 10**9 - 40 == other.ignored
        assert other.represented == one.represented and other.n == 10**9
        assert other.loss == pytest.approx(one.loss + (10**9 - 40) * one.S * (1 - one.S))
    at = many.crossings[0].S
    assert many.crossings[0].loss == pytest.approx(mixture_at(10**9, 2, at).loss, rel=1e-12)


def test_constant_inputs_have_no_pairs() -> None:
    at_one = mixture_at(3, 2, 1.0)  # a warning would be an error here
    assert at_one.loss == 0.0 and not at_one.parts


@pytest.mark.parametrize("law", ["binary", "uniform"])
def test_surplus_against_all_gains(law: str) -> None:
    """Rough losses choose what is asked; the best and its rivals are those of all in full."""
    found = surplus(law, S_min=0.6, points=5, within=0.002)
    grid = np.linspace(0.6, 0.99, 5)
    full = gains(grid, law)
    for phase in found:
        inside = (grid >= phase.low) & (grid <= phase.high)
        if not np.any(inside):
            continue
        own = full[phase.name][inside]
        lost = {name: float(np.min(1.0 - x[inside] / own)) for name, x in full.items()}
        assert min(lost.values()) > -1e-10
        del lost[phase.name]
        rivals = {name: x for name, x in lost.items() if x < 0.002}
        assert dict(phase.rivals) == pytest.approx(rivals, abs=1e-10)
        assert [x for _, x in phase.rivals] == sorted(x for _, x in phase.rivals)


def test_surplus_sequence_binary() -> None:
    found = surplus("binary", S_min=0.02, points=60)
    names = [phase.name for phase in found]
    for earlier, later in itertools.pairwise(
        ["triangle", "digon", "doubled 5-cell", "5-demicube", "M22 code", "Higman-Sims code"]
    ):
        assert names.index(earlier) < names.index(later)
    for above, below in itertools.pairwise(found):
        assert above.low == below.high
    # one transition by the other route: equal gains per dimension, in closed form
    at = next(p.low for p in found if p.name == "5-demicube")
    one, other = mixture(("5-demicube", 21)), mixture(("M22 code", 5), ignored=336 - 385 + 49)
    assert one.n == 336 and other.n == 385
    exact = crossing(
        mixture(("5-demicube", 21), ignored=49), other, at - 1e-4, at + 1e-4, digits=12
    )
    assert at == pytest.approx(float(exact), abs=1e-9)
    best = gains([at * 0.999], "binary")
    assert best["M22 code"][0] > best["5-demicube"][0]


def test_best_mixture_asks_as_the_other_verbs_do() -> None:
    features = Features.of(6, 0.08, "uniform")
    assert best_mixture(features, 2) == mixture_at(6, 2, 0.08, "uniform")
    weighted = Features.of(4, 0.2, "binary", (1.0, 0.9, 0.8, 0.7))
    assert best_mixture(weighted, 2) == mixture_at(4, 2, 0.2, "binary", (1.0, 0.9, 0.8, 0.7))
    with pytest.raises(BadInput, match="different values of S"):
        best_mixture(Features.of(2, (0.1, 0.2)), 1)
