"""What a holder of a lock, a semaphore or a leadership knows of its hold, and how long it waits for one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from visor import guard, paths
from visor._core.backoff import Deadline
from visor._core.recipes.lease import LeaseState
from visor._core.recipes.queue import Contender, told
from visor.errors import BadPath, DeadlineExceeded, LockLost
from visor.guard import Guard
from visor.values import Result


class Life(Protocol):
    """The life of a session, which bounds that of all it holds."""

    def check(self) -> None:
        """Raise LeaseLost unless it lives."""

    def time_left(self) -> float:
        """Return the seconds for which it lives for sure."""


class Holder(Life, Protocol):
    """A session, as what it holds uses it."""

    @property
    def id(self) -> int:
        """The number of its lease."""

    @property
    def over(self) -> bool:
        """It is lost or ended."""

    def _hold(self, path: str, held: Any) -> None:
        """Look after what is held at this path."""

    def _let_go(self, path: str) -> None:
        """Look after it no more."""

    def _on_over(self, listener: Callable[[LeaseState], object]) -> None:
        """Call this when it is over."""

    def _off_over(self, listener: Callable[[LeaseState], object]) -> None:
        """Call it no more."""


class Spot(Protocol):
    """A place in a queue: the file that stands for the holder."""

    path: str
    fence: int
    rev: int


P = TypeVar("P", bound=Spot)


def check_directory(path: object, word: str) -> str:
    """Return the path of a queue; BadPath when it is none, so that nothing is ever sent, or left behind, there."""
    if not isinstance(path, str):
        raise BadPath(path=path, why=f"the directory of a {word} is text, not {type(path).__name__}")
    why = paths.check(path)
    if why is None and path == paths.ROOT:
        why = f"a {word} needs a directory of its own"
    if why is not None:
        raise BadPath(path=path, why=why)
    return path


def check_data(data: object) -> bytes:
    """Return what a contender says of itself; TypeError when that is not bytes."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"what a contender says of itself must be bytes, not {type(data).__name__}")
    return bytes(data)


class BasePatience:
    """How long an acquisition may take: until its deadline, and no longer than its session lives."""

    def __init__(self, session: Life, directory: str, deadline: Deadline | None) -> None:
        self._session = session
        self._directory = directory
        self._deadline = deadline
        self.holders: Sequence[Contender] = ()
        """Who held it when this contender looked last, where that was in the way."""
        self.waiting = 0
        """How many waited before this contender then."""
        self.pause = 0.0
        """Seconds to be waited for the sake of a holder that was lost, as was seen last."""

    def left(self) -> float:
        """Return the seconds that the next request may take; LeaseLost, DeadlineExceeded when there are none."""
        self._session.check()
        left = self._session.time_left()
        if self._deadline is not None:
            left = min(left, self._deadline.left())
            if left <= 0:
                raise self.late(self._deadline.whole)
        return left

    def late(self, seconds: float) -> DeadlineExceeded:
        """Return the error for an acquisition that took all of its time: who was in the way."""
        if self.holders:
            why = f"held by {told(self.holders)}"
            if self.waiting:
                why += f"; {self.waiting} waited before this one"
        elif self.pause:
            why = f"its last holder was lost, and asked for a delay of {self.pause:g} s"
        else:
            return DeadlineExceeded(seconds=seconds)
        return DeadlineExceeded(
            f"{self._directory}: not acquired within {seconds:g} s, {why}", seconds=seconds
        )

    def meet(self, holders: Sequence[Contender], ahead: Sequence[Contender], pause: float = 0.0) -> None:
        """Note who holds it, who else is in the way, and how long to wait for the sake of a holder that was lost."""
        self.holders = holders
        self.waiting = len(ahead) - len(holders)
        self.pause = pause

    def wait(self) -> float | None:
        """Return the seconds for which something may be waited for; None for ever."""
        return None if self._deadline is None else self._deadline.left()


class BaseHolding(Generic[P]):
    """Something of one session that is acquired and released, without what asks the registry for it."""

    _word: ClassVar[str] = "holding"
    _kind: str
    _mutex: AbstractContextManager[object]
    """Guards what is known here of the hold; never held across anything that waits."""
    _listeners: Any

    def __init__(self, session: Holder, path: str, data: bytes) -> None:
        self._session = session
        self._directory = check_directory(path, self._word)
        self._data = check_data(data)
        self._busy = False
        self._place: P | None = None
        self._lost = False

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

    def on_lost(self, listener: Callable[[Self], object]) -> None:
        """Call `listener(self)` when it is lost; in a thread (under asyncio: a task) of its own."""
        self._listeners.add(listener)

    def _free(self, queue: Sequence[Contender]) -> bool:
        """Say whether a newcomer would hold it at once."""
        raise NotImplementedError

    def _holders(self, queue: Sequence[Contender]) -> list[Contender]:
        """Return those of the queue that hold it."""
        raise NotImplementedError

    def guards(self) -> dict[str, Guard]:
        """Return what a transaction demands so that it happens only while this is held; else LockLost.

        `client.txn(lock.guards() | {...}, then=[...])`: `succeeded` is false when this, or another guard, failed.
        They hold until the holder writes its own file (`Election.proclaim`): take them anew after that. When the
        outcome of such a write is not known, `verify` finds it.
        """
        place = self._held_place()
        return {place.path: guard.rev(place.rev)}

    def _result(self, outcome: object, place: P) -> Result:
        if isinstance(outcome, Result):
            return outcome
        self._taken_away(place.path)
        raise self._loss()

    def _done(self, result: Result) -> int:
        """Return the rev of what was done; a write that was not done has none."""
        if not result.succeeded:
            raise self._loss()
        return result.rev

    def __repr__(self) -> str:
        state = "lost" if self.lost else "held" if self.held else "not held"
        return f"<visor {self._word} {self._directory}, {state}>"

    # -- inside ---------------------------------------------------------------------------------------
    def _mine(self) -> P:
        place = self._place
        if place is None:
            raise self._never()
        return place

    def _never(self) -> RuntimeError:
        return RuntimeError(f"the {self._word} {self._directory} was not acquired")

    def _held_place(self) -> P:
        """Return the place that is held; LockLost when none is, for whatever reason."""
        place = self._place
        if place is None or self.lost:
            raise self._loss()
        return place

    def _loss(self) -> LockLost:
        place, lease = self._place, self._session.id
        if place is None:
            text = f"{self._directory}: not held: it was not acquired, or was released"
            return LockLost(text, path=self._directory, fence=None, lease=lease)
        return LockLost(path=self._directory, fence=place.fence, lease=lease)

    def _begin(self) -> None:
        with self._mutex:
            if self._busy:
                raise RuntimeError(
                    f"the {self._word} {self._directory} is held, or being acquired, through this object; "
                    "another contender makes another one"
                )
            self._busy = True
            self._lost = False

    def _got(self, place: P) -> None:
        with self._mutex:
            self._place = place
        self._session._hold(place.path, self)
        self._session._on_over(self._session_over)
        self._session.check()

    def _end(self, place: P) -> bool:
        """Hold `place` no more; false when that is so already. What is held since then through this object stays."""
        with self._mutex:
            if self._place is not place:
                return False
            self._place = None
            self._busy = False
        self._session._let_go(place.path)
        self._session._off_over(self._session_over)
        return True

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
            self._listeners.tell(self)
