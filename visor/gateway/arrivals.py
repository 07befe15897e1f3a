"""Connections that have no whole request under way, in the order in which they have to go where there is no place.

First those that never sent a request, the oldest first: who holds a thousand connections and says nothing, or one byte
a second, keeps nobody out. Then those between two requests, the longest idle first.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

Connection = TypeVar("Connection")


class Arrivals(Generic[Connection]):
    """All such connections of a gateway."""

    def __init__(self) -> None:
        self._strangers: OrderedDict[Connection, None] = OrderedDict()
        self._idle: OrderedDict[Connection, None] = OrderedDict()

    def wait(self, one: Connection, *, known: bool) -> None:
        """One waits for a request to arrive; `known`: it has sent one before."""
        (self._idle if known else self._strangers)[one] = None

    def done(self, one: Connection) -> None:
        """Its request is whole, or it has gone."""
        self._strangers.pop(one, None)
        self._idle.pop(one, None)

    def first(self) -> Connection | None:
        """Take out the one that has to go first; None: all are under way."""
        for waiting in (self._strangers, self._idle):
            if waiting:
                return waiting.popitem(last=False)[0]
        return None
