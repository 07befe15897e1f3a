"""A lease: what is attached to it goes when it ends, and it ends when nobody keeps it alive.

    async with await client.lease(10) as lease:                  # kept alive in the background
        await client.set("/nodes/a", b"up", lease=lease)
        ...
        lease.check()                                            # LeaseLost when it cannot be relied on any more
    # revoked: /nodes/a is gone

The client counts a lease from when its last confirmed keep-alive was *sent*, on a monotonic clock. So it is `lost` here
before the registry gives it up, also when the network or this process stood still. Lost is final: grant another one.
"""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from visor._core.backoff import seconds_or_ever
from visor._core.log import log
from visor._core.public import public
from visor._core.recipes.lease import LeaseState, LeaseTimer
from visor._drivers.aio.signal import Signal
from visor._drivers.clocks import lease_clock
from visor._drivers.forks import process_id
from visor.aio._listeners import Listeners
from visor.errors import LeaseLost, LeaseNotFound, VisorError
from visor.protocol import verbs
from visor.values import LeaseInfo

if TYPE_CHECKING:
    from visor.aio._keeper import Keeper
    from visor.aio.client import Client

CLOSE_SECONDS = 1.0


class Lease:
    """A lease of this client; made by `Client.lease`. Usable as a context manager, whose end revokes it.

    `state` is connected, suspended (an attempt to keep it alive has failed, it is still held), lost, or ended (by
    `revoke` or `close`). In a fork of the process that made it, it is lost.
    """

    _word = "lease"

    def __init__(
        self, client: Client[Any], lease: int, ttl: float, sent: float, keeper: Keeper | None
    ) -> None:
        self._client = client
        self._id = lease
        self._clock = lease_clock(client.channel.settings.clock)
        self._timer = LeaseTimer(ttl, sent)
        self._keeper = keeper
        self._lock = threading.Lock()
        self._signal = Signal()
        self._listeners: Listeners[LeaseState] = Listeners(client.channel.driver)
        self._told = LeaseState.CONNECTED
        self._pid = process_id()
        if keeper is not None:
            keeper.add(self)

    # -- how it stands --------------------------------------------------------------------------------
    @property
    def id(self) -> int:
        """Its number in the registry."""
        return self._id

    @property
    def ttl(self) -> float:
        """Its time to live in seconds, as granted."""
        return self._timer.ttl

    @property
    def state(self) -> LeaseState:
        """How it stands now, by this client's own clock."""
        if process_id() != self._pid:
            return LeaseState.LOST
        with self._lock:
            return self._timer.look(self._clock())

    @property
    def over(self) -> bool:
        """It is lost or ended: nothing that was attached to it can be relied on."""
        return self.state in (LeaseState.LOST, LeaseState.ENDED)

    @property
    def lost(self) -> bool:
        """Nobody can be sure any more that it is held; false after `revoke` and `close`."""
        return self.state is LeaseState.LOST

    def time_left(self) -> float:
        """Return the seconds for which it is held for sure, if nothing more is heard; 0.0 once it is over."""
        if process_id() != self._pid:
            return 0.0
        with self._lock:
            return self._timer.left(self._clock())

    def check(self) -> None:
        """Raise LeaseLost unless it is held, as far as this client can know without asking."""
        if self.time_left() <= 0:
            raise self._loss()

    def _loss(self) -> LeaseLost:
        if self._timer.state is LeaseState.ENDED and process_id() == self._pid:
            return LeaseLost(f"lease {self._id} has ended: it was revoked or closed here", lease=self._id)
        return LeaseLost(lease=self._id)

    def on_change(self, listener: Callable[[LeaseState], object]) -> None:
        """Call `listener(state)` at every change of `state` from now on, one after another.

        Listeners have a thread (under asyncio: a task) of their own and may use the client. Changes are noticed
        while the lease is kept alive in the background.
        """
        self._listeners.add(listener)

    def off_change(self, listener: Callable[[LeaseState], object]) -> None:
        """Call it no more; ValueError when it was not to be called."""
        self._listeners.remove(listener)

    async def wait_over(self, timeout: float | None = None) -> bool:
        """Wait until it is lost or ended, `timeout` seconds at most (None: for ever); return whether it is."""
        timeout = seconds_or_ever(timeout)
        while True:
            left = self.time_left()
            if left <= 0:
                return True
            patience = left if timeout is None else min(left, timeout)
            if await self._signal.until(lambda: self._timer.over, patience):
                return True
            if timeout is not None:
                timeout -= patience
                if timeout <= 0:
                    return self.time_left() <= 0

    # -- what can be done -----------------------------------------------------------------------------
    async def keep_alive(self, *, timeout: float | None = None) -> float:
        """Give it its full time again, now, and return the seconds for which it is held then.

        LeaseLost when it is over; when no answer comes, the time that is left is as before.
        """
        self.check()
        sent = self._clock()
        rows = await self._client.channel.call([verbs.KEEPALIVE, 0, [self._id]], False, timeout)
        if rows[0][1]:
            self._confirmed(sent, rows[0][1] / 1000)
        else:
            self._gone()
        self.check()
        return self.time_left()

    async def info(self, *, timeout: float | None = None) -> LeaseInfo:
        """Return what the registry knows of it; LeaseNotFound when it is not there any more."""
        return await self._client.lease_info(self._id, timeout=timeout)

    async def revoke(self, *, note: str | None = None, timeout: float | None = None) -> int:
        """End it now, with everything attached to it in one rev, and return that rev.

        LeaseNotFound when it is not there any more.
        """
        seconds_or_ever(timeout)  # before it is let go
        self._stop()
        try:
            rev = await self._client.revoke(self._id, note=note, timeout=timeout)
        except LeaseNotFound:
            self._gone()
            raise
        self._update(lambda now: self._timer.end(lost=False))
        return rev

    async def close(self, *, timeout: float | None = None) -> None:
        """Revoke it if that can be done in `timeout` seconds (default: 1); otherwise it expires. Idempotent, silent."""
        seconds_or_ever(timeout)
        self._stop()
        if self._pid == process_id() and not self._timer.over:
            try:
                await self.revoke(timeout=CLOSE_SECONDS if timeout is None else timeout)
            except VisorError as error:
                log.info("lease %d was not revoked, it will expire: %s", self._id, error)
        self._update(lambda now: self._timer.end(lost=False))

    def _stop(self) -> None:
        if self._keeper is not None and self._pid == process_id():
            self._keeper.discard(self)

    async def __aenter__(self) -> Lease:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        left = f"{self.time_left():.1f} of {self.ttl:g} s left"
        return f"<visor {self._word} {self._id}, {self.state.value}, {left}>"

    # -- what was heard -------------------------------------------------------------------------------
    def _confirmed(self, sent: float, ttl: float) -> None:
        self._update(lambda now: self._timer.confirm(sent, ttl, now))

    def _missed(self, sent: float) -> None:
        self._update(lambda now: self._timer.miss(sent, now))

    def _gone(self) -> None:
        self._update(lambda now: self._timer.end(lost=True))

    def _update(self, change: Callable[[float], None]) -> None:
        """Make a change, and tell of it if the state is another one now."""
        if process_id() != self._pid:
            return
        with self._lock:
            now = self._clock()
            change(now)
            state = self._timer.look(now)
            changed, self._told = state is not self._told, state
        if changed:
            self._signal.fire()
            self._changed(state)

    def _changed(self, state: LeaseState) -> None:
        self._listeners.tell(state)

    async def _look_after(self, timeout: float) -> None:
        """Do what is to be done while the lease is kept alive, in `timeout` seconds; nothing, for a plain lease."""


public("visor.aio", Lease)
