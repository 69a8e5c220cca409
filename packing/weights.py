"""Weights from files and to files: npz, npy and safetensors, never a pickle.

What a file is gets decided by its first bytes, not by its name, so that a pickle called
``weights.npz`` is refused before anything in it could run.
"""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from packing.errors import BadInput
from packing.files import replacing
from packing.types import Float

LARGEST = 2**31  # bytes; far above any model this project can answer for, far below exhaustion
_NAMES = {"W": "W", "weight": "W", "b": "b", "bias": "b", "importance": "importance"}
_ORIENTATIONS = ("d,n", "n,d")
# How the numbers of a safetensors file are stored; BF16 is the upper half of a float32.
_SAFETENSORS = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "<i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "<u1",
}


@dataclass(frozen=True, eq=False)
class Weights:
    """What a file of weights holds.

    Parameters
    ----------
    W : (d, n) array
        One column per feature, float64 whatever the file held.
    b : (n,) array or None
        Biases, None where the file has none.
    importance : (n,) array or None
        Importance of each feature, None where the file has none.
    orientation : str
        How the file held W, ``"d,n"`` or ``"n,d"`` (transposed on reading).
    note : str
        One sentence on how the orientation was decided.
    """

    W: Float
    b: Float | None
    importance: Float | None
    orientation: str
    note: str

    @property
    def d(self) -> int:
        return int(self.W.shape[0])

    @property
    def n(self) -> int:
        return int(self.W.shape[1])


def read_weights(
    path: str | os.PathLike[str], orientation: str | None = None, n: int | None = None
) -> Weights:
    """Read W, and b and importance if they are there, from an npz, npy or safetensors file.

    Parameters
    ----------
    path : path
        The file. Its format is decided by its first bytes. Known names: ``W`` or ``weight``,
        ``b`` or ``bias``, ``importance``; an npy file holds W alone. Floats of 16, 32 and 64 bits,
        bfloat16 (safetensors) and integers are accepted.
    orientation : {"d,n", "n,d"}, optional
        How the file holds W. By default the length of b or importance decides, then n, then the
        rule d < n; a square W needs this argument.
    n : int, optional
        Number of features, where it is known otherwise.

    Returns
    -------
    Weights

    Raises
    ------
    BadInput
        If the file cannot be read, is none of the three formats, holds pickled objects, unknown
        names, wrong shapes or numbers that are not finite, or if the orientation stays open.
    """
    shown = os.fspath(path)
    if orientation is not None and orientation not in _ORIENTATIONS:
        raise BadInput(f"orientation = {orientation!r} is unknown: give d,n or n,d")
    arrays = _known(_arrays(Path(path), shown), shown)
    W = _finite(arrays["W"], "W", shown)
    if W.ndim != 2 or 0 in W.shape:
        raise BadInput(f"{shown}: W has shape {W.shape}: it must be a matrix (d, n)")
    vectors: dict[str, Float] = {}
    for name in ("b", "importance"):
        if name in arrays:
            vectors[name] = _finite(arrays[name], name, shown)
    for name, vector in vectors.items():
        if vector.ndim != 1:
            raise BadInput(f"{shown}: {name} has shape {vector.shape}: it must be (n,)")
    lengths = {name: int(vector.size) for name, vector in vectors.items()}
    if n is not None:
        lengths["n"] = n
    held, why = _orient(W.shape, orientation, lengths, shown)
    W = np.ascontiguousarray(W if held == "d,n" else W.T)
    note = f"W is read as ({held}): d = {W.shape[0]}, n = {W.shape[1]}, {why}"
    return Weights(W, vectors.get("b"), vectors.get("importance"), held, note)


def save_weights(
    path: str | os.PathLike[str], W: Float, b: Float | None = None, importance: Float | None = None
) -> None:
    """Write W (d, n), b (n,) and importance (n,) to an npz file, whole or not at all.

    Raises
    ------
    BadInput
        If the file cannot be written.
    """
    given = {"W": W, "b": b, "importance": importance}
    arrays = {k: np.asarray(v, dtype=np.float64) for k, v in given.items() if v is not None}
    try:
        with replacing(path) as temporary, open(temporary, "xb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
    except OSError as error:
        raise BadInput(f"{os.fspath(path)} cannot be written: {error.strerror or error}") from None


def _orient(
    shape: tuple[int, ...], orientation: str | None, lengths: dict[str, int], shown: str
) -> tuple[str, str]:
    """How W is held, and why; the caller's word counts first, then lengths, then d < n."""
    rows, columns = shape
    size = {"d,n": columns, "n,d": rows}
    fits = [o for o in _ORIENTATIONS if all(m == size[o] for m in lengths.values())]
    told = " and ".join(
        f"{name} = {m}" if name == "n" else f"{name} of length {m}" for name, m in lengths.items()
    )
    if orientation is not None:
        if orientation not in fits:
            raise BadInput(
                f"{shown}: W of shape ({rows}, {columns}) held as {orientation} has "
                f"n = {size[orientation]}, which does not fit {told}"
            )
        return orientation, "as asked"
    if not fits:
        raise BadInput(
            f"{shown}: {told} does not fit W of shape ({rows}, {columns}): one number per feature "
            "is required"
        )
    if rows == columns:
        raise BadInput(
            f"{shown}: W is square ({rows}, {columns}), so its shape does not say which side is n: "
            "add --orientation d,n (one column per feature) or --orientation n,d"
        )
    if len(fits) == 1:
        return fits[0], f"decided by {told}"
    if rows < columns:
        return "d,n", "as it has fewer rows than columns"
    return "n,d", "transposed, as it has more rows than columns; --orientation d,n keeps it"


def _known(arrays: dict[str, NDArray[Any]], shown: str) -> dict[str, NDArray[Any]]:
    """The arrays under their short names; anything unknown or twice is refused."""
    unknown = sorted(set(arrays) - set(_NAMES))
    if unknown:
        listed = ", ".join(repr(name) for name in unknown[:8])
        more = ", ..." if len(unknown) > 8 else ""
        raise BadInput(
            f"{shown} holds unknown keys {listed}{more}: "
            "keep only W (or weight), b (or bias) and importance"
        )
    out: dict[str, NDArray[Any]] = {}
    for name, array in arrays.items():
        if _NAMES[name] in out:
            twice = " and ".join(k for k, v in _NAMES.items() if v == _NAMES[name])
            raise BadInput(f"{shown} holds both {twice}: keep one of them")
        out[_NAMES[name]] = array
    if "W" not in out:
        held = ", ".join(sorted(arrays)) or "nothing"
        raise BadInput(f"{shown} holds {held}: a matrix W (d, n), or weight, is required")
    return out


def _finite(array: NDArray[Any], name: str, shown: str) -> Float:
    if array.dtype.kind not in "fiu":
        raise BadInput(f"{shown}: {name} has type {array.dtype}: real numbers are required")
    with np.errstate(over="ignore"):
        values = array.astype(np.float64)
    bad = ~np.isfinite(values)
    if np.any(bad):
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise BadInput(
            f"{shown}: {name} holds {int(bad.sum())} numbers that are NaN or infinite, the first "
            f"at {where}: only finite weights can be used"
        )
    return values


def _arrays(path: Path, shown: str) -> dict[str, NDArray[Any]]:
    """The arrays of a file by name, by the format that its first bytes show."""
    try:
        if path.exists() and not path.is_file():
            raise BadInput(f"{shown} is not a file: give an npz, npy or safetensors file")
        size = path.stat().st_size
        if size > LARGEST:
            raise BadInput(f"{shown} has {size} bytes: at most {LARGEST} are read")
        with path.open("rb") as file:
            head = file.read(9)
        if head.startswith(b"\x93NUMPY"):
            return {"W": np.load(path, allow_pickle=False)}
        if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            return _npz(path, shown)
        if len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") <= size - 8:
            return _safetensors(path, shown)
    except OSError as error:
        raise BadInput(
            f"{shown} cannot be read: {(error.strerror or str(error)).lower()}"
        ) from None
    except MemoryError:
        raise BadInput(f"{shown} claims to hold more numbers than fit in memory") from None
    except BadInput:
        raise
    # What the parsers raise on damaged files is not one family of errors.
    except (ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        if "allow_pickle" in str(error):
            raise BadInput(_PICKLE.format(shown)) from None
        reason = " ".join(str(error).split())[:120]
        raise BadInput(f"{shown} is damaged and cannot be read ({reason})") from None
    if head.startswith((b"\x80", b"(", b"c")):
        raise BadInput(_PICKLE.format(shown))
    raise BadInput(f"{shown} is not an npz, npy or safetensors file: save W with numpy.savez")


_PICKLE = (
    "{} holds pickled objects, which can run code and are never read: "
    "save the arrays with numpy.savez or as safetensors"
)


def _npz(path: Path, shown: str) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(path) as archive:
        members = [info.filename for info in archive.infolist()]
        claimed = sum(info.file_size for info in archive.infolist())
    if any(name.endswith((".pkl", ".pickle")) for name in members):
        raise BadInput(_PICKLE.format(f"{shown} (a torch or pickle archive)"))
    strange = [name for name in members if not name.endswith(".npy")]
    if strange:
        raise BadInput(f"{shown} is a zip file but no npz: it holds {strange[0]!r}")
    if len(set(members)) < len(members):
        raise BadInput(f"{shown} holds the same name twice: save it again with numpy.savez")
    if claimed > LARGEST:
        raise BadInput(f"{shown} unpacks to {claimed} bytes: at most {LARGEST} are read")
    # Unknown names are refused before their contents are looked at.
    names = [name.removesuffix(".npy") for name in members]
    if set(names) <= set(_NAMES):
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in names}
        # numpy hands out the bytes of a member that has no npy header.
        strange = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
        if strange:
            raise BadInput(f"{shown} holds {strange[0]}.npy, which is no array: it is not read")
        return arrays
    return {name: np.empty(0) for name in names}


def _safetensors(path: Path, shown: str) -> dict[str, NDArray[Any]]:
    from safetensors import SafetensorError, deserialize

    try:
        tensors = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise BadInput(f"{shown} is no valid safetensors file ({error})") from None
    out: dict[str, NDArray[Any]] = {}
    for name, tensor in tensors:
        if name not in _NAMES:
            out[name] = np.empty(0)
            continue
        kind, shape = str(tensor["dtype"]), tuple(tensor["shape"])
        if kind not in _SAFETENSORS:
            raise BadInput(
                f"{shown}: {name} is stored as {kind}: F64, F32, F16, BF16 and integers are read"
            )
        values = np.frombuffer(tensor["data"], dtype=_SAFETENSORS[kind], count=math.prod(shape))
        if kind == "BF16":
            values = (values.astype("<u4") << 16).view("<f4")
        out[name] = values.reshape(shape)
    return out
