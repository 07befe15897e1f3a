"""TLS beside what `ssl` costs by itself: the same bytes through a bare echo within TLS, and a node, also in clear.

All of a row's sides take turns within the same seconds, so that a busy machine disturbs them alike. `of_first` is the
rate divided by that of the first side; `cpu_us` is the server's processor time for an
operation, handshakes are counted as operations of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import visor
import visor.aio
from benchmarks import requests
from benchmarks.echo import Mirror
from benchmarks.figures import Row
from benchmarks.load import run_fast
from benchmarks.process import Child, cpu_seconds
from benchmarks.workload import key
from visor.protocol import verbs
from visor.protocol.frames import encode
from visor.testing.authority import Authority

TURNS = 10
CONNECTIONS = 16
PATH = key(7)
HELLO = encode([verbs.HELLO, 1, {"versions": [1], "client": "bare"}])
REQUEST = encode([verbs.GET, 1 << 20, PATH])


@dataclass
class Side:
    """One server, and how to speak with it."""

    name: str
    child: Child
    port: int
    context: ssl.SSLContext | None
    greets: bool
    """It is a node: HELLO comes first."""

    def connect(self) -> socket.socket:
        line = socket.create_connection(("127.0.0.1", self.port), 10)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context is not None:
            line = self.context.wrap_socket(line, server_hostname="127.0.0.1")
        line.settimeout(None)
        if self.greets:
            line.sendall(HELLO)
            line.recv(1 << 16)
        return line


def rows(seconds: float, quick: bool = False) -> Iterator[Row]:
    """Yield gets over one blocking connection, over many of asyncio, by the client library, and handshakes."""
    with tempfile.TemporaryDirectory(prefix="visor-benchmark-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        authority = Authority(folder)
        authority.issue("server", hosts=("127.0.0.1",))
        trusted = visor.TLS(str(authority.certificate))
        context = ssl.create_default_context(cafile=str(authority.certificate))
        sides = [
            _side(stack, "echo within TLS", "echo", folder, context),
            _side(stack, "node within TLS", "node", folder, context),
            _side(stack, "node in clear", "node", None, None),
        ]
        for side in sides[1:]:
            secured = trusted if side.context is not None else False
            with visor.dial(f"127.0.0.1:{side.port}", tls=secured) as client:
                client.set(PATH, b"v" * 128)
        yield from _beside("bare blocking get", sides, _blocking, seconds)
        yield from _beside(f"bare get, {CONNECTIONS} connections", sides, _streams, seconds)
        nodes = sides[1:]
        yield from _beside("client blocking get", nodes, lambda side: _client(side, trusted), seconds)
        yield from _beside("client asyncio get, 64 tasks", nodes, lambda side: _tasks(side, trusted), seconds)
        yield from _beside("handshake and greeting", sides, _dial, seconds)


Once = Callable[[float], int]
"""Works for so many seconds; returns how many operations that were."""


def _side(
    stack: contextlib.ExitStack, name: str, kind: str, folder: Path | None, context: ssl.SSLContext | None
) -> Side:
    child = stack.enter_context(
        Child([sys.executable, "-m", "benchmarks.tls", kind, "" if folder is None else str(folder)])
    )
    return Side(name, child, int(child.line("ready ", 60).split()[1]), context, kind == "node")


def _beside(
    what: str,
    sides: list[Side],
    make: Callable[[Side], contextlib.AbstractContextManager[Once]],
    seconds: float,
) -> Iterator[Row]:
    totals = {side.name: [0, 0.0, 0.0] for side in sides}
    with contextlib.ExitStack() as stack:
        work = [(side, stack.enter_context(make(side))) for side in sides]
        for turn in range(TURNS + 1):
            for side, once in work:
                cpu, began = cpu_seconds(side.child.pid), time.perf_counter()
                ops = once(seconds / TURNS)
                if turn:  # the first one warms up
                    total = totals[side.name]
                    total[0] += ops
                    total[1] += time.perf_counter() - began
                    total[2] += cpu_seconds(side.child.pid) - cpu
    first = totals[sides[0].name]
    for name, (ops, spent, cpu) in totals.items():
        extra: dict[str, Any] = {"cpu_us": cpu / ops * 1e6, "of_first": ops / spent / (first[0] / first[1])}
        yield f"tls {what}, {name}", int(ops), spent, extra


@contextlib.contextmanager
def _blocking(side: Side) -> Iterator[Once]:
    with side.connect() as line:
        line.sendall(REQUEST)
        size = len(line.recv(1 << 16))

        def once(seconds: float) -> int:
            ops, end = 0, time.perf_counter() + seconds
            while time.perf_counter() < end:
                line.sendall(REQUEST)
                missing = size
                while missing > 0:
                    missing -= len(line.recv(1 << 16))
                ops += 1
            return ops

        yield once


@contextlib.contextmanager
def _streams(side: Side) -> Iterator[Once]:
    with asyncio.Runner(loop_factory=_loop) as runner:

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter, int]:
            name = None if side.context is None else "127.0.0.1"
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", side.port, ssl=side.context, server_hostname=name
            )
            for data in (HELLO, REQUEST) if side.greets else (REQUEST,):
                writer.write(data)
                size = len(await reader.read(1 << 16))
            return reader, writer, size

        async def opened() -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter, int]]:
            return [await connect() for _ in range(CONNECTIONS)]

        lines = runner.run(opened())

        async def one(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int, end: float
        ) -> int:
            ops = 0
            while time.perf_counter() < end:
                writer.write(REQUEST)
                await reader.readexactly(size)
                ops += 1
            return ops

        async def all_of(seconds: float) -> int:
            end = time.perf_counter() + seconds
            return sum(await asyncio.gather(*(one(*line, end) for line in lines)))

        yield lambda seconds: runner.run(all_of(seconds))
        for _, writer, _ in lines:
            writer.transport.abort()


@contextlib.contextmanager
def _client(side: Side, tls: visor.TLS) -> Iterator[Once]:
    with visor.dial(f"127.0.0.1:{side.port}", tls=False if side.context is None else tls) as client:

        def once(seconds: float) -> int:
            ops, end = 0, time.perf_counter() + seconds
            while time.perf_counter() < end:
                client.get(PATH)
                ops += 1
            return ops

        yield once


@contextlib.contextmanager
def _tasks(side: Side, tls: visor.TLS) -> Iterator[Once]:
    with asyncio.Runner(loop_factory=_loop) as runner:

        async def dialled() -> visor.aio.Client[bytes]:
            return await visor.aio.dial(f"127.0.0.1:{side.port}", tls=False if side.context is None else tls)

        client = runner.run(dialled())

        async def one(end: float) -> int:
            ops = 0
            while time.perf_counter() < end:
                await client.get(PATH)
                ops += 1
            return ops

        async def all_of(seconds: float) -> int:
            end = time.perf_counter() + seconds
            return sum(await asyncio.gather(*(one(end) for _ in range(64))))

        yield lambda seconds: runner.run(all_of(seconds))
        runner.run(client.close())


@contextlib.contextmanager
def _dial(side: Side) -> Iterator[Once]:
    def once(seconds: float) -> int:
        ops, end = 0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            side.connect().close()
            ops += 1
        return ops

    yield once


def _loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


# -- the servers, each in a process of its own ------------------------------------------------------------


async def serve_echo(folder: Path) -> dict[str, Any]:
    """Serve the bare echo within TLS until ended."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "authority-server.pem", folder / "authority-server.key")
    _, answer = requests.example_bytes("get")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Mirror(len(REQUEST), answer), "127.0.0.1", 0, ssl=context)
    print(f"ready {server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.Event().wait()
    return {}


def serve_node(folder: Path | None) -> None:
    """Serve a node until ended, within TLS when there is a folder with its certificate."""
    from visord import embed

    settings = {}
    if folder is not None:
        settings = {"tls_cert": folder / "authority-server.pem", "tls_key": folder / "authority-server.key"}
    with embed.start(settings=settings) as node:
        print(f"ready {node.address.rpartition(':')[2]}", flush=True)
        time.sleep(1e6)


if __name__ == "__main__":
    where = Path(sys.argv[2]) if sys.argv[2] else None
    if sys.argv[1] == "node":
        serve_node(where)
    elif where is not None:
        run_fast(serve_echo(where))
