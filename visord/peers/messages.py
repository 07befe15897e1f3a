"""What members say to each other: msgpack arrays `[kind, ...]`, and the check that they are what they should be.

    APPEND    [1, term, prev_index, prev_term, commit, seq, [[term, command], ...]]   entries from prev_index + 1 on
    POSITION  [2, term, next, reset, success, seq]                                    the answer
    VOTE      [3, term, last_index, last_term, transfer]     VOTED     [4, term]
    PREVOTE   [5, term, last_index, last_term]               PREVOTED  [6, term, granted, own term]
    ROUND     [7, term, number]                              ROUNDED   [8, term, number]
    TIMEOUT_NOW [9, term]
    INSTALL   [10, term, first_index, first_term, seq]     "what you need I have no more: fetch a checkpoint"
    FORWARD   [20, [[write group id, session, actor, frames, owner], ...]]
    PLACED    [21, [[write group id, index, term, position], ...]]
    REFUSED   [22, [write group id, ...], code, text, details]
    READ_INDEX [23, id]                        READ_AT   [24, id, index or nil]
    KEEP      [25, id, verb, arguments]        KEPT      [26, id, ok, result or [code, text, details]]
    CALL      [27, id, action, arguments]      RESULT    [28, id, ok, result]
    OFFER     [30, id]                         OFFERED   [31, id, offer or nil]
    FETCH     [32, id, offer, file, offset, size]        CHUNK     [33, id, bytes or nil]
    WHO       [40]  ->  IS [41, cluster, member]             questions of nodes that are no members yet
    JOIN      [42, member, name, peer address, client address, wants a vote]  ->  JOINED [43, ok, result]
    HASH      [34, id, rev]                    HASHED    [35, id, rev, digest or nil, why]
    VERDICT   [37, rev, digest of the majority or nil, [who differs, ...]]
    GONE      [36, configuration]              to a member that is not in it any more

Ids of questions begin at a random number in each life of a process: an answer may be so late that it finds the next
life, which must not take it for one to a question of its own.

`seq` numbers a leader's messages to one member within its term; an answer repeats it. A message whose fields have other
types than these is dropped and counted: a member with a defect must not be able to harm another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgpack

APPEND: Final = 1
POSITION: Final = 2
VOTE: Final = 3
VOTED: Final = 4
PREVOTE: Final = 5
PREVOTED: Final = 6
ROUND: Final = 7
ROUNDED: Final = 8
TIMEOUT_NOW: Final = 9
INSTALL: Final = 10
LAST_OF_RAFT: Final = 19
FORWARD: Final = 20
PLACED: Final = 21
REFUSED: Final = 22
READ_INDEX: Final = 23
READ_AT: Final = 24
KEEP: Final = 25
KEPT: Final = 26
CALL: Final = 27
RESULT: Final = 28
OFFER: Final = 30
OFFERED: Final = 31
FETCH: Final = 32
CHUNK: Final = 33
HASH: Final = 34
HASHED: Final = 35
GONE: Final = 36
VERDICT: Final = 37
WHO: Final = 40
IS: Final = 41
JOIN: Final = 42
JOINED: Final = 43

_FIELDS: Final[dict[int, tuple[type, ...]]] = {
    APPEND: (int, int, int, int, int, list),
    POSITION: (int, int, bool, bool, int),
    VOTE: (int, int, int, bool),
    VOTED: (int,),
    PREVOTE: (int, int, int),
    PREVOTED: (int, bool, int),
    ROUND: (int, int),
    ROUNDED: (int, int),
    TIMEOUT_NOW: (int,),
    INSTALL: (int, int, int, int),
    FORWARD: (list,),
    PLACED: (list,),
    REFUSED: (list, str, str, dict),
    READ_INDEX: (int,),
    READ_AT: (int, object),
    KEEP: (int, int, list),
    KEPT: (int, bool, object),
    CALL: (int, str, list),
    RESULT: (int, bool, object),
    OFFER: (int,),
    OFFERED: (int, object),
    FETCH: (int, object, str, int, int),
    CHUNK: (int, object),
    HASH: (int, int),
    HASHED: (int, int, object, str),
    GONE: (bytes,),
    VERDICT: (int, object, list),
    WHO: (),
    IS: (str, str),
    JOIN: (str, str, str, str, bool),
    JOINED: (bool, object),
}


def pack(message: list[Any] | tuple[Any, ...]) -> bytes:
    """Return the bytes of a message."""
    data: bytes = msgpack.packb(message, use_bin_type=True)
    return data


def pack_entries(entries: Sequence[tuple[bytes, int, int]]) -> bytes:
    """Return the bytes of APPEND's last field, for entries (command, index, term)."""
    return pack([[term, command] for command, _, term in entries])


def pack_append(term: int, previous: int, previous_term: int, commit: int, seq: int, entries: bytes) -> bytes:
    """Return an APPEND around entries that were packed once for all members."""
    head = pack((APPEND, term, previous, previous_term, commit, seq, 0))
    return head[:-1] + entries  # in the place of the 0, which takes one byte


def well_formed(message: list[Any]) -> bool:
    """Tell whether a message has the fields of its kind. Unknown kinds, of later versions, have not."""
    kinds = _FIELDS.get(message[0])
    if kinds is None or len(message) <= len(kinds):
        return False
    for field, kind in zip(message[1:], kinds, strict=False):
        if kind is not object and type(field) is not kind:
            return False
        if kind is int and field < 0:
            return False
    return message[0] != APPEND or _entries(message[6])


def _entries(entries: list[Any]) -> bool:
    for entry in entries:
        if (
            type(entry) is not list
            or len(entry) != 2
            or type(entry[0]) is not int
            or type(entry[1]) is not bytes
            or not entry[1]
        ):
            return False
    return True
