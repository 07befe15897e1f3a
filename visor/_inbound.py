"""The client's side of the decoder: it also measures what a watch's window counts.

A server counts the encoded bytes of each COMMITS and STATE message against the window of the watch, so
the client must know them to give them back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from visor.protocol import verbs
from visor.protocol.frames import Decoder
from visor.protocol.limits import MIB

LIMIT = 64 * MIB
"""One message from a server. Above any answer a server gives (a page, or one transaction with the values
that it replaced), below what would hurt."""

_MEASURED = frozenset((verbs.COMMITS, verbs.STATE))


class Meter:
    """An unpacker that notes the encoded size of each watch message it yields."""

    __slots__ = ("_end", "_unpacker", "feed", "sizes")

    def __init__(self, unpacker: Any) -> None:
        self._unpacker = unpacker
        self.feed = unpacker.feed
        self._end = 0
        self.sizes: deque[int] = deque()

    def __iter__(self) -> Iterator[Any]:
        unpacker = self._unpacker
        tell = unpacker.tell
        for message in unpacker:
            end = tell()
            if type(message) is list and message and message[0] in _MEASURED:
                self.sizes.append(end - self._end)
            self._end = end
            yield message


class Inbound(Decoder):
    """A decoder that leaves in `sizes` the encoded size of each COMMITS and STATE message, in order."""

    __slots__ = ("sizes",)

    def __init__(self, limit: int = LIMIT) -> None:
        super().__init__(limit)
        meter = Meter(self._unpacker)
        self._unpacker = meter
        self.sizes = meter.sizes
