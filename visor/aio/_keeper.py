"""Keeps leases alive: one runner for all leases of a client that have the same time to live.

Three times in a time to live it sends one KEEPALIVE for all of them. An attempt that is not answered in a third of the
time to live is given up, with the node that did not answer it, whatever else that node says, and made again elsewhere;
when the time that is sure is over, the lease is lost, whether or not anything was heard. Leases of another time to live
have another runner, so a long attempt for one never costs another its life.

    0 s          3.3 s              6.7 s           8.3 s   9.2 s       10 s        (time to live: 10 s)
    confirmed    sent to node A     to B            to C    ...         lost

So one silent node costs no lease while another one answers.
"""

# ruff: noqa: ASYNC109  # how long what is kept may take is part of it
from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from visor._core.log import log
from visor._core.recipes.lease import LEAST_ATTEMPT, SHARE, LeaseTimer, attempt_seconds
from visor._drivers.aio.signal import Signal
from visor._drivers.clocks import lease_clock
from visor.errors import ClientUnusable, DeadlineExceeded, VisorError
from visor.protocol import verbs

if TYPE_CHECKING:
    from visor.aio._channel import Channel

MOST_LEASES = 4096
"""In one message."""
CLOSE_SECONDS = 1.0


class Kept(Protocol):
    """A lease, as its keeper knows it."""

    _timer: LeaseTimer

    @property
    def id(self) -> int:
        """Its number."""

    @property
    def over(self) -> bool:
        """It is lost or ended."""

    def time_left(self) -> float:
        """Return the seconds for which it is held for sure."""

    def _confirmed(self, sent: float, ttl: float) -> None:
        """An attempt that was sent then was answered."""

    def _missed(self, sent: float) -> None:
        """An attempt that was sent then was not answered."""

    def _gone(self) -> None:
        """The registry does not know it any more."""

    async def _look_after(self, timeout: float) -> None:
        """Do what is to be done while it is kept alive."""

    async def close(self, *, timeout: float | None = None) -> None:
        """Revoke it if that can be done."""


class Keeper:
    """The runner for one time to live, in seconds. It ends when it has no leases, and begins anew with the next."""

    def __init__(self, channel: Channel[Any], ttl: float) -> None:
        self._channel = channel
        self._ttl = ttl
        self._clock = lease_clock(channel.settings.clock)
        self._lock = threading.Lock()
        self._leases: dict[int, Kept] = {}
        self._runner: Any = None
        self._signal = Signal()
        self._changes = 0
        self._silences = 0
        """How many attempts in a row were not answered in time."""

    def add(self, lease: Kept) -> None:
        """Keep the lease alive from now on."""
        with self._lock:
            self._leases[lease.id] = lease
            self._changes += 1
            if self._runner is None:
                self._runner = self._channel.driver.spawn(self, self._run)
        self._signal.fire()

    def discard(self, lease: Kept) -> None:
        """Keep it no more."""
        with self._lock:
            if self._leases.get(lease.id) is lease:
                del self._leases[lease.id]
            self._changes += 1
        self._signal.fire()

    def leases(self) -> list[Kept]:
        """Return the leases that are kept."""
        with self._lock:
            return list(self._leases.values())

    def surely(self) -> float:
        """Return for how many seconds all of them are held for sure; math.inf when there are none."""
        return min((lease.time_left() for lease in self.leases()), default=math.inf)

    async def close(self) -> None:
        """Keep nothing any more; called by the driver at its end."""
        with self._lock:
            leases, self._leases = list(self._leases.values()), {}
            self._changes += 1
            runner = self._runner
        self._signal.fire()
        for lease in leases:
            lease._gone()
        if runner is not None:
            await self._channel.driver.join(runner)

    async def _run(self) -> None:
        while True:
            with self._lock:
                leases, seen = list(self._leases.values()), self._changes
                if not leases:
                    self._runner = None
                    return
            over = [lease for lease in leases if lease.over]
            if over:
                self._drop(over)
                continue
            now = self._clock()
            # Also when they end: listeners are told then, whatever the next attempt waits for.
            wait = min(min(lease._timer.due, lease._timer.deadline) for lease in leases) - now
            if wait > 0:
                await self._signal.until(self._changed_since(seen), wait)
            else:
                soon = now + self._ttl / 30
                await self._keep(
                    [lease for lease in leases if lease._timer.due <= soon][:MOST_LEASES], leases
                )

    def _changed_since(self, seen: int) -> Callable[[], bool]:
        return lambda: self._changes != seen

    async def _keep(self, batch: list[Kept], leases: list[Kept]) -> None:
        """Send one KEEPALIVE and note what came of it."""
        sent = self._clock()
        surely = min(lease._timer.deadline for lease in leases) - sent
        if surely <= 0:
            return  # it has ended since it was looked at: that is told first
        timeout = attempt_seconds(self._ttl, surely)
        message = [verbs.KEEPALIVE, 0, [lease.id for lease in batch]]
        try:
            kept = dict(await self._channel.call(message, False, timeout))
        except ClientUnusable:
            self._drop(leases)
        except Exception as error:
            self._missed(batch, sent, timeout, error)
        else:
            self._silences = 0
            for lease in batch:
                ttl = kept.get(lease.id)
                if ttl:
                    lease._confirmed(sent, ttl / 1000)
                elif ttl is None:
                    lease._missed(sent)
                else:
                    lease._gone()
            await self._look_after(batch)
        self._drop(lease for lease in leases if lease.over)

    def _missed(self, batch: list[Kept], sent: float, timeout: float, error: Exception) -> None:
        """Note that an attempt has failed, and give up a node that has not answered it."""
        if isinstance(error, VisorError):
            log.info("leases were not kept alive: %s", error)
        else:  # the leases live on, with the next attempt
            log.error("leases were not kept alive, in an unforeseen way", exc_info=error)
        if isinstance(error, DeadlineExceeded):
            self._silences += 1
            # A connection that is younger than that may just be about to answer.
            self._channel.driver.forsake(timeout / 2, again=self._silences > 1)
        for lease in batch:
            lease._missed(sent)

    async def _look_after(self, batch: list[Kept]) -> None:
        """See to what is built on the leases; each has its share of the time, and none is in another's way."""
        until = self._clock() + self._ttl / (2 * SHARE)
        for number, lease in enumerate(batch):
            share = (until - self._clock()) / (len(batch) - number)
            try:
                await lease._look_after(max(LEAST_ATTEMPT, share))
            except Exception:
                log.exception("lease %d cannot be looked after", lease.id)

    def _drop(self, leases: Iterable[Kept]) -> None:
        for lease in leases:
            lease._gone()  # what has ended already stays as it is
            self.discard(lease)
