"""Surplus: who has arrived, what a gap is, and what is said of it when the models change.

Models are made, not trained: the named arrangement turned, relabelled and disturbed, or another
one. `theory.optimum` is asked nowhere (a search takes seconds): what it would say is put in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")

from scipy.stats import binom, hypergeom
from trained import model_of

from packing.catalogue import entry
from packing.errors import BadInput
from studies import ledger, registry, surplus, tables
from studies.claims import ALPHA, Book, Stated
from studies.registry import load, parse
from studies.surplus import KICKS, REACH, Tally, difference, draw, returns, tally, target
from theory.losses.expected import loss
from validate.experiments import Recipe, Run, Setting
from validate.predict import Model, Sample
from validate.statistics import share
from validate.store import Store
from validate.suites import Suite

HEAD = """
title = "t"
about = "a"
minutes = 1
needs = "a CPU"

[recipe]
steps = 10
"""

PLAIN = Setting(n=10, d=4, S=0.05)
EVEN = Setting(n=10, d=4, S=0.05, law="uniform")


@pytest.fixture(autouse=True)
def search(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What theory.optimum would answer: nothing better than is known, unless a test says so."""
    answer = SimpleNamespace(loss=np.inf, name="found", status="numerical")
    monkeypatch.setattr(surplus, "truth", lambda setting: answer)
    surplus._target.cache_clear()
    return answer


def suite_of(by: Sequence[str], *cells: tuple[float, int, str], law: str = "binary") -> Suite:
    """Cells (S, runs, recipe) at (10, 4), and statements."""
    text = HEAD
    for i, (S, runs, recipe) in enumerate(cells):
        text += (
            f'\n[[cell]]\nname = "{i}"\nn = 10\nd = 4\nS = {S}\nlaw = "{law}"\nseed = {1000 * i}\n'
        )
        text += f"runs = {runs}\nrecipe = {{ {recipe} }}\n"
    for i, one in enumerate(by):
        text += f'\n[[statement]]\nid = "{i}"\ntext = "said"\nby = "{one}"\n'
    return parse(text, "made")


def near_it(run: Run, noise: float = 3e-3) -> Model:
    """The named arrangement as training leaves it: turned, relabelled, a little off."""
    rng, aim = np.random.default_rng(run.seed), target(run.setting)
    turn = np.linalg.qr(rng.standard_normal((run.setting.d, run.setting.d)))[0]
    order = rng.permutation(run.setting.n)
    W = turn @ aim.W[:, order] + noise * rng.standard_normal(aim.W.shape)
    return model_of(run, W, aim.b[order], aim.name)


def elsewhere(run: Run) -> Model:
    """Four antipodal pairs and two ignored features."""
    W = np.zeros((4, 10))
    for k in range(4):
        W[k, 2 * k : 2 * k + 2] = (1.0, -1.0)
    return model_of(run, W, np.append(np.zeros(8), run.setting.features.mean[:2]), "4 digon")


def models_of(suite: Suite, hits: Sequence[float], noise: float = 3e-3) -> list[Model]:
    """Of each cell the first part of the runs arrives."""
    found = []
    for cell, part in zip(suite.cells, hits, strict=True):
        wanted = round(part * len(cell.runs))
        found += [near_it(run, noise) for run in cell.runs[:wanted]]
        found += [elsewhere(run) for run in cell.runs[wanted:]]
    return found


def verdicts(suite: Suite, models: list[Model]) -> list[str]:
    return [one.verdict for one in ledger.state(suite, models)]


def measured(one: Stated) -> dict[str, tuple[float, float, float]]:
    """Value and interval of every measurement by its name; none of them is judged."""
    assert one.verdict == "" and not one.parts
    found = {x.name: (x.value, *(x.interval or (x.value, x.value))) for x in one.measured}
    assert all(low <= value <= high for value, low, high in found.values())
    for x in one.measured:
        assert f"{x.name}: {x}" in one.trained
    return found


# --- what theory has ------------------------------------------------------------------------------


@pytest.mark.parametrize(("setting", "name"), [(PLAIN, "doubled 5-cell"), (EVEN, "Petersen code")])
def test_the_target_is_the_better_arrangement_at_its_best_norm_and_bias(setting, name):
    aim = target(setting)
    assert aim.name == name and aim.wins and aim.best == name
    # another route: the loss of the weights themselves, and of weights nearby
    at = loss(aim.W, aim.b, features=setting.features).total
    assert at == pytest.approx(aim.loss, rel=1e-9)
    for scale, shift in ((1.01, 0.0), (0.99, 0.0), (1.0, 0.01), (1.0, -0.01)):
        assert loss(scale * aim.W, aim.b + shift, features=setting.features).total > at


def test_what_a_search_finds_lower_is_the_best_known(search):
    right = target(PLAIN)
    surplus._target.cache_clear()
    search.loss, search.name = 0.9 * right.loss, "irregular"
    aim = target(PLAIN)
    assert not aim.wins and aim.best == "irregular" and aim.known == 0.9 * right.loss
    assert aim.loss == right.loss and aim.status == "numerical"


def test_where_blocks_win_theory_says_so():
    # docs/phases.md: above S = 0.2, binary, four uneven pairs cost less than the doubled 5-cell
    aim = target(Setting(n=10, d=4, S=0.2))
    assert not aim.wins and aim.best == "4 uneven digon + 2 ignored"


def test_large_ones_are_not_searched(monkeypatch):
    def never(setting):
        raise AssertionError("asked for the optimum of a hundred features")

    monkeypatch.setattr(surplus, "truth", never)
    aim = target(Setting(n=100, d=22, S=0.05, law="uniform"))
    assert aim.wins and aim.name == "Higman-Sims code" and aim.status == "unsettled"
    C = aim.W.T @ aim.W / np.sum(aim.W[:, 0] ** 2)
    # srg(100, 22, 0, 6): 22 and 77 others at cosines -4/11 and 1/11 (theory.md, 4)
    assert np.allclose(np.sort(np.unique(C.round(9))), [-4 / 11, 1 / 11, 1.0])
    assert (C < 0).sum() == 2200


def test_settings_that_nothing_fits_are_refused():
    with pytest.raises(BadInput, match=r"no arrangement of 11 vectors in R\^4"):
        target(Setting(n=11, d=4, S=0.1))
    with pytest.raises(BadInput, match="equal features"):
        target(Setting(n=10, d=4, S=0.1, importance=tuple([1.0] * 10)))


# --- what came of the models ----------------------------------------------------------------------


def test_a_tally_counts_who_arrived():
    suite = suite_of(["surplus known"], (0.05, 40, ""))
    models = models_of(suite, [0.35])
    one = tally(suite.cells[0], Sample(tuple(models), 1))
    assert one.reached.tolist() == [True] * 14 + [False] * 26
    assert np.all(one.gap[one.reached] > 0.0) and one.gap[one.reached].max() < 1e-3
    assert not one.below.any()
    W, b = models[-1][0].W, models[-1][0].b
    by_hand = loss(W, b, features=PLAIN.features).total / one.target.loss - 1.0
    assert one.gap[-1] == pytest.approx(by_hand)
    # Clopper and Pearson by their definition: at its ends the count is just that unlikely
    assert binom.sf(13, 40, one.share.low) == pytest.approx(ALPHA / 2.0)
    assert binom.cdf(14, 40, one.share.high) == pytest.approx(ALPHA / 2.0)


def test_the_other_arrangement_has_not_arrived():
    suite = suite_of(["surplus known"], (0.05, 2, ""))
    aim, other = target(PLAIN), entry("Petersen code").vectors
    for W, there in ((aim.W, True), (np.linalg.norm(aim.W[:, 0]) * other, False)):
        models = [model_of(run, W, aim.b) for run in suite.runs]
        one = tally(suite.cells[0], Sample(tuple(models), 1))
        assert one.reached.tolist() == [there, there]
    noisy = [near_it(run, 0.02) for run in suite.runs]  # as a constant rate leaves it
    assert tally(suite.cells[0], Sample(tuple(noisy), 1)).reached.all()


def test_a_model_below_is_seen(search):
    suite = suite_of(["surplus known"], (0.05, 8, ""))
    models = models_of(suite, [1.0])
    assert verdicts(suite, models) == ["holds"]
    aim = target(PLAIN)
    held = surplus._target
    try:  # as if the named arrangement cost a tenth more than it does
        surplus._target = lambda setting: replace(aim, loss=1.1 * aim.loss, known=1.1 * aim.known)
        (one,) = ledger.state(suite, models)
    finally:
        surplus._target = held
    assert one.verdict == "undecided" and "Trained models lie below" in one.note


def test_theory_alone_does_not_settle_what_is_best_known(search):
    suite = suite_of(["surplus known"], (0.05, 8, ""))
    models = models_of(suite, [1.0])
    search.loss, search.name = 0.98 * target(PLAIN).loss, "irregular"
    surplus._target.cache_clear()
    assert verdicts(suite, models) == ["undecided"]  # no trained model is as low


# --- statements -----------------------------------------------------------------------------------


def test_shares_are_measured_and_not_judged():
    by = ["surplus reached", "surplus apart", "surplus together"]
    suite = suite_of(by, (0.05, 48, ""), (0.1, 48, ""))
    reached, apart, together = (
        measured(one) for one in ledger.state(suite, models_of(suite, [1.0, 0.25]))
    )
    every, some = share(48, 48, ALPHA), share(12, 48, ALPHA)
    assert reached == {
        "10 in 4, S = 0.05": (1.0, every.low, 1.0),
        "10 in 4, S = 0.1": (0.25, some.low, some.high),
    }
    both = share(60, 96, ALPHA)
    name = "10 in 4, doubled 5-cell, 96 runs"
    assert together[name] == (60 / 96, both.low, both.high)
    assert 0.0 < together[f"{name}, gap of the best"][0] < 0.1
    # all runs that ended elsewhere are the same four pairs: least and median gap agree
    there = loss(*_pairs(0.1), features=Setting(n=10, d=4, S=0.1).features).total
    gap = 100.0 * (there / target(Setting(n=10, d=4, S=0.1)).known - 1.0)
    assert set(apart) == {f"10 in 4, S = 0.1, 36 runs, {one} gap" for one in ("least", "median")}
    for ends in apart.values():
        assert ends == pytest.approx((gap, gap, gap))
    none = [measured(one) for one in ledger.state(suite, models_of(suite, [0.0, 0.0]))]
    assert none[0]["10 in 4, S = 0.05"] == (0.0, 0.0, share(0, 48, ALPHA).high)
    with pytest.raises(BadInput, match="no cells with uniform values"):
        ledger.state(suite_of(["surplus known, uniform"], (0.05, 8, "")), models_of(suite, [1, 1]))


def _pairs(S: float) -> tuple[np.ndarray, np.ndarray]:
    model = elsewhere(Run(Setting(n=10, d=4, S=S), Recipe(steps=10), 0))
    return model[0].W, model[0].b


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("surplus batch", ("batch = 64", "batch = 1024")),
        ("surplus rate", ("lr = 0.01", "lr = 0.1")),
        ("surplus longer", ("steps = 10", "steps = 100")),
    ],
)
def test_the_ends_of_a_line_of_recipes_are_measured(by, keys):
    suite = suite_of([by], *((0.05, 64, key) for key in keys))

    def difference_of(*parts: float) -> tuple[float, float, float]:
        (one,) = ledger.state(suite, models_of(suite, parts))
        low, high, less = measured(one).values()
        assert low[0] == pytest.approx(round(64 * parts[0]) / 64)
        assert high[0] - low[0] == pytest.approx(less[0])
        return less

    assert difference_of(0.2, 0.9)[1] > 0.0
    assert difference_of(0.9, 0.2)[2] < 0.0
    value, low, high = difference_of(0.4, 0.5)
    assert low < 0.0 < value < high


def test_a_recipe_is_compared_with_its_own_kind_only():
    suite = suite_of(["surplus batch"], (0.05, 8, ""), (0.05, 8, "batch = 64, lr = 0.1"))
    with pytest.raises(BadInput, match="varies no batch"):
        ledger.state(suite, models_of(suite, [1.0, 1.0]))


def test_a_constant_rate_arrives_and_stops_above():
    suite = suite_of(["surplus schedule"], (0.05, 104, ""), (0.05, 104, 'schedule = "constant"'))
    still = models_of(suite, [1.0, 1.0], 1e-3)
    noisy = models_of(suite, [1.0, 1.0], 0.02)
    (one,) = ledger.state(suite, [*still[:104], *noisy[104:]])
    found = measured(one)
    less, falling, constant = (
        found[f"10 in 4, S = 0.05, {name}"]
        for name in ("constant less cosine", "cosine, median gap", "constant, median gap")
    )
    assert less[0] == 0.0 and less[1] > -0.3
    assert falling[2] < 0.05 and constant[1] > 0.2
    (alike,) = ledger.state(suite, still)  # nothing left above
    assert measured(alike)["10 in 4, S = 0.05, constant, median gap"][2] < 0.05
    (fewer,) = ledger.state(suite, models_of(suite, [1.0, 0.2], 1e-3))
    assert measured(fewer)["10 in 4, S = 0.05, constant less cosine"][2] < -0.3


def test_two_shares_are_told_apart_by_what_chance_would_do():
    suite = suite_of(["surplus batch"], (0.05, 40, ""), (0.05, 40, "batch = 64"))
    tallies = surplus.tallies(Book(suite, models_of(suite, [0.5, 0.5])), "binary")

    def less(*hits: int) -> tuple[bool, bool]:
        one, other = (
            replace(t, reached=np.arange(40) < k) for t, k in zip(tallies, hits, strict=True)
        )
        assert isinstance(one, Tally) and isinstance(other, Tally)
        found = difference(one.share, other.share)
        return found.low > 0.0, found.high < 0.0

    # hypergeometric by hand: given 40 hits in 80 runs, the chance of 28 or more in the first 40
    tail = 2.0 * hypergeom.sf(27, 80, 40, 40)
    assert (tail > ALPHA) and 2.0 * hypergeom.sf(30, 80, 40, 40) < ALPHA
    assert less(28, 12) == (False, False)
    assert less(31, 9) == (True, False) and less(9, 31) == (False, True)
    assert less(20, 20) == (False, False)


def test_the_interval_of_a_difference_covers_it():
    rng, wide = np.random.default_rng(2), 0.05
    for p, q in ((0.5, 0.4), (0.05, 0.1), (0.9, 0.9)):
        ends = [
            difference(share(int(a), 64, wide), share(int(b), 64, wide))
            for a, b in zip(rng.binomial(64, p, 400), rng.binomial(64, q, 400), strict=True)
        ]
        assert np.mean([e.low <= p - q <= e.high for e in ends]) > 0.94
        assert np.mean([e.low <= p - q + 0.4 <= e.high for e in ends]) < 0.1  # a wrong one


def test_a_minimum_takes_a_kicked_model_back_and_a_saddle_does_not():
    gap, off = returns(Setting(n=5, d=2, S=0.05), 0.1)
    assert abs(gap) < 1e-6 and off < 1e-2
    # the hexagon is no minimum at S = 0.3: fewer features are represented there (docs/phases.md)
    gap, off = returns(Setting(n=6, d=2, S=0.3), 0.1)
    assert gap < -1e-2 and off > REACH


def test_what_comes_back_is_said_of_each_noise(monkeypatch):
    """A lower place elsewhere and a higher one are both told, and neither is called a return."""
    suite = suite_of(["surplus returns"], (0.05, 8, ""))
    ends = {0.1: (0.0, 0.0), 0.3: (0.006, 0.3), 1.0: (-0.005, 0.4)}
    assert tuple(ends) == KICKS
    monkeypatch.setattr(surplus, "returns", lambda s, kick: ends[kick])
    (one,) = ledger.state(suite, models_of(suite, [1.0]))
    found = measured(one)
    for kick, (gap, off) in ends.items():
        name = f"doubled 5-cell, 10 in 4, S = 0.05, noise {kick:g}"
        assert found[f"{name}, gap"][0] == 100.0 * gap and found[f"{name}, distance"][0] == off


def test_a_measurement_has_no_verdict_anywhere():
    suite = suite_of(["surplus known", "surplus reached"], (0.05, 8, ""))
    found = ledger.state(suite, models_of(suite, [1.0]))
    (ledgers,) = suite.extensions
    judged, told = ledgers.values(found)
    assert (judged["verdict"], judged["measured"]) == ("holds", [])
    assert told["verdict"] is None and told["measured"][0]["interval"][1] == 1.0
    page = "".join(ledgers.section(suite, found, {}))
    assert page.count('<p class="') == 1 and "10 in 4, S = 0.05: 1 [" in page


# --- what is declared, printed and drawn ----------------------------------------------------------


@pytest.mark.parametrize("name", ["surplus", "surplus-large"])
def test_declared_cells_change_one_thing_at_a_time(name):
    suite = load(name)
    ledger.check(suite.extra["statement"])
    first: dict[Setting, Recipe] = {}
    for cell in suite.cells:
        base = first.setdefault(cell.setting, cell.recipe)
        keys = [f.name for f in fields(Recipe)]
        changed = [k for k in keys if getattr(base, k) != getattr(cell.recipe, k)]
        assert len(changed) == (0 if base is cell.recipe else 1), cell.name
    laws = {cell.setting.law for cell in suite.cells}
    for one in suite.extra["statement"]:
        assert ("uniform" if one.by.endswith(", uniform") else "binary") in laws


def test_the_table_and_the_picture_show_every_cell(tmp_path: Path, monkeypatch, capsys):
    suite = suite_of(["surplus known"], (0.05, 12, ""), (0.05, 12, "batch = 64"))
    monkeypatch.setattr(registry, "load", lambda name: suite)
    with pytest.raises(BadInput, match="run python -m studies surplus"):
        tables.read(tmp_path, "surplus")
    models = models_of(suite, [0.25, 0.75])
    with Store(tmp_path / "store.sqlite") as store:
        store.add(store.begin("made", suite.hash, "cpu"), models)
    image = tmp_path / "found.png"
    assert tables.main(["surplus", str(tmp_path), "--plot", str(image)]) == 0
    said = capsys.readouterr()
    assert "3 of 12" in said.out and "9 of 12" in said.out and "0.05 (0.95), binary" in said.out
    assert "models: 24" in said.err and "below the best known: none" in said.err
    assert image.read_bytes().startswith(b"\x89PNG")
    assert tables.main(["surplus", str(tmp_path / "none")]) == 2
    found = surplus.tallies(Book(suite, models), "binary")
    left, right = draw(found).axes
    dots = [len(line.get_xdata()) for line in left.lines if line.get_marker() in (".", "o")]
    assert dots == [3, 9, 9, 3] and len(right.lines) == 4
