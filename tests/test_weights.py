"""Weights from files: three formats, both orientations, and everything that is refused."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packing.errors import BadInput
from packing.weights import read_weights, save_weights

W = np.array([[1.0, -1.0, 0.5], [0.25, 0.0, 2.0]])  # (d, n) = (2, 3), exact in every float type
B = np.array([0.5, -0.25, 0.0])


def npz(path: Path, **arrays: Any) -> Path:
    with path.open("wb") as file:
        np.savez(file, **arrays)
    return path


def safetensors(path: Path, **arrays: Any) -> Path:
    from safetensors.numpy import save_file

    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, path)
    return path


class Bomb:
    """Unpickling this leaves a trace; reading weights must not."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


# What is read.


@pytest.mark.parametrize("writer", [npz, safetensors])
@pytest.mark.parametrize("names", [("W", "b"), ("weight", "bias"), ("W", "bias")])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_formats_names_and_types(
    tmp_path: Path, writer: Callable[..., Path], names: tuple[str, str], kind: Any
) -> None:
    path = writer(tmp_path / "model", **{names[0]: W.astype(kind), names[1]: B.astype(kind)})
    found = read_weights(path)
    assert found.W.dtype == np.float64 and found.W.flags.c_contiguous
    np.testing.assert_array_equal(found.W, W)
    np.testing.assert_array_equal(found.b, B)
    assert found.importance is None and found.orientation == "d,n" and (found.d, found.n) == (2, 3)


def test_npy_integers_and_a_misleading_name(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    with path.open("wb") as file:
        np.save(file, np.array([[1, 0, -1], [0, 2, 0]], dtype=np.int8))
    found = read_weights(path)
    np.testing.assert_array_equal(found.W, [[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]])
    assert found.b is None


def test_bfloat16(tmp_path: Path) -> None:
    """bfloat16 is the upper half of a float32; these values have no more bits than that."""
    half = (W.astype("<f4").view("<u4") >> 16).astype("<u2")
    data = half.tobytes()
    header = b'{"W":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}}'
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    np.testing.assert_array_equal(read_weights(path).W, W)


def test_a_type_that_is_not_read_is_named(tmp_path: Path) -> None:
    header = b'{"W":{"dtype":"BOOL","shape":[2,3],"data_offsets":[0,6]}}'
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(6))
    with pytest.raises(BadInput, match="stored as BOOL"):
        read_weights(path)


def test_all_zero_weights_are_read(tmp_path: Path) -> None:
    assert not np.any(read_weights(npz(tmp_path / "zero.npz", W=np.zeros((2, 3)))).W)


# Orientation.


def test_more_rows_than_columns_is_transposed_and_said(tmp_path: Path) -> None:
    found = read_weights(npz(tmp_path / "t.npz", W=W.T))
    np.testing.assert_array_equal(found.W, W)
    assert found.orientation == "n,d" and "transposed" in found.note


def test_the_length_of_b_decides_before_the_shape(tmp_path: Path) -> None:
    tall = npz(tmp_path / "tall.npz", W=W.T, b=np.zeros(2))  # d = 3 > n = 2
    found = read_weights(tall)
    assert (found.d, found.n, found.orientation) == (3, 2, "d,n") and "b of length 2" in found.note
    wide = npz(tmp_path / "wide.npz", W=W, importance=np.ones(2))
    assert read_weights(wide).orientation == "n,d"


def test_the_caller_decides_first_and_n_counts(tmp_path: Path) -> None:
    path = npz(tmp_path / "tall.npz", W=W.T)
    assert read_weights(path, "d,n").n == 2
    assert read_weights(path, n=2).orientation == "d,n"
    with pytest.raises(BadInput, match="does not fit"):
        read_weights(path, "d,n", n=3)
    with pytest.raises(BadInput, match="does not fit"):
        read_weights(path, n=7)
    with pytest.raises(BadInput, match="orientation"):
        read_weights(path, "dn")


def test_a_square_matrix_needs_the_orientation(tmp_path: Path) -> None:
    square = np.array([[1.0, 2.0], [3.0, 4.0]])
    path = npz(tmp_path / "square.npz", W=square, b=np.zeros(2))
    with pytest.raises(BadInput, match=r"square.*--orientation"):
        read_weights(path)
    np.testing.assert_array_equal(read_weights(path, "d,n").W, square)
    np.testing.assert_array_equal(read_weights(path, "n,d").W, square.T)


# What is refused, each with one clear line.


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"W": np.array([[1.0, np.nan, 0.0]])}, r"NaN or infinite, the first at \(0, 1\)"),
        ({"W": np.array([[1.0, np.inf, 0.0]])}, "NaN or infinite"),
        ({"W": W, "b": np.array([0.0, np.nan, 0.0])}, "b holds 1 numbers"),
        ({"W": W[0]}, r"shape \(3,\)"),
        ({"W": W[None]}, "must be a matrix"),
        ({"W": np.zeros((0, 3))}, "must be a matrix"),
        ({"W": W, "b": np.zeros(4)}, "b of length 4 does not fit"),
        ({"W": W, "b": np.zeros((3, 1))}, r"b has shape \(3, 1\)"),
        ({"W": W, "b": np.zeros(3), "importance": np.ones(2)}, "does not fit"),
        ({"W": W, "weight": W}, "both W and weight"),
        ({"W": W, "b": B, "bias": B}, "both b and bias"),
        ({"W": W, "decoder": W, "alpha": B}, "unknown keys 'alpha', 'decoder'"),
        ({"b": B}, "holds b: a matrix W"),
        ({"W": W + 1j}, "type complex128"),
        ({"W": np.array([["a", "b"]])}, "real numbers are required"),
        ({"W": W > 0}, "type bool"),
        ({}, "holds nothing"),
    ],
)
def test_bad_contents(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        read_weights(npz(tmp_path / "w.npz", **arrays))
    assert "\n" not in str(caught.value)


def test_pickles_are_refused_and_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "it-ran"
    bomb = Bomb(trace)
    files = []
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        files.append(tmp_path / f"weights{protocol}.npz")
        files[-1].write_bytes(pickle.dumps({"W": bomb}, protocol))
    objects = np.array([bomb], dtype=object)
    files.append(npz(tmp_path / "objects.npz", W=objects))
    files.append(tmp_path / "objects.npy")
    np.save(files[-1], objects, allow_pickle=True)
    files.append(tmp_path / "model.pt")  # the layout of torch.save
    with zipfile.ZipFile(files[-1], "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(bomb))
        archive.writestr("model/data/0", b"\0" * 24)
    files.append(tmp_path / "hidden.npz")
    with zipfile.ZipFile(files[-1], "w") as archive:
        buffer = io.BytesIO()
        np.save(buffer, W)
        archive.writestr("W.npy", buffer.getvalue())
        archive.writestr("b.npy", pickle.dumps(bomb))
    for path in files:
        with pytest.raises(BadInput):
            read_weights(path)
    assert not trace.exists()
    pickle.loads(pickle.dumps(bomb))  # negative control: unpickling would have left the trace
    assert trace.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"W = 1\n",
        b"PK\x03\x04 not a zip file",
        b"\x93NUMPY\x01\x00",
        b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f8', 'shape': (10",
        struct.pack("<Q", 4) + b"{...",
        struct.pack("<Q", 2**40) + b"{}",
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_what_is_no_weights_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "w.npz"
    path.write_bytes(data)
    with pytest.raises(BadInput):
        read_weights(path)


def test_a_claim_of_too_many_numbers(tmp_path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (4000000, 4000000), }"
    header += b" " * (117 - len(header)) + b"\n"
    path = tmp_path / "w.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    with pytest.raises(BadInput):
        read_weights(path)


def test_truncated_files_of_every_length_are_refused(tmp_path: Path) -> None:
    for writer, step in ((npz, 7), (safetensors, 1)):
        whole = writer(tmp_path / "whole", W=W, b=B).read_bytes()
        for length in range(0, len(whole), step):
            part = tmp_path / "part"
            part.write_bytes(whole[:length])
            with pytest.raises(BadInput):
                read_weights(part)


@given(
    st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"\x80"])
)
def test_any_bytes_are_answered_or_refused(tmp_path_factory: Any, data: bytes, head: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any-bytes"
    path.write_bytes(head + data)
    with pytest.raises(BadInput):
        read_weights(path)


def test_missing_files_folders_and_devices(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        read_weights(tmp_path / "nowhere.npz")
    with pytest.raises(BadInput, match="is not a file"):
        read_weights(tmp_path)
    if os.path.exists(os.devnull):
        with pytest.raises(BadInput):
            read_weights(os.devnull)


# Writing.


def test_round_trip_is_exact(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    W, b, importance = rng.normal(size=(3, 7)), rng.normal(size=7), rng.random(7)
    save_weights(tmp_path / "w.npz", W, b, importance)
    found = read_weights(tmp_path / "w.npz")
    np.testing.assert_array_equal(found.W, W)
    np.testing.assert_array_equal(found.b, b)
    np.testing.assert_array_equal(found.importance, importance)
    assert [path.name for path in tmp_path.iterdir()] == ["w.npz"]


def test_more_dimensions_than_features_survive_the_round_trip(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.npz", np.eye(3, 2), np.zeros(2))
    np.testing.assert_array_equal(read_weights(tmp_path / "w.npz").W, np.eye(3, 2))


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = npz(tmp_path / "w.npz", W=W)
    before = path.read_bytes()

    def full(file: Any, **arrays: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(BadInput, match="No space left"):
        save_weights(path, W)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["w.npz"]
