"""The verbs' names, for hooks and messages."""

from __future__ import annotations

from typing import Any

from visor.protocol import verbs

NAMES: dict[int, str] = {
    getattr(verbs, name): name.lower()
    for name in (
        "PING",
        "GET",
        "STAT",
        "LIST",
        "SCAN",
        "REV",
        "LOG",
        "DIFF",
        "AT",
        "STATUS",
        "LEASES",
        "LEASE",
        "KEEPALIVE",
        "GRANT",
        "REVOKE",
        "SET",
        "DELETE",
        "TXN",
        "REVERT",
        "NOP",
        "RETAIN",
        "MEMBERS",
        "ADMIN",
        "ACCESS",
        "AUTH",
        "PASSWORD",
    )
}

_PATH_FIRST = frozenset((verbs.GET, verbs.STAT, verbs.LIST))
_PATH_OF_WRITE = frozenset((verbs.SET, verbs.DELETE, verbs.REVERT))
_SELECTOR_FIRST = frozenset((verbs.SCAN, verbs.LOG, verbs.DIFF))


def path_of(message: list[Any]) -> str | None:
    """Return the path that a request is about, with the root; None where there is none.

    Of a selector it is its text (of a range: where it begins, of several: that of the first), of a transaction its
    first operation's, or guard's.
    """
    verb = message[0]
    if verb in _PATH_FIRST:
        return str(message[2])
    if verb in _PATH_OF_WRITE:
        return str(message[3])
    if verb in _SELECTOR_FIRST:
        selector = message[2]
        return str(selector[1][0][1] if selector[0] == verbs.SEL_ANY else selector[1])
    if verb == verbs.TXN:
        rows = [*message[4], *message[3], *message[5]]
        return str(rows[0][1]) if rows else None
    return None
