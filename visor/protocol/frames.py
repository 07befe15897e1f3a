"""Bytes to messages and back: one msgpack array a message, nothing between two messages.

A msgpack value knows its own end, so no length prefix is needed. A stream is read in two steps: first the end of
each message is found, which builds nothing, and only what is whole is decoded:

    bytes   93 0a 07 a2 2f 61 | 93 0a 08 a2 2f 62 | 95 1e 09
            GET 7 "/a"          GET 8 "/b"          the beginning of a SET: waits as bytes, costs what it is long

    decoder = Decoder(limit)
    messages = decoder.feed(data)       # [[10, 7, "/a"], [10, 8, "/b"]]
    decoder.violation                   # None, or why the stream cannot be read any further

So memory grows with what has arrived, never with what a header announces: a decoder that builds as it reads allocates
each array by its announced count, and a few bytes of nested headers cost megabytes. A reader that cannot handle
more messages now leaves them as bytes: `push`, then `take(most)` when there is room.

Whatever bytes arrive, the messages before the first bad byte come out and `violation` is set at it; nothing is raised.
After a violation nothing more comes.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, Final, TypeAlias

import msgpack

Message: TypeAlias = list[Any]
"""A decoded array: an int first, then the fields that visor/docs/protocol.md lists for it."""

MAX_ELEMENTS: Final = 65_536
"""Elements of one array or map in a message."""
MAX_TOTAL_ELEMENTS: Final = 131_072
"""Elements of all arrays and maps of one message together: a full transaction has 12 288 lists with up to 61 440
elements. An empty list is one byte on the wire and about 80 in memory, so this bounds what a message can cost."""
SMALL: Final = 512
"""Bytes of an arrival that is first taken for one whole message, which it nearly always is."""
FEW: Final = 16
"""Elements of each array in such a message: what is not whole is built in vain, so it must be cheap."""
WINDOW: Final = 16 * 1024
"""Bytes that are looked at together; a message in them can have no more elements than that."""

BUFFER: Final = 1024
"""Bytes of a new encoder's buffer, which grows."""
TLS_FIRST: Final = 0x16
"""The first byte of a connection that speaks TLS."""
LARGE: Final = 64 * 1024
"""Bytes of an encoder's buffer that are worth giving back."""
BATCH: Final = 4096
"""Messages that are decoded at once, unless fewer are asked for."""


class _TooManyElementsError(Exception):
    """A message has more elements than any message needs."""


class Decoder:
    """Cuts a byte stream into messages. One for each direction of each connection.

    `limit`: bytes of one message. `elements`: elements of one array or map. Between two messages it holds nothing.
    """

    __slots__ = ("_alone", "_data", "_need", "_scanner", "_start", "elements", "limit", "violation")

    def __init__(self, limit: int, *, elements: int = MAX_ELEMENTS) -> None:
        self.limit = limit
        self.elements = elements
        self._data: bytes | bytearray = b""
        """What has arrived; from `_start` on it has not been taken."""
        self._start = 0
        self._need = 0
        """Bytes without which the message that has begun cannot be whole, as far as that is known."""
        self._scanner: Any = None
        """Has seen all of `_data`, which is the beginning of one long message; None while there is no such message."""
        self._alone = True
        """The last arrival was one whole message, so the next one may be, too."""
        self.violation: str | None = None

    @property
    def held(self) -> int:
        """Bytes that have arrived and were not taken."""
        return len(self._data) - self._start

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that are complete with `data`; set `violation` at the first bad byte."""
        self.push(data)
        messages = self.take()
        while self._data and self.violation is None and (more := self.take()):
            messages += more
        return messages

    def push(self, data: bytes) -> None:
        """Add bytes as they arrived; `take` gives the messages in them."""
        if self.violation is not None:
            return
        if not self._data:
            self._data = data
        elif type(self._data) is bytearray:
            self._data += data
            if self._scanner is not None:
                self._scanner.feed(data)
        else:
            self._data = bytes(self._data[self._start :]) + data
            self._start = 0

    def push_whole(self, data: bytes) -> Message | None:
        """Where nothing is held: return the one message that `data` is, nearly always; else push it and return None.

        The same as `push` and `take` for less, on the path of every lone request.
        """
        if self._alone and len(data) <= SMALL and len(data) <= self.limit:
            try:
                message = msgpack.unpackb(
                    data, raw=False, strict_map_key=True, max_array_len=FEW, max_map_len=FEW, max_ext_len=0
                )
                if type(message) is list and type(message[0]) is int:
                    return message
            except Exception:  # incomplete, more than one, or bad: the slower ways tell which
                self._alone = False
        self.push(data)
        return None

    def take(self, most: int = BATCH) -> list[Message]:
        """Return at most `most` of the messages that are whole; none are left when it returns none."""
        data = self._data
        if not data or self.violation is not None:
            return []
        if type(data) is bytes:
            messages = self._take_small(data, most)
            if messages:
                return messages
        return self._take_any(most) if self.held >= self._need else []

    def put_back(self, messages: list[Message]) -> None:
        """Take back the last of the messages that `take` has just given, as bytes: they come again.

        Raises ValueError when they are nested too deeply to be packed.
        """
        data = b"".join(map(encode, messages))
        self._data, self._start = data + bytes(memoryview(self._data)[self._start :]), 0

    # Most messages have few elements in each array, so they are decoded without looking for their ends before. What
    # turns out not to be whole was built in vain, but cost little.

    def _take_small(self, data: bytes, most: int) -> list[Message]:
        """Return the next messages if they are small; none when that is not sure."""
        window = memoryview(data)[self._start : self._start + min(WINDOW, self.limit)]
        kind = self.limit, min(self.elements, FEW)
        unpacker = _CLEAN.pop(kind, None) or _unpacker(*kind)
        before = unpacker.tell()
        try:
            unpacker.feed(window)
            messages = list(islice(unpacker, most))
        except Exception:  # long arrays, or bad bytes: the slower way tells which
            return []
        if messages:
            end, clean = _end_of(unpacker, before, window, len(messages), most)
            if clean:
                _CLEAN[kind] = unpacker
            self._advance(end)
            self._alone = len(messages) == 1
        return self._checked(messages)

    def _take_any(self, most: int) -> list[Message]:
        """Return the next messages, of any kind, as far as one look at the data reaches."""
        if self._scanner is not None:
            return self._take_scanned()
        data, size = memoryview(self._data)[self._start :], min(WINDOW, self.limit)
        end = _end_of_flat(data) if len(data) > WINDOW else None
        if end is not None:
            if end <= min(len(data), self.limit):
                return self._decode(data[:end], one=True)
            return self._wait(end, None)
        while True:
            window = data[:size]
            scanner = _scanner()
            scanner.feed(window)
            # A long one is decoded alone: its elements are counted.
            end, problem = _ends(scanner, most if size <= WINDOW else 1)
            if end:
                return self._decode(window[:end], one=size > WINDOW)
            if problem is not None:
                return self._refuse(problem)
            if len(window) == len(data) or len(window) == self.limit:
                return self._wait(0, scanner if size > WINDOW else None)
            size = min(8 * size, self.limit)

    def _take_scanned(self) -> list[Message]:
        """Return the message that has come in many pieces, if it is whole."""
        scanner = self._scanner
        end, problem = _ends(scanner, 1)
        if 0 < end <= self.limit:
            self._scanner = None
            return self._decode(memoryview(self._data)[:end], one=True)
        return self._wait(end, scanner) if problem is None else self._refuse(problem)

    def _wait(self, need: int, scanner: Any) -> list[Message]:
        """What is here is the beginning of one message, which is not whole before `need` bytes are there."""
        if max(self.held, need) > self.limit:
            return self._refuse(f"a message is over {self.limit} bytes")
        self._need, self._scanner = need, scanner
        if (need or scanner is not None) and type(self._data) is bytes:
            self._data, self._start = bytearray(memoryview(self._data)[self._start :]), 0
        return []

    def _decode(self, data: memoryview, *, one: bool) -> list[Message]:
        """Return the messages that `data` is; `one`: it is a single one, of any length."""
        messages: list[Message] = []
        options = _options(self.limit, self.elements)
        try:
            if one:
                if len(data) > MAX_TOTAL_ELEMENTS:
                    options.update(_counting())
                messages.append(msgpack.unpackb(data, **options))
            else:
                unpacker = msgpack.Unpacker(
                    max_buffer_size=2 * self.limit + WINDOW, read_size=WINDOW, **options
                )
                unpacker.feed(data)
                messages.extend(unpacker)
        except _TooManyElementsError:
            self._refuse(f"a message has over {MAX_TOTAL_ELEMENTS} elements")
        except Exception as error:  # the decoder raises many kinds; each means the stream is unreadable
            self._refuse(_unreadable(error))
        else:
            self._alone = len(messages) == 1
            self._advance(len(data))
        return self._checked(messages)

    def _advance(self, size: int) -> None:
        """Go on behind the `size` bytes that were taken."""
        self._start += size
        self._need = 0
        if self._start >= len(self._data):
            self._data, self._start = b"", 0
        elif type(self._data) is bytearray:
            self._data, self._start = bytes(memoryview(self._data)[self._start :]), 0

    def _checked(self, messages: list[Message]) -> list[Message]:
        try:
            if (
                set(map(type, messages)) <= _LIST
                and set(map(type, [message[0] for message in messages])) <= _INT
            ):
                return messages  # nearly always, and faster to tell for all at once
        except (IndexError, TypeError, KeyError):  # an empty list, or none
            pass
        for message in messages:
            if type(message) is not list or not message or type(message[0]) is not int:
                return self._until(messages, message)
        return messages

    def _until(self, messages: list[Message], bad: Any) -> list[Message]:
        # Found by identity and told by type: what a peer nests can be too deep to compare or to show.
        kind = type(bad[0]).__name__ if type(bad) is list and bad else "nothing"
        shown = f"an array that starts with {kind}" if type(bad) is list else type(bad).__name__
        if type(bad) is int and bad == TLS_FIRST:
            shown = "the first byte of TLS, which is not spoken here"
        self._refuse(f"a message must be an array that starts with an integer, not {shown}")
        position = next(place for place, message in enumerate(messages) if message is bad)
        return messages[:position]

    def _refuse(self, why: str) -> list[Message]:
        if self.violation is None:
            self.violation = why
            self._data, self._start, self._need, self._scanner = b"", 0, 0, None
        return []


def _end_of(unpacker: Any, before: int, window: memoryview, count: int, most: int) -> tuple[int, bool]:
    """Return where the last of the `count` messages ends that `unpacker` took from `window`, fed at `before`.

    And whether the unpacker has surely given back all that it was fed.
    """
    if count == most:
        end = int(unpacker.tell()) - before
        return end, end == len(window)
    # It has seen all. Behind whole messages the next byte is a message of its own; within one it belongs to that.
    try:
        unpacker.feed(_NIL)
        if unpacker.unpack() is None:
            return len(window), True
    except Exception:  # within one
        pass
    scanner = _scanner()
    scanner.feed(window)
    for _ in range(count):
        scanner.skip()
    return int(scanner.tell()), False


def _end_of_flat(data: memoryview) -> int | None:
    """Return where the message ends with which `data` begins, even when that lies behind the data.

    None when it has an array, a map or an extension in it, or not all of its lengths are there.
    """
    if not 0x90 <= data[0] <= 0x9F:
        return None
    position = 1
    for _ in range(data[0] & 0x0F):
        if position + 5 > len(data):
            return None
        kind = data[position]
        if kind in _LENGTHS:
            width = _LENGTHS[kind]
            position += 1 + width + int.from_bytes(data[position + 1 : position + 1 + width], "big")
        elif 0xA0 <= kind <= 0xBF:
            position += 1 + (kind & 0x1F)
        elif kind < 0x80 or kind >= 0xE0 or kind in (0xC0, 0xC2, 0xC3):
            position += 1
        elif kind in _NUMBERS:
            position += 1 + _NUMBERS[kind]
        else:
            return None
    return position


_LENGTHS: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
"""bin and str: bytes of the length that follows the first byte."""
_NUMBERS: Final = {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
"""float, uint and int: bytes that follow the first one."""
_NIL: Final = b"\xc0"
_LIST: Final = {list}
_INT: Final = {int}


def _ends(scanner: Any, most: int) -> tuple[int, str | None]:
    """Return where the next whole messages, at most `most`, end, and what is wrong behind them."""
    end, skip, tell = 0, scanner.skip, scanner.tell
    problem = None
    try:
        for _ in range(most):
            skip()
            end = tell()
    except msgpack.exceptions.OutOfData:
        pass
    except Exception as error:
        problem = _unreadable(error)
    return end, problem


def _unreadable(error: Exception) -> str:
    return f"not msgpack: {type(error).__name__}: {error!s:.200}"


def _scanner() -> Any:
    """Return what finds the ends of messages. It is made anew each time: it is large, and most connections are idle."""
    return msgpack.Unpacker(max_buffer_size=0, read_size=WINDOW)


def _options(limit: int, elements: int) -> dict[str, Any]:
    return {
        "raw": False,
        "use_list": True,
        "strict_map_key": True,
        "max_str_len": limit,
        "max_bin_len": limit,
        "max_array_len": elements,
        "max_map_len": elements,
        "max_ext_len": 0,
    }


_CLEAN: Final[dict[tuple[int, int], Any]] = {}
"""For each kind one that has given back all it was fed: to make one costs as much as decoding twenty messages. All
connections share it, and only while one of them decodes nobody else has it."""


def _unpacker(limit: int, elements: int) -> Any:
    return msgpack.Unpacker(
        raw=False,
        strict_map_key=True,
        max_buffer_size=2 * limit + WINDOW,
        read_size=WINDOW,
        max_array_len=elements,
        max_map_len=elements,
        max_ext_len=0,
    )


def _counting() -> dict[str, Any]:
    """Return options that end the decoding of a message once it has too many elements."""
    total = 0

    def count(container: Any) -> Any:
        nonlocal total
        total += 1 + len(container)
        if total > MAX_TOTAL_ELEMENTS:
            raise _TooManyElementsError
        return container

    return {"list_hook": count, "object_hook": count}


class Encoder:
    """Packs messages into one reused buffer: `pack` several, then `take` the bytes.

    The buffer is made by the first `pack`, and again by the first after `renew`: there is an encoder for each
    connection, and most connections only listen.
    """

    __slots__ = ("_packer", "pack", "spent")

    pack: Any
    """Packs one message. Another one after `renew`."""

    def __init__(self) -> None:
        self._packer: Any = None
        self.spent = False
        """The buffer should be given back with `renew`: it has grown, or nothing may be packed for long."""

    def __getattr__(self, name: str) -> Any:
        if name != "pack":
            raise AttributeError(name)
        self._packer = msgpack.Packer(use_bin_type=True, autoreset=False, buf_size=BUFFER)
        self.pack = self._packer.pack
        return self.pack

    def renew(self) -> None:
        """Give the buffer back, which keeps its largest size, and what was packed and not taken."""
        if self._packer is not None:
            self._packer = None
            del self.pack
        self.spent = False

    @property
    def size(self) -> int:
        """Bytes packed since the last `take`."""
        size: int = 0 if self._packer is None else self._packer.getbuffer().nbytes
        return size

    def take(self) -> bytes:
        """Return what was packed since the last call, and start anew."""
        packer = self._packer
        if packer is None:
            return b""
        data: bytes = packer.bytes()
        packer.reset()
        if len(data) > LARGE:
            self.spent = True
        return data


pack_one: Final = msgpack.Packer(use_bin_type=True, buf_size=BUFFER).pack
"""`pack_one(message)` gives the bytes of one small message, in one call: the buffer behind it is shared and never
shrinks. Not for what has objects in it whose packing runs Python."""


def encode(message: Iterable[Any]) -> bytes:
    """Encode one message. For many, keep an `Encoder`."""
    data: bytes = msgpack.packb(message, use_bin_type=True)
    return data
