"""The view registry: who is there, how they are, and waiting until that changes or rests.

async with Registry(RegistryLocator(client), features=Feature, probe=tcp()) as registry:
    for view in registry.healthy_views(Feature.HASH_SP): ...
    await registry.wait_for_stable(5.0)
"""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from enum import IntFlag
from types import TracebackType
from typing import Any

from visor._core.following.errors import Stopped
from visor._core.log import log
from visor._core.public import public
from visor._core.views.catalog import BaseRegistry, Catalog, Reported, Schedule, View
from visor._core.views.partition import WHOLE, HashRange, covers
from visor._core.views.shape import check_probe
from visor._drivers import chance, clocks
from visor._drivers.aio.probing import AWAITED, Probe, Prober, join, spawn
from visor._drivers.aio.signal import Signal
from visor.aio.views.locator import Locator
from visor.errors import DeadlineExceeded, VisorError


class Registry(BaseRegistry):
    """The views that a locator finds. Closes the locator with itself.

    `features` is the enum (an IntFlag) whose members views provide; without it they are numbers. With a `probe`
    every view is asked every `period` seconds how it is, and has `patience` seconds to answer; a view is
    healthy when it is announced and its last probe has passed. A probe that cannot be called with (endpoint, timeout)
    is refused here (TypeError). Without a probe a view is healthy as long as it is announced. Lists are copies, views
    do not change: ask again for what is true now.
    """

    _signal: Signal

    def __init__(
        self,
        locator: Locator,
        *,
        features: type[IntFlag] | None = None,
        probe: Probe | None = None,
        period: float = 10.0,
        patience: float = 5.0,
        now: Callable[[], datetime] = clocks.utc_now,
        clock: Callable[[], float] = clocks.monotonic,
    ) -> None:
        if probe is not None:
            check_probe(probe, awaited=AWAITED)
        self._locator = locator
        self._clock = clock
        self._schedule = Schedule(period, chance.dice)
        super().__init__(Catalog(now, clock, features, probe is not None), Signal())
        self._prober = None if probe is None else Prober(probe, patience, self._probed)
        self._patience = patience
        self._runners: list[Any] = []
        self._version = 0
        self._merging = threading.Lock()
        self._stirred = False
        """A view may be due for a probe sooner than was thought."""
        self._closed = False
        self._ended = False

    # -- life -----------------------------------------------------------------------------------------
    async def start(self) -> Registry:
        """Find out who is there, and follow it from then on; `with` does it."""
        await self._locator.start()
        self._merge()
        self._runners = [spawn(self._follow)]
        if self._prober is not None:
            self._runners.append(spawn(self._probe))
        return self

    async def close(self) -> None:
        """End it, and its locator: idempotent, bounded (some seconds). Its lists are empty then: one last change."""
        self._closed = True
        self._signal.fire()
        await self._locator.close()
        for runner in self._runners:
            await join(runner)
        if self._prober is not None:
            await self._prober.close()
        if not self._ended:
            self._ended = True
            self._catalog.end()
            self._signal.fire()

    async def __aenter__(self) -> Registry:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _follow(self) -> None:
        try:
            while not self._closed:
                await self._locator.wait_for_update(self._version)
                self._merge()
        except VisorError as error:
            if not self._closed:
                log.warning("the view registry ended: %s", error)
        finally:
            if not self._ended:
                self._ended = True
                self._catalog.end()
                self._signal.fire()

    def _merge(self) -> None:
        with self._merging:  # or an older list could be taken in after a newer one
            found = self._locator.cached()
            self._version = found.version
            changed = bool(found.version) and self._catalog.merge(found.endpoints, found.problems)
        if changed:
            self._stirred = True
            self._signal.fire()

    async def _probe(self) -> None:
        prober, schedule, catalog = self._prober, self._schedule, self._catalog
        assert prober is not None
        while not self._closed:
            self._stirred = False
            for id, entry in schedule.due(catalog.entries(), self._clock()):
                prober.submit(id, entry.number, entry.endpoint)
            for (id, number), problem in prober.overdue().items():
                if catalog.probed(id, number, problem, None):
                    self._signal.fire()
            wait = min(schedule.next(self._clock()), self._patience)
            await self._signal.until(lambda: self._closed or self._stirred, max(0.001, wait))

    def _probed(self, id: str, number: int, problem: str | None, report: Reported | None) -> None:
        """Take in how a probe ended; called by the prober."""
        self._schedule.done(id, number, self._clock())
        if not isinstance(report, Reported):
            report = None  # a probe may return whatever it likes
        if self._catalog.probed(id, number, problem, report):
            self._signal.fire()

    # -- who is there ---------------------------------------------------------------------------------

    def covering(
        self,
        space: str,
        *features: int,
        count: int = 1,
        whole: HashRange = WHOLE,
        among: Iterable[View] | None = None,
        shuffle: Callable[[list[int]], object] | None = chance.shuffle,
    ) -> list[list[View]]:
        """Return `count` lists of healthy views with these features, each of which serves all of the space.

        Within a list no hash is served twice where that is possible, and no view is in two lists where
        that is possible. Empty when some hash is served by nobody. `shuffle` spreads the choice.
        """
        views = self.healthy_views(*features) if among is None else list(among)
        return covers(views, space, count, whole, shuffle)

    # -- waiting --------------------------------------------------------------------------------------

    async def wait_for_change(self, since: datetime, *, timeout: float | None = None) -> datetime:
        """Wait until something has changed after `since`, and return when. DeadlineExceeded, Stopped."""
        catalog = self._catalog
        if not await self._signal.until(lambda: catalog.last_changed > since or self._ended, timeout):
            raise DeadlineExceeded(seconds=timeout or 0.0)
        if catalog.last_changed <= since:
            raise Stopped()
        return catalog.last_changed

    async def wait_for_stable(self, seconds: float, *, timeout: float | None = None) -> None:
        """Wait until nothing has changed for so many seconds. DeadlineExceeded, Stopped.

        That nothing was heard is not enough: the registry must vouch for such a time of rest, one that ended no
        longer ago than it lasted. With a `timeout` of 0 this returns if it has done so already.
        """
        deadline = math.inf if timeout is None else self._clock() + timeout
        catalog = self._catalog
        while True:
            moved = catalog.moved
            if self._ended:
                raise Stopped()
            now, rested = self._clock(), moved + seconds
            left = deadline - now
            moment = max(rested, now - seconds)
            if now >= rested and await self._confirmed(moment, left) and catalog.moved == moved:
                return
            if left <= 0:
                raise DeadlineExceeded(seconds=timeout or 0.0)
            await self._until_moved(moved, min(left, max(0.01, rested - now)))

    async def _until_moved(self, moved: float, wait: float) -> None:
        await self._signal.until(lambda: self._catalog.moved != moved or self._ended, wait)

    async def _confirmed(self, moment: float, left: float) -> bool:
        """Whether the locator's list was all there was at the moment, and is merged."""
        try:
            if not await self._locator.confirm(moment, max(0.001, min(left, 5.0))):
                return False
        except VisorError:
            return False
        self._merge()
        return True


public("visor.aio.views", Registry)
