"""Writes as a hostile client makes them: right ones, changed in their structure, encoded in all ways of msgpack.

What is changed: types, integers at the edges of every width, nesting, sizes, keys that come twice, NaN, extensions,
bytes that are no UTF-8, texts with what no path may have. The same values are also encoded longer than they need be.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from random import Random
from typing import Any, Final

from tests.checkers.history import OUTSIDER
from tests.fuzz.messages import BRANCHES, PATHS, Maker
from visor.protocol import verbs as v
from visor.protocol.frames import Decoder

INTEGERS: Final = tuple(
    sign * ((1 << width) + near)
    for width in (0, 5, 7, 8, 15, 16, 31, 32, 48, 53, 61, 62, 63)
    for near in (-1, 0, 1)
    for sign in (1, -1)
    if sign * ((1 << width) + near) >= -(1 << 63)
)
TEXTS: Final = (
    "", "/", "//", "/.", "/..", "/a/../b", "/\x00", "/\x1b[31m", "/\u202e", "/\ue000", "/\U0010ffff", "/x" * 900,
    "/é" * 300,
    "/fuzz/a/s/below", "/" + "a" * 255, "/" + "a" * 256, "/fuzz/" + "b" * 1018, "a/b",
)  # fmt: skip
WRITES: Final = (v.SET, v.SET, v.SET, v.DELETE, v.TXN, v.TXN, v.REVERT, v.NOP, v.GRANT, v.REVOKE, v.RETRY)
DEPTHS: Final = (2, 3, 7, 13, 14, 15, 16, 17, 18, 31, 33, 100, 510, 1000, 1018, 1019, 1020, 1021, 1022)
RAW: Final = (
    b"\x82\xa1a\x01\xa1a\x02", b"\x81\xa0\x90", b"\xca\x7f\xc0\x00\x00", b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
    b"\xcb\xff\xf0\x00\x00\x00\x00\x00\x00", b"\xca\x3f\x80\x00\x00", b"\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00",
    b"\xcf" + b"\xff" * 8, b"\xd3\x80" + bytes(7), b"\xdd\x00\x00\x00\x00", b"\xdf\x00\x00\x00\x00",
    b"\xdb\x00\x00\x00\x00", b"\xc6\x00\x00\x00\x00", b"\x81\xc4\x01a\x01",
)  # fmt: skip
"""Encodings of single values that no encoder of ours makes."""
FATAL: Final = (
    b"\xc1", b"\xd4\x05\x00", b"\xc7\x00\x05", b"\xd6\xff\x00\x00\x00\x00", b"\xa2\xff\xfe", b"\xa3\xed\xa0\x80",
    b"\xa2\xc0\xaf", b"\x81\x01\x02", b"\x81\xc0\x01", b"\x81\x90\x01",
)  # fmt: skip
"""The same, but nothing behind them is read any more: rare, or hardly anything else would be tried."""


POOL: Final = 400
"""Writes that may come again: a client repeats, and what is made anew takes longest."""


TAKING: Final = frozenset((v.RETAIN, v.REVOKE))
"""Verbs by which everybody may end leases of others, and decide how much history is kept."""


class Raw(bytes):
    """Bytes that are already an encoding."""


class Mutants:
    """Makes encoded writes from one source of randomness.

    `spare`: nothing by which one client may rightly take from others what is theirs, as long as there are no rights.
    """

    def __init__(self, rng: Random, *, spare: bool = False) -> None:
        self._spare = spare
        self.rng = rng
        self.maker = Maker(rng)
        self._made: list[bytes] = []
        self._changes: list[Callable[[list[Any]], list[Any]]] = [
            self._another_value, self._another_value, self._an_integer, self._an_integer, self._a_text,
            self._deeper, self._more, self._fewer, self._raw, self._inside, self._inside,
        ]  # fmt: skip

    def write(self) -> bytes:
        """Return one encoded write; half of them are as they should be. Some came before, byte for byte."""
        rng, made = self.rng, self._made
        if len(made) > POOL // 2 and rng.random() < 0.5:
            return rng.choice(made)
        write = self._new_write()
        while self._spare and takes_from_others(write):
            write = self._new_write()
        if len(made) < POOL:
            made.append(write)
        else:
            made[rng.randrange(POOL)] = write
        return write

    def _new_write(self) -> bytes:
        rng = self.rng
        message = self.maker.message(rng.choice(WRITES)) if rng.random() < 0.99 else self._retain()
        message = self._varied(message)
        if rng.random() < 0.5:
            for _ in range(rng.randint(1, 3)):
                message = self._changed(message)
        return encode(message, rng, oddly=0.05 if rng.random() < 0.3 else 0.0)

    def message(self) -> bytes:
        """Return one encoded message of any verb."""
        if self.rng.random() < 0.7:
            return self.write()
        while True:
            message = self.maker.message() if self.rng.random() < 0.95 else self.maker.wrong()
            data = encode(message, self.rng, oddly=0.02)
            if not self._spare or not takes_from_others(data):
                return data

    def encoded_hello(self) -> bytes:
        """Return a HELLO that is let in."""
        hello = {**self.maker.hello(), "actor": OUTSIDER, "session": self.session()}
        return encode([v.HELLO, 1, hello], self.rng)

    def session(self) -> bytes | None:
        """Return a session's id, or None. One that has acknowledged everything for ever is soon left for another."""
        rng, sessions = self.rng, self.maker.sessions
        if rng.random() < 0.2:
            sessions[rng.randrange(len(sessions))] = rng.randbytes(16)
        return rng.choice((None, *sessions))

    def _retain(self) -> list[Any]:
        rng = self.rng
        self.maker.last += 1
        fields = [rng.choice((None, 50, 500)), rng.choice((None, 1000, 1 << 40)), rng.choice((None, None, 5))]
        return [v.RETAIN, self.maker.last, 0, *fields[: rng.randrange(4)]]

    def _varied(self, message: list[Any]) -> list[Any]:
        """Name what exists more often, and acknowledge less."""
        rng = self.rng
        if message[0] in (v.SET, v.NOP, v.GRANT) and rng.random() < 0.5:
            message[2] = rng.choice((0, max(0, message[1] - 5)))
        if message[0] == v.RETRY and rng.random() < 0.7:
            message = [*message[:3], rng.choice((0, 1, 100, 1 << 40, None))]
        return message

    # -- changes --------------------------------------------------------------------------------------

    def _place(self, message: list[Any]) -> int:
        return self.rng.randrange(len(message))

    def _changed(self, message: list[Any]) -> list[Any]:
        """Change one thing; hardly ever the verb or the id, which would be the last message of its connection."""
        head = 2 if self.rng.random() < 0.97 else 0
        return [*message[:head], *self.rng.choice(self._changes)(message[head:] or [0])]

    def _another_value(self, message: list[Any]) -> list[Any]:
        return self._put(message, self.maker.anything())

    def _an_integer(self, message: list[Any]) -> list[Any]:
        return self._put(message, self.rng.choice(INTEGERS))

    def _a_text(self, message: list[Any]) -> list[Any]:
        return self._put(message, self.rng.choice(TEXTS))

    def _raw(self, message: list[Any]) -> list[Any]:
        fatal = self.rng.random() < 0.03
        return self._put(message, Raw(self.rng.choice(FATAL if fatal else RAW)))

    def _put(self, message: list[Any], value: Any) -> list[Any]:
        place = self._place(message)
        return [*message[:place], value, *message[place + 1 :]]

    def _deeper(self, message: list[Any]) -> list[Any]:
        rng = self.rng
        head = rng.choice((b"\x91", b"\x91", b"\x81\xa1a", b"\xdc\x00\x01"))
        return self._put(
            message, Raw(head * rng.choice(DEPTHS) + rng.choice((b"\x90", b"\x80", b"\x00", b"\xa0")))
        )

    def _more(self, message: list[Any]) -> list[Any]:
        return [*message, *(self.maker.anything() for _ in range(self.rng.randint(1, 4)))]

    def _fewer(self, message: list[Any]) -> list[Any]:
        return message[: self.rng.randint(min(2, len(message)), len(message))]

    def _inside(self, message: list[Any]) -> list[Any]:
        """Change something within one of its lists: an operation, a guard, the write of a retry."""
        rng = self.rng
        lists = [place for place, field in enumerate(message) if type(field) is list and field]
        if not lists:
            return self._another_value(message)
        place = rng.choice(lists)
        return [*message[:place], rng.choice(self._changes)(list(message[place])), *message[place + 1 :]]


def takes_from_others(data: bytes) -> bool:
    """Tell whether a message could do what all may do, and others suffer from: also within a retry."""
    return any(_names(message) for message in Decoder(1 << 24).feed(data))


def _names(message: list[object]) -> bool:
    for _ in range(4):
        if not message or type(message[0]) is not int:
            return False
        if message[0] in TAKING or _speaks_of_all(message):
            return True
        inside = message[2] if message[0] == v.RETRY and len(message) > 2 else None
        if type(inside) is not list:
            return False
        message = inside
    return True


def _speaks_of_all(field: object, levels: int = 6) -> bool:
    """Tell whether the root is named: to delete or revert it changes what others are asked for."""
    if type(field) is list:
        return levels > 0 and any(_speaks_of_all(one, levels - 1) for one in field)
    return type(field) is str and field.strip("/*") == ""


def encode(value: Any, rng: Random, oddly: float = 0.0) -> bytes:
    """Return the encoding of a value; with a chance of `oddly`, each part of it longer than it need be.

    Numbers beyond 64 bits become the largest that there is.
    """
    outside = b""
    while type(value) is list and len(value) == 1:  # a thousand levels, perhaps
        outside, value = outside + b"\x91", value[0]
    return outside + _encode(value, rng, oddly)


def _encode(value: Any, rng: Random, oddly: float) -> bytes:
    if type(value) is Raw:
        return bytes(value)
    odd = oddly > 0.0 and rng.random() < oddly
    if type(value) in (list, tuple):
        return _head(len(value), 0x90, 16, b"\xdc", b"\xdd", odd) + b"".join(
            encode(one, rng, oddly) for one in value
        )
    if type(value) is dict:
        rows = b"".join(encode(key, rng, oddly) + encode(one, rng, oddly) for key, one in value.items())
        return _head(len(value), 0x80, 16, b"\xde", b"\xdf", odd) + rows
    if type(value) is str:
        data = value.encode("utf-8", "surrogatepass")
        return _head(len(data), 0xA0, 32, b"\xda", b"\xdb", odd) + data
    if type(value) in (bytes, bytearray):
        size = len(value)
        head = b"\xc4" + bytes([size]) if size < 256 and not odd else b"\xc6" + struct.pack(">I", size)
        return head + bytes(value)
    return _scalar(value, odd)


def _head(size: int, fix: int, few: int, two: bytes, four: bytes, odd: bool) -> bytes:
    if size < few and not odd:
        return bytes([fix | size])
    return two + struct.pack(">H", size) if size < 65_536 else four + struct.pack(">I", size)


def _scalar(value: Any, odd: bool) -> bytes:
    if value is None:
        return b"\xc0"
    if type(value) is bool:
        return b"\xc3" if value else b"\xc2"
    if type(value) is float:
        if odd and (math.isnan(value) or math.isinf(value) or abs(value) < 3e38):
            return b"\xca" + struct.pack(">f", value)
        return b"\xcb" + struct.pack(">d", value)
    if type(value) is int:
        if value >= 0:
            value = min(value, (1 << 64) - 1)
            return b"\xcf" + struct.pack(">Q", value) if odd or value > 127 else bytes([value])
        return b"\xd3" + struct.pack(">q", max(value, -(1 << 63)))
    return b"\xc0"  # an extension type: see FATAL


def paths() -> list[str]:
    """Return what the writes name: for whoever looks at what came of them."""
    return [*PATHS, *BRANCHES]
