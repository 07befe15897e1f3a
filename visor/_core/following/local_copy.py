"""How a local copy moves on, and who is told: steps in, batches out. Nothing here waits.

step --> cache (moves on, under its latch) --batch--> queues --> readers, callbacks, waiters
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from visor._core.following.cache import Cache, View
from visor._core.following.delta import Batch
from visor._core.following.errors import Stopped
from visor._core.following.ingest import Ingest
from visor._core.following.marked_feed import is_mark
from visor._core.following.reader_queue import ReaderQueue
from visor.errors import VisorError
from visor.values import Kind

PORTION = 250
"""Entries that are made in one go."""


class Fires(Protocol):
    """What wakes those who wait for something."""

    def fire(self) -> None:
        """Wake them."""


E = TypeVar("E")
S = TypeVar("S", bound=Fires)


class LargeError(Exception):
    """A step is too large to be taken in by the receiver of bytes."""


class BaseLocalCopy(Generic[E, S]):
    """The copy of entries E, and the queues and signals S of those who follow it."""

    def __init__(
        self,
        cache: Cache[E],
        ingest: Ingest[E],
        make_signal: Callable[[], S],
        moved: Callable[[Batch[E]], object] | None,
    ) -> None:
        self.cache = cache
        self._ingest = ingest
        self._make_signal = make_signal
        self._moved = moved
        """Called under the latch with every batch, before anybody else hears of it."""
        self._signal = make_signal()
        self._taps: list[tuple[ReaderQueue[E], S]] = []
        self._asked = 0.0
        """When the state that the cache holds at least was asked for."""
        self._promised: list[tuple[float, int]] = []
        """`(moment, rev)`: once the cache is at rev, it holds all that was committed at the moment."""
        self.error: VisorError | None = None
        self.ended = False

    def _arrived(self, item: list[Any]) -> None:
        """Take in a step as it arrives; a large one is left to the reader, who takes it by portions."""
        if not is_mark(item) and len(item[4]) > PORTION:
            raise LargeError
        self._take(item, self._ingest.changes(item))

    def _take(self, item: list[Any], changes: list[tuple[str, E | None, Kind]]) -> None:
        with self.cache.latch:
            told = bool(self._taps) or self._moved is not None
            batch = self._ingest.apply(item, changes, told)
            if batch is not None:
                self._publish(batch)
                return
            for queue, _ in self._taps:
                queue.mark(item[0])
            self._settle()

    def _publish(self, batch: Batch[E]) -> None:
        """Tell everybody; under the latch."""
        if self._moved is not None:
            self._moved(batch)
        dropped = False
        for queue, signal in self._taps:
            if queue.put(batch):
                signal.fire()
            dropped = dropped or queue.ended
        if dropped:
            self._taps = [tap for tap in self._taps if not tap[0].ended]
        self._settle()

    def _settle(self) -> None:
        """The cache has moved: keep what was promised for its rev, and wake who waits for it."""
        rev = self.cache.rev
        while self._promised and self._promised[0][1] <= rev:
            self._asked = max(self._asked, self._promised.pop(0)[0])
        self._signal.fire()

    @property
    def asked(self) -> float:
        """The moment, by the client's clock, at which everything that was committed is held."""
        return self._asked

    @property
    def rev(self) -> int:
        """The rev at which the copy equals the registry."""
        return self.cache.rev

    def _check(self) -> None:
        """Raise why it does not move any more."""
        if self.error is not None:
            raise self.error
        if self.ended:
            raise Stopped()

    def view(self) -> View[E]:
        """Return the copy as it is now, held still."""
        with self.cache.latch:
            return self.cache.view()

    def tap(self, queue: ReaderQueue[E]) -> tuple[View[E], S]:
        """Let the queue have every batch after the view that is returned: nothing lost, nothing doubled."""
        signal = self._make_signal()
        with self.cache.latch:
            view = self.cache.view()
            queue.mark(view.rev)
            if self.ended:
                queue.end(Stopped(), self.error)
            else:
                self._taps = [*self._taps, (queue, signal)]
        return view, signal

    def untap(self, queue: ReaderQueue[E]) -> None:
        """The reader is done."""
        with self.cache.latch:
            queue.end(None)
            self._taps = [tap for tap in self._taps if tap[0] is not queue]

    def _ended(self, error: VisorError | None) -> None:
        """Nothing moves it any more: tell everybody why."""
        with self.cache.latch:
            self.error, self.ended = error, True
            taps, self._taps = self._taps, []
            for queue, _ in taps:
                queue.end(Stopped(), error)
        for _, signal in taps:
            signal.fire()
        self._signal.fire()
