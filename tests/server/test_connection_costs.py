"""What a connection, its first watch and each further one take of a node's memory, counted and not measured.

Transports are stand-ins, so what is counted is the node's own: the same on every machine, a little different from one
version of Python to another. What a loop's transport takes comes on top (about 1.2 KB of uvloop's), and about 15 KB of
OpenSSL's within TLS.
"""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.patience import PATIENCE, eventually
from visor.protocol import verbs as v
from visor.protocol.frames import encode
from visord import embed
from visord.serving.listener import Connection

CONNECTIONS = 300
WATCHES = 8


class Silent(asyncio.Transport):
    """Takes everything."""

    __slots__ = ("port", "taken")

    def __init__(self, port: int) -> None:
        self.port, self.taken = port, 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("10.0.0.1", self.port) if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def write(self, data: Any) -> None:
        self.taken += len(data)

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def write_eof(self) -> None: ...

    def abort(self) -> None: ...


class Crowd:
    """Connections of a node that runs in a thread of its own."""

    def __init__(self, node: embed.Embedded) -> None:
        server, loop = node._server, node._loop
        assert server is not None
        assert loop is not None
        assert server._door is not None
        assert server.node is not None
        self._door, self._hub, self._loop = server._door, server.node.hub, loop
        self.connections: list[Connection] = []
        self._watches = 0

    def do(self, what: Callable[[], object]) -> None:
        """Do it on the node's loop, and wait for what it entails: many watches begin in turns."""
        self._on_loop(what)
        eventually(lambda: self._on_loop(self._settled), "all watches are served")

    def _on_loop(self, what: Callable[[], object]) -> object:
        async def done() -> object:
            return what()

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(PATIENCE)

    def _settled(self) -> bool:
        return self._hub.watches == self._watches and not self._hub.busy

    def come(self) -> None:
        for number in range(CONNECTIONS):
            connection = self._door.make_tcp()
            connection.connection_made(Silent(number))
            hello = {"versions": [v.VERSION], "client": "crowd", "session": number.to_bytes(16, "big")}
            connection.data_received(encode([v.HELLO, 1, hello]))
            self.connections.append(connection)

    def watch(self, first: int, count: int, selector: Callable[[int], list[Any]]) -> None:
        self._watches += count * len(self.connections)
        for connection in self.connections:
            for watch in range(first, first + count):
                connection.data_received(encode([v.WATCH, watch, selector(watch)]))

    def cost(self, what: Callable[[], object]) -> float:
        """Return how many bytes each connection takes more for what was done with all."""
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            self.do(what)
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        return (after - before) / CONNECTIONS

    def leave(self) -> None:
        for connection in self.connections:
            connection.connection_lost(None)
        self.connections.clear()
        self._watches = 0


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    with embed.start() as node:
        yield Crowd(node)


def test_a_connection_that_listens_takes_two_kilobytes_and_a_watch_half_of_one(crowd: Crowd) -> None:
    tree = [v.SEL_TREE, "/v"]
    crowd.do(crowd.come)  # the first ones make what all share
    crowd.do(lambda: crowd.watch(2, 1, lambda watch: tree))
    crowd.do(crowd.leave)
    connection = crowd.cost(crowd.come)
    first = crowd.cost(lambda: crowd.watch(2, 1, lambda watch: tree))
    further = crowd.cost(lambda: crowd.watch(3, WATCHES, lambda watch: tree)) / WATCHES
    own = crowd.cost(lambda: crowd.watch(20, WATCHES, lambda watch: [v.SEL_TREE, f"/v/{watch}"])) / WATCHES
    assert 700 < connection < 1800, "a connection"
    assert 300 < first < 900, "its first watch"
    assert 150 < further < 450, "each further one"
    assert 150 < own < 450, "one of a tree that as many others watch"
    crowd.do(crowd.leave)


def test_connections_that_are_gone_leave_nothing(crowd: Crowd) -> None:
    def come_and_go() -> None:
        for _ in range(5):
            crowd.come()
            crowd.watch(2, 2, lambda watch: [v.SEL_TREE, f"/v/{watch}"])
            crowd.leave()

    crowd.do(come_and_go)
    assert crowd.cost(come_and_go) / 5 < 200, "tables that all share, once"
