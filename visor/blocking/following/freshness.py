# Generated from visor/aio/following/freshness.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""What time it is in the cluster: one request every few seconds for all local copies of a client.

That a connection is up and quiet proves little: the node at its other end may itself be cut off from the
majority. So a client with local copies asks for the latest rev (linearizable) now and then, and every copy
that reaches that rev knows that it held, at the moment of asking, all that was committed.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol

from visor._drivers import forks
from visor._drivers.blocking.signal import Signal
from visor.errors import ClientUnusable, VisorError

if TYPE_CHECKING:
    from visor.blocking.client import Client


class Copy(Protocol):
    """A local copy, as far as it is told how far the registry is."""

    def promise(self, moment: float, rev: int) -> None:
        """The registry was at `rev`, and not further, at the clock's `moment`."""


class Freshness:
    """The heartbeat of one client's copies; made by the first of them, ended with the last."""

    def __init__(self, client: Client[Any], period: float) -> None:
        self._client = client
        self._clock = client.channel.settings.clock
        self.period = period
        self.copies: list[Copy] = []
        self.signal = Signal()

    def close(self) -> None:
        """The client is closing."""
        self.copies = []
        self.signal.fire()

    def run(self) -> None:
        """Beat until there is no copy left."""
        try:
            while not self.signal.until(lambda: not self.copies, self.period):
                self._beat()
        except ClientUnusable:
            pass

    def _beat(self) -> None:
        moment = self._clock()
        try:
            rev = self._client.rev(timeout=self.period)
        except ClientUnusable:
            raise
        except VisorError:
            return  # the copies grow older, and say so
        for copy in self.copies:
            copy.promise(moment, rev)


_lock = threading.Lock()
_asked_by_client: dict[Client[Any], Freshness] = {}
"""Of every client that has copies."""


def _forked() -> None:
    """This is the child: the parent's threads are not here."""
    global _lock  # noqa: PLW0603  # another thread of the parent may have held the old one
    _lock = threading.Lock()
    _asked_by_client.clear()


forks.in_child(_forked)


def join(client: Client[Any], copy: Copy, period: float) -> None:
    """Beat for this copy too; the shortest period that any of them asks for counts."""
    with _lock:
        freshness = _asked_by_client.get(client)
        if freshness is not None:
            freshness.period = min(freshness.period, period)
            freshness.copies = [*freshness.copies, copy]
            return
        freshness = _asked_by_client[client] = Freshness(client, period)
        freshness.copies = [copy]
        client.channel.driver.spawn(freshness, freshness.run)


def leave(client: Client[Any], copy: Copy) -> None:
    """Not for this one any more."""
    with _lock:
        freshness = _asked_by_client.get(client)
        if freshness is None:
            return
        freshness.copies = [other for other in freshness.copies if other is not copy]
        if not freshness.copies:
            del _asked_by_client[client]
            freshness.signal.fire()
