"""What the commands of commands.txt answer: run them in this process, and keep it in golden.json.

    python tests/golden/record.py                record every command
    python tests/golden/record.py --only ID ...  record some, keep the others as they are

tests/test_golden.py runs the same commands and compares. Record again only where an answer changes
on purpose; the difference of golden.json then shows what changed, one command a line.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # as tests/conftest.py: sums must not depend on threads
os.environ["MPLBACKEND"] = "Agg"

import numpy as np  # noqa: E402
from click.testing import CliRunner  # noqa: E402

from packing.cli.app import table  # noqa: E402

HERE = Path(__file__).resolve().parent
COMMANDS, GOLDEN = HERE / "commands.txt", HERE / "golden.json"

DROPPED = {
    "seconds": "time",
    "sessions": "dates and versions",
    "device": "the machine",
}
"""Keys that no recording holds: they say when and where, not what."""

TIME = re.compile(r", [\d.e+-]+ s$", re.MULTILINE)
"""How long it took, at the end of a line for people."""

TINY = """
title = "Tiny"
about = "Small models, trained for a moment."
minutes = 0.1
needs = "a CPU"

[recipe]
steps = 60
batch = 64
lr = 0.02

[[cell]]
name = "pair"
n = 2
d = 1
S = 0.3
runs = 16
groups = 8

[[check]]
cells = ["pair"]
quantity = "loss"
tolerance = 0.5
reason = "a few steps"
controls = ["1-S", "bias"]
"""


def commands() -> dict[str, str]:
    """Name and line of every command, in the order of the file."""
    found: dict[str, str] = {}
    for text in COMMANDS.read_text(encoding="utf-8").splitlines():
        if text and not text.startswith("#"):
            name, line = text.split(maxsplit=1)
            if name in found:
                raise ValueError(f"{name} is there twice: give every command a name of its own")
            found[name] = line
    return found


def circle(n: int, length: float = 1.0) -> Any:
    """n vectors of the plane at equal angles, as columns."""
    angles = 2.0 * np.pi * np.arange(n) / n
    return length * np.array([np.cos(angles), np.sin(angles)])


def write_inputs(folder: Path) -> dict[str, Path]:
    """The files that commands read, the same in every run."""
    from safetensors.numpy import save_file

    rng = np.random.default_rng(2022)
    pentagon = circle(5)
    mixture = np.zeros((4, 8))  # a digon, a triangle and a lone feature; two ignored
    mixture[0, [1, 4]] = 1.1, -1.1
    mixture[1:3, [0, 3, 6]] = circle(3, 0.9)
    mixture[3, 7] = 1.0
    random = rng.normal(size=(3, 7)) / 2.0
    arrays: dict[str, dict[str, Any]] = {
        "pentagon": {"W": pentagon, "b": np.full(5, -0.05)},
        "mixture": {"W": mixture, "b": np.linspace(-0.1, 0.1, 8)},
        "noisy": {"W": circle(6) + 0.01 * rng.normal(size=(2, 6))},
        "random": {"W": random, "b": np.linspace(-0.2, 0.2, 7)},
        "rows": {"weight": random.T},
        "square": {"W": np.array([[1.0, 0.5], [0.0, 0.2]])},
        "twins": {"W": np.ones((2, 3))},
        "weighted": {"W": np.array([[1.0, -1.0, 0.3]]), "importance": np.array([2.0, 1.0, 0.5])},
        "wide": {"W": rng.normal(size=(8, 30)) / 3.0, "b": np.full(30, -0.1)},
        "zeros": {"W": np.zeros((2, 3))},
        "broken": {"W": np.array([[np.nan, 1.0]])},
    }
    made = {}
    for name, held in arrays.items():
        made[name] = folder / f"{name}.npz"
        np.savez(made[name], **held)
    made["safe"] = folder / "safe.safetensors"
    save_file({"weight": np.ascontiguousarray(pentagon.T)}, made["safe"])
    made["tiny"] = folder / "tiny.toml"
    made["tiny"].write_text(TINY, encoding="utf-8")
    return made


def without_dropped(value: Any) -> Any:
    """The value without the keys DROPPED, at any depth."""
    if isinstance(value, dict):
        return {k: without_dropped(item) for k, item in value.items() if k not in DROPPED}
    return [without_dropped(item) for item in value] if isinstance(value, list) else value


def read(path: Path) -> Any:
    """What a command has written: arrays, JSON, text, or only that it is there."""
    if path.suffix == ".npz":
        with np.load(path) as held:
            return {name: held[name].tolist() for name in held.files}
    if path.suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))
    return path.read_text(encoding="utf-8") if path.suffix in (".md", ".tex", ".csv") else None


def answer(line: str, folder: Path) -> dict[str, Any]:
    """Exit code, answer, lines of standard error and files of a command, in an empty folder."""
    inputs, out = folder / "inputs", folder / "out"
    inputs.mkdir()
    out.mkdir()
    places = {**write_inputs(inputs), "out": out}
    said: list[str] = []
    for part in line.split("&&"):
        words = [word.format_map(places) for word in part.split()]
        result = CliRunner().invoke(table, words, prog_name="packing", catch_exceptions=False)
        said += result.stderr.splitlines()

    def portable(text: str) -> str:
        for name, path in places.items():
            text = text.replace(str(path), f"{{{name}}}")
        return TIME.sub(", some s", text)

    stdout = portable(result.stdout)
    body = json.loads(stdout) if stdout.startswith("{") else stdout
    return {
        "exit": result.exit_code,
        "answer": without_dropped(body),
        "stderr": [portable(text) for text in said],
        "files": {p.name: without_dropped(read(p)) for p in sorted(out.iterdir()) if p.is_file()},
    }


@contextmanager
def own_place() -> Iterator[Path]:
    """A temporary folder, and an empty cache in it; the user's is never read or written."""
    before = os.environ.get("FEATURE_PACKING_CACHE")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        os.environ["FEATURE_PACKING_CACHE"] = str(folder / "cache")
        try:
            yield folder
        finally:
            os.environ.pop("FEATURE_PACKING_CACHE")
            if before is not None:
                os.environ["FEATURE_PACKING_CACHE"] = before


def load() -> dict[str, Any]:
    """The recording."""
    return dict(json.loads(GOLDEN.read_text(encoding="utf-8")))


def save(recorded: dict[str, Any]) -> None:
    """One command a line, sorted, so that a difference is easy to read."""
    lines = [
        f"{json.dumps(name)}: {json.dumps(recorded[name], sort_keys=True, allow_nan=False)}"
        for name in sorted(recorded)
    ]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def main() -> None:
    """Record all commands, or some; the CPU seconds of each are printed, not kept."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="ID", help="record these, keep the others")
    chosen = parser.parse_args().only
    known = commands()
    if chosen and set(chosen) - set(known):
        sys.exit(f"no command is called {', '.join(sorted(set(chosen) - set(known)))}")
    for name in ("FORCE_COLOR", "NO_COLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES"):
        os.environ.pop(name, None)
    recorded = {name: x for name, x in load().items() if name in known} if chosen else {}
    total = 0.0
    for name in chosen or known:
        with own_place() as folder:
            begun = time.process_time()
            recorded[name] = answer(known[name], folder)
            took = time.process_time() - begun
        total += took
        print(f"{took:8.2f} s  exit {recorded[name]['exit']}  {name}", flush=True)
    save(recorded)
    print(f"{total:8.2f} s  {len(chosen or known)} commands")


if __name__ == "__main__":
    main()
