"""Nothing is defined twice: a text that stands in two places is told once and differently the next time it is changed.

Looked at are texts that a person reads: those of several words, also with values in them (`f"{path} is full"`).
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHORT = 20
"""Characters that may stand anywhere: "a list of names" is no definition of anything."""
APART = {
    "the node is stopping": "a member that is refused is told, and a probe; the two layers share nothing",
}


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the texts of a module and their lines: no docstrings, and for a value in a text just `{}`."""
    inside: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            inside.add(node.value)  # a docstring, of whatever
        elif isinstance(node, ast.JoinedStr) and node not in inside:
            inside.update(ast.walk(node))
            parts = (str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values)
            yield node.lineno, "".join(parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            yield node.lineno, node.value


def test_no_text_of_the_server_stands_twice() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "visord").rglob("*.py")):
        for line, text in texts(ast.parse(path.read_text())):
            if len(text) >= SHORT and " " in text.strip():
                found[text].append(f"{path.relative_to(ROOT)}:{line}")
    assert {text: places for text, places in found.items() if len(places) > 1 and text not in APART} == {}


def test_texts_are_found_and_docstrings_are_none() -> None:
    source = '"""A docstring of a module."""\nx = "some words here"\ny = f"{x} of {x!r:.40} things"\nz = {f"{x}"}\n'
    assert sorted(texts(ast.parse(source))) == [(2, "some words here"), (3, "{} of {} things"), (4, "{}")]
