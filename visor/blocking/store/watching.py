# Generated from visor/aio/store/watching.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Reading the events of a typed store, live and from history."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType

from visor._core.backoff import seconds_or_ever
from visor._core.call import nothing_changed
from visor._core.following.cache import View
from visor._core.following.delta import Batch
from visor._core.following.errors import WatcherClosed
from visor._core.following.reader_queue import ReaderQueue
from visor._core.public import public
from visor._core.store.events import Committed, committed
from visor._core.store.record import Record
from visor._core.store.specs import Select
from visor._drivers.blocking.signal import Signal
from visor.blocking.following.local_copy import LocalCopy

Fetch = Callable[[int, int], list[Batch[Record]]]
"""Fetches the batches after a version up to another from the registry's history."""

CHUNK = 200
"""Versions that are fetched at once; a watch that is no more behind goes live and fetches the rest."""


class Events:
    """An endless iterator over transactions; made by `Store.watch`. For one reader at a time.

        with store.watch(on(Task)) as events:
            for transaction in events:
                for event in transaction: ...

    It ends by `close` (iteration stops) or with an error that says why: ReaderDropped when it was too slow
    (go on with `resume_from=error.rev`), Compacted when what should be replayed is gone, Stopped.
    """

    def __init__(self, local_copy: LocalCopy[Record], queue: ReaderQueue[Record], include_old: bool) -> None:
        self._local_copy = local_copy
        self._latch = local_copy.cache.latch
        self._queue = queue
        self._include_old = include_old
        self._signal = Signal()
        self._pending: deque[Committed] = deque()
        self._fetch: Fetch | None = None
        """While history is replayed: what fetches it."""
        self._select: Select | None = None
        self._version = 0
        """The version up to which everything is in `_pending` or was given."""
        self._given = 0
        """The version up to which everything was given, while something is in `_pending`."""
        self._live = False
        self._closed = False

    def go_live(self) -> View[Record]:
        """Collect what comes from now on; return how it stands now."""
        view, self._signal = self._local_copy.tap(self._queue)
        self._live = True
        if self._fetch is None:
            self._version = view.rev
        return view

    def replay(self, version: int, fetch: Fetch, select: Select | None) -> None:
        """Begin after a version of the past."""
        self._version = self._given = version
        self._fetch, self._select = fetch, select

    @property
    def version(self) -> int:
        """The version up to which this reader has been given everything: what `resume_from` takes."""
        if self._pending:
            return self._given
        if self._fetch is not None:
            return self._version
        return max(self._version, self._queue.delivered)

    def next(self, *, timeout: float | None = None) -> Committed:
        """Return the next transaction; DeadlineExceeded when none comes in time (None waits for ever).

        WatcherClosed after `close`, ReaderDropped, Compacted, Stopped. Usable after DeadlineExceeded.
        """
        found = self._next(seconds_or_ever(timeout))
        if found is None:
            raise WatcherClosed()
        return found

    def _next(self, timeout: float | None) -> Committed | None:
        while self._fetch is not None and not self._pending and not self._closed:
            self._refill(self._fetch)
        if self._closed:
            return None
        if self._pending:
            found = self._pending.popleft()
            self._given = found.version
            return found
        queue = self._queue
        if not self._signal.until(lambda: queue.ready or self._closed, timeout):
            raise nothing_changed(timeout or 0.0)
        if self._closed:
            return None
        with self._latch:
            batch = queue.take()
        if batch is not None:
            return committed(batch, self._include_old)
        if queue.error is not None:
            raise queue.error
        return None

    def _refill(self, fetch: Fetch) -> None:
        """Fetch a chunk of history; go live first when it is the last, so that nothing falls between."""
        until = self._local_copy.rev
        if not self._live and until - self._version <= CHUNK:
            until = self.go_live().rev
        last = min(until, self._version + CHUNK)
        if last > self._version:
            for batch in fetch(self._version, last):
                picked = batch if self._select is None else self._select(batch)
                if picked is not None:
                    self._pending.append(committed(picked, self._include_old))
            self._version = last
        if self._live and last >= until:
            self._fetch = None

    def __iter__(self) -> Iterator[Committed]:
        return self

    def __next__(self) -> Committed:
        found = self._next(None)
        if found is None:
            raise StopIteration
        return found

    def close(self) -> None:
        """End it: idempotent, never waits. Iteration stops."""
        self._closed = True
        self._local_copy.untap(self._queue)
        self._signal.fire()

    def __enter__(self) -> Events:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<store events, given up to version {self.version}>"


public("visor.store", Events)
