"""A local copy of a part of the registry, kept in sync: what mirrors, typed stores and registries stand on.

    stream --step--> cache (moves on, under its latch) --batch--> queues --> readers, callbacks, waiters

Steps are taken in as they arrive, by whoever receives for the client; a task (in the blocking client: a
thread) begins, and begins again where a watch cannot go on. Nothing of the user's is called but checks, so no
user can hold a copy up. Readers look at the cache directly.
"""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from visor._core.following.cache import Cache, View
from visor._core.following.delta import Batch, Origin
from visor._core.following.errors import Stopped, WatcherClosed
from visor._core.following.ingest import Ingest
from visor._core.following.marked_feed import State, is_mark
from visor._core.following.reader_queue import ReaderQueue
from visor._core.following.staleness import Staleness
from visor._core.log import log
from visor._drivers.aio.signal import Signal, turn
from visor.aio.following import freshness
from visor.aio.following.stream import RECOVERED, Stream
from visor.errors import ClientClosed, Compacted, DeadlineExceeded, VisorError
from visor.select import Selector
from visor.values import Kind

if TYPE_CHECKING:
    from visor._drivers.aio.driver import Driver
    from visor.aio.client import Client

E = TypeVar("E")

PORTION = 250
"""Entries that are made in one go."""


class _LargeError(Exception):
    """A step is too large to be taken in by whoever receives."""


class LocalCopy(Generic[E]):
    """The copy; `make(path, rev, version)` makes an entry of a file, None for one that is not wanted.

    `Mirror`, `Store` and `Registry` say what entries are; this says how they come and how old they are.
    """

    def __init__(
        self,
        client: Client[Any],
        what: str | Selector,
        make: Callable[[str, int, list[Any]], E | None],
        same: Callable[[E, E], bool],
        *,
        confirm: float = 5.0,
        moved: Callable[[Batch[E]], object] | None = None,
        gone: Callable[[str | None], object] | None = None,
    ) -> None:
        self._client = client
        self._driver: Driver = client.channel.driver
        self._clock = client.channel.settings.clock
        self._moved = moved
        """Called under the latch with every batch, before anybody else hears of it."""
        self._gone = gone
        """Called with the path of every file that was deleted, with None before a whole state is looked at."""
        self._stream = Stream(client, what, self._arrived)
        self.cache: Cache[E] = Cache(same)
        self._ingest = Ingest(self.cache, client.channel.root.relative, make, gone)
        self._taps: list[tuple[ReaderQueue[E], Signal]] = []
        self._signal = Signal()
        if not confirm > 0:
            raise ValueError(f"confirm must be a positive number of seconds, not {confirm}")
        self._confirm = confirm
        self._runner: Any = None
        self._asked = 0.0
        """When the state that the cache holds at least was asked for."""
        self._promised: list[tuple[float, int]] = []
        """`(moment, rev)`: once the cache is at rev, it holds all that was committed at the moment."""
        self.error: VisorError | None = None
        self.ended = False

    # -- life -----------------------------------------------------------------------------------------
    async def start(self, timeout: float | None) -> None:
        """Fetch the first state and keep it in sync from then on."""
        if self._runner is not None or self.ended:
            raise RuntimeError("a copy is started once; make another one")
        try:
            await self._take_state(await self._stream.open(timeout))
        except BaseException:
            await self.close()
            raise
        self._runner = self._driver.spawn(self, self._run)
        freshness.join(self._client, self, self._confirm)

    async def _run(self) -> None:
        """Take steps until it is closed or cannot go on."""
        error: VisorError | None = None
        try:
            while True:
                step = await self._stream.next()
                if isinstance(step, State):
                    await self._take_state(step)
                else:
                    await self._take_by_portions(step)
        except WatcherClosed:
            pass
        except ClientClosed as caught:
            error = caught
        except VisorError as caught:
            error = caught
            log.warning("a local copy of the registry ended at rev %d: %s", self.rev, caught)
        except Exception as caught:
            error = Stopped()
            error.__cause__ = caught
            log.exception("a local copy of the registry failed at rev %d", self.rev)
        finally:
            await self._stream.close()
            self._end(error)

    def _end(self, error: VisorError | None) -> None:
        freshness.leave(self._client, self)
        with self.cache.latch:
            self.error, self.ended = error, True
            taps, self._taps = self._taps, []
            for queue, _ in taps:
                queue.end(Stopped(), error)
        for _, signal in taps:
            signal.fire()
        self._signal.fire()

    async def close(self) -> None:
        """End it: idempotent, bounded (a second). What it holds can still be read."""
        await self._stream.close()
        if self._runner is not None:
            await self._driver.join(self._runner)
        elif not self.ended:
            self._end(None)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- steps ----------------------------------------------------------------------------------------
    async def _take_state(self, state: State) -> None:
        origin = Origin.BACKLOG if self._runner is None else Origin.REBUILT
        if self._gone is not None:
            self._gone(None)
        entries: dict[str, E] = {}
        for start in range(0, len(state.rows), PORTION):
            entries.update(self._ingest.entries(state.rev, state.rows[start : start + PORTION]))
            await turn()
        with self.cache.latch:
            told = bool(self._taps) or self._moved is not None
            batch = self._ingest.reset(state.rev, entries, origin, told)
            self._asked = max(self._asked, state.asked)
            self._publish(batch)

    def _arrived(self, item: list[Any]) -> None:
        """Take in a step as it arrives; a large one is left to the reader, who takes it by portions."""
        if not is_mark(item) and len(item[4]) > PORTION:
            raise _LargeError
        self._take(item, self._ingest.changes(item))

    async def _take_by_portions(self, item: list[Any]) -> None:
        """Take in a step without holding up whoever shares this thread: making the entries is the most of it."""
        changes: list[tuple[str, E | None, Kind]] = []
        if not is_mark(item):
            for start in range(0, len(item[4]), PORTION):
                changes += self._ingest.part(item, start, start + PORTION)
                await turn()
        self._take(item, changes)

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

    # -- how old --------------------------------------------------------------------------------------
    @property
    def rev(self) -> int:
        """The rev at which the copy equals the registry."""
        return self.cache.rev

    @property
    def staleness(self) -> Staleness:
        """How old the copy may be; never waits."""
        connected = not self.ended and self._driver._fault is None and self._client.address is not None
        known = max(self.cache.rev, self._driver._session.rev)
        return Staleness(self.cache.rev, known, self._clock() - self._asked, connected)

    async def promise(self, moment: float, rev: int) -> None:
        """The registry was at `rev`, and not further, at the clock's `moment`: ask to be brought there."""
        with self.cache.latch:
            if rev > self.cache.rev:
                self._promised = [*self._promised[-8:], (moment, rev)]
            else:
                self._asked = max(self._asked, moment)
                return
        with contextlib.suppress(VisorError):  # with no time to wait that is how it always ends
            await self._stream.ask(0.0)

    async def wait_for(self, rev: int, timeout: float | None) -> int:
        """Wait until the copy is at `rev`, and return its rev."""
        deadline = self._driver.deadline(timeout)
        while self.cache.rev < rev:
            self._check()
            if deadline.left() <= 0:
                seconds = deadline.whole
                raise DeadlineExceeded(
                    f"the copy is at rev {self.rev}, not at rev {rev}, after {seconds:g} s", seconds=seconds
                )
            await self._towards(rev, deadline.left())
        return self.cache.rev

    async def _towards(self, rev: int, left: float) -> None:
        """Come closer to `rev`: have a mark sent, and wait for the rev to be committed if it is not yet."""
        try:
            arrived = await self._stream.ask(left)
            if arrived < rev and self.cache.rev < rev:
                await self._client.stat("/", at=rev, timeout=min(left, 1.0))
        except Compacted:
            arrived = rev  # so it was committed
        except RECOVERED:
            arrived = 0
        patience = left if arrived >= rev else min(left, 0.05)
        await self._signal.until(lambda: self.cache.rev >= rev or self.ended, min(patience, 1.0))

    async def refresh(self, timeout: float | None) -> int:
        """Wait until the copy holds everything that was committed before this call, and return its rev."""
        deadline = self._driver.deadline(timeout)
        moment = self._clock()
        rev = await self.wait_for(await self._client.rev(timeout=deadline.left()), deadline.left())
        with self.cache.latch:
            self._asked = max(self._asked, moment)
        return rev

    def _check(self) -> None:
        """Raise why it does not move any more."""
        if self.error is not None:
            raise self.error
        if self.ended:
            raise Stopped()

    # -- readers --------------------------------------------------------------------------------------
    def view(self) -> View[E]:
        """Return the copy as it is now, held still."""
        with self.cache.latch:
            return self.cache.view()

    def tap(self, queue: ReaderQueue[E]) -> tuple[View[E], Signal]:
        """Let the queue have every batch after the view that is returned: nothing lost, nothing doubled."""
        signal = Signal()
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
