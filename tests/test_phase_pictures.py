"""Pictures of phases: the numbers behind them against independent routes, and whole files.

Tolerances were set before the runs: 1e-12 for exact expressions, 1e-6 relative for optima of a map
(each is descended to rounding; a missed basin would be wrong by far more).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sympy
from asking import answered, refused, run
from matplotlib.figure import Figure
from schemas import PICTURES
from scipy.optimize import minimize

from packing.errors import BadInput
from theory import plotting as pictures
from theory import plotting as pictures_importance
from theory import plotting as pictures_maps
from theory.diagrams import (
    EnvelopeMap,
    ImportanceMap,
    Staircase,
    envelope_map,
    importance_map,
    phase_name,
    staircase_of,
)
from theory.features import Features
from theory.losses.expected import loss
from theory.mixtures import envelope, mixture_at
from theory.mixtures.candidates import summed
from theory.prototypes import (
    best,
    block_polynomial,
    crossings,
    ignored_polynomial,
    prototypes,
    symbols,
)
from theory.tables import phase_table

# prototypes


def weights(groups: tuple[tuple[str, tuple[int, ...]], ...], n: int, S: float) -> tuple:
    """W and b of a prototype, built by hand: unit norms, no bias, ignored ones their mean."""
    columns, at = [np.zeros(n) for _ in range(3)], 0
    b = np.full(n, S / 2)
    for block, members in groups:
        b[list(members)] = 0.0
        if block == "triangle":
            for k, i in enumerate(members):
                columns[at][i] = np.cos(2 * np.pi * k / 3)
                columns[at + 1][i] = np.sin(2 * np.pi * k / 3)
            at += 2
            continue
        for k, i in enumerate(members):
            columns[at][i] = (-1.0) ** k
        at += 1
    return np.array(columns[: max(at, 1)]), b


@pytest.mark.parametrize("size", [(2, 1), (3, 2)])
def test_prototypes_against_the_loss(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    for one in prototypes(*size):
        for S, r in rng.uniform((0.02, 0.1), (1.0, 10.0), (4, 2)):
            W, b = weights(one.groups, size[0], S)
            importance = [1.0] * (size[0] - 1) + [float(r)]
            features = Features.of(size[0], float(S), "uniform", importance)
            assert float(one(S, r)) == pytest.approx(loss(W, b, features=features).total, rel=1e-12)
            # other conditions, another number: the check sees a bias
            if one.groups[0][0] != "dedicated":
                assert loss(W, b + 0.05, features=features).total != pytest.approx(float(one(S, r)))


def test_the_published_prototypes() -> None:
    S, r = symbols()
    assert sympy.expand(ignored_polynomial() - (S / 3 - S**2 / 4)) == 0
    assert sympy.expand(2 * block_polynomial("digon") - S**2 / 3) == 0
    ignored, dedicated, pair = prototypes(2, 1)
    assert sympy.expand(pair.loss - (1 + r) * S**2 / 6) == 0
    (low,) = crossings(ignored, pair)
    assert sympy.simplify(low - 4 * r / (2 + 5 * r)) == 0
    (high,) = crossings(dedicated, pair)
    assert sympy.simplify(high - 4 / (5 + 2 * r)) == 0
    assert sympy.simplify(high.subs(r, 1 / r) - low) == 0  # the features change places
    assert sympy.simplify(low - 4 * r / (3 + 4 * r)) != 0  # what (3,2) has, not (2,1)


def test_crossings_are_crossings() -> None:
    S, r = symbols()
    candidates = prototypes(3, 2)
    for i, a in enumerate(candidates):
        for b in candidates[:i]:
            for root in crossings(a, b):
                at = {r: sympy.Rational(3, 5)}
                gap = (a.loss - b.loss).subs(at).subs(S, root.subs(at))
                assert abs(sympy.N(gap, 30)) < 1e-25


def test_the_triangle_never_wins_among_prototypes() -> None:
    """Its loss is above that of a pair wherever both exist, for every importance of the map."""
    winner = best(prototypes(3, 2), np.geomspace(0.1, 10, 61), np.geomspace(0.01, 1, 61))
    assert 4 not in set(winner.ravel().tolist())


def test_prototypes_are_known_for_two_sizes() -> None:
    with pytest.raises(BadInput, match="n = 4, d = 2"):
        prototypes(4, 2)


# the importance map


@pytest.fixture(scope="module")
def small_map() -> ImportanceMap:
    return importance_map(2, 1, cells=5, keep=False)


def descended(features: Features) -> float:
    """The least loss of two features in one dimension that scipy finds from a few starts."""
    found = []
    for W in ((1.0, -0.8), (1.0, 0.0), (0.0, 1.0), (0.6, -1.0), (1.0, 0.5)):

        def cost(x: np.ndarray) -> tuple[float, np.ndarray]:
            at = loss(x[None, :2], x[2:], features=features, gradient=True)
            assert at.grad_W is not None and at.grad_b is not None
            return at.total, np.concatenate([at.grad_W[0], at.grad_b])

        start = np.array([*W, 0.02, 0.02])
        found.append(minimize(cost, start, jac=True, method="BFGS", options={"gtol": 1e-10}).fun)
    return float(min(found))


def test_the_map_holds_optima(small_map: ImportanceMap) -> None:
    found = small_map
    # exchanging the features turns r into 1/r: an equation the search knows nothing of
    swapped = found.loss[::-1] * found.ratio[:, None]
    assert found.loss == pytest.approx(swapped, rel=1e-6)
    for i, j in ((3, 2), (0, 3)):
        features = Features.of(2, float(found.S[j]), "uniform", [1.0, float(found.ratio[i])])
        assert found.loss[i, j] == pytest.approx(descended(features), rel=1e-6)
    candidates = prototypes(2, 1)
    least = np.min([p(found.S[None], found.ratio[:, None]) for p in candidates], axis=0)
    assert np.all(found.loss <= least * (1 + 1e-9))
    # and they are no optima: the map is lower than every prototype by percents somewhere
    assert np.min(found.loss / least) < 0.99


def test_the_map_names_what_becomes_of_the_extra(small_map: ImportanceMap) -> None:
    rows = small_map.summary().records
    names = {row["phase"] for row in rows}
    assert names == {
        "uneven digon",
        "1 dedicated + extra ignored",
        "1 dedicated + other ignored",
    } | (names & {"digon"})
    assert sum(row["share"] for row in rows) == pytest.approx(1.0)
    k = small_map.phase.index("1 dedicated + extra ignored")
    assert np.all(small_map.norms[small_map.index == k][:, 1] == 0.0)
    assert np.all(small_map.ratio[np.nonzero(small_map.index == k)[0]] < 1.0)


def test_names_with_an_extra_feature() -> None:
    pair = np.array([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    assert phase_name(pair, np.zeros(3)) == "digon + 1 dedicated, extra in the pair"
    assert phase_name(pair[:, [0, 2, 1]], np.zeros(3)).endswith("extra dedicated")
    assert phase_name(pair[:, [1, 0, 2]] * [1.0, 1.0, 0.0], np.zeros(3)).endswith("extra ignored")
    assert phase_name(np.zeros((1, 2)), np.zeros(2)) == "2 ignored"


# many features


@pytest.fixture(scope="module")
def plane() -> EnvelopeMap:
    return envelope_map("binary", cells=5)


def test_the_plane_is_the_envelope(plane: EnvelopeMap) -> None:
    for r, i in ((0, 0), (2, 1), (4, 4), (3, 2)):
        ratio, S = float(plane.ratio[r]), float(plane.S[i])
        names, cost = envelope(ratio, S, "binary")
        v = S * (1 - S)
        # the many-features solution is offered at fewer n/d here: never lower, hardly higher
        assert cost / v * (1 - 1e-9) <= plane.loss[r, i] <= cost / v + 1e-3
        assert any(name.startswith(plane.name[plane.first[r, i]]) for name in names)
        assert plane.ignored[r, i] == ("ignored" in names)
    assert sum(row["share"] for row in plane.regions().records) == pytest.approx(1.0)
    assert np.all((plane.share >= 0.5) & (plane.share <= 1.0))
    # more dimensions never cost more
    assert np.all(np.diff(plane.loss, axis=0) <= 1e-12)


def test_the_staircase_against_the_mixtures() -> None:
    found = staircase_of(12, 4, "binary", S_min=0.05, points=6)
    for i in (1, 4):
        best_ = mixture_at(12, 4, float(found.S[i]))
        assert found.phase[i] == best_.name and found.represented[i] == best_.represented
        assert found.D_star[i] == pytest.approx(summed(best_).D_star, rel=1e-6)
    assert found.D_star[0] > found.D_star[-1]


# pictures


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    figures: list[Figure] = []
    for module in (pictures, pictures_importance, pictures_maps):
        monkeypatch.setattr(module, "save", lambda figure, path: figures.append(figure) or path)
    return figures


def words(figure: Figure) -> str:
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    legends = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    labels = [axes.get_xlabel() + axes.get_ylabel() for axes in figure.axes]
    title = figure._suptitle.get_text() if figure._suptitle else ""
    return "\n".join([title, *texts, *legends, *labels])


def test_what_the_pictures_say(
    seen: list[Figure], tmp_path: Path, small_map: ImportanceMap, plane: EnvelopeMap
) -> None:
    pictures_importance.draw_importance(small_map, tmp_path / "a.png")
    pictures_maps.draw_diagram(plane, tmp_path / "b.png")
    pictures.draw_phases(phase_table(5, 2), tmp_path / "c.png")
    stairs = Staircase(
        4, 2, "binary", np.array([0.5, 0.1]), np.array([0.6, 0.5]), np.array([3, 4]), ("a", "2 b")
    )
    pictures_maps.draw_staircase(stairs, tmp_path / "d.png")
    said = [words(figure) for figure in seen]
    assert len(said) == 4
    for text in said[:3]:
        assert "S, chance that a feature is on" in text and "1 − S" in text
    assert "extra ignored" in said[0] and "prototypes" in said[0] and "uneven digon" in said[0]
    assert all(plane.name[k] in said[1] for k in np.unique(plane.first))
    assert "S* of mixtures = 0.151835" in said[2] and "pentagon" in said[2]
    assert "1/S" in said[3] and "d/n = 0.5" in said[3]


def test_results_draw_into_axes(small_map: ImportanceMap, plane: EnvelopeMap) -> None:
    stairs = staircase_of(4, 2, "binary", S_min=0.3, points=3)
    for result in (small_map, plane, stairs, phase_table(3, 1)):
        axes = Figure().add_subplot()
        assert result.plot(axes) is axes and axes.get_legend() is not None
        assert result.plot().get_title() == axes.get_title() != ""


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_files_are_whole(ending: str, start: bytes, tmp_path: Path, plane: EnvelopeMap) -> None:
    path = tmp_path / f"x.{ending}"
    assert pictures_maps.draw_diagram(plane, path) == path
    assert path.read_bytes().startswith(start)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


# the command line


def test_the_commands_answer_and_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "map.png"
    first = importance_map(2, 1, cells=4)
    # kept: the command and a second call do not search again
    monkeypatch.setattr("theory.diagrams._Cells", None)
    again = importance_map(2, 1, cells=4)
    assert np.array_equal(first.loss, again.loss) and first.phase == again.phase
    line = f"phases importance --cells 4 --plot {path}"
    body = answered(line, schema=PICTURES["importance"])
    assert path.read_bytes().startswith(b"\x89PNG")
    assert len(body["loss"]) == len(body["ratio"]) == 4 and len(body["prototypes"]) == 3
    assert body["one_minus_S"] == [1 - s for s in body["S"]]
    answered("phases ladder -n 2 -d 3", schema=PICTURES["ladder"])
    answered("phases staircase -n 6 -d 2 --law binary --S-min 0.2", schema=PICTURES["staircase"])
    assert "digon" in run("phases staircase -n 6 -d 2 --law binary --S-min 0.2").stdout


def test_the_diagram_answers() -> None:
    body = answered("phases diagram --cells 4", schema=PICTURES["diagram"])
    assert {row["block"] for row in body["rows"]} == set(body["names"])


def test_a_ladder_is_drawn_with_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "ladder.svg"
    said = run(f"phases ladder -n 4 -d 2 --plot {path}")
    assert said.exit_code == 0 and "not in the cache" in said.stderr
    assert "triangle + 1 ignored" in said.stdout and path.read_text().startswith("<?xml")


def test_a_dimension_for_every_feature_is_drawn(tmp_path: Path) -> None:
    """Nothing is lost by either, so nothing is divided by it: a warning would be an error here."""
    target = tmp_path / "free.png"
    assert run(f"phases ladder -n 2 -d 5 --plot {target}").exit_code == 0
    assert target.stat().st_size > 1000


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("phases", "no picture was named"),
        ("phases ladder -n 5", "-d"),
        ("phases ladder -n 5 -d 2 --law cauchy", "law = 'cauchy'"),
        ("phases ladder -n 5 -d 2 --plot x.bmp", "x.bmp"),
        ("phases importance -n 5 -d 2", "d < n <= 4"),
        ("phases importance --cells 2", "cells = 2"),
        ("phases importance --law exponential", "law = 'exponential'"),
        ("phases diagram --cells 900", "cells = 900"),
        ("phases staircase --S-min 0", "S-min = 0"),
        ("phases staircase -n 5 -d 7", "give n > d"),
        ("phases staircase --plot /nowhere/x.png", "/nowhere"),
        ("phases cake", "no picture 'cake'"),
    ],
)
def test_bad_input_is_one_line(line: str, said: str) -> None:
    assert said in refused(line)
