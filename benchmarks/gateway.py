"""The gateway: what it does by itself, and that the registry's own clients do not feel it.

`get`, `put` and `cas` come from 64 connections, one request in flight on each; `cas` is a put under the entity tag of
the one before. Streams are read by one client, and by 1 000; a commit has one change, and `p99` is from the sending of
the write to the event's arrival. Then the registry is asked directly, by turns alone and while `wrk` hammers the
gateway.

The last is about whether the registry's loop is held up. Four busy processes on two cores share those, whatever they
do: so the node has a core of its own here, all others have the rest, and `wrk` and the gateway give way to the
generator (`nice`). `of_alone` is the rate beside that without.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks import fanout, http_lines, load
from benchmarks.fanout import Fanout
from benchmarks.figures import Row
from benchmarks.http_lines import Asked
from benchmarks.load import Load
from benchmarks.process import Child, rss_mb
from benchmarks.registry import Registry
from benchmarks.wire import Address
from benchmarks.workload import Workload, key

READY: Final = "http://"
KEYS: Final = 10_000
CONNECTIONS: Final = 64
ROUNDS: Final = 5
IDLE: Final = ("nice", "-n", "19")


@contextlib.contextmanager
def _gateway(node: Registry, *before: str) -> Iterator[tuple[Address, int]]:
    """Give where a gateway listens, and its process."""
    words = (
        "gateway",
        "--addr",
        f"{node.address[0]}:{node.address[1]}",
        "--listen",
        "127.0.0.1:0",
        "-o",
        "plain",
    )
    with Child([*before, sys.executable, "-m", "visor", *words]) as child:
        host, _, port = child.line(READY, 30.0).removeprefix(READY).rpartition(":")
        yield (host, int(port)), child.pid


def _row(name: str, result: dict[str, Any], **extra: Any) -> Row:
    kept = {
        name: value for name, value in result.items() if name not in ("ops", "seconds", "errors", "error")
    }
    return name, result["ops"], result["seconds"], {**kept, **extra}


def rows(seconds: float, quick: bool, parent: Path | None) -> Iterator[Row]:
    """Yield all of it."""
    warmup = min(0.5, seconds / 4)
    with Registry((), parent) as node:
        with node.wire() as wire:
            wire.preload(Workload(KEYS))
        with _gateway(node) as (address, pid):
            yield "gateway, idle", 0, 0.0, {"rss_mb": rss_mb(pid)}
            for kind in ("page", "get", "put", "cas"):
                result = http_lines.run(Asked(address, kind, CONNECTIONS, seconds, warmup, KEYS, pid))
                yield _row(f"http {kind} {CONNECTIONS}", result, rss_mb=rss_mb(pid))
            crowd = 20 if quick else 1000
            for clients, told, more in (
                (1, "as they come", {}),
                (crowd, "each waits for all", {"together": True}),
                (crowd, "5 commits a second", {"pause": 0.2}),
            ):
                spec = Fanout(node.address, clients, 1, seconds, warmup, KEYS, pid, streams=address, **more)
                yield _row(f"sse {clients:,} clients, {told}", fanout.run(spec), rss_mb=rss_mb(pid))
        with node.wire() as wire:
            wire.preload(Workload(KEYS))  # the streams' values say when they were sent
        yield from _beside(node, seconds, quick)


def _beside(node: Registry, seconds: float, quick: bool) -> Iterator[Row]:
    """Ask the registry directly, with and without a gateway that is hammered."""
    with _own_core(node.pid), _gateway(node, *IDLE) as (address, _):
        for kind in ("get", "set"):
            asked = Load(node.address, kind, CONNECTIONS, 1, seconds / 2, min(0.5, seconds / 4), KEYS)
            results: dict[str, list[dict[str, Any]]] = {"": [], "/healthz": [], f"/v1/files{key(7)}": []}
            for _ in range(1 if quick else ROUNDS):
                for path, found in results.items():
                    with _hammered(address, path, seconds):
                        found.append(load.run(asked, node.pid))
            rates = {
                path: median(each["ops"] / each["seconds"] for each in found)
                for path, found in results.items()
            }
            for path, found in results.items():
                name = f"direct {kind} {CONNECTIONS}, " + (
                    f"wrk on {path.partition('/v/')[0]}" if path else "alone"
                )
                middle = sorted(found, key=lambda each: each["ops"] / each["seconds"])[len(found) // 2]
                yield _row(name, middle, of_alone=rates[path] / rates[""], rounds=len(found))


@contextlib.contextmanager
def _own_core(pid: int) -> Iterator[None]:
    """Have the process alone on a core, and what is started meanwhile on the others; nothing where there is one."""
    there = os.sched_getaffinity(0)
    first, *others = sorted(there)
    if not others:
        yield
        return
    os.sched_setaffinity(pid, {first})
    os.sched_setaffinity(0, others)
    try:
        yield
    finally:
        os.sched_setaffinity(0, there)
        os.sched_setaffinity(pid, there)


@contextlib.contextmanager
def _hammered(address: Address, path: str, seconds: float) -> Iterator[None]:
    """Hammer a page of the gateway for the block; nothing for no path."""
    if not path:
        yield
        return
    url = f"http://{address[0]}:{address[1]}{path}"
    wrk = shutil.which("wrk")
    if wrk is not None:
        command = [*IDLE, wrk, "-t", "1", "-c", str(CONNECTIONS), "-d", "600", url]
    else:
        import json
        from dataclasses import asdict

        spec = asdict(Asked(address, "page" if path == "/healthz" else "get", CONNECTIONS, 600.0))
        command = [*IDLE, sys.executable, "-m", "benchmarks.http_lines", json.dumps(spec)]
    child = Child(command)
    try:
        yield
    finally:
        child.end()
