"""The tests themselves: one way to import, no waiting for time to pass, nothing that a standstill makes fail."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

TESTS = Path(__file__).resolve().parents[1]
NO_PACKAGES = ("cluster/skewed",)
"""Folders that processes are started with on their path; nobody imports what is in them."""
FILES = sorted(
    path for path in TESTS.rglob("*.py") if path.parent.relative_to(TESTS).as_posix() not in NO_PACKAGES
)
SUITES = [path for path in FILES if path.name.startswith("test_")]
SHORT: Final = 0.1
"""Seconds: a wait of so many is worth an event, or a clock that is turned."""
LONG: Final = 60.0
"""Seconds that nobody stands still for; `patience.PATIENCE`."""

WAITS: Final = {
    "admin/test_mistakes.py losses": "that nothing is lost for so long is what it looks for",
    "client/test_pains.py interrupted_after": "a signal must come while a call waits, and nobody can tell when it does",
    "client/test_silent_nodes.py": "seconds of a loop whose time costs nothing",
    "cluster/test_full_disk.py": "a poll, of real members that are disturbed",
    "leases/test_lease_cluster.py": "real members in processes of their own; only -m soak",
    "peers/test_binding.py": "that a refused member stays out is what it looks for",
    "peers/test_formats.py": "that a refused member stays out is what it looks for",
    "peers/test_peer_security.py": "that a refused member stays out is what it looks for",
    "peers/test_tcp_peers.py": "that one is not dialled too often, or is not given up, is what it looks for",
    "registry/test_procman_defects.py": "a process that takes its time to start",
    "registry/test_storm.py": "a worker that has nothing to do rests",
    "server/test_backpressure.py": "what a node does for one that does not read: its own buffers fill; only -m soak",
    "server/test_commits.py": "that no other checkpoint is made is what it looks for",
    "server/test_handshake.py": "that one may be silent for longer than a greeting may take is what it looks for",
    "following/test_views.py stuck": "it is never waited for: a probe that would take a minute is given up",
    "hygiene/test_tasks.py stubborn": "it is never waited for: a task that does not end is named",
}
"""A file, and maybe a function in it -> why it sleeps."""

DEADLINES: Final = {
    "client/test_arguments.py": "any number will do: it is looked at, not waited for",
    "client/test_silent_nodes.py": "seconds of a loop whose time costs nothing",
    "cluster/test_nemesis.py": "a call at a member that is disturbed has to end, to be made again",
    "registry/test_deadlines.py": "seconds of requests that are counted, not waited for",
    "server/test_limits.py ended": "whether it has ended by now; another one is asked after that",
}
"""A file, and maybe a function in it -> why what has to come may be late there."""


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _calls(path: Path) -> Iterator[tuple[str, ast.Call, bool]]:
    """Yield the calls of a file: the name of the function that it is in, the call, and whether it has to raise."""

    def visit(node: ast.AST, function: str, raises: bool) -> Iterator[tuple[str, ast.Call, bool]]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        if isinstance(node, ast.With | ast.AsyncWith):
            raises |= any(
                word in ast.unparse(item.context_expr)
                for item in node.items
                for word in ("raises", "suppress")
            )
        if isinstance(node, ast.Call):
            yield function, node, raises
        for child in ast.iter_child_nodes(node):
            yield from visit(child, function, raises)

    yield from visit(_tree(path), "", False)


def _number(node: ast.expr) -> float | None:
    """Return the seconds that a source gives; None when something else says them."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    return None


def _allowed(path: Path, function: str, reasons: dict[str, str], used: set[str]) -> bool:
    name = path.relative_to(TESTS).as_posix()
    for reason in (name, f"{name} {function}"):
        if reason in reasons:
            used.add(reason)
            return True
    return False


# -- imports --------------------------------------------------------------------------------------------
def test_every_folder_of_tests_is_a_package() -> None:
    assert [path for path in {path.parent for path in FILES} if not (path / "__init__.py").exists()] == []


def test_tests_are_imported_by_their_whole_names() -> None:
    own = {path.stem for path in FILES} | {path.parent.name for path in FILES} - {"tests"}
    own -= set(sys.stdlib_module_names)  # whose name this is, too
    found = []
    for path in FILES:
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ImportFrom):
                bad = bool(node.level) or (node.module or "").split(".")[0] in own
            elif isinstance(node, ast.Import):
                bad = any(each.name.split(".")[0] in own for each in node.names)
            else:
                bad = (
                    isinstance(node, ast.Attribute)
                    and node.attr == "path"
                    and ast.unparse(node) == "sys.path"
                )
            if bad:
                found.append(f"{path.relative_to(TESTS)}:{getattr(node, 'lineno', 0)} {ast.unparse(node)}")
    assert found == [], "say `from tests.<folder>.<module> import ...`; packages need no sys.path"


# -- time -----------------------------------------------------------------------------------------------
def test_nobody_waits_for_time_to_pass_without_a_reason() -> None:
    used: set[str] = set()
    found = []
    for path in SUITES:
        for function, call, _ in _calls(path):
            if (
                ast.unparse(call.func) not in ("time.sleep", "asyncio.sleep", "threading.Timer")
                or not call.args
            ):
                continue
            seconds = _number(call.args[0])
            if (seconds is None or seconds >= SHORT) and not _allowed(path, function, WAITS, used):
                found.append(f"{path.relative_to(TESTS)}:{call.lineno} {ast.unparse(call)}")
    assert found == [], "wait for an event, turn a clock (tests.lease_time), or say why in WAITS"
    assert used == set(WAITS), "nobody needs these any more"


def test_what_has_to_come_may_take_as_long_as_a_machine_stands_still() -> None:
    """A timeout that is no bound to be met, but patience, is `PATIENCE`: a few seconds are none on a busy machine."""
    used: set[str] = set()
    found = []
    for path in SUITES:
        for function, call, raises in _calls(path):
            for seconds in _patiences(call):
                if 1.0 < seconds < LONG and not raises and not _allowed(path, function, DEADLINES, used):
                    found.append(f"{path.relative_to(TESTS)}:{call.lineno} {ast.unparse(call)}")
    assert found == [], "say PATIENCE of tests.patience, or why not in DEADLINES"
    assert used <= set(DEADLINES)


def _patiences(call: ast.Call) -> Iterator[float]:
    """Yield the seconds for which a call waits at most, as its source says them."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
    given = [each.value for each in call.keywords if each.arg == "timeout"]
    if ast.unparse(call.func) == "asyncio.wait_for":
        given += call.args[1:2]
    elif name in ("join", "wait", "settimeout", "result") and len(call.args) == 1:
        given += call.args
    yield from (seconds for each in given if (seconds := _number(each)) is not None)
