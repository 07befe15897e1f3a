"""Requests as bytes, built before the clock starts.

A request is a head, which carries the id, and a tail, which is the same whenever the key is. Tails are
cut from what `visor.protocol` encodes; the ids in the head take five bytes each whatever they are, so
that joining head and tail costs one `struct` call:

    SET   95 1e  ce <id:4> ce <acked:4>  b8 "/v/r00/s000/k00000000007" c4 80 <128 bytes>
    GET   93 0a  ce <id:4>               b8 "/v/r00/s000/k00000000007"
          \\__________ head __________/   \\_________________ tail ________________/
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from typing import TypeAlias

from benchmarks.workload import Workload, key
from visor.protocol import verbs
from visor.protocol.frames import encode

Request: TypeAlias = tuple[int, bytes, bytes]
"""(first two bytes of the head as one number, tail, what the value that a get returns begins with).

The third is empty for a set."""

WRITE_HEAD = struct.Struct(">HBIBI")
READ_HEAD = struct.Struct(">HBI")
_OK_HEAD = struct.Struct(">BBBI")
UINT32 = 0xCE
"""msgpack's mark of a four-byte unsigned integer."""

PLANNED = 4096
"""Requests of one connection that are planned; after them the plan starts anew."""

FIRST_ID = 1 << 20
"""Ids begin high, so that they take five bytes in the answers too."""


def ok_head(ident: int) -> bytes:
    """Return the first seven bytes of the answer to request `ident`: `93 64 ce <id:4>`."""
    return _OK_HEAD.pack(0x93, verbs.OK, UINT32, ident)


def packed(request: Request, ident: int) -> bytes:
    """Return the request as it goes over the wire when it is the only one in flight."""
    start, tail, mark = request
    if mark:
        return READ_HEAD.pack(start, UINT32, ident) + tail
    return WRITE_HEAD.pack(start, UINT32, ident, UINT32, ident) + tail


def setting(work: Workload, number: int, turn: int = 0) -> Request:
    """Return a SET of key `number`."""
    whole = encode([verbs.SET, 0, 0, key(number), work.value(number, turn)])
    return int.from_bytes(whole[:2], "big"), whole[4:], b""


def getting(number: int, at: int | None = None) -> Request:
    """Return a GET of key `number`, at a rev or of the latest state."""
    whole = encode([verbs.GET, 0, key(number)] if at is None else [verbs.GET, 0, key(number), at])
    return int.from_bytes(whole[:2], "big"), whole[3:], number.to_bytes(8, "big")


def plans(kind: str, work: Workload, connections: int, at: int | None = None) -> list[Iterator[Request]]:
    """Return for each connection its endless order of requests; `kind` is get, set or mixed."""
    sets = [setting(work, n) for n in range(work.keys)] if kind != "get" else []
    gets = [getting(n, at) for n in range(work.keys)] if kind != "set" else []
    return [itertools.cycle(_planned(kind, work, client, sets, gets)) for client in range(connections)]


def _planned(
    kind: str, work: Workload, client: int, sets: list[Request], gets: list[Request]
) -> list[Request]:
    draw = work.draw(PLANNED, client)
    if kind == "mixed":
        writes = work.mix(PLANNED, client)
        return [(sets if write else gets)[n] for n, write in zip(draw, writes, strict=True)]
    chosen = {"get": gets, "set": sets}[kind]
    return [chosen[n] for n in draw]


def filling(work: Workload, count: int) -> Iterator[Request]:
    """Yield `count` SETs of the keys in order of their numbers, again and again with new values."""
    for position in range(count):
        turn, number = divmod(position, work.keys)
        yield setting(work, number, turn)


def example(kind: str) -> Request:
    """Return the one request that the echo of `kind` (get or set) is asked."""
    return setting(Workload(), 7) if kind == "set" else getting(7)


def example_bytes(kind: str) -> tuple[bytes, bytes]:
    """Return the bytes of that request and of its answer, as long as those that a node exchanges."""
    rev = FIRST_ID
    result = rev if kind == "set" else [rev, [rev, Workload().value(7), rev, 3, 0]]
    return packed(example(kind), FIRST_ID), encode([verbs.OK, FIRST_ID, result])
