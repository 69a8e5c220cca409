"""packing code, bounds, identify and table: keys, exit codes, bad input, files, interruptions."""

from __future__ import annotations

import contextlib
import csv
import importlib
import io
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapes
from asking import answered, refused, run
from schemas import ARRANGEMENTS, NO_CODE, SCHEMAS

from packing.bounds import bounds
from packing.catalogue import entry
from packing.cli.app import TABLES
from packing.errors import NotReached
from packing.evaluation import code_table, evaluate
from packing.plotting import new_figure
from packing.proofs.certificates import Certificate
from packing.recognition import identify
from packing.results import Evidence
from packing.search import search
from packing.search.code import make_code, upright_lines
from packing.weights import read_weights, save_weights

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """No search may start."""

    def search(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the search was started")

    for module in ("packing.search", "packing.evaluation"):
        monkeypatch.setattr(importlib.import_module(module), "search", search)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The questions that reached the search."""
    module, questions = importlib.import_module("packing.search"), []
    real = module.search

    def search(n: int, d: int, criterion: str, **rest: Any) -> Any:
        questions.append((n, d, criterion, rest["s"], rest["seed"]))
        return real(n, d, criterion, **rest)

    monkeypatch.setattr(module, "search", search)
    monkeypatch.setattr(importlib.import_module("packing.evaluation"), "search", search)
    return questions


# packing code.


def test_code_keys_and_a_known_answer() -> None:
    values = answered("code -n 6 -d 3")
    assert values["name"] == "3 digon (octahedron)" and values["status"] == "proved"
    assert values["max_cosine"] == pytest.approx(0.0, abs=1e-15)
    assert values["min_angle_deg"] == pytest.approx(90.0)
    assert values["coherence"] == pytest.approx(1.0)
    # 12 edges of length sqrt 2 and 3 diameters
    assert values["energy"] == pytest.approx(12 / math.sqrt(2) + 3 / 2, rel=1e-14)
    assert values["verdict"] == "proved" and values["gap"] == pytest.approx(0, abs=1e-15)
    assert np.shape(values["vectors"]) == (6, 3) and len(values["contacts"]) == 12
    assert values["rattlers"] == [] and values["exponent"] is None


def test_a_search_reaches_a_code_that_is_no_closed_form() -> None:
    values = answered("code -n 7 -d 3 --seconds 20 --seed 3")
    X = np.array(values["vectors"])
    C = X @ X.T - 2.0 * np.eye(7)
    assert values["max_cosine"] == pytest.approx(C.max(), abs=1e-15)
    # Schuette and van der Waerden 1951: the largest cosine c is cot 40 degrees times cot 80 degrees
    exact = 1.0 / (math.tan(math.radians(40)) * math.tan(math.radians(80)))
    assert values["max_cosine"] == pytest.approx(exact, abs=1e-12)
    assert values["gap"] == pytest.approx(values["max_cosine"] - values["bound"], abs=1e-15)
    assert values["bound"] < values["max_cosine"] and values["seed"] == 3
    touching = {tuple(pair) for pair in values["contacts"]}
    i, j = np.nonzero(np.triu(C.max() - 1e-9 < C, 1))
    assert touching == set(zip(i.tolist(), j.tolist(), strict=True))


def test_energies_and_lines_have_values_of_their_own() -> None:
    coulomb = answered("code -n 4 -d 3 --criterion coulomb")
    assert coulomb["energy"] == pytest.approx(6.0 / math.sqrt(8.0 / 3.0), rel=1e-12)
    assert coulomb["value"] == coulomb["energy"] and coulomb["verdict"] == "proved"
    riesz = answered("code -n 4 -d 3 --criterion riesz --exponent 2")
    assert riesz["energy"] == pytest.approx(6.0 * 3.0 / 8.0, rel=1e-12)
    assert riesz["bound"] is None and riesz["exponent"] == 2.0
    lines = answered("code -n 4 -d 3 --criterion lines")
    assert lines["coherence"] == pytest.approx(1.0 / 3.0, abs=1e-14)
    assert lines["bound"] == pytest.approx(1.0 / 3.0, abs=1e-14)
    # one end of each line is chosen so that the vectors' angle is that of the lines
    assert lines["max_cosine"] == pytest.approx(lines["coherence"], abs=1e-15)
    assert math.cos(math.radians(lines["min_angle_deg"])) == pytest.approx(1.0 / 3.0, abs=1e-14)


def test_lines_are_turned_only_where_needed() -> None:
    from packing.arrangement import Arrangement

    simplex = Arrangement.from_weights(shapes.simplex(3))
    turned = upright_lines(simplex)
    assert turned.max_cosine == pytest.approx(turned.coherence)
    np.testing.assert_allclose(np.abs(turned.cosines), np.abs(simplex.cosines), atol=1e-15)
    assert upright_lines(turned) is turned


@pytest.mark.parametrize("criterion", ["angle", "coulomb", "lines", "riesz --exponent 3"])
@pytest.mark.parametrize("size", ["-n 1 -d 1", "-n 1 -d 3", "-n 2 -d 5", "-n 3 -d 3"])
def test_trivial_codes_are_answered(size: str, criterion: str) -> None:
    values = answered(f"code {size} --criterion {criterion}")
    n, d = (int(word) for word in size.split()[1::2])
    assert np.shape(values["vectors"]) == (n, d)
    if n == 1:
        assert values["max_cosine"] is None and values["min_angle_deg"] is None


def test_more_points_than_a_line_has_places() -> None:
    values = answered("code -n 3 -d 1")
    assert values["max_cosine"] == 1.0 and values["energy"] is None  # two points coincide


@pytest.mark.parametrize(
    "line",
    [
        "code -n 5 -d 2",
        "code -n 1 -d 2",
        "code -n 4 -d 3 --criterion lines",
        "code -n 9 -d 9",
        "bounds -n 12 -d 3",
        "bounds -n 1 -d 1",
        "bounds -d 4 --cosine 1/2",
    ],
)
def test_tables_for_people(line: str) -> None:
    result = run(line)
    assert result.exit_code == 0, result.output
    text = result.stdout
    assert "\x1b" not in text and "nan" not in text and "None" not in text
    assert all(part == part.rstrip() for part in text.splitlines())
    if line.startswith("code"):
        assert "verdict" in text and "largest cosine" in text


def test_one_vector_has_no_angle_and_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = []

    def draw(arrangement: Any, path: Path, *, title: str, **more: Any) -> None:
        titles.append(title)
        Path(path).write_bytes(b"picture")

    monkeypatch.setattr(importlib.import_module("packing.plotting"), "draw_code", draw)
    result = run(f"code -n 1 -d 3 --plot {tmp_path}/x.png")
    assert "found by        a closed form" in result.stdout
    assert "proved. A single vector" in result.stdout
    assert titles == ["1 dedicated\nn = 1, d = 3: no angle, proved optimal"]


def test_gerzon_is_about_equiangular_lines() -> None:
    """24 lines in R^3 exist: 6 is not how many lines there can be."""
    shown = run("bounds -n 24 -d 3").stdout
    assert "How many equiangular lines there can be" in shown
    assert "How many lines there can be" not in shown
    assert (
        "How many lines there can be, coherence at most 1/2"
        in run("bounds -d 8 --cosine 1/2").stdout
    )


def test_same_seed_same_answer() -> None:
    line = "code -n 6 -d 3 --criterion coulomb --seed 5 --seconds 20"
    first, again = answered(line), answered(line)
    for values in (first, again):
        values.pop("seconds")
    assert first == again


def test_files_of_a_code(tmp_path: Path) -> None:
    npz, proof, picture = tmp_path / "c.npz", tmp_path / "c.json", tmp_path / "c.png"
    options = f"--save {npz} --certificate {proof} --plot {picture} --prove"
    values = answered(f"code -n 4 -d 3 {options}")
    weights = read_weights(npz, "d,n")
    np.testing.assert_array_equal(weights.W.T, values["vectors"])
    certificate = Certificate.load(proof)
    assert certificate.verify() and float(certificate.cosine) == pytest.approx(-1 / 3, abs=1e-12)
    assert values["certificate"]["proved"] and values["existence"]["status"] == "proved"
    assert float(values["existence"]["cosine"]) == pytest.approx(-1 / 3, abs=1e-12)
    assert values["algebraic"]["polynomial"] == "3*x + 1"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in tmp_path.iterdir()} == {"c.npz", "c.json", "c.png"}


def seven_lines(n: int = 7, d: int = 3, criterion: str = "lines", **rest: Any) -> Any:
    """Axes and diagonals of the cube, as a search would give them."""
    signs = np.array([[1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]]) / math.sqrt(3.0)
    X = np.concatenate([np.eye(3), signs])
    counts = {"reached": 1, "runs": 1, "seconds": 1.0, "seed": 0}
    return make_code(X, "lines", 3**-0.5, **counts, end="found-rarely")


def test_an_exact_cosine_decides_what_a_float_leaves_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven lines in R^3 reach the orthoplex bound, which digits alone cannot show."""
    monkeypatch.setattr(importlib.import_module("packing.search"), "search", seven_lines)
    line = "code -n 7 -d 3 --criterion lines"
    assert answered(line)["verdict"] == "numerical"
    values = answered(f"{line} --prove")
    assert values["algebraic"]["status"] == "proved"
    assert values["algebraic"]["polynomial"] == "3*x**2 - 1"
    assert values["verdict"] == "proved" and values["status"] == "proved"
    assert values["gap"] == pytest.approx(0.0, abs=1e-12)
    assert "sqrt(3)/3" in run(f"{line} --prove").stdout


def test_a_wrong_exact_cosine_decides_nothing() -> None:
    """Negative control: only the number of the bound itself closes the gap."""
    found = evaluate(seven_lines())
    assert found.verdict is Evidence.NUMERICAL
    assert found.with_exact("sqrt(3)/3").verdict is Evidence.PROVED
    assert found.with_exact("5773502692/10000000000").verdict is Evidence.NUMERICAL


@pytest.mark.parametrize("size", ["-n 5 -d 2", "-n 4 -d 3 --criterion lines", "-n 6 -d 4"])
@pytest.mark.parametrize("ending", ["svg", "pdf"])
def test_pictures_of_codes(tmp_path: Path, size: str, ending: str) -> None:
    path = tmp_path / f"code.{ending}"
    assert run(f"code {size} --plot {path}").exit_code == 0
    start = {"svg": b"<?xml", "pdf": b"%PDF"}[ending]
    first = path.read_bytes()
    assert first.startswith(start)
    run(f"code {size} --plot {path}")
    assert path.read_bytes() == first


# A search that gives up: the partial answer is printed, exit code 3.


def test_a_search_that_is_not_content_prints_what_it_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unfinished(n: int, d: int, criterion: str, **rest: Any) -> Any:
        X = shapes.icosahedron().T[:10]
        seconds = rest["seconds"]
        return make_code(
            X, criterion, 5**-0.5, reached=1, runs=2, seconds=seconds, seed=0, end="unfinished"
        )

    monkeypatch.setattr(importlib.import_module("packing.search"), "search", unfinished)
    values = answered("code -n 10 -d 3", code=3)
    assert values["status"] == "unsettled" and len(values["vectors"]) == 10
    assert (values["reached"], values["runs"]) == (1, 2)
    saved = tmp_path / "c.npz"
    result = run(f"code -n 10 -d 3 --save {saved}")
    assert result.exit_code == 3 and "give more seconds" in result.stderr
    assert "largest cosine" in result.stdout and saved.exists()


def test_a_search_with_nothing_in_hand_keeps_every_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def gives_up(*args: Any, **kwargs: Any) -> None:
        raise NotReached("1e-09 seconds were too short for a single attempt: give more")

    monkeypatch.setattr(importlib.import_module("packing.search"), "search", gives_up)
    line = f"code -n 30 -d 5 --save {tmp_path}/a.npz --plot {tmp_path}/a.png"
    values = answered(line, code=3, schema=NO_CODE)
    assert set(SCHEMAS["code"]["required"]) <= set(values)
    assert "too short" in values["advice"] and values["status"] == "unsettled"
    assert "none of n = 30" in run(line).stdout
    assert list(tmp_path.iterdir()) == []


def test_a_real_budget_that_is_too_short() -> None:
    values = answered("code -n 40 -d 5 --seconds 1e-6", code=3, schema=NO_CODE)
    assert values["vectors"] is None


def test_a_value_below_a_proved_bound_is_a_failed_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control of the comparison: six points called better than they can be."""
    module = importlib.import_module("packing.search")
    real = module.search

    def boasts(*args: Any, **kwargs: Any) -> Any:
        from dataclasses import replace

        return replace(real(*args, **kwargs), value=-0.01, status=Evidence.NUMERICAL)

    monkeypatch.setattr(module, "search", boasts)
    values = answered("code -n 6 -d 3", code=1)
    assert values["impossible"] and values["verdict"] == "unsettled" and values["gap"] < 0
    assert "below the bound" in run("code -n 6 -d 3").stderr.lower()


# packing bounds.


def test_bounds_keys_and_the_icosahedron() -> None:
    values = answered("bounds -n 12 -d 3")
    cosines = [b for b in values["bounds"] if b["quantity"] == "max_cosine"]
    best = max(b["value"] for b in cosines if b["direction"] == "at least")
    assert best == pytest.approx(5**-0.5, abs=1e-12)
    assert any(b["exact"] for b in cosines) and all(b["source"] for b in values["bounds"])
    assert {"max_cosine", "coherence"} <= {b["quantity"] for b in values["bounds"]}


def test_kissing_numbers() -> None:
    values = answered("bounds -d 8 --cosine 1/2")
    points = [b["value"] for b in values["bounds"] if b["quantity"] == "points"]
    assert values["n"] is None and values["cosine"] == "1/2"
    assert 240.0 in points  # Levenshtein 1979, Odlyzko and Sloane 1979


def test_a_negative_cosine_bounds_points_only() -> None:
    values = answered("bounds -d 3 --cosine=-1/2")
    assert {b["quantity"] for b in values["bounds"]} == {"points"}


# packing identify.


def stacked(*blocks: np.ndarray) -> np.ndarray:
    W = np.zeros((sum(b.shape[0] for b in blocks), sum(b.shape[1] for b in blocks)))
    i = j = 0
    for block in blocks:
        W[i : i + block.shape[0], j : j + block.shape[1]] = block
        i, j = i + block.shape[0], j + block.shape[1]
    return W


@pytest.fixture
def mixture(tmp_path: Path) -> Path:
    """A rotated pentagon and digon, scaled, with an ignored feature."""
    W = stacked(shapes.polygon(5), np.array([[1.0, -1.0]]))
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    path = tmp_path / "mixture.npz"
    save_weights(path, 1.7 * np.c_[Q @ W, np.zeros(3)], np.zeros(8))
    return path


def test_identify_keys_and_names(mixture: Path) -> None:
    values = answered(f"identify {mixture}")
    assert values["name"] == "pentagon + digon + 1 ignored"
    blocks = {b["name"]: b for b in values["blocks"]}
    assert blocks["pentagon"]["features"] == [0, 1, 2, 3, 4]
    assert blocks["pentagon"]["symmetry_order"] == 10  # of the regular pentagon
    assert blocks["digon"]["features"] == [5, 6] and blocks["digon"]["symmetry_order"] == 2
    assert max(b["distance"] for b in blocks.values()) < 1e-12
    assert values["ignored"] == [7] and values["represented"] == 7
    assert (values["n"], values["d"], values["orientation"]) == (8, 3, "d,n")
    text = run(f"identify {mixture}").stdout
    assert "pentagon + digon + 1 ignored" in text and "read as (d,n)" in text


def test_identify_through_noise_and_what_has_no_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / "w.npy"
    np.save(path, shapes.icosahedron() + 1e-3 * rng.standard_normal((3, 12)))
    values = answered(f"identify {path}")
    assert values["name"] == "icosahedron" and 1e-4 < values["noise"] < 1e-2
    assert values["blocks"][0]["symmetry_order"] == 120
    assert answered(f"identify {path} --noise 0")["name"].startswith("irregular 12 in 3")
    np.save(path, rng.standard_normal((4, 9)))
    block = answered(f"identify {path}")["blocks"][0]
    assert block["name"].startswith("irregular 9 in 4") and block["distance"] is None
    assert block["fingerprint"]


def test_identify_reads_rows_where_told(tmp_path: Path) -> None:
    path = tmp_path / "w.npy"
    np.save(path, np.eye(3))
    assert "--orientation" in refused(f"identify {path}")
    assert answered(f"identify {path} --orientation n,d")["name"] == "3 dedicated"


def test_picture_of_what_was_identified(mixture: Path) -> None:
    path = mixture.with_suffix(".png")
    assert run(f"identify {mixture} --plot {path}").exit_code == 0
    assert path.read_bytes().startswith(b"\x89PNG")


def test_what_identify_shows_fits_the_eye(tmp_path: Path) -> None:
    """No root of a polynomial of degree 8, and no noise of rounding."""
    code, line = tmp_path / "code.npz", tmp_path / "line.npy"
    save_weights(code, entry("best 13 points").arrangement.W)
    shown = run(f"identify {code}").stdout
    assert "in --json" in shown and "CRootOf" not in shown
    assert max(map(len, shown.splitlines())) < 150
    assert any("CRootOf" in x for x in answered(f"identify {code}")["blocks"][0]["exact"])
    np.save(line, np.array([[3.0, 0.0, 1.0]]))
    assert "noise" not in run(f"identify {line}").stdout


def test_weights_of_any_size_are_drawn(tmp_path: Path) -> None:
    for size in (1e-200, 1e200):
        np.save(tmp_path / "w.npy", size * shapes.polygon(5))
        result = run(f"identify {tmp_path}/w.npy --plot {tmp_path}/w.png")
        assert result.exit_code == 0 and result.stdout.startswith("arrangement  pentagon")
        assert (tmp_path / "w.png").stat().st_size > 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("buffered", ["", "1"])
def test_a_full_disk_is_one_line_buffered_or_not(buffered: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "packing", "code", "-n", "4", "-d", "2"],
            cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": buffered},
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "no space left" in done.stderr


def test_no_terminal_is_too_narrow_for_the_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1")
    assert "arrangement     pentagon" in run("code -n 5 -d 2").stdout


def test_bad_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    for W, said in (
        (np.array([[np.nan, 1.0]]), "NaN"),
        (np.ones(3), "must be a matrix"),
        (np.array([[None, 1]], dtype=object), "pickled"),
    ):
        np.savez(path, W=W)
        assert said in refused(f"identify {path}")
    np.savez(path, W=np.zeros((2, 3)))
    assert answered(f"identify {path}")["name"] == "3 ignored"


# packing table.

SMALL = "table arrangements -n 3-6 -d 2,3"


def test_table_keys_and_order() -> None:
    values = answered(SMALL, schema=ARRANGEMENTS)
    assert [(row["d"], row["n"]) for row in values["rows"]] == [
        (d, n) for d in (2, 3) for n in (3, 4, 5, 6)
    ]
    for row in values["rows"]:
        assert set(row) == set(values["columns"])
        n, d = row["n"], row["d"]
        # the polygon, Rankin's simplex and Rankin's orthoplex
        exact = math.cos(2 * math.pi / n) if d == 2 else -1 / (n - 1) if n <= d + 1 else 0.0
        assert row["max_cosine"] == pytest.approx(exact, abs=1e-14)
        assert row["known"] == "proved"


def test_table_formats_hold_the_same_numbers(tmp_path: Path) -> None:
    rows = answered(SMALL, schema=ARRANGEMENTS)["rows"]
    read = list(csv.DictReader(io.StringIO(run(f"{SMALL} --format csv").stdout)))
    for row, line in zip(rows, read, strict=True):
        assert list(row) == list(line)
        for key, value in row.items():
            same = line[key] == "" if value is None else str(value) == line[key]
            assert same or float(line[key]) == value
    for ending, format_ in ((".md", "md"), (".tex", "latex"), (".txt", "text"), (".csv", "csv")):
        path = tmp_path / f"t{ending}"
        told = run(f"{SMALL} --out {path}")
        assert told.exit_code == 0 and told.stdout == "" and "written" in told.stderr
        assert path.read_text() == run(f"{SMALL} --format {format_}").stdout
        assert "tetrahedron" in path.read_text()


def test_lines_have_a_column_for_coherence() -> None:
    values = answered("table arrangements -n 2-4 -d 3 --criterion lines", schema=ARRANGEMENTS)
    assert [row["coherence"] for row in values["rows"]] == pytest.approx([0.0, 0.0, 1 / 3])
    assert "coherence" not in answered(SMALL, schema=ARRANGEMENTS)["columns"]


def test_finished_cells_are_remembered(asked: list[Any], own_cache: Path) -> None:
    first = run(f"{SMALL} --format csv").stdout
    assert len(asked) == 8 and len(list(own_cache.iterdir())) == 8
    again = run("table arrangements -n 3-7 -d 2,3 --format csv --seconds 3")
    assert [q[:2] for q in asked[8:]] == [(7, 2), (7, 3)]  # the others do not depend on the time
    assert "8 of 10 cells answered from the cache" in again.stderr
    assert set(first.splitlines()) <= set(again.stdout.splitlines())
    run(f"{SMALL} --no-cache")
    assert len(asked) == 18 and len(list(own_cache.iterdir())) == 10
    run(f"{SMALL} --seed 2")
    run(f"{SMALL} --criterion riesz --exponent 2")
    run(f"{SMALL} --criterion riesz --exponent 3")
    assert len(asked) == 18 + 24


def test_cells_without_an_answer_are_not_remembered(own_cache: Path) -> None:
    line = "table arrangements -n 4,30 -d 5 --seconds 1e-6"
    values = answered(line, code=3, schema=ARRANGEMENTS)
    assert [row["name"] is None for row in values["rows"]] == [False, True]
    assert [row["known"] for row in values["rows"]] == ["proved", "unsettled"]
    assert values["rows"][1]["found"].startswith("nothing in")
    assert len(list(own_cache.iterdir())) == 1
    assert "in 1 cell of 2" in run(line).stderr


def test_kinds_of_tables() -> None:
    text = run("table --help").stdout
    for kind in TABLES:
        assert kind in text
        shown = run(f"table {kind} --help").stdout
        assert f"packing table {kind} " in shown.partition("Examples:")[2]
    assert f"there are {', '.join(TABLES)}" in refused("table angles")
    assert f"give a kind of table: {', '.join(TABLES)}" in refused("table")


def test_another_room_may_add_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLES, "losses", "theory.cli.model:loss_command")
    assert re.search(
        r"\n  losses +Expected loss of the weights in a file\.", run("table --help").stdout
    )
    assert "Missing" in refused("table losses")  # it was imported and ran


# Results: the library says what the commands print.


def without_time(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != "seconds"}


def test_a_code_is_what_the_command_prints() -> None:
    found = evaluate(search(6, 3, "coulomb", seconds=20.0))
    shown = answered("code -n 6 -d 3 --criterion coulomb --seconds 20")
    assert without_time(found.to_dict()) == without_time(shown)
    code = without_time(found.code.to_dict())
    assert code.keys() < shown.keys()
    assert all(shown[key] == code[key] for key in code.keys() - {"status", "advice"})
    assert repr(found).startswith("<Evaluation arrangement: 3 digon (octahedron)")
    assert "array" not in repr(found.code) and "proved" in found._repr_html_()


def test_bounds_and_names_are_what_the_commands_print(tmp_path: Path) -> None:
    assert bounds(12, 3).to_dict() == answered("bounds -n 12 -d 3")
    assert bounds(None, 8, "1/2").to_dict() == answered("bounds -d 8 --cosine 1/2")
    assert bounds(12, 3)[0].to_dict() == answered("bounds -n 12 -d 3")["bounds"][0]
    W = shapes.polygon(5)
    np.savez(tmp_path / "w.npz", W=W)
    named, shown = identify(W), answered(f"identify {tmp_path}/w.npz")
    assert named.to_dict() == {key: shown[key] for key in named.to_dict()}
    assert repr(named).startswith("<Named arrangement: pentagon")


def test_a_table_of_codes_is_what_the_command_prints(own_cache: Path) -> None:
    table = code_table((3, 4), (2, 3))
    assert table.to_dict() == answered("table arrangements -n 3,4 -d 2,3", schema=ARRANGEMENTS)


def test_a_code_is_drawn_into_the_axes_given() -> None:
    axes = new_figure(4.0, 4.0).subplots()
    assert search(4, 3).plot(axes) is axes and axes.patches
    assert entry("24-cell").plot().get_title().startswith("12-fold projection")


# Bad input: one clear line, exit code 2, nothing written, nothing computed.


@pytest.mark.usefixtures("never")
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("code -n 0 -d 3", "n = '0' is not a positive whole number"),
        ("code -n -2 -d 3", "n = '-2' is not a positive whole number"),
        ("code -n 2.5 -d 3", "n = '2.5' is not a positive whole number"),
        ("code -n 5 -d 0", "d = '0' is not a positive whole number"),
        ("code -n 5", "Missing option '-d'"),
        ("code -n 5 -d 3 --criterion energy", "criterion = 'energy' is unknown"),
        ("code -n 5 -d 3 --criterion riesz", "needs an exponent"),
        ("code -n 5 -d 3 --criterion riesz --exponent 0", "exponent = 0 is out of range"),
        ("code -n 5 -d 3 --criterion riesz --exponent nan", "exponent = nan is out of range"),
        ("code -n 5 -d 3 --exponent 2", "--exponent is for --criterion riesz"),
        ("code -n 5 -d 3 --seconds 0", "seconds = 0 is no time budget"),
        ("code -n 5 -d 3 --seconds -3", "seconds = -3 is no time budget"),
        ("code -n 5 -d 3 --seconds nan", "seconds = nan is no time budget"),
        ("code -n 5 -d 3 --seconds inf", "seconds = inf is no time budget"),
        ("code -n 5 -d 3 --seconds soon", "seconds = 'soon' is not a number"),
        ("code -n 5 -d 3 --seed -1", "seed = '-1' is not a whole number >= 0"),
        ("code -n 5 -d 3 --criterion coulomb --prove", "--prove is about angles"),
        ("code -n 5 -d 3 --criterion coulomb --certificate x.json", "--certificate is about"),
        ("code -n 1 -d 3 --prove", "--prove needs two vectors"),
        ("bounds -d 3", "neither -n nor --cosine"),
        ("bounds -n 0 -d 3", "n = '0' is not a positive whole number"),
        ("bounds -n 3", "Missing option '-d'"),
        ("bounds -d 3 --cosine close", "cosine = 'close' is no number"),
        ("bounds -d 3 --cosine 9**9", "cosine = '9**9' is no number"),
        ("bounds -d 3 --cosine exit()", "is no number"),
        ("bounds -d 3 --cosine nan", "is no number"),
        ("bounds -d 3 --cosine 1", "a real number in [-1, 1) is required"),
        ("bounds -d 3 --cosine 1/0", "a real number in [-1, 1) is required"),
        ("bounds -d 3 --cosine sqrt(", "a real number in [-1, 1) is required"),
        ("bounds -d 1 --cosine 0.5", "d = 1"),
        ("identify nowhere.npz", "no such file"),
        ("identify nowhere.npz --tolerance 0", "tolerance = 0 is out of range"),
        ("identify nowhere.npz --tolerance nan", "tolerance = nan is out of range"),
        ("identify nowhere.npz --noise loud", "noise = 'loud' is not a number"),
        ("identify nowhere.npz --orientation up", "orientation = 'up' is unknown"),
        ("identify", "Missing"),
        ("table arrangements -n 0 -d 3", "n = '0' is no list of positive whole numbers"),
        ("table arrangements -n 5-3", "n = '5-3' is no list"),
        ("table arrangements -n 5,,6", "n = '5,,6' is no list"),
        ("table arrangements -d 2-x", "d = '2-x' is no list"),
        ("table arrangements -n 1-999999999", "more than 10000 values"),
        ("table arrangements --format html", "format = 'html' is unknown"),
        ("table arrangements --format csv --json", "keep one of them"),
        ("table arrangements --criterion best", "criterion = 'best' is unknown"),
        ("table arrangements --seconds 0", "seconds = 0 is no time budget"),
        ("table arrangements -n 1-200 -d 1-200", "200 x 200 cells are more than 10000"),
        ("table arrangements -n 4,99999999 -d 3", "GB are there"),
        ("table arrangements --out nowhere/t.md", "not an existing folder"),
        ("table arrangements --out t.doc", "no known ending"),
        ("table arrangements --out t.md --format csv", "do not agree: end the name in .csv"),
        ("code -n 2001 -d 3 --plot x.png", "2001 vectors do not fit a picture"),
    ],
)
def test_bad_input_is_one_clear_line(
    line: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in refused(line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "size", ["-n 100000000 -d 3", "-n 3 -d 100000000000", "-n 9 -d 1" + 15 * "0"]
)
def test_too_much_memory_is_refused_before_it_is_taken(size: str) -> None:
    begin = time.monotonic()
    said = refused(f"code {size}")
    assert "GB" in said and time.monotonic() - begin < 20.0


def test_weights_that_do_not_fit_are_refused_before_they_are_compared(tmp_path: Path) -> None:
    path = tmp_path / "w.npy"
    np.save(path, np.ones((1, 10**6), dtype=np.float32))
    assert "GB are there" in refused(f"identify {path}")


@pytest.mark.parametrize("line", ["code", "bounds", "identify", "table", "table arrangements"])
def test_help_loads_nothing_heavy(line: str) -> None:
    code = (
        "import sys, contextlib, io\n"
        "from packing.cli.app import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        f"    main({[*line.split(), '--help']})\n"
        "print(sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    heavy = {"numpy", "scipy", "matplotlib", "rich", "sympy", "flint", "canonaut", "tabulate"}
    assert not heavy & set(done.stdout.replace("'", "").strip("[]\n").split(", "))


@pytest.mark.usefixtures("never")
@pytest.mark.parametrize(
    ("option", "ending"), [("--save", "npz"), ("--plot", "png"), ("--certificate", "json")]
)
def test_targets_are_checked_before_anything_is_computed(
    option: str, ending: str, tmp_path: Path
) -> None:
    (tmp_path / f"folder.{ending}").mkdir()
    for target, said in (
        (tmp_path / f"folder.{ending}", "is a folder"),
        (tmp_path / "none" / f"x.{ending}", "not an existing folder"),
        (tmp_path / "x.gif", "no known ending"),
    ):
        assert said in refused(f"code -n 5 -d 2 {option} {target}")
    assert [path.name for path in tmp_path.iterdir()] == [f"folder.{ending}"]


def test_a_picture_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(figure: Any, path: Path, **more: Any) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(importlib.import_module("matplotlib.figure").Figure, "savefig", full)
    result = run(f"code -n 5 -d 2 --plot {tmp_path}/x.png")
    assert result.exit_code == 2 and "No space left" in result.stderr
    assert "pentagon" in result.stdout  # the answer was printed first
    assert list(tmp_path.iterdir()) == []


# Interruptions: exit code 130, no traceback, nothing half written, at any moment.


@contextlib.contextmanager
def started(line: str, cache: Path) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, which ends with the block."""
    code = (
        "from packing.cli.app import exit_on_interrupt, main\n"
        "exit_on_interrupt()\n"
        "import sys; sys.stderr.write('ready\\n'); sys.stderr.flush()\n"
        f"main({line.split()!r})\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "FEATURE_PACKING_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a runner in the background of a script ignores SIGINT, and hands that down
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            assert process.stderr is not None and process.stderr.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def interrupted(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err == "packing: interrupted\n"
    return out


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("delay", [0.0, 0.3, 4.0])
def test_interrupted_code_leaves_no_file(delay: float, tmp_path: Path, own_cache: Path) -> None:
    files = f"--save {tmp_path}/c.npz --plot {tmp_path}/c.png --certificate {tmp_path}/c.json"
    with started(f"code -n 90 -d 6 --json {files}", own_cache) as process:
        time.sleep(delay)
        assert interrupted(process) == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_an_interrupted_table_goes_on_where_it_stopped(tmp_path: Path, own_cache: Path) -> None:
    line = f"table arrangements -n 3,90 -d 6 --seconds 60 --out {tmp_path}/t.csv"
    with started(line, own_cache) as process:
        end = time.monotonic() + 50.0
        # a finished entry, not the hidden temporary file that is about to become one
        while not any(
            path.suffix == ".json" and path.name[0] != "." for path in own_cache.iterdir()
        ):
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.05)
        assert interrupted(process) == ""
    assert list(tmp_path.iterdir()) == []
    again = run("table arrangements -n 3 -d 6")
    assert "1 of 1 cells answered from the cache" in again.stderr
