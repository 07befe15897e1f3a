"""The floor: a server that only moves bytes, of the same sizes as a request and its answer.

It counts what arrives and sends one fixed answer for each request's worth of bytes; it decodes nothing and
stores nothing. What a server does beyond it is what the registry costs. `Echo` runs it in a process of its
own, on uvloop as `visord` does; `exchange` is the floor of a blocking client, and `exchange_async` of one
on asyncio's streams.

    with Echo("get") as echo:
        ops, seconds = exchange(echo, 2.0)
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, cast

from benchmarks import requests
from benchmarks.figures import Row
from benchmarks.load import Load, run, run_fast
from benchmarks.process import Child, rss_mb
from benchmarks.wire import Address

SHAPES = [(1, 1), (16, 1), (64, 1), (256, 1), (16, 64)]
"""(connections, requests in flight on each) that everything over a socket is measured with."""


class Mirror(asyncio.Protocol):
    """Server side of one connection: for each `size` bytes that came, `answer` goes back."""

    def __init__(self, size: int, answer: bytes) -> None:
        self._size = size
        self._answer = answer
        self._rest = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast(asyncio.Transport, transport).write

    def data_received(self, data: bytes) -> None:
        whole, self._rest = divmod(self._rest + len(data), self._size)
        if whole:
            self._write(self._answer * whole)


async def serve(kind: str) -> dict[str, Any]:
    """Serve the echo of `kind` (get or set) on a free port, print `ready PORT`, until ended."""
    request, answer = requests.example_bytes(kind)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Mirror(len(request), answer), "127.0.0.1", 0, backlog=1024)
    print(f"ready {server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.Event().wait()
    return {}


class Echo:
    """An echo process for requests and answers of one kind (`get` or `set`)."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.request, self.answer = requests.example_bytes(kind)
        self._child = Child([sys.executable, "-m", "benchmarks.echo", kind])
        self.address: Address = ("127.0.0.1", 0)

    @property
    def pid(self) -> int:
        return self._child.pid

    def __enter__(self) -> Echo:
        try:
            self.address = ("127.0.0.1", int(self._child.line("ready ", 20).split()[1]))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._child.end()

    def load(self, connections: int, in_flight: int, seconds: float) -> dict[str, Any]:
        """Ask the echo with the load generator; the result of `load.run`."""
        return run(Load(self.address, self.kind, connections, in_flight, seconds, bare=True), self.pid)


@contextlib.contextmanager
def _connected(echo: Echo) -> Iterator[socket.socket]:
    with socket.create_connection(echo.address, 10) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.settimeout(None)
        yield line


def exchange(echo: Echo, seconds: float) -> tuple[int, float]:
    """Exchange request and answer over one blocking socket, one by one; return (exchanges, seconds)."""
    request, size = echo.request, len(echo.answer)
    with _connected(echo) as line:
        ops, start = 0, time.perf_counter()
        end = start + seconds
        now = start
        while now < end:
            line.sendall(request)
            missing = size
            while missing:
                missing -= len(line.recv(1 << 16)) or _gone()
            ops += 1
            now = time.perf_counter()
    return ops, now - start


def _gone() -> int:
    raise ConnectionError("the echo closed the connection")


def exchange_async(echo: Echo, seconds: float, in_flight: int = 1) -> tuple[int, float]:
    """Exchange over one connection of asyncio streams, `in_flight` at once; return (exchanges, seconds)."""

    async def main() -> dict[str, Any]:
        return {"answer": await _streamed(echo, seconds, in_flight)}

    ops, spent = run_fast(main())["answer"]
    return ops, spent


async def _streamed(echo: Echo, seconds: float, in_flight: int) -> tuple[int, float]:
    reader, writer = await asyncio.open_connection(*echo.address)
    ops, start = 0, time.perf_counter()
    now, end = start, start + seconds
    writer.write(echo.request * in_flight)
    while now < end:
        await reader.readexactly(len(echo.answer))
        ops += 1
        writer.write(echo.request)
        now = time.perf_counter()
    writer.close()
    return ops, now - start


def rows(seconds: float, quick: bool = False) -> Iterator[Row]:
    """Yield the floors: the echo under each shape, and the blocking and asyncio exchanges one by one."""
    for kind in ("get", "set"):
        with Echo(kind) as echo:
            for connections, in_flight in SHAPES[2::2] if quick else SHAPES:
                result = echo.load(connections, in_flight, seconds)
                yield (
                    f"echo {kind} {shape(connections, in_flight)}",
                    result.pop("ops"),
                    result.pop("seconds"),
                    result,
                )
            yield f"echo {kind} blocking", *exchange(echo, seconds), {"rss_mb": rss_mb(echo.pid)}
            yield f"echo {kind} asyncio streams", *exchange_async(echo, seconds), {}
            yield f"echo {kind} asyncio streams, 64 in flight", *exchange_async(echo, seconds, 64), {}


def shape(connections: int, in_flight: int) -> str:
    """Return the words for so many connections with so many requests in flight each: `64`, `16x64`."""
    return f"{connections}x{in_flight}" if in_flight > 1 else str(connections)


if __name__ == "__main__":
    run_fast(serve(sys.argv[1]))
