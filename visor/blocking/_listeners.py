# Generated from visor/aio/_listeners.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Tells listeners what has happened, one thing after another, in a task or thread of their own."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from visor._core.log import log
from visor.blocking._telling import tell
from visor.errors import CallbackEnded

if TYPE_CHECKING:
    from visor._drivers.blocking.driver import Driver

E = TypeVar("E")


class Listeners(Generic[E]):
    """Calls every listener with every event, in order, in a thread (under asyncio: a task) of its own.

    It exists only while there is something to tell. So listeners may take their time, use the client and close what
    tells them. One that raises is logged; one that asks for the end (SystemExit and the like) is called no more.
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
        try:
            while (told := self._next()) is not None:
                event, listeners = told
                for listener in listeners:
                    self._tell(listener, event)
        except BaseException:
            with self._lock:
                self._teller = None  # the next event finds another one
            raise

    def _next(self) -> tuple[E, list[Callable[[E], object]]] | None:
        with self._lock:
            if self._events:
                return self._events.popleft(), list(self._listeners)
            self._teller = None
            return None

    def _tell(self, listener: Callable[[E], object], event: E) -> None:
        try:
            tell(self._driver, listener, event)
        except CallbackEnded as error:
            log.warning("%s", error)
            with self._lock, contextlib.suppress(ValueError):
                self._listeners.remove(listener)
            self._driver.pass_on(error)
