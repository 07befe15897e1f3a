"""What locks, semaphores and leaderships have in common: a place in a queue that is held, and may be lost.

**Holding something over a network protects nothing by itself.** A holder may stand still (a long pause, a suspended
machine) while its lease expires and the next one is let in; when it wakes, it goes on writing. What protects is
the comparison where the write is done: writes to this registry go through `set`, `txn` or `guards`, which are
refused from the instant on in which the hold is lost; writes to anything else carry `fence`, a number that is
higher for every later holder.
"""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from visor import op
from visor._core.backoff import seconds_or_ever
from visor._core.recipes.holding import BaseHolding
from visor._core.recipes.queue import QUEUES, Contender
from visor._drivers.aio.turn import Turn
from visor.aio._listeners import Listeners
from visor.aio.recipes._guarded import LOST, Guarded, Outcome
from visor.aio.recipes._place import Patience, Place, standing_at
from visor.codecs import BYTES
from visor.errors import NotFound
from visor.guard import Guard
from visor.op import Op
from visor.values import Result

if TYPE_CHECKING:
    from visor.aio._asks import Life


class Holding(BaseHolding[Place]):
    """Something of one session that is acquired and released.

    One object is one contender: it cannot be acquired twice at once (RuntimeError), also not by another thread or task;
    each makes its own. Those that wait are served in the order in which they came.
    """

    _session: Life

    def __init__(self, session: Life, path: str, data: bytes) -> None:
        super().__init__(session, path, data)
        self._client = session._client
        self._mutex = threading.Lock()
        self._turn = Turn()
        """Whose turn it is to write the file of the hold, and to write again what met such a write."""
        self._listeners: Listeners[Any] = Listeners(session._client.channel.driver)

    # -- how it stands --------------------------------------------------------------------------------

    async def verify(self, *, timeout: float | None = None) -> None:
        """Ask the registry, and raise LockLost unless it was held at that moment."""
        place = self._held_place()
        try:
            there = place.holds(await self._client.get(place.path, codec=BYTES, timeout=timeout))
        except NotFound:
            there = False
        if not there:
            self._taken_away(place.path)
            raise self._loss()

    async def contenders(self, *, timeout: float | None = None) -> list[Contender]:
        """Return who holds it and who waits, in order; WrongQueue when something else stands there."""
        return await standing_at(self._client, self._directory, QUEUES[self._kind], timeout)

    # -- acquiring ------------------------------------------------------------------------------------
    async def acquire(self, timeout: float | None = None) -> int:
        """Wait until it is held, `timeout` seconds at most (None: for ever), and return the fencing number.

        With a `timeout` of 0 it is taken if it is free. DeadlineExceeded, which names who holds it, when it was not to
        be had in time, LeaseLost when the session ends meanwhile, WrongQueue when something else stands there. Whatever
        is raised, also an interruption, this contender does not stand in the queue any more.
        """
        if seconds_or_ever(timeout) == 0.0:
            patience = self._patience(None)
            fence = await self._try(patience)
            if fence is None:
                raise patience.late(0.0)
            return fence
        self._begin()
        place: Place | None = None
        try:
            place = Place(self._session, self._directory, self._kind, self._data)
            await self._take(place, Patience(self._session, self._directory, timeout), wait=True)
            self._got(place)
            return place.fence
        except BaseException:
            await self._give_up(place)
            raise

    async def try_acquire(self, *, timeout: float | None = None) -> int | None:
        """Take it if it is free, and return the fencing number; None when it is not.

        `timeout` is for the requests (default: the client's).
        """
        return await self._try(self._patience(timeout))

    def _patience(self, timeout: float | None) -> Patience:
        """Return how long requests may take where nobody is waited for."""
        seconds = self._client.channel.settings.timeout if timeout is None else timeout
        return Patience(self._session, self._directory, seconds)

    async def _try(self, patience: Patience) -> int | None:
        queue = await self.contenders(timeout=patience.left())
        if not self._free(queue):
            patience.meet(self._holders(queue), queue)
            return None
        self._begin()
        place: Place | None = None
        taken = False
        try:
            place = Place(self._session, self._directory, self._kind, self._data)
            taken = await self._take(place, patience, wait=False)
            if taken:
                self._got(place)
            return place.fence if taken else None
        except BaseException:
            taken = False
            raise
        finally:
            if not taken:
                await self._give_up(place)

    async def _take(self, place: Place, patience: Patience, *, wait: bool) -> bool:
        """Enter the queue, and return True once it is held; False, without `wait`, when that takes time."""
        raise NotImplementedError

    # -- holding --------------------------------------------------------------------------------------

    async def txn(
        self,
        guards: Mapping[str, Guard] | Iterable[tuple[str, Guard]] = (),
        then: Sequence[Op] = (),
        orelse: Sequence[Op] = (),
        *,
        note: str | None = None,
        timeout: float | None = None,
    ) -> Result:
        """Do a transaction (see `Client.txn`) that happens only while this is held, in either branch; else LockLost."""
        place = self._held_place()
        attempt = self._guarded(place, guards, then, orelse, note, timeout)
        outcome = await attempt.once()
        if not isinstance(outcome, Result) and outcome != LOST:
            await attempt.take(self._turn)
            try:
                outcome = await self._settled(attempt)
            finally:
                self._turn.give()
        return self._result(outcome, place)

    def _guarded(
        self,
        place: Place,
        guards: Mapping[str, Guard] | Iterable[tuple[str, Guard]],
        then: Sequence[Op],
        orelse: Sequence[Op],
        note: str | None,
        timeout: float | None,
    ) -> Guarded:
        pairs = tuple(guards.items() if isinstance(guards, Mapping) else guards)
        seconds = self._client.channel.settings.timeout if timeout is None else timeout
        deadline = self._client.channel.driver.deadline(seconds)
        return Guarded(self._client, place, pairs, then, orelse, note, deadline, seconds)

    async def _settled(self, attempt: Guarded) -> Outcome:
        """Attempt it until it is decided. In turn: no other write of this holder is under way meanwhile."""
        while True:
            outcome = await attempt.once()
            if isinstance(outcome, Result) or outcome == LOST:
                return outcome

    async def set(
        self, path: str, value: Any, *, note: str | None = None, timeout: float | None = None
    ) -> int:
        """Write a file while this is held, and return the rev of that; else LockLost, and nothing is written."""
        return self._done(await self.txn(then=[op.set(path, value)], note=note, timeout=timeout))

    async def delete(self, path: str, *, note: str | None = None, timeout: float | None = None) -> int:
        """Delete a file while this is held, and return the rev of that; else LockLost, and nothing is done."""
        return self._done(await self.txn(then=[op.delete(path)], note=note, timeout=timeout))

    # -- letting go -----------------------------------------------------------------------------------
    async def release(self, *, timeout: float | None = None) -> None:
        """Give it to the next one. Silent when it was lost; RuntimeError when it was not acquired.

        When the registry cannot be reached, that is done in the background, at the latest when the session ends.
        """
        seconds_or_ever(timeout)  # before it is let go
        place = self._mine()
        if not self._end(place):
            raise self._never()  # another thread or task was faster
        await self._leave(place, timeout)

    async def _leave(self, place: Place, timeout: float | None) -> None:
        await place.leave(timeout=timeout)

    async def _exit(self, error: BaseException | None) -> None:
        """End a `with` block: release, and say so if it was lost while the block ran."""
        if self._place is None:
            return  # released inside
        loss = self._loss() if self.lost else None
        await self.release()
        if loss is not None and error is None:
            raise loss

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exit(error)

    async def _give_up(self, place: Place | None) -> None:
        """End an attempt that `_begin` began: stand in the queue no more."""
        if place is None or not self._end(place):
            with self._mutex:
                self._busy = False
        if place is not None:
            await place.leave()

    async def _restore(self, path: str, timeout: float) -> None:
        """What was taken away does not come back by itself: somebody else may hold it by now."""
