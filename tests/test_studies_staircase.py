"""The staircase: predictions against weights, shares with their controls, a step by factors."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from trained import model_of

from packing.errors import BadInput
from studies import ledger, staircase, tables
from studies.claims import Book
from studies.registry import load, parse
from studies.staircase import dimensionality, in_blocks, landed, on_level, places, rows_of, stairs
from theory.losses.expected import loss
from theory.mixtures import staircase as theory_staircase
from theory.mixtures.gaussian_limit import many_features
from validate import predict
from validate.experiments import Recipe, Run, Setting
from validate.measurement import measure_trained
from validate.predict import Model
from validate.runner import run_suite
from validate.sampling import Chunk, Feed, form_of
from validate.store import Store
from validate.suites import Suite
from validate.training import step as engine
from validate.training import trainer as train

CPU = torch.device("cpu")
SHORT = Recipe(steps=12, batch=96, dtype="float64", lr=0.05)


# --- a step by factors ----------------------------------------------------------------------------


def stacks(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> tuple[engine.Stack, engine.Stack]:
    """The same models, to be stepped by the Gram matrix and by the factors."""
    columns = form_of(runs[0].setting, runs[0].recipe, "cpu").columns
    found = []
    for way in (False, True):
        with monkeypatch.context() as patch:
            patch.setattr(engine, "factored", lambda n, d, way=way: way)
            found.append(engine.Stack(runs, columns, CPU))
    assert (found[0].factored, found[1].factored) == (False, True)
    return found[0], found[1]


def chunk_of(runs: list[Run]) -> Chunk:
    return Feed(runs, form_of(runs[0].setting, runs[0].recipe, "cpu"), CPU).draw()


SETTINGS = [
    Setting(70, 6, 0.05, "uniform"),
    Setting(70, 6, 0.6, "exponential", importance=tuple(np.linspace(0.0, 2.0, 70).tolist())),
    Setting(7, 2, 0.2, "binary"),  # patterns, with weights
    Setting(70, 6, 0.05, "uniform", bias=False),
    Setting(70, 6, 0.05, "binary", relu=False),
    Setting(40, 39, 0.3, "uniform"),
]


@pytest.mark.parametrize(
    "setting", SETTINGS, ids=lambda s: f"{s.n}-{s.d}-{s.law}-{s.bias}-{s.relu}"
)
def test_both_ways_make_the_same_step(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [Run(setting, SHORT, seed) for seed in range(3)]
    gram, factors = stacks(runs, monkeypatch)
    chunk = chunk_of(runs)
    for t in range(4):
        step = t % max(chunk.x.shape[1], 1)
        one, two = (stack.step(chunk, step, t, True) for stack in (gram, factors))
        assert one is not None and two is not None
        np.testing.assert_allclose(two, one, rtol=1e-12)
        np.testing.assert_allclose(factors.gradient, gram.gradient, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(factors.weights(), gram.weights(), rtol=1e-9, atol=1e-11)
    if not setting.bias:
        assert not factors.b.any()
    # Control: a step in float32 is another one, by far more than that.
    short = [Run(setting, replace(SHORT, dtype="float32"), seed) for seed in range(3)]
    low = stacks(short, monkeypatch)[1]
    low.step(chunk_of(short), 0, 0, False)
    assert not np.allclose(low.gradient.double(), factors.gradient, rtol=1e-9, atol=1e-12)


def test_the_gradient_by_factors_is_that_of_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(Setting(9, 3, 0.3, "uniform", importance=tuple(range(1, 10))), SHORT, 0)
    stack, chunk = stacks([run], monkeypatch)[1], chunk_of([run])
    start = stack.weights()[0]
    x = chunk.x[0, 0].numpy()
    off = 0.0 if chunk.off is None else float(chunk.off[0, 0])

    def cost(theta: np.ndarray) -> float:
        W, b = theta[:27].reshape(3, 9), theta[27:]
        there = x[9] == 1.0
        z = np.maximum(W.T @ (W @ x[:9, there]) + b[:, None], 0.0)
        I = run.setting.features.importance
        empty = off * float(I @ np.maximum(b, 0.0) ** 2)
        return (float(np.sum(I @ (x[:9, there] - z) ** 2)) + empty) / run.recipe.batch

    h, slopes = 1e-6, np.empty(start.size)
    for i in range(start.size):
        move = h * (np.arange(start.size) == i)
        slopes[i] = (cost(start + move) - cost(start - move)) / (2.0 * h)
    stack.step(chunk, 0, 0, False)
    found = stack.gradient[0, : start.size].numpy()
    np.testing.assert_allclose(found, slopes, atol=2e-7 * np.abs(slopes).max())
    # Control: without the way through h the gradient by W is another one, by a third or more.
    half = stacks([run], monkeypatch)[1]
    monkeypatch.setattr(half.grad_W.__class__, "baddbmm_", lambda self, *_: self)
    half.step(chunk, 0, 0, False)
    dropped = half.gradient[0, : start.size].numpy()
    assert np.abs(dropped - slopes).max() > 0.1 * np.abs(slopes).max()


def test_the_way_depends_on_n_and_d_alone() -> None:
    assert engine.factored(400, 30) and engine.factored(64, 6)
    assert not engine.factored(24, 4) and not engine.factored(100, 30)
    for S, batch, law in ((0.5, 64, "uniform"), (0.01, 4096, "binary")):
        run = Run(Setting(400, 30, S, law), Recipe(5, batch=batch), 0)
        assert engine.Stack([run], 16, CPU).factored


@pytest.mark.parametrize(("n", "d", "steps", "seeds"), [(64, 6, 24, 6), (400, 30, 5, 2)])
def test_by_factors_company_does_not_matter(n: int, d: int, steps: int, seeds: int) -> None:
    recipe = Recipe(steps=steps, batch=96)
    runs = [Run(Setting(n, d, S, "uniform"), recipe, k) for S in (0.1, 0.2) for k in range(seeds)]
    whole = train.train_batch(runs, device="cpu", engine="torch")
    for k in range(0, len(runs), seeds - 1):
        alone = train.train_batch([runs[k]], device="cpu", engine="torch")[0]
        assert alone.W.tobytes() == whole[k].W.tobytes()
        assert alone.b.tobytes() == whole[k].b.tobytes()
        assert alone.curve.tobytes() == whole[k].curve.tobytes()
    turned = train.train_batch(runs[::-1], device="cpu", engine="torch")[::-1]
    assert all(a.W.tobytes() == b.W.tobytes() for a, b in zip(turned, whole, strict=True))
    assert whole[0].W.tobytes() != whole[1].W.tobytes()


# --- what theory says -----------------------------------------------------------------------------


@pytest.mark.parametrize("S", [0.4, 0.12])
def test_the_mixture_is_the_loss_of_its_weights(S: float, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Setting(64, 6, S, "uniform")
    staircase._HELD.clear()
    stair = stairs(64, 6, [S], "uniform")[0]
    W, b = predict.mixed(setting, stair.name)
    found = loss(W, b, features=setting.features)
    assert found.total == pytest.approx(stair.loss, rel=1e-7)
    assert 6 / float(np.sum(W**2)) == pytest.approx(stair.D_star, rel=1e-9)
    live = np.linalg.norm(W, axis=0) > 0.0
    levels = np.concatenate([np.full(k, D) for D, k in stair.levels])
    np.testing.assert_allclose(np.sort(dimensionality(W[:, live])), np.sort(levels), atol=1e-9)
    assert in_blocks(W[:, live], rows_of(stair.name, "uniform")) == 1.0
    # Controls: other norms cost more, and other biases too.
    assert loss(1.05 * W, b, features=setting.features).total > 1.001 * stair.loss
    assert loss(W, b + 0.05, features=setting.features).total > 1.001 * stair.loss
    monkeypatch.setattr(predict, "mixture_at", None)  # kept: it is not searched twice
    truth = predict.mixture(setting)
    assert truth.loss == stair.loss and math.isinf(truth.rounding) and truth.status == "unsettled"
    assert truth.represented == int(live.sum())


def test_many_features_take_the_best_number() -> None:
    stair = stairs(64, 6, [0.05], "uniform")[0]
    v = float(Setting(64, 6, 0.05, "uniform").features.variance[0])

    def cost(k: int) -> float:
        return k * many_features(k / 6, 0.05, "uniform").loss + (64 - k) * v

    k = stair.wide_count
    assert stair.wide_loss == pytest.approx(cost(k)) and 6 < k < 64
    assert cost(k) <= min(cost(k - 1), cost(k + 1))
    assert stair.wide_D_star == pytest.approx(many_features(k / 6, 0.05, "uniform").D_star)
    step = theory_staircase(64, 6, [0.05], "uniform")[0]
    assert (step.name, step.dimensionality) == (stair.name, stair.levels)
    assert 64 * step.loss == pytest.approx(stair.loss, rel=1e-9) and step.D_star == stair.D_star
    staircase._HELD.clear()
    assert stairs(64, 6, [0.05], "uniform")[0] == stair  # from the cache on disk


def test_where_nothing_is_lost() -> None:
    """Binary values that are always on are constants: biases do it all, without a vector."""
    stair = stairs(6, 2, [1.0], "binary")[0]
    assert stair.loss == 0.0 and math.isinf(stair.D_star) and math.isinf(stair.margin)


def test_d_i_alone_does_not_tell_pairs_from_a_tight_frame() -> None:
    rng = np.random.default_rng(0)
    digons = np.kron(np.eye(10), np.array([[1.0, -1.0]]))
    turn = np.linalg.qr(rng.standard_normal((10, 10)))[0]
    frame, row = staircase.tight(10, 20, rng), [((-1.0, 1),)]
    for W in (turn @ digons, frame):
        np.testing.assert_allclose(dimensionality(W), 0.5, atol=2e-3)
        assert on_level(dimensionality(W), [0.5]) == 1.0
    assert in_blocks(turn @ digons, row) == 1.0 and in_blocks(frame, row) == 0.0
    near = turn @ digons + 0.01 * rng.standard_normal((10, 20))
    assert in_blocks(near, row) == 1.0
    loose = staircase.gaussian(10, 20, rng)
    assert on_level(dimensionality(loose), [0.5]) < 0.3 and in_blocks(loose, row) == 0.0
    assert staircase.clusters(near) == ((2, 1, 10),)
    assert staircase.clusters(np.hstack([near, near[:, :1] + near[:, 2:3]])) == (
        (5, 2, 1),  # a sum of two joins their digons
        (2, 1, 8),
    )
    assert in_blocks(frame[:, :1], row) == 0.0 and on_level(np.zeros(0), [0.5]) == 0.0


def test_features_that_differ_are_refused() -> None:
    with pytest.raises(BadInput, match="equal S and importance"):
        predict.one_S(Setting(3, 2, 0.1, importance=(1, 2, 3)))
    with pytest.raises(BadInput, match="two norms"):
        predict.mixed(Setting(2, 1, 0.1), "uneven digon")


# --- from a suite to verdicts ---------------------------------------------------------------------

TEXT = """
title = "t"
about = "a"
minutes = 1
needs = "a CPU"

[recipe]
steps = 900
batch = 256

[[sweep]]
name = "stairs"
n = 24
d = 4
S = [0.12, 0.35, 0.4]
law = "uniform"
runs = 1
"""
IDS = ("loss", "undercut", "D*", "half", "blocks")


def made() -> Suite:
    text = TEXT
    for one in IDS:
        by = f"staircase {one}, uniform"
        text += f'\n[[statement]]\nid = "{one}"\ntext = "said"\nby = "{by}"\n'
    return parse(text, "made")


def laid_out(suite: Suite, swap: bool = False) -> list[Model]:
    """The mixtures themselves as trained models; with ``swap`` each at the next S."""
    runs = list(suite.runs)
    sources = runs[1:] + runs[:1] if swap else runs
    found = []
    for run, source in zip(runs, sources, strict=True):
        S = predict.one_S(source.setting)
        W, b = predict.mixed(source.setting, stairs(24, 4, [S], "uniform")[0].name)
        found.append(model_of(run, W, b))
    return found


def test_mixtures_pass_and_strangers_do_not() -> None:
    suite = made()
    models = laid_out(suite)
    found = {one.id: one for one in ledger.state(suite, models)}
    for name in ("loss", "undercut", "D*", "blocks"):
        assert found[name].verdict.startswith("holds"), (name, found[name].note)
    assert found["half"].verdict.startswith("holds only if S is from 0.35 to 0.4")
    assert found["blocks"].picture is not None and found["blocks"].picture[:4] == b"\x89PNG"
    # Control: at the next S's weights nothing holds, but for what is no claim on them.
    wrong = {one.id: one for one in ledger.state(suite, laid_out(suite, swap=True))}
    for name in ("loss", "D*", "half", "blocks"):
        assert not wrong[name].verdict.startswith("holds"), name
    # Control: predictions for binary values, or for 1 - S, are told apart.
    found_places = places(Book(suite, models), "uniform")
    cases = staircase.followed(Book(suite, models), "uniform").parts[1].cases
    assert cases and all(case.confirmed for case in cases)
    with pytest.raises(BadInput, match="one n and d under the binary law"):
        places(Book(suite, models), "binary")
    assert [place.stair.S for place in found_places] == [0.4, 0.35, 0.12]


def test_a_model_below_the_mixture_is_a_finding() -> None:
    """Theory's side turns, and only simulations confirm it."""
    suite = made()
    models = laid_out(suite)
    trained, measured = models[0]
    low = replace(measured, loss=0.9 * (measured.loss or 0.0))
    finding = staircase.undercut(Book(suite, [(trained, low), *models[1:]]), "uniform")
    case = next(case for case in finding.parts[0].cases if case.name == "S = 0.12")
    assert not case.theory and not case.confirmed  # its weights do not simulate so low
    right = staircase.undercut(Book(suite, models), "uniform")
    assert all(case.theory and case.confirmed for case in right.parts[0].cases)


def test_a_small_staircase_from_training_to_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = made()
    trained = train.train(suite.runs, device="cpu", engine="torch")
    models = [(one, measure_trained(one)) for one in trained]
    found = {one.id: one for one in ledger.state(suite, models)}
    assert set(found) == set(IDS) and "Gap to the mixture" in found["loss"].trained
    for model in models:
        one = landed(model)
        assert -0.05 < one.gap < 0.2 and one.loss == model[1].loss
        assert one.dimensionality.sum() <= 4.0 + 1e-9
        assert one.simulated == pytest.approx(one.loss, rel=0.1)
        noise = landed(
            (
                replace(model[0], W=0.5 * model[0].W),
                measure_trained(replace(model[0], W=0.5 * model[0].W)),
            )
        )
        assert noise.gap > one.gap + 0.05  # control: half the weights cost more
    (tmp_path / "made.toml").write_text(
        TEXT
        + "\n".join(
            f'[[statement]]\nid = "{one}"\ntext = "said"\nby = "staircase {one}, uniform"'
            for one in IDS
        )
    )
    again = load(tmp_path / "made.toml")
    with Store(tmp_path / "store.sqlite") as store:
        session = store.begin("made", again.hash, "here")
        store.add(session, models)
    picture = tmp_path / "s.png"
    call = [
        "staircase",
        str(tmp_path),
        "--suite",
        str(tmp_path / "made.toml"),
        "--plot",
        str(picture),
    ]
    assert tables.main(call) == 0
    printed = capsys.readouterr()
    assert printed.out.count("\n| 0.") == 3 and "gap: median" in printed.err
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert tables.main(["staircase", str(tmp_path / "none")]) == 2
    assert "run python -m studies staircase" in capsys.readouterr().err


def test_the_declared_suite_is_whole() -> None:
    suite = load("staircase")
    ledger.check(suite.extra["statement"])
    S = sorted({predict.one_S(cell.setting) for cell in suite.cells})
    assert S[0] == 0.03 and S[-1] == 1.0 and len(S) >= 20
    assert {(c.setting.n, c.setting.d, c.setting.law) for c in suite.cells} == {
        (400, 30, "uniform")
    }
    assert not suite.rules  # optima at (400, 30) are out of reach: statements alone judge


def test_a_suite_too_large_to_search_is_run_against_the_mixture(tmp_path: Path) -> None:
    text = TEXT.replace("n = 24\nd = 4", "n = 64\nd = 6").replace("steps = 900", "steps = 20")
    text = text.replace("[0.12, 0.35, 0.4]", "[0.35, 0.4]")
    text += '\n[[statement]]\nid = "a"\ntext = "said"\nby = "staircase loss, uniform"\n'
    report = run_suite(parse(text, "made"), out=tmp_path / "out", engine="torch")
    assert not report.defeats and report.judgement.extra["statement"][0].verdict == "undecided"
    assert "makes no checks" in report.advice, "nothing agrees where nothing was checked"
    truth = predict.truth(report.models[0][0].run.setting)
    assert truth.status == "unsettled" and math.isinf(truth.rounding)
    assert truth.name.startswith("6 digon")
