"""The latest value of something, and who has seen which: without the waiting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from visor._core.shown import shown
from visor.errors import VisorError

T = TypeVar("T")


class Fires(Protocol):
    """What wakes those who wait for something."""

    def fire(self) -> None:
        """Wake them."""


class BaseCell(Generic[T]):
    """Holds the latest value."""

    def __init__(self, signal: Fires) -> None:
        self._signal = signal
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

    def __repr__(self) -> str:
        held = self._held
        return (
            "<visor cell, empty>" if held is None else f"<visor cell, {shown(held[1])} as version {held[0]}>"
        )


class BaseCellWatcher(Generic[T]):
    """What one reader has seen of a cell."""

    def __init__(self, cell: BaseCell[T], where: Callable[[T], bool] | None, backlog_only: bool) -> None:
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

    def __repr__(self) -> str:
        return f"<visor watcher of {self._cell!r}, at version {self._version}>"
