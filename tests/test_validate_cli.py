"""`packing validate` and `packing table trained`: keys, exit codes, refusals, interruptions."""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import answered, refused, run
from schemas import SUITES, TRAINED
from test_validate_run import MANY, TINY

from theory.losses.expected import loss
from validate.cli import EXITS
from validate.comparison import trained
from validate.experiments import Measured, Recipe, Run, Setting, Trained
from validate.runner import STORE, VERDICTS
from validate.store import Model, Store
from validate.suites import load, names

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A suite file in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(TINY, encoding="utf-8")
    return "tiny.toml"


def below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# The list.


def test_list_says_what_each_suite_checks_takes_and_needs() -> None:
    values = answered("validate --list", schema=SUITES)
    assert tuple(suite["name"] for suite in values["suites"]) == names()
    text = " ".join(run("validate --list").stdout.split())
    for suite in values["suites"]:
        assert suite["title"] in text and suite["needs"] in text
        assert suite["models"] == len(load(suite["name"]).runs) > 0


def test_list_of_one_suite(tiny: str) -> None:
    values = answered(f"validate {tiny} --list", schema=SUITES)
    assert [suite["checks"] for suite in values["suites"]] == [["pair: loss"]]
    assert "16 models, 1 check\n" in run(f"validate {tiny} --list").stdout


def test_list_and_help_load_no_torch() -> None:
    for line in (["validate", "--list"], ["validate", "--help"], ["table", "trained", "--help"]):
        code = (
            "import sys, contextlib, io\n"
            "from packing.cli.app import main\n"
            "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
            f"    main({line})\n"
            "print(sorted(sys.modules))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        loaded = set(ast.literal_eval(done.stdout))
        assert "torch" not in loaded
        assert "--help" not in line or not {"numpy", "scipy", "rich"} & loaded


# A suite.


@pytest.mark.parametrize("verdict", VERDICTS)
def test_exit_codes(verdict: str) -> None:
    assert EXITS[verdict] == {"agree": 0, "inconclusive": 3}.get(verdict, 1)


def test_a_suite_from_a_file(tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "validation-tiny"
    line = f"validate {tiny} --device cpu --out {folder}"
    first = run(f"{line} --json")
    values = json.loads(first.stdout)
    assert first.exit_code == EXITS[values["verdict"]]
    assert values["suite"] == "tiny" and values["models"] == 16 and values["defeats"] == []
    assert values["hash"] == load("tiny.toml").hash
    notes = first.stderr.splitlines()
    assert f"folder {folder};" in notes[0] and "--resume" in notes[0]
    assert notes[-1] == f"report written to {values['report']}"
    assert values["store"] == str(folder / STORE)
    assert {STORE, "report.html", "report.json", "checks.csv", "runs.csv"} <= set(below(folder))
    held = (folder / STORE).read_bytes()
    # A second time: not without --resume, and with it the same answer without training.
    assert "give --resume to go on with it, or another --out" in refused(line)
    assert (folder / STORE).read_bytes() == held
    monkeypatch.setattr("validate.training.trainer.train_batch", None)
    again = answered(f"{line} --resume", first.exit_code)
    kept = json.loads((folder / "report.json").read_text())
    assert {**kept, "store": again["store"]}.items() >= {
        key: value for key, value in again.items() if key != "report"
    }.items()
    assert again["checks"] == values["checks"] and len(again["sessions"]) == 2
    people = run(f"{line} --resume")
    assert people.exit_code == first.exit_code
    assert "pair: loss" in people.stdout and VERDICTS[values["verdict"]] in people.stdout
    # Nothing says where it ran.
    for name in ("report.html", "report.json", "checks.csv", "runs.csv"):
        assert str(tmp_path) not in (folder / name).read_text(encoding="utf-8")


def test_a_wrong_theory_fails_the_suite(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1 where trained models lie below what was predicted."""
    from validate import predict

    right = predict.truth

    def wrong(setting: Setting) -> predict.Truth:
        found = right(setting)
        return replace(found, loss=2.0 * found.loss)

    monkeypatch.setattr(predict, "truth", wrong)
    values = answered(f"validate {tiny} --device cpu", 1)
    assert values["verdict"] == "defeated" and 0 < len(values["defeats"]) <= values["compared"]


def test_progress_in_a_log(
    tiny: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("validate.cli.LINE_EVERY", 0.0)
    said = run(f"validate {tiny} --device cpu").stderr
    assert "folder validation-tiny;" in said
    assert re.search(r"^tiny: training, \d+ of 16 models", said, re.M)
    assert re.search(r"16 of 16 models, loss [\d.]+, \d+ s passed", said)
    assert re.search(r"about \d+ (s|min) left", said)


# Bad input: one line, exit code 2, nothing written.


BAD_SUITES = {
    "unknown-key": (TINY + "\n[extra]\nx = 1\n", "unknown key 'extra'"),
    "unknown-recipe": (TINY.replace("lr =", "rate ="), "unknown key 'rate'"),
    "no-steps": (TINY.replace("steps = 60", "steps = 0"), "steps = 0"),
    "no-chance": (TINY.replace("S = 0.3", "S = 1.3"), "1.3"),
    "no-models": (TINY.replace("runs = 16", "runs = 0"), "runs = 0"),
    "no-toml": ("title = ", "no TOML"),
}


@pytest.mark.parametrize("name", BAD_SUITES)
def test_bad_suite_files(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text, said = BAD_SUITES[name]
    (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    for more in ("", " --list", " --json"):
        assert said in refused(f"validate {name}.toml{more}")
    assert below(tmp_path) == [f"{name}.toml"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("validate", "no suite was named"),
        ("validate nonsense", "no suite 'nonsense'"),
        ("validate none.toml", "none.toml cannot be read"),
        ("validate {} --device tpu", "device = 'tpu' is unknown"),
        ("validate {} --device cuda", "'cuda'"),
        ("validate {} --resume", "leave out --resume"),
        ("validate {} --out tiny.toml", "cannot be made"),
        ("validate {} --out /proc/none", "cannot be made"),
        ("validate {} --nonsense", "No such option"),
        ("table trained", "Missing argument"),
        ("table trained none.sqlite", "does not exist"),
        ("table trained .", "does not exist"),
        ("table trained tiny.toml", "is no store"),
        ("table trained {} --format xml", "format = 'xml' is unknown"),
    ],
)
def test_bad_input_is_one_line(
    line: str, said: str, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert said in refused(line.format(tiny))
    assert below(tmp_path) == [tiny]


def test_without_torch(tiny: str, tmp_path: Path) -> None:
    """The list works, training says what to install; torch is hidden from a fresh interpreter."""
    code = (
        "import sys\n"
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'torch' else "
        "find(name, *more)\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
        "from packing.cli.app import main\n"
        "main(sys.argv[1:])\n"
    )

    def asked(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, "validate", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert asked("--list").returncode == 0
    done = asked(tiny)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "pip install 'feature-packing[validate]'" in done.stderr
    assert below(tmp_path) == [tiny]


# Interruptions.


def interrupted(folder: Path, ready: str, delay: float) -> subprocess.CompletedProcess[str]:
    """Send SIGINT a while after a line that begins so has come on standard error."""
    code = (
        "from packing.cli.app import exit_on_interrupt, main\n"
        "exit_on_interrupt()\n"
        "import sys; sys.stderr.write('ready\\n'); sys.stderr.flush()\n"
        "import validate.cli; validate.cli.LINE_EVERY = 0.0\n"
        "main(sys.argv[1:])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "validate", "many.toml", "--device", "cpu", "--json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    for line in process.stderr:
        if re.match(ready, line):
            break
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess([], process.returncode, out, err)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("ready", "delay", "least"),
    [
        ("ready", 0.0, 0),
        ("ready", 0.7, 0),
        (r"many: training, 2\d of", 0.02, 20),
        (r"many: comparing", 0.0, 46),
    ],
)
def test_interrupted_at_any_moment(ready: str, delay: float, least: int, tmp_path: Path) -> None:
    (tmp_path / "many.toml").write_text(MANY, encoding="utf-8")
    done = interrupted(tmp_path, ready, delay)
    assert done.returncode == 130 and done.stdout == ""
    assert done.stderr.endswith("packing: interrupted\n") and "Traceback" not in done.stderr
    out = tmp_path / "validation-many"
    assert not {path.suffix for path in out.glob("*")} - {".sqlite", ".sqlite-wal", ".sqlite-shm"}
    if (out / STORE).exists():
        with Store(out / STORE) as store:
            assert len(store.load()) >= least  # finished batches are kept
    else:
        assert least == 0


# The table.


def model(setting: Setting, W: Any, b: Any, seed: int) -> Model:
    exact = loss(W, b, features=setting.features) if setting.independent else None
    finished = Trained(
        run=Run(setting, Recipe(1), seed),
        W=np.array(W, dtype=float),
        b=np.array(b, dtype=float),
        curve=np.zeros((1, 2)),
        snapshots=(),
        status="finished",
        steps=1,
        device="cpu",
        seconds=0.0,
    )
    measured = Measured(
        loss=None if exact is None else exact.total,
        error_bound=None if exact is None else exact.error_bound,
        simulated=0.0,
        standard_error=0.0,
        samples=1,
        represented=2,
        dimensionality=np.ones(setting.n),
        d_star=1.0,
        max_cosine=None,
        name=f"model {seed}",
        distance=None,
    )
    return finished, measured


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with models of three settings, the theory's own optimum among them."""
    from theory.optima import optimum

    monkeypatch.chdir(tmp_path)
    pair = Setting(2, 1, 0.3)
    best = optimum(pair.features, 1)
    same = Setting(3, 3, (0.1, 0.2, 0.3), law="uniform")
    loose = Setting(2, 1, 0.3, joint="one-on")
    models = [
        model(pair, [[1.0, -1.0]], [0.0, 0.0], 1),
        model(pair, best.W, best.b, 2),
        model(pair, [[0.0, 0.0]], [0.3, 0.3], 3),
        model(same, np.eye(3), np.zeros(3), 4),
        model(loose, [[1.0, -1.0]], [0.0, 0.0], 5),
    ]
    path = tmp_path / STORE
    with Store(path) as store:
        store.add(store.begin("some", "abc", "cpu"), models)
    return path


def test_table_compares_theory_with_a_store(kept: Path) -> None:
    from theory.features import Features
    from theory.optima import optimum

    expected = optimum(Features.of(2, 0.3), 1)
    values = answered(f"table trained {kept}", schema=TRAINED)
    pair, same = values["rows"]
    assert (pair["n"], pair["d"], pair["S"], pair["one_minus_S"]) == (2, 1, 0.3, 0.7)
    assert pair["models"] == 3 and pair["trained"] == "model 2" and pair["defeats"] == 0
    assert pair["predicted_loss"] == expected.loss.total
    assert abs(pair["excess"]) < 1e-9  # the optimum's own weights
    assert pair["predicted"] == expected.name
    assert same["S"] == "0.1 0.2 0.3" and same["trained_loss"] == same["predicted_loss"] == 0.0
    assert same["excess"] is None and same["law"] == "uniform"
    with Store(kept, write=False) as store:
        assert trained(store.load()).to_dict() == values
    shown = run(f"table trained {kept.parent}")  # the folder will do
    assert "1 models of dependent features are left out" in shown.stderr
    assert "model 2" in shown.stdout and "importance" not in shown.stdout
    text = run(f"table trained {kept} --format csv").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert float(rows[0]["trained_loss"]) == pair["trained_loss"]


def test_table_shows_a_defeat(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: against a prediction a little too high, the optimum's weights win."""
    from validate import predict

    right = predict.truth

    def wrong(setting: Setting) -> predict.Truth:
        found = right(setting)
        return replace(found, loss=found.loss * (1.0 + 1e-6))

    monkeypatch.setattr(predict, "truth", wrong)
    values = answered(f"table trained {kept}", 1, schema=TRAINED)
    assert [row["defeats"] for row in values["rows"]] == [1, 0]
    assert "1 of the models lie below" in run(f"table trained {kept}").stderr


def test_a_table_of_nothing(tmp_path: Path) -> None:
    Store(tmp_path / STORE).close()
    assert "holds no models yet" in refused(f"table trained {tmp_path}")
