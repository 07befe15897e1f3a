"""One node over the socket: requests, watch fan-out, checkpoints under load, restart and old revs.

Every function yields rows; requests come with the ratio to the echo of the same bytes under the same load,
measured within the same seconds.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import fanout, load
from benchmarks.echo import SHAPES, Echo, shape
from benchmarks.figures import Row
from benchmarks.load import Load
from benchmarks.registry import Registry
from benchmarks.workload import Workload
from visor.protocol import verbs

QUICK_SHAPES = [(64, 1), (16, 64)]
PRELOADED = 10_000
TRIMMED = 1_000_000
"""Revs before the first of those that are kept..."""
KEPT = 50_000
"""...which are so many."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How long and on what to measure."""

    seconds: float = 5.0
    quick: bool = False
    command: Sequence[str] = ()
    """How a node is started, see `registry.COMMAND`."""
    parent: Path | None = None
    """Where data directories are made; None for the system's folder for temporary files."""

    @property
    def shapes(self) -> list[tuple[int, int]]:
        return QUICK_SHAPES if self.quick else SHAPES

    @property
    def warmup(self) -> float:
        return min(0.5, self.seconds / 4)

    def registry(self) -> Registry:
        return Registry(self.command, self.parent)


def _row(name: str, result: dict[str, Any], **extra: Any) -> Row:
    kept = {key: value for key, value in result.items() if key not in ("ops", "seconds", "errors", "error")}
    return name, result["ops"], result["seconds"], {**kept, **extra}


def requests(setting: Setting) -> Iterator[Row]:
    """Gets, sets and the mixed load from 1, 16, 64 and 256 clients one by one and from 16 with 64 each."""
    with Echo("get") as get_echo, Echo("set") as set_echo, setting.registry() as node:
        with node.wire() as wire:
            wire.preload(Workload(PRELOADED))
        for kind in ("get", "set", "mixed"):
            echo = set_echo if kind == "set" else get_echo
            for connections, in_flight in setting.shapes:
                floor = echo.load(connections, in_flight, setting.seconds / 2)
                asked = Load(
                    node.address, kind, connections, in_flight, setting.seconds, setting.warmup, PRELOADED
                )
                result = load.run(asked, node.pid)
                ratio = result["ops"] / result["seconds"] / (floor["ops"] / floor["seconds"])
                yield _row(
                    f"{kind} {shape(connections, in_flight)}", result, echo=ratio, rss_mb=node.memory()
                )


def watches(setting: Setting) -> Iterator[Row]:
    """100 watchers of the whole tree and 1 or 16 writers; operations are events delivered."""
    with setting.registry() as node:
        for writers in (1, 16):
            spec = fanout.Fanout(
                node.address, 100, writers, setting.seconds, setting.warmup, PRELOADED, node.pid
            )
            result = fanout.run(spec)
            yield _row(f"watch 100 watchers, {writers} writing", result, rss_mb=node.memory())


def checkpoints(setting: Setting) -> Iterator[Row]:
    """Sets from 64 clients: alone; with a checkpoint begun every second; and while history is trimmed and files are
    rewritten as well (`p99_ratio` compares with the first)."""
    seconds = max(setting.seconds, 2.0)
    with setting.registry() as node:
        with node.wire() as wire:
            wire.preload(Workload(PRELOADED))
        asked = Load(node.address, "set", 64, 1, seconds, setting.warmup, PRELOADED)
        alone = load.run(asked, node.pid)
        yield _row("set 64, no checkpoint", alone, rss_mb=node.memory())
        with _signals(node, signal.SIGUSR1, every=1.0):
            disturbed = load.run(asked, node.pid)
            yield _row(
                "set 64, checkpoint every second",
                disturbed,
                p99_ratio=disturbed["p99_us"] / alone["p99_us"],
                rss_mb=node.memory(),
            )
            load.run(_fill(node, PRELOADED, 20_000 if setting.quick else TRIMMED), node.pid)
            with node.wire() as wire:
                wire.call(verbs.RETAIN, KEPT)
            trimmed = load.run(asked, node.pid)
        ratio = trimmed["p99_us"] / alone["p99_us"]
        yield _row("set 64, history trimmed, files rewritten", trimmed, p99_ratio=ratio, rss_mb=node.memory())


@contextlib.contextmanager
def _signals(node: Registry, number: signal.Signals, every: float) -> Iterator[None]:
    """Send the node a signal every so many seconds until the block is left."""
    over = threading.Event()

    def send() -> None:
        while not over.wait(every):
            node.tell(number)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()


def restarts(setting: Setting) -> Iterator[Row]:
    """Three revs on each of a million keys: how long to fill, to start again, and to read the first ones."""
    keys = 20_000 if setting.quick else 1_000_000
    revs = 3 * keys
    with setting.registry() as node:
        with node.wire() as wire:
            early = wire.preload(Workload(PRELOADED))
        empty = node.memory()
        filled = load.run(_fill(node, keys, revs), node.pid)
        grown = (node.memory() - empty) * 1e6 / revs
        yield _row(
            f"fill {keys:,} keys, {revs:,} revs",
            filled,
            rss_mb=node.memory(),
            memory_bytes_per_rev=grown,
            disk_bytes_per_rev=node.disk() / revs,
        )
        if not setting.quick:
            yield from _reads(node, setting, early)
        for number in (signal.SIGTERM, signal.SIGKILL):
            ended = node.stop(number)
            started = node.start()
            yield f"restart after {number.name}", revs, started, {"rss_mb": node.memory(), "stop_s": ended}
        yield from _reads(node, setting, early)


def _fill(node: Registry, keys: int, revs: int) -> Load:
    return load.fill(node.address, keys, revs, seconds=600.0)


def _reads(node: Registry, setting: Setting, early: int) -> Iterator[Row]:
    """Read the same keys at the first rev that has them all, at the last rev, and the latest state."""
    with node.wire() as wire:
        last = wire.rev()
    rates: list[float] = []
    for name, at in (("latest", None), (f"at rev {last}", last), (f"at rev {early}", early)):
        asked = Load(node.address, "get", 64, 1, setting.seconds, setting.warmup, PRELOADED, at=at)
        result = load.run(asked, node.pid)
        rates.append(result["ops"] / result["seconds"])
        yield _row(f"get 64, {name}", result, of_latest=rates[-1] / rates[0])
