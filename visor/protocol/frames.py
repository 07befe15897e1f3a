"""Bytes to messages and back: one msgpack array a message, nothing between two messages.

A msgpack value knows its own end, so no length prefix is needed: the C decoder cuts the stream faster
than Python could slice it, and the byte count since the last whole message bounds what is buffered.

    decoder = Decoder(limit)
    messages = decoder.feed(data)       # [[10, 7, "/a"], ...]
    decoder.violation                   # None, or why the stream cannot be read any further

Whatever bytes arrive, `feed` returns the messages before the first bad byte and sets `violation` at
it; it never raises. After a violation it returns nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import msgpack

Message: TypeAlias = list[Any]
"""A decoded array: an int first, then the fields that PROTOCOL.md lists for it."""

MAX_ELEMENTS = 65_536
"""Elements of one array or map in a message: the decoder allocates by the announced count."""

BUFFER = 8 * 1024
"""Bytes of a new encoder's buffer: there is one for each connection, and most are idle."""
LARGE = 1 << 20
"""Bytes of an encoder's buffer that are worth giving back."""


class Decoder:
    """Cuts a byte stream into messages. One for each direction of each connection."""

    __slots__ = ("_limit", "_pending", "_unpacker", "violation")

    def __init__(self, limit: int, *, elements: int = MAX_ELEMENTS) -> None:
        self._limit = limit
        self._unpacker = _unpacker(limit, elements)
        self._pending = 0
        self.violation: str | None = None

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that are complete with `data`; set `violation` at the first bad byte."""
        if self.violation is not None:
            return []
        messages: list[Message] = []
        try:
            self._unpacker.feed(data)
            messages.extend(self._unpacker)
        except msgpack.exceptions.BufferFull:
            self._refuse(f"a message is over {self._limit} bytes")
        except Exception as error:  # the decoder raises many kinds; each means the stream is unreadable
            self._refuse(f"not msgpack: {type(error).__name__}: {error}")
        # Bytes since the last whole message; after a cut the remainder lies inside this piece.
        self._pending = len(data) if messages else self._pending + len(data)
        if self._pending > self._limit + len(data):
            self._refuse(f"a message is over {self._limit} bytes")
        for message in messages:
            if type(message) is not list or not message or type(message[0]) is not int:
                return self._until(messages, message)
        return messages

    def _until(self, messages: list[Message], bad: Any) -> list[Message]:
        # Found by identity and told by type: what a peer nests can be too deep to compare or to show.
        kind = type(bad[0]).__name__ if type(bad) is list and bad else "nothing"
        shown = f"an array that starts with {kind}" if type(bad) is list else type(bad).__name__
        self._refuse(f"a message must be an array that starts with an integer, not {shown}")
        position = next(place for place, message in enumerate(messages) if message is bad)
        return messages[:position]

    def _refuse(self, why: str) -> None:
        if self.violation is None:
            self.violation = why


def _unpacker(limit: int, elements: int) -> Any:
    return msgpack.Unpacker(
        raw=False,
        use_list=True,
        strict_map_key=True,
        # Room for one message and the pieces that arrive with its end.
        max_buffer_size=2 * limit,
        max_str_len=limit,
        max_bin_len=limit,
        max_array_len=elements,
        max_map_len=elements,
        max_ext_len=0,
    )


class Encoder:
    """Packs messages into one reused buffer: `pack` several, then `take` the bytes."""

    __slots__ = ("_packer", "large", "pack")

    def __init__(self) -> None:
        self._packer: Any = None
        self.pack: Any = None
        self.large = False
        """The buffer has grown and should be given back with `renew`."""
        self.renew()

    def renew(self) -> None:
        """Start with a new buffer: the old one keeps its largest size. `pack` is another one afterwards."""
        self._packer = msgpack.Packer(use_bin_type=True, autoreset=False, buf_size=BUFFER)
        self.pack = self._packer.pack
        self.large = False

    @property
    def size(self) -> int:
        """Bytes packed since the last `take`."""
        size: int = self._packer.getbuffer().nbytes
        return size

    def take(self) -> bytes:
        """Return what was packed since the last call, and start anew."""
        data: bytes = self._packer.bytes()
        self._packer.reset()
        if len(data) > LARGE:
            self.large = True
        return data


def encode(message: Iterable[Any]) -> bytes:
    """Encode one message. For many, keep an `Encoder`."""
    data: bytes = msgpack.packb(message, use_bin_type=True)
    return data
