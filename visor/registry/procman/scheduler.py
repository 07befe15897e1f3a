"""The scheduler: as many instances of each group as `scale` was last told, whatever becomes of them.

Any number of them may run: two that notice the same loss register one instance, because a count and what follows from
it are one transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from visor._core.log import named
from visor.aio.registry import Registry
from visor.errors import DeadlineExceeded, DecodeError, NotFound, VisorError
from visor.registry import EventType, Group

log = named("visor.scheduler")

ENDS = (
    EventType.INSTANCE_LOST,
    EventType.INSTANCE_EXIT,
    EventType.INSTANCE_FAIL,
    EventType.INSTANCE_UNREGISTER,
)
QUIET, MOST = 10.0, 30.0


class Scheduler:
    """Replaces what ends. A group whose instances keep ending waits longer each time, up to half a minute."""

    def __init__(self, registry: Registry, *, clock: Callable[[], float], pause: float = 0.2) -> None:
        self._registry = registry
        self._clock = clock
        self._pause = pause
        self._last: dict[Group, tuple[float, float]] = {}
        """When a group was topped up last, and how long it has to wait after that."""
        self.following = asyncio.Event()
        """Set once no end can be missed any more."""

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                async with await self._registry.watch_event(types=ENDS) as events:
                    self.following.set()
                    while True:
                        due = await self.balance()
                        try:
                            await events.next_commit(timeout=due)
                        except DeadlineExceeded:
                            continue
            except VisorError as error:
                log.warning("the scheduler begins anew: %s", error)
                await asyncio.sleep(0.5)

    async def balance(self) -> float | None:
        """Register what is missing; return the seconds until a group that has to wait may be topped up, if any."""
        due: float | None = None
        view = await self._registry.snapshot()
        for group in await view.targets():
            wait = self._wait(group)
            if wait > 0:
                due = wait if due is None else min(due, wait)
                continue
            try:
                scaled = await view.top_up(*group.names)
            except (NotFound, DecodeError) as error:
                log.info("%s: %s", group, error)
                continue
            if scaled.instances:
                log.info("%s: %d -> %d", group, scaled.previous, scaled.count)
                self._note(group)
        return due

    def _wait(self, group: Group) -> float:
        last, pause = self._last.get(group, (0.0, 0.0))
        return last + pause - self._clock()

    def _note(self, group: Group) -> None:
        last, pause = self._last.get(group, (0.0, 0.0))
        now = self._clock()
        calm = now - last > pause + QUIET
        self._last[group] = now, self._pause if calm or not pause else min(pause * 2, MOST)
