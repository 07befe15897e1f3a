"""What a message may hold: a request that no server could read is refused before anything knows of it.

A server ends the connection over such a message, and the client would repeat it on the next one until its deadline,
with everything else that waits behind it. So the session asks here before it takes a request in.

    [GET, 7, "/a"]             nothing in it could be shaped wrongly
    [GET, 7, "/a", "\\udcff"]   Unsendable: '\\udcff' cannot be sent: U+DCFF at position 0 is half of a character
    [GET, 7, "/a", 2**70]      Unsendable: 1180591620717411303424 cannot be sent: whole numbers go from ...
"""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType
from typing import Any, Final

import msgpack

from visor._core.shown import shown
from visor.errors import TooLarge, Unsendable
from visor.protocol.frames import MAX_TOTAL_ELEMENTS

ELEMENTS: Final = 8192
"""Elements of one list in a message, as the protocol bounds them: twice what a transaction may hold."""
DEPTH: Final = 16
"""Levels of lists in a message: three times what the deepest one has."""

_PLAIN: Final = frozenset((int, str, bytes, bool, float, NoneType))
_KEYS: Final = frozenset((str, bytes))

plain = _PLAIN.issuperset
"""`plain(map(type, message))`: whether the message has nothing that could be shaped wrongly."""


def check_shape(message: Any) -> None:
    """Raise Unsendable or TooLarge unless a server reads a message of these lists and maps; it can be packed."""
    total = 0
    level = [message]
    for _ in range(DEPTH):
        inner: list[Any] = []
        for container in level:
            if len(container) > ELEMENTS:
                raise TooLarge(what="a list in a message", limit=ELEMENTS, actual=len(container))
            total += len(container)
            inner += [value for value in _values(container) if type(value) not in _PLAIN]
        if total > MAX_TOTAL_ELEMENTS:
            raise TooLarge(what="all lists of a message together", limit=MAX_TOTAL_ELEMENTS, actual=total)
        level = [value for value in inner if _is_container(value)]
        if not level:
            return
    raise Unsendable(what="a list", why=f"its lists are nested deeper than {DEPTH} levels")


def _is_container(value: Any) -> bool:
    if isinstance(value, msgpack.ExtType | msgpack.Timestamp):
        raise Unsendable(what=shown(value), why="no server knows extension types of msgpack")
    return isinstance(value, list | tuple | dict)


def _values(container: Any) -> Any:
    if not isinstance(container, dict):
        return container
    for key in container:
        if type(key) not in _KEYS:
            raise Unsendable(what=shown(container), why=f"a key must be text or bytes, not {shown(key)}")
    return container.values()


def unsendable(message: Any, error: Exception) -> Unsendable:
    """Return the error for a message that could not be packed: it names the value that was in the way."""
    for value in _leaves(message, DEPTH):
        why = _why(value)
        if why is not None:
            return Unsendable(what=shown(value), why=why)
    return Unsendable(what="the request", why=str(error) or type(error).__name__)


def _leaves(value: Any, depth: int) -> Iterator[Any]:
    if not isinstance(value, list | tuple | dict) or not depth:
        yield value
        return
    for inner in value:
        yield from _leaves(inner, depth - 1)
        if isinstance(value, dict):
            yield from _leaves(value[inner], depth - 1)


def _why(value: Any) -> str | None:
    """Return why this value alone cannot be packed; None when it can."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            found = ord(value[error.start])
            return f"U+{found:04X} at position {error.start} is half of a character, which no text has"
        return None
    if isinstance(value, int):
        return None if -(2**63) <= value < 2**64 else "whole numbers go from -2**63 to 2**64 - 1"
    if isinstance(value, list | tuple | dict):
        return f"its lists are nested deeper than {DEPTH} levels"
    if value is None or isinstance(value, float | bytes | bytearray | memoryview):
        return None
    return f"it is of type {type(value).__name__}, not text, bytes, a number, None, or a list of those"
