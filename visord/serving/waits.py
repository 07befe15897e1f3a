"""The requests of a conversation that wait: for a rev, for a confirmation, for the leader, or for a turn of their own.

    waiting      by id: a rev that is not here yet, values of the past on disk, the leader's answer, an operation
    confirming   by id, a table for each arrival: this node has to be confirmed as current
    due          they have waited, may take long, and go on in a turn

A request that waits does not count as in flight, so that a CANCEL always gets through; but there are bounds of its
connection and, with the ledger, of all connections.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Final

from visor.protocol.frames import Message
from visor.protocol.limits import Limits
from visord.serving.backend import Backend
from visord.serving.replies import Replies
from visord.serving.shares import FEW_WAITING
from visord.state.refusal import Refusal, bad_request

CANCELLED: Final = Refusal("cancelled", "the client cancelled this request", {})
FREE_ID: Final = "an id under which no read waits"


class Waits(Replies):
    """The part of a conversation that keeps what waits. `Conversation` makes its attributes."""

    __slots__ = ("_backend", "_confirming", "_due", "_gathering", "_noted", "_waiting", "limits")

    _backend: Backend
    limits: Limits
    _waiting: dict[int, Message]
    """Requests by id that wait for a rev, the leader or an operation."""
    _noted: int
    """How many of them the ledger knows of."""
    _confirming: list[dict[int, Message]]
    """Reads by id that wait for a confirmation, one batch an arrival."""
    _gathering: bool
    """The last of those batches is still being filled."""
    _due: list[tuple[Message, bool]]
    """Long reads that have waited, and can be answered in a turn of their own; true: this node is confirmed."""

    @abstractmethod
    def wake(self, request: int) -> None:
        """The rev that a held read asked for is here."""

    @abstractmethod
    def _line_up(self) -> None:
        """Go on in a turn of its own, and read nothing until then."""

    def warm(self, message: Message) -> None:
        """What a read of the past needs may be at hand now. Its id may be another's meanwhile."""
        if self._waiting.get(message[1]) is message:
            self._waits_no_more(message[1])
            self._due.append((message, True))
            self._line_up()

    def _confirm(self, message: Message) -> None:
        """Keep a read until this node is confirmed to be current; those of one arrival share it."""
        request, limit = message[1], self.limits.in_flight
        if request in self._waiting or any(request in batch for batch in self._confirming):
            self._refuse(request, bad_request("id", FREE_ID, request))
            return
        if sum(map(len, self._confirming)) + len(self._due) >= limit:
            self._refuse(request, _full(limit))
            return
        if not self._gathering:
            self._confirming.append({})
            self._gathering = True
        self._confirming[-1][request] = message

    def _may_wait(self, message: Message) -> bool:
        """Note a request that waits. It does not count as in flight: a CANCEL must always get through."""
        request, waiting, limit = message[1], self._waiting, self.limits.in_flight
        if request in waiting:
            self._refuse(request, bad_request("id", FREE_ID, request))
        elif len(waiting) + len(self._due) >= limit:
            self._refuse(request, _full(limit))
        elif not self._shares.may_wait(self, len(waiting) + 1):
            limit = self._shares.waiting.limit
            text = f"{limit} requests of all connections wait already, and those of this address have their share"
            self._refuse(request, Refusal("overloaded", text, {"what": "waiting requests", "limit": limit}))
        else:
            waiting[request] = message
            self._note_waiting()
            return True
        return False

    def _waits_no_more(self, request: int) -> Message | None:
        """Take out a request that waits; None when it does not."""
        message = self._waiting.pop(request, None)
        self._note_waiting()
        return message

    def _note_waiting(self) -> None:
        count = len(self._waiting)
        if (count > FEW_WAITING or self._noted) and count != self._noted:
            self._noted = count if count > FEW_WAITING else 0
            self._shares.note_waiting(self, count)

    def _cancel(self, message: Message) -> None:
        target = message[2] if len(message) > 2 else None
        if type(target) is int and self._waits_no_more(target) is not None:
            self._backend.stop_waiting(self, target)
            self._backend.cold_reads.forget(self, target)
            self._refuse(target, CANCELLED)
        for place, (message_due, _) in enumerate(self._due):
            if message_due[1] == target:
                del self._due[place]
                self._backend.cold_reads.forget(self, message_due[1])
                self._refuse(target, CANCELLED)
                break
        for batch in self._confirming:
            if type(target) is int and batch.pop(target, None) is not None:
                self._refuse(target, CANCELLED)
        self._ok(message[1], None)

    def _answer_waiting(self, request: int, result: Any) -> None:
        """What the leader, or an operation, had to say to a request that waits for it."""
        if self._waits_no_more(request) is None:
            return  # cancelled meanwhile, or the conversation has ended
        if type(result) is Refusal:
            self._refuse(request, result)
        else:
            self._ok(request, result)
        self._finish()


def _full(limit: int) -> Refusal:
    text = f"{limit} reads of this connection wait already"
    return Refusal("overloaded", text, {"what": "waiting reads", "limit": limit})
