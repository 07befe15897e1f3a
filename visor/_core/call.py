"""A request under way."""

from __future__ import annotations

from typing import Any

from visor.errors import DeadlineExceeded


class Call:
    """One request from its making to its answer; a driver subclasses it to wake who waits.

    `message` is the wire's array; the session fills in its id and, for a write, the acked mark. What most
    calls never change is a default of the class: a call is made for every request.
    """

    id = 0
    sent = False
    """Given to the present connection, which has not answered."""
    uncertain = False
    """A write that an earlier connection took and never answered: sent again only as RETRY."""
    attempt = 0
    cause: BaseException | None = None
    """The last failure that was worth another attempt."""
    done = False
    result: Any = None
    error: BaseException | None = None

    def __init__(self, message: list[Any], write: bool, deadline: float, seconds: float) -> None:
        self.message = message
        self.write = write
        self.deadline = deadline
        self.seconds = seconds

    def complete(self, result: Any, error: BaseException | None) -> None:
        """Take the answer; a second one is ignored."""
        if not self.done:
            self.result = result
            self.error = error
            self.done = True


def ends(error: BaseException) -> bool:
    """Whether what a callback raised asks for the end of its program, thread or task.

    All else is an accident of the callback, also a cancellation that it met elsewhere: the next event follows.
    """
    return isinstance(error, SystemExit | KeyboardInterrupt | GeneratorExit)


def no_time(seconds: float) -> DeadlineExceeded:
    """Return the error of a call that had no time to ask: nothing was sent. `seconds` as the caller gave them."""
    if seconds:
        return DeadlineExceeded(seconds=seconds)
    return DeadlineExceeded("a timeout of 0 s leaves no time to ask: nothing was sent", seconds=seconds)


def nothing_changed(seconds: float) -> DeadlineExceeded:
    """Return the error of a call that waited for a change, and all was well, but none came."""
    return DeadlineExceeded(f"nothing changed within {seconds:g} s", seconds=seconds)


def nothing_yet(rev: int, latest: int, seconds: float) -> DeadlineExceeded:
    """Return the error of a call that waited for changes from a rev on that nobody may have written yet."""
    return DeadlineExceeded(
        f"nothing changed within {seconds:g} s: it waits from rev {rev} on, and the latest known here is rev {latest}",
        seconds=seconds,
    )
