"""Answers kept on disk, so that an identical question is answered at once.

One small JSON file per answer, in the user's cache directory. The name of the file is a digest of
the question, of the source of `packing` and `theory`, and of the numpy and scipy versions: a change
of code asks a new question. A cache can be lost at any time, so nothing here raises: an entry that
cannot be read, or a folder that cannot be written, is a miss.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path
from typing import Any

from packing.files import write_text

VARIABLE = "FEATURE_PACKING_CACHE"  # another folder; empty: no cache
LIMIT = 64 * 2**20  # bytes; the oldest entries go when the folder grows beyond
_ROOMS = ("packing", "theory")


def folder() -> Path | None:
    """The folder of the cache, or None where it is switched off."""
    chosen = os.environ.get(VARIABLE)
    if chosen is not None:
        return Path(chosen) if chosen else None
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("feature-packing", appauthor=False))


def read(question: Mapping[str, Any]) -> dict[str, Any] | None:
    """The answer to that question, or None; numbers come back bit for bit."""
    try:
        path = _path(question)
        if path is None:
            return None
        entry = json.loads(path.read_text(encoding="utf-8"))
        # The question is stored too: a damaged or foreign file is not taken for an answer.
        if entry["question"] != _canonical(question) or not isinstance(entry["answer"], dict):
            return None
        answer: dict[str, Any] = entry["answer"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # the time of last use, by which entries are dropped
    return answer


def write(question: Mapping[str, Any], answer: Mapping[str, Any]) -> bool:
    """Keep an answer; False where it could not be kept."""
    try:
        path = _path(question)
        if path is None:
            return False
        text = json.dumps({"question": _canonical(question), "answer": answer})
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
        prune(path.parent)
    except (OSError, TypeError, ValueError):
        return False
    return True


def prune(where: Path, limit: int = LIMIT) -> None:
    """Drop the entries used longest ago until half the limit is free again."""
    entries, now = [], time.time()
    for path in where.iterdir():
        with contextlib.suppress(OSError):
            status = path.stat()
            if path.suffix == ".json" and len(path.stem) == 64:
                entries.append((status.st_mtime, status.st_size, path))
            elif ".tmp" in path.suffixes and now - status.st_mtime > 3600:
                path.unlink()  # left behind by a process that was killed
    total = sum(size for _, size, _ in entries)
    if total <= limit:
        return
    for _, size, path in sorted(entries):
        if total <= limit // 2:
            break
        with contextlib.suppress(OSError):
            path.unlink()
            total -= size


def encode(value: Any) -> Any:
    """A frozen object of this project, made of JSON values; `decode` gives it back.

    Raises
    ------
    TypeError
        If something in it has no such form: it is neither a value, nor a dataclass, nor a constant
        of the module that defines its class (as the laws are), nor a member of an enumeration.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"object": f"{type(value).__module__}:{type(value).__qualname__}", "fields": fields}
    if hasattr(value, "tolist"):
        return {"array": value.tolist(), "type": str(value.dtype)}
    if isinstance(value, tuple):
        return {"tuple": [encode(item) for item in value]}
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, Enum):
        return {"constant": f"{type(value).__module__}:{type(value).__qualname__}.{value.name}"}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    home = type(value).__module__
    if home.partition(".")[0] in _ROOMS:
        for name, constant in vars(import_module(home)).items():
            if constant is value:
                return {"constant": f"{home}:{name}"}
    raise TypeError(f"{type(value).__name__} cannot be kept in the cache")


def decode(value: Any) -> Any:
    """What `encode` was given. Only dataclasses of this project are built."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        import numpy as np

        return np.array(value["array"], dtype=value["type"])[()]
    if "tuple" in value:
        return tuple(decode(item) for item in value["tuple"])
    constant = "constant" in value
    module, _, name = value["constant" if constant else "object"].partition(":")
    if module.partition(".")[0] not in _ROOMS:
        raise ValueError(f"{module} is not part of this project")
    kind: Any = attrgetter(name)(import_module(module))
    if constant:
        return kind
    if not dataclasses.is_dataclass(kind):
        raise ValueError(f"{name} is not a dataclass")
    return kind(**{key: decode(item) for key, item in value["fields"].items()})  # type: ignore[operator]


def recall(question: Mapping[str, Any]) -> Any:
    """The object that `remember` kept under that question, or None."""
    answer = read(question)
    try:
        return None if answer is None else decode(answer["object"])
    except (KeyError, TypeError, ValueError, AttributeError, ImportError):
        return None  # an entry that cannot be read is a miss


def remember(question: Mapping[str, Any], value: Any) -> bool:
    """Keep an object of this project as the answer; False where it could not be kept."""
    return write(question, {"object": encode(value)})


def _path(question: Mapping[str, Any]) -> Path | None:
    where = folder()
    if where is None:
        return None
    key = hashlib.sha256(f"{code_digest()}\n{_canonical(question)}".encode()).hexdigest()
    return where / f"{key}.json"


def _canonical(question: Mapping[str, Any]) -> str:
    return json.dumps(question, sort_keys=True)


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Digest of everything an answer depends on besides the question."""
    digest = hashlib.sha256()
    for room in _ROOMS:
        spec = find_spec(room)
        for root in (spec.submodule_search_locations or []) if spec else []:
            for path in sorted(Path(root).rglob("*.py")):
                digest.update(f"{room}/{path.relative_to(root).as_posix()}\n".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    for name in ("numpy", "scipy"):
        try:
            digest.update(f"{name} {version(name)}\n".encode())
        except PackageNotFoundError:
            digest.update(f"{name} ?\n".encode())
    return digest.hexdigest()
