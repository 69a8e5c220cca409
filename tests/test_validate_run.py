"""The runner: nothing finished is lost, and an interrupted run ends as an uninterrupted one does.

The kill test forks the runner, kills it with SIGKILL at ten random moments, resumes, and compares
every number of the result with a run that nobody disturbed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_validate_store import same

from packing.errors import BadInput
from validate.checks import Check
from validate.experiments import Recipe, Run, Setting
from validate.parallel import effort
from validate.runner import GPU_MEMORY, STORE, VERDICTS, Report, memory_for, run_suite
from validate.store import Model, Store
from validate.suites import Suite, parse

pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parent.parent

TINY = """
title = "Tiny"
about = "Small models, trained for a moment."
minutes = 0.1
needs = "a CPU"

[recipe]
steps = 60
batch = 64
lr = 0.02

[[cell]]
name = "pair"
n = 2
d = 1
S = 0.3
runs = 16
groups = 8

[[check]]
cells = ["pair"]
quantity = "loss"
tolerance = 0.5
reason = "a few steps"
controls = ["1-S", "bias"]
"""

# Models of many shapes: many batches, none of which needs a search for its prediction.
SHAPES = "".join(
    f'\n[[cell]]\nname = "{n} in {n}, {joint}"\nn = {n}\nd = {n}\nS = 0.2\nruns = 3\n'
    f'joint = "{joint}"\nlaw = "{law}"\nrecipe = {{ steps = {90 + 10 * n}, snapshots = 3 }}\n'
    for n in range(2, 7)
    for joint, law in (("independent", "uniform"), ("one-on", "binary"))
)
MANY = TINY + SHAPES

KILLS = 10


@pytest.fixture
def tiny() -> Suite:
    return parse(TINY, "tiny")


def apart(one: Model, other: Model) -> list[str]:
    """Fields in which two models differ, times aside."""
    return [
        field.name
        for a, b in zip(one, other, strict=True)
        for field in fields(a)
        if field.name != "seconds" and not same(getattr(a, field.name), getattr(b, field.name))
    ]


def alike(one: Report, other: Report) -> bool:
    """Whether two reports say the same to the last bit, times aside."""
    assert len(one.models) == len(other.models)
    models = all(not apart(a, b) for a, b in zip(one.models, other.models, strict=True))
    return models and one.checks == other.checks and one.verdict == other.verdict


# One run.


def test_a_suite_is_trained_measured_and_judged(tiny: Suite, tmp_path: Path) -> None:
    told: list[tuple[str, float, str]] = []
    out = tmp_path / "a" / "b"
    report = run_suite(tiny, out=out, device="cpu", progress=lambda *x: told.append(x))
    assert [trained.run for trained, _ in report.models] == list(tiny.runs)
    assert report.verdict in VERDICTS and [check.name for check in report.checks] == ["pair: loss"]
    assert not report.changed and report.device.startswith("cpu (")
    (session,) = report.sessions
    assert session.suite_hash == tiny.hash and session.outcome == report.verdict
    with Store(out / STORE, write=False) as store:
        (check,) = store.checks(session.id)
    (held,) = report.checks
    assert check["measured"] == held.measured and check["interval"] == list(held.interval)
    assert set(check) == {field.name for field in fields(Check)}
    # Progress: never backwards, with models and a loss, to its end.
    training = [(fraction, said) for stage, fraction, said in told if stage == "training"]
    assert [x for x, _ in training] == sorted(x for x, _ in training)
    assert training[0] == (0.0, "0 of 16 models")
    assert training[-1][0] == 1.0 and training[-1][1].startswith("16 of 16 models, loss 0.")


def test_what_is_finished_is_not_trained_again(
    tiny: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_suite(tiny, out=tmp_path, device="cpu")
    trained = count_training(monkeypatch)
    again = run_suite(tiny, out=tmp_path, device="cpu", resume=True)
    assert trained == [] and alike(first, again) and len(again.sessions) == 2
    more = parse(TINY.replace("runs = 16", "runs = 24"), "tiny")
    third = run_suite(more, out=tmp_path, device="cpu", resume=True)
    assert sorted(run.seed for run in trained) == list(range(16, 24))
    assert third.changed and not again.changed
    alone = run_suite(more, out=tmp_path / "alone", device="cpu")
    assert alike(third, alone)


def test_a_difference_would_be_seen(tiny: Suite, tmp_path: Path) -> None:
    """Negative control of `alike`: another seed, one bit of one weight, one number of a check."""
    one = run_suite(tiny, out=tmp_path / "one", device="cpu")
    two = run_suite(tiny, out=tmp_path / "two", device="cpu")
    assert alike(one, two)
    other = parse(TINY.replace("runs = 16", "runs = 16\nseed = 1"), "tiny")
    assert not alike(one, run_suite(other, out=tmp_path / "other", device="cpu"))
    trained, measured = one.models[3]
    b = trained.b.copy()
    b[0] = np.nextafter(b[0], 1.0)
    models = list(one.models)
    models[3] = (replace(trained, b=b), measured)
    assert not alike(one, replace(one, models=tuple(models)))
    check = replace(one.checks[0], measured=one.checks[0].measured * (1 + 1e-15))
    assert not alike(one, replace(one, judgement=replace(one.judgement, checks=(check,))))


def test_a_defeat_is_kept_with_its_weights(
    tiny: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a prediction that is too high, models beat it: the suite fails and keeps them."""
    from validate import predict

    right = predict.truth

    def wrong(setting: Setting) -> predict.Truth:
        found = right(setting)
        return replace(found, loss=2.0 * found.loss)

    monkeypatch.setattr(predict, "truth", wrong)
    report = run_suite(tiny, out=tmp_path, device="cpu")
    assert report.verdict == "defeated" and report.defeats
    with Store(tmp_path / STORE, write=False) as store:
        held = store.defeats()
        assert store.sessions()[0].outcome == "defeated"
    assert [body["key"] for body, _ in held] == [defeat.key for defeat in report.defeats]
    body = held[0][0]
    assert body["loss"] + body["error_bound"] < body["predicted"] - body["rounding"]
    assert body["S"] == 0.3 and body["one_minus_S"] == 0.7 and body["n"] == 2


def test_effort_grows_with_the_work() -> None:
    run = Run(Setting(4, 2, 0.1), Recipe(100), 0)
    assert effort(replace(run, recipe=Recipe(200))) == 2 * effort(run)
    assert effort(replace(run, setting=Setting(8, 2, 0.1))) > effort(run)


def test_batches_on_a_gpu_do_not_follow_the_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a resumed run would form others, and sums there depend on the company."""
    free = 70 * 2**30
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (free, 80 * 2**30))
    plenty = memory_for("cuda")
    free = 20 * 2**30
    assert memory_for("cuda") == plenty == GPU_MEMORY
    free = 2**30
    assert memory_for("cuda") == int(0.6 * 2**30)
    assert memory_for("cpu") is None


# Refusals.


def refusal(suite: Suite, out: Path, **how: Any) -> str:
    with pytest.raises(BadInput) as error:
        run_suite(suite, out=out, device=how.pop("device", "cpu"), **how)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_store_that_holds_the_suite_is_not_touched(tiny: Suite, tmp_path: Path) -> None:
    run_suite(tiny, out=tmp_path, device="cpu")
    before = (tmp_path / STORE).read_bytes()
    said = refusal(tiny, tmp_path)
    assert "holds 16 models already, 16 of the 16 of tiny among them" in said
    assert "--resume" in said and "--out" in said
    assert (tmp_path / STORE).read_bytes() == before
    other = parse(TINY.replace("S = 0.3", "S = 0.4"), "other")
    assert "16 models already, 0 of the 16 of other" in refusal(other, tmp_path)
    assert len(run_suite(other, out=tmp_path, device="cpu", resume=True).models) == 16
    with Store(tmp_path / STORE, write=False) as store:
        assert len(store.keys()) == 32


def test_nothing_is_written_when_nothing_can_be(
    tiny: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    assert "leave out --resume" in refusal(tiny, out, resume=True)
    assert "device = 'tpu' is unknown" in refusal(tiny, out, device="tpu")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "cuda" in refusal(tiny, out, device="cuda")
    huge = parse(TINY.replace("n = 2\n", "n = 900\n").replace("batch = 64", "batch = 9999999"), "x")
    assert "batch" in refusal(huge, out, engine="torch")
    assert "engine = 'abacus' is unknown" in refusal(tiny, out, engine="abacus")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'feature-packing[validate]'" in refusal(tiny, out)
    assert not any(tmp_path.iterdir())


def test_folders_that_cannot_be(tiny: Suite, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be made" in refusal(tiny, tmp_path / "file")
    assert "cannot be made" in refusal(tiny, tmp_path / "file" / "more")
    (tmp_path / "out" / STORE).mkdir(parents=True)
    assert "is a folder" in refusal(tiny, tmp_path / "out")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / STORE).write_text("not a store, " * 100)
    assert "is no store" in refusal(tiny, tmp_path / "notes")
    assert "is no store" in refusal(tiny, tmp_path / "notes", resume=True)


def test_a_full_disk_is_a_sentence_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = parse(MANY, "many")
    add = Store.add

    def full(self: Store, session: int, models: Any) -> int:
        if len(self.keys()) > 20:
            (pages,) = self.db.execute("PRAGMA page_count").fetchone()
            self.db.execute(f"PRAGMA max_page_count = {pages}")
        return add(self, session, models)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "add", full)
        assert "the disk is full" in refusal(suite, tmp_path)
    with Store(tmp_path / STORE, write=False) as store:
        kept = store.load()
    assert len(kept) > 20
    trained = count_training(monkeypatch)
    report = run_suite(suite, out=tmp_path, device="cpu", resume=True)
    assert len(trained) == len(suite.runs) - len(kept)
    assert not {run.key for run in trained} & {model[0].run.key for model in kept}
    assert report.sessions[0].ended is None and report.sessions[1].ended is not None


def count_training(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Every run that is trained from now on."""
    from validate.training import trainer

    trained: list[Run] = []
    train_batch: Callable[..., Any] = trainer.train_batch

    def counted(runs: Any, **how: Any) -> Any:
        trained.extend(runs)
        return train_batch(runs, **how)

    monkeypatch.setattr(trainer, "train_batch", counted)
    return trained


# Kills. The functions below run in a process of their own, which imports everything once and forks.


def kept_keys(out: Path) -> set[str]:
    if not (out / STORE).exists() or not (out / STORE).stat().st_size:
        return set()
    with Store(out / STORE) as store:
        return set(store.keys())


def forked(out: Path, pipe: int) -> int:
    """Resume the suite in a child, which names every batch on the pipe once it is committed."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        add = Store.add

        def add_and_tell(self: Store, session: int, models: Any) -> int:
            new = add(self, session, models)
            os.write(pipe, "".join(f"{trained.run.key}\n" for trained, _ in models).encode())
            return new

        Store.add = add_and_tell  # type: ignore[method-assign]
        run_suite(parse(MANY, "many"), out=out, device="cpu", resume=(out / STORE).exists())
        code = 0
    finally:
        os._exit(code)


def hardship(folder: Path) -> None:
    """Both of the below beside a run that nobody disturbed; print what was seen as JSON."""
    start = time.monotonic()
    reference = run_suite(parse(MANY, "many"), out=folder / "calm", device="cpu")
    took = time.monotonic() - start
    seen = {"killed": killed(folder, reference, took), "shared": shared(folder, reference)}
    print(json.dumps(seen))


def killed(folder: Path, reference: Report, took: float) -> dict[str, Any]:
    """Kill the suite at `KILLS` random moments, and go on with it each time."""
    chance = random.Random(4)
    out, lost, wrong, finished = folder / "killed", 0, 0, 0
    kills: list[int] = []
    right = {model[0].run.key: model for model in reference.models}
    while len(kills) < KILLS:
        reading, writing = os.pipe()
        child = forked(out, writing)
        os.close(writing)
        time.sleep(chance.uniform(0.0, 0.4 * took))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        with os.fdopen(reading) as pipe:
            told = set(pipe.read().split())
        kept = kept_keys(out)
        lost += len(told - kept)
        if os.WIFSIGNALED(status):
            kills.append(len(kept))
        else:  # it came to its end before: begin anew, in another folder
            assert os.WEXITSTATUS(status) == 0
            finished += 1
            out = folder / f"killed-{finished}"
            continue
        if kept:
            with Store(out / STORE) as store:
                assert store.db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                wrong += sum(bool(apart(m, right[m[0].run.key])) for m in store.load())
    end = run_suite(parse(MANY, "many"), out=out, device="cpu", resume=(out / STORE).exists())
    return {
        "kills": kills,
        "lost": lost,
        "wrong": wrong,
        "models": len(end.models),
        "alike": alike(end, reference),
    }


def shared(folder: Path, reference: Report) -> dict[str, Any]:
    """Two processes train the same suite into the same store at the same time."""
    out = folder / "shared"
    out.mkdir()
    Store(out / STORE).close()
    reading, writing = os.pipe()
    children = [forked(out, writing) for _ in range(2)]
    codes = [os.WEXITSTATUS(os.waitpid(child, 0)[1]) for child in children]
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read().split()
    end = run_suite(parse(MANY, "many"), out=out, device="cpu", resume=True)
    with Store(out / STORE) as store:
        whole = store.db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        kept = sorted(store.keys())
    return {
        "codes": codes,
        "whole": whole,
        "kept": kept == sorted(set(told)) == sorted(run.key for run in end.suite.runs),
        "alike": alike(end, reference),
    }


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of the hardships, in a process that may fork."""
    folder = tmp_path_factory.mktemp("hardship")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import pathlib, test_validate_run as t; t.hardship(pathlib.Path())",
        ],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
            "FEATURE_PACKING_CACHE": str(folder / "cache"),
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_ten_random_moments(seen: dict[str, Any]) -> None:
    found = seen["killed"]
    assert len(found["kills"]) == KILLS  # each found the process alive
    assert len(set(found["kills"])) > 1  # models kept by then: they came at different stages
    assert found["lost"] == 0 and found["wrong"] == 0
    assert found["alike"] and found["models"] == len(parse(MANY, "many").runs)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_two_processes_on_one_store(seen: dict[str, Any]) -> None:
    found = seen["shared"]
    assert found["codes"] == [0, 0] and found["whole"] and found["kept"] and found["alike"]
