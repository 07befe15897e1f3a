"""The time of leases, turned by a test: nothing ends because the machine stood still, nothing is slept for.

    with LeaseTime(visor_server) as lease_time, lease_time.dial() as client:
        lease = client.lease(30)
        lease_time.turn(11)                # its keeper has something to do, and does it
        lease_time.turn(31, client=False)  # on the node alone: it gives the lease up, as nobody keeps it alive

The node's measure of leases and its clients' clocks stand while nobody turns them. So no deadline of a blocking client
passes either; asyncio has a clock of its own for those.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import visor
import visor.aio
from tests.patience import PATIENCE
from visor import LeaseState, codecs
from visor._drivers.environment import gather
from visor.testing import Server

STEP = 0.5
"""Seconds. The node does not count steps of more than `visord.leases.lessor.STALL`: it stood still, then."""


class LeaseTime:
    """See the module. For a node inside this process; a node that was started anew needs another one."""

    def __init__(self, server: Server) -> None:
        self._server = server
        node: Any = server._node
        self._loop: asyncio.AbstractEventLoop = node._loop
        self._leases = node._server.node.leases
        self._clients: list[Any] = []
        self._clients_now = time.monotonic()
        self._now = 0.0
        self._clock: Callable[[], float] = self._loop.time

    def __enter__(self) -> LeaseTime:
        self._on_loop(self._stand())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The node's clock is what it was; what it stood still for is not counted."""
        if self._loop.is_running():
            self._on_loop(self._go_on())

    async def _stand(self) -> None:
        self._clock = self._leases._clock
        self._now = self._clock()
        self._leases._clock = lambda: self._now
        self._leases.tick()  # from here on, whenever it was done the last time

    async def _go_on(self) -> None:
        self._leases._clock = self._clock

    def _on_loop(self, body: Any) -> None:
        asyncio.run_coroutine_threadsafe(body, self._loop).result(PATIENCE)

    # -- clients --------------------------------------------------------------------------------------
    def clock(self) -> float:
        """Return what clients are to measure with: seconds since some moment, to which only turning adds."""
        return self._clients_now

    def _settings(self, address: str | None, changes: dict[str, Any]) -> Any:
        settings = gather(address or self._server.address, None, None, None, "", None, None, {})
        # It looks at its clock several times a second, and takes a turn of that for no silence.
        changes = {"ping_after": 0.2, "dead_after": 1e9, **changes}
        return dataclasses.replace(settings, clock=self.clock, **changes)

    def dial(self, address: str | None = None, **changes: Any) -> visor.Client[bytes]:
        """Return a client of the node (or of a proxy at `address`) on this time; `changes` of its settings."""
        client = visor.Client(self._settings(address, changes), codecs.BYTES)
        self._clients.append(client)
        return client

    def dial_async(self, address: str | None = None, **changes: Any) -> visor.aio.Client[bytes]:
        """The same for asyncio."""
        client = visor.aio.Client(self._settings(address, changes), codecs.BYTES)
        self._clients.append(client)
        return client

    def follow(self, *clients: Any) -> None:
        """Turn the time of these too: they were made elsewhere, with `clock`."""
        self._clients.extend(clients)

    # -- time -----------------------------------------------------------------------------------------
    def turn(self, seconds: float, *, client: bool = True, node: bool = True) -> None:
        """Let time go on, for the clients and then for the node, or for one side alone."""
        if client:
            self._clients_now += seconds
            for one in self._clients:
                for keeper in list(one._keepers.values()):
                    with keeper._lock:
                        keeper._changes += 1  # it looks at the clock again
                    keeper._signal.fire()
        if node:
            self._on_loop(self._turn(seconds))

    def until(self, true: Callable[[], object], what: str = "it") -> None:
        """Return when it is true; an attempt that has failed, as one may when the machine stood still, is made again.

        That takes a second of the clients' time each time: what is to live meanwhile has `LONG_TTL`.
        """
        for _ in range(round(PATIENCE)):
            deadline = time.monotonic() + 1.0
            while time.monotonic() < deadline:
                if true():
                    return
                time.sleep(0.005)
            # Also when one is lost, and its keeper still waits for a node: until a moment of a time that stands still.
            if any(lease.state is not LeaseState.CONNECTED for lease in self._leases_kept()):
                self.turn(1.0, node=False)
        raise AssertionError(f"{what} did not come true within {PATIENCE:g} s")

    def pass_kept(self, seconds: float, *leases: Any) -> None:
        """Let time go on, and return when all of these were kept alive again since."""
        kept = [lease._timer.kept for lease in leases]
        self.turn(seconds)
        self.until(
            lambda: all(lease._timer.kept > before for lease, before in zip(leases, kept, strict=True)),
            "a keep-alive",
        )

    def _leases_kept(self) -> list[Any]:
        keepers = [keeper for client in self._clients for keeper in list(client._keepers.values())]
        return [lease for keeper in keepers for lease in keeper.leases()]

    async def _turn(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP)):
            self._now += STEP
            self._leases.tick()
            while self._leases._asked is not None:  # noqa: ASYNC110 - whether this node leads: what is due goes by this time
                await asyncio.sleep(0)
