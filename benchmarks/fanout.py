"""Watch fan-out: many watchers of one tree, each on a connection of its own, and a few writers.

Each writer sends its next set when the last one is answered. Every value carries the time it was sent at, so
that a watcher knows how long the change took to reach it. Each watcher checks that revs come one by one
without a gap or a repeat; at the end every watcher must have seen every write.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import gc
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from benchmarks.figures import latencies
from benchmarks.load import GRACE, answer, clocks, run_module
from benchmarks.process import ChildError
from benchmarks.wire import Address, hello
from benchmarks.workload import ROOT, VALUE_BYTES, key
from visor.protocol import limits, verbs
from visor.protocol.frames import Decoder, Message, encode

WATCH_ID = 2
NO_TEXT = bytes([255]) * (VALUE_BYTES - 8)
"""What is behind the time in a value: as no text has it, so that JSON always says it in base64."""
CREDIT_EVERY = 64 * 1024
"""Bytes of watch messages after which a watcher gives them back."""


@dataclass(frozen=True, slots=True)
class Fanout:
    """So many watchers of everything below the workload's root, and so many writers."""

    address: Address
    watchers: int = 100
    writers: int = 1
    seconds: float = 5.0
    warmup: float = 0.5
    keys: int = 10_000
    pid: int = 0
    streams: Address | None = None
    """Of a gateway: the watchers are readers of its streams."""
    pause: float = 0.0
    """Seconds between a write's answer and the next."""
    together: bool = False
    """The next write waits until every watcher has the one before."""


@dataclass(slots=True)
class Seen:
    """What watchers and writers together have seen."""

    running: bool = True
    writes: int = 0
    events: int = 0
    delays: array.array[float] = field(default_factory=lambda: array.array("d"))
    """Seconds from a write's sending to its arrival at each watcher."""
    wanted: int = sys.maxsize
    """Events after which every watcher has seen every write; known when the writers have stopped."""
    complete: asyncio.Event = field(default_factory=asyncio.Event)
    due: int = sys.maxsize
    """Events after which the next write is sent, by `go`."""
    go: Callable[[], None] = lambda: None
    errors: int = 0
    error: str = ""

    def want(self, events: int) -> None:
        self.wanted = events
        if self.events >= events:
            self.complete.set()

    def arrived(self) -> None:
        """Some events have come."""
        if self.events >= self.due:
            self.due = sys.maxsize
            self.go()
        if self.events >= self.wanted:
            self.complete.set()

    def refused(self, what: str) -> None:
        self.errors += 1
        self.error = self.error or what[:300]


class Peer(asyncio.Protocol):
    """One connection: greets, then hands whole messages to `receive`."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._decoder = Decoder(limits.DEFAULT.frame)
        self.ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(encode([verbs.HELLO, 1, *hello(os.urandom(16))]))

    def data_received(self, data: bytes) -> None:
        messages = self._decoder.feed(data)
        if self._decoder.violation:
            self._seen.refused(self._decoder.violation)
        self.receive(messages, len(data))

    def receive(self, messages: list[Message], size: int) -> None:
        raise NotImplementedError

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ChildError(f"connection lost before it was ready: {error}"))
        elif self._seen.running:
            self._seen.refused(f"connection lost: {error}")

    def close(self) -> None:
        self._transport.close()


class Watcher(Peer):
    """Watches the tree, counts what arrives, and gives credit back."""

    def __init__(self, seen: Seen) -> None:
        super().__init__(seen)
        self._last = 0
        self._received = 0

    def receive(self, messages: list[Message], size: int) -> None:
        for message in messages:
            if message[0] == verbs.COMMITS:
                self._commits(message[2])
            elif message[0] == verbs.OK and message[1] == WATCH_ID:
                self._last = message[2] - 1
                self.ready.set_result(self._last)
                return
            elif message[0] == verbs.OK:
                self._transport.write(encode([verbs.WATCH, WATCH_ID, [verbs.SEL_TREE, ROOT]]))
                return
            elif message[0] != verbs.MARK:
                self._seen.refused(repr(message))
        self._credit(size)

    def _commits(self, commits: list[Any]) -> None:
        now, seen = time.perf_counter_ns(), self._seen
        for commit in commits:
            if commit[0] != self._last + 1:
                seen.refused(f"rev {commit[0]} came after rev {self._last}")
            self._last = commit[0]
            for change in commit[4]:
                seen.delays.append((now - int.from_bytes(change[2][1][:8], "big")) / 1e9)
                seen.events += 1
        seen.arrived()

    def _credit(self, size: int) -> None:
        # A MARK among them would be counted too, but none comes to a watch that has much to deliver.
        self._received += size
        if self._received >= CREDIT_EVERY:
            self._transport.write(encode([verbs.CREDIT, WATCH_ID, self._received]))
            self._received = 0


class Writer(Peer):
    """Sets one key after another, one at a time, until the run ends."""

    def __init__(self, seen: Seen, spec: Fanout, first: int) -> None:
        super().__init__(seen)
        self._keys, self._pause = spec.keys, spec.pause
        self._together = spec.watchers if spec.together else 0
        self._number = first
        self._id = 1
        self.done = asyncio.Event()

    def receive(self, messages: list[Message], size: int) -> None:
        for message in messages:
            if message[0] != verbs.OK or message[1] != self._id:
                self._seen.refused(repr(message))
        if not self.ready.done():
            self.ready.set_result(0)
        elif messages:
            self._seen.writes += 1
            if self._together:
                self._seen.due, self._seen.go = self._seen.writes * self._together, self.write
                self._seen.arrived()
            elif self._pause:
                asyncio.get_running_loop().call_later(self._pause, self.write)
            else:
                self.write()

    def write(self) -> None:
        if not self._seen.running:
            self.done.set()
            return
        self._id += 1
        self._number = (self._number + 1) % self._keys
        value = time.perf_counter_ns().to_bytes(8, "big") + NO_TEXT
        self._transport.write(encode([verbs.SET, self._id, self._id, key(self._number), value]))


async def generate(spec: Fanout) -> dict[str, Any]:
    """Run one fan-out in this process; return events, seconds, writes, delays and errors."""
    seen = Seen()
    watchers = [await _watching(spec, seen) for _ in range(spec.watchers)]
    writers = [await _joined(spec.address, Writer(seen, spec, n * 100)) for n in range(spec.writers)]
    gc.collect()
    gc.freeze()
    gc.disable()
    await _written(seen, writers, spec, spec.warmup)
    seen.delays = array.array("d")
    begun, writes, events = clocks(spec.pid), seen.writes, seen.events
    await _written(seen, writers, spec, spec.seconds)
    spent = [after - before for after, before in zip(clocks(spec.pid), begun, strict=True)]
    for peer in (*watchers, *writers):
        peer.close()
    return _result(seen, spent, seen.writes - writes, seen.events - events)


async def _watching(spec: Fanout, seen: Seen) -> Any:
    if spec.streams is None:
        return await _joined(spec.address, Watcher(seen))
    from benchmarks.http_lines import Stream

    return await _joined(spec.streams, Stream(seen, f"{ROOT}/**"))


async def _joined(address: Address, peer: Any) -> Any:
    await asyncio.get_running_loop().create_connection(lambda: peer, *address)
    await asyncio.wait_for(peer.ready, GRACE)
    return peer


async def _written(seen: Seen, writers: list[Writer], spec: Fanout, seconds: float) -> None:
    """Write for so long, and wait until every watcher has seen every write."""
    seen.running = True
    seen.wanted = sys.maxsize
    seen.complete.clear()
    for writer in writers:
        writer.done.clear()
        writer.write()
    await asyncio.sleep(seconds)
    seen.running = False
    for writer in writers:
        await asyncio.wait_for(writer.done.wait(), GRACE)
    seen.want(seen.writes * spec.watchers)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(seen.complete.wait(), GRACE)
    if seen.events != seen.wanted:
        seen.refused(f"{seen.events} events of {seen.writes} writes to {spec.watchers} watchers")


def _result(seen: Seen, spent: list[float], writes: int, events: int) -> dict[str, Any]:
    seconds, server, client, busy = spent
    return {
        "ops": events,
        "seconds": seconds,
        **latencies(seen.delays),
        "writes_s": round(writes / seconds),
        "errors": seen.errors,
        "error": seen.error,
        "cpu_us": server / events * 1e6 if events else 0.0,
        "cpu_server": server / seconds,
        "cpu_client": client / seconds,
        "cpu_other": max(0.0, busy - server - client) / seconds,
    }


def run(spec: Fanout) -> dict[str, Any]:
    """Run one fan-out in a process of its own. Raises ChildError when any event was missing or wrong."""
    return run_module("benchmarks.fanout", asdict(spec), spec.warmup + spec.seconds + 5 * GRACE)


def main() -> None:
    answer(lambda spec: generate(Fanout(**spec)))


if __name__ == "__main__":
    main()
