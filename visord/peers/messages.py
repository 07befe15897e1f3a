"""What members say to each other: msgpack arrays `[kind, ...]`, and the check that they are what they should be.

    APPEND    [1, term, prev_index, prev_term, commit, seq, [[term, command], ...]]   entries from prev_index + 1 on
    POSITION  [2, term, next, reset, success, seq]                                    the answer
    VOTE      [3, term, last_index, last_term, transfer]     VOTED     [4, term]
    PREVOTE   [5, term, last_index, last_term]               PREVOTED  [6, term, granted, own term]
    ROUND     [7, term, number]                              ROUNDED   [8, term, number]
    TIMEOUT_NOW [9, term]
    INSTALL   [10, term, first_index, first_term, seq]     "what you need I have no more: fetch a checkpoint"
    FORWARD   [20, [[batch id, session, actor, frames, owner], ...]]     without owner: of the older version
    PLACED    [21, [[batch id, index, term, position], ...]]
    REFUSED   [22, [batch id, ...], code, text, details]
    READ_INDEX [23, id]                        READ_AT   [24, id, index or nil]
    KEEP      [25, id, verb, arguments]        KEPT      [26, id, ok, result or [code, text, details]]
    CALL      [27, id, action, arguments]      RESULT    [28, id, ok, result]
    OFFER     [30, id]                         OFFERED   [31, id, offer or nil]
    FETCH     [32, id, offer, file, offset, size]        CHUNK     [33, id, bytes or nil]
    WHO       [40]  ->  IS [41, cluster, member]             questions of nodes that are no members yet
    JOIN      [42, member, name, peer address, client address, wants a vote]  ->  JOINED [43, ok, result]
    HASH      [34, id, index, rev or nil]      HASHED    [35, id, index, rev or nil, digest or nil, why]
    VERDICT   [37, index, rev, what the majority holds or nil, [who differs, ...]]
    DIGEST    [46, id, index, rev or nil]      TOLD      [47, id, what was told or nil]
    ENROL     [48, id, what, arguments]        ENROLLED  [49, id, ok, result or [code, text, details]]
    KEY       [50, id]                         KEY_IS    [51, id, PEM or nil]
    SAMPLE      [38, id, index, first rev, path or nil, path or nil]  ->  SAMPLED [39, id, index, sample or nil, why]
    WHO_VOTES [44, id]                         VOTERS    [45, id, [who votes, ...]]
    GONE      [36, configuration]              to a member that is not in it any more

Ids of questions begin at a random number in each life of a process: an answer may be so late that it finds the next
life, which must not take it for one to a question of its own.

`seq` numbers a leader's messages to one member within its term; an answer repeats it.

To be a member is no licence: `well_formed` judges a whole message before anything acts on it. Every integer has a
range (terms and indexes below 2**62, so that what is stored or added to them always fits 64 bits), every text and every
list a length and elements of one form, and what belongs together must fit: the terms of entries never fall and are none
later than their leader's. What becomes of a message that is none: `members/conduct.py`. Who may say what:
`members/standing.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

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
SAMPLE: Final = 38
SAMPLED: Final = 39
WHO: Final = 40
IS: Final = 41
JOIN: Final = 42
JOINED: Final = 43
WHO_VOTES: Final = 44
VOTERS: Final = 45
DIGEST: Final = 46
TOLD: Final = 47
ENROL: Final = 48
ENROLLED: Final = 49
KEY: Final = 50
KEY_IS: Final = 51

LIMIT: Final = 1 << 62
"""Above all terms, indexes and revs: no cluster gets there, and what is added to them stays below 2**64."""
MAX_NUMBER: Final = 1 << 63
"""Above the numbers of questions and of a leader's messages."""
SHORT: Final = 512
"""Characters of a name, an address, a digest or a code."""
LONG: Final = 4096
"""Characters of a text for people."""
MAX_ROWS: Final = 65_536
"""Rows of a list about batches of writes."""
MAX_ARGUMENTS: Final = 8
MAX_LEVELS: Final = 16
"""Levels of lists and maps in a field that may be anything: what a client may nest."""
MAX_PIECE: Final = 16 << 20
"""Bytes of a piece of a checkpoint."""
MAX_FILE: Final = 1 << 48
"""Bytes of a file of a checkpoint."""
MAX_PAPER: Final = 32 << 10
"""Bytes or characters of a certificate, a request or another argument about them."""
MAX_DIFFERING: Final = 1024
MAX_VOTERS: Final = 128
"""Of two configurations."""
MAX_CONFIGURATION: Final = 4 << 20
"""Bytes of a configuration: it names all members that were ever removed."""

Check: TypeAlias = Callable[[Any], bool]
"""Tells whether a field can be what it should be."""

Handler: TypeAlias = Callable[[str, list[Any]], None]
"""Takes a well-formed message of one kind: (member, message)."""


def _index(field: Any) -> bool:
    return type(field) is int and 0 <= field < LIMIT


def _number(field: Any) -> bool:
    return type(field) is int and 0 <= field < MAX_NUMBER


def _verb(field: Any) -> bool:
    return type(field) is int and 0 <= field < 256


def _flag(field: Any) -> bool:
    return type(field) is bool


def _short(field: Any) -> bool:
    return type(field) is str and len(field) <= SHORT


def _long(field: Any) -> bool:
    return type(field) is str and len(field) <= LONG


def shallow(field: Any, levels: int = MAX_LEVELS) -> bool:
    """Tell whether a value has at most so many levels of lists and maps: it can be packed again wherever it goes."""
    if type(field) is list:
        return levels > 0 and all(shallow(one, levels - 1) for one in field)
    if type(field) is dict:
        return levels > 0 and all(shallow(one, levels - 1) for one in field.values())
    return True


def _details(field: Any) -> bool:
    if type(field) is not dict or len(field) > MAX_ARGUMENTS:
        return False
    return all(type(key) is str for key in field) and shallow(field)


def _configuration(field: Any) -> bool:
    return type(field) is bytes and 0 < len(field) <= MAX_CONFIGURATION


def _piece(field: Any) -> bool:
    return field is None or (type(field) is bytes and len(field) <= MAX_PIECE)


def _offset(field: Any) -> bool:
    return type(field) is int and 0 <= field <= MAX_FILE


def _size(field: Any) -> bool:
    return type(field) is int and 0 < field <= MAX_PIECE


def _or_nil(check: Check) -> Check:
    return lambda field: field is None or check(field)


def _list(check: Check, most: int) -> Check:
    return lambda field: type(field) is list and len(field) <= most and all(map(check, field))


def _groups(field: Any) -> bool:
    """[[id, ...], ...]: `members/forwarding.py` judges what follows, and answers who sent what no client can write."""
    if type(field) is not list or len(field) > MAX_ROWS:
        return False
    for row in field:
        if type(row) is not list or not 0 < len(row) <= MAX_ARGUMENTS:
            return False
        if type(row[0]) is not int or not 0 <= row[0] < MAX_NUMBER:
            return False
    return True


def _places(field: Any) -> bool:
    """[[id, index, term, position], ...]."""
    if type(field) is not list or len(field) > MAX_ROWS:
        return False
    for row in field:
        if type(row) is not list or len(row) != 4:
            return False
        number, index, term, position = row
        if not (type(number) is type(index) is type(term) is type(position) is int):
            return False
        if not (0 <= number < MAX_NUMBER and 0 < index < LIMIT):
            return False
        if not (0 < term < LIMIT and 0 <= position < MAX_ROWS):
            return False
    return True


def _scalar(field: Any) -> bool:
    """What an argument may be; `members/actions.py` knows which."""
    return field is None or type(field) is bool or _short(field) or _number(field)


def _lease_arguments(field: Any) -> bool:
    return type(field) is list and len(field) <= MAX_ARGUMENTS and shallow(field)


def _key(field: Any) -> bool:
    return field is None or (type(field) is bytes and len(field) <= MAX_PAPER)


def _paper(field: Any) -> bool:
    """An argument about certificates; `authority/office.py` knows which."""
    if type(field) is list:
        return len(field) <= MAX_ARGUMENTS * 2 and all(map(_short, field))
    return type(field) in (str, bytes) and len(field) <= MAX_PAPER


_ENTRIES: Final[Check] = lambda field: type(field) is list  # noqa: E731 - `_append` looks into it

_FIELDS: Final[dict[int, tuple[Check, ...]]] = {
    APPEND: (_index, _index, _index, _index, _number, _ENTRIES),
    POSITION: (_index, _index, _flag, _flag, _number),
    VOTE: (_index, _index, _index, _flag),
    VOTED: (_index,),
    PREVOTE: (_index, _index, _index),
    PREVOTED: (_index, _flag, _index),
    ROUND: (_index, _number),
    ROUNDED: (_index, _number),
    TIMEOUT_NOW: (_index,),
    INSTALL: (_index, _index, _index, _number),
    FORWARD: (_groups,),
    PLACED: (_places,),
    REFUSED: (_list(_number, MAX_ROWS), _short, _long, _details),
    READ_INDEX: (_number,),
    READ_AT: (_number, _or_nil(_index)),
    KEEP: (_number, _verb, _lease_arguments),
    KEPT: (_number, _flag, shallow),
    CALL: (_number, _short, _list(_scalar, MAX_ARGUMENTS)),
    RESULT: (_number, _flag, shallow),
    OFFER: (_number,),
    OFFERED: (_number, shallow),
    FETCH: (_number, shallow, _short, _offset, _size),
    CHUNK: (_number, _piece),
    HASH: (_number, _index, _or_nil(_index)),
    HASHED: (_number, _index, _or_nil(_index), _or_nil(_short), _long),
    SAMPLE: (_number, _index, _index, _or_nil(_long), _or_nil(_long)),
    SAMPLED: (_number, _index, _or_nil(_short), _long),
    GONE: (_configuration,),
    VERDICT: (_index, _index, _or_nil(_short), _list(_short, MAX_DIFFERING)),
    DIGEST: (_number, _index, _or_nil(_index)),
    TOLD: (_number, _or_nil(_short)),
    ENROL: (_number, _short, _list(_paper, MAX_ARGUMENTS)),
    ENROLLED: (_number, _flag, shallow),
    KEY: (_number,),
    KEY_IS: (_number, _key),
    WHO_VOTES: (_number,),
    VOTERS: (_number, _list(_short, MAX_VOTERS)),
    WHO: (),
    IS: (_short, _short),
    JOIN: (_short, _short, _short, _short, _flag),
    JOINED: (_flag, shallow),
}

KINDS: Final = frozenset(_FIELDS)


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
    """Tell whether a message is one, as a whole. Unknown kinds, of later versions, are none."""
    kind = message[0]
    if kind not in _FIELDS:
        return False
    checks = _FIELDS[kind]
    if len(message) <= len(checks):
        return False
    for place, check in enumerate(checks, 1):
        if not check(message[place]):
            return False
    judge = _SENSE.get(kind)
    return judge is None or judge(message)


def earlier(message: list[Any]) -> bool:
    """Tell whether this is what a leader of the older version says: HASH [34, id, rev], or
    VERDICT [37, rev, digest or nil, [who differs, ...]]. It is no fault; see `members/formats.py`."""
    if message[0] == HASH:
        return len(message) == 3 and _number(message[1]) and _index(message[2])
    return message[0] == VERDICT and len(message) == 4 and _index(message[1]) and type(message[3]) is list


def _append(message: list[Any]) -> bool:
    """Entries follow each other, and Raft's terms never fall: previous, entries, leader."""
    _, term, previous, last_term, _, _, entries = message[:7]
    if last_term > term or previous + len(entries) >= LIMIT:
        return False
    for entry in entries:
        if type(entry) is not list or len(entry) != 2:
            return False
        entry_term, command = entry
        if type(entry_term) is not int or not last_term <= entry_term <= term or not entry_term:
            return False
        if type(command) is not bytes or not command:
            return False
        last_term = entry_term
    return True


def _position(message: list[Any]) -> bool:
    """Who acknowledges has something: the first entry has index 1."""
    return message[2] > 0 or not message[4]


def _candidate(message: list[Any]) -> bool:
    """No member stands in a term before that of its last entry, or in none."""
    return bool(message[3] <= message[1]) and message[1] > 0


def _install(message: list[Any]) -> bool:
    return bool(message[3] <= message[1])


def _refusal(message: list[Any]) -> bool:
    """A result is [code, text, details] where it is none."""
    return bool(message[2]) or refusal_like(message[3])


def _joined(message: list[Any]) -> bool:
    return bool(message[1]) or refusal_like(message[2])


def refusal_like(result: Any) -> bool:
    """Tell whether this is [code, text, details]."""
    return (
        type(result) is list
        and len(result) == 3
        and _short(result[0])
        and _long(result[1])
        and _details(result[2])
    )


_SENSE: Final[dict[int, Callable[[list[Any]], bool]]] = {
    APPEND: _append,
    POSITION: _position,
    VOTE: _candidate,
    PREVOTE: _candidate,
    INSTALL: _install,
    KEPT: _refusal,
    ENROLLED: _refusal,
    RESULT: _refusal,
    JOINED: _joined,
}
