"""What the tests of both colours need and what differs in nature: here threads, in `tests/aio/tools.py` tasks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from tests.following.clients import dial
from tests.patience import PATIENCE, eventually

__all__ = ["Beside", "Event", "dial", "eventually", "pause", "together"]


class Event:
    """Something that happens once."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.set = self._event.set
        self.is_set = self._event.is_set

    def wait(self) -> None:
        """Return when it has happened; TimeoutError when it does not."""
        if not self._event.wait(PATIENCE):
            raise TimeoutError


class Beside:
    """Work that goes on beside the test."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._outcome: Any = None
        self._failure: BaseException | None = None

        def body() -> None:
            try:
                self._outcome = function(*arguments)
            except BaseException as error:
                self._failure = error

        self._thread = threading.Thread(target=body, daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether it has ended, in whatever way."""
        return not self._thread.is_alive()

    def join(self) -> Any:
        """Return what it returns, raise what it raises; TimeoutError when it does not end."""
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            raise TimeoutError
        if self._failure is not None:
            raise self._failure
        return self._outcome


def together(*works: Callable[[], Any]) -> None:
    """Do all of these at once, and raise what one of them raises."""
    for work in [Beside(work) for work in works]:
        work.join()


def pause(seconds: float) -> None:
    """Do nothing for a moment in which something must not happen."""
    time.sleep(seconds)
