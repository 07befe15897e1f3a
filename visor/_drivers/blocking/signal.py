"""Waiting among threads for something to become true."""

from __future__ import annotations

import threading
from collections.abc import Callable


def turn() -> None:
    """Let others of this thread have their turn, in the middle of long work: threads take theirs anyway."""


class Signal:
    """Waiters look again at every call of `fire`."""

    __slots__ = ("_condition",)

    def __init__(self) -> None:
        self._condition = threading.Condition()

    def fire(self) -> None:
        """Something has changed."""
        with self._condition:
            self._condition.notify_all()

    def until(self, true: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until it is true, for `timeout` seconds at most (None: for ever); return whether it is."""
        with self._condition:
            return self._condition.wait_for(true, timeout)
