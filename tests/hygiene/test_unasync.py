"""The blocking client is what the asyncio client gives, and nothing else."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("unasync", ROOT / ".ci" / "unasync.py")
assert SPEC is not None
assert SPEC.loader is not None
unasync = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(unasync)

DRIVERS = unasync.ROOT / "visor" / "_drivers"


def test_the_blocking_modules_are_generated_from_the_asyncio_ones() -> None:
    assert unasync.differing() == [], "run: python .ci/unasync.py"


def test_every_generated_module_says_so_at_the_top() -> None:
    for name in unasync.MODULES:
        assert (unasync.TARGET / name).read_text().startswith(unasync.HEADER.format(name=name))


def test_every_rule_is_needed() -> None:
    assert unasync.unused() == []


def test_both_packages_have_the_same_modules_and_both_drivers_the_same_public_methods() -> None:
    names = {path.relative_to(unasync.SOURCE).as_posix() for path in unasync.SOURCE.rglob("*.py")}
    assert names == {path.relative_to(unasync.TARGET).as_posix() for path in unasync.TARGET.rglob("*.py")}
    assert names - set(unasync.MODULES) <= set(unasync.BY_HAND)
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
    blocking = unasync.translate(source, "x.py")
    assert "async" not in blocking.removeprefix(unasync.HEADER.format(name="x.py"))
    assert "await" not in blocking
    assert "Callable[[int], list[int]]) -> Iterator[int]" in blocking
    assert "`with g() as x`" in blocking
