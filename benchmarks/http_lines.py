"""The gateway's side of the load generators: requests of HTTP that are made before the clock starts, and streams.

python -m benchmarks.http_lines SPEC        a closed loop of gets, puts or cas, one in flight on each connection
"""

from __future__ import annotations

import asyncio
import base64
import gc
import itertools
import re
import time
from dataclasses import asdict, dataclass
from typing import Any, Final, cast

from benchmarks.lines import Tally
from benchmarks.load import GRACE, answer, measured, run_module
from benchmarks.process import ChildError
from benchmarks.wire import Address
from benchmarks.workload import Workload, key

_LENGTH: Final = re.compile(rb"content-length: (\d+)")
_TAG: Final = re.compile(rb'etag: ("\d+")')
_STAMP: Final = re.compile(rb'"value_base64":"([A-Za-z0-9+/]{12})')
EVENT: Final = b"event: commit\n"


@dataclass(frozen=True, slots=True)
class Asked:
    """One load. `kind`: get, put, cas (a put under the tag of the one before), or page (the registry is not asked)."""

    address: Address
    kind: str
    connections: int = 64
    seconds: float = 5.0
    warmup: float = 0.5
    keys: int = 10_000
    pid: int = 0


class Caller(asyncio.Protocol):
    """One connection with one request in flight."""

    def __init__(self, tally: Tally, asked: Asked, number: int) -> None:
        work = Workload(asked.keys)
        self._tally, self._kind = tally, asked.kind
        self._numbers = itertools.cycle(work.draw(4096, number))
        self._own = key(asked.keys + number) if asked.kind == "cas" else ""
        self._value = work.value(number)
        self._tag = b""
        self._rest = b""
        self._sent = 0.0
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.ready.set_result(None)

    def send(self) -> None:
        """Send the next one."""
        path = "/healthz" if self._kind == "page" else f"/v1/files{self._own or key(next(self._numbers))}"
        head = "HTTP/1.1\r\nhost: localhost\r\n"
        if self._kind in ("put", "cas"):
            guard = b"if-match: %b\r\n" % self._tag if self._tag else b""
            request = (
                f"PUT {path} {head}content-length: {len(self._value)}\r\n".encode()
                + guard
                + b"\r\n"
                + self._value
            )
        else:
            request = f"GET {path} {head}\r\n".encode()
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._rest += data
        head, end, body = self._rest.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or (length is not None and len(body) < int(length[1])):
            return
        self._rest = b""
        if not head.startswith(b"HTTP/1.1 200 "):
            self._tally.refused(repr(head[:60] + body[:200]))
        if self._kind == "cas":
            tag = _TAG.search(head)
            self._tag = tag[1] if tag is not None else b""
        self._tally.times.append(time.perf_counter() - self._sent)
        if self._tally.running:
            self.send()
        else:
            self._tally.rests()

    def connection_lost(self, error: Exception | None) -> None:
        if self._tally.running:
            self._tally.refused(f"connection lost: {error}")

    def close(self) -> None:
        self._transport.close()


class Stream(asyncio.Protocol):
    """One stream of events, which are counted as they come; each value says when it was sent."""

    def __init__(self, seen: Any, glob: str) -> None:
        self._seen, self._glob = seen, glob
        self._rest = b""
        self.ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(f"GET /v1/watch?glob={self._glob} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        now, seen = time.perf_counter_ns(), self._seen
        data = self._rest + data
        if not self.ready.done():
            if b"retry: " in data:
                self.ready.set_result(0)
            elif not data.startswith(b"HTTP/1.1 200 "[: len(data)]):
                seen.refused(repr(data[:200]))
        stamps = _STAMP.findall(data)
        for stamp in stamps:
            seen.delays.append((now - int.from_bytes(base64.b64decode(stamp)[:8], "big")) / 1e9)
        seen.events += len(stamps)
        # What is not whole yet: behind the last value that was counted.
        last = data.rfind(b'"value_base64":"')
        self._rest = data[max(last, len(data) - 30) :] if last < 0 or len(data) - last < 28 else data[-15:]
        seen.arrived()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ChildError(f"connection lost before it was ready: {error}"))
        elif self._seen.running:
            self._seen.refused(f"connection lost: {error}")

    def close(self) -> None:
        self._transport.close()


async def generate(asked: Asked) -> dict[str, Any]:
    """Run one load in this process."""
    tally = Tally(asked.connections)
    callers = [Caller(tally, asked, number) for number in range(asked.connections)]
    for each in callers:
        await asyncio.get_running_loop().create_connection(lambda each=each: each, *asked.address)
    gc.collect()
    gc.freeze()
    gc.disable()
    for each in callers:
        each.send()
    try:
        return await measured(asked, tally, asked.pid)
    finally:
        for each in callers:
            each.close()


def run(asked: Asked) -> dict[str, Any]:
    """Run one load in a process of its own. Raises ChildError when any answer was missing or wrong."""
    return run_module("benchmarks.http_lines", asdict(asked), asked.warmup + asked.seconds + 3 * GRACE)


def main() -> None:
    answer(lambda spec: generate(Asked(**spec)))


if __name__ == "__main__":
    main()
