"""What the documents say is true: their examples run, and name only what there is."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest

import visor
from visor.testing import Server

ANCESTORS = Path(visor.__file__).with_name("docs") / "internals" / "ancestors.md"
README = Path(__file__).resolve().parents[2] / "README.md"
SECTION = README.read_text().split("## Keep a picture in sync")[1].split("\n## ")[0]
EXAMPLES = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_run(number: int, visor_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    source = EXAMPLES[number].replace("localhost:8046", visor_server.address)
    assert len([line for line in source.splitlines() if line.strip()]) <= 24
    module = types.ModuleType("example")
    monkeypatch.setitem(sys.modules, "example", module)  # dataclasses look their module up
    exec(compile(source, f"example {number}", "exec", dont_inherit=True), module.__dict__)


def test_there_is_one_for_each() -> None:
    assert len(EXAMPLES) == 4


def test_the_tests_that_the_tables_name_are_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", ANCESTORS.read_text()))
    there = {
        name
        for path in Path(__file__).parents[1].rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    assert len(named) > 15
    assert not named - there


def test_every_row_of_the_ancestors_has_its_line() -> None:
    """Rows of the three tables of followers, stores and views: none is lost when the page is edited."""
    tables = ANCESTORS.read_text().split("\n### F1 ")[1]
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \|$", tables, re.MULTILINE)
    akutan, swarmkit, monogon = (
        rows.index(name) for name in ("NewRegistry(ctx, locator)", "View(fn)", "WatchNodes")
    )
    assert (swarmkit - akutan >= 20, monogon - swarmkit >= 22, len(rows) - monogon >= 15) == (
        True,
        True,
        True,
    )
