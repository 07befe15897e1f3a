# Generated from visor/aio/following/changes.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Reading what changes: batches one after another, by iterating or by callback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from visor import paths
from visor._core.backoff import seconds_or_ever
from visor._core.call import nothing_changed
from visor._core.following.cache import View
from visor._core.following.delta import Batch, difference
from visor._core.following.errors import Stopped, WatcherClosed
from visor._core.following.pages import backlog as backlog_batch
from visor._core.following.pages import cut
from visor._core.following.reader_queue import ReaderQueue
from visor._core.generic import B, E
from visor._core.log import log
from visor._core.public import public
from visor.blocking._telling import tell
from visor.blocking.following.local_copy import LocalCopy
from visor.errors import VisorError

if TYPE_CHECKING:
    from visor._drivers.blocking.driver import Driver

B_co = TypeVar("B_co", covariant=True)


class Readable(Protocol[B_co]):
    """What gives batches by iterating, and can be closed."""

    def __iter__(self) -> Iterator[B_co]: ...

    def close(self) -> None:
        """End it."""
        ...


class Changes(Generic[E]):
    """An endless iterator of batches; for one reader at a time.

        with mirror.changes() as changes:
            for batch in changes:
                for delta in batch: ...

    It ends by `close` (iteration stops) or with an error that says why: ReaderDropped when it was too slow,
    Stopped when what it reads from has ended.
    """

    def __init__(
        self,
        local_copy: LocalCopy[E],
        queue: ReaderQueue[E],
        weigh: Callable[[E], int],
        *,
        backlog: bool,
        below: str = "/",
    ) -> None:
        self._local_copy = local_copy
        self._latch = local_copy.cache.latch
        self._queue = queue
        view, self._signal = local_copy.tap(queue)
        # The view is not kept: it would keep every entry that it has and that changes.
        self._pieces = cut(_everything(view, below), weigh) if backlog else iter(())
        self._complete = not backlog
        """The backlog has been given."""
        self._since = view.rev
        self._closed = False

    @property
    def since(self) -> int:
        """The rev after which changes are given."""
        return self._since

    @property
    def rev(self) -> int:
        """The rev up to which this reader has been given everything."""
        return self._queue.delivered if self._complete else 0

    def next(self, *, timeout: float | None = None) -> Batch[E]:
        """Return the next batch; DeadlineExceeded when none comes in time (None waits for ever).

        WatcherClosed after `close`, ReaderDropped, Stopped. It stays usable after DeadlineExceeded.
        """
        batch = self._next(seconds_or_ever(timeout))
        if batch is None:
            raise WatcherClosed()
        return batch

    def _next(self, timeout: float | None) -> Batch[E] | None:
        if self._closed:
            return None
        piece = next(self._pieces, None)
        if piece is not None:
            self._complete = self._complete or piece.backlog_end
            return piece
        queue = self._queue
        if not self._signal.until(lambda: queue.ready or self._closed, timeout):
            raise nothing_changed(timeout or 0.0)
        if self._closed:
            return None
        with self._latch:
            batch = queue.take()
        if batch is None and queue.error is not None:
            raise queue.error
        return batch

    def __iter__(self) -> Iterator[Batch[E]]:
        return self

    def __next__(self) -> Batch[E]:
        batch = self._next(None)
        if batch is None:
            raise StopIteration
        return batch

    def close(self) -> None:
        """End it: idempotent, never waits. Iteration stops."""
        self._closed = True
        self._local_copy.untap(self._queue)
        self._signal.fire()

    def __enter__(self) -> Changes[E]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<visor changes after rev {self._since}, given up to {self.rev}>"


def _everything(view: View[E], below: str) -> Batch[E]:
    """Return what the view holds below a directory as a backlog, in path order."""
    held = [item for item in view.entries().items() if paths.below(item[0], below)]
    found = sorted(held, key=lambda item: paths.sort_key(item[0]))
    return backlog_batch(view.rev, [difference(path, None, entry) for path, entry in found])


class Callback(Generic[B]):
    """Calls a callback for each batch that a reader gives; made by `on_change`."""

    def __init__(self, driver: Driver, reader: Readable[B], callback: Callable[[B], object]) -> None:
        self._driver = driver
        self._reader = reader
        self._callback = callback
        self._error: VisorError | None = None
        self._runner = driver.spawn(self, self._run)

    @property
    def error(self) -> VisorError | None:
        """Why it ended, when not by `close`, by a callback that returned False or with what is followed.

        CallbackEnded when the callback raised SystemExit, KeyboardInterrupt or GeneratorExit.
        """
        return self._error

    def close(self) -> None:
        """End it: idempotent, bounded (a second); may be called from the callback."""
        self._reader.close()
        self._driver.join(self._runner)

    def __enter__(self) -> Callback[B]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            for batch in self._reader:
                if tell(self._driver, self._callback, batch) is False:
                    break
        except Stopped:
            pass
        except VisorError as error:
            self._error = error
            log.warning("a callback ended: %s", error)
        finally:
            self._reader.close()
        self._driver.pass_on(self._error)

    def __repr__(self) -> str:
        return f"<visor callback for {self._reader!r}>"


public("visor.following", Changes, Callback)
