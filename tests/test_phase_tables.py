"""Tables of phases: rows against theory.loss, the integer programme and formulas; every format.

Tolerances were set before the runs: 1e-9 relative for losses, which is what the float path
promises; 1e-8 for an S between two phases, where the losses are compared on both sides.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import answered, refused, run
from schemas import TABLE

from packing.catalogue import entry
from packing.results import Evidence
from theory.features import Features
from theory.ladders import numerical_ladder
from theory.losses.expected import loss
from theory.mixtures import block_loss, mixture_at
from theory.mixtures.candidates import Certainty, largest_cosine, part, rival_mixtures, weakest
from theory.symmetric import closed_form
from theory.tables import (
    candidate_table,
    cosines,
    critical_table,
    gain_table,
    law_table,
    phase_table,
    surplus_table,
)


def placed(name: str, S: float, law: str) -> tuple[np.ndarray, np.ndarray]:
    """W and b of a block at the norm and bias of its closed form."""
    found = closed_form(name, law).minimum(S)
    V = entry(name).vectors
    rho, bias = float(found.rho.mid()), float(found.bias.mid())
    return np.sqrt(rho) * V, np.full(V.shape[1], bias)


def stacked(*models: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Models in orthogonal subspaces."""
    d, n = (sum(W.shape[axis] for W, _ in models) for axis in (0, 1))
    whole, x, y = np.zeros((d, n)), 0, 0
    for W, _ in models:
        whole[x : x + W.shape[0], y : y + W.shape[1]] = W
        x, y = x + W.shape[0], y + W.shape[1]
    return whole, np.concatenate([b for _, b in models])


# candidates


@pytest.mark.parametrize("law", ["binary", "uniform"])
def test_candidates_against_the_loss_of_weights(law: str) -> None:
    S = 0.1
    rows = {row["phase"]: row for row in candidate_table(5, 2, S, law, optimal=False).records}
    mean = Features.of(1, S, law).mean
    ignored = np.zeros((0, 1)), mean
    digon = placed("digon", S, law)
    models = {
        "pentagon": placed("pentagon", S, law),
        "triangle + 2 ignored": stacked(placed("triangle", S, law), ignored, ignored),
    }
    if law == "uniform":
        models["2 digon + 1 ignored"] = stacked(digon, digon, ignored)
    for name, (W, b) in models.items():
        row, found = rows[name], loss(W, b, features=Features.of(5, S, law))
        assert row["loss"] == pytest.approx(found.total, rel=1e-9)
        assert row["capacity"] == pytest.approx(found.capacity, rel=1e-9)
        assert row["interference"] == pytest.approx(found.interference, rel=1e-7)
        assert row["D_star"] == pytest.approx(2 / np.sum(W**2), rel=1e-9)
        assert row["max_cosine"] == pytest.approx(largest_cosine(W), abs=1e-9)
        assert row["represented"] == int(np.sum(np.linalg.norm(W, axis=0) > 0))
        assert row["S"] == S and row["one_minus_S"] == 1 - S and row["known"] in list(Evidence)
    # a dropped term would be seen: without the ignored features' variance it is another number
    W, b = placed("triangle", S, law)
    alone = loss(W, b, features=Features.of(3, S, law)).total
    assert rows["triangle + 2 ignored"]["loss"] > 1.5 * alone


def test_uneven_digon_of_the_table() -> None:
    S = 0.2
    one = part("uneven digon", S, "binary")
    assert one.loss < 2 * part("digon", S, "binary").loss
    assert one.known == "numerical" and one.max_cosine == -1.0
    assert one.solo > 0 and one.size < 2.0


def test_the_best_candidate_is_the_best_of_all_mixtures() -> None:
    """Every combination of the blocks with up to 4 features in 2 dimensions, counted."""
    S = 0.3
    v = S * (1 - S)
    pieces: list[tuple[int, int, float]] = [(1, 1, 0.0)]
    for name in ("digon", "triangle", "pentagon"):
        row = [(c.value, m) for c, m in entry(name).rows[0][1]]
        pieces.append((entry(name).d, entry(name).n, entry(name).n * block_loss(row, [S])[0]))
    best = min(
        sum(k * x[2] for k, x in zip(counts, pieces, strict=True))
        + (4 - sum(k * x[1] for k, x in zip(counts, pieces, strict=True))) * v
        for counts in itertools.product(range(3), repeat=len(pieces))
        if sum(k * x[0] for k, x in zip(counts, pieces, strict=True)) <= 2
        and sum(k * x[1] for k, x in zip(counts, pieces, strict=True)) <= 4
    )
    rows = candidate_table(4, 2, S, optimal=False).records
    assert rows[0]["phase"] == "2 digon" and rows[0]["loss"] == pytest.approx(best, rel=1e-9)
    losses = [row["loss"] for row in rows]
    assert losses == sorted(losses) and rows[-1]["margin"] is None
    for row, following in itertools.pairwise(rows):
        if following["loss"] > row["loss"] * (1 + 1e-9):
            assert row["margin"] == pytest.approx(following["loss"] / row["loss"] - 1)


def test_the_optimum_is_a_row_of_its_own() -> None:
    rows = candidate_table(3, 1, 0.2, optimal=True).records
    optimum = next(row for row in rows if row["of"] == "optimum")
    mixed = next(row for row in rows if row["of"] == "mixture")
    assert optimum["phase"] == mixed["phase"] == "uneven digon + 1 ignored"
    assert optimum["loss"] == pytest.approx(mixed["loss"], rel=1e-9)
    assert optimum["D_star"] == pytest.approx(mixed["D_star"], rel=1e-6)
    assert optimum["known"] == "numerical"


def test_many_features_have_rivals_too() -> None:
    found = rival_mixtures(60, 10, 0.1, "binary", most=8)
    assert len(found) == 8 and len({m.name for m in found}) == 8
    assert found[0] == mixture_at(60, 10, 0.1)
    for m in found:
        assert m.d_used <= 10 and m.represented + m.ignored == 60


def test_dimensions_for_all() -> None:
    (row,) = candidate_table(2, 3, 0.3, optimal=False).records
    assert row["phase"] == "2 dedicated" and row["loss"] == 0 and row["known"] == "proved"


def test_how_a_sum_is_known() -> None:
    assert weakest([]) is Evidence.PROVED
    assert weakest([Evidence.PROVED, Evidence.NUMERICAL, Evidence.ENCLOSED]) is Evidence.NUMERICAL


# laws


def test_laws_side_by_side() -> None:
    S = 0.2
    rows = {row["phase"]: row for row in law_table(3, 1, S, optimal=False).records}
    for law in ("binary", "uniform", "exponential"):
        v = float(Features.of(1, S, law).variance[0])
        assert rows["1 dedicated + 2 ignored"][f"loss_{law}"] == pytest.approx(2 * v, rel=1e-12)
        assert rows["1 dedicated + 2 ignored"][f"share_{law}"] == pytest.approx(2 / 3)
    digon = rows["digon + 1 ignored"]
    exact = 2 * S**2 * (1 - S) ** 2 / (S**2 + (1 - S) ** 2) + S * (1 - S)
    assert digon["loss_binary"] == pytest.approx(exact, rel=1e-12)
    assert digon["loss_exponential"] is not None and digon["known"] == "numerical"
    # blocks of the binary law alone have no loss elsewhere
    assert rows["uneven digon + 1 ignored"]["loss_uniform"] is None


def test_exponential_digon_against_descent() -> None:
    """An independent minimum: one norm and one bias on a grid, refined by hand."""
    from scipy.optimize import minimize

    S = 0.2
    features = Features.of(2, S, "exponential")

    def cost(x: np.ndarray) -> float:
        return loss([[x[0], -x[0]]], [x[1], x[1]], features=features).total

    found = minimize(cost, [0.9, 0.05], method="Nelder-Mead", options={"xatol": 1e-6})
    row = next(r for r in law_table(2, 1, S, optimal=False).records if r["phase"] == "digon")
    assert row["loss_exponential"] == pytest.approx(found.fun, rel=1e-6)


# critical


def test_critical_against_the_programme_on_both_sides() -> None:
    cells = critical_table((3, 4, 5, 6), (2, 3), ("binary",)).records
    assert [(row["n"], row["d"]) for row in cells[:2]] == [(3, 2), (4, 2)]
    for row in cells:
        n, d, S = row["n"], row["d"], row["S_star"]
        if d >= n:
            assert S == 1.0 and row["known"] == "proved" and row["sparser"] == f"{n} dedicated"
            continue
        if S == 1.0:
            continue
        below, above = (mixture_at(n, d, S * (1 + x)) for x in (-1e-8, 1e-8))
        assert below.represented == n and below.name == row["sparser"]
        assert above.represented < n and above.name == row["denser"]
    known = {(row["n"], row["d"]): row["known"] for row in cells}
    assert known[4, 2] == "proved"  # digons against a triangle: a root of a polynomial
    assert known[5, 2] == "numerical"  # uneven digons have no formula here


def test_critical_negative_control() -> None:
    """One cell's S* is not another's: the check above would see it."""
    four, five = (critical_table((n,), (2,), ("binary",)).records[0]["S_star"] for n in (4, 5))
    assert mixture_at(5, 2, four * (1 - 1e-8)).represented < 5
    assert mixture_at(4, 2, five * (1 + 1e-8)).represented == 4


def test_critical_uniform() -> None:
    (row,) = critical_table((4,), (2,), ("uniform",), S_min=0.05).records
    S = row["S_star"]
    assert row["known"] == "enclosed" and row["one_minus_S_star"] == 1 - S
    pair = 4 * block_loss([(-1.0, 1)], [S], "uniform")[0]
    triple = 3 * block_loss([(-0.5, 2)], [S], "uniform")[0] + S / 3 - S * S / 4
    assert pair == pytest.approx(triple, rel=1e-9)


def test_critical_where_some_are_always_lost() -> None:
    (row,) = critical_table((3,), (1,), ("binary",)).records
    assert row["S_star"] is None and row["one_minus_S_star"] is None and row["S_onset"] == 1.0


def test_critical_up_to_all_features_always_on() -> None:
    """Uniform: a digon gains like (1 - S)^4 up to S = 1, from 0.999 on less than floats tell."""
    rows = critical_table((2, 3, 5), (1, 2), ("uniform",), S_min=0.05).records
    for row in rows:
        if row["d"] < row["n"]:
            assert row["S_onset"] == 1.0
    (pair,) = (row for row in rows if (row["n"], row["d"]) == (2, 1))
    assert pair["S_star"] == 1.0 and pair["sparser"] == pair["denser"] == "digon"
    # where floats do tell: the gain over an ignored feature, by hand from the moments of the loss
    S = 0.99
    gain = S / 3 - S * S / 4 - 2 * block_loss([(-1.0, 1)], [S], "uniform")[0]
    assert gain > 0
    later = 1 - (1 - S) / 2
    smaller = later / 3 - later**2 / 4 - 2 * block_loss([(-1.0, 1)], [later], "uniform")[0]
    assert gain / smaller == pytest.approx(16, rel=0.1)


# phases, and ladders from the cache


def test_phases_beside_the_optimum_of_the_cache() -> None:
    assert numerical_ladder(2, 1, "binary") is None
    assert all(row["ladder"] == "mixtures" for row in phase_table(2, 1).table.records)
    rows = phase_table(2, 1, optimal=True).table.records
    found = numerical_ladder(2, 1, "binary")
    assert found is not None and found.remembered
    said = run("critical -n 2 -d 1 --json")  # the same question as that command's
    assert "answered from the cache" in said.stderr
    answer = json.loads(said.stdout)
    optimum = [row for row in rows if row["ladder"] == "optimum"]
    assert len(optimum) == len(answer["ladder"]) + 1
    assert [row["S_low"] for row in optimum[:-1]] == [change["S"] for change in answer["ladder"]]
    mixed = [row for row in rows if row["ladder"] == "mixtures"]
    for row in mixed:
        assert row["S_high"] > row["S_low"] and row["one_minus_S_low"] == 1 - row["S_low"]
    # at (2,1) the best mixture is the optimum, up to rounding
    assert all(row["saves"] < 1e-6 for row in optimum if row["S_high"] < 0.9)
    cell = answered("table critical -n 2 -d 1 --law binary", schema=TABLE)["rows"][0]
    assert cell["optimum_S_star"] == answer["S_star"]


def test_only_few_small_blocks_are_enclosed_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def slow(a: Any, b: Any, S: float) -> Evidence:
        asked.append((a.name, b.name))
        return Evidence.ENCLOSED

    monkeypatch.setattr("theory.mixtures.candidates.evidence_of", slow)
    small, large = mixture_at(5, 2, 0.1), mixture_at(400, 30, 0.02)
    other = mixture_at(400, 30, 0.05)
    assert any(entry(name).n > 16 for name, _ in large.parts)
    quick = Certainty()
    assert quick.of(large, other, 0.03) == "numerical" and not asked
    assert quick.of(small, mixture_at(5, 2, 0.3), 0.2) == "enclosed" and len(asked) == 1
    quick.of(small, mixture_at(5, 2, 0.3), 0.2)
    assert len(asked) == 1  # the same crossing is not asked twice
    spent = Certainty(seconds=1.0, spent=2.0)
    assert spent.of(small, mixture_at(5, 2, 0.3), 0.2) == "numerical"
    every = Certainty(every=True, spent=100.0)
    assert every.of(large, other, 0.03) == "enclosed" and len(asked) == 2


def test_exact_on_the_command_line() -> None:
    line = "table phases -n 4 -d 2 --law uniform"
    known = [row["known"] for row in answered(f"{line} --exact", schema=TABLE)["rows"]]
    assert "enclosed" in known


def test_a_law_without_exact_forms_is_answered_and_says_so() -> None:
    said = run("table phases -n 2 -d 1 --law exponential --json")
    rows = json.loads(said.stdout)["rows"]
    assert "no exact forms" in said.stderr and rows[-1]["phase"] == "digon"
    assert all(row["known"] == "numerical" for row in rows if row["ladder"] == "mixtures")
    S = rows[-1]["S_high"] * 0.5
    digon = 2 * block_loss([(-1.0, 1)], [S], "exponential")[0]
    assert digon < float(Features.of(1, S, "exponential").variance[0])
    found = candidate_table(2, 1, S, "exponential", optimal=False).records
    assert found[0]["phase"] == "digon" and found[0]["loss"] == pytest.approx(digon, rel=1e-6)
    assert found[0]["known"] == "numerical"


def test_constant_inputs_fix_no_norm() -> None:
    for row in candidate_table(5, 2, 1.0, optimal=False).records:
        assert row["loss"] == 0.0
        assert row["D_star"] is row["capacity"] is row["max_cosine"] is row["interference"] is None
    assert candidate_table(5, 2, 0.9, optimal=False).records[0]["D_star"] is not None


def test_a_billion_features_have_a_ladder() -> None:
    rows = answered("table phases -n 1000000000 -d 1", schema=TABLE)["rows"]
    assert all(row["phase"].endswith("ignored") for row in rows)


# blocks and surplus


def test_gains_against_formulas() -> None:
    S = 0.3
    rows = {row["name"]: row for row in gain_table([S], most=None).records}
    v, digon = S * (1 - S), S**2 * (1 - S) ** 2 / (S**2 + (1 - S) ** 2)
    assert rows["digon"]["gain"] == pytest.approx(2 * (v - digon), rel=1e-12)
    assert rows["dedicated"]["gain"] == pytest.approx(v) and rows["dedicated"]["d"] == 1
    assert rows["digon"]["rank"] == 1 and rows["digon"]["share"] == 1.0
    pentagon = 2.5 * (v - float(closed_form("pentagon").minimum(S).loss.mid()))
    assert rows["pentagon"]["gain"] == pytest.approx(pentagon, rel=1e-12)
    assert rows["5-demicube"]["cosines"] == cosines("5-demicube") == "1/5 (10), -3/5 (5)"
    shares = [row["share"] for row in rows.values()]
    assert shares == sorted(shares, reverse=True)


def test_surplus_rows_are_kept_and_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def rows(law: str, **options: Any) -> list[dict[str, Any]]:
        asked.append(law)
        options["progress"]("one line")
        rivals = ", ".join(f"block {k} (1 %)" for k in range(9))
        return [{"S": 0.25, "denser": "a", "sparser": "b", "known": "proved", "rivals": rivals}]

    monkeypatch.setattr("theory.mixtures.surplus_sequence.transition_rows", rows)
    found = surplus_table("uniform")
    assert found.columns[:2] == ["S", "one_minus_S"] and found.records[0]["one_minus_S"] == 0.75
    assert surplus_table("uniform") == found and asked == ["uniform"]
    text = run("table surplus --law uniform").stdout
    assert "block 2 (1 %) and 6 more" in text and "block 3" not in text
    body = answered("table surplus --law uniform", schema=TABLE)
    assert "block 8" in body["rows"][0]["rivals"]


# the command line

KINDS = {
    "candidates": "-n 4 -d 2 -S 0.2 --no-optimum",
    "laws": "-n 2 -d 1 -S 0.2 --no-optimum --most 2",
    "critical": "-n 3-4 -d 2 --law binary",
    "phases": "-n 2 -d 1",
    "blocks": "-S 0.2 --most 2",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_format(kind: str) -> None:
    line = f"table {kind} {KINDS[kind]}"
    body = answered(line, schema=TABLE)
    assert body["rows"] and all(row["known"] in list(Evidence) for row in body["rows"])
    read = list(csv.DictReader(io.StringIO(run(f"{line} --format csv").stdout)))
    assert [row["known"] for row in read] == [row["known"] for row in body["rows"]]
    assert list(read[0]) == body["columns"]
    for format_, sign in (("md", "| known"), ("latex", r"\toprule"), ("text", "known")):
        assert sign in run(f"{line} --format {format_}").stdout


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("candidates -n 4 -d 2 -S 0", "S = 0 is not a probability"),
        ("candidates -n 4 -d 2 -S 1.2", "S = 1.2 is not a probability"),
        ("candidates -n 4 -d 2 -S 0.1,0.2", "2 values of S"),
        ("candidates -n 4 -d 2 -S 0.1 --law cauchy", "binary and uniform and exponential"),
        ("candidates -n 0 -d 2 -S 0.1", "n = '0'"),
        ("laws -n 4 -d 2 -S 0", "S = 0 is not a probability"),
        ("blocks -S 0,0.1", "S = 0 is not a probability"),
        ("critical --law exponential", "law = 'exponential'"),
        ("critical -n 2 --S-min 0", "S-min = 0"),
        ("critical -n 2000 -d 3", "ends at n = 400"),
        ("phases -n 4 -d 2 --law cauchy", "law = 'cauchy'"),
        ("phases -n 1000000000 -d 1 --optimum", "up to 1000 features"),
        ("surplus --seconds 0", "seconds = 0"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(line: str, said: str, tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    assert said in refused(f"table {line} --out {target}")
    assert not target.exists()


def test_a_table_in_a_file(tmp_path: Path) -> None:
    target = tmp_path / "t.md"
    said = run(f"table candidates -n 3 -d 1 -S 0.2 --no-optimum --out {target}")
    assert said.exit_code == 0 and said.stdout == "" and "table written" in said.stderr
    assert target.read_text().startswith("**Candidate phases")
