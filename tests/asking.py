"""How tests ask the command line: run it, take its JSON answer, or the one line it refuses with."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
from click.testing import CliRunner, Result
from schemas import SCHEMAS

from packing.cli.app import table


def run(line: str, **extra: Any) -> Result:
    """The outcome of a command in this process."""
    return CliRunner().invoke(table, line.split(), catch_exceptions=False, **extra)


def answered(line: str, code: int = 0, schema: Any = None) -> dict[str, Any]:
    """The JSON answer of a command: the only thing on standard output, and of its schema."""
    result = run(f"{line} --json")
    assert result.exit_code == code, result.output
    assert result.stdout.count("\n") == 1
    values = json.loads(result.stdout)
    jsonschema.validate(values, schema or SCHEMAS[line.split()[0]])
    return dict(values)


def refused(line: str, code: int = 2) -> str:
    """The one line with which a command refuses."""
    result = run(line)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("packing: "), result.stderr
    return lines[0]
