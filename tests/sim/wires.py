"""Connections of clients: bytes both ways in order, with delays, ends that one side notices late, and broken middles.

`Connection` is one connection as both sides see it. At the node a real `Conversation` reads and writes it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from tests.sim.randoms import log_uniform
from visord.serving.conversation import Conversation

if TYPE_CHECKING:
    from tests.sim.host import Process

LATENCY: Final = (0.0001, 0.0008)
HIGH: Final = 64 * 1024
"""Bytes under way to a client that make his node keep back."""


class ClientEnd(Protocol):
    """What a connection needs of a client."""

    def heard(self, connection: Connection, data: bytes) -> None:
        """Bytes came."""

    def hung_up(self, connection: Connection) -> None:
        """The connection is gone."""


class Connection:
    """One connection of a client to a process. The node sees it as `visord.serving.replies.Wire`."""

    def __init__(self, process: Process, client: ClientEnd, rng: random.Random) -> None:
        assert process.backend is not None
        self._process = process
        self.number = process.host.world.next_number()
        self._scheduler = process.scheduler
        self._client = client
        self._rng = rng
        self._next_up = self._next_down = 0.0
        self._under_way = 0
        self._blocked = False
        self._reading = True
        self._held: list[bytes] = []
        self.slow = False
        """The client takes what is sent only now and then."""
        self.client_gone = False
        self.node_gone = False
        self.conversation = Conversation(process.backend, self, process.limits)
        process.connections.add(self)

    # -- the client's side ----------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send bytes to the node."""
        if not self.client_gone and not self.node_gone:
            self._next_up = max(self._next_up, self._scheduler.now + self._delay())
            self._scheduler.at(self._next_up, self._arrive, data, loop=self._process.loop)

    def abandon(self) -> None:
        """The client leaves, or the network lost the connection: what is under way to the node may still arrive."""
        if self.client_gone:
            return
        self.client_gone = True
        if not self.node_gone:
            lost = self._rng.random() < 0.5
            at = self._scheduler.now if lost else self._next_up + log_uniform(self._rng, 0.001, 1.0)
            self._scheduler.at(at, self._lost, loop=self._process.loop)

    def sever(self) -> None:
        """The network breaks the connection: both sides learn of it, each in his time."""
        client = self._client
        if not self.client_gone:
            self.abandon()
            self._scheduler.after(log_uniform(self._rng, 0.0005, 0.5), client.hung_up, self)

    # -- the node's side ------------------------------------------------------------------------------------

    def _arrive(self, data: bytes) -> None:
        if self.node_gone or self.conversation.closed:
            return
        if not self._reading:
            self._held.append(data)
            return
        self.conversation.receive(data)

    def _lost(self) -> None:
        if not self.node_gone:
            self.node_gone = True
            self._process.connections.discard(self)
            self.conversation.lost()

    def write(self, data: bytes) -> None:
        """Send bytes to the client."""
        if self.client_gone or self.node_gone:
            return
        self._under_way += len(data)
        if self._under_way > HIGH and not self._blocked:
            self._blocked = True
            self._process.loop.call_soon(self._writable, False)
        delay = self._delay() + (log_uniform(self._rng, 0.01, 0.5) if self.slow else 0.0)
        self._next_down = max(self._next_down, self._scheduler.now + delay)
        self._scheduler.at(self._next_down, self._deliver, data)

    def write_all(self, pieces: Sequence[bytes]) -> None:
        """Send pieces to the client."""
        for piece in pieces:
            self.write(piece)

    def _deliver(self, data: bytes) -> None:
        self._under_way -= len(data)
        if self._blocked and self._under_way < HIGH // 4 and not self.node_gone:
            self._blocked = False
            self._process.loop.call_soon(self._writable, True)
        if not self.client_gone:
            self._client.heard(self, data)

    def _writable(self, yes: bool) -> None:
        if not self.node_gone:
            self.conversation.writable(yes)

    def pause(self) -> None:
        """Keep what arrives."""
        self._reading = False

    def resume(self) -> None:
        """Read again."""
        self._reading = True
        held, self._held = self._held, []
        for data in held:
            self._process.loop.call_soon(self._arrive, data)

    def close(self) -> None:
        """The node closes, after what it wrote."""
        self._end(lambda: self._scheduler.at(self._next_down, self._client.hung_up, self))

    def abort(self) -> None:
        """The node closes at once."""
        self.close()

    def unsent(self) -> int:
        """Return the bytes that the client has not taken."""
        return self._under_way

    certificate = None

    def greeted(self) -> None:
        """The client has said who it is."""

    def strange(self, why: str) -> None:
        """What came first is nothing that a client says."""

    def node_ended(self, *, silent: bool) -> None:
        """The process is gone. `silent`: the client hears nothing of it, ever."""
        if not silent:
            delay = self._delay()
            self._end(lambda: self._scheduler.after(delay, self._client.hung_up, self))
        else:
            self._end(lambda: None)

    def _end(self, tell: Callable[[], Any]) -> None:
        if not self.node_gone:
            self.node_gone = True
            self._process.connections.discard(self)
            if not self.client_gone:
                tell()

    def _delay(self) -> float:
        low, high = LATENCY
        return low + (high - low) * self._rng.random()
