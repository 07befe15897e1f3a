"""Between values and the bytes that the registry stores.

    client = visor.dial(codec=codecs.TEXT)              # every get and set of this client
    client.set("/config", {"a": 1}, codec=codecs.JSON)  # this one call

A codec is anything with `encode(value) -> bytes` and `decode(data) -> value`; the types follow, so
that `client.get("/n", codec=codecs.INT).value` is an int for a type checker as well. A `decode` that
raises becomes `visor.errors.DecodeError`, an `encode` that raises is the caller's own error.
"""

from __future__ import annotations

import json as _json
from collections.abc import Iterable, Sequence
from operator import index as _index
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import msgpack as _msgpack

from visor._core.generic import J
from visor._core.shown import shown as _shown

T = TypeVar("T")

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""What JSON can say."""

Packed: TypeAlias = "bool | int | float | str | bytes | list[Packed] | dict[str, Packed] | None"
"""What msgpack can say, with text as the keys of maps."""


class Codec(Protocol[T]):
    """Turns a value into bytes and back; `decode(encode(value))` must equal `value`."""

    def encode(self, value: T, /) -> bytes:
        """Return what the registry stores."""
        ...

    def decode(self, data: bytes, /) -> T:
        """Return the value; raise whatever fits when `data` is not one."""
        ...


def _unfit(expected: str, value: object, why: object = "") -> str:
    because = f" ({why})" if str(why) else ""
    return f"a value must be {expected}, not {type(value).__name__}{because}: pass another codec for anything else"


def _whole(value: object, expected: str) -> bytes:
    """Return the digits of a whole number. TypeError, ValueError for one of too many digits."""
    try:
        return b"%d" % _index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(_unfit(expected, value)) from None
    except ValueError:
        raise ValueError(
            "a number has too many digits to be written in decimal: pass another codec"
        ) from None


def _several(value: object, expected: str) -> list[object]:
    """Return the members of a value that is several. TypeError, also for a text, whose members are characters."""
    if isinstance(value, str | bytes | bytearray) or not isinstance(value, Iterable):
        raise TypeError(_unfit(expected, value))
    return list(value)


class BytesCodec:
    """The bytes as they are: the default."""

    def encode(self, value: bytes, /) -> bytes:
        """Return `value`; bytearray and memoryview are accepted too."""
        if type(value) is bytes:
            return value
        if not isinstance(value, bytes | bytearray | memoryview):
            raise TypeError(
                f"a value must be bytes, not {type(value).__name__}: pass a codec for anything else"
            )
        return bytes(value)

    def decode(self, data: bytes, /) -> bytes:
        """Return `data`."""
        return data

    def __repr__(self) -> str:
        return "BytesCodec()"


class TextCodec:
    """Text as UTF-8."""

    def encode(self, value: str, /) -> bytes:
        """Return `value` in UTF-8; TypeError for what is no text, ValueError for half of a character."""
        if not isinstance(value, str):
            raise TypeError(_unfit("text", value))
        return value.encode()

    def decode(self, data: bytes, /) -> str:
        """Return the text; ValueError when `data` is not UTF-8."""
        return data.decode()

    def __repr__(self) -> str:
        return "TextCodec()"


class IntCodec:
    """A whole number in decimal digits, as shell scripts write it."""

    def encode(self, value: int, /) -> bytes:
        """Return the digits of `value`; TypeError for what is no whole number."""
        return _whole(value, "a whole number")

    def decode(self, data: bytes, /) -> int:
        """Return the number; blanks around it are ignored; ValueError for anything else."""
        return int(data)

    def __repr__(self) -> str:
        return "IntCodec()"


class ListCodec:
    """Words with one space between them; an empty file is the empty list."""

    def encode(self, value: Sequence[str], /) -> bytes:
        """Return the words joined; ValueError for a word that is empty or has a blank inside, TypeError for no list."""
        words = _several(value, "a list of words")
        for word in words:
            if not isinstance(word, str):
                raise TypeError(_unfit("a list of words", value, f"it has {_shown(word)} in it"))
            if not word or word.split() != [word]:
                raise ValueError(f"a word of a list must be non-empty and without blanks, not {word!r}")
        return " ".join(map(str, words)).encode()

    def decode(self, data: bytes, /) -> list[str]:
        """Return the words; blanks at the ends and runs of blanks separate like one."""
        return data.decode().split()

    def __repr__(self) -> str:
        return "ListCodec()"


class IntListCodec:
    """Whole numbers with one space between them; an empty file is the empty list."""

    def encode(self, value: Sequence[int], /) -> bytes:
        """Return the numbers joined; TypeError for what is no list of whole numbers."""
        expected = "a list of whole numbers"
        return b" ".join(_whole(number, expected) for number in _several(value, expected))

    def decode(self, data: bytes, /) -> list[int]:
        """Return the numbers; ValueError when one is not."""
        return [int(word) for word in data.split()]

    def __repr__(self) -> str:
        return "IntListCodec()"


class JsonCodec(Generic[J]):
    """A JSON document: compact, keys sorted, so that equal values have equal bytes.

    `JSON` has values that a type checker lets one use freely, as `json.loads` gives them. A program that knows more
    says so, and is checked: `JsonCodec[Settings]()` with a TypedDict, or `JsonCodec[Json]()` for whatever JSON can
    say. Nothing is checked at run time.
    """

    def encode(self, value: J, /) -> bytes:
        """Return the document; TypeError for what JSON cannot say, ValueError for NaN."""
        try:
            text = _json.dumps(
                value, separators=(",", ":"), sort_keys=True, ensure_ascii=False, allow_nan=False
            )
        except TypeError as error:
            raise TypeError(_unfit("what JSON can say", value, error)) from None
        except (ValueError, RecursionError) as error:
            raise ValueError(_unfit("what JSON can say", value, error)) from None
        return text.encode()

    def decode(self, data: bytes, /) -> J:
        """Return the value; ValueError when `data` is not JSON."""
        value: J = _json.loads(data)
        return value

    def __repr__(self) -> str:
        return "JsonCodec()"


class MsgpackCodec(Generic[J]):
    """A msgpack value; its type is as that of `JsonCodec`, with `Packed` for whatever msgpack can say."""

    def encode(self, value: J, /) -> bytes:
        """Return the packed value; TypeError for what msgpack cannot say, ValueError for a number that is too long."""
        try:
            data: bytes = _msgpack.packb(value, use_bin_type=True)
        except TypeError as error:
            raise TypeError(_unfit("what msgpack can say", value, error)) from None
        except (ValueError, OverflowError) as error:
            raise ValueError(_unfit("what msgpack can say", value, error)) from None
        return data

    def decode(self, data: bytes, /) -> J:
        """Return the value; ValueError when `data` is not exactly one msgpack value."""
        value: J = _msgpack.unpackb(data, raw=False, strict_map_key=False)
        return value

    def __repr__(self) -> str:
        return "MsgpackCodec()"


BYTES = BytesCodec()
TEXT = TextCodec()
INT = IntCodec()
LIST = ListCodec()
INTS = IntListCodec()
JSON: JsonCodec[Any] = JsonCodec()
MSGPACK: MsgpackCodec[Any] = MsgpackCodec()


__all__ = [
    "Codec",
    "BYTES",
    "TEXT",
    "INT",
    "LIST",
    "INTS",
    "JSON",
    "MSGPACK",
    "Json",
    "Packed",
    "BytesCodec",
    "TextCodec",
    "IntCodec",
    "ListCodec",
    "IntListCodec",
    "JsonCodec",
    "MsgpackCodec",
]


def __dir__() -> list[str]:
    return sorted(__all__)
