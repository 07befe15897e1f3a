# Generated from visor/aio/following/latest_value.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""A cell: the latest value of something in this process, and waiting for a newer one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TypeVar

from visor._core.backoff import seconds_or_ever
from visor._core.call import nothing_changed
from visor._core.following.errors import BacklogDone, WatcherClosed
from visor._core.following.latest_value import BaseCell, BaseCellWatcher
from visor._core.public import public
from visor._drivers.blocking.signal import Signal

T = TypeVar("T")


class Cell(BaseCell[T]):
    """Holds the latest value; `watch` gives a watcher like `watch_one`'s. Empty until the first `set`."""

    _signal: Signal

    def __init__(self) -> None:
        super().__init__(Signal())

    def watch(
        self, *, where: Callable[[T], bool] | None = None, backlog_only: bool = False
    ) -> CellWatcher[T]:
        """Return a watcher; `where` leaves out values, `backlog_only` ends where it would wait."""
        return CellWatcher(self, where, backlog_only)


class CellWatcher(BaseCellWatcher[T]):
    """The values of a cell, for one reader; those between two calls of `next` are skipped."""

    _cell: Cell[T]

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


public("visor.following", Cell, CellWatcher)
