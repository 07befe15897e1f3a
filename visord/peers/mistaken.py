"""Who answers, or dials, where a member was expected: told by the first bytes, so that people are told their mistake.

    what_answers(b"\\x93\\x78...")     a client's port: it speaks msgpack without frames, and says GOAWAY
    what_answers(b"HTTP/1.1 400 ")   health and metrics, or any other web server
    what_dials(b"\\x93\\x01...")       a client: its HELLO

All of these would be frames of hundreds of megabytes, which no handshake has: a member is never taken for one of them.
"""

from __future__ import annotations

import time
from typing import Any, Final

import msgpack

from visor._core.tls_faults import is_of_tls, told
from visor.protocol import verbs

CLIENT_PORT: Final = (
    "that is a client (not a peer) address: give what a member has as peers.listen (or peers.advertise)"
)
HTTP_PORT: Final = "that is a web server, as listen.http (health and metrics) is, not a peer address"
TLS_PORT: Final = "TLS is spoken there: set peers.tls_cert, peers.tls_key and peers.tls_ca here, too"
FOR_CLIENTS: Final = (
    "this is the port where the members of a cluster connect (peers.listen); clients connect to listen.client"
)
WHO_ANSWERS: Final = "the other node"
WHO_DIALS: Final = "the dialler"
_TLS_ALERT: Final = b"\x15\x03"
_FIRST_OF_ARRAY: Final = range(0x90, 0xA0)
MOST: Final = 4096
"""Bytes that are looked at."""


def what_answers(data: bytes) -> str | None:
    """Return what it is that sent these bytes first to a member that dialled it; None when that cannot be told."""
    if data.startswith(b"HTTP/"):
        return HTTP_PORT
    if data.startswith(_TLS_ALERT):
        return TLS_PORT
    return CLIENT_PORT if _first_word(data) in (verbs.GOAWAY, verbs.ERROR, verbs.OK) else None


def tls_problem(error: BaseException, other: str) -> str:
    """Return what kept TLS from coming about, in words."""
    if not is_of_tls(error):
        return (
            str(error) or f"{other} hung up while TLS shook hands: is its peers.tls_ca right, and its clock?"
        )
    return told(error, other, time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), " (peers.tls_ca)")


def what_dials(data: bytes) -> bytes | None:
    """Return what to answer a client that dialled a peers' port; None when it is no client."""
    if _first_word(data) != verbs.HELLO:
        return None
    return bytes(msgpack.packb([verbs.GOAWAY, "unsupported", FOR_CLIENTS]))


def _first_word(data: bytes) -> int | None:
    """Return the integer that begins an array of msgpack."""
    if not data or data[0] not in _FIRST_OF_ARRAY:
        return None
    unpacker: Any = msgpack.Unpacker(max_buffer_size=MOST)
    unpacker.feed(data[:MOST])
    try:
        unpacker.read_array_header()
        word = unpacker.unpack()
    except Exception:  # the decoder raises many kinds; each means that this is no message
        return None
    return word if type(word) is int else None
