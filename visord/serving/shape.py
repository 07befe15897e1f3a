"""How a message may be built, before anybody looks at what it says.

The deepest message there is has five levels, `[RETRY, id, [TXN, id, acked, [...], [[SET, path, value], ...]]]`. What is
deeper than `MAX_DEPTH` cannot be meant, and could not be packed again into what a leader or the log gets: it is refused
where it comes in, alone.
"""

from __future__ import annotations

from typing import Any, Final

from visord.state.command import MAX_DEPTH
from visord.state.refusal import Refusal

WEIGHT: Final = 64
"""Bytes that one element costs in memory beside its content: a list is 56, a number or a short text about as much."""

TOO_DEEP: Final = Refusal(
    "bad_request",
    f"message: its fields are nested deeper than {MAX_DEPTH} levels",
    {"field": "message", "expected": f"at most {MAX_DEPTH} levels of arrays and maps"},
)


def elements(message: list[Any]) -> int | None:
    """Return how many elements a message has on all its levels; None when it has too many levels.

    [10, 7, "/a"] -> 3      [13, 8, [1, "/a"], 5] -> 4 + 2
    """
    total = 0
    level: list[Any] = [message]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for container in level:
            total += len(container)
            values = container.values() if type(container) is dict else container
            inner += [value for value in values if type(value) is list or type(value) is dict]
        if not inner:
            return total
        level = inner
    return None


def transaction(message: list[Any]) -> int | None:
    """Return the same for a TXN as it should be, in a third of the time: most writes of many programs are that."""
    total = len(message)
    for field in message:
        if type(field) is list:
            total += len(field)
            for row in field:
                if type(row) is not list or not _CONTAINERS.isdisjoint(map(type, row)):
                    return elements(message)
                total += len(row)
        elif type(field) is dict:
            return elements(message)
    return total


_CONTAINERS: Final = frozenset((list, dict))
