"""The Python that the docs show runs as it stands, one page after the other from top to bottom."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(
    r"^(<!-- not run: (?P<why>[^>]+) -->\n)?```python\n(?P<code>.*?)^```", re.M | re.S
)


def blocks(text: str) -> list[tuple[int, str, str | None]]:
    """Line, code and why it is not run, of every block of Python."""
    return [
        (text[: m.start("code")].count("\n") + 1, m["code"], m["why"]) for m in BLOCK.finditer(text)
    ]


def run(text: str, name: str) -> int:
    """Run the blocks of a page in one namespace; how many there were."""
    names: dict[str, object] = {}
    done = 0
    with contextlib.redirect_stdout(io.StringIO()):
        for line, code, why in blocks(text):
            if why is None:
                exec(compile("\n" * (line - 1) + code, name, "exec"), names)
                done += 1
    return done


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_snippets_run(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(text, page.name) == sum(why is None for _, _, why in blocks(text))
    assert text.count("```python\n") == len(blocks(text))


def test_a_name_that_is_gone_is_noticed() -> None:
    with pytest.raises(ImportError):
        run("```python\nfrom theory import no_such_verb\n```\n", "page")
    assert (
        blocks("<!-- not run: needs a cluster -->\n```python\nx\n```\n")[0][2] == "needs a cluster"
    )
