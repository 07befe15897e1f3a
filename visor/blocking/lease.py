# Generated from visor/aio/lease.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""A lease: what is attached to it goes when it ends, and it ends when nobody keeps it alive.

    with client.lease(10) as lease:                  # kept alive in the background
        client.set("/nodes/a", b"up", lease=lease)
        ...
        lease.check()                                            # LeaseLost when it cannot be relied on any more
    # revoked: /nodes/a is gone

The client counts a lease from when its last confirmed keep-alive was *sent*, on a monotonic clock. So it is `lost` here
before the registry gives it up, also when the network or this process stood still. Lost is final: grant another one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from visor._core.backoff import seconds_or_ever
from visor._core.log import log
from visor._core.public import public
from visor._core.recipes.lease import BaseLease, LeaseState, LeaseTimer
from visor._drivers.blocking.signal import Signal
from visor._drivers.clocks import lease_clock
from visor._drivers.forks import process_id
from visor.blocking._listeners import Listeners
from visor.errors import LeaseNotFound, VisorError
from visor.protocol import verbs
from visor.values import LeaseInfo

if TYPE_CHECKING:
    from visor.blocking._asks import Asks
    from visor.blocking._keeper import Keeper

CLOSE_SECONDS = 1.0


class Lease(BaseLease):
    """A lease of this client; made by `Client.lease`. Usable as a context manager, whose end revokes it.

    `state` is connected, suspended (an attempt to keep it alive has failed, it is still held), lost, or ended (by
    `revoke` or `close`). In a fork of the process that made it, it is lost.
    """

    _signal: Signal

    def __init__(self, client: Asks[Any], lease: int, ttl: float, sent: float, keeper: Keeper | None) -> None:
        self._client = client
        super().__init__(lease, LeaseTimer(ttl, sent), lease_clock(client.channel.settings.clock), process_id)
        self._keeper = keeper
        self._lock = threading.Lock()
        self._signal = Signal()
        self._listeners: Listeners[LeaseState] = Listeners(client.channel.driver)
        if keeper is not None:
            keeper.add(self)

    # -- how it stands --------------------------------------------------------------------------------

    def on_change(self, listener: Callable[[LeaseState], object]) -> None:
        """Call `listener(state)` at every change of `state` from now on, one after another.

        Listeners have a thread (under asyncio: a task) of their own and may use the client. Changes are noticed
        while the lease is kept alive in the background.
        """
        self._listeners.add(listener)

    def off_change(self, listener: Callable[[LeaseState], object]) -> None:
        """Call it no more; ValueError when it was not to be called."""
        self._listeners.remove(listener)

    def wait_over(self, timeout: float | None = None) -> bool:
        """Wait until it is lost or ended, `timeout` seconds at most (None: for ever); return whether it is."""
        timeout = seconds_or_ever(timeout)
        while True:
            left = self.time_left()
            if left <= 0:
                return True
            patience = left if timeout is None else min(left, timeout)
            if self._signal.until(lambda: self._timer.over, patience):
                return True
            if timeout is not None:
                timeout -= patience
                if timeout <= 0:
                    return self.time_left() <= 0

    # -- what can be done -----------------------------------------------------------------------------
    def keep_alive(self, *, timeout: float | None = None) -> float:
        """Give it its full time again, now, and return the seconds for which it is held then.

        LeaseLost when it is over; when no answer comes, the time that is left is as before.
        """
        self.check()
        sent = self._clock()
        rows = self._client.channel.call([verbs.KEEPALIVE, 0, [self._id]], False, timeout)
        if rows[0][1]:
            self._confirmed(sent, rows[0][1] / 1000)
        else:
            self._gone()
        self.check()
        return self.time_left()

    def info(self, *, timeout: float | None = None) -> LeaseInfo:
        """Return what the registry knows of it; LeaseNotFound when it is not there any more."""
        return self._client.lease_info(self._id, timeout=timeout)

    def revoke(self, *, note: str | None = None, timeout: float | None = None) -> int:
        """End it now, with everything attached to it in one rev, and return that rev.

        LeaseNotFound when it is not there any more.
        """
        seconds_or_ever(timeout)  # before it is let go
        self._stop()
        try:
            rev = self._client.revoke(self._id, note=note, timeout=timeout)
        except LeaseNotFound:
            self._gone()
            raise
        self._update(lambda now: self._timer.end(lost=False))
        return rev

    def close(self, *, timeout: float | None = None) -> None:
        """Revoke it if that can be done in `timeout` seconds (default: 1); otherwise it expires. Idempotent, silent."""
        seconds_or_ever(timeout)
        self._stop()
        if self._pid == process_id() and not self._timer.over:
            try:
                self.revoke(timeout=CLOSE_SECONDS if timeout is None else timeout)
            except VisorError as error:
                log.info("lease %d was not revoked, it will expire: %s", self._id, error)
        self._update(lambda now: self._timer.end(lost=False))

    def _stop(self) -> None:
        if self._keeper is not None and self._pid == process_id():
            self._keeper.discard(self)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _look_after(self, timeout: float) -> None:
        """Do what is to be done while the lease is kept alive, in `timeout` seconds; nothing, for a plain lease."""


public("visor", Lease)
