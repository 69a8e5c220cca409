"""The store: models come back bit for bit, refusals are one sentence, two processes get along."""

from __future__ import annotations

import csv
import json
import math
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from packing.errors import BadInput
from packing.weights import read_weights
from validate.experiments import Measured, Recipe, Run, Setting, Trained
from validate.store import (
    APPLICATION,
    ARRAYS,
    COLUMNS,
    SCALARS,
    VERSION,
    Model,
    Store,
    run_from,
    run_text,
)

ROOT = Path(__file__).resolve().parent.parent
RECIPE = Recipe(steps=10, batch=4, betas=(0.8, 0.99))


def model(seed: int = 0, snapshots: int = 2, **setting: Any) -> Model:
    """A model of random numbers; what it was trained on does not matter here."""
    rng = np.random.default_rng(seed)
    run = Run(Setting(**{"n": 3, "d": 2, "S": 0.1, **setting}), RECIPE, seed)
    trained = Trained(
        run=run,
        W=rng.normal(size=(3, 2)).T,  # columns in memory: what safetensors would store wrongly
        b=rng.normal(size=3),
        curve=rng.normal(size=(7, 2)),
        snapshots=tuple((i, rng.normal(size=(2, 3)), rng.normal(size=3)) for i in range(snapshots)),
        status="finished",
        steps=10,
        device="cpu",
        seconds=0.1 + seed,
    )
    measured = Measured(
        loss=0.1 + 0.2,
        error_bound=1e-15,
        simulated=1 / 3,
        standard_error=5e-324,
        samples=100,
        represented=2,
        dimensionality=np.array([0.5, math.nan, 1.0]),
        d_star=math.inf,
        max_cosine=-0.0,
        name="digon + 1 ignored",
        distance=None,
    )
    return trained, measured


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal to the last bit, NaN and the sign of zero included."""
    if isinstance(one, np.ndarray):
        return one.shape == other.shape and one.dtype == other.dtype and _bits(one) == _bits(other)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(type(one) is type(other) and repr(one) == repr(other))


def _bits(array: Any) -> bytes:
    return np.ascontiguousarray(array).tobytes()


def same_model(one: Model, other: Model) -> bool:
    return all(
        same(getattr(a, field.name), getattr(b, field.name))
        for a, b in zip(one, other, strict=True)
        for field in fields(a)
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


@pytest.fixture
def store(place: Path) -> Iterator[Store]:
    with Store(place) as opened:
        yield opened


def refusal(path: Path, **how: Any) -> str:
    with pytest.raises(BadInput) as error:
        Store(path, **how)
    said = str(error.value)
    assert said.startswith(str(path)) and "\n" not in said and not said.endswith(".")
    return said


# What goes in comes out.


def test_models_come_back_bit_for_bit(place: Path) -> None:
    models = [
        model(0),
        model(1, snapshots=0),
        model(2, S=(0.1, 0.2, 1.0), importance=(1.0, 0.5, 0.0), law="uniform"),
        model(3, S=1, joint="one-on", bias=False),
    ]
    with Store(place) as store:
        assert store.add(store.begin("quick", "abc", "cpu"), models) == 4
    keys = [trained.run.key for trained, _ in models]
    with Store(place, write=False) as store:
        assert store.finished([*keys, "nothing"]) == set(keys)
        assert store.keys() == tuple(keys)
        back = store.load([keys[2], "nothing", keys[0], keys[1], keys[3]])
        with pytest.raises(BadInput, match="cannot be written"):
            store.begin("quick", "abc", "cpu")
    assert os.listdir(place.parent) == [place.name]  # readers leave nothing behind
    for i, held in zip((2, 0, 1, 3), back, strict=True):
        assert same_model(models[i], held)
        assert held[0].run.key == keys[i]


def test_a_changed_bit_would_be_seen(store: Store) -> None:
    """Negative control of the comparison above: one unit in the last place, a zero's sign."""
    one = model()
    store.add(store.begin("quick", "abc", "cpu"), [one])
    (held,) = store.load()
    assert same_model(one, held)
    W = held[0].W.copy()
    W[0, 0] = np.nextafter(W[0, 0], 1.0)
    assert not same_model(one, (replace(held[0], W=W), held[1]))
    assert not same_model(one, (held[0], replace(held[1], max_cosine=0.0)))
    assert not same_model(one, (held[0], replace(held[1], distance=math.nan)))


def test_every_field_of_a_measurement_is_kept() -> None:
    assert {field.name for field in fields(Measured)} == {*SCALARS, *ARRAYS}


def test_a_run_is_its_text() -> None:
    for trained in (model()[0], model(1, S=(0.1, 0.2, 0.3), importance=(1, 2, 3))[0]):
        assert run_from(run_text(trained.run)) == trained.run


def test_more_keys_than_one_question_holds(store: Store) -> None:
    models = [model(seed, snapshots=0) for seed in range(1101)]
    store.add(store.begin("quick", "abc", "cpu"), models)
    keys = [trained.run.key for trained, _ in models]
    assert [trained.run.key for trained, _ in store.load(keys[::-1])] == keys[::-1]
    assert store.finished(keys) == set(keys)


def test_a_run_is_kept_once_and_the_first_stays(store: Store) -> None:
    one = model()
    session = store.begin("quick", "abc", "cpu")
    assert store.add(session, [one]) == 1
    other = (replace(one[0], seconds=99.0), one[1])
    assert store.add(session, [other, model(1)]) == 1
    assert store.load([one[0].run.key])[0][0].seconds == one[0].seconds


def test_a_batch_is_kept_whole_or_not_at_all(store: Store) -> None:
    session = store.begin("quick", "abc", "cpu")
    store.add(session, [model(0)])
    store.db.execute(
        "CREATE TRIGGER stop BEFORE INSERT ON run WHEN NEW.seed = 3 BEGIN "
        "SELECT RAISE(ABORT, 'no'); END"
    )
    with pytest.raises(BadInput, match="no"):
        store.add(session, [model(2), model(3)])
    assert len(store.keys()) == 1 and not store.db.in_transaction


def test_sessions_say_who_trained_with_what(place: Path) -> None:
    with Store(place) as store:
        first = store.begin("quick", "abc", "cpu")
        second = store.begin("laws", "def", "cpu")
        store.end(second, "agree")
        one, two = store.sessions()
        assert store.sessions("laws") == (two,)
    assert (one.id, one.suite, one.suite_hash, one.device) == (first, "quick", "abc", "cpu")
    assert one.ended is None and one.outcome is None
    assert two.ended is not None and two.started <= two.ended and two.outcome == "agree"
    assert set(one.versions) == {
        *("python", "torch", "numba", "numpy", "scipy", "feature-packing"),
    }
    assert one.versions["numpy"] == np.__version__
    held = place.read_bytes()
    assert str(Path.home()).encode() not in held and os.uname().nodename.encode() not in held


def test_checks_and_defeats_with_their_weights(store: Store, tmp_path: Path) -> None:
    trained, _ = won = model(5, importance=(1.0, 0.5, 0.25))
    session = store.begin("quick", "abc", "cpu")
    store.add(session, [won])
    checks = [
        {"name": "a", "verdict": "agree", "measured": math.nan},
        {"name": "b", "verdict": "x"},
    ]
    store.conclude(session, checks, [({"key": trained.run.key, "margin": 1e-3}, trained)])
    store.conclude(session, checks, [({"key": trained.run.key, "margin": 1e-3}, trained)])  # again
    assert store.checks(session) == [{**checks[0], "measured": None}, checks[1]]
    ((body, blob),) = store.defeats()
    assert body["margin"] == 1e-3
    file = tmp_path / "won.safetensors"
    file.write_bytes(blob)
    weights = read_weights(file)  # `packing loss` reads it as it is
    assert same(weights.W, np.ascontiguousarray(trained.W)) and same(weights.b, trained.b)
    assert weights.importance is not None and weights.importance.tolist() == [1.0, 0.5, 0.25]


def test_export(store: Store, tmp_path: Path) -> None:
    models = [model(0), model(1, S=(0.1, 0.25, 0.5))]
    store.add(store.begin("quick", "abc", "cpu"), models)
    store.export(tmp_path / "runs.csv")
    store.export(tmp_path / "runs.json")
    with open(tmp_path / "runs.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS and len(rows) == 2
    assert float(rows[0]["loss"]) == 0.1 + 0.2 and rows[0]["distance"] == ""
    assert rows[1]["S"] == "0.1 0.25 0.5" and rows[1]["one_minus_S"] == "0.9 0.75 0.5"
    body = json.loads((tmp_path / "runs.json").read_text(encoding="utf-8"))
    assert body["sessions"][0]["suite"] == "quick"
    assert body["models"][0]["W"] == models[0][0].W.tolist()
    with pytest.raises(BadInput, match="no known ending"):
        store.export(tmp_path / "runs.xlsx")


# Refusals.


def test_a_folder_a_device_a_missing_file(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)
    assert "not a regular file" in refusal(Path("/dev/null"))
    assert "does not exist" in refusal(tmp_path / "none.sqlite", write=False)
    assert "not an existing folder" in refusal(tmp_path / "none" / "store.sqlite")
    assert not (tmp_path / "none.sqlite").exists()


@pytest.mark.parametrize("write", [True, False])
def test_a_file_that_is_no_store_is_left_as_it_is(place: Path, write: bool) -> None:
    place.write_bytes(b"some notes that took a long time to write" * 40)
    before = place.read_bytes()
    assert "is no store" in refusal(place, write=write)
    place.write_bytes(before[:10])  # shorter than a header
    assert "is no store" in refusal(place, write=write)
    assert place.read_bytes() == before[:10]


@pytest.mark.parametrize("write", [True, False])
def test_another_program_s_database_is_left_as_it_is(place: Path, write: bool) -> None:
    with sqlite3.connect(place) as db:
        db.execute("CREATE TABLE mine (x)")
    db.close()
    before = place.read_bytes()
    assert "no store" in refusal(place, write=write)
    assert place.read_bytes() == before and os.listdir(place.parent) == [place.name]


@pytest.mark.parametrize("write", [True, False])
def test_a_store_of_another_version(place: Path, write: bool) -> None:
    Store(place).close()
    db = sqlite3.connect(place)
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    said = refusal(place, write=write)
    assert f"version {VERSION + 1}" in said and f"version {VERSION}:" in said


def test_an_empty_file_becomes_a_store(place: Path) -> None:
    """A process killed while it made the store leaves one."""
    place.touch()
    Store(place).close()
    db = sqlite3.connect(place)
    assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION,)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()


def test_a_damaged_run_is_named(place: Path) -> None:
    with Store(place) as store:
        store.add(store.begin("quick", "abc", "cpu"), [model()])
        key = model()[0].run.key
        for column, value in (("weights", b"nonsense"), ("extras", b""), ("body", "{}")):
            (kept,) = store.db.execute(f"SELECT {column} FROM run").fetchone()
            store.db.execute(f"UPDATE run SET {column} = ?", (value,))
            with pytest.raises(BadInput, match=f"damaged at run {key}"):
                store.load()
            store.db.execute(f"UPDATE run SET {column} = ?", (kept,))
        store.db.execute("UPDATE run SET body = replace(body, '0.1', '0.2')")
        with pytest.raises(BadInput, match=f"damaged at run {key}"):
            store.load()


def test_a_damaged_file(place: Path) -> None:
    with Store(place) as store:
        store.add(store.begin("quick", "abc", "cpu"), [model(seed) for seed in range(50)])
    body = bytearray(place.read_bytes())
    body[4096:] = os.urandom(1) * (len(body) - 4096)
    place.write_bytes(body)
    with pytest.raises(BadInput, match=r"damaged|cannot be used"), Store(place) as store:
        store.load()


def test_a_full_disk_keeps_what_was_finished(place: Path) -> None:
    with Store(place) as store:
        session = store.begin("quick", "abc", "cpu")
        store.add(session, [model(0)])
        (pages,) = store.db.execute("PRAGMA page_count").fetchone()
        store.db.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(BadInput, match="the disk is full; make room, what was finished"):
            store.add(session, [model(seed) for seed in range(1, 100)])
        assert not store.db.in_transaction
        assert store.keys() == (model(0)[0].run.key,)
    with Store(place) as store:  # there is room again
        store.add(session, [model(seed) for seed in range(1, 100)])
        assert len(store.keys()) == 100 and same_model(store.load()[0], model(0))


def test_a_real_limit_on_files(tmp_path: Path) -> None:
    """The operating system refuses to let the file grow: one sentence, and the file stays whole."""
    code = (
        "import resource, sys\n"
        "from test_validate_store import model\n"
        "from packing.errors import BadInput\n"
        "from validate.store import Store\n"
        "store = Store('store.sqlite')\n"
        "session = store.begin('quick', 'abc', 'cpu')\n"
        "store.add(session, [model(0)])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))\n"
        "try:\n"
        "    store.add(session, [model(seed) for seed in range(1, 400)])\n"
        "except BadInput as error:\n"
        "    print(error)\n"
    )
    done = python(code, tmp_path)
    assert done.stdout.startswith("store.sqlite cannot be ") and done.stdout.count("\n") == 1
    with Store(tmp_path / "store.sqlite") as store:
        assert [trained.run.seed for trained, _ in store.load()] == [0]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs users")
def test_read_only_files_and_folders() -> None:
    """As a user who may not write there; a root user may write everywhere, so it steps down."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Store(folder / "store.sqlite") as store:
            store.add(store.begin("quick", "abc", "cpu"), [model()])
        (folder / "store.sqlite").chmod(0o444)
        folder.chmod(0o555)
        code = (
            "import os\n"
            "from packing.errors import BadInput\n"
            "from validate.store import Store\n"
            "import safetensors.numpy\n"
            "if os.geteuid() == 0:\n"
            "    os.setgroups([]), os.setgid(65534), os.setuid(65534)\n"
            "for name in ('store.sqlite', 'other.sqlite'):\n"
            "    try:\n"
            f"        Store({name!r} + '/' + name)\n"
            "    except BadInput as error:\n"
            "        print(error)\n"
            f"with Store({name!r} + '/store.sqlite', write=False) as store:\n"
            "    print(len(store.load()))\n"
        )
        done = python(code, ROOT)
        folder.chmod(0o755)
        first, second, third = done.stdout.splitlines()
        assert "store.sqlite cannot be written" in first and "read-only" in first
        assert "other.sqlite cannot be opened" in second and "read-only" in second
        assert third == "1"
        assert os.listdir(folder) == ["store.sqlite"]


# Two processes.


def python(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = _start(code, cwd)
    out, err = done.communicate(timeout=60)
    assert done.returncode == 0, err
    return subprocess.CompletedProcess([], 0, out, err)


def _start(code: str, cwd: Path) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_write_one_store(tmp_path: Path) -> None:
    """Both make it, both add the same runs and some of their own, in small batches, at once."""
    code = (
        "import sys\n"
        "from test_validate_store import model\n"
        "from validate.store import Store\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
        "with Store('store.sqlite') as store:\n"
        "    session = store.begin('quick', 'abc', 'cpu')\n"
        "    for start in range(0, 120, 4):\n"
        "        store.add(session, [model(own + k) for own in ({0}, 0) for k in "
        "range(start, start + 4)])\n"
        "    store.end(session, 'agree')\n"
    )
    held = [
        subprocess.Popen(
            [sys.executable, "-c", code.replace("{0}", str(own))],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for own in (1000, 2000)
    ]
    for process in held:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in held:
        assert process.stdin is not None
        process.stdin.close()  # both go at the same moment
    for process in held:
        assert process.wait(60) == 0, process.stderr.read() if process.stderr else ""
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()
    with Store(tmp_path / "store.sqlite") as store:
        assert store.db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        seeds = sorted(trained.run.seed for trained, _ in store.load())
        assert seeds == [own + k for own in (0, 1000, 2000) for k in range(120)]
        assert all(same_model(held, model(held[0].run.seed)) for held in store.load())
        assert [session.outcome for session in store.sessions()] == ["agree", "agree"]


def test_a_store_in_use_is_waited_for_and_then_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(place).close()
    other = sqlite3.connect(place, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr("validate.store.PATIENCE", 0.2)
    assert "in use by another process" in refusal(place)
    with Store(place, write=False) as reader:  # reading goes on meanwhile
        assert reader.keys() == ()
    other.execute("ROLLBACK")
    other.close()
    Store(place).close()
