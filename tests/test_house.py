"""The house itself: names, rooms, weights of imports, and what the README promises."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

import packing
from packing.cli.app import COMMANDS, TABLES, one_line, registered, table

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("packing", "theory", "validate")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def python(code: str, cwd: Path = ROOT) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# Names. Another distribution ships a top-level package called validate, and theory is no rare name.


@pytest.mark.parametrize("room", ROOMS)
def test_import_names_resolve_to_this_project(room: str) -> None:
    module = importlib.import_module(room)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve().parent == ROOT / room, (
        f"import {room} finds another package: uninstall it, or use a fresh virtual environment"
    )


def test_import_names_resolve_outside_the_project_folder(tmp_path: Path) -> None:
    """From another folder it is the installation that decides, not the working directory."""
    try:
        importlib.metadata.version("feature-packing")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("feature-packing is not installed here (make test installs it)")
    found = json.loads(
        python(
            f"import importlib, json; print(json.dumps([importlib.import_module(r).__file__ "
            f"for r in {ROOMS!r}]))",
            tmp_path,
        )
    )
    assert len({Path(file).parent.parent for file in found}) == 1, found


def test_a_foreign_package_of_the_same_name_is_named(tmp_path: Path) -> None:
    """Negative control: with a foreign `theory` in front, the command says what is wrong."""
    (tmp_path / "theory").mkdir()
    (tmp_path / "theory" / "__init__.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "packing", "optimal", "--help"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert "not from feature-packing" in done.stderr and "Traceback" not in done.stderr


def test_declared_packages_are_the_packages_of_the_tree() -> None:
    found = {
        ".".join(init.parent.relative_to(ROOT).parts)
        for room in ROOMS
        for init in (ROOT / room).rglob("__init__.py")
    }
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == found
    for room in ROOMS:
        assert (ROOT / room / "py.typed").is_file()


def test_one_version_everywhere() -> None:
    version = PROJECT["project"]["version"]
    assert packing.__version__ == version
    for room in ROOMS[1:]:
        assert importlib.import_module(room).__version__ == version
    assert f"version: {version}" in (ROOT / "CITATION.cff").read_text()
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_constraints_pin_every_requirement() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {line.split("==")[0].lower() for line in lines if "==" in line}
    extras = PROJECT["project"]["optional-dependencies"].values()
    wanted = [*PROJECT["project"]["dependencies"], *(name for extra in extras for name in extra)]
    names = {re.split(r"[<>=\[ ]", name)[0].lower() for name in wanted} - {"feature-packing"}
    assert names <= pins, f"no exact version for {names - pins}"


# Rooms: validate -> theory -> packing, never back; torch only in validate.


def imported(file: Path) -> set[str]:
    """Top-level names a module imports when it runs, not those under `if TYPE_CHECKING`."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


FORBIDDEN = {"packing": {"theory", "validate", "torch"}, "theory": {"validate", "torch"}}


@pytest.mark.parametrize("room", FORBIDDEN)
def test_no_import_points_upwards(room: str) -> None:
    for file in sorted((ROOT / room).rglob("*.py")):
        wrong = imported(file) & FORBIDDEN[room]
        assert not wrong, f"{file.relative_to(ROOT)} imports {', '.join(sorted(wrong))}"


def test_an_upward_import_would_be_seen(tmp_path: Path) -> None:
    """Negative control of the test above, inside a function too."""
    file = tmp_path / "module.py"
    file.write_text("def f():\n    from theory import loss\n    return loss\n")
    assert imported(file) == {"theory"}


def test_theory_answers_without_torch() -> None:
    code = "import sys, packing, theory.losses.expected, theory.optima; print(sorted(sys.modules))"
    loaded = ast.literal_eval(python(code))
    assert "torch" not in loaded and "validate" not in loaded


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, contextlib, io\n"
        "from packing.cli.app import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "    main([{}])\n"
        "print(sorted(sys.modules))"
    )
    heavy = {"numpy", "scipy", "matplotlib", "rich", "sympy", "safetensors", "torch"}
    assert not heavy & set(ast.literal_eval(python(code.format("'--help'"))))
    assert "theory" not in ast.literal_eval(python(code.format("'--help'")))
    assert not heavy & set(ast.literal_eval(python(code.format("'optimal', '--help'"))))


def test_verbs_stay_verbs_whatever_is_imported_first() -> None:
    code = (
        "import theory.losses.expected; import theory.optima; import theory\n"
        "from theory.losses.expected import Loss\n"
        "from theory import loss, optimum\n"
        "assert callable(loss) and callable(theory.loss) and callable(theory.optimum)\n"
        "assert theory.Loss is Loss\n"
    )
    python(code)
    python(
        "import theory; theory.loss; import theory.losses.expected; assert callable(theory.loss)"
    )


@pytest.mark.parametrize("name", ["packing", "theory"])
def test_lazy_names_exist(name: str) -> None:
    room = importlib.import_module(name)
    for public in room.__all__:
        assert getattr(room, public) is not None
        assert public in dir(room)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        room.nonsense  # noqa: B018


# Commands register as entry points: no room names another one above it.


def named_above(source: str, rooms: set[str]) -> set[str]:
    """Strings of the source, prose aside, that name a module of these rooms."""
    texts = [
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return {text for text in texts if re.fullmatch(rf"({'|'.join(rooms)})(\.\w+)+(:\w+)?", text)}


@pytest.mark.parametrize("room", FORBIDDEN)
def test_no_room_names_a_module_above_it(room: str) -> None:
    for file in sorted((ROOT / room).rglob("*.py")):
        wrong = named_above(file.read_text(encoding="utf-8"), FORBIDDEN[room])
        assert not wrong, f"{file.relative_to(ROOT)} names {', '.join(sorted(wrong))}"


def test_a_module_named_above_would_be_seen() -> None:
    """Negative control of the test above."""
    assert named_above('door = {"loss": "theory.cli.model:loss_command"}', {"theory"})


def test_an_installation_without_its_checkout_has_the_same_commands(tmp_path: Path) -> None:
    """The rooms copied elsewhere, beside the metadata that an installation writes."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    info = tmp_path / "feature_packing-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: feature-packing\nVersion: 0.1.0\n")
    groups = PROJECT["project"]["entry-points"]
    (info / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{name} = {at}\n" for name, at in sorted(points.items()))
            for group, points in groups.items()
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "packing", "--help"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS), done.stdout
    assert list(COMMANDS) == list(registered("packing.commands"))
    assert set(TABLES) == set(groups["packing.tables"])


# The README: every command it shows exists, with the options it shows.


def readme_commands() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines: list[str] = []
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S):
        if language == "python":
            continue
        for line in block.splitlines():
            words = line.removeprefix("$ ").strip()
            if re.match(r"(packing|make) [a-z]", words):
                lines.append(words.partition("#")[0])
    return lines


def test_readme_shows_the_two_commands_and_the_main_job() -> None:
    shown = [line.split()[:2] for line in readme_commands()]
    assert ["make", "run"] in shown and ["make", "test"] in shown


def test_readme_commands_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    context = click.Context(table)
    for line in readme_commands():
        program, first, *rest = shlex.split(line)
        if program == "make":
            assert first in targets, line
            continue
        assert first in COMMANDS, line
        command = table.get_command(context, first)
        assert command is not None
        if isinstance(command, click.Group):
            command = command.get_command(context, rest[0])
            assert command is not None, line
        known = {name for option in command.params for name in option.opts} | {"--help", "-h"}
        used = {word.partition("=")[0] for word in rest if re.match(r"--?[A-Za-z]", word)}
        assert used <= known, f"{line}: no option {', '.join(used - known)}"


@pytest.mark.parametrize("name", COMMANDS)
def test_lines_read_from_the_source_are_those_of_the_commands(name: str) -> None:
    command = table.get_command(click.Context(table), name)
    assert command is not None and command.help and command.help == one_line(COMMANDS[name])


def test_laws_offered_are_the_laws_there_are() -> None:
    from theory.features import LAWS

    for name in ("loss", "optimal", "critical"):
        command = table.get_command(click.Context(table), name)
        assert command is not None
        law = next(option for option in command.params if option.name == "law")
        assert law.make_metavar(click.Context(command)) == f"[{'|'.join(LAWS)}]"


def test_every_file_stands_on_the_map() -> None:
    """docs/house.md names each module of the rooms and of the studies, and none that is gone."""
    page = (ROOT / "docs" / "house.md").read_text(encoding="utf-8")
    named = {word.rstrip("/") for word in re.findall(r"`([a-z_]+/?)`", page)}
    there = {
        file.stem
        for room in (*ROOMS, "studies")
        for file in (ROOT / room).rglob("*.py")
        if file.stem != "__init__"
    }
    assert there - {"__main__"} <= named
    folders = {file.name for room in ROOMS for file in (ROOT / room).iterdir() if file.is_dir()}
    verbs = {"optimum", "ladder", "train", "studies", "declared", "golden", "data", "theory"}
    assert named - there - folders - verbs - {"benchmarks", "tests", "validate", "packing"} == set()
