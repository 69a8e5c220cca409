"""Pictures of codes: the symmetry they show, what they say, odd cases, the same bytes twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapes
from matplotlib.figure import Figure

from packing import plotting as codes
from packing import plotting as named
from packing import plotting as planes
from packing import plotting as spectrum
from packing import plotting as sphere
from packing import plotting as views
from packing.arrangement import Arrangement
from packing.catalogue.polytopes import prism
from packing.errors import BadInput
from packing.recognition import identify

CROSS = np.concatenate([np.eye(3), -np.eye(3)], axis=1)


def code(W: np.ndarray) -> Arrangement:
    return Arrangement.from_weights(W)


def random_code(n: int, d: int, seed: int = 0) -> np.ndarray:
    X = np.random.default_rng(seed).standard_normal((d, n))
    return np.asarray(X / np.linalg.norm(X, axis=0))


def rotated(W: np.ndarray, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((W.shape[0], W.shape[0])))[0]
    return np.asarray(Q @ W[:, rng.permutation(W.shape[1])])


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures that were saved, drawn once, without the time it takes to write them."""
    figures: list[Figure] = []

    def keep(figure: Figure, path: Path) -> Path:
        figure.canvas.draw()
        figures.append(figure)
        return path

    monkeypatch.setattr(codes, "save", keep)
    monkeypatch.setattr(named, "save", keep)
    return figures


def words(figure: Figure) -> str:
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    titles = [axes.get_title() for axes in figure.axes]
    legends = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    title = figure._suptitle.get_text() if figure._suptitle else ""
    return "\n".join([title, *titles, *texts, *legends])


# The plane of symmetry.


@pytest.mark.parametrize(
    ("W", "fold", "rings"),
    [
        # Coxeter numbers and Petrie polygons (Coxeter, Regular Polytopes, 1948, section 12)
        (shapes.roots_D(4), 12, [12, 12]),
        (shapes.cell_600(), 30, [30, 30, 30, 30]),
        (shapes.roots_E8(), 30, [30] * 8),
        (shapes.code_27(), 12, [3, 12, 12]),
        (shapes.code_56(), 18, [2, 18, 18, 18]),
        (shapes.simplex(9), 10, [10]),
        (shapes.demicube(5), 8, [8, 8]),
    ],
)
def test_the_plane_is_the_one_of_petrie(W: np.ndarray, fold: int, rings: list[int]) -> None:
    arrangement = code(rotated(W))
    plane = planes.symmetric_plane(arrangement)
    assert plane.fold == fold
    np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-12)
    flat = plane.of(arrangement.directions)
    radius, counts = np.unique(np.round(np.hypot(*flat), 6), return_counts=True)
    assert counts.tolist() == rings
    # Independent of the group: the picture itself is turned into itself, and by no smaller turn.
    assert turns(flat, fold) and not turns(flat, fold + 1)
    if rings[-1] == fold:  # neighbours on the outer ring touch in R^d: Petrie's polygon
        outer = np.flatnonzero(np.hypot(*flat) > radius[-1] - 1e-5)
        outer = outer[np.argsort(np.arctan2(flat[1, outer], flat[0, outer]))]
        V = arrangement.directions[:, outer]
        near = (V * np.roll(V, 1, axis=1)).sum(axis=0)
        np.testing.assert_allclose(near, arrangement.max_cosine, atol=1e-9)


def turns(flat: np.ndarray, fold: int) -> bool:
    """True if a turn by one fold-th carries the points (2, n) into each other."""
    angle = 2.0 * np.pi / fold
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    away = np.linalg.norm((turn @ flat)[:, :, None] - flat[:, None, :], axis=0).min(axis=1)
    return bool(away.max() < 1e-6)


def test_a_random_code_has_no_plane_of_symmetry() -> None:
    """Negative control: nothing is called symmetric that is not."""
    plane = planes.symmetric_plane(code(random_code(12, 5)))
    assert plane.fold == 1
    flat = plane.of(random_code(12, 5))
    assert not any(turns(flat, k) for k in range(2, 13))


def test_one_vector_and_flat_codes_have_a_plane() -> None:
    for W in (np.eye(5)[:, :1], np.eye(5)[:, :2], np.ones((4, 3)), np.eye(2)):
        assert planes.symmetric_plane(code(W)).axes.shape == (2, W.shape[0])


# The view of the sphere.


@pytest.mark.parametrize(
    ("W", "fold"), [(shapes.icosahedron(), 3), (CROSS, 3), (shapes.simplex(3), 3)]
)
def test_the_view_is_along_an_axis_of_symmetry(W: np.ndarray, fold: int) -> None:
    W = rotated(W)
    pairs, _ = sphere.contacts(code(W))
    turn = views.view(W, pairs)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1.0)
    place = turn @ W
    assert turns(place[:2], fold)
    apart = np.linalg.norm(place[:2, :, None] - place[:2, None, :], axis=0)
    assert apart[~np.eye(W.shape[1], dtype=bool)].min() > 0.1  # nothing is hidden


def test_fold_counts_turns() -> None:
    axis = np.array([0.0, 0.0, 1.0])
    shape = prism(5, 0.4)
    assert views.fold(shape, axis) == 5
    shape[:, 0] += [0.01, 0.0, 0.0]
    assert views.fold(shape, axis) == 1


# The spectrum.


def test_spectrum_of_the_e8_roots() -> None:
    values, counts = spectrum.spectrum(code(rotated(shapes.roots_E8())))
    np.testing.assert_allclose(values, [-1.0, -0.5, 0.0, 0.5], atol=1e-12)
    np.testing.assert_allclose(counts, [1, 56, 126, 56])  # theta series of E8
    values, counts = spectrum.spectrum(code(shapes.roots_E8()), lines=True)
    np.testing.assert_allclose(counts, [126, 112, 1])


# Pictures.


@pytest.mark.parametrize(
    ("suffix", "start"), [("PNG", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_every_format_is_written_and_twice_the_same(
    tmp_path: Path, suffix: str, start: bytes
) -> None:
    paths = [tmp_path / f"{name}.{suffix}" for name in "ab"]
    for path in paths:
        codes.draw_code(code(shapes.icosahedron()), path, title="t")
    assert paths[0].read_bytes().startswith(start)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("W", "options"),
    [
        (np.ones((1, 1)), {}),
        (np.array([[1.0, -1.0]]), {}),
        (np.array([[1.0, -1.0, 1.0]]), {"lines": True}),
        (shapes.polygon(5), {}),
        (shapes.polygon(8)[:, :4], {"lines": True}),
        (np.eye(3)[:, :1], {}),
        (np.eye(3)[:, :2], {}),
        (np.ones((3, 4)) / np.sqrt(3.0), {}),
        (np.vstack([shapes.polygon(7), np.zeros(7)]), {}),
        (shapes.icosahedron(), {}),
        (CROSS, {}),
        (shapes.doubled(shapes.simplex(3)), {"lines": True}),
        (random_code(30, 3), {"rattlers": (3, 4)}),
        (random_code(90, 3), {}),
        (np.eye(5)[:, :1], {}),
        (np.eye(6), {"lines": True, "bound": 0.0, "bound_name": "orthogonal"}),
        (np.ones((5, 3)), {}),
        (shapes.code_27(), {"bound": 0.25, "bound_name": "Levenshtein"}),
        (random_code(40, 6), {"bound": 0.3, "bound_name": "Delsarte"}),
        (random_code(20, 7), {"lines": True, "bound": 0.1}),
    ],
)
def test_every_kind_of_code_is_drawn(
    seen: list[Figure], W: np.ndarray, options: dict[str, Any]
) -> None:
    codes.draw_code(code(W), "x.png", title="title", **options)
    said = words(seen[0])
    assert said.startswith("title") and "nan" not in said
    assert ("Gram" in said) == (W.shape[0] <= 3)
    assert ("Spectrum" in said) == (W.shape[0] > 3)


def test_what_a_picture_on_the_sphere_says(seen: list[Figure]) -> None:
    W = np.c_[CROSS, random_code(1, 3)]
    codes.draw_code(code(CROSS), "x.png")
    assert "12 contacts" in words(seen[0]) and "rattler" not in words(seen[0])
    codes.draw_code(code(W), "x.png", rattlers=(6,))
    assert "1 rattler\n" in words(seen[1]) and "behind" in words(seen[1])
    labels = {text.get_text() for text in seen[0].axes[0].texts}
    assert labels == set("012345")


def test_what_a_picture_of_a_high_dimension_says(seen: list[Figure]) -> None:
    codes.draw_code(code(shapes.roots_D(4)), "x.png", bound=0.47, bound_name="Delsarte")
    said = words(seen[0])
    for text in ("12-fold projection: 2 rings of 12", "96 contacts", "gap 0.03", "(Delsarte)"):
        assert text in said
    assert "0.5\n×8" in said and "-1\n×1" in said
    codes.draw_code(code(shapes.code_27()), "x.png", bound=0.25)
    assert "met: optimal" in words(seen[1]) and "rings of 12 + 12 + 3" in words(seen[1])
    assert "3" in {text.get_text() for text in seen[1].axes[0].texts}  # three under one marker


def test_arcs_lie_on_the_sphere_and_are_parted_at_its_edge() -> None:
    start, end = np.array([0.6, 0.0, 0.8]), np.array([0.6, 0.0, -0.8])
    arc = sphere._arc(start, end, flat=False)
    np.testing.assert_allclose(np.linalg.norm(arc, axis=0), 1.0, atol=1e-12)
    pieces = sphere._split(arc)
    assert [front for _, front in pieces] == [True, False]
    for piece, front in pieces:
        inner = piece[2, 1:-1]
        assert np.all(inner >= -1e-9) if front else np.all(inner <= 1e-9)
    np.testing.assert_allclose(sphere._arc(start, -start, flat=False)[:, 16], 0.0, atol=1e-12)


def test_lines_have_contacts_at_both_ends() -> None:
    six = code(shapes.icosahedron()[:, np.sort(half(shapes.icosahedron()))])
    pairs, loose = sphere.contacts(six, lines=True)
    assert len(pairs) == 15 and loose == ()
    assert len(sphere._ends(six.W, pairs, lines=True)) == 30  # edges of the icosahedron
    ortho = code(np.eye(3))
    pairs, _ = sphere.contacts(ortho, lines=True)
    assert len(sphere._ends(ortho.W, pairs, lines=True)) == 12  # edges of the octahedron


def half(W: np.ndarray) -> np.ndarray:
    """One of each pair of opposite columns."""
    kept: list[int] = []
    for i in range(W.shape[1]):
        if not any(abs(W[:, i] @ W[:, j]) > 0.999 for j in kept):
            kept.append(i)
    return np.array(kept)


@pytest.mark.parametrize("name", ["x.jpg", "x", "missing/x.png", "folder.png"])
def test_bad_paths_are_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.png").mkdir()
    W = shapes.polygon(5)
    for picture in (
        lambda path: codes.draw_code(code(W), path),
        lambda path: named.draw_named(W, identify(W), path),
    ):
        with pytest.raises(BadInput) as error:
            picture(tmp_path / name)
        assert "\n" not in str(error.value)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.png"]


def test_codes_that_cannot_be_drawn(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    with pytest.raises(BadInput, match="a vector is zero"):
        codes.draw_code(code(np.zeros((3, 2))), path)
    many = np.ones((2, codes.MAX_DRAWN + 1))
    with pytest.raises(BadInput, match="do not fit a picture"):
        codes.draw_code(code(many), path)
    assert list(tmp_path.iterdir()) == []


# Pictures of what was identified.


def stacked(*blocks: np.ndarray) -> np.ndarray:
    W = np.zeros((sum(b.shape[0] for b in blocks), sum(b.shape[1] for b in blocks)))
    i = j = 0
    for block in blocks:
        W[i : i + block.shape[0], j : j + block.shape[1]] = block
        i, j = i + block.shape[0], j + block.shape[1]
    return W


def test_each_kind_of_block_has_a_panel(seen: list[Figure]) -> None:
    pair = np.array([[1.0, -1.0]])
    W = rotated(stacked(shapes.code_27(), shapes.polygon(5), shapes.polygon(5), pair))
    named.draw_named(W, identify(W), "x.png")
    titles = [axes.get_title() for axes in seen[0].axes]
    assert sum("pentagon" in title for title in titles) == 1
    assert sum("Schlaefli code" in title for title in titles) == 1
    assert sum("digon" in title for title in titles) == 0
    said = words(seen[0])
    assert "n = 39, d = 11" in said and "digon: " in said
    # numbers in the panels are those of the features
    named_features = next(b.features for b in identify(W).blocks if b.name == "pentagon")
    panel = seen[0].axes[[("pentagon" in title) for title in titles].index(True)]
    assert {text.get_text() for text in panel.texts} == {str(i) for i in named_features}


@pytest.mark.parametrize(
    "W",
    [
        np.zeros((2, 3)),
        np.zeros((5, 3)),
        np.eye(5),
        shapes.doubled(np.eye(5)),
        np.array([[1.0, -0.7, 0.0]]),
        np.c_[shapes.polygon(5), 0.3 * shapes.polygon(5)[:, 2]],
        random_code(9, 4),
        stacked(shapes.polygon(3), np.eye(2), np.zeros((1, 2))),
    ],
)
def test_odd_arrangements_are_drawn(seen: list[Figure], W: np.ndarray) -> None:
    named.draw_named(W, identify(W), "x.png")
    assert f"n = {W.shape[1]}, d = {W.shape[0]}" in words(seen[0])


def test_noise_does_not_hide_the_symmetry(seen: list[Figure]) -> None:
    W = rotated(stacked(shapes.roots_D(4), shapes.polygon(5)))
    W = W + 1e-3 * np.random.default_rng(2).standard_normal(W.shape)
    named.draw_named(W, identify(W), "x.png")
    said = words(seen[0])
    assert "12-fold projection" in said and "seen through noise" in said
