"""The cache: exact numbers back, changed code asks anew, and nothing that breaks it is an error."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from packing import cache
from theory.features import UNIFORM, Features

QUESTION = {"verb": "ladder", "n": 5, "S_min": 1e-4, "importance": [1.0, 0.5]}
ANSWER = {"S": [0.1, 1 / 3, 5e-324, -0.0], "name": "pentagon", "none": None}


def entry(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


def test_answers_come_back_bit_for_bit(own_cache: Path) -> None:
    assert cache.read(QUESTION) is None
    assert cache.write(QUESTION, ANSWER)
    assert repr(cache.read(QUESTION)) == repr(ANSWER)
    assert cache.read({**QUESTION, "n": 6}) is None


def test_changed_code_is_another_question(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.write(QUESTION, ANSWER)
    monkeypatch.setattr(cache, "code_digest", lambda: "other code")
    assert cache.read(QUESTION) is None


def test_the_digest_sees_every_byte_of_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(cache, "find_spec", lambda room: spec)
    (tmp_path / "rows").mkdir()
    file = tmp_path / "rows" / "module.py"
    seen = set()
    for text in ("x = 1", "x = 2"):
        file.write_text(text)
        seen.add(cache.code_digest.__wrapped__())
    file.rename(tmp_path / "rows" / "renamed.py")
    seen.add(cache.code_digest.__wrapped__())
    assert len(seen) == 3


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe", b"null", b'{"question": 1}'])
def test_damaged_entries_are_misses_and_replaced(own_cache: Path, damage: bytes) -> None:
    cache.write(QUESTION, ANSWER)
    entry(own_cache).write_bytes(damage)
    assert cache.read(QUESTION) is None
    assert cache.write(QUESTION, ANSWER) and cache.read(QUESTION) == ANSWER


def test_a_foreign_entry_is_not_taken_for_the_answer(own_cache: Path) -> None:
    cache.write(QUESTION, ANSWER)
    first = entry(own_cache)
    other = {**QUESTION, "n": 7}
    cache.write(other, {"wrong": True})
    second = next(path for path in own_cache.iterdir() if path != first)
    second.replace(first)
    assert cache.read(QUESTION) is None


def test_a_folder_that_cannot_be_used_is_a_miss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "file"))
    assert not cache.write(QUESTION, ANSWER) and cache.read(QUESTION) is None
    monkeypatch.setenv(cache.VARIABLE, "")
    assert cache.folder() is None
    assert not cache.write(QUESTION, ANSWER) and cache.read(QUESTION) is None


def test_the_default_folder_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cache.VARIABLE)
    folder = cache.folder()
    assert folder is not None and folder.name == "feature-packing"


def test_the_oldest_entries_go_first(own_cache: Path) -> None:
    names = [f"{i:064d}.json" for i in range(4)]
    for age, name in enumerate(names):
        path = own_cache / name
        path.write_bytes(b"x" * 100)
        os.utime(path, (1000 + age, 1000 + age))
    (own_cache / "mine.txt").write_text("not the cache's")
    cache.prune(own_cache, limit=400)
    assert len(list(own_cache.iterdir())) == 5
    cache.prune(own_cache, limit=399)
    assert {path.name for path in own_cache.iterdir()} == {"mine.txt", names[3]}


def test_objects_come_back_as_they_were() -> None:
    features = Features.of(3, [0.1, 0.2, 0.3], UNIFORM, [1.0, 0.5, 0.25])
    value = (features, [1, None, "x"], np.array([[1.0, np.inf], [np.nan, 5e-324]]), np.float64(0.5))
    found = cache.decode(through_json(cache.encode(value)))
    assert found[0].law is UNIFORM
    np.testing.assert_array_equal(found[0].S, features.S)
    assert found[1] == [1, None, "x"]
    np.testing.assert_array_equal(found[2], value[2])


def test_only_this_projects_objects_are_built() -> None:
    for kind in ("subprocess:Popen", "packing.weights:read_weights", "packing.cli.app:Whole"):
        with pytest.raises(ValueError):
            cache.decode({"object": kind, "fields": {}})
    unnamed = replace(Features.of(2, 0.5), law=object())  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        cache.encode(unnamed)


def through_json(value: Any) -> Any:
    import json

    return json.loads(json.dumps(value))
