"""Between values and the bytes that the registry stores.

    client = visor.dial(codec=codecs.TEXT)              # every get and set of this client
    client.set("/config", {"a": 1}, codec=codecs.JSON)  # this one call

A codec is anything with `encode(value) -> bytes` and `decode(data) -> value`; the types follow, so
that `client.get("/n", codec=codecs.INT).value` is an int for a type checker as well. A `decode` that
raises becomes `visor.errors.DecodeError`, an `encode` that raises is the caller's own error.

What even operators must not read is sealed before it leaves the process (`sealed`).
"""

from __future__ import annotations

import json as _json
from collections.abc import Iterable, Mapping, Sequence
from operator import index as _index
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeAlias, TypeVar, overload

import msgpack as _msgpack

from visor._core.generic import J
from visor._core.shown import shown as _shown

if TYPE_CHECKING:
    from visor._core.sealing import Keyring, SealError

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


class SealedCodec(Generic[T]):
    """Another codec's bytes, encrypted with AES-256-GCM: `sealed` makes one.

    Equal values have different bytes each time, so `guard.value` cannot be used with it. What is pickled of it are
    the ids of its keys, never the keys: what arrives opens nothing.
    """

    __slots__ = ("_codec", "_keys", "_purpose")

    repeats = False
    """The same value has other bytes each time."""

    def __init__(self, keys: Keyring | tuple[str, ...], codec: Codec[T], purpose: str = "") -> None:
        self._keys = keys
        self._codec = codec
        self._purpose = purpose

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of its keys; the first is that of the key that it writes with."""
        return self._keys if isinstance(self._keys, tuple) else self._keys.ids

    @property
    def purpose(self) -> str:
        """What its values are sealed for; empty: for nothing in particular."""
        return self._purpose

    def at(self, purpose: str) -> SealedCodec[T]:
        """Return the same codec for values that are sealed for `purpose`, and for no others.

        Usually the path, whole, of the file that holds the value: who may write files but has no key could
        otherwise put a sealed value in another's place. `purpose` is at most 1024 bytes and stands in the stored
        bytes for all to see. TypeError, ValueError when it cannot be one.
        """
        from visor._core.sealing import checked_purpose

        return SealedCodec(self._keys, self._codec, checked_purpose(purpose))

    def encode(self, value: T, /) -> bytes:
        """Return the sealed value: longer by 39 bytes, the key's id and the purpose. Raises what its codec raises."""
        return self._ring().seal(self._codec.encode(value), self._purpose)

    def decode(self, data: bytes, /) -> T:
        """Return the value; SealError when it cannot be opened, or is not sealed."""
        return self._codec.decode(self._ring().open(data, self._purpose))

    def _ring(self) -> Keyring:
        if isinstance(self._keys, tuple):
            from visor._core.sealing import SealError

            raise SealError(
                f"this codec comes out of a pickle, where keys do not travel: sealed with {self._keys[0]} or another"
            )
        return self._keys

    def __getstate__(self) -> tuple[tuple[str, ...], Codec[T], str]:
        return self.key_ids, self._codec, self._purpose

    def __setstate__(self, state: tuple[tuple[str, ...], Codec[T], str]) -> None:
        self._keys, self._codec, self._purpose = state

    def __copy__(self) -> Self:
        return self  # immutable

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __repr__(self) -> str:
        purpose = f", at={self._purpose!r}" if self._purpose else ""
        return f"SealedCodec({self._codec!r}, keys {', '.join(self.key_ids)}{purpose})"


Keys: TypeAlias = bytes | Sequence[bytes] | Mapping[str, bytes]
"""A key of 32 random bytes; several; or several by their ids. The first is written with."""


@overload
def sealed(keys: Keys) -> SealedCodec[bytes]: ...
@overload
def sealed(keys: Keys, codec: Codec[T]) -> SealedCodec[T]: ...
def sealed(keys: Keys, codec: Codec[Any] = BYTES) -> SealedCodec[Any]:
    """Return `codec` with its bytes sealed: whoever has no key can neither read nor make such a value.

        secrets = codecs.sealed(codecs.read_keys("~/.config/shop/keys"), codecs.JSON)
        client.set("/shop/db", {"password": "..."}, codec=secrets.at("/shop/db"))

    Writes use the first key, reads take any of them: to change keys, put a new one in front everywhere, write the
    values again, and take the old one away. The id of the key stands in each value; a key that is given without one
    has an id made of its digest. Who sees the registry sees the ids, how long a value is and when it was written.

    A nonce is 96 random bits, so one key may seal 2**32 values: beyond, two with the same nonce become likely enough
    to matter, and would open both. Change keys long before; nothing here counts.

    Raises TypeError or ValueError for keys that are none (never showing one), ImportError without `cryptography`,
    which `visor-registry[sealed]` brings.
    """
    from visor._drivers.keyring import keyring

    return SealedCodec(keyring(keys), codec)


def read_keys(file: str) -> dict[str, bytes]:
    """Return the keys in a file, by their ids, the one to write with first.

    Each line has an id, a space and the key in 64 hex digits; empty lines and those that begin with # say nothing.
    (umask 077; echo "2026-11 $(openssl rand -hex 32)" > keys) makes one. ValueError, which shows no key, when it is
    no plain file of this user, others may read it (any mode but 0600 or 0400), or a line is not as it should be;
    OSError when it cannot be opened.
    """
    from visor._drivers.key_file import read

    return read(file)


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
    "Keys",
    "SealError",
    "SealedCodec",
    "read_keys",
    "sealed",
]


if not TYPE_CHECKING:  # or a checker would take any misspelt name for one that is made here

    def __getattr__(name):
        if name == "SealError":  # few programs seal, and the others shall not load it
            from visor._core.sealing import SealError

            return SealError
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
