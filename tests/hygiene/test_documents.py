"""Documents have one kind of reader each, and name only what is there."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "visor" / "docs"
FOR_USERS = (ROOT / "README.md", *sorted(PAGES.glob("*.md")))
ANCESTORS = re.compile(
    r"\bancestors?\b|\bErr[A-Z][a-z]\w+|\b(?:the|by) originals?\b|\b[Ee]ras? \d|\bseed 00\d"
    r"|(?i:\b(?:akutan|swarmkit|monogon|soundcloud|bazooka|doozer)\b(?!:))"
)
"""What the registry was made from. `doozer:?ca=...` is a form of address and may be named."""


def _texts() -> Iterator[str]:
    for folder in ("visor", "visord", "tests", "benchmarks", "deploy", ".ci"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc":
                yield path.relative_to(ROOT).as_posix()
    yield from ("README.md", "pyproject.toml")


TEXTS = tuple(_texts())


@pytest.mark.parametrize("page", FOR_USERS, ids=lambda page: page.name)
def test_what_a_user_reads_names_no_ancestor(page: Path) -> None:
    assert not ANCESTORS.findall(page.read_text())


def _docstrings(node: ast.AST) -> Iterator[str]:
    """Yield the docstrings of what a user can name: modules, public classes, functions and fields."""
    body = getattr(node, "body", [])
    for each in body:
        if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant):
            yield str(each.value.value)
        elif isinstance(each, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            not each.name.startswith("_") or each.name.endswith("__")
        ):
            yield from _docstrings(each)


FACES = sorted(
    name
    for name in TEXTS
    if name.startswith("visor/")
    and name.endswith(".py")
    and not re.search(r"/_(?!_init)|/docs/|/blocking/", name)
)


@pytest.mark.parametrize("name", FACES)
def test_what_a_user_sees_of_the_code_names_no_ancestor(name: str) -> None:
    for text in _docstrings(ast.parse((ROOT / name).read_text())):
        assert not ANCESTORS.findall(text), text


def test_every_page_that_is_named_is_there() -> None:
    """A name without a folder is that of any page, one with a folder that of the page in it."""
    pages = [name for name in TEXTS if name.endswith(".md")]
    ends = {name[place:] for name in pages for place in [0, *(m.end() for m in re.finditer("/", name))]}
    missing = {
        (name, page)
        for name in TEXTS
        for page in re.findall(r"(?<![\w./*{-])((?:\w[\w.-]*/)*\w+\.md)\b", (ROOT / name).read_text())
        if page not in ends
    }
    assert not missing


def test_no_page_is_named_by_a_word_in_capitals() -> None:
    """`FEATURES C6` is of no use to a reader who cannot find that document."""
    kinds = r"(?:FEATURES|REVIEW|ECOSYSTEM|ANCHORS|EXEMPLARS|SECURITY|NEWCOMER|FOLLOWING|DOMAIN|PROTOCOL)"
    written = re.compile(kinds + r"(?:,? (?:section )?[A-Z]?\d+\b|, \w+ *\))")
    found = {(name, m) for name in TEXTS for m in written.findall((ROOT / name).read_text())}
    assert not {(name, m) for name, m in found if name != "tests/hygiene/test_documents.py"}


def test_each_section_that_is_named_is_on_the_page_of_the_ancestors() -> None:
    page = (PAGES / "internals" / "ancestors.md").read_text()
    sections = set(re.findall(r"^### ([CF]\d) ", page, re.MULTILINE))
    assert sections == {f"C{number}" for number in range(1, 10)} | {"F1", "F2", "F3"}
    for name in TEXTS:
        named = re.findall(r"`(?:[\w/]+/)?ancestors\.md`, ([A-Z]\d)\b", (ROOT / name).read_text())
        assert set(named) <= sections, name


def test_the_pages_of_users_are_in_what_is_installed() -> None:
    """The wheel takes `visor` whole, so they are there if nothing leaves them out."""

    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert "visor" in build["targets"]["wheel"]["only-include"]
    assert not {"exclude", "include", "artifacts"} & (set(build) | set(build["targets"]["wheel"]))
