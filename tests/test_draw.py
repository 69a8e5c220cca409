"""Pictures: written whole or not at all, the same bytes twice, readable labels, odd cases."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from packing import plotting as draw
from packing.catalogue import entry
from packing.catalogue.exact import polygon
from packing.errors import BadInput
from packing.recognition import name_of
from theory.features import Features
from theory.plotting import _apart, draw_ladder, draw_optimum


@dataclass
class FakeLoss:
    total: float
    per_feature: np.ndarray
    solo: np.ndarray


@dataclass
class FakeOptimum:
    """What a picture needs of an optimum; the losses are invented."""

    W: np.ndarray
    S: Any = 0.1
    law: str = "binary"
    cost: float = 0.01

    def __post_init__(self) -> None:
        n = self.W.shape[1]
        self.features = Features.of(n, self.S, self.law)
        named = name_of(self.W)
        self.name, self.blocks = named.name, named.blocks
        ramp = np.linspace(0.5, 2.0, n) * self.cost
        self.loss = FakeLoss(float(ramp.sum()), ramp, np.full(n, self.cost))


@dataclass
class FakePhase:
    name: str
    S: np.ndarray
    loss: np.ndarray
    represented: np.ndarray


@dataclass
class FakeRung:
    S: float
    denser: str
    sparser: str
    order: str = "first"


S = np.geomspace(1e-4, 1.0, 40)


def power(name: str, c: float, e: float, low: float = 0.0) -> FakePhase:
    at = S[low <= S]
    return FakePhase(name, at, 5 * at * (1 - at) * np.minimum(1.0, c * at**e), np.full(at.size, 4))


@dataclass
class FakeLadder:
    n: int = 5
    d: int = 2
    law: str = "binary"
    bias: bool = True
    S_min: float = 1e-4
    S_star: float | None = 0.1
    S_onset: float | None = 0.25
    branches: tuple[FakePhase, ...] = (
        power("pentagon", 2.0, 0.5),
        power("2 digon + 1 ignored", 0.9, 0.1, low=0.01),
    )
    crossings: tuple[FakeRung, ...] = (FakeRung(0.136, "2 digon + 1 ignored", "pentagon"),)
    represented: tuple[tuple[float, float, int], ...] = field(
        default=((0.136, 1.0, 4), (1e-4, 0.136, 5))
    )


def stacked(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    zero = np.zeros((A.shape[0], B.shape[1]))
    return np.block([[A, zero], [np.zeros((B.shape[0], A.shape[1])), B]])


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures that were saved, without the time it takes to render them."""
    figures: list[Figure] = []
    monkeypatch.setattr("theory.plotting.save", lambda figure, path: figures.append(figure) or path)
    return figures


def words(figure: Figure) -> str:
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    legends = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    title = figure._suptitle.get_text() if figure._suptitle else ""
    return "\n".join([title, *texts, *legends])


@pytest.mark.parametrize(
    ("suffix", "start"), [("PNG", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_every_format_is_written(tmp_path: Path, suffix: str, start: bytes) -> None:
    path = tmp_path / f"x.{suffix}"
    assert draw_optimum(FakeOptimum(1.1 * polygon(5)), str(path)) == path
    assert path.read_bytes().startswith(start)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_ladder_is_written(tmp_path: Path) -> None:
    assert draw_ladder(FakeLadder(), tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_picture_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        figure = draw.new_figure(3, 3)
        draw.draw_vectors(figure.add_subplot(), polygon(5), range(5), draw.PALETTE)
        draw.save(figure, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize(
    ("W", "panels"),
    [
        (np.array([[1.0, -0.7, 0.0]]), 3),
        (polygon(5), 3),
        (np.zeros((2, 3)), 3),
        (np.c_[polygon(3), 0.3 * polygon(3)[:, 0], polygon(3)[:, 0]], 3),
        (np.diag([1.0, 1.0, 1.0]), 3),
        (entry("icosahedron").vectors, 3),
        (np.zeros((3, 2)), 3),
        (np.ones((1, 1)), 3),
        (stacked(polygon(5), polygon(3)), 2),
        (np.random.default_rng(0).normal(size=(6, 40)), 2),
    ],
)
def test_every_dimension_is_drawn(seen: list[Figure], W: np.ndarray, panels: int) -> None:
    draw_optimum(FakeOptimum(W), "x.png")
    (figure,) = seen
    assert len(figure.axes) == panels + 1  # one more for the colour bar
    figure.canvas.draw()
    values = sum("." in text.get_text() for text in figure.axes[panels - 2].texts)
    if W.shape[1] > draw.MAX_VALUES:
        assert values == 0
    elif np.any(W):
        assert values > 0


def test_what_an_optimum_picture_says(seen: list[Figure]) -> None:
    W = np.c_[stacked(polygon(5), np.array([[1.0, -1.0]])), np.zeros((3, 2))]
    draw_optimum(FakeOptimum(W, S=0.05, law="uniform"), "x.png")
    said = words(seen[0])
    for text in ("pentagon + digon + 2 ignored", "n = 9, d = 3", "S = 0.05 (1 − S = 0.95)"):
        assert text in said
    for text in (
        "uniform",
        "loss 0.1125",
        "pentagon: 0, 1, 2, 3, 4",
        "digon: 5, 6",
        "ignored: 7, 8",
    ):
        assert text in said


def test_features_that_cost_nothing_and_unequal_S(seen: list[Figure]) -> None:
    draw_optimum(FakeOptimum(np.eye(2), S=[0.1, 0.3], cost=0.0), "x.png")
    assert "S = 0.1 to 0.3 (1 − S = 0.7 to 0.9)" in words(seen[0])


@pytest.mark.parametrize("name", ["pentagon", "shadow", "icosahedron", "bipyramid"])
def test_feature_labels_do_not_overlap(seen: list[Figure], name: str) -> None:
    W = {
        "pentagon": polygon(5),
        "shadow": np.c_[polygon(5), 0.3 * polygon(5)[:, 2]],
        "icosahedron": entry("icosahedron").vectors,
        "bipyramid": stacked(polygon(5), np.array([[1.0, -1.0]])),
    }[name]
    draw_optimum(FakeOptimum(W), "x.png")
    seen[0].canvas.draw()
    axes = seen[0].axes[0]
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
    assert len(boxes) == W.shape[1]
    clashes = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]
    assert not clashes


def test_labels_of_equal_vectors_are_joined() -> None:
    tips = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert [members for members, _ in draw.tip_labels(tips, [0, 3, 5], 0.1)] == [[0, 3], [5]]


def test_what_a_ladder_picture_says(seen: list[Figure]) -> None:
    draw_ladder(FakeLadder(), "x.png")
    said = words(seen[0])
    for text in ("n = 5, d = 2, binary", "S* = 0.1", "S_onset = 0.25", "0.136", "pentagon"):
        assert text in said
    seen[0].canvas.draw()


def test_ladder_losses_are_shares_of_ignoring_everything(seen: list[Figure]) -> None:
    draw_ladder(FakeLadder(), "x.png")
    curve = seen[0].axes[0].lines[0]
    x, y = curve.get_data()
    np.testing.assert_allclose(y, np.minimum(1.0, 2.0 * np.asarray(x) ** 0.5), rtol=1e-9)


@pytest.mark.parametrize(
    "ladder",
    [
        FakeLadder(branches=(), crossings=(), represented=(), S_star=None, S_onset=None),
        FakeLadder(branches=(power("one point", 1.0, 0.0, low=0.999),), crossings=()),
        FakeLadder(law="exponential", bias=False),
        FakeLadder(branches=tuple(power(f"b{i}", 1.0 - 0.01 * i, 0.1) for i in range(40))),
        FakeLadder(
            crossings=tuple(FakeRung(s, "a", "b", "continuous") for s in np.geomspace(0.9, 0.1, 40))
        ),
    ],
)
def test_odd_ladders_are_drawn(seen: list[Figure], ladder: FakeLadder) -> None:
    draw_ladder(ladder, "x.png")
    seen[0].canvas.draw()


def test_close_rungs_have_labels_apart(seen: list[Figure]) -> None:
    close = (0.1, 0.1001, 0.1002, 0.5, 0.999)
    changes = tuple(FakeRung(s, "2 digon + 1 ignored", "pentagon") for s in close)
    draw_ladder(FakeLadder(crossings=changes), "x.png")
    seen[0].canvas.draw()
    boxes = [text.get_window_extent() for text in seen[0].axes[0].texts]
    assert len(boxes) == len(close)
    # the annotation's box includes its leader; compare where the words are centred
    middles = sorted((box.x0 + box.x1) / 2 for box in boxes)
    assert min(np.diff(middles)) > 8.0


def test_apart_moves_as_little_as_needed() -> None:
    assert _apart([0.1, 0.5], 0.1) == [0.1, 0.5]
    np.testing.assert_allclose(_apart([0.5, 0.5, 0.5], 0.1), [0.4, 0.5, 0.6])
    np.testing.assert_allclose(_apart([0.99, 1.0], 0.1), [0.9, 1.0])
    np.testing.assert_allclose(_apart([0.0, 0.0], 0.2), [0.0, 0.2])


@pytest.mark.parametrize("name", ["x.jpg", "x", "x.npz", "missing/x.png", "folder.png"])
def test_bad_paths_are_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.png").mkdir()
    for picture, thing in [
        (draw_optimum, FakeOptimum(polygon(5))),
        (draw_ladder, FakeLadder()),
    ]:
        with pytest.raises(BadInput) as error:
            picture(thing, tmp_path / name)
        assert "\n" not in str(error.value)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.png"]


def test_a_failure_leaves_the_old_picture_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(b"old")

    def fail(self: Figure, name: str, **more: object) -> None:
        Path(name).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(BadInput, match="No space left"):
        draw_optimum(FakeOptimum(polygon(5)), path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]
