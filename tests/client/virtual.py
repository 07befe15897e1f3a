"""Time that nobody waits for, and nodes that fall silent in many ways: a loop, and a registry of leases, in memory.

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())                  # asyncio.sleep(3600) is over at once

Time stands while anybody has anything to do, and jumps to what is due next. Connections lead to the nodes of a `World`,
which are one registry: a lease that one of them keeps alive is kept alive for all.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import selectors
import socket
from collections.abc import Callable
from enum import Enum
from typing import Any

import visor.aio
from visor import codecs
from visor._drivers.environment import gather
from visor.protocol import verbs
from visor.protocol.frames import Decoder, encode

LATENCY = 0.001


class _Jumping(selectors.SelectSelector):
    """Waits for nothing: the loop's time goes on instead."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits, and nothing will ever happen"
            self.loop.now += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.world: World | None = None
        selector = _Jumping()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    async def create_connection(  # type: ignore[override]
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        assert self.world is not None
        link = await self.world.nodes[f"{host}:{port}"].accept(factory())
        return link, link.protocol


class Silence(Enum):
    """How a node fails to answer."""

    NONE = "well"
    STOPPED = "its system accepts connections, and nothing else happens"
    CUT_OFF = "no packet comes through in either direction"
    LEASES = "it answers everything but what keeps leases alive"
    GREETS = "it greets and answers PING, and nothing else"
    LATE = "it answers everything, too late to be of use"
    LEAVING = "it says that it is leaving, and then nothing more"


class Link(asyncio.Transport):
    """One connection, seen from the client."""

    def __init__(self, node: Node, protocol: asyncio.Protocol) -> None:
        super().__init__({"socket": _NoSocket()})
        self.node = node
        self.protocol = protocol
        self.closed = False
        self._decoder = Decoder(1 << 24)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        asyncio.get_running_loop().call_later(LATENCY, self._arrive, bytes(data))

    def _arrive(self, data: bytes) -> None:
        if not self.closed:
            for message in self._decoder.feed(data):
                self.node.handle(self, message)

    def answer(self, message: list[Any] | tuple[Any, ...], delay: float = LATENCY) -> None:
        asyncio.get_running_loop().call_later(delay, self._deliver, encode(message))

    def _deliver(self, data: bytes) -> None:
        if not self.closed:
            self.protocol.data_received(data)

    def abort(self) -> None:
        """The client's end, or a reset."""
        if not self.closed:
            self.closed = True
            self.node.links.discard(self)
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)


class _NoSocket:
    family = socket.AF_UNIX


class Node:
    """One node of the world's registry."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.silence = Silence.NONE
        self.links: set[Link] = set()

    async def accept(self, protocol: asyncio.Protocol) -> Link:
        if self.silence is Silence.CUT_OFF:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(LATENCY)
        link = Link(self, protocol)
        self.links.add(link)
        protocol.connection_made(link)
        return link

    def fall_silent(self, silence: Silence) -> None:
        self.silence = silence
        if silence is Silence.LEAVING:
            for link in self.links:
                link.answer((verbs.GOAWAY, "closing", "the node is leaving"))

    def reset(self) -> None:
        """Break all its connections, and be well."""
        for link in list(self.links):
            link.abort()

    def handle(self, link: Link, message: list[Any]) -> None:
        verb, silence = message[0], self.silence
        if silence in (Silence.STOPPED, Silence.CUT_OFF, Silence.LEAVING):
            return
        if silence is Silence.GREETS and verb not in (verbs.HELLO, verbs.PING):
            return
        if silence is Silence.LEASES and verb == verbs.KEEPALIVE:
            return
        result = self.world.result(message)
        if result is not None:
            delay = self.world.late if silence is Silence.LATE else LATENCY
            link.answer((verbs.OK, message[1], *result), delay)


class World:
    """A registry that knows leases, behind several nodes. `late` is the delay of a node that is too late."""

    def __init__(self, loop: VirtualLoop, nodes: int, late: float = 0.0) -> None:
        loop.world = self
        self._loop = loop
        self.late = late
        self.nodes = {f"10.0.0.{number}:1": Node(self) for number in range(1, nodes + 1)}
        self._leases: dict[int, tuple[float, float]] = {}
        """Time to live, and when it ends, by id."""

    def client(self, seed: int = 0) -> visor.aio.Client[bytes]:
        settings = gather(",".join(self.nodes), "/", 10.0, "me", None, None, None, {})
        settings = dataclasses.replace(settings, clock=self._loop.time, random=random.Random(seed))
        return visor.aio.Client(settings, codecs.BYTES)

    def alive(self, lease: int) -> bool:
        return lease in self._leases and self._loop.now < self._leases[lease][1]

    def result(self, message: list[Any]) -> tuple[Any] | None:
        """Return what is answered, None for nothing."""
        verb = message[0]
        if verb == verbs.HELLO:
            return ({"version": 1, "cluster": "c", "node": "n", "server": "x", "rev": 1, "limits": {}},)
        if verb == verbs.PING:
            return (None,)
        if verb == verbs.GRANT:
            number = len(self._leases) + 1
            self._leases[number] = (message[3] / 1000, self._loop.now + message[3] / 1000)
            return ([1, number, message[3]],)
        if verb == verbs.KEEPALIVE:
            return ([[lease, self._keep(lease)] for lease in message[2]],)
        if verb == verbs.REVOKE:
            self._leases.pop(message[3], None)
            return (1,)
        return None  # a GET waits for a rev that never comes

    def _keep(self, lease: int) -> int:
        if not self.alive(lease):
            return 0
        ttl = self._leases[lease][0]
        self._leases[lease] = (ttl, self._loop.now + ttl)
        return int(ttl * 1000)
