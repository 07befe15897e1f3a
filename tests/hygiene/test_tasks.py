"""Nothing goes on unseen: whoever makes a task keeps it, and nothing is left when what it belongs to was closed."""

from __future__ import annotations

import ast
import asyncio
import logging
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

import visor.aio
from visor.errors import VisorError
from visord.ending import end
from visord.members.joining import Start
from visord.server import Server
from visord.settings import ListenSettings, LogSettings, NodeSettings, PeerSettings, Settings, StorageSettings

ROOT = Path(__file__).resolve().parents[2]
MAKERS = {"create_task", "ensure_future", "run_coroutine_threadsafe"}


def _thrown_away(path: Path) -> list[str]:
    """Return where a task is made and not kept: an expression that stands for itself."""
    return [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and getattr(node.value.func, "attr", getattr(node.value.func, "id", "")) in MAKERS
    ]


@pytest.mark.parametrize("package", ["visor", "visord"])
def test_whoever_makes_a_task_keeps_it(package: str) -> None:
    assert [each for path in sorted((ROOT / package).rglob("*.py")) for each in _thrown_away(path)] == []


def left_over(work: Coroutine[Any, Any, None]) -> set[str]:
    """Run it and return the tasks that still go on when it has ended, before the loop calls them off."""

    async def main() -> set[str]:
        await work
        return {repr(task) for task in asyncio.all_tasks() - {asyncio.current_task()}}

    return asyncio.run(main())


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"127.0.0.1:{probe.getsockname()[1]}"


def settings(**listen: Any) -> Settings:
    return Settings(
        node=NodeSettings(name="n1"),
        listen=ListenSettings(client="127.0.0.1:0", **listen),
        peers=PeerSettings(listen="127.0.0.1:0"),
        storage=StorageSettings(log_segment_bytes=4 << 20, log_chunk_bytes=256 << 10),
        log=LogSettings(level="warning"),
    )


async def serve(folder: Path, start: Start | None, *, dialling: bool = False) -> None:
    """Start a node and stop it, if it is so while it dials a member that is not there."""
    server = Server(settings(http="127.0.0.1:0"), folder, start)
    await server.start()
    if dialling:
        assert server._peers is not None
        server._peers.set_members({"e" * 16: free_address()})
        await asyncio.sleep(0)
    client = await visor.aio.dial(server.address)
    await client.set("/a", b"1")
    await server.stop()
    await client.close()


def test_a_node_that_stops_leaves_nothing_behind(tmp_path: Path) -> None:
    assert left_over(serve(tmp_path / "alone", None)) == set()
    folder = tmp_path / "member"
    assert left_over(serve(folder, Start(bootstrap=True), dialling=True)) == set()
    assert left_over(serve(folder, Start(), dialling=True)) == set()  # it looks at other clusters now


def test_a_node_that_cannot_start_leaves_nothing_behind(tmp_path: Path) -> None:
    async def work() -> None:
        server = Server(settings(), tmp_path, Start(join=(free_address(),)))
        starting = asyncio.ensure_future(server.start())
        await asyncio.wait([starting], timeout=0.2)
        starting.cancel()
        await asyncio.wait([starting])
        await server.stop()

    assert left_over(work()) == set()


def test_a_client_that_closes_while_it_dials_leaves_nothing_behind() -> None:
    async def work() -> None:
        with pytest.raises(VisorError):
            await visor.aio.dial(free_address(), timeout=0.05)

    assert left_over(work()) == set()


def test_what_does_not_end_is_named(caplog: pytest.LogCaptureFixture) -> None:
    async def stubborn() -> None:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if over:
                    raise

    async def work() -> None:
        task = asyncio.ensure_future(stubborn())
        await asyncio.sleep(0)
        await end([task], 0.0)
        over.append(True)
        await end([task])
        assert task.cancelled()

    over: list[bool] = []
    with caplog.at_level(logging.WARNING):
        assert left_over(work()) == set()
    assert ["stubborn" in one.getMessage() for one in caplog.records] == [True]
