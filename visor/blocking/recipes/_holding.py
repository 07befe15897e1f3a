# Generated from visor/aio/recipes/_holding.py by tests/hygiene/unasync.py.
"""What locks, semaphores and leaderships have in common: a place in a queue that is held, and may be lost.

**Holding something over a network protects nothing by itself.** A holder may stand still (a long pause, a suspended
machine) while its lease expires and the next one is let in; when it wakes, it goes on writing. What protects is
the comparison where the write is done: writes to this registry go through `set`, `txn` or `guards`, which are
refused from the instant on in which the hold is lost; writes to anything else carry `fence`, a number that is
higher for every later holder.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from visor import guard, op
from visor._contenders import Contender, in_order
from visor._tenure import LeaseState
from visor.blocking._announcer import Announcer
from visor.blocking.recipes._place import Patience, Place, files_in
from visor.codecs import BYTES
from visor.errors import LockLost, NotFound
from visor.guard import Guard
from visor.op import Op
from visor.values import Result

if TYPE_CHECKING:
    from visor.blocking.session import Session


class Holding:
    """Something of one session that is acquired and released.

    One object is one contender: it cannot be acquired twice at once (RuntimeError), also not by another thread or task;
    each makes its own. Those that wait are served in the order in which they came.
    """

    _word: ClassVar[str] = "holding"
    _kind: str

    def __init__(self, session: Session, path: str, data: bytes) -> None:
        self._session = session
        self._client = session._client
        self._directory = path
        self._data = data
        self._mutex = threading.Lock()
        self._busy = False
        self._place: Place | None = None
        self._lost = False
        self._announcer: Announcer[Holding] = Announcer(session._client._driver)

    # -- how it stands --------------------------------------------------------------------------------
    @property
    def directory(self) -> str:
        """The path that names it."""
        return self._directory

    @property
    def path(self) -> str:
        """The file that stands for this holder; RuntimeError when it was not acquired."""
        return self._mine().path

    @property
    def fence(self) -> int:
        """The fencing number, higher for every later holder; RuntimeError when it was not acquired."""
        return self._mine().fence

    @property
    def held(self) -> bool:
        """It was acquired, not released, and is not lost as far as this client can know without asking."""
        return self._place is not None and not self.lost

    @property
    def lost(self) -> bool:
        """It was acquired, not released, and may have been given to somebody else."""
        return self._place is not None and (self._lost or self._session.over)

    def check(self) -> None:
        """Raise LockLost unless it is held, as far as this client can know without asking."""
        if not self.held:
            raise self._loss()

    def verify(self, *, timeout: float | None = None) -> None:
        """Ask the registry, and raise LockLost unless it was held at that moment."""
        self.check()
        place = self._mine()
        try:
            file = self._client.get(place.path, codec=BYTES, timeout=timeout)
            there = file.created == place.fence and file.lease == self._session.id
        except NotFound:
            there = False
        if not there:
            self._taken_away(place.path)
            raise self._loss()

    def on_lost(self, listener: Callable[[Holding], object]) -> None:
        """Call `listener(self)` when it is lost; in a thread (under asyncio: a task) of its own."""
        self._announcer.add(listener)

    def contenders(self, *, timeout: float | None = None) -> list[Contender]:
        """Return who holds it and who waits, in order."""
        return in_order(files_in(self._client, self._directory, timeout), data=True)

    # -- acquiring ------------------------------------------------------------------------------------
    def acquire(self, timeout: float | None = None) -> int:
        """Wait until it is held, `timeout` seconds at most (None: for ever), and return the fencing number.

        DeadlineExceeded when it was not to be had in time, LeaseLost when the session ends meanwhile. Whatever is
        raised, also an interruption, this contender does not stand in the queue any more.
        """
        self._begin()
        place = Place(self._session, self._directory, self._kind, self._data)
        try:
            self._take(place, Patience(self._session, timeout), wait=True)
            self._got(place)
            return place.fence
        except BaseException:
            self._end()
            place.leave()
            raise

    def try_acquire(self, *, timeout: float | None = None) -> int | None:
        """Take it if it is free, and return the fencing number; None when it is not.

        `timeout` is for the requests (default: the client's).
        """
        if not self._free(self.contenders(timeout=timeout)):
            return None
        self._begin()
        place = Place(self._session, self._directory, self._kind, self._data)
        taken = False
        try:
            patience = Patience(self._session, self._client._settings.timeout if timeout is None else timeout)
            taken = self._take(place, patience, wait=False)
            if taken:
                self._got(place)
        except BaseException:
            taken = False
            raise
        finally:
            if not taken:
                self._end()
                place.leave()
        return place.fence if taken else None

    def _free(self, queue: Sequence[Contender]) -> bool:
        """Say whether a newcomer would hold it at once."""
        raise NotImplementedError

    def _take(self, place: Place, patience: Patience, *, wait: bool) -> bool:
        """Enter the queue, and return True once it is held; False, without `wait`, when that takes time."""
        raise NotImplementedError

    # -- holding --------------------------------------------------------------------------------------
    def guards(self) -> dict[str, Guard]:
        """Return what a transaction demands so that it happens only while this is held; LockLost, RuntimeError.

        `client.txn(lock.guards() | {...}, then=[...])`: `succeeded` is false when this, or another guard, failed.
        """
        self.check()
        place = self._mine()
        return {place.path: guard.rev(place.rev)}

    def txn(
        self,
        guards: Mapping[str, Guard] | Iterable[tuple[str, Guard]] = (),
        then: Sequence[Op] = (),
        orelse: Sequence[Op] = (),
        *,
        note: str | None = None,
        timeout: float | None = None,
    ) -> Result:
        """Do a transaction (see `Client.txn`) that happens only while this is held; else LockLost."""
        self.check()
        place = self._mine()
        pairs = list(guards.items() if isinstance(guards, Mapping) else guards)
        pairs.append((place.path, guard.rev(place.rev)))
        # Whether it was the hold that failed is read in the same instant, before `orelse` can change anything.
        asked = [op.get(place.path), *orelse]
        result = self._client.txn(pairs, then, asked, note=note, timeout=timeout)
        if result.succeeded:
            return result
        mine: Any = result.results[0]
        if mine is None or mine.mod_rev != place.rev:
            self._taken_away(place.path)
            raise self._loss()
        return Result(result.rev, False, result.results[1:])

    def set(self, path: str, value: Any, *, note: str | None = None, timeout: float | None = None) -> int:
        """Write a file while this is held, and return the rev of that; else LockLost, and nothing is written."""
        return (self.txn(then=[op.set(path, value)], note=note, timeout=timeout)).rev

    def delete(self, path: str, *, note: str | None = None, timeout: float | None = None) -> int:
        """Delete a file while this is held, and return the rev of that; else LockLost, and nothing is done."""
        return (self.txn(then=[op.delete(path)], note=note, timeout=timeout)).rev

    # -- letting go -----------------------------------------------------------------------------------
    def release(self, *, timeout: float | None = None) -> None:
        """Give it to the next one. Silent when it was lost; RuntimeError when it was not acquired.

        When the registry cannot be reached, that is done in the background, at the latest when the session ends.
        """
        place = self._mine()
        self._end()
        self._leave(place, timeout)

    def _leave(self, place: Place, timeout: float | None) -> None:
        place.leave(timeout=timeout)

    def _exit(self, error: BaseException | None) -> None:
        """End a `with` block: release, and say so if it was lost while the block ran."""
        if self._place is None:
            return  # released inside
        loss = self._loss() if self.lost else None
        self.release()
        if loss is not None and error is None:
            raise loss

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit(error)

    def __repr__(self) -> str:
        state = "lost" if self.lost else "held" if self.held else "not held"
        return f"<visor {self._word} {self._directory}, {state}>"

    # -- inside ---------------------------------------------------------------------------------------
    def _mine(self) -> Place:
        place = self._place
        if place is None:
            raise RuntimeError(f"the {self._word} {self._directory} was not acquired")
        return place

    def _loss(self) -> LockLost:
        place = self._place
        fence = place.fence if place is not None else None
        return LockLost(path=self._directory, fence=fence, lease=self._session.id)

    def _begin(self) -> None:
        with self._mutex:
            if self._busy:
                raise RuntimeError(
                    f"the {self._word} {self._directory} is held, or being acquired, through this object; "
                    "another contender makes another one"
                )
            self._busy = True
            self._lost = False

    def _got(self, place: Place) -> None:
        self._place = place
        self._session._hold(place.path, self)
        self._session._on_over(self._session_over)
        self._session.check()

    def _end(self) -> None:
        with self._mutex:
            if self._place is not None:
                self._session._let_go(self._place.path)
                self._session._off_over(self._session_over)
            self._place = None
            self._busy = False

    def _session_over(self, state: LeaseState) -> None:
        place = self._place
        if place is not None:
            self._taken_away(place.path)

    def _taken_away(self, path: str) -> None:
        """What was held at `path` is held no more, whatever this client did; what is held since then is not meant."""
        with self._mutex:
            first = self._place is not None and self._place.path == path and not self._lost
            if first:
                self._lost = True
        if first:
            self._announcer.tell(self)
