"""The bytes of a sealed value: what stands in front of it, and AES-256-GCM, which `cryptography` brings.

    C1 "sealed"   7 bytes   no text in UTF-8 and no msgpack begins with C1, so that no other codec reads on
    1             1 byte    the format
    id            1 byte its length, then the id of the key, in ASCII
    purpose       2 bytes its length, then what the value was sealed for, in UTF-8; empty: nothing in particular
    nonce         12 bytes, random
    ciphertext    as long as the value, and 16 bytes of tag

Everything in front of the ciphertext is authenticated with it: no bit of it can be changed without the key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from visor._core.public import public
from visor._core.shown import shown

MARK: Final = b"\xc1sealed"
FORMAT: Final = 1
SECRET: Final = 32
"""Bytes of a key."""
NONCE: Final = 12
TAG: Final = 16
MOST_KEYS: Final = 64
MOST_PURPOSE: Final = 1024
"""Bytes of UTF-8: as long as a path may be."""
MOST_ID: Final = 32
_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MOST_ID - 1}}}", re.ASCII)

EXTRA: Final = "sealed values need the package cryptography: pip install 'visor-registry[sealed]'"


class SealError(ValueError):
    """A sealed value that cannot be opened; the text says why, and never holds a key or a value.

    `key_id` names the key that it was sealed with; None when that cannot be known.
    """

    def __init__(self, text: str, key_id: str | None = None) -> None:
        super().__init__(text)
        self.key_id = key_id

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.key_id)


class Sealing(NamedTuple):
    """What stands in front of a sealed value. Nothing of it is proven before the value is opened."""

    key_id: str
    purpose: str
    head: bytes
    """All bytes before the nonce."""
    nonce: bytes
    ciphertext: bytes


class _Cipher(Protocol):
    """What is used of `cryptography`'s AESGCM."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Return the ciphertext with its tag."""
        ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Return the value; raise InvalidTag."""
        ...


def is_sealed(data: bytes) -> bool:
    """Whether the bytes begin as a sealed value does."""
    return data.startswith(MARK)


def read_seal(data: bytes) -> Sealing:
    """Take a sealed value apart, without a key. SealError when it is none, cut short, or of another format."""
    if not is_sealed(data):
        raise SealError(f"this value is not sealed ({len(data)} bytes as they were written)")
    place = len(MARK) + 1
    if data[place - 1 : place] not in (b"", bytes((FORMAT,))):
        raise SealError(
            f"sealed in format {data[place - 1]}, and this version reads format {FORMAT}: use a newer visor"
        )
    name, place = _text(data, place, 1, "ascii")
    if _ID.fullmatch(name) is None:
        raise SealError(f"damaged: {shown(name)} cannot be the id of a key")
    purpose, place = _text(data, place, 2, "utf-8")
    if len(data) < place + NONCE + TAG:
        raise SealError(f"damaged: {len(data)} bytes are too few for a sealed value", name)
    nonce = data[place : place + NONCE]
    return Sealing(name, purpose, data[:place], nonce, data[place + NONCE :])


def _text(data: bytes, place: int, width: int, encoding: str) -> tuple[str, int]:
    """Return a text that stands behind its length, and where it ends."""
    length = int.from_bytes(data[place : place + width], "big")
    end = place + width + length
    if len(data) < end:
        raise SealError(f"damaged: {len(data)} bytes are too few for a sealed value")
    try:
        return data[place + width : end].decode(encoding), end
    except UnicodeDecodeError:
        raise SealError("damaged: what stands in front of the value is no text") from None


def checked_purpose(purpose: object) -> str:
    """Return the purpose; TypeError, ValueError when it cannot be one."""
    if not isinstance(purpose, str):
        raise TypeError(
            f"what a value is sealed for must be text, as a path is, not {type(purpose).__name__}"
        )
    size = len(purpose.encode())
    if size > MOST_PURPOSE:
        raise ValueError(f"what a value is sealed for must be at most {MOST_PURPOSE} bytes, not {size}")
    return purpose


def named_keys(keys: object) -> dict[str, bytes]:
    """Return keys by their ids, the one to write with first. TypeError, ValueError; neither ever holds a key."""
    named: dict[str, object]
    if isinstance(keys, Mapping):
        named = dict(keys)
    elif isinstance(keys, bytes):
        named = {_own_id(keys): keys}
    elif isinstance(keys, Sequence) and not isinstance(keys, str | bytearray | memoryview):
        named = {_own_id(key): key for key in keys}
        if len(named) < len(keys):
            raise ValueError("the same key is given twice")
    else:
        raise TypeError(
            f"keys must be a key ({SECRET} bytes), several, or a dict of them by id, not {type(keys).__name__}"
        )
    if not 0 < len(named) <= MOST_KEYS:
        raise ValueError(f"from 1 to {MOST_KEYS} keys are expected, not {len(named)}")
    return {_checked_id(name): _checked_key(name, key) for name, key in named.items()}


def _checked_id(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the id of a key must be text, not {type(name).__name__}")
    if _ID.fullmatch(name) is None:
        # The text is not repeated: who confuses the two sides of the dict has put a key here.
        raise ValueError(
            f"the id of a key must be 1 to {MOST_ID} letters, digits, '.', '-' and '_' "
            f"that begin with a letter or a digit; one of {len(name)} characters is not"
        )
    return name


def _checked_key(name: object, key: object) -> bytes:
    which = f"key {name!r}" if isinstance(name, str) and _ID.fullmatch(name) else "a key"
    if not isinstance(key, bytes):
        raise TypeError(f"{which} must be {SECRET} bytes, not {type(key).__name__}")
    if len(key) != SECRET:
        raise ValueError(f"{which} must be {SECRET} bytes (AES-256), not {len(key)}")
    return key


def _own_id(key: object) -> str:
    """Return the id of a key that was given none: some of its digest, which tells nothing of a random key."""
    import hashlib

    return "k" + hashlib.sha256(b"visor sealed key\0" + _checked_key(None, key)).hexdigest()[:12]


class Keyring:
    """Keys as ciphers: what can be used, and cannot be shown."""

    __slots__ = ("_ciphers", "_random", "ids")

    def __init__(self, keys: object, random: Callable[[int], bytes]) -> None:
        """Check and take the keys. ImportError, which names the extra, without `cryptography`.

        `random` gives so many bytes that nobody can foretell, anew each time.
        """
        named = named_keys(keys)
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError as error:
            raise ImportError(EXTRA, name="cryptography") from error
        self._random = random
        self._ciphers: dict[str, _Cipher] = {name: AESGCM(key) for name, key in named.items()}
        self.ids = tuple(named)

    def seal(self, data: bytes, purpose: str) -> bytes:
        """Return the value sealed with the first key."""
        name = self.ids[0]
        told, meant = name.encode("ascii"), purpose.encode()
        head = b"".join(
            (MARK, bytes((FORMAT, len(told))), told, len(meant).to_bytes(2, "big"), meant),
        )
        nonce = self._random(NONCE)
        return head + nonce + self._ciphers[name].encrypt(nonce, data, head)

    def open(self, data: bytes, purpose: str | None) -> bytes:
        """Return what was sealed for this purpose (None: for any). SealError."""
        seal = read_seal(data)
        cipher = self._ciphers.get(seal.key_id)
        if cipher is None:
            here = ", ".join(self.ids)
            raise SealError(f"sealed with key {seal.key_id}, which is not here (here: {here})", seal.key_id)
        if purpose is not None and purpose != seal.purpose:
            raise SealError(_meant_for_another(seal.purpose, purpose), seal.key_id)
        from cryptography.exceptions import InvalidTag

        try:
            return cipher.decrypt(seal.nonce, seal.ciphertext, seal.head)
        except InvalidTag:
            raise SealError(
                f"the seal is broken: the value was changed, or another key has the id {seal.key_id}",
                seal.key_id,
            ) from None


def _meant_for_another(found: str, expected: str) -> str:
    if not found:
        return f"sealed for nothing in particular, and {shown(expected)} was expected"
    if not expected:
        return f"sealed for {shown(found)}: open it with sealed(...).at({shown(found)})"
    return f"sealed for {shown(found)}, not for {shown(expected)}"


public("visor.codecs", SealError)
