"""Nothing is so large that a reader has to keep too much in mind: 40 methods a class, 60 lines a function."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("visor", "visord", ".ci", "benchmarks")
METHODS = 40
LINES = 60

FACES = {
    "visor/aio/client.py Client": "a method for each operation of the registry: that is what users look for",
    "visor/aio/registry/snapshot.py Snapshot": "a method for each noun of the domain",
    "visor/_drivers/aio/driver.py Driver": "one connection and its tasks: what one of them does, the others must know",
    "visor/_drivers/blocking/driver.py Driver": "one connection under one lock, which whoever waits takes in turn",
    "visord/raft/log.py RaftLog": "half of it is what pysyncobj calls a journal",
}
"""Classes that may have more methods, and why."""


@cache
def nodes() -> tuple[tuple[str, ast.AST], ...]:
    """Return every class and function that is written by hand, with the file that it is in."""
    return tuple(
        (path.relative_to(ROOT).as_posix(), node)
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if not path.is_relative_to(ROOT / "visor" / "blocking")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    )


def methods(node: ast.ClassDef) -> set[str]:
    """Return the names of a class's own methods; overloads of one are one."""
    return {each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_no_class_has_more_methods_than_a_reader_keeps_in_mind_but_the_faces() -> None:
    large = {
        f"{path} {node.name}"
        for path, node in nodes()
        if isinstance(node, ast.ClassDef) and len(methods(node)) > METHODS
    }
    assert large == set(FACES)


def test_no_function_is_longer_than_a_page() -> None:
    long = [
        f"{path} {node.name}"
        for path, node in nodes()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= LINES
    ]
    assert long == []
