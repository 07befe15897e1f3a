"""A blocking connection of one request at a time: what a benchmark needs to prepare a node and to ask it.

Not a client: no reconnect, no retry. It is here so that measuring the server does not measure the client.
"""

from __future__ import annotations

import os
import socket
from types import TracebackType
from typing import Any

from benchmarks.workload import Workload
from visor.protocol import limits, verbs
from visor.protocol.frames import Decoder, Message, encode

Address = tuple[str, int]


class RefusedError(Exception):
    """The server answered with an error, or closed the connection."""


def hello(session: bytes | None = None) -> list[Any]:
    """Return the fields of a HELLO after its id."""
    return [{"versions": [verbs.VERSION], "client": "benchmarks", "session": session, "actor": "benchmarks"}]


class Wire:
    """One connection with a session of its own, greeted. Close it, or use it as a context manager."""

    def __init__(self, address: Address, *, timeout: float = 60.0) -> None:
        self._socket = socket.create_connection(address, timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._decoder = Decoder(limits.DEFAULT.frame)
        self._arrived: list[Message] = []
        self._id = 0
        self.welcome: dict[str, Any] = self.call(verbs.HELLO, *hello(os.urandom(16)))

    def call(self, verb: int, *fields: Any) -> Any:
        """Send one request and return its result. Raises RefusedError; OSError when the connection fails."""
        self._id += 1
        acked = [self._id] if verbs.FIRST_WRITE <= verb <= verbs.LAST_WRITE else []
        self._socket.sendall(encode([verb, self._id, *acked, *fields]))
        kind, ident, *rest = self._receive()
        if kind != verbs.OK or ident != self._id:
            raise RefusedError(f"verb {verb}: {[kind, ident, *rest]!r:.300}")
        return rest[0] if rest else None

    def _receive(self) -> Message:
        while not self._arrived:
            data = self._socket.recv(1 << 16)
            if not data:
                raise RefusedError("the server closed the connection")
            self._arrived = self._decoder.feed(data)
            if self._decoder.violation:
                raise RefusedError(self._decoder.violation)
        return self._arrived.pop(0)

    def rev(self) -> int:
        """Return the latest rev."""
        rev: int = self.call(verbs.REV)[0]
        return rev

    def preload(self, work: Workload, size: int = 1000) -> int:
        """Set all keys of `work`, `size` a transaction; return the rev after it."""
        for batch in work.batches(size):
            operations = [[verbs.T_SET, path, value] for path, value in batch]
            self.call(verbs.TXN, [], operations)
        return self.rev()

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
