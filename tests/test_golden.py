"""What commands answer is what they answered when it was recorded (tests/golden).

Numbers agree to 1e-9, words, names and keys exactly; more keys may be added. What is defined only
up to a rotation or the order of equal features, or is itself a rounding error, is named in LOOSE,
with the reason. `python tests/golden/record.py --only ID` records what changed on purpose.
"""

from __future__ import annotations

import copy
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden.record import answer, commands, load

from packing.cli.app import COMMANDS, TABLES
from theory.cli.phases import KINDS

RELATIVE = 1e-9
FLOOR = 1e-12  # absolute: what should be 0 comes out as rounding of terms of size 1, about 1e-15
FLAT = (
    1e-6  # where a search ends a loss is flat: right to 1e-12, it fixes what it depends on to 1e-6
)
SHOWN = 1e-7  # people are shown 8 digits or more, and the last of them may be rounded either way

NUMBER = re.compile(r"-?\d{6,}/\d{6,}|-?\d+\.\d+(?:e[-+]?\d+)?|-?\d+e[-+]?\d+")
RULES = re.compile(r"[─━\-]{2,}|[ \n]+")  # widths of columns follow the digits

LINES = commands()
RECORDED = load()
Same = Callable[[Any, Any], bool]


# How two values are compared.


def near(was: float, now: float, tolerance: float = RELATIVE) -> bool:
    return math.isclose(was, now, rel_tol=tolerance, abs_tol=FLOOR)


def words(was: str, now: str, tolerance: float = RELATIVE) -> bool:
    """The same words, and numbers that are near; blanks and rules of tables do not count."""
    texts = [RULES.sub(" ", NUMBER.sub(" # ", text)).strip() for text in (was, now)]
    numbers = [[float(Fraction(x)) for x in NUMBER.findall(text)] for text in (was, now)]
    return texts[0] == texts[1] and all(
        near(a, b, tolerance) for a, b in zip(*numbers, strict=True)
    )


def flat(was: Any, now: Any, tolerance: float = FLAT) -> bool:
    """Numbers, or lists of lists of them, to what a flat minimum fixes."""
    a, b = np.array(was, dtype=float), np.array(now, dtype=float)
    return a.shape == b.shape and np.allclose(a, b, rtol=tolerance, atol=FLOOR)


def any_order(was: Any, now: Any) -> bool:
    """The same numbers, whichever of equal features has which."""
    known = [[x for x in values if x is not None] for values in (was, now)]
    return len(was) == len(now) and flat(sorted(known[0]), sorted(known[1]))


def gram(was: Any, now: Any) -> bool:
    """Vectors with the same inner products, whichever has which: rotations do not count."""
    a, b = np.array(was, dtype=float), np.array(now, dtype=float)
    if a.shape != b.shape:
        return False
    scale = float(np.max(np.abs(a @ a.T))) or 1.0
    inner = [np.sort((x @ x.T).ravel()) / scale for x in (a, b)]
    return bool(np.allclose(inner[0], inner[1], rtol=0.0, atol=FLAT))


def columns(was: Any, now: Any) -> bool:
    """The same of weights, whose vectors are columns."""
    return gram(np.transpose(was), np.transpose(now))


def degrees(was: Any, now: Any) -> bool:
    """Graphs with as many edges at every vertex, whatever the vertices are called."""
    a, b = (sorted(Counter(v for pair in x for v in pair).values()) for x in (was, now))
    return a == b


def as_many(was: Any, now: Any) -> bool:
    return len(was) == len(now)


LOOSE: dict[tuple[str, str], tuple[Same, str]] = {
    ("optimal", "answer.W"): (columns, "a rotation, and the order of equal features"),
    ("optimal", "answer.b"): (any_order, "the order of equal features"),
    ("optimal", "answer.per_feature"): (any_order, "the order of equal features"),
    ("optimal", "answer.dimensionality"): (any_order, "the order of equal features"),
    ("optimal", "answer.blocks.features"): (as_many, "the order of equal features"),
    ("optimal", "answer.spectrum"): (
        lambda a, b: flat(a, b, 1e-3),
        "second differences of losses, in directions that turn with W",
    ),
    ("optimal", "answer.hits"): (
        lambda a, b: isinstance(b, int) and abs(a - b) <= 2,
        "last digits decide where a random start ends",
    ),
    ("critical", "answer.ladder.bracket"): (flat, "where root finding stops, not its root"),
    ("critical", "answer.ladder.formulas.enclosure"): (words, "of the S found, to its last digit"),
    ("code", "answer.vectors"): (gram, "a rotation, and the order of vectors"),
    ("code", "answer.contacts"): (degrees, "the order of vectors"),
    ("code", "answer.rattlers"): (as_many, "the order of vectors"),
    ("code", "answer.certificate.cosine"): (words, "a fraction of the vectors found"),
    ("code", "answer.certificate.sentence"): (words, "the same"),
    ("code", "files.angle.json.vectors"): (gram, "a rotation, and the order of vectors"),
    ("code", "files.angle.json.cosine"): (words, "a fraction of the vectors found"),
    ("code", "files.angle.json.sentence"): (words, "the same"),
    ("code", "answer.algebraic.log10_residual"): (
        lambda a, b: flat(a, b, 0.1),
        "the logarithm of a rounding error",
    ),
    ("loss", "files.pair.npz.W"): (columns, "a rotation, and the order of equal features"),
    ("identify", "files.w.npz.W"): (columns, "a rotation, and the order of equal features"),
    ("identify", "files.w.npz.b"): (any_order, "the order of equal features"),
    ("identify", "files.code.npz.W"): (columns, "a rotation, and the order of vectors"),
    ("phases importance", "answer.norms"): (flat, "norms at a flat minimum"),
    ("phases staircase", "answer.D_star"): (flat, "norms at a flat minimum"),
    ("validate", "answer.checks.measured"): (flat, "models are trained in single precision"),
    ("validate", "answer.checks.interval"): (flat, "models are trained in single precision"),
    ("table trained", "answer.rows.trained_loss"): (flat, "the same"),
    ("table trained", "answer.rows.excess"): (flat, "the same"),
    ("table candidates", "answer.rows.D_star"): (flat, "norms at a flat minimum"),
    ("table candidates", "answer.rows.capacity"): (flat, "only its sum with interference is flat"),
    ("table candidates", "answer.rows.interference"): (flat, "the same"),
}
"""How else a value is compared, and why: by the verb and the keys that lead to it."""


def loose(line: str, place: str) -> Same | None:
    """The other comparison for a place in the answer of a command."""
    asked = line.split("&&")[-1].strip()
    found = [
        same for (verb, at), (same, _) in LOOSE.items() if at == place and asked.startswith(verb)
    ]
    return found[0] if found else None


def differences(was: Any, now: Any, line: str, place: str = "") -> Iterator[str]:
    """Where an answer is not the recorded one; keys that are new are no difference."""
    other = loose(line, place)
    if other is not None and was is not None and now is not None:
        if not other(was, now):
            yield f"{place}: {was!r} became {now!r}"
    elif isinstance(was, dict) and isinstance(now, dict):
        for key in was:
            at = f"{place}.{key}".lstrip(".")
            if key in now:
                yield from differences(was[key], now[key], line, at)
            else:
                yield f"{at}: missing"
    elif isinstance(was, list) and isinstance(now, list):
        if len(was) != len(now):
            yield f"{place}: {len(was)} items became {len(now)}"
        for a, b in zip(was, now, strict=False):
            yield from differences(a, b, line, place)
    elif isinstance(was, float) and isinstance(now, (int, float)) and not isinstance(now, bool):
        if not near(was, now):
            yield f"{place}: {was!r} became {now!r}"
    elif isinstance(was, str) and isinstance(now, str) and place in ("answer", "files.t.tex"):
        if not words(was, now, RELATIVE if "--format csv" in line else SHOWN):
            yield f"{place}: {was}\nbecame\n{now}"
    elif type(was) is not type(now) or was != now:
        yield f"{place}: {was!r} became {now!r}"


# The recording.


@pytest.mark.parametrize("name", LINES)
def test_answers_are_the_recorded_ones(name: str, tmp_path: Path) -> None:
    line = LINES[name]
    found = list(differences(RECORDED[name], answer(line, tmp_path), line))
    assert not found, "\n".join([f"packing {line}", *found])


def test_the_recording_is_of_these_commands() -> None:
    assert set(RECORDED) == set(LINES) and len(LINES) >= 90


def test_every_verb_table_and_picture_is_there() -> None:
    asked = {part.strip() for line in LINES.values() for part in line.split("&&")}
    for verb in (*COMMANDS, *(f"table {x}" for x in TABLES), *(f"phases {x}" for x in KINDS)):
        assert any(f"{line} ".startswith(f"{verb} ") for line in asked), verb


def test_refusals_say_why_in_one_line() -> None:
    for name, was in RECORDED.items():
        assert (was["exit"] == 2) == name.startswith("refused-"), name
        if was["exit"] == 2:
            assert was["answer"] == "" and was["files"] == {} and len(was["stderr"]) == 1
            assert was["stderr"][0].startswith("packing: ")


# Negative controls: the comparison sees what it should.


def changed(name: str, change: Callable[[dict[str, Any]], object]) -> list[str]:
    """Differences between a recorded answer and the same with a change."""
    now = copy.deepcopy(RECORDED[name])
    change(now)
    return list(differences(RECORDED[name], now, LINES[name]))


def test_an_answer_does_not_differ_from_itself() -> None:
    for name in LINES:
        assert changed(name, lambda now: None) == []


def test_a_number_off_by_1e_8_is_seen() -> None:
    def off(now: dict[str, Any], by: float) -> None:
        now["answer"]["loss"] *= 1.0 + by

    assert changed("loss-binary", lambda now: off(now, 1e-8))[0].startswith("answer.loss: ")
    assert changed("loss-binary", lambda now: off(now, 1e-11)) == []
    change = changed("critical-pair", lambda now: now["answer"]["ladder"][0].update(S=0.5 + 5e-9))
    assert len(change) == 1 and "answer.ladder.S" in change[0]


def test_a_missing_key_is_seen_and_a_new_one_allowed() -> None:
    for name in ("loss-binary", "optimal-digon", "critical-pair", "code-seven", "table-phases"):
        for key in RECORDED[name]["answer"]:
            lost = changed(name, lambda now, key=key: now["answer"].pop(key))
            assert lost == [f"answer.{key}: missing"]
        assert changed(name, lambda now: now["answer"].update(more=1)) == []


def test_a_changed_name_is_seen() -> None:
    was = RECORDED["code-octahedron"]["answer"]["name"]
    assert changed("code-octahedron", lambda now: now["answer"].update(name="cube")) == [
        f"answer.name: {was!r} became 'cube'"
    ]
    said = changed("refused-n", lambda now: now["stderr"].__setitem__(0, "packing: no"))
    assert len(said) == 1 and said[0].startswith("stderr: ")
    assert changed("refused-n", lambda now: now.update(exit=1)) == ["exit: 2 became 1"]


def test_changed_text_is_seen() -> None:
    def edited(old: str, new: str) -> list[str]:
        assert old in RECORDED["table-candidates-six"]["answer"]
        return changed(
            "table-candidates-six",
            lambda now: now.update(answer=now["answer"].replace(old, new)),
        )

    assert edited("hexagon", "hexagons") != []
    number = NUMBER.findall(RECORDED["table-candidates-six"]["answer"])[-1]
    assert edited(number, repr(float(number) * (1.0 + 1e-6))) != []


@pytest.mark.parametrize(("verb", "place"), LOOSE)
def test_what_is_compared_loosely_is_there_and_compared(verb: str, place: str) -> None:
    """Each entry of LOOSE is met, and does not let everything pass."""

    def at(value: Any, rest: str) -> Iterator[Any]:
        if rest == "":
            yield value
        elif isinstance(value, list):
            for item in value:
                yield from at(item, rest)
        elif isinstance(value, dict):
            for key in value:
                if rest == key or rest.startswith(f"{key}."):
                    yield from at(value[key], rest[len(key) + 1 :])

    same = LOOSE[verb, place][0]
    met = [
        value
        for name, line in LINES.items()
        if line.split("&&")[-1].strip().startswith(verb)
        for value in at(RECORDED[name], place)
        if value not in (None, [])
    ]
    if place != "answer.rattlers":  # a code of few vectors has none
        assert met
    for value in met:
        if isinstance(value, str):
            assert not same(value, f"{value}.")
        elif isinstance(value, list):
            assert not same(value, [*value, value[-1]])
        else:
            assert not same(value, 2 * value + 3)
        vectors = np.array(value, dtype=float) if same in (gram, columns) else np.zeros(1)
        if np.any(vectors):
            assert not same(value, (1.001 * vectors).tolist())


def test_rotations_and_relabellings_are_no_differences() -> None:
    def turned(now: dict[str, Any]) -> None:
        W = np.array(now["answer"]["W"])
        c, s = math.cos(1.0), math.sin(1.0)
        now["answer"]["W"] = (np.array([[c, -s], [s, c]]) @ W[:, ::-1]).tolist()
        now["answer"]["b"].reverse()

    assert changed("optimal-pentagon", turned) == []
