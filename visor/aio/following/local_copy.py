"""A local copy of a part of the registry, kept in sync: what mirrors, typed stores and registries stand on.

    stream --step--> cache (moves on, under its latch) --batch--> queues --> readers, callbacks, waiters

Steps are taken in as they arrive, by the receiver of the client's bytes; a task (in the blocking client: a
thread) begins, and begins again where a watch cannot go on. Nothing of the user's is called but checks, so no
user can hold a copy up. Readers look at the cache directly.
"""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from visor._core.following.cache import Cache
from visor._core.following.delta import Batch, Origin
from visor._core.following.errors import Stopped, WatcherClosed
from visor._core.following.ingest import Ingest
from visor._core.following.local_copy import PORTION, BaseLocalCopy
from visor._core.following.marked_feed import State, is_mark
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


class LocalCopy(BaseLocalCopy[E, Signal], Generic[E]):
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
        cache: Cache[E] = Cache(same)
        super().__init__(cache, Ingest(cache, client.channel.root.relative, make, gone), Signal, moved)
        self._gone = gone
        """Called with None before a whole state is looked at."""
        self._stream = Stream(client, what, self._arrived)
        if not confirm > 0:
            raise ValueError(f"confirm must be a positive number of seconds, not {confirm}")
        self._confirm = confirm
        self._runner: Any = None

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
        self._ended(error)

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

    async def _take_by_portions(self, item: list[Any]) -> None:
        """Take in a step without holding up others of this thread: making the entries is the most of it."""
        changes: list[tuple[str, E | None, Kind]] = []
        if not is_mark(item):
            for start in range(0, len(item[4]), PORTION):
                changes += self._ingest.part(item, start, start + PORTION)
                await turn()
        self._take(item, changes)

    # -- how old --------------------------------------------------------------------------------------

    @property
    def staleness(self) -> Staleness:
        """How old the copy may be; never waits."""
        connected = not self.ended and self._driver.hears
        known = max(self.cache.rev, self._driver.rev)
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

    async def until(self, true: Callable[[], bool], seconds: float | None) -> bool:
        """Wait until it is true, looking whenever the copy has moved; return whether it is."""
        return await self._signal.until(true, seconds)

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
