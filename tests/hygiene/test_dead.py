"""Nothing in the server is there for nobody: each name that it defines is used by code that is no test.

A name is taken for used wherever any code says it: what shares its name with something that is alive is not found.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CALLED_FROM_OUTSIDE = {
    # asyncio calls a protocol so
    "connection_made", "data_received", "eof_received", "pause_writing", "resume_writing",
    # pysyncobj calls these of a node, its transport, its resolver, its serializer and its journal
    "_applyCommand", "_destroy", "_onTick", "addNode", "cancelTransmisstion", "deleteEntriesFrom", "deleteEntriesTo",
    "destroy", "dropNode", "getCurrentTerm", "getRaftCommitIndex", "getTransmissionData", "getVotedForNodeId",
    "onOneSecondTimer", "setPreferredAddrFamily", "setRaftCommitIndex", "setTimeouts",
}  # fmt: skip
FOR_TOOLS = {
    "FINAL": "the systemd unit names the same codes: a test compares them",
    "export_tables": "all tables at once, by which the slices of `Export` are judged",
    "import_tables": "likewise",
}


def trees(*packages: str) -> Iterator[tuple[str, ast.Module]]:
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def used() -> set[str]:
    """Return every name that is read anywhere but in tests: plain ones, and attributes."""
    found: set[str] = set()
    for _, tree in trees("visord", "visor", "benchmarks"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
                found.add(node.id if isinstance(node, ast.Name) else node.attr)
    return found


def defined(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the functions, classes and module-level names that are defined; decorators call for themselves."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            decorators = [ast.unparse(one) for one in node.decorator_list]
            if all(one.split("(")[0] in ("property", "staticmethod", "classmethod") for one in decorators):
                yield node.lineno, node.name
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        yield from ((one.lineno, one.id) for one in targets if isinstance(one, ast.Name))


def test_what_the_server_defines_is_used() -> None:
    known = used() | CALLED_FROM_OUTSIDE | set(FOR_TOOLS)
    found = [
        f"{place}:{line} {name}"
        for place, tree in trees("visord")
        for line, name in defined(tree)
        if name not in known and not name.startswith("__") and "_SyncObj__" not in name
    ]
    assert found == []


def test_what_is_for_tools_alone_is_there() -> None:
    there = {name for _, tree in trees("visord") for _, name in defined(tree)}
    assert there >= set(FOR_TOOLS) | CALLED_FROM_OUTSIDE
