"""The connections of the load generator: plain protocols, no task and no future per request.

`Line` keeps many requests in flight; `SingleLine` keeps one and knows the first bytes of its answer
before it comes, so that it need not decode; `BareLine` is `Line` towards the echo, whose answers carry no
id. Each checks every answer: the right id, OK, and for a get the value of the key that was asked for.
"""

from __future__ import annotations

import array
import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import cast

from benchmarks.process import ChildError
from benchmarks.requests import FIRST_ID, READ_HEAD, UINT32, WRITE_HEAD, Request, ok_head
from benchmarks.wire import hello
from benchmarks.workload import VALUE_BYTES
from visor.protocol import limits, verbs
from visor.protocol.frames import Decoder, Message, encode


@dataclass(slots=True)
class Tally:
    """What all connections of one load have seen."""

    active: int
    """Connections that will still send or receive something."""
    times: array.array[float] = field(default_factory=lambda: array.array("d"))
    """Seconds that each request took that was answered."""
    running: bool = True
    """Connections send on; set it to false and each rests when its last answer has come."""
    errors: int = 0
    error: str = ""
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when no connection has anything in flight any more."""

    def refused(self, what: str) -> None:
        self.errors += 1
        self.error = self.error or what[:300]

    def rests(self) -> None:
        """One connection has nothing left in flight and will send no more."""
        self.active -= 1
        if self.active == 0:
            self.idle.set()


class Line(asyncio.Protocol):
    """One connection: greets, then keeps as many requests of its plan under way as `send` began with."""

    def __init__(self, tally: Tally, plan: Iterator[Request], bare: bool = False) -> None:
        self._tally = tally
        self._plan = plan
        self._bare = bare
        self._decoder = Decoder(limits.DEFAULT.frame)
        self._pending: dict[int, tuple[float, bytes]] = {}
        self._id = FIRST_ID
        self._resting = False
        self.greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._bare:
            self.greeted.set_result(None)
        else:
            self._transport.write(encode([verbs.HELLO, 1, *hello(os.urandom(16))]))

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        messages = self._decoder.feed(data)
        if not self.greeted.done():
            self._greet(messages)
            return
        pending, times = self._pending, self._tally.times
        for message in messages:
            asked = pending.pop(message[1], None)
            if asked is None or not plausible(message, asked[1]):
                self._tally.refused(repr(message))
                continue
            times.append(now - asked[0])
        if self._decoder.violation:
            self._tally.refused(self._decoder.violation)
        self.send(len(messages))

    def _greet(self, messages: list[Message]) -> None:
        if messages and messages[0][0] != verbs.OK:
            self.greeted.set_exception(ChildError(f"HELLO: {messages[0]!r:.300}"))
        elif messages:
            self.greeted.set_result(None)

    def send(self, count: int) -> None:
        """Send the next `count` requests of the plan in one write; none once the load has ended."""
        if not self._tally.running:
            self._rest()
            return
        ident, pending = self._id, self._pending
        now = time.perf_counter()
        parts: list[bytes] = []
        for start, tail, mark in islice(self._plan, count):
            ident += 1
            pending[ident] = (now, mark)
            if mark:
                parts.append(READ_HEAD.pack(start, UINT32, ident))
            else:
                # Requests are kept in the order of their ids: all below the first one are answered.
                parts.append(WRITE_HEAD.pack(start, UINT32, ident, UINT32, next(iter(pending))))
            parts.append(tail)
        self._id = ident
        if parts:
            self._transport.write(b"".join(parts))
        else:
            self._rest()

    def _rest(self) -> None:
        if not self._pending and not self._resting:
            self._resting = True
            self._tally.rests()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.greeted.done():
            self.greeted.set_exception(ChildError(f"connection lost before the greeting: {error}"))
        elif not self._resting:
            self._tally.refused(f"connection lost with {len(self._pending)} requests in flight: {error}")
            self._pending.clear()
            self._rest()

    def close(self) -> None:
        self._transport.close()


class SingleLine(Line):
    """One request in flight: the answer must begin with the bytes that this line expects."""

    def __init__(self, tally: Tally, plan: Iterator[Request], bare: bool = False) -> None:
        super().__init__(tally, plan, bare)
        self._expected = b""
        self._mark = b""
        self._sent = 0.0
        # The echo answers with one fixed id, so towards it the id stands still.
        self._step = 0 if bare else 1

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        if not self.greeted.done():
            self._greet(self._decoder.feed(data))
            return
        if not (data.startswith(self._expected) and self._mark in data):
            self._tally.refused(f"expected {self._expected!r} with {self._mark!r}, got {data!r}")
        self._tally.times.append(now - self._sent)
        self.send(1)

    def send(self, count: int) -> None:
        """Send the next request of the plan; none once the load has ended."""
        request = next(self._plan, None) if self._tally.running else None
        if request is None:
            self._rest()
            return
        start, tail, mark = request
        ident = self._id = self._id + self._step
        self._expected = ok_head(ident)
        self._mark = mark
        self._sent = time.perf_counter()
        if mark:
            self._transport.write(READ_HEAD.pack(start, UINT32, ident) + tail)
        else:
            self._transport.write(WRITE_HEAD.pack(start, UINT32, ident, UINT32, ident) + tail)


class BareLine(Line):
    """A connection to the echo with many requests in flight: an answer belongs to the oldest one."""

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        messages = self._decoder.feed(data)
        pending, times = self._pending, self._tally.times
        for message in messages:
            asked = pending.pop(next(iter(pending)))
            if not plausible(message, asked[1]):
                self._tally.refused(repr(message))
            times.append(now - asked[0])
        self.send(len(messages))


def plausible(message: Message, mark: bytes) -> bool:
    """Tell whether `message` is an OK with a value that begins with `mark`, or with a rev (no mark)."""
    if message[0] != verbs.OK:
        return False
    result = message[2]
    if not mark:
        return type(result) is int and result > 0
    version = result[1]
    return version is not None and len(version[1]) == VALUE_BYTES and version[1].startswith(mark)
