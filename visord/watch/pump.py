"""Drives a hub in turns of the loop: a few milliseconds of publishing, then all others, then the next few.

pump = Pump(hub, loop.call_soon, time.perf_counter)
pump.wake()                     # something was applied, or a reader gave credit: the hub may have something to do
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from visord.watch.hub import Hub

PUMP_SECONDS: Final = 0.003
"""For which the hub publishes in one turn of the loop, if it has so much to do. With one portion a turn, watches would
be late by as many of another's long commands."""
MOST_PUMPS: Final = 4
HUB_BUDGET: Final = 2048
"""Units (about a microsecond each) of catching-up work that the hub does at once."""


class Pump:
    """See the module. `call_soon` runs a callback in this turn of the loop; `stopwatch` gives seconds."""

    def __init__(
        self,
        hub: Hub,
        call_soon: Callable[[Callable[[], None]], object],
        stopwatch: Callable[[], float],
    ) -> None:
        self._hub = hub
        self._call_soon = call_soon
        self._stopwatch = stopwatch
        self._scheduled = False
        self._closed = False

    def wake(self) -> None:
        """Let the hub deliver in this turn of the loop."""
        if not self._scheduled and self._hub.busy:
            self._scheduled = True
            self._call_soon(self._pump)

    def close(self) -> None:
        """Deliver no more."""
        self._closed = True

    def _pump(self) -> None:
        self._scheduled = False
        stopwatch = self._stopwatch
        end = stopwatch() + PUMP_SECONDS
        for _ in range(MOST_PUMPS):
            if self._closed or not self._hub.pump(HUB_BUDGET):
                return
            if stopwatch() >= end:
                break
        self.wake()
