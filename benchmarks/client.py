"""The client library beside bare exchanges of the same bytes, on one node in a process of its own.

The blocking client and a bare blocking socket take turns within the same seconds on the same node, so
that `bare` (their time per operation, divided) does not depend on how busy the machine happens to be.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections.abc import Awaitable, Callable, Iterator

import visor
import visor.aio
from benchmarks.figures import Row
from benchmarks.registry import Registry
from benchmarks.workload import Workload, key
from visor.protocol import verbs
from visor.protocol.frames import encode

KEYS = 10_000
TURNS = 20
"""How often the two sides of a comparison take turns."""


def rows(seconds: float, quick: bool = False) -> Iterator[Row]:
    """Yield blocking gets and sets beside bare exchanges, and asyncio ones with 1 and 64 tasks."""
    work = Workload(1000 if quick else KEYS)
    with Registry() as node:
        with node.wire() as wire:
            wire.preload(work)
        host, port = node.address
        with visor.dial(f"{host}:{port}") as client:
            value = work.value(7)
            path = key(7)
            yield from _beside("get", node, [verbs.GET, 1 << 20, path], lambda: client.get(path), seconds)
            frame = [verbs.SET, 1 << 20, 1 << 20, path, value]
            yield from _beside("set", node, frame, lambda: client.set(path, value), seconds)
        yield from _watched(f"{host}:{port}", 2_000 if quick else 50_000)
        for kind in ("get", "set"):
            for tasks in (1, 64):
                ops, spent = asyncio.run(_many(f"{host}:{port}", kind, tasks, work, seconds))
                yield f"client asyncio {kind}, {tasks} tasks", ops, spent, {}


def _beside(
    kind: str, node: Registry, frame: list[object], call: Callable[[], object], seconds: float
) -> Iterator[Row]:
    """Yield a bare exchange and the client's call, measured by turns."""
    with socket.create_connection(node.address, 10) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.settimeout(None)
        bare = _bare(line, encode(frame))
        totals = {"bare": [0, 0.0], "client": [0, 0.0]}
        for _ in range(TURNS):
            for name, once in (("bare", bare), ("client", call)):
                ops, spent = _repeat(once, seconds / TURNS / 2)
                totals[name][0] += ops
                totals[name][1] += spent
    each = {name: spent / ops for name, (ops, spent) in totals.items()}
    for name, (ops, spent) in totals.items():
        extra = {"us": each[name] * 1e6, "bare": each[name] / each["bare"]}
        yield f"{name} blocking {kind}", int(ops), spent, extra


def _bare(line: socket.socket, request: bytes) -> Callable[[], object]:
    """Greet, and return what sends the request and takes its one answer."""
    hello = {
        "versions": [1],
        "client": "bare",
        "session": None,
        "actor": "bare",
        "cluster": None,
        "min_rev": 0,
    }
    line.sendall(encode([verbs.HELLO, 1, hello]))
    line.recv(1 << 16)
    line.sendall(request)
    size = len(line.recv(1 << 16))

    def once() -> None:
        line.sendall(request)
        missing = size
        while missing > 0:
            missing -= len(line.recv(1 << 16))

    return once


def _repeat(once: Callable[[], object], seconds: float) -> tuple[int, float]:
    ops, start = 0, time.perf_counter()
    now, end = start, start + seconds
    while now < end:
        for _ in range(10):
            once()
        ops += 10
        now = time.perf_counter()
    return ops, now - start


def _watched(address: str, commits: int) -> Iterator[Row]:
    """Yield how fast both clients read commits of one change each from history."""
    with visor.dial(address) as client:
        first = client.rev() + 1
        asyncio.run(_fill(address, commits))
        with client.watch("/**", first) as watch:
            start = time.perf_counter()
            for _ in range(commits):
                watch.next()
            yield "client blocking watch", commits, time.perf_counter() - start, {}
    yield "client asyncio watch", commits, asyncio.run(_follow(address, first, commits)), {}


async def _fill(address: str, commits: int) -> None:
    async with visor.aio.dial(address) as client:
        for start in range(0, commits, 500):
            await asyncio.gather(*(client.set(key(start + n), bytes(128)) for n in range(500)))


async def _follow(address: str, first: int, commits: int) -> float:
    async with visor.aio.dial(address) as client, await client.watch("/**", first) as watch:
        start = time.perf_counter()
        for _ in range(commits):
            await watch.next()
        return time.perf_counter() - start


async def _many(address: str, kind: str, tasks: int, work: Workload, seconds: float) -> tuple[int, float]:
    """Keep `tasks` requests in flight on one client; return operations and seconds."""
    async with visor.aio.dial(address) as client:
        value = work.value(7)
        call: dict[str, Callable[[str], Awaitable[object]]] = {
            "get": client.get,
            "set": lambda path: client.set(path, value),
        }
        end = time.perf_counter() + seconds

        async def one(number: int) -> int:
            once, ops = call[kind], 0
            for path in itertools.cycle([key(drawn) for drawn in work.draw(512, number)]):
                await once(path)
                ops += 1
                if time.perf_counter() >= end:
                    break
            return ops

        start = time.perf_counter()
        done = await asyncio.gather(*(one(number) for number in range(tasks)))
        return sum(done), time.perf_counter() - start
