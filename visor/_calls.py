"""A request under way."""

from __future__ import annotations

from typing import Any


class Call:
    """One request from its making to its answer; a driver subclasses it to wake who waits.

    `message` is the wire's array; the session fills in its id and, for a write, the acked mark.
    """

    __slots__ = (
        "attempt",
        "cause",
        "deadline",
        "done",
        "error",
        "id",
        "message",
        "result",
        "seconds",
        "sent",
        "uncertain",
        "write",
    )

    def __init__(self, message: list[Any], write: bool, deadline: float, seconds: float) -> None:
        self.message = message
        self.write = write
        self.deadline = deadline
        self.seconds = seconds
        self.id = 0
        self.sent = False
        """Given to the present connection, which has not answered."""
        self.uncertain = False
        """A write that an earlier connection took and never answered: sent again only as RETRY."""
        self.attempt = 0
        self.cause: BaseException | None = None
        """The last failure that was worth another attempt."""
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None

    def settle(self, result: Any, error: BaseException | None) -> None:
        """Take the answer; a second one is ignored."""
        if not self.done:
            self.result = result
            self.error = error
            self.done = True
