# Generated from visor/aio/_announcer.py by tests/hygiene/unasync.py.
"""Tells listeners what has happened, one thing after another, away from whoever noticed it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from visor._log import log

if TYPE_CHECKING:
    from visor.blocking._driver import Driver

E = TypeVar("E")


class Announcer(Generic[E]):
    """Calls every listener with every event, in order, in a thread (under asyncio: a task) of its own.

    It exists only while there is something to tell. So listeners may take their time, use the client and close what
    tells them. One that raises is logged.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._lock = threading.Lock()
        self._listeners: list[Callable[[E], object]] = []
        self._events: deque[E] = deque()
        self._teller: Any = None

    def add(self, listener: Callable[[E], object]) -> None:
        """Call it with every event from now on."""
        with self._lock:
            self._listeners.append(listener)

    def remove(self, listener: Callable[[E], object]) -> None:
        """Call it no more; ValueError when it is not there."""
        with self._lock:
            self._listeners.remove(listener)

    def tell(self, event: E) -> None:
        """Tell all listeners; returns at once."""
        with self._lock:
            if not self._listeners:
                return
            self._events.append(event)
            if self._teller is None:
                self._teller = self._driver.spawn(self, self._run)

    def close(self) -> None:
        """Wait, for a second at most, until everything has been told; called by the driver at its end."""
        teller = self._teller
        if teller is not None:
            self._driver.join(teller)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._events:
                    self._teller = None
                    return
                event, listeners = self._events.popleft(), list(self._listeners)
            for listener in listeners:
                try:
                    self._driver.outcome(listener(event))
                except Exception:
                    log.exception("a listener raised at %r", event)
