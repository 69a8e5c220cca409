"""The command line: keys, exit codes, bad input, interruptions, files that are whole or absent."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from asking import answered, refused, run
from schemas import SCHEMAS

from packing.cli import app as cli
from packing.cli.app import COMMANDS, table
from packing.errors import NotReached
from packing.results import Result
from packing.weights import read_weights
from theory import Features, Objective, loss, optimum

ROOT = Path(__file__).resolve().parent.parent
CRITICAL = "critical -n 2 -d 1 --S-min 0.2 --starts 16"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.npz"
    np.savez(path, W=np.array([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]]), b=np.array([0.1, 0.1, 0.0]))
    return path


@pytest.fixture(scope="module")
def pair() -> Any:
    """The ladder that CRITICAL asks for, computed once."""
    return importlib.import_module("theory.ladders").ladder(
        Features.of(2, 0.5), 1, S_min=0.2, starts=16, cache=False
    )


@pytest.fixture
def computed(pair: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Answers every ladder with that one, and lists the questions that reached the solver."""
    questions: list[Any] = []

    def searched(features: Features, d: int, objective: Objective, *rest: Any) -> Any:
        questions.append((features, objective, rest[1]))
        return pair

    monkeypatch.setattr(importlib.import_module("theory.ladders"), "searched", searched)
    return questions


# Help.


def test_help_lists_every_command_and_the_exit_codes() -> None:
    text = run("--help").stdout
    for name in COMMANDS:
        assert f"\n  {name} " in text
    assert "130" in text and "Examples:" in text
    assert run("").stdout == text


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_verb_is_its_docstring_with_examples(name: str) -> None:
    command = table.get_command(click.Context(table), name)
    assert isinstance(command, cli.Verb)
    opening = cli.docstring_opening(command.verb)
    assert opening, f"{command.verb} has no docstring to take the help from"
    text = " ".join(run(f"{name} --help").stdout.split())
    assert opening[0] in text
    assert f"packing {name} " in text.partition("Examples:")[2]


def test_version() -> None:
    assert run("--version").stdout.startswith("packing, version 0.1.0")


# Answers.


def test_loss_keys_and_values(model: Path) -> None:
    values = answered(f"loss {model} -S 0.25")
    assert (values["n"], values["d"], values["S"], values["one_minus_S"]) == (3, 2, 0.25, 0.75)
    assert values["loss"] == pytest.approx(sum(values["per_feature"]), rel=1e-14)
    assert values["loss"] == pytest.approx(values["capacity"] + values["interference"], rel=1e-14)
    # By hand, digon with b = 0.1: E (x - (x - y + 0.1)_+)^2 over the four patterns of (x, y).
    digon = 0.75**2 * 0.01 + 0.1875 * 0.01 + 0.1875 * 0.0 + 0.0625 * 0.81
    assert values["per_feature"] == pytest.approx([digon, digon, 0.0], rel=1e-13, abs=1e-15)


def test_loss_model_options_change_the_model(model: Path) -> None:
    base = f"loss {model} -S 0.25"
    plain = answered(base)["loss"]
    others = ["--law uniform", "--law exponential", "--no-bias", "--linear", "--importance 1,2,3"]
    assert len({plain, *(answered(f"{base} {option}")["loss"] for option in others)}) == 6
    each = answered(f"loss {model} -S 0.25,0.25,0.5")
    assert each["S"] == [0.25, 0.25, 0.5] and each["one_minus_S"] == [0.75, 0.75, 0.5]


def test_importance_of_the_file_counts_unless_given(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, W=np.array([[1.0, -1.0, 0.3]]), importance=[2.0, 1.0, 0.5])
    values = answered(f"loss {path} -S 0.3")
    assert values["importance"] == [2.0, 1.0, 0.5]
    again = answered(f"loss {path} -S 0.3 --importance 1,1,1")
    assert values["per_feature"][0] == pytest.approx(2.0 * again["per_feature"][0], rel=1e-13)
    assert answered(f"loss {path} -S 0.3 --importance-decay 0.5")["importance"] == [1.0, 0.5, 0.25]


def test_square_weights_need_the_orientation(tmp_path: Path) -> None:
    path = tmp_path / "w.npy"
    np.save(path, np.array([[1.0, 0.5], [0.0, 0.2]]))
    assert "--orientation" in refused(f"loss {path} -S 0.1")
    one = answered(f"loss {path} -S 0.1 --orientation d,n")
    assert one["loss"] != answered(f"loss {path} -S 0.1 --orientation n,d")["loss"]


def test_optimal_keys_values_and_saved_weights(tmp_path: Path) -> None:
    path = tmp_path / "pair.npz"
    values = answered(f"optimal -n 2 -d 1 -S 0.3 --seed 1 --save {path}")
    exact = 2 * 0.3**2 * 0.7**2 / (0.3**2 + 0.7**2)  # the equal-norm antipodal pair
    assert values["loss"] == pytest.approx(exact, rel=1e-12)
    assert values["name"] == "digon" and values["represented"] == 2
    assert np.shape(values["W"]) == (1, 2) and np.shape(values["b"]) == (2,)
    assert values["D_star"] == pytest.approx(1.0 / np.sum(np.square(values["W"])), rel=1e-12)
    again = answered(f"loss {path} -S 0.3")
    assert again["loss"] == pytest.approx(values["loss"], rel=1e-13)


def test_same_seed_same_answer() -> None:
    line = "optimal -n 3 -d 2 -S 0.2 --seed 5 --starts 20"
    assert answered(line) == answered(line)


@pytest.mark.parametrize(
    ("line", "loss"),
    [
        ("optimal -n 3 -d 3 -S 0.4", 0.0),
        ("optimal -n 2 -d 5 -S 0.4", 0.0),
        ("optimal -n 1 -d 1 -S 0.4", 0.0),
        ("optimal -n 3 -d 2 -S 1", 0.0),  # binary, always on: the bias alone reproduces it
    ],
)
def test_trivial_optima_are_answered(line: str, loss: float) -> None:
    assert answered(line)["loss"] == pytest.approx(loss, abs=1e-12)


def test_zero_weights_and_duplicated_columns_are_answered(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, W=np.zeros((2, 3)))
    assert answered(f"loss {path} -S 0.5")["loss"] == pytest.approx(1.5, rel=1e-14)
    np.savez(path, W=np.ones((2, 3)))
    assert answered(f"loss {path} -S 0.5")["loss"] > 0.0


def test_critical_keys_and_the_known_digon() -> None:
    values = answered(CRITICAL)
    # design sheet, observed: the equal-norm digon is the optimum for about 0.251 < S < 0.419
    ends = [change["S"] for change in values["ladder"]]
    assert any(abs(S - 0.251) < 2e-3 for S in ends) and any(abs(S - 0.419) < 2e-3 for S in ends)
    assert ends == sorted(ends, reverse=True)
    for change in values["ladder"]:
        assert change["bracket"][0] <= change["S"] <= change["bracket"][1]
        assert change["one_minus_S"] == 1.0 - change["S"]


@pytest.mark.parametrize("size", ["-n 1 -d 1", "-n 3 -d 3", "-n 2 -d 4"])
def test_trivial_ladders_are_answered(size: str) -> None:
    values = answered(f"critical {size}")
    assert values["ladder"] == [] and values["S_star"] == 1.0


def test_exact_rungs_are_roots_of_their_polynomials(own_cache: Path) -> None:
    """Fresh and from the cache; the polynomial changes sign at the S that the search found."""
    plain = answered(f"{CRITICAL}")
    for _ in range(2):
        changes = answered(f"{CRITICAL} --exact")["ladder"]
        assert [change["S"] for change in changes] == [change["S"] for change in plain["ladder"]]
        exact = [change for change in changes if change["polynomial"]]
        assert exact and all(change["exact"]["known"] == "proved" for change in exact)
        for change in exact:
            near = [eval(change["polynomial"], {"S": change["S"] + e}) for e in (-1e-6, 1e-6)]
            assert near[0] * near[1] < 0.0
    assert all(change["polynomial"] is None for change in plain["ladder"])


@pytest.mark.usefixtures("computed")
def test_exact_says_where_it_has_nothing() -> None:
    result = run(f"{CRITICAL} --exact --no-bias --json")
    assert "polynomial stays null" in result.stderr
    assert all(change["polynomial"] is None for change in json.loads(result.stdout)["ladder"])


@pytest.mark.usefixtures("computed")
@pytest.mark.parametrize("line", ["optimal -n 3 -d 2 -S 0.2 --starts 20", CRITICAL])
def test_tables_for_people(line: str) -> None:
    text = run(line).stdout
    assert "\x1b" not in text  # no terminal, no colours
    assert "1 - S" in text and "nan" not in text and "..." not in text
    assert all(part == part.rstrip() for part in text.splitlines())


def test_numbers_are_whole_in_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "optimal -n 3 -d 2 -S 0.2 --starts 20"
    wide = run(line).stdout.split()
    monkeypatch.setenv("COLUMNS", "30")
    assert run(line).stdout.split() == wide


def test_tables_of_a_loss(model: Path) -> None:
    text = run(f"loss {model} -S 0.25").stdout
    assert "interference" in text and "1 - S" in text and "read as (d,n)" in text


def test_numbers_that_are_not_finite_are_null() -> None:
    values = {"a": float("inf"), "b": np.array([1.0, np.nan]), "c": np.float64("-inf"), "d": (1,)}
    assert cli.plain(values) == {"a": None, "b": [1.0, None], "c": None, "d": [1]}
    with pytest.raises(TypeError):
        cli.plain({"a": object()})


def test_colours_only_on_a_terminal_that_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> int:
            return len(text)

        def flush(self) -> None:
            pass

    monkeypatch.setenv("TERM", "xterm-256color")
    assert cli.console(Terminal()).color_system is not None
    monkeypatch.setenv("NO_COLOR", "1")
    assert cli.console(Terminal()).color_system is None
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with open(os.devnull, "w") as file:
        assert cli.console(file).color_system is None


# Bad input: one clear line, exit code 2, nothing written.


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("optimal -n 5 -d 2 -S 1.7", "S = 1.7 is not a probability"),
        ("optimal -n 5 -d 2 -S 0", "S = 0 is not a probability"),
        ("optimal -n 5 -d 2 -S -0.1", "S = -0.1 is not a probability"),
        ("optimal -n 5 -d 2 -S nan", "S = nan is not a probability"),
        ("optimal -n 5 -d 2 -S inf", "S = inf is not a probability"),
        ("optimal -n 5 -d 2 -S ten", "S = 'ten' is not numeric"),
        ("optimal -n 5 -d 2 -S 0.1,", "S = '0.1,' is not numeric"),
        ("optimal -n 5 -d 2 -S 0.1,0.2", "S has 2 values for n = 5"),
        ("optimal -n 0 -d 2 -S 0.1", "n = '0' is not a positive whole number"),
        ("optimal -n -3 -d 2 -S 0.1", "n = '-3' is not a positive whole number"),
        ("optimal -n 2.5 -d 2 -S 0.1", "n = '2.5' is not a positive whole number"),
        ("optimal -n 5 -d two -S 0.1", "d = 'two' is not a positive whole number"),
        ("critical -n 5 -d 0", "d = '0' is not a positive whole number"),
        ("optimal -n 5 -d 2 -S 0.1 --starts 0", "starts = '0' is not a positive whole number"),
        ("optimal -n 5 -d 2 -S 0.1 --seed -1", "seed = '-1' is not a whole number >= 0"),
        ("optimal -n 3 -d 2 -S 0.1 --importance 1,-1,1", "importance holds a negative"),
        ("optimal -n 3 -d 2 -S 0.1 --importance 0,0,0", "importance is zero for every feature"),
        ("optimal -n 3 -d 2 -S 0.1 --importance 1,nan,1", "importance holds a negative or non-f"),
        ("optimal -n 3 -d 2 -S 0.1 --importance 1,1", "importance has shape (2,)"),
        ("optimal -n 3 -d 2 -S 0.1 --importance-decay -1", "importance-decay = -1 is out of range"),
        ("optimal -n 99 -d 2 -S 0.1 --importance-decay 1e300", "overflow"),
        ("optimal -n 3 -d 2 -S 0.1 --importance 1,1,1 --importance-decay 1", "keep one"),
        ("critical -n 3 -d 2 --importance 0,0,0", "importance is zero for every feature"),
        ("optimal -n 3 -d 2 -S 0.1 --law gaussian", "law = 'gaussian' is unknown"),
        ("critical -n 3 -d 2 --law gaussian", "law = 'gaussian' is unknown"),
        ("critical -n 3 -d 2 --S-min 0", "S-min = 0 is out of range"),
        ("critical -n 3 -d 2 --S-min 0.7", "S-min = 0.7 is out of range"),
        ("critical -n 3 -d 2 --S-min low", "S-min = 'low' is not a number"),
        ("loss nowhere.npz -S 0.1", "nowhere.npz cannot be read: no such file"),
        ("optimal -d 2 -S 0.1", "Missing option '-n'"),
        ("optimal -n 5 -d 2 -S 0.1 --sed 3", "No such option '--sed'"),
        ("loss", "Missing"),
        ("--nonsense", "No such option"),
        ("optimum -n 5", "no command 'optimum'"),
    ],
)
def test_bad_input_is_one_clear_line(line: str, said: str) -> None:
    assert said in refused(line)


def test_bad_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    for arrays, said in (
        ({"W": np.array([[np.nan, 1.0]])}, "NaN"),
        ({"W": np.ones(3)}, "must be a matrix"),
        ({"W": np.ones((1, 2)), "b": np.ones(3)}, "does not fit"),
        ({"W": np.ones((1, 2)), "extra": np.ones(3)}, "unknown keys 'extra'"),
        ({"W": np.array([[None, 1]], dtype=object)}, "pickled"),
    ):
        np.savez(path, **arrays)  # type: ignore[arg-type]
        assert said in refused(f"loss {path} -S 0.1")
    path.write_text("no weights")
    assert "is not an npz" in refused(f"loss {path} -S 0.1")


@pytest.mark.parametrize("option", ["--save", "--plot"])
def test_targets_are_checked_before_anything_is_computed(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the search was started")

    monkeypatch.setattr(importlib.import_module("theory.optima"), "optimum", never)
    base, ending = "optimal -n 5 -d 2 -S 0.1", {"--save": "npz", "--plot": "png"}[option]
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("")
    for target, said in (
        (tmp_path / f"folder.{ending}", "is a folder"),
        (tmp_path / "none" / f"x.{ending}", "not an existing folder"),
        (tmp_path / "file" / f"x.{ending}", "not an existing folder"),
        (tmp_path / "x.gif", "no known ending"),
        (tmp_path / "x", "no known ending"),
        (Path(f"/proc/x.{ending}"), "cannot be written"),
    ):
        if target.parts[1] == "proc" and not Path("/proc/self").exists():
            continue
        assert said in refused(f"{base} {option} {target}")
    left = {path.name for path in tmp_path.rglob("*")}
    assert left == {"folder.npz", "folder.png", "file"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_no_permission_is_bad_input(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert "permission denied" in refused(f"optimal -n 5 -d 2 -S 0.1 --save {closed}/x.npz")
    kept = tmp_path / "kept.npz"
    kept.touch(mode=0o400)
    assert "write-protected" in refused(f"optimal -n 5 -d 2 -S 0.1 --save {kept}")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_devices_are_not_replaced_by_files(tmp_path: Path) -> None:
    link = tmp_path / "link.npz"
    link.symlink_to("/dev/full")
    assert "not a regular file" in refused(f"optimal -n 2 -d 1 -S 0.3 --save {link}")
    assert link.is_symlink() and Path("/dev/full").is_char_device()


def test_a_link_is_followed_and_kept(tmp_path: Path) -> None:
    (tmp_path / "real.npz").touch()
    link = tmp_path / "link.npz"
    link.symlink_to(tmp_path / "real.npz")
    assert run(f"optimal -n 2 -d 1 -S 0.3 --save {link}").exit_code == 0
    assert link.is_symlink() and (tmp_path / "real.npz").stat().st_size > 0


# Pictures.


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_pictures_of_an_optimum(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"optimum.{ending}"
    assert run(f"optimal -n 3 -d 2 -S 0.2 --starts 20 --plot {path}").exit_code == 0
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    assert path.read_bytes().startswith(start)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_picture_of_a_ladder_fresh_and_from_the_cache(tmp_path: Path, computed: list[Any]) -> None:
    path = tmp_path / "ladder.png"
    assert run(f"{CRITICAL} --plot {path}").exit_code == 0
    first = path.read_bytes()
    path.unlink()
    again = run(f"{CRITICAL} --plot {path}")
    assert "from the cache" in again.stderr and len(computed) == 1
    assert path.read_bytes() == first


def test_a_picture_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(optimum: Any, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(importlib.import_module("theory.plotting"), "draw_optimum", full)
    result = run(f"optimal -n 2 -d 1 -S 0.3 --plot {tmp_path}/x.png")
    assert result.exit_code == 2 and "No space left" in result.stderr
    assert "digon" in result.stdout  # the answer was printed first
    assert list(tmp_path.iterdir()) == []


# A method that gives up: the partial answer is printed, exit code 3.


def test_a_search_that_gives_up_prints_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("theory.optima")
    real = module.optimum

    def gives_up(*args: Any, **kwargs: Any) -> None:
        raise NotReached("the search ended early: raise --starts", real(*args, **kwargs))

    monkeypatch.setattr(module, "optimum", gives_up)
    values = answered("optimal -n 2 -d 1 -S 0.3", code=3)
    assert values["status"] == "unsettled" and values["loss"] > 0
    assert values["advice"] == "the search ended early: raise --starts"
    assert "ended early" in run("optimal -n 2 -d 1 -S 0.3").stderr


def test_a_search_with_nothing_in_hand_keeps_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def gives_up(*args: Any, **kwargs: Any) -> None:
        raise NotReached("nothing was found: raise --starts")

    monkeypatch.setattr(importlib.import_module("theory.optima"), "optimum", gives_up)
    result = run("optimal -n 2 -d 1 -S 0.3 --json")
    assert result.exit_code == 3
    values = json.loads(result.stdout)
    assert set(SCHEMAS["optimal"]["required"]) <= set(values) and values["loss"] is None
    assert run("optimal -n 2 -d 1 -S 0.3").exit_code == 3


def test_a_ladder_that_gives_up_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    def gives_up(*args: Any, **kwargs: Any) -> None:
        raise NotReached("two branches could not be told apart: lower --S-min")

    monkeypatch.setattr(importlib.import_module("theory.ladders"), "ladder", gives_up)
    values = answered(CRITICAL, code=3)
    assert values["ladder"] == [] and "told apart" in values["advice"]
    assert list(own_cache.iterdir()) == []


def test_too_little_memory_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(*args: Any, **kwargs: Any) -> None:
        raise MemoryError("Unable to allocate 7 PiB")

    monkeypatch.setattr(importlib.import_module("theory.optima"), "optimum", greedy)
    assert "7 PiB" in refused("optimal -n 2 -d 1 -S 0.3", code=3)


# Results: what a command prints is what the verb returns.


def test_a_command_prints_what_its_verb_returns(model: Path, pair: Any) -> None:
    features = Features.of(3, 0.2)
    found: list[tuple[str, Result]] = [
        (f"loss {model} -S 0.2", loss(read_weights(model), features=features)),
        ("optimal -n 3 -d 2 -S 0.2 --starts 20", optimum(features, 2, starts=20)),
        (CRITICAL, pair),
    ]
    for line, result in found:
        assert answered(line) == result.to_dict()
        text = run(line).stdout
        for name, value in result._facts():
            assert name in text and value.split()[0] in text
        assert 20 < len(repr(result)) < 400 and "array" not in repr(result)
        assert "<table>" in result._repr_html_()
        assert result.plot().get_children()


def test_results_are_frames(pair: Any) -> None:
    pytest.importorskip("pandas")
    found = optimum(Features.of(3, 0.2), 2, starts=20)
    assert found.to_frame()["loss"].sum() == pytest.approx(found.loss.total, rel=1e-12)
    assert pair.to_frame()["S"].tolist() == [change.S for change in pair.crossings]
    assert pair.branches[0].to_frame()["loss"].tolist() == pair.branches[0].loss.tolist()


# The cache.


def test_an_identical_question_is_answered_from_the_cache(
    own_cache: Path, computed: list[Any]
) -> None:
    first = run(f"{CRITICAL} --json")
    assert len(list(own_cache.iterdir())) == 1
    again = run(f"{CRITICAL} --json")
    assert again.stdout == first.stdout and len(computed) == 1
    assert "from the cache" in again.stderr and "from the cache" not in first.stderr


def test_another_question_or_no_cache_is_computed(own_cache: Path, computed: list[Any]) -> None:
    run(f"{CRITICAL} --no-cache")
    assert list(own_cache.iterdir()) == []
    changes = ("", "--seed 1", "--law uniform", "--no-bias", "--linear", "--importance 2,1")
    for count, change in enumerate(changes, start=1):
        assert "from the cache" not in run(f"{CRITICAL} {change}").stderr
        assert len(list(own_cache.iterdir())) == count
    asked = [(seed, f.law.name, model.bias, model.relu) for f, model, seed in computed[1:]]
    assert asked == [
        (0, "binary", True, True),
        (1, "binary", True, True),
        (0, "uniform", True, True),
        (0, "binary", False, True),
        (0, "binary", True, False),
        (0, "binary", True, True),
    ]
    assert list(computed[-1][0].importance) == [2.0, 1.0]


# Interruptions: exit code 130, no traceback, nothing written, at any moment.

LONG = "optimal -n 60 -d 20 -S 0.02 --law uniform --json --save {}/w.npz --plot {}/w.png"


def interrupted(line: str, delay: float) -> subprocess.CompletedProcess[str]:
    """Run a command, and send it SIGINT a while after it has begun."""
    code = (
        "from packing.cli.app import exit_on_interrupt, main\n"
        "exit_on_interrupt()\n"
        "import sys; sys.stderr.write('ready\\n'); sys.stderr.flush()\n"
        f"main({line.split()!r})\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a runner in the background of a script ignores SIGINT, and hands that down
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None and process.stderr.readline() == "ready\n"
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(line, process.returncode, out, err)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("delay", [0.0, 0.05, 0.15, 0.4, 3.0])
def test_interrupted_at_any_moment(delay: float, tmp_path: Path) -> None:
    done = interrupted(LONG.format(tmp_path, tmp_path), delay)
    assert done.returncode == 130
    assert done.stderr == "packing: interrupted\n"
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_an_interruption_takes_half_written_files_away(tmp_path: Path) -> None:
    code = (
        "import os, signal\n"
        "from packing.cli.app import exit_on_interrupt\n"
        "from packing.files import replacing\n"
        "exit_on_interrupt()\n"
        f"with replacing({str(tmp_path / 'x.npz')!r}) as path:\n"
        "    path.write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60)
    assert done.returncode == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_reader_that_hangs_up_is_no_error() -> None:
    line = f"{sys.executable} -m packing optimal -n 2 -d 1 -S 0.3 --json"
    process = subprocess.Popen(
        line.split(), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == ""
    process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_standard_output_is_one_line() -> None:
    line = f"{sys.executable} -m packing optimal -n 2 -d 1 -S 0.3 --json"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            line.split(), cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "no space left" in done.stderr


def test_a_bug_shows_its_traceback_and_its_own_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from packing.cli.app import main

    def broken(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(importlib.import_module("theory.optima"), "optimum", broken)
    handler: Callable[..., Any] | int | None = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as caught:
            main(["optimal", "-n", "2", "-d", "1", "-S", "0.3"])
    finally:
        signal.signal(signal.SIGINT, handler)
    assert caught.value.code == 70
    assert "ZeroDivisionError" in capsys.readouterr().err
