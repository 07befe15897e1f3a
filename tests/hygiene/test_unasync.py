"""The blocking client is what the asyncio client gives, and nothing else."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("unasync", ROOT / ".ci" / "unasync.py")
assert SPEC is not None
assert SPEC.loader is not None
unasync = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = unasync  # its dataclass looks there
SPEC.loader.exec_module(unasync)

DRIVERS = unasync.ROOT / "visor" / "_drivers"


def test_the_blocking_modules_are_generated_from_the_asyncio_ones_and_every_rule_is_needed() -> None:
    assert unasync.complaints() == []


@pytest.mark.parametrize("pair", unasync.PAIRS, ids=["visor", "tests"])
def test_every_generated_module_says_so_at_the_top(pair: Any) -> None:
    for name in pair.modules:
        assert (pair.target / name).read_text().startswith(pair.header(name))


@pytest.mark.parametrize("pair", unasync.PAIRS, ids=["visor", "tests"])
def test_both_trees_have_the_same_modules(pair: Any) -> None:
    names = {path.relative_to(pair.source).as_posix() for path in pair.source.rglob("*.py")}
    assert names == {path.relative_to(pair.target).as_posix() for path in pair.target.rglob("*.py")}
    assert names - set(pair.modules) <= set(pair.by_hand)


def test_both_drivers_have_the_same_public_methods() -> None:
    used = _driver_names(DRIVERS / "blocking" / "driver.py") & _driver_names(DRIVERS / "aio" / "driver.py")
    needed = {"call", "observed_call", "connect", "close", "reopen", "subscribe", "next", "progress"}
    assert needed | {"unwatch", "spawn", "join", "outcome", "deadline", "pauses"} <= used


def _driver_names(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    driver = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Driver")
    return {node.name for node in driver.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_a_translation_reads_like_blocking_code() -> None:
    source = '''
async def f(body: Callable[[int], Awaitable[list[int]]]) -> AsyncIterator[int]:
    """Use it so: `async with await g() as x`."""
    async for one in body:
        yield (await one)
'''
    blocking = unasync.LIBRARY.translate(source, "x.py")
    assert "async" not in blocking.removeprefix(unasync.LIBRARY.header("x.py"))
    assert "await" not in blocking
    assert "Callable[[int], list[int]]) -> Iterator[int]" in blocking
    assert "`with g() as x`" in blocking
