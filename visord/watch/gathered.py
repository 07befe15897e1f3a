"""Small messages of one batch for the same connection: they leave together, in one call of the system.

    /apps changes, and 40 connections watch /apps, /apps/* and /**      120 messages, 40 writes

What is gathered is not yet known to the transport, so it is little: `EACH` bytes of a connection, `ALL` together.
"""

from __future__ import annotations

from typing import Final

from visord.watch.subscription import Sink

EACH: Final = 16 << 10
ALL: Final = 1 << 20


class Gathered:
    """See the module."""

    __slots__ = ("_all", "_held")

    def __init__(self) -> None:
        self._held: dict[Sink, bytes] = {}
        self._all = 0

    def add(self, sink: Sink, message: bytes) -> None:
        """Send a message, now or soon."""
        before = self._held.get(sink)
        data = self._held[sink] = message if before is None else before + message
        self._all += len(message)
        if len(data) > EACH:
            self.send(sink)
        if self._all > ALL:
            self.scatter()

    def send(self, sink: Sink) -> None:
        """Send what is gathered for one connection."""
        data = self._held.pop(sink, None)
        if data is not None:
            sink.send(data)

    def scatter(self) -> None:
        """Send all that is gathered."""
        held, self._held, self._all = self._held, {}, 0
        for sink, data in held.items():
            sink.send(data)
