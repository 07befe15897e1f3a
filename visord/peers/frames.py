"""Bytes between members: length-checked frames, each sealed when there is a secret, to messages and back.

    | length 4 | seal 16, with a secret only | message: one msgpack array |

`length` counts what follows it. The seal is HMAC-SHA256, cut to 16 bytes, of a counter (8 bytes, from 0 in each
direction of each connection) and the message, under a key that only this direction of this connection has: what was
injected, altered, repeated, left out or put in another order fails at the first such frame. Lengths are big-endian.

    reader = MessageReader(limit, seal)
    reader.feed(data)       # [[1, 5, ...], ...]: the whole messages that `data` completed
    reader.violation        # None, or why the stream cannot be read any further

Memory grows with what has arrived, not with what a length or a count announces.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Final

import msgpack

MESSAGE_LIMIT: Final = 64 << 20
"""Bytes of one message."""
HANDSHAKE_LIMIT: Final = 4096
"""Bytes of one frame before the other side is known."""
MAX_ELEMENTS: Final = 1 << 18
"""Elements of all arrays and maps of one message. Nobody needs more: one write has at most 2**17, those of a FORWARD
together about as many, for their weight, and the entries of an APPEND are counted. More would hold the loop."""
MAX_OF_ENTRIES: Final = 1 << 19
"""The same of an APPEND: the older version's leaders put up to 4 MiB of entries into one, however short they are."""
COUNTED: Final = 256 << 10
"""Bytes of a message whose elements are counted: a shorter one can have no more than these."""
FEW: Final = 1024
"""Elements of each array in a message that is decoded at once."""
WINDOW: Final = 16 << 10
APPEND: Final = b"\x97\x01"
"""How an APPEND begins (see `messages`): an array of 7, of kind 1."""
HEADER: Final = 4
SEAL: Final = 16
BLOCK: Final = 64
"""Bytes of SHA-256's block: HMAC pads its key to it."""


class Seal:
    """Seals, or checks, the messages of one direction of one connection, in order."""

    __slots__ = ("_count", "_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        # HMAC by hand (RFC 2104): hmac.HMAC does the same behind a wrapper that costs as much again.
        padded = (key if len(key) <= BLOCK else hashlib.sha256(key).digest()).ljust(BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))
        self._count = 0

    def next(self, message: bytes | memoryview) -> bytes:
        """Return the seal of the next message."""
        inner = self._inner.copy()
        inner.update(self._count.to_bytes(8, "big"))
        self._count += 1
        inner.update(message)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()[:SEAL]


def frame(message: bytes, seal: Seal | None = None) -> bytes:
    """Return a message as it is written. The caller has checked its size."""
    if seal is None:
        return len(message).to_bytes(HEADER, "big") + message
    return (len(message) + SEAL).to_bytes(HEADER, "big") + seal.next(message) + message


def cut(buffer: bytearray, limit: int = HANDSHAKE_LIMIT) -> bytes | None:
    """Take the first whole frame off `buffer`: its content, or None. Raises ValueError when it is over the limit."""
    if len(buffer) < HEADER:
        return None
    length = int.from_bytes(buffer[:HEADER], "big")
    if not 0 < length <= limit:
        raise ValueError(f"a frame of {length} bytes where at most {limit} are expected")
    end = HEADER + length
    if len(buffer) < end:
        return None
    content = bytes(buffer[HEADER:end])
    del buffer[:end]
    return content


def decode(data: bytes | memoryview) -> list[Any]:
    """Return the message in `data`. Raises ValueError when it is none; the text names what was expected.

    A decoder allocates each array by the count that its header announces, so a few KB of headers within headers cost
    gigabytes. It reads at most 1024 levels, so with arrays of at most `FEW` elements nothing that is missing costs more
    than 8 MiB, and nearly all messages are decoded like that, at once. What has longer arrays is first walked through
    without building anything: then all elements are there, each of which took a byte. Of the largest, they are counted.
    How deep fields may be nested is judged with the fields (`messages`).
    """
    size = len(data)
    try:
        message = _unpack(data, size) if size <= COUNTED else _large(data)
    except Exception as error:  # the decoder raises many kinds; each means that this is no message
        raise ValueError(f"not msgpack: {type(error).__name__}: {error!s:.200}") from error
    if type(message) is not list or not message or type(message[0]) is not int:
        raise ValueError("a message must be an array that starts with an integer")
    return message


def _unpack(data: bytes | memoryview, size: int) -> Any:
    elements = size if size < FEW else FEW
    try:
        return msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            max_ext_len=0,
            max_array_len=elements,
            max_map_len=elements,
        )
    except ValueError:
        if size <= FEW:
            raise
        return _long(data, {})


def _large(data: bytes | memoryview) -> Any:
    most = MAX_OF_ENTRIES if data[:2] == APPEND else MAX_ELEMENTS
    return _long(data, _counting(most), most)


def _long(data: bytes | memoryview, hooks: dict[str, Any], most: int = MAX_ELEMENTS) -> Any:
    """Decode what may have long arrays; nothing is built before it is known to be whole."""
    _walk(data)
    elements = min(len(data), most)
    return msgpack.unpackb(
        data,
        raw=False,
        strict_map_key=True,
        max_ext_len=0,
        max_array_len=elements,
        max_map_len=elements,
        **hooks,
    )


def _walk(data: bytes | memoryview) -> None:
    """Raise unless `data` begins with a whole value; nothing is built."""
    scanner = msgpack.Unpacker(max_buffer_size=len(data) + WINDOW, read_size=WINDOW)
    scanner.feed(data)
    scanner.skip()


def _counting(most: int) -> dict[str, Any]:
    total = 0

    def count(container: Any) -> Any:
        nonlocal total
        total += len(container)
        if total > most:
            raise ValueError(f"over {most} elements")
        return container

    return {"list_hook": count, "object_hook": count}


class MessageReader:
    """Cuts one direction of one connection into messages. It never raises."""

    __slots__ = ("_buffer", "_limit", "_seal", "_wanted", "violation")

    def __init__(self, seal: Seal | None = None, limit: int = MESSAGE_LIMIT) -> None:
        self._seal = seal
        self._limit = limit + (SEAL if seal is not None else 0)
        self._buffer = bytearray()
        """The beginning of a frame whose rest has not arrived."""
        self._wanted = 0
        """Bytes that `_buffer` needs before it is worth looking at it; 0 while it is empty."""
        self.violation: str | None = None

    def feed(self, data: bytes) -> list[list[Any]]:
        """Return the messages that are complete with `data`; set `violation` at the first bad frame."""
        if self.violation is not None:
            return []
        if self._wanted:
            self._buffer += data
            if len(self._buffer) < self._wanted:
                return []
            buffer, self._buffer, self._wanted = self._buffer, bytearray(), 0
            return self._cut(memoryview(buffer))
        if len(data) == HEADER + int.from_bytes(data[:HEADER], "big") <= self._limit:  # nearly always
            message = self._open(data[HEADER:])
            return [] if message is None else [message]
        return self._cut(data)

    def _cut(self, data: bytes | memoryview) -> list[list[Any]]:
        messages: list[list[Any]] = []
        size = len(data)
        start = 0
        while size - start >= HEADER:
            begin = start + HEADER
            length = int.from_bytes(data[start:begin], "big")
            if length > self._limit:
                self.violation = f"a frame of {length} bytes; the limit is {self._limit}"
                return messages
            end = begin + length
            if end > size:
                self._keep(data[start:], HEADER + length)
                return messages
            message = self._open(data[begin:end])
            if message is None:
                return messages
            messages.append(message)
            start = end
        if start < size:
            self._keep(data[start:], HEADER)
        return messages

    def _keep(self, rest: bytes | memoryview, wanted: int) -> None:
        self._buffer = bytearray(rest)
        self._wanted = wanted

    def _open(self, content: bytes | memoryview) -> list[Any] | None:
        if self._seal is not None:
            seal, content = content[:SEAL], content[SEAL:]
            if not hmac.compare_digest(seal, self._seal.next(content)):
                self.violation = (
                    "a message whose seal is wrong: it was injected, repeated or altered on its way"
                )
                return None
        try:
            return decode(content)
        except ValueError as error:
            self.violation = str(error)
            return None
