"""One node without sockets, disk and kernel: what a request costs in Python, from its bytes to the bytes of its answer.

Sixty-four conversations stand in a row; each says one thing, then the loop turns until all are answered. So a command
holds up to sixty-four writes, as it does with as many clients, and a lone one holds one. Syncs end in the next turn of
the loop. What is measured is CPU time, which a busy machine disturbs less than it does clocks.
"""

from __future__ import annotations

import gc
import random
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, perf_counter, process_time
from typing import Any

from benchmarks.figures import Row
from benchmarks.workload import Workload, key
from visor.protocol import verbs
from visor.protocol.frames import encode
from visor.protocol.limits import DEFAULT
from visord.environment import Environment
from visord.node import Node
from visord.serving.backend import Backend
from visord.serving.conversation import Conversation
from visord.serving.replies import NoWire
from visord.settings import LogSettings, Settings
from visord.storage.disk import OsDisk
from visord.storage.worker import Done, Inline, Job

CLIENTS = 64
KEYS = 10_000
REPEATS = 5
"""Of each measurement; the least is told."""


class Loop:
    """Turns by hand: what was asked for soon is called in order, what was asked for later never."""

    def __init__(self) -> None:
        self._soon: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.time = monotonic

    def call_soon(self, callback: Callable[..., object], /, *args: Any) -> None:
        self._soon.append((callback, args))

    def call_later(self, delay: float, callback: Callable[..., object], /, *args: Any) -> Loop:
        return self

    def cancel(self) -> None:
        """As a timer."""

    def turn(self) -> None:
        """Call all that is due, and what that asks for."""
        soon = self._soon
        while soon:
            callback, args = soon.popleft()
            callback(*args)


class Soon:
    """A sync that takes no time and ends in the next turn."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def submit(self, job: Job, done: Done) -> None:
        self._loop.call_soon(done, None, None)


class Socket(NoWire):
    """The wire of a conversation: it counts the writes."""

    def __init__(self) -> None:
        self.writes = 0

    def write(self, data: bytes) -> None:
        self.writes += 1


class Bench:
    """A node with so many clients."""

    def __init__(self, folder: Path, clients: int = CLIENTS) -> None:
        self.loop = Loop()
        environment = Environment(
            self.loop,
            OsDisk(),
            Soon(self.loop),
            Inline(),
            random.Random(1),
            lambda: 1_700_000_000_000,
            stopwatch=perf_counter,
        )
        self.node = Node(Settings(log=LogSettings(level="warning")), folder, environment, DEFAULT, _fail)
        self.node.start()
        self.loop.turn()
        self.sockets = [Socket() for _ in range(clients)]
        backend = Backend(self.node)
        self.conversations = [Conversation(backend, socket, DEFAULT) for socket in self.sockets]
        for number, conversation in enumerate(self.conversations):
            conversation.owner = "127.0.0.1"
            session = number.to_bytes(16, "little")
            conversation.receive(
                encode([verbs.HELLO, 1, {"versions": [1], "session": session, "actor": "bench"}])
            )
        self.loop.turn()
        self.written = 1

    def measure(self, name: str, rounds: int, request: Callable[[int, int], list[Any]]) -> Row:
        """Have each client send `request(id, number)` so often, one by one; the seconds are CPU time."""
        best = min(self._measure(rounds, request) for _ in range(REPEATS))
        count = rounds * len(self.conversations)
        return name, count, best, {"us_request": round(best / count * 1e6, 3)}

    def _measure(self, rounds: int, request: Callable[[int, int], list[Any]]) -> float:
        count = len(self.conversations)
        sent = []
        for number in range(rounds):
            self.written += 1
            sent.append([encode(request(self.written, number * count + one)) for one in range(count)])
        before = sum(socket.writes for socket in self.sockets)
        receivers = [conversation.receive for conversation in self.conversations]
        turn = self.loop.turn
        gc.collect()
        gc.disable()
        start = process_time()
        for arrivals in sent:
            for receive, data in zip(receivers, arrivals, strict=True):
                receive(data)
            turn()
        spent = process_time() - start
        gc.enable()
        answered = sum(socket.writes for socket in self.sockets) - before
        if answered != rounds * count:
            raise RuntimeError(f"{answered} answers to {rounds * count} requests")
        return spent


def _fail(error: BaseException) -> None:
    raise error


def rows(seconds: float = 5.0, quick: bool = False) -> Iterator[Row]:
    """Yield the rows; `seconds` is not used, as the work is fixed."""
    rounds = 5 if quick else 150
    for clients in (CLIENTS, 1):
        with tempfile.TemporaryDirectory(prefix="visor-bench-") as folder:
            bench = Bench(Path(folder) / "data", clients)
            yield from _rows(bench, clients, rounds * CLIENTS // clients)
            bench.node.close()


def _rows(bench: Bench, clients: int, rounds: int) -> Iterator[Row]:
    work = Workload(KEYS)
    drawn = work.draw(rounds * clients)
    value = work.value(1, 1)
    bench.measure("fill", KEYS // clients + 1, lambda one, n: [verbs.SET, one, one, key(n % KEYS), value])

    def put(one: int, number: int) -> list[Any]:
        return [verbs.SET, one, one, key(drawn[number]), value]

    def cas(one: int, number: int) -> list[Any]:
        return [verbs.SET, one, one, key(drawn[number]), value, verbs.G_SINCE, 1 << 40]

    def transaction(one: int, number: int) -> list[Any]:
        path = key(drawn[number])
        return [verbs.TXN, one, one, [[verbs.G_SINCE, path, 1 << 40]], [[verbs.T_SET, path, value]]]

    def get(one: int, number: int) -> list[Any]:
        return [verbs.GET, one, key(drawn[number])]

    def said(one: int, number: int) -> list[Any]:
        return [verbs.GET, one, key(drawn[number]), None, verbs.LINEARIZABLE]

    def stale(one: int, number: int) -> list[Any]:
        return [verbs.GET, one, key(drawn[number]), None, verbs.STALE]

    kinds = (
        ("put", put),
        ("cas", cas),
        ("txn", transaction),
        ("get", get),
        ("get, mode said", said),
        ("stale get", stale),
    )
    for name, request in kinds:
        yield bench.measure(f"{name} {clients}", rounds, request)
