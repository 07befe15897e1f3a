"""How a token is written: what proves a user, and can be told from everything else, also by a scanner of files.

    vis_k3x9q2mv7a_m5...52 letters and digits...q7abcde

    vis       what it is
    k3x9...   its id: names it in lists and logs, and is no secret
    m5...q7   32 random bytes, the secret
    abcde..   a checksum of all before it: a token that was cut or mistyped is known as such before anybody is asked

A token to join says first by what the cluster is known, so that a machine that has nothing else can tell it:

    visj_7f3a...52 letters and digits..._k3x9q2mv7a_m5...q7abcde

The registry keeps `digest(secret)` alone. Whoever makes a token makes the secret, and sends nothing but the digest.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from typing import Final, NamedTuple

SECRET: Final = 32
"""Bytes of a secret."""
NUMBER: Final = 6
"""Bytes of an id: ten characters."""
LENGTH: Final = 4 + 10 + 1 + 52 + 7

JOIN_LENGTH: Final = 5 + 52 + 1 + 10 + 1 + 52 + 7

_WRITTEN: Final = re.compile(r"vis_([a-z2-7]{10})_([a-z2-7]{52})([a-z2-7]{7})")
_TO_JOIN: Final = re.compile(r"visj_([a-z2-7]{52})_([a-z2-7]{10})_([a-z2-7]{52})([a-z2-7]{7})")


class Token(NamedTuple):
    """A token, read."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"<token {self.id}>"


class JoinToken(NamedTuple):
    """A token to join, read."""

    authority: bytes
    """The SHA-256 of the certificate of the cluster's authority."""
    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"<token to join {self.id}>"


def write(number: bytes, secret: bytes) -> str:
    """Return the token of an id (`NUMBER` random bytes) and a secret (`SECRET` random bytes)."""
    if len(number) != NUMBER or len(secret) != SECRET:
        raise ValueError(f"a token has {NUMBER} bytes of id and {SECRET} of secret")
    text = f"vis_{_letters(number)}_{_letters(secret)}"
    return text + _checksum(text)


def read(text: str) -> Token | None:
    """Return what a text says that is a token; None when it is none, or was cut or mistyped."""
    found = _WRITTEN.fullmatch(text) if len(text) == LENGTH else None
    if found is None or _checksum(text[:-7]) != found[3]:
        return None
    secret = _bytes(found[2])
    return Token(found[1], secret) if _letters(secret) == found[2] else None


def write_join(authority: bytes, number: bytes, secret: bytes) -> str:
    """Return the token to join a cluster whose authority is known by this digest."""
    if len(authority) != SECRET or len(number) != NUMBER or len(secret) != SECRET:
        raise ValueError(
            f"a token to join has {SECRET} bytes of digest, {NUMBER} of id and {SECRET} of secret"
        )
    text = f"visj_{_letters(authority)}_{_letters(number)}_{_letters(secret)}"
    return text + _checksum(text)


def read_join(text: str) -> JoinToken | None:
    """Return what a text says that is a token to join; None when it is none, or was cut or mistyped."""
    found = _TO_JOIN.fullmatch(text) if len(text) == JOIN_LENGTH else None
    if found is None or _checksum(text[:-7]) != found[4]:
        return None
    authority, secret = _bytes(found[1]), _bytes(found[3])
    if (_letters(authority), _letters(secret)) != (found[1], found[3]):
        return None
    return JoinToken(authority, found[2], secret)


def digest(secret: bytes) -> bytes:
    """Return what the registry keeps of a secret: 32 bytes (SHA-256; a secret of 32 random bytes needs no slow one)."""
    return hashlib.sha256(secret).digest()


def _letters(data: bytes) -> str:
    return base64.b32encode(data).decode("ascii").rstrip("=").lower()


def _bytes(letters: str) -> bytes:
    return base64.b32decode(f"{letters.upper()}====")


def _checksum(text: str) -> str:
    return _letters(zlib.crc32(text.encode("ascii")).to_bytes(4, "big"))
