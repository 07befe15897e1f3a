# Generated from visor/aio/following/latest_value.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""A cell: the latest value of something in this process, and waiting for a newer one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

from visor._core.backoff import seconds_or_ever
from visor._core.call import nothing_changed
from visor._core.following.errors import BacklogDone, WatcherClosed
from visor._core.public import public
from visor._core.shown import shown
from visor._drivers.blocking.signal import Signal
from visor.errors import VisorError

T = TypeVar("T")


class Cell(Generic[T]):
    """Holds the latest value; `watch` gives a watcher like `watch_one`'s. Empty until the first `set`."""

    def __init__(self) -> None:
        self._signal = Signal()
        self._held: tuple[int, T] | None = None
        """A number that grows, and the value: one thing, so that a reader in another thread sees both."""

    def set(self, value: T) -> None:
        """Put a new value in its place; never waits."""
        self._held = (self._held[0] + 1 if self._held is not None else 1), value
        self._signal.fire()

    @property
    def version(self) -> int:
        """How often it was set."""
        return 0 if self._held is None else self._held[0]

    @property
    def value(self) -> T:
        """The latest value; LookupError while it is empty."""
        if self._held is None:
            raise LookupError("the cell is empty")
        return self._held[1]

    def watch(
        self, *, where: Callable[[T], bool] | None = None, backlog_only: bool = False
    ) -> CellWatcher[T]:
        """Return a watcher; `where` leaves out values, `backlog_only` ends where it would wait."""
        return CellWatcher(self, where, backlog_only)

    def __repr__(self) -> str:
        held = self._held
        return (
            "<visor cell, empty>" if held is None else f"<visor cell, {shown(held[1])} as version {held[0]}>"
        )


class CellWatcher(Generic[T]):
    """The values of a cell, for one reader; those between two calls of `next` are skipped."""

    def __init__(self, cell: Cell[T], where: Callable[[T], bool] | None, backlog_only: bool) -> None:
        self._cell = cell
        self._where = where
        self._backlog_only = backlog_only
        self._version = 0
        self._given: tuple[T] | None = None
        self._busy = False
        self._error: VisorError | None = None

    @property
    def value(self) -> T:
        """What `next` found last; LookupError before."""
        if self._given is None:
            raise LookupError("there is no value yet: call next first")
        return self._given[0]

    @property
    def error(self) -> VisorError | None:
        """Why it ended: WatcherClosed or BacklogDone."""
        return self._error

    def next(self, *, timeout: float | None = None) -> bool:
        """Wait for a value newer than the last; false when it has ended.

        DeadlineExceeded when none comes in time; RuntimeError when another reader is waiting.
        """
        timeout = seconds_or_ever(timeout)
        if self._busy:
            raise RuntimeError("this watcher has one reader at a time: make another watcher")
        self._busy = True
        try:
            return self._next(timeout)
        finally:
            self._busy = False

    def _next(self, timeout: float | None) -> bool:
        if self._backlog_only and not self._newer():
            self._error = self._error or BacklogDone(rev=self._version)
        elif not self._backlog_only and not self._cell._signal.until(
            lambda: self._error is not None or self._newer(), timeout
        ):
            raise nothing_changed(timeout or 0.0)
        return self._error is None

    def _newer(self) -> bool:
        """Take the latest value if it is newer than the last and wanted."""
        held = self._cell._held
        if held is None or held[0] == self._version:
            return False
        self._version = held[0]
        if self._where is not None and not self._where(held[1]):
            return False
        self._given = (held[1],)
        return True

    def close(self) -> None:
        """End it: idempotent, never waits."""
        self._error = self._error or WatcherClosed()
        self._cell._signal.fire()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        """Return the next value; iteration stops when it has ended."""
        if not self.next():
            raise StopIteration
        return self.value

    def __enter__(self) -> CellWatcher[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<visor watcher of {self._cell!r}, at version {self._version}>"


public("visor.following", Cell, CellWatcher)
