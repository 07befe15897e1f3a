"""One reader's queue of batches: bounded, never in the way of who fills it, and honest when it was dropped.

    limit      so many deltas may wait; one more, and the reader is dropped
    patience   a batch may wait so many seconds; when the next comes after that, the reader is dropped
    coalesce   what waits is merged into one batch: bounded by the number of paths, so nobody is dropped

A dropped reader still gets everything that was queued, then ReaderDropped with the rev up to which that goes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from visor._core.following.delta import Batch, merged
from visor._core.following.errors import ReaderDropped
from visor.errors import VisorError

E = TypeVar("E")

LIMIT = 10_000
"""Deltas that may wait for a reader, unless it says otherwise."""


class ReaderQueue(Generic[E]):
    """A queue for one reader. `put` and `take` are called under the latch of what fills it."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        limit: int | None = LIMIT,
        patience: float | None = None,
        coalesce: bool = False,
        select: Callable[[Batch[E]], Batch[E] | None] | None = None,
    ) -> None:
        if limit is not None and limit < 1:
            raise ValueError(f"a queue must hold at least one change, not {limit}")
        if patience is not None and not patience > 0:
            raise ValueError(f"a reader must be given some seconds, not {patience}")
        self._clock = clock
        self._limit = limit
        self._patience = patience
        self._coalesce = coalesce
        self._select = select
        self._queue: deque[tuple[float, Batch[E]]] = deque()
        self.waiting = 0
        """Deltas that wait, an empty batch counted as one."""
        self.delivered = 0
        """The rev up to which the reader has been given everything."""
        self.arrived = 0
        """The rev up to which everything has been put."""
        self.error: VisorError | None = None
        """What the reader is told after the last batch."""
        self.ended = False
        """Nothing is accepted any more."""

    def put(self, batch: Batch[E]) -> bool:
        """Queue the batch, or drop the reader; say whether there is something new for the reader."""
        if self.ended:
            return False
        chosen: Batch[E] | None = batch
        if self._select is not None:
            try:
                chosen = self._select(batch)
            except Exception as error:  # a check of the user's own
                self.end(VisorError(f"the reader's own check failed at rev {batch.rev}: {error!r}"), error)
                return True
        if chosen is None:
            self.mark(batch.rev)
            return False
        self._queue_up(chosen)
        return True

    def _queue_up(self, batch: Batch[E]) -> None:
        now = self._clock()
        if self._coalesce and self._queue:
            since, waiting = self._queue.pop()
            batch = merged(waiting, batch)
            self.waiting = 0
            now = since
        elif (why := self._too_slow(len(batch) or 1, now)) is not None:
            self.end(ReaderDropped(why=why, rev=self.arrived))
            return
        self._queue.append((now, batch))
        self.waiting += len(batch) or 1
        self.arrived = batch.rev

    def _too_slow(self, more: int, now: float) -> str | None:
        # One batch alone is always taken: otherwise a large commit could never be read.
        if self._limit is not None and self._queue and self.waiting + more > self._limit:
            return f"{self.waiting} changes wait, at most {self._limit} may"
        if self._patience is not None and self._queue and now - self._queue[0][0] > self._patience:
            return f"a change has been waiting for more than {self._patience:g} s"
        return None

    def mark(self, rev: int) -> None:
        """Nothing for this reader up to `rev`."""
        if not self.ended:
            self.arrived = max(self.arrived, rev)
            if not self._queue:
                self.delivered = self.arrived

    def end(self, error: VisorError | None, cause: BaseException | None = None) -> None:
        """Accept nothing more; the reader gets what is queued, then the error."""
        if not self.ended:
            self.ended = True
            self.error = error
            if error is not None and cause is not None:
                error.__cause__ = cause

    def take(self) -> Batch[E] | None:
        """Return the next batch, None when none is there."""
        if not self._queue:
            return None
        _, batch = self._queue.popleft()
        self.waiting -= len(batch) or 1
        self.delivered = batch.rev if self._queue else self.arrived
        return batch

    @property
    def ready(self) -> bool:
        """Whether `take` gives a batch, or nothing will ever come any more."""
        return bool(self._queue) or self.ended

    def clear(self) -> None:
        """Forget what is queued."""
        self._queue.clear()
        self.waiting = 0
