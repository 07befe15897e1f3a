"""Confirming leadership for reads: one numbered question to all voters answers all that wait.

    reads 1 2 3 arrive        -> round 7 goes out, with the commit index of that moment
    reads 4 5 arrive          -> they wait: round 7 began before them and says nothing about them
    a majority answered 7     -> 1 2 3 may be answered once that index is applied; round 8 goes out for 4 5

An answer to a round also answers the earlier ones. No clock is used: that a majority still took this node for the
leader *after* the read arrived is what makes the read linearizable (Raft, chapter 6.4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

Confirmed: TypeAlias = Callable[[int | None], None]
"""Gets the index that has to be applied, or None: this node cannot confirm that it leads."""

MAX_FLIGHTS: Final = 2
"""Rounds under way. With two, one is always gathering answers; more would only be smaller."""


class _Flight:
    __slots__ = ("answered", "callbacks", "index", "number")

    def __init__(self, number: int, index: int, callbacks: list[Confirmed]) -> None:
        self.number = number
        self.index = index
        self.callbacks = callbacks
        self.answered: set[str] = set()


class Rounds:
    """The rounds of one leader. Numbers rise for as long as the process lives."""

    def __init__(self) -> None:
        self.number = 0
        self._waiting: list[Confirmed] = []
        self._flights: list[_Flight] = []

    @property
    def open(self) -> int | None:
        """The number of the newest round that is under way; None when none is."""
        return self._flights[-1].number if self._flights else None

    @property
    def busy(self) -> bool:
        """Reads wait."""
        return bool(self._waiting or self._flights)

    @property
    def oldest(self) -> int | None:
        """The number of the oldest round that is under way; None when none is."""
        return self._flights[0].number if self._flights else None

    def ask(self, callback: Confirmed) -> None:
        """Call back once a round that starts after this call has a majority."""
        self._waiting.append(callback)

    def start(self, commit: int) -> int | None:
        """Begin a round for all who wait: the number to send to all voters; None when there is no need or room."""
        if not self._waiting or len(self._flights) >= MAX_FLIGHTS:
            return None
        self.number += 1
        waiting, self._waiting = self._waiting, []
        self._flights.append(_Flight(self.number, commit, waiting))
        return self.number

    def answered(self, member: str, number: int, need: int) -> bool:
        """Note a voter's answer; `need` answers of others make a majority. Return whether a round ended."""
        ended = 0
        for position, flight in enumerate(self._flights):
            if flight.number > number:
                break
            flight.answered.add(member)
            if len(flight.answered) >= need:
                ended = position + 1
        done, self._flights = self._flights[:ended], self._flights[ended:]
        for flight in done:
            for callback in flight.callbacks:
                callback(flight.index)
        return bool(done)

    def fail(self) -> None:
        """This node leads no more: no read can be told anything."""
        flights, self._flights = self._flights, []
        waiting, self._waiting = self._waiting, []
        for flight in flights:
            waiting[:0] = flight.callbacks
        for callback in waiting:
            callback(None)
