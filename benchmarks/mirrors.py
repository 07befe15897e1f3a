"""Mirrors: how fast they are read, how soon they follow, and what a thousand of them cost.

`fan_out` runs a cluster of three, a writer with an open loop (so many sets a second, however long each takes),
some real mirrors (`visor.aio.Mirror`, each on a connection of its own) and many more readers that cost this
machine less: they ask for the same state and watch, take everything off their socket and give the bytes back,
but decode nothing. Server and network cannot tell them from mirrors. Delivery is from the moment a set is
sent to the moment a real mirror shows it. Everything shares one machine: what the readers use, the nodes have not.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import visor
import visor.aio
from benchmarks.figures import Row, percentile
from benchmarks.load import run_fast
from benchmarks.process import Child, cpu_seconds, rss_mb
from benchmarks.registry import Registry
from benchmarks.wire import hello
from benchmarks.workload import ROOT, VALUE_BYTES, Workload, key
from visor import op
from visor._core.following.delta import Batch
from visor.following import Mirror
from visor.protocol import verbs
from visor.protocol.frames import encode

CREDIT_EVERY = 64 * 1024
WATCH_ID = 2
GRACE = 120.0


def rows(seconds: float, quick: bool = False) -> Iterator[Row]:
    """Yield the figures of one mirror, then of many."""
    yield from reads(seconds, 1000 if quick else 10_000)
    spec = Fleet(readers=30, mirrors=3, keys=1000) if quick else Fleet()
    spec = replace(spec, seconds=max(seconds, 2.0))
    yield fan_out(spec, "alone")
    yield fan_out(replace(spec, stuck=1 if quick else 10), "with stuck readers")


# -- one mirror ---------------------------------------------------------------------------------------
def reads(seconds: float, keys: int) -> Iterator[Row]:
    """Yield reads from one thread, and sets that are waited for in the mirror."""
    with Registry() as node:
        with node.wire() as wire:
            wire.preload(Workload(keys))
        host, port = node.address
        with visor.dial(f"{host}:{port}") as client:
            begun = time.perf_counter()
            with Mirror(client, f"{ROOT}/**") as mirror:
                yield "mirror, first state", keys, time.perf_counter() - begun, {}
                paths = [key(number) for number in Workload(keys).draw(100_000)]
                snapshot = mirror.snapshot()
                yield _timed("mirror, value", mirror.value, paths, seconds)
                yield _timed("mirror, file", mirror.__getitem__, paths, seconds)
                yield _timed("mirror, value in a snapshot", snapshot.value, paths, seconds)

                def seen(path: str) -> None:
                    mirror.wait_for(client.set(path, b"x"))

                yield _timed("mirror, set and wait_for", seen, paths, seconds)


def _timed(name: str, once: Callable[[str], object], paths: list[str], seconds: float) -> Row:
    ops = 0
    begun = time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds:
        chunk = paths[:1000] if "wait" not in name else paths[:10]
        for path in chunk:
            once(path)
        ops += len(chunk)
    return name, ops, spent, {}


# -- many ---------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Fleet:
    """So many readers of one subtree, under so many sets a second."""

    readers: int = 980
    mirrors: int = 20
    stuck: int = 0
    """Readers that ask for everything and never read."""
    rate: float = 500.0
    seconds: float = 10.0
    keys: int = 10_000
    addresses: tuple[str, ...] = ()


class Nodes:
    """A cluster of three on free loopback ports. Leaving the block ends it and removes its data."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="visor-mirrors-"))
        self._children: list[Child] = []
        self.addresses: tuple[str, ...] = ()

    def __enter__(self) -> Nodes:
        ports = _free_ports(6)
        peers = [f"127.0.0.1:{port}" for port in ports[3:]]
        try:
            for number in range(3):
                self._start(number, f"127.0.0.1:{ports[number]}", peers)
            self._await_voters()
        except BaseException:
            self.close()
            raise
        return self

    def _start(self, number: int, client: str, peers: list[str]) -> None:
        others = ",".join(peers[:number] + peers[number + 1 :])
        command = [sys.executable, "-m", "visord", "serve", "--name", f"n{number}", "--listen", client]
        command += ["--peer-listen", peers[number], "--data-dir", str(self._folder / f"n{number}")]
        command += ["--bootstrap"] if number == 0 else ["--join", others]
        state = [
            "env",
            f"XDG_STATE_HOME={self._folder / 'state'}",
        ]  # the cluster's secret, for the next member
        child = Child([*state, *command, "--set", "log.level=error"])
        self._children.append(child)
        child.line("visord ready on ", 60.0)
        self.addresses = (*self.addresses, client)

    def _await_voters(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(visor.VisorError), visor.dial(self.addresses) as client:
                if sum(member.voter for member in client.status().members) == 3:
                    return
            time.sleep(0.05)
        raise TimeoutError("no three voters")

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of the nodes."""
        return tuple(child.pid for child in self._children)

    def cpu(self) -> float:
        """CPU seconds of all nodes."""
        return sum(cpu_seconds(child.pid) for child in self._children)

    def memory(self) -> float:
        """MB of the largest node."""
        return max(rss_mb(child.pid) for child in self._children)

    def close(self) -> None:
        """End all."""
        for child in self._children:
            child.end(timeout=10.0)
        shutil.rmtree(self._folder, ignore_errors=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in held]


def fan_out(spec: Fleet, name: str) -> Row:
    """Measure a fleet; operations are deliveries to all readers together."""
    with Nodes() as nodes:
        spec = replace(spec, addresses=nodes.addresses)
        _preload(spec)
        idle = nodes.memory()
        with _child("read", spec) as readers, _child("mirror", spec) as mirrors:
            readers.line("ready", GRACE)
            mirrors.line("ready", GRACE)
            full, cpu, begun = nodes.memory(), nodes.cpu(), time.perf_counter()
            with _child("write", spec) as writer:
                written = json.loads(writer.line("{", GRACE))
                spent = time.perf_counter() - begun
                cpu = nodes.cpu() - cpu
                told = json.loads(mirrors.line("{", GRACE))
                memory = nodes.memory()
    deliveries = written["sets"] * (spec.readers + spec.mirrors)
    title = f"{spec.readers + spec.mirrors} mirrors, {spec.rate:.0f} sets/s, 3 nodes, {name}"
    extra = {
        **told,
        "sets_s": round(written["sets"] / written["seconds"]),
        "set_p99_ms": written["p99_ms"],
        "cpu_nodes": round(cpu / spent, 2),
        "cpu_us": cpu / deliveries * 1e6,
        "rss_mb": memory,
        "rss_idle_mb": round(idle),
        "rss_joined_mb": round(full),
    }
    return title, deliveries, spent, extra


def _preload(spec: Fleet) -> None:
    with visor.dial(spec.addresses, timeout=60) as client:
        for batch in Workload(spec.keys).batches(1000):
            client.txn(then=[op.set(path, value) for path, value in batch])


def _child(role: str, spec: Fleet) -> Child:
    return Child([sys.executable, "-m", "benchmarks.mirrors", role, json.dumps(asdict(spec))])


# -- the children -------------------------------------------------------------------------------------
class Taker(asyncio.Protocol):
    """Takes the state and everything after it off the socket, and gives the bytes back."""

    def __init__(self) -> None:
        self._received = 0
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(encode([verbs.HELLO, 1, *hello(os.urandom(16))]))
        watch = [verbs.WATCH, WATCH_ID, [verbs.SEL_GLOB, f"{ROOT}/**"], None, verbs.W_STATE, verbs.ALL_KINDS]
        self._transport.write(encode([*watch, 256 * 1024]))

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._received >= CREDIT_EVERY:
            if not self.begun.done():
                self.begun.set_result(None)
            self._transport.write(encode([verbs.CREDIT, WATCH_ID, self._received]))
            self._received = 0

    def connection_lost(self, error: Exception | None) -> None:
        print(f"a reader lost its connection: {error}", file=sys.stderr)


async def read(spec: Fleet) -> None:
    """Be the readers, and the stuck ones among them, until the process is ended."""
    loop = asyncio.get_running_loop()
    for number in range(spec.readers + spec.stuck):
        host, _, port = spec.addresses[number % len(spec.addresses)].rpartition(":")
        transport, taker = await loop.create_connection(Taker, host, int(port))
        await asyncio.wait_for(taker.begun, GRACE)
        if number >= spec.readers:
            transport.pause_reading()
    await asyncio.sleep(1.0)
    print("ready", flush=True)
    await asyncio.sleep(GRACE)


async def mirror(spec: Fleet) -> None:
    """Be the real mirrors; print how long sets took to show, by thirds of the time."""
    delays: list[tuple[float, float]] = []
    begun = asyncio.Event()

    def moved(batch: Batch[Any]) -> None:
        begun.set()
        now = time.perf_counter()
        for delta in batch.deltas:
            delays.append((now, now - int.from_bytes(delta.after.data[:8], "big") / 1e9))

    clients, mirrors = [], []
    for number in range(spec.mirrors):
        address = spec.addresses[number % len(spec.addresses)]
        clients.append(await visor.aio.dial(address, timeout=60))
        mirrors.append(await visor.aio.Mirror(clients[-1], f"{ROOT}/**").start())
    for one in mirrors:
        one._local_copy._moved = moved
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    await begun.wait()
    await asyncio.sleep(spec.seconds)
    for one in mirrors:
        await one.refresh(timeout=GRACE)
    print(json.dumps(_told(delays)), flush=True)
    for client in clients:
        await client.close()


def _told(delays: list[tuple[float, float]]) -> dict[str, float]:
    first, last = delays[0][0], delays[-1][0]
    thirds = [[], [], []]  # type: list[list[float]]
    for when, delay in delays:
        thirds[min(2, int((when - first) / (last - first + 1e-9) * 3))].append(delay * 1e3)
    everything = sorted(delay for third in thirds for delay in third)
    found = {
        "p50_us": percentile(everything, 0.5) * 1e3,
        "p99_us": percentile(everything, 0.99) * 1e3,
        "max_ms": round(everything[-1], 1),
    }
    for name, third in zip(("first", "second", "last"), thirds, strict=True):
        found[f"p50_{name}_third_ms"] = round(percentile(sorted(third), 0.5), 1)
    return found


async def write(spec: Fleet) -> None:
    """Set so many keys a second, each when it is due, and print how many there were."""
    took: list[float] = []
    async with visor.aio.dial(spec.addresses, timeout=30) as client:

        async def once(number: int) -> None:
            begun = time.perf_counter_ns()
            value = begun.to_bytes(8, "big") + bytes(VALUE_BYTES - 8)
            await client.set(key(number % spec.keys), value)
            took.append((time.perf_counter_ns() - begun) / 1e6)

        tasks: set[asyncio.Task[None]] = set()
        begun = time.perf_counter()
        sent = 0
        while (spent := time.perf_counter() - begun) < spec.seconds:
            while sent < spec.rate * spent:
                task = asyncio.create_task(once(sent))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                sent += 1
            await asyncio.sleep(0.001)
        if tasks:
            await asyncio.wait(tasks)
        spent = time.perf_counter() - begun
    p99 = round(percentile(sorted(took), 0.99), 1)
    print(json.dumps({"sets": len(took), "seconds": spent, "p99_ms": p99}), flush=True)


def main() -> None:
    role, told = sys.argv[1:]
    given = json.loads(told)
    spec = Fleet(**{**given, "addresses": tuple(given["addresses"])})
    run_fast({"read": read, "mirror": mirror, "write": write}[role](spec))


if __name__ == "__main__":
    main()
