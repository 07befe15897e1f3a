"""The client's side of the decoder: lean, and able to measure what a watch's window counts.

`visor.protocol.frames.Decoder` guards a server against strangers; a client chose its server, and
what it cannot read it meets in `Session.receive`, message by message. A server counts the encoded bytes
of each COMMITS and STATE message against the window of the watch, so the client must know them to give
them back; decoding says where a message ends only when asked, so nobody asks before there is a watch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgpack

from visor.protocol import verbs
from visor.protocol.frames import MAX_ELEMENTS, WINDOW
from visor.protocol.limits import MIB

LIMIT = 64 * MIB
"""One message from a server. Above any answer a server gives (a page, or one transaction with the values
that it replaced), below what would hurt."""

_MEASURED = frozenset((verbs.COMMITS, verbs.STATE))


class Inbound:
    """Cuts a connection's bytes into messages.

        inbound.feed(data)
        for message in inbound.messages: ...

    Iterating raises at the first byte that cannot be read; the stream is of no use after that. After
    `measure`, `sizes` has the encoded size of each COMMITS and STATE message, in order.
    """

    __slots__ = ("_unpacker", "feed", "messages", "sizes")

    def __init__(self, limit: int = LIMIT) -> None:
        self._unpacker: Any = msgpack.Unpacker(
            raw=False,
            use_list=True,
            strict_map_key=True,
            max_buffer_size=limit,
            read_size=min(WINDOW, limit),  # it grows; left alone it is a MiB for each connection
            max_array_len=MAX_ELEMENTS,
            max_map_len=MAX_ELEMENTS,
            max_ext_len=0,
        )
        self.feed: Callable[[bytes], None] = self._unpacker.feed
        self.messages: Iterable[Any] = self._unpacker
        self.sizes: deque[int] = deque()

    def measure(self) -> None:
        """Measure from here on; to be called before the first WATCH is sent."""
        if self.messages is self._unpacker:
            self.messages = _Measured(self._unpacker, self.sizes)


class _Measured:
    """The messages of an unpacker, whose sizes it notes."""

    __slots__ = ("_end", "_sizes", "_unpacker")

    def __init__(self, unpacker: Any, sizes: deque[int]) -> None:
        self._unpacker = unpacker
        self._sizes = sizes
        # In the middle of a message this is not its beginning, but that message answers no WATCH yet.
        self._end: int = unpacker.tell()

    def __iter__(self) -> Iterator[Any]:
        unpacker = self._unpacker
        tell = unpacker.tell
        for message in unpacker:
            end = tell()
            if type(message) is list and message and message[0] in _MEASURED:
                self._sizes.append(end - self._end)
            self._end = end
            yield message
