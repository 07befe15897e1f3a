"""What a long history costs: memory for each rev, a start, and questions about the past.

A million keys get ten million revs, then five million more, all of 128 bytes. `rev_bytes` is what the node's resident
memory grew by for each rev of the second part: there is no new key in it, so that is the index alone. Then the node is
stopped (SIGTERM, SIGKILL) and started until it answers a client.

Questions go one after another over one connection; `p50` and `p99` are theirs. The past is read at random revs:
**cold** each for the first time, so that its block is read from disk or from the system's memory of it, **warm** the
same once more; of each place by turns with the latest state, as what a wake-up takes differs from second to second.
`of_latest` is the median divided by that of the latest state.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import load
from benchmarks.figures import Row, latencies
from benchmarks.load import Load
from benchmarks.registry import Registry
from benchmarks.wire import Wire
from benchmarks.workload import key
from visor.protocol import verbs

KEYS = 1_000_000
REVS = 10_000_000
MORE = 5_000_000
SMALL = 100
"""What `--quick` divides all of that by."""
ASKED = 1_000
"""Questions of a kind."""
SETTLE = 8.0
"""Seconds, three times: then a checkpoint with a keyframe was made, and what it has was let go of and given back."""


def rows(quick: bool = False, parent: Path | None = None) -> Iterator[Row]:
    """Yield what filling, starting and asking took."""
    scale = SMALL if quick else 1
    keys, revs, more = KEYS // scale, REVS // scale, MORE // scale
    with Registry(parent=parent) as node:
        empty = node.memory()
        filled = load.run(_fill(node, keys, revs), node.pid)
        _settle(node, scale)
        full = node.memory()
        yield _filled(
            f"{keys:,} keys, {revs:,} revs", filled, rss_mb=full, disk_mb=node.disk() / 1e6, empty_mb=empty
        )
        again = load.run(_fill(node, keys, more), node.pid)
        _settle(node, scale)
        rev_bytes = (node.memory() - full) * 1e6 / more
        yield _filled(f"{more:,} revs more", again, rss_mb=node.memory(), rev_bytes=rev_bytes)
        yield from _questions(node, keys, "")
        for number in (signal.SIGTERM, signal.SIGKILL):
            ended = node.stop(number)
            started = node.start()
            yield (
                f"start after {number.name}",
                revs + more,
                started,
                {"rss_mb": node.memory(), "stop_s": ended},
            )
        yield from _questions(node, keys, ", after a start")


def _fill(node: Registry, keys: int, revs: int) -> Load:
    return load.fill(node.address, keys, revs)


def _settle(node: Registry, scale: int) -> None:
    """Have a checkpoint made, so that only what has to be in memory still is."""
    for _ in range(3):
        node.tell(signal.SIGUSR1)
        time.sleep(SETTLE / min(scale, 4))


def _filled(name: str, result: dict[str, Any], **extra: Any) -> Row:
    return f"fill: {name}", result["ops"], result["seconds"], {**extra, "cpu_us": result["cpu_us"]}


def _questions(node: Registry, keys: int, when: str) -> Iterator[Row]:
    dice = random.Random(7)
    with node.wire() as wire:
        last = wire.rev()
        places = [(key(dice.randrange(keys)), dice.randint(keys, last)) for _ in range(ASKED)]
        yield from _gets(wire, places, when)
        few = places[: ASKED // 10]
        yield _timed(f"history of a key{when}", lambda path, rev: _log(wire, path), few)
        yield _timed(f"diff of two revs{when}", lambda path, rev: _diff(wire, rev, last), few)
        now = wire.call(verbs.REV)[2]
        yield _timed(f"rev of a time{when}", lambda path, rev: wire.call(verbs.AT, now - rev % 60_000), few)


def _gets(wire: Wire, places: list[tuple[str, int]], when: str) -> Iterator[Row]:
    names = ("latest", "past, cold", "past, warm")
    times: dict[str, list[float]] = {name: [] for name in names}
    for path, rev in places:
        for name, at in zip(names, ((), (rev,), (rev,)), strict=True):
            began = time.perf_counter()
            wire.call(verbs.GET, path, *at)
            times[name].append(time.perf_counter() - began)
    median = 0.0
    for name, taken in times.items():
        told = dict(latencies(taken))
        median = median or told["p50_us"]
        yield f"get {name}{when}", len(taken), sum(taken), {**told, "of_latest": told["p50_us"] / median}


def _log(wire: Wire, path: str) -> Any:
    return wire.call(verbs.LOG, [verbs.SEL_PATH, path])


def _diff(wire: Wire, rev: int, last: int) -> Any:
    """Ask what a thousand commits changed."""
    return wire.call(verbs.DIFF, [verbs.SEL_TREE, "/"], rev, min(rev + 1000, last))


def _timed(name: str, ask: Callable[[str, int], Any], places: list[tuple[str, int]]) -> Row:
    times: list[float] = []
    for path, rev in places:
        began = time.perf_counter()
        ask(path, rev)
        times.append(time.perf_counter() - began)
    return name, len(times), sum(times), dict(latencies(times))
